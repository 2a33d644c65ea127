"""Certificates: the truth is true (mpmath is the outside witness), and the allowance is neither too wide nor too narrow."""

import itertools
import json
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import flint
import mpmath
import numpy as np
import pytest

from adjudge import Program, certify
from adjudge.oracle import Input, Question
from adjudge.oracle import numbers as scalars
from adjudge.oracle.certificate import Enclosure, Model
from adjudge.oracle.legs import exact_differences, float_differences, taylor
from adjudge.oracle.program import encode_index
from adjudge.oracle.reference import OPS

#: Elementwise ops that mpmath has, with a point in their domain.
WITNESSED = {
    "exp": (mpmath.exp, 1.25), "expm1": (mpmath.expm1, -40.0), "exp2": (lambda x: mpmath.mpf(2) ** x, 3.3),
    "log": (mpmath.log, 0.3), "log2": (lambda x: mpmath.log(x) / mpmath.log(2), 5.5), "log10": (mpmath.log10, 7.0),
    "log1p": (lambda x: mpmath.log(1 + x), 1e-10), "sin": (mpmath.sin, 2.0), "cos": (mpmath.cos, 2.0), "tan": (mpmath.tan, 1.2),
    "csc": (mpmath.csc, 1.1), "sec": (mpmath.sec, 0.4), "cot": (mpmath.cot, 0.9),
    "sinc": (lambda x: mpmath.sin(mpmath.pi * x) / (mpmath.pi * x), 1e-8),
    "arcsin": (mpmath.asin, 0.999), "arccos": (mpmath.acos, -0.3), "arctan": (mpmath.atan, 1.5), "arccsc": (mpmath.acsc, 1.01),
    "arcsec": (mpmath.asec, -2.5), "arccot": (lambda x: mpmath.atan(1 / x), -0.7), "sinh": (mpmath.sinh, 3.0),
    "cosh": (mpmath.cosh, 3.0), "tanh": (mpmath.tanh, 25.0), "csch": (mpmath.csch, 400.0), "sech": (mpmath.sech, 5.0),
    "coth": (mpmath.coth, 12.0), "arcsinh": (mpmath.asinh, -1e6), "arccosh": (mpmath.acosh, 1.0001),
    "arctanh": (mpmath.atanh, 0.9999), "arccsch": (lambda x: mpmath.asinh(1 / x), -0.01),
    "arccoth": (lambda x: mpmath.atanh(1 / x), 1.001), "sqrt": (mpmath.sqrt, 3.0), "cbrt": (mpmath.cbrt, 2.0),
    "reciprocal": (lambda x: 1 / x, 0.3), "square": (lambda x: x * x, 0.3), "negative": (lambda x: -x, 0.3),
    "positive": (lambda x: x, 0.3), "absolute": (abs, -0.3),
    "relu": (lambda x: max(x, 0), 0.3), "leaky_relu": (lambda x: x * mpmath.mpf(0.25), -0.3),
    "elu": (lambda x: 2 * mpmath.expm1(x), -0.3), "sigmoid": (lambda x: 1 / (1 + mpmath.exp(-x)), -30.0),
    "selu": (lambda x: mpmath.mpf(1.0507009873554804934) * mpmath.mpf(1.6732632423543772848) * mpmath.expm1(x), -0.3),
    "hard_tanh": (lambda x: x, 0.3), "soft_sign": (lambda x: x / (1 + abs(x)), -7.0),
}  # fmt: skip
#: What some of them must be told.
PARAMS = {"leaky_relu": {"slope": 0.25}, "elu": {"alpha": 2.0}}


@pytest.mark.parametrize("op", WITNESSED)
def test_values_and_slopes_are_mpmaths(op: str) -> None:
    f, x = WITNESSED[op]
    c = certify(Program.of([np.array(x)], [(op, [0], PARAMS.get(op, {}))]))
    with mpmath.workdps(80):
        value, slope = f(mpmath.mpf(x)), mpmath.diff(f, mpmath.mpf(x), h=mpmath.mpf(2) ** -80)
        assert c.value is not None
        assert c.gradients[0] is not None
        for truth, enclosure in ((value, c.value), (slope, c.gradients[0])):
            ours = mpmath.mpf(float(enclosure.nearest)) + mpmath.mpf(float(enclosure.residual))
            assert abs(ours - truth) <= mpmath.mpf(float(enclosure.radius)) + abs(truth) * mpmath.mpf(2) ** -70


def test_every_elementwise_op_of_one_operand_has_a_witness() -> None:
    single = {name for name, op in OPS.items() if op.elementwise and len(op.rules) == 1}
    assert single == set(WITNESSED)


@pytest.mark.parametrize(
    ("program", "slope"),
    [
        (Program.of([np.array([2.0, 0.0, 3.0])], [("prod", [0])]), [0.0, 6.0, 0.0]),
        (Program.of([np.array([2.0, 0.0, 3.0])], [("cumprod", [0])]), [1.0, 8.0, 0.0]),
        (Program.of([np.array([3.0, 4.0])], [("norm", [0])]), [0.6, 0.8]),
        (Program.of([np.array([1.0, 2.0, 3.0])], [("var", [0])]), [-2 / 3, 0.0, 2 / 3]),
        (Program.of([np.array([[1.0, 2.0], [3.0, 4.0]])], [("einsum", [0], {"subscripts": "ii"})]), [[1.0, 0.0], [0.0, 1.0]]),
        (Program.of([np.array([1.0, 2.0])], [("einsum", [0, 0], {"subscripts": "i,i"})]), [2.0, 4.0]),
        (Program.of([np.array([1.0, 2.0])], [("getitem", [0], {"index": encode_index(np.array([0, 0, 1]))})]), [2.0, 1.0]),
        (Program.of([np.array([0.0, 2.0])], [("log", [0, 0], {"where": [False, True]})]), [1.0, 0.5]),
        (Program.of([np.array([1.0, 5.0, 5.5])], [("multiply", [0, 0]), ("max", [1])]), [0.0, 0.0, 11.0]),
    ],
)  # fmt: skip
def test_gradients_known_by_hand(program: Program, slope: list[float]) -> None:
    truth = certify(program).gradients[0]
    assert truth is not None
    assert truth.error(np.array(slope)).max() <= 2.0**-52


def test_a_pole_that_nothing_flows_through_adds_nothing() -> None:
    x = np.array([0.0, 2.0])
    p = Program.of([np.array([False, True]), x, np.array(0.0)], [("log", [1]), ("where", [0, 3, 2])])
    truth = certify(p).gradients[1]
    assert truth is not None
    assert truth.nearest.tolist() == [0.0, 0.5]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("op", ["exp", "sin", "tanh", "log1p", "sqrt"])
def test_numpys_own_values_are_within_the_allowance_and_it_is_tight(op: str, dtype: str) -> None:
    x = np.linspace(0.1, 3.0, 400).astype(dtype)
    c = certify(Program.of([x], [(op, [0])]))
    assert c.value is not None
    assert (c.value.error(getattr(np, op)(x)) <= c.value.allowance).all()
    ulps = c.value.allowance / (np.abs(c.value.nearest) * float(np.finfo(dtype).eps))
    assert ulps.max() < 16


@pytest.mark.parametrize("n", [10, 1000])
def test_sums_are_allowed_any_order(n: int) -> None:
    x = np.random.default_rng(1).normal(size=n).astype(np.float32)
    c = certify(Program.of([x], [("sum", [0])]))
    assert c.value is not None
    orders = [np.float32(0)] * 3
    for k, order in enumerate((x, x[::-1], np.sort(x))):
        for v in order:
            orders[k] = orders[k] + v
    for total in orders:
        assert c.value.error(np.asarray(total)) <= c.value.allowance
    worst_case = n * 2.0**-24 * float(np.abs(x).sum())
    assert c.value.allowance < 6 * worst_case


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_cotangents_are_allowed_any_order(order: tuple[int, ...]) -> None:
    # Both reshapes change nothing: a library that skips them adds all three cotangents at x, in an order of its own.
    steps = [("reshape", [0], {"shape": [1]}), ("reshape", [1], {"shape": [1]}), ("concatenate", [0, 1, 2], {"axis": 0})]
    cotangent = np.array([0.013, 1.0, -1.0])
    truth = certify(Program.of([np.array([2.0])], steps), cotangent).gradients[0]
    assert truth is not None
    a, b, c = (cotangent[[n]] for n in order)
    assert truth.error((a + b) + c) <= truth.allowance
    assert truth.allowance < 1e-14


@pytest.mark.parametrize("zeros", [0, 2, 50, 110, 111, 112, 113, 150, 1000])
def test_the_slope_of_sinc_is_mpmaths_however_near_to_0(zeros: int) -> None:
    with mpmath.workprec(4000):
        x = mpmath.ldexp(mpmath.mpf(5), -3 - zeros)
        slope = mpmath.nstr((mpmath.cos(mpmath.pi * x) - mpmath.sin(mpmath.pi * x) / (mpmath.pi * x)) / x, 300)
    with scalars.enclosing(112):
        ball = np.asarray(scalars.sinc_derivative(scalars.boxed(flint.arb(5) * flint.arb(2) ** (-3 - zeros)))).item()
        with scalars.extra_bits(400):
            assert flint.arb(slope) in ball
        assert ball.rel_accuracy_bits() > 100


def test_a_branch_that_only_high_precision_decides_is_said_to_hang_on_rounding() -> None:
    near = 1 + 2.0**-52  # its cube is 1 + 3 * 2**-52 + 3 * 2**-104 + 2**-156
    p = Program.of(
        [np.array(near), np.array(1 + 3 * 2.0**-52), np.array(3 * 2.0**-104)],
        [("multiply", [0, 0]), ("multiply", [3, 0]), ("subtract", [4, 1]), ("subtract", [5, 2]), ("absolute", [6])],
    )
    assert "rounding decides" in certify(p).trouble


def test_at_a_tie_the_vertices_span_the_subdifferential() -> None:
    c = certify(Program.of([np.array([1.0, 1.0, 0.0])], [("max", [0])]))
    corners = {tuple(v[0].nearest.tolist()) for v in c.vertices if v[0] is not None}
    assert corners == {(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)}


def test_overflow_inside_the_program_is_not_judged() -> None:
    c = certify(Program.of([np.array(100.0, np.float32)], [("exp", [0]), ("reciprocal", [1])]))
    assert "beyond the range" in c.trouble


def test_outside_the_domain_is_said() -> None:
    assert "not differentiable" in certify(Program.of([np.array(0.0)], [("sqrt", [0])])).trouble


@pytest.mark.parametrize("op", ["tanh", "sinc", "arcsinh", "cbrt", "logaddexp", "arctan2", "power"])
def test_series_and_differences_agree_with_the_rules(op: str) -> None:
    operands = [np.array([0.75, 1.5])] * len(OPS[op].rules)
    c = certify(Program.of(operands, [(op, list(range(len(operands))))]))
    assert taylor(c).stance == "agrees"
    assert exact_differences(c).stance == "agrees"


def test_a_wrong_rule_is_caught_by_the_legs_that_use_no_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    monkeypatch.setitem(OPS, "sin", replace(OPS["sin"], rules=(lambda g, y, x: g * x,)))
    c = certify(Program.of([np.array([0.75])], [("sin", [0])]))
    assert taylor(c).stance == "disagrees"
    assert exact_differences(c).stance == "disagrees"


def test_a_slightly_wrong_rule_is_caught_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    right = OPS["tanh"].rules[0]
    assert right is not None
    monkeypatch.setitem(OPS, "tanh", replace(OPS["tanh"], rules=(lambda g, y, x: right(g, y, x) + right(g, y, x) * 2.0**-60,)))
    c = certify(Program.of([np.array([0.75])], [("tanh", [0])]))
    assert taylor(c).stance == "disagrees"
    assert exact_differences(c).stance == "disagrees"


def test_float_differences_know_their_error() -> None:
    slope, error = float_differences(lambda t: math.sin(1 + t))
    assert abs(slope - math.cos(1)) <= 10 * error + 1e-15
    assert error < 1e-9


def test_a_question_survives_json() -> None:
    p = Program.of([np.array([0.1, np.inf, -0.0]), np.array([1, 2, 3])], [("multiply", [0, 1]), ("sum", [2], {"axis": -1})])
    q = Question(p, np.array(2.5, np.float32), (np.ones(3), None))
    back = Question.from_json(json.loads(json.dumps(q.to_json(), allow_nan=False)))
    assert back.id == q.id
    assert back.program.inputs[0].data.tobytes() == p.inputs[0].data.tobytes()


def test_a_cotangent_wider_than_the_working_dtype_may_be_rounded() -> None:
    """Two float32 contributions that nearly cancel, of a float64 cotangent: a library may round each of them first."""
    x, beside = np.ones(1, np.float32), np.ones(1, np.int64)
    cotangent = np.array([1.23, -1.35, 0.0])
    c = certify(Program.of([x, Input(beside, constant=True)], [("concatenate", [0, 0, 1], {"axis": 0})]), cotangent)
    truth = c.gradients[0]
    assert truth is not None
    rounded = cotangent.astype(np.float32)
    assert truth.error(rounded[:1] + rounded[1:2]) <= truth.allowance
    assert truth.allowance < 2e-6


# -- products of matrices: exact rational arithmetic is the witness ------------------------------------------------------------


def _exactly(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A product of matrices in rational numbers."""
    rational = np.frompyfunc(lambda x: Fraction(float(x)), 1, 1)
    return np.asarray(np.asarray(rational(a)) @ np.asarray(rational(b)), dtype=object)


def _contains(enclosure: Enclosure | None, exact: np.ndarray) -> bool:
    """Whether every ball contains its rational number."""
    assert enclosure is not None
    with flint.ctx.workprec(4000):
        return all(
            ball.contains(flint.arb(flint.fmpq(x.numerator, x.denominator)))
            for ball, x in zip(np.asarray(enclosure.balls).reshape(-1), exact.reshape(-1), strict=True)
        )


#: On both sides of where products go through flint's matrices, and stacks.
PRODUCTS = [
    ((2, 3), (3, 2)),
    ((5, 5), (5, 5)),
    ((4, 9), (9, 7)),
    ((3, 5, 6), (6, 5)),
    ((5, 6), (2, 6, 4)),
    ((2, 5, 5), (2, 5, 5)),
]


def _product_question(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[Program, np.ndarray]:
    draw = np.random.default_rng(5)
    a, b = draw.normal(size=left), draw.normal(size=right)
    return Program.of([a, b], [("matmul", [0, 1])]), draw.normal(size=np.matmul(a, b).shape)


@pytest.mark.parametrize(("left", "right"), PRODUCTS)
def test_products_of_matrices_and_their_gradients_contain_the_rational_numbers(
    left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    program, cotangent = _product_question(left, right)
    a, b = (i.data for i in program.inputs)
    c = certify(program, cotangent)
    assert _contains(c.value, _exactly(a, b))
    for truth, exact, x in (
        (c.gradients[0], _exactly(cotangent, np.swapaxes(b, -1, -2)), a),
        (c.gradients[1], _exactly(np.swapaxes(a, -1, -2), cotangent), b),
    ):
        assert _contains(truth, np.asarray(exact if exact.ndim == x.ndim else exact.sum(axis=0), dtype=object))


def test_a_matrix_mistaken_for_another_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """On balls alone the first operand is taken for the second, so that the series stand against them."""
    program, cotangent = _product_question((5, 5), (5, 5))
    matmul = OPS["matmul"]
    by_first, by_second = matmul.rules
    assert by_first is not None

    def mistaken(a: Any, b: Any) -> Any:
        return a if scalars.arithmetic().balls else b

    confused = replace(
        matmul,
        forward=lambda a, b: matmul.forward(a, mistaken(a, b)),
        rules=(lambda g, y, a, b: by_first(g, y, a, mistaken(a, b)), by_second),
    )
    monkeypatch.setitem(OPS, "matmul", confused)
    c = certify(program, cotangent)
    assert not _contains(c.value, _exactly(*(i.data for i in program.inputs)))
    assert taylor(c).stance == "disagrees"


@pytest.mark.parametrize("side", [2, 8])
def test_products_are_allowed_any_order(side: int) -> None:
    draw = np.random.default_rng(2)
    a, b = (draw.normal(size=(side, 300)).astype(np.float32) for _ in range(2))
    c = certify(Program.of([a, b.T], [("matmul", [0, 1])]))
    assert c.value is not None
    terms = a[:, None, :] * b[None, :, :]
    for order in (np.arange(300), np.arange(300)[::-1], np.argsort(-np.abs(a[0])), np.argsort(a[0])):
        total = np.zeros((side, side), np.float32)
        for k in order:
            total = total + terms[..., k]
        assert (c.value.error(total) <= c.value.allowance).all()
    worst_case = 300 * 2.0**-24 * np.abs(terms).sum(axis=-1)
    assert (c.value.allowance < 6 * worst_case).all()


@pytest.mark.parametrize("columns", [1, 8])
def test_every_product_of_a_sum_may_underflow(columns: int) -> None:
    a, b = np.full((columns, 1000), 1e-162), np.full((1000, columns), 1e-162)  # each product is below half the smallest float
    c = certify(Program.of([a, b], [("matmul", [0, 1])]))
    assert c.value is not None
    honest = np.zeros((columns, columns))
    for k in range(1000):
        honest = honest + a[:, k, None] * b[None, k, :]
    assert (honest == 0).all()
    assert (c.value.nearest > 1e-322).all()
    assert (c.value.error(honest) <= c.value.allowance).all()


# -- sharp enough? -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("radius", "allowance", "sharp"),
    [(2.0**-64, 2.0**-52, True), (2.0**-60, 2.0**-52, False), (2.0**-60, 2.0**-40, True), (2.0**-49, 2.0**-40, False)],
)
def test_balls_are_sharp_a_thousandth_of_the_allowance(radius: float, allowance: float, sharp: bool) -> None:
    balls = np.array([flint.arb(1, radius), flint.arb(0)], dtype=object)
    enclosure = Enclosure(balls, np.array([1.0, 0.0]), np.array([allowance, 0.0]), Model(np.dtype("float64"), None, False))
    assert enclosure.sharp == sharp


def test_an_intermediate_that_vanishes_in_floats_may_be_lost() -> None:
    c = certify(Program.of([np.array(1e-200), np.array(1.0)], [("square", [0]), ("multiply", [2, 1])]))
    assert c.value is not None
    assert c.value.error(np.array(0.0)) <= c.value.allowance
    assert c.value.allowance >= 5e-324


def test_arccot_is_certified_at_0() -> None:
    c = certify(Program.of([np.array([0.0, 2.0])], [("arccot", [0])]))
    assert c.decided
    assert c.value is not None
    assert c.value.nearest.tolist() == [math.pi / 2, math.atan(0.5)]
