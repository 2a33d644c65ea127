"""The catalogue: one row per op, with its pattern, domains, special points, kinks, shapes, parameters and keywords."""

from __future__ import annotations

from collections.abc import Collection

from . import parameters as p
from .arrays import Special
from .kinks import AT_ZERO, BOUNDS, HINGE, MARGIN, ORDER, TIE, WITHIN, Kink
from .parameters import Parameters
from .patterns import (
    ASSIGNMENT,
    BATCH,
    BINARY,
    CHAIN,
    CONVOLUTION,
    EINSUM,
    JOIN,
    MATMUL,
    RANKING,
    RECURRENCE,
    SCORES,
    SEQUENCE,
    STACK,
    TERNARY,
    UNARY,
    UPDATE,
    WEIGHTED,
)
from .row import Pattern, Row

__all__ = ["CATALOGUE", "FAMILIES", "Row", "rows"]

#: Every op's row, by name, in the order of the tables below.
CATALOGUE: dict[str, Row] = {}


def rows(family: str | None = None, allow: Collection[str] | None = None) -> list[Row]:
    """Rows of the catalogue.

    Parameters
    ----------
    family : str, optional
        Only of this family.
    allow : collection of str, optional
        Only of these ops.

    Examples
    --------
    >>> [row.op for row in rows("indexing")]
    ['getitem', 'setitem']
    """
    return [r for r in CATALOGUE.values() if (family is None or r.family == family) and (allow is None or r.op in allow)]


# fmt: off

R, NONZERO, POSITIVE = "(-inf, inf)", "(-inf, 0) or (0, inf)", "(0, inf)"
FAR, INSIDE, GROWS   = "(-inf, -1) or (1, inf)", "(-1, 1)", "[-13, 13]"
EXPONENT, WHOLE      = "[-3, 0) or (0, 3]", "integers [-3, 3]"
FREE, UFUNC          = False, True  # whether it takes NumPy's where= and dtype=

# -- elementwise ---------------------------------------------------------------------------------------------------------------

def each(family: str, pattern: Pattern, op: str, domains: str | tuple[str, ...], points: tuple[Special, ...], keywords: bool,
         kink: Kink | None = None, params: Parameters = p.none, also: tuple[str, ...] = ()) -> None:
    """One line of the elementwise tables."""
    CATALOGUE[op] = Row(op, family, pattern, (domains,) if isinstance(domains, str) else domains, points, kink,
                        params=params, keywords=keywords, also=also)


#    family           pattern    op            domain of each operand         special points                  keywords  kink
each("arithmetic",    UNARY,     "positive",   R,                             (),                             UFUNC)
each("arithmetic",    UNARY,     "negative",   R,                             (),                             UFUNC)
each("arithmetic",    UNARY,     "reciprocal", NONZERO,                       (1e-4, -1e-4),                  UFUNC)
each("arithmetic",    UNARY,     "square",     R,                             (),                             UFUNC)
each("arithmetic",    UNARY,     "sqrt",       POSITIVE,                      (1e-8, 1e8),                    UFUNC)
each("arithmetic",    UNARY,     "cbrt",       NONZERO,                       (1e-8, -1e-8, -8.0),            UFUNC)
each("arithmetic",    BINARY,    "add",        (R, R),                        (),                             UFUNC)
each("arithmetic",    BINARY,    "subtract",   (R, R),                        ("tie",),                       UFUNC)
each("arithmetic",    BINARY,    "multiply",   (R, R),                        (0.0,),                         UFUNC)
each("arithmetic",    BINARY,    "divide",     (R, NONZERO),                  (0.0, 1e-4),                    UFUNC)
each("arithmetic",    BINARY,    "power",      (POSITIVE, EXPONENT),          (1.0, 2.0, -1.0),               UFUNC,    also=(NONZERO, WHOLE))
each("arithmetic",    SEQUENCE,  "add_sequence",      R,                     (),                             FREE)
each("arithmetic",    SEQUENCE,  "multiply_sequence", R,                     (0.0,),                         FREE)

each("exp/log",       UNARY,     "exp",        "(-inf, 13]",                  (-40.0, 0.0),                   UFUNC)
each("exp/log",       UNARY,     "exp2",       "(-inf, 19]",                  (-60.0, 0.0),                   UFUNC)
each("exp/log",       UNARY,     "expm1",      "(-inf, 13]",                  (-40.0, -20.0, 0.0, 1e-10),     UFUNC)
each("exp/log",       UNARY,     "log",        POSITIVE,                      (1.0, 1e-8),                    UFUNC)
each("exp/log",       UNARY,     "log2",       POSITIVE,                      (1.0, 1e-8),                    UFUNC)
each("exp/log",       UNARY,     "log10",      POSITIVE,                      (1.0, 1e-8),                    UFUNC)
each("exp/log",       UNARY,     "log1p",      "(-1, inf)",                   (1e-10, -1e-10, 0.0, -0.999),   UFUNC)
each("exp/log",       BINARY,    "logaddexp",  (R, R),                        ("tie", 40.0, -40.0, 1000.0),   UFUNC,    ORDER)
each("exp/log",       BINARY,    "logaddexp2", (R, R),                        ("tie", 60.0, -60.0, 1000.0),   UFUNC,    ORDER)

each("trigonometric", UNARY,     "sin",        "[-10000, 10000]",             (0.0, 3.1415926, 5000.0),       UFUNC)
each("trigonometric", UNARY,     "cos",        "[-10000, 10000]",             (0.0, 1.5707963, 5000.0),       UFUNC)
each("trigonometric", UNARY,     "tan",        "cos != 0",                    (0.0, 1.5, 3.1415926),          UFUNC)
each("trigonometric", UNARY,     "csc",        "sin != 0",                    (1.5707963, 1e-3),              FREE)
each("trigonometric", UNARY,     "sec",        "cos != 0",                    (0.0, 3.1415926, 1e-8),         FREE)
each("trigonometric", UNARY,     "cot",        "sin != 0",                    (1.5707963, 1e-3),              FREE)
each("trigonometric", UNARY,     "sinc",       "[-10000, 10000]",             (0.0, 1e-8, -1e-8, 1.0, 0.2),   FREE)
each("trigonometric", UNARY,     "arcsin",     INSIDE,                        (0.0, 0.999, -0.999),           UFUNC)
each("trigonometric", UNARY,     "arccos",     INSIDE,                        (0.0, 0.999, -0.999),           UFUNC)
each("trigonometric", UNARY,     "arctan",     R,                             (0.0, 1e5),                     UFUNC)
each("trigonometric", BINARY,    "arctan2",    (NONZERO, R),                  (0.0, 1e5, 1e-4),               UFUNC)
each("trigonometric", UNARY,     "arccsc",     FAR,                           (1.001, -1.001, 1e5),           FREE)
each("trigonometric", UNARY,     "arcsec",     FAR,                           (1.001, -1.001, 1e5),           FREE)
each("trigonometric", UNARY,     "arccot",     NONZERO,                       (1e-4, 1e5),                    FREE)

each("hyperbolic",    UNARY,     "sinh",       GROWS,                         (0.0, 1e-8),                    UFUNC)
each("hyperbolic",    UNARY,     "cosh",       GROWS,                         (0.0, 1e-8),                    UFUNC)
each("hyperbolic",    UNARY,     "tanh",       R,                             (25.0, -25.0, 0.0, 1e-8),       UFUNC)
each("hyperbolic",    UNARY,     "csch",       NONZERO,                       (25.0, 1e-4),                   FREE)
each("hyperbolic",    UNARY,     "sech",       R,                             (25.0, 0.0, 1e-8),              FREE)
each("hyperbolic",    UNARY,     "coth",       NONZERO,                       (25.0, -25.0, 1e-4),            FREE)
each("hyperbolic",    UNARY,     "arcsinh",    R,                             (0.0, 1e-8, -1e5, 1e5),         UFUNC)
each("hyperbolic",    UNARY,     "arccosh",    "(1, inf)",                    (1.001, 1e5),                   UFUNC)
each("hyperbolic",    UNARY,     "arctanh",    INSIDE,                        (0.0, 1e-8, 0.999),             UFUNC)
each("hyperbolic",    UNARY,     "arccsch",    NONZERO,                       (1e-4, 1e5),                    FREE)
each("hyperbolic",    UNARY,     "arccoth",    FAR,                           (1.001, 1e5),                   FREE)

each("piecewise",     UNARY,     "absolute",   R,                             (0.0, -0.0),                    UFUNC,    AT_ZERO)
each("piecewise",     BINARY,    "maximum",    (R, R),                        ("tie",),                       UFUNC,    TIE)
each("piecewise",     BINARY,    "minimum",    (R, R),                        ("tie",),                       UFUNC,    TIE)
each("piecewise",     TERNARY,   "clip",       (R, "[-5, 0)", "(0, 5]"),      ("tie",),                       FREE,     TIE)
each("piecewise",     TERNARY,   "where",      ("booleans", R, R),            ("tie", 0.0),                   FREE)

each("in place",      UPDATE,    "iadd",       (R, R),                        (),                             FREE)
each("in place",      UPDATE,    "isub",       (R, R),                        (),                             FREE)
each("in place",      UPDATE,    "imul",       (R, R),                        (0.0,),                         FREE)
each("in place",      UPDATE,    "itruediv",   (R, NONZERO),                  (0.0, 1e-4),                    FREE)
each("in place",      UPDATE,    "ipow",       (POSITIVE, EXPONENT),          (1.0, 2.0, -1.0),                FREE,     also=(NONZERO, WHOLE))

# -- whole arrays --------------------------------------------------------------------------------------------------------------

def whole(family: str, pattern: Pattern, op: str, shapes: str, params: Parameters, points: tuple[Special, ...] = (),
          kink: Kink | None = None, domain: str = R, value: str = R) -> None:
    """One line of the tables of ops that look at more than one element."""
    CATALOGUE[op] = Row(op, family, pattern, (domain,), points, kink, shapes, params, value=value)


#     family            pattern       op              shapes                parameters       special points   kink      domains
whole("linear algebra", MATMUL,       "matmul",       "an axis",            p.none,          (0.0,))
whole("linear algebra", CHAIN,        "multi_matmul", "one or two axes",    p.none,          (0.0,))
whole("linear algebra", EINSUM,       "einsum",       "any",                p.none,          (0.0,))
whole("linear algebra", UNARY,        "norm",         "an axis, not empty", p.norm,          (1e-4,),         None,       NONZERO, NONZERO)

whole("reductions",     UNARY,        "sum",          "any",                p.reduction)
whole("reductions",     UNARY,        "mean",         "not empty",          p.reduction)
whole("reductions",     UNARY,        "var",          "two elements",       p.spread,        ("tie",))
whole("reductions",     UNARY,        "std",          "sides from 2",       p.spread,        ("tie",),        None,       R, POSITIVE)
whole("reductions",     UNARY,        "max",          "not empty",          p.reduction,     ("tie",),        WITHIN)
whole("reductions",     UNARY,        "min",          "not empty",          p.reduction,     ("tie",),        WITHIN)
whole("reductions",     UNARY,        "prod",         "any",                p.reduction,     (0.0, "tie"))
whole("reductions",     UNARY,        "cumsum",       "any",                p.scan)
whole("reductions",     UNARY,        "cumprod",      "any",                p.scan,          (0.0, "tie"))

whole("shape",          UNARY,        "reshape",      "any",                p.reshape)
whole("shape",          UNARY,        "ravel",        "any",                p.none)
whole("shape",          UNARY,        "flatten",      "any",                p.none)
whole("shape",          UNARY,        "squeeze",      "any",                p.squeeze)
whole("shape",          UNARY,        "expand_dims",  "any",                p.expansion)
whole("shape",          UNARY,        "atleast_1d",   "any",                p.none)
whole("shape",          UNARY,        "atleast_2d",   "any",                p.none)
whole("shape",          UNARY,        "atleast_3d",   "any",                p.none)
whole("shape",          UNARY,        "transpose",    "any",                p.transpose)
whole("shape",          UNARY,        "moveaxis",     "an axis",            p.move)
whole("shape",          UNARY,        "swapaxes",     "an axis",            p.swap)
whole("shape",          UNARY,        "broadcast_to", "any",                p.broadcast)
whole("shape",          UNARY,        "roll",         "any",                p.roll)
whole("shape",          UNARY,        "repeat",       "any",                p.repeat)

whole("joining",        JOIN,         "concatenate",  "an axis",            p.join)
whole("joining",        STACK,        "stack",        "any",                p.stack)

whole("indexing",       UNARY,        "getitem",      "any",                p.encoded_index)
whole("indexing",       ASSIGNMENT,   "setitem",      "any",                p.encoded_index)

# -- networks ------------------------------------------------------------------------------------------------------------------

each("activations",   UNARY,     "relu",       R,                             (0.0, -0.0),                    FREE,     AT_ZERO)
each("activations",   UNARY,     "leaky_relu", R,                             (0.0, -0.0),                    FREE,     AT_ZERO,  params=p.slope)
each("activations",   UNARY,     "elu",        R,                             (0.0, -1e-8, -40.0),            FREE,     AT_ZERO,  params=p.alpha)
each("activations",   UNARY,     "selu",       R,                             (0.0, -1e-8, -40.0),            FREE,     AT_ZERO)
each("activations",   UNARY,     "sigmoid",    R,                             (0.0, 40.0, -40.0),             FREE)
each("activations",   UNARY,     "hard_tanh",  R,                             (1.0, -1.0, 0.5),               FREE,     BOUNDS,   params=p.bounds)
each("activations",   UNARY,     "soft_sign",  R,                             (0.0, 1e5, -1e5),               FREE)

#     family            pattern        op              shapes                parameters       special points   kink      domains
whole("activations",    UNARY,         "softmax",      "an axis",            p.softmax,       ("tie", 40.0))
whole("activations",    UNARY,         "logsoftmax",   "an axis",            p.softmax,       ("tie", 40.0))
whole("activations",    UNARY,         "glu",          "an even axis",       p.glu,           (40.0, -40.0))

def several(family: str, pattern: Pattern, op: str, domains: tuple[str, ...], shapes: str, params: Parameters,
            points: tuple[Special, ...] = (), kink: Kink | None = None) -> None:
    """One line of the table of ops whose operands each have their own domain."""
    CATALOGUE[op] = Row(op, family, pattern, domains, points, kink, shapes, params)


LABELS, SIGNS, PROBABILITIES, GATES = "integers [0, 9]", "integers [-1, -1] or [1, 1]", "(0, 1]", "[-2, 2]"

#       family          pattern        op                 domain of each operand   shapes               parameters     special points  kink
several("layers",       CONVOLUTION,   "conv_nd",         (R,),                    "images",            p.none,        (0.0,))
several("layers",       UNARY,         "max_pool",        (R,),                    "an axis, not empty", p.pools,      ("tie",),       WITHIN)
several("layers",       BATCH,         "batchnorm",       (R,),                    "a batch",           p.epsilon)
several("layers",       RECURRENCE,    "gru",             (GATES,),                "a sequence",        p.none,        (0.0,))

several("losses",       SCORES,        "softmax_crossentropy",    (R, LABELS),     "scores",            p.none,        (40.0, "tie"))
several("losses",       WEIGHTED,      "negative_log_likelihood", (R, LABELS),     "scores",            p.none)
several("losses",       SCORES,        "focal_loss",      (PROBABILITIES, LABELS), "scores",            p.focal,       (1.0, 0.999, 1e-5))
several("losses",       SCORES,        "softmax_focal_loss",      (R, LABELS),     "scores",            p.focal,       (40.0, "tie"))
several("losses",       SCORES,        "multiclass_hinge", (R, LABELS),            "scores",            p.hinge,       ("tie", 0.5),   HINGE)
several("losses",       RANKING,       "margin_ranking_loss", (R, R, SIGNS),       "one or two axes, not empty", p.margin, ("tie",),  MARGIN)

# fmt: on

#: The families, in the order of the catalogue.
FAMILIES = tuple(dict.fromkeys(r.family for r in CATALOGUE.values()))
