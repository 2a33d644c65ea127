"""Change points: where a series of timings takes a step that is more than chance, given as a ratio with an interval.

The logarithms of the runs just before a place and of those from there on are compared by Student's t-test. Many places in many
series are looked at, so that chance will strike somewhere: within a series the number of places counts (Bonferroni), and over
all series the share of the steps that are expected to be chance is held below `CHANCE` (Benjamini and Hochberg, 1995). How
timings scatter is not known; on noise far from normal (heavy tails, two levels, spikes) nothing is promised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..oracle.dtypes import FLOATS

__all__ = ["CHANCE", "LEAST", "ChangePoint", "change_points"]

#: The share of the reported steps that may be expected to be chance.
CHANCE = 0.05
#: A step has at least `LEAST` runs on either side, and is judged by at most so many: few, to see two steps close to each other,
#: and many, to see a small one.
LEAST, REACHES = 3, (8, 24)
#: The least variance of timings: the square of a double's resolution of a logarithm.
SMALLEST = FLOATS["float64"].ulp ** 2


@dataclass(frozen=True)
class ChangePoint:
    """From the value at index `at` on, values are `ratio` times as large (95 % interval `low` to `high`)."""

    at: int
    ratio: float
    low: float
    high: float
    chance: float


def change_points(many: Sequence[Sequence[float]]) -> list[list[ChangePoint]]:
    """The steps of each of some series of positive numbers, oldest first.

    Parameters
    ----------
    many : sequence of sequence of float
        Of any lengths; what has fewer than twice `LEAST` values has no steps.

    Examples
    --------
    >>> quiet = [1.0, 1.02, 0.99, 1.01, 0.98, 1.03, 0.97, 1.015]
    >>> [(s.at, round(s.ratio, 2)) for s in change_points([quiet + [1.3 * x for x in quiet]])[0]]
    [(8, 1.3)]
    """
    from scipy.stats import false_discovery_control  # more than half a second, which other commands need not wait for

    logs = [np.log(np.asarray(one, float)) for one in many]
    firsts = [_likeliest(one, 0, len(one)) for one in logs]
    chances = [first.chance for first in firsts if first is not None]
    if not chances:
        return [[] for _ in many]
    most = max((c for c, q in zip(chances, false_discovery_control(chances), strict=True) if q <= CHANCE), default=-1.0)
    return [list(_all(one, 0, len(one), most)) for one in logs]


def _all(logs: np.ndarray, begin: int, end: int, most: float) -> Iterator[ChangePoint]:
    """The likeliest step between two indices, and those on either side of it, down to a chance."""
    step = _likeliest(logs, begin, end)
    if step is not None and step.chance <= most:
        yield from _all(logs, begin, step.at, most)
        yield step
        yield from _all(logs, step.at, end, most)


def _likeliest(logs: np.ndarray, begin: int, end: int) -> ChangePoint | None:
    """The place between two indices where both sides differ most, with the chance that some place differs as much by chance."""
    from scipy.special import stdtr, stdtrit

    windows = {
        (max(begin, at - reach), at, min(end, at + reach))
        for at in range(begin + LEAST, end - LEAST + 1)
        for reach in REACHES
    }  # fmt: skip
    if not windows:
        return None
    low, at, high = np.array(sorted(windows)).T
    difference, error, freedom = _student(logs, low, at, high)
    chances = 2 * stdtr(freedom, -abs(difference / error))
    best = int(np.argmin(chances))
    chance = min(1.0, len(windows) * float(chances[best]))
    low, at, high = low[best], _sharpened(logs, int(low[best]), int(high[best])), high[best]
    difference, error, freedom = _student(logs, low, at, high)
    reach = stdtrit(freedom, 0.975) * error
    ratio, below, above = np.exp([difference, difference - reach, difference + reach])
    return ChangePoint(int(at), float(ratio), float(below), float(above), chance)


def _student(logs: np.ndarray, low: Any, at: Any, high: Any) -> tuple[Any, Any, Any]:
    """How much the mean of [at, high) is above that of [low, at), its standard error, and the degrees of freedom."""
    sums, squares = (np.append(0.0, np.cumsum((logs - logs.mean()) ** power)) for power in (1, 2))
    n, m = at - low, high - at
    before, after = (sums[at] - sums[low]) / n, (sums[high] - sums[at]) / m
    within = squares[high] - squares[low] - n * before**2 - m * after**2
    freedom = n + m - 2
    return after - before, np.sqrt(np.maximum(within, SMALLEST) / freedom * (1 / n + 1 / m)), freedom


def _sharpened(logs: np.ndarray, low: int, high: int) -> int:
    """The place between two indices where two levels fit best, by the absolute deviations from the median of either side."""

    def misfit(at: int) -> float:
        return sum(float(np.abs(side - np.median(side)).sum()) for side in (logs[low:at], logs[at:high]))

    return min(range(low + 2, high - 1), key=misfit)
