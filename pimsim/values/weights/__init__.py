"""Weights of models: what files say, by the names of the graph."""
