"""`adjudge replay` and `adjudge explain`: stored questions, asked again."""

from __future__ import annotations

import traceback
from pathlib import Path

import click

from adjudge.records.places import CASES

from .command import FAILED, NO_VERDICT, PASSED, REPORT_DIR, SKIPPED, Refusal, refuse

__all__ = ["explain", "replay"]


@click.command(short_help="Ask stored questions again.")
@click.argument("case")
@click.option("--backend", metavar="B", help="Ask this backend: needed where the case's own does not ship.")
@click.option("--script", "as_script", is_flag=True, help="Print the case as a stand-alone script.")
@click.option("--for-bisect", is_flag=True, help="Status 125 where this version cannot be judged, for `git bisect run`.")
@click.option("--report-dir", type=click.Path(), default=REPORT_DIR, metavar="DIR", help="Where ids are looked up.")
def replay(case: str, backend: str | None, as_script: bool, for_bisect: bool, report_dir: str) -> int:
    """Ask a stored question again: CASE is a file, an id, or "all" of the report.

    Status 0 if nothing fails any more, 1 if something still does, 2 if it cannot be judged.
    """
    from .stored import find_cases, replay_case

    try:
        if as_script and (for_bisect or case == "all"):
            refuse(f"--script prints one case, and {'--for-bisect asks it' if for_bisect else 'all are many'}")
        cases = find_cases(case, Path(report_dir) / CASES)
        statuses = [replay_case(c, backend, as_script, many=case == "all") for c in cases]
    except Refusal as problem:
        if not for_bisect:
            raise
        click.echo(f"adjudge: {problem.format_message()}", err=True)
        return SKIPPED
    except Exception:
        if not for_bisect:
            raise
        traceback.print_exc()
        return SKIPPED
    status = next((s for s in (FAILED, NO_VERDICT) if s in statuses), PASSED)
    return SKIPPED if for_bisect and status == NO_VERDICT else status


@click.command(short_help="Show what every leg says of a case.")
@click.argument("case")
@click.option("--backend", metavar="B", help="Ask this backend: needed where the case's own does not ship.")
@click.option("--report-dir", type=click.Path(), default=REPORT_DIR, metavar="DIR", help="Where ids are looked up.")
def explain(case: str, backend: str | None, report_dir: str) -> int:
    """Show what every leg says of a case, which step is to blame, and the case as a script."""
    from .stored import explain_case, find_cases

    if case == "all":
        refuse("explain takes one case; `adjudge replay all` takes them all")
    (stored,) = find_cases(case, Path(report_dir) / CASES)
    return explain_case(stored, backend)
