"""Known divergences: where a backend's tensors are known to differ from the reference's, as data; strict both ways.

They stand in a ledger of their own beside the backend's, ``NAME.semantics.toml``, one ``[[divergence]]`` each::

    [[divergence]]
    id = "view-not-nulled"
    reason = "a view that is used again keeps its gradient"
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

An entry explains a divergence that fits one of its marks: the aspect that differs is among `aspects`, what the last line does
is among `acts` (left out, whatever it does), all `tags` hold, and the regular expression `line` is found in the last line. Its
snippet is a shortest script that shows it, in its last line. The words are those of `adjudge.oracle.lockstep`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, WithJsonSchema

from ..oracle.lockstep import ACTS, ASPECTS, TAGS, Divergence, LineError, check_script
from .fields import FrozenModel, LedgerState, describe, nearest

__all__ = [
    "EntryId", "Found", "KnownDivergence", "LedgerError", "Mark", "Text", "Versions", "in_versions",
    "known_divergences", "read_entry",
]  # fmt: skip

#: The end of the ledger's name.
SUFFIX = ".semantics.toml"
AnyEntry = TypeVar("AnyEntry", bound=FrozenModel)
DTYPES = ("float64", "float32", "float16", "int64", "bool")


class LedgerError(ValueError):
    """A ledger does not make sense; the message is one sentence that names the entry and the rule."""


# -- fields that all entries have ----------------------------------------------------------------------------------------------


def _versions(value: Any) -> SpecifierSet:
    try:
        return value if isinstance(value, SpecifierSet) else SpecifierSet(value)
    except (InvalidSpecifier, TypeError, AttributeError) as problem:
        raise ValueError(f"'versions' must be a range such as '>=2.4,<3', not {value!r}") from problem


EntryId = Annotated[str, Field(pattern=r"^[\w.-]+$", description="must name a file: letters, digits, '_', '-' and '.' only")]
Text = Annotated[str, Field(pattern=r"\S", description="must be text")]
#: A date, in a field of its own name.
Found = Annotated[date, Field(description="must be a date, as in 2026-01-31")]
#: A range of versions of a library; left out, all of them.
Versions = Annotated[SpecifierSet, BeforeValidator(_versions), PlainSerializer(str), WithJsonSchema({"type": "string"})]


def in_versions(version: str, versions: SpecifierSet) -> bool:
    """Whether a version is in a range; what is no version number is only in the range of all versions."""
    if not versions:
        return True
    try:
        return versions.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


# -- one divergence ------------------------------------------------------------------------------------------------------------


def _words(name: str, choices: Sequence[str]) -> Any:
    """A field of a mark: a set of words from a list of choices."""

    def read(value: Any) -> frozenset[str]:
        if isinstance(value, frozenset):
            return value
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise ValueError(f"{name!r} must be a list of words")
        for word in value:
            if word not in choices:
                raise ValueError(f"{name!r} has no {word!r}; {nearest(word, choices)}")
        return frozenset(value)

    return BeforeValidator(read)


def _pattern(value: Any) -> Any:
    try:
        re.compile(value)
    except (re.error, TypeError) as problem:
        raise ValueError(f"'line' must be a regular expression, not {value!r}") from problem
    return value


class Mark(FrozenModel):
    """What a divergence is recognised by.

    Parameters
    ----------
    aspects : frozenset of str
        Any of these.
    acts : frozenset of str
        Any of these, or any act if empty.
    tags : frozenset of str
        All of these.
    line : str
        A regular expression that is found in the last line.
    """

    aspects: Annotated[frozenset[str], _words("aspects", ASPECTS), Field(min_length=1)]
    acts: Annotated[frozenset[str], _words("acts", ACTS)] = frozenset()
    tags: Annotated[frozenset[str], _words("tags", (*TAGS, *DTYPES))] = frozenset()
    line: Annotated[str, BeforeValidator(_pattern)] = ""

    def fits(self, divergence: Divergence) -> bool:
        """Whether a divergence bears it."""
        return (
            divergence.aspect in self.aspects
            and (not self.acts or divergence.act in self.acts)
            and self.tags <= divergence.tags
            and re.search(self.line, divergence.lines[-1]) is not None
        )


def _snippet(value: Any) -> Any:
    """Lines of text as a tuple of statements."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("'snippet' must be text")
    lines = tuple(line.strip() for line in value.splitlines() if line.strip())
    try:
        check_script(lines)
    except LineError as problem:
        raise ValueError(f"its snippet has a line that is none: {problem}") from problem
    return lines


class KnownDivergence(FrozenModel):
    """One known divergence.

    Parameters
    ----------
    id : str
    reason, proof : str
        What is wrong, and why that is certain: one sentence each.
    found : date
    versions : SpecifierSet
        The library's versions that have it.
    when : tuple of Mark
        It explains what fits one of these.
    snippet : tuple of str
        A shortest script that shows it, in its last line.
    """

    id: EntryId
    reason: Text
    proof: Text
    found: Found
    versions: Versions = SpecifierSet()
    when: Annotated[tuple[Mark, ...], Field(min_length=1, strict=False, description="must be a list of marks")]
    snippet: Annotated[tuple[str, ...], BeforeValidator(_snippet)]

    def applies(self, version: str) -> bool:
        """Whether this version of the library has it."""
        return in_versions(version, self.versions)

    def explains(self, divergence: Divergence) -> bool:
        """Whether a divergence is this one."""
        return any(mark.fits(divergence) for mark in self.when)

    def state(self, divergence: Divergence | None) -> tuple[LedgerState, str]:
        """What has become of it, given what its snippet shows now, and that in words."""
        if divergence is None:
            return "no longer fails", ""
        unchanged = len(divergence.lines) == len(self.snippet) and self.explains(divergence)
        return "still fails" if unchanged else "fails otherwise", divergence.reason


def known_divergences(trees: Sequence[Any], path: Path) -> tuple[KnownDivergence, ...]:
    """The known divergences in a ledger's ``divergence`` tables.

    Raises
    ------
    LedgerError
        Naming the entry, and the rule that it breaks.
    """
    return tuple(read_entry(KnownDivergence, tree, "divergence", number, path) for number, tree in enumerate(trees, 1))


def read_entry(model: type[AnyEntry], tree: Any, noun: str, number: int, path: Path) -> AnyEntry:
    """One table of a ledger as a model."""
    name = repr(tree["id"]) if isinstance(tree, dict) and isinstance(tree.get("id"), str) else number
    try:
        return model.model_validate(tree, context={"cases": path.with_suffix("")})
    except ValidationError as problem:
        raise LedgerError(f"ledger {path}, {noun} {name}: {describe(problem, model, 'key')}") from problem
