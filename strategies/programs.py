"""Questions: programs that grow on live values, with data, a cotangent and directions; nothing that is drawn is thrown away.

While a program is drawn the reference runs beside it on floats, so that the values at hand decide what can come next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

from ..oracle.program import Input, Program, Question, Step, encode_index
from ..oracle.reference.evaluate import backward, step_forward
from . import parameters as p
from .arrays import BESIDE, BROADCAST, FIRST, LARGEST, PLAIN, SEVERAL, Look, numbers, override, repeated, whole_numbers
from .catalogue import CATALOGUE, KINKS, Row, rows
from .choices import Choose
from .domains import NEAR, SAFE, Domain
from .shapes import (
    IMAGES,
    LARGE_CONVOLUTIONS,
    LARGE_EINSUM,
    LARGE_MATMUL,
    MOST_ELEMENTS,
    SHAPES,
    Shape,
    chain,
    fits,
    matmul_partners,
    partners,
)

__all__ = ["conv_calls", "einsum_calls", "indices", "programs", "questions"]

ANY = Domain("(-inf, inf)")
#: Gradients beyond this share of the dtype's range are not asked for.
_FARTHEST = 2.0**-20
#: One question in so many about `matmul`, `einsum` or `conv_nd` is large enough for a library's fast path.
LARGE_ONCE_IN = 20
#: Exact ties of the inputs at most: each doubles the branches of the certificate.
_MOST_TIES = 5
#: How often tamer numbers are taken from the seed where a step's value would be too large, or the op singular.
_ATTEMPTS = 8
#: Beside thirty new inputs, how often the same operand is taken again, and how often an earlier value.
_AGAIN, _EARLIER = 3, 20
#: NumPy's keywords, once in twelve each.
_KEYWORDS = ("",) * 10 + ("where", "dtype")


@dataclass(eq=False)
class Value:
    """A value of the growing program: an input, or what a step made.

    Parameters
    ----------
    data : ndarray
        An input's numbers; a computed value in float64.
    dtype : dtype
        What NumPy makes of it.
    look : Look, optional
        Of inputs.
    domains : list of Domain
        Of inputs: where the numbers are drawn from, and what else they must lie in.
    """

    data: np.ndarray
    dtype: np.dtype
    look: Look | None = None
    domains: list[Domain] = field(default_factory=lambda: [ANY])

    @property
    def computed(self) -> bool:
        return self.look is None

    @property
    def plain(self) -> np.ndarray:
        """The numbers as the reference is to see them while the program grows."""
        return self.data.astype(np.float64) if self.data.dtype.kind == "f" else self.data

    @property
    def ordinary(self) -> bool:
        """Whether any step can take this: a float array."""
        return self.dtype.kind == "f" and (self.look is None or self.look.kind == "array")

    @property
    def weak(self) -> Any:
        """What NumPy's promotion goes by: a Python number has no say in the precision."""
        return self.data.item() if self.look is not None and self.look.kind == "number" else self.dtype

    def suits(self, domain: Domain) -> bool:
        """Whether a step that asks for `domain` can take this."""
        return not domain.whole and domain.contains(self.data, SAFE if self.computed else NEAR[self.dtype.name])


class Ungrown(Exception):
    """An op does not apply to the value at hand; the program is left as it was."""


@dataclass
class Growth:
    """A program while it is drawn."""

    choose: Choose
    dtypes: Sequence[str]
    dtype: np.dtype = field(init=False)
    rng: np.random.Generator = field(init=False)
    codes: list[int] = field(init=False)
    shape: int = field(init=False)
    look: Look = field(init=False)
    values: list[Value] = field(default_factory=list)
    steps: list[tuple[str, list[Value], dict[str, Any], Value]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Draw what does not depend on an op, so that shrinking can cut the first step out and keep its input."""
        self.dtype = np.dtype(self.choose.of(self.dtypes))
        self.rng, self.codes = self.choose.entropy()
        self.shape, self.look = self.choose.below(len(SHAPES["any"])), self.choose.of(FIRST)

    # -- operands ------------------------------------------------------------------------------------------------------

    def fresh(self, domain: Domain, shape: Shape, look: Look) -> Value:
        """A new input; it joins the program when a step takes it."""
        kind = np.dtype(look.dtype).kind if look.dtype not in ("", "other") else "f"
        if (look.kind == "list" and (not shape or 0 in shape)) or (kind != "f" and not len(whole_numbers(domain, kind))):
            look = Look(constant=True)
        others = [d for d in self.dtypes if d != self.dtype]
        exact = look.kind != "array" or look.dtype == "other"
        if domain.whole:
            dtype = np.dtype("bool" if domain.text == "booleans" else look.dtype or "int64")
        elif look.dtype == "other":
            dtype = np.dtype(others[0]) if others else self.dtype
        elif look.kind != "array" and not look.dtype:
            dtype = np.dtype(np.float64)
        else:
            dtype = np.dtype(look.dtype or self.dtype)
        value = Value(np.empty(()), dtype, look, [domain])
        value.data = self.data(value, shape, dyadic=exact)
        return value

    def data(self, value: Value, shape: Shape, tame: bool = False, dyadic: bool = False) -> np.ndarray:
        """Numbers for a new input."""
        out = numbers(self.rng, shape, value.domains[0], value.dtype, tame=tame, dyadic=dyadic)
        return repeated(out) if value.look is not None and value.look.layout == "broadcast" else out

    def first(self, row: Row, domain: Domain, base: Value | None) -> Value:
        """The operand that a gradient is asked for: the value at hand, or a new input."""
        if base is not None:
            return base
        shape = SHAPES["any"][self.shape]
        if not fits(row.shapes, shape):
            shape = SHAPES[row.shapes][self.shape % len(SHAPES[row.shapes])]
        return self.fresh(domain, shape, self.look)

    def beside(
        self, domain: Domain, shapes: Sequence[Shape], base: Value, looks: Sequence[Look] = BESIDE, again: bool = True
    ) -> Value:
        """Another operand: a new input, or the same value `again`, or an earlier one."""
        looks = looks if not domain.whole else (PLAIN,) if domain.text == "booleans" else WHOLE_LOOKS
        number = self.choose.below(len(looks) + (0 if domain.whole else _AGAIN + _EARLIER if self.steps else _AGAIN))
        if number >= len(looks):
            earlier = [base] * again if number < len(looks) + _AGAIN else [v for v in self.values[::-1] if v is not base]
            usable = [v for v in earlier if v.data.shape in shapes and v.ordinary and v.suits(domain)]
            if usable:
                chosen = self.choose.of(usable)
                if not any(chosen is v for v in self.values):
                    chosen.domains.append(domain)  # its numbers may still change
                return chosen
            number = 0
        look = looks[number]
        shape = () if look.kind == "number" and () in shapes else self.choose.of(shapes)
        if look.kind == "number" and shape:
            look = Look(constant=True)
        return self.fresh(domain, shape, look)

    def roles(self, row: Row, base: Value | None) -> tuple[tuple[Domain, ...], int]:
        """Domains for the operands, and the place where the value at hand stands."""
        if base is not None and not fits(row.shapes, base.data.shape):
            raise Ungrown
        possible = [
            (domains, j)
            for domains in row.alternatives
            for j, domain in enumerate(domains)
            if (not domain.whole if base is None else base.suits(domain))
        ]
        if not possible:
            raise Ungrown
        return self.choose.of(possible)

    # -- one step --------------------------------------------------------------------------------------------------------

    def step(self, row: Row, base: Value | None) -> None:
        """Append a step with this op: on `base`, or on new inputs.

        Raises
        ------
        Ungrown
            Where the op does not apply to `base`, or its value would be too large.
        """
        operands, params = PATTERNS[row.pattern](self, row, base)
        new = list({id(v): v for v in operands if not any(v is w for w in self.values)}.values())
        codes, self.codes = (self.codes, []) if base is None else (self.codes[:1], self.codes[1:])
        for code in codes:
            self.override(row, operands, new, code)
        self.keywords(row, operands, params, new)
        value = self.value(row, operands, params)
        for _ in range(_ATTEMPTS):
            if value is not None:
                break
            for v in new:
                if v.look is not None and v.look.layout == "broadcast":
                    v.look = replace(v.look, layout="C")
                v.data = self.data(v, v.data.shape, tame=True, dyadic=True)
            value = self.value(row, operands, params)
        if value is None:
            raise Ungrown
        made = Value(value, self.result_dtype(row, operands, params))
        self.values += [*new, made]
        self.steps.append((row.op, operands, params, made))

    def override(self, row: Row, operands: list[Value], new: list[Value], code: int) -> None:
        """Put a special point into one of the new inputs; a tie is with another operand where they go elementwise."""
        if not new:
            return
        code, which = divmod(code, len(new))
        target, partner = new[which], None
        if target.dtype.kind != "f":
            return
        if row.kink in ("tie", "order", "margin"):
            other = next((v for v in operands if v is not target and not v.domains[0].whole), None)
            if other is not None and np.broadcast_shapes(other.data.shape, target.data.shape) == target.data.shape:
                partner = np.broadcast_to(other.plain.astype(target.dtype), target.data.shape)
        if target.data.size and target.look is not None and target.look.kind == "array":
            override(target.data, code, row.specials, target.domains, partner)

    def keywords(self, row: Row, operands: list[Value], params: dict[str, Any], new: list[Value]) -> None:
        """Now and then NumPy's ``dtype=``, or ``where=`` with the array whose elements stay where the mask is false."""
        word = self.choose.of(_KEYWORDS) if row.keywords else ""
        if word == "dtype" and len(self.dtypes) > 1:
            wanted = np.dtype(self.choose.of(self.dtypes))
            if all(_holds(wanted, v) for v in operands):
                params["dtype"] = wanted.name
        elif word == "where":
            shape = np.broadcast_shapes(*(v.data.shape for v in operands))
            out = self.fresh(ANY, shape, self.choose.of(OUT_LOOKS))
            out.dtype = self.result_dtype(row, operands, params)
            out.data = self.data(out, shape)
            params["where"] = True
            if out.data.size and self.rng.integers(4):
                mask = self.rng.integers(0, 2, shape[self.rng.integers(0, len(shape) + 1) :]).astype(bool)
                params["where"] = mask.tolist()
                for v in new:  # what the mask hides may lie outside the domain
                    if v.data.shape == shape and v.dtype.kind == "f" and not v.domains[0].whole and self.rng.integers(2):
                        hidden = np.array([0.0, -1.0, 2.0, 1.0])[self.rng.integers(0, 4, shape)]
                        v.data = np.where(np.broadcast_to(mask, shape), v.data, hidden).astype(v.dtype)
            operands.append(out)
            new.append(out)

    def value(self, row: Row, operands: list[Value], params: dict[str, Any]) -> np.ndarray | None:
        """What the step computes, or None where it is too large, or at a point where the op is singular."""
        if any(not d.contains(v.data) for v in operands for d in v.domains[1:]):
            return None
        plain = [v.plain for v in operands]
        value = np.asarray(step_forward(Step(row.op, (), params), plain), np.float64)
        limit = LARGEST[min((self.dtype, *(v.dtype for v in operands if v.dtype.kind == "f")), key=lambda d: d.itemsize).name]
        if not (np.abs(value) <= limit).all() or not row.value_domain.contains(value, SAFE):
            return None
        if value.size > max(MOST_ELEMENTS, *(v.data.size for v in operands)):
            return None
        gaps = KINKS[row.kink](*plain[: len(row.domains)], **params) if row.kink else np.ones(1)
        if any(v.computed for v in operands):
            return value if (gaps > SAFE).all() else None
        return value if row.kink == "order" or (gaps == 0).sum() <= _MOST_TIES else None

    def result_dtype(self, row: Row, operands: list[Value], params: dict[str, Any]) -> np.dtype:
        """The dtype that NumPy gives the value."""
        if "where" in params:
            return operands[-1].dtype
        if "dtype" in params:
            wanted: np.dtype = np.dtype(params["dtype"])
            return wanted
        if row.pattern in ("update", "assignment"):
            return operands[0].dtype
        telling = [
            v for v in operands if v.domains[0].text != "booleans" and not (row.pattern == "labels" and v.domains[0].whole)
        ]
        return np.dtype(np.result_type(*(v.weak for v in telling)))

    # -- the whole ---------------------------------------------------------------------------------------------------------

    def grow(self, op: str | None, most: int, pool: Sequence[Row]) -> int:
        """Append steps, at most `most`; `op`, where it is given, is one of them. Gives the number of steps up to that one.

        Whether there is more is asked after each step, so that shrinking can cut a step out.
        """
        several = most > 1 and (op is None or self.choose.rarely(8))
        if op is None:
            self.any_of(pool)
        else:
            while several and len(self.steps) < most - 1 and self.choose.below(2):
                self.any_of(pool)
            self.next_step([CATALOGUE[op]])
        keep = len(self.steps)
        while several and len(self.steps) < most and (self.choose.below(4) or len(self.steps) < 2):
            self.any_of(pool)
        return keep

    def any_of(self, pool: Sequence[Row]) -> None:
        """A step with an op that applies to the value at hand: the one drawn, or else one far from it in the catalogue."""
        start, n = self.choose.below(len(pool)), len(pool)
        stride = next(k for k in range(n * 3 // 8 + 1, n + 2) if math.gcd(k, n) == 1)
        self.next_step([pool[(start + k * stride) % n] for k in range(n)])

    def next_step(self, order: Sequence[Row]) -> None:
        """A step with the first op that applies to the value at hand; where none does, with the first of all on new inputs."""
        for row in order if self.steps else ():
            try:
                self.step(row, self.steps[-1][-1])
                return
            except Ungrown:
                continue
        try:
            self.step(order[0], None)
        except Ungrown:  # even tame numbers failed again and again: not seen in twenty-five thousand questions
            reject()

    def question(self, keep: int) -> Question:
        """The program, at least its first `keep` steps, with a cotangent and directions."""
        while True:
            inputs = [v for v in self.values if not v.computed]
            number = {id(v): n for n, v in enumerate([*inputs, *(made for *_, made in self.steps)])}
            program = Program(
                tuple(Input(v.data, v.look.constant, v.look.kind, v.look.layout) for v in inputs if v.look is not None),
                tuple(Step(op, tuple(number[id(v)] for v in operands), params) for op, operands, params, _ in self.steps),
            )
            last = self.steps[-1][-1]
            cotangent = numbers(self.rng, last.data.shape, ANY, last.dtype, tame=bool(self.rng.integers(2)))
            if cotangent.size > 1 and not self.rng.integers(4):
                cotangent[tuple(self.rng.integers(0, n) for n in cotangent.shape)] = 0
            if len(self.steps) <= keep or self.within_range(program, inputs, cotangent):
                break
            *_, gone = self.steps.pop()
            self.values = [v for v in self.values if v is not gone]
        directions = tuple(
            None if i.constant else _DIRECTIONS[self.rng.integers(0, len(_DIRECTIONS), i.data.shape)] for i in program.inputs
        )
        return Question(program, cotangent, directions)

    def within_range(self, program: Program, inputs: list[Value], cotangent: np.ndarray) -> bool:
        """Whether the gradients are well within the range of the dtype."""
        values = [v.plain for v in inputs] + [made.data for *_, made in self.steps]
        gradients, _ = backward(program, values, cotangent.astype(np.float64))
        limit = float(np.finfo(program.working_dtype).max) * _FARTHEST
        return all((np.abs(g) < limit).all() for g in gradients if g is not None)


_DIRECTIONS = np.array([1.0, -1.0, 2.0, -2.0, 3.0, -3.0])
WHOLE_LOOKS = (Look(constant=True), Look("number"), Look(constant=True, dtype="int32"))
OUT_LOOKS = (Look(), Look(), Look(constant=True), Look(layout="F"), Look(layout="strided"))


def _holds(dtype: np.dtype, v: Value) -> bool:
    """Whether ``dtype=`` would not round this operand."""
    if v.dtype.kind != "f" or v.dtype.itemsize <= dtype.itemsize:
        return True
    return not v.computed and bool((v.data.astype(dtype) == v.data).all())


# -- patterns: how operands go together ---------------------------------------------------------------------------------------

Made = tuple[list[Value], dict[str, Any]]


def _broadcasting(g: Growth, row: Row, base: Value | None) -> Made:
    """One operand an entry of the row's domains; an update keeps its first operand's shape."""
    domains, place = g.roles(row, base)
    first = g.first(row, domains[place], base)
    again = row.kink != "tie" or first.data.size <= _MOST_TIES
    shape, operands = first.data.shape, []
    for j, domain in enumerate(domains):
        if j == place:
            operands.append(first)
            continue
        way = "both" if row.pattern != "update" else "down" if place == 0 else "up"
        looks = FLOATS if row.pattern == "update" and j == 0 else BESIDE if row.pattern == "ternary" and j == 0 else BROADCAST
        operands.append(g.beside(domain, partners(shape, way), first, looks, again))
        shape = np.broadcast_shapes(shape, operands[-1].data.shape)
    if row.pattern == "update" and operands[0].dtype.kind != "f":
        raise Ungrown
    return operands, row.params(g.choose, first.data.shape)


#: What is updated in place: a float array.
FLOATS = tuple(look for look in BESIDE if look.dtype in ("", "other"))


def _sequence(g: Growth, row: Row, base: Value | None) -> Made:
    """Two to four operands that broadcast."""
    (domain, *_), _ = g.roles(row, base)
    first = g.first(row, domain, base)
    count = 2 + g.choose.below(3)
    place, shape = g.choose.below(count), first.data.shape
    operands = []
    for j in range(count):
        operands.append(first if j == place else g.beside(domain, partners(shape), first, SEVERAL))
        shape = np.broadcast_shapes(shape, operands[-1].data.shape)
    return operands, {}


def _joint(g: Growth, row: Row, base: Value | None) -> Made:
    """One to three operands that differ along the axis of joining only."""
    (domain, *_), _ = g.roles(row, base)
    first = g.first(row, domain, base)
    shape = first.data.shape
    params = row.params(g.choose, shape)
    axis = params["axis"]
    if axis is None:
        shapes: tuple[Shape, ...] = (shape, shape, (2,), (1, 3), (0,))
    else:
        axis %= len(shape)
        shapes = (shape, shape, *((*shape[:axis], n, *shape[axis + 1 :]) for n in (1, 2, 3, 0)))
    others = [g.beside(domain, shapes, first) for _ in range(g.choose.of((1, 1, 2, 0)))]
    others.insert(g.choose.below(len(others) + 1), first)
    return others, params


def _pile(g: Growth, row: Row, base: Value | None) -> Made:
    """One to three operands of the same shape."""
    (domain, *_), _ = g.roles(row, base)
    first = g.first(row, domain, base)
    others = [g.beside(domain, (first.data.shape,), first) for _ in range(g.choose.of((1, 1, 2, 0)))]
    others.insert(g.choose.below(len(others) + 1), first)
    return others, row.params(g.choose, first.data.shape)


def _matmul(g: Growth, row: Row, base: Value | None) -> Made:
    (domain, *_), _ = g.roles(row, base)
    first, place = g.first(row, domain, base), g.choose.below(2)
    other = g.beside(domain, matmul_partners(first.data.shape, place), first)
    operands = [first, other] if place == 0 else [other, first]
    # Last, so that it takes more draws than a small product: fewer draws are simpler, and shrinking goes there.
    if base is None and g.choose.rarely(LARGE_ONCE_IN):
        operands = _large(g, g.choose.of(LARGE_MATMUL))
    return operands, {}


def _large(g: Growth, shapes: Sequence[Shape]) -> list[Value]:
    """New inputs of these shapes, a gradient asked for each."""
    return [g.fresh(ANY, shape, g.choose.of(FIRST)) for shape in shapes]


def _chain(g: Growth, row: Row, base: Value | None) -> Made:
    """Two to four matrices, the first and the last of which may be vectors."""
    (domain, *_), _ = g.roles(row, base)
    first = g.first(row, domain, base)
    shape, count = first.data.shape, 2 + g.choose.below(3)
    place = g.choose.below(count) if len(shape) == 2 else g.choose.below(2) * (count - 1)
    shapes = chain(shape, place, count, g.choose.below(4 ** (count + 2)))
    return [first if j == place else g.beside(domain, (s,), first, FLOATS) for j, s in enumerate(shapes)], {}


def _einsum(g: Growth, row: Row, base: Value | None) -> Made:
    (domain, *_), _ = g.roles(row, base)
    drawn = p.einsum_call(g.choose, g.shape, None if base is None else base.data.shape)
    if drawn is None:
        raise Ungrown
    subscripts, shapes, place = drawn
    first = base if base is not None else g.fresh(domain, shapes[place], g.look)
    looks = BESIDE if len(shapes) < 3 else FLOATS
    operands = [first if j == place else g.beside(domain, (s,), first, looks) for j, s in enumerate(shapes)]
    if base is None and g.choose.rarely(LARGE_ONCE_IN):
        subscripts, large = g.choose.of(LARGE_EINSUM)
        operands = _large(g, large)
    return operands, {"subscripts": subscripts}


def _assignment(g: Growth, row: Row, base: Value | None) -> Made:
    """An array, and what is written into the part of it that an index names."""
    (domain, *_), _ = g.roles(row, base)
    first = g.first(row, domain, base)
    index = p.index(g.choose, first.data.shape)
    part = np.empty(first.data.shape)[index].shape
    value = g.beside(domain, partners(part, "down"), first, BROADCAST)
    if not _holds(first.dtype, value):
        value = g.fresh(domain, part, Look(dtype=first.dtype.name))
    return [first, value], {"index": encode_index(index)}


def _labels(g: Growth, row: Row, base: Value | None) -> Made:
    """Scores, a label for each row of them, and for a likelihood now and then weights of the classes, which are constants."""
    domain = Domain(row.domains[0])
    g.roles(row, base)
    first = g.first(row, domain, base)
    data, classes = first.data.shape
    operands = [first, g.beside(Domain(f"integers [0, {classes - 1}]"), ((data,),), first)]
    if row.op in WEIGHTED and g.choose.below(2):
        operands.append(g.fresh(ANY, (classes,), Look(constant=True)))
    return operands, row.params(g.choose, first.data.shape)


#: Losses that take a weight a class.
WEIGHTED = ("negative_log_likelihood",)


def _ranking(g: Growth, row: Row, base: Value | None) -> Made:
    """Two arrays of the same shape, and the sign of their difference: one for all, or one a row."""
    domains, place = g.roles(row, base)
    first = g.first(row, domains[place], base)
    shape = first.data.shape
    other = g.beside(domains[1 - place], (shape,), first, FLOATS, again=False)
    signs = g.fresh(domains[2], g.choose.of(((), shape[:1])), Look(constant=True, dtype=g.choose.of(("int8", "int64"))))
    return [*([first, other] if place == 0 else [other, first]), signs], row.params(g.choose, shape)


def _convolution(g: Growth, row: Row, base: Value | None) -> Made:
    (domain, *_), _ = g.roles(row, base)
    first = base if base is not None else g.fresh(domain, IMAGES[g.shape % len(IMAGES)], g.look)
    drawn = p.convolution(g.choose, first.data.shape)
    if drawn is None:
        raise Ungrown
    shape, params = drawn
    operands = [first, g.beside(domain, (shape,), first)]
    if base is None and g.choose.rarely(LARGE_ONCE_IN):
        operands, params = _large(g, g.choose.of(LARGE_CONVOLUTIONS)), {"stride": 1}
    return operands, params


def _batch(g: Growth, row: Row, base: Value | None) -> Made:
    """A batch, and its scale and shift, or one of them, or none."""
    (domain, *_), _ = g.roles(row, base)
    first = g.first(row, domain, base)
    given = [name for name, wanted in (("gamma", 1), ("beta", 2)) if g.choose.of((3, 0, 1, 2)) & wanted]
    beside = [g.beside(domain, (first.data.shape[1:2],), first, FLOATS) for _ in given]
    return [first, *beside], {**row.params(g.choose, first.data.shape), "given": given}


def _recurrence(g: Growth, row: Row, base: Value | None) -> Made:
    """A sequence, for each gate two matrices and a vector, and perhaps an initial state, which is a constant."""
    (domain, *_), _ = g.roles(row, base)
    first = g.first(row, domain, base)
    _, data, width = first.data.shape
    states = 1 + g.choose.below(3)
    shapes = ((width, states), (states, states), (states,)) * 3
    operands = [first, *(g.beside(domain, (shape,), first, MATRICES) for shape in shapes)]
    if g.choose.below(2):
        operands.append(g.fresh(domain, (data, states), Look(constant=True)))
    return operands, {}


#: Matrices in the layout that most libraries want, some of them constant.
MATRICES = (PLAIN, PLAIN, Look(constant=True))

PATTERNS: dict[str, Callable[[Growth, Row, Value | None], Made]] = {
    "unary": _broadcasting, "binary": _broadcasting, "ternary": _broadcasting, "update": _broadcasting, "sequence": _sequence,
    "joint": _joint, "pile": _pile, "matmul": _matmul, "chain": _chain, "einsum": _einsum, "assignment": _assignment,
    "labels": _labels, "ranking": _ranking, "convolution": _convolution, "batch": _batch, "recurrence": _recurrence,
}  # fmt: skip


# -- strategies --------------------------------------------------------------------------------------------------------------


@cache
def _pool(allow: frozenset[str] | None) -> tuple[Row, ...]:
    """The rows to draw from: ops of several operands, where values meet, three times as often as the others."""
    return tuple(row for row in rows(allow=allow) for _ in range(1 if row.pattern == "unary" else 3))


@st.composite
def _questions(draw: Any, op: str | None, dtypes: tuple[str, ...], max_steps: int, allow: frozenset[str] | None) -> Question:
    choose, pool = Choose(draw), _pool(allow)
    with np.errstate(all="ignore"):
        growth = Growth(choose, dtypes)
        keep = growth.grow(op, max_steps if op is None else min(max_steps, 5), pool)
        if len(growth.steps) > 1 and choose.rarely(24):
            growth.values.insert(0, growth.fresh(ANY, choose.of(SHAPES["any"]), Look()))
        return growth.question(keep)


def questions(
    op: str | None = None,
    dtypes: Sequence[str] = ("float64", "float32"),
    max_steps: int = 6,
    allow: Collection[str] | None = None,
) -> st.SearchStrategy[Question]:
    """Questions about one op, or about programs of two to `max_steps` steps.

    Parameters
    ----------
    op : str, optional
        With it four questions in five are one step of this op, the others two to five steps that include it.
    dtypes : sequence of str
        Float dtypes to ask in, the simplest first: "float64", "float32", "float16".
    max_steps : int
        With 1, every program is a single step.
    allow : collection of str, optional
        Only these ops: those that an implementation has.

    Returns
    -------
    SearchStrategy
        Of `adjudge.oracle.program.Question`. At least one input is a variable, and the value depends on it.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(questions("exp", max_steps=1), lambda question: question.cotangent.ndim > 1).program.ops
    ('exp',)
    """
    unknown = sorted({*([op] if op else []), *(allow or ())} - set(CATALOGUE))
    if unknown:
        raise ValueError(f"the catalogue has no {', '.join(map(repr, unknown))}; `adjudge list ops` shows all ops")
    if allow is not None and not allow:
        raise ValueError("allow= names no op, so there is nothing to ask; leave it out to ask about every op")
    strange = sorted(set(dtypes) - set(LARGEST))
    if strange or not dtypes:
        raise ValueError(f"dtypes={tuple(dtypes)!r}: questions are asked in {', '.join(LARGEST)}")
    if max_steps < 1:
        raise ValueError(f"max_steps={max_steps}: a program needs at least one step")
    return _questions(op, tuple(dtypes), max_steps, None if allow is None else frozenset(allow))


def programs(
    op: str | None = None,
    dtypes: Sequence[str] = ("float64", "float32"),
    max_steps: int = 6,
    allow: Collection[str] | None = None,
) -> st.SearchStrategy[Program]:
    """Programs with their data, for tests of one's own; the parameters are those of `questions`."""
    return questions(op, dtypes, max_steps, allow).map(lambda question: question.program)


@st.composite
def _indices(draw: Any, shape: Shape) -> tuple[Any, ...]:
    return p.index(Choose(draw), shape)


def indices(shape: Shape) -> st.SearchStrategy[tuple[Any, ...]]:
    """Indices into an array of `shape`: basic, new axes, ellipses, negative steps, booleans, repeated integers, mixtures.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(indices((3,)), lambda index: True)
    (slice(None, None, None),)
    """
    return _indices(tuple(shape))


@st.composite
def _einsum_calls(draw: Any, dtype: np.dtype) -> tuple[str, list[np.ndarray]]:
    choose = Choose(draw)
    with np.errstate(all="ignore"):
        growth = Growth(choose, (dtype.name,))
        operands, params = _einsum(growth, CATALOGUE["einsum"], None)
    return params["subscripts"], [v.data for v in operands]


def einsum_calls(dtype: Any = np.float64) -> st.SearchStrategy[tuple[str, list[np.ndarray]]]:
    """Calls of einsum, as subscripts and operands: traces, diagonals, ellipses, implicit outputs, repeated operands.

    Examples
    --------
    >>> from hypothesis import find
    >>> subscripts, operands = find(einsum_calls(), lambda call: len(call[1]) == 2)
    >>> subscripts.count(",")
    1
    """
    return _einsum_calls(np.dtype(dtype))


@st.composite
def _conv_calls(draw: Any, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    choose = Choose(draw)
    with np.errstate(all="ignore"):
        (x, w), params = _convolution(Growth(choose, (dtype.name,)), CATALOGUE["conv_nd"], None)
    return x.data, w.data, params


def conv_calls(dtype: Any = np.float64) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray, dict[str, Any]]]:
    """Convolutions, as images of shape (N, C, …), filters of shape (F, C, …), and ``stride``, ``padding`` and ``dilation``.

    One to three axes; settings are integers, or lists of one integer an axis, with which the windows end where the axes end.

    Examples
    --------
    >>> from hypothesis import find
    >>> x, filters, params = find(conv_calls(), lambda call: call[0].ndim == 4)
    >>> x.shape, filters.shape, params
    ((1, 1, 3, 3), (1, 1, 2, 2), {'stride': 1})
    """
    return _conv_calls(np.dtype(dtype))
