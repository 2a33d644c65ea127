"""Implementations under test: one small module each, and the loader that finds them by the name that the user typed."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ..oracle.accused.adapter import check_versions, fields_of, is_spoken, supported
from ..oracle.dtypes import FLOATS
from ..oracle.program import Program
from ..oracle.protocol import GIVEN, Answer, Backend, Lost, Raised, Unsupported, as_backend
from ..oracle.reference import OPS
from .language import Language, LanguageError, spoken
from .protocol.environments import NoEnvironment, python_in, release
from .protocol.finding import NoBackend, Unimportable, Unknown, find, part, sentence
from .protocol.isolated import HelloError, Isolated
from .protocol.process import MEMORY, QUESTION_TIMEOUT, Limits, OutOfTime

__all__ = [
    "MEMORY", "QUESTION_TIMEOUT", "SHIPPED", "Answer", "Backend", "BackendError", "BackendImportError", "Language", "Limits",
    "LibraryMissing", "OutOfTime", "UnknownBackend", "Unsupported", "check_spellings", "installed", "isolate", "load",
    "python_of", "split",
]  # fmt: skip

#: The distribution that each shipped backend is based on.
LIBRARIES = {
    "mygrad": "mygrad",
    "jax": "jax",
    "torch": "torch",
    "autograd": "autograd",
    "reference": "numpy",
    "mirror": "python-flint",
}
SHIPPED = tuple(LIBRARIES)

#: Where the newest release is not the one that adjudge is tested with.
PINNED = {"torch": "torch==2.13.0"}


class BackendError(Exception):
    """There is no backend to ask; the message is one sentence for the user."""


class UnknownBackend(BackendError):
    """There is nothing by the name that the user gave, or it is no backend."""


class BackendImportError(BackendError):
    """The backend exists and fails when it is imported."""


class LibraryMissing(BackendError):
    """The backend exists, but its library is not installed."""


def installed() -> dict[str, str | None]:
    """For each shipped backend the version of its library, None where that is missing; imports none of them."""
    return {name: _version(distribution) for name, distribution in LIBRARIES.items()}


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def split(spec: str) -> tuple[str, str, str]:
    """What a user typed, in parts: the backend, and the place or the release after it, if there is one.

    Examples
    --------
    >>> split("mygrad@.venv/old"), split("mygrad==2.0.2"), split("own/backend.py:make")
    (('mygrad', '@', '.venv/old'), ('mygrad', '==', '2.0.2'), ('own/backend.py:make', '', ''))
    """
    if Path(spec).exists():
        return spec, "", ""
    for sign in ("==", "@"):
        name, found, rest = spec.rpartition(sign)
        if found:
            return name, sign, rest
    return spec, "", ""


def load(spec: str, own_process: bool = False) -> Backend:
    """The backend that the user means, its library imported into this process.

    Parameters
    ----------
    spec : str
        A shipped name, ``module``, ``module:attribute``, ``path.py`` or ``path.py:attribute``. An attribute that is a class is
        called without arguments.
    own_process : bool
        Whether this process is adjudge's own: then it has the environment variables that the backend's language asks for, where
        the user has not set them.

    Raises
    ------
    UnknownBackend, BackendImportError, LibraryMissing
        Each a `BackendError` whose message is one sentence for the user.

    Examples
    --------
    >>> load("reference").name
    'reference'
    """
    if split(spec)[1]:
        raise UnknownBackend(f"{spec!r} names another environment, which only a process of its own can be in")
    try:
        given = _shipped(spec) if spec in SHIPPED else find(spec)
        if hasattr(given, "command"):
            raise UnknownBackend(f"{spec!r} is a command, which only a process of its own can run")
        if is_spoken(given):
            if own_process and given.distributions[0] not in sys.modules:  # otherwise it has read its variables already
                for name, value in given.language.environment.items():
                    os.environ.setdefault(name, value)
            backend = spoken(given)
        else:
            part("it", lambda: fields_of(given, GIVEN, FLOATS))
            backend = as_backend(given)
        part("its versions()", lambda: check_versions(backend.versions()))
        part("its supports()", lambda: supported(backend.supports, list(OPS)))
    except BackendError:
        raise
    except Unknown as problem:
        raise _unknown(spec, str(problem)) from None
    except Unimportable as problem:
        raise _unimportable(spec, str(problem)) from problem.__cause__
    except ModuleNotFoundError as missing:
        raise _missing(spec, missing.name or "") from missing
    except NoBackend as problem:
        raise UnknownBackend(f"{spec} is no backend: {problem}") from problem
    except (Exception, SystemExit) as problem:
        raise _unimportable(spec, sentence(problem)) from problem
    check_spellings(backend)
    return backend if spec in SHIPPED else replace(backend, spec=spec)


def isolate(
    spec: str,
    limits: Limits | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
    meanwhile: Callable[[], object] = lambda: None,
) -> Backend:
    """The backend that the user means, in a process of its own, which this one never imports.

    Parameters
    ----------
    spec : str
        As for `load`, and perhaps ``@`` and the place of another environment or its Python, or ``==`` and a release.
    limits : Limits, optional
        What a question may take.
    tell : callable
        Told what is being done where that takes a while.
    meanwhile : callable
        Called while the process imports the library.

    Raises
    ------
    UnknownBackend, BackendImportError, LibraryMissing
        Each a `BackendError` whose message is one sentence for the user.

    Examples
    --------
    >>> isolate("reference").name
    'reference'
    """
    name, sign, _ = split(spec)
    limits = limits or Limits()
    python = python_of(spec, limits, tell)
    try:
        backend = _isolated(name, limits, python, meanwhile)
    except HelloError as problem:
        raise _hello(name if not sign else spec, problem) from problem
    except OutOfTime as over:
        raise BackendImportError(f"backend {spec!r} did not start: the time of the run was over") from over
    except LanguageError as problem:
        raise UnknownBackend(f"{spec} is no backend: {problem}") from problem
    check_spellings(backend)
    return backend if name in SHIPPED else replace(backend, spec=spec)


def python_of(spec: str, limits: Limits | None = None, tell: Callable[[str], None] = lambda sentence: None) -> str | None:
    """The interpreter that a user means, see `isolate`; None for the one that adjudge itself runs in."""
    name, sign, place = split(spec)
    try:
        if sign == "@":
            return python_in(place)
        return _released(name, place, limits or Limits(), tell) if sign else None
    except NoEnvironment as problem:
        words = f"{spec!r} names no Python" if sign == "@" else f"there is no environment for {spec!r}"
        raise UnknownBackend(f"{words}: {problem}") from problem


def _isolated(name: str, limits: Limits, python: str | None, meanwhile: Callable[[], object] = lambda: None) -> Backend:
    if name not in SHIPPED:
        return Isolated({"spec": name}, limits, python, meanwhile=meanwhile).backend
    module = _shipped(name)
    if not is_spoken(module):
        own = {field: getattr(module, field) for field in ("language",) if hasattr(module, field)}
        return Isolated({"spec": module.__name__}, limits, python, own, meanwhile).backend
    own = {field: getattr(module, field) for field in GIVEN if hasattr(module, field)}
    language: Language = module.language
    told = {
        "imports": language.imports, "session": language.session, "helpers": language.helpers,
        "refusals": language.refusals, "rooms": language.rooms,
        "distributions": module.distributions, "tensors": own.get("tensors", ""),
    }  # fmt: skip
    return Isolated({"language": told}, limits, python, {**own, "file": module.__file__}, meanwhile).backend


def _released(name: str, number: str, limits: Limits, tell: Callable[[str], None]) -> str:
    """The interpreter of an environment with a release of a shipped backend's library."""
    if name not in LIBRARIES or not is_spoken(_shipped(name)):
        released = [library for library in LIBRARIES if is_spoken(_shipped(library))]
        raise NoEnvironment(f"only {_listed(released)} have releases; name the environment of yours with @ENV")

    def answers(python: str) -> str:
        try:
            backend = _isolated(name, limits, python)
            backend.observe("vjp", Program.of([np.array([0.5, 2.0])], [("sin", [0]), ("multiply", [0, 1])]), np.ones(2))
        except HelloError as problem:
            return str(_hello(name, problem))
        except (Lost, Raised) as problem:
            return str(problem)
        return ""

    return release(LIBRARIES[name], number, answers, tell)


def _shipped(name: str) -> Any:
    return importlib.import_module(f".{name}", __name__)


def check_spellings(backend: Backend) -> None:
    """Raise `BackendError` where a backend spells an op that does not exist: a renamed op, or a typing error."""
    language = backend.language
    if unknown := sorted({*language.spelling, *language.takes_numbers, *language.lacking} - set(OPS)):
        raise BackendError(f"backend {backend.name} spells {_listed(unknown)}, which the catalogue does not have")


# -- what is wrong -------------------------------------------------------------------------------------------------------------


def _hello(spec: str, problem: HelloError) -> BackendError:
    """What a process that cannot say what it is amounts to."""
    match problem.kind:
        case "missing":
            return _missing(spec, str(problem))
        case "unknown":
            return _unknown(spec, str(problem))
        case "refused":
            return UnknownBackend(f"{spec} is no backend: {problem}")
        case "silent":
            return BackendImportError(f"backend {spec!r} did not start: {problem}")
    return _unimportable(spec, str(problem))


def _missing(spec: str, module: str) -> BackendError:
    name, sign, place = split(spec)
    if sign and (name in SHIPPED or module == "numpy"):
        there = "there" if sign == "@" else f"beside release {place}"
        return LibraryMissing(f"backend {spec!r} needs {module}, which is not installed {there}")
    if spec not in SHIPPED:
        return BackendImportError(f"backend {spec!r} cannot be imported: ModuleNotFoundError: No module named {module!r}")
    pinned = f" ({PINNED[spec]})" if spec in PINNED else ""
    return LibraryMissing(f"backend {spec!r} needs {module}, which is not installed: pip install 'adjudge[{spec}]'{pinned}")


def _unimportable(spec: str, why: str) -> BackendImportError:
    return BackendImportError(f"backend {spec!r} cannot be imported: {why}")


def _unknown(spec: str, why: str) -> UnknownBackend:
    if why:
        return UnknownBackend(why)
    near = difflib.get_close_matches(spec.lower(), SHIPPED, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return UnknownBackend(
        f"there is no backend {spec!r}{hint}: shipped are {_listed(SHIPPED)}, "
        "and your own is named as module, module:attribute or path.py"
    )


def _listed(names: Any) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else str(last)
