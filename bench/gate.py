"""A performance gate: it fires only for a slowdown that is certainly beyond the limit, each time that it is measured.

One measurement is not enough, however narrow its interval: a process may be unlucky for as long as it lives, in its memory
layout or in the other load on the machine. So each case whose interval lies beyond the limit is measured again in fresh
processes, and only a case that lies beyond it every time is a regression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from .timing import Comparison

__all__ = ["REPEATS", "GateOutcome", "decide"]

#: How many times a suspect is measured again.
REPEATS = 2

Key = TypeVar("Key")


@dataclass(frozen=True)
class GateOutcome:
    """The outcome of a gate for one case: every measurement of it, in order."""

    measured: tuple[Comparison, ...]
    beyond: float

    @property
    def regression(self) -> bool:
        """Whether the ratio was beyond the limit every time, and often enough."""
        return len(self.measured) > REPEATS and all(c.low > self.beyond for c in self.measured)

    @property
    def comparison(self) -> Comparison:
        """The measurement that is most favourable to the first side: a slowdown that persists is at least this one."""
        return min(self.measured, key=lambda c: c.low)


def decide(
    cases: Iterable[Key], measure: Callable[[Key, int], Comparison | None], beyond: float
) -> Iterator[tuple[Key, GateOutcome]]:
    """Measure all cases, and the suspects among them again; yields the outcome of each as soon as it is decided.

    Parameters
    ----------
    cases : iterable
    measure : callable
        ``measure(case, attempt)``: attempt 0 is the first, and each attempt is made in processes of its own. None where
        the case cannot be measured, which is no regression.
    beyond : float
        The ratio that is still allowed.
    """
    suspects: list[tuple[Key, tuple[Comparison, ...]]] = []
    for case in cases:
        first = measure(case, 0)
        if first is None:
            continue
        if first.low > beyond:
            suspects.append((case, (first,)))
        else:
            yield case, GateOutcome((first,), beyond)
    for attempt in range(1, REPEATS + 1):
        before, suspects = suspects, []
        for case, measured in before:
            again = measure(case, attempt)
            measured = measured if again is None else (*measured, again)
            if again is not None and again.low > beyond and attempt < REPEATS:
                suspects.append((case, measured))
            else:
                yield case, GateOutcome(measured, beyond)
