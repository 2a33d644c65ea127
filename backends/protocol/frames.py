"""Messages between the judge and the process of an implementation: a line of JSON, then the bytes of its arrays.

The field "arrays" lists the dtype and shape of each array. Their elements follow the line, array by array in C order, the least
significant byte first, without anything between them. Needs CPython 3.8 and NumPy alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["FrameError", "packed", "read"]

#: A line is no longer than this, and neither are the arrays of one message together.
MOST_LINE, MOST_BYTES = 2**22, 2**30
#: Nor has an array more axes: NumPy 1 has no more.
MOST_AXES = 32
SWAPPED = sys.byteorder == "big"


class FrameError(ValueError):
    """What came is no message; the text says what it is."""


def packed(message: dict[str, Any], arrays: Sequence[np.ndarray] = ()) -> bytes:
    """A message as bytes.

    Parameters
    ----------
    message : dict
        Plain data for `json.dumps`.
    arrays : sequence of ndarray
    """
    listed = [{"dtype": str(a.dtype.newbyteorder("=")), "shape": list(a.shape)} for a in arrays]
    line = json.dumps({**message, "arrays": listed} if listed else message, default=_plain)
    return b"".join([line.encode(), b"\n", *map(_bytes, arrays)])


def _plain(value: Any) -> Any:
    """What JSON has no word for: a number of NumPy's, or else the text of it."""
    return value.item() if isinstance(value, np.generic) else repr(value)


def _bytes(a: np.ndarray) -> bytes:
    little = a.astype(a.dtype.newbyteorder("<")) if SWAPPED or a.dtype.byteorder == ">" else a
    return little.tobytes()


def read(line: bytes, take: Callable[[int], bytes]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """A message whose line has been read.

    Parameters
    ----------
    line : bytes
        Without its end.
    take : callable
        ``take(n)`` gives the next `n` bytes.

    Raises
    ------
    FrameError
    """
    try:
        message = json.loads(line)
        listed = message.pop("arrays", [])
        forms = [(form["dtype"], tuple(form["shape"])) for form in listed]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
        raise FrameError(f"{_shown(line)} stands where a message is due") from problem
    sizes = [_size(name, shape) for name, shape in forms]
    if sum(sizes) > MOST_BYTES:
        raise FrameError(f"its arrays have {sum(sizes)} bytes together; {MOST_BYTES} are the most")
    return message, [_array(take(size), np.dtype(name), shape) for size, (name, shape) in zip(sizes, forms)]


def _size(name: Any, shape: tuple[Any, ...]) -> int:
    try:
        dtype = np.dtype(name) if isinstance(name, str) else None
    except TypeError:
        dtype = None
    if dtype is None or (dtype.kind not in "biufc" and dtype.name != "bfloat16"):
        raise FrameError(f"{_brief(name)} is no dtype of an array")
    if len(shape) > MOST_AXES or not all(type(n) is int and 0 <= n <= MOST_BYTES for n in shape):
        raise FrameError(f"{_brief(list(shape))} is no shape of an array")
    size = int(dtype.itemsize)
    for n in shape:
        size *= n
    return size


def _array(data: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    out = np.frombuffer(bytearray(data), dtype).reshape(shape) if data else np.zeros(shape, dtype)
    return out.byteswap() if SWAPPED else out


def _brief(value: Any) -> str:
    text = repr(value)
    return text[:60] + ("…" if len(text) > 60 else "")


def _shown(line: bytes) -> str:
    text = line[:60].decode("utf-8", "replace")
    return repr(text) + ("…" if len(line) > 60 else "")
