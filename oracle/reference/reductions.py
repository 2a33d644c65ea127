"""Reductions and scans: many elements become one, or a running one."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import numpy as np

from ..numbers import (
    absolute,
    add_reduce,
    boxed,
    compare,
    is_object,
    lift,
    normalise_axes,
    order_free,
    power,
    sqrt,
    truthy,
    where,
    winner,
    wins,
)
from .op import op

Axis = int | list[int] | tuple[int, ...] | None


def spread(g: Any, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Any:
    """Give a reduced array its lost axes back, so that it broadcasts against `shape`."""
    if keepdims:
        return g
    axes = normalise_axes(axis, len(shape))
    return g.reshape(tuple(1 if a in axes else n for a, n in enumerate(shape)))


def full(g: Any, shape: tuple[int, ...]) -> Any:
    """`g` repeated to `shape`, as an array of its own."""
    out = np.broadcast_to(g, shape).copy()
    return boxed(out) if out.dtype == object else out


def count(x: Any, axis: Axis) -> int:
    """How many elements are reduced to one."""
    return math.prod(x.shape[a] for a in normalise_axes(axis, x.ndim))


# -- linear ones ---------------------------------------------------------------------------------------------------------------


def _sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return add_reduce(x, None if axis is None else normalise_axes(axis, x.ndim), keepdims)


def _mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    if not is_object(x):
        return np.mean(x, axis=None if axis is None else normalise_axes(axis, x.ndim), keepdims=keepdims)
    return _sum(x, axis, keepdims) / count(x, axis)


op("sum", _sum, lambda g, y, x, axis=None, keepdims=False: full(spread(g, x.shape, axis, keepdims), x.shape))
op(
    "mean",
    _mean,
    lambda g, y, x, axis=None, keepdims=False: full(spread(g, x.shape, axis, keepdims) / count(x, axis), x.shape),
)

# -- spread of a sample --------------------------------------------------------------------------------------------------------


def _deviations(x: Any, axis: Axis) -> Any:
    return x - _mean(x, axis, keepdims=True)


def _var(x: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Any:
    if not is_object(x):
        return np.var(x, axis=None if axis is None else normalise_axes(axis, x.ndim), ddof=ddof, keepdims=keepdims)
    d = _deviations(x, axis)
    return _sum(d * d, axis, keepdims) / (count(x, axis) - ddof)


def _std(x: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Any:
    return sqrt(_var(x, axis, ddof, keepdims))


def _var_rule(g: Any, y: Any, x: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Any:
    return spread(g, x.shape, axis, keepdims) * _deviations(x, axis) * 2 / (count(x, axis) - ddof)


def _std_rule(g: Any, y: Any, x: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Any:
    per_value = spread(g / y, x.shape, axis, keepdims)
    return per_value * _deviations(x, axis) / (count(x, axis) - ddof)


op("var", _var, _var_rule)
op("std", _std, _std_rule)

# -- the largest, the smallest -------------------------------------------------------------------------------------------------


def _extreme(largest: bool) -> Any:
    def forward(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        axes = normalise_axes(axis, x.ndim)
        if not is_object(x):
            return (np.max if largest else np.min)(x, axis=axes, keepdims=keepdims)
        out = x
        for a in sorted(axes, reverse=True):
            parts = [boxed(out.take([i], axis=a)) for i in range(out.shape[a])]
            best = parts[0]
            for part in parts[1:]:
                order = compare(part, best)
                best = where(order > 0 if largest else order < 0, part, best)
            out = best if keepdims else boxed(best.reshape(tuple(n for b, n in enumerate(best.shape) if b != a)))
        return out

    return forward


def _extreme_rule(largest: bool) -> Any:
    def rule(g: Any, y: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        mask = winner(x, normalise_axes(axis, x.ndim), largest)
        return spread(g, x.shape, axis, keepdims) * mask

    return rule


op("max", _extreme(True), _extreme_rule(True))
op("min", _extreme(False), _extreme_rule(False))

# -- products ------------------------------------------------------------------------------------------------------------------


def multiply_reduce(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Product over `axis`."""
    axes = normalise_axes(axis, x.ndim)
    if not is_object(x):
        return np.prod(x, axis=axes, keepdims=keepdims)
    out = x
    for a in sorted(axes, reverse=True):
        if out.shape[a] == 0:
            shape = tuple(1 if b == a else n for b, n in enumerate(out.shape) if keepdims or b != a)
            out = lift(np.ones(shape))
        else:
            parts = np.moveaxis(out, a, 0)
            out = reduce(lambda left, right: left * right, (boxed(part) for part in parts))
            out = np.expand_dims(out, a) if keepdims else out
    return out


def _prod_rule(g: Any, y: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The cotangent times the product of all the others: from the left times from the right, so zeros need no exception."""
    axes = normalise_axes(axis, x.ndim)
    keep = [a for a in range(x.ndim) if a not in axes]
    moved = np.transpose(x, keep + list(axes))
    rows = moved.reshape(math.prod(moved.shape[: len(keep)]), math.prod(moved.shape[len(keep) :]))
    others = _like(np.ones(rows.shape), x)
    left = right = _like(np.ones(rows.shape[:1]), x)
    for j in range(rows.shape[1]):
        others[:, j], left = left, left * rows[:, j]
    for j in reversed(range(rows.shape[1])):
        others[:, j], right = others[:, j] * right, right * rows[:, j]
    back = others.reshape(moved.shape).transpose(np.argsort(keep + list(axes)))
    return spread(g, x.shape, axis, keepdims) * back


def _prod_textbook(g: Any, y: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    quotient = spread(g * y, x.shape, axis, keepdims) / x
    return where(truthy(x), quotient, _prod_rule(g, y, x, axis, keepdims))


def _like(array: np.ndarray, x: Any) -> Any:
    return lift(array) if is_object(x) else array.astype(x.dtype)


op("prod", multiply_reduce, _prod_rule, textbook=(_prod_textbook,))

# -- scans: along axis 0 of a matrix whose axis 0 is scanned -------------------------------------------------------------------


def _scan(step: Any) -> Any:
    """A function over ``rows`` (scanned axis first) as an op over any axis; None scans the flattened array."""

    def scanned(x: Any, axis: int | None = None) -> Any:
        if axis is None:
            return step(x.reshape(-1))
        return _back(step(np.moveaxis(x, axis, 0)), axis)

    return scanned


def _back(x: Any, axis: int) -> Any:
    return np.moveaxis(x, 0, axis)


def _running(x: Any, combine: Any) -> Any:
    out = x.copy()
    for j in range(1, len(out)):
        out[j] = combine(out[j - 1 : j], x[j : j + 1])[0]
    return out


def _running_sum(x: Any) -> Any:
    if not is_object(x):
        return np.cumsum(x, axis=0)
    out, widened = x.copy(), x
    for j in range(1, len(x)):
        widened = order_free(x[: j + 1], j)
        out[j] = add_reduce(boxed(widened), 0) if x.ndim > 1 else add_reduce(boxed(widened), 0)[()]
    return out


def _running_product(x: Any) -> Any:
    return np.cumprod(x, axis=0) if not is_object(x) else _running(x, lambda a, b: a * b)


def _cumsum_rule(g: Any, y: Any, x: Any, axis: int | None = None) -> Any:
    along = 0 if axis is None else axis
    return np.flip(_cumsum(np.flip(g, along), along), along).reshape(x.shape)


def _cumprod_rows(g: Any, x: Any) -> Any:
    """For each j the sum over i >= j of g_i times the product of x_0 … x_i without x_j."""
    out = _like(np.zeros(x.shape), x)
    before = _like(np.ones(x.shape[1:]), x)
    # NumPy would open a lone series as a sequence.
    rows, weights = ([boxed(row) if is_object(x) else np.asarray(row) for row in a] for a in (x, g))
    for j in range(len(x)):
        after, terms = before, []
        for i in range(j, len(x)):
            after = after * rows[i] if i > j else after
            terms.append((weights[i] * after)[None])
        stacked = np.concatenate(terms)
        total = add_reduce(boxed(stacked) if stacked.dtype == object else stacked, 0)
        out[j] = total if out.ndim > 1 else np.asarray(total)[()]
        before = before * rows[j]
    return out


def _cumprod_rule(g: Any, y: Any, x: Any, axis: int | None = None) -> Any:
    if axis is None:
        return _cumprod_rows(g, x.reshape(-1)).reshape(x.shape)
    return _back(_cumprod_rows(np.moveaxis(g, axis, 0), np.moveaxis(x, axis, 0)), axis)


def _cumprod_textbook(g: Any, y: Any, x: Any, axis: int | None = None) -> Any:
    return where(truthy(x), _cumsum_rule(g * y, y, x, axis) / x, _cumprod_rule(g, y, x, axis))


_cumsum, _cumprod = _scan(_running_sum), _scan(_running_product)
op("cumsum", _cumsum, _cumsum_rule)
op("cumprod", _cumprod, _cumprod_rule, textbook=(_cumprod_textbook,))

# -- vector norms --------------------------------------------------------------------------------------------------------------


def _norm(x: Any, ord: float | None = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """Vector norm: (sum |x|**p)**(1/p); all axes are flattened where `axis` is None."""
    if not is_object(x):
        return np.linalg.norm(x, ord=ord, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims)
    p = 2 if ord is None else ord
    if p == 1:
        return _sum(absolute(x), axis, keepdims)
    if p == 2:
        return sqrt(_sum(x * x, axis, keepdims))
    size = _power(absolute(x), p)
    return _power(_sum(size, axis, keepdims), 1, p)


def _power(x: Any, p: float, root: float = 1) -> Any:
    """x**(p/root), where x may be 0."""
    exponent = _like(np.array(float(p)), x) / _like(np.array(float(root)), x)
    return power(x, exponent) if is_object(x) else x ** (p / root)


def _norm_rule(g: Any, y: Any, x: Any, ord: float | None = None, axis: Axis = None, keepdims: bool = False) -> Any:
    p = 2 if ord is None else ord
    g, y = spread(g, x.shape, axis, keepdims), spread(y, x.shape, axis, keepdims)
    if p == 2:
        return g * x / y
    sign = np.where(wins(x, _like(np.zeros(x.shape), x)), 1, -1)
    if p == 1:
        return g * sign
    return g * sign * _power(absolute(x), p - 1) / _power(y, p - 1)


op("norm", _norm, _norm_rule)
