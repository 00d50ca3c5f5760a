"""Several devices that share a model: what they count, beside runs of one device that nobody shared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pimsim
from pimsim.api import prepare, run_keeping
from pimsim.config.schema import Config
from pimsim.generation.speaking import speaking
from pimsim.results.result import Result
from pimsim.sim.cluster import steady_interval
from pimsim.sweep.kept import Kept
from pimsim.sweep.placement import search
from pimsim.sweep.proxy import area_mm2
from pimsim.systems.together import deal

GOLDEN = Path(__file__).parents[1] / "golden"
SHAPE: dict[str, Any] = {
    "name": "small", "layers": 4, "d_model": 256, "heads": 8, "head_dim": 32, "d_ff": 512, "vocabulary": 4096,
    "max_positions": 512,
}  # fmt: skip
MOE = {**SHAPE, "name": "mixture", "family": "llama", "experts": 4, "active_experts": 2}
FREE = {"system.link.bandwidth_GBps": 100_000, "system.link.latency_ns": 0, "system.link.flit_bytes": 1}


def config(shape: Mapping[str, Any] = SHAPE, base: str = "pim-gpt", **changes: Any) -> Config:
    """A configuration; keys with __ in the place of dots."""
    asked = {"workload.model_config": dict(shape), "workload.output_tokens": 4, "baselines": []}
    loaded = pimsim.load_config(base, asked | {key.replace("__", "."): value for key, value in changes.items()})
    assert isinstance(loaded, Config)
    return loaded


def of(shape: Mapping[str, Any] = SHAPE, base: str = "pim-gpt", **changes: Any) -> Result:
    return pimsim.run(config(shape, base, **changes))


def on(tensor: int = 1, pipeline: int = 1, expert: int = 1, replicas: int = 1) -> dict[str, int]:
    devices = tensor * pipeline * expert * replicas
    return {
        "system__devices": devices, "system__tensor": tensor, "system__pipeline": pipeline, "system__expert": expert,
    }  # fmt: skip


def told(result: Result) -> dict[str, Any]:
    """A summary without how long its simulation took, and the hash of the configuration."""
    return {key: value for key, value in result.summary.items() if key not in ("simulation", "config_sha256")}


def without_refresh(commands: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in commands.items() if not name.startswith("REF")}


# -- one device -----------------------------------------------------------------------


def test_one_device_in_a_system_is_the_device() -> None:
    alone = of(workload__prompt_tokens=3)
    system = of(workload__prompt_tokens=3, system__devices=1, system__tensor=1, system__link__latency_ns=100)
    assert system.summary["config_sha256"] == alone.summary["config_sha256"]
    assert told(system) == told(alone) and "devices" not in alone.summary
    assert system.records("operators") == alone.records("operators")


# -- devices that share matrices --------------------------------------------------------


@pytest.mark.parametrize("base", ["pim-gpt", "aim"])
@pytest.mark.parametrize("tensor", [2, 4])
def test_a_tensor_cut_has_the_commands_of_the_cut_matrices(tensor: int, base: str) -> None:
    """A model of as many heads and inner elements as one device has, on one device by itself."""
    half = {**SHAPE, "heads": 8 // tensor, "kv_heads": 8 // tensor, "d_ff": 512 // tensor}
    # what is added to a product streams with it, but not with an exchange
    changes = {"workload__prompt_tokens": 2, "dram__refresh": "none", "asic__streaming": False}
    alone, system = of(half, base, **changes), of(base=base, **changes, **FREE, **on(tensor))
    assert system.tally.commands == {name: tensor * count for name, count in alone.tally.commands.items()}
    links = 2 * 4 * 6 * (system.summary["devices"]["exchanges"][0]["ns"] > 0)  # an exchange behind each half of a block
    clocks = system.tally.causes()["link"]
    assert system.tally.cycles - clocks == alone.tally.cycles and 0 < clocks <= 8 * links
    for cause, count in alone.tally.causes().items():
        assert system.tally.causes()[cause] == count


def test_an_exchange_takes_the_clocks_that_its_links_say() -> None:
    """By hand: halves of 256 BF16 go to the other device and come back as sums, over two hops of a switch each way."""
    result = of(**on(2), dram__refresh="none")
    (exchange,) = result.summary["devices"]["exchanges"]
    slice_ps, flit_ps, hop_ps = 256 * 1000 // 64, 64 * 1000 // 64, 100_000
    adds_ps = 1000 * -(-128 // result.config.asic.adders)
    message_ps = 2 * hop_ps + slice_ps + flit_ps
    assert exchange["ns"] * 1000 == 2 * message_ps + adds_ps
    clocks = -(-(2 * message_ps + adds_ps) // result.tally.tCK_ps)
    assert result.tally.causes()["link"] == 2 * 4 * 4 * clocks
    assert result.tally.total("moved_bytes") == 2 * 4 * 4 * exchange["link_bytes"] == 2 * 4 * 4 * (2 * 2 * 2 * 256)
    bits = 8 * result.tally.total("moved_bytes")
    assert result.summary["system"]["energy_breakdown_pJ"]["link"] == bits * 5.0


@pytest.mark.parametrize(
    ("cut", "changes"),
    [
        (on(4), {}),
        (on(1, 4), {"workload__batch": 4}),
        (on(2, 2, 1, 2), {"workload__batch": 4, "workload__lm_head": True}),
        (on(1, 3), {"workload__prompt_tokens": 5, "workload__prefill_chunk": 2, "workload__lm_head": True}),
        (on(8, 1), {"workload__query_tokens": 2}),
    ],
    ids=str,
)  # fmt: skip
def test_devices_together_multiply_what_one_would(cut: dict[str, int], changes: dict[str, Any]) -> None:
    alone, system = of(**changes), of(**changes, **cut)
    for name in ("macs", "multiplies"):
        assert system.tally.total(name) >= alone.tally.total(name)
    counted = {row.operator: row.macs for row in alone.tally.phase_rows("decode")}
    assert {row.operator: row.macs for row in system.tally.phase_rows("decode") if row.operator in counted} == counted
    assert system.tally.devices == cut["system__devices"]
    assert system.summary["workload"] == alone.summary["workload"]


@pytest.mark.parametrize("batch", [1, 2, 4, 8])
@pytest.mark.parametrize("cut", [on(expert=4), on(2, 1, 2), on(1, 2, 4)], ids=str)
def test_devices_that_share_experts_multiply_what_one_would(cut: dict[str, int], batch: int) -> None:
    alone, system = of(MOE, workload__batch=batch), of(MOE, workload__batch=batch, **cut)
    counted = {row.operator: row.macs for row in alone.tally.rows if row.macs}
    found = {row.operator: row.macs for row in system.tally.rows if row.macs}
    routers = {o.name for o in alone.workload.operators if o.role == "router"}  # on all devices of a stage
    assert {name: n for name, n in found.items() if name not in routers} == {
        name: n for name, n in counted.items() if name not in routers
    }


# -- replicas ---------------------------------------------------------------------------


def test_replicas_are_so_many_runs_of_one() -> None:
    alone, system = (
        of(workload__batch=2, workload__prompt_tokens=3),
        of(workload__batch=6, workload__prompt_tokens=3, **on(replicas=3)),
    )
    assert system.tally.cycles == alone.tally.cycles
    assert system.tally.commands == {name: 3 * count for name, count in alone.tally.commands.items()}
    one, three = alone.summary["system"], system.summary["system"]
    assert three["energy_pJ"] == pytest.approx(3 * one["energy_pJ"], rel=1e-12)
    assert three["tokens_per_s"] == pytest.approx(3 * one["tokens_per_s"], rel=1e-12)
    assert three["peak_power_mW"] == pytest.approx(3 * one["peak_power_mW"], rel=1e-9)
    for same in ("mac_utilization", "row_hit_rate", "asic_busy_fraction", "latency_breakdown_ns", "ttft_ns"):
        assert three[same] == pytest.approx(one[same])


def test_replicas_without_sequences_draw_what_idle_devices_draw() -> None:
    two, five = of(workload__batch=2, **on(replicas=2)), of(workload__batch=2, **on(replicas=5))
    assert five.tally.cycles == two.tally.cycles and five.summary["devices"]["idle"] == 3
    energy = [result.summary["system"]["energy_breakdown_pJ"] for result in (two, five)]
    assert energy[0]["mac_read"] == energy[1]["mac_read"]
    idle = two.tally.cycles * Fraction(two.config.dram.tCK_ps, 1000) * 3
    vdd, standby = Fraction(two.config.dram.power.VDD_V), Fraction(two.config.dram.power.IDD2N_mA)
    expected = float(vdd * standby * 8 * idle)
    standbys = [sum(parts[f"standby_{name}"] for name in ("active", "precharged")) for parts in energy]
    assert standbys[1] - standbys[0] == pytest.approx(expected, rel=1e-9)


# -- pipelines --------------------------------------------------------------------------


def stage_clocks(result: Result) -> list[int]:
    """Clocks of a pass of each stage of a pipeline, all steps together."""
    total, devices = result.tally.cycles, result.summary["devices"]
    return [
        round(share["busy_fraction"] * total / devices["in_flight"])
        for share in devices["shares"]
        for _ in range(share["stages"])
    ]


def test_a_sequence_goes_through_all_stages_one_after_another() -> None:
    """One sequence: the time is that of all stages and of what they send each other, whoever works."""
    system = of(**on(1, 4), dram__refresh="none")
    alone = of(dram__refresh="none")
    assert sum(stage_clocks(system)) == alone.tally.cycles
    sent = system.tally.cycles - alone.tally.cycles
    vector_ps, token_ps = 200_000 + 512 * 1000 // 64 + 1000, 200_000 + 2 * 1000
    assert sent == 4 * (3 * -(-vector_ps // 1000) + -(-token_ps // 1000))
    assert without_refresh(system.tally.commands) == without_refresh(alone.tally.commands)


@pytest.mark.parametrize("in_flight", [1, 2, 4])
def test_a_full_pipeline_goes_at_the_pace_of_its_slowest_stage(in_flight: int) -> None:
    """Against the closed form: steps of attention grow, so the contexts are those at which it does not."""
    system = of(
        workload__batch=4, workload__context=33, workload__output_tokens=8, dram__refresh="none", **on(1, 4),
        system__in_flight=in_flight,
    )  # fmt: skip
    steps, clocks = 8, stage_clocks(system)
    size = 4 // in_flight * 512
    vector = -(-(200_000 + size * 1000 // 64 + 1000) // 1000)
    back = -(-(200_000 + 2 * 1000) // 1000)
    least = steady_interval([n // steps for n in clocks], in_flight, [-(-size // 64)] * 3, [vector] * 3 + [back])
    assert system.summary["devices"]["steady_step_ns"] == pytest.approx(least, rel=0.02)
    assert system.tally.cycles >= max(clocks) * in_flight


def test_bubbles_are_what_stages_wait() -> None:
    result = of(workload__batch=2, workload__lm_head=True, **on(1, 2, 1, 1))
    shares = result.summary["devices"]["shares"]
    waits = sum(share["devices"] * share["bubble_fraction"] for share in shares) / 2
    assert result.tally.causes()["bubble"] / result.tally.cycles == pytest.approx(waits, abs=1e-6)
    assert sum(result.tally.causes().values()) == result.tally.cycles
    for share in shares:
        assert share["busy_fraction"] + share["bubble_fraction"] == pytest.approx(1)


def test_a_longer_pipeline_has_more_sequences_on_the_way() -> None:
    assert of(workload__batch=6, **on(1, 4)).summary["devices"]["in_flight"] == 3  # 4 does not divide them


@given(st.lists(st.fractions(0, 10**6), min_size=1, max_size=20))
def test_fractions_are_dealt_in_whole_numbers(values: list[Fraction]) -> None:
    total = -int(-sum(values) // 1)
    exact = {("", str(i), ""): value for i, value in enumerate(values)}
    exact["", "rest", ""] = total - sum(values)
    dealt = deal(exact, total)
    assert sum(dealt.values()) == total
    assert all(abs(dealt[key] - exact[key]) < 1 for key in exact)


# -- engines and sweeps ------------------------------------------------------------------


@pytest.mark.parametrize("cut", [on(2, 2), on(4), on(1, 2, 1, 2)], ids=str)
def test_it_is_the_same_in_each_mode_and_from_kept_parts(cut: dict[str, int]) -> None:
    changes = {"workload__batch": 2, "workload__prompt_tokens": 2, "workload__output_tokens": 2, **cut}
    fast = told(of(**changes))
    assert told(of(**changes, engine__mode="stepped", engine__fold=False)) == fast
    keep = Kept()
    assert [told(run_keeping(config(**changes), keep)) for _ in range(2)] == [fast, fast]


def test_work_overlaps_with_what_is_sent() -> None:
    """With sequences in a batch, the exchange of one is no reason for others to wait; never slower than in turns."""
    paper, overlap = (
        of(**on(2), workload__batch=4, schedule=schedule, system__link__latency_ns=1000)
        for schedule in ("paper", "overlap")
    )
    assert overlap.tally.cycles <= paper.tally.cycles


def test_a_large_system_is_simulated_as_its_few_different_devices() -> None:
    members = prepare(config(**on(2, 4, 1, 4), workload__batch=16, workload__lm_head=True)).members  # type: ignore[attr-defined]
    assert len(members) == 3  # the first stage, the last one, and two in between that are the same


# -- what is refused ---------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (on(3), "system.tensor", "8 heads do not divide; 2, 4 or 8 do"),
    (on(1, 5), "system.pipeline", "a pipeline of 5 stages is longer than the 4 blocks"),
    (on(expert=2), "system.expert", "2 devices are to share experts, but the model has none"),
    ({"system__link__bandwidth_GBps": 0}, "system.link.bandwidth_GBps", "must be more than 0, not 0"),
    ({"system__link__topology": "star"}, "system.link.topology", "star"),
    ({"dram__rows": 12, **on(2)}, "dram.rows", "holds it: system.devices="),
    ({"dram__rows": 1, **on(2)}, "dram.rows", "no system of up to 4096 of these devices holds it"),
]


@pytest.mark.parametrize(("changes", "key", "said"), REFUSED, ids=str)
def test_what_cannot_be_shared_is_refused(changes: dict[str, Any], key: str, said: str) -> None:
    with pytest.raises(pimsim.InputError) as refused:
        of(**changes)
    assert any(problem.key == key and said in problem.message for problem in refused.value.problems), refused.value


def test_all_that_does_not_divide_is_told_at_once() -> None:
    with pytest.raises(pimsim.InputError) as refused:
        of(MOE, **on(3, 5, 3))
    assert {problem.key for problem in refused.value.problems} == {"system.tensor", "system.pipeline", "system.expert"}


def test_the_smallest_system_holds_the_model_and_no_smaller_one_does() -> None:
    rows = {"dram__rows": 30, "workload__lm_head": True}
    with pytest.raises(pimsim.InputError) as refused:
        of(**rows, **on(2))
    told = refused.value.problems[0].message.partition("holds it: ")[2]
    found = {name: int(count) for name, count in re.findall(r"system[.](\w+)=(\d+)", told)}
    tensor, pipeline = found.get("tensor", 1), found.get("pipeline", 1)
    assert found["devices"] == tensor * pipeline > 1
    of(**rows, **on(tensor, pipeline))
    fewer = [(t, p) for t in (1, 2, 4, 8) for p in (1, 2, 3, 4) if t * p < tensor * pipeline]
    for t, p in fewer:
        with pytest.raises(pimsim.InputError):
            of(**rows, **on(t, p))


@pytest.mark.parametrize("cut", [on(2), on(4, 1, 1, 2), on(2, 2), on(2, 1, 4)], ids=str)
def test_the_exchanges_that_are_told_are_those_that_were_planned(cut: dict[str, int]) -> None:
    """The summary finds them in the graphs, and the planner has asked for each."""
    changes = {"workload__batch": 8, "workload__prompt_tokens": 5, "workload__prefill_chunk": 2}
    prepared = prepare(config(MOE, workload__lm_head=True, workload__query_tokens=2, **changes, **cut))
    told = pimsim.run(prepared).summary["devices"]["exchanges"]
    planned = set(prepared.wiring._known)  # type: ignore[attr-defined]
    assert {(each["kind"], each["elements"]) for each in told} == planned


# -- what a careful reader is told ---------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "changes", "said"),
    [
        (SHAPE, on(replicas=3), "2 of 3 devices have no sequence"),
        (SHAPE, {"workload__batch": 2, **on(1, 4)}, "2 of 4 stages have a part of the batch at a time"),
        (MOE, {"workload__batch": 2, **on(expert=2)}, "experts are taken to be chosen evenly"),
    ],
)  # fmt: skip
def test_it_is_told_where_devices_wait(shape: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    assert [text for text in of(shape, **changes).summary["warnings"] if said in text]
    assert not [text for text in of(shape, workload__batch=3, **on(replicas=3)).summary["warnings"] if said in text]


def test_a_system_of_devices_is_as_large_as_all_of_them() -> None:
    assert area_mm2(config(**on(replicas=3))) == 3 * area_mm2(config())


def test_what_is_of_one_device_is_refused_for_several(tmp_path: Path) -> None:
    several = config(**on(2))
    for ask in (
        lambda: pimsim.run(several, log=tmp_path / "log.csv"),
        lambda: search(several),
        lambda: speaking(several, None, 1, 1),  # type: ignore[arg-type]
    ):
        with pytest.raises(pimsim.InputError) as refused:
            ask()
        assert [problem.key for problem in refused.value.problems] == ["system.devices"]
    assert not list(tmp_path.iterdir())


def test_a_schedule_of_several_templates_runs_on_one_device() -> None:
    trace = str(GOLDEN / "schedules" / "accepted.jsonl")
    with pytest.raises(pimsim.InputError) as refused:
        pimsim.run(pimsim.load_config("pim-gpt", {"workload.trace": trace, "baselines": [], "system.devices": 2}))
    assert "more than plain decoding runs on one device" in str(refused.value)


# -- what each device keeps, sends and does while it waits ----------------------------------


def memory_of(result: Result) -> list[int]:
    return [share["memory_bytes"] for share in result.summary["devices"]["shares"]]


def test_a_stage_keeps_k_and_v_of_all_parts_of_the_batch() -> None:
    changes = {"workload__batch": 8, "workload__context": 400, **on(1, 4)}
    kept = [memory_of(of(**changes, system__in_flight=parts)) for parts in (1, 2, 4, 8)]
    assert kept == [kept[0]] * 4
    rows = round(max(kept[0]) / (2048 * 16 * 8)) - 1
    with pytest.raises(pimsim.InputError, match="does not fit"):
        of(**changes, system__in_flight=8, dram__rows=rows)


def test_what_would_help_is_not_said_of_a_part_of_the_batch() -> None:
    with pytest.raises(pimsim.InputError) as refused:
        of(workload__batch=8, workload__context=400, dram__rows=10, **on(replicas=4))
    assert "workload.batch=" not in str(refused.value)


def test_devices_without_sequences_keep_their_experts() -> None:
    shares = of(MOE, **on(expert=4)).summary["devices"]["shares"]
    assert len({share["memory_bytes"] for share in shares}) == 1 and len(shares) > 1


def test_messages_of_a_prompt_are_part_of_it() -> None:
    """Each of 7 tokens crosses to the second stage in the prompt, and 4 in decoding; tokens go back in flits of 64."""
    result = of(workload__prompt_tokens=7, workload__prefill_chunk=2, **on(1, 2))
    rows = {row.phase: row for row in result.tally.rows if row.operator == "stage_transfer"}
    assert rows["prefill"].moved_bytes == 2 * (7 * 512 + 64) and rows["decode"].moved_bytes == 2 * 4 * (512 + 64)
    assert (rows["prefill"].count, rows["decode"].count) == (4 + 1, 2 * 4)
    energy = result.summary["system"]
    context = of(workload__context=7, **on(1, 2)).summary["system"]
    assert energy["energy_per_token_pJ"] == pytest.approx(context["energy_per_token_pJ"], rel=0.02)


@pytest.mark.parametrize(("batch", "groups"), [(1, 1), (3, 3), (4, 4), (8, 4)])
def test_only_devices_with_sequences_have_something_to_add_up(batch: int, groups: int) -> None:
    """An all-reduce of each of their groups, behind attention and behind experts; of vectors that are whole."""
    result = of(MOE, workload__batch=batch, **on(2, 1, 4))
    sums = [row for row in result.tally.rows if row.operator.endswith("_all_reduce")]
    sequences = -(-batch // 4)
    assert sum(row.moved_bytes for row in sums) == 4 * 4 * 2 * groups * sequences * (2 * 2 * 512)


def test_the_whole_of_uneven_stages_goes_on_to_the_next() -> None:
    result = of(MOE, workload__batch=3, workload__output_tokens=1, **on(1, 2, 4))
    (sent,) = [row for row in result.tally.rows if row.operator == "stage_transfer"]
    assert sent.moved_bytes == 2 * (3 * 512) + 2 * 64 * 4  # a vector of each sequence; the tokens to all of the first


def test_a_stage_that_waits_is_refreshed_all_the_while() -> None:
    """Short passes have no refresh of their own, and long waits have many."""
    result = of(workload__output_tokens=2, system__link__latency_ns=50_000, **on(1, 4))
    tREFI = 6825
    due = 4 * 8 * result.tally.cycles / tREFI
    assert result.tally.commands["REFAB"] == pytest.approx(due, rel=0.05, abs=8 * 4)


def test_links_at_work_are_in_the_peak_power() -> None:
    peaks = [of(workload__output_tokens=64, **on(4), system__link__energy_pJ_per_bit=pJ).summary for pJ in (5, 1000)]
    (exchange,) = peaks[1]["devices"]["exchanges"]
    more = exchange["link_bytes"] * 8 * 995 / -(-exchange["ns"] // 1)
    powers = [each["system"]["peak_power_mW"] for each in peaks]
    assert powers[1] - powers[0] == pytest.approx(more, rel=1e-6)


def test_replicas_do_not_open_a_ring() -> None:
    one, two = (
        of(**on(4, replicas=replicas), workload__batch=replicas, system__link__topology="ring") for replicas in (1, 2)
    )
    assert one.tally.cycles == two.tally.cycles


def test_parts_of_the_batch_divide_over_devices_that_share_experts() -> None:
    assert of(MOE, workload__batch=12, **on(1, 2, 4)).summary["devices"]["in_flight"] == 1


def test_a_sequence_does_not_wait_for_prompts_step_by_step() -> None:
    devices = of(workload__batch=4, workload__prompt_tokens=40, **on(1, 4)).summary["devices"]
    assert devices["sequence_step_ns"] <= 1.1 * devices["steady_step_ns"]
