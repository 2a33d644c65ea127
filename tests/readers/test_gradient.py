"""Certified gradients of functions written with NumPy calls, and the check of other people's gradients."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import adjudge
from adjudge import NotCertified, assert_gradient, gradient
from adjudge.oracle.program import Program
from adjudge.readers.numpy import trace

mpmath: Any = pytest.importorskip("mpmath")

#: A function, its derivative in mpmath's words, and points that its textbook formulas lose digits at.
DERIVATIVES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], list[float]]] = {
    "exp": (np.exp, lambda x: mpmath.exp(x), [0.1, -40.0, 700.0]),
    "log": (np.log, lambda x: 1 / x, [0.1, 1.0, 3.0, 1e-300]),
    "tanh": (np.tanh, lambda x: mpmath.sech(x) ** 2, [0.1, 25.0, -3.0, 300.0]),
    "expm1": (np.expm1, lambda x: mpmath.exp(x), [-40.0, 1e-10]),
    "sinc": (np.sinc, lambda x: (mpmath.cospi(x) - mpmath.sincpi(x)) / x, [1e-8, 0.25, 1.0]),
    "arcsin": (np.arcsin, lambda x: 1 / mpmath.sqrt(1 - x * x), [0.1, 0.9999999999999999]),
    "cbrt": (np.cbrt, lambda x: 1 / (3 * mpmath.cbrt(x) ** 2), [1e-8, 8.0]),
    "1/x - 1/(x + 1)": (lambda x: 1 / x - 1 / (x + 1), lambda x: 1 / (x + 1) ** 2 - 1 / x**2, [1e8, 3.0]),
    "x**x": (lambda x: x**x, lambda x: x**x * (mpmath.log(x) + 1), [0.5, 0.36787944117144233]),
    "log1p(exp(x))": (lambda x: np.log1p(np.exp(x)), lambda x: 1 / (1 + mpmath.exp(-x)), [-800.0, -5.0, 30.0]),
}


def nearest(exact: Any, dtype: Any) -> float:
    """An mpmath number rounded once, by exact comparison with the neighbours."""
    sign, mantissa, exponent, _ = exact._mpf_
    value = Fraction(-mantissa if sign else mantissa) * Fraction(2) ** exponent
    guess = np.asarray(float(value), dtype=dtype)[()]
    around = [np.nextafter(guess, dtype(-np.inf)), guess, np.nextafter(guess, dtype(np.inf))]
    return float(min(around, key=lambda f: abs(Fraction(float(f)) - value)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("name", DERIVATIVES)
def test_gradients_are_mpmaths_correctly_rounded(name: str, dtype: type) -> None:
    function, derivative, points = DERIVATIVES[name]
    with np.errstate(over="ignore"):
        kept: np.ndarray = np.array(points).astype(dtype)
    kept = kept[(kept != 0) & (abs(kept) < (1 if name == "arcsin" else np.inf))]
    (got,) = gradient(function, kept)
    assert got.dtype == dtype
    with mpmath.workdps(400):
        for point, g in zip(kept, got, strict=True):
            exact = derivative(mpmath.mpf(float(point)))
            if abs(exact) < float(np.finfo(dtype).max):
                assert float(g) == nearest(exact, dtype), point


@given(st.fractions(min_value=-(2**20), max_value=2**20, max_denominator=2**16), st.sampled_from(["float32", "float16"]))
def test_a_number_is_rounded_once(number: Fraction, dtype: str) -> None:
    """The gradient of (n x) / d is n / d: rounding it to float64 first would round twice."""
    x = np.ones((), dtype)
    n, d = np.float64(number.numerator), np.float64(number.denominator)
    (got,) = gradient(lambda x: x * n / d, x)
    if abs(number) < Fraction(float(np.finfo(dtype).max)):
        kind = np.dtype(dtype).type
        with np.errstate(over="ignore"):
            guess = kind(float(number))
            around = [kind(np.nextafter(guess, kind(-np.inf))), guess, kind(np.nextafter(guess, kind(np.inf)))]
        best = min(abs(Fraction(float(f)) - number) for f in around if np.isfinite(f))
        assert abs(Fraction(float(got)) - number) == best


def test_half_way_goes_to_the_even_one() -> None:
    tie = np.float64(1 + 2.0**-24)
    (got,) = gradient(lambda x: x * tie, np.float32(1.0))
    assert got == np.float32(1.0)
    (got,) = gradient(lambda x: x * (tie + 2.0**-50), np.float32(1.0))
    assert got == np.float32(1 + 2.0**-23)


def test_the_smallest_numbers_and_the_largest() -> None:
    tiny = 5e-324
    assert gradient(lambda x: x * tiny, 1.0)[0] == tiny
    assert gradient(lambda x: x * tiny * 0.5, 1.0)[0] == 0.0
    assert gradient(lambda x: x * tiny * 0.75, 1.0)[0] == tiny
    assert gradient(lambda x: np.exp(x * 2000.0), 1.0)[0] == np.inf
    assert not np.signbit(gradient(lambda x: x * -tiny * 0.25, 1.0)[0])


# -- what a function may do ----------------------------------------------------------------------------------------------------


def softmax(x: Any) -> Any:
    shifted = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return shifted / np.sum(shifted, axis=-1, keepdims=True)


def filled(x: Any) -> Any:
    out = np.zeros_like(x)
    out[0] = x[1] ** 2
    out[1:] = np.cumsum(x)[1:]
    out /= out.sum()
    return out[::-1] * np.arange(len(x))


def unlike_floats(x: Any) -> Any:
    total = 0.0
    for row in x:
        if row.sum() > 1:
            total = total + np.dot(row, row) / len(row)
    return total + x.T.reshape(-1)[[0, 0, 2]].sum() + x.astype(np.float32).copy().mean()


def test_a_function_may_index_assign_update_branch_and_loop() -> None:
    assert np.array_equal(gradient(lambda x: softmax(x)[0], [[0.5, 0.5], [0.5, 0.5]])[0], [[0.0, 0.0], [0.0, 0.0]]) is True
    x = np.array([1.0, 2.0, 3.0])
    (got,) = gradient(filled, x)
    assert_gradient(filled, x, got)
    assert np.array_equal(x, [1.0, 2.0, 3.0])
    (got,) = gradient(unlike_floats, np.array([[0.25, 0.5], [1.0, 2.0]]))
    assert np.array_equal(got, [[2.25, 1.25], [1.25, 2.25]])


def test_several_arguments_have_gradients_of_their_own_shapes_and_dtypes() -> None:
    got = gradient(lambda a, b, n, c: np.sum(a @ b) * n + 0 * c, np.eye(2, 3), np.ones((3, 1), np.float32), 3, 1.5)
    assert [None if g is None else (g.shape, str(g.dtype)) for g in got] == [
        ((2, 3), "float64"),
        ((3, 1), "float32"),
        None,
        ((), "float64"),
    ]
    assert np.array_equal(got[1], [[3.0], [3.0], [0.0]])


def test_integers_may_say_where_and_how_often() -> None:
    (got, none) = gradient(lambda x, n: sum(x[n] * k for k in range(int(n))), [1.0, 2.0, 3.0, 4.0], 3)
    assert np.array_equal(got, [0.0, 0.0, 0.0, 3.0])
    assert none is None


def test_a_function_that_does_not_depend_on_an_argument_has_gradient_zero() -> None:
    assert np.array_equal(gradient(lambda x: 3.0, [1.0, 2.0])[0], [0.0, 0.0])
    assert np.array_equal(gradient(lambda x, y: x * 1, [1.0], [2.0])[1], [0.0])
    assert np.array_equal(gradient(lambda x: x, [1.0, 2.0])[0], [1.0, 1.0])
    assert np.array_equal(gradient(lambda x: np.sum(x > 1), [1.0, 2.0])[0], [0.0, 0.0])


def test_a_trace_is_a_program_that_survives_json() -> None:
    def everything(x: Any, y: Any) -> Any:
        z = np.einsum("ij,kj->ik", x, y)
        z[0, ::2] = np.where(y[0, 0] > 0, z[1, ::2], 0.5)
        z = np.exp(z, where=np.eye(2, dtype=bool), out=z)
        return np.stack([z[:, [1, 0]], np.clip(z, -1, 1)]).transpose(1, 0, 2).reshape((2, -1)).mean(axis=(0, 1))

    program = trace(everything, [np.array([[0.5, 0.25]] * 2), np.array([[0.125, 1.0]] * 2)])
    assert program is not None
    again = Program.from_json(program.to_json())
    assert str(again) == str(program)
    assert adjudge.certify(again).decided


def test_a_branch_that_is_not_taken_has_no_say() -> None:
    (got,) = gradient(lambda x: np.where(x > 0, np.log(x), 0.0), [-1.0, 0.0, 4.0])
    assert np.array_equal(got, [0.0, 0.0, 0.25])


# -- what it says where there is no gradient -----------------------------------------------------------------------------------

REFUSALS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "an unknown function": (lambda: gradient(np.sort, [2.0, 1.0]), TypeError, "numpy.sort has no derivative here"),
    "an unknown method": (lambda: gradient(lambda x: np.add.at(x, 0, 1.0), [2.0]), TypeError, "numpy.add.at has no"),
    "a domain": (lambda: gradient(np.log, [1.0, -1.0]), NotCertified, r"log is outside its domain: at \(1,\) .* is -1"),
    "a pole": (lambda: gradient(np.sqrt, [4.0, 0.0]), NotCertified, r"sqrt is not differentiable: at \(1,\) .* is 0"),
    "a pole within": (lambda: gradient(lambda x: 1 / (x - 2), 2.0), NotCertified, "divide is outside .* 1 and 0"),
    "a kink": (lambda: gradient(np.abs, [0.0]), NotCertified, r"absolute .* argument 0 at \(0,\) may be -1 or 1"),
    "a tie": (lambda: gradient(np.maximum, [1.0], [1.0]), NotCertified, "maximum is not differentiable .* may be 0 or 1"),
    "many ties": (lambda: gradient(np.abs, np.zeros(9)), NotCertified, "absolute is at a tie in 9 places"),
    "NaN": (lambda: gradient(np.exp, [np.nan]), NotCertified, r"input a is nan at \(0,\)"),
    "integers": (lambda: gradient(np.exp, [1, 2]), TypeError, "among int64: give floats, 2.0 for 2"),
    "no arguments": (lambda: gradient(np.exp), TypeError, "among no arguments"),
    "complex": (lambda: gradient(np.exp, 1j), TypeError, "argument 0 is of complex128"),
    "a tuple": (lambda: gradient(lambda x: (x, x), 1.0), TypeError, "returned a tuple: it must return one array"),
    "float()": (lambda: gradient(lambda x: float(x), 1.0), TypeError, "loses their derivative"),
    "item()": (lambda: gradient(lambda x: x.item(), 1.0), TypeError, r"item\(\) takes the numbers out"),
    "asarray": (lambda: gradient(lambda x: np.asarray(x) * 2, 1.0), TypeError, "numpy.asarray .* loses their derivative"),
    "int": (lambda: gradient(lambda x: x.astype(int), 1.0), TypeError, r"astype\(int64\) takes the numbers out"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_it_says_where_and_why_there_is_no_gradient(case: str) -> None:
    call, kind, sentence = REFUSALS[case]
    with pytest.raises(kind, match=sentence):
        call()


def test_writing_into_an_array_is_refused_with_the_remedy() -> None:
    def f(x: Any) -> Any:
        out = np.zeros(2)
        out[0] = x[0]
        return out

    with pytest.raises(TypeError, match="numpy.zeros_like of the argument"):
        gradient(f, [1.0, 2.0])


def test_a_tie_of_no_consequence_is_none() -> None:
    assert np.array_equal(gradient(lambda x: np.maximum(x, x), [1.0, 2.0])[0], [1.0, 1.0])


# -- assert_gradient -----------------------------------------------------------------------------------------------------------

X = np.array([0.5, 25.0])


def test_honest_gradients_pass_in_every_dtype() -> None:
    for dtype in ("float64", "float32", "float16"):
        x = X.astype(dtype)
        with np.errstate(over="ignore", divide="ignore"):
            assert_gradient(np.tanh, [x[:1]], [1 / np.cosh(x[:1]) ** 2])
        assert_gradient(lambda a, b: a * b, [x, x[::-1]], [x[::-1], x])
    assert_gradient(np.tanh, X, (1 / np.cosh(X) ** 2).tolist())
    assert_gradient(lambda x, n: x**n, [X, 3], [3 * X**2, None])
    assert_gradient(lambda x: 3.0, [X], [[0.0, 0.0]])


def test_any_subgradient_passes_at_a_kink() -> None:
    for slope in (-1.0, 0.0, 0.5, 1.0):
        assert_gradient(np.abs, [[0.0, 2.0]], [[slope, 1.0]])


BROKEN: dict[str, tuple[Callable[..., Any], list[Any], list[Any], str]] = {
    "wrong": (lambda a, b: a * b, [X, X], [X, X + [0.0, 0.1]], r"argument 1 at \(1,\) is wrong: off by 0.1"),
    "a few ulps": (np.sin, [[1.0]], [np.cos([1.0]) + 2.0**-46], r"argument 0 at \(0,\) is (wrong|lossy)"),
    "digits lost": (np.tanh, [X], [1 - np.tanh(X) ** 2], r"argument 0 at \(1,\) is lossy: 52 bits lost"),
    "not finite": (np.sin, [X], [[np.nan, 1.0]], r"argument 0 at \(0,\) is non-finite: nan where the truth is 0.877583"),
    "no subgradient": (np.abs, [[0.0]], [[2.0]], r"is outside subdifferential: 2 where a subgradient lies in \[-1, 1\]"),
    "the wrong shape": (np.sin, [X], [[1.0, 2.0, 3.0]], r"is of shape \(3,\): the argument's shape is \(2,\)"),
    "none": (np.sin, [X], [None], "argument 0 is none"),
    "too few": (np.add, [X, X], [X], "1 gradients for 2 arrays"),
    "of a constant": (lambda x: 3.0, [X], [X], "off by"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_gradient_that_no_rounding_explains_is_refused(case: str) -> None:
    f, arrays, got, sentence = BROKEN[case]
    with pytest.raises(AssertionError, match=sentence):
        assert_gradient(f, arrays, got)


def test_the_refusal_shows_what_each_leg_says() -> None:
    with pytest.raises(AssertionError) as refusal:
        assert_gradient(np.exp, [[0.5, 2.0]], [np.exp([0.5, 3.0])])
    rows = dict(re.findall(r"^  (\w+) +(\S+)$", str(refusal.value), re.MULTILINE))
    assert list(rows) == ["got", "expected", "error", "allowance", "series", "differences"]
    assert rows["expected"] == rows["series"] == rows["differences"] == "7.38905609893065"
    assert rows["got"] == "20.085536923187668"
    assert float(rows["allowance"]) < 1e-13 < float(rows["error"])


def test_what_cannot_be_certified_is_no_failure() -> None:
    with pytest.raises(NotCertified, match="log is outside its domain"):
        assert_gradient(np.log, [[-1.0]], [[-1.0]])


def test_numbers_far_below_all_floats_take_no_longer() -> None:
    # exp(-exp(30)) is 2**-1.5e13: whoever writes it out in bits takes all memory.
    out = gradient(lambda x: np.sinc(np.exp(-np.exp(x))), np.array([30.0]))
    assert out[0].tolist() == [0.0]
    assert gradient(lambda x: np.exp(-np.exp(x)), np.array([30.0, 0.0]))[0][0] == 0.0
