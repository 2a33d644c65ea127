"""Kinks: how far operands are from the points where an op is not differentiable, and a table of programs at such points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..oracle.program import Input, Program

__all__ = ["AT_ZERO", "BOUNDS", "HINGE", "KINK_TABLE", "MARGIN", "ORDER", "TIE", "WITHIN", "Kink", "KinkRow"]


# -- where an op has kinks -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kink:
    """Where an op is not differentiable, or compares its operands.

    Parameters
    ----------
    gap : callable
        ``gap(*operands, **params)``: how far the operands are from a kink, for each place where they can meet one.
    between_operands : bool
        Whether kinks are where one operand meets another, elementwise.
    smooth : bool
        Whether the op is differentiable there all the same, and only compares.
    """

    gap: Callable[..., np.ndarray]
    between_operands: bool = False
    smooth: bool = False


def _gap_to_zero(x: Any, **params: Any) -> np.ndarray:
    """The magnitude of each element."""
    return np.asarray(np.abs(x)).ravel()


def _gap_of_pairs(*operands: Any, **params: Any) -> np.ndarray:
    """The distance of every two operands, elementwise."""
    together = np.broadcast_arrays(*operands)
    return np.concatenate([np.abs(np.subtract(a, b, dtype=float)).ravel() for j, a in enumerate(together) for b in together[:j]])


def _gap_within(x: Any, **params: Any) -> np.ndarray:
    """The distances between neighbours in the sorted array."""
    return np.asarray(np.diff(np.sort(x, axis=None)))


def _gap_to_bounds(x: Any, lower_bound: float = -1, upper_bound: float = 1) -> np.ndarray:
    """The distance to the nearer of two bounds."""
    return np.asarray(np.minimum(np.abs(x - lower_bound), np.abs(x - upper_bound))).ravel()


def _gap_to_hinge(x: Any, labels: Any, hinge: float = 1.0) -> np.ndarray:
    """How far the labelled score's lead over each other score is from the hinge."""
    others = np.arange(x.shape[1]) != labels[:, None]
    lead = x - np.take_along_axis(x, labels[:, None].astype(int), 1)
    return np.asarray(np.abs(lead + hinge)[others])


def _gap_to_margin(x1: Any, x2: Any, y: Any, margin: float) -> np.ndarray:
    """How far the lead of one operand over the other is from the margin."""
    return np.asarray(np.abs(margin - np.reshape(y, (-1,) + (1,) * (x1.ndim - 1)) * (x1 - x2))).ravel()


AT_ZERO = Kink(_gap_to_zero)
TIE = Kink(_gap_of_pairs, between_operands=True)
ORDER = Kink(_gap_of_pairs, between_operands=True, smooth=True)
WITHIN = Kink(_gap_within)
BOUNDS = Kink(_gap_to_bounds)
HINGE = Kink(_gap_to_hinge)
MARGIN = Kink(_gap_to_margin, between_operands=True)


# -- programs at kinks, where implementations choose ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class KinkRow:
    """A program at a kink, which every backend is asked once per run.

    Parameters
    ----------
    name : str
        The expression and the point.
    program : Program
    subgradients : str
        The gradients that may be chosen: the Clarke subdifferential, or the derivative if there is one.
    holds : callable, optional
        ``holds(gradient) -> bool``: whether a gradient is one of those. If it is left out, the certificate decides.
    """

    name: str
    program: Program
    subgradients: str
    holds: Callable[[np.ndarray], bool] | None = None


def _fixed(value: Any) -> Input:
    return Input(np.asarray(value), constant=True)


def _row(
    name: str, inputs: list[Any], steps: list[Any], subgradients: str, holds: Callable[[np.ndarray], bool] | None = None
) -> KinkRow:
    return KinkRow(name, Program.of(inputs, steps), subgradients, holds)


def _in_ball(g: np.ndarray) -> bool:
    return bool(np.sqrt(np.sum(g * g)) <= 1)


def _infinite(g: np.ndarray) -> bool:
    return bool(np.isposinf(g).all())


# fmt: off
KINK_TABLE = (
    _row("abs(x) at 0",                    [0.0],                            [("absolute", [0])],             "[-1, 1]"),
    _row("maximum(x, y) at a tie",         [1.0, 1.0],                       [("maximum", [0, 1])],           "between (1, 0) and (0, 1)"),
    _row("minimum(x, y) at a tie",         [1.0, 1.0],                       [("minimum", [0, 1])],           "between (1, 0) and (0, 1)"),
    _row("max([1, 1, 0])",                 [[1.0, 1.0, 0.0]],                [("max", [0])],                  "between (1, 0, 0) and (0, 1, 0)"),
    _row("clip(x, 0, 1) at 1",             [1.0, _fixed(0.0), _fixed(1.0)],  [("clip", [0, 1, 2])],           "[0, 1]"),
    _row("relu(x) at 0",                   [0.0],                            [("relu", [0])],                 "[0, 1]"),
    _row("norm(x) at (0, 0)",              [[0.0, 0.0]],                     [("norm", [0])],                 "vectors no longer than 1", _in_ball),
    _row("sqrt(x) at 0",                   [0.0],                            [("sqrt", [0])],                 "none: the slope is +inf",  _infinite),
    _row("x**0 at 0",                      [0.0, _fixed(0.0)],               [("power", [0, 1])],             "0"),
    _row("prod([0, 2, 3])",                [[0.0, 2.0, 3.0]],                [("prod", [0])],                 "(6, 0, 0)"),
    _row("prod([0, 0, 3])",                [[0.0, 0.0, 3.0]],                [("prod", [0])],                 "(0, 0, 0)"),
    _row("where(x > 0, log(x), 0) at 0",   [0.0, _fixed(0.0), _fixed(False)], [("log", [0]), ("where", [2, 3, 1])], "0: log is not chosen"),
)
# fmt: on
