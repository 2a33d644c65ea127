"""The reference: NumPy with derivatives. What every op is and how it is differentiated, on floats, balls or Taylor series."""

from typing import Any

from numpy import e, inf, nan, newaxis, pi

from . import nnet, random
from .creation import (
    arange,
    asarray,
    astensor,
    empty,
    empty_like,
    eye,
    full,
    full_like,
    geomspace,
    identity,
    linspace,
    logspace,
    ones,
    ones_like,
    tensor,
    zeros,
    zeros_like,
)
from .errors import ClearedGraph
from .evaluate import UnknownOp, backward, forward
from .functions import FUNCTIONS, linalg
from .op import Op
from .tables import OPS, activations, elementwise, layers, linear, losses, reductions, shaping
from .tensors import Tensor, apply

__all__ = [
    "OPS", "ClearedGraph", "Op", "Tensor", "UnknownOp", "activations", "apply", "arange", "asarray", "astensor",
    "backward", "e", "elementwise", "empty", "empty_like", "eye", "forward", "full", "full_like", "geomspace",
    "identity", "inf", "layers", "linalg", "linear", "linspace", "logspace", "losses", "nan", "newaxis", "nnet", "ones",
    "ones_like", "pi", "random", "reductions", "shaping", "tensor", "zeros", "zeros_like",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """The functions of the op tables: ``sin``, ``matmul``, ``einsum`` and all the others."""
    try:
        return FUNCTIONS[name]
    except KeyError:
        raise AttributeError(f"the reference has no {name!r}; `dir()` of it shows what it has") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *FUNCTIONS})
