"""The settings of a run, and how much each profile asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..backends import MEMORY, QUESTION_TIMEOUT, Backend, Limits, isolate, load
from ..oracle.legs import LEGS

__all__ = ["PROFILES", "Profile", "Settings"]


@dataclass(frozen=True)
class Profile:
    """How much is asked.

    Parameters
    ----------
    examples : int
        Questions for each op and dtype.
    compositions : int
        Questions of several random ops for each dtype.
    scripts : int
        Scripts of tensors for each row of the semantics.
    opinion_share : float
        Part of the time that the opinion leg may take, beyond its first example of each op and dtype.
    explores : bool
        Whether every run draws other questions, until its time is over.
    """

    examples: int
    compositions: int
    scripts: int
    opinion_share: float
    explores: bool = False


PROFILES = {
    "quick": Profile(examples=10, compositions=150, scripts=30, opinion_share=0.0),
    "ci": Profile(examples=60, compositions=1500, scripts=300, opinion_share=0.15),
    "nightly": Profile(examples=200, compositions=5000, scripts=1000, opinion_share=0.15, explores=True),
}


@dataclass(frozen=True)
class Settings:
    """The settings of a run.

    Parameters
    ----------
    backend : str
        As for `adjudge.backends.load`.
    profile : str
        One of `PROFILES`.
    ops : tuple of str
        Rows of the catalogue, or "composition"; all if empty.
    dtypes : tuple of str
        Float dtypes; those that the backend has if empty.
    seed : int, optional
        By default 0, or a random one in a profile that explores.
    max_time : float, optional
        Seconds after which no more is asked.
    jobs : int, optional
        Processes; by default one per core.
    legs : tuple of str
        The `LEGS` that judge.
    ledger : str, optional
        Path of a ledger to use instead of the shipped one.
    strict : bool
        Whether loss of digits is a failure as well.
    question_timeout : float
        Seconds that a question may take.
    memory : int, optional
        Bytes that the backend's process may allocate.
    in_process : bool
        Whether the backend is imported into adjudge's own processes, for a debugger; there are no limits then.
    """

    backend: str
    profile: str = "ci"
    ops: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    seed: int | None = None
    max_time: float | None = None
    jobs: int | None = None
    legs: tuple[str, ...] = tuple(LEGS)
    ledger: str | None = None
    strict: bool = False
    question_timeout: float = QUESTION_TIMEOUT
    memory: int | None = MEMORY
    in_process: bool = False

    def load(
        self, tell: Callable[[str], None] = lambda sentence: None, meanwhile: Callable[[], object] = lambda: None
    ) -> tuple[Backend, Limits]:
        """The backend, in a process of its own or in this one, and what a question may take; see `adjudge.backends.isolate`."""
        limits = Limits(self.question_timeout, self.memory)
        if self.max_time is not None:
            limits.deadline = time.time() + self.max_time
        backend = load(self.backend, own_process=True) if self.in_process else isolate(self.backend, limits, tell, meanwhile)
        return backend, limits
