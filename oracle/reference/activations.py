"""Activations: the nonlinear functions between the layers of a network, elementwise or along an axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..numbers import (
    absolute,
    add_reduce,
    arithmetic,
    boxed,
    coefficients,
    either_slope,
    exp,
    expm1,
    is_object,
    log,
    log1p,
    normalise_axes,
    to_float,
    where,
    wins,
    zeros,
)  # fmt: skip
from .elementwise import logistic, pick, sq
from .op import elementwise, op

__all__ = [
    "ACTIVATIONS", "log_softmax_pull", "log_softmax_rows", "sigmoid", "softmax_pull", "softmax_rows",
    "textbook_log_softmax_rows",
]  # fmt: skip

#: The ops of this table; their functions are in `nnet` alone.
ACTIVATIONS = (
    "elu", "glu", "hard_tanh", "leaky_relu", "logsoftmax", "relu", "selu", "sigmoid", "softmax", "soft_sign",
)  # fmt: skip

# -- one element at a time -----------------------------------------------------------------------------------------------------


def above(x: Any, bound: Any = 0) -> np.ndarray:
    """Where x is above a bound; at the bound the branch is chosen (on floats: it is not above)."""
    return ~wins(bound, x)


def below(x: Any) -> Any:
    """The part of x that is negative: x below 0, and 0 elsewhere."""
    return pick(x, 0, -1)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), which rises from 0 to 1."""
    return logistic(x if is_object(x) else x * 1.0)


def relu(x: Any) -> Any:
    """x, and 0 where x is below 0."""
    return pick(x, 0, 1)


def leaky_relu(x: Any, slope: float) -> Any:
    """x, and `slope` times x where x is below 0."""
    return pick(x, 0, 1) + slope * below(x)


def elu(x: Any, alpha: float) -> Any:
    """x, and `alpha` times ``exp(x) - 1`` where x is below 0 (Clevert et al., arXiv 1511.07289)."""
    return pick(x, 0, 1) + alpha * expm1(below(x))


def textbook_elu(x: Any, alpha: float) -> Any:
    """The same with ``exp(x) - 1``, which cancels near 0."""
    return pick(x, 0, 1) + alpha * (exp(below(x)) - 1)


#: With these activations of mean 0 and variance 1 keep both (Klambauer et al., arXiv 1706.02515).
ALPHA, SCALE = 1.6732632423543772848, 1.0507009873554804934


def selu(x: Any) -> Any:
    """`elu` with the scale at which activations of mean 0 and variance 1 keep both."""
    return SCALE * elu(x, ALPHA)


def hard_tanh(x: Any, *, lower_bound: float = -1, upper_bound: float = 1) -> Any:
    """x, cut off at a lower and an upper bound."""
    return pick(pick(x, upper_bound, -1), lower_bound, 1)


def soft_sign(x: Any) -> Any:
    """``x / (1 + abs(x))``, which rises from -1 to 1."""
    return x / (1 + absolute(x))


def _inside(x: Any, lower_bound: float = -1, upper_bound: float = 1) -> Any:
    return above(x, lower_bound) & ~wins(x, upper_bound)


# fmt: off
elementwise("relu", relu, lambda g, y, x: g * above(x))
elementwise("leaky_relu", leaky_relu, lambda g, y, x, slope: where(above(x), g, g * slope))
elementwise("elu", elu, lambda g, y, x, alpha: where(above(x), g, g * (alpha * exp(below(x)))),
            textbook=lambda g, y, x, alpha: where(above(x), g, g * (y + alpha)), textbook_value=textbook_elu)
elementwise("selu", selu, lambda g, y, x: g * SCALE * where(above(x), 1, ALPHA * exp(below(x))),
            textbook=lambda g, y, x: g * where(above(x), SCALE, y + SCALE * ALPHA),
            textbook_value=lambda x: SCALE * textbook_elu(x, ALPHA))
elementwise("sigmoid", sigmoid, lambda g, y, x: g * (y * sigmoid(-x)), textbook=lambda g, y, x: g * (y * (1 - y)))
elementwise("hard_tanh", hard_tanh, lambda g, y, x, **bounds: g * _inside(x, **bounds))
elementwise("soft_sign", soft_sign, lambda g, y, x: g / sq(1 + absolute(x)),
            textbook=lambda g, y, x: g / (1 + absolute(x)) - g * absolute(x) / sq(1 + absolute(x)))
# fmt: on

# -- rows: each sums to one ----------------------------------------------------------------------------------------------------

Rows = Callable[..., Any]


def in_rows(function: Rows) -> Rows:
    """A function of the rows of a matrix, as one of arrays along any axes."""

    def along(*xs: Any, axis: Any = -1) -> Any:
        shape, axes = xs[0].shape, normalise_axes(axis, xs[0].ndim)
        order = [a for a in range(len(shape)) if a not in axes] + list(axes)
        columns = math.prod(shape[a] for a in axes)
        rows = math.prod(shape) // columns if columns else 0
        if not rows * columns:
            return xs[0] * 1.0
        out = function(*(np.transpose(x, order).reshape(rows, columns) for x in xs))
        return out.reshape([shape[a] for a in order]).transpose(np.argsort(order) if order else None)

    return along


def leaders(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """An index of the largest element of each row; of balls that overlap, any one."""
    return np.arange(len(x)), np.argmax(to_float(x) if is_object(x) else x, axis=1)


def beside_leader(x: Any, top: tuple[np.ndarray, np.ndarray]) -> Any:
    """How far each element is from its row's leader: exactly 0 for the leader itself."""
    out = x - x[top][:, None]
    return without(out, top)


def without(x: Any, top: tuple[np.ndarray, np.ndarray]) -> Any:
    """`x` with zeros in the places `top`."""
    out = x.copy()
    out[top] = zeros(len(x), x)
    return out


def total(x: Any) -> Any:
    """The sum of each row, as a column."""
    return add_reduce(x, 1, keepdims=True)


def softmax_rows(x: Any) -> Any:
    """exp(x), divided by its sum."""
    size = exp(beside_leader(x, leaders(x)))
    return size / total(size)


def log_softmax_rows(x: Any) -> Any:
    """The logarithm of that: the leader's own term, 1, is left to `log1p`, so that no small term is lost in it."""
    top = leaders(x)
    beside = beside_leader(x, top)
    return beside - log1p(total(without(exp(beside), top)))


def textbook_log_softmax_rows(x: Any) -> Any:
    """``x - log(sum(exp(x)))``, about the largest: digits are lost to it where it is large, or near the result."""
    top = x[leaders(x)][:, None]
    return x - (top + log(total(exp(x - top))))


def softmax_pull(g: Any, y: Any) -> Any:
    """``y (g - sum(y g))``, where only differences of g count: from the leader's, so that only small terms are lost."""
    beside = beside_leader(g, leaders(y))
    return y * (beside - total(y * beside))


def log_softmax_pull(g: Any, x: Any) -> Any:
    """``g - p sum(g)`` with p = softmax(x); for the leader with the others' sum in place of 1 - p."""
    p, top = softmax_rows(x), leaders(x)
    out = g - p * total(g)
    out[top] = g[top] * add_reduce(without(p, top), 1) - p[top] * add_reduce(without(g, top), 1)
    return out


_softmax, _log_softmax = in_rows(softmax_rows), in_rows(log_softmax_rows)
_softmax_pull, _log_softmax_pull = in_rows(softmax_pull), in_rows(log_softmax_pull)
_softmax_textbook = in_rows(lambda g, y: y * g - y * total(y * g))
_log_softmax_textbook = in_rows(lambda g, y: g - exp(y) * total(g))
_log_softmax_written = in_rows(textbook_log_softmax_rows)


def softmax(x: Any, axis: Any = -1) -> Any:
    """exp(x), divided by its sum along `axis`: an int, several, or None for all."""
    return _softmax(x, axis=axis)


def logsoftmax(x: Any, axis: Any = -1) -> Any:
    """The logarithm of `softmax`."""
    return _log_softmax(x, axis=axis)


op(
    "softmax", softmax, lambda g, y, x, axis=-1: _softmax_pull(g, y, axis=axis),
    textbook=(lambda g, y, x, axis=-1: _softmax_textbook(g, y, axis=axis),),
)  # fmt: skip
op(
    "logsoftmax", logsoftmax, lambda g, y, x, axis=-1: _log_softmax_pull(g, x, axis=axis),
    textbook=(lambda g, y, x, axis=-1: _log_softmax_textbook(g, y, axis=axis),),
    textbook_value=lambda x, axis=-1: _log_softmax_written(x, axis=axis),
)  # fmt: skip

# -- halves: one gates the other -----------------------------------------------------------------------------------------------


def _halves(x: Any, axis: int) -> tuple[Any, Any]:
    if not x.ndim or x.shape[axis] % 2:
        raise ValueError(f"glu: shape {x.shape} has no two halves along axis {axis}: the axis must be even; choose another one")
    middle, along = x.shape[axis] // 2, (slice(None),) * (axis % x.ndim)
    return x[(*along, slice(None, middle))], x[(*along, slice(middle, None))]


def glu(x: Any, axis: int = -1) -> Any:
    """The first half along `axis`, times the sigmoid of the second (Dauphin et al., arXiv 1612.08083)."""
    first, second = _halves(x, axis)
    return first * sigmoid(second)


def _textbook_gate(x: Any) -> Any:
    """The sigmoid; that of a series may have the slope s (1 - s), as where libraries differentiate it."""
    open_ = sigmoid(x)
    if not arithmetic().series:
        return open_
    y = coefficients(open_, 0)
    return either_slope(open_, y * (1 - y) * coefficients(x, 1))


def _glu_rule(slope: Rows, gate: Rows = sigmoid) -> Rows:
    def rule(g: Any, y: Any, x: Any, axis: int = -1) -> Any:
        first, second = _halves(x, axis)
        open_ = gate(second)
        return boxed(np.concatenate([np.asarray(g * open_), np.asarray(g * (first * slope(open_, second)))], axis=axis))

    return rule


op(
    "glu", glu, _glu_rule(lambda open_, x: open_ * sigmoid(-x)),
    textbook=(_glu_rule(lambda open_, x: open_ * (1 - open_), _textbook_gate),),
)  # fmt: skip
