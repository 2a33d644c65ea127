"""Initialisers: tensors of weights as networks start with them, most of them random, from the generator of `random`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import is_real, simple_dtype
from . import random
from .creation import full, identity
from .tensors import Tensor

__all__ = [
    "constant", "dirac", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "identity", "normal", "uniform",
]  # fmt: skip

Constant = bool | None


def _shape(given: tuple[Any, ...], who: str = "", axes: int = 0) -> tuple[int, ...]:
    """A shape that was given as one tuple, or as one integer per axis."""
    shape = tuple(given[0]) if len(given) == 1 and not isinstance(given[0], (int, np.integer)) else given
    if len(shape) < axes:
        raise ValueError(f"{who}: shape {shape} says neither what goes in nor what comes out: give at least {axes} axes")
    return shape


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many numbers go into an output, and how many outputs a number goes into: axes 1 and 0, times a window's size."""
    return shape[1] * math.prod(shape[2:]), shape[0] * math.prod(shape[2:])


def _as_floats(data: np.ndarray | Any, dtype: Any, constant: Constant) -> Tensor:
    if not is_real(simple_dtype(dtype)):
        raise ValueError(f"random weights of {np.dtype(dtype)}: they are fractions, so give a float dtype")
    return Tensor(np.asarray(data), dtype=dtype, constant=constant)


def constant(*shape: Any, value: Any = 0.0, dtype: Any = None, constant: Constant = None) -> Tensor:
    """One number everywhere."""
    return full(_shape(shape), value, dtype, constant=constant)


def dirac(*shape: Any, dtype: Any = np.float32, constant: Constant = None) -> Tensor:
    """Filters that pass as many channels as possible through unchanged (Zagoruyko and Komodakis, arXiv 1706.00388).

    Examples
    --------
    >>> dirac(2, 1, 3)
    Tensor([[[0., 1., 0.]],
    <BLANKLINE>
            [[0., 0., 0.]]], dtype=float32)
    """
    of = _shape(shape, "dirac", 2)
    out = np.zeros(of, dtype)
    channels = np.arange(min(of[:2]))
    middle: list[Any] = [n // 2 for n in of[2:]]
    out[(channels, channels, *middle)] = 1
    return Tensor(out, constant=constant)


def normal(*shape: Any, mean: Any = 0, std: Any = 1, dtype: Any = np.float32, constant: Constant = None) -> Tensor:
    """Normal numbers of this mean and standard deviation."""
    if std < 0:
        raise ValueError(f"normal: a standard deviation of {std}: it must be 0 or more")
    return _as_floats(random.normal(mean, std, _shape(shape)).data, dtype, constant)


def uniform(
    *shape: Any, lower_bound: Any = 0, upper_bound: Any = 1, dtype: Any = np.float32, constant: Constant = None
) -> Tensor:
    """Uniform numbers between two bounds."""
    if lower_bound >= upper_bound:
        raise ValueError(
            f"uniform: nothing is between {lower_bound} and {upper_bound}: the lower bound must be below the upper"
        )
    return _as_floats(random.uniform(lower_bound, upper_bound, _shape(shape)).data, dtype, constant)


def glorot_normal(*shape: Any, gain: Any = 1, dtype: Any = np.float32, constant: Constant = None) -> Tensor:
    """Normal numbers of variance ``2 gain**2 / (fan_in + fan_out)`` (Glorot and Bengio, AISTATS 2010)."""
    of = _shape(shape, "glorot_normal", 2)
    return normal(of, std=gain * math.sqrt(2 / sum(_fans(of))), dtype=dtype, constant=constant)


def glorot_uniform(*shape: Any, gain: Any = 1, dtype: Any = np.float32, constant: Constant = None) -> Tensor:
    """Uniform numbers about 0 of the same variance as `glorot_normal`."""
    of = _shape(shape, "glorot_uniform", 2)
    bound = gain * math.sqrt(6 / sum(_fans(of)))
    return uniform(of, lower_bound=-bound, upper_bound=bound, dtype=dtype, constant=constant)


def he_normal(*shape: Any, gain: Any = 1, dtype: Any = np.float32, constant: Constant = None) -> Tensor:
    """Normal numbers of variance ``gain**2 / fan_in`` (He et al., arXiv 1502.01852: ``gain**2 = 2 / (1 + slope**2)``)."""
    of = _shape(shape, "he_normal", 2)
    return normal(of, std=gain / math.sqrt(_fans(of)[0]), dtype=dtype, constant=constant)


def he_uniform(*shape: Any, gain: Any = 1, dtype: Any = np.float32, constant: Constant = None) -> Tensor:
    """Uniform numbers about 0 of the same variance as `he_normal`."""
    of = _shape(shape, "he_uniform", 2)
    bound = gain * math.sqrt(3 / _fans(of)[0])
    return uniform(of, lower_bound=-bound, upper_bound=bound, dtype=dtype, constant=constant)
