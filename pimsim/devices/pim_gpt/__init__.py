"""PIM-GPT: GDDR6 with a MAC unit in every bank, which multiply in lock step."""

from dataclasses import dataclass

from pimsim.config.schema import Config
from pimsim.devices.device import Hardware
from pimsim.devices.pim_gpt.attention import KeyLayout, ValueLayout
from pimsim.devices.pim_gpt.matrix import MatrixLayout
from pimsim.devices.pim_gpt.reuse import SharedMatrixLayout, Units
from pimsim.devices.pim_gpt.sharing import with_units
from pimsim.devices.pim_gpt.table import STANDARD
from pimsim.devices.pim_gpt.tokens import TokenValueLayout
from pimsim.devices.pim_gpt.units import mac_cycles, variants
from pimsim.mapping.grid import Grid
from pimsim.mapping.layouts import Split


@dataclass(frozen=True)
class Layouts:
    """all_bank_append: V is appended in all banks of a channel at once; chunk_heads: of K, see `KeyPlaces`; units: of a
    bank.
    """

    all_bank_append: bool
    chunk_heads: int | None = None
    units: Units = Units()

    def matrix(self, grid: Grid, inputs: int, outputs: int) -> MatrixLayout | SharedMatrixLayout:
        """As `mapping.layouts.Layouts`; with two buffers, rows end with an output, so that the other is filled then."""
        if self.units.buffers > 1 and SharedMatrixLayout.fits(grid, inputs, 1):
            return SharedMatrixLayout(grid, inputs, outputs, 1, self.units)
        return MatrixLayout(grid, inputs, outputs)

    def shared(self, grid: Grid, inputs: int, outputs: int, group: int) -> MatrixLayout | SharedMatrixLayout:
        """As `mapping.reuse.Sharing`; where the ASIC applies scales of groups, each has a sum, and no row is shared."""
        fitting = next((n for n in range(group, 0, -1) if SharedMatrixLayout.fits(grid, inputs, n)), 1)
        if fitting == 1:
            return self.matrix(grid, inputs, outputs)
        return SharedMatrixLayout(grid, inputs, outputs, fitting, self.units)

    def keys(self, grid: Grid, heads: int, kv_heads: int, head_dim: int, tokens: int) -> KeyLayout:
        """As `mapping.layouts.Layouts`."""
        return KeyLayout(grid, heads, kv_heads, head_dim, tokens, most_heads=self.chunk_heads)

    def values(
        self, grid: Grid, heads: int, kv_heads: int, head_dim: int, tokens: int, split: Split = "heads"
    ) -> ValueLayout | TokenValueLayout:
        """As `mapping.layouts.Layouts`."""
        made = TokenValueLayout if split == "tokens" else ValueLayout
        return made(grid, heads, kv_heads, head_dim, tokens, all_bank_append=self.all_bank_append)

    def products(self, grid: Grid, elements: int) -> None:
        """The ASIC does all that is no matrix product."""


def layouts(config: Config) -> Layouts:
    """The layouts of a configuration."""
    units = Units(config.pim.parallel, config.pim.kept_sums, config.pim.buffers)
    return Layouts(config.mapping.value_append == "all_bank", config.mapping.chunk_heads, units)


HARDWARE = Hardware(
    STANDARD,
    mac_cycles,
    layouts,
    computed=("nBLRES", "nMAC", "nDRAIN"),
    masks={"WDM": "WR"},
    formats=variants,
    units=with_units,
)
