"""Differences: exact ones on balls, and extrapolated ones in floats for functions that cannot run on balls."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from flint import arb

from .. import numbers as s
from ..certificate import Certificate
from ..modes import MODES
from ..program import Question
from ..reference.evaluate import backward, forward
from .witness import Witness, narrow, overlap

__all__ = ["exact_differences", "float_differences", "gradient_differences"]

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

    def total(inputs: list[Any]) -> Any:
        value = forward(question.program, inputs)[-1]
        return np.sum(np.asarray(value * s.lift(question.cotangent))) if value.size else arb(0)

    try:
        with _stepping(question) as step:
            wide, fine = (_quotient(question, total, h) for h in (step, step / 2))
            slope = fine + arb(0, abs(wide - fine).upper())
    except s.Undecided:
        return Witness("differences", "abstains", note="a comparison between the two points cannot be decided")
    if not narrow(slope, certificate):
        return Witness("differences", "abstains", note="never sharp enough to contradict")
    stance = "agrees" if overlap(slope, certificate) else "disagrees"
    return Witness("differences", stance, float(slope), f"error below {float(slope.rad()):.0e}")


def gradient_differences(certificate: Certificate) -> Witness:
    """Central differences of certified gradients on balls, against Hessian-vector products: no rule of second order takes part.

    Parameters
    ----------
    certificate : Certificate
        Decided.
    """
    question, truth = certificate.question, MODES["hvp"].certify(certificate)
    if truth.trouble:
        return Witness("differences", "abstains", note=f"second order: {truth.trouble}")

    def gradients(inputs: list[Any]) -> Any:
        pulled, _ = backward(question.program, forward(question.program, inputs), s.lift(question.cotangent), poles=True)
        return np.concatenate([np.asarray(g).reshape(-1) for g in pulled if g is not None])

    try:
        with _stepping(question) as step:
            wide, fine = (_quotient(question, gradients, h) for h in (step, step / 2))
    except s.Undecided:
        return Witness("differences", "abstains", note="second order: a comparison between the two points cannot be decided")
    exact = [e for e in truth.arrays if e is not None]
    balls = [ball for e in exact for ball in np.asarray(e.balls).reshape(-1)]
    allowances = np.concatenate([e.allowance.reshape(-1) for e in exact])
    along = np.concatenate(
        [np.asarray(v).reshape(-1) for e, v in zip(truth.arrays, question.directions, strict=True) if e is not None]
    )
    sharp, curvature = 0, float(sum(float(x) * v for x, v in zip(fine, along, strict=True)))
    for coarse, slope, ball, allowance in zip(wide, fine, balls, allowances, strict=True):
        with s.enclosing(BITS):
            around = slope + arb(0, abs(coarse - slope).upper())
            if around.is_finite() and float(around.rad()) <= allowance:
                sharp += 1
                if not around.overlaps(ball):
                    return Witness("differences", "disagrees", curvature, "second order")
    stance = "agrees" if sharp else "abstains"
    return Witness("differences", stance, curvature, f"second order: {sharp} of {len(balls)} elements")


@contextmanager
def _stepping(question: Question) -> Iterator[arb]:
    """Context: balls precise enough for differences at a question's point; gives the step."""
    variables = [np.abs(i.data.astype(np.float64)) for i in question.program.inputs if not i.constant]
    scale = min((float(x[x > 0].min(initial=1.0)) for x in variables), default=1.0)
    largest = max((float(x.max(initial=1.0)) for x in variables), default=1.0)
    with s.enclosing(BITS + 2 * math.ceil(math.log2(largest) - math.log2(scale))):
        yield arb(scale) * arb(2) ** -STEP_BITS


def _quotient(question: Question, function: Callable[[list[Any]], Any], step: arb) -> Any:
    """The central difference quotient of a function of the program's inputs, along the question's directions."""
    ends = []
    for sign in (1, -1):
        inputs = [
            s.lift(i.data) + s.lift(np.asarray(v)) * (step * sign) if v is not None else s.lift(i.data)
            for i, v in zip(question.program.inputs, question.directions, strict=True)
        ]
        ends.append(function(inputs))
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

    result = derivative(np.vectorize(f, otypes=[float]), 0.0, initial_step=0.1)
    if not np.isfinite(result.df):
        return float("nan"), float("nan")
    return float(result.df), float(result.error)
