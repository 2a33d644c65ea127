"""Strategies for questions: programs with data, a cotangent and directions; and for calls of single ops."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..oracle.dtypes import NAMES, simple_dtype
from ..oracle.program import Program, Question
from . import parameters
from .builder import ANY, ProgramBuilder
from .catalogue import CATALOGUE, rows
from .choices import Choices
from .row import Row
from .shapes import SHAPES, Shape
from .specs import PLAIN

__all__ = ["conv_calls", "einsum_calls", "indices", "programs", "questions"]


@cache
def _pool(allow: frozenset[str] | None) -> tuple[Row, ...]:
    """The rows to draw from: ops of several operands, where values meet, three times as often as the others."""
    return tuple(row for row in rows(allow=allow) for _ in range(1 if row.pattern.unary else 3))


@st.composite
def _questions(draw: Any, op: str | None, dtypes: tuple[str, ...], max_steps: int, allow: frozenset[str] | None) -> Question:
    choices, pool = Choices(draw), _pool(allow)
    with np.errstate(all="ignore"):
        builder = ProgramBuilder(choices, dtypes)
        row, most = (None, max_steps) if op is None else (CATALOGUE[op], min(max_steps, 5))
        needed = builder.grow(row, most, pool)
        if len(builder.steps) > 1 and choices.once_in(24):
            builder.values.insert(0, builder.new_input(ANY, choices.sampled_from(SHAPES["any"]), PLAIN))
        return builder.question(needed)


def questions(
    op: str | None = None,
    dtypes: Sequence[str] = ("float64", "float32"),
    max_steps: int = 6,
    allow: Collection[str] | None = None,
) -> st.SearchStrategy[Question]:
    """Questions about one op, or about programs of two to `max_steps` steps.

    Parameters
    ----------
    op : str, optional
        If given, four questions in five are one step of this op, the others two to five steps that include it.
    dtypes : sequence of str
        Float dtypes to ask in, the simplest first: "float64", "float32", "float16", "bfloat16".
    max_steps : int
        With 1, every program is a single step.
    allow : collection of str, optional
        Only these ops: those that an implementation has.

    Returns
    -------
    SearchStrategy
        Of `adjudge.oracle.program.Question`. At least one input is a variable, and the value depends on it.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(questions("exp", max_steps=1), lambda question: question.cotangent.ndim > 1).program.ops
    ('exp',)
    """
    unknown = sorted({*([op] if op else []), *(allow or ())} - set(CATALOGUE))
    if unknown:
        raise ValueError(f"the catalogue has no {', '.join(map(repr, unknown))}; `adjudge list ops` shows all ops")
    if allow is not None and not allow:
        raise ValueError("allow= names no op, so there is nothing to ask; leave it out to ask about every op")
    if not dtypes or not set(dtypes) <= set(NAMES):
        raise ValueError(f"dtypes={tuple(dtypes)!r}: questions are asked in {', '.join(NAMES)}")
    if max_steps < 1:
        raise ValueError(f"max_steps={max_steps}: a program needs at least one step")
    return _questions(op, tuple(dtypes), max_steps, None if allow is None else frozenset(allow))


def programs(
    op: str | None = None,
    dtypes: Sequence[str] = ("float64", "float32"),
    max_steps: int = 6,
    allow: Collection[str] | None = None,
) -> st.SearchStrategy[Program]:
    """Programs with their data, for a user's own tests; the parameters are those of `questions`."""
    return questions(op, dtypes, max_steps, allow).map(lambda question: question.program)


@st.composite
def _indices(draw: Any, shape: Shape) -> tuple[Any, ...]:
    return parameters.index(Choices(draw), shape)


def indices(shape: Shape) -> st.SearchStrategy[tuple[Any, ...]]:
    """Indices into an array of `shape`: basic, new axes, ellipses, negative steps, booleans, repeated integers, mixtures.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(indices((3,)), lambda index: True)
    (slice(None, None, None),)
    """
    return _indices(tuple(shape))


def _call(draw: Any, op: str, dtype: np.dtype) -> tuple[list[np.ndarray], dict[str, Any]]:
    """The operands of one op on new inputs, and its parameters."""
    row = CATALOGUE[op]
    with np.errstate(all="ignore"):
        operands, params = row.pattern.call(ProgramBuilder(Choices(draw), (dtype.name,)), row, None)
    return [v.data for v in operands], params


@st.composite
def _einsum_calls(draw: Any, dtype: np.dtype) -> tuple[str, list[np.ndarray]]:
    operands, params = _call(draw, "einsum", dtype)
    return params["subscripts"], operands


def einsum_calls(dtype: Any = np.float64) -> st.SearchStrategy[tuple[str, list[np.ndarray]]]:
    """Calls of einsum, as subscripts and operands: traces, diagonals, ellipses, implicit outputs, repeated operands.

    Examples
    --------
    >>> from hypothesis import find
    >>> subscripts, operands = find(einsum_calls(), lambda call: len(call[1]) == 2)
    >>> subscripts.count(",")
    1
    """
    return _einsum_calls(simple_dtype(dtype))


@st.composite
def _conv_calls(draw: Any, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    (images, filters), params = _call(draw, "conv_nd", dtype)
    return images, filters, params


def conv_calls(dtype: Any = np.float64) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray, dict[str, Any]]]:
    """Convolutions, as images of shape (N, C, …), filters of shape (F, C, …), and ``stride``, ``padding`` and ``dilation``.

    One to three axes; settings are integers, or lists with one integer per axis, such that the last window ends where its axis
    ends.

    Examples
    --------
    >>> from hypothesis import find
    >>> x, filters, params = find(conv_calls(), lambda call: call[0].ndim == 4)
    >>> x.shape, filters.shape, params
    ((1, 1, 3, 3), (1, 1, 2, 2), {'stride': 1})
    """
    return _conv_calls(simple_dtype(dtype))
