"""What is recorded of models that keep a state, against torch's counter, the cache that they fill, hand formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from pimsim.errors import InputError  # noqa: E402
from pimsim.workload.export import configs, export, export_trace  # noqa: E402
from pimsim.workload.export import states as mixers  # noqa: E402
from pimsim.workload.export.cache import cache_argument  # noqa: E402
from pimsim.workload.graph import Workload  # noqa: E402
from pimsim.workload.ops import Operator  # noqa: E402
from pimsim.workload.trace.reader import load_trace  # noqa: E402
from pimsim.workload.trace.writer import dump_trace, write_trace  # noqa: E402
from tests.export.families import STATES  # noqa: E402
from tests.export.golden import write_config  # noqa: E402

PROMPT = 5
# One thing each that is not as in STATES.
ODD: dict[str, dict[str, Any]] = {
    "mamba": {
        "hidden_act": "gelu",
        "use_bias": True,
        "use_conv_bias": False,
        "expand": 3,
        "conv_kernel": 2,
        "time_step_rank": 5,
    },
    "mamba2": {"use_bias": True, "use_conv_bias": False, "n_groups": 1, "tie_word_embeddings": True},
    "zamba2": {"num_mem_blocks": 1, "use_shared_attention_adapter": False, "use_mem_rope": False},
}
CASES = [(family, {}) for family in STATES] + list(ODD.items())


def _export(folder: Path, family: str, changes: dict[str, Any]) -> Workload:
    return export(str(write_config(folder, family, {**STATES[family], **changes}))).decode


def _all(step: Workload, op: str) -> list[Operator]:
    """Every operator of a kind, as often as it runs."""
    return [o for o in step.operators if o.op == op for _ in range(step.repeats(o))]


def _plain_step(folder: Path, family: str) -> tuple[dict[str, int], Any, Any]:
    """A decode step of one token in a model that knows nothing of the exporter: FLOPs by operator, cache, model."""
    config = configs.transformers_config(configs.load(str(folder / f"tiny-{family}.json")).part())
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten._grouped_mm: _grouped})
    with torch.device("meta"), torch.no_grad():
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation="eager")
        kept = {cache_argument(model): transformers.DynamicCache(config=config)}
        model.eval()(torch.zeros(1, PROMPT, dtype=torch.long), **kept, use_cache=True)
        with counter:
            model(torch.zeros(1, 1, dtype=torch.long), **kept, use_cache=True)
    found = counter.get_flop_counts()["Global"]
    return {str(op).removeprefix("aten."): n for op, n in found.items()}, next(iter(kept.values())), model


def _grouped(rows: tuple[int, ...], experts: tuple[int, ...], *_: Any, **__: Any) -> int:
    return 2 * rows[0] * rows[1] * experts[-1]


@pytest.mark.parametrize(("family", "changes"), CASES)
def test_counts_are_those_of_torch(family: str, changes: dict[str, Any], tmp_path: Path) -> None:
    """Parameters; FLOPs of products, of the convolution (two columns in eager mode), and of what reads the state."""
    step = _export(tmp_path, family, changes)
    flops, cache, model = _plain_step(tmp_path, family)
    assert step.parameters == sum(parameter.numel() for parameter in model.parameters())
    linears = sum(2 * o.matrix for o in _all(step, "linear"))
    assert linears == flops.get("mm", 0) + flops.get("addmm", 0) + flops.get("_grouped_mm", 0)
    assert 2 * sum(2 * o.kernel * o.inputs for o in _all(step, "conv")) == flops["convolution"]
    attention = sum(2 * o.matrix_macs(PROMPT + 1) for o in _all(step, "attention"))
    positions = 2 * STATES[family]["hidden_size"] if family in ("bamba", "zamba2") else 0  # of rotation tables
    state = sum(2 * o.inputs for o in _all(step, "ssm_update"))
    assert 0 <= flops["bmm"] - attention - state <= positions


@pytest.mark.parametrize(("family", "changes"), CASES)
def test_states_are_those_of_the_cache_of_torch(family: str, changes: dict[str, Any], tmp_path: Path) -> None:
    """The state itself; of a convolution torch keeps the newest column as well, which comes anew."""
    step = _export(tmp_path, family, changes)
    _, cache, _ = _plain_step(tmp_path, family)
    kept = [layer for layer in cache.layers if getattr(layer, "recurrent_states", None)]
    assert [o.state_elements for o in _all(step, "ssm_update")] == [each.recurrent_states[0].numel() for each in kept]
    columns = [o.kernel * o.inputs for o in _all(step, "conv")]
    assert columns == [each.conv_states[0].numel() for each in kept]
    assert sum(o.state_elements for o in _all(step, "conv")) == sum(columns) - sum(o.inputs for o in _all(step, "conv"))
    caches = [layer for layer in cache.layers if getattr(layer, "keys", None) is not None]
    one = sum(each.keys[..., 0, :].numel() + each.values[..., 0, :].numel() for each in caches)
    assert sum(o.kv_token for o in _all(step, "attention")) == one


@pytest.mark.parametrize("family", STATES)
def test_readers_of_a_split_product_take_all_of_it_together(family: str, tmp_path: Path) -> None:
    """What makes x, the gate, B, C and dt is read in parts that touch, and leave nothing out."""
    step = _export(tmp_path, family, {})
    for made in (o for o in step.operators if o.name.split(".")[0] in ("ssm_in", "ssm_x")):
        parts = [(first, first + n) for o in step.operators for name, first, n in o.take if name == made.name]
        ends = [0, *(end for _, end in sorted(parts))]
        assert sorted(parts) == list(zip(ends[:-1], ends[1:], strict=True))
        assert ends[-1] == made.outputs


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("mamba", "norm in conv conv_act x dt update gate_act gate out residual"),
        ("falcon_mamba", "norm in conv conv_act x dt_norm bc_norm bc_norm_2 dt update gate_act gate out residual"),
        ("mamba2", "norm in conv conv_act update gate_act gate gate_norm out residual"),
    ],
)
def test_operators_of_a_mixer(family: str, names: str, tmp_path: Path) -> None:
    block = _export(tmp_path, family, {}).select("block")
    assert [o.name for o in block] == [f"ssm_{name}" for name in names.split()]


def test_mamba_130m_by_hand(tmp_path: Path) -> None:
    """129,135,360 parameters, as published; d 768, twice as wide inside, 16 elements a channel, 48 of rank."""
    d, inner, state, rank, taps, layers, vocabulary = 768, 1536, 16, 48, 4, 24, 50280
    step = export("mamba-130m").decode
    matrices = d * 2 * inner + inner * (rank + 2 * state) + rank * inner + inner * d
    vectors = d + inner * (taps + 1) + inner * state + inner + inner  # norm, convolution, A, D and the bias of dt
    assert step.parameters == layers * (matrices + vectors) + vocabulary * d + d == 129_135_360
    assert step.matrix_parameters == layers * matrices + vocabulary * d
    assert sum(o.state_elements for o in _all(step, "ssm_update")) == layers * inner * state
    assert sum(o.state_elements for o in _all(step, "conv")) == layers * inner * (taps - 1)
    assert step.blocks == layers
    assert step.flops(1) == step.flops(100_000)


@pytest.mark.parametrize(("family", "period"), [("mamba", 1), ("jamba", 4), ("bamba", 3), ("zamba2", 7)])
def test_layers_fold_into_what_repeats(family: str, period: int, tmp_path: Path) -> None:
    """Zamba2's attention reads the embedding in every layer that has one: no part of the stack stands alone."""
    step = _export(tmp_path, family, {})
    assert step.blocks * period == STATES[family]["num_hidden_layers"]


def test_shared_blocks_are_stored_once_and_run_each_time(tmp_path: Path) -> None:
    """Zamba2, three hybrid layers of two blocks: the third is the first, with adapters and a product of its own."""
    step = _export(tmp_path, "zamba2", {})
    shared = {o.name: o.tied for o in step.select("block") if o.tied}
    parts = ("attn_norm", "q", "k", "v", "attn_out", "attn_post_norm", "ffn_up", "ffn_down")
    assert shared == {f"{name}.5": f"{name}.1" for name in parts}
    entering = [o.name for o in step.select("block") if "input" in o.deps]
    assert entering == ["ssm_norm.0", "ssm_residual.0", "attn_norm.1", "attn_norm.3", "attn_norm.5"]
    assert len(_all(step, "attention")) == 3


def test_a_shared_bias_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"layers\.5\.shared.*shares its bias with model\.layers\.1\.shared"):
        _export(tmp_path, "zamba2", {"add_bias_linear": True})


def test_a_first_layer_that_would_read_the_embedding_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"layers\.0\.shared_transformer\.input_layernorm .*: reads one result twice"):
        _export(tmp_path, "zamba2", {"layers_block_type": ["hybrid"] + ["mamba"] * 6})


def test_an_activation_that_is_written_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mixer \(MambaMixer\): aten::\w+ of a convolution is no activation"):
        _export(tmp_path, "mamba", {"hidden_act": "gelu_new"})


def test_a_class_that_is_not_known_is_refused_with_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixers, "MIXERS", ("Mamba2Mixer",))
    with pytest.raises(InputError, match=r"backbone\.layers\.0\.mixer \(MambaMixer\): keeps a state"):
        _export(tmp_path, "mamba", {})


@pytest.mark.parametrize("family", STATES)
def test_two_sequences_of_several_tokens_make_a_trace_that_is_valid(family: str, tmp_path: Path) -> None:
    trace = export_trace(str(write_config(tmp_path, family, STATES[family])), 3, 2, 2, 2)
    write_trace(trace, tmp_path / "t.jsonl")
    assert dump_trace(load_trace(tmp_path / "t.jsonl")) == dump_trace(trace)
