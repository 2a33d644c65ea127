"""Tensors of random numbers, from one generator that can be seeded."""

from __future__ import annotations

from typing import Any

import numpy as np

from .tensors import Tensor

__all__ = ["normal", "rand", "randint", "randn", "random", "random_sample", "ranf", "sample", "seed", "uniform"]

_draw = np.random.default_rng()


def seed(seed: Any = None) -> None:
    """Start the generator afresh: equal seeds give equal numbers, and None unforeseeable ones.

    Examples
    --------
    >>> seed(0)
    >>> first = rand(3)
    >>> seed(0)
    >>> bool((rand(3) == first).all())
    True
    """
    global _draw
    _draw = np.random.default_rng(seed)


def rand(*shape: int, constant: bool | None = None) -> Tensor:
    """Uniform numbers in [0, 1), ``rand(3, 4)`` of shape (3, 4)."""
    return Tensor(_draw.random(shape), constant=constant)


def randn(*shape: int, constant: bool | None = None) -> Tensor:
    """Standard normal numbers, ``randn(3, 4)`` of shape (3, 4)."""
    return Tensor(_draw.standard_normal(shape), constant=constant)


def random(size: Any = None, *, constant: bool | None = None) -> Tensor:
    """Uniform numbers in [0, 1)."""
    return Tensor(_draw.random(size), constant=constant)


random_sample = ranf = sample = random


def randint(low: Any, high: Any = None, size: Any = None, dtype: Any = int) -> Tensor:
    """Uniform integers from `low` to `high`, which is left out; from 0 to `low` if only one is given."""
    return Tensor(_draw.integers(low, high, size, dtype))


def normal(loc: Any = 0.0, scale: Any = 1.0, size: Any = None, *, constant: bool | None = None) -> Tensor:
    """Normal numbers of mean `loc` and standard deviation `scale`."""
    return Tensor(_draw.normal(loc, scale, size), constant=constant)


def uniform(low: Any = 0.0, high: Any = 1.0, size: Any = None, *, constant: bool | None = None) -> Tensor:
    """Uniform numbers in [low, high)."""
    return Tensor(_draw.uniform(low, high, size), constant=constant)
