"""Modes of differentiation, a row each: how a backend is asked, how the truth is found, and what loss of digits explains.

The truth in reverse mode is the certificate itself. In the directed modes it is the first coefficient of Taylor series of balls
along the question's directions: of the value for forward mode, where no derivative rule is involved, and of the reverse
program's gradients for Hessian-vector products, where no rule of second order is. The allowance is made as for gradients: the
same series on balls of the dtype's own precision enclose every honest computation, and the farthest point of those from the
truth, plus one unit in the last place, is how far an answer may be off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb

from . import numbers as s
from .certificate import LAST_BITS, Certificate, Truth, enclose, finite, flat, lifted, span_of
from .dtypes import TINY
from .program import Program, Question, letter
from .protocol import Backend, Observation
from .reference.evaluate import backward, forward
from .series import FIRST_BITS, TOO_ROUGH, constants, directions_in_dtype, push, pushed, slopes

__all__ = ["DIRECTED", "MODES", "Mode", "Reply"]

#: The most elements of a tangent for which loss of digits is examined: those that are farthest beyond the allowance.
MOST_LOSSY = 64


@dataclass(frozen=True)
class Reply:
    """The answer of a backend in some mode.

    Parameters
    ----------
    arrays : sequence
        Each array of the mode's answer; None where the backend gave none.
    value : array, optional
        The value that was returned with them, if it is not among them.
    """

    arrays: Sequence[Any]
    value: Any = None


@dataclass(frozen=True)
class Mode:
    """One mode of differentiation.

    Parameters
    ----------
    name : str
        Its name among a backend's functions, in records and in ledgers.
    title : str
        Its name in tables that people read.
    places : callable
        ``places(program)`` names each array of the answer.
    ways : callable
        ``ways(backend)`` gives the names of the ways in which the answer can be computed ("" where there is one way only).
    takes : tuple of str
        What a question has besides the program: "cotangent", "tangents".
    reply : callable
        ``reply(arrays)`` gives the `Reply`, from the arrays of an observation.
    due : callable
        ``due(question, reply)`` gives the shape and dtype that each array of the answer must have.
    certify : callable
        ``certify(certificate)`` gives the `Truth`.
    lossy : callable
        ``lossy(certificate, truth, errors)``: how far each array may be off by loss of digits alone, elementwise.
    """

    name: str
    title: str
    places: Callable[[Program], tuple[str, ...]]
    ways: Callable[[Backend], tuple[str, ...]]
    takes: tuple[str, ...]
    reply: Callable[[Sequence[Any]], Reply]
    due: Callable[[Question, Reply], Sequence[tuple[tuple[int, ...], np.dtype]]]
    certify: Callable[[Certificate], Truth]
    lossy: Callable[[Certificate, Truth, Sequence[np.ndarray | None]], Sequence[np.ndarray | None]]

    @property
    def directed(self) -> bool:
        """Whether the answer is a derivative along the question's directions."""
        return "tangents" in self.takes

    def observe(
        self, backend: Backend, program: Program, cotangent: np.ndarray, tangents: Sequence[np.ndarray | None], way: str = ""
    ) -> Observation:
        """Ask a backend, and watch it; whatever that raises is its verdict."""
        given: dict[str, Any] = {"cotangent": cotangent, "tangents": tangents}
        return backend.observe(self.name, program, **{name: given[name] for name in self.takes}, way=way)


def _per_input(what: str) -> Callable[[Program], tuple[str, ...]]:
    return lambda program: tuple(f"{what} of {letter(n)}" for n in range(len(program.inputs)))


def _like_cotangent(question: Question, value: Any) -> tuple[tuple[int, ...], np.dtype]:
    return question.cotangent.shape, np.asarray(value).dtype


def _like_inputs(question: Question) -> list[tuple[tuple[int, ...], np.dtype]]:
    return [(i.data.shape, i.data.dtype) for i in question.program.inputs]


# -- the directed modes: truth -------------------------------------------------------------------------------------------------

#: From the series of all values, and the cotangent: the series that are the answer (None for constants), and others on the way.
Answered = Callable[[Program, Sequence[Any], Any], tuple[list[Any], list[Any]]]


def _tangent(program: Program, series: Sequence[Any], cotangent: Any) -> tuple[list[Any], list[Any]]:
    return [series[-1]], []


def _gradients(program: Program, series: Sequence[Any], cotangent: Any) -> tuple[list[Any], list[Any]]:
    gradients, cotangents = backward(program, series, cotangent, poles=True)
    return gradients, [x for x in cotangents[len(program.inputs) : -1] if x is not None]


@dataclass
class _ModeAttempts:
    """Attempts at the truth of a directed mode, at rising precision."""

    certificate: Certificate
    answered: Answered
    smooth: bool  # whether slopes must be continuous as well
    honest: list[Any] | None = None

    def attempt(self, bits: int) -> Truth | None:
        """The truth at a precision; None where that is too low."""
        certificate, program = self.certificate, self.certificate.question.program
        try:
            series, before = pushed(certificate, bits)
            branches = s.Branches(decided=dict(before.decided), one_sided=before.one_sided)
            with s.taylor(bits, branches=branches):
                answers, between = self.answered(program, series, s.lift(certificate.question.cotangent))
                if self.smooth and branches.one_sided:
                    return Truth((), "not twice differentiable here")
                if self.honest is None and (trouble := self._ranges([*series, *between], answers, branches, bits)):
                    return Truth((), trouble)
        except ZeroDivisionError:
            return Truth((), "no power series here: a pole, or a branch point")
        assert self.honest is not None
        with s.enclosing(bits):
            exact = [slopes(x) for x in answers if x is not None]
            enclosed = iter(enclose(exact, s.to_float(flat(exact)), self.honest, certificate.model))
        truths = tuple(None if x is None else next(enclosed) for x in answers)
        return Truth(truths) if all(e.sharp for e in truths if e is not None) else None

    def _ranges(self, between: list[Any], answers: list[Any], branches: s.Branches, bits: int) -> str:
        """Find the answers of all honest computations, once; returns why they are not known, "" if they are."""
        certificate, model = self.certificate, self.certificate.model
        with s.enclosing(bits):
            wanted = [x for x in answers if x is not None]
            if not finite([part(x) for x in wanted for part in (constants, slopes)]):
                return "not differentiable here, or outside the domain"
            every = [part(x) for x in [*between, *wanted] for part in (constants, slopes)]
            span = span_of([s.to_float(flat(every))], every, [])
            if span[1] > model.largest:
                return f"a value of the program is beyond the range of {model.dtype}"
        replay = s.Branches(decided=branches.decided)
        try:
            with model.rounding(replay, model.lost_beside(span[0]), order=2):
                rough = push(certificate.question.program, certificate.question.directions)
                pulled, _ = self.answered(certificate.question.program, rough, certificate.cotangent)
        except (ValueError, ZeroDivisionError):
            return "rounding brings a denominator to 0"
        if replay.doubtful:
            return "rounding decides which branch a comparison takes"
        self.honest = [slopes(x) for x in pulled if x is not None]
        return ""


def _along(answered: Answered, smooth: bool = False) -> Callable[[Certificate], Truth]:
    """How the truth of a directed mode is found."""

    def certify(certificate: Certificate) -> Truth:
        if answered not in certificate.truths_cache:
            certificate.truths_cache[answered] = certified(certificate)
        return certificate.truths_cache[answered]

    def certified(certificate: Certificate) -> Truth:
        if not certificate.decided:
            return Truth((), certificate.trouble)
        if certificate.kink:
            return Truth((), "not differentiable here")
        if directions_in_dtype(certificate) is None:
            return Truth((), "the directions are no numbers of the dtype")
        truth = s.at_rising_precision(_ModeAttempts(certificate, answered, smooth).attempt, FIRST_BITS, LAST_BITS, TOO_ROUGH)
        return truth or Truth((), f"series of {LAST_BITS} bits do not decide")

    return certify


# -- forward mode --------------------------------------------------------------------------------------------------------------


def _lossy_tangent(certificate: Certificate, truth: Truth, errors: Sequence[np.ndarray | None]) -> Sequence[np.ndarray | None]:
    """How far a tangent may be off by loss of digits alone.

    The principle is that of `Certificate.lossy`: every value may be off by a few units in the last place, and the formulas are
    those that textbooks have. Forward mode multiplies the same slopes as reverse mode does, in the other order, so an
    element's bound comes from pulling that element back and multiplying by the directions. Only the `MOST_LOSSY` elements that
    are farthest beyond the allowance are examined; for the others the bound is infinite, so that they alone do not make an
    answer wrong.
    """
    question, (tangent,), (error,) = certificate.question, truth.arrays, errors
    assert tangent is not None
    assert error is not None
    excess = np.where(np.isfinite(error), error / np.maximum(tangent.allowance, TINY), 0.0)
    worst = np.argsort(-excess, axis=None, kind="stable")[:MOST_LOSSY]
    bounds = np.full(tangent.nearest.shape, np.inf)
    balls: dict[int, Any] = {}
    blur = certificate.blur
    with certificate.rounding():
        inputs = [x * blur for x in lifted(question.program)]
        values = forward(question.program, inputs, after=lambda x: x * blur, textbook=True)
        for place in worst[excess.reshape(-1)[worst] > 1].tolist():
            one = np.zeros(tangent.nearest.size)
            one[place] = 1.0
            pulled, _ = backward(question.program, values, s.lift(one.reshape(bounds.shape)), textbook=True, poles=True)
            balls[place] = arb(0)
            for g, v in zip(pulled, question.directions, strict=True):
                if g is not None and v is not None and g.size:
                    balls[place] += s.add_reduce(g * s.lift(np.asarray(v)))[()]
    with s.enclosing(certificate.bits):
        for place, ball in balls.items():
            bounds.reshape(-1)[place] = float((ball - np.asarray(tangent.balls).reshape(-1)[place]).abs_upper())
    return [np.asarray(np.nan_to_num(bounds, nan=np.inf) + np.abs(tangent.nearest) * certificate.model.ulp)]


# -- second order --------------------------------------------------------------------------------------------------------------


def _lossy_hvp(certificate: Certificate, truth: Truth, errors: Sequence[np.ndarray | None]) -> Sequence[np.ndarray | None]:
    """How far Hessian-vector products may be off by loss of digits alone.

    Libraries get rules of second order by differentiating those of first order, so the textbook's rules run on series, with
    every value and every slope off by a few units in the last place.
    """
    question, blur = certificate.question, certificate.blur
    try:
        with certificate.rounding(order=2):
            inputs = [
                s.lift_series(i.data, v) * blur for i, v in zip(question.program.inputs, question.directions, strict=True)
            ]
            values = forward(question.program, inputs, after=lambda x: x * blur, textbook=True)
            pulled, _ = backward(question.program, values, certificate.cotangent, textbook=True, poles=True)
            rough = [None if x is None else slopes(x) for x in pulled]
    except (ValueError, ZeroDivisionError):  # a ball that contains 0 leads a denominator: rounding explains anything
        return [None if e is None else np.full(e.nearest.shape, np.inf) for e in truth.arrays]
    return certificate.reach(rough, truth.arrays)


#: Every mode, in the order in which they are asked.
MODES = {
    mode.name: mode
    for mode in (
        Mode(
            "vjp", "reverse mode",
            places=lambda program: ("value", *_per_input("gradient")(program)),
            ways=lambda backend: ("",),
            takes=("cotangent",),
            reply=Reply,
            due=lambda question, reply: [_like_cotangent(question, reply.arrays[0]), *_like_inputs(question)],
            certify=lambda c: Truth((c.value, *c.gradients) if c.decided else (), c.trouble),
            lossy=lambda certificate, truth, errors: certificate.lossy,
        ),
        Mode(
            "jvp", "forward mode",
            places=lambda program: ("tangent",),
            ways=lambda backend: () if backend.jvp is None else ("",),
            takes=("tangents",),
            reply=lambda arrays: Reply(arrays[1:], arrays[0]),
            due=lambda question, reply: [_like_cotangent(question, reply.value)],
            certify=_along(_tangent),
            lossy=_lossy_tangent,
        ),
        Mode(
            "hvp", "second order",
            places=_per_input("hvp"),
            ways=lambda backend: tuple(backend.hvp),
            takes=("cotangent", "tangents"),
            reply=Reply,
            due=lambda question, reply: _like_inputs(question),
            certify=_along(_gradients, smooth=True),
            lossy=_lossy_hvp,
        ),
    )
}  # fmt: skip
#: The modes that go along the question's directions.
DIRECTED = tuple(mode for mode in MODES.values() if mode.directed)
