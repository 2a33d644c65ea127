"""The contract: how a backend is asked, and the rules that its answer must keep whatever the numbers are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .program import Input, Question, letter
from .protocol import Answer, Backend, MalformedAnswer, Unsupported, kind_of
from .reference.evaluate import as_numpy
from .verdicts import Finding

__all__ = ["ask_twice", "raised", "same", "unchanged"]


def raised(problem: Exception, where: str, mode: str = "vjp") -> Finding:
    """The finding that an exception amounts to."""
    lines = str(problem).strip().splitlines()
    if isinstance(problem, MalformedAnswer):
        return Finding("contract", where, str(problem), mode=mode)
    if isinstance(problem, Unsupported) and lines:
        return Finding("unsupported", where, lines[0], mode=mode)
    verdict = "unsupported" if isinstance(problem, Unsupported) else "crash"
    return Finding(verdict, where, f"{type(problem).__name__}: {lines[0] if lines else ''}", mode=mode)


def ask_twice(question: Question, backend: Backend) -> tuple[Answer, list[Finding]]:
    """Ask the same question twice on fresh inputs; the first answer, and the findings that break the contract."""
    answers: list[list[np.ndarray]] = []
    findings: list[Finding] = []
    given = None
    for _ in range(2):
        inputs = [i.materialise() for i in question.program.inputs]
        cotangent = np.array(question.cotangent)
        with np.errstate(all="ignore"):
            answer = backend.vjp(question.program, inputs, cotangent)
        if not (hasattr(answer, "value") and isinstance(getattr(answer, "gradients", None), (list, tuple))):
            raise MalformedAnswer(f"vjp returned {kind_of(answer)} where an Answer with a value and a list of gradients is due")
        answers.append([np.array(a) for a in _arrays(answer)])
        if given is None:
            given = answer
            findings += _contract(question, answer, inputs, cotangent, backend)
    assert given is not None
    if not _all_same(answers[0], answers[1]):
        findings.append(Finding("contract", "program", "two runs on the same inputs give different answers"))
    if not _all_same(answers[0], _arrays(given)):
        findings.append(Finding("contract", "program", "the first answer changed when the second was computed"))
    return given, findings


def _arrays(answer: Answer) -> list[np.ndarray]:
    return [np.asarray(answer.value), *(np.asarray(g) for g in answer.gradients if g is not None)]


def _all_same(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> bool:
    return len(first) == len(second) and all(same(a, b) for a, b in zip(first, second, strict=True))


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are equal in shape, dtype and every element, NaN included."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)


def _contract(
    question: Question, answer: Answer, inputs: Sequence[Any], cotangent: np.ndarray, backend: Backend
) -> list[Finding]:
    program, out = question.program, []
    gradients: Sequence[Any] = answer.gradients  # whatever they are

    def broken(where: str, reason: str) -> None:
        out.append(Finding("contract", where, reason))

    if len(gradients) != len(program.inputs):
        broken("program", f"{len(gradients)} gradients for {len(program.inputs)} inputs: the shape of the answer is wrong")
        return out
    value = np.asarray(answer.value)
    if value.shape != question.cotangent.shape:
        broken("value", f"shape {value.shape} where {question.cotangent.shape} is due")
    elif backend.numpy_dtypes and value.dtype != (expected := as_numpy(program)).dtype:
        broken("value", f"dtype {value.dtype} where NumPy gives {expected.dtype}")
    for n, (i, fresh, g) in enumerate(zip(program.inputs, inputs, gradients, strict=True)):
        name = f"gradient of {letter(n)}"
        if isinstance(fresh, np.ndarray) and not unchanged(fresh, i):
            broken(f"input {letter(n)}", "the input was changed")
        elif isinstance(fresh, np.ndarray) and fresh.flags.writeable != (i.layout not in ("read-only", "broadcast")):
            broken(f"input {letter(n)}", f"the input was made {'writeable' if fresh.flags.writeable else 'read-only'}")
        if i.constant:
            continue
        if g is None:
            continue
        if not isinstance(g, np.ndarray):
            broken(name, f"{kind_of(g)} where an array is due")
            continue
        if g.shape != i.data.shape:
            broken(name, f"shape {g.shape} where {i.data.shape} is due")
        elif g.dtype != i.data.dtype:
            broken(name, f"dtype {g.dtype} where {i.data.dtype} is due")
        for m, other in enumerate(inputs):
            if isinstance(other, np.ndarray) and np.may_share_memory(g, other):
                broken(name, f"it shares memory with input {letter(m)}")
        for m, other in enumerate(gradients[:n]):
            if isinstance(other, np.ndarray) and g.size and np.may_share_memory(g, other):
                broken(name, f"it shares memory with the gradient of {letter(m)}")
    if not same(cotangent, question.cotangent):
        broken("cotangent", "the cotangent that was handed over was changed")
    return out


def unchanged(array: np.ndarray, i: Input) -> bool:
    """Whether an input that was handed over still holds the same bits."""
    return array.shape == i.data.shape and array.dtype == i.data.dtype and array.tobytes() == i.data.tobytes()
