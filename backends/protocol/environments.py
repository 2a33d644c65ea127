"""Other environments: the Python that a user names, and one that is made for a release of a library and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

__all__ = ["NoEnvironment", "python_in", "release"]

#: Where the environments of releases are kept, in the working folder's cache.
KEPT = Path(".adjudge") / "environments"
#: What a release may need of NumPy, the newest first: later ones lack names or rules that it was written with.
NUMPYS = ("numpy", "numpy<2", "numpy<1.24", "numpy<1.20")
#: Packages that old releases import without saying so.
SILENT = ("typing_extensions", "setuptools<81")
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
    name = f"{distribution}-{version}-py{sys.version_info.major}.{sys.version_info.minor}"
    if not all(c.isalnum() or c in ".-_+!" for c in name):
        raise NoEnvironment(f"{version!r} is no version of {distribution}")
    place = (KEPT / name).absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        if (place / "ready").is_file():
            return str(python)
        tell(f"making an environment for {distribution} {version} in {place}")
        why = ""
        for numpy in NUMPYS:
            shutil.rmtree(place, ignore_errors=True)
            _make(place)
            failure = _install(str(python), f"{distribution}=={version}", numpy, *SILENT)
            why = failure or answers(str(python))
            if not why:
                (place / "ready").write_text(f"{numpy}\n", "utf-8")
                return str(python)
            tell(f"with {numpy}: {why}")
            if "No matching distribution found for " + distribution in why or "no version of " + distribution in why:
                break
        shutil.rmtree(place, ignore_errors=True)
        raise NoEnvironment(why)


def _make(place: Path) -> None:
    if uv := shutil.which("uv"):
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(place)])
    else:
        _run([sys.executable, "-m", "venv", str(place)])


def _install(python: str, *packages: str) -> str:
    """Install packages; what went wrong, if something did."""
    quiet = ["install", "--quiet"]
    if uv := shutil.which("uv"):
        return _run([uv, "pip", *quiet, "--python", python, *packages])
    return _run([python, "-m", "pip", *quiet, "--disable-pip-version-check", *packages])


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return f"{command[0]} took longer than {PATIENCE} s"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.upper().startswith("ERROR")] or lines[-1:] or [f"status {done.returncode}"]
    return errors[-1].removeprefix("ERROR: ") if done.returncode else ""
