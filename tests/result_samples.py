"""A small device, and a made-up run of it whose figures can be worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pimsim.config.loader import load_config
from pimsim.config.schema import Config
from pimsim.results.result import Result
from pimsim.sim.tally import OperatorTally, Tally, TokenTallies, TokenTally, total_of
from pimsim.workload.models import ModelShape, Workload, build

SHIPPED = Path(__file__).parents[1] / "configs" / "pim-gpt.yaml"
LAYERS, WIDTH, STEPS = 2, 64, 3
SHAPE = ModelShape("tiny", LAYERS, WIDTH, 4, 4, 4 * WIDTH, 100, 64)


def small_config(**overrides: Any) -> Config:
    """The shipped device with a tiny model and 3 steps; overrides by key with __ for the dot."""
    tiny = {"name": "tiny", "layers": LAYERS, "d_model": WIDTH, "heads": 4, "vocabulary": 100, "max_positions": 64}
    values = {"workload.model": None, "workload.model_config": tiny, "workload.output_tokens": STEPS}
    return load_config(SHIPPED, values | {key.replace("__", "."): value for key, value in overrides.items()})


def workload() -> Workload:
    return build(SHAPE, lm_head=False)


def prefill_row() -> OperatorTally:
    return OperatorTally(
        phase="prefill",
        operator="qkv",
        count=1,
        cycles=100,
        causes={"mac": 60, "activation": 40},
        commands={"ACTAB": 2, "MACAB": 50, "PREAB": 2},
        open_cycles=160,
        pin_bytes=0,
        payload_bytes=0,
        macs=1000,
    )


def decode_rows() -> list[OperatorTally]:
    vmm = OperatorTally(
        phase="decode",
        operator="qkv",
        count=6,
        cycles=900,
        causes={"mac": 500, "activation": 300, "refresh": 50, "input_transfer": 30, "result_transfer": 20},
        commands={"ACTAB": 10, "PREAB": 9, "MACAB": 400, "WRGB": 40, "RDMAC": 20, "REFAB": 3},
        open_cycles=5000,
        pin_bytes=2560,
        payload_bytes=2000,
        macs=500_000,
    )
    append = OperatorTally(
        phase="decode",
        operator="kv_write",
        count=6,
        cycles=60,
        causes={"write": 50, "activation": 10},
        commands={"ACT": 16, "WR": 32, "PRE": 16},
        open_cycles=300,
        pin_bytes=1024,
        payload_bytes=1000,
    )
    softmax = OperatorTally(
        phase="decode",
        operator="softmax",
        count=6,
        cycles=40,
        causes={"softmax": 40},
        commands={},
        open_cycles=0,
        asic_busy_cycles=70,
        adds=700,
        multiplies=800,
    )
    return [vmm, append, softmax]


def small_tally(prefill: bool = False) -> Tally:
    """1,000 decode clocks in 3 steps at contexts 1..3, after 100 clocks of prefill if asked for."""
    rows = [*([prefill_row()] if prefill else []), *decode_rows()]
    start = 100 if prefill else 0
    tokens = [TokenTally("prefill", 0, 2, 0, 100)] if prefill else []
    for step, cycles in enumerate((300, 330, 370)):
        tokens.append(TokenTally("decode", step, step + (3 if prefill else 1), start, cycles))
        start += cycles
    commands = total_of(row.commands for row in rows)
    return Tally(start, 100 if prefill else 0, 1000, commands, rows, TokenTallies(tokens)).validate()


def baseline(latency_ns: float, energy_pJ: float) -> dict[str, Any]:
    """What `pimsim.baselines` gives for one machine."""
    return {
        "latency_ns": latency_ns,
        "energy_pJ": energy_pJ,
        "model": {"launch_us": 10.0},
        "roofline": {"latency_ns": latency_ns / 10, "energy_pJ": energy_pJ / 20},
    }


BASELINES = {"gpu-t4": baseline(80_000.0, 4.0e9), "cpu-xeon-6154": baseline(900_000.0, 9.0e9)}


def small_result(**changes: Any) -> Result:
    """The result of `small_tally`, 2 s after its start, with two baselines and no plots."""
    arguments: dict[str, Any] = {
        "config": small_config(),
        "tally": small_tally(),
        "workload": workload(),
        "version": "0.0.test",
        "wall_s": 2.0,
        "baselines": BASELINES,
    }
    return Result(**(arguments | changes))
