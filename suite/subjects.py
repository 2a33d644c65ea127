"""The subjects of the search: programs, put to a backend's modes of differentiation, and scripts, put to its tensors."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType

from hypothesis import given
from hypothesis import seed as seeded

from ..backends import OutOfTime
from ..oracle.legs import Leg
from ..oracle.lockstep import Divergence, Lockstep, reduce
from ..oracle.program import Question
from ..records.models import Record
from ..strategies import questions
from ..strategies.catalogue import CATALOGUE
from ..strategies.rules import SEMANTICS
from ..strategies.scripts import drive
from ..strategies.seeded import seeded_settings
from ..strategies.shrink import shrink
from . import outcomes
from .examiner import PATIENCE, Examiner, Outcome, witnesses
from .search import DEATH, HANG, Emit, search
from .settings import PROFILES
from .tasks import COMPOSITION, Task

__all__ = ["perform"]


#: Seconds in which a question that costs its process is made smaller.
QUICKLY = 10.0


class Programs:
    """Questions about one op, or about compositions, in one dtype."""

    def __init__(self, task: Task, examiner: Examiner) -> None:
        self.task, self.examiner = task, examiner
        self.ops = tuple(op for op in CATALOGUE if examiner.backend.supports(op))
        self.share = PROFILES[examiner.settings.profile].opinion_share
        self.began = time.perf_counter()
        #: Seconds spent on each leg that gets a share of the time, and how often it agreed.
        self.spent = {leg.name: 0.0 for leg in examiner.legs if not leg.every}
        self.agreed = dict.fromkeys(self.spent, 0)

    def draw(self, seed: int, examples: int, ask: Callable[[Question], None]) -> None:
        """One Hypothesis run, whose questions depend on the seed alone."""
        op = None if self.task.op == COMPOSITION else self.task.op
        strategy = questions(op, dtypes=(self.task.dtype,), allow=self.ops)
        with seeded_settings(examples) as settings:
            seeded(seed)(settings(given(strategy)(ask)))()

    def examine(self, question: Question, number: int | None) -> Outcome:
        """Judge a question by the legs whose turn it is."""
        if number is None:
            return self.examiner.examine(question)
        before = time.perf_counter()
        outcome = self.examiner.examine(question, [leg for leg in self.examiner.legs if self._turn(leg, number)])
        for leg in self.spent:
            if leg in outcome.legs:
                self.spent[leg] += time.perf_counter() - before
                self.agreed[leg] += outcome.legs[leg] == "agrees"
        return outcome

    def _turn(self, leg: Leg, number: int) -> bool:
        if leg.every:
            return number % leg.every == 0
        return not self.agreed[leg.name] or self.spent[leg.name] < self.share * (time.perf_counter() - self.began)

    def signature(self, outcome: Outcome) -> Hashable | None:
        """The verdict, the op to blame, and where."""
        return outcome.signature

    def records(self, outcome: Outcome, number: int) -> Iterator[Record]:
        """The outcome, and the disagreement of the legs, if any."""
        yield outcomes.outcome(self.task, number, outcome)
        if outcome.disagreement:
            yield outcomes.disagreement(self.task, outcome, self.examiner)

    def cost(self, outcome: Outcome) -> int:
        """Whether the backend's process was lost: a new one takes a while to start, and one that hangs longer to wait for."""
        if not outcome.lost:
            return 0
        return HANG if outcome.seconds >= self.examiner.limits.seconds else DEATH

    def failure(self, smallest: Outcome, signature: Hashable, number: int) -> Record:
        """The smallest question that fails alike; the search for it starts from the blamed step alone if that does."""
        until = time.monotonic() + (QUICKLY if smallest.lost else float("inf"))

        def alike(question: Question) -> bool:
            try:
                return time.monotonic() < until and self.examiner.examine(question).signature == signature
            except OutOfTime:
                return False

        question = found = smallest.judgement.question
        alone = smallest.blamed.alone if smallest.blamed is not None else None
        with self.examiner.patience(PATIENCE if smallest.lost else self.examiner.limits.seconds):
            if alone is not None and alike(alone):
                question = alone
            question = shrink(question, alike)
        if question is not found:
            with suppress(OutOfTime):
                smaller = self.examiner.examine(question)
                smallest = smaller if smaller.signature == signature else smallest
        smallest.witnesses = witnesses(smallest.judgement, self.examiner.backend)
        return outcomes.failure(self.task, number, smallest, self.examiner)


@dataclass(frozen=True)
class ScriptRun:
    """A script that was run on the library and on the reference.

    Parameters
    ----------
    lines : int
    divergence : Divergence or None
    known : str or None
        The ledger entry that explains the divergence.
    ms : float
    """

    lines: int
    divergence: Divergence | None
    known: str | None
    ms: float


class Scripts:
    """Scripts of one row of the semantics, run on a library and on the reference side by side."""

    def __init__(self, task: Task, examiner: Examiner, library: ModuleType) -> None:
        self.task, self.examiner, self.library = task, examiner, library
        self.began = time.perf_counter()

    def draw(self, seed: int, examples: int, ask: Callable[[tuple[Lockstep, Divergence | None]], None]) -> None:
        """One Hypothesis run, whose scripts depend on the seed alone."""
        drive(self.library, lambda *ended: ask(ended), examples, seed, self.task.op, shrink=True)

    def examine(self, ended: tuple[Lockstep, Divergence | None], number: int | None) -> ScriptRun:
        """Look a divergence up in the ledger."""
        lockstep, divergence = ended
        entry = None if divergence is None else self.examiner.ledger.match_divergence(divergence, self.examiner.version)
        before, self.began = self.began, time.perf_counter()
        return ScriptRun(
            len(lockstep.lines), divergence, None if entry is None else entry.id, round((self.began - before) * 1e3, 3)
        )

    def signature(self, run: ScriptRun) -> Hashable | None:
        """The difference, and the act after which it shows."""
        return run.divergence.signature if run.divergence is not None and run.known is None else None

    def records(self, run: ScriptRun, number: int) -> Iterator[Record]:
        """The outcome."""
        yield outcomes.script_outcome(self.task, number, run.divergence, run.lines, run.ms, run.known)

    def cost(self, run: ScriptRun) -> int:
        """Whether the last line does not come back, or ended the process."""
        tags = run.divergence.tags if run.divergence is not None else frozenset[str]()
        return HANG if "stuck" in tags else DEATH if "lost process" in tags else 0

    def failure(self, smallest: ScriptRun, signature: Hashable, number: int) -> Record:
        """The same divergence after as few lines as possible."""
        assert smallest.divergence is not None
        shortest = reduce(self.library, smallest.divergence)
        self.began = time.perf_counter()
        return outcomes.script_failure(self.task, number, shortest, self.examiner)


def perform(task: Task, examiner: Examiner, emit: Emit, deadline: float = float("inf")) -> None:
    """Ask everything of one task, and record it, and whether that was everything."""
    backend, ended = examiner.backend, True
    examiner.limits.deadline = deadline
    if task.op in SEMANTICS:
        if backend.tensors is None:
            emit(outcomes.unsupported(task, f"{backend.name} has no tensors of this kind", examiner))
        else:
            ended = search(Scripts(task, examiner, backend.tensors), task.examples, task.seed, emit, deadline)
    elif task.op != COMPOSITION and not backend.supports(task.op):
        emit(outcomes.unsupported(task, f"{backend.name} has no {task.op}", examiner))
    else:
        ended = search(Programs(task, examiner), task.examples, task.seed, emit, deadline)
    emit(outcomes.task_end(task, ended, examiner))
