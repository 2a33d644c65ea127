"""What is installed is the package `adjudge`, its files and the conformance suite, and nothing else of the checkout."""

import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.version import Version

from .test_rooms import ARROWS, ROOT

#: What `pyproject.toml` asks for.
SETUPTOOLS = Version("77")
#: What lies among the files of a room, and is made or fetched by tools.
NOT_OURS = {"__pycache__", "node_modules", "adjudge-report", ".adjudge"}


def setuptools_here() -> Version:
    try:
        return Version(version("setuptools"))
    except PackageNotFoundError:
        return Version("0")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The files of a wheel that was built from a copy of the checkout, without a network."""
    if setuptools_here() < SETUPTOOLS:
        pytest.skip(f"building needs setuptools {SETUPTOOLS} or newer in this environment")
    copy = tmp_path_factory.mktemp("checkout")
    for path in (*(ROOT / room for room in (*ARROWS, "tests")), *ROOT.glob("*.py"), *ROOT.glob("*.toml"), *ROOT.glob("*.md")):
        if path.is_dir():
            shutil.copytree(path, copy / path.name, ignore=shutil.ignore_patterns(*NOT_OURS))
        else:
            shutil.copy(path, copy)
    shutil.copy(ROOT / "LICENSE", copy)
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True)
    (file,) = (copy / "dist").glob("*.whl")
    with ZipFile(file) as archive:
        return archive.namelist()


def test_a_wheel_holds_the_package_alone(wheel: list[str]) -> None:
    assert {name.split("/")[0] for name in wheel if ".dist-info/" not in name} == {"adjudge"}
    assert not any(Path(name).stem in ("noxfile", "conftest") and "conformance" not in name for name in wheel)


def test_of_the_tests_a_wheel_holds_the_conformance_suite(wheel: list[str]) -> None:
    tests = {name for name in wheel if name.startswith("adjudge/tests/")}
    here = {f"adjudge/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "tests" / "conformance").glob("*.py")}
    assert tests == here | {"adjudge/tests/__init__.py"}


def test_a_wheel_holds_every_module_and_every_file_that_is_read(wheel: list[str]) -> None:
    read = {".py", ".toml", ".json", ".css", ".html", ".typed", ".mjs"}
    for room in ARROWS:
        place = "adjudge" if room == "front" else f"adjudge/{room}"
        for path in (ROOT / room).rglob("*.*"):
            if path.suffix in read and NOT_OURS.isdisjoint(path.parts):
                assert f"{place}/{path.relative_to(ROOT / room).as_posix()}" in wheel
    assert {"adjudge/backends/protocol/README.md", "adjudge/backends/protocol/OPS.md"} <= set(wheel)


def test_a_room_is_no_package_of_its_own() -> None:
    imported = subprocess.run([sys.executable, "-c", "import oracle"], cwd=ROOT, capture_output=True, text=True)
    assert "ImportError: 'oracle' is a folder of a checkout: the package is adjudge.oracle" in imported.stderr


def test_the_package_is_imported_from_anywhere(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", "import adjudge; adjudge.check, adjudge.gradient"], cwd=tmp_path, check=True)
