"""Domains: where an op is defined and smooth, written as text, and tested on live values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np

__all__ = ["SAFE", "Domain"]

#: How close a computed number may come to a singular point, so that slopes there stay finite.
SAFE = 1 / 64
#: Larger angles are left out: rounding one once moves the result too far to say anything about it.
_WIDEST_ANGLE = 1e4

_INTERVAL = re.compile(r"([\[(])(\S+), (\S+)([\])])")
_WAVES = {"sin": np.sin, "cos": np.cos}


@dataclass(frozen=True)
class Domain:
    """A set of real numbers.

    Parameters
    ----------
    text : str
        Intervals joined by "or". A round bracket at a finite end means that the end is singular, and that numbers keep a
        distance from it. "sin != 0" and "cos != 0" keep a distance from poles. "integers" before an interval, and
        "booleans", are for operands that have no gradient.

    Examples
    --------
    >>> Domain("[-4, -1) or (1, inf)").contains([-2.5, 3.0])
    True
    >>> Domain("(0, inf)").inside([0.5, 0.0, -1.0]).tolist()
    [True, False, False]
    """

    text: str

    def __post_init__(self) -> None:
        """Refuse a text that is no domain."""
        if not (_intervals(self.text) or self.text == "booleans" or self.text.endswith(" != 0")):
            raise ValueError(
                f"domain {self.text!r} is no interval such as '(0, inf)', nor 'sin != 0', 'cos != 0' or 'booleans'"
            )

    @property
    def whole(self) -> bool:
        """Whether it holds only integers or booleans, for an operand without a gradient."""
        return self.text.startswith(("integers", "booleans"))

    def inside(self, x: object, margin: float = 1e-9) -> np.ndarray:
        """Where `x` is in the domain, and at least `margin` away from its singular ends."""
        at = np.asarray(x, np.float64)
        if self.text == "booleans":
            return np.asarray((at == 0) | (at == 1))
        wave, _, pole = self.text.partition(" != ")
        if pole:
            return np.asarray((np.abs(at) <= _WIDEST_ANGLE) & (np.abs(_WAVES[wave](at)) > 4 * margin))
        inside = np.zeros(at.shape, bool)
        for low, high, low_gap, high_gap in _intervals(self.text):
            inside |= (at >= low + low_gap * margin) & (at <= high - high_gap * margin)
        return inside & (at == np.floor(at)) if self.whole else inside & np.isfinite(at)

    def contains(self, x: object, margin: float = 1e-9) -> bool:
        """Whether all of `x` is inside, in the sense of `inside`."""
        return bool(self.inside(x, margin).all())

    def numbers(self, grid: int, span: int) -> np.ndarray:
        """The multiples of 1/grid in the domain, from -span to span, as integers to be divided by `grid`."""
        return _numbers(self, grid, span)


@cache
def _intervals(text: str) -> tuple[tuple[float, float, int, int], ...]:
    return tuple(
        (float(low), float(high), int(left == "(" and low != "-inf"), int(right == ")" and high != "inf"))
        for left, low, high, right in _INTERVAL.findall(text)
    )


@cache
def _numbers(domain: Domain, grid: int, span: int) -> np.ndarray:
    for reach in (span, 10, 100, 1000):
        steps = np.arange(-reach * grid, reach * grid + 1)
        inside: np.ndarray = steps[domain.inside(steps / grid, SAFE)]
        if inside.size:
            return inside
    raise ValueError(f"domain {domain.text!r} holds no multiple of 1/{grid} between -1000 and 1000")
