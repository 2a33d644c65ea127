"""Sides: a backend in some environment, and the worker process that its passes run in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..backends import SHIPPED, Backend, BackendError, LibraryMissing, isolate, python_of, split
from ..backends.language import LanguageError, definitions, source, template_of
from ..backends.protocol.isolated import environment
from .cases import BenchCase, differs

__all__ = ["THREADS", "Side", "Untimed", "Worker", "default_sides", "threads"]

#: Variables that limit the threads of BLAS, OpenMP and XLA. One thread unless the user has set another number: sides are
#: compared on the same number of cores, and even a busy machine can give one.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
#: glibc hands freed memory back to the system, or keeps it, by the order in which arrays happen to be freed: 350 page faults in
#: one library's pass, and none in another's that computes the same. In a worker it is kept, whichever library runs.
ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**25)}
#: No question takes longer than this many seconds, compilers included.
PATIENCE = 120.0


class Untimed(Exception):
    """A side has no timing of a case: `verdict` is "unsupported", "wrong" or "crash", and the message says why.

    `worker` is the worker that found out, if one did.
    """

    def __init__(self, verdict: str, reason: str, worker: Worker | None = None) -> None:
        super().__init__(reason)
        self.verdict, self.worker = verdict, worker


def threads() -> dict[str, str]:
    """How many threads each library may take, as environment variables."""
    given = os.environ.get("OMP_NUM_THREADS") or "1"
    return {name: os.environ.get(name) or given for name in THREADS}


def _environment(external: bool) -> dict[str, str]:
    """A worker's environment."""
    own = {**ALLOCATOR, **environment({}, external), **threads()}
    count = own["OMP_NUM_THREADS"]
    if count == "1":
        own["XLA_FLAGS"] = f"{own.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()
    own["PJRT_NPROC"] = own["NPROC"] = count  # the size of XLA's own pool
    return own


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Parameters
    ----------
    spec : str
        As the user typed it, see `adjudge.backends.isolate`.
    backend : Backend, optional
        None where its library is not installed.
    python : str
        The interpreter.
    external : bool
        Whether that is another one than adjudge itself runs in.
    lacking : str
        Why it cannot be timed at all; "" if it can.
    """

    spec: str
    backend: Backend | None
    python: str
    external: bool = False
    lacking: str = ""

    @classmethod
    def of(cls, spec: str, tell: Callable[[str], None] = lambda sentence: None) -> Side:
        """The side that the user means.

        Parameters
        ----------
        spec : str
        tell : callable
            Told what is being done where that takes a while.

        Raises
        ------
        BackendError
            Where there is no such backend, or no such environment.
        """
        python = python_of(spec, tell=tell)
        try:
            backend = isolate(spec)
        except LibraryMissing as missing:
            return cls(spec, None, python or sys.executable, python is not None, str(missing))
        timed = bool(backend.language.passes)
        lacking = "" if timed else f"backend {backend.name} does not say how its passes are timed (language)"
        return cls(spec, backend, python or sys.executable, python is not None, lacking)

    @property
    def name(self) -> str:
        """The backend's name."""
        return self.backend.name if self.backend is not None else split(self.spec)[0]

    def source(self, case: BenchCase) -> str:
        """The case as source text in the library's own words."""
        assert self.backend is not None
        if not self.backend.supports(case.row.op):
            raise Untimed("unsupported", f"{self.backend.name} has no {case.row.op}")
        language = self.backend.language
        try:
            text = source(case.program, template_of(language, "passes"), language, self.backend.function_of).text
        except LanguageError as problem:
            raise Untimed("unsupported", str(problem)) from problem
        imports, helpers = definitions(text, language)
        return f"{imports}\n\n\n{helpers}\n\n\n{text}"


def default_sides() -> list[Side]:
    """All shipped backends that can be timed, those whose library is missing included, in this environment."""
    sides = []
    for name in SHIPPED:
        try:
            side = Side.of(name)
        except BackendError as problem:
            side = Side(name, None, sys.executable, lacking=str(problem))
        if side.backend is None or side.backend.language.passes:
            sides.append(side)
    return sides


class Worker:
    """A side's process; a context manager that ends the process.

    Parameters
    ----------
    side : Side
        One that can be timed.
    """

    def __init__(self, side: Side) -> None:
        self.side = side
        self.folder = tempfile.TemporaryDirectory(prefix="adjudge-bench-")
        self._errors = open(Path(self.folder.name) / "errors.txt", "w+b")  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                [side.python, str(Path(__file__).with_name("worker.py"))],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, env=_environment(side.external), text=True,
            )  # fmt: skip
        except OSError as problem:
            self._errors.close()
            self.folder.cleanup()
            raise Untimed("crash", f"{side.python} cannot be started: {problem.strerror}") from problem
        self.alive = True
        self.limit_flops = 0
        self.compile_s: float | None = None

    def __enter__(self) -> Worker:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        """End the process."""
        self.close()

    def close(self) -> None:
        """End the process, if it has not ended."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            try:
                stream.close()
            except OSError:  # a request that it never read
                continue
        self._errors.close()
        self.folder.cleanup()
        self.alive = False

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """Send one request, and return the reply.

        Raises
        ------
        Untimed
            Where the library is missing, raises, takes the process down or takes too long.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        late = threading.Timer(PATIENCE, self._process.kill)
        late.start()
        try:
            self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        finally:
            in_time = late.is_alive()
            late.cancel()
        if not line:
            self.alive = False
            raise Untimed("crash", self._end() if in_time else f"no answer within {PATIENCE:.0f} s", self)
        answer: dict[str, Any] = json.loads(line)
        if missing := answer.get("missing"):
            wanted = missing.partition(".")[0]
            raise Untimed("unsupported", f"{missing} is not installed: {self.side.python} -m pip install {wanted}", self)
        if "error" in answer:
            raise Untimed("crash", " ".join(answer["error"].split())[:300], self)
        return answer

    def _end(self) -> str:
        """How the process ended."""
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().split("\n")
        return f"the process ended with status {status}" + (f": {lines[-1][:200]}" if lines[-1] else "")

    def versions(self) -> dict[str, str]:
        """Versions of the library and of the packages that it depends on, the library's first."""
        assert self.side.backend is not None
        return self.side.backend.versions()

    def prepare(self, case: BenchCase) -> None:
        """Make a case ready, and judge its answer.

        Raises
        ------
        Untimed
            Where there is no answer, or it is not right.
        """
        file = Path(self.folder.name) / "inputs.npz"
        given: dict[str, Any] = {f"input{n}": x for n, x in enumerate(case.arrays)}
        np.savez(file, cotangent=case.cotangent, **given)
        try:
            source = self.side.source(case)
        except Untimed as problem:
            problem.worker = self
            raise
        ready = self.ask(
            "prepare", source=source, arrays=str(file), layouts=case.layouts, multiply_adds=case.truth.multiply_adds
        )
        self.limit_flops, self.compile_s = ready["limit_flops"], ready["compile_s"]
        self.judge(case)

    def judge(self, case: BenchCase) -> None:
        """Judge the answer of the pass that was timed last, or of a first one.

        Raises
        ------
        Untimed
            Where any element is not exactly what integer arithmetic says.
        """
        file = Path(self.folder.name) / "answer.npz"
        count = self.ask("write", to=str(file))["gradients"]
        with np.load(file, allow_pickle=False) as answer:
            gradients: Sequence[np.ndarray | None] = [answer.get(f"gradient{n}") for n in range(count)]
            wrong = differs(case, answer["value"], gradients)
        if wrong:
            raise Untimed("wrong", wrong, self)
