"""The measurement behind `GUARD_BITS`: how far elementary functions of real libraries are from the truth, in ulp.

Correctly rounded results are off by 0.5; a guard of two bits allows 4. Each test prints its library's worst function.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from adjudge import Program, certify
from adjudge.oracle.numbers import GUARD_BITS

#: Function and an interval of ordinary arguments.
FUNCTIONS = {
    "exp": (-20, 20), "exp2": (-20, 20), "expm1": (-20, 20), "log": (0.01, 100), "log2": (0.01, 100), "log10": (0.01, 100),
    "log1p": (-0.9, 100), "sin": (-10, 10), "cos": (-10, 10), "tan": (-1.5, 1.5), "sinh": (-20, 20), "cosh": (-20, 20),
    "tanh": (-5, 5), "arcsin": (-0.99, 0.99), "arccos": (-0.99, 0.99), "arctan": (-50, 50), "arcsinh": (-50, 50),
    "arccosh": (1.01, 50), "arctanh": (-0.99, 0.99), "sqrt": (0.01, 100), "cbrt": (-100, 100),
}  # fmt: skip
POINTS = 4000


def worst(library: Callable[[str], Callable[[np.ndarray], Any]], dtype: str) -> dict[str, float]:
    """The largest error of each function, in ulp of the true value."""
    draw = np.random.default_rng(0)
    out = {}
    for name, (low, high) in FUNCTIONS.items():
        x = draw.uniform(low, high, POINTS).astype(dtype)
        truth = certify(Program.of([x], [(name, [0])])).value
        assert truth is not None
        error = truth.error(np.asarray(library(name)(x)))
        out[name] = float((error / np.spacing(np.abs(truth.nearest).astype(dtype)).astype(float)).max())
    return out


def told(title: str, errors: dict[str, float]) -> None:
    ranked = sorted(errors.items(), key=lambda item: -item[1])
    print(f"\n  {title}: " + ", ".join(f"{name} {error:.2f}" for name, error in ranked[:5]), end="")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_numpys_functions_are_good_to_the_guard(dtype: str, benchmark: Any) -> None:
    errors = benchmark.pedantic(worst, (lambda name: getattr(np, name), dtype), rounds=1)
    told(f"NumPy {dtype}, worst in ulp", errors)
    assert max(errors.values()) <= 2**GUARD_BITS


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_jaxs_functions_are_mostly_good_to_the_guard(dtype: str, benchmark: Any) -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    errors = benchmark.pedantic(worst, (lambda name: getattr(jax.numpy, name), dtype), rounds=1)
    told(f"JAX {dtype}, worst in ulp", errors)
    assert np.median(list(errors.values())) <= 2**GUARD_BITS
