"""The command `adjudge`: what users type, what they are told, and with which status it ends."""

from __future__ import annotations

import ast
import json
import os
import sys
import time
import tomllib
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from . import __version__
from .backends import SHIPPED, BackendError, check_spellings, installed, load
from .oracle.blame import blame
from .oracle.judge import FAILING, VERDICTS, Judgement
from .oracle.program import ProgramError
from .reports.case import Case, case_from_json, read_case, write_case
from .reports.ci import JUNIT, MARKDOWN, write_for_ci
from .reports.compare import compare as compared
from .reports.compare import headline, worse
from .reports.conformance import PAGE, Run, conformance_page
from .reports.dashboard import DASHBOARD, dashboard
from .reports.histories import HistoryCase, history_script
from .reports.history import HISTORY, HistoryError, append, history
from .reports.ledger import Ledger, LedgerError, shipped_ledger
from .reports.records import FILE, PREVIOUS, Records, RecordsError, Summary, read_records, summarise
from .reports.report import REPORT, report_tree, write_report
from .reports.script import ScriptError, script
from .reports.sentences import failure_sentence, ledger_sentence
from .reports.terminal import Terminal, make_console, witness_table

__all__ = ["main"]

#: Exit statuses, as the interface has them.
PASSED, FAILED, NO_VERDICT, SKIPPED, INTERRUPTED = 0, 1, 2, 125, 130
REPORT_DIR = "adjudge-report"
#: The name of the file that benchmarks' records go to, in a report folder.
BENCH_FILE = "bench.ndjson"


class Refusal(click.ClickException):
    """What was asked makes no sense, or cannot be done: one sentence, status 2."""

    exit_code = NO_VERDICT


def _refuse(sentence: str) -> NoReturn:
    raise Refusal(sentence)


def _listed(names: Iterable[str]) -> str:
    return "there are " + ", ".join(names)


def _near(value: str, choices: Iterable[str], otherwise: str = "") -> str:
    """What to say after "there is no …": the nearest that there is, or where to look."""
    close = get_close_matches(value, list(choices), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; {otherwise}" if otherwise else ""


class Commands(click.Group):
    """Commands that end with the status they return, and say what is wrong with the input in one sentence."""

    def main(
        self, args: Sequence[str] | None = None, prog_name: str | None = None, complete_var: str | None = None,
        standalone_mode: bool = True, **more: Any,
    ) -> NoReturn:  # fmt: skip
        """Run, and leave the process."""
        try:
            status = super().main(args, prog_name, complete_var, standalone_mode=False, **more)
        except click.exceptions.NoArgsIsHelpError as problem:
            problem.show()
            status = NO_VERDICT
        except click.ClickException as problem:
            click.echo("adjudge: " + " ".join(problem.format_message().split()), err=True)
            status = problem.exit_code
        except click.Abort:
            status = INTERRUPTED
        except Exception:  # a defect of ours is no verdict on the backend
            traceback.print_exc()
            status = NO_VERDICT
        sys.exit(status if isinstance(status, int) else PASSED)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click has it, with the nearest name where there is none."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            names = self.list_commands(ctx)
            _refuse(f"there is no command {args[0]!r}{_near(args[0], names, _listed(names))}")
        return super().resolve_command(ctx, args)


def _name(what: str, *choices: str) -> Callable[[str], str]:
    """An option's type: a name out of some choices."""

    def name(value: str) -> str:
        if value not in choices:
            _refuse(f"there is no {what} {value!r}{_near(value, choices, _listed(choices))}")
        return value

    return name


def _names(what: str, *choices: str) -> Callable[[Any], tuple[str, ...]]:
    """An option's type: such names with commas between them, or a list of them."""
    one = _name(what, *choices)

    def names(value: Any) -> tuple[str, ...]:
        parts = [one(part.strip()) for part in (value.split(",") if isinstance(value, str) else value)]
        return tuple(c for c in choices if c in parts)

    return names


# -- settings from pyproject.toml ----------------------------------------------------------------------------------------------


def _configured(group: click.Group) -> dict[str, Any]:
    """The defaults that [tool.adjudge] of the nearest pyproject.toml gives to each command's options."""
    file = next((f for folder in (Path.cwd(), *Path.cwd().parents) if (f := folder / "pyproject.toml").is_file()), None)
    if file is None:
        return {}
    try:
        table = tomllib.loads(file.read_text("utf-8")).get("tool", {}).get("adjudge", {})
    except (OSError, ValueError) as problem:
        _refuse(f"{file} cannot be read: {problem}")
    options = dict(_options(group))
    for key, value in table.items():
        if key not in options:
            _refuse(f"{file}: [tool.adjudge] has no option {key!r}{_near(key, options, _listed(sorted(options)))}")
        rule, fits = _kind_of(options[key])
        if not fits(value):
            _refuse(f"{file}: [tool.adjudge] {key} must be {rule}, not {value!r}")
    return _defaults(group, {options[key].name: value for key, value in table.items()})


def _options(group: click.Group) -> Iterator[tuple[str, click.Option]]:
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from _options(command)
        for param in command.params:
            if isinstance(param, click.Option):
                yield from ((name[2:], param) for name in param.opts if name.startswith("--"))


def _kind_of(option: click.Option) -> tuple[str, Callable[[Any], bool]]:
    """What may stand for an option in TOML, in words and as a test."""
    if option.is_flag:
        return "true or false", lambda v: isinstance(v, bool)
    if option.multiple or option.type.name == "names":
        return "a list of names", lambda v: isinstance(v, list) and all(isinstance(x, str) for x in v)
    if isinstance(option.type, click.types.IntParamType):
        return "a whole number", lambda v: type(v) is int
    if isinstance(option.type, click.types.FloatParamType):
        return "a number", lambda v: type(v) in (int, float)
    return "text", lambda v: isinstance(v, str)


def _defaults(group: click.Group, values: Mapping[str | None, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            out[name] = _defaults(command, values)
        else:
            out[name] = {p.name: values[p.name] for p in command.params if isinstance(p, click.Option) and p.name in values}
    return out


@click.group("adjudge", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="adjudge")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Judge automatic differentiation: certified truth, derived allowances."""
    ctx.default_map = _configured(main)


# -- check ---------------------------------------------------------------------------------------------------------------------


LEGS = ("balls", "series", "differences", "jax")


@main.command(short_help="Judge a backend.")
@click.argument("backend")
@click.option("-k", "expression", metavar="EXPR", help="Ops whose name or family contains this; and, or, not, ( ) go.")
@click.option("--op", "ops", metavar="NAME", multiple=True, help="Only this op; may be repeated.")
@click.option("--dtype", "dtypes", metavar="D", multiple=True, help="Only this float dtype; may be repeated.")
@click.option("--profile", type=_name("profile", "quick", "ci", "nightly"), default="ci", help="How much: quick, ci, nightly.")
@click.option("--max-time", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Ask nothing more after S seconds.")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="What to draw from.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Processes; one a core by default.")
@click.option("--legs", type=_names("leg", *LEGS), default=LEGS, metavar=",".join(LEGS), help="Which legs judge.")
@click.option("--strict-accuracy", is_flag=True, help="Loss of digits fails the gate.")
@click.option("--ledger", type=click.Path(), metavar="FILE", help="Known deviations, in place of the shipped ledger.")
@click.option("--report-dir", type=click.Path(), default=REPORT_DIR, metavar="DIR", help="Where the report goes.")
@click.option(
    "--history", "past", type=click.Path(), default=str(HISTORY), metavar="DIR", help="Append the run to the history there."
)
@click.option("--no-report", is_flag=True, help="Write no files.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what fails, and the verdict.")
@click.option("-v", "--verbose", is_flag=True, help="Say everything that is not correct.")
@click.pass_context
def check(
    ctx: click.Context, backend: str, expression: str | None, ops: tuple[str, ...], dtypes: tuple[str, ...],
    profile: str, max_time: float | None, seed: int | None, jobs: int | None, legs: tuple[str, ...],
    strict_accuracy: bool, ledger: str | None, report_dir: str, past: str, no_report: bool, quiet: bool, verbose: bool,
) -> int:  # fmt: skip
    """Judge BACKEND: a shipped name, module, module:attribute or path.py."""
    quiet, verbose = _one_of(ctx, "quiet", "verbose", "-q says less and -v says more")
    no_report, _ = _one_of(ctx, "no_report", "report_dir", "--no-report writes nothing, and --report-dir says where to")
    judged = _backend(backend)
    if ledger is not None:
        _ledger(ledger, judged.name)
    from .examine import Settings

    settings = Settings(
        backend, profile, _selected(ops, expression), _dtypes(dtypes, judged), seed, max_time, jobs,
        tuple(dict.fromkeys(("balls", *legs))), ledger, strict_accuracy,
    )  # fmt: skip
    folder = None if no_report else _report_folder(Path(report_dir))
    _history_folder(ctx)
    return _judge_all(settings, judged, folder, Path(past), strict_accuracy, int(verbose) - int(quiet))


def _one_of(ctx: click.Context, first: str, second: str, sentence: str) -> tuple[bool, bool]:
    """Two options that contradict each other: what is typed outdoes what is configured, and both at one place is an error."""
    sources = [ctx.get_parameter_source(name) for name in (first, second)]
    given = [
        s not in (None, ParameterSource.DEFAULT) and bool(ctx.params[n]) for s, n in zip(sources, (first, second), strict=True)
    ]
    if all(given):
        if sources[0] == sources[1]:
            _refuse(f"{sentence}: only one of them can be")
        typed = [s == ParameterSource.COMMANDLINE for s in sources]
        return typed[0], typed[1]
    return given[0], given[1]


def _backend(spec: str) -> Any:
    try:
        judged = load(spec)
        check_spellings(judged)
    except BackendError as problem:
        _refuse(str(problem))
    return judged


def _ledger(path: str | None, backend: str) -> Ledger:
    try:
        return Ledger.read(path) if path is not None else shipped_ledger(backend)
    except LedgerError as problem:
        _refuse(str(problem))


def _dtypes(wanted: tuple[str, ...], backend: Any) -> tuple[str, ...]:
    has = tuple(getattr(backend, "dtypes", ("float64", "float32")))
    for dtype in wanted:
        if dtype not in has:
            _refuse(f"backend {backend.name} has no dtype {dtype!r}; it has {', '.join(has)}")
    return tuple(dict.fromkeys(wanted))


def _selected(ops: tuple[str, ...], expression: str | None) -> tuple[str, ...]:
    """The rows that --op and -k leave; none where neither is given, which means all."""
    every = {row["op"]: tuple(row.values()) for row in _list_ops()}
    for op in ops:
        if op not in every:
            _refuse(f"there is no op {op!r}{_near(op, every, '`adjudge list ops` shows all')}")
    if expression is None:
        return tuple(dict.fromkeys(ops))
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
        chosen = tuple(op for op, names in every.items() if (not ops or op in ops) and _holds(tree, names))
    except (SyntaxError, ValueError):
        _refuse(f"-k {expression!r} is no expression: names, 'and', 'or', 'not' and parentheses make one")
    if not chosen:
        among = " among those that --op names" if ops else "; `adjudge list ops` shows all"
        _refuse(f"-k {expression!r} matches no op{among}")
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


def _report_folder(folder: Path) -> Path:
    try:
        (folder / "cases").mkdir(parents=True, exist_ok=True)
        with open(folder / FILE, "ab"):
            pass
    except OSError as problem:
        _refuse(f"the report cannot be written to {folder}: {problem.strerror}; --report-dir names another place")
    return folder


def _judge_all(settings: Any, judged: Any, folder: Path | None, past: Path, strict: bool, verbosity: int) -> int:
    """Run, record, report, remember; the status."""
    from . import suite

    summary, began = Summary(), time.monotonic()
    if folder is not None:
        _set_aside(folder)
    records = Records(folder / FILE, anew=True) if folder is not None else None
    terminal = Terminal(make_console(), summary, verbosity)
    notes: list[str] = []

    def emit(record: dict[str, Any]) -> None:
        if folder is not None and record["kind"] in ("failure", "disagreement"):
            note = _keep(record, settings.backend, judged, folder)
            if note and note not in notes:
                notes.append(note)
        if records is not None:
            records.append(record)
        summary.add(record)
        terminal.record(record)

    gone = ""
    try:
        with terminal:
            suite.run(settings, emit)
    except KeyboardInterrupt:
        if not summary.end:
            emit({"kind": "end", "seconds": time.monotonic() - began, "interrupted": True})
    except BackendError as problem:
        gone = str(problem)
    finally:
        if records is not None:
            records.close()
    said = _written(folder, summary, strict) if folder is not None else []
    if folder is not None and summary.header:
        notes += _remembered(past, read_records(folder).records)
    terminal.close(strict=strict, folder=folder)
    for line in said:
        click.echo(line)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if gone:
        _refuse(gone)
    return summary.status(strict)


def _history_folder(ctx: click.Context) -> None:
    """Make sure, before anything is asked, that there is a place where the user wants the history."""
    folder = Path(ctx.params["past"])
    try:
        if ctx.get_parameter_source("past") == ParameterSource.COMMANDLINE:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        _refuse(f"the history cannot be written to {folder}: {problem.strerror}; --history names another place")


def _remembered(past: Path, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Append a run to a history; what is to be said. A history that cannot be written is no reason to lose the verdict."""
    try:
        if past == HISTORY:
            from .examine import private

            private()
        return append(past, records)
    except (OSError, HistoryError) as problem:
        return [f"the run is not in the history: {problem}"]


def _set_aside(folder: Path) -> None:
    """Keep the records of the run before, to tell what changed; what was written of it is of no run any more."""
    if (folder / FILE).stat().st_size:
        os.replace(folder / FILE, folder / PREVIOUS)
    for name in (PAGE, REPORT, JUNIT, MARKDOWN):
        (folder / name).unlink(missing_ok=True)


def _before(folder: Path, summary: Summary) -> tuple[Summary | None, list[str]]:
    """The run before in the same folder, if it asked the same backend; and what is to be said of its records."""
    if not (folder / PREVIOUS).is_file():
        return None, []
    try:
        reading = read_records(folder / PREVIOUS)
    except RecordsError as problem:
        return None, [f"The run before cannot be compared with: {problem}."]
    found = summarise(reading.records)
    same = found.header.get("backend") == summary.header.get("backend")
    return (found, [f"{reading.torn}."] if reading.torn else []) if same else (None, [])


def _written(folder: Path, summary: Summary, strict: bool) -> list[str]:
    """Write the report's files; what is to be printed for the continuous integration that runs this."""
    before, notes = _before(folder, summary)
    write_report(folder, report_tree(summary, strict=strict))
    page = conformance_page([Run(summary, strict, before, notes, folder)])
    (folder / PAGE).write_text(page, "utf-8")
    return write_for_ci(folder, summary, strict=strict)


def _keep(record: Mapping[str, Any], spec: str, judged: Any, folder: Path) -> str:
    """Write a record's case, with a script where a failure's backend knows how; what is to be said of that."""
    case, text, note = replace(case_from_json(record["case"]), spec=spec), None, ""
    if record["kind"] == "failure":
        try:
            text = _scripted(case, judged)
            note = "" if text else f"{_unwritten(judged)}: cases have no scripts"
        except ScriptError as problem:
            note = str(problem)
    write_case(folder / "cases", case, text)
    return note


# -- report and compare --------------------------------------------------------------------------------------------------------


@main.command(short_help="Pages from records, or from the history.")
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
    if not runs and past is None:
        _refuse("there is nothing to report on: give RUNs, such as adjudge-report, or --history")
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
        _refuse(str(problem))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    except OSError as problem:
        _refuse(f"the page cannot be written to {folder}: {problem.strerror}; -o names another place")
    click.echo(f"page: {folder / name}")


def _dashboard(folder: Path) -> str:
    with history(folder) as found:
        for note in found.notes:
            click.echo(f"note: {note}", err=True)
        return dashboard(found)


def _run(path: Path) -> Run:
    """What a report folder or a records file holds."""
    try:
        reading = read_records(path)
    except RecordsError as problem:
        _refuse(str(problem))
    summary, folder = summarise(reading.records), path if path.is_dir() else path.parent
    before, notes = _before(folder, summary) if path.name != PREVIOUS else (None, [])
    strict = bool(summary.header.get("strict_accuracy"))
    return Run(summary, strict, before, [*([f"{reading.torn}."] if reading.torn else []), *notes], folder)


@main.command(short_help="What changed between two runs.")
@click.argument("run_a")
@click.argument("run_b")
def compare(run_a: str, run_b: str) -> int:
    """Say only what changed from RUN_A to RUN_B: report folders, or records files.

    Status 0 if nothing got worse, 1 if something did.
    """
    before, after = _run(Path(run_a)), _run(Path(run_b))
    for run, name in ((before, run_a), (after, run_b)):
        if not run.summary.judged:
            _refuse(f"nothing was judged in {name}: there is nothing to compare")
        for note in run.notes:
            click.echo(f"note: {note}", err=True)
    changes = compared(before.summary, after.summary)
    about = ""
    for change in changes:
        if change.about != about:
            about = change.about
            click.echo(f"{about}:")
        click.echo(f"  {change.turn + ': ' if change.turn else ''}{change.sentence}")
    click.echo(headline(changes))
    return FAILED if worse(changes) else PASSED


# -- replay and explain --------------------------------------------------------------------------------------------------------


def _cases(name: str, folder: Path) -> list[Case | HistoryCase]:
    """The cases that the user means: a file, "all" of a report, or an id in a report or a shipped ledger."""
    try:
        if name == "all":
            found = [read_case(path) for path in sorted(folder.glob("*.json"))]
            return found or _refuse(f"there are no cases in {folder}; `adjudge check` puts them there")
        if name.endswith(".json") or os.sep in name:
            return [read_case(Path(name))]
        if (folder / f"{name}.json").is_file():
            return [read_case(folder / f"{name}.json")]
        shipped = {e.id: (backend, e) for backend in SHIPPED for e in shipped_ledger(backend).entries}
    except (ProgramError, LedgerError) as problem:
        _refuse(str(problem))
    for backend, e in shipped.values():
        if name in (e.id, e.question.id):
            return [Case(e.id, backend, e.question, e.verdict, e.op, e.where[0], e.reason, spec=backend)]
    departures = {e.id: (backend, e) for backend in SHIPPED for e in shipped_ledger(backend).departures}
    if name in departures:
        backend, known = departures[name]
        return [HistoryCase(name, backend, known.snippet, "contract", reason=known.reason, spec=backend)]
    ids = [*(path.stem for path in folder.glob("*.json")), *shipped, *departures]
    _refuse(f"there is no case {name!r} in {folder} or in a shipped ledger{_near(name, ids)}")


def _asked(case: Case | HistoryCase, spec: str | None) -> Any:
    """The backend that a case is put to."""
    judged = _backend(spec or case.spec)
    if isinstance(case, HistoryCase):
        if getattr(judged, "tensors", None) is None:
            _refuse(f"backend {judged.name} has no tensors of the kind that case {case.id} is about")
        return judged
    supports = getattr(judged, "supports", None)
    for op in case.question.program.ops:
        if supports is not None and not supports(op):
            _refuse(f"backend {judged.name} has no op {op!r}, which case {case.id} uses")
    return judged


def _record(case: Case, judgement: Judgement) -> dict[str, Any]:
    """What a sentence needs to know of a judgement."""
    program, worst = judgement.question.program, judgement.worst
    alone = len(program.steps) == 1
    record = {"op": program.steps[0].op if alone else "composition", "blamed": None if alone else case.blamed}
    more = {"dtype": program.working_dtype.name, "steps": len(program.steps), "verdict": judgement.verdict}
    return {**record, **more, **(vars(worst) if worst is not None else {})}


def _departed(case: HistoryCase, judged: Any) -> tuple[int, str, HistoryCase]:
    """A history's status, the sentence about it, and the case as it is now."""
    from .oracle.history import replay

    departure = replay(judged.tensors, case.lines)
    if departure is None:
        version = " ".join(next(iter(judged.versions().items()), ("", "")))
        return PASSED, f"{case.id} no longer fails with {version}: the reference agrees (it was {case.verdict})", case
    now = HistoryCase.of(departure, judged.name, judged.versions(), id=case.id, spec=case.spec)
    return FAILED, f"{case.id} still fails: {judged.name}: {departure.verdict}: {departure.reason}", now


def _replayed(case: Case, judged: Any) -> tuple[int, str, Judgement]:
    """A case's status, the sentence about it, and the judgement."""
    from .examine import replay

    judgement = replay(case.question, judged)
    if judgement.failed or judgement.verdict == case.verdict != "correct":
        return FAILED, f"{case.id} still fails: {failure_sentence(_record(case, judgement), judged.name)}", judgement
    if judgement.verdict in ("undecided", "unsupported"):
        reason = judgement.worst.reason if judgement.worst else ""
        return NO_VERDICT, f"{case.id} cannot be judged with {judged.name}: {judgement.verdict}: {reason}", judgement
    version = next(iter(judged.versions().items()), ("", ""))
    said = VERDICTS[judgement.verdict] if judgement.verdict != "lossy" else "only digits are lost"
    return PASSED, f"{case.id} no longer fails with {' '.join(version)}: {said} (it was {case.verdict})", judgement


@main.command(short_help="Ask stored questions again.")
@click.argument("case")
@click.option("--backend", metavar="B", help="Ask this backend, not the one that the case is of.")
@click.option("--script", "as_script", is_flag=True, help="Print the case as a stand-alone script.")
@click.option("--for-bisect", is_flag=True, help="Status 125 where this version cannot be judged, for `git bisect run`.")
@click.option("--report-dir", type=click.Path(), default=REPORT_DIR, metavar="DIR", help="Where ids are looked up.")
def replay(case: str, backend: str | None, as_script: bool, for_bisect: bool, report_dir: str) -> int:
    """Ask a stored question again: CASE is a file, an id, or "all" of the report.

    Status 0 if nothing fails any more, 1 if something still does, 2 if it cannot be judged.
    """
    try:
        if as_script and (for_bisect or case == "all"):
            _refuse(f"--script prints one case, and {'--for-bisect asks it' if for_bisect else 'all are many'}")
        statuses = [_replay_one(c, backend, as_script, many=case == "all") for c in _cases(case, Path(report_dir) / "cases")]
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


def _replay_one(case: Case | HistoryCase, spec: str | None, as_script: bool, many: bool) -> int:
    try:
        judged = _asked(case, spec)
    except Refusal as problem:
        if not many:
            raise
        click.echo(f"{case.id} cannot be judged: {problem.format_message()}")
        return NO_VERDICT
    if as_script:
        click.echo(_script(case, judged), nl=False)
        return PASSED
    status, sentence, _ = _departed(case, judged) if isinstance(case, HistoryCase) else _replayed(case, judged)
    click.echo(sentence)
    return status


def _scripted(case: Case | HistoryCase, judged: Any) -> str | None:
    """A case as a script, where the backend says how."""
    if isinstance(case, Case):
        return script(case, judged)
    library = getattr(getattr(judged, "tensors", None), "__name__", None)
    return None if library is None else history_script(case if case.expected else _departed(case, judged)[2], library)


def _script(case: Case | HistoryCase, judged: Any) -> str:
    try:
        text = _scripted(case, judged)
    except ScriptError as problem:
        _refuse(str(problem))
    return text or _refuse(f"{_unwritten(judged)}: there is no script")


def _unwritten(judged: Any) -> str:
    return f"backend {judged.name} does not say how its programs are written (SCRIPT)"


@main.command(short_help="What every leg says of a case.")
@click.argument("case")
@click.option("--backend", metavar="B", help="Ask this backend, not the one that the case is of.")
@click.option("--report-dir", type=click.Path(), default=REPORT_DIR, metavar="DIR", help="Where ids are looked up.")
def explain(case: str, backend: str | None, report_dir: str) -> int:
    """Show what every leg says of a case, which step is to blame, and the case as a script."""
    from .examine import witnesses

    if case == "all":
        _refuse("explain takes one case; `adjudge replay all` takes them all")
    (found,) = _cases(case, Path(report_dir) / "cases")
    judged = _asked(found, backend)
    console = make_console()
    if isinstance(found, HistoryCase):
        status, sentence, now = _departed(found, judged)
        console.print(sentence)
        console.print("\n" + "\n".join(now.lines) + "\n", soft_wrap=True)
        console.print(f"{judged.name} stands against the reference; no other leg has tensors of this kind.")
        console.print(f"\nAs a script:\n\n{_script(now, judged)}", soft_wrap=True)
        return status
    status, sentence, judgement = _replayed(found, judged)
    console.print(sentence)
    console.print(f"\n{found.question.program}\n", soft_wrap=True)
    console.print(witness_table(w.to_json() for w in witnesses(judgement, judged)))
    if status == FAILED:
        blamed = blame(judgement, judged)
        console.print(f"\nTo blame: {blamed.op} ({blamed.note}).")
        if blamed.alone is not None and len(found.question.program.steps) > 1:
            console.print(f"\nThat step alone:\n{blamed.alone.program}", soft_wrap=True)
    if getattr(judged, "SCRIPT", None) is not None:
        console.print(f"\nAs a script:\n\n{_script(found, judged)}", soft_wrap=True)
    else:
        console.print(f"\nThere is no script: {_unwritten(judged)}.")
    return status


# -- bench ---------------------------------------------------------------------------------------------------------------------


@main.command(short_help="Time backprop, or gate on its speed.")
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
    from .bench.cases import OPS
    from .bench.run import run, status
    from .bench.sides import Side, default_sides
    from .reports.timings import Timings

    for op in ops:
        if op not in OPS:
            _refuse(f"no benchmark is of op {op!r}{_near(op, OPS, _listed(OPS))}")
    if gate is not None and not 1 <= len(backends) <= 2:
        _refuse(f"--gate compares one backend with another, or with itself: {len(backends)} are given")
    try:
        sides = [Side.of(spec) for spec in backends] or default_sides()
    except BackendError as problem:
        _refuse(str(problem))
    if gate is not None and len(sides) == 1:
        sides *= 2
    try:
        records, kept = Records(Path(report_dir) / BENCH_FILE, anew=True), list[dict[str, Any]]()
    except OSError as problem:
        _refuse(f"the records cannot be written to {report_dir}: {problem.strerror}; --report-dir names another place")
    _history_folder(ctx)
    timings = Timings(make_console())

    def emit(record: dict[str, Any]) -> None:
        records.append(record)
        kept.append(record)
        timings.record(record)

    try:
        run(sides, ops, gate, emit)
    finally:
        records.close()
        notes = _remembered(Path(past), kept) if kept else []
    for note in notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"records: {Path(report_dir) / BENCH_FILE}")
    return status(kept)


# -- ledger --------------------------------------------------------------------------------------------------------------------


@main.group(cls=Commands)
def ledger() -> None:
    """Known deviations of a backend."""


@ledger.command("list")
@click.argument("backend")
@click.option("--ledger", "path", type=click.Path(), metavar="FILE", help="This ledger, in place of the shipped one.")
def ledger_list(backend: str, path: str | None) -> int:
    """What is known of BACKEND, and whether it applies to the version that is installed."""
    judged = _backend(backend)
    current = next(iter(judged.versions().values()), "0")
    for e in _ledger(path, judged.name).entries:
        here = "" if e.applies(current) else f" (not {current})"
        what = f"{e.id}: {', '.join(e.ops)} is {' or '.join(e.verdicts)} in the {' or '.join(e.where)}"
        click.echo(f"{what}, {e.versions or 'all versions'}{here}: {e.reason}")
    for known in _ledger(path, judged.name).departures:
        here = "" if known.applies(current) else f" (not {current})"
        aspects = " or ".join(sorted({aspect for mark in known.when for aspect in mark.aspects}))
        click.echo(f"{known.id}: tensors depart in {aspects}, {known.versions or 'all versions'}{here}: {known.reason}")
    return PASSED


@ledger.command("check")
@click.argument("backend")
@click.option("--ledger", "path", type=click.Path(), metavar="FILE", help="This ledger, in place of the shipped one.")
def ledger_check(backend: str, path: str | None) -> int:
    """Replay every entry's case: status 1 if one does not fail as it says, or does not explain its own case."""
    from .examine import Examiner, Settings

    judged = _backend(backend)
    found = _ledger(path, judged.name)
    examiner = Examiner(Settings(backend, legs=("balls",), ledger=path))
    records = {record["id"]: record for record in examiner.ledger_records()}
    if not records:
        _refuse(f"no ledger entry of backend {judged.name} applies to its version {examiner.version}")
    known: list[Any] = [*found.entries, *found.departures]
    for e in known:
        said = f"it is about {e.versions}, and this is {examiner.version}"
        click.echo(ledger_sentence(records.get(e.id, {"id": e.id, "state": "not judged", "reason": e.reason, "said": said})))
    return FAILED if any(r["state"] in ("no longer fails", "fails otherwise") for r in records.values()) else PASSED


# -- list and doctor -----------------------------------------------------------------------------------------------------------


@main.command("list")
@click.argument("what", type=_name("list", "ops", "backends", "verdicts"))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_command(what: str, as_json: bool) -> int:
    """List WHAT there is: ops, backends or verdicts."""
    rows = {"ops": _list_ops, "backends": _list_backends, "verdicts": _list_verdicts}[what]()
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return PASSED
    width = max(len(str(next(iter(row.values())))) for row in rows)
    for row in rows:
        first, *rest = row.values()
        click.echo(f"{first:{width}}  {'  '.join(str(x) for x in rest if x not in ('', None))}")
    return PASSED


def _list_ops() -> list[dict[str, Any]]:
    from . import suite

    return [{"op": op, "family": suite.family(op)} for op in suite.selected(())]


def _list_backends() -> list[dict[str, Any]]:
    return [{"backend": name, "version": found or "not installed"} for name, found in installed().items()]


def _list_verdicts() -> list[dict[str, Any]]:
    return [{"verdict": v, "meaning": m, "gate": "fails the gate" if v in FAILING else ""} for v, m in VERDICTS.items()]


#: What adjudge itself stands on.
FOUNDATIONS = ("numpy", "python-flint", "scipy", "hypothesis", "click", "rich", "packaging")


@main.command()
def doctor() -> int:
    """Show versions, plugins that clash, and threads."""
    from . import suite

    place = suite.environment()
    click.echo(f"adjudge {__version__}, Python {place['python']}, {place['platform']}")
    click.echo("stands on: " + ", ".join(f"{name} {_installed(name)}" for name in FOUNDATIONS))
    for name, found in installed().items():
        click.echo(f"backend {name}: " + (_imports(name) if found else "not installed"))
    for group, where in (("hypothesis", "in every process that imports Hypothesis"), ("pytest11", "in pytest alone")):
        plugins = sorted({e.dist.name for e in entry_points(group=group) if e.dist is not None})
        click.echo(f"plugins loaded {where}: {', '.join(plugins) or 'none'}")
    click.echo(f"Hypothesis' counterexamples: {_counterexamples()}")
    threads = ", ".join(f"{k}={v}" for k, v in place["threads"].items())
    click.echo(f"cores: {place['cores']}; BLAS: {place['blas'] or 'unknown'}; threads: {threads or 'not bounded'}")
    if not threads and (place["cores"] or 1) > 1:
        click.echo("advice: `check` runs a process a core, and each may start as many threads: OMP_NUM_THREADS=1 bounds them")
    return PASSED


def _installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "MISSING"


def _imports(name: str) -> str:
    try:
        return ", ".join(f"{package} {number}" for package, number in load(name).versions().items())
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
