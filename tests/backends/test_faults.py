"""The suite proves itself: the mirror passes everything, and every seeded fault is rejected in every op it applies to.

The table that is printed at the end says, for each fault, in how many ops it was seen, and after how many questions.
"""

import json
import os
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from adjudge.backends import mirror
from adjudge.backends.faults import FAULTS, Faulty
from adjudge.oracle import Program, Question, Step, judge
from adjudge.oracle.certificate import as_question, certify
from adjudge.oracle.program import Input
from adjudge.oracle.reference import OPS
from adjudge.strategies import questions
from adjudge.strategies.catalogue import CATALOGUE

QUESTIONS = 60


@cache
def drawn(op: str, dtype: str = "float64") -> tuple[Question, ...]:
    """Questions about an op, the same ones every time."""
    out: list[Question] = []

    @seed(20)
    @settings(
        max_examples=QUESTIONS, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(questions(op, dtypes=(dtype,)))
    def collect(question: Question) -> None:
        out.append(question)

    collect()
    return tuple(out)


#: Where a fault changes nothing that anyone could see, and why.
NOT_APPLICABLE = {
    "missing un-broadcast": lambda op: not any(_broadcasts(q, op) for q in drawn(op)),
    "two elements swapped": lambda op: (
        not any(_uneven(q, op, lambda g: g.reshape(-1)[[-1, *range(1, g.size - 1), 0]].reshape(g.shape)) for q in drawn(op))
    ),
    "transposed": lambda op: not any(_uneven(q, op, lambda g: g.T.reshape(-1).reshape(g.shape)) for q in drawn(op)),
}


def _steps(question: Question, op: str) -> Iterator[tuple[int, tuple[int, ...]]]:
    return ((n, s.args) for n, s in enumerate(question.program.steps) if s.op == op)


def _broadcasts(question: Question, op: str) -> bool:
    """Whether a variable operand of the op is smaller than its value and broadcasts to it."""
    if not OPS[op].elementwise and op not in ("add_sequence", "multiply_sequence"):
        return False
    from adjudge.oracle.reference import forward

    with np.errstate(all="ignore"):
        values = forward(question.program, [i.data for i in question.program.inputs])
    count = len(question.program.inputs)
    return any(
        not question.program.constants[a] and np.shape(values[a]) != np.shape(values[count + n]) and np.size(values[count + n])
        for n, args in _steps(question, op)
        for k, a in enumerate(args)
        if OPS[op].differentiable(k)
    )


def _uneven(question: Question, op: str, change) -> bool:  # type: ignore[no-untyped-def]
    """Whether some gradient is another array after the change."""
    if len(question.program.steps) > 1:
        return False
    c = certify(question)
    return c.decided and any(
        e is not None and e.nearest.size > 1 and (change(e.nearest) != e.nearest).any() for e in c.gradients
    )


def fanned(question: Question) -> Question:
    """The same program, and beside it the squares of its first variable: that is used twice, the first time by the op."""
    program, weights = question.program, len(question.program.inputs)
    x, last = program.variables[0], weights + len(program.steps)
    steps = [Step(step.op, tuple(a + (a >= weights) for a in step.args), step.params) for step in program.steps]
    more = [
        Step("multiply", (last, weights)), Step("sum", (last + 1,)), Step("multiply", (x, x)), Step("sum", (last + 3,)),
        Step("add", (last + 2, last + 4)),
    ]  # fmt: skip
    return as_question(Program((*program.inputs, Input(question.cotangent, constant=True)), (*steps, *more)))


#: For each fault the ops in which it was seen, with how many questions that took.
TABLE: dict[str, dict[str, int]] = {name: {} for name in FAULTS}
#: For each fault the ops in which nobody could see it.
EXCUSED: dict[str, list[str]] = {name: [] for name in FAULTS}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("op", CATALOGUE)
def test_a_seeded_fault_is_rejected(op: str, fault: str) -> None:
    excused = NOT_APPLICABLE.get(fault)
    spoilt = Faulty(FAULTS[fault], op)
    asked = drawn(op)
    if fault == "dropped fan-out term":
        asked = tuple(fanned(q) for q in asked if len(q.program.steps) == 1)
    for number, question in enumerate(asked, 1):
        if judge(question, spoilt).failed:
            TABLE[fault][op] = number
            return
    assert excused is not None, f"{fault} in {op} was not seen in {QUESTIONS} questions"
    assert excused(op), f"{fault} in {op} was not seen in {QUESTIONS} questions"
    EXCUSED[fault].append(op)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("op", CATALOGUE)
def test_the_mirror_passes_everything(op: str, dtype: str) -> None:
    for question in drawn(op, dtype):
        found = judge(question, mirror)
        assert found.verdict in ("correct", "undecided"), f"{found.findings}\n{question.program}"


@pytest.mark.parametrize("op", CATALOGUE)
def test_most_questions_can_be_decided(op: str) -> None:
    undecided = sum(judge(q, mirror).verdict == "undecided" for q in drawn(op))
    assert undecided <= QUESTIONS / 3


@pytest.mark.parametrize("op", ["sin", "matmul", "sum", "getitem"])
@pytest.mark.parametrize("fault", ["sign flip", "factor 1 + 1e-6", "one element zeroed", "wrong dtype"])
def test_a_seeded_fault_is_rejected_in_float32(op: str, fault: str) -> None:
    assert any(judge(q, Faulty(FAULTS[fault], op)).failed for q in drawn(op, "float32"))


def test_a_fault_that_is_not_there_is_not_seen() -> None:
    program = Program.of([np.array([0.5, 1.5])], [("sin", [0])])
    question = Question(program, np.ones(2), (np.ones(2),))
    assert not judge(question, Faulty(FAULTS["sign flip"], "cos")).failed


def test_the_table() -> None:
    """Printed under `-s`: fault, ops in which it was seen, questions needed at the median and at most.

    Where the environment variable ADJUDGE_SENSITIVITY names a file, the table that reports show is written there.
    """
    print()
    for name, seen in TABLE.items():
        if seen:
            line = f"{name:22} seen in {len(seen):3} of {len(CATALOGUE) - len(EXCUSED[name])} ops"
            print(f"  {line} after {np.median([*seen.values()]):.0f} (at most {max(seen.values())}) questions")
    if file := os.environ.get("ADJUDGE_SENSITIVITY"):
        assert all(TABLE.values()), "the table is written by a run of all of this file"
        faults = {
            name: {
                "seen": len(seen), "not applicable": len(EXCUSED[name]), "ops": len(CATALOGUE),
                "median": float(np.median([*seen.values()])), "most": max(seen.values()),
            }
            for name, seen in TABLE.items()
        }  # fmt: skip
        ops = {op: [sum(op in seen for seen in TABLE.values()), sum(op not in e for e in EXCUSED.values())] for op in CATALOGUE}
        table = {"adjudge": version("adjudge"), "questions": QUESTIONS, "dtype": "float64", "faults": faults, "ops": ops}
        Path(file).write_text(json.dumps(table, separators=(",", ":")).replace('},"', '},\n"') + "\n", "utf-8")
