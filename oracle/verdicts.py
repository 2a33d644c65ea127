"""Verdicts, and the findings that they are based on."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["FAILING", "GRAVITY", "HARMLESS", "VERDICTS", "Finding", "gravest"]

#: Every verdict, the gravest first, with what it means.
VERDICTS = {
    "crash": "the implementation raised an exception, or its process ended, hung or answered with what is no answer",
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
        "value", "gradient of a", "tangent", "hvp of a", "input a", "cotangent", "program", or "process" where that was lost.
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
    instead : str
        What is answered instead, in words that are the same for every question on which one fault shows alike.
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
    instead: str = ""

    def __post_init__(self) -> None:
        if not self.instead:
            object.__setattr__(self, "instead", _alike(self.reason) if math.isnan(self.got) else _number_instead(self))


def _alike(reason: str) -> str:
    """A reason without names of values, shapes and numbers, which differ from question to question."""
    words = re.sub(r"\((?:\d+,?\s*)*\)|\[[\d\s,.e+-]*\]", "(…)", reason)
    words = re.sub(r"\b(an?) (?:float|u?int|complex)\d+\b", "a number", words)
    words = re.sub(r"\b(dtype \w+) where \w+ is due", r"\1 where another is due", words)
    words = re.sub(r"\b(input|gradient of|hvp of) [a-z]\d*\b", r"\1 …", words)
    return re.sub(r"(?<![A-Za-z_])(?:0x[0-9a-f]+|\d[\d.]*(?:e[+-]?\d+)?)(?![A-Za-z_])", "…", words)[:160]


#: Numbers that a fault makes of the right one, in words.
MULTIPLES = {0.0: "0", -1.0: "the negative", 2.0: "twice as much", 0.5: "half as much"}


def _number_instead(finding: Finding) -> str:
    """What a finding's worst element is, in terms of what it should be."""
    if not math.isfinite(finding.got):
        return "nan" if math.isnan(finding.got) else "inf"
    room = 0.0 if math.isnan(finding.allowance) else finding.allowance
    for factor, words in MULTIPLES.items():
        if abs(finding.got - factor * finding.expected) <= room * abs(factor):
            return words
    return "another number"


def gravest(findings: Iterable[Finding]) -> Finding | None:
    """The gravest finding, the first of several that are equally grave."""
    return min(findings, key=lambda finding: GRAVITY[finding.verdict], default=None)
