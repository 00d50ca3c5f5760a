"""Random systems: what has to hold of every one of them."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

import pimsim
from pimsim.results.result import Result
from tests.examples import examples
from tests.systems.test_systems import MOE, SHAPE, config

KEYS = ("macs", "multiplies", "adds", "moved_bytes", "pin_bytes")


@st.composite
def systems(draw: st.DrawFn) -> dict[str, Any]:
    """Keys of a system, and of what it runs, that divide."""
    tensor, pipeline = draw(st.sampled_from([1, 2, 4])), draw(st.integers(1, 4))
    experts = draw(st.booleans(), label="experts")
    expert = draw(st.sampled_from([1, 2, 4])) if experts else 1
    replicas, in_flight = draw(st.integers(1, 3)), draw(st.integers(1, 3 if pipeline > 1 else 1), label="in flight")
    each = draw(st.integers(1, 2), label="sequences of a part")
    if expert > 1 and each > 1:
        each = expert
    query = draw(st.sampled_from([1, 1, 2]), label="query tokens")
    return {
        "shape": MOE if experts else SHAPE,
        "system__devices": tensor * pipeline * expert * replicas,
        "system__tensor": tensor,
        "system__pipeline": pipeline,
        "system__expert": expert,
        "system__in_flight": in_flight,
        "system__link__topology": "switch"
        if expert > 1
        else draw(st.sampled_from(["switch", "ring", "chain", "tree"])),
        "system__link__latency_ns": draw(st.sampled_from([0, 7, 500])),
        "workload__batch": replicas * in_flight * each,
        "workload__prompt_tokens": draw(st.integers(0, 7), label="prompt"),
        "workload__prefill_chunk": draw(st.integers(1, 3), label="chunk"),
        "workload__query_tokens": query,
        "workload__output_tokens": query * draw(st.integers(1, 3), label="steps"),
        "workload__lm_head": draw(st.booleans(), label="LM head"),
        "schedule": draw(st.sampled_from(["paper", "overlap"])),
    }


def run(asked: dict[str, Any], **changes: Any) -> Result:
    asked = asked | changes
    return pimsim.run(config(asked.pop("shape"), **asked))


@settings(max_examples=examples(40), deadline=None)
@given(systems())
def test_what_holds_of_every_system(asked: dict[str, Any]) -> None:
    assume(asked["system__devices"] > 1)
    result = run(asked)
    tally, devices, system = result.tally, result.summary["devices"], result.summary["system"]
    tally.validate()
    assert min(tally.tokens.column("cycles").tolist()) >= 0 and tally.devices == asked["system__devices"]
    assert abs(sum(system["latency_breakdown_ns"].values()) - system["latency_ns"]) <= 1e-9 * system["latency_ns"]
    assert abs(sum(system["energy_breakdown_pJ"].values()) - system["energy_pJ"]) <= 1e-9 * system["energy_pJ"]
    assert 0 <= system["asic_busy_fraction"] <= 1 and 0 <= system["mac_utilization"] <= 1
    assert system["peak_power_mW"] >= system["average_power_mW"] * (1 - 1e-12)
    work = sum(share["devices"] * share["busy_fraction"] for share in devices["shares"]) / tally.devices
    bubble = tally.causes().get("bubble", 0) / tally.cycles
    assert abs(work + bubble - 1) * tally.cycles <= 1 + 1e-6  # clocks are dealt out whole
    assert sum(share["devices"] for share in devices["shares"]) + devices["idle"] == tally.devices
    for share in devices["shares"]:
        assert 0 <= share["link_fraction"] <= share["busy_fraction"] <= 1 + 1e-12
    link = system["energy_breakdown_pJ"].get("link", 0)
    assert link == 8 * tally.total("moved_bytes") * 5.0


@settings(max_examples=examples(20), deadline=None)
@given(systems())
def test_devices_multiply_what_one_would(asked: dict[str, Any]) -> None:
    """All products are cut or shared, but for routers, which every device of a stage has."""
    one = {"devices": 1, "tensor": 1, "pipeline": 1, "expert": 1, "in_flight": None}
    alone = run(asked, **{f"system__{key}": value for key, value in one.items()})
    routers = {operator.name for operator in alone.workload.operators if operator.role == "router"}
    counted, found = (
        {(row.phase, row.operator): row.macs for row in result.tally.rows if row.macs and row.operator not in routers}
        for result in (alone, run(asked))
    )
    assert found == counted


@settings(max_examples=examples(15), deadline=None)
@given(systems())
def test_a_slower_link_makes_no_system_faster(asked: dict[str, Any]) -> None:
    """And moves the same bytes by the same algorithm; only `overlap` has room for anomalies of refresh."""
    asked = asked | {"schedule": "paper", "dram__refresh": "none", "system__link__algorithm": "direct"}
    fast, slow = (run(asked, system__link__bandwidth_GBps=rate) for rate in (64, 8))
    assert slow.tally.cycles >= fast.tally.cycles
    assert slow.tally.total("moved_bytes") == fast.tally.total("moved_bytes")
    assert {key: slow.tally.total(key) for key in KEYS} == {key: fast.tally.total(key) for key in KEYS}
