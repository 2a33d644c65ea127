"""The history and its dashboard: writers lose nothing, machines are not joined, steps are found and chance is not."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from lxml import html

from adjudge.cli import main
from adjudge.records.history import HistoryError, history
from adjudge.reports.changepoints import change_points
from adjudge.reports.dashboard import MOST_BYTES, dashboard

from ..reports.test_pages import HOSTILE, LEDGER, failure, header, outcome
from .examples import append, changed, ends, record, write

PLACE = {
    "cpu": "A Processor", "cores": 2, "machine": "x86_64", "platform": "Linux-6.1.0-x86_64", "python": "3.12.0",
    "numpy": "2.4.6", "blas": "openblas", "threads": {"OMP_NUM_THREADS": "1"},
}  # fmt: skip


END = record(kind="end", seconds=1.0)


def day(number: int) -> str:
    return f"2026-{3 + number // 28:02}-{1 + number % 28:02}T10:00:00+00:00"


def bench(
    number: int, seconds: float, version: str = "1.0", place: dict[str, Any] = PLACE, op: str = "matmul", **more: Any
) -> list[Any]:
    """The records of a run of benchmarks with one timing."""
    first = {
        "kind": "run", "what": "bench", "schema_version": 2, "run": f"{place['cpu']}{number}", "started": day(number),
        "adjudge": "0.1.0", "environment": place, "gate": None,
    }  # fmt: skip
    timing = {
        "kind": "timing", "backend": "toy", "versions": {"toy": version, "numpy": "2.4.6"}, "op": op, "case": "8x8 @ 8x8",
        "layout": "C", "dtype": "float64", "forward_s": seconds / 3, "total_s": seconds, "total_s_low": seconds * 0.99,
        "total_s_high": seconds * 1.01, "gradient_ratio": 3.0, "flops": 3072, "limit_flops_per_s": 1e9, "share": 0.5,
        "peak_bytes": None, "compile_s": None, "rounds": 9,
    }  # fmt: skip
    return [record(**first), record(**timing | more), END]


def check(number: int, *records: Any, **more: Any) -> list[Any]:
    """The records of a run of conformance."""
    first = header(run=f"c{number}", started=day(number), environment=PLACE, **more)
    return [first, *records, *ends(*first.ops), END]


def page(folder: Path) -> Any:
    """The dashboard of a history, as a tree."""
    with history(folder) as runs:
        return html.fromstring(dashboard(runs))


def text(folder: Path) -> str:
    return " ".join(page(folder).text_content().split())


def noisy(seed: int, count: int) -> np.ndarray:
    """Timings that scatter by some hundredths, with heavy tails."""
    return np.exp(np.random.default_rng(seed).standard_t(3, count) * 0.03)


# -- writing -------------------------------------------------------------------------------------------------------------------


WRITER = """
import sys
from pathlib import Path
from adjudge.records.files import read_records
from adjudge.records.history import BenchLine, append_history

folder, *runs = map(Path, sys.argv[1:])
for run in runs:
    assert append_history(folder, BenchLine.of(read_records(run).records)) == []
"""


def test_writers_in_parallel_lose_nothing(tmp_path: Path) -> None:
    writers = []
    for writer in range(4):
        runs = [tmp_path / f"{writer}-{number}.json" for number in range(6)]
        for number, run in enumerate(runs):
            write(tmp_path, bench(100 * writer + number, 1.0, case="x" * 50_000), run.name)
        writers.append(subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "h"), *map(str, runs)]))
    assert [writer.wait(60) for writer in writers] == [0] * 4
    with history(tmp_path / "h") as found:
        assert not found.notes
        (machine,) = found.machines()
        assert len(machine.runs) == 24
    assert len((tmp_path / "h" / "runs.ndjson").read_text().splitlines()) == 24


def test_a_torn_last_line_is_moved_away_and_said(tmp_path: Path) -> None:
    append(tmp_path, bench(1, 1.0))
    with open(tmp_path / "runs.ndjson", "ab") as file:
        file.write(b'{"kind":"bench","schema_ver')
    (said,) = append(tmp_path, bench(2, 1.0))
    assert "torn" in said
    assert "27 bytes" in said
    assert str(tmp_path / "torn.ndjson") in said
    assert (tmp_path / "torn.ndjson").read_bytes() == b'{"kind":"bench","schema_ver\n'
    with history(tmp_path) as found:
        assert len(found.machines()[0].runs) == 2
    assert append(tmp_path, bench(3, 1.0)) == []


def test_a_last_line_that_only_lacks_its_end_is_kept(tmp_path: Path) -> None:
    append(tmp_path, bench(1, 1.0))
    source = tmp_path / "runs.ndjson"
    source.write_bytes(source.read_bytes().rstrip(b"\n"))
    (said,) = append(tmp_path, bench(2, 1.0))
    assert "nothing is lost" in said
    with history(tmp_path) as found:
        assert len(found.machines()[0].runs) == 2


def test_a_reader_says_what_is_torn_and_leaves_alone_what_it_may_not_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(tmp_path, bench(1, 1.0))
    source = tmp_path / "runs.ndjson"
    source.write_bytes(source.read_bytes() + b"{")
    (tmp_path / "index.sqlite").unlink()
    monkeypatch.setattr("os.access", lambda *_: False)
    with history(tmp_path) as found:
        assert found.notes == [f"the last line of {source} is torn and was left out"]
        assert len(found.machines()[0].runs) == 1
    assert source.read_bytes().endswith(b"{")
    assert not (tmp_path / "index.sqlite").exists()


def test_a_run_that_is_appended_twice_is_there_once(tmp_path: Path) -> None:
    append(tmp_path, bench(1, 1.0))
    append(tmp_path, bench(1, 1.0))
    with history(tmp_path) as found:
        assert len(found.machines()[0].runs) == 1
        assert len(found.series(found.machines()[0].key)[0].points) == 1


# -- the index -----------------------------------------------------------------------------------------------------------------


def damage_nothing(index: Path) -> None:
    pass


def damage_by_removal(index: Path) -> None:
    index.unlink()


def damage_by_rubbish(index: Path) -> None:
    index.write_bytes(b"no database" * 100)


def damage_by_another_layout(index: Path) -> None:
    with closing(sqlite3.connect(index)) as database, database:
        database.execute("UPDATE source SET layout = 99")
        database.execute("DELETE FROM timings")


@pytest.mark.parametrize("damage", [damage_nothing, damage_by_removal, damage_by_rubbish, damage_by_another_layout])
def test_the_index_is_made_anew_where_it_does_not_fit(tmp_path: Path, damage: Any) -> None:
    for number in range(3):
        append(tmp_path, bench(number, 1.0 + number))
    damage(tmp_path / "index.sqlite")
    source = tmp_path / "runs.ndjson"
    source.write_text(
        source.read_text().replace('"total_s":2.0', '"total_s":5.0') if damage is damage_nothing else source.read_text()
    )
    with history(tmp_path) as found:
        times = [p.total_s for p in found.series(found.machines()[0].key)[0].points]
    assert times == [1.0, 5.0 if damage is damage_nothing else 2.0, 3.0]


def test_the_index_can_be_asked_in_sql(tmp_path: Path) -> None:
    append(tmp_path, bench(1, 1.5))
    append(tmp_path, check(2, outcome("exp"), failure("log")))
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as database:
        assert database.execute("SELECT op, total_s FROM timings").fetchall() == [("matmul", 1.5)]
        assert database.execute("SELECT op, verdict FROM findings").fetchall() == [("log", "wrong")]
        assert ("exp", "correct", 0.75) in database.execute("SELECT op, state, worst_ulp FROM states").fetchall()


# -- what is told --------------------------------------------------------------------------------------------------------------


def test_series_of_two_machines_are_not_joined(tmp_path: Path) -> None:
    other = PLACE | {"cpu": "Another Processor"}
    for number in range(12):
        append(tmp_path, bench(2 * number, 1.0))
        append(tmp_path, bench(2 * number + 1, 2.0, place=other))
    with history(tmp_path) as found:
        keys = [machine.key for machine in found.machines()]
        assert len(keys) == 2
        assert [[p.total_s for p in one.points] for key in keys for one in found.series(key)] == [[2.0] * 12, [1.0] * 12]
    said = text(tmp_path)
    assert "Another Processor, 2 cores" in said
    assert "times as long" not in said


def test_an_updated_system_is_the_same_machine_and_other_threads_are_another_series(tmp_path: Path) -> None:
    append(tmp_path, bench(0, 1.0))
    append(tmp_path, bench(1, 1.0, place=PLACE | {"platform": "Linux-6.2.0-x86_64", "numpy": "2.5.0"}))
    append(tmp_path, check(2, outcome()))
    threads = bench(3, 0.5, place=PLACE | {"threads": {"OMP_NUM_THREADS": "8"}})
    append(tmp_path, [changed(threads[0], run="eight threads"), *threads[1:]])
    with history(tmp_path) as found:
        (machine,) = found.machines()
        assert [len(one.points) for one in found.series(machine.key)] == [2, 1]
        assert len(machine.runs) == 4


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_step_is_found_at_its_run_and_told(tmp_path: Path, seed: int) -> None:
    times = noisy(seed, 28)
    times[20:] *= 1.3
    for number, seconds in enumerate(times):
        append(tmp_path, bench(number, float(seconds), "1.0" if number < 20 else "2.0"))
    said = re.search(
        r"toy: matmul 8x8 @ 8x8, C, float64 takes (\S+) times as long \((\S+) to (\S+)\) since (\S+ \S+), (.*?)At most",
        text(tmp_path),
    )
    assert said
    assert float(said[2]) <= float(said[1]) <= float(said[3])
    assert float(said[2]) <= 1.35
    assert float(said[3]) >= 1.25
    assert (said[4].rstrip(","), said[5].strip()) == ("2026-03-21 10:00", "with toy 1.0 → 2.0")


def test_chance_is_not_told_as_a_step() -> None:
    alone = sum(bool(change_points([noisy(seed, 30).tolist()])[0]) for seed in range(200))
    assert alone <= 16, f"of 200 flat series alone, {alone} show a step; a twentieth was promised"
    together = sum(any(change_points([noisy(1000 * seed + k, 30).tolist() for k in range(20)])) for seed in range(20))
    assert together <= 4, f"of 20 dashboards of 20 flat series, {together} tell of a step"


def test_steps_that_come_together_are_told_together(tmp_path: Path) -> None:
    for number in range(20):
        records = bench(number, 1.0)
        slow = 1.3 if number >= 10 else 1.0
        rows = [changed(records[1], case=f"case {k}", total_s=slow * float(noisy(k, 20)[number])) for k in range(4)]
        append(tmp_path, [records[0], *rows, records[-1]])
    assert "toy: 4 of 4 cases of matmul take 1.3" in text(tmp_path)


@pytest.mark.parametrize("count", [3, 9])
def test_no_change_is_told_where_there_is_none(tmp_path: Path, count: int) -> None:
    for number in range(count):
        append(tmp_path, bench(number, float(noisy(number, 1)[0])))
    assert ("Too few runs" if count == 3 else "No change that is more than chance") in text(tmp_path)


def test_releases_stand_side_by_side(tmp_path: Path) -> None:
    for number, (version, seconds) in enumerate((("1.9", 3.0), ("1.10", 2.0), ("2.0", 1.0), ("2.0", 1.0))):
        append(tmp_path, bench(number, seconds, version))
    append(tmp_path, check(5, outcome(), versions={"toy": "2.0"}, ops=["exp"]))
    append(tmp_path, check(6, outcome("exp", "wrong"), failure(), versions={"toy": "1.10"}))
    tree = page(tmp_path)
    (table,) = tree.xpath("//*[contains(@aria-label, 'by release of toy') and contains(@aria-label, 'matmul')]//table")
    assert [cell.text_content() for cell in table.xpath(".//thead//th")] == ["case", "1.9", "1.10", "2.0"]
    assert [cell.text_content() for cell in table.xpath(".//tbody/tr[1]/*")] == [
        "8x8 @ 8x8, C, float64",
        "3.00",
        "2.00",
        "1.00",
    ]
    (judged,) = tree.xpath("//*[starts-with(@aria-label, 'Conformance by release')]//table")
    rows = [[cell.text_content() for cell in row] for row in judged.xpath(".//tbody/tr")]
    assert rows == [["toy 1.10", "quick", "1", "1", "0", "failed"], ["toy 2.0", "quick", "1", "0", "0", "passed"]]


def test_only_transitions_of_states_are_told(tmp_path: Path) -> None:
    calm, broken = outcome("exp"), outcome("log", "wrong")
    runs: Sequence[tuple[Any, ...]] = [
        (calm, outcome("log")),
        (calm, outcome("log")),
        (calm, broken),
        (calm, broken),
    ]
    for number, records in enumerate(runs):
        append(tmp_path, check(number, *records, versions={"toy": "1.0" if number < 2 else "2.0"}))
    append(tmp_path, check(9, calm, versions={"toy": "2.0"}))  # log is not judged: it keeps its state
    (table,) = page(tmp_path).xpath("//*[contains(@aria-label, 'that changed state')]//table")
    rows = [[cell.text_content() for cell in row] for row in table.xpath(".//tbody/tr")]
    assert rows == [["2026-03-03 10:00", "log", "correct", "new", "with toy 1.0 → 2.0"]]


def test_findings_come_and_go(tmp_path: Path) -> None:
    entry = changed(LEDGER, id="old-bug")
    for number in range(6):
        new = [failure("exp")] if 1 <= number <= 3 else []
        append(tmp_path, check(number, outcome("exp", "wrong" if new else "correct"), *new, entry))
    (table,) = page(tmp_path).xpath("//*[starts-with(@aria-label, 'Findings in')]//table")
    rows = [[cell.text_content() for cell in row][:6] for row in table.xpath(".//tbody/tr")]
    assert rows[0] == ["gone", "exp", "wrong", "2026-03-02 10:00", "2026-03-04 10:00", "2026-03-05 10:00"]
    assert [rows[1][0], rows[1][1], *rows[1][3:]] == ["known", "old-bug", "2026-03-01 10:00", "2026-03-06 10:00", ""]


def test_a_partial_run_or_one_about_other_ops_does_not_say_that_a_finding_is_gone(tmp_path: Path) -> None:
    append(tmp_path, check(0, outcome("exp", "wrong"), failure("exp")))
    append(tmp_path, check(1, outcome("log"), ops=["log"]))
    append(tmp_path, check(2, outcome("exp"))[:-1])
    (row,) = page(tmp_path).xpath("//*[starts-with(@aria-label, 'Findings in')]//table/tbody/tr")
    assert row[0].text_content() == "new"


def full_history(folder: Path, runs: int = 12) -> Path:
    """A history with everything that a dashboard shows."""
    for number in range(runs):
        slow = 1.4 if number >= runs // 2 else 1.0
        append(folder, bench(number, slow * float(noisy(number, 1)[0]), "1.0" if number < runs // 2 else "2.0"))
        broken = number == 3
        found = [failure("exp", reason=HOSTILE)] if broken else []
        state = outcome("exp", "wrong" if broken else "correct")
        append(folder, check(100 + number, state, outcome("log"), *found, changed(LEDGER, id="old-bug", reason=HOSTILE)))
    append(folder, bench(99, 1.0, HOSTILE, place=PLACE | {"cpu": HOSTILE}, case=HOSTILE))
    return folder


def test_every_chart_has_a_table_and_hostile_text_stays_text(tmp_path: Path) -> None:
    with history(full_history(tmp_path)) as found:
        source = dashboard(found)
    tree = html.fromstring(source)
    charts = tree.xpath("//*[local-name() = 'svg' and contains(@class, 'chart')]")
    assert len(charts) >= 5
    for chart in charts:
        assert chart.xpath("ancestor::figure[1]//table//td"), chart.get("aria-labelledby")
    assert not tree.xpath("//img | //script | //*[@onerror]")
    assert HOSTILE[:10] in tree.text_content()
    assert not re.search(r"src=[\"']|href=[\"'][^#]", source), "nothing is fetched"


def test_a_long_history_stays_under_a_megabyte_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    for number in range(170):
        first, timing, last = bench(number, 1.0)
        rows = [changed(timing, case=f"{k}x{k}", total_s=1.0 + k) for k in range(40)]
        others = [changed(row, backend=f"backend-number-{b}") for b in range(5) for row in rows]
        append(tmp_path, [first, *others, last])
    with history(tmp_path) as found:
        source = dashboard(found)
    assert len(source.encode()) < MOST_BYTES
    assert "more, which are in the history" in source


# -- through the command -------------------------------------------------------------------------------------------------------


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, arguments)


def test_check_remembers_and_report_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ("check", "mirror", "--op", "exp", "--profile", "quick", "-j1", "--legs", "balls", "-q")
    assert run(*asked).exit_code == 0
    assert run(*asked, "--no-report").exit_code == 0
    assert run(*asked, "--history", "elsewhere").exit_code == 0
    lines = Path(".adjudge/history/runs.ndjson").read_text().splitlines()
    assert [json.loads(line)["backend"] for line in lines] == ["mirror"]
    assert Path(".adjudge/.gitignore").read_text().strip() == "*"
    with open(".adjudge/history/runs.ndjson", "a") as file:
        file.write('{"torn')
    drawn = run("report", "--history")
    assert drawn.exit_code == 0, drawn.output
    assert "is torn" in drawn.stderr or "was torn" in drawn.stderr
    assert drawn.stdout.split() == ["page:", "adjudge-report/dashboard.html"]
    assert "Conformance of mirror" in Path("adjudge-report/dashboard.html").read_text()
    both = run("report", "adjudge-report", "--history", "elsewhere", "-o", "pages")
    assert both.exit_code == 0
    assert sorted(p.name for p in Path("pages").iterdir()) == ["dashboard.html", "index.html"]


def test_a_history_that_cannot_be_written_does_not_cost_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".adjudge").write_text("a file")
    asked = ("check", "mirror", "--op", "exp", "--profile", "quick", "-j1", "--legs", "balls", "-q")
    told = run(*asked)
    assert told.exit_code == 0
    assert "note: the run is not in the history: " in told.stderr
    refused = run(*asked, "--history", ".adjudge")
    assert refused.exit_code == 2
    assert "the history cannot be written to .adjudge: File exists; --history names another place" in refused.stderr


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, "there is no history in h; `adjudge check` and `adjudge bench` write one"),
        ("rubbish\n", "line 1 is no run"),
        (
            '{"kind": "run", "schema_version": 1, "run": "x"}\n',
            "line 1 is of kind 'run' and schema version 1; this adjudge reads",
        ),
        (
            '{"kind": "bench", "schema_version": 2, "run": "x", "started": "", "adjudge": ""}\n',
            "line 1: it lacks 'environment'",
        ),
    ],
)
def test_what_is_no_history_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str | None, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if source is not None:
        Path("h").mkdir()
        Path("h/runs.ndjson").write_text(source)
        with pytest.raises(HistoryError):
            append(Path("h"), bench(1, 1.0))
        Path("h/runs.ndjson").write_text(source)
    told = run("report", "--history", "h")
    assert told.exit_code == 2
    assert said in told.stderr
    assert "Traceback" not in told.stderr
    assert len(told.stderr.strip().splitlines()) == 1


def test_a_report_of_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = run("report")
    assert told.exit_code == 2
    assert "give RUNs, such as adjudge-report, or --history" in told.stderr
