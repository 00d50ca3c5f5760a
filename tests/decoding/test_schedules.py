"""Ready-made schedules: lines, contexts, tokens and what is kept, by hand; and that their traces are valid."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from pimsim.errors import InputError
from pimsim.workload.decoding import caches, drafts, heads, hypotheses, layers
from pimsim.workload.decoding.data import mechanisms, models
from pimsim.workload.decoding.source import with_positions
from pimsim.workload.decoding.steps import Asked
from pimsim.workload.models import MODELS, build
from pimsim.workload.trace.bind import trace_of
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.records import Acceptance, Schedule, Trace
from pimsim.workload.trace.writer import dump_trace, write_trace
from tests.decoding.samples import ASKED, SAMPLES, model, told


def decode(trace: Trace) -> list[Schedule]:
    return [line for line in trace.schedule if line.phase == "decode"]


@pytest.mark.parametrize("name", SAMPLES)
def test_every_trace_is_valid_and_is_read_as_it_was_made(name: str, tmp_path: Path) -> None:
    made = SAMPLES[name]()
    read = load_trace(write_trace(made, tmp_path / "t.jsonl"))
    assert (read, read.warnings) == (made, ())
    assert made.header.version == "1.1"


def test_there_is_a_sample_of_every_mechanism() -> None:
    assert {name.split()[0] for name in SAMPLES} == set(mechanisms())
    assert {SAMPLES[name]().header.producer["schedule"] for name in SAMPLES} == set(mechanisms())


def test_drafts_of_a_chain_and_their_verification() -> None:
    # 2.28 tokens a cycle: 9 cycles keep 20.52 of the 20 that are asked for
    lines = SAMPLES["speculative"]().schedule
    assert [told(line) for line in lines] == [
        ("target", 1, "8", 8),
        ("draft", 1, "8", 8),
        ("draft", 9, "kept+9", 1),
        ("draft", 9, "kept+10", 1),
        ("draft", 9, "kept+11", 1),
        ("draft", 9, "kept+12", 1),
        ("target", 9, "kept+13", 5),
    ]
    assert [line.accept for line in lines[2:]] == [0, 0, 0, 0, Acceptance(Fraction(228, 100))]
    assert {line.cycle for line in lines[2:]} == {"speculative"} and not any(line.cycle for line in lines[:2])


def test_chances_of_drafts_are_those_of_the_first() -> None:
    made = drafts.speculative(
        model("gpt2-medium"), ASKED, model("gpt2-small"), acceptance="vllm-llama-3.1-8b", drafts=2
    )
    accept = made.schedule[-1].accept
    assert accept == Acceptance(1 + Fraction("0.7296") + Fraction("0.5208"), (Fraction("0.7296"), Fraction("0.5208")))
    assert made.schedule[-1].steps == 9  # 20 / 2.2504


def test_drafts_of_a_tree_go_depth_by_depth() -> None:
    # 8/21/25/15/8/3 nodes: the known token has 8 behind it, those all of the 21; of 21 all, of 25 only 15, ...
    lines = SAMPLES["speculative a tree"]().schedule
    assert [told(line) for line in lines[2:]] == [
        ("draft", 9, "kept+9", 1),
        ("draft", 9, "kept+17", 8),  # 8 tokens there + the known one, which all see
        ("draft", 9, "kept+31", 21),
        ("draft", 9, "kept+26", 15),
        ("draft", 9, "kept+20", 8),
        ("draft", 9, "kept+16", 3),
        ("target", 9, "kept+89", 81),
    ]
    assert [line.tree for line in lines[3:-1]] == [(-1,) * n for n in (8, 21, 15, 8, 3)]
    assert len(lines[-1].tree) == 81


def test_what_is_looked_up_costs_no_step() -> None:
    lines = decode(SAMPLES["speculative looked up"]())
    assert [told(line) for line in lines] == [("target", 12, "kept+12", 4)]  # 20 / 1.73


def test_keeping_all_is_a_plain_chunk() -> None:
    made = drafts.speculative(model("gpt2-small"), ASKED, acceptance="all", drafts=3)
    [line] = decode(made)
    assert (line.accept, line.steps, line.bindings["Q"].constant) == (None, 5, 4)


def test_medusa_has_a_head_for_each_depth_that_runs_once_a_step() -> None:
    made = SAMPLES["medusa"]()
    [template] = made.templates
    before = model("gpt2-small").template.ops
    added = template.ops[len(before) :]
    assert [op.id for op in added[:4]] == ["medusa_1", "medusa_1_act", "medusa_1_sum", "medusa_1_head"]
    assert len(added) == 16 and {op.per for op in added} == {"sequence"}
    matrices = [(op.inputs.constant, op.outputs.constant) for op in added if op.op == "linear"]
    assert matrices == [(768, 768), (768, 50257)] * 4
    [line] = decode(made)
    assert told(line) == ("target", 9, "kept+72", 64)  # 20 / 2.32; 8 + 64


def test_hydras_heads_read_one_token_more_each() -> None:
    made = SAMPLES["hydra"]()
    sizes = [next(op.inputs.constant for op in t.ops if op.id == t.id) for t in made.templates[1:]]
    assert sizes == [2 * 768, 3 * 768, 4 * 768, 5 * 768]
    # nodes that others follow, of 10/28/23/2: the known token, all 10, 23 of the 28, 2 of the 23
    assert [told(line)[::3] for line in decode(made)] == [
        ("hydra_1", 1), ("hydra_2", 10), ("hydra_3", 23), ("hydra_4", 2), ("target", 64),
    ]  # fmt: skip


def test_eagle_drafts_with_one_layer_and_the_models_own_ends() -> None:
    made = SAMPLES["eagle llama"]()
    eagle = made.template("eagle")
    assert (eagle.layers, eagle.count, eagle.weights_of) == (1, 1, "target")
    shared = {op.id for op in eagle.ops} & {op.id for op in made.template("target").ops}
    assert shared == {"embed", "final_norm", "lm_head"}
    join = next(op for op in eagle.ops if op.id == "eagle_join")
    assert (join.inputs.constant, join.outputs.constant) == (4096, 2048)
    assert [told(line) for line in decode(made)] == [
        ("eagle", 5, "kept+9", 5),  # 4.35 kept tokens enter, rounded up; 20 / 4.35
        ("eagle", 5, "kept+19", 10),
        ("eagle", 5, "kept+20", 10),
        ("eagle", 5, "kept+21", 10),
        ("eagle", 5, "kept+22", 10),
        ("eagle", 5, "kept+22", 9),
        ("target", 5, "kept+68", 60),
    ]


def test_kangaroo_checks_with_the_layers_that_have_not_run() -> None:
    made = SAMPLES["kangaroo"]()
    lines = decode(made)
    assert [line.template for line in lines] == ["shallow", "adapter"] * 6 + ["shallow", "deep"]
    assert {line.layers for line in lines if line.template == "shallow"} == {2}
    assert lines[-1].layers == tuple(range(2, 12))
    assert told(lines[-1]) == ("deep", 9, "kept+15", 7)
    assert {op.op for op in made.template("adapter").ops} >= {"attention"}
    assert not any(op.role in ("ffn_up", "ffn_down") for op in made.template("adapter").ops)


def test_swift_drafts_with_every_other_layer() -> None:
    lines = decode(SAMPLES["swift"]())
    assert lines[0].layers == (0, 2, 4, 6, 8, 11)  # six of twelve: i * 11 // 5
    assert [line.layers for line in lines[-1:]] == [None]


@pytest.mark.parametrize(
    ("skip", "left"),
    [("0", None), ("6", (0, 2, 4, 6, 8, 11)), ("0.5", (0, 2, 4, 6, 8, 11)), ("11", (0,)), ("10", (0, 11))],
)
def test_layers_that_are_left(skip: str, left: tuple[int, ...] | None) -> None:
    lines = layers.layer_skip(model("gpt2-small"), ASKED, skip).schedule
    assert {line.layers for line in lines} == {left}
    assert [told(line) for line in lines] == [("model", 1, "8", 8), ("model", 20, "step+9", 1)]


def test_no_skipped_layer_is_the_model() -> None:
    made = layers.layer_skip(model("gpt2-small"), ASKED, "0")
    plain = trace_of(build(MODELS["gpt2-small"], lm_head=True), ASKED.prompt, ASKED.tokens)
    assert [replace(line, template="decode") for line in made.schedule] == list(plain.schedule)
    assert [replace(op, template="decode") for op in made.templates[0].ops] == list(plain.templates[0].ops)


def test_exits_run_half_of_the_layers_on_average() -> None:
    lines = decode(SAMPLES["early-exit"]())
    assert [(told(line), line.layers) for line in lines] == [
        (("model", 7, "kept+9", 1), 3),
        (("model", 7, "kept+9", 1), 6),
        (("model", 7, "kept+9", 1), 9),
    ]
    several = decode(layers.early_exit(model("gpt2-small"), ASKED, "3:2,12"))
    assert [(line.steps, line.layers) for line in several] == [(14, 3), (7, 12)]


def test_beams_fork_once_behind_the_prompt() -> None:
    prompt, line = hypotheses.beams(model("gpt2-small"), Asked(8, 20, batch=2), 3, "0.5").schedule
    assert (prompt.bindings["B"].constant, line.bindings["B"].constant, line.fork) == (2, 6, 6)
    assert line.reorder == 2  # of each prompt's two others one half, twice


def test_one_hypothesis_is_none() -> None:
    made = hypotheses.beams(model("gpt2-small"), ASKED, 1)
    plain = layers.layer_skip(model("gpt2-small"), ASKED, "0")
    assert (made.templates, made.schedule) == (plain.templates, plain.schedule)
    one = hypotheses.superposed(model("gpt2-small"), ASKED, 1)
    assert one.schedule == plain.schedule
    assert [op.inputs for op in one.templates[0].ops] == [op.inputs for op in plain.templates[0].ops]


def test_superposed_reads_a_row_of_each_table() -> None:
    embed = SAMPLES["superposed"]().templates[0].ops[0]
    assert [table.rows for table in embed.tables] == [50257, 50257, 50257, 1024]


@pytest.mark.parametrize(
    ("name", "streaming", "heads"),
    [
        ("gpt2-medium", None, {"attention_retrieval": (4, 4), "attention_streaming": (12, 12)}),
        ("qwen2.5-0.5b", None, {"attention_retrieval": (7, 1), "attention_streaming": (7, 1)}),
        ("llama-3.2-1b", "0.25", {"attention_retrieval": (24, 6), "attention_streaming": (8, 2)}),
        ("gpt2-small", "1", {"attention_streaming": (12, 12)}),
        ("gpt2-small", "0", {"attention_retrieval": (12, 12)}),
    ],
)
def test_heads_of_both_kinds(name: str, streaming: str | None, heads: dict[str, tuple[int, int]]) -> None:
    [template] = caches.duo_attention(model(name), ASKED, streaming).templates
    found = {op.id: op for op in template.ops if op.op == "attention"}
    assert {id: (op.head_groups[0].heads, op.head_groups[0].kv_heads) for id, op in found.items()} == heads
    for id, op in found.items():
        assert (op.window, op.sinks) == ((256, 64) if id.endswith("streaming") else (0, 0))
    reader = next(op for op in template.ops if op.id == "attn_out")
    assert reader.deps == tuple(heads)


def test_a_dropped_prefix_is_prefilled_and_not_attended_to() -> None:
    made = caches.drop_prefix(model("gpt2-small"), ASKED)
    assert [told(line) for line in made.schedule] == [("model", 1, "584", 584), ("kept", 20, "step+585", 1)]
    [seen] = [op.head_groups[0].kv_len for op in made.template("kept").ops if op.op == "attention"]
    assert str(seen) == "T-384"
    early = caches.drop_prefix(model("gpt2-small"), ASKED, keep=64, when="before")
    assert [told(line) for line in early.schedule] == [("model", 1, "72", 72), ("model", 20, "step+73", 1)]
    none = caches.drop_prefix(model("gpt2-small"), ASKED, keep=576)
    assert [line.template for line in none.schedule] == ["model", "model"]


def test_a_block_transformers_halves() -> None:
    made = SAMPLES["block-transformer"]()
    assert (made.header.model.layers, made.template("local").model.layers) == (6, 6)  # type: ignore[union-attr]
    assert [told(line) for line in made.schedule] == [
        ("global", 1, "2", 2),
        ("local", 5, "1", 1),
        ("local", 5, "2", 1),
        ("local", 5, "3", 1),
        ("local", 5, "4", 1),
        ("global", 5, "step+3", 1),
    ]
    assert [line.accept for line in decode(made)] == [None, None, None, None, 0]
    assert not any(op.role == "lm_head" for op in made.template("global").ops)


def test_maps_of_an_image_see_each_other() -> None:
    made = SAMPLES["next-scale"]()
    assert [told(line)[3] for line in made.schedule] == [1, 4, 9, 16, 25, 36, 64, 100, 169, 256]
    assert told(made.schedule[-1])[2] == "680"
    assert [op.mask for op in made.templates[0].ops if op.op == "attention"] == ["block"]


def test_a_context_is_there_before_the_prompt() -> None:
    made = drafts.recycling(model("gpt2-small"), Asked(prompt=8, tokens=20, context=100))
    assert [told(line) for line in made.schedule] == [("target", 1, "108", 8), ("target", 8, "kept+189", 81)]
    without = drafts.recycling(model("gpt2-small"), Asked(prompt=0, tokens=20, context=100))
    assert [line.phase for line in without.schedule] == ["decode"]


def test_a_model_of_a_trace_is_the_built_in_one(tmp_path: Path) -> None:
    file = write_trace(trace_of(build(MODELS["gpt2-small"], lm_head=True), 4, 4), tmp_path / "mine.jsonl")
    mine, built_in = heads.medusa(model(str(file)), ASKED), heads.medusa(model("gpt2-small"), ASKED)
    assert mine.templates == built_in.templates and mine.schedule == built_in.schedule


@pytest.mark.parametrize("name", ["eagle llama", "hydra", "kangaroo mistral"])
def test_the_same_trace_has_the_same_bytes(name: str) -> None:
    assert dump_trace(SAMPLES[name]()) == dump_trace(SAMPLES[name]())


def test_a_draft_of_another_vocabulary_is_refused() -> None:
    with pytest.raises(InputError, match=r"llama-3.2-1b has a vocabulary of 128,256, but gpt3-xl one of 50,257"):
        drafts.speculative(model("gpt3-xl"), ASKED, model("llama-3.2-1b"))


def test_a_step_beyond_the_models_positions_is_refused() -> None:
    with pytest.raises(InputError, match=r"the last step reaches token 1,1\d\d, and gpt2-small has 1,024 positions"):
        heads.medusa(model("gpt2-small"), Asked(prompt=1000, tokens=60))


def test_mamba_has_the_parameters_of_the_published_checkpoint(tmp_path: Path) -> None:
    made = layers.layer_skip(model("mamba-130m"), ASKED, "0")
    assert load_trace(write_trace(made, tmp_path / "t.jsonl")) == made
    assert models()["mamba-130m"].parameters == 129_135_360  # as its model card counts them


def test_more_positions_are_a_larger_table() -> None:
    source = with_positions(model("gpt2-small"), 4096)
    assert source.model.max_positions == 4096
    assert [table.rows for table in source.template.ops[0].tables] == [50257, 4096]
    assert with_positions(model("llama-3.2-1b"), 1 << 20).template == model("llama-3.2-1b").template
    [_, line] = layers.layer_skip(source, Asked(prompt=2000, tokens=20), "0").schedule
    assert told(line)[2] == "step+2001"
