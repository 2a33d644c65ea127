"""The report: the result of a run as one JSON document, a model whose schema is published beside this file."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from pydantic import Field

from ..backends import SHIPPED
from ..records.case import Case, ScriptCase, WitnessRecord
from ..records.causes import Cause
from ..records.fields import FrozenModel, Real
from ..records.models import CheckRun, DisagreementRecord, Environment, FailureRecord, Judged, KinkRecord, LedgerRecord
from ..records.places import FILE
from ..records.sentences import failure_sentence, ledger_sentence
from ..records.summary import CATEGORIES, OpSummary, Summary
from ..records.text import write_text

__all__ = ["REPORT", "Report", "case_lines", "make_report", "replay_command", "write_report"]

#: The name of the report in its folder.
REPORT = "report.json"
SCHEMA_VERSION: Final = 2

if TYPE_CHECKING:
    State: TypeAlias = str
    Status: TypeAlias = int
else:
    State, Status = Literal[(*CATEGORIES, "not judged")], Literal[0, 1, 2, 4, 130]


class GateVerdict(FrozenModel):
    """Whether the gate passed, and why it did or did not."""

    status: Status = Field(description="The exit status.")
    passed: bool
    partial: bool = Field(description="The run did not reach its end, or left out a part of what it should have asked.")
    strict_accuracy: bool
    reasons: tuple[str, ...] = Field(min_length=1)


class JudgedBackend(FrozenModel):
    """What was judged."""

    name: str
    versions: dict[str, str]


class Counts(FrozenModel):
    """Outcomes by category."""

    judged: int = Field(ge=0, description="correct + lossy + known + new")
    correct: int = Field(ge=0)
    lossy: int = Field(ge=0)
    known: int = Field(ge=0)
    new: int = Field(ge=0)
    undecided: int = Field(ge=0)
    unsupported: int = Field(ge=0)
    verdicts: dict[str, int]
    modes: dict[str, dict[str, int]] = Field(description="For each mode besides reverse mode that was asked, its verdicts.")


class AccuracyReport(FrozenModel):
    """The accuracy of gradients in one dtype, of correct and lossy answers away from kinks."""

    questions: int = Field(ge=1)
    median_ulp: Real
    worst_ulp: Real
    bits_lost: Real
    at: tuple[Real, ...] = Field(description="The operands at the worst element, where they are on record.")
    floor: Real = Field(
        description="The relative error of one gradient element that half of the questions would have rejected for certain."
    )
    sharpest: Real = Field(description="The same for the sharpest question.")


class OpReport(Counts):
    """One op that was to be asked about, judged or not."""

    op: str
    family: str
    state: State
    dtypes: dict[str, int]
    kinks: int = Field(ge=0)
    worst_ulp: Real = Field(description="The largest error of a correct answer, in units in the last place.")
    legs: dict[str, dict[str, int]] = Field(description="For each leg, how often it took which stance.")
    seconds: float = Field(ge=0, description="The time that judging took.")
    accuracy: dict[str, AccuracyReport] = Field(description="By dtype.")

    @classmethod
    def of(cls, op: OpSummary) -> OpReport:
        """The report of one op."""
        return cls(
            op=op.op, family=op.family, state=op.state, judged=op.judged, **{c: op.categories[c] for c in CATEGORIES},
            verdicts=dict(op.verdicts), modes={mode: dict(verdicts) for mode, verdicts in op.modes.items()},
            dtypes=dict(op.dtypes), kinks=op.kinks, worst_ulp=op.worst_ulp,
            legs={leg: dict(stances) for leg, stances in op.legs.items()}, seconds=round(op.seconds, 3),
            accuracy={
                dtype: AccuracyReport(
                    questions=a.questions, median_ulp=a.median, worst_ulp=a.worst, bits_lost=a.bits_lost, at=a.at,
                    floor=a.floor, sharpest=a.sharpest,
                )
                for dtype, a in op.accuracy.items()
            },
        )  # fmt: skip


class DisagreementReport(FrozenModel):
    """A question on which the oracle's legs disagree."""

    op: str
    case: str = Field(description="cases/ID.json holds the question; `adjudge replay ID` asks it again.")
    program: tuple[str, ...]
    witnesses: tuple[WitnessRecord, ...]

    @classmethod
    def of(cls, record: DisagreementRecord) -> DisagreementReport:
        """The report of one disagreement."""
        return cls(op=record.op, **_case_fields(record.case))


class FailureReport(Judged):
    """The smallest counterexample of a failure; `blamed` is the op to blame, or "accumulation"."""

    case: str = Field(description="cases/ID.json holds the question; `adjudge replay ID` asks it again.")
    program: tuple[str, ...]
    witnesses: tuple[WitnessRecord, ...]
    sentence: str

    @classmethod
    def of(cls, record: FailureRecord, backend: str) -> FailureReport:
        """The report of one failure."""
        fields = {name: getattr(record, name) for name in Judged.model_fields}
        return cls(**fields, **_case_fields(record.case), sentence=failure_sentence(record, backend))


def _case_fields(case: Case | ScriptCase) -> dict[str, Any]:
    witnesses = case.witnesses if isinstance(case, Case) else ()
    return {"case": case.id, "program": tuple(case_lines(case)), "witnesses": witnesses}


class FindingReport(FrozenModel):
    """A finding: failures that one fault explains."""

    sentence: str
    ops: dict[str, int] = Field(description="Programs by the op with which the failure begins.")
    dtypes: dict[str, int]
    seen: int = Field(ge=0, description="Programs that fail so.")
    cases: tuple[str, ...] = Field(description="The smallest question for each way in which it shows.")

    @classmethod
    def of(cls, cause: Cause, backend: str) -> FindingReport:
        """The report of one finding."""
        sentence = failure_sentence(cause.failures[0], backend) if cause.failures else " ".join(filter(None, cause.key))
        cases = tuple(failure.case.id for failure in cause.failures)
        return cls(sentence=sentence, ops=dict(cause.ops), dtypes=dict(cause.dtypes), seen=cause.seen, cases=cases)


class LedgerReport(LedgerRecord):
    """What became of a ledger entry, and the sentence about it."""

    sentence: str

    @classmethod
    def of(cls, record: LedgerRecord) -> LedgerReport:
        """The report of one entry."""
        return cls(**dict(record), sentence=ledger_sentence(record))


class Provenance(FrozenModel):
    """Where the report comes from."""

    adjudge: str
    run: str
    started: str
    profile: str
    seed: int | None
    dtypes: tuple[str, ...]
    legs: tuple[str, ...]
    commit: str = Field(
        description="Of the git checkout that the library lies in, with '+' where files are changed; empty where it is in none."
    )
    seconds: float | None
    records: str


class Report(FrozenModel):
    """The result of a run of `adjudge check` (report.json). Numbers that are not finite travel as strings."""

    schema_version: Literal[2] = SCHEMA_VERSION
    verdict: GateVerdict
    backend: JudgedBackend
    counts: Counts
    ops: tuple[OpReport, ...]
    findings: tuple[FindingReport, ...] = Field(description="New failures by cause: one fault, one finding.")
    failures: tuple[FailureReport, ...]
    known: dict[str, int] = Field(description="Outcomes that a ledger entry explains, by its id.")
    ledger: tuple[LedgerReport, ...]
    undecided: dict[str, int] = Field(description="Undecided outcomes, by reason.")
    unsupported: dict[str, int] = Field(description="Unsupported outcomes, by reason.")
    support_lost: tuple[str, ...] = Field(
        description="What the backend's ledger does not say to be unsupported: a sentence each."
    )
    kinks: tuple[KinkRecord, ...] = Field(description="What the backend picks where implementations choose.")
    catalogue: dict[str, str] = Field(description="Every op that could have been asked about, with its family.")
    disagreements: tuple[DisagreementReport, ...]
    environment: Environment
    provenance: Provenance


def make_report(summary: Summary, *, strict: bool = False, torn: str = "") -> Report:
    """The report of a run.

    Parameters
    ----------
    summary : Summary
    strict : bool
        Whether loss of digits fails the gate.
    torn : str
        What was left out of the records, if anything.
    """
    header, status = summary.header, summary.status(strict)
    reasons = (*summary.reasons(strict), *([torn] if torn else []))
    return Report(
        verdict=GateVerdict(
            status=status, passed=status == 0, partial=summary.partial, strict_accuracy=strict, reasons=reasons
        ),
        backend=JudgedBackend(name=header.backend, versions=header.versions),
        counts=Counts(
            judged=summary.judged, **{c: summary.count(c) for c in CATEGORIES}, verdicts=summary.verdicts,
            modes={mode: dict(verdicts) for mode, verdicts in summary.modes.items()},
        ),
        ops=tuple(map(OpReport.of, summary.ops.values())),
        findings=tuple(FindingReport.of(cause, header.backend) for cause in summary.causes),
        failures=tuple(FailureReport.of(f, header.backend) for f in summary.failures),
        known=dict(summary.known),
        ledger=tuple(map(LedgerReport.of, summary.ledger)),
        undecided=dict(summary.undecided),
        unsupported=dict(summary.unsupported),
        support_lost=tuple(summary.support_lost()),
        kinks=tuple(summary.kinks),
        catalogue=header.catalogue,
        disagreements=tuple(map(DisagreementReport.of, summary.disagreements)),
        environment=header.environment,
        provenance=Provenance(
            adjudge=header.adjudge, run=header.run, started=header.started, profile=header.profile, seed=header.seed,
            dtypes=header.dtypes, legs=header.legs, commit=header.commit,
            seconds=summary.end.seconds if summary.end else None, records=FILE,
        ),
    )  # fmt: skip


def case_lines(case: Case | ScriptCase) -> list[str]:
    """A case's program, one line per value, or its script."""
    if isinstance(case, ScriptCase):
        return list(case.lines)
    return [line for line in str(case.question.program).split("\n") if line.strip()]


def replay_command(case: Case | ScriptCase, header: CheckRun) -> str:
    """The command that asks a case again; a backend of the user's own is named as the user named it, which no case does.

    Examples
    --------
    >>> case = ScriptCase(id="x", backend="toy", verdict="contract", lines=("a = lib.ones(2)",))
    >>> replay_command(case, CheckRun(backend="toy", spec="my toy.py"))
    "adjudge replay x --backend 'my toy.py'"
    """
    own = f" --backend {shlex.quote(header.spec)}" if header.spec and header.spec not in SHIPPED else ""
    return f"adjudge replay {case.id}{own}"


def write_report(folder: Path, report: Report) -> None:
    """Write ``report.json`` into a folder."""
    write_text(folder / REPORT, report.model_dump_json(indent=1) + "\n")
