"""Implementations under test: one small module each, and the loader that finds them by the name that the user typed."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from ..oracle.protocol import NEEDED, Answer, Backend, Unsupported, as_backend
from .language import Language, is_spoken, spoken

__all__ = [
    "SHIPPED", "Answer", "Backend", "BackendError", "BackendImportError", "Language", "LibraryMissing", "UnknownBackend",
    "Unsupported", "check_spellings", "installed", "load",
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


def load(spec: str, own_process: bool = False) -> Backend:
    """The backend that the user means, its library imported.

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
    implementation = importlib.import_module(f".{spec}", __name__) if spec in SHIPPED else _own(spec)
    if not is_spoken(implementation):
        if lacking := [name for name in NEEDED if not hasattr(implementation, name)]:
            raise UnknownBackend(f"{spec} is no backend: it lacks {_listed(lacking)} (a backend has {_listed(NEEDED)})")
        try:
            backend = as_backend(implementation)
        except TypeError as problem:
            raise UnknownBackend(f"{spec} is no backend: {problem}") from problem
    else:
        if own_process and implementation.distributions[0] not in sys.modules:  # otherwise it has read its variables already
            for name, value in implementation.language.environment.items():
                os.environ.setdefault(name, value)
        backend = _started(spec, implementation)
    check_spellings(backend)
    versions = _attempt(spec, backend.versions)
    if not (isinstance(versions, Mapping) and versions and all(isinstance(v, str) for v in versions.values())):
        raise UnknownBackend(f"{spec} is no backend: its versions() must be a dict of package to version, not {versions!r}")
    return backend


def check_spellings(backend: Backend) -> None:
    """Raise `BackendError` where a backend spells an op that does not exist: a renamed op, or a typing error."""
    from ..oracle.reference import OPS

    language = backend.language
    if unknown := sorted({*language.spelling, *language.takes_numbers, *language.lacking} - set(OPS)):
        raise BackendError(f"backend {backend.name} spells {_listed(unknown)}, which the catalogue does not have")


def _started(spec: str, implementation: Any) -> Backend:
    try:
        return spoken(implementation)
    except ModuleNotFoundError as missing:
        if spec not in SHIPPED:
            raise BackendImportError(_failure(spec, missing)) from missing
        pinned = f" ({PINNED[spec]})" if spec in PINNED else ""
        raise LibraryMissing(
            f"backend {spec!r} needs {missing.name}, which is not installed: pip install 'adjudge[{spec}]'{pinned}"
        ) from missing
    except Exception as problem:
        raise BackendImportError(_failure(spec, problem)) from problem


def _own(spec: str) -> Any:
    """A module or object of the user's."""
    place, attribute = _parts(spec)
    implementation: Any = _from_file(place) if place.endswith(".py") else _from_module(place)
    for name in attribute.split(".") if attribute else ():
        if not hasattr(implementation, name):
            raise UnknownBackend(f"{place} has no attribute {name!r}, which {spec!r} asks for")
        implementation = getattr(implementation, name)
    return _attempt(spec, implementation) if isinstance(implementation, type) else implementation


def _parts(spec: str) -> tuple[str, str]:
    """The place and the attribute; a colon that no attribute follows (a drive letter's) belongs to the place."""
    place, colon, attribute = spec.rpartition(":")
    return (place, attribute) if colon and _is_dotted(attribute) else (spec, "")


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _from_file(place: str) -> ModuleType:
    path = Path(place).expanduser().resolve()
    if not path.is_file():
        raise UnknownBackend(f"there is no file {place}")
    name = f"_adjudge_backend_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    loader = spec.loader
    assert loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        _attempt(place, lambda: loader.exec_module(module))
    except BackendError:
        del sys.modules[name]
        raise
    return module


def _from_module(place: str) -> ModuleType:
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())  # an installed command does not look there; its user does
    if not _is_dotted(place):
        raise _unknown(place)
    try:
        return cast(ModuleType, _attempt(place, lambda: importlib.import_module(place)))
    except BackendImportError as problem:
        cause = problem.__cause__
        if isinstance(cause, ModuleNotFoundError) and f"{place}.".startswith(f"{cause.name}."):
            raise _unknown(place) from None
        raise


def _attempt(spec: str, action: Any) -> Any:
    try:
        return action()
    except (Exception, SystemExit) as problem:
        raise BackendImportError(_failure(spec, problem)) from problem


def _failure(spec: str, problem: BaseException) -> str:
    text = str(problem).strip().split("\n")[0]
    return f"backend {spec!r} cannot be imported: {type(problem).__name__}" + (f": {text}" if text else "")


def _unknown(spec: str) -> UnknownBackend:
    near = difflib.get_close_matches(spec.lower(), SHIPPED, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return UnknownBackend(
        f"there is no backend {spec!r}{hint}: shipped are {_listed(SHIPPED)}, "
        "and your own is named as module, module:attribute or path.py"
    )


def _listed(names: Any) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else str(last)
