"""Records: every kind as a model, told apart by its `kind`; one line of JSON each in a records file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated, Any, Final, Literal
from uuid import uuid4

import numpy as np
from pydantic import Field

from ..oracle.accuracy import Accuracy
from ..oracle.judge import Finding
from .case import AnyCase
from .fields import FrozenModel, LedgerState, NestedReal, Real, Verdict

__all__ = [
    "SCHEMA_VERSION", "AccuracyRecord", "BenchRun", "CheckRun", "DisagreementRecord", "EndRecord", "Environment",
    "FailureRecord", "Judged", "KinkRecord", "LedgerRecord", "LedgerState", "ModeOutcome", "OutcomeRecord", "RatioRecord",
    "Record", "TaskRecord", "TimingRecord", "UntimedRecord", "finding_fields",
]  # fmt: skip

SCHEMA_VERSION: Final = 2


class Environment(FrozenModel):
    """Where a run took place."""

    cpu: str = ""
    python: str = ""
    numpy: str = ""
    platform: str = ""
    machine: str = ""
    cores: int | None = None
    threads: dict[str, str] = {}
    blas: str = ""


class _RunHeader(FrozenModel):
    """What the header of every run says."""

    kind: Literal["run"] = "run"
    schema_version: Literal[2] = SCHEMA_VERSION
    run: str = Field(default_factory=lambda: uuid4().hex[:12])
    started: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    adjudge: str = Field(default_factory=lambda: version("adjudge"))
    environment: Environment = Environment()


class CheckRun(_RunHeader):
    """The header of a run of `adjudge check`.

    `spec` is what the user typed to name the backend. `ops` are asked about, each in the dtypes that `plan` names; `catalogue`
    has all ops with their families. A run that `explores` ends by time, every other one when every task has reached its end.
    With a `ledger`, what the backend does not support must stand in it.
    """

    what: Literal["check"] = "check"
    backend: str
    spec: str = ""
    versions: dict[str, str] = {}
    profile: str = ""
    seed: int | None = None
    dtypes: tuple[str, ...] = ()
    ops: tuple[str, ...] = ()
    plan: dict[str, tuple[str, ...]] = {}
    explores: bool = False
    ledger: bool = False
    unit_roundoff: dict[str, float] = {}
    catalogue: dict[str, str] = {}
    commit: str = ""
    strict_accuracy: bool = False
    legs: tuple[str, ...] = ()


class BenchRun(_RunHeader):
    """The header of a run of `adjudge bench`."""

    what: Literal["bench"] = "bench"
    gate: float | None = None


class ModeOutcome(FrozenModel):
    """How an answer was judged in a mode other than reverse mode; `known` is the ledger entry about what is not supported."""

    verdict: Verdict
    reason: str = ""
    known: str | None = None

    @classmethod
    def of(cls, finding: Finding, known: str | None = None) -> ModeOutcome:
        """The judgement that a finding is."""
        return cls(verdict=finding.verdict, reason=finding.reason, known=known)


class AccuracyRecord(FrozenModel):
    """How accurate an answer's gradients are, see `adjudge.oracle.accuracy.Accuracy`."""

    worst: Real
    median: Real
    floor: Real
    at: tuple[Real, ...] | None = None
    points: tuple[tuple[Real, Real], ...] | None = None

    @classmethod
    def of(cls, accuracy: Accuracy) -> AccuracyRecord:
        """An answer's accuracy, to three digits where no more are needed."""
        return cls(
            worst=_short(accuracy.worst),
            median=_short(accuracy.median),
            floor=_short(accuracy.floor),
            at=accuracy.at or None,
            points=tuple((float(f"{x:.4g}"), _short(u)) for x, u in accuracy.points) or None,
        )


def _short(number: float) -> float:
    return float(f"{number:.3g}")


class Judged(FrozenModel):
    """What outcomes and failures have in common; what is None or left out does not apply."""

    op: str
    family: str = ""
    dtype: str = ""
    verdict: Verdict
    mode: str | None = None
    where: str | None = None
    reason: str | None = None
    index: tuple[int, ...] | None = None
    got: Real | None = None
    expected: Real | None = None
    error: Real | None = None
    allowance: Real | None = None
    bits_lost: Real | None = None
    instead: str | None = None
    blamed: str | None = None
    known: str | None = None
    worst_ulp: Real | None = None
    kink: bool = False
    steps: int = 0
    number: int = 0
    ms: float = 0.0
    legs: dict[str, str] = {}
    modes: dict[str, ModeOutcome] = {}
    accuracy: AccuracyRecord | None = None


def finding_fields(finding: Finding | None) -> dict[str, Any]:
    """The fields of an outcome that say what stands against the answer; none where nothing does."""
    if finding is None:
        return {}
    return {
        "mode": finding.mode, "where": finding.where, "reason": finding.reason,
        "index": tuple(map(int, finding.index)), "got": finding.got, "expected": finding.expected, "error": finding.error,
        "allowance": finding.allowance, "bits_lost": finding.bits_lost, "instead": finding.instead or None,
    }  # fmt: skip


class OutcomeRecord(Judged):
    """One judged question; `case` is the question's id where something stands against the answer."""

    kind: Literal["outcome"] = "outcome"
    case: str | None = None


class FailureRecord(Judged):
    """The smallest question found that shows a failure which no ledger entry explains."""

    kind: Literal["failure"] = "failure"
    case: AnyCase

    @classmethod
    def of(cls, outcome: OutcomeRecord, case: AnyCase) -> FailureRecord:
        """The failure that an outcome is, with its case."""
        return cls(**{name: getattr(outcome, name) for name in Judged.model_fields}, case=case)


class DisagreementRecord(FrozenModel):
    """A question on which the oracle's own legs contradict each other."""

    kind: Literal["disagreement"] = "disagreement"
    op: str
    case: AnyCase


class LedgerRecord(FrozenModel):
    """What became of a ledger entry when its case was replayed; `observed` is what is seen now."""

    kind: Literal["ledger"] = "ledger"
    id: str
    op: str
    state: LedgerState
    reason: str
    verdict: Verdict | None = None
    observed: str = ""


class KinkRecord(FrozenModel):
    """What a backend picks at a point where implementations choose."""

    kind: Literal["kink"] = "kink"
    name: str
    program: str
    subgradients: str
    verdict: Verdict
    got: tuple[NestedReal, ...] = ()
    reason: str = ""

    @classmethod
    def of(
        cls, name: str, program: str, subgradients: str, *, verdict: str, reason: str = "", gradients: Sequence[Any] = ()
    ) -> KinkRecord:
        """What was picked, as one gradient per input; None where there is none."""
        got = tuple(np.asarray(g).tolist() for g in gradients if g is not None)
        return cls(name=name, program=program, subgradients=subgradients, verdict=verdict, got=got, reason=reason)


class TaskRecord(FrozenModel):
    """The end of the questions about one op in one dtype: whether all were asked that the profile wants.

    `on_record` is the ledger entry that says that the backend does not have the op in this dtype at all.
    """

    kind: Literal["task"] = "task"
    op: str
    dtype: str
    ended: bool
    on_record: str | None = None


class EndRecord(FrozenModel):
    """The end of a run."""

    kind: Literal["end"] = "end"
    seconds: float
    interrupted: bool = False


class _Timed(FrozenModel):
    """A case of a benchmark on one side."""

    backend: str
    versions: dict[str, str]
    op: str
    case: str
    layout: str
    dtype: str


class TimingRecord(_Timed):
    """How long one case takes, in seconds per pass with a 95 % interval; rates in multiply-adds counted as two."""

    kind: Literal["timing"] = "timing"
    forward_s: float
    total_s: float
    total_s_low: float
    total_s_high: float
    gradient_ratio: float
    flops: int
    limit_flops_per_s: float
    share: float
    peak_bytes: int | None
    compile_s: float | None
    rounds: int


class UntimedRecord(_Timed):
    """Why one case has no timing."""

    kind: Literal["untimed"] = "untimed"
    reason: str
    verdict: str


class RatioRecord(_Timed):
    """How many times as long the first side takes as the second, and every measurement of that with its interval."""

    kind: Literal["ratio"] = "ratio"
    against: str
    against_versions: dict[str, str]
    ratio: float
    ratio_low: float
    ratio_high: float
    rounds: int
    measured: tuple[tuple[float, float, float], ...]
    beyond: float
    regression: bool


Record = Annotated[
    Annotated[CheckRun | BenchRun, Field(discriminator="what")]
    | OutcomeRecord
    | FailureRecord
    | DisagreementRecord
    | LedgerRecord
    | KinkRecord
    | TaskRecord
    | EndRecord
    | TimingRecord
    | UntimedRecord
    | RatioRecord,
    Field(discriminator="kind"),
]
