"""A program is a straight line of op applications over input arrays: plain data, JSON in, JSON out.

Values are numbered: the inputs come first, then one value per step. A step names its operands by those numbers, so a value
that is used twice (fan-out) and an operand that is repeated (``x * x``) need nothing special. The last value is the output.
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from .accused.layouts import KINDS, LAYOUTS, materialise
from .dtypes import NAMES, is_float, is_number, narrowest, simple_dtype

__all__ = ["KINDS", "LAYOUTS", "Input", "Program", "ProgramError", "Question", "Step", "decode_index", "encode_index"]


class ProgramError(ValueError):
    """A program, or the file that should hold one, does not make sense; the message says where."""


@dataclass(frozen=True, eq=False)
class Input:
    """One input of a program.

    Parameters
    ----------
    data : ndarray
        Any shape; a float dtype of `adjudge.oracle.dtypes.FLOATS`, an integer type or bool.
    constant : bool
        Whether no gradient is asked for it. Only float inputs can have gradients: others are always constant.
    kind : {"array", "number", "list"}
        What is handed to the implementation: an array (made a tensor of its own kind unless constant), or a constant
        Python number or nested list.
    layout : str
        How the array lies in memory: one of "C", "F", "reversed" (negative strides), "strided", "broadcast" (zero strides
        along axes where the data repeat), "read-only", "unaligned".
    """

    data: np.ndarray
    constant: bool = False
    kind: str = "array"
    layout: str = "C"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ProgramError(f"input kind {self.kind!r} is not one of {', '.join(KINDS)}")
        if self.layout not in LAYOUTS:
            raise ProgramError(f"input layout {self.layout!r} is not one of {', '.join(LAYOUTS)}")
        object.__setattr__(self, "data", np.asarray(self.data))
        if not is_number(self.data.dtype):
            raise ProgramError(
                f"an input of dtype {self.data.dtype} cannot be certified: use {', '.join(NAMES)}, integers or bool"
            )
        if self.kind != "array" or not is_float(self.data.dtype):
            object.__setattr__(self, "constant", True)

    def materialise(self) -> Any:
        """A fresh object for the implementation: an array in this input's layout, a Python number, or a nested list."""
        return materialise(self.data, self.kind, self.layout)


@dataclass(frozen=True)
class Step:
    """One op application: the op's name, the numbers of its operands, its parameters (JSON values)."""

    op: str
    args: tuple[int, ...]
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """A straight line of op applications over inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from adjudge import Program
    >>> p = Program.of([np.array([0.5, 2.0])], [("exp", [0]), ("multiply", [0, 1])])
    >>> print(p)
    a = array([0.5, 2. ])
    b = exp(a)
    c = multiply(a, b)
    >>> Program.from_json(p.to_json()).steps == p.steps
    True
    """

    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        for number, step in enumerate(self.steps):
            known = len(self.inputs) + number
            for arg in step.args:
                if not 0 <= arg < known:
                    raise ProgramError(f"step {number} ({step.op}) uses value {arg}; the values before it are 0 to {known - 1}")
        if not self.steps:
            raise ProgramError("a program needs at least one step")

    @classmethod
    def of(cls, inputs: Iterable[Any], steps: Iterable[Sequence[Any]]) -> Program:
        """Build a program from arrays (or `Input`s) and ``(op, args)`` or ``(op, args, params)`` tuples."""
        made = tuple(i if isinstance(i, Input) else Input(np.asarray(i)) for i in inputs)
        return cls(made, tuple(Step(s[0], tuple(s[1]), dict(s[2]) if len(s) > 2 else {}) for s in steps))

    # -- facts ---------------------------------------------------------------------------------------------------------

    @property
    def variables(self) -> tuple[int, ...]:
        """Numbers of the inputs that a gradient is asked for."""
        return tuple(i for i, x in enumerate(self.inputs) if not x.constant)

    @property
    def ops(self) -> tuple[str, ...]:
        """The op names in order of first use."""
        return tuple(dict.fromkeys(step.op for step in self.steps))

    @property
    def working_dtype(self) -> np.dtype:
        """The narrowest float dtype that takes part: what an honest computation can be held to."""
        arrays = [x.data.dtype for x in self.inputs if x.kind == "array"]
        return narrowest([*arrays, *(simple_dtype(s.params["dtype"]) for s in self.steps if s.params.get("dtype"))])

    def with_inputs(self, arrays: Sequence[np.ndarray]) -> Program:
        """The same steps on other data."""
        return Program(tuple(replace(i, data=a) for i, a in zip(self.inputs, arrays, strict=True)), self.steps)

    def alone(self, number: int, operands: Sequence[Any]) -> Program:
        """Step `number` as a program of its own, on the given operand arrays (for blame)."""
        step = self.steps[number]
        distinct = list(dict.fromkeys(step.args))
        inputs = []
        for arg in distinct:
            if arg < len(self.inputs):
                inputs.append(self.inputs[arg])
            else:
                inputs.append(Input(np.asarray(operands[arg]), constant=self.constants[arg]))
        return Program(tuple(inputs), (Step(step.op, tuple(distinct.index(a) for a in step.args), step.params),))

    @cached_property
    def constants(self) -> tuple[bool, ...]:
        """For every value, whether it depends on no variable."""
        out = [i.constant for i in self.inputs]
        for step in self.steps:
            out.append(all(out[a] for a in step.args))
        return tuple(out)

    # -- as JSON ---------------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`; floats keep every bit, non-finite ones travel as strings."""
        return {
            "inputs": [
                {"constant": i.constant, "kind": i.kind, "layout": i.layout, **array_to_json(i.data)} for i in self.inputs
            ],
            "steps": [{"op": s.op, "args": list(s.args), "params": dict(s.params)} for s in self.steps],
        }

    @classmethod
    def from_json(cls, tree: Any) -> Program:
        """Read what `to_json` wrote.

        Raises
        ------
        ProgramError
            Naming the first thing that is missing or of the wrong kind.
        """
        try:
            inputs = [
                Input(array_from_json(i), bool(i.get("constant", False)), i.get("kind", "array"), i.get("layout", "C"))
                for i in tree["inputs"]
            ]
            steps = [Step(str(s["op"]), tuple(int(a) for a in s["args"]), _parameters(s)) for s in tree["steps"]]
        except ProgramError:
            raise
        except KeyError as missing:
            raise ProgramError(f"the program lacks {missing}; it needs 'inputs' and 'steps'") from missing
        except (TypeError, ValueError, AttributeError, ArithmeticError) as problem:
            raise ProgramError(f"the program cannot be read: {problem}") from problem
        return cls(tuple(inputs), tuple(steps))

    @property
    def id(self) -> str:
        """Twelve hex digits that name this program and its data."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        lines = []
        for number, i in enumerate(self.inputs):
            note = "" if i.layout == "C" else f"  # {i.layout}"
            note += "  # constant" if i.constant and i.kind == "array" else ""
            lines.append(f"{letter(number)} = {array_source(i)}{note}")
        for number, step in enumerate(self.steps, len(self.inputs)):
            operands = [letter(a) for a in step.args] + [f"{k}={_param_text(k, v)}" for k, v in step.params.items()]
            lines.append(f"{letter(number)} = {step.op}({', '.join(operands)})")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Question:
    """A question to an implementation: a program, and the cotangent that is pulled back from its value.

    Parameters
    ----------
    program : Program
    cotangent : ndarray
        Of the shape of the program's value; a float array.
    directions : tuple
        One tangent per input, of its shape (None for constants): the direction along which the Taylor leg looks.
    """

    program: Program
    cotangent: np.ndarray
    directions: tuple[np.ndarray | None, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return {
            "program": self.program.to_json(),
            "cotangent": array_to_json(self.cotangent),
            "directions": [None if d is None else array_to_json(d) for d in self.directions],
        }

    @classmethod
    def from_json(cls, tree: Any) -> Question:
        """Read what `to_json` wrote; raises `ProgramError`."""
        program = Program.from_json(tree.get("program"))
        try:
            cotangent = array_from_json(tree["cotangent"])
            directions = tuple(None if d is None else array_from_json(d) for d in tree["directions"])
        except KeyError as missing:
            raise ProgramError(f"the case lacks {missing}; it needs 'program', 'cotangent' and 'directions'") from missing
        except (TypeError, AttributeError, ValueError, ArithmeticError) as problem:
            raise ProgramError(f"the case's arrays cannot be read: {problem}") from problem
        if len(directions) != len(program.inputs):
            raise ProgramError(f"the case has {len(directions)} directions for {len(program.inputs)} inputs; it needs one each")
        return cls(program, cotangent, directions)

    @property
    def id(self) -> str:
        """Twelve hex digits that name this question."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def letter(number: int) -> str:
    """Name value `number` readably: a, b, … z, a1, b1 and so on."""
    turn, place = divmod(number, 26)
    return chr(ord("a") + place) + (str(turn) if turn else "")


def _param_text(key: str, value: Any) -> str:
    if key == "index":
        return index_source(value)
    return repr(as_tuple(value)) if isinstance(value, list) and key != "where" else repr(value)


def as_tuple(value: Any) -> Any:
    """JSON has no tuples: nested lists become nested tuples."""
    return tuple(as_tuple(v) for v in value) if isinstance(value, (list, tuple)) else value


# -- arrays as JSON and as source ----------------------------------------------------------------------------------------------


def array_to_json(array: np.ndarray) -> dict[str, Any]:
    """``{"dtype", "shape", "data"}`` with data flat; NaN and infinities as strings."""
    flat = array.ravel(order="C").tolist()
    if is_float(array.dtype):
        flat = [v if math.isfinite(v) else str(v) for v in flat]
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": flat}


def array_from_json(tree: Mapping[str, Any]) -> np.ndarray:
    """Inverse of `array_to_json`."""
    dtype = _named_dtype(tree["dtype"])
    data, shape = tree["data"], tuple(tree["shape"])
    if any(n < 0 for n in shape):
        raise ProgramError(f"an array has no shape {shape}: a length is 0 or more")
    if len(data) != math.prod(shape):
        raise ProgramError(f"an array of shape {shape} needs {math.prod(shape)} numbers; {len(data)} are given")
    return np.array([float(v) if isinstance(v, str) else v for v in data], dtype).reshape(shape)


def _named_dtype(name: Any) -> np.dtype:
    """The dtype of numbers that has this very name: what else NumPy takes for a dtype may be of any size."""
    try:
        dtype = simple_dtype(name) if isinstance(name, str) else None
    except (TypeError, ValueError):
        dtype = None
    if dtype is None or str(dtype) != name or not is_number(dtype):
        raise ProgramError(f"dtype {name!r} is not one that a program can have: use {', '.join(NAMES)}, integers or bool")
    return dtype


def _parameters(step: Any) -> dict[str, Any]:
    """The parameters of a step, which are plain data: what they mean is for the op to say."""
    params = dict(step.get("params", {}))
    for name, value in params.items():
        if not (isinstance(name, str) and name.isidentifier() and _is_plain(value)):
            raise ProgramError(f"parameter {name!r} of {step['op']!r} is no name with a number, text, or a list of them")
        if name == "dtype" and value is not None:
            _named_dtype(value)
        if name == "where" and value is not None and np.asarray(value).dtype != bool:
            raise ProgramError(f"parameter 'where' of {step['op']!r} must be true, false, or a list of them")
        if name == "index":
            decode_index(value)
    return params


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(v) for key, v in value.items())
    return value is None or isinstance(value, (bool, int, float, str))


def array_source(i: Input) -> str:
    """Python source of an input's data, every digit kept."""
    if i.kind != "array":
        return repr(i.data.tolist())
    with np.printoptions(threshold=2**62, floatmode="unique", linewidth=100):
        text = repr(i.data)
    if i.data.size == 0:
        return f"zeros({i.data.shape}, dtype={i.data.dtype})"
    return text


# -- indices as JSON -----------------------------------------------------------------------------------------------------------


def encode_index(index: Any) -> list[Any]:
    """An index expression as JSON: ints as they are, others tagged.

    Examples
    --------
    >>> encode_index((slice(None, 2), None, ..., 1))
    [{'slice': [None, 2, None]}, {'newaxis': True}, {'ellipsis': True}, 1]
    """
    parts = index if isinstance(index, tuple) else (index,)
    out: list[Any] = []
    for part in parts:
        if isinstance(part, slice):
            out.append({"slice": [part.start, part.stop, part.step]})
        elif part is None:
            out.append({"newaxis": True})
        elif part is Ellipsis:
            out.append({"ellipsis": True})
        elif isinstance(part, (int, np.integer)) and not isinstance(part, bool):
            out.append(int(part))
        else:
            array = np.asarray(part)
            out.append({"array": array.tolist(), "dtype": str(array.dtype), "shape": list(array.shape)})
    return out


def decode_index(parts: Sequence[Any]) -> tuple[Any, ...]:
    """Inverse of `encode_index`: always a tuple."""
    out: list[Any] = []
    for part in parts:
        if not isinstance(part, Mapping):
            out.append(operator.index(part))
        elif "slice" in part:
            start, stop, step = (None if end is None else operator.index(end) for end in part["slice"])
            out.append(slice(start, stop, step))
        elif "newaxis" in part:
            out.append(None)
        elif "ellipsis" in part:
            out.append(Ellipsis)
        else:
            out.append(np.array(part["array"], dtype=_named_dtype(part["dtype"])).reshape(part["shape"]))
    return tuple(out)


def index_source(parts: Sequence[Any]) -> str:
    """An encoded index as Python source."""
    words = []
    for part in decode_index(parts):
        if isinstance(part, slice):
            words.append(f"slice({part.start}, {part.stop}, {part.step})")
        elif isinstance(part, np.ndarray):
            words.append(f"np.array({part.tolist()!r}, dtype='{part.dtype}')")
        else:
            words.append("..." if part is Ellipsis else repr(part))
    return "(" + ", ".join(words) + ("," if len(words) == 1 else "") + ")"
