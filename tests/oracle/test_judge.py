"""The judge: each verdict is given where it is due, and the published blind spots of other checkers are seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from adjudge.backends import mirror
from adjudge.oracle import Program, Question, judge
from adjudge.oracle.blame import blame
from adjudge.oracle.certificate import as_question
from adjudge.oracle.protocol import Answer, Unsupported


@dataclass
class Pretender:
    """A backend that answers as the mirror does, then changes the answer."""

    change: Callable[[Answer, Sequence[Any]], Any] = lambda answer, inputs: None
    name: str = "pretender"
    numpy_dtypes: bool = True
    calls: list[int] = field(default_factory=list)

    def versions(self) -> dict[str, str]:
        return {"pretender": "1"}

    def vjp(self, program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
        answer = mirror.vjp(program, inputs, cotangent)
        self.change(answer, inputs)
        return answer


def formula(slope: Callable[[np.ndarray], Any]) -> Pretender:
    """A backend whose gradient of the first input is `slope` of it."""

    def change(answer: Answer, inputs: Sequence[Any]) -> None:
        with np.errstate(all="ignore"):
            answer.gradients[0] = np.asarray(slope(inputs[0]), dtype=inputs[0].dtype)

    return Pretender(change)


def one(op: str, *operands: Any, **params: Any) -> Question:
    return as_question(Program.of([np.asarray(x) for x in operands], [(op, list(range(len(operands))), params)]))


def test_the_mirror_is_correct() -> None:
    assert judge(one("tanh", 25.0), mirror).verdict == "correct"


# -- wrong and lossy -----------------------------------------------------------------------------------------------------------

LOSSY = {
    "tanh at 25 by 1 - y**2": (one("tanh", 25.0), lambda x: 1 - np.tanh(x) ** 2),
    "expm1 at -40 by y + 1": (one("expm1", -40.0), lambda x: np.expm1(x) + 1),
    "sinc at 1e-8 by the quotient rule": (
        one("sinc", 1e-8),
        lambda x: np.pi * (np.pi * x * np.cos(np.pi * x) - np.sin(np.pi * x)) / (np.pi * x) ** 2,
    ),
    "logaddexp by exp(x - y)": (one("logaddexp", 700.0, 710.0), lambda x: np.exp(x - np.logaddexp(x, 710.0))),
    "arcsin near 1 by 1 - x**2": (one("arcsin", 1 - 1e-12), lambda x: 1 / np.sqrt(1 - x**2)),
    "tanh at 4 in float32": (one("tanh", np.float32(4.0)), lambda x: 1 - np.tanh(x) ** 2),
}


@pytest.mark.parametrize("name", LOSSY)
def test_right_formulas_that_cancel_are_lossy(name: str) -> None:
    question, slope = LOSSY[name]
    found = judge(question, formula(slope))
    assert found.verdict == "lossy", found.findings
    assert found.worst is not None
    assert found.worst.bits_lost > 1
    assert not found.failed


WRONG = {
    "a sign flip": lambda x: -np.cos(x),
    "a missing term": lambda x: np.cos(x) + x,
    "a factor 1 + 1e-9": lambda x: np.cos(x) * (1 + 1e-9),
    "a factor 1 + 1e-12": lambda x: np.cos(x) * (1 + 1e-12),
    "half": lambda x: np.cos(x) / 2,
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_formulas_are_wrong(name: str) -> None:
    found = judge(one("sin", [0.3, 1.1]), formula(WRONG[name]))
    assert found.verdict == "wrong"
    assert found.failed


@pytest.mark.parametrize("op", ["tanh", "expm1", "sinc"])
def test_where_textbooks_lose_digits_a_wrong_sign_is_still_wrong(op: str) -> None:
    formulas: dict[str, Callable[[Any], Any]] = {
        "tanh": lambda x: np.cosh(x) ** -2.0,
        "expm1": np.exp,
        "sinc": lambda x: (np.cos(np.pi * x) - np.sinc(x)) / x,
    }
    right = formulas[op]
    assert judge(one(op, [0.4, 0.9]), formula(lambda x: -right(x))).verdict == "wrong"
    assert judge(one(op, [0.4, 0.9]), formula(lambda x: right(x) * (1 + 1e-9))).verdict == "wrong"


def test_a_correctly_rounded_answer_one_ulp_off_is_correct() -> None:
    assert judge(one("sin", [0.3, 1.1]), formula(lambda x: np.nextafter(np.cos(x), 2))).verdict == "correct"


def test_a_forward_value_can_be_wrong_too() -> None:
    def change(answer: Answer, inputs: Sequence[Any]) -> None:
        answer.value = answer.value * (1 + 1e-9)

    found = judge(one("exp", [0.3, 1.1]), Pretender(change))
    assert found.verdict == "wrong"
    assert found.worst is not None
    assert found.worst.where == "value"


# -- the other verdicts --------------------------------------------------------------------------------------------------------


def test_nan_is_non_finite() -> None:
    assert judge(one("sin", [0.3, 1.1]), formula(lambda x: x * np.nan)).verdict == "non-finite"


def test_nan_is_not_excused_by_a_masked_pole() -> None:
    program = Program.of([[True, False], [1.0, 0.0], 0.0], [("log", [1]), ("where", [0, 3, 2])])

    def change(answer: Answer, inputs: Sequence[Any]) -> None:
        answer.gradients[1] = np.array([1.0, np.nan])

    assert judge(as_question(program), Pretender(change)).verdict == "non-finite"


def test_a_raised_exception_is_a_crash_with_its_own_words() -> None:
    def change(answer: Answer, inputs: Sequence[Any]) -> None:
        raise ValueError("axis 7 is out of bounds")

    found = judge(one("sin", 0.3), Pretender(change))
    assert found.verdict == "crash"
    assert found.worst is not None
    assert found.worst.reason == "ValueError: axis 7 is out of bounds"


def test_what_is_unsupported_is_not_a_failure() -> None:
    def change(answer: Answer, inputs: Sequence[Any]) -> None:
        raise Unsupported("no einsum here")

    found = judge(one("sin", 0.3), Pretender(change))
    assert (found.verdict, found.failed) == ("unsupported", False)


def test_beyond_the_domain_nothing_is_decided() -> None:
    assert judge(one("sqrt", 0.0), mirror).verdict == "undecided"


def test_an_ill_conditioned_example_is_no_pass() -> None:
    question = as_question(Program.of([[1e16, 1.0, -1e16]], [("sum", [0])]))
    found = judge(question, mirror)
    assert found.verdict == "undecided"
    assert found.worst is not None
    assert "ill-conditioned" in found.worst.reason


CONTRACTS: dict[str, Callable[[Answer, Sequence[Any]], None]] = {
    "shape": lambda a, i: a.gradients.__setitem__(0, a.gradients[0][None]),  # type: ignore[index]
    "dtype": lambda a, i: a.gradients.__setitem__(0, a.gradients[0].astype(np.float32)),  # type: ignore[union-attr]
    "no gradient": lambda a, i: a.gradients.__setitem__(0, None),
    "changed": lambda a, i: i[0].__setitem__(0, 5.0),
    "shares memory": lambda a, i: a.gradients.__setitem__(0, i[0]),
    "where an array is due": lambda a, i: a.gradients.__setitem__(0, a.gradients[0].tolist()),  # type: ignore[union-attr]
    "dtype float32 where NumPy gives float64": lambda a, i: setattr(a, "value", a.value.astype(np.float32)),
}


@pytest.mark.parametrize("words", CONTRACTS)
def test_breaches_of_contract(words: str) -> None:
    found = judge(one("multiply", [2.0, 3.0], [0.5, 0.25]), Pretender(CONTRACTS[words]))
    assert found.verdict == "contract"
    assert any(words in f.reason for f in found.findings), found.findings


def test_two_gradients_that_share_memory_break_the_contract() -> None:
    def change(answer: Answer, inputs: Sequence[Any]) -> None:
        answer.gradients[1] = answer.gradients[0]

    assert judge(one("add", [2.0, 3.0], [0.5, 0.25]), Pretender(change)).verdict == "contract"


def test_an_unsteady_answer_breaks_the_contract() -> None:
    noise = np.random.default_rng(0)
    found = judge(one("sin", [0.3, 1.1]), formula(lambda x: np.cos(x) + noise.normal() * 1e-17 * (noise.normal() > -9)))
    unsteady = judge(one("sin", [0.3, 1.1]), formula(lambda x: np.cos(x) * (1 + noise.normal() * 3e-16)))
    assert found.verdict == "correct"
    assert unsteady.verdict == "contract"


# -- kinks ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slopes", "verdict"),
    [
        (([1.0], [0.0]), "correct"),
        (([0.0], [1.0]), "correct"),
        (([0.5], [0.5]), "correct"),
        (([0.0], [0.0]), "outside subdifferential"),
        (([1.0], [1.0]), "outside subdifferential"),
        (([0.75], [0.5]), "outside subdifferential"),
        (([2.0], [-1.0]), "outside subdifferential"),
        (([np.nan], [1.0]), "non-finite"),
    ],
)
def test_at_a_tie_of_maximum_a_subgradient_is_due(slopes: tuple[list[float], list[float]], verdict: str) -> None:
    def change(answer: Answer, inputs: Sequence[Any]) -> None:
        answer.gradients[:] = [np.array(s) for s in slopes]

    assert judge(one("maximum", [3.0], [3.0]), Pretender(change)).verdict == verdict


@pytest.mark.parametrize(
    ("slope", "verdict"), [(-1.0, "correct"), (0.0, "correct"), (0.3, "correct"), (1.5, "outside subdifferential")]
)
def test_absolute_at_zero(slope: float, verdict: str) -> None:
    assert judge(one("absolute", [0.0]), formula(lambda x: x + slope)).verdict == verdict


def test_beside_a_kink_the_smooth_elements_are_judged_as_ever() -> None:
    assert judge(one("absolute", [0.0, 2.0]), formula(lambda x: np.array([0.5, 0.9]))).verdict == "wrong"


def test_at_a_kink_lost_digits_are_lost_digits() -> None:
    """The slope of tanh by 1 - y**2, twice, after a tie of which the second element is picked."""
    x = np.array([-0.0, -4.0, -4.0], np.float32)
    question = as_question(Program.of([x], [("min", [0]), ("tanh", [1]), ("tanh", [2])]))
    y = np.tanh(x[1])
    slope = (1 - y * y) * (1 - np.tanh(y) ** 2)

    assert judge(question, formula(lambda x: np.array([0, slope, 0]))).verdict == "lossy"
    assert judge(question, formula(lambda x: np.array([0, slope / 2, slope / 2]))).verdict == "lossy"
    for wrong in ([0, slope, slope], [0, slope * 1.01, 0], [slope, 0, 0], [0, -slope, 0]):
        found = judge(question, formula(lambda x, wrong=wrong: np.array(wrong)))  # type: ignore[misc]
        assert found.verdict in ("wrong", "outside subdifferential")


def test_at_a_kink_a_wide_allowance_is_that_of_every_choice() -> None:
    """Where one choice of branches is exact and the other ill-conditioned, an honest answer by the latter is no mistake."""
    inputs = [np.array([2, 1, 1], np.float16), np.array([-5, 1, 9], np.float16), np.array(-1)]
    steps = [
        ("margin_ranking_loss", [0, 1, 2], {"margin": 0}),
        ("sec", [3]),
        ("multiply", [4, 3]),
        ("tan", [5]),
        ("subtract", [6, 4]),
    ]

    def change(answer: Answer, inputs: Sequence[Any]) -> None:
        answer.gradients[:2] = [np.array([g, g, 0], np.float16) for g in (0.2295, -0.2295)]

    found = judge(as_question(Program.of(inputs, steps)), Pretender(change))
    assert found.certificate.kink
    assert not found.failed, found.findings


# -- blame ---------------------------------------------------------------------------------------------------------------------


def test_the_faulty_step_of_a_longer_program_is_blamed() -> None:
    from adjudge.backends.faults import FAULTS, faulty

    program = Program.of([[0.3, 0.7]], [("sin", [0]), ("exp", [1]), ("multiply", [2, 0])])
    broken = faulty(FAULTS["sign flip"], "exp")
    found = judge(as_question(program), broken)
    assert found.verdict == "wrong"
    assert blame(found, broken).op == "exp"


def test_a_step_that_nothing_comes_of_is_blamed_where_it_raises() -> None:
    class Refusing(Pretender):
        """Raises wherever a program takes an exponential."""

        def vjp(self, program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
            if "exp" in program.ops:
                raise ValueError("no exponentials today")
            return mirror.vjp(program, inputs, cotangent)

    program = Program.of([np.array([0.5, 2.0])], [("exp", [0]), ("sin", [0])])
    found = judge(as_question(program), Refusing())
    assert found.verdict == "crash"
    assert blame(found, Refusing()).op == "exp"


def test_a_step_is_blamed_that_fails_after_another_one_only() -> None:
    class Forgetful(Pretender):
        """Takes the exponential of a transposed array in the order that it has in memory."""

        def vjp(self, program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
            answer = mirror.vjp(program, inputs, cotangent)
            ops = [step.op for step in program.steps]
            if ops[:2] == ["transpose", "exp"]:
                x = np.exp(inputs[0]).reshape(answer.value.shape)
                answer.value = x if len(ops) == 2 else np.sin(x)
            return answer

    program = Program.of([np.arange(6.0).reshape(2, 3)], [("transpose", [0]), ("exp", [1]), ("sin", [2])])
    found = judge(as_question(program), Forgetful())
    assert found.verdict == "wrong"
    blamed = blame(found, Forgetful())
    assert (blamed.op, blamed.step) == ("exp", 1)
    assert "right alone" in blamed.note


def test_a_dropped_term_is_blamed_on_accumulation() -> None:
    program = Program.of([[0.3, 0.7]], [("sin", [0]), ("exp", [0]), ("multiply", [1, 2])])

    class Forgetful(Pretender):
        def vjp(self, program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
            answer = super().vjp(program, inputs, cotangent)
            if len(program.steps) == 3:
                answer.gradients[0] = np.sin(inputs[0]) * np.exp(inputs[0])
            return answer

    found = judge(as_question(program), Forgetful())
    assert found.verdict == "wrong"
    assert blame(found, Forgetful()).op == "accumulation"


# -- what other checkers do not see --------------------------------------------------------------------------------------------


def test_an_all_zero_float32_derivative_of_360_elements_is_seen() -> None:
    """JAX's check_grads multiplies its tolerance by the size of the array."""
    x = np.linspace(0.1, 3, 360, dtype=np.float32)
    assert judge(one("sin", x), formula(lambda x: x * 0)).verdict == "wrong"


def test_a_reversed_gradient_of_2048_elements_is_seen() -> None:
    """The fast gradcheck of torch looks along one random direction only."""
    x = np.linspace(0.1, 3, 2048)
    assert judge(one("sin", x), formula(lambda x: np.cos(x)[::-1])).verdict == "wrong"


@pytest.mark.parametrize(("op", "x"), [("tanh", 25.0), ("expm1", -40.0), ("sinc", 1e-8)])
def test_a_gradient_of_zero_where_the_truth_is_tiny_is_seen(op: str, x: float) -> None:
    found = judge(one(op, x), formula(lambda x: x * 0))
    assert found.verdict in ("lossy", "wrong")
    assert found.worst is not None
    assert found.worst.bits_lost > 50
