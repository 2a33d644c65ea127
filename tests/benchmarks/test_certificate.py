"""The cost of a certificate with its allowance, against the usual gradient checkers on the same program and inputs.

With ``--benchmark-enable`` each test prints its ratio and asserts its claim. The Taylor leg is timed beside it, not in it.
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
#: Two programs that differ in their first step.
FIRST = {"elementwise": "multiply", "matmul": "matmul"}
REST = [("tanh", [2]), ("multiply", [3, 0]), ("add", [4, 1])]
#: How many times as much gradcheck (slow) must cost: 30 where that is reached. Where it is not, some 90% of what was measured
#: (21 and 17 at 50 elements, 26 for matmul at 200). There the two runs take 1.5 us a ball in flint and 60 us in Python, each.
LEAST = {
    ("elementwise", 50): 18, ("elementwise", 200): 30, ("elementwise", 1152): 30,
    ("matmul", 50): 15, ("matmul", 200): 23, ("matmul", 1152): 30,
}  # fmt: skip
LEAST_AGAINST_JAX = 100
#: Few inputs and many elements between: gradcheck's cost grows with their product in floats, the certificate's with the
#: elements alone, in balls. What is fair to claim there is that it grows no faster than that, by this much.
LINEAR = 1.5


def question(side: int, program: str = "matmul", seed: int = 0) -> Any:
    draw = np.random.default_rng(seed)
    arrays = [draw.normal(size=(side, side)), draw.normal(size=(side, side))]
    return as_question(Program.of(arrays, [(FIRST[program], [0, 1]), *REST]))


def seconds(f: Callable[[], object], rounds: int) -> float:
    """The median time of some rounds, after one to warm up."""
    f()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def by_turns(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """The median times of two functions that take turns, so that a busy moment of the machine meets both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(7):
        times[1].append(seconds(theirs, 1))
        times[0].append(seconds(ours, 9))
    return float(np.median(times[0])), float(np.median(times[1]))


def line(text: str) -> None:
    print(f"\n  {text}", end="")


@pytest.mark.parametrize("elements", SIZES)
@pytest.mark.parametrize("program", FIRST)
def test_certificate_against_torch_gradcheck(program: str, elements: int, benchmark: Any) -> None:
    torch = pytest.importorskip("torch")
    q = question(SIZES[elements], program)
    a, b = (torch.tensor(i.data, requires_grad=True) for i in q.program.inputs)
    first = getattr(torch, FIRST[program])

    def slow() -> None:
        assert torch.autograd.gradcheck(lambda x, y: torch.tanh(first(x, y)) * x + y, (a, b))

    benchmark(certify, q)
    if not benchmark.enabled:
        slow()
        return
    ours, theirs = by_turns(lambda: certify(q), slow)
    certificate = certify(q)
    leg = seconds(lambda: taylor(certificate), 5)
    what = f"{program}, {elements} elements"
    line(f"{what}: {ours * 1e3:.2f} ms, gradcheck (slow) {theirs * 1e3:.1f} ms, ratio {theirs / ours:.1f}")
    line(f"{what}: the Taylor leg beside it {leg * 1e3:.2f} ms")
    assert theirs / ours >= LEAST.get((program, elements), 1)


def test_the_cost_of_a_broadcast_grows_with_its_elements_alone(benchmark: Any) -> None:
    torch = pytest.importorskip("torch")
    costs = []
    for side in (25, 50):
        draw = np.random.default_rng(0)
        x, y = draw.normal(size=(side, 1)), draw.normal(size=(1, side))
        q = as_question(Program.of([x, y], [("multiply", [0, 1]), ("tanh", [2]), ("sum", [3])]))
        a, b = (torch.tensor(v, requires_grad=True) for v in (x, y))

        def slow(inputs: Any = (a, b)) -> None:
            assert torch.autograd.gradcheck(lambda left, right: torch.tanh(left * right).sum(), inputs)

        if not benchmark.enabled:
            slow()
            assert certify(q).decided
            continue
        ours, theirs = by_turns(lambda q=q: certify(q), slow)  # type: ignore[misc]
        costs.append(ours / side**2)
        line(
            f"broadcast and sum, {2 * side} inputs, {side**2} elements: {ours * 1e3:.2f} ms "
            f"({costs[-1] * 1e6:.1f} us an element), gradcheck (slow) {theirs * 1e3:.1f} ms, ratio {theirs / ours:.1f}"
        )
    benchmark(certify, q)
    assert not costs or costs[1] <= LINEAR * costs[0]


@pytest.mark.parametrize("elements", [8, 50, 200])
def test_certificate_against_jax_check_grads_on_new_shapes(elements: int, benchmark: Any) -> None:
    jax = pytest.importorskip("jax")
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    side = SIZES[elements]
    benchmark(certify, question(side))
    ratios = []
    for extra in (1, 2, 3) if benchmark.enabled else ():  # a shape that JAX has not seen, each time
        q = question(side + extra, seed=extra)
        x, y = (i.data for i in q.program.inputs)
        start = time.perf_counter()
        check_grads(lambda x, y: jax.numpy.tanh(x @ y) * x + y, (x, y), order=1, modes=["rev"])
        theirs = time.perf_counter() - start
        ratios.append(theirs / seconds(lambda q=q: certify(q), 9))  # type: ignore[misc]
    if ratios:
        line(f"{elements} elements and a few: check_grads on a new shape / certificate, ratio {np.median(ratios):.0f}")
        assert np.median(ratios) >= LEAST_AGAINST_JAX
