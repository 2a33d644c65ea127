"""The timed cases: one table of ops, shapes and layouts, on whole numbers so small that every gradient is known exactly.

The inputs and the cotangent are whole numbers from -2 to 2. The ops are linear in each operand, so that value and gradients are
sums of products of such numbers: as long as no sum can exceed what the dtype holds exactly (2**24 in float32), an honest
computation is exact in whatever order it adds. The right answer then follows from integer arithmetic, and needs no allowance.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from ..oracle.program import Input, Program
from ..oracle.reference import backward, forward

__all__ = ["CASES", "DTYPES", "OPS", "BenchCase", "BenchRow", "BenchTruth", "cases", "differs"]

DTYPES = ("float64", "float32")
#: The largest absolute value of an input or a cotangent.
LARGEST = 2


@dataclass(frozen=True)
class BenchRow:
    """One row of the table: an op on operands of some shapes, in each of some layouts.

    Parameters
    ----------
    op : str
        A name that the reference knows; the op must be linear in each operand.
    operands : str
        The operands' shapes, such as ``"256x256 @ 256x256"``.
    layouts : sequence of str
        "C", "F" and "strided" lay out every operand; "broadcast" repeats one entry of the first operand along its first axis.
    params : mapping
        The op's parameters.
    """

    op: str
    operands: str
    layouts: Sequence[str] = ("C",)
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The operands' shapes.

        Examples
        --------
        >>> BenchRow("matmul", "8x64x64 @ 64x64").shapes
        ((8, 64, 64), (64, 64))
        """
        return tuple(tuple(map(int, shape.split("x"))) for shape in re.findall(r"\d+(?:x\d+)*", self.operands))

    @property
    def name(self) -> str:
        """The row in words, parameters included.

        Examples
        --------
        >>> BenchRow("conv_nd", "2x3x8x8 * 4x3x3x3", params={"stride": 2}).name
        '2x3x8x8 * 4x3x3x3, stride 2'
        """
        spoken = [v for v in self.params.values() if isinstance(v, str)]
        numbers = [f"{k} {v}" for k, v in self.params.items() if not isinstance(v, str)]
        return ", ".join([" ".join([*spoken, self.operands]), *numbers])


#: Small ones, where the library's own overhead costs most; medium and large ones, where the arithmetic does; unusual layouts.
CASES = (
    BenchRow("matmul", "16x16 @ 16x16"),
    BenchRow("matmul", "64x64 @ 64x64", ("C", "F")),
    BenchRow("matmul", "256x256 @ 256x256", ("C", "F", "strided")),
    BenchRow("matmul", "16x64x64 @ 16x64x64", ("C", "broadcast")),
    BenchRow("matmul", "64x16x16 @ 16x16"),
    BenchRow("einsum", "16x16, 16x16", params={"subscripts": "ij,jk->ik"}),
    BenchRow("einsum", "128x128, 128x128", ("C", "F", "strided"), {"subscripts": "ij,jk->ik"}),
    BenchRow("einsum", "16x32x32, 16x32x32", ("C", "broadcast"), {"subscripts": "bij,bjk->bik"}),
    BenchRow("einsum", "1000x64, 1000x64", params={"subscripts": "nd,nd->n"}),
    BenchRow("einsum", "300, 300", params={"subscripts": "i,j->ij"}),
    BenchRow("conv_nd", "2x3x8x8 * 4x3x3x3", params={"stride": 1}),
    BenchRow("conv_nd", "8x4x256 * 8x4x5", params={"stride": 1}),
    BenchRow("conv_nd", "8x8x28x28 * 16x8x3x3", ("C", "F", "strided", "broadcast"), {"stride": 1, "padding": 1}),
    BenchRow("conv_nd", "2x2x10x10x10 * 4x2x3x3x3", params={"stride": 1}),
)
OPS = tuple(dict.fromkeys(row.op for row in CASES))


@dataclass(frozen=True)
class BenchTruth:
    """The right answer in whole numbers (arrays of int64), and how much arithmetic it takes.

    Parameters
    ----------
    inputs : tuple of ndarray
    cotangent, value : ndarray
    gradients : tuple of ndarray
        One per input.
    multiply_adds : int
        Number of products of two numbers that the value sums, which is the value for operands of ones.
    exceeds : int
        A bound on every partial sum, in any order.
    """

    inputs: tuple[np.ndarray, ...]
    cotangent: np.ndarray
    value: np.ndarray
    gradients: tuple[np.ndarray, ...]
    multiply_adds: int
    exceeds: int

    @property
    def flops(self) -> int:
        """Floating-point operations of value and gradients: each gradient takes as many as the value."""
        return 2 * self.multiply_adds * (1 + len(self.gradients))


@dataclass(frozen=True)
class BenchCase:
    """One row in one layout and one dtype."""

    row: BenchRow
    layout: str
    dtype: str

    @property
    def layouts(self) -> tuple[str, ...]:
        """How each operand lies in memory."""
        return tuple(self.layout if n == 0 or self.layout != "broadcast" else "C" for n in range(len(self.row.shapes)))

    @cached_property
    def program(self) -> Program:
        """The program that is timed."""
        inputs = [Input(x, layout=layout) for x, layout in zip(self.arrays, self.layouts, strict=True)]
        return Program.of(inputs, [(self.row.op, range(len(inputs)), self.row.params)])

    @cached_property
    def arrays(self) -> list[np.ndarray]:
        """The inputs, in the dtype."""
        return [x.astype(self.dtype) for x in self.truth.inputs]

    @property
    def cotangent(self) -> np.ndarray:
        """The cotangent, in the dtype."""
        return self.truth.cotangent.astype(self.dtype)

    @property
    def truth(self) -> BenchTruth:
        """The right answer."""
        return truth(self.row.op, self.row.shapes, tuple(self.row.params.items()), self.layout == "broadcast")

    @property
    def words(self) -> dict[str, str]:
        """The case as it stands in records."""
        return {"op": self.row.op, "case": self.row.name, "layout": self.layout, "dtype": self.dtype}


@lru_cache(maxsize=8)
def truth(op: str, shapes: tuple[tuple[int, ...], ...], params: tuple[tuple[str, Any], ...], repeated: bool) -> BenchTruth:
    """Value and gradients in integers; `repeated` makes all entries of the first operand's first axis the same."""
    draw = np.random.default_rng(math.prod(map(math.prod, shapes)))

    def drawn(shape: Sequence[int]) -> np.ndarray:
        return draw.integers(-LARGEST, LARGEST + 1, shape)

    inputs = [drawn(shape) for shape in shapes]
    if repeated:
        inputs[0][1:] = inputs[0][:1]
    program = Program.of([x.astype(float) for x in inputs], [(op, range(len(inputs)), dict(params))])

    def both(arrays: Sequence[np.ndarray], cotangent: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        values = forward(program, arrays)
        seed = drawn(values[-1].shape) if cotangent is None else cotangent
        return values[-1], seed, backward(program, values, seed)[0]

    value, cotangent, gradients = both(inputs, None)
    largest, _, slopes = both([abs(x) for x in inputs], abs(cotangent))
    exceeds = max(int(x.max()) for x in (largest, *slopes))
    multiply_adds = int(forward(program, [np.ones_like(x) for x in inputs])[-1].sum())
    return BenchTruth(tuple(inputs), cotangent, value, tuple(gradients), multiply_adds, exceeds)


def cases(ops: Sequence[str] = ()) -> Iterator[BenchCase]:
    """All cases, or those of some ops."""
    for row in CASES:
        for layout in row.layouts:
            for dtype in DTYPES:
                if not ops or row.op in ops:
                    yield BenchCase(row, layout, dtype)


def differs(case: BenchCase, value: np.ndarray, gradients: Sequence[np.ndarray | None]) -> str:
    """The first error of an answer, in one sentence; "" where every element is exactly right.

    Examples
    --------
    >>> case = BenchCase(BenchRow("matmul", "2x2 @ 2x2"), "C", "float64")
    >>> right = [x.astype("float64") for x in case.truth.gradients]
    >>> differs(case, case.truth.value.astype("float64"), right)
    ''
    >>> differs(case, case.truth.value.astype("float64"), [-right[0], right[1]])
    'the gradient of a is wrong in 4 of 4 elements: at (0, 0) it is 4.0 and should be -4'
    """
    names = ["the value", *(f"the gradient of {chr(ord('a') + n)}" for n in range(len(case.truth.inputs)))]
    expected = [case.truth.value, *case.truth.gradients]
    if len(gradients) != len(case.truth.gradients):
        return f"there are {len(gradients)} gradients for {len(case.truth.gradients)} variables"
    for name, got, right in zip(names, [value, *gradients], expected, strict=True):
        if got is None:
            return f"{name} is missing"
        if got.shape != right.shape:
            return f"{name} has shape {got.shape} and should have {right.shape}"
        if got.dtype != case.dtype:
            return f"{name} has dtype {got.dtype} and should have {case.dtype}"
        if (wrong := got != right).any():
            at = tuple(int(n) for n in np.argwhere(wrong)[0])
            where = f"at {at} " if at else ""
            much = f"{wrong.sum()} of {wrong.size} elements"
            return f"{name} is wrong in {much}: {where}it is {got[at]} and should be {right[at]}"
    return ""
