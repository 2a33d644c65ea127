"""The tensor: NumPy's values, names and errors, and gradients that follow views, updates in place and constants."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from adjudge.oracle import reference as ref
from adjudge.oracle.reference import OPS, ClearedGraph, Tensor
from adjudge.oracle.reference.functions import FUNCTIONS, SYNTAX

X = np.array([[0.25, 0.5, 0.75], [0.125, 0.375, 0.625]])
V = np.array([1.0, -2.0, 3.0])


def variable(*numbers: float) -> Tensor:
    return ref.tensor(list(numbers), dtype=float)


def same(a: Any, b: Any) -> bool:
    """The same values, shape and dtype."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)


# -- NumPy's values ------------------------------------------------------------------------------------------------------------

CALLS: dict[str, Callable[[Any], Any]] = {
    "sum": lambda x: np.sum(x, 0),
    "mean": lambda x: np.mean(x, axis=(0, 1)),
    "var": lambda x: np.var(x, 1, ddof=1),
    "std": lambda x: np.std(x, axis=-1, keepdims=True),
    "prod": np.prod,
    "max": lambda x: np.max(x, axis=0),
    "min": np.min,
    "amax": np.amax,
    "cumsum": lambda x: np.cumsum(x, 1),
    "cumprod": np.cumprod,
    "clip": lambda x: np.clip(x, 0.3, 0.6),
    "clip below": lambda x: np.clip(x, 0.3, None),
    "clip above": lambda x: np.clip(x, max=0.3),
    "where": lambda x: np.where(x > 0.3, x, 0.0),
    "reshape": lambda x: np.reshape(x, (3, -1)),
    "ravel": np.ravel,
    "squeeze": lambda x: np.squeeze(x[None]),
    "expand_dims": lambda x: np.expand_dims(x, (0, 2)),
    "transpose": lambda x: np.transpose(x, (1, 0)),
    "T": lambda x: x.T,
    "moveaxis": lambda x: np.moveaxis(x, 0, 1),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "roll": lambda x: np.roll(x, 1, axis=1),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 2, 3)),
    "repeat": lambda x: np.repeat(x, [1, 2], axis=0),
    "concatenate": lambda x: np.concatenate([x, x], axis=1),
    "stack": lambda x: np.stack([x, X], axis=-1),
    "einsum": lambda x: np.einsum("ij,kj", x, X),
    "einsum ellipsis": lambda x: np.einsum("...j,Zj->Z...", x, X),
    "matmul": lambda x: np.matmul(x, x.T),
    "operator @": lambda x: X.T @ x,
    "norm": lambda x: np.linalg.norm(x, axis=1),
    "norm 3": lambda x: np.linalg.norm(x, 3, -1),
    "Frobenius": lambda x: np.linalg.norm(x, "fro"),
    "multi_dot": lambda x: np.linalg.multi_dot([x, X.T, x]),
    "atleast_3d": np.atleast_3d,
    "sinc": np.sinc,
    "power": lambda x: np.power(x, 1.5),
    "add.reduce": lambda x: np.add.reduce(x),
    "multiply.accumulate": lambda x: np.multiply.accumulate(x),
    "maximum.reduce": lambda x: np.maximum.reduce(x, axis=None),
    "dot": lambda x: np.dot(x, V),
    "dot of matrices": lambda x: np.dot(x, X.T),
    "dot of numbers": lambda x: np.dot(x, 2.0),
    "dot of stacks": lambda x: np.dot(x[None], X.T[None]),
    "inner": lambda x: np.inner(x, X),
    "vdot": lambda x: np.vdot(x, X),
    "outer": lambda x: np.outer(x, V),
    "tensordot": lambda x: np.tensordot(x, X, axes=([0, 1], [0, 1])),
    "tensordot 1": lambda x: np.tensordot(x, X.T, 1),
    "trace": lambda x: np.trace(x, 1),
    "diagonal": lambda x: np.diagonal(x),
    "triu": np.triu,
    "tril": lambda x: np.tril(x, -1),
    "diff": lambda x: np.diff(x, n=2),
    "average": lambda x: np.average(x, axis=1, weights=V + 3),
    "ptp": lambda x: np.ptp(x, axis=0),
    "hstack": lambda x: np.hstack([x, X]),
    "vstack": lambda x: np.vstack([x, V]),
    "dstack": lambda x: np.dstack([x, X]),
    "column_stack": lambda x: np.column_stack([x, [1.0, 2.0]]),
    "copy": np.copy,
    "flip": lambda x: np.flip(x, 1),
    "rot90": np.rot90,
    "take": lambda x: np.take(x, [2, 0], axis=1),
    "tile": lambda x: np.tile(x, (2, 1)),
    "take_along_axis": lambda x: np.take_along_axis(x, np.argsort(-np.asarray(x), axis=1), axis=1),
    "radians": np.deg2rad,
    "split": lambda x: np.split(x, 3, axis=1)[1],
    "zeros_like": lambda x: np.zeros_like(x),
    "full_like": lambda x: np.full_like(x, 3),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_numpy_function_gives_a_tensor_of_numpys_value(call: str, dtype: str) -> None:
    given = X.astype(dtype)
    got = CALLS[call](ref.tensor(given))
    assert isinstance(got, Tensor)
    assert same(got, CALLS[call](given))


UFUNCS = [name for name in FUNCTIONS if isinstance(getattr(np, name, None), np.ufunc) and name in OPS and name != "matmul"]


@pytest.mark.parametrize("name", UFUNCS)
def test_a_ufunc_takes_where_out_and_dtype(name: str) -> None:
    function, ufunc = getattr(ref, name), getattr(np, name)
    point = 1.5 if "arccosh" in name or name == "acosh" else 0.5
    operands = [np.full(3, point, np.float32), np.full(3, 0.25, np.float32)][: ufunc.nin]
    mask, under = np.array([True, False, True]), np.full(3, 7.0)
    got = function(*map(ref.tensor, operands), where=mask, out=under.copy(), dtype="float64")
    assert same(got, ufunc(*operands, where=mask, out=under.copy(), dtype="float64"))
    place = ref.tensor(under)
    assert ufunc(*map(ref.tensor, operands), out=place) is place
    assert same(place, ufunc(*operands, out=under.copy()))


def test_out_is_the_memory_of_the_result() -> None:
    x, out = variable(0.0, 1.0), np.zeros(2)
    y = np.exp(x, out=out)
    assert isinstance(y, Tensor)
    assert y.data is out
    y.backward()
    assert same(x.grad, np.exp([0.0, 1.0]))


def test_a_mask_lets_the_gradient_through_where_it_is_true() -> None:
    x, under = variable(1.0, 4.0), variable(10.0, 20.0)
    y = ref.sqrt(x, where=[False, True], out=under)
    assert y is under
    y.backward()
    assert same(x.grad, [0.0, 0.25])
    assert same(y, [10.0, 2.0])


def test_every_op_is_a_function() -> None:
    rooms = (ref, ref.linalg, ref.nnet)
    missing = [name for name in OPS if name not in SYNTAX and not any(hasattr(room, name) for room in rooms)]
    assert missing == []
    assert all(callable(getattr(ref, name)) for name in FUNCTIONS)
    assert same(ref.linalg.norm([3.0, 4.0]), 5.0)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no 'sine'"):
        ref.sine  # noqa: B018  # the access is the test


def test_a_numpy_function_without_a_derivative_is_named() -> None:
    unknown: list[tuple[Callable[[Any], Any], str]] = [
        (np.sort, "numpy.sort"),
        (np.floor, "numpy.floor"),
        (np.linalg.inv, "numpy.linalg.inv"),
        (lambda x: np.add.at(x, [0], 1.0), r"numpy.add.at"),
        (lambda x: np.median(x), "numpy.median"),
        (lambda x: x // 2, "numpy.floor_divide"),
    ]
    for call, name in unknown:
        with pytest.raises(TypeError, match=f"{name} has no derivative here"):
            call(ref.tensor(X))


def test_without_a_derivative_a_constant_is_an_array() -> None:
    x = ref.tensor([3, 1, 2])
    for got, expected in [(np.sort(x), [1, 2, 3]), (x // 2, [1, 0, 1]), (7 % x, [1, 0, 1]), (np.floor(x / 2), [1.0, 0.0, 1.0])]:
        assert type(got) is np.ndarray
        assert same(got, expected)


def test_what_tells_of_values_gives_arrays() -> None:
    x = variable(1.0, np.inf, -2.0)
    for got, expected in [
        (x > 0, [True, True, False]),
        (np.isfinite(x), [True, False, True]),
        (np.argsort(x), [2, 0, 1]),
        (x == [1.0, 0.0, -2.0], [True, False, True]),
        (np.nonzero(x > 0)[0], [0, 1]),
    ]:
        assert type(got) is np.ndarray
        assert same(got, expected)
    assert x.argmax() == 1
    assert np.shape(x) == (3,)
    assert np.inf in x
    assert 5.0 not in x


def test_a_parameter_without_a_derivative_is_named() -> None:
    with pytest.raises(TypeError, match=r"sum of a tensor was given dtype=.*it takes axis, keepdims"):
        np.sum(ref.tensor(X), dtype=np.float32)
    with pytest.raises(TypeError, match="ord=inf"):
        np.linalg.norm(variable(1.0, 2.0), np.inf)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int8", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 1, 12), (2, 600)])
def test_a_tensor_prints_as_its_array_does(dtype: str, shape: tuple[int, ...]) -> None:
    array = (np.arange(np.prod(shape)) * 0.37).reshape(shape).astype(dtype)
    aligned = repr(array).replace("array(", "Tensor(").replace("\n", "\n ")
    got = repr(ref.tensor(array))
    assert got.split() == aligned.split()
    assert max(map(len, got.split("\n"))) <= 75 + len(", dtype=float32)")


@pytest.mark.parametrize(
    "call",
    ["zeros((2, 3))", "ones(4)", "full((2,), 3)", "full((2,), 3.5, 'float32')", "eye(2, 3, 1)", "identity(2)", "arange(5)",
     "arange(1, 5, 0.5)", "linspace(0, 1, 5)", "linspace(0, 1, 5, False, dtype='float32')", "logspace(0, 2, 3, base=2)",
     "geomspace(1, 8, 4)", "zeros_like(x)", "ones_like(x, dtype='float32')", "full_like(x, 2.5)",
     "empty_like(x, shape=(0, 2))"],
)  # fmt: skip
def test_creation_is_numpys(call: str) -> None:
    got = eval(f"ref.{call}", {"ref": ref, "x": ref.tensor(X)})
    expected = eval(f"np.{call}", {"np": np, "x": X})
    if call.startswith(("zeros(", "ones(")):
        expected = expected.astype(np.float32)
    assert same(got, expected)
    assert got.constant == (got.dtype.kind != "f")
    if got.dtype.kind == "f":
        assert eval(f"ref.{call[:-1]}, constant=True)", {"ref": ref, "x": ref.tensor(X)}).constant


def test_random_numbers_come_again_from_the_same_seed() -> None:
    for draw in (
        lambda: ref.random.rand(2, 3),
        lambda: ref.random.randn(2, 3),
        lambda: ref.random.random((2, 3)),
        lambda: ref.random.random_sample((2, 3)),
        lambda: ref.random.normal(5.0, 0.1, (2, 3)),
        lambda: ref.random.uniform(-1, 1, (2, 3)),
        lambda: ref.random.randint(3, 9, (2, 3)),
    ):
        ref.random.seed(1)
        first = draw()
        ref.random.seed(1)
        assert same(draw(), first)
        assert not same(draw(), first)
        assert first.shape == (2, 3)
    assert ref.random.rand().shape == ()


# -- gradients -----------------------------------------------------------------------------------------------------------------


def test_a_tensor_that_is_used_twice_gets_the_sum() -> None:
    x = variable(2.0, 3.0)
    (x * x * x).backward()
    assert same(x.grad, [12.0, 27.0])


def test_a_gradient_has_its_tensors_shape_and_dtype_and_memory_of_its_own() -> None:
    x, y = ref.tensor(2.0, dtype="float32"), ref.tensor(X)
    (x + y).backward()
    assert same(x.grad, np.array(6.0, np.float32))
    assert type(x.grad) is np.ndarray
    a, b = variable(1.0), variable(2.0)
    (a + b).backward()
    assert a.grad is not None
    assert b.grad is not None
    assert not np.shares_memory(a.grad, b.grad)


def test_backward_takes_the_derivative_of_something_else() -> None:
    x = ref.tensor(X)
    (2 * x).backward([1.0, 10.0, 100.0])
    assert same(x.grad, [[2.0, 20.0, 200.0]] * 2)


def test_a_gradient_that_does_not_broadcast_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gradient of shape \(2,\) for a tensor of shape \(3,\)"):
        (2 * variable(1.0, 2.0, 3.0)).backward([1.0, 2.0])


def test_a_second_backward_changes_nothing_upstream() -> None:
    x = variable(3.0)
    y = x * x
    y.backward()
    y.backward()
    assert same(x.grad, [6.0])
    (y * 2).backward()
    assert same(y.grad, [2.0])
    assert same(x.grad, [6.0])


def test_backward_through_a_cleared_graph_is_refused_and_changes_nothing() -> None:
    x = variable(3.0)
    middle = x * x
    first, second = middle * 2, middle * 3
    first.backward()
    with pytest.raises(ClearedGraph, match="compute again"):
        second.backward()
    assert same(x.grad, [12.0])
    assert second.grad is None


def test_backward_from_the_middle_leaves_what_lies_below() -> None:
    x, y = variable(3.0), variable(5.0)
    middle = x * x
    _ = middle * y
    middle.backward()
    assert same(x.grad, [6.0])
    assert y.grad is None


def test_a_deep_computation_needs_no_recursion() -> None:
    x = y = variable(1.0)
    for _ in range(20_000):
        y = y + 1.0
    y.backward()
    assert same(x.grad, [1.0])


def test_a_failing_operation_changes_nothing() -> None:
    x = variable(1.0, 2.0)
    (x * x).backward()
    with pytest.raises(ValueError, match="broadcast"):
        _ = x + variable(1.0, 2.0, 3.0)
    with pytest.raises(ValueError, match="broadcast"):
        x += np.ones(3)
    assert same(x.grad, [2.0, 4.0])
    assert same(x, [1.0, 2.0])


# -- constants -----------------------------------------------------------------------------------------------------------------


def test_integers_and_booleans_are_constants() -> None:
    for numbers in ([1, 2], [True, False]):
        x = ref.tensor(numbers)
        assert x.constant
        (x * variable(2.0, 3.0)).backward()
        assert x.grad is None
        with pytest.raises(ValueError, match="must be constant"):
            ref.tensor(numbers, constant=False)


def test_a_constant_stays_one_whatever_is_written_into_it() -> None:
    x, y = ref.zeros(3, constant=True), ref.tensor(2.0, dtype="float32")
    x[0] = y
    x += y
    assert x.constant
    (x * y).backward()
    assert x.grad is None
    assert same(y.grad, np.float32(8.0))


def test_constant_says_what_a_result_is() -> None:
    x = variable(1.0)
    assert ref.multiply(x, 2.0, constant=True).constant
    assert not ref.multiply(ref.tensor(1.0, constant=True), 2.0, constant=False).constant
    with pytest.raises(ValueError, match="int64, which has no derivative"):
        ref.add([1], [2], constant=False)
    with pytest.raises(TypeError, match="constant=1 says neither"):
        ref.tensor(1.0, constant=1)  # type: ignore[arg-type]


def test_numbers_and_lists_beside_a_tensor_are_constants_of_its_dtype() -> None:
    x = ref.tensor([1.0, 2.0], dtype="float32")
    assert (2 * x).dtype == (1 / x).dtype == (x - 0.1).dtype == (2.0**x).dtype == np.float32
    assert (x + [1.0, 2.0]).dtype == np.float64
    assert isinstance(np.float64(3.0) * x, Tensor)
    assert isinstance(np.ones(2) - x, Tensor)
    (3 - 2 * x / 4).backward()
    assert same(x.grad, np.array([-0.5, -0.5], np.float32))


@pytest.mark.parametrize("exponent", [-1, 0.5, 1, 2, 3, 0, 2.5])
def test_powers_are_numpys(exponent: float) -> None:
    array = np.array([0.5, 1.5, 3.0])
    x = ref.tensor(array)
    assert same(x**exponent, array**exponent)
    x **= exponent
    assert same(x, array**exponent)


# -- views and updates in place ------------------------------------------------------------------------------------------------

VIEWS: dict[str, Callable[[Any], Any]] = {
    "slice": lambda x: x[:, 1:],
    "row": lambda x: x[0],
    "reversed": lambda x: x[::-1, ::-1],
    "new axis": lambda x: x[None, ..., 0],
    "transpose": lambda x: x.T,
    "reshape": lambda x: x.reshape(3, 2),
    "ravel": lambda x: x.ravel(),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x: np.moveaxis(x, 0, -1),
    "expand_dims": lambda x: np.expand_dims(x, 1),
    "squeeze": lambda x: np.squeeze(x[:1]),
    "atleast_3d": np.atleast_3d,
    "einsum": lambda x: np.einsum("ij->ji", x),
    "diagonal": lambda x: np.einsum("ii->i", x[:, :2]),
    "view of a view": lambda x: x.T[1:].reshape(2, 2)[0],
}


@pytest.mark.parametrize("view", VIEWS)
def test_an_update_of_a_view_or_of_its_base_is_seen_in_both(view: str) -> None:
    for update in (
        lambda base, part: part.__imul__(10.0),
        lambda base, part: base.__iadd__(1.0),
        lambda base, part: part.__setitem__(..., 5.0),
        lambda base, part: base.__setitem__((slice(None), 1), [7.0, 8.0]),
        lambda base, part: np.negative(part, out=part),
    ):
        array, tensor = X.copy(), ref.tensor(X)
        views = VIEWS[view](array), VIEWS[view](tensor)
        assert np.shares_memory(tensor.data, views[1].data) == np.shares_memory(array, views[0])
        if not np.shares_memory(array, views[0]):
            continue  # the reshape of a transpose is a copy, here as in NumPy
        update(array, views[0])
        update(tensor, views[1])
        assert same(tensor, array)
        assert same(views[1], views[0])
        assert views[1].base is tensor
        assert np.shares_memory(tensor.data, views[1].data)


@pytest.mark.parametrize("view", VIEWS)
def test_a_gradient_flows_through_an_update_of_a_view(view: str) -> None:
    """What is squared and scaled in place has the gradient of its functional form."""
    weights, factors = np.arange(1.0, 7.0).reshape(2, 3), np.linspace(0.5, 2, 24)

    def factor(part: Any) -> Any:
        return factors[: part.size].reshape(part.shape)

    leaf = ref.tensor(X)
    x = +leaf
    part = VIEWS[view](x)
    if part.base is None:
        return
    before = part * part
    part *= factor(part)
    ((x * weights).sum() + before.sum()).backward()
    scale = np.ones_like(X)
    VIEWS[view](scale)[...] *= factor(part)
    inside = np.zeros_like(X)
    VIEWS[view](inside)[...] = 1.0
    assert np.array_equal(leaf.grad, weights * scale + 2 * X * inside)  # type: ignore[arg-type]
    assert same(x.grad, weights)
    assert same(part.grad, VIEWS[view](weights))


def test_what_was_computed_before_an_update_keeps_to_the_old_value() -> None:
    x = variable(1.0, 2.0, 3.0)
    leaf, old = x * 1, x
    y = leaf * leaf
    leaf[1] = 10.0
    (y + leaf).backward()
    assert same(y, [1.0, 4.0, 9.0])
    assert same(old.grad, [3.0, 4.0, 7.0])


def test_the_gradient_of_an_updated_variable_is_by_its_new_value() -> None:
    x = variable(3.0, 4.0)
    x /= ref.sqrt((x * x).sum())
    (x * [1.0, 10.0]).backward()
    assert same(x.grad, [1.0, 10.0])


def test_a_variable_that_is_overwritten_with_constants_is_a_variable_again() -> None:
    x = variable(1.0, 2.0)
    y = x * 2
    y[...] = 5.0
    (y * 3).backward()
    assert same(y.grad, [3.0, 3.0])
    assert same(x.grad, [0.0, 0.0])


def test_an_assigned_tensor_gets_the_gradient_of_its_last_copy() -> None:
    x, y = variable(1.0, 2.0), variable(3.0, 4.0, 5.0)
    x[[0, 1, 0]] = y
    (x * [1.0, 10.0]).backward()
    assert same(y.grad, [0.0, 10.0, 1.0])


def test_a_tensor_may_be_updated_with_itself() -> None:
    x = variable(1.0, 2.0, 3.0)
    leaf = x
    y = +leaf
    y += y[::-1]
    y *= y
    y.backward()
    assert same(x.grad, [16.0, 16.0, 16.0])


def test_an_update_writes_into_no_array_that_was_given() -> None:
    given = np.ones(3)
    x = ref.tensor(given, copy=False)
    assert x.data is given
    x += 1
    assert same(given, np.ones(3))


def test_a_views_gradient_is_that_view_of_the_bases_gradient() -> None:
    x = ref.tensor(X)
    part = x[0]
    (x * X).backward()
    assert same(part.grad, X[0])
    assert np.shares_memory(part.grad, x.grad)
    _ = x + 1
    assert part.grad is None


def test_a_view_nulls_no_gradient_and_an_item_does() -> None:
    x = variable(1.0, 2.0)
    (x * x).backward()
    for look in (lambda: x[:1], lambda: x.reshape(2, 1), lambda: x.T, lambda: x > 1, lambda: repr(x), lambda: np.asarray(x)):
        look()
        assert x.grad is not None
    x[0]
    assert x.grad is None


def test_a_gradient_flows_through_a_view_again_after_backward() -> None:
    x = variable(1.0, 2.0, 3.0)
    part = x[1:]
    (part * part).backward()
    assert same(x.grad, [0.0, 4.0, 6.0])
    (part * 5).backward()
    assert same(x.grad, [0.0, 5.0, 5.0])


def test_data_can_be_written_and_replaced() -> None:
    x = variable(1.0, 2.0)
    part = x[:1]
    (x * x).backward()
    x.data -= 0.5 * x.grad  # type: ignore[operator]
    assert same(part, [0.0])
    assert x.grad is not None
    x.data = np.array([5.0, 6.0])
    assert same(part, [5.0])
    (x[1:] * part).backward()
    assert same(x.grad, [6.0, 5.0])


def test_iterating_gives_rows_and_a_number_has_none() -> None:
    x = ref.tensor(X)
    total: Any = sum(row.sum() * (n + 1) for n, row in enumerate(x))
    total.backward()
    assert same(x.grad, [[1.0] * 3, [2.0] * 3])
    with pytest.raises(TypeError, match="0-d"):
        iter(ref.tensor(1.0))


def test_repeated_places_add_up_their_gradients() -> None:
    x = variable(1.0, 2.0, 3.0)
    (x[[0, 0, 2]] * [1.0, 10.0, 100.0]).backward()
    assert same(x.grad, [11.0, 0.0, 100.0])
    (x[x > 1.5] * 3).backward()
    assert same(x.grad, [0.0, 3.0, 3.0])


def test_copies_remember_nothing() -> None:
    x = variable(1.0, 2.0)
    (x * x).backward()
    for other in (x.copy(), copy.copy(x), copy.deepcopy(x)):
        assert same(other, x)
        assert same(other.grad, x.grad)
        assert other.grad is not x.grad
        assert not np.shares_memory(other.data, x.data)
    y = x * 2
    for other in (y.copy(), y.astype("float32"), ref.tensor(y), ref.Tensor(y)):
        assert other.creator is None
    assert y.creator is not None
    assert repr(y.creator) == "multiply"
    assert y.astype("float64", copy=False) is y


def test_a_tensor_is_a_number_where_it_is_one() -> None:
    x = ref.tensor(2.5)
    assert (float(x), int(x), x.item(), bool(x)) == (2.5, 2, 2.5, True)
    assert list(range(ref.tensor(3))) == [0, 1, 2]
    with pytest.raises(ValueError, match="only one can be a number"):
        float(variable(1.0, 2.0))
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)


# -- errors --------------------------------------------------------------------------------------------------------------------

ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "shapes": (lambda: variable(1, 2) * variable(1, 2, 3), ValueError, r"multiply: shapes \(2,\) and \(3,\) .*; reshape"),
    "matmul": (lambda: ref.tensor(X) @ ref.tensor(X), ValueError, r"matmul: .*the first's last axis has 3 .*, 2; transpose"),
    "matmul of a number": (lambda: ref.tensor(X) @ 2.0, ValueError, "a scalar is no matrix; use multiply"),
    "reshape": (lambda: ref.tensor(X).reshape(4), ValueError, r"shape \(2, 3\) has 6 elements, and shape \(4,\) does not hold"),
    "broadcast_to": (lambda: np.broadcast_to(ref.tensor(X), (3, 2)), ValueError, r"\(2, 3\) does not broadcast to \(3, 2\)"),
    "concatenate": (lambda: np.concatenate([ref.tensor(X), ref.tensor(X.T)]), ValueError, "all other axes must be"),
    "stack": (lambda: np.stack([ref.tensor(X), ref.tensor(V)]), ValueError, "all must be the same"),
    "assignment": (lambda: ref.tensor(X).__setitem__(0, [1.0, 2.0]), ValueError, r"shape \(2,\) .* of shape \(3,\)"),
    "index": (lambda: ref.tensor(X)[5], IndexError, "index 5 is out of bounds"),
    "ragged": (lambda: ref.tensor([[1.0, 2.0], [3.0]]), ValueError, r"rows are \[2, 1\] long.*; pad"),
    "einsum index": (lambda: ref.einsum("ij->k", X), ValueError, "output index 'k', which no operand has: write only i and j"),
    "einsum twice": (lambda: ref.einsum("ij->ii", X), ValueError, "output index 'i' twice"),
    "einsum operands": (lambda: ref.einsum("ij,jk->ik", ref.tensor(X)), ValueError, "names 2 operands and 1 are given"),
    "einsum axes": (lambda: ref.einsum("ijk->i", ref.tensor(X)), ValueError, r"'ijk' has 3 indices for .* \(2, 3\)"),
    "einsum lengths": (lambda: ref.einsum("ij,ij->i", X, X.T), ValueError, "index 'i' of .* is 2 long .* and 3 in another"),
    "read-only": (lambda: np.broadcast_to(variable(1.0), (3,)).__iadd__(1), ValueError, r"read-only: .*x.copy\(\)"),
    "integers": (lambda: ref.tensor([1, 2]).__itruediv__(2), TypeError, "float64, which a tensor of int64 cannot"),
    "growing": (lambda: variable(1, 2, 3).__iadd__(X), ValueError, r"\(2, 3\), and a tensor of shape \(3,\) cannot"),
    "complex": (lambda: ref.tensor([1j]), TypeError, "cannot hold complex128"),
    "complex operand": (lambda: variable(1.0) * 1j, TypeError, "multiply gives complex128"),
    "operands": (lambda: ref.sin(1.0, 2.0, 3.0), TypeError, "sin takes 1 operand; 3 are given"),
    "unknown op": (lambda: ref.apply("sine", 1.0), ref.UnknownOp, "no op named 'sine'"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_says_the_value_the_rule_and_the_remedy(case: str) -> None:
    call, kind, sentence = ERRORS[case]
    with pytest.raises(kind, match=sentence):
        call()


def test_a_read_only_array_is_not_written_through_a_tensor() -> None:
    array = np.ones(2)
    array.flags.writeable = False
    x = ref.tensor(array, copy=False)
    with pytest.raises(ValueError, match="read-only"):
        x[0] = 2.0
    ref.tensor(array)[0] = 2.0
