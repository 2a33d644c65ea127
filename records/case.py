"""Cases: a question that was answered wrongly, with all that is needed to ask it again and to see what is wrong.

A case is made once, where a failure is found; the failure's record holds it, and `save_case` writes it to a file of its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError, field_validator

from ..oracle.judge import Finding, Judgement
from ..oracle.legs import Witness
from ..oracle.program import ProgramError, Question, letter
from ..oracle.reference import OPS, UnknownOp
from ..oracle.tangent import certify_tangent
from .fields import ArrayField, FrozenModel, QuestionField, Real, Stance, Verdict, describe
from .script_case import SCHEMA_VERSION, ScriptCase

__all__ = [
    "CASE", "AnyCase", "Bound", "Bounds", "Case", "ScriptCase", "WitnessRecord", "mode_of", "parse_case", "read_case",
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
        return cls(leg=witness.leg, stance=witness.stance, derivative=witness.said, note=witness.note)


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

        def bound(name: str, truth: Any) -> Bound:
            about = finding if finding is not None and finding.where == name else None
            return Bound(name=name, expected=truth.nearest, allowance=_about_nearest(truth, about))

        value = bound("value", certificate.value)
        if finding is not None and finding.where == "tangent":
            tangent = certify_tangent(certificate).truth
            return cls(rows=(value, bound("tangent", tangent))) if tangent is not None else cls()
        truths = {n: e for n, e in enumerate(certificate.gradients) if e is not None}
        if not certificate.kink:
            return cls(rows=(value, *(bound(f"gradient of {letter(n)}", e) for n, e in truths.items())))
        slopes, most = _separation(judgement)
        rows = [value]
        for n in truths:
            ends = np.stack([v[n].nearest for v in certificate.vertices])  # type: ignore[union-attr]
            room = np.max([v[n].allowance for v in certificate.vertices], axis=0)  # type: ignore[union-attr]
            middle, reach = (ends.max(0) + ends.min(0)) / 2, (ends.max(0) - ends.min(0)) / 2
            name = f"gradient of {letter(n)}"
            rows.append(Bound(name=name, expected=middle, allowance=reach + room, slope=slopes.get(n)))
        return cls(rows=tuple(rows), most=most)


def _about_nearest(truth: Any, finding: Finding | None) -> np.ndarray:
    """The allowance about the float nearest to the truth, exact on the side where the worst element is off."""
    side = np.ones(truth.nearest.shape)
    if finding is not None and np.isfinite(finding.got):
        side[finding.index] = np.sign(finding.got - finding.expected) * np.sign(truth.residual[finding.index])
    return np.asarray(truth.allowance + side * np.abs(truth.residual))


def _separation(judgement: Judgement) -> tuple[dict[int, np.ndarray], float | None]:
    """A direction along which the gradients lie beyond the hull of the one-sided ones, by input; empty where they do not."""
    certificate, got = judgement.certificate, judgement.gradients
    shapes = {n: np.shape(e.nearest) for n, e in enumerate(certificate.gradients) if e is not None}
    if len(got) != len(certificate.gradients) or any(np.shape(got[n]) != shape for n, shape in shapes.items()):
        return {}, None

    def row(arrays: Any) -> np.ndarray:
        return np.concatenate([np.zeros(0), *(np.asarray(arrays[n], np.float64).reshape(-1) for n in shapes)])

    corners = np.stack([row([None if e is None else e.nearest for e in v]) for v in certificate.vertices])
    room = np.max([row([None if e is None else e.allowance for e in v]) for v in certificate.vertices], axis=0)
    target = row(got)
    if not target.size or not np.isfinite(target).all() or not np.isfinite(room).all():
        return {}, None
    from scipy.optimize import linprog  # takes half a second to load, and is seldom needed

    # Maximise w.target - most - |w|.room over w = p - q, each part of it between 0 and 1, with w.corner <= most for all.
    solution = linprog(
        np.concatenate([room - target, room + target, [1.0]]),
        A_ub=np.concatenate([corners, -corners, -np.ones((len(corners), 1))], axis=1),
        b_ub=np.zeros(len(corners)),
        bounds=[(0, 1)] * (2 * target.size) + [(None, None)],
    )
    w = solution.x[: target.size] - solution.x[target.size : -1]
    most = float((corners @ w).max() + np.abs(w) @ room)
    if w @ target <= most:
        return {}, None
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    parts = np.split(w, ends[:-1])
    return {n: part.reshape(shape) for (n, shape), part in zip(shapes.items(), parts, strict=True)}, most


class Case(FrozenModel):
    """A question, and how a backend's answer to it was judged.

    Parameters
    ----------
    id : str
    backend : str
        The name of the backend that was judged.
    spec : str
        What the user typed to name the backend; its name where nobody did.
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
    id: str
    backend: str
    spec: str = ""
    versions: dict[str, str] = {}
    verdict: Verdict
    mode: str = "vjp"
    blamed: str | None = None
    where: str = ""
    reason: str = ""
    question: QuestionField
    bounds: Bounds = Bounds()
    witnesses: tuple[WitnessRecord, ...] = ()

    @field_validator("question")
    @classmethod
    def _of_known_ops(cls, question: Question) -> Question:
        for op in question.program.ops:
            if op not in OPS:
                raise ProgramError(str(UnknownOp(op)))
        return question

    @classmethod
    def of(
        cls, judgement: Judgement, backend: str, versions: Mapping[str, str], *, finding: Finding | None = None,
        blamed: str | None = None, witnesses: Iterable[Witness] = (), spec: str = "",
    ) -> Case:  # fmt: skip
        """The case of one judgement: of its gravest finding unless another is given."""
        worst = finding or judgement.worst
        return cls(
            id=judgement.question.id, backend=backend, spec=spec or backend, versions=dict(versions),
            verdict=worst.verdict if worst else judgement.verdict, mode=mode_of(worst.where) if worst else "vjp", blamed=blamed,
            where=worst.where if worst else "", reason=worst.reason if worst else "", question=judgement.question,
            bounds=Bounds.of(judgement, worst), witnesses=tuple(map(WitnessRecord.of, witnesses)),
        )  # fmt: skip


def mode_of(where: str) -> str:
    """The mode that a finding is about, by the part of the answer that it names."""
    return {"tangent": "jvp", "hvp": "hvp"}.get(where.split(" ")[0], "vjp")


AnyCase = Annotated[Case | ScriptCase, Field(discriminator="kind")]
CASE: TypeAdapter[Case | ScriptCase] = TypeAdapter(AnyCase)


def parse_case(text: str) -> Case | ScriptCase:
    """A case of either kind from its JSON.

    Raises
    ------
    ProgramError
        Naming the first thing that is missing or makes no sense.
    """
    try:
        tree = json.loads(text)
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
        text = path.read_text("utf-8")
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
    (folder / f"{case.id}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    if script is not None:
        (folder / f"{case.id}.py").write_text(script, "utf-8")
