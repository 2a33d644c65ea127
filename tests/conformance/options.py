"""A pytest plugin: the options of the conformance suite, added where its tests are asked for, and nowhere else."""

import pytest

SUITE = "adjudge.tests.conformance"
PROFILES = ("quick", "ci", "nightly")


def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Add `--backend` and `--adjudge-profile` if the suite is among the arguments."""
    if any(SUITE in arg or "tests/conformance" in arg for arg in args):
        group = parser.getgroup("adjudge")
        group.addoption("--backend", default="mirror", help="a shipped backend, module:attribute, or path.py (default: mirror)")
        group.addoption("--adjudge-profile", default="quick", choices=PROFILES, help="how much is asked (default: quick)")
