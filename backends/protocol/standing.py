"""Stand-ins for adjudge where it is not installed: what a backend may import from it to read programs and to answer.

Needs CPython 3.8 and NumPy alone.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["install", "program_of"]


class InputView:
    """One input of a program: `data`, `constant`, `kind` and `layout`."""

    def __init__(self, data: np.ndarray, constant: bool, kind: str, layout: str) -> None:
        self.data, self.constant, self.kind, self.layout = data, constant, kind, layout


class StepView:
    """One op application: `op`, `args` (numbers of values), `params`."""

    def __init__(self, op: str, args: Any, params: Any = None) -> None:
        self.op, self.args, self.params = op, tuple(args), dict(params or {})


class ProgramView:
    """Inputs and steps; every value is a number, the inputs' first."""

    def __init__(self, inputs: Any, steps: Any) -> None:
        self.inputs, self.steps = tuple(inputs), tuple(steps)

    @property
    def variables(self) -> tuple[int, ...]:
        """Numbers of the inputs that a gradient is asked for."""
        return tuple(n for n, i in enumerate(self.inputs) if not i.constant)

    @property
    def ops(self) -> tuple[str, ...]:
        """The op names in order of first use."""
        return tuple(dict.fromkeys(step.op for step in self.steps))

    @property
    def constants(self) -> tuple[bool, ...]:
        """For every value, whether it depends on no variable."""
        out = [i.constant for i in self.inputs]
        for step in self.steps:
            out.append(all(out[a] for a in step.args))
        return tuple(out)


class LanguageView:
    """How programs are written in a library's own words, see `adjudge.oracle.protocol.Language`."""

    spelling: Any = {}
    vjp = ""

    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)


def install(accused: Any) -> None:
    """Let ``import adjudge`` find them; `accused` is the module `adjudge.oracle.accused.adapter`."""
    program = {"Program": ProgramView, "Input": InputView, "Step": StepView}
    answers = {"Answer": accused.Answer, "Unsupported": accused.Unsupported, "Language": LanguageView}
    places: dict[str, dict[str, Any]] = {
        "adjudge": program, "adjudge.oracle": {}, "adjudge.oracle.program": program, "adjudge.oracle.protocol": answers,
        "adjudge.backends": answers, "adjudge.backends.language": answers,
    }  # fmt: skip
    for name, contents in places.items():
        module = sys.modules[name] = ModuleType(name)
        vars(module).update(contents, __path__=[])
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)


def program_of(inputs: Any, steps: Any) -> Any:
    """A program for a backend to read: adjudge's own, or its stand-in."""
    kinds = importlib.import_module("adjudge.oracle.program")
    made = [kinds.Input(data, i["constant"], i["kind"], i["layout"]) for data, i in inputs]
    return kinds.Program(tuple(made), tuple(kinds.Step(s["op"], tuple(s["args"]), s["params"]) for s in steps))
