"""Losses: one number, or one per datum, that measures how far scores are from the labels that they should have."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import is_integer
from ..numbers import add_reduce, exp, is_object, lift, log, power, to_float, truthy, where, zeros
from .activations import above, log_softmax_pull, log_softmax_rows, softmax_rows, textbook_log_softmax_rows, without
from .elementwise import pick
from .op import op

Places = tuple[np.ndarray, np.ndarray]

# -- labels --------------------------------------------------------------------------------------------------------------------


def labelled(scores: Any, labels: Any) -> Places:
    """An index of the scores that the labels name, one per datum.

    Parameters
    ----------
    scores : array
        Of shape (N, C): scores of C classes for each of N data.
    labels : array
        N integers from 0 to C - 1, or the balls or series that they were lifted to.
    """
    if not is_object(labels):
        labels = np.asarray(labels)
        if not is_integer(labels.dtype):
            raise TypeError(f"labels of {labels.dtype} name no classes: give integers")
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(
            f"scores of shape {scores.shape} with labels of shape {labels.shape}: scores must be of shape (N, C), "
            "C classes for each of N data, and labels of shape (N,); reshape them"
        )
    at = np.rint(to_float(labels)).astype(np.intp) if is_object(labels) else labels
    if ((at < 0) | (at >= scores.shape[1])).any():
        raise ValueError(f"labels from {at.min()} to {at.max()} for {scores.shape[1]} classes: they must be from 0 to one less")
    return np.arange(len(at)), at


def _mean(x: Any) -> Any:
    return add_reduce(x) / x.size


def _placed(g: Any, scores: Any, at: Places) -> Any:
    """Zeros of the scores' shape, with `g` at the labels."""
    out = zeros(scores.shape, scores if is_object(scores) else g)
    out[at] = g
    return out


# -- likelihoods ---------------------------------------------------------------------------------------------------------------


def softmax_crossentropy(x: Any, y_true: Any) -> Any:
    """The mean negative logarithm of the softmax of the scores `x`, of shape (N, C), at the labels `y_true`, of shape (N,)."""
    return -_mean(log_softmax_rows(x)[labelled(x, y_true)])


def _crossentropy_rule(g: Any, y: Any, x: Any, y_true: Any) -> Any:
    return log_softmax_pull(_placed(-g / len(x), x, labelled(x, y_true)), x)


def _crossentropy_textbook(g: Any, y: Any, x: Any, y_true: Any) -> Any:
    p, at = exp(textbook_log_softmax_rows(x)), labelled(x, y_true)
    p[at] = p[at] - 1
    return g / len(x) * p


op(
    "softmax_crossentropy", softmax_crossentropy, _crossentropy_rule, None, textbook=(_crossentropy_textbook, None),
    textbook_value=lambda x, y_true: -_mean(textbook_log_softmax_rows(x)[labelled(x, y_true)]),
)  # fmt: skip


def negative_log_likelihood(x: Any, y_true: Any, weights: Any = None) -> Any:
    """The mean of the negative of `x`, of shape (N, C), at the labels `y_true`, each times its class' weight, of shape (C,)."""
    at = labelled(x, y_true)
    return -_mean(x[at] if weights is None else x[at] * _of_classes(weights, x)[at[1]])


def _of_classes(weights: Any, x: Any) -> Any:
    if weights.shape != x.shape[1:]:
        raise ValueError(f"weights of shape {weights.shape} for {x.shape[1]} classes: they must be of shape ({x.shape[1]},)")
    return weights


def _likelihood_rule(g: Any, y: Any, x: Any, y_true: Any, weights: Any = None) -> Any:
    at = labelled(x, y_true)
    return _placed(-g / len(x) * (1 if weights is None else weights[at[1]]), x, at)


op("negative_log_likelihood", negative_log_likelihood, _likelihood_rule, None, None)

# -- hinges: scores that fall short of a margin --------------------------------------------------------------------------------


def _shortfalls(x: Any, at: Places, hinge: float) -> tuple[Any, np.ndarray]:
    """By how much the labelled score fails to lead each other one by `hinge`, flattened; and the mask of the others in `x`."""
    others = np.ones(x.shape, bool)
    others[at] = False
    return (x - x[at][:, None] + hinge)[others], others


def multiclass_hinge(x: Any, y_true: Any, hinge: float = 1.0) -> Any:
    """By how much the labelled scores, of `x` of shape (N, C), fail to lead all others by `hinge`; the mean over N data."""
    short, _ = _shortfalls(x, labelled(x, y_true), hinge)
    return add_reduce(pick(short, 0, 1)) / len(x)


def _hinge_rule(g: Any, y: Any, x: Any, y_true: Any, hinge: float = 1.0) -> Any:
    at = labelled(x, y_true)
    short, others = _shortfalls(x, at, hinge)
    pushed = np.zeros(x.shape, int)
    pushed[others] = above(short)
    pushed[at] = -pushed.sum(axis=1)
    return g / len(x) * pushed


op("multiclass_hinge", multiclass_hinge, _hinge_rule, None)


def _gap(x1: Any, x2: Any, y: Any, margin: float) -> tuple[Any, Any]:
    """By how much the pairs fall short of the margin, and y in a shape that broadcasts with them."""
    if x1.shape != x2.shape or not 0 < x1.ndim < 3 or np.shape(y) not in ((), (1,), x1.shape[:1]):
        raise ValueError(
            f"margin_ranking_loss: shapes {x1.shape} and {x2.shape}, and {np.shape(y)} for y: both must be (N,) or (N, D), "
            "and y a number or of shape (N,); reshape them"
        )
    y = y if is_object(y) else np.asarray(y)
    y = y.reshape(()) if y.size == 1 else y.reshape((-1,) + (1,) * (x1.ndim - 1))
    return margin - y * (x1 - x2), y


def margin_ranking_loss(x1: Any, x2: Any, y: Any, margin: float) -> Any:
    """By how much x1 fails to lead x2 by `margin` where y is 1, and x2 to lead x1 where it is -1: the mean."""
    return _mean(pick(_gap(x1, x2, y, margin)[0], 0, 1))


def _ranking_rule(sign: int) -> Any:
    def rule(g: Any, loss: Any, x1: Any, x2: Any, y: Any, margin: float) -> Any:
        short, y = _gap(x1, x2, y, margin)
        return sign * g / x1.size * y * above(short)

    return rule


op("margin_ranking_loss", margin_ranking_loss, _ranking_rule(-1), _ranking_rule(1), None)

# -- focal losses: easy examples count little (Lin et al., arXiv 1708.02002) ---------------------------------------------------


def _raised(x: Any, exponent: float) -> Any:
    return power(x, lift(np.array(float(exponent)))) if is_object(x) else x**exponent


def _focal(wrong: Any, log_right: Any, alpha: float, gamma: float) -> Any:
    return -alpha * (log_right if gamma == 0 else _raised(wrong, gamma) * log_right)


def _focal_slope(right: Any, wrong: Any, log_right: Any, alpha: float, gamma: float) -> Any:
    """The derivative of `_focal` by log(right), where wrong = 1 - right; its limit where wrong is 0."""
    if gamma == 0:
        return -alpha * (right * 0 + 1)
    nothing = ~truthy(wrong)
    some = where(nothing, 1, wrong)
    slope = _raised(some, gamma) - gamma * _raised(some, gamma - 1) * right * log_right
    return -alpha * where(nothing, 0, slope)


def _wrong(p: Any) -> Any:
    return 1 - p if is_object(p) else np.maximum(1 - p, 0)


def focal_loss(class_probs: Any, targets: Any, *, alpha: float = 1, gamma: float = 0) -> Any:
    """``-alpha (1 - p)**gamma log(p)`` for each datum: p is in `class_probs`, of shape (N, C), at its target."""
    p = class_probs[labelled(class_probs, targets)]
    return _focal(_wrong(p), log(p), alpha, gamma)


def _focal_rule(g: Any, y: Any, class_probs: Any, targets: Any, alpha: float = 1, gamma: float = 0) -> Any:
    at = labelled(class_probs, targets)
    p = class_probs[at]
    return _placed(g * _focal_slope(p, _wrong(p), log(p), alpha, gamma) / p, class_probs, at)


op("focal_loss", focal_loss, _focal_rule, None)


def softmax_focal_loss(scores: Any, targets: Any, *, alpha: float = 1, gamma: float = 0) -> Any:
    """`focal_loss` of the softmax of the scores, of shape (N, C)."""
    return _focal(*_parted(scores, labelled(scores, targets))[1:], alpha, gamma)


def _parted(scores: Any, at: Places) -> tuple[Any, Any, Any]:
    """The probability of the labelled class, that of all others together, and the logarithm of the first."""
    logs = log_softmax_rows(scores)
    p = exp(logs)
    return p[at], add_reduce(without(p, at), 1), logs[at]


def _softmax_focal_rule(g: Any, y: Any, scores: Any, targets: Any, alpha: float = 1, gamma: float = 0) -> Any:
    at = labelled(scores, targets)
    return log_softmax_pull(_placed(g * _focal_slope(*_parted(scores, at), alpha, gamma), scores, at), scores)


def _composed(scores: Any, targets: Any, *, alpha: float = 1, gamma: float = 0) -> Any:
    return focal_loss(softmax_rows(scores), targets, alpha=alpha, gamma=gamma)


def _composed_rule(g: Any, y: Any, scores: Any, targets: Any, alpha: float = 1, gamma: float = 0) -> Any:
    p = softmax_rows(scores)
    back = _focal_rule(g, y, p, targets, alpha, gamma)
    return p * back - p * add_reduce(p * back, 1, keepdims=True)


op(
    "softmax_focal_loss", softmax_focal_loss, _softmax_focal_rule, None,
    textbook=(_composed_rule, None), textbook_value=_composed,
)  # fmt: skip
