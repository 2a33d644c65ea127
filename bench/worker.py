"""The process that a side is timed in: it needs CPython 3.8, NumPy and the library under test, and nothing of adjudge.

It reads questions from its standard input and answers them, one line of JSON each; what the library prints goes to the error
output. The program comes as source code in the library's own words: a function ``passes(a, b, …, cotangent)`` that prepares
the passes, and returns

``forward``
    a function without arguments that computes the value, and returns when that is finished;
``total``
    one that computes value and gradients, and returns when they are finished;
``arrays``
    a function that turns the result of ``total`` into ``(value, [gradient, …])`` of NumPy arrays;
``compile_s``
    (if it compiles) how many seconds it took to compile ``total``;
``peak``
    (if its memory is not NumPy's) a function that returns how many bytes one ``total`` allocates at most.
"""

from __future__ import annotations

import gc
import json
import math
import os
import sys
import time
import tracemalloc
from collections.abc import Sequence
from typing import Any

try:
    if os.path.realpath(sys.path[0]) == os.path.dirname(os.path.realpath(__file__)):
        del sys.path[0]  # what lies beside this file is no library
    import numpy as np
except ModuleNotFoundError as missing:
    sys.stdin.readline()
    print(json.dumps({"missing": missing.name}), flush=True)
    sys.exit(0)


def laid_out(data: np.ndarray, layout: str) -> np.ndarray:
    """A copy of an array in the given memory layout."""
    if layout == "F":
        return np.array(data, order="F")
    if layout == "strided":
        wide = np.zeros((*data.shape[:-1], 2 * data.shape[-1]), data.dtype)
        wide[..., ::2] = data
        return wide[..., ::2]
    if layout == "broadcast":  # one entry for the whole first axis; writeable, since some libraries warn of read-only arrays
        out = np.broadcast_to(np.array(data[:1], order="C"), data.shape)
        out.flags.writeable = True
        return out
    return np.array(data, order="C")


class Bench:
    """The passes that are being timed, and the requests that a worker answers."""

    def __init__(self) -> None:
        self.passes: dict[str, Any] = {}
        self.runs: dict[str, Any] = {}
        self.answer: Any = None

    def prepare(self, source: str, arrays: str, layouts: Sequence[str], multiply_adds: int) -> dict[str, Any]:
        """Make everything ready, the compiler's work included; the limit is a matrix product with as many multiply-adds."""
        self.runs, self.answer = {}, None
        gc.unfreeze()
        gc.collect()
        with np.load(arrays) as given:
            inputs = [laid_out(given[f"input{n}"], layout) for n, layout in enumerate(layouts)]
            cotangent = given["cotangent"]
        words: dict[str, Any] = {"np": np}
        exec(compile(source, "<passes>", "exec"), words)
        self.passes = words["passes"](*inputs, cotangent)
        n = max(1, round(multiply_adds ** (1 / 3)))
        left, right, out = (np.ones((n, n), cotangent.dtype) for _ in range(3))
        self.runs = {k: self.passes[k] for k in ("forward", "total")}
        self.runs["limit"] = lambda: np.matmul(left, right, out)
        for run in self.runs.values():
            run()
        gc.collect()
        gc.freeze()  # lasting objects need not be traversed again and again
        return {"limit_flops": 2 * n**3, "compile_s": self.passes.get("compile_s")}

    def calibrate(self, seconds: float) -> dict[str, int]:
        """How many passes of each kind take about this many seconds; at least one."""
        counts = {}
        for kind, run in self.runs.items():
            best = math.inf
            for _ in range(3):
                start = time.perf_counter()
                run()
                best = min(best, time.perf_counter() - start)
            counts[kind] = max(1, round(seconds / best))
        return counts

    def time(self, kind: str, passes: int) -> dict[str, float]:
        """Seconds per pass, averaged over a number of passes."""
        run, answer = self.runs[kind], None
        start = time.perf_counter()
        for _ in range(passes):
            answer = run()
        seconds = (time.perf_counter() - start) / passes
        if kind == "total":
            self.answer = answer
        return {"seconds": seconds}

    def write(self, to: str) -> dict[str, int]:
        """Write value and gradients of the last pass to a file; of a pass of its own where there is none yet."""
        if self.answer is None:
            self.answer = self.runs["total"]()
        value, gradients = self.passes["arrays"](self.answer)
        given: dict[str, Any] = {f"gradient{n}": np.asarray(g) for n, g in enumerate(gradients) if g is not None}
        np.savez(to, value=np.asarray(value), **given)
        return {"gradients": len(gradients)}

    def peak(self) -> dict[str, int]:
        """Bytes that one pass allocates at most, its arguments not included."""
        self.answer = None
        if "peak" in self.passes:
            return {"bytes": int(self.passes["peak"]())}
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            answer = self.runs["total"]()
            most = tracemalloc.get_traced_memory()[1]
            del answer
        finally:
            tracemalloc.stop()
        return {"bytes": most - before}


def main() -> None:
    """Answer requests until the input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    bench = Bench()
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = getattr(bench, question.pop("do"))(**question)
        except ModuleNotFoundError as missing:
            answer = {"missing": missing.name or str(missing)}
        except Exception as problem:
            answer = {"error": f"{type(problem).__name__}: {problem}"}
        replies.write(json.dumps(answer) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
