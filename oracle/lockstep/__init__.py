"""Lockstep: scripts of tensors, run on a library and on the reference side by side, and where the two diverge.

In a line, ``lib`` is the library and ``np`` is NumPy; what else it may say has a grammar of its own. A script binds the names
`TENSORS` and `ARRAYS`; a result that is no tensor and no array is bound to ``answer``. After every line all that can be seen
of all live names is compared: see `ASPECTS`.
Equal means equal, which supposes that nothing on the way is rounded: whoever writes a script sees to that.
"""

from .divergence import ASPECTS, TAGS, Divergence
from .grammar import LineError
from .lines import ACTS, ARRAYS, BACKWARD, TENSORS, UPDATE, act, names_in, target
from .replay import check_script, reduce, replay
from .run import Lockstep

__all__ = [
    "ACTS", "ARRAYS", "ASPECTS", "BACKWARD", "TAGS", "TENSORS", "UPDATE", "Divergence", "LineError", "Lockstep", "act",
    "check_script", "names_in", "reduce", "replay", "target",
]  # fmt: skip
