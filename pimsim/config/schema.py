"""The configuration as frozen pydantic models: keys, types, units and bounds.

Bounds are wide: they catch a wrong unit, not an unusual device.  Rules between keys
are in `pimsim.config.rules`.  A field outside the paper's own parameters has a
default, and its description says where the default comes from.  What every DRAM
standard has in common is here; what is one standard's own is in `pimsim.config.devices`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from pimsim import schedules
from pimsim.config import refreshing
from pimsim.config.written import Written
from pimsim.errors import InputError, did_you_mean
from pimsim.formats import CACHED, COMPUTED, FORMATS, NATIVE_PAIR, PAIRS, Pair
from pimsim.text import not_text
from pimsim.units import to_cycles

SCHEMA_VERSION = "pimsim.config/1"
REASON = "x-default-reason"
LATER = "x-later"


# 15 digits survive the way through a float, and so through any JSON reader.
Number = Annotated[Decimal, Field(gt=0, max_digits=15, allow_inf_nan=False)]
Time = Annotated[Number, Field(le=1000)]
LongTime = Annotated[Number, Field(le=10_000)]
Current = Annotated[Number, Field(le=5000)]
Clock = Annotated[Number, Field(ge=Decimal("0.001"), le=10)]
Power = Annotated[Number, Field(le=100_000)]
# A time that a device may not have: 0 asks for nothing.
TimeOrNone = Annotated[Decimal, Field(ge=0, le=1000, max_digits=15, allow_inf_nan=False)]
LongTimeOrNone = Annotated[Decimal, Field(ge=0, le=10_000, max_digits=15, allow_inf_nan=False)]


def _is_text(value: str) -> str:
    wrong = not_text(value)
    if wrong:
        raise PydanticCustomError("no_text", "{wrong}", {"wrong": wrong})
    return value


Text = Annotated[str, Field(min_length=1), AfterValidator(_is_text)]  # a name or a path
if TYPE_CHECKING:
    ScheduleName = str
    FormatName = str
    CachedFormat = str
    ComputedFormat = str
    PairName = str
else:
    ScheduleName = Literal[tuple(schedules.SCHEDULES)]
    FormatName, CachedFormat, ComputedFormat = Literal[tuple(FORMATS)], Literal[CACHED], Literal[COMPUTED]
    PairName = Literal[tuple(PAIRS)]


def _exact(value: Any, kinds: set[Any]) -> Any:
    """A number as the field's own type if nothing is lost: 12 as a decimal, 1e9 as an int; never a bool."""
    if Decimal in kinds and isinstance(value, int | float) and not isinstance(value, bool):
        return Decimal(str(value))
    if int in kinds and isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 20:
        return int(value) if value % 1 == 0 else value
    return value


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types in an annotation."""
    if isinstance(annotation, type):
        yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)


def default(value: Any, description: str, reason: str, *, later: bool = False, **bounds: Any) -> Any:
    """A field with a default (a value, or a function of the fields before it) and the reason for it.

    later: the key came after version 1 of the format was published, and its default is what was done before:
    it is no part of the configuration's hash then.
    """
    kind = "default_factory" if callable(value) else "default"
    text = f"{description} Default: {reason}."
    extra: dict[str, Any] = {REASON: reason, **({LATER: True} if later else {})}
    return Field(**{kind: value}, description=text, json_schema_extra=extra, **bounds)


_WITH = "config.with_({%s: value}) makes a changed copy, and checks it"  # for whoever tries another way


class Section(BaseModel):
    """What every part of a configuration has in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=(), defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _exact_numbers(cls, data: Any) -> Any:
        return exact_numbers(cls, data) if isinstance(data, Mapping) else data

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """pydantic's copy, whose new values nothing checks before they run.

        InputError for what is no key of this section, which pydantic would take, and for a mapping in the place
        of a section.  `Common.with_` makes a copy that is checked.
        """
        for name, value in (update or {}).items():
            if name not in type(self).model_fields:
                hint = did_you_mean(name, type(self).model_fields)
                raise InputError(f"model_copy changes whole fields, and this is none{hint}; {_WITH % repr(name)}", name)
            if isinstance(value, Mapping) and isinstance(getattr(self, name), BaseModel):
                key = repr(f"{name}.{next(iter(value), 'KEY')}")
                raise InputError(f"model_copy puts nothing else in the place of a section; {_WITH % key}", name)
        return super().model_copy(update=update, deep=deep)

    def copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:  # type: ignore[override]
        """The name that `model_copy` had before: the same, and as picky."""
        return self.model_copy(update=update, deep=deep)

    def __setattr__(self, name: str, value: Any) -> None:
        try:
            super().__setattr__(name, value)
        except ValidationError as error:
            error.add_note(_WITH % repr(f"SECTION.{name}"))
            raise


@cache  # a sweep asks for each point
def _kinds_of(section: type[BaseModel]) -> dict[str, set[Any]]:
    """The types that each key of a section may have."""
    return {field.alias or name: set(_kinds(field.annotation)) for name, field in section.model_fields.items()}


def exact_numbers(section: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a section, each number as its field's own type if nothing is lost."""
    kinds = _kinds_of(section)
    return {key: _exact(value, kinds.get(key, set())) for key, value in values.items()}


# A time in ns from the times that are given, by JEDEC name, and the clock period in ns.
DefaultTime = Callable[[Mapping[str, Decimal], Decimal], Decimal]


class Timings(Section):
    """Timing parameters of one standard in ns; a field tX_ns is the time tX and, in clocks, nX.

    DEFAULTS: what a time is that may be left out, in ns.
    """

    DEFAULTS: ClassVar[Mapping[str, DefaultTime]] = {}

    def times(self, tCK_ps: int) -> dict[str, Decimal]:
        """Every time in ns by its name (tRP, tRFCpb ...), defaults included; `tCK_ps` is the command clock's period."""
        given = {key.removesuffix("_ns"): value for key, value in self.model_dump().items() if value is not None}
        clock = Decimal(tCK_ps) / 1000
        return {name: value(given, clock) for name, value in self.DEFAULTS.items()} | given


class BankTimings(Timings):
    """Times of a bank, and between columns, that every device has, under their JEDEC names."""

    tRCDRD_ns: Time = Field(description="Activation of a row to a read or MAC in it, ns.")
    tRCDWR_ns: Time = Field(description="Activation of a row to a write in it, ns.")
    tRP_ns: Time = Field(description="Precharge to the next activation of the bank, ns.")
    tRAS_ns: Time = Field(description="Activation to precharge of the same bank, ns.")
    tRC_ns: Time = Field(description="Activation to activation of the same bank, ns; at least tRAS + tRP.")
    tCCDS_ns: Time = Field(description="Column command to column command, different bank groups, ns.")
    tCCDL_ns: Time = Field(description="Column command to column command, same bank group, ns.")


class RowTimings(BankTimings):
    """And between rows of a device whose bank groups activate by themselves."""

    tRRDS_ns: Time = Field(description="Activation to activation, different bank groups, ns.")
    tRRDL_ns: Time = Field(description="Activation to activation, same bank group, ns.")


class WindowTimings(RowTimings):
    """Times of rows in a device that limits activations."""

    tFAW_ns: Time = Field(description="Window for four activations of single banks, ns; all-bank activation is exempt.")


class ColumnTimings(Timings):
    """Times of a column and of refresh that every device has, under their JEDEC names."""

    tRTP_ns: Time = Field(description="Read or MAC to precharge of the bank, ns.")
    tWR_ns: Time = Field(description="Write recovery: end of write data to precharge of the bank, ns.")
    tWTRS_ns: Time = Field(description="End of write data to a read, different bank groups, ns.")
    tWTRL_ns: Time = Field(description="End of write data to a read, same bank group, ns.")
    tCL_ns: Time = Field(description="Read command to its first data on the pins (CAS latency), ns.")
    tCWL_ns: Time = Field(description="Write command to its first data on the pins (CAS write latency), ns.")
    tRFC_ns: LongTime = Field(description="Duration of an all-bank refresh, ns.")
    tREFI_ns: Annotated[Number, Field(le=100_000)] = Field(description="Average interval between refreshes, ns.")


class JedecTimings(ColumnTimings, WindowTimings):
    """Timing parameters of GDDR6, in the order of its manual: pydantic takes the fields of the last base first."""


REFRESH_GAP_NS = Decimal(16)  # at least 2 clocks: none is slower than 10 ns


class IoConfig(Section):
    """The pins of one channel."""

    pins: int = Field(ge=1, le=1024, description="Data pins per channel.")
    data_rate_Gbps: Number = Field(
        ge=Decimal("0.05"), le=100, description="Data rate of one pin, Gb/s (1e9 bit per second)."
    )
    energy_pJ_per_bit: Number = default(
        Decimal("5.5"), "Energy to move one bit across the pins, pJ.", "5.5 (adjacent: CENT)", le=100
    )


class PowerConfig(Section):
    """Supply voltage and JEDEC currents of one channel's device."""

    VDD_V: Number = Field(ge=Decimal("0.1"), le=5, description="Supply voltage, V.")
    IDD0_mA: Current = Field(description="One bank activating and precharging at tRC, mA.")
    IDD2N_mA: Current = Field(description="Precharge standby: all banks closed, mA.")
    IDD3N_mA: Current = Field(description="Active standby: a bank open, mA.")
    IDD4R_mA: Current = Field(description="Reading without gaps, mA.")
    IDD4W_mA: Current = Field(description="Writing without gaps, mA.")
    IDD5B_mA: Current = Field(description="Refreshing all banks without gaps, mA.")


class CurrentReference(Section):
    """The channel in which the currents of `dram.power` hold: what one action costs follows from it.

    The configured timings say how fast the device is run; they do not change what the same work takes.
    """

    banks: int = default(16, "Banks of the channel.", "16 (paper)", ge=1, le=256)
    rows: int = default(16384, "Rows per bank.", "16384 (recalled)", ge=1, le=1 << 20)
    row_bytes: int = default(2048, "Bytes per row of one bank.", "2048 (inferred)", ge=2, le=1 << 16)
    column_bytes: int = default(32, "Bytes per column.", "32 (derived)", ge=2, le=1024)
    tCCD_ns: Time = default(Decimal(1), "Column to column at which IDD4R and IDD4W are measured, ns.", "1 (recalled)")
    tRC_ns: Time = default(Decimal(40), "Row cycle at which IDD0 is measured, ns.", "40 (adjacent)")
    tRAS_ns: Time = default(Decimal(28), "Time of that cycle in which the row is open, ns.", "28 (adjacent)")
    tRFC_ns: LongTime = default(Decimal(455), "Refresh to refresh at which IDD5B is measured, ns.", "455 (recalled)")


class PimPowerConfig(PowerConfig):
    """Supply voltage and currents of a channel of PIM-GPT's memory, and what the system's supply gives."""

    reference: CurrentReference = Field(
        default_factory=CurrentReference, description="The channel in which the currents hold."
    )
    budget_W: Number | None = default(
        None,
        "Power that the supply gives memory and ASIC, W: a warning if peak_power_mW is above.",
        "none (assumed): no warning",
        le=100_000,
    )


class MemoryConfig(Section):
    """The memory: organisation, clock, timing, pins and currents; each standard narrows `timing` and `power`.

    WHOLE_BITS: the command clock is the data rate divided by a power of two, so that the bits
    of a pin per clock are one although `tCK_ps` is a rounded figure.
    OF_A_GRADE: its times are the clocks of one speed grade, each rounded up by itself: tRAS + tRP may be above
    the tRC of the same table, and then binds in its place.
    REFRESH_PARTS: parts of a channel that refresh by themselves.
    REFRESH_BANKS: banks that one per-bank refresh takes.
    IN_LOCK_STEP: commands take a column of all banks, which have to be open together.
    MASKS_WRITES: it has writes of some elements of a column (`devices.device.Hardware.masks`).
    KNOWN_AS: what other simulators call it.
    """

    WHOLE_BITS: ClassVar[bool] = True
    OF_A_GRADE: ClassVar[bool] = False
    REFRESH_PARTS: ClassVar[int] = 1
    REFRESH_BANKS: ClassVar[int] = 1
    IN_LOCK_STEP: ClassVar[bool] = False
    MASKS_WRITES: ClassVar[bool] = False
    KNOWN_AS: ClassVar[tuple[str, ...]] = ()

    standard: str = Field(description="Table of commands and timing constraints.")
    channels: int = Field(ge=1, le=128, description="Channels.")
    bank_groups: int = Field(ge=1, le=16, description="Bank groups per channel.")
    banks_per_group: int = Field(ge=1, le=16, description="Banks per bank group.")
    rows: int = Field(ge=1, le=1 << 20, description="Rows per bank.")
    row_bytes: int = Field(ge=2, le=1 << 16, description="Bytes per row of one bank; whole columns.")
    column_bytes: int = Field(ge=2, le=1024, description="Bytes per column, one read, write or MAC; whole BF16.")
    tCK_ps: int = Field(ge=100, le=10_000, description="Period of the command clock, ps.")
    refresh: Literal["all_bank", "per_bank", "same_bank", "none"] = Field(description="Refresh scheme.")
    refresh_together: Annotated[int, Field(ge=1, le=256)] | None = default(
        None,
        "Refreshes in turn that are put off until the last of them is due, and then issued together.",
        "1 (assumed), or where that leaves a memory that multiplies no time to do so, the fewest that do",
        later=True,
    )
    write_mask: Literal["none", "standard"] = default(
        "none",
        "A write of some elements of a column: as a whole column, or with the clocks that the standard has for a mask.",
        "none (assumed: a mask costs nothing)",
        later=True,
    )
    timing: Timings = Field(description="Timing parameters, ns.")
    io: IoConfig = Field(description="Pins of one channel.")
    power: PowerConfig | None = default(
        None, "Supply voltage and currents of one channel's device.", "none: nothing prices this device's commands"
    )

    @property
    def refresh_turns(self) -> refreshing.Turns:
        """Refreshes until every bank of a channel has had one."""
        shape = (self.bank_groups, self.banks_per_group, self.REFRESH_PARTS, self.REFRESH_BANKS)
        return refreshing.turns_of(self.refresh, *shape)

    def refreshes_together(self) -> int:
        """`refresh_together`, or how many it stands for if it is not given."""
        if self.refresh_together is not None:
            return self.refresh_together
        times, turns = self.timing.times(self.tCK_ps), self.refresh_turns
        clocks = {"n" + name[1:]: to_cycles(time, self.tCK_ps) for name, time in times.items()}
        return (refreshing.fewest(clocks, turns) or 1) if self.IN_LOCK_STEP and turns.lasts in clocks else 1


class PimMemory(MemoryConfig):
    """A memory that multiplies: its commands have a price."""

    IN_LOCK_STEP = True

    power: PimPowerConfig = Field(description="Supply voltage and currents of one channel's device.")


class MacReference(Section):
    """The MAC units whose power is `pim.mac_power_mW`."""

    units: int = default(16, "MAC units.", "16 (paper: one per bank of a channel)", ge=1, le=256)
    lanes: int = default(16, "BF16 multipliers of a unit.", "16 (paper)", ge=1, le=512)
    clock_GHz: Clock = default(Decimal(1), "Clock, GHz.", "1 (paper)")
    pair: PairName = default(NATIVE_PAIR, "What they multiply, weights x activations.", "bf16xbf16 (paper)", later=True)


class MacShape(Section):
    """What the MAC units of a memory are made of."""

    lanes: int = Field(ge=1, le=512, description="BF16 multipliers per MAC unit.")
    clock_GHz: Clock = Field(description="Clock of the MAC units, GHz.")
    global_buffer_bytes: int = Field(ge=2, le=1 << 20, description="Input buffer per channel, bytes; whole columns.")


class MacFormats(Section):
    """What the MAC units of a memory multiply."""

    formats: dict[str, Annotated[int, Field(ge=1, le=4096)]] = default(
        {},
        "Pairs of formats that the MAC units multiply, weights x activations (int8xint8), with the multipliers of a "
        "unit for each; the first one is the memory's own.",
        "bf16xbf16 alone, with `lanes` (paper)",
        later=True,
    )
    scales: Literal["unit", "asic"] = default(
        "unit",
        "Who applies the scale of a group of weights: the MAC unit, once per group, or the ASIC, which then adds up a "
        "partial sum per group.",
        "unit (assumed: PIM-GPT has no groups)",
        later=True,
    )


def _halves_or_wholes(units: Decimal) -> Decimal:
    if units != Decimal("0.5") and units % 1:
        raise PydanticCustomError("units", "must be 0.5 or a whole number, not {units}", {"units": str(units)})
    return units


class MacCount(Section):
    """How many MAC units there are, and how many sums each of them keeps.

    SHARES_ROWS: its units may work on several inputs while a row is open.
    """

    SHARES_ROWS: ClassVar[bool] = False

    units_per_bank: Annotated[Number, Field(le=64), AfterValidator(_halves_or_wholes)] = default(
        Decimal(1),
        "MAC units of a bank, each with an input of its own; 0.5: two banks share one, which takes them in turn.",
        "1 (paper)",
        later=True,
    )
    accumulators: int = default(
        1, "Accumulators of a MAC unit for each of its banks: sums that it keeps before they are read.",
        "1 (assumed: the paper has no more)", later=True, ge=1, le=256,
    )  # fmt: skip

    buffers: int = default(
        1, "Global buffers of a channel: the second is filled while the first is multiplied.",
        "1 (paper: a global buffer)", later=True, ge=1, le=2,
    )  # fmt: skip

    @property
    def parallel(self) -> int:
        """Inputs that a column is multiplied with at once."""
        return max(1, int(self.units_per_bank))

    @property
    def turns(self) -> int:
        """Banks that a unit takes one after another."""
        return int(max(Decimal(1), 1 / self.units_per_bank))

    @property
    def kept_sums(self) -> int:
        """Sums that the units of a bank keep before they are read."""
        return self.parallel * self.accumulators

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """`turns`, `parallel`, `kept_sums` and `buffers`."""
        return self.turns, self.parallel, self.kept_sums, self.buffers


class MacPower(Section):
    """What the MAC units draw."""

    mac_power_mW: Power = Field(description="Power of the MAC units of `mac_power_reference` when busy, mW.")
    mac_power_reference: MacReference = Field(
        default_factory=MacReference, description="The MAC units whose power is given."
    )
    routing_factor: Number = default(
        Decimal("1.5"), "Factor on the MAC units' power for the DRAM process's routing.", "1.5 (paper)", le=10
    )


class MacUnits(MacPower, MacCount, MacFormats, MacShape):
    """Multiply-accumulate units in the memory, one per bank: what every memory that multiplies has."""

    @property
    def pairs(self) -> Mapping[str, int]:
        """Multipliers of a unit for each pair of formats that it multiplies, by name; the memory's own first."""
        return self.formats or {NATIVE_PAIR: self.lanes}

    @property
    def sums_at_once(self) -> int:
        """Sums that are kept in a bank before they are read."""
        return self.kept_sums

    @property
    def native(self) -> Pair:
        """The pair that is the memory's own."""
        return PAIRS[next(iter(self.pairs))]


class AsicReference(Section):
    """The ASIC whose power is `asic.power_mW`, and how busy it is then."""

    adders: int = default(256, "BF16 adders.", "256 (recalled)", ge=1, le=1 << 20)
    multipliers: int = default(128, "BF16 multipliers.", "128 (recalled)", ge=1, le=1 << 20)
    sram_KiB: Number = default(Decimal(128), "Buffer, KiB.", "128 (recalled)", le=1 << 20)
    sram_port_bytes: int = default(
        256, "Width of the buffer's read port and of its write port, bytes.", "256 (assumed)", ge=2, le=1 << 16
    )
    clock_GHz: Clock = default(Decimal(1), "Clock, GHz.", "1 (paper)")
    activity: Number = default(
        Decimal("0.1"),
        "Share of the clocks in which a unit or a port is used.",
        "0.1 (assumed: what synthesis takes if nothing is said)",
        le=1,
    )


class AsicConfig(Section):
    """The chip beside the memory: buffer, adders, multipliers and control."""

    clock_GHz: Clock = Field(description="Clock, GHz.")
    sram_KiB: Number = Field(le=1 << 20, description="Buffer, KiB.")
    sram_port_bytes: int = default(
        256,
        "Width of the buffer's read port and of its write port, bytes per clock.",
        "256 (assumed)",
        ge=2,
        le=1 << 16,
    )
    adders: int = Field(ge=1, le=1 << 20, description="BF16 adders.")
    multipliers: int = Field(ge=1, le=1 << 20, description="BF16 multipliers.")
    taylor_terms: int = default(
        6, "Terms of the Taylor series of exp and of GELU's polynomial.", "6 (recalled)", ge=1, le=64
    )
    newton_steps: int = default(
        2, "Newton steps of the reciprocal and of the inverse square root.", "2 (assumed)", ge=0, le=16
    )
    range_reduction: Literal["none", "ln2"] = default(
        "none",
        "exp is a Taylor series about 0, or 2^n exp(r) with |r| of at most ln 2 / 2; GELU then goes by exp, too.",
        "none (recalled: the paper names a Taylor series, and nothing before it)",
        later=True,
    )
    streaming: bool = default(
        True,
        "Element-wise work on PIM results runs as they arrive.",
        "true (inferred: at most 1.16 % of GPT3-XL's latency is ASIC arithmetic)",
    )
    power_mW: Power = Field(description="Power of the ASIC of `power_reference`, mW.")
    power_reference: AsicReference = Field(
        default_factory=AsicReference, description="The ASIC whose power is given, and how busy it is."
    )


class EnergyConfig(Section):
    """How counts become energy."""

    _file: str = PrivateAttr("")

    table: Text = default(
        "v2",
        "Energy table: v1 or v2, of the paper's version 1 or 2 (and npj), or a file, relative to the one that says it.",
        "v2 (the published version)",
    )

    @property
    def table_file(self) -> str:
        """The table from where this process stands; `table` is as it was written, the same on every machine."""
        return self._file or self.table

    def found_at(self, file: str) -> None:
        """Say where the table is, for a configuration that stands elsewhere."""
        self._file = file


class MappingConfig(Section):
    """Where weights, K and V go."""

    reserve_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = default(
        None,
        "Tokens that K and V rows are reserved for.",
        "prompt and output tokens, rounded up to one global buffer of tokens, at most 1,024",
    )
    value_append: Literal["single_bank", "all_bank"] = default(
        "single_bank",
        "Appending V activates one bank at a time, or all banks of a channel at once.",
        "single_bank (paper: about one activation per element)",
    )
    values: Literal["heads", "tokens", "auto"] = default(
        "heads",
        "V goes to the channels by heads, by tokens (the ASIC adds up partial results), or as is the faster.",
        "heads (assumed: the paper does not say what each channel has of V)",
        later=True,
    )
    chunk_columns: Annotated[int, Field(ge=1, le=1 << 16)] | None = default(
        None,
        "Columns of the global buffer that are filled at a time, at most; what a column of weights takes, at least.",
        "all (assumed: fewer partial sums)",
        later=True,
    )
    chunk_heads: Annotated[int, Field(ge=1, le=1024)] | None = default(
        None,
        "Heads of K whose queries are in the global buffer at a time, at most; they lie side by side in a bank.",
        "as many as the buffer holds (assumed: fewer fills)",
        later=True,
    )
    verify: Literal["repeat", "row_reuse", "auto"] = default(
        "repeat",
        "Several inputs of a matrix in one step: a product each, a row that is opened once for many, or the faster.",
        "repeat (paper: a matrix times a vector)",
        later=True,
    )
    attention: Literal["whole", "per_head", "auto"] = default(
        "whole",
        "The scores, the softmax and p V of all heads together, of a few heads at a time, or as is the faster.",
        "whole (assumed: the paper overlaps nothing)",
        later=True,
    )


def _four_d_model(data: dict[str, Any]) -> int:
    return 4 * int(data["d_model"])


def _heads(data: dict[str, Any]) -> int:
    return int(data["heads"])


class ModelConfig(Section):
    """The shape of a decoder-only transformer that is not built in."""

    name: Text = Field(description="Name of the model.")
    layers: int = Field(ge=1, le=1024, description="Decoder blocks.")
    d_model: int = Field(ge=1, le=1 << 17, description="Width of the model, elements.")
    heads: int = Field(ge=1, le=1024, description="Attention heads; a divisor of d_model unless head_dim is given.")
    d_ff: int = default(_four_d_model, "Width of the FFN, elements.", "4 d_model", ge=1, le=1 << 20)
    vocabulary: int = default(50257, "Tokens in the vocabulary.", "50257 (GPT-2)", ge=1, le=10_000_000)
    max_positions: int = default(1024, "Positions with an embedding.", "1024 (GPT-2)", ge=1, le=10_000_000)
    kv_heads: int = default(_heads, "Heads of K and V; a divisor of heads.", "heads", ge=1, le=1024)
    family: Literal["gpt2", "llama", "qwen2"] = default(
        "gpt2",
        "gpt2: LayerNorm, learned positions, GELU, biases; llama: RMSNorm, RoPE, gated SiLU; qwen2: llama, qkv biased.",
        "gpt2",
    )
    head_dim: Annotated[int, Field(ge=1, le=1 << 16)] | None = default(None, "Elements of a head.", "d_model / heads")
    window: Annotated[int, Field(ge=1, le=10_000_000)] | None = default(
        None, "Tokens that are attended to at most, the newest included.", "none: all of them"
    )
    experts: int = default(1, "FFNs of a block; more than one have a router.", "1", ge=1, le=1024)
    active_experts: int = default(1, "FFNs that one token uses; at most experts.", "1", ge=1, le=1024)
    tied: bool = default(True, "The LM head is the token embedding's table.", "true (GPT-2)")


class WorkloadConfig(Section):
    """What is simulated: exactly one of model, trace and model_config, and the tokens.

    A loaded configuration has its tokens from the trace where it does not give them.
    """

    _trace_file: str = PrivateAttr("")

    model: Text | None = default(None, "A built-in model, see `pimsim models`.", "none")
    trace: Text | None = default(
        None, "An operator trace: a file, relative to the one that names it, see `pimsim trace`.", "none"
    )
    model_config_: ModelConfig | None = default(
        None, "The shape of a model that is not built in.", "none", alias="model_config"
    )
    context: int = default(
        0, "Tokens whose K and V are there already; what is simulated goes on from them.", "0", later=True, ge=0,
        le=100_000_000,
    )  # fmt: skip
    prompt_tokens: int = default(0, "Tokens that are prefilled.", "0", ge=0, le=1_000_000)
    prefill_chunk: int = default(
        1, "Tokens of a prompt that a step takes at once; the last step takes what is left.", "1", later=True, ge=1,
        le=65_536,
    )  # fmt: skip
    output_tokens: int = Field(
        ge=0, le=1_000_000, description="Decode steps that are simulated; 0 if a prompt is all that runs."
    )
    batch: int = default(1, "Sequences decoded together.", "1", ge=1, le=4096)
    lm_head: bool = default(False, "Simulate the LM head.", "false (paper: its counts leave it out)")
    query_tokens: int = default(
        1, "Tokens that a decode step takes at once, each with its own context; a divisor of output_tokens.", "1",
        ge=1, le=4096,
    )  # fmt: skip
    routing: Literal["expected", "sampled"] = default(
        "expected", "A token's experts: the most frequent ones, or drawn by their frequencies.", "expected"
    )
    routing_seed: int = default(0, "Seed of sampled routing.", "0", ge=0, le=1 << 32)
    acceptance: Literal["expected", "sampled"] = default(
        "expected",
        "What a step of a trace keeps of its tokens: its share of the mean, or drawn by the chances.",
        "expected", later=True,
    )  # fmt: skip
    acceptance_seed: int = default(0, "Seed of sampled acceptance.", "0", later=True, ge=0, le=1 << 32)
    weight_format: FormatName | None = default(
        None, "Number format of the weights of matrices.", "that of the trace, or the memory's own", later=True
    )
    weight_group: Annotated[int, Field(ge=0, le=1 << 20)] | None = default(
        None,
        "Weights of an output, of fewer than 16 bits, that share a scale; 0: one scale for a matrix.",
        "that of the trace, or of the format (mxfp4: 32), or 0",
        later=True,
    )
    kv_format: CachedFormat | None = default(
        None, "Number format of K and V.", "that of the trace, or the memory's own", later=True
    )
    activation_format: ComputedFormat | None = default(
        None, "Number format in which activations are multiplied.", "that of the trace, or the memory's own", later=True
    )
    biases: bool = default(
        False,
        "Fetch biases and LayerNorm gains from the memory.",
        "false (inferred: the paper's data movement leaves them out)",
    )

    @property
    def start(self) -> int:
        """Tokens before the first that is decoded: those that are there already, and the prompt."""
        return self.context + self.prompt_tokens

    @property
    def last_context(self) -> int:
        """The context of the last token, itself included."""
        return self.start + self.output_tokens

    @property
    def decode_contexts(self) -> range:
        """The context of the newest token of every decode step."""
        return range(self.start + self.query_tokens, self.last_context + 1, self.query_tokens)

    def steps(self) -> Iterator[tuple[str, int, int]]:
        """The phase, the context of the last token and the tokens of every step; a prompt goes in chunks."""
        for before in range(self.context, self.start, self.prefill_chunk):
            context = min(before + self.prefill_chunk, self.start)
            yield "prefill", context, context - before
        for context in self.decode_contexts:
            yield "decode", context, self.query_tokens

    @property
    def steps_by_phase(self) -> dict[str, int]:
        """How many `steps` there are of each phase."""
        return {"prefill": -(-(self.start - self.context) // self.prefill_chunk), "decode": len(self.decode_contexts)}

    @property
    def trace_file(self) -> str:
        """The trace from where this process stands; `trace` is as it was written, the same on every machine."""
        return self._trace_file or self.trace or ""

    def found_at(self, trace_file: str) -> None:
        """Say where the trace is, for a configuration that stands elsewhere."""
        self._trace_file = trace_file


class EngineConfig(Section):
    """How the simulation is done; it does not change any result."""

    mode: Literal["fast", "stepped"] = default("fast", "Exact shortcuts, or every command by itself.", "fast")
    fold: bool = default(True, "Channels that carry the same work are simulated once.", "true")


class ValuesConfig(Section):
    """How the memory computes, where weights are given; it decides no time."""

    accumulate: Literal["fp32", "bf16"] = default(
        "fp32", "What the accumulators of the MAC units hold.", "fp32 (assumed: products of BF16 are exact in it)",
        later=True,
    )  # fmt: skip


class LinkConfig(Section):
    """The links between the devices of a system, each of them duplex."""

    bandwidth_GBps: Annotated[Number, Field(le=100_000)] = default(
        Decimal(64), "Bandwidth of a link in one direction, GB/s (1e9 bytes per second).",
        "64 (assumed: 16 lanes of PCI Express 5.0, or 8 of 6.0)", later=True,
    )  # fmt: skip
    latency_ns: Annotated[Decimal, Field(ge=0, le=1_000_000, max_digits=15, allow_inf_nan=False)] = default(
        Decimal(100), "From one end of a link to the other, a switch's port included, ns.",
        "100 (assumed: of the order of a port of CXL)", later=True,
    )  # fmt: skip
    energy_pJ_per_bit: Annotated[Decimal, Field(ge=0, le=1000, max_digits=15, allow_inf_nan=False)] = default(
        Decimal(5), "Energy of a bit on one link, pJ.", "5 (assumed: of the order of serial links on a board)",
        later=True,
    )  # fmt: skip
    flit_bytes: int = default(
        64, "Bytes that a link carries as one, the smallest message.", "64 (assumed: a flit of CXL)", later=True,
        ge=1, le=65_536,
    )  # fmt: skip
    topology: Literal["switch", "ring", "chain", "tree"] = default(
        "switch", "How the devices are joined: by one switch, in a ring, in a line, or by a tree of switches.",
        "switch (assumed)", later=True,
    )  # fmt: skip
    radix: int = default(9, "Ports of each switch of a tree, one of them up.", "9 (assumed)", later=True, ge=3, le=1024)
    algorithm: Literal["auto", "ring", "direct"] = default(
        "auto", "How devices add up: slices go around in a ring, or each to its owner directly, or as is the faster.",
        "auto", later=True,
    )  # fmt: skip


class SystemConfig(Section):
    """Equal devices that share a model, each with its own memory and ASIC.

    tensor x pipeline x expert devices hold the model once; the others are replicas, which share the batch.
    """

    devices: int = default(1, "Devices, each as the rest of the configuration says.", "1", later=True, ge=1, le=4096)
    tensor: int = default(1, "Devices that share each matrix, and the heads.", "1", later=True, ge=1, le=4096)
    pipeline: int = default(
        1, "Stages: groups of devices that have some of the layers each.", "1", later=True, ge=1, le=4096
    )
    expert: int = default(1, "Devices that share the experts of a layer.", "1", later=True, ge=1, le=4096)
    in_flight: Annotated[int, Field(ge=1, le=4096)] | None = default(
        None, "Parts of the batch that are in the pipeline at once.",
        "the largest divisor of a replica's sequences that is not above the stages", later=True,
    )  # fmt: skip
    link: LinkConfig = Field(default_factory=LinkConfig, description="The links between the devices.")

    @property
    def holders(self) -> int:
        """Devices that hold the model once."""
        return self.tensor * self.pipeline * self.expert

    @property
    def replicas(self) -> int:
        """Copies of the model, which share the batch."""
        return self.devices // self.holders

    @property
    def several(self) -> bool:
        """Whether there is more than one device."""
        return self.devices > 1


class PlacementConfig(Section):
    """Another machine beside the memory, which has a part of the work; one device alone, one machine alone.

    `prefill`, `linear` and `attention` are each PIM, the name of a machine, or AUTO.
    """

    PIM: ClassVar[str] = "pim"
    AUTO: ClassVar[str] = "auto"
    PARTS: ClassVar[tuple[str, ...]] = ("prefill", "linear", "attention")

    prefill: Text = default(
        "pim", "Who takes the prompt: pim, a machine as in `baselines`, or auto: who is the faster.", "pim", later=True
    )
    linear: Text = default(
        "pim",
        "Who carries out everything of a step but attention: pim, a machine as in `baselines`, or auto: each operator "
        "where it is the faster, with what has to cross the link for it.",
        "pim", later=True,
    )  # fmt: skip
    attention: Text = default(
        "pim", "Who keeps K and V and attends to them: pim, a machine as in `baselines`, or auto.", "pim", later=True
    )
    machine: Text | None = default(
        None, "The machine that auto may take.", "the one that is named for another part", later=True
    )
    kv: Literal["copied", "shared"] = default(
        "copied",
        "K and V of a prompt that a machine takes: they cross the link and are written into the banks, or both read "
        "the same memory.",
        "copied", later=True,
    )  # fmt: skip
    sub_batches: int = default(
        1, "Equal parts of the batch whose operators alternate, so that both work at once.", "1", later=True, ge=1,
        le=64,
    )  # fmt: skip

    @property
    def named(self) -> tuple[str, ...]:
        """The machines that it names, each once."""
        found = [getattr(self, part) for part in (*self.PARTS, "machine")]
        return tuple(dict.fromkeys(name for name in found if name not in (None, self.PIM, self.AUTO)))

    @property
    def key(self) -> str:
        """The first of its keys that asks for another machine, "" if none does."""
        return next((f"placement.{part}" for part in self.PARTS if getattr(self, part) != self.PIM), "")


class Common(Section):
    """The keys at the top that every configuration has.

    RULES: rules between keys that are its standard's own (`rules.Rule`).
    """

    RULES: ClassVar[tuple[Any, ...]] = ()

    _written: Written = PrivateAttr(default_factory=Written)

    schema_: Literal["pimsim.config/1"] = Field(alias="schema", description="Version of this format.")
    name: Text = Field(description="Name of the configuration.")
    dram: MemoryConfig = Field(description="The memory.")

    def with_(self, changes: Mapping[str, Any] | Sequence[str] = (), /, **more: Any) -> AnyConfig:
        """A copy with other values, checked as if they had been given when the configuration was loaded.

            config.with_({"dram.channels": 4, "workload.model": "gpt2-xl"}, schedule="overlap")

        changes  by dotted key, or strings as after --set: ["dram.channels=4"]
        more     keys at the top; a mapping changes the keys that it has: dram={"channels": 4}
        InputError has every problem, with the key.
        """
        # What there is by name, and what a trace says, is known above this room.
        api = import_module("pimsim.api")
        changed: AnyConfig = api.change(self, changes, more).config
        return changed

    @property
    def written(self) -> Written:
        """How the configuration was written, and where."""
        return self._written

    def written_as(self, written: Written) -> None:
        """Say how it was written."""
        self._written = written


class Config(Common):
    """A whole system that runs a language model: hardware, mapping, workload and how to simulate it.

    Each memory that multiplies narrows `dram` and `pim`.
    NEEDS_WORK: a configuration without a model or a trace is of no use.
    """

    NEEDS_WORK: ClassVar[bool] = True

    _baseline_files: Mapping[str, str] = PrivateAttr(default_factory=dict)

    dram: PimMemory = Field(description="The memory.")
    pim: MacUnits = Field(description="Multiply-accumulate units in the memory.")
    asic: AsicConfig = Field(description="The chip beside the memory.")
    energy: EnergyConfig = Field(default_factory=EnergyConfig, description="What prices the counts.")
    mapping: MappingConfig = Field(default_factory=MappingConfig, description="Placement of weights, K and V.")
    workload: WorkloadConfig = Field(description="What is simulated.")
    values: ValuesConfig = Field(
        default_factory=ValuesConfig,
        description="How the memory computes, where weights are given; no time.",
    )
    system: SystemConfig = Field(
        default_factory=SystemConfig, description="Several devices of this kind that share a model."
    )
    placement: PlacementConfig = Field(
        default_factory=PlacementConfig, description="Another machine beside the memory, behind `system.link`."
    )
    schedule: ScheduleName = default("paper", schedules.DESCRIPTION, "paper (no overlap between instructions)")
    engine: EngineConfig = Field(
        default_factory=EngineConfig, description="The simulation itself; it does not change any result."
    )
    baselines: tuple[Text, ...] = default(
        (),
        "Machines to compare with: names, see `pimsim models`, NAMExN for N cards of one, or files, relative to the "
        "one that names them.",
        "none",
    )

    baseline_kernels: Literal["formula", "measured"] = default(
        "formula",
        "measured: also compare with steps of kernels as aiconfigurator-core measured them, for machines that it has "
        "(A100, H100, H200); needs the extra `kernels`.",
        "formula",
        later=True,
    )

    @property
    def machines(self) -> tuple[str, ...]:
        """All machines that it names: to compare with, and beside the memory."""
        return tuple(dict.fromkeys((*self.baselines, *self.placement.named)))

    def baseline_file(self, name: str) -> str:
        """Where a baseline that is a file is from where this process stands; `baselines` is as it was written."""
        return self._baseline_files.get(name, name)

    def found_at(self, baseline_files: Mapping[str, str]) -> None:
        """Say where the baselines that are files are, for a configuration that stands elsewhere."""
        self._baseline_files = dict(baseline_files)


HOST_TRAFFIC = "pimsim traffic"  # the command for memories that serve a host alone


class DeviceConfig(Common):
    """A memory alone: no language model runs on it.

    COMMAND: the command that simulates it.
    """

    COMMAND: ClassVar[str] = ""

    engine: EngineConfig = Field(
        default_factory=EngineConfig, description="The simulation itself; it does not change any result."
    )


AnyConfig = Config | DeviceConfig
