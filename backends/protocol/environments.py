"""Other environments: the Python that a user names, and one that is made for a release of a library and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock

__all__ = ["NoEnvironment", "python_in", "release"]

#: Where the environments of releases are kept, in the working folder's cache.
KEPT = Path(".adjudge") / "environments"
#: What a release may need of NumPy, the newest first: later ones lack names or rules that it was written with.
NUMPYS = ("numpy", "numpy<2", "numpy<1.24", "numpy<1.20")
#: What a library needs besides for some of its functions.
COMPANIONS = {"mygrad": ("numba",)}
#: Packages that old releases import without saying so.
SILENT = ("typing_extensions", "setuptools<81")
#: What pip and uv say where there is no such release.
NO_RELEASE = ("No matching distribution found for", "there is no version of")
#: Seconds that an installation may take.
PATIENCE = 900


class NoEnvironment(Exception):
    """There is no such environment, and none can be made; the message is a sentence."""


def python_in(place: str) -> str:
    """The interpreter that a user means by an environment's folder, or by the interpreter itself.

    Raises
    ------
    NoEnvironment
    """
    path = Path(place).expanduser()
    found = [p for p in (path / "bin" / "python", path / "Scripts" / "python.exe") if p.is_file()] if path.is_dir() else [path]
    if not place or not found or not found[0].is_file() or not os.access(found[0], os.X_OK):
        raise NoEnvironment("after @ comes an environment's folder or its bin/python")
    return str(found[0].absolute())


def release(distribution: str, version: str, answers: Callable[[str], str], tell: Callable[[str], None]) -> str:
    """The interpreter of an environment with one release of a library, made if it is not there yet.

    Parameters
    ----------
    distribution, version : str
    answers : callable
        ``answers(python)`` is "" where the library answers questions with that interpreter, and otherwise says why it does not.
    tell : callable
        Told what is being done, since it takes a while.

    Raises
    ------
    NoEnvironment
        Where the release cannot be installed, or answers with no NumPy that there is for it.
    """
    if not version or not all(c.isalnum() or c in ".-_+!" for c in version):
        raise NoEnvironment(f"{version!r} is no version of {distribution}")
    place = (KEPT / f"{distribution}-{version}").absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if (place / "ready").is_file():
            return python_in(str(place))
        tell(f"making an environment for {distribution} {version} in {place}")
        why: list[str] = []
        for python, numpy in _candidates(why):
            shutil.rmtree(place, ignore_errors=True)
            failure = _make(place, python) or _install(
                place, f"{distribution}=={version}", numpy, *COMPANIONS.get(distribution, ()), *SILENT
            )
            failure = failure or answers(python_in(str(place)))
            if not failure:
                (place / "ready").write_text(f"{python} {numpy}\n", "utf-8")
                return python_in(str(place))
            why.append(failure)
            if any(words in failure for words in NO_RELEASE):
                break
            tell(f"with {numpy} and {Path(python).name}: {failure}")
        shutil.rmtree(place, ignore_errors=True)
        raise NoEnvironment(why[0])


def _candidates(why: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pythons and what to ask of NumPy; `why` gets the reasons why each failed. What does not name NumPy is no fault of it."""
    for python in _pythons():
        for numpy in NUMPYS:
            yield python, numpy
            if "numpy" not in why[-1].lower():
                break


def _pythons() -> Iterator[str]:
    """This interpreter, and older ones on this machine, newest first: old releases use what Python itself has dropped."""
    yield sys.executable
    for minor in reversed(range(8, sys.version_info.minor)):
        name = f"python3.{minor}"
        kept = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/3.{minor}.*/bin/{name}"))
        for found in (shutil.which(name), *map(str, reversed(kept))):
            if found and not _run([found, "-c", "import venv, ensurepip"]):
                yield found
                break


def _make(place: Path, python: str) -> str:
    """Make an empty environment; what went wrong, if something did."""
    if uv := shutil.which("uv"):
        return _run([uv, "venv", "--quiet", "--python", python, str(place)])
    return _run([python, "-m", "venv", str(place)])


def _install(place: Path, *packages: str) -> str:
    """Install packages; what went wrong, if something did."""
    quiet = ["install", "--quiet"]
    if uv := shutil.which("uv"):
        return _run([uv, "pip", *quiet, "--python", python_in(str(place)), *packages])
    return _run([python_in(str(place)), "-m", "pip", *quiet, "--disable-pip-version-check", *packages])


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return f"{command[0]} took longer than {PATIENCE} s"
    if not done.returncode:
        return ""
    lines = [" ".join(line.split()) for line in done.stderr.splitlines() if line.strip() and "[notice]" not in line]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors[-1] if errors else " ".join(lines) or f"status {done.returncode}")[:300]
