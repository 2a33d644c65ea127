"""Cases of tensors: a history after which a library and the reference part, as data, and as a script that shows it."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..oracle.judge import VERDICTS
from ..oracle.lockstep import Divergence
from ..oracle.program import ProgramError
from .divergences import is_line
from .records import plain

__all__ = ["HistoryCase", "history_script"]

SCHEMA_VERSION = 1
#: How an aspect is looked at, of one name or of two; as what `plain` makes of it.
SEEN = {
    "kind": "'tensor' if isinstance({0}, lib.Tensor) else 'array' if isinstance({0}, np.ndarray) else type({0}).__name__",
    "identity": "{0} is {1}",
    "shape": "list({0}.shape)",
    "dtype": "str({0}.dtype)",
    "value": "np.asarray({0}).tolist()",
    "constant": "{0}.constant",
    "grad": "None if {0}.grad is None else [type({0}.grad).__name__, str({0}.grad.dtype), {0}.grad.tolist()]",
    "memory": "np.shares_memory({0}, {1})",
}


@dataclass(frozen=True)
class HistoryCase:
    """A history, and what was said of a backend's tensors after it.

    Parameters
    ----------
    id : str
    backend : str
        The name of the backend that was judged.
    lines : tuple of str
        See `adjudge.oracle.lockstep`.
    verdict : str
    where, reason : str
        The aspect that differs, and what differs in one sentence.
    expected : mapping
        What the reference shows, by what differs.
    stuck : bool
        Whether the last line does not come back.
    versions : mapping
        Package name to version, the library under test first.
    spec : str
        What the user typed to name the backend.
    """

    id: str
    backend: str
    lines: tuple[str, ...]
    verdict: str
    where: str = ""
    reason: str = ""
    expected: Mapping[str, Any] = field(default_factory=dict)
    stuck: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    spec: str = ""

    @classmethod
    def of(
        cls, departure: Divergence, backend: str, versions: Mapping[str, str], *, id: str = "", spec: str = ""
    ) -> HistoryCase:
        """The case of a departure."""
        pair = departure.aspect in ("identity", "memory")
        if departure.aspect == "raises":
            expected = {"raises": departure.expected is not None}
        else:
            expected = {name: departure.expected.get(name, False if pair else None) for name in departure.names}
        return cls(
            id or hashlib.sha256("\n".join(departure.lines).encode()).hexdigest()[:12], backend, departure.lines,
            departure.verdict, departure.aspect, departure.reason, dict(plain(expected)), "stuck" in departure.tags,
            dict(versions), spec or backend,
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        tree = {"schema_version": SCHEMA_VERSION, **vars(self), "spec": self.spec or self.backend}
        tree["history"] = tree.pop("lines")
        return dict(plain(tree))

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> HistoryCase:
        """Read what `to_json` wrote.

        Raises
        ------
        ProgramError
            Naming the first thing that is missing or makes no sense.
        """
        for key in ("schema_version", "id", "backend", "history", "verdict"):
            if key not in tree:
                raise ProgramError(f"the case lacks {key!r}")
        if tree["schema_version"] != SCHEMA_VERSION:
            raise ProgramError(f"the case has schema version {tree['schema_version']}; this adjudge reads {SCHEMA_VERSION}")
        if tree["verdict"] not in VERDICTS:
            raise ProgramError(f"verdict {tree['verdict']!r} is not one of {', '.join(VERDICTS)}")
        lines = tree["history"]
        if not isinstance(lines, list) or not lines or not all(isinstance(line, str) and is_line(line) for line in lines):
            raise ProgramError("'history' is a list of lines in a case, each a simple statement")
        return cls(
            str(tree["id"]), str(tree["backend"]), tuple(lines), tree["verdict"], str(tree.get("where", "")),
            str(tree.get("reason", "")), dict(tree.get("expected") or {}), bool(tree.get("stuck")),
            dict(tree.get("versions") or {}), str(tree.get("spec") or tree["backend"]),
        )  # fmt: skip


def history_script(case: HistoryCase, library: str) -> str:
    """A script that shows the case, prints what differs, and exits with status 1 while it does.

    Parameters
    ----------
    case : HistoryCase
    library : str
        The module that has the tensors.
    """
    versions = ", ".join(f"{package} {version}" for package, version in case.versions.items()) or "unknown versions"
    said = textwrap.fill(f"{case.backend}: {case.verdict}: {case.reason}".replace("\\", "/").replace('"', "'"), 100)
    head = f'"""{said}\n\nFound with {versions}. Exits with status 1 while it is so.\n"""\n'
    *before, last = case.lines
    imports = ["import faulthandler"] if case.stuck else []
    top = [head, *imports, "import sys", "", "import numpy as np", "", f"import {library} as lib", "", *before]
    return "\n".join([*top, *_ending(case, last)]) + "\n"


def _ending(case: HistoryCase, last: str) -> Sequence[str]:
    """The last line, and what is looked at after it."""
    if case.stuck:
        return [
            "faulthandler.dump_traceback_later(10, exit=True)  # with status 1", "try:", f"    {last}",
            "except Exception as problem:", "    print('it is refused:', problem)",
        ]  # fmt: skip
    if case.where == "raises":
        wanted = bool(case.expected.get("raises"))
        return [
            "try:", f"    {last}", "except Exception as problem:", "    print('it is refused:', problem)",
            f"    sys.exit({int(not wanted)})", "print('it is accepted')", f"sys.exit({int(wanted)})",
        ]  # fmt: skip
    out = [last, "fine = True"]
    for name, due in case.expected.items():
        parts = name.split(" and ")
        if case.where == "memory":  # a gradient may be absent, and a tensor is its array
            parts = [p if p.endswith(".grad") else f"np.asarray({p})" for p in parts]
        seen = SEEN[case.where].format(*parts)
        if absent := [f"{p} is not None" for p in parts if case.where == "memory" and p.endswith(".grad")]:
            seen = f"{' and '.join(absent)} and {seen}"
        out += [
            f"got = {seen}",
            f"print({f'{case.where} of {name}: got'!r}, got, 'should be', {due!r})",
            f"fine &= got == {due!r}",
        ]
    return [*out, "sys.exit(0 if fine else 1)"]
