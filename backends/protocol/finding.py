"""A user's own backend, found by what the user typed: ``module``, ``module:attribute``, ``path.py`` or ``path.py:attribute``.

Needs CPython 3.8 alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["NoBackend", "Unimportable", "Unknown", "find", "part", "parts_of", "sentence"]


class Unknown(Exception):
    """There is nothing by the name that was given; the message says so, or is "" where nothing more is known."""


class Unimportable(Exception):
    """It fails when it is imported; the message has the exception's name and message."""


class NoBackend(Exception):
    """What was found is no backend; the message says why, of an "it"."""


def part(name: str, action: Callable[[], Any]) -> Any:
    """What a part of a backend gives; whatever it raises is said of it.

    Raises
    ------
    NoBackend
    """
    try:
        return action()
    except BaseException as problem:  # SystemExit as well: it is no reason to end this process
        own = isinstance(problem, TypeError) and str(problem).startswith("it")
        raise NoBackend(str(problem) if own else f"{name} raised {sentence(problem)}") from problem


def find(spec: str) -> Any:
    """The module or object of that name. An attribute that is a class is called without arguments.

    What lies beside a file, and in the working folder, can be imported by it.

    Raises
    ------
    Unknown, Unimportable
    """
    place, attribute = parts_of(spec)
    found: Any = _from_file(place) if place.endswith(".py") else _from_module(place)
    for name in attribute.split(".") if attribute else ():
        if not hasattr(found, name):
            raise Unknown(f"{place} has no attribute {name!r}, which {spec!r} asks for")
        found = getattr(found, name)
    return _attempt(found) if isinstance(found, type) else found


def parts_of(spec: str) -> tuple[str, str]:
    """The place and the attribute; a colon that no attribute follows (a drive letter's) belongs to the place."""
    place, colon, attribute = spec.rpartition(":")
    return (place, attribute) if colon and _is_dotted(attribute) else (spec, "")


def sentence(problem: BaseException) -> str:
    """An exception in one line."""
    lines = str(problem).strip().split("\n")
    return type(problem).__name__ + (f": {lines[0]}" if lines[0] else "")


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _look_in(folder: str) -> None:
    if folder not in sys.path and (folder != os.getcwd() or "" not in sys.path):
        sys.path.append(folder)


def _from_file(place: str) -> ModuleType:
    path = Path(place).expanduser().resolve()
    if not path.is_file():
        raise Unknown(f"there is no file {place}")
    _look_in(str(path.parent))
    _look_in(os.getcwd())
    name = f"_adjudge_backend_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    loader = spec.loader
    assert loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        _attempt(lambda: loader.exec_module(module))
    except Unimportable:
        del sys.modules[name]
        raise
    return module


def _from_module(place: str) -> ModuleType:
    _look_in(os.getcwd())  # an installed command does not look there; its user does
    if not _is_dotted(place):
        raise Unknown("")
    try:
        module = _attempt(lambda: importlib.import_module(place))
    except Unimportable as problem:
        cause = problem.__cause__
        if isinstance(cause, ModuleNotFoundError) and f"{place}.".startswith(f"{cause.name}."):
            raise Unknown("") from None
        raise
    assert isinstance(module, ModuleType)
    return module


def _attempt(action: Any) -> Any:
    try:
        return action()
    except KeyboardInterrupt:
        raise
    except BaseException as problem:
        raise Unimportable(sentence(problem)) from problem
