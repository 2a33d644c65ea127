"""The parts of neural networks, on tensors: activations, layers, losses and initialisers, with MyGrad's names."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import initializers, random
from .activations import ACTIVATIONS
from .functions import FUNCTIONS, Function
from .layers import window_places
from .tables import OPS
from .tensors import GETITEM, Tensor, apply, record

__all__ = ["activations", "initializers", "layers", "losses"]


def called(name: str) -> Function:
    """The op's function on tensors, with the parameters that its forward function has, and ``constant=``."""
    op = OPS[name]
    signature = inspect.signature(op.forward)
    parameters = list(signature.parameters.values())
    operands = [p.name for p in parameters[: len(op.rules)]]

    def function(*args: Any, constant: bool | None = None, **kwargs: Any) -> Tensor:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError as problem:
            raise TypeError(f"{name}: {problem}") from None
        xs = [given.pop(n, None) for n in operands]
        params = {key: v.tolist() if isinstance(v, np.ndarray) else v.data.tolist() if isinstance(v, Tensor) else v
                  for key, v in given.items()}  # fmt: skip
        return record(op, tuple(x for x in xs if x is not None), params, constant)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = op.forward.__doc__
    added = inspect.Parameter("constant", inspect.Parameter.KEYWORD_ONLY, default=None)
    function.__signature__ = signature.replace(parameters=[*parameters, added])  # type: ignore[attr-defined]
    return function


def batchnorm(x: Any, *, gamma: Any = None, beta: Any = None, eps: float, constant: bool | None = None) -> Tensor:
    """A batch whose channels have mean 0 and variance 1 (Ioffe and Szegedy, arXiv 1502.03167), then scaled and shifted.

    Parameters
    ----------
    x : tensor
        Of shape (N, C, …).
    gamma, beta : tensor, optional
        Of shape (C,): each channel's scale, and its shift.
    eps : float
        Added to the variance before the root is taken.
    constant : bool, optional
        Whether the result is a constant; left out, it is one if all operands are.
    """
    beside = {name: v for name, v in (("gamma", gamma), ("beta", beta)) if v is not None}
    return apply("batchnorm", x, *beside.values(), eps=eps, given=tuple(beside), constant=constant)


def gru(
    X: Any, Uz: Any, Wz: Any, bz: Any, Ur: Any, Wr: Any, br: Any, Uh: Any, Wh: Any, bh: Any, s0: Any = None,
    bp_lim: int | None = None, dropout: float = 0.0, constant: bool | None = None,
) -> Tensor:  # fmt: skip
    """All states of a gated recurrent unit along a sequence, the initial one first.

    The update gate is z = sigmoid(X Uz + s Wz + bz), the reset gate r = sigmoid(X Ur + s Wr + br), the candidate
    h = tanh(X Uh + (r s) Wh + bh); the next state is (1 - z) h + z s (Cho et al., arXiv 1406.1078).

    Parameters
    ----------
    X : tensor
        Of shape (T, N, C): at each of T times, N data of C numbers.
    Uz, Ur, Uh : tensor
        Of shape (C, D).
    Wz, Wr, Wh : tensor
        Of shape (D, D).
    bz, br, bh : tensor
        Of shape (D,).
    s0 : tensor, optional
        The initial state, of shape (N, D); zeros if left out.
    bp_lim : int, optional
        How many times a state's cotangent is passed on to the state before; without it, all the way to the beginning.
    dropout : float
        The share of the products with X, and of the weights W, that is left out at random, the same ones at all times;
        the others are scaled up, so that their mean stays (Gal and Ghahramani, arXiv 1512.05287).
    constant : bool, optional
        Whether the result is a constant; left out, it is one if all operands are.

    Returns
    -------
    tensor
        Of shape (T + 1, N, D).
    """
    if not 0 <= dropout < 1:
        raise ValueError(f"gru: dropout={dropout}: it is a share, from 0 up to but not including 1")
    if bp_lim is not None and not 0 <= bp_lim < len(X):
        raise ValueError(f"gru: bp_lim={bp_lim} of a sequence of {len(X)} times: it must be from 0 to one less")
    params: dict[str, Any] = {} if bp_lim is None else {"bp_lim": int(bp_lim)}
    if dropout:
        kept = 1 - dropout
        each = [(np.shape(X)[1], np.shape(Wz)[0]), np.shape(Wz)]
        params["masks"] = [[(random.random(shape).data < kept) / kept for shape in each] for _ in range(3)]
    operands = (X, Uz, Wz, bz, Ur, Wr, br, Uh, Wh, bh, *(() if s0 is None else (s0,)))
    return apply("gru", *operands, constant=constant, **params)


def sliding_window_view(
    arr: Any, window_shape: Any, step: Any, dilation: Any = None, *, constant: bool | None = None
) -> Tensor:
    """The windows over the last axes of a tensor.

    Parameters
    ----------
    arr : tensor
    window_shape : sequence of int
        The shape of a window: it slides over as many of the last axes.
    step : int or sequence of int
        The distance to the next window, along all axes or along each.
    dilation : int or sequence of int, optional
        The distance between neighbours in a window.
    constant : bool, optional
        Whether the result is a constant; left out, it is one if `arr` is.

    Returns
    -------
    tensor
        Axes that number the windows, then the leading axes of `arr`, then those of a window.

    Examples
    --------
    >>> sliding_window_view([0.0, 1.0, 2.0, 3.0, 4.0], (3,), step=2)
    Tensor([[0., 1., 2.],
            [2., 3., 4.]])
    """
    places = window_places(np.shape(arr), window_shape, step, dilation)
    return record(GETITEM, (FUNCTIONS["ravel"](arr),), {"index": (places,)}, constant)


def _room(*names: str, **more: Function) -> SimpleNamespace:
    return SimpleNamespace(**{name: called(name) for name in names}, **more)


activations = _room(*ACTIVATIONS, tanh=FUNCTIONS["tanh"])
layers = _room("conv_nd", "max_pool", batchnorm=batchnorm, gru=gru)
losses = _room(
    "focal_loss", "margin_ranking_loss", "multiclass_hinge", "negative_log_likelihood", "softmax_crossentropy",
    "softmax_focal_loss",
)  # fmt: skip
FUNCTIONS["sliding_window_view"] = sliding_window_view

#: Every function by its name alone.
BY_NAME: dict[str, Any] = {**vars(activations), **vars(layers), **vars(losses)} | {
    name: getattr(initializers, name) for name in initializers.__all__
}


def __getattr__(name: str) -> Any:
    """Each function without its room: ``nnet.conv_nd``, ``nnet.relu``, ``nnet.he_normal``."""
    try:
        return BY_NAME[name]
    except KeyError:
        raise AttributeError(f"the reference's nnet has no {name!r}; `dir()` of it shows what it has") from None


def __dir__() -> list[str]:
    return sorted({*__all__, *BY_NAME})
