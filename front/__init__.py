"""adjudge judges automatic differentiation: certified truth, derived allowances, verdicts that can be explained."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adjudge.oracle.certificate import certify
    from adjudge.oracle.program import Program
    from adjudge.readers.gradient import NotCertified, assert_gradient, gradient
    from adjudge.suite.examiner import judge
    from adjudge.suite.run import check

__all__ = ["NotCertified", "Program", "assert_gradient", "certify", "check", "gradient", "judge"]

#: Where each name of the front door lives: looked up when it is first used, since pytest imports this package at every start.
_ROOMS = {
    "NotCertified": "readers.gradient",
    "Program": "oracle.program",
    "assert_gradient": "readers.gradient",
    "certify": "oracle.certificate",
    "check": "suite.run",
    "gradient": "readers.gradient",
    "judge": "suite.examiner",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'adjudge' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"adjudge.{_ROOMS[name]}"), name)
