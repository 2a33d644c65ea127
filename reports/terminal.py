"""The terminal: a run as it goes, and what it came to; plain text where nobody watches, readable at 80 columns."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..records.records import JUDGED, Record, Row, Summary, standing
from ..records.sentences import failure_sentence, ledger_sentence
from .report import program_lines

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
LEGS = ("balls", "series", "differences", "jax")
#: A program is shown in about as many lines.
LINES = 24


def make_console(file: IO[str] | None = None) -> Console:
    """A console that takes every text as it is."""
    return Console(file=file, markup=False, highlight=False, emoji=False)


class Terminal:
    """Says what happens in a run; a context, within which the last lines of a real terminal move.

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
        self._last: Record | None = None
        self._live = Live(get_renderable=self._progress, console=console, refresh_per_second=8, transient=True)
        self._moves = console.is_terminal and verbosity >= 0

    def __enter__(self) -> Terminal:
        """Begin to move."""
        if self._moves:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        """Be still."""
        if self._moves:
            self._live.stop()

    def _progress(self) -> Text:
        """Two lines: how far the run is, and the op at hand."""
        s, seconds = self.summary, time.monotonic() - self._began
        seen = sum(1 for row in s.rows.values() if row.state != "not judged")
        text = Text(f"{s.judged} judged, {s.judged / max(seconds, 1e-3):.0f}/s, ops {seen}/{len(s.rows)}, {seconds:.0f} s")
        for part in ("new", "known", "lossy", "undecided"):
            text.append(f", {s.count(part)} {part}", STYLES[part] if s.count(part) else "dim")
        if self._last is not None:
            row = s.rows[self._last["op"]]
            text.append(f"\n  {row.op} {self._last.get('dtype', '')}: {row.judged} judged", "dim")
        return text

    def record(self, record: Record) -> None:
        """Say what is worth saying of one record as it comes."""
        kind, backend = record["kind"], str(self.summary.header.get("backend", ""))
        if kind == "run" and self.verbosity >= 0:
            self.console.print(Text(_heading(record)))
        elif kind == "outcome":
            self._last = record
            if self.verbosity > 0 and (state := standing(record)) != "correct":
                self.console.print(Text(f"{state}: {_said(record, backend)}", STYLES[state]))
        elif kind == "failure" and self.verbosity >= 0:
            self.console.print(Text(f"new: {failure_sentence(record, backend)}", STYLES["new"]))

    def close(self, *, strict: bool = False, folder: Path | None = None, torn: str = "") -> None:
        """Say what the run came to.

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
        if self.verbosity >= 0 and s.rows:
            show(op_table(s.rows.values()))
            if pushed := s.tangents:
                show(Text(f"tangents: {', '.join(f'{n} {verdict}' for verdict, n in pushed.most_common())}", "dim"))
            show(Text("legs that agreed: b balls, s series, d differences, j jax\n", "dim"))
        for failure in s.new_failures:
            self._failure(failure, folder)
        for record in s.disagreements:
            show(Text(f"legs disagree on a program of {record.get('op', '?')}:", STYLES["new"]))
            show(_program(record))
            show(Padding(witness_table(record.get("witnesses", ())), (0, 0, 1, 4)))
            self._replay(record, folder)
        for record in s.ledger:
            if record in s.stale or self.verbosity > 0:
                show(Text(f"ledger: {ledger_sentence(record)}", "yellow"))
        if s.ledger and self.verbosity >= 0:
            show(Text(f"ledger: {len(s.ledger) - len(s.stale)} of {len(s.ledger)} entries replayed as written"))
        if torn:
            show(Text(torn))
        self._verdict(strict)
        if folder is not None and self.verbosity >= 0:
            show(Text(f"report: {folder}"), soft_wrap=True)

    def _failure(self, failure: Record, folder: Path | None) -> None:
        self.console.print(Text(failure_sentence(failure, str(self.summary.header.get("backend", ""))), STYLES["new"]))
        self.console.print(_program(failure), soft_wrap=True)
        self._replay(failure, folder)

    def _replay(self, record: Record, folder: Path | None) -> None:
        case = record.get("case") or {}
        if folder is not None and "id" in case:
            self.console.print(Text(f"    adjudge replay {case['id']}\n"), soft_wrap=True)

    def _verdict(self, strict: bool) -> None:
        s, status = self.summary, self.summary.status(strict)
        word, style = HEADLINES[status]
        counts = [f"{s.judged} judged"] if status and s.judged else []
        counts += [f"{s.count(part)} {part}" for part in ("known", "lossy", "undecided", "unsupported") if s.count(part)]
        tail = f" ({', '.join(counts)})" if counts else ""
        self.console.print(Text.assemble((word, style), f": {'; '.join(s.reasons(strict))}{tail}"))


def _heading(header: Record) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in header.get("versions", {}).items())
    dtypes, legs = (", ".join(header.get(key, ())) for key in ("dtypes", "legs"))
    seed = f", seed {header['seed']}" if header.get("seed") is not None else ""
    return f"{header.get('backend', '')} ({versions}): profile {header.get('profile', '')}{seed}; {dtypes}; legs {legs}"


def _said(record: Record, backend: str) -> str:
    if standing(record) in ("undecided", "unsupported"):
        return f"{record['op']} ({record.get('dtype', '')}): {record.get('reason', '')}"
    known = f" [{record['known']}]" if record.get("known") else ""
    return failure_sentence(record, backend) + known


def _program(record: Record) -> Text:
    """A record's program, its inputs cut where they are long; whole in the case's own files."""
    lines = [f"    {line}" for line in program_lines(record.get("case"))]
    over = len(lines) - LINES
    if over > 1:
        lines[LINES // 2 : LINES // 2 + over] = [f"    ... ({over} lines)"]
    return Text("\n".join(lines))


def op_table(rows: Iterable[Row]) -> Table:
    """What came out for each op; a row for every op that was to be asked about."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("op", overflow="fold")
    for heading in ("judged", *COLUMNS.values(), "ulp"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("legs", no_wrap=True)
    for row in rows:
        cells = [Text(str(row.standings[s] or "."), STYLES[s] if row.standings[s] else "dim") for s in COLUMNS]
        legs = "".join(leg[0] if row.legs.get(leg, Counter())["agrees"] else "-" for leg in LEGS)
        ulp = f"{row.worst_ulp:.2g}" if row.standings["correct"] else "."
        name = Text(row.op if row.state != "not judged" else f"{row.op} (not judged)", STYLES.get(row.state, "dim"))
        table.add_row(name, Text(str(row.judged or ".")), *cells, Text(ulp), Text(legs, "dim"))
    return table


def witness_table(witnesses: Iterable[Mapping[str, Any]]) -> Table:
    """What each leg says: the derivative along one direction, and where it stands."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for heading in ("who", "stance", "derivative along v", "note"):
        table.add_column(heading, overflow="fold")
    for w in witnesses:
        said = float(w.get("said", "nan"))
        words = "" if said != said else f"{said:.17g}"
        style = {"disagrees": "red", "agrees": "green"}.get(str(w["stance"]), "dim")
        table.add_row(Text(str(w["leg"])), Text(str(w["stance"]), style), Text(words), Text(str(w.get("note", ""))))
    return table
