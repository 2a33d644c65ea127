"""The mirror: the oracle's own answer, rounded to the dtype. It must pass everything; with a seeded fault it must not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import __version__
from ..oracle.certificate import certify
from ..oracle.program import Program, Question
from ..oracle.reference import scalars as s
from ..oracle.reference.evaluate import Pulled, backward, forward
from .protocol import Answer

name = "mirror"
numpy_dtypes = True
dtypes = ("float64", "float32", "float16")
