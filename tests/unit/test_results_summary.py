"""`summary.json`: its keys, its sums, and each figure against arithmetic by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from math import fsum, nan

import pytest

from pimsim.devices.registry import device_of
from pimsim.errors import Problem
from pimsim.results.metrics import bytes_without_pim, in_order, row_hit_rate
from pimsim.results.summary import to_json
from tests.result_samples import small_config, small_result, small_tally, workload

DEVICE = device_of(small_config())

KEYS = [
    "schema", "pimsim_version", "config_sha256", "trace_sha256", "workload", "system", "baselines", "warnings",
    "simulation",
]  # fmt: skip
SYSTEM = {
    "cycles", "latency_ns", "prefill_latency_ns", "latency_per_token_ns", "tokens_per_s", "energy_pJ", "ttft_ns",
    "tpot_ns", "latency_per_step_ns", "energy_per_token_pJ", "average_power_mW", "latency_breakdown_ns",
    "energy_breakdown_pJ", "commands",
    "row_hit_rate", "external_bytes", "data_movement_reduction", "non_vmm_fraction", "mac_utilization",
}  # fmt: skip


def test_keys_are_those_of_the_contract_in_its_order() -> None:
    summary = small_result().summary
    assert list(summary) == KEYS
    assert set(summary["system"]) >= SYSTEM
    assert {"model", "prompt_tokens", "output_tokens", "batch", "parameters"} <= set(summary["workload"])
    assert {"latency_ns", "energy_pJ", "speedup", "energy_ratio", "model", "roofline"} <= set(
        summary["baselines"]["gpu-t4"]
    )
    assert set(summary["simulation"]) == {"wall_s", "commands_per_s", "engine", "folded"}
    assert summary["schema"] == "pimsim.summary/1"


def test_latency_per_token_leaves_the_prefill_out() -> None:
    system = small_result(config=small_config(workload__prompt_tokens=2), tally=small_tally(prefill=True)).summary[
        "system"
    ]
    assert system["cycles"] == 1100
    assert system["latency_ns"] == 1100.0
    assert system["prefill_latency_ns"] == 100.0
    assert system["latency_per_token_ns"] == 1000 / 3
    assert system["tokens_per_s"] == pytest.approx(3e6, rel=1e-12)


def test_first_token_comes_after_the_prompt_and_one_step() -> None:
    """The made-up steps take 300, 330 and 370 clocks of 1 ns, the prompt 100."""
    prefilled = small_result(config=small_config(workload__prompt_tokens=2), tally=small_tally(prefill=True))
    assert prefilled.summary["system"]["ttft_ns"] == 400.0
    assert small_result().summary["system"]["ttft_ns"] == 300.0


def test_a_step_of_several_query_tokens_is_one_step() -> None:
    config = small_config(workload__query_tokens=3)
    system = small_result(config=config).summary["system"]
    assert system["latency_per_step_ns"] == 1000.0
    assert system["latency_per_token_ns"] == system["tpot_ns"] == 1000 / 3


def test_tokens_are_those_of_all_sequences() -> None:
    work = small_result(config=small_config(workload__batch=4)).summary["workload"]
    assert work["tokens_run"] == work["tokens_kept"] == 4 * 3


def test_warnings_are_texts_without_a_place_each_once() -> None:
    odd = tuple(Problem(file, 3, 1, "dram.rows", "is odd") for file in ("/here/a.yaml", "/there/b.yaml"))
    assert small_result(odd=odd).summary["warnings"] == ["is odd"]
    assert small_result().summary["warnings"] == []


def test_energy_per_token_leaves_the_prefill_out() -> None:
    prefilled = small_result(config=small_config(workload__prompt_tokens=2), tally=small_tally(prefill=True))
    system = prefilled.summary["system"]
    decode = system["energy_pJ"] - system["prefill_energy_pJ"]
    assert system["prefill_energy_pJ"] > 0
    assert system["energy_per_token_pJ"] == pytest.approx(decode / 3, rel=1e-12)


def test_time_follows_the_clock_period() -> None:
    config = small_config(dram__tCK_ps=570)
    system = small_result(config=config, tally=replace(small_tally(), tCK_ps=570)).summary["system"]
    assert system["latency_ns"] == 570.0
    assert system["latency_breakdown_ns"]["mac"] == 285.0


def test_a_batch_gives_a_token_per_sequence_and_step() -> None:
    one = small_result().summary["system"]
    two = small_result(config=small_config(workload__batch=2)).summary["system"]
    assert two["latency_per_token_ns"] == one["latency_per_token_ns"]
    assert two["tokens_per_s"] == 2 * one["tokens_per_s"]
    assert two["energy_per_token_pJ"] == one["energy_per_token_pJ"] / 2


def test_breakdowns_sum_to_their_totals() -> None:
    tally = replace(small_tally(prefill=True), tCK_ps=571)
    system = small_result(config=small_config(dram__tCK_ps=571, workload__prompt_tokens=2), tally=tally).summary[
        "system"
    ]
    assert fsum(system["latency_breakdown_ns"].values()) == pytest.approx(system["latency_ns"], rel=1e-12)
    assert fsum(system["energy_breakdown_pJ"].values()) == pytest.approx(system["energy_pJ"], rel=1e-12)


def test_power_is_energy_over_latency() -> None:
    system = small_result().summary["system"]
    assert system["average_power_mW"] == pytest.approx(system["energy_pJ"] / system["latency_ns"], rel=1e-12)


def test_counts_and_shares_are_those_worked_out_by_hand() -> None:
    system = small_result().summary["system"]
    assert system["row_hit_rate"] == 1 - (10 * 16 + 16) / (400 * 16 + 32)
    assert system["external_bytes"] == 2560 + 1024
    assert system["payload_bytes"] == 3000
    assert system["non_vmm_fraction"] == 40 / 1000
    assert system["mac_utilization"] == 500_000 / (8 * 16 * 16 * 1000)
    assert system["commands"] == {
        "ACT": 16, "ACTAB": 10, "MACAB": 400, "PRE": 16, "PREAB": 9, "RDMAC": 20, "REFAB": 3, "WR": 32, "WRGB": 40,
    }  # fmt: skip


def test_a_command_that_never_ran_is_not_listed() -> None:
    tally = small_tally()
    with_zero = replace(tally, commands={**tally.commands, "RD": 0})
    assert "RD" not in small_result(tally=with_zero).summary["system"]["commands"]


def test_data_movement_counts_12_L_d2_and_2_t_d_L_words_against_the_payload() -> None:
    words = 3 * 12 * 2 * 64**2 + 2 * 64 * 2 * (1 + 2 + 3)
    assert bytes_without_pim(small_config(), workload()) == 2 * words
    assert small_result().summary["system"]["data_movement_reduction"] == 2 * words / 3000


def test_data_movement_starts_after_the_prompt_and_reads_k_and_v_of_every_sequence() -> None:
    config = small_config(workload__prompt_tokens=2, workload__batch=5)
    assert bytes_without_pim(config, workload()) == 2 * (3 * 12 * 2 * 64**2 + 5 * 2 * 64 * 2 * (3 + 4 + 5))


def test_row_hit_rate_counts_an_all_bank_command_once_per_bank() -> None:
    assert row_hit_rate({"ACTAB": 1, "MACAB": 64}, DEVICE) == 1 - 1 / 64
    assert row_hit_rate({"ACT": 4, "RD": 6, "WR": 2}, DEVICE) == 0.5
    assert row_hit_rate({}, DEVICE) == 0.0


def test_row_hit_rate_is_a_share_where_refreshes_close_rows_that_nobody_used() -> None:
    assert row_hit_rate({"ACTAB": 5, "MACAB": 4}, DEVICE) == 0.0


def test_causes_are_listed_in_one_order_whatever_order_they_occurred_in() -> None:
    counts = {"softmax": 1, "write": 2, "gelu": 3, "mac": 4, "sum": 0}
    again = dict(reversed(counts.items()))
    assert list(in_order(counts).items()) == list(in_order(again).items())
    assert list(in_order(counts))[-2:] == ["gelu", "softmax"]


def test_speedup_and_energy_ratio_compare_decode_with_decode() -> None:
    config, tally = small_config(workload__prompt_tokens=2), small_tally(prefill=True)
    summary = small_result(config=config, tally=tally).summary
    t4, decode_pJ = summary["baselines"]["gpu-t4"], summary["system"]["energy_per_token_pJ"] * 3
    assert t4["speedup"] == 80.0
    assert t4["roofline"]["speedup"] == 8.0
    assert t4["energy_ratio"] == pytest.approx(4.0e9 / decode_pJ, rel=1e-12)
    assert t4["roofline"]["energy_ratio"] == pytest.approx(2.0e8 / decode_pJ, rel=1e-12)
    assert t4["model"] == {"launch_us": 10.0}


def test_simulation_speed_counts_every_command() -> None:
    simulation = small_result().summary["simulation"]
    assert simulation["commands_per_s"] == sum(small_tally().commands.values()) / 2.0
    assert simulation["engine"] == "fast"
    assert simulation["folded"] is True


def test_engine_and_folding_change_nothing_but_simulation() -> None:
    stepped = small_config(engine__mode="stepped", engine__fold=False)
    fast, slow = dict(small_result().summary), dict(small_result(config=stepped, wall_s=9.0).summary)
    assert fast.pop("simulation") != slow.pop("simulation")
    assert to_json(fast) == to_json(slow)


def test_json_reads_back_as_the_same_numbers() -> None:
    summary = small_result().summary
    text = to_json(summary)
    assert json.loads(text) == summary
    assert text.endswith("}\n") and '\n  "schema": "pimsim.summary/1",\n' in text


@pytest.mark.parametrize("value", [nan, float("inf")])
def test_json_refuses_what_json_does_not_have(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json({"system": {"latency_ns": value}})
