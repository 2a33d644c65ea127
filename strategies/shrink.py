"""Smaller questions that fail alike: after Hypothesis has shrunk its draws, single elements and rounder numbers are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ..oracle.certificate import as_question
from ..oracle.dtypes import is_float
from ..oracle.program import Input, Program, Question

__all__ = ["shrink"]

#: The most questions that are asked.
PATIENCE = 300
#: Errors of candidates that are not programs: shapes that do not fit, an index out of range, a point outside a domain.
_NO_PROGRAM = (ValueError, IndexError)


def shrink(question: Question, alike: Callable[[Question], bool]) -> Question:
    """The smallest question found that still satisfies `alike`.

    Parameters
    ----------
    question : Question
    alike : callable
        Whether a question fails in the same way, which `question` itself must.

    Returns
    -------
    Question
        With a cotangent and directions of ones if the program became smaller.

    Examples
    --------
    >>> import numpy as np
    >>> from adjudge import Program
    >>> large = as_question(Program.of([np.array([[1.25, -3.7], [2.5, 4.0]])], [("exp", [0])]))
    >>> print(shrink(large, lambda q: (q.program.inputs[0].data < 0).any()).program)
    a = array([[-4.]])
    b = exp(a)
    """
    asked = 0
    smaller = True
    while smaller:
        smaller = False
        for candidate in _candidates(question.program):
            asked += 1
            if asked > PATIENCE:
                return question
            try:
                attempt = as_question(candidate)
                smaller = alike(attempt)
            except _NO_PROGRAM:
                continue
            if smaller:
                question = attempt
                break
    return question


def _candidates(program: Program) -> Iterator[Program]:
    """Programs that are easier to read: without layouts, with one element along an axis, with rounder numbers."""
    if any(i.layout != "C" for i in program.inputs):
        yield Program(tuple(replace(i, layout="C") for i in program.inputs), program.steps)
    most = max((i.data.ndim for i in program.inputs), default=0)
    for axis in range(-most, 0):
        lengths = {i.data.shape[axis] for i in program.inputs if i.data.ndim >= -axis and i.data.shape[axis] > 1}
        for length in lengths:
            for place in range(length):
                yield Program(tuple(_only(i, axis, length, place) for i in program.inputs), program.steps)
    for n, i in enumerate(program.inputs):
        for data in _rounder(i.data):
            yield program.with_inputs([data if m == n else j.data for m, j in enumerate(program.inputs)])


def _only(i: Input, axis: int, length: int, place: int) -> Input:
    if i.data.ndim < -axis or i.data.shape[axis] != length:
        return i
    return replace(i, data=i.data.take([place], axis=axis))


def _rounder(data: np.ndarray) -> Iterator[np.ndarray]:
    """The same array with one element rounded, or all of them."""
    if not is_float(data.dtype) or not data.size:
        return
    for digits in (0, 1):
        every = np.round(data, digits)
        if not np.array_equal(every, data):
            yield every
        for place in np.ndindex(data.shape):
            if every[place] != data[place] and data.size > 1:
                one = data.copy()
                one[place] = every[place]
                yield one
