"""Sessions: the things that can be done with this checkout, one sentence each (`nox -l`)."""

import json
import os
from pathlib import Path

import nox

nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "uv|virtualenv"
nox.needs_version = ">=2024.10"

PROJECT = nox.project.load_toml("pyproject.toml")
BACKENDS = ("mygrad", "jax", "torch", "autograd", "reference")
#: The libraries among them that are extras of the package.
EXTRAS = tuple(name for name in PROJECT["project"]["optional-dependencies"] if name in BACKENDS)
REPORTS = "adjudge-report"

#: MyGrad's releases, each with a NumPy of its time that it works with.
RELEASES = {
    "2.0.0": "1.23.5", "2.0.1": "1.23.5", "2.0.2": "1.23.5", "2.1.0": "1.23.5",
    "2.2.0": "1.26.4", "2.3.0": "2.4.6", "2.4.0": "2.4.6", "2.5.0": "2.4.6",
}  # fmt: skip
#: How often each is timed: three runs on either side are needed to tell a change from chance.
RUNS = 3


def group(name: str) -> tuple[str, ...]:
    """The packages of a dependency group."""
    return nox.project.dependency_groups(PROJECT, name)


def install(session: nox.Session, *extras: str, groups: tuple[str, ...] = ()) -> None:
    """Install adjudge with some extras and groups; PyTorch by pip, which knows where light builds are."""
    if "torch" in extras:
        session.install("pip")
        session.run_install("python", "-m", "pip", "install", "--quiet", *PROJECT["project"]["optional-dependencies"]["torch"])
    session.install(f".[{','.join(extras)}]" if extras else ".", *(package for name in groups for package in group(name)))


@nox.session
def tests(session: nox.Session) -> None:
    """Run the suite's own tests, against every shipped backend."""
    install(session, *EXTRAS, groups=("test",))
    session.run("pytest", *session.posargs)


@nox.session
@nox.parametrize("backend", BACKENDS, ids=BACKENDS)
def conformance(session: nox.Session, backend: str) -> None:
    """Judge one implementation, and keep its report whatever the verdict."""
    install(session, *dict.fromkeys(e for e in (backend, "jax") if e in EXTRAS))
    session.run("adjudge", "check", backend, "--report-dir", f"{REPORTS}/{backend}", *session.posargs)


def verdict_in(folder: Path) -> tuple[bool, str]:
    """Whether the report in a folder has passed, and why; a run that left none has not."""
    try:
        verdict = json.loads((folder / "report.json").read_text("utf-8"))["verdict"]
        return verdict["status"] == 0 and verdict["passed"] is True, "; ".join(verdict["reasons"])
    except (OSError, ValueError, LookupError, TypeError) as problem:
        return False, f"it left no report that can be read ({type(problem).__name__})"


@nox.session(venv_backend="none")
def gate(session: nox.Session) -> None:
    """Fail unless every report that conformance has left has passed."""
    found = sorted({path.parent for name in ("records.ndjson", "report.json") for path in Path(REPORTS).glob(f"*/{name}")})
    verdicts = {folder.name: verdict_in(folder) for folder in found}
    for backend, (passed, reasons) in verdicts.items():
        session.log(f"{backend}: {'passed' if passed else 'FAILED'}: {reasons}")
    if failed := [backend for backend, (passed, _) in verdicts.items() if not passed]:
        session.error(f"the gate fails: {', '.join(failed)}")
    if not verdicts:
        session.error(f"there is nothing to judge: no report in {REPORTS}; `nox -s conformance` makes them")


@nox.session
def report(session: nox.Session) -> None:
    """Make one page of all reports that conformance has left."""
    session.install(".")
    runs = session.posargs or [str(path.parent) for path in sorted(Path(REPORTS).glob("*/records.ndjson"))]
    session.run("adjudge", "report", *runs, "-o", REPORTS)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Time certificates, the reference, and backprop of every backend, against each other in one run."""
    install(session, *EXTRAS, groups=("test",))
    session.run("pytest", "tests/benchmarks", "--benchmark-enable", "--benchmark-only", "-s", *session.posargs)


@nox.session
def releases(session: nox.Session) -> None:
    """Time MyGrad's releases, each in an environment of its own, and judge those that can be, into one history."""
    session.install(".[mygrad]")
    for release, numpy in RELEASES.items():
        place = Path(session.create_tmp()) / f"mygrad-{release}"
        python = str(place / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        session.run("python", "-m", "venv", "--clear", str(place))
        packages = (f"mygrad=={release}", f"numpy=={numpy}", "typing_extensions")
        session.run(python, "-m", "pip", "install", "--quiet", "--no-deps", *packages, external=True)
        where = ("--report-dir", f"{REPORTS}/mygrad-{release}")
        # A release with a wrong answer (status 1) has no timing of it, and that is on record: the others go on.
        for _ in range(RUNS):
            session.run("adjudge", "bench", f"mygrad@{place}", *where, *session.posargs, success_codes=[0, 1])
        if numpy >= "2":  # as adjudge itself needs
            session.run(python, "-m", "pip", "install", "--quiet", ".", f"mygrad=={release}", "numba", external=True)
            check = ("-m", "adjudge", "check", "mygrad", "--profile", "quick", "--quiet")
            session.run(python, *check, *where, external=True, success_codes=[0, 1])


@nox.session
def sensitivity(session: nox.Session) -> None:
    """Seed every fault in every op, print which are seen, and write the table that reports show."""
    session.install(".")
    session.run("python", "-m", "adjudge.suite.sensitivity", "reports/sensitivity.json", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".", *session.posargs)


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package and of its tests."""
    session.install(".[mygrad,jax]", *group("types"), *group("test"))
    session.run("mypy", "-p", "adjudge", *session.posargs)
    session.run("mypy", "tests", *session.posargs)
