"""Many short rounds in which every side has its turn, and the statistics of them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import quantile_test

from .cases import BenchCase
from .sides import Untimed, Worker

__all__ = ["Comparison", "Timing", "compare", "median_interval", "timings"]

#: Seconds that a block of passes of one kind takes, one pass at least: so short that a round sees one state of the machine.
BLOCK = 0.002
#: How many rounds a case gets.
ROUNDS = 11
#: A comparison continues, for at most this many seconds, while its interval contains the limit.
LEAST_ROUNDS, MOST_SECONDS = 16, 4.0
#: Confidence of a timing's interval, and of a ratio's, on which a gate depends.
CONFIDENCE, RATIO_CONFIDENCE = 0.95, 0.99

KINDS = ("limit", "forward", "total")


def median_interval(xs: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """The median of a sample, and a confidence interval of that of the distribution.

    The interval is between order statistics, from the binomial distribution: it makes no assumption about the
    distribution of times, which has a long tail [1]_.

    Parameters
    ----------
    xs : sequence of float
        At least as many as the confidence needs: 6 for 95 %, 8 for 99 %.

    References
    ----------
    .. [1] W. J. Conover, *Practical Nonparametric Statistics*, 3rd ed., section 3.2; `scipy.stats.quantile_test`.

    Examples
    --------
    >>> median_interval([3.0, 1.0, 2.0, 5.0, 4.0, 6.0, 7.0])
    (4.0, 1.0, 7.0)
    """
    interval = quantile_test(np.asarray(xs), p=0.5).confidence_interval(confidence)
    return float(np.median(xs)), float(interval.low), float(interval.high)


@dataclass
class Timing:
    """The measurements of one side and one case; seconds for one pass, a list of rounds for each kind."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    limit_flops: int = 0
    compile_s: float | None = None
    peak_bytes: int | None = None

    def to_json(self, flops: int) -> dict[str, Any]:
        """The measured fields of a record; `flops` is the arithmetic of value and gradients."""
        forward = float(np.median(self.seconds["forward"]))
        total, low, high = median_interval(self.seconds["total"])
        limit = self.limit_flops / float(np.median(self.seconds["limit"]))
        return {
            "forward_s": forward, "total_s": total, "total_s_low": low, "total_s_high": high, "gradient_ratio": total / forward,
            "flops": flops, "limit_flops_per_s": limit, "share": flops / total / limit, "peak_bytes": self.peak_bytes,
            "compile_s": self.compile_s, "rounds": len(self.seconds["total"]),
        }  # fmt: skip


def timings(workers: Sequence[Worker], case: BenchCase) -> list[Timing | Untimed]:
    """Time a case on all sides, round by round, each side and kind in turn; every answer is judged before and after."""
    out: list[Timing | Untimed] = []
    counts: list[dict[str, int]] = []
    for worker in workers:
        try:
            worker.prepare(case)
            counts.append(worker.ask("calibrate", seconds=BLOCK))
            out.append(Timing(limit_flops=worker.limit_flops, compile_s=worker.compile_s))
        except Untimed as problem:
            counts.append({})
            out.append(problem)
    for turn in range(ROUNDS):
        for n in _turned(range(len(workers)), turn):
            if isinstance(timing := out[n], Timing):
                try:
                    for kind in _turned(KINDS, turn):
                        answer = workers[n].ask("time", kind=kind, passes=counts[n][kind])
                        timing.seconds[kind].append(answer["seconds"])
                except Untimed as problem:
                    out[n] = problem
    for n, timing in enumerate(out):
        if isinstance(timing, Timing):
            try:
                workers[n].judge(case)
                timing.peak_bytes = workers[n].ask("peak")["bytes"]
            except Untimed as problem:
                out[n] = problem
    return out


def _turned(xs: Sequence[Any], by: int) -> Iterator[Any]:
    yield from (xs[(n + by) % len(xs)] for n in range(len(xs)))


@dataclass(frozen=True)
class Comparison:
    """How many times as long one side takes as another: the median over rounds, and its confidence interval."""

    ratio: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Comparison:
        """The comparison from paired ratios, one per round.

        Examples
        --------
        >>> Comparison.of([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7])
        Comparison(ratio=1.35, low=1.0, high=1.7, rounds=8)
        """
        ratio, low, high = (round(x, 12) for x in median_interval(ratios, RATIO_CONFIDENCE))
        return cls(ratio, low, high, len(ratios))


def compare(first: Worker, second: Worker, case: BenchCase, beyond: float) -> Comparison:
    """Time a case on two sides in turn, until it is clear whether the ratio first / second is beyond a limit.

    A round is first, second, second, first, or the other way round: a machine that gets slower or faster meanwhile affects both
    alike.

    Raises
    ------
    Untimed
        Where a side gives no correct answer.
    """
    pair, counts = (first, second), []
    for worker in pair:
        worker.prepare(case)
        counts.append(worker.ask("calibrate", seconds=BLOCK)["total"])

    def block(n: int) -> float:
        return float(pair[n].ask("time", kind="total", passes=counts[n])["seconds"])

    ratios: list[float] = []
    began = time.monotonic()
    while True:
        outer = len(ratios) % 2
        times = [(n, block(n)) for n in (outer, 1 - outer, 1 - outer, outer)]
        ratios.append(math.exp(sum((1 - 2 * n) * math.log(t) for n, t in times) / 2))
        if len(ratios) < LEAST_ROUNDS:
            continue
        comparison = Comparison.of(ratios)
        if comparison.high <= beyond or comparison.low > beyond or time.monotonic() - began > MOST_SECONDS:
            break
    for worker in pair:
        worker.judge(case)
    return comparison
