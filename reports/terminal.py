"""The terminal: a run as it goes, and its result; plain text where nobody watches, readable at 80 columns."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..oracle.legs import LEGS
from ..oracle.modes import MODES
from ..records.case import Case, ScriptCase, WitnessRecord
from ..records.causes import Cause
from ..records.models import CheckRun, OutcomeRecord, Record
from ..records.sentences import failure_sentence, ledger_sentence, listed
from ..records.summary import JUDGED, OpSummary, Summary, category, counted
from .report import case_lines, replay_command

__all__ = ["Terminal", "make_console", "op_table", "witness_table"]

#: The exit status in words, and how it is painted.
HEADLINES = {
    0: ("PASSED", "bold green"),
    1: ("FAILED", "bold red"),
    2: ("NO VERDICT", "bold yellow"),
    4: ("ORACLE IN DOUBT", "bold magenta"),
    130: ("INTERRUPTED", "bold yellow"),
}
STYLES = {"new": "bold red", "known": "yellow", "lossy": "yellow", "undecided": "cyan", "unsupported": "dim", "correct": ""}
COLUMNS = {**{s: s for s in JUDGED}, "undecided": "undec.", "unsupported": "unsup."}
#: How many ops that are not supported are named.
MOST_NAMED = 12
#: A program is shown in about as many lines.
LINES = 24


def make_console(file: IO[str] | None = None) -> Console:
    """A console that takes every text as it is."""
    return Console(file=file, markup=False, highlight=False, emoji=False)


class Terminal:
    """Prints what happens in a run; a context, within which the last lines of a real terminal are updated.

    Parameters
    ----------
    console : Console
    summary : Summary
        Of the run, counted by somebody else before each call of `record`.
    verbosity : int
        -1 only what failed and the verdict; 0 progress and the table as well; 1 every outcome that is not correct.
    """

    def __init__(self, console: Console, summary: Summary, verbosity: int = 0) -> None:
        self.console, self.summary, self.verbosity = console, summary, verbosity
        self._began = time.monotonic()
        self._last: OutcomeRecord | None = None
        self._live = Live(get_renderable=self._progress, console=console, refresh_per_second=8, transient=True)
        self._moves = console.is_terminal and verbosity >= 0

    def __enter__(self) -> Terminal:
        """Start updating."""
        if self._moves:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        """Stop updating."""
        if self._moves:
            self._live.stop()

    def _progress(self) -> Text:
        """Two lines: how far the run is, and the op at hand."""
        s, seconds = self.summary, time.monotonic() - self._began
        seen = sum(1 for op in s.ops.values() if op.state != "not judged")
        text = Text(f"{s.judged} judged, {s.judged / max(seconds, 1e-3):.0f}/s, ops {seen}/{len(s.ops)}, {seconds:.0f} s")
        for part in ("new", "known", "lossy", "undecided"):
            text.append(f", {s.count(part)} {part}", STYLES[part] if s.count(part) else "dim")
        if self._last is not None:
            op = s.ops[self._last.op]
            text.append(f"\n  {op.op} {self._last.dtype}: {op.judged} judged", "dim")
        return text

    def record(self, record: Record) -> None:
        """Print what is worth telling about one record as it comes."""
        backend = self.summary.header.backend
        if isinstance(record, CheckRun) and self.verbosity >= 0:
            self.console.print(Text(_heading(record)))
        elif isinstance(record, OutcomeRecord):
            self._last = record
            if self.verbosity > 0 and (state := category(record)) != "correct":
                self.console.print(Text(f"{state}: {_sentence(record, backend)}", STYLES[state]))

    def close(self, *, strict: bool = False, folder: Path | None = None, torn: str = "") -> None:
        """Print the result of the run.

        Parameters
        ----------
        strict : bool
            Whether loss of digits fails the gate.
        folder : Path, optional
            Where the report and the cases are.
        torn : str
            What was left out of the records.
        """
        s, show = self.summary, self.console.print
        if self.verbosity >= 0 and s.ops:
            show(op_table(row for row in s.ops.values() if self.verbosity > 0 or not row.refused))
            if lacking := s.unsupported_ops:
                show(Text(f"not supported: {counted(len(lacking), 'op')}: {listed(lacking, MOST_NAMED)}", "dim"))
            for mode, verdicts in s.modes.items():
                show(
                    Text(f"{MODES[mode].title}: {', '.join(f'{n} {verdict}' for verdict, n in verdicts.most_common())}", "dim")
                )
            show(Text(f"legs that agreed: {', '.join(f'{leg.letter} {leg.name}' for leg in LEGS.values())}\n", "dim"))
        for cause in s.causes:
            self._finding(cause, folder)
        for doubt in s.disagreements:
            show(Text(f"legs disagree on a program of {doubt.op}:", STYLES["new"]))
            show(_program(doubt.case))
            if isinstance(doubt.case, Case):
                show(Padding(witness_table(doubt.case.witnesses), (0, 0, 1, 4)))
            self._replay(doubt.case, folder)
        for record in s.ledger:
            if record in s.stale or self.verbosity > 0:
                show(Text(f"ledger: {ledger_sentence(record)}", "yellow"))
        if s.ledger and self.verbosity >= 0:
            states = [record.state for record in s.ledger]
            unjudged = f", {n} not judged" if (n := states.count("not judged")) else ""
            show(Text(f"ledger: {states.count('still fails')} of {len(states)} entries replayed as written{unjudged}"))
        if s.lost and self.verbosity >= 0:
            show(Text("ledger: what is meant to be unsupported is put on record by an [[unsupported]] entry", "yellow"))
        if torn:
            show(Text(torn))
        self._verdict(strict)
        if folder is not None and self.verbosity >= 0:
            show(Text(f"report: {folder}"), soft_wrap=True)

    def _finding(self, cause: Cause, folder: Path | None) -> None:
        """A finding: its smallest program in full, and a line for each other way in which it shows."""
        show, backend = self.console.print, self.summary.header.backend
        for n, failure in enumerate(cause.failures):
            show(Text(f"{'also: ' if n else ''}{failure_sentence(failure, backend)}", STYLES["new"]))
            if not n:
                show(Text(f"    seen in {cause.extent}", "dim"))
                show(_program(failure.case), soft_wrap=True)
            self._replay(failure.case, folder, end=n == len(cause.failures) - 1)
        if not cause.failures:
            show(Text(f"{' '.join(filter(None, cause.key))}: seen in {cause.extent}\n", STYLES["new"]))

    def _replay(self, case: Case | ScriptCase, folder: Path | None, end: bool = True) -> None:
        if folder is not None:
            self.console.print(Text(f"    {replay_command(case, self.summary.header)}"), soft_wrap=True)
        if end:
            self.console.print()

    def _verdict(self, strict: bool) -> None:
        s, status = self.summary, self.summary.status(strict)
        word, style = HEADLINES[status]
        counts = [f"{s.judged} judged"] if status and s.judged else []
        counts += [f"{s.count(part)} {part}" for part in ("known", "lossy", "undecided", "unsupported") if s.count(part)]
        tail = f" ({', '.join(counts)})" if counts else ""
        self.console.print(Text.assemble((word, style), f": {'; '.join(s.reasons(strict))}{tail}"))


def _heading(header: CheckRun) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in header.versions.items())
    dtypes, legs = ", ".join(header.dtypes), ", ".join(header.legs)
    seed = f", seed {header.seed}" if header.seed is not None else ""
    return f"{header.backend} ({versions}): profile {header.profile}{seed}; {dtypes}; legs {legs}"


def _sentence(outcome: OutcomeRecord, backend: str) -> str:
    if category(outcome) in ("undecided", "unsupported"):
        return f"{outcome.op} ({outcome.dtype}): {outcome.reason or ''}"
    return failure_sentence(outcome, backend) + (f" [{outcome.known}]" if outcome.known else "")


def _program(case: Case | ScriptCase) -> Text:
    """A case's program, its inputs cut where they are long; whole in the case's own files."""
    lines = [f"    {line}" for line in case_lines(case)]
    over = len(lines) - LINES
    if over > 1:
        lines[LINES // 2 : LINES // 2 + over] = [f"    ... ({over} lines)"]
    return Text("\n".join(lines))


def op_table(ops: Iterable[OpSummary]) -> Table:
    """How the answers for each op were judged; a row each."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("op", overflow="fold")
    for heading in ("judged", *COLUMNS.values(), "ulp"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("legs", no_wrap=True)
    for op in ops:
        cells = [Text(str(op.categories[c] or "."), STYLES[c] if op.categories[c] else "dim") for c in COLUMNS]
        legs = "".join(leg.letter if op.agreed(leg.name) else "-" for leg in LEGS.values())
        ulp = f"{op.worst_ulp:.2g}" if op.categories["correct"] else "."
        name = Text(op.op if op.state != "not judged" else f"{op.op} (not judged)", STYLES.get(op.state, "dim"))
        table.add_row(name, Text(str(op.judged or ".")), *cells, Text(ulp), Text(legs, "dim"))
    return table


def witness_table(witnesses: Iterable[WitnessRecord]) -> Table:
    """What each leg says: the derivative along one direction, and whether it agrees."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for heading in ("who", "stance", "derivative along v", "note"):
        table.add_column(heading, overflow="fold")
    for w in witnesses:
        slope = "" if math.isnan(w.derivative) else f"{w.derivative:.17g}"
        style = {"disagrees": "red", "agrees": "green"}.get(w.stance, "dim")
        table.add_row(Text(w.leg), Text(w.stance, style), Text(slope), Text(w.note))
    return table
