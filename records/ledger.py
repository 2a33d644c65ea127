"""The ledger: known deviations of a backend, as data, each with a stored case; strict both ways.

A ledger is a TOML file with one ``[[entry]]`` a deviation::

    [[entry]]
    id = "tanh-saturated"
    op = "tanh"                       # the op that is blamed; a list of ops, or "*" for any
    verdict = "lossy"                 # or a list of verdicts
    where = "gradient"                # or "value", "program", "input", or a list of them
    reason = "the rule computes 1 - tanh(x)**2"
    proof = "the textbook formula cancels from |x| = 5 on"
    found = 2026-01-31
    versions = ">=2.0,<3"             # of the library; left out, any version
    when = { dtype = ["float64"], magnitude = [5.0, inf] }
    case = { inputs = [{ dtype = "float64", shape = [], data = [25.0] }], steps = [{ op = "tanh", args = [0] }] }

An entry explains a failure if its op, verdict and where are the failure's, and every condition in ``when`` holds. Its case is
written in the entry as above (a program, and a ``cotangent`` unless that is all ones), or stands in a case file named after the
entry, ``NAME/ID.json`` beside ``NAME.toml``. What a backend's tensors do otherwise stands in a ledger of its own beside it,
``NAME.semantics.toml``: see `adjudge.records.divergences`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ..oracle.certificate import as_question
from ..oracle.judge import FAILING
from ..oracle.lockstep import Divergence
from ..oracle.program import LAYOUTS, Program, ProgramError, Question, array_from_json
from ..oracle.reference import OPS, UnknownOp
from .case import Case, read_case
from .divergences import SUFFIX, KnownDeparture, LedgerError, departures_of, in_versions

__all__ = ["CONDITIONS", "Entry", "Ledger", "LedgerError", "shipped_ledger"]

#: Where the ledgers of the shipped backends are.
SHIPPED = Path(str(files("adjudge.backends"))) / "ledgers"

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Condition:
    """One thing that an entry may ask of a failure.

    Parameters
    ----------
    rule : str
        What may stand in the ledger, in words.
    valid : callable
        Whether a TOML value may stand there.
    holds : callable
        ``holds(facts, wanted)``.
    """

    rule: str
    valid: Callable[[Any], bool]
    holds: Callable[[Facts, Any], bool]


def _flag(fact: str) -> Condition:
    return Condition("must be true or false", lambda w: isinstance(w, bool), lambda f, w: f[fact] is w)


def _among(names: str, choices: tuple[str, ...] | None, holds: Callable[[Facts, Any], bool]) -> Condition:
    def valid(wanted: Any) -> bool:
        return _list_of(wanted, str) and (choices is None or set(wanted) <= set(choices))

    return Condition(f"must be a list of {names}" + (f" ({', '.join(choices)})" if choices else ""), valid, holds)


def _list_of(wanted: Any, *kinds: type) -> bool:
    return isinstance(wanted, list) and bool(wanted) and all(type(w) in kinds for w in wanted)


def _reaches(facts: Facts, wanted: Any) -> bool:
    low, high = wanted
    return any(low <= m <= high for operand in facts["magnitudes"] for m in operand)


#: What ``when`` may hold: all of it is about the failure, or about the operands of the step that is blamed.
CONDITIONS = {
    "kink": _flag("kink"),
    "repeated": _flag("repeated"),
    "empty": Condition(
        "must be true or false", lambda w: isinstance(w, bool), lambda f, w: any(0 in s for s in f["shapes"]) is w
    ),
    "broadcast": Condition(
        "must be true or false", lambda w: isinstance(w, bool), lambda f, w: (len(set(f["shapes"])) > 1) is w
    ),
    "zeros": _flag("zeros"),
    "negative": _flag("negative"),
    "params": _among("parameter names", None, lambda f, w: set(w) <= set(f["params"])),
    "ops": _among("ops of the program", None, lambda f, w: not set(w).isdisjoint(f["ops"])),
    "dtype": _among("dtypes", ("float16", "float32", "float64"), lambda f, w: f["dtype"] in w),
    "operands": _among("dtypes of operands", None, lambda f, w: not set(w).isdisjoint(f["operands"])),
    "index": _among("dtypes of index arrays", None, lambda f, w: not set(w).isdisjoint(f["index"])),
    "layout": _among("layouts", LAYOUTS, lambda f, w: not set(w).isdisjoint(f["layouts"])),
    "ndim": Condition(
        "must be a list of numbers of dimensions",
        lambda w: _list_of(w, int),
        lambda f, w: not set(w).isdisjoint(map(len, f["shapes"])),
    ),
    "last axis": Condition(
        "must be a list of lengths, one of which the last axis of some operand has",
        lambda w: _list_of(w, int),
        lambda f, w: not set(w).isdisjoint(s[-1] for s in f["shapes"] if s),
    ),
    "magnitude": Condition(
        "must be two numbers, the lower first: some element of some operand has a magnitude between them",
        lambda w: _list_of(w, int, float) and len(w) == 2 and w[0] <= w[1],
        _reaches,
    ),
    "reason": Condition("must be a piece of the reason's text", lambda w: isinstance(w, str), lambda f, w: w in f["reason"]),
}

WHERE = ("value", "gradient", "tangent", "program", "input")
VERDICTS = (*FAILING, "lossy")
NEEDED = ("id", "op", "verdict", "where", "reason", "proof", "found")
OPTIONAL = ("versions", "when", "case")


@dataclass(frozen=True, eq=False)
class Entry:
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
    when : mapping
        Conditions by name, see `CONDITIONS`.
    question : Question
        The case that shows it.
    """

    id: str
    ops: tuple[str, ...]
    verdicts: tuple[str, ...]
    where: tuple[str, ...]
    reason: str
    proof: str
    found: date
    versions: SpecifierSet
    when: Mapping[str, Any]
    question: Question

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

    def explains(self, facts: Facts) -> bool:
        """Whether a failure with these facts is this deviation."""
        return (
            (facts["op"] in self.ops or self.ops == ("*",))
            and facts["verdict"] in self.verdicts
            and str(facts["where"]).split(" ")[0] in self.where
            and all(CONDITIONS[name].holds(facts, wanted) for name, wanted in self.when.items())
        )


@dataclass(frozen=True)
class Ledger:
    """The known deviations of one backend, and the known departures of its tensors, in the files' order."""

    entries: tuple[Entry, ...] = ()
    path: Path | None = None
    departures: tuple[KnownDeparture, ...] = ()

    @classmethod
    def read(cls, path: Path | str) -> Ledger:
        """Read a ledger.

        Raises
        ------
        LedgerError
            Naming the entry, and the rule that it breaks.
        """
        path = Path(path)
        entries = tuple(_entry(t, number, path) for number, t in enumerate(_tables(path, "entry"), 1))
        beside = path.with_suffix(SUFFIX)
        departures = departures_of(_tables(beside, "departure"), beside) if beside.is_file() else ()
        names = [e.id for e in entries] + [e.id for e in departures]
        if twice := next((n for n in names if names.count(n) > 1), None):
            raise LedgerError(f"ledger {path}: two entries are called {twice!r}")
        return cls(entries, path, departures)

    def applying(self, version: str) -> Iterator[Entry]:
        """The entries about this version of the library."""
        return (e for e in self.entries if e.applies(version))

    def match(self, facts: Facts, version: str) -> Entry | None:
        """The first entry that explains a failure.

        Parameters
        ----------
        facts : mapping
            ``op`` (the one to blame), ``ops`` (all), ``verdict``, ``where``, ``reason``, ``dtype``, ``kink``; of the step to
            blame ``params``, ``magnitudes`` (of all elements but zeros, an operand), ``repeated``, ``shapes``, ``zeros``
            (whether an operand has any), ``negative`` (whether a parameter is, or has, a negative number), ``operands`` (their
            dtypes), ``index`` (dtypes of its arrays); and ``layouts``.
        version : str
            Of the library.
        """
        return next((e for e in self.applying(version) if e.explains(facts)), None)

    def departure(self, seen: Divergence, version: str) -> KnownDeparture | None:
        """The first known departure that explains one that was seen with this version of the library."""
        return next((e for e in self.departures if e.applies(version) and e.explains(seen)), None)


def _tables(path: Path, kind: str) -> list[Any]:
    """The tables of a ledger file, all of one kind."""
    try:
        tree = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        raise LedgerError(f"ledger {path} cannot be read: {getattr(problem, 'strerror', None) or 'not UTF-8'}") from problem
    except tomllib.TOMLDecodeError as problem:
        raise LedgerError(f"ledger {path} is not TOML: {problem}") from problem
    if unknown := sorted(set(tree) - {kind}):
        raise LedgerError(f"ledger {path} has {unknown[0]!r} at its top; only [[{kind}]] may stand there")
    tables = tree.get(kind, [])
    if not isinstance(tables, list):
        raise LedgerError(f"ledger {path} has one [{kind}] where [[{kind}]] is due")
    return tables


def shipped_ledger(backend: str) -> Ledger:
    """The ledger that comes with adjudge for a backend: empty where there is none."""
    path = SHIPPED / f"{backend}.toml"
    return Ledger.read(path) if backend.isidentifier() and path.is_file() else Ledger()


def _entry(tree: Any, number: int, path: Path) -> Entry:
    name = f"entry {tree['id']!r}" if isinstance(tree, dict) and isinstance(tree.get("id"), str) else f"entry {number}"

    def demand(holds: bool, rule: str) -> None:
        if not holds:
            raise LedgerError(f"ledger {path}, {name}: {rule}")

    def known(value: str, choices: Any, what: str) -> None:
        near = get_close_matches(value, choices, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(choices)}"
        demand(value in choices, f"there is no {what} {value!r}; {hint}")

    demand(isinstance(tree, dict), "it is no table")
    for key in tree:
        known(key, (*NEEDED, *OPTIONAL), "key")
    for key in NEEDED:
        demand(key in tree, f"it lacks {key!r}")
        if key not in ("op", "found"):
            demand((isinstance(tree[key], str) or key in ("verdict", "where")) and bool(tree[key]), f"{key!r} must be text")
    demand(bool(re.fullmatch(r"[\w.-]+", tree["id"])), "'id' names a file: letters, digits, '_', '-' and '.' only")
    demand(type(tree["found"]) is date, "'found' must be a date, as in 2026-01-31")
    ops = tree["op"] if isinstance(tree["op"], list) else [tree["op"]]
    demand(_list_of(ops, str), "'op' must be an op's name, or a list of names")
    for op in ops:
        known(op, ("*", "accumulation", *OPS), "op")
    verdicts = tree["verdict"] if isinstance(tree["verdict"], list) else [tree["verdict"]]
    demand(_list_of(verdicts, str), "'verdict' must be a verdict, or a list of verdicts")
    for verdict in verdicts:
        known(verdict, VERDICTS, "failing verdict")
    places = tree["where"] if isinstance(tree["where"], list) else [tree["where"]]
    demand(_list_of(places, str), "'where' must be a part of the answer, or a list of parts")
    for place in places:
        known(place, WHERE, "'where'")
    when = tree.get("when", {})
    demand(isinstance(when, dict), "'when' must be a table of conditions")
    for key, wanted in when.items():
        known(key, tuple(CONDITIONS), "condition")
        demand(CONDITIONS[key].valid(wanted), f"condition {key!r} {CONDITIONS[key].rule}")
    try:
        versions = SpecifierSet(tree.get("versions", ""))
    except (InvalidSpecifier, TypeError, AttributeError):
        demand(False, f"'versions' must be a range such as '>=2.4,<3', not {tree['versions']!r}")
    try:
        question = _question(tree, path)
    except (LookupError, TypeError, ValueError, ArithmeticError) as problem:  # a program that cannot run raises any of these
        demand(False, f"its case does not make sense: {problem}")
    return Entry(
        tree["id"], tuple(ops), tuple(verdicts), tuple(places), tree["reason"], tree["proof"], tree["found"],
        versions, when, question,
    )  # fmt: skip


def _question(tree: Mapping[str, Any], path: Path) -> Question:
    """An entry's case: written in the entry, or in a file beside the ledger."""
    case = tree.get("case")
    if case is None:
        found = read_case(path.with_suffix("") / f"{tree['id']}.json")
        if not isinstance(found, Case):
            raise ProgramError("it is a history of tensors, which a [[departure]] has")
        return found.question
    if not isinstance(case, Mapping):
        raise ProgramError("it is no table")
    program = Program.from_json(case)
    for step in program.steps:
        if step.op not in OPS:
            raise UnknownOp(step.op)
    return as_question(program, array_from_json(case["cotangent"]) if "cotangent" in case else None)
