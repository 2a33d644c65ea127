"""The numbers the reference runs on: floats, balls, or Taylor series of balls, behind one set of functions.

Every function here takes float arrays (and is then NumPy's own) or `Balls`: object arrays of ``arb`` (a ball: midpoint and
radius) or ``arb_series`` (a truncated Taylor series with ball coefficients). What the elements are, and how precisely they
are computed, is decided by the context managers `exact`, `working` and `taylor`; nothing else touches flint's precision.

``working`` is what the allowance rests on: ball arithmetic with the precision of a float dtype, less `GUARD_BITS`. Each
primitive result then carries a radius of at least one unit in its last kept place.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import flint
import numpy as np
from flint import arb, arb_mat, arb_series

from .contraction import Products, as_products

__all__ = ["GUARD_BITS", "Balls", "Branches", "Undecided", "exact", "lift", "taylor", "working"]

#: How many bits of a dtype's significand the allowance gives up: a primitive may be off by 2**GUARD_BITS units in the last
#: place. The one constant of the allowance. Intel's SVML, which NumPy uses, promises 4 ulp; `tests/benchmarks/test_libm.py`
#: measures the worst of 21 NumPy functions at 1.1 ulp in float64 and 2.5 ulp in float32. Beyond the guard an answer is
#: lossy, and where no rounding explains it, wrong: JAX's log1p is off by up to 128 ulp.
GUARD_BITS = 2

#: How much more precise than its result a primitive of series is computed inside.
SERIES_BITS = 256

#: Significand bits of the float dtypes, the hidden one included.
SIGNIFICAND = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}


class Undecided(ArithmeticError):
    """A comparison that balls of this precision cannot decide."""


class Balls(np.ndarray):
    """An object array of balls or series whose 0-d results stay arrays, and whose results underflow where that is modelled.

    Arrays of more dimensions are plain ones unless underflow is modelled: the class costs as much as the arithmetic.
    """

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        if array.dtype != object:
            return array
        return boxed(_underflown(array) if _mode.loss else array)


@dataclass
class Branches:
    """The choices that a run makes where it compares.

    ``decided`` remembers, for each place in the program, the outcomes found at high precision; a run at working precision
    looks them up, and notes in ``doubtful`` that its own balls would not have decided. ``script`` says which branch to take
    at each exact tie, in order; ``ties`` lists the number of branches at each tie met.
    """

    script: Sequence[int] = ()
    decided: dict[Any, list[np.ndarray]] = field(default_factory=dict)
    ties: list[int] = field(default_factory=list)
    doubtful: bool = False
    replaying: bool = False
    place: Any = None
    chosen: dict[Any, int] = field(default_factory=dict)
    _count: int = 0

    def at(self, place: Any) -> None:
        """Say which part of the program runs now."""
        self.place, self._count = place, 0

    def choose(self, where: Any, branches: int) -> int:
        """The branch to take at a tie: the same one for all operands of a step, whose rules compare in the same order."""
        key = (self.place[0] if self.place else None, self._count, where)
        if key not in self.chosen:
            number = len(self.ties)
            self.ties.append(branches)
            self.chosen[key] = self.script[number] if number < len(self.script) else 0
        return self.chosen[key]

    def next_key(self) -> Any:
        """Name the next comparison."""
        self._count += 1
        return (self.place, self._count)


#: Matrices that are known already, each by the identity of its array, which stays alive beside it.
Matrices = dict[int, tuple[Any, arb_mat]]


@dataclass
class _Mode:
    series: bool = False
    unit: float = 0.0  # unit roundoff of the dtype that is modelled; 0 where balls only enclose
    loss: float = 0.0  # what every result may lose absolutely, by underflow
    flush: bool = False  # whether operands lose as much
    branches: Branches = field(default_factory=Branches)
    matrices: Matrices | None = None


_mode = _Mode()


def _underflown(array: np.ndarray, times: int = 1) -> np.ndarray:
    """Results with what they may lose by so many underflows each; exact zeros lose nothing."""
    ball = arb(0, times * _mode.loss)

    def widened(b: Any) -> Any:
        if isinstance(b, arb_series):
            return arb_series([c if c == 0 else c + ball for c in b])
        return b if b == 0 else b + ball

    flat = np.asarray(array).reshape(-1)  # NumPy would open a lone series as a sequence
    return np.asarray(np.frompyfunc(widened, 1, 1)(flat), dtype=object).reshape(array.shape)


class _set:
    """Context: flint's precision, its series' length, and the mode, for as long as it lasts."""

    def __init__(self, bits: int, mode: _Mode, order: int | None = None) -> None:
        self.bits, self.mode, self.order = bits, mode, order

    def __enter__(self) -> Branches:
        global _mode
        self.before = _mode, flint.ctx.prec, flint.ctx.cap
        _mode, flint.ctx.prec = self.mode, self.bits
        if _mode.matrices is None:
            _mode.matrices = {}
        if self.order is not None:
            flint.ctx.cap = self.order
        return self.mode.branches

    def __exit__(self, *problem: object) -> None:
        global _mode
        _mode, flint.ctx.prec, flint.ctx.cap = self.before


def exact(bits: int, branches: Branches | None = None, matrices: Matrices | None = None) -> Any:
    """Context: balls of `bits` bits, which enclose the exact result; runs on the same inputs may share `matrices`."""
    return _set(bits, _Mode(branches=branches or Branches(), matrices=matrices))


def working(
    dtype: Any,
    branches: Branches | None = None,
    unit: float | None = None,
    loss: float = 0.0,
    flush: bool = False,
    order: int | None = None,
    matrices: Matrices | None = None,
) -> Any:
    """Context: balls that enclose every honest computation in `dtype`.

    Parameters
    ----------
    dtype : dtype
        float64, float32 or float16.
    branches : Branches, optional
        Outcomes of comparisons at high precision, to be replayed.
    unit : float, optional
        Unit roundoff to assume instead of the dtype's own, for a backend with declared approximate kernels.
    loss : float
        What every result may lose absolutely by underflow; 0 where all numbers are far from it.
    flush : bool
        Whether operands lose as much, too: then comparisons of numbers that close are doubtful.
    order : int, optional
        With it the context is of Taylor series of so many coefficients, which are such balls.
    matrices : dict, optional
        Shared with other runs on the same inputs.
    """
    bits = significand(dtype) if unit is None else max(3, round(-math.log2(unit)))
    chosen = branches or Branches()
    chosen.replaying = branches is not None
    mode = _Mode(order is not None, 2.0**-bits, loss, flush, chosen, matrices)
    return _set(max(2, bits - GUARD_BITS), mode, order)


def current_branches() -> Branches:
    """The choices of the context that holds."""
    return _mode.branches


def rounds() -> bool:
    """Whether the context that holds models the rounding of a dtype."""
    return _mode.unit > 0


def taylor(bits: int, order: int = 2, branches: Branches | None = None) -> Any:
    """Context: Taylor series of `order` coefficients, with ball coefficients of `bits` bits."""
    return _set(bits, _Mode(series=True, branches=branches or Branches()), order)


class extra_bits:
    """Context: intermediate results of a compound primitive, `bits` more precise than its result."""

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def __enter__(self) -> None:
        self.before = flint.ctx.prec
        flint.ctx.prec = self.before + self.bits

    def __exit__(self, *problem: object) -> None:
        flint.ctx.prec = self.before


@cache
def significand(dtype: Any) -> int:
    """Bits of a float dtype's significand, the hidden one included."""
    return SIGNIFICAND[np.dtype(dtype).name if not isinstance(dtype, str) else dtype]


# -- in and out ----------------------------------------------------------------------------------------------------------------

_to_arb = np.frompyfunc(arb, 1, 1)
_to_constant_series = np.frompyfunc(lambda x: arb_series([arb(x)]), 1, 1)


def boxed(x: Any) -> Any:
    """A ball, a series or an object array as `Balls`."""
    if isinstance(x, np.ndarray):
        if x.ndim and not _mode.loss:
            return x if type(x) is np.ndarray else x.view(np.ndarray)
        return x.view(Balls)
    out = np.empty((), object)
    out[()] = x
    return out.view(Balls)


def lift(array: np.ndarray) -> Any:
    """Floats, integers or booleans as exact balls (a float is an exact dyadic number)."""
    plain = array.astype(np.float64) if array.dtype.kind == "f" else array.astype(np.int64)
    if not array.size:
        return np.empty(array.shape, object)
    if not _mode.series and (plain == plain.item(0)).all():  # balls never change, so one will do
        return boxed(np.full(plain.shape, arb(plain.item(0)), object))
    return boxed((_to_constant_series if _mode.series else _to_arb)(plain))


def lift_series(array: np.ndarray, direction: np.ndarray | None) -> Any:
    """``array + direction * t`` as Taylor series in t.

    At working precision the direction is off by as much as a primitive may be: flint adds products without rounding them
    first, and so hides what an honest product rule loses where its terms cancel.
    """
    if direction is None or not array.size:
        return lift(array)
    slopes = _to_arb(direction.astype(np.float64))
    if _mode.unit:
        slopes = slopes * arb(1, 2.0 ** (1 + GUARD_BITS) * _mode.unit)
    return boxed(_to_series(array.astype(np.float64), slopes))


def coefficient(x: Any, order: int) -> arb:
    """A Taylor coefficient of a series, or of a ball as a constant series."""
    return x[order] if isinstance(x, arb_series) else x if order == 0 else arb(0)


_constant_term = np.frompyfunc(lambda x: coefficient(x, 0), 1, 1)
_to_series = np.frompyfunc(lambda x, v: arb_series([arb(x), v]), 2, 1)


def is_object(x: Any) -> bool:
    """Whether `x` holds balls or series."""
    return isinstance(x, np.ndarray) and x.dtype.kind == "O"


_ball_is_finite = np.frompyfunc(arb.is_finite, 1, 1)
_series_is_finite = np.frompyfunc(lambda x: all(c.is_finite() for c in x), 1, 1)
_is_zero = np.frompyfunc(lambda x: x == 0 if isinstance(x, arb) else all(c == 0 for c in x), 1, 1)


def finite(x: Balls) -> np.ndarray:
    """Where a ball (every coefficient of a series) is finite."""
    return np.asarray((_series_is_finite if _mode.series else _ball_is_finite)(np.asarray(x)), dtype=bool)


def all_finite(x: Balls) -> bool:
    """Whether every ball is finite."""
    return all(map(arb.is_finite, np.asarray(x).reshape(-1).tolist()))


def zero(x: Balls) -> np.ndarray:
    """Where a ball (every coefficient of a series) is exactly zero."""
    return np.asarray(_is_zero(np.asarray(x)), dtype=bool)


def to_float(x: Any) -> np.ndarray:
    """Midpoints as float64; of series, their constant terms'."""
    return np.asarray(_constant_term(np.asarray(x)) if _mode.series else x, dtype=object).astype(np.float64)


# -- elementary functions ------------------------------------------------------------------------------------------------------


def _as_series(x: Any) -> arb_series:
    return x if isinstance(x, arb_series) else arb_series([x])


def _rounded_series(function: Callable[..., Any], operands: list[Any]) -> arb_series:
    """A primitive's value and tangent, rounded: what flows in along each operand is its slope, rounded, times that tangent.

    Formulas for series cancel, and the operands' own radii would not cancel with them: so slopes are taken along exact ones.
    """
    value: arb | None = None
    slope = arb(0)
    for k, x in enumerate(operands):
        still = x[1] == 0
        if value is not None and still:
            continue
        with extra_bits(SERIES_BITS):
            out = function(*(arb_series([z[0], arb(int(j == k and not still))]) for j, z in enumerate(operands)))
        value = out[0] * 1
        slope += 0 if still else out[1] * 1 * x[1]
    return arb_series([value, slope])  # type: ignore[list-item]


def _kernel(floats: Callable[..., Any], balls: Any, series: Any, arity: int = 1) -> Callable[..., Any]:
    """One function of the field, from its float, ball and series versions."""
    # flint's methods trust their first argument to be of their own type, and crash the interpreter where it is not.
    on_balls = np.frompyfunc(balls, arity, 1)
    on_series = np.frompyfunc(lambda *xs: series(*map(_as_series, xs)), arity, 1)
    on_rounded_series = np.frompyfunc(lambda *xs: _rounded_series(series, [_as_series(x) for x in xs]), arity, 1)

    def kernel(*operands: Any) -> Any:
        if not any(map(is_object, operands)):
            return floats(*operands)
        if _mode.series:
            return boxed((on_rounded_series if _mode.unit else on_series)(*operands))
        if not _mode.unit:
            return boxed(on_balls(*operands))
        with extra_bits(32):  # so that only the result is rounded, as a good libm has it
            out = boxed(on_balls(*operands))
        return +out

    kernel.__name__ = floats.__name__
    kernel.__doc__ = f"NumPy's `{floats.__name__}`, on floats, balls or series."
    return kernel


def _odd(positive: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """An odd function on series from its values at positive arguments, where the textbook formula does not cancel."""
    return lambda s: -positive(-s) if s[0] < 0 else positive(s)


def _s_cbrt(s: Any) -> Any:
    return (s.log() / 3).exp()


def _b_cbrt(x: Any) -> Any:
    return -((-x).root(3)) if x < 0 else x.root(3)


def _s_sinc(s: Any) -> Any:
    if s[0] == 0:  # sin(pi x)/(pi x) = 1 - (pi x)**2/6 + O(x**4): exact in the orders that are kept
        return 1 - (arb.pi() * s) * (arb.pi() * s) / 6
    return s.sin_pi() / (arb.pi() * s)


def _s_atan2(y: Any, x: Any) -> Any:
    y, x = arb_series(y), arb_series(x)
    value = arb.atan2(y[0], x[0])
    slope = (y / x).atan() if abs(x[0]) > abs(y[0]) else -((x / y).atan())
    return slope - slope[0] + value


def _b_dsinc(x: Any) -> Any:
    """D sinc/dx at the midpoint, widened by the Lipschitz constant: |sinc''| <= pi**2/3."""
    at = x.mid()
    mantissa, exponent = at.man_exp()
    zeros = -int(exponent) - int(mantissa).bit_length()  # after the binary point
    if mantissa == 0 or zeros > flint.ctx.prec:
        # -pi**2 x/3 + pi**4 x**3/30 - ...: the signs alternate, and the terms fall
        slope = -(arb.pi() ** 2) * at / 3 + arb(0, (abs(at) ** 3 * arb.pi() ** 4 / 30).upper())
    else:
        with extra_bits(2 * max(0, zeros)):  # the difference loses that many
            slope = ((arb.pi() * at).cos() - at.sinc_pi()) / at
    return slope + arb(0, (x.rad() * (arb.pi() ** 2 / 3)).upper())


def _s_dsinc(s: Any) -> Any:
    if s[0] == 0:
        return -(arb.pi() ** 2) * s / 3
    return ((arb.pi() * s).cos() - _s_sinc(s)) / s


def _f_dsinc(x: Any) -> Any:
    at = np.asarray(x)
    z = np.pi * at
    with np.errstate(all="ignore"):
        far = (np.cos(z) - np.sinc(at)) / at
    near = -np.pi * z / 3 * (1 - z * z / 10 * (1 - z * z / 28 * (1 - z * z / 54)))
    return np.where(np.abs(z) < 0.2, near, far).astype(at.dtype)[()]


exp = _kernel(np.exp, arb.exp, arb_series.exp)
expm1 = _kernel(np.expm1, arb.expm1, lambda s: s.exp() - 1)
exp2 = _kernel(np.exp2, lambda x: (x * arb.const_log2()).exp(), lambda s: (s * arb.const_log2()).exp())
log = _kernel(np.log, arb.log, arb_series.log)
log1p = _kernel(np.log1p, arb.log1p, lambda s: (s + 1).log())
log2 = _kernel(np.log2, lambda x: x.log() / arb.const_log2(), lambda s: s.log() / arb.const_log2())
log10 = _kernel(np.log10, lambda x: x.log() / arb.const_log10(), lambda s: s.log() / arb.const_log10())
sin = _kernel(np.sin, arb.sin, arb_series.sin)
cos = _kernel(np.cos, arb.cos, arb_series.cos)
tan = _kernel(np.tan, arb.tan, arb_series.tan)
sinh = _kernel(np.sinh, arb.sinh, lambda s: (s.exp() - (-s).exp()) / 2)
cosh = _kernel(np.cosh, arb.cosh, lambda s: (s.exp() + (-s).exp()) / 2)
tanh = _kernel(np.tanh, arb.tanh, _odd(lambda s: 1 - 2 / ((2 * s).exp() + 1)))
arcsin = _kernel(np.arcsin, arb.asin, arb_series.asin)
arccos = _kernel(np.arccos, arb.acos, arb_series.acos)
arctan = _kernel(np.arctan, arb.atan, arb_series.atan)
arcsinh = _kernel(np.arcsinh, arb.asinh, _odd(lambda s: (s + (s * s + 1).sqrt()).log()))
arccosh = _kernel(np.arccosh, arb.acosh, lambda s: (s + ((s - 1).sqrt() * (s + 1).sqrt())).log())
arctanh = _kernel(np.arctanh, arb.atanh, lambda s: ((1 + s) / (1 - s)).log() / 2)
arctan2 = _kernel(np.arctan2, arb.atan2, _s_atan2, 2)
sqrt = _kernel(np.sqrt, arb.sqrt, arb_series.sqrt)
cbrt = _kernel(np.cbrt, _b_cbrt, _odd(_s_cbrt))
sinc = _kernel(np.sinc, arb.sinc_pi, _s_sinc)
sinc_derivative = _kernel(_f_dsinc, _b_dsinc, _s_dsinc)


def zeros(shape: Any, like: Any) -> Any:
    """Zeros, for use beside `like`."""
    return lift(np.zeros(shape)) if is_object(like) else np.zeros(shape, like.dtype)


def pi(like: Any) -> Any:
    """The number pi, for use beside `like`."""
    return arb.pi() if is_object(like) else np.pi


def ln2(like: Any) -> Any:
    """log(2), for use beside `like`."""
    return arb.const_log2() if is_object(like) else math.log(2)


def ln10(like: Any) -> Any:
    """log(10), for use beside `like`."""
    return arb.const_log10() if is_object(like) else math.log(10)


def absolute(x: Any) -> Any:
    """NumPy's `absolute`. On series the sign of the constant term decides, or of the slope where that is zero."""
    if is_object(x) and _mode.series:
        return x * where(less(x, _zero_like(x)), -1, 1)
    return np.absolute(x)


def _zero_like(x: Any) -> Any:
    return boxed(np.full(np.shape(x), arb(0), object))


def _b_power(x: Any, y: Any) -> Any:
    n = y.unique_fmpz() if y.is_exact() else None
    return x ** int(n) if n is not None else x**y


def _s_power(x: Any, y: Any) -> Any:
    x, y = arb_series(x), arb_series(y)
    if y[1] == 0 and y[0].is_exact():
        n = y[0].unique_fmpz()
        if n is not None:
            return _s_integer_power(x, int(n))
    return (x.log() * y).exp()


def _s_integer_power(x: Any, n: int) -> Any:
    return arb_series([1]) / _s_integer_power(x, -n) if n < 0 else x**n


power = _kernel(np.power, _b_power, _s_power, 2)


# -- comparisons ---------------------------------------------------------------------------------------------------------------


def _order(a: Any, b: Any) -> int:
    """-1, 0 or 1 as a is below, equal to or above b. Raises `Undecided` where the balls overlap."""
    if a < b:
        return -1
    if a > b:
        return 1
    if a == b:
        return 0
    raise Undecided


def _series_order(a: Any, b: Any) -> int:
    gap = arb_series(a) - arb_series(b)
    return _order(gap[0], arb(0)) or _order(gap[1], arb(0))


def _guess(a: Any, b: Any) -> int:
    if _mode.flush and a != b and (a - b).abs_lower() <= _mode.loss:
        _mode.branches.doubtful = True
    if not (a < b or a > b or a == b):
        _mode.branches.doubtful = True
    a, b = a.mid(), b.mid()
    return -1 if a < b else int(a > b)


def _series_guess(a: Any, b: Any) -> int:
    a, b = arb_series(a), arb_series(b)
    return _guess(a[0], b[0]) or _guess(a[1], b[1])


_ball_order = np.frompyfunc(_order, 2, 1)
_ball_guess = np.frompyfunc(_guess, 2, 1)
_taylor_order = np.frompyfunc(_series_order, 2, 1)
_taylor_guess = np.frompyfunc(_series_guess, 2, 1)


def compare(a: Any, b: Any) -> np.ndarray:
    """-1, 0 or 1, elementwise with broadcasting, as a is below, equal to or above b.

    The one place where balls are compared.

    Raises
    ------
    Undecided
        Where two balls overlap without being the same exact number. At working precision the outcome of the high-precision
        run is taken instead, and the run is noted as doubtful.
    """
    if not (is_object(a) or is_object(b)):
        return np.asarray(np.greater(a, b).astype(np.int8) - np.less(a, b).astype(np.int8))
    a, b = (x if is_object(x) else lift(np.asarray(x)) for x in (a, b))
    order, rough = (_taylor_order, _taylor_guess) if _mode.series else (_ball_order, _ball_guess)
    branches = _mode.branches
    key = branches.next_key()
    if branches.replaying:
        guess = np.asarray(rough(np.asarray(a), np.asarray(b)), dtype=np.int8)
        known = branches.decided.get(branches.place, [])
        number = key[1] - 1
        return known[number] if number < len(known) and known[number].shape == guess.shape else guess
    out = np.asarray(order(np.asarray(a), np.asarray(b)), dtype=np.int8)
    branches.decided.setdefault(branches.place, []).append(out)
    return out


def less(a: Any, b: Any) -> np.ndarray:
    """``a < b``, decided."""
    return compare(a, b) < 0


def wins(a: Any, b: Any) -> np.ndarray:
    """Where a is above b, as booleans; at a tie the branch is chosen (on floats: a wins)."""
    order = compare(a, b)
    tied = order == 0
    if not tied.any() or not (is_object(a) or is_object(b)):
        return order >= 0
    out = np.array(order > 0)
    for place in np.argwhere(tied):
        out[tuple(place)] = _mode.branches.choose(tuple(place), 2) == 0 if not _mode.series else True
    return out


def winner(x: Any, axes: tuple[int, ...], largest: bool = True) -> np.ndarray:
    """A one-hot mask of the largest (smallest) element along `axes`; among tied ones the branch is chosen (floats: first)."""
    keep = [a for a in range(x.ndim) if a not in axes]
    moved = np.transpose(x, keep + list(axes))
    rows = moved.reshape(math.prod(moved.shape[: len(keep)]), math.prod(moved.shape[len(keep) :]))
    mask = np.zeros(rows.shape, bool)
    sign = 1 if largest else -1
    if not is_object(x):
        best = (np.argmax if largest else np.argmin)(rows, axis=1) if rows.size else np.zeros(0, int)
        mask[np.arange(len(rows)), best] = True
    else:
        for number, row in enumerate(rows):
            leaders = [0]
            for j in range(1, len(row)):
                order = sign * int(compare(boxed(row[j]), boxed(row[leaders[0]])))
                leaders = [j] if order > 0 else [*leaders, j] if order == 0 else leaders
            chosen = 0 if len(leaders) == 1 or _mode.series else _mode.branches.choose(number, len(leaders))
            mask[number, leaders[chosen]] = True
    return mask.reshape(moved.shape).transpose(np.argsort(keep + list(axes)))


def truthy(x: Any) -> np.ndarray:
    """Where `x` is not zero."""
    if not is_object(x):
        return np.asarray(x).astype(bool)
    return np.asarray(compare(x, _zero_like(x)) != 0)


def where(condition: Any, a: Any, b: Any) -> Any:
    """NumPy's `where`, on floats, balls or series; `condition` is boolean."""
    if is_object(a) != is_object(b):  # a plain number among balls crashes the interpreter in flint's methods
        a, b = (x if is_object(x) else lift(np.asarray(x)) for x in (a, b))
    out = np.where(condition, a, b)
    return boxed(out) if out.dtype == object else out


# -- sums and products: any order ----------------------------------------------------------------------------------------------


def order_free(terms: Any, count: int) -> Any:
    """`terms` (an array of balls, or a matrix), widened so that a sum of them encloses every order of adding `count` of them.

    A sum of n floats in any order errs by at most (n-1) u sum|terms| to first order, and a sum of n products by n u
    (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., sections 3.1 and 4.2): widening each term by that
    fraction of itself is the same bound.
    """
    if _mode.unit and count > 0 and (isinstance(terms, arb_mat) or is_object(terms)):
        return terms * _any_order(count, _mode.unit)
    return terms


@lru_cache(maxsize=1024)
def _any_order(count: int, unit: float) -> arb:
    return arb(1, count * unit / (1 - min(0.5, count * unit)))


def add_reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Sum over `axis`, with the order-free bound."""
    if not is_object(x):
        return np.sum(x, axis=axis, keepdims=keepdims)
    axes = normalise_axes(axis, x.ndim)
    count = math.prod(x.shape[a] for a in axes)
    if count == 0:
        shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape) if keepdims or a not in axes)
        return _zero_like(np.empty(shape))
    out = boxed(order_free(x, count - 1))
    for a in sorted(axes, reverse=True):
        out = boxed(np.sum(out, axis=a, keepdims=keepdims))
    return out


def normalise_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """An axis argument (None, int or tuple, negative allowed) as a tuple of non-negative ints."""
    if axis is None:
        return tuple(range(ndim))
    given = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    return tuple(operator.index(a) % ndim if ndim else 0 for a in given) if ndim else ()


def matmul(a: Any, b: Any, turned: int | None = None) -> Any:
    """NumPy's `matmul`, with the order-free bound on balls; matrices of balls go through ``arb_mat`` where that is faster.

    Parameters
    ----------
    a, b : array
    turned : {0, 1}, optional
        Which operand's last two axes change places first.
    """
    balls = is_object(a) or is_object(b)
    if balls and a.ndim == b.ndim == 2 and not _mode.series:
        (rows, inner), (_, columns) = (x.shape[::-1] if turned == k else x.shape for k, x in enumerate((a, b)))
        if _worth_matrices(rows, inner, columns):
            left, right = (_matrix(x).transpose() if turned == k else _matrix(x) for k, x in enumerate((a, b)))
            return boxed(_product(left, right, inner))
    if turned is not None:
        a, b = (np.swapaxes(x, -1, -2) if turned == k else x for k, x in enumerate((a, b)))
    if not balls:
        return np.matmul(a, b)
    inner = a.shape[-1]
    if inner == 0:
        return _zero_like(np.matmul(np.empty(a.shape), np.empty(b.shape)))
    if _mode.series or a.ndim == 1 or b.ndim == 1 or not _worth_matrices(a.shape[-2], inner, b.shape[-1]):
        out = boxed(np.matmul(np.asarray(order_free(a, inner)), np.asarray(b)))  # a lone series would be opened as a sequence
        return boxed(_underflown(out, inner)) if _mode.loss else out
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    out = np.empty((*stack, a.shape[-2], b.shape[-1]), object)
    first, second = (np.broadcast_to(x, (*stack, *x.shape[-2:])) for x in (a, b))
    for place in np.ndindex(*stack):
        out[place] = _product(arb_mat(first[place].tolist()), arb_mat(second[place].tolist()), inner)
    return boxed(out)


def _worth_matrices(rows: int, inner: int, columns: int) -> bool:
    """Whether a product saves more time in ``arb_mat`` than it takes to put the elements in and out.

    Either way one element costs about as much as one multiplication of an object `matmul` (0.09 us).
    """
    return rows * inner * columns > rows * inner + inner * columns + rows * columns + 20


def _matrix(x: Any) -> arb_mat:
    """A matrix of balls as flint's, made once: a run meets the same operands forwards and backwards."""
    if _mode.matrices is None:
        return arb_mat(x.tolist())
    known = _mode.matrices.get(id(x))
    if known is None:
        known = _mode.matrices[id(x)] = x, arb_mat(x.tolist())
    return known[1]


def _product(left: arb_mat, right: arb_mat, count: int) -> np.ndarray:
    """The product of two matrices as an array of balls, with the order-free bound for sums of `count` products."""
    entries = (order_free(left, count) * right).entries()
    out = np.fromiter(entries, object, len(entries)).reshape(left.nrows(), right.ncols())
    return _underflown(out, left.ncols()) if _mode.loss else out


def einsum(subscripts: str, *operands: Any) -> Any:
    """NumPy's `einsum`, with the order-free bound on balls."""
    if not any(is_object(x) for x in operands):
        return _float_einsum(subscripts, operands)
    inputs, output = subscripts.replace(" ", "").split("->")
    sizes: dict[str, int] = {}
    for term, x in zip(inputs.split(","), operands, strict=True):
        for label, n in zip(term, x.shape, strict=True):
            sizes[label] = n if sizes.get(label, 1) == 1 else sizes[label]
    summed = math.prod(n for label, n in sizes.items() if label not in output)
    if summed == 0 or 0 in sizes.values():
        return _zero_like(np.empty([sizes[label] for label in output]))
    first, *others = operands
    widened = order_free(first, summed - 1 + len(others)) if is_object(first) else order_free(lift(np.asarray(first)), summed)
    plain = [np.asarray(widened), *(np.asarray(x) for x in others)]
    if len(plain) == 2 and not _mode.series:
        products = as_products(subscripts, plain[0].shape, plain[1].shape)
        if products is not None and products.sums == ((), ()) and _worth_matrices(*products.lengths):
            return _ball_products(products, *plain)
    return _contracted(inputs.split(","), output, plain)


def _contracted(terms: Sequence[str], output: str, operands: Sequence[Any]) -> Any:
    """A contraction by broadcasting: NumPy's own einsum of object arrays miscounts references and crashes."""
    labels = list(dict.fromkeys(output + "".join(terms)))
    product: Any = None
    for term, x in zip(terms, operands, strict=True):
        distinct = "".join(dict.fromkeys(term))
        diagonal = np.einsum(f"{term}->{distinct}", np.arange(x.size).reshape(x.shape))
        places = np.transpose(diagonal, np.argsort([labels.index(c) for c in distinct])).reshape(-1)
        ordered = x.reshape(-1)[places]
        aligned = ordered.reshape([x.shape[term.index(c)] if c in term else 1 for c in labels])
        product = boxed(aligned if product is None else product * aligned)
    rows = product.reshape(*product.shape[: len(output)], -1)
    return boxed(np.add.reduce(rows, axis=-1))


def _ball_products(products: Products, a: np.ndarray, b: np.ndarray) -> Any:
    """Products of matrices of balls, one by one."""
    first, second = products.stacks(a, b)
    out = np.empty((len(first), first.shape[1], second.shape[2]), object)
    for n, (left, right) in enumerate(zip(first, second, strict=True)):
        out[n] = _product(arb_mat(left.tolist()), arb_mat(right.tolist()), 0)
    return boxed(out.reshape(products.shape).transpose(products.order))


#: From so many multiplications up, an einsum of two arrays is faster as products of matrices, and a path of pairs is worth
#: looking for among more of them.
WORTH_PRODUCTS, WORTH_A_PATH = 2**13, 2**16


def _float_einsum(subscripts: str, operands: Sequence[np.ndarray]) -> Any:
    if len(operands) == 2:
        a, b = operands
        if a.size * b.size >= WORTH_PRODUCTS and a.dtype == b.dtype and a.dtype.char in "fd":
            products = as_products(subscripts, a.shape, b.shape)
            if products is not None and products.worth >= WORTH_PRODUCTS:
                return products.of_floats(a, b)
        return np.einsum(subscripts, a, b)
    if len(operands) == 1:
        return np.einsum(subscripts, operands[0])
    terms = subscripts.partition("->")[0].split(",")
    lengths = {c: n for t, x in zip(terms, operands, strict=True) for c, n in zip(t, x.shape, strict=True)}
    return np.einsum(subscripts, *operands, optimize=math.prod(lengths.values()) >= WORTH_A_PATH)
