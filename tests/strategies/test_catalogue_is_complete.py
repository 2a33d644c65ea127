"""The catalogue has a row for everything that MyGrad differentiates; what it lacks is named here, with the reason."""

import inspect

import pytest

from adjudge.strategies.catalogue import CATALOGUE

mg = pytest.importorskip("mygrad")
nnet = pytest.importorskip("mygrad.nnet")

#: MyGrad's second name for the same function, and the catalogue's name.
ALIASES = {"abs": "absolute", "true_divide": "divide", "amax": "max", "amin": "min"}

#: In-place operators, and indexing, which are no functions.
OPERATORS = {
    "__getitem__": "getitem",
    "__setitem__": "setitem",
    "__iadd__": "iadd",
    "__isub__": "isub",
    "__imul__": "imul",
    "__itruediv__": "itruediv",
    "__ipow__": "ipow",
}

#: Methods of a tensor for which there is no function.
METHODS = {"flatten"}

#: Takes `constant`, but has no operand that a gradient flows to.
NOT_DIFFERENTIABLE = {
    "makes an array from a shape or from numbers": {
        "arange", "empty", "eye", "full", "geomspace", "identity", "linspace", "logspace", "ones", "zeros",
    },
    "takes only the shape of its operand": {"empty_like", "full_like", "ones_like", "zeros_like"},
    "makes a tensor: the way in, not an operation": {"astensor", "tensor"},
    "runs an operation that it is given": {"execute_op"},
    "makes weights from a shape": {
        "constant", "dirac", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "normal", "uniform",
    },
}  # fmt: skip

#: Differentiable, and without a row.
NOT_YET: dict[str, str] = {}


def differentiable() -> set[str]:
    """Names of MyGrad's public functions that take `constant`, its universal functions and those of its `nnet` included."""
    rooms = (nnet.activations, nnet.layers, nnet.losses, nnet.initializers)
    spaces = {**vars(mg), "norm": mg.linalg.norm, **{name: getattr(room, name) for room in rooms for name in room.__all__}}
    found = set()
    for name, f in spaces.items():
        if name.startswith("_") or not callable(f) or f is mg.ufunc:
            continue
        if inspect.isclass(f):
            found |= {name} if issubclass(f, mg.ufunc) else set()
        elif "constant" in inspect.signature(f).parameters:
            found.add(name)
    return found


def test_everything_that_mygrad_differentiates_has_a_row() -> None:
    excused = set().union(*NOT_DIFFERENTIABLE.values()) | set(NOT_YET)
    missing = {ALIASES.get(name, name) for name in differentiable()} - excused - set(CATALOGUE)
    assert not missing, f"no row, and no reason why: {sorted(missing)}"


def test_operators_and_methods_have_rows() -> None:
    assert {name for name in OPERATORS if hasattr(mg.Tensor, name)} == set(OPERATORS)
    assert set(dir(mg.Tensor)) >= METHODS
    assert {*OPERATORS.values(), *METHODS} <= set(CATALOGUE)


def test_every_row_is_something_of_mygrad() -> None:
    own = {ALIASES.get(name, name) for name in differentiable()} | {*OPERATORS.values(), *METHODS}
    assert set(CATALOGUE) <= own


def test_no_excuse_is_idle() -> None:
    excused = set().union(*NOT_DIFFERENTIABLE.values()) | set(NOT_YET)
    assert excused <= differentiable()
    assert not excused & set(CATALOGUE)


def test_universal_functions_are_asked_with_their_keywords() -> None:
    ufuncs = {
        ALIASES.get(n, n) for n, f in vars(mg).items() if inspect.isclass(f) and issubclass(f, mg.ufunc) and f is not mg.ufunc
    }
    asked = {row.op for row in CATALOGUE.values() if row.keywords}
    assert ufuncs - asked == {"matmul"}, "matmul takes no where=, and the reference no dtype= for what is not elementwise"
    assert asked <= ufuncs
