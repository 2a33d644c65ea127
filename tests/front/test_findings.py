"""One fault, one finding: what a newcomer is shown of a library with two faults."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from adjudge.cli import main
from adjudge.oracle.verdicts import Finding
from adjudge.records.causes import cause_of, row_of
from adjudge.records.models import OutcomeRecord

#: A library of four functions, right but for what `{fault}` does, as a newcomer would bring it.
TOY = """
import numpy as np
from adjudge.backends import Answer
name = "toy"
RULES = {{
    "sin": (np.sin, lambda g, x: g * np.cos(x)), "exp": (np.exp, lambda g, x: g * np.exp(x)),
    "negative": (np.negative, lambda g, x: -g), "square": (np.square, lambda g, x: 2 * g * x),
}}
{fault}
def versions(): return {{"toy": "1.0"}}
def supports(op): return op in RULES
def vjp(program, inputs, cotangent):
    values = [np.asarray(x) for x in inputs]
    if any("where" in step.params for step in program.steps):
        from adjudge.backends import Unsupported
        raise Unsupported("no out= with where=")
    for step in program.steps:
        values.append(np.asarray(RULES[step.op][0](values[step.args[0]])))
    pulled = {{len(values) - 1: cotangent}}
    for number in reversed(range(len(program.steps))):
        step, g = program.steps[number], pulled.pop(len(inputs) + number, None)
        if g is not None:
            a = step.args[0]
            pulled[a] = pulled.get(a, 0) + RULES[step.op][1](g, values[a])
    return Answer(values[-1], [None if i.constant else keep(pulled.get(n), x, program)
                               for n, (i, x) in enumerate(zip(program.inputs, values))])
{keep}
"""
KEEP = "def keep(g, x, program): return None if g is None else np.array(g, x.dtype)"
SIGN = 'RULES["sin"] = (np.sin, lambda g, x: -g * np.cos(x))\n'
FACTOR = 'RULES["exp"] = (np.exp, lambda g, x: g * np.exp(x) * (1 + 1e-3))\n'


def check(fault: str, keep: str = KEEP, *more: str) -> Result:
    Path("toy.py").write_text(TOY.format(fault=fault, keep=keep))
    return CliRunner().invoke(main, ["check", "toy.py", "--profile", "quick", "-j", "1", *more])


def findings() -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(Path("adjudge-report/report.json").read_text())["findings"]
    return found


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_right_library_passes_and_what_it_has_not_is_one_line() -> None:
    result = check("")
    assert result.exit_code == 0, result.output
    assert len(re.findall(r"not supported: \d+ ops:", result.output)) == 1
    assert "\ncos " not in result.output


def test_two_faults_are_two_findings_and_each_is_printed_once() -> None:
    result = check(SIGN + FACTOR)
    assert result.exit_code == 1
    assert "FAILED: 2 new failures" in result.output
    told = findings()
    assert [list(finding["ops"]) for finding in told] in ([["sin"], ["exp"]], [["exp"], ["sin"]])  # type: ignore[call-overload]
    for finding in told:
        assert len(finding["dtypes"]) == 2  # type: ignore[arg-type]
        assert finding["seen"] > 5  # type: ignore[operator]
        assert " ".join(result.output.split()).count(str(finding["sentence"])) == 1


def test_a_failure_that_begins_in_another_op_stands_in_that_ops_row() -> None:
    result = check(SIGN, KEEP, "--op", "exp", "--op", "composition")
    rows = {line.split()[0]: line.split() for line in result.output.splitlines() if re.match(r"(sin|exp|composition) ", line)}
    assert result.exit_code == 1
    assert rows["sin"][5] != "."  # new
    assert rows["exp"][5] == "."
    assert rows["composition"][5] == "."
    assert "partial" not in result.output


def test_notes_on_the_contract_come_last_and_are_one_for_all_ops() -> None:
    number = "def keep(g, x, program): return None if g is None else np.array(g, x.dtype)[()]"  # a NumPy number for a 0-d array
    result = check(SIGN, number)
    assert result.exit_code == 1
    first, last = findings()
    assert "is wrong in the gradient" in str(first["sentence"])
    assert "where an array is due" in str(last["sentence"])
    assert len(last["ops"]) > 2  # type: ignore[arg-type]
    assert set(last["dtypes"]) == {"float64", "float32"}  # type: ignore[call-overload]


def test_what_vjp_must_return_is_said_once() -> None:
    result = check("", KEEP + "\ndef vjp(program, inputs, cotangent): return 3")
    assert result.exit_code == 1
    assert " ".join(result.output.split()).count("vjp must return an Answer") == 1
    assert len(findings()) == 1


def test_the_page_and_the_summary_tell_as_many_findings() -> None:
    check(SIGN + FACTOR)
    page, summary = Path("adjudge-report/index.html").read_text(), Path("adjudge-report/summary.md").read_text()
    assert page.count("<p>Seen in ") == 2
    assert len(re.findall(r"^- toy", summary, re.MULTILINE)) == 2


@pytest.mark.parametrize(
    ("reasons", "alike"),
    [
        (("shape (2, 1) where (2,) is due", "shape (3,) where () is due"), True),
        (("a float64 where an array is due", "a float32 where an array is due"), True),
        (("it shares memory with input a", "it shares memory with input c"), True),
        (("dtype float64 where float32 is due", "dtype float64 where float16 is due"), True),
        (("dtype float64 where float32 is due", "dtype float16 where float32 is due"), False),
        (("ValueError: axis 3 of [1.0, 2.0]", "ValueError: axis 0 of [5.0]"), True),
        (("ValueError: axis", "TypeError: axis"), False),
    ],
)
def test_what_is_answered_instead_is_told_without_what_differs_by_chance(reasons: tuple[str, str], alike: bool) -> None:
    first, second = (Finding("contract", "gradient of a", reason).instead for reason in reasons)
    assert (first == second) is alike


@pytest.mark.parametrize(
    ("got", "instead"), [(0.0, "0"), (-2.0, "the negative"), (4.0, "twice as much"), (3.1, "another number")]
)
def test_a_wrong_number_is_told_by_what_a_fault_makes_of_the_right_one(got: float, instead: str) -> None:
    assert Finding("wrong", "value", "off", got=got, expected=2.0, allowance=1e-15).instead == instead


def test_the_cause_of_wrong_numbers_is_the_op_to_blame_and_of_the_rest_what_is_answered() -> None:
    def outcome(verdict: str, blamed: str, instead: str) -> OutcomeRecord:
        return OutcomeRecord(op="exp", verdict=verdict, mode="vjp", where="gradient of a", blamed=blamed, instead=instead)

    assert cause_of(outcome("wrong", "sin", "0")) == cause_of(outcome("non-finite", "sin", "nan"))
    assert cause_of(outcome("wrong", "sin", "0")) != cause_of(outcome("wrong", "cos", "0"))
    assert cause_of(outcome("crash", "sin", "ValueError: no")) == cause_of(outcome("crash", "cos", "ValueError: no"))
    assert row_of(outcome("wrong", "sin", "0"), {"sin": "trigonometric", "exp": "exponential"}) == "sin"
    assert row_of(outcome("wrong", "accumulation", "0"), {"exp": "exponential"}) == "exp"
