"""The program builder: programs grow step by step on live values, so that no draw is rejected.

While a program is drawn the reference runs beside it on floats: the values at hand decide what can come next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from hypothesis import reject

from ..oracle.dtypes import float_type, is_float, narrowest, promoted, simple_dtype
from ..oracle.program import Input, Program, Question, Step
from ..oracle.reference.evaluate import backward, step_forward
from .arrays import numbers, override, repeated, whole_numbers
from .choices import Choices
from .domains import SAFE, Domain
from .row import Row
from .shapes import MOST_ELEMENTS, SHAPES, Shape, fits
from .specs import ARRAYS, INTEGERS, OUT_ARRAYS, PLAIN, VARIABLES, InputSpec

__all__ = ["ANY", "MOST_TIES", "NotApplicable", "ProgramBuilder", "Value", "holds"]

ANY = Domain("(-inf, inf)")
#: The most exact ties among the inputs: each doubles the branches of the certificate.
MOST_TIES = 5
#: Gradients beyond this share of the dtype's range are not asked for.
_FARTHEST = 2.0**-20
#: How often tamer numbers are taken from the seed if a step's value is too large, or the op is singular there.
_ATTEMPTS = 8
#: How often the same operand is taken again, and how often an earlier value, for every thirty new inputs.
_AGAIN, _EARLIER = 3, 20
#: NumPy's keyword arguments, each used once in twelve times.
_KEYWORDS = ("",) * 10 + ("where", "dtype")
#: The elements of tangents.
_DIRECTIONS = np.array([1.0, -1.0, 2.0, -2.0, 3.0, -3.0])


@dataclass(eq=False)
class Value:
    """A value of the growing program: an input, or the result of a step.

    Parameters
    ----------
    data : ndarray
        An input's numbers; a computed value in float64.
    dtype : dtype
        As NumPy promotes it.
    spec : InputSpec, optional
        For inputs.
    domains : list of Domain
        For inputs: the domain that the numbers are drawn from, and those of further steps that take them.
    """

    data: np.ndarray
    dtype: np.dtype
    spec: InputSpec | None = None
    domains: list[Domain] = field(default_factory=lambda: [ANY])

    @property
    def computed(self) -> bool:
        """Whether it is the result of a step."""
        return self.spec is None

    @property
    def as_reference_sees_it(self) -> np.ndarray:
        """The numbers that the reference computes with while the program grows."""
        return self.data.astype(np.float64) if is_float(self.data.dtype) else self.data

    @property
    def is_float_array(self) -> bool:
        """Whether any step can take this."""
        return is_float(self.dtype) and (self.spec is None or self.spec.kind == "array")

    @property
    def promotes_as(self) -> Any:
        """The operand for NumPy's promotion: a Python number does not affect the precision."""
        return self.data.item() if self.spec is not None and self.spec.kind == "number" else self.dtype

    def suits(self, domain: Domain) -> bool:
        """Whether a step that asks for `domain` can take this."""
        return not domain.whole and domain.contains(self.data, SAFE if self.computed else float_type(self.dtype).near)


def holds(dtype: np.dtype, value: Value) -> bool:
    """Whether a value is not rounded by a conversion to `dtype`."""
    if not is_float(value.dtype) or promoted(value.dtype, dtype) == dtype:
        return True
    return not value.computed and bool((value.data.astype(dtype).astype(np.float64) == value.data.astype(np.float64)).all())


class NotApplicable(Exception):
    """An op does not apply to the value at hand; the program is left as it was."""


class _BuiltStep(NamedTuple):
    op: str
    operands: list[Value]
    params: dict[str, Any]
    result: Value


@dataclass
class ProgramBuilder:
    """A program while it is drawn.

    Parameters
    ----------
    choices : Choices
    dtypes : sequence of str
        The float dtypes that its inputs can have. One of them is drawn, which most of the inputs have.
    """

    choices: Choices
    dtypes: Sequence[str]
    dtype: np.dtype = field(init=False)
    rng: np.random.Generator = field(init=False)
    codes: list[int] = field(init=False)
    shape_number: int = field(init=False)
    spec: InputSpec = field(init=False)
    values: list[Value] = field(default_factory=list)
    steps: list[_BuiltStep] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the draws that do not depend on an op, so that shrinking can cut the first step out and keep its input."""
        self.dtype = simple_dtype(self.choices.sampled_from(self.dtypes))
        self.rng, self.codes = self.choices.entropy()
        self.shape_number, self.spec = self.choices.integer(len(SHAPES["any"])), self.choices.sampled_from(VARIABLES)

    # -- operands ------------------------------------------------------------------------------------------------------

    def new_input(self, domain: Domain, shape: Shape, spec: InputSpec) -> Value:
        """A new input, which joins the program when a step takes it."""
        own = simple_dtype(spec.dtype) if spec.dtype not in ("", "other") else self.dtype
        empty_list = spec.kind == "list" and (not shape or 0 in shape)
        if empty_list or (not is_float(own) and not len(whole_numbers(domain, own.kind))):
            spec, own = InputSpec(constant=True), self.dtype
        others = [d for d in self.dtypes if d != self.dtype.name]
        if domain.whole:
            dtype = simple_dtype("bool" if domain.text == "booleans" else spec.dtype or "int64")
        elif spec.dtype == "other":
            dtype = simple_dtype(others[0]) if others else self.dtype
        elif spec.kind != "array" and not spec.dtype:
            dtype = np.dtype(np.float64)
        else:
            dtype = own
        value = Value(np.empty(()), dtype, spec, [domain])
        value.data = self.draw_data(value, shape, dyadic=spec.kind != "array" or spec.dtype == "other")
        return value

    def draw_data(self, value: Value, shape: Shape, tame: bool = False, dyadic: bool = False) -> np.ndarray:
        """Numbers for a new input."""
        out = numbers(self.rng, shape, value.domains[0], value.dtype, tame=tame, dyadic=dyadic)
        return repeated(out) if value.spec is not None and value.spec.layout == "broadcast" else out

    def main_operand(self, row: Row, domain: Domain, base: Value | None) -> Value:
        """The operand that a gradient is asked for: the value at hand, or a new input."""
        if base is not None:
            return base
        shape = SHAPES["any"][self.shape_number]
        if not fits(row.shapes, shape):
            shape = SHAPES[row.shapes][self.shape_number % len(SHAPES[row.shapes])]
        return self.new_input(domain, shape, self.spec)

    def further_operand(
        self, domain: Domain, shapes: Sequence[Shape], main: Value, specs: Sequence[InputSpec] = ARRAYS, again: bool = True
    ) -> Value:
        """Another operand: a new input, or (if `again`) the main one once more, or an earlier value."""
        specs = specs if not domain.whole else (PLAIN,) if domain.text == "booleans" else INTEGERS
        number = self.choices.integer(len(specs) + (0 if domain.whole else _AGAIN + _EARLIER if self.steps else _AGAIN))
        if number >= len(specs):
            earlier = [main] * again if number < len(specs) + _AGAIN else [v for v in self.values[::-1] if v is not main]
            usable = [v for v in earlier if v.data.shape in shapes and v.is_float_array and v.suits(domain)]
            if usable:
                chosen = self.choices.sampled_from(usable)
                if not any(chosen is v for v in self.values):
                    chosen.domains.append(domain)  # its numbers may still change
                return chosen
            number = 0
        spec = specs[number]
        shape = () if spec.kind == "number" and () in shapes else self.choices.sampled_from(shapes)
        if spec.kind == "number" and shape:
            spec = InputSpec(constant=True)
        return self.new_input(domain, shape, spec)

    def roles(self, row: Row, base: Value | None) -> tuple[tuple[Domain, ...], int]:
        """Domains for the operands, and the place of the main one."""
        if base is not None and not fits(row.shapes, base.data.shape):
            raise NotApplicable
        possible = [
            (domains, j)
            for domains in row.alternatives
            for j, domain in enumerate(domains)
            if (not domain.whole if base is None else base.suits(domain))
        ]
        if not possible:
            raise NotApplicable
        return self.choices.sampled_from(possible)

    # -- one step --------------------------------------------------------------------------------------------------------

    def append(self, row: Row, base: Value | None) -> None:
        """Append a step with this op: on `base`, or on new inputs.

        Raises
        ------
        NotApplicable
            If the op does not apply to `base`, or its value would be too large.
        """
        operands, params = row.pattern.call(self, row, base)
        new = list({id(v): v for v in operands if not any(v is w for w in self.values)}.values())
        codes, self.codes = (self.codes, []) if base is None else (self.codes[:1], self.codes[1:])
        for code in codes:
            self._override(row, operands, new, code)
        self._draw_keywords(row, operands, params, new)
        data = self._evaluate(row, operands, params)
        for _ in range(_ATTEMPTS):
            if data is not None:
                break
            for v in new:
                if v.spec is not None and v.spec.layout == "broadcast":
                    v.spec = replace(v.spec, layout="C")
                v.data = self.draw_data(v, v.data.shape, tame=True, dyadic=True)
            data = self._evaluate(row, operands, params)
        if data is None:
            raise NotApplicable
        result = Value(data, self._result_dtype(row, operands, params))
        self.values += [*new, result]
        self.steps.append(_BuiltStep(row.op, operands, params, result))

    def _override(self, row: Row, operands: list[Value], new: list[Value], code: int) -> None:
        """Put a special point into one of the new inputs; a tie is with another operand if that is where kinks are."""
        if not new:
            return
        code, which = divmod(code, len(new))
        target, partner = new[which], None
        if not is_float(target.dtype):
            return
        if row.kink is not None and row.kink.between_operands:
            other = next((v for v in operands if v is not target and not v.domains[0].whole), None)
            if other is not None and np.broadcast_shapes(other.data.shape, target.data.shape) == target.data.shape:
                partner = np.broadcast_to(other.as_reference_sees_it.astype(target.dtype), target.data.shape)
        if target.data.size and target.spec is not None and target.spec.kind == "array":
            override(target.data, code, row.specials, target.domains, partner)

    def _draw_keywords(self, row: Row, operands: list[Value], params: dict[str, Any], new: list[Value]) -> None:
        """Now and then NumPy's ``dtype=``, or ``where=`` with an array that keeps its elements where the mask is false."""
        word = self.choices.sampled_from(_KEYWORDS) if row.keywords else ""
        if word == "dtype" and len(self.dtypes) > 1:
            wanted = simple_dtype(self.choices.sampled_from(self.dtypes))
            if all(holds(wanted, v) for v in operands):
                params["dtype"] = wanted.name
        elif word == "where":
            shape = np.broadcast_shapes(*(v.data.shape for v in operands))
            out = self.new_input(ANY, shape, self.choices.sampled_from(OUT_ARRAYS))
            out.dtype = self._result_dtype(row, operands, params)
            out.data = self.draw_data(out, shape)
            params["where"] = True
            if out.data.size and self.rng.integers(4):
                mask = self.rng.integers(0, 2, shape[self.rng.integers(0, len(shape) + 1) :]).astype(bool)
                params["where"] = mask.tolist()
                for v in new:  # elements outside the mask may lie outside the domain
                    if v.data.shape == shape and is_float(v.dtype) and not v.domains[0].whole and self.rng.integers(2):
                        hidden = np.array([0.0, -1.0, 2.0, 1.0])[self.rng.integers(0, 4, shape)]
                        v.data = np.where(np.broadcast_to(mask, shape), v.data, hidden).astype(v.dtype)
            operands.append(out)
            new.append(out)

    def _evaluate(self, row: Row, operands: list[Value], params: dict[str, Any]) -> np.ndarray | None:
        """The value of a step; None if it is too large, or if the op is singular or ties too often there."""
        if any(not d.contains(v.data) for v in operands for d in v.domains[1:]):
            return None
        data = [v.as_reference_sees_it for v in operands]
        result = np.asarray(step_forward(Step(row.op, (), params), data), np.float64)
        reach = float_type(narrowest((self.dtype, *(v.dtype for v in operands)))).reach
        if not (np.abs(result) <= reach).all() or not row.value_domain.contains(result, SAFE):
            return None
        if result.size > max(MOST_ELEMENTS, *(v.data.size for v in operands)):
            return None
        if row.kink is None:
            return result
        gaps = row.kink.gap(*data[: len(row.domains)], **params)
        if any(v.computed for v in operands):
            return result if (gaps > SAFE).all() else None
        return result if row.kink.smooth or (gaps == 0).sum() <= MOST_TIES else None

    def _result_dtype(self, row: Row, operands: list[Value], params: dict[str, Any]) -> np.dtype:
        """The dtype that NumPy gives the value."""
        if "where" in params:
            return operands[-1].dtype
        return simple_dtype(params["dtype"]) if "dtype" in params else row.pattern.dtype(operands)

    # -- the whole program -----------------------------------------------------------------------------------------------

    def grow(self, row: Row | None, most: int, pool: Sequence[Row]) -> int:
        """Append at most `most` steps, one of them with the op of `row`, if that is given.

        Whether there is more is asked after each step, so that shrinking can cut a step out.

        Returns
        -------
        int
            The number of steps up to that one.
        """
        several = most > 1 and (row is None or self.choices.once_in(8))
        if row is None:
            self._append_any(pool)
        else:
            while several and len(self.steps) < most - 1 and self.choices.integer(2):
                self._append_any(pool)
            self._append_first([row])
        needed = len(self.steps)
        while several and len(self.steps) < most and (self.choices.integer(4) or len(self.steps) < 2):
            self._append_any(pool)
        return needed

    def _append_any(self, pool: Sequence[Row]) -> None:
        """A step with an op that applies to the value at hand: the one drawn, or else one far from it in the catalogue."""
        start, n = self.choices.integer(len(pool)), len(pool)
        stride = next(k for k in range(n * 3 // 8 + 1, n + 2) if math.gcd(k, n) == 1)
        self._append_first([pool[(start + k * stride) % n] for k in range(n)])

    def _append_first(self, order: Sequence[Row]) -> None:
        """A step with the first op that applies to the value at hand; if none does, with the very first on new inputs."""
        for row in order if self.steps else ():
            try:
                self.append(row, self.steps[-1].result)
                return
            except NotApplicable:
                continue
        try:
            self.append(order[0], None)
        except NotApplicable:  # even tame numbers failed again and again: not seen in twenty-five thousand questions
            reject()

    def question(self, needed: int) -> Question:
        """The program, its first `needed` steps at least, with a cotangent and directions."""
        while True:
            inputs = [v for v in self.values if not v.computed]
            number = {id(v): n for n, v in enumerate([*inputs, *(step.result for step in self.steps)])}
            program = Program(
                tuple(Input(v.data, v.spec.constant, v.spec.kind, v.spec.layout) for v in inputs if v.spec is not None),
                tuple(Step(op, tuple(number[id(v)] for v in operands), params) for op, operands, params, _ in self.steps),
            )
            last = self.steps[-1].result
            cotangent = numbers(self.rng, last.data.shape, ANY, last.dtype, tame=bool(self.rng.integers(2)))
            if cotangent.size > 1 and not self.rng.integers(4):
                cotangent[tuple(self.rng.integers(0, n) for n in cotangent.shape)] = 0
            if len(self.steps) <= needed or self._within_range(program, inputs, cotangent):
                break
            removed = self.steps.pop().result
            self.values = [v for v in self.values if v is not removed]
        directions = tuple(
            None if i.constant else _DIRECTIONS[self.rng.integers(0, len(_DIRECTIONS), i.data.shape)] for i in program.inputs
        )
        return Question(program, cotangent, directions)

    def _within_range(self, program: Program, inputs: list[Value], cotangent: np.ndarray) -> bool:
        """Whether the gradients are well within the range of the dtype."""
        values = [v.as_reference_sees_it for v in inputs] + [step.result.data for step in self.steps]
        gradients, _ = backward(program, values, cotangent.astype(np.float64))
        limit = float_type(program.working_dtype).largest * _FARTHEST
        return all((np.abs(g) < limit).all() for g in gradients if g is not None)
