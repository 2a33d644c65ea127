"""An implementation is asked, and watched: its answer, and what it did to the arrays that it was given and gave before.

Needs CPython 3.8 and NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .layouts import materialise

__all__ = ["Given", "MalformedAnswer", "NotAnArray", "Observation", "all_same", "kind_of", "observe", "same"]


class MalformedAnswer(TypeError):
    """What a backend returned is not of the form that is due; the message says what it is."""


@dataclass(frozen=True)
class NotAnArray:
    """What stands where an array is due.

    Parameters
    ----------
    kind : str
        Its type with an article, such as "a float".
    """

    kind: str


@dataclass(frozen=True)
class Given:
    """One input, as an implementation is given it.

    Parameters
    ----------
    data : ndarray
    kind, layout : str
        See `adjudge.oracle.accused.layouts`.
    """

    data: np.ndarray
    kind: str = "array"
    layout: str = "C"


@dataclass(frozen=True)
class Observation:
    """An answer, and what was seen while it was given.

    Parameters
    ----------
    arrays : list
        In reverse mode the value and one gradient per input, in forward mode the value and its tangent, in second order one
        product per input: each an array, None, or `NotAnArray`.
    changed : list of int
        The inputs whose elements were changed.
    unlocked, locked : list of int
        The inputs that were made writeable, and those that were made read-only.
    cotangent_changed : bool
    shared : list of (int, str, int)
        Gradients (by the number of the input) that share memory with an "input" or another "gradient" of a number.
    unsteady : bool
        Whether a second run on the same inputs gave another answer.
    overwritten : bool
        Whether the first answer changed when the second was computed.
    """

    arrays: list[Any]
    changed: list[int] = field(default_factory=list)
    unlocked: list[int] = field(default_factory=list)
    locked: list[int] = field(default_factory=list)
    cotangent_changed: bool = False
    shared: list[tuple[int, str, int]] = field(default_factory=list)
    unsteady: bool = False
    overwritten: bool = False


def kind_of(x: object) -> str:
    """The type of what a backend returned, with its article."""
    name = type(x).__name__
    return "None" if x is None else f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are equal in shape, dtype and every element, NaN included."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return a.tobytes() == b.tobytes() or bool(np.all((a == b) | ((a != a) & (b != b))))


# -- the form of an answer -----------------------------------------------------------------------------------------------------


def _value_and_gradients(answer: Any) -> list[Any]:
    if not (hasattr(answer, "value") and isinstance(getattr(answer, "gradients", None), (list, tuple))):
        raise MalformedAnswer(f"vjp must return an Answer, with a value and a list of gradients, not {kind_of(answer)}")
    return [answer.value, *answer.gradients]


def _value_and_tangent(answer: Any) -> list[Any]:
    if not (isinstance(answer, (tuple, list)) and len(answer) == 2):
        raise MalformedAnswer(f"jvp must return a pair of value and tangent, not {kind_of(answer)}")
    return list(answer)


def _products(answer: Any) -> list[Any]:
    if not isinstance(answer, (tuple, list)):
        raise MalformedAnswer(f"hvp must return a list of one array per input, not {kind_of(answer)}")
    return list(answer)


#: For each mode of differentiation the arrays in what its function returned.
ARRAYS: Mapping[str, Callable[[Any], list[Any]]] = {
    "vjp": _value_and_gradients,
    "jvp": _value_and_tangent,
    "hvp": _products,
}
#: How many of the first arrays may be anything that NumPy makes an array of: a value may be a number.
VALUES = {"vjp": 1, "jvp": 1, "hvp": 0}


def _seen(x: Any, is_value: bool) -> Any:
    """An array of numbers as it is, None, or what stands there instead."""
    if x is None and not is_value:
        return None
    array = np.asarray(x) if is_value else x
    if not isinstance(array, np.ndarray):
        return NotAnArray(kind_of(array))
    if array.dtype.kind not in "biufc" and array.dtype.name != "bfloat16":
        return NotAnArray(kind_of(x) if is_value and not isinstance(x, np.ndarray) else f"an array of dtype {array.dtype}")
    return array


# -- asking --------------------------------------------------------------------------------------------------------------------


def observe(
    mode: str,
    function: Callable[..., Any],
    inputs: Sequence[Given],
    cotangent: Any = None,
    tangents: Sequence[Any] = (),
    once: bool = False,
) -> Observation:
    """Ask a question, in reverse mode twice, each time on fresh arrays.

    Parameters
    ----------
    mode : str
        "vjp", "jvp" or "hvp".
    function : callable
        ``function(inputs, cotangent, tangents)`` gives the answer.
    inputs : sequence of Given
    cotangent : ndarray, optional
    tangents : sequence
        One array per input, None for constants.
    once : bool
        Whether once is enough, since nobody asks what is seen.

    Raises
    ------
    MalformedAnswer
        Where the answer is not of the form that is due; what the function raises is passed on.
    """

    def ask() -> tuple[list[Any], list[Any], Any]:
        fresh = [materialise(x.data, x.kind, x.layout) for x in inputs]
        seed = None if cotangent is None else np.array(cotangent)
        along = [None if v is None else np.array(v) for v in tangents]
        with np.errstate(all="ignore"):
            answer = ARRAYS[mode](function(fresh, seed, along))
        return [_seen(x, n < VALUES[mode]) for n, x in enumerate(answer)], fresh, seed

    arrays, fresh, seed = ask()
    first = [np.array(x) if isinstance(x, np.ndarray) else x for x in arrays]
    out = Observation(
        arrays,
        changed=[n for n, (x, given) in enumerate(zip(fresh, inputs)) if _is_changed(x, given)],
        cotangent_changed=seed is not None and not same(seed, cotangent),
    )
    if mode != "vjp" or once:
        return out
    _note_flags(out, fresh, inputs)
    _note_sharing(out, arrays[1:], fresh)
    again = ask()[0]
    return replace(out, unsteady=not all_same(first, again), overwritten=not all_same(first, arrays))


def all_same(first: Sequence[Any], second: Sequence[Any]) -> bool:
    """Whether two answers are the same, array by array."""

    def alike(a: Any, b: Any) -> bool:
        return same(a, b) if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) else bool(type(a) is type(b) and a == b)

    return len(first) == len(second) and all(map(alike, first, second))


def _is_changed(x: Any, given: Given) -> bool:
    """Whether an input that was handed over no longer holds the same bits."""
    if not isinstance(x, np.ndarray):
        return False
    data = given.data
    return bool(x.shape != data.shape or x.dtype != data.dtype or x.tobytes() != data.tobytes())


def _note_flags(out: Observation, fresh: Sequence[Any], inputs: Sequence[Given]) -> None:
    for n, (x, given) in enumerate(zip(fresh, inputs)):
        if isinstance(x, np.ndarray):
            before = given.layout not in ("read-only", "broadcast")
            if x.flags.writeable != before:
                (out.unlocked if x.flags.writeable else out.locked).append(n)


def _note_sharing(out: Observation, gradients: Sequence[Any], fresh: Sequence[Any]) -> None:
    for n, g in enumerate(gradients):
        if not isinstance(g, np.ndarray):
            continue
        out.shared.extend(
            (n, "input", m) for m, x in enumerate(fresh) if isinstance(x, np.ndarray) and np.may_share_memory(g, x)
        )
        out.shared.extend(
            (n, "gradient", m)
            for m, other in enumerate(gradients[:n])
            if isinstance(other, np.ndarray) and g.size and np.may_share_memory(g, other)
        )
