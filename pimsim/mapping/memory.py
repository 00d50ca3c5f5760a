"""Which rows hold what: regions dealt out one after another, and whether they fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pimsim.asic.units import Units
from pimsim.config.schema import Config
from pimsim.dram.timing import ELEMENT_BYTES, Device
from pimsim.errors import InputError
from pimsim.mapping.grid import Grid, ceil_div, make_grid
from pimsim.mapping.layouts import Keys, Layouts, Matrix, Products, Split, Values
from pimsim.mapping.operands import Operand
from pimsim.mapping.split import values_of
from pimsim.mapping.vectors import VectorLayout
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator


@dataclass(frozen=True)
class Region:
    """The linear column at which each copy of a layout starts, and the rows that each takes in every bank."""

    bases: tuple[int, ...]
    rows: int


@dataclass(frozen=True)
class Memory:
    """Everything the workload keeps in DRAM, placed.

    Layouts are by the name of their operator and have base 0; `regions[name].bases` says
    where each copy starts: one for each block, or one for each expert of each block, block by
    block.  K and V of sequence s of a batch have regions of their own: `cache_name`.
    products: room for products element by element, if the banks carry them out.
    tables: those of the embedding that no matrix product shares, by the name of their region.
    """

    grid: Grid
    matrices: dict[str, Matrix]
    vectors: dict[str, VectorLayout]
    keys: dict[str, Keys]
    values: dict[str, Values]
    tables: dict[str, VectorLayout]
    scratch: VectorLayout | None
    products: Products | None
    regions: dict[str, Region]
    rows: int

    @property
    def splits(self) -> dict[str, Split]:
        """By what the V of each attention is dealt to the channels."""
        return {name: values.split for name, values in self.values.items()}


def supply_grid(config: Config, device: Device, units: Units) -> Grid:
    """The mapping's grid, with the pace at which one SRAM read port feeds the channels."""
    column = device.column_bytes
    return make_grid(
        device,
        config.pim.global_buffer_bytes,
        broadcast_gap=units.transfer_clocks(column, device.tCK_ps),
        private_gap=units.transfer_clocks(column * device.channels, device.tCK_ps),
    )


# K and V of what is simulated, rounded up to so many tokens (source: assumed: a buffer of the shipped configuration)
_RESERVE_TOKENS = 1024


def reserve_tokens(config: Config, grid: Grid) -> int:
    """Tokens that K and V have room for: as configured, or all tokens rounded up to a buffer of them, at most 1,024.

    (More than that would only keep the values of neighbouring dimensions in rows apart.)

    Raises InputError if the configured reserve is smaller than the tokens simulated.
    """
    work = config.workload
    tokens = work.last_context
    reserve = config.mapping.reserve_tokens
    if reserve is None:
        together = min(grid.buffer_elements, _RESERVE_TOKENS)
        return ceil_div(tokens, together) * together
    if reserve < tokens:
        before = "context, " if work.context else ""
        raise InputError(
            f"room for {reserve} tokens, but the workload has {tokens} ({before}prompt and output): "
            f"it takes {tokens} or more",
            key="mapping.reserve_tokens",
        )
    return reserve


def place(config: Config, workload: Workload, operands: Sequence[Operand], grid: Grid, layouts: Layouts) -> Memory:
    """Lay out weights, K, V, vectors and scratch, whether or not the device has as many rows (see `fit`)."""
    tokens = reserve_tokens(config, grid)
    matrices = {o.name: layouts.matrix(grid, o.inputs, o.outputs) for o in workload.operators if o.op == "linear"}
    vectors = {o.name: VectorLayout(grid, o.vectors()) for o in workload.operators if o.vectors()}
    keys, values = {}, {}
    for o in workload.operators:
        if o.op == "attention":
            shape = (o.heads, o.kv_heads, o.head_dim, min(tokens, o.window or tokens))
            keys[o.name] = layouts.keys(grid, *shape)
            values[o.name] = values_of(config, o, grid, layouts, shape[-1])
    tables = dict(_tables(grid, workload))
    most = max(_spilled(config, operands), default=0)
    scratch = VectorLayout(grid, most) if most else None
    vectors = vectors if config.workload.biases else {}
    scores = [o.heads * min(tokens, o.window or tokens) for o in workload.operators if o.op == "attention"]
    products = layouts.products(grid, max(scores)) if scores else None
    memory = Memory(grid, matrices, vectors, keys, values, tables, scratch, products, {}, 0)
    regions, rows = _allocate(list(_wanted(config, workload, memory)), grid.device.columns)
    return replace(memory, regions=regions, rows=rows)


def _wanted(config: Config, workload: Workload, memory: Memory) -> Iterator[tuple[str, int, int]]:
    """(name, rows, copies) of every region, in the order in which they lie."""
    for operator in workload.operators:
        copies = workload.repeats(operator) * operator.experts
        if operator.name in memory.matrices:
            yield operator.name, memory.matrices[operator.name].rows, copies
        if operator.name in memory.vectors:
            yield vector_name(operator), memory.vectors[operator.name].rows, copies
    for sequence in range(config.workload.batch):
        for operator in workload.operators:
            if operator.op == "attention":
                copies = workload.repeats(operator)
                yield cache_name("keys", operator, sequence), memory.keys[operator.name].rows, copies
                yield cache_name("values", operator, sequence), memory.values[operator.name].rows, copies
    for name, table in memory.tables.items():
        yield name, table.rows, 1
    if memory.scratch:
        yield "scratch", memory.scratch.rows, 1
    if memory.products:
        yield "products", memory.products.rows, 1


def vector_name(operator: Operator) -> str:
    """The region of an operator's bias or normalisation vectors."""
    return f"{operator.name}.vectors"


def cache_name(what: str, operator: Operator, sequence: int) -> str:
    """The region of an attention's K ("keys") or V ("values") of one sequence of the batch."""
    return f"{what}.{operator.name}.{sequence}"


def table_name(operator: Operator, table: int) -> str:
    """The region of one table of an embedding."""
    return f"{operator.name}.table{table}"


def tied_matrix(workload: Workload, operator: Operator) -> str | None:
    """The linear whose matrix is an embedding's first table."""
    return next((o.name for o in workload.operators if o.tied == operator.name), None)


def _tables(grid: Grid, workload: Workload) -> Iterator[tuple[str, VectorLayout]]:
    for operator in workload.operators:
        for i, rows in enumerate(operator.tables):
            if i or tied_matrix(workload, operator) is None:
                yield table_name(operator, i), VectorLayout(grid, rows * operator.outputs)


def sram_room(config: Config) -> int:
    """Elements that the ASIC's SRAM holds."""
    return int(config.asic.sram_KiB * 1024) // ELEMENT_BYTES


def _spilled(config: Config, operands: Sequence[Operand]) -> list[int]:
    """Elements of each operand that the SRAM cannot hold at the last context."""
    work, room = config.workload, sram_room(config)
    return [operand.spilled(work.last_context, work.batch, work.query_tokens, room) for operand in operands]


def _allocate(wanted: Sequence[tuple[str, int, int]], columns: int) -> tuple[dict[str, Region], int]:
    regions, row = {}, 0
    for name, rows, copies in wanted:
        regions[name] = Region(tuple((row + copy * rows) * columns for copy in range(copies)), rows)
        row += rows * copies
    return regions, row
