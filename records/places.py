"""Where a run's records are kept, by name; the command knows these before it reads or writes anything."""

from __future__ import annotations

from pathlib import Path

__all__ = ["BENCH_FILE", "CASES", "FILE", "HISTORY", "LOCK", "PREVIOUS"]

#: The records of a run of `adjudge check`, in its report folder; of the run before it; and of a run of `adjudge bench`.
FILE, PREVIOUS, BENCH_FILE = "records.ndjson", "previous.ndjson", "bench.ndjson"
#: Held in a report folder while a run writes to it.
LOCK = ".lock"
#: The folder of cases in a report folder.
CASES = "cases"
#: Where the history of runs is kept by default.
HISTORY = Path(".adjudge/history")
