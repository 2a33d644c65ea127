"""Questions to ask: a catalogue of ops, strategies for arrays, programs and questions about them, and scripts of tensors."""

if __name__ != "adjudge.strategies":  # found from the checkout's root, where this is only a folder
    raise ImportError(f"{__name__!r} is a folder of a checkout: the package is adjudge.strategies")


from . import catalogue
from .arrays import arrays
from .catalogue import Row, rows
from .programs import conv_calls, einsum_calls, indices, programs, questions

__all__ = ["Row", "arrays", "catalogue", "conv_calls", "einsum_calls", "indices", "programs", "questions", "rows"]
