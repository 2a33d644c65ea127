"""The loop: what a run draws, records and concludes."""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjudge
from adjudge.backends import BackendError
from adjudge.oracle import Program
from adjudge.oracle.reference import OPS
from adjudge.suite.run import run
from adjudge.suite.settings import Settings

SPOILT = '''
"""The mirror with a fault of its own."""
from adjudge.backends.faults import FAULTS, faulty

backend = faulty(FAULTS["{fault}"], "{op}")
'''


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def records(backend: str = "mirror", **asked: Any) -> list[Any]:
    out: list[Any] = []
    asked = {"profile": "quick", "jobs": 1, "legs": ("balls", "series", "differences"), "ops": ("sin",), **asked}
    run(Settings(backend, **asked), out.append)
    return out


def of(kind: str, every: list[Any]) -> list[Any]:
    return [r for r in every if r.kind == kind]


def timeless(every: list[Any]) -> list[str]:
    return sorted(repr(r.model_dump(exclude={"ms", "number"})) for r in of("outcome", every))


def spoilt(fault: str, op: str) -> str:
    Path("spoilt.py").write_text(SPOILT.format(fault=fault, op=op))
    return "spoilt.py:backend"


def test_a_gate_draws_the_same_questions_every_time() -> None:
    assert timeless(records()) == timeless(records())


LITERALS = """
from adjudge.backends.mirror import *

NUMBERS = [{numbers}]
"""


def test_the_source_of_what_is_judged_changes_no_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    asked: dict[str, Any] = {"ops": ("sin", "roll", "cumsum", "matmul", "composition"), "dtypes": ("float64",)}
    drawn = []
    for name, numbers in (("first", ""), ("second", ", ".join(f"{n}, {n}.5" for n in range(2, 130)))):
        Path(f"{name}.py").write_text(LITERALS.format(numbers=numbers))
        drawn.append(timeless(records(name, **asked)))
    assert drawn[0] == drawn[1]


def test_another_seed_draws_others() -> None:
    assert timeless(records()) != timeless(records(seed=1))


def test_processes_share_the_work_and_find_the_same() -> None:
    asked: dict[str, Any] = {"ops": ("sin", "matmul"), "dtypes": ("float64",)}
    assert timeless(records(jobs=2, **asked)) == timeless(records(jobs=1, **asked))


def test_a_fault_is_found_shrunk_and_blamed() -> None:
    every = records(spoilt("sign flip", "sin"), dtypes=("float64",))
    failure = next(r for r in of("failure", every) if r.verdict == "wrong")
    assert failure.blamed == "sin"
    program = failure.case.question.program
    assert [step.op for step in program.steps] == ["sin"]
    assert program.inputs[0].data.size == 1
    assert {w.leg: w.stance for w in failure.case.witnesses}["series"] == "agrees"


def test_a_wrong_rule_of_ours_is_a_disagreement_and_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPS, "sin", replace(OPS["sin"], rules=(lambda g, y, x: g * x,)))
    every = records("reference", dtypes=("float64",))
    assert of("disagreement", every)
    assert not of("failure", every)
    assert {w.stance for r in of("disagreement", every) for w in r.case.witnesses if w.leg == "series"} == {"disagrees"}


def test_what_a_backend_lacks_is_one_record() -> None:
    Path("lacking.py").write_text(
        "from adjudge.backends.mirror import *\nname = 'lacking'\n\n\ndef supports(op):\n    return op != 'sin'\n"
    )
    outcomes = of("outcome", records("lacking.py", dtypes=("float64",)))
    assert [r.verdict for r in outcomes] == ["unsupported"]


def test_a_process_of_adjudges_own_that_ends_is_said_in_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    Path("deadly.py").write_text(
        "import os\nfrom adjudge.backends.mirror import *\nname = 'deadly'\n\n\n"
        "def vjp(program, inputs, cotangent):\n    os._exit(3)\n"
    )
    with pytest.raises(BackendError, match="a process of adjudge's own ended in the middle of the run"):
        records("deadly.py", ops=("sin", "cos"), jobs=2, in_process=True)


def test_time_is_kept() -> None:
    every = records("mirror", ops=(), max_time=1.0)
    assert of("end", every)[0].seconds < 20
    assert of("outcome", every)


def test_the_front_door_checks_and_judges() -> None:
    assert adjudge.check("mirror", profile="quick", ops=("sin",), jobs=1).status() == 0
    assert adjudge.check(spoilt("NaN", "sin"), profile="quick", ops=("sin",), jobs=1).status() == 1
    assert adjudge.judge(Program.of([np.array([0.5])], [("sin", [0])]), "mirror").verdict == "correct"


def test_caches_ignore_themselves_in_git() -> None:
    records()
    assert (Path(".adjudge") / ".gitignore").read_text().strip() == "*"
    assert sorted(p.name for p in Path.cwd().iterdir()) == [".adjudge"]


def test_the_package_carries_its_data() -> None:
    names = {p.name for p in (files("adjudge.backends") / "ledgers").iterdir()}
    assert {"mygrad.toml", "jax.toml"} <= names
    assert (files("adjudge") / "py.typed").is_file()
    assert (files("adjudge.reports") / "report.schema.json").is_file()
    assert (files("adjudge.records") / "records.schema.json").is_file()
    assert (files("adjudge.tests.conformance") / "test_conformance.py").is_file()
