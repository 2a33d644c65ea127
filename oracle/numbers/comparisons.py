"""Comparisons: decided, or known to be undecided; and which branch is taken where two numbers tie."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from flint import arb, arb_series

from .balls import boxed, is_object, lift, zero_like
from .context import Undecided, arithmetic

__all__ = ["absolute", "compare", "less", "truthy", "where", "winner", "wins"]


def _order(a: Any, b: Any) -> int:
    """-1, 0 or 1 as a is below, equal to or above b. Raises `Undecided` where the balls overlap."""
    if a < b:
        return -1
    if a > b:
        return 1
    if a == b:
        return 0
    raise Undecided


def _series_order(a: Any, b: Any) -> int:
    gap = arb_series(a) - arb_series(b)
    if order := _order(gap[0], arb(0)):
        return order
    order = _order(gap[1], arb(0))
    arithmetic().branches.one_sided |= order != 0
    return order


def _guess(a: Any, b: Any) -> int:
    if arithmetic().flush and a != b and (a - b).abs_lower() <= arithmetic().underflow:
        arithmetic().branches.doubtful = True
    if not (a < b or a > b or a == b):
        arithmetic().branches.doubtful = True
    a, b = a.mid(), b.mid()
    return -1 if a < b else int(a > b)


def _series_guess(a: Any, b: Any) -> int:
    a, b = arb_series(a), arb_series(b)
    return _guess(a[0], b[0]) or _guess(a[1], b[1])


_ball_order = np.frompyfunc(_order, 2, 1)
_ball_guess = np.frompyfunc(_guess, 2, 1)
_taylor_order = np.frompyfunc(_series_order, 2, 1)
_taylor_guess = np.frompyfunc(_series_guess, 2, 1)
_dual_order = np.frompyfunc(lambda a, b: int(a.value > b.value) - int(a.value < b.value), 2, 1)


def compare(a: Any, b: Any) -> np.ndarray:
    """-1, 0 or 1, elementwise with broadcasting, as a is below, equal to or above b.

    The one place where balls are compared.

    Raises
    ------
    Undecided
        Where two balls overlap without being the same exact number. At working precision the outcome of the high-precision
        run is taken instead, and the run is noted as doubtful.
    """
    if not (is_object(a) or is_object(b)):
        return np.asarray(np.greater(a, b).astype(np.int8) - np.less(a, b).astype(np.int8))
    a, b = (x if is_object(x) else lift(np.asarray(x)) for x in (a, b))
    if arithmetic().dual:
        return np.asarray(_dual_order(np.asarray(a), np.asarray(b)), dtype=np.int8)
    order, rough = (_taylor_order, _taylor_guess) if arithmetic().series else (_ball_order, _ball_guess)
    branches = arithmetic().branches
    key = branches.next_key()
    if branches.replaying:
        guess = np.asarray(rough(np.asarray(a), np.asarray(b)), dtype=np.int8)
        known = branches.decided.get(branches.place, [])
        number = key[1] - 1
        return known[number] if number < len(known) and known[number].shape == guess.shape else guess
    out = np.asarray(order(np.asarray(a), np.asarray(b)), dtype=np.int8)
    branches.decided.setdefault(branches.place, []).append(out)
    return out


def less(a: Any, b: Any) -> np.ndarray:
    """``a < b``, decided."""
    return compare(a, b) < 0


def wins(a: Any, b: Any) -> np.ndarray:
    """Where a is above b, as booleans; at a tie the branch is chosen (on floats: a wins)."""
    order = compare(a, b)
    tied = order == 0
    if not tied.any() or not (is_object(a) or is_object(b)):
        return order >= 0
    out = np.array(order > 0)
    for place in np.argwhere(tied):
        out[tuple(place)] = arithmetic().branches.choose(tuple(place), 2) == 0 if arithmetic().balls else True
    return out


def winner(x: Any, axes: tuple[int, ...], largest: bool = True) -> np.ndarray:
    """A one-hot mask of the largest (smallest) element along `axes`; among tied ones the branch is chosen (floats: first)."""
    keep = [a for a in range(x.ndim) if a not in axes]
    moved = np.transpose(x, keep + list(axes))
    rows = moved.reshape(math.prod(moved.shape[: len(keep)]), math.prod(moved.shape[len(keep) :]))
    mask = np.zeros(rows.shape, bool)
    sign = 1 if largest else -1
    if not is_object(x):
        best = (np.argmax if largest else np.argmin)(rows, axis=1) if rows.size else np.zeros(0, int)
        mask[np.arange(len(rows)), best] = True
    else:
        for number, row in enumerate(rows):
            leaders = [0]
            for j in range(1, len(row)):
                order = sign * int(compare(boxed(row[j]), boxed(row[leaders[0]])))
                leaders = [j] if order > 0 else [*leaders, j] if order == 0 else leaders
            chosen = 0 if len(leaders) == 1 or not arithmetic().balls else arithmetic().branches.choose(number, len(leaders))
            mask[number, leaders[chosen]] = True
    return mask.reshape(moved.shape).transpose(np.argsort(keep + list(axes)))


def truthy(x: Any) -> np.ndarray:
    """Where `x` is not zero."""
    if not is_object(x):
        return np.asarray(x).astype(bool)
    return np.asarray(compare(x, zero_like(x)) != 0)


def where(condition: Any, a: Any, b: Any) -> Any:
    """NumPy's `where`, on floats, balls or series; `condition` is boolean."""
    if is_object(a) != is_object(b):  # a plain number among balls crashes the interpreter in flint's methods
        a, b = (x if is_object(x) else boxed(x) if isinstance(x, arb) else lift(np.asarray(x)) for x in (a, b))
    out = np.where(condition, a, b)
    return boxed(out) if out.dtype == object else out


def absolute(x: Any) -> Any:
    """NumPy's `absolute`. On series the sign of the constant term decides, or of the slope where that is zero."""
    if is_object(x) and not arithmetic().balls:
        return x * where(less(x, zero_like(x)), -1, 1)
    return np.absolute(x)
