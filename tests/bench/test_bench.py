"""Benchmarks: only right answers are timed, records have one shape, and a gate fires for what persists."""

import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adjudge import cli
from adjudge.bench import cases
from adjudge.bench.cases import BenchRow
from adjudge.bench.gate import REPEATS, GateOutcome, decide
from adjudge.bench.timing import Comparison
from adjudge.records.files import read_records
from adjudge.records.history import history

#: Matrix products in NumPy; the gradient of a is what `GRADIENT` makes of the right one, in the call of number `calls`.
OWN = '''
import numpy as np
from adjudge.backends import Language

name = "own"


def versions():
    return {{"own": "1.0", "numpy": np.__version__}}


def supports(op):
    return op == "matmul"


def vjp(program, inputs, cotangent):
    raise NotImplementedError("this backend is timed, and never judged otherwise")


language = Language(
    title="own",
    imports="{brings}",
    spelling={{"matmul": "{{0}} @ {{1}}"}},
    passes="""
        def passes({{inputs}}, cotangent):
            calls = 0

            def forward():
                {{steps}}
                return {{out}}

            def total():
                nonlocal calls
                calls += 1
                right = cotangent @ b.T
                return forward(), (GRADIENT, a.T @ cotangent)

            return dict(forward=forward, total=total, arrays=lambda both: both)
    """.replace("GRADIENT", "{gradient}"),
)
'''
TIMING = {
    "kind", "backend", "versions", "op", "case", "layout", "dtype", "forward_s", "total_s", "total_s_low", "total_s_high",
    "gradient_ratio", "flops", "limit_flops_per_s", "share", "peak_bytes", "compile_s", "rounds",
}  # fmt: skip

Run = Callable[..., Result]


def planted(file: str, gradient: str = "right", brings: str = "import time") -> str:
    """A backend's file, in the folder that tests run in."""
    Path(file).write_text(OWN.format(gradient=gradient, brings=brings))
    return file


def shim(file: str, *options: str) -> str:
    """A Python that starts with some options."""
    Path(file).write_text(f'#!/bin/sh\nexec "{sys.executable}" {" ".join(options)} "$@"\n')
    Path(file).chmod(0o755)
    return file


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, in an empty folder, with two small products of matrices as all there is to be timed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(cases, "CASES", (BenchRow("matmul", "12x12 @ 12x12"),))
    return lambda *args: CliRunner().invoke(cli.main, ["bench", *(str(a) for a in args)])


def recorded(kind: str = "", folder: str = "adjudge-report") -> list[dict[str, Any]]:
    """The records of the run, or those of one kind."""
    return [r.model_dump() for r in read_records(Path(folder) / "bench.ndjson").records if kind in ("", r.kind)]


# -- what is timed -------------------------------------------------------------------------------------------------------------


def test_a_run_is_a_header_timings_and_an_end(run: Run) -> None:
    result = run("reference", "--op", "matmul", "--report-dir", "here", "--history", "past")
    assert result.exit_code == 0, result.output
    header, *timings, end = recorded(folder="here")
    assert set(header) == {"kind", "what", "schema_version", "run", "started", "adjudge", "environment", "gate"}
    assert (header["kind"], header["what"], header["gate"]) == ("run", "bench", None)
    assert header["environment"]["cpu"]
    assert header["environment"]["threads"]["OMP_NUM_THREADS"]
    assert set(end) == {"kind", "seconds", "interrupted"}
    assert {(t["op"], t["case"], t["layout"], t["dtype"]) for t in timings} == {
        ("matmul", "12x12 @ 12x12", "C", dtype) for dtype in ("float64", "float32")
    }
    for t in timings:
        assert set(t) == TIMING
        assert t["total_s_low"] <= t["total_s"] <= t["total_s_high"]
        assert t["gradient_ratio"] == pytest.approx(t["total_s"] / t["forward_s"])
        assert t["flops"] == 3 * 2 * 12**3
        assert t["share"] == pytest.approx(t["flops"] / t["total_s"] / t["limit_flops_per_s"])
        assert t["peak_bytes"] > 0
        assert t["compile_s"] is None
        assert next(iter(t["versions"])) == "adjudge"
    with history(Path("past")) as found:
        (machine,) = found.machines()
        times = [point.total_s for one in found.series(machine.key) for point in one.points]
    assert sorted(times) == sorted(t["total_s"] for t in timings)


def test_jax_is_compiled_before_it_is_timed(run: Run) -> None:
    pytest.importorskip("jax")
    assert run("jax").exit_code == 0
    for t in recorded("timing"):
        assert 0 < t["total_s"] < t["compile_s"]


@pytest.mark.parametrize(
    ("gradient", "wrong"),
    [
        ("right + 1", "the gradient of a is wrong in 144 of 144 elements"),
        ("right if calls < 9 else right * 2", "the gradient of a is wrong in "),  # right until it is timed
        ("right.astype('float16')", "the gradient of a has dtype float16 and should have float64"),
        ("right[:-1]", "the gradient of a has shape (11, 12) and should have (12, 12)"),
        ("None", "the gradient of a is missing"),
    ],
)
def test_what_is_wrong_has_no_timing(run: Run, gradient: str, wrong: str) -> None:
    result = run(planted("own.py", gradient), planted("fine.py"))
    assert result.exit_code == 1, result.output
    assert "FAILED: 2 answers" in result.output
    assert len(recorded("timing")) == 2  # the other side's
    first, second = recorded("untimed")
    assert first["verdict"] == second["verdict"] == "wrong"
    assert wrong in first["reason"]
    assert first["reason"] in result.output
    assert first["backend"] == "own"
    assert (first["op"], first["dtype"], second["dtype"]) == ("matmul", "float64", "float32")


@pytest.mark.parametrize(
    ("gradient", "said"),
    [("1 / 0", "ZeroDivisionError: division by zero"), ("__import__('os')._exit(7)", "the process ended with status 7")],
)
def test_what_crashes_has_no_timing_and_the_others_go_on(run: Run, gradient: str, said: str) -> None:
    result = run(planted("own.py", gradient), "reference")
    assert result.exit_code == 1, result.output
    assert [(r["verdict"], r["reason"]) for r in recorded("untimed")] == [("crash", said)] * 2
    assert [r["backend"] for r in recorded("timing")] == ["reference"] * 2


#: Raises where memory that was freed goes back to the system, and is asked for page by page again.
MEMORY = """
import resource
import numpy as np

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        arrays = [np.ones(2**16) for _ in range(4)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
if faults() > 1000:
    raise MemoryError("freed memory is not kept")
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator than glibc's, with habits of its own")
def test_no_page_faults_are_timed(run: Run) -> None:
    Path("memory.txt").write_text(MEMORY)
    result = run(planted("own.py", brings=f"import time; exec(open('{Path('memory.txt').absolute()}').read())"))
    assert result.exit_code == 0, result.output
    assert len(recorded("timing")) == 2


def test_what_is_not_installed_is_unsupported_and_the_others_are_timed(run: Run) -> None:
    bare = Path(shim("bare", "-S")).absolute()  # no site-packages, so not even NumPy
    result = run(f"autograd@{bare}", "reference")
    assert result.exit_code == 0, result.output
    assert len(recorded("timing")) == 2
    for r in recorded("untimed"):
        assert (r["backend"], r["verdict"]) == ("autograd", "unsupported")
        assert r["reason"] == f"backend 'autograd@{bare}' needs numpy, which is not installed there"


def test_what_is_not_installed_there_is_unsupported_and_says_how_to_get_it(run: Run) -> None:
    own = planted("own.py", brings="import planted_that_is_not_there.part")
    assert run(own).exit_code == 2
    reasons = {r["reason"] for r in recorded("untimed")}
    assert reasons == {f"planted_that_is_not_there is not installed: {sys.executable} -m pip install planted_that_is_not_there"}
    bare = Path(shim("bare", "-S")).absolute()  # no site-packages, so not even NumPy
    result = run(f"{own}@{bare}")
    assert result.exit_code == 2, result.output
    assert "NO VERDICT: nothing could be timed" in result.output
    assert {(r["verdict"], r["reason"]) for r in recorded("untimed")} == {
        ("unsupported", f"backend '{own}@{bare}' needs numpy, which is not installed there")
    }


def test_what_a_backend_has_not_is_unsupported(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "CASES", (BenchRow("einsum", "3, 4", params={"subscripts": "i,j->ij"}),))
    assert run(planted("own.py")).exit_code == 2
    assert {(r["verdict"], r["reason"]) for r in recorded("untimed")} == {("unsupported", "own has no einsum")}
    assert run("mirror").exit_code == 2
    assert {r["reason"] for r in recorded("untimed")} == {"backend mirror does not say how its passes are timed (language)"}


# -- what users get wrong ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("mygrad --op matmull", "no benchmark is of op 'matmull'; did you mean 'matmul'?"),
        ("--op tanh", "no benchmark is of op 'tanh'; there are matmul, einsum, conv_nd"),
        ("mygrid", "mygrid"),
        ("reference@nowhere", "'reference@nowhere' names no Python: after @ comes an environment's folder or its bin/python"),
        ("reference@", "'reference@' names no Python"),
        ("reference@file", "'reference@file' names no Python"),
        ("--gate 1.1", "--gate compares one backend with another, or with itself: 0 are given"),
        ("reference jax torch --gate 1.1", "--gate compares one backend with another, or with itself: 3 are given"),
        ("reference --gate 0.5", "0.5 is not in the range x>=1"),
        ("reference --report-dir file", "the records cannot be written to file: File exists; --report-dir names another place"),
        ("reference --history file", "the history cannot be written to file: File exists; --history names another place"),
    ],
)
def test_a_slip_is_one_sentence_before_anything_is_timed(run: Run, args: str, sentence: str) -> None:
    Path("file").write_text("")
    result = run(*args.split())
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("adjudge: ")
    assert result.stderr.count("\n") == 1
    assert sentence in result.stderr


# -- the gate ------------------------------------------------------------------------------------------------------------------


def test_a_library_is_not_slower_than_itself(run: Run) -> None:
    result = run("reference", "--gate", "1.10")
    assert result.exit_code == 0, result.output
    assert "PASSED: none of 2 cases takes more than" in result.output
    for r in recorded("ratio"):
        assert r["ratio_low"] <= r["ratio"] <= r["ratio_high"]
        assert (r["against"], r["beyond"], r["regression"]) == ("reference", 1.1, False)


def test_what_persists_is_a_regression(run: Run) -> None:
    slow = planted("slow.py", "time.sleep(0.002) or right")
    result = run(slow, planted("own.py"), "--gate", "1.10")
    assert result.exit_code == 3, result.output
    assert "SLOWER: 2 of 2 cases take more than 1.1 times as long, every time they were measured" in result.output
    for r in recorded("ratio"):
        assert r["regression"]
        assert len(r["measured"]) == 1 + REPEATS
        assert min(low for _, low, _ in r["measured"]) == r["ratio_low"] > 1.1
    assert run("own.py", slow, "--gate", "1.10").exit_code == 0


def test_a_wrong_answer_is_not_compared(run: Run) -> None:
    assert run(planted("fine.py"), planted("own.py", "-right"), "--gate", "1.10").exit_code == 1
    assert not recorded("ratio")
    assert {r["verdict"] for r in recorded("untimed")} == {"wrong"}


SLOW, FAST = Comparison(1.3, 1.2, 1.4, 16), Comparison(1.05, 0.9, 1.2, 16)


@pytest.mark.parametrize(
    ("measured", "regression"),
    [
        ([SLOW, SLOW, SLOW], True),
        ([FAST], False),
        ([SLOW, FAST], False),
        ([SLOW, SLOW, FAST], False),
        ([SLOW, SLOW, None], False),
        ([SLOW, None], False),
        ([SLOW, SLOW, Comparison(1.3, 1.1, 1.5, 16)], False),  # its interval reaches down to what is allowed
        ([SLOW, SLOW, Comparison(1.3, 1.101, 1.5, 16)], True),
    ],
)
def test_a_gate_fires_only_if_it_is_beyond_the_limit_every_time(measured: list[Comparison | None], regression: bool) -> None:
    attempts = []

    def measure(case: str, attempt: int) -> Comparison | None:
        attempts.append(attempt)
        return measured[attempt]

    ((case, finding),) = decide(["only"], measure, 1.1)
    assert case == "only"
    assert finding.regression is regression
    assert attempts == list(range(len(measured)))
    assert list(finding.measured) == [m for m in measured if m is not None]


def test_only_suspects_are_measured_again_and_what_cannot_be_measured_is_no_finding() -> None:
    asked = []

    def measure(case: str, attempt: int) -> Comparison | None:
        asked.append((case, attempt))
        return {"slow": SLOW, "fast": FAST}.get(case)

    found = dict(decide(["slow", "gone", "fast"], measure, 1.1))
    assert found == {"slow": GateOutcome((SLOW,) * 3, 1.1), "fast": GateOutcome((FAST,), 1.1)}
    assert asked == [("slow", 0), ("gone", 0), ("fast", 0), ("slow", 1), ("slow", 2)]
