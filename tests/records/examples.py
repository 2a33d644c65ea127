"""Records for tests, made from what a test wants to say; what it leaves out has the models' defaults."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from adjudge.records.fields import to_json
from adjudge.records.files import parse_record, to_line
from adjudge.records.history import BenchLine, CheckLine, append_history
from adjudge.records.models import BenchRun, Record
from adjudge.records.places import FILE
from adjudge.records.summary import summarise


def record(**fields: Any) -> Any:
    """A record, through its JSON."""
    return parse_record(json.dumps(to_json(fields)))


def ends(*ops: str, dtype: str = "float64") -> list[Any]:
    """The ends of the tasks about some ops."""
    return [record(kind="task", op=op, dtype=dtype, ended=True) for op in ops]


def changed(record: Any, **fields: Any) -> Any:
    """The same record with other fields."""
    return parse_record(to_line(record.model_copy(update=fields)))


def write(folder: Path, records: Iterable[Record], name: str = FILE) -> Path:
    """Write a records file into a folder."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(to_line(r) + "\n" for r in records))
    return folder


def append(folder: Path, records: list[Record]) -> list[str]:
    """Append a run to a history."""
    bench = isinstance(records[0], BenchRun)
    return append_history(folder, BenchLine.of(records) if bench else CheckLine.of(summarise(records)))
