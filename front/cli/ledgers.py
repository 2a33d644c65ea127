"""`adjudge ledger`: known deviations of a backend."""

from __future__ import annotations

from typing import Any

import click

from ..records.sentences import ledger_sentence
from .command import FAILED, PASSED, Commands, backend_of, ledger_of, refuse

__all__ = ["ledger"]


@click.group(cls=Commands)
def ledger() -> None:
    """Known deviations of a backend."""


@ledger.command("list")
@click.argument("backend")
@click.option("--ledger", "path", type=click.Path(), metavar="FILE", help="This ledger, in place of the shipped one.")
def ledger_list(backend: str, path: str | None) -> int:
    """What is known of BACKEND, and whether it applies to the version that is installed."""
    judged = backend_of(backend)
    current = next(iter(judged.versions().values()), "0")
    for e in ledger_of(path, judged.name).entries:
        here = "" if e.applies(current) else f" (not {current})"
        what = f"{e.id}: {', '.join(e.ops)} is {' or '.join(e.verdicts)} in the {' or '.join(e.where)}"
        click.echo(f"{what}, {e.versions or 'all versions'}{here}: {e.reason}")
    for known in ledger_of(path, judged.name).departures:
        here = "" if known.applies(current) else f" (not {current})"
        aspects = " or ".join(sorted({aspect for mark in known.when for aspect in mark.aspects}))
        click.echo(f"{known.id}: tensors depart in {aspects}, {known.versions or 'all versions'}{here}: {known.reason}")
    return PASSED


@ledger.command("check")
@click.argument("backend")
@click.option("--ledger", "path", type=click.Path(), metavar="FILE", help="This ledger, in place of the shipped one.")
def ledger_check(backend: str, path: str | None) -> int:
    """Replay every entry's case: status 1 if one does not fail as it says, or does not explain its own case."""
    from ..suite import outcomes
    from ..suite.examiner import Examiner
    from ..suite.settings import Settings

    judged = backend_of(backend)
    found = ledger_of(path, judged.name)
    examiner = Examiner(Settings(backend, legs=("balls",), ledger=path))
    records = {record["id"]: record for record in outcomes.ledger(examiner)}
    if not records:
        refuse(f"no ledger entry of backend {judged.name} applies to its version {examiner.version}")
    known: list[Any] = [*found.entries, *found.departures]
    for e in known:
        said = f"it is about {e.versions}, and this is {examiner.version}"
        click.echo(ledger_sentence(records.get(e.id, {"id": e.id, "state": "not judged", "reason": e.reason, "said": said})))
    return FAILED if any(r["state"] in ("no longer fails", "fails otherwise") for r in records.values()) else PASSED
