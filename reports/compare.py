"""Comparison: what changed from one run to another, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..records.records import JUDGED, Record, Row, Summary, counted
from ..records.sentences import failure_sentence, ledger_sentence

__all__ = ["Change", "compare", "headline", "worse"]

#: A change of the worst error of an op's gradients is of note from so many bits on, and one of the median from this factor on.
BITS, FACTOR = 3.0, 4.0
#: States of an op that is judged, the best first.
STATES = ("correct", "lossy", "known", "new")


@dataclass(frozen=True)
class Change:
    """One thing that is not as it was.

    Parameters
    ----------
    about : str
        "versions", "settings", "ops", "failures", "ledger", "accuracy" or "kinks".
    sentence : str
    turn : str
        "worse", "better", or "" where it is neither.
    """

    about: str
    sentence: str
    turn: str = ""


def worse(changes: Iterable[Change]) -> bool:
    """Whether something got worse."""
    return any(change.turn == "worse" for change in changes)


def compare(before: Summary, after: Summary) -> list[Change]:
    """What changed, the surroundings first.

    Parameters
    ----------
    before, after : Summary

    Examples
    --------
    >>> from .records import summarise
    >>> runs = [[{"kind": "outcome", "op": "exp", "verdict": v}, {"kind": "end"}] for v in ("correct", "wrong")]
    >>> [(c.sentence, c.turn) for c in compare(*map(summarise, runs))]
    [('exp: correct -> new (1 of 1)', 'worse')]
    """
    return [
        *_surroundings(before, after), *_ops(before, after), *_failures(before, after), *_ledger(before, after),
        *_accuracy(before, after), *_kinks(before, after),
    ]  # fmt: skip


def _surroundings(before: Summary, after: Summary) -> Iterator[Change]:
    old, new = before.header, after.header
    for about, first, second in (
        ("versions", _only(old, "backend", "adjudge", "commit"), _only(new, "backend", "adjudge", "commit")),
        ("versions", old.get("versions", {}), new.get("versions", {})),
        ("versions", old.get("environment", {}), new.get("environment", {})),
        ("settings", _only(old, "profile", "seed", "dtypes", "legs"), _only(new, "profile", "seed", "dtypes", "legs")),
    ):  # fmt: skip
        for key in dict.fromkeys((*first, *second)):
            if first.get(key) != second.get(key):
                yield Change(about, f"{key}: {_said(first.get(key))} -> {_said(second.get(key))}")
    for run, said in ((before, "the run before"), (after, "this run")):
        if run.partial:
            yield Change("settings", f"{said} did not come to its end")


def _only(header: Record, *keys: str) -> dict[str, Any]:
    return {key: header.get(key) for key in keys}


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value in (None, "", {}) else str(value)


def _ops(before: Summary, after: Summary) -> Iterator[Change]:
    asked = [(set(run.rows)) for run in (before, after)]
    for gone, words, turn in (
        (asked[0] - asked[1], "not asked about any more", "worse"),
        (asked[1] - asked[0], "asked about now", ""),
    ):
        judged = sorted(op for op in gone if (before if turn else after).rows[op].judged)
        if judged:
            yield Change("ops", f"{words}: {_listed(judged)}", turn)
    for op in (op for op in after.rows if op in before.rows):
        old, new = before.rows[op], after.rows[op]
        if old.state != new.state:
            yield Change("ops", f"{op}: {_state(old)} -> {_state(new)}", _turn(old.state, new.state))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _state(row: Row) -> str:
    count = row.standings[row.state]
    return f"{row.state} ({count} of {row.judged})" if row.judged and row.state in JUDGED[1:] else row.state


def _turn(old: str, new: str) -> str:
    if old in STATES and new in STATES:
        return "worse" if STATES.index(new) > STATES.index(old) else "better"
    if old in STATES or new in STATES:
        return "worse" if old in STATES or new == "new" else "better"
    return ""


def _signature(failure: Record) -> tuple[str, str, str]:
    return str(failure.get("blamed") or failure["op"]), str(failure["verdict"]), str(failure.get("where", "")).split(" ")[0]


def _failures(before: Summary, after: Summary) -> Iterator[Change]:
    old, new = ({_signature(f): f for f in run.new_failures} for run in (before, after))
    for key in (key for key in new if key not in old):
        yield Change("failures", "new: " + failure_sentence(new[key], str(after.header.get("backend", ""))), "worse")
    for key in (key for key in old if key not in new):
        row = after.rows.get(str(old[key]["op"]))
        seen = row is not None and row.judged
        sentence = failure_sentence(old[key], str(before.header.get("backend", "")))
        yield Change("failures", f"{'gone' if seen else 'not asked again'}: {sentence}", "better" if seen else "")


def _ledger(before: Summary, after: Summary) -> Iterator[Change]:
    old, new = ({str(r["id"]): r for r in run.ledger} for run in (before, after))
    for name in dict.fromkeys((*old, *new)):
        if name not in old or name not in new:
            yield Change("ledger", f"{name}: {'new on record' if name in new else 'not on record any more'}")
        elif old[name]["state"] != new[name]["state"]:
            turn = {"fails otherwise": "worse", "no longer fails": "better"}.get(str(new[name]["state"]), "")
            yield Change("ledger", f"{ledger_sentence(new[name])}; before, it {old[name]['state']}", turn)


def _accuracy(before: Summary, after: Summary) -> Iterator[Change]:
    for op in (op for op in after.rows if op in before.rows):
        for dtype, new in after.rows[op].gauges.items():
            old = before.rows[op].gauges.get(dtype)
            if old is None:
                continue
            bits = new.bits_lost - old.bits_lost
            if abs(bits) >= BITS:
                sentence = f"{op} ({dtype}): worst gradient {old.worst:.2g} -> {new.worst:.2g} ulp ({bits:+.0f} bits lost)"
                yield Change("accuracy", sentence, "worse" if bits > 0 else "better")
            elif max(old.median, new.median) > 1 and not 1 / FACTOR < new.median / max(old.median, 1e-9) < FACTOR:
                sentence = f"{op} ({dtype}): median gradient {old.median:.2g} -> {new.median:.2g} ulp"
                yield Change("accuracy", sentence, "worse" if new.median > old.median else "better")


def _kinks(before: Summary, after: Summary) -> Iterator[Change]:
    old, new = ({str(r["name"]): r for r in run.kinks} for run in (before, after))
    for name in new:
        if name in old and old[name]["got"] != new[name]["got"]:
            verdicts = old[name]["verdict"], new[name]["verdict"]
            turn = (
                ""
                if verdicts[0] == verdicts[1]
                else {"correct": "better"}.get(str(verdicts[1]), "worse" if verdicts[0] == "correct" else "")
            )
            yield Change("kinks", f"{name}: {old[name]['got']} -> {new[name]['got']} ({verdicts[1]})", turn)


def headline(changes: Iterable[Change]) -> str:
    """How many things changed, in words."""
    turns = [change.turn for change in changes]
    if not turns:
        return "nothing changed"
    parts = [f"{turns.count(turn)} {turn}" for turn in ("worse", "better") if turn in turns]
    return counted(len(turns), "change") + (f" ({', '.join(parts)})" if parts else "")
