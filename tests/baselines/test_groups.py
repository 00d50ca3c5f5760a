"""Groups of cards: what each of them has, what the links cost, and names such as gpu-h100x8."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pimsim
from pimsim import api, baselines
from pimsim.baselines.cost import decode_demands, device_times, per_step
from pimsim.baselines.devices import DEVICES, parse_device
from pimsim.errors import InputError
from pimsim.workload.models import MODELS, Workload, build
from tests.baselines.schedules import plain
from tests.conftest import SHIPPED

LAYERS, D, FF, KV, VOCABULARY = 32, 4096, 14336, 1024, 128256  # of Llama-3-8B
LINKED = [name for name in baselines.available() if baselines.load(name).link]


def llama(lm_head: bool = True) -> Workload:
    return build(MODELS["llama-3-8b"], lm_head)


def roofline(device: str, workload: Workload, context: int = 1000, **more: Any) -> Any:
    return baselines.evaluate(device, workload, [context], **more)["roofline"]


def ring_ns(name: str, cards: int, bytes_: float) -> float:
    """The closed form, from the file's own figures."""
    link = baselines.load(name).link
    assert link is not None
    rate = link.bandwidth.value * link.efficiency.value
    return 2 * (cards - 1) / cards * bytes_ / rate + 2 * (cards - 1) * link.latency.value * 1000


@pytest.mark.parametrize("name", LINKED)
@pytest.mark.parametrize("batch", [1, 3])
def test_a_group_of_one_is_the_machine_to_the_byte(name: str, batch: int) -> None:
    for workload in (llama(), build(MODELS["mixtral-8x7b"], lm_head=True)):
        one, alone = (
            json.dumps(baselines.evaluate(n, workload, [100, 900], batch, prompt_tokens=20))
            for n in (f"{name}x1", name)
        )
        assert one == alone


@pytest.mark.parametrize("cards", [2, 4, 8])
def test_bytes_are_divided_and_two_all_reduces_a_layer_are_added(cards: int) -> None:
    """A step of Llama-3-8B's blocks: memory binds, so the bound is bytes of a card over bandwidth, and the rings."""
    context, batch = 1000, 4
    device = baselines.load("gpu-h100")
    matrices = D * D + 2 * D * KV + D * D + 3 * D * FF
    keys_and_values = batch * 2 * KV * (context + 1)
    block = (matrices + keys_and_values) / cards + 2 * D  # the two norms are on every card
    rings = 2 * ring_ns("gpu-h100", cards, batch * D * 2)
    found = roofline(f"gpu-h100x{cards}", llama(lm_head=False), context, batch=batch)
    residuals = 2 * batch * D / 989400  # two sums of D elements on every card: arithmetic, for no weights are read
    rope = batch * 3 * (D + KV) / cards / 989400
    activations = batch * (4 + 1) * FF / cards / 989400
    expected = LAYERS * (block * 2 / device.bandwidth + rings + residuals + rope + activations)
    assert found["latency_ns"] == pytest.approx(expected, rel=1e-9)


def test_an_embedding_is_one_more_all_reduce() -> None:
    demands = decode_demands(llama(), np.array([10.0]), 2, query_tokens=3)
    assert sum(d.repeats for d in demands if d.summed) == 2 * LAYERS + 1
    assert {d.summed for d in demands if d.summed} == {2 * 3 * D}


def test_experts_of_a_token_are_added_up_on_each_card_first() -> None:
    demands = decode_demands(build(MODELS["mixtral-8x7b"], lm_head=False), np.array([10.0]), 1)
    assert [d.operator.name for d in demands if d.summed] == ["attn_residual", "ffn_residual"]


@pytest.mark.parametrize(
    ("model", "cards", "share"),
    [
        ("llama-3-8b", 8, 1 / 8),  # 8 heads of K and V
        ("mistral-7b", 4, 1 / 4),
        ("qwen2.5-3b", 2, 1 / 2),  # 2 heads: one each
        ("qwen2.5-3b", 8, 1 / 2),  # and no fewer: 4 cards have each
        ("gpt2-xl", 8, 4 / 25),  # 25 heads: the fullest card has 4
    ],
)
def test_cards_have_whole_heads_of_keys_and_values(model: str, cards: int, share: float) -> None:
    device, workload = baselines.load(f"gpu-a100x{cards}"), build(MODELS[model], lm_head=False)
    demands = decode_demands(workload, np.array([500.0]), 1)
    one, group = (
        {t.demand.operator.op: t for t in device_times(d, demands, "bf16", d.bandwidth)}["attention"]
        for d in (baselines.load("gpu-a100"), device)
    )
    assert group.memory / one.memory == pytest.approx(share)


def test_room_counts_what_each_card_has() -> None:
    """Two heads of K and V on eight cards: each head is there four times."""
    workload, context, batch = build(MODELS["qwen2.5-3b"], lm_head=False), 700, 5
    shape = workload.shape
    one, eight = (baselines.evaluate(name, workload, [context], batch) for name in ("gpu-a100", "gpu-a100x8"))
    kept = batch * 2 * shape.kv_heads * shape.head_dim * context * 2
    norms = 2 * shape.d_model * 2
    assert eight["required_bytes"] - one["required_bytes"] == shape.layers * (3 * kept + 7 * norms)
    assert eight["capacity_bytes"] == 8 * one["capacity_bytes"]


def test_a_model_that_no_card_holds_fits_a_group() -> None:
    large = build(MODELS["gpt3-175b"], lm_head=False)
    assert [baselines.evaluate(f"gpu-h100x{n}", large, [1])["fits"] for n in (1, 4, 8)] == [False, False, True]


def test_power_is_that_of_all_cards_and_the_links_take_energy() -> None:
    device = baselines.load("gpu-h100x4")
    link, batch = device.link, 7
    assert link is not None
    found = roofline("gpu-h100x4", llama(lm_head=False), batch=batch)
    demands = decode_demands(llama(lm_head=False), np.array([1000.0]), batch)
    times = device_times(device, demands, "bf16", device.bandwidth)
    busy = per_step(times, "memory")[0]
    bits = 2 * LAYERS * 2 * (4 - 1) * batch * D * 2 * 8
    idle, cap = device.power.idle.value, device.power.cap.value
    power = found["latency_ns"] * 4 * idle + 4 * (cap - idle) * busy
    assert found["energy_pJ"] == pytest.approx(power * 1000 + bits * link.energy.value)
    assert found["energy_cap_pJ"] == pytest.approx(4 * cap * found["latency_ns"] * 1000)


def test_more_cards_take_no_longer_and_fewer_launches_less() -> None:
    """With the time of the links set aside; launches do not become fewer."""
    times = [baselines.evaluate(f"gpu-a100x{n}", llama(), [2000], batch=64) for n in range(1, 9)]
    alone = [t["roofline"]["latency_ns"] for t in times]
    rings = [(2 * LAYERS + 1) * ring_ns("gpu-a100", n, 64 * D * 2) if n > 1 else 0.0 for n in range(1, 9)]
    net = [whole - ring for whole, ring in zip(alone, rings, strict=True)]
    assert net == sorted(net, reverse=True)
    launches = [t["model"]["aten_ops_per_step"] for t in times]
    assert set(launches[1:]) == {launches[0] + 2 * LAYERS + 1}


@pytest.mark.parametrize("part", ["compiled", "model"])
def test_links_are_a_part_of_what_binds(part: str) -> None:
    bound = baselines.evaluate("gpu-t4x8", llama(), [100], batch=512)[part]["bound"]
    assert sum(bound.values()) == pytest.approx(1) and bound["link"] > 0
    assert "link" not in baselines.evaluate("gpu-t4", llama(), [100], batch=512)[part]["bound"]


def test_a_prompt_is_added_up_whole() -> None:
    found = baselines.evaluate("gpu-h100x2", llama(lm_head=False), [10], batch=3, prompt_tokens=50)
    one = baselines.evaluate("gpu-h100", llama(lm_head=False), [10], batch=3, prompt_tokens=50)
    rings = 2 * LAYERS * ring_ns("gpu-h100", 2, 3 * 50 * D * 2)
    prompts = [each["compiled"]["prefill"]["latency_ns"] for each in (found, one)]
    assert prompts[0] - rings == pytest.approx(prompts[1] / 2, rel=2e-3)  # norms and residuals are on both


def test_constants_of_a_link_are_those_of_groups_alone() -> None:
    one, group = (baselines.evaluate(n, llama(), [9])["model"]["constants"] for n in ("gpu-l4", "gpu-l4x2"))
    extra = {"link.bandwidth", "link.efficiency", "link.latency", "link.energy"}
    assert set(group) - set(one) == extra and set(one) <= set(group)


def test_a_file_says_its_group_itself(tmp_path: Path) -> None:
    text = files("pimsim.baselines").joinpath("gpu-a100.yaml").read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("name: gpu-a100", "name: mine\ngroup: 4"))
    mine, shipped = (baselines.evaluate(n, llama(), [50]) for n in (str(path), "gpu-a100x4"))
    assert mine == shipped


@pytest.mark.parametrize(("given", "message"), [("9", "less than or equal to 8"), ("0", "greater than or equal to 1")])
def test_a_group_of_a_file_has_a_size_that_exists(given: str, message: str) -> None:
    text = files("pimsim.baselines").joinpath("gpu-a100.yaml").read_text(encoding="utf-8")
    with pytest.raises(InputError, match=f"group: .*{message}"):
        parse_device(text.replace("name: gpu-a100", f"name: mine\ngroup: {given}"), "mine.yaml")


def test_a_group_of_a_file_needs_a_link() -> None:
    text = files("pimsim.baselines").joinpath("jetson-orin.yaml").read_text(encoding="utf-8")
    with pytest.raises(InputError, match=r"mine.yaml:\d+:1: group: 2 cards need a `link` between them"):
        parse_device(text.replace("name: jetson-orin", "name: mine\ngroup: 2"), "mine.yaml")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("gpu-h10x8", "unknown baseline 'gpu-h10x8'; did you mean 'gpu-h100x8'?"),
        ("gpu-h100x9", "unknown baseline 'gpu-h100x9'; did you mean 'gpu-h100x8'?"),
        ("gpu-h100x0", "unknown baseline 'gpu-h100x0'; did you mean 'gpu-h100'?"),
        ("jetson-orinx2", "'jetson-orinx2': jetson-orin has no `link` between cards, so there is no group of it"),
    ],
)
def test_a_group_that_there_is_not_is_refused(given: str, message: str) -> None:
    with pytest.raises(InputError) as loading:
        baselines.load(given)
    with pytest.raises(InputError) as configured:
        pimsim.run(pimsim.load_config(SHIPPED, {"baselines": [given]}))
    assert message in str(loading.value) and message in str(configured.value)


def test_a_run_shows_a_group_by_its_name() -> None:
    config = pimsim.load_config(SHIPPED, {"baselines": ["gpu-a100", "gpu-a100x2"], "workload.output_tokens": 2})
    found = pimsim.run(config).summary["baselines"]
    assert list(found) == ["gpu-a100", "gpu-a100x2"]
    assert found["gpu-a100x2"]["capacity_bytes"] == 160_000_000_000


def test_a_registered_machine_has_groups_and_its_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    monkeypatch.setattr(DEVICES, "_added", {})
    given = yaml.safe_load(files("pimsim.baselines").joinpath("gpu-l4.yaml").read_text(encoding="utf-8"))
    pimsim.register(baseline=given | {"name": "toy-gpu"})
    loaded = api.load(SHIPPED, {"baselines": ["toy-gpux2"], "workload.output_tokens": 1})
    assert "test_groups" in loaded.provenance["baselines"].home
    assert pimsim.run(loaded.config).summary["baselines"]["toy-gpux2"]["capacity_bytes"] == 48_000_000_000
    DEVICES.discard("")  # what was derived from it goes as well


@pytest.mark.parametrize(("batch", "tokens"), [(1, 1), (3, 2)])
def test_a_schedule_of_plain_decoding_costs_a_group_what_plain_decoding_does(batch: int, tokens: int) -> None:
    workload, contexts = llama(), [30, 31, 32]
    told = baselines.evaluate_schedule("gpu-a100x4", plain(workload, contexts, batch, tokens, prompt=20))
    asked = baselines.evaluate("gpu-a100x4", workload, contexts, batch, 20, tokens)
    for key in ("latency_ns", "energy_pJ", "required_bytes", "prefill_latency_ns"):
        assert told[key] == pytest.approx(asked[key])
    for part in ("compiled", "roofline"):
        assert told[part]["latency_ns"] == pytest.approx(asked[part]["latency_ns"])


def test_a_roof_is_that_of_all_cards() -> None:
    one, four = (roofline(name, llama()) for name in ("gpu-l4", "gpu-l4x4"))
    assert [four[key] / one[key] for key in ("bandwidth_GBps", "peak_TFLOPs")] == [4, 4]
