"""adjudge judges automatic differentiation: certified truth, derived allowances, verdicts that can be explained."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .examine import judge
    from .oracle.certificate import certify
    from .oracle.gradient import NotCertified, assert_gradient, gradient
    from .oracle.program import Program
    from .suite import check

__all__ = ["NotCertified", "Program", "assert_gradient", "certify", "check", "gradient", "judge"]
__version__ = "0.1.0"

#: Where each name of the front door lives: looked up when it is first used, since pytest imports this package at every start.
_ROOMS = {
    "NotCertified": "oracle.gradient",
    "Program": "oracle.program",
    "assert_gradient": "oracle.gradient",
    "certify": "oracle.certificate",
    "check": "suite",
    "gradient": "oracle.gradient",
    "judge": "examine",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'adjudge' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f".{_ROOMS[name]}", __name__), name)
