"""Products of arrays: matmul, chains of it, and einsum."""

from __future__ import annotations

import math
import re
from functools import lru_cache, reduce
from typing import Any

import numpy as np

from ..numbers import boxed, einsum, is_object, lift, matmul
from .op import elements, op, unbroadcast

# -- matmul: vectors are matrices with an axis of one --------------------------------------------------------------------------


def _as_matrices(x: Any, z: Any, g: Any) -> tuple[Any, Any, Any]:
    """Operands and cotangent with the axes that 1-D operands lack put in."""
    if x.ndim == 1:
        g = np.expand_dims(g, -2 if z.ndim > 1 else -1)
    if z.ndim == 1:
        g = np.expand_dims(g, -1)
    return (x[None, :] if x.ndim == 1 else x), (z[:, None] if z.ndim == 1 else z), g


def _matmul_first(g: Any, y: Any, x: Any, z: Any) -> Any:
    if x.ndim == z.ndim == 1:
        return g * z
    first, second, g = _as_matrices(x, z, g)
    if first.ndim == 2 < second.ndim:  # one matrix meets a stack: lay the stack's matrices side by side
        return _shaped(matmul(_side_by_side(g), _side_by_side(second), turned=1), x.shape)
    return _shaped(unbroadcast(matmul(g, second, turned=1), first.shape), x.shape)


def _matmul_second(g: Any, y: Any, x: Any, z: Any) -> Any:
    if x.ndim == z.ndim == 1:
        return g * x
    first, second, g = _as_matrices(x, z, g)
    if second.ndim == 2 < first.ndim:  # a stack meets one matrix: put the stack's matrices one below the other
        first, g = (a.reshape(math.prod(a.shape[:-1]), a.shape[-1]) for a in (first, g))
        return _shaped(matmul(first, g, turned=0), z.shape)
    return _shaped(unbroadcast(matmul(first, g, turned=0), second.shape), z.shape)


def _shaped(x: Any, shape: tuple[int, ...]) -> Any:
    """`x` itself where it has the shape: a view of it would be copied before anything is added to it."""
    return x if x.shape == shape else x.reshape(shape)


def _side_by_side(stack: Any) -> Any:
    wide = np.moveaxis(stack, -2, 0)
    return wide.reshape(len(wide), math.prod(wide.shape[1:]))


def _products(x: tuple[int, ...], z: tuple[int, ...]) -> int:
    """How many products of numbers a product of two arrays has."""
    first, second = (x if len(x) > 1 else (1, *x)), (z if len(z) > 1 else (*z, 1))
    return elements(np.broadcast_shapes(first[:-2], second[:-2])) * elements(first[-2:]) * elements(second[-1:])


def _matmul_room(x: tuple[int, ...], z: tuple[int, ...], turned: int | None = None) -> int:
    return _products(x, z)


op("matmul", matmul, _matmul_first, _matmul_second, room=_matmul_room)


def _chain(*xs: Any) -> Any:
    return reduce(matmul, xs)


def _chain_rule(k: int, g: Any, y: Any, *xs: Any) -> Any:
    """Pull the cotangent back through the chain from the right, down to operand k."""
    partial = [xs[0]]
    for x in xs[1:]:
        partial.append(matmul(partial[-1], x))
    for j in range(len(xs) - 1, 0, -1):
        if j == k:
            return _matmul_second(g, None, partial[j - 1], xs[j])
        g = _matmul_first(g, None, partial[j - 1], xs[j])
    return g


def _chain_room(*shapes: tuple[int, ...]) -> int:
    total, first = 0, shapes[0]
    for second in shapes[1:]:
        total += _products(first, second)
        first = (*first[:-1], *second[1:])
    return total


op("multi_matmul", _chain, _chain_rule, variadic=True, room=_chain_room)

# -- einsum: the cotangent takes the operand's place ---------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def explicit(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[tuple[str, ...], str]:
    """Operand terms and output term, with ellipses as upper-case labels and the output written out.

    Parameters
    ----------
    subscripts : str
        As NumPy takes them; labels in lower case.
    shapes : tuple of tuples
        Of the operands.

    Examples
    --------
    >>> explicit("i...,ij->...j", ((2, 3), (2, 4)))
    (('iA', 'ij'), 'Aj')
    >>> explicit("ii", ((3, 3),))
    (('ii',), '')
    """
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    lacking = [len(shape) - len(term.replace("...", "")) for term, shape in zip(terms, shapes, strict=True)]
    dots = max((n for term, n in zip(terms, lacking, strict=True) if "..." in term), default=0)
    spare = "".join(chr(ord("A") + n) for n in range(dots))
    full = tuple(term.replace("...", spare[dots - n :]) for term, n in zip(terms, lacking, strict=True))
    if not arrow:
        letters = "".join(terms).replace(".", "")
        output = spare + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    return full, output.replace("...", spare)


def _einsum(*xs: Any, subscripts: str) -> Any:
    terms, output = explicit(subscripts, tuple(x.shape for x in xs))
    return einsum(f"{','.join(terms)}->{output}", *xs)


@lru_cache(maxsize=1024)
def _way_back(subscripts: str, shapes: tuple[tuple[int, ...], ...], k: int) -> tuple[str, Any, Any]:
    """How the cotangent of operand `k` comes from the value's: an einsum with the other operands, a shape, a full shape.

    A label that has its whole length in the cotangent or in another operand is kept; along the others (which are summed, or
    broadcast) every element has the same cotangent. The shapes are None where nothing is left to do.
    """
    terms, output = explicit(subscripts, shapes)
    lengths = dict(zip(terms[k], shapes[k], strict=True))
    reach: dict[str, int] = {}
    for j, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        for c, n in zip(term, shape, strict=True):
            if c in output or j != k:
                reach[c] = max(n, reach.get(c, 0))
    others = [t for j, t in enumerate(terms) if j != k]
    kept = "".join(c for c in lengths if c in reach and reach[c] == lengths[c])
    narrow = tuple(n if c in kept else 1 for c, n in lengths.items())
    full = tuple(lengths.values())
    spec = f"{','.join([output, *others])}->{kept}"
    return spec, None if len(kept) == len(full) else narrow, None if narrow == full else full


def _einsum_rule(k: int, g: Any, y: Any, *xs: Any, subscripts: str) -> Any:
    """Contract the cotangent with the other operands; labels of this one alone are broadcast, repeated ones are a diagonal."""
    shapes = tuple(x.shape for x in xs)
    if not xs[k].size:
        return lift(np.zeros(xs[k].shape)) if is_object(g) else np.zeros(xs[k].shape, g.dtype)
    back, narrow, full = _way_back(subscripts, shapes, k)
    pulled = einsum(back, g, *xs[:k], *xs[k + 1 :])
    if narrow is not None:
        pulled = pulled.reshape(narrow)
    if full is not None:
        pulled = np.broadcast_to(pulled, full, subok=True)
    term = explicit(subscripts, shapes)[0][k]
    return pulled if len(set(term)) == len(term) else _on_diagonal(pulled, term, shapes[k])


def _on_diagonal(pulled: Any, term: str, shape: tuple[int, ...]) -> Any:
    labels = list(dict.fromkeys(term))
    out = lift(np.zeros(shape)) if is_object(pulled) else np.zeros(shape, pulled.dtype)
    grid = np.indices(pulled.shape)
    out[tuple(grid[labels.index(c)] for c in term)] = np.asarray(pulled)
    return boxed(out) if out.dtype == object else out


def _einsum_room(*shapes: tuple[int, ...], subscripts: str) -> int:
    if not re.fullmatch(r"[a-zA-Z., ]*(->[a-zA-Z. ]*)?", subscripts) or subscripts.count(",") + 1 != len(shapes):
        raise ValueError(f"einsum: {subscripts!r} are no subscripts for {len(shapes)} operands")
    lengths: dict[str, int] = {}
    for term, shape in zip(explicit(subscripts, shapes)[0], shapes, strict=True):
        for label, n in zip(term, shape, strict=True):
            lengths[label] = max(n, lengths.get(label, 0))
    return elements(list(lengths.values()))


op("einsum", _einsum, _einsum_rule, variadic=True, room=_einsum_room)
