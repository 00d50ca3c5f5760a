"""The weights of a model, by the names of the graph, and the numbers that are no tensors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Constants:
    """Numbers of a model that are neither tensors nor sizes.

    norm_eps           what a norm adds to the mean of the squares
    attention_scale    what scores are multiplied with
    attention_softcap  c: scores pass through c tanh(score / c); 0: they do not.  logit_softcap: the same of logits
    embed_scale        what the token's embedding is multiplied with
    """

    norm_eps: float
    attention_scale: float
    attention_softcap: float = 0.0
    logit_softcap: float = 0.0
    embed_scale: float = 1.0
