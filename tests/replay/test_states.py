"""Operators that keep a state on the device: what moves by arithmetic on sizes alone, and the same on every engine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim import InputError, api, load_config
from pimsim.baselines.capacity import required_bytes
from pimsim.baselines.cost import decode_demands, prefill_demands
from pimsim.config.schema import Config
from pimsim.devices.plan import compile_plan, place_in
from pimsim.logs.checker import check
from pimsim.logs.log import read_log
from pimsim.mapping.operands import operands
from pimsim.mapping.plan import Plan
from pimsim.mapping.planner import Planner
from pimsim.mapping.regions import Use
from pimsim.mapping.states import state_name
from pimsim.results.metrics import bytes_without_pim
from pimsim.sim.run import simulate
from pimsim.sim.tally import OperatorTally, Tally
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator
from pimsim.workload.schedule import EVERY, Copied, Forked
from pimsim.workload.trace.bind import trace_of, workload_of
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.writer import write_trace
from tests.configs import SCHEDULES, config_of, organisations
from tests.conftest import SHIPPED
from tests.examples import examples
from tests.replay.states import block_parameters, mamba

AIM = SHIPPED.parent / "aim.yaml"
BASE: dict[str, Any] = {"workload.model": "gpt2-small", "workload.output_tokens": 2, "baselines": []}
STATES = ("conv", "mixer")


def config(path: Path = SHIPPED, **keys: Any) -> Config:
    found = load_config(path, {**BASE, **{key.replace("__", "."): value for key, value in keys.items()}})
    assert isinstance(found, Config)
    return found


def run(workload: Workload, path: Path = SHIPPED, **keys: Any) -> Tally:
    return simulate(compile_plan(config(path, **keys), workload))


def rows(tally: Tally, name: str) -> list[OperatorTally]:
    return [row for row in tally.rows if row.operator == name]


def total(tally: Tally, name: str, what: str) -> int:
    return sum(getattr(row, what) for row in rows(tally, name))


def commands(tally: Tally, name: str) -> Counter[str]:
    return sum((Counter(dict(row.commands)) for row in rows(tally, name)), Counter())


def of_name(workload: Workload, name: str) -> Operator:
    return next(operator for operator in workload.operators if operator.name == name)


# ---- what moves ------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch", "tokens", "prompt"), [(1, 1, 0), (3, 1, 2), (2, 4, 1)])
def test_every_token_of_every_sequence_moves_its_state_twice(batch: int, tokens: int, prompt: int) -> None:
    """128 channels of 16 elements, and 3 columns of 128 before the newest, in each of two layers."""
    keys = {"workload__batch": batch, "workload__query_tokens": tokens, "workload__prompt_tokens": prompt}
    tally = run(mamba(), workload__output_tokens=2 * tokens, **keys)
    updates = 2 * batch * (prompt + 2 * tokens)
    for name in ("state_read", "state_write"):
        assert total(tally, name, "payload_bytes") == updates * (128 * 16 + 3 * 128) * 2
        assert total(tally, name, "pin_bytes") == updates * (128 + 24) * 32  # whole columns
        assert total(tally, name, "count") == 2 * updates
    assert commands(tally, "state_read")["RD"] == commands(tally, "state_write")["WR"] == updates * (128 + 24)
    assert tally.commands["RD"] == tally.commands["WR"] == updates * (128 + 24)  # nothing else is read or written


def moved(config: Config, elements: int) -> Counter[str]:
    """Commands of one state of so many elements: columns are dealt to channels; a row of a bank takes R of them."""
    dram = config.dram
    columns = range(-(-elements * 2 // dram.column_bytes))
    row = dram.row_bytes // dram.column_bytes
    opened = {(column % dram.channels, column // dram.channels // row) for column in columns}
    return Counter({"RD": len(columns), "WR": len(columns), "ACT": 2 * len(opened)})


@settings(max_examples=examples(40), deadline=None)
@given(
    organisations(), st.integers(1, 3), st.integers(1, 2), st.integers(1, 40), st.integers(1, 20), st.integers(1, 5),
    st.sampled_from(SCHEDULES),
)  # fmt: skip
def test_every_command_of_a_state_is_known(
    organisation: dict[str, Any], batch: int, tokens: int, channels: int, n: int, taps: int, schedule: str
) -> None:
    """From sizes alone; refreshes would open rows again."""
    workload = mamba(d=8, inner=channels, n=n, taps=taps, layers=2)
    given = config_of({
        **BASE, **organisation, "dram.refresh": "none", "schedule": schedule, "asic.sram_KiB": 1 << 10,
        "workload.batch": batch, "workload.query_tokens": tokens, "workload.output_tokens": 2 * tokens,
    })  # fmt: skip
    tally = simulate(compile_plan(given, workload))
    one = moved(given, channels * n) + moved(given, (taps - 1) * channels)
    wanted = Counter({name: 2 * batch * 2 * tokens * count for name, count in one.items()})
    found = commands(tally, "state_read") + commands(tally, "state_write")
    assert {name: found[name] for name in wanted} == wanted


def pieces_of(plan: Plan, name: str, vectors: int) -> Iterator[tuple[int, int, int]]:
    """(first element, elements, elements that the ASIC updates or takes for them) of each piece."""
    for first, elements, update in plan.memory.states[name].pieces(vectors, plan.memory.room):
        yield first, elements, update.n * update.vectors


@settings(max_examples=examples(60), deadline=None)
@given(organisations(), st.integers(1, 60), st.integers(1, 40), st.integers(2, 5), st.sampled_from([0.05, 0.5, 2, 64]))
def test_pieces_are_the_state_in_whole_channels_and_columns(
    organisation: dict[str, Any], channels: int, n: int, taps: int, kib: float
) -> None:
    workload = mamba(d=8, inner=channels, n=n, taps=taps, layers=1)
    plan = compile_plan(config_of({**BASE, **organisation, "asic.sram_KiB": kib}), workload)
    width, room = plan.grid.width, int(kib * 512)
    for name, each, updated in (("mixer", n, n), ("conv", taps - 1, 1)):
        at, beside = 0, plan.memory.states[name].beside
        pieces = list(pieces_of(plan, name, vectors=2))
        for first, elements, work in pieces:
            assert (first, elements % each, work) == (at, 0, elements // each * updated)
            assert first % width == 0 or len(pieces) == 1
            at += elements
        assert at == channels * each
        least = width * plan.device.channels + each * width  # a column of every channel, and what whole channels round
        assert len(pieces) == 1 or max(piece[1] for piece in pieces) <= max(least, room - 2 * beside)
        if channels * each <= room - 2 * beside:
            assert len(pieces) == 1


def test_what_a_state_shares_the_sram_with_is_what_is_alive() -> None:
    """By hand: beside the convolution the residual, in_proj (gate too) and the result; beside the update the residual,
    in_proj, act, x_proj, dt_proj and the result."""
    plan = compile_plan(config(), mamba())
    assert plan.memory.states["conv"].beside == 64 + 256 + 128
    assert plan.memory.states["mixer"].beside == 64 + 256 + 128 + (8 + 32) + 128 + 128


def test_a_state_larger_than_the_sram_moves_as_often() -> None:
    """512 elements of room: the same columns, in pieces; what the ASIC does for an element is the same."""
    whole, cut = run(mamba()), run(mamba(), asic__sram_KiB=1)
    for name in ("state_read", "state_write"):
        assert total(cut, name, "payload_bytes") == total(whole, name, "payload_bytes")
        assert total(cut, name, "count") > total(whole, name, "count")
        for command in ("RD", "WR"):
            assert commands(cut, name)[command] == commands(whole, name)[command]
    for name in ("conv", "ssm_update"):
        assert (total(cut, name, "adds"), total(cut, name, "multiplies")) == (
            total(whole, name, "adds"), total(whole, name, "multiplies"),
        )  # fmt: skip


def test_tokens_of_one_step_go_one_after_another() -> None:
    """Four tokens at once move and compute what four steps do."""
    one, four = (run(mamba(), workload__output_tokens=4, workload__query_tokens=q) for q in (1, 4))
    for name in ("state_read", "state_write", "conv", "ssm_update"):
        for what in ("count", "payload_bytes", "adds", "multiplies", "sram_bytes"):
            assert total(one, name, what) == total(four, name, what)
    instructions = compile_plan(config(workload__query_tokens=4, workload__output_tokens=4), mamba()).step(4, False, 4)
    own = [i for i in instructions.block if i.key.startswith("mixer")]
    assert [i.operator for i in own] == ["state_read", "ssm_update", "state_write"] * 4
    for at in range(0, 12, 3):
        assert own[at + 1].after == (own[at].key,) and own[at + 2].after == (own[at + 1].key,)
        if at:
            assert own[at].after == (own[at - 2].key,)


def test_gains_and_own_vectors_are_fetched_where_they_are_simulated() -> None:
    """Taps and bias of the convolution (5 x 128), A, D and dt's bias of the update (18 x 128), beside the norm."""
    bare, whole = run(mamba()), run(mamba(), workload__biases=True)
    elements = 64 + 5 * 128 + 18 * 128
    assert total(whole, "vectors", "payload_bytes") == 2 * 2 * 2 * elements and not rows(bare, "vectors")
    assert total(whole, "sum", "adds") == 2 * 2 * 128  # the bias of the convolution
    for name in ("conv", "ssm_update"):
        assert total(whole, name, "adds") == total(bare, name, "adds")


# ---- the same on every engine, and legal ----------------------------------------------------


@pytest.mark.parametrize("schedule", ["paper", "overlap"])
@pytest.mark.parametrize("state", ["", "sram"])
@pytest.mark.parametrize("path", [SHIPPED, AIM], ids=["pim-gpt", "aim"])
def test_every_engine_counts_the_same(path: Path, state: str, schedule: str) -> None:
    keys = {"workload__batch": 2, "workload__query_tokens": 2, "workload__output_tokens": 6, "workload__biases": True}
    keys |= {"dram__channels": 4, "schedule": schedule}
    first, *others = [
        run(mamba(state=state), path, engine__mode=mode, engine__fold=fold, **keys)
        for mode in ("fast", "stepped")
        for fold in (True, False)
    ]
    assert all(other == first for other in others)
    assert sum(first.causes().values()) == first.cycles
    assert rows(first, "ssm_update")[0].asic_busy_cycles > 0


@pytest.mark.parametrize(("refresh", "tREFI"), [("all_bank", 2000), ("per_bank", 9000)])
@pytest.mark.parametrize("kib", [1, 128])
def test_commands_are_legal_and_each_state_is_read_and_written_in_turn(
    refresh: str, tREFI: int, kib: int, tmp_path: Path
) -> None:
    """The log alone: every column of a state is read and written once a token, the read first, and by nobody else."""
    keys = {"dram__refresh": refresh, "dram__channels": 3, "dram__timing__tREFI_ns": tREFI, "asic__sram_KiB": kib}
    given = config(workload__batch=2, workload__output_tokens=4, workload__query_tokens=2, **keys)
    workload = mamba()
    plan = compile_plan(given, workload)
    simulate(plan, log=tmp_path / "log.csv")
    log = read_log(tmp_path / "log.csv", plan.device.standard)
    assert check(log, plan.device) == []
    names = plan.device.command_names
    found: dict[tuple[int, ...], list[str]] = {}
    for i in np.flatnonzero(np.isin(log.command, [names.index("RD"), names.index("WR")])).tolist():
        place = (log.channel, log.bank_group, log.bank, log.row, log.column)
        found.setdefault(tuple(int(each[i]) for each in place), []).append(names[log.command[i]])
    states = set()
    for name in STATES:
        state = plan.memory.states[name]
        for sequence in range(2):
            for base in plan.memory.regions[state_name(state.operator, sequence)].bases:
                at = replace(state.layout, base=base).locate(np.arange(0, state.layout.elements, plan.grid.width))
                group, bank = np.divmod(at.bank, plan.device.banks_per_group)
                states |= set(
                    zip(*(each.tolist() for each in (at.channel, group, bank, at.row, at.column)), strict=True)
                )
    assert len(states) == 2 * 2 * (128 + 24)  # no two share a column
    assert all(found[place] == ["RD", "WR"] * 4 for place in states)
    if kib == 128:
        assert set(found) == states


def test_steps_planned_together_are_those_planned_one_by_one() -> None:
    plan = compile_plan(config(workload__output_tokens=40), mamba())
    stretch = plan.stretch(list(range(1, 41)), head=False)
    assert len(stretch.contexts) == 40 and not stretch.series  # nothing depends on the context
    for context in (2, 17, 40):
        alone = Planner(compile_plan(plan.config, mamba()), context, 1, head=False).draft().step
        assert [i._replace(work=None) for i in alone.block] == [i._replace(work=None) for i in stretch.step.block]


# ---- states in the SRAM -----------------------------------------------------------------------


def test_states_in_the_sram_move_nothing_and_compute_the_same() -> None:
    keys = {"workload__batch": 2, "workload__query_tokens": 2, "workload__output_tokens": 4}
    dram, sram = run(mamba(), **keys), run(mamba(state="sram"), **keys)
    assert not rows(sram, "state_read") and not rows(sram, "state_write")
    assert sram.commands["RD"] == sram.commands["WR"] == 0
    for name in ("conv", "ssm_update"):
        for what in ("adds", "multiplies", "sram_bytes"):
            assert total(sram, name, what) == total(dram, name, what)
    assert sram.cycles < dram.cycles


def test_states_in_the_sram_have_to_fit_and_what_would_is_said() -> None:
    """Two layers of 2,432 elements, for each of three sequences."""
    needed = 2 * 3 * 2432 * 2
    with pytest.raises(InputError) as caught:
        compile_plan(config(workload__batch=3, asic__sram_KiB=28), mamba(state="sram"))
    assert str(caught.value) == (
        f"asic.sram_KiB: the states of 'conv', 'mixer' are to stay in the SRAM: all copies of 3 sequences take "
        f"{needed:,} bytes, and it has 28,672; it would fit with asic.sram_KiB=29 or workload.batch=2 or "
        '"state": "dram" of some of them'
    )
    compile_plan(config(workload__batch=3, asic__sram_KiB=29), mamba(state="sram"))
    compile_plan(config(workload__batch=2, asic__sram_KiB=28), mamba(state="sram"))


def test_what_states_take_of_the_sram_is_no_room_for_operands() -> None:
    """11 KiB are 5,632 elements, of which the states of two sequences take 2 x 2,432.  For x_proj 64 + 256 + 128 + 40
    elements are in use, for dt_proj 128 more, which go to DRAM and back."""
    free, kept = (
        compile_plan(config(asic__sram_KiB=11, workload__batch=2), mamba(layers=1, state=s)) for s in ("", "sram")
    )
    assert (free.memory.room, free.memory.scratch) == (5632, None)
    assert kept.memory.room == 5632 - 2 * 2432 == 768
    assert kept.memory.scratch is not None and kept.memory.scratch.elements == 2 * 128
    alive = {operand.name: operand.spilled(1, 2, 1, 768) for operand in kept.operands}
    assert alive == {"in_proj": 0, "x_proj": 2 * 488 - 2 * 448, "dt_proj": 2 * 616 - 2 * 488, "out_proj": 0}
    tally = simulate(kept)
    assert total(tally, "spill", "payload_bytes") == 2 * 2 * 2 * (80 + 256)  # two steps, out and in


def test_a_sequence_that_goes_on_from_another_one_gets_its_state() -> None:
    """Two forks and a move within a sequence: read and written twice, wherever it lies."""
    plan = compile_plan(config(workload__batch=3), mamba())
    copied = [Forked(0, 1, 5), Forked(0, 2, 5), Copied(EVERY, EVERY, 3, 2, 1)]
    block = Planner(plan, 5, 1).copies(copied).block
    assert [i.operator for i in block] == ["copy_read", "copy_write"] * 2 * 2
    for i, name in enumerate(("conv", "mixer")):
        layout = plan.memory.states[name].layout
        for k, target in enumerate((1, 2)):
            read, write = block[4 * i + 2 * k : 4 * i + 2 * k + 2]
            assert read.bases == plan.memory.regions[f"state.{name}.0"].bases
            assert write.bases == plan.memory.regions[f"state.{name}.{target}"].bases
            assert read.work and write.work and read.work.payload == write.work.payload == layout.elements
            assert write.after == (read.key,)
    assert not any(Planner(compile_plan(config(workload__batch=3), mamba(state="sram")), 5, 1).copies(copied))


def test_one_state_may_stay_while_another_moves() -> None:
    workload = mamba()
    mixed = replace(
        workload, operators=tuple(replace(o, state="sram" if o.op == "conv" else "") for o in workload.operators)
    )
    tally = run(mixed)
    assert total(tally, "state_read", "payload_bytes") == 2 * 2 * 128 * 16 * 2


# ---- where they lie -----------------------------------------------------------------------------


def test_every_sequence_and_copy_has_a_state_of_its_own() -> None:
    plan = compile_plan(config(workload__batch=3), mamba(layers=4))
    rows, columns = [], plan.device.columns
    for name, region in plan.memory.regions.items():
        assert len(region.bases) == 4 or not name.startswith("state.")
        rows += [base // columns + row for base in region.bases for row in range(region.rows)]
    assert len(rows) == len(set(rows)) == plan.memory.rows
    assert sum(name.startswith("state.") for name in plan.memory.regions) == 2 * 3


def test_graphs_of_one_model_share_their_states() -> None:
    """A graph of other names for the same places, and one of another model."""
    workload = mamba()
    other = replace(workload, shape=replace(workload.shape, d_ff=7))
    uses = [Use(w, operands(w), 2, tokens, 8) for w, tokens in ((workload, 1), (workload, 4), (other, 1))]
    first, second, third = place_in(config(workload__batch=2), uses)
    for name in STATES:
        of = state_name(of_name(workload, name), 1)
        assert first.regions[of] == second.regions[of] != third.regions[of]


# ---- parameters, and what a memory without PIM would move ------------------------------------


@pytest.mark.parametrize("sizes", [{}, {"d": 768, "inner": 1536, "n": 16, "taps": 4, "rank": 48, "layers": 24}])
def test_parameters_are_those_of_a_mamba_block(sizes: dict[str, int]) -> None:
    workload = mamba(**sizes)
    assert workload.parameters == workload.blocks * block_parameters(workload)


def test_mamba_130m_has_as_many_parameters_as_torch_counts() -> None:
    """129,135,360 of MambaForCausalLM: the blocks, a tied table of 50,280 rows, and the last norm."""
    workload = mamba(d=768, inner=1536, n=16, taps=4, rank=48, layers=24)
    assert workload.parameters + 50280 * 768 + 768 == 129_135_360


def test_what_memory_without_pim_would_move() -> None:
    """Matrices once a step, states of each sequence read once; elements of a step: read and written."""
    workload = mamba(layers=1)
    mixer, conv = of_name(workload, "mixer"), of_name(workload, "conv")
    assert (mixer.state_moved, conv.state_moved) == (2 * 2048, 2 * 384)
    assert mixer.bytes(5, batch=3) == 2 * 3 * 2 * 2048
    assert conv.bytes(5, batch=3, biases=True) == 2 * (5 * 128 + 3 * 2 * 384)
    matrices = 64 * 256 + 128 * 40 + 8 * 128 + 128 * 64
    assert bytes_without_pim(config(workload__batch=3), workload) == 2 * 2 * (matrices + 3 * (2048 + 384))


def test_baselines_keep_and_move_states() -> None:
    workload = mamba(layers=1)
    assert required_bytes(workload, 9, 3, 2) == 2 * (workload.parameters + 3 * (2048 + 384))
    step = {d.operator.name: d.elements[0] for d in decode_demands(workload, np.array([5.0]), 3, query_tokens=2)}
    prompt = {d.operator.name: d.elements[0] for d in prefill_demands(workload, 7, 3)}
    for found in (step, prompt):  # once for all tokens of a sequence
        assert found["mixer"] == 18 * 128 + 3 * 2 * 2048
        assert found["conv"] == 5 * 128 + 3 * 2 * 384


# ---- traces, and what is refused ---------------------------------------------------------------


@pytest.mark.parametrize("state", ["", "sram"])
def test_a_trace_says_all_of_it(state: str, tmp_path: Path) -> None:
    workload = mamba(state=state)
    write_trace(trace_of(workload, steps=2), tmp_path / "mamba.jsonl")
    again = workload_of(load_trace(tmp_path / "mamba.jsonl"))
    assert again.sha256() == workload.sha256() and again.parameters == workload.parameters
    tally = simulate(load_config(SHIPPED, {"workload.trace": str(tmp_path / "mamba.jsonl"), "baselines": []}))
    assert tally == run(workload)


def changed(name: str, **changes: Any) -> Workload:
    workload = mamba()
    return replace(
        workload, operators=tuple(replace(o, **changes) if o.name == name else o for o in workload.operators)
    )


def test_what_no_state_can_be_is_refused() -> None:
    for workload, message in (
        (changed("mixer", per="sequence"), "workload: a state that is updated once a sequence (mixer): every token"),
        (changed("mixer", inputs=2049), "workload: a state of 2049 elements for 128 channels (mixer): each channel"),
    ):
        with pytest.raises(InputError) as caught:
            compile_plan(config(), workload)
        assert str(caught.value).startswith(message)
    for changes, problem in (
        ({"kernel": 0}, "kernel must be at least 1"),
        ({"outputs": 64}, "conv must have as many outputs as inputs"),
        ({"own_parameters": 3}, "own_parameters means nothing to 'conv'"),
    ):
        with pytest.raises(ValueError, match=problem):
            changed("conv", **changes)


def test_values_of_a_state_are_not_computed_and_that_is_said() -> None:
    workload = mamba()
    numbered = tuple(replace(o, line=i) for i, o in enumerate(workload.operators, 3))
    plan = compile_plan(config(), replace(workload, operators=numbered, source="m.jsonl"))
    with pytest.raises(InputError) as caught:
        plan.named_step(1, False)
    assert str(caught.value).split("\n") == [
        f"m.jsonl:{line}:1: {name}: the values of {op!r} ({name}), which keeps a state, are not computed: "
        "it can only be run"
        for line, name, op in ((5, "conv", "conv"), (9, "mixer", "ssm_update"))
    ]


# ---- what is told -------------------------------------------------------------------------------


def schedule_of(path: Path, lines: list[dict[str, Any]]) -> str:
    """A trace of the blocks with these lines of schedule."""
    write_trace(trace_of(mamba(layers=4), steps=4), path)
    kept = [text for text in path.read_text().splitlines() if '"type":"schedule"' not in text]
    said = [json.dumps({"type": "schedule", "phase": "decode", "template": "decode", **line}) for line in lines]
    path.write_text("\n".join([*kept, *said]) + "\n")
    return str(path)


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    draft = {"steps": 3, "layers": 2, "accept": 0, "cycle": "c", "bindings": {"T": "kept+step+8", "B": 1, "Q": 1}}
    verify = {"steps": 1, "accept": 2, "cycle": "c", "bindings": {"T": "kept+11", "B": 1, "Q": 4}}
    trace = schedule_of(tmp_path / "cycle.jsonl", [draft, verify])
    given = {"workload.trace": trace, "baselines": []}
    odd = [str(problem) for problem in api.warnings(load_config(SHIPPED, given))]
    vectors, states = 5 * 128 + 18 * 128, 128 * 16 + 3 * 128
    for layers in (2, 4):
        assert (
            f"workload.biases: the {layers * vectors:,} parameters of operators that keep a state ({layers * states:,} "
            "elements) are not fetched: true simulates them, with biases and gains"
        ) in odd
    assert sum("tokens that are not kept have changed them as well" in text for text in odd) == 1
    odd = [str(problem) for problem in api.warnings(load_config(SHIPPED, {**given, "workload.biases": True}))]
    assert not any("workload.biases" in text for text in odd)
    kept = schedule_of(tmp_path / "kept.jsonl", [{"steps": 4, "bindings": {"T": "step+1", "B": 1, "Q": 1}}])
    assert not any(
        "not kept" in str(each) for each in api.warnings(load_config(SHIPPED, {**given, "workload.trace": kept}))
    )


def test_a_schedule_moves_the_states_of_the_layers_that_run(tmp_path: Path) -> None:
    """Four steps of two of four layers; then two of one sequence and two of three: a fork copies all four layers."""
    some = [{"steps": 4, "layers": [0, 2], "bindings": {"T": "step+1", "B": 1, "Q": 1}}]
    fork = [
        {"steps": 2, "bindings": {"T": "step+1", "B": 1, "Q": 1}},
        {"steps": 2, "fork": 3, "bindings": {"T": "step+3", "B": 3, "Q": 1}},
    ]
    for name, lines, updates, copies in (("some", some, 4 * 2, 0), ("fork", fork, (2 + 6) * 4, 2 * 4)):
        trace = schedule_of(tmp_path / f"{name}.jsonl", lines)
        result = api.run(load_config(SHIPPED, {"workload.trace": trace, "baselines": []}))
        rows = result.to_frame("operators").set_index("operator")
        assert rows.loc["state_read", "RD"] == rows.loc["state_write", "WR"] == updates * (128 + 24)
        if copies:
            assert rows.loc["copy_read", "RD"] == rows.loc["copy_write", "WR"] == copies * (128 + 24)
