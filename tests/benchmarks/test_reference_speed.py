"""The reference against MyGrad in one run: matmul and einsum, forwards and backwards, small, middle and large.

With ``--benchmark-enable`` each test times both and prints one line with the ratio; otherwise both only have to agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from adjudge.oracle import reference as ref

mg: Any = pytest.importorskip("mygrad")

#: Both are timed for so long, and longer while MyGrad leads: the best of more rounds is nearer to what each can do.
SECONDS, PATIENCE = 0.3, 6.0
#: Where BLAS does all the work both take the same time, and no clock on a shared machine tells closer.
CLOCK = 0.9

Shapes = tuple[tuple[int, ...], ...]
#: Subscripts ("" for matmul), and shapes from small to large.
CASES: dict[str, list[Shapes]] = {
    "": [
        ((8,), (8,)), ((4, 4), (4, 4)), ((64, 64), (64, 64)), ((256, 256), (256, 256)), ((3, 4, 5), (5, 2)),
        ((32, 16, 16), (32, 16, 16)), ((64, 128, 64), (64, 32)), ((5, 6), (32, 6, 7)),
    ],
    "ij,jk->ik": [((4, 4), (4, 4)), ((64, 64), (64, 64)), ((256, 256), (256, 256))],
    "nd,nd->n": [((4, 3), (4, 3)), ((1000, 64), (1000, 64))],
    "bij,bjk->bik": [((4, 3, 3), (4, 3, 3)), ((32, 16, 16), (32, 16, 16)), ((32, 64, 64), (32, 64, 64))],
    "ijk,kl->lij": [((3, 4, 5), (5, 2)), ((20, 20, 20), (20, 20))],
    "i,i": [((5,), (5,)), ((10000,), (10000,))],
    "i,j->ij": [((5,), (5,)), ((300,), (300,))],
    "ii": [((6, 6),), ((300, 300),)],
    "ij->ji": [((50, 50),)],
    "ij->i": [((5, 5),), ((300, 300),)],
    "i...,i...->...": [((50, 20), (50, 20))],
    "ij,jk,kl->il": [((8, 8),) * 3, ((40, 40),) * 3],
}  # fmt: skip


def passes(lib: Any, subscripts: str, arrays: list[np.ndarray]) -> tuple[Callable[[], None], list[Any]]:
    """One pass forwards and backwards, and the tensors that it leaves gradients in."""
    leaves = [lib.tensor(x) for x in arrays]

    def run() -> None:
        (lib.einsum(subscripts, *leaves) if subscripts else lib.matmul(*leaves)).backward()

    return run, leaves


def ratio(theirs: Callable[[], None], ours: Callable[[], None]) -> tuple[float, float]:
    """How many times as long theirs takes, and how long ours: the best of rounds that take turns at going first."""

    def seconds(f: Callable[[], None], times: int) -> float:
        start = time.perf_counter()
        for _ in range(times):
            f()
        return (time.perf_counter() - start) / times

    pair = [theirs, ours]
    times = [max(1, int(0.005 / seconds(f, 3))) for f in pair]
    best = [np.inf, np.inf]
    start, turn = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < SECONDS or turn < 6 or (best[0] < best[1] and spent < PATIENCE):
        for n in (turn % 2, 1 - turn % 2):
            best[n] = min(best[n], seconds(pair[n], times[n]))
        turn += 1
    return best[0] / best[1], best[1]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("subscripts", "shapes"), [(spec, shapes) for spec, sizes in CASES.items() for shapes in sizes])
def test_the_reference_is_as_fast_as_mygrad(subscripts: str, shapes: Shapes, dtype: str, benchmark: Any) -> None:
    draw = np.random.default_rng(0)
    # Small whole numbers: every order of adding them up is exact.
    arrays = [draw.integers(-4, 5, shape).astype(dtype) for shape in shapes]
    (theirs, their_leaves), (ours, our_leaves) = (passes(lib, subscripts, arrays) for lib in (mg, ref))
    theirs()
    ours()
    for a, b in zip(their_leaves, our_leaves, strict=True):
        assert np.array_equal(a.grad, b.grad)
        assert a.grad.dtype == b.grad.dtype
    if not benchmark.enabled:
        benchmark(ours)
        return
    times, seconds = ratio(theirs, ours)
    print(
        f"\n  {subscripts or 'matmul'} {' '.join(map(str, shapes))} {dtype}: {seconds * 1e6:.0f} us, ratio {times:.2f}", end=""
    )
    benchmark.pedantic(ours, rounds=1)
    assert times >= CLOCK
