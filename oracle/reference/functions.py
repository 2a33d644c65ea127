"""NumPy's functions on tensors: the names of their operands and parameters, and the op behind each."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from .activations import ACTIVATIONS
from .op import Op
from .tables import OPS
from .tensors import ARRAY_FUNCTIONS, GETITEM, INDIFFERENT, POSITIVE, UFUNCS, Tensor, _plain, apply, record

__all__ = ["FUNCTIONS", "linalg"]

Function = Callable[..., Any]

#: Every differentiable function by its name in NumPy, or in MyGrad where NumPy has none.
FUNCTIONS: dict[str, Function] = {}


def named(name: str, function: Function, room: Any = np) -> Function:
    """Add a function to the table, and let it stand in for NumPy's function of that name."""
    short = name.rpartition(".")[2]
    theirs = getattr(room, short, None)
    function.__name__ = function.__qualname__ = short
    function.__doc__ = f"{'NumPy' if theirs else 'The op'} `{name}` of tensors; ``constant=`` says whether the result is one."
    FUNCTIONS[name] = function
    if isinstance(theirs, np.ufunc):
        UFUNCS[theirs, "__call__"] = function
    elif theirs is not None:
        ARRAY_FUNCTIONS[theirs] = function
    return function


# -- elementwise ---------------------------------------------------------------------------------------------------------------


def _universal(op: Op) -> Function:
    """A function with the signature of NumPy's ufuncs: operands, ``out=``, ``where=``, ``dtype=``."""
    arity = len(op.rules)

    def function(*operands: Any, out: Any = None, where: Any = True, dtype: Any = None, constant: bool | None = None) -> Tensor:
        if len(operands) == arity + 1 and out is None:
            *operands, out = operands  # type: ignore[assignment]
        if len(operands) != arity:
            raise TypeError(f"{op.name} takes {arity} operand{'s' * (arity > 1)}; {len(operands)} are given")
        if out is None and where is True and dtype is None:
            return record(op, operands, constant=constant)
        params: dict[str, Any] = {}
        if dtype is not None:
            params["dtype"] = np.dtype(dtype).name
        if isinstance(out, tuple):
            (out,) = out
        if where is not True:
            params["where"] = np.asarray(where, dtype=bool)
            beneath = _zeros(op, operands, params) if out is None else out if isinstance(out, Tensor) else out.copy()
            operands = (*operands, beneath)
        if isinstance(out, Tensor):
            return out._become(op, tuple(operands), params)
        made = record(op, tuple(operands), params, constant)
        return made if out is None else _written(made, out)

    return function


def _zeros(op: Op, operands: Sequence[Any], params: dict[str, Any]) -> np.ndarray:
    """Zeros for the elements outside a mask where no ``out=`` is given; NumPy leaves them undefined."""
    shape = np.broadcast_shapes(*map(np.shape, operands), params["where"].shape)
    none = [x if isinstance(x, (int, float)) else np.asarray(x).reshape(-1)[:0] for x in operands]
    return np.zeros(shape, params.get("dtype", np.asarray(op.forward(*none)).dtype))


def _written(made: Tensor, out: np.ndarray) -> Tensor:
    """The tensor whose array is `out`, with the result written into it."""
    if made.shape != out.shape:
        made = record(OPS["broadcast_to"], (made,), {"shape": out.shape})
    np.copyto(out, made.data, casting="same_kind")
    made.data = out
    return made


def _elementwise(op: Op) -> Function:
    """A function of operands alone."""

    def function(*operands: Any, constant: bool | None = None) -> Tensor:
        return record(op, operands, constant=constant)

    return function


#: Ops that only a tensor's own syntax reaches.
SYNTAX = ("iadd", "isub", "imul", "itruediv", "ipow", "getitem", "setitem")

for _name, _op in OPS.items():
    if _op.elementwise and _name not in (*SYNTAX, *ACTIVATIONS):
        named(_name, (_universal if isinstance(getattr(np, _name, None), np.ufunc) else _elementwise)(_op))


def _matmul(*operands: Any, out: Any = None, dtype: Any = None, constant: bool | None = None) -> Tensor:
    if dtype is not None:
        operands = tuple(record(POSITIVE, (x,), {"dtype": np.dtype(dtype).name}) for x in operands)
    if isinstance(out, tuple):
        (out,) = out
    if isinstance(out, Tensor):
        return out._become(OPS["matmul"], operands)
    made = record(OPS["matmul"], operands, constant=constant)
    return made if out is None else _written(made, out)


named("matmul", _matmul)


def _where(condition: Any, *branches: Any, constant: bool | None = None) -> Any:
    if not branches:
        return np.nonzero(condition)
    return record(OPS["where"], (_plain(condition), *branches), constant=constant)


def _clip(
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: Any = None,
    *,
    min: Any = None,
    max: Any = None,
    constant: bool | None = None,
) -> Tensor:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    name = {(False, False): "clip", (False, True): "maximum", (True, False): "minimum", (True, True): "positive"}
    op, operands = OPS[name[low is None, high is None]], (a, *(x for x in (low, high) if x is not None))
    if isinstance(out, Tensor):
        return out._become(op, operands)
    made = record(op, operands, constant=constant)
    return made if out is None else _written(made, out)


named("where", _where)
named("clip", _clip)

# -- one array, and parameters -------------------------------------------------------------------------------------------------


def adopted(name: str, operand: str, *reach: str, room: Any = np) -> None:
    """Take over NumPy's function with its own signature; only the parameters in `reach` may differ from their defaults."""
    op = OPS[name.rpartition(".")[2]]
    signature = inspect.signature(getattr(room, op.name))

    def function(*args: Any, constant: bool | None = None, **kwargs: Any) -> Tensor:
        if len(args) == 1 and kwargs.keys() <= set(reach):
            return record(op, args, kwargs, constant)
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError as problem:
            raise TypeError(f"{op.name}: {problem}") from None
        x = given.pop(operand)
        for key in [k for k in given if k not in reach]:
            if (value := given.pop(key)) is not signature.parameters[key].default:
                raise TypeError(f"{op.name} of a tensor was given {key}={value!r}: it takes {', '.join(reach)}; leave it out")
        return record(op, (x,), {k: v.data if isinstance(v, Tensor) else v for k, v in given.items()}, constant)

    named(name, function, room)


# fmt: off
#        function        array    parameters
adopted("sum",          "a",     "axis", "keepdims")
adopted("mean",         "a",     "axis", "keepdims")
adopted("var",          "a",     "axis", "ddof", "keepdims")
adopted("std",          "a",     "axis", "ddof", "keepdims")
adopted("prod",         "a",     "axis", "keepdims")
adopted("max",          "a",     "axis", "keepdims")
adopted("min",          "a",     "axis", "keepdims")
adopted("cumsum",       "a",     "axis")
adopted("cumprod",      "a",     "axis")
adopted("reshape",      "a",     "shape")
adopted("ravel",        "a")
adopted("squeeze",      "a",     "axis")
adopted("expand_dims",  "a",     "axis")
adopted("transpose",    "a",     "axes")
adopted("moveaxis",     "a",     "source", "destination")
adopted("swapaxes",     "a",     "axis1", "axis2")
adopted("broadcast_to", "array", "shape")
adopted("roll",         "a",     "shift", "axis")
adopted("repeat",       "a",     "repeats", "axis")
# fmt: on


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, *, constant: bool | None = None) -> Tensor:
    axes = np.ndim(x) if axis is None else np.size(axis)
    if ord == "fro" and axes == 2:
        ord = None
    if ord is not None and (axes != 1 or not isinstance(ord, (int, float)) or not 0 < ord < np.inf):
        raise TypeError(
            f"linalg.norm with ord={ord!r} over {axes} axes has no derivative here: vector norms with a positive ord have; "
            "reshape a matrix to a vector, or write max(abs(x)) for ord=inf"
        )
    return apply("norm", x, ord=ord, axis=axis, keepdims=keepdims, constant=constant)


named("linalg.norm", _norm, np.linalg)

# -- several arrays ------------------------------------------------------------------------------------------------------------


def _einsum(subscripts: str, *operands: Any, out: Any = None, optimize: Any = False, constant: bool | None = None) -> Tensor:
    if not isinstance(subscripts, str):
        raise TypeError(f"einsum was given {type(subscripts).__name__} first: write subscripts, as in 'ij,jk->ik', there")
    letters = sorted({c for c in subscripts if c.isalpha()})
    if any(c.isupper() for c in letters):  # capital letters are the reference's own names for the axes of an ellipsis
        subscripts = subscripts.translate({ord(c): chr(ord("a") + n) for n, c in enumerate(letters)})
    if isinstance(out, Tensor):
        return out._become(OPS["einsum"], operands, {"subscripts": subscripts})
    made = apply("einsum", *operands, subscripts=subscripts, constant=constant)
    return made if out is None else _written(made, out)


def _joining(op: Op) -> Function:
    def function(arrays: Sequence[Any], axis: Any = 0, *, constant: bool | None = None) -> Tensor:
        return record(op, tuple(arrays), {"axis": axis}, constant)

    return function


def _at_least(op: Op) -> Function:
    def function(*arrays: Any, constant: bool | None = None) -> Any:
        made = tuple(record(op, (x,), constant=constant) for x in arrays)
        return made[0] if len(made) == 1 else made

    return function


def _chain(arrays: Sequence[Any], *, constant: bool | None = None) -> Tensor:
    return apply("multi_matmul", *arrays, constant=constant)


named("einsum", _einsum)
named("concatenate", _joining(OPS["concatenate"]))
named("stack", _joining(OPS["stack"]))
named("multi_matmul", _chain)
named("linalg.multi_dot", _chain, np.linalg)
for _name in ("add_sequence", "multiply_sequence", "flatten"):
    named(_name, _elementwise(OPS[_name]))
for _name in ("atleast_1d", "atleast_2d", "atleast_3d"):
    named(_name, _at_least(OPS[_name]))

#: NumPy's functions that only move elements.
MOVING = (
    "diagonal", "flip", "fliplr", "flipud", "rot90", "take", "take_along_axis", "tile", "split", "array_split",
    "hsplit", "vsplit", "dsplit", "rollaxis", "delete",
)  # fmt: skip
#: Functions whose results have no derivative: orders, places, truth values.
TELLING = (
    "greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "isnan", "isfinite", "isinf", "signbit",
    "logical_not", "logical_and", "logical_or", "logical_xor", "allclose", "isclose", "array_equal", "array_equiv",
    "any", "all", "argmax", "argmin", "argsort", "argwhere", "nonzero", "flatnonzero", "count_nonzero", "searchsorted",
    "shape", "ndim", "size", "result_type", "can_cast", "min_scalar_type", "may_share_memory", "shares_memory",
    "iscomplexobj", "isrealobj", "array_repr", "array_str", "array2string", "save",
)  # fmt: skip
#: Functions that are methods as well.
METHODS = (
    "sum", "mean", "var", "std", "prod", "max", "min", "cumsum", "cumprod", "clip", "ravel", "flatten", "squeeze",
    "swapaxes", "moveaxis", "repeat", "take", "dot", "trace", "diagonal",
)  # fmt: skip

# -- written with the functions above ------------------------------------------------------------------------------------------

F = SimpleNamespace(**FUNCTIONS)


def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    first, second = np.ndim(a), np.ndim(b)
    if isinstance(axes, int):
        axes = (range(first - axes, first), range(axes))
    left, right = (np.atleast_1d(x).tolist() for x in axes)
    labels = [chr(ord("a") + n) for n in range(first + second)]
    for i, j in zip(left, right, strict=True):
        labels[first + operator.index(j) % second] = labels[operator.index(i) % first]
    output = [c for c in labels if labels.count(c) == 1]
    return F.einsum(f"{''.join(labels[:first])},{''.join(labels[first:])}->{''.join(output)}", a, b)


def _product(a: Any, b: Any, inner: int) -> Any:
    """Over the last axis of `a` and axis `inner` of `b`; of scalars the plain product."""
    a, b = (x if isinstance(x, Tensor) else np.asarray(x) for x in (a, b))
    if not a.ndim or not b.ndim:
        return F.multiply(a, b)
    return F.matmul(a, b) if np.ndim(a) <= 2 == np.ndim(b) and inner == -2 else _tensordot(a, b, (-1, max(inner, -np.ndim(b))))


def _diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    for _ in range(n):
        moved = F.moveaxis(a, axis, -1)
        a = F.moveaxis(moved[..., 1:] - moved[..., :-1], -1, axis)
    return a


def _average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> Any:
    if weights is None:
        return F.mean(a, axis=axis, keepdims=keepdims)
    if np.shape(weights) != np.shape(a):
        weights = F.reshape(weights, [n if k == axis % np.ndim(a) else 1 for k, n in enumerate(np.shape(a))])
        weights = F.broadcast_to(weights, np.shape(a))
    return F.sum(F.multiply(a, weights), axis=axis, keepdims=keepdims) / F.sum(weights, axis=axis, keepdims=keepdims)


def _triangle(keep: Function) -> Function:
    return lambda m, k=0: F.where(keep(np.ones(np.shape(m)[-2:], bool), k), m, 0)


def _moved(move: Function) -> Function:
    """One of NumPy's functions that only move elements, applied to their places instead."""

    def function(a: Any, *args: Any, constant: bool | None = None, **kwargs: Any) -> Any:
        flat = F.ravel(a)
        places = move(np.arange(flat.size).reshape(np.shape(a)), *args, **kwargs)
        if isinstance(places, (list, tuple)):
            return [record(GETITEM, (flat,), {"index": (at,)}, constant) for at in places]
        return record(GETITEM, (flat,), {"index": (np.asarray(places),)}, constant)

    return function


# fmt: off
COMPOSED: dict[str, Function] = {
    "dot":          lambda a, b: _product(a, b, -2),
    "inner":        lambda a, b: _product(a, b, -1),
    "vdot":         lambda a, b: F.matmul(F.ravel(a), F.ravel(b)),
    "outer":        lambda a, b: F.multiply(F.reshape(a, (-1, 1)), F.ravel(b)),
    "tensordot":    _tensordot,
    "trace":        lambda a, offset=0, axis1=0, axis2=1: F.sum(FUNCTIONS["diagonal"](a, offset, axis1, axis2), axis=-1),
    "triu":         _triangle(np.triu),
    "tril":         _triangle(np.tril),
    "diff":         _diff,
    "average":      _average,
    "ptp":          lambda a, axis=None, **more: F.max(a, axis=axis, **more) - F.min(a, axis=axis, **more),
    "vstack":       lambda tup: F.concatenate([F.atleast_2d(x) for x in tup]),
    "hstack":       lambda tup: F.concatenate([F.atleast_1d(x) for x in tup], axis=int(np.ndim(tup[0]) > 1)),
    "dstack":       lambda tup: F.concatenate([F.atleast_3d(x) for x in tup], axis=2),
    "column_stack": lambda tup: F.concatenate([F.reshape(x, (-1, 1)) if np.ndim(x) < 2 else x for x in tup], axis=1),
    "copy":         lambda a, order="K": F.positive(a),
    "hypot":        lambda x1, x2: F.sqrt(F.square(x1) + F.square(x2)),
    "radians":      lambda x: F.multiply(x, np.pi / 180),
    "degrees":      lambda x: F.multiply(x, 180 / np.pi),
}
# fmt: on


def _composed(name: str, compose: Function) -> Function:
    compose.__name__ = compose.__qualname__ = name

    def function(*args: Any, constant: bool | None = None, **kwargs: Any) -> Any:
        made = compose(*args, **kwargs)
        return made if constant is None else record(POSITIVE, (made,), constant=constant)

    return function


for _name, _made in COMPOSED.items():
    named(_name, _composed(_name, _made))
for _name in MOVING:
    named(_name, _moved(getattr(np, _name)))

# -- other names of the same, and methods --------------------------------------------------------------------------------------

for _other, _name in {
    "abs": "absolute", "true_divide": "divide", "pow": "power", "amax": "max", "amin": "min", "concat": "concatenate",
    "permute_dims": "transpose", "deg2rad": "radians", "rad2deg": "degrees", "acos": "arccos", "acosh": "arccosh",
    "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atan2": "arctan2", "atanh": "arctanh",
}.items():  # fmt: skip
    FUNCTIONS[_other] = FUNCTIONS[_name]
    _theirs: Any = getattr(np, _other)
    if isinstance(_theirs, np.ufunc):
        UFUNCS[_theirs, "__call__"] = FUNCTIONS[_name]
    else:
        ARRAY_FUNCTIONS[_theirs] = FUNCTIONS[_name]


def _along_first(function: Function, a: Any, axis: Any = 0, **more: Any) -> Any:
    """The `reduce` and `accumulate` methods of ufuncs use the first axis if none is given."""
    return function(a, axis=axis, **more)


for _ufunc, _sum, _scan in (
    (np.add, "sum", "cumsum"),
    (np.multiply, "prod", "cumprod"),
    (np.maximum, "max", ""),
    (np.minimum, "min", ""),
):
    UFUNCS[_ufunc, "reduce"] = partial(_along_first, FUNCTIONS[_sum])
    if _scan:
        UFUNCS[_ufunc, "accumulate"] = partial(_along_first, FUNCTIONS[_scan])

INDIFFERENT |= {getattr(np, name) for name in TELLING}

for _name in METHODS:
    setattr(Tensor, _name, FUNCTIONS[_name])


def _about(function: Function) -> Function:
    """A method whose result has no derivative: an array."""
    return lambda self, *args, **kwargs: function(self.data, *args, **kwargs)


for _name in ("any", "all", "argmax", "argmin", "argsort"):
    setattr(Tensor, _name, _about(getattr(np, _name)))

#: Those that are in `numpy.linalg`.
linalg = SimpleNamespace(
    norm=FUNCTIONS.pop("linalg.norm"), multi_dot=FUNCTIONS.pop("linalg.multi_dot"), matmul=FUNCTIONS["matmul"]
)
