"""How each component of the energy is computed: the text that the docs print.

mA x V x ns = pJ and mW x ns = pJ, so no conversion factor appears anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Formula:
    """One component: energy in pJ = `count` x `formula`.

    symbols names every symbol with its unit; source says where the formula comes
    from; note says what it leaves out or assumes.
    """

    component: str
    count: str
    formula: str
    symbols: str
    source: str
    note: str = ""


FORMULAS: tuple[Formula, ...] = (
    Formula(
        "activation",
        "banks activated (ACT: 1, ACTAB: all banks of the channel)",
        "VDD (IDD0 - IDD2N) tRC",
        "VDD [V], IDD0 current of one bank cycling at tRC [mA], IDD2N precharged standby [mA], tRC [ns, whole clocks]",
        "derived",
        "The usual formula, VDD (IDD0 tRC - IDD3N tRAS - IDD2N (tRC - tRAS)), is negative for the recalled currents "
        "(IDD0 < IDD3N), so the increment over precharged standby is charged. Standby is charged at IDD3N while a "
        "bank is open all the same, which counts part of it twice: an upper bound. The usual value is reported as "
        "activation_usual_pJ where it is not negative.",
    ),
    Formula(
        "mac_read",
        "MACAB commands",
        "all_bank_read_factor VDD (IDD4R - IDD3N) tCCDS",
        "all_bank_read_factor [1, energy table], VDD [V], IDD4R, IDD3N [mA], tCCDS [ns, whole clocks]",
        "adjacent",
        "All banks of the channel read one column; the factor says what that costs in single-bank reads.",
    ),
    Formula(
        "mac_units",
        "MACAB commands",
        "P_MAC routing tMAC",
        "P_MAC power of the MAC units of one channel [mW], routing [1; 1 unless the table applies "
        "pim.routing_factor], tMAC clocks between two columns of the MAC unit [ns]",
        "paper",
        "The units draw their power for as long as they work on a column and nothing between.",
    ),
    Formula(
        "column_read",
        "RD commands",
        "VDD (IDD4R - IDD3N) tCCDS",
        "VDD [V], IDD4R reading without gaps, IDD3N active standby [mA], tCCDS [ns, whole clocks]",
        "adjacent",
        "IDD4R is measured with one column every tCCDS, so the array's energy per column does not grow when the "
        "pins are slow.",
    ),
    Formula(
        "column_write",
        "WR commands",
        "VDD (IDD4W - IDD3N) tCCDS",
        "VDD [V], IDD4W writing without gaps, IDD3N active standby [mA], tCCDS [ns, whole clocks]",
        "adjacent",
    ),
    Formula(
        "io",
        "bits on the pins of all channels",
        "e_pin",
        "e_pin energy per bit on the pins [pJ]",
        "adjacent",
        "A vector sent to every channel counts once per channel.",
    ),
    Formula(
        "refresh",
        "REFAB commands (REFPB: 1 / banks of one)",
        "VDD (IDD5B - IDD2N) tRFC",
        "VDD [V], IDD5B refreshing all banks without gaps [mA], IDD2N [mA], tRFC [ns, whole clocks]",
        "adjacent",
        "No per-bank refresh current is given: one REFPB restores one bank's share of the rows of a REFAB, so it is "
        "charged that share of its energy, whatever tRFCpb is.",
    ),
    Formula(
        "standby_active",
        "channel time with at least one bank open",
        "VDD IDD3N",
        "VDD [V], IDD3N [mA], time [ns]",
        "adjacent",
    ),
    Formula(
        "standby_precharged",
        "channel time with every bank closed",
        "VDD IDD2N",
        "VDD [V], IDD2N [mA], time [ns]",
        "adjacent",
    ),
    Formula(
        "asic",
        "latency",
        "P_ASIC",
        "P_ASIC power of the ASIC [mW], latency [ns]",
        "paper",
        "No clock gating is assumed: the ASIC draws its power all the time.",
    ),
)

COMPONENTS: tuple[str, ...] = tuple(formula.component for formula in FORMULAS)
