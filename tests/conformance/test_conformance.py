"""Every row of the catalogue, and programs of several ops, put to one backend: `pytest --pyargs adjudge.tests.conformance`."""

from dataclasses import replace

import pytest

from adjudge.records.models import CheckRun, EndRecord
from adjudge.records.sentences import failure_sentence
from adjudge.records.summary import summarise
from adjudge.suite import outcomes
from adjudge.suite.examiner import Examiner
from adjudge.suite.subjects import perform
from adjudge.suite.tasks import selected, tasks


@pytest.mark.parametrize("op", selected(()))
def test_the_gradients_are_right(op: str, examiner: Examiner, header: CheckRun) -> None:
    summary = summarise([header.model_copy(update={"ops": (op,), "plan": {op: header.plan[op]}})])
    for task in tasks(replace(examiner.settings, ops=(op,)), examiner.dtypes):
        perform(task, examiner, summary.add)
    summary.add(EndRecord(seconds=summary.ops[op].seconds))
    if summary.ops[op].refused and not summary.failing():
        pytest.skip(f"{examiner.backend.name} has no {op}")
    told = [failure_sentence(f, examiner.backend.name) for f in summary.failures]
    assert summary.status() == 0, "\n".join([*told, *summary.reasons()])


def test_known_deviations_still_fail(examiner: Examiner) -> None:
    states = {r.id: r.state for r in outcomes.ledger(examiner)}
    assert set(states.values()) <= {"still fails"}, states
