"""Fresh objects for an implementation: arrays in the memory layout that a program's input asks for, numbers, nested lists.

Needs CPython 3.8 and NumPy alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["KINDS", "LAYOUTS", "materialise"]

KINDS = ("array", "number", "list")
LAYOUTS = ("C", "F", "reversed", "strided", "broadcast", "read-only", "unaligned")


def materialise(data: np.ndarray, kind: str, layout: str) -> Any:
    """A fresh object: an array in a layout, or a Python number or nested list.

    Parameters
    ----------
    data : ndarray
    kind : str
        One of `KINDS`.
    layout : str
        One of `LAYOUTS`.
    """
    return _laid_out(data, layout) if kind == "array" else data.tolist()


def _laid_out(data: np.ndarray, layout: str) -> np.ndarray:
    if layout == "F":
        return np.array(data, order="F")
    if layout == "reversed" and data.ndim:
        turned = (slice(None, None, -1),) * data.ndim
        return np.array(data[turned], order="C")[turned]
    if layout == "strided" and data.ndim:
        wide = np.zeros((*data.shape[:-1], 2 * data.shape[-1]), data.dtype)
        wide[..., ::2] = data
        return wide[..., ::2]
    if layout == "broadcast":
        bits = np.ascontiguousarray(data).view(f"u{data.dtype.itemsize}").reshape(data.shape)
        repeats = tuple(
            slice(0, 1) if data.shape[axis] > 1 and (bits == bits.take([0], axis)).all() else slice(None)
            for axis in range(data.ndim)
        )
        return np.broadcast_to(np.array(data[repeats], order="C"), data.shape)
    if layout == "unaligned":
        buffer = np.zeros(data.nbytes + 1, np.uint8)
        out = buffer[1:].view(data.dtype).reshape(data.shape) if data.size else np.array(data)
        out[...] = data
        return out
    out = np.array(data, order="C")
    if layout == "read-only":
        out.flags.writeable = False
    return out
