"""Running a program on any scalar: forwards, and backwards."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import numbers as s
from ..dtypes import is_float
from ..program import Program, Step
from .op import Op, elements, unbroadcast
from .tables import OPS

__all__ = ["MOST", "UnknownOp", "as_numpy", "backward", "check_sizes", "forward", "step_forward", "step_pull"]

#: The most elements of all values of a program from a file, and its most steps.
MOST, MOST_STEPS = 100_000, 1_000


class UnknownOp(KeyError):
    """The reference has no op of this name."""

    def __str__(self) -> str:
        return f"the reference knows no op named {self.args[0]!r}; `adjudge list ops` shows all"


def find(name: str) -> Op:
    """The op of this name."""
    try:
        return OPS[name]
    except KeyError:
        raise UnknownOp(name) from None


def check_sizes(program: Program) -> np.ndarray:
    """The value that NumPy gives to a program from a file, of which nothing is known.

    Raises
    ------
    UnknownOp, ValueError, TypeError, IndexError, ArithmeticError
        If an op or a parameter is unknown, NumPy refuses a step, or the program would need more than `MOST` elements: that is
        seen before they are made.
    """
    if len(program.steps) > MOST_STEPS:
        raise ValueError(f"it has {len(program.steps)} steps, and a program from a file may have {MOST_STEPS}")
    total = sum(elements(i.data.shape) for i in program.inputs)

    def check(step: Step, operands: Sequence[Any]) -> None:
        nonlocal total
        op = find(step.op)
        for name in step.params:
            if name not in op.parameters:
                raise TypeError(f"{step.op} has no parameter {name!r}")
        total += op.needs([np.shape(x) for x in operands], step.params)
        if total > MOST:
            raise ValueError(f"it needs {total} elements by step {step.op!r}, and a program from a file may have {MOST}")

    return as_numpy(program, check)


def _ufunc_parts(step: Step) -> tuple[dict[str, Any], Any, str | None]:
    """A step's own parameters apart from NumPy's ``where=`` (which comes with an ``out=`` operand, the last) and ``dtype=``."""
    own = dict(step.params)
    return own, own.pop("where", None), own.pop("dtype", None)


def step_forward(step: Step, operands: Sequence[Any], textbook: bool = False) -> Any:
    """The value of one step."""
    op = find(step.op)
    compute = op.textbook_value if textbook and op.textbook_value is not None else op.forward
    if not step.params or not op.elementwise:
        return _array(compute(*operands, **step.params))
    own, mask, dtype = _ufunc_parts(step)
    given = list(operands if mask is None else operands[:-1])
    if dtype and not any(s.is_object(x) for x in given):
        given = [np.asarray(x, dtype) for x in given]
    if mask is None:
        return _array(compute(*given, **own))
    out = operands[-1]
    inside = np.broadcast_to(np.asarray(mask), np.shape(out))
    # Elements outside the mask are never computed, so they may be outside the domain: only those inside it are taken.
    value = out.copy()
    picked = [np.broadcast_to(x, out.shape, subok=True)[inside] for x in given]
    if inside.any():
        value[inside] = compute(*picked, **own)
    return _array(value)


def step_pull(step: Step, k: int, g: Any, y: Any, operands: Sequence[Any], textbook: bool = False) -> Any:
    """The cotangent of operand `k` of one step."""
    op = find(step.op)
    if not step.params or not op.elementwise:
        return op.pull(k, g, y, operands, step.params, textbook)
    own, mask, _ = _ufunc_parts(step)
    if mask is None:
        return op.pull(k, g, y, operands, own, textbook)
    *given, out = operands
    inside = np.broadcast_to(np.asarray(mask), np.shape(out))
    zero = s.lift(np.zeros(out.shape)) if s.is_object(g) else np.zeros(out.shape, g.dtype)
    if k == len(given):
        return s.where(inside, zero, g)
    picked = [np.broadcast_to(x, out.shape, subok=True)[inside] for x in given]
    full = zero.copy()
    if inside.any():
        full[inside] = op.pull(k, g[inside], y[inside], picked, own, textbook)
    return unbroadcast(full, np.shape(given[k]))


def _array(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return s.boxed(x) if x.dtype.hasobject else x
    return s.boxed(x) if not np.isscalar(x) and not isinstance(x, np.generic) else np.asarray(x)


#: ``(step, operands) -> None``: called before a step is run; it may refuse by an exception.
Check = Callable[[Step, Sequence[Any]], None]


def forward(
    program: Program, inputs: Sequence[Any], after: Callable[[Any], Any] | None = None, textbook: bool = False,
    before: Check | None = None,
) -> list[Any]:  # fmt: skip
    """All values of a program, the inputs first.

    Parameters
    ----------
    program : Program
    inputs : sequence of arrays
        Floats, balls or series, one array per input.
    after : callable, optional
        Applied to each step's result: an error that a model of computation adds.
    textbook : bool
        Use the formulas that libraries commonly use.
    before : Check, optional
    """
    values, branches = [_array(x) if s.is_object(x) else x for x in inputs], s.current_branches()
    for number, step in enumerate(program.steps):
        branches.at((number, "value"))  # so that comparisons are recognised at another precision
        operands = [values[a] for a in step.args]
        if before is not None:
            before(step, operands)
        value = step_forward(step, operands, textbook)
        if textbook and s.arithmetic().series:
            value = _textbook_slopes(step, value, operands)
        values.append(value if after is None else after(value))
    return values


#: The most elements for which a tangent is made from textbook rules: each element needs a pullback of its own.
MOST_PULLED = 64


def _textbook_slopes(step: Step, value: Any, operands: Sequence[Any]) -> Any:
    """The value of a step as a series whose slope may be what its textbook rules give, forwards.

    Libraries push tangents forward by the same formulas by which they pull cotangents back; an element's tangent is that
    element's pullback times the operands' tangents.
    """
    op, (own, mask, _) = find(step.op), _ufunc_parts(step)
    if mask is not None or not value.size or (op.textbook is None if op.elementwise else value.size > MOST_PULLED):
        return value
    y, fixed = s.coefficients(value, 0), [s.coefficients(x, 0) for x in operands]
    along = [(k, s.coefficients(x, 1)) for k, x in enumerate(operands) if op.differentiable(k)]
    total = s.coefficients(s.lift(np.zeros(value.shape)), 0)
    if op.elementwise and op.textbook is not None:
        ones = s.lift(np.ones(value.shape))
        for k, v in along:
            rule = op.textbook[k]
            if rule is not None:
                total = total + s.coefficients(s.boxed(rule(ones, y, *fixed, **own)), 0) * v
        return s.either_slope(value, total)
    for place in range(value.size):
        one = np.zeros(value.size)
        one[place] = 1.0
        seed = s.lift(one.reshape(value.shape))
        for k, v in along:
            pulled = s.coefficients(_array(op.pull(k, seed, y, fixed, step.params, textbook=True)), 0)
            if v.size:
                total.reshape(-1)[place] += s.add_reduce(pulled * v)[()]
    return s.either_slope(value, total)


#: ``(step, operand, pulled) -> pulled``: replaces the cotangent that a rule returned.
Pullback = Callable[[int, int, Any], Any]


def as_numpy(program: Program, before: Check | None = None) -> np.ndarray:
    """The value that NumPy itself gives, in its dtype; numbers are handed over as numbers, whose dtype yields.

    NumPy's own functions do not take bfloat16 everywhere: there it computes in float32, and the value is rounded.
    """
    inputs = [i.materialise() if i.kind == "number" else i.data for i in program.inputs]
    coarse = any(i.data.dtype.name == "bfloat16" for i in program.inputs)
    with np.errstate(all="ignore"):
        if not coarse:
            return np.asarray(forward(program, inputs, before=before)[-1])
        wide = [x.astype(np.float32) if isinstance(x, np.ndarray) and is_float(x.dtype) else x for x in inputs]
        value = np.asarray(forward(program, wide, before=before)[-1])
    return value.astype(program.working_dtype) if value.dtype == np.float32 else value


def backward(
    program: Program,
    values: Sequence[Any],
    cotangent: Any,
    textbook: bool = False,
    override_vjp: Mapping[str, Pullback] | None = None,
    poles: bool = False,
) -> tuple[list[Any], list[Any]]:
    """Pull `cotangent` of the last value back to every input.

    Parameters
    ----------
    program : Program
    values : sequence of arrays
        The list that `forward` returned.
    cotangent : array
        Of the last value's shape.
    textbook : bool
        Use the formulas that libraries commonly use instead of the rules.
    override_vjp : mapping, optional
        Op name to a `Pullback`: for seeded faults.
    poles : bool
        Whether to drop, after each elementwise rule, poles that no cotangent reaches.

    Returns
    -------
    gradients : list
        One array per input; None for constants. An input that is not used gets zeros.
    cotangents : list
        The cotangent of every value, from which ranges are checked; None where none arrived.
    """
    branches = s.current_branches()
    cotangents: list[Any] = [None] * len(values)
    cotangents[-1] = _array(cotangent)
    addends = _addends(program, values) if s.rounds() else [0] * len(values)
    needed = [not constant for constant in program.constants]
    for number in reversed(range(len(program.steps))):
        step, y = program.steps[number], values[len(program.inputs) + number]
        g = cotangents[len(program.inputs) + number]
        if g is None:
            continue
        op = find(step.op)
        operands = [values[a] for a in step.args]
        masked = len(operands) - 1 if "where" in step.params else None
        for k, arg in enumerate(step.args):
            if not needed[arg] or not (k == masked or op.differentiable(k)):
                continue
            branches.at((number, k))
            pulled = _array(step_pull(step, k, g, y, operands, textbook))
            if poles and op.elementwise:
                pulled = _without_idle_poles(pulled, g)
            if override_vjp is not None and step.op in override_vjp:
                pulled = override_vjp[step.op](number, k, pulled)
            before = cotangents[arg]
            if before is not None and addends[arg] > 2:
                before, pulled = s.order_free(before, addends[arg] - 1), s.order_free(pulled, addends[arg] - 1)
            cotangents[arg] = pulled if before is None else before + pulled
    gradients = []
    for n, (i, x) in enumerate(zip(program.inputs, values, strict=False)):
        g = cotangents[n]
        gradients.append(None if i.constant else g if g is not None else _zeros(x))
    return gradients, cotangents


def _addends(program: Program, values: Sequence[Any]) -> list[int]:
    """For each value, how many cotangents there are in the largest sum that its own is a part of.

    A library may skip a step whose value is its operand: what arrives at either is then added up in one sum, in any order.
    """
    addends = [0] * len(values)
    addends[-1] = 1
    copied: dict[int, int] = {}
    for number in reversed(range(len(program.steps))):
        value = len(program.inputs) + number
        for arg in program.steps[number].args:
            copy = _same(values[value], values[arg])
            addends[arg] += addends[value] if copy else 1
            if copy:
                copied[value] = arg
    for value, arg in sorted(copied.items()):
        addends[value] = max(addends[value], addends[arg])
    return addends


def _same(a: Any, b: Any) -> bool:
    """Whether two arrays hold the same balls."""
    return a.shape == b.shape and all(map(operator.is_, a.flat, b.flat))


def _zeros(x: Any) -> Any:
    return s.lift(np.zeros(x.shape)) if s.is_object(x) else np.zeros_like(x)


def _without_idle_poles(pulled: Any, g: Any) -> Any:
    """A pole that no cotangent reaches adds nothing: where(x > 0, log(x), 0) has slope 0 at 0, whatever that of log is."""
    if pulled.shape != g.shape:
        return pulled
    finite = s.finite(pulled)
    if finite.all():
        return pulled
    idle = ~finite & s.zero(g)
    return s.where(idle, s.lift(np.zeros(g.shape)), pulled) if idle.any() else pulled
