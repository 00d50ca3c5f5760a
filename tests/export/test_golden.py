"""Exports of tiny models of each family: the bytes of the committed files, but for launches with other versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from pimsim.workload.export import export, export_trace  # noqa: E402
from pimsim.workload.launches import RECORDED_WITH  # noqa: E402
from pimsim.workload.models import ModelShape, build  # noqa: E402
from pimsim.workload.trace.generate import generated  # noqa: E402
from pimsim.workload.trace.reader import load_trace  # noqa: E402
from pimsim.workload.trace.writer import dump_trace, write_trace  # noqa: E402
from tests.export.families import FAMILIES  # noqa: E402
from tests.export.golden import FOLDER, exported, without_launches, write_config  # noqa: E402


def _comparable(text: str) -> str:
    """A trace as it is with the versions of the golden files; with others launches, which change, do not count."""
    import torch

    here = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}, eager attention"
    return text if here == RECORDED_WITH else without_launches(text)


def test_every_golden_file_is_of_a_family_that_is_tested() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.jsonl")) == sorted(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_export_gives_the_committed_bytes(family: str, tmp_path: Path) -> None:
    golden = (FOLDER / f"{family}.jsonl").read_text(encoding="ascii")
    assert _comparable(exported(tmp_path, family)) == _comparable(golden)


@pytest.mark.parametrize("name", ["gpt2-small", "llama-3.2-1b", "qwen2.5-0.5b", "mistral-7b", "mixtral-8x7b"])
def test_export_gives_the_file_of_the_generator_without_torch(name: str) -> None:
    assert _comparable(dump_trace(export_trace(name, steps=7))) == _comparable(dump_trace(generated(name, steps=7)))


@pytest.mark.parametrize(
    ("family", "variant"),
    [
        ("gpt2", {}),
        ("llama", {"family": "llama", "kv_heads": 2, "tied": False}),
        ("qwen2", {"family": "qwen2", "kv_heads": 2, "biases": ("qkv",)}),
        ("mistral", {"family": "mistral", "kv_heads": 2, "tied": False, "window": 8}),
    ],
)
def test_graph_is_that_of_the_built_in_families(family: str, variant: dict[str, object], tmp_path: Path) -> None:
    """The graph's hash leaves names of weights and launches out, so it is the same with every version."""
    sizes: dict[str, object] = {"name": "tiny", "layers": 2, "d_model": 32, "heads": 4, "kv_heads": 4, "d_ff": 128}
    sizes |= {"vocabulary": 96, "max_positions": 64}
    if family != "gpt2":
        sizes |= {"d_ff": 48, "norm": "rmsnorm", "activation": "silu", "gated": True, "biases": ()}
        sizes |= {"merged_qkv": False, "rope": True}
    shape = ModelShape(**{**sizes, **variant})  # type: ignore[arg-type]
    config = write_config(tmp_path, family, FAMILIES[family])
    assert export(str(config)).decode.sha256() == build(shape, lm_head=True).sha256()


def test_export_is_repeatable_and_its_file_can_be_read(tmp_path: Path) -> None:
    text = exported(tmp_path, "gemma2", prompt=5, steps=3, query=2, batch=3)
    assert text == exported(tmp_path, "gemma2", prompt=5, steps=3, query=2, batch=3)
    trace = export_trace(str(tmp_path / "tiny-gemma2.json"), 5, 3, 2, 3)
    write_trace(trace, tmp_path / "t.jsonl.gz")
    assert dump_trace(load_trace(tmp_path / "t.jsonl.gz")) == text
    bindings = [json.loads(line)["bindings"] for line in text.splitlines() if '"schedule"' in line]
    assert bindings == [{"T": 5, "B": 3, "Q": 5}, {"T": "2*step+7", "B": 3, "Q": 2}]
