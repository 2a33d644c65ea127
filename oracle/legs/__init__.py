"""The table of legs: independent ways to the truth, which do not share the mistakes of the rules."""

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
    """A third-party library, called in as a witness.

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
        The name that users give it.
    letter : str
        Its letter in tables.
    ask : callable
        ``ask(judgement, opinion)`` gives the `Witness`; None where there is nobody to ask.
    every : int
        It is asked every n-th question, and every failure; 0 where a share of the time decides how often.
    certified : bool
        Whether a contradiction of it is certain: a leg that is not is outvoted by one that is.
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
    """Differences of values, and where second order was asked for, of gradients."""
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
    """Whether legs contradict the balls: a certain one, or an uncertain one where no certain one agrees with them.

    Parameters
    ----------
    stances : iterable of (leg, stance)

    Examples
    --------
    >>> contradiction([("series", "agrees"), ("jax", "disagrees")]), contradiction([("balls", "agrees"), ("jax", "disagrees")])
    (False, True)
    """
    others = [(LEGS[leg].certified, stance) for leg, stance in stances if leg != "balls"]
    certain = [stance for certified, stance in others if certified]
    return "disagrees" in certain or ((False, "disagrees") in others and "agrees" not in certain)
