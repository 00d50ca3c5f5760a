"""LPDDR5X-PIM: LPDDR5X with a block in every bank that multiplies in lock step, and keeps several sums."""

from dataclasses import dataclass

from pimsim.config.devices.lpddr5x_pim import Lpddr5xPimUnits
from pimsim.config.schema import Config
from pimsim.devices.device import Hardware
from pimsim.devices.lpddr5x_pim.matrix import MatrixLayout
from pimsim.devices.lpddr5x_pim.table import STANDARD
from pimsim.devices.lpddr5x_pim.units import block_cycles
from pimsim.devices.pim_gpt import Layouts as SharedLayouts
from pimsim.devices.pim_gpt.matrix import MatrixLayout as SharedMatrixLayout
from pimsim.devices.pim_gpt.units import variants
from pimsim.mapping.grid import Grid


@dataclass(frozen=True)
class Layouts(SharedLayouts):
    """K and V lie as PIM-GPT's do, in pieces of the vector registers; kept: sums that a block keeps.

    Where a group of weights has a sum of its own, which is read, weights lie as PIM-GPT's, too.
    """

    kept: int = 1

    def matrix(self, grid: Grid, inputs: int, outputs: int) -> MatrixLayout | SharedMatrixLayout:  # type: ignore[override]
        """As `mapping.layouts.Layouts`."""
        made = MatrixLayout(grid, inputs, outputs, self.kept)
        return SharedMatrixLayout(grid, inputs, outputs) if made.stored.drained else made


def layouts(config: Config) -> Layouts:
    """The layouts of a configuration."""
    units = config.pim
    assert isinstance(units, Lpddr5xPimUnits)
    mapping = config.mapping
    return Layouts(mapping.value_append == "all_bank", mapping.chunk_heads, kept=units.kept_outputs)


HARDWARE = Hardware(
    STANDARD,
    block_cycles,
    layouts,
    computed=("nBLRES", "nMAC", "nDRAIN", "nFENCE"),
    formats=variants,
)
