"""Blame: the step of a failing program that fails alone, given the operands that the implementation itself computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from . import numbers as s
from .dtypes import is_float
from .judge import Judgement, judge
from .modes import MODES
from .program import Program, Question
from .protocol import Backend, Implementation, as_backend
from .reference.evaluate import backward, forward
from .series import push, slopes
from .verdicts import FAILING, Finding

__all__ = ["Blame", "blame"]

#: Verdicts about a number, the gravest first: what is graver in one step may be less so at the end of the program.
NUMBERS = ("non-finite", "wrong", "outside subdifferential", "lossy")


@dataclass(frozen=True)
class Blame:
    """The step to blame.

    Parameters
    ----------
    step : int or None
        Its number; None where every step is right alone, and the fault lies in how contributions are accumulated.
    op : str
        Its op, or "accumulation".
    alone : Question or None
        The step as a question of its own; it fails too, unless the note says otherwise.
    note : str
        One sentence.
    alike : Finding or None
        The finding against the step alone.
    """

    step: int | None
    op: str
    alone: Question | None
    note: str
    alike: Finding | None = None


def blame(judgement: Judgement, backend: Backend | Implementation | ModuleType, finding: Finding | None = None) -> Blame:
    """Judge each step of a failing program by itself.

    Each step gets the operands that the backend computed for it, and the exact cotangent of its value, rounded; for a finding
    of a directed mode also the exact tangents of its operands. The first step is to blame that alone has a finding of the same
    verdict, or a graver one about its numbers. Where none has, it is the first that alone fails in another way: a gradient of
    the wrong shape makes others wrong. Where all are right, and the value is wrong or there is no answer at all, it is the
    step with which that begins: the memory layout of an operand, for example, does not show in a step alone.

    Parameters
    ----------
    judgement : Judgement
    backend : Backend
    finding : Finding, optional
        Which of the judgement's findings to explain; the gravest if left out.
    """
    question, backend = judgement.question, as_backend(backend)
    finding = finding or judgement.worst
    if finding is None:
        raise ValueError("nothing stands against this answer, so there is nothing to blame")
    program = question.program
    if len(program.steps) == 1:
        return Blame(0, program.steps[0].op, question, "the program has one step")
    values = _computed(program, backend)
    cotangents = _cotangents(question)
    tangents = _tangents(question) if MODES[finding.mode].directed else []
    about = (finding.mode, "vjp") if finding.mode == "hvp" else (finding.mode,)  # what is wrong once is wrong twice
    otherwise: Blame | None = None
    for number, step in enumerate(program.steps):
        operands = {a: values[a] for a in step.args}
        cotangent = cotangents[len(program.inputs) + number]
        if cotangent is None and finding.verdict == "crash":  # nothing depends on the step, and yet it is computed
            cotangent = np.zeros(np.shape(values[len(program.inputs) + number]), question.cotangent.dtype)
        if cotangent is None or any(v is None for v in operands.values()):
            continue
        alone = _alone(program, number, operands, cotangent, tangents)
        alone_findings = judge(alone, backend, modes=(finding.mode,)).findings
        alike = _alike([f for f in alone_findings if f.mode == finding.mode], finding)
        if alike is not None:
            return Blame(number, step.op, alone, f"step {number} ({step.op}) fails alone", alike)
        failing = next((f for f in alone_findings if f.verdict in FAILING and f.mode in about), None)
        if failing is not None and otherwise is None:
            note = f"step {number} ({step.op}) fails alone, in another way: {failing.verdict}"
            otherwise = Blame(number, step.op, alone, note, failing)
    if otherwise is not None:
        return otherwise
    if finding.where in ("value", "program", "process"):
        for number, step in enumerate(program.steps):
            begun = _beginning(question, number, values, cotangents)
            if any(f.verdict == finding.verdict for f in judge(begun, backend, modes=("vjp",)).findings):
                operands = {a: values[a] for a in step.args}
                alone = _alone(program, number, operands, begun.cotangent, [])
                return Blame(
                    number, step.op, alone, f"with step {number} ({step.op}) it begins, though that step is right alone"
                )
    return Blame(
        None, "accumulation", None, "every step is right alone: the fault is in accumulation (fan-out, broadcasting, aliasing)"
    )


def _alike(findings: Sequence[Finding], finding: Finding) -> Finding | None:
    """The finding about a step alone that explains one about the program: the same verdict, or a graver one about a number.

    A crash is explained only by one with the same message.
    """
    same = [f for f in findings if f.verdict == finding.verdict and (f.verdict != "crash" or f.reason == finding.reason)]
    worse = NUMBERS[: NUMBERS.index(finding.verdict)] if finding.verdict in NUMBERS else ()
    return next(iter((*same, *(f for f in findings if f.verdict in worse))), None)


def _beginning(question: Question, number: int, values: list[Any], cotangents: list[Any]) -> Question:
    """The question up to and including step `number`."""
    program = Program(question.program.inputs, question.program.steps[: number + 1])
    place = len(program.inputs) + number
    cotangent = (
        cotangents[place] if cotangents[place] is not None else np.ones(np.shape(values[place]), question.cotangent.dtype)
    )
    return Question(program, cotangent, question.directions)


def _computed(program: Program, backend: Backend) -> list[Any]:
    """Every value as the backend computes it, or as NumPy does where it raises."""
    values: list[Any] = [i.data for i in program.inputs]
    for number in range(len(program.steps)):
        prefix = Program(program.inputs, program.steps[: number + 1])
        with np.errstate(all="ignore"):
            plain = np.asarray(forward(prefix, [i.data for i in program.inputs])[-1])
        try:
            with np.errstate(all="ignore"):
                cotangent = np.ones(plain.shape, plain.dtype if is_float(plain.dtype) else np.float64)
                got = backend.observe("vjp", prefix, cotangent, once=True).arrays[0]
            values.append(got if isinstance(got, np.ndarray) else plain)
        except (
            Exception,
            SystemExit,
        ):  # a backend that raises leaves nothing to feed later steps with; its own step is judged as a crash
            values.append(plain)
    return values


def _cotangents(question: Question) -> list[Any]:
    """The exact cotangent of every value, rounded to the question's dtype."""
    program = question.program
    try:
        with s.enclosing(256):
            values = forward(program, [s.lift(i.data) for i in program.inputs])
            _, cotangents = backward(program, values, s.lift(question.cotangent), poles=True)
    except s.Undecided:
        return [None] * (len(program.inputs) + len(program.steps))
    return [None if g is None else s.to_float(g).astype(question.cotangent.dtype) for g in cotangents]


def _tangents(question: Question) -> list[Any]:
    """The exact tangent of every value along the question's directions; an empty list where they are not known."""
    try:
        with s.taylor(256):
            return [s.to_float(slopes(x)) for x in push(question.program, question.directions)]
    except (s.Undecided, ValueError, ZeroDivisionError):
        return []


def _alone(program: Program, number: int, operands: dict[int, Any], cotangent: np.ndarray, tangents: list[Any]) -> Question:
    full = [operands.get(n) for n in range(len(program.inputs) + len(program.steps))]
    single = program.alone(number, full)
    along = [tangents[a] for a in dict.fromkeys(program.steps[number].args)] if tangents else [None] * len(single.inputs)
    directions = tuple(
        None if i.constant else np.ones(i.data.shape) if v is None else v.astype(i.data.dtype)
        for i, v in zip(single.inputs, along, strict=True)
    )
    return Question(single, cotangent, directions)
