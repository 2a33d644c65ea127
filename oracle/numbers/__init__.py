"""The numbers that the reference runs on: floats, balls, Taylor series of balls, and dual floats, behind one set of functions.

Every function here takes float arrays (and is then NumPy's own) or `Balls`: object arrays of ``arb`` (a ball: midpoint and
radius), of ``arb_series`` (a truncated Taylor series with ball coefficients) or of `Dual` (a float and its derivative). What
the elements are, and how precisely they are computed, is decided by the contexts of `adjudge.oracle.numbers.context`.
"""

from .balls import (
    Balls,
    all_finite,
    boxed,
    coefficient,
    coefficients,
    either_slope,
    finite,
    is_boundless,
    is_object,
    lift,
    lift_duals,
    lift_series,
    ln2,
    ln10,
    pi,
    slope,
    to_float,
    underflown,
    zero,
    zero_like,
    zeros,
)
from .comparisons import absolute, compare, less, truthy, where, winner, wins
from .context import (
    GUARD_BITS,
    Arithmetic,
    Branches,
    Matrices,
    Undecided,
    arithmetic,
    current_branches,
    duals,
    enclosing,
    extra_bits,
    rounding_in,
    rounds,
    taylor,
)
from .dual import Dual
from .functions import (
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    cbrt,
    cos,
    cosh,
    exp,
    exp2,
    expm1,
    log,
    log1p,
    log2,
    log10,
    power,
    sin,
    sinc,
    sinc_derivative,
    sinh,
    sqrt,
    tan,
    tanh,
)
from .precision import at_rising_precision
from .sums import add_reduce, einsum, matmul, normalise_axes, order_free

__all__ = [
    "GUARD_BITS", "Arithmetic", "Balls", "Branches", "Dual", "Matrices", "Undecided", "absolute", "add_reduce",
    "all_finite", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "arithmetic",
    "at_rising_precision", "boxed", "cbrt", "coefficient", "coefficients", "compare", "cos", "cosh", "current_branches",
    "duals", "einsum", "either_slope", "enclosing", "exp", "exp2", "expm1", "extra_bits", "finite", "is_boundless",
    "is_object", "less", "lift", "lift_duals", "lift_series", "ln10", "ln2", "log", "log10", "log1p", "log2", "matmul",
    "normalise_axes", "order_free", "pi", "power", "rounding_in", "rounds", "sin", "sinc", "sinc_derivative", "sinh",
    "slope", "sqrt", "tan", "tanh", "taylor", "to_float", "truthy", "underflown", "where", "winner", "wins", "zero",
    "zero_like", "zeros",
]  # fmt: skip
