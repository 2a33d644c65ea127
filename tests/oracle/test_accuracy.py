"""Accuracy of gradients: the worst operand is named, and the detection floor is what the judge sees."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from adjudge.backends import mirror
from adjudge.oracle import Program, judge
from adjudge.oracle.accuracy import accuracy
from adjudge.oracle.certificate import as_question
from adjudge.oracle.protocol import Answer
from adjudge.strategies.kinks import KINK_TABLE
from adjudge.suite.run import run
from adjudge.suite.settings import Settings


class Changed:
    """The mirror, with every gradient changed: ``change(gradient, input)``."""

    name = "changed"

    def __init__(self, change: Callable[[np.ndarray, Any], Any]) -> None:
        self.change = change

    def versions(self) -> dict[str, str]:
        return {}

    def vjp(self, program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
        answer = mirror.vjp(program, inputs, cotangent)
        pairs = zip(answer.gradients, inputs, strict=True)
        return Answer(answer.value, [None if g is None else np.asarray(self.change(g, x), g.dtype) for g, x in pairs])


def test_the_worst_operand_is_named_even_beside_an_unused_input() -> None:
    inputs = [np.zeros(0), np.array([0.5, 15.0, -3.0])]
    textbook = Changed(lambda g, x: 1 - np.tanh(x) ** 2)
    found = accuracy(judge(as_question(Program.of(inputs, [("tanh", [1])])), textbook))
    assert found is not None
    assert found.at == (15.0,)
    assert {x for x, _ in found.points} == {0.5, 15.0, -3.0}
    assert found.worst == dict(found.points)[15.0] > 1000 > found.median


def test_the_floor_is_what_the_judge_sees() -> None:
    question = as_question(Program.of([np.array([0.5, 2.0])], [("exp", [0])]))
    found = accuracy(judge(question, mirror))
    assert found is not None
    for factor, right in ((1 + 0.25 * found.floor, True), (1 + 2 * found.floor, False)):
        answer = judge(question, Changed(partial(_scaled, factor)))
        assert (answer.verdict == "correct") == right


def _scaled(factor: float, g: np.ndarray, x: Any) -> Any:
    return g * factor


def test_an_error_of_more_units_than_a_float_can_count_is_no_trouble() -> None:
    question = as_question(Program.of([np.array([360.0])], [("tanh", [0])]))
    answer = judge(question, Changed(lambda g, x: g + 1e-15))
    assert answer.verdict == "lossy"
    assert accuracy(answer) is not None


def test_a_wrong_answer_and_one_at_a_kink_have_no_accuracy() -> None:
    assert accuracy(judge(as_question(Program.of([np.array([0.5])], [("exp", [0])])), Changed(lambda g, x: g * 1.5))) is None
    assert accuracy(judge(as_question(Program.of([np.array([0.0])], [("absolute", [0])])), mirror)) is None


def test_half_precision_is_gauged_too() -> None:
    found = accuracy(judge(as_question(Program.of([np.array([0.5, 2.0], np.float16)], [("exp", [0])])), mirror))
    assert found is not None
    assert 0 < found.worst <= 0.5


def test_the_kink_table_is_put_to_a_backend_once_a_run() -> None:
    records: list[Any] = []
    run(Settings("reference", "quick", ops=("absolute", "norm", "sqrt", "log"), jobs=1, legs=("balls",)), records.append)
    kinks = {r.name: (r.verdict, list(r.got)) for r in records if r.kind == "kink"}
    assert kinks["abs(x) at 0"] == ("correct", [1.0])
    assert kinks["sqrt(x) at 0"] == ("correct", [np.inf])
    assert kinks["norm(x) at (0, 0)"][0] == "non-finite"
    assert len(kinks) == 3, "the row of log needs where as well"


def test_a_row_s_own_rule_rejects_what_is_not_in_the_set() -> None:
    rules = {row.name: row.holds for row in KINK_TABLE if row.holds is not None}
    assert [rules["norm(x) at (0, 0)"](np.array(g)) for g in ([0.6, 0.8], [0.0, 0.0], [1.0, 0.1], [np.nan, 0.0])] == [
        True, True, False, False,
    ]  # fmt: skip
    assert [rules["sqrt(x) at 0"](np.array(g)) for g in (np.inf, 0.0, np.nan)] == [True, False, False]
