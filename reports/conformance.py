"""The conformance page: the results of runs as one HTML file that a person can read from top to bottom."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ..oracle.judge import FAILING, VERDICTS
from ..oracle.legs import LEGS
from ..oracle.modes import MODES
from ..records.accuracy import AccuracyStats
from ..records.case import Case, ScriptCase
from ..records.models import CheckRun, DisagreementRecord, FailureRecord, KinkRecord
from ..records.sentences import failure_sentence, ledger_sentence
from ..records.summary import CATEGORIES, JUDGED, OpSummary, Summary, counted
from ..records.text import read_text, visible
from .charts import MUTED, SERIES, canvas, dots, svg
from .ci import HEADLINES
from .compare import Change, compare, headline
from .pages import render
from .report import case_lines, replay_command

__all__ = ["MOST_BYTES", "PAGE", "Run", "conformance_page"]

#: The name of the page in its folder.
PAGE = "index.html"
#: The page is smaller than this; it says what is left out because it does not fit.
MOST_BYTES = 1_000_000
#: How much is shown, as (failures in full, plots), from most to least.
FITTINGS = ((40, True), (40, False), (10, False), (0, False))
#: A program and a script are shown in about as many lines, each of about as many characters.
LINES, WIDTH = 40, 400
#: Errors above so many units in the last place are drawn at the top of a plot.
TALLEST = 1e4
#: Operands farther from 0 are not drawn: no axis has room for them.
FARTHEST = 1e100


@dataclass
class Run:
    """One run on the page.

    Parameters
    ----------
    summary : Summary
    strict : bool
        Whether loss of digits fails the gate.
    before : Summary, optional
        The run before it in the same folder.
    notes : list of str
        Remarks on its records.
    folder : Path, optional
        Where ``cases`` are, with the scripts of failures.
    label : str
        What the page calls it; backend and version where empty.
    """

    summary: Summary
    strict: bool = False
    before: Summary | None = None
    notes: list[str] = field(default_factory=list)
    folder: Path | None = None
    label: str = ""

    @property
    def header(self) -> CheckRun:
        """The run's own first record."""
        return self.summary.header

    @property
    def backend(self) -> str:
        """Who was asked."""
        return self.header.backend or "a backend"

    @property
    def status(self) -> int:
        """The exit status."""
        return self.summary.status(self.strict)

    @property
    def word(self) -> str:
        """The exit status in words."""
        return HEADLINES[self.status]

    @property
    def mood(self) -> str:
        """The class that paints the verdict."""
        return {0: "correct", 1: "new", 4: "new"}.get(self.status, "undecided")

    @property
    def changes(self) -> list[Change]:
        """What changed since the run before it."""
        return compare(self.before, self.summary) if self.before is not None else []

    @property
    def dtypes(self) -> list[str]:
        """The dtypes asked about."""
        judged = (dtype for op in self.summary.ops.values() for dtype in op.by_dtype if dtype)
        return [*dict.fromkeys((*self.header.dtypes, *judged))]


def conformance_page(runs: Sequence[Run]) -> str:
    """The page of some runs, the first one first; no run is ranked, and nothing is added up across them.

    Parameters
    ----------
    runs : sequence of Run

    Returns
    -------
    str
        HTML, shorter than `MOST_BYTES` when encoded.
    """
    _name(runs)
    for most, plots in FITTINGS:
        text = render("conformance.html", **_context(runs, most, plots))
        if len(text.encode()) < MOST_BYTES:
            return text
    raise ValueError(f"a page of {len(runs)} runs is larger than {MOST_BYTES} bytes: give fewer")


def _name(runs: Sequence[Run]) -> None:
    """Give every run a label of its own."""
    for run in runs:
        run.label = " ".join([run.backend, *list(run.header.versions.values())[:1]])
    labels = [run.label for run in runs]
    for number, run in enumerate(runs, 1):
        if labels.count(run.label) > 1:
            run.label += f" (run {number})"


def _context(runs: Sequence[Run], most: int, plots: bool) -> dict[str, Any]:
    return {
        "runs": runs, "one": len(runs) == 1, "verdicts": VERDICTS, "categories": CATEGORIES,
        "titles": {mode.name: mode.title for mode in MODES.values()},
        "ledger_sentence": ledger_sentence, "facts": _facts, "columns": _columns(runs), "groups": _groups(runs),
        "failures": lambda run: _failures(run, most),
        "known": _known, "unverified": _unverified, "headline": headline, "accuracy": _accuracy, "number": _number,
        "short": _short, "plots": _plots(runs) if plots else [], "plots_left_out": not plots, "legend": _legend(runs),
        "kinks": _kinks(runs),
        "sensitivity": sensitivity(), "floors": _floors(runs), "legs": tuple(LEGS), "costly": _costly, "witnesses": _witnesses,
        "disagreements": _disagreements, "counted": counted, "time": _time,
    }  # fmt: skip


# -- texts ---------------------------------------------------------------------------------------------------------------------


def _number(value: float, digits: int = 3) -> str:
    """A number for a table: nothing where there is none."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    return f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def _short(value: Any) -> str:
    """A number as exactly as it takes, without a needless fraction."""
    number = float(value)
    return f"{number:.17g}" if abs(number) < 1e16 and number == int(number) else repr(number)


def _time(started: str) -> str:
    """A moment as people write it."""
    return (started or "an unknown time").replace("T", " ").replace("+00:00", " UTC")


def _clipped(lines: Sequence[str]) -> str:
    """Lines for a page: long ones and the middle of many are cut, and that is seen."""
    cut = [line if len(line) <= WIDTH else line[:WIDTH] + " …" for line in lines]
    over = len(cut) - LINES
    if over > 1:
        cut[LINES // 2 : LINES // 2 + over] = [f"… ({over} lines, all of which are in the case's file)"]
    return "\n".join(cut)


def _facts(run: Run) -> list[tuple[str, str]]:
    """Where a run comes from."""
    h, place = run.header, run.header.environment
    versions = ", ".join(f"{package} {version}" for package, version in h.versions.items())
    threads = ", ".join(f"{k} {v}" for k, v in place.threads.items()) or "not limited"
    took = f", for {run.summary.end.seconds:.0f} s" if run.summary.end else ""
    processor = ", ".join(filter(None, (place.cpu or place.machine, f"{place.cores or '?'} cores")))
    facts = [
        ("judged", versions), ("commit", h.commit), ("by", f"adjudge {h.adjudge}"), ("when", _time(h.started) + took),
        ("profile", f"{h.profile}, seed {h.seed if h.seed is not None else 'unknown'}"), ("dtypes", ", ".join(run.dtypes)),
        ("legs", ", ".join(h.legs)), ("Python", place.python), ("NumPy", place.numpy), ("BLAS", place.blas or "unknown"),
        ("threads", threads), ("processor", processor), ("platform", place.platform), ("run", h.run),
    ]  # fmt: skip
    return [(name, text) for name, text in facts if text]


# -- the matrix ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """How one op was judged in one column: its state, how often, and what else there was."""

    state: str
    count: str = ""
    rest: str = ""

    @property
    def style(self) -> str:
        """Its class in the style sheet."""
        return "unjudged" if self.state in ("not judged", "not asked") else self.state


def _columns(runs: Sequence[Run]) -> list[str]:
    return runs[0].dtypes if len(runs) == 1 else [run.label for run in runs]


def _catalogue(runs: Sequence[Run]) -> dict[str, str]:
    """Every op with its family: those that a run could have asked about, and those that one did."""
    ops: dict[str, str] = {}
    for run in runs:
        ops |= {op: family for op, family in run.header.catalogue.items() if op not in ops}
        ops |= {op: row.family or ops.get(op, "") for op, row in run.summary.ops.items()}
    return ops


def _groups(runs: Sequence[Run]) -> list[tuple[str, list[tuple[str, list[Cell], str]]]]:
    """The matrix: families, their ops, a cell per column, and the legs that agreed."""
    groups: dict[str, list[tuple[str, list[Cell], str]]] = {}
    for op, family in _catalogue(runs).items():
        rows = [run.summary.ops.get(op) for run in runs]
        cells = [_cell(rows[0], dtype) for dtype in runs[0].dtypes] if len(runs) == 1 else [_cell(row) for row in rows]
        agreed = [leg.letter for leg in LEGS.values() if any(row is not None and row.agreed(leg.name) for row in rows)]
        groups.setdefault(family or "others", []).append((op, cells, " ".join(agreed)))
    return [*groups.items()]


def _cell(row: OpSummary | None, dtype: str | None = None) -> Cell:
    if row is None:
        return Cell("not asked")
    counts = row.categories if dtype is None else row.by_dtype.get(dtype, Counter())
    judged = sum(counts[s] for s in JUDGED)
    order = ("new", "known", "lossy", "correct") if judged else ("undecided", "unsupported")
    state = next((s for s in order if counts[s]), "not judged")
    if state in ("not judged", "unsupported"):
        return Cell(state)
    count = str(counts[state]) if state in ("correct", "undecided") else f"{counts[state]} of {judged}"
    rest = ", ".join(f"{counts[s]} {s}" for s in ("lossy", "undecided", "unsupported") if counts[s] and s != state)
    return Cell(state, count, rest)


# -- failures ------------------------------------------------------------------------------------------------------------------


def _failures(run: Run, most: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Findings: up to `most` of them in full, and the others' sentences."""
    told = [cause for cause in run.summary.causes if cause.failures]
    full = [
        _shown(run, cause.failures[0]) | {"extent": cause.extent, "also": [_shown(run, f) for f in cause.failures[1:]]}
        for cause in told[:most]
    ]
    return full, [failure_sentence(cause.failures[0], run.backend) for cause in told[most:]]


def _shown(run: Run, record: FailureRecord | DisagreementRecord) -> dict[str, Any]:
    case, sentence, verdict = record.case, "", ""
    if isinstance(record, FailureRecord):
        sentence, verdict = failure_sentence(record, run.backend), record.verdict
    return {
        "sentence": sentence, "verdict": verdict, "op": record.op, "id": case.id, "program": _clipped(case_lines(case)),
        "replay": replay_command(case, run.summary.header), "script": _script(run, case.id), "witnesses": _witnesses(case),
    }  # fmt: skip


def _disagreements(run: Run, most: int = 10) -> list[dict[str, Any]]:
    return [_shown(run, d) for d in run.summary.disagreements[:most]]


def _script(run: Run, name: str) -> str:
    file = run.folder / "cases" / f"{name}.py" if run.folder is not None and name.isalnum() else None
    try:
        return _clipped(visible(read_text(file)).splitlines()) if file is not None else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _witnesses(case: Case | ScriptCase) -> list[tuple[str, str, str, str]]:
    """Who says what: leg, stance, derivative along the direction, note."""
    witnesses = case.witnesses if isinstance(case, Case) else ()
    return [(w.leg, w.stance, "" if math.isnan(w.derivative) else f"{w.derivative:.17g}", w.note) for w in witnesses]


def _known(run: Run) -> list[dict[str, Any]]:
    """The ledger: what is on record, how it was when replayed, and how often it was met."""
    met, rows = run.summary.known, []
    for r in run.summary.ledger:
        bad = r.state in ("no longer fails", "fails otherwise")
        rows.append({
            "id": r.id, "op": r.op, "state": r.state, "reason": r.reason, "met": met[r.id],
            "style": "new" if bad else "known" if r.state == "still fails" else "undecided",
        })  # fmt: skip
    on_record = {r.id for r in run.summary.ledger}
    rows += [
        {"id": name, "op": "", "state": "not replayed", "reason": "", "met": count, "style": "undecided"}
        for name, count in met.items()
        if name not in on_record
    ]
    return rows


def _unverified(run: Run) -> list[tuple[str, str, str]]:
    """What was not verified: how, how much, and why."""
    s = run.summary
    out = [("support lost", "", sentence.removeprefix("support lost: ")) for sentence in s.support_lost()]
    out += [("undecided", counted(count, "question"), reason) for reason, count in s.undecided.most_common()]
    out += [("unsupported", counted(count, "question"), reason) for reason, count in s.unsupported.most_common()]
    if left := s.unfinished:
        out.append(("not judged", counted(len(left), "op"), "the run ended before everything was asked: " + ", ".join(left)))
    if unclear := [row.op for row in s.unverified]:
        out.append(("not judged", counted(len(unclear), "op"), "no question could be judged: " + ", ".join(unclear)))
    for op, dtype, undecided, asked in s.blurred:
        why = f"{op} in {dtype}, with the unit roundoff {s.header.unit_roundoff[dtype]:g} that the backend declares"
        out.append(("undecided", f"{undecided} of {asked}", why))
    others = [op for op in run.header.catalogue if op not in s.ops]
    if others:
        out.append(("not asked", counted(len(others), "op"), "the run was about other ops: " + ", ".join(others)))
    entries = [r.id for r in s.ledger if r.state == "not judged"]
    if entries:
        out.append(("not judged", f"{len(entries)} of the ledger", "could not be judged again: " + ", ".join(entries)))
    lone = [op for op, row in s.ops.items() if row.judged and row.legs and not any(map(row.agreed, list(LEGS)[1:]))]
    if lone:
        out.append(("one leg", counted(len(lone), "op"), "no leg but the balls spoke for the truth: " + ", ".join(lone)))
    return out


# -- accuracy ------------------------------------------------------------------------------------------------------------------


def _accuracy(run: Run) -> Iterator[tuple[str, list[tuple[str, AccuracyStats]]]]:
    """Ops whose gradients' accuracy is on record, by dtype."""
    for op, row in run.summary.ops.items():
        if measured := [(dtype, row.accuracy[dtype]) for dtype in run.dtypes if dtype in row.accuracy]:
            yield op, measured


def _legend(runs: Sequence[Run]) -> list[tuple[str, int]]:
    """What each colour of the plots stands for: dtypes of a single run, else runs."""
    names = runs[0].dtypes if len(runs) == 1 else [run.label for run in runs]
    return [(name, number % len(SERIES) + 1) for number, name in enumerate(names)]


def _series(runs: Sequence[Run], op: str) -> list[list[tuple[float, float]]]:
    """Points of a plot, one list per colour."""
    rows = [run.summary.ops.get(op) for run in runs]
    if len(runs) == 1:
        row = rows[0]
        return [_drawn(row.accuracy[d].places.values()) if row and d in row.accuracy else [] for d in runs[0].dtypes]
    return [_drawn(p for a in row.accuracy.values() for p in a.places.values()) if row else [] for row in rows]


def _drawn(places: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that a plot can show, in order."""
    return sorted((x, error) for x, error in places if abs(x) <= FARTHEST and error >= 0)


def _plots(runs: Sequence[Run]) -> list[tuple[str, Markup]]:
    """For every op whose error is known by its operand, that error over the domain."""
    out: list[tuple[str, Markup]] = []
    for op in _catalogue(runs):
        series = _series(runs, op)
        if sum(map(len, series)) >= 3:
            out.append((op, _plot(op, series, f"plot-{len(out)}", [name for name, _ in _legend(runs)])))
    return out


def _plot(op: str, series: Sequence[Sequence[tuple[float, float]]], name: str, labels: Sequence[str]) -> Markup:
    from matplotlib.ticker import FuncFormatter, SymmetricalLogLocator

    points = [point for one in series for point in one]
    (x, worst), xs = max(points, key=lambda p: p[1]), [p[0] for p in points]
    with canvas(236, 132, margins=(0.15, 0.97, 0.17, 0.96)) as (figure, axes):
        axes.set_xscale("symlog", linthresh=0.01)
        axes.set_yscale("symlog", linthresh=1.0, linscale=0.6)
        axes.axhline(1.0, color=MUTED, linewidth=0.6, dashes=(2, 3))
        for number, one in enumerate(series):
            dots(axes, [(p[0], min(p[1], TALLEST * 1.6)) for p in one], SERIES[number % len(SERIES)], 3.2)
        axes.set_ylim(-0.06, max(10.0, min(worst, TALLEST) * 2))
        reach = max(map(abs, xs))
        axes.set_xlim(-1.6 * reach if min(xs) < 0 else -0.002, 1.6 * reach if max(xs) > 0 else 0.002)
        axes.set_xticks(_ticks(axes, 0, (0.0, 1.0, -1.0, 100.0, -100.0, 1e4, -1e4, 0.1, -0.1), 36))
        axes.set_yticks(_ticks(axes, 1, (0.0, 1.0, 1e4, 100.0, 10.0, 1e3), 14))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: _tick(v)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: _tick(v)))
        axes.xaxis.set_minor_locator(SymmetricalLogLocator(base=1e9, linthresh=1))
        axes.yaxis.set_minor_locator(SymmetricalLogLocator(base=1e9, linthresh=1))
        seen = "; ".join(
            f"{label}: at most {_number(max(p[1] for p in one))}" for label, one in zip(labels, series, strict=True) if one
        )
        description = f"Units in the last place by operand, both on logarithmic scales. {seen}. Worst at {_number(x)}."
        return svg(figure, f"Error of the gradient of {op} over its domain", description, name)


def _ticks(axes: Any, axis: int, wanted: Sequence[float], apart: float) -> list[float]:
    """Those of the wanted ticks, the more important ones first, that are on the axis and `apart` pixels from each other."""
    low, high = (axes.get_xlim, axes.get_ylim)[axis]()
    kept: dict[float, float] = {}
    for tick in wanted:
        place = float(axes.transData.transform((tick, tick))[axis])
        if low <= tick <= high and all(abs(place - other) >= apart for other in kept.values()):
            kept[tick] = place
    return sorted(kept)


def _tick(value: float) -> str:
    return (f"{value:g}" if abs(value) < 1e4 else f"{value:.0e}".replace("e+0", "e")).replace("-", "−")


# -- kinks, and what the suite can see -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pick:
    """What a backend takes at a kink."""

    text: str
    verdict: str
    style: str


def _kinks(runs: Sequence[Run]) -> list[tuple[str, str, list[Pick]]]:
    """The kink table: name, subgradients, one pick per run."""
    rows = {r.name: r.subgradients for run in runs for r in run.summary.kinks}
    records = [{r.name: r for r in run.summary.kinks} for run in runs]
    return [(name, set_, [_pick(by_name.get(name)) for by_name in records]) for name, set_ in rows.items()]


def _pick(record: KinkRecord | None) -> Pick:
    if record is None:
        return Pick("", "not asked", "unjudged")
    verdict, got = record.verdict, record.got
    if verdict in ("unsupported", "crash") or not got:
        return Pick("", verdict, "new" if verdict in FAILING else "unsupported")
    flat = [_flat(g) for g in got]
    text = flat[0] if len(flat) == 1 else f"({', '.join(flat)})"
    style = "correct" if verdict == "correct" else "new" if verdict in FAILING else "undecided"
    return Pick(text, "in it" if verdict == "correct" else verdict, style)


def _flat(value: Any) -> str:
    return f"({', '.join(map(_flat, value))})" if isinstance(value, tuple) else _number(value, 6)


@cache
def sensitivity() -> dict[str, Any]:
    """Which seeded faults the suite rejects, as `nox -s sensitivity` found; published with the package."""
    return dict(json.loads(files("adjudge.reports").joinpath("sensitivity.json").read_text("utf-8")))


def _floors(runs: Sequence[Run]) -> list[tuple[str, list[tuple[str, str]], str]]:
    """For every op, by column, the relative errors that half of the questions and the sharpest one would see; faults seen."""
    seen = sensitivity()["ops"]
    out = []
    for op in _catalogue(runs):
        rows = [run.summary.ops.get(op) for run in runs]
        if len(runs) == 1:
            measured = [rows[0].accuracy.get(dtype) if rows[0] else None for dtype in runs[0].dtypes]
        else:
            measured = [row.accuracy.get("float64") if row else None for row in rows]
        cells = [(_number(a.floor, 2), _number(a.sharpest, 2)) if a else ("–", "–") for a in measured]
        out.append((op, cells, "{} of {}".format(*seen[op]) if op in seen else "not tried"))
    return out


def _costly(run: Run, most: int = 10) -> list[OpSummary]:
    """The ops that took longest."""
    return sorted((row for row in run.summary.ops.values() if row.seconds), key=lambda row: -row.seconds)[:most]
