"""Runs of Hypothesis whose examples depend on a seed alone, and not on whose source code happens to be loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.internal.conjecture import providers

__all__ = ["drawing"]

#: What Hypothesis asks for the constants in the source of modules outside site-packages, which it sprinkles over its examples:
#: a library under development, or a user's backend, would be asked other questions whenever a literal in it changes. There is
#: no setting for this; a Hypothesis that has no function of this name does no such thing, or the tests say otherwise.
SOURCE = "_get_local_constants"


@contextmanager
def drawing(examples: int, shrink: bool = True, **more: Any) -> Iterator[settings]:
    """Within the context, Hypothesis draws from the seed alone; gives the settings to do so.

    Parameters
    ----------
    examples : int
        How many, at most.
    shrink : bool
        Whether a failing example is made smaller.
    **more
        Further settings.
    """
    real = getattr(providers, SOURCE, None)
    if real is not None:
        nothing = vars(providers)["Constants"]()
        setattr(providers, SOURCE, lambda: nothing)
        providers.CONSTANTS_CACHE.cache.clear()
    try:
        yield settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
            report_multiple_bugs=False,
            print_blob=False,
            **more,
        )
    finally:
        if real is not None:
            setattr(providers, SOURCE, real)
            providers.CONSTANTS_CACHE.cache.clear()
