"""Every row of the catalogue, and programs of several ops, put to one backend: `pytest --pyargs adjudge.tests.conformance`."""

from typing import Any

import pytest

from adjudge.suite import outcomes
from adjudge.suite.examiner import Examiner
from adjudge.suite.subjects import perform
from adjudge.suite.tasks import COMPOSITION, selected, tasks


@pytest.mark.parametrize("op", selected(()))
def test_the_gradients_are_right(op: str, examiner: Examiner) -> None:
    records: list[dict[str, Any]] = []
    for task in tasks(examiner.settings, examiner.dtypes):
        if task.op == op:
            perform(task, examiner, records.append)
    failures = [r for r in records if r["kind"] == "failure"]
    assert not failures, "\n".join(
        f"{r['verdict']}: {r.get('blamed') or r['op']}, {r['where']}: {r['reason']}" for r in failures
    )
    assert not [r for r in records if r["kind"] == "disagreement"], "the oracle's legs contradict each other"
    verdicts = {r["verdict"] for r in records if r["kind"] == "outcome"}
    if verdicts <= {"unsupported"}:
        pytest.skip(f"{examiner.backend.name} has no {op}")
    assert "correct" in verdicts or op == COMPOSITION


def test_known_deviations_still_fail(examiner: Examiner) -> None:
    states = {r["id"]: r["state"] for r in outcomes.ledger(examiner)}
    assert set(states.values()) <= {"still fails"}, states
