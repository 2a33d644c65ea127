"""The history: what every run came to, one line of JSON a run, and an index for questions, made from those lines.

A history is a folder. ``runs.ndjson`` is the source: it only ever grows, and many processes may append to it at once.
``index.sqlite`` is derived from it, and made anew whenever it does not fit; anybody may ask it in SQL.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .records import SCHEMA_VERSION, Record, plain, summarise
from .sentences import failure_sentence

__all__ = ["HISTORY", "Finding", "History", "HistoryError", "Machine", "Seen", "Series", "Timed", "append", "entry", "history"]

#: Where the history is unless told otherwise.
HISTORY = Path(".adjudge/history")
RUNS, INDEX, TORN, LOCK = "runs.ndjson", "index.sqlite", "torn.ndjson", ".lock"
#: A writer waits so many seconds for the others.
PATIENCE = 60.0
#: The layout of the index; one of another layout is made anew.
LAYOUT = 1

TABLES = """
CREATE TABLE source (layout INTEGER, bytes INTEGER, lines INTEGER, digest TEXT);
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, run TEXT UNIQUE, kind TEXT, started TEXT, machine TEXT, label TEXT, setting TEXT, adjudge TEXT,
    backend TEXT, profile TEXT, versions TEXT, status INTEGER, partial INTEGER, judged INTEGER, seconds REAL
);
CREATE TABLE timings (
    number INTEGER, backend TEXT, versions TEXT, op TEXT, kase TEXT, layout TEXT, dtype TEXT, total_s REAL, low_s REAL,
    high_s REAL, forward_s REAL, flops REAL, peak_bytes INTEGER, compile_s REAL
);
CREATE TABLE states (number INTEGER, op TEXT, state TEXT, judged INTEGER, median_ulp REAL, worst_ulp REAL);
CREATE TABLE findings (number INTEGER, op TEXT, verdict TEXT, place TEXT, known TEXT, kase TEXT, sentence TEXT);
CREATE INDEX timings_of ON timings (backend, op, kase, layout, dtype);
"""


class HistoryError(ValueError):
    """A history cannot be read or written; the message is one sentence that says where, and what would help."""


# -- one run as one line -------------------------------------------------------------------------------------------------------


def entry(records: Sequence[Record]) -> dict[str, Any]:
    """What a history keeps of a run.

    Parameters
    ----------
    records : sequence of dict
        A run's records in order, of `adjudge check` or of `adjudge bench`; the first is of kind "run".

    Returns
    -------
    dict
        Of kind "conformance": states, counts and accuracy (in units in the last place) by op, and findings. Of kind "bench":
        the timings (seconds, bytes, multiply-adds counted as two) and what a gate compared.
    """
    header = records[0]
    common = {"schema_version": SCHEMA_VERSION, **{key: header.get(key, "") for key in ("run", "started", "adjudge")}}
    common["environment"] = header.get("environment", {})
    if header.get("what") == "bench":
        end = next((r for r in records if r["kind"] == "end"), {})
        parts = {
            name: [{k: v for k, v in r.items() if k != "kind"} for r in records if r["kind"] == kind]
            for name, kind in (("timings", "timing"), ("untimed", "untimed"), ("ratios", "ratio"))
        }
        partial = bool(end.get("interrupted", not end))
        return {
            "kind": "bench",
            **common,
            "gate": header.get("gate"),
            "partial": partial,
            "seconds": end.get("seconds"),
            **parts,
        }
    found = summarise(records)
    strict = bool(header.get("strict_accuracy"))
    told = {key: header.get(key, "") for key in ("backend", "versions", "profile", "seed", "commit")}
    ops = {
        op: {
            "state": row.state, "judged": row.judged,
            "median_ulp": max((g.median for g in row.gauges.values()), default=None),
            "worst_ulp": max((g.worst for g in row.gauges.values()), default=None),
        }
        for op, row in found.rows.items()
    }  # fmt: skip
    return {
        "kind": "conformance", **common, **told, "status": found.status(strict), "partial": found.partial,
        "judged": found.judged, "seconds": found.end.get("seconds"), "ops": ops,
        "findings": [*_new(found.new_failures, str(told["backend"])), *_known(found.ledger)],
    }  # fmt: skip


def _new(failures: Iterable[Record], backend: str) -> Iterator[dict[str, Any]]:
    for f in failures:
        yield {
            "op": f.get("blamed") or f["op"], "verdict": f["verdict"], "place": f.get("where", ""), "known": None,
            "case": dict(f.get("case") or {}).get("id"), "sentence": failure_sentence(f, backend),
        }  # fmt: skip


def _known(ledger: Iterable[Record]) -> Iterator[dict[str, Any]]:
    for r in ledger:
        if r["state"] != "not judged":
            yield {
                "op": r.get("op", ""), "verdict": r.get("verdict", ""), "place": r["state"], "known": r["id"], "case": None,
                "sentence": r.get("reason", ""),
            }  # fmt: skip


def _machine(environment: Mapping[str, Any]) -> tuple[str, str]:
    """A machine's key and its name: processor, number of cores, kind of system; not what can be updated."""
    system = str(environment.get("platform", "")).partition("-")[0]
    processor = environment.get("cpu") or environment.get("machine") or "unknown processor"
    cores = f"{environment.get('cores') or '?'} cores"
    label = ", ".join(filter(None, (str(processor), cores, f"{environment.get('machine', '')} {system}".strip())))
    return hashlib.blake2s(label.encode(), digest_size=4).hexdigest(), label


def _setting(environment: Mapping[str, Any]) -> str:
    """What else decides how fast a machine is: the BLAS that NumPy is built with, and the bounds of its threads."""
    bounds = sorted(set(map(str, environment.get("threads", {}).values())))
    threads = f"{' or '.join(bounds)} thread{'' if bounds == ['1'] else 's'}" if bounds else "threads not bounded"
    return f"{environment.get('blas') or 'unknown BLAS'}, {threads}"


def _versions(versions: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


# -- writing -------------------------------------------------------------------------------------------------------------------


def append(folder: Path, records: Sequence[Record]) -> list[str]:
    """Append a run to a history; any number of processes may do so at once.

    A last line without its end, left by a writer that was stopped, is mended first: what is whole gets its end, what is not is
    moved to ``torn.ndjson``.

    Parameters
    ----------
    folder : Path
        Made where it is not there.
    records : sequence of dict
        As `entry` takes them.

    Returns
    -------
    list of str
        What is to be said: a sentence if a line was mended.

    Raises
    ------
    HistoryError
        If the history cannot be written, or is none of ours.
    """
    line = json.dumps(plain(entry(records)), allow_nan=False, separators=(",", ":")).encode() + b"\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            notes = _mended(folder)
            with open(folder / RUNS, "ab") as file, closing(_index(folder)) as index:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
                _fill(index, folder)
    except (OSError, sqlite3.Error) as problem:
        raise HistoryError(f"the history in {folder} cannot be written: {_why(problem)}") from problem
    return notes


def _why(problem: Exception) -> str:
    return str(getattr(problem, "strerror", None) or problem)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        with FileLock(folder / LOCK, timeout=PATIENCE):
            yield
    except Timeout as problem:
        raise HistoryError(
            f"the history in {folder} is held by another process for more than {PATIENCE:.0f} s; see who has {LOCK} there"
        ) from problem


def _mended(folder: Path) -> list[str]:
    """Give the last line its end, or move it away, where a writer was stopped in the midst of it; what was done."""
    file = folder / RUNS
    if not file.exists():
        return []
    with open(file, "r+b") as source:
        whole, torn = _parted(source.read())
        if not torn:
            return []
        if _is_run(torn):
            source.write(b"\n")
            return [f"the last line of {file} had no end, and has one now; nothing is lost"]
        with open(folder / TORN, "ab") as aside:
            aside.write(torn + b"\n")
        source.truncate(len(whole))
    moved = f"{len(torn)} bytes of it were moved to {folder / TORN}"
    return [f"the last line of {file} was torn: {moved}, and every run before it is kept"]


def _parted(data: bytes) -> tuple[bytes, bytes]:
    """Whole lines, and what comes after them."""
    end = data.rfind(b"\n") + 1
    return data[:end], data[end:]


def _is_run(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line)["run"], str)
    except (ValueError, KeyError, TypeError):
        return False


# -- the index -----------------------------------------------------------------------------------------------------------------


def _index(folder: Path) -> sqlite3.Connection:
    """The index, brought up to date."""
    try:
        return _opened(folder / INDEX, folder)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # it is no database, or a damaged one
        (folder / INDEX).unlink(missing_ok=True)
    return _opened(folder / INDEX, folder)


def _opened(place: Path | str, folder: Path) -> sqlite3.Connection:
    database = sqlite3.connect(place)
    try:
        _fill(database, folder)
    except BaseException:
        database.close()
        raise
    return database


def _fill(database: sqlite3.Connection, folder: Path) -> None:
    """Bring a database up to date: what is new is added, and where it does not fit its source it is made anew."""
    data, _ = _parted((folder / RUNS).read_bytes())
    done, lines = _covered(database, data)
    if done == len(data) and lines:
        return
    with database:
        if not lines:
            _emptied(database)
        for number, line in enumerate(data[done:].splitlines(), lines + 1):
            _add(database, number, _read(line, folder, number))
            lines = number
        database.execute("DELETE FROM source")
        database.execute("INSERT INTO source VALUES (?, ?, ?, ?)", (LAYOUT, len(data), lines, _digest(data)))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _covered(database: sqlite3.Connection, data: bytes) -> tuple[int, int]:
    """How many bytes and lines of the source the database holds; none where it is of another source or layout."""
    if not database.execute("SELECT name FROM sqlite_master WHERE name = 'source'").fetchone():
        return 0, 0
    layout, *_ = database.execute("SELECT * FROM source").fetchone() or (None,)
    if layout != LAYOUT:
        return 0, 0
    _, size, lines, digest = database.execute("SELECT * FROM source").fetchone()
    return (size, lines) if size <= len(data) and _digest(data[:size]) == digest else (0, 0)


def _emptied(database: sqlite3.Connection) -> None:
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        database.execute(f'DROP TABLE "{name}"')
    for statement in filter(str.strip, TABLES.split(";")):
        database.execute(statement)


def _read(line: bytes, folder: Path, number: int) -> dict[str, Any]:
    where = f"{folder / RUNS}, line {number}"
    try:
        found: dict[str, Any] = json.loads(line)
        kind, version = found["kind"], found["schema_version"]
    except (ValueError, KeyError, TypeError) as problem:
        raise HistoryError(
            f"{where} is no run of a history: it needs a JSON object with a 'kind' and a 'schema_version'"
        ) from problem
    if version != SCHEMA_VERSION or kind not in ("conformance", "bench"):
        said = f"kind {kind!r} and schema version {version}"
        raise HistoryError(f"{where} is of {said}; this adjudge reads conformance and bench of version {SCHEMA_VERSION}")
    return found


def _add(database: sqlite3.Connection, number: int, run: Mapping[str, Any]) -> None:
    """Put one run into the tables; a run that is there already is not put in twice."""
    try:
        place = run["environment"]
        row = (
            number, run["run"], run["kind"], run["started"], *_machine(place), _setting(place), run["adjudge"],
            run.get("backend", ""), run.get("profile", ""), _versions(run.get("versions", {})), run.get("status"),
            bool(run["partial"]), run.get("judged"), run["seconds"],
        )  # fmt: skip
        if not database.execute(f"INSERT OR IGNORE INTO runs VALUES ({_blanks(row)})", row).rowcount:
            return
        rows: dict[str, list[tuple[Any, ...]]] = {
            "timings": [
                (
                    number, t["backend"], _versions(t["versions"]), t["op"], t["case"], t["layout"], t["dtype"], t["total_s"],
                    t["total_s_low"], t["total_s_high"], t["forward_s"], t["flops"], t["peak_bytes"], t["compile_s"],
                )
                for t in run.get("timings", ())
            ],
            "states": [
                (number, op, o["state"], o["judged"], _real(o["median_ulp"]), _real(o["worst_ulp"]))
                for op, o in run.get("ops", {}).items()
            ],
            "findings": [
                (number, *(f[key] for key in ("op", "verdict", "place", "known", "case", "sentence")))
                for f in run.get("findings", ())
            ],
        }  # fmt: skip
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        raise HistoryError(f"line {number} of the history lacks {problem}: it is no run that adjudge wrote") from problem
    for table, some in rows.items():
        if some:
            database.executemany(f"INSERT INTO {table} VALUES ({_blanks(some[0])})", some)


def _blanks(row: Sequence[Any]) -> str:
    return ", ".join("?" * len(row))


def _real(number: Any) -> float | None:
    return None if number is None else float(number)


# -- reading -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timed:
    """One timing: the run's number and start, versions, and seconds for forward and backward with a 95 % interval."""

    number: int
    started: str
    versions: str
    adjudge: str
    total_s: float
    low_s: float
    high_s: float
    flops: float


@dataclass(frozen=True)
class Series:
    """The timings of one case of one backend on one machine in one setting, oldest first."""

    backend: str
    op: str
    case: str
    layout: str
    dtype: str
    setting: str
    points: tuple[Timed, ...]


@dataclass(frozen=True)
class Finding:
    """What failed in a run; `known` is the ledger entry that explains it, if one does."""

    op: str
    verdict: str
    place: str
    known: str | None
    case: str | None
    sentence: str

    @property
    def key(self) -> str:
        """What makes it the same finding in another run."""
        return self.known or " ".join((self.op, self.verdict, self.place))


@dataclass(frozen=True)
class Seen:
    """One run of conformance: which state every op was in, and what failed."""

    number: int
    started: str
    adjudge: str
    versions: str
    status: int
    partial: bool
    judged: int
    states: Mapping[str, str]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Machine:
    """A machine on record: its key, its name, and its runs as (start, what was done)."""

    key: str
    label: str
    runs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class History:
    """A history that is open for questions; every answer is about one machine.

    Parameters
    ----------
    database : Connection
    notes : list of str
        What is to be said of its source.
    """

    database: sqlite3.Connection
    notes: list[str] = field(default_factory=list)

    def machines(self) -> list[Machine]:
        """All machines, the one that ran last first."""
        runs: dict[tuple[str, str], list[tuple[str, str]]] = {}
        query = """
            SELECT machine, label, started, kind, backend, versions, profile, judged, number FROM runs
            ORDER BY started DESC, number DESC
        """
        for machine, label, started, kind, backend, versions, profile, judged, number in self.database.execute(query):
            if kind == "bench":
                timed = self.database.execute("SELECT DISTINCT versions FROM timings WHERE number = ?", (number,))
                versions = "; ".join(v for (v,) in timed) or "nothing timed"
            what = f"check of {backend}, {profile}: {judged} judged" if kind == "conformance" else "bench"
            runs.setdefault((machine, label), []).append((started, f"{what} ({versions})"))
        return [Machine(key, label, tuple(reversed(some))) for (key, label), some in runs.items()]

    def series(self, machine: str) -> list[Series]:
        """Every series of timings of a machine; settings are not mixed."""
        found: dict[tuple[str, str, str, str, str, str], list[Timed]] = {}
        query = """
            SELECT t.backend, op, kase, layout, dtype, setting,
                t.number, started, t.versions, adjudge, total_s, low_s, high_s, flops
            FROM timings t JOIN runs USING (number) WHERE machine = ? ORDER BY started, t.number, t.rowid
        """
        for row in self.database.execute(query, (machine,)):
            found.setdefault(row[:6], []).append(Timed(*row[6:]))
        return [Series(*key, points=tuple(points)) for key, points in found.items()]

    def seen(self, machine: str) -> dict[tuple[str, str], list[Seen]]:
        """The runs of conformance of a machine by backend and profile, oldest first."""
        found: dict[tuple[str, str], list[Seen]] = {}
        query = """
            SELECT backend, profile, number, started, adjudge, versions, status, partial, judged FROM runs
            WHERE machine = ? AND kind = 'conformance' ORDER BY started, number
        """
        for backend, profile, *row in self.database.execute(query, (machine,)).fetchall():
            number, started, adjudge, versions, status, partial, judged = row
            states = dict(self.database.execute("SELECT op, state FROM states WHERE number = ? ORDER BY rowid", (number,)))
            failed = self.database.execute(
                "SELECT op, verdict, place, known, kase, sentence FROM findings WHERE number = ? ORDER BY rowid", (number,)
            )
            findings = tuple(Finding(*f) for f in failed)
            one = Seen(number, started, adjudge, versions, status, bool(partial), judged, states, findings)
            found.setdefault((backend, profile), []).append(one)
        return found


@contextmanager
def history(folder: Path) -> Iterator[History]:
    """Open a history to be read.

    Parameters
    ----------
    folder : Path
        Where it cannot be written to, the index is made in memory, and a torn last line stays as it is.

    Raises
    ------
    HistoryError
        If there is none, or a line of it is none of ours.
    """
    if not (folder / RUNS).is_file():
        raise HistoryError(f"there is no history in {folder}; `adjudge check` and `adjudge bench` write one")
    writable = os.access(folder, os.W_OK) and os.access(folder / RUNS, os.W_OK)
    try:
        with _locked(folder) if writable else nullcontext():
            notes = _mended(folder) if writable else _torn(folder)
            database = _index(folder) if writable else _opened(":memory:", folder)
    except (OSError, sqlite3.Error) as problem:
        raise HistoryError(f"the history in {folder} cannot be read: {_why(problem)}") from problem
    with closing(database):
        yield History(database, notes)


def _torn(folder: Path) -> list[str]:
    _, torn = _parted((folder / RUNS).read_bytes())
    return [f"the last line of {folder / RUNS} is torn and was left out"] if torn else []
