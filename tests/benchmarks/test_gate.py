"""How often the performance gate fires: on a copy of MyGrad that is 1.3 times as slow, and on MyGrad against itself.

With ``--benchmark-enable`` each is run ``ADJUDGE_GATE_RUNS`` times (2 unless it is set), and one line says how many fired. The
cases are all there are, unless ``ADJUDGE_GATE_OP`` names an op. Otherwise the copy only has to be the library it is a copy of.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

mygrad: Any = pytest.importorskip("mygrad")

RUNS = int(os.environ.get("ADJUDGE_GATE_RUNS", "2"))
OPS = ("--op", os.environ["ADJUDGE_GATE_OP"]) if "ADJUDGE_GATE_OP" in os.environ else ()
GATE = "1.10"

#: What is put at the end of the copy: every operation and every way back takes `FACTOR` times as long.
SLOWER = """

def _slower(function, factor={factor}):
    from functools import wraps
    from time import perf_counter

    @wraps(function)
    def slowed(*args, **kwargs):
        start = perf_counter()
        out = function(*args, **kwargs)
        end = start + factor * (perf_counter() - start)
        while perf_counter() < end:
            pass
        return out

    return slowed


Tensor._op = classmethod(_slower(Tensor._op.__func__))
Tensor.backward = _slower(Tensor.backward)
"""


def slowed_mygrad(folder: Path, factor: float) -> Path:
    """A Python that finds a copy of MyGrad which takes `factor` times as long, and all else as this one."""
    library = folder / "library"
    shutil.copytree(Path(mygrad.__file__).parent, library / "mygrad", ignore=shutil.ignore_patterns("__pycache__"))
    with open(library / "mygrad" / "__init__.py", "a") as file:
        file.write(SLOWER.format(factor=factor))
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{library}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return python


def status(folder: Path, *sides: str) -> int:
    """What one comparison ends with."""
    command = [sys.executable, "-m", "adjudge", "bench", *sides, "--gate", GATE, *OPS, "--report-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    return done.returncode


@pytest.mark.parametrize("planted", [True, False], ids=["a planted slowdown", "A/A"])
def test_the_gate_fires_on_a_slowdown_and_not_on_noise(planted: bool, tmp_path: Path, benchmark: Any) -> None:
    python = slowed_mygrad(tmp_path, 1.3)
    command = [str(python), "-c", "import mygrad; print(mygrad.__file__)"]
    place = subprocess.run(command, capture_output=True, text=True, check=True)
    assert Path(place.stdout.strip()).is_relative_to(tmp_path)
    if not benchmark.enabled:
        benchmark(lambda: None)
        return
    sides = (f"mygrad@{python}", "mygrad") if planted else ("mygrad",)
    began, fired = time.monotonic(), 0
    for run in range(RUNS):
        fired += benchmark.pedantic(status, (tmp_path, *sides)) == 3 if run == 0 else status(tmp_path, *sides) == 3
        print(f"\n  {' against '.join(sides)}: fired {fired} of {run + 1} runs", end="", flush=True)
    print(f", {(time.monotonic() - began) / RUNS:.0f} s a run, {os.getloadavg()[0]:.1f} processes ready meanwhile", end="")
    assert fired == RUNS if planted else fired == 0
