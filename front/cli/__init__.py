"""The command `adjudge`: what users type, what they are told, and with which status it ends; one file per kind of command.

A command's module declares its options; what the command does is imported when it runs, so that help comes at once.
"""

from __future__ import annotations

import click

from .bench import bench
from .cases import explain, replay
from .check import check
from .command import Commands, configured
from .ledgers import ledger
from .lists import doctor, list_command
from .pages import compare, report

__all__ = ["main"]


@click.group("adjudge", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="adjudge", prog_name="adjudge")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Judge automatic differentiation: certified truth, derived allowances."""
    ctx.default_map = configured(main)


for _command in (bench, check, compare, doctor, explain, ledger, list_command, replay, report):
    main.add_command(_command)
