"""The mirror: the oracle's own answer, rounded to the dtype. It must pass everything; with a seeded fault it must not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import __version__
from ..oracle.program import Program
from ..oracle.reference import scalars as s
from ..oracle.reference.evaluate import Pulled, as_numpy, backward, forward
from .protocol import Answer

__all__ = ["dtypes", "name", "numpy_dtypes", "reflect", "versions", "vjp"]

name = "mirror"
numpy_dtypes = True
dtypes = ("float64", "float32", "float16")

#: Precision of the answer before it is rounded.
BITS = 256


def versions() -> dict[str, str]:
    """The mirror is of adjudge's own version."""
    return {"adjudge": __version__}


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


def rounded(balls: Any, dtype: np.dtype) -> np.ndarray:
    """Midpoints, rounded once to a narrower dtype than float64, and to float64 otherwise."""
    with np.errstate(all="ignore"):
        return np.array(s.to_float(balls).astype(dtype))
