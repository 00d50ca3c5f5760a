"""Profiles of two tiny models, recorded by `make_samples.py`: the model is found, and what does not fit is named."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pimsim.errors import InputError
from pimsim.workload.interchange import import_file
from pimsim.workload.interchange.calls import read_bytes, read_json_calls
from pimsim.workload.interchange.recognise import Found, recognise
from pimsim.workload.models import ModelShape, build
from pimsim.workload.ops import Operator
from pimsim.workload.trace.writer import dump_trace

SAMPLES = Path(__file__).parent / "samples"
GPT2 = ModelShape("x", 2, 32, 4, 4, 128, 100, 64)
QWEN2 = ModelShape(
    "x", 2, 32, 4, 2, 48, 100, 64, "llama", norm="rmsnorm", activation="silu", gated=True, biases=("qkv",),
    merged_qkv=False, rope=True, tied=False,
)  # fmt: skip
SHAPES = {"gpt2": GPT2, "qwen2": QWEN2}
Document = dict[str, Any]


def expected(family: str) -> tuple[Operator, ...]:
    """The operators of the model that was recorded; their launches are not in a profile."""
    operators = build(SHAPES[family], lm_head=True).operators
    return tuple(replace(operator, aten=None, kernels=None) for operator in operators)


def sample(name: str) -> Document:
    document: Document = json.loads(gzip.decompress((SAMPLES / f"{name}.json.gz").read_bytes()))
    return document


def found_in(path: Path) -> Found:
    _, calls = read_json_calls(read_bytes(str(path)), str(path))
    return recognise(calls, str(path), "x")


def problem_of(document: Any, tmp_path: Path) -> str:
    path = tmp_path / "profile.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    with pytest.raises(InputError) as caught:
        import_file(str(path), "x", 1)
    return str(caught.value).removeprefix(f"{path}:1:1: ")


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("family", ["gpt2", "qwen2"])
def test_execution_trace_gives_the_graph_of_the_model_that_was_recorded(family: str, attention: str) -> None:
    found = found_in(SAMPLES / f"{family}-{attention}.et.json.gz")
    assert found.workload.operators == expected(family)
    assert found.workload.shape.layers == 2
    assert (found.context, found.queries, found.batch) == (8, 1, 1)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("family", ["gpt2", "qwen2"])
def test_kineto_gives_the_same_graph_but_for_tying_which_it_does_not_say(family: str, attention: str) -> None:
    found = found_in(SAMPLES / f"{family}-{attention}.kineto.json.gz")
    assert found.workload.operators[:-1] == expected(family)[:-1]
    assert found.workload.operators[-1].tied == "embed"
    assert any("share memory" in note for note in found.notes)
    assert found.context == 9


def test_gpt2_profile_gives_the_graph_of_the_built_in_family_to_the_hash() -> None:
    found = found_in(SAMPLES / "gpt2-eager.et.json.gz")
    assert found.workload.sha256() == build(GPT2, lm_head=True).sha256()


def test_imported_trace_schedules_the_steps_asked_for_and_lists_what_is_lost() -> None:
    imported = import_file(str(SAMPLES / "qwen2-sdpa.et.json.gz"), "mine", 5)
    lines = [json.loads(line) for line in dump_trace(imported.trace).splitlines()]
    assert lines[0]["model"]["name"] == "mine"
    assert lines[-1]["phase"] == "decode" and lines[-1]["steps"] == [0, 4]
    listed = "\n".join(imported.notes)
    for lost in ("largest position", "window", "names of weights", "launches and times", "transpose 8"):
        assert lost in listed


TYPES = "data types: weights fp32, activations fp32, K and V fp32 in the profile, written as bf16"


@pytest.mark.parametrize("kind", ["et", "kineto"])
@pytest.mark.parametrize("name", ["gpt2-eager", "gpt2-sdpa", "qwen2-eager", "qwen2-sdpa"])
def test_data_types_that_are_not_kept_are_listed(name: str, kind: str) -> None:
    assert TYPES in import_file(str(SAMPLES / f"{name}.{kind}.json.gz"), "x", 1).notes


def test_data_types_that_are_kept_or_missing_are_told_apart(tmp_path: Path) -> None:
    document = json.dumps(sample("gpt2-eager.et"))
    path = tmp_path / "p.json"
    path.write_text(document.replace("Tensor(float)", "Tensor(c10::BFloat16)"))
    assert not any("data types" in note for note in import_file(str(path), "x", 1).notes)
    path.write_text(document.replace("Tensor(float)", "Tensor(c10::Half)"))
    assert TYPES.replace("fp32", "fp16") in import_file(str(path), "x", 1).notes
    path.write_text(document.replace('"types"', '"kinds"'))
    assert "data types are not in this profile: all are taken as bf16" in import_file(str(path), "x", 1).notes


def node(document: Document, name: str, occurrence: int = 0) -> Document:
    nodes = sorted(document["nodes"], key=lambda n: n["id"])
    tops = [n for n in nodes if n["name"] == name]
    found: Document = tops[occurrence]
    return found


def _rename(name: str, to: str) -> Callable[[Document], None]:
    return lambda d: node(d, name).update(name=to)


def _shape(name: str, occurrence: int, index: int, shape: list[int]) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        node(document, name, occurrence)["inputs"]["shapes"][index] = shape

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_rename("aten::tanh", "aten::erfinv"), "is an operator that pimsim cannot express"),
        (_rename("aten::tanh", "aten::relu"), "reads as gelu, and relu should be there"),
        (_rename("aten::layer_norm", "aten::view"), "and layernorm should be there"),
        (_shape("aten::addmm", 2, 2, [32, 120]), "32 x 120 with bias, and ffn_up should be 32 x 128 with bias"),
        (_shape("aten::addmm", 5, 2, [32, 31]), "32 x 31 with bias, and attn_out should be 32 x 32 with bias"),
        (_shape("aten::matmul", 2, 0, [1, 2, 1, 16]), "differs from the first block's attention"),
        (_shape("aten::matmul", 0, 0, [4, 8]), "should have operands [batch, heads, tokens, head_dim]"),
        (_rename("aten::softmax", "aten::view"), "is the second product of an attention without a softmax"),
    ],
)  # fmt: skip
def test_call_that_fits_no_model_is_named(change: Callable[[Document], None], message: str, tmp_path: Path) -> None:
    document = sample("gpt2-eager.et")
    change(document)
    problem = problem_of(document, tmp_path)
    assert message in problem and "aten::" in problem and "(call " in problem


def test_block_that_differs_from_the_first_is_named(tmp_path: Path) -> None:
    document = sample("qwen2-sdpa.et")
    _shape("aten::linear", 8, 2, [])(document)  # the second block's k loses its bias
    assert "is 32 x 16 without bias, and k should be 32 x 16 with bias" in problem_of(document, tmp_path)


def test_attention_whose_heads_are_not_those_of_the_products_is_named(tmp_path: Path) -> None:
    document = sample("qwen2-sdpa.et")
    for occurrence in (0, 1):
        _shape("aten::scaled_dot_product_attention", occurrence, 1, [1, 1, 8, 8])(document)
    assert "has other heads than the matrix products before it" in problem_of(document, tmp_path)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "is not JSON"),
        ("[1, 2]", "holds no ATen operator"),
        ({"nodes": [1]}, "nodes.0: is no node of an execution trace"),
        ({"nodes": [{"id": 1}]}, "'inputs' is missing"),
        ({"nodes": []}, "holds no embedding"),
        ({"traceEvents": [{"cat": "cpu_op", "name": "aten::mm", "args": {}}]}, "record_shapes=True"),
        ({"traceEvents": [{"cat": "cpu_op", "name": "aten::mm", "args": {"Input Dims": []}}]}, "broken event"),
        ({"something": 1}, "is no execution trace"),
    ],
)  # fmt: skip
def test_file_that_is_no_profile_is_an_input_error(document: Any, message: str, tmp_path: Path) -> None:
    assert message in problem_of(document, tmp_path)


def test_gzip_that_is_cut_off_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "cut.json.gz"
    path.write_bytes((SAMPLES / "gpt2-eager.et.json.gz").read_bytes()[:500])
    with pytest.raises(InputError, match="cannot be read"):
        import_file(str(path), "x", 1)


def _mutate(value: Any, rng: random.Random) -> Any:
    """`value` with one thing in it changed, somewhere."""
    if isinstance(value, dict) and value:
        key = rng.choice(sorted(value))
        return {**value, key: _mutate(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        index = rng.randrange(len(value))
        changed = copy.copy(value)
        changed[index] = _mutate(value[index], rng)
        return changed
    return rng.choice([None, -1, 0, 7, 1.5, "x", [], {}, True, [1, 2], [0], "aten::mm", 10**30])


@pytest.mark.parametrize("name", ["gpt2-eager.et", "qwen2-sdpa.kineto"])
def test_changed_profiles_are_read_or_refused_but_never_crash(name: str, tmp_path: Path) -> None:
    rng, path = random.Random(3), tmp_path / "profile.json"
    document = sample(name)
    refused = 0
    for _ in range(150):
        path.write_text(json.dumps(_mutate(document, rng)))
        try:
            import_file(str(path), "x", 1)
        except InputError:
            refused += 1
    assert 0 < refused < 150
