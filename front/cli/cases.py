"""`adjudge replay` and `adjudge explain`: stored questions, asked again."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Any

import click

from ..backends import SHIPPED, Backend
from ..backends.language import LanguageError
from ..oracle.blame import blame
from ..oracle.judge import VERDICTS, Judgement
from ..oracle.program import ProgramError
from ..records.case import Case, read_case
from ..records.ledger import LedgerError, shipped_ledger
from ..records.lockstep import HistoryCase, history_script
from ..records.sentences import failure_sentence
from ..reports.script import script
from ..reports.terminal import make_console, witness_table
from .command import FAILED, NO_VERDICT, PASSED, REPORT_DIR, SKIPPED, Refusal, backend_of, near, refuse

__all__ = ["explain", "replay", "scripted", "unwritten"]


def _cases(name: str, folder: Path) -> list[Case | HistoryCase]:
    """The cases that the user means: a file, "all" of a report, or an id in a report or a shipped ledger."""
    try:
        if name == "all":
            found = [read_case(path) for path in sorted(folder.glob("*.json"))]
            return found or refuse(f"there are no cases in {folder}; `adjudge check` puts them there")
        if name.endswith(".json") or os.sep in name:
            return [read_case(Path(name))]
        if (folder / f"{name}.json").is_file():
            return [read_case(folder / f"{name}.json")]
        shipped = {e.id: (backend, e) for backend in SHIPPED for e in shipped_ledger(backend).entries}
    except (ProgramError, LedgerError) as problem:
        refuse(str(problem))
    for backend, e in shipped.values():
        if name in (e.id, e.question.id):
            return [Case(e.id, backend, e.question, e.verdict, e.op, e.where[0], e.reason, spec=backend)]
    departures = {e.id: (backend, e) for backend in SHIPPED for e in shipped_ledger(backend).departures}
    if name in departures:
        backend, known = departures[name]
        return [HistoryCase(name, backend, known.snippet, "contract", reason=known.reason, spec=backend)]
    ids = [*(path.stem for path in folder.glob("*.json")), *shipped, *departures]
    refuse(f"there is no case {name!r} in {folder} or in a shipped ledger{near(name, ids)}")


def _asked(case: Case | HistoryCase, spec: str | None) -> Backend:
    """The backend that a case is put to."""
    judged = backend_of(spec or case.spec)
    if isinstance(case, HistoryCase):
        if judged.tensors is None:
            refuse(f"backend {judged.name} has no tensors of the kind that case {case.id} is about")
        return judged
    for op in case.question.program.ops:
        if not judged.supports(op):
            refuse(f"backend {judged.name} has no op {op!r}, which case {case.id} uses")
    return judged


def _record(case: Case, judgement: Judgement) -> dict[str, Any]:
    """What a sentence needs to know of a judgement."""
    program, worst = judgement.question.program, judgement.worst
    alone = len(program.steps) == 1
    record = {"op": program.steps[0].op if alone else "composition", "blamed": None if alone else case.blamed}
    more = {"dtype": program.working_dtype.name, "steps": len(program.steps), "verdict": judgement.verdict}
    return {**record, **more, **(vars(worst) if worst is not None else {})}


def departed(case: HistoryCase, judged: Backend) -> tuple[int, str, HistoryCase]:
    """A history's status, the sentence about it, and the case as it is now."""
    from ..oracle.lockstep import replay

    departure = replay(judged.tensors, case.lines)
    if departure is None:
        version = " ".join(next(iter(judged.versions().items()), ("", "")))
        return PASSED, f"{case.id} no longer fails with {version}: the reference agrees (it was {case.verdict})", case
    now = HistoryCase.of(departure, judged.name, judged.versions(), id=case.id, spec=case.spec)
    return FAILED, f"{case.id} still fails: {judged.name}: {departure.verdict}: {departure.reason}", now


def _replayed(case: Case, judged: Backend) -> tuple[int, str, Judgement]:
    """A case's status, the sentence about it, and the judgement."""
    from ..oracle.judge import judge

    judgement = judge(case.question, judged)
    if judgement.failed or judgement.verdict == case.verdict != "correct":
        return FAILED, f"{case.id} still fails: {failure_sentence(_record(case, judgement), judged.name)}", judgement
    if judgement.verdict in ("undecided", "unsupported"):
        reason = judgement.worst.reason if judgement.worst else ""
        return NO_VERDICT, f"{case.id} cannot be judged with {judged.name}: {judgement.verdict}: {reason}", judgement
    version = next(iter(judged.versions().items()), ("", ""))
    said = VERDICTS[judgement.verdict] if judgement.verdict != "lossy" else "only digits are lost"
    return PASSED, f"{case.id} no longer fails with {' '.join(version)}: {said} (it was {case.verdict})", judgement


@click.command(short_help="Ask stored questions again.")
@click.argument("case")
@click.option("--backend", metavar="B", help="Ask this backend, not the one that the case is of.")
@click.option("--script", "as_script", is_flag=True, help="Print the case as a stand-alone script.")
@click.option("--for-bisect", is_flag=True, help="Status 125 where this version cannot be judged, for `git bisect run`.")
@click.option("--report-dir", type=click.Path(), default=REPORT_DIR, metavar="DIR", help="Where ids are looked up.")
def replay(case: str, backend: str | None, as_script: bool, for_bisect: bool, report_dir: str) -> int:
    """Ask a stored question again: CASE is a file, an id, or "all" of the report.

    Status 0 if nothing fails any more, 1 if something still does, 2 if it cannot be judged.
    """
    try:
        if as_script and (for_bisect or case == "all"):
            refuse(f"--script prints one case, and {'--for-bisect asks it' if for_bisect else 'all are many'}")
        statuses = [_replay_one(c, backend, as_script, many=case == "all") for c in _cases(case, Path(report_dir) / "cases")]
    except Refusal as problem:
        if not for_bisect:
            raise
        click.echo(f"adjudge: {problem.format_message()}", err=True)
        return SKIPPED
    except Exception:
        if not for_bisect:
            raise
        traceback.print_exc()
        return SKIPPED
    status = next((s for s in (FAILED, NO_VERDICT) if s in statuses), PASSED)
    return SKIPPED if for_bisect and status == NO_VERDICT else status


def _replay_one(case: Case | HistoryCase, spec: str | None, as_script: bool, many: bool) -> int:
    try:
        judged = _asked(case, spec)
    except Refusal as problem:
        if not many:
            raise
        click.echo(f"{case.id} cannot be judged: {problem.format_message()}")
        return NO_VERDICT
    if as_script:
        click.echo(script_of(case, judged), nl=False)
        return PASSED
    status, sentence, _ = departed(case, judged) if isinstance(case, HistoryCase) else _replayed(case, judged)
    click.echo(sentence)
    return status


def scripted(case: Case | HistoryCase, judged: Backend) -> str | None:
    """A case as a script, where the backend says how."""
    if isinstance(case, Case):
        return script(case, judged)
    library = judged.tensors
    return None if library is None else history_script(case if case.expected else departed(case, judged)[2], library.__name__)


def script_of(case: Case | HistoryCase, judged: Backend) -> str:
    """A case as a script; where there can be none, that is refused."""
    try:
        text = scripted(case, judged)
    except LanguageError as problem:
        refuse(str(problem))
    return text or refuse(f"{unwritten(judged)}: there is no script")


def unwritten(judged: Backend) -> str:
    """Why a backend's cases have no scripts."""
    return f"backend {judged.name} does not say how its programs are written (language)"


@click.command(short_help="What every leg says of a case.")
@click.argument("case")
@click.option("--backend", metavar="B", help="Ask this backend, not the one that the case is of.")
@click.option("--report-dir", type=click.Path(), default=REPORT_DIR, metavar="DIR", help="Where ids are looked up.")
def explain(case: str, backend: str | None, report_dir: str) -> int:
    """Show what every leg says of a case, which step is to blame, and the case as a script."""
    from ..suite.examiner import witnesses

    if case == "all":
        refuse("explain takes one case; `adjudge replay all` takes them all")
    (found,) = _cases(case, Path(report_dir) / "cases")
    judged = _asked(found, backend)
    console = make_console()
    if isinstance(found, HistoryCase):
        status, sentence, now = departed(found, judged)
        console.print(sentence)
        console.print("\n" + "\n".join(now.lines) + "\n", soft_wrap=True)
        console.print(f"{judged.name} stands against the reference; no other leg has tensors of this kind.")
        console.print(f"\nAs a script:\n\n{script_of(now, judged)}", soft_wrap=True)
        return status
    status, sentence, judgement = _replayed(found, judged)
    console.print(sentence)
    console.print(f"\n{found.question.program}\n", soft_wrap=True)
    console.print(witness_table(w.to_json() for w in witnesses(judgement, judged)))
    if status == FAILED:
        blamed = blame(judgement, judged)
        console.print(f"\nTo blame: {blamed.op} ({blamed.note}).")
        if blamed.alone is not None and len(found.question.program.steps) > 1:
            console.print(f"\nThat step alone:\n{blamed.alone.program}", soft_wrap=True)
    try:
        text, lacking = scripted(found, judged), unwritten(judged)
    except LanguageError as problem:
        text, lacking = None, str(problem)
    console.print(f"\nAs a script:\n\n{text}" if text else f"\nThere is no script: {lacking}.", soft_wrap=True)
    return status
