"""The mirror: the oracle's own answer, rounded to the dtype. It must pass everything; with a seeded fault it must not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from ..oracle.numbers import scalars as s
from ..oracle.program import Program
from ..oracle.protocol import Answer, Unsupported
from ..oracle.reference.evaluate import Pulled, as_numpy, backward, forward
from ..oracle.tangent import push, slopes

__all__ = ["dtypes", "jvp", "name", "numpy_dtypes", "reflect", "versions", "vjp"]

name = "mirror"
numpy_dtypes = True
dtypes = ("float64", "float32", "float16")

#: Precision of the answer before it is rounded.
BITS = 256
#: The same for tangents, where one does not decide.
PRECISIONS = (256, 1024, 4096)
#: So many bits of a tangent have to be right before it is rounded.
ACCURACY = 64


def versions() -> dict[str, str]:
    """The mirror is of adjudge's own version."""
    return {"adjudge": version("adjudge")}


def vjp(program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
    """Value and gradients, correctly rounded."""
    return reflect(program, cotangent)


def reflect(program: Program, cotangent: np.ndarray, interfere: Mapping[str, Pulled] | None = None) -> Answer:
    """The mirror's answer; `interfere` replaces what the rules of some ops return (see `adjudge.backends.faults`)."""
    data = [i.data for i in program.inputs]
    plain = as_numpy(program)
    try:
        with s.exact(BITS):
            values = forward(program, [s.lift(x) for x in data], s.Branches())
            gradients, _ = backward(program, values, s.lift(cotangent), s.Branches(), interfere=interfere, poles=True)
            value = rounded(values[-1], plain.dtype)
            out = [None if g is None else rounded(g, x.dtype) for g, x in zip(gradients, data, strict=True)]
    except s.Undecided:  # the judge abstains there as well
        with np.errstate(all="ignore"):
            floats, _ = backward(program, forward(program, data), cotangent, interfere=interfere)
        value, out = plain, [None if g is None else g.astype(x.dtype) for g, x in zip(floats, data, strict=True)]
    return Answer(value, out)


def jvp(program: Program, inputs: Sequence[Any], tangents: Sequence[np.ndarray | None]) -> tuple[np.ndarray, np.ndarray]:
    """Value and tangent, correctly rounded."""
    dtype = as_numpy(program).dtype
    for bits in PRECISIONS:
        try:
            with s.taylor(bits):
                tangent = slopes(push(program, tangents)[-1])
            if bits == PRECISIONS[-1] or all(x == 0 or x.rel_accuracy_bits() > ACCURACY for x in tangent.reshape(-1)):
                break
        except (s.Undecided, ValueError):  # more bits decide
            continue
    else:
        raise Unsupported(f"series of {PRECISIONS[-1]} bits do not decide")
    return reflect(program, np.zeros(tangent.shape)).value, rounded(tangent, dtype)


def rounded(balls: Any, dtype: np.dtype) -> np.ndarray:
    """Midpoints, rounded once to a narrower dtype than float64, and to float64 otherwise."""
    with np.errstate(all="ignore"):
        return np.array(s.to_float(balls).astype(dtype))
