"""What a run leaves on the disk: its report, its cases, and its line in the history."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..backends import Backend
from ..backends.language import LanguageError
from ..records.case import case_from_json, write_case
from ..records.history import HISTORY, HistoryError, append
from ..records.records import FILE, PREVIOUS, RecordsError, Summary, read_records, summarise
from ..reports.ci import JUNIT, MARKDOWN, write_for_ci
from ..reports.conformance import PAGE, Run, conformance_page
from ..reports.report import REPORT, report_tree, write_report
from .cases import scripted, unwritten
from .command import refuse

__all__ = ["history_folder", "keep", "remembered", "report_folder", "run_before", "set_aside", "written"]


def report_folder(folder: Path) -> Path:
    """Make sure, before anything is asked, that the report can be written."""
    try:
        (folder / "cases").mkdir(parents=True, exist_ok=True)
        with open(folder / FILE, "ab"):
            pass
    except OSError as problem:
        refuse(f"the report cannot be written to {folder}: {problem.strerror}; --report-dir names another place")
    return folder


def history_folder(ctx: click.Context) -> None:
    """Make sure, before anything is asked, that there is a place where the user wants the history."""
    folder = Path(ctx.params["past"])
    try:
        if ctx.get_parameter_source("past") == ParameterSource.COMMANDLINE:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        refuse(f"the history cannot be written to {folder}: {problem.strerror}; --history names another place")


def remembered(past: Path, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Append a run to a history; what is to be said. A history that cannot be written is no reason to lose the verdict."""
    try:
        if past == HISTORY:
            from ..suite.examiner import cache_folder

            cache_folder()
        return append(past, records)
    except (OSError, HistoryError) as problem:
        return [f"the run is not in the history: {problem}"]


def set_aside(folder: Path) -> None:
    """Keep the records of the run before, to tell what changed; what was written of it is of no run any more."""
    if (folder / FILE).stat().st_size:
        os.replace(folder / FILE, folder / PREVIOUS)
    for name in (PAGE, REPORT, JUNIT, MARKDOWN):
        (folder / name).unlink(missing_ok=True)


def run_before(folder: Path, summary: Summary) -> tuple[Summary | None, list[str]]:
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


def written(folder: Path, summary: Summary, strict: bool) -> list[str]:
    """Write the report's files; what is to be printed for the continuous integration that runs this."""
    before, notes = run_before(folder, summary)
    write_report(folder, report_tree(summary, strict=strict))
    page = conformance_page([Run(summary, strict, before, notes, folder)])
    (folder / PAGE).write_text(page, "utf-8")
    return write_for_ci(folder, summary, strict=strict)


def keep(record: Mapping[str, Any], spec: str, judged: Backend, folder: Path) -> str:
    """Write a record's case, with a script where a failure's backend knows how; what is to be said of that."""
    case, text, note = replace(case_from_json(record["case"]), spec=spec), None, ""
    if record["kind"] == "failure":
        try:
            text = scripted(case, judged)
            note = "" if text else f"{unwritten(judged)}: cases have no scripts"
        except LanguageError as problem:
            note = str(problem)
    write_case(folder / "cases", case, text)
    return note
