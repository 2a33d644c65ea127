"""What a run records: every record that the search and the run around it emit is made here."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from ..oracle.accuracy import accuracy
from ..oracle.lockstep import Divergence, act, replay
from ..records.case import Case
from ..records.environment import commit_of, environment
from ..records.lockstep import HistoryCase
from ..strategies.kinks import KINK_TABLE
from ..strategies.rules import SEMANTICS
from .examiner import Examiner, Outcome, judge
from .tasks import COMPOSITION, Task, family, selected

__all__ = [
    "case_of", "disagreement", "failure", "header", "kinks", "ledger", "outcome", "script_failure", "script_outcome", "the_end",
    "unsupported",
]  # fmt: skip

Record = dict[str, Any]


def header(examiner: Examiner) -> Record:
    """What a run begins with."""
    settings, backend = examiner.settings, examiner.backend
    return {
        "kind": "run", "schema_version": 1, "run": uuid.uuid4().hex[:12],
        "started": datetime.now(UTC).isoformat(timespec="seconds"), "adjudge": version("adjudge"),
        "backend": backend.name, "versions": backend.versions(), "profile": settings.profile, "seed": settings.seed,
        "dtypes": list(examiner.dtypes), "ops": list(selected(settings.ops)),
        "catalogue": {op: family(op) for op in selected(())}, "commit": commit_of(backend),
        "strict_accuracy": settings.strict, "legs": [leg.name for leg in examiner.legs], "environment": environment(),
    }  # fmt: skip


def the_end(seconds: float, interrupted: bool = False) -> Record:
    """What a run ends with."""
    return {"kind": "end", "seconds": seconds, "interrupted": interrupted}


# -- programs ------------------------------------------------------------------------------------------------------------------


def outcome(task: Task, number: int, judged: Outcome) -> Record:
    """What came of one question."""
    judgement, worst = judged.judgement, judged.news or judged.judgement.worst
    verdict = worst.verdict if worst is not None else judgement.verdict
    if judgement.failed and judged.disagreement:
        verdict = "undecided"
    record: Record = {
        "kind": "outcome", "op": task.op, "family": family(task.op), "dtype": task.dtype, "verdict": verdict,
        "worst_ulp": judgement.worst_ulp, "kink": judgement.certificate.kink, "steps": len(judgement.question.program.steps),
        "legs": judged.legs, "ms": round(judged.seconds * 1e3, 3), "number": number,
    }  # fmt: skip
    if worst is not None:
        record |= {"where": worst.where, "reason": worst.reason, "index": list(worst.index)}
        record |= {k: getattr(worst, k) for k in ("got", "expected", "error", "allowance", "bits_lost")}
    record["modes"] = {mode: {"verdict": f.verdict, "reason": f.reason} for mode, f in judgement.modes.items()}
    if (measured := accuracy(judgement)) is not None:
        record["accuracy"] = (measured if task.op != COMPOSITION else replace(measured, at=(), points=())).to_json()
    if judged.blamed is not None:
        record |= {
            "blamed": judged.blamed.op, "known": judged.known[0] if judged.known and not judged.news else None,
            "case": judgement.question.id,
        }  # fmt: skip
    return record


def unsupported(op: str, dtype: str, reason: str) -> Record:
    """A row of which the backend has nothing."""
    return {
        "kind": "outcome", "op": op, "family": family(op), "dtype": dtype, "verdict": "unsupported",
        "where": "program", "reason": reason, "legs": {}, "steps": 0, "number": 0,
    }  # fmt: skip


def failure(task: Task, number: int, smallest: Outcome, examiner: Examiner) -> Record:
    """A new failure, at its smallest."""
    record = {**outcome(task, number, smallest), "kind": "failure", "new": True, "case": case_of(smallest, examiner)}
    return {**record, "witnesses": [w.to_json() for w in smallest.witnesses]}


def disagreement(op: str, judged: Outcome, examiner: Examiner) -> Record:
    """A question about which the oracle's legs contradict each other."""
    told = [w.to_json() for w in judged.witnesses]
    return {"kind": "disagreement", "op": op, "case": case_of(judged, examiner), "witnesses": told}


def case_of(judged: Outcome, examiner: Examiner) -> Record:
    """All that is needed to ask a question again, and what was said of the answer."""
    blamed = judged.blamed.op if judged.blamed else None
    backend = examiner.backend
    return Case.of(
        judged.judgement, backend.name, backend.versions(), finding=judged.news, blamed=blamed, witnesses=judged.witnesses
    ).to_json()


# -- known deviations, and kinks -----------------------------------------------------------------------------------------------


def ledger(examiner: Examiner) -> Iterator[Record]:
    """Replay the stored case of every ledger entry that applies to this version: only that tells whether it is fixed."""
    ops, backend = examiner.settings.ops, examiner.backend
    for entry in examiner.ledger.applying(examiner.version):
        if ops and not set(entry.question.program.ops) & set(ops):
            continue
        judged = examiner.examine(entry.question)
        judgement, worst = judged.judgement, judged.news or judged.judgement.worst
        if judgement.verdict in ("undecided", "unsupported"):
            state = "not judged"
        elif entry.id in judged.known:
            state = "still fails"
        else:
            state = "fails otherwise" if judgement.failed else "no longer fails"
        yield {
            "kind": "ledger", "id": entry.id, "state": state, "reason": entry.reason, "op": entry.op,
            "verdict": judgement.verdict, "said": worst.reason if worst else "",
        }  # fmt: skip
    if ops and not set(SEMANTICS) & set(ops):
        return
    for known in examiner.ledger.departures:
        if not known.applies(examiner.version):
            continue
        state, said, verdict = "not judged", f"{backend.name} has no tensors of this kind", "unsupported"
        if backend.tensors is not None:
            state, said = known.state(backend.tensors)
            seen = replay(backend.tensors, known.snippet)
            verdict = "correct" if seen is None else seen.verdict
        yield {
            "kind": "ledger", "id": known.id, "state": state, "reason": known.reason, "verdict": verdict, "said": said,
            "op": SEMANTICS[ROW_OF[act(known.snippet[-1])]],
        }  # fmt: skip


#: The row that a known divergence is reported in, by what its last line does.
ROW_OF = {"bind": 1, "tell": 1, "update": 3, "write": 3, "backward": 4, "null": 4, "forget": 4}


def kinks(examiner: Examiner) -> Iterator[Record]:
    """What the backend picks at each kink of the table, of those about the ops that are asked about."""
    ops, supports = selected(examiner.settings.ops), examiner.backend.supports
    for row in KINK_TABLE:
        if not set(row.program.ops) <= set(ops):
            continue
        record = {"kind": "kink", "name": row.name, "program": str(row.program), "subgradients": row.subgradients}
        if not all(map(supports, row.program.ops)):
            yield record | {"verdict": "unsupported", "got": [], "reason": f"{examiner.backend.name} does not have it"}
            continue
        judgement = judge(row.program, examiner.backend)
        verdict, got = judgement.verdict, [np.asarray(g).tolist() for g in judgement.gradients if g is not None]
        reason = judgement.worst.reason if judgement.worst is not None else ""
        if row.holds is not None and got and verdict == "undecided":
            held, finite = row.holds(np.asarray(got[0])), np.isfinite(got[0]).all()
            verdict, reason = "correct" if held else "outside subdifferential" if finite else "non-finite", ""
        yield record | {"verdict": verdict, "got": got, "reason": reason}


# -- scripts of tensors --------------------------------------------------------------------------------------------------------


def script_outcome(task: Task, number: int, divergence: Divergence | None, lines: int, ms: float, known: str | None) -> Record:
    """What came of one script."""
    told = {"verdict": "correct"} if divergence is None else _told(divergence)
    return {**_script(task), **told, "steps": lines, "ms": ms, "number": number, "known": known}


def script_failure(task: Task, number: int, smallest: Divergence, examiner: Examiner) -> Record:
    """A new divergence, at its smallest."""
    case = HistoryCase.of(smallest, examiner.backend.name, examiner.backend.versions()).to_json()
    told = {**_told(smallest), "steps": len(smallest.lines), "number": number}
    return {**_script(task), **told, "kind": "failure", "new": True, "case": case, "witnesses": []}


def _script(task: Task) -> Record:
    """What all records of a row have in common."""
    return {"kind": "outcome", "op": task.op, "family": family(task.op), "dtype": task.dtype, "legs": {}}


def _told(divergence: Divergence) -> Record:
    where = "program" if divergence.aspect == "raises" else divergence.aspect
    return {"verdict": divergence.verdict, "where": where, "reason": divergence.reason}
