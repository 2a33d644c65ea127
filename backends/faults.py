"""Seeded faults: what goes wrong in autodiff libraries, done on purpose to one op of the mirror.

A fault of a rule changes what one op's vector-Jacobian product returns; a fault of the answer changes what the library hands
out. Each must be rejected by the judge, for every op to which it applies; `adjudge.tests` says so, and so does the report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..oracle.numbers import scalars as s
from ..oracle.program import Program
from ..oracle.protocol import Answer
from ..oracle.reference.evaluate import Pulled, forward
from .mirror import dtypes, jvp, numpy_dtypes, reflect, versions, vjp

__all__ = ["FAULTS", "TANGENT_FAULTS", "Fault", "Faulty", "FaultyForward"]


@dataclass(frozen=True)
class Fault:
    """One way to be wrong.

    Parameters
    ----------
    name : str
        In words.
    rule : callable, optional
        ``rule(program) -> (step, operand, pulled) -> pulled`` replaces what the op's rule returned.
    answer : callable, optional
        ``answer(calls, answer, inputs)`` spoils the answer; `calls` counts the calls before this one.
    """

    name: str
    rule: Callable[[Program], Pulled] | None = None
    answer: Callable[[int, Answer, Sequence[Any]], None] | None = None


class Faulty:
    """The mirror with one fault in one op: a backend."""

    numpy_dtypes = numpy_dtypes
    dtypes = dtypes

    def __init__(self, fault: Fault, op: str) -> None:
        self.fault, self.op, self.calls = fault, op, 0
        self.name = f"mirror with {fault.name} in {op}"

    def versions(self) -> dict[str, str]:
        """As the mirror."""
        return versions()

    def vjp(self, program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
        """The mirror's answer, spoilt where the program has the op."""
        interfere = {self.op: self.fault.rule(program)} if self.fault.rule else None
        answer = reflect(program, cotangent, interfere)
        if self.fault.answer and self.op in program.ops:
            self.fault.answer(self.calls, answer, inputs)
        self.calls += 1
        return answer


class FaultyForward:
    """The mirror whose tangents are spoilt in programs that have one op: a backend."""

    numpy_dtypes = numpy_dtypes
    dtypes = dtypes
    versions = staticmethod(versions)
    vjp = staticmethod(vjp)

    def __init__(self, fault: str, op: str) -> None:
        self.change, self.op = TANGENT_FAULTS[fault], op
        self.name = f"mirror with {fault} in the tangent of {op}"

    def jvp(self, program: Program, inputs: Sequence[Any], tangents: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """The mirror's value and tangent, the latter spoilt where the program has the op."""
        value, tangent = jvp(program, inputs, tangents)
        return value, self.change(tangent) if self.op in program.ops else tangent


# -- faults of a rule ----------------------------------------------------------------------------------------------------------


def _each(change: Callable[[Any], Any]) -> Callable[[Program], Pulled]:
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


def _not_unbroadcast(program: Program) -> Pulled:
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


def _dropped_term(program: Program) -> Pulled:
    """Of the contributions to a value that is used several times, only the first to arrive is kept: of its last use."""
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


def _spoil_gradient(change: Callable[[np.ndarray], Any]) -> Callable[[int, Answer, Sequence[Any]], None]:
    def spoil(calls: int, answer: Answer, inputs: Sequence[Any]) -> None:
        n = _first_gradient(answer)
        if n is not None:
            answer.gradients[n] = change(answer.gradients[n])  # type: ignore[arg-type]

    return spoil


def _mutated(calls: int, answer: Answer, inputs: Sequence[Any]) -> None:
    for x in inputs:
        if isinstance(x, np.ndarray) and x.size and x.flags.writeable and x.dtype.kind == "f":
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


#: Every fault by name. The factors are what float64 and float32 must resolve.
FAULTS = {
    f.name: f
    for f in (
        Fault("sign flip", _each(lambda g: -g)),
        Fault("zeroed gradient", _each(lambda g: g * 0)),
        Fault("one element zeroed", _each(_one_zeroed)),
        Fault("two elements swapped", _each(_two_swapped)),
        Fault("transposed", _each(_transposed)),
        Fault("missing un-broadcast", _not_unbroadcast),
        Fault("dropped fan-out term", _dropped_term),
        Fault("factor 1 + 1e-12", _each(lambda g: g * (1 + 1e-12))),
        Fault("factor 1 + 1e-6", _each(lambda g: g * (1 + 1e-6))),
        Fault("NaN", _each(lambda g: g * s.lift(np.array(np.nan))[()])),
        Fault("stale view", answer=_StaleView()),
        Fault("wrong shape", answer=_spoil_gradient(lambda g: g[None])),
        Fault("wrong dtype", answer=_spoil_gradient(lambda g: g.astype(np.longdouble))),
        Fault("mutated input", answer=_mutated),
        Fault("non-determinism", answer=_unsteady),
    )
}


def _first_zeroed(tangent: np.ndarray) -> np.ndarray:
    out = tangent.copy()
    out.reshape(-1)[:1] = 0
    return out


#: Faults of forward mode by name: what becomes of the tangent.
TANGENT_FAULTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sign flip": lambda tangent: -tangent,
    "zeroed tangent": lambda tangent: tangent * 0,
    "one element zeroed": _first_zeroed,
    "factor 1 + 1e-6": lambda tangent: np.asarray(tangent * (1 + 1e-6), tangent.dtype),
    "NaN": lambda tangent: tangent * np.asarray(np.nan, tangent.dtype),
}
