"""Scripts of tensors: the reference passes its own examination, and every seeded fault of the semantics is found."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adjudge import cli
from adjudge.oracle import reference
from adjudge.oracle.lockstep import Divergence, LineError, Lockstep, reduce, replay
from adjudge.records.case import read_case
from adjudge.records.divergences import KnownDivergence
from adjudge.records.files import read_records
from adjudge.records.ledger import Ledger, LedgerError, shipped_ledger
from adjudge.records.models import FailureRecord, OutcomeRecord
from adjudge.records.script_case import ScriptCase
from adjudge.strategies.rules import RULES, SEMANTICS
from adjudge.strategies.scripts import drive

# -- a second reference, with seeded faults ------------------------------------------------------------------------------------

#: Each fault by name: lines of a module of `adjudge.oracle.reference`, and what they are replaced by.
FAULTS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "the gradient of a view goes stale": ("tensors", [(
        "whole is self._nulled else self._seen_in(whole)\n",
        "whole is self._nulled else STALE.setdefault(id(self), (self, self._seen_in(whole).copy()))[1]\n",
    ), (
        "VIEWING = ", "STALE = {}\nVIEWING = ",
    )]),
    "a view that is no operand has no gradient": ("tensors", [(
        "if base is None or base.constant or self.constant:", "if True:",
    )]),
    "the gradient of a view is a copy": ("tensors", [(
        "whole is self._nulled else self._seen_in(whole)\n", "whole is self._nulled else self._seen_in(whole).copy()\n",
    )]),
    "use does not null": ("tensors", [("            x.null_grad()\n    return out\n", "            pass\n    return out\n")]),
    "null_grad forgets views": ("tensors", [("            self._nulled = base._node.grad\n", "            pass\n")]),
    "fan-out is forgotten": ("graph", [("        x.grad += pulled\n", "        x.grad = laid_out(pulled, x.data)\n")]),
    "an update misses views of views": ("tensors", [(
        "        above = parent._now()\n",
        "        if parent._parent is not None and not node.cleared:\n            return node\n        above = parent._now()\n",
    )]),
    "an update in place is not differentiated": ("tensors", [(
        "        old = self._now()\n",
        "        self.data[...] = record(op, tuple(map(_plain, operands)), params).data\n        return self.null_grad()\n",
    )]),
    "what was overwritten keeps its gradient": ("graph", [(
        "    op, params = node.op, node.params\n",
        "    op, params = node.op, node.params\n"
        "    if op is not None and op.name == 'setitem' and k == 0:\n        return g.copy()\n",
    )]),
    "a constant has a gradient": ("tensors", [(
        "        if node.constant:\n            return\n",
        "        if node.constant:\n            node.grad = np.ones_like(node.data) if node.data.dtype.kind == 'f' else None\n"
        "            return\n",
    )]),
    "constant=True is not heard by views": ("tensors", [(
        "node = compute(op, tuple(nodes), params, constant, ",
        "node = compute(op, tuple(nodes), params, None if op.name in VIEWING else constant, ",
    )]),
    "backward twice adds up": ("graph", [
        ("    order = _upstream(terminus)\n", "    order = _upstream(terminus)\n    before = [node.grad for node in order]\n"),
        (
            "    for node in order:\n        node.op, ",
            "    for node, grad in zip(order, before):\n        if grad is not None and node.grad is not None:\n"
            "            node.grad = node.grad + grad\n        node.op, ",
        ),
    ]),
    "nothing is cleared": ("graph", [(
        "        node.op, node.operands, node.params, node.cleared = None, (), NOTHING, True\n", "        pass\n",
    )]),
    "what backward was given is ignored": ("tensors", [(
        "        if grad is None:\n            seed", "        if True:\n            seed",
    )]),
    "backward from a non-scalar takes the mean": ("tensors", [(
        "seed = np.ones_like(data)", "seed = np.full_like(data, 1 / data.size)",
    )]),
    "gradients are always float64": ("graph", [(
        "    if x.grad is not None:\n        x.grad += pulled\n        return\n",
        "    x.grad = np.array(pulled if x.grad is None else x.grad + pulled, np.float64)\n    return\n",
    )]),
    "NumPy's functions give arrays": ("tensors", [(
        "return _plainly(func, func, args, kwargs) if answer is None else answer(*args, **kwargs)",
        "return np.asarray(_plainly(func, func, args, kwargs) if answer is None else answer(*args, **kwargs))",
    )]),
    "asarray copies": ("tensors", [("np.asarray(self.data, dtype=dtype, copy=copy)", "np.array(self.data, dtype)")]),
    "a refused update changes the tensor": ("tensors", [(
        "        value = record(op, operands, params, old.constant or None)\n",
        "        try:\n            value = record(op, operands, params, old.constant or None)\n"
        "        except ValueError:\n            self.data[...] += 1\n            raise\n",
    )]),
}  # fmt: skip

Spoil = Callable[..., ModuleType]


@pytest.fixture
def spoilt(tmp_path: Path) -> Iterator[Spoil]:
    """Imports the reference's own code once more, under another name and with a fault in it, if one is named."""
    name, folder = "adjudge.oracle.spoilt_reference", tmp_path / "spoilt_reference"

    def spoil(fault: str = "") -> ModuleType:
        shutil.copytree(Path(str(reference.__file__)).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
        module, replacements = FAULTS.get(fault, ("", []))
        for old, new in replacements:
            path = folder / f"{module}.py"
            text = path.read_text("utf-8")
            assert text.count(old) == 1, f"{fault}: {module}.py has not one place that reads\n{old}"
            path.write_text(text.replace(old, new), "utf-8")
        spec = importlib.util.spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=[str(folder)])
        assert spec is not None
        assert spec.loader is not None
        library = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(library)
        return library

    yield spoil
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


# -- divergences ---------------------------------------------------------------------------------------------------------------


def first_divergence(lib: Any, scripts: int, start: int = 0, row: str | None = None) -> Divergence | None:
    """The first divergence in so many scripts."""

    def on_end(lockstep: Lockstep, divergence: Divergence | None) -> None:
        if divergence is not None:
            raise divergence

    try:
        drive(lib, on_end, scripts, start, row)
    except Divergence as divergence:
        return divergence
    return None


@pytest.mark.parametrize("row", SEMANTICS)
def test_the_reference_agrees_with_itself(row: str) -> None:
    assert first_divergence(reference, 25, 1, row) is None


def test_an_unspoilt_copy_agrees_with_the_reference(spoilt: Spoil) -> None:
    assert first_divergence(spoilt(), 40) is None


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_found_and_its_smallest_script_is_replayed(name: str, spoilt: Spoil) -> None:
    library = spoilt(name)
    divergence = next(filter(None, (first_divergence(library, 150, 0, row) for row in SEMANTICS)), None)
    assert divergence is not None, f"nobody saw that {name}"
    small = reduce(library, divergence)
    assert len(small.lines) <= len(divergence.lines)
    again = replay(library, small.lines)
    assert again is not None
    assert again.signature == divergence.signature
    assert replay(reference, small.lines) is None


def test_a_script_that_grows_without_end_is_given_up() -> None:
    growing = ["a = lib.tensor([[1.0, 2.0]])", *["b = a.reshape((-1, 1))", "a = a.reshape((1, -1))", "a = a * b"] * 60]
    with pytest.raises(LineError, match="an array has more than 64 elements by then"):
        replay(reference, growing)


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
            divergence = replay(mygrad, [*entry.snippet[:n], *entry.snippet[n + 1 :]])
            alike = divergence is not None and len(divergence.lines) == len(entry.snippet) - 1 and entry.explains(divergence)
            assert not alike, f"{entry.id} is seen without `{entry.snippet[n]}`"


def test_what_does_not_come_back_is_stopped() -> None:
    class Endless(reference.Tensor):
        def backward(self, grad: Any = None) -> None:
            while True:
                pass

    library = SimpleNamespace(Tensor=Endless, tensor=Endless)
    divergence = replay(library, ["a = lib.tensor(1.0)", "a.backward()"])
    assert divergence is not None
    assert divergence.verdict == "crash"
    assert divergence.reason.startswith("`a.backward()` does not come back")


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
        ("snippet", '"if a: pass\\nelse: 2"', "is no line of a script"),
        ("snippet", '"a = = 1"', "is no line of a script"),
        ("versions", '"new"', "must be a range"),
        ("color", '"red"', "there is no key 'color'"),
    ]
    (tmp_path / "my.toml").write_text("")
    beside = tmp_path / "my.semantics.toml"

    def write(tree: dict[str, str]) -> None:
        beside.write_text("[[divergence]]\n" + "\n".join(f"{k} = {v}" for k, v in tree.items()))

    write(good)
    assert [e.id for e in Ledger.read(tmp_path / "my.toml").divergences] == ["x"]
    for key, value, message in bad:
        write({**good, key: value})
        with pytest.raises(LedgerError, match=re.escape(message)) as raised:
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
    checked = command(*CHECK, "--op", "semantics_backward", "--ledger", "none.toml")
    assert checked.exit_code == 1, checked.output
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


def test_the_same_scripts_come_every_time_and_mygrad_passes_with_its_ledger(elsewhere: Path) -> None:
    pytest.importorskip("mygrad")

    def outcomes() -> list[tuple[Any, ...]]:
        checked = command(*CHECK)
        assert checked.exit_code == 0, checked.output
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
    mygrad = pytest.importorskip("mygrad")
    if not entry.applies(mygrad.__version__):
        pytest.skip(f"about MyGrad {entry.versions}")
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
    assert "'a =' is no line of a script" in refused.output


# -- rule counts ---------------------------------------------------------------------------------------------------------------


def test_every_rule_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    counts = Counter[str]()
    for row in SEMANTICS:
        drive(reference, lambda lockstep, divergence: None, 60, 2, row, counts=counts)
    with capsys.disabled():
        print(f"\n{counts.total()} lines of {len(RULES)} rules:")
        for rule in RULES:
            print(f"{counts[rule.line]:6d}  {rule.row.removeprefix('semantics_'):9s} {rule.line}")
    assert not [rule.line for rule in RULES if not counts[rule.line]]
