"""A question's program on Taylor series of balls along its directions: no derivative rule is involved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import numbers as s
from .certificate import Certificate
from .program import Program
from .reference.evaluate import forward

__all__ = ["FIRST_BITS", "TOO_ROUGH", "constants", "directions_in_dtype", "push", "pushed", "slopes"]

#: Series lose more digits than balls do (a quotient of series cancels), so they start with more.
FIRST_BITS = 192
#: Exceptions that more bits may prevent: an open comparison; a ball that contains 0 and leads a denominator (ValueError).
TOO_ROUGH = (s.Undecided, ValueError)

Directions = Sequence[np.ndarray | None]


def push(program: Program, directions: Directions) -> list[Any]:
    """All values of a program as Taylor series along `directions`, in the current context.

    Parameters
    ----------
    program : Program
    directions : sequence of ndarray or None
        One per input, of its shape; None for those that are held fixed.

    Raises
    ------
    Undecided, ValueError
        Where precision is too low: a comparison is open, or a ball that contains 0 leads a denominator.
    ZeroDivisionError
        Where there is no power series: a pole, or a branch point.
    """
    return forward(program, [s.lift_series(i.data, v) for i, v in zip(program.inputs, directions, strict=True)])


def pushed(certificate: Certificate, bits: int) -> tuple[list[Any], s.Branches]:
    """The series that `push` gives for a certificate's question at a precision, and the comparisons on the way; cached."""
    cache: dict[int, tuple[list[Any], s.Branches]] = certificate.series_cache
    if bits not in cache:
        with s.taylor(bits) as branches:
            cache[bits] = push(certificate.question.program, certificate.question.directions), branches
    return cache[bits]


def directions_in_dtype(certificate: Certificate) -> list[np.ndarray | None] | None:
    """The question's directions in the dtypes of the inputs; None where those cannot represent them."""
    out: list[np.ndarray | None] = []
    for i, v in zip(certificate.question.program.inputs, certificate.question.directions, strict=True):
        out.append(None if v is None or i.constant else np.asarray(v).astype(i.data.dtype))
        if out[-1] is not None and not np.array_equal(out[-1], np.asarray(v)):
            return None
    return out


def constants(series: Any) -> Any:
    """The constant terms of an array of series, as balls."""
    return s.coefficients(series, 0)


def slopes(series: Any) -> Any:
    """The first coefficients of an array of series, as balls."""
    return s.coefficients(series, 1)
