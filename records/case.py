"""Cases: a question that was answered wrongly, with all that is needed to ask it again and to see what is wrong.

A case is made once, where a failure is found; the failure's record holds it, and `save_case` writes it to a file of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError, field_validator
from pydantic_core import from_json

from ..oracle.certificate import Truth
from ..oracle.judge import Finding, Judgement
from ..oracle.kinks import Subdifferential
from ..oracle.legs import Witness
from ..oracle.modes import MODES, Mode
from ..oracle.program import Program, ProgramError, Question, letter
from ..oracle.reference import UnknownOp
from ..oracle.reference.evaluate import check_sizes
from .divergences import EntryId
from .fields import ArrayField, FrozenModel, ModeName, QuestionField, Real, Stance, Verdict, describe
from .script_case import SCHEMA_VERSION, NotRead, ScriptCase
from .text import read_text, write_text

__all__ = [
    "CASE", "AnyCase", "Bound", "Bounds", "Case", "ScriptCase", "WitnessRecord", "checked_value", "parse_case", "read_case",
    "save_case",
]  # fmt: skip


class WitnessRecord(FrozenModel):
    """What one leg says of the derivative along the question's directions, see `adjudge.oracle.legs.Witness`."""

    leg: str
    stance: Stance
    derivative: Real
    note: str = ""

    @classmethod
    def of(cls, witness: Witness) -> WitnessRecord:
        """What a witness says."""
        return cls(leg=witness.leg, stance=witness.stance, derivative=witness.derivative, note=witness.note)


class Bound(FrozenModel):
    """What one array of an answer can be held to: ``|got - expected| <= allowance``.

    Parameters
    ----------
    name : str
        "value", "gradient of a", "tangent" or "hvp of a".
    expected, allowance : ndarray
        At a kink they say between which numbers a subgradient lies.
    slope : ndarray, optional
        At a kink where that is not enough: this array's part of a direction among the gradients along which every subgradient
        is below `Bounds.most`.
    """

    name: str
    expected: ArrayField
    allowance: ArrayField
    slope: ArrayField | None = None


class Bounds(FrozenModel):
    """What the arrays of an answer can be held to without adjudge.

    Parameters
    ----------
    rows : tuple of Bound
        In the order in which the mode gives them: the value and one gradient per variable (vjp), the value and its tangent
        (jvp), one product per variable (hvp). Empty where the truth is not known.
    most : float, optional
        See `Bound.slope`.
    """

    rows: tuple[Bound, ...] = ()
    most: Real | None = None

    @property
    def slopes(self) -> list[np.ndarray]:
        """The direction among the gradients that separates them from all subgradients; empty where there is none."""
        return [row.slope for row in self.rows if row.slope is not None]

    @classmethod
    def of(cls, judgement: Judgement, finding: Finding | None) -> Bounds:
        """What a judgement held an answer to, in the mode that a finding is about; nothing where the truth is not known."""
        certificate = judgement.certificate
        if certificate.value is None:
            return cls()

        def bound(name: str, truth: Any, explained: np.ndarray | None) -> Bound:
            about = finding if finding is not None and finding.where == name else None
            allowance = _about_nearest(truth, about)
            if explained is not None:
                allowance = np.where(np.isfinite(explained), np.maximum(allowance, explained), allowance)
            return Bound(name=name, expected=truth.nearest, allowance=allowance)

        program, mode = judgement.question.program, MODES[finding.mode if finding is not None else "vjp"]
        truths = mode.certify(certificate)
        lossy = _lossy(judgement, mode, truths, finding)
        arrays = zip(mode.places(program), truths.arrays, lossy, strict=False)
        rows = [bound(name, truth, explained) for name, truth, explained in arrays if truth is not None]
        if mode.name == "jvp" and rows:
            rows.insert(0, bound("value", certificate.value, certificate.lossy[0]))
        if mode.directed or not certificate.kink:
            return cls(rows=tuple(rows))
        kink = Subdifferential(certificate)
        separation = kink.separation(kink.shown(judgement.gradients)) if judgement.gradients else None
        for place, n in enumerate(program.variables, 1):
            low, high = kink.vertices[n].min(0), kink.vertices[n].max(0)
            about = {"expected": (low + high) / 2, "allowance": (high - low) / 2 + kink.allowances[n].max(0)}
            about["slope"] = None if separation is None else separation.slope.get(n)
            rows[place] = rows[place].model_copy(update=about)
        return cls(rows=tuple(rows), most=None if separation is None else separation.most)


def _lossy(judgement: Judgement, mode: Mode, truths: Truth, finding: Finding | None) -> Sequence[np.ndarray | None]:
    """How far each array may be off by loss of digits, which is no fault unless the case is about it."""
    unknown = [None] * len(truths.arrays)
    if truths.trouble or mode.name == "jvp" or (finding is not None and finding.verdict == "lossy"):
        return unknown
    return mode.lossy(judgement.certificate, truths, unknown)


def _about_nearest(truth: Any, finding: Finding | None) -> np.ndarray:
    """The allowance about the float nearest to the truth, exact on the side where the worst element is off."""
    side = np.ones(truth.nearest.shape)
    if finding is not None and np.isfinite(finding.got):
        side[finding.index] = np.sign(finding.got - finding.expected) * np.sign(truth.residual[finding.index])
    return np.asarray(truth.allowance + side * np.abs(truth.residual))


class Case(FrozenModel):
    """A question, and how a backend's answer to it was judged.

    Parameters
    ----------
    id : str
    backend : str
        The name of the backend that was judged: never a place to import one from.
    versions : mapping
        Package name to version, the library under test first.
    verdict : str
    mode : str
        The mode that is to blame: "vjp", "jvp" or "hvp".
    blamed : str or None
        The op to blame, or "accumulation".
    where, reason : str
        As in `adjudge.oracle.judge.Finding`.
    question : Question
    bounds : Bounds
    witnesses : tuple of WitnessRecord
        What every leg says.
    """

    kind: Literal["program"] = "program"
    schema_version: Literal[2] = SCHEMA_VERSION
    id: EntryId
    backend: str
    spec: NotRead = ""
    versions: dict[str, str] = {}
    verdict: Verdict
    mode: ModeName = "vjp"
    blamed: str | None = None
    where: str = ""
    reason: str = ""
    question: QuestionField
    bounds: Bounds = Bounds()
    witnesses: tuple[WitnessRecord, ...] = ()

    @field_validator("question")
    @classmethod
    def _makes_sense(cls, question: Question) -> Question:
        value = checked_value(question.program)
        if question.cotangent.shape != value.shape:
            raise ProgramError(f"the cotangent has shape {question.cotangent.shape}; the program's value has {value.shape}")
        for n, (i, v) in enumerate(zip(question.program.inputs, question.directions, strict=True)):
            if v is not None and v.shape != i.data.shape:
                raise ProgramError(f"the direction of {letter(n)} has shape {v.shape}; the input has {i.data.shape}")
        return question

    @classmethod
    def of(
        cls, judgement: Judgement, backend: str, versions: Mapping[str, str], *, finding: Finding | None = None,
        blamed: str | None = None, witnesses: Iterable[Witness] = (),
    ) -> Case:  # fmt: skip
        """The case of one judgement: of its gravest finding unless another is given."""
        worst = finding or judgement.worst
        return cls(
            id=judgement.question.id, backend=backend, versions=dict(versions),
            verdict=worst.verdict if worst else judgement.verdict, mode=worst.mode if worst else "vjp", blamed=blamed,
            where=worst.where if worst else "", reason=worst.reason if worst else "", question=judgement.question,
            bounds=Bounds.of(judgement, worst), witnesses=tuple(map(WitnessRecord.of, witnesses)),
        )  # fmt: skip


AnyCase = Annotated[Case | ScriptCase, Field(discriminator="kind")]
CASE: TypeAdapter[Case | ScriptCase] = TypeAdapter(AnyCase)


def checked_value(program: Program) -> np.ndarray:
    """The value of a program from a file, by NumPy; `ProgramError` if it makes no sense, or is too large to be asked about."""
    try:
        return check_sizes(program)
    except UnknownOp as problem:
        raise ProgramError(str(problem)) from problem
    except (LookupError, TypeError, ValueError, ArithmeticError, MemoryError) as problem:
        raise ProgramError(f"the program cannot be run: {problem}") from problem


def parse_case(text: str) -> Case | ScriptCase:
    """A case of either kind from its JSON.

    Raises
    ------
    ProgramError
        Naming the first thing that is missing or makes no sense.
    """
    try:
        tree = from_json(text)
    except ValueError as problem:
        raise ProgramError(f"it is not JSON: {problem}") from problem
    if not isinstance(tree, dict):
        raise ProgramError(f"a case must be an object, not {'a list' if isinstance(tree, list) else repr(tree)}")
    if (version := tree.get("schema_version", SCHEMA_VERSION)) != SCHEMA_VERSION:
        raise ProgramError(f"the case has schema version {version}; this adjudge reads version {SCHEMA_VERSION}")
    try:
        return CASE.validate_json(text)
    except ValidationError as problem:
        raise ProgramError(describe(problem, AnyCase)) from problem


def read_case(path: Path) -> Case | ScriptCase:
    """Read a case file.

    Raises
    ------
    ProgramError
        Naming the file, and what is wrong with it.
    """
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as problem:
        raise ProgramError(f"case {path} cannot be read: {getattr(problem, 'strerror', None) or 'not UTF-8'}") from problem
    try:
        return parse_case(text)
    except ProgramError as problem:
        raise ProgramError(f"case {path}: {problem}") from problem


def save_case(folder: Path, case: Case | ScriptCase, script: str | None) -> None:
    """Write ``ID.json``, one line per field, and ``ID.py`` where there is a script."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = case.model_dump(mode="json")
    lines = [f"{json.dumps(name)}: {json.dumps(value, allow_nan=False)}" for name, value in fields.items()]
    write_text(folder / f"{case.id}.json", "{\n" + ",\n".join(lines) + "\n}\n")
    if script is not None:
        write_text(folder / f"{case.id}.py", script)
