"""The judge: what an implementation says, against what is certified; the outcome is a verdict with its reasons."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from .certificate import CONDITION, Certificate, Enclosure, certify
from .program import Input, Question, letter
from .protocol import Answer, Backend, Implementation, Unsupported, as_backend
from .reference.evaluate import as_numpy
from .tangent import certify_tangent, directions_in_dtype, lossy_tangent

__all__ = ["FAILING", "VERDICTS", "Finding", "Judgement", "judge"]

#: Every verdict, the gravest first, with what it means.
VERDICTS = {
    "crash": "the implementation raised an exception",
    "contract": "shape, dtype, a changed or shared input, or two runs that differ",
    "non-finite": "NaN or infinity where the truth is finite",
    "wrong": "farther from the truth than any rounding explains",
    "outside subdifferential": "at a kink, and not even a Clarke subgradient",
    "lossy": "the right formula, but digits are lost",
    "undecided": "the truth is not known well enough to judge",
    "unsupported": "the implementation does not have this",
    "correct": "within the allowance",
}
#: The verdicts that fail the gate.
FAILING = ("crash", "contract", "non-finite", "wrong", "outside subdifferential")
GRAVITY = {verdict: number for number, verdict in enumerate(VERDICTS)}

#: The linear-programming solver's own feasibility tolerance (HiGHS), in units of the spread between vertices.
FEASIBILITY = 1e-7
#: The status by which `scipy.optimize.linprog` says that no point satisfies the constraints.
INFEASIBLE = 2


@dataclass(frozen=True)
class Finding:
    """One reason for a verdict.

    Parameters
    ----------
    verdict : str
        One of `VERDICTS`.
    where : str
        "value", "gradient of a", "tangent", "input a" or "program".
    reason : str
        One sentence.
    index : tuple of int, optional
        The worst element.
    got, expected, error, allowance : float
        Of that element.
    bits_lost : float
        log2 of the error in units in the last place.
    """

    verdict: str
    where: str
    reason: str
    index: tuple[int, ...] = ()
    got: float = math.nan
    expected: float = math.nan
    error: float = math.nan
    allowance: float = math.nan
    bits_lost: float = 0.0


@dataclass(frozen=True)
class Judgement:
    """What the judge says of one answer: the gravest finding's verdict, and all findings.

    `tangent` is what is said of forward mode, whatever that is; None where it was not asked.
    """

    question: Question
    certificate: Certificate
    verdict: str
    findings: tuple[Finding, ...]
    worst_ulp: float = 0.0
    gradients: tuple[Any, ...] = ()
    tangent: Finding | None = None

    @property
    def failed(self) -> bool:
        """Whether this fails the gate."""
        return self.verdict in FAILING

    @property
    def worst(self) -> Finding | None:
        """The gravest finding."""
        return min(self.findings, key=lambda f: GRAVITY[f.verdict], default=None)


def judge(
    question: Question,
    backend: Backend | Implementation | ModuleType,
    certificate: Certificate | None = None,
    tangents: bool = True,
) -> Judgement:
    """Ask a backend and judge its answer, in forward mode as well where it has that.

    Parameters
    ----------
    question : Question
    backend : Backend
        See `adjudge.oracle.protocol`.
    certificate : Certificate, optional
        If it is known already.
    tangents : bool
        Whether forward mode is asked, too.
    """
    backend = as_backend(backend)
    if certificate is None:
        certificate = certificate_for(question, backend)
    try:
        answer, findings = _ask(question, backend)
    except Exception as problem:  # whatever a backend raises is its verdict
        finding, answer = _raised(problem, "program"), None
        judgement = Judgement(question, certificate, finding.verdict, (finding,))
    with np.errstate(all="ignore"):
        if answer is not None:
            judgement = _judged(question, certificate, answer, findings)
        if tangents and backend.jvp is not None and certificate.decided and judgement.verdict != "unsupported":
            return _with_tangent(judgement, backend, None if answer is None else np.asarray(answer.value))
    return judgement


def _raised(problem: Exception, where: str) -> Finding:
    """The finding that an exception is."""
    verdict = "unsupported" if isinstance(problem, Unsupported) else "crash"
    said = str(problem).strip().splitlines()
    reason = said[0] if verdict == "unsupported" and said else f"{type(problem).__name__}: {said[0] if said else ''}"
    return Finding(verdict, where, reason)


def _judged(question: Question, certificate: Certificate, answer: Answer, findings: list[Finding]) -> Judgement:
    """The judgement of an answer, given what already stands against it."""
    worst = 0.0
    gradients = _completed(question, answer.gradients)
    arrays = [("value", np.asarray(answer.value))] + [
        (f"gradient of {letter(n)}", g) for n, g in enumerate(gradients) if g is not None
    ]
    absent = {f"gradient of {letter(n)}" for n, g in enumerate(answer.gradients) if g is None}
    shapely = not any(f.verdict == "contract" and "shape" in f.reason for f in findings)
    if not certificate.decided:
        findings.append(Finding("undecided", "program", certificate.trouble))
    elif shapely:
        at_kink, free = _off_the_hull(certificate, gradients) if certificate.kink else ({}, {})
        enclosures = [certificate.value, *(e for e in certificate.gradients if e is not None)]
        lossy: list[Any] | None = None
        for number, ((name, got), truth) in enumerate(zip(arrays, enclosures, strict=True)):
            assert truth is not None
            if name in at_kink:
                findings.append(at_kink[name])
                continue
            error = np.where(free[name], 0.0, truth.error(got)) if name in free else truth.error(got)
            outside = ~(error <= truth.allowance)
            worst = max(worst, _ulps(error, truth))
            if not outside.any():
                if truth.ill_conditioned.any():
                    findings.append(_ill_conditioned(name, truth))
                continue
            if name in absent:
                findings.append(Finding("contract", name, f"no gradient where one of shape {got.shape} is due"))
                continue
            if lossy is None:
                bounds = certificate.lossy
                lossy = [bounds[0], *(b for b in bounds[1] if b is not None)]
            findings.append(_classify(name, got, truth, error, outside, lossy[number], certificate))
    verdict = min((f.verdict for f in findings), key=GRAVITY.__getitem__, default="correct")
    return Judgement(question, certificate, verdict, tuple(findings), worst, tuple(gradients))


def certificate_for(question: Question, backend: Backend) -> Certificate:
    """The certificate under the arithmetic that a backend declares."""
    dtype = question.program.working_dtype.name
    return certify(question, unit=backend.unit_roundoff.get(dtype), flush=backend.flushes_subnormals)


# -- asking, and the contract --------------------------------------------------------------------------------------------------


def _ask(question: Question, backend: Backend) -> tuple[Answer, list[Finding]]:
    """Two answers to the same question on fresh inputs; the first one, and what breaks the contract."""
    answers: list[list[np.ndarray]] = []
    findings: list[Finding] = []
    given = None
    for _ in range(2):
        inputs = [i.materialise() for i in question.program.inputs]
        cotangent = np.array(question.cotangent)
        with np.errstate(all="ignore"):
            answer = backend.vjp(question.program, inputs, cotangent)
        answers.append([np.array(a) for a in _arrays(answer)])
        if given is None:
            given = answer
            findings += _contract(question, answer, inputs, cotangent, backend)
    assert given is not None
    if not _all_same(answers[0], answers[1]):
        findings.append(Finding("contract", "program", "two runs on the same inputs give different answers"))
    if not _all_same(answers[0], _arrays(given)):
        findings.append(Finding("contract", "program", "the first answer changed when the second was computed"))
    return given, findings


def _arrays(answer: Answer) -> list[np.ndarray]:
    return [np.asarray(answer.value), *(np.asarray(g) for g in answer.gradients if g is not None)]


def _all_same(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> bool:
    return len(first) == len(second) and all(_same(a, b) for a, b in zip(first, second, strict=True))


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)


def _contract(
    question: Question, answer: Answer, inputs: Sequence[Any], cotangent: np.ndarray, backend: Backend
) -> list[Finding]:
    program, out = question.program, []

    def broken(where: str, reason: str) -> None:
        out.append(Finding("contract", where, reason))

    if len(answer.gradients) != len(program.inputs):
        broken(
            "program", f"{len(answer.gradients)} gradients for {len(program.inputs)} inputs: the shape of the answer is wrong"
        )
        return out
    value = np.asarray(answer.value)
    if value.shape != question.cotangent.shape:
        broken("value", f"shape {value.shape} where {question.cotangent.shape} is due")
    elif backend.numpy_dtypes and value.dtype != (expected := as_numpy(program)).dtype:
        broken("value", f"dtype {value.dtype} where NumPy gives {expected.dtype}")
    for n, (i, fresh, g) in enumerate(zip(program.inputs, inputs, answer.gradients, strict=True)):
        name = f"gradient of {letter(n)}"
        if isinstance(fresh, np.ndarray) and not _same_bits(fresh, i):
            broken(f"input {letter(n)}", "the input was changed")
        elif isinstance(fresh, np.ndarray) and fresh.flags.writeable != (i.layout not in ("read-only", "broadcast")):
            broken(f"input {letter(n)}", f"the input was made {'writeable' if fresh.flags.writeable else 'read-only'}")
        if i.constant:
            continue
        if g is None:
            continue
        if not isinstance(g, np.ndarray):
            broken(name, f"a {type(g).__name__} where an array is due")
            continue
        if g.shape != i.data.shape:
            broken(name, f"shape {g.shape} where {i.data.shape} is due")
        elif g.dtype != i.data.dtype:
            broken(name, f"dtype {g.dtype} where {i.data.dtype} is due")
        for m, other in enumerate(inputs):
            if isinstance(other, np.ndarray) and np.may_share_memory(g, other):
                broken(name, f"it shares memory with input {letter(m)}")
        for m, other in enumerate(answer.gradients[:n]):
            if isinstance(other, np.ndarray) and g.size and np.may_share_memory(g, other):
                broken(name, f"it shares memory with the gradient of {letter(m)}")
    if not _same(cotangent, question.cotangent):
        broken("cotangent", "the cotangent that was handed over was changed")
    return out


def _same_bits(array: np.ndarray, i: Input) -> bool:
    return array.shape == i.data.shape and array.dtype == i.data.dtype and array.tobytes() == i.data.tobytes()


def _completed(question: Question, gradients: Sequence[Any]) -> list[Any]:
    """Gradients with zeros where none was given (the value may not depend on a variable), None for constants."""
    out: list[Any] = []
    for i, g in zip(question.program.inputs, gradients, strict=False):
        out.append(None if i.constant else np.zeros_like(i.data) if g is None else np.asarray(g))
    return out


# -- forward mode --------------------------------------------------------------------------------------------------------------

#: What is said of a tangent that stands against nobody: the judgement of value and gradients stays as it is.
HARMLESS = ("undecided", "unsupported", "correct")


def _with_tangent(judgement: Judgement, backend: Backend, value: np.ndarray | None) -> Judgement:
    """The judgement, once the backend has been asked for the tangent; `value` is what its reverse mode gave, if anything."""
    question, certificate = judgement.question, judgement.certificate
    certified = certify_tangent(certificate)
    if certified.truth is None:
        return replace(judgement, tangent=Finding("undecided", "tangent", certified.trouble))
    inputs, directions = [i.materialise() for i in question.program.inputs], directions_in_dtype(certificate)
    try:
        assert backend.jvp is not None
        pushed = backend.jvp(question.program, inputs, [None if v is None else np.array(v) for v in directions or ()])
    except Exception as problem:  # whatever a backend raises is its verdict
        said = _raised(problem, "tangent")
    else:
        said = _said_of_tangent(certificate, certified.truth, pushed, inputs, value)
    if said.verdict in HARMLESS:
        return replace(judgement, tangent=said)
    verdict = min(judgement.verdict, said.verdict, key=GRAVITY.__getitem__)
    return replace(judgement, verdict=verdict, findings=(*judgement.findings, said), tangent=said)


def _said_of_tangent(
    certificate: Certificate, truth: Enclosure, pushed: Any, inputs: Sequence[Any], value: np.ndarray | None
) -> Finding:
    """The gravest finding about a value and its tangent."""
    program = certificate.question.program
    beside, got = pushed
    if not isinstance(got, np.ndarray):
        return Finding("contract", "tangent", f"a {type(got).__name__} where an array is due")
    if got.shape != truth.nearest.shape:
        return Finding("contract", "tangent", f"shape {got.shape} where {truth.nearest.shape} is due")
    if got.dtype != np.asarray(beside).dtype:
        return Finding("contract", "tangent", f"dtype {got.dtype} beside a value of dtype {np.asarray(beside).dtype}")
    for n, (i, fresh) in enumerate(zip(program.inputs, inputs, strict=True)):
        if isinstance(fresh, np.ndarray) and not _same_bits(fresh, i):
            return Finding("contract", "tangent", f"input {letter(n)} was changed")
    error = truth.error(got)
    outside = ~(error <= truth.allowance)
    found = []
    if outside.any():
        found.append(_classify("tangent", got, truth, error, outside, lossy_tangent(certificate, truth, error), certificate))
    elif truth.ill_conditioned.any():
        found.append(_ill_conditioned("tangent", truth))
    if value is None or not _same(np.asarray(beside), value):
        found += _beside_the_tangent(certificate, np.asarray(beside))
    return min(found, key=lambda f: GRAVITY[f.verdict], default=Finding("correct", "tangent", "within the allowance"))


def _beside_the_tangent(certificate: Certificate, value: np.ndarray) -> list[Finding]:
    """What stands against the value that forward mode gives, where it is another one than that of reverse mode."""
    truth = certificate.value
    assert truth is not None
    if value.shape != truth.nearest.shape:
        return [Finding("contract", "tangent", f"the value beside it has shape {value.shape}, not {truth.nearest.shape}")]
    error = truth.error(value)
    outside = ~(error <= truth.allowance)
    if not outside.any():
        return []
    bounds = certificate.lossy[0]
    assert bounds is not None
    found = _classify("tangent", value, truth, error, outside, bounds, certificate)
    return [replace(found, reason=f"the value beside it: {found.reason}")]


# -- numbers -------------------------------------------------------------------------------------------------------------------


def _ulps(error: np.ndarray, truth: Enclosure) -> float:
    """The largest error in units in the last place, of elements that are not mostly cancellation."""
    size = np.abs(truth.nearest)
    units = np.where(truth.allowance <= size * CONDITION, error / np.maximum(size * truth.model.ulp, truth.model.loss), 0.0)
    return float(np.nan_to_num(units, nan=0.0, posinf=1e300).max(initial=0.0))


def _ill_conditioned(name: str, truth: Enclosure) -> Finding:
    place = _first(truth.ill_conditioned)
    return Finding(
        "undecided", name, "ill-conditioned: the allowance is so wide that a wrong answer could hide in it",
        place, expected=float(truth.nearest[place]), allowance=float(truth.allowance[place]),
    )  # fmt: skip


def _first(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(mask)[0]) if mask.ndim else ()


def _classify(
    name: str, got: np.ndarray, truth: Enclosure, error: np.ndarray, outside: np.ndarray, lossy: np.ndarray, c: Certificate
) -> Finding:
    """The finding of the worst element of one array."""
    unusable = outside & ~np.isfinite(got)
    explained = outside & ~unusable & (error <= lossy)
    if unusable.any():
        verdict, place = "non-finite", _first(unusable)
    elif (outside & ~explained).any():
        excess = np.where(outside & ~explained, error / np.maximum(truth.allowance, np.finfo(np.float64).tiny), -1.0)
        verdict, place = "wrong", tuple(int(i) for i in np.unravel_index(np.argmax(excess), excess.shape))
    else:
        relative = np.where(explained, error / np.maximum(np.abs(truth.nearest), np.finfo(np.float64).tiny), -1.0)
        verdict, place = "lossy", tuple(int(i) for i in np.unravel_index(np.argmax(relative), relative.shape))
    off, expected = float(error[place]), float(truth.nearest[place])
    units = off / max(abs(expected) * c.model.ulp, c.model.loss)
    lost = math.log2(units) if 1 < units < math.inf else 0.0
    reason = {
        "non-finite": f"{got[place]} where the truth is {expected:.6g}",
        "wrong": f"off by {off:.3g}, and rounding explains at most {float(truth.allowance[place]):.3g}",
        "lossy": f"{lost:.0f} bits lost: the textbook formula rounds that much",
    }[verdict]
    return Finding(verdict, name, reason, place, float(got[place]), expected, off, float(truth.allowance[place]), lost)


def _off_the_hull(certificate: Certificate, gradients: Sequence[Any]) -> tuple[dict[str, Finding], dict[str, np.ndarray]]:
    """What stands against the gradients at a kink where its one-sided gradients differ, and where that is.

    There each element must lie between the vertices, and all of them together in the vertices' convex hull, but for the
    allowance; within what loss of digits explains they are lossy. Elsewhere all vertices agree, and the gradient is judged as
    everywhere.
    """
    allowed = _at_vertices(certificate, lambda c, n: c.gradients[n].allowance)  # type: ignore[union-attr]
    stacks = _at_vertices(certificate, lambda c, n: c.gradients[n].nearest)  # type: ignore[union-attr]
    shown = {n: np.asarray(g) for n, g in enumerate(gradients) if g is not None and np.shape(g) == stacks[n].shape[1:]}
    free = {n: stacks[n].max(0) - stacks[n].min(0) > 2 * allowed[n].min(0) for n in shown}
    out = _outside(shown, stacks, free, {n: room.max(0) for n, room in allowed.items()})
    if out and all(np.isfinite(g[free[n]]).all() for n, g in shown.items()):
        lossy = _at_vertices(certificate, lambda c, n: c.lossy[1][n])
        if not _outside(shown, stacks, free, {n: room.max(0) for n, room in lossy.items()}):
            out = {
                n: replace(f, verdict="lossy", reason="at a kink: the textbook formula rounds that much")
                for n, f in out.items()
            }
    return {f.where: f for f in out.values()}, {f"gradient of {letter(n)}": mask for n, mask in free.items()}


def _at_vertices(certificate: Certificate, of: Callable[[Certificate, int], Any]) -> dict[int, np.ndarray]:
    """What each choice of branches says of the gradient of each variable, stacked."""
    return {n: np.stack([of(c, n) for c in certificate.choices]) for n in certificate.question.program.variables}


def _outside(
    shown: dict[int, np.ndarray], stacks: dict[int, np.ndarray], free: dict[int, np.ndarray], rooms: dict[int, np.ndarray]
) -> dict[int, Finding]:
    """What lies outside the hull of the vertices by more than there is room."""
    out: dict[int, Finding] = {}
    for n, g in shown.items():
        low, high, room = stacks[n].min(0), stacks[n].max(0), rooms[n]
        got = g.astype(np.float64)
        outside = free[n] & ~((got >= low - room) & (got <= high + room))
        if outside.any():
            place = _first(outside)
            verdict = "outside subdifferential" if np.isfinite(got[place]) else "non-finite"
            reason = f"{got[place]:.6g} where a subgradient lies in [{low[place]:.6g}, {high[place]:.6g}]"
            out[n] = Finding(
                verdict, f"gradient of {letter(n)}", reason, place, float(got[place]), allowance=float(room[place])
            )
    if out or not any(mask.any() for mask in free.values()):
        return out

    def together(arrays: dict[int, np.ndarray]) -> np.ndarray:
        return np.concatenate([arrays[n][..., free[n]] for n in shown], axis=-1)

    corners, target, room = together(stacks), together({n: g.astype(np.float64) for n, g in shown.items()}), together(rooms)
    width = corners.max(0) - corners.min(0)
    matrix, room = (corners / width).T, room / width + FEASIBILITY
    from scipy.optimize import linprog  # takes half a second to load, and is seldom needed

    found = linprog(
        np.zeros(matrix.shape[1]),
        A_ub=np.concatenate([matrix, -matrix]),
        b_ub=np.concatenate([target / width + room, room - target / width]),
        A_eq=np.ones((1, matrix.shape[1])),
        b_eq=[1.0],
    )
    if found.status == INFEASIBLE:
        first = next(n for n in shown if free[n].any())
        name = f"gradient of {letter(first)}"
        out[first] = Finding("outside subdifferential", name, "no convex combination of the one-sided gradients gives this")
    return out
