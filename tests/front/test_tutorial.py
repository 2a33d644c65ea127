"""Everything the founding tutorial shows works on the reference, and is judged on MyGrad."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adjudge import assert_gradient
from adjudge.tutorial import KNOWN_DIVERGENCES, TUTORIAL, examine, lacking, library, main

CASES = [
    pytest.param(
        name,
        section,
        marks=[pytest.mark.xfail(reason=why, strict=True)] if (why := KNOWN_DIVERGENCES.get((name, section))) else [],
    )
    for name in ("reference", "mygrad")
    for section in TUTORIAL
]


@pytest.mark.parametrize(("name", "section"), CASES)
def test_the_tutorial(name: str, section: str, tmp_path: Path) -> None:
    lib = library(name)
    if lib is None:
        pytest.skip(f"{name} is not installed")
    if reason := lacking(lib, section):
        pytest.skip(reason)
    assert not (report := examine(lib, section, tmp_path)), report


@pytest.mark.parametrize("name", ["reference", "mygrad"])
def test_the_plotted_derivative_is_right_at_every_one_of_its_10000_points(name: str) -> None:
    def f(x: Any) -> Any:
        return np.sin(2 * x) * np.cos(x) * np.exp(-x / 3) * 100

    lib: Any = library(name)
    if lib is None:
        pytest.skip(f"{name} is not installed")
    x = lib.linspace(0, 10, 10000)
    f(x).backward()
    assert_gradient(f, x.data, x.grad)


def test_an_example_that_is_wrong_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lib = library("reference")
    assert lib is not None
    monkeypatch.setitem(TUTORIAL, "two and two are five", ">>> lib.tensor(2.0) + 2\nTensor(5.)")
    assert "Tensor(4.)" in examine(lib, "two and two are five", tmp_path)


def test_every_known_divergence_is_from_a_section_that_exists() -> None:
    assert {section for _, section in KNOWN_DIVERGENCES} <= TUTORIAL.keys()


def test_all_eight_exercises_are_there() -> None:
    assert sorted(s.split(":")[0] for s in TUTORIAL if s.startswith("exercise")) == [f"exercise {n}" for n in range(1, 9)]


def test_the_command_prints_one_line_per_section(capsys: Any) -> None:
    assert main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(TUTORIAL)
    assert all("reference ok" in line or "reference skipped" in line for line in lines)
