"""How many commands of each kind a workload takes, by arithmetic on its sizes alone.

Nothing here uses the mapping's or the engine's code: only what the paper and the docs
say about the mapping.  Sizes: C channels, B banks in each, R columns of a row, G columns
of the global buffer, W elements of a column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.config.schema import Config, ModelConfig
from pimsim.sim.run import simulate
from pimsim.workload.models import MODELS
from tests.configs import REFRESH, SCHEDULES, config_of, organisations, workloads

Turn = tuple[int, int, int]  # first linear column, columns used, where the next turn starts


def up(a: int, b: int) -> int:
    """a / b, rounded up."""
    return (a + b - 1) // b


class Counts:
    """The closed forms for one config."""

    def __init__(self, config: Config) -> None:
        self.config = config
        dram, work = config.dram, config.workload
        self.C, self.B = dram.channels, dram.bank_groups * dram.banks_per_group
        self.R, self.W = dram.row_bytes // dram.column_bytes, dram.column_bytes // 2
        self.G = config.pim.global_buffer_bytes // dram.column_bytes
        m = work.model_config_ or MODELS[str(work.model)]
        self.d, self.heads, self.kv_heads, self.ff = m.d_model, m.heads, m.kv_heads, m.d_ff
        self.layers, self.vocabulary, self.positions = m.layers, m.vocabulary, m.max_positions
        self.head_dim = m.head_dim or self.d // self.heads
        self.gpt2, self.qwen2, self.tied = m.family == "gpt2", m.family == "qwen2", m.tied
        self.experts, self.active = m.experts, m.active_experts if isinstance(m, ModelConfig) else m.active
        self.last, self.query = work.prompt_tokens + work.output_tokens, work.query_tokens
        self.window = m.window or self.last
        together = min(self.G * self.W, 1024)  # K and V have room for so many tokens at a time
        whole = up(self.last, together) * together
        self.room = m.window if 0 < (m.window or 0) < self.last else whole  # a window over all tokens is none
        self.n: Counter[str] = Counter()

    def total(self) -> dict[str, int]:
        """Commands by name, without the refreshes and what they close."""
        prompt = self.config.workload.prompt_tokens
        steps = [range(t, t + 1) for t in range(1, prompt + 1)]
        steps += [range(t, t + self.query) for t in range(prompt + 1, self.last + 1, self.query)]
        for contexts in steps:
            for _ in range(self.layers):
                self.block(contexts)
            if self.config.workload.lm_head:
                self.ends(contexts)
        return dict(self.n)

    def linears(self) -> Iterator[tuple[int, int, bool, int]]:
        """(inputs, outputs, bias, matrices that a token is multiplied with) of a block's linears."""
        q, kv, active = self.heads * self.head_dim, self.kv_heads * self.head_dim, self.active
        if self.gpt2:
            yield self.d, q + 2 * kv, True, 1
        else:
            yield from ((self.d, width, self.qwen2, 1) for width in (q, kv, kv))
        yield q, self.d, self.gpt2, 1
        if self.experts > 1:
            yield self.d, self.experts, False, 1
        if self.gpt2:
            yield self.d, self.ff, True, active
        elif self.experts > 1:  # gate and up are one matrix
            yield self.d, 2 * self.ff, False, active
        else:
            yield from [(self.d, self.ff, False, 1)] * 2
        yield self.ff, self.d, self.gpt2, active

    def block(self, contexts: range) -> None:
        vectors = self.config.workload.batch * len(contexts)
        biases = self.config.workload.biases
        for inputs, outputs, bias, copies in self.linears():
            for _ in range(vectors * copies):
                self.matrix(inputs, outputs)
            if biases and bias:  # those of an expert with each of its products, others once a step
                for _ in range(vectors * copies if self.experts > 1 and self.ff in (inputs, outputs) else 1):
                    self.vector("RD", 0, outputs)
        if biases:  # gain, and in GPT-2 bias, of two norms
            for _ in range(2):
                self.vector("RD", 0, (2 if self.gpt2 else 1) * self.d)
        for context in contexts:
            slot, seen = (context - 1) % self.window, min(context, self.window)
            for _ in range(self.config.workload.batch):
                self.append_key(slot)
                self.append_value(slot)
                self.score(seen)
                self.weigh(seen)
            self.spill(self.config.workload.batch, self.d + self.heads * seen)
        for before, elements in self.operands():
            self.spill(vectors, elements, before)

    def operands(self) -> Iterator[tuple[int, int]]:
        """(elements in use that others spill, all elements in use) when a wide result is there."""
        d, q, kv, ff = self.d, self.heads * self.head_dim, self.kv_heads * self.head_dim, self.ff * self.active
        router = self.active if self.experts > 1 else 0  # weights of the experts
        if self.gpt2:
            yield 0, d + q + 2 * kv
            yield 0, d + router + ff
        else:  # beside the residual the normalised vector, as long as a product still needs it
            yield 0, 2 * d + q
            yield 2 * d + q, 2 * d + q + kv
            yield d + q + kv, d + q + 2 * kv
            if self.experts > 1:
                yield 0, d + router + 2 * ff
            else:
                yield 0, 2 * d + ff
                yield d + ff, d + 2 * ff

    def ends(self, contexts: range) -> None:
        """Embedding before the blocks; the last norm and the LM head after them, if a token comes out."""
        work = self.config.workload
        pieces = self.pieces(self.d)
        slots = up(up(self.vocabulary, self.B), self.C)
        for _ in range(work.batch * len(contexts)):  # row 0 of the table, which is the LM head's if they are tied
            if not self.tied:
                self.vector("RD", 0, self.d)
                continue
            rows, start = [], 0  # in bank 0 of channel 0
            for columns in pieces:
                rows += [lin // self.R for lin in range(start, start + columns)]
                start += slots * columns
            self.n["RD"] += len(rows)
            self.n["ACT"] += 1 + sum(a != b for a, b in zip(rows, rows[1:], strict=False))
        if self.gpt2:
            for context in contexts:
                self.vector("RD", (context - 1) % self.positions * self.d, self.d)
        if contexts[-1] >= work.prompt_tokens:
            if work.biases:
                self.vector("RD", 0, (2 if self.gpt2 else 1) * self.d)
            for _ in range(work.batch * len(contexts)):
                self.matrix(self.d, self.vocabulary)

    def pieces(self, elements: int) -> list[int]:
        """Columns of each buffer that `elements` fill."""
        columns = up(elements, self.W)
        return [min(self.G, columns - first) for first in range(0, columns, self.G)]

    def matrix(self, inputs: int, outputs: int) -> None:
        """Outputs are dealt to banks, then channels; a channel's lie one after another in every chunk."""
        groups = up(outputs, self.B)
        most = up(groups, self.C)
        for channel in range(min(self.C, groups)):
            slots = (groups - channel - 1) // self.C + 1
            turns: list[Turn] = []
            start = 0
            for columns in self.pieces(inputs):
                self.n["WRGB"] += columns
                turns += [(start + s * columns, columns, start + (s + 1) * columns) for s in range(slots)]
                start += most * columns
            self.multiply(turns)

    def multiply(self, turns: list[Turn]) -> None:
        """Sums of one program.  A row closes before the accumulators are read if the next turn is in another."""
        row: int | None = 0  # the program opens its first row while the buffer fills
        self.n["ACTAB"] += 1
        for first, used, following in turns:
            self.n["MACAB"] += used
            self.n["RDMAC"] += 1
            last = (first + used - 1) // self.R
            self.n["ACTAB"] += last - first // self.R + (row != first // self.R)
            row = last if following // self.R == last else None

    def key_chunks(self) -> list[tuple[int, int]]:
        """(heads, columns of each) that fill a buffer together; a head larger than it is cut."""
        head = up(self.head_dim, self.W)
        if head > self.G:
            return [(1, columns) for _ in range(self.kv_heads) for columns in self.pieces(self.head_dim)]
        fit = self.G // head
        return [(min(fit, self.kv_heads - first), head) for first in range(0, self.kv_heads, fit)]

    def score(self, context: int) -> None:
        """Tokens are dealt to banks, then channels; every query head of a group goes over its K head's keys."""
        groups, most = up(context, self.B), up(up(self.room, self.B), self.C)
        for channel in range(min(self.C, groups)):
            slots = (groups - channel - 1) // self.C + 1
            turns: list[Turn] = []
            start = 0
            for heads, columns in self.key_chunks():
                for _ in range(self.heads // self.kv_heads):
                    self.n["WRGB"] += heads * columns
                    turns += [(start + s * columns, columns, start + (s + 1) * columns) for s in range(slots * heads)]
                start += most * heads * columns
            self.multiply(turns)

    def append_key(self, token: int) -> None:
        """Each chunk of a token's keys is a run in a bank of its own."""
        slot = token // self.B // self.C
        most = up(up(self.room, self.B), self.C)
        open_rows: dict[int, int] = {}
        start = 0
        runs = []
        for i, (heads, columns) in enumerate(self.key_chunks()):
            runs.append(((token + i) % self.B, start + slot * heads * columns, heads * columns))
            start += most * heads * columns
        for first in range(0, len(runs), self.B):
            some = runs[first : first + self.B]
            self.activate(open_rows, ((bank, lin // self.R) for bank, lin, _ in some))
            self.activate(open_rows, ((bank, at // self.R) for bank, lin, n in some for at in range(lin, lin + n)))
            self.n["WR"] += sum(n for _, _, n in some)

    def activate(self, open_rows: dict[int, int], wanted: Iterable[tuple[int, int]]) -> None:
        for bank, row in wanted:
            self.n["ACT"] += open_rows.get(bank) != row
            open_rows[bank] = row

    def units(self) -> Iterator[list[int]]:
        """The K head of each unit (a dimension in every bank) of each channel: contiguous shares."""
        heads = [head for head in range(self.kv_heads) for _ in range(up(self.head_dim, self.B))]
        for channel in range(self.C):
            yield heads[len(heads) * channel // self.C : len(heads) * (channel + 1) // self.C]

    def weigh(self, context: int) -> None:
        if self.config.mapping.values == "tokens":
            self.weigh_own_tokens(context)
            return
        reserved, used = self.pieces(self.room), self.pieces(context)
        most = max(len(units) for units in self.units())
        for units in self.units():
            turns: list[Turn] = []
            start = 0
            for stride, columns in zip(reserved, used, strict=False):
                for head in dict.fromkeys(units):
                    slots = [s for s, owner in enumerate(units) if owner == head]
                    for _ in range(self.heads // self.kv_heads):
                        self.n["WRGB"] += columns
                        turns += [(start + s * stride, columns, start + (s + 1) * stride) for s in slots]
                start += most * stride
            if turns:
                self.multiply(turns)

    def weigh_own_tokens(self, context: int) -> None:
        """Columns of W tokens are dealt to channels, those of head h of k from channel floor(h C / k) on."""
        most, units = up(up(self.room, self.W), self.C), up(self.head_dim, self.B)
        for channel in range(self.C):
            turns: list[Turn] = []
            for first in range(0, most, self.G):
                stride, start = min(self.G, most - first), first * self.kv_heads * units
                for head in range(self.kv_heads):
                    way = (channel - head * self.C // self.kv_heads) % self.C
                    mine = sum(column % self.C == way for column in range(up(context, self.W)))
                    columns = min(self.G, mine - first)
                    for _ in range(self.heads // self.kv_heads if columns > 0 else 0):
                        self.n["WRGB"] += columns
                        slots = range(head * units, (head + 1) * units)
                        turns += [(start + s * stride, columns, start + (s + 1) * stride) for s in slots]
            if turns:
                self.multiply(turns)

    def append_value(self, token: int) -> None:
        """One activation and one write for each element, or one all-bank activation for each unit."""
        units = self.kv_heads * up(self.head_dim, self.B)
        self.n["WR"] += units * self.B
        if self.config.mapping.value_append == "single_bank":
            self.n["ACT"] += units * self.B
        else:
            self.n["ACTAB"] += units

    def vector(self, command: str, first: int, elements: int) -> None:
        """Columns are dealt to channels; R of a channel's share a bank and a row."""
        columns = range(first // self.W, up(first + elements, self.W))
        self.n[command] += len(columns)
        self.n["ACT"] += len({(column % self.C, column // self.C // self.R) for column in columns})

    def spill(self, vectors: int, elements: int, before: int = 0) -> None:
        """What does not fit in the SRAM goes to DRAM and back, less what others have taken there."""
        room = int(self.config.asic.sram_KiB * 512)
        over = max(0, vectors * elements - room) - (max(0, vectors * before - room) if before else 0)
        if over > 0:
            self.vector("WR", 0, over)
            self.vector("RD", 0, over)


DATA = ("MACAB", "RDMAC", "WRGB", "WR", "RD")
ROWS = ("ACT", "ACTAB")


def counted(config: Config, names: Iterable[str]) -> dict[str, int]:
    commands = simulate(config).commands
    return {name: commands[name] for name in names}


def expected(config: Config, names: Iterable[str]) -> dict[str, int]:
    total = Counts(config).total()
    return {name: total.get(name, 0) for name in names}


GPT2 = {"workload.model": "gpt2-small", "workload.output_tokens": 4}


def test_gpt2_small_by_hand() -> None:
    """The numbers themselves for 4 tokens of GPT2-small on 8 channels of 16 banks: 12 layers, 64 columns a row."""
    commands = simulate(config_of({**GPT2, "dram.refresh": "none"})).commands
    steps = 4 * 12
    weights = 48 * (144 + 48 + 192) + 192 * 48  # qkv, attn_out, ffn_up: 48 columns a slot; ffn_down: 192
    keys = 12 * 4  # 12 heads of 4 columns: up to 16 tokens are one slot, in one channel
    values = 48  # 48 units of one column of tokens
    assert commands["MACAB"] == steps * (weights + keys + values)
    # sums of a slot: one for each chunk of 64 columns; K: one for each head; V: one for each unit
    assert commands["RDMAC"] == steps * (144 + 48 + 192 + 3 * 48 + 12 + 48)
    # 48 columns for each of three matrices and 192 for the fourth in 8 channels; q in one;
    # 6 units a channel meet two heads each, and get the probabilities of both
    assert commands["WRGB"] == steps * (8 * (3 * 48 + 192) + 48 + 8 * 2)
    assert commands["WR"] == steps * (48 + 768)
    assert commands["ACT"] == steps * (1 + 768)
    # 18, 6, 24 and 6 slots a channel of 48, 48, 48 and 192 columns fill 13.5, 4.5, 18 and 18 rows; K
    # one; V: a unit reserves a row
    assert commands["ACTAB"] == steps * (8 * (14 + 5 + 18 + 18) + 1 + 48)
    assert commands["RD"] == 0


@pytest.mark.parametrize("refresh", REFRESH)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_gpt2_small(refresh: str, schedule: str) -> None:
    config = config_of({**GPT2, "dram.refresh": refresh, "schedule": schedule})
    names = DATA + (ROWS if refresh == "none" else ())
    assert counted(config, names) == expected(config, names)


@settings(max_examples=100)
@given(organisations(), workloads(), st.sampled_from(SCHEDULES))
def test_without_refresh_every_command_is_known(
    organisation: dict[str, Any], workload: dict[str, Any], schedule: str
) -> None:
    whole = {"mapping.attention": "whole"}  # by heads a row in which two parts meet is opened for each of them
    config = config_of({**organisation, **workload, **whole, "dram.refresh": "none", "schedule": schedule})
    assert counted(config, DATA + ROWS) == expected(config, DATA + ROWS)


@settings(max_examples=60)
@given(organisations(), workloads(), st.sampled_from(SCHEDULES), st.sampled_from(["all_bank", "per_bank"]))
def test_refresh_changes_no_data_command(
    organisation: dict[str, Any], workload: dict[str, Any], schedule: str, refresh: str
) -> None:
    """Refreshes close rows, which open again: more activations, never fewer, and nothing else."""
    timing = {"dram.refresh": refresh, "dram.timing.tREFI_ns": 6825, "dram.timing.tRFCpb_ns": 60, "schedule": schedule}
    config = config_of({**organisation, **workload, **timing, "mapping.attention": "whole"})
    commands, wanted = simulate(config).commands, expected(config, DATA + ROWS)
    assert {name: commands[name] for name in DATA} == {name: wanted[name] for name in DATA}
    banks = config.dram.bank_groups * config.dram.banks_per_group
    opened = commands["ACT"] + banks * commands["ACTAB"]
    assert opened >= wanted["ACT"] + banks * wanted["ACTAB"]


@pytest.mark.parametrize("refresh", REFRESH)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("tREFI", [6825, 9000])
def test_refreshes_fall_due_every_interval(refresh: str, schedule: str, tREFI: int) -> None:
    """One is due at every whole interval before the end, in every channel, busy or not."""
    timing = {"dram.refresh": refresh, "dram.timing.tREFI_ns": tREFI, "schedule": schedule}
    tally = simulate(config_of({**GPT2, "workload.output_tokens": 2, **timing}))
    whole, per_bank = (8 * ((tally.cycles - 1) // interval) for interval in (tREFI, tREFI // 16))
    assert tally.commands["REFAB"] == (whole if refresh == "all_bank" else 0)
    assert tally.commands["REFPB"] == (per_bank if refresh == "per_bank" else 0)
