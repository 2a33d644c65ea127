"""Sentences: a failure as who, what, where, got, should be, by how much; and a ledger entry's state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["failure_sentence", "ledger_sentence", "number_pair"]

#: How each failing verdict is said of an op.
SAID = {
    "crash": "crashes",
    "contract": "breaks the contract",
    "non-finite": "is not finite",
    "wrong": "is wrong",
    "outside subdifferential": "is no subgradient",
    "lossy": "loses digits",
}


def failure_sentence(record: Mapping[str, Any], backend: str) -> str:
    """One sentence about a failing or lossy outcome.

    Examples
    --------
    >>> failure_sentence({"op": "tanh", "dtype": "float64", "verdict": "wrong", "where": "gradient of a", "index": [1],
    ...                   "got": 0.25, "expected": 0.5, "error": 0.25, "allowance": 1e-16, "blamed": "tanh"}, "mygrad")
    'mygrad tanh (float64) is wrong in the gradient of a at [1]: got 0.25, should be 0.5, off by 0.25 where 1e-16 is allowed'
    """
    verdict, reason = str(record["verdict"]), str(record.get("reason", ""))
    what = f"{backend} {_who(record)} {SAID[verdict]}"
    where = str(record.get("where", ""))
    if where and where != "program":
        what += f" in the {where}" + (f" at {list(record['index'])}" if record.get("index") else "")
    got, expected = (float(record.get(key, math.nan)) for key in ("got", "expected"))
    if verdict in ("wrong", "lossy", "non-finite") and not math.isnan(expected):
        mine, due = number_pair(got, expected)
        by = f", off by {_short(record['error'])} where {_short(record['allowance'])} is allowed"
        lost = f" ({float(record.get('bits_lost', 0)):.0f} bits lost)" if verdict == "lossy" else ""
        return f"{what}: got {mine}, should be {due}{by if verdict != 'non-finite' else ''}{lost}"
    return f"{what}: {reason}"


def _who(record: Mapping[str, Any]) -> str:
    op, blamed, dtype = str(record["op"]), record.get("blamed"), f" ({record['dtype']})" if record.get("dtype") else ""
    if blamed in (None, op):
        return f"{op}{dtype}"
    count = record.get("steps", "several")
    steps = "a program of one step" if count == 1 else f"a program of {count} steps"
    if blamed == "accumulation":
        return f"accumulation{dtype}, in {steps} of which none fails alone,"
    return f"{blamed}{dtype}, in {steps},"


def _short(number: Any) -> str:
    return f"{float(number):.3g}"


def number_pair(got: float, expected: float) -> tuple[str, str]:
    """Two numbers with as few digits as tell them apart, six at least.

    Examples
    --------
    >>> number_pair(0.1, 0.1 + 1e-12)
    ('0.1', '0.100000000001')
    """
    pairs = ((f"{got:.{digits}g}", f"{expected:.{digits}g}") for digits in range(6, 18))
    return next((p for p in pairs if p[0] != p[1]), (repr(got), repr(expected)))


def ledger_sentence(record: Mapping[str, Any]) -> str:
    """One sentence about a ledger entry that was replayed."""
    now = {
        "still fails": "",
        "no longer fails": "; it is fixed: take the entry out, or bound its versions",
        "fails otherwise": f"; it is {record.get('verdict', '')} now" + (f": {record['said']}" if record.get("said") else ""),
        "not judged": f"; {record['said']}" if record.get("said") else "",
    }[str(record["state"])]
    return f"{record['id']} {record['state']} ({record.get('reason', '')}){now}"
