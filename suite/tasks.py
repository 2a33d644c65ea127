"""The tasks of a run: one per row and dtype; they share nothing, so that they can be spread over processes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

from ..strategies.catalogue import CATALOGUE
from ..strategies.rules import SEMANTICS
from .settings import PROFILES, Settings

__all__ = ["COMPOSITION", "Task", "family", "plan", "selected", "tasks"]

#: The row of programs of several random ops.
COMPOSITION = "composition"
#: The dtype of scripts of tensors: most of their numbers are of this dtype, with others mixed in.
SCRIPT_DTYPE = "float64"


@dataclass(frozen=True)
class Task:
    """One search.

    Parameters
    ----------
    op : str
        A row of the catalogue, one of `SEMANTICS`, or `COMPOSITION`.
    dtype : str
    examples : int
    seed : int
    """

    op: str
    dtype: str
    examples: int
    seed: int


def family(op: str) -> str:
    """The family that a row is reported in."""
    return CATALOGUE[op].family if op in CATALOGUE else "semantics" if op in SEMANTICS else COMPOSITION


def selected(ops: tuple[str, ...]) -> tuple[str, ...]:
    """The rows that a run asks about, in the catalogue's order: all if none is named."""
    return tuple(op for op in (*CATALOGUE, *SEMANTICS, COMPOSITION) if not ops or op in ops)


def plan(settings: Settings, dtypes: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The rows that a run asks about, each with its dtypes: a task for each pair."""
    return {op: _dtypes(op, dtypes) for op in selected(settings.ops)}


def _dtypes(op: str, dtypes: tuple[str, ...]) -> tuple[str, ...]:
    return (SCRIPT_DTYPE,) if op in SEMANTICS else dtypes


def tasks(settings: Settings, dtypes: tuple[str, ...], turn: int = 0) -> Iterator[Task]:
    """The tasks of a run, the longest first; those of each further turn draw other questions."""
    profile = PROFILES[settings.profile]
    several = {COMPOSITION: profile.compositions, **dict.fromkeys(SEMANTICS, profile.scripts)}
    for op in reversed(selected(settings.ops)):
        for dtype in _dtypes(op, dtypes):
            own = zlib.crc32(f"{version('adjudge')} {settings.seed} {turn} {op} {dtype}".encode())
            yield Task(op, dtype, several.get(op, profile.examples), own)
