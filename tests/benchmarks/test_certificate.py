"""The cost of a certificate with its allowance, against the usual gradient checkers on the same program and inputs.

Each test prints one line with its ratio. The Taylor leg is timed beside it, not in it.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from adjudge import Program, certify
from adjudge.oracle.certificate import as_question
from adjudge.oracle.legs import taylor

SIZES = {8: 2, 50: 5, 200: 10, 1152: 24}
STEPS = [("matmul", [0, 1]), ("tanh", [2]), ("multiply", [3, 0]), ("add", [4, 1])]


def question(side: int, seed: int = 0) -> Any:
    draw = np.random.default_rng(seed)
    return as_question(Program.of([draw.normal(size=(side, side)), draw.normal(size=(side, side))], STEPS))


def seconds(f: Callable[[], object], rounds: int) -> float:
    """The median time of some rounds, after one to warm up."""
    f()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def line(text: str) -> None:
    print(f"\n  {text}", end="")


@pytest.mark.parametrize("elements", SIZES)
def test_certificate_against_torch_gradcheck(elements: int, benchmark: Any) -> None:
    torch = pytest.importorskip("torch")
    q = question(SIZES[elements])
    a, b = (torch.tensor(i.data, requires_grad=True) for i in q.program.inputs)

    def slow() -> None:
        assert torch.autograd.gradcheck(lambda x, y: torch.tanh(x @ y) * x + y, (a, b))

    ours = seconds(lambda: certify(q), 15)
    theirs = seconds(slow, 3)
    certificate = certify(q)
    leg = seconds(lambda: taylor(certificate), 5)
    line(f"{elements} elements: {ours * 1e3:.2f} ms, gradcheck (slow) {theirs * 1e3:.1f} ms, ratio {theirs / ours:.0f}")
    line(f"{elements} elements: the Taylor leg beside it {leg * 1e3:.2f} ms")
    benchmark(certify, q)


@pytest.mark.parametrize("elements", [8, 50, 200])
def test_certificate_against_jax_check_grads_on_new_shapes(elements: int, benchmark: Any) -> None:
    jax = pytest.importorskip("jax")
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    side = SIZES[elements]
    ratios = []
    for extra in (1, 2, 3):  # a shape that JAX has not seen, each time
        draw = np.random.default_rng(extra)
        x, y = (draw.normal(size=(side + extra, side + extra)) for _ in range(2))
        start = time.perf_counter()
        check_grads(lambda x, y: jax.numpy.tanh(x @ y) * x + y, (x, y), order=1, modes=["rev"])
        theirs = time.perf_counter() - start
        q = as_question(Program.of([x, y], STEPS))
        ratios.append(theirs / seconds(lambda q=q: certify(q), 9))  # type: ignore[misc]
    line(f"{elements} elements and a few: check_grads on a new shape / certificate, ratio {np.median(ratios):.0f}")
    benchmark(certify, question(side))
