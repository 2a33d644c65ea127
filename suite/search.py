"""The one search: draw, judge, record; a new failure is shrunk and recorded at its smallest, and the search continues.

A `Subject` is searched: programs, or scripts of tensors. Each round is one Hypothesis run. A new failure is raised within it,
so that Hypothesis shrinks it; the next round looks for others with the remaining examples.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from hypothesis.errors import Flaky

from ..backends import OutOfTime
from ..records.models import Record

__all__ = ["DEATH", "HANG", "Emit", "Subject", "search"]

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

#: Kinds of failures that are shrunk and recorded of one subject; later ones are only counted.
MOST_FAILURES = 12
#: A subject is asked no more once its new failures have cost as much as three questions that hang.
HANG, DEATH = 20, 1
MOST_SPENT = 3 * HANG
#: Takes every record as it comes.
Emit = Callable[[Record], None]


class Subject(Protocol[Item, Outcome]):
    """Things that can be drawn, judged and recorded."""

    def draw(self, seed: int, examples: int, ask: Callable[[Item], None], /) -> None:
        """Draw some examples from a seed, and ask each; Hypothesis shrinks one for which `ask` raises."""
        ...

    def examine(self, item: Item, number: int | None, /) -> Outcome:
        """Judge an example; `number` counts those before it, and is None for one that is only tried in shrinking."""
        ...

    def signature(self, outcome: Outcome, /) -> Hashable | None:
        """Equal for new failures that count as the same; None for everything else."""
        ...

    def records(self, outcome: Outcome, number: int, /) -> Iterable[Record]:
        """The records of an outcome."""
        ...

    def cost(self, outcome: Outcome, /) -> int:
        """What it costs to ask such a question again: 0 but for one that is too dear to be shrunk by asking hundreds."""
        ...

    def failure(self, smallest: Outcome, signature: Hashable, number: int, /) -> Record:
        """The record of a new failure, made smaller still where that can be done."""
        ...


class _NewFailure(AssertionError):
    """Raised inside Hypothesis so that it shrinks."""


class _Round(Generic[Item, Outcome]):
    """One Hypothesis run: examples are recorded until one fails in a new way; then others like it are looked for.

    Parameters
    ----------
    subject : Subject
    seen : set
        Signatures of the failures that are recorded already.
    asked : int
        Examples that were asked in the rounds before.
    most : int
        Examples that may be asked in this one.
    emit : Emit
    deadline : float
        The time after which no more is asked.
    """

    def __init__(
        self, subject: Subject[Item, Outcome], seen: set[Hashable], asked: int, most: int, emit: Emit, deadline: float
    ) -> None:
        self.subject, self.seen, self.emit, self.deadline = subject, seen, emit, deadline
        self.asked, self.last = asked, asked + most
        self.spent = 0
        self.signature: Hashable | None = None
        self.smallest: Outcome | None = None

    def ask(self, item: Item) -> None:
        """Judge and record an example; once a new failure is known, only keep examples that fail like it."""
        if time.time() >= self.deadline:
            return
        if self.signature is not None:
            outcome = self.subject.examine(item, None)
            if self.subject.signature(outcome) == self.signature:
                self.smallest = outcome
                raise _NewFailure(self.signature)
            return
        if self.asked >= self.last:
            return
        outcome = self.subject.examine(item, self.asked)
        self.asked += 1
        for record in self.subject.records(outcome, self.asked):
            self.emit(record)
        signature = self.subject.signature(outcome)
        if signature is None:
            return
        cost = self.subject.cost(outcome)
        self.spent += cost
        if self.spent >= MOST_SPENT:
            self.last = self.asked
        if signature in self.seen or len(self.seen) >= MOST_FAILURES:
            return
        if cost:
            self.seen.add(signature)
            self.emit(self.subject.failure(outcome, signature, self.asked))
        else:
            self.signature, self.smallest = signature, outcome
            raise _NewFailure(signature)


def search(subject: Subject[Item, Outcome], examples: int, seed: int, emit: Emit, deadline: float = float("inf")) -> bool:
    """Ask a number of examples, record every outcome, and shrink every new failure.

    Parameters
    ----------
    subject : Subject
    examples : int
    seed : int
        For the first round; each further round draws from the next seed.
    emit : Emit
    deadline : float
        The time after which no more is asked.

    Returns
    -------
    bool
        Whether everything was asked before that, and questions did not hang again and again.
    """
    asked, seen, given_up = 0, set[Hashable](), False
    while asked < examples and time.time() < deadline:
        current = _Round(subject, seen, asked, examples - asked, emit, deadline)
        with suppress(_NewFailure, Flaky, OutOfTime):
            subject.draw(seed + len(seen), examples - asked, current.ask)
        given_up = current.spent >= MOST_SPENT
        asked = examples if given_up else current.asked
        if current.smallest is None or current.signature is None:
            break
        seen.add(current.signature)
        emit(subject.failure(current.smallest, current.signature, asked))
    return not given_up and (asked >= examples or time.time() < deadline)
