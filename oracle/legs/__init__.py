"""Legs: ways to the truth that do not share the rules' mistakes, one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..judge import Judgement
from ..protocol import Backend
from .differences import exact_differences, float_differences, gradient_differences
from .opinion import opinion
from .taylor import taylor
from .witness import Witness

__all__ = [
    "LEGS",
    "Leg",
    "Opinion",
    "Witness",
    "contradiction",
    "exact_differences",
    "float_differences",
    "gradient_differences",
    "opinion",
    "taylor",
]


@dataclass(frozen=True)
class Opinion:
    """Somebody else's library, called in as a witness.

    Parameters
    ----------
    library : Backend
    known : callable
        Gives the name of a known deviation of the library that explains a failing judgement, or None.
    """

    library: Backend
    known: Callable[[Judgement], str | None]


@dataclass(frozen=True)
class Leg:
    """One way to the truth.

    Parameters
    ----------
    name : str
        As users name it.
    letter : str
        As tables show it.
    ask : callable
        ``ask(judgement, opinion)`` gives the `Witness`; None where there is nobody to ask.
    every : int
        One question in so many is put to it, and every failure; 0 where a share of the time says how many.
    certified : bool
        Whether it contradicts with certainty: one that does not is outvoted by one that does.
    library : str
        The shipped backend that is called in as a witness, if one is.
    """

    name: str
    letter: str
    ask: Callable[[Judgement, Opinion | None], Witness | None]
    every: int = 1
    certified: bool = True
    library: str = ""


def _differences(judgement: Judgement, opinion: Opinion | None) -> Witness:
    """Differences of values, and where second order was asked, of gradients."""
    witness = exact_differences(judgement.certificate)
    second = judgement.modes.get("hvp")
    if second is None or second.verdict == "unsupported" or witness.stance == "disagrees":
        return witness
    other = gradient_differences(judgement.certificate)
    return other if other.stance == "disagrees" or witness.stance == "abstains" else witness


def _opinion(judgement: Judgement, called: Opinion | None) -> Witness | None:
    return None if called is None else opinion(judgement.question, called.library, called.known)


#: Every leg, in the order in which they are asked.
LEGS = {
    leg.name: leg
    for leg in (
        Leg("balls", "b", lambda judgement, opinion: Witness("balls", "agrees")),
        Leg("series", "s", lambda judgement, opinion: taylor(judgement.certificate)),
        Leg("differences", "d", _differences, every=8),
        Leg("jax", "j", _opinion, every=0, certified=False, library="jax"),
    )
}


def contradiction(stances: Iterable[tuple[str, str]]) -> bool:
    """Whether legs contradict the balls: one that is certain, or one that is not where no certain one speaks for them.

    Parameters
    ----------
    stances : iterable of (leg, stance)

    Examples
    --------
    >>> contradiction([("series", "agrees"), ("jax", "disagrees")]), contradiction([("balls", "agrees"), ("jax", "disagrees")])
    (False, True)
    """
    said = [(LEGS[leg].certified, stance) for leg, stance in stances if leg != "balls"]
    certain = [stance for certified, stance in said if certified]
    return "disagrees" in certain or ((False, "disagrees") in said and "agrees" not in certain)
