"""Certified gradients of functions written with NumPy calls, and a check of other people's gradients against them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from flint import arb

from ..oracle import numbers as s
from ..oracle.certificate import Certificate, as_question, certify
from ..oracle.dtypes import float_type, is_float, is_number
from ..oracle.judge import Finding, judge
from ..oracle.legs import exact_differences, taylor
from ..oracle.program import Program, letter
from ..oracle.protocol import Answer, Backend
from ..oracle.reference.evaluate import as_numpy, backward, find, forward, step_pull
from .numpy import trace

__all__ = ["NotCertified", "assert_gradient", "gradient"]

#: Precision doubles from the first number of bits until every rounding is decided, or the last is reached.
FIRST_BITS, LAST_BITS = 128, 8192
#: With more combinations of branches than this at exact ties, they are not all tried.
MOST_BRANCHES = 64


class NotCertified(ArithmeticError):
    """There is no gradient here that could be certified; the message says where and why."""


def gradient(f: Callable[..., Any], *arrays: Any) -> list[Any]:
    """Certified gradients of a function written with NumPy calls.

    The function runs once, on tensors that write down every step; the steps then run on balls, which enclose the exact
    gradient of those steps, at a precision that decides how each element rounds.

    Parameters
    ----------
    f : callable
        Takes as many arrays as are given and returns one. An array that is no scalar counts as summed.
    *arrays : array_like
        float16, float32 or float64; integers and booleans count as constants.

    Returns
    -------
    list of ndarray
        The gradient by each array, in its shape and dtype, every element correctly rounded; None for constants.

    Raises
    ------
    TypeError
        Where `f` calls a function that has no derivative here, or takes numbers out of its argument.
    NotCertified
        Where `f` is not differentiable at this point, or the point is outside the domain.

    Notes
    -----
    A Python branch (``if x > 0``) is taken as floats take it; numbers that Python or NumPy compute apart from the arguments
    are taken as the floats they are.

    Examples
    --------
    >>> import numpy as np
    >>> gradient(lambda x: np.log1p(np.exp(x)).sum(), np.array([-40.0, 0.0, 3.0]))
    [array([4.24835426e-18, 5.00000000e-01, 9.52574127e-01])]
    >>> gradient(lambda x, y: x * y, 2.0, np.float32(0.1))
    [array(0.1), array(2., dtype=float32)]
    >>> gradient(np.abs, [1.0, 0.0])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    adjudge.readers.gradient.NotCertified: absolute is not differentiable here: the gradient of argument 0 at (1,) may be ...
    """
    given = _floats(arrays)
    program = trace(f, given)
    if program is None:
        return [np.zeros_like(x) if is_float(x.dtype) else None for x in given]
    roundings = [_Rounding(program, choice, len(given)) for choice in _choices(program)]
    ways = [rounding.gradients() for rounding in roundings]
    for way in ways[1:]:
        for n, (first, other) in enumerate(zip(ways[0], way, strict=True)):
            if first is not None and (first != other).any():
                place = tuple(np.argwhere(first != other)[0].tolist())
                raise NotCertified(
                    f"{_tied(program, roundings[0].branches)} is not differentiable here: the gradient of argument {n} "
                    f"at {place} may be {min(first[place], other[place]):.6g} or {max(first[place], other[place]):.6g}"
                )
    return ways[0]


def _floats(arrays: Sequence[Any]) -> list[np.ndarray]:
    given = [np.asarray(a) for a in arrays]
    for n, x in enumerate(given):
        if not is_number(x.dtype):
            raise TypeError(f"argument {n} is of {x.dtype}: it must be float16, float32 or float64; convert it")
    if not any(is_float(x.dtype) for x in given):
        kinds = ", ".join(str(x.dtype) for x in given) or "no arguments"
        raise TypeError(f"nothing to differentiate by among {kinds}: give floats, 2.0 for 2")
    return given


# -- truth ---------------------------------------------------------------------------------------------------------------------


def _pulled_back(program: Program, bits: int, script: Sequence[int] = ()) -> tuple[Any, list[Any], s.Branches]:
    """Value and gradients on balls; `Undecided` where they do not decide a comparison."""
    branches = s.Branches(script=script)
    with s.enclosing(bits, branches):
        values = forward(program, [s.lift(i.data) for i in program.inputs])
        ones = s.lift(np.ones(values[-1].shape))
        return values[-1], backward(program, values, ones, poles=True)[0], branches


def _choices(program: Program) -> Iterator[tuple[int, ...]]:
    """Every choice of branches at exact ties: one, empty, where nothing ties."""
    branches = s.at_rising_precision(lambda bits: _pulled_back(program, bits)[2], FIRST_BITS, LAST_BITS)
    if branches is None:
        raise NotCertified(f"two numbers that are compared agree to {LAST_BITS} bits: which is larger cannot be decided")
    if math.prod(branches.ties) > MOST_BRANCHES:
        raise NotCertified(
            f"{_tied(program, branches)} is at a tie in {len(branches.ties)} places: no gradient is unique there"
        )
    return itertools.product(*map(range, branches.ties))


def _tied(program: Program, branches: s.Branches) -> str:
    """The ops whose operands tie."""
    return " and ".join(dict.fromkeys(program.steps[place[0]].op for place in branches.chosen))


@dataclass
class _Rounding:
    """Attempts at rounding the gradients by the first inputs correctly, for one choice of branches."""

    program: Program
    script: Sequence[int]
    arguments: int
    branches: s.Branches = field(default_factory=s.Branches)
    undecided: tuple[int, ...] = ()

    def attempt(self, bits: int) -> list[Any] | None:
        """The gradients; None where balls of this precision do not decide how an element rounds."""
        value, gradients, self.branches = _pulled_back(self.program, bits, self.script)
        if not s.finite(value).all():
            raise NotCertified(_where_it_breaks(self.program, bits) or "the value is not finite")
        out: list[Any] = []
        for n, (balls, i) in enumerate(zip(gradients[: self.arguments], self.program.inputs, strict=False)):
            if balls is None:
                out.append(None)
                continue
            if not s.finite(balls).all():
                raise NotCertified(_where_it_breaks(self.program, bits) or f"the gradient of argument {n} is not finite")
            with s.enclosing(bits):
                ends = [_nearest(np.asarray(end(np.asarray(balls))), i.data.dtype) for end in (_lower, _upper)]
            if (ends[0] != ends[1]).any():
                self.undecided = (n, *np.argwhere(ends[0] != ends[1])[0].tolist())
                return None
            out.append(ends[0])
        return out

    def gradients(self) -> list[Any]:
        """The gradients by the first inputs, correctly rounded."""
        rounded = s.at_rising_precision(self.attempt, FIRST_BITS, LAST_BITS)
        if rounded is not None:
            return rounded
        raise NotCertified(
            f"the gradient of argument {self.undecided[0]} at {self.undecided[1:]} lies so near the middle between two floats "
            f"that {LAST_BITS} bits do not decide which is nearest"
        )


_lower, _upper = np.frompyfunc(arb.lower, 1, 1), np.frompyfunc(arb.upper, 1, 1)


def _nearest(exact: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Exact numbers, correctly rounded once: to the nearest float of a dtype, and to the even one of two as near.

    Examples
    --------
    >>> with s.enclosing(200):
    ...     just_above = arb(1) + arb(2) ** -24 + arb(2) ** -60
    >>> _nearest(np.array(just_above, dtype=object), np.dtype("float32")), np.float32(float(just_above))
    (array(1.0000001, dtype=float32), np.float32(1.0))
    """
    row = float_type(dtype)
    (smallest, largest), places = row.exponents, row.significand - 1
    lowest = smallest - places  # the exponent of the smallest subnormal

    def nearest(x: arb) -> float:
        mantissa, exponent = (int(part) for part in x.mid().man_exp())
        if not mantissa:
            return 0.0
        last = max(exponent + abs(mantissa).bit_length() - 1 - places, lowest)
        shift = min(last - exponent, abs(mantissa).bit_length() + 2)  # a longer shift would leave no bit either
        if shift > 0:
            whole, rest = divmod(abs(mantissa), 1 << shift)
            whole += 2 * rest > (1 << shift) or (2 * rest == (1 << shift) and whole % 2)
        else:
            whole = abs(mantissa) << -shift
        if whole.bit_length() + last > largest:
            return math.copysign(math.inf, mantissa)
        return math.copysign(math.ldexp(whole, last), mantissa) if whole else 0.0

    out = np.frompyfunc(nearest, 1, 1)(exact)
    return np.asarray(out, dtype=np.float64).astype(dtype)


def _where_it_breaks(program: Program, bits: int) -> str:
    """The first step whose value, or else whose derivative, is not finite, and its operands there."""
    with s.enclosing(bits):
        values = forward(program, [s.lift(i.data) for i in program.inputs])
        first = len(program.inputs)
        for n, i in enumerate(program.inputs):
            if not s.finite(values[n]).all():
                place = _first(~s.finite(values[n]))
                return f"input {letter(n)} is {i.data[place]} at {place}: give finite numbers"
        for n, step in enumerate(program.steps):
            if not s.finite(values[first + n]).all():
                return f"{step.op} is outside its domain: {_operands(step.args, values, ~s.finite(values[first + n]))}"
        for n, step in enumerate(program.steps):
            operands = [values[a] for a in step.args]
            for k, arg in enumerate(step.args):
                if program.constants[arg] or not find(step.op).differentiable(k):
                    continue
                pulled = step_pull(step, k, s.lift(np.ones(values[first + n].shape)), values[first + n], operands)
                if not s.finite(s.boxed(pulled)).all():
                    return f"{step.op} is not differentiable: {_operands((arg,), values, ~s.finite(s.boxed(pulled)))}"
    return ""


def _first(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(np.argwhere(mask)[0].tolist())


def _operands(args: Sequence[int], values: Sequence[Any], broken: np.ndarray) -> str:
    """The operands where a value is not finite, if they have an element there."""
    place = _first(broken)
    words = []
    for a in args:
        x = s.to_float(values[a])
        if x.ndim <= len(place) and np.broadcast_shapes(x.shape, broken.shape) == broken.shape:
            words.append(f"{float(np.broadcast_to(x, broken.shape)[place]):.6g}")
    return f"at {place} the operand{'s are' if len(words) > 1 else ' is'} {' and '.join(words)}" if words else f"at {place}"


# -- other people's gradients --------------------------------------------------------------------------------------------------


def _answering(value: np.ndarray, gradients: Sequence[np.ndarray | None]) -> Backend:
    """Gradients that somebody computed, as a backend that answers with them."""

    def vjp(program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
        return Answer(value.copy(), [None if g is None else g.copy() for g in gradients])

    return Backend("the gradients given", dict, vjp)


def _witnesses(certificate: Certificate, finding: Finding) -> str:
    """The error in one element, and the derivative that each leg finds there."""
    program = certificate.question.program
    n = next(n for n in range(len(program.inputs)) if finding.where.endswith(f" {letter(n)}"))
    at = finding.index
    line = f"the gradient of argument {n}{f' at {at}' if at else ''} is {finding.verdict}: {finding.reason}"
    truth, shape = certificate.gradients[n], program.inputs[n].data.shape
    if truth is None or len(at) != len(shape):
        return line
    rows = {"got": repr(finding.got)}
    if not certificate.kink:
        rows |= {"expected": repr(float(truth.nearest[at]))}
        rows |= {"error": f"{finding.error:.3g}", "allowance": f"{finding.allowance:.3g}"}
    along = [None if i.constant else np.zeros(i.data.shape) for i in program.inputs]
    np.asarray(along[n])[at] = 1.0
    asked = replace(certificate, question=replace(certificate.question, directions=tuple(along)))
    for witness in (taylor(asked), exact_differences(asked)):
        rows[witness.leg] = witness.note if witness.stance == "abstains" else repr(witness.derivative)
    return "\n".join([line, *(f"  {name:<12}{text}" for name, text in rows.items())])


def assert_gradient(f: Callable[..., Any], arrays: Any, got: Any) -> None:
    """Check gradients against certified ones; how far they may be off is derived from the function's own steps.

    Parameters
    ----------
    f : callable
        Takes as many arrays as are given, written with NumPy calls, and returns one; one that is no scalar counts as summed.
    arrays : sequence of array_like, or one ndarray
        Where it was differentiated.
    got : sequence of array_like, or one array
        The gradient by each of them; None (or anything) for integers and booleans.

    Raises
    ------
    AssertionError
        Where an element is farther from the truth than an honest computation in the arrays' dtypes can be, with the derivative
        that each leg finds.
    NotCertified
        Where nothing is known to check against.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([0.5, 25.0])
    >>> assert_gradient(lambda x: np.tanh(x), [x], [1 / np.cosh(x) ** 2])
    >>> assert_gradient(lambda x: np.tanh(x), [x], [1 - np.tanh(x) ** 2])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: the gradient of argument 0 at (1,) is lossy: 52 bits lost: the textbook formula rounds that much
      got         0.0
      expected    7.714999391855671e-22
      error       7.71e-22
      ...
    """
    if isinstance(arrays, np.ndarray):
        arrays, got = [arrays], [got]
    given = _floats(arrays)
    if len(got) != len(given):
        raise AssertionError(f"{len(got)} gradients for {len(given)} arrays: give one each")
    program = trace(f, given)
    if program is None:
        program = trace(lambda *xs: sum((0.0 * x).sum() for x in xs), given)  # the function is constant: its gradient is 0
        assert program is not None
    answers: list[Any] = []
    for n, (i, g) in enumerate(zip(program.inputs[: len(given)], got, strict=True)):
        if i.constant:
            answers.append(None)
            continue
        answer = np.asarray(g, dtype=i.data.dtype) if g is not None else None
        if answer is None or answer.shape != i.data.shape:
            shape = "none" if answer is None else f"of shape {answer.shape}"
            raise AssertionError(f"the gradient of argument {n} is {shape}: the argument's shape is {i.data.shape}")
        answers.append(answer)
    answers += [None] * (len(program.inputs) - len(given))
    question = as_question(program)
    certificate = certify(question)
    if not certificate.decided:
        raise NotCertified(_where_it_breaks(program, FIRST_BITS) or certificate.trouble)
    with np.errstate(all="ignore"):
        judgement = judge(question, _answering(as_numpy(program), answers), certificate)
    wrong = [x for x in judgement.findings if x.where != "value" and x.verdict not in ("undecided", "contract")]
    if wrong:
        raise AssertionError(_witnesses(certificate, wrong[0]))
