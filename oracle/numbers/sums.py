"""Sums and products of sums, in any order: reductions, products of matrices, einsum."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from flint import arb, arb_mat

from .balls import boxed, is_object, lift, underflown, zero_like
from .context import arithmetic
from .contraction import Products, as_products

__all__ = ["add_reduce", "einsum", "matmul", "normalise_axes", "order_free"]


def order_free(terms: Any, count: int) -> Any:
    """`terms` (an array of balls, or a matrix), widened so that a sum of them encloses every order of adding `count` of them.

    A sum of n floats in any order errs by at most (n-1) u sum|terms| to first order, and a sum of n products by n u
    (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., sections 3.1 and 4.2): widening each term by that
    fraction of itself is the same bound.
    """
    if arithmetic().unit and count > 0 and (isinstance(terms, arb_mat) or is_object(terms)):
        return terms * _any_order(count, arithmetic().unit)
    return terms


@lru_cache(maxsize=1024)
def _any_order(count: int, unit: float) -> arb:
    return arb(1, count * unit / (1 - min(0.5, count * unit)))


def add_reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Sum over `axis`, with the order-free bound."""
    if not is_object(x):
        return np.sum(x, axis=axis, keepdims=keepdims)
    axes = normalise_axes(axis, x.ndim)
    count = math.prod(x.shape[a] for a in axes)
    if count == 0:
        shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape) if keepdims or a not in axes)
        return zero_like(np.empty(shape))
    out = boxed(order_free(x, count - 1))
    for a in sorted(axes, reverse=True):
        out = boxed(np.sum(out, axis=a, keepdims=keepdims))
    return out


def normalise_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """An axis argument (None, int or tuple, negative allowed) as a tuple of non-negative ints."""
    if axis is None:
        return tuple(range(ndim))
    given = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    return tuple(operator.index(a) % ndim if ndim else 0 for a in given) if ndim else ()


def matmul(a: Any, b: Any, turned: int | None = None) -> Any:
    """NumPy's `matmul`, with the order-free bound on balls; matrices of balls go through ``arb_mat`` where that is faster.

    Parameters
    ----------
    a, b : array
    turned : {0, 1}, optional
        Which operand's last two axes change places first.
    """
    balls = is_object(a) or is_object(b)
    if balls and a.ndim == b.ndim == 2 and arithmetic().balls:
        (rows, inner), (_, columns) = (x.shape[::-1] if turned == k else x.shape for k, x in enumerate((a, b)))
        if _worth_matrices(rows, inner, columns):
            left, right = (_matrix(x).transpose() if turned == k else _matrix(x) for k, x in enumerate((a, b)))
            return boxed(_product(left, right, inner))
    if turned is not None:
        a, b = (np.swapaxes(x, -1, -2) if turned == k else x for k, x in enumerate((a, b)))
    if not balls:
        return np.matmul(a, b)
    inner = a.shape[-1]
    if inner == 0:
        return zero_like(np.matmul(np.empty(a.shape), np.empty(b.shape)))
    if not arithmetic().balls or a.ndim == 1 or b.ndim == 1 or not _worth_matrices(a.shape[-2], inner, b.shape[-1]):
        out = boxed(np.matmul(np.asarray(order_free(a, inner)), np.asarray(b)))  # a lone series would be opened as a sequence
        return boxed(underflown(out, inner)) if arithmetic().underflow else out
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    out = np.empty((*stack, a.shape[-2], b.shape[-1]), object)
    first, second = (np.broadcast_to(x, (*stack, *x.shape[-2:])) for x in (a, b))
    for place in np.ndindex(*stack):
        out[place] = _product(arb_mat(first[place].tolist()), arb_mat(second[place].tolist()), inner)
    return boxed(out)


def _worth_matrices(rows: int, inner: int, columns: int) -> bool:
    """Whether a product saves more time in ``arb_mat`` than it takes to put the elements in and out.

    Either way one element costs about as much as one multiplication of an object `matmul` (0.09 us).
    """
    return rows * inner * columns > rows * inner + inner * columns + rows * columns + 20


def _matrix(x: Any) -> arb_mat:
    """A matrix of balls as flint's, made once: a run meets the same operands forwards and backwards."""
    matrices = arithmetic().matrices
    if matrices is None:
        return arb_mat(x.tolist())
    known = matrices.get(id(x))
    if known is None:
        known = matrices[id(x)] = x, arb_mat(x.tolist())
    return known[1]


def _product(left: arb_mat, right: arb_mat, count: int) -> np.ndarray:
    """The product of two matrices as an array of balls, with the order-free bound for sums of `count` products."""
    entries = (order_free(left, count) * right).entries()
    out = np.fromiter(entries, object, len(entries)).reshape(left.nrows(), right.ncols())
    return underflown(out, left.ncols()) if arithmetic().underflow else out


def einsum(subscripts: str, *operands: Any) -> Any:
    """NumPy's `einsum`, with the order-free bound on balls."""
    if not any(is_object(x) for x in operands):
        return _float_einsum(subscripts, operands)
    inputs, output = subscripts.replace(" ", "").split("->")
    sizes: dict[str, int] = {}
    for term, x in zip(inputs.split(","), operands, strict=True):
        for label, n in zip(term, x.shape, strict=True):
            sizes[label] = n if sizes.get(label, 1) == 1 else sizes[label]
    summed = math.prod(n for label, n in sizes.items() if label not in output)
    if summed == 0 or 0 in sizes.values():
        return zero_like(np.empty([sizes[label] for label in output]))
    first, *others = operands
    widened = order_free(first, summed - 1 + len(others)) if is_object(first) else order_free(lift(np.asarray(first)), summed)
    plain = [np.asarray(widened), *(np.asarray(x) for x in others)]
    if len(plain) == 2 and arithmetic().balls:
        products = as_products(subscripts, plain[0].shape, plain[1].shape)
        if products is not None and products.sums == ((), ()) and _worth_matrices(*products.lengths):
            return _ball_products(products, *plain)
    return _contracted(inputs.split(","), output, plain)


def _contracted(terms: Sequence[str], output: str, operands: Sequence[Any]) -> Any:
    """A contraction by broadcasting: NumPy's own einsum of object arrays miscounts references and crashes."""
    labels = list(dict.fromkeys(output + "".join(terms)))
    product: Any = None
    for term, x in zip(terms, operands, strict=True):
        distinct = "".join(dict.fromkeys(term))
        diagonal = np.einsum(f"{term}->{distinct}", np.arange(x.size).reshape(x.shape))
        places = np.transpose(diagonal, np.argsort([labels.index(c) for c in distinct])).reshape(-1)
        ordered = x.reshape(-1)[places]
        aligned = ordered.reshape([x.shape[term.index(c)] if c in term else 1 for c in labels])
        product = boxed(aligned if product is None else product * aligned)
    rows = product.reshape(*product.shape[: len(output)], -1)
    return boxed(np.add.reduce(rows, axis=-1))


def _ball_products(products: Products, a: np.ndarray, b: np.ndarray) -> Any:
    """Products of matrices of balls, one by one."""
    first, second = products.stacks(a, b)
    out = np.empty((len(first), first.shape[1], second.shape[2]), object)
    for n, (left, right) in enumerate(zip(first, second, strict=True)):
        out[n] = _product(arb_mat(left.tolist()), arb_mat(right.tolist()), 0)
    return boxed(out.reshape(products.shape).transpose(products.order))


#: The number of multiplications from which an einsum of two arrays is faster as products of matrices, and from which it is
#: worth looking for an order of contraction among more arrays.
WORTH_PRODUCTS, WORTH_A_PATH = 2**13, 2**16


def _float_einsum(subscripts: str, operands: Sequence[np.ndarray]) -> Any:
    if len(operands) == 2:
        a, b = operands
        if a.size * b.size >= WORTH_PRODUCTS and a.dtype == b.dtype and a.dtype.char in "fd":
            products = as_products(subscripts, a.shape, b.shape)
            if products is not None and products.worth >= WORTH_PRODUCTS:
                return products.of_floats(a, b)
        return np.einsum(subscripts, a, b)
    if len(operands) == 1:
        return np.einsum(subscripts, operands[0])
    terms = subscripts.partition("->")[0].split(",")
    lengths = {c: n for t, x in zip(terms, operands, strict=True) for c, n in zip(t, x.shape, strict=True)}
    return np.einsum(subscripts, *operands, optimize=math.prod(lengths.values()) >= WORTH_A_PATH)
