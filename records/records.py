"""Records: one line of JSON an outcome, appended as it happens, so that whatever stops a run keeps what was judged."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..oracle.judge import FAILING, VERDICTS

__all__ = [
    "FILE", "JUDGED", "PREVIOUS", "SCHEMA_VERSION", "STANDINGS", "Gauge", "Reading", "Records", "RecordsError", "Row",
    "Summary", "counted", "plain", "read_records", "standing", "summarise",
]  # fmt: skip

SCHEMA_VERSION = 1
#: The name of the records file in a report folder.
FILE = "records.ndjson"
#: The records of the run before, beside it.
PREVIOUS = "previous.ndjson"

Record = Mapping[str, Any]


class RecordsError(ValueError):
    """A records file cannot be read; the message is one sentence that says where."""


def plain(value: Any) -> Any:
    """A value as JSON has it: non-finite numbers as strings, NumPy's numbers as Python's, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


class Records:
    """Appends records to a file; several processes may append to the same one.

    Parameters
    ----------
    path : Path
        Made with the folders above it where it is not there.
    anew : bool
        Whether what the file holds goes first.
    """

    def __init__(self, path: Path, anew: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if anew else 0), 0o644)

    def append(self, record: Record) -> None:
        """Write one record, in one piece."""
        line = json.dumps(plain(record), allow_nan=False, separators=(",", ":")).encode() + b"\n"
        if os.write(self._file, line) < len(line):
            raise OSError("the disk took only part of a record")

    def close(self) -> None:
        """Nothing more will come."""
        os.close(self._file)


@dataclass(frozen=True)
class Reading:
    """What a records file holds; `torn` is "" or one sentence on what was left out."""

    records: tuple[dict[str, Any], ...]
    torn: str = ""


def read_records(path: Path) -> Reading:
    """Read a records file, or the one in a report folder.

    A last line without its end was being written when the run stopped: it is left out, and `Reading.torn` says so.

    Raises
    ------
    RecordsError
        If there is no such file, or it is none of ours.
    """
    file = path / FILE if path.is_dir() else path
    try:
        text = file.read_text("utf-8", errors="replace")
    except OSError as problem:
        raise RecordsError(f"{file} cannot be read: {problem.strerror}") from problem
    *lines, last = text.split("\n")
    records = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            record["kind"]
        except (ValueError, KeyError, TypeError) as problem:
            raise RecordsError(f"{file}, line {number} is no record: it needs a JSON object with a 'kind'") from problem
        records.append(record)
    if not records or records[0]["kind"] != "run":
        raise RecordsError(f"{file} does not begin with a record of kind 'run'")
    if records[0].get("schema_version") != SCHEMA_VERSION:
        version = records[0].get("schema_version")
        raise RecordsError(f"{file} has schema version {version}; this adjudge reads version {SCHEMA_VERSION}")
    return Reading(tuple(records), f"the last line of {file} is torn and was left out" if last else "")


# -- summary -----------------------------------------------------------------------------------------------------------------


def standing(record: Record) -> str:
    """Where an outcome counts: "correct", "lossy", "known", "new", "undecided" or "unsupported"."""
    verdict = str(record["verdict"])
    if verdict in FAILING or verdict == "lossy":
        return "known" if record.get("known") else "lossy" if verdict == "lossy" else "new"
    return verdict


#: The standings that are judgements; the others are not.
JUDGED = ("correct", "lossy", "known", "new")
STANDINGS = (*JUDGED, "undecided", "unsupported")


#: Bins of `Gauge`: this many an octave of an error, and this many a decade of an operand, as far as this many of them.
PER_OCTAVE, PER_DECADE, MOST_PLACES = 4, 6, 48


@dataclass
class Gauge:
    """The accuracy of the gradients of one op in one dtype; what it keeps does not grow with the number of outcomes.

    Parameters
    ----------
    worst : float
        The largest error of a gradient element that is the right formula's, in units in the last place.
    at : list
        The operands there, where they are on record.
    sharpest : float
        The smallest relative error that some question would have seen for certain.
    errors, floors : Counter
        Questions by the logarithm of their median error, and of the relative error that they would have seen.
    places : dict
        For a bin of the operand's size its worst point: operand and error.
    """

    worst: float = 0.0
    at: list[float] = field(default_factory=list)
    sharpest: float = math.inf
    errors: Counter[int] = field(default_factory=Counter)
    floors: Counter[int] = field(default_factory=Counter)
    places: dict[int, tuple[float, float]] = field(default_factory=dict)

    def add(self, found: Mapping[str, Any]) -> None:
        """Count one answer's accuracy."""
        worst, floor = float(found["worst"]), float(found["floor"])
        if worst > self.worst or (worst == self.worst and not self.at):
            self.worst, self.at = worst, list(found.get("at", ()))
        self.sharpest = min(self.sharpest, floor)
        self.errors[_bin(float(found["median"]))] += 1
        self.floors[_bin(floor)] += 1
        for x, error in found.get("points", ()):
            x, error = float(x), float(error)
            bin_ = round(math.copysign(min(PER_DECADE * math.log10(1 + abs(x) * 100), MOST_PLACES), x))
            if error >= self.places.get(bin_, (0.0, 0.0))[1]:
                self.places[bin_] = (x, error)

    @property
    def questions(self) -> int:
        """How many answers are counted."""
        return self.errors.total()

    @property
    def median(self) -> float:
        """The median of the questions' median errors, to an eighth of an octave."""
        return _median(self.errors)

    @property
    def floor(self) -> float:
        """The relative error that half of the questions would have seen for certain, to an eighth of an octave."""
        return _median(self.floors)

    @property
    def bits_lost(self) -> float:
        """log2 of the worst error in units in the last place."""
        return math.log2(self.worst) if 1 < self.worst < math.inf else 0.0


#: The bin of zero: below every other.
NOTHING = -(10**6)


def _bin(number: float) -> int:
    return round(PER_OCTAVE * math.log2(number)) if 0 < number < math.inf else NOTHING if number <= 0 else 10**6


def _median(bins: Counter[int]) -> float:
    middle = bins.total() / 2
    for bin_ in sorted(bins):
        middle -= bins[bin_]
        if middle <= 0:
            return 0.0 if bin_ == NOTHING else math.inf if bin_ == 10**6 else 2.0 ** (bin_ / PER_OCTAVE)
    return math.nan


@dataclass
class Row:
    """What came out for one op.

    Parameters
    ----------
    op, family : str
    standings, verdicts : Counter
        Outcomes by standing (they add up) and by verdict.
    legs : dict
        For each leg a Counter of its stances.
    dtypes : Counter
        Judged outcomes by dtype.
    worst_ulp : float
        The largest error of a correct answer, in units in the last place.
    kinks : int
        Outcomes at kinks.
    tangents : Counter
        What was said of forward mode, by verdict; empty where it was not asked.
    by_dtype : dict
        Outcomes by standing, for each dtype.
    gauges : dict
        The accuracy of the gradients, for each dtype.
    seconds : float
        What judging took.
    """

    op: str
    family: str = ""
    standings: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    legs: dict[str, Counter[str]] = field(default_factory=dict)
    dtypes: Counter[str] = field(default_factory=Counter)
    worst_ulp: float = 0.0
    kinks: int = 0
    tangents: Counter[str] = field(default_factory=Counter)
    by_dtype: dict[str, Counter[str]] = field(default_factory=dict)
    gauges: dict[str, Gauge] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def judged(self) -> int:
        """How many outcomes are judgements."""
        return sum(self.standings[s] for s in JUDGED)

    @property
    def state(self) -> str:
        """The row in one word or two."""
        if self.judged:
            return next(s for s in ("new", "known", "lossy", "correct") if self.standings[s])
        return next((s for s in ("undecided", "unsupported") if self.standings[s]), "not judged")

    def add(self, record: Record) -> None:
        """Count one outcome."""
        where = standing(record)
        self.family = self.family or record.get("family", "")
        self.standings[where] += 1
        self.verdicts[record["verdict"]] += 1
        self.kinks += bool(record.get("kink"))
        if record.get("tangent"):
            self.tangents[record["tangent"]] += 1
        dtype = str(record.get("dtype", ""))
        self.by_dtype.setdefault(dtype, Counter())[where] += 1
        self.seconds += float(record.get("ms", 0.0)) / 1e3
        if record.get("accuracy"):
            self.gauges.setdefault(dtype, Gauge()).add(record["accuracy"])
        for leg, stance in record.get("legs", {}).items():
            self.legs.setdefault(leg, Counter())[stance] += 1
        if where in JUDGED:
            self.dtypes[record.get("dtype", "")] += 1
        if where == "correct":
            self.worst_ulp = max(self.worst_ulp, float(record.get("worst_ulp", 0.0)))


@dataclass
class Summary:
    """A run, counted as its records come; what it keeps does not grow with the number of outcomes.

    Parameters
    ----------
    header, end : dict
        The records of these kinds; empty until they come.
    rows : dict
        One `Row` an op: those that were to be asked about are there from the start.
    failures, disagreements, ledger, kinks : list
        The records of these kinds.
    known : Counter
        Outcomes that a ledger entry explains, by its id.
    undecided, unsupported : Counter
        Such outcomes, by reason.
    """

    header: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    failures: list[Record] = field(default_factory=list)
    disagreements: list[Record] = field(default_factory=list)
    ledger: list[Record] = field(default_factory=list)
    kinks: list[Record] = field(default_factory=list)
    known: Counter[str] = field(default_factory=Counter)
    undecided: Counter[str] = field(default_factory=Counter)
    unsupported: Counter[str] = field(default_factory=Counter)
    end: dict[str, Any] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Count one record; kinds that a later adjudge may write are passed over."""
        kind = record["kind"]
        if kind == "run":
            self.header = dict(record)
            for op in record.get("ops", ()):
                self.rows.setdefault(op, Row(op))
        elif kind == "outcome":
            self.rows.setdefault(record["op"], Row(record["op"])).add(record)
            if record.get("known"):
                self.known[record["known"]] += 1
            if record["verdict"] == "undecided":
                self.undecided[str(record.get("reason", "")).partition(":")[0]] += 1
            if record["verdict"] == "unsupported":
                self.unsupported[str(record.get("reason", ""))] += 1
        elif kind == "end":
            self.end = dict(record)
        elif kind in ("failure", "disagreement", "ledger", "kink"):
            {
                "failure": self.failures, "disagreement": self.disagreements, "ledger": self.ledger, "kink": self.kinks,
            }[kind].append(record)  # fmt: skip

    def count(self, standing: str) -> int:
        """Outcomes of one standing."""
        return sum(row.standings[standing] for row in self.rows.values())

    @property
    def judged(self) -> int:
        """How many outcomes are judgements."""
        return sum(row.judged for row in self.rows.values())

    @property
    def verdicts(self) -> dict[str, int]:
        """Outcomes by verdict, every verdict named."""
        return {v: sum(row.verdicts[v] for row in self.rows.values()) for v in VERDICTS}

    @property
    def tangents(self) -> Counter[str]:
        """What was said of forward mode, by verdict."""
        return sum((row.tangents for row in self.rows.values()), Counter())

    @property
    def new_failures(self) -> list[Record]:
        """The smallest counterexample of each new failure."""
        return [f for f in self.failures if f.get("new", True)]

    @property
    def stale(self) -> list[Record]:
        """Ledger entries that do not describe what is seen any more."""
        return [r for r in self.ledger if r["state"] in ("no longer fails", "fails otherwise")]

    @property
    def interrupted(self) -> bool:
        """Whether somebody stopped the run."""
        return bool(self.end.get("interrupted"))

    @property
    def partial(self) -> bool:
        """Whether the run did not come to its end."""
        return self.interrupted or not self.end

    def failing(self, strict: bool = False) -> list[str]:
        """What makes the gate fail: one sentence each."""
        shown = len([f for f in self.new_failures if f["verdict"] in FAILING])
        seen, lossy = self.count("new"), self.count("lossy")
        often = f" (seen {seen} times)" if seen > shown > 0 else ""
        out = [counted(shown or seen, "new failure") + often] if shown or seen else []
        if strict and lossy:
            out.append(f"{counted(lossy, 'answer')} lost digits, and accuracy is strict")
        return out + [f"ledger entry {r['id']} {r['state']}" for r in self.stale]

    def status(self, strict: bool = False) -> int:
        """The exit status: see the interface's table.

        Parameters
        ----------
        strict : bool
            Whether loss of digits that no ledger entry explains fails the gate.
        """
        if self.interrupted:
            return 130
        if self.disagreements:
            return 4
        if self.failing(strict):
            return 1
        return 0 if self.judged else 2

    def reasons(self, strict: bool = False) -> list[str]:
        """Why the status is what it is: one sentence each."""
        out = ["the run was interrupted"] if self.interrupted else ["the run did not come to its end"] if not self.end else []
        if self.disagreements:
            ops = ", ".join(dict.fromkeys(str(d.get("op", "?")) for d in self.disagreements))
            out.append(f"the oracle's legs disagree with each other ({ops}): adjudge's own defect, not the backend's")
        out += self.failing(strict)
        judged = f"{counted(self.judged, 'program')} judged" if self.judged else "nothing was judged"
        return out or [f"{judged}, and nothing new failed" if self.judged else judged]


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural where that is due."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def summarise(records: Iterable[Record], ops: Sequence[str] = ()) -> Summary:
    """Count a run's records.

    Parameters
    ----------
    records : iterable of dict
    ops : sequence of str
        Ops that should have a row whether or not anything is recorded of them, besides those that the header names.

    Examples
    --------
    >>> s = summarise([{"kind": "outcome", "op": "exp", "verdict": "correct"}, {"kind": "end"}], ["exp", "log"])
    >>> s.status(), [(r.op, r.state) for r in s.rows.values()]
    (0, [('exp', 'correct'), ('log', 'not judged')])
    """
    summary = Summary(rows={op: Row(op) for op in ops})
    for record in records:
        summary.add(record)
    return summary
