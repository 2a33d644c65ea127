"""Stored cases: found by name, put to a backend again, written as scripts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from adjudge.backends import SHIPPED, Backend
from adjudge.backends.language import LanguageError
from adjudge.oracle.blame import blame
from adjudge.oracle.judge import VERDICTS, Judgement, judge
from adjudge.oracle.lockstep import replay as replay_script
from adjudge.oracle.program import ProgramError
from adjudge.records.case import Case, ScriptCase, WitnessRecord, read_case
from adjudge.records.ledger import Ledger, LedgerError, shipped_ledger
from adjudge.records.models import OutcomeRecord, finding_fields
from adjudge.records.script_case import script_text
from adjudge.records.sentences import failure_sentence
from adjudge.records.text import visible
from adjudge.reports.script import imported, script
from adjudge.reports.terminal import make_console, witness_table
from adjudge.suite.examiner import witnesses

from .command import FAILED, NO_VERDICT, PASSED, Refusal, backend_of, near, refuse

__all__ = ["explain_case", "find_cases", "replay_case", "written_script", "why_no_script"]


def find_cases(name: str, folder: Path) -> list[Case | ScriptCase]:
    """The cases that the user means: a file, "all" of a report, or an id in a report or a shipped ledger."""
    try:
        if name == "all":
            cases = [read_case(path) for path in sorted(folder.glob("*.json"))]
            return cases or refuse(f"there are no cases in {folder}; `adjudge check` puts them there")
        if name.endswith(".json") or os.sep in name:
            return [read_case(Path(name))]
        if (folder / f"{name}.json").is_file():
            return [read_case(folder / f"{name}.json")]
        ledgers = {backend: shipped_ledger(backend) for backend in SHIPPED}
    except (ProgramError, LedgerError) as problem:
        refuse(str(problem))
    except OSError as problem:
        refuse(f"there is no case {name!r}: {problem.strerror}")
    stored = {case.id: case for backend, ledger in ledgers.items() for case in _ledger_cases(backend, ledger)}
    if case := stored.get(name):
        return [case]
    for case in stored.values():
        if isinstance(case, Case) and case.question.id == name:
            return [case]
    ids = [*(path.stem for path in folder.glob("*.json")), *stored]
    refuse(f"there is no case {name!r} in {folder} or in a shipped ledger{near(name, ids)}")


def _ledger_cases(backend: str, ledger: Ledger) -> Iterator[Case | ScriptCase]:
    """The cases of a backend's ledger."""
    for e in ledger.entries:
        yield Case(
            id=e.id, backend=backend, verdict=e.verdict, mode=e.mode, blamed=e.op, where=e.where[0],
            reason=e.reason, question=e.question,
        )  # fmt: skip
    for d in ledger.divergences:
        yield ScriptCase(id=d.id, backend=backend, verdict="contract", reason=d.reason, lines=d.snippet)


def _asked(case: Case | ScriptCase, spec: str | None) -> Backend:
    """The backend that a case is put to."""
    if spec is None and case.backend not in SHIPPED:
        refuse(
            f"case {case.id} is about the backend {case.backend!r}, which does not ship with adjudge: "
            "say --backend module, module:attribute or path.py"
        )
    judged = backend_of(spec or case.backend)
    if isinstance(case, ScriptCase):
        if judged.tensors is None:
            refuse(f"backend {judged.name} has no tensors of the kind that case {case.id} is about")
        return judged
    for op in case.question.program.ops:
        if not judged.supports(op):
            refuse(f"backend {judged.name} has no op {op!r}, which case {case.id} uses")
    return judged


# -- asked again ---------------------------------------------------------------------------------------------------------------


def _outcome(case: Case, judgement: Judgement) -> OutcomeRecord:
    """A judgement as the record that a sentence is made of."""
    program = judgement.question.program
    alone = len(program.steps) == 1
    return OutcomeRecord(
        op=program.steps[0].op if alone else "composition", blamed=None if alone else case.blamed,
        dtype=program.working_dtype.name, steps=len(program.steps), verdict=judgement.verdict,
        **finding_fields(judgement.worst),
    )  # fmt: skip


def _replayed(case: Case, judged: Backend) -> tuple[int, str, Judgement]:
    """A case's status, the sentence about it, and the judgement."""
    judgement = judge(case.question, judged)
    if judgement.failed or judgement.verdict == case.verdict != "correct":
        return FAILED, f"{case.id} still fails: {failure_sentence(_outcome(case, judgement), judged.name)}", judgement
    if judgement.verdict in ("undecided", "unsupported"):
        reason = judgement.worst.reason if judgement.worst else ""
        return NO_VERDICT, f"{case.id} cannot be judged with {judged.name}: {judgement.verdict}: {reason}", judgement
    now = VERDICTS[judgement.verdict] if judgement.verdict != "lossy" else "only digits are lost"
    return PASSED, f"{case.id} no longer fails with {_version(judged)}: {now} (it was {case.verdict})", judgement


def _script_replayed(case: ScriptCase, judged: Backend) -> tuple[int, str, ScriptCase]:
    """A script's status, the sentence about it, and the case as it is now."""
    divergence = replay_script(judged.tensors, case.lines)
    if divergence is None:
        agrees = f"the reference agrees (it was {case.verdict})"
        return PASSED, f"{case.id} no longer fails with {_version(judged)}: {agrees}", case
    now = ScriptCase.of(divergence, judged.name, judged.versions(), id=case.id)
    return FAILED, f"{case.id} still fails: {judged.name}: {now.verdict}: {now.reason}", now


def _version(judged: Backend) -> str:
    return " ".join(next(iter(judged.versions().items()), ("", "")))


def replay_case(case: Case | ScriptCase, spec: str | None, as_script: bool, many: bool) -> int:
    """Ask one case again and print the outcome, or its script; the status."""
    try:
        judged = _asked(case, spec)
    except Refusal as problem:
        if not many:
            raise
        click.echo(f"{case.id} cannot be judged: {problem.format_message()}")
        return NO_VERDICT
    if as_script:
        click.echo(_script_or_refusal(case, judged), nl=False)
        return PASSED
    again = _script_replayed(case, judged) if isinstance(case, ScriptCase) else _replayed(case, judged)
    click.echo(visible(again[1]))
    return again[0]


def explain_case(case: Case | ScriptCase, spec: str | None) -> int:
    """Print what every leg says of a case, which step is to blame, and the case as a script; the status."""
    judged, console = _asked(case, spec), make_console()
    if isinstance(case, ScriptCase):
        status, sentence, now = _script_replayed(case, judged)
        console.print(visible(sentence))
        console.print("\n" + "\n".join(now.lines) + "\n", soft_wrap=True)
        console.print(f"{judged.name} stands against the reference; no other leg has tensors of this kind.")
        console.print(f"\nAs a script:\n\n{_script_or_refusal(now, judged)}", soft_wrap=True)
        return status
    status, sentence, judgement = _replayed(case, judged)
    console.print(visible(sentence))
    console.print(f"\n{case.question.program}\n", soft_wrap=True)
    console.print(witness_table(map(WitnessRecord.of, witnesses(judgement, judged))))
    if status == FAILED:
        blamed = blame(judgement, judged)
        console.print(f"\nTo blame: {blamed.op} ({visible(blamed.note)}).")
        if blamed.alone is not None and len(case.question.program.steps) > 1:
            console.print(f"\nThat step alone:\n{blamed.alone.program}", soft_wrap=True)
    if judged.language.vjp or judged.spec:
        console.print(f"\nAs a script:\n\n{_script_or_refusal(case, judged)}", soft_wrap=True)
    else:
        console.print(f"\nThere is no script: {why_no_script(judged)}.")
    return status


# -- scripts -------------------------------------------------------------------------------------------------------------------


def written_script(case: Case | ScriptCase, judged: Backend) -> str | None:
    """A case as a script, where the backend says how its programs are written."""
    if isinstance(case, Case):
        return script(case, judged)
    library = judged.tensors
    if library is None:
        return None
    now = case if case.expected else _script_replayed(case, judged)[2]
    own = imported(judged, for_language=True) if judged.spec else ""
    return script_text(now, getattr(library, "module", "") or library.__name__, own)


def _script_or_refusal(case: Case | ScriptCase, judged: Backend) -> str:
    try:
        text = written_script(case, judged)
    except LanguageError as problem:
        refuse(str(problem))
    return text or refuse(f"{why_no_script(judged)}: there is no script")


def why_no_script(judged: Backend) -> str:
    """Why a backend's cases have no scripts."""
    return f"backend {judged.name} does not say how its programs are written (language)"
