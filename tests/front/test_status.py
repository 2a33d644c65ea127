"""One table of situations and outputs: whatever became of a run, the status and everything that is written agree."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from adjudge.backends import BackendError
from adjudge.cli import main
from adjudge.records.files import read_records
from adjudge.records.history import history
from adjudge.records.summary import summarise
from adjudge.reports.ci import HEADLINES
from adjudge.suite import run as suite

from ..records.examples import changed, ends
from ..reports.test_pages import DOUBT, END, LEDGER, WRONG, failure, header, outcome

ROOT = Path(__file__).parents[2]
TWO = header(ops=["exp", "log"], plan={"exp": ["float64"], "log": ["float64"]})
ON_RECORD = changed(TWO, ledger=True)
RIGHT = [outcome("exp"), outcome("log")]
BOTH = ends("exp", "log")
NO_LOG = outcome("log", "unsupported", where="program", reason="toy has no log")
NO_AXIS = outcome("log", "unsupported", mode="vjp", reason="log: axis must be a number", number=3)
NO_JVP = {"jvp": {"verdict": "unsupported", "reason": "toy has no jvp"}}
UNKNOWN = [outcome("log", "undecided", reason="ill-conditioned: wide")] * 3
UNSTRICT = [TWO, outcome("exp"), outcome("log", "lossy"), *BOTH, END]

#: What a run recorded, the exit status, and a piece of the reason; None for an end that never came.
SITUATIONS: dict[str, tuple[list[Any], int, str]] = {
    "passed": ([TWO, *RIGHT, *BOTH, END], 0, "2 programs judged, and nothing new failed"),
    "a new failure": ([TWO, *RIGHT, WRONG, failure(), *BOTH, END], 1, "1 new failure"),
    "a stale entry": ([TWO, *RIGHT, *BOTH, changed(LEDGER, state="no longer fails"), END], 1, "log-1 no longer fails"),
    "lossy": (UNSTRICT, 0, "nothing new failed"),
    "lossy, strictly": ([changed(TWO, strict_accuracy=True), *UNSTRICT[1:]], 1, "1 answer lost digits"),
    "an op lost": ([ON_RECORD, outcome("exp"), NO_LOG, *BOTH, END], 1, "support lost: toy no longer has log"),
    "a parameter lost": ([ON_RECORD, *RIGHT, NO_AXIS, *BOTH, END], 1, "support lost: log: axis must be a number (log)"),
    "a mode lost": ([ON_RECORD, outcome("exp", modes=NO_JVP), outcome("log"), *BOTH, END], 1, "support lost in forward mode"),
    "lacking on record": (
        [ON_RECORD, outcome("exp"), changed(NO_LOG, known="no-log"), BOTH[0], changed(BOTH[1], on_record="no-log"), END],
        0, "1 program judged, and nothing new failed",
    ),
    "a parameter on record, and nothing else of the op": (
        [ON_RECORD, outcome("exp"), changed(NO_AXIS, known="no-axis"), *BOTH, END], 2, "not verified: log (1 unsupported)",
    ),
    "lacking without a ledger": ([TWO, outcome("exp"), NO_LOG, *BOTH, END], 0, "not supported: 1 op"),
    "time over": ([TWO, *RIGHT, *BOTH[:1], changed(BOTH[1], ended=False), END], 2, "partial: 1 of 2 rows judged"),
    "a row never asked": ([TWO, RIGHT[0], *BOTH[:1], END], 2, "partial: 1 of 2 rows judged"),
    "a dtype never asked": ([changed(TWO, plan={"exp": ("float64", "float32")}), *RIGHT, *BOTH, END], 2, "partial: 1 of 2"),
    "time over, exploring": ([changed(TWO, explores=True), *RIGHT, END], 0, "nothing new failed"),
    "a row never asked, exploring": ([changed(TWO, explores=True), RIGHT[0], END], 2, "partial: 1 of 2 rows judged"),
    "time over after a failure": ([TWO, outcome("exp", "wrong"), failure(), END], 1, "partial: 0 of 2 rows judged"),
    "nothing judged of an op": ([TWO, outcome("exp"), *UNKNOWN, *BOTH, END], 2, "not verified: log (3 undecided)"),
    "nothing judged": ([TWO, *UNKNOWN, *BOTH, END], 2, "nothing was judged"),
    "all refused": ([TWO, NO_LOG, changed(NO_LOG, op="exp"), *BOTH, END], 2, "nothing was judged"),
    "undecidable as declared": (
        [changed(TWO, unit_roundoff={"float64": 0.25}), *RIGHT, *UNKNOWN, *BOTH, END],
        2, "unit roundoff that the backend declares (0.25 in float64): log (3 of 4 in float64)",
    ),
    "oracle in doubt": ([TWO, *RIGHT, DOUBT, *BOTH, END], 4, "adjudge's own defect"),
    "interrupted": ([TWO, RIGHT[0], changed(END, interrupted=True)], 130, "the run was interrupted"),
    "no end": ([TWO, *RIGHT, *BOTH], 2, "the run did not reach its end"),
    "no end after a failure": ([TWO, outcome("exp", "wrong"), failure()], 1, "the run did not reach its end"),
}  # fmt: skip


@pytest.fixture(scope="module")
def gate() -> Callable[[Path], tuple[bool, str]]:
    """What decides in `nox -s gate`."""
    spec = importlib.util.spec_from_file_location("sessions_of_nox", ROOT / "noxfile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        spec.loader.exec_module(module)
    return module.verdict_in  # type: ignore[no-any-return]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_whatever_becomes_of_a_run_all_outputs_agree(
    situation: str, gate: Callable[[Path], tuple[bool, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records, status, reason = SITUATIONS[situation]

    def ran(settings: Any, emit: Any, loaded: Any) -> None:
        for came in records:
            emit(came)
        if records[-1].kind != "end":
            raise BackendError("toy is gone")
        if records[-1].interrupted:
            raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(suite, "run", ran)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    strict = ["--strict-accuracy"] if records[0].strict_accuracy else []
    done = CliRunner().invoke(main, ["check", "mirror", "--history", "past", *strict])
    folder, word, said = tmp_path / "adjudge-report", HEADLINES[status], " ".join(done.stdout.split())

    assert done.exit_code == status, done.output
    assert f"{word}: " in said
    assert reason in said
    assert ("::error title=" in said) == (status != 0)
    verdict = json.loads((folder / "report.json").read_text())["verdict"]
    assert (verdict["status"], verdict["passed"]) == (status, status == 0)
    assert any(reason in told for told in verdict["reasons"])
    assert f"adjudge: toy {word}" in (folder / "summary.md").read_text()
    page = (folder / "index.html").read_text()
    mood = "correct" if status == 0 else "new" if status in (1, 4) else "undecided"
    assert f"<title>toy 1.0 {word} – adjudge</title>" in page
    assert f'<section class="verdict {mood}-edge"' in page
    red = ElementTree.parse(folder / "junit.xml").findall(".//testcase/*")
    assert bool([note for note in red if note.tag in ("failure", "error")]) == (status != 0)
    assert gate(folder) == (status == 0, "; ".join(verdict["reasons"]))
    with history(Path("past")) as past:
        ((run,),) = [runs for machine in past.machines() for runs in past.conformance(machine.key).values()]
    assert (run.status, run.partial) == (status, verdict["partial"])
    assert summarise(read_records(folder).records).status(bool(strict)) == status


@pytest.mark.parametrize("left", [None, "", "{}", '{"verdict": {"status": 2, "passed": true, "reasons": []}}', "[1]"])
def test_a_run_that_left_no_report_does_not_pass_the_gate(
    left: str | None, gate: Callable[[Path], tuple[bool, str]], tmp_path: Path
) -> None:
    if left is not None:
        (tmp_path / "report.json").write_text(left)
    assert gate(tmp_path)[0] is False
