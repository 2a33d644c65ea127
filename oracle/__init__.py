"""The truth about a program, and whether an answer is right."""

if __name__ != "adjudge.oracle":  # found from the checkout's root, where this is only a folder
    raise ImportError(f"{__name__!r} is a folder of a checkout: the package is adjudge.oracle")

from .certificate import Certificate, Enclosure, certify
from .judge import VERDICTS, Finding, Judgement, judge
from .program import Input, Program, ProgramError, Question, Step

__all__ = [
    "VERDICTS",
    "Certificate",
    "Enclosure",
    "Finding",
    "Input",
    "Judgement",
    "Program",
    "ProgramError",
    "Question",
    "Step",
    "certify",
    "judge",
]
