"""Which rows hold what: regions dealt out one after another, and whether they fit."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from pimsim.asic.units import Units
from pimsim.config.schema import Config
from pimsim.dram.timing import Device
from pimsim.mapping.caches import Caches
from pimsim.mapping.formats import GridOf, grids
from pimsim.mapping.grid import WORD_BITS, Grid, ceil_div, make_grid
from pimsim.mapping.layouts import Keys, Layouts, Matrix, Products, Split, Values
from pimsim.mapping.regions import Dealer, Region, Use, Wanted
from pimsim.mapping.reuse import Reuse, Size, group_of
from pimsim.mapping.states import State, room_beside_states, states_of, wanted_states
from pimsim.mapping.vectors import VectorLayout
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator


@dataclass(frozen=True)
class Memory:
    """Everything that a graph keeps in DRAM, placed.

    Layouts are by the name of their operator and have base 0; `regions[name].bases` says
    where each copy starts: one for each block, or one for each expert of each block, block by
    block.  K and V of sequence s of a batch have regions of their own: `cache_name`; states too: `state_name`.
    branch_keys, branch_values: of sequences whose caches begin behind a prefix that lies in another one.
    products: room for products element by element, if the banks carry them out.
    tables: those of the embedding that no matrix product shares, by the name of their region.
    scales: those of groups of weights that the ASIC applies, by the name of the operator.
    rows: of all graphs together.  room: elements of the ASIC's SRAM that no state has for itself.
    """

    grid: Grid
    matrices: dict[str, Matrix]
    vectors: dict[str, VectorLayout]
    keys: dict[str, Keys]
    values: dict[str, Values]
    tables: dict[str, VectorLayout]
    scratch: VectorLayout | None
    products: Products | None
    states: dict[str, State]
    regions: dict[str, Region]
    rows: int
    branch_keys: dict[str, Keys]
    branch_values: dict[str, Values]
    room: int
    scales: dict[str, VectorLayout]

    @property
    def groups(self) -> dict[str, int]:
        """How many inputs of each matrix share an open row at most."""
        return {name: group_of(matrix) for name, matrix in self.matrices.items()}

    @property
    def splits(self) -> dict[str, Split]:
        """By what the V of each attention is dealt to the channels."""
        return {name: values.split for name, values in self.values.items()}


def supply_grid(config: Config, device: Device, units: Units) -> Grid:
    """The mapping's grid, with the pace at which one SRAM read port feeds the channels."""
    column, most = device.column_bytes, config.mapping.chunk_columns
    grid = make_grid(
        device,
        config.pim.global_buffer_bytes,
        broadcast_gap=units.transfer_clocks(column, device.tCK_ps),
        private_gap=units.transfer_clocks(column * device.channels, device.tCK_ps),
    )
    return grid if most is None else grid.with_buffer(min(most, grid.buffer_columns))


def place(config: Config, uses: Sequence[Use], grid: Grid, layouts: Layouts) -> list[Memory]:
    """Lay out weights, K, V, vectors and scratch of graphs in one memory, whether or not the device has as many rows
    (see `fit`); weights and caches that several graphs have are there once.
    """
    grid_of = grids(config, grid)
    caches = Caches(config, uses, grid, layouts)
    room = room_beside_states(config, uses)
    most = max((elements for use in uses for elements in _spilled(use, room)), default=0)
    scratch = VectorLayout(grid, most) if most else None
    scores = [o.heads * caches.tokens(use, o) for use in uses for o in use.attentions]
    products = layouts.products(grid, max(scores)) if scores else None
    dealer, found, reuse = Dealer(grid.device.columns), [], _reuse(config, uses, layouts)
    for use in uses:
        operators = use.workload.operators
        linears = [o for o in operators if o.op == "linear"]
        matrices = {o.name: reuse.of(_weights(use, o), size_of(config, grid_of(o), o)) for o in linears}
        vectors = {o.name: VectorLayout(grid, o.vectors()) for o in operators if o.vectors()}
        vectors = vectors if config.workload.biases else {}
        tables, branches = dict(_tables(grid_of, use.workload)), caches.branches_of(use)
        states = states_of(grid, use.workload)
        scales = dict(_scales(grid, grid_of, linears))
        memory = Memory(
            grid, matrices, vectors, *caches.layouts_of(use), tables, scratch, products, states, {}, 0, *branches, room,
            scales,
        )  # fmt: skip
        regions = {wanted.name: dealer.region(wanted) for wanted in _wanted(use, memory, caches)}
        found.append(replace(memory, regions=regions))
    shared = {w.name: dealer.region(w) for w in _shared(scratch, products)}
    return [replace(memory, regions=memory.regions | shared, rows=dealer.rows) for memory in found]


def _reuse(config: Config, uses: Sequence[Use], layouts: Layouts) -> Reuse:
    """With how many inputs all weights are multiplied."""
    reuse = Reuse(config, layouts)
    for use in uses:
        for operator in use.workload.operators:
            if operator.op == "linear":
                reuse.add(_weights(use, operator), use.inputs_of(operator))
    return reuse


def size_of(config: Config, grid: Grid, operator: Operator) -> Size:
    """That of a matrix, of the blocks of a diagonal that of each."""
    bias = config.workload.biases and operator.vectors() > 0
    return Size(grid, operator.inputs // operator.blocks, operator.outputs // operator.blocks, bias)


def _weights(use: Use, operator: Operator) -> tuple[Hashable, ...]:
    """Which weights an operator has, but for their copy."""
    which = (use.owner(operator), _owner(use.workload, operator), operator.inputs, operator.outputs)
    return ("weights", *which)


def _wanted(use: Use, memory: Memory, caches: Caches) -> Iterator[Wanted]:
    """Every region of a graph but those that all share, in the order in which they lie."""
    workload = use.workload
    for operator in workload.operators:
        which = (use.owner(operator), _owner(workload, operator), operator.inputs, operator.outputs)
        each = operator.experts * operator.blocks
        if operator.name in memory.matrices:
            rows = memory.matrices[operator.name].rows
            yield Wanted(operator.name, rows, *use.copies_of(operator, _weights(use, operator), each))
        if operator.name in memory.scales:
            rows = memory.scales[operator.name].rows
            yield Wanted(scales_name(operator), rows, *use.copies_of(operator, ("scales", *which), operator.experts))
        if operator.name in memory.vectors:
            rows = memory.vectors[operator.name].rows
            yield Wanted(vector_name(operator), rows, *use.copies_of(operator, ("vectors", *which), operator.experts))
    yield from caches.wanted(use, (memory.keys, memory.values), (memory.branch_keys, memory.branch_values))
    yield from wanted_states(use, memory.states)
    for name, table in memory.tables.items():
        owner = next(use.owner(o) for o in workload.operators if name.startswith(f"{o.name}.table"))
        yield Wanted(name, table.rows, [("table", owner, name, table.elements)])


def _owner(workload: Workload, operator: Operator) -> str:
    """The operator whose weights these are: another one of its kind that it is tied to, or itself."""
    tied = any(o.name == operator.tied and o.op == operator.op for o in workload.operators)
    return operator.tied if tied else operator.name


def _shared(scratch: VectorLayout | None, products: Products | None) -> Iterator[Wanted]:
    for name, layout in (("scratch", scratch), ("products", products)):
        if layout:
            yield Wanted(name, layout.rows, [name])


def vector_name(operator: Operator) -> str:
    """The region of an operator's bias or normalisation vectors."""
    return f"{operator.name}.vectors"


def scales_name(operator: Operator) -> str:
    """The region of the scales of an operator's groups of weights."""
    return f"{operator.name}.scales"


def _scales(grid: Grid, grid_of: GridOf, linears: Sequence[Operator]) -> Iterator[tuple[str, VectorLayout]]:
    """Scales that the ASIC applies: of each group of each output, and of blocks of a matrix one behind the other."""
    for o in linears:
        packing = grid_of(o).packing
        if packing is not None and packing.drained:
            groups = ceil_div(o.inputs // o.blocks, packing.group)
            yield o.name, VectorLayout(grid, ceil_div(groups * o.outputs * packing.side_bits, WORD_BITS))


def table_name(operator: Operator, table: int) -> str:
    """The region of one table of an embedding."""
    return f"{operator.name}.table{table}"


def tied_matrix(workload: Workload, operator: Operator) -> str | None:
    """The linear whose matrix is an embedding's first table."""
    return next((o.name for o in workload.operators if o.tied == operator.name), None)


def _tables(grid_of: GridOf, workload: Workload) -> Iterator[tuple[str, VectorLayout]]:
    for operator in workload.operators:
        for i, rows in enumerate(operator.tables):
            if i or tied_matrix(workload, operator) is None:
                yield table_name(operator, i), VectorLayout(grid_of(operator), rows * operator.outputs)


def _spilled(use: Use, room: int) -> list[int]:
    """Elements of each operand for which the SRAM has no room at the last context."""
    return [operand.spilled(use.context, use.batch, use.tokens, room) for operand in use.operands]
