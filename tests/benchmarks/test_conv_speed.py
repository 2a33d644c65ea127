"""Convolution forwards and backwards, the reference against MyGrad in one run: small, middle and large, in two dtypes.

With ``--benchmark-enable`` each test times both and prints one line with the ratio; otherwise both only have to agree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adjudge.oracle import reference as ref

from .test_reference_speed import ratio

mg: Any = pytest.importorskip("mygrad")
nnet = pytest.importorskip("mygrad.nnet")

#: Images, filters, padding. Where there are hundreds of channels BLAS does nearly all the work, and both take as long.
SIZES = {
    "small": ((2, 3, 8, 8), (4, 3, 3, 3), 0),
    "small, one axis": ((2, 3, 32), (4, 3, 5), 0),
    "middle": ((8, 3, 32, 32), (16, 3, 3, 3), 1),
    "middle, three axes": ((2, 2, 12, 12, 12), (4, 2, 3, 3, 3), 0),
    "large": ((32, 16, 32, 32), (32, 16, 3, 3), 1),
}
TIMES = 2.0


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("size", SIZES)
def test_convolution_is_twice_as_fast_as_mygrads(size: str, dtype: str, benchmark: Any) -> None:
    images, filters, padding = SIZES[size]
    draw = np.random.default_rng(0)
    # Small whole numbers: every order of adding them up is exact.
    arrays = [draw.integers(-2, 3, shape).astype(dtype) for shape in (images, filters)]
    their_leaves, our_leaves = ([lib.tensor(x) for x in arrays] for lib in (mg, ref))

    def theirs() -> None:
        nnet.conv_nd(*their_leaves, stride=1, padding=padding).backward()

    def ours() -> None:
        ref.nnet.conv_nd(*our_leaves, stride=1, padding=padding).backward()

    theirs()
    ours()
    for a, b in zip(their_leaves, our_leaves, strict=True):
        assert np.array_equal(a.grad, b.grad)
        assert a.grad.dtype == b.grad.dtype
    if not benchmark.enabled:
        benchmark(ours)
        return
    times, seconds = ratio(theirs, ours)
    print(f"\n  conv_nd {size} {images} {filters} {dtype}: {seconds * 1e3:.3f} ms, ratio {times:.1f}", end="")
    benchmark.pedantic(ours, rounds=1)
    assert times >= TIMES
