"""An op is data: a forward function, one rule per operand, and the textbook formula where libraries use a less accurate one.

Everything else interprets this table: the certificate, the allowance, the mirror, the seeded faults, the tensor.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .. import numbers as s

__all__ = ["OPS", "Op", "elements", "elementwise", "op"]

#: Every op of the reference by name.
OPS: dict[str, Op] = {}

Rule = Callable[..., Any]


@dataclass(frozen=True)
class Op:
    """One differentiable operation.

    Parameters
    ----------
    name : str
        As NumPy names it.
    forward : callable
        ``forward(*operands, **params)`` gives the value.
    rules : tuple of callables
        ``rules[k](g, y, *operands, **params)`` pulls the cotangent ``g`` of the value ``y`` back to operand k: a
        vector-Jacobian product. None marks an operand that has no gradient (a condition).
    variadic : bool
        The op takes any number of operands; then the one rule is called as ``rule(k, g, y, *operands, **params)``.
    textbook : tuple of callables, optional
        The formula that libraries commonly use in place of the rule, where it loses digits that the rule keeps.
        It only ever separates `lossy` from `wrong`.
    elementwise : bool
        The op broadcasts, and its rules give arrays of the value's shape; gradients are summed back to the operand's shape.
    textbook_value : callable, optional
        The same for the value: the formula that libraries commonly use in place of `forward`, where it loses digits.
    room : callable, optional
        ``room(*shapes, **params)`` bounds how many elements, or products, are made on the way to the value. Left
        out where these are the operands' own, or for an elementwise op those that they broadcast to.
    """

    name: str
    forward: Rule
    rules: tuple[Rule | None, ...]
    variadic: bool = False
    textbook: tuple[Rule | None, ...] | None = None
    elementwise: bool = False
    textbook_value: Rule | None = None
    room: Callable[..., int] | None = None

    def pull(self, k: int, g: Any, y: Any, operands: Sequence[Any], params: Mapping[str, Any], textbook: bool = False) -> Any:
        """The cotangent of operand `k`, in its shape."""
        rules = self.textbook if textbook and self.textbook is not None else self.rules
        if self.variadic:
            rule = rules[0]
            assert rule is not None
            return rule(k, g, y, *operands, **params)
        rule = rules[k]
        if rule is None:
            return None
        out = rule(g, y, *operands, **params)
        if not self.elementwise or (type(out) is np.ndarray and out.shape == operands[k].shape):
            return out
        return unbroadcast(out, np.shape(operands[k]))

    def differentiable(self, k: int) -> bool:
        """Whether operand `k` can have a gradient."""
        return self.variadic or (k < len(self.rules) and self.rules[k] is not None)

    @cached_property
    def parameters(self) -> frozenset[str]:
        """The names of its parameters."""
        every = inspect.signature(self.forward).parameters.values()
        operands = [p for p in every if p.kind is p.POSITIONAL_OR_KEYWORD]
        own = [p for p in every if p.kind is p.KEYWORD_ONLY] + operands[len(operands) if self.variadic else len(self.rules) :]
        return frozenset(p.name for p in own) | (UFUNC if self.elementwise else frozenset())

    def needs(self, shapes: Sequence[tuple[int, ...]], params: Mapping[str, Any]) -> int:
        """How many elements, or products, are made on the way to the value, at most."""
        if self.room is not None:
            return self.room(*shapes, **params)
        return elements(np.broadcast_shapes(*shapes)) if self.elementwise else sum(map(elements, shapes))


#: The parameters that NumPy's universal functions take.
UFUNC = frozenset({"where", "dtype"})


def elements(shape: Sequence[int]) -> int:
    """How many elements an array of a shape has; an axis of none counts as one, since a reduction may leave the others.

    Examples
    --------
    >>> elements((2, 0, 3))
    6
    """
    return math.prod(max(n, 1) for n in shape)


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum `g` over the axes along which an operand of `shape` was broadcast."""
    if np.shape(g) == shape:
        return g
    extra = np.ndim(g) - len(shape)
    axes = tuple(range(extra)) + tuple(extra + a for a, n in enumerate(shape) if n == 1 and np.shape(g)[extra + a] != 1)
    return s.add_reduce(g, axes, keepdims=True).reshape(shape) if axes else g.reshape(shape)


def op(name: str, forward: Rule, *rules: Rule | None, **more: Any) -> None:
    """Add an op to the table."""
    OPS[name] = Op(name, forward, rules, **more)


def elementwise(name: str, forward: Rule, *rules: Rule | None, textbook: Any = None, **more: Any) -> None:
    """Add an elementwise op to the table; a single textbook rule need not be in a tuple."""
    if callable(textbook):
        textbook = (textbook,)
    OPS[name] = Op(name, forward, rules, elementwise=True, textbook=textbook, **more)
