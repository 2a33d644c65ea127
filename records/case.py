"""Cases: a question that was answered wrongly, with all that is needed to ask it again and to see what is wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..oracle.judge import VERDICTS, Finding, Judgement
from ..oracle.legs import Witness
from ..oracle.modes import MODES
from ..oracle.program import ProgramError, Question, array_from_json, array_to_json, letter
from ..oracle.reference import OPS, UnknownOp
from .lockstep import HistoryCase
from .records import plain

__all__ = ["SCHEMA_VERSION", "Bounds", "Case", "case_from_json", "read_case", "write_case"]

SCHEMA_VERSION = 1
NEEDED = ("schema_version", "id", "backend", "question", "verdict")

#: One array for the value and one for each input's gradient (None where there is nothing to compare with).
Arrays = tuple[np.ndarray | None, ...]


@dataclass(frozen=True, eq=False)
class Bounds:
    """What an answer can be held to without adjudge: ``|got - expected| <= allowance``, for the value and the gradients.

    Parameters
    ----------
    expected, allowance : tuple of ndarray or None
        The value's first, then one an input. At a kink they say between which numbers a subgradient lies.
    slope : tuple of ndarray or None
        At a kink, where that is not enough: a direction among the gradients along which every subgradient is below ``most``.
    most : float
    tangent : tuple of ndarray
        What the tangent should be, and its allowance, in a case about forward mode.
    """

    expected: Arrays = ()
    allowance: Arrays = ()
    slope: Arrays = ()
    most: float = float("inf")
    tangent: tuple[np.ndarray, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        tree: dict[str, Any] = {"expected": _tree(self.expected), "allowance": _tree(self.allowance)}
        tree |= {"slope": {**_tree(self.slope), "most": self.most}} if self.slope else {}
        return tree | ({"tangent": [array_to_json(a) for a in self.tangent]} if self.tangent else {})

    @classmethod
    def from_json(cls, tree: Mapping[str, Any], count: int) -> Bounds:
        """Read what `to_json` wrote, of a program with `count` inputs."""
        expected, allowance, slope = (_arrays(tree.get(key), count) for key in ("expected", "allowance", "slope"))
        most = float(tree["slope"]["most"]) if slope else float("inf")
        tangent = tuple(array_from_json(t) for t in tree.get("tangent") or ())
        if len(tangent) not in (0, 2):
            raise ProgramError(f"'tangent' has {len(tangent)} arrays; it needs two, what is expected and the allowance")
        return cls(expected, allowance, slope, most, tangent)

    @classmethod
    def of(cls, judgement: Judgement, finding: Finding | None) -> Bounds:
        """What a judgement held an answer to; nothing where the truth is not known."""
        certificate = judgement.certificate
        if certificate.value is None:
            return cls()
        names = ["value", *(f"gradient of {letter(n)}" for n in range(len(certificate.gradients)))]
        truths = [certificate.value, *certificate.gradients]
        expected: list[np.ndarray | None] = [None if e is None else e.nearest for e in truths]
        allowance: list[np.ndarray | None] = [
            None if e is None else _about_nearest(e, finding if finding and finding.where == name else None)
            for name, e in zip(names, truths, strict=True)
        ]
        if finding is not None and finding.where == "tangent":
            truth = next(iter(MODES["jvp"].certify(certificate).arrays), None)
            about = () if truth is None else (truth.nearest, _about_nearest(truth, finding))
            return cls(tuple(expected), tuple(allowance), tangent=about)
        if not certificate.kink:
            return cls(tuple(expected), tuple(allowance))
        for n in (n for n, e in enumerate(certificate.gradients) if e is not None):
            ends = np.stack([v[n].nearest for v in certificate.vertices])  # type: ignore[union-attr]
            room = np.max([v[n].allowance for v in certificate.vertices], axis=0)  # type: ignore[union-attr]
            expected[n + 1] = (ends.max(0) + ends.min(0)) / 2
            allowance[n + 1] = (ends.max(0) - ends.min(0)) / 2 + room
        return cls(tuple(expected), tuple(allowance), *_separation(judgement))


def _about_nearest(truth: Any, finding: Finding | None) -> np.ndarray:
    """The allowance about the float nearest to the truth, exact on the side where the worst element is off."""
    side = np.ones(truth.nearest.shape)
    if finding is not None and np.isfinite(finding.got):
        side[finding.index] = np.sign(finding.got - finding.expected) * np.sign(truth.residual[finding.index])
    return np.asarray(truth.allowance + side * np.abs(truth.residual))


def _separation(judgement: Judgement) -> tuple[Arrays, float]:
    """A direction along which the gradients lie beyond the hull of the one-sided ones; empty where they do not."""
    certificate, got = judgement.certificate, judgement.gradients
    shapes = {n: np.shape(e.nearest) for n, e in enumerate(certificate.gradients) if e is not None}
    if len(got) != len(certificate.gradients) or any(np.shape(got[n]) != shape for n, shape in shapes.items()):
        return (), float("inf")

    def row(arrays: Any) -> np.ndarray:
        return np.concatenate([np.zeros(0), *(np.asarray(arrays[n], np.float64).reshape(-1) for n in shapes)])

    corners = np.stack([row([None if e is None else e.nearest for e in v]) for v in certificate.vertices])
    room = np.max([row([None if e is None else e.allowance for e in v]) for v in certificate.vertices], axis=0)
    target = row(got)
    if not target.size or not np.isfinite(target).all() or not np.isfinite(room).all():
        return (), float("inf")
    from scipy.optimize import linprog  # takes half a second to load, and is seldom needed

    # Maximise w.target - most - |w|.room over w = p - q, each part of it between 0 and 1, with w.corner <= most for all.
    found = linprog(
        np.concatenate([room - target, room + target, [1.0]]),
        A_ub=np.concatenate([corners, -corners, -np.ones((len(corners), 1))], axis=1),
        b_ub=np.zeros(len(corners)),
        bounds=[(0, 1)] * (2 * target.size) + [(None, None)],
    )
    w = found.x[: target.size] - found.x[target.size : -1]
    most = float((corners @ w).max() + np.abs(w) @ room)
    if w @ target <= most:
        return (), float("inf")
    parts: list[np.ndarray | None] = [None] * (1 + len(got))
    place = 0
    for n, shape in shapes.items():
        size = math.prod(shape)
        parts[n + 1] = w[place : place + size].reshape(shape)
        place += size
    return tuple(parts), most


def _tree(arrays: Arrays) -> dict[str, Any]:
    value, *gradients = [None if a is None else array_to_json(a) for a in arrays] or [None]
    return {"value": value, "gradients": gradients}


def _arrays(tree: Any, count: int) -> Arrays:
    if tree is None or (tree.get("value") is None and not any(tree["gradients"])):
        return ()
    found = tuple(None if t is None else array_from_json(t) for t in (tree["value"], *tree["gradients"]))
    if len(found) != count + 1:
        raise ProgramError(f"{len(found) - 1} arrays for the gradients of {count} inputs")
    return found


@dataclass(frozen=True, eq=False)
class Case:
    """A question, and what was said of a backend's answer to it.

    Parameters
    ----------
    id : str
    backend : str
        The name of the backend that was judged.
    question : Question
    verdict : str
    blamed : str or None
        The op to blame, or "accumulation".
    where, reason : str
        As in `adjudge.oracle.judge.Finding`.
    bounds : Bounds
    versions : mapping
        Package name to version, the library under test first.
    witnesses : tuple of mappings
        What every leg said: leg, stance, said, note.
    spec : str
        What the user typed to name the backend.
    """

    id: str
    backend: str
    question: Question
    verdict: str
    blamed: str | None = None
    where: str = ""
    reason: str = ""
    bounds: Bounds = field(default_factory=Bounds)
    versions: Mapping[str, str] = field(default_factory=dict)
    witnesses: tuple[Mapping[str, Any], ...] = ()
    spec: str = ""

    @classmethod
    def of(
        cls, judgement: Judgement, backend: str, versions: Mapping[str, str], *, finding: Finding | None = None,
        blamed: str | None = None, witnesses: Iterable[Witness] = (),
    ) -> Case:  # fmt: skip
        """The case of one judgement: of its gravest finding unless another is given."""
        worst = finding or judgement.worst
        return cls(
            judgement.question.id, backend, judgement.question, worst.verdict if worst else judgement.verdict, blamed,
            worst.where if worst else "", worst.reason if worst else "",
            Bounds.of(judgement, worst), dict(versions), tuple(w.to_json() for w in witnesses),
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        tree = {
            "schema_version": SCHEMA_VERSION,
            "id": self.id,
            "backend": self.backend,
            "spec": self.spec or self.backend,
            "versions": dict(self.versions),
            "verdict": self.verdict,
            "blamed": self.blamed,
            "where": self.where,
            "reason": self.reason,
            "question": self.question.to_json(),
            **self.bounds.to_json(),
            "witnesses": list(self.witnesses),
        }
        return dict(plain(tree))

    @classmethod
    def from_json(cls, tree: Any) -> Case:
        """Read what `to_json` wrote.

        Raises
        ------
        ProgramError
            Naming the first thing that is missing or makes no sense.
        """
        if not isinstance(tree, Mapping):
            raise ProgramError(f"a case is a JSON object, not {_kind(tree)}")
        for key in NEEDED:
            if key not in tree:
                raise ProgramError(f"the case lacks {key!r}; it needs {', '.join(NEEDED)}")
        if tree["schema_version"] != SCHEMA_VERSION:
            raise ProgramError(f"the case has schema version {tree['schema_version']}; this adjudge reads {SCHEMA_VERSION}")
        for key, kind in (("id", str), ("backend", str), ("verdict", str), ("question", Mapping)):
            if not isinstance(tree[key], kind):
                raise ProgramError(f"{key!r} is {'text' if kind is str else 'an object'} in a case, not {_kind(tree[key])}")
        if tree["verdict"] not in VERDICTS:
            raise ProgramError(f"verdict {tree['verdict']!r} is not one of {', '.join(VERDICTS)}")
        question = Question.from_json(tree["question"])
        for op in question.program.ops:
            if op not in OPS:
                raise ProgramError(str(UnknownOp(op)))
        try:
            bounds = Bounds.from_json(tree, len(question.program.inputs))
        except ProgramError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError) as problem:
            raise ProgramError(f"what the case expects cannot be read: {type(problem).__name__}: {problem}") from problem
        return cls(
            tree["id"], tree["backend"], question, tree["verdict"], tree.get("blamed"),
            str(tree.get("where", "")), str(tree.get("reason", "")), bounds,
            dict(tree.get("versions") or {}), tuple(tree.get("witnesses") or ()), str(tree.get("spec") or tree["backend"]),
        )  # fmt: skip


def case_from_json(tree: Any) -> Case | HistoryCase:
    """A case of either kind: about a question, or a history of tensors."""
    return HistoryCase.from_json(tree) if isinstance(tree, Mapping) and "history" in tree else Case.from_json(tree)


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")


def read_case(path: Path) -> Case | HistoryCase:
    """Read a case file.

    Raises
    ------
    ProgramError
        Naming the file, and what is wrong with it.
    """
    try:
        tree = json.loads(path.read_text("utf-8"))
    except OSError as problem:
        raise ProgramError(f"case {path} cannot be read: {problem.strerror}") from problem
    except ValueError as problem:
        raise ProgramError(f"case {path} is not JSON: {problem}") from problem
    try:
        return case_from_json(tree)
    except ProgramError as problem:
        raise ProgramError(f"case {path}: {problem}") from problem


def write_case(folder: Path, case: Case | HistoryCase, script: str | None) -> None:
    """Write ``ID.json`` and, where there is one, ``ID.py``."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in case.to_json().items()]
    (folder / f"{case.id}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    if script is not None:
        (folder / f"{case.id}.py").write_text(script, "utf-8")
