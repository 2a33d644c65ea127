"""The arrows between rooms go one way."""

import ast
import sys
from pathlib import Path

import pytest

import adjudge

ROOT = Path(adjudge.__file__).parent
#: Room: the rooms it may import from.
# "adjudge" is the version number.
ALLOWED = {
    "oracle": {"oracle"},
    "strategies": {"strategies", "oracle"},
    "backends": {"backends", "oracle", "adjudge"},
    "reports": {"reports", "oracle", "adjudge"},
    "bench": {"bench", "backends", "reports", "oracle", "adjudge"},
}
#: Third-party packages that a room must not know.
FORBIDDEN = {
    "oracle": {"hypothesis", "pytest", "mygrad", "jax", "torch", "autograd"},
    "reports": {"hypothesis", "pytest", "mygrad", "jax", "torch", "autograd", "flint"},
    "strategies": {"pytest", "mygrad", "jax", "torch", "autograd", "flint"},
    "bench": {"hypothesis", "pytest", "mygrad", "jax", "torch", "autograd", "flint"},
}


def imports(path: Path) -> set[str]:
    """Rooms ("@oracle") and packages that a file imports."""
    package = ("adjudge", *path.relative_to(ROOT).parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                origin = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
                names = [origin[1]] if len(origin) > 1 and origin[1] else [alias.name for alias in node.names]
                found |= {"@" + (name if (ROOT / name).is_dir() else "adjudge") for name in names}
            else:
                found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_from_rooms_below_it(room: str) -> None:
    for path in (ROOT / room).rglob("*.py"):
        rooms = {name[1:] for name in imports(path) if name.startswith("@")}
        assert rooms <= ALLOWED[room], f"{path.name} imports from {rooms - ALLOWED[room]}"
        assert "adjudge" not in imports(path), f"{path.name} imports adjudge by name: inside the package imports are relative"


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_does_not_know_these_packages(room: str) -> None:
    for path in (ROOT / room).rglob("*.py"):
        assert not imports(path) & FORBIDDEN[room], f"{path} imports {imports(path) & FORBIDDEN[room]}"


def test_what_is_timed_runs_where_there_is_only_numpy() -> None:
    assert imports(ROOT / "bench" / "worker.py") <= {"numpy", *sys.stdlib_module_names}


def test_the_reader_of_imports_sees_relative_ones(tmp_path: Path) -> None:
    assert "@oracle" in imports(ROOT / "backends" / "protocol.py")
    assert "@strategies" in imports(ROOT / "suite.py")


def test_no_backend_is_named_by_another_room_than_its_own() -> None:
    for room in ("oracle", "strategies", "reports"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and node.value in ("mygrad", "torch", "autograd"):
                    pytest.fail(f"{path} names the backend {node.value!r}")
