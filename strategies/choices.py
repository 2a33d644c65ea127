"""Few draws: every choice is one bounded integer, which picks from a table that has the simplest entry first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

__all__ = ["Choose"]

T = TypeVar("T")

#: Below 2**24 Hypothesis draws uniformly; above, it prefers small numbers.
_ENTROPY = st.integers(0, 2**24 - 1)
_CODES = st.lists(_ENTROPY, max_size=3)


@lru_cache(maxsize=None)
def _below(n: int) -> st.SearchStrategy[int]:
    return st.integers(0, n - 1)


class Choose:
    """Choices from Hypothesis, with as few draws as will do.

    Parameters
    ----------
    draw : callable
        What ``st.composite`` hands to its function. A choice shrinks towards the first entry of its table.
    """

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw

    def below(self, n: int) -> int:
        """An integer from 0 to n - 1."""
        return int(self.draw(_below(n))) if n > 1 else 0

    def of(self, table: Sequence[T]) -> T:
        """An entry of a table."""
        return table[self.below(len(table))]

    def rarely(self, n: int) -> bool:
        """True once in n times; False is simpler."""
        return self.below(n) == n - 1

    def rng(self) -> np.random.Generator:
        """A generator whose seed is drawn: for data, which need not shrink number by number."""
        return np.random.default_rng(self.draw(_ENTROPY))

    def codes(self) -> list[int]:
        """A short list of integers below 2**24, often empty: what to override, and where."""
        return list(self.draw(_CODES))
