"""Benchmarks on the terminal: every case as it comes, who takes how long, and what a gate makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

__all__ = ["Timings"]

#: Prefixes of seconds and bytes.
SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))
BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
#: What the columns are, in one line.
LEGEND = (
    "forward and backward (95 % interval), of it forward, how many times as long both take; share of what NumPy's matrix"
    " product does on as many multiply-adds; memory at most; time to compile"
)


def amount(x: float, units: tuple[tuple[float, str], ...]) -> str:
    """A number with its unit, three digits of it.

    Examples
    --------
    >>> amount(0.00123, SECONDS), amount(0.0009999, SECONDS), amount(42.0, BYTES)
    ('1.23 ms', '1 ms', '0.042 kB')
    """
    x = float(f"{x:.3g}")
    size, name = next(((s, n) for s, n in units if x >= s), units[-1])
    return f"{x / size:.3g} {name}"


class Timings:
    """Says what happens in a run of benchmarks.

    Parameters
    ----------
    console : Console
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._case: tuple[Any, ...] = ()
        self._said: set[tuple[Any, ...]] = set()
        self._counts = {"timing": 0, "ratio": 0, "untimed": 0}
        self._regressions: list[Mapping[str, Any]] = []
        self._failures: list[Mapping[str, Any]] = []
        self._header: Mapping[str, Any] = {}

    def record(self, record: Mapping[str, Any]) -> None:
        """Say what is worth saying of one record as it comes."""
        kind = record["kind"]
        if kind == "run":
            self._begin(record)
        elif kind == "end":
            self._end(record)
        else:
            self._counts[kind] += 1
            getattr(self, f"_{kind}")(record)

    def _line(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style), soft_wrap=True)

    def _begin(self, header: Mapping[str, Any]) -> None:
        self._header = header
        place = header["environment"]
        bound = "; ".join(f"{k}={v}" for k, v in place["threads"].items())
        blas = place["blas"] or "unknown BLAS"
        self._line(f"{place['cpu']}, {place['cores']} cores; NumPy {place['numpy']} with {blas}; {bound}")
        if header["gate"] is None:
            self._line(LEGEND, "dim")

    def _heading(self, record: Mapping[str, Any], more: str = "") -> None:
        case = tuple(record[k] for k in ("op", "case", "layout", "dtype"))
        if case != self._case:
            self._case = case
            self._line(f"{record['op']} {record['case']}, {record['layout']}, {record['dtype']}{more}", "bold")

    def _timing(self, record: Mapping[str, Any]) -> None:
        self._heading(record, f" (limit {record['limit_flops_per_s'] / 1e9:.3g} GFLOP/s)")
        total, low, high = (amount(record[k], SECONDS) for k in ("total_s", "total_s_low", "total_s_high"))
        peak, compiled = record["peak_bytes"], record["compile_s"]
        cells = [
            f"  {record['backend']:<10}", f"{total:>8}", f"({low} to {high})".ljust(22),
            f"{amount(record['forward_s'], SECONDS):>8}", f"x{record['gradient_ratio']:<5.1f}", f"{record['share']:>6.1%}",
            f"{amount(peak, BYTES) if peak is not None else '':>8}",
            f"compiled in {amount(compiled, SECONDS)}" if compiled is not None else "",
        ]  # fmt: skip
        self._line(" ".join(cells).rstrip())

    def _ratio(self, record: Mapping[str, Any]) -> None:
        case = f"{record['op']} {record['case']}, {record['layout']}, {record['dtype']}"
        again = len(record["measured"])
        times = f", the least of {again} measurements" if again > 1 else ""
        text = f"x{record['ratio']:.3f} ({record['ratio_low']:.3f} to {record['ratio_high']:.3f}{times})  {case}"
        self._line(text, "bold red" if record["regression"] else "")
        if record["regression"]:
            self._regressions.append(record)

    def _untimed(self, record: Mapping[str, Any]) -> None:
        fails = record["verdict"] != "unsupported"
        key = (record["backend"], record["reason"], self._case_of(record) if fails else "")
        if fails:
            self._failures.append(record)
        if key not in self._said:
            self._said.add(key)
            where = f", {self._case_of(record)}" if fails else ""
            self._line(f"  {record['backend']}{where}: {record['verdict']}: {record['reason']}", "bold red" if fails else "dim")

    def _case_of(self, record: Mapping[str, Any]) -> str:
        return f"{record['op']} {record['case']}, {record['layout']}, {record['dtype']}"

    def _end(self, record: Mapping[str, Any]) -> None:
        gate, seconds = self._header.get("gate"), f"{record['seconds']:.0f} s"
        done = self._counts["timing"] + self._counts["ratio"]
        if record.get("interrupted"):
            self._line(f"INTERRUPTED after {done} cases, {seconds}", "bold yellow")
        elif self._failures:
            few = f"{len(self._failures)} answers"
            self._line(f"FAILED: {few} that are wrong or do not come have no timing; {seconds}", "bold red")
        elif self._regressions:
            few = f"{len(self._regressions)} of {done} cases"
            again = "every time they were measured"
            self._line(f"SLOWER: {few} take more than {gate} times as long, {again}; {seconds}", "bold red")
        elif not done:
            self._line(f"NO VERDICT: nothing could be timed; {seconds}", "bold yellow")
        elif gate is not None:
            none = f"in none of {done} cases"
            self._line(f"PASSED: {none} does it persist that more than {gate} times as long is taken; {seconds}", "bold green")
        else:
            self._line(f"{done} timings, each of an answer that is exactly right; {seconds}")
