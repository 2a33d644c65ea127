"""The one loop: draw questions, ask a backend, judge each answer by every leg, record every outcome.

A run is a list of tasks, one an op and dtype, that share nothing, so they spread over processes. Every task is one Hypothesis
run: a failure that no ledger entry explains is raised, so that Hypothesis shrinks it; the task then goes on to look for others.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import queue
import signal
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given
from hypothesis import seed as seeded
from hypothesis import settings as hypothesis_settings
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.errors import Flaky

from . import __version__
from .backends import BackendError, load
from .oracle.blame import Blame, blame
from .oracle.certificate import as_question
from .oracle.judge import FAILING, GRAVITY, Finding, Judgement, certificate_for
from .oracle.judge import judge as verdict_on
from .oracle.legs import Witness, exact_differences, opinion, taylor
from .oracle.program import Program, Question
from .reports.case import Case
from .reports.ledger import Ledger, shipped_ledger
from .reports.records import Summary, summarise
from .strategies import questions
from .strategies.catalogue import CATALOGUE as ROWS
from .strategies.smaller import smaller

__all__ = [
    "LEGS",
    "PROFILES",
    "Examiner",
    "Profile",
    "Settings",
    "Task",
    "check",
    "judge",
    "perform",
    "replay",
    "run",
    "selected",
    "tasks",
    "witnesses",
]

LEGS = ("balls", "series", "differences", "jax")
COMPOSITION = "composition"
#: One in this many examples is put to the differences leg, and every counterexample.
DIFFERENCES_EVERY = 8
#: A run that explores stops after this many seconds unless told otherwise.
EXPLORING_SECONDS = 3600.0


@dataclass(frozen=True)
class Profile:
    """How much is asked.

    Parameters
    ----------
    examples : int
        Questions for each op and dtype.
    compositions : int
        Questions of several random ops for each dtype.
    opinion_share : float
        Part of the time that the JAX leg may take, beyond its first example of each op and dtype.
    explores : bool
        Whether every run draws anew, until its time is over.
    """

    examples: int
    compositions: int
    opinion_share: float
    explores: bool = False


PROFILES = {
    "quick": Profile(examples=10, compositions=150, opinion_share=0.0),
    "ci": Profile(examples=60, compositions=1500, opinion_share=0.15),
    "nightly": Profile(examples=200, compositions=5000, opinion_share=0.15, explores=True),
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


@dataclass(frozen=True)
class Task:
    """One Hypothesis run."""

    op: str
    dtype: str
    examples: int
    seed: int


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


class _NewFailure(AssertionError):
    """Raised inside Hypothesis so that it shrinks."""


# -- one question --------------------------------------------------------------------------------------------------------------


class Examiner:
    """Judges questions for one backend, with the legs that were asked for."""

    def __init__(self, settings: Settings) -> None:
        set_hypothesis_home_dir(private() / "hypothesis")
        self.settings = settings
        self.backend = load(settings.backend)
        self.version = next(iter(self.backend.versions().values()), "0")
        self.ledger = Ledger.read(settings.ledger) if settings.ledger else shipped_ledger(self.backend.name)
        self.dtypes = settings.dtypes or tuple(getattr(self.backend, "dtypes", ("float64", "float32")))
        self.library, self.library_ledger = _library(self.backend.name) if "jax" in settings.legs else (None, Ledger())

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
        blamed: dict[str, Blame] = {}
        failing = (*FAILING, "lossy") if self.settings.strict else FAILING
        for finding in sorted(judgement.findings, key=lambda f: GRAVITY[f.verdict]):
            if finding.verdict not in (*FAILING, "lossy"):
                continue
            if finding.verdict not in blamed:
                blamed[finding.verdict] = blame(judgement, self.backend, finding)
            outcome.blamed = outcome.blamed or blamed[finding.verdict]
            entry = self.ledger.match(facts(judgement, blamed[finding.verdict], finding), self.version)
            if entry is not None:
                outcome.known.append(entry.id)
            elif finding.verdict in failing:
                outcome.news, outcome.blamed = finding, blamed[finding.verdict]
                return

    def _known_of_library(self, judgement: Judgement) -> str | None:
        assert self.library is not None
        blamed, worst = blame(judgement, self.library), judgement.worst
        assert worst is not None
        entry = self.library_ledger.match(facts(judgement, blamed, worst), next(iter(self.library.versions().values())))
        return entry.id if entry is not None else None

    def ledger_records(self) -> Iterator[dict[str, Any]]:
        """Replay the stored case of every ledger entry that applies to this version: only that tells whether it is fixed."""
        for entry in self.ledger.applying(self.version):
            if self.settings.ops and not set(entry.question.program.ops) & set(self.settings.ops):
                continue
            outcome = self.examine(entry.question)
            judgement, worst = outcome.judgement, outcome.news or outcome.judgement.worst
            if judgement.verdict in ("undecided", "unsupported"):
                state = "not judged"
            elif entry.id in outcome.known:
                state = "still fails"
            else:
                state = "fails otherwise" if judgement.failed else "no longer fails"
            yield {
                "kind": "ledger", "id": entry.id, "state": state, "reason": entry.reason, "op": entry.op,
                "verdict": judgement.verdict, "said": worst.reason if worst else "",
            }  # fmt: skip


def private() -> Path:
    """The folder `.adjudge` for caches, which git ignores by its own word."""
    folder = Path(".adjudge")
    folder.mkdir(exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    return folder


@cache
def _library(judged: str) -> tuple[Any, Ledger]:
    """JAX as a leg, with its ledger; absent where JAX is what is judged, or is not installed."""
    if judged == "jax":
        return None, Ledger()
    try:
        library: Any = load("jax")
    except BackendError:
        return None, Ledger()
    library.use_cache(private() / "jax")
    return library, shipped_ledger("jax")


def facts(judgement: Judgement, blamed: Blame, finding: Finding) -> dict[str, Any]:
    """What a ledger's conditions may look at: facts of the failure and of the blamed step's operands."""
    question = blamed.alone or judgement.question
    step = question.program.steps[-1]
    operands = [question.program.inputs[a].data for a in step.args if a < len(question.program.inputs)]
    return {
        "op": blamed.op,
        "verdict": finding.verdict,
        "where": finding.where.split(" ")[0],
        "dtype": judgement.question.program.working_dtype.name,
        "kink": judgement.certificate.kink,
        "params": sorted(step.params),
        "operands": [x.dtype.name for x in operands],
        "index": [part["dtype"] for part in step.params.get("index", ()) if isinstance(part, Mapping) and "dtype" in part],
        "magnitudes": [_magnitudes(x) for x in operands],
        "repeated": len(set(step.args)) < len(step.args),
        "layouts": [i.layout for i in judgement.question.program.inputs],
        "reason": finding.reason,
        "ndims": [x.ndim for x in operands],
        "empty": any(x.size == 0 for x in operands),
    }


def _magnitudes(x: np.ndarray) -> list[float]:
    """The smallest magnitude that is not zero, and the largest."""
    size = np.abs(x.astype(np.float64))
    size = size[np.isfinite(size) & (size > 0)]
    return [float(size.min(initial=np.inf)), float(size.max(initial=0.0))]


def replay(question: Question, backend: Any) -> Judgement:
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
    return verdict_on(question, load(backend) if isinstance(backend, str) else backend)


def check(backend: str, **asked: Any) -> Summary:
    """Do what `adjudge check` does, and summarise it.

    Parameters
    ----------
    backend : str
        As `adjudge.backends.load` takes it.
    **asked
        Further fields of `Settings`: `profile`, `ops`, `dtypes`, `seed`, `max_time`, `jobs`, `legs`, `ledger`, `strict`.

    Returns
    -------
    Summary
        Its `status()` is the exit status of the command.
    """
    settings = Settings(backend, **asked)
    records: list[dict[str, Any]] = []
    run(settings, records.append)
    return summarise(records, selected(settings.ops))


def witnesses(judgement: Judgement, backend: Any) -> list[Witness]:
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


# -- records -------------------------------------------------------------------------------------------------------------------


def _outcome_record(task: Task, number: int, outcome: Outcome) -> dict[str, Any]:
    judgement, worst = outcome.judgement, outcome.news or outcome.judgement.worst
    verdict = worst.verdict if worst is not None else judgement.verdict
    if judgement.failed and outcome.disagreement:
        verdict = "undecided"
    record: dict[str, Any] = {
        "kind": "outcome",
        "op": task.op,
        "family": _family(task.op),
        "dtype": task.dtype,
        "verdict": verdict,
        "worst_ulp": judgement.worst_ulp,
        "kink": judgement.certificate.kink,
        "steps": len(judgement.question.program.steps),
        "legs": outcome.legs,
        "ms": round(outcome.seconds * 1e3, 3),
        "number": number,
    }
    if worst is not None:
        record |= {"where": worst.where, "reason": worst.reason, "index": list(worst.index)}
        record |= {k: getattr(worst, k) for k in ("got", "expected", "error", "allowance", "bits_lost")}
    if outcome.blamed is not None:
        record |= {
            "blamed": outcome.blamed.op,
            "known": outcome.known[0] if outcome.known and not outcome.news else None,
            "case": judgement.question.id,
        }
    return record


def _family(op: str) -> str:
    return ROWS[op].family if op in ROWS else COMPOSITION


def case_of(outcome: Outcome, backend: Any) -> dict[str, Any]:
    """A case: all that is needed to ask the question again, and what was said of it."""
    blamed = outcome.blamed.op if outcome.blamed else None
    return Case.of(
        outcome.judgement, backend.name, backend.versions(), finding=outcome.news, blamed=blamed, witnesses=outcome.witnesses
    ).to_json()


# -- one task ------------------------------------------------------------------------------------------------------------------

Emit = Callable[[dict[str, Any]], None]


def perform(task: Task, examiner: Examiner, emit: Emit, deadline: float = float("inf")) -> None:
    """Ask everything of one task, and record it."""
    backend = examiner.backend
    supports = getattr(backend, "supports", None)
    if task.op != COMPOSITION and supports is not None and not supports(task.op):
        emit(
            {
                "kind": "outcome", "op": task.op, "family": _family(task.op), "dtype": task.dtype, "verdict": "unsupported",
                "where": "program", "reason": f"{backend.name} has no {task.op}", "legs": {}, "steps": 0, "number": 0,
            }
        )  # fmt: skip
        return
    allow = tuple(op for op in ROWS if supports(op)) if supports is not None else None
    share = PROFILES[examiner.settings.profile].opinion_share
    left, turn, number, seen = task.examples, 0, 0, set()
    began, library_seconds, opinions = time.perf_counter(), 0.0, 0
    while left > 0 and time.time() < deadline:
        target: tuple[str, str, str] | None = None
        smallest: Outcome | None = None
        asked = 0

        def ask(question: Question) -> None:
            nonlocal target, smallest, asked, number, library_seconds, opinions
            if time.time() >= deadline:
                return
            if target is not None:
                outcome = examiner.examine(question)
                if outcome.signature == target:
                    smallest = outcome
                    raise _NewFailure(target)
                return
            elapsed = time.perf_counter() - began
            wanted = opinions == 0 or library_seconds < share * elapsed
            before = time.perf_counter()
            outcome = examiner.examine(question, differences=number % DIFFERENCES_EVERY == 0, library=wanted)
            if "jax" in outcome.legs:
                library_seconds += time.perf_counter() - before
                opinions += outcome.legs["jax"] == "agrees"
            number, asked = number + 1, asked + 1
            emit(_outcome_record(task, number, outcome))
            if outcome.disagreement:
                emit(
                    {
                        "kind": "disagreement", "op": task.op, "case": case_of(outcome, backend),
                        "witnesses": [w.to_json() for w in outcome.witnesses],
                    }
                )  # fmt: skip
            if outcome.signature is not None and outcome.signature not in seen:
                target, smallest = outcome.signature, outcome
                raise _NewFailure(target)

        with suppress(_NewFailure, Flaky):
            _drawn(task, turn, left, allow, ask)
        if smallest is None or target is None:
            break
        seen.add(target)
        smallest = _smallest(smallest, target, examiner)
        smallest.witnesses = witnesses(smallest.judgement, backend)
        record = _outcome_record(task, number, smallest)
        emit(
            {
                **record,
                "kind": "failure",
                "new": True,
                "case": case_of(smallest, backend),
                "witnesses": [w.to_json() for w in smallest.witnesses],
            }
        )
        left, turn = left - asked, turn + 1


def _smallest(outcome: Outcome, target: tuple[str, str, str], examiner: Examiner) -> Outcome:
    """The blamed step alone if that fails alike, and the smallest question like it."""

    def alike(question: Question) -> bool:
        return examiner.examine(question).signature == target

    question = outcome.judgement.question
    alone = outcome.blamed.alone if outcome.blamed is not None else None
    if alone is not None and alike(alone):
        question = alone
    return examiner.examine(smaller(question, alike))


def _drawn(task: Task, turn: int, examples: int, allow: tuple[str, ...] | None, ask: Callable[[Question], None]) -> None:
    """One Hypothesis run, whose questions depend on the task's seed alone."""
    strategy = questions(None if task.op == COMPOSITION else task.op, dtypes=(task.dtype,), allow=allow)
    run = hypothesis_settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
        print_blob=False,
    )
    seeded(task.seed + turn)(run(given(strategy)(ask)))()


# -- many tasks ----------------------------------------------------------------------------------------------------------------


def selected(ops: tuple[str, ...]) -> tuple[str, ...]:
    """The rows that a run asks about, in the catalogue's order: all where none is named."""
    return tuple(op for op in (*ROWS, COMPOSITION) if not ops or op in ops)


def tasks(settings: Settings, dtypes: tuple[str, ...], turn: int = 0) -> Iterator[Task]:
    """The tasks of a run, the longest first; those of each further turn draw other questions."""
    profile = PROFILES[settings.profile]
    for op in reversed(selected(settings.ops)):
        for dtype in dtypes:
            own = zlib.crc32(f"{__version__} {settings.seed} {turn} {op} {dtype}".encode())
            yield Task(op, dtype, profile.compositions if op == COMPOSITION else profile.examples, own)


_worker: tuple[Examiner, Any] | None = None


def _start_worker(settings: Settings, records: Any) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker = Examiner(settings), records


def _work(task: Task, deadline: float) -> int:
    """Perform a task in a worker, and return how many records it sent."""
    assert _worker is not None
    examiner, records = _worker
    sent = 0

    def emit(record: dict[str, Any]) -> None:
        nonlocal sent
        sent += 1
        records.put(record)

    perform(task, examiner, emit, deadline)
    return sent


def run(settings: Settings, emit: Emit) -> None:
    """Judge a backend.

    Parameters
    ----------
    settings : Settings
    emit : callable
        Given every record as it comes: a header ("run"), an "outcome" a question, a "failure" a new counterexample,
        "disagreement" where legs contradict each other, "ledger" for each known deviation, and "end".

    Raises
    ------
    BackendError
        If the backend cannot be loaded, or takes the process down with it.
    KeyboardInterrupt
        After an "end" record that says so.
    """
    began = time.perf_counter()
    profile = PROFILES[settings.profile]
    if settings.seed is None:
        settings = replace(settings, seed=int.from_bytes(os.urandom(4)) if profile.explores else 0)
    examiner = Examiner(settings)
    emit(_header(examiner))
    seconds = settings.max_time if settings.max_time is not None else EXPLORING_SECONDS if profile.explores else float("inf")
    deadline, turn = time.time() + seconds, 0
    try:
        while True:
            _all(list(tasks(settings, examiner.dtypes, turn)), examiner, emit, deadline)
            turn += 1
            if not profile.explores or time.time() >= deadline:
                break
        for record in examiner.ledger_records():
            emit(record)
    except KeyboardInterrupt:
        emit({"kind": "end", "seconds": time.perf_counter() - began, "interrupted": True})
        raise
    emit({"kind": "end", "seconds": time.perf_counter() - began, "interrupted": False})


def _all(every: list[Task], examiner: Examiner, emit: Emit, deadline: float) -> None:
    jobs = min(examiner.settings.jobs or os.cpu_count() or 1, len(every))
    if jobs == 1:
        for task in every:
            perform(task, examiner, emit, deadline)
        return
    context = multiprocessing.get_context("spawn")
    records = context.Queue()
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, initargs=(examiner.settings, records))
    sent = received = 0
    try:
        pending = {pool.submit(_work, task, deadline) for task in every}
        while pending or received < sent:
            done, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
            received += _drain(records, emit)
            sent += sum(future.result() for future in done)
    except BrokenProcessPool as problem:
        _drain(records, emit)
        raise BackendError(
            f"{examiner.backend.name} ended the process that asked it (a segmentation fault, or out of memory?); "
            "what was judged until then is kept, and -j 1 shows where it happens"
        ) from problem
    finally:
        processes = list((getattr(pool, "_processes", None) or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()


def _drain(records: Any, emit: Emit) -> int:
    """Pass on what has come, and return how many records that was."""
    received = 0
    while True:
        try:
            emit(records.get_nowait())
        except queue.Empty:
            return received
        received += 1


def _header(examiner: Examiner) -> dict[str, Any]:
    settings, backend = examiner.settings, examiner.backend
    return {
        "kind": "run",
        "schema_version": 1,
        "run": uuid.uuid4().hex[:12],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "adjudge": __version__,
        "backend": backend.name,
        "versions": backend.versions(),
        "profile": settings.profile,
        "seed": settings.seed,
        "dtypes": list(examiner.dtypes),
        "ops": list(selected(settings.ops)),
        "legs": [leg for leg in settings.legs if leg != "jax" or examiner.library is not None],
        "environment": environment(),
    }


def environment() -> Mapping[str, Any]:
    """Where a run took place."""
    threads = {k: v for k in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS") if (v := os.environ.get(k))}
    blas = np.show_config(mode="dicts")
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "blas": str(blas.get("Build Dependencies", {}).get("blas", {}).get("name", "")) if isinstance(blas, dict) else "",
    }
