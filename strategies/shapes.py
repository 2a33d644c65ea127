"""Shapes to draw from (0-d, empty, with axes of one, ordinary), and which of them go together in one call."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

__all__ = [
    "IMAGES", "KINDS", "LARGE_CONVOLUTIONS", "LARGE_EINSUM", "LARGE_MATMUL", "MOST_ELEMENTS", "SHAPES", "Shape", "chain",
    "fits", "matmul_partners", "partners",
]  # fmt: skip

Shape = tuple[int, ...]

#: No array in a program has more elements than this, except for the large ones below.
MOST_ELEMENTS = 300

_ORDINARY: tuple[Shape, ...] = ((), (1,), (2,), (3,), (4,), (2, 2), (2, 3), (3, 2), (3, 4), (4, 2), (2, 3, 2), (3, 2, 4))
_ONES: tuple[Shape, ...] = ((1, 1), (1, 3), (3, 1), (1, 2, 1), (2, 1, 3), (2, 2, 1))
_EMPTY: tuple[Shape, ...] = ((0,), (2, 0), (0, 3), (1, 0, 2))

#: The requirements that an op can have of its operand's shape.
KINDS: dict[str, Callable[[Shape], bool]] = {
    "any": lambda shape: True,
    "not empty": lambda shape: 0 not in shape,
    "an axis": lambda shape: len(shape) > 0,
    "an axis, not empty": lambda shape: len(shape) > 0 and 0 not in shape,
    "one or two axes": lambda shape: 0 < len(shape) < 3,
    "two elements": lambda shape: math.prod(shape) > 1,
    "sides from 2": lambda shape: len(shape) > 0 and min(shape) > 1,
    "an even axis": lambda shape: any(n % 2 == 0 < n for n in shape),
    "one or two axes, not empty": lambda shape: 0 < len(shape) < 3 and 0 not in shape,
    "scores": lambda shape: len(shape) == 2 and 0 not in shape and shape[1] > 1,
    "a batch": lambda shape: len(shape) > 1 and 0 not in shape and math.prod(shape) > 2 * shape[1],
    "a sequence": lambda shape: len(shape) == 3 and 0 not in shape,
    "images": lambda shape: 2 < len(shape) < 6 and 0 not in shape,
}

#: The shapes that meet each requirement, the simplest first; ordinary ones stand there three times.
SHAPES: dict[str, tuple[Shape, ...]] = {
    kind: tuple(filter(meets, _ORDINARY + _ORDINARY[2:] + _ORDINARY[2:] + _ONES + _EMPTY)) for kind, meets in KINDS.items()
}


def fits(kind: str, shape: Shape) -> bool:
    """Whether a shape meets a requirement."""
    return bool(KINDS[kind](shape))


@cache
def partners(shape: Shape, way: str = "both") -> tuple[Shape, ...]:
    """Shapes that broadcast with `shape`, the same shape first and most often.

    Parameters
    ----------
    shape : tuple of int
    way : {"both", "down", "up"}
        "down": only shapes that broadcast to `shape`; "up": only shapes that `shape` broadcasts to.
    """
    down = [shape[k:] for k in range(1, len(shape) + 1)]
    down += [tuple(1 if mask >> a & 1 else n for a, n in enumerate(shape)) for mask in range(1, 2 ** len(shape))]
    up = [tuple(3 if n == 1 and a == axis else n for a, n in enumerate(shape)) for axis in range(len(shape))]
    up += [(2, *shape), (1, *shape), (3, 2, *shape)] if len(shape) < 3 else []
    up = [s for s in up if math.prod(s) <= MOST_ELEMENTS]
    others = [s for s in (down if way != "up" else []) + (up if way != "down" else []) if s != shape]
    return (shape,) * max(2, len(others) // 2) + tuple(dict.fromkeys(others))


@cache
def matmul_partners(shape: Shape, place: int) -> tuple[Shape, ...]:
    """Shapes for the other operand of `matmul`, whose signature is (n?,k),(k,m?)->(n?,m?), if operand `place` has `shape`."""
    inner = shape[-1] if place == 0 or len(shape) == 1 else shape[-2]
    matrices = [(inner, m) if place == 0 else (m, inner) for m in (2, 3, 1, 4, 0)]
    stacks: list[Shape] = [(2,), (1,), (2, 1)] if len(shape) < 3 else [shape[:-2], (1,), (2, *shape[:-2])]
    stacked = [(*stack, *matrices[j]) for j, stack in enumerate(stacks) if math.prod(stack) <= 6]
    return ((inner,), (inner,), *matrices[:4], *matrices, *stacked)


@cache
def chain(shape: Shape, place: int, count: int, code: int) -> tuple[Shape, ...]:
    """Shapes for a product of `count` matrices, of which number `place` has `shape`; the first and last may be vectors."""
    sides = [1 + (code >> 2 * j & 3) for j in range(count + 1)]
    if len(shape) == 1:
        sides[1 if place == 0 else place] = shape[0]
    else:
        sides[place : place + 2] = shape
    out: list[Shape] = [(sides[j], sides[j + 1]) for j in range(count)]
    vectors = code >> 2 * (count + 1)
    if len(shape) == 1:
        out[place] = shape
    if vectors & 1 and place != 0:
        out[0] = out[0][1:]
    if vectors & 2 and place != count - 1:
        out[-1] = out[-1][:1]
    return tuple(out)


#: Of at least 2**14 multiply-adds, where libraries switch to BLAS or to another path of their own.
LARGE_MATMUL: tuple[tuple[Shape, Shape], ...] = (
    ((32, 32), (32, 16)), ((16, 24), (24, 48)), ((4, 16, 16), (16, 16)), ((3, 8, 32), (3, 32, 24)), ((2, 128), (128, 64)),
)  # fmt: skip
LARGE_EINSUM: tuple[tuple[str, tuple[Shape, Shape]], ...] = (
    ("ij,jk->ik", ((32, 32), (32, 16))), ("ij,kj->ik", ((16, 32), (33, 32))), ("bij,bjk->bik", ((3, 8, 32), (3, 32, 24))),
    ("ijk,kl->ijl", ((4, 16, 16), (16, 16))), ("ijk,jkl->li", ((8, 4, 16), (4, 16, 32))), ("ji,jk", ((32, 24), (32, 24))),
    ("...ij,...jk->...ik", ((2, 16, 32), (32, 17))),
)  # fmt: skip

#: Batches of images of one to three axes.
IMAGES: tuple[Shape, ...] = (
    (1, 1, 3), (1, 1, 4), (2, 1, 3), (1, 2, 4), (2, 2, 5), (1, 1, 7), (3, 2, 1), (1, 1, 3, 3), (1, 1, 4, 3), (2, 1, 3, 4),
    (1, 2, 3, 3), (2, 2, 2, 3), (1, 3, 2, 2), (1, 1, 5, 4), (1, 1, 6, 2), (1, 1, 1, 4), (1, 1, 2, 3, 2), (2, 1, 2, 2, 2),
    (1, 2, 3, 2, 2), (1, 1, 3, 3, 3),
)  # fmt: skip
LARGE_CONVOLUTIONS: tuple[tuple[Shape, Shape], ...] = (
    ((2, 3, 9, 9), (4, 3, 3, 3)), ((1, 2, 60), (8, 2, 5)), ((4, 2, 8, 6), (3, 2, 2, 1)), ((1, 2, 5, 4, 5), (3, 2, 2, 1, 2)),
)  # fmt: skip
