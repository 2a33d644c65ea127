"""How commands are read: one sentence for a mistake, the nearest name, defaults from pyproject.toml, what commands share."""

from __future__ import annotations

import errno
import io
import os
import re
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from adjudge.backends import MEMORY, QUESTION_TIMEOUT, Backend, BackendError, Limits, isolate, load
from adjudge.records.places import HISTORY
from adjudge.records.text import visible

if TYPE_CHECKING:
    from adjudge.records.ledger import Ledger

__all__ = [
    "FAILED", "INTERRUPTED", "NO_VERDICT", "PASSED", "REPORT_DIR", "SKIPPED", "Commands", "Refusal", "a_name", "asking_options",
    "backend_of", "configured", "history_option", "ledger_of", "listed", "near", "one_of", "refuse", "some_names", "tell",
]  # fmt: skip

#: Exit statuses, as the interface has them.
PASSED, FAILED, NO_VERDICT, SKIPPED, INTERRUPTED = 0, 1, 2, 125, 130
REPORT_DIR = "adjudge-report"
#: What an operating system says where nothing more can be written.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EPIPE, errno.EIO)
#: Of every command that appends to the history of runs.
history_option = click.option(
    "--history",
    "past",
    type=click.Path(),
    default=str(HISTORY),
    metavar="DIR",
    help="Append the run to the history there.",
)


class Refusal(click.ClickException):
    """The request makes no sense, or cannot be carried out: one sentence, status 2."""

    exit_code = NO_VERDICT


def refuse(sentence: str) -> NoReturn:
    """End the command with one sentence."""
    raise Refusal(sentence)


def listed(names: Iterable[str]) -> str:
    """A sentence that lists the choices."""
    return "there are " + ", ".join(names)


def near(value: str, choices: Iterable[str], otherwise: str = "") -> str:
    """What follows "there is no …": the nearest name that there is, or where to look."""
    close = get_close_matches(value, list(choices), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; {otherwise}" if otherwise else ""


class Commands(click.Group):
    """Commands that end with the status they return, and say what is wrong with the input in one sentence."""

    def main(
        self, args: Sequence[str] | None = None, prog_name: str | None = None, complete_var: str | None = None,
        standalone_mode: bool = True, **more: Any,
    ) -> NoReturn:  # fmt: skip
        """Run, and leave the process."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # no name of a file, and no encoding, ends a command
        try:
            status = super().main(args, prog_name, complete_var, standalone_mode=False, **more)
            sys.stdout.flush()
        except click.exceptions.NoArgsIsHelpError as problem:
            problem.show()
            status = NO_VERDICT
        except click.ClickException as problem:
            click.echo("adjudge: " + " ".join(visible(problem.format_message()).split()), err=True)
            status = problem.exit_code
        except click.Abort:
            status = INTERRUPTED
        except Exception as problem:
            status = NO_VERDICT
            if isinstance(problem, OSError) and problem.errno in FULL:
                click.echo(f"adjudge: not everything could be written: {problem.strerror}", err=True)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter tries again, and fails
            else:  # a defect of ours is no verdict on the backend
                traceback.print_exc()
        sys.exit(status if isinstance(status, int) else PASSED)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click has it, with the nearest name where there is none."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            names = self.list_commands(ctx)
            refuse(f"there is no command {args[0]!r}{near(args[0], names, listed(names))}")
        return super().resolve_command(ctx, args)


def a_name(what: str, *choices: str) -> Callable[[str], str]:
    """An option's type: a name out of some choices."""

    def name(value: str) -> str:
        if value not in choices:
            refuse(f"there is no {what} {value!r}{near(value, choices, listed(choices))}")
        return value

    return name


def some_names(what: str, *choices: str) -> Callable[[Any], tuple[str, ...]]:
    """An option's type: such names with commas between them, or a list of them."""
    one = a_name(what, *choices)

    def names(value: Any) -> tuple[str, ...]:
        parts = [one(part.strip()) for part in (value.split(",") if isinstance(value, str) else value)]
        return tuple(c for c in choices if c in parts)

    return names


# -- settings from pyproject.toml ----------------------------------------------------------------------------------------------


def configured(group: click.Group) -> dict[str, Any]:
    """The defaults that [tool.adjudge] of the nearest pyproject.toml gives to each command's options."""
    file = next((f for folder in (Path.cwd(), *Path.cwd().parents) if (f := folder / "pyproject.toml").is_file()), None)
    if file is None:
        return {}
    try:
        table = tomllib.loads(file.read_text("utf-8")).get("tool", {}).get("adjudge", {})
    except (OSError, ValueError) as problem:
        refuse(f"{file} cannot be read: {problem}")
    options = dict(_options(group))
    for key, value in table.items():
        if key not in options:
            refuse(f"{file}: [tool.adjudge] has no option {key!r}{near(key, options, listed(sorted(options)))}")
        rule, fits = _kind_of(options[key])
        if not fits(value):
            refuse(f"{file}: [tool.adjudge] {key} must be {rule}, not {value!r}")
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


# -- what several commands are given -------------------------------------------------------------------------------------------


def one_of(ctx: click.Context, first: str, second: str, sentence: str) -> tuple[bool, bool]:
    """Two options that contradict each other: the command line overrides the configuration; both in one place are an error."""
    sources = [ctx.get_parameter_source(name) for name in (first, second)]
    given = [
        s not in (None, ParameterSource.DEFAULT) and bool(ctx.params[n]) for s, n in zip(sources, (first, second), strict=True)
    ]
    if all(given):
        if sources[0] == sources[1]:
            refuse(f"{sentence}: only one of them can be")
        typed = [s == ParameterSource.COMMANDLINE for s in sources]
        return typed[0], typed[1]
    return given[0], given[1]


def backend_of(spec: str, in_process: bool = False, limits: Limits | None = None) -> Backend:
    """The backend that the user means, in a process of its own unless it is to be in this one."""
    try:
        return load(spec, own_process=True) if in_process else isolate(spec, limits, tell)
    except BackendError as problem:
        refuse(str(problem))


def tell(sentence: str) -> None:
    """Say what is being done, where that takes a while."""
    click.echo(f"adjudge: {sentence}", err=True)


#: Units of memory, by their first letters.
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def memory_of(value: int | str) -> int:
    """An option's type: a number of bytes, perhaps with a unit, as in 512MiB or 4GiB."""
    if isinstance(value, int):
        return value
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", value.strip(), re.IGNORECASE)
    number = int(float(found[1]) * UNITS[found[2].upper()]) if found else 0
    if number < 2**26:
        refuse(f"{value!r} is no memory limit: bytes, as in 512MiB or 4GiB, and at least 64MiB")
    return number


#: Of every command that puts questions to a backend.
_ASKING = (
    click.option(
        "--question-timeout", type=click.FloatRange(min=0, min_open=True), default=QUESTION_TIMEOUT, metavar="S",
        show_default=True, help="Seconds that one question may take.",
    ),
    click.option(
        "--memory", type=memory_of, default=MEMORY, metavar="BYTES", help="What its process may allocate; 4GiB by default.",
    ),
    click.option("--in-process", is_flag=True, help="Ask in adjudge's own process, without limits: for a debugger."),
)  # fmt: skip


def asking_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of a command that puts questions to a backend."""
    for option in reversed(_ASKING):
        command = option(command)
    return command


def ledger_of(path: str | None, backend: str) -> Ledger:
    """The ledger that the user means, or the one that ships."""
    from adjudge.records.ledger import Ledger, LedgerError, shipped_ledger

    try:
        return Ledger.read(path) if path is not None else shipped_ledger(backend)
    except LedgerError as problem:
        refuse(str(problem))
