"""The process of an implementation under test: reads questions from its standard input, and answers them there and then.

``python child.py CONFIG``, where CONFIG is JSON: "judge", the process that asks; "accused", the folder of
`adjudge.oracle.accused`; "memory", a limit in bytes or null; and either "spec" (a user's own backend, see `finding`) or
"language" (texts, names of packages and of the module that has tensors), for one that ships with adjudge, or "command", for a
process in another language: this one then becomes that one, within the same limits. README.md beside this file describes the
messages. Needs CPython 3.8, NumPy and the library; what the library prints is no answer.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
#: The names under which the modules beside this file, and those of `adjudge.oracle.accused`, are imported.
OWN, ACCUSED = "_adjudge_protocol", "_adjudge_accused"
#: The most characters of an exception's text, and of noise, that are passed on.
MOST_TEXT = 2000
NOISE = 200


def package(name: str, folder: Path) -> None:
    """Let a folder be imported under another name."""
    module = sys.modules[name] = ModuleType(name)
    module.__path__ = [str(folder)]


# -- the process ---------------------------------------------------------------------------------------------------------------


def limit(memory: int | None) -> None:
    """Limit the memory of this process, where the system can."""
    try:
        import resource
    except ImportError:
        return
    if memory is not None:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        most = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def die_with_the_judge(judge: int) -> None:
    """End this process, whatever it is doing, when the one that started it has ended."""
    if platform.system() == "Linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != judge:
            os._exit(1)
        return
    import threading
    import time

    def watch() -> None:
        while os.getppid() == judge:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Channel:
    """Standard input and output, kept for the judge: what anybody else writes to the output is noise, and is noticed."""

    def __init__(self) -> None:
        import tempfile

        self.questions = os.fdopen(os.dup(0), "rb")
        self.answers = os.fdopen(os.dup(1), "wb")
        self.noise = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process lives)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(self.noise.fileno(), 1)
        sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", 0, closefd=False), "utf-8", "replace", write_through=True)

    def heard(self) -> str:
        """What has been written to the standard output since this was called last."""
        if not os.fstat(1).st_size:
            return ""
        text = os.pread(1, NOISE, 0).decode("utf-8", "replace")
        os.ftruncate(1, 0)
        os.lseek(1, 0, os.SEEK_SET)
        sys.stderr.write(text)
        return text


# -- who answers ---------------------------------------------------------------------------------------------------------------


class Spoken:
    """A library that is asked in its own words: the text of each question comes with it."""

    def __init__(self, language: Mapping[str, Any]) -> None:
        self.language = language
        texts = [language[part] for part in ("imports", "session", "helpers")]
        refusals = [tuple(refusal) for refusal in language["refusals"]]
        self.library = importlib.import_module(f"{OWN}.library").Library(*texts, refusals)
        self.library.start()

    def versions(self) -> dict[str, str]:
        """Those of its packages."""
        versions: dict[str, str] = importlib.import_module(f"{OWN}.library").versions_of(self.language["distributions"])
        return versions

    def function(self, message: Mapping[str, Any], data: Sequence[Any]) -> Callable[..., Any]:
        """What answers: a function of inputs, cotangent and tangents."""
        mode, source = message["mode"], message["source"]
        ops = {int(line): op for line, op in source["ops"].items()}
        constant = [i["constant"] for i in message["inputs"]]

        def ask(inputs: Sequence[Any], cotangent: Any, tangents: Sequence[Any]) -> Any:
            seed = [] if cotangent is None else [cotangent]
            along = [v for v in tangents if v is not None]
            answer = self.library.call(source["text"], mode, [*inputs, *seed, *along], ops, mode == "hvp")
            if mode == "vjp":
                return Spread(answer[0], spread(answer[1], constant))
            return spread(answer, constant) if mode == "hvp" else answer

        return ask


class Spread:
    """An answer in reverse mode."""

    def __init__(self, value: Any, gradients: list[Any]) -> None:
        self.value, self.gradients = value, gradients


def spread(arrays: Any, constant: Sequence[bool]) -> list[Any]:
    """One array per input out of one per variable."""
    left = list(arrays)
    if len(left) != constant.count(False):
        raise malformed(f"{len(left)} arrays for {constant.count(False)} variables: the shape of the answer is wrong")
    return [None if fixed else left.pop(0) for fixed in constant]


def malformed(reason: str) -> Exception:
    """The exception of an answer that has not the form that is due."""
    made: Exception = importlib.import_module(f"{ACCUSED}.observe").MalformedAnswer(reason)
    return made


class Adapter:
    """A user's own functions."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields

    def versions(self) -> Any:
        """What its own function says."""
        return self.fields["versions"]()

    def function(self, message: Mapping[str, Any], data: Sequence[Any]) -> Callable[..., Any]:
        """What answers: a function of inputs, cotangent and tangents."""
        program = standing().program_of(list(zip(data, message["inputs"])), message["steps"])
        fields, mode, way = self.fields, message["mode"], message["way"]
        return {
            "vjp": lambda xs, seed, along: fields["vjp"](program, xs, seed),
            "jvp": lambda xs, seed, along: fields["jvp"](program, xs, along),
            "hvp": lambda xs, seed, along: fields["hvp"][way](program, xs, seed, along),
        }[mode]


def standing() -> Any:
    """The module of stand-ins."""
    return importlib.import_module(f"{OWN}.standing")


class Accused:
    """The implementation, and the requests that this process answers."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.observe = importlib.import_module(f"{ACCUSED}.observe")
        self.adapter = importlib.import_module(f"{ACCUSED}.adapter")
        self.finding = importlib.import_module(f"{OWN}.finding")
        self.fields: dict[str, Any] = {}
        self.voice: Any = None
        self.tensors: Any = None
        self.world: Any = None

    # -- hello ----------------------------------------------------------------------------------------------------------

    def hello(self, message: Mapping[str, Any], arrays: Sequence[Any]) -> dict[str, Any]:
        """What the implementation is, and what it has."""
        with suppress(ImportError):
            import ml_dtypes  # noqa: F401 (its dtypes have names after that)
        language, spec = self.config.get("language"), self.config.get("spec")
        described: dict[str, Any] = {}
        if spec is not None:
            found = self.found(spec)
            if hasattr(found, "command"):
                return {"command": listed(found.command), "name": getattr(found, "name", ""), "folder": folder_of(found)}
            self.fields = self.finding.part("it", lambda: self.adapter.fields_of(found, message["fields"], message["floats"]))
            plain = ("name", "dtypes", "numpy_dtypes", "unit_roundoff", "flushes_subnormals", "distributions")
            described = {name: listed(self.fields[name]) for name in plain if name in self.fields}
            described["file"] = str(getattr(found, "__file__", "") or "")
            if hasattr(self.fields.get("language"), "spelling"):
                described["language"] = language_of(self.fields["language"], message["language"])
            if self.adapter.is_spoken(found):
                language = {**described["language"], "distributions": described["distributions"]}
            described["tensors"] = name_of(self.fields.get("tensors"))
        if language is not None:
            self.voice = Spoken(language)
            described["rooms"] = {op: self.voice.library.room_of(op, language["rooms"]) for op in message["ops"]}
            self.tensors = language.get("tensors") or described.get("tensors")
        else:
            self.voice = Adapter(self.fields)
            hvp = self.fields.get("hvp") or {}
            described["modes"] = {"vjp": [""], "jvp": [""] if self.fields.get("jvp") else [], "hvp": list(hvp)}
            supports = self.fields.get("supports", lambda op: True)
            described["ops"] = self.finding.part("its supports()", lambda: self.adapter.supported(supports, message["ops"]))
            self.tensors = self.fields.get("tensors")
        versions = self.finding.part("its versions()", lambda: self.adapter.check_versions(self.voice.versions()))
        library = getattr(sys.modules.get(next(iter(versions)).replace("-", "_")), "__file__", None) or ""
        numpy = importlib.import_module("numpy").__version__
        python = {
            "library": library,
            "numpy": numpy,
            "python": platform.python_version(),
            "bfloat16": "ml_dtypes" in sys.modules,
        }
        return {**described, **python, "versions": dict(versions)}

    def found(self, spec: str) -> Any:
        """The user's own module or object; where adjudge is not installed, with stand-ins for it."""
        if importlib.util.find_spec("adjudge") is None:
            standing().install(self.adapter)
        return self.finding.find(spec)

    # -- questions ------------------------------------------------------------------------------------------------------

    def ask(self, message: Mapping[str, Any], arrays: Sequence[Any]) -> tuple[dict[str, Any], list[Any]]:
        """The answer to one question, and what was seen while it was given."""
        mode, inputs = message["mode"], message["inputs"]
        data, rest = arrays[: len(inputs)], list(arrays[len(inputs) :])
        cotangent = rest.pop(0) if "cotangent" in message["takes"] else None
        along = [None if i["constant"] else rest.pop(0) for i in inputs] if "tangents" in message["takes"] else []
        given = [self.observe.Given(x, i["kind"], i["layout"]) for x, i in zip(data, inputs)]
        seen = self.observe.observe(
            mode, self.voice.function(message, data), given, cotangent, along, message.get("once", False)
        )
        sent: list[Any] = []
        places: list[Any] = []
        for x in seen.arrays:
            if x is None or isinstance(x, self.observe.NotAnArray):
                places.append(None if x is None else {"kind": x.kind})
            else:
                places.append(len(sent))
                sent.append(x)
        observed = {name: value for name, value in vars(seen).items() if name != "arrays" and value}
        return {"answer": places, "observed": observed}, sent

    # -- tensors --------------------------------------------------------------------------------------------------------

    def begin(self, message: Mapping[str, Any], arrays: Sequence[Any]) -> dict[str, Any]:
        """A world without names, for a script."""
        module = importlib.import_module(self.tensors) if isinstance(self.tensors, str) else self.tensors
        self.world = importlib.import_module(f"{ACCUSED}.worlds").World(module)
        return {}

    def line(self, message: Mapping[str, Any], arrays: Sequence[Any]) -> dict[str, Any]:
        """Run one line of the script; what it raised, and everything that is visible then."""
        refused = self.world.run(message["line"])
        return {"refused": refused, "visible": {aspect: self.world.visible(aspect) for aspect in message["aspects"]}}

    def forget(self, message: Mapping[str, Any], arrays: Sequence[Any]) -> dict[str, Any]:
        """Unbind a name."""
        self.world.forget(message["name"])
        return {}

    # -- caches ---------------------------------------------------------------------------------------------------------

    def cache(self, message: Mapping[str, Any], arrays: Sequence[Any]) -> dict[str, Any]:
        """Tell the library where it may keep what it compiles."""
        folder = Path(message["folder"])
        if isinstance(self.voice, Spoken):
            self.voice.library.use_cache(folder)
        elif "use_cache" in self.fields:
            self.fields["use_cache"](folder)
        return {}


def listed(value: Any) -> Any:
    """A field as JSON has it."""
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, (tuple, list)) else value


def language_of(language: Any, names: Sequence[str]) -> dict[str, Any]:
    """The fields that a language has."""
    return {name: listed(getattr(language, name)) for name in names if hasattr(language, name)}


def name_of(tensors: Any) -> str:
    """The module that has a backend's tensors, as scripts import it."""
    return tensors if isinstance(tensors, str) else str(getattr(tensors, "__name__", "") or "")


def folder_of(found: Any) -> str:
    """The folder of a module's file."""
    return str(Path(found.__file__).resolve().parent) if getattr(found, "__file__", None) else os.getcwd()


def refusal(problem: BaseException, accused: Accused, do: str) -> dict[str, Any]:
    """The reply for an exception."""
    text = str(problem)[:MOST_TEXT]
    if do == "hello":
        finding = accused.finding
        if isinstance(problem, ModuleNotFoundError) and accused.config.get("spec") is None:
            return {"missing": problem.name or text}
        kinds = {finding.Unknown: "unknown", finding.Unimportable: "unimportable", finding.NoBackend: "refused"}
        return {kinds[type(problem)]: text} if type(problem) in kinds else {"unimportable": finding.sentence(problem)}
    if isinstance(problem, accused.observe.MalformedAnswer):
        return {"malformed": text}
    refused = isinstance(problem, NotImplementedError) and isinstance(accused.voice, Spoken)
    if refused or accused.adapter.is_unsupported(problem):
        return {"unsupported": text}
    return {"raised": f"{type(problem).__name__}: {text}"}


def become(config: Mapping[str, Any]) -> None:
    """Turn this process into that of a command, which ends with the judge as well, and has its memory limit."""
    command = config["command"]
    die_with_the_judge(config["judge"])
    limit(config.get("memory"))
    try:
        os.execvp(command[0], command)
    except OSError as problem:
        sys.exit(f"{command[0]}: {problem.strerror}")


def main() -> None:
    """Answer requests until the input ends."""
    config = json.loads(sys.argv[1])
    if "command" in config:
        become(config)
    channel = Channel()
    if sys.path and Path(sys.path[0] or ".").resolve() == HERE:
        del sys.path[0]
    die_with_the_judge(config["judge"])
    limit(config.get("memory"))
    package(OWN, HERE)
    package(ACCUSED, Path(config["accused"]))
    try:
        frames = importlib.import_module(f"{OWN}.frames")
    except ModuleNotFoundError as missing:  # without NumPy there are no arrays, but there is a reply
        reply = {"missing": missing.name, "id": json.loads(channel.questions.readline())["id"]}
        channel.answers.write(json.dumps(reply).encode() + b"\n")
        channel.answers.flush()
        return
    accused, own = Accused(config), os.getpid()
    while True:
        line = channel.questions.readline()
        if not line:
            os._exit(0)  # nothing that the library left behind may hold the process up
        message, arrays = frames.read(line[:-1], channel.questions.read)
        try:
            reply = getattr(accused, message["do"])(message, arrays)
            answer, sent = reply if isinstance(reply, tuple) else (reply, [])
        except BaseException as problem:  # SystemExit and KeyboardInterrupt as well: nobody else may end this process
            answer, sent = refusal(problem, accused, message["do"]), []
            problem.__traceback__ = None
        if os.getpid() != own:
            os._exit(0)  # a copy that the library made of this process
        if noise := channel.heard():
            answer["noise"] = noise
        channel.answers.write(frames.packed({**answer, "id": message["id"]}, sent))
        channel.answers.flush()


if __name__ == "__main__":
    main()
