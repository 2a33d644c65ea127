"""Seeded faults: typical faults of autodiff libraries, made on purpose in one op of the mirror.

A fault of a rule changes what one op's vector-Jacobian product returns; a fault of the answer changes what the library hands
out, in reverse mode or in a directed one. Each must be rejected by the judge, for every op to which it applies; the tests check
this, and the report shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from ..oracle import numbers as s
from ..oracle.dtypes import is_float
from ..oracle.modes import DIRECTED
from ..oracle.program import Program
from ..oracle.protocol import Answer, Backend, as_backend
from ..oracle.reference.evaluate import Pullback, forward
from . import mirror

__all__ = ["FAULTS", "Fault", "faulty"]

#: ``spoil(calls, answer, inputs)``: `calls` counts the calls before this one.
Spoil = Callable[[int, Answer, Sequence[Any]], None]


@dataclass(frozen=True)
class Fault:
    """One way to be wrong.

    Parameters
    ----------
    name : str
        In a few words.
    mode : str
        The mode of differentiation that is spoilt.
    rule : callable, optional
        ``rule(program) -> Pullback`` replaces what the op's rule returned.
    answer : callable, optional
        Spoils the answer in reverse mode.
    change : callable, optional
        Changes each derivative in a directed mode.
    """

    name: str
    mode: str = "vjp"
    rule: Callable[[Program], Pullback] | None = None
    answer: Spoil | None = None
    change: Callable[[np.ndarray], np.ndarray] | None = None


def faulty(fault: Fault, op: str) -> Backend:
    """The mirror with one fault in one op.

    Examples
    --------
    >>> from adjudge import Program, judge
    >>> p = Program.of([np.array([0.5])], [("sin", [0])])
    >>> judge(p, faulty(FAULTS["sign flip"], "sin")).verdict, judge(p, faulty(FAULTS["sign flip"], "cos")).verdict
    ('wrong', 'correct')
    """
    calls = count()

    def vjp(program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
        override_vjp = {op: fault.rule(program)} if fault.rule else None
        answer = mirror.reflect(program, cotangent, override_vjp)
        number = next(calls)
        if fault.answer and op in program.ops:
            fault.answer(number, answer, inputs)
        return answer

    def spoilt(program: Program, derivative: np.ndarray | None) -> np.ndarray | None:
        return derivative if derivative is None or fault.change is None or op not in program.ops else fault.change(derivative)

    def jvp(program: Program, inputs: Sequence[Any], tangents: Any) -> Any:
        value, tangent = mirror.jvp(program, inputs, tangents)
        return value, spoilt(program, tangent)

    def hvp(program: Program, inputs: Sequence[Any], cotangent: np.ndarray, tangents: Any) -> Any:
        return [spoilt(program, h) for h in mirror.hvp(program, inputs, cotangent, tangents)]

    whole = as_backend(mirror)
    every: dict[str, dict[str, Any]] = {"vjp": {"vjp": vjp}, "jvp": {"jvp": jvp}, "hvp": {"hvp": {"": hvp}}}
    return Backend(
        f"mirror with {fault.name} in {op}", whole.versions, dtypes=whole.dtypes, numpy_dtypes=whole.numpy_dtypes,
        **{"vjp": whole.vjp, **every[fault.mode]},
    )  # fmt: skip


# -- faults of a rule ----------------------------------------------------------------------------------------------------------


def _each(change: Callable[[Any], Any]) -> Callable[[Program], Pullback]:
    """The same change to every cotangent that the op pulls back."""
    return lambda program: lambda step, operand, pulled: change(pulled) if pulled.size else pulled


def _one_zeroed(g: Any) -> Any:
    out = g.copy()
    flat = out.reshape(-1)
    flat[len(flat) // 2] = s.lift(np.zeros(()))[()]
    return s.boxed(flat.reshape(g.shape))


def _two_swapped(g: Any) -> Any:
    flat = g.reshape(-1).copy()
    if len(flat) > 1:
        flat[0], flat[-1] = flat[-1], flat[0]
    return s.boxed(flat.reshape(g.shape))


def _transposed(g: Any) -> Any:
    return s.boxed(g.T.reshape(-1).reshape(g.shape))


def _not_unbroadcast(program: Program) -> Pullback:
    def pull(step: int, operand: int, pulled: Any) -> Any:
        shape = np.asarray(_value_shape(program, step))
        return s.boxed(np.broadcast_to(pulled, tuple(shape)).copy()) if _broadcasts(pulled.shape, tuple(shape)) else pulled

    return pull


def _value_shape(program: Program, step: int) -> tuple[int, ...]:
    with np.errstate(all="ignore"):
        values = forward(program, [i.data for i in program.inputs])
    return tuple(np.shape(values[len(program.inputs) + step]))


def _broadcasts(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    try:
        return small != large and np.broadcast_shapes(small, large) == large
    except ValueError:
        return False


def _dropped_term(program: Program) -> Pullback:
    """Of the contributions to a value that is used several times only the first to arrive is kept, that of its last use."""
    arrivals: dict[int, list[tuple[int, int]]] = {}
    for number in reversed(range(len(program.steps))):
        for k, arg in enumerate(program.steps[number].args):
            arrivals.setdefault(arg, []).append((number, k))

    def pull(step: int, operand: int, pulled: Any) -> Any:
        first = arrivals[program.steps[step].args[operand]][0]
        return pulled if first == (step, operand) else pulled * 0

    return pull


# -- faults of the answer ------------------------------------------------------------------------------------------------------


def _first_gradient(answer: Answer) -> int | None:
    return next((n for n, g in enumerate(answer.gradients) if g is not None and g.size), None)


def _spoil_gradient(change: Callable[[np.ndarray], Any]) -> Spoil:
    def spoil(calls: int, answer: Answer, inputs: Sequence[Any]) -> None:
        n = _first_gradient(answer)
        if n is not None:
            answer.gradients[n] = change(answer.gradients[n])  # type: ignore[arg-type]

    return spoil


def _mutated(calls: int, answer: Answer, inputs: Sequence[Any]) -> None:
    for x in inputs:
        if isinstance(x, np.ndarray) and x.size and x.flags.writeable and is_float(x.dtype):
            x[...] = x + 1
            return


def _unsteady(calls: int, answer: Answer, inputs: Sequence[Any]) -> None:
    n = _first_gradient(answer)
    if n is not None and calls % 2:
        g = answer.gradients[n]
        assert g is not None
        answer.gradients[n] = np.nextafter(g, np.asarray(np.inf, g.dtype))


class _StaleView:
    """Gradients are views of one buffer, which the next call overwrites."""

    def __init__(self) -> None:
        self.buffer = np.zeros(0)

    def __call__(self, calls: int, answer: Answer, inputs: Sequence[Any]) -> None:
        n = _first_gradient(answer)
        if n is None:
            return
        g = answer.gradients[n]
        assert g is not None
        self.buffer[...] = 7.5
        self.buffer = np.array(g)
        answer.gradients[n] = self.buffer[...]


def _first_zeroed(derivative: np.ndarray) -> np.ndarray:
    out = derivative.copy()
    out.reshape(-1)[:1] = 0
    return out


#: Changes of a derivative in a directed mode.
CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sign flip": lambda d: -d,
    "zeroed": lambda d: d * 0,
    "one element zeroed": _first_zeroed,
    "factor 1 + 1e-6": lambda d: np.asarray(d * (1 + 1e-6), d.dtype),
    "NaN": lambda d: d * np.asarray(np.nan, d.dtype),
}

#: Every fault by name. The factors are what float64 and float32 must resolve.
FAULTS = {
    f.name: f
    for f in (
        Fault("sign flip", rule=_each(lambda g: -g)),
        Fault("zeroed gradient", rule=_each(lambda g: g * 0)),
        Fault("one element zeroed", rule=_each(_one_zeroed)),
        Fault("two elements swapped", rule=_each(_two_swapped)),
        Fault("transposed", rule=_each(_transposed)),
        Fault("missing un-broadcast", rule=_not_unbroadcast),
        Fault("dropped fan-out term", rule=_dropped_term),
        Fault("factor 1 + 1e-12", rule=_each(lambda g: g * (1 + 1e-12))),
        Fault("factor 1 + 1e-6", rule=_each(lambda g: g * (1 + 1e-6))),
        Fault("NaN", rule=_each(lambda g: g * s.lift(np.array(np.nan))[()])),
        Fault("stale view", answer=_StaleView()),
        Fault("wrong shape", answer=_spoil_gradient(lambda g: g[None])),
        Fault("wrong dtype", answer=_spoil_gradient(lambda g: g.astype(np.longdouble))),
        Fault("mutated input", answer=_mutated),
        Fault("non-determinism", answer=_unsteady),
        *(Fault(f"{name} ({mode.title})", mode.name, change=change) for mode in DIRECTED for name, change in CHANGES.items()),
    )
}
