"""What a run's commands compute, read from its log alone; and every mistake that is planted in a log is found."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from pimsim.config.schema import Config
from pimsim.devices.pim_gpt.table import STANDARD
from pimsim.logs.log import CommandLog, read_log
from pimsim.sim.run import simulate
from tests.agreement.functional import functional_problems
from tests.configs import config_of, systems
from tests.examples import examples
from tests.logs import with_row, without_row

SMALL = {"name": "small", "layers": 2, "d_model": 64, "heads": 2, "d_ff": 200, "vocabulary": 300, "max_positions": 16}
GROUPED = SMALL | {"family": "llama", "layers": 1, "heads": 4, "kv_heads": 2, "head_dim": 32}
# A small memory: rows of 8 columns, so that sums cross rows, and a buffer that cuts every matrix.
CUT = {"dram.row_bytes": 256, "pim.global_buffer_bytes": 128, "dram.rows": 1 << 20, "dram.channels": 3}
OFTEN = {"dram.timing.tREFI_ns": 900}  # many refreshes


def of(model: Mapping[str, Any], output: int = 3, **overrides: Any) -> dict[str, Any]:
    keys = {name.replace("__", "."): value for name, value in overrides.items()}
    return {"workload.model": None, "workload.model_config": dict(model), "workload.output_tokens": output, **keys}


CASES: Mapping[str, dict[str, Any]] = {
    "gpt2-small": {"workload.model": "gpt2-small", "workload.output_tokens": 1},
    "a head larger than the buffer": of(SMALL | {"heads": 1}) | CUT,
    "matrices in chunks": of(SMALL, workload__lm_head=True) | CUT | OFTEN,
    "shared heads": of(GROUPED, 18),
    "heads that do not fill the banks": of(GROUPED | {"head_dim": 40}, 3, workload__lm_head=True),
    "shared heads, overlap": of(GROUPED, 5, schedule="overlap") | CUT | OFTEN,
    "window": of(GROUPED | {"window": 3}, 7, workload__batch=2) | CUT,
    "batch and prompt": of(SMALL, 2, workload__batch=3, workload__prompt_tokens=4, workload__lm_head=True) | OFTEN,
    "several tokens at once": of(SMALL, 6, workload__query_tokens=2, workload__prompt_tokens=1) | CUT,
    "more tokens than a channel's banks": of(SMALL | {"layers": 1}, 40) | CUT,
    "bank after bank is refreshed": of(GROUPED, 3, dram__refresh="per_bank"),
    "no refresh": of(GROUPED, 3, dram__refresh="none", mapping__value_append="all_bank"),
    "a long window": of(GROUPED | {"window": 20}, 43) | CUT,
    "V by tokens": of(GROUPED, 40, mapping__values="tokens", dram__column_bytes=8, pim__lanes=4) | CUT | OFTEN,
    "V by tokens, heads that are cut, overlap": of(
        GROUPED | {"head_dim": 40, "kv_heads": 1}, 20, schedule="overlap", mapping__values="tokens", workload__batch=2
    )
    | CUT
    | {"pim.global_buffer_bytes": 32, "dram.channels": 2},
    "by heads": of(GROUPED | {"head_dim": 80}, 40, mapping__attention="per_head", dram__channels=3) | CUT,
    "by heads, overlap, sequences": of(
        SMALL | {"heads": 8, "d_model": 512}, 20, mapping__attention="per_head", schedule="overlap", workload__batch=2
    )
    | {"dram.channels": 3},
    "by heads, V by tokens": of(
        GROUPED, 40, mapping__attention="per_head", mapping__values="tokens", dram__column_bytes=8, pim__lanes=4
    )
    | CUT
    | OFTEN,
    "V by tokens, a window": of(GROUPED | {"window": 20}, 43, mapping__values="tokens") | CUT,
    "experts": of(GROUPED | {"experts": 3, "active_experts": 2}, 3, workload__routing="sampled"),
    "what does not fit the SRAM": of(
        SMALL | {"layers": 1}, 2, asic__sram_KiB=0.25, workload__biases=True, workload__lm_head=True
    ),
}


def log_of_run(config: Config) -> CommandLog:
    """The log that a user gets."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        simulate(config, log=path)
        return read_log(path, STANDARD)


@cache
def kept(case: str) -> tuple[Config, CommandLog]:
    config = config_of(CASES[case])
    return config, log_of_run(config)


@pytest.mark.parametrize("case", CASES)
def test_a_run_computes_what_its_workload_asks_for(case: str) -> None:
    config, log = kept(case)
    assert len(log) > 200
    assert functional_problems(config, log)[:5] == []


@settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck))
@given(systems())
def test_any_run_computes_what_its_workload_asks_for(overrides: dict[str, Any]) -> None:
    config = config_of({"workload.model": None, **overrides})
    assert functional_problems(config, log_of_run(config))[:5] == []


# ---- planted mistakes -------------------------------------------------------------------

PLANTED = ("shared heads", "matrices in chunks", "window", "what does not fit the SRAM")
# Commands of the four properties; WR: those of K, V and spilled operands.
WATCHED = ("WRGB", "MACAB", "RDMAC", "WR")
# Of the shipped device: a column sent is in the buffer after tCWL and a burst; a sum is there six MAC clocks after
# its last column.
LANDS, DRAIN = 3 + 1, 6


def rows_of(log: CommandLog, name: str) -> np.ndarray[Any, Any]:
    return np.flatnonzero(log.command == STANDARD.index(name))


def some(log: CommandLog, name: str, count: int = 2) -> list[int]:
    """Rows of a command: the first, the last, and some others."""
    rows = rows_of(log, name).tolist()
    return [rows[0], rows[-1], *random.Random(len(log)).sample(rows, min(count, len(rows)))]


def twice(log: CommandLog, row: int) -> CommandLog:
    return CommandLog(**{name: np.insert(column, row, column[row]) for name, column in vars(log).items()})


def moved(log: CommandLog, row: int, to: int, clk: int) -> CommandLog:
    """The row in another place of the log, at another clock."""
    order = np.delete(np.arange(len(log)), row)
    order = np.insert(order, to, row)
    changed = with_row(log, row, clk=clk)
    return CommandLog(**{name: column[order] for name, column in vars(changed).items()})


def of_channel(log: CommandLog, row: int, name: str) -> np.ndarray[Any, Any]:
    """The rows of a command on the channel of `row`."""
    return np.flatnonzero((log.command == STANDARD.index(name)) & (log.channel == log.channel[row]))


@pytest.mark.parametrize("case", PLANTED)
@pytest.mark.parametrize("name", WATCHED)
def test_a_command_left_out_is_found(case: str, name: str) -> None:
    config, log = kept(case)
    for row in some(log, name):
        assert functional_problems(config, without_row(log, row)), row


@pytest.mark.parametrize("case", PLANTED)
@pytest.mark.parametrize("name", WATCHED)
def test_a_command_that_comes_twice_is_found(case: str, name: str) -> None:
    config, log = kept(case)
    for row in some(log, name):
        assert functional_problems(config, twice(log, row)), row


@pytest.mark.parametrize("case", PLANTED)
@pytest.mark.parametrize("name", ["WRGB", "MACAB", "WR"])
def test_a_command_at_another_address_is_found(case: str, name: str) -> None:
    config, log = kept(case)
    columns = config.dram.row_bytes // config.dram.column_bytes
    for row in some(log, name):
        column = int(log.column[row])
        other = (column + 1) % columns if name != "WRGB" else column + 1
        assert functional_problems(config, with_row(log, row, column=other)), row
        if name != "WRGB":
            assert functional_problems(config, with_row(log, row, row=int(log.row[row]) + 1)), row
            assert functional_problems(config, with_row(log, row, row=config.dram.rows - 1)), row


@pytest.mark.parametrize("case", PLANTED)
def test_a_column_that_is_sent_after_its_first_use_is_found(case: str) -> None:
    config, log = kept(case)
    for row in some(log, "WRGB"):
        macs = of_channel(log, row, "MACAB")
        to = int(macs[macs > row][0])
        assert functional_problems(config, moved(log, row, to, int(log.clk[to]))), row


@pytest.mark.parametrize("case", PLANTED)
def test_a_column_whose_data_comes_a_clock_too_late_is_found(case: str) -> None:
    config, log = kept(case)
    firsts = rows_of(log, "WRGB")[log.column[rows_of(log, "WRGB")] == 0]
    for row in (int(firsts[0]), int(firsts[-1])):
        macs = of_channel(log, row, "MACAB")
        first_use = int(log.clk[macs[macs > row][0]])
        in_time, late = (with_row(log, row, clk=first_use - clocks) for clocks in (LANDS, LANDS - 1))
        assert functional_problems(config, in_time) == []
        (problem,) = functional_problems(config, late)
        assert problem.endswith("MACAB: column 0 of the buffer is not there")


@pytest.mark.parametrize("case", PLANTED)
def test_a_sum_that_is_read_before_it_is_there_is_found(case: str) -> None:
    config, log = kept(case)
    for row in some(log, "RDMAC"):
        macs = of_channel(log, row, "MACAB")
        last = int(macs[macs < row][-1])
        in_time, early = (with_row(log, row, clk=int(log.clk[last]) + clocks) for clocks in (DRAIN, DRAIN - 1))
        assert functional_problems(config, in_time) == []
        (problem,) = functional_problems(config, early)
        assert "RDMAC: the sum is not there before" in problem
        assert functional_problems(config, moved(log, row, last, int(log.clk[last]))), row


@pytest.mark.parametrize("case", PLANTED)
def test_data_that_is_written_after_it_is_read_is_found(case: str) -> None:
    """K and V move behind the last product; what was spilled, which is read back at once, to the end."""
    config, log = kept(case)
    for row in some(log, "WR"):
        readers = np.concatenate([of_channel(log, row, "MACAB"), of_channel(log, row, "RD")])
        last = int(readers.max())
        assert functional_problems(config, moved(log, row, last + 1, int(log.clk[last]))), row
