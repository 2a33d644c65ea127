"""Options of the conformance suite: which backend, how much."""

import pytest

from adjudge.suite import PROFILES, Examiner, Settings


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("adjudge")
    group.addoption("--backend", default="mirror", help="a shipped backend, module:attribute, or path.py (default: the mirror)")
    group.addoption("--adjudge-profile", default="quick", choices=sorted(PROFILES), help="how much is asked (default: quick)")


@pytest.fixture(scope="session")
def examiner(request: pytest.FixtureRequest) -> Examiner:
    """What judges the backend's answers, ledger and legs included."""
    return Examiner(
        Settings(
            request.config.getoption("--backend", default="mirror"),
            profile=request.config.getoption("--adjudge-profile", default="quick"),
            seed=0,
        )
    )
