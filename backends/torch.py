"""PyTorch under test, with the user's own settings of threads and flags."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch.autograd import forward_ad
from torch.nn import functional as F

from ..oracle.program import Program
from ..oracle.protocol import Answer, Unsupported
from .spelling import Spelling, composed, composed_words, evaluate, no_out, writes_twice

with warnings.catch_warnings():  # what forward mode imports when it is first used calls a function that PyTorch deprecates
    warnings.simplefilter("ignore", DeprecationWarning)
    import torch._decomp.decompositions_for_jvp  # noqa: F401

name = "torch"
dtypes = ("float64", "float32", "float16")


def versions() -> dict[str, str]:
    """PyTorch's version, and NumPy's, whose arrays it is handed."""
    return {"torch": torch.__version__, "numpy": np.__version__}


def _updating(update: Callable[[Any, Any], Any]) -> Spelling:
    return lambda x, other: update(x.clone(), other)


def _places(index: Any, shape: Sequence[int]) -> Any:
    """An index into a tensor of `shape` as PyTorch takes it: 64-bit positions, and no steps backwards."""
    if any(isinstance(part, slice) and (part.step or 1) < 0 for part in index):
        raise Unsupported("PyTorch has no slices with a negative step")
    taken = tuple(
        torch.from_numpy(part if part.dtype == bool else part.astype(np.int64)) if isinstance(part, np.ndarray) else part
        for part in index
    )
    if {int, np.ndarray} <= {type(part) for part in index}:
        every = np.arange(math.prod(shape)).reshape(tuple(shape))
        if every[index].shape != torch.from_numpy(every)[taken].shape:
            raise Unsupported("PyTorch puts axes in another order: an integer is no index array to it, as it is to NumPy")
    return taken


def _setitem(x: Any, value: Any, index: Any) -> Any:
    if writes_twice(tuple(x.shape), index):
        raise Unsupported("PyTorch leaves open which value stays where an assignment repeats an index")
    out = x.clone()
    out[_places(index, x.shape)] = value.to(x.dtype) if isinstance(value, torch.Tensor) else value
    return out


def _each_axis(function: Spelling) -> Spelling:
    """A reduction that takes one axis at a time, over several."""

    def over(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        axes = range(x.ndim) if axis is None else [a % x.ndim for a in np.atleast_1d(axis).tolist()]
        return reduce(lambda part, a: function(part, a, keepdim=keepdims), sorted(axes, reverse=True), x)

    return over


def _expand_dims(x: Any, axis: Any) -> Any:
    axes = np.atleast_1d(axis).tolist()
    return reduce(torch.unsqueeze, sorted(a % (x.ndim + len(axes)) for a in axes), x)


def _roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """One shift for each axis: PyTorch does not repeat a lone one."""
    return torch.roll(x, np.broadcast_to(shift, np.shape(axis)).tolist() if isinstance(axis, tuple) else shift, axis)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    return torch.linalg.vector_norm(x, 2 if ord is None else ord, axis, keepdims)


def _scan(function: Spelling) -> Spelling:
    return lambda x, axis=None: function(x.ravel(), 0) if axis is None else function(x, axis)


def _one_dtype(function: Spelling) -> Spelling:
    """A product of tensors, which PyTorch does not promote to a dtype in common."""

    def product(*xs: Any, **params: Any) -> Any:
        if len({x.dtype for x in xs}) > 1:
            raise Unsupported("PyTorch multiplies matrices of one dtype only")
        return function(*xs, **params)

    return product


def _one_axis(function: Spelling) -> Spelling:
    """A function along one axis; over all of them it is of the flattened array."""

    def along(x: Any, axis: Any = -1) -> Any:
        if isinstance(axis, tuple):
            raise Unsupported(f"PyTorch's {function.__name__} takes one axis")
        return function(x, axis) if axis is not None else function(x.ravel(), 0).reshape(x.shape)

    return along


def _conv_nd(x: Any, w: Any, stride: Any, padding: Any = 0, dilation: Any = 1) -> Any:
    convolve = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[x.ndim]
    return convolve(x, w, None, stride, padding, dilation)


def _max_pool(x: Any, pool: Any, stride: Any) -> Any:
    largest = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[len(pool)]
    lead = x.shape[: x.ndim - len(pool)]
    out = largest(x.reshape(1, -1, *x.shape[len(lead) :]), pool, stride)
    return out.reshape(*lead, *out.shape[2:])


def _batchnorm(x: Any, *beside: Any, eps: float, given: Any) -> Any:
    named = dict(zip(given, beside, strict=True))
    return F.batch_norm(x, None, None, named.get("gamma"), named.get("beta"), True, eps=eps)


def _likelihood(x: Any, labels: Any, *weights: Any) -> Any:
    if any(w.dtype != x.dtype for w in weights):
        raise Unsupported("PyTorch takes weights of the scores' dtype only")
    weight = weights[0] if weights else None
    return F.nll_loss(x, labels.long(), weight, reduction="none").mean()


def _margin_ranking_loss(x1: Any, x2: Any, y: Any, margin: float) -> Any:
    return F.margin_ranking_loss(x1, x2, y.reshape(-1, *(1,) * (x1.ndim - 1)).expand_as(x1), margin)


#: These take Python numbers as they are, on either side; every other function takes tensors.
WITH_NUMBERS: dict[str, Spelling] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "power": operator.pow,
    "iadd": _updating(operator.iadd),
    "isub": _updating(operator.isub),
    "imul": _updating(operator.imul),
    "itruediv": _updating(operator.itruediv),
    "ipow": _updating(operator.ipow),
    "setitem": _setitem,
}

#: Only what PyTorch does not spell as NumPy's names and parameters suggest.
SPELLING: dict[str, Spelling] = composed(torch) | WITH_NUMBERS | {
    "sum": lambda x, axis=None, keepdims=False: torch.sum(x, axis, keepdims),
    "mean": lambda x, axis=None, keepdims=False: torch.mean(x, axis, keepdims),
    "max": lambda x, axis=None, keepdims=False: torch.amax(x, axis, keepdims),
    "min": lambda x, axis=None, keepdims=False: torch.amin(x, axis, keepdims),
    "var": lambda x, axis=None, ddof=0, keepdims=False: torch.var(x, axis, correction=ddof, keepdim=keepdims),
    "std": lambda x, axis=None, ddof=0, keepdims=False: torch.std(x, axis, correction=ddof, keepdim=keepdims),
    "prod": _each_axis(torch.prod),
    "cumsum": _scan(torch.cumsum),
    "cumprod": _scan(torch.cumprod),
    "norm": _norm,
    "squeeze": lambda x, axis=None: torch.squeeze(x) if axis is None else torch.squeeze(x, axis),
    "expand_dims": _expand_dims,
    "transpose": lambda x, axes=None: torch.permute(x, axes or tuple(reversed(range(x.ndim)))),
    "swapaxes": lambda x, axis1, axis2: torch.swapaxes(x, axis1, axis2),
    "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
    "reshape": lambda x, shape: torch.reshape(x, tuple(np.atleast_1d(shape).tolist())),
    "roll": _roll,
    "repeat": lambda x, repeats, axis=None: torch.repeat_interleave(x, torch.as_tensor(repeats, dtype=torch.int64), axis),
    "concatenate": lambda *xs, axis=0: torch.cat(xs, axis) if axis is not None else torch.cat([x.ravel() for x in xs]),
    "stack": lambda *xs, axis=0: torch.stack(xs, axis),
    "where": lambda condition, x, y: torch.where(condition.bool(), x, y),
    "getitem": lambda x, index: x[_places(index, x.shape)],
    "matmul": _one_dtype(torch.matmul),
    "multi_matmul": _one_dtype(lambda *xs: torch.linalg.multi_dot(xs)),
    "einsum": _one_dtype(lambda *xs, subscripts: torch.einsum(subscripts, *xs)),
    "leaky_relu": lambda x, slope: F.leaky_relu(x, slope),
    "elu": lambda x, alpha: F.elu(x, alpha),
    "hard_tanh": lambda x, lower_bound=-1, upper_bound=1: F.hardtanh(x, lower_bound, upper_bound),
    "soft_sign": F.softsign,
    "softmax": _one_axis(torch.softmax),
    "logsoftmax": _one_axis(torch.log_softmax),
    "glu": lambda x, axis=-1: F.glu(x, axis),
    "conv_nd": _one_dtype(_conv_nd),
    "max_pool": _max_pool,
    "batchnorm": _one_dtype(_batchnorm),
    "softmax_crossentropy": lambda x, labels: F.cross_entropy(x, labels.long()),
    "negative_log_likelihood": _likelihood,
    "multiclass_hinge": lambda x, labels, hinge=1.0: F.multi_margin_loss(x, labels.long(), margin=hinge) * x.shape[1],
    "margin_ranking_loss": _margin_ranking_loss,
}  # fmt: skip


#: What goes by the same name in PyTorch and is something else: its recurrence applies the reset gate to the product.
OTHERWISE = frozenset({"gru"})


def supports(op: str) -> bool:
    """Whether PyTorch has an op of this name, or it can be written with those it has."""
    return op not in OTHERWISE and (op in SPELLING or hasattr(torch, op))


#: How a program is timed (see `adjudge.bench.worker`), on the arrays' own memory. PyTorch's is not NumPy's: its profiler tells
#: of every piece that is taken and given back.
TIMED = {
    "import": """
        import json
        import tempfile

        import torch
        from torch.nn import functional as F
        from torch.profiler import ProfilerActivity, profile
    """,
    "leaf": "{x} = torch.from_numpy({x}).requires_grad_(not {constant})",
    "passes": """
        def passes({inputs}):
            {leaves}
            seed = torch.from_numpy(COTANGENT)

            def forward():
                {steps}
                return {out}

            def total():
                {out} = forward()
                return {out}, torch.autograd.grad({out}, [{variables}], seed)

            def peak():
                with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
                    total()
                with tempfile.TemporaryDirectory() as folder:
                    seen.export_chrome_trace(folder + "/trace.json")
                    with open(folder + "/trace.json") as file:
                        events = json.load(file)["traceEvents"]
                told = [event["args"] for event in events if event["name"] == "[memory]"]
                return max(t["Total Allocated"] for t in told) - told[0]["Total Allocated"] + told[0]["Bytes"]

            return dict(
                forward=forward,
                total=total,
                arrays=lambda both: (both[0].detach().numpy(), [g.numpy() for g in both[1]]),
                peak=peak,
            )
    """,
    "step": "{y} = torch.{op}({args})",
    "steps": {
        "einsum": "{y} = torch.einsum({subscripts}, {xs})",
        "conv_nd": (
            "{y} = (F.conv1d, F.conv2d, F.conv3d)[{0}.ndim - 3]({0}, {1}, None, {stride}, {padding} or 0, {dilation} or 1)"
        ),
    },
}  # fmt: skip


def _as_tensors(operands: Sequence[Any]) -> list[Any]:
    """Numbers as tensors of the dtype that PyTorch gives them beside the tensors there are."""
    beside = next((x for x in operands if isinstance(x, torch.Tensor)), torch.zeros((), dtype=torch.float64))
    return [x if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=torch.result_type(beside, x)) for x in operands]


def _apply(op: str, operands: list[Any], params: dict[str, Any]) -> Any:
    if not supports(op):
        raise Unsupported(f"PyTorch has no {op}")
    no_out("PyTorch", params)
    if op not in WITH_NUMBERS or not any(isinstance(x, torch.Tensor) for x in operands):
        operands = _as_tensors(operands)
    if dtype := params.pop("dtype", None):
        operands = [x.to(getattr(torch, dtype)) for x in _as_tensors(operands)]
    try:
        return (SPELLING.get(op) or getattr(torch, op))(*operands, **params)
    except RuntimeError as refused:  # PyTorch has no exception of its own for what it lacks
        if "not supported" in str(refused) or "not implemented" in str(refused):
            raise Unsupported(f"{op}: {refused}") from refused
        raise


def _leaf(x: Any, constant: bool) -> Any:
    """A tensor of its own: PyTorch neither takes negative strides nor read-only memory, so an array is copied first."""
    return torch.from_numpy(np.array(x)).requires_grad_(not constant)


def _array(x: Any) -> np.ndarray:
    return np.array(x.detach().resolve_neg().numpy())


def vjp(program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
    """Value and gradients by ``torch.autograd.grad``."""
    leaves = [x if i.kind == "number" else _leaf(x, i.constant) for i, x in zip(program.inputs, inputs, strict=True)]
    value = evaluate(program, leaves, _apply)[-1]
    gradients: list[np.ndarray | None] = [None] * len(leaves)
    if value.requires_grad:
        variables = [leaves[number] for number in program.variables]
        seed = torch.from_numpy(np.array(cotangent)).to(value.dtype)
        pulled = torch.autograd.grad(value, variables, seed, allow_unused=True)
        for number, g in zip(program.variables, pulled, strict=True):
            gradients[number] = None if g is None else _array(g)
    return Answer(_array(value), gradients)


make_dual: Callable[..., Any] = forward_ad.make_dual
unpack_dual: Callable[..., Any] = forward_ad.unpack_dual


def jvp(program: Program, inputs: Sequence[Any], tangents: Sequence[np.ndarray | None]) -> tuple[np.ndarray, np.ndarray]:
    """Value and tangent by ``torch.autograd.forward_ad``."""
    with forward_ad.dual_level():
        leaves = [x if i.kind == "number" else _leaf(x, constant=True) for i, x in zip(program.inputs, inputs, strict=True)]
        for number in program.variables:
            leaves[number] = make_dual(leaves[number], torch.from_numpy(np.array(tangents[number])))
        value, tangent = unpack_dual(evaluate(program, leaves, _apply)[-1])
    return _array(value), _array(torch.zeros_like(value) if tangent is None else tangent)


#: How a case is written in PyTorch's words (see `adjudge.reports.script`).
SCRIPT = {
    "import": """
        from functools import reduce

        import torch
        from torch.nn import functional as F


        def tensors(*xs):
            beside = next((x for x in xs if isinstance(x, torch.Tensor)), torch.zeros((), dtype=torch.float64))
            return [x if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=torch.result_type(beside, x)) for x in xs]


        def places(index):
            index = index if isinstance(index, tuple) else (index,)
            arrays = [part if part.dtype == bool else part.astype(np.int64) for part in index if isinstance(part, np.ndarray)]
            arrays = iter(map(torch.from_numpy, arrays))
            return tuple(next(arrays) if isinstance(part, np.ndarray) else part for part in index)


        def given(value, otherwise=None):
            return otherwise if value is None else value


        def axes_of(x, axis):
            return [a % x.ndim for a in np.atleast_1d(range(x.ndim) if axis is None else axis).tolist()]


        def along(function, x, axis=-1):
            return function(x, axis) if axis is not None else function(x.ravel(), 0).reshape(x.shape)


        def joined(xs, axis=0):
            return torch.cat(xs, axis) if axis is not None else torch.cat([x.ravel() for x in xs])
    """,
    "leaf": "{x} = torch.from_numpy(np.array({x})).requires_grad_(not {constant})",
    "list": "{x} = torch.from_numpy(np.array({x}))",
    "run": """
        def run({inputs}):
            {leaves}
            {steps}
            gradients = [None for x in [{variables}]]
            if {out}.requires_grad:
                seed = torch.from_numpy(np.array(COTANGENT)).to({out}.dtype)
                gradients = torch.autograd.grad({out}, [{variables}], seed, allow_unused=True)
            gradients = [torch.zeros_like(x) if g is None else g for g, x in zip(gradients, [{variables}])]
            return np.array({out}.detach().resolve_neg().numpy()), [np.array(g.resolve_neg().numpy()) for g in gradients]
    """,
    "step": "{y} = torch.{op}(*tensors({xs}){params})",
    "cast": "tensors({x})[0].to(getattr(torch, {dtype}))",
    "steps": {
        **{op: text.replace("[{xs}]", "tensors({xs})") for op, text in composed_words("torch").items()},
        **{
            op: "{y} = {0} " + sign + " {1}"
            for op, sign in {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**"}.items()
        },
        **{
            op: "{y} = {0}.clone()\n{y} " + sign + " {1}"
            for op, sign in {"iadd": "+=", "isub": "-=", "imul": "*=", "itruediv": "/=", "ipow": "**="}.items()
        },
        **{
            op: f"{{y}} = torch.{name}({{0}}, {{axis}}, keepdim=bool({{keepdims}}))"
            for op, name in {"sum": "sum", "mean": "mean"}.items()
        },
        **{
            op: f"{{y}} = torch.{name}({{0}}, axes_of({{0}}, {{axis}}), keepdim=bool({{keepdims}}))"
            for op, name in {"max": "amax", "min": "amin"}.items()
        },
        **{
            op: f"{{y}} = torch.{op}({{0}}, {{axis}}, correction={{ddof}} or 0, keepdim=bool({{keepdims}}))"
            for op in ("var", "std")
        },
        "prod": (
            "{y} = reduce(lambda part, a: torch.prod(part, a, keepdim=bool({keepdims})), "
            "sorted(axes_of({0}, {axis}), reverse=True), {0})"
        ),
        **{
            op: f"{{y}} = torch.{op}({{0}}.ravel() if given({{axis}}) is None else {{0}}, given({{axis}}, 0))"
            for op in ("cumsum", "cumprod")
        },
        "norm": "{y} = torch.linalg.vector_norm({0}, given({ord}, 2), {axis}, bool({keepdims}))",
        "squeeze": "{y} = torch.squeeze({0}, given({axis}, tuple(range({0}.ndim))))",
        "expand_dims": (
            "axes = np.atleast_1d({axis}).tolist()\n"
            "{y} = reduce(torch.unsqueeze, sorted(axis % ({0}.ndim + len(axes)) for axis in axes), {0})"
        ),
        "transpose": "{y} = torch.permute({0}, {axes} or tuple(reversed(range({0}.ndim))))",
        "reshape": "{y} = torch.reshape({0}, tuple(np.atleast_1d({shape}).tolist()))",
        "broadcast_to": "{y} = torch.broadcast_to({0}, {shape})",
        "swapaxes": "{y} = torch.swapaxes({0}, {axis1}, {axis2})",
        "roll": (
            "{y} = torch.roll({0}, np.broadcast_to({shift}, np.shape({axis})).tolist() "
            "if isinstance({axis}, tuple) else {shift}, {axis})"
        ),
        "repeat": "{y} = torch.repeat_interleave({0}, torch.as_tensor({repeats}, dtype=torch.int64), {axis})",
        "concatenate": "{y} = joined(tensors({xs}){params})",
        "stack": "{y} = torch.stack(tensors({xs}), {axis} or 0)",
        "where": "condition, *others = tensors({xs})\n{y} = torch.where(condition.bool(), *others)",
        "getitem": "{y} = {0}[places(np.s_[{index}])]",
        "setitem": "{y} = {0}.clone()\n{y}[places(np.s_[{index}])] = tensors({0}, {1})[1].to({0}.dtype)",
        "multi_matmul": "{y} = torch.linalg.multi_dot(tensors({xs}))",
        "einsum": "{y} = torch.einsum({subscripts}, {xs})",
        **{op: f"{{y}} = F.{op}({{values}})" for op in ("leaky_relu", "elu", "glu")},
        "hard_tanh": "{y} = F.hardtanh({0}, given({lower_bound}, -1), given({upper_bound}, 1))",
        "soft_sign": "{y} = F.softsign({0})",
        **{
            op: f"{{y}} = along(torch.{name}, {{0}}{{params}})"
            for op, name in {"softmax": "softmax", "logsoftmax": "log_softmax"}.items()
        },
        "conv_nd": (
            "{y} = (F.conv1d, F.conv2d, F.conv3d)[{0}.ndim - 3]({0}, {1}, None, {stride}, {padding} or 0, {dilation} or 1)"
        ),
        "max_pool": (
            "lead = {0}.shape[: {0}.ndim - len({pool})]\n"
            "{y} = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len({pool}) - 1]("
            "{0}.reshape(1, -1, *{0}.shape[len(lead) :]), {pool}, {stride})\n"
            "{y} = {y}.reshape(*lead, *{y}.shape[2:])"
        ),
        "batchnorm": (
            "named = dict(zip({given}, [{xs}][1:]))\n"
            '{y} = F.batch_norm({0}, None, None, named.get("gamma"), named.get("beta"), True, eps={eps})'
        ),
        "softmax_crossentropy": "{y} = F.cross_entropy({0}, {1}.long())",
        "negative_log_likelihood": '{y} = F.nll_loss({0}, {1}.long(), ([{xs}, None])[2], reduction="none").mean()',
        "multiclass_hinge": "{y} = F.multi_margin_loss({0}, {1}.long(), margin=given({hinge}, 1.0)) * {0}.shape[1]",
        "margin_ranking_loss": (
            "{y} = F.margin_ranking_loss({0}, {1}, {2}.reshape(-1, *(1,) * ({0}.ndim - 1)).expand_as({0}), {margin})"
        ),
    },
}  # fmt: skip
