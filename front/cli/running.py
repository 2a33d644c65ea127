"""One run of `adjudge check`: records are counted, written and shown as they come; then come the reports."""

from __future__ import annotations

import signal
import time
from contextlib import nullcontext
from pathlib import Path
from types import FrameType

import click

from adjudge.backends import Backend, BackendError, Limits
from adjudge.records.files import Records
from adjudge.records.history import CheckLine
from adjudge.records.models import DisagreementRecord, EndRecord, FailureRecord, Record
from adjudge.records.places import FILE
from adjudge.records.summary import Summary
from adjudge.reports.terminal import Terminal, make_console
from adjudge.suite import run as suite
from adjudge.suite.settings import Settings

from .folders import add_to_history, held, save_failure, set_previous_aside, write_reports, writing

__all__ = ["judge_all"]


def judge_all(
    settings: Settings, loaded: tuple[Backend, Limits], folder: Path | None, past: Path, strict: bool, verbosity: int
) -> int:
    """Run, record, report, and add to the history; the status."""
    with nullcontext() if folder is None else held(folder):
        return _judge_all(settings, loaded, folder, past, strict, verbosity)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Whoever ends the run politely is told what was judged."""
    raise KeyboardInterrupt


def _judge_all(
    settings: Settings, loaded: tuple[Backend, Limits], folder: Path | None, past: Path, strict: bool, verbosity: int
) -> int:
    judged = loaded[0]
    summary, began = Summary(), time.monotonic()
    if folder is not None:
        set_previous_aside(folder)
    records = Records(folder / FILE, anew=True) if folder is not None else None
    terminal = Terminal(make_console(), summary, verbosity)
    notes: list[str] = []

    def emit(record: Record) -> None:
        if folder is not None and records is not None:
            with writing(folder):
                if isinstance(record, (FailureRecord, DisagreementRecord)):
                    note = save_failure(record, judged, folder)
                    if note and note not in notes:
                        notes.append(note)
                records.append(record)
        summary.add(record)
        terminal.record(record)

    gone = ""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with terminal:
            suite.run(settings, emit, loaded)
    except KeyboardInterrupt:
        if summary.end is None:
            emit(EndRecord(seconds=time.monotonic() - began, interrupted=True))
    except BackendError as problem:
        gone = str(problem)
    finally:
        if records is not None:
            records.close()
    annotations: list[str] = []
    if folder is not None:
        with writing(folder):
            annotations = write_reports(folder, summary, strict)
    if folder is not None and summary.header.run:
        notes += add_to_history(past, CheckLine.of(summary))
    terminal.close(strict=strict, folder=folder)
    for line in annotations:
        click.echo(line)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if gone:
        click.echo(f"adjudge: {gone}", err=True)
    return summary.status(strict)
