"""What judges the backend's answers, once a session."""

import pytest

from adjudge.records.models import CheckRun
from adjudge.suite import outcomes
from adjudge.suite.examiner import Examiner
from adjudge.suite.settings import Settings


@pytest.fixture(scope="session")
def examiner(request: pytest.FixtureRequest) -> Examiner:
    """Judge with ledger and legs, as `adjudge check` does."""
    backend = str(request.config.getoption("--adjudge-backend", default="mirror"))
    return Examiner(Settings(backend, profile=str(request.config.getoption("--adjudge-profile", default="quick")), seed=0))


@pytest.fixture(scope="session")
def header(examiner: Examiner) -> CheckRun:
    """What `adjudge check` would ask."""
    return outcomes.header(examiner)
