"""From operators to instructions: what the controller issues for one decode step.

An instruction is either PIM work (a program per channel) or ASIC work (a cost in
clocks).  The instructions of a block are the same in every layer but for the rows they
touch, so a step is planned once and its blocks differ only in `bases`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from pimsim.asic.units import Cost, Units
from pimsim.config.schema import Config
from pimsim.dram.timing import ELEMENT_BYTES, Device, resolve
from pimsim.errors import InputError
from pimsim.mapping.layout import Grid, Work, ceil_div
from pimsim.mapping.memory import Memory, place, spilled_elements, supply_grid, vector_name
from pimsim.workload.models import MODELS, ModelShape, Workload, build
from pimsim.workload.ops import Operator


@dataclass(frozen=True)
class Instruction:
    """One instruction of a step.

    operator  row of the results it counts in
    key       its name for others to wait on; after: the names it waits for
    work      PIM work, with the linear column at which each layer's copy starts (bases)
    cause     what ASIC clocks are charged to ("" for PIM work)
    clocks    DRAM clocks of ASIC work on the whole operand
    tail      DRAM clocks left once the last result has arrived, if the work streams with
              the results of the PIM instruction before it (None: it starts after them)
    """

    operator: str
    key: str
    after: tuple[str, ...]
    work: Work | None = None
    bases: tuple[int, ...] = ()
    landing: int = 0  # DRAM clocks that the SRAM's write port needs for the results
    cause: str = ""
    cost: Cost = Cost()
    clocks: int = 0
    tail: int | None = None


@dataclass(frozen=True)
class Step:
    """The instructions of one token: once, then `layers` times the block, then once."""

    before: tuple[Instruction, ...]
    block: tuple[Instruction, ...]
    after: tuple[Instruction, ...]


START = "start"  # the step's input is there


def shape_of(config: Config) -> ModelShape:
    """The model that a config asks for."""
    custom = config.workload.model_config_
    if custom is None:
        if config.workload.model is None:
            raise InputError("a model or a model_config is needed", key="workload")
        return MODELS[config.workload.model]
    return ModelShape(
        custom.name, custom.layers, custom.d_model, custom.heads, custom.kv_heads, custom.d_ff, custom.vocabulary,
        custom.max_positions,
    )  # fmt: skip


@dataclass
class Plan:
    """A config, compiled: the device, the memory map, and the instructions of any step."""

    config: Config
    device: Device
    workload: Workload
    units: Units
    grid: Grid
    memory: Memory
    _works: dict[tuple[str, int], Work] = field(default_factory=dict)

    def step(self, context: int, head: bool) -> Step:
        """The instructions that decode the token at `context`; `head` adds the operators after the blocks."""
        return _Planner(self, context).step(head)

    def cached(self, kind: str, key: int, make: Callable[[], Work]) -> Work:
        """The work of `kind`, made again only when `key` changes."""
        found = self._works.get((kind, key))
        if found is None:
            for old in [k for k in self._works if k[0] == kind]:
                del self._works[old]
            found = self._works[kind, key] = make()
        return found


def compile_plan(config: Config) -> Plan:
    """Compile a config; InputError if the workload does not fit the device."""
    device = resolve(config.dram, config.pim)
    units = Units(config.asic)
    workload = build(shape_of(config), config.workload.lm_head)
    grid = supply_grid(config, device, units)
    return Plan(config, device, workload, units, grid, place(config, workload, grid))


class _Planner:
    """Plans one step."""

    def __init__(self, plan: Plan, context: int) -> None:
        self.plan = plan
        self.context = context
        self.batch = plan.config.workload.batch
        self.piece = plan.device.channels * plan.device.banks  # results that arrive together
        self.spilled = spilled_elements(plan.config, plan.workload, context)
        self.out: list[Instruction] = []
        self.last = START

    def step(self, head: bool) -> Step:
        workload = self.plan.workload
        parts = []
        for scope in ("once_before", "block", "once_after"):
            self.out, self.last = [], START
            if scope != "once_after" or head:
                for operator in workload.select(scope):
                    self._operator(operator)
            parts.append(tuple(self.out))
        return Step(*parts)

    def _operator(self, operator: Operator) -> None:
        match operator.op:
            case "linear":
                self._linear(operator)
            case "attention":
                self._attention(operator)
            case "layernorm":
                self._fetch_vectors(operator)
                self._asic(operator.name, "layernorm", operator.outputs, self.batch)
            case "gelu":
                self._asic(operator.name, "gelu", operator.outputs, self.batch, streams=True)
            case "add":
                self._asic(operator.name, "residual", operator.outputs, self.batch, streams=True)
            case "embedding":
                self._embed(operator)
            case _:
                raise InputError(f"the hardware has no way to run {operator.op!r} ({operator.name})", key="workload")

    def _pim(self, operator: str, work: Work, region: str, after: str | None = None, key: str | None = None) -> None:
        """Append PIM work that waits for `after` (default: the instruction before)."""
        bases = self.plan.memory.regions[region].bases
        if len(bases) == 1:  # one copy for all layers
            bases *= self.plan.workload.shape.layers
        landing = self.plan.units.transfer_clocks(work.results * ELEMENT_BYTES, self.plan.device.tCK_ps)
        self.out.append(Instruction(operator, key or operator, (after or self.last,), work, bases, landing))
        self.last = key or operator

    def _asic(
        self, operator: str, kind: str, n: int, vectors: int, streams: bool = False, key: str | None = None
    ) -> None:
        """Append ASIC work on `vectors` vectors of `n` elements that waits for the instruction before."""
        units, tCK = self.plan.units, self.plan.device.tCK_ps
        cost = units.cost(kind, n, vectors)
        tail = None
        if streams and self.plan.config.asic.streaming:
            tail = units.clocks(units.cost(kind, min(n * vectors, self.piece)).cycles, tCK)
        clocks = units.clocks(cost.cycles, tCK)
        name = key or operator
        self.out.append(Instruction(operator, name, (self.last,), cause=kind, cost=cost, clocks=clocks, tail=tail))
        self.last = name

    def _linear(self, operator: Operator) -> None:
        layout = self.plan.memory.matrices[operator.name]
        work = self.plan.cached(operator.name, 0, layout.multiply)
        has_vectors = self._fetch_vectors(operator)
        for _ in range(self.batch):
            self._pim(operator.name, work, operator.name)
        sums = operator.outputs * (len(layout.chunks) - 1 + (1 if has_vectors else 0))
        if sums:
            self._asic("sum", "sum", sums, self.batch, streams=True, key=f"{operator.name}.sum")
        self._spill(operator.name)
        if operator.role == "lm_head":
            self._asic("argmax", "argmax", operator.outputs, self.batch, streams=True)

    def _attention(self, operator: Operator) -> None:
        memory, context, made = self.plan.memory, self.context, self.last
        token = context - 1
        keys, values, grid = memory.keys, memory.values, self.plan.grid
        append_key = self.plan.cached("key_append", token, lambda: keys.append(token))
        append_value = self.plan.cached("value_append", token // grid.width, lambda: values.append(token))
        groups, columns = ceil_div(context, grid.banks), grid.columns_of(context)
        score = keys.score_of(self.plan.cached("scores", groups, lambda: keys.score_groups(groups)), context)
        weigh = values.weigh_of(self.plan.cached("values", columns, lambda: values.weigh_columns(columns)), context)
        heads = operator.heads
        for s in range(self.batch):
            self._pim("key_append", append_key, f"keys.{s}", after=made)
            self._pim("scores", score, f"keys.{s}", after=made, key=f"scores.{s}")
            self._pim("value_append", append_value, f"values.{s}", after=made)
            self.last = f"scores.{s}"
        if memory.keys.cuts > 1:
            n = heads * context * (memory.keys.cuts - 1)
            self._asic("sum", "sum", n, self.batch, streams=True, key="scores.sum")
        self._spill("scores")
        gate = self.last
        for s in range(self.batch):
            self.last = f"scores.{s}" if gate == f"scores.{self.batch - 1}" else gate
            self._asic("softmax", "softmax", context, heads, key=f"softmax.{s}")
            self._pim("values", weigh, f"values.{s}", key=f"values.{s}")
        chunks = len(grid.buffers(columns))
        if chunks > 1:
            n = operator.outputs * (chunks - 1)
            self._asic("sum", "sum", n, self.batch, streams=True, key="values.sum")

    def _embed(self, operator: Operator) -> None:
        """One row of the token table (the LM head's matrix) and one of the position table."""
        memory, d = self.plan.memory, operator.outputs
        tied = next(o.name for o in self.plan.workload.operators if o.tied == operator.name)
        assert memory.positions is not None
        position = (self.context - 1) % self.plan.workload.shape.max_positions
        row = self.plan.cached("embed.token", 0, lambda: memory.matrices[tied].read(0))
        positions = memory.positions
        place_row = self.plan.cached("embed.position", position, lambda: positions.move("RD", position * d, d))
        for _ in range(self.batch):
            self._pim("embed", row, tied)
        self._pim("embed", place_row, "positions")
        self._asic("embed", "sum", d, self.batch, streams=True, key="embed.sum")

    def _fetch_vectors(self, operator: Operator) -> bool:
        """Read an operator's biases or gains, if they are simulated."""
        layout = self.plan.memory.vectors.get(operator.name)
        if layout is None:
            return False
        work = self.plan.cached(vector_name(operator), 0, lambda: layout.move("RD"))
        self._pim("vectors", work, vector_name(operator), key=vector_name(operator))
        return True

    def _spill(self, name: str) -> None:
        """Write what the SRAM cannot hold to DRAM and read it back."""
        elements = self.spilled.get(name, 0)
        if not elements:
            return
        scratch = self.plan.memory.scratch
        assert scratch is not None
        for command in ("WR", "RD"):
            make = partial(scratch.move, command, 0, elements)
            work = self.plan.cached(f"spill.{name}.{command}", elements, make)
            self._pim("spill", work, "scratch", key=f"{name}.{command}")
