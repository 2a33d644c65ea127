"""`adjudge ledger`: known deviations of a backend."""

from __future__ import annotations

import click

from .command import FAILED, PASSED, Commands, backend_of, ledger_of, refuse

__all__ = ["ledger"]


@click.group(cls=Commands)
def ledger() -> None:
    """Known deviations of a backend."""


@ledger.command("list")
@click.argument("backend")
@click.option("--ledger", "path", type=click.Path(), metavar="FILE", help="Use this ledger instead of the shipped one.")
def ledger_list(backend: str, path: str | None) -> int:
    """List the known deviations of BACKEND, and whether they apply to the version that is installed."""
    judged = backend_of(backend)
    current = next(iter(judged.versions().values()), "0")
    known = ledger_of(path, judged.name)
    for e in known.entries:
        here = "" if e.applies(current) else f" (not {current})"
        what = f"{e.id}: {', '.join(e.ops)} is {' or '.join(e.verdicts)} in the {' or '.join(e.where)}"
        click.echo(f"{what}, {e.versions or 'all versions'}{here}: {e.reason}")
    for lacking in known.lacking:
        here = "" if lacking.applies(current) else f" (not {current})"
        click.echo(f"{lacking.id}: no support for {lacking}, {lacking.versions or 'all versions'}{here}")
    for d in known.divergences:
        here = "" if d.applies(current) else f" (not {current})"
        aspects = " or ".join(sorted({aspect for mark in d.when for aspect in mark.aspects}))
        click.echo(f"{d.id}: tensors differ in {aspects}, {d.versions or 'all versions'}{here}: {d.reason}")
    return PASSED


@ledger.command("check")
@click.argument("backend")
@click.option("--ledger", "path", type=click.Path(), metavar="FILE", help="Use this ledger instead of the shipped one.")
def ledger_check(backend: str, path: str | None) -> int:
    """Replay every entry's case: status 1 if one does not fail as it says, or does not explain its own case."""
    from adjudge.records.divergences import KnownDivergence
    from adjudge.records.ledger import Entry
    from adjudge.records.models import LedgerRecord
    from adjudge.records.sentences import ledger_sentence
    from adjudge.suite import outcomes
    from adjudge.suite.examiner import Examiner
    from adjudge.suite.settings import Settings

    judged = backend_of(backend)
    known = ledger_of(path, judged.name)
    examiner = Examiner(Settings(backend, legs=("balls",), ledger=path))
    records = {record.id: record for record in outcomes.ledger(examiner)}
    lacking = [e for e in known.lacking if e.applies(examiner.version)]
    if not records and not lacking:
        refuse(f"no ledger entry of backend {judged.name} applies to its version {examiner.version}")
    every: list[Entry | KnownDivergence] = [*known.entries, *known.divergences]
    for e in every:
        why = f"it is about {e.versions}, and this is {examiner.version}"
        skipped = LedgerRecord(id=e.id, op="", state="not judged", reason=e.reason, observed=why)
        click.echo(ledger_sentence(records.get(e.id, skipped)))
    for entry in known.lacking:
        absent = "still not supported" if entry.missing(judged) else "not asked"
        absent = absent if entry in lacking else f"not about {examiner.version}"
        click.echo(ledger_sentence(records[entry.id]) if entry.id in records else f"{entry.id} {absent} ({entry})")
    return FAILED if any(r.state in ("no longer fails", "fails otherwise") for r in records.values()) else PASSED
