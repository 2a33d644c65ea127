"""Rows of the catalogue: all that the strategies need to know about an op."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from . import parameters
from .arrays import EVERYWHERE, Special
from .domains import Domain
from .kinks import Kink
from .parameters import Parameters

if TYPE_CHECKING:
    from .builder import ProgramBuilder, Value

__all__ = ["Call", "Pattern", "Row"]

#: The operands of a step, and its parameters.
Call = tuple[list["Value"], dict[str, Any]]


@dataclass(frozen=True)
class Pattern:
    """How the operands of an op go together.

    Parameters
    ----------
    call : callable
        ``call(builder, row, base)`` draws operands and parameters. `base` is the value that the step continues from, or None
        for a step on new inputs. Raises `NotApplicable` if the op cannot continue from it.
    dtype : callable
        ``dtype(operands)``: the dtype that NumPy gives the value.
    unary : bool
        Whether there is one operand only. The others are drawn more often, because values meet there.
    """

    call: Callable[[ProgramBuilder, Row, Value | None], Call]
    dtype: Callable[[Sequence[Value]], np.dtype]
    unary: bool = False


@dataclass(frozen=True)
class Row:
    """One op of the catalogue: everything that questions about it depend on.

    Parameters
    ----------
    op : str
        Its name in `adjudge.oracle.reference.OPS`.
    family : str
        One of `adjudge.strategies.catalogue.FAMILIES`, for reports.
    pattern : Pattern
        One of those in `adjudge.strategies.patterns`.
    domains : tuple of str
        One per operand (a single one if there can be any number of operands).
    points : tuple
        Special points, which overrides put into the data.
    kink : Kink, optional
        One of those in `adjudge.strategies.kinks`.
    shapes : str
        The first operand's shapes: a key of `adjudge.strategies.shapes.KINDS`.
    params : callable
        The parameter strategy, from `adjudge.strategies.parameters`.
    keywords : bool
        Whether the op is a universal function, which takes NumPy's ``where=`` (with ``out=``) and ``dtype=``.
    also : tuple of str
        Domains that may be drawn instead of `domains`.
    value : str
        Domain of the value, for example of an op that is singular where its value is 0.
    """

    op: str
    family: str
    pattern: Pattern
    domains: tuple[str, ...]
    points: tuple[Special, ...] = ()
    kink: Kink | None = None
    shapes: str = "any"
    params: Parameters = parameters.none
    keywords: bool = False
    also: tuple[str, ...] = ()
    value: str = "(-inf, inf)"

    @cached_property
    def alternatives(self) -> tuple[tuple[Domain, ...], ...]:
        """`domains` as objects, and `also` if given."""
        return tuple(tuple(map(Domain, texts)) for texts in (self.domains, self.also) if texts)

    @cached_property
    def value_domain(self) -> Domain:
        """`value` as an object."""
        return Domain(self.value)

    @cached_property
    def specials(self) -> tuple[Special, ...]:
        """The op's own points, which make up at least half of the table, and those of every op."""
        return self.points * (-(-len(EVERYWHERE) // len(self.points)) if self.points else 0) + EVERYWHERE
