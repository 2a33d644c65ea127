"""Sessions: what can be done with this checkout, one sentence each (`nox -l`)."""

import nox

nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "uv|virtualenv"
nox.needs_version = ">=2024.10"

PROJECT = nox.project.load_toml("pyproject.toml")


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
    """Time certificates against the usual gradient checkers, in one run."""
    session.install(".[mygrad,jax,torch]", *group("test"))
    session.run("pytest", "tests/benchmarks", "--benchmark-enable", "--benchmark-only", "-s", *session.posargs)


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
