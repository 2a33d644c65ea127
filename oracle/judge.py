"""The judge: compares an implementation's answer with the certificate, and returns a verdict with its reasons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import numpy as np

from .certificate import CONDITION, Certificate, Enclosure, Truth, certify
from .contract import broken_in_reverse, disturbed, not_an_array, raised, same
from .dtypes import TINY
from .kinks import Subdifferential
from .modes import DIRECTED, MODES, Mode, Reply
from .program import Question
from .protocol import Backend, Implementation, NotAnArray, Observation, as_backend
from .series import directions_in_dtype
from .verdicts import FAILING, GRAVITY, HARMLESS, VERDICTS, Finding, gravest

__all__ = ["FAILING", "GRAVITY", "VERDICTS", "Finding", "Judgement", "certificate_for", "judge"]


@dataclass(frozen=True)
class Judgement:
    """The judgement of one answer: the gravest finding's verdict, and all findings.

    Parameters
    ----------
    question : Question
    certificate : Certificate
    verdict : str
        The gravest finding's, or "correct".
    findings : tuple of Finding
    worst_ulp : float
        The largest error of value and gradients, in units in the last place.
    gradients : tuple
        The backend's gradients, completed with zeros.
    modes : mapping
        For each directed mode that was asked the gravest finding, whatever it is.
    """

    question: Question
    certificate: Certificate
    verdict: str
    findings: tuple[Finding, ...]
    worst_ulp: float = 0.0
    gradients: tuple[Any, ...] = ()
    modes: Mapping[str, Finding] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether this fails the gate."""
        return self.verdict in FAILING

    @property
    def worst(self) -> Finding | None:
        """The gravest finding."""
        return gravest(self.findings)


def judge(
    question: Question,
    backend: Backend | Implementation | ModuleType,
    certificate: Certificate | None = None,
    modes: Sequence[str] = tuple(MODES),
) -> Judgement:
    """Ask a backend and judge its answer, in every mode that it has.

    Parameters
    ----------
    question : Question
    backend : Backend
        See `adjudge.oracle.protocol`.
    certificate : Certificate, optional
        Made if left out.
    modes : sequence of str
        The modes of `adjudge.oracle.modes.MODES` to ask for; reverse mode is always asked for.
    """
    backend = as_backend(backend)
    if certificate is None:
        certificate = certificate_for(question, backend)
    judgement, value = _in_reverse(question, backend, certificate)
    lost = any(f.where == "process" for f in judgement.findings)
    if certificate.decided and judgement.verdict != "unsupported" and not lost:
        with np.errstate(all="ignore"):
            for mode in DIRECTED:
                if mode.name in modes:
                    judgement = _with_mode(judgement, mode, backend, value)
    return judgement


def certificate_for(question: Question, backend: Backend) -> Certificate:
    """The certificate under the arithmetic that a backend declares."""
    dtype = question.program.working_dtype.name
    return certify(question, unit=backend.unit_roundoff.get(dtype), flush=backend.flushes_subnormals)


# -- reverse mode --------------------------------------------------------------------------------------------------------------


def _in_reverse(question: Question, backend: Backend, certificate: Certificate) -> tuple[Judgement, np.ndarray | None]:
    """The judgement of value and gradients, and the value that the backend gave, if any."""
    try:
        seen = MODES["vjp"].observe(backend, question.program, question.cotangent, ())
    except (Exception, SystemExit) as problem:  # whatever a backend raises is its verdict
        finding = raised(problem, "program")
        return Judgement(question, certificate, finding.verdict, (finding,)), None
    with np.errstate(all="ignore"):
        findings = broken_in_reverse(question, seen, backend)
        value = seen.arrays[0]
        return _judged(question, certificate, seen, findings), None if isinstance(value, NotAnArray) else value


def _judged(question: Question, certificate: Certificate, seen: Observation, findings: list[Finding]) -> Judgement:
    """The judgement of an answer, given the findings so far."""
    worst = 0.0
    value, *given = seen.arrays
    gradients = _completed(question, given)
    formless = ("shape", "where an array is due")
    shapely = not any(f.verdict == "contract" and any(words in f.reason for words in formless) for f in findings)
    if not certificate.decided:
        findings.append(Finding("undecided", "program", certificate.trouble))
    elif shapely:
        at_kink: dict[int, Finding] = {}
        free: dict[int, np.ndarray] = {}
        if certificate.kink:
            kink = Subdifferential(certificate)
            at_kink, free = kink.findings(gradients), {n: kink.free[n] for n in kink.shown(gradients)}
        numbers, worst = _compared(
            MODES["vjp"], certificate, MODES["vjp"].certify(certificate), MODES["vjp"].reply([value, *given]),
            settled={1 + n: finding for n, finding in at_kink.items()}, free={1 + n: mask for n, mask in free.items()},
        )  # fmt: skip
        findings += numbers
    verdict = min((f.verdict for f in findings), key=GRAVITY.__getitem__, default="correct")
    return Judgement(question, certificate, verdict, tuple(findings), worst, tuple(gradients))


def _completed(question: Question, gradients: Sequence[Any]) -> list[Any]:
    """Gradients with zeros where none was given (the value may not depend on a variable), None for constants.

    Empty where there is not one for each input.
    """
    out: list[Any] = []
    if len(gradients) != len(question.program.inputs):
        return out
    for i, g in zip(question.program.inputs, gradients, strict=True):
        out.append(None if i.constant else g if isinstance(g, np.ndarray) else np.zeros_like(i.data))
    return out


# -- the directed modes --------------------------------------------------------------------------------------------------------


def _with_mode(judgement: Judgement, mode: Mode, backend: Backend, value: np.ndarray | None) -> Judgement:
    """The judgement, once the backend has answered in a directed mode; `value` is what its reverse mode gave, if anything."""
    certificate, place = judgement.certificate, mode.places(judgement.question.program)[0]

    def without_a_verdict(verdict: str, reason: str) -> Judgement:
        return replace(judgement, modes={**judgement.modes, mode.name: Finding(verdict, place, reason, mode=mode.name)})

    ways = mode.ways(backend)
    if not ways:
        return without_a_verdict("unsupported", f"{backend.name} has no {mode.name}")
    truth = mode.certify(certificate)
    if truth.trouble:
        return without_a_verdict("undecided", truth.trouble)
    findings = [_answered(mode, way, backend, certificate, truth, value) for way in ways]
    finding = gravest(findings)
    assert finding is not None
    judgement = replace(judgement, modes={**judgement.modes, mode.name: finding})
    if finding.verdict in HARMLESS:
        return judgement
    verdict = min(judgement.verdict, finding.verdict, key=GRAVITY.__getitem__)
    return replace(judgement, verdict=verdict, findings=(*judgement.findings, finding))


def _answered(
    mode: Mode, way: str, backend: Backend, certificate: Certificate, truth: Truth, value: np.ndarray | None
) -> Finding:
    """The gravest finding about one answer in a directed mode; "correct" where there is none."""
    question = certificate.question
    along = directions_in_dtype(certificate) or ()
    place = mode.places(question.program)[0]
    try:
        seen = mode.observe(backend, question.program, question.cotangent, along, way)
    except (Exception, SystemExit) as problem:  # whatever a backend raises is its verdict
        finding = raised(problem, place, mode.name)
    else:
        reply = mode.reply(seen.arrays)
        broken = _broken(mode, question, reply, seen)
        findings = [broken] if broken is not None else _compared(mode, certificate, truth, reply)[0]
        if broken is None and reply.value is not None and (value is None or not same(reply.value, value)):
            findings += _value_beside(certificate, mode, reply.value)
        finding = gravest(findings) or Finding("correct", place, "within the allowance", mode=mode.name)
    return finding if not way or finding.verdict == "correct" else replace(finding, reason=f"{finding.reason} ({way})")


def _broken(mode: Mode, question: Question, reply: Reply, seen: Observation) -> Finding | None:
    """The finding that breaks the contract, if there is one."""
    names = mode.places(question.program)
    if isinstance(reply.value, NotAnArray):
        return Finding("contract", names[0], f"the value beside it is {reply.value.kind}", mode=mode.name)
    due = mode.due(question, reply)
    if len(reply.arrays) != len(due):
        reason = f"{len(reply.arrays)} arrays for {len(due)} inputs: the shape of the answer is wrong"
        return Finding("contract", names[0], reason, mode=mode.name)
    for name, got, (shape, dtype) in zip(names, reply.arrays, due, strict=True):
        if got is None and len(due) == len(question.program.inputs):
            continue
        if not isinstance(got, np.ndarray):
            kind = got if isinstance(got, NotAnArray) else NotAnArray("None")
            return Finding("contract", name, not_an_array(kind), mode=mode.name)
        if got.shape != shape:
            return Finding("contract", name, f"shape {got.shape} where {shape} is due", mode=mode.name)
        if got.dtype != dtype:
            beside = f"dtype {got.dtype} " + (
                f"beside a value of dtype {dtype}" if reply.value is not None else f"where {dtype} is due"
            )
            return Finding("contract", name, beside, mode=mode.name)
    return disturbed(seen, names, mode.name)


def _value_beside(certificate: Certificate, mode: Mode, value: np.ndarray) -> list[Finding]:
    """Findings about the value that is returned with a derivative, where it differs from that of reverse mode."""
    truth, place = certificate.value, mode.places(certificate.question.program)[0]
    assert truth is not None
    if value.shape != truth.nearest.shape:
        reason = f"the value beside it has shape {value.shape}, not {truth.nearest.shape}"
        return [Finding("contract", place, reason, mode=mode.name)]
    error = truth.error(value)
    outside = ~(error <= truth.allowance)
    if not outside.any():
        return []
    bound = certificate.lossy[0]
    assert bound is not None
    finding = _classify(place, value, truth, error, outside, bound)
    return [replace(finding, reason=f"the value beside it: {finding.reason}", mode=mode.name)]


# -- numbers -------------------------------------------------------------------------------------------------------------------


def _compared(
    mode: Mode,
    certificate: Certificate,
    truth: Truth,
    reply: Reply,
    settled: Mapping[int, Finding] | None = None,
    free: Mapping[int, np.ndarray] | None = None,
) -> tuple[list[Finding], float]:
    """Findings about the numbers of an answer, and their largest error in units in the last place.

    Parameters
    ----------
    settled : mapping of int to Finding
        Arrays of the answer that are judged already.
    free : mapping of int to ndarray
        Elements that need not be compared.
    """
    settled, free, worst = settled or {}, free or {}, 0.0
    arrays = [
        None if expected is None else np.zeros(expected.nearest.shape) if given is None else np.asarray(given)
        for given, expected in zip(reply.arrays, truth.arrays, strict=True)
    ]
    errors = [
        None if expected is None or got is None or number in settled else _error(expected, got, free.get(number))
        for number, (got, expected) in enumerate(zip(arrays, truth.arrays, strict=True))
    ]
    bounds: Sequence[np.ndarray | None] | None = None
    findings: list[Finding] = []
    for number, name in enumerate(mode.places(certificate.question.program)):
        got, expected, error = arrays[number], truth.arrays[number], errors[number]
        if number in settled:
            findings.append(settled[number])
        if got is None or expected is None or error is None:
            continue
        outside = ~(error <= expected.allowance)
        worst = max(worst, _ulps(error, expected))
        if not outside.any():
            if expected.ill_conditioned.any():
                findings.append(_ill_conditioned(name, expected))
        elif reply.arrays[number] is None:
            what = name.split(" ")[0]
            findings.append(Finding("contract", name, f"no {what} where one of shape {got.shape} is due"))
        else:
            bounds = mode.lossy(certificate, truth, errors) if bounds is None else bounds
            bound = bounds[number]
            assert bound is not None
            findings.append(_classify(name, got, expected, error, outside, bound))
    return [replace(finding, mode=mode.name) for finding in findings], worst


def _error(expected: Enclosure, got: np.ndarray, free: np.ndarray | None) -> np.ndarray:
    """The error of an array, with 0 for the elements that need not be compared."""
    error = expected.error(got)
    return error if free is None else np.where(free, 0.0, error)


def _ulps(error: np.ndarray, truth: Enclosure) -> float:
    """The largest error in units in the last place, of elements that are not mostly cancellation."""
    size = np.abs(truth.nearest)
    units = np.where(
        truth.allowance <= size * CONDITION, error / np.maximum(size * truth.model.ulp, truth.model.underflow), 0.0
    )
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
    name: str, got: np.ndarray, truth: Enclosure, error: np.ndarray, outside: np.ndarray, lossy: np.ndarray
) -> Finding:
    """The finding of the worst element of one array."""
    unusable = outside & ~np.isfinite(got)
    explained = outside & ~unusable & (error <= lossy)
    if unusable.any():
        verdict, place = "non-finite", _first(unusable)
    elif (outside & ~explained).any():
        excess = np.where(outside & ~explained, error / np.maximum(truth.allowance, TINY), -1.0)
        verdict, place = "wrong", tuple(int(i) for i in np.unravel_index(np.argmax(excess), excess.shape))
    else:
        relative = np.where(explained, error / np.maximum(np.abs(truth.nearest), TINY), -1.0)
        verdict, place = "lossy", tuple(int(i) for i in np.unravel_index(np.argmax(relative), relative.shape))
    off, expected = float(error[place]), float(truth.nearest[place])
    units = off / max(abs(expected) * truth.model.ulp, truth.model.underflow)
    lost = math.log2(units) if 1 < units < math.inf else 0.0
    reason = {
        "non-finite": f"{got[place]} where the truth is {expected:.6g}",
        "wrong": f"off by {off:.3g}, and rounding explains at most {float(truth.allowance[place]):.3g}",
        "lossy": f"{lost:.0f} bits lost: the textbook formula rounds that much",
    }[verdict]
    return Finding(verdict, name, reason, place, float(got[place]), expected, off, float(truth.allowance[place]), lost)
