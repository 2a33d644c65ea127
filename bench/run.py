"""One run of benchmarks: sides and cases in, records out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any

from ..records.environment import environment
from ..records.models import BenchRun, EndRecord, RatioRecord, Record, TimingRecord, UntimedRecord
from .cases import BenchCase, cases
from .gate import decide
from .sides import Side, Untimed, Worker, threads
from .timing import Comparison, Timing, compare, timings

__all__ = ["run", "status"]

Emit = Callable[[Record], None]


def run(sides: Sequence[Side], ops: Sequence[str], gate: float | None, emit: Emit) -> None:
    """Time every case on every side, or compare two sides, and emit a record per case.

    Parameters
    ----------
    sides : sequence of Side
        With a gate: the one that is judged, and the one that it is compared with.
    ops : sequence of str
        Only these; none means all.
    gate : float, optional
        The largest ratio of times that the first side may have.
    emit : callable
        Takes each record as it comes.
    """
    began = time.monotonic()
    emit(header(gate))
    every, interrupted = list(cases(ops)), True
    try:
        with WorkerPool(sides, emit) as pool:
            able = pool.start(every)
            if gate is None:
                _time(pool, able, every, emit)
            elif len(able) == 2:
                _compare(pool, every, gate, emit)
        interrupted = False
    finally:
        emit(EndRecord(seconds=time.monotonic() - began, interrupted=interrupted))


def header(gate: float | None) -> BenchRun:
    """The header of a run."""
    return BenchRun(environment=environment().model_copy(update={"threads": threads()}), gate=gate)


class WorkerPool:
    """The workers of all sides; one that has ended is replaced when it is needed."""

    def __init__(self, sides: Sequence[Side], emit: Emit) -> None:
        self.sides, self.emit = sides, emit
        self.workers: dict[int, Worker] = {}
        self.known: dict[int, dict[str, str]] = {}

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.dismiss()

    def start(self, every: Iterable[BenchCase]) -> list[int]:
        """Start them all, and record for each case the sides that cannot be timed; returns the sides that can."""
        able = []
        for n, side in enumerate(self.sides):
            try:
                if side.lacking:
                    raise Untimed("unsupported", side.lacking)
                self.worker(n)
                able.append(n)
            except Untimed as problem:
                for case in every:
                    self.untimed(n, case, problem)
        return able

    def worker(self, n: int) -> Worker:
        """A running worker of a side."""
        worker = self.workers.get(n)
        if worker is not None and worker.alive:
            return worker
        if worker is not None:
            worker.close()
        self.workers[n] = worker = Worker(self.sides[n])
        if n not in self.known:
            self.known[n] = worker.versions()
        return worker

    def dismiss(self) -> None:
        """End all workers."""
        while self.workers:
            self.workers.popitem()[1].close()

    def untimed(self, n: int, case: BenchCase, problem: Untimed) -> None:
        """Record that a side has no timing of a case."""
        self.emit(UntimedRecord(**self.words(n, case), reason=str(problem), verdict=problem.verdict))

    def words(self, n: int, case: BenchCase) -> dict[str, Any]:
        """The fields that records of a side and a case share."""
        return {"backend": self.sides[n].name, "versions": self.known.get(n, {}), **case.words}


def _time(pool: WorkerPool, able: Sequence[int], every: Iterable[BenchCase], emit: Emit) -> None:
    for case in every:
        for n, timing in zip(able, timings([pool.worker(n) for n in able], case), strict=True):
            if isinstance(timing, Timing):
                emit(TimingRecord(**pool.words(n, case), **timing.to_json(case.truth.flops)))
            else:
                pool.untimed(n, case, timing)


def _compare(pool: WorkerPool, every: Iterable[BenchCase], beyond: float, emit: Emit) -> None:
    made = 0

    def measure(case: BenchCase, attempt: int) -> Comparison | None:
        nonlocal made
        if attempt != made:
            made = attempt
            pool.dismiss()
        pair = [pool.worker(n) for n in range(2)]
        try:
            return compare(pair[0], pair[1], case, beyond)
        except Untimed as problem:
            pool.untimed(pair.index(problem.worker) if problem.worker in pair else 0, case, problem)
            return None

    for case, finding in decide(every, measure, beyond):
        comparison = finding.comparison
        emit(RatioRecord(
            **pool.words(0, case), against=pool.sides[1].spec, against_versions=pool.known[1], ratio=comparison.ratio,
            ratio_low=comparison.low, ratio_high=comparison.high, rounds=comparison.rounds,
            measured=tuple((c.ratio, c.low, c.high) for c in finding.measured), beyond=beyond, regression=finding.regression,
        ))  # fmt: skip


def status(records: Iterable[Record]) -> int:
    """The exit status: 1 for a wrong answer or a crash, 3 for a regression, 2 if nothing was timed, else 0."""
    seen = list(records)
    if any(isinstance(r, UntimedRecord) and r.verdict in ("wrong", "crash") for r in seen):
        return 1
    if any(isinstance(r, RatioRecord) and r.regression for r in seen):
        return 3
    return 0 if any(isinstance(r, (TimingRecord, RatioRecord)) for r in seen) else 2
