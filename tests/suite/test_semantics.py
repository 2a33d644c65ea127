"""Histories of tensors: the reference passes its own examination, and every seeded fault of the semantics is found."""

import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from adjudge import cli
from adjudge.oracle import reference
from adjudge.oracle.lockstep import Departure, History, reduced, replay
from adjudge.records.case import read_case
from adjudge.records.divergences import KnownDivergence
from adjudge.records.files import read_records
from adjudge.records.ledger import Ledger, LedgerError, shipped_ledger
from adjudge.records.models import FailureRecord, OutcomeRecord
from adjudge.records.script_case import ScriptCase
from adjudge.strategies.rules import RULES, SEMANTICS
from adjudge.strategies.scripts import drive

# -- a second reference, to spoil ----------------------------------------------------------------------------------------------


class Twin:
    """The reference's own code, imported once more under another name, so that a fault in it leaves the reference alone."""

    NAME = "adjudge.oracle.spoilt_reference"

    def __init__(self) -> None:
        path = str(reference.__file__)
        spec = importlib.util.spec_from_file_location(
            self.NAME, path, submodule_search_locations=[path.removesuffix("/__init__.py")]
        )
        assert spec is not None
        assert spec.loader is not None
        self.lib = importlib.util.module_from_spec(spec)
        sys.modules[self.NAME] = self.lib
        spec.loader.exec_module(self.lib)
        self.tensors, self.graph = (sys.modules[f"{self.NAME}.{name}"] for name in ("tensors", "graph"))
        self.Tensor: Any = self.lib.Tensor

    @classmethod
    def modules(cls) -> list[ModuleType]:
        """The twin's modules."""
        return [m for name, m in sys.modules.items() if name.startswith(cls.NAME)]

    def replace(self, name: str, new: Callable[[Any], Any]) -> None:
        """Put ``new(old)`` in the place of a function, wherever it was imported."""
        old = getattr(self.graph, name, None) or getattr(self.tensors, name)
        spoilt = new(old)
        for module in self.modules():
            if getattr(module, name, None) is old:
                setattr(module, name, spoilt)


@pytest.fixture
def twin() -> Iterator[Twin]:
    try:
        yield Twin()
    finally:
        for module in Twin.modules():
            del sys.modules[module.__name__]


# -- the faults ----------------------------------------------------------------------------------------------------------------

Fault = Callable[[Twin], None]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    def keep(spoil: Fault) -> Fault:
        FAULTS[name] = spoil
        return spoil

    return keep


@fault("the gradient of a view goes stale")
def stale(twin: Twin) -> None:
    fresh, seen = twin.Tensor.grad.fget, dict[int, Any]()

    def grad(self: Any) -> Any:
        found = fresh(self)
        if self.base is None or found is None:
            return found
        return seen.setdefault(id(self), (self, found.copy()))[1]

    twin.Tensor.grad = property(grad)


@fault("a view that is no operand has no gradient")
def own_gradients(twin: Twin) -> None:
    twin.Tensor.grad = property(lambda self: self._node.grad)


@fault("the gradient of a view is a copy")
def copied_gradients(twin: Twin) -> None:
    seen = twin.Tensor._seen_in
    twin.Tensor._seen_in = lambda self, whole: seen(self, whole).copy()


@fault("use does not null")
def not_nulled(twin: Twin) -> None:
    def kept(record: Any) -> Any:
        def spoilt(op: Any, operands: Any, *more: Any, **beside: Any) -> Any:
            before = [(x._now(), x._now().grad) for x in operands if isinstance(x, twin.Tensor)]
            out = record(op, operands, *more, **beside)
            for node, grad in before:
                node.grad = grad
            return out

        return spoilt

    twin.replace("record", kept)


@fault("null_grad forgets views")
def views_not_nulled(twin: Twin) -> None:
    def null_grad(self: Any) -> Any:
        self._node.grad = None
        return self

    twin.Tensor.null_grad = null_grad


@fault("fan-out is forgotten")
def no_fan_out(twin: Twin) -> None:
    def last(old: Any) -> Any:
        def overwrite(x: Any, pulled: Any, g: Any) -> None:
            x.grad = twin.graph.laid_out(pulled, x.data)

        return overwrite

    twin.replace("_accumulate", last)


@fault("an update misses views of views")
def missed_views(twin: Twin) -> None:
    follow = twin.Tensor._now

    def now(self: Any) -> Any:
        further = self._parent is not None and self._parent._parent is not None
        return self._node if further and not self._node.cleared else follow(self)

    twin.Tensor._now = now


@fault("an update in place is not differentiated")
def untracked_updates(twin: Twin) -> None:
    def become(self: Any, op: Any, operands: Any, params: Any = twin.graph.NOTHING) -> Any:
        plain = tuple(x.data if isinstance(x, twin.Tensor) else x for x in operands)
        self.data[...] = twin.tensors.record(op, plain, params).data
        self.null_grad()
        return self

    twin.Tensor._become = become


@fault("what was overwritten keeps its gradient")
def overwritten(twin: Twin) -> None:
    def through(pulled: Any) -> Any:
        def spoilt(node: Any, k: int, g: Any, values: Any) -> Any:
            return g.copy() if node.op.name == "setitem" and k == 0 else pulled(node, k, g, values)

        return spoilt

    twin.replace("_pulled", through)


@fault("a constant has a gradient")
def leaking_constant(twin: Twin) -> None:
    backward = twin.Tensor.backward

    def leak(self: Any, grad: Any = None) -> None:
        backward(self, grad)
        if self.constant and self.dtype.kind == "f":
            self._now().grad = np.ones_like(self.data)

    twin.Tensor.backward = leak


@fault("constant=True is not heard by views")
def deaf_views(twin: Twin) -> None:
    def deaf(record: Any) -> Any:
        def spoilt(op: Any, operands: Any, params: Any = twin.graph.NOTHING, constant: bool | None = None) -> Any:
            return record(op, operands, params, None if op.name in twin.tensors.VIEWING else constant)

        return spoilt

    twin.replace("record", deaf)


@fault("backward twice adds up")
def adding_up(twin: Twin) -> None:
    def spoil(pull_back: Any) -> Any:
        def spoilt(terminus: Any, seed: Any) -> None:
            before = {node: node.grad for node in twin.graph._upstream(terminus)}
            pull_back(terminus, seed)
            for node, grad in before.items():
                if grad is not None and node.grad is not None:
                    node.grad = node.grad + grad

        return spoilt

    twin.replace("pull_back", spoil)


@fault("nothing is cleared")
def uncleared(twin: Twin) -> None:
    def spoil(pull_back: Any) -> Any:
        def spoilt(terminus: Any, seed: Any) -> None:
            way = [(node, node.op, node.operands, node.params) for node in twin.graph._upstream(terminus)]
            pull_back(terminus, seed)
            for node, op, operands, params in way:
                node.op, node.operands, node.params, node.cleared = op, operands, params, False

        return spoilt

    twin.replace("pull_back", spoil)


@fault("what backward was given is ignored")
def ignored_cotangent(twin: Twin) -> None:
    backward = twin.Tensor.backward
    twin.Tensor.backward = lambda self, grad=None: backward(self)


@fault("backward from a non-scalar takes the mean")
def mean(twin: Twin) -> None:
    backward = twin.Tensor.backward
    twin.Tensor.backward = lambda self, grad=None: backward(self, 1 / self.size if grad is None else grad)


@fault("gradients are always float64")
def wide_gradients(twin: Twin) -> None:
    twin.replace("_accumulate", lambda accumulate: lambda x, pulled, g: setattr(
        x, "grad", np.array(pulled if x.grad is None else x.grad + pulled, np.float64)
    ))  # fmt: skip


@fault("NumPy's functions give arrays")
def arrays_from_numpy(twin: Twin) -> None:
    answer = twin.Tensor.__array_function__
    twin.Tensor.__array_function__ = lambda self, *args: np.asarray(answer(self, *args))


@fault("asarray copies")
def copying(twin: Twin) -> None:
    twin.Tensor.__array__ = lambda self, dtype=None, copy=None: np.array(self.data, dtype)


@fault("a refused update changes the tensor")
def torn_update(twin: Twin) -> None:
    become = twin.Tensor._become

    def torn(self: Any, *args: Any) -> Any:
        try:
            return become(self, *args)
        except ValueError:
            if self.data.flags.writeable:
                self.data[...] += 1
            raise

    twin.Tensor._become = torn


# -- what is found -------------------------------------------------------------------------------------------------------------


def found(lib: Any, histories: int, start: int = 0, row: str | None = None) -> Departure | None:
    """The first departure in so many histories."""

    def over(history: History, departure: Departure | None) -> None:
        if departure is not None:
            raise departure

    try:
        drive(lib, over, histories, start, row)
    except Departure as departure:
        return departure
    return None


@pytest.mark.parametrize("row", SEMANTICS)
def test_the_reference_agrees_with_itself(row: str) -> None:
    assert found(reference, 25, 1, row) is None


def test_an_unspoilt_twin_agrees_with_the_reference(twin: Twin) -> None:
    assert found(twin.lib, 40) is None


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_found_and_its_smallest_history_is_replayed(name: str, twin: Twin) -> None:
    FAULTS[name](twin)
    departure = next(filter(None, (found(twin.lib, 150, 0, row) for row in SEMANTICS)), None)
    assert departure is not None, f"nobody saw that {name}"
    small = reduced(twin.lib, departure)
    assert len(small.lines) <= len(departure.lines)
    again = replay(twin.lib, small.lines)
    assert again is not None
    assert again.signature == departure.signature
    assert replay(reference, small.lines) is None


def test_a_shorter_history_that_grows_without_end_is_given_up() -> None:
    growing = ["a = lib.tensor([[1.0, 2.0]])", *["a = a.reshape((-1, 1)) * a.reshape((1, -1))"] * 6, "a.backward()"]
    assert replay(reference, growing, room=16) is None


# -- what is known of MyGrad ---------------------------------------------------------------------------------------------------

KNOWN = shipped_ledger("mygrad").divergences


@pytest.mark.parametrize("entry", KNOWN, ids=lambda e: e.id)
def test_mygrad_still_differs(entry: KnownDivergence) -> None:
    mygrad = pytest.importorskip("mygrad")
    if not entry.applies(mygrad.__version__):
        pytest.skip(f"about MyGrad {entry.versions}")
    state, observed = entry.state(replay(mygrad, entry.snippet))
    assert state == "still fails", observed
    assert entry.state(replay(reference, entry.snippet)) == ("no longer fails", "")


def test_no_line_of_a_snippet_can_be_spared() -> None:
    mygrad = pytest.importorskip("mygrad")
    for entry in KNOWN:
        for n in range(len(entry.snippet) - 1):
            departure = replay(mygrad, [*entry.snippet[:n], *entry.snippet[n + 1 :]])
            alike = departure is not None and len(departure.lines) == len(entry.snippet) - 1 and entry.explains(departure)
            assert not alike, f"{entry.id} departs without `{entry.snippet[n]}`"


def test_what_does_not_come_back_is_stopped() -> None:
    class Endless(reference.Tensor):
        def backward(self, grad: Any = None) -> None:
            while True:
                pass

    library = SimpleNamespace(Tensor=Endless, tensor=Endless)
    departure = replay(library, ["a = lib.tensor(1.0)", "a.backward()"])
    assert departure is not None
    assert departure.verdict == "crash"
    assert departure.reason.startswith("`a.backward()` does not come back")


def test_a_ledger_of_divergences_that_makes_no_sense_is_refused_in_one_sentence(tmp_path: Path) -> None:
    good = {
        "id": '"x"', "reason": '"r"', "proof": '"p"', "found": "2026-01-31", "when": '[{ aspects = ["grad"] }]',
        "snippet": '"a = lib.tensor(1.0)"',
    }  # fmt: skip
    bad = [
        ("id", '"a b"', "name a file"),
        ("reason", '""', "'reason' must be text"),
        ("found", '"today"', "must be a date"),
        ("when", "[]", "must be a list of marks"),
        ("when", '[{ aspects = ["gradient"] }]', "'aspects' has no 'gradient'; did you mean 'grad'?"),
        ("when", '[{ aspects = ["grad"], tag = ["view"] }]', "there is no key 'tag' in 'when'; did you mean 'tags'?"),
        ("when", '[{ aspects = ["grad"], line = "(" }]', "must be a regular expression"),
        ("snippet", '"if a: pass\\nelse: 2"', "which is no line of a script"),
        ("snippet", '"a = = 1"', "which is no line of a script"),
        ("versions", '"new"', "must be a range"),
        ("color", '"red"', "there is no key 'color'"),
    ]
    (tmp_path / "my.toml").write_text("")
    beside = tmp_path / "my.semantics.toml"

    def write(tree: dict[str, str]) -> None:
        beside.write_text("[[divergence]]\n" + "\n".join(f"{k} = {v}" for k, v in tree.items()))

    write(good)
    assert [e.id for e in Ledger.read(tmp_path / "my.toml").divergences] == ["x"]
    for key, value, said in bad:
        write({**good, key: value})
        with pytest.raises(LedgerError, match=re.escape(said)) as raised:
            Ledger.read(tmp_path / "my.toml")
        assert "my.semantics.toml" in str(raised.value)
    for key in good:
        write({k: v for k, v in good.items() if k != key})
        with pytest.raises(LedgerError, match=f"lacks '{key}'"):
            Ledger.read(tmp_path / "my.toml")


# -- the command ---------------------------------------------------------------------------------------------------------------


def command(*args: str) -> Result:
    return CliRunner().invoke(cli.main, list(args))


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none.toml").write_text("")
    return tmp_path


CHECK = ("check", "mygrad", "-k", "semantics", "--profile", "quick", "-j", "1")


def test_what_no_ledger_knows_fails_the_gate_with_cases_that_can_be_replayed(elsewhere: Path) -> None:
    pytest.importorskip("mygrad")
    told = command(*CHECK, "--op", "semantics_backward", "--ledger", "none.toml")
    assert told.exit_code == 1, told.output
    cases = sorted((elsewhere / "adjudge-report" / "cases").glob("*.json"))
    assert cases
    records = read_records(elsewhere / "adjudge-report").records
    assert {r.family for r in records if isinstance(r, FailureRecord)} == {"semantics"}
    for path in cases:
        again = command("replay", path.stem)
        assert again.exit_code == 1, again.output
        assert "still fails: mygrad" in again.output
        assert command("replay", path.stem, "--backend", "reference").exit_code == 0
        script = subprocess.run([sys.executable, path.with_suffix(".py")], capture_output=True, text=True)
        assert script.returncode == 1, script.stdout + script.stderr
        assert "import mygrad as lib" in path.with_suffix(".py").read_text()
        assert "Traceback" not in script.stderr
    explained = command("explain", cases[0].stem)
    assert explained.exit_code == 1
    case = read_case(cases[0])
    assert isinstance(case, ScriptCase)
    assert all(line in explained.output for line in case.lines)


def test_the_same_histories_come_every_time_and_mygrad_passes_with_its_ledger(elsewhere: Path) -> None:
    pytest.importorskip("mygrad")

    def outcomes() -> list[tuple[Any, ...]]:
        told = command(*CHECK)
        assert told.exit_code == 0, told.output
        records = read_records(elsewhere / "adjudge-report").records
        return [(r.op, r.verdict, r.steps, r.known) for r in records if isinstance(r, OutcomeRecord)]

    assert outcomes() == outcomes()


def test_a_backend_without_tensors_is_unsupported(elsewhere: Path) -> None:
    assert "5 unsupported" in command("check", "mirror", "-k", "semantics", "--profile", "quick", "-j", "1").output
    refused = command("replay", "cotangent-kept", "--backend", "mirror")
    assert (refused.exit_code, refused.output) == (
        2, "adjudge: backend mirror has no tensors of the kind that case cotangent-kept is about\n"
    )  # fmt: skip


def test_the_ledger_lists_and_checks_divergences(elsewhere: Path) -> None:
    pytest.importorskip("mygrad")
    listed = command("ledger", "list", "mygrad").output
    assert "cotangent-kept: tensors differ in memory, <=2.5.0: " in listed
    beside = elsewhere / "my.toml"
    beside.write_text("")
    (elsewhere / "my.semantics.toml").write_text(
        '[[divergence]]\nid = "mended"\nreason = "r"\nproof = "p"\nfound = 2026-01-31\nwhen = [{ aspects = ["grad"] }]\n'
        'snippet = "a = lib.tensor(1.0)"\n'
    )
    checked = command("ledger", "check", "mygrad", "--ledger", "my.toml")
    assert checked.exit_code == 1, checked.output
    assert "mended no longer fails" in checked.output


@pytest.mark.parametrize("entry", KNOWN, ids=lambda e: e.id)
def test_every_known_divergence_has_a_script_that_shows_it(entry: KnownDivergence, elsewhere: Path) -> None:
    pytest.importorskip("mygrad")
    text = command("replay", entry.id, "--script").output
    run = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1, run.stdout + run.stderr
    mended = text.replace("import mygrad as lib", "import adjudge.oracle.reference as lib")
    run = subprocess.run([sys.executable, "-c", mended], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_case_with_no_script_is_refused(elsewhere: Path) -> None:
    bad = {"kind": "script", "schema_version": 2, "id": "x", "backend": "mygrad", "verdict": "wrong", "lines": ["a ="]}
    (elsewhere / "x.json").write_text(json.dumps(bad))
    refused = command("replay", "x.json")
    assert refused.exit_code == 2
    assert "'lines' must be the lines of a script" in refused.output


# -- rule counts ---------------------------------------------------------------------------------------------------------------


def test_every_rule_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    counts = Counter[str]()
    for row in SEMANTICS:
        drive(reference, lambda history, departure: None, 60, 2, row, counts=counts)
    with capsys.disabled():
        print(f"\n{counts.total()} lines of {len(RULES)} rules:")
        for rule in RULES:
            print(f"{counts[rule.line]:6d}  {rule.row.removeprefix('semantics_'):9s} {rule.line}")
    assert not [rule.line for rule in RULES if not counts[rule.line]]
