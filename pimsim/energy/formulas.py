"""How each component of the energy is computed: the text that the docs print.

mA x V x ns = pJ and mW x ns = pJ, so no conversion factor appears anywhere.

A price is what one action takes on the device as it is configured.  The figures behind it
(currents, powers) were found on some device, at some pace: their reference, in the
configuration beside them (`dram.power.reference`, `pim.mac_power_reference`,
`asic.power_reference`).  What the price of the same action on another device is follows by the
scale of its formula, so that a timing or a clock decides how long work takes and not what it
takes; voltage is a figure of its own and is not lowered with a clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Formula:
    """One price: energy in pJ = `count` x `formula` x `scale`, a part of `component`.

    name      of the price; most components have one
    scale     what it grows with: the configured device over the reference, 1 at the reference
    symbols   every symbol with its unit; [ref] marks a value of the reference
    source    where the formula comes from; note: what it leaves out or assumes
    """

    name: str
    count: str
    formula: str
    scale: str
    symbols: str
    source: str
    note: str = ""
    part_of: str = ""

    @property
    def component(self) -> str:
        """The component of the breakdown that it counts in."""
        return self.part_of or self.name


FORMULAS: tuple[Formula, ...] = (
    Formula(
        "activation",
        "banks activated",
        "VDD (IDD0 - IDD2N) tRC[ref]",
        "row_bytes / row_bytes[ref]",
        "VDD [V], IDD0 current of one bank cycling at tRC [mA], IDD2N precharged standby [mA], tRC [ns]",
        "derived",
        "The usual formula, VDD (IDD0 tRC - IDD3N tRAS - IDD2N (tRC - tRAS)), is negative for the recalled currents "
        "(IDD0 < IDD3N), so the increment over precharged standby is charged. Standby is charged at IDD3N while a "
        "bank is open all the same, which counts part of it twice: an upper bound. The usual value is reported as "
        "activation_usual_pJ where it is not negative. An activation moves every cell of the row: a row of half the "
        "bytes takes half [assumed].",
    ),
    Formula(
        "mac_read",
        "columns that all MAC units of a channel take at once",
        "all_bank_read_factor VDD (IDD4R - IDD3N) tCCD[ref]",
        "banks / banks[ref] x column_bytes / column_bytes[ref]",
        "all_bank_read_factor [1, energy table], VDD [V], IDD4R, IDD3N [mA], tCCD [ns]",
        "adjacent",
        "Every bank of the channel reads one column; the factor says what that costs in single-bank reads for the "
        "banks of the reference.",
    ),
    Formula(
        "mac_units",
        "columns that all MAC units of a channel take at once",
        "P_MAC routing / (units[ref] lanes[ref] clock[ref])",
        "banks x elements of a column (x factor of a pair of formats)",
        "P_MAC power of the MAC units of the reference [mW], routing [1; 1 unless the table applies "
        "pim.routing_factor], clock [GHz]; factor [1; 1 for BF16 x BF16]",
        "paper",
        "An energy per multiply-accumulate: the units draw it for each element of a column, the zeros that pad a "
        "vector included (nothing stops them), and nothing between columns [assumed].",
    ),
    Formula(
        "column_read",
        "columns read for the pins",
        "VDD (IDD4R - IDD3N) tCCD[ref]",
        "column_bytes / column_bytes[ref]",
        "VDD [V], IDD4R reading without gaps, IDD3N active standby [mA], tCCD [ns]",
        "adjacent",
        "IDD4R is measured with one column every tCCD[ref]: an energy per byte, however slow pins and banks are.",
    ),
    Formula(
        "column_write",
        "columns written",
        "VDD (IDD4W - IDD3N) tCCD[ref]",
        "column_bytes / column_bytes[ref]",
        "VDD [V], IDD4W writing without gaps, IDD3N active standby [mA], tCCD [ns]",
        "adjacent",
    ),
    Formula(
        "io",
        "bits on the pins of all channels",
        "e_pin",
        "1",
        "e_pin energy per bit on the pins [pJ]",
        "adjacent",
        "A vector sent to every channel counts once per channel.",
    ),
    Formula(
        "refresh",
        "refreshes of all banks (of one bank: 1 / banks of one)",
        "VDD (IDD5B - IDD2N) tRFC[ref]",
        "banks x rows x row_bytes / the same [ref]",
        "VDD [V], IDD5B refreshing all banks without gaps [mA], IDD2N [mA], tRFC [ns]",
        "adjacent",
        "A refresh restores its share of the channel's rows, however long it takes. No per-bank refresh current is "
        "given: a refresh of one bank restores that bank's share of the rows, so it is charged that share of the "
        "energy, whatever tRFCpb is.",
    ),
    Formula(
        "standby_active",
        "channel time with at least one bank open",
        "VDD (IDD2N + (IDD3N - IDD2N) scale)",
        "banks / banks[ref]",
        "VDD [V], IDD2N, IDD3N [mA], time [ns]",
        "adjacent",
        "JEDEC measures IDD3N with all banks open: what it has above IDD2N grows with them.",
    ),
    Formula(
        "standby_precharged",
        "channel time with every bank closed",
        "VDD IDD2N",
        "1",
        "VDD [V], IDD2N [mA], time [ns]",
        "adjacent",
        "Clock, receivers and control of the channel, which do not grow with the array [assumed].",
    ),
    Formula(
        "asic_add",
        "additions (comparisons and subtractions too)",
        "s P_ASIC / (adders[ref] clock[ref] activity)",
        "1",
        "s asic_add_share [1, energy table], P_ASIC power of the ASIC of the reference [mW], clock [GHz], activity [1]",
        "assumed",
        part_of="asic",
    ),
    Formula(
        "asic_multiply",
        "multiplications",
        "s P_ASIC / (multipliers[ref] clock[ref] activity)",
        "1",
        "s asic_multiply_share [1, energy table], as above",
        "assumed",
        part_of="asic",
    ),
    Formula(
        "asic_sram",
        "bytes that the SRAM gives or takes",
        "s P_ASIC / (2 port_bytes[ref] clock[ref] activity)",
        "1",
        "s asic_sram_share [1, energy table], as above; a read port and a write port",
        "assumed",
        "Operands and results of every pass, and once what goes to the channels and comes back.",
        part_of="asic",
    ),
    Formula(
        "asic_idle",
        "latency",
        "P_ASIC (leakage + clocked scale of the clock)",
        "a adders + m multipliers + (1 - a - m) SRAM, each over [ref]; clocked: x clock / clock[ref]",
        "leakage asic_leakage_share, clocked what all shares leave of 1, a asic_idle_adders, m asic_idle_multipliers "
        "[1, energy table], P_ASIC [mW], latency [ns]",
        "assumed",
        "No clock gating is assumed: clock tree and registers of every unit draw their power all the time. It grows "
        "with the units as the area does (see `proxy.area_mm2`).",
        part_of="asic",
    ),
    Formula(
        "link",
        "bits on links to other devices or another machine, once for each link that they cross",
        "e_link",
        "1",
        "e_link energy per bit on a link [pJ] (system.link.energy_pJ_per_bit)",
        "assumed",
        "Of a run on one device alone there is none, and no such component.",
    ),
    Formula(
        "machine_idle",
        "latency",
        "P_idle",
        "1",
        "P_idle power of another machine beside the memory, awake without work [W], latency [ns]",
        "adjacent",
        "From the file of the machine (`placement`); without one there is no such component.",
        part_of="machine",
    ),
    Formula(
        "machine_work",
        "time for which the machine is at work",
        "P_cap - P_idle",
        "share of the time at full load: 1 of an operator, 0 of a launch, of a prompt as its roofline says",
        "P_cap its power at full load, P_idle as above [W], time [ns]",
        "adjacent",
        "An operator takes what binds it, bandwidth or arithmetic, all of the time.",
        part_of="machine",
    ),
)

OUTSIDE = ("link", "machine")  # components that only runs have which need more than one device
COMPONENTS: tuple[str, ...] = tuple(dict.fromkeys(formula.component for formula in FORMULAS))
ASIC_PARTS: tuple[str, ...] = tuple(formula.name for formula in FORMULAS if formula.part_of == "asic")


def parts_of(component: str) -> Iterator[str]:
    """The names of the prices that a component is made of."""
    return (formula.name for formula in FORMULAS if formula.component == component)
