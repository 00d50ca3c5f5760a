"""Configurations for tests: the shipped one with changes, and Hypothesis strategies for small ones of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from pimsim import load_config
from pimsim.config.schema import Config
from pimsim.schedules import SCHEDULES as KNOWN
from tests.conftest import SHIPPED

REFRESH = ("all_bank", "per_bank", "none")
SCHEDULES = tuple(KNOWN)


def config_of(overrides: Mapping[str, Any] | None = None) -> Config:
    """The shipped configuration without baselines, with some keys changed: {"dram.channels": 4}."""
    return load_config(SHIPPED, {"baselines": [], **(overrides or {})})


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """A model of a few dozen elements, of odd sizes."""
    kv_heads = draw(st.integers(1, 3), label="kv_heads")
    heads = kv_heads * draw(st.integers(1, 2), label="heads for each")
    return draw(variants()) | {
        "name": "tiny",
        "layers": draw(st.integers(1, 2), label="layers"),
        "d_model": heads * draw(st.integers(1, 40), label="head_dim"),
        "heads": heads,
        "kv_heads": kv_heads,
        "d_ff": draw(st.integers(1, 200), label="d_ff"),
        "vocabulary": draw(st.integers(1, 300), label="vocabulary"),
        "max_positions": draw(st.integers(9, 16), label="max_positions"),
    }


@st.composite
def variants(draw: st.DrawFn) -> dict[str, Any]:
    """What tells models apart besides their sizes: half are GPT-2, without any of it."""
    if draw(st.booleans(), label="as GPT-2"):
        return {}
    experts = draw(st.integers(1, 3), label="experts")
    return {
        "family": draw(st.sampled_from(["llama", "qwen2", "gpt2"]), label="family"),
        "head_dim": 2 * draw(st.integers(1, 20), label="half a head"),
        "window": draw(st.none() | st.integers(1, 4), label="window"),
        "experts": experts,
        "active_experts": draw(st.integers(1, experts), label="active experts"),
        "tied": draw(st.booleans(), label="tied"),
    }


@st.composite
def organisations(draw: st.DrawFn) -> dict[str, Any]:
    """Channels, banks, rows, columns and buffers of every shape."""
    lanes = draw(st.sampled_from([1, 2, 8, 16]), label="lanes")
    column = 2 * lanes * draw(st.integers(1, 3), label="beats of a column")
    return {
        "dram.channels": draw(st.sampled_from([1, 2, 3, 8, 32]), label="channels"),
        "dram.bank_groups": draw(st.integers(1, 4), label="bank_groups"),
        "dram.banks_per_group": draw(st.integers(1, 8), label="banks_per_group"),
        "dram.rows": 1 << 20,
        "dram.column_bytes": column,
        "dram.row_bytes": column * draw(st.sampled_from([1, 2, 7, 64]), label="columns of a row"),
        "pim.lanes": lanes,
        "pim.global_buffer_bytes": column * draw(st.sampled_from([1, 3, 64]), label="columns of the buffer"),
    }


@st.composite
def workloads(draw: st.DrawFn) -> dict[str, Any]:
    """What is simulated: a tiny model and a few tokens, with every option."""
    query = draw(st.sampled_from([1, 1, 2]), label="query_tokens")
    return {
        "workload.model_config": draw(models()),
        "workload.prompt_tokens": draw(st.integers(0, 3), label="prompt_tokens"),
        "workload.output_tokens": query * draw(st.integers(1, 3), label="decode steps"),
        "workload.query_tokens": query,
        "workload.routing": draw(st.sampled_from(["expected", "sampled"]), label="routing"),
        "workload.batch": draw(st.integers(1, 3), label="batch"),
        "workload.lm_head": draw(st.booleans(), label="lm_head"),
        "workload.biases": draw(st.booleans(), label="biases"),
        "mapping.value_append": draw(st.sampled_from(["single_bank", "all_bank"]), label="value_append"),
        "mapping.values": draw(st.sampled_from(["heads", "tokens"]), label="values"),
        "mapping.attention": draw(st.sampled_from(["whole", "per_head"]), label="attention"),
        "asic.sram_KiB": draw(st.sampled_from([0.05, 0.5, 128]), label="sram_KiB"),
    }


@st.composite
def timings(draw: st.DrawFn) -> dict[str, Any]:
    """Times that are no whole clocks, and every way to refresh, often enough to happen in a small run."""

    def ns(name: str, low: int, high: int) -> float:
        return draw(st.integers(low, high), label=f"{name} (0.01 ns)") / 100

    groups, banks = draw(st.integers(1, 4), label="bank_groups"), draw(st.integers(1, 8), label="banks_per_group")
    rcd, rp, ras = ns("tRCDRD", 100, 2000), ns("tRP", 100, 2000), ns("tRAS - tRCDRD", 0, 2000)
    rcdwr, ccds, rrds, wtrs, cwl, wr, rfc = (ns("other", 50, 2000) for _ in range(7))
    rc = round(rcd + ras + rp + ns("tRC - tRAS - tRP", 0, 500), 2)
    refresh = draw(st.sampled_from(REFRESH), label="refresh")
    reopen = rc + max(rcd, rcdwr) + cwl + wr
    share = groups * banks if refresh == "per_bank" else 1
    room = draw(st.integers(20, 2000), label="room between refreshes")
    values = {
        "tRCDRD": rcd, "tRCDWR": rcdwr, "tRP": rp, "tRAS": round(rcd + ras, 2), "tRC": rc,
        "tCCDS": ccds, "tCCDL": round(ccds + ns("tCCDL - tCCDS", 0, 300), 2),
        "tRRDS": rrds, "tRRDL": round(rrds + ns("tRRDL - tRRDS", 0, 300), 2), "tFAW": rrds + 30,
        "tRTP": ns("tRTP", 50, 900),
        "tWR": wr, "tWTRS": wtrs, "tWTRL": round(wtrs + ns("tWTRL - tWTRS", 0, 300), 2), "tCL": ns("tCL", 50, 2500),
        "tCWL": cwl, "tRFC": rfc, "tREFI": round((rfc + reopen + room) * share + 500, 2), "tRFCpb": rfc,
    }  # fmt: skip
    if draw(st.booleans(), label="a supply limit"):
        values["tFAWAB"] = draw(st.integers(1, room), label="tFAWAB")
    return {
        "dram.bank_groups": groups,
        "dram.banks_per_group": banks,
        "dram.refresh": refresh,
        "dram.write_mask": draw(st.sampled_from(["none", "standard"]), label="write_mask"),
        "dram.tCK_ps": draw(st.sampled_from([570, 1000, 833, 1250]), label="tCK_ps"),
        **{f"dram.timing.{name}_ns": round(value, 2) for name, value in values.items()},
    }


@st.composite
def systems(draw: st.DrawFn) -> dict[str, Any]:
    """Changes to the shipped configuration in every part of it; small enough to log every command."""
    return {
        **draw(organisations()),
        **draw(timings()),
        **draw(workloads()),
        "dram.io.pins": draw(st.sampled_from([1, 16, 128]), label="pins"),
        "pim.clock_GHz": draw(st.sampled_from([0.3, 1, 2]), label="PIM clock"),
        "asic.clock_GHz": draw(st.sampled_from([0.1, 0.7, 1]), label="ASIC clock"),
        "asic.adders": draw(st.sampled_from([1, 100, 4096]), label="adders"),
        "asic.sram_port_bytes": draw(st.sampled_from([2, 64, 4096]), label="sram_port_bytes"),
        "asic.streaming": draw(st.booleans(), label="streaming"),
        "schedule": draw(st.sampled_from(SCHEDULES), label="schedule"),
    }
