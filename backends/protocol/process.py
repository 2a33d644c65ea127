"""The judge's end of the protocol: a process that is asked, with limits, and started anew after it is lost."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from ...oracle.protocol import Lost
from .frames import MOST_LINE, FrameError, packed, read

__all__ = ["MEMORY", "QUESTION_TIMEOUT", "START_TIMEOUT", "Limits", "OutOfTime", "Process"]

#: Seconds that a question may take, compilers included, and those that an implementation may take to be imported.
QUESTION_TIMEOUT, START_TIMEOUT = 20.0, 120.0
#: Bytes that the process of an implementation may allocate.
MEMORY = 4 * 2**30
#: The error output of a process is cut when it has more bytes.
MOST_ERRORS = 2**20


class OutOfTime(BaseException):
    """The time of the whole run is over in the middle of a question; whoever catches what a backend raises lets it pass."""


@dataclass
class Limits:
    """What an implementation may take.

    Parameters
    ----------
    seconds : float
        For a question.
    memory : int or None
        In bytes.
    deadline : float
        When the time of the whole run is over, as `time.time` has it.
    """

    seconds: float = QUESTION_TIMEOUT
    memory: int | None = MEMORY
    deadline: float = float("inf")

    @property
    def memory_words(self) -> str:
        """The memory limit as people write it."""
        return "" if self.memory is None else f"{self.memory / 2**30:.3g} GiB"


class Process:
    """A process that answers questions.

    Parameters
    ----------
    command : sequence of str
    environment : mapping, optional
        Its environment variables.
    limits : Limits
        Read anew for each question.
    folder : str, optional
        Where it runs.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None, limits: Limits, folder: str | None = None
    ) -> None:
        self.command, self.environment, self.limits, self.folder = list(command), environment, limits, folder
        self._running: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._read = b""
        self._asked = 0
        self._part = ""

    @property
    def alive(self) -> bool:
        """Whether it runs, as far as is known."""
        return self._running is not None

    def start(self) -> None:
        """Start it, if it does not run; raises `OSError` where there is no such program."""
        if self._running is not None:
            return
        self._errors = tempfile.TemporaryFile(mode="a+b")  # noqa: SIM115 (closed with the process)
        self._running = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, env=self.environment,
            cwd=self.folder, bufsize=0, start_new_session=True,
        )  # fmt: skip
        self._read = b""
        for pipe in (self._running.stdin, self._running.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)

    def close(self) -> None:
        """End it, if it has not ended."""
        process, self._running = self._running, None
        if process is None:
            return
        try:
            os.killpg(process.pid, signal.SIGKILL)  # it leads a group of its own: what it started goes with it
        except (ProcessLookupError, PermissionError):
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, self._errors):
            assert pipe is not None
            pipe.close()

    def __del__(self) -> None:
        self.close()

    def ask(
        self,
        message: dict[str, Any],
        arrays: Sequence[np.ndarray] = (),
        seconds: float | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Send a message, and return the reply.

        Parameters
        ----------
        message : dict
        arrays : sequence of ndarray
        seconds : float, optional
            How long it may take; the limit of a question if left out.
        meanwhile : callable
            Called before the reply is waited for.

        Raises
        ------
        Lost
            Where there is no answer; the process has ended then.
        OutOfTime
        """
        self.start()
        self._asked += 1
        allowed = self.limits.seconds if seconds is None else seconds
        now = time.time()
        late, over = now + allowed, self.limits.deadline
        self._part = ""
        try:
            self._write(packed({**message, "id": self._asked}, arrays), min(late, over))
            meanwhile()
            reply, sent = read(self._line(min(late, over)), lambda size: self._take(size, min(late, over)))
            if reply.pop("id", None) != self._asked:
                raise FrameError("an answer without the id of the question")
            if self._read:
                raise FrameError(f"{self._read[:60]!r} follows an answer")
            return reply, sent
        except _Late:
            self.close()
            if over < late:
                raise OutOfTime from None
            option = "--question-timeout" if seconds is None else "the limit for a start"
            raise Lost(f"no answer within {allowed:g} s ({option}){self._part}") from None
        except FrameError as problem:
            self.close()
            raise Lost(f"garbage on the channel: {problem}") from None
        except (_Ended, BrokenPipeError):
            raise Lost(self._end()) from None
        except BaseException:  # an answer that nobody waits for any more would be taken for the next one
            self.close()
            raise

    # -- the channel --------------------------------------------------------------------------------------------------

    def _write(self, data: bytes, until: float) -> None:
        assert self._running is not None
        assert self._running.stdin is not None
        pipe, left = self._running.stdin.fileno(), memoryview(data)
        while left:
            try:
                left = left[os.write(pipe, left) :]
            except BlockingIOError:
                self._wait((), (pipe,), until)

    def _line(self, until: float) -> bytes:
        start = 0
        while (end := self._read.find(b"\n", start)) < 0:
            start = len(self._read)
            if start > MOST_LINE:
                raise FrameError(f"{self._read[:60]!r}… has no end")
            self._fill(until)
        line, self._read = self._read[:end], self._read[end + 1 :]
        return line

    def _take(self, size: int, until: float) -> bytes:
        parts = [self._read]
        held = len(self._read)
        while held < size:
            self._read = b""
            self._part = f": {held} of the {size} bytes of an array came"
            self._fill(until)
            parts.append(self._read)
            held += len(self._read)
        whole = b"".join(parts)
        self._read = whole[size:]
        return whole[:size]

    def _fill(self, until: float) -> None:
        assert self._running is not None
        assert self._running.stdout is not None
        pipe = self._running.stdout.fileno()
        while True:
            self._wait((pipe,), (), until)
            try:
                more = os.read(pipe, 2**20)
            except BlockingIOError:
                continue
            if not more:
                raise _Ended
            self._read += more
            return

    def _wait(self, to_read: Sequence[int], to_write: Sequence[int], until: float) -> None:
        poll = select.poll()
        for pipe in to_read:
            poll.register(pipe, select.POLLIN)
        for pipe in to_write:
            poll.register(pipe, select.POLLOUT)
        left = until - time.time()
        if left <= 0 or not poll.poll(min(left, 1e6) * 1e3):
            raise _Late

    # -- how it ended ---------------------------------------------------------------------------------------------------

    def _end(self) -> str:
        """How the process ended, in a sentence, and what its error output says last."""
        process = self._running
        assert process is not None
        try:
            status = process.wait(2)
        except subprocess.TimeoutExpired:  # it closed the channel, and lives
            self.close()
            return "the process closed the channel without an answer"
        last = self._last_error()
        self.close()
        how = f"the process was ended by {_signal(-status)}" if status < 0 else f"the process ended with status {status}"
        limit = f"; its memory limit is {self.limits.memory_words} (--memory)" if "alloc" in last.lower() else ""
        return how + limit + (f": {last}" if last else "")

    def _last_error(self) -> str:
        assert self._errors is not None
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - 4096))
        lines = self._errors.read().decode("utf-8", "replace").strip().split("\n")
        telling = [
            line for line in lines if "error:" in line.lower()
        ]  # the last line need not be: Node.js ends with its version
        return (telling or lines)[-1].strip()[:200]

    def forget_errors(self) -> None:
        """Cut the error output, which may grow without end."""
        if self._errors is not None and not self._errors.closed and os.fstat(self._errors.fileno()).st_size > MOST_ERRORS:
            os.ftruncate(self._errors.fileno(), 0)


class _Late(Exception):
    """The time is over."""


class _Ended(Exception):
    """The channel is closed."""


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
