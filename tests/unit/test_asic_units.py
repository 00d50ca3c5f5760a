"""What the ASIC's arithmetic costs, by hand, and what a simulation makes of it.

Shipped units: 256 adders (a tree of depth 8), 128 multipliers, ports of 256 bytes (128
elements) a clock, 6 Taylor terms, 2 Newton steps, 1 GHz beside a DRAM clock of 1 ns.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.asic.each import costs_of
from pimsim.asic.units import KINDS, KINDS_OF_STATES, KINDS_OF_WAYS, Cost, Units
from pimsim.devices.plan import compile_plan
from pimsim.devices.registry import resolve
from pimsim.dram.engine import Engine
from pimsim.sim.run import simulate
from pimsim.sim.system import System
from pimsim.sim.tally import OperatorTally, Tally
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator
from pimsim.workload.shapes import ModelShape
from tests.configs import config_of
from tests.examples import examples

SHIPPED_ASIC = config_of().asic


def units(**keys: Any) -> Units:
    """The shipped ASIC with some keys changed."""
    return Units(
        SHIPPED_ASIC.model_copy(
            update={key: Decimal(str(value)) if isinstance(value, float) else value for key, value in keys.items()}
        )
    )


@pytest.mark.parametrize(
    ("kind", "cost"),
    [
        # x + y: 256 adds in 1 clock, 1024 bytes read in 4; 1 deep
        ("residual", Cost(4 + 1, 256, 0, 1024 + 512)),
        ("sum", Cost(4 + 1, 256, 0, 1024 + 512)),
        # 512 bytes read in 2 clocks; the tree is 8 deep
        ("argmax", Cost(2 + 8, 256, 0, 512)),
        # 6 adds and 8 multiplies an element: 6 and 16 clocks; 14 operations in a chain
        ("gelu", Cost(16 + 14, 6 * 256, 8 * 256, 1024)),
        # maximum 2 + 8; exp and sum: 7 adds in 7 clocks, 5 multiplies in 10, 1 + 10 + 8 deep;
        # reciprocal: 3 adds, 4 multiplies, 7 deep; scale: 2 + 1
        ("softmax", Cost(10 + 29 + 8 + 3, 256 + 7 * 256 + 3, 5 * 256 + 4 + 256, 512 + 1024 + 1024)),
        ("exponentials", Cost(10 + 29 + 8, 256 + 7 * 256 + 3, 5 * 256 + 4, 512 + 1024)),
        # mean 2 + 9; variance: 257 multiplies take 3 clocks, 11 deep; 1/sqrt: 3 adds, 7 multiplies, 10 deep;
        # scale and shift: 3 operands of 512 bytes in 6 clocks, 3 deep
        ("layernorm", Cost(11 + 14 + 11 + 9, 256 + 512 + 3 + 256, 1 + 257 + 7 + 512, 512 + 1024 + 2048)),
        # squares: 257 multiplies take 3 clocks, 10 deep; 1/sqrt 11; times 1/rms, times gain: 4 clocks, 2 deep
        ("rmsnorm", Cost(13 + 11 + 6, 256 + 3, 257 + 7 + 512, 512 + 1024 + 512)),
        # exp 5 and 5, an add, the reciprocal's 3 and 4, times x: 9 adds, 10 multiplies in 20 clocks
        ("silu", Cost(20 + 19, 9 * 256, 10 * 256, 1024)),
        # 2 / cap, exp, an add, the reciprocal, 2 cap, a subtraction: 10 adds, 11 multiplies in 22 clocks
        ("tanh", Cost(22 + 21, 10 * 256, 11 * 256, 1024)),
        ("relu", Cost(2 + 1, 256, 0, 1024)),
        ("mul", Cost(4 + 1, 0, 256, 1024 + 512)),
        ("scale", Cost(2 + 1, 0, 256, 1024)),
        # 512 multiplies in 4 clocks; x, cos and sin are 1536 bytes in 6
        ("rope", Cost(6 + 2, 256, 512, 1536 + 512)),
    ],
)
def test_costs_of_256_elements(kind: str, cost: Cost) -> None:
    assert units().cost(kind, 256) == cost


@pytest.mark.parametrize(
    ("kind", "cost"),
    [
        # exp: 1 + 2 + 1 adds and 1 + 2 multiplies more, one after another but for n hi and n lo: 9 adds, 8 multiplies,
        # 16 deep.  Its pass: 11 adds in 11 clocks, 8 multiplies in 16, 1 + 16 + 8 deep
        ("softmax", Cost(10 + 41 + 8 + 3, 256 + 11 * 256 + 3, 8 * 256 + 4 + 256, 512 + 1024 + 1024)),
        ("exponentials", Cost(10 + 41 + 8, 256 + 11 * 256 + 3, 8 * 256 + 4, 512 + 1024)),
        # exp, an add, the reciprocal's 3 and 4 (7 deep), times x: 13 adds, 13 multiplies in 26 clocks, 25 deep
        ("silu", Cost(26 + 25, 13 * 256, 13 * 256, 1024)),
        # 2 / cap, exp, an add, the reciprocal, 2 cap, a subtraction: 14 adds, 14 multiplies in 28 clocks, 27 deep
        ("tanh", Cost(28 + 27, 14 * 256, 14 * 256, 1024)),
        # the square, times b, plus a, times x; then as SiLU: 14 adds, 16 multiplies in 32 clocks, 29 deep
        ("gelu", Cost(32 + 29, 14 * 256, 16 * 256, 1024)),
    ],
)
def test_costs_of_256_elements_with_a_reduced_range(kind: str, cost: Cost) -> None:
    assert units(range_reduction="ln2").cost(kind, 256) == cost


def test_a_reduced_range_is_priced_where_there_is_an_exp() -> None:
    plain, reduced = units(), units(range_reduction="ln2")
    with_exp = {"softmax", "exponentials", "silu", "tanh", "gelu", "ssm_update"}
    for kind in {*KINDS, *KINDS_OF_WAYS, *KINDS_OF_STATES} - with_exp:
        assert reduced.cost(kind, 300, 3) == plain.cost(kind, 300, 3)


def test_no_newton_step_is_a_guess() -> None:
    """An integer subtraction, and v / 2 that nobody needs."""
    asic = units(newton_steps=0)
    assert asic.cost("rmsnorm", 256) == Cost(13 + 3 + 6, 256 + 1, 257 + 1 + 512, 512 + 1024 + 512)
    assert asic.cost("exponentials", 256).adds == 256 + 7 * 256 + 1


def test_the_best_two_of_eight() -> None:
    """Twice a maximum (16 bytes; the tree is 8 deep); 1 add, 1 + 2 adds and 4 multiplies of 1/sum, 2 multiplies."""
    assert units().cost("topk", 8, ways=2) == Cost(2 * 9 + 1 + 9, 2 * 8 + 4, 4 + 2, 2 * 16 + 4 + 4)


def test_the_weighted_sum_of_two_vectors() -> None:
    """Two multiplies and an add an element; 1024 bytes in 4 clocks, 2 deep."""
    assert units().cost("weighted", 256, ways=2) == Cost(4 + 2, 256, 512, 1024 + 512)
    assert units().cost("weighted", 256, ways=3) == Cost(6 + 3, 512, 768, 1536 + 512)


def test_a_convolution_of_four_taps() -> None:
    """Four multiplies and three adds an element, in 8 and 3 clocks; four columns and as many taps are read in 16."""
    assert units().cost("conv", 256, ways=4) == Cost(16 + 4, 3 * 256, 4 * 256, 8 * 512 + 512)
    assert units().cost("conv", 256, ways=1) == Cost(4 + 1, 0, 256, 2 * 512 + 512)


def test_a_state_of_16_channels_of_16_elements() -> None:
    """Of each channel the bias of dt, softplus (7 adds, 8 multiplies, 15 deep) and dt x: 144 multiplies in 2 clocks,
    17 deep.  Of each element dt A, exp (5 and 5, 10 deep), times h, B, C, and two adds: 9 multiplies in 18 clocks, 14
    deep and a tree of 8.  Of each channel plus D x."""
    adds, multiplies = 16 * 8 + 256 * 7 + 16, 16 * 9 + 256 * 9 + 16
    sram = (96 + 64) + (4 * 512 + 64 + 512 + 32) + (96 + 32)
    assert units().cost("ssm_update", 16, 16) == Cost(2 + 17 + 18 + 14 + 8 + 1 + 2, adds, multiplies, sram)


def test_a_state_with_a_reduced_range() -> None:
    """exp: 9 adds and 8 multiplies, 16 deep.  softplus: exp, 1 + u, e and m come apart, m - 1, a series of 5 adds and
    6 multiplies, e ln 2: 18 adds and 15 multiplies, 31 deep."""
    adds, multiplies = 16 * (1 + 18) + 256 * 11 + 16, 16 * (15 + 1) + 256 * 12 + 16
    cost = units(range_reduction="ln2").cost("ssm_update", 16, 16)
    assert (cost.adds, cost.multiplies) == (adds, multiplies)
    assert cost.cycles == 2 + (1 + 31 + 1) + 24 + (1 + 16 + 3) + 8 + 1 + 2


def test_every_kind_is_priced() -> None:
    kinds = "residual sum argmax quantise gelu softmax exponentials layernorm rmsnorm silu tanh relu mul scale rope"
    assert set(KINDS) == set(kinds.split())
    assert set(KINDS_OF_WAYS) == {"topk", "weighted"}
    assert set(KINDS_OF_STATES) == {"ssm_update", "conv"}


@pytest.mark.parametrize(
    ("keys", "kind", "cycles"),
    [
        ({"adders": 16}, "residual", 256 // 16 + 1),
        ({"adders": 1, "sram_port_bytes": 2}, "residual", 512 + 1),  # 1024 bytes through 2 a clock
        ({"adders": 1, "sram_port_bytes": 8}, "residual", 256 + 1),
        ({"multipliers": 16}, "gelu", 2048 // 16 + 14),
        ({"multipliers": 2048}, "gelu", 6 + 14),  # now the adders
        ({"multipliers": 2048, "adders": 1536}, "gelu", 2 + 14),  # now the ports
        ({"multipliers": 2048, "adders": 1536, "sram_port_bytes": 512}, "gelu", 1 + 14),
        ({"adders": 16}, "argmax", 256 // 16 + 4),  # a tree of 16 is 4 deep
        ({"adders": 1}, "argmax", 256 + 1),
    ],
)
def test_adders_multipliers_and_ports_limit_in_turn(keys: dict[str, int], kind: str, cycles: int) -> None:
    assert units(**keys).cost(kind, 256).cycles == cycles


def test_terms_and_steps_are_counted() -> None:
    assert units(taylor_terms=7).cost("gelu", 256) == Cost(18 + 16, 7 * 256, 9 * 256, 1024)
    base, exact = units(), units(newton_steps=3)
    for kind, multiplies, depth in (
        ("softmax", 2, 3),
        ("layernorm", 3, 4),
        ("rmsnorm", 3, 4),
        ("topk", 2, 3),
    ):  # for each vector and step
        one, more = base.cost(kind, 100, vectors=5), exact.cost(kind, 100, vectors=5)
        assert more.adds - one.adds == 5 and more.multiplies - one.multiplies == 5 * multiplies
        assert more.cycles - one.cycles == depth  # vectors share the pipeline


@given(st.sampled_from(sorted(KINDS)), st.integers(1, 5000), st.integers(1, 8))
def test_vectors_cost_what_one_of_them_does_or_more(kind: str, n: int, vectors: int) -> None:
    one, many = units().cost(kind, n), units().cost(kind, n, vectors)
    assert (many.adds, many.multiplies) == (vectors * one.adds, vectors * one.multiplies)
    assert many.sram_bytes == vectors * one.sram_bytes and one.cycles <= many.cycles <= vectors * one.cycles


SIZES = st.sampled_from([2, 3, 7, 16, 17, 100, 128, 129, 255, 256, 257, 1000, 4096, 100_000])


@given(
    st.sampled_from(sorted(KINDS) + sorted(KINDS_OF_WAYS) + sorted(KINDS_OF_STATES)),
    st.integers(1, 5000),
    st.integers(1, 8),
    st.tuples(SIZES, SIZES, SIZES),
    st.tuples(SIZES, SIZES, SIZES),
)
def test_more_of_anything_never_takes_longer(
    kind: str, n: int, vectors: int, one: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    """256 adders took a clock more than 128 for each reduction that the ports pace, 100,000 up to nine."""
    keys = ("adders", "multipliers", "sram_port_bytes")
    less, more = (dict(zip(keys, map(pick, one, other), strict=True)) for pick in (min, max))
    few, many = units(**less).cost(kind, n, vectors), units(**more).cost(kind, n, vectors)
    assert many.cycles <= few.cycles
    assert (many.adds, many.multiplies, many.sram_bytes) == (few.adds, few.multiplies, few.sram_bytes)
    slow, fast = (units(clock_GHz=ghz).clocks(few.cycles, 570) for ghz in (0.7, 0.8))
    assert fast <= slow


@pytest.mark.parametrize(("kind", "adds", "multiplies"), [("silu", 1, 2), ("tanh", 1, 2)])
def test_a_reciprocal_per_element_takes_its_steps(kind: str, adds: int, multiplies: int) -> None:
    one, more = (units(newton_steps=steps).cost(kind, 100) for steps in (2, 3))
    assert (more.adds - one.adds, more.multiplies - one.multiplies) == (100 * adds, 100 * multiplies)
    for reduction in ("none", "ln2"):
        one, more = (units(taylor_terms=terms, range_reduction=reduction).cost(kind, 100) for terms in (6, 7))
        assert (more.adds - one.adds, more.multiplies - one.multiplies) == (100, 100)


def test_clocks_are_dram_clocks_rounded_up() -> None:
    assert [units(clock_GHz=ghz).clocks(30, 1000) for ghz in (2, 1, 0.5, 0.25)] == [15, 30, 60, 120]
    assert units().clocks(30, 570) == 53  # 30 ns / 0.57 ns = 52.6
    assert units(clock_GHz=0.7).clocks(7, 1000) == 10  # exactly
    assert units().clocks(0, 570) == 0


def test_a_port_s_transfer() -> None:
    assert [units().transfer_clocks(n, 1000) for n in (0, 32, 256, 257)] == [0, 1, 1, 2]
    assert units(clock_GHz=0.5).transfer_clocks(512, 1000) == 4
    assert units(sram_port_bytes=2).transfer_clocks(32, 500) == 32


# ---- in a simulation ---------------------------------------------------------------------

GPT2 = {"workload.model": "gpt2-small", "workload.output_tokens": 1}


def gpt2(**keys: Any) -> Tally:
    return simulate(config_of({**GPT2, **{key.replace("__", "."): value for key, value in keys.items()}}))


def operator(tally: Tally, name: str) -> OperatorTally:
    return next(row for row in tally.rows if row.operator == name)


def test_element_wise_work_streams_with_the_results() -> None:
    """Exposed: the last piece, one result of each of 128 banks; else the whole operand."""
    streamed, after = gpt2(), gpt2(asic__streaming=False)
    assert operator(streamed, "ffn_act").cycles == 12 * (8 + 14)  # 128 elements
    assert operator(after, "ffn_act").cycles == 12 * (192 + 14)  # 3072 elements
    assert operator(streamed, "ffn_residual").cycles == 12 * (2 + 1)
    assert operator(after, "ffn_residual").cycles == 12 * (12 + 1)
    for name in ("ffn_act", "ffn_residual", "attn_norm", "softmax"):
        assert operator(streamed, name).adds == operator(after, name).adds > 0
        assert operator(streamed, name).asic_busy_cycles == operator(after, name).asic_busy_cycles > 0
    assert operator(streamed, "attn_norm").cycles == operator(after, "attn_norm").cycles  # needs the whole vector
    assert streamed.cycles < after.cycles


def test_a_slow_unit_streams_no_faster_than_it_works() -> None:
    """With one multiplier the GELU's 24,576 multiplies outlast the product, whose first results they wait for.

    Those are there once 48 columns of the vector are in the buffer (the first one clock after
    the rows opened), 48 columns are multiplied, and the sums are drained and read.
    """
    slow = gpt2(asic__multipliers=1, dram__refresh="none")
    act, up = operator(slow, "ffn_act"), operator(slow, "ffn_up")
    n = resolve(config_of(GPT2).dram, config_of(GPT2).pim).cycles
    first = 1 + 47 + n["nCWL"] + n["nBL"] + 47 + n["nDRAIN"] + n["nCL"] + n["nBLRES"]
    assert act.asic_busy_cycles == 12 * (3072 * 8 + 14)
    assert act.cycles + up.cycles == 12 * first + act.asic_busy_cycles


def test_partial_sums_are_no_results() -> None:
    """A buffer of 16 columns cuts the input of 768 elements into three: the GELU waits for the third."""
    small, whole = (
        gpt2(asic__multipliers=1, dram__refresh="none", **buffer)
        for buffer in ({"pim__global_buffer_bytes": 512}, {"pim__global_buffer_bytes": 2048})
    )
    waits = []
    for tally in (small, whole):
        names = ("ffn_up", "sum", "ffn_act")
        spent = sum(row.cycles for row in tally.rows if row.operator in names[::2])
        waits.append(spent - operator(tally, "ffn_act").asic_busy_cycles)
    # two chunks of 24 slots: 16 columns of the vector, then for each slot 16 columns and a sum that drains
    assert waits[0] > waits[1] + 12 * 2 * (16 + 24 * 16)


def chain(activations: int, outputs: int) -> Workload:
    """A product, and element-wise functions of its results, one after another."""
    product = Operator("up", "ffn_up", "linear", "block", 64, outputs)
    deps = ["up", *(f"silu{i}" for i in range(activations - 1))]
    silus = [
        Operator(f"silu{i}", "activation", "silu", "block", outputs, outputs, deps=(d,)) for i, d in enumerate(deps)
    ]
    return Workload(ModelShape("chain", 1, 64, 4, 4, outputs, 100, 64), (product, *silus), 1)


@pytest.mark.parametrize("schedule", ["paper", "overlap"])
def test_a_chain_takes_as_long_as_its_arithmetic(schedule: str) -> None:
    """Eight SiLU of 32,768 elements, 10 multiplies each, on 128 multipliers: 8 x 2,560 clocks and their pipelines."""
    config = config_of({"workload.model": "gpt2-small", "workload.output_tokens": 1, "schedule": schedule})
    plan = compile_plan(config, chain(8, 32768))
    tally = System(plan, Engine(plan.device)).run()
    busy = 8 * (10 * 32768 // 128 + 19)
    assert tally.total("asic_busy_cycles") == busy < tally.cycles
    assert tally.cycles < busy + operator(tally, "up").cycles


def test_a_stream_begins_with_the_first_of_several_vectors() -> None:
    """At 16 tokens a step the GELU is done a piece after the last vector; one multiplier is busy from the first on."""
    tokens = {"workload__output_tokens": 16, "workload__query_tokens": 16, "dram__refresh": "none"}
    fast, slow = gpt2(**tokens), gpt2(asic__multipliers=1, **tokens)
    assert operator(fast, "ffn_act").cycles == 12 * (8 + 14)  # 128 elements
    one = operator(gpt2(dram__refresh="none"), "ffn_up").cycles // 12  # clocks of one vector
    act, up = operator(slow, "ffn_act"), operator(slow, "ffn_up")
    assert act.asic_busy_cycles == 12 * (16 * 3072 * 8 + 14)
    assert act.asic_busy_cycles < act.cycles + up.cycles < act.asic_busy_cycles + 12 * one


def test_results_on_their_way_to_the_sram_take_its_port() -> None:
    """A port of 2 bytes a clock stores 3,072 results, and the GELU's as many: no less than 6,144 clocks a block."""
    narrow = gpt2(asic__sram_port_bytes=2)
    assert sum(operator(narrow, name).cycles for name in ("ffn_up", "ffn_act")) >= 12 * 2 * 3072


@pytest.mark.parametrize("schedule", ["paper", "overlap"])
def test_a_slow_asic_sets_the_pace(schedule: str) -> None:
    """Llama-3.2-1B on 64 channels with an ASIC of 50 MHz, which was busy for 1.58 times the latency."""
    keys = {
        "workload.model": "llama-3.2-1b", "workload.output_tokens": 1, "workload.prompt_tokens": 0,
        "dram.channels": 64, "asic.clock_GHz": 0.05, "schedule": schedule,
    }  # fmt: skip
    tally = simulate(config_of(keys))
    assert 0.8 < tally.total("asic_busy_cycles") / tally.cycles <= 1


def test_halving_the_clock_doubles_exposed_arithmetic() -> None:
    fast, slow = gpt2(), gpt2(asic__clock_GHz=0.5)
    for name in ("ffn_act", "attn_norm", "softmax"):
        assert operator(slow, name).cycles == 2 * operator(fast, name).cycles > 0


def test_what_the_sram_cannot_hold_goes_to_dram_and_back() -> None:
    """7.5 KiB hold d_ff + d_model = 3840 elements; 7 KiB leave 256 elements = 16 columns."""
    whole, spilled = gpt2(asic__sram_KiB=7.5), gpt2(asic__sram_KiB=7)
    assert whole == gpt2()
    assert all(row.operator != "spill" for row in whole.rows)
    row = operator(spilled, "spill")
    assert row.count == 2 * 12 and row.commands["WR"] == row.commands["RD"] == 12 * 16
    assert row.payload_bytes == 2 * 12 * 256 * 2 == row.pin_bytes
    assert row.causes["write"] > 0 and row.causes["read"] > 0
    assert spilled.commands["WR"] == whole.commands["WR"] + 12 * 16
    assert spilled.commands["MACAB"] == whole.commands["MACAB"]
    # two columns a channel: open, write, recover, close; open, read, close
    assert spilled.cycles - whole.cycles >= 12 * 2 * (12 + 2)


def test_a_narrow_port_holds_results_up() -> None:
    """2,304 results of 2 bytes through a port of 2 bytes a clock: no qkv in less than 2,304 clocks."""
    narrow, wide = gpt2(asic__sram_port_bytes=2), gpt2()
    assert operator(narrow, "ffn_up").cycles >= 12 * 3072
    assert operator(narrow, "qkv").causes["input_transfer"] > operator(wide, "qkv").causes["input_transfer"]
    assert operator(wide, "qkv").cycles < 12 * 2304 <= operator(narrow, "qkv").cycles
    assert narrow.commands["MACAB"] == wide.commands["MACAB"]


@settings(max_examples=examples(60), deadline=None)
@given(
    st.sampled_from([*KINDS.shipped, *KINDS_OF_WAYS, *KINDS_OF_STATES]),
    st.lists(st.integers(0, 1 << 22), min_size=1, max_size=6),
    st.integers(0, 300),
    st.integers(1, 4),
    st.fixed_dictionaries(
        {
            "clock_GHz": st.sampled_from([0.7, 1.0, 1.5]),
            "adders": st.sampled_from([1, 100, 4096]),
            "multipliers": st.sampled_from([1, 128]),
            "sram_port_bytes": st.sampled_from([2, 256]),
            "newton_steps": st.integers(0, 3),
            "range_reduction": st.sampled_from(["none", "ln2"]),
        }
    ),
)
def test_many_sizes_at_once_cost_what_each_costs(
    kind: str, sizes: list[int], vectors: int, ways: int, keys: dict[str, Any]
) -> None:
    asic = units(**keys)
    table = costs_of(asic, kind, np.array(sizes, np.int64), vectors, ways, 1000)
    for size, costs in zip(sizes, zip(*(column.tolist() for column in table), strict=True), strict=True):
        cost, clocks, ports = asic.timed(kind, size, vectors, ways, 1000)
        assert costs == (clocks, *ports, *cost.operations)
