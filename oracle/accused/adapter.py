"""What makes a module or object a backend: the attributes that it must have, and what each may be.

Needs CPython 3.8 and NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "NEEDED",
    "Answer",
    "Unsupported",
    "check_fields",
    "check_versions",
    "fields_of",
    "is_spoken",
    "is_unsupported",
    "supported",
]

#: The attributes that a backend must have, unless it is a language.
NEEDED = ("name", "versions", "vjp")
#: Those that a language must have.
SPOKEN = ("name", "distributions")


class Unsupported(Exception):
    """The implementation does not have what the program needs; the message says what."""


@dataclass
class Answer:
    """The answer of an implementation to one program.

    Parameters
    ----------
    value : array
        The program's value, as an array.
    gradients : list
        One array per input, in the library's own dtype and shape; None where it gives none.
    """

    value: np.ndarray
    gradients: list[np.ndarray | None]


#: The most characters of a name.
NAME = 80


def _is_short(x: Any) -> bool:
    return isinstance(x, str) and x.isprintable() and len(x) <= NAME


def _is_name(x: Any) -> bool:
    return _is_short(x) and bool(x.strip())


def _rules(floats: Collection[str]) -> dict[str, tuple[str, Callable[[Any], bool]]]:
    """What each field must be, in words and as a test."""

    def some_floats(names: Any) -> bool:
        return isinstance(names, (tuple, list)) and bool(names) and all(name in floats for name in names)

    def roundoffs(table: Any) -> bool:
        return (
            isinstance(table, Mapping)
            and set(table) <= set(floats)
            and all(isinstance(u, float) and 0 < u < 0.5 for u in table.values())
        )

    a_function = "a function", callable
    return {
        "name": (f"a line of text, of {NAME} characters at most", _is_name),
        "versions": a_function,
        "vjp": a_function,
        "supports": a_function,
        "use_cache": a_function,
        "jvp": ("a function", lambda x: x is None or callable(x)),
        "hvp": ("a function, or a dict of functions", lambda x: isinstance(x, Mapping) and all(map(callable, x.values()))),
        "dtypes": (f"a tuple of float dtypes ({', '.join(floats)})", some_floats),
        "unit_roundoff": ("a dict of float dtypes to numbers between 0 and 1/2", roundoffs),
        "flushes_subnormals": ("true or false", lambda x: isinstance(x, bool)),
        "numpy_dtypes": ("true or false", lambda x: isinstance(x, bool)),
        "language": ("a Language", lambda x: hasattr(x, "spelling")),
        "distributions": ("a tuple of names", lambda x: isinstance(x, (tuple, list)) and bool(x) and all(map(_is_name, x))),
    }


def is_spoken(given: Any) -> bool:
    """Whether a module or object says how its programs are written, and has no function that answers."""
    language = getattr(given, "language", None)
    return hasattr(language, "spelling") and hasattr(language, "vjp") and not hasattr(given, "vjp")


def fields_of(given: Any, names: Sequence[str], floats: Collection[str]) -> dict[str, Any]:
    """The fields that a module or object has, a lone `hvp` as a mapping.

    Parameters
    ----------
    given : object
    names : sequence of str
        Every field that a backend may have.
    floats : sequence of str
        Every float dtype.

    Raises
    ------
    TypeError
        Where one that is needed is missing, or one is not what it must be: a sentence that "it" is the subject of.
    """
    needed = SPOKEN if is_spoken(given) else NEEDED
    if lacking := [name for name in needed if not hasattr(given, name)]:
        raise TypeError(f"it lacks {_listed(lacking)} (a backend has {_listed(NEEDED)})")
    own = {name: getattr(given, name) for name in (*names, "distributions") if hasattr(given, name)}
    if callable(own.get("hvp")):
        own["hvp"] = {"": own["hvp"]}
    check_fields(own, floats)
    return own


def check_fields(own: Mapping[str, Any], floats: Collection[str]) -> None:
    """Raise `TypeError` where a field of a backend is not what it must be: a sentence that "it" is the subject of."""
    for name, (rule, holds) in _rules(floats).items():
        if name in own and not holds(own[name]):
            raise TypeError(f"its {name} must be {rule}, not {shortly(own[name])}")


def check_versions(versions: Any) -> Any:
    """Versions by package, as they are; raises `TypeError` where they are none."""
    if not (isinstance(versions, Mapping) and versions and all(map(_is_short, [*versions, *versions.values()]))):
        raise TypeError(f"its versions() must be a dict of package to version, not {shortly(versions)}")
    return versions


def shortly(value: Any) -> str:
    """A value in words, of which a sentence can have only so many."""
    words = repr(value)
    return words if len(words) <= 2 * NAME else f"{words[: 2 * NAME]}…"


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def supported(supports: Callable[[str], bool], ops: Sequence[str]) -> list[str]:
    """The ops among some that a backend has, by its own word; it may raise its `Unsupported`."""

    def has(op: str) -> bool:
        try:
            return bool(supports(op))
        except Exception as problem:
            if is_unsupported(problem):
                return False
            raise

    return [op for op in ops if has(op)]


def is_unsupported(problem: BaseException) -> bool:
    """Whether an exception is `Unsupported`: a backend has it from adjudge, and a process of its own from this very file."""
    return any(kind.__name__ == "Unsupported" for kind in type(problem).__mro__)
