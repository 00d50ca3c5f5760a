"""Text and tokens: what a model's tokenizer and its chat template make of a prompt."""

from pimsim.values.tokens.load import load_tokenizer
from pimsim.values.tokens.tokenizer import Tokenizer, checked_ids

__all__ = ["Tokenizer", "checked_ids", "load_tokenizer"]
