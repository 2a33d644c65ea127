"""Blame: which step of a failing program fails alone, fed with what the implementation itself computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .judge import FAILING, Finding, Judgement, judge
from .program import Program, Question
from .reference import scalars as s
from .reference.evaluate import backward, forward
from .tangent import push, slopes

__all__ = ["Blame", "blame"]


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
        The step as a question of its own, which fails as well.
    note : str
        One sentence.
    """

    step: int | None
    op: str
    alone: Question | None
    note: str


def blame(judgement: Judgement, backend: Any, finding: Finding | None = None) -> Blame:
    """Judge each step of a failing program by itself.

    Each step gets the operands that the backend computed for it, and the exact cotangent of its value, rounded; for a finding
    about the tangent also the exact tangents of its operands. The first step is to blame that alone has a finding of the same
    verdict; if none has, the first that alone fails in another way (a gradient of the wrong shape makes others wrong).

    Parameters
    ----------
    judgement : Judgement
    backend : Backend
    finding : Finding, optional
        Which of the judgement's findings to explain; the gravest if left out.
    """
    question = judgement.question
    finding = finding or judgement.worst
    if finding is None:
        raise ValueError("nothing stands against this answer, so there is nothing to blame")
    program = question.program
    if len(program.steps) == 1:
        return Blame(0, program.steps[0].op, question, "the program has one step")
    values = _computed(program, backend)
    cotangents = _cotangents(question)
    pushed = finding.where == "tangent"
    tangents = _tangents(question) if pushed else []
    otherwise: Blame | None = None
    for number, step in enumerate(program.steps):
        operands = {a: values[a] for a in step.args}
        cotangent = cotangents[len(program.inputs) + number]
        if cotangent is None and finding.verdict == "crash":  # what the value does not depend on is computed as well
            cotangent = np.ones(np.shape(values[len(program.inputs) + number]), question.cotangent.dtype)
        if cotangent is None or any(v is None for v in operands.values()):
            continue
        alone = _alone(program, number, operands, cotangent, tangents)
        found = judge(alone, backend, tangents=pushed).findings
        if any(_alike(f, finding) for f in found):
            return Blame(number, step.op, alone, f"step {number} ({step.op}) fails alone")
        failing = next((f.verdict for f in found if f.verdict in FAILING and (f.where == "tangent") == pushed), None)
        if failing is not None and otherwise is None:
            otherwise = Blame(number, step.op, alone, f"step {number} ({step.op}) fails alone, in another way: {failing}")
    return otherwise or Blame(
        None, "accumulation", None, "every step is right alone: the fault is in accumulation (fan-out, broadcasting, aliasing)"
    )


def _alike(found: Finding, finding: Finding) -> bool:
    """Whether a step's finding explains a program's: crashes by their own words."""
    said = finding.verdict != "crash" or found.reason == finding.reason
    return said and found.verdict == finding.verdict and (found.where == "tangent") == (finding.where == "tangent")


def _computed(program: Program, backend: Any) -> list[Any]:
    """Every value as the backend computes it; None where it raises."""
    values: list[Any] = [i.data for i in program.inputs]
    for number in range(len(program.steps)):
        prefix = Program(program.inputs, program.steps[: number + 1])
        try:
            with np.errstate(all="ignore"):
                plain = np.asarray(forward(prefix, [i.data for i in program.inputs])[-1])
                cotangent = np.ones(plain.shape, plain.dtype if plain.dtype.kind == "f" else np.float64)
                got = backend.vjp(prefix, [i.materialise() for i in program.inputs], cotangent).value
            values.append(np.asarray(got))
        except Exception:  # a backend that raises leaves nothing to feed later steps with; its own step is judged as a crash
            values.append(plain)
    return values


def _cotangents(question: Question) -> list[Any]:
    """The exact cotangent of every value, rounded to the question's dtype."""
    program = question.program
    try:
        with s.exact(256):
            values = forward(program, [s.lift(i.data) for i in program.inputs], s.Branches())
            _, cotangents = backward(program, values, s.lift(question.cotangent), s.Branches(), poles=True)
    except s.Undecided:
        return [None] * (len(program.inputs) + len(program.steps))
    return [None if g is None else s.to_float(g).astype(question.cotangent.dtype) for g in cotangents]


def _tangents(question: Question) -> list[Any]:
    """The exact tangent of every value along the question's directions; none where there is no telling."""
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
