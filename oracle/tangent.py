"""Tangents: the certified derivative of a program's value along the question's directions, and how far forward mode may be off.

The truth is the first coefficient of the program run on Taylor series of balls: no derivative rule is involved. The allowance
is made as for gradients: the same series on balls of the dtype's own precision enclose every honest forward mode, and the
farthest point of those from the truth, plus one unit in the last place, is how far an answer may be off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb

from .certificate import LAST_BITS, LOSSY_ULPS, SHARPNESS, Certificate, Enclosure, enclose, finite, flat, lifted, span_of
from .numbers import scalars as s
from .program import Program
from .reference.evaluate import backward, forward

__all__ = ["FIRST_BITS", "Tangent", "certify_tangent", "directions_in_dtype", "lossy_tangent", "push", "slopes"]

#: Series lose more digits than balls do (a quotient of series cancels), so they start with more.
FIRST_BITS = 192
#: At so many elements a loss of digits is looked into: those that are farthest beyond the allowance.
MOST_LOSSY = 64

Directions = Sequence[np.ndarray | None]

_coefficients = [np.frompyfunc(lambda x, order=order: s.coefficient(x, order), 1, 1) for order in (0, 1)]


@dataclass(frozen=True)
class Tangent:
    """What is true of the tangent of a question's value along its directions.

    Parameters
    ----------
    truth : Enclosure or None
        None where nothing is known; then `trouble` says why.
    trouble : str
        "" where something is known.
    """

    truth: Enclosure | None
    trouble: str = ""


def push(program: Program, directions: Directions) -> list[Any]:
    """All values of a program as Taylor series along `directions`, in the context that holds.

    Parameters
    ----------
    program : Program
    directions : sequence of ndarray or None
        One an input, of its shape; None for those that stay.

    Raises
    ------
    Undecided, ValueError
        Where precision is too low: a comparison is open, or a ball that contains 0 leads a denominator.
    ZeroDivisionError
        Where there is no power series: a pole, or a branch point.
    """
    inputs = [s.lift_series(i.data, v) for i, v in zip(program.inputs, directions, strict=True)]
    return forward(program, inputs, s.current_branches())


def pushed(certificate: Certificate, bits: int) -> tuple[list[Any], s.Branches]:
    """What `push` gives for a certificate's question at a precision, and the comparisons on the way; remembered."""
    known: dict[int, tuple[list[Any], s.Branches]] = certificate.series
    if bits not in known:
        with s.taylor(bits) as branches:
            known[bits] = push(certificate.question.program, certificate.question.directions), branches
    return known[bits]


def directions_in_dtype(certificate: Certificate) -> list[np.ndarray | None] | None:
    """The question's directions in the dtypes of the inputs; None where those do not hold them."""
    out: list[np.ndarray | None] = []
    for i, v in zip(certificate.question.program.inputs, certificate.question.directions, strict=True):
        out.append(None if v is None or i.constant else np.asarray(v).astype(i.data.dtype))
        if out[-1] is not None and not np.array_equal(out[-1], np.asarray(v)):
            return None
    return out


def certify_tangent(certificate: Certificate) -> Tangent:
    """Find the truth about the tangent, and its allowance.

    Parameters
    ----------
    certificate : Certificate
        Of the same question.

    Examples
    --------
    >>> import numpy as np
    >>> from adjudge import Program, certify
    >>> p = Program.of([np.array([0.5, 3.0])], [("square", [0]), ("sum", [1])])
    >>> float(certify_tangent(certify(p)).truth.nearest)
    7.0
    """
    if not certificate.decided:
        return Tangent(None, certificate.trouble)
    if certificate.kink:
        return Tangent(None, "not differentiable here")
    if directions_in_dtype(certificate) is None:
        return Tangent(None, "the directions are no numbers of the dtype")
    bits, honest = FIRST_BITS, None
    while bits <= LAST_BITS:
        try:
            series, branches = pushed(certificate, bits)
            honest = honest or _honest(certificate, series, branches, bits)
        except (s.Undecided, ValueError):
            bits *= 2
            continue
        except ZeroDivisionError:
            return Tangent(None, "no power series here: a pole, or a branch point")
        if isinstance(honest, str):
            return Tangent(None, honest)
        with s.exact(bits):
            tangent = slopes(series[-1])
            (truth,) = enclose([tangent], s.to_float(flat([tangent])), honest, certificate.model)
        if truth.sharp:
            return Tangent(truth)
        bits *= 2
    return Tangent(None, f"series of {LAST_BITS} bits do not decide")


def slopes(series: Any) -> Any:
    """The first coefficients of an array of series, as balls."""
    return s.boxed(np.asarray(_coefficients[1](np.asarray(series)), dtype=object))


def _honest(certificate: Certificate, series: Sequence[Any], branches: s.Branches, bits: int) -> list[Any] | str:
    """The tangents that honest computations come to, as balls in a list of one array; or why there is no telling."""
    model = certificate.model
    with s.exact(bits):
        values, tangents = ([np.asarray(c(np.asarray(x)), dtype=object) for x in series] for c in _coefficients)
        if not finite([values[-1], tangents[-1]]):
            return "not differentiable here, or outside the domain"
        every = [*values, *tangents]
        span = span_of([s.to_float(flat(every))], every, [])
        if span[1] > model.largest:
            return f"a value of the program is beyond the range of {model.dtype}"
    loss = model.loss if span[0] * model.ulp < model.loss * 2.0**SHARPNESS else 0.0
    replay = s.Branches(decided=branches.decided)
    try:
        with s.working(model.dtype, replay, model.unit, loss, model.flush, order=2):
            rough = push(certificate.question.program, certificate.question.directions)[-1]
    except (ValueError, ZeroDivisionError):
        return "rounding brings a denominator to 0"
    return "rounding decides which branch a comparison takes" if replay.doubtful else [slopes(rough)]


def lossy_tangent(certificate: Certificate, truth: Enclosure, error: np.ndarray) -> np.ndarray:
    """How far a tangent may be off by loss of digits alone, elementwise.

    The principle is that of `Certificate.lossy`: every value may be off by a few units in the last place, and the formulas are
    those that textbooks have. Forward mode multiplies the same slopes as reverse mode does, in the other order, so an
    element's bound is what comes of pulling that element back, and along the directions.

    Parameters
    ----------
    certificate : Certificate
    truth : Enclosure
        Of the tangent.
    error : ndarray
        How far the answer is off. Only the elements that are farthest beyond the allowance are looked into, `MOST_LOSSY`
        of them; for the others the bound is infinite, so that they alone do not make an answer wrong.
    """
    question, model = certificate.question, certificate.model
    excess = np.where(np.isfinite(error), error / np.maximum(truth.allowance, np.finfo(np.float64).tiny), 0.0)
    worst = np.argsort(-excess, axis=None, kind="stable")[:MOST_LOSSY]
    bounds = np.full(truth.nearest.shape, np.inf)
    balls: dict[int, Any] = {}
    branches = s.Branches(script=certificate.branches.script, decided=certificate.branches.decided)
    with s.working(model.dtype, branches, model.unit, model.loss, model.flush) as run:
        blur = arb(1, LOSSY_ULPS * model.ulp)
        inputs = [x * blur for x in lifted(question.program)]
        values = forward(question.program, inputs, run, after=lambda x: x * blur, textbook=True)
        for place in worst[excess.reshape(-1)[worst] > 1].tolist():
            one = np.zeros(truth.nearest.size)
            one[place] = 1.0
            pulled, _ = backward(question.program, values, s.lift(one.reshape(bounds.shape)), run, textbook=True, poles=True)
            balls[place] = arb(0)
            for g, v in zip(pulled, question.directions, strict=True):
                if g is not None and v is not None and g.size:
                    balls[place] += s.add_reduce(g * s.lift(np.asarray(v)))[()]
    with s.exact(certificate.bits):
        for place, ball in balls.items():
            bounds.reshape(-1)[place] = float((ball - np.asarray(truth.balls).reshape(-1)[place]).abs_upper())
    return np.asarray(np.nan_to_num(bounds, nan=np.inf) + np.abs(truth.nearest) * model.ulp)
