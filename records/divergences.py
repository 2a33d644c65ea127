"""Known departures: what a backend's tensors are known to do otherwise than the reference's, as data; strict both ways.

They stand in a ledger of their own beside the backend's, ``NAME.semantics.toml``, one ``[[departure]]`` each::

    [[departure]]
    id = "view-not-nulled"
    reason = "a view that is used anew keeps its gradient"
    proof = "the tutorial: involving a tensor in further operations nulls its derivative"
    found = 2026-01-31
    versions = "<=2.5.0"              # of the library; left out, any version
    when = [{ aspects = ["grad"], acts = ["bind"], tags = ["view", "kept"], line = '' }]
    snippet = '''
    a = lib.tensor([1.0, 2.0])
    b = a[:1]
    a.backward()
    c = b + 1.0
    '''

An entry explains a departure that bears one of its marks: the aspect that differs is among `aspects`, what the last line does
is among `acts` (left out, whatever it does), all `tags` hold, and the regular expression `line` is found in the last line. Its
snippet is a shortest history that shows it, in its last line. The words are those of `adjudge.oracle.lockstep`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from ..oracle.lockstep import ACTS, ASPECTS, TAGS, Divergence, act, replay

__all__ = ["KnownDeparture", "LedgerError", "Mark", "departures_of", "in_versions", "is_line"]

#: What the ledger's name ends with.
SUFFIX = ".semantics.toml"
NEEDED = ("id", "reason", "proof", "found", "when", "snippet")
OPTIONAL = ("versions",)
DTYPES = ("float64", "float32", "float16", "int64", "bool")
#: What the lists of a mark may hold.
CHOICES = {"aspects": ASPECTS, "acts": ACTS, "tags": (*TAGS, *DTYPES)}


class LedgerError(ValueError):
    """A ledger does not make sense; the message is one sentence that names the entry and the rule."""


def in_versions(version: str, versions: SpecifierSet) -> bool:
    """Whether a version is in a range; one that is no version number is in none but the one that holds all."""
    if not versions:
        return True
    try:
        return versions.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


@dataclass(frozen=True)
class Mark:
    """What a departure is recognised by.

    Parameters
    ----------
    aspects : frozenset of str
        Any of these.
    acts : frozenset of str
        Any of these, or whatever if empty.
    tags : frozenset of str
        All of these.
    line : str
        A regular expression that is found in the last line.
    """

    aspects: frozenset[str]
    acts: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    line: str = ""

    def fits(self, departure: Divergence) -> bool:
        """Whether a departure bears it."""
        return (
            departure.aspect in self.aspects
            and (not self.acts or departure.act in self.acts)
            and self.tags <= departure.tags
            and re.search(self.line, departure.lines[-1]) is not None
        )


@dataclass(frozen=True)
class KnownDeparture:
    """One known departure.

    Parameters
    ----------
    id : str
    reason, proof : str
        What is wrong, and why that is certain: one sentence each.
    found : date
    versions : SpecifierSet
        The library's versions that have it.
    when : tuple of Mark
        It explains what bears one of these.
    snippet : tuple of str
        A shortest history that shows it, in its last line.
    """

    id: str
    reason: str
    proof: str
    found: date
    versions: SpecifierSet
    when: tuple[Mark, ...]
    snippet: tuple[str, ...]

    def applies(self, version: str) -> bool:
        """Whether this version of the library has it."""
        return in_versions(version, self.versions)

    def explains(self, departure: Divergence) -> bool:
        """Whether a departure is this one."""
        return any(mark.fits(departure) for mark in self.when)

    def state(self, library: Any) -> tuple[str, str]:
        """What has become of it, and what is seen now: "still fails", "no longer fails", or "fails otherwise"."""
        departure = replay(library, self.snippet)
        if departure is None:
            return "no longer fails", ""
        as_told = len(departure.lines) == len(self.snippet) and self.explains(departure)
        return "still fails" if as_told else "fails otherwise", departure.reason


def departures_of(trees: Sequence[Any], path: Path) -> tuple[KnownDeparture, ...]:
    """The known departures in a ledger's ``departure`` tables.

    Raises
    ------
    LedgerError
        Naming the entry, and the rule that it breaks.
    """
    return tuple(_departure(tree, number, path) for number, tree in enumerate(trees, 1))


def _departure(tree: Any, number: int, path: Path) -> KnownDeparture:
    named = isinstance(tree, dict) and isinstance(tree.get("id"), str)
    name = f"departure {tree['id']!r}" if named else f"departure {number}"

    def demand(holds: bool, rule: str) -> None:
        if not holds:
            raise LedgerError(f"ledger {path}, {name}: {rule}")

    def among(words: Any, choices: Sequence[str], what: str) -> frozenset[str]:
        demand(isinstance(words, list) and all(isinstance(w, str) for w in words), f"{what!r} must be a list of words")
        for word in words:
            near = get_close_matches(word, choices, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(choices)}"
            demand(word in choices, f"{what!r} has no {word!r}; {hint}")
        return frozenset(words)

    def mark(when: Any) -> Mark:
        demand(isinstance(when, dict) and bool(when.get("aspects")), "each mark in 'when' must be a table with 'aspects'")
        among(list(when), (*CHOICES, "line"), "when")
        pattern = when.get("line", "")
        demand(isinstance(pattern, str) and _is_pattern(pattern), f"'line' must be a regular expression, not {pattern!r}")
        words = {key: among(when.get(key, []), choices, key) for key, choices in CHOICES.items()}
        return Mark(**words, line=pattern)

    demand(isinstance(tree, dict), "it is no table")
    among(list(tree), (*NEEDED, *OPTIONAL), "departure")
    for key in NEEDED:
        demand(key in tree, f"it lacks {key!r}")
        if key not in ("found", "when"):
            demand(isinstance(tree[key], str) and bool(tree[key].strip()), f"{key!r} must be text")
    demand(bool(re.fullmatch(r"[\w.-]+", tree["id"])), "'id' names a file: letters, digits, '_', '-' and '.' only")
    demand(type(tree["found"]) is date, "'found' must be a date, as in 2026-01-31")
    demand(isinstance(tree["when"], list) and bool(tree["when"]), "'when' must be a list of marks")
    snippet = tuple(line.strip() for line in tree["snippet"].splitlines() if line.strip())
    for line in snippet:
        demand(is_line(line), f"its snippet has the line {line!r}, which is no line of a history: one simple statement each")
    try:
        versions = SpecifierSet(tree.get("versions", ""))
    except (InvalidSpecifier, TypeError, AttributeError):
        demand(False, f"'versions' must be a range such as '>=2.4,<3', not {tree['versions']!r}")
    return KnownDeparture(
        tree["id"], tree["reason"], tree["proof"], tree["found"], versions, tuple(map(mark, tree["when"])), snippet,
    )  # fmt: skip


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def is_line(line: str) -> bool:
    """Whether a text may stand in a history."""
    try:
        act(line)
    except (SyntaxError, StopIteration):
        return False
    return True
