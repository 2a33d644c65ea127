"""The suite proves itself: the mirror passes everything, and every seeded fault is rejected in every op it applies to."""

import json
from pathlib import Path

import numpy as np
import pytest

from adjudge.backends import mirror
from adjudge.backends.faults import FAULTS, faulty
from adjudge.oracle import Program, Question, judge
from adjudge.oracle.dtypes import NAMES
from adjudge.strategies.catalogue import CATALOGUE
from adjudge.suite.sensitivity import QUESTIONS, applicable, drawn, rejected

TABLE = Path(__file__).parents[2] / "reports" / "sensitivity.json"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("op", CATALOGUE)
def test_a_seeded_fault_is_rejected(op: str, fault: str) -> None:
    if rejected(FAULTS[fault], op) is None:
        assert not applicable(FAULTS[fault], op), f"{fault} in {op} was not seen in {QUESTIONS} questions"


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("op", CATALOGUE)
def test_the_mirror_passes_everything(op: str, dtype: str) -> None:
    for question in drawn(op, dtype):
        judgement = judge(question, mirror)
        assert judgement.verdict in ("correct", "undecided"), f"{judgement.findings}\n{question.program}"


@pytest.mark.parametrize("op", CATALOGUE)
def test_most_questions_can_be_decided(op: str) -> None:
    undecided = sum(judge(question, mirror, modes=()).verdict == "undecided" for question in drawn(op))
    assert undecided <= QUESTIONS / 3


@pytest.mark.parametrize("op", ["sin", "matmul", "sum", "getitem"])
@pytest.mark.parametrize("fault", ["sign flip", "factor 1 + 1e-6", "one element zeroed", "wrong dtype"])
def test_a_seeded_fault_is_rejected_in_float32(op: str, fault: str) -> None:
    assert any(judge(question, faulty(FAULTS[fault], op)).failed for question in drawn(op, "float32"))


def test_a_fault_that_is_not_there_is_not_seen() -> None:
    question = Question(Program.of([np.array([0.5, 1.5])], [("sin", [0])]), np.ones(2), (np.ones(2),))
    assert not judge(question, faulty(FAULTS["sign flip"], "cos")).failed


def test_the_table_that_reports_show_is_of_these_faults_and_ops() -> None:
    table = json.loads(TABLE.read_text("utf-8"))
    assert list(table["faults"]) == list(FAULTS)
    assert list(table["ops"]) == list(CATALOGUE)
    assert all(row["seen"] + row["not applicable"] == len(CATALOGUE) for row in table["faults"].values())
