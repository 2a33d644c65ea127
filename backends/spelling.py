"""What several backends have in common: how a program is evaluated, and how ops are composed."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from ..oracle.program import Program, as_tuple, decode_index
from ..oracle.protocol import Unsupported

__all__ = [
    "Spelling", "composed", "composed_words", "evaluate", "no_out", "python_params", "writes_twice",
]  # fmt: skip

#: ``(*operands, **params) -> value``: how a backend spells an op that it does not spell as NumPy does.
Spelling = Callable[..., Any]


def python_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """A step's JSON parameters as Python has them: tuples for lists, an index for an encoded index, an array for a mask."""
    out: dict[str, Any] = {}
    for key, value in params.items():
        if key == "index":
            out[key] = decode_index(value)
        elif key == "where":
            out[key] = value if isinstance(value, bool) else np.asarray(value)
        else:
            out[key] = as_tuple(value)
    return out


def evaluate(program: Program, leaves: Sequence[Any], apply: Callable[[str, list[Any], dict[str, Any]], Any]) -> list[Any]:
    """All values of a program, the leaves first; ``apply(op, operands, params)`` computes one step in the library's words.

    Raises
    ------
    Unsupported
        Where the library itself raises `NotImplementedError`.
    """
    values = list(leaves)
    for step in program.steps:
        try:
            values.append(apply(step.op, [values[a] for a in step.args], python_params(step.params)))
        except NotImplementedError as lacking:
            raise Unsupported(f"{step.op}: {lacking}") from lacking
    return values


# -- what several libraries have in common -------------------------------------------------------------------------------------


def composed(xp: Any) -> dict[str, Spelling]:
    """The ops that NumPy has no function for, written as its users write them, with the functions of the namespace `xp`."""

    def side(x: Any) -> Any:
        return xp.sign(x) + (x == 0)

    return {
        "csc": lambda x: 1 / xp.sin(x),
        "sec": lambda x: 1 / xp.cos(x),
        "cot": lambda x: 1 / xp.tan(x),
        "csch": lambda x: 1 / xp.sinh(x),
        "sech": lambda x: 1 / xp.cosh(x),
        "coth": lambda x: 1 / xp.tanh(x),
        "arccsc": lambda x: xp.arcsin(1 / x),
        "arcsec": lambda x: xp.arccos(1 / x),
        "arccot": lambda x: xp.arctan2(side(x), side(x) * x),  # arctan(1 / x), without the pole at 0
        "arccsch": lambda x: xp.arcsinh(1 / x),
        "arccoth": lambda x: xp.arctanh(1 / x),
        "add_sequence": lambda *xs: reduce(operator.add, xs),
        "multiply_sequence": lambda *xs: reduce(operator.mul, xs),
    }


def composed_words(xp: str) -> dict[str, str]:
    """The same as templates of a ``SCRIPT``, with the functions of the module called `xp`, and with ``functools.reduce``."""
    words = {
        "csc": "1 / xp.sin({0})",
        "sec": "1 / xp.cos({0})",
        "cot": "1 / xp.tan({0})",
        "csch": "1 / xp.sinh({0})",
        "sech": "1 / xp.cosh({0})",
        "coth": "1 / xp.tanh({0})",
        "arccsc": "xp.arcsin(1 / {0})",
        "arcsec": "xp.arccos(1 / {0})",
        "arccot": "xp.arctan2(xp.sign({0}) + ({0} == 0), (xp.sign({0}) + ({0} == 0)) * {0})",
        "arccsch": "xp.arcsinh(1 / {0})",
        "arccoth": "xp.arctanh(1 / {0})",
        "add_sequence": "reduce(xp.add, [{xs}])",
        "multiply_sequence": "reduce(xp.multiply, [{xs}])",
    }
    return {op: "{y} = " + text.replace("xp.", f"{xp}.") for op, text in words.items()}


def no_out(library: str, params: Mapping[str, Any]) -> None:
    """Say so where a step has NumPy's ``where=`` and ``out=``, and the library cannot differentiate a write into ``out``."""
    if "where" in params:
        raise Unsupported(f"{library} has no differentiable out= with where=")


def writes_twice(shape: tuple[int, ...], index: Any) -> bool:
    """Whether ``x[index] = …`` writes an element of an array of `shape` more than once: the order is NumPy's own promise."""
    places = np.arange(math.prod(shape)).reshape(shape)[index]
    return bool(np.unique(places).size < places.size)
