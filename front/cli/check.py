"""`adjudge check`: judge a backend."""

from __future__ import annotations

import ast
import os
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import click

from adjudge.backends import Backend, BackendError

from .command import (
    REPORT_DIR,
    a_name,
    asking_options,
    history_option,
    ledger_of,
    near,
    one_of,
    refuse,
    some_names,
    tell,
)  # fmt: skip
from .lists import list_ops

__all__ = ["check"]

LEGS = ("balls", "series", "differences", "jax")


@click.command(short_help="Judge a backend.")
@click.argument("backend")
@click.option("-k", "expression", metavar="EXPR", help="Ops whose name or family contains this; with and, or, not, ( ).")
@click.option("--op", "ops", metavar="NAME", multiple=True, help="Only this op; may be repeated.")
@click.option("--dtype", "dtypes", metavar="D", multiple=True, help="Only this float dtype; may be repeated.")
@click.option("--profile", type=a_name("profile", "quick", "ci", "nightly"), default="ci", help="How much: quick, ci, nightly.")
@click.option("--max-time", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Ask no more after S seconds.")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="The seed that questions are drawn from.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Processes; one per core by default.")
@click.option("--legs", type=some_names("leg", *LEGS), default=LEGS, metavar=",".join(LEGS), help="Which legs judge.")
@click.option("--strict-accuracy", is_flag=True, help="Loss of digits fails the gate.")
@click.option("--ledger", type=click.Path(), metavar="FILE", help="Known deviations, in place of the shipped ledger.")
@click.option("--report-dir", type=click.Path(), default=REPORT_DIR, metavar="DIR", help="Where the report goes.")
@history_option
@click.option("--no-report", is_flag=True, help="Write no files.")
@asking_options
@click.option("-q", "--quiet", is_flag=True, help="Print only failures and the verdict.")
@click.option("-v", "--verbose", is_flag=True, help="Print everything that is not correct.")
@click.pass_context
def check(
    ctx: click.Context, backend: str, expression: str | None, ops: tuple[str, ...], dtypes: tuple[str, ...],
    profile: str, max_time: float | None, seed: int | None, jobs: int | None, legs: tuple[str, ...],
    strict_accuracy: bool, ledger: str | None, report_dir: str, past: str, no_report: bool,
    question_timeout: float, memory: int, in_process: bool, quiet: bool, verbose: bool,
) -> int:  # fmt: skip
    """Judge BACKEND: a shipped name, module, module:attribute or path.py.

    With @ENV after it, it is asked in another environment (a folder, or a python); with ==VERSION, in one made for a release.
    """
    quiet, verbose = one_of(ctx, "quiet", "verbose", "-q says less and -v says more")
    no_report, _ = one_of(ctx, "no_report", "report_dir", "--no-report writes nothing, and --report-dir says where to")
    from adjudge.suite.settings import Settings

    settings = Settings(
        backend, profile, (), dtypes, seed, max_time, jobs,
        tuple(dict.fromkeys(("balls", *legs))), ledger, strict_accuracy, question_timeout, memory, in_process,
    )  # fmt: skip
    if in_process:
        os._exit = _ended_by_the_library  # type: ignore[assignment]
    try:
        loaded = settings.load(tell, meanwhile=lambda: import_module("adjudge.cli.running"))
    except BackendError as problem:
        refuse(str(problem))
    from .folders import history_folder, report_folder
    from .running import judge_all

    judged = loaded[0]
    settings = replace(settings, ops=_selected(ops, expression), dtypes=_dtypes(dtypes, judged))
    if ledger is not None:
        ledger_of(ledger, judged.name)
    folder = None if no_report else report_folder(Path(report_dir))
    history_folder(ctx)
    return judge_all(settings, loaded, folder, Path(past), strict_accuracy, int(verbose) - int(quiet))


def _ended_by_the_library(status: int) -> None:
    """In place of `os._exit`: a library in this process must not end it as if there had been a verdict."""
    raise SystemExit(status)


def _dtypes(wanted: tuple[str, ...], backend: Backend) -> tuple[str, ...]:
    has = backend.dtypes
    for dtype in wanted:
        if dtype not in has:
            refuse(f"backend {backend.name} has no dtype {dtype!r}; it has {', '.join(has)}")
    return tuple(dict.fromkeys(wanted))


def _selected(ops: tuple[str, ...], expression: str | None) -> tuple[str, ...]:
    """The rows that --op and -k leave; none where neither is given, which means all."""
    every = {row["op"]: tuple(row.values()) for row in list_ops()}
    for op in ops:
        if op not in every:
            refuse(f"there is no op {op!r}{near(op, every, '`adjudge list ops` shows all')}")
    if expression is None:
        return tuple(dict.fromkeys(ops))
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
        chosen = tuple(op for op, names in every.items() if (not ops or op in ops) and _holds(tree, names))
    except (SyntaxError, ValueError):
        refuse(f"-k {expression!r} is no expression: names, 'and', 'or', 'not' and parentheses make one")
    if not chosen:
        among = " among those that --op names" if ops else "; `adjudge list ops` shows all"
        refuse(f"-k {expression!r} matches no op{among}")
    return chosen


def _holds(tree: ast.expr, names: Sequence[str]) -> bool:
    """Whether an expression of name parts holds for an op's names."""
    match tree:
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_holds(v, names) for v in values)
        case ast.BoolOp(op=ast.Or(), values=values):
            return any(_holds(v, names) for v in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _holds(operand, names)
        case ast.Name(id=part):
            return any(part in name for name in names)
    raise ValueError(ast.dump(tree))
