"""The plugin of the conformance suite: it leaves the projects of others alone, and a typo in its own options is one line."""

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--backend", default="theirs")
"""
TEST = """
def test_it(request):
    assert request.config.getoption("--backend") == "mine"
"""
SUITE = ("--pyargs", "adjudge.tests.conformance")


def pytest_in(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """What pytest says, in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A project with its own option `--backend` and its own folder tests/conformance."""
    (tmp_path / "tests" / "conformance").mkdir(parents=True)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "tests" / "conformance" / "test_it.py").write_text(TEST)
    return tmp_path


@pytest.mark.parametrize("asked", [(), ("tests/conformance",), ("tests/conformance/test_it.py::test_it",)])
def test_a_project_with_its_own_backend_and_conformance_tests_is_left_alone(foreign: Path, asked: tuple[str, ...]) -> None:
    done = pytest_in(foreign, *asked, "--backend", "mine")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "--adjudge" not in pytest_in(foreign, *asked, "--help").stdout


def test_the_suite_is_asked_for_beside_a_project_with_its_own_backend(foreign: Path) -> None:
    done = pytest_in(foreign, *SUITE, "--backend", "mine", "--adjudge-backend", "reference", "-k", "exp2")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("--adjudge-backend", "refrence"), "--adjudge-backend: there is no backend 'refrence' (did you mean 'reference'?)"),
        (("--adjudge-backend", "none.py"), "--adjudge-backend: there is no file none.py"),
        (("--adjudge-bakcend", "reference"), "unrecognized arguments: --adjudge-bakcend"),
        (("--adjudge-profile", "qiuck"), "invalid choice: 'qiuck'"),
    ],
)
def test_a_typo_is_one_usage_error(foreign: Path, args: tuple[str, ...], sentence: str) -> None:
    done = pytest_in(foreign, *SUITE, *args)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr.count("ERROR") == 1
