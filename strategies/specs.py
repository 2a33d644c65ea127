"""Properties of an input besides its numbers: constant or not, an array or a Python number, its dtype and memory layout."""

from __future__ import annotations

from dataclasses import dataclass

from ..oracle.program import LAYOUTS

__all__ = [
    "ARRAYS", "CONTIGUOUS_ARRAYS", "FLOAT_ARRAYS", "INTEGERS", "OPERANDS", "OUT_ARRAYS", "PLAIN", "VARIABLES", "WIDE_OPERANDS",
    "InputSpec",
]  # fmt: skip


@dataclass(frozen=True)
class InputSpec:
    """The kind of object that an implementation is given for one input, and its memory layout.

    Parameters
    ----------
    kind, layout, constant
        As in `adjudge.oracle.program.Input`.
    dtype : str
        "" for the question's own float dtype, "other" for another of its dtypes, or a dtype's name.
    """

    kind: str = "array"
    layout: str = "C"
    constant: bool = False
    dtype: str = ""


# Tables to draw from, the simplest entry first; entries that are repeated are drawn more often.

PLAIN = InputSpec()
_CONSTANT = InputSpec(constant=True)
_LAYOUTS = tuple(InputSpec(layout=layout) for layout in LAYOUTS[1:])
#: Float arrays that a gradient is asked for.
VARIABLES = (PLAIN,) * 12 + _LAYOUTS
#: Arrays, for ops that join or multiply them: some are constant, some of another dtype.
ARRAYS = (PLAIN,) * 9 + (_CONSTANT,) * 3 + _LAYOUTS + tuple(InputSpec(dtype=name) for name in ("other", "int64", "bool"))
#: The same with numbers and lists, for ops that broadcast.
OPERANDS = ARRAYS + (
    InputSpec("number"), InputSpec("number"), InputSpec("list"), InputSpec("number", dtype="int64"), InputSpec(dtype="int32"),
    InputSpec(dtype="uint8"),
)  # fmt: skip
#: The same for ops that take their operands two at a time, where narrow integers would wrap around and booleans saturate.
WIDE_OPERANDS = tuple(spec for spec in OPERANDS if spec.dtype not in ("bool", "uint8"))
#: Arrays of a float dtype, for operands that are updated in place.
FLOAT_ARRAYS = tuple(spec for spec in ARRAYS if spec.dtype in ("", "other"))
#: Arrays in the layout that most libraries want for matrices.
CONTIGUOUS_ARRAYS = (PLAIN, PLAIN, _CONSTANT)
#: Integer operands, which have no gradient.
INTEGERS = (_CONSTANT, InputSpec("number"), InputSpec(constant=True, dtype="int32"))
#: Arrays for NumPy's ``out=``.
OUT_ARRAYS = (PLAIN, PLAIN, _CONSTANT, InputSpec(layout="F"), InputSpec(layout="strided"))
