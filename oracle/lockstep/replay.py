"""Scripts run again, and with fewer lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from .divergence import Divergence
from .lines import WRITE, act, target
from .run import Lockstep

__all__ = ["reduce", "replay"]

#: A script that lost some of its lines may let arrays grow without end: beyond this number of elements it is given up.
ROOM = 256


def replay(library: Any, lines: Sequence[str], room: float = math.inf) -> Divergence | None:
    """Run a script, and return where the library diverges from the reference, unless nothing is promised any more by then.

    Parameters
    ----------
    library : namespace
        See `Lockstep`.
    lines : sequence of str
    room : float
        A script in which an array has more elements is given up.

    Examples
    --------
    >>> from adjudge.oracle import reference
    >>> replay(reference, ["a = lib.tensor(2.0)", "b = a * a", "b.backward()"]) is None
    True
    """
    lockstep = Lockstep(library)
    try:
        for line in lines:
            locked = act(line) == WRITE and target(line) in lockstep.origins and lockstep.in_use(target(line))
            if locked or lockstep.unspecified or any(lockstep.array(n).size > room for n in lockstep.names()):
                return None
            lockstep.run(line)
    except Divergence as divergence:
        return divergence
    return None


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
        again = replay(library, lines, ROOM)
        if again and (again.aspect, again.tags, len(again.lines)) == (divergence.aspect, divergence.tags, len(lines)):
            yield again
