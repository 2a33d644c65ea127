"""The one loop: draw questions, ask a backend, judge each answer by every leg, record every outcome.

A run is a list of tasks, one an op and dtype, that share nothing, so they spread over processes. Every task is one Hypothesis
run: a failure that no ledger entry explains is raised, so that Hypothesis shrinks it; the task then goes on to look for others.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import seed as seeded
from hypothesis.errors import Flaky

from ..backends import BackendError
from ..oracle.accuracy import accuracy
from ..oracle.program import Question
from ..records.environment import commit_of, environment
from ..records.models import (
    AccuracyRecord,
    CheckRun,
    DisagreementRecord,
    EndRecord,
    FailureRecord,
    KinkRecord,
    ModeOutcome,
    OutcomeRecord,
    Record,
    finding_fields,
)  # fmt: skip
from ..records.summary import Summary, summarise
from ..strategies import questions
from ..strategies.catalogue import CATALOGUE as ROWS
from ..strategies.kinks import SHOWN
from ..strategies.rules import SEMANTICS
from ..strategies.seeded import drawing
from ..strategies.shrink import smaller
from .examiner import PROFILES, Examiner, Outcome, Settings, case_of, judge, witnesses
from .lockstep import DTYPE, FAMILY, examine_histories

__all__ = ["COMPOSITION", "Task", "check", "perform", "run", "selected", "tasks"]

COMPOSITION = "composition"
#: One in this many examples is put to the differences leg, and every counterexample.
DIFFERENCES_EVERY = 8
#: A run that explores stops after this many seconds unless told otherwise.
EXPLORING_SECONDS = 3600.0


@dataclass(frozen=True)
class Task:
    """One Hypothesis run."""

    op: str
    dtype: str
    examples: int
    seed: int


class _NewFailure(AssertionError):
    """Raised inside Hypothesis so that it shrinks."""


# -- one record ----------------------------------------------------------------------------------------------------------------


def _outcome_record(task: Task, number: int, outcome: Outcome) -> OutcomeRecord:
    judgement, worst = outcome.judgement, outcome.news or outcome.judgement.worst
    verdict = worst.verdict if worst is not None else judgement.verdict
    if judgement.failed and outcome.disagreement:
        verdict = "undecided"
    measured, blamed = accuracy(judgement), outcome.blamed
    if measured is not None and task.op == COMPOSITION:
        measured = replace(measured, at=(), points=())
    return OutcomeRecord(
        op=task.op, family=family(task.op), dtype=task.dtype, verdict=verdict, worst_ulp=judgement.worst_ulp,
        kink=judgement.certificate.kink, steps=len(judgement.question.program.steps), legs=outcome.legs,
        ms=round(outcome.seconds * 1e3, 3), number=number, **finding_fields(worst),
        modes={} if judgement.tangent is None else {"jvp": ModeOutcome.of(judgement.tangent)},
        accuracy=None if measured is None else AccuracyRecord.of(measured),
        blamed=None if blamed is None else blamed.op,
        known=outcome.known[0] if blamed is not None and outcome.known and not outcome.news else None,
        case=None if blamed is None else judgement.question.id,
    )  # fmt: skip


def family(op: str) -> str:
    return ROWS[op].family if op in ROWS else FAMILY if op in SEMANTICS else COMPOSITION


def kink_records(examiner: Examiner) -> Iterator[KinkRecord]:
    """What the backend picks at each kink of the table, of those about the ops that are asked about."""
    ops, supports = selected(examiner.settings.ops), examiner.backend.supports
    for row in SHOWN:
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


# -- one task ------------------------------------------------------------------------------------------------------------------

Emit = Callable[[Record], None]


def perform(task: Task, examiner: Examiner, emit: Emit, deadline: float = float("inf")) -> None:
    """Ask everything of one task, and record it."""
    if task.op in SEMANTICS:
        examine_histories(task.op, task.examples, task.seed, examiner, emit, deadline)
        return
    backend = examiner.backend
    if task.op != COMPOSITION and not backend.supports(task.op):
        emit(
            OutcomeRecord(
                op=task.op, family=family(task.op), dtype=task.dtype, verdict="unsupported", where="program",
                reason=f"{backend.name} has no {task.op}",
            )
        )  # fmt: skip
        return
    allow = tuple(op for op in ROWS if backend.supports(op))
    share = PROFILES[examiner.settings.profile].opinion_share
    left, turn, number, seen = task.examples, 0, 0, set()
    began, library_seconds, opinions = time.perf_counter(), 0.0, 0
    while left > 0 and time.time() < deadline:
        target: tuple[str, str, str] | None = None
        smallest: Outcome | None = None
        asked = 0

        def ask(question: Question) -> None:
            nonlocal target, smallest, asked, number, library_seconds, opinions
            if time.time() >= deadline:
                return
            if target is not None:
                outcome = examiner.examine(question)
                if outcome.signature == target:
                    smallest = outcome
                    raise _NewFailure(target)
                return
            elapsed = time.perf_counter() - began
            wanted = opinions == 0 or library_seconds < share * elapsed
            before = time.perf_counter()
            outcome = examiner.examine(question, differences=number % DIFFERENCES_EVERY == 0, library=wanted)
            if "jax" in outcome.legs:
                library_seconds += time.perf_counter() - before
                opinions += outcome.legs["jax"] == "agrees"
            number, asked = number + 1, asked + 1
            emit(_outcome_record(task, number, outcome))
            if outcome.disagreement:
                emit(DisagreementRecord(op=task.op, case=case_of(outcome, backend, examiner.settings.backend)))
            if outcome.signature is not None and outcome.signature not in seen:
                target, smallest = outcome.signature, outcome
                raise _NewFailure(target)

        with suppress(_NewFailure, Flaky):
            _drawn(task, turn, left, allow, ask)
        if smallest is None or target is None:
            break
        seen.add(target)
        smallest = _smallest(smallest, target, examiner)
        smallest.witnesses = witnesses(smallest.judgement, backend)
        case = case_of(smallest, backend, examiner.settings.backend)
        emit(FailureRecord.of(_outcome_record(task, number, smallest), case))
        left, turn = left - asked, turn + 1


def _smallest(outcome: Outcome, target: tuple[str, str, str], examiner: Examiner) -> Outcome:
    """The blamed step alone if that fails alike, and the smallest question like it."""

    def alike(question: Question) -> bool:
        return examiner.examine(question).signature == target

    question = outcome.judgement.question
    alone = outcome.blamed.alone if outcome.blamed is not None else None
    if alone is not None and alike(alone):
        question = alone
    return examiner.examine(smaller(question, alike))


def _drawn(task: Task, turn: int, examples: int, allow: tuple[str, ...], ask: Callable[[Question], None]) -> None:
    """One Hypothesis run, whose questions depend on the task's seed alone."""
    strategy = questions(None if task.op == COMPOSITION else task.op, dtypes=(task.dtype,), allow=allow)
    with drawing(examples) as run:
        seeded(task.seed + turn)(run(given(strategy)(ask)))()


def check(backend: str, **asked: Any) -> Summary:
    """Do what `adjudge check` does, and summarise it.

    Parameters
    ----------
    backend : str
        As `adjudge.backends.load` takes it.
    **asked
        Further fields of `Settings`: `profile`, `ops`, `dtypes`, `seed`, `max_time`, `jobs`, `legs`, `ledger`, `strict`.

    Returns
    -------
    Summary
        Its `status()` is the exit status of the command.
    """
    settings = Settings(backend, **asked)
    summary = summarise((), selected(settings.ops))
    run(settings, summary.add)
    return summary


# -- many tasks ----------------------------------------------------------------------------------------------------------------


def selected(ops: tuple[str, ...]) -> tuple[str, ...]:
    """The rows that a run asks about, in the catalogue's order: all where none is named."""
    return tuple(op for op in (*ROWS, *SEMANTICS, COMPOSITION) if not ops or op in ops)


def tasks(settings: Settings, dtypes: tuple[str, ...], turn: int = 0) -> Iterator[Task]:
    """The tasks of a run, the longest first; those of each further turn draw other questions."""
    profile = PROFILES[settings.profile]
    for op in reversed(selected(settings.ops)):
        for dtype in (DTYPE,) if op in SEMANTICS else dtypes:
            own = zlib.crc32(f"{version('adjudge')} {settings.seed} {turn} {op} {dtype}".encode())
            several = {COMPOSITION: profile.compositions, **dict.fromkeys(SEMANTICS, profile.histories)}
            yield Task(op, dtype, several.get(op, profile.examples), own)


_worker: tuple[Examiner, Any] | None = None


def _start_worker(settings: Settings, records: Any) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker = Examiner(settings), records


def _work(task: Task, deadline: float) -> int:
    """Perform a task in a worker, and return how many records it sent."""
    assert _worker is not None
    examiner, records = _worker
    sent = 0

    def emit(record: Record) -> None:
        nonlocal sent
        sent += 1
        records.put(record)

    perform(task, examiner, emit, deadline)
    return sent


def run(settings: Settings, emit: Emit) -> None:
    """Judge a backend.

    Parameters
    ----------
    settings : Settings
    emit : callable
        Given every record as it comes: a header ("run"), an "outcome" a question, a "failure" a new counterexample,
        "disagreement" where legs contradict each other, "ledger" for each known deviation, and "end".

    Raises
    ------
    BackendError
        If the backend cannot be loaded, or takes the process down with it.
    KeyboardInterrupt
        After an "end" record that says so.
    """
    began = time.perf_counter()
    profile = PROFILES[settings.profile]
    if settings.seed is None:
        settings = replace(settings, seed=int.from_bytes(os.urandom(4)) if profile.explores else 0)
    examiner = Examiner(settings)
    emit(_header(examiner))
    seconds = settings.max_time if settings.max_time is not None else EXPLORING_SECONDS if profile.explores else float("inf")
    deadline, turn = time.time() + seconds, 0
    try:
        while True:
            _all(list(tasks(settings, examiner.dtypes, turn)), examiner, emit, deadline)
            turn += 1
            if not profile.explores or time.time() >= deadline:
                break
        for entry in examiner.ledger_records():
            emit(entry)
        for kink in kink_records(examiner):
            emit(kink)
    except KeyboardInterrupt:
        emit(EndRecord(seconds=time.perf_counter() - began, interrupted=True))
        raise
    emit(EndRecord(seconds=time.perf_counter() - began))


def _all(every: list[Task], examiner: Examiner, emit: Emit, deadline: float) -> None:
    jobs = min(examiner.settings.jobs or os.cpu_count() or 1, len(every))
    if jobs == 1:
        for task in every:
            perform(task, examiner, emit, deadline)
        return
    context = multiprocessing.get_context("spawn")
    records = context.Queue()
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, initargs=(examiner.settings, records))
    sent = received = 0
    try:
        pending = {pool.submit(_work, task, deadline) for task in every}
        while pending or received < sent:
            done, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
            received += _drain(records, emit)
            sent += sum(future.result() for future in done)
    except BrokenProcessPool as problem:
        _drain(records, emit)
        raise BackendError(
            f"{examiner.backend.name} ended the process that asked it (a segmentation fault, or out of memory?); "
            "what was judged until then is kept, and -j 1 shows where it happens"
        ) from problem
    finally:
        processes = list((getattr(pool, "_processes", None) or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()


def _drain(records: Any, emit: Emit) -> int:
    """Pass on what has come, and return how many records that was."""
    received = 0
    while True:
        try:
            emit(records.get_nowait())
        except queue.Empty:
            return received
        received += 1


def _header(examiner: Examiner) -> CheckRun:
    settings, backend = examiner.settings, examiner.backend
    return CheckRun(
        backend=backend.name,
        versions=dict(backend.versions()),
        profile=settings.profile,
        seed=settings.seed,
        dtypes=tuple(examiner.dtypes),
        ops=selected(settings.ops),
        catalogue={op: family(op) for op in selected(())},
        commit=commit_of(backend),
        strict_accuracy=settings.strict,
        legs=tuple(leg for leg in settings.legs if leg != "jax" or examiner.library is not None),
        environment=environment(),
    )
