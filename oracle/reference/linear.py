"""Products of arrays: matmul, chains of it, and einsum."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from .op import op, unbroadcast
from .scalars import boxed, einsum, is_object, lift, matmul

# -- matmul: vectors are matrices with an axis of one --------------------------------------------------------------------------


def _as_matrices(x: Any, z: Any, g: Any) -> tuple[Any, Any, Any]:
    """Operands and cotangent with the axes that 1-D operands lack put in."""
    if x.ndim == 1:
        g = np.expand_dims(g, -2 if z.ndim > 1 else -1)
    if z.ndim == 1:
        g = np.expand_dims(g, -1)
    return (x[None, :] if x.ndim == 1 else x), (z[:, None] if z.ndim == 1 else z), g


def _matmul_first(g: Any, y: Any, x: Any, z: Any) -> Any:
    first, second, g = _as_matrices(x, z, g)
    return unbroadcast(matmul(g, np.swapaxes(second, -1, -2)), first.shape).reshape(x.shape)


def _matmul_second(g: Any, y: Any, x: Any, z: Any) -> Any:
    first, second, g = _as_matrices(x, z, g)
    return unbroadcast(matmul(np.swapaxes(first, -1, -2), g), second.shape).reshape(z.shape)


op("matmul", matmul, _matmul_first, _matmul_second)


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


op("multi_matmul", _chain, _chain_rule, variadic=True)

# -- einsum: the cotangent takes the operand's place ---------------------------------------------------------------------------


def explicit(subscripts: str, shapes: Sequence[tuple[int, ...]]) -> tuple[list[str], str]:
    """Operand terms and output term, with ellipses as upper-case labels and the output written out.

    Parameters
    ----------
    subscripts : str
        As NumPy takes them; labels in lower case.
    shapes : sequence of tuples
        Of the operands.

    Examples
    --------
    >>> explicit("i...,ij->...j", [(2, 3), (2, 4)])
    (['iA', 'ij'], 'Aj')
    >>> explicit("ii", [(3, 3)])
    (['ii'], '')
    """
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    dots = max(
        (len(shape) - len(t.replace("...", "")) for t, shape in zip(terms, shapes, strict=True) if "..." in t), default=0
    )
    spare = [chr(ord("A") + n) for n in range(dots)]
    full = []
    for term, shape in zip(terms, shapes, strict=True):
        width = len(shape) - len(term.replace("...", ""))
        full.append(term.replace("...", "".join(spare[dots - width :])))
    if not arrow:
        letters = "".join(terms).replace(".", "")
        output = "".join(spare) + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    return full, output.replace("...", "".join(spare))


def _einsum(*xs: Any, subscripts: str) -> Any:
    terms, output = explicit(subscripts, [x.shape for x in xs])
    return einsum(",".join(terms) + "->" + output, *xs)


def _einsum_rule(k: int, g: Any, y: Any, *xs: Any, subscripts: str) -> Any:
    """Contract the cotangent with the other operands; a label of this one alone gets ones, a repeated one a diagonal."""
    if not xs[k].size:
        return lift(np.zeros(xs[k].shape)) if is_object(g) else np.zeros(xs[k].shape, g.dtype)
    terms, output = explicit(subscripts, [x.shape for x in xs])
    term = terms[k]
    labels = "".join(dict.fromkeys(term))
    others = [x for j, x in enumerate(xs) if j != k]
    other_terms = [t for j, t in enumerate(terms) if j != k]
    sizes = dict(zip(term, xs[k].shape, strict=True))
    reach = dict.fromkeys(labels, 1)
    for other, x in zip([output, *other_terms], [g, *others], strict=True):
        reach.update({c: max(n, reach[c]) for c, n in zip(other, x.shape, strict=True) if c in reach})
    absent = [c for c in labels if not any(c in t for t in [output, *other_terms])]
    missing = [c for c in labels if c in absent or reach[c] < sizes[c]]
    ones = np.ones([sizes[c] for c in missing], dtype=np.int64 if is_object(g) else g.dtype)
    padding = [lift(ones) if is_object(g) else ones] if missing else []
    pulled = einsum(
        ",".join([output, *other_terms, *(["".join(missing)] if missing else [])]) + "->" + labels, g, *others, *padding
    )
    wanted = tuple(sizes[c] for c in labels)
    pulled = unbroadcast(pulled, wanted) if pulled.shape != wanted else pulled
    return _on_diagonal(pulled, labels, term, xs[k].shape)


def _on_diagonal(pulled: Any, labels: str, term: str, shape: tuple[int, ...]) -> Any:
    if labels == term:
        return pulled
    out = lift(np.zeros(shape)) if is_object(pulled) else np.zeros(shape, pulled.dtype)
    grid = np.indices(pulled.shape)
    out[tuple(grid[labels.index(c)] for c in term)] = np.asarray(pulled)
    return boxed(out) if out.dtype == object else out


op("einsum", _einsum, _einsum_rule, variadic=True)
