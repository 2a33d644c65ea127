"""Differences: exact ones on balls, and extrapolated ones in floats for functions that cannot run on balls."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from .. import numbers as s
from ..certificate import Certificate
from ..reference.evaluate import forward
from .witness import Witness, narrow, overlap

__all__ = ["exact_differences", "float_differences"]

#: Precision beyond the spread of the coordinates' scales, and how many bits below the smallest one the step lies: the
#: truncation error is of the order of twice that.
BITS, STEP_BITS = 448, 110


def exact_differences(certificate: Certificate) -> Witness:
    """Central differences of the program on balls, along the question's directions.

    The step is chosen from the point: 2**-STEP_BITS of its smallest nonzero coordinate. The error is estimated by halving it.
    """
    question = certificate.question
    if certificate.kink:
        return Witness("differences", "abstains", note="not differentiable here")
    variables = [np.abs(i.data.astype(np.float64)) for i in question.program.inputs if not i.constant]
    scale = min((float(x[x > 0].min(initial=1.0)) for x in variables), default=1.0)
    largest = max((float(x.max(initial=1.0)) for x in variables), default=1.0)
    try:
        with s.enclosing(BITS + 2 * math.ceil(math.log2(largest) - math.log2(scale))):
            step = arb(scale) * arb(2) ** -STEP_BITS
            wide, fine = (_quotient(question, h) for h in (step, step / 2))
            slope = fine + arb(0, abs(wide - fine).upper())
    except s.Undecided:
        return Witness("differences", "abstains", note="a comparison between the two points cannot be decided")
    if not narrow(slope, certificate):
        return Witness("differences", "abstains", note="never sharp enough to contradict")
    agrees = overlap(slope, certificate)
    return Witness("differences", "agrees" if agrees else "disagrees", float(slope), f"error below {float(slope.rad()):.0e}")


def _quotient(question: Any, step: arb) -> arb:
    ends = []
    for sign in (1, -1):
        inputs = [
            s.lift(i.data) + s.lift(np.asarray(v)) * (step * sign) if v is not None else s.lift(i.data)
            for i, v in zip(question.program.inputs, question.directions, strict=True)
        ]
        value = forward(question.program, inputs)[-1]
        ends.append(np.sum(np.asarray(value * s.lift(question.cotangent))) if value.size else arb(0))
    return (ends[0] - ends[1]) / (2 * step)


def float_differences(f: Callable[[float], float]) -> tuple[float, float]:
    """The derivative at 0 of a black box of one float, and an estimate of its error.

    Parameters
    ----------
    f : callable
        Takes a float step along some direction, returns a float.

    Returns
    -------
    derivative, error : float
        By SciPy's adaptive high-order differences (`scipy.differentiate.derivative`); both NaN where they do not converge.

    Examples
    --------
    >>> import math
    >>> slope, error = float_differences(lambda t: math.exp(0.5 + t))
    >>> abs(slope - math.exp(0.5)) <= 4 * error
    True
    """
    from scipy.differentiate import derivative  # takes half a second to load, and is seldom needed

    found = derivative(np.vectorize(f, otypes=[float]), 0.0, initial_step=0.1)
    if not np.isfinite(found.df):
        return float("nan"), float("nan")
    return float(found.df), float(found.error)
