"""Counts times a table: the energy of a simulation, after the simulation.

Every product is exact (rational numbers of the config's decimals and integer
counts) and becomes a float once, at the end, so rows sum to the total and the
result is the same on every machine.  `formulas.FORMULAS` documents each price: at
which device its source holds, and how it scales to the one that is configured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache

from pimsim.config.schema import AsicConfig, Config
from pimsim.devices.registry import resolve
from pimsim.dram.timing import ELEMENT_BYTES, Device
from pimsim.energy.formulas import ASIC_PARTS, COMPONENTS, FORMULAS, OUTSIDE, parts_of
from pimsim.energy.pairs import column_factor
from pimsim.energy.table import EnergyTable, load_table
from pimsim.errors import InputError, Problem
from pimsim.formats import NATIVE_PAIR, PAIRS
from pimsim.sim.tally import OperatorTally, Tally, TallyError

Energies = Mapping[str, Fraction]
Counts = Mapping[str, int | Fraction]  # of each price, in the order of the formulas
Actions = Mapping[str, tuple[tuple[str, int | Fraction], ...]]  # how often a command counts in which prices

UNITS = "mac_units"  # the price that goes with the formats
_PRICES = tuple(formula.name for formula in FORMULAS)
_PARTS = {component: tuple(parts_of(component)) for component in COMPONENTS}


@dataclass(frozen=True)
class MachinePower:
    """Power of another machine beside the memory.

    idle_W, cap_W  awake without work, and at full load
    loads          of each operator that it carries out the share of its time at full load
    """

    idle_W: float
    cap_W: float
    loads: Mapping[str, Fraction]


@dataclass(frozen=True)
class Prices:
    """What everything on the device of a config costs, pJ.

    table    that says how its figures are applied
    actions  of one count of each price, see `action_costs`
    counted  how often one command of each kind counts in which prices, see `actions_of`
    commands of one command of each kind, see `command_costs`
    loads    as of `MachinePower`, None without another machine
    """

    config: Config
    device: Device
    table: EnergyTable
    actions: Energies
    counted: Actions
    commands: Energies
    loads: Mapping[str, Fraction] | None = None

    def beside(self, power: MachinePower) -> Prices:
        """The same with another machine beside the memory."""
        pJ = 1000 * Fraction(self.device.tCK_ps, 1000)  # of a watt in a clock
        idle, cap = Fraction(power.idle_W), Fraction(power.cap_W)
        more = {"machine_idle": idle * pJ, "machine_work": (cap - idle) * pJ}
        return replace(self, actions={**self.actions, **more}, loads=power.loads)

    @classmethod
    def of(cls, config: Config, device: Device | None = None, table: EnergyTable | None = None) -> Prices:
        """The prices of a config, by default with its own table; device: its own, if it is known.

        InputError with every term that is negative, before anything is simulated.
        """
        device, table = device or resolve(config.dram, config.pim), table or table_of(config)
        costs, counted = action_costs(config, table), actions_of(device, config, table)
        return cls(config, device, table, costs, counted, command_costs(device, costs, counted))


@dataclass(frozen=True)
class RowEnergy:
    """The energy of one operator kind in one phase.

    counts  how often each price is paid; costs: pJ of one count of it
    """

    phase: str
    operator: str
    counts: Counts
    costs: Energies

    @cached_property
    def parts(self) -> Energies:
        """pJ by price."""
        return {name: self.counts[name] * self.costs[name] for name in _PRICES}

    @property
    def components(self) -> Energies:
        """pJ by component: the prices that it is made of, added up; as `EnergyBreakdown.exact` where others are 0."""
        return _components(self.parts)

    @property
    def total_pJ(self) -> float:
        """The row's energy, pJ."""
        return float(sum(self.parts.values()))


@dataclass(frozen=True)
class EnergyBreakdown:
    """The energy of a simulation: `rows` as in the tally, and what one action costs.

    action_pJ            pJ of one count, by price (see `formulas.FORMULAS`)
    activation_usual_pJ  the usual activation formula per bank, None where it is negative
    """

    rows: tuple[RowEnergy, ...]
    action_pJ: Energies
    activation_usual_pJ: float | None

    def exact(self, phase: str | None = None) -> dict[str, Fraction]:
        """pJ by component, exact, over all rows or those of one phase."""
        return _components(self._parts(phase))

    def asic_pJ(self) -> dict[str, float]:
        """What the component `asic` is made of, pJ: operations by kind, SRAM accesses, and the idle power."""
        parts = self._parts(None)
        return {name: float(parts[name]) for name in ASIC_PARTS}

    def components_pJ(self, phase: str | None = None) -> dict[str, float]:
        """pJ by component, over all rows or those of one phase."""
        return {name: float(value) for name, value in self.exact(phase).items()}

    def total_pJ(self, phase: str | None = None) -> float:
        """pJ in all, or of one phase."""
        return float(sum(self._parts(phase).values()))

    def _parts(self, phase: str | None) -> Energies:
        """pJ by price over all rows or those of one phase: counts are added before they are priced."""
        known = self._known_parts
        if phase not in known:
            counts = [row.counts for row in self.rows if phase in (None, row.phase)]
            known[phase] = {name: sum(row[name] for row in counts) * self.action_pJ[name] for name in _PRICES}
        return known[phase]

    @cached_property
    def _known_parts(self) -> dict[str | None, Energies]:
        return {}


def _components(parts: Energies) -> dict[str, Fraction]:
    """By component what is given by price; none of what is outside of the device where there is nothing."""
    found = {name: sum((parts[part] for part in of), Fraction(0)) for name, of in _PARTS.items()}
    return {name: pJ for name, pJ in found.items() if pJ or name not in OUTSIDE}


def price(tally: Tally, prices: Prices) -> EnergyBreakdown:
    """The energy of `tally` at `prices`.

    A row pays for its own commands, bits and ASIC operations; standby and the idle power
    of the ASIC, which nobody in particular causes, are shared out over the rows by their latency.
    Raises InputError for a command that has no price.
    """
    device, costs = prices.device, prices.actions
    channels = device.channels * tally.devices
    share = _open_share(tally, channels)
    rows = tuple(
        RowEnergy(
            row.phase,
            row.operator,
            {**_row_counts(row, channels, tally.devices, prices.counted, share), **_machine_counts(row, prices.loads)},
            costs,
        )
        for row in tally.rows
    )
    usual = usual_activation_pJ(prices.config)
    return EnergyBreakdown(rows, costs, float(usual) if usual >= 0 else None)


def table_of(config: Config) -> EnergyTable:
    """The energy table of a configuration; a file that cannot be read is the fault of the key that names it."""
    path = config.energy.table_file
    try:
        return load_table(path)
    except InputError as error:
        raise InputError(
            Problem("", 0, 0, "energy.table", f"{config.energy.table}: {problem.message}")
            if (problem.file, problem.key) == (path, "")
            else problem
            for problem in error.problems
        ) from None


def action_costs(config: Config, table: EnergyTable | None = None) -> dict[str, Fraction]:
    """pJ of one count of each price; standby and the idle ASIC are per DRAM clock.

    table: the config's own by default.  Raises InputError with every term that is missing or negative.
    """
    table = table or table_of(config)
    costs = _memory_costs(config, table) | _unit_costs(config, table) | _asic_costs(config, table)
    costs["link"] = Fraction(config.system.link.energy_pJ_per_bit)
    costs |= dict.fromkeys(_PARTS["machine"], Fraction(0))
    _refuse_negative(costs)
    return costs


def _memory_costs(config: Config, table: EnergyTable) -> dict[str, Fraction]:
    """The array, the pins and standby: the currents at their reference, scaled to the configured channel."""
    dram, power, ref = config.dram, config.dram.power, config.dram.power.reference
    banks = Fraction(dram.bank_groups * dram.banks_per_group, ref.banks)
    row, column = Fraction(dram.row_bytes, ref.row_bytes), Fraction(dram.column_bytes, ref.column_bytes)
    vdd, clock = Fraction(power.VDD_V), Fraction(dram.tCK_ps, 1000)
    closed, opened = Fraction(power.IDD2N_mA), Fraction(power.IDD3N_mA)
    read = vdd * (Fraction(power.IDD4R_mA) - opened) * Fraction(ref.tCCD_ns) * column
    return {
        "activation": vdd * (Fraction(power.IDD0_mA) - closed) * Fraction(ref.tRC_ns) * row,
        "mac_read": table.value("all_bank_read_factor") * read * banks,
        "column_read": read,
        "column_write": vdd * (Fraction(power.IDD4W_mA) - opened) * Fraction(ref.tCCD_ns) * column,
        "io": Fraction(dram.io.energy_pJ_per_bit),
        "refresh": vdd
        * (Fraction(power.IDD5B_mA) - closed)
        * Fraction(ref.tRFC_ns)
        * banks
        * Fraction(dram.rows, ref.rows)
        * row,
        "standby_active": vdd * (closed + (opened - closed) * banks) * clock,
        "standby_precharged": vdd * closed * clock,
    }


def _unit_costs(config: Config, table: EnergyTable) -> dict[str, Fraction]:
    """The MAC units, for a column in every bank: an energy per multiply-accumulate, for each of its elements."""
    dram, pim, ref = config.dram, config.pim, config.pim.mac_power_reference
    routing = Fraction(pim.routing_factor) if table.value("mac_routing_applied") else Fraction(1)
    each = Fraction(pim.mac_power_mW) * routing / (ref.units * ref.lanes * Fraction(ref.clock_GHz))
    return {"mac_units": each * dram.bank_groups * dram.banks_per_group * (dram.column_bytes // ELEMENT_BYTES)}


def _asic_costs(config: Config, table: EnergyTable) -> dict[str, Fraction]:
    """The ASIC: an addition, a multiplication, a byte of the SRAM, and one DRAM clock of all that is never gated."""
    asic, ref = config.asic, config.asic.power_reference
    power, clock = Fraction(asic.power_mW), Fraction(ref.clock_GHz)
    paces = {"asic_add": ref.adders, "asic_multiply": ref.multipliers, "asic_sram": 2 * ref.sram_port_bytes}
    costs = {
        name: power * table.value(f"{name}_share") / (pace * clock * Fraction(ref.activity))
        for name, pace in paces.items()
    }
    shares = tuple(f"{name}_share" for name in paces)
    leakage, clocked = table.value("asic_leakage_share"), table.rest("asic_leakage_share", *shares)
    idle = leakage + clocked * Fraction(asic.clock_GHz) / clock
    ns = Fraction(config.dram.tCK_ps, 1000)
    return costs | {"asic_idle": power * idle * _asic_size(asic, table) * ns}


def _asic_size(asic: AsicConfig, table: EnergyTable) -> Fraction:
    """How large the ASIC is, over its reference: the parts of leakage and clock, each grown with its units."""
    ref = asic.power_reference
    adders, multipliers = table.value("asic_idle_adders"), table.value("asic_idle_multipliers")
    sram = table.rest("asic_idle_adders", "asic_idle_multipliers")
    return (
        adders * Fraction(asic.adders, ref.adders)
        + multipliers * Fraction(asic.multipliers, ref.multipliers)
        + sram * Fraction(asic.sram_KiB) / Fraction(ref.sram_KiB)
    )


def command_costs(device: Device, costs: Energies, counted: Actions) -> dict[str, Fraction]:
    """pJ of one command of each kind, its bits on the pins included; standby and the ASIC are nobody's."""
    prices = {}
    for command in device.standard.commands:
        counts = [*counted[command.name], ("io", 8 * device.pin_bytes(command))]
        prices[command.name] = sum((number * costs[price] for price, number in counts), Fraction(0))
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


def usual_activation_pJ(config: Config) -> Fraction:
    """VDD (IDD0 tRC - IDD3N tRAS - IDD2N (tRC - tRAS)) at the currents' reference, pJ per bank; may be negative.

    Source: Micron's DRAM power calculators (adjacent).
    """
    power, ref = config.dram.power, config.dram.power.reference
    cycle, opened = Fraction(ref.tRC_ns), Fraction(ref.tRAS_ns)
    charge = (
        Fraction(power.IDD0_mA) * cycle
        - Fraction(power.IDD3N_mA) * opened
        - Fraction(power.IDD2N_mA) * (cycle - opened)
    )
    return Fraction(power.VDD_V) * charge * Fraction(config.dram.row_bytes, ref.row_bytes)


def _machine_counts(row: OperatorTally, loads: Mapping[str, Fraction] | None) -> dict[str, int | Fraction]:
    """How often a row pays the prices of another machine beside the memory, if there is one."""
    if loads is None:
        return {}
    return {"machine_idle": row.cycles, "machine_work": row.outside_cycles * loads.get(row.operator, Fraction(0))}


def _row_counts(row: OperatorTally, channels: int, devices: int, actions: Actions, open_share: Fraction) -> Counts:
    """How often a row pays each price."""
    opened = channels * row.cycles * open_share
    counts: dict[str, int | Fraction] = dict.fromkeys(_PRICES, 0)
    for name, number in row.commands.items():
        if name not in actions:
            raise _unpriced(name)
        for price, share in actions[name]:
            counts[price] += number * share
    return counts | {
        "io": 8 * row.pin_bytes,
        "standby_active": opened,
        "standby_precharged": channels * row.cycles - opened,
        "asic_add": row.adds,
        "asic_multiply": row.multiplies,
        "asic_sram": row.sram_bytes,
        "asic_idle": row.cycles * devices,
        "link": 8 * row.moved_bytes,
    }


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


def actions_of(device: Device, config: Config, table: EnergyTable) -> Actions:
    """How often one command of each kind counts in which prices; InputError for one that has none.

    What multiplies a pair of formats counts in `mac_units` by the factor of a column of that pair; the array reads it
    as any other column.
    """
    reference = PAIRS[config.pim.mac_power_reference.pair]
    found = {}
    for command in device.standard.commands:
        if command.energy is None:
            raise _unpriced(command.name)
        own = column_factor(PAIRS[command.pair or NATIVE_PAIR], device.column_bytes, table, reference)
        shares = ((price, _of_banks(share, device.banks)) for price, share in command.energy)
        found[command.name] = tuple(
            (price, _whole(share * own) if price == UNITS else share) for price, share in shares
        )
    return found


def _whole(number: Fraction) -> int | Fraction:
    """A number as an int if it is one: sums of ints are fast."""
    return int(number) if number.denominator == 1 else number


def _unpriced(command: str) -> InputError:
    return InputError(f"command {command} has no price", key="energy.table")


@lru_cache(maxsize=256)
def _of_banks(share: str, banks: int) -> int | Fraction:
    """A number, or a share of the banks of the channel: "1", "B", "1/B", "B/4"."""
    top, _, bottom = share.partition("/")
    number, divisor = (banks if part == "B" else int(part or 1) for part in (top, bottom))
    return number // divisor if number % divisor == 0 else Fraction(number, divisor)
