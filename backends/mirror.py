"""The mirror: the oracle's own answer, rounded to the dtype. It must pass everything; with a seeded fault it must not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from ..oracle import numbers as s
from ..oracle.dtypes import NAMES
from ..oracle.program import Program
from ..oracle.protocol import Answer, Unsupported
from ..oracle.reference.evaluate import Pullback, as_numpy, backward, forward
from ..oracle.series import TOO_ROUGH, push, slopes

__all__ = ["dtypes", "hvp", "jvp", "name", "numpy_dtypes", "reflect", "versions", "vjp"]

name = "mirror"
numpy_dtypes = True
dtypes = NAMES

#: Precision of the answer before it is rounded; for derivatives along a direction, where one does not decide, up to the last.
BITS, LAST_BITS = 256, 4096
#: The number of bits of such a derivative that must be correct before it is rounded.
ACCURACY = 64


def versions() -> dict[str, str]:
    """Adjudge's own version, as the mirror is a part of it."""
    return {"adjudge": version("adjudge")}


def vjp(program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
    """Value and gradients, correctly rounded."""
    return reflect(program, cotangent)


def reflect(program: Program, cotangent: np.ndarray, override_vjp: Mapping[str, Pullback] | None = None) -> Answer:
    """The mirror's answer; `override_vjp` replaces what the rules of some ops return (see `adjudge.backends.faults`)."""
    data = [i.data for i in program.inputs]
    plain = as_numpy(program)
    try:
        with s.enclosing(BITS):
            values = forward(program, [s.lift(x) for x in data])
            gradients, _ = backward(program, values, s.lift(cotangent), override_vjp=override_vjp, poles=True)
            value = rounded(values[-1], plain.dtype)
            out = [None if g is None else rounded(g, x.dtype) for g, x in zip(gradients, data, strict=True)]
    except s.Undecided:  # the judge abstains there as well
        with np.errstate(all="ignore"):
            floats, _ = backward(program, forward(program, data), cotangent, override_vjp=override_vjp)
        value, out = plain, [None if g is None else g.astype(x.dtype) for g, x in zip(floats, data, strict=True)]
    return Answer(value, out)


def jvp(program: Program, inputs: Sequence[Any], tangents: Sequence[np.ndarray | None]) -> tuple[np.ndarray, np.ndarray]:
    """Value and tangent, correctly rounded."""
    (tangent,) = _along(lambda: [push(program, tangents)[-1]])
    return reflect(program, np.zeros(tangent.shape)).value, rounded(tangent, as_numpy(program).dtype)


def hvp(
    program: Program, inputs: Sequence[Any], cotangent: np.ndarray, tangents: Sequence[np.ndarray | None]
) -> list[np.ndarray | None]:
    """Hessian-vector products, correctly rounded."""

    def gradients() -> list[Any]:
        return backward(program, push(program, tangents), s.lift(cotangent), poles=True)[0]

    exact = _along(gradients)
    return [None if g is None else rounded(g, i.data.dtype) for g, i in zip(exact, program.inputs, strict=True)]


def _along(series: Callable[[], list[Any]]) -> list[Any]:
    """The slopes of some arrays of series, as balls; None for None."""

    def attempt(bits: int) -> list[Any] | None:
        with s.taylor(bits):
            along = [None if x is None else slopes(x) for x in series()]
        balls = [ball for x in along if x is not None for ball in x.reshape(-1)]
        accurate = bits >= LAST_BITS or all(x == 0 or x.rel_accuracy_bits() > ACCURACY for x in balls)
        return along if accurate else None

    along = s.at_rising_precision(attempt, BITS, LAST_BITS, TOO_ROUGH)
    if along is None:
        raise Unsupported(f"series of {LAST_BITS} bits do not decide")
    return along


def rounded(balls: Any, dtype: np.dtype) -> np.ndarray:
    """Midpoints, rounded once to a narrower dtype than float64, and to float64 otherwise."""
    with np.errstate(all="ignore"):
        return np.array(s.to_float(balls).astype(dtype))
