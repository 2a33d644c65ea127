"""Every row of the catalogue, and programs of several ops, put to one backend: `pytest --pyargs adjudge.tests.conformance`."""

import pytest

from adjudge.records.models import DisagreementRecord, FailureRecord, OutcomeRecord, Record
from adjudge.records.sentences import failure_sentence
from adjudge.suite import outcomes
from adjudge.suite.examiner import Examiner
from adjudge.suite.subjects import perform
from adjudge.suite.tasks import COMPOSITION, selected, tasks


@pytest.mark.parametrize("op", selected(()))
def test_the_gradients_are_right(op: str, examiner: Examiner) -> None:
    records: list[Record] = []
    for task in tasks(examiner.settings, examiner.dtypes):
        if task.op == op:
            perform(task, examiner, records.append)
    failures = [r for r in records if isinstance(r, FailureRecord)]
    assert not failures, "\n".join(failure_sentence(r, examiner.backend.name) for r in failures)
    assert not [r for r in records if isinstance(r, DisagreementRecord)], "the oracle's legs contradict each other"
    verdicts = {r.verdict for r in records if isinstance(r, OutcomeRecord)}
    if verdicts <= {"unsupported"}:
        pytest.skip(f"{examiner.backend.name} has no {op}")
    assert "correct" in verdicts or op == COMPOSITION


def test_known_deviations_still_fail(examiner: Examiner) -> None:
    states = {r.id: r.state for r in outcomes.ledger(examiner)}
    assert set(states.values()) <= {"still fails"}, states
