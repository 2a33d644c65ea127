"""Scripts run again, and with fewer lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import reference
from .divergence import Divergence
from .grammar import ARRAYS, TENSORS, LineError
from .lines import WRITE, act, target
from .run import Lockstep

__all__ = ["check_script", "reduce", "replay"]

#: A script that lost some of its lines, or that comes from a file, may let arrays grow without end: no array of a script may
#: have more elements.
ROOM = 64
#: The most lines of a script.
LINES = 100


def check_script(lines: Sequence[str]) -> None:
    """Raise `LineError` unless these are the lines of a script, none of which makes an array that is too large.

    Examples
    --------
    >>> check_script(["a = lib.ones(8)", *["a = lib.concatenate([a, a])"] * 9])
    Traceback (most recent call last):
    adjudge.oracle.lockstep.grammar.LineError: 'a = lib.concatenate([a, a])' is no line of a script: an array has more than 64 elements by then
    """  # noqa: E501 (an exception's text)
    if len(lines) > LINES:
        raise LineError(lines[LINES], f"{LINES} lines are enough for a script, and there are {len(lines)}")
    for line in lines:
        act(line)
    replay(reference, lines)


def replay(library: Any, lines: Sequence[str]) -> Divergence | None:
    """Run a script, and return where the library diverges from the reference, unless nothing is promised any more by then.

    Parameters
    ----------
    library : namespace
        See `Lockstep`.
    lines : sequence of str

    Raises
    ------
    LineError
        If a line is not in the grammar, or an array has become too large.

    Examples
    --------
    >>> from adjudge.oracle import reference
    >>> replay(reference, ["a = lib.tensor(2.0)", "b = a * a", "b.backward()"]) is None
    True
    """
    lockstep = Lockstep(library)
    try:
        with np.errstate(all="ignore"):  # a script from a file may overflow, which is nobody's news
            for line in lines:
                locked = act(line) == WRITE and target(line) in lockstep.origins and lockstep.in_use(target(line))
                if locked or lockstep.unspecified:
                    return None
                lockstep.run(line)
                _check_bound(lockstep, line)
    except Divergence as divergence:
        return divergence
    return None


def _check_bound(lockstep: Lockstep, line: str) -> None:
    """Names are bound to arrays, which do not grow without end, or to no gradient."""
    for name, bound in lockstep.reference.names.items():
        if name in (*TENSORS, *ARRAYS) and bound is not None and name not in lockstep.origins:
            raise LineError(line, f"it binds {name} to what is neither a tensor nor an array")
    if any(lockstep.array(n).size > ROOM for n in lockstep.names()):
        raise LineError(line, f"an array has more than {ROOM} elements by then")


def reduce(library: Any, divergence: Divergence) -> Divergence:
    """The same divergence after as few lines as possible: each that can be left out is left out.

    Parameters
    ----------
    library : namespace
        See `Lockstep`.
    divergence : Divergence
    """
    while (shorter := next(_shorter(library, divergence), None)) is not None:
        divergence = shorter
    return divergence


def _shorter(library: Any, divergence: Divergence) -> Iterator[Divergence]:
    for n in reversed(range(len(divergence.lines) - 1)):
        lines = [*divergence.lines[:n], *divergence.lines[n + 1 :]]
        try:
            again = replay(library, lines)
        except LineError:  # without that line the script is none
            continue
        if again and (again.aspect, again.tags, len(again.lines)) == (divergence.aspect, divergence.tags, len(lines)):
            yield again
