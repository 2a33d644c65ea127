"""Accuracy: how many units in the last place gradients are off, where, and the smallest fault that would have been seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .certificate import CONDITION, Enclosure
from .judge import Judgement
from .reference import OPS

__all__ = ["Accuracy", "accuracy"]

#: How many elements' errors are kept per answer, the worst among them, where the op takes one operand elementwise.
POINTS = 4


@dataclass(frozen=True)
class Accuracy:
    """How good the gradients of one answer are.

    Elements that are mostly cancellation (their allowance is wider than `CONDITION` of them, or than half of the digits of a
    dtype of few) say nothing about the rule, and are left out.

    Parameters
    ----------
    worst, median : float
        Errors of gradient elements in units in the last place.
    floor : float
        The smallest relative error of one element that would certainly have exceeded the allowance, on top of the error that
        the answer has: ``min((allowance + error) / |truth|)``.
    at : tuple of float
        The operands at the worst element, where the program is one elementwise op whose operands have one shape.
    points : tuple of pairs
        The operand and the error in units in the last place of some elements, where that op has one operand.
    """

    worst: float
    median: float
    floor: float
    at: tuple[float, ...] = ()
    points: tuple[tuple[float, float], ...] = ()


def accuracy(judgement: Judgement) -> Accuracy | None:
    """The accuracy of a judged answer: None where nothing is known, at kinks, and of answers that are wrong or incomplete.

    Examples
    --------
    >>> import numpy as np
    >>> from adjudge import Program, judge
    >>> measured = accuracy(judge(Program.of([np.array([0.5, 25.0])], [("tanh", [0])]), "mirror"))
    >>> measured.worst <= 0.5, measured.floor < 1e-14, len(measured.points)
    (True, True, 2)
    """
    certificate = judgement.certificate
    if judgement.verdict not in ("correct", "lossy") or certificate.kink:
        return None
    units: dict[int, np.ndarray] = {}
    floors, place = [], (0, 0)
    for n, truth in enumerate(certificate.gradients):
        if truth is None:
            continue
        error = truth.error(judgement.gradients[n])
        size = np.abs(truth.nearest)
        clear = (truth.allowance <= size * max(CONDITION, truth.model.ulp**0.5)) & (size > 0) & np.isfinite(error)
        unit = np.where(clear, _in_ulps(error, size, truth), -1.0).reshape(-1)
        if unit.size and unit.max() > max((u.max(initial=-1.0) for u in units.values()), default=-1.0):
            place = n, int(unit.argmax())
        floors.append(float(((truth.allowance[clear] + error[clear]) / size[clear]).min(initial=np.inf)))
        units[n] = unit
    every = np.concatenate([u[u >= 0] for u in units.values()]) if units else np.zeros(0)
    if not every.size:
        return None
    at, points = _places(judgement, units, *place)
    return Accuracy(float(every.max()), float(np.median(every)), float(min(floors)), at, points)


def _in_ulps(error: np.ndarray, size: np.ndarray, truth: Enclosure) -> np.ndarray:
    with np.errstate(over="ignore"):  # a unit may be the smallest subnormal
        return np.asarray(error / np.maximum(size * truth.model.ulp, truth.model.underflow))


def _places(
    judgement: Judgement, units: dict[int, np.ndarray], worst_of: int, worst: int
) -> tuple[tuple[float, ...], tuple[tuple[float, float], ...]]:
    """The operands at the worst element, and some points, where the program is one elementwise op."""
    program = judgement.question.program
    step = program.steps[0]
    operands = [program.inputs[a].data for a in step.args] if len(program.steps) == 1 else []
    if worst_of not in step.args or not operands or not OPS[step.op].elementwise or len({x.shape for x in operands}) > 1:
        return (), ()
    at = tuple(float(x.reshape(-1)[worst]) for x in operands)
    if len(operands) > 1:
        return at, ()
    x, u = operands[0].reshape(-1), units[worst_of]
    clear = np.flatnonzero(u >= 0)
    chosen = dict.fromkeys([worst, *(int(i) for i in clear[np.linspace(0, len(clear) - 1, POINTS - 1).astype(int)])])
    return at, tuple((float(x[i]), float(u[i])) for i in chosen)
