"""The Taylor leg: the program run forwards on truncated power series, where no derivative rule is involved."""

from __future__ import annotations

import numpy as np
from flint import arb

from .. import numbers as s
from ..certificate import LAST_BITS, Certificate
from ..series import FIRST_BITS, TOO_ROUGH, pushed
from .witness import Witness, narrow, overlap

__all__ = ["taylor"]


def taylor(certificate: Certificate) -> Witness:
    """Compare <cotangent, J v>, the first Taylor coefficient along v, with <gradient, v>.

    Parameters
    ----------
    certificate : Certificate
        Decided.

    Returns
    -------
    Witness
        Abstains where the series are never sharp enough to contradict.
    """

    def attempt(bits: int) -> tuple[arb, int] | None:
        value = pushed(certificate, bits)[0][-1]
        with s.taylor(bits):
            total = s.lift(np.zeros(()))
            if value.size:
                terms = value * s.lift(certificate.question.cotangent)
                total = s.boxed(np.add.reduce(np.asarray(terms).reshape(-1)))
            slope = s.coefficient(total[()], 1)
        return (slope, bits) if narrow(slope, certificate) else None

    try:
        sharp = s.at_rising_precision(attempt, FIRST_BITS, LAST_BITS, TOO_ROUGH)
    except ZeroDivisionError:
        return Witness("series", "abstains", note="no power series here: a pole, or a branch point")
    if sharp is None:
        return Witness("series", "abstains", note="never sharp enough to contradict")
    slope, bits = sharp
    return Witness("series", "agrees" if overlap(slope, certificate) else "disagrees", float(slope), f"{bits} bits")
