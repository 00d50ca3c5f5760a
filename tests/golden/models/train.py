"""Trains the two small models of this folder, on the text beside it.

    python -m tests.golden.models.train [NAME]...

writes `char-gpt` and `char-llama` again: config.json, model.safetensors (BF16) and tokenizer.json.  It needs torch
and transformers, and ten minutes a model on one core that is free.  It is seeded; another machine adds up in
another order, so that other weights come out, and with them other golden texts and perplexities in
`tests/values/test_reference.py`.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
TRAINING = FOLDER / "text" / "chapters-1-28.txt"
HELD_OUT = FOLDER / "text" / "chapter-29.txt"

CONTEXT = 256
BATCH, STEPS, WARM_UP = 8, 1500, 50
RATE, DECAY, SEED = 3e-3, 0.1, 20

# Sizes are such that some are no multiple of 16: heads of 24, FFNs of 360 and 200, 73 characters.
_ENDS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
MODELS: dict[str, dict[str, Any]] = {
    "char-gpt": {
        "model_type": "gpt2", "n_layer": 4, "n_embd": 96, "n_head": 4, "n_inner": 360, "n_positions": CONTEXT,
        "initializer_range": 0.05, "embd_pdrop": 0.05, "resid_pdrop": 0.05, "attn_pdrop": 0.0, **_ENDS,
    },
    "char-llama": {
        "model_type": "llama", "num_hidden_layers": 4, "hidden_size": 128, "num_attention_heads": 8,
        "num_key_value_heads": 2, "intermediate_size": 200, "max_position_embeddings": CONTEXT,
        "tie_word_embeddings": True, **_ENDS,
    },
}  # fmt: skip


def characters() -> list[str]:
    """The vocabulary: every character of the training text, in the order of their codes."""
    return sorted(set(TRAINING.read_text(encoding="ascii")))


def write_tokenizer(path: Path) -> None:
    """A token is a character; one that the vocabulary lacks is an error, since there is no unknown token."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({each: i for i, each in enumerate(characters())}, unk_token="<none>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save(str(path))


def train(name: str) -> None:
    """Train one model and write its folder."""
    import torch
    import transformers

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    known = {each: i for i, each in enumerate(characters())}
    text, held_out = (
        torch.tensor([known[each] for each in path.read_text(encoding="ascii")]) for path in (TRAINING, HELD_OUT)
    )
    config = transformers.AutoConfig.for_model(**MODELS[name], vocab_size=len(known))
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    if MODELS[name]["model_type"] == "gpt2":
        _look_back(model.transformer)
    optimizer = torch.optim.AdamW(_groups(model), lr=RATE, betas=(0.9, 0.99))
    start = time.monotonic()
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARM_UP) * (0.52 + 0.48 * math.cos(math.pi * step / STEPS))
        model.train()
        places = torch.randint(len(text) - CONTEXT, (BATCH, 1)) + torch.arange(CONTEXT)
        loss = model(text[places], labels=text[places]).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 99:
            seconds, other = time.monotonic() - start, _loss(model, held_out)
            print(f"{name} {step + 1}: {loss.item():.3f}, held out {other:.3f}, {seconds:.0f} s", flush=True)
    model = model.to(torch.bfloat16)
    model.save_pretrained(FOLDER / name)
    (FOLDER / name / "generation_config.json").unlink(missing_ok=True)
    write_tokenizer(FOLDER / name / "tokenizer.json")
    other = _loss(model.to(torch.float32), held_out)
    print(f"{name}: perplexity of a held-out character {math.exp(other):.3f} with the weights in BF16")


def _look_back(body: Any) -> None:
    """Start GPT-2 with positions that are waves, and the heads of its first layer with the 1 to 4 characters before.

    From random tables it finds out only after thousands of steps that what matters stands just before.  A head
    takes a few frequencies: its keys are the waves there, its queries the same turned back by its distance.
    """
    import torch

    d, heads = body.config.n_embd, body.config.n_head
    half, pairs = d // 2, d // heads // 2
    speeds = 100 ** (-torch.arange(half) * 2 / d)
    angles = torch.arange(CONTEXT)[:, None] * speeds
    body.wpe.weight.data.copy_(0.1 * torch.cat([angles.sin(), angles.cos()], dim=1))
    made = body.h[0].attn.c_attn.weight.data  # (d, q then k then v)
    for head in range(heads):
        for i in range(pairs):
            turn = (head + 1) * speeds[i]
            sine, cosine = 2 * turn.sin(), 2 * turn.cos()
            q, k = head * 2 * pairs + 2 * i, d + head * 2 * pairs + 2 * i
            made[i, q], made[half + i, q] = cosine, -sine  # sin(a - turn)
            made[i, q + 1], made[half + i, q + 1] = sine, cosine  # cos(a - turn)
            made[i, k], made[half + i, k + 1] = 2, 2


def _groups(model: Any) -> list[dict[str, Any]]:
    """Matrices decay, vectors do not."""
    parameters = list(model.parameters())
    return [
        {"params": [each for each in parameters if each.dim() > 1], "weight_decay": DECAY},
        {"params": [each for each in parameters if each.dim() < 2], "weight_decay": 0.0},
    ]


def _loss(model: Any, ids: Any) -> float:
    """Nats of a character, over windows that do not overlap; the first character of each is given."""
    import torch

    model.eval()
    windows = ids[: len(ids) // CONTEXT * CONTEXT].view(-1, CONTEXT)
    with torch.no_grad():
        return float(model(windows, labels=windows).loss)


def main() -> None:
    """Train those that are named, or all."""
    for name in sys.argv[1:] or MODELS:
        train(name)
        size = sum(path.stat().st_size for path in (FOLDER / name).iterdir())
        config = json.loads((FOLDER / name / "config.json").read_text())
        print(f"{name}: {size:,} bytes, {config['architectures'][0]}")


if __name__ == "__main__":
    main()
