"""Causes: one fault shows in many programs, dtypes and ops, and is one finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from .case import Case
from .models import FailureRecord, OutcomeRecord
from .sentences import listed

__all__ = ["Cause", "cause_of", "row_of"]

#: Verdicts that are about numbers. One fault makes some wrong and others infinite; it is told by the op to blame.
NUMBERS = ("wrong", "non-finite", "outside subdifferential", "lossy")


#: How many ops are named.
MOST_OPS = 6


def row_of(record: OutcomeRecord | FailureRecord, catalogue: Mapping[str, str]) -> str:
    """The row that a failure stands in: that of the op with which it began, whichever was asked about."""
    return record.blamed if record.blamed in catalogue and record.blamed is not None else record.op


def cause_of(record: OutcomeRecord | FailureRecord) -> tuple[str, ...]:
    """Equal for failures that one fault explains.

    Wrong numbers have one cause for each op to blame, mode, and kind of array; whatever else is answered (an exception, a
    dtype, what is no array) has one for all ops, if it is the same thing.
    """
    where = (record.where or "").split(" ")[0]
    if record.verdict in NUMBERS:
        return "numbers", record.mode or "", record.blamed or record.op, where
    return record.verdict, record.mode or "", record.instead or record.reason or "", where


@dataclass
class Cause:
    """A finding: failures that one fault explains.

    Parameters
    ----------
    key : tuple of str
        See `cause_of`.
    seen : int
        In how many programs.
    ops, dtypes : Counter
        In which, by the op with which it begins.
    failures : list of FailureRecord
        The smallest question for each way in which it shows, the easiest to read first.
    kept : dict
        The row of each.
    """

    key: tuple[str, ...]
    seen: int = 0
    ops: Counter[str] = field(default_factory=Counter)
    dtypes: Counter[str] = field(default_factory=Counter)
    failures: list[FailureRecord] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, int]:
        """What is told first: numbers, then exceptions, then the contract; what is seen most often first."""
        return ("numbers", "crash", "contract").index(self.key[0]), -self.seen

    def add(self, failure: FailureRecord, row: str) -> None:
        """Keep a failure that stands in a row, unless one that shows alike is of an op that fails more often, or is shorter."""
        self.kept[failure.case.id] = row
        self.failures.append(failure)
        ways: dict[tuple[str, str], FailureRecord] = {}
        for each in sorted(self.failures, key=self._rank):
            ways.setdefault(_way(each), each)
        self.failures = list(ways.values())

    def _rank(self, failure: FailureRecord) -> tuple[int, tuple[int, int, int, str]]:
        return -self.ops[self.kept[failure.case.id]], _size(failure)

    @property
    def extent(self) -> str:
        """Where it is seen, in words: the ops, unless there is only the one that a sentence names, the dtypes, how often."""
        ops = "" if len(self.ops) < 2 else f"{listed(list(self.ops), MOST_OPS)}; "
        return f"{ops}{', '.join(self.dtypes)}; {self.seen} program{'' if self.seen == 1 else 's'}"


def _way(failure: FailureRecord) -> tuple[str, str]:
    return failure.verdict, failure.instead or ""


def _size(failure: FailureRecord) -> tuple[int, int, int, str]:
    """How much there is to read: steps, elements, and a dtype that is not NumPy's own."""
    if not isinstance(failure.case, Case):
        return len(failure.case.lines), 0, 0, failure.case.id
    program = failure.case.question.program
    elements = sum(i.data.size for i in program.inputs)
    return len(program.steps), elements, int(failure.dtype != "float64"), failure.case.id
