"""All op tables: whoever takes `OPS` from here finds every op in it."""

from . import activations, elementwise, layers, linear, losses, reductions, shaping
from .op import OPS

__all__ = ["OPS", "activations", "elementwise", "layers", "linear", "losses", "reductions", "shaping"]
