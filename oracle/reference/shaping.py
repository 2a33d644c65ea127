"""Shape ops, joining and indexing: elements move, and their cotangents move back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..numbers import add_reduce, boxed, is_object, lift, normalise_axes
from ..program import as_tuple, decode_index
from .op import elements, op, unbroadcast

# -- one operand: the cotangent is moved back ----------------------------------------------------------------------------------


def _reshaped(g: Any, y: Any, x: Any, **params: Any) -> Any:
    return g.reshape(x.shape)


def reshaping(name: str, forward: Any) -> None:
    """An op that only changes the shape."""
    op(name, forward, _reshaped)


reshaping("reshape", lambda x, shape: x.reshape(as_tuple(shape)))
reshaping("ravel", lambda x: x.ravel())
reshaping("flatten", lambda x: x.reshape(-1))
reshaping("squeeze", lambda x, axis=None: np.squeeze(x, as_tuple(axis)))
reshaping("expand_dims", lambda x, axis: np.expand_dims(x, as_tuple(axis)))
reshaping("atleast_1d", lambda x: np.atleast_1d(x))
reshaping("atleast_2d", lambda x: np.atleast_2d(x))
reshaping("atleast_3d", lambda x: np.atleast_3d(x))


def _inverse(axes: Any, ndim: int) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argsort([a % ndim for a in axes])) if axes is not None and ndim else ()


op("transpose", lambda x, axes=None: np.transpose(x, as_tuple(axes)),
   lambda g, y, x, axes=None: np.transpose(g, _inverse(axes, x.ndim) or None))  # fmt: skip
op("moveaxis", lambda x, source, destination: np.moveaxis(x, as_tuple(source), as_tuple(destination)),
   lambda g, y, x, source, destination: np.moveaxis(g, as_tuple(destination), as_tuple(source)))  # fmt: skip
op("swapaxes", lambda x, axis1, axis2: np.swapaxes(x, axis1, axis2),
   lambda g, y, x, axis1, axis2: np.swapaxes(g, axis1, axis2))  # fmt: skip
op("broadcast_to", lambda x, shape: np.broadcast_to(x, as_tuple(shape), subok=True),
   lambda g, y, x, shape: unbroadcast(g, x.shape),
   room=lambda x, shape: elements(np.atleast_1d(shape).tolist()))  # fmt: skip
op("roll", lambda x, shift, axis=None: np.roll(x, as_tuple(shift), as_tuple(axis)),
   lambda g, y, x, shift, axis=None: np.roll(g, _negated(shift), as_tuple(axis)))  # fmt: skip


def _negated(shift: Any) -> Any:
    return tuple(-n for n in shift) if isinstance(shift, (list, tuple)) else -shift


def _repeat_rule(g: Any, y: Any, x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element's copies lie side by side: sum them."""
    moved = g.reshape(-1) if axis is None else np.moveaxis(g, axis, 0)
    source = x.size if axis is None else x.shape[axis]
    counts = np.broadcast_to(np.asarray(as_tuple(repeats)), (source,)) if source else np.zeros(0, int)
    ends = np.cumsum(counts)
    sums = [add_reduce(moved[end - n : end], (0,), keepdims=True) for n, end in zip(counts, ends, strict=True)]
    out = _joined(sums, 0) if sums else moved[:0]
    return out.reshape(x.shape) if axis is None else np.moveaxis(out, 0, axis)


op("repeat", lambda x, repeats, axis=None: np.repeat(x, as_tuple(repeats), axis), _repeat_rule,
   room=lambda x, repeats, axis=None: elements(x) * max(1, *np.atleast_1d(repeats).tolist()))  # fmt: skip

# -- several operands ----------------------------------------------------------------------------------------------------------


def _joined(parts: Any, axis: int | None) -> Any:
    out = np.concatenate([np.asarray(p) for p in parts], axis=axis)
    return boxed(out) if out.dtype == object else out


def _concatenate_rule(k: int, g: Any, y: Any, *xs: Any, axis: int | None = 0) -> Any:
    if axis is None:
        start = sum(x.size for x in xs[:k])
        return g[start : start + xs[k].size].reshape(xs[k].shape)
    along: int = axis % g.ndim
    start = sum(x.shape[along] for x in xs[:k])
    return g[(slice(None),) * along + (slice(start, start + xs[k].shape[along]),)]


def _stack_rule(k: int, g: Any, y: Any, *xs: Any, axis: int = 0) -> Any:
    return np.moveaxis(g, axis, 0)[k : k + 1].reshape(xs[k].shape)


op("concatenate", lambda *xs, axis=0: _joined(xs, axis), _concatenate_rule, variadic=True)
op("stack", lambda *xs, axis=0: _joined([np.expand_dims(x, axis) for x in xs], axis), _stack_rule, variadic=True)

# -- indexing: an index into an array of positions gives the places of the cotangents ------------------------------------------


def positions(shape: tuple[int, ...], index: Any) -> np.ndarray:
    """The flat positions that ``x[index]`` reads from an array of `shape`, in the shape of the result."""
    return np.asarray(np.arange(math.prod(shape)).reshape(shape)[decode_index(index)])


def _take(x: Any, index: Any) -> Any:
    where = positions(x.shape, index)
    return x.reshape(-1)[where.reshape(-1)].reshape(where.shape)


def scatter(g: Any, shape: tuple[int, ...], where: np.ndarray) -> Any:
    """Add up the elements of `g` at the flat positions `where` of an array of zeros."""
    flat = lift(np.zeros(math.prod(shape))) if is_object(g) else np.zeros(math.prod(shape), g.dtype)
    if is_object(g):
        for number, at in zip(np.asarray(g).reshape(-1), where.reshape(-1), strict=True):
            flat[at] = flat[at] + number
    else:
        np.add.at(flat, where.reshape(-1), g.reshape(-1))
    return flat.reshape(shape)


def _reached(x: tuple[int, ...], *value: tuple[int, ...], index: Any) -> int:
    """How many elements an index reaches at most: each element of its arrays may meet every axis that they leave out."""
    arrays = [part.shape for part in decode_index(index) if isinstance(part, np.ndarray) and part.dtype != bool]
    return elements(x) * elements(np.broadcast_shapes(*arrays)) + sum(map(elements, value))


op("getitem", _take, lambda g, y, x, index: scatter(g, x.shape, positions(x.shape, index)), room=_reached)


def _written(shape: tuple[int, ...], value_shape: tuple[int, ...], index: Any) -> tuple[np.ndarray, np.ndarray]:
    """Which flat positions an assignment writes, and which element of the value each of them keeps (the last one wins)."""
    where = positions(shape, index)
    value = np.arange(math.prod(value_shape)).reshape(value_shape)
    surplus = value.ndim - where.ndim
    source = np.broadcast_to(value.reshape(value.shape[max(0, surplus) :]), where.shape)
    last = dict(zip(where.reshape(-1).tolist(), source.reshape(-1).tolist(), strict=True))
    return np.array(list(last), dtype=int), np.array(list(last.values()), dtype=int)


def _setitem(x: Any, value: Any, index: Any) -> Any:
    value = value if is_object(value) else np.asarray(value)
    where, source = _written(x.shape, value.shape, index)
    out = x.reshape(-1).copy()
    out[where] = value.reshape(-1)[source]
    return out.reshape(x.shape)


def _setitem_rule(g: Any, y: Any, x: Any, value: Any, index: Any) -> Any:
    where, _ = _written(x.shape, value.shape, index)
    out = g.reshape(-1).copy()
    out[where] = lift(np.zeros(len(where))) if is_object(g) else 0
    return out.reshape(x.shape)


def _assigned_rule(g: Any, y: Any, x: Any, value: Any, index: Any) -> Any:
    where, source = _written(x.shape, value.shape, index)
    return scatter(g.reshape(-1)[where], value.shape, source)


op("setitem", _setitem, _setitem_rule, _assigned_rule, room=_reached)

__all__ = ["normalise_axes", "positions", "scatter"]
