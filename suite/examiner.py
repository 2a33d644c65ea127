"""One question, judged by every leg: the search does this for every question, `replay` and `explain` do it once."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis.configuration import set_hypothesis_home_dir

from ..backends import Backend, BackendError, Limits, isolate
from ..oracle.blame import Blame, blame
from ..oracle.certificate import as_question
from ..oracle.judge import Judgement, certificate_for
from ..oracle.judge import judge as verdict_on
from ..oracle.legs import LEGS, Leg, Opinion, Witness, contradiction, gradient_differences
from ..oracle.modes import MODES
from ..oracle.program import Program, Question
from ..oracle.protocol import Lost, as_backend
from ..oracle.verdicts import FAILING, GRAVITY, Finding
from ..records.ledger import Facts, Ledger, shipped_ledger
from .settings import Settings

__all__ = ["Examiner", "Outcome", "cache_folder", "facts", "judge", "opinion_for", "witnesses"]


#: Seconds that a question may take when a question like it, which took far longer, is looked into.
PATIENCE = 1.0


@dataclass
class Outcome:
    """One judged question, with everything that is known about it.

    Parameters
    ----------
    judgement : Judgement
    witnesses : list of Witness
        The testimony of each leg that was asked.
    blamed : Blame, optional
        The step to blame, where there is a finding.
    known : list of str
        Ledger entries that explain findings.
    lacking : dict of str to str
        For each mode in which the backend has not what the question needs the ledger entry that says so.
    news : Finding, optional
        The gravest finding that no ledger entry explains.
    seconds : float
        The time that judging took.
    """

    judgement: Judgement
    witnesses: list[Witness] = field(default_factory=list)
    blamed: Blame | None = None
    known: list[str] = field(default_factory=list)
    lacking: dict[str, str] = field(default_factory=dict)
    news: Finding | None = None
    seconds: float = 0.0

    @property
    def legs(self) -> dict[str, str]:
        """The stance of each leg that was asked."""
        return {w.leg: w.stance for w in self.witnesses if w.leg in LEGS}

    @property
    def signature(self) -> tuple[str, ...] | None:
        """Equal for new failures that count as the same; None for everything else."""
        if self.news is None or self.disagreement:
            return None
        news, blamed = self.news, self.blamed.op if self.blamed else ""
        return news.verdict, news.mode, blamed, news.where.split(" ")[0], news.instead

    @property
    def lost(self) -> bool:
        """Whether the backend's process was lost over the question."""
        return any(finding.where == "process" for finding in self.judgement.findings)

    @property
    def disagreement(self) -> bool:
        """Whether the oracle's own legs contradict each other."""
        return contradiction(self.legs.items())


class Examiner:
    """Judges questions for one backend, with the legs that were asked for.

    Parameters
    ----------
    settings : Settings
    loaded : (Backend, Limits), optional
        What `Settings.load` gave, where that was called already.
    """

    def __init__(self, settings: Settings, loaded: tuple[Backend, Limits] | None = None) -> None:
        set_hypothesis_home_dir(cache_folder() / "hypothesis")
        self.settings = settings
        self.backend, self.limits = loaded or settings.load()
        self.version = next(iter(self.backend.versions().values()), "0")
        self.ledger = Ledger.read(settings.ledger) if settings.ledger else shipped_ledger(self.backend.name)
        self.dtypes = settings.dtypes or self.backend.dtypes
        self.backend.use_cache((cache_folder() / self.backend.name).absolute())
        chosen = [LEGS[name] for name in LEGS if name in settings.legs]
        self.opinions = {leg.name: opinion_for(leg, self.backend.name) for leg in chosen}
        #: The legs that judge: those that were asked for, and whose library, if they need one, is installed.
        self.legs = [leg for leg in chosen if not leg.library or self.opinions[leg.name] is not None]

    def examine(self, question: Question, wanted: Iterable[Leg] = ()) -> Outcome:
        """Judge one question.

        Parameters
        ----------
        question : Question
        wanted : iterable of Leg
            The legs to ask besides those that are asked every question; a failure is put to all certified ones.
        """
        start = time.perf_counter()
        certificate = certificate_for(question, self.backend)
        judgement = verdict_on(question, self.backend, certificate)
        outcome, wanted = Outcome(judgement, lacking=self._lacking(judgement)), tuple(wanted)
        if certificate.decided:
            certain = [leg for leg in self.legs if leg.certified]
            self._ask(outcome, [leg for leg in certain if leg.every == 1 or leg in wanted or judgement.failed])
        if judgement.failed or judgement.verdict == "lossy":
            with self.patience(PATIENCE if outcome.lost else self.limits.seconds):
                self._explain(outcome)
        if certificate.decided:
            self._ask(outcome, [leg for leg in self.legs if not leg.certified and leg in wanted])
        outcome.seconds = time.perf_counter() - start
        return outcome

    @contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Within the context a question may take no longer than this."""
        before = self.limits.seconds
        self.limits.seconds = min(before, seconds)
        try:
            yield
        finally:
            self.limits.seconds = before

    def _ask(self, outcome: Outcome, legs: Sequence[Leg]) -> None:
        asked = (leg.ask(outcome.judgement, self.opinions[leg.name]) for leg in legs)
        outcome.witnesses += [witness for witness in asked if witness is not None]

    def _lacking(self, judgement: Judgement) -> dict[str, str]:
        """The ledger entries about what the backend does not support, by mode."""
        refusals = {mode: finding for mode, finding in judgement.modes.items() if finding.verdict == "unsupported"}
        if judgement.verdict == "unsupported" and judgement.worst is not None:
            refusals["vjp"] = judgement.worst
        program = judgement.question.program
        asked = program.ops, program.working_dtype.name, self.version
        entries = {mode: self.ledger.lacks(mode, finding.reason, *asked) for mode, finding in refusals.items()}
        return {mode: entry.id for mode, entry in entries.items() if entry is not None}

    def _explain(self, outcome: Outcome) -> None:
        """Blame a step, and look every failing finding up in the ledger: a failure is known if all of them are."""
        judgement = outcome.judgement
        blamed: dict[tuple[str, str], Blame] = {}
        failing = (*FAILING, "lossy") if self.settings.strict else FAILING
        for finding in sorted(judgement.findings, key=lambda f: GRAVITY[f.verdict]):
            if finding.verdict not in (*FAILING, "lossy"):
                continue
            alike = finding.verdict, finding.mode
            if alike not in blamed:
                blamed[alike] = blame(judgement, self.backend, finding)
            outcome.blamed = outcome.blamed or blamed[alike]
            entry = self.ledger.match(facts(judgement, blamed[alike], finding), self.version)
            if entry is not None:
                outcome.known.append(entry.id)
            elif finding.verdict in failing:
                outcome.news, outcome.blamed = finding, blamed[alike]
                return


def cache_folder() -> Path:
    """The folder `.adjudge`, which git ignores; if it cannot be made, a folder for this process alone."""
    folder = Path(".adjudge")
    try:
        folder.mkdir(exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError:
        return _temporary_folder()
    return folder


@cache
def _temporary_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="adjudge-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def opinion_for(leg: Leg, judged: str) -> Opinion | None:
    """The library that a leg calls in, with its ledger; None where it is itself judged, or is not installed."""
    if not leg.library or judged == leg.library:
        return None
    try:
        library = isolate(leg.library)
        library.use_cache((cache_folder() / library.name).absolute())
    except (BackendError, Lost):
        return None
    ledger = shipped_ledger(library.name)

    def known(judgement: Judgement) -> str | None:
        worst = judgement.worst
        assert worst is not None
        version = next(iter(library.versions().values()))
        entry = ledger.match(facts(judgement, blame(judgement, library), worst), version)
        return entry.id if entry is not None else None

    return Opinion(library, known)


def facts(judgement: Judgement, blamed: Blame, finding: Finding) -> Facts:
    """The facts that a ledger's conditions may refer to: of the failure, and of the blamed step's operands."""
    question = blamed.alone or judgement.question
    # A ledger describes the finding about the step alone, where that is graver than the one about the program.
    finding = blamed.alike if blamed.alike is not None and blamed.alike.verdict != finding.verdict else finding
    step = question.program.steps[-1]
    operands = [question.program.inputs[a].data for a in step.args if a < len(question.program.inputs)]
    index = (part["dtype"] for part in step.params.get("index", ()) if isinstance(part, Mapping) and "dtype" in part)
    return Facts(
        op=blamed.op,
        ops=judgement.question.program.ops,
        verdict=finding.verdict,
        where=finding.where.split(" ")[0],
        reason=finding.reason,
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


def judge(program: Program | Question, backend: Any, cotangent: Any = None) -> Judgement:
    """Judge a backend's answer to one program.

    Parameters
    ----------
    program : Program or Question
    backend : str or Backend
        A backend, or its name as for `adjudge.backends.isolate`.
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
    return verdict_on(question, isolate(backend) if isinstance(backend, str) else as_backend(backend))


def witnesses(judgement: Judgement, backend: Backend) -> list[Witness]:
    """The testimony of every leg on one question, and the backend's last."""
    certificate, worst = judgement.certificate, judgement.worst
    if not certificate.decided:
        return [Witness("balls", "abstains", note=certificate.trouble)]
    if worst is not None and worst.mode == "hvp":
        return _witnesses_of_second_order(judgement, backend, worst)
    out = [Witness("balls", "agrees", _along(judgement, [None if e is None else e.nearest for e in certificate.gradients]))]
    for leg in LEGS.values():
        called = opinion_for(leg, backend.name)
        unexcused = None if called is None else Opinion(called.library, lambda judgement: None)
        witness = leg.ask(judgement, unexcused)
        if witness is not None and leg.name != "balls":
            out.append(witness)
    stance = "disagrees" if judgement.failed else "abstains" if judgement.verdict in ("undecided", "unsupported") else "agrees"
    derivative = _along(judgement, judgement.gradients) if judgement.gradients else float("nan")
    return [*out, Witness(backend.name, stance, derivative, f"{worst.where}: {worst.reason}" if worst else "")]


def _witnesses_of_second_order(judgement: Judgement, backend: Backend, worst: Finding) -> list[Witness]:
    """What balls, and differences of gradients, have for the directions times a Hessian-vector product."""
    truth = MODES["hvp"].certify(judgement.certificate)
    note = f"{worst.where}: {worst.reason}"
    if truth.trouble:
        return [Witness("balls", "abstains", note=truth.trouble), Witness(backend.name, "abstains", note=note)]
    curvature = _along(judgement, [None if e is None else e.nearest for e in truth.arrays])
    balls = Witness("balls", "agrees", curvature, "second order: the reverse program on Taylor series")
    return [balls, gradient_differences(judgement.certificate), Witness(backend.name, "disagrees", note=note)]


def _along(judgement: Judgement, gradients: Any) -> float:
    """The derivative along the question's directions, from some gradients."""
    total = 0.0
    for g, v in zip(gradients, judgement.question.directions, strict=True):
        if g is not None and v is not None and np.shape(g) == np.shape(v):
            total += float(np.sum(np.asarray(g, dtype=np.float64) * v))
    return total
