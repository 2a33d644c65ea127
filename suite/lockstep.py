"""The tensors of one backend, judged by histories: drawn, run beside the reference, looked up, shrunk, recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from hypothesis.errors import Flaky

from ..oracle.lockstep import Divergence, Lockstep, act, reduce, replay
from ..records.divergences import KnownDeparture
from ..records.lockstep import HistoryCase
from ..strategies.rules import SEMANTICS
from ..strategies.scripts import drive

__all__ = ["DTYPE", "FAMILY", "departure_records", "examine_histories"]

FAMILY = "semantics"
#: What histories are asked about with: their numbers are of this dtype, with others mixed in.
DTYPE = "float64"

#: The row that a known departure is told of in, by what its last line does.
ROW_OF = {"bind": 1, "tell": 1, "update": 3, "write": 3, "backward": 4, "null": 4, "forget": 4}

Emit = Callable[[dict[str, Any]], None]


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
        emit({**_plain(row), "verdict": "unsupported", "where": "program", "reason": reason, "steps": 0, "number": 0})
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
        self.record = _plain(row)
        self.left, self.number, self.began = histories, 0, time.perf_counter()
        self.seen = set[Any]()
        self.target: Any = None
        self.smallest: Divergence | None = None

    def over(self, history: Lockstep, departure: Divergence | None) -> None:
        """Record a history; while one is shrunk, look for others like it."""
        if time.time() >= self.deadline:
            return
        ledger, version = self.examiner.ledger, self.examiner.version
        known = None if departure is None else ledger.departure(departure, version)
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
        cost = {"steps": len(history.lines), "ms": round((self.began - before) * 1e3, 3)}
        self.emit({**self.record, **told, **cost, "number": self.number, "known": known.id if known is not None else None})
        if departure is not None and new and departure.signature not in self.seen:
            self.target, self.smallest = departure.signature, departure
            raise _NewDeparture(self.target)

    def found(self, library: Any) -> bool:
        """Record what was found, at its smallest; whether anything was."""
        if self.smallest is None:
            return False
        backend, smallest = self.examiner.backend, reduce(library, self.smallest)
        case = HistoryCase.of(smallest, backend.name, backend.versions()).to_json()
        told = {**_told(smallest), "steps": len(smallest.lines), "number": self.number}
        self.emit({**self.record, **told, "kind": "failure", "new": True, "case": case, "witnesses": []})
        self.seen.add(self.target)
        self.target, self.smallest, self.began = None, None, time.perf_counter()
        return True


def _plain(row: str) -> dict[str, Any]:
    """What all records of a row have in common."""
    return {"kind": "outcome", "op": row, "family": FAMILY, "dtype": DTYPE, "legs": {}}


def _told(departure: Divergence) -> dict[str, Any]:
    """What a record tells of a departure."""
    where = "program" if departure.aspect == "raises" else departure.aspect
    return {"verdict": departure.verdict, "where": where, "reason": departure.reason}


def departure_records(entries: tuple[KnownDeparture, ...], backend: Any, version: str) -> Iterator[dict[str, Any]]:
    """Replay the snippet of every known departure that applies to this version: only that tells whether it is fixed."""
    library = backend.tensors
    for entry in entries:
        if not entry.applies(version):
            continue
        state, said = ("not judged", f"{backend.name} has no tensors of this kind") if library is None else entry.state(library)
        verdict = "unsupported"
        if library is not None:
            departure = replay(library, entry.snippet)
            verdict = "correct" if departure is None else departure.verdict
        yield {
            "kind": "ledger", "id": entry.id, "state": state, "reason": entry.reason, "verdict": verdict, "said": said,
            "op": SEMANTICS[ROW_OF[act(entry.snippet[-1])]],
        }  # fmt: skip
