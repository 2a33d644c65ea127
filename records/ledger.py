"""The ledger: known deviations of a backend, and what it does not support, as data; strict both ways.

A ledger is a TOML file with one ``[[entry]]`` per deviation, which has a stored case::

    [[entry]]
    id = "tanh-saturated"
    op = "tanh"                       # the op that is blamed; a list of ops, or "*" for any
    verdict = "lossy"                 # or a list of verdicts
    where = "gradient"                # or "value", "tangent", "hvp", "program", …, or a list
    reason = "the rule computes 1 - tanh(x)**2"
    proof = "the textbook formula cancels from |x| = 5 on"
    found = 2026-01-31
    versions = ">=2.0,<3"             # of the library; left out, any version
    when = { dtype = ["float64"], magnitude = [5.0, inf] }
    case = { inputs = [{ dtype = "float64", shape = [], data = [25.0] }], steps = [{ op = "tanh", args = [0] }] }

An entry explains a failure if its op, verdict and where are the failure's, and every condition in ``when`` holds. Its case is
written in the entry as above (a program, and a ``cotangent`` unless that is all ones), or stands in a case file named after the
entry, ``NAME/ID.json`` beside ``NAME.toml``.

What a backend does not support is on record as well, so that losing more is seen::

    [[unsupported]]
    id = "matrix-norms"
    op = "norm"                       # a list of ops, "tensors", or "*" for any
    reason = "matrix norms"           # a piece of what the library says; left out, it does not have the op at all
    mode = ["jvp", "hvp"]             # one mode of differentiation, or a list; left out, every mode
    dtype = ["float16"]               # left out, every dtype
    versions = "<3"                   # of the library; left out, any version

Where a backend's tensors differ stands in a ledger of its own beside it,
``NAME.semantics.toml``: see `adjudge.records.divergences`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from packaging.specifiers import SpecifierSet
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from ..oracle.certificate import as_question
from ..oracle.dtypes import FLOATS
from ..oracle.judge import FAILING
from ..oracle.lockstep import Divergence
from ..oracle.modes import MODES
from ..oracle.program import LAYOUTS, Program, ProgramError, Question, array_from_json
from ..oracle.protocol import Backend
from ..oracle.reference import OPS
from .case import Case, checked_value, read_case
from .divergences import (
    SUFFIX,
    EntryId,
    Found,
    KnownDivergence,
    LedgerError,
    Text,
    Versions,
    in_versions,
    known_divergences,
    read_entry,
)  # fmt: skip
from .fields import FrozenModel, nearest
from .text import read_text

__all__ = [
    "CONDITIONS", "TENSORS", "Conditions", "Entry", "Facts", "Lacking", "Ledger", "LedgerError", "shipped_ledger",
]  # fmt: skip

#: Where the ledgers of the shipped backends are.
SHIPPED = Path(str(files("adjudge.backends"))) / "ledgers"
WHERE = ("value", "gradient", "tangent", "hvp", "program", "input", "cotangent")
VERDICTS = (*FAILING, "lossy")
#: What stands for an op in an entry about a backend that has no tensors of MyGrad's kind.
TENSORS = "tensors"


# -- what an entry may ask of a failure ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """What a ledger's conditions may look at: a failure, and the operands of the step to blame.

    Parameters
    ----------
    op : str
        The op to blame.
    ops : tuple of str
        All ops of the program.
    verdict, where, reason : str
        Of the finding; `where` in one word, such as "gradient".
    dtype : str
        The program's working dtype.
    kink : bool
        Whether the program is not differentiable there.
    params : tuple of str
        The step's parameters, by name.
    negative : bool
        Whether a parameter is, or has, a negative number.
    repeated : bool
        Whether an operand is given twice.
    operands, index : tuple of str
        The dtypes of the operands, and of index arrays.
    shapes : tuple of tuple of int
        Of the operands.
    magnitudes : tuple of tuple of float
        For each operand those of its finite elements that are not 0.
    zeros : bool
        Whether an operand has a 0.
    layouts : tuple of str
        Of the inputs.
    """

    op: str
    ops: tuple[str, ...]
    verdict: str
    where: str
    reason: str
    dtype: str
    kink: bool = False
    params: tuple[str, ...] = ()
    negative: bool = False
    repeated: bool = False
    operands: tuple[str, ...] = ()
    index: tuple[str, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()
    magnitudes: tuple[tuple[float, ...], ...] = ()
    zeros: bool = False
    layouts: tuple[str, ...] = ()


def _reaches(facts: Facts, wanted: tuple[float, float]) -> bool:
    low, high = wanted
    return any(low <= m <= high for operand in facts.magnitudes for m in operand)


#: What each condition means: whether it holds for a failure, given what the entry says.
CONDITIONS: dict[str, Callable[[Facts, Any], bool]] = {
    "kink": lambda f, wanted: f.kink is wanted,
    "repeated": lambda f, wanted: f.repeated is wanted,
    "empty": lambda f, wanted: any(0 in shape for shape in f.shapes) is wanted,
    "broadcast": lambda f, wanted: (len(set(f.shapes)) > 1) is wanted,
    "zeros": lambda f, wanted: f.zeros is wanted,
    "negative": lambda f, wanted: f.negative is wanted,
    "params": lambda f, wanted: set(wanted) <= set(f.params),
    "ops": lambda f, wanted: not set(wanted).isdisjoint(f.ops),
    "dtype": lambda f, wanted: f.dtype in wanted,
    "operands": lambda f, wanted: not set(wanted).isdisjoint(f.operands),
    "index": lambda f, wanted: not set(wanted).isdisjoint(f.index),
    "layout": lambda f, wanted: not set(wanted).isdisjoint(f.layouts),
    "ndim": lambda f, wanted: not set(wanted).isdisjoint(map(len, f.shapes)),
    "last_axis": lambda f, wanted: not set(wanted).isdisjoint(s[-1] for s in f.shapes if s),
    "magnitude": _reaches,
    "reason": lambda f, wanted: wanted in f.reason,
}

if TYPE_CHECKING:
    _Dtype: TypeAlias = str
    _Layout: TypeAlias = str
else:
    _Dtype, _Layout = Literal[tuple(FLOATS)], Literal[tuple(LAYOUTS)]

_Flag = Annotated[bool, Field(description="must be true or false")]
_List = Field(min_length=1, strict=False)
MAGNITUDE = "must be two numbers, the lower first: some element of some operand has a magnitude between them"


def _in_order(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"'magnitude' {MAGNITUDE}, not {list(pair)}")
    return pair


class Conditions(FrozenModel):
    """What an entry asks of a failure, see `CONDITIONS`; a field that is left out is not asked."""

    kink: _Flag = False
    repeated: _Flag = False
    empty: _Flag = False
    broadcast: _Flag = False
    zeros: _Flag = False
    negative: _Flag = False
    params: Annotated[tuple[str, ...], _List, Field(description="must be a list of parameter names")] = ()
    ops: Annotated[tuple[str, ...], _List, Field(description="must be a list of ops of the program")] = ()
    dtype: Annotated[tuple[_Dtype, ...], _List, Field(description=f"must be a list of dtypes ({', '.join(FLOATS)})")] = ()
    operands: Annotated[tuple[str, ...], _List, Field(description="must be a list of dtypes of operands")] = ()
    index: Annotated[tuple[str, ...], _List, Field(description="must be a list of dtypes of index arrays")] = ()
    layout: Annotated[tuple[_Layout, ...], _List, Field(description=f"must be a list of layouts ({', '.join(LAYOUTS)})")] = ()
    ndim: Annotated[tuple[int, ...], _List, Field(description="must be a list of numbers of dimensions")] = ()
    last_axis: Annotated[
        tuple[int, ...], _List, Field(description="must be a list of lengths, one of which the last axis of some operand has")
    ] = Field(default=(), alias="last axis")
    magnitude: Annotated[tuple[float, float], Field(strict=False, description=MAGNITUDE), AfterValidator(_in_order)] = (
        0.0,
        math.inf,
    )
    reason: Annotated[str, Field(description="must be a piece of the reason's text")] = ""

    def hold(self, facts: Facts) -> bool:
        """Whether all that is asked holds."""
        return all(CONDITIONS[name](facts, getattr(self, name)) for name in self.model_fields_set)


# -- one entry -----------------------------------------------------------------------------------------------------------------


def _one_or_more(field: str, what: str, noun: str, choices: Sequence[str]) -> BeforeValidator:
    """A field that is one name, or a list of names."""

    def read(value: Any) -> Any:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{field!r} must be {what}, or a list of them")
        for name in names:
            if name not in choices:
                raise ValueError(f"there is no {noun} {name!r}; {nearest(name, choices)}")
        return tuple(names)

    return BeforeValidator(read)


def _question(value: Any, info: ValidationInfo) -> Any:
    """An entry's case: written in the entry, or in a file that has the entry's id for its name."""
    if isinstance(value, Question) or "id" not in info.data:
        return value
    try:
        if value is None:
            case = read_case((info.context or {})["cases"] / f"{info.data['id']}.json")
            if not isinstance(case, Case):
                raise ProgramError("it is a script of tensors, which a [[divergence]] has")
            return case.question
        if not isinstance(value, Mapping):
            raise ProgramError("it is no table")
        program = Program.from_json(value)
        due = checked_value(program).shape
        question = as_question(program, array_from_json(value["cotangent"]) if "cotangent" in value else None)
        if question.cotangent.shape != due:
            raise ProgramError(f"its cotangent has shape {question.cotangent.shape}, and the program's value {due}")
        return question
    except (LookupError, TypeError, ValueError, ArithmeticError) as problem:  # a program that cannot run raises any of these
        raise ValueError(f"its case does not make sense: {problem}") from problem


#: The mode that a part of the answer belongs to, where that is not reverse mode.
MODE_OF = {"tangent": "jvp", "hvp": "hvp"}


class Entry(FrozenModel):
    """One known deviation.

    Parameters
    ----------
    id : str
    ops : tuple of str
        The ops that may be blamed; ("*",) for any, "accumulation" among them.
    verdicts, where : tuple of str
    reason, proof : str
        What is wrong, and why that is certain: one sentence each.
    found : date
    versions : SpecifierSet
        The library's versions that have it.
    when : Conditions
    question : Question
        The case that shows it.
    """

    id: EntryId
    ops: Annotated[tuple[str, ...], _one_or_more("op", "an op's name", "op", ("*", "accumulation", *OPS))] = Field(alias="op")
    verdicts: Annotated[tuple[str, ...], _one_or_more("verdict", "a verdict", "failing verdict", VERDICTS)] = Field(
        alias="verdict"
    )
    where: Annotated[tuple[str, ...], _one_or_more("where", "a part of the answer", "'where'", WHERE)]
    reason: Text
    proof: Text
    found: Found
    versions: Versions = SpecifierSet()
    when: Conditions = Conditions()
    question: Annotated[Question, BeforeValidator(_question)] = Field(default=None, alias="case", validate_default=True)

    @property
    def verdict(self) -> str:
        """The verdict, or its first."""
        return self.verdicts[0]

    @property
    def op(self) -> str:
        """The op that its case is about."""
        return self.ops[0] if self.ops != ("*",) else self.question.program.steps[-1].op

    def applies(self, version: str) -> bool:
        """Whether this version of the library has it."""
        return in_versions(version, self.versions)

    @property
    def mode(self) -> str:
        """The mode of differentiation that its case is about."""
        return MODE_OF.get(self.where[0], "vjp")

    def explains(self, facts: Facts) -> bool:
        """Whether a failure with these facts is this deviation."""
        return (
            (facts.op in self.ops or self.ops == ("*",))
            and facts.verdict in self.verdicts
            and facts.where in self.where
            and self.when.hold(facts)
        )


# -- what is not supported -----------------------------------------------------------------------------------------------------


def _not_for_all(reason: str, info: ValidationInfo) -> str:
    """The reason of an entry; one that would excuse everything has none and is refused."""
    if not reason.strip() and info.data.get("ops") == ("*",) and "vjp" in info.data.get("modes", ()):
        raise ValueError("an entry about op '*' needs a 'reason' or a 'mode': it would excuse whatever the backend lacks")
    return reason


class Lacking(FrozenModel):
    """Something that a backend does not support, and is known not to.

    Parameters
    ----------
    id : str
    ops : tuple of str
        The ops that it does not have; ("*",) for any, `TENSORS` for tensors.
    reason : str
        A piece of what it says of them; empty for an op that it does not have at all.
    modes : tuple of str
        The modes of differentiation.
    dtype : tuple of str
        The dtypes that the entry is about; empty for all.
    versions : SpecifierSet
        The library's versions that do not have it.
    """

    id: EntryId
    ops: Annotated[tuple[str, ...], _one_or_more("op", "an op's name", "op", ("*", TENSORS, *OPS))] = Field(alias="op")
    modes: Annotated[tuple[str, ...], _one_or_more("mode", "a mode of differentiation", "mode", tuple(MODES))] = Field(
        default=tuple(MODES), alias="mode"
    )
    reason: Annotated[str, Field(description="must be a piece of what the library says"), AfterValidator(_not_for_all)] = Field(
        default="", validate_default=True
    )
    dtype: Annotated[tuple[_Dtype, ...], _List, Field(description=f"must be a list of dtypes ({', '.join(FLOATS)})")] = ()
    versions: Versions = SpecifierSet()

    def __str__(self) -> str:
        """What is not supported, for people: ops, modes, dtypes, and what the library says."""
        ops = (
            "some programs" if self.ops == ("*",) and self.reason else "anything" if self.ops == ("*",) else ", ".join(self.ops)
        )
        modes = "" if self.modes == tuple(MODES) else f" in {' and '.join(MODES[mode].title for mode in self.modes)}"
        dtypes = f" of {', '.join(self.dtype)}" if self.dtype else ""
        return f"{ops}{modes}{dtypes}" + (f": {self.reason}" if self.reason else "")

    def applies(self, version: str) -> bool:
        """Whether this version of the library lacks it."""
        return in_versions(version, self.versions)

    def covers(self, mode: str, reason: str, ops: Sequence[str], dtype: str) -> bool:
        """Whether it is about a refusal that names one of some ops."""
        named = self.ops == ("*",) or not set(self.ops).isdisjoint(ops)
        return named and mode in self.modes and self.reason in reason and self._is_about(dtype)

    def covers_all(self, op: str, dtype: str) -> bool:
        """Whether it says that an op is not there at all, in a dtype."""
        return op in self.ops and "vjp" in self.modes and not self.reason and self._is_about(dtype)

    def _is_about(self, dtype: str) -> bool:
        return not self.dtype or dtype in self.dtype

    def missing(self, backend: Backend) -> bool:
        """Whether the backend itself says, without a question, that it has none of it."""
        if self.reason or self.dtype:
            return False
        if self.ops == ("*",):
            return not self.outdated(backend)
        return not any(backend.tensors is not None if op == TENSORS else backend.supports(op) for op in self.ops)

    def outdated(self, backend: Backend) -> bool:
        """Whether it says that there is no such mode at all, and the backend has it by now."""
        whole = self.ops == ("*",) and not self.reason and not self.dtype
        return whole and any(MODES[mode].ways(backend) for mode in self.modes)


# -- a ledger ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ledger:
    """The known deviations of one backend, what it lacks, and the known divergences of its tensors, in the files' order."""

    entries: tuple[Entry, ...] = ()
    path: Path | None = None
    divergences: tuple[KnownDivergence, ...] = ()
    lacking: tuple[Lacking, ...] = ()

    @classmethod
    def read(cls, path: Path | str) -> Ledger:
        """Read a ledger.

        Raises
        ------
        LedgerError
            Naming the entry, and the rule that it breaks.
        """
        path = Path(path)
        tables = _tables(path, "entry", "unsupported")
        entries = tuple(read_entry(Entry, t, "entry", number, path) for number, t in enumerate(tables["entry"], 1))
        lacking = tuple(
            read_entry(Lacking, t, "unsupported", number, path) for number, t in enumerate(tables["unsupported"], 1)
        )
        beside = path.with_suffix(SUFFIX)
        divergences = known_divergences(_tables(beside, "divergence")["divergence"], beside) if beside.is_file() else ()
        names = [*(e.id for e in entries), *(e.id for e in lacking), *(e.id for e in divergences)]
        if twice := next((n for n in names if names.count(n) > 1), None):
            raise LedgerError(f"ledger {path}: two entries are called {twice!r}")
        return cls(entries, path, divergences, lacking)

    def applying(self, version: str) -> Iterator[Entry]:
        """The entries about this version of the library."""
        return (e for e in self.entries if e.applies(version))

    def match(self, facts: Facts, version: str) -> Entry | None:
        """The first entry that explains a failure of this version of the library."""
        return next((e for e in self.applying(version) if e.explains(facts)), None)

    def lacks(self, mode: str, reason: str, ops: Sequence[str], dtype: str, version: str) -> Lacking | None:
        """The first entry about a refusal by this version of the library.

        Parameters
        ----------
        mode : str
        reason : str
            What the library says; where that begins with the name of an op, it is about that op alone.
        ops : sequence of str
            The ops of the program.
        dtype, version : str
        """
        named = reason.partition(":")[0]
        ops = (named,) if named in OPS else ops
        return next((e for e in self.lacking if e.covers(mode, reason, ops, dtype) and e.applies(version)), None)

    def lacks_all(self, op: str, dtype: str, version: str) -> Lacking | None:
        """The first entry that says that this version of the library does not have an op at all."""
        return next((e for e in self.lacking if e.covers_all(op, dtype) and e.applies(version)), None)

    def match_divergence(self, divergence: Divergence, version: str) -> KnownDivergence | None:
        """The first known divergence that explains one that was seen with this version of the library."""
        return next((e for e in self.divergences if e.applies(version) and e.explains(divergence)), None)


def _tables(path: Path, *kinds: str) -> dict[str, list[Any]]:
    """The tables of a ledger file, by kind."""
    try:
        tree = tomllib.loads(read_text(path))
    except (OSError, UnicodeDecodeError) as problem:
        raise LedgerError(f"ledger {path} cannot be read: {getattr(problem, 'strerror', None) or 'not UTF-8'}") from problem
    except RecursionError as problem:
        raise LedgerError(f"ledger {path} is nested too deeply") from problem
    except ValueError as problem:
        raise LedgerError(f"ledger {path} is not TOML: {problem}") from problem
    if unknown := sorted(set(tree) - set(kinds)):
        listed = " and ".join(f"[[{kind}]]" for kind in kinds)
        raise LedgerError(f"ledger {path} has {unknown[0]!r} at its top; only {listed} may stand there")
    if single := next((kind for kind in kinds if not isinstance(tree.get(kind, []), list)), None):
        raise LedgerError(f"ledger {path} has one [{single}] where [[{single}]] is due")
    return {kind: tree.get(kind, []) for kind in kinds}


def shipped_ledger(backend: str) -> Ledger:
    """The ledger that comes with adjudge for a backend: empty where there is none."""
    path = SHIPPED / f"{backend}.toml"
    return Ledger.read(path) if backend.isidentifier() and path.is_file() else Ledger()
