"""Elementwise ops: the function, its derivative, and the less accurate formula that libraries use where there is one.

A rule reads ``g, y, x``: the cotangent, the value, the operand. Formulas: NIST Digital Library of Mathematical Functions,
chapter 4, written so that they do not cancel where the derivative is small.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from ..numbers import (
    absolute,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    cbrt,
    compare,
    cos,
    cosh,
    exp,
    exp2,
    expm1,
    is_boundless,
    is_object,
    lift,
    ln2,
    ln10,
    log,
    log1p,
    log2,
    log10,
    pi,
    power,
    sin,
    sinc,
    sinc_derivative,
    sinh,
    sqrt,
    tan,
    tanh,
    truthy,
    where,
    wins,
)  # fmt: skip
from .op import OPS, elements, elementwise, op, unbroadcast

# fmt: off

# -- one operand: name, value, derivative, textbook ----------------------------------------------------------------------------


def unary(name: str, value: Any, rule: Any, textbook: Any = None) -> None:
    """One line of the table below."""
    elementwise(name, value, rule, textbook=textbook)


unary("positive", lambda x: x if is_object(x) else x * 1, lambda g, y, x: g)
unary("negative", lambda x: -x, lambda g, y, x: -g)
unary("reciprocal", lambda x: 1 / x, lambda g, y, x: -g * y * y, lambda g, y, x: -g / (x * x))
unary("square", lambda x: x * x, lambda g, y, x: 2 * g * x)
unary("sqrt", sqrt, lambda g, y, x: g / (2 * y))
unary("cbrt", cbrt, lambda g, y, x: g / (3 * y * y))
unary("absolute", absolute, lambda g, y, x: g * sign(x))

unary("exp", exp, lambda g, y, x: g * y)
unary("exp2", exp2, lambda g, y, x: g * y * ln2(x))
unary("expm1", expm1, lambda g, y, x: g * exp(x), lambda g, y, x: g * (y + 1))
unary("log", log, lambda g, y, x: g / x)
unary("log2", log2, lambda g, y, x: g / (x * ln2(x)))
unary("log10", log10, lambda g, y, x: g / (x * ln10(x)))
unary("log1p", log1p, lambda g, y, x: g / (1 + x))

unary("sin", sin, lambda g, y, x: g * cos(x))
unary("cos", cos, lambda g, y, x: -g * sin(x))
unary("tan", tan, lambda g, y, x: g / sq(cos(x)), lambda g, y, x: g * (1 + y * y))
unary("csc", lambda x: 1 / sin(x), lambda g, y, x: -g * cos(x) * y * y, lambda g, y, x: -g * cos(x) / sq(sin(x)))
unary("sec", lambda x: 1 / cos(x), lambda g, y, x: g * sin(x) * y * y, lambda g, y, x: g * sin(x) / sq(cos(x)))
unary("cot", lambda x: cos(x) / sin(x), lambda g, y, x: -g / sq(sin(x)), lambda g, y, x: -g * (1 + y * y))
unary("sinc", sinc, lambda g, y, x: g * sinc_derivative(x), lambda g, y, x: g * textbook_dsinc(x))
unary("arcsin", arcsin, lambda g, y, x: g / root(x), lambda g, y, x: g / sqrt(1 - x * x))
unary("arccos", arccos, lambda g, y, x: -g / root(x), lambda g, y, x: -g / sqrt(1 - x * x))
unary("arctan", arctan, lambda g, y, x: g / (1 + x * x))
unary("arccsc", lambda x: arcsin(1 / x), lambda g, y, x: -g / far_root(x), lambda g, y, x: -g / textbook_far_root(x))
unary("arcsec", lambda x: arccos(1 / x), lambda g, y, x: g / far_root(x), lambda g, y, x: g / textbook_far_root(x))
unary("arccot", lambda x: arccot(x), lambda g, y, x: -g / (1 + x * x))

unary("sinh", sinh, lambda g, y, x: g * cosh(x))
unary("cosh", cosh, lambda g, y, x: g * sinh(x))
unary("tanh", tanh, lambda g, y, x: g / sq(cosh(x)), lambda g, y, x: g * (1 - y * y))
unary("csch", lambda x: csch(x), lambda g, y, x: -g * y / tanh(x), lambda g, y, x: -g * cosh(x) * y * y)
unary("sech", lambda x: sech(x), lambda g, y, x: -g * y * tanh(x), lambda g, y, x: -g * sinh(x) * y * y)
unary("coth", lambda x: 1 / tanh(x), lambda g, y, x: -g / sq(sinh(x)), lambda g, y, x: g * (1 - y * y))
unary("arcsinh", arcsinh, lambda g, y, x: g / sqrt(1 + x * x))
unary("arccosh", arccosh, lambda g, y, x: g / sqrt((x - 1) * (x + 1)), lambda g, y, x: g / sqrt(x * x - 1))
unary("arctanh", arctanh, lambda g, y, x: g / ((1 - x) * (1 + x)), lambda g, y, x: g / (1 - x * x))
unary("arccsch", lambda x: arcsinh(1 / x), lambda g, y, x: -g / (absolute(x) * sqrt(1 + x * x)))
unary("arccoth", lambda x: arctanh(1 / x), lambda g, y, x: g / ((1 - x) * (1 + x)), lambda g, y, x: g / (1 - x * x))

# -- two operands: name, value, one derivative an operand, textbook ------------------------------------------------------------


def binary(name: str, value: Any, first: Any, second: Any, textbook: Any = None) -> None:
    """One line of the table below."""
    elementwise(name, value, first, second, textbook=textbook)


binary("add", lambda x, z: x + z, lambda g, y, x, z: g, lambda g, y, x, z: g)
binary("subtract", lambda x, z: x - z, lambda g, y, x, z: g, lambda g, y, x, z: -g)
binary("multiply", lambda x, z: x * z, lambda g, y, x, z: g * z, lambda g, y, x, z: g * x)
binary("divide", lambda x, z: x / z, lambda g, y, x, z: g / z, lambda g, y, x, z: -g * y / z,
       textbook=(lambda g, y, x, z: g / z, lambda g, y, x, z: -g * x / (z * z)))
binary("power", power, lambda g, y, x, z: g * power_slope(x, z), lambda g, y, x, z: g * power_log(y, x))
binary("arctan2", arctan2, lambda g, y, x, z: g * z / (x * x + z * z), lambda g, y, x, z: -g * x / (x * x + z * z))
binary(
    "logaddexp",
    lambda x, z: logaddexp(x, z),
    lambda g, y, x, z: logistic(x - z, g),
    lambda g, y, x, z: logistic(z - x, g),
    textbook=(lambda g, y, x, z: g * exp(x - y), lambda g, y, x, z: g * exp(z - y)),
)
binary(
    "logaddexp2",
    lambda x, z: logaddexp2(x, z),
    lambda g, y, x, z: logistic(x - z, g, exp2),
    lambda g, y, x, z: logistic(z - x, g, exp2),
    textbook=(lambda g, y, x, z: g * exp2(x - y), lambda g, y, x, z: g * exp2(z - y)),
)
binary("maximum", lambda x, z: pick(x, z, 1), lambda g, y, x, z: g * wins(x, z), lambda g, y, x, z: g * ~wins(x, z))
binary("minimum", lambda x, z: pick(x, z, -1), lambda g, y, x, z: g * wins(z, x), lambda g, y, x, z: g * ~wins(z, x))
# fmt: on


# -- the trickier ones ---------------------------------------------------------------------------------------------------------


def sign(x: Any) -> Any:
    """+1 or -1; at 0 the branch is chosen."""
    return np.where(wins(x, lift(np.zeros(x.shape)) if is_object(x) else np.zeros_like(x)), 1, -1)


def sq(x: Any) -> Any:
    """The square."""
    return x * x


def logistic(x: Any, g: Any = 1, power: Any = exp) -> Any:
    """The logistic share g / (1 + e**-x), or of 2**-x with `exp2`; on floats in such a way that nothing overflows."""
    if is_boundless(x):
        return g / (1 + power(-x))
    small = power(-absolute(x))
    return g * (where(compare(x, 0) >= 0, 1, small) / (1 + small))


def sech(x: Any) -> Any:
    """1 / cosh x; on floats 2 e**-|x| / (1 + e**-2|x|), in which nothing overflows."""
    if is_boundless(x):
        return 1 / cosh(x)
    small = exp(-absolute(x))
    return 2 * small / (1 + small * small)


def csch(x: Any) -> Any:
    """1 / sinh x; on floats 2 e**-|x| / (1 - e**-2|x|) with the sign of x, in which nothing overflows."""
    if is_boundless(x):
        return 1 / sinh(x)
    far = -absolute(x)
    size = 2 * exp(far) / -expm1(2 * far)
    return where(compare(x, 0) >= 0, size, -size) if is_object(x) else np.copysign(size, x)


def root(x: Any) -> Any:
    """sqrt(1 - x**2) without cancellation."""
    return sqrt((1 - x) * (1 + x))


def far_root(x: Any) -> Any:
    """|x| sqrt(x**2 - 1) without cancellation."""
    return absolute(x) * sqrt((x - 1) * (x + 1))


def textbook_far_root(x: Any) -> Any:
    """|x| sqrt(x**2 - 1) as it is usually written."""
    return absolute(x) * sqrt(x * x - 1)


def textbook_dsinc(x: Any) -> Any:
    """D sinc/dx = (z cos z - sin z) pi / z**2 with z = pi x."""
    z = pi(x) * x
    return (z * cos(z) - sin(z)) * pi(x) / (z * z)


def arccot(x: Any) -> Any:
    """arctan(1/x), and pi/2 at 0: odd elsewhere, as MyGrad has it."""
    zero = ~truthy(x)
    if not zero.any():
        return arctan(1 / x)
    return where(zero, pi(x) / 2, arctan(1 / where(zero, 1, x)))


def power_slope(x: Any, z: Any) -> Any:
    """D x**z / dx = z x**(z-1), and 0 where the exponent is 0."""
    flat = ~truthy(z) & np.ones(np.shape(x), bool)
    if not flat.any():
        return z * power(x, z - 1)
    z = where(flat, 1, z)
    return where(flat, 0, z * power(x + 0 * z if not is_object(x) else x, z - 1))


def power_log(y: Any, x: Any) -> Any:
    """D x**z / dz = x**z log x, and its limit 0 where the power is 0."""
    x = x if is_object(x) else x * 1.0  # NumPy takes the logarithm of a small integer in half precision
    gone = ~truthy(x)
    if not gone.any():
        return y * log(x)
    return where(gone, 0, y * log(where(gone, 1, x)))


def logaddexp(x: Any, z: Any) -> Any:
    """log(exp x + exp z), about the larger operand."""
    if not is_object(x) and not is_object(z):
        return np.logaddexp(x, z)
    return pick(x, z, 1) + log1p(exp(-absolute(x - z)))


def logaddexp2(x: Any, z: Any) -> Any:
    """log2(2**x + 2**z), about the larger operand."""
    if not is_object(x) and not is_object(z):
        return np.logaddexp2(x, z)
    return pick(x, z, 1) + log1p(exp2(-absolute(x - z))) / ln2(x)


def pick(x: Any, z: Any, largest: int) -> Any:
    """The larger (smaller) of two; on floats NumPy's own, which keeps NaN."""
    if not is_object(x) and not is_object(z):
        return (np.maximum if largest > 0 else np.minimum)(x, z)
    return where(largest * compare(x, z) >= 0, x, z)


def _clip(x: Any, low: Any, high: Any) -> Any:
    if not any(is_object(v) for v in (x, low, high)):
        return np.clip(x, low, high)
    return pick(pick(x, low, 1), high, -1)


def _inside(x: Any, low: Any, high: Any) -> tuple[Any, Any]:
    """Masks: above the low bound, below the high one; NumPy applies the low bound first."""
    above = wins(x, low)
    return above, wins(high, pick(x, low, 1))


def _clip_rule(k: int) -> Any:
    def rule(g: Any, y: Any, x: Any, low: Any, high: Any) -> Any:
        above, below = _inside(x, low, high)
        return g * (above & below, ~above & below, ~below)[k]

    return rule


elementwise("clip", _clip, _clip_rule(0), _clip_rule(1), _clip_rule(2))

elementwise(
    "where",
    lambda c, x, z: where(truthy(c), x, z),
    None,
    lambda g, y, c, x, z: where(truthy(c), g, 0),
    lambda g, y, c, x, z: where(truthy(c), 0, g),
)


def _others(k: int, operands: tuple[Any, ...]) -> Any:
    """The product of all operands but one."""
    return reduce(lambda a, b: a * b, (x for j, x in enumerate(operands) if j != k), 1)


def _sequence_room(*shapes: tuple[int, ...]) -> int:
    return len(shapes) * elements(np.broadcast_shapes(*shapes))


op(
    "add_sequence",
    lambda *xs: reduce(lambda a, b: a + b, xs),
    lambda k, g, y, *xs: unbroadcast(g, np.shape(xs[k])),
    variadic=True,
    room=_sequence_room,
)
op(
    "multiply_sequence",
    lambda *xs: reduce(lambda a, b: a * b, xs),
    lambda k, g, y, *xs: unbroadcast(g * _others(k, xs), np.shape(xs[k])),
    variadic=True,
    room=_sequence_room,
    textbook=(lambda k, g, y, *xs: unbroadcast(g * y / xs[k], np.shape(xs[k])),),
)


def _updated(forward: Any) -> Any:
    """An update in place: the result takes the place of the first operand, and so has its dtype."""

    def update(x: Any, z: Any) -> Any:
        y = forward(x, z)
        return y if is_object(y) else y.astype(x.dtype)

    return update


for inplace, plain in {"iadd": "add", "isub": "subtract", "imul": "multiply", "itruediv": "divide", "ipow": "power"}.items():
    known = OPS[plain]
    elementwise(inplace, _updated(known.forward), *known.rules, textbook=known.textbook)
