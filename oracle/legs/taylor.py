"""The Taylor leg: the program run forwards on truncated power series, where no derivative rule is involved."""

from __future__ import annotations

import numpy as np

from ..certificate import LAST_BITS, Certificate
from ..numbers import scalars as s
from ..tangent import FIRST_BITS, pushed
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
    question = certificate.question
    bits, slope = FIRST_BITS, None
    while bits <= LAST_BITS:
        try:
            value = pushed(certificate, bits)[0][-1]
            with s.taylor(bits):
                total = s.lift(np.zeros(()))
                if value.size:
                    terms = value * s.lift(question.cotangent)
                    total = s.boxed(np.add.reduce(np.asarray(terms).reshape(-1)))
                slope = s.coefficient(total[()], 1)
        except (s.Undecided, ValueError):  # flint's ValueError: a ball that contains 0 leads a denominator
            bits *= 2
            continue
        except ZeroDivisionError:
            return Witness("series", "abstains", note="no power series here: a pole, or a branch point")
        if narrow(slope, certificate):
            break
        bits *= 2
    if slope is None or not narrow(slope, certificate):
        return Witness("series", "abstains", note="never sharp enough to contradict")
    agrees = overlap(slope, certificate)
    return Witness("series", "agrees" if agrees else "disagrees", float(slope), f"{bits} bits")
