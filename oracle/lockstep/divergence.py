"""Divergences: differences after a line, and the words in which they are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .lines import act

__all__ = ["ASPECTS", "TAGS", "Divergence"]

#: The aspects that are compared, in this order.
ASPECTS = ("raises", "kind", "identity", "shape", "dtype", "value", "constant", "grad", "memory")
#: The tags of a divergence, besides dtypes. Of the call: only the library raised ("refused"), or only the reference
#: ("accepted"); the library does not come back ("stuck"), or its process was lost ("lost process"); both raised ("failed").
#: Of every name that differs: only the library has the gradient, or shares memory ("kept"), or only the reference ("lost");
#: what the name was before the call ("answer": neither a tensor nor an array; "on constant": a view of a constant); and what
#: `backward` had done to it, or to what it was computed from: passed it while it shared memory ("parted", "of parted"), cleared
#: it ("of cleared"), or left it alone ("undone").
TAGS = (
    "refused", "accepted", "stuck", "lost process", "failed", "kept", "lost", "new", "array", "answer", "view", "on constant",
    "constant", "graded", "parted", "of parted", "of cleared", "undone",
)  # fmt: skip


class Divergence(AssertionError):
    """The library and the reference diverge.

    Parameters
    ----------
    lines : sequence of str
        The script; they diverge in its last line.
    aspect : str
        One of `ASPECTS`.
    names : sequence of str
        Names that differ, their gradients ("a.grad" shares memory), pairs ("a and b").
    got, expected : object
        The library's and the reference's observation: a mapping from `names`, or for "raises" an exception's text or None.
    tags : set of str
        Tags and dtypes that hold for every name that differs (for one name in each pair), and for the call.
    """

    def __init__(
        self, lines: Sequence[str], aspect: str, names: Sequence[str], got: Any, expected: Any, tags: frozenset[str]
    ) -> None:
        self.lines, self.aspect, self.names = tuple(lines), aspect, tuple(names)
        self.got, self.expected, self.tags = got, expected, tags
        super().__init__(f"{self.reason}, after\n" + "\n".join(f"    {line}" for line in lines))

    @property
    def act(self) -> str:
        """The act of the last line."""
        return act(self.lines[-1])

    @property
    def verdict(self) -> str:
        """The verdict on it: other numbers are wrong, a refusal is a crash, and the rest breaks the contract."""
        if self.aspect == "raises":
            return "crash" if self.expected is None or "stuck" in self.tags else "contract"
        wrong = self.aspect in ("value", "grad") and not self.tags & {"kept", "lost"}
        return "wrong" if wrong else "contract"

    @property
    def signature(self) -> tuple[str, str, frozenset[str]]:
        """Equal for divergences that count as the same."""
        return (
            self.aspect,
            self.act,
            self.tags & {"refused", "accepted", "stuck", "lost process", "failed", "kept", "lost", "new"},
        )

    @property
    def reason(self) -> str:
        """The difference, in one sentence."""
        if self.aspect == "raises":
            if "stuck" in self.tags:
                return f"`{self.lines[-1]}` does not come back: {self.got}"
            if self.expected is None:
                return f"`{self.lines[-1]}` is refused: {self.got}"
            return f"`{self.lines[-1]}` is accepted, and should be refused: {self.expected}"
        first = self.names[0]
        got, expected = self.got.get(first), self.expected.get(first)
        if self.aspect in ("memory", "identity"):
            what = "share memory" if self.aspect == "memory" else "are one tensor"
            return f"{first} {what}{'' if got else ' no longer'}, and should{' not' if got else ''}"
        return f"the {self.aspect} of {first} is {got}, and should be {expected}"
