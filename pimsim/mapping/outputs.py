"""Outputs of a matrix that are dealt to banks, where every bank of a channel has as many."""

from __future__ import annotations

from pimsim.dram.program import close, run
from pimsim.mapping.grid import Grid, N, ceil_div, share
from pimsim.mapping.stored import Stored, Sums
from pimsim.mapping.wires import Cuts, Wires, in_one, none
from pimsim.mapping.work import NOTHING, Requests, Work, assemble


class DealtOutputs:
    """What `mapping.layouts.Matrix` says of a matrix that the ASIC adds up: its banks have no functions.

    Output o belongs to group o // banks, in bank o % banks; groups are dealt to channels
    round robin and take consecutive slots there.
    """

    grid: Grid
    inputs: int
    outputs: int

    @property
    def stored(self) -> Stored:
        """How the weights of one output are cut and packed."""
        raise NotImplementedError

    def start(self, part: Sums, slot: int) -> int:
        """The linear column where the sums of a part of an output start."""
        raise NotImplementedError

    @property
    def groups(self) -> int:
        """Outputs in sets of one per bank of a channel."""
        return ceil_div(self.outputs, self.grid.banks)

    def slots(self, channel: int) -> int:
        """Outputs that each bank of `channel` holds."""
        return share(self.groups, self.grid.channels, channel)

    def home(self, output: N) -> tuple[N, N, N]:
        """(channel, bank, slot) of an output, or of each of many."""
        group, bank = divmod(output, self.grid.banks)
        slot, channel = divmod(group, self.grid.channels)
        return channel, bank, slot

    @property
    def partial_sums(self) -> int:
        """Partial sums of one output: one per chunk, or one per group where the ASIC applies scales."""
        return self.stored.partial_sums

    @property
    def sums(self) -> Cuts:
        """As `mapping.layouts.Matrix`."""
        return Cuts(self.stored.elements)

    @property
    def takes_addend(self) -> bool:
        """The ASIC adds the bias."""
        return False

    @property
    def functions(self) -> tuple[str, ...]:
        """No activation function runs in the banks."""
        return ()

    def read(self, output: int) -> Work:
        """Read one output's weights, W[output, :], over the pins (an embedding that is tied to the LM head)."""
        read = self.grid.command(self.grid.device.standard.roles.read)
        channel, bank, slot = self.home(output)
        rows = [run(read, bank, self.start(part, slot), part.all_columns) for part in self.stored.sums]
        requests = [NOTHING] * self.grid.channels
        requests[channel] = Requests((*rows, close()), (0, 0, 0))
        return assemble(requests, payload=self.stored.words, results=self.stored.words)

    def read_wires(self, output: int) -> Wires:
        """As `mapping.layouts.Matrix`."""
        nothing = (none(self.grid.width),) * self.grid.channels
        given = in_one(self.home(output)[0], self.stored.read(), self.grid.channels)
        return Wires(nothing, given, packing=self.grid.packing)
