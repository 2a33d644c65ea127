"""Sentences: a failure as who, what, where, got, should be, by how much; and a ledger entry's state."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..oracle.modes import MODES
from .models import FailureRecord, LedgerRecord, OutcomeRecord

__all__ = ["failure_sentence", "ledger_sentence", "listed", "lost_sentence", "number_pair"]

#: Each failing verdict as the predicate of a sentence about an op.
PREDICATES = {
    "crash": "crashes",
    "contract": "breaks the contract",
    "non-finite": "is not finite",
    "wrong": "is wrong",
    "outside subdifferential": "is no subgradient",
    "lossy": "loses digits",
}


def failure_sentence(record: OutcomeRecord | FailureRecord, backend: str) -> str:
    """One sentence about a failing or lossy outcome.

    Examples
    --------
    >>> failure_sentence(OutcomeRecord(op="tanh", dtype="float64", verdict="wrong", where="gradient of a", index=(1,), got=0.25,
    ...                                expected=0.5, error=0.25, allowance=1e-16, blamed="tanh"), "mygrad")
    'mygrad tanh (float64) is wrong in the gradient of a at [1]: got 0.25, should be 0.5, off by 0.25 where 1e-16 is allowed'
    """
    verdict = record.verdict
    what = f"{backend} {_who(record)} {PREDICATES[verdict]}"
    if record.where and record.where != "program":
        what += f" in the {record.where}" + (f" at {list(record.index)}" if record.index else "")
    got, expected, error, allowance = (
        math.nan if x is None else x for x in (record.got, record.expected, record.error, record.allowance)
    )
    if verdict in ("wrong", "lossy", "non-finite") and not math.isnan(expected):
        seen, due = number_pair(got, expected)
        by = f", off by {error:.3g} where {allowance:.3g} is allowed" if verdict != "non-finite" else ""
        lost = f" ({record.bits_lost or 0:.0f} bits lost)" if verdict == "lossy" else ""
        return f"{what}: got {seen}, should be {due}{by}{lost}"
    return f"{what}: {record.reason or ''}"


def _who(record: OutcomeRecord | FailureRecord) -> str:
    op, blamed, dtype = record.op, record.blamed, f" ({record.dtype})" if record.dtype else ""
    if blamed in (None, op):
        return f"{op}{dtype}"
    steps = "a program of one step" if record.steps == 1 else f"a program of {record.steps or 'several'} steps"
    if blamed == "accumulation":
        return f"accumulation{dtype}, in {steps} of which none fails alone,"
    return f"{blamed}{dtype}, in {steps},"


def number_pair(got: float, expected: float) -> tuple[str, str]:
    """Two numbers with as few digits as tell them apart, six at least.

    Examples
    --------
    >>> number_pair(0.1, 0.1 + 1e-12)
    ('0.1', '0.100000000001')
    """
    pairs = ((f"{got:.{digits}g}", f"{expected:.{digits}g}") for digits in range(6, 18))
    return next((p for p in pairs if p[0] != p[1]), (repr(got), repr(expected)))


def lost_sentence(backend: str, mode: str, reason: str, ops: Sequence[str]) -> str:
    """One sentence about what a backend no longer supports; without a reason it does not have the ops at all.

    Examples
    --------
    >>> lost_sentence("jax", "vjp", "", ["cumprod"])
    'support lost: jax no longer has cumprod'
    >>> lost_sentence("jax", "jvp", "jax has no jvp", ["exp", "log", "sin", "cos"])
    'support lost in forward mode: jax has no jvp (exp, log and 2 more)'
    """
    seen = listed(ops)
    if not reason:
        return f"support lost: {backend} no longer has {seen}"
    where = "" if mode == "vjp" else f" in {MODES[mode].title}"
    return f"support lost{where}: {reason} ({seen})"


def listed(things: Sequence[str], most: int = 3) -> str:
    """Some things, or the first of them and how many more there are."""
    if len(things) <= most:
        return ", ".join(things)
    return f"{', '.join(things[: most - 1])} and {len(things) - most + 1} more"


def ledger_sentence(record: LedgerRecord) -> str:
    """One sentence about a ledger entry that was replayed."""
    observed = f": {record.observed}" if record.observed else ""
    now = {
        "still fails": "",
        "no longer fails": "; it is fixed: take the entry out, or bound its versions",
        "fails otherwise": f"; it is {record.verdict or ''} now{observed}",
        "not judged": f"; {record.observed}" if record.observed else "",
    }[record.state]
    return f"{record.id} {record.state} ({record.reason}){now}"
