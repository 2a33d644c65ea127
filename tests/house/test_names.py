"""Names mean one thing each: no two classes share one, "history" is the record of runs, and no name says nothing."""

import ast
import re
from collections import Counter

from .test_rooms import ROOT, modules

PATHS = [path for _, path in modules(ROOT)] + sorted((ROOT / "tests").rglob("*.py"))
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8")) for path in PATHS}
#: Classes that may share a name, with the reason.
SHARED: dict[str, str] = {}
#: Words that say nothing of what a thing is for.
EMPTY = re.compile(r"(?:^|_)(utils?|helpers?|base|managers?|common)(?:_|$)", re.IGNORECASE)
#: What such a word names where it is the subject's own.
OWN = {"base": "`Tensor.base` is the tensor that a view shows, as `numpy.ndarray.base` is"}
#: Where the record of runs is made, shown, and asked for.
RECORD_OF_RUNS = (
    "records/__init__.py", "records/history.py", "records/places.py", "reports/dashboard.py", "front/cli/", "tests/records/",
    "tests/reports/", "tests/bench/", "tests/house/test_names.py", "tests/front/test_status.py",
)  # fmt: skip


def _words(name: str) -> str:
    """A name in small letters, its words joined by underscores."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def test_no_two_classes_share_a_name() -> None:
    names = [node.name.lstrip("_") for tree in TREES.values() for node in tree.body if isinstance(node, ast.ClassDef)]
    shared = {name for name, times in Counter(names).items() if times > 1}
    assert shared == set(SHARED)


def test_no_name_says_nothing() -> None:
    places = {part for file in TREES for part in file.removesuffix(".py").split("/")}
    nodes = (node for tree in TREES.values() for node in ast.walk(tree))
    defined = {node.name for node in nodes if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not _is_test(node.name)}
    assert {name for name in places | defined if EMPTY.search(_words(name))} == set(OWN)


def _is_test(name: str) -> bool:
    """Whether this is a test, whose name is a sentence."""
    return name.startswith("test_")


def test_history_is_the_record_of_runs() -> None:
    strangers = [
        file
        for path, file in zip(PATHS, TREES, strict=True)
        if not file.startswith(RECORD_OF_RUNS) and "history" in path.read_text("utf-8").lower()
    ]
    assert strangers == []
