"""Kinks on show: a fixed table of programs at points where implementations choose, put to a backend once a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..oracle.program import Input, Program

__all__ = ["SHOWN", "Shown"]


@dataclass(frozen=True, eq=False)
class Shown:
    """One row.

    Parameters
    ----------
    name : str
        The expression and the point.
    program : Program
    subgradients : str
        What may be picked: the Clarke subdifferential, or the derivative where there is one.
    holds : callable, optional
        ``holds(gradient) -> bool``: whether a gradient is one of those; where it is left out, the certificate tells.
    """

    name: str
    program: Program
    subgradients: str
    holds: Callable[[np.ndarray], bool] | None = None


def _fixed(value: Any) -> Input:
    return Input(np.asarray(value), constant=True)


def _row(
    name: str, inputs: list[Any], steps: list[Any], subgradients: str, holds: Callable[[np.ndarray], bool] | None = None
) -> Shown:
    return Shown(name, Program.of(inputs, steps), subgradients, holds)


def _in_ball(g: np.ndarray) -> bool:
    return bool(np.sqrt(np.sum(g * g)) <= 1)


def _infinite(g: np.ndarray) -> bool:
    return bool(np.isposinf(g).all())


# fmt: off
SHOWN = (
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
