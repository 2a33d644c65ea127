"""Errors in one sentence: the value, the rule, the remedy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .op import Op

__all__ = ["ClearedGraph", "explained"]


class ClearedGraph(RuntimeError):
    """Gradients were asked for through a computation that an earlier `backward` has cleared."""

    def __init__(self, value: np.ndarray) -> None:
        super().__init__(
            f"backward needs how a value of shape {value.shape} was used, and an earlier backward has cleared that: "
            "a computation can be differentiated once; call backward on the sum of the results, or compute again"
        )


def explained(op: Op, operands: Sequence[Any], params: Mapping[str, Any], problem: Exception) -> Exception:
    """The same kind of exception with a sentence that says what to do; `problem` itself where there is nothing to add."""
    shapes = [np.shape(x) for x in operands]
    sentence = None
    if op.name in SENTENCES:
        sentence = SENTENCES[op.name](shapes, **params)
    elif (op.elementwise or op.name.endswith("_sequence")) and not _broadcast(*shapes):
        sentence = (
            f"shapes {_listed(shapes)} do not broadcast: counted from the last axis, lengths must be equal or 1; "
            "reshape one of them"
        )
    return type(problem)(f"{op.name}: {sentence}") if sentence else problem


def _listed(things: Sequence[Any]) -> str:
    return " and ".join([", ".join(map(str, things[:-1])), str(things[-1])] if len(things) > 1 else map(str, things))


def _broadcast(*shapes: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


def _matmul(shapes: Sequence[tuple[int, ...]]) -> str | None:
    if not all(shapes):
        return f"shapes {_listed(shapes)}: a scalar is no matrix; use multiply"
    for first, second in zip(shapes, shapes[1:], strict=False):
        inner = second[-2:][0]  # of a vector the only axis
        if first[-1] != inner:
            return (
                f"shapes {_listed(shapes)} do not fit: the first's last axis has {first[-1]} elements and must have as many "
                f"as the second's next-to-last (or only) axis, {inner}; transpose or reshape one of them"
            )
    return f"the stacks of shapes {_listed(shapes)} do not broadcast: all axes but the last two must be equal or 1; reshape one"


def _reshape(shapes: Sequence[tuple[int, ...]], shape: Any) -> str | None:
    wanted = (shape,) if isinstance(shape, int) else tuple(shape)
    if math.prod(wanted) == math.prod(shapes[0]):
        return None
    return (
        f"a tensor of shape {shapes[0]} has {math.prod(shapes[0])} elements, and shape {wanted} does not hold as many; "
        "choose one that does (one axis may be -1: what is left)"
    )


def _broadcast_to(shapes: Sequence[tuple[int, ...]], shape: Any) -> str:
    return (
        f"shape {shapes[0]} does not broadcast to {shape}: counted from the last axis, lengths must be equal or 1; reshape it"
    )


def _join(shapes: Sequence[tuple[int, ...]], axis: Any = 0) -> str | None:
    if not shapes:
        return "nothing to join: give at least one tensor"
    if all(shapes):
        return (
            f"shapes {_listed(shapes)} do not fit along axis {axis}: all other axes must be equally long; reshape or index them"
        )
    return f"shapes {_listed(shapes)}: a scalar has no axis to join along; use stack"


def _stack(shapes: Sequence[tuple[int, ...]], axis: Any = 0) -> str | None:
    if not shapes:
        return "nothing to stack: give at least one tensor"
    return f"shapes {_listed(shapes)} differ: all must be the same; broadcast or index them" if len(set(shapes)) > 1 else None


def _setitem(shapes: Sequence[tuple[int, ...]], index: Any) -> str | None:
    try:
        room = np.broadcast_to(0, shapes[0])[index].shape
    except IndexError:
        return None
    if _broadcast(room, shapes[1]) and np.broadcast_shapes(room, shapes[1]) == room:
        return None
    return f"a value of shape {shapes[1]} does not fit the place of shape {room}: it must broadcast to it; index or reshape it"


def _einsum(shapes: Sequence[tuple[int, ...]], subscripts: str) -> str | None:
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        return f"{subscripts!r} names {len(terms)} operands and {len(shapes)} are given: write one term per operand"
    labels = sorted({c for c in left if c.isalpha()})
    for c in output.replace("...", ""):
        if c not in labels:
            return f"{subscripts!r} has the output index {c!r}, which no operand has: write only {_listed(labels)} after '->'"
        if output.count(c) > 1:
            return f"{subscripts!r} has the output index {c!r} twice: write it once"
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        if "..." not in term:
            if len(term) != len(shape):
                return f"{term!r} has {len(term)} indices for an operand of shape {shape}: write one per axis, or '...'"
            for c, n in zip(term, shape, strict=True):
                if sizes.setdefault(c, n) != n and 1 not in (n, sizes[c]):
                    return f"index {c!r} of {subscripts!r} is {sizes[c]} long in one place and {n} in another: they must agree"
                sizes[c] = n if sizes[c] == 1 else sizes[c]
    return None


#: The sentences about ops that do more than broadcast.
SENTENCES: dict[str, Any] = {
    "matmul": _matmul,
    "multi_matmul": _matmul,
    "reshape": _reshape,
    "broadcast_to": _broadcast_to,
    "concatenate": _join,
    "stack": _stack,
    "setitem": _setitem,
    "einsum": _einsum,
}
