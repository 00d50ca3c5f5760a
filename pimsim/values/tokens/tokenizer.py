"""A model's tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pimsim.errors import InputError
from pimsim.values.tokens.chat import asked

PROMPT, PROMPT_IDS = "--prompt", "--prompt-ids"
_EMPTY = "is empty: say something"
_SHOWN = 8  # characters that a message lists


@dataclass(frozen=True)
class Tokenizer:
    """Text to ids and back.

    backend: the `tokenizers.Tokenizer`.  file: for messages.  vocabulary: how many ids there are, the largest and one.
    bos: what begins a text (None: nothing has to).  ends: what ends an answer.
    template: of a chat ("": the model has none).  texts: special tokens by the names that templates know.
    """

    backend: Any
    file: str
    vocabulary: int
    bos: int | None = None
    ends: frozenset[int] = frozenset()
    template: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def adds_bos(self) -> bool:
        """Whether `encode` begins a text with `bos`."""
        return self.bos is not None and self.bos in self.backend.encode("").ids

    def encode(self, text: str, special: bool = True) -> list[int]:
        """The ids of a text; special: with those that the model wants before it.

        InputError if there is nothing in it, or a character that the vocabulary has not.
        """
        if not text:
            raise InputError(_EMPTY, key=PROMPT)
        try:
            made = self.backend.encode(text, add_special_tokens=special)
        except Exception as error:  # the library raises Exception itself, and some tokenizers at what they do not know
            raise InputError(self._outside(text), key=PROMPT) from error
        if self._lacks(made, text):
            raise InputError(self._outside(text), key=PROMPT)
        return list(made.ids)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, without the special ones; ids that the tokenizer has no token for have no text."""
        text: str = self.backend.decode([i for i in ids if i < self.vocabulary], skip_special_tokens=True)
        return text

    def piece(self, token: int) -> str:
        """The text of one token, a special one by its name; "" for an id that has none."""
        text: str = self.backend.decode([token], skip_special_tokens=False) if token < self.vocabulary else ""
        return text

    def chat(self, prompt: str) -> str:
        """The prompt as a question in the model's chat template; itself if there is none."""
        return asked(self.template, prompt, self.texts, self.file) if self.template else prompt

    def prompt(self, text: str) -> list[int]:
        """The ids to start from: of the question in the chat template, or of the text if there is none.

        A template says itself what begins a text.
        """
        if not text.strip():
            raise InputError(_EMPTY, key=PROMPT)
        self.encode(text)  # what is wrong is wrong in what the user wrote
        return self.encode(self.chat(text), special=False) if self.template else self.encode(text)

    def _lacks(self, made: Any, text: str) -> bool:
        """Whether an unknown token stands for a part of the text, or a part has no token at all."""
        unknown = self._unknown()
        if unknown is not None and unknown in made.ids:
            return True
        covered = {i for first, last in made.offsets for i in range(first, last)}
        return len(covered) < len(text) and any(map(self._is_unknown, set(text)))

    def _outside(self, text: str) -> str:
        """What a message says of the characters of a text that are not in the vocabulary."""
        wrong = [character for character in dict.fromkeys(text) if self._is_unknown(character)]
        shown = ", ".join(map(repr, wrong[:_SHOWN])) + (f" and {len(wrong) - _SHOWN} more" if wrong[_SHOWN:] else "")
        return f"has what is not in the vocabulary: {shown or 'an unknown token'}; leave it out"

    def _is_unknown(self, character: str) -> bool:
        try:
            ids = self.backend.encode(character, add_special_tokens=False).ids
        except Exception:  # as in `encode`
            return True
        return not ids or self._unknown() in ids

    def _unknown(self) -> int | None:
        token = getattr(self.backend.model, "unk_token", None)
        found: int | None = self.backend.token_to_id(token) if token else None
        return found


def checked_ids(ids: Sequence[int], vocabulary: int) -> list[int]:
    """The ids of a prompt; InputError if there are none, or one is not in a table of so many rows."""
    if not ids:
        raise InputError("is empty: give at least one id", key=PROMPT_IDS)
    wrong = [str(i) for i in dict.fromkeys(ids) if not 0 <= i < vocabulary]
    if wrong:
        shown = ", ".join(wrong[:_SHOWN]) + (" ..." if wrong[_SHOWN:] else "")
        raise InputError(f"{shown}: not in the vocabulary; ids are 0 to {vocabulary - 1}", key=PROMPT_IDS)
    return list(ids)
