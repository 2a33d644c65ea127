"""From a function written with NumPy calls to a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..oracle.dtypes import is_real, simple_dtype
from ..oracle.program import Input, Program, Step
from ..oracle.reference.graph import Node
from ..oracle.reference.tensors import POSITIVE, Tensor, record

__all__ = ["Traced", "program_of", "trace"]


class Cut(TypeError):
    """Numbers were taken out of a traced tensor."""


class Traced(Tensor):
    """A tensor whose every step is written down, and that nothing can take numbers from unseen."""

    __slots__ = ()

    remembers = True

    def _known(self, what: str) -> np.ndarray:
        """The numbers, if no derivative is lost with them."""
        if not self.constant:
            raise Cut(
                f"{what} takes the numbers out of the function's argument, and loses their derivative: "
                "keep to NumPy's functions, and build arrays with numpy.stack, or in numpy.zeros_like of the argument"
            )
        return self._now().data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._known("numpy.asarray (or an assignment into an array)"), dtype=dtype, copy=copy)

    def __float__(self) -> float:
        return float(self._known("float() (or an assignment into an array)").item())

    def __int__(self) -> int:
        return int(self._known("int()").item())

    def item(self) -> Any:
        """The only element of a constant, as a Python number."""
        return self._known("item()").item()

    def copy(self, *, constant: bool | None = None) -> Tensor:
        """The same values under another name."""
        return record(POSITIVE, (self,), constant=constant)

    __copy__ = copy

    def astype(self, dtype: Any, casting: Any = "unsafe", copy: bool = True, *, constant: bool | None = None) -> Tensor:
        """The same values as floats of another width."""
        if not is_real(simple_dtype(dtype)):
            return Traced(self._known(f"astype({np.dtype(dtype).name})"), dtype=dtype)
        return record(POSITIVE, (self,), {"dtype": np.dtype(dtype).name}, constant)


def trace(f: Callable[..., Any], arrays: Sequence[Any]) -> Program | None:
    """The program that `f` runs on these arrays; None if its result does not depend on any of them.

    Parameters
    ----------
    f : callable
        Takes as many arrays, returns one.
    arrays : sequence of array_like

    Examples
    --------
    >>> print(trace(lambda x: np.sum(x * np.sin(x)), [np.array([0.5, 2.0])]))
    a = array([0.5, 2. ])
    b = sin(a)
    c = multiply(a, b)
    d = sum(c)
    """
    arguments = [Traced(a) for a in arrays]
    leaves = [x._node for x in arguments]
    try:
        with np.errstate(all="ignore"):
            out = f(*arguments)
    except ValueError as problem:  # NumPy's own, where it wanted numbers
        raise (problem.__cause__ if isinstance(problem.__cause__, Cut) else problem) from None
    if isinstance(out, (tuple, list, dict)):
        raise TypeError(f"the function returned a {type(out).__name__}: it must return one array; add up or stack its results")
    return program_of(out, leaves) if isinstance(out, Tensor) and not out.constant else None


def program_of(out: Tensor, leaves: Sequence[Node]) -> Program:
    """How a tensor was computed, as a program whose first inputs are `leaves`; every other value that was given is a constant.

    Parameters
    ----------
    out : Tensor
        Not cleared.
    leaves : sequence of Node
        Values whose gradients are wanted.
    """
    end = out._now()
    if end.op is None:
        end = record(POSITIVE, (out,))._now()
    steps = _computed(end)
    inputs = [Input(node.data) for node in leaves]
    numbers = {id(node): n for n, node in enumerate(leaves)}
    for node in steps:
        for x in node.operands:
            if not (type(x) is Node and x.op is not None) and id(x) not in numbers:
                numbers[id(x)] = len(inputs)
                value = x.data if type(x) is Node else x
                number = isinstance(value, (int, float)) and not isinstance(value, np.generic)
                inputs.append(Input(np.asarray(value), constant=True, kind="number" if number else "array"))
    made: list[Step] = []
    for node in steps:
        made.append(node.step(tuple(numbers[id(x)] for x in node.operands)))
        numbers[id(node)] = len(inputs) + len(made) - 1
    return Program(tuple(inputs), tuple(made))


def _computed(end: Node) -> list[Node]:
    """The values that were computed on the way to one, in the order in which they were."""
    reached, stack = {end}, [end]
    while stack:
        for x in stack.pop().operands:
            if type(x) is Node and x.op is not None and x not in reached:
                reached.add(x)
                stack.append(x)
    return sorted(reached, key=lambda node: node.serial)
