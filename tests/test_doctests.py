"""Examples in docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

import adjudge

MODULES = [
    m.name
    for m in pkgutil.walk_packages(adjudge.__path__, "adjudge.")
    if not m.name.startswith(("adjudge.tests", "adjudge.backends.", "adjudge.noxfile", "adjudge.setup", "adjudge.__main__"))
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    assert sum(bool(t.examples) for name in MODULES for t in finder.find(importlib.import_module(name))) >= 5
