"""The sensitivity of the suite: every seeded fault put to every op of the catalogue, and the table that reports show.

``python -m adjudge.suite.sensitivity FILE`` measures all of it and writes the table.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, seed

from ..backends.faults import FAULTS, Fault, faulty
from ..oracle.certificate import as_question, certify
from ..oracle.judge import judge
from ..oracle.modes import MODES
from ..oracle.program import Input, Program, Question, Step
from ..oracle.reference import OPS, forward
from ..strategies import questions
from ..strategies.catalogue import CATALOGUE
from ..strategies.patterns import SEQUENCE
from ..strategies.seeded import seeded_settings

__all__ = ["QUESTIONS", "applicable", "asked", "drawn", "rejected", "table"]

#: How many questions are asked about each fault in each op, at most.
QUESTIONS = 60
#: Any seed will do, as long as it stays the same.
SEED = 20


@cache
def drawn(op: str, dtype: str = "float64") -> tuple[Question, ...]:
    """Questions about an op, the same ones every time."""
    out: list[Question] = []

    def keep(question: Question) -> None:
        out.append(question)

    with seeded_settings(QUESTIONS, shrink=False) as settings:
        seed(SEED)(settings(given(questions(op, dtypes=(dtype,)))(keep)))()
    return tuple(out)


def asked(fault: Fault, op: str) -> tuple[Question, ...]:
    """The questions by which a fault in an op should be seen."""
    if fault.name != "dropped fan-out term":
        return drawn(op)
    return tuple(_fanned(q) for q in drawn(op) if len(q.program.steps) == 1)


def rejected(fault: Fault, op: str) -> int | None:
    """How many questions it took until the judge rejected a fault in an op; None where it never did."""
    backend = faulty(fault, op)
    modes = ("vjp", fault.mode)
    numbered = enumerate(asked(fault, op), 1)
    return next((number for number, question in numbered if judge(question, backend, modes=modes).failed), None)


def applicable(fault: Fault, op: str) -> bool:
    """Whether a fault in an op changes the answer to any of these questions."""
    if fault.change is not None:
        return any(_moved(question, fault) for question in drawn(op))
    test = _VISIBLE.get(fault.name)
    return test is None or any(test(question, op) for question in drawn(op))


def _moved(question: Question, fault: Fault) -> bool:
    """Whether a change alters a derivative in a directed mode by more than rounding explains."""
    certificate = certify(question)
    mode = MODES[fault.mode]
    truth = mode.certify(certificate)
    if truth.trouble or fault.change is None:
        return False
    errors = [None if e is None else e.error(fault.change(e.nearest)) for e in truth.arrays]
    allowances = [None if e is None else e.allowance for e in truth.arrays]
    return _beyond(errors, allowances) and _beyond(errors, mode.lossy(certificate, truth, errors))


def _beyond(errors: Sequence[np.ndarray | None], rooms: Sequence[np.ndarray | None]) -> bool:
    pairs = zip(errors, rooms, strict=True)
    return any(bool((~(e <= room)).any()) for e, room in pairs if e is not None and room is not None)


def _steps(question: Question, op: str) -> Iterator[tuple[int, tuple[int, ...]]]:
    return ((n, step.args) for n, step in enumerate(question.program.steps) if step.op == op)


def _broadcasts(question: Question, op: str) -> bool:
    """Whether a variable operand of the op is smaller than its value and broadcasts to it."""
    if not OPS[op].elementwise and CATALOGUE[op].pattern is not SEQUENCE:
        return False
    with np.errstate(all="ignore"):
        values = forward(question.program, [i.data for i in question.program.inputs])
    count = len(question.program.inputs)
    return any(
        not question.program.constants[a] and np.shape(values[a]) != np.shape(values[count + n]) and np.size(values[count + n])
        for n, args in _steps(question, op)
        for k, a in enumerate(args)
        if OPS[op].differentiable(k)
    )


def _uneven(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Question, str], bool]:
    """Whether a change alters some gradient."""

    def uneven(question: Question, op: str) -> bool:
        if len(question.program.steps) > 1:
            return False
        certificate = certify(question)
        gradients = [e.nearest for e in certificate.gradients if e is not None and e.nearest.size > 1]
        return certificate.decided and any((change(g) != g).any() for g in gradients)

    return uneven


#: For the faults of a rule that change nothing in some ops: whether a question shows them.
_VISIBLE: dict[str, Callable[[Question, str], bool]] = {
    "missing un-broadcast": _broadcasts,
    "two elements swapped": _uneven(lambda g: g.reshape(-1)[[-1, *range(1, g.size - 1), 0]].reshape(g.shape)),
    "transposed": _uneven(lambda g: g.T.reshape(-1).reshape(g.shape)),
}


def _fanned(question: Question) -> Question:
    """The same program, and beside it the squares of its first variable: that is used twice, the first time by the op."""
    program, weights = question.program, len(question.program.inputs)
    x, last = program.variables[0], weights + len(program.steps)
    steps = [Step(step.op, tuple(a + (a >= weights) for a in step.args), step.params) for step in program.steps]
    more = [
        Step("multiply", (last, weights)), Step("sum", (last + 1,)), Step("multiply", (x, x)), Step("sum", (last + 3,)),
        Step("add", (last + 2, last + 4)),
    ]  # fmt: skip
    return as_question(Program((*program.inputs, Input(question.cotangent, constant=True)), (*steps, *more)))


def table() -> dict[str, Any]:
    """For every fault in how many ops it was seen and after how many questions, and for every op how many faults were."""
    seen = {name: {op: rejected(fault, op) for op in CATALOGUE} for name, fault in FAULTS.items()}
    absent = {
        (name, op) for name, fault in FAULTS.items() for op in CATALOGUE if seen[name][op] is None and not applicable(fault, op)
    }
    faults = {}
    for name, by_op in seen.items():
        took = [number for number in by_op.values() if number is not None]
        excused = sum((name, op) in absent for op in CATALOGUE)
        faults[name] = {
            "seen": len(took), "not applicable": excused, "ops": len(CATALOGUE),
            "median": float(np.median(took)), "most": max(took),
        }  # fmt: skip
    ops = {
        op: [sum(seen[name][op] is not None for name in FAULTS), sum((name, op) not in absent for name in FAULTS)]
        for op in CATALOGUE
    }
    return {"adjudge": version("adjudge"), "questions": QUESTIONS, "dtype": "float64", "faults": faults, "ops": ops}


def main(file: str) -> None:
    """Write the table to a file, and print a line per fault."""
    measured = table()
    for name, row in measured["faults"].items():
        of = row["ops"] - row["not applicable"]
        print(f"{name:34} seen in {row['seen']:3} of {of:3} ops after {row['median']:.0f} (at most {row['most']}) questions")
    Path(file).write_text(json.dumps(measured, separators=(",", ":")).replace('},"', '},\n"') + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
