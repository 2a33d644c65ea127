"""What is true, and whether an answer is right."""

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
