"""The contract: the rules that a backend's answer must keep whatever the numbers are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .accused.observe import NotAnArray, Observation, same
from .program import Question, letter
from .protocol import Backend, Lost, MalformedAnswer, Raised, Unsupported
from .reference.evaluate import as_numpy
from .verdicts import Finding

__all__ = ["broken_in_reverse", "disturbed", "not_an_array", "raised", "same"]


def raised(problem: BaseException, where: str, mode: str = "vjp") -> Finding:
    """The finding that an exception amounts to."""
    lines = str(problem).strip().splitlines()
    first = lines[0] if lines else ""
    match problem:
        case Lost():
            return Finding("crash", "process", first, mode=mode)
        case MalformedAnswer():
            return Finding("contract", where, first, mode=mode)
        case Unsupported():
            return Finding("unsupported", where, first or "Unsupported: ", mode=mode)
        case Raised():
            return Finding("crash", where, first, mode=mode)
    return Finding("crash", where, f"{type(problem).__name__}: {first}", mode=mode)


def broken_in_reverse(question: Question, seen: Observation, backend: Backend) -> list[Finding]:
    """The findings about an answer in reverse mode that break the contract."""
    program, out = question.program, list[Finding]()
    value, *gradients = seen.arrays

    def broken(where: str, reason: str) -> None:
        out.append(Finding("contract", where, reason))

    if len(gradients) != len(program.inputs):
        given = f"{len(gradients)} gradient{'' if len(gradients) == 1 else 's'}"
        broken("program", f"{given} for {len(program.inputs)} inputs: the shape of the answer is wrong")
    else:
        _broken_value(question, value, backend, broken)
        for n, (i, g) in enumerate(zip(program.inputs, gradients, strict=True)):
            name = f"gradient of {letter(n)}"
            if n in seen.changed:
                broken(f"input {letter(n)}", "the input was changed")
            elif n in (*seen.unlocked, *seen.locked):
                broken(f"input {letter(n)}", f"the input was made {'writeable' if n in seen.unlocked else 'read-only'}")
            if i.constant or g is None:
                continue
            if isinstance(g, NotAnArray):
                broken(name, not_an_array(g))
                continue
            if g.shape != i.data.shape:
                broken(name, f"shape {g.shape} where {i.data.shape} is due")
            elif g.dtype != i.data.dtype:
                broken(name, f"dtype {g.dtype} where {i.data.dtype} is due")
            for kind, m in [(kind, m) for k, kind, m in seen.shared if k == n]:
                if kind == "gradient" and program.inputs[m].constant:
                    continue  # nobody asked for that one
                broken(name, f"it shares memory with {'input' if kind == 'input' else 'the gradient of'} {letter(m)}")
        if seen.cotangent_changed:
            broken("cotangent", "the cotangent that was handed over was changed")
    if seen.unsteady:
        broken("program", "two runs on the same inputs give different answers")
    if seen.overwritten:
        broken("program", "the first answer changed when the second was computed")
    return out


def _broken_value(question: Question, value: Any, backend: Backend, broken: Any) -> None:
    if isinstance(value, NotAnArray):
        broken("value", not_an_array(value))
    elif value.shape != question.cotangent.shape:
        broken("value", f"shape {value.shape} where {question.cotangent.shape} is due")
    elif backend.numpy_dtypes and value.dtype != (expected := as_numpy(question.program)).dtype:
        broken("value", f"dtype {value.dtype} where NumPy gives {expected.dtype}")


def not_an_array(x: NotAnArray) -> str:
    """The reason that it is a finding."""
    return f"{x.kind} where an array is due"


def disturbed(seen: Observation, places: Sequence[str], mode: str) -> Finding | None:
    """The finding about inputs or a cotangent that were changed, if there is one."""
    if seen.changed:
        return Finding("contract", places[0], f"input {letter(seen.changed[0])} was changed", mode=mode)
    if seen.cotangent_changed:
        return Finding("contract", places[0], "the cotangent that was handed over was changed", mode=mode)
    return None
