"""A machine beside the memory: who does what, what crosses the link, and what that takes."""

from __future__ import annotations

from fractions import Fraction
from importlib.resources import files
from math import ceil
from pathlib import Path
from typing import Any

import pytest

import pimsim
from pimsim.api import prepare
from pimsim.baselines.devices import load
from pimsim.results.figures import is_part, known
from pimsim.results.named import single_values
from pimsim.results.result import Result
from pimsim.workload.beside import FROM, TO, divide
from pimsim.workload.models import MODELS, build
from tests.configs import config_of

TINY = {
    "workload.model_config": {"name": "tiny", "layers": 3, "d_model": 64, "heads": 4, "vocabulary": 100},
    "workload.output_tokens": 3,
    "workload.context": 5,
    "workload.lm_head": True,
    "dram.refresh": "none",
}
H100 = "gpu-h100"
LINEAR, ATTENTION = {"placement.linear": H100}, {"placement.attention": H100}
FREE = {"system.link.bandwidth_GBps": 100_000, "system.link.latency_ns": 0, "system.link.energy_pJ_per_bit": 0}


def run(*more: dict[str, Any]) -> Result:
    changes = dict(TINY)
    for each in more:
        changes |= each
    return pimsim.run(config_of(changes))


def rows(result: Result, phase: str = "decode") -> dict[str, Any]:
    return {row.operator: row for row in result.tally.rows if row.phase == phase}


def shipped() -> str:
    return files("pimsim.baselines").joinpath("gpu-h100.yaml").read_text(encoding="utf-8")


def instant(folder: Path, launch: float = 1e-9) -> str:
    """The file of a machine that takes no time worth a clock; launch: us."""
    text = shipped().replace("name: gpu-h100", "name: instant", 1).replace("value: 3350,", "value: 1e12,", 1)
    text = text.replace("989.4,", "1e12,").replace("66.9,", "1e12,").replace("value: 16\n", f"value: {launch}\n", 1)
    path = folder / "instant.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


# -- what crosses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["gpt3-small", "llama-3.2-1b", "mixtral-8x7b"])
@pytest.mark.parametrize("attention", [True, False])
def test_queries_keys_and_values_cross_and_what_is_attended_to_comes_back(model: str, attention: bool) -> None:
    workload = build(MODELS[model], lm_head=True)
    there = [o.name for o in workload.operators if (o.op == "attention") == attention]
    crossing = {o.op: o.outputs for o in divide(workload, there).workload.select("block") if o.op in (TO, FROM)}
    shape = MODELS[model]
    asked, answered = (TO, FROM) if attention else (FROM, TO)
    assert crossing == {asked: shape.q_width + 2 * shape.kv_width, answered: shape.q_width}


def test_every_message_is_whole_flits_and_no_byte_is_lost() -> None:
    result = run(LINEAR, {"workload.batch": 5})
    there = {operator.name: operator for operator in prepare(result.config).plan.workload.operators}
    moved = {name: row.moved_bytes for name, row in rows(result).items() if row.moved_bytes}
    for name, found in moved.items():
        payload = 5 * there[name].outputs * 2
        assert found == 3 * 3 * ceil(payload / 64) * 64  # layers, steps
    assert result.summary["placement"]["link_bytes"] == sum(moved.values())
    assert result.summary["system"]["energy_breakdown_pJ"]["link"] == sum(moved.values()) * 8 * 5


def test_what_is_elsewhere_takes_no_rows_here() -> None:
    plan = prepare(run(LINEAR).config).plan
    assert not plan.memory.matrices and not plan.memory.tables and set(plan.memory.keys) == {"attention"}
    plan = prepare(run(ATTENTION).config).plan
    assert "qkv" in plan.memory.matrices and not plan.memory.keys


# -- time --------------------------------------------------------------------------------------------------------------


def by_hand(result: Result, told: float) -> int:
    """Clocks of machine and link in `linear: NAME` under `paper`, from sizes and rates; told: ns of a launch."""
    device, shape, batch = load(H100), {"d": 64, "ff": 256, "v": 100}, result.config.workload.batch
    rate = Fraction(device.memory.bandwidth.value) * Fraction(str(device.memory.efficiency.value))  # bytes per ns
    peak = Fraction(str(device.data_types["bf16"].peak.value)) * 1000

    def ns(elements: int, operations: int) -> Fraction:
        return max(2 * elements / rate, operations / peak)

    def product(k: int, m: int, bias: bool = True) -> Fraction:
        return ns(k * m + m * bias, batch * (2 * k * m + m * bias))

    d, ff, v = shape["d"], shape["ff"], shape["v"]
    norm, add = ns(2 * d, batch * 7 * d), ns(0, batch * d)
    head, tail = [norm, product(d, 3 * d)], [product(d, d), add, norm, product(d, ff), ns(0, batch * 9 * ff),
                                             product(ff, d), add]  # fmt: skip
    before, after = [ns(2 * batch * d, batch * d)], [norm, product(d, v, bias=False)]
    first = max(0, Fraction(told) - sum(before + head))
    others = max(0, Fraction(told) - sum(tail + head))
    messages = [ceil(2 * batch * n / 64) * 64 / Fraction(64) + 100 for n in (3 * d, d)]
    once, each = [first, *before, *after], [*head, others, *tail, *messages]
    return 3 * (sum(map(ceil, once)) + 3 * sum(map(ceil, each)))


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("launch_us", [16, 0.02, 1e-9])
def test_machine_and_link_take_what_sizes_and_rates_give_by_hand(tmp_path: Path, batch: int, launch_us: float) -> None:
    machine = tmp_path / "mine.yaml"
    machine.write_text(shipped().replace("value: 16\n", f"value: {launch_us}\n", 1), encoding="utf-8")
    result = run({"placement.linear": str(machine), "workload.batch": batch, "dram.tCK_ps": 1000})
    causes = result.tally.causes()
    assert causes["machine"] + causes["link"] == by_hand(result, launch_us * 1000)


def test_everything_on_the_machine_takes_what_the_machine_takes_alone() -> None:
    result = run(
        LINEAR, ATTENTION, {"baselines": [H100], "workload.model_config": None, "workload.model": "gpt3-small"}
    )
    alone, system = result.summary["baselines"][H100]["compiled"], result.summary["system"]
    instructions = sum(row.count for row in result.tally.rows)
    assert 0 <= system["latency_ns"] - alone["latency_ns"] <= instructions * result.tally.tCK_ps / 1000
    assert system["energy_breakdown_pJ"]["machine"] == pytest.approx(alone["energy_pJ"], rel=2e-3)
    assert not any(result.tally.commands.values()) and result.summary["placement"]["link_bytes"] == 0


def test_a_free_link_and_an_instant_machine_leave_the_attention_of_the_memory(tmp_path: Path) -> None:
    alone = run()
    other = run({"placement.linear": instant(tmp_path)}, FREE)
    of_attention = ("key_append", "value_append", "scores", "softmax", "values")
    left = {name: row.cycles for name, row in rows(other).items() if any(row.commands.values()) or row.adds}
    assert set(left) <= set(of_attention)
    # a program may find rows open or closed as others have left them
    known = rows(alone)
    assert left["softmax"] == known["softmax"].cycles and left["scores"] == known["scores"].cycles
    waits = sum(row.count for row in other.tally.rows)  # a clock at most for each instruction elsewhere
    assert sum(row.cycles for row in other.tally.rows) - sum(left.values()) <= waits


def test_overlap_is_never_slower() -> None:
    for mode in (LINEAR, ATTENTION):
        assert run(mode, {"schedule": "overlap"}).tally.cycles <= run(mode).tally.cycles


# -- what it is beside -------------------------------------------------------------------------------------------------


def test_a_run_without_a_machine_is_what_it_was() -> None:
    same = run({"placement.linear": "pim", "placement.attention": "pim", "placement.prefill": "pim"})
    mine, known = ({k: v for k, v in r.summary.items() if k != "simulation"} for r in (same, run()))
    assert mine == known and "placement" not in mine
    assert not {"machine", "link"} & set(mine["system"]["energy_breakdown_pJ"])


def test_a_machine_works_for_its_operators_and_waits_for_the_rest() -> None:
    result, device = run(LINEAR), load(H100)
    launches = sum(row.outside_cycles for name, row in rows(result).items() if name.startswith("launch"))
    clocks = sum(row.outside_cycles for row in result.tally.rows if not row.moved_bytes) - launches
    ns = result.tally.tCK_ps / 1000
    idle, cap = device.watts
    expected = 1000 * ns * (idle * result.tally.cycles + (cap - idle) * clocks)
    assert result.summary["system"]["energy_breakdown_pJ"]["machine"] == pytest.approx(expected, rel=1e-12)


def test_the_summary_says_who_does_what() -> None:
    found = run(LINEAR).summary["placement"]
    assert found["operators"]["pim"] == ["attention"] and "lm_head" in found["operators"]["machine"]
    assert (found["machine"], found["linear"], found["attention"]) == (H100, H100, "pim")
    assert 0 < found["machine_busy_fraction"] < 1 and found["memory"]["machine"]["fits"]


def test_a_machine_that_cannot_hold_its_part_is_told(tmp_path: Path) -> None:
    path = Path(instant(tmp_path))
    path.write_text(path.read_text().replace("value: 80,", "value: 0.0001,", 1))
    result = run({"placement.linear": str(path)})
    assert any("does not fit" in text for text in result.summary["warnings"])
    assert not result.summary["placement"]["memory"]["machine"]["fits"]


def test_a_row_of_a_sweep_has_the_figures_of_the_machine() -> None:
    summary = run(LINEAR).summary
    found = dict(single_values(summary))
    for name in ("placement.machine_busy_fraction", "placement.link_busy_fraction", "placement.link_bytes"):
        assert found[name] == summary["placement"][name.rpartition(".")[2]]
        assert name in set(known()) and is_part(name)
    assert not any(name.startswith("placement.") for name, _ in single_values(run().summary))
