"""A pass is for work that is done: runs that were stopped, lost support or could decide little, from question to status."""

from pathlib import Path
from typing import Any

import pytest

import adjudge
from adjudge.records.summary import Summary

OWN = """
from adjudge.backends.mirror import *
from adjudge.oracle.protocol import Unsupported

name = "own"
right = vjp
dtypes = ("float64",)
"""
REFUSES = "def vjp(program, inputs, cotangent):\n    raise {error}\n"
BUT_EXP = """
def vjp(program, inputs, cotangent):
    if "exp" not in program.ops:
        raise Unsupported("only exp")
    return right(program, inputs, cotangent)
"""
DOUBLED = """
def vjp(program, inputs, cotangent):
    answer = right(program, inputs, cotangent)
    answer.gradients[:] = [None if g is None else (g + g).reshape(g.shape) for g in answer.gradients]
    return answer
unit_roundoff = {"float64": 0.49}
"""
LACKS_SIN = 'def supports(op):\n    return op != "sin"\n'
NO_JVP = "jvp = None\n"
ENTRY = '[[unsupported]]\nid = "{id}"\n{fields}\n'


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def checked(more: str, ledger: str | None = None, ops: tuple[str, ...] = ("sin", "exp"), **asked: Any) -> Summary:
    Path("own.py").write_text(OWN + more)
    if ledger is not None:
        Path("own.toml").write_text(ledger)
        asked["ledger"] = "own.toml"
    return adjudge.check("own.py", profile="quick", ops=ops, jobs=1, legs=("balls", "series"), **asked)


def told(summary: Summary) -> str:
    return "; ".join(summary.reasons())


@pytest.mark.parametrize(
    ("more", "ledger", "status", "said"),
    [
        ("", None, 0, "nothing new failed"),
        ("", "", 0, "nothing new failed"),
        (REFUSES.format(error='Unsupported("no")'), None, 2, "nothing was judged"),
        (REFUSES.format(error='Unsupported("no")'), "", 1, "support lost: no (sin, exp)"),
        (BUT_EXP, None, 0, "not supported: 1 op"),
        (BUT_EXP, "", 1, "support lost: only exp (sin)"),
        (BUT_EXP, ENTRY.format(id="but-exp", fields='op = "sin"'), 0, "nothing new failed"),
        (BUT_EXP, ENTRY.format(id="but-exp", fields='op = "*"\nreason = "only exp"'), 2, "not verified: sin (10 unsupported)"),
        (LACKS_SIN, None, 0, "not supported: 1 op"),
        (LACKS_SIN, "", 1, "support lost: own no longer has sin"),
        (LACKS_SIN, ENTRY.format(id="no-sin", fields='op = "sin"'), 0, "nothing new failed"),
        (NO_JVP, None, 0, "nothing new failed"),
        (NO_JVP, "", 1, "support lost in forward mode: own has no jvp (sin, exp)"),
        (NO_JVP, ENTRY.format(id="reverse", fields='op = "*"\nmode = "jvp"'), 0, "nothing new failed"),
        ("", ENTRY.format(id="reverse", fields='op = "*"\nmode = "jvp"'), 1, "ledger entry reverse no longer fails"),
        ("", ENTRY.format(id="no-sin", fields='op = "sin"'), 1, "ledger entry no-sin no longer fails"),
        ("", ENTRY.format(id="no-gru", fields='op = "gru"'), 0, "nothing new failed"),  # gru is not asked about
        ('unit_roundoff = {"float64": 0.125}\n', None, 2, "unit roundoff that the backend declares (0.125 in float64): exp"),
        (DOUBLED, None, 1, "unit roundoff that the backend declares (0.49 in float64): exp (6 of 10 in float64), sin (7 of 10"),
    ],
)  # fmt: skip
def test_a_pass_is_for_work_that_is_done(more: str, ledger: str | None, status: int, said: str) -> None:
    summary = checked(more, ledger)
    assert summary.status() == status, told(summary)
    assert said in told(summary)


def test_a_gate_that_runs_out_of_time_is_partial() -> None:
    summary = checked("", ops=(), max_time=0.5)
    assert (summary.status(), summary.partial) == (2, True)
    assert f"partial: {len(summary.ops) - len(summary.unfinished)} of 114 rows judged" in told(summary)


@pytest.mark.parametrize("unit", ["0.5", "0", "-0.1", 'float("nan")', 'float("inf")', "True", '"small"'])
@pytest.mark.parametrize("whole", [False, True])
def test_a_unit_roundoff_without_sense_is_refused(unit: str, whole: bool) -> None:
    with pytest.raises(
        adjudge.backends.BackendError, match="its unit_roundoff must be a dict of float dtypes to numbers between"
    ):
        checked(f"unit_roundoff = {unit}\n" if whole else f'unit_roundoff = {{"float64": {unit}}}\n')


@pytest.mark.parametrize(
    "backend",
    [
        "import dataclasses\nbackend = dataclasses.replace(load('mirror'), unit_roundoff=0.125)",
        "",
    ],
)
def test_it_is_refused_wherever_a_backend_comes_from(backend: str) -> None:
    spoken = "from adjudge.backends.reference import *\nname = 'own'\nunit_roundoff = 0.125\n"
    Path("other.py").write_text(f"from adjudge.backends import load\n{backend}" if backend else spoken)
    with pytest.raises(adjudge.backends.BackendError, match="its unit_roundoff must be"):
        adjudge.check("other.py:backend" if backend else "other.py")
