"""The arrows between rooms go one way: four floors, never upward, no circle."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Each room with the rooms that it may import from, the highest floor first: an arrow that is not here is an error.
ARROWS = {
    "front": {"suite", "bench", "reports", "strategies", "backends", "readers", "records", "oracle"},
    "suite": {"strategies", "backends", "records", "oracle"},
    "bench": {"backends", "records", "oracle"},
    "reports": {"backends", "records", "oracle"},
    "strategies": {"oracle"},
    "backends": {"oracle"},
    "readers": {"oracle"},
    "records": {"oracle"},
    "oracle": set[str](),
}
#: Third-party packages that a room must not know.
LIBRARIES = {"mygrad", "jax", "torch", "autograd"}
FORBIDDEN = {
    "oracle": {"hypothesis", "pytest", "pydantic", *LIBRARIES},
    "records": {"hypothesis", "pytest", "flint", *LIBRARIES},
    "readers": {"hypothesis", "pytest", *LIBRARIES},
    "reports": {"hypothesis", "pytest", "flint", *LIBRARIES},
    "strategies": {"pytest", "flint", *LIBRARIES},
    "suite": {"pytest", *LIBRARIES},
    "bench": {"hypothesis", "pytest", "flint", *LIBRARIES},
}


#: What imports by a string.
LOADERS = {"import_module", "__import__", "find_spec"}


def modules(root: Path) -> Iterator[tuple[str, Path]]:
    """Every module of every room, with the room."""
    for room in ARROWS:
        for path in sorted((root / room).rglob("*.py")):
            yield room, path


def imports(path: Path, root: Path) -> set[str]:
    """The rooms ("@oracle") and packages that a file imports, wherever in the file it does."""
    room, *inner = path.relative_to(root).parts[:-1]
    package = ["adjudge", *([] if room == "front" else [room]), *inner]
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {_room(alias.name.split("."), root) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *(node.module.split(".") if node.module else [])]
            found |= {_room([*module, alias.name] if module == ["adjudge"] else module, root) for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in LOADERS:
            names = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            found |= {_room(name.split("."), root) for name in names if name.startswith("adjudge.")}
    return found


def _room(module: list[str], root: Path) -> str:
    if module[0] != "adjudge":
        return module[0]
    return f"@{module[1]}" if len(module) > 1 and module[1] in ARROWS and (root / module[1]).is_dir() else "@front"


def arrows(root: Path) -> dict[tuple[str, str], list[str]]:
    """The arrows between rooms, each with the files that have it."""
    found: dict[tuple[str, str], list[str]] = {}
    for room, path in modules(root):
        for other in imports(path, root):
            if other.startswith("@") and other[1:] != room:
                found.setdefault((room, other[1:]), []).append(str(path.relative_to(root)))
    return found


def forbidden(root: Path) -> list[str]:
    """What is wrong with the arrows, in sentences."""
    every = arrows(root)
    return [
        f"{room} imports {other} in {', '.join(files)}" for (room, other), files in every.items() if other not in ARROWS[room]
    ]


def test_no_arrow_points_forbidden() -> None:
    assert forbidden(ROOT) == []


def test_there_is_no_circle() -> None:
    below: dict[str, set[str]] = {}
    for room, other in arrows(ROOT):
        below.setdefault(room, set()).add(other)
    TopologicalSorter(below).prepare()


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("bench/run.py", "from ..suite import run"),
        ("bench/run.py", "def f():\n    from ..suite.run import run"),
        ("bench/run.py", "from .. import suite"),
        ("oracle/legs/taylor.py", "from ... import judge"),
        ("oracle/program.py", "import adjudge.reports.pages"),
        ("oracle/judge.py", "import importlib\nimportlib.import_module('adjudge.reports')"),
        ("records/case.py", "from ..strategies import arrays"),
        ("backends/mirror.py", "from ..readers import gradient"),
        ("strategies/arrays.py", "from adjudge import check"),
        ("records/case.py", "from ..cli.check import check"),
        ("suite/run.py", "from .. import __main__"),
    ],
)
def test_a_planted_import_is_seen(file: str, line: str, tmp_path: Path) -> None:
    for room in ARROWS:
        (tmp_path / room).mkdir()
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("from __future__ import annotations\n")
    assert forbidden(tmp_path) == []
    path.write_text(f"{line}\n")
    assert len(forbidden(tmp_path)) == 1


def test_every_folder_of_the_package_has_a_floor() -> None:
    folders = {path.parent.relative_to(ROOT).parts[0] for path in ROOT.glob("*/__init__.py")}
    assert folders - {"tests"} == set(ARROWS)


def test_only_the_front_imports_the_package_by_name() -> None:
    """Rooms import each other relatively; `front` by name: on disk they lie beside it, and a type checker would look inside."""
    for room, path in modules(ROOT):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                by_name = any(alias.name.split(".")[0] == "adjudge" for alias in node.names)
                assert not by_name or room == "front", f"{room}/{path.name}: inside the package imports are relative"
            elif isinstance(node, ast.ImportFrom):
                if not node.level:
                    by_name = (node.module or "").split(".")[0] == "adjudge"
                    assert not by_name or room == "front", f"{room}/{path.name}: inside the package imports are relative"
                elif room == "front":
                    depth = len(path.relative_to(ROOT / "front").parts)
                    assert node.level <= depth, f"front/{path.name}: the package and its other rooms are imported by name"


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_does_not_know_these_packages(room: str) -> None:
    for path in (ROOT / room).rglob("*.py"):
        assert not imports(path, ROOT) & FORBIDDEN[room], f"{path} imports {imports(path, ROOT) & FORBIDDEN[room]}"


#: What runs in the process of an accused library, on CPython 3.8.
INSIDE = [
    *sorted((ROOT / "oracle" / "accused").glob("*.py")),
    *(
        ROOT / "backends" / "protocol" / f"{name}.py"
        for name in ("__init__", "child", "finding", "frames", "library", "standing")
    ),
]


def test_what_is_timed_runs_where_there_is_only_numpy() -> None:
    assert imports(ROOT / "bench" / "worker.py", ROOT) <= {"numpy", *sys.stdlib_module_names}


@pytest.mark.parametrize("path", INSIDE, ids=lambda path: path.stem)
def test_what_runs_beside_an_accused_library_needs_an_old_python_and_numpy_alone(path: Path) -> None:
    ast.parse(path.read_text("utf-8"), feature_version=(3, 8))
    assert imports(path, ROOT) <= {
        "numpy",
        "ml_dtypes",
        f"@{path.relative_to(ROOT).parts[0]}",
        "@oracle",
        *sys.stdlib_module_names,
    }


def test_no_backend_is_named_by_another_room_than_its_own() -> None:
    for room in ("oracle", "strategies", "records", "reports"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and node.value in ("mygrad", "torch", "autograd"):
                    pytest.fail(f"{path} names the backend {node.value!r}")
