"""The report: what a run came to, as one JSON document whose schema is published beside this file."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..oracle.program import ProgramError, Question
from ..records.lockstep import HistoryCase
from ..records.records import FILE, STANDINGS, Record, Row, Summary, plain
from ..records.sentences import failure_sentence, ledger_sentence

__all__ = ["REPORT", "program_lines", "report_tree", "schema", "write_report"]

#: The name of the report in its folder.
REPORT = "report.json"
SCHEMA_VERSION = 1

#: What of an outcome's record stands in the report.
OUTCOME = (
    "op", "family", "dtype", "verdict", "blamed", "known", "where", "reason", "index", "got", "expected", "error", "allowance",
    "bits_lost", "kink", "steps", "witnesses",
)  # fmt: skip
LEDGER = ("id", "op", "state", "reason")
KINK = ("name", "program", "subgradients", "verdict", "got", "reason")


def schema() -> dict[str, Any]:
    """The JSON Schema of `report_tree`."""
    return dict(json.loads(files(__package__).joinpath("report.schema.json").read_text("utf-8")))


def report_tree(summary: Summary, *, strict: bool = False, torn: str = "") -> dict[str, Any]:
    """The report of a run.

    Parameters
    ----------
    summary : Summary
    strict : bool
        Whether loss of digits fails the gate.
    torn : str
        What was left out of the records, if anything.
    """
    header, backend = summary.header, str(summary.header.get("backend", ""))
    status = summary.status(strict)
    tree = {
        "schema_version": SCHEMA_VERSION,
        "verdict": {
            "status": status, "passed": status == 0, "partial": summary.partial, "strict_accuracy": strict,
            "reasons": summary.reasons(strict) + ([torn] if torn else []),
        },
        "backend": {"name": backend, "versions": header.get("versions", {})},
        "counts": {"judged": summary.judged, **{s: summary.count(s) for s in STANDINGS}, "verdicts": summary.verdicts},
        "ops": [_row(row) for row in summary.rows.values()],
        "failures": [_failure(f, backend) for f in summary.new_failures],
        "known": dict(summary.known),
        "ledger": [{k: r.get(k, "") for k in LEDGER} | {"sentence": ledger_sentence(r)} for r in summary.ledger],
        "undecided": dict(summary.undecided),
        "unsupported": dict(summary.unsupported),
        "kinks": [{k: r.get(k, "") for k in KINK} for r in summary.kinks],
        "catalogue": header.get("catalogue", {}),
        "disagreements": [_failure(d, backend) for d in summary.disagreements],
        "environment": header.get("environment", {}),
        "provenance": {
            "adjudge": header.get("adjudge", ""), "records": FILE,
            **{k: header.get(k) for k in ("run", "started", "profile", "seed", "dtypes", "legs", "commit")},
            "seconds": summary.end.get("seconds"),
        },
    }  # fmt: skip
    return dict(plain(tree))


def _row(row: Row) -> dict[str, Any]:
    return {
        "op": row.op, "family": row.family, "state": row.state, "judged": row.judged,
        **{s: row.standings[s] for s in STANDINGS},
        "verdicts": dict(row.verdicts), "dtypes": dict(row.dtypes), "kinks": row.kinks, "worst_ulp": row.worst_ulp,
        "legs": {leg: dict(stances) for leg, stances in row.legs.items()}, "seconds": round(row.seconds, 3),
        "accuracy": {
            dtype: {
                "questions": g.questions, "median_ulp": g.median, "worst_ulp": g.worst, "bits_lost": g.bits_lost, "at": g.at,
                "floor": g.floor, "sharpest": g.sharpest,
            }
            for dtype, g in row.gauges.items()
        },
    }  # fmt: skip


def _failure(record: Record, backend: str) -> dict[str, Any]:
    case = record.get("case") or {}
    out = {k: record[k] for k in OUTCOME if k in record} | {"case": case.get("id"), "program": program_lines(case)}
    return out | ({"sentence": failure_sentence(record, backend)} if record["kind"] == "failure" else {})


def program_lines(case: Any) -> list[str]:
    """A case's program, one line a value, or its history; none if it cannot be read."""
    try:
        if "history" in case:
            return list(HistoryCase.from_json(case).lines)
        return [line for line in str(Question.from_json(case["question"]).program).split("\n") if line.strip()]
    except (ProgramError, LookupError, TypeError):
        return []


def write_report(folder: Path, tree: dict[str, Any]) -> None:
    """Write ``report.json`` into a folder."""
    (folder / REPORT).write_text(json.dumps(tree, indent=1, allow_nan=False) + "\n", "utf-8")
