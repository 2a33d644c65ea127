"""Layers: convolution and pooling by sliding windows, normalisation of a batch, and a recurrent layer."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import lru_cache, partial, reduce
from numbers import Integral
from typing import Any

import numpy as np

from ..numbers import add_reduce, boxed, cosh, is_object, lift, matmul, order_free, sqrt, tanh, winner, zeros
from ..program import as_tuple
from .activations import sigmoid
from .elementwise import sq
from .op import OPS, elements, op
from .shaping import scatter

Setting = int | Sequence[int]

# -- windows that slide over the last axes -------------------------------------------------------------------------------------


def each(op: str, name: str, setting: Setting, count: int, least: int = 1) -> tuple[int, ...]:
    """A setting of `count` axes, given as one integer for all or as one per axis."""
    given: Any = tuple(np.atleast_1d(setting)) if np.ndim(setting) else (setting,) * count
    if len(given) != count or not all(isinstance(n, Integral) and int(n) >= least for n in given):
        raise ValueError(f"{op}: {name}={setting!r}: give an integer from {least} up, or one for each of the {count} axes")
    return tuple(int(n) for n in given)


def counts(
    op: str, shape: Sequence[int], window: Sequence[int], stride: Sequence[int], dilation: Sequence[int] | None = None
) -> tuple[int, ...]:
    """How many windows fit along each axis: a whole number, with nothing left over.

    Parameters
    ----------
    op : str
        The op, for messages.
    shape, window, stride, dilation : sequences of int
        One integer per axis: its length, the window's number of elements along it, the distance to the next window, and the
        distance between neighbours in a window.
    """
    apart = dilation or (1,) * len(window)
    left = [n - (w - 1) * d - 1 for n, w, d in zip(shape, window, apart, strict=True)]
    if any(n < 0 or n % step for n, step in zip(left, stride, strict=True)):
        raise ValueError(
            f"{op}: windows of shape {tuple(window)}, with stride {tuple(stride)} and dilation {tuple(apart)}, do not end "
            f"where axes of length {tuple(shape)} do: stride must divide length - (window - 1) * dilation - 1; pad"
        )
    return tuple(n // step + 1 for n, step in zip(left, stride, strict=True))


def windows(x: Any, window: Sequence[int], stride: Sequence[int], dilation: Sequence[int], fit: Sequence[int]) -> Any:
    """All windows over the last axes, as a view: leading axes, places in a window, windows."""
    x, lead = np.asarray(x), x.ndim - len(window)
    steps = x.strides[lead:]
    strides = (*(s * d for s, d in zip(steps, dilation, strict=True)), *(s * n for s, n in zip(steps, stride, strict=True)))
    shape = (*x.shape[:lead], *window, *fit)
    return np.lib.stride_tricks.as_strided(x, shape, (*x.strides[:lead], *strides), writeable=False)


def window_places(shape: tuple[int, ...], window: Setting, step: Setting, dilation: Setting | None = None) -> np.ndarray:
    """Flat positions in an array of `shape`: windows over its last axes, then its leading axes, then places in a window."""
    window = tuple(window) if not isinstance(window, int) else (window,)
    if len(window) > len(shape):
        raise ValueError(f"sliding_window_view: a window of {len(window)} axes does not fit into shape {shape}; leave some out")
    each("sliding_window_view", "window_shape", window, len(window))
    stride = each("sliding_window_view", "step", step, len(window))
    apart = each("sliding_window_view", "dilation", 1 if dilation is None else dilation, len(window))
    lead = len(shape) - len(window)
    reach = [(w - 1) * d + 1 for w, d in zip(window, apart, strict=True)]
    if any(r > n for r, n in zip(reach, shape[lead:], strict=True)):
        raise ValueError(
            f"sliding_window_view: windows that reach over {tuple(reach)} do not fit into {shape[lead:]}; shorten them"
        )
    fit = [(n - r) // s + 1 for n, r, s in zip(shape[lead:], reach, stride, strict=True)]
    places = windows(np.arange(math.prod(shape)).reshape(shape), window, stride, apart, fit)
    return np.moveaxis(places, range(lead + len(window), places.ndim), range(len(window)))


# -- convolution ---------------------------------------------------------------------------------------------------------------


class Geometry:
    """Where a bank of filters meets a batch of images, as matrices: a convolution is one matrix product.

    Parameters
    ----------
    images : tuple of int
        Shape of the images, (N, C, …).
    filters : tuple of int
        Shape of the filters, (F, C, …).
    stride, padding, dilation : int or tuple of int
    """

    def __init__(
        self, images: tuple[int, ...], filters: tuple[int, ...], stride: Setting, padding: Setting, dilation: Setting
    ) -> None:
        if len(images) < 3 or len(images) != len(filters) or images[1] != filters[1]:
            raise ValueError(
                f"conv_nd: images of shape {images} and filters of shape {filters}: they must be of shapes (N, C, …) and "
                "(F, C, …), with as many axes each and the same number of channels C; reshape or transpose one of them"
            )
        axes, self.window, self.channels = len(images) - 2, filters[2:], images[1]
        self.stride, self.dilation = each("conv_nd", "stride", stride, axes), each("conv_nd", "dilation", dilation, axes)
        around = each("conv_nd", "padding", padding, axes, least=0)
        self.padded = tuple(n + 2 * p for n, p in zip(images[2:], around, strict=True)) if any(around) else ()
        self.shape = images[2:]
        self.inside = (..., *(slice(p, p + n) for p, n in zip(around, images[2:], strict=True)))
        self.counts = counts("conv_nd", self.padded or images[2:], self.window, self.stride, self.dilation)
        self.size, self.columns_each = self.channels * math.prod(self.window), math.prod(self.counts)
        self.places = {place: self._where(place) for place in np.ndindex(*self.window)}

    def _where(self, place: tuple[int, ...]) -> tuple[Any, ...]:
        """The index of the elements of an image that are in this place of some window."""
        along = zip(place, self.stride, self.dilation, self.counts, strict=True)
        return (..., *(slice(i * d, i * d + (n - 1) * s + 1, s) for i, s, d, n in along))

    def runs(self, x: Any) -> list[slice]:
        """Runs of images whose columns together fit into a processor's cache; balls are one run, so that sums stay whole."""
        step = len(x) if is_object(x) else max(CACHED // (self.size * self.columns_each + 1), COLUMNS // self.columns_each)
        return [slice(n, n + step) for n in range(0, len(x), step)] if 0 < step < len(x) else [slice(None)]

    def columns(self, x: Any) -> Any:
        """Every window as a column, those of the first image first: of shape (C * window, images * windows)."""
        if self.padded:
            framed = zeros((*x.shape[:2], *self.padded), x)
            framed[self.inside] = x
            x = framed
        views = windows(x, self.window, self.stride, self.dilation, self.counts)
        inner = range(2, 2 + len(self.window))
        return views.transpose(1, *inner, 0, *(n + len(inner) for n in inner)).reshape(self.size, -1)

    def image(self, columns: Any) -> Any:
        """The transpose of `columns`: for every element of the images, the sum over all windows that contain it."""
        parts = columns.reshape(self.channels, *self.window, -1, *self.counts)
        shape = self.padded or self.shape
        framed = zeros((self.channels, parts.shape[-1 - len(self.counts)], *shape), columns)
        for place, where in self.places.items():
            framed[where] += parts[:, *place]
        return np.swapaxes(framed, 0, 1)[self.inside]

    def rows(self, y: Any) -> Any:
        """A value as a matrix with one row per filter: of shape (F, images * windows)."""
        return np.swapaxes(y, 0, 1).reshape(y.shape[1], -1)

    def value(self, rows: Any) -> Any:
        """Such a matrix as a value, of shape (images, F, …)."""
        return np.swapaxes(rows.reshape(len(rows), -1, *self.counts), 0, 1)


@lru_cache(256)
def _geometry(*settings: Any) -> Geometry:
    return Geometry(*settings)


def geometry(x: Any, w: Any, *settings: Setting) -> Geometry:
    """The `Geometry` of images and filters."""
    return _geometry(x.shape, w.shape, *map(as_tuple, settings))


#: How many numbers should fit into a processor's second-level cache; with fewer columns a matrix product is slow.
CACHED, COLUMNS = 2**18, 2**9


def _joined(parts: list[Any]) -> Any:
    return np.concatenate(parts) if len(parts) > 1 else np.ascontiguousarray(parts[0])


def conv_nd(x: Any, filter_bank: Any, *, stride: Setting, padding: Setting = 0, dilation: Setting = 1) -> Any:
    """The inner product of every filter with every window of every image, as in neural networks: the filters are not flipped.

    Parameters
    ----------
    x : tensor
        Of shape (N, C, …): N images of C channels, of any number of axes.
    filter_bank : tensor
        Of shape (F, C, …): F filters.
    stride : int or sequence of int
        The distance to the next window, along all axes or along each.
    padding : int or sequence of int
        How many zeros are put before and after each axis of the images first.
    dilation : int or sequence of int
        The distance between neighbours in a window.

    Returns
    -------
    tensor
        Of shape (N, F, …), with as many elements along each axis as windows fit.
    """
    at = geometry(x, filter_bank, stride, padding, dilation)
    filters = filter_bank.reshape(len(filter_bank), -1)
    return _joined([at.value(matmul(filters, at.columns(x[run]))) for run in at.runs(x)])


def _image_rule(g: Any, y: Any, x: Any, w: Any, stride: Setting, padding: Setting = 0, dilation: Setting = 1) -> Any:
    at = geometry(x, w, stride, padding, dilation)
    filters = order_free(w.reshape(len(w), -1).T, len(w) * math.prod(at.window))
    return _joined([at.image(matmul(filters, at.rows(g[run]))) for run in at.runs(x)])


def _filter_rule(g: Any, y: Any, x: Any, w: Any, stride: Setting, padding: Setting = 0, dilation: Setting = 1) -> Any:
    at = geometry(x, w, stride, padding, dilation)
    return reduce(operator.add, (matmul(at.rows(g[run]), at.columns(x[run]).T) for run in at.runs(x))).reshape(w.shape)


def _convolution_room(
    x: tuple[int, ...], w: tuple[int, ...], stride: Setting, padding: Setting = 0, dilation: Setting = 1
) -> int:
    around = 2 * max(np.atleast_1d(padding).tolist())
    return elements(w) * elements([*x[:1], *(n + around for n in x[2:])])


op("conv_nd", conv_nd, _image_rule, _filter_rule, room=_convolution_room)

# -- pooling -------------------------------------------------------------------------------------------------------------------


def _pools(x: Any, pool: Sequence[int], stride: Setting) -> tuple[np.ndarray, tuple[int, ...]]:
    """For each window the flat positions of its elements, in a row; and the value's shape."""
    axes = len(pool) if isinstance(pool, (list, tuple)) else 0
    if not 0 < axes <= x.ndim:
        raise ValueError(f"max_pool: pool={pool!r} of an array of shape {x.shape}: give a tuple of at most {x.ndim} integers")
    lead = x.ndim - axes
    window, step = each("max_pool", "pool", pool, axes), each("max_pool", "stride", stride, axes)
    fit = counts("max_pool", x.shape[lead:], window, step)
    numbered = windows(np.arange(x.size).reshape(x.shape), window, step, (1,) * axes, fit)
    places = np.moveaxis(numbered, range(lead, lead + axes), range(-axes, 0))
    return places.reshape(-1, math.prod(window)), (*x.shape[:lead], *fit)


def max_pool(x: Any, pool: Sequence[int], stride: Setting) -> Any:
    """The largest element of every window over the last axes.

    Parameters
    ----------
    x : tensor
    pool : sequence of int
        The shape of a window, which slides over as many of the last axes.
    stride : int or sequence of int
        The distance to the next window.
    """
    places, shape = _pools(x, pool, stride)
    return OPS["max"].forward(x.reshape(-1)[places], axis=1).reshape(shape)


def _pool_rule(g: Any, y: Any, x: Any, pool: Sequence[int], stride: Setting) -> Any:
    places, _ = _pools(x, pool, stride)
    return scatter(g, x.shape, places[winner(x.reshape(-1)[places], (1,))])


op("max_pool", max_pool, _pool_rule, room=lambda x, pool, stride: elements(x) * elements(pool))

# -- normalisation -------------------------------------------------------------------------------------------------------------


def _normed(x: Any, eps: float) -> tuple[Any, Any, tuple[int, ...], tuple[int, ...]]:
    """The normalised batch, its divisor, the axes of a channel, and the shape with one number per channel."""
    if x.ndim < 2:
        raise ValueError(f"batchnorm: a batch of shape {x.shape}: it must be of shape (N, C, …); reshape it")
    axes = tuple(a for a in range(x.ndim) if a != 1)
    root = sqrt(OPS["var"].forward(x, axes, 0, True) + eps)
    return (x - OPS["mean"].forward(x, axes, True)) / root, root, axes, tuple(n if a == 1 else 1 for a, n in enumerate(x.shape))


def batchnorm(x: Any, *beside: Any, eps: float, given: Sequence[str] = ()) -> Any:
    """Each channel less its mean, divided by its standard deviation; then times `gamma`, plus `beta`, which `given` names."""
    out, _, _, shape = _normed(x, eps)
    for name, v in zip(given, beside, strict=True):
        if v.shape != x.shape[1:2]:
            raise ValueError(
                f"batchnorm: {name} of shape {v.shape} for {x.shape[1]} channels: it must be of shape ({x.shape[1]},)"
            )
        out = out * v.reshape(shape) if name == "gamma" else out + v.reshape(shape)
    return out


def _batchnorm_rule(k: int, g: Any, y: Any, x: Any, *beside: Any, eps: float, given: Sequence[str] = ()) -> Any:
    normed, root, axes, shape = _normed(x, eps)
    if k:
        return add_reduce(g * normed if given[k - 1] == "gamma" else g, axes)
    if "gamma" in given:
        g = g * beside[0].reshape(shape)
    mean = partial(OPS["mean"].forward, axis=axes, keepdims=True)
    return (g - mean(g) - normed * mean(g * normed)) / root


op("batchnorm", batchnorm, _batchnorm_rule, variadic=True)

# -- the gated recurrent unit (Cho et al., arXiv 1406.1078) --------------------------------------------------------------------


class Unit:
    """A gated recurrent unit's gates along a sequence of states.

    Parameters
    ----------
    X : array
        Of shape (T, N, C).
    weights : sequence of arrays
        For each gate U of shape (C, D), W of shape (D, D), b of shape (D,): update gate, reset gate, candidate.
    masks : nested list or None
        Dropout masks: for each gate an array of shape (N, D) for X U, and one of shape (D, D) for W.
    textbook : bool
        Whether 1 - z, z (1 - z) and 1 - h**2 are computed as they are written.
    """

    def __init__(self, X: Any, weights: Sequence[Any], masks: Any, textbook: bool) -> None:
        self.X, self.weights, self.textbook = X, weights, textbook
        lifted = (lambda m: lift(np.asarray(m))) if is_object(X) else partial(np.asarray, dtype=X.dtype)
        self.masks = None if masks is None else [[lifted(m) for m in pair] for pair in masks]
        self.W = [self.masked(weights[3 * gate + 1], gate, 1) for gate in range(3)]
        self.driven = [self.masked(matmul(X, weights[3 * gate]), gate, 0) + weights[3 * gate + 2] for gate in range(3)]

    def masked(self, x: Any, gate: int, which: int) -> Any:
        """`x` times its dropout mask."""
        return x if self.masks is None else x * self.masks[gate][which]

    def at(self, t: Any, s: Any) -> None:
        """Set the gates for a time, or for all times, from the states before it."""
        az, ar = (self.driven[gate][t] + matmul(s, self.W[gate]) for gate in (0, 1))
        self.s, self.z, self.r = s, sigmoid(az), sigmoid(ar)
        ah = self.driven[2][t] + matmul(self.r * s, self.W[2])
        self.h, self.keep = tanh(ah), 1 - self.z if self.textbook else sigmoid(-az)
        self.ar, self.ah = ar, ah

    def after(self) -> Any:
        """The state after the time that the gates are set for."""
        return self.keep * self.h + self.z * self.s

    def slopes(self) -> None:
        """Set the gates' derivatives."""
        self.dz, self.dr = self.z * self.keep, self.r * ((1 - self.r) if self.textbook else sigmoid(-self.ar))
        self.dh = 1 - self.h * self.h if self.textbook else 1 / sq(cosh(self.ah))

    def pulls(self, g: Any, t: Any) -> tuple[Any, Any, Any, Any]:
        """From the cotangent of the state after time t: those of the gates' inputs, and of the state before."""
        to_z, to_h = g * (self.s[t] - self.h[t]) * self.dz[t], g * self.keep[t] * self.dh[t]
        reset = matmul(to_h, self.W[2].T)
        to_r = reset * self.s[t] * self.dr[t]
        before = g * self.z[t] + matmul(to_z, self.W[0].T) + matmul(to_r, self.W[1].T) + reset * self.r[t]
        return to_z, to_r, to_h, before


def gru(
    X: Any, Uz: Any, Wz: Any, bz: Any, Ur: Any, Wr: Any, br: Any, Uh: Any, Wh: Any, bh: Any, s0: Any = None,
    *, bp_lim: int | None = None, masks: Any = None, textbook: bool = False,
) -> Any:  # fmt: skip
    """All states of a gated recurrent unit, of shape (T + 1, N, D), the initial one first.

    The update gate is z = sigmoid(X Uz + s Wz + bz), the reset gate r = sigmoid(X Ur + s Wr + br), the candidate
    h = tanh(X Uh + (r s) Wh + bh); the next state is (1 - z) h + z s.
    """
    unit = Unit(X, (Uz, Wz, bz, Ur, Wr, br, Uh, Wh, bh), masks, textbook)
    states = [zeros((X.shape[1], Wz.shape[0]), X) if s0 is None else s0]
    for t in range(len(X)):
        unit.at(t, states[-1])
        states.append(unit.after())
    return boxed(np.stack([np.asarray(s) for s in states])) if is_object(X) else np.stack(states)


def _gru_rule(
    k: int, g: Any, y: Any, X: Any, *beside: Any, bp_lim: int | None = None, masks: Any = None, textbook: bool = False
) -> Any:
    unit = Unit(X, beside[:9], masks, textbook)
    unit.at(slice(None), y[:-1])
    unit.slopes()
    total = g[1:].copy()
    if bp_lim is None:
        for t in reversed(range(1, len(X))):
            total[t - 1] = total[t - 1] + unit.pulls(total[t], t)[3]
    else:  # the cotangent of a state stops after `bp_lim` steps
        part = total
        for _ in range(bp_lim):
            before = unit.pulls(part, slice(None))[3]
            part = np.concatenate([np.asarray(before)[1:], np.asarray(zeros((1, *before.shape[1:]), before))])
            total = total + part
    gates = unit.pulls(total, slice(None))[:3]
    if k == 0:
        return sum(matmul(unit.masked(c, n, 0), beside[3 * n].T) for n, c in enumerate(gates))
    if k == 10:
        return g[0] + unit.pulls(total[:1], slice(0, 1))[3][0]
    gate, which = divmod(k - 1, 3)
    c = gates[gate]
    if which == 2:
        return add_reduce(c, (0, 1))
    if which == 0:
        return _summed(X, unit.masked(c, gate, 0))
    return unit.masked(_summed(unit.s * unit.r if gate == 2 else unit.s, c), gate, 1)


def _summed(x: Any, c: Any) -> Any:
    """The sum over times and data of the outer products of their rows."""
    return matmul(x.reshape(-1, x.shape[-1]).T, c.reshape(-1, c.shape[-1]))


op(
    "gru",
    gru,
    _gru_rule,
    variadic=True,
    textbook=(partial(_gru_rule, textbook=True),),
    textbook_value=partial(gru, textbook=True),
    room=lambda X, *beside, **params: elements(X) * elements(beside[0]) + elements(X[:2]) * elements(beside[1]),
)
