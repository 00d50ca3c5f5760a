"""Tokenizers in the metadata of a GGUF file, made into those of the library `tokenizers`.

Two kinds: "gpt2", merges of bytes, where a regular expression first splits the text into words; and "llama",
SentencePiece's, where scores say what is merged first and spaces are a character of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.values.extra import library
from pimsim.values.tokens.tokenizer import Tokenizer

_NORMAL, _UNKNOWN, _CONTROL, _USER, _UNUSED, _BYTE = range(1, 7)  # kinds of tokens
_SPACE = "\u2581"

# How texts are split into words.  source: the tokenizer.json of the models that they are named after.
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{%s}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3, _QWEN2 = _CL100K % "1,3", _CL100K % "1"
# Expressions by `tokenizer.ggml.pre`, one after the other on what the one before has split.
# source: the names that llama.cpp gives them ("default" is its answer to files that do not say it)
_SPLITS: Mapping[str, tuple[str, ...]] = {
    "default": (r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]"),
    **dict.fromkeys(("gpt-2", "phi-2", "olmo", "exaone4", "trillion", "gigachat"), (_GPT2,)),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell"), (r"\p{N}", _GPT2)),
    **dict.fromkeys(("llama-bpe", "llama-v3", "llama3", "falcon3", "smaug-bpe", "dbrx", "pixtral"), (_LLAMA3,)),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "stablelm2", "megrez"), (_QWEN2,)),
    "tekken": (_TEKKEN,),
}
_COMPOSED = ("qwen2", "deepseek-r1-qwen", "stablelm2")  # characters and their accents become one character first
# Words that are tokens are taken before anything is merged; a text begins with bos if the file does not say it.
_WHOLE_WORDS = ("llama-bpe", "llama-v3", "llama3", "falcon3", "pixtral", "tekken")
_BEGUN = _WHOLE_WORDS
# What ends an answer although it is not the file's end of text (source: chat templates of the families).
_ENDS = ("<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<end_of_turn>", "<|end|>", "<|endoftext|>", "</s>", "<eos>")
_INSTEAD = "give the model's tokenizer.json by --tokenizer, or ids by --prompt-ids"


def has_tokenizer(metadata: Mapping[str, Any]) -> bool:
    """Whether a file's metadata has one."""
    return "tokenizer.ggml.model" in metadata and "tokenizer.ggml.tokens" in metadata


def tokenizer_of(metadata: Mapping[str, Any], file: str) -> Tokenizer:
    """The tokenizer of a GGUF file; InputError if it is of an unknown kind or makes no sense."""
    return _Reader(metadata, file).tokenizer()


class _Reader:
    def __init__(self, metadata: Mapping[str, Any], file: str) -> None:
        self._metadata, self._file = metadata, file
        self._library = library("tokenizers")
        self._tokens: list[str] = self._list("tokens", str) or []
        kinds = self._list("token_type", int)
        self._kinds: list[int] = kinds if kinds is not None else [_NORMAL] * len(self._tokens)
        if len(self._kinds) != len(self._tokens):
            self._wrong("token_type", f"has {len(self._kinds):,} entries, tokens {len(self._tokens):,}")

    def tokenizer(self) -> Tokenizer:
        """All of it."""
        kinds = {"gpt2": self._of_bytes, "llama": self._of_pieces}
        kind, pre = self._get("model"), ""
        if not isinstance(kind, str) or kind not in kinds:
            self._wrong("model", f"{kind!r} is not supported; known: {', '.join(kinds)}; {_INSTEAD}")
        if kind == "gpt2":
            pre = self._get("pre", "default")
            if not isinstance(pre, str) or pre not in _SPLITS:
                near = did_you_mean(str(pre), _SPLITS)
                self._wrong("pre", f"{pre!r} is not supported{near}; known: {', '.join(_SPLITS)}; {_INSTEAD}")
        try:
            backend = kinds[kind](pre)
            self._add_special(backend)
            bos = self._special("bos_token_id")
            if bos is not None and self._get("add_bos_token", kind == "llama" or pre in _BEGUN):
                token = self._tokens[bos]
                backend.post_processor = self._library.processors.TemplateProcessing(
                    single=[token, "$A"], special_tokens=[(token, bos)]
                )
        except InputError:
            raise
        except Exception as error:  # the library raises Exception itself
            self._wrong("tokens", f"makes no tokenizer: {error}; {_INSTEAD}")
        template = self._get("chat_template", "")
        return Tokenizer(
            backend, self._file, len(self._tokens), bos, self._ends(), template if isinstance(template, str) else "",
            self._texts(),
        )  # fmt: skip

    def _of_bytes(self, pre: str) -> Any:
        tokenizers = self._library
        merges = [tuple(merge.split(" ")) for merge in self._list("merges", str) or []]
        if any(len(merge) != 2 for merge in merges):
            self._wrong("merges", "each must be two tokens with a space between them")
        model = tokenizers.models.BPE(
            vocab=self._vocabulary(), merges=merges, ignore_merges=pre in _WHOLE_WORDS, fuse_unk=False
        )
        backend = tokenizers.Tokenizer(model)
        if pre in _COMPOSED:
            backend.normalizer = tokenizers.normalizers.NFC()
        splits = [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(expression), "isolated") for expression in _SPLITS[pre]
        ]
        as_bytes = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        backend.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([*splits, as_bytes])
        backend.decoder = tokenizers.decoders.ByteLevel()
        return backend

    def _of_pieces(self, pre: str) -> Any:
        tokenizers = self._library
        scores = self._list("scores", float)
        if scores is None or len(scores) != len(self._tokens):
            self._wrong("scores", f"must have a number for each of {len(self._tokens):,} tokens")
        vocabulary = self._vocabulary()
        unknown = self._special("unknown_token_id")
        model = tokenizers.models.BPE(
            vocab=vocabulary, merges=_merges(self._tokens, scores, vocabulary), byte_fallback=True, fuse_unk=True,
            unk_token=None if unknown is None else self._tokens[unknown],
        )  # fmt: skip
        backend = tokenizers.Tokenizer(model)
        begins = bool(self._get("add_space_prefix", True))
        normalizers, decoders = tokenizers.normalizers, tokenizers.decoders
        spaces = normalizers.Replace(" ", _SPACE)
        backend.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), spaces]) if begins else spaces
        to_text = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
        backend.decoder = decoders.Sequence([*to_text, decoders.Strip(" ", 1, 0)] if begins else to_text)
        return backend

    def _vocabulary(self) -> dict[str, int]:
        """Ids by token; of tokens that are there twice the first."""
        return {token: i for i, token in reversed(list(enumerate(self._tokens)))}

    def _add_special(self, backend: Any) -> None:
        """Tokens that are found in a text before it is split: those that control, and those that were added."""
        make = self._library.AddedToken
        named = {self._special(f"{name}_token_id") for name in ("bos", "eos", "eot", "padding")}
        added = []
        for i, (token, kind) in enumerate(zip(self._tokens, self._kinds, strict=True)):
            if not token or (kind not in (_CONTROL, _USER, _UNKNOWN) and i not in named):
                continue
            added.append(make(token, special=kind != _USER, normalized=kind == _USER and _SPACE in token))
        backend.add_tokens(added)

    def _ends(self) -> frozenset[int]:
        ends = {self._special(f"{name}_token_id") for name in ("eos", "eot", "eom")}
        ends |= {i for i, token in enumerate(self._tokens) if self._kinds[i] == _CONTROL and token in _ENDS}
        return frozenset(i for i in ends if i is not None)

    def _texts(self) -> dict[str, str]:
        names = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
        ids = {f"{name}_token": self._special(f"{own}_token_id") for name, own in names.items()}
        return {name: self._tokens[i] if i is not None else "" for name, i in ids.items()}

    def _special(self, name: str) -> int | None:
        found = self._get(name)
        if found is None or found == 0xFFFFFFFF:
            return None
        if type(found) is not int or not 0 <= found < len(self._tokens):
            self._wrong(name, f"is {found!r}, of {len(self._tokens):,} tokens")
        return int(found)

    def _list(self, name: str, kind: type) -> list[Any] | None:
        found = self._get(name)
        if found is not None and not (isinstance(found, list) and all(isinstance(each, kind) for each in found)):
            self._wrong(name, "must be a list")
        return found

    def _get(self, name: str, default: Any = None) -> Any:
        return self._metadata.get(f"tokenizer.{name}" if name == "chat_template" else f"tokenizer.ggml.{name}", default)

    def _wrong(self, name: str, why: str) -> NoReturn:
        raise InputError(Problem(self._file, 1, 1, f"tokenizer.ggml.{name}", why))


def _merges(tokens: list[str], scores: list[float], vocabulary: Mapping[str, int]) -> list[tuple[str, str]]:
    """Every pair of tokens that makes a token, those of the highest score first.

    SentencePiece merges whichever pair makes the token of the highest score.
    """
    pairs = []
    for token in vocabulary:
        score, i = scores[vocabulary[token]], vocabulary[token]
        for at in range(1, len(token)):
            left, right = token[:at], token[at:]
            if left in vocabulary and right in vocabulary:
                pairs.append((-score, i, at, left, right))
    return [(left, right) for *_, left, right in sorted(pairs)]
