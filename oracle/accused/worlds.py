"""The world that a script of tensors is run in: how a line is run there, and everything that is visible afterwards.

Needs CPython 3.8 and NumPy alone.
"""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from itertools import combinations
from types import CodeType, FrameType
from typing import Any

import numpy as np

__all__ = ["Stuck", "World", "array_of"]

#: Names of tensors and of arrays in a script, and the name of what is neither.
TENSORS, ARRAYS, ANSWER = "abcdef", "pq", "answer"
#: Seconds of computing that a line may take; it needs microseconds.
LIMIT = 1.0


class Stuck(Exception):
    """A line does not come back."""


class World:
    """The names of one script, on one library.

    Parameters
    ----------
    library : namespace
        Has `Tensor`, `tensor`, and functions with NumPy's names.
    """

    def __init__(self, library: Any) -> None:
        self.names: dict[str, Any] = {"lib": library, "np": np}

    def run(self, line: str) -> str | None:
        """Run a line; the exception that it raised, in words."""
        try:
            with _limited():
                exec(_compiled(line), self.names)
        except (Exception, SystemExit) as problem:  # whatever a library raises is a refusal
            return f"{type(problem).__name__}: {problem}"
        return None

    def visible(self, aspect: str) -> dict[str, Any]:
        """Everything visible of an aspect: by name, or by pair of names."""
        return VISIBLE[aspect](self)

    def forget(self, name: str) -> None:
        """Unbind a name, if it is bound."""
        self.names.pop(name, None)

    # -- what there is --------------------------------------------------------------------------------------------------

    @property
    def live(self) -> dict[str, Any]:
        """What each live name is bound to."""
        return {n: self.names[n] for n in (*TENSORS, *ARRAYS, ANSWER) if n in self.names}

    @property
    def tensors(self) -> dict[str, Any]:
        """The tensors among it."""
        return {n: x for n, x in self.live.items() if isinstance(x, self.names["lib"].Tensor)}

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The array of each tensor and array."""
        tensors = self.tensors
        return {n: array_of(x) for n, x in self.live.items() if n in tensors or isinstance(x, np.ndarray)}

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """The gradient of each tensor that has one."""
        return {n: x.grad for n, x in self.tensors.items() if x.grad is not None}


@lru_cache(4096)
def _compiled(line: str) -> CodeType:
    return compile(line, "<script>", "exec")


def array_of(x: Any) -> np.ndarray:
    """An array itself, and the data of a tensor."""
    data = x if isinstance(x, np.ndarray) else x.data
    assert isinstance(data, np.ndarray)
    return data


def _kinds(world: World) -> dict[str, Any]:
    tensors, arrays = world.tensors, world.arrays
    named = {n: type(x).__name__.rstrip("_") for n, x in world.live.items()}  # NumPy 1 says bool_
    return {n: "tensor" if n in tensors else "array" if n in arrays else named[n] for n in named}


def _identities(world: World) -> dict[str, Any]:
    tensors = world.tensors
    return {f"{m} and {n}": True for m, n in combinations(sorted(tensors), 2) if tensors[m] is tensors[n]}


def _values(world: World) -> dict[str, Any]:
    arrays = world.arrays
    return {n: arrays[n].tolist() if n in arrays else list(x) if isinstance(x, tuple) else x for n, x in world.live.items()}


def _gradients(world: World) -> dict[str, Any]:
    return {n: (type(g).__name__, str(g.dtype), g.tolist()) for n, g in world.gradients.items()}


def _memory(world: World) -> dict[str, Any]:
    buffers = {**world.arrays, **{f"{n}.grad": g for n, g in world.gradients.items()}}
    return {f"{m} and {n}": True for m, n in combinations(sorted(buffers), 2) if np.shares_memory(buffers[m], buffers[n])}


#: How each aspect is seen.
VISIBLE: Mapping[str, Callable[[World], dict[str, Any]]] = {
    "kind": _kinds,
    "identity": _identities,
    "shape": lambda world: {n: x.shape for n, x in world.arrays.items()},
    "dtype": lambda world: {n: str(x.dtype) for n, x in world.arrays.items()},
    "value": _values,
    "constant": lambda world: {n: x.constant for n, x in world.tensors.items()},
    "grad": _gradients,
    "memory": _memory,
}


# -- a line that does not come back --------------------------------------------------------------------------------------------


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stuck(f"it was stopped after {LIMIT:g} s of computing")


@contextmanager
def _limited() -> Iterator[None]:
    """Interrupt a call that does not return, where signals can: in the main thread, on POSIX."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before, collects = signal.signal(signal.SIGVTALRM, _stop), gc.isenabled()
    try:
        gc.disable()  # it runs callbacks of libraries, from which nothing can be raised
        signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT, LIMIT / 20)
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        if collects:
            gc.enable()
