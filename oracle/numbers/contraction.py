"""An einsum of two arrays as a stack of matrix products, which have fast kernels for floats and for balls."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

__all__ = ["Products", "as_products"]

Axes = tuple[int, ...]


@dataclass(frozen=True)
class Products:
    """How two arrays become stacks of matrices, and the stack of products the result.

    Parameters
    ----------
    sums : pair of tuples
        Axes of each array that only it has and the result lacks: they are summed first.
    axes : pair of tuples
        The order of each array's remaining axes: those of the stack, then of the matrix.
    shapes : pair of tuples
        Of the two stacks: (stack, rows, inner) and (stack, inner, columns).
    shape : tuple
        Of the stack of products, its axes one by one.
    order : tuple
        The order of those axes in the result.
    swapped : bool
        Whether the second array is the first factor.
    """

    sums: tuple[Axes, Axes]
    axes: tuple[Axes, Axes]
    shapes: tuple[Axes, Axes]
    shape: Axes
    order: Axes
    swapped: bool = False

    def stacks(self, a: Any, b: Any) -> tuple[Any, Any]:
        """The two stacks of matrices."""
        if self.swapped:
            a, b = b, a
        if self.sums[0]:
            a = a.sum(axis=self.sums[0])
        if self.sums[1]:
            b = b.sum(axis=self.sums[1])
        return a.transpose(self.axes[0]).reshape(self.shapes[0]), b.transpose(self.axes[1]).reshape(self.shapes[1])

    def of_floats(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The result, in memory of its own."""
        out = np.empty(self.shape, a.dtype)
        first, second = self.stacks(a, b)
        np.matmul(first, second, out=out.reshape((first.shape[0], first.shape[1], second.shape[2])))
        return out if self.order == tuple(range(len(self.order))) else np.ascontiguousarray(out.transpose(self.order))

    @cached_property
    def worth(self) -> int:
        """How many multiplications a product of matrices saves: 0 where there is no product to speak of."""
        stack, rows, inner = self.shapes[0]
        columns = self.shapes[1][2]
        return 0 if inner == 1 or rows == columns == 1 else stack * rows * inner * columns

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Rows, inner length and columns of one product."""
        return (*self.shapes[0][1:], self.shapes[1][2])  # type: ignore[return-value]  # two and one


@lru_cache(maxsize=1024)
def as_products(subscripts: str, left_shape: Axes, right_shape: Axes) -> Products | None:
    """How `subscripts` (written out, ``"ij,jk->ik"``) are products of matrices; None where labels repeat or lengths differ.

    Examples
    --------
    >>> as_products("bij,bkj->bik", (5, 2, 3), (5, 4, 3)).shapes
    ((5, 2, 3), (5, 3, 4))
    >>> as_products("ij,ji->i", (2, 3), (3, 2)).lengths
    (1, 3, 1)
    """
    terms, output = subscripts.split("->")
    left, right = terms.split(",")
    lengths = dict(zip(left, left_shape, strict=True))
    if any(lengths.get(c, n) != n for c, n in zip(right, right_shape, strict=True)):
        return None
    if any(len(set(term)) < len(term) for term in (left, right, output)):
        return None
    lengths |= dict(zip(right, right_shape, strict=True))
    stack = [c for c in output if c in left and c in right]
    rows = [c for c in output if c not in right]
    columns = [c for c in output if c not in left]
    if [*stack, *columns, *rows] == list(output) and rows and columns:
        turned = as_products(f"{right},{left}->{output}", right_shape, left_shape)
        return turned and replace(turned, swapped=True)
    inner = [c for c in left if c in right and c not in output]

    def size(labels: list[str]) -> int:
        return math.prod(lengths[c] for c in labels)

    def alone(term: str) -> Axes:
        return tuple(n for n, c in enumerate(term) if c not in inner and c not in output)

    def order(term: str, labels: list[str]) -> Axes:
        kept = [c for c in term if c in labels]
        return tuple(kept.index(c) for c in labels)

    made = stack + rows + columns
    return Products(
        (alone(left), alone(right)),
        (order(left, stack + rows + inner), order(right, stack + inner + columns)),
        ((size(stack), size(rows), size(inner)), (size(stack), size(inner), size(columns))),
        tuple(lengths[c] for c in made),
        tuple(made.index(c) for c in output),
    )
