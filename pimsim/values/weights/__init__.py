"""Weights of models: what files say, by the names of the graph."""

from pimsim.values.weights.load import load_weights
from pimsim.values.weights.model import Constants, Weights

__all__ = ["Constants", "Weights", "load_weights"]
