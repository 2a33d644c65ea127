"""A run: tasks spread over processes, and their records."""

from __future__ import annotations

import multiprocessing
import os
import queue
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..backends import Backend, BackendError, Limits
from ..records.models import EndRecord, Record
from ..records.summary import Summary, summarise
from . import outcomes
from .examiner import Examiner
from .search import Emit
from .settings import PROFILES, Settings
from .subjects import perform
from .tasks import Task, selected, tasks
from .worker import start

__all__ = ["check", "run"]

#: A run that explores stops after this many seconds by default.
EXPLORING_SECONDS = 3600.0


def check(backend: str, **asked: Any) -> Summary:
    """Do what `adjudge check` does, and summarise it.

    Parameters
    ----------
    backend : str
        As for `adjudge.backends.load`.
    **asked
        Further fields of `Settings`: `profile`, `ops`, `dtypes`, `seed`, `max_time`, `jobs`, `legs`, `ledger`, `strict`,
        `question_timeout`, `memory`, `in_process`.

    Returns
    -------
    Summary
        Its `status()` is the exit status of the command.
    """
    settings = Settings(backend, **asked)
    summary = summarise((), selected(settings.ops))
    run(settings, summary.add)
    return summary


# -- many processes ------------------------------------------------------------------------------------------------------------

_worker: tuple[Examiner, Any] | None = None


def adopt(settings: Settings, records: Any, loaded: tuple[Backend, Limits]) -> None:
    """Let this process be a worker, see `adjudge.suite.worker`."""
    global _worker
    _worker = Examiner(settings, loaded), records


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


def run(settings: Settings, emit: Emit, loaded: tuple[Backend, Limits] | None = None) -> None:
    """Judge a backend.

    Parameters
    ----------
    settings : Settings
    emit : callable
        Given every record as it comes: a header ("run"), an "outcome" per question, a "failure" per new counterexample,
        "disagreement" where legs contradict each other, "ledger" for each known deviation, and "end".
    loaded : (Backend, Limits), optional
        What `Settings.load` gave, where that was called already.

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
    examiner = Examiner(settings, loaded)
    emit(outcomes.header(examiner))
    seconds = settings.max_time if settings.max_time is not None else EXPLORING_SECONDS if profile.explores else float("inf")
    deadline, turn = time.time() + seconds, 0
    try:
        while True:
            _perform_all(list(tasks(settings, examiner.dtypes, turn)), examiner, emit, deadline)
            turn += 1
            if not profile.explores or time.time() >= deadline:
                break
        examiner.limits.deadline = float("inf")
        for known in outcomes.ledger(examiner):
            emit(known)
        for kink in outcomes.kinks(examiner):
            emit(kink)
    except KeyboardInterrupt:
        emit(EndRecord(seconds=time.perf_counter() - began, interrupted=True))
        raise
    emit(EndRecord(seconds=time.perf_counter() - began))


def _perform_all(every: list[Task], examiner: Examiner, emit: Emit, deadline: float) -> None:
    jobs = min(examiner.settings.jobs or os.cpu_count() or 1, len(every))
    if jobs == 1:
        for task in every:
            perform(task, examiner, emit, deadline)
        return
    with _without_working_folder():
        _perform_in_pool(every, jobs, examiner, emit, deadline)


@contextmanager
def _without_working_folder() -> Iterator[None]:
    """Processes that start within the context import nothing from the working folder: what lies there is the accused's."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _perform_in_pool(every: list[Task], jobs: int, examiner: Examiner, emit: Emit, deadline: float) -> None:
    context = multiprocessing.get_context("spawn")
    records = context.Queue()
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=start, initargs=(examiner.settings, records))
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
            "a process of adjudge's own ended in the middle of the run (out of memory?); what was judged until then is kept, "
            "and -j 1 shows where it happens"
        ) from problem
    finally:
        processes = list((getattr(pool, "_processes", None) or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()


def _drain(records: Any, emit: Emit) -> int:
    """Pass on the records that have arrived, and return how many there were."""
    received = 0
    while True:
        try:
            emit(records.get_nowait())
        except queue.Empty:
            return received
        received += 1
