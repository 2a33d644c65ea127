"""Rules: the lines of Python that a script of tensors can have, with holes, and the operands that fit.

All numbers in a script are small dyadic ones, and the bits that they could need are counted beforehand (`BITS`), so that every
sum and product on the way is exact in any order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["BITS", "FITS", "ROOM", "RULES", "SEMANTICS", "Rule"]

#: No tensor has more elements.
ROOM = 16
#: The rows that scripts are reported in. Each draws its own rules more often than those of the others.
SEMANTICS = CREATE, OPERATE, VIEW, UPDATE, BACKWARD = tuple(
    f"semantics_{word}" for word in ("create", "operate", "view", "update", "backward")
)


def _log(n: int) -> int:
    return max(n - 1, 0).bit_length()


#: The bits that a result needs, from those that its operands need (a, b) and the first one's number of elements (n). Every
#: value is a polynomial in the given numbers. The same polynomial with all signs positive, at 1 + their magnitudes, bounds
#: every sum of magnitudes on the way to the value, and on the way to its derivative with respect to any intermediate value;
#: halves count as binary places. (For a divisor b, a power of two, u = 1/b is such a number, and its own derivative is u².)
BITS: dict[str, Callable[[int, int, int], int]] = {
    "kept": lambda a, b, n: max(a, b),
    "sum": lambda a, b, n: max(a, b) + 1,
    "product": lambda a, b, n: a + b,
    "quotient": lambda a, b, n: a + 4 * b,
    "square": lambda a, b, n: 2 * max(a, b),
    "cube": lambda a, b, n: 3 * a,
    "total": lambda a, b, n: a + _log(n),
    "average": lambda a, b, n: a + 2 * _log(n),
    "all multiplied": lambda a, b, n: a * n,
    "contraction": lambda a, b, n: a + b + _log(n),
    "free": lambda a, b, n: 0,
}


def result_shape(a: np.ndarray, b: np.ndarray) -> tuple[int, ...] | None:
    """The shape that two arrays broadcast to; None if they do not."""
    try:
        return np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return None


def _halves(b: np.ndarray) -> bool:
    """Whether dividing by all of these numbers is exact."""
    return bool((np.abs(b) > 0).all() and (np.frexp(np.abs(np.asarray(b, np.float64)))[0] == 0.5).all())


#: Which operands fit a rule.
FITS: dict[str, Callable[[np.ndarray, np.ndarray], bool]] = {
    "any": lambda a, b: True,
    "few": lambda a, b: a.size <= 4,
    "squeezable": lambda a, b: 1 in a.shape,
    "halvable": lambda a, b: set(a.shape) <= {1, 2, 4},
    "flat": lambda a, b: a.ndim < 2,
    "axes": lambda a, b: a.ndim > 0,
    "two axes": lambda a, b: a.ndim > 1,
    "one": lambda a, b: a.size == 1,
    "broadcast": lambda a, b: (shape := result_shape(a, b)) is not None and math.prod(shape) <= ROOM,
    "into": lambda a, b: result_shape(a, b) == a.shape,
    "divided": lambda a, b: FITS["broadcast"](a, b) and _halves(b),
    "divided into": lambda a, b: FITS["into"](a, b) and _halves(b),
    "stacked": lambda a, b: a.shape == b.shape and 3 * a.size <= ROOM,
    "joined": lambda a, b: a.ndim == b.ndim > 0 and a.shape[1:] == b.shape[1:] and a.size + b.size <= ROOM,
    "alike": lambda a, b: a.shape == b.shape and a.ndim > 0,
    "matrices": lambda a, b: (
        0 < a.ndim <= 2 and 0 < b.ndim <= 2 and a.shape[-1] == b.shape[0] and math.prod(a.shape[:-1] + b.shape[1:]) <= ROOM
    ),
}


@dataclass(frozen=True)
class Rule:
    """A line that can be written in a script.

    Parameters
    ----------
    row : str
        One of `SEMANTICS`.
    name : str
        Rules that share a name are drawn as one.
    line : str
        With holes: ``{new}`` is a name to bind, ``{a}`` a tensor, ``{b}`` a tensor, array, list or number; see
        `adjudge.strategies.scripts.HOLES`.
    bits : str
        One of `BITS`.
    fits : str
        One of `FITS`.
    """

    row: str
    name: str
    line: str
    bits: str = "kept"
    fits: str = "any"


RULES = (
    #    row       name        line                                                      bits               operands
    Rule(CREATE,   "create",   "{new} = lib.tensor({numbers}{dtype}{constant})"),
    Rule(CREATE,   "create",   "{new} = lib.tensor({b}{constant})"),
    Rule(CREATE,   "create",   "{new} = lib.tensor({array}, copy=False{constant})"),
    Rule(CREATE,   "create",   "{new} = lib.astensor({b}{constant})"),
    Rule(CREATE,   "create",   "{new} = lib.{made}"),
    Rule(CREATE,   "create",   "{new} = {a}.copy()"),
    Rule(CREATE,   "create",   "{new} = {a}.astype({float})"),
    Rule(CREATE,   "array",    "{arr} = np.array({numbers}{dtype})"),
    Rule(CREATE,   "array",    "{arr} = np.asarray({a})"),
    Rule(CREATE,   "array",    "{arr} = lib.asarray({a})"),
    Rule(CREATE,   "array",    "{arr} = {graded}.grad"),
    Rule(OPERATE,  "sign",     "{new} = -{a}"),
    Rule(OPERATE,  "sign",     "{new} = +{a}"),
    Rule(OPERATE,  "sign",     "{new} = lib.negative({a}{constant})"),
    Rule(OPERATE,  "sign",     "{new} = np.positive({a})"),
    Rule(OPERATE,  "sign",     "{new} = {a} ** 1"),
    Rule(OPERATE,  "power",    "{new} = {a} ** 2",                                        "square"),
    Rule(OPERATE,  "power",    "{new} = {a} ** 3",                                        "cube"),
    Rule(OPERATE,  "power",    "{new} = lib.square({a}{constant})",                       "square"),
    Rule(OPERATE,  "power",    "{new} = np.square({a})",                                  "square"),
    Rule(OPERATE,  "power",    "{new} = {a} * {a}",                                       "square"),
    Rule(OPERATE,  "add",      "{new} = {a} + {b}",                                       "sum",             "broadcast"),
    Rule(OPERATE,  "add",      "{new} = {b} + {a}",                                       "sum",             "broadcast"),
    Rule(OPERATE,  "add",      "{new} = {a} - {b}",                                       "sum",             "broadcast"),
    Rule(OPERATE,  "add",      "{new} = {b} - {a}",                                       "sum",             "broadcast"),
    Rule(OPERATE,  "add",      "{new} = lib.add({a}, {b}{constant})",                     "sum",             "broadcast"),
    Rule(OPERATE,  "add",      "{new} = np.subtract({a}, {b})",                           "sum",             "broadcast"),
    Rule(OPERATE,  "multiply", "{new} = {a} * {b}",                                       "product",         "broadcast"),
    Rule(OPERATE,  "multiply", "{new} = {b} * {a}",                                       "product",         "broadcast"),
    Rule(OPERATE,  "multiply", "{new} = lib.multiply({a}, {b}{constant})",                "product",         "broadcast"),
    Rule(OPERATE,  "multiply", "{new} = np.multiply({b}, {a})",                           "product",         "broadcast"),
    Rule(OPERATE,  "multiply", "{new} = {a} / {b}",                                       "quotient",        "divided"),
    Rule(OPERATE,  "multiply", "{new} = np.divide({a}, {b})",                             "quotient",        "divided"),
    Rule(OPERATE,  "reduce",   "{new} = {a}.sum({axis})",                                 "total"),
    Rule(OPERATE,  "reduce",   "{new} = lib.sum({a}, {axis})",                            "total"),
    Rule(OPERATE,  "reduce",   "{new} = np.sum({a}, {axis})",                             "total"),
    Rule(OPERATE,  "reduce",   "{new} = {a}.mean({axis})",                                "average",         "halvable"),
    Rule(OPERATE,  "reduce",   "{new} = np.mean({a}, {axis})",                            "average",         "halvable"),
    Rule(OPERATE,  "reduce",   "{new} = {a}.prod()",                                      "all multiplied",  "few"),
    Rule(OPERATE,  "reduce",   "{new} = np.cumsum({a})",                                  "total"),
    Rule(OPERATE,  "contract", "{new} = {a} @ {b}",                                       "contraction",     "matrices"),
    Rule(OPERATE,  "contract", "{new} = lib.matmul({a}, {b}{constant})",                  "contraction",     "matrices"),
    Rule(OPERATE,  "contract", "{new} = np.matmul({a}, {b})",                             "contraction",     "matrices"),
    Rule(OPERATE,  "contract", "{new} = np.einsum('i...,i...->...', {a}, {b})",           "contraction",     "alike"),
    Rule(OPERATE,  "contract", "{new} = lib.einsum({one}, {a}{constant})",                "total"),
    Rule(OPERATE,  "join",     "{new} = np.concatenate([{a}, {b}])",                      "kept",            "joined"),
    Rule(OPERATE,  "join",     "{new} = lib.concatenate([{b}, {a}]{constant})",           "kept",            "joined"),
    Rule(OPERATE,  "join",     "{new} = lib.stack([{a}, {b}, {a}])",                      "kept",            "stacked"),
    Rule(OPERATE,  "join",     "{new} = np.where({mask}, {a}, {b})",                      "kept",            "into"),
    Rule(OPERATE,  "join",     "{new} = np.roll({a}, 1)"),
    Rule(OPERATE,  "join",     "{new} = lib.repeat({a}, 2)",                              "kept",            "few"),
    Rule(OPERATE,  "join",     "{new} = {a}.flatten()"),
    Rule(OPERATE,  "join",     "{new} = {a}[{places}]",                                   "kept",            "axes"),
    Rule(OPERATE,  "tell",     "answer = {a} > {b}",                                      "free",            "broadcast"),
    Rule(OPERATE,  "tell",     "answer = {b} == {a}",                                     "free",            "broadcast"),
    Rule(OPERATE,  "tell",     "answer = np.isfinite({a})",                               "free"),
    Rule(OPERATE,  "tell",     "answer = repr({a}).replace('-0.', '0.').split()",         "free"),
    Rule(OPERATE,  "tell",     "answer = {a}.item()",                                     "free",            "one"),
    Rule(OPERATE,  "tell",     "answer = float({a})",                                     "free",            "one"),
    Rule(OPERATE,  "tell",     "answer = len({a})",                                       "free",            "axes"),
    Rule(OPERATE,  "tell",     "answer = ({a}.ndim, {a}.size)",                           "free"),
    Rule(VIEW,     "view",     "{new} = {a}[{index}]"),
    Rule(VIEW,     "view",     "{new} = {a}.reshape({shape})"),
    Rule(VIEW,     "view",     "{new} = lib.reshape({a}, {shape}{constant})"),
    Rule(VIEW,     "view",     "{new} = np.reshape({a}, {shape})"),
    Rule(VIEW,     "view",     "{new} = {a}.T"),
    Rule(VIEW,     "view",     "{new} = np.transpose({a})"),
    Rule(VIEW,     "view",     "{new} = {a}.ravel()"),
    Rule(VIEW,     "view",     "{new} = np.squeeze({a})",                                 "kept",            "squeezable"),
    Rule(VIEW,     "view",     "{new} = lib.expand_dims({a}, 0)"),
    Rule(VIEW,     "view",     "{new} = lib.swapaxes({a}, 0, -1)",                        "kept",            "axes"),
    Rule(VIEW,     "view",     "{new} = np.moveaxis({a}, 0, 1)",                          "kept",            "two axes"),
    Rule(VIEW,     "view",     "{new} = lib.broadcast_to({a}, (2, *{a}.shape))",          "kept",            "few"),
    Rule(VIEW,     "view",     "{new} = lib.atleast_2d({a})",                             "kept",            "flat"),
    Rule(UPDATE,   "update",   "{a} += {b}",                                              "sum",             "into"),
    Rule(UPDATE,   "update",   "{a} -= {b}",                                              "sum",             "into"),
    Rule(UPDATE,   "update",   "{a} *= {b}",                                              "product",         "into"),
    Rule(UPDATE,   "update",   "{a} /= {b}",                                              "quotient",        "divided into"),
    Rule(UPDATE,   "update",   "{a} **= 2",                                               "square"),
    Rule(UPDATE,   "update",   "{a}[{index}] = {b}",                                      "kept",            "into"),
    Rule(UPDATE,   "update",   "{a}[{places}] = {b}",                                     "kept",            "into"),
    Rule(UPDATE,   "update",   "{a}[{index}] *= {b}",                                     "product",         "into"),
    Rule(UPDATE,   "update",   "np.add({a}, {b}, out={a})",                               "sum",             "into"),
    Rule(UPDATE,   "update",   "lib.multiply({b}, {b}, out={a})",                         "square",          "into"),
    Rule(UPDATE,   "descend",  "{descending}.data -= 0.5 * {descending}.grad"),
    Rule(UPDATE,   "write",    "{idle}.data[...] = {number}"),
    Rule(UPDATE,   "write",    "{loose}[...] = {number}"),
    Rule(BACKWARD, "backward", "{a}.backward()",                                          "total"),
    Rule(BACKWARD, "backward", "{a}.backward({b})",                                       "contraction",     "into"),
    Rule(BACKWARD, "null",     "{graded}.null_grad()"),
    Rule(BACKWARD, "forget",   "del {a}"),
    Rule(BACKWARD, "forget",   "del {array}"),
)  # fmt: skip
