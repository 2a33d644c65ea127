"""One run of benchmarks: sides and cases in, records out."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from types import TracebackType
from typing import Any

from ..records.environment import environment
from ..records.records import SCHEMA_VERSION
from .cases import BenchCase, cases
from .gate import decide
from .sides import Side, Untimed, Worker, threads
from .timing import Comparison, Timing, compare, timings

__all__ = ["run", "status"]

Record = dict[str, Any]
Emit = Callable[[Record], None]


def run(sides: Sequence[Side], ops: Sequence[str], gate: float | None, emit: Emit) -> None:
    """Time every case on every side, or compare two sides, and say of each case what came out.

    Parameters
    ----------
    sides : sequence of Side
        With a gate: the one that is judged, and the one that it is compared with.
    ops : sequence of str
        Only these; none means all.
    gate : float, optional
        The ratio of times beyond which the first side must not be.
    emit : callable
        Takes each record as it comes.
    """
    began = time.monotonic()
    emit(header(gate))
    every, partial = list(cases(ops)), {"interrupted": True}
    try:
        with WorkerPool(sides, emit) as pool:
            able = pool.start(every)
            if gate is None:
                _time(pool, able, every, emit)
            elif len(able) == 2:
                _compare(pool, every, gate, emit)
        partial = {}
    finally:
        emit({"kind": "end", "seconds": time.monotonic() - began, **partial})


def header(gate: float | None) -> Record:
    """The record that a run begins with."""
    place = {**environment(), "threads": threads()}
    return {
        "kind": "run", "what": "bench", "schema_version": SCHEMA_VERSION, "run": uuid.uuid4().hex[:12],
        "started": datetime.now(UTC).isoformat(timespec="seconds"), "adjudge": version("adjudge"),
        "environment": place, "gate": gate,
    }  # fmt: skip


class WorkerPool:
    """The workers of all sides, made anew where one has gone."""

    def __init__(self, sides: Sequence[Side], emit: Emit) -> None:
        self.sides, self.emit = sides, emit
        self.workers: dict[int, Worker] = {}
        self.known: dict[int, dict[str, str]] = {}

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.dismiss()

    def start(self, every: Iterable[BenchCase]) -> list[int]:
        """Start them all; a side that cannot be timed is said to be so, case by case. The sides that can."""
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
        """A living worker of a side."""
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
        """Let all go."""
        while self.workers:
            self.workers.popitem()[1].close()

    def untimed(self, n: int, case: BenchCase, problem: Untimed) -> None:
        """Say that a side has no timing of a case."""
        self.emit({**self.words("untimed", n, case), "reason": str(problem), "verdict": problem.verdict})

    def words(self, kind: str, n: int, case: BenchCase) -> Record:
        """What a record of a side and a case begins with."""
        return {"kind": kind, "backend": self.sides[n].name, "versions": self.known.get(n, {}), **case.words}


def _time(pool: WorkerPool, able: Sequence[int], every: Iterable[BenchCase], emit: Emit) -> None:
    for case in every:
        for n, timing in zip(able, timings([pool.worker(n) for n in able], case), strict=True):
            if isinstance(timing, Timing):
                emit({**pool.words("timing", n, case), **timing.to_json(case.truth.flops)})
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
        said = finding.said
        emit({
            **pool.words("ratio", 0, case), "against": pool.sides[1].spec, "against_versions": pool.known[1],
            "ratio": said.ratio, "ratio_low": said.low, "ratio_high": said.high, "rounds": said.rounds,
            "measured": [[c.ratio, c.low, c.high] for c in finding.measured],
            "beyond": beyond, "regression": finding.regression,
        })  # fmt: skip


def status(records: Iterable[Mapping[str, Any]]) -> int:
    """The exit status: 1 for a wrong answer or a crash, 3 for a regression, 2 if nothing was timed, else 0."""
    seen = list(records)
    if any(r.get("verdict") in ("wrong", "crash") for r in seen):
        return 1
    if any(r.get("regression") for r in seen):
        return 3
    return 0 if any(r["kind"] in ("timing", "ratio") for r in seen) else 2
