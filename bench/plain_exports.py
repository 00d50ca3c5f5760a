"""Random configurations of the families that are exported without torch, against what torch records.

.venv-trace/bin/python bench/plain_exports.py [CASES] [SEED]

Prints each configuration of which the two make different files, or that only one of them exports;
exit status 1 if there is any.  About a second a case.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from pimsim.errors import InputError  # noqa: E402
from pimsim.workload import export as package  # noqa: E402
from pimsim.workload.export import plain  # noqa: E402
from tests.export.golden import text_of, without_launches  # noqa: E402

Sizes = tuple[int, int, int, int]  # prompt, steps, query tokens, batch


def configuration(pick: random.Random) -> dict[str, Any]:
    """A small model that transformers accepts, some keys left to the family's defaults."""
    kind = pick.choice(list(plain.DEFAULTS))
    kv_heads, groups = pick.randint(1, 3), pick.randint(1, 3)
    heads, layers, head_dim = kv_heads * groups, pick.randint(1, 6), 2 * pick.randint(1, 8)
    width = heads * pick.choice([head_dim, 2 * pick.randint(1, 8)])
    activation = pick.choice([name for names in plain.ACTIVATIONS.values() for name in names])
    common = {"model_type": kind, "vocab_size": pick.randint(50, 200), "tie_word_embeddings": pick.random() < 0.5}
    if kind == "gpt2":
        gpt2 = {"n_embd": width, "n_head": heads, "n_layer": layers, "n_positions": pick.randint(8, 99)}
        return common | gpt2 | _some(pick, {"n_inner": pick.randint(1, 99), "activation_function": activation})
    sizes = {"hidden_size": width, "num_attention_heads": heads, "num_key_value_heads": kv_heads, "pad_token_id": 0}
    sizes |= {"num_hidden_layers": layers, "head_dim": head_dim, "intermediate_size": pick.randint(1, 99)}
    kinds = [pick.choice(["full_attention", "sliding_attention"]) for _ in range(layers)]
    window = pick.randint(2, 20)
    more: dict[str, Any] = {"hidden_activation" if kind.startswith("gemma") else "hidden_act": activation}
    if kind in ("llama", "qwen3", "gemma2", "gemma3_text"):
        more |= {"attention_bias": True}
    match kind:
        case "llama":
            more |= {"mlp_bias": True}
        case "qwen2" | "qwen3":
            more |= {"max_window_layers": pick.randint(0, layers)}
            sizes |= _together(pick, {"use_sliding_window": True, "sliding_window": window})
            more |= {"layer_types": kinds} if "sliding_window" in sizes else {}
        case "gemma2" | "gemma3_text":
            more |= {"layer_types": kinds, "attn_logit_softcapping": None, "final_logit_softcapping": 5.0}
            more |= {"sliding_window_pattern": pick.randint(1, 4)} if kind == "gemma3_text" else {}
            sizes |= {"sliding_window": window}
        case "phi3":
            sizes |= {"sliding_window": pick.choice([None, window])}
            more |= {"partial_rotary_factor": pick.choice([0.5, 0.75, 1.0])}
        case "mixtral":
            experts = pick.randint(2, 6)  # products of several experts need rows of whole 16 bytes
            sizes |= {"intermediate_size": 8 * pick.randint(1, 9), "hidden_size": 8 * heads}
            sizes |= {"num_local_experts": experts, "num_experts_per_tok": pick.randint(1, experts)}
            sizes |= {"sliding_window": pick.choice([None, window])}
        case "mistral":
            sizes |= {"sliding_window": pick.choice([None, window])}
    return common | sizes | _some(pick, more)


def _some(pick: random.Random, keys: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if pick.random() < 0.5}


def _together(pick: random.Random, keys: dict[str, Any]) -> dict[str, Any]:
    return keys if pick.random() < 0.5 else {}


def made(source: str, sizes: Sizes, torch: bool) -> str:
    """The trace without launches, or the refusal."""
    find, package.find_spec = package.find_spec, package.find_spec if torch else lambda name: None
    try:
        return without_launches(text_of(source, *sizes))
    except InputError as error:
        return f"refused: {error}\n"
    finally:
        package.find_spec = find


def main(cases: int = 200, seed: int = 0) -> int:
    """Compare so many cases; the exit status."""
    pick, wrong = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        for _ in range(cases):
            config = configuration(pick)
            path.write_text(json.dumps(config))
            sizes = (pick.choice([0, 1, pick.randint(2, 9)]), 3, pick.randint(1, 3), pick.randint(1, 3))
            recorded, alone = made(str(path), sizes, True), made(str(path), sizes, False)
            if recorded.startswith("refused") and alone.startswith("refused"):
                continue
            if recorded != alone:
                wrong += 1
                pairs = zip(recorded.splitlines(), alone.splitlines(), strict=False)
                a, b = next(((a, b) for a, b in pairs if a != b), ("", ""))
                print(json.dumps(config), *sizes, f"\n  torch: {a}\n  alone: {b}")
    print(f"{cases} configurations, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
