"""What a run leaves on the disk: its report, its cases, and its line in the history."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from click.core import ParameterSource
from filelock import FileLock, Timeout

from adjudge.backends import Backend
from adjudge.backends.language import LanguageError
from adjudge.records.case import save_case
from adjudge.records.files import RecordsError, read_records
from adjudge.records.history import BenchLine, CheckLine, HistoryError, append_history
from adjudge.records.models import DisagreementRecord, FailureRecord
from adjudge.records.places import CASES, FILE, HISTORY, LOCK, PREVIOUS
from adjudge.records.summary import Summary, summarise
from adjudge.records.text import write_text
from adjudge.reports.ci import JUNIT, MARKDOWN, write_for_ci
from adjudge.reports.conformance import PAGE, Run, conformance_page
from adjudge.reports.report import REPORT, make_report, write_report

from .command import refuse
from .stored import why_no_script, written_script

__all__ = [
    "add_to_history", "held", "history_folder", "previous_run", "report_folder", "save_failure", "set_previous_aside",
    "write_reports", "writing",
]  # fmt: skip


def report_folder(folder: Path) -> Path:
    """Make sure, before anything is asked, that the report can be written."""
    try:
        (folder / CASES).mkdir(parents=True, exist_ok=True)
        with open(folder / FILE, "ab"):
            pass
    except OSError as problem:
        refuse(f"the report cannot be written to {folder}: {problem.strerror}; --report-dir names another place")
    return folder


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep a report folder to this run, since two would mix their records; what a killed run held is free again."""
    try:
        with FileLock(folder / LOCK, timeout=0):
            yield
    except Timeout:
        refuse(f"another `adjudge check` is writing to {folder}: wait for its end, or give another --report-dir")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Write to a report folder; where that has become impossible, the run ends with one sentence."""
    try:
        yield
    except OSError as problem:
        refuse(
            f"no more can be written to {folder}: {problem.strerror or problem}; what is there can be read, "
            "and --report-dir names another place"
        )


def history_folder(ctx: click.Context) -> None:
    """Make sure, before anything is asked, that there is a place where the user wants the history."""
    folder = Path(ctx.params["past"])
    try:
        if ctx.get_parameter_source("past") == ParameterSource.COMMANDLINE:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        refuse(f"the history cannot be written to {folder}: {problem.strerror}; --history names another place")


def add_to_history(past: Path, line: CheckLine | BenchLine) -> list[str]:
    """Append a run to a history; notes for the user. A history that cannot be written is no reason to lose the verdict."""
    try:
        if past == HISTORY:
            from adjudge.suite.examiner import cache_folder

            cache_folder()
        return append_history(past, line)
    except (OSError, HistoryError) as problem:
        return [f"the run is not in the history: {problem}"]


def set_previous_aside(folder: Path) -> None:
    """Keep the records of the previous run, to tell what changed; its pages go, since they are about no run any more."""
    with writing(folder):
        for name in (REPORT, PAGE, JUNIT, MARKDOWN):
            (folder / name).unlink(missing_ok=True)
        if (folder / FILE).stat().st_size:
            os.replace(folder / FILE, folder / PREVIOUS)


def previous_run(folder: Path, summary: Summary) -> tuple[Summary | None, list[str]]:
    """The previous run in the same folder, if it asked the same backend; and remarks on its records."""
    if not (folder / PREVIOUS).is_file():
        return None, []
    try:
        reading = read_records(folder / PREVIOUS)
    except RecordsError as problem:
        return None, [f"There is no comparison with the previous run: {problem}."]
    before = summarise(reading.records)
    if before.header.backend != summary.header.backend:
        return None, []
    return before, [f"{reading.torn}."] if reading.torn else []


def write_reports(folder: Path, summary: Summary, strict: bool) -> list[str]:
    """Write the report's files; the lines to print for the continuous integration that runs this."""
    before, notes = previous_run(folder, summary)
    page = conformance_page([Run(summary, strict, before, notes, folder)])
    write_text(folder / PAGE, page)
    annotations = write_for_ci(folder, summary, strict=strict)
    write_report(folder, make_report(summary, strict=strict))  # last: who finds it finds all of them
    return annotations


def save_failure(record: FailureRecord | DisagreementRecord, judged: Backend, folder: Path) -> str:
    """Write a record's case, with a script where a failure's backend knows how; a note if there is none."""
    text, note = None, ""
    if isinstance(record, FailureRecord):
        try:
            text = written_script(record.case, judged)
            note = "" if text else f"{why_no_script(judged)}: cases have no scripts"
        except LanguageError as problem:
            note = str(problem)
    save_case(folder / CASES, record.case, text)
    return note
