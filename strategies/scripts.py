"""Scripts of tensors: a Hypothesis state machine that writes lines by `RULES`, for a library and the reference to run.

Lines are written hole by hole, on live values: those at hand decide what fits. Lines keep away from where nothing is promised,
so that a library may go its own way: arrays that a computation uses which is not cleared yet (they may be locked), the
gradients of what a refused call was given, the order of equal elements, derivatives at kinks. A computation can be
differentiated once, and every part of it that `backward` has passed is cleared: that is promised, and it is tested.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from string import Formatter
from typing import Any

import numpy as np
from hypothesis import seed
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from ..oracle.dtypes import float_type, is_float
from ..oracle.lockstep import ARRAYS, BACKWARD, TENSORS, UPDATE, Divergence, Lockstep, act, names_in, target
from .rules import BITS, FITS, ROOM, RULES, Rule, result_shape
from .seeded import seeded_settings

__all__ = ["LINES", "Draft", "drive", "machine"]

#: The most steps that Hypothesis takes, each a line, after the first two lines.
LINES = 25
#: How many times as often a row's own rules are drawn.
FOCUS = 3
#: The names of rules; the most important ones are drawn twice as often.
NAMES = (*dict.fromkeys(r.name for r in RULES), "view", "update", "backward")
#: Bits of float64's significand: no other dtype is taken to be more exact.
EXACT_BITS = float_type("float64").significand

Draw = Callable[[st.SearchStrategy[Any]], Any]

SHAPES = ((2,), (2, 2), (), (3,), (1,), (2, 1), (1, 2), (2, 3), (3, 2), (2, 1, 2))
LITERALS = ("2.0", "-1", "0.5", "np.float64(2.0)", "np.float32(-2.0)", "[2.0, -1.0]", "[[1.0], [-2.0]]")
INDICES = ("...", "0", ":1", "1:", "::-1", "::2", "-1", "None", "..., 0", ":, 1:", "0, 1", "..., None, :")
PLACES = ("[0]", "[0, 0]", "[-1, 0]", "np.array([1, 0, 1])", "np.array([True, False])", "..., [1, 0]", "[1], 0")
CONSTANT = ("", "", ", constant=True", ", constant=False", ", constant=None")
DTYPE = ("", "", "", "", ", dtype='float32'", ", dtype='int64'", ", dtype='float16'")
MADE = (
    "zeros((2,))", "ones((2, 2), dtype='float64')", "full((2, 3), 2.0)", "arange(3.0)", "arange(2)", "eye(2)",
    "linspace(-1.0, 1.0, 3)", "identity(2, constant=True)", "zeros(3, dtype='float64', constant=True)",
)  # fmt: skip
LIKE = ("ones_like({0})", "zeros_like({0})", "full_like({0}, 2.0)", "ones_like({0}, constant=True)")
AXIS = {0: ("",), 1: ("", "axis=0", "axis=-1, keepdims=True"), 2: ("", "axis=0", "axis=1, keepdims=True", "axis=(0, 1)")}
ONE = {0: ("''", "'->'", "'...'"), 1: ("'i'", "'i->'", "'i->i'"), 2: ("'ij->ji'", "'ij->i'", "'ij'", "'ii'", "'ii->i'")}

# -- bits ----------------------------------------------------------------------------------------------------------------------


def _needed(data: Any) -> int:
    """The bits that given numbers need: those of 1 + the largest magnitude, and the binary places."""
    values = np.abs(np.asarray(data, np.float64)).reshape(-1)
    places = next(k for k in range(64) if not (np.ldexp(values, k) % 1).any())
    return max(1, math.ceil(math.log2(values.max(initial=0) + 1)) + places)


def _limit(dtype: np.dtype) -> int:
    return float_type(dtype).significand if is_float(dtype) else EXACT_BITS


class Exact:
    """A script, with the bits that each value and its derivatives could need, and the bits that there are.

    Parameters
    ----------
    lockstep : Lockstep
    """

    def __init__(self, lockstep: Lockstep) -> None:
        self.lockstep = lockstep
        #: By name: the bits that are needed, see `BITS`, and the precision of the narrowest dtype on the way.
        self.bits: dict[str, tuple[int, int]] = {}

    def run(self, line: str, bits: int) -> None:
        """Run a line, given the bits that its result needs."""
        lockstep = self.lockstep
        read, bound = names_in(line)
        limit = min((self.bits[n][1] for n in read & self.bits.keys()), default=EXACT_BITS)
        if not lockstep.run(line):
            return
        for name in lockstep.names():
            if name in bound:
                self.bits[name] = bits, min(limit, _limit(lockstep[name].dtype))
        self.bits = {n: b for n, b in self.bits.items() if n in lockstep.origins}
        if act(line) == UPDATE:
            for name in lockstep.sharing(target(line)):
                self.bits[name] = max(self.bits[name][0], bits), min(self.bits[name][1], limit)
        for name in lockstep.names():
            if not lockstep.origins[name].upstream:
                self.bits[name] = _needed(lockstep.array(name)), _limit(lockstep[name].dtype)


# -- one line ------------------------------------------------------------------------------------------------------------------


@cache
def _evaluated(text: str) -> Any:
    return eval(text, {"np": np})


@cache
def _region(index: str, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of what an index selects; None if it does not fit."""
    try:
        region: tuple[int, ...] = np.empty(shape)[_evaluated(f"np.s_[{index}]")].shape
    except IndexError:
        return None
    return region if 0 < math.prod(region) <= ROOM else None


def _too_large(a: np.ndarray, b: np.ndarray) -> bool:
    return math.prod(result_shape(a, b) or ()) > ROOM


@cache
def _holes(line: str) -> frozenset[str]:
    return frozenset(h.partition(".")[0] for _, h, _, _ in Formatter().parse(line) if h)


class Draft:
    """One line while it is written, hole by hole.

    Parameters
    ----------
    exact : Exact
    draw : callable
        Draws from a Hypothesis strategy.
    rule : Rule
    """

    def __init__(self, exact: Exact, draw: Draw, rule: Rule) -> None:
        self.exact, self.lockstep, self.draw, self.rule = exact, exact.lockstep, draw, rule
        self.texts: dict[str, str] = {}

    def write(self) -> tuple[str, int] | None:
        """The line, and the bits that its result needs; None if nothing fits."""
        for hole in (h for h in HOLES if h in _holes(self.rule.line)):
            choices = list(HOLES[hole](self))
            if not choices:
                return None
            self.texts[hole] = self.draw(st.sampled_from(choices))
        operands = [t for h, t in self.texts.items() if t in self.exact.bits and h not in ("new", "arr")]
        a, b = (self._bits(self.texts.get(h)) for h in ("a", "b"))
        bits = BITS[self.rule.bits](a, b, self.first.size)
        if bits > min((self.exact.bits[n][1] for n in operands), default=EXACT_BITS):
            return None
        line = self.rule.line
        for hole, text in self.texts.items():
            line = line.replace(f"{{{hole}}}", text).replace(f"{{{hole}.", f"{text}.")
        return line.replace("(, ", "(").replace(", )", ")"), bits

    @property
    def first(self) -> np.ndarray:
        """The first operand, or the part of it that the line's index selects."""
        data = self.lockstep.array(self.texts["a"]) if "a" in self.texts else np.empty(1)
        index = self.texts.get("index", self.texts.get("places"))
        shape = data.shape if index is None else _region(index, data.shape)
        assert shape is not None
        return data if index is None else np.empty(shape)

    def _bits(self, text: str | None) -> int:
        if text is None:
            return 0
        return self.exact.bits[text][0] if text in self.exact.bits else _needed(_evaluated(text))

    def operands(self) -> list[str]:
        """All that can be used as an array."""
        return [*self.lockstep.names(), *LITERALS]

    def value(self, text: str) -> np.ndarray:
        """The array, number or list that a text stands for."""
        return self.lockstep.array(text) if text in self.lockstep.origins else np.asarray(_evaluated(text))

    def tensors(self, suits: Callable[[str, Any], bool]) -> list[str]:
        """The live tensors that suit."""
        return [n for n in self.lockstep.names(TENSORS) if suits(n, self.lockstep[n])]

    def free(self, names: str) -> list[str]:
        """A name to bind: usually a new one, as long as there is one; now and then one that is bound already."""
        taken = self.lockstep.names(names)
        return [n for n in names if n not in taken][:1] * 3 + taken

    def idle(self, names: Iterable[str]) -> list[str]:
        """Those whose memory may be written."""
        return [n for n in names if self.lockstep.array(n).flags.writeable and not self.lockstep.in_use(n)]

    # -- the holes -----------------------------------------------------------------------------------------------------

    def a(self) -> list[str]:
        """A tensor; one for which there is a second operand if the line wants one."""
        fits, line = FITS[self.rule.fits], self.rule.line
        if "{b}" not in line:
            return self.tensors(lambda n, x: fits(x.data, x.data))
        if "{index}" in line or "{places}" in line:
            return self.tensors(lambda n, x: True)
        values = [self.value(b) for b in self.operands()]
        return self.tensors(lambda n, x: any(fits(x.data, b) for b in values))

    def b(self) -> list[str]:
        """A second operand; now and then one that does not fit, unless a gradient might get lost by that."""
        if "a" not in self.texts:
            return self.operands()
        wanted = self.precious() or not self.draw(st.sampled_from([False] * 15 + [True]))
        first, fits = self.first, FITS[self.rule.fits]
        suitable = [n for n in self.operands() if fits(first, self.value(n)) is wanted and not _too_large(first, self.value(n))]
        graded = self.graded()  # a refused call may null their gradients as well
        return suitable if wanted else [n for n in suitable if n not in graded and result_shape(first, self.value(n)) is None]

    def precious(self) -> bool:
        """Whether a refused call could null a gradient: of its target, or of any operand."""
        if self.rule.name not in (UPDATE, BACKWARD):
            return False
        near = self.lockstep.sharing(self.texts["a"]) if self.rule.name == UPDATE else self.lockstep.names(TENSORS)
        return any(n in TENSORS and self.lockstep[n].grad is not None for n in near)

    def numbers(self) -> list[str]:
        """A number, or nested lists of numbers."""
        shape = self.draw(st.sampled_from(SHAPES))
        n = math.prod(shape)
        drawn = self.draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n))
        return [repr(np.array(drawn, float).reshape(shape).tolist())]

    def shape(self) -> list[str]:
        """A shape with the same number of elements."""
        n = self.first.size
        return ["-1", f"({n}, 1)", f"(1, {n})", *(["()"] if n == 1 else []), *([f"(2, {n // 2})"] if n % 2 == 0 else [])]

    def models(self) -> list[str]:
        """An operand for a ``*_like`` function; not a constant, since libraries differ in their treatment of these."""
        return [*self.lockstep.names(ARRAYS), *self.tensors(lambda n, x: not x.constant)]

    def descending(self) -> list[str]:
        """A tensor that can take a step along its gradient without losing a digit."""
        movable = [n for n in self.idle(self.graded()) if is_float(self.lockstep[n].dtype)]
        return [n for n in movable if _needed(self.lockstep[n].data - 0.5 * self.lockstep[n].grad) <= self.exact.bits[n][1]]

    def graded(self) -> list[str]:
        """A tensor with a gradient."""
        return self.tensors(lambda n, x: x.grad is not None)


#: How each hole is filled, in the order in which holes are filled.
HOLES: dict[str, Callable[[Draft], Iterable[str]]] = {
    "a": Draft.a,
    "index": lambda d: [i for i in INDICES if _region(i, d.first.shape) is not None],
    "places": lambda d: [i for i in PLACES if _region(i, d.first.shape) is not None],
    "b": Draft.b,
    "axis": lambda d: AXIS[min(d.first.ndim, 2)],
    "shape": Draft.shape,
    "one": lambda d: ONE.get(d.first.ndim, ("'...i->i...'",)),
    "mask": lambda d: (f"{d.texts['a']} > 0", "True"),
    "array": lambda d: d.lockstep.names(ARRAYS),
    "loose": lambda d: d.idle(d.lockstep.names(ARRAYS)),
    "idle": lambda d: d.idle(d.lockstep.names(TENSORS)),
    "graded": Draft.graded,
    "descending": Draft.descending,
    "numbers": Draft.numbers,
    "number": lambda d: ("2.0", "-1.0", "0.5"),
    "made": lambda d: (*MADE, *(text.format(n) for n in d.models() for text in LIKE)),
    "float": lambda d: ("'float64'", "'float32'", "'float16'", "'int64'"),
    "dtype": lambda d: DTYPE,
    "constant": lambda d: CONSTANT,
    "new": lambda d: d.free(TENSORS),
    "arr": lambda d: d.free(ARRAYS),
}


# -- the machine ---------------------------------------------------------------------------------------------------------------

#: Called at the end of every script, with the divergence that ended it, if any. It may raise, which ends the run.
OnEnd = Callable[[Lockstep, Divergence | None], None]


def machine(
    library: Any, on_end: OnEnd, row: str | None = None, counts: Counter[str] | None = None
) -> type[RuleBasedStateMachine]:
    """A state machine that runs random scripts on a library.

    Parameters
    ----------
    library : namespace
        See `adjudge.oracle.lockstep.Lockstep`.
    on_end : callable
        Called at the end of every script. If it returns, a new script begins.
    row : str, optional
        One of `adjudge.strategies.rules.SEMANTICS`, whose rules are drawn more often.
    counts : Counter, optional
        Counts the lines that are run, by rule.
    """
    counted = Counter[str]() if counts is None else counts

    class Semantics(RuleBasedStateMachine):
        """The library and the reference, side by side."""

        exact: Exact | None = None

        @initialize(data=st.data())
        def begin(self, data: st.DataObject) -> None:
            self.exact = Exact(Lockstep(library))
            for _ in range(2):
                self.take(RULES[0], data.draw)

        def take(self, chosen: Rule, draw: Draw) -> None:
            """Run one line by a rule, if it fits; where the sides diverge, the script ends."""
            if self.exact is None or (line_and_bits := Draft(self.exact, draw, chosen).write()) is None:
                return
            counted[chosen.line] += 1
            try:
                self.exact.run(*line_and_bits)
            except Divergence as divergence:
                lockstep, self.exact = self.exact.lockstep, None
                on_end(lockstep, divergence)
            else:
                if self.exact.lockstep.unspecified:
                    self.teardown()

        def teardown(self) -> None:
            if self.exact is not None:
                lockstep, self.exact = self.exact.lockstep, None
                on_end(lockstep, None)

    def named(name: str) -> Callable[..., None]:
        rules = [r for r in RULES if r.name == name]

        def step(self: Semantics, data: st.DataObject) -> None:
            if self.exact is None:
                self.begin(data)
            else:
                self.take(data.draw(st.sampled_from(rules)), data.draw)

        return step

    own = [r.name for r in RULES if r.row == row]
    names = [*NAMES, *(n for n in NAMES if n in own for _ in range(FOCUS - 1))]
    steps = {f"{name}_{k}": rule(data=st.data())(named(name)) for k, name in enumerate(names)}
    return type("Semantics", (Semantics,), steps)


def drive(
    library: Any, on_end: OnEnd, scripts: int, start: int = 0, row: str | None = None, *, shrink: bool = False,
    counts: Counter[str] | None = None,
) -> None:  # fmt: skip
    """Run random scripts on a library, the same ones every time.

    Parameters
    ----------
    library : namespace
        See `adjudge.oracle.lockstep.Lockstep`.
    on_end : callable
        See `machine`. What it raises is raised here, after the smallest script for which it does.
    scripts : int
        The number of scripts.
    start : int
        The seed.
    row : str, optional
        See `machine`.
    shrink : bool
        Whether Hypothesis looks for a smaller script where `on_end` raises.
    counts : Counter, optional
        See `machine`.
    """
    with seeded_settings(scripts, shrink, stateful_step_count=LINES) as chosen:
        run_state_machine_as_test(seed(start)(machine(library, on_end, row, counts)), settings=chosen)
