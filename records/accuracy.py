"""The accuracy of an op's gradients over a run, in bins: what it keeps does not grow with the number of outcomes."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from .models import AccuracyRecord

__all__ = ["AccuracyStats"]

#: Bins of `AccuracyStats`: per octave of an error, per decade of an operand, and the most on either side of zero.
PER_OCTAVE, PER_DECADE, MOST_PLACES = 4, 6, 48


@dataclass
class AccuracyStats:
    """The accuracy of the gradients of one op in one dtype; what it keeps does not grow with the number of outcomes.

    Parameters
    ----------
    worst : float
        The largest error of a gradient element that comes from the right formula, in units in the last place.
    at : tuple of float
        The operands there, where they are on record.
    sharpest : float
        The smallest relative error that some question would have seen for certain.
    errors, floors : Counter
        Questions by the logarithm of their median error, and of the relative error that they would have seen.
    places : dict
        For a bin of the operand's size its worst point: operand and error.
    """

    worst: float = 0.0
    at: tuple[float, ...] = ()
    sharpest: float = math.inf
    errors: Counter[int] = field(default_factory=Counter)
    floors: Counter[int] = field(default_factory=Counter)
    places: dict[int, tuple[float, float]] = field(default_factory=dict)

    def add(self, accuracy: AccuracyRecord) -> None:
        """Count one answer's accuracy."""
        if accuracy.worst > self.worst or (accuracy.worst == self.worst and not self.at):
            self.worst, self.at = accuracy.worst, accuracy.at or ()
        self.sharpest = min(self.sharpest, accuracy.floor)
        self.errors[_bin(accuracy.median)] += 1
        self.floors[_bin(accuracy.floor)] += 1
        for x, error in accuracy.points or ():
            if math.isnan(x):
                continue
            bin_ = round(math.copysign(min(PER_DECADE * math.log10(1 + abs(x) * 100), MOST_PLACES), x))
            if error >= self.places.get(bin_, (0.0, 0.0))[1]:
                self.places[bin_] = (x, error)

    @property
    def questions(self) -> int:
        """How many answers are counted."""
        return self.errors.total()

    @property
    def median(self) -> float:
        """The median of the questions' median errors, to an eighth of an octave."""
        return _median(self.errors)

    @property
    def floor(self) -> float:
        """The relative error that half of the questions would have seen for certain, to an eighth of an octave."""
        return _median(self.floors)

    @property
    def bits_lost(self) -> float:
        """log2 of the worst error in units in the last place."""
        return math.log2(self.worst) if 1 < self.worst < math.inf else 0.0


#: The bin of zero: below every other.
NOTHING = -(10**6)


def _bin(number: float) -> int:
    return round(PER_OCTAVE * math.log2(number)) if 0 < number < math.inf else NOTHING if number <= 0 else 10**6


def _median(bins: Counter[int]) -> float:
    middle = bins.total() / 2
    for bin_ in sorted(bins):
        middle -= bins[bin_]
        if middle <= 0:
            return 0.0 if bin_ == NOTHING else math.inf if bin_ == 10**6 else 2.0 ** (bin_ / PER_OCTAVE)
    return math.nan
