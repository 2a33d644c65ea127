"""Backends: the loader's sentences, spellings that are in the catalogue, and exact answers to programs worked out by hand."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings

from adjudge.backends import (
    LIBRARIES,
    SHIPPED,
    BackendError,
    BackendImportError,
    Language,
    LibraryMissing,
    UnknownBackend,
    Unsupported,
    check_spellings,
    installed,
    isolate,
    load,
)
from adjudge.backends.language import spoken
from adjudge.backends.spelling import WRITES_TWICE, composed
from adjudge.oracle.certificate import as_question
from adjudge.oracle.program import LAYOUTS, Input, Program, Question, encode_index
from adjudge.oracle.protocol import Answer, Backend
from adjudge.strategies import questions
from adjudge.strategies.catalogue import CATALOGUE
from adjudge.suite.examiner import Examiner, judge
from adjudge.suite.settings import Settings

#: Imports a backend, into this process or into one of its own.
Loader = Callable[[str], Backend]
OWN = """
name = "own"
def versions(): return {"own": "1"}
def vjp(program, inputs, cotangent): return None
class Another:
    name = "another"
    def versions(self): return {"another": "1"}
    def vjp(self, program, inputs, cotangent): return None
"""


@pytest.fixture(params=SHIPPED)
def backend(request: pytest.FixtureRequest) -> Backend:
    if installed()[request.param] is None:
        pytest.skip(f"{LIBRARIES[request.param]} is not installed")
    return load(request.param)


# -- the loader ----------------------------------------------------------------------------------------------------------------


def test_a_shipped_backend_has_what_a_backend_needs(backend: Backend) -> None:
    assert isinstance(backend, Backend)
    assert all(isinstance(v, str) for v in backend.versions().values())


def test_every_shipped_backend_is_looked_for() -> None:
    found = installed()
    assert tuple(found) == SHIPPED
    assert found["reference"] == np.__version__


@pytest.mark.parametrize(
    ("spec", "kind", "said"),
    [
        ("mygard", UnknownBackend, "no backend 'mygard' (did you mean 'mygrad'?): shipped are mygrad, jax, torch"),
        ("Torch", UnknownBackend, "did you mean 'torch'?"),
        ("quite_another", UnknownBackend, "no backend 'quite_another': shipped are"),
        ("", UnknownBackend, "no backend ''"),
        ("no such thing", UnknownBackend, "no backend 'no such thing'"),
        ("json.nothing", UnknownBackend, "no backend 'json.nothing'"),
        ("nowhere/mine.py", UnknownBackend, "there is no file nowhere/mine.py"),
        ("json", UnknownBackend, "json is no backend: it lacks name, versions and vjp"),
        ("json:nothing", UnknownBackend, "json has no attribute 'nothing'"),
    ],
)
@pytest.mark.parametrize("found", [load, isolate])
def test_what_cannot_be_loaded_is_said_in_one_line(found: Loader, spec: str, kind: type[BackendError], said: str) -> None:
    with pytest.raises(BackendError) as caught:
        found(spec)
    assert caught.type is kind
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["mygrad", "jax", "torch", "autograd"])
def test_a_missing_library_is_named_with_its_remedy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [m for m in sys.modules if m == f"adjudge.backends.{name}"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [Without(name), *sys.meta_path])
    for module in [m for m in sys.modules if m.split(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(LibraryMissing) as caught:
        load(name)
    assert f"needs {name}, which is not installed: pip install 'adjudge[{name}]'" in str(caught.value)
    assert ("torch==2.13.0" in str(caught.value)) == (name == "torch")


class Without:
    """An import system without one package."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        """Raise as the import system does, for this package and what is in it."""
        if fullname.split(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a folder with backends of the user's own, and go there."""
    (tmp_path / "own_backend_of_mine.py").write_text(OWN)
    (tmp_path / "own_broken.py").write_text("import own_library\n")
    (tmp_path / "own_leaving.py").write_text("import sys; sys.exit('no licence\\nsecond line')\n")
    (tmp_path / "own_half.py").write_text("name = 'half'\ndef versions(): return {}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for module in set(sys.modules) - before:
        del sys.modules[module]


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("own_backend_of_mine.py", "own"),
        ("./own_backend_of_mine.py", "own"),
        ("own_backend_of_mine", "own"),
        ("own_backend_of_mine.py:Another", "another"),
        ("own_backend_of_mine:Another", "another"),
    ],
)
@pytest.mark.parametrize("found", [load, isolate])
def test_a_backend_of_ones_own(found: Loader, spec: str, name: str, own: Path) -> None:
    assert found(spec).name == name


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("own_broken.py", "'own_broken.py' cannot be imported: ModuleNotFoundError: No module named 'own_library'"),
        ("own_broken", "'own_broken' cannot be imported: ModuleNotFoundError"),
        ("own_leaving.py", "cannot be imported: SystemExit: no licence"),
        ("own_half.py", "own_half.py is no backend: it lacks vjp (a backend has name, versions and vjp)"),
    ],
)
@pytest.mark.parametrize("found", [load, isolate])
def test_a_backend_of_ones_own_that_fails_shows_its_own_error(found: Loader, spec: str, said: str, own: Path) -> None:
    with pytest.raises((BackendImportError, UnknownBackend)) as caught:
        found(spec)
    assert said in str(caught.value)
    assert "second line" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("name = 3", "its name must be a line of text, of 80 characters at most, not 3"),
        ("vjp = 3", "its vjp must be a function, not 3"),
        ("hvp = 3", "its hvp must be a function, or a dict of functions, not 3"),
        ("dtypes = ('int32',)", "its dtypes must be a tuple of float dtypes"),
        ("unit_roundoff = {'float32': -1.0}", "its unit_roundoff must be a dict of float dtypes to numbers"),
        ("language = 3", "its language must be a Language, not 3"),
        ("def versions(): return None", "its versions() must be a dict of package to version, not None"),
        ("def versions(): raise SystemExit(0)", "its versions() raised SystemExit: 0"),
        ("def versions(): raise ValueError('no\\nmore')", "its versions() raised ValueError: no"),
        ("def supports(op): return 1 / 0", "its supports() raised ZeroDivisionError: division by zero"),
        ("def supports(op): raise SystemExit(0)", "its supports() raised SystemExit: 0"),
        ("def supports(op): raise KeyboardInterrupt", "its supports() raised KeyboardInterrupt"),
    ],
)
@pytest.mark.parametrize("found", [load, isolate])
def test_a_field_of_the_wrong_kind_is_told_in_a_sentence(found: Loader, line: str, said: str, own: Path) -> None:
    (own / "own_wrong.py").write_text(f"{OWN}{line}\n")
    with pytest.raises(UnknownBackend) as caught:
        found("own_wrong.py")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


# -- spellings -----------------------------------------------------------------------------------------------------------------


def test_spellings_are_of_ops_that_exist(backend: Backend) -> None:
    check_spellings(backend)


@pytest.mark.parametrize("table", [{"spelling": {"exp": "", "expp": ""}}, {"lacking": ("expp",)}, {"takes_numbers": ("expp",)}])
def test_a_word_for_an_unknown_op_is_an_error(table: dict[str, Any]) -> None:
    pretender = replace(load("mirror"), name="pretender", language=Language(**table))
    with pytest.raises(BackendError, match="backend pretender spells expp, which the catalogue does not have"):
        check_spellings(pretender)


def test_ops_that_numpy_lacks_are_composed_of_those_it_has() -> None:
    def computed(op: str, x: Any) -> Any:
        return eval(composed("np")[op].replace("{0}", "x"), {"np": np, "x": x})

    assert {op: float(computed(op, 2.0)) for op in ("sec", "arccsc", "coth")} == {
        "sec": 1 / np.cos(2.0), "arccsc": np.arcsin(0.5), "coth": 1 / np.tanh(2.0)
    }  # fmt: skip
    assert computed("arccot", np.array([0.0, 1.0, -1.0])).tolist() == [np.pi / 2, np.pi / 4, -np.pi / 4]


@pytest.mark.parametrize(
    ("index", "twice"),
    [((np.array([0, 2, 0]),), True), ((np.array([0, -3]), slice(None)), True), ((np.array([0, 2]), 1), False)],
)
def test_an_assignment_that_writes_twice_is_seen(index: Any, twice: bool) -> None:
    space: dict[str, Any] = {"np": np}
    exec(WRITES_TWICE, space)
    assert space["writes_twice"]((3, 2), index) == twice


@pytest.mark.parametrize("name", ["mygrad", "jax", "torch", "autograd"])
def test_every_op_that_a_library_has_is_spelled_so_that_it_runs(name: str) -> None:
    pytest.importorskip(name)
    library = load(name, own_process=True)
    lame = [op for op in CATALOGUE if library.supports(op) and not any(runs(library, question) for question in drawn(op))]
    assert lame == (["clip"] if name == "autograd" else [])  # which has no derivative along its bounds


def drawn(op: str) -> list[Question]:
    """A few questions about one step."""
    out = []

    @settings(max_examples=8, database=None, deadline=None, derandomize=True, phases=(Phase.generate,))
    @given(questions(op, max_steps=1))
    def draw(question: Question) -> None:
        out.append(question)

    draw()
    return out


def runs(library: Backend, question: Question) -> bool:
    """Whether a library answers, and not only with an exception of its own, which others of its questions do not raise."""
    program, inputs = question.program, [i.materialise() for i in question.program.inputs]
    try:
        answer = library.vjp(program, inputs, np.array(question.cotangent))
    except Exception:
        return False
    shapes = [None if g is None else g.shape for g in answer.gradients]
    return answer.value.shape == question.cotangent.shape and all(
        shape in (None, i.data.shape) for shape, i in zip(shapes, program.inputs, strict=True)
    )


# -- answers: small integers and dyadics, so that equality is exact ------------------------------------------------------------

A = np.array([[1.0, 2.0, -3.0], [0.5, -1.0, 4.0]])
B = np.array([[2.0, 1.0], [-1.0, 3.0], [0.25, -2.0]])
V = np.array([2.0, -4.0, 8.0])

#: Name: program, cotangent, value, gradients (None for constants).
WORKED: dict[str, tuple[Program, Any, Any, list[Any]]] = {
    "matmul": (
        Program.of([A, B], [("matmul", [0, 1])]),
        [[1, 2], [-1, 0.5]],
        [[-0.75, 13], [3, -10.5]],
        [[[4, 5, -3.75], [-1.5, 2.5, -1.25]], [[0.5, 2.25], [3, 3.5], [-7, -4]]],
    ),
    "einsum": (
        Program.of([A, V, np.array([3.0, 0.5])], [("einsum", [0, 1, 2], {"subscripts": "ij,...j,k->k..."})]),
        [1, 2],
        [21, 3.5],
        [[[8, -16, 32], [8, -16, 32]], [6, 4, 4], [7, 14]],
    ),
    "fan-out and broadcasting": (
        Program.of([A, V], [("multiply", [0, 1]), ("add", [2, 0]), ("sum", [3], {"axis": 0})]),
        [1, 2, -1],
        [4.5, -3, 9],
        [[[3, -6, -9], [3, -6, -9]], [1.5, 2, -1]],
    ),
    "an operand twice": (Program.of([V], [("multiply", [0, 0])]), [1, 0.5, 0.25], [4, 16, 64], [[4, -4, 4]]),
    "maximum": (
        Program.of([V, np.array([1.0, 1.0, 16.0])], [("maximum", [0, 1])]), [1, 2, 4], [2, 1, 16], [[1, 0, 0], [0, 2, 4]]
    ),
    "an index that repeats": (
        Program.of([V], [("getitem", [0], {"index": encode_index(np.array([0, 2, 0]))})]), [1, 2, 4], [2, 8, 2], [[5, 0, 2]]
    ),
    "setitem": (
        Program.of([A, np.array([10.0, 20.0])], [("setitem", [0, 1], {"index": encode_index((slice(None), 1))})]),
        [[1, 2, 4], [8, 16, 32]],
        [[1, 10, -3], [0.5, 20, 4]],
        [[[1, 0, 4], [8, 0, 32]], [2, 16]],
    ),
    "setitem into a constant": (
        Program.of([Input(V, constant=True), np.array(0.5)], [("setitem", [0, 1], {"index": encode_index(-1)})]),
        [1, 2, 4],
        [2, -4, 0.5],
        [None, 4],
    ),
    "setitem that writes twice": (
        Program.of([V, np.array([5.0, 6.0, 7.0])], [("setitem", [0, 1], {"index": encode_index(np.array([1, 0, 1]))})]),
        [1, 2, 4],
        [6, 7, 8],
        [[0, 0, 4], [0, 1, 2]],
    ),
    "out= with where=": (
        Program.of([V, V[::-1].copy(), np.array([9.0, 9.0, 9.0])], [("multiply", [0, 1, 2], {"where": [True, False, True]})]),
        [1, 2, 4],
        [16, 9, 16],
        [[8, 0, 8], [2, 0, 32], [0, 2, 0]],
    ),
    "in place": (
        Program.of([V, np.array(2.0)], [("imul", [0, 1]), ("isub", [2, 0]), ("itruediv", [3, 1])]),
        [1, 2, 4],
        [1, -2, 4],
        [[0.5, 1, 2], 6.5],
    ),
    "in place, on a constant": (
        Program.of([Input(V, constant=True), np.array(2.0)], [("iadd", [0, 1])]), [1, 2, 4], [4, -2, 10], [None, 7]
    ),
    "numbers, lists and integers": (
        Program.of(
            [V, Input(np.array(2.0), kind="number"), Input(V, kind="list"), Input(np.array([1, 2, 3]))],
            [("multiply", [1, 0]), ("subtract", [4, 2]), ("multiply", [3, 5])],
        ),
        [1, 1, 2],
        [2, -8, 24],
        [[2, 4, 12], None, None, None],
    ),
    "reductions over two axes": (
        Program.of([A.reshape(1, 2, 3)], [("mean", [0], {"axis": [0, 1], "keepdims": True}), ("max", [1], {"axis": -1})]),
        [[3]],
        [[0.75]],
        [[[[1.5, 0, 0], [1.5, 0, 0]]]],
    ),
    "joining and shapes": (
        Program.of(
            [A, V],
            [("transpose", [0]), ("expand_dims", [1], {"axis": 1}), ("concatenate", [2, 3], {"axis": 1}),
             ("roll", [4], {"shift": 1, "axis": 0}), ("reshape", [5], {"shape": [-1]})],
        ),
        [1, 2, 3, 4, 5, 6, 7, 8, 9],
        [-3, 4, 8, 1, 0.5, 2, 2, -1, -4],
        [[[4, 7, 1], [5, 8, 2]], [6, 9, 3]],
    ),
    "an unused input": (
        Program.of([V, A], [("square", [0]), ("negative", [2])]), [1, 1, 1], [-4, -16, -64], [[-4, 8, -16], A * 0]
    ),
    "constants only": (Program.of([Input(V, constant=True)], [("negative", [0])]), [1, 1, 1], -V, [None]),
    "size 0": (
        Program.of([np.zeros((0, 3))], [("exp", [0]), ("sum", [1], {"axis": 0})]), [1, 2, 3], [0, 0, 0], [np.zeros((0, 3))]
    ),
}  # fmt: skip

#: What a library says that it does not have.
LACKING = {
    "setitem": {"autograd"},
    "setitem into a constant": {"autograd"},
    "setitem that writes twice": {"jax", "torch", "autograd"},
    "out= with where=": {"jax", "torch", "autograd"},
}


def ask(backend: Backend, program: Program, cotangent: Any) -> Answer:
    return backend.vjp(program, [i.materialise() for i in program.inputs], np.array(cotangent, np.float64))


@pytest.mark.parametrize("case", WORKED)
def test_values_and_gradients_are_those_worked_out_by_hand(case: str, backend: Backend) -> None:
    program, cotangent, value, gradients = WORKED[case]
    if backend.name in LACKING.get(case, ()):
        with pytest.raises(Unsupported):
            ask(backend, program, cotangent)
        return
    answer = ask(backend, program, cotangent)
    assert answer.value.dtype == np.float64
    np.testing.assert_array_equal(answer.value, np.array(value, np.float64), strict=True)
    assert len(answer.gradients) == len(gradients)
    for i, got, expected in zip(program.inputs, answer.gradients, gradients, strict=True):
        if expected is None:
            assert got is None
        else:  # None stands for zeros, where the value does not depend on an input
            got = np.zeros_like(i.data) if got is None else got
            np.testing.assert_array_equal(got, np.array(expected, np.float64), strict=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_inputs_in_any_layout_are_read_and_left_alone(layout: str, backend: Backend) -> None:
    data = np.broadcast_to(np.array([[1.0], [2.0]]), (2, 3))
    program = Program.of([Input(data, layout=layout), V], [("iadd", [0, 1]), ("imul", [2, 0]), ("matmul", [3, 1])])
    inputs = [i.materialise() for i in program.inputs]
    writeable = [x.flags.writeable for x in inputs]
    cotangent = np.array([1.0, -1.0])
    answer = backend.vjp(program, inputs, cotangent)
    np.testing.assert_array_equal(answer.value, [90.0, 192.0])
    np.testing.assert_array_equal(answer.gradients[0], [[8.0, 8.0, 80.0], [-12.0, 0.0, -96.0]])
    assert all(x.flags.writeable >= before for x, before in zip(inputs, writeable, strict=True))
    assert cotangent.tolist() == [1.0, -1.0]
    for i, x in zip(program.inputs, inputs, strict=True):
        np.testing.assert_array_equal(x, i.data)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_gradients_have_the_dtype_of_their_inputs(dtype: str, backend: Backend) -> None:
    answer = ask(backend, Program.of([V.astype(dtype)], [("square", [0]), ("sum", [1])]), 1.0)
    assert answer.value.dtype == dtype
    assert answer.gradients[0] is not None
    assert answer.gradients[0].dtype == dtype


#: A library in words of Python: values are arrays, and there are no gradients.
WORDS = Language(
    title="Plain",
    imports="import numpy",
    helpers="""
        def logged(x):
            raise NotImplementedError("Plain has no log")

        def refused(x):
            raise ArithmeticError("exp2 is beyond it")
    """,
    rooms=("np",),
    spelling={"log": "logged({0})", "log2": "numpy.no_such_log({0})", "exp2": "refused({0})", "exp": "exit.no_such_exit({0})"},
    refusals=(("ArithmeticError", "beyond"),),
    vjp="""
        def vjp({inputs}, cotangent):
            {steps}
            return {out}, [None for x in {variable_tuple}]
    """,
)


class Plain:
    """The library as a backend."""

    name = "plain"
    distributions = ("numpy",)
    language = WORDS


@pytest.mark.parametrize(
    ("op", "params", "said"),
    [
        ("log", {}, "^Plain has no log$"),
        ("log2", {}, "^log2: module 'numpy' has no attribute 'no_such_log'$"),
        ("exp2", {}, "^exp2: exp2 is beyond it$"),
        ("gru", {}, "^Plain has no gru$"),
        ("add", {"where": [True, True, False]}, r"^Plain has no differentiable out= with where=$"),
    ],
)
def test_what_a_library_says_it_has_not_is_unsupported(op: str, params: dict[str, Any], said: str) -> None:
    plain = spoken(Plain)
    with pytest.raises(Unsupported, match=said):
        ask(plain, Program.of([V, V], [("negative", [1]), (op, [0, 2, 1] if params else [0], params)]), np.ones(3))


def test_what_a_library_raises_otherwise_is_raised_as_it_is() -> None:
    with pytest.raises(AttributeError, match="no_such_exit"):
        ask(spoken(Plain), Program.of([V], [("exp", [0])]), np.ones(3))


def test_a_backend_that_is_a_language_is_data() -> None:
    plain = spoken(Plain)
    assert plain.versions() == {"numpy": np.__version__}
    assert plain.supports("sin")
    assert not plain.supports("gru")
    assert plain.jvp is None
    assert plain.hvp == {}


@pytest.mark.parametrize("name", ["mygrad", "jax", "torch", "autograd"])
def test_a_language_is_read_without_its_library(name: str) -> None:
    code = f"import adjudge.backends.{name}, sys; sys.exit({name!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_a_process_of_adjudges_own_gets_the_environment_that_a_backend_asks_for(own: Path) -> None:
    Path("asking.py").write_text(
        "from adjudge.backends import Language\n"
        "name, distributions = 'asking', ('pytest',)\n"
        "language = Language(environment={'ADJUDGE_ASKED': '1', 'ADJUDGE_SET': '1'})\n"
    )
    code = (
        "import os; from adjudge.backends import load; load('asking.py', own_process={}); "
        "print(os.environ.get('ADJUDGE_ASKED'), os.environ['ADJUDGE_SET'])"
    )
    for own_process, seen in ((True, "1 0"), (False, "None 0")):
        command = [sys.executable, "-c", code.format(own_process)]
        result = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "ADJUDGE_SET": "0"})
        assert result.stdout.strip() == seen


def test_the_command_line_sets_the_environment_before_the_library_is_imported() -> None:
    pytest.importorskip("mygrad", reason="MyGrad is not installed")
    code = (
        "import os; from adjudge.cli.command import backend_of; backend_of('mygrad', in_process=True); "
        "print(os.environ['NUMBA_DISABLE_JIT'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.strip() == "1"


def test_an_op_that_nobody_has_is_unsupported_or_unknown(backend: Backend) -> None:
    assert backend.supports("multiply")
    assert backend.name == "mirror" or not backend.supports("no_such_op")


# -- particulars ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mygrad() -> Any:
    pytest.importorskip("mygrad", reason="MyGrad is not installed")
    return load("mygrad")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_reach_mygrad(layout: str, mygrad: Any) -> None:
    class Seeing:
        name, distributions = "seeing", ("mygrad",)
        language = replace(
            mygrad.language, spelling={"square": "seen({0})"}, helpers="def seen(x):\n    raise LookupError(x.data)"
        )

    program = Program.of([Input(np.ones((2, 3)), layout=layout)], [("square", [0])])
    given = program.inputs[0].materialise()
    with pytest.raises(LookupError) as seen:
        spoken(Seeing).vjp(program, [given], np.ones((2, 3)))
    assert seen.value.args[0] is given
    assert {"reversed": (-24, -8), "F": (8, 16), "broadcast": (0, 0), "strided": (48, 16)}.get(layout, (24, 8)) == given.strides


def test_mygrad_leaves_no_array_locked(mygrad: Any) -> None:
    x, unused = np.array(V), np.array(V)
    dangling = Program.of([V, V], [("exp", [1]), ("multiply", [0, 0])])
    mygrad.vjp(dangling, [x, unused], np.ones(3))
    assert x.flags.writeable
    assert unused.flags.writeable
    failing = Program.of([V, V], [("exp", [0]), ("multiply", [2, 1]), ("reshape", [3], {"shape": [2, 2]})])
    with pytest.raises(ValueError, match="cannot reshape"):
        mygrad.vjp(failing, [x, unused], np.ones((2, 2)))
    assert x.flags.writeable
    assert unused.flags.writeable


def test_jax_keeps_its_kernels_where_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("jax", reason="JAX is not installed")
    jax: Any = load("jax")
    settings = ("compilation_cache_dir", "persistent_cache_min_compile_time_secs", "persistent_cache_min_entry_size_bytes")
    before = {name: getattr(library.config, f"jax_{name}") for name in settings}
    try:
        jax.use_cache(tmp_path)
        assert [getattr(library.config, f"jax_{name}") for name in settings] == [str(tmp_path), 0, -1]
    finally:
        for name, value in before.items():
            library.config.update(f"jax_{name}", value)


def test_a_known_defect_is_known_among_elements_that_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    monkeypatch.chdir(tmp_path)
    examiner = Examiner(Settings("jax", legs=("balls",)))
    outcome = examiner.examine(as_question(Program.of([np.array([0.1, -0.41411, 0.6])], [("log1p", [0])])))
    assert outcome.judgement.verdict == "wrong"
    assert outcome.known == ["log1p-beyond-its-series"]


def test_jax_assigns_wider_numbers_without_a_warning() -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    step = ("setitem", [0, 1], {"index": encode_index(slice(0, 2))})
    assert judge(Program.of([np.ones(3, np.float32), np.ones(2)], [step]), "jax").verdict == "correct"


def test_jax_pushes_tangents_forward() -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    jax: Any = load("jax")
    program = Program.of([V, Input(np.array(3.0), constant=True)], [("multiply", [0, 0]), ("multiply", [2, 1])])
    value, tangent = jax.jvp(program, [V, np.array(3.0)], [np.array([1.0, 2.0, 0.5]), None])
    assert value.tolist() == [12, 48, 192]
    assert tangent.tolist() == [12, -48, 24]
