"""Dual floats: a float and its derivative along one direction, each rounded in the float's own dtype.

With them the reference computes forward over reverse in float arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb, arb_series

from .context import extra_bits

__all__ = ["Dual", "dual_function"]

#: Precision at which the slope of an elementary function is found before it is rounded.
SLOPE_BITS = 128


class Dual:
    """A float and its derivative.

    Parameters
    ----------
    value, slope : float
        NumPy or Python floats.

    Examples
    --------
    >>> import numpy as np
    >>> x = Dual(np.float32(3.0), np.float32(1.0))
    >>> (x * x + 1).value, (x * x + 1).slope
    (np.float32(10.0), np.float32(6.0))
    """

    __slots__ = ("slope", "value")

    def __init__(self, value: Any, slope: Any = 0.0) -> None:
        self.value, self.slope = value, slope

    def __repr__(self) -> str:
        return f"Dual({self.value!r}, {self.slope!r})"

    def __float__(self) -> float:
        return float(self.value)

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slope)

    def __pos__(self) -> Dual:
        return self

    def __add__(self, other: Any) -> Dual:
        other = _dual(other)
        return Dual(self.value + other.value, self.slope + other.slope)

    def __sub__(self, other: Any) -> Dual:
        return self + -_dual(other)

    def __mul__(self, other: Any) -> Dual:
        other = _dual(other)
        return Dual(self.value * other.value, self.slope * other.value + self.value * other.slope)

    def __truediv__(self, other: Any) -> Dual:
        other = _dual(other)
        value = self.value / other.value
        if np.isinf(other.value):  # the divisor has overflowed: the quotient is 0, and stays so
            return Dual(value, 0 * value)
        return Dual(value, (self.slope - value * other.slope) / other.value)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Any) -> Dual:
        return _dual(other) - self

    def __rtruediv__(self, other: Any) -> Dual:
        return _dual(other) / self


def _dual(x: Any) -> Dual:
    return x if isinstance(x, Dual) else Dual(x)


def dual_function(floats: Callable[..., Any], series: Callable[..., Any]) -> Callable[..., Dual]:
    """A function of duals from its versions on floats and on Taylor series: its slope is the series', rounded.

    Parameters
    ----------
    floats, series : callable
        Of the same operands, as NumPy floats and as ``arb_series``.
    """

    def on_duals(*operands: Any) -> Dual:
        xs = [_dual(x) for x in operands]
        value = floats(*(x.value for x in xs))
        slope = 0.0 * value
        for k, x in enumerate(xs):
            if x.slope:
                with extra_bits(SLOPE_BITS):
                    lifted = [arb_series([arb(float(z.value)), arb(int(j == k))]) for j, z in enumerate(xs)]
                    try:
                        along = float(series(*lifted)[1])
                    except (ValueError, ZeroDivisionError):  # no power series: a pole, or a branch point
                        along = float("nan")
                slope += type(value)(along) * x.slope
        return Dual(value, slope)

    return on_duals
