"""Benchmarks on the terminal: every case as it comes, how long each side takes, and what a gate makes of it."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from ..records.models import BenchRun, EndRecord, RatioRecord, Record, TimingRecord, UntimedRecord

__all__ = ["Timings"]

#: Prefixes of seconds and bytes.
SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))
BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
#: The columns, in one line.
LEGEND = (
    "forward and backward (95 % interval); forward alone; how many times as long both take; share of the speed of NumPy's"
    " matrix product with as many multiply-adds; peak memory; time to compile"
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


def _case_of(record: TimingRecord | RatioRecord | UntimedRecord) -> str:
    return f"{record.op} {record.case}, {record.layout}, {record.dtype}"


class Timings:
    """Prints what happens in a run of benchmarks.

    Parameters
    ----------
    console : Console
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._gate: float | None = None
        self._case = ""
        self._printed: set[tuple[str, str, str]] = set()
        self._done = self._failures = self._regressions = 0

    def record(self, record: Record) -> None:
        """Print what is worth telling about one record as it comes."""
        match record:
            case BenchRun():
                self._begin(record)
            case TimingRecord():
                self._timing(record)
            case RatioRecord():
                self._ratio(record)
            case UntimedRecord():
                self._untimed(record)
            case EndRecord():
                self._end(record)

    def _line(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style), soft_wrap=True)

    def _begin(self, header: BenchRun) -> None:
        self._gate, place = header.gate, header.environment
        limits = "; ".join(f"{k}={v}" for k, v in place.threads.items())
        blas = place.blas or "unknown BLAS"
        self._line(f"{place.cpu}, {place.cores} cores; NumPy {place.numpy} with {blas}; {limits}")
        if header.gate is None:
            self._line(LEGEND, "dim")

    def _timing(self, record: TimingRecord) -> None:
        self._done += 1
        if (case := _case_of(record)) != self._case:
            self._case = case
            self._line(f"{case} (limit {record.limit_flops_per_s / 1e9:.3g} GFLOP/s)", "bold")
        total, low, high = (amount(s, SECONDS) for s in (record.total_s, record.total_s_low, record.total_s_high))
        peak, compiled = record.peak_bytes, record.compile_s
        cells = [
            f"  {record.backend:<10}", f"{total:>8}", f"({low} to {high})".ljust(22), f"{amount(record.forward_s, SECONDS):>8}",
            f"x{record.gradient_ratio:<5.1f}", f"{record.share:>6.1%}",
            f"{amount(peak, BYTES) if peak is not None else '':>8}",
            f"compiled in {amount(compiled, SECONDS)}" if compiled is not None else "",
        ]  # fmt: skip
        self._line(" ".join(cells).rstrip())

    def _ratio(self, record: RatioRecord) -> None:
        self._done += 1
        self._regressions += record.regression
        again = len(record.measured)
        times = f", the least of {again} measurements" if again > 1 else ""
        text = f"x{record.ratio:.3f} ({record.ratio_low:.3f} to {record.ratio_high:.3f}{times})  {_case_of(record)}"
        self._line(text, "bold red" if record.regression else "")

    def _untimed(self, record: UntimedRecord) -> None:
        fails = record.verdict != "unsupported"
        case = _case_of(record) if fails else ""
        self._failures += fails
        if (key := (record.backend, record.reason, case)) not in self._printed:
            self._printed.add(key)
            where = f", {case}" if fails else ""
            self._line(f"  {record.backend}{where}: {record.verdict}: {record.reason}", "bold red" if fails else "dim")

    def _end(self, record: EndRecord) -> None:
        seconds = f"{record.seconds:.0f} s"
        if record.interrupted:
            self._line(f"INTERRUPTED after {self._done} cases, {seconds}", "bold yellow")
        elif self._failures:
            self._line(f"FAILED: {self._failures} answers are wrong or missing, and have no timing; {seconds}", "bold red")
        elif self._regressions:
            few = f"{self._regressions} of {self._done} cases take more than {self._gate} times as long"
            self._line(f"SLOWER: {few}, every time they were measured; {seconds}", "bold red")
        elif not self._done:
            self._line(f"NO VERDICT: nothing could be timed; {seconds}", "bold yellow")
        elif self._gate is not None:
            none = f"none of {self._done} cases takes more than {self._gate} times as long every time"
            self._line(f"PASSED: {none}; {seconds}", "bold green")
        else:
            self._line(f"{self._done} timings, each of an answer that is exactly right; {seconds}")
