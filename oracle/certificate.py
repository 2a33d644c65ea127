"""Certificates: for one question, balls that contain the exact value and gradients, and how far an honest answer may be off.

The same reverse program runs twice. At high precision its balls contain the truth; precision doubles until they are far
narrower than the allowance. At the precision of the dtype under test its balls contain every honest computation: the
farthest point of that ball from the truth, plus one unit in the last place for the rounding of the answer itself, is the
allowance.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from flint import arb

from . import numbers as s
from .dtypes import float_type, is_float, promoted
from .program import Program, Question
from .reference.evaluate import as_numpy, backward, forward

__all__ = ["Certificate", "Enclosure", "Truth", "certify"]

#: Where precision starts, and where raising it is given up. With the bits that flint adds, 112 still fit two machine words;
#: with 128 an elementary function takes a quarter longer.
FIRST_BITS, LAST_BITS = 112, 3584
#: The truth's ball must be this much narrower than the allowance: 2**-SHARPNESS of it.
SHARPNESS = 10
#: A wrong answer could hide in an allowance wider than this fraction of the array's largest element; for a dtype of few
#: digits, in one that leaves less than half of them.
CONDITION = 2.0**-10
#: With more combinations of branches than this at exact ties, the subdifferential is not spanned.
MOST_BRANCHES = 64
#: How many units in the last place each primal value may be off for an error still to count as loss of digits.
LOSSY_ULPS = 4

_abs_upper = np.frompyfunc(arb.abs_upper, 1, 1)
_radius = np.frompyfunc(arb.rad, 1, 1)


@dataclass(frozen=True)
class Model:
    """The arithmetic that an implementation is assumed to have.

    Parameters
    ----------
    dtype : dtype
        The narrowest float dtype that takes part.
    unit : float or None
        Unit roundoff, where it is not the dtype's own.
    flush : bool
        Whether subnormal numbers are rounded to zero.
    """

    dtype: np.dtype
    unit: float | None
    flush: bool

    @cached_property
    def underflow(self) -> float:
        """The absolute error of a result near zero: the smallest subnormal, or the smallest normal where those are flushed."""
        limits = float_type(self.dtype)
        return limits.smallest_normal if self.flush else limits.smallest_subnormal

    @cached_property
    def ulp(self) -> float:
        """One unit in the last place, relative to the number."""
        return float_type(self.dtype).ulp if self.unit is None else 2 * self.unit

    @cached_property
    def sharp_bits(self) -> float:
        """The number of correct bits that makes a ball sharp, as an allowance is never less than one unit in the last place."""
        return SHARPNESS + 1 - math.log2(self.ulp)

    @property
    def largest(self) -> float:
        """The largest finite number."""
        return float_type(self.dtype).largest

    def lost_beside(self, smallest: float) -> float:
        """The absolute error by underflow where no number is smaller than this: 0 where that is far from the range's end."""
        return self.underflow if smallest * self.ulp < self.underflow * 2.0**SHARPNESS else 0.0

    def rounding(
        self, branches: s.Branches, underflow: float, order: int | None = None, matrices: s.Matrices | None = None
    ) -> AbstractContextManager[s.Branches]:
        """Context: numbers that enclose every honest computation; with `order`, Taylor series with that many coefficients."""
        return s.rounding_in(self.dtype, branches, self.unit, underflow, self.flush, order, matrices)


#: The few models that there are, each made once.
cached_model = lru_cache(maxsize=64)(Model)


@dataclass(frozen=True)
class Enclosure:
    """The truth about one array, in floats: ``|truth - (nearest + residual)| <= radius``, up to the residual's own rounding.

    Parameters
    ----------
    balls : array
        The exact numbers, as balls.
    nearest : ndarray
        The balls' midpoints in float64.
    allowance : ndarray
        How far an honest answer may be from the truth: infinite where the working precision leaves no digit.
    model : Model
        The arithmetic that the allowance assumes.
    """

    balls: Any
    nearest: np.ndarray
    allowance: np.ndarray
    model: Model

    @cached_property
    def radius(self) -> np.ndarray:
        """Bound on the distance between the truth and the midpoints."""
        return s.to_float(_radius(np.asarray(self.balls)))

    @cached_property
    def residual(self) -> np.ndarray:
        """The midpoints less `nearest`."""
        with s.enclosing(LAST_BITS):
            return s.to_float(self.balls - s.lift(np.where(np.isfinite(self.nearest), self.nearest, 0.0)))

    @property
    def sharp(self) -> bool:
        """Whether the balls are narrow against the allowance."""
        correct = min(map(arb.rel_accuracy_bits, np.asarray(self.balls).reshape(-1).tolist()), default=math.inf)
        return correct >= self.model.sharp_bits or bool((self.radius <= self.allowance * 2.0**-SHARPNESS).all())

    @property
    def size(self) -> float:
        """The magnitude of the largest element."""
        return float(np.abs(self.nearest).max(initial=0.0))

    @property
    def ill_conditioned(self) -> np.ndarray:
        """Where a wrong answer could hide in the allowance."""
        narrow = max(self.size * max(CONDITION, self.model.ulp**0.5), 4 * self.model.underflow)
        return np.asarray(~(self.allowance <= narrow))

    def error(self, observed: np.ndarray) -> np.ndarray:
        """Distance of finite observed numbers from the truth, to float64's relative precision."""
        with np.errstate(all="ignore"):
            return np.asarray(np.abs((observed.astype(np.float64) - self.nearest) - self.residual))


def enclose(truths: Sequence[Any], nearest: np.ndarray, honest: Sequence[Any], model: Model) -> list[Enclosure]:
    """Enclosures from the balls of the two runs, an array each, and all midpoints of the first; called at high precision."""
    reach = s.to_float(_abs_upper(flat(honest) - flat(truths)))
    if not np.isfinite(reach).all():
        reach[np.isnan(reach)] = np.inf
    allowance = reach * (1 + 2.0**-50) + np.maximum(np.abs(nearest) * model.ulp, model.underflow)
    if not reach.all():  # zeros that nothing computes are exactly zero in every honest computation
        allowance[(reach == 0) & (nearest == 0)] = 0.0
    out, start = [], 0
    for t in truths:
        stop = start + t.size
        out.append(Enclosure(t, nearest[start:stop].reshape(t.shape), allowance[start:stop].reshape(t.shape), model))
        start = stop
    return out


def flat(arrays: Sequence[Any]) -> np.ndarray:
    """Balls of several arrays, one after the other."""
    return np.concatenate([np.asarray(x).reshape(-1) for x in arrays])


@dataclass(frozen=True)
class Truth:
    """The truth about a mode's answer.

    Parameters
    ----------
    arrays : tuple of Enclosure or None
        One per array of the answer; None for constants. Empty where nothing is known.
    trouble : str
        Why nothing is known; "" otherwise.
    """

    arrays: tuple[Enclosure | None, ...]
    trouble: str = ""


@dataclass(frozen=True)
class Certificate:
    """The truth about one question.

    Parameters
    ----------
    question : Question
    model : Model
        The arithmetic that the allowance assumes.
    bits : int
        Precision at which the balls were sharp.
    value : Enclosure or None
        None where the truth could not be found; then `trouble` says why.
    gradients : tuple
        One `Enclosure` per input, None for constants. At a kink, of the first choice of branches.
    choices : tuple of Certificate
        At a kink, one per choice of branches at the tied comparisons. Empty elsewhere.
    trouble : str
        Why nothing is known; "" otherwise.
    """

    question: Question
    model: Model
    bits: int
    value: Enclosure | None
    gradients: tuple[Enclosure | None, ...]
    choices: tuple[Certificate, ...] = ()
    trouble: str = ""
    branches: s.Branches = field(default_factory=s.Branches, repr=False)
    #: The Taylor series, by precision: empty it to compute them again.
    series_cache: dict[int, Any] = field(default_factory=dict, init=False, repr=False)
    #: The truth in the directed modes, by the function that computes the answer: empty it to compute it again.
    truths_cache: dict[Any, Truth] = field(default_factory=dict, init=False, repr=False)

    @property
    def decided(self) -> bool:
        """Whether there is a truth to judge by."""
        return not self.trouble

    @property
    def kink(self) -> bool:
        """Whether the program is not differentiable here."""
        return len(self.choices) > 1

    @property
    def vertices(self) -> tuple[tuple[Enclosure | None, ...], ...]:
        """The gradients of every choice: their convex hull contains the Clarke subdifferential."""
        return tuple(c.gradients for c in self.choices)

    @cached_property
    def lossy(self) -> tuple[np.ndarray | None, ...]:
        """How far an answer may be off by loss of digits alone: a bound for the value, and one for each input's gradient.

        The principle, stated once: an error is loss of digits when rounding explains it, that is when every value the
        program computes or is given may be off by `LOSSY_ULPS` units in the last place, every result may underflow, and
        value and gradient come from the formulas that textbooks have.
        """
        program, blur = self.question.program, self.blur
        with self.rounding():
            values = forward(program, [x * blur for x in lifted(program)], after=lambda x: x * blur, textbook=True)
            pulled, _ = backward(program, values, self.cotangent, textbook=True, poles=True)
        return self.reach([values[-1], *pulled], (self.value, *self.gradients))

    @property
    def cotangent(self) -> Any:
        """The question's cotangent in the current context, as an implementation may round it."""
        return rounded_cotangent(self.question.cotangent, self.model, s.lift(self.question.cotangent))

    @property
    def blur(self) -> arb:
        """The factor by which a number is off that is off by `LOSSY_ULPS` units in the last place."""
        return arb(1, LOSSY_ULPS * self.model.ulp)

    def rounding(self, order: int | None = None) -> AbstractContextManager[s.Branches]:
        """Context: numbers that enclose honest computations of this program, its comparisons decided as in the truth."""
        branches = s.Branches(script=self.branches.script, decided=self.branches.decided)
        return self.model.rounding(branches, self.model.underflow, order)

    def reach(self, rough: Sequence[Any], truths: Sequence[Enclosure | None]) -> tuple[np.ndarray | None, ...]:
        """How far the farthest points of some balls lie from the truth, and a unit in the last place; infinite if unknown."""
        with s.enclosing(self.bits):
            pairs = zip(rough, truths, strict=True)
            far = [None if e is None else s.to_float(_abs_upper(np.asarray(x - e.balls))) for x, e in pairs]
        return tuple(
            None if x is None or e is None else np.nan_to_num(x + np.abs(e.nearest) * self.model.ulp, nan=np.inf)
            for x, e in zip(far, truths, strict=True)
        )


def lifted(program: Program) -> list[Any]:
    """A program's inputs as exact balls."""
    return [s.lift(i.data) for i in program.inputs]


def certify(
    question: Question | Program, cotangent: Any = None, *, unit: float | None = None, flush: bool = False
) -> Certificate:
    """Find the truth about a question, and the allowance.

    Parameters
    ----------
    question : Question or Program
        With a program, `cotangent` is what is pulled back.
    cotangent : array, optional
        Of the value's shape; ones if left out.
    unit : float, optional
        Unit roundoff of the implementation where it is not the dtype's own.
    flush : bool
        Whether the implementation rounds subnormal results to zero.

    Returns
    -------
    Certificate
        Where nothing is known, its `trouble` says why.

    Examples
    --------
    >>> import numpy as np
    >>> from adjudge import Program, certify
    >>> c = certify(Program.of([np.array(25.0)], [("tanh", [0])]))
    >>> print(c.gradients[0].nearest, c.gradients[0].allowance < 1e-35)
    7.714999391855671e-22 True
    """
    if isinstance(question, Program):
        question = as_question(question, cotangent)
    dtype = question.program.working_dtype
    model = cached_model(dtype, unit, flush)
    first = _certify_branch(question, model)
    ties = first.branches.ties
    if not ties or first.trouble:
        return first
    if math.prod(ties) > MOST_BRANCHES:
        return _unknown(question, model, f"{len(ties)} exact ties: too many branches to span the subdifferential")
    every = [_certify_branch(question, model, choice) for choice in itertools.product(*map(range, ties))]
    troubled = next((c for c in every if c.trouble), None)
    if troubled is not None:
        return troubled
    return Certificate(
        question, model, max(c.bits for c in every), first.value, every[0].gradients, tuple(every), branches=every[0].branches,
    )  # fmt: skip


def as_question(program: Program, cotangent: Any = None) -> Question:
    """A question from a program: ones as cotangent if none is given, ones as directions."""
    if cotangent is None:
        cotangent = np.ones(as_numpy(program).shape, program.working_dtype)
    directions = tuple(None if i.constant else np.ones(i.data.shape) for i in program.inputs)
    given = np.asarray(cotangent)
    return Question(program, given if is_float(given.dtype) else given.astype(promoted(given.dtype, np.float16)), directions)


def _unknown(question: Question, model: Model, trouble: str) -> Certificate:
    return Certificate(question, model, 0, None, tuple(None for _ in question.program.inputs), trouble=trouble)


@dataclass
class _CertificateAttempts:
    """Attempts at the certificate for one script of branches at ties, at rising precision."""

    question: Question
    model: Model
    script: Sequence[int]
    honest: list[Any] | None = None
    poles: bool = False
    matrices: s.Matrices = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.inputs, self.cotangent = lifted(self.question.program), s.lift(self.question.cotangent)

    def attempt(self, bits: int) -> Certificate | None:
        """The certificate at a precision; None where that is too low."""
        program, branches = self.question.program, s.Branches(script=self.script)
        with s.enclosing(bits, branches, self.matrices):
            values = forward(program, self.inputs)
            gradients, cotangents = backward(program, values, self.cotangent)
            if not finite(gradients):
                self.poles = True
                gradients, cotangents = backward(program, values, self.cotangent, poles=True)
        wanted = [n for n, g in enumerate(gradients) if g is not None]
        truths = [values[-1], *(gradients[n] for n in wanted)]
        nearest = s.to_float(flat(truths))
        if self.honest is None:
            if trouble := self._ranges(values, cotangents, truths, nearest, branches):
                return _unknown(self.question, self.model, trouble)
            assert self.honest is not None
        with s.enclosing(bits):
            enclosed = enclose(truths, nearest, self.honest, self.model)
        if not all(e.sharp for e in enclosed):
            return None
        by_input: list[Enclosure | None] = [None] * len(gradients)
        for n, e in zip(wanted, enclosed[1:], strict=True):
            by_input[n] = e
        return Certificate(self.question, self.model, bits, enclosed[0], tuple(by_input), branches=branches)

    def _ranges(
        self, values: list[Any], cotangents: list[Any], truths: list[Any], nearest: np.ndarray, branches: s.Branches
    ) -> str:
        """Find the answers of all honest computations, once; returns why they are not known, "" if they are."""
        program, model = self.question.program, self.model
        if not finite(truths if self.poles else truths[:1]):
            return "not differentiable here, or outside the domain"
        between = [*values[len(self.inputs) : -1], *cotangents[len(self.inputs) : -1]]
        between = [x for x in between if x is not self.cotangent]
        span = span_of([nearest, self.question.cotangent, *(i.data for i in program.inputs)], truths, between)
        if span[1] > model.largest:
            return f"a value of the program is beyond the range of {model.dtype}"
        replay = s.Branches(script=branches.script, decided=branches.decided)
        with model.rounding(replay, model.lost_beside(span[0]), matrices=self.matrices):
            rough = forward(program, self.inputs)
            pulled, _ = backward(
                program, rough, rounded_cotangent(self.question.cotangent, model, self.cotangent), poles=self.poles
            )
        if replay.doubtful:
            return "rounding decides which branch a comparison takes"
        self.honest = [rough[-1], *(g for g in pulled if g is not None)]
        return ""


def _certify_branch(question: Question, model: Model, script: Sequence[int] = ()) -> Certificate:
    """The certificate for one script of branches at ties."""
    certificate = s.at_rising_precision(_CertificateAttempts(question, model, script).attempt, FIRST_BITS, LAST_BITS)
    return certificate or _unknown(question, model, f"balls of {LAST_BITS} bits do not decide")


def rounded_cotangent(cotangent: np.ndarray, model: Model, exact: Any) -> Any:
    """The lifted cotangent, as an implementation may round it that works in a narrower dtype."""
    if cotangent.dtype == model.dtype:
        return exact
    with np.errstate(over="ignore"):
        held = cotangent.astype(model.dtype).astype(cotangent.dtype) == cotangent
    return exact if held.all() else exact * arb(1, model.ulp / 2)


def span_of(floats: Sequence[np.ndarray], truths: Sequence[Any], between: Sequence[Any]) -> tuple[float, float]:
    """The smallest magnitude that is not exactly zero, and the largest, over all steps.

    Parameters
    ----------
    floats : sequence of arrays
        The midpoints of `truths`, and the numbers that the program is given.
    truths, between : sequence of arrays
        The balls of the answer, and all others (None where there are none).
    """
    distinct = {id(x): x for x in between if x is not None}  # one array may be the cotangent of several values
    others = flat(list(distinct.values())) if distinct else np.empty(0, object)
    size = np.abs(np.concatenate([others.astype(np.float64), *(np.asarray(x, np.float64).reshape(-1) for x in floats)]))
    smallest = float(size.min(initial=math.inf))
    if smallest > 0:  # neither zeros nor NaN
        return smallest, float(size.max(initial=0.0))
    positive = size[size > 0]
    balls = np.concatenate([others, flat(truths)])
    vanished = any(b != 0 for b in balls[~(size[: len(balls)] > 0)])
    return 0.0 if vanished else float(positive.min(initial=math.inf)), float(positive.max(initial=0.0))


def finite(arrays: Sequence[Any]) -> bool:
    """Whether all balls are finite; None stands for no array."""
    return all(s.all_finite(x) for x in arrays if x is not None)
