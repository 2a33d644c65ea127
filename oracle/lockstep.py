"""Histories: lines of code, run on a tensor library and on the reference side by side, and where the two part.

In a line ``lib`` is the library and ``np`` is NumPy. A history binds the names `TENSORS` and `ARRAYS`; what a line tells of
them without binding one is its ``answer``. After every line all that can be seen of all live names is compared: see `ASPECTS`.
Equal means equal, which supposes that nothing on the way is rounded: who writes a history sees to that.
"""

from __future__ import annotations

import ast
import gc
import math
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import combinations, count
from types import CodeType, FrameType
from typing import Any

import numpy as np

from . import reference

__all__ = [
    "ACTS", "ARRAYS", "ASPECTS", "TAGS", "TENSORS", "Departure", "History", "act", "names_in", "reduced",
    "replay", "target",
]  # fmt: skip

#: Names of tensors and of arrays in a history.
TENSORS, ARRAYS = "abcdef", "pq"
#: What is compared, in this order.
ASPECTS = ("raises", "kind", "identity", "shape", "dtype", "value", "constant", "grad", "memory")
#: What a line does: bind a name, update a tensor in place, write into an array or a tensor's data, differentiate, null a
#: gradient, forget a name, or tell something.
BIND, UPDATE, WRITE, BACKWARD, NULL, FORGET, TELL = ACTS = ("bind", "update", "write", "backward", "null", "forget", "tell")
#: What is said of a departure, beside the dtype. Of the call: the library alone raised, or the reference alone; the library
#: does not come back; both raised. Of every name that differs: the library alone has the gradient (or shares memory), or the
#: reference alone; what the name was before the call ("answer": it is no array; "on constant": a view of one); what `backward`
#: had done to it, or to what it was computed from.
TAGS = (
    "refused", "accepted", "stuck", "failed", "kept", "lost", "new", "array", "answer", "view", "on constant", "constant",
    "graded", "parted", "of parted", "of cleared", "undone",
)  # fmt: skip

# -- lines ---------------------------------------------------------------------------------------------------------------------


@cache
def _parsed(line: str) -> ast.stmt:
    statements = ast.parse(line).body
    if len(statements) != 1:
        raise SyntaxError(f"{line!r} is no single statement")
    return statements[0]


@cache
def _compiled(line: str) -> CodeType:
    return compile(line, "<history>", "exec")


@cache
def names_in(line: str) -> tuple[frozenset[str], frozenset[str]]:
    """The names that a line reads or updates, and those that it binds."""
    statement = _parsed(line)
    names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
    if isinstance(statement, ast.AugAssign):
        return frozenset(n.id for n in names), frozenset()
    bound = frozenset(n.id for n in names if isinstance(n.ctx, ast.Store))
    return frozenset(n.id for n in names if isinstance(n.ctx, ast.Load)), bound


@cache
def act(line: str) -> str:
    """What a line does: one of `ACTS`.

    Examples
    --------
    >>> [act(line) for line in ("a = lib.ones(2)", "a[0] *= 2.0", "a.data -= 1.0", "a.backward()", "np.add(a, 1, out=a)")]
    ['bind', 'update', 'write', 'backward', 'update']
    """
    statement = _parsed(line)
    if isinstance(statement, ast.Delete):
        return FORGET
    if isinstance(statement, ast.Expr):
        called = getattr(statement.value, "func", None)
        name = called.attr if isinstance(called, ast.Attribute) else ""
        return {"backward": BACKWARD, "null_grad": NULL}.get(name, UPDATE)
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return TELL if statement.targets[0].id == "answer" else BIND
    into = ast.walk(statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", statement))
    data = any(isinstance(node, ast.Attribute) and node.attr == "data" for node in into)
    return WRITE if data or target(line) in ARRAYS else UPDATE


@cache
def target(line: str) -> str:
    """The name that a line changes: what it updates, writes into or differentiates.

    Examples
    --------
    >>> target("np.add(b, 1, out=a)"), target("b[0] = a")
    ('a', 'b')
    """
    statement = _parsed(line)
    out = [k.value for node in ast.walk(statement) if isinstance(node, ast.Call) for k in node.keywords if k.arg == "out"]
    first: ast.AST = out[0] if out else statement
    while not isinstance(first, ast.Name):
        first = next(ast.iter_child_nodes(first))
    return first.id


# -- side by side --------------------------------------------------------------------------------------------------------------


class Departure(AssertionError):
    """The library and the reference went different ways.

    Parameters
    ----------
    lines : sequence of str
        The history; the last line is where they parted.
    aspect : str
        One of `ASPECTS`.
    names : sequence of str
        What differs: names, their gradients ("a.grad" shares memory), pairs ("a and b").
    got, expected : object
        What the library shows, and the reference: a mapping of `names`, or for "raises" an exception's text or None.
    tags : set of str
        What is true of every name that differs (of one of each pair), and of the call: `TAGS` and dtypes.
    """

    def __init__(
        self, lines: Sequence[str], aspect: str, names: Sequence[str], got: Any, expected: Any, tags: frozenset[str]
    ) -> None:
        self.lines, self.aspect, self.names = tuple(lines), aspect, tuple(names)
        self.got, self.expected, self.tags = got, expected, tags
        super().__init__(f"{self.reason}, after\n" + "\n".join(f"    {line}" for line in lines))

    @property
    def act(self) -> str:
        """What the last line does."""
        return act(self.lines[-1])

    @property
    def verdict(self) -> str:
        """The verdict that it deserves: numbers are wrong, a refusal is a crash, and the rest breaks the contract."""
        if self.aspect == "raises":
            return "crash" if self.expected is None or "stuck" in self.tags else "contract"
        wrong = self.aspect in ("value", "grad") and not self.tags & {"kept", "lost"}
        return "wrong" if wrong else "contract"

    @property
    def signature(self) -> tuple[str, str, frozenset[str]]:
        """What makes two departures the same one."""
        return self.aspect, self.act, self.tags & {"refused", "accepted", "stuck", "failed", "kept", "lost", "new"}

    @property
    def reason(self) -> str:
        """What differs, in one sentence."""
        if self.aspect == "raises":
            if "stuck" in self.tags:
                return f"`{self.lines[-1]}` does not come back: {self.got}"
            if self.expected is None:
                return f"`{self.lines[-1]}` is refused: {self.got}"
            return f"`{self.lines[-1]}` is accepted, and should be refused: {self.expected}"
        first = self.names[0]
        mine, due = self.got.get(first), self.expected.get(first)
        if self.aspect in ("memory", "identity"):
            what = "share memory" if self.aspect == "memory" else "are one tensor"
            return f"{first} {what}{'' if mine else ' no longer'}, and should{' not' if mine else ''}"
        return f"the {self.aspect} of {first} is {mine}, and should be {due}"


@dataclass
class Known:
    """What is known of a live name, without a look at what the library keeps.

    Parameters
    ----------
    number : int
        Of the value that it denotes; no other value has it.
    upstream : frozenset of int
        Numbers of all values that this one was computed from, as long as that is not cleared.
    parents : tuple of Known
        For a view: what it is a view of, and what that is a view of.
    parted : bool
        Whether `backward` has passed it while it shared memory with another tensor.
    beside : frozenset of int
        Numbers of what it shared memory with when it was bound, live or not.
    """

    number: int
    upstream: frozenset[int] = frozenset()
    parents: tuple[Known, ...] = ()
    parted: bool = False
    beside: frozenset[int] = frozenset()

    @property
    def origin(self) -> frozenset[int]:
        """Its own number, and all upstream."""
        return self.upstream | {self.number}


class History:
    """Two worlds in which the same lines are run, and what is known of the names in them.

    Parameters
    ----------
    library : namespace
        Has `Tensor`, `tensor`, and functions with NumPy's names, as `adjudge.oracle.reference` has.

    Examples
    --------
    >>> h = History(reference)
    >>> [h.run(line) for line in ("a = lib.tensor([1.0, 2.0])", "b = a[:1]", "a *= 3.0")]
    [True, True, True]
    >>> h["b"], h.sharing("a")
    (Tensor([3.]), ['a', 'b'])
    """

    def __init__(self, library: Any) -> None:
        self.worlds: tuple[dict[str, Any], dict[str, Any]] = ({"lib": library, "np": np}, {"lib": reference, "np": np})
        self.lines: list[str] = []
        self.known: dict[str, Known] = {}
        #: Numbers of values that a `backward` has passed; passed while they shared memory; should have left alone.
        self._cleared, self._parted, self._undone = set[int](), set[int](), set[int]()
        self._number = count()
        #: Whether a `backward` was refused, or a write: what gradients, or values, are after that is not promised.
        self.over = False

    def __getitem__(self, name: str) -> Any:
        """What a name is bound to in the reference's world."""
        return self.worlds[1][name]

    def names(self, kinds: str = TENSORS + ARRAYS) -> list[str]:
        """The live names, in the order of `kinds`."""
        return [n for n in kinds if n in self.known]

    def array(self, name: str) -> np.ndarray:
        """The array that a name stands for, in the reference's world."""
        return _array(self[name])

    def sharing(self, name: str) -> list[str]:
        """The live names that share memory with a name, itself among them."""
        mine = self.array(name)
        return [n for n in self.known if n == name or np.shares_memory(self.array(n), mine)]

    def busy(self, name: str) -> bool:
        """Whether a computation that is not cleared uses the memory of a name: a library may lock it."""
        shared = [self.known[n] for n in self.sharing(name)]
        numbers = frozenset[int]().union(*(k.beside | {k.number, *(p.number for p in k.parents)} for k in shared))
        return any(k.upstream for k in shared) or any(numbers & k.upstream for k in self.known.values())

    def run(self, line: str) -> bool:
        """Run a line in both worlds, and compare them.

        Parameters
        ----------
        line : str

        Returns
        -------
        bool
            Whether it was run, and not refused by both.

        Raises
        ------
        Departure
        """
        self.lines.append(line)
        read = names_in(line)[0] & self.known.keys()
        before = {n: self.tags(n) for n in self.known}
        raised = [_attempt(line, world) for world in self.worlds]
        stuck = raised[0] is not None and raised[0].startswith(Stuck.__name__)
        if act(line) == WRITE and raised[0] is not None and raised[1] is None and "[...]" in line:
            self.over = True  # a library may lock memory, and nothing says how long
            return False
        if stuck or (raised[0] is None) != (raised[1] is None):
            way = "stuck" if stuck else "refused" if raised[1] is None else "accepted"
            told = frozenset({way}).union(*(before[n] for n in read))
            raise Departure(self.lines, "raises", (), raised[0], raised[1], told)
        passed = raised[0] is None
        self.over = self.over or (not passed and act(line) == BACKWARD)
        if passed:
            self._note(line, read)
        news = names_in(line)[1] if passed else frozenset[str]()
        tags = {n: before.get(n, frozenset()) | ({"failed"} if not passed else set()) for n in self.known if n not in news}
        self._compare(tags | {n: self.tags(n) | {"new"} for n in news})
        for world in self.worlds:
            world.pop("answer", None)
        return passed

    # -- what is known -------------------------------------------------------------------------------------------------

    def tags(self, name: str) -> frozenset[str]:
        """What is true of a name, in the words of `TAGS` and dtypes."""
        x = self[name]
        if not isinstance(x, reference.Tensor):
            return frozenset({"array" if isinstance(x, np.ndarray) else "answer"})
        k = self.known[name]
        found = {
            "view": x.base is not None,
            "on constant": x.base is not None and x.base.constant,
            "constant": x.constant,
            "graded": x.grad is not None,
            "parted": k.parted,
            "of parted": not self._parted.isdisjoint(k.upstream),
            "of cleared": not self._cleared.isdisjoint(k.upstream),
            "undone": not self._undone.isdisjoint(k.origin),
            str(x.dtype): True,
        }
        return frozenset(tag for tag, true in found.items() if true)

    def _note(self, line: str, read: frozenset[str]) -> None:
        """Keep what is known true after a line that passed."""
        match act(line):
            case "bind":
                (name,) = names_in(line)[1]
                if isinstance(self[name], (reference.Tensor, np.ndarray)):
                    self.known[name] = self._bound(name, read)
                else:
                    self.known.pop(name, None)
            case "update":
                self._updated(target(line), read)
            case "backward":
                self._passed(target(line))
            case "forget":
                self.known = {n: k for n, k in self.known.items() if n in self.worlds[1]}

    def _bound(self, name: str, read: frozenset[str]) -> Known:
        x = self[name]
        twin = next((n for n in self.known if n != name and self[n] is x), None)
        if twin is not None:
            return self.known[twin]
        beside = [self.known[n] for n in self.known if n != name and np.shares_memory(self.array(n), _array(x))]
        made = Known(next(self._number), beside=frozenset[int]().union(*(k.beside | {k.number} for k in beside)))
        if isinstance(x, np.ndarray) or (x.creator is None and not x.constant):
            return made
        sources = [self.known[n] for n in read if isinstance(self[n], reference.Tensor)]
        made.upstream = frozenset[int]().union(*(self.known[n].origin for n in read))
        if x.base is not None and sources:
            parent = sources[0]
            made.parents, made.parted = (parent, *parent.parents), parent.parted
            if made.parted:
                self._parted.add(made.number)
        return made

    def _updated(self, name: str, read: frozenset[str]) -> None:
        """All that shares the memory denotes new values, which come from the old ones and from what was read."""
        shared = [self.known[n] for n in self.sharing(name) if n in TENSORS]
        group = {id(k): k for member in shared for k in (member, *member.parents)}
        old = frozenset[int]().union(*(k.origin for k in (*group.values(), *(self.known[n] for n in read))))
        for k in group.values():
            k.number = next(self._number)
            if k.parted:
                self._parted.add(k.number)
            k.beside = frozenset()
        for k in group.values():
            k.upstream = old | {p.number for p in k.parents}

    def _passed(self, end: str) -> None:
        """Keep what is known true after a `backward`."""
        passed = self.known[end].origin
        if self[end].constant:
            self._undone |= passed
            return
        self._cleared |= passed
        for k in self.known.values():
            if k.number in passed:
                k.upstream = frozenset()
        for name in self.names(TENSORS):
            group = [self.known[n] for n in self.sharing(name) if n in TENSORS]
            numbers = {k.number for member in group for k in (member, *member.parents)}
            if (len(group) > 1 or self[name].base is not None) and passed & numbers:
                self.known[name].parted = True
                self._parted.add(self.known[name].number)

    # -- what can be seen ----------------------------------------------------------------------------------------------

    def _compare(self, tags: Mapping[str, frozenset[str]]) -> None:
        for aspect in ASPECTS[1:-2] if self.over else ASPECTS[1:]:
            got, expected = (_seen(aspect, world) for world in self.worlds)
            if got == expected:
                continue
            differing = sorted(k for k in {**got, **expected} if got.get(k) != expected.get(k))
            about = [{name.partition(".")[0] for name in k.split(" and ")} for k in differing]
            words = [frozenset[str]().union(*(tags.get(n, ()) for n in names)) for names in about]
            told = frozenset.intersection(*([w for w in words if w != {"array"}] or words))
            if aspect in ("grad", "memory"):
                told |= {"kept"} if all(k not in expected for k in differing) else set()
                told |= {"lost"} if all(k not in got for k in differing) else set()
            show = [{k: seen[k] for k in differing if k in seen} for seen in (got, expected)]
            raise Departure(self.lines, aspect, differing, show[0], show[1], told)


class Stuck(Exception):
    """A line does not come back."""


#: Seconds of computing that a line has; one takes microseconds.
LIMIT = 1.0


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stuck(f"it was stopped after {LIMIT:g} s of computing")


@contextmanager
def _limited() -> Iterator[None]:
    """Stop what does not come back, where there are such signals: in the main thread, on POSIX."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before, collects = signal.signal(signal.SIGVTALRM, _stop), gc.isenabled()
    try:
        gc.disable()  # libraries have callbacks in it, from which nothing can be raised
        signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT, LIMIT / 20)
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        if collects:
            gc.enable()


def _attempt(line: str, world: dict[str, Any]) -> str | None:
    """Run a line; what it raised, in words."""
    try:
        with _limited():
            exec(_compiled(line), world)
    except Exception as problem:  # whatever a library raises is a refusal
        return f"{type(problem).__name__}: {problem}"
    return None


def _array(x: Any) -> np.ndarray:
    data = x if isinstance(x, np.ndarray) else x.data
    assert isinstance(data, np.ndarray)
    return data


def _seen(aspect: str, world: Mapping[str, Any]) -> dict[str, Any]:
    """What a world shows of an aspect: by name, or by pair of names."""
    live = {n: world[n] for n in (*TENSORS, *ARRAYS, "answer") if n in world}
    tensors = {n: x for n, x in live.items() if isinstance(x, world["lib"].Tensor)}
    arrays = {n: _array(x) for n, x in live.items() if n in tensors or isinstance(x, np.ndarray)}
    match aspect:
        case "kind":
            return {n: "tensor" if n in tensors else "array" if n in arrays else type(x).__name__ for n, x in live.items()}
        case "identity":
            return {f"{m} and {n}": True for m, n in combinations(sorted(tensors), 2) if tensors[m] is tensors[n]}
        case "shape":
            return {n: x.shape for n, x in arrays.items()}
        case "dtype":
            return {n: str(x.dtype) for n, x in arrays.items()}
        case "value":
            return {n: arrays[n].tolist() if n in arrays else x for n, x in live.items()}
        case "constant":
            return {n: x.constant for n, x in tensors.items()}
    gradients = {n: g for n, x in tensors.items() if (g := x.grad) is not None}
    if aspect == "grad":
        return {n: (type(g).__name__, str(g.dtype), g.tolist()) for n, g in gradients.items()}
    cells = arrays | {f"{n}.grad": g for n, g in gradients.items()}
    return {f"{m} and {n}": True for m, n in combinations(sorted(cells), 2) if np.shares_memory(cells[m], cells[n])}


# -- again ---------------------------------------------------------------------------------------------------------------------


#: What is left of a history without some of its lines may grow without end: beyond so many elements it is given up.
ROOM = 256


def replay(library: Any, lines: Sequence[str], room: float = math.inf) -> Departure | None:
    """Run a history; where the library and the reference part, if they do before it goes where nothing is promised.

    Parameters
    ----------
    library : namespace
        See `History`.
    lines : sequence of str
    room : float
        A history in which an array has more elements is given up.

    Examples
    --------
    >>> replay(reference, ["a = lib.tensor(2.0)", "b = a * a", "b.backward()"]) is None
    True
    """
    history = History(library)
    try:
        for line in lines:
            locked = act(line) == WRITE and target(line) in history.known and history.busy(target(line))
            if locked or history.over or any(history.array(n).size > room for n in history.names()):
                return None
            history.run(line)
    except Departure as departure:
        return departure
    return None


def reduced(library: Any, departure: Departure) -> Departure:
    """The same departure after as few lines: each is left out that can be.

    Parameters
    ----------
    library : namespace
        See `History`.
    departure : Departure
    """
    while (shorter := next(_shorter(library, departure), None)) is not None:
        departure = shorter
    return departure


def _shorter(library: Any, departure: Departure) -> Iterator[Departure]:
    for n in reversed(range(len(departure.lines) - 1)):
        lines = [*departure.lines[:n], *departure.lines[n + 1 :]]
        again = replay(library, lines, ROOM)
        if again and (again.aspect, again.tags, len(again.lines)) == (departure.aspect, departure.tags, len(lines)):
            yield again
