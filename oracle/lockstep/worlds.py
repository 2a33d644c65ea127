"""The two worlds that a script is run in: how a line is run in one, and everything that is visible there afterwards."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import combinations
from types import FrameType
from typing import Any

import numpy as np

from .lines import ARRAYS, TENSORS, compiled

__all__ = ["Stuck", "array_of", "attempt", "visible"]

#: Seconds of computing that a line may take; it needs microseconds.
LIMIT = 1.0


class Stuck(Exception):
    """A line does not come back."""


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


def attempt(line: str, world: dict[str, Any]) -> str | None:
    """Run a line; the exception that it raised, in words."""
    try:
        with _limited():
            exec(compiled(line), world)
    except Exception as problem:  # whatever a library raises is a refusal
        return f"{type(problem).__name__}: {problem}"
    return None


def array_of(x: Any) -> np.ndarray:
    """An array itself, and the data of a tensor."""
    data = x if isinstance(x, np.ndarray) else x.data
    assert isinstance(data, np.ndarray)
    return data


def visible(aspect: str, world: Mapping[str, Any]) -> dict[str, Any]:
    """Everything visible of an aspect: by name, or by pair of names."""
    live = {n: world[n] for n in (*TENSORS, *ARRAYS, "answer") if n in world}
    tensors = {n: x for n, x in live.items() if isinstance(x, world["lib"].Tensor)}
    arrays = {n: array_of(x) for n, x in live.items() if n in tensors or isinstance(x, np.ndarray)}
    match aspect:
        case "kind":
            return {n: "tensor" if n in tensors else "array" if n in arrays else type(x).__name__ for n, x in live.items()}
        case "identity":
            return {f"{m} and {n}": True for m, n in combinations(sorted(tensors), 2) if tensors[m] is tensors[n]}
        case "shape":
            return {n: x.shape for n, x in arrays.items()}
        case "dtype":
            return {n: str(x.dtype) for n, x in arrays.items()}
        case "value":
            return {n: arrays[n].tolist() if n in arrays else x for n, x in live.items()}
        case "constant":
            return {n: x.constant for n, x in tensors.items()}
    gradients = {n: g for n, x in tensors.items() if (g := x.grad) is not None}
    if aspect == "grad":
        return {n: (type(g).__name__, str(g.dtype), g.tolist()) for n, g in gradients.items()}
    buffers = arrays | {f"{n}.grad": g for n, g in gradients.items()}
    return {f"{m} and {n}": True for m, n in combinations(sorted(buffers), 2) if np.shares_memory(buffers[m], buffers[n])}
