"""Parameters of ops, as JSON, for each shape of the first operand; every table starts with the simplest."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np

from ..oracle.program import encode_index
from .choices import Choices
from .shapes import MOST_ELEMENTS, Shape

__all__ = ["Parameters"]

#: ``(choices, shape of the first operand) -> parameters``
Parameters = Callable[[Choices, Shape], dict[str, Any]]


def _table(options: Callable[[Shape], Iterable[dict[str, Any]]]) -> Parameters:
    """A parameter strategy from the table of all parameters for a shape."""
    known = cache(lambda shape: tuple(options(shape)))

    def chosen(choices: Choices, shape: Shape) -> dict[str, Any]:
        return dict(choices.sampled_from(known(shape)))

    return chosen


def none(choices: Choices, shape: Shape) -> dict[str, Any]:
    """No parameters."""
    return {}


# -- reductions ------------------------------------------------------------------------------------------------------------


def _axes(ndim: int) -> list[Any]:
    """None, every axis counted from either end, and some tuples of axes."""
    several = [list(c) for k in range(2, ndim + 1) for c in itertools.combinations(range(ndim), k)]
    turned = [[a - ndim if j % 2 else a for j, a in enumerate(reversed(axes))] for axes in several]
    return [None, *range(ndim), *range(-ndim, 0), *several, *turned]


def _count(shape: Shape, axis: Any) -> int:
    axes = range(len(shape)) if axis is None else [axis] if isinstance(axis, int) else axis
    return math.prod(shape[a] for a in axes)


def _reductions(shape: Shape) -> Iterable[dict[str, Any]]:
    yield {}
    for axis in _axes(len(shape)):
        yield {"axis": axis}
        yield {"axis": axis, "keepdims": True}


def _spreads(shape: Shape) -> Iterable[dict[str, Any]]:
    for params in _reductions(shape):
        yield params
        if _count(shape, params.get("axis")) > 1:
            yield {**params, "ddof": 1}


def _norms(shape: Shape) -> Iterable[dict[str, Any]]:
    """Norms of vectors only: with `ord`, NumPy takes two axes for those of a matrix."""
    for params in _reductions(shape):
        axis = params.get("axis")
        if not isinstance(axis, list) or len(axis) < 3:
            yield params
        if isinstance(axis, int) or (axis is None and len(shape) == 1):
            yield from ({**params, "ord": order} for order in (2, 1, 3, 1.5))


reduction, spread, norm = _table(_reductions), _table(_spreads), _table(_norms)
scan = _table(lambda shape: ({}, *({"axis": a} for a in (*range(len(shape)), *range(-len(shape), 0), None))))

# -- shapes ----------------------------------------------------------------------------------------------------------------


def _factors(size: int, count: int) -> Iterable[list[int]]:
    if count == 1:
        yield [size]
        return
    for first in range(1, size + 1):
        if size % first == 0:
            yield from ([first, *rest] for rest in _factors(size // first, count - 1))


def _reshapes(shape: Shape) -> Iterable[dict[str, Any]]:
    size = math.prod(shape)
    yield {"shape": [-1]}
    yield {"shape": -1}
    if size == 0:
        yield from ({"shape": target} for target in ([0], [0, 3], [2, 0, 1], list(shape[::-1])))
        return
    targets = [t for count in (1, 2, 3) for t in _factors(size, count)]
    if size == 1:
        yield {"shape": []}
    yield from ({"shape": t} for t in targets[:20])
    yield from ({"shape": [*t[:-1], -1]} for t in targets[1:12])
    yield from ({"shape": [-1, *t[1:]]} for t in targets[1:6])


def _squeezes(shape: Shape) -> Iterable[dict[str, Any]]:
    yield {}
    ones = [a for a, n in enumerate(shape) if n == 1]
    yield from ({"axis": a} for a in ones)
    yield from ({"axis": a - len(shape)} for a in ones)
    yield from ({"axis": list(c)} for k in range(2, len(ones) + 1) for c in itertools.combinations(ones, k))


def _expansions(shape: Shape) -> Iterable[dict[str, Any]]:
    ndim = len(shape)
    yield from ({"axis": a} for a in (*range(ndim + 1), *range(-ndim - 1, 0)))
    yield from ({"axis": axes} for axes in ([0, 1], [0, -1], [ndim + 1, 0]))


def _broadcasts(shape: Shape) -> Iterable[dict[str, Any]]:
    """Axes of one repeated, axes added in front, or the shape as it is."""
    repeated = [tuple(k if n == 1 else n for n in shape) for k in (1, 3, 2)]
    every = [(*lead, *r) for lead in ((), (2,), (1,), (2, 3)) for r in repeated]
    yield from ({"shape": list(s)} for s in dict.fromkeys(every) if math.prod(s) <= max(MOST_ELEMENTS, math.prod(shape)))


def _transposes(shape: Shape) -> Iterable[dict[str, Any]]:
    yield {}
    for axes in itertools.permutations(range(len(shape))):
        yield {"axes": list(axes)}
        yield {"axes": [a - len(shape) if j % 2 else a for j, a in enumerate(axes)]}


def _moves(shape: Shape) -> Iterable[dict[str, Any]]:
    ndim = len(shape)
    for source, destination in itertools.product(range(ndim), range(-ndim, ndim)):
        yield {"source": source, "destination": destination}
    for pair, other in itertools.product(itertools.permutations(range(ndim), 2), repeat=2):
        yield {"source": list(pair), "destination": [other[0], other[1] - ndim]}


def _swaps(shape: Shape) -> Iterable[dict[str, Any]]:
    ndim = len(shape)
    yield from ({"axis1": a, "axis2": b} for a, b in itertools.product(range(-ndim, ndim), repeat=2) if a % ndim <= b % ndim)


def _rolls(shape: Shape) -> Iterable[dict[str, Any]]:
    shifts = (1, -1, 2, 0, 7, -5)
    yield from ({"shift": n} for n in shifts)
    yield from ({"shift": n, "axis": a} for a in range(-len(shape), len(shape)) for n in shifts)
    for axes in itertools.permutations(range(len(shape)), 2):
        yield {"shift": [1, -2], "axis": list(axes)}
        yield {"shift": 1, "axis": list(axes)}
    if shape:
        yield {"shift": [1, 1], "axis": [0, 0]}


def _repeats(shape: Shape) -> Iterable[dict[str, Any]]:
    for axis in (None, *range(-len(shape), len(shape))):
        length = math.prod(shape) if axis is None else shape[axis]
        own = {} if axis is None else {"axis": axis}
        yield from ({"repeats": n, **own} for n in (2, 1, 3, 0))
        if length:
            yield from ({"repeats": [(j + skew) % 3 for j in range(length)], **own} for skew in (1, 2))
            yield {"repeats": [2], **own}


reshape, squeeze, expansion = _table(_reshapes), _table(_squeezes), _table(_expansions)
broadcast, transpose, move, swap = _table(_broadcasts), _table(_transposes), _table(_moves), _table(_swaps)
roll, repeat = _table(_rolls), _table(_repeats)
join = _table(lambda shape: ({"axis": a} for a in (*range(len(shape)), *range(-len(shape), 0), None)))
stack = _table(lambda shape: ({"axis": a} for a in (*range(len(shape) + 1), *range(-len(shape) - 1, 0))))

# -- indices ---------------------------------------------------------------------------------------------------------------

_SLICES = (
    slice(None), slice(1, None), slice(None, -1), slice(None, None, -1), slice(None, None, 2), slice(-1, None, -2),
    slice(0, 1), slice(2, 0, -1), slice(5, None),
)  # fmt: skip
_INTEGER_TYPES = ("int64", "int32", "int8", "uint8", "int16")
_ZERO_D = ((), (...,), (None,), (..., None), (np.array(True),))


@cache
def _basic(n: int) -> tuple[Any, ...]:
    """Basic indices into an axis of length n."""
    return (*_SLICES[:4], *((0, -1, n - 1) if n else ()), *_SLICES)


@cache
def _positions(n: int) -> tuple[np.ndarray, ...]:
    """Index arrays for an axis of length n: repeated, negative, reversed, in several integer types; their shapes broadcast."""
    if not n:
        return tuple(np.zeros((0,), t) for t in _INTEGER_TYPES)
    rows = ([n - 1, 0, 0], [0, n - 1, n // 2], [-1, 0, -n], [0], [[n - 1, 0, 0], [0, 0, n // 2]], [[0], [-1]])
    types = _INTEGER_TYPES if n < 128 else ("int64", "int32")
    return tuple(np.array([[0, n - 1, 0]] if t[0] == "u" else row, t) for row in rows for t in types)


def _mask(choices: Choices, shape: Shape) -> np.ndarray:
    """Booleans in any pattern, which repeats after twelve elements."""
    size = math.prod(shape)
    code = choices.integer(2 ** min(size, 12))
    return np.array([code >> j % 12 & 1 for j in range(size)], bool).reshape(shape)


def index(choices: Choices, shape: Shape) -> tuple[Any, ...]:
    """An index into an array of `shape`: basic, by integer arrays, by booleans, or a mixture."""
    if not shape:
        return choices.sampled_from(_ZERO_D)
    ndim = len(shape)
    way = choices.sampled_from(("basic", "basic", "basic", "array", "arrays", "mask", "axis mask", "array"))
    parts = [choices.sampled_from(_basic(n)) for n in shape]
    axis = choices.integer(ndim)
    if way == "array":
        parts[axis] = choices.sampled_from(_positions(shape[axis]))
    elif way == "arrays" and 0 not in shape:
        chosen = {axis, (axis + 1) % ndim}
        parts = [
            choices.sampled_from(_positions(n)) if a in chosen else p for a, (n, p) in enumerate(zip(shape, parts, strict=True))
        ]
    elif way == "mask":
        parts = [_mask(choices, shape[: axis + 1]), *parts[axis + 1 :]]
    elif way == "axis mask":
        parts[axis] = _mask(choices, shape[axis : axis + 1])
    finish = choices.integer(8)
    if finish == 5:
        parts.insert(axis, None)
    elif finish == 6:
        parts.append(None)
    elif finish == 7 and isinstance(parts[-1], slice):
        parts[-1] = ...
    elif finish == 4 and len(parts) > 1:
        parts.pop()
    return tuple(parts)


def encoded_index(choices: Choices, shape: Shape) -> dict[str, Any]:
    """An index, as the parameter of `getitem` and `setitem`."""
    return {"index": encode_index(index(choices, shape))}


# -- networks ----------------------------------------------------------------------------------------------------------------

# Numbers that operands are compared with (bounds, margins, hinges) are exact in every float dtype: rounding would move ties.
_SLOPES = (0.1, 0.01, 0.5, 0, 2, 1, -0.25)
_BOUNDS = ((-1, 1), (-2, 0.5), (0, 6), (-0.25, 0.25), (1, 3), (-4, -1.5))


def _softmaxes(shape: Shape) -> Iterable[dict[str, Any]]:
    yield from ({}, {}, *({"axis": axis} for axis in _axes(len(shape))[1:]), {"axis": None})


def _glus(shape: Shape) -> Iterable[dict[str, Any]]:
    even = [a for a, n in enumerate(shape) if n % 2 == 0 < n]
    if even[-1] == len(shape) - 1:
        yield {}
    yield from ({"axis": a} for axis in even for a in (axis, axis - len(shape)))


def _pools(shape: Shape) -> Iterable[dict[str, Any]]:
    """Windows over the last one, two or three axes, which end where the axes end."""
    for count in range(1, min(3, len(shape)) + 1):
        ways = [[(w, s) for w in (2, 1, 3) for s in (1, 2, 3) if w <= n and (n - w) % s == 0] for n in shape[-count:]]
        for chosen in itertools.islice(itertools.product(*ways), 40):
            pool, stride = zip(*chosen, strict=True)
            yield {"pool": list(pool), "stride": stride[0] if len(set(stride)) == 1 else list(stride)}


slope, alpha = (_table(lambda shape, key=key: ({key: n} for n in _SLOPES)) for key in ("slope", "alpha"))  # type: ignore[misc]
bounds = _table(lambda shape: ({}, {}, *({"lower_bound": low, "upper_bound": high} for low, high in _BOUNDS)))
softmax, glu, pools = _table(_softmaxes), _table(_glus), _table(_pools)
hinge = _table(lambda shape: ({}, {}, *({"hinge": n} for n in (0.5, 2, 0, 0.25))))
margin = _table(lambda shape: ({"margin": n} for n in (1, 0.5, 0, 0.25, 3)))
focal = _table(
    lambda shape: ({}, *({"gamma": n} for n in (2, 1, 0.5, 3, 1.5)), *({"alpha": 0.25, "gamma": n} for n in (2, 0, 0.5)))
)
epsilon = _table(lambda shape: ({"eps": n} for n in (1e-3, 1.0, 0.1, 1e-4)))  # normal numbers in every dtype


@cache
def _along(n: int) -> tuple[tuple[int, int, int, int], ...]:
    """Window, stride, dilation and padding of convolutions that end where an axis of length `n` ends, the simplest first."""
    every = [
        (w, s, d, pad)
        for pad, d, s, w in itertools.product((0, 1, 2), (1, 2, 3), (1, 2, 3), (2, 1, 3))
        if (left := n + 2 * pad - (w - 1) * d - 1) >= 0 and left % s == 0 and left // s < 6 and (w > 1 or d == 1)
    ]
    return tuple(sorted(every, key=lambda way: way[1] + way[2] + way[3]))


DEFAULTS = {"padding": 0, "dilation": 1}


def convolution(choices: Choices, shape: Shape) -> tuple[Shape, dict[str, Any]] | None:
    """The shape of filters for images of `shape`, with stride, padding and dilation; None if an axis is too long for any."""
    if not all(_along(n) for n in shape[2:]):
        return None
    window, *settings = zip(*(choices.sampled_from(_along(n)) for n in shape[2:]), strict=True)
    filters, listed = 1 + choices.integer(3), choices.integer(2)
    stride, dilation, padding = (list(v) if listed or len(set(v)) > 1 else v[0] for v in settings)
    params = {"stride": stride, "padding": padding, "dilation": dilation}
    return (filters, shape[1], *window), {k: v for k, v in params.items() if k == "stride" or v != DEFAULTS[k]}


# -- einsum ----------------------------------------------------------------------------------------------------------------

#: Subscripts that are common or error-prone: traces, diagonals, ellipses, implicit and reordered outputs, outer products.
CALLS: tuple[str, ...] = (
    "i,i", "ij->ji", "ii", "ii->i", "ij->", "ij->i", "ji", "...->...", "ijk->kij", "iij->j", "iii->i", "iji->ij", "...ii->...i",
    "...ij->...ji", "i...->...", "i,i->i", "i,j->ij", "i,j->ji", "ij,j", "ij,jk", "ij,jk->ik", "ij,kj->ki", "ij,ij->",
    "ij,ij->i", "ii,i->i", "ij,ji", "ii,jj->ij", "ij,kk->ij", "ijk,kj->i", "ijk,jk", "bij,bjk->bik", "...ij,...jk->...ik",
    "i...,i->...", "i...,...->i...", "ij,->ij", "ik,kj,jl->il", "i,i,i->", "i,ij,j", "ij,i,j->ji", "i,j,k->kij", "ii,ij,jj->j",
    "...i,ij,j->...",
)  # fmt: skip

_TERMS = ("i", "ij", "j", "ji", "jk", "ii", "", "k", "ijk", "kji", "iij", "kk", "...i", "i...", "...", "...ij")
_SIDES = ((2, 2, 2), (2, 3, 2), (3, 2, 4), (4, 3, 2), (1, 2, 3), (2, 4, 3), (3, 3, 3), (2, 1, 3), (0, 2, 3), (2, 3, 0))
_DOTS: tuple[Shape, ...] = ((), (2,), (3,), (2, 3), (1, 2))


def _letters(term: str) -> str:
    return term.replace("...", "")


def einsum_call(choices: Choices, sizes: int, base: Shape | None = None) -> tuple[str, list[Shape], int] | None:
    """Subscripts, the operands' shapes, and which operand has the shape `base`, where one is given.

    Parameters
    ----------
    choices : Choices
    sizes : int
        Picks the lengths of the axes that `base` does not fix.
    base : tuple of int, optional
        The shape of an operand that exists already.

    Returns
    -------
    tuple or None
        None if the contraction would be too large.
    """
    if choices.integer(2):
        count = choices.sampled_from((2, 2, 1, 3))
        terms = [choices.sampled_from(_TERMS) for _ in range(count)]
        call = ",".join(terms) + _output(choices, terms)
    else:
        call = choices.sampled_from(CALLS)
    terms = call.partition("->")[0].split(",")
    sides = dict(zip("ijk", _SIDES[sizes % len(_SIDES)], strict=True)) | {"b": 2, "l": 3}
    dots = choices.sampled_from(_DOTS) if "..." in call else ()
    place = 0
    if base is not None:
        matching = next((j for j, term in enumerate(terms) if _agrees(term, base)), None)
        if matching is None:
            call, terms, matching, dots = "...->...", ["..."], 0, base
        place = matching
        left, _, right = terms[place].partition("...")
        inner = len(base) - len(right)
        sides.update(zip(left, base, strict=False))
        sides.update(zip(right, base[inner:], strict=True))
        if "..." in terms[place]:
            dots = base[len(left) : inner]
    shapes = []
    for term in terms:
        left, dotted, right = term.partition("...")
        shapes.append((*(sides[c] for c in left), *(dots if dotted else ()), *(sides[c] for c in right)))
    if math.prod(sides[c] for c in set(_letters(call)) - set("->, ")) * math.prod(dots) > 4096:
        return None
    return call, _with_ones(choices, terms, shapes, place), place


def _agrees(term: str, shape: Shape) -> bool:
    """Whether an operand of `shape` can stand at this term."""
    left, dotted, right = term.partition("...")
    if len(left) + len(right) > len(shape) or (not dotted and len(left) != len(shape)):
        return False
    labelled = [*zip(left, shape, strict=False), *zip(right, shape[len(shape) - len(right) :], strict=True)]
    return len(dict(labelled)) == len(set(labelled))


def _output(choices: Choices, terms: list[str]) -> str:
    """An arrow with some of the labels in some order, or nothing."""
    code = choices.integer(24)
    if code < 8:
        return ""
    labels = [c for j, c in enumerate(sorted(set(_letters("".join(terms))))) if code >> j & 1 == 0]
    out = "".join(labels if code < 16 else labels[::-1])
    return "->" + ("..." if any("..." in t for t in terms) else "") + out


def _with_ones(choices: Choices, terms: list[str], shapes: list[Shape], place: int) -> list[Shape]:
    """The shapes, now and then with an axis of 1 that einsum broadcasts against the others of its label."""
    if len(terms) < 2 or not choices.once_in(8):
        return shapes
    other = len(terms) - 1 if place != len(terms) - 1 else 0
    term = terms[other]
    if term and "..." not in term and len(set(term)) == len(term) and term[0] in "".join(terms[:other] + terms[other + 1 :]):
        return [(1, *s[1:]) if j == other else s for j, s in enumerate(shapes)]
    return shapes
