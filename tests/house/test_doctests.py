"""Examples in docstrings run."""

import doctest
import importlib

import pytest

from .test_rooms import ROOT, modules

MODULES = [
    ".".join(("adjudge", *(() if room == "front" else (room,)), *path.with_suffix("").relative_to(ROOT / room).parts))
    for room, path in modules(ROOT)
    if path.stem not in ("__init__", "__main__", "tutorial")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    assert sum(bool(t.examples) for name in MODULES for t in finder.find(importlib.import_module(name))) >= 5
