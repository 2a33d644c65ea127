"""Which numbers a computation runs on, and how precisely: contexts, and the choices that are made where numbers tie.

``enclosing`` gives balls that contain the exact result; ``rounding_in`` gives balls that contain every honest computation in a
float dtype; ``taylor`` gives truncated Taylor series of balls. Nothing else touches flint's precision, which is global.

``rounding_in`` is the basis of the allowance: ball arithmetic with the precision of a float dtype, less `GUARD_BITS`. Each
primitive result then carries a radius of at least one unit in its last kept place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flint
import numpy as np
from flint import arb_mat

from ..dtypes import float_type

__all__ = [
    "GUARD_BITS", "Arithmetic", "Branches", "Matrices", "Undecided", "arithmetic", "current_branches", "duals",
    "enclosing", "extra_bits", "rounding_in", "rounds", "taylor",
]  # fmt: skip

#: How many bits of a dtype's significand the allowance gives up: a primitive may be off by 2**GUARD_BITS units in the last
#: place. The one constant of the allowance. Intel's SVML, which NumPy uses, promises 4 ulp; `tests/benchmarks/test_libm.py`
#: measures the worst of 21 NumPy functions at 1.1 ulp in float64 and 2.5 ulp in float32. Beyond the guard an answer is
#: lossy, and where no rounding explains it, wrong: JAX's log1p is off by up to 128 ulp.
GUARD_BITS = 2


class Undecided(ArithmeticError):
    """A comparison that balls of this precision cannot decide."""


@dataclass
class Branches:
    """The choices that a run makes where it compares.

    ``decided`` remembers, for each place in the program, the outcomes found at high precision; a run at working precision
    looks them up, and notes in ``doubtful`` that its own balls would not have decided. ``script`` says which branch to take
    at each exact tie, in order; ``ties`` lists the number of branches at each tie met. ``one_sided`` notes that series which
    tie were distinguished by their slopes: beyond that point the other branch holds.
    """

    script: Sequence[int] = ()
    decided: dict[Any, list[np.ndarray]] = field(default_factory=dict)
    ties: list[int] = field(default_factory=list)
    doubtful: bool = False
    one_sided: bool = False
    replaying: bool = False
    place: Any = None
    chosen: dict[Any, int] = field(default_factory=dict)
    _count: int = 0

    def at(self, place: Any) -> None:
        """Say which part of the program runs now."""
        self.place, self._count = place, 0

    def choose(self, where: Any, branches: int) -> int:
        """The branch to take at a tie: the same one for all operands of a step, whose rules compare in the same order."""
        key = (self.place[0] if self.place else None, self._count, where)
        if key not in self.chosen:
            number = len(self.ties)
            self.ties.append(branches)
            self.chosen[key] = self.script[number] if number < len(self.script) else 0
        return self.chosen[key]

    def next_key(self) -> Any:
        """Name the next comparison."""
        self._count += 1
        return (self.place, self._count)


#: Matrices that are known already, each by the identity of its array, which stays alive beside it.
Matrices = dict[int, tuple[Any, arb_mat]]


@dataclass
class Arithmetic:
    """The kind of numbers in use, and how they are rounded.

    Parameters
    ----------
    series : bool
        Whether they are Taylor series of balls.
    dual : bool
        Whether they are dual floats.
    unit : float
        Unit roundoff of the dtype that is modelled; 0 where balls only enclose.
    underflow : float
        The absolute error of every result by underflow.
    flush : bool
        Whether operands lose as much.
    branches : Branches
    matrices : dict, optional
        Matrices of balls that are known already, as flint has them.
    """

    series: bool = False
    dual: bool = False
    unit: float = 0.0
    underflow: float = 0.0
    flush: bool = False
    branches: Branches = field(default_factory=Branches)
    matrices: Matrices | None = None

    @property
    def balls(self) -> bool:
        """Whether numbers are balls."""
        return not (self.series or self.dual)


#: The arithmetic of the innermost context, last; it is as global as flint's precision.
_contexts = [Arithmetic()]


def arithmetic() -> Arithmetic:
    """The arithmetic that holds."""
    return _contexts[-1]


class _Context:
    """Flint's precision, its series' length, and an arithmetic, for as long as it lasts."""

    def __init__(self, bits: int, chosen: Arithmetic, order: int | None = None) -> None:
        self.bits, self.chosen, self.order = bits, chosen, order

    def __enter__(self) -> Branches:
        self.before = flint.ctx.prec, flint.ctx.cap
        _contexts.append(self.chosen)
        flint.ctx.prec = self.bits
        if self.chosen.matrices is None:
            self.chosen.matrices = {}
        if self.order is not None:
            flint.ctx.cap = self.order
        return self.chosen.branches

    def __exit__(self, *problem: object) -> None:
        _contexts.pop()
        flint.ctx.prec, flint.ctx.cap = self.before


def enclosing(bits: int, branches: Branches | None = None, matrices: Matrices | None = None) -> _Context:
    """Context: balls of `bits` bits, which enclose the exact result; runs on the same inputs may share `matrices`."""
    return _Context(bits, Arithmetic(branches=branches or Branches(), matrices=matrices))


def rounding_in(
    dtype: Any,
    branches: Branches | None = None,
    unit: float | None = None,
    underflow: float = 0.0,
    flush: bool = False,
    order: int | None = None,
    matrices: Matrices | None = None,
) -> _Context:
    """Context: balls that enclose every honest computation in `dtype`.

    Parameters
    ----------
    dtype : dtype
        One of `adjudge.oracle.dtypes.FLOATS`.
    branches : Branches, optional
        Outcomes of comparisons at high precision, to be replayed.
    unit : float, optional
        Unit roundoff to assume instead of the dtype's own, for a backend with declared approximate kernels.
    underflow : float
        The absolute error of every result by underflow; 0 where all numbers are far from it.
    flush : bool
        Whether operands lose as much, too: then comparisons of numbers that close are doubtful.
    order : int, optional
        With it the numbers are Taylor series with that many coefficients, which are such balls.
    matrices : dict, optional
        Shared with other runs on the same inputs.
    """
    bits = float_type(dtype).significand if unit is None else max(3, round(-math.log2(unit)))
    chosen = branches or Branches()
    chosen.replaying = branches is not None
    model = Arithmetic(
        series=order is not None, unit=2.0**-bits, underflow=underflow, flush=flush, branches=chosen, matrices=matrices
    )
    return _Context(max(2, bits - GUARD_BITS), model, order)


def taylor(bits: int, order: int = 2, branches: Branches | None = None) -> _Context:
    """Context: Taylor series of `order` coefficients, with ball coefficients of `bits` bits."""
    return _Context(bits, Arithmetic(series=True, branches=branches or Branches()), order)


def duals() -> _Context:
    """Context: dual floats, in the dtype that they come in."""
    return _Context(flint.ctx.prec, Arithmetic(dual=True))


def current_branches() -> Branches:
    """The choices of the context that holds."""
    return arithmetic().branches


def rounds() -> bool:
    """Whether the context that holds models the rounding of a dtype."""
    return arithmetic().unit > 0


class extra_bits:
    """Context: intermediate results of a compound primitive, `bits` more precise than its result."""

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def __enter__(self) -> None:
        self.before = flint.ctx.prec
        flint.ctx.prec = self.before + self.bits

    def __exit__(self, *problem: object) -> None:
        flint.ctx.prec = self.before
