"""Few draws: every choice is one bounded integer, which picks from a table that has the simplest entry first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

__all__ = ["Choices"]

T = TypeVar("T")

#: Hypothesis draws integers uniformly up to here, and prefers small and round ones beyond; bytes are uniform.
_UNIFORM = 256
#: A seed of four bytes, followed by three bytes per override.
_SEED, _OVERRIDE = 4, 3
_ENTROPY = st.binary(min_size=_SEED, max_size=_SEED + 3 * _OVERRIDE)


@cache
def _below(n: int) -> st.SearchStrategy[int]:
    # Not integers(): those would all have one label, and Hypothesis copies draws over others that have the same label.
    if n <= _UNIFORM:
        return st.sampled_from(range(n))
    size = (n.bit_length() + 7) // 8
    return st.binary(min_size=size, max_size=size).map(lambda drawn: int.from_bytes(drawn) % n)


class Choices:
    """Choices made by Hypothesis, with as few draws as possible.

    Parameters
    ----------
    draw : callable
        The argument that ``st.composite`` passes to its function. A choice shrinks towards the first entry of its table.
    """

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw

    def integer(self, n: int) -> int:
        """An integer from 0 to n - 1."""
        return int(self.draw(_below(n))) if n > 1 else 0

    def sampled_from(self, table: Sequence[T]) -> T:
        """An entry of a table."""
        return table[self.integer(len(table))]

    def once_in(self, n: int) -> bool:
        """True once in n times; False is simpler."""
        return self.integer(n) == n - 1

    def entropy(self) -> tuple[np.random.Generator, list[int]]:
        """A generator whose seed is drawn, for data that need not shrink number by number, and a list of overrides.

        Returns
        -------
        rng : Generator
        codes : list of int
            Often empty, at most three: each below 2**24, saying what to override, and where. They shrink away first.
        """
        drawn = self.draw(_ENTROPY)
        codes = [int.from_bytes(drawn[j : j + _OVERRIDE]) for j in range(_SEED, len(drawn) - _OVERRIDE + 1, _OVERRIDE)]
        return np.random.default_rng(int.from_bytes(drawn[:_SEED])), codes
