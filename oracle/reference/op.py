"""An op is data: a forward function, one rule per operand, and the textbook formula where libraries use a less accurate one.

Everything else interprets this table: the certificate, the allowance, the mirror, the seeded faults, the tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import numbers as s

__all__ = ["OPS", "Op", "elementwise", "op"]

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
    """

    name: str
    forward: Rule
    rules: tuple[Rule | None, ...]
    variadic: bool = False
    textbook: tuple[Rule | None, ...] | None = None
    elementwise: bool = False
    textbook_value: Rule | None = None

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
