"""Sessions: what can be done with this checkout, one sentence each (`nox -l`)."""

import os
from pathlib import Path

import nox

nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "uv|virtualenv"
nox.needs_version = ">=2024.10"

PROJECT = nox.project.load_toml("pyproject.toml")

#: MyGrad's releases, each with a NumPy of its time that it works with.
RELEASES = {
    "2.0.0": "1.23.5", "2.0.1": "1.23.5", "2.0.2": "1.23.5", "2.1.0": "1.23.5",
    "2.2.0": "1.26.4", "2.3.0": "2.4.6", "2.4.0": "2.4.6", "2.5.0": "2.4.6",
}  # fmt: skip


def group(name: str) -> tuple[str, ...]:
    """The packages of a dependency group."""
    return nox.project.dependency_groups(PROJECT, name)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the suite's own tests, against MyGrad and JAX."""
    session.install(".[mygrad,jax]", *group("test"))
    session.run("pytest", *session.posargs)


@nox.session
@nox.parametrize("backend", ["mygrad", "jax", "torch", "autograd", "reference"])
def conformance(session: nox.Session, backend: str) -> None:
    """Judge one implementation."""
    extras = [e for e in ("mygrad", "jax", "torch", "autograd") if e in (backend, "jax")]
    session.install(f".[{','.join(extras)}]")
    session.run("adjudge", "check", backend, *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Time certificates against the usual gradient checkers, and backprop of every backend, in one run."""
    session.install(".[mygrad,jax,torch,autograd]", *group("test"))
    session.run("pytest", "tests/benchmarks", "--benchmark-enable", "--benchmark-only", "-s", *session.posargs)


@nox.session
def releases(session: nox.Session) -> None:
    """Time MyGrad's releases, each in an environment of its own, into one history."""
    session.install(".[mygrad]")
    for release, numpy in RELEASES.items():
        place = Path(session.create_tmp()) / f"mygrad-{release}"
        python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        session.run("python", "-m", "venv", "--clear", str(place))
        packages = (f"mygrad=={release}", f"numpy=={numpy}", "typing_extensions")
        session.run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", *packages, external=True)
        where = ("--history", ".adjudge/history", "--report-dir", f"adjudge-report/mygrad-{release}")
        # A release with a wrong answer (status 1) has no timing of it, and that is on record: the others go on.
        session.run("adjudge", "bench", f"mygrad@{place}", *where, *session.posargs, success_codes=[0, 1])


@nox.session
def sensitivity(session: nox.Session) -> None:
    """Seed every fault in every op, show which are seen, and write the table that reports show."""
    session.install(".[mygrad,jax]", *group("test"))
    table = {"ADJUDGE_SENSITIVITY": "reports/sensitivity.json"}
    session.run("pytest", "tests/test_faults.py", "-s", *session.posargs, env=table)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".", *session.posargs)


@nox.session
def types(session: nox.Session) -> None:
    """Check the package's types."""
    session.install(".[mygrad,jax]", *group("types"), *group("test"))
    session.run("mypy", "-p", "adjudge", *session.posargs)
