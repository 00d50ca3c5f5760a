"""The layouts of GDDR6-AiM, as it is configured."""

from __future__ import annotations

from dataclasses import dataclass

from pimsim.config.devices.aim import AimUnits
from pimsim.config.schema import Config
from pimsim.devices.aim.attention import KeyLayout, ValueLayout
from pimsim.devices.aim.elementwise import Products
from pimsim.devices.aim.formats import adds_up, by_rows
from pimsim.devices.aim.matrix import MatrixLayout
from pimsim.devices.aim.table import FUNCTIONS
from pimsim.devices.aim.tokens import TokenValueLayout
from pimsim.mapping.grid import Grid
from pimsim.mapping.layouts import Split


@dataclass(frozen=True)
class Layouts:
    """in_banks, functions: see `MatrixLayout`; all_bank_append: V is appended in all banks at once.

    scales_softmax: in the banks, see `Products`; chunk_heads: of K, see `KeyPlaces`.
    """

    in_banks: bool
    functions: tuple[str, ...]
    all_bank_append: bool
    scales_softmax: bool
    chunk_heads: int | None = None

    def matrix(self, grid: Grid, inputs: int, outputs: int) -> MatrixLayout:
        """As `mapping.layouts.Layouts`."""
        in_banks = adds_up(grid, self.in_banks)
        functions = self.functions if in_banks or grid.packing is None else ()
        return MatrixLayout(by_rows(grid), inputs, outputs, 0, in_banks, functions)

    def keys(self, grid: Grid, heads: int, kv_heads: int, head_dim: int, tokens: int) -> KeyLayout:
        """As `mapping.layouts.Layouts`."""
        shape = heads, kv_heads, head_dim, tokens
        return KeyLayout(by_rows(grid), *shape, 0, adds_up(grid, self.in_banks), most_heads=self.chunk_heads)

    def values(
        self, grid: Grid, heads: int, kv_heads: int, head_dim: int, tokens: int, split: Split = "heads"
    ) -> ValueLayout | TokenValueLayout:
        """As `mapping.layouts.Layouts`."""
        made = TokenValueLayout if split == "tokens" else ValueLayout
        in_banks = adds_up(grid, self.in_banks)
        return made(by_rows(grid), heads, kv_heads, head_dim, tokens, 0, in_banks, self.all_bank_append)

    def products(self, grid: Grid, elements: int) -> Products | None:
        """As `mapping.layouts.Layouts`."""
        return Products(grid, elements) if self.scales_softmax else None


def layouts(config: Config) -> Layouts:
    """The layouts of a configuration."""
    units = config.pim
    assert isinstance(units, AimUnits)
    functions = FUNCTIONS if units.activation == "banks" else ()
    all_bank = config.mapping.value_append == "all_bank"
    return Layouts(units.sums == "banks", functions, all_bank, units.softmax == "banks", config.mapping.chunk_heads)
