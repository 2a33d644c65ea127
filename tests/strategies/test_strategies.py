"""What is asked: every row draws questions that can be judged, of many kinds, and they shrink to what people can read."""

import json
import math
import operator
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, find, given, seed, settings
from hypothesis import strategies as st

from adjudge.oracle import numbers as s
from adjudge.oracle.dtypes import NAMES, float_type
from adjudge.oracle.program import KINDS, LAYOUTS, Question, as_tuple, decode_index
from adjudge.oracle.reference import OPS, backward, forward
from adjudge.strategies import arrays, einsum_calls, indices, parameters, programs, questions, rows
from adjudge.strategies.arrays import Special
from adjudge.strategies.catalogue import CATALOGUE, FAMILIES
from adjudge.strategies.choices import Choices
from adjudge.strategies.domains import Domain
from adjudge.strategies.shapes import KINDS as SHAPE_KINDS
from adjudge.strategies.shapes import MOST_ELEMENTS, SHAPES, partners

EACH = 40
OPS_OF_ROWS = [row.op for row in rows()]


def some(strategy: st.SearchStrategy[Any], count: int, number: int = 3) -> list[Any]:
    """The first examples of a strategy, the same ones every time; Hypothesis' health checks stay on."""
    out: list[Any] = []

    @seed(number)
    @settings(max_examples=count, database=None, phases=[Phase.generate])
    @given(strategy)
    def collect(example: Any) -> None:
        out.append(example)

    collect()
    return out


@cache
def drawn(op: str | None, count: int = EACH) -> tuple[Question, ...]:
    return tuple(some(questions(op), count))


def every() -> list[Question]:
    """All that is drawn for the rows, one after another."""
    return [question for op in OPS_OF_ROWS for question in drawn(op)]


def smallest(strategy: st.SearchStrategy[Any], condition: Callable[[Any], bool], examples: int = 2000) -> Any:
    return find(strategy, condition, settings=settings(database=None, max_examples=examples, derandomize=True))


def on_floats(question: Question) -> tuple[list[Any], list[Any]]:
    """Values and gradients of the reference, in the dtypes of the data; Python numbers have no dtype of their own."""
    with np.errstate(all="ignore"):
        values = forward(question.program, [i.data for i in question.program.inputs])
        return values, backward(question.program, values, question.cotangent)[0]


def on_float64(question: Question) -> tuple[list[Any], list[Any]]:
    """Values and gradients of the reference, whatever the dtypes of the data."""
    with np.errstate(all="ignore"):
        values = forward(
            question.program, [i.data if i.data.dtype.kind in "iub" else i.data.astype(float) for i in question.program.inputs]
        )
        return values, backward(question.program, values, question.cotangent.astype(float))[0]


# -- the catalogue -------------------------------------------------------------------------------------------------------------


def test_every_op_has_a_row_and_every_row_an_op() -> None:
    assert set(CATALOGUE) == set(OPS)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.op)
def test_a_row_says_what_the_rooms_know(row: Any) -> None:
    assert row.family in FAMILIES
    assert row.shapes in SHAPES
    assert all(Domain(text) for text in row.domains)
    if OPS[row.op].elementwise:
        assert len(row.domains) == len(OPS[row.op].rules)
        constants = [domain.whole for domain in row.alternatives[0]]
        assert constants == [rule is None for rule in OPS[row.op].rules]


def test_rows_can_be_picked() -> None:
    assert [row.op for row in rows(allow={"exp", "sum"})] == ["exp", "sum"]
    assert {row.family for row in rows("hyperbolic")} == {"hyperbolic"}


# -- what a row draws ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPS_OF_ROWS)
def test_what_is_drawn_has_a_finite_value_and_finite_gradients(op: str) -> None:
    for question in drawn(op):
        values, gradients = on_floats(question)
        value = values[-1]
        assert op in question.program.ops
        assert value.shape == question.cotangent.shape
        assert np.isfinite(value).all(), question.program
        assert all(np.isfinite(g).all() for g in gradients if g is not None), question.program


@pytest.mark.parametrize("op", OPS_OF_ROWS)
def test_what_is_drawn_is_decided_on_balls(op: str) -> None:
    for question in drawn(op):
        with s.enclosing(128):
            values = forward(question.program, [s.lift(i.data) for i in question.program.inputs])
            gradients, _ = backward(question.program, values, s.lift(question.cotangent))
            assert np.isfinite(s.to_float(values[-1])).all(), question.program
            assert all(np.isfinite(s.to_float(g)).all() for g in gradients if g is not None), question.program


@pytest.mark.parametrize("op", OPS_OF_ROWS)
def test_what_is_drawn_travels_as_json(op: str) -> None:
    for question in drawn(op):
        text = json.dumps(question.to_json(), allow_nan=False)
        assert Question.from_json(json.loads(text)).id == question.id
        for step in question.program.steps:
            assert json.loads(json.dumps(dict(step.params))) == step.params


def test_the_cotangent_has_the_dtype_that_numpy_gives_the_value() -> None:
    for question in every():
        if all(i.kind == "array" for i in question.program.inputs):
            assert question.cotangent.dtype == on_floats(question)[0][-1].dtype, question.program


def python_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """A step's JSON parameters as Python has them."""
    read: dict[str, Callable[[Any], Any]] = {"index": decode_index, "where": np.asarray}
    return {key: read.get(key, as_tuple)(value) for key, value in params.items()}


def in_numpy(op: str, operands: list[Any], params: dict[str, Any]) -> Any:
    """One step as NumPy spells it, with ``out=`` and in-place updates on copies; None for what NumPy does not have."""
    if "where" in params:
        *operands, out = operands
        params["out"] = out.copy()
    if op in ("iadd", "isub", "imul", "itruediv", "ipow", "setitem"):
        x, *rest = operands
        x = np.array(x)
        if op != "setitem":
            return getattr(operator, op)(x, *rest)
        x[params["index"]] = rest[0]
        return x
    if op in ("concatenate", "stack"):
        return getattr(np, op)(operands, **params)
    if op == "einsum":
        return np.einsum(params["subscripts"], *operands)
    if op == "getitem":
        return operands[0][params["index"]]
    if op == "norm":
        return np.linalg.norm(*operands, **params)
    return getattr(np, op)(*operands, **params) if hasattr(np, op) else None


@pytest.mark.parametrize("op", OPS_OF_ROWS)
def test_numpy_takes_every_question_as_it_stands(op: str) -> None:
    """The parameters are NumPy's own, and the cotangent has the shape and the dtype that NumPy gives the value."""
    for question in drawn(op):
        program = question.program
        if len(program.steps) == 1:
            operands = [program.inputs[a].materialise() for a in program.steps[0].args]
            with np.errstate(all="ignore"):
                value = in_numpy(op, operands, python_params(program.steps[0].params))
            if value is not None:
                assert (np.shape(value), value.dtype) == (question.cotangent.shape, question.cotangent.dtype), program


def test_directions_go_with_the_variables() -> None:
    for question in every():
        assert question.program.variables
        assert not question.program.constants[-1]
        for i, direction in zip(question.program.inputs, question.directions, strict=True):
            assert (direction is None) == i.constant
            if direction is not None:
                assert direction.shape == i.data.shape
                assert (direction != 0).all()


@pytest.mark.parametrize("op", OPS_OF_ROWS)
def test_bfloat16_can_be_asked_for(op: str) -> None:
    for question in some(questions(op, dtypes=("bfloat16",)), 15):
        assert str(question.program.working_dtype) == "bfloat16"
        values, gradients = on_float64(question)
        assert values[-1].shape == question.cotangent.shape
        assert all(np.isfinite(x).all() for x in (values[-1], *gradients) if x is not None), question.program
        assert Question.from_json(json.loads(json.dumps(question.to_json()))).id == question.id


def test_hardly_any_question_is_asked_twice() -> None:
    asked = some(questions("add"), 300)
    assert len({question.id for question in asked}) > 240


# -- arrays --------------------------------------------------------------------------------------------------------------------


def test_values_are_not_nearly_constant() -> None:
    shares = [
        len(np.unique(i.data)) / i.data.size
        for question in every()
        for i in question.program.inputs
        if i.data.dtype.kind == "f" and i.data.size >= 8 and i.layout != "broadcast"
    ]
    assert len(shares) > 500
    assert np.median(shares) == 1
    assert np.mean(np.array(shares) < 0.8) < 0.02


def test_values_are_readable() -> None:
    digits = [
        len(repr(abs(v)).partition("e")[0].replace(".", "").strip("0"))
        for question in every()
        for i in question.program.inputs
        if i.data.dtype == np.float64
        for v in i.data.ravel().tolist()
    ]
    assert np.mean(np.array(digits) <= 4) > 0.95


def test_all_layouts_kinds_and_dtypes_are_drawn() -> None:
    inputs = [i for question in every() for i in question.program.inputs]
    assert {i.layout for i in inputs} == set(LAYOUTS)
    assert {i.kind for i in inputs} == set(KINDS)
    assert {str(i.data.dtype) for i in inputs} >= {"float64", "float32", "int64", "int32", "uint8", "bool"}
    assert any(i.constant and i.kind == "array" and i.data.dtype.kind == "f" for i in inputs)
    mixed = [{i.data.dtype for i in q.program.inputs if i.kind == "array" and i.data.dtype.kind == "f"} for q in every()]
    assert any(len(dtypes) == 2 for dtypes in mixed)


def test_shapes_of_every_kind_are_drawn() -> None:
    shapes = Counter(i.data.shape for question in every() for i in question.program.inputs)
    assert shapes[()] > 50
    assert sum(0 in shape for shape in shapes) > 3
    assert sum(1 in shape for shape in shapes) > 5
    assert {len(shape) for shape in shapes} >= {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("op", "point"), [("tanh", 25.0), ("expm1", -40.0), ("sinc", 1e-8), ("log1p", 1e-10), ("prod", 0.0), ("absolute", 0.0)]
)
def test_special_points_are_drawn(op: str, point: float) -> None:
    asked = some(questions(op, max_steps=1), 200)
    assert any((i.data == i.data.dtype.type(point)).any() for question in asked for i in question.program.inputs)


@pytest.mark.parametrize("op", ["maximum", "minimum", "clip", "max", "min", "absolute"])
def test_kinks_are_drawn_sometimes(op: str) -> None:
    asked = some(questions(op, max_steps=1), 150)
    operands = [
        [q.program.inputs[a].data.astype(float) for a in q.program.steps[0].args[: len(CATALOGUE[op].domains)]] for q in asked
    ]
    kink = CATALOGUE[op].kink
    assert kink is not None
    at_kinks = sum(bool((kink.gap(*o) == 0).any()) for o in operands)
    assert 3 < at_kinks < 75


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("domain", ["(-inf, inf)", "(0, inf)", "(-1, 1)", "(-inf, -1) or (1, inf)", "sin != 0"])
def test_overrides_stay_in_the_domain(domain: str, dtype: str) -> None:
    for array in some(arrays(dtype, domain=domain), 60):
        assert array.dtype == dtype
        assert Domain(domain).contains(array)
        assert (np.abs(array) <= float_type(dtype).reach).all()


def test_an_override_list_shrinks_away() -> None:
    plain = smallest(arrays(shape=(4,)), lambda array: True)
    assert len(set(plain.tolist())) == 4
    special: tuple[Special, ...] = (25.0,)
    assert smallest(arrays(domain="(20, inf)", specials=special), lambda array: bool((array == 25).any())).size <= 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_lie_in_memory_as_asked(layout: str) -> None:
    for array in some(arrays(shape=(3, 2), layouts=[layout]), 5):
        assert array.shape == (3, 2)
        assert array.flags.writeable == (layout not in ("read-only", "broadcast"))
        assert (0 in array.strides) == (layout == "broadcast")
        assert array.flags.aligned == (layout != "unaligned")


# -- ufunc keywords ------------------------------------------------------------------------------------------------------------


def test_keywords_are_drawn_for_universal_functions_only() -> None:
    seen: Counter[str] = Counter()
    for question in every():
        for step in question.program.steps:
            words = {"where", "dtype"} & set(step.params)
            assert not words or CATALOGUE[step.op].keywords, step
            seen.update(words)
    assert min(seen["where"], seen["dtype"]) > 20


def test_a_mask_hides_what_lies_outside_the_domain() -> None:
    asked = some(questions("log", max_steps=1), 300)
    assert any((question.program.inputs[0].data <= 0).any() for question in asked)


def test_the_out_operand_has_the_value_s_shape_and_dtype() -> None:
    masked = [q for q in every() if "where" in q.program.steps[-1].params]
    assert masked
    for question in masked:
        out = question.program.inputs[question.program.steps[-1].args[-1]]
        assert (out.data.shape, out.data.dtype) == (question.cotangent.shape, question.cotangent.dtype)


# -- parameters ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (1, 3, 2), (0,), (2, 0), (200,)])
def test_indices_index(shape: tuple[int, ...]) -> None:
    x = np.arange(math.prod(shape)).reshape(shape)
    for index in some(indices(shape), 150):
        assert x[index].ndim >= 0


def test_indices_of_every_kind_are_drawn() -> None:
    parts = [part for index in some(indices((3, 4)), 300) for part in index]
    arrays_drawn = [part for part in parts if isinstance(part, np.ndarray)]
    assert {part.dtype.name for part in arrays_drawn} >= {"bool", "int64", "int32", "int8", "uint8"}
    assert any(part.dtype.kind != "b" and len(np.unique(part)) < part.size for part in arrays_drawn)
    assert any(part is None for part in parts)
    assert any(part is Ellipsis for part in parts)
    assert any(isinstance(part, slice) and part.step is not None and part.step < 0 for part in parts)


def test_einsum_takes_every_call() -> None:
    calls = some(einsum_calls(), 400)
    for subscripts, operands in calls:
        assert np.einsum(subscripts, *operands, optimize=len(operands) > 2).dtype == np.float64
    every_call = [subscripts for subscripts, _ in calls]
    assert {len(operands) for _, operands in calls} == {1, 2, 3}
    assert any("..." in call for call in every_call)
    assert any("->" not in call for call in every_call)
    assert any(len(set(term)) < len(term.replace("...", "")) for call in every_call for term in call.split("->")[0].split(","))
    assert any(len(operands) > 1 and operands[0] is operands[1] for _, operands in calls)


def test_reductions_take_every_spelling_of_an_axis() -> None:
    params = [step.params for question in drawn("sum") + drawn("mean") + drawn("max") for step in question.program.steps]
    axes = [p["axis"] for p in params if "axis" in p]
    assert None in axes
    assert any(isinstance(a, int) and a < 0 for a in axes)
    assert any(isinstance(a, list) for a in axes)
    assert any(p.get("keepdims") for p in params)


def test_shapes_of_partners_broadcast() -> None:
    for shape in SHAPES["any"]:
        for other in partners(shape):
            assert np.broadcast_shapes(shape, other)[len(np.broadcast_shapes(shape, other)) :] == ()
        assert all(np.broadcast_shapes(shape, other) == shape for other in partners(shape, "down"))
        assert all(np.broadcast_shapes(shape, other) == other for other in partners(shape, "up"))


# -- programs ------------------------------------------------------------------------------------------------------------------


def test_four_in_five_questions_about_an_op_are_one_step() -> None:
    lengths = Counter(len(question.program.steps) for question in every())
    assert 0.7 < lengths[1] / lengths.total() < 0.92
    assert max(lengths) <= 5


def test_programs_are_of_many_forms() -> None:
    asked = drawn(None, 500)
    assert {len(question.program.steps) for question in asked} == {2, 3, 4, 5, 6}
    assert len({op for question in asked for op in question.program.ops}) > len(CATALOGUE) * 0.9
    uses = [(q.program, Counter(a for step in q.program.steps for a in set(step.args))) for q in asked]
    assert any(any(len(set(step.args)) < len(step.args) for step in program.steps) for program, _ in uses)
    assert sum(max(count.values()) > 1 for _, count in uses) > 25
    assert any(any(n not in count for n in program.variables) for program, count in uses)
    assert any(any(i.constant for i in program.inputs) for program, _ in uses)
    small = [v.size <= MOST_ELEMENTS for question in asked for v in on_floats(question)[0]]
    assert np.mean(small) > 0.995


def test_programs_are_decided_on_balls() -> None:
    decided = 0
    for question in drawn(None, 500):
        try:
            with s.enclosing(256):
                values = forward(question.program, [s.lift(i.data) for i in question.program.inputs])
                gradients, _ = backward(question.program, values, s.lift(question.cotangent))
                decided += all(np.isfinite(s.to_float(g)).all() for g in gradients if g is not None)
        except s.Undecided:
            continue
    assert decided >= 498


def test_only_allowed_ops_are_drawn() -> None:
    allowed = {"log", "sqrt", "arctanh"}
    asked = some(questions(allow=allowed), 60)
    assert {op for question in asked for op in question.program.ops} == allowed


def test_programs_are_questions_without_their_cotangent() -> None:
    assert all(program.variables for program in some(programs(max_steps=3), 20))


@pytest.mark.parametrize("op", ["matmul", "einsum"])
def test_now_and_then_a_product_is_large_enough_for_a_fast_path(op: str) -> None:
    large = [q for q in some(questions(op, max_steps=1), 400) if max(i.data.size for i in q.program.inputs) > MOST_ELEMENTS]
    assert 1 <= len(large) <= 80
    program = large[0].program
    left, right = (program.inputs[a].data.shape for a in program.steps[0].args)
    subscripts = program.steps[0].params.get("subscripts", "...ij,...jk->...ik")
    path = np.einsum_path(subscripts, np.empty(left), np.empty(right), optimize=False)[1]
    assert float(path.split("Naive FLOP count:")[1].split()[0]) >= 2 * 2**14


@pytest.mark.parametrize("dtype", NAMES)
def test_the_narrowest_dtype_is_the_one_asked_for(dtype: str) -> None:
    """Wider arrays may take part where NumPy's promotion makes them: float32 with int64 gives float64."""
    assert all(str(question.program.working_dtype) == dtype for question in some(questions(dtypes=[dtype]), 60))


# -- shrinking -----------------------------------------------------------------------------------------------------------------


def test_a_question_shrinks_to_numbers() -> None:
    question = smallest(questions("exp"), lambda question: True)
    assert question.program.inputs[0].data.shape == ()
    assert [step.op for step in question.program.steps] == ["exp"]
    assert question.program.steps[0].params == {}


def test_steps_that_do_not_matter_shrink_away() -> None:
    def both(question: Question) -> bool:
        return {"exp", "log"} <= set(question.program.ops)

    question = smallest(questions(allow=["exp", "log", "sum", "add", "square"]), both)
    assert len(question.program.steps) == 2
    assert all(i.data.size <= 2 for i in question.program.inputs)


def test_overrides_that_do_not_matter_shrink_away() -> None:
    question = smallest(questions("tanh", max_steps=1), lambda question: bool((question.program.inputs[0].data == 25).any()))
    assert question.program.inputs[0].data.size == 1


def test_a_large_product_shrinks_to_a_small_one() -> None:
    question = smallest(questions("matmul", max_steps=1), lambda question: bool(question.cotangent.size > 1))
    assert max(i.data.size for i in question.program.inputs) <= 12


@pytest.mark.parametrize("op", [row.op for row in CATALOGUE.values()])
def test_there_are_parameters_for_every_shape_that_a_row_takes(op: str) -> None:
    row = CATALOGUE[op]
    simplest = Choices(lambda strategy: find(strategy, lambda drawn: True, settings=settings(database=None)))
    for shape in ((), (0,), (1,), (4,), (2, 0), (2, 4), (1, 2, 3), (4, 5, 5, 5), (2, 1, 3, 2, 30)):
        if SHAPE_KINDS[row.shapes](shape):
            assert isinstance(row.params(simplest, shape), dict)


# -- usage ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"op": "sine"}, "no 'sine'"),
        ({"allow": ["exp", "sine"]}, "no 'sine'"),
        ({"allow": []}, "allow= names no op"),
        ({"dtypes": ["complex64"]}, "float64, float32, float16, bfloat16"),
        ({"dtypes": []}, "float64, float32, float16, bfloat16"),
        ({"max_steps": 0}, "at least one step"),
    ],
)
def test_a_wrong_request_is_explained(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        questions(**wrong)


def test_wrong_requests_for_arrays_are_explained() -> None:
    with pytest.raises(ValueError, match="no interval"):
        arrays(domain="positive")
    with pytest.raises(ValueError, match="unknown"):
        arrays(layouts=["diagonal"])


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("(0, inf)", [1e-8, 5.0], [0.0, -1.0, 1e-12, math.inf, math.nan]),
        ("[-1, 1]", [-1.0, 0.0, 1.0], [1.0000001, math.nan]),
        ("(-inf, -1) or (1, inf)", [-1.5, 2.0], [1.0, -1.0, 0.0]),
        ("cos != 0", [0.0, 3.0], [math.pi / 2, 1e5]),
        ("integers [-3, 3]", [-3.0, 0.0, 2.0], [0.5, 4.0]),
        ("booleans", [0.0, 1.0], [2.0]),
    ],
)
def test_a_domain_contains_what_its_text_says(text: str, inside: list[float], outside: list[float]) -> None:
    assert Domain(text).inside(inside).all()
    assert not Domain(text).inside(outside).any()


def test_an_axis_that_is_too_long_for_any_window_is_not_convolved() -> None:
    choices = Choices(lambda strategy: 0)
    assert parameters.convolution(choices, (1, 1, 3)) is not None
    assert parameters.convolution(choices, (1, 1, 40)) is None
