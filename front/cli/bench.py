"""`adjudge bench`: how fast a right answer is, and whether it has become slower."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..backends import BackendError
from ..records.history import HISTORY
from ..records.records import Records
from ..reports.terminal import make_console
from .command import BENCH_FILE, REPORT_DIR, listed, near, refuse
from .folders import history_folder, remembered

__all__ = ["bench"]


@click.command(short_help="Time backprop, or gate on its speed.")
@click.argument("backends", metavar="[BACKEND]...", nargs=-1)
@click.option("--op", "ops", metavar="NAME", multiple=True, help="Only this op; may be repeated.")
@click.option(
    "--history", "past", type=click.Path(), default=str(HISTORY), metavar="DIR", help="Append the run to the history there."
)
@click.option("--gate", type=click.FloatRange(min=1), metavar="RATIO", help="Compare two sides; status 3 if slower.")
@click.option("--report-dir", type=click.Path(), default=REPORT_DIR, metavar="DIR", help="Where the records go.")
@click.pass_context
def bench(
    ctx: click.Context, backends: tuple[str, ...], ops: tuple[str, ...], past: str, gate: float | None, report_dir: str
) -> int:
    """Time backprop, each answer judged right before: BACKEND as for `check`, and BACKEND@ENV in another environment.

    With --gate the first BACKEND is compared with the second, or with itself, in turn: status 3 if it is more than RATIO times
    as slow in some case, and stays so when measured again. Status 1 if an answer is wrong, 2 if nothing could be timed.
    """
    from ..bench.cases import OPS
    from ..bench.run import run, status
    from ..bench.sides import Side, default_sides
    from ..reports.timings import Timings

    for op in ops:
        if op not in OPS:
            refuse(f"no benchmark is of op {op!r}{near(op, OPS, listed(OPS))}")
    if gate is not None and not 1 <= len(backends) <= 2:
        refuse(f"--gate compares one backend with another, or with itself: {len(backends)} are given")
    try:
        sides = [Side.of(spec) for spec in backends] or default_sides()
    except BackendError as problem:
        refuse(str(problem))
    if gate is not None and len(sides) == 1:
        sides *= 2
    try:
        records, kept = Records(Path(report_dir) / BENCH_FILE, anew=True), list[dict[str, Any]]()
    except OSError as problem:
        refuse(f"the records cannot be written to {report_dir}: {problem.strerror}; --report-dir names another place")
    history_folder(ctx)
    timings = Timings(make_console())

    def emit(record: dict[str, Any]) -> None:
        records.append(record)
        kept.append(record)
        timings.record(record)

    try:
        run(sides, ops, gate, emit)
    finally:
        records.close()
        notes = remembered(Path(past), kept) if kept else []
    for note in notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"records: {Path(report_dir) / BENCH_FILE}")
    return status(kept)
