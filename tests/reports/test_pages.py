"""The conformance page, what goes to continuous integration, and comparisons: records in, files out."""

import html
import importlib
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import junitparser
import pytest
from click.testing import CliRunner

from adjudge.backends.faults import FAULTS
from adjudge.cli import main
from adjudge.records.files import parse_record, read_records, to_line
from adjudge.records.models import KinkRecord, Record
from adjudge.records.places import FILE, PREVIOUS
from adjudge.records.summary import Summary, summarise
from adjudge.reports import ci
from adjudge.reports.charts import SERIES, canvas, dots, svg
from adjudge.reports.compare import compare, worse
from adjudge.reports.conformance import MOST_BYTES, Run, conformance_page, sensitivity
from adjudge.strategies.catalogue import CATALOGUE

from ..records.examples import changed, ends, record, write

etree: Any = importlib.import_module("lxml.etree")  # it has no types
HOSTILE = "<img src=x onerror=alert(1)>&\"'|`]]>\x07\n::error::pwned%0A{{ 7*7 }}"


def header(**more: Any) -> Any:
    fields = {
        "kind": "run", "what": "check", "schema_version": 2, "run": "r1",
        "started": "2026-01-31T12:00:00+00:00", "adjudge": "0.1.0", "backend": "toy", "versions": {"toy": "1.0"},
        "profile": "quick", "seed": 0, "dtypes": ["float64"],
        "ops": ["exp", "log", "abs"], "legs": ["balls", "series"], "commit": "abc123def456+",
        "catalogue": {"exp": "exp/log", "log": "exp/log", "abs": "piecewise", "matmul": "linear algebra"},
        "environment": {"python": "3.12.0", "numpy": "2.0", "blas": "openblas", "threads": {"OMP_NUM_THREADS": "1"}},
    }  # fmt: skip
    return record(**fields | more)


def judged(op: str, verdict: str) -> dict[str, Any]:
    legs = {"balls": "agrees", "series": "agrees"}
    return {"op": op, "family": "exp/log", "dtype": "float64", "verdict": verdict, "ms": 2.0, "legs": legs}


def outcome(op: str = "exp", verdict: str = "correct", **more: Any) -> Any:
    fields: dict[str, Any] = {"kind": "outcome", **judged(op, verdict)}
    if verdict == "correct":
        at = [[float(n), 0.25 * n] for n in range(4)]
        fields["accuracy"] = {"worst": 0.75, "median": 0.25, "floor": 2e-16, "at": [3.0], "points": at}
        fields["modes"] = {"jvp": {"verdict": "correct"}}
    return record(**fields | more)


def case(**more: Any) -> dict[str, Any]:
    """A case in JSON."""
    witness = {"leg": "series", "stance": "agrees", "derivative": 1.5, "note": "192 bits"}
    fields = {"kind": "program", "schema_version": 2, "id": "0123456789ab", "backend": "toy", "verdict": "wrong"}
    return {**fields, "question": QUESTION, "witnesses": [witness], **more}


def failure(op: str = "exp", **more: Any) -> Any:
    fault = {
        "blamed": op, "where": "gradient of a", "index": [0], "got": 1.0, "expected": 2.0, "error": 1.0, "allowance": 1e-16,
        "steps": 1,
    }  # fmt: skip
    return record(**{"kind": "failure", **judged(op, "wrong"), **fault, "case": case(), **more})


QUESTION: dict[str, Any] = {
    "program": {
        "inputs": [{"dtype": "float64", "shape": [1], "data": [25.0]}],
        "steps": [{"op": "exp", "args": [0]}],
    },
    "cotangent": {"dtype": "float64", "shape": [1], "data": [1.0]},
    "directions": [{"dtype": "float64", "shape": [1], "data": [1.0]}],
}  # fmt: skip
KINK = record(
    kind="kink", name="abs(x) at 0", program="b = abs(a)", subgradients="[-1, 1]", got=[0.5], reason="", verdict="correct"
)
LEDGER = record(kind="ledger", id="log-1", op="log", state="still fails", reason="the rule divides by zero")
DOUBT = record(kind="disagreement", op="exp", case=case())
UNDECIDED = outcome("log", "undecided", reason="ill-conditioned: wide")
UNSUPPORTED = outcome("abs", "unsupported", reason="toy has no abs")
END = record(kind="end", seconds=2.0)
WRONG = outcome("exp", "wrong", where="gradient of a", blamed="exp")
FULL = [
    header(), *[outcome()] * 4, outcome("log", "lossy"), WRONG, failure(),
    outcome("log", "wrong", known="log-1"), UNDECIDED, UNSUPPORTED, *ends("exp", "log", "abs"), KINK, LEDGER, END,
]  # fmt: skip


def page(*records: Record, **more: Any) -> str:
    return conformance_page([Run(summarise(records), **more)])


def text_of(page: str) -> str:
    """What a reader sees."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))).split())


# -- the page ------------------------------------------------------------------------------------------------------------------


def test_the_page_holds_all_that_was_found() -> None:
    seen = text_of(page(*FULL, before=summarise([header(), outcome(), END])))
    for wanted in (
        "toy 1.0", "FAILED", "1 new failure", "quick, seed 0", "abc123def456+", "openblas", "OMP_NUM_THREADS 1",
        "2026-01-31 12:00:00 UTC", "matmul not asked", "new 1 of 5",
        "toy exp (float64) is wrong in the gradient of a at [0]: got 1, should be 2",
        "a = array([25.])", "series agrees 1.5 192 bits", "adjudge replay 0123456789ab",
        "log-1 log still fails 1 the rule divides by zero", "ill-conditioned", "toy has no abs",
        "the run was about other ops: matmul", "exp: correct -> new (1 of 5)", "0.75",
        "Error of the gradient of exp over its domain", "abs(x) at 0 [-1, 1] 0.5 in it", "sign flip", "2e-16",
        "7 programs judged in 2 s", "Forward mode: 4 correct",
    ):  # fmt: skip
        assert wanted in seen, wanted


def test_the_page_needs_no_script_and_no_network() -> None:
    text = page(*FULL)
    assert not re.search(r"<script|<link|<iframe|@import|javascript:| on\w+=", text)
    assert not re.search(r'(?:src|href)="(?!#)', text)
    assert re.findall(r"https?://[^\"' ]*", text) == []
    identifiers = re.findall(r' id="([^"]*)"', text)
    assert len(identifiers) == len(set(identifiers))
    for reference in re.findall(r'(?:href="#|url\(#)([^")]*)', text):
        assert reference in identifiers


@pytest.mark.parametrize(
    "field", ["backend", "versions", "op", "family", "reason", "where", "case", "note", "kink", "ledger", "commit", "catalogue"]
)
def test_a_hostile_text_stays_text(field: str) -> None:
    bad = {
        "backend": [header(backend=HOSTILE)],
        "versions": [header(versions={HOSTILE: HOSTILE})],
        "op": [header(), outcome(HOSTILE, "wrong"), failure(HOSTILE)],
        "family": [header(), outcome(family=HOSTILE)],
        "reason": [header(), outcome("log", "undecided", reason=HOSTILE), failure(verdict="crash", reason=HOSTILE)],
        "where": [header(), failure(where=HOSTILE)],
        "case": [header(spec=HOSTILE), failure(case=case(backend=HOSTILE, reason=HOSTILE, blamed=HOSTILE))],
        "note": [
            header(),
            failure(case=case(witnesses=[{"leg": HOSTILE, "stance": "agrees", "derivative": 1.0, "note": HOSTILE}])),
        ],
        "kink": [header(), changed(KINK, name=HOSTILE, subgradients=HOSTILE)],
        "ledger": [header(), changed(LEDGER, id=HOSTILE, reason=HOSTILE, op=HOSTILE)],
        "commit": [header(commit=HOSTILE, profile=HOSTILE, environment={"blas": HOSTILE, "platform": HOSTILE})],
        "catalogue": [header(catalogue={HOSTILE: HOSTILE})],
    }[field]  # fmt: skip
    records = [*bad, outcome(), END]
    text, summary = page(*records), summarise(records)
    assert "<img" not in text
    assert "onerror=alert(1)" in html.unescape(text), "the text is shown"
    assert "49" not in re.findall(r"pwned%0A(.{0,12})", text)
    assert "<img" not in ci.job_summary(summary)
    ElementTree.fromstring(ci.junit(summary))
    for line in ci.annotate(summary):
        assert re.fullmatch(r"::error title=[^:\n\r,]*::[^\n\r]*", line), line


def test_many_long_failures_fit_into_a_megabyte(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "0123456789ab.py").write_text("x = 1  # " + "y" * 10_000 + "\n" * 5000)
    long = [failure(f"op{n}", reason=f"{n} " + "z" * 3000, verdict="crash") for n in range(900)]
    text = page(header(), *long, END, folder=tmp_path)
    assert len(text.encode()) < MOST_BYTES
    assert "op0 (float64) crashes" in text
    assert "and 660 more" in text


def test_five_large_runs_fit_and_are_not_ranked() -> None:
    ops = {f"op{n}": "family" for n in range(150)}
    records = [header(ops=[*ops], catalogue=ops, dtypes=["float64", "float32", "float16"])]
    records += [outcome(op, dtype=d) for op in ops for d in ("float64", "float32", "float16")]
    runs = [Run(summarise([changed(records[0], versions={"toy": f"1.{n}"}), *records[1:], END])) for n in range(5)]
    text = conformance_page(runs)
    assert len(text.encode()) < MOST_BYTES
    seen = text_of(text)
    assert all(f"toy 1.{n}" in seen for n in range(5))
    assert not re.search(r"\b(rank|score|total|winner|best of)\b", seen)


def test_runs_of_one_name_are_told_apart() -> None:
    seen = text_of(conformance_page([Run(summarise(FULL)), Run(summarise(FULL))]))
    assert "toy 1.0 (run 1)" in seen
    assert "toy 1.0 (run 2)" in seen


@pytest.mark.parametrize("records", [[header()], [header(), changed(END, interrupted=True)], [header(dtypes=[]), END]])
def test_a_run_that_came_to_nothing_has_a_page(records: list[Record]) -> None:
    seen = text_of(page(*records))
    assert "NO VERDICT" in seen or "INTERRUPTED" in seen
    assert "exp not judged" in seen or "exp" in seen


def test_what_a_summary_keeps_does_not_grow_with_the_run() -> None:
    def size(count: int) -> int:
        summary = Summary()
        summary.add(header())
        for n in range(count):
            points = [[(-1.0) ** n * 10.0 ** (n % 40 - 20), float(n % 7)]]
            accuracy = {"worst": n % 9, "median": 0.1 * (n % 10), "floor": 1e-16 * (1 + n % 3), "at": [1.0], "points": points}
            summary.add(outcome(accuracy=accuracy))
        stats = summary.ops["exp"].accuracy["float64"]
        return len(stats.errors) + len(stats.floors) + len(stats.places)

    assert size(400) == size(4000) < 200


def test_accuracy_is_told_as_worst_median_and_floor() -> None:
    records = [
        outcome(accuracy={"worst": w, "median": m, "floor": f, "at": [w]})
        for w, m, f in ((1, 0.5, 1e-16), (64, 1, 1e-10), (2, 8, 1e-9))
    ]
    stats = summarise([header(), *records]).ops["exp"].accuracy["float64"]
    assert (stats.worst, stats.at, stats.bits_lost, stats.sharpest, stats.questions) == (64, (64,), 6, 1e-16, 3)
    assert stats.median == pytest.approx(1, rel=0.1)
    assert stats.floor == pytest.approx(1e-10, rel=0.1)


def test_the_table_of_seeded_faults_is_about_these_faults_and_ops() -> None:
    table = sensitivity()
    assert set(table["faults"]) == set(FAULTS)
    assert set(table["ops"]) <= set(CATALOGUE)
    assert len(table["ops"]) >= 100
    assert all(f["seen"] + f["not applicable"] == f["ops"] for f in table["faults"].values())


# -- charts --------------------------------------------------------------------------------------------------------------------


def test_a_chart_takes_the_page_s_colours_and_says_what_it_shows() -> None:
    with canvas(200, 100) as (figure, axes):
        dots(axes, [(0.0, 1.0), (1.0, 2.0)], SERIES[1])
        axes.set_title("a <b> & c")
        text = svg(figure, "title <1>", "description & more", "chart-1")
    tree = etree.fromstring(text)
    assert [e.text for e in tree[:2]] == ["title <1>", "description & more"]
    assert "var(--series-2)" in text
    assert not re.search(r"#0102|font-family|xlink", text)
    assert "a <b> & c" in "".join(tree.itertext())


def test_a_chart_s_name_is_one() -> None:
    with canvas() as (figure, _), pytest.raises(ValueError, match="must begin with a letter"):
        svg(figure, "t", "d", '1" onload="x')


# -- continuous integration ----------------------------------------------------------------------------------------------------


def test_junit_is_read_by_a_parser_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(ci.junit(summarise([*FULL, changed(LEDGER, id="log-2", state="no longer fails")])))
    suites = {suite.name: suite for suite in junitparser.JUnitXml.fromfile(str(tmp_path / "junit.xml"))}
    counts = {name: (s.tests, s.failures, s.errors, s.skipped) for name, s in suites.items()}
    assert counts == {"exp/log": (3, 1, 0, 1), "ledger": (2, 1, 0, 0)}
    (exp,) = [case for case in suites["exp/log"] if case.name == "exp"]
    assert "got 1, should be 2" in exp.result[0].message
    assert "b = exp(a)" in str(exp.result[0].text)


SCHEMA = """
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:complexType name="note" mixed="true"><xs:attribute name="message"/><xs:attribute name="type"/></xs:complexType>
  <xs:element name="testsuites"><xs:complexType><xs:sequence>
    <xs:element name="testsuite" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>
      <xs:element name="testcase" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>
        <xs:choice minOccurs="0"><xs:element name="skipped" type="note"/><xs:element name="error" type="note"/>
          <xs:element name="failure" type="note"/></xs:choice>
        <xs:element name="system-out" type="xs:string" minOccurs="0"/>
      </xs:sequence>
        <xs:attribute name="name" use="required"/><xs:attribute name="classname" use="required"/>
        <xs:attribute name="time" type="xs:decimal"/></xs:complexType></xs:element>
    </xs:sequence>
      <xs:attribute name="name" use="required"/><xs:attribute name="hostname" type="xs:token"/>
      <xs:attribute name="timestamp" type="xs:dateTime"/><xs:attribute name="time" type="xs:decimal"/>
      <xs:attribute name="tests" type="xs:nonNegativeInteger" use="required"/>
      <xs:attribute name="failures" type="xs:nonNegativeInteger" use="required"/>
      <xs:attribute name="errors" type="xs:nonNegativeInteger" use="required"/>
      <xs:attribute name="skipped" type="xs:nonNegativeInteger"/></xs:complexType></xs:element>
  </xs:sequence><xs:attribute name="name"/></xs:complexType></xs:element>
</xs:schema>
"""  # what readers of JUnit's format agree on


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("records", [FULL, [header()], [header(), outcome("log", "lossy"), END], [*FULL, DOUBT]])
def test_junit_keeps_to_the_format(records: list[Record], strict: bool) -> None:
    schema = etree.XMLSchema(etree.fromstring(SCHEMA))
    schema.assertValid(etree.fromstring(ci.junit(summarise(records), strict=strict).encode()))
    assert not schema.validate(etree.fromstring("<testsuites><testsuite name='x'/></testsuites>"))


def test_strict_accuracy_fails_the_case_that_lost_digits() -> None:
    summary = summarise([header(), outcome("log", "lossy"), END])
    assert "<failure" not in ci.junit(summary)
    assert '<failure message="1 answer lost digits' in ci.junit(summary, strict=True)


def test_the_job_summary_has_its_tables_first_and_is_cut() -> None:
    text = ci.job_summary(summarise(FULL))
    assert text.startswith("## adjudge: toy FAILED\n\n| judged | correct |")
    assert text.index("| exp | new | 5 |") < text.index("### New failures")
    long = ci.job_summary(
        summarise([header(), *[failure(reason=f"{n} " + "é" * 300, verdict="crash") for n in range(900)], END])
    )
    assert len(long.encode()) <= ci.MOST_BYTES
    assert re.search(r"Cut here: \d+ more lines are in the report\.\n$", long)


def test_annotations_are_few_and_name_what_fails() -> None:
    (only,) = ci.annotate(summarise(FULL))
    assert only.startswith("::error title=adjudge%3A exp is wrong::toy exp (float64) is wrong")
    many = ci.annotate(summarise([header(), *[failure(f"op{n}") for n in range(30)], END]))
    assert len(many) == ci.MOST_ANNOTATIONS
    assert "21 more are in the report" in many[-1]
    assert ci.annotate(summarise([header(ops=["exp"]), outcome(), *ends("exp"), END])) == []
    assert "nothing was judged" in ci.annotate(summarise([header(), END]))[0]


def test_what_is_written_for_ci_depends_on_the_surroundings(tmp_path: Path) -> None:
    step = tmp_path / "step.md"
    step.write_text("before\n")
    assert ci.write_for_ci(tmp_path, summarise(FULL), surroundings={}) == []
    lines = ci.write_for_ci(
        tmp_path, summarise(FULL), surroundings={"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(step)}
    )
    assert len(lines) == 1
    assert step.read_text() == "before\n" + (tmp_path / "summary.md").read_text()


# -- comparing -----------------------------------------------------------------------------------------------------------------

BETTER = [header(versions={"toy": "1.1"}), *[outcome()] * 5, outcome("log", "lossy"), UNDECIDED, UNSUPPORTED, KINK]
BETTER += [*ends("exp", "log", "abs"), changed(LEDGER, state="no longer fails"), END]


def test_a_run_does_not_differ_from_itself() -> None:
    assert compare(summarise(FULL), summarise(FULL)) == []
    undefined = changed(KINK, got=(float("nan"),), verdict="non-finite")
    again = parse_record(to_line(undefined))
    assert compare(summarise([header(ops=[]), undefined, END]), summarise([header(ops=[]), again, END])) == []


def test_a_comparison_says_only_what_changed() -> None:
    there, back = compare(summarise(FULL), summarise(BETTER)), compare(summarise(BETTER), summarise(FULL))
    assert [(c.about, c.turn) for c in there] == [
        ("versions", ""), ("ops", "better"), ("ops", "better"), ("failures", "better"), ("ledger", "better"),
    ]  # fmt: skip
    assert there[0].sentence == "toy: 1.0 -> 1.1"
    assert there[1].sentence == "exp: new (1 of 5) -> correct"
    assert there[3].sentence.startswith("gone: toy exp (float64) is wrong")
    assert not worse(there)
    assert worse(back)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([outcome()], [outcome("exp", "undecided", reason="x")], "exp: correct -> undecided"),
        ([outcome()], [outcome(accuracy={"worst": 100, "median": 0.25, "floor": 1e-16})], r"worst gradient 0.75 -> 1e\+02 ulp"),
        ([outcome()], [outcome(accuracy={"worst": 4, "median": 4, "floor": 1e-16})], "median gradient 0.25 -> 4 ulp"),
        ([outcome(), outcome("new-op")], [outcome()], "no longer asked about: new-op"),
        ([outcome(), LEDGER], [outcome(), changed(LEDGER, state="fails otherwise")], "log-1 fails otherwise"),
        ([outcome(), KINK], [outcome(), changed(KINK, got=(2.0,), verdict="wrong")], r"abs\(x\) at 0: \[0.5\] -> \[2.0\]"),
        ([outcome("log", "wrong", known="log-1")], [outcome("log", "wrong"), failure("log")], r"log: known \(1 of 1\) -> new"),
    ],
)  # fmt: skip
def test_each_way_to_get_worse_is_seen(before: list[Any], after: list[Any], said: str) -> None:
    old, new = (summarise([header(ops=[]), *records, END]) for records in (before, after))
    assert any(re.search(said, c.sentence) and c.turn == "worse" for c in compare(old, new)), compare(old, new)
    assert not any(re.search(said, c.sentence) and c.turn == "worse" for c in compare(new, old))


# -- the command ---------------------------------------------------------------------------------------------------------------


def run(*args: str | Path) -> Any:
    return CliRunner().invoke(main, [*map(str, args)])


def test_report_makes_one_page_of_several_runs(tmp_path: Path) -> None:
    first = write(tmp_path / "first", FULL)
    second = write(tmp_path / "second", BETTER)
    done = run("report", first, second / FILE, "-o", tmp_path / "out")
    assert (done.exit_code, done.output) == (0, f"page: {tmp_path / 'out' / 'index.html'}\n")
    seen = text_of((tmp_path / "out" / "index.html").read_text())
    assert "toy 1.0" in seen
    assert "toy 1.1" in seen


def test_report_tells_what_changed_since_the_run_before(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", FULL)
    write(folder, BETTER, PREVIOUS)
    run("report", folder, "-o", folder)
    assert "toy: 1.1 -> 1.0" in text_of((folder / "index.html").read_text())


@pytest.mark.parametrize("command", [["report", "nowhere"], ["compare", "nowhere", "nowhere"], ["report"]])
def test_what_cannot_be_read_is_one_sentence(command: list[str]) -> None:
    done = run(*command)
    assert done.exit_code == 2
    assert len(done.output.strip().splitlines()) == 1


@pytest.mark.parametrize(("order", "status"), [((0, 1), 0), ((1, 0), 1), ((0, 0), 0), ((0, 2), 2)])
def test_compare_ends_with_a_status(tmp_path: Path, order: tuple[int, int], status: int) -> None:
    runs = [write(tmp_path / "a", FULL), write(tmp_path / "b", BETTER), write(tmp_path / "c", [header(), END])]
    done = run("compare", *(runs[n] for n in order))
    assert done.exit_code == status, done.output
    if order == (0, 1):
        assert "  better: exp: new (1 of 5) -> correct\n" in done.output
    if order == (0, 0):
        assert done.output == "nothing changed\n"


def test_a_run_that_breaks_off_leaves_no_page_of_the_run_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(settings: Any, emit: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.chdir(tmp_path)
    folder = write(tmp_path / "adjudge-report", FULL)
    for name in ("index.html", "report.json", "junit.xml", "summary.md"):
        (folder / name).write_text("PASSED")
    monkeypatch.setattr("adjudge.suite.run.run", broken)
    assert run("check", "mirror", "-q").exit_code == 2
    assert {path.name for path in folder.iterdir()} == {"cases", ".lock", FILE, PREVIOUS}


def test_a_check_leaves_page_records_and_the_run_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    ask = (
        "check",
        "mirror",
        "--op",
        "absolute",
        "--op",
        "tanh",
        "--profile",
        "quick",
        "--legs",
        "balls,series",
        "-j",
        "1",
        "-q",
    )
    assert run(*ask).exit_code == 0
    first = (tmp_path / "adjudge-report" / FILE).read_bytes()
    assert run(*ask).exit_code == 0
    folder = tmp_path / "adjudge-report"
    assert (folder / PREVIOUS).read_bytes() == first
    assert {"index.html", "junit.xml", "summary.md", "report.json"} <= {path.name for path in folder.iterdir()}
    seen = text_of((folder / "index.html").read_text())
    assert "nothing changed" in seen
    assert "abs(x) at 0 [-1, 1]" in seen
    assert "Error of the gradient of tanh over its domain" in seen
    assert (tmp_path / "step.md").read_text().count("## adjudge: mirror PASSED") == 2
    kinks = [r for r in read_records(folder).records if isinstance(r, KinkRecord)]
    assert [(k.name, k.verdict) for k in kinks] == [("abs(x) at 0", "correct")]
