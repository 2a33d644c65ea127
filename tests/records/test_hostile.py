"""Files that mean harm, put to the command: nothing in them is run, nothing grows without end, and one sentence says why not.

The files stand in ``hostile/``, by what reads them. Whatever would be run there leaves a file called ``canary``.
"""

import ast
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import pytest
from click.testing import CliRunner, Result

from adjudge import cli

HOSTILE = Path(__file__).parent / "hostile"
#: Seconds that a command may take; most take some hundredths.
LONGEST = 10.0

#: What a file is refused for.
REFUSED = {
    "cases/a-cotangent-of-another-shape.json": "the cotangent has shape (5,); the program's value has (2,)",
    "cases/a-field-too-many.json": "there is no field '__class__'; there are kind, schema_version, id,",
    "cases/a-huge-integer.json": "the program cannot be read: Python int too large to convert to C long",
    "cases/a-huge-number.json": "it is not JSON: number out of range at line 1 column 4568",
    "cases/a-lone-surrogate.json": "it is not JSON: unexpected end of hex escape at line 1 column 183",
    "cases/a-negative-shape.json": "an array has no shape (-1,): a length is 0 or more",
    "cases/a-number.json": "a case must be an object, not 12",
    "cases/an-operand-before-all.json": "step 0 (exp) uses value -1; the values before it are 0 to 0",
    "cases/an-operand-that-is-not-there.json": "step 0 (exp) uses value 7; the values before it are 0 to 0",
    "cases/aspect-unknown.json": "'where' must be '', 'raises', 'kind', 'identity', 'shape', 'dtype',",
    "cases/backend-climbs.json": "case planted is about the backend '../../planted.py', which does not ship",
    "cases/backend-is-a-module.json": "case planted is about the backend 'planted:backend', which does not ship",
    "cases/backend-is-a-path.json": "case planted is about the backend 'planted.py', which does not ship with",
    "cases/billions-by-an-empty-axis.json": "it needs 2000000000 elements by step 'sum', and a program from a file may",
    "cases/billions-by-an-index.json": "it needs 1000001 elements by step 'getitem', and a program from a file may",
    "cases/billions-by-an-outer-chain.json": "it needs 270600 elements by step 'multi_matmul', and a program from a file",
    "cases/billions-by-broadcast.json": "it needs 1000000000001 elements by step 'broadcast_to', and a program from",
    "cases/billions-by-broadcasting.json": "it needs 160800 elements by step 'multiply', and a program from a file may",
    "cases/billions-by-doubling.json": "it needs 131071 elements by step 'concatenate', and a program from a file",
    "cases/billions-by-einsum.json": "it needs 10000000000000100 elements by step 'einsum', and a program from a",
    "cases/billions-by-matmul.json": "it needs 1000002000000 elements by step 'matmul', and a program from a",
    "cases/billions-by-padding.json": "it needs 2000000003 elements by step 'conv_nd', and a program from a file",
    "cases/billions-by-pooling.json": "it needs 1000000001 elements by step 'max_pool', and a program from a file",
    "cases/billions-by-repeat.json": "it needs 1000000000001 elements by step 'repeat', and a program from a",
    "cases/billions-by-repeats.json": "it needs 1000000000001 elements by step 'repeat', and a program from a",
    "cases/bounds-dtype-is-text.json": "dtype 'U1000000000' is not one that a program can have: use float64,",
    "cases/bytes-that-are-no-text.json": "cannot be read: not UTF-8",
    "cases/cut-in-half.json": "it is not JSON: EOF while parsing a string at line 1 column 300",
    "cases/dtype-injects.json": "dtype \"float64'); __import__('os').system('touch canary'); ('\" is not one",
    "cases/empty.json": "it is not JSON: EOF while parsing a value at line 1 column 0",
    "cases/expected-runs.json": "'expected' has \"a) or open('canary', 'w'\", which is nothing that is seen",
    "cases/id-climbs.json": "'id' must name a file: letters, digits, '_', '-' and '.' only, not",
    "cases/index-array-injects.json": "dtype 'object' is not one that a program can have: use float64, float32,",
    "cases/index-injects.json": "the program cannot be read: 'str' object cannot be interpreted as an",
    "cases/input-dtype-is-an-object.json": "dtype 'object' is not one that a program can have: use float64, float32,",
    "cases/input-dtype-is-huge.json": "dtype 'S1000000000000' is not one that a program can have: use float64,",
    "cases/layout-injects.json": "input layout \"C\\n__import__('os').system('touch canary')\" is not one of C,",
    "cases/line-asks-for-billions.json": "1000000000000 is no number up to 64",
    "cases/line-binds-the-library.json": "lib is none of the names a, b, c, d, e, f, p, q",
    "cases/line-calls-a-lambda.json": "(lambda: open('canary', 'w'))() is nothing that can be bound",
    "cases/line-climbs-the-classes.json": "().__class__.__base__.__subclasses__() is nothing that can be bound",
    "cases/line-decorates.json": "repr(a).replace('-0.', open('canary', 'w')).split() is nothing that",
    "cases/line-has-a-bidi-override.json": "it has characters that no statement needs",
    "cases/line-has-a-carriage-return.json": "it has characters that no statement needs",
    "cases/line-has-a-long-literal.json": "it has 15018 characters, and 200 are enough for one statement",
    "cases/line-has-a-second-line.json": "it has characters that no statement needs",
    "cases/line-has-escapes.json": "it has characters that no statement needs",
    "cases/line-has-nul.json": "it has characters that no statement needs",
    "cases/line-has-two-statements.json": "it has characters that no statement needs",
    "cases/line-hides-a-default.json": "open('canary', 'w') is none of the names a, b, c, d, e, f, p, q",
    "cases/line-hides-an-index.json": "open('canary', 'w') is no number up to 64",
    "cases/line-imports.json": "import os is none of: bind, update, write, differentiate, null, delete",
    "cases/line-in-a-comprehension.json": "[open('canary', 'w') for x in p] is nothing that can be bound",
    "cases/line-in-an-f-string.json": "it has characters that no statement needs",
    "cases/line-is-nested.json": "it is no Python",
    "cases/line-loads-by-numpy.json": "np.load('canary', allow_pickle=True) is nothing that can be bound",
    "cases/line-makes-a-dtype.json": "open('canary', 'w') is none of 'float64', 'float32', 'float16', 'int64',",
    "cases/line-raises-to-a-power.json": "9 ** 9 ** 9 ** 9 is no number up to 64",
    "cases/line-reaches-the-library.json": "lib.__builtins__['open']('canary', 'w') is nothing that can be bound",
    "cases/line-repeats-billions.json": "10000000000 is no number up to 64",
    "cases/line-runs-a-shell.json": "__import__('os').system('touch canary') is nothing that can be bound",
    "cases/line-saves-by-numpy.json": "np.save('canary', a) is told to nobody: it needs a name to bind, or out=",
    "cases/line-writes-a-file.json": "a.data.tofile('canary') is none of: bind, update, write, differentiate,",
    "cases/lines-are-no-text.json": "'lines' must be text, not 1",
    "cases/lines-bind-a-number.json": "it binds q to what is neither a tensor nor an array",
    "cases/lines-double.json": "an array has more than 64 elements by then",
    "cases/lines-multiply.json": "an array has more than 64 elements by then",
    "cases/lines-without-end.json": "100 lines are enough for a script, and there are 2000",
    "cases/mode-injects.json": "'mode' must be 'vjp', 'jvp' or 'hvp', not '__init__'",
    "cases/names-twice.json": "it lacks 'id'",
    "cases/nested-lists.json": "it is not JSON: recursion limit exceeded at line 1 column 202",
    "cases/nested-objects.json": "it is not JSON: recursion limit exceeded at line 1 column 1006",
    "cases/nested-parameter.json": "it is not JSON: recursion limit exceeded at line 1 column 531",
    "cases/of-the-future.json": "the case has schema version 99; this adjudge reads version 2",
    "cases/op-injects.json": "the reference knows no op named \"exp(a); __import__('os').system('touch",
    "cases/parameter-dunder.json": "sum has no parameter '__class__'",
    "cases/parameter-injects.json": "parameter \"x=1)\\n__import__('os').system('touch canary')\\n(y\" of 'exp' is",
    "cases/parameter-unknown.json": "exp has no parameter 'out'",
    "cases/spec-of-a-program.json": "case planted is about the backend 'planted', which does not ship with",
    "cases/spec-of-a-script.json": "case planted is about the backend 'planted.py', which does not ship with",
    "cases/steps-without-end.json": "it has 1500 steps, and a program from a file may have 1000",
    "cases/subscripts-inject.json": "einsum: \"i'); __import__('os').system('touch canary'); ('\" are no",
    "cases/where-injects.json": "parameter 'where' of 'exp' must be true, false, or a list of them",
    "history/a-list.ndjson": "is no run: it needs a JSON object with a 'kind' and a 'schema_version'",
    "history/a-lone-surrogate.ndjson": "is no run: it needs a JSON object with a 'kind' and a 'schema_version'",
    "history/a-number-too-large.ndjson": "the history in past cannot be read: Python int too large to convert to SQLite",
    "history/bytes.ndjson": "is no run: it needs a JSON object with a 'kind' and a 'schema_version'",
    "history/kind-is-an-object.ndjson": "is of kind {} and schema version 2; this adjudge reads conformance and",
    "history/lacks-a-field.ndjson": "it lacks 'ops'",
    "history/nested.ndjson": "is no run: it needs a JSON object with a 'kind' and a 'schema_version'",
    "history/of-the-future.ndjson": "is of kind 'conformance' and schema version 99; this adjudge reads",
    "ledgers/a-date-as-a-parameter.toml": "parameter 'axis' of 'sum' is no name with a number, text, or a list of them",
    "ledgers/a-dtype-of-any-size.toml": "dtype 'S1000000000000' is not one that a program can have: use float64,",
    "ledgers/a-huge-number.toml": "is not TOML: Exceeds the limit (4300 digits) for integer string",
    "ledgers/a-lone-surrogate.toml": "is not TOML: Escaped character is not a Unicode scalar value (at line 1,",
    "ledgers/billions-by-broadcast.toml": "it needs 1000000000001 elements by step 'broadcast_to', and a program",
    "ledgers/billions-by-repeat.toml": "it needs 1000000000001 elements by step 'repeat', and a program from a file",
    "ledgers/bytes.toml": "cannot be read: not UTF-8",
    "ledgers/case-of-another-shape.toml": "its cotangent has shape (2,), and the program's value ()",
    "ledgers/escapes-at-the-top.toml": "has '\\x1b[2J' at its top; only [[entry]] and [[unsupported]] may stand there",
    "ledgers/id-climbs.toml": "'id' must name a file: letters, digits, '_', '-' and '.' only, not",
    "ledgers/nested.toml": "is nested too deeply",
    "ledgers/parameter-injects.toml": "parameter \"x=1)\\nopen('canary', 'w')\" of 'exp' is no name with a number,",
    "ledgers/pattern-is-broken.toml": "'line' must be a regular expression, not '('",
    "ledgers/regular-table.toml": "has one [entry] where [[entry]] is due",
    "ledgers/snippet-asks-for-billions.toml": "1000000000000 is no number up to 64",
    "ledgers/snippet-doubles.toml": "an array has more than 64 elements by then",
    "ledgers/snippet-runs-a-shell.toml": "__import__('os').system('touch canary') is nothing that can be bound",
    "records/a-list.ndjson": "it is no record: that is a JSON object with a 'kind'",
    "records/a-lone-surrogate.ndjson": "it is not JSON",
    "records/bench-page.ndjson": "holds a run of `adjudge bench`, which has no page of its own; `adjudge",
    "records/bytes.ndjson": "it is not JSON",
    "records/case-id-climbs.ndjson": "a record of kind 'failure': 'id' must name a file: letters, digits, '_',",
    "records/case-of-billions.ndjson": "it needs 1000000000001 elements by step",
    "records/case-runs-a-shell.ndjson": "__import__('os').system('touch canary') is nothing that can be bound",
    "records/empty.ndjson": "does not begin with a record of kind 'run'",
    "records/header-twice.ndjson": "line 3 begins a second run; a file of records holds one",
    "records/kind-is-an-object.ndjson": "a record of kind an object: it needs a 'kind', one of 'run', 'outcome',",
    "records/kind-is-long.ndjson": "a record of kind",
    "records/nested.ndjson": "it is not JSON",
    "records/no-header.ndjson": "does not begin with a record of kind 'run'",
    "records/of-the-future.ndjson": "has schema version 99; this adjudge reads version 2",
    "records/unknown-verdict.ndjson": "a record of kind 'outcome': 'verdict' must be 'crash', 'contract',",
}
#: Files that are what they should be, and have in them what a terminal, a page or a script must not take literally.
SHOWN = (
    "cases/bounds-have-quotes.json",
    "cases/lines-overflow.json",
    "cases/reason-ends-the-docstring.json",
    "cases/reason-has-escapes.json",
    "cases/reason-has-line-separators.json",
    "cases/reason-of-a-script-ends-the-docstring.json",
    "cases/versions-end-the-docstring.json",
    "cases/witnesses-have-escapes.json",
    "history/escapes.ndjson",
    "records/a-number-too-large.ndjson",
    "records/escapes.ndjson",
    "records/numbers-far-apart.ndjson",
    "records/numbers-out-of-range.ndjson",
)
#: The commands that read a file of each kind.
COMMANDS = {
    "cases": ("replay {0}", "explain {0}", "replay {0} --script"),
    "records": ("report {0} -o out", "compare {0} {0}"),
    "ledgers": (
        "ledger check reference --ledger {0}", "ledger list reference --ledger {0}",
        "check mirror --op exp --no-report --ledger {0}",
    ),
    "history": ("report --history past -o out",),
}  # fmt: skip
#: What a case's script is written in here, and what is imported where a case's own place is.
SPOKEN = """
from adjudge.backends import Language

name, distributions = "spoken", ("numpy",)
language = Language(title="spoken", imports="import math", step="np.{op}({args})", vjp='''
    def vjp({inputs}, cotangent):
        {steps}
        return {out}, [cotangent]
''')
"""
PLANTED = "open('canary', 'w').close()\n"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with two backends, one of which must not be imported; nothing may have been run there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "planted.py").write_text(PLANTED)
    (tmp_path / "spoken.py").write_text(SPOKEN)
    yield tmp_path
    assert not list(tmp_path.parent.rglob("*canary*"))


def files() -> list[str]:
    """Every file of the corpus, by kind and name."""
    paths = (path for path in HOSTILE.glob("*/*") if not path.name.endswith(".semantics.toml"))  # read with the one beside it
    return sorted(f"{path.parent.name}/{path.name}" for path in paths)


def results(name: str) -> Iterator[Result]:
    """What becomes of every command that reads a file."""
    kind, _, file = name.partition("/")
    if kind == "history":
        Path("past").mkdir()
        shutil.copy(HOSTILE / name, "past/runs.ndjson")
    for command in COMMANDS[kind]:
        began = perf_counter()
        result = CliRunner().invoke(cli.main, [word.format(HOSTILE / name) for word in command.split()])
        assert perf_counter() - began < LONGEST
        yield result


def test_the_corpus_is_large_and_every_file_of_it_is_tried() -> None:
    assert len(files()) >= 60
    assert set(files()) == {*REFUSED, *SHOWN}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_file_is_refused_in_one_sentence(name: str, elsewhere: Path) -> None:
    for result in results(name):
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert result.stderr.startswith("adjudge: ")
        assert result.stderr.count("\n") == 1
        assert result.stderr.rstrip("\n").isprintable()
        assert REFUSED[name] in result.stderr


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_shown_is_no_command_to_the_terminal_nor_to_a_page(name: str, elsewhere: Path) -> None:
    for result in results(name):
        assert result.exit_code == 0 or "there is no script" in result.stderr, result.output
        assert all(line.startswith(("adjudge: ", "note: ")) for line in result.stderr.splitlines())
        assert result.output.replace("\n", "").isprintable()
    for page in elsewhere.glob("out/*.html"):
        text = page.read_text("utf-8")
        assert text.replace("\n", "").replace("\t", "").isprintable()
        assert "</script><script>" not in text


@pytest.mark.parametrize("name", [name for name in SHOWN if name.startswith("cases/")])
def test_the_script_of_a_hostile_case_says_nothing_of_its_own(name: str, elsewhere: Path) -> None:
    backend = "reference" if "lines-" in name or "-of-a-script" in name else "spoken.py"
    result = CliRunner().invoke(cli.main, ["replay", str(HOSTILE / name), "--script", "--backend", backend])
    assert result.exit_code == 0, result.output
    assert result.stdout.replace("\n", "").isprintable()
    called = {node.id for node in ast.walk(ast.parse(result.stdout)) if isinstance(node, ast.Name)}
    assert called.isdisjoint({"__import__", "open", "os", "canary"})


@pytest.mark.parametrize("name", ["cases/spec-of-a-program.json", "cases/spec-of-a-script.json"])
def test_what_a_case_says_of_where_its_backend_is_is_not_read(name: str, elsewhere: Path) -> None:
    assert CliRunner().invoke(cli.main, ["replay", str(HOSTILE / name), "--backend", "reference"]).exit_code == 0
