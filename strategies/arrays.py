"""Arrays: short decimals from a drawn seed, with drawn overrides that put awkward numbers into chosen places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..oracle.program import LAYOUTS, Input
from .choices import Choose
from .domains import NEAR, Domain
from .shapes import SHAPES, Shape

__all__ = ["LARGEST", "Look", "Special", "arrays", "numbers", "override"]

#: Beyond this nothing is drawn and nothing may grow: far from the dtype's end, so that a product or two stays finite.
LARGEST = {"float64": 1e12, "float32": 1e6, "float16": 64.0}

#: Grids of readable numbers: decimals, and the eighths that every float dtype holds exactly.
_DECIMALS, _DYADICS = (100, 1000), (8, 64, 512)

#: A special point: a number, or a word for one that depends on the dtype ("subnormal", "tiny", "huge") or on its
#: neighbours ("tie").
Special = float | str

#: Special points of every op.
EVERYWHERE: tuple[Special, ...] = (0.0, 1.0, -1.0, "tie", -0.0, "subnormal", "tiny", "huge", 1e-8, -0.5)


@dataclass(frozen=True)
class Look:
    """How one input is dressed: what the implementation is handed, and how that lies in memory.

    Parameters
    ----------
    kind, layout, constant
        As in `adjudge.oracle.program.Input`.
    dtype : str
        "" for the question's own float dtype, "other" for another of them, or the name of an integer type or bool.
    """

    kind: str = "array"
    layout: str = "C"
    constant: bool = False
    dtype: str = ""


PLAIN = Look()
LAID_OUT = tuple(Look(layout=layout) for layout in LAYOUTS[1:])
#: For the operand that a gradient is asked for in any case.
FIRST = (PLAIN,) * 12 + LAID_OUT
#: For the operands beside it, in ops that join or multiply arrays.
BESIDE = (PLAIN,) * 9 + (Look(constant=True),) * 3 + LAID_OUT + (Look(dtype="other"), Look(dtype="int64"), Look(dtype="bool"))
#: The same in ops that broadcast, where numbers and lists may stand as well.
BROADCAST = BESIDE + (
    Look("number"), Look("number"), Look("list"), Look("number", dtype="int64"), Look(dtype="int32"), Look(dtype="uint8"),
)  # fmt: skip
#: In ops whose operands meet each other two by two, where narrow integers would wrap around and booleans saturate.
SEVERAL = tuple(look for look in BROADCAST if look.dtype not in ("bool", "uint8"))


@cache
def whole_numbers(domain: Domain, kind: str, span: int = 10) -> np.ndarray:
    """The small integers of a domain that integers, unsigned ones or booleans can be; there may be none."""
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
        Of a float, an integer type, or bool.
    tame : bool
        Between -2 and 2 where the domain has such numbers, and none of another scale.
    dyadic : bool
        Only multiples of a power of two, which every float dtype holds exactly.
    """
    dtype, size, span = np.dtype(dtype), math.prod(shape), 2 if tame else 10
    if dtype.kind != "f":
        pool = whole_numbers(domain, dtype.kind, span)
        return pool[rng.integers(0, len(pool), size)].reshape(shape).astype(dtype)
    if domain.whole:
        grids: tuple[int, ...] = (1,)
    else:
        grids = _DYADICS if dyadic or (dtype.itemsize < 8 and rng.integers(2)) else _DECIMALS
    for grid in grids:
        pool = domain.numbers(grid, span)
        if len(pool) >= 2 * size:
            break
    picked = pool[rng.choice(len(pool), size, replace=size > len(pool))]
    out = picked / grid
    scale = int(rng.integers(20))
    if scale < 2 and not (tame or dyadic or domain.whole):
        power = 10 ** int(rng.integers(1, max(1, int(math.log10(LARGEST[dtype.name])) - 2) + 1))
        scaled = (picked / (grid * power) if scale else picked * power / grid).astype(dtype)
        usable = domain.inside(scaled, NEAR[dtype.name]) & (np.abs(scaled) <= LARGEST[dtype.name])
        out = np.where(usable, scaled, out)
    return out.reshape(shape).astype(dtype)


def override(
    data: np.ndarray, code: int, specials: Sequence[Special], domains: Sequence[Domain], partner: np.ndarray | None = None
) -> None:
    """Put a special point, or a number one ulp beside it, into a place of `data`, if it lies in all of the domains.

    Parameters
    ----------
    data : ndarray
        A float array; changed.
    code : int
        Says which point, which place, and whether beside it.
    specials : sequence
        The points to choose from.
    domains : sequence of Domain
    partner : ndarray, optional
        Of the shape of `data`: what a tie ties with. Without it, a tie is with another place of `data`.
    """
    if not data.size or data.dtype.kind != "f":
        return
    code, which = divmod(code, len(specials))
    code, beside = divmod(code, 8)
    code, place = divmod(code, data.size)
    point, flat = specials[which], data.reshape(-1)
    limits = np.finfo(data.dtype)
    if point == "tie":
        source = flat if partner is None else partner.reshape(-1)
        value = source[code % data.size if partner is None else place]
    elif point == "subnormal":
        value = limits.smallest_subnormal * (1 + code % 1000)
    elif point == "tiny":
        value = limits.tiny
    elif point == "huge":
        value = data.dtype.type(LARGEST[data.dtype.name] / 10)
    else:
        value = data.dtype.type(point)
    if beside > 5:
        value = np.nextafter(value, data.dtype.type(np.inf if beside == 6 else -np.inf))
    if abs(value) <= LARGEST[data.dtype.name] and all(d.contains(value, NEAR[data.dtype.name]) for d in domains):
        flat[place] = value
        data[...] = flat.reshape(data.shape)


def repeated(data: np.ndarray) -> np.ndarray:
    """The first row of each axis but the last repeated, so that a broadcast view can hold the array."""
    return np.broadcast_to(data[:1], data.shape).copy() if data.ndim and data.size else data


@st.composite
def _arrays(draw: Any, dtype: np.dtype, shape: Shape | None, domain: Domain, specials: Any, layouts: Any) -> np.ndarray:
    choose = Choose(draw)
    at = choose.of(SHAPES["any"]) if shape is None else shape
    layout = choose.of(layouts)
    rng, codes = choose.entropy()
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
        float64, float32, float16, an integer type or bool.
    shape : tuple of int, optional
        Drawn if left out: 0-d, empty, of ones, or ordinary and small.
    domain : str
        See `Domain`, for example ``"(0, inf)"``: overrides stay in it, too.
    specials : sequence of float or str
        What the overrides put in: numbers, "tie", "subnormal", "tiny", "huge".
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
    return _arrays(np.dtype(dtype), at, Domain(domain), tuple(specials), tuple(layouts))
