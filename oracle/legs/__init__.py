"""Legs: ways to the truth that do not share the rules' mistakes."""

from .differences import exact_differences, float_differences
from .opinion import opinion
from .taylor import taylor
from .witness import Witness

__all__ = ["Witness", "exact_differences", "float_differences", "opinion", "taylor"]
