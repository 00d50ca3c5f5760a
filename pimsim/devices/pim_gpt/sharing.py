"""PIM-GPT's table with other MAC units than one a bank with one accumulator.

*Several sums* (units of a bank x their accumulators): the buffer holds several inputs, one behind the other, and
WRGBN says where a further one begins.  MACAB takes the columns of the first input, then those of the next one, and
around; each input has an accumulator, and RDMAC reads them in their order.

*Several units*: MACABN gives a column that was read once to all units of its bank, each of which has the next input:
it multiplies and adds for all of them [assumed: a unit beyond the last input takes zeros, as lanes that pad do].

*A unit for two banks*: it lies between an even and an odd bank, as in HBM2-PIM, whose all-bank commands go to the even
banks or to the odd ones (published: Kwon et al., ISSCC 2021; Lee et al., ISCA 2021).  Here one MACAB means both
[assumed]: the even bank's column, then the odd one's, so that it lasts for two of their turns, and what follows the
column of a bank follows that of the later turn.  A unit keeps a sum for each of its banks.

*Two buffers*: WRGBB writes into the one behind, whatever is multiplied with the other meanwhile, and SWGB brings it to
the front [assumed], once its last column is there and the last column of the other one is multiplied.  WRGB still
writes into the one in front.

All of it goes for the multiplications of further pairs of formats, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pimsim.devices.pim_gpt.table import MULTIPLY
from pimsim.dram.formats import Variant, with_variants
from pimsim.dram.spec import Command, Does, Scope, Standard, TimingConstraint

FILL = MULTIPLY[0]
NEXT_INPUT, BEHIND, NEXT_BEHIND, SWAP = f"{FILL}N", f"{FILL}B", f"{FILL}BN", "SWGB"


def all_units_of(multiply: str) -> str:
    """The multiplication for as many inputs as a bank has units, by that for one."""
    return multiply.replace(MULTIPLY[1], f"{MULTIPLY[1]}N", 1)


def with_units(table: Standard, turns: int, units: int, sums: int, buffers: int) -> Standard:
    """A table with units that take so many banks in turn, so many of them in a bank, so many sums of a bank, and so
    many buffers of a channel.
    """
    multiplies = [command for command in table.commands if command.does is Does.MULTIPLY]
    fills = {NEXT_INPUT: Does.FILL_NEXT} if sums > 1 else {}
    if buffers > 1:
        fills |= {BEHIND: Does.FILL_BEHIND} | ({NEXT_BEHIND: Does.FILL_BEHIND_NEXT} if sums > 1 else {})
    variants = [Variant(name, FILL, changes={"does": does}) for name, does in fills.items()]
    if units > 1:
        variants += [_for_all(command, units) for command in multiplies]
    table = with_variants(table, variants) if variants else table
    if buffers > 1:
        table = _with_swap(table)
    if turns == 1:
        return table
    then = tuple(dict.fromkeys(("RD", "WR", table.masked("WR"))))
    later = (row for command in multiplies for row in _later(command, turns, then))
    return replace(table, constraints=(*table.constraints, *later))


def _with_swap(table: Standard) -> Standard:
    """The buffer behind is no business of what is multiplied with the one in front, until they are swapped."""
    behind = tuple(c.name for c in table.commands if c.does in (Does.FILL_BEHIND, Does.FILL_BEHIND_NEXT))
    multiplies = [c for c in table.commands if c.does in (Does.MULTIPLY, Does.MULTIPLY_ALL)]
    names = {command.name for command in multiplies}
    rows = [_apart(row, behind, names) for row in table.constraints]
    own = len([command for command in table.commands if not command.logged])
    swap = Command(SWAP, Scope.CHANNEL, energy=(), does=Does.SWAP)
    commands = (*table.commands[:own], swap, *table.commands[own:])
    every, bus = tuple(command.name for command in commands), "JEDEC: one command per command clock"
    rows += [
        TimingConstraint("channel", (SWAP,), every, "1", source=bus),
        TimingConstraint("channel", tuple(n for n in every if n != SWAP), (SWAP,), "1", source=bus),
        TimingConstraint("channel", behind, (SWAP,), "nCWL + nBL", source="PIM: the vector is in the buffer behind"),
        *(
            TimingConstraint(
                "channel", (c.name,), (SWAP,), c.lasts, source="PIM: the column of the buffer is multiplied"
            )
            for c in multiplies
        ),
        TimingConstraint("channel", ("REFAB",), (SWAP,), "nRFC", source="JEDEC tRFCab: nothing else on the bus"),
    ]
    causes = (("*", SWAP, "input_transfer"), (SWAP, "*", "input_transfer"))
    return replace(table, commands=commands, constraints=tuple(rows), causes=(*table.causes, *causes))


def _apart(row: TimingConstraint, behind: tuple[str, ...], multiplies: set[str]) -> TimingConstraint:
    """A row between the buffer and what is multiplied with it is not about the one behind."""
    if multiplies.isdisjoint((*row.preceding, *row.following)) or row.latency == "1":
        return row
    return replace(
        row,
        preceding=tuple(name for name in row.preceding if name not in behind),
        following=tuple(name for name in row.following if name not in behind),
    )


def _for_all(multiply: Command, units: int) -> Variant:
    """The column is read once; each unit draws what it takes."""
    energy = tuple((price, "1" if price == "mac_read" else str(units)) for price, _ in multiply.energy or ())
    changes = {"energy": energy, "does": Does.MULTIPLY_ALL}
    return Variant(all_units_of(multiply.name), multiply.name, changes=changes)


def _later(multiply: Command, turns: int, then: tuple[str, ...]) -> Iterator[TimingConstraint]:
    """Of what follows a column, counted from the turn in which the last bank's is read."""
    mac, source = multiply.lasts, "PIM: a unit takes its banks in turn"
    later, before = f"{mac} - {mac} // {turns}", (multiply.name,)
    yield TimingConstraint("bank", before, ("PRE", "PREAB"), f"nRTP + {later}", source=source)
    yield TimingConstraint("bank_group", before, then, f"nCCDL + {later}", source=source)
