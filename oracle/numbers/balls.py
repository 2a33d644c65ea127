"""Arrays of balls and of Taylor series: in from floats, and out again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from flint import arb, arb_series

from ..dtypes import is_float
from .context import GUARD_BITS, arithmetic
from .dual import Dual

__all__ = [
    "Balls", "all_finite", "boxed", "coefficient", "coefficients", "either_slope", "finite", "is_boundless",
    "is_object", "lift", "lift_duals", "lift_series", "ln10", "ln2", "pi", "slope", "to_float", "underflown", "zero",
    "zero_like", "zeros",
]  # fmt: skip


class Balls(np.ndarray):
    """An object array of balls or series whose 0-d results stay arrays, and whose results underflow where that is modelled.

    Arrays of more dimensions are plain ones unless underflow is modelled: the class costs as much as the arithmetic.
    """

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        if array.dtype != object:
            return array
        return boxed(underflown(array) if arithmetic().underflow else array)


def underflown(array: np.ndarray, times: int = 1) -> np.ndarray:
    """Results widened by the loss of `times` underflows each; exact zeros lose nothing."""
    ball = arb(0, times * arithmetic().underflow)

    def widened(b: Any) -> Any:
        if isinstance(b, arb_series):
            return arb_series([c if c == 0 else c + ball for c in b])
        return b if b == 0 else b + ball

    flat = np.asarray(array).reshape(-1)  # NumPy would open a lone series as a sequence
    return np.asarray(np.frompyfunc(widened, 1, 1)(flat), dtype=object).reshape(array.shape)


_to_arb = np.frompyfunc(arb, 1, 1)
_to_constant_dual = np.frompyfunc(Dual, 1, 1)
_to_dual = np.frompyfunc(Dual, 2, 1)
_dual_slope = np.frompyfunc(lambda x: x.slope, 1, 1)
_to_constant_series = np.frompyfunc(lambda x: arb_series([arb(x)]), 1, 1)


def boxed(x: Any) -> Any:
    """A ball, a series or an object array as `Balls`."""
    if isinstance(x, np.ndarray):
        if x.ndim and not arithmetic().underflow:
            return x if type(x) is np.ndarray else x.view(np.ndarray)
        return x.view(Balls)
    out = np.empty((), object)
    out[()] = x
    return out.view(Balls)


def lift(array: np.ndarray) -> Any:
    """Floats, integers or booleans as exact balls (a float is an exact dyadic number)."""
    if not array.size:
        return np.empty(array.shape, object)
    if arithmetic().dual:
        return boxed(_to_constant_dual(array))
    plain = array.astype(np.float64) if is_float(array.dtype) else array.astype(np.int64)
    if not arithmetic().series and (plain == plain.item(0)).all():  # balls never change, so one will do
        return boxed(np.full(plain.shape, arb(plain.item(0)), object))
    return boxed((_to_constant_series if arithmetic().series else _to_arb)(plain))


def lift_duals(array: np.ndarray, direction: np.ndarray | None) -> Any:
    """``array + direction * t`` as dual floats in the array's dtype."""
    if direction is None or not array.size:
        return lift(array)
    return boxed(_to_dual(array, direction.astype(array.dtype)))


def slope(x: Any) -> np.ndarray:
    """The derivatives of dual floats, in float64."""
    return np.asarray(_dual_slope(np.asarray(x)), dtype=np.float64)


def lift_series(array: np.ndarray, direction: np.ndarray | None) -> Any:
    """``array + direction * t`` as Taylor series in t.

    At working precision the direction is off by as much as a primitive may be: flint adds products without rounding them
    first, and so hides what an honest product rule loses where its terms cancel.
    """
    if direction is None or not array.size:
        return lift(array)
    slopes = np.asarray(_to_arb(direction.astype(np.float64)))
    if arithmetic().unit:
        slopes = slopes * arb(1, 2.0 ** (1 + GUARD_BITS) * arithmetic().unit)
    return boxed(_to_series(array.astype(np.float64), slopes))


def coefficient(x: Any, order: int) -> arb:
    """A Taylor coefficient of a series, or of a ball as a constant series."""
    return x[order] if isinstance(x, arb_series) else x if order == 0 else arb(0)


_coefficients = [np.frompyfunc(lambda x, order=order: coefficient(x, order), 1, 1) for order in (0, 1)]


def coefficients(series: Any, order: int) -> Any:
    """The coefficients of an array of series, as balls: their constant terms (0), or their slopes (1)."""
    return boxed(np.asarray(_coefficients[order](np.asarray(series)), dtype=object))


_either_slope = np.frompyfunc(lambda x, slope: arb_series([coefficient(x, 0), coefficient(x, 1).union(slope)]), 2, 1)


def either_slope(series: Any, slopes: Any) -> Any:
    """Series whose slopes may be their own, or others, or anything between."""
    return boxed(_either_slope(np.asarray(series), np.asarray(slopes)))


_constant_term = np.frompyfunc(lambda x: coefficient(x, 0), 1, 1)
_to_series = np.frompyfunc(lambda x, v: arb_series([arb(x), v]), 2, 1)


def is_object(x: Any) -> bool:
    """Whether `x` holds balls or series."""
    return isinstance(x, np.ndarray) and x.dtype.kind == "O"


def is_boundless(x: Any) -> bool:
    """Whether `x` holds balls or series, which neither overflow nor underflow as floats do."""
    return is_object(x) and not arithmetic().dual


_ball_is_finite = np.frompyfunc(arb.is_finite, 1, 1)
_series_is_finite = np.frompyfunc(lambda x: x.is_finite() if isinstance(x, arb) else all(c.is_finite() for c in x), 1, 1)
_dual_is_finite = np.frompyfunc(lambda x: np.isfinite(x.value) and np.isfinite(x.slope), 1, 1)
_dual_is_zero = np.frompyfunc(lambda x: x.value == 0 and x.slope == 0, 1, 1)
_is_zero = np.frompyfunc(lambda x: x == 0 if isinstance(x, arb) else all(c == 0 for c in x), 1, 1)


def finite(x: Balls) -> np.ndarray:
    """Where a ball (every coefficient of a series, both parts of a dual) is finite."""
    mode = arithmetic()
    is_finite = _dual_is_finite if mode.dual else _series_is_finite if mode.series else _ball_is_finite
    return np.asarray(is_finite(np.asarray(x)), dtype=bool)


def all_finite(x: Balls) -> bool:
    """Whether every ball is finite."""
    return all(map(arb.is_finite, np.asarray(x).reshape(-1).tolist()))


def zero(x: Balls) -> np.ndarray:
    """Where a ball (every coefficient of a series, both parts of a dual) is exactly zero."""
    return np.asarray((_dual_is_zero if arithmetic().dual else _is_zero)(np.asarray(x)), dtype=bool)


def to_float(x: Any) -> np.ndarray:
    """Midpoints as float64; of series, their constant terms'."""
    return np.asarray(_constant_term(np.asarray(x)) if arithmetic().series else x, dtype=object).astype(np.float64)


def zeros(shape: Any, like: Any) -> Any:
    """Zeros, for use beside `like`."""
    return lift(np.zeros(shape)) if is_object(like) else np.zeros(shape, like.dtype)


def zero_like(x: Any) -> Any:
    """Exact zeros in the shape of `x`."""
    return boxed(np.full(np.shape(x), Dual(0.0) if arithmetic().dual else arb(0), object))


def pi(like: Any) -> Any:
    """The number pi, for use beside `like`."""
    return arb.pi() if is_object(like) and not arithmetic().dual else np.pi


def ln2(like: Any) -> Any:
    """log(2), for use beside `like`."""
    return arb.const_log2() if is_object(like) and not arithmetic().dual else math.log(2)


def ln10(like: Any) -> Any:
    """log(10), for use beside `like`."""
    return arb.const_log10() if is_object(like) and not arithmetic().dual else math.log(10)
