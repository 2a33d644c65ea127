"""One question, judged by every leg: what the loop does again and again, and what `replay` and `explain` do once."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis.configuration import set_hypothesis_home_dir

from ..backends import BackendError, load
from ..oracle.blame import Blame, blame
from ..oracle.certificate import as_question
from ..oracle.judge import FAILING, GRAVITY, Finding, Judgement, certificate_for
from ..oracle.judge import judge as verdict_on
from ..oracle.legs import Witness, exact_differences, opinion, taylor
from ..oracle.program import Program, Question
from ..oracle.protocol import Backend, as_backend
from ..records.case import Case
from ..records.ledger import Facts, Ledger, shipped_ledger
from ..records.models import LedgerRecord, LedgerState
from ..strategies.rules import SEMANTICS
from .lockstep import divergence_records

__all__ = ["LEGS", "PROFILES", "Examiner", "Outcome", "Profile", "Settings", "case_of", "judge", "replay", "witnesses"]

LEGS = ("balls", "series", "differences", "jax")


@dataclass(frozen=True)
class Profile:
    """How much is asked.

    Parameters
    ----------
    examples : int
        Questions for each op and dtype.
    compositions : int
        Questions of several random ops for each dtype.
    histories : int
        Histories of tensors for each row of the semantics.
    opinion_share : float
        Part of the time that the JAX leg may take, beyond its first example of each op and dtype.
    explores : bool
        Whether every run draws anew, until its time is over.
    """

    examples: int
    compositions: int
    histories: int
    opinion_share: float
    explores: bool = False


PROFILES = {
    "quick": Profile(examples=10, compositions=150, histories=30, opinion_share=0.0),
    "ci": Profile(examples=60, compositions=1500, histories=300, opinion_share=0.15),
    "nightly": Profile(examples=200, compositions=5000, histories=1000, opinion_share=0.15, explores=True),
}


@dataclass(frozen=True)
class Settings:
    """What is asked of a run.

    Parameters
    ----------
    backend : str
        As `adjudge.backends.load` takes it.
    profile : str
        One of `PROFILES`.
    ops : tuple of str
        Rows of the catalogue, or "composition"; all if empty.
    dtypes : tuple of str
        Float dtypes; those the backend has if empty.
    seed : int, optional
        What to draw from; by default fixed, and drawn anew by a profile that explores.
    max_time : float, optional
        Seconds after which no more is asked.
    jobs : int, optional
        Processes; by default one a core.
    legs : tuple of str
        Which of `LEGS` judge.
    ledger : str, optional
        Path of a ledger to use instead of the shipped one.
    strict : bool
        Whether loss of digits is a failure as well.
    """

    backend: str
    profile: str = "ci"
    ops: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    seed: int | None = None
    max_time: float | None = None
    jobs: int | None = None
    legs: tuple[str, ...] = LEGS
    ledger: str | None = None
    strict: bool = False


@dataclass
class Outcome:
    """One judged question, with all that is said about it."""

    judgement: Judgement
    legs: dict[str, str]
    blamed: Blame | None = None
    known: list[str] = field(default_factory=list)
    news: Finding | None = None
    seconds: float = 0.0
    witnesses: list[Witness] = field(default_factory=list)

    @property
    def signature(self) -> tuple[str, str, str] | None:
        """What makes two new failures the same one; None for all else."""
        if self.news is None or self.disagreement:
            return None
        return self.news.verdict, self.blamed.op if self.blamed else "", self.news.where.split(" ")[0]

    @property
    def disagreement(self) -> bool:
        """Whether the oracle's own legs contradict each other, or JAX does where no other leg spoke for the balls."""
        spoke = [self.legs.get("series"), self.legs.get("differences")]
        return "disagrees" in spoke or (self.legs.get("jax") == "disagrees" and "agrees" not in spoke)


class Examiner:
    """Judges questions for one backend, with the legs that were asked for."""

    def __init__(self, settings: Settings) -> None:
        set_hypothesis_home_dir(private() / "hypothesis")
        self.settings = settings
        self.backend = load(settings.backend)
        self.version = next(iter(self.backend.versions().values()), "0")
        self.ledger = Ledger.read(settings.ledger) if settings.ledger else shipped_ledger(self.backend.name)
        self.dtypes = settings.dtypes or self.backend.dtypes
        self.library: Backend | None = None
        self.library_ledger = Ledger()
        self.backend.use_cache((private() / self.backend.name).absolute())
        if "jax" in settings.legs:
            self.library, self.library_ledger = _library(self.backend.name)

    def examine(self, question: Question, differences: bool = False, library: bool = False) -> Outcome:
        """Judge one question; a failure is put to every leg."""
        start = time.perf_counter()
        certificate = certificate_for(question, self.backend)
        judgement = verdict_on(question, self.backend, certificate)
        legs = self.settings.legs
        said = [Witness("balls", "agrees")] if "balls" in legs and certificate.decided else []
        if certificate.decided and "series" in legs:
            said.append(taylor(certificate))
        if certificate.decided and "differences" in legs and (differences or judgement.failed):
            said.append(exact_differences(certificate))
        outcome = Outcome(judgement, {w.leg: w.stance for w in said}, witnesses=said)
        if judgement.failed or judgement.verdict == "lossy":
            self._explain(outcome)
        if certificate.decided and self.library is not None and library:
            witness = opinion(question, self.library, self._known_of_library)
            outcome.witnesses.append(witness)
            outcome.legs["jax"] = witness.stance
        outcome.seconds = time.perf_counter() - start
        return outcome

    def _explain(self, outcome: Outcome) -> None:
        """Blame a step, and look every failing finding up in the ledger: a failure is known if all of them are."""
        judgement = outcome.judgement
        blamed: dict[tuple[str, bool], Blame] = {}
        failing = (*FAILING, "lossy") if self.settings.strict else FAILING
        for finding in sorted(judgement.findings, key=lambda f: GRAVITY[f.verdict]):
            if finding.verdict not in (*FAILING, "lossy"):
                continue
            alike = finding.verdict, finding.where == "tangent"
            if alike not in blamed:
                blamed[alike] = blame(judgement, self.backend, finding)
            outcome.blamed = outcome.blamed or blamed[alike]
            entry = self.ledger.match(facts(judgement, blamed[alike], finding), self.version)
            if entry is not None:
                outcome.known.append(entry.id)
            elif finding.verdict in failing:
                outcome.news, outcome.blamed = finding, blamed[alike]
                return

    def _known_of_library(self, judgement: Judgement) -> str | None:
        assert self.library is not None
        blamed, worst = blame(judgement, self.library), judgement.worst
        assert worst is not None
        entry = self.library_ledger.match(facts(judgement, blamed, worst), next(iter(self.library.versions().values())))
        return entry.id if entry is not None else None

    def ledger_records(self) -> Iterator[LedgerRecord]:
        """Replay the stored case of every ledger entry that applies to this version: only that tells whether it is fixed."""
        for entry in self.ledger.applying(self.version):
            if self.settings.ops and not set(entry.question.program.ops) & set(self.settings.ops):
                continue
            outcome = self.examine(entry.question)
            judgement, worst = outcome.judgement, outcome.news or outcome.judgement.worst
            state: LedgerState
            if judgement.verdict in ("undecided", "unsupported"):
                state = "not judged"
            elif entry.id in outcome.known:
                state = "still fails"
            else:
                state = "fails otherwise" if judgement.failed else "no longer fails"
            yield LedgerRecord(
                id=entry.id, op=entry.op, state=state, reason=entry.reason, verdict=judgement.verdict,
                observed=worst.reason if worst else "",
            )  # fmt: skip
        if not self.settings.ops or set(SEMANTICS) & set(self.settings.ops):
            yield from divergence_records(self.ledger.divergences, self.backend, self.version)


def private() -> Path:
    """The folder `.adjudge` for caches, which git ignores by its own word; where it cannot be, one for this process alone."""
    folder = Path(".adjudge")
    try:
        folder.mkdir(exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError:
        return _passing()
    return folder


@cache
def _passing() -> Path:
    folder = tempfile.mkdtemp(prefix="adjudge-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def _library(judged: str) -> tuple[Backend | None, Ledger]:
    """JAX as a leg, with its ledger; absent where JAX is what is judged, or is not installed."""
    if judged == "jax":
        return None, Ledger()
    try:
        library = load("jax")
    except BackendError:
        return None, Ledger()
    library.use_cache((private() / "jax").absolute())
    return library, shipped_ledger("jax")


def facts(judgement: Judgement, blamed: Blame, finding: Finding) -> Facts:
    """What a ledger's conditions may look at: facts of the failure and of the blamed step's operands."""
    question = blamed.alone or judgement.question
    # What stands against the step alone is what a ledger knows of it, where that is graver than what came of it.
    told = blamed.alike if blamed.alike is not None and blamed.alike.verdict != finding.verdict else finding
    step = question.program.steps[-1]
    operands = [question.program.inputs[a].data for a in step.args if a < len(question.program.inputs)]
    index = (part["dtype"] for part in step.params.get("index", ()) if isinstance(part, Mapping) and "dtype" in part)
    return Facts(
        op=blamed.op,
        ops=judgement.question.program.ops,
        verdict=told.verdict,
        where=told.where.split(" ")[0],
        reason=told.reason,
        dtype=judgement.question.program.working_dtype.name,
        kink=judgement.certificate.kink,
        params=tuple(step.params),
        negative=any(n < 0 for value in step.params.values() for n in _numbers(value)),
        repeated=len(set(step.args)) < len(step.args),
        operands=tuple(x.dtype.name for x in operands),
        index=tuple(index),
        shapes=tuple(x.shape for x in operands),
        magnitudes=tuple(map(_magnitudes, operands)),
        zeros=any((x == 0).any() for x in operands),
        layouts=tuple(i.layout for i in judgement.question.program.inputs),
    )


def _numbers(value: Any) -> Iterator[float]:
    """The numbers in a parameter."""
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, (int, float)):
        yield value


def _magnitudes(x: np.ndarray) -> tuple[float, ...]:
    """The magnitudes of all elements that are finite and not zero."""
    size = np.abs(x.astype(np.float64))
    return tuple(map(float, size[np.isfinite(size) & (size > 0)]))


def replay(question: Question, backend: Backend) -> Judgement:
    """Judge a stored question again."""
    return verdict_on(question, backend)


def judge(program: Program | Question, backend: Any, cotangent: Any = None) -> Judgement:
    """Judge a backend's answer to one program.

    Parameters
    ----------
    program : Program or Question
    backend : str or Backend
        What `adjudge.backends.load` takes, or what it gives.
    cotangent : array, optional
        Of the shape of the program's value; ones if left out.

    Examples
    --------
    >>> import numpy as np
    >>> from adjudge import Program, judge
    >>> judge(Program.of([np.array([0.5, 25.0])], [("tanh", [0])]), "mirror").verdict
    'correct'
    """
    question = as_question(program, cotangent) if isinstance(program, Program) else program
    return verdict_on(question, load(backend) if isinstance(backend, str) else as_backend(backend))


def witnesses(judgement: Judgement, backend: Backend) -> list[Witness]:
    """What every leg says of one question, the backend last."""
    certificate = judgement.certificate
    if not certificate.decided:
        return [Witness("balls", "abstains", note=certificate.trouble)]
    out = [Witness("balls", "agrees", _along(judgement, [None if e is None else e.nearest for e in certificate.gradients]))]
    out += [taylor(certificate), exact_differences(certificate)]
    library, _ = _library(backend.name)
    if library is not None:
        out.append(opinion(judgement.question, library, lambda j: None))
    worst = judgement.worst
    stance = "disagrees" if judgement.failed else "abstains" if judgement.verdict in ("undecided", "unsupported") else "agrees"
    said = _along(judgement, judgement.gradients) if judgement.gradients else float("nan")
    return [*out, Witness(backend.name, stance, said, f"{worst.where}: {worst.reason}" if worst else "")]


def _along(judgement: Judgement, gradients: Any) -> float:
    """The derivative along the question's directions that some gradients give."""
    total = 0.0
    for g, v in zip(gradients, judgement.question.directions, strict=True):
        if g is not None and v is not None and np.shape(g) == np.shape(v):
            total += float(np.sum(np.asarray(g, dtype=np.float64) * v))
    return total


def case_of(outcome: Outcome, backend: Backend, spec: str) -> Case:
    """A case: all that is needed to ask the question again, and how the answer was judged."""
    blamed = outcome.blamed.op if outcome.blamed else None
    return Case.of(
        outcome.judgement, backend.name, backend.versions(), finding=outcome.news, blamed=blamed, witnesses=outcome.witnesses,
        spec=spec,
    )  # fmt: skip
