"""Comparison: what changed from one run to another, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..records.models import CheckRun, FailureRecord
from ..records.sentences import failure_sentence, ledger_sentence
from ..records.summary import JUDGED, OpSummary, Summary, counted

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
    >>> from ..records.models import EndRecord, OutcomeRecord, TaskRecord
    >>> from ..records.summary import summarise
    >>> ends = [TaskRecord(op="exp", dtype="", ended=True), EndRecord(seconds=1.0)]
    >>> runs = [[OutcomeRecord(op="exp", verdict=v), *ends] for v in ("correct", "wrong")]
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
        ("versions", old.versions, new.versions),
        ("versions", vars(old.environment), vars(new.environment)),
        ("settings", _only(old, "profile", "seed", "dtypes", "legs"), _only(new, "profile", "seed", "dtypes", "legs")),
    ):  # fmt: skip
        for key in dict.fromkeys((*first, *second)):
            if first.get(key) != second.get(key):
                yield Change(about, f"{key}: {_words(first.get(key))} -> {_words(second.get(key))}")
    for run, name in ((before, "the run before"), (after, "this run")):
        if run.partial:
            yield Change("settings", f"{name} did not reach its end")


def _only(header: CheckRun, *keys: str) -> dict[str, Any]:
    return {key: getattr(header, key) for key in keys}


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "none" if value in (None, "", {}) else str(value)


def _ops(before: Summary, after: Summary) -> Iterator[Change]:
    asked = [set(run.ops) for run in (before, after)]
    for gone, words, turn in (
        (asked[0] - asked[1], "no longer asked about", "worse"),
        (asked[1] - asked[0], "asked about now", ""),
    ):
        judged = sorted(op for op in gone if (before if turn else after).ops[op].judged)
        if judged:
            yield Change("ops", f"{words}: {_listed(judged)}", turn)
    for op in (op for op in after.ops if op in before.ops):
        old, new = before.ops[op], after.ops[op]
        if old.state != new.state:
            yield Change("ops", f"{op}: {_state(old)} -> {_state(new)}", _turn(old.state, new.state))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _state(op: OpSummary) -> str:
    count = op.categories[op.state]
    return f"{op.state} ({count} of {op.judged})" if op.judged and op.state in JUDGED[1:] else op.state


def _turn(old: str, new: str) -> str:
    if old in STATES and new in STATES:
        return "worse" if STATES.index(new) > STATES.index(old) else "better"
    if old in STATES or new in STATES:
        return "worse" if old in STATES or new == "new" else "better"
    return ""


def _signature(failure: FailureRecord) -> tuple[str, str, str]:
    return failure.blamed or failure.op, failure.verdict, (failure.where or "").split(" ")[0]


def _failures(before: Summary, after: Summary) -> Iterator[Change]:
    old, new = ({_signature(f): f for f in run.failures} for run in (before, after))
    for key in (key for key in new if key not in old):
        yield Change("failures", "new: " + failure_sentence(new[key], after.header.backend), "worse")
    for key in (key for key in old if key not in new):
        op = after.ops.get(old[key].op)
        again = op is not None and op.judged
        sentence = failure_sentence(old[key], before.header.backend)
        yield Change("failures", f"{'gone' if again else 'not asked again'}: {sentence}", "better" if again else "")


def _ledger(before: Summary, after: Summary) -> Iterator[Change]:
    old, new = ({r.id: r for r in run.ledger} for run in (before, after))
    for name in dict.fromkeys((*old, *new)):
        if name not in old or name not in new:
            yield Change("ledger", f"{name}: {'new on record' if name in new else 'no longer on record'}")
        elif old[name].state != new[name].state:
            turn = {"fails otherwise": "worse", "no longer fails": "better"}.get(new[name].state, "")
            yield Change("ledger", f"{ledger_sentence(new[name])}; before, it {old[name].state}", turn)


def _accuracy(before: Summary, after: Summary) -> Iterator[Change]:
    for op in (op for op in after.ops if op in before.ops):
        for dtype, new in after.ops[op].accuracy.items():
            old = before.ops[op].accuracy.get(dtype)
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
    old, new = ({r.name: r for r in run.kinks} for run in (before, after))
    for name in new:
        if name in old and repr(old[name].got) != repr(new[name].got):  # NaN does not differ from NaN
            was, now = old[name].verdict, new[name].verdict
            turn = "" if was == now else "better" if now == "correct" else "worse" if was == "correct" else ""
            yield Change("kinks", f"{name}: {list(old[name].got)} -> {list(new[name].got)} ({now})", turn)


def headline(changes: Iterable[Change]) -> str:
    """How many things changed, in words."""
    turns = [change.turn for change in changes]
    if not turns:
        return "nothing changed"
    parts = [f"{turns.count(turn)} {turn}" for turn in ("worse", "better") if turn in turns]
    return counted(len(turns), "change") + (f" ({', '.join(parts)})" if parts else "")
