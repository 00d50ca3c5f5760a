"""Two or more runs side by side."""

from pimsim.comparison.comparison import SUFFIXES, Comparison, wrong_suffix

__all__ = ["SUFFIXES", "Comparison", "wrong_suffix"]
