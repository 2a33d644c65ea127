"""A pytest plugin: the options of the conformance suite, added where its tests are asked for, and nowhere else."""

from pathlib import Path

import pytest

SUITE = "adjudge.tests.conformance"
PROFILES = ("quick", "ci", "nightly")


def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Add `--adjudge-backend` and `--adjudge-profile` if the suite is among the arguments."""
    if any(map(_is_suite, args)):
        group = parser.getgroup("adjudge")
        what = "a shipped backend, module:attribute, or path.py (default: mirror)"
        group.addoption("--adjudge-backend", default="mirror", metavar="BACKEND", help=what)
        group.addoption("--adjudge-profile", default="quick", choices=PROFILES, help="how much is asked (default: quick)")


def _is_suite(arg: str) -> bool:
    """Whether an argument names the suite or one of its tests, as a package or as a path."""
    place = arg.partition("::")[0]
    return f"{place}.".startswith(f"{SUITE}.") or Path(__file__).parent in (path := Path(place).absolute(), *path.parents)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a backend that cannot be loaded, in one sentence and before anything is collected."""
    name = config.getoption("--adjudge-backend", default=None)
    if name is None:
        return
    from adjudge.backends import BackendError, load

    try:
        load(str(name), own_process=True)
    except BackendError as problem:
        raise pytest.UsageError(f"--adjudge-backend: {problem}") from problem
