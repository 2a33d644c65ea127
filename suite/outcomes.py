"""The records of a run: every record that the search and the run around it emit is made here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..oracle.accuracy import accuracy
from ..oracle.lockstep import Divergence, act, replay
from ..records.case import Case, ScriptCase
from ..records.environment import commit_of, environment
from ..records.ledger import TENSORS
from ..records.models import (
    AccuracyRecord,
    CheckRun,
    DisagreementRecord,
    FailureRecord,
    KinkRecord,
    LedgerRecord,
    LedgerState,
    ModeOutcome,
    OutcomeRecord,
    TaskRecord,
    finding_fields,
)
from ..records.text import visible
from ..strategies.kinks import KINK_TABLE
from ..strategies.rules import SEMANTICS
from .examiner import Examiner, Outcome, judge
from .settings import PROFILES
from .tasks import COMPOSITION, Task, family, plan, selected

__all__ = [
    "disagreement", "failure", "header", "kinks", "ledger", "outcome", "script_failure", "script_outcome", "task_end",
    "unsupported",
]  # fmt: skip


def header(examiner: Examiner) -> CheckRun:
    """The header of a run."""
    settings, backend = examiner.settings, examiner.backend
    return CheckRun(
        backend=backend.name, spec=settings.backend, versions=backend.versions(), profile=settings.profile, seed=settings.seed,
        dtypes=tuple(examiner.dtypes), ops=selected(settings.ops), plan=plan(settings, examiner.dtypes),
        explores=PROFILES[settings.profile].explores, ledger=examiner.ledger.path is not None,
        unit_roundoff=dict(backend.unit_roundoff), catalogue={op: family(op) for op in selected(())},
        commit=commit_of(backend), strict_accuracy=settings.strict, legs=tuple(leg.name for leg in examiner.legs),
        environment=environment(),
    )  # fmt: skip


# -- programs ------------------------------------------------------------------------------------------------------------------


def outcome(task: Task, number: int, judged: Outcome) -> OutcomeRecord:
    """The outcome of one question."""
    judgement, worst = judged.judgement, judged.news or judged.judgement.worst
    verdict = worst.verdict if worst is not None else judgement.verdict
    if judgement.failed and judged.disagreement:
        verdict = "undecided"
    measured, blamed = accuracy(judgement), judged.blamed
    if measured is not None and task.op == COMPOSITION:
        measured = replace(measured, at=(), points=())
    return OutcomeRecord(
        op=task.op, family=family(task.op), dtype=task.dtype, verdict=verdict, worst_ulp=judgement.worst_ulp,
        kink=judgement.certificate.kink, steps=len(judgement.question.program.steps), legs=judged.legs,
        ms=round(judged.seconds * 1e3, 3), number=number, **finding_fields(worst),
        modes={mode: ModeOutcome.of(finding, judged.lacking.get(mode)) for mode, finding in judgement.modes.items()},
        accuracy=None if measured is None else AccuracyRecord.of(measured),
        blamed=None if blamed is None else blamed.op,
        known=judged.known[0] if blamed is not None and judged.known and not judged.news else judged.lacking.get("vjp"),
        case=None if blamed is None else judgement.question.id,
    )  # fmt: skip


def unsupported(task: Task, reason: str, examiner: Examiner) -> OutcomeRecord:
    """The outcome of a row that the backend does not have."""
    return OutcomeRecord(
        op=task.op, family=family(task.op), dtype=task.dtype, verdict="unsupported", where="program", reason=reason,
        known=_on_record(task, examiner),
    )  # fmt: skip


def task_end(task: Task, ended: bool, examiner: Examiner) -> TaskRecord:
    """The end of a task: whether all was asked, and whether the ledger has that the backend lacks the whole of it."""
    return TaskRecord(op=task.op, dtype=task.dtype, ended=ended, on_record=_on_record(task, examiner))


def _on_record(task: Task, examiner: Examiner) -> str | None:
    entry = examiner.ledger.lacks_all(TENSORS if task.op in SEMANTICS else task.op, task.dtype, examiner.version)
    return None if entry is None else entry.id


def failure(task: Task, number: int, smallest: Outcome, examiner: Examiner) -> FailureRecord:
    """A new failure, at its smallest."""
    return FailureRecord.of(outcome(task, number, smallest), _case(smallest, examiner))


def disagreement(task: Task, judged: Outcome, examiner: Examiner) -> DisagreementRecord:
    """A question about which the oracle's legs contradict each other."""
    return DisagreementRecord(op=task.op, case=_case(judged, examiner))


def _case(judged: Outcome, examiner: Examiner) -> Case:
    """Everything that is needed to ask a question again, and how the answer was judged."""
    backend = examiner.backend
    return Case.of(
        judged.judgement, backend.name, backend.versions(), finding=judged.news,
        blamed=judged.blamed.op if judged.blamed else None, witnesses=judged.witnesses,
    )  # fmt: skip


# -- known deviations, and kinks -----------------------------------------------------------------------------------------------


def ledger(examiner: Examiner) -> Iterator[LedgerRecord]:
    """Replay the stored case of every ledger entry that applies to this version: only that shows whether it is fixed."""
    ops, backend = examiner.settings.ops, examiner.backend
    for entry in examiner.ledger.applying(examiner.version):
        if ops and not set(entry.question.program.ops) & set(ops):
            continue
        judged = examiner.examine(entry.question)
        judgement, worst = judged.judgement, judged.news or judged.judgement.worst
        state: LedgerState
        if judgement.verdict in ("undecided", "unsupported"):
            state = "not judged"
        elif entry.id in judged.known:
            state = "still fails"
        else:
            state = "fails otherwise" if judgement.failed else "no longer fails"
        yield LedgerRecord(
            id=entry.id, op=entry.op, state=state, reason=entry.reason, verdict=judgement.verdict,
            observed=worst.reason if worst else "",
        )  # fmt: skip
    for lacking in examiner.ledger.lacking:
        if lacking.applies(examiner.version) and lacking.outdated(backend):
            yield LedgerRecord(id=lacking.id, op="", state="no longer fails", reason=f"not supported: {lacking}")
    if ops and not set(SEMANTICS) & set(ops):
        return
    for known in examiner.ledger.divergences:
        if not known.applies(examiner.version):
            continue
        state, observed, verdict = "not judged", f"{backend.name} has no tensors of this kind", "unsupported"
        if backend.tensors is not None:
            divergence = replay(backend.tensors, known.snippet)
            state, observed = known.state(divergence)
            verdict = "correct" if divergence is None else divergence.verdict
        yield LedgerRecord(
            id=known.id, op=SEMANTICS[ROW_OF[act(known.snippet[-1])]], state=state, reason=known.reason, verdict=verdict,
            observed=observed,
        )  # fmt: skip


#: The row that a known divergence is reported in, by the act of its last line.
ROW_OF = {"bind": 1, "tell": 1, "update": 3, "write": 3, "backward": 4, "null": 4, "forget": 4}


def kinks(examiner: Examiner) -> Iterator[KinkRecord]:
    """The gradient that the backend picks at each kink of the table, for the ops that are asked about."""
    ops, supports = selected(examiner.settings.ops), examiner.backend.supports
    for row in KINK_TABLE:
        if not set(row.program.ops) <= set(ops):
            continue
        about = row.name, str(row.program), row.subgradients
        if not all(map(supports, row.program.ops)):
            yield KinkRecord.of(*about, verdict="unsupported", reason=f"{examiner.backend.name} does not have it")
            continue
        judgement = judge(row.program, examiner.backend)
        verdict, reason = judgement.verdict, judgement.worst.reason if judgement.worst is not None else ""
        picked = [np.asarray(g) for g in judgement.gradients if g is not None]
        if row.holds is not None and picked and verdict == "undecided":
            held, finite = row.holds(picked[0]), np.isfinite(picked[0]).all()
            verdict, reason = "correct" if held else "outside subdifferential" if finite else "non-finite", ""
        yield KinkRecord.of(*about, verdict=verdict, reason=reason, gradients=picked)


# -- scripts of tensors --------------------------------------------------------------------------------------------------------


def script_outcome(
    task: Task, number: int, divergence: Divergence | None, lines: int, ms: float, known: str | None
) -> OutcomeRecord:
    """The outcome of one script."""
    row = OutcomeRecord(
        op=task.op, family=family(task.op), dtype=task.dtype, verdict="correct", steps=lines, ms=ms, number=number, known=known
    )
    if divergence is None:
        return row
    where = "program" if divergence.aspect == "raises" else divergence.aspect
    alike = f"{divergence.aspect} after {divergence.act} {' '.join(sorted(divergence.signature[2]))}"
    said = {"where": where, "reason": visible(divergence.reason), "instead": alike.strip()}
    return row.model_copy(update={"verdict": divergence.verdict, **said})


def script_failure(task: Task, number: int, smallest: Divergence, examiner: Examiner) -> FailureRecord:
    """A new divergence, at its smallest."""
    backend = examiner.backend
    case = ScriptCase.of(smallest, backend.name, backend.versions())
    return FailureRecord.of(script_outcome(task, number, smallest, len(smallest.lines), 0.0, None), case)
