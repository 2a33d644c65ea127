"""The directed modes are certified: tangents and Hessian-vector products are judged as gradients are, by Taylor series."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, seed

from adjudge.backends import installed, load, mirror
from adjudge.backends.faults import FAULTS, faulty
from adjudge.oracle import Program, Question, certify, judge
from adjudge.oracle.blame import blame
from adjudge.oracle.certificate import as_question
from adjudge.oracle.legs import gradient_differences
from adjudge.oracle.modes import MODES
from adjudge.oracle.program import Input
from adjudge.oracle.protocol import Answer, Unsupported
from adjudge.strategies import questions
from adjudge.strategies.seeded import seeded_settings
from adjudge.suite.run import check

#: One op of each kind: elementwise, with broadcasting, reductions, products, shapes, indices, windows, losses.
OPS = (
    "sin", "tanh", "multiply", "divide", "arctan2", "power", "sum", "var", "prod", "norm", "matmul", "einsum", "cumsum",
    "reshape", "concatenate", "getitem", "setitem", "where", "softmax", "conv_nd", "softmax_crossentropy",
)  # fmt: skip


@cache
def drawn(op: str, dtype: str = "float64") -> tuple[Question, ...]:
    out: list[Question] = []

    @given(questions(op, dtypes=(dtype,)))
    def collect(question: Question) -> None:
        out.append(question)

    with seeded_settings(12, shrink=False) as settings:
        seed(21)(settings(collect))()
    return tuple(out)


@pytest.mark.parametrize("fault", [name for name, fault in FAULTS.items() if MODES[fault.mode].directed])
@pytest.mark.parametrize("op", ["sin", "tanh", "divide", "power", "prod", "matmul", "softmax"])
def test_a_seeded_fault_of_a_directed_mode_is_rejected(op: str, fault: str) -> None:
    broken, mode = faulty(FAULTS[fault], op), FAULTS[fault].mode
    judgements = [judge(q, broken) for q in drawn(op)]
    assert any(j.failed for j in judgements), f"{fault} in {op} was not seen in {len(judgements)} questions"
    assert all(f.mode == mode for j in judgements if j.failed for f in j.findings if f.verdict == j.verdict)


@pytest.mark.parametrize("mode", ["jvp", "hvp"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("op", OPS)
def test_the_mirror_is_correct_in_directed_modes(op: str, dtype: str, mode: str) -> None:
    verdicts = [f.verdict for q in drawn(op, dtype) if (f := judge(q, mirror).modes.get(mode)) is not None]
    assert set(verdicts) <= {"correct", "undecided"}
    assert verdicts.count("correct") >= (len(verdicts) / 4 if dtype != "float16" else 1)


def test_the_truth_is_what_mpmath_has() -> None:
    x, v = np.array([0.5, 25.0, -3.0]), np.array([1.0, -2.0, 3.0])
    question = Question(Program.of([x], [("tanh", [0]), ("multiply", [1, 0])]), np.ones(3), (v,))
    certificate = certify(question)
    for mode, order in (("jvp", 1), ("hvp", 2)):
        (truth,) = MODES[mode].certify(certificate).arrays
        assert truth is not None
        with mpmath.workdps(60):
            due = [
                float(mpmath.diff(lambda t: mpmath.tanh(t) * t, mpmath.mpf(a), order) * b) for a, b in zip(x, v, strict=True)
            ]
        assert truth.nearest.tolist() == due
        assert (truth.allowance < 1e-14).all()


@pytest.mark.parametrize("op", OPS)
def test_differences_of_gradients_agree_with_second_order(op: str) -> None:
    stances = [gradient_differences(c).stance for q in drawn(op) if (c := certify(q)).decided and not c.kink]
    assert "disagrees" not in stances
    assert stances.count("agrees") >= len(stances) / 4


def test_differences_of_gradients_contradict_a_wrong_truth_of_second_order() -> None:
    certificate, other = certify(one("sin", [0.3])), certify(one("sin", [0.4]))
    for answered, truth in (MODES["hvp"].certify(other), other.truths_cache)[1].items():
        certificate.truths_cache[answered] = truth
    assert gradient_differences(certificate).stance == "disagrees"


# -- verdicts ------------------------------------------------------------------------------------------------------------------

Change = Callable[[np.ndarray, np.ndarray, Sequence[Any]], tuple[Any, Any]]


@dataclass
class TangentPretender:
    """A backend that answers as the mirror does, and pushes tangents in a way of its own."""

    push: Change = lambda value, tangent, inputs: (value, tangent)
    name: str = "pretender"
    numpy_dtypes: bool = True

    def versions(self) -> dict[str, str]:
        return {"pretender": "1"}

    def vjp(self, program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
        return mirror.vjp(program, inputs, cotangent)

    def jvp(self, program: Program, inputs: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        return self.push(*mirror.jvp(program, inputs, tangents), inputs)


def one(op: str, *operands: Any) -> Question:
    return as_question(Program.of([np.asarray(x) for x in operands], [(op, list(range(len(operands))))]))


def refuse(value: np.ndarray, tangent: np.ndarray, inputs: Sequence[Any]) -> Any:
    raise Unsupported("no forward mode of sin")


def stumble(value: np.ndarray, tangent: np.ndarray, inputs: Sequence[Any]) -> Any:
    raise ValueError("axis 7 is out of bounds")


def spoil(value: np.ndarray, tangent: np.ndarray, inputs: Sequence[Any]) -> Any:
    inputs[0][...] = 7
    return value, tangent


SAID: dict[str, tuple[Question, Change, str, str, str]] = {
    "half": (one("sin", [0.3]), lambda y, t, i: (y, t / 2), "wrong", "wrong", "off by"),
    "1 - y**2": (one("tanh", [25.0]), lambda y, t, i: (y, 1 - np.tanh(i[0]) ** 2), "lossy", "lossy", "bits lost"),
    "y + 1": (one("expm1", [-40.0]), lambda y, t, i: (y, np.expm1(i[0]) + 1), "lossy", "lossy", "bits lost"),
    "infinite": (one("sin", [0.3]), lambda y, t, i: (y, t * np.inf), "non-finite", "non-finite", "inf where"),
    "shape": (one("sin", [0.3]), lambda y, t, i: (y, t[None]), "contract", "contract", "shape (1, 1) where (1,) is due"),
    "dtype": (one("sin", [0.3]), lambda y, t, i: (y, t.astype(np.float32)), "contract", "contract", "dtype float32 beside"),
    "a list": (one("sin", [0.3]), lambda y, t, i: (y, t.tolist()), "contract", "contract", "a list where an array is due"),
    "input": (one("sin", [0.3]), spoil, "contract", "contract", "input a was changed"),
    "value": (one("sin", [0.3]), lambda y, t, i: (y * 2, t), "wrong", "wrong", "the value beside it: off by"),
    "crash": (one("sin", [0.3]), stumble, "crash", "crash", "ValueError: axis 7 is out of bounds"),
    "unsupported": (one("sin", [0.3]), refuse, "unsupported", "correct", "no forward mode of sin"),
    "a kink": (one("absolute", [0.0]), lambda y, t, i: (y, t + 9), "undecided", "correct", "not differentiable here"),
    "cancellation": (one("sum", [1e16, 1.0, -1e16]), lambda y, t, i: (y, t), "correct", "undecided", "within"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_a_verdict_on_the_tangent_is_given_where_it_is_due(name: str) -> None:
    question, push, verdict, of_all, reason = SAID[name]
    found = judge(question, TangentPretender(push))
    assert found.modes
    assert (found.modes["jvp"].verdict, found.verdict, found.modes["jvp"].where) == (verdict, of_all, "tangent")
    assert reason in found.modes["jvp"].reason
    assert (found.modes["jvp"] in found.findings) == (verdict not in ("correct", "undecided", "unsupported"))


def test_who_has_no_forward_mode_is_not_asked() -> None:
    answered = judge(one("sin", [0.3]), load("reference")).modes
    assert (answered["jvp"].verdict, answered["jvp"].reason) == ("unsupported", "reference has no jvp")
    assert not judge(one("sin", [0.3]), mirror, modes=("vjp",)).modes


def test_a_textbook_formula_with_another_sign_is_wrong() -> None:
    question = one("tanh", np.linspace(0.1, 0.9, 5))
    assert judge(question, TangentPretender(lambda y, t, i: (y, 1 - np.tanh(i[0]) ** 2))).verdict in ("correct", "lossy")
    assert judge(question, TangentPretender(lambda y, t, i: (y, np.tanh(i[0]) ** 2 - 1))).verdict == "wrong"


@pytest.mark.parametrize("op", ["multiply", "divide", "matmul"])
def test_rounding_of_products_whose_sum_cancels_is_honest(op: str) -> None:
    """The tangent of a product is a sum of products, which an honest library rounds one by one."""
    a, b = np.array([[-0.75]]), np.array([[0.25 + 2.0**-23 + 2.0**-54]])
    da, db = (3.0, 1.0) if op != "divide" else (3.0, -1.0)
    question = Question(Program.of([a, b], [(op, [0, 1])]), np.ones((1, 1)), (np.array([[da]]), np.array([[db]])))
    pushed = {"multiply": da * b + a * db, "matmul": da * b + a * db, "divide": da / b - a * db / (b * b)}[op]
    assert judge(question, TangentPretender(lambda y, t, i: (y, pushed))).verdict == "correct"


def test_directions_that_the_dtype_does_not_hold_are_not_judged_by() -> None:
    question = Question(Program.of([np.float16(0.3)], [("sin", [0])]), np.ones(()), (np.array(0.1),))
    assert judge(question, mirror).modes["jvp"].reason == "the directions are no numbers of the dtype"


def test_a_product_of_second_order_is_blamed_on_the_step_that_gets_it_wrong() -> None:
    program = Program.of([[0.3, 0.7]], [("sin", [0]), ("exp", [1]), ("multiply", [2, 0])])
    broken = faulty(FAULTS["sign flip (second order)"], "exp")
    found = judge(as_question(program), broken)
    assert (found.verdict, found.worst and found.worst.where) == ("wrong", "hvp of a")
    assert blame(found, broken).op == "exp"


def test_a_tangent_is_blamed_on_the_step_that_pushes_it_wrongly() -> None:
    program = Program.of([[0.3, 0.7]], [("sin", [0]), ("exp", [1]), ("multiply", [2, 0])])
    broken = faulty(FAULTS["sign flip (forward mode)"], "exp")
    found = judge(as_question(program), broken)
    assert found.verdict == "wrong"
    assert blame(found, broken).op == "exp"


# -- the shipped backends ------------------------------------------------------------------------------------------------------

FORWARD = ("jax", "torch", "autograd", "mirror")


@pytest.fixture(params=FORWARD)
def backend(request: pytest.FixtureRequest) -> Any:
    if installed()[request.param] is None:
        pytest.skip(f"{request.param} is not installed")
    return load(request.param)


def test_tangents_are_those_worked_out_by_hand(backend: Any) -> None:
    a, b, v = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([2.0, 0.5]), np.array([4.0, 8.0])
    program = Program.of([a, b, Input(v, constant=True)], [("matmul", [0, 1]), ("multiply", [3, 3]), ("add", [4, 2])])
    inputs, tangents = (
        [i.materialise() for i in program.inputs],
        [np.array([[1.0, 0.0], [2.0, -2.0]]), np.array([1.0, 2.0]), None],
    )
    value, tangent = backend.jvp(program, inputs, tangents)
    assert value.tolist() == [9 + 4, 30.25 + 8]
    assert tangent.tolist() == [2 * 3 * 7, 2 * 5.5 * 4]
    assert all(np.array_equal(x, i.data) for x, i in zip(inputs, program.inputs, strict=True))


def test_products_of_second_order_are_those_worked_out_by_hand() -> None:
    a, b = np.array([2.0, 3.0]), np.array([5.0, 7.0])
    program = Program.of([a, b], [("multiply", [0, 0]), ("multiply", [2, 1]), ("sum", [3])])  # sum of a**2 b
    for name in (*FORWARD, "reference"):
        if installed()[name] is None:
            continue
        backend = load(name)
        for way, product in backend.hvp.items():
            inputs = [i.materialise() for i in program.inputs]
            along = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
            by_a, by_b = map(np.asarray, product(program, inputs, np.array(1.0), along))
            assert by_a.tolist() == [2 * 5 * 1, 2 * 3 * 1], (name, way)
            assert by_b.tolist() == [2 * 2 * 1, 0], (name, way)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_variable_that_the_value_does_not_need_pushes_nothing(dtype: str, backend: Any) -> None:
    x = np.array([1.0, 2.0], dtype)
    program = Program.of([x, x], [("square", [0]), ("negative", [1])])
    value, tangent = backend.jvp(program, [x, x], [x * 0 + 1, x * 0])
    assert (value.tolist(), tangent.tolist(), tangent.dtype) == ([-1, -2], [0, 0], dtype)


def test_a_report_counts_the_verdicts_of_each_mode() -> None:
    summary = check("mirror", profile="quick", ops=("sin", "absolute"), dtypes=("float64",), jobs=1, legs=("balls", "series"))
    assert summary.status() == 0
    for mode in ("jvp", "hvp"):
        assert summary.ops["sin"].modes[mode]["correct"] > 5
        assert summary.modes[mode]["correct"] + summary.modes[mode]["undecided"] <= summary.judged
        assert summary.modes[mode]["undecided"] > 0
