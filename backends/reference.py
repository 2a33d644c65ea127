"""Adjudge's own reference under test, on float arrays: the executable specification has to pass its own examination."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from ..oracle import numbers as s
from ..oracle import reference
from ..oracle.program import Program
from ..oracle.protocol import Answer
from ..oracle.reference import OPS, backward, forward
from .language import Language

name = "reference"
numpy_dtypes = True
dtypes = ("float64", "float32", "float16")
tensors = reference
#: Ops of any number of operands that apply a ufunc to one after the other.
FOLDS = ("add_sequence", "multiply_sequence")


def versions() -> dict[str, str]:
    """Adjudge's version, and NumPy's, which the reference computes with."""
    return {"adjudge": version("adjudge"), "numpy": np.__version__}


def supports(op: str) -> bool:
    """Whether the reference has an op of this name: it has all there are."""
    return op in OPS


def vjp(program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
    """Value and gradients; gradients come in the dtype of their inputs."""
    # NumPy's ufuncs fit a Python number to the dtype beside it; everything else makes an array of it first.
    taken = {a for step in program.steps if not (OPS[step.op].elementwise or step.op in FOLDS) for a in step.args}
    leaves = [
        x if i.kind == "number" and n not in taken else np.asarray(x)
        for n, (i, x) in enumerate(zip(program.inputs, inputs, strict=True))
    ]
    with np.errstate(all="ignore"):
        values = forward(program, leaves)
        gradients, _ = backward(program, values, np.asarray(cotangent, values[-1].dtype))
        return Answer(
            np.array(values[-1]),
            [None if g is None else np.array(g, i.data.dtype) for i, g in zip(program.inputs, gradients, strict=True)],
        )


def hvp(
    program: Program, inputs: Sequence[Any], cotangent: np.ndarray, tangents: Sequence[np.ndarray | None]
) -> list[np.ndarray | None]:
    """Hessian-vector products: forward over reverse, on dual floats."""
    with np.errstate(all="ignore"), s.duals():
        values = forward(program, [s.lift_duals(i.data, v) for i, v in zip(program.inputs, tangents, strict=True)])
        gradients, _ = backward(program, values, s.lift(cotangent))
        out = [None if g is None else s.slope(g) for g in gradients]
    return [None if g is None else g.astype(i.data.dtype) for g, i in zip(out, program.inputs, strict=True)]


#: How a program is timed: by the tensor that its users meet.
language = Language(
    title="reference",
    imports="from adjudge.oracle import reference as ref",
    rooms=("ref", "ref.nnet"),
    leaf="ref.tensor({x}, constant={constant}, copy=False)",
    spelling={"einsum": "ref.einsum({subscripts}, {xs})"},
    passes="""
        def passes({inputs}, cotangent):
            {leaves}

            def forward():
                {steps}
                return {out}

            def total():
                {out} = forward()
                {out}.backward(cotangent)
                return {out}, [x.grad for x in [{variables}]]

            return dict(forward=forward, total=total, arrays=lambda both: (both[0].data, both[1]))
    """,
)
