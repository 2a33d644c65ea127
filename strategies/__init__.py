"""Questions to ask: a catalogue of ops, strategies for arrays, programs and questions about them, and scripts of tensors."""

from . import catalogue
from .arrays import arrays
from .catalogue import Row, rows
from .programs import conv_calls, einsum_calls, indices, programs, questions

__all__ = ["Row", "arrays", "catalogue", "conv_calls", "einsum_calls", "indices", "programs", "questions", "rows"]
