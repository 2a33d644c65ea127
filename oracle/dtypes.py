"""Float dtypes: the one place that knows their digits, their range, and what they are called.

bfloat16 comes from `ml_dtypes`; NumPy does not count it among its own floats (its `kind` is "V"), and promotes it with few
others. So the package calls `is_float` to ask whether a dtype is a float, and `promoted` for the dtype of a result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np

__all__ = [
    "FLOATS", "NAMES", "TINY", "FloatType", "float_type", "is_float", "is_integer", "is_number", "is_real", "narrowest",
    "promoted", "simple_dtype",
]  # fmt: skip


@dataclass(frozen=True)
class FloatType:
    """A float dtype.

    Parameters
    ----------
    dtype : dtype
    significand : int
        Bits of the significand, the hidden one included.
    largest, smallest_normal, smallest_subnormal : float
    exponents : tuple of int
        Binary exponents of the smallest normal number and, exclusively, of the largest.
    near : float
        How close a number that is drawn may come to a singular point, so that slopes there stay finite.
    reach : float
        How large a number that is drawn may be, so that a few operations stay far from overflow.
    """

    dtype: np.dtype
    significand: int
    largest: float
    smallest_normal: float
    smallest_subnormal: float
    exponents: tuple[int, int]
    near: float
    reach: float

    @property
    def name(self) -> str:
        """Its name in records."""
        return str(self.dtype.name)

    @property
    def ulp(self) -> float:
        """One unit in the last place, relative to the number."""
        return 2.0 ** (1 - self.significand)


def _row(dtype: Any, near: float, reach: float) -> FloatType:
    limits = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    smallest, largest = float(limits.smallest_normal), float(limits.max)
    return FloatType(
        np.dtype(dtype), int(limits.nmant) + 1, largest, smallest, float(limits.smallest_subnormal),
        (int(limits.minexp), int(limits.maxexp)), near, reach,
    )  # fmt: skip


#: Every float dtype by name, the widest first.
FLOATS = {
    row.name: row
    for row in (
        _row(np.float64, near=1e-9, reach=1e12),
        _row(np.float32, near=1e-9, reach=1e6),
        _row(np.float16, near=1e-2, reach=64.0),
        _row(ml_dtypes.bfloat16, near=1e-2, reach=64.0),
    )
}
NAMES = tuple(FLOATS)
#: The smallest normal float64: what to divide by in place of 0.
TINY = FLOATS["float64"].smallest_normal


@cache
def float_type(dtype: Any) -> FloatType:
    """The row of a dtype, or of a dtype's name.

    Examples
    --------
    >>> float_type("bfloat16").significand, float_type(np.dtype("float32")).largest
    (8, 3.4028234663852886e+38)
    """
    return FLOATS[simple_dtype(dtype).name]


def simple_dtype(name: Any) -> np.dtype:
    """The dtype of this name.

    Raises
    ------
    TypeError
        If neither NumPy nor `ml_dtypes` has it.
    """
    dtype: np.dtype = np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
    return dtype


@cache
def is_float(dtype: np.dtype) -> bool:
    """Whether numbers of this dtype can have gradients here: one of `FLOATS`."""
    return dtype.name in FLOATS


def is_real(dtype: np.dtype) -> bool:
    """Whether this is a float dtype of any width, one that cannot be certified (longdouble) included."""
    return dtype.kind == "f" or dtype.name == "bfloat16"


def is_integer(dtype: np.dtype) -> bool:
    """Whether this is an integer dtype, bool not included."""
    return dtype.kind in "iu"


@cache
def is_number(dtype: np.dtype) -> bool:
    """Whether programs can take numbers of this dtype: one of `FLOATS`, an integer type of up to 64 bits, or bool."""
    return is_float(dtype) or (dtype.kind in "iub" and dtype.itemsize <= 8)


def narrowest(dtypes: Iterable[np.dtype]) -> np.dtype:
    """The float dtype of the fewest digits, float64 if there is none.

    Examples
    --------
    >>> narrowest([np.dtype("float32"), np.dtype("int8"), np.dtype("float16")])
    dtype('float16')
    """
    floats = [float_type(dtype) for dtype in dtypes if is_float(dtype)]
    return min(floats, key=lambda row: row.significand, default=FLOATS["float64"]).dtype


def promoted(*given: Any) -> np.dtype:
    """The dtype that NumPy gives to a result of operands of these dtypes (Python numbers do not affect the precision).

    NumPy has no answer for bfloat16 with wide integers or float16. There it is the dtype that JAX and PyTorch give: the float
    dtype with an integer one, and float32 for two floats of which neither can represent the other.

    Examples
    --------
    >>> promoted(simple_dtype("bfloat16"), np.dtype("int64")).name, promoted(simple_dtype("bfloat16"), 2.0).name
    ('bfloat16', 'bfloat16')
    """
    dtypes = [g for g in given if isinstance(g, np.dtype)]
    if not any(dtype.name == "bfloat16" for dtype in dtypes):
        return np.dtype(np.result_type(*given))
    floats = {dtype.name: dtype for dtype in dtypes if is_float(dtype)}
    if len(floats) == 1:
        return floats["bfloat16"]
    return np.dtype(np.float64) if "float64" in floats else np.dtype(np.float32)
