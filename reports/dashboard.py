"""The dashboard: what the runs of a history show together, machine by machine, as one HTML file."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from markupsafe import Markup
from packaging.version import InvalidVersion, Version

from ..records.history import History, Machine, PastRun, Series, Sighting
from ..records.summary import JUDGED, counted
from .changepoints import CHANCE, LEAST, ChangePoint, change_points
from .charts import INK, MUTED, SERIES, STATES, canvas, svg
from .ci import HEADLINES
from .pages import render
from .timings import SECONDS, amount

__all__ = ["DASHBOARD", "MOST_BYTES", "dashboard"]

#: The name of the page in its folder.
DASHBOARD = "dashboard.html"
#: The page is smaller than this; it says what is left out because it does not fit.
MOST_BYTES = 1_000_000
#: What is tried in turn: how many machines, those that ran last, and how many rows at most under a chart.
FITTINGS = ((8, 200), (8, 60), (8, 20), (3, 20), (1, 20), (1, 5))
#: How many runs a chart shows: the last ones.
MOST_RUNS = 200
#: How many changes are listed, and how many findings drawn; the tables hold more.
MOST_LISTED, MOST_DRAWN = 40, 30


def dashboard(history: History) -> str:
    """The page of a history.

    Parameters
    ----------
    history : History

    Returns
    -------
    str
        HTML, shorter than `MOST_BYTES` when encoded.
    """
    machines = history.machines()
    places: list[dict[str, Any]] = []
    for most, rows in FITTINGS:
        for number, machine in enumerate(machines[len(places) : most], len(places)):
            places.append(_place(history, machine, f"m{number}"))
        text = render(
            "dashboard.html", machines=places[:most], others=[m.label for m in machines[most:]], most=rows, notes=history.notes,
            counted=counted, chance=CHANCE,
        )  # fmt: skip
        if len(text.encode()) < MOST_BYTES:
            return text
    raise ValueError(f"the dashboard is larger than {MOST_BYTES} bytes even at its shortest: begin a new history")


def _place(history: History, machine: Machine, name: str) -> dict[str, Any]:
    """Everything that the page says about one machine."""
    series, checked = history.series(machine.key), history.conformance(machine.key)
    return {
        "name": name, "label": machine.label, "key": machine.key, "runs": machine.runs[::-1],
        "throughput": _throughput(series, name), "releases": list(_releases(series, checked, name)),
        "conformance": [
            _conformance(backend, profile, runs, f"{name}-c{k}") for k, ((backend, profile), runs) in enumerate(checked.items())
        ],
    }  # fmt: skip


def _when(started: str) -> str:
    """A moment as people write it, to the minute."""
    return started.replace("T", " ")[:16]


def _dated(axes: Any, started: Sequence[str]) -> None:
    """Ticks at the first and the last of some runs, and the middle where there is room: days, or hours where all are of one."""
    places: list[int] = sorted({0, len(started) - 1, *([len(started) // 2] if len(started) > 4 else [])})
    part = slice(11, 16) if len({one[:10] for one in started}) == 1 else slice(5, 10)
    axes.set_xticks(places, [started[place][part] for place in places])


def _changed(before: str, after: str) -> str:
    """What is different between two texts of versions."""
    old, new = (dict(part.split(" ", 1) for part in text.split(", ") if " " in part) for text in (before, after))
    changes = [
        f"{name} {old.get(name, 'absent')} → {new.get(name, 'absent')}"
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]
    return f"with {', '.join(changes)}" if changes else "with the same versions"


# -- throughput ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chart:
    """A chart with its table: column heads, rows of cells, and what stands above it."""

    caption: str
    picture: Markup
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def _throughput(series: Sequence[Series], name: str) -> dict[str, Any]:
    """Charts of throughput by op, and the steps in words."""
    backends = list(dict.fromkeys(s.backend for s in series))
    stepped = list(zip(series, change_points([[point.total_s for point in s.points] for s in series]), strict=True))
    changes = list(_changes([(s, step) for s, steps in stepped for step in steps], series))
    cases: dict[tuple[str, ...], list[tuple[Series, list[ChangePoint]]]] = {}
    for s, steps in stepped:
        cases.setdefault((s.op, s.case, s.layout, s.dtype, s.setting), []).append((s, steps))
    settings = len({s.setting for s in series}) > 1
    ops: dict[str, list[Chart]] = {}
    for number, ((op, *words, setting), group) in enumerate(cases.items()):
        caption = ", ".join([*words, *([setting] if settings else [])])
        ops.setdefault(op, []).append(_speeds(f"{op} {caption}", caption, group, backends, f"{name}-t{number}"))
    return {
        "changes": changes[:MOST_LISTED], "more": len(changes[MOST_LISTED:]),
        "ops": ops, "legend": [(b, k % len(SERIES) + 1) for k, b in enumerate(backends)],
        "enough": any(len(s.points) >= 2 * LEAST for s in series), "least": 2 * LEAST,
    }  # fmt: skip


def _changes(steps: Sequence[tuple[Series, ChangePoint]], series: Sequence[Series]) -> Iterator[tuple[str, str]]:
    """The steps in words with a turn each, latest first; those of one op that come together make one sentence."""
    together: dict[tuple[Any, ...], list[tuple[Series, ChangePoint]]] = {}
    for s, step in steps:
        at = s.points[step.at]
        together.setdefault((at.started, at.number, s.backend, s.op, step.ratio > 1), []).append((s, step))
    for (*_, backend, op, slower), alike in sorted(together.items(), key=lambda item: item[0][:2], reverse=True):
        cases = sum(1 for s in series if (s.backend, s.op) == (backend, op))
        yield ("slower" if slower else "faster"), _step_sentence(alike, cases)


def _step_sentence(steps: Sequence[tuple[Series, ChangePoint]], cases: int) -> str:
    """Steps of one op in the same run, in words.

    Examples
    --------
    >>> from ..records.history import PastTiming
    >>> old, new = (PastTiming(n, f"2026-11-2{n}T10:00", f"mygrad 2.{n}.0", "0.1.0", 1, 1, 1, 1e9) for n in (4, 5))
    >>> one = Series("mygrad", "matmul", "8 @ 8", "C", "float64", "", (old, new))
    >>> _step_sentence([(one, ChangePoint(1, 1.32, 1.21, 1.44, 0.01))], 9)
    'mygrad: matmul 8 @ 8, C, float64 takes 1.32 times as long (1.21 to 1.44) since 2026-11-25 10:00, with mygrad 2.4.0 → 2.5.0'
    >>> _step_sentence([(one, ChangePoint(1, 1.32, 1.21, 1.44, 0.01)), (one, ChangePoint(1, 1.5, 1.4, 1.6, 0.01))], 9)
    'mygrad: 2 of 9 cases of matmul take 1.32 to 1.50 times as long since 2026-11-25 10:00, with mygrad 2.4.0 → 2.5.0'
    """
    first, step = steps[0]
    before, after = first.points[step.at - 1], first.points[step.at]
    since = f"since {_when(after.started)}, {_changed(before.versions, after.versions)}"
    if len(steps) == 1:
        what = f"{first.op} {first.case}, {first.layout}, {first.dtype}"
        return f"{first.backend}: {what} takes {step.ratio:.2f} times as long ({step.low:.2f} to {step.high:.2f}) {since}"
    ratios = sorted(step.ratio for _, step in steps)
    times = " to ".join(dict.fromkeys(f"{ratio:.2f}" for ratio in (ratios[0], ratios[-1])))
    return f"{first.backend}: {len(steps)} of {cases} cases of {first.op} take {times} times as long {since}"


def _speeds(
    title: str, caption: str, stepped: Sequence[tuple[Series, list[ChangePoint]]], backends: Sequence[str], name: str
) -> Chart:
    """Throughput of one case over runs, one line per backend."""
    started = {p.number: p.started for s, _ in stepped for p in s.points}
    numbers = sorted(started, key=lambda number: (started[number], number))[-MOST_RUNS:]
    at = {number: k for k, number in enumerate(numbers)}
    cells: dict[int, dict[str, str]] = {number: {} for number in numbers}
    with canvas(236, 132, margins=(0.17, 0.96, 0.17, 0.94)) as (figure, axes):
        speeds = []
        for s, steps in stepped:
            points = [(at[p.number], p.flops / p.total_s / 1e9, p) for p in s.points if p.number in at]
            colour = SERIES[backends.index(s.backend) % len(SERIES)]
            axes.plot([x for x, _, _ in points], [y for _, y, _ in points], color=colour, linewidth=1.2, marker=None)
            for x, y, _ in points[:1] if len(points) == 1 else []:
                axes.plot([x - 0.15, x + 0.15], [y, y], color=colour, linewidth=2.4)
            for step in steps:
                if (number := s.points[step.at].number) in at:
                    axes.axvline(at[number] - 0.5, color=colour, linewidth=0.9, dashes=(2, 2))
            for _, y, p in points:
                cells[p.number][s.backend] = f"{amount(p.total_s, SECONDS)} ({y:.3g})"
            speeds += [y for _, y, _ in points]
        if max(speeds) > 6 * min(speeds):
            axes.set_yscale("log")
            axes.set_ylim(min(speeds) / 1.5, max(speeds) * 1.5)
        else:
            axes.set_ylim(0, 1.15 * max(speeds))
        axes.set_xlim(-0.6, max(len(numbers) - 0.4, 0.6))
        _dated(axes, [started[number] for number in numbers])
        _round_ticks(axes)
        latest = "; ".join(f"{s.backend} {s.points[-1].flops / s.points[-1].total_s / 1e9:.3g}" for s, _ in stepped)
        picture = svg(figure, f"Throughput of {title}", f"GFLOP/s over {counted(len(numbers), 'run')}; latest: {latest}.", name)
    here = [b for b in backends if any(s.backend == b for s, _ in stepped)]
    rows = [[_when(started[n]), *(cells[n].get(b, "") for b in here)] for n in reversed(numbers)]
    return Chart(caption, picture, ["run", *here], rows)


def _round_ticks(axes: Any, most: int = 5) -> None:
    """Round numbers as ticks of the vertical axis, the rounder the better, in plain words."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    if axes.get_yscale() == "log":
        low, high = axes.get_ylim()
        kept: list[float] = []
        for mantissa in (1.0, 2.0, 5.0, 3.0, 1.5, 7.0, 1.2, 8.0, 9.0, 1.1):
            for tick in (mantissa * 10.0**decade for decade in range(-9, 10)):
                if low <= tick <= high and all(abs(np.log(tick / other)) > np.log(high / low) / most / 1.5 for other in kept):
                    kept.append(tick)
        axes.set_yticks(kept)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(most - 1))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))


# -- releases ------------------------------------------------------------------------------------------------------------------


def _version(text: str) -> Version:
    """The version of a library, to be sorted by; what is none comes first."""
    try:
        return Version(text.partition(",")[0].rpartition(" ")[2])
    except InvalidVersion:
        return Version("0")


def _releases(series: Sequence[Series], seen: dict[tuple[str, str], list[PastRun]], name: str) -> Iterator[dict[str, Any]]:
    """For every backend with several versions on record: time by version relative to the newest, and conformance."""
    for number, backend in enumerate(dict.fromkeys(one.backend for one in series)):
        times: dict[tuple[str, str, str, str], dict[str, float]] = {}
        for one in series:
            if one.backend == backend:
                key = (one.op, ", ".join((one.case, one.layout, one.dtype)), one.setting, one.dtype)
                kinds: dict[str, list[float]] = {}
                for p in one.points:
                    kinds.setdefault(p.versions, []).append(p.total_s)
                times.setdefault(key, {}).update({v: statistics.median(some) for v, some in kinds.items()})
        versions = sorted({v for some in times.values() for v in some}, key=_version)
        if len(versions) > 1:
            yield _side_by_side(backend, versions, times, seen, f"{name}-r{number}")


def _side_by_side(
    backend: str, versions: Sequence[str], times: dict[tuple[str, str, str, str], dict[str, float]],
    seen: dict[tuple[str, str], list[PastRun]], name: str,
) -> dict[str, Any]:  # fmt: skip
    short = [v.partition(",")[0].rpartition(" ")[2] for v in versions]
    short = short if len(set(short)) == len(short) else list(versions)
    newest, charts = versions[-1], []
    for k, op in enumerate(dict.fromkeys(key[0] for key in times)):
        ratios = {
            key[1]: [(some[v] / some[newest] if v in some else None) for v in versions]
            for key, some in times.items()
            if key[0] == op and newest in some
        }
        if ratios:
            charts.append((op, _relative(backend, op, short, ratios, f"{name}-{k}")))
    judged = []
    for (who, profile), runs in seen.items():
        if who == backend:
            latest = {run.versions.partition(",")[0]: run for run in runs if not run.partial}
            for version, run in sorted(latest.items(), key=lambda item: _version(item[0])):
                known = sum(1 for f in run.findings if f.known and f.place == "still fails")
                new = sum(1 for f in run.findings if not f.known)
                judged.append((version, profile, str(run.judged), str(new), str(known), HEADLINES[run.status].lower()))
    return {"backend": backend, "versions": versions, "newest": short[-1], "charts": charts, "judged": judged}


def _relative(backend: str, op: str, versions: Sequence[str], ratios: dict[str, list[float | None]], name: str) -> Chart:
    """How long each release takes for the cases of an op, as a multiple of the newest."""
    with canvas(340, 190) as (figure, axes):
        axes.axhline(1.0, color=MUTED, linewidth=0.6, dashes=(2, 3))
        for some in ratios.values():
            known = [(x, r) for x, r in enumerate(some) if r is not None]
            axes.plot([x for x, _ in known], [r for _, r in known], color=MUTED, linewidth=0.5)
        middles = [[some[x] for some in ratios.values() if some[x] is not None] for x in range(len(versions))]
        medians = [statistics.median([r for r in some if r is not None]) if some else np.nan for some in middles]
        axes.plot(range(len(versions)), medians, color=SERIES[0], linewidth=2.0)
        axes.set_yscale("log")
        every = [r for some in ratios.values() for r in some if r is not None]
        axes.set_ylim(min([*every, 1.0]) / 1.2, max([*every, 1.0]) * 1.2)
        axes.set_xticks(range(len(versions)), versions)
        _round_ticks(axes, 7)
        listed = ", ".join(f"{v}: {m:.2f}" for v, m in zip(versions, medians, strict=True))
        text = f"Time relative to the newest release, one line per case, logarithmic; median over cases by release: {listed}."
        picture = svg(figure, f"{backend}: {op} by release", text, name)
    rows = [[case, *("" if r is None else f"{r:.2f}" for r in some)] for case, some in ratios.items()]
    rows.append(["median of the cases", *(f"{m:.2f}" for m in medians)])
    return Chart(op, picture, ["case", *versions], rows)


# -- conformance ---------------------------------------------------------------------------------------------------------------


def _conformance(backend: str, profile: str, runs: Sequence[PastRun], name: str) -> dict[str, Any]:
    """States of ops over runs, the changes of state, and findings."""
    return {
        "name": name, "backend": backend, "profile": profile, "runs": len(runs), "states": _states(backend, runs, f"{name}-s"),
        "turns": _turns(runs)[::-1], **_findings(backend, runs, f"{name}-f"),
    }  # fmt: skip


def _current(runs: Sequence[PastRun]) -> Iterator[tuple[PastRun, dict[str, str]]]:
    """Every run with the states of all ops after it; an op that a run did not judge keeps its state."""
    states: dict[str, str] = {}
    for run in runs:
        states |= {op: state for op, state in run.states.items() if state != "not judged" or op not in states}
        yield run, dict(states)


def _states(backend: str, runs: Sequence[PastRun], name: str) -> Chart:
    """How many ops are in which state after each run."""
    counts = [(run, Counter(states.values())) for run, states in _current(runs)][-MOST_RUNS:]
    kinds = [kind for kind in STATES if any(count[kind] for _, count in counts)]
    with canvas(640, 170) as (figure, axes):
        base = np.zeros(len(counts))
        for kind in kinds:
            heights = np.array([count[kind] for _, count in counts])
            axes.bar(range(len(counts)), heights, bottom=base, width=0.86, color=STATES[kind], linewidth=0)
            base = base + heights
        axes.set_xlim(-0.6, max(len(counts) - 0.4, 5.6))
        _round_ticks(axes)
        _dated(axes, [run.started for run, _ in counts])
        last = ", ".join(f"{counts[-1][1][kind]} {kind}" for kind in kinds if counts[-1][1][kind])
        picture = svg(
            figure, f"States of ops of {backend}", f"Ops by state over {counted(len(counts), 'run')}; at last {last}.", name
        )
    rows = [
        [_when(run.started), run.versions, f"{run.judged}", *(str(count[kind] or "") for kind in kinds)]
        for run, count in reversed(counts)
    ]
    return Chart("Ops by state", picture, ["run", "versions", "judged", *kinds], rows)


def _turns(runs: Sequence[PastRun]) -> list[tuple[str, str, str, str, str]]:
    """Every change of an op's state: when, op, from, to, and what was different."""
    out = []
    for (before, old), (after, new) in pairwise(_current(runs)):
        adjudges = [f"adjudge {run.adjudge}" for run in (before, after)]
        why = _changed(f"{before.versions}, {adjudges[0]}", f"{after.versions}, {adjudges[1]}")
        out += [(_when(after.started), op, old[op], state, why) for op, state in new.items() if op in old and old[op] != state]
    return out


def _findings(backend: str, runs: Sequence[PastRun], name: str) -> dict[str, Any]:
    """Every finding: when it was first and last seen, and since when it is gone."""
    every: dict[str, list[tuple[int, Sighting]]] = {}
    for number, run in enumerate(runs):
        for finding in run.findings:
            if finding.place != "no longer fails":
                every.setdefault(finding.key, []).append((number, finding))
    rows = []
    for sightings in every.values():
        (first, _), (last, latest) = sightings[0], sightings[-1]
        gone = next((run for run in runs[last + 1 :] if _covers(run, latest)), None)
        rows.append((first, last, gone, latest))
    rows.sort(key=_importance)
    if not rows:
        return {"findings": None}
    listed = [
        [
            "gone" if gone else "known" if f.known else "new", f.known or f.op, f.verdict, _when(runs[first].started),
            _when(runs[last].started), _when(gone.started) if gone else "", f.sentence,
        ]
        for first, last, gone, f in rows
    ]  # fmt: skip
    picture = _timelines(backend, [(a, b, gone is not None, f) for a, b, gone, f in rows[:MOST_DRAWN]], runs, name)
    heads = ["now", "finding", "verdict", "first seen", "last seen", "gone since", "what"]
    return {"findings": Chart("Findings", picture, heads, listed), "undrawn": len(rows[MOST_DRAWN:])}


def _importance(row: tuple[int, int, PastRun | None, Sighting]) -> tuple[Any, ...]:
    """What comes first: what is new, then what came or went on the way, and last what was known all along."""
    first, last, gone, finding = row
    kind = 0 if gone is None and not finding.known else 1 if gone is not None else 2 if first else 3
    return kind, -last, -first, finding.key


def _covers(run: PastRun, finding: Sighting) -> bool:
    """Whether a run would have met a finding if it were still there."""
    return not run.partial and run.states.get(finding.op, "not judged") in JUDGED


def _timelines(backend: str, rows: Sequence[tuple[int, int, bool, Sighting]], runs: Sequence[PastRun], name: str) -> Markup:
    """One line per finding, from the run that saw it first to the one that saw it last."""
    with canvas(640, 34 + 15 * len(rows)) as (figure, axes):
        for place, (first, last, gone, finding) in enumerate(rows):
            colour = MUTED if gone else STATES["known" if finding.known else "new"]
            axes.plot([first - 0.3, last + 0.3], [place, place], color=colour, linewidth=5.0, solid_capstyle="butt")
        axes.set_ylim(len(rows) - 0.3, -0.7)
        axes.set_xlim(-0.6, max(len(runs) - 0.4, 5.6))
        axes.set_yticks(range(len(rows)), [_cut(f.known or f"{f.op}: {f.verdict}") for *_, f in rows])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        _dated(axes, [run.started for run in runs])
        here = sum(1 for _, _, gone, _ in rows if not gone)
        text = f"First to last sighting, over {counted(len(runs), 'run')}: {here} still there, {len(rows) - here} gone."
        return svg(figure, f"Findings in {backend}", text, name)


def _cut(text: str, most: int = 34) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
