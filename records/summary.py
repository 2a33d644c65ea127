"""Summaries: a run, counted as its records come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..oracle.judge import FAILING, VERDICTS
from .accuracy import AccuracyStats
from .causes import Cause, cause_of, row_of
from .models import (
    CheckRun,
    DisagreementRecord,
    EndRecord,
    FailureRecord,
    KinkRecord,
    LedgerRecord,
    OutcomeRecord,
    Record,
    TaskRecord,
)  # fmt: skip
from .sentences import listed, lost_sentence

__all__ = ["CATEGORIES", "JUDGED", "OpSummary", "Summary", "category", "counted", "summarise"]

#: The categories that are judgements; the others are not.
JUDGED = ("correct", "lossy", "known", "new")
CATEGORIES = (*JUDGED, "undecided", "unsupported")
#: How many reasons name a loss of support; reports have them all.
MOST_LOST = 4
#: The families of rows that are no single op.
NO_OPS = ("semantics", "composition")


def category(outcome: OutcomeRecord) -> str:
    """Where an outcome counts: one of `CATEGORIES`."""
    if outcome.verdict in FAILING or outcome.verdict == "lossy":
        return "known" if outcome.known else "lossy" if outcome.verdict == "lossy" else "new"
    return outcome.verdict


@dataclass
class OpSummary:
    """How the answers for one op were judged.

    Parameters
    ----------
    op, family : str
    categories, verdicts : Counter
        Outcomes by category (they add up) and by verdict.
    legs : dict
        For each leg a Counter of its stances.
    dtypes : Counter
        Judged outcomes by dtype.
    worst_ulp : float
        The largest error of a correct answer, in units in the last place.
    kinks : int
        Outcomes at kinks.
    ended : set of str
        The dtypes in which everything was asked.
    lacking : set of str
        The dtypes in which the ledger says that the backend does not have the op at all.
    modes : dict
        For each further mode that was asked a Counter of its verdicts.
    by_dtype : dict
        Outcomes by category, for each dtype.
    accuracy : dict
        The accuracy of the gradients, for each dtype.
    seconds : float
        The time that judging took.
    elsewhere : int
        How many more programs that were to be about this op fail by another one, in whose row they stand.
    """

    op: str
    family: str = ""
    categories: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    legs: dict[str, Counter[str]] = field(default_factory=dict)
    dtypes: Counter[str] = field(default_factory=Counter)
    worst_ulp: float = 0.0
    kinks: int = 0
    ended: set[str] = field(default_factory=set)
    lacking: set[str] = field(default_factory=set)
    modes: dict[str, Counter[str]] = field(default_factory=dict)
    by_dtype: dict[str, Counter[str]] = field(default_factory=dict)
    accuracy: dict[str, AccuracyStats] = field(default_factory=dict)
    seconds: float = 0.0
    elsewhere: int = 0

    @property
    def judged(self) -> int:
        """How many outcomes are judgements."""
        return sum(self.categories[c] for c in JUDGED)

    @property
    def state(self) -> str:
        """The op's gravest category, or "not judged"."""
        order = ("new", "known", "lossy", "correct", "undecided", "unsupported")
        return next((c for c in order if self.categories[c]), "not judged")

    @property
    def told(self) -> str:
        """The outcomes by category, as "3 correct, 1 undecided"."""
        return ", ".join(f"{self.categories[c]} {c}" for c in CATEGORIES if self.categories[c]) or "nothing asked"

    @property
    def refused(self) -> bool:
        """Whether there is no judgement, since the backend does not support what was asked."""
        return self.categories["unsupported"] > 0 and self.categories.total() == self.categories["unsupported"]

    def agreed(self, leg: str) -> int:
        """How often a leg agreed with the truth."""
        return self.legs[leg]["agrees"] if leg in self.legs else 0

    def add(self, outcome: OutcomeRecord) -> None:
        """Count one outcome, whose verdict stands in this row."""
        self.verdict(outcome)
        self.question(outcome)

    def verdict(self, outcome: OutcomeRecord) -> None:
        """Count the verdict of one outcome."""
        counted_as, dtype = category(outcome), outcome.dtype
        self.categories[counted_as] += 1
        self.verdicts[outcome.verdict] += 1
        self.by_dtype.setdefault(dtype, Counter())[counted_as] += 1
        if counted_as in JUDGED:
            self.dtypes[dtype] += 1
        if counted_as == "correct":
            self.worst_ulp = max(self.worst_ulp, outcome.worst_ulp or 0.0)

    def question(self, outcome: OutcomeRecord) -> None:
        """Count what else there is to a question that was asked about this op."""
        dtype = outcome.dtype
        self.family = self.family or outcome.family
        self.kinks += outcome.kink
        for mode, judged in outcome.modes.items():
            self.modes.setdefault(mode, Counter())[judged.verdict] += 1
        self.seconds += outcome.ms / 1e3
        if outcome.accuracy is not None:
            self.accuracy.setdefault(dtype, AccuracyStats()).add(outcome.accuracy)
        for leg, stance in outcome.legs.items():
            self.legs.setdefault(leg, Counter())[stance] += 1


#: The header of a run whose own has not come.
NO_HEADER = CheckRun(run="", started="", adjudge="", backend="")


@dataclass
class Summary:
    """A run, counted as its records come; what it keeps does not grow with the number of outcomes.

    Parameters
    ----------
    header : CheckRun
        `NO_HEADER` until it comes.
    ops : dict
        An `OpSummary` for each op: those that were to be asked about are there from the start.
    failures, disagreements, ledger, kinks : list
        The records of these kinds.
    known : Counter
        Outcomes that a ledger entry explains, by its id.
    undecided, unsupported : Counter
        Such outcomes, by reason.
    lost : dict
        What the backend does not support although no ledger entry says so: how often by op, for each mode and reason; the
        reason is empty where it does not have the op at all. Nothing where the backend has no ledger.
    end : EndRecord or None
        None until it comes.
    findings : dict
        New failures by cause.
    """

    header: CheckRun = NO_HEADER
    ops: dict[str, OpSummary] = field(default_factory=dict)
    failures: list[FailureRecord] = field(default_factory=list)
    disagreements: list[DisagreementRecord] = field(default_factory=list)
    ledger: list[LedgerRecord] = field(default_factory=list)
    kinks: list[KinkRecord] = field(default_factory=list)
    known: Counter[str] = field(default_factory=Counter)
    undecided: Counter[str] = field(default_factory=Counter)
    unsupported: Counter[str] = field(default_factory=Counter)
    lost: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    end: EndRecord | None = None
    findings: dict[tuple[str, ...], Cause] = field(default_factory=dict)

    @property
    def causes(self) -> list[Cause]:
        """The findings in the order in which they are told."""
        return sorted(self.findings.values(), key=lambda cause: cause.order)

    def add(self, record: Record) -> None:
        """Count one record of a run of `adjudge check`."""
        match record:
            case OutcomeRecord():
                self._outcome(record)
            case CheckRun():
                self.header = record
                for op in record.ops:
                    self.ops.setdefault(op, OpSummary(op))
            case FailureRecord():
                self.failures.append(record)
                if record.verdict in FAILING:
                    self._cause(record).add(record, row_of(record, self.header.catalogue))
            case DisagreementRecord():
                self.disagreements.append(record)
            case LedgerRecord():
                self.ledger.append(record)
            case KinkRecord():
                self.kinks.append(record)
            case TaskRecord():
                self._task_end(record)
            case EndRecord():
                self.end = record

    def _cause(self, record: OutcomeRecord | FailureRecord) -> Cause:
        key = cause_of(record)
        return self.findings.setdefault(key, Cause(key))

    def _outcome(self, outcome: OutcomeRecord) -> None:
        asked = self.ops.setdefault(outcome.op, OpSummary(outcome.op))
        row = row_of(outcome, self.header.catalogue) if outcome.verdict in FAILING else outcome.op
        if row == outcome.op:
            asked.add(outcome)
        else:
            self.ops.setdefault(row, OpSummary(row, self.header.catalogue[row])).verdict(outcome)
            asked.question(outcome)
            asked.elsewhere += 1
        if category(outcome) == "new":
            cause = self._cause(outcome)
            cause.seen += 1
            cause.ops[row] += 1
            cause.dtypes[outcome.dtype] += 1
        if outcome.verdict == "undecided":
            self.undecided[(outcome.reason or "").partition(":")[0]] += 1
        if outcome.verdict == "unsupported":
            self.unsupported[outcome.reason or ""] += 1
            if not outcome.known:  # a row that is refused before anything is asked has no mode
                self._lost(outcome.op, "vjp", outcome.reason or "" if outcome.mode else "")
        elif outcome.known:
            self.known[outcome.known] += 1
        for mode, judged in outcome.modes.items():
            if judged.verdict == "unsupported" and not judged.known:
                self._lost(outcome.op, mode, judged.reason)

    def _lost(self, op: str, mode: str, reason: str) -> None:
        if self.header.ledger:
            self.lost.setdefault((mode, reason), Counter())[op] += 1

    def _task_end(self, record: TaskRecord) -> None:
        row = self.ops.setdefault(record.op, OpSummary(record.op))
        if record.ended:
            row.ended.add(record.dtype)
        if record.on_record is not None:
            row.lacking.add(record.dtype)
            judged = sum(row.by_dtype.get(record.dtype, Counter())[c] for c in JUDGED)
            if judged and record.on_record not in {r.id for r in self.ledger}:
                reason = f"not supported: {record.op}"
                self.ledger.append(LedgerRecord(id=record.on_record, op=record.op, state="no longer fails", reason=reason))

    def count(self, category: str) -> int:
        """Outcomes of one category."""
        return sum(op.categories[category] for op in self.ops.values())

    @property
    def judged(self) -> int:
        """How many outcomes are judgements."""
        return sum(op.judged for op in self.ops.values())

    @property
    def verdicts(self) -> dict[str, int]:
        """Outcomes by verdict, every verdict named."""
        return {v: sum(op.verdicts[v] for op in self.ops.values()) for v in VERDICTS}

    @property
    def modes(self) -> dict[str, Counter[str]]:
        """For each further mode that was asked its verdicts, counted."""
        total: dict[str, Counter[str]] = {}
        for op in self.ops.values():
            for mode, verdicts in op.modes.items():
                total.setdefault(mode, Counter()).update(verdicts)
        return total

    @property
    def stale(self) -> list[LedgerRecord]:
        """Ledger entries that no longer describe what is seen."""
        return [r for r in self.ledger if r.state in ("no longer fails", "fails otherwise")]

    @property
    def interrupted(self) -> bool:
        """Whether somebody stopped the run."""
        return self.end is not None and self.end.interrupted

    @property
    def partial(self) -> bool:
        """Whether the run did not reach its end, or left out a part of what it should have asked."""
        return self.interrupted or self.end is None or bool(self.unfinished)

    @property
    def unfinished(self) -> list[str]:
        """Ops about which not everything was asked; in a run that explores, nothing."""
        if self.header.explores:
            return [op for op, row in self.planned.items() if not row.categories and not row.elsewhere]
        plan = self.header.plan
        return [op for op, row in self.planned.items() if not row.ended or not row.ended.issuperset(plan.get(op, ()))]

    @property
    def planned(self) -> dict[str, OpSummary]:
        """The rows that were to be asked about; a failure may stand in another one, with whose op it began."""
        plan = self.header.ops or self.ops
        return {op: row for op, row in self.ops.items() if op in plan}

    @property
    def unverified(self) -> list[OpSummary]:
        """Ops about which all was asked and nothing could be judged, although the backend should have them."""
        left = set(self.unfinished)
        return [
            row
            for op, row in self.planned.items()
            if op not in left and not row.judged and not row.elsewhere and not self._lacks(row)
        ]

    def _lacks(self, row: OpSummary) -> bool:
        """Whether an op without a judgement needs none: the backend has it not, which is on record where it must be."""
        if not self.header.ledger:
            return row.refused
        return row.lacking.issuperset(row.by_dtype) or any(row.op in ops for ops in self.lost.values())

    @property
    def unsupported_ops(self) -> list[str]:
        """The ops that the backend does not support: none of them was judged."""
        return [op for op, row in self.ops.items() if row.refused and row.family not in NO_OPS]

    @property
    def blurred(self) -> list[tuple[str, str, int, int]]:
        """Where more than half is undecided with a unit roundoff that the backend declares: op, dtype, undecided, asked."""
        found = []
        for op, row in self.ops.items():
            for dtype in self.header.unit_roundoff:
                counts = row.by_dtype.get(dtype, Counter())
                asked = counts.total() - counts["unsupported"]
                if 2 * counts["undecided"] > asked:
                    found.append((op, dtype, counts["undecided"], asked))
        return found

    def failing(self, strict: bool = False) -> list[str]:
        """What makes the gate fail: one sentence each."""
        distinct = len(self.findings)
        seen, lossy = self.count("new"), self.count("lossy")
        often = f" (seen {seen} times)" if seen > distinct > 0 else ""
        out = [counted(distinct or seen, "new failure") + often] if distinct or seen else []
        if strict and lossy:
            out.append(f"{counted(lossy, 'answer')} lost digits, and accuracy is strict")
        out += [f"ledger entry {r.id} {r.state}" for r in self.stale]
        lost = self.support_lost()
        return out + (
            lost if len(lost) <= MOST_LOST else [*lost[:MOST_LOST], f"support lost in {len(lost) - MOST_LOST} more ways"]
        )

    def support_lost(self, op: str = "") -> list[str]:
        """What the backend no longer supports, of one op or of all: one sentence each."""
        return [
            lost_sentence(self.header.backend, mode, reason, [op] if op else list(ops))
            for (mode, reason), ops in self.lost.items()
            if not op or op in ops
        ]

    def shortcomings(self) -> list[str]:
        """Why what was judged is not enough for a verdict in the backend's favour: one sentence each."""
        out = ["the run was interrupted"] if self.interrupted else ["the run did not reach its end"] if self.end is None else []
        if unfinished := self.unfinished:
            every = len(self.planned)
            out.append(f"partial: {every - len(unfinished)} of {counted(every, 'row')} judged")
        if not self.judged:
            out.append("nothing was judged")
        if blurred := self.blurred:
            units = ", ".join(f"{unit:g} in {dtype}" for dtype, unit in self.header.unit_roundoff.items())
            seen = listed([f"{op} ({undecided} of {asked} in {dtype})" for op, dtype, undecided, asked in blurred])
            out.append(f"more than half is undecided with the unit roundoff that the backend declares ({units}): {seen}")
        told = {op for op, *_ in blurred}
        if unverified := [row for row in self.unverified if row.op not in told]:
            out.append(f"not verified: {listed([f'{row.op} ({row.told})' for row in unverified])}")
        return out

    def status(self, strict: bool = False) -> int:
        """The exit status: see the interface's table.

        Parameters
        ----------
        strict : bool
            Whether loss of digits that no ledger entry explains fails the gate.
        """
        if self.interrupted:
            return 130
        if self.disagreements:
            return 4
        if self.failing(strict):
            return 1
        return 2 if self.shortcomings() else 0

    def reasons(self, strict: bool = False) -> list[str]:
        """Why the status is what it is: one sentence each."""
        out = []
        if self.disagreements:
            ops = ", ".join(dict.fromkeys(d.op for d in self.disagreements))
            out.append(f"the oracle's legs disagree with each other ({ops}): adjudge's own defect, not the backend's")
        out += [*self.failing(strict), *self.shortcomings()]
        out = out or [f"{counted(self.judged, 'program')} judged, and nothing new failed"]
        if not self.header.ledger and (lacking := self.unsupported_ops):
            out.append(f"not supported: {counted(len(lacking), 'op')}")
        return out


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural where that is due."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def summarise(records: Iterable[Record], ops: Sequence[str] = ()) -> Summary:
    """Count a run's records.

    Parameters
    ----------
    records : iterable of Record
    ops : sequence of str
        Ops that have a summary whether or not anything is recorded about them, besides those that the header names.

    Examples
    --------
    >>> s = summarise(
    ...     [OutcomeRecord(op="exp", verdict="correct"), TaskRecord(op="exp", dtype="", ended=True), EndRecord(seconds=1.0)],
    ...     ["exp", "log"],
    ... )
    >>> s.status(), [(op.op, op.state) for op in s.ops.values()]
    (2, [('exp', 'correct'), ('log', 'not judged')])
    >>> s.reasons()
    ['partial: 1 of 2 rows judged']
    """
    summary = Summary(ops={op: OpSummary(op) for op in ops})
    for record in records:
        summary.add(record)
    return summary
