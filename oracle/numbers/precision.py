"""Rising precision: the one loop that repeats an attempt with more bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .context import Undecided

__all__ = ["at_rising_precision"]

T = TypeVar("T")


def at_rising_precision(
    attempt: Callable[[int], T | None], first: int, last: int, too_rough: tuple[type[Exception], ...] = (Undecided,)
) -> T | None:
    """The result of an attempt at the first precision that is enough for it.

    Parameters
    ----------
    attempt : callable
        Given bits; gives None, or raises one of `too_rough`, where more are needed.
    first, last : int
        Bits: they double from the first until the last is passed.
    too_rough : tuple of exception types

    Returns
    -------
    object or None
        None where no precision was enough.

    Examples
    --------
    >>> at_rising_precision(lambda bits: bits if bits > 100 else None, first=32, last=256)
    128
    """
    bits = first
    while bits <= last:
        try:
            answer = attempt(bits)
        except too_rough:
            answer = None
        if answer is not None:
            return answer
        bits *= 2
    return None
