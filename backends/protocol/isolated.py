"""A backend whose answers come from a process of its own, in this environment or another."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ...oracle import accused
from ...oracle.accused.adapter import check_fields
from ...oracle.accused.observe import NotAnArray, Observation, all_same
from ...oracle.dtypes import FLOATS
from ...oracle.lockstep import ASPECTS
from ...oracle.modes import MODES
from ...oracle.program import Program
from ...oracle.protocol import GIVEN, Answer, Backend, Language, Lost, MalformedAnswer, Raised, Unsupported
from ...oracle.reference import OPS
from ..language import LanguageError, Source, source, template_of
from .process import START_TIMEOUT, Limits, Process

__all__ = ["HelloError", "Isolated", "environment"]

CHILD = Path(__file__).with_name("child.py")
#: The protocol that this adjudge speaks.
PROTOCOL = 1
#: The fields of a language that a process is asked for.
LANGUAGE = tuple(f.name for f in fields(Language))
#: What a process of another language says of itself; whatever else it may say is not heard.
FOREIGN = ("name", "versions", "dtypes", "ops", "modes", "unit_roundoff", "flushes_subnormals", "numpy_dtypes")
#: After so many questions the error output is looked at.
TIDY_EVERY = 500


class HelloError(Exception):
    """The process cannot say what it is: `kind` is one of the replies that README.md names, the message its text."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def environment(language: Mapping[str, str], external: bool) -> dict[str, str]:
    """The environment variables of a process; another interpreter does not inherit where this one finds its packages."""
    own = {**language, **os.environ}
    own.pop("PYTHONHOME", None)
    own.pop("PYTHONPATH", None)
    if not external:
        own["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    return own


class Isolated:
    """An implementation in a process of its own; `backend` is what the judge asks.

    Parameters
    ----------
    config : mapping
        What the process is told, see `child`; a command of another language is told nothing.
    limits : Limits
    python : str, optional
        The interpreter; the one that adjudge itself runs in if left out.
    given : Backend, optional
        What is known of it already: a shipped backend's name, language, and flags.
    meanwhile : callable
        Called while the process imports the library.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        limits: Limits,
        python: str | None = None,
        given: Mapping[str, Any] | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        self.given = dict(given or {})
        self.limits = limits
        language: Language = self.given.get("language", Language())
        told = {**config, "accused": str(Path(str(accused.__file__)).parent), "memory": limits.memory, "judge": os.getpid()}
        command = [python or sys.executable, str(CHILD), json.dumps(told)]
        self.process = Process(command, environment(language.environment, python is not None), limits)
        self.hello = self._hello(meanwhile)
        if "command" in self.hello:
            self._start_foreign(self.hello, told)
        wanted = dict(self.hello.get("language", {}).get("environment", {}))
        if not wanted.keys() <= os.environ.keys():  # variables that the library reads when it is imported
            self.process.close()
            self.process = Process(command, environment(wanted, python is not None), limits)
            self.hello = self._hello()
        self._asked = 0
        self._cache: str | None = None
        self.backend = self._backend()

    # -- what it is -----------------------------------------------------------------------------------------------------

    def _hello(self, meanwhile: Callable[[], object] = lambda: None) -> dict[str, Any]:
        message = {
            "do": "hello", "protocol": PROTOCOL, "ops": list(OPS), "floats": list(FLOATS), "fields": GIVEN,
            "language": LANGUAGE,
        }  # fmt: skip
        try:
            reply, _ = self.process.ask(message, seconds=START_TIMEOUT, meanwhile=meanwhile)
        except Lost as problem:
            raise HelloError("silent", str(problem)) from problem
        except OSError as problem:
            raise HelloError("unimportable", f"{self.process.command[0]}: {problem.strerror}") from problem
        for kind in ("missing", "unknown", "unimportable", "refused"):
            if kind in reply:
                self.process.close()
                raise HelloError(kind, str(reply[kind]))
        return reply

    def _start_foreign(self, named: Mapping[str, Any], told: Mapping[str, Any]) -> None:
        """Start the command that a backend names instead of answering, and hear what that is."""
        self.process.close()
        words = named["command"]
        if not (isinstance(words, list) and words and all(isinstance(word, str) and word for word in words)):
            raise HelloError("refused", f"its command must be a list of words, not {words!r}")
        command = [sys.executable, str(CHILD), json.dumps({**told, "command": words})]
        self.process = Process(command, dict(os.environ), self.limits, named["folder"])
        said = {"name": named["name"], **self._hello()}
        self.hello = {"foreign": True, **{name: said[name] for name in FOREIGN if name in said}}
        try:
            check_foreign(self.hello)
        except TypeError as problem:
            self.process.close()
            raise HelloError("refused", str(problem)) from problem

    def _backend(self) -> Backend:
        hello, own = self.hello, dict(self.given)
        try:
            if "language" in hello:
                own["language"] = _language(hello["language"])
            for name in ("name", "numpy_dtypes", "unit_roundoff", "flushes_subnormals", "file"):
                if name in hello:
                    own[name] = hello[name]
            own["dtypes"] = tuple(hello.get("dtypes", own.get("dtypes", Backend.dtypes)))
            if not hello.get("bfloat16", True):
                own["dtypes"] = tuple(dtype for dtype in own["dtypes"] if dtype != "bfloat16")
            language: Language = own.get("language", Language())
            modes = hello.get("modes") or {
                "vjp": [""], "jvp": [""] if language.jvp else [], "hvp": list(language.hvp)
            }  # fmt: skip
            self._supported = set(hello["ops"]) if "ops" in hello else {op for op in OPS if self._spells(op, language)}
            versions = {str(package): str(number) for package, number in hello["versions"].items()}
        except (KeyError, TypeError, AttributeError, ValueError) as problem:
            raise HelloError("refused", f"its answer to hello lacks or misuses {problem}") from problem
        if not self.promotes_alike:
            own["numpy_dtypes"] = False
        tensors = hello.get("tensors") or own.get("tensors", "")
        return Backend(**{
            **own,
            "versions": lambda: dict(versions),
            "supports": self._supported.__contains__,
            "vjp": self._vjp,
            "jvp": self._jvp if modes.get("jvp") else None,
            "hvp": {way: partial(self._hvp, way) for way in modes.get("hvp", ())},
            "tensors": Worlds(self, tensors) if tensors else None,
            "use_cache": self.use_cache,
            "language": language,
            "function_of": self.function_of if self.spoken else None,
            "promotes_alike": self.promotes_alike,
            "library": str(hello.get("library", "")),
            "observer": self.observe,
        })  # fmt: skip

    def function_of(self, op: str) -> str:
        """The library's own name for the function of an op; "" where it has none."""
        room = self.hello.get("rooms", {}).get(op, "")
        return f"{room}.{op}" if room else ""

    def _spells(self, op: str, language: Language) -> bool:
        words = language.spelling.get(op, language.step)
        return op not in language.lacking and ("{function}" not in words or bool(self.function_of(op)))

    @property
    def promotes_alike(self) -> bool:
        """Whether NumPy beside the library has the promotion rules of NumPy here: they are NEP 50's since version 2."""
        return str(self.hello.get("numpy", np.__version__)).split(".")[0] == np.__version__.split(".")[0]

    @cached_property
    def spoken(self) -> bool:
        """Whether questions are put in the library's own words."""
        return "rooms" in self.hello

    # -- questions --------------------------------------------------------------------------------------------------------

    def observe(
        self,
        mode: str,
        way: str,
        program: Program,
        cotangent: np.ndarray | None,
        tangents: Sequence[np.ndarray | None],
        once: bool = False,
    ) -> Observation:
        """Ask a question, see `Backend.observe`."""
        takes = MODES[mode].takes
        inputs = [{"kind": i.kind, "layout": i.layout, "constant": i.constant} for i in program.inputs]
        message: dict[str, Any] = {"do": "ask", "mode": mode, "way": way, "takes": takes, "inputs": inputs}
        if once:
            message["once"] = True
        if self.spoken:
            words = self._source(program, mode, way)
            message["source"] = {"text": words.text, "ops": words.ops}
        else:
            message["steps"] = [{"op": s.op, "args": s.args, "params": dict(s.params)} for s in program.steps]
        arrays = [i.data for i in program.inputs]
        if "cotangent" in takes:
            assert cotangent is not None
            arrays.append(cotangent)
        if "tangents" in takes:
            arrays += [v for i, v in zip(program.inputs, tangents, strict=True) if not i.constant and v is not None]
        first = self._answer(message, arrays)
        if not self.hello.get("foreign"):
            return first
        due = {"vjp": 1 + len(inputs), "jvp": 2, "hvp": len(inputs)}[mode]
        if len(first.arrays) != due:
            raise MalformedAnswer(f"its answer has {len(first.arrays)} places where {due} are due")
        if mode == "hvp":
            return first
        if first.arrays[0] is None:  # a value; where a derivative is missing it may be nothing but zeros
            first.arrays[0] = NotAnArray("null")
        return first if mode == "jvp" else _compared(first, self._answer(message, arrays))

    def _source(self, program: Program, mode: str, way: str) -> Source:
        language = self.backend.language
        return source(program, template_of(language, mode, way), language, self.function_of)

    def _answer(self, message: dict[str, Any], arrays: Sequence[np.ndarray]) -> Observation:
        reply, sent = self.ask(message, arrays)
        if "answer" not in reply:
            raise _problem(reply, self.limits)
        if noise := str(reply.get("noise", "")).strip():
            shown = noise.splitlines()[0][:60]
            raise Lost(f"it wrote {shown!r} to the standard output, which is for answers (--in-process leaves it to you)")
        try:
            return _observation(reply, sent, bool(self.hello.get("foreign")))
        except (LookupError, TypeError, ValueError, AttributeError) as problem:
            self.process.close()
            raise Lost(f"garbage on the channel: its answer {str(reply['answer'])[:60]} cannot be read") from problem

    def ask(self, message: dict[str, Any], arrays: Sequence[np.ndarray] = ()) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Send one message; the process is started first where it was lost."""
        self._asked += 1
        if self._asked % TIDY_EVERY == 0:
            self.process.forget_errors()
        if not self.process.alive:
            try:
                self._hello()
            except HelloError as problem:
                raise Lost(f"it could not be started again: {problem}") from problem
            if self._cache is not None:
                self.process.ask({"do": "cache", "folder": self._cache}, seconds=START_TIMEOUT)
        return self.process.ask(message, arrays)

    def use_cache(self, folder: Path) -> None:
        """Tell the library where it may keep what it compiles."""
        if not self.hello.get("foreign"):
            self._cache = str(folder)
            self.ask({"do": "cache", "folder": self._cache})

    # -- its functions, where somebody calls them ---------------------------------------------------------------------------

    def _vjp(self, program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
        value, *gradients = self.observe("vjp", "", program, cotangent, ()).arrays
        return Answer(value, gradients)

    def _jvp(
        self, program: Program, inputs: Sequence[Any], tangents: Sequence[np.ndarray | None]
    ) -> tuple[np.ndarray, np.ndarray]:
        value, tangent = self.observe("jvp", "", program, None, tangents).arrays
        return value, tangent

    def _hvp(
        self, way: str, program: Program, inputs: Sequence[Any], cotangent: np.ndarray, tangents: Sequence[np.ndarray | None]
    ) -> list[np.ndarray | None]:
        return self.observe("hvp", way, program, cotangent, tangents).arrays


def check_foreign(hello: Mapping[str, Any]) -> None:
    """Raise `TypeError` where a process of another language does not say what README.md asks for: a sentence of an "it"."""

    def texts(value: Any) -> bool:
        return isinstance(value, list) and all(isinstance(text, str) and text.isprintable() for text in value)

    def named(kind: str, names: Any, known: Collection[str]) -> None:
        if not texts(names):
            raise TypeError(f"its {kind} must be a list of names, not {str(names)[:60]!r}")
        if unknown := [name for name in names if name not in known]:
            raise TypeError(f"its {kind} have {unknown[0]!r}, which is none of those that it was told")

    check_fields({"dtypes": None, **{name: value for name, value in hello.items() if name != "versions"}}, FLOATS)
    versions = hello.get("versions")
    if not (isinstance(versions, dict) and versions and texts([*versions, *versions.values()])):
        raise TypeError(f"its versions must be an object of package to version, not {versions!r}")
    named("ops", hello.get("ops"), OPS)
    modes = hello.get("modes", {"vjp": [""]})
    if not (isinstance(modes, dict) and all(map(texts, modes.values()))):
        raise TypeError(f"its modes must be an object of mode to list of ways, not {modes!r}")
    named("modes", list(modes), MODES)
    if not modes.get("vjp"):
        raise TypeError("its modes lack 'vjp', which every implementation is asked in")


def _language(described: Mapping[str, Any]) -> Language:
    """A language as a process described it."""
    made: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in described.items()}
    made["refusals"] = tuple(map(tuple, made.get("refusals", ())))
    language = Language(**made)
    texts = {f.name: f.type for f in fields(Language)}
    for name, kind in texts.items():
        if kind == "str" and not isinstance(getattr(language, name), str):
            raise LanguageError(f"its language's {name} must be text, not {getattr(language, name)!r}")
    return language


def _problem(reply: Mapping[str, Any], limits: Limits) -> Exception:
    """The exception that a reply amounts to."""
    if "unsupported" in reply:
        return Unsupported(str(reply["unsupported"]))
    if "malformed" in reply:
        return MalformedAnswer(str(reply["malformed"]))
    if "raised" in reply:
        text = str(reply["raised"])
        limit = f" (its memory limit is {limits.memory_words}, --memory)" if text.startswith("MemoryError") else ""
        return Raised(f"{text}{limit}")
    return Lost(f"garbage on the channel: a reply with {', '.join(map(repr, reply)) or 'nothing'} in it is none to a question")


def _observation(reply: Mapping[str, Any], sent: Sequence[np.ndarray], foreign: bool) -> Observation:
    def array(place: Any) -> Any:
        if isinstance(place, Mapping):
            return NotAnArray(str(place["kind"]))
        if place is None:
            return None
        if type(place) is not int or place < 0:
            raise ValueError(f"{place!r} is no number of an array")
        return sent[place]

    if not isinstance(reply["answer"], list):
        raise TypeError("it is no list")
    seen = {} if foreign else dict(reply.get("observed", {}))
    if "shared" in seen:
        seen["shared"] = [(int(n), str(kind), int(m)) for n, kind, m in seen["shared"]]
    return Observation([array(place) for place in reply["answer"]], **seen)


def _compared(first: Observation, second: Observation) -> Observation:
    """The first of two answers to one question, and whether the second is the same."""
    return Observation(first.arrays, unsteady=not all_same(first.arrays, second.arrays))


# -- tensors -------------------------------------------------------------------------------------------------------------------


class Worlds:
    """A library's tensors, in its own process; see `adjudge.oracle.lockstep.Tensors`.

    Parameters
    ----------
    isolated : Isolated
    module : str
        The module that has them, as scripts import it.
    """

    def __init__(self, isolated: Isolated, module: str) -> None:
        self.isolated, self.module = isolated, module
        self.promotes_alike = isolated.promotes_alike
        #: There is one world at a time in the process: a new one makes the older ones useless.
        self.newest = 0

    def new_world(self) -> RemoteWorld:
        """A world without names."""
        self.newest += 1
        return RemoteWorld(self, self.newest)


class RemoteWorld:
    """A world in another process, see `adjudge.oracle.accused.worlds.World`."""

    def __init__(self, worlds: Worlds, number: int) -> None:
        self.worlds, self.number = worlds, number
        self.seen: dict[str, dict[str, Any]] = {}
        self._began = False

    def run(self, line: str) -> str | None:
        """Run a line; the exception that it raised, or how the process ended, in words."""
        if self.number != self.worlds.newest:
            raise RuntimeError("a script cannot go on after another one has begun")
        try:
            if not self._began:
                self.worlds.isolated.ask({"do": "begin"})
                self._began = True
            reply, _ = self.worlds.isolated.ask({"do": "line", "line": line, "aspects": ASPECTS[1:]})
        except Lost as problem:
            return f"Lost: {problem}"
        if "visible" not in reply:
            return str(reply.get("raised", "garbage on the channel"))
        self.seen = reply["visible"]
        refused: str | None = reply["refused"]
        return refused

    def visible(self, aspect: str) -> dict[str, Any]:
        """Everything visible of an aspect after the last line."""
        seen = self.seen.get(aspect, {})
        return {name: tuple(x) if aspect in ("shape", "grad") else x for name, x in seen.items()}

    def forget(self, name: str) -> None:
        """Unbind a name, if it is bound."""
        if name in self.seen.get("kind", {}):
            self.worlds.isolated.ask({"do": "forget", "name": name})
