"""What to ask: the catalogue of ops with their domains, and strategies for arrays, parameters, programs and questions."""

from . import catalogue
from .arrays import arrays
from .catalogue import Row, rows
from .programs import einsum_calls, indices, programs, questions

__all__ = ["Row", "arrays", "catalogue", "einsum_calls", "indices", "programs", "questions", "rows"]
