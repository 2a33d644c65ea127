"""Tensors from numbers: the creation functions, with NumPy's names and parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .tensors import ARRAY_FUNCTIONS, Tensor

__all__ = [
    "arange", "asarray", "astensor", "empty", "empty_like", "eye", "full", "full_like", "geomspace", "identity", "linspace",
    "logspace", "ones", "ones_like", "tensor", "zeros", "zeros_like",
]  # fmt: skip

Constant = bool | None


def tensor(arr_like: Any, dtype: Any = None, *, constant: Constant = None, copy: bool = True, ndmin: int = 0) -> Tensor:
    """A tensor of these numbers, which remembers nothing.

    Examples
    --------
    >>> tensor([1, 2, 3], dtype="float32")
    Tensor([1., 2., 3.], dtype=float32)
    """
    return Tensor(arr_like, dtype=dtype, constant=constant, copy=copy, ndmin=ndmin)


def astensor(t: Any, dtype: Any = None, *, constant: Constant = None) -> Tensor:
    """The tensor itself, if nothing about it has to change; otherwise a new one on the same memory, where NumPy allows."""
    if isinstance(t, Tensor) and constant in (None, t.constant) and dtype in (None, t.dtype):
        return t
    return Tensor(t, dtype=dtype, constant=constant, copy=False)


def asarray(a: Any, dtype: Any = None, order: Any = None) -> np.ndarray:
    """The array of a tensor, or NumPy's `asarray` of anything else."""
    return np.asarray(a.data if isinstance(a, Tensor) else a, dtype=dtype, order=order)


def zeros(shape: Any, dtype: Any = np.float32, *, constant: Constant = None) -> Tensor:
    """A tensor of zeros."""
    return Tensor(np.zeros(shape, dtype), constant=constant, copy=False)


def ones(shape: Any, dtype: Any = np.float32, *, constant: Constant = None) -> Tensor:
    """A tensor of ones."""
    return Tensor(np.ones(shape, dtype), constant=constant, copy=False)


def empty(shape: Any, dtype: Any = np.float32, *, constant: Constant = None) -> Tensor:
    """A tensor of whatever numbers are in its memory."""
    return Tensor(np.empty(shape, dtype), constant=constant, copy=False)


def full(shape: Any, fill_value: Any, dtype: Any = None, *, constant: Constant = None) -> Tensor:
    """A tensor of one number."""
    return Tensor(np.full(shape, fill_value, dtype), constant=constant, copy=False)


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = float, *, constant: Constant = None) -> Tensor:
    """A matrix with ones on a diagonal."""
    return Tensor(np.eye(N, M, k, dtype), constant=constant, copy=False)


def identity(n: int, dtype: Any = float, *, constant: Constant = None) -> Tensor:
    """The identity matrix."""
    return Tensor(np.identity(n, dtype), constant=constant, copy=False)


def arange(*args: Any, dtype: Any = None, constant: Constant = None) -> Tensor:
    """Numbers at equal steps: ``arange(stop)``, ``arange(start, stop)``, ``arange(start, stop, step)``."""
    return Tensor(np.arange(*args, dtype=dtype), constant=constant, copy=False)


def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0, *, constant: Constant = None
) -> Tensor:
    """Evenly spaced numbers, `num` of them."""
    return Tensor(np.linspace(start, stop, num, endpoint, dtype=dtype, axis=axis), constant=constant, copy=False)


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10, dtype: Any = None, axis: int = 0, *,
    constant: Constant = None,
) -> Tensor:  # fmt: skip
    """Numbers whose logarithms are evenly spaced, from ``base**start`` to ``base**stop``."""
    return Tensor(np.logspace(start, stop, num, endpoint, base, dtype, axis), constant=constant, copy=False)


def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0, *, constant: Constant = None
) -> Tensor:
    """Numbers whose logarithms are evenly spaced, from `start` to `stop`."""
    return Tensor(np.geomspace(start, stop, num, endpoint, dtype, axis), constant=constant, copy=False)


def _like(filled: Callable[..., np.ndarray], other: Any, dtype: Any, shape: Any, constant: Constant, *fill: Any) -> Tensor:
    kind = type(other) if isinstance(other, Tensor) else Tensor
    return kind(filled(asarray(other), *fill, dtype=dtype, shape=shape), constant=constant, copy=False)


def zeros_like(other: Any, dtype: Any = None, shape: Any = None, *, constant: Constant = None) -> Tensor:
    """A tensor of zeros, with another's shape and dtype."""
    return _like(np.zeros_like, other, dtype, shape, constant)


def ones_like(other: Any, dtype: Any = None, shape: Any = None, *, constant: Constant = None) -> Tensor:
    """A tensor of ones, with another's shape and dtype."""
    return _like(np.ones_like, other, dtype, shape, constant)


def empty_like(other: Any, dtype: Any = None, shape: Any = None, *, constant: Constant = None) -> Tensor:
    """A tensor of whatever numbers are in its memory, with another's shape and dtype."""
    return _like(np.empty_like, other, dtype, shape, constant)


def full_like(other: Any, fill_value: Any, dtype: Any = None, shape: Any = None, *, constant: Constant = None) -> Tensor:
    """A tensor of one number, with another's shape and dtype."""
    return _like(np.full_like, other, dtype, shape, constant, fill_value)


for _made in (zeros_like, ones_like, empty_like, full_like):
    ARRAY_FUNCTIONS[getattr(np, _made.__name__)] = _made
