"""`adjudge bench`: how fast right answers come, and whether they have become slower."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from adjudge.backends import BackendError
from adjudge.records.places import BENCH_FILE

from .command import REPORT_DIR, history_option, listed, near, refuse, tell

if TYPE_CHECKING:
    from adjudge.records.models import Record

__all__ = ["bench"]


@click.command(short_help="Time backprop, or gate on its speed.")
@click.argument("backends", metavar="[BACKEND]...", nargs=-1)
@click.option("--op", "ops", metavar="NAME", multiple=True, help="Only this op; may be repeated.")
@history_option
@click.option("--gate", type=click.FloatRange(min=1), metavar="RATIO", help="Compare two sides; status 3 if slower.")
@click.option("--report-dir", type=click.Path(), default=REPORT_DIR, metavar="DIR", help="Where the records go.")
@click.pass_context
def bench(
    ctx: click.Context, backends: tuple[str, ...], ops: tuple[str, ...], past: str, gate: float | None, report_dir: str
) -> int:
    """Time backprop, judging each answer right before: BACKEND as for `check`, also @ENV and ==VERSION.

    With --gate the first BACKEND is compared with the second, or with itself: status 3 if in some case it takes more than RATIO
    times as long, and still does when measured again. Status 1 if an answer is wrong, 2 if nothing could be timed.
    """
    from adjudge.bench.cases import OPS
    from adjudge.bench.run import run, status
    from adjudge.bench.sides import Side, default_sides
    from adjudge.records.files import Records
    from adjudge.records.history import BenchLine
    from adjudge.reports.terminal import make_console
    from adjudge.reports.timings import Timings

    from .folders import add_to_history, history_folder

    for op in ops:
        if op not in OPS:
            refuse(f"no benchmark is of op {op!r}{near(op, OPS, listed(OPS))}")
    if gate is not None and not 1 <= len(backends) <= 2:
        refuse(f"--gate compares one backend with another, or with itself: {len(backends)} are given")
    try:
        sides = [Side.of(spec, tell) for spec in backends] or default_sides()
    except BackendError as problem:
        refuse(str(problem))
    if gate is not None and len(sides) == 1:
        sides *= 2
    try:
        file, records = Records(Path(report_dir) / BENCH_FILE, anew=True), list["Record"]()
    except OSError as problem:
        refuse(f"the records cannot be written to {report_dir}: {problem.strerror}; --report-dir names another place")
    history_folder(ctx)
    timings = Timings(make_console())

    def emit(record: Record) -> None:
        file.append(record)
        records.append(record)
        timings.record(record)

    try:
        run(sides, ops, gate, emit)
    finally:
        file.close()
        notes = add_to_history(Path(past), BenchLine.of(records)) if records else []
    for note in notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"records: {Path(report_dir) / BENCH_FILE}")
    return status(records)
