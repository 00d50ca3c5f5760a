"""Counts times a table: the energy of a simulation, after the simulation.

Every product is exact (rational numbers of the config's decimals and integer
counts) and becomes a float once, at the end, so rows sum to the total and the
result is the same on every machine.  `formulas.FORMULAS` documents each component.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from pimsim.config.schema import Config
from pimsim.dram.timing import ELEMENT_BYTES, Device, resolve
from pimsim.energy.formulas import COMPONENTS
from pimsim.energy.table import EnergyTable, load_table
from pimsim.errors import InputError, Problem
from pimsim.sim.tally import OperatorTally, Tally, TallyError

Energies = Mapping[str, Fraction]

# How often a command counts in a component; B stands for all banks of the channel.
# Precharge is part of the activation's row cycle; WRGB and RDMAC cost their pins only.
_ACTIONS: Mapping[str, Mapping[str, str]] = {
    "ACT": {"activation": "1"},
    "ACTAB": {"activation": "B"},
    "PRE": {},
    "PREAB": {},
    "RD": {"column_read": "1"},
    "WR": {"column_write": "1"},
    "REFAB": {"refresh": "1"},
    "REFPB": {"refresh": "1/B"},
    "WRGB": {},
    "MACAB": {"mac_read": "1", "mac_units": "1"},
    "RDMAC": {},
}


@dataclass(frozen=True)
class RowEnergy:
    """The energy of one operator kind in one phase, pJ by component."""

    phase: str
    operator: str
    components: Energies

    @property
    def total_pJ(self) -> float:
        """The row's energy, pJ."""
        return float(sum(self.components.values()))


@dataclass(frozen=True)
class EnergyBreakdown:
    """The energy of a simulation: `rows` as in the tally, and what one action costs.

    action_pJ            pJ of one count, by component (see `formulas.FORMULAS`)
    activation_usual_pJ  the usual activation formula per bank, None where it is negative
    """

    rows: tuple[RowEnergy, ...]
    action_pJ: Energies
    activation_usual_pJ: float | None

    def exact(self, phase: str | None = None) -> dict[str, Fraction]:
        """pJ by component, exact, over all rows or those of one phase."""
        rows = [row.components for row in self.rows if phase in (None, row.phase)]
        return {name: sum((row[name] for row in rows), Fraction(0)) for name in COMPONENTS}

    def components_pJ(self, phase: str | None = None) -> dict[str, float]:
        """pJ by component, over all rows or those of one phase."""
        return {name: float(value) for name, value in self.exact(phase).items()}

    def total_pJ(self, phase: str | None = None) -> float:
        """pJ in all, or of one phase."""
        return float(sum(self.exact(phase).values()))


def price(tally: Tally, config: Config, table: EnergyTable | None = None) -> EnergyBreakdown:
    """The energy of `tally` on the device of `config`, by default with its own table.

    A row pays for its own commands and bits; standby and the ASIC, which nobody in
    particular causes, are shared out over the rows by their latency.
    Raises InputError with every term that is missing or negative, and for a command
    that has no price.
    """
    device = resolve(config.dram, config.pim)
    costs = action_costs(config, table)
    share = _open_share(tally, device.channels)
    rows = tuple(RowEnergy(row.phase, row.operator, _price_row(row, device, costs, share)) for row in tally.rows)
    usual = usual_activation_pJ(config, device)
    return EnergyBreakdown(rows, costs, float(usual) if usual >= 0 else None)


def action_costs(config: Config, table: EnergyTable | None = None) -> dict[str, Fraction]:
    """pJ of one count of each component; standby and asic are per DRAM clock.

    Needs no simulation, so a config can be refused before a long one: raises
    InputError with every term that is negative.
    """
    table = table or load_table(config.energy.table)
    device = resolve(config.dram, config.pim)
    power = config.dram.power
    vdd = Fraction(power.VDD_V)

    def ns(name: str) -> Fraction:
        return Fraction(device.cycles[name] * device.tCK_ps, 1000)

    def above(current: str, base: str, name: str) -> Fraction:
        return vdd * (Fraction(getattr(power, current)) - Fraction(getattr(power, base))) * ns(name)

    clock = Fraction(device.tCK_ps, 1000)
    read = above("IDD4R_mA", "IDD3N_mA", "nCCDS")
    routing = Fraction(config.pim.routing_factor) if table.value("mac_routing_applied") else Fraction(1)
    costs = {
        "activation": above("IDD0_mA", "IDD2N_mA", "nRC"),
        "mac_read": table.value("all_bank_read_factor") * read,
        "mac_units": Fraction(config.pim.mac_power_mW) * routing * ns("nMAC"),
        "column_read": read,
        "column_write": above("IDD4W_mA", "IDD3N_mA", "nCCDS"),
        "io": Fraction(config.dram.io.energy_pJ_per_bit),
        "refresh": above("IDD5B_mA", "IDD2N_mA", "nRFC"),
        "standby_active": vdd * Fraction(power.IDD3N_mA) * clock,
        "standby_precharged": vdd * Fraction(power.IDD2N_mA) * clock,
        "asic": Fraction(config.asic.power_mW) * clock,
    }
    _refuse_negative(costs)
    return costs


def command_costs(config: Config, table: EnergyTable | None = None) -> dict[str, Fraction]:
    """pJ of one command of each kind, its bits on the pins included; standby and the ASIC are nobody's."""
    device = resolve(config.dram, config.pim)
    costs = action_costs(config, table)
    bits = dict.fromkeys(("RD", "WR", "WRGB"), 8 * device.column_bytes) | {"RDMAC": 8 * device.banks * ELEMENT_BYTES}
    prices = {}
    for name in device.command_names:
        counts = _command_counts({name: 1}, device.banks)
        counts["io"] = Fraction(bits.get(name, 0))
        prices[name] = sum((counts[component] * costs[component] for component in COMPONENTS), Fraction(0))
    return prices


_CURRENTS = {
    "activation": ("IDD0_mA", "IDD2N_mA"),
    "column_read": ("IDD4R_mA", "IDD3N_mA"),
    "column_write": ("IDD4W_mA", "IDD3N_mA"),
    "refresh": ("IDD5B_mA", "IDD2N_mA"),
}


def _refuse_negative(costs: Energies) -> None:
    problems = [
        Problem("", 0, 0, f"dram.power.{current}", f"below {base}, which makes the energy of {name} negative")
        for name, (current, base) in _CURRENTS.items()
        if costs[name] < 0
    ]
    if problems:
        raise InputError(problems)


def usual_activation_pJ(config: Config, device: Device) -> Fraction:
    """VDD (IDD0 tRC - IDD3N tRAS - IDD2N (tRC - tRAS)), pJ per bank; may be negative.

    Source: Micron's DRAM power calculators (adjacent).
    """
    power = config.dram.power
    open_clocks = device.cycles["nRAS"]
    closed_clocks = device.cycles["nRC"] - open_clocks
    charge = (
        Fraction(power.IDD0_mA) * device.cycles["nRC"]
        - Fraction(power.IDD3N_mA) * open_clocks
        - Fraction(power.IDD2N_mA) * closed_clocks
    )
    return Fraction(power.VDD_V) * charge * device.tCK_ps / 1000


def _price_row(row: OperatorTally, device: Device, costs: Energies, open_share: Fraction) -> Energies:
    channel_clocks = Fraction(device.channels * row.cycles)
    counts = _command_counts(row.commands, device.banks)
    counts["io"] = Fraction(8 * row.pin_bytes)
    counts["standby_active"] = channel_clocks * open_share
    counts["standby_precharged"] = channel_clocks * (1 - open_share)
    counts["asic"] = Fraction(row.cycles)
    return {name: counts[name] * costs[name] for name in COMPONENTS}


def _open_share(tally: Tally, channels: int) -> Fraction:
    """Share of the channels' time with a bank open, over the whole run.

    A row's own open_cycles do not serve: a bank may stay open past the end of the
    operator that opened it, so they can exceed the operator's latency.
    """
    channel_clocks = channels * tally.cycles
    share = Fraction(tally.total("open_cycles"), channel_clocks) if channel_clocks else Fraction(0)
    if share > 1:
        raise TallyError(f"banks are open for {float(share):.3f} of the time")
    return share


def _command_counts(commands: Mapping[str, int], banks: int) -> dict[str, Fraction]:
    weights: Mapping[str, Fraction] = {"1": Fraction(1), "B": Fraction(banks), "1/B": Fraction(1, banks)}
    counts = dict.fromkeys(COMPONENTS, Fraction(0))
    for command, number in commands.items():
        if command not in _ACTIONS:
            raise InputError(f"command {command} has no price", key="energy.table")
        for component, weight in _ACTIONS[command].items():
            counts[component] += number * weights[weight]
    return counts
