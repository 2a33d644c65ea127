"""The catalogue: for every op, in one row, where it is asked: domains, special points, shapes, parameters, keywords."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from . import parameters as p
from .arrays import EVERYWHERE, Special
from .domains import Domain
from .parameters import Parameters

__all__ = ["CATALOGUE", "FAMILIES", "KINKS", "Row", "rows"]


# -- kinks: how far the operands are from one ----------------------------------------------------------------------------------


def _gap_of_pairs(*operands: Any, **params: Any) -> np.ndarray:
    """Between each two operands, elementwise."""
    together = np.broadcast_arrays(*operands)
    return np.concatenate([np.abs(np.subtract(a, b, dtype=float)).ravel() for j, a in enumerate(together) for b in together[:j]])


def _gap_within(x: Any, **params: Any) -> np.ndarray:
    """Between neighbours in size of one array."""
    return np.asarray(np.diff(np.sort(x, axis=None)))


def _gap_to_bounds(x: Any, lower_bound: float = -1, upper_bound: float = 1) -> np.ndarray:
    """To the nearer of two bounds."""
    return np.asarray(np.minimum(np.abs(x - lower_bound), np.abs(x - upper_bound))).ravel()


def _gap_to_hinge(x: Any, labels: Any, hinge: float = 1.0) -> np.ndarray:
    """Of the labelled scores' lead over each other one to the hinge."""
    others = np.arange(x.shape[1]) != labels[:, None]
    lead = x - np.take_along_axis(x, labels[:, None].astype(int), 1)
    return np.asarray(np.abs(lead + hinge)[others])


def _gap_to_margin(x1: Any, x2: Any, y: Any, margin: float) -> np.ndarray:
    """Of the lead of one over the other to the margin."""
    return np.asarray(np.abs(margin - np.reshape(y, (-1,) + (1,) * (x1.ndim - 1)) * (x1 - x2))).ravel()


#: Where an op is not differentiable, or compares: how far from there the operands are.
KINKS: dict[str, Callable[..., np.ndarray]] = {
    "":       lambda *operands, **params: np.ones(1),
    "at 0":   lambda x, **params: np.abs(x).ravel(),
    "tie":    _gap_of_pairs,
    "order":  _gap_of_pairs,  # no kink, but the larger is looked for
    "within": _gap_within,
    "bounds": _gap_to_bounds,
    "hinge":  _gap_to_hinge,
    "margin": _gap_to_margin,
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What may be asked about one op.

    Parameters
    ----------
    op : str
        Its name in `adjudge.oracle.reference.OPS`.
    family : str
        One of `FAMILIES`, for reports.
    pattern : str
        How operands go together: "unary", "binary" and "ternary" broadcast, "update" broadcasts to the first operand,
        "sequence" broadcasts any number; "joint", "pile", "matmul", "chain", "einsum", "assignment", and for networks
        "labels", "ranking", "convolution", "batch", "recurrence".
    domains : tuple of str
        One an operand (any number of operands share the one).
    points : tuple
        Special points, to be put in by overrides.
    kink : str
        Which of `KINKS` the op has.
    shapes : str
        Which of `adjudge.strategies.shapes.KINDS` the first operand has.
    params : callable
        The parameter strategy, from `adjudge.strategies.parameters`.
    keywords : str
        "where dtype" for a universal function, which takes NumPy's ``where=`` (with ``out=``) and ``dtype=``.
    also : tuple of str
        Domains that may be drawn instead.
    value : str
        Domain of the value: the op is singular where its value is 0, say.
    """

    op: str
    family: str
    pattern: str
    domains: tuple[str, ...]
    points: tuple[Special, ...] = ()
    kink: str = ""
    shapes: str = "any"
    params: Parameters = p.none
    keywords: str = ""
    also: tuple[str, ...] = ()
    value: str = "(-inf, inf)"

    @cached_property
    def alternatives(self) -> tuple[tuple[Domain, ...], ...]:
        """`domains` as objects, and `also` where it is given."""
        return tuple(tuple(map(Domain, texts)) for texts in (self.domains, self.also) if texts)

    @cached_property
    def value_domain(self) -> Domain:
        """`value` as an object."""
        return Domain(self.value)

    @cached_property
    def specials(self) -> tuple[Special, ...]:
        """The op's own points, at least half of the table, and those of every op."""
        return self.points * (-(-len(EVERYWHERE) // len(self.points)) if self.points else 0) + EVERYWHERE


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
FREE, UFUNC          = "", "where dtype"

# -- elementwise ---------------------------------------------------------------------------------------------------------------

def each(family: str, pattern: str, op: str, domains: str | tuple[str, ...], points: tuple[Special, ...], keywords: str,
         kink: str = "", **more: Any) -> None:
    """One line of the elementwise tables."""
    CATALOGUE[op] = Row(op, family, pattern, (domains,) if isinstance(domains, str) else domains, points, kink,
                        keywords=keywords, **more)


#    family           pattern    op            domain of each operand         special points                  keywords  kink
each("arithmetic",    "unary",   "positive",   R,                             (),                             UFUNC)
each("arithmetic",    "unary",   "negative",   R,                             (),                             UFUNC)
each("arithmetic",    "unary",   "reciprocal", NONZERO,                       (1e-4, -1e-4),                  UFUNC)
each("arithmetic",    "unary",   "square",     R,                             (),                             UFUNC)
each("arithmetic",    "unary",   "sqrt",       POSITIVE,                      (1e-8, 1e8),                    UFUNC)
each("arithmetic",    "unary",   "cbrt",       NONZERO,                       (1e-8, -1e-8, -8.0),            UFUNC)
each("arithmetic",    "binary",  "add",        (R, R),                        (),                             UFUNC)
each("arithmetic",    "binary",  "subtract",   (R, R),                        ("tie",),                       UFUNC)
each("arithmetic",    "binary",  "multiply",   (R, R),                        (0.0,),                         UFUNC)
each("arithmetic",    "binary",  "divide",     (R, NONZERO),                  (0.0, 1e-4),                    UFUNC)
each("arithmetic",    "binary",  "power",      (POSITIVE, EXPONENT),          (1.0, 2.0, -1.0),                UFUNC,    also=(NONZERO, WHOLE))
each("arithmetic",    "sequence", "add_sequence",      R,                     (),                             FREE)
each("arithmetic",    "sequence", "multiply_sequence", R,                     (0.0,),                         FREE)

each("exp/log",       "unary",   "exp",        "(-inf, 13]",                  (-40.0, 0.0),                   UFUNC)
each("exp/log",       "unary",   "exp2",       "(-inf, 19]",                  (-60.0, 0.0),                   UFUNC)
each("exp/log",       "unary",   "expm1",      "(-inf, 13]",                  (-40.0, -20.0, 0.0, 1e-10),     UFUNC)
each("exp/log",       "unary",   "log",        POSITIVE,                      (1.0, 1e-8),                    UFUNC)
each("exp/log",       "unary",   "log2",       POSITIVE,                      (1.0, 1e-8),                    UFUNC)
each("exp/log",       "unary",   "log10",      POSITIVE,                      (1.0, 1e-8),                    UFUNC)
each("exp/log",       "unary",   "log1p",      "(-1, inf)",                   (1e-10, -1e-10, 0.0, -0.999),   UFUNC)
each("exp/log",       "binary",  "logaddexp",  (R, R),                        ("tie", 40.0, -40.0, 1000.0),   UFUNC,    "order")
each("exp/log",       "binary",  "logaddexp2", (R, R),                        ("tie", 60.0, -60.0, 1000.0),   UFUNC,    "order")

each("trigonometric", "unary",   "sin",        "[-10000, 10000]",             (0.0, 3.1415926, 5000.0),       UFUNC)
each("trigonometric", "unary",   "cos",        "[-10000, 10000]",             (0.0, 1.5707963, 5000.0),       UFUNC)
each("trigonometric", "unary",   "tan",        "cos != 0",                    (0.0, 1.5, 3.1415926),          UFUNC)
each("trigonometric", "unary",   "csc",        "sin != 0",                    (1.5707963, 1e-3),              FREE)
each("trigonometric", "unary",   "sec",        "cos != 0",                    (0.0, 3.1415926, 1e-8),         FREE)
each("trigonometric", "unary",   "cot",        "sin != 0",                    (1.5707963, 1e-3),              FREE)
each("trigonometric", "unary",   "sinc",       "[-10000, 10000]",             (0.0, 1e-8, -1e-8, 1.0, 0.2),   FREE)
each("trigonometric", "unary",   "arcsin",     INSIDE,                        (0.0, 0.999, -0.999),           UFUNC)
each("trigonometric", "unary",   "arccos",     INSIDE,                        (0.0, 0.999, -0.999),           UFUNC)
each("trigonometric", "unary",   "arctan",     R,                             (0.0, 1e5),                     UFUNC)
each("trigonometric", "binary",  "arctan2",    (NONZERO, R),                  (0.0, 1e5, 1e-4),               UFUNC)
each("trigonometric", "unary",   "arccsc",     FAR,                           (1.001, -1.001, 1e5),           FREE)
each("trigonometric", "unary",   "arcsec",     FAR,                           (1.001, -1.001, 1e5),           FREE)
each("trigonometric", "unary",   "arccot",     NONZERO,                       (1e-4, 1e5),                    FREE)

each("hyperbolic",    "unary",   "sinh",       GROWS,                         (0.0, 1e-8),                    UFUNC)
each("hyperbolic",    "unary",   "cosh",       GROWS,                         (0.0, 1e-8),                    UFUNC)
each("hyperbolic",    "unary",   "tanh",       R,                             (25.0, -25.0, 0.0, 1e-8),       UFUNC)
each("hyperbolic",    "unary",   "csch",       NONZERO,                       (25.0, 1e-4),                   FREE)
each("hyperbolic",    "unary",   "sech",       R,                             (25.0, 0.0, 1e-8),              FREE)
each("hyperbolic",    "unary",   "coth",       NONZERO,                       (25.0, -25.0, 1e-4),            FREE)
each("hyperbolic",    "unary",   "arcsinh",    R,                             (0.0, 1e-8, -1e5, 1e5),         UFUNC)
each("hyperbolic",    "unary",   "arccosh",    "(1, inf)",                    (1.001, 1e5),                   UFUNC)
each("hyperbolic",    "unary",   "arctanh",    INSIDE,                        (0.0, 1e-8, 0.999),             UFUNC)
each("hyperbolic",    "unary",   "arccsch",    NONZERO,                       (1e-4, 1e5),                    FREE)
each("hyperbolic",    "unary",   "arccoth",    FAR,                           (1.001, 1e5),                   FREE)

each("piecewise",     "unary",   "absolute",   R,                             (0.0, -0.0),                    UFUNC,    "at 0")
each("piecewise",     "binary",  "maximum",    (R, R),                        ("tie",),                       UFUNC,    "tie")
each("piecewise",     "binary",  "minimum",    (R, R),                        ("tie",),                       UFUNC,    "tie")
each("piecewise",     "ternary", "clip",       (R, "[-5, 0)", "(0, 5]"),      ("tie",),                       FREE,     "tie")
each("piecewise",     "ternary", "where",      ("booleans", R, R),            ("tie", 0.0),                   FREE)

each("in place",      "update",  "iadd",       (R, R),                        (),                             FREE)
each("in place",      "update",  "isub",       (R, R),                        (),                             FREE)
each("in place",      "update",  "imul",       (R, R),                        (0.0,),                         FREE)
each("in place",      "update",  "itruediv",   (R, NONZERO),                  (0.0, 1e-4),                    FREE)
each("in place",      "update",  "ipow",       (POSITIVE, EXPONENT),          (1.0, 2.0, -1.0),                FREE,     also=(NONZERO, WHOLE))

# -- whole arrays --------------------------------------------------------------------------------------------------------------

def whole(family: str, pattern: str, op: str, shapes: str, params: Parameters, points: tuple[Special, ...] = (), kink: str = "",
          domain: str = R, value: str = R) -> None:
    """One line of the tables of ops that look at more than one element."""
    CATALOGUE[op] = Row(op, family, pattern, (domain,), points, kink, shapes, params, value=value)


#     family            pattern       op              shapes                parameters       special points   kink      domains
whole("linear algebra", "matmul",     "matmul",       "an axis",            p.none,          (0.0,))
whole("linear algebra", "chain",      "multi_matmul", "one or two axes",    p.none,          (0.0,))
whole("linear algebra", "einsum",     "einsum",       "any",                p.none,          (0.0,))
whole("linear algebra", "unary",      "norm",         "an axis, not empty", p.norm,          (1e-4,),         "",       NONZERO, NONZERO)

whole("reductions",     "unary",      "sum",          "any",                p.reduction)
whole("reductions",     "unary",      "mean",         "not empty",          p.reduction)
whole("reductions",     "unary",      "var",          "two elements",       p.spread,        ("tie",))
whole("reductions",     "unary",      "std",          "sides from 2",       p.spread,        ("tie",),        "",       R, POSITIVE)
whole("reductions",     "unary",      "max",          "not empty",          p.reduction,     ("tie",),        "within")
whole("reductions",     "unary",      "min",          "not empty",          p.reduction,     ("tie",),        "within")
whole("reductions",     "unary",      "prod",         "any",                p.reduction,     (0.0, "tie"))
whole("reductions",     "unary",      "cumsum",       "any",                p.scan)
whole("reductions",     "unary",      "cumprod",      "any",                p.scan,          (0.0, "tie"))

whole("shape",          "unary",      "reshape",      "any",                p.reshape)
whole("shape",          "unary",      "ravel",        "any",                p.none)
whole("shape",          "unary",      "flatten",      "any",                p.none)
whole("shape",          "unary",      "squeeze",      "any",                p.squeeze)
whole("shape",          "unary",      "expand_dims",  "any",                p.expansion)
whole("shape",          "unary",      "atleast_1d",   "any",                p.none)
whole("shape",          "unary",      "atleast_2d",   "any",                p.none)
whole("shape",          "unary",      "atleast_3d",   "any",                p.none)
whole("shape",          "unary",      "transpose",    "any",                p.transpose)
whole("shape",          "unary",      "moveaxis",     "an axis",            p.move)
whole("shape",          "unary",      "swapaxes",     "an axis",            p.swap)
whole("shape",          "unary",      "broadcast_to", "any",                p.broadcast)
whole("shape",          "unary",      "roll",         "any",                p.roll)
whole("shape",          "unary",      "repeat",       "any",                p.repeat)

whole("joining",        "joint",      "concatenate",  "an axis",            p.joint)
whole("joining",        "pile",       "stack",        "any",                p.pile)

whole("indexing",       "unary",      "getitem",      "any",                p.encoded_index)
whole("indexing",       "assignment", "setitem",      "any",                p.encoded_index)

# -- networks ------------------------------------------------------------------------------------------------------------------

each("activations",   "unary",   "relu",       R,                             (0.0, -0.0),                    FREE,     "at 0")
each("activations",   "unary",   "leaky_relu", R,                             (0.0, -0.0),                    FREE,     "at 0",   params=p.slope)
each("activations",   "unary",   "elu",        R,                             (0.0, -1e-8, -40.0),            FREE,     "at 0",   params=p.alpha)
each("activations",   "unary",   "selu",       R,                             (0.0, -1e-8, -40.0),            FREE,     "at 0")
each("activations",   "unary",   "sigmoid",    R,                             (0.0, 40.0, -40.0),             FREE)
each("activations",   "unary",   "hard_tanh",  R,                             (1.0, -1.0, 0.5),               FREE,     "bounds", params=p.bounds)
each("activations",   "unary",   "soft_sign",  R,                             (0.0, 1e5, -1e5),               FREE)

#     family            pattern        op              shapes                parameters       special points   kink      domains
whole("activations",    "unary",       "softmax",      "an axis",            p.softmax,       ("tie", 40.0))
whole("activations",    "unary",       "logsoftmax",   "an axis",            p.softmax,       ("tie", 40.0))
whole("activations",    "unary",       "glu",          "an even axis",       p.glu,           (40.0, -40.0))

def several(family: str, pattern: str, op: str, domains: tuple[str, ...], shapes: str, params: Parameters,
            points: tuple[Special, ...] = (), kink: str = "") -> None:
    """One line of the table of ops whose operands each have their own domain."""
    CATALOGUE[op] = Row(op, family, pattern, domains, points, kink, shapes, params)


LABELS, SIGNS, PROBABILITIES, GATES = "integers [0, 9]", "integers [-1, -1] or [1, 1]", "(0, 1]", "[-2, 2]"

#       family          pattern        op                 domain of each operand   shapes               parameters     special points  kink
several("layers",       "convolution", "conv_nd",         (R,),                    "images",            p.none,        (0.0,))
several("layers",       "unary",       "max_pool",        (R,),                    "an axis, not empty", p.pools,      ("tie",),       "within")
several("layers",       "batch",       "batchnorm",       (R,),                    "a batch",           p.epsilon)
several("layers",       "recurrence",  "gru",             (GATES,),                "a sequence",        p.none,        (0.0,))

several("losses",       "labels",      "softmax_crossentropy",    (R, LABELS),     "scores",            p.none,        (40.0, "tie"))
several("losses",       "labels",      "negative_log_likelihood", (R, LABELS),     "scores",            p.none)
several("losses",       "labels",      "focal_loss",      (PROBABILITIES, LABELS), "scores",            p.focal,       (1.0, 0.999, 1e-5))
several("losses",       "labels",      "softmax_focal_loss",      (R, LABELS),     "scores",            p.focal,       (40.0, "tie"))
several("losses",       "labels",      "multiclass_hinge", (R, LABELS),            "scores",            p.hinge,       ("tie", 0.5),   "hinge")
several("losses",       "ranking",     "margin_ranking_loss", (R, R, SIGNS),       "one or two axes, not empty", p.margin, ("tie",),  "margin")

# fmt: on

#: The families, in the order of the catalogue.
FAMILIES = tuple(dict.fromkeys(r.family for r in CATALOGUE.values()))
