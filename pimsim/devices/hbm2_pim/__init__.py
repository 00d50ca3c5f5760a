"""HBM2-PIM: HBM2 with a SIMD unit for every two banks, whose lanes nothing adds up."""

from dataclasses import dataclass

from pimsim.config.devices.hbm2_pim import Hbm2PimUnits
from pimsim.config.schema import Config
from pimsim.devices.device import Hardware
from pimsim.devices.hbm2_pim.attention import KeyLayout, ValueLayout
from pimsim.devices.hbm2_pim.matrix import MatrixLayout
from pimsim.devices.hbm2_pim.products import Registers
from pimsim.devices.hbm2_pim.table import STANDARD
from pimsim.devices.hbm2_pim.units import COMPUTED, unit_cycles
from pimsim.mapping.grid import Grid
from pimsim.mapping.layouts import Split
from pimsim.units import to_cycles


@dataclass(frozen=True)
class Layouts:
    """registers: what a unit keeps, see `products.Registers`; chunk_heads: of K, see `KeyPlaces`."""

    registers: Registers
    chunk_heads: int | None = None

    def matrix(self, grid: Grid, inputs: int, outputs: int) -> MatrixLayout:
        """As `mapping.layouts.Layouts`."""
        return MatrixLayout(grid, inputs, outputs, registers=self.registers)

    def keys(self, grid: Grid, heads: int, kv_heads: int, head_dim: int, tokens: int) -> KeyLayout:
        """As `mapping.layouts.Layouts`."""
        return KeyLayout(grid, heads, kv_heads, head_dim, tokens, most_heads=self.chunk_heads, registers=self.registers)

    def values(
        self, grid: Grid, heads: int, kv_heads: int, head_dim: int, tokens: int, split: Split = "heads"
    ) -> ValueLayout:
        """As `mapping.layouts.Layouts`; the configuration allows no other split."""
        assert split == "heads"
        return ValueLayout(grid, heads, kv_heads, head_dim, tokens, registers=self.registers)

    def products(self, grid: Grid, elements: int) -> None:
        """The host does all that is no matrix product."""


def layouts(config: Config) -> Layouts:
    """The layouts of a configuration."""
    units = config.pim
    assert isinstance(units, Hbm2PimUnits)
    fence = to_cycles(units.fence_ns, config.dram.tCK_ps) if units.fence_ns else 0
    return Layouts(Registers(units.registers, fence, units.fence_commands), config.mapping.chunk_heads)


HARDWARE = Hardware(STANDARD, unit_cycles, layouts, computed=COMPUTED, formats=lambda pairs: ())  # one pair alone
