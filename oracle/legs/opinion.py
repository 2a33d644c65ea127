"""The opinion leg: a third-party library is asked the same question in double precision."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..dtypes import is_float
from ..judge import Judgement, judge
from ..program import Input, Program, Question, Step
from ..protocol import Backend
from .witness import Witness

__all__ = ["in_double", "opinion"]


def in_double(question: Question) -> Question:
    """The same question with every float in float64 (which holds every narrower float exactly)."""
    inputs = tuple(
        Input(i.data.astype(np.float64), i.constant, i.kind) if is_float(i.data.dtype) else i for i in question.program.inputs
    )
    steps = tuple(
        Step(step.op, step.args, {k: v for k, v in step.params.items() if k != "dtype"}) for step in question.program.steps
    )
    return Question(Program(inputs, steps), question.cotangent.astype(np.float64), question.directions)


def opinion(question: Question, library: Backend, known: Callable[[Judgement], str | None]) -> Witness:
    """The stance of `library`: it agrees if its answer in float64 is within the allowance, or is off by loss of digits only.

    Parameters
    ----------
    question : Question
    library : Backend
    known : callable
        Gives the name of a known deviation of the library that explains a failing judgement, or None.
    """
    judgement = judge(in_double(question), library, modes=("vjp",))
    name = library.name
    worst = judgement.worst
    if not judgement.failed:
        if judgement.verdict in ("undecided", "unsupported"):
            return Witness(name, "abstains", note=worst.reason if worst else "")
        return Witness(name, "agrees", note=judgement.verdict)
    deviation = known(judgement)
    if deviation is not None:
        return Witness(name, "abstains", note=f"known deviation of {name}: {deviation}")
    return Witness(name, "disagrees", note=f"{worst.where}: {worst.reason}" if worst else "")
