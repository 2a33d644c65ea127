"""Programs in a library's own words: a `Language`'s templates filled in, and the backend that answers by running the result."""

from __future__ import annotations

import ast
import string
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from typing import Any

import numpy as np

from ..oracle.program import Program, Step, as_tuple, decode_index, letter
from ..oracle.protocol import GIVEN, Answer, Backend, Language, Unsupported
from .protocol.library import Library, versions_of

__all__ = [
    "Language", "LanguageError", "Source", "array_words", "definitions", "sequence", "source", "spoken",
    "template_of",
]  # fmt: skip

#: The width of a line of numbers.
WIDTH = 100


class LanguageError(ValueError):
    """A language's templates cannot be filled in; the message is one sentence."""


@dataclass(frozen=True)
class Source:
    """A function as source text, and the op that each line computes."""

    text: str
    ops: Mapping[int, str]


# -- a backend that is a language ----------------------------------------------------------------------------------------------


def spoken(given: Any) -> Backend:
    """A backend of data alone: its answers are those of its own language, compiled.

    Parameters
    ----------
    given : module or object
        Has ``name``, ``language`` (a `Language`) and ``distributions``: names of the packages whose versions are reported, the
        library's first. May have ``tensors``, the name of the module that is `Backend.tensors`, and any of the other fields of
        `Backend` that are not functions.

    Raises
    ------
    ModuleNotFoundError
        If the library is not installed; other exceptions of its import are passed on.
    """
    language: Language = given.language
    speaker = Speaker(language)
    speaker.library.start()
    own = {name: getattr(given, name) for name in GIVEN if hasattr(given, name)}
    if "tensors" in own:
        own["tensors"] = import_module(own["tensors"])
    return Backend(**{
        **own,
        "versions": partial(versions_of, tuple(given.distributions)),
        "supports": speaker.supports,
        "vjp": speaker.vjp,
        "jvp": speaker.jvp if language.jvp else None,
        "hvp": {way: partial(speaker.hvp, way) for way in language.hvp},
        "use_cache": speaker.library.use_cache,
        "function_of": speaker.function_of,
        "file": str(getattr(given, "__file__", "") or ""),
    })  # fmt: skip


class Speaker:
    """Asks a library in its own words."""

    def __init__(self, language: Language) -> None:
        self.language = language
        imports, session, helpers = map(textwrap.dedent, (language.imports, language.session, language.helpers))
        self.library = Library(imports, session, helpers, language.refusals)

    @cache  # noqa: B019 (lives as long as the process)
    def function_of(self, op: str) -> str:
        """The library's own name for the function of an op; "" where it has none."""
        room = self.library.room_of(op, self.language.rooms)
        return f"{room}.{op}" if room else ""

    def supports(self, op: str) -> bool:
        """Whether the library has an op of this name, or it can be written with those it has."""
        words = self.language.spelling.get(op, self.language.step)
        return op not in self.language.lacking and ("{function}" not in words or bool(self.function_of(op)))

    def ask(self, program: Program, mode: str, way: str, arguments: Sequence[Any]) -> Any:
        """Call the function of a mode."""
        words = source(program, template_of(self.language, mode, way), self.language, self.function_of)
        try:
            return self.library.call(words.text, mode, arguments, words.ops, anywhere=mode == "hvp")
        except NotImplementedError as lacking:
            raise Unsupported(str(lacking)) from lacking

    def vjp(self, program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
        """Value and gradients."""
        value, gradients = self.ask(program, "vjp", "", [*inputs, cotangent])
        return Answer(value, _per_input(program, gradients))

    def jvp(
        self, program: Program, inputs: Sequence[Any], tangents: Sequence[np.ndarray | None]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Value and tangent."""
        value, tangent = self.ask(program, "jvp", "", [*inputs, *(tangents[n] for n in program.variables)])
        return value, tangent

    def hvp(
        self, way: str, program: Program, inputs: Sequence[Any], cotangent: np.ndarray, tangents: Sequence[np.ndarray | None]
    ) -> list[np.ndarray | None]:
        """The derivative of each input's gradient along the tangents, computed in one of the language's ways."""
        arguments = [*inputs, cotangent, *(tangents[n] for n in program.variables)]
        return _per_input(program, self.ask(program, "hvp", way, arguments))


def _per_input(program: Program, arrays: Sequence[np.ndarray | None]) -> list[np.ndarray | None]:
    """One array per input out of one per variable."""
    out: list[np.ndarray | None] = [None] * len(program.inputs)
    for number, array in zip(program.variables, arrays, strict=True):
        out[number] = array
    return out


# -- a program as a function ---------------------------------------------------------------------------------------------------


@cache
def template_of(language: Language, mode: str, way: str = "") -> str:
    """The template of a mode: "vjp", "jvp", "hvp" (in one of its ways, by default the first) or "passes"; "" if none."""
    text = language.hvp.get(way) or next(iter(language.hvp.values()), "") if mode == "hvp" else getattr(language, mode)
    lines = []
    for indent, line in _lines(text):
        part = language.parts.get(line[1:-1]) if line.startswith("{") else None
        lines += [indent + line] if part is None else [indent + more + words for more, words in _lines(part)]
    return "\n".join(lines)


def source(program: Program, template: str, language: Language, function_of: Callable[[str], str] | None = None) -> Source:
    """A program as source text; a step that the library does not have raises `NotImplementedError`.

    Parameters
    ----------
    program : Program
        Its inputs' data are left out: the function takes them.
    template : str
        See `template_of`.
    language : Language
    function_of : callable, optional
        Gives the library's own name for the function of an op; by default that is looked up in this process.

    Raises
    ------
    LanguageError
        If a template has a slot that cannot be filled.
    """
    try:
        return _function(program, template, language, function_of or Speaker(language).function_of)
    except (LookupError, ValueError) as problem:
        raise LanguageError(f"the language of {language.title} cannot be filled in: {problem!r}") from problem


def _function(program: Program, template: str, language: Language, function_of: Callable[[str], str]) -> Source:
    inputs, variables = [letter(n) for n in range(len(program.inputs))], [letter(n) for n in program.variables]
    tangents = [f"along_{x}" for x in variables]
    slots = {
        "inputs": ", ".join(inputs), "out": letter(len(inputs) + len(program.steps) - 1),
        "variables": ", ".join(variables), "variable_tuple": sequence(variables),
        "tangents": ", ".join(tangents), "tangent_tuple": sequence(tangents),
    }  # fmt: skip
    lines: list[str] = []
    ops: dict[int, str] = {}
    for indent, line in _lines(template):
        if line == "{leaves}":
            lines += [indent + leaf for leaf in _leaves(program, language)]
        elif line == "{steps}":
            for number, step in enumerate(program.steps):
                written = _step(program, number, language, function_of).split("\n")
                ops |= dict.fromkeys(range(len(lines) + 1, len(lines) + 1 + len(written)), step.op)
                lines += [indent + part for part in written]
        elif "{x}" in line:
            lines += [indent + _filled(line, slots | {"x": x}) for x in variables]
        else:
            lines.append(indent + _filled(line, slots))
    return Source("\n".join(lines) + "\n", ops)


@cache
def _lines(template: str) -> list[tuple[str, str]]:
    """The lines of a template, each with its indentation."""
    lines = textwrap.dedent(template).strip("\n").split("\n")
    return [(line[: len(line) - len(line.lstrip())], line.strip()) for line in lines]


def _filled(template: str, slots: Mapping[str, str]) -> str:
    """A template with its slots filled in; a slot with a default need not be given."""
    out = []
    for literal, slot, default in _parts(template):
        out.append(literal)
        if slot is not None:
            out.append(slots.get(slot, default) if default else slots[slot])
    return "".join(out)


@cache
def _parts(template: str) -> list[tuple[str, str | None, str | None]]:
    return [(literal, slot, default) for literal, slot, default, _ in string.Formatter().parse(template)]


def _leaves(program: Program, language: Language) -> Iterable[str]:
    templates = {"array": language.leaf, "list": language.nested, "number": ""}
    for n, i in enumerate(program.inputs):
        if template := templates[i.kind]:
            yield f"{letter(n)} = " + _filled(template, {"x": letter(n), "constant": str(i.constant)})


class _Parameters(dict[str, str]):
    """Parameters that are not given are None."""

    def __missing__(self, key: str) -> str:
        if key.isdigit():
            raise LookupError(f"there is no operand {{{key}}}")
        return "None"


def _step(program: Program, number: int, language: Language, function_of: Callable[[str], str]) -> str:
    step, y = program.steps[number], len(program.inputs) + number
    template = language.spelling.get(step.op, language.step)
    function = function_of(step.op) if "{function}" in template or "where" in step.params else ""
    masked = "where" in step.params
    if step.op in language.lacking or ("{function}" in template and not function):
        return _refusal(language.unsupported.format(title=language.title, op=step.op))
    if masked and not language.masked:
        return _refusal(f"{language.title} has no differentiable out= with where=")
    params = {key: _parameter(key, value) for key, value in step.params.items()}
    names = _operands(program, step, language, params)
    xs = names[:-1] if masked else names
    given = [f"{key}={value}" for key, value in params.items()]
    slots = _Parameters(params)
    slots.update({str(n): name for n, name in enumerate(names)})
    slots.update(
        y=letter(y), op=step.op, function=function, constant=str(program.constants[y]), under=names[-1] if names else "",
        xs=", ".join(xs), args=", ".join([*xs, *given]), params="".join(f", {g}" for g in given),
    )  # fmt: skip
    template = language.masked if masked else template
    return _filled(template if "{y}" in template else "{y} = " + template, slots)


def _refusal(sentence: str) -> str:
    """The statement in place of a step that a library does not have."""
    return f'raise NotImplementedError("{sentence}")'


def _operands(program: Program, step: Step, language: Language, params: dict[str, str]) -> list[str]:
    """The operands' names, or the expressions that functions take for them; a dtype that they do not take is removed."""
    names = [letter(a) for a in step.args]
    numbers = [a < len(program.inputs) and program.inputs[a].kind == "number" for a in step.args]
    dtype = params.pop("dtype", "None") if language.cast else "None"
    if language.number and any(numbers) and (dtype != "None" or all(numbers) or step.op not in language.takes_numbers):
        others = [x for x, number in zip(names, numbers, strict=True) if not number]
        beside = {"beside": others[0]} if others else {}
        filled = [_filled(language.number, {"x": x, **beside}) for x in names]
        names = [made if number else x for x, made, number in zip(names, filled, numbers, strict=True)]
    return names if dtype == "None" else [_filled(language.cast, {"x": x, "dtype": dtype}) for x in names]


def _parameter(key: str, value: Any) -> str:
    if key == "index":
        return ", ".join(map(_place, decode_index(value))) or "()"
    if key == "where" and not isinstance(value, bool):
        return array_words(np.asarray(value))
    return repr(as_tuple(value))


def _place(part: Any) -> str:
    """One part of an index, as it stands between brackets."""
    if isinstance(part, slice):
        ends = ["" if end is None else str(end) for end in (part.start, part.stop)]
        return ":".join(ends if part.step is None else [*ends, str(part.step)])
    if isinstance(part, np.ndarray):
        return array_words(part)
    return "..." if part is Ellipsis else repr(part)


# -- text ----------------------------------------------------------------------------------------------------------------------


def definitions(text: str, language: Language) -> tuple[str, str]:
    """The definitions that a text needs before it: imports, the helpers that it uses, and those that they use."""
    imports: list[str] = []
    functions: list[str] = []
    wanted = _names(ast.parse(text))
    statements = _statements(language.helpers)
    needed: set[int] = set()
    while more := [n for n, (made, *_) in enumerate(statements) if n not in needed and made & wanted]:
        needed.update(more)
        wanted = wanted.union(*(statements[n][1] for n in more))
    for n in sorted(needed):
        _, _, is_import, words = statements[n]
        (imports if is_import else functions).append(words)
    special = ["import ml_dtypes"] if "bfloat16" in text else []
    return "\n".join([*special, *imports, textwrap.dedent(language.imports).strip()]), "\n\n\n".join(functions)


@cache
def _statements(helpers: str) -> list[tuple[frozenset[str], frozenset[str], bool, str]]:
    """For each statement the names that it defines, those that it uses, whether it is an import, and its text."""
    out = []
    helpers = textwrap.dedent(helpers)
    for statement in ast.parse(helpers).body:
        words = ast.get_source_segment(helpers, statement) or ""
        is_import = isinstance(statement, (ast.Import, ast.ImportFrom))
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            made = frozenset(alias.asname or alias.name for alias in statement.names)
        elif isinstance(statement, ast.FunctionDef):
            made = frozenset([statement.name])
        else:
            made = frozenset(node.id for node in ast.walk(statement) if isinstance(node, ast.Name))
        out.append((made, _names(statement), is_import, words))
    return out


def _names(tree: ast.AST) -> frozenset[str]:
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def sequence(words: Sequence[str]) -> str:
    """Source of a tuple."""
    return f"({', '.join(words)}{',' if len(words) == 1 else ''})"


def array_words(x: np.ndarray) -> str:
    """Source of an array, every digit kept, short decimals short.

    Examples
    --------
    >>> print(array_words(np.array([0.1, np.inf], dtype=np.float32)))
    np.array([0.1, np.inf], dtype="float32")
    """
    inferred = x.dtype == np.float64 or (x.size and x.dtype in (np.int64, np.bool_))
    dtype = "" if inferred else f', dtype="{x.dtype}"'
    if x.size == 0:
        return f"np.zeros({x.shape!r}{dtype})"
    text = "\n".join(textwrap.wrap(_nested(x), WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False))
    return f"np.array({text}{dtype})"


def _nested(x: Any) -> str:
    if np.ndim(x):
        return "[" + ", ".join(map(_nested, x)) + "]"
    return {"nan": "np.nan", "inf": "np.inf", "-inf": "-np.inf"}.get(str(x), str(x))
