"""Verdicts, and the findings that they are based on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["FAILING", "GRAVITY", "HARMLESS", "VERDICTS", "Finding", "gravest"]

#: Every verdict, the gravest first, with what it means.
VERDICTS = {
    "crash": "the implementation raised an exception",
    "contract": "shape, dtype, a changed or shared input, or two runs that differ",
    "non-finite": "NaN or infinity where the truth is finite",
    "wrong": "farther from the truth than any rounding explains",
    "outside subdifferential": "at a kink, and not even a Clarke subgradient",
    "lossy": "the right formula, but digits are lost",
    "undecided": "the truth is not known well enough to judge",
    "unsupported": "the implementation does not have this",
    "correct": "within the allowance",
}
#: The verdicts that fail the gate.
FAILING = ("crash", "contract", "non-finite", "wrong", "outside subdifferential")
GRAVITY = {verdict: number for number, verdict in enumerate(VERDICTS)}
#: The verdicts of a directed mode that leave the verdict on value and gradients as it is.
HARMLESS = ("undecided", "unsupported", "correct")


@dataclass(frozen=True)
class Finding:
    """One reason for a verdict.

    Parameters
    ----------
    verdict : str
        One of `VERDICTS`.
    where : str
        "value", "gradient of a", "tangent", "hvp of a", "input a", "cotangent" or "program".
    reason : str
        One sentence.
    index : tuple of int, optional
        The worst element.
    got, expected, error, allowance : float
        Of that element.
    bits_lost : float
        log2 of the error in units in the last place.
    mode : str
        The mode of differentiation: see `adjudge.oracle.modes`.
    """

    verdict: str
    where: str
    reason: str
    index: tuple[int, ...] = ()
    got: float = math.nan
    expected: float = math.nan
    error: float = math.nan
    allowance: float = math.nan
    bits_lost: float = 0.0
    mode: str = "vjp"


def gravest(findings: Iterable[Finding]) -> Finding | None:
    """The gravest finding, the first of several that are equally grave."""
    return min(findings, key=lambda finding: GRAVITY[finding.verdict], default=None)
