"""Elementary functions, each in its float, ball and series version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flint
import numpy as np
from flint import arb, arb_series

from .balls import boxed, is_object
from .context import arithmetic, extra_bits
from .dual import dual_function

__all__ = [
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cbrt", "cos", "cosh", "exp", "exp2",
    "expm1", "log", "log1p", "log2", "log10", "power", "sin", "sinc", "sinc_derivative", "sinh", "sqrt", "tan", "tanh",
]  # fmt: skip

#: How much more precise than its result a primitive of series is computed inside.
SERIES_BITS = 256


def _as_series(x: Any) -> arb_series:
    return x if isinstance(x, arb_series) else arb_series([x])


def _rounded_series(function: Callable[..., Any], operands: list[Any]) -> arb_series:
    """A primitive's value and tangent, rounded: what flows in along each operand is its slope, rounded, times that tangent.

    Formulas for series cancel, and the operands' own radii would not cancel with them: so slopes are taken along exact ones. A
    slope that is rounded may underflow before it is multiplied.
    """
    value: arb | None = None
    slope, lost = arb(0), arb(0, arithmetic().underflow)
    for k, x in enumerate(operands):
        still = x[1] == 0
        if value is not None and still:
            continue
        with extra_bits(SERIES_BITS):
            out = function(*(arb_series([z[0], arb(int(j == k and not still))]) for j, z in enumerate(operands)))
        value = out[0] * 1
        if not still:
            along = out[1] * 1
            slope += (along if along == 0 else along + lost) * x[1]
    return arb_series([value, slope])  # type: ignore[list-item]


def _kernel(floats: Callable[..., Any], balls: Any, series: Any, arity: int = 1) -> Callable[..., Any]:
    """One function of the field, from its float, ball and series versions."""
    # flint's methods trust their first argument to be of their own type, and crash the interpreter where it is not.
    on_balls = np.frompyfunc(balls, arity, 1)
    on_series = np.frompyfunc(lambda *xs: series(*map(_as_series, xs)), arity, 1)
    on_duals = np.frompyfunc(dual_function(floats, series), arity, 1)
    on_rounded_series = np.frompyfunc(lambda *xs: _rounded_series(series, [_as_series(x) for x in xs]), arity, 1)

    def kernel(*operands: Any) -> Any:
        if not any(map(is_object, operands)):
            return floats(*operands)
        mode = arithmetic()
        if mode.dual:
            return boxed(on_duals(*operands))
        if mode.series:
            return boxed((on_rounded_series if mode.unit else on_series)(*operands))
        if not mode.unit:
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
    if not x.is_finite():
        return x * 0
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
power = _kernel(np.power, _b_power, _s_power, 2)
