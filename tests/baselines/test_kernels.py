"""Steps of measured kernels beside the formula: with made times, without the package, and with it."""

from __future__ import annotations

import json
import os
import runpy
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import pimsim
from pimsim import baselines
from pimsim.baselines import aiconfigurator
from pimsim.baselines.cost import decode_demands
from pimsim.baselines.kernels import kernel_figures
from pimsim.cli import cli
from pimsim.errors import InputError
from pimsim.workload.models import MODELS, Workload, build
from tests.conftest import SHIPPED

MODEL = MODELS["llama-3-8b"]


@dataclass
class Made:
    """Kernels of made times: a product takes 1 ns for each vector, attention 3 ns for each token, a sum 7 ns."""

    source: str = "made up"
    products: list[tuple[Any, ...]] = field(default_factory=list)
    attentions: list[tuple[Any, ...]] = field(default_factory=list)
    sums: list[tuple[int, int, int]] = field(default_factory=list)

    def product(self, *asked: Any) -> float | None:
        self.products.append(asked)
        return float(asked[0])

    def attention(self, batch: int, tokens: int, *sizes: Any) -> float | None:
        self.attentions.append((batch, tokens, *sizes))
        return 3.0 * batch * tokens

    def all_reduce(self, *asked: int) -> float | None:
        self.sums.append(asked)
        return 7.0


class Nothing(Made):
    """Nobody measured anything."""

    def product(self, *asked: Any) -> float | None:
        return None

    attention = all_reduce = product


def figures(
    times: Made, device: str = "gpu-h100", contexts: tuple[int, ...] = (10,), batch: int = 1, tokens: int = 1,
    workload: Workload | None = None,
) -> dict[str, Any]:  # fmt: skip
    graph = workload or build(MODEL, lm_head=False)
    demands = decode_demands(graph, np.array(contexts, np.float64), batch, tokens)
    return kernel_figures(baselines.load(device), demands, contexts, batch, tokens, times)


def test_a_step_is_the_sum_of_its_kernels() -> None:
    """Seven matrices and an attention in each of 32 layers; what nobody measured takes the formula's time."""
    found, bare = figures(Made(), contexts=(10, 20), batch=2), figures(Nothing(), contexts=(10, 20), batch=2)
    kernels = 32 * (2 * 7 * 2 + 3 * 2 * (10 + 20))
    rest = bare["latency_ns"] - sum(entry["formula_ns"] for entry in found["operators"].values())
    assert found["latency_ns"] == pytest.approx(kernels + rest)
    assert {name: entry["measured_ns"] for name, entry in found["operators"].items()} == {
        **dict.fromkeys(("q", "k", "v", "attn_out", "ffn_gate", "ffn_up", "ffn_down"), 32 * 2 * 2.0),
        "attention": 32 * 3 * 2 * 30.0,
    }


def test_without_measurements_it_is_the_compiled_formula() -> None:
    found = figures(Nothing(), batch=8)
    assert found["difference"] == pytest.approx(0) and not found["operators"]
    assert found["latency_ns"] == pytest.approx(found["formula_latency_ns"])
    assert found["bound"] == {"kernels": 0.0, "formula": 1.0}


def test_the_difference_is_that_of_the_latencies() -> None:
    found = figures(Made())
    assert found["difference"] == found["latency_ns"] / found["formula_latency_ns"] - 1
    whole = baselines.evaluate("gpu-h100", build(MODEL, lm_head=False), [10])
    assert found["formula_latency_ns"] == whole["compiled"]["latency_ns"]


def test_kernels_of_a_group_have_the_sizes_of_a_card() -> None:
    times = Made()
    found = figures(times, "gpu-h100x4", batch=3)
    assert set(times.products) == {
        (3, 4096, 1024, "", ""),  # queries, in columns
        (3, 4096, 256, "", ""),  # keys and values
        (3, 1024, 4096, "", ""),  # attention's output, in rows
        (3, 4096, 3584, "", ""),
        (3, 3584, 4096, "", ""),
    }
    assert {sizes[2:] for sizes in times.attentions} == {(8, 2, 128, "")}
    assert set(times.sums) == {(3, 4096, 4)} and "attn_residual" in found["operators"]


def test_many_contexts_are_asked_for_at_some_and_lie_on_a_line_between_them() -> None:
    times, contexts = Made(), tuple(range(1, 2001))
    found = figures(times, contexts=contexts)
    assert len(times.attentions) <= 65
    assert found["operators"]["attention"]["measured_ns"] == pytest.approx(32 * 3 * sum(contexts))


def test_a_window_attends_to_as_many_tokens_as_it_has() -> None:
    times = Made()
    figures(times, contexts=(4000, 9000), workload=build(MODELS["mistral-7b"], lm_head=False))
    assert {sizes[1] for sizes in times.attentions} <= set(range(4000, 4097)) and times.attentions[-1][1] == 4096


def test_several_tokens_of_a_step_are_vectors_of_products_and_no_kernel_of_attention() -> None:
    times = Made()
    found = figures(times, batch=2, tokens=3)
    assert {asked[0] for asked in times.products} == {6} and not times.attentions
    assert "attention" in found["by_formula"]


def test_kernels_are_asked_for_in_the_formats_of_the_workload() -> None:
    graph = build(MODEL, lm_head=False)
    formats = {"linear": {"stored": "fp8_e4m3", "given": "fp8_e4m3", "bits": 8}, "attention": {"stored": "int8"}}
    operators = tuple(replace(o, **formats.get(o.op, {})) for o in graph.operators)
    times = Made()
    figures(times, workload=replace(graph, operators=operators))
    assert {asked[3:] for asked in times.products} == {("fp8_e4m3", "fp8")}
    assert {sizes[-1] for sizes in times.attentions} == {"int8"}


def test_experts_and_programs_in_32_bits_have_no_measured_kernels() -> None:
    mixtral = figures(Made(), workload=build(MODELS["mixtral-8x7b"], lm_head=False))
    assert {"ffn_up", "ffn_down"} <= set(mixtral["by_formula"])
    assert not figures(Made(), "gpu-t4")["operators"]


def test_energy_follows_the_measured_time() -> None:
    device, found = baselines.load("gpu-h100"), figures(Made())
    idle, cap = device.power.idle.value, device.power.cap.value
    assert idle <= found["energy_pJ"] / found["latency_ns"] / 1000 <= cap
    assert found["energy_cap_pJ"] == pytest.approx(cap * found["latency_ns"] * 1000)


# -- a run ----------------------------------------------------------------------------


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines with a table have made times."""
    monkeypatch.setattr(aiconfigurator, "kernel_times", lambda device: Made() if device.kernels else None)


ASKED = {"baselines": ["gpu-a100", "gpu-t4"], "baseline_kernels": "measured", "workload.output_tokens": 3}


def test_a_run_has_them_beside_the_formula_if_it_asks(made: None) -> None:
    asked = pimsim.run(pimsim.load_config(SHIPPED, ASKED))
    plain = pimsim.run(pimsim.load_config(SHIPPED, ASKED | {"baseline_kernels": "formula"}))
    found = asked.summary["baselines"]["gpu-a100"]
    kernels = found.pop("measured_kernels")
    assert kernels["speedup"] == pytest.approx(kernels["latency_ns"] / asked.summary["system"]["latency_ns"])
    assert asked.summary["baselines"] == plain.summary["baselines"]
    assert [w.message for w in asked.warnings if "measured kernels" in w.message] == [
        "gpu-t4 is compared without measured kernels: its file names no `kernels`"
    ]


def test_the_default_has_the_hash_and_the_keys_of_before() -> None:
    given = ({}, {"baseline_kernels": "formula"})
    results = [pimsim.run(pimsim.load_config(SHIPPED, {"workload.output_tokens": 2} | more)) for more in given]
    one, other = (result.summary for result in results)
    assert one["config_sha256"] == other["config_sha256"]
    assert not any("measured_kernels" in found for found in one["baselines"].values())


def test_the_terminal_tells_the_difference(made: None) -> None:
    sets = [f"--set={key}={json.dumps(value)}" for key, value in ASKED.items()]
    shown = CliRunner().invoke(cli, ["run", str(SHIPPED), *sets]).output
    assert "gpu-a100 by measured kernels: speedup" in shown and "off (made up)" in " ".join(shown.split())
    assert max(len(line) for line in shown.splitlines() if "warning" not in line) <= 80


def test_without_the_package_a_run_that_asks_is_told_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    aiconfigurator._package.cache_clear()
    monkeypatch.setitem(sys.modules, "aiconfigurator_core", None)
    with pytest.raises(InputError, match=r"baseline_kernels: .*pip install 'pimsim\[kernels\]'"):
        pimsim.run(pimsim.load_config(SHIPPED, ASKED))


def test_without_the_package_nothing_else_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiconfigurator_core", None)
    assert pimsim.run(pimsim.load_config(SHIPPED, ASKED | {"baseline_kernels": "formula"})).summary["baselines"]


# -- the package: `make test-values` installs it ---------------------------------------


def needs_package() -> None:
    """Skip without the package, but not where it must be there."""
    if not os.environ.get("PIMSIM_KERNELS"):
        pytest.importorskip("aiconfigurator_core")


@pytest.mark.parametrize("name", ["gpu-a100", "gpu-h100", "gpu-h200", "gpu-h100x8"])
def test_measured_kernels_are_no_faster_than_a_third_of_the_bound(name: str) -> None:
    """A product that streams its weights takes what memory does; small ones take longer, and none much less."""
    needs_package()
    found = baselines.evaluate(name, build(MODEL, lm_head=True), [512], kernels=True)
    kernels = found["measured_kernels"]
    assert kernels["source"].startswith("aiconfigurator-core 0.12")
    assert {"q", "ffn_up", "ffn_down", "attention", "lm_head"} <= set(kernels["operators"])
    assert 1 / 3 < found["roofline"]["latency_ns"] / kernels["latency_ns"] < 1.2
    assert all(entry["measured_ns"] > 0 for entry in kernels["operators"].values())


def test_the_package_answers_what_its_tables_hold() -> None:
    """Entries of its tables: H100, TensorRT-LLM; what there is none of is no error."""
    needs_package()
    times = aiconfigurator.kernel_times(baselines.load("gpu-h100"))
    assert times is not None
    assert times.product(1, 4096, 4096, "", "") == pytest.approx(16560, rel=0.02)
    assert times.product(1, 4096, 4096, "int4", "") is None
    assert times.all_reduce(1, 4096, 3) is None
    assert times.attention(1, 1000, 32, 8, 128, "fp8_e5m2") is None


def test_longer_contexts_and_larger_batches_take_longer() -> None:
    needs_package()
    times = aiconfigurator.kernel_times(baselines.load("gpu-a100"))
    assert times is not None
    taken = [times.attention(batch, tokens, 32, 8, 128, "") for batch, tokens in ((1, 512), (1, 16384), (32, 16384))]
    assert None not in taken and taken == sorted(taken)


def test_table_in_the_docs_is_up_to_date() -> None:
    needs_package()
    root = Path(__file__).parents[2]
    script = runpy.run_path(str(root / "bench" / "kernel_points.py"))
    text = (root / "docs" / "baselines.md").read_text(encoding="utf-8")
    shown = text.split(script["BEGIN"])[1].split(script["END"])[0].strip()
    assert shown == script["table"](), "run bench/kernel_points.py --write"
