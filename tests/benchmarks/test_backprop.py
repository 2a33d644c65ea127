"""Backprop of matmul, einsum and conv_nd, every case on every backend, in pytest-benchmark's words.

The cases, the processes and the clock are those of `adjudge bench`: what a round takes is what the worker says that one pass
took, and beside each block of passes the forward pass and the limit are timed. With ``--benchmark-disable`` answers are judged,
no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from adjudge.backends import SHIPPED
from adjudge.bench.cases import BenchCase, cases
from adjudge.bench.sides import Untimed, Worker, default_sides, threads
from adjudge.bench.timing import BLOCK, ROUNDS, Timing

#: The mirror is the certificate itself: nobody computes with it.
BACKENDS = [name for name in SHIPPED if name != "mirror"]


class Clock:
    """A clock that goes on by what a worker has measured, so that what it takes to ask does not count."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


CLOCK = Clock()


@pytest.fixture(scope="module")
def worker_of() -> Iterator[Callable[[str], Worker]]:
    """The living worker of a backend; none where it cannot be timed here."""
    sides, workers = {side.name: side for side in default_sides()}, dict[str, Worker]()

    def worker(name: str) -> Worker:
        if name not in sides or sides[name].lacking:
            pytest.skip(sides[name].lacking if name in sides else f"{name} does not say how its passes are timed")
        if name not in workers or not workers[name].alive:
            workers[name] = Worker(sides[name])
        return workers[name]

    yield worker
    for each in workers.values():
        each.close()


@pytest.mark.benchmark(timer=CLOCK, disable_gc=False)
@pytest.mark.parametrize("case", list(cases()), ids=lambda case: " ".join(case.words.values()))
@pytest.mark.parametrize("backend", BACKENDS)
def test_backprop(backend: str, case: BenchCase, worker_of: Callable[[str], Worker], benchmark: Any) -> None:
    worker = worker_of(backend)
    try:
        worker.prepare(case)
    except Untimed as problem:
        if problem.verdict != "unsupported":
            raise
        pytest.skip(str(problem))
    if not benchmark.enabled:
        benchmark(lambda: worker.judge(case))
        return
    counts = worker.ask("calibrate", seconds=BLOCK)
    timing = Timing(limit_flops=worker.limit_flops, compile_s=worker.compile_s)

    def block(kind: str) -> float:
        seconds = float(worker.ask("time", kind=kind, passes=counts[kind])["seconds"])
        timing.seconds[kind].append(seconds)
        return seconds

    def beside() -> None:
        block("limit")
        block("forward")

    def total() -> None:
        CLOCK.seconds += block("total")

    benchmark.group = " ".join(case.words.values())
    benchmark.pedantic(total, setup=beside, rounds=ROUNDS)
    worker.judge(case)
    timing.peak_bytes = worker.ask("peak")["bytes"]
    benchmark.extra_info |= {**case.words, "backend": backend, "threads": threads(), "versions": worker.versions()}
    benchmark.extra_info |= timing.to_json(case.truth.flops)
    assert benchmark.stats.stats.median == pytest.approx(benchmark.extra_info["total_s"])
