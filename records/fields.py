"""What the models of this room share: numbers, arrays and questions as JSON has them, and one sentence on what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast, get_args, get_origin

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    JsonValue,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from ..oracle.judge import VERDICTS
from ..oracle.modes import MODES
from ..oracle.program import Question, array_from_json, array_to_json
from .text import visible

__all__ = [
    "ArrayField", "FrozenModel", "LedgerState", "ModeName", "NestedReal", "QuestionField", "Real", "Stance", "Verdict",
    "describe", "nearest", "shortly", "to_json",
]  # fmt: skip


def _with_visible_text(schema: Any) -> Any:
    """A core schema in which what takes text makes it visible first."""
    if isinstance(schema, list):
        return [_with_visible_text(part) for part in schema]
    if isinstance(schema, tuple):
        return tuple(map(_with_visible_text, schema))
    if not isinstance(schema, dict) or schema.get("function") == VISIBLE:
        return schema
    if schema.get("type") == "str":
        return core_schema.no_info_before_validator_function(_visible, cast(CoreSchema, schema))
    return {k: v if k in ("metadata", "serialization", "default") else _with_visible_text(v) for k, v in schema.items()}


def _visible(value: Any) -> Any:
    return visible(value) if isinstance(value, str) else value


#: What `_with_visible_text` has put into the schema of a model within a model.
VISIBLE = {"type": "no-info", "function": _visible}


class FrozenModel(BaseModel):
    """A frozen record that refuses unknown fields and converts nothing: a number is no text, and 1 is not true.

    Its text is visible: what a library or a file says reaches no terminal as a command.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The model's own, in which all text is made visible."""
        schema: CoreSchema = _with_visible_text(handler(cls))  # an annotation may stand for another class
        return schema


# -- numbers and arrays --------------------------------------------------------------------------------------------------------

NON_FINITE = ("nan", "inf", "-inf")


def _read_number(value: Any) -> Any:
    """A number from JSON, which has no name for those that are not finite."""
    return float(value) if isinstance(value, str) and value in NON_FINITE else value


def _write_number(value: float) -> float | str:
    return value if math.isfinite(value) else str(float(value))


#: A float; in JSON a number, or one of `NON_FINITE`.
Real = Annotated[
    float,
    BeforeValidator(_read_number),
    PlainSerializer(_write_number, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"enum": list(NON_FINITE)}]}),
]


def to_json(value: Any) -> Any:
    """A value as JSON has it: non-finite numbers as strings, NumPy's numbers as Python's, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return _write_number(value) if isinstance(value, float) else value


def _read_nested(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(map(_read_nested, value))
    number = _read_number(value)
    if not isinstance(number, (int, float)):
        raise ValueError(f"{shortly(value)} stands where a number is due")
    return number


#: Numbers in nested tuples; in JSON lists, whose elements are as `Real` has them.
NestedReal = Annotated[Any, BeforeValidator(_read_nested), PlainSerializer(to_json, when_used="json"), WithJsonSchema({})]

LedgerState = Literal["still fails", "no longer fails", "fails otherwise", "not judged"]

# To a type checker a choice is text: the oracle's own types say no more.
if TYPE_CHECKING:
    Verdict: TypeAlias = str
    Stance: TypeAlias = str
    ModeName: TypeAlias = str
else:
    Verdict, Stance = Literal[tuple(VERDICTS)], Literal["agrees", "disagrees", "abstains"]
    ModeName = Literal[tuple(MODES)]


class ArrayTree(FrozenModel):
    """An array in JSON: its elements in C order."""

    dtype: str
    shape: list[int]
    data: list[int | Real | bool]


class InputTree(ArrayTree):
    """An input of a program in JSON."""

    constant: bool = False
    kind: str = "array"
    layout: str = "C"


class StepTree(FrozenModel):
    """A step of a program in JSON."""

    op: str
    args: list[int]
    params: dict[str, JsonValue] = {}


class ProgramTree(FrozenModel):
    """A program in JSON."""

    inputs: list[InputTree]
    steps: list[StepTree]


class QuestionTree(FrozenModel):
    """A question in JSON."""

    program: ProgramTree
    cotangent: ArrayTree
    directions: list[ArrayTree | None]


class _AsTree:
    """Annotates a class of the oracle that has its own way to JSON and back; `tree` is the model of its JSON."""

    def __init__(self, tree: type[FrozenModel], read: Callable[[Any], Any], write: Callable[[Any], Any]) -> None:
        self.tree, self.read, self.write = tree, read, write

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        """An object of the class as it is, or what its JSON describes."""
        kind = get_origin(source) or source

        def validate(value: Any, inner: Callable[[Any], Any]) -> Any:
            return value if isinstance(value, kind) else self.read(inner(value).model_dump())

        written = core_schema.plain_serializer_function_ser_schema(lambda value: to_json(self.write(value)))
        return core_schema.no_info_wrap_validator_function(validate, handler(self.tree), serialization=written)


ArrayField = Annotated[np.ndarray, _AsTree(ArrayTree, array_from_json, array_to_json)]
QuestionField = Annotated[Question, _AsTree(QuestionTree, Question.from_json, Question.to_json)]


# -- what is wrong -------------------------------------------------------------------------------------------------------------

#: How Pydantic names what it wanted, and how people do.
WORDS = {
    "a valid string": "text", "a valid integer": "a whole number", "a valid number": "a number",
    "a valid boolean": "true or false", "a valid dictionary": "an object", "a valid list": "a list", "a valid tuple": "a list",
    "an object": "an object", "a valid date": "a date",
}  # fmt: skip


def nearest(name: str, choices: Iterable[str]) -> str:
    """A hint: the choice that was probably meant, or all of them."""
    every = list(choices)
    close = get_close_matches(name, every, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(every)}"


def describe(problem: ValidationError, model: Any, noun: str = "field") -> str:
    """The first thing that is wrong with data, as one clause that names the place and the rule.

    Parameters
    ----------
    problem : ValidationError
    model : type
        What should have been read: a model, or a union of models. A field's description may state a rule, as "must be a date".
    noun : str
        What a field is called.

    Examples
    --------
    >>> class Pair(FrozenModel):
    ...     left: int
    ...     right: int
    >>> for data in ({"left": 1}, {"left": 1, "right": "2"}, {"left": 1, "rigth": 2, "right": 2}):
    ...     try:
    ...         Pair.model_validate(data)
    ...     except ValidationError as problem:
    ...         print(describe(problem, Pair))
    it lacks 'right'
    'right' must be a whole number, not '2'
    there is no field 'rigth'; did you mean 'right'?
    """
    errors = problem.errors(include_url=False)
    error = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    kind, loc, context = error["type"], error["loc"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind in ("extra_forbidden", "missing") and isinstance(loc[-1], str):
        path, kinds, _ = _follow(model, loc[:-1])
        fields = dict.fromkeys(name for k in kinds for name in _members(k))
        if kind == "missing":
            return f"{repr(path[-1]) if path else 'it'} lacks {loc[-1]!r}"
        inside = f" in {path[-1]!r}" if path else ""
        return f"there is no {noun} {loc[-1]!r}{inside}; {nearest(loc[-1], fields)}"
    path, kinds, rule = _follow(model, loc)
    place = repr(path[-1]) if path else "it"
    if kind.startswith("union_tag"):
        tag = str(context["discriminator"]).strip("'")
        tags = dict.fromkeys(repr(k.model_fields[tag].default) for k in kinds if tag in k.model_fields)
        return f"{place} needs a {tag!r}, one of {', '.join(tags)}"
    return f"{place} {rule or 'must be ' + _wanted(str(error['msg']))}, not {shortly(error['input'])}"


def _follow(model: Any, loc: Iterable[str | int]) -> tuple[list[str], list[type[BaseModel]], str]:
    """The named fields on the way to a place in data, the models that may stand there, and the rule that its field states."""
    path: list[str] = []
    kinds, rule = _models_in(model, ()), ""
    for part in loc:
        tagged = [kind for kind in kinds if part in _tags(kind)] if len(kinds) > 1 else []
        members = {name: member for kind in kinds for name, member in _members(kind).items()}
        if tagged:
            kinds = tagged
        elif isinstance(part, str) and part in members:
            annotation, metadata, rule = members[part]
            path.append(part)
            kinds = _models_in(annotation, metadata)
    return path, kinds, rule


def _models_in(annotation: Any, metadata: Iterable[Any]) -> list[type[BaseModel]]:
    """The models that an annotation is made of."""
    if trees := [m.tree for m in metadata if isinstance(m, _AsTree)]:
        return list(trees)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    head, *rest = get_args(annotation) or (None,)
    if get_origin(annotation) is Annotated:
        return _models_in(head, rest)
    return [kind for part in (head, *rest) if part is not None for kind in _models_in(part, ())]


def _members(kind: type[BaseModel]) -> dict[str, tuple[Any, tuple[Any, ...], str]]:
    """The fields of a model: annotation, metadata, and the rule that a field's description states, if it does."""
    out = {}
    for name, field in kind.model_fields.items():
        text = field.description or ""
        out[field.alias or name] = field.annotation, tuple(field.metadata), text if text.startswith("must ") else ""
    return out


def _tags(kind: type[BaseModel]) -> list[Any]:
    return [f.default for f in kind.model_fields.values()]


def _wanted(message: str) -> str:
    """What Pydantic wanted, in words: its messages read "Input should be a valid string"."""
    wanted = message.removeprefix("Input should be ")
    return next((words for start, words in WORDS.items() if wanted.startswith(start)), wanted)


def shortly(value: Any) -> str:
    """A value from a file, in a sentence."""
    kinds: dict[type, str] = {dict: "an object", list: "a list", tuple: "a list", type(None): "null", bool: str(value).lower()}
    text = kinds.get(type(value)) or (
        repr(value) if not isinstance(value, int) or abs(value) < 10**60 else "a number that large"
    )
    return text if len(text) <= 60 else text[:57] + "..."
