"""The tensors of one backend, judged by histories: drawn, run beside the reference, looked up, shrunk, recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from hypothesis.errors import Flaky

from ..oracle.lockstep import Departure, History, act, reduced, replay
from ..records.divergences import KnownDivergence
from ..records.models import FailureRecord, LedgerRecord, LedgerState, OutcomeRecord, Record
from ..records.script_case import ScriptCase
from ..strategies.rules import SEMANTICS
from ..strategies.scripts import drive

__all__ = ["DTYPE", "FAMILY", "divergence_records", "examine_histories"]

FAMILY = "semantics"
#: What histories are asked about with: their numbers are of this dtype, with others mixed in.
DTYPE = "float64"

#: The row that a known departure is told of in, by what its last line does.
ROW_OF = {"bind": 1, "tell": 1, "update": 3, "write": 3, "backward": 4, "null": 4, "forget": 4}

Emit = Callable[[Record], None]


class _NewDeparture(AssertionError):
    """Raised inside Hypothesis so that it shrinks."""


def examine_histories(row: str, histories: int, seed: int, examiner: Any, emit: Emit, deadline: float = float("inf")) -> None:
    """Put histories to a backend's tensors, and record what came of each.

    Parameters
    ----------
    row : str
        One of `adjudge.strategies.rules.SEMANTICS`.
    histories : int
        How many.
    seed : int
        What to draw from.
    examiner : Examiner
        Has the backend, its version, and its ledger.
    emit : callable
        Given every record.
    deadline : float
        The time after which no more is asked.
    """
    backend, library = examiner.backend, examiner.backend.tensors
    if library is None:
        reason = f"{backend.name} has no tensors of this kind"
        emit(OutcomeRecord(**_common(row), verdict="unsupported", where="program", reason=reason))
        return
    looking = _Looking(row, histories, examiner, emit, deadline)
    turn = 0
    while looking.left > 0 and time.time() < deadline:
        with suppress(_NewDeparture, Flaky):
            drive(library, looking.over, looking.left, seed + turn, row, shrink=True)
        if not looking.found(library):
            break
        turn += 1


class _Looking:
    """What is told of histories as they end, until one is found that must be shrunk; and again."""

    def __init__(self, row: str, histories: int, examiner: Any, emit: Emit, deadline: float) -> None:
        self.examiner, self.emit, self.deadline = examiner, emit, deadline
        self.common = _common(row)
        self.left, self.number, self.began = histories, 0, time.perf_counter()
        self.seen = set[Any]()
        self.target: Any = None
        self.smallest: Departure | None = None

    def over(self, history: History, departure: Departure | None) -> None:
        """Record a history; while one is shrunk, look for others like it."""
        if time.time() >= self.deadline:
            return
        ledger, version = self.examiner.ledger, self.examiner.version
        known = None if departure is None else ledger.match_divergence(departure, version)
        new = departure is not None and known is None
        if self.target is not None:
            if departure is not None and new and departure.signature == self.target:
                self.smallest = departure
                raise _NewDeparture(self.target)
            return
        if self.left <= 0:
            return
        self.left, self.number, before = self.left - 1, self.number + 1, self.began
        self.began = time.perf_counter()
        told = {"verdict": "correct"} if departure is None else _told(departure)
        self.emit(
            OutcomeRecord(
                **self.common, **told, steps=len(history.lines), ms=round((self.began - before) * 1e3, 3), number=self.number,
                known=known.id if known is not None else None,
            )
        )  # fmt: skip
        if departure is not None and new and departure.signature not in self.seen:
            self.target, self.smallest = departure.signature, departure
            raise _NewDeparture(self.target)

    def found(self, library: Any) -> bool:
        """Record what was found, at its smallest; whether anything was."""
        if self.smallest is None:
            return False
        backend, smallest = self.examiner.backend, reduced(library, self.smallest)
        case = ScriptCase.of(smallest, backend.name, backend.versions(), spec=self.examiner.settings.backend)
        told = {**_told(smallest), "steps": len(smallest.lines), "number": self.number}
        self.emit(FailureRecord(**self.common, **told, case=case))
        self.seen.add(self.target)
        self.target, self.smallest, self.began = None, None, time.perf_counter()
        return True


def _common(row: str) -> dict[str, Any]:
    """What all records of a row have in common."""
    return {"op": row, "family": FAMILY, "dtype": DTYPE}


def _told(departure: Departure) -> dict[str, Any]:
    """What a record tells of a departure."""
    where = "program" if departure.aspect == "raises" else departure.aspect
    return {"verdict": departure.verdict, "where": where, "reason": departure.reason}


def divergence_records(entries: tuple[KnownDivergence, ...], backend: Any, version: str) -> Iterator[LedgerRecord]:
    """Replay the snippet of every known divergence that applies to this version: only that tells whether it is fixed."""
    library = backend.tensors
    for entry in entries:
        if not entry.applies(version):
            continue
        state: LedgerState = "not judged"
        verdict, observed = "unsupported", f"{backend.name} has no tensors of this kind"
        if library is not None:
            departure = replay(library, entry.snippet)
            state, observed = entry.state(departure)
            verdict = "correct" if departure is None else departure.verdict
        yield LedgerRecord(
            id=entry.id, op=SEMANTICS[ROW_OF[act(entry.snippet[-1])]], state=state, reason=entry.reason, verdict=verdict,
            observed=observed,
        )  # fmt: skip
