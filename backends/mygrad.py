"""MyGrad under test: tensors over NumPy arrays, with NumPy's own names, memory layouts, ``out=`` and in-place updates."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import mygrad
import mygrad.nnet
import numpy as np

from ..oracle.program import Program
from ..oracle.protocol import Answer, Unsupported
from .spelling import Spelling, evaluate

#: MyGrad does not mark its names as exported, so that type checkers see none of them.
mg: Any = mygrad

name = "mygrad"
numpy_dtypes = True
dtypes = ("float64", "float32", "float16")
tensors = mg


def versions() -> dict[str, str]:
    """MyGrad's version, and NumPy's, whose kernels it runs on."""
    return {"mygrad": mg.__version__, "numpy": np.__version__}


#: Where MyGrad keeps its functions; the first that has an op's name has the op.
NETWORKS = (mg.nnet.activations, mg.nnet.layers, mg.nnet.losses)
ROOMS = (mg, mg.linalg, *NETWORKS)


def _fresh(x: Any, *others: Any) -> Any:
    """A copy of `x` to write into. MyGrad keeps a constant constant whatever is written into it, so it is made a variable."""
    out = mg.positive(x)
    if out.constant and out.dtype.kind == "f" and any(isinstance(o, mg.Tensor) and not o.constant for o in others):
        return mg.positive(x, constant=False)
    return out


def _updating(update: Callable[[Any, Any], Any]) -> Spelling:
    return lambda x, other: update(_fresh(x, other), other)


def _setitem(x: Any, value: Any, index: Any) -> Any:
    out = _fresh(x, value)
    out[index] = value
    return out


#: Only what MyGrad does not spell as NumPy's names and parameters suggest.
SPELLING: dict[str, Spelling] = {
    "iadd": _updating(operator.iadd),
    "isub": _updating(operator.isub),
    "imul": _updating(operator.imul),
    "itruediv": _updating(operator.itruediv),
    "ipow": _updating(operator.ipow),
    "getitem": lambda x, index: mg.astensor(x)[index],
    "setitem": _setitem,
    "where": lambda condition, x, y: mg.where(np.asarray(condition), x, y),
    "reshape": lambda x, shape: mg.reshape(x, shape),
    "flatten": lambda x: mg.astensor(x).flatten(),
    "transpose": lambda x, axes=None: mg.transpose(x, *(axes or ())),
    "concatenate": lambda *xs, axis=0: mg.concatenate(xs, axis=axis),
    "stack": lambda *xs, axis=0: mg.stack(xs, axis=axis),
    "multi_matmul": lambda *xs: mg.multi_matmul(xs),
    "einsum": lambda *xs, subscripts: mg.einsum(subscripts, *xs),
    "batchnorm": lambda x, *beside, eps, given: mg.nnet.batchnorm(x, **dict(zip(given, beside, strict=True)), eps=eps),
    "negative_log_likelihood": lambda x, y, *weights: mg.nnet.negative_log_likelihood(x, y, weights=(*weights, None)[0]),
}


def _function(op: str) -> Spelling | None:
    rooms = (getattr(room, op, None) for room in ROOMS)
    return SPELLING.get(op) or next(filter(None, rooms), None)


def supports(op: str) -> bool:
    """Whether MyGrad has an op of this name."""
    return _function(op) is not None


def _apply(op: str, operands: list[Any], params: dict[str, Any]) -> Any:
    function = _function(op)
    if function is None:
        raise Unsupported(f"MyGrad has no {op}")
    if "where" in params:
        *operands, out = operands
        params["out"] = _fresh(out, *operands)
    return function(*operands, **params)


def vjp(program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
    """Value and gradients; the arrays given become tensors without a copy, so that their layouts reach the library."""
    leaves = [
        mg.tensor(x, constant=i.constant, copy=False) if i.kind == "array" else x
        for i, x in zip(program.inputs, inputs, strict=True)
    ]
    made = list(leaves)

    def apply(op: str, operands: list[Any], params: dict[str, Any]) -> Any:
        made.append(_apply(op, operands, params))
        return made[-1]

    try:
        with np.errstate(all="ignore"):
            out = evaluate(program, leaves, apply)[-1]
            value = np.array(out.data)
            out.backward(np.array(cotangent))
        return Answer(value, [None if i.constant else x.grad for i, x in zip(program.inputs, leaves, strict=True)])
    finally:
        # MyGrad locks the arrays of a live graph: branches that backward did not reach, or all of it after an error.
        for tensor in made:
            if isinstance(tensor, mg.Tensor):
                tensor.clear_graph()


#: How a case is written in MyGrad's words (see `adjudge.reports.script`).
SCRIPT: dict[str, Any] = {
    "import": "import mygrad as mg",
    "leaf": "{x} = mg.tensor({x}, constant={constant}, copy=False)",
    "run": """
        def run({inputs}):
            {leaves}
            {steps}
            value = np.array({out}.data)
            {out}.backward(np.array(COTANGENT))
            return value, [{gradients}]
    """,
    "gradient": "{x}.grad",
    "step": "{y} = mg.{op}({args})",
    "masked": "{y} = mg.{op}({xs}, out=mg.positive({under}, constant={constant}){params})",
    "steps": {
        **{
            op: f"from mygrad.nnet import {op}\n{{y}} = {op}({{args}})"
            for room in NETWORKS
            for op in room.__all__
            if op not in dir(mg)
        },
        **{
            op: "{y} = mg.positive({0}, constant={constant})\n{y} " + sign + " {1}"
            for op, sign in {"iadd": "+=", "isub": "-=", "imul": "*=", "itruediv": "/=", "ipow": "**="}.items()
        },
        "getitem": "{y} = mg.astensor({0})[{index}]",
        "setitem": "{y} = mg.positive({0}, constant={constant})\n{y}[{index}] = {1}",
        "where": "{y} = mg.where(np.asarray({0}), {1}, {2})",
        "reshape": "{y} = mg.reshape({0}, {shape})",
        "flatten": "{y} = mg.astensor({0}).flatten()",
        "transpose": "{y} = mg.transpose({0}, *({axes} or ()))",
        "concatenate": "{y} = mg.concatenate([{xs}]{params})",
        "stack": "{y} = mg.stack([{xs}]{params})",
        "multi_matmul": "{y} = mg.multi_matmul([{xs}])",
        "einsum": "{y} = mg.einsum({subscripts}, {xs})",
        "norm": "{y} = mg.linalg.norm({args})",
        "batchnorm": "from mygrad.nnet import batchnorm\n{y} = batchnorm({0}, **dict(zip({given}, [{xs}][1:])), eps={eps})",
        "negative_log_likelihood": (
            "from mygrad.nnet import negative_log_likelihood\n"
            "{y} = negative_log_likelihood({0}, {1}, weights=([{xs}, None])[2])"
        ),
    },
}

#: How a program is timed (see `adjudge.bench.worker`): as its users write it, leaves made once; in words that every release
#: from 2.0.0 on has, which forgot to export ``matmul``.
TIMED = {
    "steps": SCRIPT["steps"] | {"matmul": "{y} = {0} @ {1}"},
    "passes": """
        def passes({inputs}):
            {leaves}

            def forward():
                {steps}
                return {out}

            def total():
                {out} = forward()
                {out}.backward(COTANGENT)
                return {out}, ({gradients},)

            return dict(forward=forward, total=total, arrays=lambda both: (both[0].data, both[1]))
    """,
}
