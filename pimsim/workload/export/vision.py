"""Vision tokens of multimodal models, as what stands before a prompt: vectors, not rows of the token table.

What makes them (a vision tower and its projector) is not recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pimsim.errors import InputError
from pimsim.workload.trace.assembled import Prefix

OPTION = "--vision-tokens"


@dataclass(frozen=True)
class Picture:
    """How many tokens a picture has, and how they attend to each other.

    key, tokens: of the configuration, and its default ("", 0: as many as the picture's size asks for).
    mask: of the attention among the tokens of a picture ("": causal).
    """

    key: str = ""
    tokens: int = 0
    mask: str = ""


# By kind of the whole model.
# source: the classes in transformers 5.24; Gemma 3 report, section 2: tokens of an image attend to each other
PICTURES = {
    "gemma3": Picture("mm_tokens_per_image", 256, "block"),
    "llava": Picture("image_seq_length", 576),
    "vipllava": Picture("image_seq_length", 576),
    **dict.fromkeys(
        (
            "aya_vision", "cohere2_vision", "deepseek_vl", "idefics3", "internvl", "llava_next", "llava_next_video",
            "llava_onevision", "mistral3", "qwen2_5_vl", "qwen2_vl", "smolvlm",
        ),
        Picture(),
    ),
}  # fmt: skip


def prefix_of(kind: str, values: Mapping[str, Any], prompt: int, wanted: int | None) -> Prefix | None:
    """The vision tokens before a prompt; None if there are none.

    kind: of the whole model ("": it is no multimodal one).  values: its configuration.
    wanted: how many a user asks for (None: those of a picture, if there is a prompt).
    InputError for tokens of a model that has none, or whose attention among them is not known.
    """
    picture = PICTURES.get(kind)
    if wanted and picture is None:
        what = f"how vision tokens of a {kind} attend to each other is not known" if kind else "no multimodal model"
        raise InputError(f"{what}; known are {', '.join(PICTURES)}", OPTION)
    if picture is None or not (wanted or (wanted is None and prompt and picture.tokens)):
        return None
    each = _tokens(picture, values)
    tokens = each if wanted is None else wanted
    whole = bool(picture.mask and each) and tokens % each == 0
    return Prefix(tokens, each if whole else tokens, picture.mask)


def _tokens(picture: Picture, values: Mapping[str, Any]) -> int:
    """Tokens of one picture as the configuration has them."""
    said = values.get(picture.key)
    if said is None:
        return picture.tokens
    if type(said) is not int or said < 1:
        raise InputError("must be an integer of at least 1: the vision tokens of a picture", key=picture.key)
    return said
