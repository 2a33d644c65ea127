"""The command: each thing that a user can get wrong is one sentence, and each status means what the interface says."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner, Result

from adjudge import cli
from adjudge.oracle.certificate import as_question
from adjudge.oracle.judge import VERDICTS
from adjudge.oracle.program import Program
from adjudge.records.case import Case, WitnessRecord, save_case
from adjudge.records.files import read_records
from adjudge.records.models import CheckRun, DisagreementRecord, EndRecord, OutcomeRecord
from adjudge.reports.schemas import published
from adjudge.suite import run as suite
from adjudge.suite.settings import Settings

#: A backend of the user's own: the mirror, with a gradient of tanh that is a little off until it is mended.
OWN = '''
"""A backend with a fault."""
import os
import numpy as np
from adjudge.backends import Language
from adjudge.backends.mirror import dtypes, versions, vjp as right

name = "own"
language = Language(
    title="own",
    imports="import planted_library",
    step="planted_library.{op}({args})",
    vjp="""
        def vjp({inputs}, cotangent):
            {steps}
            value, pull = {out}
            return value, pull(cotangent)
    """,
)


def supports(op):
    return op in ("tanh", "exp", "add")


def vjp(program, inputs, cotangent):
    answer = right(program, inputs, cotangent)
    if "tanh" in program.ops and not os.path.exists("mended"):
        answer.gradients[:] = [None if g is None else np.asarray(g * g.dtype.type(1.5)) for g in answer.gradients]
    return answer
'''
LIBRARY = """
import os
import numpy as np


def tanh(x):
    factor = 1.0 if os.path.exists("mended") else 1.5
    return np.tanh(x), lambda g: [factor * g / np.cosh(x) ** 2]
"""
LEDGER = """
[[unsupported]]
id = "reverse-mode-only"
op = "*"
mode = ["jvp", "hvp"]

[[entry]]
id = "tanh-half-more"
op = "tanh"
verdict = "wrong"
where = "gradient"
reason = "the gradient is half as much again"
proof = "1.5"
found = 2026-01-31
case = { inputs = [{ dtype = "float64", shape = [], data = [1.0] }], steps = [{ op = "tanh", args = [0] }] }
"""
FAST = ("--profile", "quick", "--dtype", "float64", "-j", "1", "--legs", "balls,series")

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, run in an empty folder with a backend, its library and a ledger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # where the loader looks for a user's module
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "planted_library.py").write_text(LIBRARY)
    (tmp_path / "ledger.toml").write_text(LEDGER)
    return lambda *args: CliRunner().invoke(cli.main, [str(a) for a in args])


def refused(result: Result, sentence: str, status: int = 2) -> None:
    """One sentence on stderr that contains this, and nothing on stdout."""
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("adjudge: ")
    assert result.stderr.count("\n") == 1
    assert sentence in result.stderr


# -- what users get wrong ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("chekc mygrad", "there is no command 'chekc'; did you mean 'check'?"),
        ("ledger chekc mygrad", "there is no command 'chekc'; did you mean 'check'?"),
        ("list opps", "there is no list 'opps'; did you mean 'ops'?"),
        ("check", "Missing argument 'BACKEND'"),
        ("check refrence", "did you mean 'reference'?"),
        ("check nowhere.py", "there is no file nowhere.py"),
        ("check broken.py", "backend 'broken.py' cannot be imported: ZeroDivisionError"),
        ("check own.py:there", "has no attribute 'there'"),
        ("check own.py --op tahn", "there is no op 'tahn'; did you mean 'tan"),
        ("check own.py --op tanh -k cosh", "-k 'cosh' matches no op among those that --op names"),
        ("check own.py -k tanh+exp", "-k 'tanh+exp' is no expression"),
        ("check own.py -k nothing_like_it", "matches no op; `adjudge list ops` shows all"),
        ("check own.py --dtype float65", "backend own has no dtype 'float65'; it has float64, float32, float16"),
        ("check own.py --profile cii", "there is no profile 'cii'; did you mean 'ci'?"),
        ("check own.py --legs balls,serie", "there is no leg 'serie'; did you mean 'series'?"),
        ("check own.py --max-time 0", "--max-time"),
        ("check own.py --seed x", "--seed"),
        ("check own.py -j 0", "--jobs"),
        ("check own.py --frobnicate", "No such option"),
        ("check own.py -q -v", "-q says less and -v says more: only one of them can be"),
        ("check own.py --no-report --report-dir x", "--no-report writes nothing, and --report-dir says where to"),
        ("check own.py --report-dir own.py", "the report cannot be written to own.py"),
        ("check own.py --ledger none.toml", "ledger none.toml cannot be read"),
        ("check own.py --ledger own.py", "ledger own.py is not TOML"),
        ("replay none.json", "case none.json cannot be read"),
        ("replay own.py.json", "case own.py.json cannot be read"),
        ("replay bad.json", "case bad.json: it is not JSON"),
        ("replay lacking.json", "case lacking.json: it needs a 'kind', one of 'program', 'script'"),
        ("replay 0123", "there is no case '0123' in adjudge-report/cases or in a shipped ledger"),
        ("replay all", "there are no cases in adjudge-report/cases"),
        ("replay all --script", "--script prints one case, and all are many"),
        ("replay square.json", "case square is about the backend 'own', which does not ship with adjudge: say --backend"),
        ("replay square.json --backend own.py", "backend own has no op 'square', which case square uses"),
        ("replay square.json --backend mirorr", "did you mean 'mirror'?"),
        ("replay square.json --backend mirror --script", "backend mirror does not say how its programs are written (language)"),
        ("explain all", "explain takes one case"),
        ("ledger list own.py --ledger none.toml", "ledger none.toml cannot be read"),
        ("ledger check own.py", "no ledger entry of backend own applies"),
    ],
)
def test_a_wrong_input_is_one_sentence(run: Run, args: str, sentence: str) -> None:
    Path("broken.py").write_text("1 / 0")
    Path("bad.json").write_text("{")
    Path("lacking.json").write_text("{}")
    squared = as_question(Program.of([np.array(2.0)], [("square", [0])]))
    save_case(Path(), Case(id="square", backend="own", question=squared, verdict="wrong"), None)
    refused(run(*args.split()), sentence)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ('profle = "ci"', "[tool.adjudge] has no option 'profle'; did you mean 'profile'?"),
        ("seed = '1'", "[tool.adjudge] seed must be a whole number, not '1'"),
        ("op = 'tanh'", "[tool.adjudge] op must be a list of names, not 'tanh'"),
        ("quiet = 1", "[tool.adjudge] quiet must be true or false, not 1"),
        ("max-time = true", "[tool.adjudge] max-time must be a number, not True"),
        ("profile = 'cii'", "there is no profile 'cii'; did you mean 'ci'?"),
        ("legs = ['ball']", "there is no leg 'ball'; did you mean 'balls'?"),
        ("quiet = true\nverbose = true", "-q says less and -v says more"),
        ("seed = ", "pyproject.toml cannot be read"),
    ],
)
def test_a_wrong_setting_is_one_sentence(run: Run, table: str, sentence: str) -> None:
    Path("pyproject.toml").write_text(f"[tool.adjudge]\n{table}\n")
    refused(run("check", "own.py"), sentence)


# -- check ---------------------------------------------------------------------------------------------------------------------


def test_a_fault_is_reported_kept_replayed_explained_and_seen_to_be_mended(run: Run) -> None:
    result = run("check", "own.py", "--op", "tanh", "--op", "exp", *FAST)
    assert result.exit_code == 1, result.output
    assert "FAILED: " in result.stdout
    assert "own tanh (float64) is wrong in the gradient of a" in result.stdout
    assert result.stdout.isascii()
    assert all(c.isprintable() or c == "\n" for c in result.stdout)
    tree = json.loads(Path("adjudge-report/report.json").read_text())
    jsonschema.validate(tree, published())
    assert tree["verdict"] | {"reasons": []} == {
        "status": 1, "passed": False, "partial": False, "strict_accuracy": False, "reasons": [],
    }  # fmt: skip
    assert {r["op"]: r["state"] for r in tree["ops"]} == {"tanh": "new", "exp": "correct"}
    (failure,) = tree["failures"]
    name = failure["case"]
    assert f"adjudge replay {name} --backend own.py" in result.stdout
    assert "= tanh(a)" in "\n".join(failure["program"])

    refused(run("replay", name), f"case {name} is about the backend 'own', which does not ship with adjudge")
    again = run("replay", name, "--backend", "own.py")
    assert (again.exit_code, again.stderr) == (1, "")
    assert again.stdout.startswith(f"{name} still fails: own tanh")
    assert run("replay", f"adjudge-report/cases/{name}.json", "--backend", "own.py").exit_code == 1
    assert run("replay", "all", "--for-bisect", "--backend", "own.py").exit_code == 1

    explained = run("explain", name, "--backend", "own.py")
    assert explained.exit_code == 1
    for words in ("balls ", "series ", "own ", "disagrees", "To blame: tanh", "import planted_library"):
        assert words in explained.stdout

    printed = run("replay", name, "--script", "--backend", "own.py")
    assert (printed.exit_code, printed.stdout) == (0, Path(f"adjudge-report/cases/{name}.py").read_text())
    assert subprocess.run([sys.executable, "-c", printed.stdout], check=False, capture_output=True).returncode == 1

    Path("mended").touch()
    assert subprocess.run([sys.executable, "-c", printed.stdout], check=False, capture_output=True).returncode == 0
    mended = run("replay", "all", "--backend", "own.py")
    assert mended.exit_code == 0
    assert f"{name} no longer fails with adjudge {version('adjudge')}: within the allowance (it was wrong)" in mended.stdout
    assert "no longer fails" in run("explain", name, "--backend", "own.py").stdout
    assert run("check", "own.py", "--op", "tanh", "--op", "exp", *FAST).exit_code == 0


def test_what_the_ledger_knows_fails_nothing_until_it_is_fixed(run: Run) -> None:
    known = run("check", "own.py", "--op", "tanh", "--ledger", "ledger.toml", *FAST)
    assert known.exit_code == 0, known.output
    assert run("ledger", "check", "own.py", "--ledger", "ledger.toml").exit_code == 0
    assert "tanh-half-more: tanh is wrong in the gradient" in run("ledger", "list", "own.py", "--ledger", "ledger.toml").stdout
    Path("mended").touch()
    fixed = run("check", "own.py", "--op", "tanh", "--ledger", "ledger.toml", *FAST)
    assert fixed.exit_code == 1
    assert "tanh-half-more no longer fails" in fixed.stdout
    checked = run("ledger", "check", "own.py", "--ledger", "ledger.toml")
    assert checked.exit_code == 1
    assert "tanh-half-more no longer fails" in checked.stdout


def test_an_entry_that_does_not_explain_its_own_case_fails_the_ledger(run: Run) -> None:
    Path("ledger.toml").write_text(LEDGER + "when = { kink = true }\n")
    checked = run("ledger", "check", "own.py", "--ledger", "ledger.toml")
    assert checked.exit_code == 1
    assert "tanh-half-more fails otherwise" in checked.stdout


def test_nothing_judged_is_no_verdict(run: Run) -> None:
    result = run("check", "own.py", "--op", "sinh", "--no-report", *FAST)
    assert result.exit_code == 2
    assert "NO VERDICT: nothing was judged" in result.stdout
    assert not Path("adjudge-report").exists()


def test_quiet_says_the_verdict_alone(run: Run) -> None:
    result = run("check", "own.py", "--op", "exp", "--no-report", "-q", *FAST)
    assert (result.exit_code, result.stdout.count("\n")) == (0, 1)
    assert result.stdout.startswith("PASSED: ")


def test_settings_come_from_pyproject_and_the_command_line_outdoes_them(run: Run) -> None:
    settings = ('op = ["exp"]', 'profile = "quick"', 'dtype = ["float64"]', "jobs = 1", 'legs = ["balls"]')
    Path("pyproject.toml").write_text("\n".join(["[tool.adjudge]", *settings, "no-report = true", "quiet = true"]))
    Path("deep").mkdir()
    os.chdir("deep")
    assert run("check", "../own.py").stdout.startswith("PASSED: ")
    assert not Path("adjudge-report").exists()
    assert "tanh" in run("check", "../own.py", "--op", "tanh", "-v", "--report-dir", "here").stdout
    assert read_records(Path("here")).records[0].model_dump()["ops"] == ("tanh",)


@pytest.mark.parametrize(
    ("expression", "ops"),
    [
        ("tanh", {"tanh", "arctanh", "hard_tanh"}),
        ("tanh and not arc", {"tanh", "hard_tanh"}),
        ("(sinh or cosh) and not arc", {"sinh", "cosh"}),
        ("reductions and cum", {"cumsum", "cumprod"}),
    ],
)
def test_k_chooses_by_name_and_family(run: Run, monkeypatch: pytest.MonkeyPatch, expression: str, ops: set[str]) -> None:
    asked: list[Settings] = []
    monkeypatch.setattr(suite, "run", lambda settings, emit, loaded: asked.append(settings))
    run("check", "own.py", "--no-report", "-k", expression)
    assert set(asked[0].ops) == ops


def test_an_interrupted_run_keeps_what_was_judged(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(settings: Any, emit: Any, loaded: Any) -> None:
        emit(CheckRun(backend="own", ops=("exp",)))
        emit(OutcomeRecord(op="exp", verdict="correct", worst_ulp=0.5))
        raise KeyboardInterrupt

    monkeypatch.setattr(suite, "run", interrupted)
    result = run("check", "own.py")
    assert result.exit_code == 130
    assert "INTERRUPTED: the run was interrupted" in result.stdout
    tree = json.loads(Path("adjudge-report/report.json").read_text())
    assert (tree["verdict"]["partial"], tree["counts"]["judged"]) == (True, 1)
    assert [r.kind for r in read_records(Path("adjudge-report")).records] == ["run", "outcome", "end"]


def test_legs_that_disagree_are_our_defect(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = as_question(Program.of([np.array(2.0)], [("exp", [0])]))
    witnesses = (
        WitnessRecord(leg="balls", stance="agrees", derivative=7.389),
        WitnessRecord(leg="series", stance="disagrees", derivative=1.0),
    )

    def doubtful(settings: Any, emit: Any, loaded: Any) -> None:
        emit(CheckRun(backend="own", ops=("exp",)))
        emit(OutcomeRecord(op="exp", verdict="undecided"))
        case = Case(id="doubt", backend="own", question=asked, verdict="wrong", witnesses=witnesses)
        emit(DisagreementRecord(op="exp", case=case))
        emit(EndRecord(seconds=0.0))

    monkeypatch.setattr(suite, "run", doubtful)
    result = run("check", "own.py")
    assert result.exit_code == 4
    assert "ORACLE IN DOUBT: " in result.stdout
    assert "disagrees" in result.stdout
    assert Path("adjudge-report/cases/doubt.json").exists()
    assert not Path("adjudge-report/cases/doubt.py").exists()


def test_a_defect_of_adjudge_is_no_verdict_on_the_backend(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(settings: Any, emit: Any, loaded: Any) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(suite, "run", broken)
    result = run("check", "own.py", "--no-report")
    assert result.exit_code == 2
    assert "RuntimeError: ours" in result.stderr


@pytest.mark.parametrize("args", ["replay square.json", "replay none.json", "replay square.json --backend nowhere.py"])
def test_what_cannot_be_judged_is_skipped_in_a_bisection(run: Run, args: str) -> None:
    squared = as_question(Program.of([np.array(2.0)], [("square", [0])]))
    save_case(Path(), Case(id="square", backend="own", question=squared, verdict="wrong"), None)
    refused(run(*args.split(), "--for-bisect"), "", status=125)


def test_a_case_whose_truth_is_not_known_cannot_be_judged(run: Run) -> None:
    asked = as_question(Program.of([np.array(-2.0)], [("log", [0])]))
    save_case(Path(), Case(id="log", backend="reference", question=asked, verdict="wrong"), None)
    result = run("replay", "log.json")
    assert result.exit_code == 2
    assert "log cannot be judged with reference: undecided" in result.stdout
    assert run("replay", "log.json", "--for-bisect").exit_code == 125


# -- list and doctor -----------------------------------------------------------------------------------------------------------


def test_lists_are_text_or_json(run: Run) -> None:
    assert [row["verdict"] for row in json.loads(run("list", "verdicts", "--json").stdout)] == list(VERDICTS)
    ops = json.loads(run("list", "ops", "--json").stdout)
    assert {"op": "tanh", "family": "hyperbolic"} in ops
    assert ops[-1]["op"] == "composition"
    assert "reference" in run("list", "backends").stdout


def test_the_doctor_sees_versions_plugins_and_threads(run: Run) -> None:
    said = run("doctor")
    assert said.exit_code == 0
    for words in (
        f"adjudge {version('adjudge')}",
        "python-flint",
        "backend reference: ",
        "pytest",
        "examples: shown",
        "threads: ",
    ):
        assert words in said.stdout


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-W", "error", "-m", "adjudge", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, f"adjudge, version {version('adjudge')}\n")


def test_the_command_imports_neither_models_nor_charts_before_it_needs_them() -> None:
    heavy = "{'pydantic', 'matplotlib', 'scipy', 'hypothesis', 'rich', 'jinja2'}"
    code = f"import sys, adjudge.cli; print(', '.join({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_without_arguments_help_is_shown(run: Run) -> None:
    result = run()
    assert result.exit_code == 2
    assert "check" in result.stderr


def test_the_command_offers_the_legs_and_profiles_that_there_are(run: Callable[..., Result]) -> None:
    """It names them itself, so that `--help` need not load the oracle."""
    from adjudge.cli.check import LEGS as OFFERED
    from adjudge.oracle.legs import LEGS
    from adjudge.suite.settings import PROFILES

    assert tuple(LEGS) == OFFERED
    text = run("check", "--help").stdout
    assert all(name in text for name in PROFILES)
