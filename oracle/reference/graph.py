"""Values that remember how they were computed, and the backward pass from one of them to all that it depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from operator import attrgetter
from typing import Any

import numpy as np

from ..dtypes import is_number, is_real
from ..program import Step, encode_index
from .errors import ClearedGraph, explained
from .evaluate import step_forward, step_pull
from .op import Op

__all__ = ["Node", "compute", "laid_out", "pull_back"]

_serial = count().__next__

#: No parameters.
NOTHING: Mapping[str, Any] = {}


class Node:
    """One value of a computation: immutable except for its gradient, whereas a tensor may come to denote another value.

    Parameters
    ----------
    data : ndarray
    constant : bool
        Whether no gradient is computed for it.
    op : Op, optional
        The op that computed it; None for a value that was given.
    operands : tuple
        Nodes, and the arrays and Python numbers among the operands.
    params : mapping
        Keyword parameters of the op, as Python has them.
    """

    __slots__ = ("cleared", "constant", "data", "grad", "op", "operands", "params", "serial")

    def __init__(
        self,
        data: np.ndarray,
        constant: bool,
        op: Op | None = None,
        operands: tuple[Any, ...] = (),
        params: Mapping[str, Any] = NOTHING,
    ) -> None:
        self.data = data
        self.constant = constant
        self.op = op
        self.operands = operands
        self.params = params
        self.grad: np.ndarray | None = None
        self.cleared = False
        self.serial = _serial()

    def __repr__(self) -> str:
        """`multiply`, say, or `given`."""
        return self.op.name if self.op is not None else "given"

    def step(self, args: tuple[int, ...] = ()) -> Step:
        """The computation of this value, as a step of a program."""
        assert self.op is not None
        return Step(self.op.name, args, {key: _as_recorded(key, value) for key, value in self.params.items()})


def _as_recorded(key: str, value: Any) -> Any:
    """A parameter as in programs: plain data."""
    if key == "index":
        return encode_index(value)
    if isinstance(value, (tuple, list)):
        return [_as_recorded("", v) for v in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


#: Plain arrays are indexed by NumPy itself: basic indices give views, and no positions are computed.
NATIVE: dict[str, Callable[..., np.ndarray]] = {
    "getitem": lambda x, index: x[index],
    "flatten": lambda x: x.flatten(),
}


def _assigned(x: np.ndarray, value: np.ndarray, index: Any) -> np.ndarray:
    out = x.copy(order="K")
    out[index] = value
    return out


NATIVE["setitem"] = _assigned


def _value(op: Op, operands: Sequence[Any], params: Mapping[str, Any]) -> np.ndarray:
    if op.name in NATIVE:
        out = NATIVE[op.name](*operands, **params)
    elif params and op.elementwise:
        out = step_forward(Step(op.name, (), params), operands)
    else:
        out = op.forward(*operands, **params)
    return out if type(out) is np.ndarray else np.asarray(out)


def compute(
    op: Op, operands: tuple[Any, ...], params: Mapping[str, Any] = NOTHING, constant: bool | None = None, remember: bool = False
) -> Node:
    """Apply an op to nodes, arrays and numbers.

    Parameters
    ----------
    op : Op
    operands : tuple
    params : mapping
    constant : bool, optional
        Whether the result is a constant; left out, it is one if all operands are.
    remember : bool
        Whether constants also remember how they were computed.
    """
    fixed, values = True, []
    for x in operands:
        if type(x) is Node:
            values.append(x.data)
            fixed = fixed and x.constant
        else:
            values.append(x)
    try:
        data = _value(op, values, params)
    except (ValueError, TypeError) as problem:
        raise explained(op, values, params, problem) from problem
    if not is_real(data.dtype):
        if not is_number(data.dtype):
            raise TypeError(f"{op.name} gives {data.dtype}: tensors hold real floats, integers and booleans only")
        if constant is False:
            raise ValueError(f"{op.name} gives {data.dtype}, which has no derivative: only float tensors can be variables")
        fixed = True
    elif constant is not None:
        fixed = constant
    return Node(data, fixed) if fixed and not remember else Node(data, fixed, op, operands, params)


def pull_back(terminus: Node, seed: np.ndarray) -> None:
    """Store in every variable upstream of `terminus` the derivative of the sum of ``terminus * seed``, and clear the graph.

    Raises
    ------
    ClearedGraph
        Where an earlier pass has cleared part of the graph; then nothing has changed.
    """
    order = _upstream(terminus)
    for node in order:
        node.grad = None
    terminus.grad = seed
    for node in order:
        g = node.grad
        if g is None or node.op is None:
            continue
        values = [x.data if type(x) is Node else x for x in node.operands]
        for k, x in enumerate(node.operands):
            if type(x) is Node and not x.constant:
                pulled = _pulled(node, k, g, values)
                if pulled is not None:
                    _accumulate(x, pulled, g)
    for node in order:
        node.op, node.operands, node.params, node.cleared = None, (), NOTHING, True


def _upstream(terminus: Node) -> list[Node]:
    """The variables that a value depends on, itself included, the latest first: so that consumers come before operands."""
    reached, stack = {terminus}, [terminus]
    while stack:
        for x in stack.pop().operands:
            if type(x) is Node and not x.constant and x not in reached:
                if x.cleared:
                    raise ClearedGraph(x.data)
                reached.add(x)
                stack.append(x)
    return sorted(reached, key=attrgetter("serial"), reverse=True)


def _pulled(node: Node, k: int, g: np.ndarray, values: Sequence[Any]) -> Any:
    op, params = node.op, node.params
    assert op is not None
    if params and op.elementwise:
        return step_pull(node.step(), k, g, node.data, values)
    if "index" in params:
        params = node.step().params
    return op.pull(k, g, node.data, values, dict(params))


def _accumulate(x: Node, pulled: Any, g: np.ndarray) -> None:
    """Add to a gradient. The first part becomes the gradient itself if it owns its memory and is laid out like the data."""
    if x.grad is not None:
        x.grad += pulled
        return
    own = type(pulled) is np.ndarray and pulled.base is None and pulled is not g and pulled.dtype == x.data.dtype
    x.grad = pulled if own and _alike(pulled, x.data) else laid_out(pulled, x.data)


def _alike(g: np.ndarray, data: np.ndarray) -> bool:
    """Whether a gradient has the data's memory layout: then an index that takes a view of one takes a view of the other."""
    return g.flags.c_contiguous if data.flags.c_contiguous else g.strides == data.strides


def laid_out(g: Any, data: np.ndarray) -> np.ndarray:
    """A copy of a gradient, of the data's dtype and layout."""
    out = np.empty_like(data)
    out[...] = g
    return out
