"""Runs of Hypothesis whose examples depend on a seed alone, and not on whose source code happens to be loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.internal.conjecture import providers

__all__ = ["seeded_settings"]

#: Hypothesis collects the constants in the source of all modules outside site-packages with this function, and sprinkles them
#: over its examples: a library under development, or a user's backend, would be asked other questions whenever a literal in it
#: changes. No setting turns that off, and a provider of one's own (`settings.backend`) turns off much else, so the function is
#: replaced. A Hypothesis without a function of this name collects no constants, or collects them elsewhere, which tests notice.
_COLLECT = "_get_local_constants"


@contextmanager
def seeded_settings(examples: int, shrink: bool = True, **more: Any) -> Iterator[settings]:
    """Settings for a run of Hypothesis whose draws, within the context, depend on the seed alone.

    Parameters
    ----------
    examples : int
        The most examples to draw.
    shrink : bool
        Whether a failing example is shrunk.
    **more
        Further settings.
    """
    collect = getattr(providers, _COLLECT, None)
    if collect is not None:
        nothing = vars(providers)["Constants"]()
        setattr(providers, _COLLECT, lambda: nothing)
        providers.CONSTANTS_CACHE.cache.clear()
    try:
        yield settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
            suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType] - its metaclass iterates over members
            verbosity=Verbosity.quiet,
            report_multiple_bugs=False,
            print_blob=False,
            **more,
        )
    finally:
        if collect is not None:
            setattr(providers, _COLLECT, collect)
            providers.CONSTANTS_CACHE.cache.clear()
