"""Which rows hold what: regions dealt out one after another, and whether they fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pimsim.asic.units import Units
from pimsim.config.schema import Config
from pimsim.dram.timing import ELEMENT_BYTES, Device
from pimsim.errors import InputError
from pimsim.mapping.layout import Grid, KeyLayout, MatrixLayout, ValueLayout, VectorLayout, ceil_div, make_grid
from pimsim.workload.models import Workload
from pimsim.workload.ops import Operator


@dataclass(frozen=True)
class Region:
    """A layout and the linear column at which each of its copies (one a layer) starts."""

    bases: tuple[int, ...]
    rows: int


@dataclass(frozen=True)
class Memory:
    """Everything the workload keeps in DRAM, placed.

    Layouts have base 0; `regions[name].bases[layer]` says where a layer's copy starts.
    Regions of sequence s of a batch are named "keys.s" and "values.s".
    """

    grid: Grid
    matrices: dict[str, MatrixLayout]
    vectors: dict[str, VectorLayout]
    keys: KeyLayout
    values: ValueLayout
    positions: VectorLayout | None
    scratch: VectorLayout | None
    regions: dict[str, Region]
    rows: int


def supply_grid(config: Config, device: Device, units: Units) -> Grid:
    """The mapping's grid, with the pace at which one SRAM read port feeds the channels."""
    column = device.column_bytes
    return make_grid(
        device,
        config.pim.global_buffer_bytes,
        broadcast_gap=units.transfer_clocks(column, device.tCK_ps),
        private_gap=units.transfer_clocks(column * device.channels, device.tCK_ps),
    )


def reserve_tokens(config: Config, grid: Grid) -> int:
    """Tokens that K and V have room for: as configured, or all tokens rounded up to a buffer of them.

    Raises InputError if the configured reserve is smaller than the tokens simulated.
    """
    tokens = config.workload.prompt_tokens + config.workload.output_tokens
    reserve = config.mapping.reserve_tokens
    if reserve is None:
        return ceil_div(tokens, grid.buffer_elements) * grid.buffer_elements
    if reserve < tokens:
        raise InputError(
            f"room for {reserve} tokens, but the workload has {tokens} (prompt and output)",
            key="mapping.reserve_tokens",
        )
    return reserve


def place(config: Config, workload: Workload, grid: Grid) -> Memory:
    """Lay out weights, K, V, vectors and scratch; InputError says by how much they do not fit."""
    attention = next(o for o in workload.operators if o.op == "attention")
    tokens = reserve_tokens(config, grid)
    heads = (attention.heads, attention.kv_heads, attention.head_dim)
    matrices = {o.name: MatrixLayout(grid, o.inputs, o.outputs) for o in workload.operators if o.op == "linear"}
    vectors = dict(_vectors(grid, workload)) if config.workload.biases else {}
    keys = KeyLayout(grid, *heads, tokens)
    values = ValueLayout(grid, *heads, tokens, all_bank_append=config.mapping.value_append == "all_bank")
    positions = VectorLayout(grid, workload.shape.max_positions * workload.shape.d_model) if workload.lm_head else None
    spilled = spilled_elements(config, workload, config.workload.prompt_tokens + config.workload.output_tokens)
    scratch = VectorLayout(grid, max(spilled.values())) if any(spilled.values()) else None
    blocks = workload.shape.layers
    wanted: list[tuple[str, int, int]] = []
    for operator in workload.operators:
        copies = blocks if operator.scope == "block" else 1
        if operator.name in matrices:
            wanted.append((operator.name, matrices[operator.name].rows, copies))
        if operator.name in vectors:
            wanted.append((vector_name(operator), vectors[operator.name].rows, copies))
    for sequence in range(config.workload.batch):
        wanted.append((f"keys.{sequence}", keys.rows, blocks))
        wanted.append((f"values.{sequence}", values.rows, blocks))
    if positions:
        wanted.append(("positions", positions.rows, 1))
    if scratch:
        wanted.append(("scratch", scratch.rows, 1))
    regions, rows = _allocate(wanted, grid.device.columns)
    _check_capacity(grid.device, regions, rows)
    return Memory(grid, matrices, vectors, keys, values, positions, scratch, regions, rows)


def vector_name(operator: Operator) -> str:
    """The region of an operator's bias or normalisation vectors."""
    return f"{operator.name}.vectors"


def _vectors(grid: Grid, workload: Workload) -> Iterator[tuple[str, VectorLayout]]:
    for operator in workload.operators:
        elements = operator.parameters() - operator.parameters(biases=False)
        if elements:
            yield operator.name, VectorLayout(grid, elements)


def spilled_elements(config: Config, workload: Workload, context: int) -> dict[str, int]:
    """Elements of each operand that the SRAM cannot hold at `context`, by the operator that makes it.

    An operand shares the SRAM with the residual vector.  What does not fit is written to
    DRAM and read back.
    """
    room = int(config.asic.sram_KiB * 1024) // ELEMENT_BYTES
    shape, batch = workload.shape, config.workload.batch
    kv_width = shape.kv_heads * shape.head_dim
    made = {"qkv": shape.d_model + 2 * kv_width, "scores": shape.heads * context, "ffn_up": shape.d_ff}
    return {name: max(0, batch * (elements + shape.d_model) - room) for name, elements in made.items()}


def _allocate(wanted: Sequence[tuple[str, int, int]], columns: int) -> tuple[dict[str, Region], int]:
    regions, row = {}, 0
    for name, rows, copies in wanted:
        regions[name] = Region(tuple((row + copy * rows) * columns for copy in range(copies)), rows)
        row += rows * copies
    return regions, row


def _check_capacity(device: Device, regions: dict[str, Region], rows: int) -> None:
    if rows <= device.rows:
        return
    row_bytes = device.columns * device.column_bytes * device.banks * device.channels
    cache = sum(r.rows * len(r.bases) for name, r in regions.items() if name.startswith(("keys.", "values.")))
    raise InputError(
        f"the workload does not fit: it needs {rows:,} rows in every bank ({rows * row_bytes / 2**30:.2f} GiB, "
        f"of which K and V {cache:,} rows), the device has {device.rows:,} ({device.rows * row_bytes / 2**30:.2f} "
        f"GiB): {rows - device.rows:,} rows ({(rows - device.rows) * row_bytes / 2**30:.2f} GiB) too many",
        key="dram.rows",
    )
