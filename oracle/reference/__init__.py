"""The reference: what every op is and how it is differentiated, on floats, balls or Taylor series."""

from . import elementwise, linear, reductions, shaping
from .evaluate import UnknownOp, backward, forward
from .op import OPS, Op

__all__ = ["OPS", "Op", "UnknownOp", "backward", "elementwise", "forward", "linear", "reductions", "shaping"]
