"""The process of an accused library: whatever it does there, the judge goes on, says what happened, and never passes it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from adjudge import Program, cli
from adjudge.backends import Backend, Limits, OutOfTime, installed, isolate, load
from adjudge.oracle.certificate import as_question
from adjudge.oracle.judge import judge
from adjudge.oracle.lockstep import replay
from adjudge.oracle.program import LAYOUTS, Input, Question
from adjudge.oracle.protocol import Lost, MalformedAnswer, Raised, Unsupported
from adjudge.records.files import read_records
from adjudge.records.ledger import shipped_ledger
from adjudge.records.models import OutcomeRecord

#: A right backend; `{vjp}` is done first, whenever it is asked.
OWN = """
import os, sys, time
import numpy as np
from adjudge.backends import Answer, Unsupported, reference
name = "own"
calls = 0
def pipes():
    "What this process can write to, and the judge reads."
    import fcntl, stat
    for n in range(3, 16):
        try:
            if stat.S_ISFIFO(os.fstat(n).st_mode) and fcntl.fcntl(n, fcntl.F_GETFL) & os.O_WRONLY:
                yield n
        except OSError:
            pass
def versions(): return {{"own": "1"}}
def supports(op): return op in ("sin", "multiply", "sum")
def vjp(program, inputs, cotangent):
    global calls
    calls += 1
    {vjp}
    return reference.vjp(program, inputs, cotangent)
"""
#: What a backend does when it is asked, and what is said of it.
ATTACKS = {
    "leaves": ("raise SystemExit(0)", "crash", "SystemExit: 0"),
    "exits": ("os._exit(0)", "crash", "the process ended with status 0"),
    "segfaults": ("import ctypes; ctypes.string_at(0)", "crash", "the process was ended by SIGSEGV"),
    "aborts": ("os.abort()", "crash", "the process was ended by SIGABRT"),
    "kills itself": ("os.kill(os.getpid(), 9)", "crash", "the process was ended by SIGKILL"),
    "interrupts": ("raise KeyboardInterrupt", "crash", "KeyboardInterrupt"),
    "sleeps": ("time.sleep(1e6)", "crash", "no answer within 1 s (--question-timeout)"),
    "spins": ("while True: pass", "crash", "no answer within 1 s (--question-timeout)"),
    "hangs in C": ("import re; re.match(r'(a+)+$', 'a' * 60 + 'b')", "crash", "no answer within 1 s (--question-timeout)"),
    "runs away": ("x = np.ones(2**33)", "crash", "(its memory limit is 1 GiB, --memory)"),
    "prints": ("print('hello')", "crash", "it wrote 'hello' to the standard output"),
    "writes": ("os.write(1, b'hello\\n')", "crash", "it wrote 'hello' to the standard output"),
    "talks on the channel": (
        "[os.write(n, b'hello\\n') for n in pipes()]",
        "crash",
        "garbage on the channel: 'hello' stands where a message is due",
    ),
    "closes everything": ("os.closerange(0, 64)", "crash", "the process ended with status 1"),
    "returns a number": ("return 3", "contract", "vjp must return an Answer, with a value and a list of gradients, not an int"),
    "returns nothing": ("return None", "contract", "vjp must return an Answer, with a value and a list of gradients, not None"),
    "copies itself": ("os.fork()", "correct", ""),
    "complains": ("sys.stderr.write('x' * 10**6)", "correct", ""),
}


def attack(vjp: str) -> str:
    """The source of a backend that does something when it is asked."""
    return OWN.format(vjp=vjp)


def one(op: str = "sin", *xs: float) -> Question:
    return as_question(Program.of([np.array(xs or (0.5, 2.0))], [(op, [0])]))


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ATTACKS)
def test_whatever_it_does_is_its_verdict_and_the_next_question_is_asked(name: str) -> None:
    act, verdict, said = ATTACKS[name]
    Path("own.py").write_text(attack(act))
    limits = Limits(seconds=1.0, memory=2**30)
    backend = isolate("own.py", limits)
    for _ in range(2):
        judgement = judge(one(), backend)
        assert judgement.verdict == verdict
        assert said in (judgement.worst.reason if judgement.worst else "")


@pytest.mark.parametrize("name", ["leaves", "exits", "segfaults", "sleeps", "prints", "closes everything"])
def test_a_run_goes_on_and_fails(name: str) -> None:
    act, verdict, said = ATTACKS[name]
    Path("own.py").write_text(attack(f"if len(program.inputs) == 1 and program.inputs[0].data.size == 1:\n        {act}"))
    result = check("own.py", "--op", "sin", "--question-timeout", "1")
    assert result.exit_code == 1
    outcomes = [r for r in read_records(Path("adjudge-report")).records if isinstance(r, OutcomeRecord)]
    assert {"correct", verdict} <= {r.verdict for r in outcomes}
    assert said in " ".join(result.stdout.split())
    for file in ("report.json", "summary.md", "junit.xml"):
        assert said.split(" (")[0].split("'")[0] in (Path("adjudge-report") / file).read_text()
    assert json.loads(Path("adjudge-report/report.json").read_text())["verdict"]["passed"] is False


@pytest.mark.parametrize("name", ["leaves", "exits", "segfaults", "prints", "returns a number", "interrupts"])
def test_the_script_of_a_case_shows_it_and_no_longer_once_it_is_mended(name: str) -> None:
    Path("own.py").write_text(attack(ATTACKS[name][0]))
    assert check("own.py", "--op", "sin").exit_code == 1
    scripts = sorted(Path("adjudge-report/cases").absolute().glob("*.py"))
    assert scripts
    for act, status in ((ATTACKS[name][0], 1), ("", 0)):
        Path("own.py").write_text(attack(act))
        for script in scripts:
            done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd="/")
            assert done.returncode == status, done.stdout + done.stderr


def test_the_script_of_a_patched_library_shows_the_patch() -> None:
    pytest.importorskip("mygrad", reason="MyGrad is not installed")
    patch = "Arctan.backward_var = lambda self, grad, index: grad / (1 + self.variables[index].data)\n"
    text = "from mygrad.math.trigonometric.ops import Arctan\nfrom adjudge.backends.mygrad import *\nname = 'broken'\n"
    Path("broken.py").write_text(text + patch)
    assert check("broken.py", "--op", "arctan").exit_code == 1
    wrong = [f for f in json.loads(Path("adjudge-report/report.json").read_text())["failures"] if f["verdict"] == "wrong"]
    script = Path(f"adjudge-report/cases/{wrong[0]['case']}.py").absolute()
    for source, status in ((text + patch, 1), (text, 0)):
        Path("broken.py").write_text(source)
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd="/")
        assert done.returncode == status, done.stdout + done.stderr


def check(*args: str) -> Result:
    return CliRunner().invoke(cli.main, ["check", "--profile", "quick", "--dtype", "float64", "-j", "1", *args])


def test_a_question_that_hangs_is_ended_with_the_time_of_the_run() -> None:
    Path("own.py").write_text(attack("time.sleep(1e6)"))
    began = time.monotonic()
    assert check("own.py", "--op", "sin", "--max-time", "2", "--no-report").exit_code in (1, 2)
    assert time.monotonic() - began < 10
    backend = isolate("own.py", Limits(deadline=time.time() + 3))
    with pytest.raises(OutOfTime):
        judge(one(), backend)


def test_a_row_that_hangs_is_not_waited_for_again_and_again() -> None:
    Path("own.py").write_text(attack("time.sleep(1e6)"))
    began = time.monotonic()
    assert check("own.py", "--op", "sin", "--question-timeout", "0.5").exit_code == 1
    assert time.monotonic() - began < 20
    outcomes = [r for r in read_records(Path("adjudge-report")).records if isinstance(r, OutcomeRecord)]
    assert len(outcomes) == 3


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_when_the_judge_is_killed_its_processes_end() -> None:
    Path("own.py").write_text(attack("open('asked', 'a').close(); time.sleep(1e6)"))
    command = [sys.executable, "-m", "adjudge", "check", "own.py", "-j", "2", "--question-timeout", "600", "--no-report"]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: Path("asked").exists(), 60)
    started = descendants(run.pid)
    assert len(started) >= 4  # two workers at least, and a backend beside each
    run.send_signal(signal.SIGKILL)
    run.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}/mem").exists() and alive(pid) for pid in started), 20)


def descendants(pid: int) -> set[int]:
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(holds: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def test_nothing_in_the_working_folder_is_imported_by_the_judge() -> None:
    """A module there with a name of the standard library's could otherwise judge itself, in the judge's own workers."""
    Path("own.py").write_text(attack("return Answer(np.sin(inputs[0]), [np.cos(inputs[0]) * 2])"))
    Path("struct.py").write_text("open('imported', 'a').close()\nraise ImportError('not the one')\n")
    for command in (["-m", "adjudge"], ["-P", "-m", "adjudge"]):
        options = ["--op", "sin", "--op", "sum", "--profile", "quick", "-j", "2", "--no-report"]
        done = subprocess.run([sys.executable, *command, "check", "own.py", *options], capture_output=True, text=True)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "own sin" in done.stdout
        assert not Path("imported").exists()


@pytest.mark.parametrize("act", ["raise SystemExit(0)", "os._exit(0)"])
def test_in_this_process_a_library_cannot_end_a_run_as_if_it_had_passed(act: str) -> None:
    Path("own.py").write_text(attack(act))
    command = [
        sys.executable,
        "-m",
        "adjudge",
        "check",
        "own.py",
        "--op",
        "sin",
        "--profile",
        "quick",
        "-j",
        "1",
        "--in-process",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "crashes: SystemExit: 0" in done.stdout


def test_a_backend_that_does_not_start_is_ended_with_the_time_of_the_run() -> None:
    Path("own.py").write_text("import time\ntime.sleep(1e6)\n")
    began = time.monotonic()
    result = check("own.py", "--op", "sin", "--max-time", "2", "--no-report")
    assert result.exit_code == 2
    assert "backend 'own.py' did not start: the time of the run was over" in " ".join(result.stderr.split())
    assert time.monotonic() - began < 10


def test_an_exception_of_any_length_is_told() -> None:
    Path("own.py").write_text(attack("raise ValueError('a' * 10**7)"))
    (finding,) = judge(one(), isolate("own.py")).findings
    assert finding.reason.startswith("ValueError: aaa")
    assert len(finding.reason) < 3000


@pytest.mark.parametrize("name", ["own\nPASSED: 5 programs", "x" * 1000, "\x1b[2Jown", "\ud800", " "])
def test_a_name_is_a_line(name: str) -> None:
    Path("own.py").write_text(attack("").replace('name = "own"', f"name = {ascii(name)}"))
    result = check("own.py", "--op", "sin", "--no-report")
    assert result.exit_code == 2
    assert "its name must be a line of text" in result.stderr
    assert len(result.output) < 1000


def test_whoever_ends_a_run_politely_is_told_what_was_judged() -> None:
    Path("own.py").write_text(attack("open('asked', 'a').close(); time.sleep(0.2)"))
    command = [sys.executable, "-m", "adjudge", "check", "own.py", "-j", "1"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    wait_for(lambda: Path("asked").exists(), 60)
    run.terminate()
    assert "INTERRUPTED" in run.communicate(timeout=30)[0]
    assert run.returncode == 130
    assert json.loads(Path("adjudge-report/report.json").read_text())["verdict"]["passed"] is False


# -- what is seen in there ---------------------------------------------------------------------------------------------------


def test_the_users_file_is_imported_once_and_only_in_there() -> None:
    Path("own.py").write_text("open('imported', 'a').write('x')\n" + attack(""))
    isolate("own.py").observe("vjp", one().program, one().cotangent)
    assert Path("imported").read_text() == "x"
    assert "_adjudge_backend_own" not in sys.modules


def test_what_lies_beside_a_backend_and_in_the_working_folder_is_found() -> None:
    Path("elsewhere").mkdir()
    Path("elsewhere/beside.py").write_text("names = 'beside'\n")
    Path("here.py").write_text("names = 'here'\n")
    Path("elsewhere/own.py").write_text("import beside, here\n" + attack(""))
    assert isolate("elsewhere/own.py").name == "own"
    assert load("elsewhere/own.py").name == "own"


#: What a backend does besides answering rightly, and what the judge has to say of it.
DISTURBANCES = {
    "inputs[0][...] = 7.0": "the input was changed",
    "cotangent[...] = 7.0": "the cotangent that was handed over was changed",
    "inputs[0].flags.writeable = False": "the input was made read-only",
    "return Answer(np.sin(inputs[0]), [inputs[0]])": "it shares memory with input",
    "return Answer(np.array([1.0, 2.0]), [3.0])": "a float where an array is due",
    "return Answer(None, [np.ones(2)])": "None where an array is due",
    "return Answer(np.sin(inputs[0]), [np.cos(inputs[0]).astype('float32')])": "dtype float32 where float64 is due",
    "return Answer(np.sin(inputs[0]), [np.cos(inputs[0]).astype(np.longdouble)])": "where float64 is due",
    "return Answer(np.sin(inputs[0]), [np.cos(inputs[0])[None]])": "shape (1, 2) where (2,) is due",
    "return Answer(np.sin(inputs[0]), [np.cos(inputs[0]), np.ones(2)])": "2 gradients for 1 inputs",
    "return Answer(np.sin(inputs[0]), [np.cos(inputs[0]) * (1 + calls * 4e-16)])": "two runs on the same inputs give different",
    "return Answer(np.sin(inputs[0]), [np.cos(inputs[0], out=globals().setdefault('kept', np.ones(2)))])": "",
    "return Answer(np.sin(inputs[0]), [np.full(2, 'x')])": "an array of dtype <U1 where an array is due",
}


@pytest.mark.parametrize("act", DISTURBANCES)
@pytest.mark.parametrize("found", [load, isolate])
def test_what_happens_inside_is_seen(act: str, found: Callable[[str], Backend]) -> None:
    Path("own.py").write_text(attack(act))
    judgement = judge(one(), found("own.py"))
    said = DISTURBANCES[act]
    assert said in " ".join(f.reason for f in judgement.findings)
    assert judgement.failed == bool(said)


def test_a_buffer_that_is_used_again_is_seen() -> None:
    Path("own.py").write_text(
        attack("kept = globals().setdefault('kept', np.ones(2)); kept[...] = calls; return Answer(np.sin(inputs[0]), [kept])")
    )
    reasons = {f.reason for f in judge(one(), isolate("own.py")).findings}
    assert "the first answer changed when the second was computed" in reasons


@pytest.mark.parametrize("name", ["mygrad", "jax", "torch", "autograd", "reference", "mirror"])
def test_the_same_is_seen_in_both_places(name: str) -> None:
    if installed()[name] is None:
        pytest.skip(f"{name} is not installed")
    inside, outside = load(name), isolate(name)
    for dtype in inside.dtypes:
        x = np.array([[1.5, -2.0], [1.5, -2.0]]).astype(dtype)
        for layout in LAYOUTS:
            inputs = [Input(x, layout=layout), Input(np.array(3), kind="number"), Input(x, constant=True)]
            question = as_question(Program.of(inputs, [("multiply", [0, 1]), ("add", [3, 2]), ("tanh", [4])]))
            pair = [judge(question, backend) for backend in (inside, outside)]
            assert pair[0].findings == pair[1].findings
            assert pair[0].modes == pair[1].modes
            assert all(
                a is b is None or np.array_equal(a, b) for a, b in zip(pair[0].gradients, pair[1].gradients, strict=True)
            )


def test_tensors_are_run_in_there() -> None:
    pytest.importorskip("mygrad", reason="MyGrad is not installed")
    tensors = isolate("mygrad").tensors
    assert replay(tensors, ["a = lib.tensor([1.0, 2.0])", "b = a * 2", "b.backward()"]) is None
    ledger, version = shipped_ledger("mygrad"), next(iter(isolate("mygrad").versions().values()))
    for entry in [e for e in ledger.divergences if e.applies(version)]:
        assert entry.state(replay(tensors, entry.snippet))[0] == "still fails", entry.id


# -- replies ------------------------------------------------------------------------------------------------------------------


def test_what_it_raises_keeps_its_kind() -> None:
    kinds: dict[str, type[Exception]] = {
        "raise Unsupported('no sine')": Unsupported, "raise ValueError('ours')": Raised, "return []": MalformedAnswer,
        "os._exit(1)": Lost,
    }  # fmt: skip
    for act, kind in kinds.items():
        Path("own.py").write_text(attack(act))
        with pytest.raises(kind):
            isolate("own.py").observe("vjp", one().program, one().cotangent)


def test_nothing_of_adjudge_is_needed_in_another_environment(bare: str) -> None:
    Path("own.py").write_text(
        "import numpy as np\nfrom adjudge.backends import Answer, Unsupported\nname = 'own'\n"
        "def versions(): return {'numpy': np.__version__}\n"
        "def vjp(program, inputs, cotangent):\n"
        "    (step,) = program.steps\n"
        "    if step.op != 'sin':\n        raise Unsupported(step.op)\n"
        "    return Answer(np.sin(inputs[0]), [cotangent * np.cos(inputs[0])])\n"
    )
    backend = isolate(f"own.py@{bare}")
    assert judge(one(), backend).verdict == "correct"
    assert judge(one("cos"), backend).verdict == "unsupported"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An environment that has NumPy and nothing else: this one's, without its other packages."""
    place = tmp_path_factory.mktemp("environment") / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    packages = next(place.glob("lib/python*/site-packages"))
    library = Path(str(np.__file__)).parent
    for folder in (library, library.with_name("numpy.libs")):
        if folder.exists():
            os.symlink(folder, packages / folder.name)
    return str(place)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("mygrad@nowhere", "'mygrad@nowhere' names no Python: after @ comes an environment's folder or its bin/python"),
        ("reference==1.0", "only mygrad, jax, torch and autograd have releases"),
        ("mygrad==../../x", "'../../x' is no version of mygrad"),
    ],
)
def test_an_environment_that_there_is_not(spec: str, said: str) -> None:
    result = check(spec, "--no-report")
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_a_library_that_an_environment_lacks_is_named(bare: str) -> None:
    result = check(f"mygrad@{bare}", "--no-report")
    assert result.exit_code == 2
    assert "needs mygrad, which is not installed" in " ".join(result.stderr.split())


def test_a_release_is_judged_in_an_environment_made_for_it_and_kept() -> None:
    """The slope of autograd's absolute was NaN at 0 until 1.8."""
    pytest.importorskip("autograd", reason="autograd is not installed")
    result = check("autograd==1.7.0", "--op", "absolute", "--op", "exp")
    if "Connection" in result.output or "No matching distribution found for autograd" in result.output:
        pytest.skip("no package index can be reached")
    assert result.exit_code == 1, result.output
    report = json.loads(Path("adjudge-report/report.json").read_text())
    assert report["backend"]["versions"]["autograd"] == "1.7.0"
    assert [list(finding["ops"]) for finding in report["findings"]] == [["absolute"]]
    (case,) = report["findings"][0]["cases"][:1]
    for spec, status in (("autograd==1.7.0", 1), ("autograd", 0)):
        again = CliRunner().invoke(cli.main, ["replay", case, "--backend", spec])
        assert again.exit_code == status, again.output
        assert "making an environment" not in again.output


@pytest.mark.parametrize("memory", ["1", "lots", "-3GiB", "12 parsecs"])
def test_a_memory_limit_that_makes_no_sense_is_one_sentence(memory: str) -> None:
    result: Any = check("mirror", "--memory", memory, "--no-report")
    assert result.exit_code == 2
    assert "is no memory limit" in result.stderr or "No such option" in result.stderr
