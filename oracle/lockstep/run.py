"""One script, run line by line in both worlds, with the origins of every value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol, runtime_checkable

import numpy as np

from .. import reference
from ..accused.worlds import Stuck, World, array_of
from ..protocol import Lost
from .divergence import ASPECTS, Divergence
from .lines import ARRAYS, BACKWARD, BIND, FORGET, TENSORS, UPDATE, WRITE, act, compiled, names_in, target

__all__ = ["AnyWorld", "Lockstep", "Tensors", "ValueOrigin"]


class AnyWorld(Protocol):
    """Where a script runs: see `adjudge.oracle.accused.worlds.World`."""

    def run(self, line: str) -> str | None:
        """Run a line; the exception that it raised, in words."""
        ...

    def visible(self, aspect: str) -> dict[str, Any]:
        """Everything visible of an aspect."""
        ...

    def forget(self, name: str) -> None:
        """Unbind a name."""
        ...


@runtime_checkable
class Tensors(Protocol):
    """A library's tensors that are somewhere else: it makes worlds to run scripts in.

    Attributes
    ----------
    module : str
        The module that has them, as scripts import it.
    promotes_alike : bool
        Whether NumPy beside them promotes dtypes as NumPy here does.
    """

    module: str
    promotes_alike: bool

    def new_world(self) -> AnyWorld:
        """A world without names."""
        ...


@dataclass
class ValueOrigin:
    """Where the value of a live name comes from, as far as the script shows.

    Parameters
    ----------
    number : int
        Of the value; no other value has it.
    upstream : frozenset of int
        Numbers of all values that this one was computed from, as long as `backward` has not cleared that.
    bases : tuple of ValueOrigin
        For a view: the tensor that it is a view of, the tensor of which that one is a view, and so on.
    parted : bool
        Whether `backward` has passed it while it shared memory with another tensor.
    neighbours : frozenset of int
        Numbers of the values that it shared memory with when it was bound, live or not.
    """

    number: int
    upstream: frozenset[int] = frozenset()
    bases: tuple[ValueOrigin, ...] = ()
    parted: bool = False
    neighbours: frozenset[int] = frozenset()

    @property
    def origin(self) -> frozenset[int]:
        """Its own number, and all upstream."""
        return self.upstream | {self.number}


def _union(sets: Iterable[frozenset[Any]]) -> frozenset[Any]:
    return frozenset[Any]().union(*sets)


class Lockstep:
    """The run of one script on both sides.

    Parameters
    ----------
    library : namespace or Tensors
        Has `Tensor`, `tensor`, and functions with NumPy's names, as `adjudge.oracle.reference` has; or makes worlds for such a
        library, which may be in a process of its own.

    Examples
    --------
    >>> run = Lockstep(reference)
    >>> [run.run(line) for line in ("a = lib.tensor([1.0, 2.0])", "b = a[:1]", "a *= 3.0")]
    [True, True, True]
    >>> run["b"], run.sharing("a")
    (Tensor([3.]), ['a', 'b'])
    """

    def __init__(self, library: Any) -> None:
        self.accused: AnyWorld = library.new_world() if isinstance(library, Tensors) else World(library)
        self.reference = World(reference)
        #: Without the same promotion rules dtypes are not compared.
        self.promotes_alike = getattr(library, "promotes_alike", True)
        self.lines: list[str] = []
        #: Of every live name.
        self.origins: dict[str, ValueOrigin] = {}
        #: Numbers of values that a `backward` has passed; passed while they shared memory; should have left alone.
        self._cleared, self._parted, self._undone = set[int](), set[int](), set[int]()
        self._number = count()
        #: Whether a `backward` or a write was refused: which gradients, or values, there are after that is not specified.
        self.unspecified = False

    def __getitem__(self, name: str) -> Any:
        """The object that a name is bound to in the reference's world."""
        return self.reference.names[name]

    def names(self, among: str = TENSORS + ARRAYS) -> list[str]:
        """The live names, in the order of `among`."""
        return [n for n in among if n in self.origins]

    def array(self, name: str) -> np.ndarray:
        """The array that a name denotes in the reference's world."""
        return array_of(self[name])

    def sharing(self, name: str) -> list[str]:
        """The live names that share memory with a name, itself among them."""
        own = self.array(name)
        return [n for n in self.origins if n == name or np.shares_memory(self.array(n), own)]

    def in_use(self, name: str) -> bool:
        """Whether a computation that is not cleared uses the memory of a name: a library may lock it."""
        shared = [self.origins[n] for n in self.sharing(name)]
        numbers = _union(p.neighbours | {p.number, *(base.number for base in p.bases)} for p in shared)
        return any(p.upstream for p in shared) or any(numbers & p.upstream for p in self.origins.values())

    def run(self, line: str) -> bool:
        """Run a line in both worlds, and compare them.

        Parameters
        ----------
        line : str

        Returns
        -------
        bool
            Whether the line passed: both sides may have refused it.

        Raises
        ------
        Divergence
        """
        compiled(line)  # refuses what is no line of a script
        self.lines.append(line)
        read = names_in(line)[0] & self.origins.keys()
        before = {n: self.tags(n) for n in self.origins}
        got, expected = self.accused.run(line), self.reference.run(line)
        stuck, lost = (got is not None and got.startswith(f"{kind.__name__}: ") for kind in (Stuck, Lost))
        if act(line) == WRITE and got is not None and expected is None and "[...]" in line:
            self.unspecified = True  # a library may lock memory, and nothing says how long
            return False
        if stuck or lost or (got is None) != (expected is None):
            outcome = "stuck" if stuck else "lost process" if lost else "refused" if expected is None else "accepted"
            raise Divergence(self.lines, "raises", (), got, expected, _union(before[n] for n in read) | {outcome})
        passed = got is None
        self.unspecified = self.unspecified or (not passed and act(line) == BACKWARD)
        if passed:
            self._note(line, read)
        bound = names_in(line)[1] if passed else frozenset[str]()
        failed = set() if passed else {"failed"}
        tags = {n: before.get(n, frozenset()) | failed for n in self.origins if n not in bound}
        self._compare(tags | {n: self.tags(n) | {"new"} for n in bound})
        self.accused.forget("answer")
        self.reference.forget("answer")
        return passed

    # -- origins ----------------------------------------------------------------------------------------------------

    def tags(self, name: str) -> frozenset[str]:
        """The tags and dtypes that hold for a name."""
        x = self[name]
        if not isinstance(x, reference.Tensor):
            return frozenset({"array" if isinstance(x, np.ndarray) else "answer"})
        p = self.origins[name]
        holds = {
            "view": x.base is not None,
            "on constant": x.base is not None and x.base.constant,
            "constant": x.constant,
            "graded": x.grad is not None,
            "parted": p.parted,
            "of parted": not self._parted.isdisjoint(p.upstream),
            "of cleared": not self._cleared.isdisjoint(p.upstream),
            "undone": not self._undone.isdisjoint(p.origin),
            str(x.dtype): True,
        }
        return frozenset(tag for tag, true in holds.items() if true)

    def _note(self, line: str, read: frozenset[str]) -> None:
        """Keep the origins true after a line that passed."""
        doing = act(line)
        if doing == BIND:
            (name,) = names_in(line)[1]
            if isinstance(self[name], (reference.Tensor, np.ndarray)):
                self.origins[name] = self._of_bound(name, read)
            else:
                self.origins.pop(name, None)
        elif doing == UPDATE:
            self._note_update(target(line), read)
        elif doing == BACKWARD:
            self._note_backward(target(line))
        elif doing == FORGET:
            self.origins = {n: p for n, p in self.origins.items() if n in self.reference.names}

    def _of_bound(self, name: str, read: frozenset[str]) -> ValueOrigin:
        x = self[name]
        twin = next((n for n in self.origins if n != name and self[n] is x), None)
        if twin is not None:
            return self.origins[twin]
        sharing = [self.origins[n] for n in self.origins if n != name and np.shares_memory(self.array(n), array_of(x))]
        made = ValueOrigin(next(self._number), neighbours=_union(p.neighbours | {p.number} for p in sharing))
        if isinstance(x, np.ndarray) or (x.creator is None and not x.constant):
            return made
        sources = [self.origins[n] for n in read if isinstance(self[n], reference.Tensor)]
        made.upstream = _union(self.origins[n].origin for n in read)
        if x.base is not None and sources:
            base = sources[0]
            made.bases, made.parted = (base, *base.bases), base.parted
            if made.parted:
                self._parted.add(made.number)
        return made

    def _note_update(self, name: str, read: frozenset[str]) -> None:
        """Every name that shares the memory denotes a new value, computed from the old ones and from the operands."""
        shared = [self.origins[n] for n in self.sharing(name) if n in TENSORS]
        group = {id(p): p for member in shared for p in (member, *member.bases)}
        old = _union(p.origin for p in (*group.values(), *(self.origins[n] for n in read)))
        for p in group.values():
            p.number = next(self._number)
            if p.parted:
                self._parted.add(p.number)
            p.neighbours = frozenset()
        for p in group.values():
            p.upstream = old | {base.number for base in p.bases}

    def _note_backward(self, end: str) -> None:
        """A `backward` clears all that it passes."""
        passed = self.origins[end].origin
        if self[end].constant:
            self._undone |= passed
            return
        self._cleared |= passed
        for p in self.origins.values():
            if p.number in passed:
                p.upstream = frozenset()
        for name in self.names(TENSORS):
            group = [self.origins[n] for n in self.sharing(name) if n in TENSORS]
            numbers = {p.number for member in group for p in (member, *member.bases)}
            if (len(group) > 1 or self[name].base is not None) and passed & numbers:
                self.origins[name].parted = True
                self._parted.add(self.origins[name].number)

    def _seen(self, aspect: str, world: AnyWorld) -> dict[str, Any]:
        """What is visible of an aspect, without dtypes where these cannot be compared."""
        seen = world.visible(aspect)
        if self.promotes_alike or aspect not in ("dtype", "grad"):
            return seen
        return {} if aspect == "dtype" else {name: (kind, array) for name, (kind, dtype, array) in seen.items()}

    # -- comparison ----------------------------------------------------------------------------------------------------

    def _compare(self, tags: Mapping[str, frozenset[str]]) -> None:
        for aspect in ASPECTS[1:-2] if self.unspecified else ASPECTS[1:]:
            got, expected = (self._seen(aspect, world) for world in (self.accused, self.reference))
            if got == expected:
                continue
            differing = sorted(k for k in {**got, **expected} if got.get(k) != expected.get(k))
            pairs = [{name.partition(".")[0] for name in k.split(" and ")} for k in differing]
            each = [_union(tags.get(n, frozenset()) for n in names) for names in pairs]
            common = frozenset.intersection(*([t for t in each if t != {"array"}] or each))
            if aspect in ("grad", "memory"):
                common |= {"kept"} if all(k not in expected for k in differing) else set()
                common |= {"lost"} if all(k not in got for k in differing) else set()
            shown, due = ({k: side[k] for k in differing if k in side} for side in (got, expected))
            raise Divergence(self.lines, aspect, differing, shown, due, common)
