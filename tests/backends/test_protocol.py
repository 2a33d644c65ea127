"""The protocol, for those who write a process in another language: what they may do wrong, and what they need to know."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, Phase, given, settings

from adjudge import Program, cli
from adjudge.backends import BackendError, Limits, isolate
from adjudge.backends.protocol import isolated
from adjudge.oracle.certificate import as_question
from adjudge.oracle.judge import judge
from adjudge.oracle.program import Question
from adjudge.strategies import questions
from adjudge.strategies.catalogue import CATALOGUE

from .test_process import alive, descendants, wait_for

HERE = Path(__file__).parent
PROTOCOL = Path(isolated.__file__).parent
EXAMPLE = PROTOCOL / "tensorflow_js"

#: What the process does to its answers, the verdict, and what is said.
FAULTS = {
    "another id": ("reply['id'] += 1", "crash", "an answer without the id of the question"),
    "no id": ("del reply['id']", "crash", "an answer without the id of the question"),
    "garbage": ("reply = b'Hello, world'", "crash", "'Hello, world' stands where a message is due"),
    "not UTF-8": ("reply = b'\\xff\\xfe'", "crash", "stands where a message is due"),
    "a list": ("reply = [reply]", "crash", "stands where a message is due"),
    "deep nesting": ("reply = b'[' * 10**6", "crash", "stands where a message is due"),
    "a line without end": ("reply = b'x' * 2**23", "crash", "has no end"),
    "nothing": ("reply = {'id': reply['id']}; data = b''", "crash", "is none to a question"),
    "words for people": ("out.write(b'asked\\n')", "crash", "'asked' stands where a message is due"),
    "more bytes": ("data += bytes(8)", "crash", "follows an answer"),
    "fewer bytes": (
        "data = data[:-8]",
        "crash",
        "no answer within 1 s (--question-timeout): 0 of the 8 bytes of an array came",
    ),
    "no bytes": ("data = b''", "crash", "0 of the 8 bytes of an array came"),
    "hangs": ("import time; time.sleep(60)", "crash", "no answer within 1 s (--question-timeout)"),
    "ends": ("import sys; sys.exit('no memory left')", "crash", "the process ended with status 1: no memory left"),
    "nonsense for a dtype": ("reply['arrays'][0]['dtype'] = 'float65'", "crash", "'float65' is no dtype of an array"),
    "null for a dtype": ("reply['arrays'][0]['dtype'] = None", "crash", "None is no dtype of an array"),
    "objects": ("reply['arrays'][0]['dtype'] = 'object'", "crash", "'object' is no dtype of an array"),
    "a huge shape": ("reply['arrays'][0]['shape'] = [10**9] * 3", "crash", "1073741824 are the most"),
    "a huge empty shape": ("reply['arrays'][0]['shape'] = [0, 10**30]", "crash", "is no shape of an array"),
    "many axes": ("reply['arrays'][0]['shape'] = [1] * 100", "crash", "is no shape of an array"),
    "a negative shape": ("reply['arrays'][0]['shape'] = [-1]", "crash", "[-1] is no shape of an array"),
    "infinity in a shape": ("reply['arrays'][0]['shape'] = [float('inf')]", "crash", "[inf] is no shape of an array"),
    "text for a shape": ("reply['arrays'][0]['shape'] = '1'", "crash", "['1'] is no shape of an array"),
    "a number for the arrays": ("reply['arrays'] = 3", "crash", "stands where a message is due"),
    "a NaN token": ("reply['answer'][0] = float('nan')", "crash", "its answer [nan, 1] cannot be read"),
    "a place without an array": ("reply['answer'][0] = 7", "crash", "its answer [7, 1] cannot be read"),
    "a text for an answer": ("reply['answer'] = 'two'", "crash", "its answer two cannot be read"),
    "an empty answer": ("reply['answer'] = []", "contract", "its answer has 0 places where 2 are due"),
    "a place too many": ("reply['answer'] += [None]", "contract", "its answer has 3 places where 2 are due"),
    "no value": ("reply['answer'][0] = None", "contract", "null where an array is due"),
    "no gradient": ("reply['answer'][1] = None", "contract", "no gradient where one of shape"),
    "another dtype": ("reply['arrays'][1]['dtype'] = 'int64'", "contract", "dtype int64 where float64 is due"),
    "another shape": ("reply['arrays'][1]['shape'] = [1, 1]", "contract", "shape (1, 1) where (1,) is due"),
    "other numbers": ("data = data[:8] + bytes(8)", "wrong", "off by"),
    "not a number": ("data = data[:-2] + b'\\xf8\\x7f'", "non-finite", "nan where the truth is"),
    "an exception": ("reply = {'id': reply['id'], 'raised': 'RangeError: 3\\x1b[31m'}; data = b''", "crash", "RangeError: 3"),
    "other fields": ("reply['observed'] = {'changed': 'abc'}; reply['more'] = [1]", "correct", ""),
}
#: What it does to its reply to hello, and what is said.
HELLOS = {
    "no name, no file's": ("reply['name'] = 3", "its name must be a line of text, of 80 characters at most, not 3"),
    "a name that cannot be printed": (
        "reply['name'] = 'a\\x1b[2J'",
        "its name must be a line of text, of 80 characters at most, not 'a\\x1b[2J'",
    ),
    "no versions": ("del reply['versions']", "its versions must be an object of package to version, not None"),
    "a number for a version": ("reply['versions'] = {'tiny': 1}", "an object of package to version, not {'tiny': 1}"),
    "no dtypes": ("del reply['dtypes']", "its dtypes must be a tuple of float dtypes"),
    "a text for dtypes": ("reply['dtypes'] = 'float64'", "its dtypes must be a tuple of float dtypes"),
    "an unknown dtype": ("reply['dtypes'] = ['float65']", "its dtypes must be a tuple of float dtypes"),
    "no ops": ("del reply['ops']", "its ops must be a list of names, not 'None'"),
    "an unknown op": ("reply['ops'] += ['sine']", "its ops have 'sine', which is none of those that it was told"),
    "a list of modes": ("reply['modes'] = ['vjp']", "its modes must be an object of mode to list of ways, not ['vjp']"),
    "an unknown mode": ("reply['modes'] = {'vjp': [''], 'vhp': ['']}", "its modes have 'vhp'"),
    "no reverse mode": ("reply['modes'] = {'jvp': ['']}", "its modes lack 'vjp'"),
    "a number for a roundoff": ("reply['unit_roundoff'] = 0.5", "its unit_roundoff must be a dict of float dtypes to numbers"),
    "NaN for a roundoff": ("reply['unit_roundoff'] = {'float64': float('nan')}", "its unit_roundoff must be"),
    "words for a flag": ("reply['flushes_subnormals'] = 'no'", "its flushes_subnormals must be true or false, not 'no'"),
    "no message": ("reply = b'tiny 1.0'", "garbage on the channel: 'tiny 1.0' stands where a message is due"),
    "never": ("import time; time.sleep(60)", "no answer within 1 s (the limit for a start)"),
    "it ends": ("import sys; sys.exit('no licence')", "the process ended with status 1: no licence"),
    "it cannot work": ("reply = {'id': reply['id'], 'unimportable': 'no licence'}", "cannot be imported: no licence"),
}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def tiny(*spoilt: str) -> str:
    """The path of a backend that names the tiny process, with what it does to its replies."""
    Path("tiny.py").write_text(f"name = 'tiny'\ncommand = {[sys.executable, str(HERE / 'tiny.py'), *spoilt]!r}\n")
    return "tiny.py"


def check(*args: str) -> Result:
    return CliRunner().invoke(cli.main, ["check", "--profile", "quick", "-j", "1", *args])


def one(op: str = "sin") -> Question:
    return as_question(Program.of([np.array([0.5])], [(op, [0])]))


# -- a process that knows the page alone ---------------------------------------------------------------------------------------


def test_a_process_that_knows_the_page_alone_is_judged_and_passes() -> None:
    result = check(tiny(), "--op", "sin", "--op", "multiply", "--op", "sum")
    assert result.exit_code == 0, result.output
    assert re.search(r"sin +\d+ +\d+ ", result.stdout)
    backend = isolate("tiny.py")
    assert (backend.name, backend.versions()) == ("tiny", {"tiny": "1.0"})


@pytest.mark.parametrize("name", FAULTS)
def test_what_it_does_wrong_is_its_verdict_and_the_next_question_is_asked(name: str) -> None:
    code, verdict, said = FAULTS[name]
    backend = isolate(tiny("ask", code), Limits(seconds=1.0))
    for _ in range(2):
        judgement = judge(one(), backend)
        assert judgement.verdict == verdict
        assert said in (judgement.worst.reason if judgement.worst else "")


@pytest.mark.parametrize("name", ["garbage", "an empty answer", "no value", "an exception", "a huge shape"])
def test_a_run_of_such_a_process_fails(name: str) -> None:
    code, verdict, _ = FAULTS[name]
    result = check(tiny("ask", code), "--op", "sin")
    assert result.exit_code == 1
    assert verdict[:5] in result.stdout
    assert "Traceback" not in result.output
    assert "\x1b" not in result.output


@pytest.mark.parametrize("name", HELLOS)
def test_what_is_wrong_with_its_hello_is_one_sentence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "START_TIMEOUT", 1.0 if name == "never" else 60.0)
    code, said = HELLOS[name]
    result = check(tiny("hello", code))
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.stderr.split())
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("'node server.mjs'", "its command must be a list of words, not 'node server.mjs'"),
        ("[]", "its command must be a list of words, not []"),
        ("[3]", "its command must be a list of words, not [3]"),
        ("['no-such-program']", "the process ended with status 1: no-such-program: No such file or directory"),
    ],
)
def test_a_command_that_cannot_be_run_is_one_sentence(command: str, said: str) -> None:
    Path("own.py").write_text(f"name = 'own'\ncommand = {command}\n")
    with pytest.raises(BackendError, match=re.escape(said)):
        isolate("own.py")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")
def test_its_memory_has_the_limit_too() -> None:
    backend = isolate(tiny("ask", "x = bytearray(2**31)"), Limits(memory=2**30))
    judgement = judge(one(), backend)
    assert judgement.verdict == "crash"
    assert "MemoryError" in (judgement.worst.reason if judgement.worst else "")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_when_the_judge_is_killed_it_ends_whatever_it_is_doing() -> None:
    tiny("ask", "open('asked', 'a').close(); import time; time.sleep(1e6)")
    command = [sys.executable, "-m", "adjudge", "check", "tiny.py", "--op", "sin", "-j", "2", "--question-timeout", "600"]
    run = subprocess.Popen([*command, "--no-report"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: Path("asked").exists(), 60)
    started = descendants(run.pid)
    run.kill()
    run.wait()
    wait_for(lambda: not any(map(alive, started)), 20)


# -- the page ------------------------------------------------------------------------------------------------------------------


def drawn(op: str) -> tuple[set[str], set[int]]:
    """The parameters, and the numbers of operands, that questions about an op have."""
    params: set[str] = set()
    operands: set[int] = set()

    @settings(
        max_examples=80, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(questions(op, max_steps=1))
    def draw(question: Question) -> None:
        (step,) = question.program.steps
        params.update(step.params)
        operands.add(len(step.args) - ("where" in step.params))

    draw()
    return params, operands


def told() -> dict[str, tuple[str, set[str]]]:
    """For each op of the table its operands, in words, and its parameters."""
    lines = re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \|", (PROTOCOL / "OPS.md").read_text("utf-8"), re.MULTILINE)
    return {op: (operands, set(re.findall(r"`(\w+)`", params))) for op, operands, params in lines}


def test_the_table_has_a_line_for_every_op() -> None:
    assert list(told()) == list(CATALOGUE)


@pytest.mark.parametrize("op", CATALOGUE)
def test_the_table_says_what_an_op_is_given(op: str) -> None:
    words, said = told()[op]
    params, operands = drawn(op)
    assert ("*" in words) is CATALOGUE[op].keywords
    assert params - ({"where", "dtype"} if "*" in words else set()) == said
    if not any(open_ended in words for open_ended in ("to", "perhaps", "…")):
        assert operands == {words.count(",") + 1}


# -- a real one ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tensorflow_js() -> Path:
    """The example with its packages, in a folder that is kept."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("TensorFlow.js needs Node.js and npm, which are not here")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adjudge" / "tensorflow_js"
    lock, done = (EXAMPLE / "package-lock.json").read_bytes(), cache / "installed"
    shutil.copytree(EXAMPLE, cache, ignore=shutil.ignore_patterns("node_modules"), dirs_exist_ok=True)
    if not (done.is_file() and done.read_bytes() == lock):
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run(command, cwd=cache, capture_output=True, text=True, timeout=300, check=True)
        except subprocess.SubprocessError as problem:
            said = str(getattr(problem, "stderr", "") or problem).strip().splitlines()
            pytest.skip(f"npm cannot install TensorFlow.js here: {said[-1]}")
        done.write_bytes(lock)
    return cache


def test_tensorflow_js_is_judged(tensorflow_js: Path) -> None:
    ops = ["sin", "matmul", "softmax", "sum", "getitem", "maximum", "conv_nd"]
    result = check(
        str(tensorflow_js / "backend.py"), "--ledger", str(tensorflow_js / "ledger.toml"), *(f"--op={op}" for op in ops)
    )
    assert "tensorflow.js (tfjs 4.22.0, node " in result.stdout
    rows = {words[0]: words[1:] for line in result.stdout.splitlines() if (words := line.split()) and words[0] in ops}
    assert sorted(rows) == sorted(ops)
    assert all(int(judged) > 0 for judged, *_ in rows.values())
    assert result.exit_code == 0, result.output
