"""`adjudge report` and `adjudge compare`: pages of what was recorded, and what changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from adjudge.records.places import HISTORY, PREVIOUS
from adjudge.records.text import write_text

from .command import FAILED, PASSED, REPORT_DIR, refuse

if TYPE_CHECKING:
    from adjudge.reports.conformance import Run

__all__ = ["compare", "report"]


@click.command(short_help="Make pages from records, or from the history.")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--history", "past", is_flag=False, flag_value="", metavar="[DIR]", help="The dashboard of a history.")
@click.option("-o", "--output", type=click.Path(), default=REPORT_DIR, metavar="DIR", help="Where the page goes.")
@click.pass_context
def report(ctx: click.Context, runs: tuple[str, ...], past: str | None, output: str) -> int:
    """Write one page about some RUNs (report folders, or records files), or about a history of runs.

    DIR is where `check` and `bench` keep the history, unless it is given.
    """
    if ctx.get_parameter_source("past") != ParameterSource.COMMANDLINE:
        past = None
    elif not past:
        past = str(ctx.lookup_default("past") or HISTORY)
    from adjudge.reports.conformance import PAGE, conformance_page
    from adjudge.reports.dashboard import DASHBOARD

    if not runs and past is None:
        refuse("there is nothing to report on: give RUNs, such as adjudge-report, or --history")
    if runs:
        _page(Path(output), PAGE, lambda: conformance_page([_run(Path(run)) for run in runs]))
    if past is not None:
        _page(Path(output), DASHBOARD, lambda: _dashboard(Path(past)))
    return PASSED


def _page(folder: Path, name: str, made: Callable[[], str]) -> None:
    """Write a page, and say where it is."""
    try:
        text = made()
    except ValueError as problem:  # a history that cannot be read, or too much for one page
        refuse(str(problem))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / name, text)
    except OSError as problem:
        refuse(f"the page cannot be written to {folder}: {problem.strerror}; -o names another place")
    click.echo(f"page: {folder / name}")


def _dashboard(folder: Path) -> str:
    from adjudge.records.history import history
    from adjudge.reports.dashboard import dashboard

    with history(folder) as past:
        for note in past.notes:
            click.echo(f"note: {note}", err=True)
        return dashboard(past)


def _run(path: Path) -> Run:
    """What a report folder or a records file holds."""
    from adjudge.records.files import RecordsError, read_records
    from adjudge.records.models import BenchRun
    from adjudge.records.summary import summarise
    from adjudge.reports.conformance import Run

    from .folders import previous_run

    try:
        reading = read_records(path)
    except RecordsError as problem:
        refuse(str(problem))
    if isinstance(reading.records[0], BenchRun):
        refuse(f"{path} holds a run of `adjudge bench`, which has no page of its own; `adjudge report --history` shows it")
    summary, folder = summarise(reading.records), path if path.is_dir() else path.parent
    before, notes = previous_run(folder, summary) if path.name != PREVIOUS else (None, [])
    torn = [f"{reading.torn}."] if reading.torn else []
    return Run(summary, summary.header.strict_accuracy, before, [*torn, *notes], folder)


@click.command(short_help="Show what changed between two runs.")
@click.argument("run_a")
@click.argument("run_b")
def compare(run_a: str, run_b: str) -> int:
    """Say only what changed from RUN_A to RUN_B: report folders, or records files.

    Status 0 if nothing got worse, 1 if something did.
    """
    from adjudge.reports.compare import compare as compare_runs
    from adjudge.reports.compare import headline, worse

    before, after = _run(Path(run_a)), _run(Path(run_b))
    for run, name in ((before, run_a), (after, run_b)):
        if not run.summary.judged:
            refuse(f"nothing was judged in {name}: there is nothing to compare")
        for note in run.notes:
            click.echo(f"note: {note}", err=True)
    changes = compare_runs(before.summary, after.summary)
    about = ""
    for change in changes:
        if change.about != about:
            about = change.about
            click.echo(f"{about}:")
        click.echo(f"  {change.turn + ': ' if change.turn else ''}{change.sentence}")
    click.echo(headline(changes))
    return FAILED if worse(changes) else PASSED
