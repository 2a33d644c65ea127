"""The history: the result of every run, one line of JSON per run, and an index for questions, made from those lines.

A history is a folder. ``runs.ndjson`` is the source: it only ever grows, and many processes may append to it at once.
``index.sqlite`` is derived from it, and rebuilt whenever it does not fit; anybody may query it in SQL.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from filelock import FileLock, Timeout
from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from .fields import FrozenModel, Real, describe
from .models import (
    SCHEMA_VERSION,
    BenchRun,
    CheckRun,
    EndRecord,
    Environment,
    RatioRecord,
    Record,
    TimingRecord,
    UntimedRecord,
)  # fmt: skip
from .sentences import failure_sentence, lost_sentence
from .summary import Summary

__all__ = [
    "BenchLine", "CheckLine", "History", "HistoryError", "Machine", "PastRun", "PastTiming", "Series", "Sighting",
    "append_history", "history",
]  # fmt: skip

RUNS, INDEX, TORN, LOCK = "runs.ndjson", "index.sqlite", "torn.ndjson", ".lock"
#: How many seconds a writer waits for the others.
PATIENCE = 60.0
#: The layout of the index; one of another layout is rebuilt.
LAYOUT = 1
#: The columns of a finding, as `Sighting` has them.
FINDING = ("op", "verdict", "place", "known", "case", "sentence")

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


class OpState(FrozenModel):
    """What a run of `adjudge check` says about one op; errors in units in the last place, of the worst dtype."""

    state: str
    judged: int
    median_ulp: Real | None
    worst_ulp: Real | None


class Sighting(FrozenModel):
    """Something that failed in a run; `known` is the ledger entry that explains it, if one does."""

    op: str
    verdict: str
    place: str
    known: str | None
    case: str | None
    sentence: str

    @property
    def key(self) -> str:
        """What makes it the same in another run."""
        return self.known or " ".join((self.op, self.verdict, self.place))


class _Line(FrozenModel):
    schema_version: Literal[2] = SCHEMA_VERSION
    run: str
    started: str
    adjudge: str
    environment: Environment
    partial: bool
    seconds: float | None


class CheckLine(_Line):
    """A run of `adjudge check` in the history: states of ops, counts, and what failed."""

    kind: Literal["conformance"] = "conformance"
    backend: str
    versions: dict[str, str]
    profile: str
    seed: int | None
    commit: str
    status: int
    judged: int
    ops: dict[str, OpState]
    findings: tuple[Sighting, ...]

    @classmethod
    def of(cls, summary: Summary) -> CheckLine:
        """What a history keeps of a run."""
        header = summary.header
        ops = {
            op: OpState(
                state=row.state, judged=row.judged,
                median_ulp=max((a.median for a in row.accuracy.values()), default=None),
                worst_ulp=max((a.worst for a in row.accuracy.values()), default=None),
            )
            for op, row in summary.ops.items()
        }  # fmt: skip
        return cls(
            **_identity(header), partial=summary.partial, seconds=summary.end.seconds if summary.end else None,
            backend=header.backend, versions=header.versions, profile=header.profile, seed=header.seed, commit=header.commit,
            status=summary.status(header.strict_accuracy), judged=summary.judged, ops=ops,
            findings=(*_new(summary), *_lost(summary), *_known(summary)),
        )  # fmt: skip


class BenchLine(_Line):
    """A run of `adjudge bench` in the history: its timings, and what a gate compared."""

    kind: Literal["bench"] = "bench"
    gate: float | None
    timings: tuple[TimingRecord, ...]
    untimed: tuple[UntimedRecord, ...]
    ratios: tuple[RatioRecord, ...]

    @classmethod
    def of(cls, records: Sequence[Record]) -> BenchLine:
        """What a history keeps of a run, given its records."""
        header = records[0]
        assert isinstance(header, BenchRun)
        end = next((r for r in records if isinstance(r, EndRecord)), None)
        return cls(
            **_identity(header), partial=end is None or end.interrupted, seconds=end.seconds if end else None, gate=header.gate,
            timings=tuple(r for r in records if isinstance(r, TimingRecord)),
            untimed=tuple(r for r in records if isinstance(r, UntimedRecord)),
            ratios=tuple(r for r in records if isinstance(r, RatioRecord)),
        )  # fmt: skip


def _identity(header: CheckRun | BenchRun) -> dict[str, Any]:
    return {key: getattr(header, key) for key in ("run", "started", "adjudge", "environment")}


def _new(summary: Summary) -> Iterator[Sighting]:
    for f in summary.failures:
        yield Sighting(
            op=f.blamed or f.op, verdict=f.verdict, place=f.where or "", known=None, case=f.case.id,
            sentence=failure_sentence(f, summary.header.backend),
        )  # fmt: skip


def _lost(summary: Summary) -> Iterator[Sighting]:
    for (mode, reason), ops in summary.lost.items():
        for op in ops:
            sentence = lost_sentence(summary.header.backend, mode, reason, [op])
            yield Sighting(op=op, verdict="unsupported", place=mode, known=None, case=None, sentence=sentence)


def _known(summary: Summary) -> Iterator[Sighting]:
    for r in summary.ledger:
        if r.state != "not judged":
            yield Sighting(op=r.op, verdict=r.verdict or "", place=r.state, known=r.id, case=None, sentence=r.reason)


Line = Annotated[CheckLine | BenchLine, Field(discriminator="kind")]
LINE: TypeAdapter[CheckLine | BenchLine] = TypeAdapter(Line)


def _machine(environment: Environment) -> tuple[str, str]:
    """A machine's key and its name: processor, number of cores, kind of system; not what can be updated."""
    system = environment.platform.partition("-")[0]
    processor = environment.cpu or environment.machine or "unknown processor"
    label = ", ".join(filter(None, (processor, f"{environment.cores or '?'} cores", f"{environment.machine} {system}".strip())))
    return hashlib.blake2s(label.encode(), digest_size=4).hexdigest(), label


def _setting(environment: Environment) -> str:
    """What else decides how fast a machine is: the BLAS that NumPy is built with, and the limits on its threads."""
    bounds = sorted(set(environment.threads.values()))
    threads = f"{' or '.join(bounds)} thread{'' if bounds == ['1'] else 's'}" if bounds else "threads not bounded"
    return f"{environment.blas or 'unknown BLAS'}, {threads}"


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


# -- writing -------------------------------------------------------------------------------------------------------------------


def append_history(folder: Path, line: CheckLine | BenchLine) -> list[str]:
    """Append a run to a history; any number of processes may do so at once.

    A last line without its end, left by a writer that was stopped, is mended first: what is whole gets its end, what is not is
    moved to ``torn.ndjson``.

    Parameters
    ----------
    folder : Path
        Made where it is not there.
    line : CheckLine or BenchLine

    Returns
    -------
    list of str
        Notes for the user: a sentence if a line was mended.

    Raises
    ------
    HistoryError
        If the history cannot be written, or adjudge did not write it.
    """
    data = line.model_dump_json().encode() + b"\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            notes = _mended(folder)
            with open(folder / RUNS, "ab") as file, closing(_index(folder)) as index:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                _fill(index, folder)
    except (OSError, OverflowError, sqlite3.Error) as problem:
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
            f"the history in {folder} has been locked by another process for {PATIENCE:.0f} s; see who holds {LOCK} there"
        ) from problem


def _mended(folder: Path) -> list[str]:
    """Finish the last line, or move it away, where a writer was stopped in the middle of it; what was done."""
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
        return isinstance(from_json(line)["run"], str)
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
    """Bring a database up to date: add what is new, and rebuild it where it does not fit its source."""
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


def _read(text: bytes, folder: Path, number: int) -> CheckLine | BenchLine:
    where = f"{folder / RUNS}, line {number}"
    try:
        tree = from_json(text)
        kind, version = tree["kind"], tree["schema_version"]
    except (ValueError, KeyError, TypeError) as problem:
        raise HistoryError(f"{where} is no run: it needs a JSON object with a 'kind' and a 'schema_version'") from problem
    if version != SCHEMA_VERSION or kind not in ("conformance", "bench"):
        raise HistoryError(
            f"{where} is of kind {kind!r} and schema version {version}; "
            f"this adjudge reads conformance and bench of version {SCHEMA_VERSION}"
        )
    try:
        return LINE.validate_json(text)
    except ValidationError as problem:
        raise HistoryError(f"{where}: {describe(problem, Line)}") from problem


def _add(database: sqlite3.Connection, number: int, run: CheckLine | BenchLine) -> None:
    """Put one run into the tables; a run that is there already is not put in twice."""
    about: tuple[str, str, str, int | None, int | None] = ("", "", "", None, None)
    if isinstance(run, CheckLine):
        about = run.backend, run.profile, _versions(run.versions), run.status, run.judged
    backend, profile, versions, status, judged = about
    row = (
        number, run.run, run.kind, run.started, *_machine(run.environment), _setting(run.environment), run.adjudge, backend,
        profile, versions, status, run.partial, judged, run.seconds,
    )  # fmt: skip
    if not database.execute(f"INSERT OR IGNORE INTO runs VALUES ({_blanks(row)})", row).rowcount:
        return
    rows: dict[str, list[tuple[Any, ...]]] = {}
    if isinstance(run, BenchLine):
        rows["timings"] = [
            (
                number, t.backend, _versions(t.versions), t.op, t.case, t.layout, t.dtype, t.total_s, t.total_s_low,
                t.total_s_high, t.forward_s, t.flops, t.peak_bytes, t.compile_s,
            )
            for t in run.timings
        ]  # fmt: skip
    else:
        rows["states"] = [(number, op, o.state, o.judged, o.median_ulp, o.worst_ulp) for op, o in run.ops.items()]
        rows["findings"] = [(number, f.op, f.verdict, f.place, f.known, f.case, f.sentence) for f in run.findings]
    for table, lines in rows.items():
        if lines:
            database.executemany(f"INSERT INTO {table} VALUES ({_blanks(lines[0])})", lines)


def _blanks(row: Sequence[Any]) -> str:
    return ", ".join("?" * len(row))


# -- reading -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PastTiming:
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
    points: tuple[PastTiming, ...]


@dataclass(frozen=True)
class PastRun:
    """One run of `adjudge check`: which state every op was in, and what failed."""

    number: int
    started: str
    adjudge: str
    versions: str
    status: int
    partial: bool
    judged: int
    states: Mapping[str, str]
    findings: tuple[Sighting, ...]


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
        Remarks on its source.
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
        return [Machine(key, label, tuple(reversed(done))) for (key, label), done in runs.items()]

    def series(self, machine: str) -> list[Series]:
        """Every series of timings of a machine; settings are not mixed."""
        timings: dict[tuple[str, str, str, str, str, str], list[PastTiming]] = {}
        query = """
            SELECT t.backend, op, kase, layout, dtype, setting,
                t.number, started, t.versions, adjudge, total_s, low_s, high_s, flops
            FROM timings t JOIN runs USING (number) WHERE machine = ? ORDER BY started, t.number, t.rowid
        """
        for row in self.database.execute(query, (machine,)):
            timings.setdefault(row[:6], []).append(PastTiming(*row[6:]))
        return [Series(*key, points=tuple(points)) for key, points in timings.items()]

    def conformance(self, machine: str) -> dict[tuple[str, str], list[PastRun]]:
        """The runs of conformance of a machine by backend and profile, oldest first."""
        runs: dict[tuple[str, str], list[PastRun]] = {}
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
            findings = tuple(Sighting(**dict(zip(FINDING, f, strict=True))) for f in failed)
            run = PastRun(number, started, adjudge, versions, status, bool(partial), judged, states, findings)
            runs.setdefault((backend, profile), []).append(run)
        return runs


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
        If there is none, or adjudge did not write a line of it.
    """
    if not (folder / RUNS).is_file():
        raise HistoryError(f"there is no history in {folder}; `adjudge check` and `adjudge bench` write one")
    writable = os.access(folder, os.W_OK) and os.access(folder / RUNS, os.W_OK)
    try:
        with _locked(folder) if writable else nullcontext():
            notes = _mended(folder) if writable else _torn(folder)
            database = _index(folder) if writable else _opened(":memory:", folder)
    except (OSError, OverflowError, sqlite3.Error) as problem:
        raise HistoryError(f"the history in {folder} cannot be read: {_why(problem)}") from problem
    with closing(database):
        yield History(database, notes)


def _torn(folder: Path) -> list[str]:
    _, torn = _parted((folder / RUNS).read_bytes())
    return [f"the last line of {folder / RUNS} is torn and was left out"] if torn else []
