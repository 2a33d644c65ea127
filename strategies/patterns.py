"""Patterns: how the operands of an op go together, each a function that the catalogue's rows name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ..oracle.dtypes import is_float, promoted
from ..oracle.program import decode_index
from . import parameters as p
from .builder import ANY, MOST_TIES, NotApplicable, ProgramBuilder, Value, holds
from .domains import Domain
from .row import Call, Pattern, Row
from .shapes import IMAGES, LARGE_CONVOLUTIONS, LARGE_EINSUM, LARGE_MATMUL, Shape, chain, matmul_partners, partners
from .specs import ARRAYS, CONTIGUOUS_ARRAYS, FLOAT_ARRAYS, OPERANDS, VARIABLES, WIDE_OPERANDS, InputSpec

__all__ = [
    "ASSIGNMENT", "BATCH", "BINARY", "CHAIN", "CONVOLUTION", "EINSUM", "JOIN", "MATMUL", "RANKING", "RECURRENCE", "SCORES",
    "SEQUENCE", "STACK", "TERNARY", "UNARY", "UPDATE", "WEIGHTED",
]  # fmt: skip

#: One question in this many about `matmul`, `einsum` or `conv_nd` is large enough for a library's fast path.
LARGE_ONCE_IN = 20


# -- what NumPy makes of the operands ------------------------------------------------------------------------------------------


def _promoted(operands: Sequence[Value]) -> np.dtype:
    """The promoted dtype of all operands but masks."""
    return promoted(*(v.promotes_as for v in operands if v.domains[0].text != "booleans"))


def _of_first(operands: Sequence[Value]) -> np.dtype:
    """The first operand's dtype, which the result is written into."""
    return operands[0].dtype


def _of_scores(operands: Sequence[Value]) -> np.dtype:
    """The promoted dtype of all operands but labels."""
    return _promoted([v for v in operands if not v.domains[0].whole])


# -- elementwise ---------------------------------------------------------------------------------------------------------------


def _broadcasting(
    b: ProgramBuilder, row: Row, base: Value | None, first_specs: Sequence[InputSpec] = OPERANDS, in_place: bool = False
) -> Call:
    """One operand per domain of the row; a step in place keeps the shape of its first operand."""
    domains, place = b.roles(row, base)
    main = b.main_operand(row, domains[place], base)
    ties_everywhere = row.kink is not None and row.kink.between_operands and not row.kink.smooth
    again = not ties_everywhere or main.data.size <= MOST_TIES
    shape, operands = main.data.shape, []
    for j, domain in enumerate(domains):
        if j == place:
            operands.append(main)
            continue
        way = "both" if not in_place else "down" if place == 0 else "up"
        operands.append(b.further_operand(domain, partners(shape, way), main, first_specs if j == 0 else OPERANDS, again))
        shape = np.broadcast_shapes(shape, operands[-1].data.shape)
    if in_place and not is_float(operands[0].dtype):
        raise NotApplicable
    return operands, row.params(b.choices, main.data.shape)


def _sequence(b: ProgramBuilder, row: Row, base: Value | None) -> Call:
    """Two to four operands that broadcast."""
    (domain, *_), _ = b.roles(row, base)
    main = b.main_operand(row, domain, base)
    count = 2 + b.choices.integer(3)
    place, shape = b.choices.integer(count), main.data.shape
    operands = []
    for j in range(count):
        operands.append(main if j == place else b.further_operand(domain, partners(shape), main, WIDE_OPERANDS))
        shape = np.broadcast_shapes(shape, operands[-1].data.shape)
    return operands, {}


UNARY = Pattern(_broadcasting, _promoted, unary=True)
BINARY = Pattern(_broadcasting, _promoted)
TERNARY = Pattern(partial(_broadcasting, first_specs=ARRAYS), _promoted)
UPDATE = Pattern(partial(_broadcasting, first_specs=FLOAT_ARRAYS, in_place=True), _of_first)
SEQUENCE = Pattern(_sequence, _promoted)


# -- joining and indexing ------------------------------------------------------------------------------------------------------


def _joined(b: ProgramBuilder, main: Value, domain: Domain, shapes: Sequence[Shape]) -> list[Value]:
    """One to three operands, the main one somewhere among them."""
    operands = [b.further_operand(domain, shapes, main) for _ in range(b.choices.sampled_from((1, 1, 2, 0)))]
    operands.insert(b.choices.integer(len(operands) + 1), main)
    return operands


def _join(b: ProgramBuilder, row: Row, base: Value | None) -> Call:
    """Operands that differ along the axis of joining only."""
    (domain, *_), _ = b.roles(row, base)
    main = b.main_operand(row, domain, base)
    shape = main.data.shape
    params = row.params(b.choices, shape)
    axis = params["axis"]
    if axis is None:
        shapes: tuple[Shape, ...] = (shape, shape, (2,), (1, 3), (0,))
    else:
        axis %= len(shape)
        shapes = (shape, shape, *((*shape[:axis], n, *shape[axis + 1 :]) for n in (1, 2, 3, 0)))
    return _joined(b, main, domain, shapes), params


def _stack(b: ProgramBuilder, row: Row, base: Value | None) -> Call:
    """Operands of the same shape."""
    (domain, *_), _ = b.roles(row, base)
    main = b.main_operand(row, domain, base)
    operands = _joined(b, main, domain, (main.data.shape,))
    return operands, row.params(b.choices, main.data.shape)


def _assignment(b: ProgramBuilder, row: Row, base: Value | None) -> Call:
    """An array, and a value that is written into the part of it that an index selects."""
    (domain, *_), _ = b.roles(row, base)
    main = b.main_operand(row, domain, base)
    params = row.params(b.choices, main.data.shape)
    part = np.empty(main.data.shape)[decode_index(params["index"])].shape
    written = b.further_operand(domain, partners(part, "down"), main, OPERANDS)
    if not holds(main.dtype, written):
        written = b.new_input(domain, part, InputSpec(dtype=main.dtype.name))
    return [main, written], params


JOIN, STACK = Pattern(_join, _promoted), Pattern(_stack, _promoted)
ASSIGNMENT = Pattern(_assignment, _of_first)


# -- linear algebra ------------------------------------------------------------------------------------------------------------


def _large(b: ProgramBuilder, shapes: Sequence[Shape]) -> list[Value]:
    """New inputs of these shapes, with a gradient asked for each."""
    return [b.new_input(ANY, shape, b.choices.sampled_from(VARIABLES)) for shape in shapes]


def _matmul(b: ProgramBuilder, row: Row, base: Value | None) -> Call:
    (domain, *_), _ = b.roles(row, base)
    main, place = b.main_operand(row, domain, base), b.choices.integer(2)
    other = b.further_operand(domain, matmul_partners(main.data.shape, place), main)
    operands = [main, other] if place == 0 else [other, main]
    # Last, so that it takes more draws than a small product: fewer draws are simpler, and shrinking goes there.
    if base is None and b.choices.once_in(LARGE_ONCE_IN):
        operands = _large(b, b.choices.sampled_from(LARGE_MATMUL))
    return operands, {}


def _chain(b: ProgramBuilder, row: Row, base: Value | None) -> Call:
    """Two to four matrices, the first and the last of which may be vectors."""
    (domain, *_), _ = b.roles(row, base)
    main = b.main_operand(row, domain, base)
    shape, count = main.data.shape, 2 + b.choices.integer(3)
    place = b.choices.integer(count) if len(shape) == 2 else b.choices.integer(2) * (count - 1)
    shapes = chain(shape, place, count, b.choices.integer(4 ** (count + 2)))
    return [main if j == place else b.further_operand(domain, (s,), main, FLOAT_ARRAYS) for j, s in enumerate(shapes)], {}


def _einsum(b: ProgramBuilder, row: Row, base: Value | None) -> Call:
    (domain, *_), _ = b.roles(row, base)
    drawn = p.einsum_call(b.choices, b.shape_number, None if base is None else base.data.shape)
    if drawn is None:
        raise NotApplicable
    subscripts, shapes, place = drawn
    main = base if base is not None else b.new_input(domain, shapes[place], b.spec)
    specs = ARRAYS if len(shapes) < 3 else FLOAT_ARRAYS
    operands = [main if j == place else b.further_operand(domain, (s,), main, specs) for j, s in enumerate(shapes)]
    if base is None and b.choices.once_in(LARGE_ONCE_IN):
        subscripts, large = b.choices.sampled_from(LARGE_EINSUM)
        operands = _large(b, large)
    return operands, {"subscripts": subscripts}


MATMUL, CHAIN, EINSUM = Pattern(_matmul, _promoted), Pattern(_chain, _promoted), Pattern(_einsum, _promoted)


# -- networks ------------------------------------------------------------------------------------------------------------------


def _scores(b: ProgramBuilder, row: Row, base: Value | None, weights: bool = False) -> Call:
    """Scores, a label for each row of them, and now and then weights of the classes, which are constants."""
    domain = Domain(row.domains[0])
    b.roles(row, base)
    main = b.main_operand(row, domain, base)
    data, classes = main.data.shape
    operands = [main, b.further_operand(Domain(f"integers [0, {classes - 1}]"), ((data,),), main)]
    if weights and b.choices.integer(2):
        operands.append(b.new_input(ANY, (classes,), InputSpec(constant=True)))
    return operands, row.params(b.choices, main.data.shape)


def _ranking(b: ProgramBuilder, row: Row, base: Value | None) -> Call:
    """Two arrays of the same shape, and the sign of their difference: one for all, or one per row."""
    domains, place = b.roles(row, base)
    main = b.main_operand(row, domains[place], base)
    shape = main.data.shape
    other = b.further_operand(domains[1 - place], (shape,), main, FLOAT_ARRAYS, again=False)
    sign_shape = b.choices.sampled_from(((), shape[:1]))
    signs = b.new_input(domains[2], sign_shape, InputSpec(constant=True, dtype=b.choices.sampled_from(("int8", "int64"))))
    return [*([main, other] if place == 0 else [other, main]), signs], row.params(b.choices, shape)


def _convolution(b: ProgramBuilder, row: Row, base: Value | None) -> Call:
    (domain, *_), _ = b.roles(row, base)
    main = base if base is not None else b.new_input(domain, IMAGES[b.shape_number % len(IMAGES)], b.spec)
    drawn = p.convolution(b.choices, main.data.shape)
    if drawn is None:
        raise NotApplicable
    shape, params = drawn
    operands = [main, b.further_operand(domain, (shape,), main)]
    if base is None and b.choices.once_in(LARGE_ONCE_IN):
        operands, params = _large(b, b.choices.sampled_from(LARGE_CONVOLUTIONS)), {"stride": 1}
    return operands, params


def _batch(b: ProgramBuilder, row: Row, base: Value | None) -> Call:
    """A batch with a scale and a shift, or one of them, or neither."""
    (domain, *_), _ = b.roles(row, base)
    main = b.main_operand(row, domain, base)
    given = [name for name, bit in (("gamma", 1), ("beta", 2)) if b.choices.sampled_from((3, 0, 1, 2)) & bit]
    further = [b.further_operand(domain, (main.data.shape[1:2],), main, FLOAT_ARRAYS) for _ in given]
    return [main, *further], {**row.params(b.choices, main.data.shape), "given": given}


def _recurrence(b: ProgramBuilder, row: Row, base: Value | None) -> Call:
    """A sequence, two matrices and a vector for each gate, and perhaps an initial state, which is a constant."""
    (domain, *_), _ = b.roles(row, base)
    main = b.main_operand(row, domain, base)
    _, data, width = main.data.shape
    states = 1 + b.choices.integer(3)
    shapes = ((width, states), (states, states), (states,)) * 3
    operands = [main, *(b.further_operand(domain, (shape,), main, CONTIGUOUS_ARRAYS) for shape in shapes)]
    if b.choices.integer(2):
        operands.append(b.new_input(domain, (data, states), InputSpec(constant=True)))
    return operands, {}


SCORES, WEIGHTED = Pattern(_scores, _of_scores), Pattern(partial(_scores, weights=True), _of_scores)
RANKING, CONVOLUTION = Pattern(_ranking, _promoted), Pattern(_convolution, _promoted)
BATCH, RECURRENCE = Pattern(_batch, _promoted), Pattern(_recurrence, _promoted)
