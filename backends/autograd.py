"""HIPS autograd under test: NumPy wrapped, the ancestor of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from importlib.metadata import version
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import make_jvp, make_vjp

from ..oracle.program import Program
from ..oracle.protocol import Answer, Unsupported
from .spelling import Spelling, composed, composed_words, evaluate, no_out

name = "autograd"
numpy_dtypes = True

#: autograd computes these but has no derivative for them, or (``setitem``) its arrays cannot be written to.
LACKING = frozenset({"positive", "cbrt", "cumprod", "setitem"})


def versions() -> dict[str, str]:
    """The version of autograd, and NumPy's, which it wraps."""
    return {"autograd": version("autograd"), "numpy": np.__version__}


def _updated(function: Spelling) -> Spelling:
    """Autograd asks for ``x = x + y`` in place of ``x += y``, which keeps the dtype of x."""
    return lambda x, other: function(x, other).astype(x.dtype)


#: Only what autograd does not spell as NumPy's names and parameters suggest.
SPELLING: dict[str, Spelling] = composed(anp) | {
    "iadd": _updated(anp.add),
    "isub": _updated(anp.subtract),
    "imul": _updated(anp.multiply),
    "itruediv": _updated(anp.divide),
    "ipow": _updated(anp.power),
    "getitem": lambda x, index: x[index],
    "reshape": lambda x, shape: anp.reshape(x, shape),
    "flatten": anp.ravel,
    "broadcast_to": lambda x, shape: anp.broadcast_to(x, shape),
    "norm": anp.linalg.norm,
    "concatenate": lambda *xs, axis=0: anp.concatenate(xs, axis),
    "stack": lambda *xs, axis=0: anp.stack(xs, axis),
    "multi_matmul": lambda *xs: reduce(anp.matmul, xs),
    "einsum": lambda *xs, subscripts: anp.einsum(subscripts, *xs),
}


def supports(op: str) -> bool:
    """Whether autograd differentiates an op of this name, or it can be written with those it does."""
    return op not in LACKING and (op in SPELLING or hasattr(anp, op))


def _apply(op: str, operands: list[Any], params: dict[str, Any]) -> Any:
    if not supports(op):
        raise Unsupported(f"autograd has no derivative of {op}")
    no_out("autograd", params)
    if dtype := params.pop("dtype", None):
        operands = [x.astype(dtype) if hasattr(x, "astype") else np.asarray(x, dtype) for x in operands]
    try:
        return (SPELLING.get(op) or getattr(anp, op))(*operands, **params)
    except AssertionError as refused:  # autograd's word for a broadcast that its rule does not have
        if "Can't handle" in str(refused):
            raise Unsupported(f"{op}: {refused}") from refused
        raise


def _function(program: Program, inputs: Sequence[Any]) -> tuple[Callable[[Sequence[Any]], Any], tuple[Any, ...]]:
    """The program as a function of the tuple of its variables, and their values; constants are closed over."""
    leaves = [np.asarray(x) if i.kind == "list" else x for i, x in zip(program.inputs, inputs, strict=True)]

    def run(variables: Sequence[Any]) -> Any:
        given = list(leaves)
        for place, number in enumerate(program.variables):
            given[number] = variables[place]
        return evaluate(program, given, _apply)[-1]

    return run, tuple(leaves[number] for number in program.variables)


def vjp(program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
    """Value and gradients by ``autograd.make_vjp``."""
    run, variables = _function(program, inputs)
    gradients: list[np.ndarray | None] = [None] * len(program.inputs)
    with np.errstate(all="ignore"):
        if program.constants[-1]:  # autograd warns where there is nothing to trace
            return Answer(np.array(run(variables)), gradients)
        pull, value = make_vjp(run)(variables)
        for number, g in zip(program.variables, pull(np.array(cotangent)), strict=True):
            gradients[number] = np.array(g)
    return Answer(np.array(value), gradients)


def jvp(program: Program, inputs: Sequence[Any], tangents: Sequence[np.ndarray | None]) -> tuple[np.ndarray, np.ndarray]:
    """Value and tangent by ``autograd.make_jvp``."""
    run, variables = _function(program, inputs)
    along = tuple(np.array(tangents[number]) for number in program.variables)
    with np.errstate(all="ignore"):
        value, tangent = make_jvp(run)(variables)(along)
    return np.array(value), np.array(tangent)


#: How a case is written in autograd's words (see `adjudge.reports.script`).
SCRIPT = {
    "import": """
        from functools import reduce

        import autograd.numpy as anp
        from autograd import make_jvp, make_vjp
    """,
    "list": "{x} = np.asarray({x})",
    "run": """
        def run({inputs}):
            {leaves}

            def program(variables):
                ({variables},) = variables
                {steps}
                return {out}

            pull, value = make_vjp(program)(({variables},))
            return np.array(value), [np.array(g) for g in pull(np.array(COTANGENT))]
    """,
    "push": """
        def push({inputs}, {tangents}):
            {leaves}

            def program(variables):
                ({variables},) = variables
                {steps}
                return {out}

            value, tangent = make_jvp(program)(({variables},))(({tangents},))
            return np.array(value), np.array(tangent)
    """,
    "step": "{y} = anp.{op}({args})",
    "cast": "({x}.astype({dtype}) if hasattr({x}, 'astype') else np.asarray({x}, {dtype}))",
    "steps": composed_words("anp")
    | {
        "iadd": "{y} = anp.add({0}, {1}).astype({0}.dtype)",
        "isub": "{y} = anp.subtract({0}, {1}).astype({0}.dtype)",
        "imul": "{y} = anp.multiply({0}, {1}).astype({0}.dtype)",
        "itruediv": "{y} = anp.divide({0}, {1}).astype({0}.dtype)",
        "ipow": "{y} = anp.power({0}, {1}).astype({0}.dtype)",
        "getitem": "{y} = {0}[{index}]",
        "reshape": "{y} = anp.reshape({0}, {shape})",
        "flatten": "{y} = anp.ravel({0})",
        "broadcast_to": "{y} = anp.broadcast_to({0}, {shape})",
        "norm": "{y} = anp.linalg.norm({args})",
        "concatenate": "{y} = anp.concatenate([{xs}]{params})",
        "stack": "{y} = anp.stack([{xs}]{params})",
        "multi_matmul": "{y} = reduce(anp.matmul, [{xs}])",
        "einsum": "{y} = anp.einsum({subscripts}, {xs})",
    },
}

#: How a program is timed (see `adjudge.bench.worker`): forwards alone autograd has nothing to trace.
TIMED = {
    "passes": """
        def passes({inputs}):
            def program(variables):
                ({variables},) = variables
                {steps}
                return {out}

            given = ({variables},)

            def total():
                pull, value = make_vjp(program)(given)
                return value, pull(COTANGENT)

            return dict(forward=lambda: program(given), total=total, arrays=lambda both: both)
    """,
}
