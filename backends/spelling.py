"""Spellings that several libraries share: of ops that NumPy has no function for, of updates, and of assignments."""

from __future__ import annotations

__all__ = ["REDUCE", "WRITES_TWICE", "arithmetic", "composed", "updates"]

#: The ops that NumPy has no function for, written as its users write them, with the functions of a module ``xp``.
COMPOSED = {
    "csc": "1 / xp.sin({0})",
    "sec": "1 / xp.cos({0})",
    "cot": "xp.cos({0}) / xp.sin({0})",  # the second derivative of 1 / tan(x) cancels where the tangent is large
    "csch": "1 / xp.sinh({0})",
    "sech": "1 / xp.cosh({0})",
    "coth": "1 / xp.tanh({0})",
    "arccsc": "xp.arcsin(1 / {0})",
    "arcsec": "xp.arccos(1 / {0})",
    "arccot": "xp.arctan2(xp.sign({0}) + ({0} == 0), (xp.sign({0}) + ({0} == 0)) * {0})",  # arctan(1 / x), no pole at 0
    "arccsch": "xp.arcsinh(1 / {0})",
    "arccoth": "xp.arctanh(1 / {0})",
    "add_sequence": "reduce(operator.add, [{xs}])",
    "multiply_sequence": "reduce(operator.mul, [{xs}])",
}
#: The updates in place: their signs without the "=", and NumPy's functions.
UPDATES = {
    "iadd": ("+", "add"),
    "isub": ("-", "subtract"),
    "imul": ("*", "multiply"),
    "itruediv": ("/", "divide"),
    "ipow": ("**", "power"),
}  # fmt: skip

#: The helpers that `composed` needs.
REDUCE = """
import operator
from functools import reduce
"""
#: A helper for libraries that leave open which value stays where an assignment repeats an element; NumPy promises it.
WRITES_TWICE = """
def writes_twice(shape, index):
    places = np.arange(int(np.prod(shape))).reshape(shape)[index]
    return np.unique(places).size < places.size
"""


def composed(xp: str) -> dict[str, str]:
    """How a library spells the ops that it composes, with the functions of the module that it calls `xp`."""
    return {op: text.replace("xp.", f"{xp}.") for op, text in COMPOSED.items()}


def arithmetic(template: str) -> dict[str, str]:
    """How a library spells what its operators do, where for "add" SIGN stands for "+"."""
    return {function: template.replace("SIGN", sign) for sign, function in UPDATES.values()}


def updates(template: str) -> dict[str, str]:
    """How a library spells the updates in place, where for ``+=`` SIGN stands for "+", and FUNCTION for "add"."""
    return {op: template.replace("SIGN", sign).replace("FUNCTION", function) for op, (sign, function) in UPDATES.items()}
