"""`adjudge list` and `adjudge doctor`: what there is, and what is installed here."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Any

import click

from adjudge.backends import BackendError, installed, isolate
from adjudge.oracle.judge import FAILING, VERDICTS

from .command import PASSED, a_name

__all__ = ["doctor", "list_command", "list_ops"]


@click.command("list")
@click.argument("what", type=a_name("list", "ops", "backends", "verdicts"))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_command(what: str, as_json: bool) -> int:
    """List WHAT there is: ops, backends or verdicts."""
    rows = {"ops": list_ops, "backends": _list_backends, "verdicts": _list_verdicts}[what]()
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return PASSED
    width = max(len(str(next(iter(row.values())))) for row in rows)
    for row in rows:
        first, *rest = row.values()
        click.echo(f"{first:{width}}  {'  '.join(str(x) for x in rest if x not in ('', None))}")
    return PASSED


def list_ops() -> list[dict[str, Any]]:
    """All rows, with their families."""
    from adjudge.suite.tasks import family, selected

    return [{"op": op, "family": family(op)} for op in selected(())]


def _list_backends() -> list[dict[str, Any]]:
    return [{"backend": name, "version": number or "not installed"} for name, number in installed().items()]


def _list_verdicts() -> list[dict[str, Any]]:
    return [{"verdict": v, "meaning": m, "gate": "fails the gate" if v in FAILING else ""} for v, m in VERDICTS.items()]


#: The libraries that adjudge itself is built on.
FOUNDATIONS = ("numpy", "python-flint", "scipy", "hypothesis", "pydantic", "click", "rich", "packaging")


@click.command()
def doctor() -> int:
    """Show versions, plugins that clash, and threads."""
    from adjudge.records.environment import environment

    place = environment()
    click.echo(f"adjudge {version('adjudge')}, Python {place.python}, {place.platform}")
    click.echo("stands on: " + ", ".join(f"{name} {_installed(name)}" for name in FOUNDATIONS))
    for name, number in installed().items():
        click.echo(f"backend {name}: " + (_imports(name) if number else "not installed"))
    for group, where in (("hypothesis", "in every process that imports Hypothesis"), ("pytest11", "in pytest alone")):
        plugins = sorted({e.dist.name for e in entry_points(group=group) if e.dist is not None})
        click.echo(f"plugins loaded {where}: {', '.join(plugins) or 'none'}")
    click.echo(f"Hypothesis' counterexamples: {_counterexamples()}")
    threads = ", ".join(f"{k}={v}" for k, v in place.threads.items())
    click.echo(f"cores: {place.cores}; BLAS: {place.blas or 'unknown'}; threads: {threads or 'not limited'}")
    if not threads and (place.cores or 1) > 1:
        click.echo(
            "advice: `check` runs one process per core, and each may start as many threads; OMP_NUM_THREADS=1 limits them"
        )
    return PASSED


def _installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "MISSING"


def _imports(name: str) -> str:
    try:
        return ", ".join(f"{package} {number}" for package, number in isolate(name).versions().items())
    except BackendError as problem:
        return str(problem)


def _counterexamples() -> str:
    """Whether Hypothesis still shows them: another library's plugin can blank them."""
    from hypothesis import Phase, given, settings
    from hypothesis import strategies as st

    @settings(database=None, max_examples=5, phases=(Phase.generate,))
    @given(st.just("shown"))
    def fail(word: str) -> None:
        raise ArithmeticError(word)

    try:
        fail()
    except ArithmeticError as problem:
        shown = any("word='shown'" in note for note in getattr(problem, "__notes__", ()))
        return "shown" if shown else "blanked by a plugin; adjudge keeps its own as data, so none is lost"
    return "not found: Hypothesis runs no tests here"
