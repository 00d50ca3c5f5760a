"""Tokens: what a model says on the simulated hardware, beside what its reference says."""

from pimsim.generation.accuracy import Accuracy, accuracy
from pimsim.generation.generate import Generation, generate
from pimsim.generation.speaking import Speaking, speaking
from pimsim.generation.watched import watched

__all__ = ["Accuracy", "Generation", "Speaking", "accuracy", "generate", "speaking", "watched"]
