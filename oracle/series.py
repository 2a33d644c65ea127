"""A question's program on Taylor series of balls along its directions: no rule is involved in what comes of its value."""

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
#: What more bits may mend: an open comparison, or a ball that contains 0 and leads a denominator (flint's ValueError).
TOO_ROUGH = (s.Undecided, ValueError)

Directions = Sequence[np.ndarray | None]

_coefficients = [np.frompyfunc(lambda x, order=order: s.coefficient(x, order), 1, 1) for order in (0, 1)]


def push(program: Program, directions: Directions) -> list[Any]:
    """All values of a program as Taylor series along `directions`, in the context that holds.

    Parameters
    ----------
    program : Program
    directions : sequence of ndarray or None
        One per input, of its shape; None for those that stay.

    Raises
    ------
    Undecided, ValueError
        Where precision is too low: a comparison is open, or a ball that contains 0 leads a denominator.
    ZeroDivisionError
        Where there is no power series: a pole, or a branch point.
    """
    return forward(program, [s.lift_series(i.data, v) for i, v in zip(program.inputs, directions, strict=True)])


def pushed(certificate: Certificate, bits: int) -> tuple[list[Any], s.Branches]:
    """What `push` gives for a certificate's question at a precision, and the comparisons on the way; remembered."""
    cache: dict[int, tuple[list[Any], s.Branches]] = certificate.series_cache
    if bits not in cache:
        with s.taylor(bits) as branches:
            cache[bits] = push(certificate.question.program, certificate.question.directions), branches
    return cache[bits]


def directions_in_dtype(certificate: Certificate) -> list[np.ndarray | None] | None:
    """The question's directions in the dtypes of the inputs; None where those do not hold them."""
    out: list[np.ndarray | None] = []
    for i, v in zip(certificate.question.program.inputs, certificate.question.directions, strict=True):
        out.append(None if v is None or i.constant else np.asarray(v).astype(i.data.dtype))
        if out[-1] is not None and not np.array_equal(out[-1], np.asarray(v)):
            return None
    return out


def constants(series: Any) -> Any:
    """The constant terms of an array of series, as balls."""
    return s.boxed(np.asarray(_coefficients[0](np.asarray(series)), dtype=object))


def slopes(series: Any) -> Any:
    """The first coefficients of an array of series, as balls."""
    return s.boxed(np.asarray(_coefficients[1](np.asarray(series)), dtype=object))
