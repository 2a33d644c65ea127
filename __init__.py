"""adjudge judges automatic differentiation: certified truth, derived allowances, verdicts that can be explained."""

from .oracle.certificate import certify
from .oracle.program import Program

__all__ = ["Program", "certify"]
__version__ = "0.1.0"
