"""The requests of a product on GDDR6-AiM: what WR_GB, WR_BIAS, MAC_ABK, AF, RD_MAC and RD_AF make of a channel."""

from __future__ import annotations

from collections.abc import Sequence

from pimsim.devices.aim.formats import commands
from pimsim.devices.aim.table import AF_ROW
from pimsim.dram.program import Request, run
from pimsim.mapping.grid import Grid
from pimsim.mapping.work import Requests


class Product:
    """Makes the requests; the host goes on once it has what RD_MAC or RD_AF reads."""

    OF_A_SUM = 3  # requests
    FIRST_RESULT = 3  # place of the first results from a `fill` on; behind a look-up one more

    def __init__(self, grid: Grid) -> None:
        standard, device = grid.device.standard, grid.device
        multiply, give = commands(grid)
        names = ("WRGB", "WRMAC16", multiply, give, "AF16", "RDAF16")
        self._fill, self._bias, self._mac, self._read, self._function, self._read_function = map(standard.index, names)
        self._columns, self._grid = device.columns, grid
        self._hold, self._hold_function = (device.completion(standard.command(name)) + 1 for name in (give, "RDAF16"))

    def fill(self, columns: int, gap: int, first: int = 0) -> Request:
        """Write into the buffer what so many columns from column `first` on are multiplied with, `gap` clocks apart."""
        return run(self._fill, -1, self._grid.filled(first), self._grid.filled(columns), gap)

    def sum(self, lin: int, columns: int, table: int | None = None) -> list[Request]:
        """Multiply the buffer with the columns from `lin` on, and read the sums, or what a table makes of them."""
        product = [run(self._bias, -1, 0, 1), run(self._mac, -1, lin, columns)]
        if table is None:
            return [*product, run(self._read, -1, 0, 1, hold=self._hold)]
        looked_up = run(self._function, -1, (AF_ROW + table) * self._columns, 1)
        return [*product, looked_up, run(self._read_function, -1, 0, 1, hold=self._hold_function)]


def marked(rows: Sequence[Request], marks: tuple[int, int, int]) -> Requests:
    """What one channel is asked for; its rows stay open, as the host does not close them."""
    return Requests(tuple(rows), marks)
