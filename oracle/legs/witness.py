"""The testimony of one leg on a question: the derivative of its scalar along the question's directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from flint import arb

from .. import numbers as s
from ..certificate import Certificate

__all__ = ["Witness", "along", "overlap"]


@dataclass(frozen=True)
class Witness:
    """One leg's testimony.

    Parameters
    ----------
    leg : str
        "balls", "series", "differences", "jax", or the backend's name.
    stance : {"agrees", "disagrees", "abstains"}
    derivative : float
        The directional derivative by this leg.
    note : str
        Why it abstains, or how sure it is.
    """

    leg: str
    stance: str
    derivative: float = float("nan")
    note: str = ""


def along(certificate: Certificate) -> list[arb]:
    """The certified derivative along the question's directions: one ball, or at a kink one per vertex."""
    question = certificate.question
    out = []
    with s.enclosing(certificate.bits):
        for gradients in certificate.vertices or (certificate.gradients,):
            total = arb(0)
            for truth, direction in zip(gradients, question.directions, strict=True):
                if truth is not None and direction is not None and truth.balls.size:
                    total += np.sum(np.asarray(truth.balls * s.lift(np.asarray(direction))))
            out.append(total)
    return out


def overlap(ball: arb, certificate: Certificate) -> bool:
    """Whether `ball` meets the certified derivative, or at a kink the interval that its vertices span."""
    hull = along(certificate)
    low, high = hull[0], hull[0]
    for other in hull[1:]:
        low, high = low.min(other), high.max(other)
    return not (ball < low or ball > high)


def narrow(ball: arb, certificate: Certificate) -> bool:
    """Whether `ball` is narrow enough to contradict: narrower than what the allowance lets pass."""
    room = sum(
        float((np.abs(np.asarray(v)) * e.allowance).sum())
        for e, v in zip(certificate.gradients, certificate.question.directions, strict=True)
        if e is not None and v is not None
    )
    return bool(ball.is_finite()) and float(ball.rad()) <= room
