"""Cases of tensors: a script after whose last line a library and the reference differ, as data and as a program of its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

from pydantic import Field, JsonValue, ValidationInfo, field_validator

from ..oracle.lockstep import ARRAYS, ASPECTS, TENSORS, Divergence, check_script
from .divergences import EntryId
from .fields import FrozenModel, Verdict, to_json
from .text import docstring

__all__ = ["SCHEMA_VERSION", "NotRead", "ScriptCase", "script_text"]

SCHEMA_VERSION: Final = 2
#: How an aspect is looked at, of one name or of two; as JSON has it.
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


NAME = rf"([{TENSORS}{ARRAYS}](\.grad)?|answer)"
#: What a value of `ScriptCase.expected` is about: a name, its gradient, or a pair.
SEEN_NAME = re.compile(rf"{NAME}( and {NAME})?")

if TYPE_CHECKING:
    Aspect: TypeAlias = str
else:
    Aspect = Literal[("", *ASPECTS)]


#: What older files say of where to import the backend from: a case names a backend, and nothing to run.
NotRead = Annotated[str, Field(exclude=True, description="Of older files: it is not read.")]


class ScriptCase(FrozenModel):
    """A script of tensors, and how a backend's tensors were judged after it.

    Parameters
    ----------
    id : str
    backend : str
        The name of the backend that was judged: never a place to import one from.
    versions : mapping
        Package name to version, the library under test first.
    verdict : str
    where, reason : str
        The aspect that differs, and what differs in one sentence.
    lines : tuple of str
        See `adjudge.oracle.lockstep`.
    expected : mapping
        What the reference shows, by what differs.
    stuck : bool
        Whether the last line does not return.
    """

    kind: Literal["script"] = "script"
    schema_version: Literal[2] = SCHEMA_VERSION
    id: EntryId
    backend: str
    spec: NotRead = ""
    versions: dict[str, str] = {}
    verdict: Verdict
    where: Aspect = ""
    reason: str = ""
    lines: tuple[str, ...] = Field(min_length=1)
    expected: dict[str, JsonValue] = {}
    stuck: bool = False

    @field_validator("lines")
    @classmethod
    def _are_statements(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        check_script(lines)
        return lines

    @field_validator("expected")
    @classmethod
    def _are_seen(cls, expected: dict[str, JsonValue], info: ValidationInfo) -> dict[str, JsonValue]:
        where = info.data.get("where")
        for name in expected:
            if not (name == "raises" if where == "raises" else where and SEEN_NAME.fullmatch(name)):
                raise ValueError(f"'expected' has {name!r}, which is nothing that is seen of {where or 'no aspect'}")
        return expected

    @classmethod
    def of(cls, divergence: Divergence, backend: str, versions: Mapping[str, str], *, id: str = "") -> ScriptCase:
        """The case of a divergence."""
        pair = divergence.aspect in ("identity", "memory")
        if divergence.aspect == "raises":
            expected = {"raises": divergence.expected is not None}
        else:
            expected = {name: divergence.expected.get(name, False if pair else None) for name in divergence.names}
        return cls(
            id=id or hashlib.sha256("\n".join(divergence.lines).encode()).hexdigest()[:12], backend=backend,
            versions=dict(versions), verdict=divergence.verdict, where=divergence.aspect,
            reason=divergence.reason, lines=divergence.lines, expected=to_json(expected), stuck="stuck" in divergence.tags,
        )  # fmt: skip


def script_text(case: ScriptCase, library: str, own: str = "") -> str:
    """A script that shows the case, prints what differs, and exits with status 1 while it does.

    Parameters
    ----------
    case : ScriptCase
    library : str
        The module that has the tensors.
    own : str
        Lines that import the user's own backend, which may change that module.
    """
    head = docstring(f"{case.backend}: {case.verdict}: {case.reason}", case.versions) + "\n"
    *before, last = case.lines
    before_sys, after_sys = (["import os"], ["import threading"]) if case.stuck else ([], [])
    patched = [own, ""] if own else []
    top = [
        head,
        *before_sys,
        "import sys",
        *after_sys,
        "",
        "import numpy as np",
        "",
        *patched,
        f"import {library} as lib",
        "",
        *before,
    ]
    return "\n".join([*top, *_ending(case, last)]) + "\n"


def _ending(case: ScriptCase, last: str) -> Sequence[str]:
    """The last line, and what is looked at after it."""
    if case.stuck:
        return [
            "late = threading.Timer(10, os._exit, (1,))  # it does not come back", "late.daemon = True",
            "late.start()", "try:", f"    {last}",
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
        observed = SEEN[case.where].format(*parts)
        if absent := [f"{p} is not None" for p in parts if case.where == "memory" and p.endswith(".grad")]:
            observed = f"{' and '.join(absent)} and {observed}"
        out += [
            f"got = {observed}",
            f"print({f'{case.where} of {name}: got'!r}, got, 'should be', {due!r})",
            f"fine &= got == {due!r}",
        ]
    return [*out, "sys.exit(0 if fine else 1)"]
