"""What to ask: the catalogue of ops with their domains, and strategies for arrays, parameters, programs and questions."""

from . import catalogue
from .arrays import arrays
from .catalogue import Row, rows
from .programs import conv_calls, einsum_calls, indices, programs, questions

__all__ = ["Row", "arrays", "catalogue", "conv_calls", "einsum_calls", "indices", "programs", "questions", "rows"]
