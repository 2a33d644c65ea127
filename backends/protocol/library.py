"""A library under test in this process: text in its words is compiled and called. Needs CPython 3.8 and NumPy alone."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np

__all__ = ["Library", "versions_of"]

PROGRAM, HELPERS = "<program>", "<helpers>"
#: The number of compiled programs that are kept: each question is asked twice, and many programs differ in their data alone.
KEPT = 256
#: After this many questions a library is made to empty its caches.
FORGET_EVERY = 100


def versions_of(distributions: Iterable[str]) -> dict[str, str]:
    """The packages' own ``__version__``, if they have one: a package on the path may come before the one installed."""
    return {name: str(getattr(sys.modules.get(name), "__version__", None) or version(name)) for name in distributions}


class Library:
    """A library that is imported when it is first needed.

    Parameters
    ----------
    imports, session, helpers : str
        Source text, as in `adjudge.oracle.protocol.Language`; it runs in this order.
    refusals : sequence of (str, str)
        Names of exceptions, and words in their messages, by which the library says that it lacks something.
    """

    def __init__(self, imports: str, session: str = "", helpers: str = "", refusals: Sequence[tuple[str, str]] = ()) -> None:
        self.texts = imports, session, helpers
        self.refusals = refusals
        self.names: dict[str, Any] = {}
        self.asked = 0
        self.function = lru_cache(KEPT)(self.compiled)

    def start(self) -> None:
        """Import it; exceptions are passed on."""
        if not self.names:
            names: dict[str, Any] = {"np": np}
            for text in self.texts:
                exec(compile(text, HELPERS, "exec"), names)
            self.names = names

    def room_of(self, name: str, rooms: Sequence[str]) -> str:
        """The first of some places (source of a module, such as ``mg.linalg``) that has a function; "" where none has."""
        self.start()
        return next((room for room in rooms if hasattr(eval(room, self.names), name)), "")

    def use_cache(self, folder: Any) -> None:
        """Tell the library where it may keep what it compiles."""
        self.start()
        if "use_cache" in self.names:
            self.names["use_cache"](folder)

    def compiled(self, text: str, name: str) -> Callable[..., Any]:
        """The function of a name that some text defines."""
        self.start()
        made: dict[str, Any] = {}
        exec(compile(text, PROGRAM, "exec"), self.names, made)
        function: Callable[..., Any] = made[name]
        return function

    def call(self, text: str, name: str, arguments: Sequence[Any], ops: Mapping[int, str], anywhere: bool = False) -> Any:
        """Call a function that some text defines.

        Parameters
        ----------
        text, name : str
        arguments : sequence
        ops : mapping of int to str
            The op that each line of the text computes.
        anywhere : bool
            Whether the library may say that it lacks something anywhere, and not only while it computes a line that is about an
            op. What it refuses later, when it has given a value, is an exception like any other.

        Raises
        ------
        NotImplementedError
            Where the library lacks something; its other exceptions are passed on.
        """
        self.asked += 1
        if "forget" in self.names and self.asked % FORGET_EVERY == 0:
            self.names["forget"]()
        try:
            with np.errstate(all="ignore"):
                return self.function(text, name)(*arguments)
        except Exception as problem:
            lacking = self.lacking(problem, ops, anywhere)
            traceback.clear_frames(problem.__traceback__)  # arrays that they refer to may be locked until then
            if lacking:
                raise NotImplementedError(lacking) from problem
            raise

    def lacking(self, problem: Exception, ops: Mapping[int, str], anywhere: bool) -> str:
        """What the library lacks, if an exception says so; otherwise ""."""
        message, frames = str(problem), list(traceback.walk_tb(problem.__traceback__))
        places = [(f.f_code.co_filename, line) for f, line in frames if f.f_code.co_name != "__getattr__"]
        op = next((ops[line] for file, line in reversed(places) if file == PROGRAM and line in ops), "")
        raised_in = places[-1][0]
        if isinstance(problem, NotImplementedError) and raised_in in (PROGRAM, HELPERS):
            return message
        if not (op or anywhere):
            return ""
        named = isinstance(problem, AttributeError) and message.startswith("module ") and raised_in in (PROGRAM, HELPERS)
        refused = any(type(problem).__name__ == name and words in message for name, words in self.refusals)
        if isinstance(problem, NotImplementedError) or named or refused:
            return f"{op}: {message}" if op else message
        return ""
