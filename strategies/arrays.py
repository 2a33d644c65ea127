"""Arrays: short decimals from a drawn seed, with drawn overrides that put awkward numbers into chosen places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..oracle.dtypes import float_type, is_float, simple_dtype
from ..oracle.program import LAYOUTS, Input
from .choices import Choices
from .domains import Domain
from .shapes import SHAPES, Shape

__all__ = ["Special", "arrays", "numbers", "override"]

#: Grids of readable numbers: decimals, and the eighths that every float dtype holds exactly.
_DECIMALS, _DYADICS = (100, 1000), (8, 64, 512)

#: A special point: a number, or a word for one that depends on the dtype ("subnormal", "tiny", "huge") or on its
#: neighbours ("tie").
Special = float | str

#: Special points of every op.
EVERYWHERE: tuple[Special, ...] = (0.0, 1.0, -1.0, "tie", -0.0, "subnormal", "tiny", "huge", 1e-8, -0.5)


@cache
def whole_numbers(domain: Domain, kind: str, span: int = 10) -> np.ndarray:
    """The small integers in a domain that a dtype of this kind (signed, unsigned or boolean) can hold; there may be none."""
    lowest, highest = {"b": (0, 1), "u": (0, 9)}.get(kind, (-9, 9))
    near = np.arange(max(lowest, -span), min(highest, span) + 1)
    return np.array(near[domain.inside(near)])


def numbers(
    rng: np.random.Generator, shape: Shape, domain: Domain, dtype: Any, *, tame: bool = False, dyadic: bool = False
) -> np.ndarray:
    """Readable numbers of a domain, distinct as long as there are enough of them.

    Parameters
    ----------
    rng : Generator
    shape : tuple of int
    domain : Domain
    dtype : dtype
        A float or integer dtype, or bool.
    tame : bool
        Between -2 and 2 if the domain has such numbers, and none of another scale.
    dyadic : bool
        Only multiples of a power of two, which every float dtype holds exactly.
    """
    dtype, size, span = simple_dtype(dtype), math.prod(shape), 2 if tame else 10
    if not is_float(dtype):
        pool = whole_numbers(domain, dtype.kind, span)
        return pool[rng.integers(0, len(pool), size)].reshape(shape).astype(dtype)
    limits = float_type(dtype)
    if domain.whole:
        grids: tuple[int, ...] = (1,)
    else:
        distinct = span * _DECIMALS[0] <= 2**limits.significand  # too many decimals coincide when rounded to bfloat16
        grids = _DYADICS if dyadic or not distinct or (dtype.itemsize < 8 and rng.integers(2)) else _DECIMALS
    grid, pool = _fine_enough(domain, grids, span, 2 * size)
    picked = pool[rng.choice(len(pool), size, replace=size > len(pool))]
    out = picked / grid
    scale = int(rng.integers(20))
    if scale < 2 and not (tame or dyadic or domain.whole):
        power = 10 ** int(rng.integers(1, max(1, int(math.log10(limits.reach)) - 2) + 1))
        scaled = (picked / (grid * power) if scale else picked * power / grid).astype(dtype)
        usable = domain.inside(scaled, limits.near) & (np.abs(scaled) <= limits.reach)
        out = np.where(usable, scaled, out)
    return out.reshape(shape).astype(dtype)


def _fine_enough(domain: Domain, grids: Sequence[int], span: int, least: int) -> tuple[int, np.ndarray]:
    """The first of some grids, the coarsest first, on which a domain has at least `least` numbers, or the last; and those."""
    *coarse, finest = grids
    for grid in coarse:
        pool = domain.numbers(grid, span)
        if len(pool) >= least:
            return grid, pool
    return finest, domain.numbers(finest, span)


def override(
    data: np.ndarray, code: int, specials: Sequence[Special], domains: Sequence[Domain], partner: np.ndarray | None = None
) -> None:
    """Put a special point, or a number one ulp beside it, into a place of `data`, if it lies in all of the domains.

    Parameters
    ----------
    data : ndarray
        A float array; changed.
    code : int
        Encodes which point, which place, and whether to go one ulp beside the point.
    specials : sequence
        The points to choose from.
    domains : sequence of Domain
    partner : ndarray, optional
        The array that a tie is with, of the shape of `data`. Without it, a tie is with another place of `data`.
    """
    if not data.size or not is_float(data.dtype):
        return
    code, which = divmod(code, len(specials))
    code, beside = divmod(code, 8)
    code, place = divmod(code, data.size)
    point, flat = specials[which], data.reshape(-1)
    limits, number = float_type(data.dtype), data.dtype.type
    if point == "tie":
        source = flat if partner is None else partner.reshape(-1)
        value = source[code % data.size if partner is None else place]
    elif point == "subnormal":
        value = number(limits.smallest_subnormal * (1 + code % 1000))
    elif point == "tiny":
        value = number(limits.smallest_normal)
    elif point == "huge":
        value = number(limits.reach / 10)
    else:
        value = number(point)
    if beside > 5:
        value = np.nextafter(value, number(np.inf if beside == 6 else -np.inf))
    if abs(value) <= limits.reach and all(d.contains(value, limits.near) for d in domains):
        flat[place] = value
        data[...] = flat.reshape(data.shape)


def repeated(data: np.ndarray) -> np.ndarray:
    """The first entry along the first axis, repeated, so that a broadcast view can hold the array."""
    return np.broadcast_to(data[:1], data.shape).copy() if data.ndim and data.size else data


@st.composite
def _arrays(draw: Any, dtype: np.dtype, shape: Shape | None, domain: Domain, specials: Any, layouts: Any) -> np.ndarray:
    choices = Choices(draw)
    at = choices.sampled_from(SHAPES["any"]) if shape is None else shape
    layout = choices.sampled_from(layouts)
    rng, codes = choices.entropy()
    with np.errstate(all="ignore"):
        data = numbers(rng, at, domain, dtype)
        for code in codes:
            override(data, code, specials, (domain,))
    data = repeated(data) if layout == "broadcast" else data
    out: np.ndarray = Input(data, layout=layout).materialise()
    return out


def arrays(
    dtype: Any = np.float64,
    shape: Shape | None = None,
    domain: str = "(-inf, inf)",
    specials: Sequence[Special] = EVERYWHERE,
    layouts: Sequence[str] = ("C",),
) -> st.SearchStrategy[np.ndarray]:
    """Arrays of readable, distinct numbers, with awkward ones in some places.

    Parameters
    ----------
    dtype : dtype
        One of `adjudge.oracle.dtypes.FLOATS` or its name, an integer dtype or bool.
    shape : tuple of int, optional
        Drawn if left out: 0-d, empty, with axes of one, or ordinary and small.
    domain : str
        See `Domain`, for example ``"(0, inf)"``: overrides stay in it as well.
    specials : sequence of float or str
        The points that overrides put in: numbers, "tie", "subnormal", "tiny", "huge".
    layouts : sequence of str
        Layouts to draw from, the simplest first: "C", "F", "reversed", "strided", "broadcast", "read-only", "unaligned".

    Examples
    --------
    >>> from hypothesis import find
    >>> find(arrays(shape=(2,)), lambda x: True).shape
    (2,)
    """
    unknown = set(layouts) - set(LAYOUTS)
    if unknown:
        raise ValueError(f"layouts {sorted(unknown)} are unknown; there are {', '.join(LAYOUTS)}")
    at = None if shape is None else tuple(shape)
    return _arrays(simple_dtype(dtype), at, Domain(domain), tuple(specials), tuple(layouts))
