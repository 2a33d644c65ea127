"""The interface of an implementation under test: a handful of plain functions, and their answers.

A backend is any module (or object) that has

``name``
    what to call it in reports;
``versions()``
    a dict of package name to version, the library under test first;
``vjp(program, inputs, cotangent)``
    an `Answer`: the program's value and the gradient of ``sum(cotangent * value)`` with respect to each input;

and may have any of the other fields of `Backend`, which gives the defaults. `as_backend` fills them in, once. In place of the
two functions it may have ``distributions`` and ``language``, a `Language` in whose words the questions are asked; then its
cases have scripts as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from .accused.adapter import NEEDED, Answer, Unsupported, check_fields, fields_of
from .accused.observe import Given, MalformedAnswer, NotAnArray, Observation, kind_of, observe
from .dtypes import FLOATS
from .program import Program

__all__ = [
    "GIVEN", "NEEDED", "Answer", "Backend", "Hvp", "Implementation", "Jvp", "Language", "Lost", "MalformedAnswer", "NotAnArray",
    "Observation", "Observer", "Raised", "Unsupported", "Vjp", "as_backend", "kind_of",
]  # fmt: skip


class Raised(Exception):
    """What an implementation raised in a process of its own; the message has the exception's name and its own message."""


class Lost(Exception):
    """The process of an implementation gave no answer: it died, went on for too long, or wrote what is no answer."""


#: ``vjp(program, inputs, cotangent)``. `inputs` are fresh objects: arrays in their layout, numbers, lists.
Vjp = Callable[[Program, Sequence[Any], np.ndarray], Answer]
#: ``jvp(program, inputs, tangents)``: the program's value, and its tangent along `tangents`, of the value's shape and dtype.
Jvp = Callable[[Program, Sequence[Any], Sequence[np.ndarray | None]], tuple[np.ndarray, np.ndarray]]
#: ``hvp(program, inputs, cotangent, tangents)``: the derivative of each input's gradient along `tangents`, None for constants.
Hvp = Callable[[Program, Sequence[Any], np.ndarray, Sequence[np.ndarray | None]], Sequence[np.ndarray | None]]


#: ``observer(mode, way, program, cotangent, tangents, once)``: asks in a mode, in one of the ways that it can be computed.
Observer = Callable[
    [str, str, Program, np.ndarray | None, Sequence[np.ndarray | None], bool],
    Observation,
]


@dataclass(frozen=True, eq=False)
class Language:
    """How programs are written in a library's own words: source text that is compiled to judge, printed as scripts, and timed.

    `adjudge.backends.language.source` fills the templates in. A module that has a ``name``, ``distributions`` and ``language``
    is a backend (see `adjudge.backends.language.spoken`), as the shipped ones are. All text is Python 3.8 that imports the
    library and NumPy alone; ``np`` is there. Values are called ``a``, ``b``, ... The template of a value is an expression, or
    statements that assign to ``{y}``.

    Parameters
    ----------
    title : str
        The name that the library calls itself by, for messages.
    imports : str
        The lines that import the library; printed in every script.
    helpers : str
        Functions, and imports, that templates use: those that a program needs are printed. A helper raises
        `NotImplementedError` where the library does not have what it is asked for.
    rooms : tuple of str
        Where the library keeps functions with NumPy's names, such as ``("jnp",)``; the first that has an op's name has the op.
    step : str
        How an op is spelled that `spelling` does not have: ``{function}`` is what it is called in one of `rooms`, and ``{op}``
        its name, for a library that has every op.
    spelling : mapping of str to str
        All other ops by name, and those that do not take what NumPy's names and parameters suggest. Slots of a step: ``{0}``,
        ``{1}``, ... for the operands, ``{xs}`` for all of them with commas, ``{params}`` for the parameters as ``, key=value``,
        ``{args}`` for both, ``{constant}`` for whether no variable reaches the value, and every parameter's name, such as
        ``{axis}``, or ``{axis:0}`` with the source of a default (without one it is None).
    masked : str
        A step with NumPy's ``where=``: ``{xs}`` leaves out the last operand, the ``out=`` to write into, which is ``{under}``.
        Without it such steps are unsupported.
    leaf, nested, number : str
        How an input ``{x}`` that is an array, a nested list or a Python number becomes what functions take; as it is, if empty.
        An array is made once, ``{constant}`` or not; a number wherever it is an operand, and ``{beside}`` is the first operand
        that is none, if there is one.
    takes_numbers : tuple of str
        Ops that take Python numbers as they are beside arrays, whatever `number` says.
    cast : str
        Where functions have no ``dtype=``: how an operand ``{x}`` is brought to ``{dtype}`` first.
    vjp, jvp : str
        Functions ``def vjp({inputs}, cotangent):`` and ``def jvp({inputs}, {tangents}):``, which give the value and a list of
        one gradient per variable (perhaps None), or the value and its tangent. Slots: ``{inputs}``, ``{variables}`` and
        ``{tangents}`` (called ``along_a``, ...) with commas; ``{variable_tuple}``, ``{tangent_tuple}``; ``{out}`` for the last
        value; ``{leaves}`` and ``{steps}`` on lines of their own; and a line with ``{x}`` is repeated for each variable.
    hvp : mapping of str to str
        Functions ``def hvp({inputs}, cotangent, {tangents}):``, which give a list of one product per variable (perhaps None);
        by the way in which they are computed.
    parts : mapping of str to str
        Lines that several of these functions share: ``{program}`` on a line of its own stands for the part "program".
    passes : str
        A function ``def passes({inputs}, cotangent):`` that prepares a timing, see `adjudge.bench.worker`.
    session : str
        For a process that asks many questions, after `imports`; may define ``use_cache(folder)`` and ``forget()``, which is
        called after every hundred questions.
    lacking : tuple of str
        Ops whose name in the library means something else than in NumPy, or that have no derivative there.
    unsupported : str
        The message about an op that the library lacks.
    refusals : tuple of (str, str)
        Exceptions (a name, and words in the message) by which the library itself says that it lacks something, besides
        `NotImplementedError`.
    environment : mapping of str to str
        Environment variables that a process of adjudge's own has before it imports the library, unless the user has set them.
    """

    title: str = ""
    imports: str = ""
    helpers: str = ""
    rooms: tuple[str, ...] = ()
    step: str = "{function}({args})"
    spelling: Mapping[str, str] = field(default_factory=dict)
    masked: str = ""
    leaf: str = ""
    nested: str = ""
    number: str = ""
    takes_numbers: tuple[str, ...] = ()
    cast: str = ""
    vjp: str = ""
    jvp: str = ""
    hvp: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    passes: str = ""
    session: str = ""
    lacking: tuple[str, ...] = ()
    unsupported: str = "{title} has no {op}"
    refusals: tuple[tuple[str, str], ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def _has_every_op(op: str) -> bool:
    return True


def _keeps_nothing(folder: Path) -> None:
    return None


@dataclass(frozen=True, eq=False)
class Backend:
    """An implementation under test.

    Parameters
    ----------
    name : str
        Its name in reports.
    versions : callable
        Gives a dict of package name to version, the library under test first.
    vjp : Vjp
        Reverse mode.
    jvp : Jvp, optional
        Forward mode. `tangents` has one array per input, of its shape and dtype, and None for constants. Where the library
        has no forward mode for an op, it raises `Unsupported`: value and gradients are judged all the same.
    hvp : mapping of str to Hvp
        Hessian-vector products, by the way in which they are computed ("forward over reverse", "reverse over reverse"); a
        lone function may stand for the mapping.
    dtypes : tuple of str
        Names of the float dtypes it computes in.
    supports : callable
        Whether it has an op of this name. It may also raise `Unsupported` when asked.
    tensors : module, optional
        Has `Tensor`, `tensor` and functions with NumPy's names, where the library's arrays are tensors that remember how
        they were computed (`backward()`, `grad`, `null_grad()`, `constant`, views, updates in place): they are driven beside
        the reference's. Without it the rows of the family "semantics" read `unsupported`.
    numpy_dtypes : bool
        Whether the library promises NumPy's dtype for every value; it may have promotion rules of its own.
    unit_roundoff : mapping of str to float
        Unit roundoff by dtype name, for a library whose kernels are declared approximate (TF32, fast math).
    flushes_subnormals : bool
        Whether the library rounds subnormal results to zero.
    use_cache : callable
        ``use_cache(folder)``: the library may keep there what it compiles, since a gate asks for the same every time.
    file : str
        Where the backend's source lies; "" where that is not known.
    language : Language
        How programs are written in the library's own words.
    function_of : callable, optional
        The library's own name for the function of an op, "" where it has none; for a language.
    spec : str
        What the user typed to name the backend, if it is one of their own; "" for one that ships with adjudge.
    library : str
        Where the library under test lies, if that is known.
    promotes_alike : bool
        Whether NumPy beside the library has the promotion rules that NumPy has here: they are others since version 2.
    observer : Observer
        How a question is put, where that is not a call of the functions in this process.
    """

    name: str
    versions: Callable[[], dict[str, str]]
    vjp: Vjp
    jvp: Jvp | None = None
    hvp: Mapping[str, Hvp] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ("float64", "float32")
    supports: Callable[[str], bool] = _has_every_op
    tensors: ModuleType | None = None
    numpy_dtypes: bool = False
    unit_roundoff: Mapping[str, float] = field(default_factory=dict)
    flushes_subnormals: bool = False
    use_cache: Callable[[Path], None] = _keeps_nothing
    file: str = ""
    language: Language = field(default_factory=Language)
    function_of: Callable[[str], str] | None = None
    spec: str = ""
    library: str = ""
    promotes_alike: bool = True
    observer: Observer | None = None

    def observe(
        self,
        mode: str,
        program: Program,
        cotangent: np.ndarray | None = None,
        tangents: Sequence[np.ndarray | None] = (),
        way: str = "",
        once: bool = False,
    ) -> Observation:
        """Ask a question in some mode, and watch what happens.

        Parameters
        ----------
        mode : str
            "vjp", "jvp" or "hvp".
        program : Program
        cotangent : ndarray, optional
            Of the shape of the program's value; for "vjp" and "hvp".
        tangents : sequence, optional
            One array per input, None for constants; for "jvp" and "hvp".
        way : str
            In which of the ways `hvp` is computed.
        once : bool
            Whether to ask once in reverse mode as well, for an answer alone.

        Raises
        ------
        Unsupported, MalformedAnswer, Raised, Lost
            Whatever the function raises, where it is called in this process.
        """
        if self.observer is not None:
            return self.observer(mode, way, program, cotangent, tangents, once)
        ask: dict[str, Callable[..., Any]] = {
            "vjp": lambda xs, seed, along: self.vjp(program, xs, seed),
            "jvp": lambda xs, seed, along: self.jvp and self.jvp(program, xs, along),
            "hvp": lambda xs, seed, along: self.hvp[way](program, xs, seed, along),
        }
        inputs = [Given(i.data, i.kind, i.layout) for i in program.inputs]
        return observe(mode, ask[mode], inputs, cotangent, tangents, once)

    def __post_init__(self) -> None:
        """Refuse a field of the wrong kind."""
        check_fields(vars(self), FLOATS)


class Implementation(Protocol):
    """The attributes that make a module or object a backend."""

    name: str

    def versions(self) -> dict[str, str]:
        """Package name to version."""
        ...

    def vjp(self, program: Program, inputs: Sequence[Any], cotangent: np.ndarray) -> Answer:
        """Value and gradients."""
        ...


#: The fields that a user's module or object may have.
GIVEN = tuple(
    f.name for f in fields(Backend) if f.name not in ("observer", "file", "function_of", "spec", "library", "promotes_alike")
)


def as_backend(given: Backend | Implementation | ModuleType) -> Backend:
    """A module or object with a backend's functions, as a `Backend` with the defaults filled in.

    Parameters
    ----------
    given : Backend, module or object
        Has the attributes in `NEEDED`.

    Raises
    ------
    TypeError
        Where it lacks one of them, or one of a backend's fields is of the wrong kind.
    """
    if isinstance(given, Backend):
        return given
    try:
        own = fields_of(given, GIVEN, FLOATS)
    except TypeError as problem:
        raise TypeError(f"{given!r} is no backend: {problem}") from None
    own.pop("distributions", None)
    own["dtypes"] = tuple(own.get("dtypes", Backend.dtypes))
    own["file"] = str(getattr(given, "__file__", "") or "")
    return Backend(**own)
