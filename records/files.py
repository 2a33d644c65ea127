"""Records files: one line of JSON each, appended as it happens, so that whatever stops a run keeps what was judged."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from .fields import describe, shortly
from .models import SCHEMA_VERSION, BenchRun, CheckRun, OutcomeRecord, Record
from .places import FILE

__all__ = ["RECORD", "Reading", "Records", "RecordsError", "parse_record", "read_records", "to_line"]

RECORD: TypeAdapter[Record] = TypeAdapter(Record)


class RecordsError(ValueError):
    """A records file cannot be read; the message is one sentence that says where."""


def to_line(record: Record) -> str:
    """A record as JSON, on one line; outcomes, of which there are many, leave out what does not apply to them."""
    return record.model_dump_json(exclude_none=isinstance(record, OutcomeRecord))


def parse_record(line: str | bytes) -> Record:
    """A record from its JSON.

    Raises
    ------
    RecordsError
        Naming the first thing that is missing or makes no sense.

    Examples
    --------
    >>> parse_record('{"kind": "end", "seconds": 2.5}').seconds
    2.5
    >>> parse_record('{"kind": "end", "secnods": 2.5}')
    Traceback (most recent call last):
    adjudge.records.files.RecordsError: a record of kind 'end': there is no field 'secnods'; did you mean 'seconds'?
    """
    try:
        return RECORD.validate_json(line)
    except ValidationError as problem:
        raise RecordsError(_what_is_wrong(line, problem)) from problem


def _what_is_wrong(line: str | bytes, problem: ValidationError) -> str:
    try:
        tree: Any = from_json(line)
    except ValueError:
        return "it is not JSON"
    if not isinstance(tree, dict) or "kind" not in tree:
        return "it is no record: that is a JSON object with a 'kind'"
    return f"a record of kind {shortly(tree['kind'])}: {describe(problem, Record)}"


class Records:
    """Appends records to a file; several processes may append to the same one.

    Parameters
    ----------
    path : Path
        Made with the folders above it where it is not there.
    anew : bool
        Whether the file is emptied first.
    """

    def __init__(self, path: Path, anew: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if anew else 0), 0o644)
        self._full: OSError | None = None

    def append(self, record: Record) -> None:
        """Write one record, in one piece; after one that could not be written comes no other: a torn line is the last.

        Raises
        ------
        OSError
            Now, and whenever it is tried again.
        """
        if self._full is not None:
            raise self._full
        line = to_line(record).encode() + b"\n"
        try:
            if os.write(self._file, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as problem:
            self._full = problem
            raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


@dataclass(frozen=True)
class Reading:
    """What a records file holds; `torn` is "" or one sentence on what was left out."""

    records: tuple[Record, ...]
    torn: str = ""


def read_records(path: Path) -> Reading:
    """Read a records file, or the one in a report folder.

    A last line without its end was being written when the run stopped: it is left out, and `Reading.torn` says so.

    Raises
    ------
    RecordsError
        If there is no such file, or adjudge did not write it, or an older version of it did.
    """
    file = path / FILE if path.is_dir() else path
    try:
        if file.exists() and not file.is_file():
            raise RecordsError(f"{file} cannot be read: it is no file")
        text = file.read_text("utf-8", errors="replace")
    except OSError as problem:
        raise RecordsError(f"{file} cannot be read: {problem.strerror}") from problem
    *lines, last = text.split("\n")
    if lines and (version := _version(lines[0])) not in (None, SCHEMA_VERSION):
        raise RecordsError(f"{file} has schema version {version}; this adjudge reads version {SCHEMA_VERSION}")
    records: list[Record] = []
    for number, line in enumerate(lines, 1):
        try:
            record = parse_record(line)
        except RecordsError as problem:
            raise RecordsError(f"{file}, line {number}: {problem}") from problem
        if records and isinstance(record, (CheckRun, BenchRun)):
            raise RecordsError(f"{file}, line {number} begins a second run; a file of records holds one")
        records.append(record)
    if not records or not isinstance(records[0], (CheckRun, BenchRun)):
        raise RecordsError(f"{file} does not begin with a record of kind 'run'")
    return Reading(tuple(records), f"the last line of {file} is torn and was left out" if last else "")


def _version(line: str) -> Any:
    """The schema version that a line states."""
    try:
        return from_json(line).get("schema_version")
    except (ValueError, AttributeError):
        return None
