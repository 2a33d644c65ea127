"""Records, summaries, ledgers, cases and scripts: what is written is read again, and what is wrong with it is said."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from adjudge.backends import SHIPPED, Language, load
from adjudge.backends.language import LanguageError, array_words, source, template_of
from adjudge.oracle import Program, ProgramError, Question, judge
from adjudge.oracle.certificate import as_question
from adjudge.oracle.program import LAYOUTS, Input
from adjudge.oracle.protocol import Answer, as_backend
from adjudge.records.case import Bound, Bounds, Case, WitnessRecord, parse_case, read_case, save_case
from adjudge.records.files import Records, RecordsError, parse_record, read_records, to_line
from adjudge.records.ledger import CONDITIONS, Conditions, Facts, Ledger, LedgerError, shipped_ledger
from adjudge.records.script_case import ScriptCase
from adjudge.records.sentences import failure_sentence
from adjudge.records.summary import summarise
from adjudge.reports.report import make_report
from adjudge.reports.schemas import generated, published
from adjudge.reports.script import script
from adjudge.reports.terminal import Terminal, make_console

from .examples import changed, ends, record

HEADER = record(kind="run", what="check", schema_version=2, run="r", backend="toy", versions={"toy": "1"}, ops=["exp", "log"])
ENDS = ends("exp", "log")
END, STOPPED = record(kind="end", seconds=1.0), record(kind="end", seconds=1.0, interrupted=True)
CORRECT = record(
    kind="outcome", op="exp", dtype="float64", verdict="correct", worst_ulp=0.5, legs={"balls": "agrees"},
    modes={"jvp": {"verdict": "correct"}, "hvp": {"verdict": "undecided", "reason": "a kink"}},
)  # fmt: skip
FAULT: dict[str, Any] = {
    "op": "exp", "dtype": "float64", "verdict": "wrong", "blamed": "exp", "where": "gradient of a", "reason": "off",
    "index": [2], "got": float("nan"), "expected": 0.25, "error": float("inf"), "allowance": 1e-16, "steps": 1,
}  # fmt: skip
NEW = record(kind="outcome", **FAULT)
KNOWN, LOSSY = changed(NEW, known="exp-1"), changed(NEW, verdict="lossy")
UNDECIDED = record(kind="outcome", op="exp", verdict="undecided", reason="ill-conditioned: so wide")
UNSUPPORTED = record(kind="outcome", op="log", verdict="unsupported", reason="toy has no log")
DONE = [UNSUPPORTED, *ENDS, END]
ASKED = as_question(Program.of([np.array([0.1, 2.0])], [("exp", [0])]))
CASE_TREE = {
    "kind": "program", "schema_version": 2, "id": "c1", "backend": "toy", "verdict": "wrong", "question": ASKED.to_json(),
    "witnesses": [{"leg": "series", "stance": "disagrees", "derivative": "nan", "note": ""}],
}  # fmt: skip
FAILURE = record(kind="failure", **FAULT, case=CASE_TREE)
DISAGREEMENT = record(kind="disagreement", op="exp", case=CASE_TREE)


def entry(state: str) -> Any:
    return record(kind="ledger", id="exp-1", state=state, reason="known", op="exp")


# -- records -------------------------------------------------------------------------------------------------------------------


def test_what_is_appended_is_read_again(tmp_path: Path) -> None:
    records = Records(tmp_path / "deep" / "records.ndjson")
    for written in (HEADER, NEW, END):
        records.append(written)
    records.close()
    reading = read_records(tmp_path / "deep")
    assert [r.kind for r in reading.records] == ["run", "outcome", "end"]
    outcome: Any = reading.records[1]
    assert np.isnan(outcome.got)
    assert (outcome.error, reading.torn) == (np.inf, "")
    assert '"got":"nan"' in (tmp_path / "deep" / "records.ndjson").read_text()


TIMED = {"backend": "toy", "versions": {"toy": "1"}, "op": "matmul", "case": "8 @ 8", "layout": "C", "dtype": "float64"}
EVERY_KIND = [
    HEADER, CORRECT, NEW, FAILURE, DISAGREEMENT, entry("fails otherwise"), ENDS[0], END,
    record(kind="failure", op="semantics_view", verdict="contract", where="grad", case={
        "kind": "script", "schema_version": 2, "id": "s1", "backend": "toy", "verdict": "contract",
        "where": "grad", "lines": ["a = lib.ones(2)"], "expected": {"a": None},
    }),
    record(kind="kink", name="abs(x) at 0", program="b = abs(a)", subgradients="[-1, 1]", verdict="correct",
           got=[[0.5, "nan"]]),
    record(kind="run", what="bench", schema_version=2, run="b", gate=1.5, environment={"cores": 2, "threads": {"OMP": "1"}}),
    record(kind="timing", **TIMED, forward_s=1.0, total_s=3.0, total_s_low=2.0, total_s_high=4.0, gradient_ratio=3.0, flops=9,
           limit_flops_per_s=1e9, share=0.5, peak_bytes=None, compile_s=None, rounds=11),
    record(kind="untimed", **TIMED, reason="toy has no matmul", verdict="unsupported"),
    record(kind="ratio", **TIMED, against="toy@old", against_versions={}, ratio=1.0, ratio_low=0.9, ratio_high=1.1, rounds=16,
           measured=[[1.0, 0.9, 1.1]], beyond=1.5, regression=False),
]  # fmt: skip


@pytest.mark.parametrize("written", EVERY_KIND, ids=lambda r: r.kind)
def test_every_kind_is_read_as_it_was_written_and_keeps_to_its_schema(written: Any) -> None:
    line = to_line(written)
    again = parse_record(line)
    assert type(again) is type(written)
    assert to_line(again) == line
    jsonschema.validate(json.loads(line), published("records/records.schema.json"))


def test_every_kind_is_tried_above() -> None:
    kinds = published("records/records.schema.json")["discriminator"]["mapping"]
    assert {r.kind for r in EVERY_KIND} == set(kinds)
    assert {r.what for r in EVERY_KIND if r.kind == "run"} == {"check", "bench"}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"kind": "end", "seconds": 1.0, "secnods": 2}, "kind 'end': there is no field 'secnods'; did you mean 'seconds'?"),
        ({"kind": "end", "seconds": "1"}, "kind 'end': 'seconds' must be a number, not '1'"),
        ({"kind": "end", "seconds": 1, "interrupted": 0}, "kind 'end': 'interrupted' must be true or false, not 0"),
        ({"kind": "end"}, "kind 'end': it lacks 'seconds'"),
        ({"kind": "ned"}, "kind 'ned': it needs a 'kind', one of 'run', 'outcome'"),
        ({"kind": "run", "what": "x"}, "kind 'run': it needs a 'what', one of 'check', 'bench'"),
        ({"kind": "outcome", "op": "exp", "verdict": "bad"}, "'verdict' must be 'crash', 'contract'"),
        ({"kind": "outcome", "op": "exp", "verdict": "wrong", "got": "big"}, "'got' must be a number, not 'big'"),
        ({"kind": "outcome", "op": "exp", "verdict": "wrong", "modes": {"jvp": {}}}, "'modes' lacks 'verdict'"),
        ({"kind": "outcome", "op": "exp", "verdict": "wrong", "index": [0.5]}, "'index' must be a whole number, not 0.5"),
        ({"kind": "failure", **FAULT, "case": {**CASE_TREE, "colour": 1}}, "there is no field 'colour' in 'case'"),
        ([], "it is no record: that is a JSON object with a 'kind'"),
    ],
)
def test_a_malformed_record_is_one_sentence(fields: Any, sentence: str) -> None:
    with pytest.raises(RecordsError) as caught:
        parse_record(json.dumps(fields, default=str).replace("NaN", '"nan"').replace("Infinity", '"inf"'))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", generated())
def test_the_published_schema_is_that_of_the_models(place: str) -> None:
    jsonschema.Draft202012Validator.check_schema(published(place))
    assert published(place) == generated()[place], "`python -m adjudge.reports.schemas` writes it anew"


def test_a_torn_last_line_is_left_out_and_said(tmp_path: Path) -> None:
    file = tmp_path / "records.ndjson"
    file.write_text(to_line(HEADER) + "\n" + to_line(CORRECT) + "\n" + to_line(CORRECT)[:20])
    reading = read_records(file)
    assert len(reading.records) == 2
    assert "torn" in reading.torn
    assert summarise(reading.records).partial


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not begin with a record of kind 'run'"),
        (to_line(CORRECT) + "\n", "does not begin"),
        (to_line(HEADER) + "\n{}\n" + to_line(END) + "\n", "line 2: it is no record"),
        (to_line(HEADER) + "\n[\n", "line 2: it is not JSON"),
        ('{"kind": "run", "schema_version": 1, "run": "r"}\n', "schema version 1; this adjudge reads version 2"),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "records.ndjson").write_text(text)
    with pytest.raises(RecordsError, match=said):
        read_records(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match=r"records\.ndjson cannot be read"):
        read_records(tmp_path)


APPEND = """
import sys
from pathlib import Path
from adjudge.records.files import Records
from adjudge.records.models import OutcomeRecord

records = Records(Path(sys.argv[1]))
for number in range(200):
    records.append(OutcomeRecord(op=sys.argv[2], verdict="correct", reason="x" * (number * 10)))
"""


def test_processes_that_append_to_one_file_tear_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "records.ndjson"
    Records(path).append(HEADER)
    processes = [subprocess.Popen([sys.executable, "-c", APPEND, str(path), name]) for name in ("exp", "log")]
    assert [process.wait() for process in processes] == [0, 0]
    summary = summarise(read_records(path).records)
    assert [summary.ops[op].judged for op in ("exp", "log")] == [200, 200]


# -- what a run comes to -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("records", "status", "strictly", "reason"),
    [
        ([HEADER, CORRECT, *DONE], 0, 0, "1 program judged, and nothing new failed"),
        ([HEADER, CORRECT, KNOWN, entry("still fails"), *DONE], 0, 0, "2 programs judged"),
        ([HEADER, CORRECT, LOSSY, *DONE], 0, 1, "nothing new failed"),
        ([HEADER, CORRECT, changed(LOSSY, known="exp-1"), *DONE], 0, 0, "nothing new failed"),
        ([HEADER, CORRECT, NEW, FAILURE, *DONE], 1, 1, "1 new failure"),
        ([HEADER, CORRECT, NEW, NEW, FAILURE, *DONE], 1, 1, "1 new failure (seen 2 times)"),
        ([HEADER, CORRECT, NEW, NEW, *DONE], 1, 1, "1 new failure"),
        ([HEADER, CORRECT, entry("no longer fails"), *DONE], 1, 1, "exp-1 no longer fails"),
        ([HEADER, CORRECT, entry("fails otherwise"), *DONE], 1, 1, "exp-1 fails otherwise"),
        ([HEADER, CORRECT, entry("not judged"), *DONE], 0, 0, "nothing new failed"),
        ([HEADER, *ENDS, END], 2, 2, "nothing was judged"),
        ([HEADER, UNDECIDED, *DONE], 2, 2, "nothing was judged"),
        ([HEADER, NEW, FAILURE, DISAGREEMENT, *DONE], 4, 4, "adjudge's own defect"),
        ([HEADER, CORRECT, NEW, STOPPED], 130, 130, "the run was interrupted"),
        ([HEADER, CORRECT], 2, 2, "the run did not reach its end"),
    ],
)
def test_the_status_follows_from_the_records(records: list[Any], status: int, strictly: int, reason: str) -> None:
    summary = summarise(records)
    assert (summary.status(), summary.status(strict=True)) == (status, strictly)
    assert any(reason in said for said in summary.reasons())


def test_an_op_of_which_nothing_is_recorded_has_a_row() -> None:
    summary = summarise([HEADER, CORRECT, END], ["tanh"])
    assert {op: row.state for op, row in summary.ops.items()} == {"tanh": "not judged", "exp": "correct", "log": "not judged"}


def test_categories_add_up() -> None:
    row = summarise([HEADER, CORRECT, KNOWN, NEW, LOSSY, UNDECIDED, changed(UNSUPPORTED, op="exp"), END]).ops["exp"]
    assert dict(row.categories) == dict.fromkeys(("correct", "known", "new", "lossy", "undecided", "unsupported"), 1)
    assert (row.judged, row.worst_ulp, row.agreed("balls")) == (4, 0.5, 1)


def test_verdicts_are_counted_by_mode() -> None:
    summary = summarise([HEADER, CORRECT, CORRECT, NEW, *DONE])
    assert summary.modes == {"jvp": {"correct": 2}, "hvp": {"undecided": 2}}
    assert make_report(summary).counts.modes == summary.modes


RUNS: dict[str, list[Any]] = {
    "passed": [HEADER, CORRECT, *DONE],
    "failed": [HEADER, CORRECT, NEW, KNOWN, UNDECIDED, FAILURE, entry("no longer fails"), entry("still fails"), *DONE],
    "in doubt": [HEADER, CORRECT, DISAGREEMENT, *DONE],
    "stopped": [HEADER, STOPPED],
    "torn off": [HEADER],
}


@pytest.mark.parametrize("run", RUNS)
def test_the_report_keeps_to_its_published_schema(run: str) -> None:
    tree = json.loads(make_report(summarise(RUNS[run]), torn="the last line is torn").model_dump_json())
    jsonschema.validate(tree, published())
    assert tree["verdict"]["partial"] == (run in ("stopped", "torn off"))
    assert "the last line is torn" in tree["verdict"]["reasons"]


def test_the_schema_rejects_a_report_without_its_verdict() -> None:
    tree = json.loads(make_report(summarise(RUNS["passed"])).model_dump_json())
    del tree["verdict"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tree, published())


@pytest.mark.parametrize("verbosity", [-1, 0, 1])
def test_plain_output_is_plain_and_fits_80_columns(
    verbosity: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    summary = summarise([])
    with Terminal(make_console(), summary, verbosity) as terminal:
        for came in [*(r for r in RUNS["failed"] if r is not UNSUPPORTED), DISAGREEMENT]:
            summary.add(came)
            terminal.record(came)
        terminal.close()
    out = capsys.readouterr().out
    assert out.isascii()
    assert all(c.isprintable() or c == "\n" for c in out)
    assert max(map(len, out.split("\n"))) <= 80
    assert "ORACLE IN DOUBT: " in out
    assert ("log (not judged)" in out) == ("second order: 1 undecided" in out) == (verbosity >= 0)
    assert ("ill-conditioned" in out) == (verbosity > 0)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {**FAULT, "got": 0.1, "expected": 0.1 + 1e-12, "error": 1e-12},
            "toy exp (float64) is wrong in the gradient of a at [2]: got 0.1, should be 0.100000000001, "
            "off by 1e-12 where 1e-16 is allowed",
        ),
        (
            {**FAULT, "verdict": "non-finite"},
            "toy exp (float64) is not finite in the gradient of a at [2]: got nan, should be 0.25",
        ),
        (
            {**FAULT, "verdict": "lossy", "got": 0.5, "error": 0.25, "bits_lost": 7.2},
            "toy exp (float64) loses digits in the gradient of a at [2]: got 0.5, should be 0.25, "
            "off by 0.25 where 1e-16 is allowed (7 bits lost)",
        ),
        (
            {"op": "composition", "steps": 3, "blamed": "log", "dtype": "float32", "verdict": "crash", "where": "program",
             "reason": "ValueError: no"},
            "toy log (float32), in a program of 3 steps, crashes: ValueError: no",
        ),
    ],
)  # fmt: skip
def test_a_failure_is_one_sentence(fields: dict[str, Any], sentence: str) -> None:
    assert failure_sentence(record(kind="outcome", **fields), "toy") == sentence


# -- ledgers -------------------------------------------------------------------------------------------------------------------

ENTRY = """\
[[entry]]
id = "tanh-saturated"
op = "tanh"
verdict = "lossy"
where = "gradient"
reason = "the rule computes 1 - tanh(x)**2"
proof = "that cancels"
found = 2026-01-31
"""
CASE = 'case = { inputs = [{ dtype = "float64", shape = [], data = [25.0] }], steps = [{ op = "tanh", args = [0] }] }\n'

FACTS = Facts(
    op="tanh", ops=("exp", "tanh"), verdict="lossy", where="gradient", reason="12 bits lost", dtype="float64",
    params=("dtype", "where"), repeated=True, operands=("float64", "int8"), index=("int16",), shapes=((), (2, 1)),
    magnitudes=((1.0, 30.0), (1e-9, 1e-8)), zeros=True, layouts=("C", "F"),
)  # fmt: skip


def ledger(tmp_path: Path, text: str) -> Ledger:
    (tmp_path / "toy.toml").write_text(text)
    return Ledger.read(tmp_path / "toy.toml")


def test_an_entry_explains_its_failure_and_no_other(tmp_path: Path) -> None:
    found = ledger(tmp_path, ENTRY + CASE)
    match = found.match(FACTS, "2.5")
    assert match is not None
    assert (match.id, match.op, match.question.program.steps[0].op) == ("tanh-saturated", "tanh", "tanh")
    for other in (replace(FACTS, op="exp"), replace(FACTS, verdict="wrong"), replace(FACTS, where="value")):
        assert found.match(other, "2.5") is None


@pytest.mark.parametrize(
    ("condition", "fact", "otherwise"),
    [
        ("kink = false", "kink", True),
        ("repeated = true", "repeated", False),
        ("empty = false", "shapes", ((0, 1),)),
        ('params = ["where"]', "params", ("dtype",)),
        ('dtype = ["float64", "float32"]', "dtype", "float16"),
        ('layout = ["F"]', "layouts", ("C", "read-only")),
        ('operands = ["int8", "int16"]', "operands", ("float64",)),
        ('index = ["int16"]', "index", ()),
        ("ndim = [0]", "shapes", ((1,), (2, 1))),
        ("broadcast = true", "shapes", ((2, 1), (2, 1))),
        ("zeros = true", "zeros", False),
        ("negative = false", "negative", True),
        ('"last axis" = [1]', "shapes", ((), (1, 2))),
        ('ops = ["exp"]', "ops", ("tanh",)),
        ("magnitude = [20, inf]", "magnitudes", ((1.0, 19.0),)),
        ("magnitude = [0, 1e-8]", "magnitudes", ((1e-7, 30.0), ())),
        ('reason = "bits lost"', "reason", "something else"),
    ],
)
def test_a_condition_holds_or_the_entry_explains_nothing(tmp_path: Path, condition: str, fact: str, otherwise: Any) -> None:
    found = ledger(tmp_path, ENTRY + CASE + f"when = {{ {condition} }}\n")
    assert found.match(FACTS, "2.5") is not None
    assert found.match(replace(FACTS, **{fact: otherwise}), "2.5") is None


def test_every_condition_is_tried_above() -> None:
    test: Any = test_a_condition_holds_or_the_entry_explains_nothing
    tried = {case[0].split(" = ")[0].strip('"') for case in test.pytestmark[0].args[1]}
    assert tried == {name.replace("_", " ") for name in CONDITIONS}
    assert set(CONDITIONS) == set(Conditions.model_fields)


@pytest.mark.parametrize(
    ("versions", "version", "applies"),
    [
        (">=2.4,<3", "2.5.0", True),
        (">=2.4,<3", "2.3", False),
        (">=2.4,<3", "2.6.0.dev3+g12ab", True),
        (">=2.4", "unknown", False),
        ("", "unknown", True),
    ],
)
def test_an_entry_is_about_some_versions(tmp_path: Path, versions: str, version: str, applies: bool) -> None:
    found = ledger(tmp_path, ENTRY + CASE + f'versions = "{versions}"\n')
    assert [e.id for e in found.applying(version)] == ["tanh-saturated"] * applies
    assert (found.match(FACTS, version) is not None) == applies


def test_several_ops_may_share_a_deviation(tmp_path: Path) -> None:
    several = ledger(tmp_path, ENTRY.replace('op = "tanh"', 'op = ["tanh", "sinh"]') + CASE)
    assert several.match(replace(FACTS, op="sinh"), "1") is not None
    every = ledger(tmp_path, ENTRY.replace('op = "tanh"', 'op = "*"') + CASE)
    assert every.match(replace(FACTS, op="accumulation"), "1") is not None
    assert every.entries[0].op == "tanh"


def test_an_entry_s_case_may_stand_in_a_file_beside_the_ledger(tmp_path: Path) -> None:
    save_case(tmp_path / "toy", simple("tanh-saturated", question("tanh", np.array(25.0)), "lossy"), None)
    assert ledger(tmp_path, ENTRY).entries[0].question.program.ops == ("tanh",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[entry]", "is not TOML"),
        ("[entry]\n", r"one \[entry\] where \[\[entry\]\] is due"),
        ("[[entri]]\n", "'entri' at its top"),
        (ENTRY.replace("proof = ", "prof = ") + CASE, "there is no key 'prof'; did you mean 'proof'"),
        (ENTRY.replace('proof = "that cancels"\n', "") + CASE, "'tanh-saturated': it lacks 'proof'"),
        (ENTRY.replace('op = "tanh"', 'op = "tahn"') + CASE, "there is no op 'tahn'; did you mean 'tan"),
        (ENTRY.replace('"lossy"', '"correct"') + CASE, "there is no failing verdict 'correct'"),
        (ENTRY.replace('"gradient"', '"gradients"') + CASE, "there is no 'where' 'gradients'; did you mean 'gradient'"),
        (ENTRY.replace("2026-01-31", '"yesterday"') + CASE, "'found' must be a date"),
        (ENTRY.replace("tanh-saturated", "../x") + CASE, "'id' must name a file"),
        (ENTRY + CASE + 'versions = "2.x"\n', "'versions' must be a range"),
        (ENTRY + CASE + "when = { kinks = true }\n", "there is no key 'kinks' in 'when'; did you mean 'kink'"),
        (ENTRY + CASE + "when = { kink = 1 }\n", "'kink' must be true or false, not 1"),
        (ENTRY + CASE + 'when = { dtype = ["float128"] }\n', "'dtype' must be a list of dtypes"),
        (ENTRY + CASE + "when = { magnitude = [2, 1] }\n", "'magnitude' must be two numbers"),
        (ENTRY, "its case does not make sense: case .* cannot be read"),
        (ENTRY + CASE.replace('op = "tanh"', 'op = "tahn"'), "its case does not make sense: the reference knows no op"),
        (ENTRY + CASE.replace("25.0", "25.0, 1.0"), r"an array of shape \(\) needs 1 numbers"),
        (ENTRY + CASE + "when = { ndim = [true] }\n", "'ndim' must be a list of numbers of dimensions, not true"),
        (ENTRY + CASE + "when = { ops = [] }\n", "'ops' must be a list of ops of the program, not a list"),
        (ENTRY + CASE + "when = { magnitude = [1] }\n", "'magnitude' must be two numbers"),
        ((ENTRY + CASE) * 2, "two entries are called 'tanh-saturated'"),
    ],
)
def test_a_malformed_ledger_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(LedgerError, match=said) as caught:
        ledger(tmp_path, text)
    assert "toy.toml" in str(caught.value)


@pytest.mark.parametrize("backend", SHIPPED)
def test_shipped_ledgers_are_in_order(backend: str) -> None:
    assert all(e.versions is not None and e.question.program.steps for e in shipped_ledger(backend).entries)


def test_a_backend_of_one_s_own_has_no_ledger() -> None:
    assert shipped_ledger("../../etc/passwd").entries == shipped_ledger("mine").entries == ()


# -- cases ---------------------------------------------------------------------------------------------------------------------


def question(op: str, *inputs: Any) -> Question:
    return as_question(Program.of(inputs, [(op, range(len(inputs)))]))


def simple(id: str, asked: Question, verdict: str = "wrong", backend: str = "toy", **more: Any) -> Case:
    return Case(id=id, backend=backend, question=asked, verdict=verdict, **more)


def test_a_case_keeps_every_bit(tmp_path: Path) -> None:
    asked = question("add", np.array([0.1, np.nan, -np.inf, -0.0]), Input(np.array([5e-324, 1, 2, 3]), layout="reversed"))
    witness = WitnessRecord(leg="balls", stance="agrees", derivative=np.nan)
    rows = (Bound(name="hvp of a", expected=np.array([np.inf, 1 / 3]), allowance=np.zeros(2)),)
    more: dict[str, Any] = {"versions": {"toy": "1"}, "witnesses": (witness,), "mode": "hvp"}
    case = simple("id", asked, blamed="add", where="hvp of a", reason="so", bounds=Bounds(rows=rows), **more)
    save_case(tmp_path, case, None)
    again = read_case(tmp_path / "id.json")
    assert isinstance(again, Case)
    assert again.model_dump_json() == case.model_dump_json()
    assert again.question.id == asked.id
    assert np.array_equal(again.bounds.rows[0].expected, rows[0].expected)
    assert (again.blamed, again.versions) == ("add", {"toy": "1"})
    jsonschema.validate(json.loads((tmp_path / "id.json").read_text()), published("records/case.schema.json"))


def test_whole_numbers_of_a_case_keep_every_digit() -> None:
    big = 2**62 + 1
    asked = question("add", np.array([1.0]), np.array([big]))
    again = parse_case(simple("id", asked).model_dump_json())
    assert isinstance(again, Case)
    assert again.question.program.inputs[1].data.tolist() == [big]


def test_what_is_none_in_a_case_stays_none() -> None:
    asked = as_question(Program.of([np.array([1.0])], [("sum", [0], {"axis": None})]))
    again: Any = parse_record(to_line(record(kind="failure", **FAULT, case=json.loads(simple("id", asked).model_dump_json()))))
    assert again.case.question.program.steps[0].params == {"axis": None}
    script = ScriptCase(
        id="s", backend="toy", verdict="contract", where="grad", lines=("a = lib.ones(2)",), expected={"a": None}
    )
    assert parse_case(script.model_dump_json()) == script


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: [], "a case must be an object, not a list"),
        (lambda t: {**t, "schema_version": 1}, "schema version 1; this adjudge reads version 2"),
        (lambda t: {**t, "kind": "history"}, "it needs a 'kind', one of 'program', 'script'"),
        (lambda t: {k: v for k, v in t.items() if k != "question"}, "it lacks 'question'"),
        (lambda t: {**t, "question": 3}, "'question' must be an object, not 3"),
        (lambda t: {**t, "verdict": "bad"}, "'verdict' must be 'crash', .* not 'bad'"),
        (lambda t: {**t, "colour": "red"}, "there is no field 'colour'"),
        (lambda t: {**t, "question": {**t["question"], "program": {}}}, "'program' lacks 'inputs'"),
        (lambda t: {**t, "question": {**t["question"], "directions": []}}, "0 directions for 1 inputs"),
        (lambda t: json.loads(json.dumps(t).replace('"tanh"', '"tahn"')), "no op named 'tahn'"),
        (lambda t: {**t, "bounds": {"rows": [{"name": "value", "expected": {"dtype": "f8"}}]}}, "'expected' lacks 'shape'"),
    ],
)
def test_a_malformed_case_is_one_sentence(tmp_path: Path, change: Callable[[Any], Any], said: str) -> None:
    tree = json.loads(simple("id", question("tanh", np.array(1.0))).model_dump_json())
    (tmp_path / "c.json").write_text(json.dumps(change(tree)))
    with pytest.raises(ProgramError, match=said) as caught:
        read_case(tmp_path / "c.json")
    assert "c.json" in str(caught.value)


def test_a_case_that_is_no_json_is_said(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(ProgramError, match="is not JSON"):
        read_case(tmp_path / "c.json")


# -- scripts -------------------------------------------------------------------------------------------------------------------

#: A library with one fault or none: each op gives a value, and a function from its cotangent to gradients.
LIBRARY = """
import numpy as np

FAULT = {fault!r}
KEPT = np.zeros(2)
calls = 0


def square(x):
    global calls
    calls += 1
    if FAULT == "crash":
        raise ArithmeticError("cannot square")

    def pull(g):
        out = 2 * x * g
        if FAULT == "wrong":
            out[0] *= 1 + 1e-12
        if FAULT == "non-finite":
            out[0] = np.nan
        if FAULT == "dtype":
            out = out.astype(np.float32)
        if FAULT == "changed input":
            x[0] += 1
        if FAULT == "unsteady":
            out[0] = np.nextafter(out[0], calls % 2 * 9.0)
        if FAULT == "stale":
            global KEPT
            KEPT[...] = 7.5
            KEPT = out
        return [x if FAULT == "shared" else out.reshape(1, 2) if FAULT == "shape" else out]

    return x * x, pull


def sinc(x):
    y = np.sinc(x)
    textbook = np.pi * x * np.cos(np.pi * x) / (np.pi * x * x) - y / x
    slope = textbook if FAULT == "lossy" else -np.pi**2 / 3 * x + np.pi**4 / 30 * x**3
    return y, lambda g: [g * slope]


def maximum(x, y):
    share = 0 if FAULT == "kink" else 0.25
    return np.maximum(x, y), lambda g: [share * g, (0 if FAULT == "kink" else 1 - share) * g]
"""

LANGUAGE = Language(
    title="Toy",
    imports="import library",
    step="library.{op}({args})",
    vjp="""
        def vjp({inputs}, cotangent):
            {steps}
            value, pull = {out}
            return value, pull(cotangent)
    """,
)


class Toy:
    """The library as a backend."""

    name = "toy"
    numpy_dtypes = True
    language = LANGUAGE

    def __init__(self, fault: str) -> None:
        self.library: dict[str, Any] = {}
        exec(LIBRARY.format(fault=fault), self.library)

    def versions(self) -> dict[str, str]:
        return {"toy": "1"}

    def vjp(self, program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
        value, pull = self.library[program.steps[0].op](*inputs)
        return Answer(np.asarray(value), pull(cotangent))


SQUARED = question("square", np.array([1.5, -2.0]))


@pytest.fixture
def shown(tmp_path: Path) -> Callable[[str, str], subprocess.CompletedProcess[str]]:
    def run(text: str, fault: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "case.py").write_text(text)
        (tmp_path / "library.py").write_text(LIBRARY.format(fault=fault))
        command = [sys.executable, "-W", "error", "-B", "case.py"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize(
    ("fault", "verdict", "asked"),
    [
        ("wrong", "wrong", SQUARED),
        ("non-finite", "non-finite", SQUARED),
        ("crash", "crash", SQUARED),
        ("dtype", "contract", SQUARED),
        ("shape", "contract", SQUARED),
        ("changed input", "contract", SQUARED),
        ("shared", "contract", question("square", np.array([2.0, -2.0]))),
        ("unsteady", "contract", SQUARED),
        ("stale", "contract", SQUARED),
        ("lossy", "lossy", question("sinc", np.array([1e-6]))),
        ("kink", "outside subdifferential", question("maximum", np.array([1.0, 3.0]), np.array([1.0, 3.0]))),
    ],
)
def test_a_script_fails_while_the_fault_is_there(fault: str, verdict: str, asked: Question, shown: Any) -> None:
    toy = as_backend(Toy(fault))
    judgement = judge(asked, toy)
    assert judgement.verdict == verdict
    case = parse_case(Case.of(judgement, toy.name, toy.versions()).model_dump_json())
    assert isinstance(case, Case)
    text = script(case, toy)
    assert text is not None
    assert "adjudge" not in text
    broken, mended = shown(text, fault), shown(text, "none")
    assert (broken.returncode, mended.returncode) == (1, 0), broken.stdout + mended.stdout + mended.stderr
    assert verdict == "crash" or any(word in broken.stdout for word in ("WRONG", "BROKEN"))
    assert all(word not in mended.stdout for word in ("WRONG", "BROKEN"))
    assert "got " in mended.stdout
    assert "expected " in mended.stdout


def test_a_backend_without_a_language_has_no_scripts() -> None:
    assert script(simple("id", SQUARED, backend="mirror"), load("mirror")) is None


def test_templates_that_cannot_be_filled_in_are_said() -> None:
    toy = Toy("none")
    toy.language = replace(LANGUAGE, vjp="def vjp({input}): pass")
    with pytest.raises(LanguageError, match="the language of Toy cannot be filled in: KeyError\\('input'\\)"):
        script(simple("id", SQUARED), as_backend(toy))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int8", "int64", "bool"])
def test_the_source_of_an_array_gives_the_array_again(dtype: str) -> None:
    values = [0.1, -0.0, 1e-45, 3.5] if dtype.startswith("float") else [0, 1, 1, 0]
    more = [np.nan, np.inf, -np.inf] if dtype.startswith("float") else []
    for x in (np.array([*values, *more], dtype), np.zeros((0, 2), dtype), np.array(values[3], dtype), np.ones((3, 40), dtype)):
        again = eval(array_words(x), {"np": np})
        assert (again.dtype, again.shape, again.tobytes()) == (x.dtype, x.shape, x.tobytes())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_inputs_of_a_script_lie_in_memory_as_those_that_were_judged(layout: str) -> None:
    data = np.broadcast_to(np.array([[1.0], [2.0]]), (2, 3))
    asked = as_question(Program.of([Input(data, layout=layout), Input(np.array(2.5), kind="number")], [("square", [0])]))
    text = script(simple("id", asked), as_backend(Toy("none")))
    assert text is not None
    space: dict[str, Any] = {}
    exec(text[text.index("import numpy") :].replace("import library", "").partition("COTANGENT = ")[0], space)
    made, number = space["inputs"]()
    due = asked.program.inputs[0].materialise()
    assert number == 2.5
    np.testing.assert_array_equal(made, due, strict=True)
    assert made.strides == due.strides
    assert (made.flags.writeable, made.flags.aligned) == (due.flags.writeable, due.flags.aligned)


@pytest.mark.parametrize("name", ["mygrad", "jax", "torch", "autograd"])
def test_a_script_has_the_text_that_is_judged(name: str) -> None:
    pytest.importorskip(name)
    backend, x = load(name), np.array([[1.5, -2.0], [0.25, 3.0]])
    asked = as_question(Program.of([x, x], [("imul", [0, 1]), ("softmax", [2]), ("add_sequence", [3, 0, 1])]))
    if not backend.supports("softmax"):
        asked = as_question(Program.of([x, x], [("imul", [0, 1]), ("add_sequence", [2, 0, 1])]))
    judged = source(asked.program, template_of(backend.language, "vjp"), backend.language)
    text = script(simple("id", asked, backend=name), backend)
    assert text is not None
    assert judged.text in text
    assert "adjudge" not in text
    space: dict[str, Any] = {"__name__": "case"}
    exec(compile(text, "case.py", "exec"), space)
    value, gradients = space["vjp"](*space["inputs"](), space["COTANGENT"])
    answer = backend.vjp(asked.program, [x, x], asked.cotangent)
    for got, said in zip([value, *gradients], [answer.value, *answer.gradients], strict=True):
        np.testing.assert_array_equal(got, said, strict=True)


@pytest.mark.parametrize("name", ["jax", "torch", "autograd"])
@pytest.mark.parametrize(("mode", "call"), [("jvp", "jvp(*given, *TANGENTS)"), ("hvp", "hvp(*given, COTANGENT, *TANGENTS)")])
def test_a_script_asks_in_the_mode_that_the_case_is_about(name: str, mode: str, call: str, tmp_path: Path) -> None:
    pytest.importorskip(name)
    text = script(simple("id", question("exp", np.array([1.0, 2.0])), backend=name, mode=mode), load(name))
    assert text is not None
    assert f"= {call}" in text
    (tmp_path / "case.py").write_text(text)
    result = subprocess.run([sys.executable, "case.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "inputs are left as they were: kept" in result.stdout
