"""Rules between keys: combinations that no device, or no part of this program, can do.

Each row names the key at fault, the keys it reads, what must hold and what is said
otherwise; the message is formatted with the values in order.  A rule is left out
while one of its keys is itself wrong, so one mistake is reported once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from math import prod
from typing import Any

from pimsim.config import refreshing
from pimsim.config.devices import (
    CONFIGS,
    clocks_of,
    in_lock_step,
    is_of_a_grade,
    masks_writes,
    refresh_parts,
    refresh_turns,
    shares_rows,
)
from pimsim.config.rule import REOPEN, Rule, at_least, reopening, show
from pimsim.config.schema import REFRESH_GAP_NS
from pimsim.config.tree import WORKLOAD_SOURCES
from pimsim.errors import did_you_mean
from pimsim.formats import FORMATS, NATIVE_PAIR, PAIRS, wrong_pair
from pimsim.registry import not_loaded

Values = Mapping[str, Any]
Names = Mapping[str, Collection[str]]
BF16_BYTES = 2
NOTHING = "must be at least 1, not {0}: without a prompt nothing would be simulated"  # of a trace, `workload.scheduled`


def _organisation() -> Iterator[Rule]:
    yield Rule(
        ("dram.row_bytes", "dram.column_bytes"),
        lambda row, column: row % column == 0,
        "must be whole columns of {1} bytes (dram.column_bytes), not {0}",
    )
    yield Rule(
        ("dram.column_bytes",), lambda column: column % BF16_BYTES == 0, "must be whole BF16 of 2 bytes, not {0} bytes"
    )
    yield Rule(
        ("pim.global_buffer_bytes", "dram.column_bytes"),
        lambda buffer, column: buffer % column == 0,
        "must be whole columns of {1} bytes (dram.column_bytes), not {0}",
    )
    yield Rule(
        ("pim.lanes", "dram.column_bytes"),
        lambda lanes, column: lanes <= column // BF16_BYTES,
        lambda lanes, column: (
            f"{lanes} lanes that the column width cannot feed: "
            f"a column of {column} bytes (dram.column_bytes) feeds {column // BF16_BYTES}"
        ),
    )
    yield Rule(
        ("pim.lanes", "dram.column_bytes"),
        lambda lanes, column: lanes > column // BF16_BYTES or column // BF16_BYTES % lanes == 0,
        lambda lanes, column: (
            f"{lanes} lanes do not divide the {column // BF16_BYTES} BF16 of a column (dram.column_bytes)"
        ),
    )


def _formats() -> Iterator[Rule]:
    yield Rule(
        ("pim.formats", "pim.lanes"),
        lambda formats, lanes: formats.get(NATIVE_PAIR, lanes) == lanes,
        lambda formats, lanes: f"{NATIVE_PAIR} has {lanes} lanes (pim.lanes), not {formats[NATIVE_PAIR]}",
    )
    yield Rule(
        ("pim.formats", "dram.column_bytes"),
        lambda formats, column: not any(_unfed(formats, column)),
        lambda formats, column: "; ".join(_unfed(formats, column)),
    )
    yield Rule(
        ("pim.formats", "pim.global_buffer_bytes", "dram.column_bytes"),
        lambda formats, buffer, column: not any(_unbuffered(formats, buffer, column)),
        lambda formats, buffer, column: "; ".join(_unbuffered(formats, buffer, column)),
    )
    yield Rule(
        ("workload.kv_format", "dram.write_mask"),
        lambda kv, mask: kv is None or mask == "none" or FORMATS[kv].bits == BF16_BYTES * 8,
        "must be of 16 bits, not {0}, with dram.write_mask {1}: its mask has a bit for two bytes",
    )


def _numbers(formats: Mapping[str, int], column: int) -> Iterator[tuple[str, int, int]]:
    """Each pair with its lanes and the numbers that a column of so many bytes holds."""
    for name, lanes in formats.items():
        if name in PAIRS:
            yield name, lanes, column * 8 // PAIRS[name].stored.bits


def _unfed(formats: Mapping[str, int], column: int) -> Iterator[str]:
    for name, lanes, numbers in _numbers(formats, column):
        if lanes > numbers:
            yield (
                f"{name}: {lanes} lanes that the column width cannot feed: a column of {column} bytes "
                f"(dram.column_bytes) feeds {numbers}"
            )


def _unbuffered(formats: Mapping[str, int], buffer: int, column: int) -> Iterator[str]:
    for name, _, numbers in _numbers(formats, column):
        needed = numbers * PAIRS[name].given.bits
        if needed > buffer * 8:
            yield (
                f"{name}: a column is multiplied with {numbers} numbers, {-(-needed // 8)} bytes, and the buffer has "
                f"{buffer} (pim.global_buffer_bytes)"
            )


def wrong_pairs(values: Values) -> Iterator[tuple[str, str]]:
    """Pairs of formats that there are not."""
    for name in values.get("pim.formats") or {}:
        if (wrong := wrong_pair(name)) is not None:
            yield f"pim.formats.{name}", wrong


def _masks() -> Iterator[Rule]:
    yield Rule(
        ("dram.write_mask", "dram.standard"),
        lambda mask, standard: mask == "none" or masks_writes(standard),
        lambda _, standard: (
            f"must be none: {standard} has no writes with a mask here; "
            f"{' and '.join(name for name in CONFIGS if masks_writes(name))} have"
        ),
    )


def _units() -> Iterator[Rule]:
    for key, plain in (("pim.units_per_bank", 1), ("pim.accumulators", 1), ("pim.buffers", 1)):
        yield Rule(
            (key, "dram.standard"),
            lambda value, standard, plain=plain: value == plain or shares_rows(standard),
            f"must be {plain}, not {{0}}: a product of {{1}} takes one input at a time",
        )
    yield Rule(
        ("mapping.verify", "dram.standard"),
        lambda verify, standard: verify != "row_reuse" or shares_rows(standard),
        "must be repeat or auto, not {0}: a product of {1} takes the column of the buffer that has its own number, so "
        "that the buffer has one input at a time",
    )
    yield Rule(
        ("pim.units_per_bank", "dram.bank_groups", "dram.banks_per_group"),
        lambda units, groups, banks: units >= 1 or groups * banks % 2 == 0,
        lambda units, groups, banks: f"must be 1 or more, not {show(units)}: {groups} x {banks} banks are no pairs",
    )
    yield Rule(
        ("pim.accumulators", "pim.units_per_bank", "pim.global_buffer_bytes", "dram.column_bytes"),
        lambda sums, units, buffer, column: max(1, int(units)) * sums <= max(1, buffer // column),
        lambda sums, units, buffer, column: (
            f"{sums} sums of {max(1, int(units))} units, of inputs that the buffer has no room for: "
            f"it has {buffer // column} columns (pim.global_buffer_bytes)"
        ),
    )


def _row_cycle(tRC: Any, tRAS: Any, tRP: Any, standard: str) -> bool:
    return bool(tRC >= tRAS + (0 if is_of_a_grade(standard) else tRP))


def _row_cycle_complaint(tRC: Any, tRAS: Any, tRP: Any, standard: str) -> str:
    closing = "" if is_of_a_grade(standard) else f" + tRP ({show(tRP)} ns)"
    return f"must be at least tRAS ({show(tRAS)} ns){closing}, not {show(tRC)}"


def _timing() -> Iterator[Rule]:
    yield at_least("tRAS", "tRCDRD")
    yield Rule(
        ("dram.timing.tRC_ns", "dram.timing.tRAS_ns", "dram.timing.tRP_ns", "dram.standard"),
        _row_cycle,
        _row_cycle_complaint,
    )
    yield at_least("tCCDL", "tCCDS")
    yield at_least("tRRDL", "tRRDS")
    yield at_least("tFAW", "tRRDS")
    yield at_least("tWTRL", "tWTRS")
    yield Rule(
        ("dram.timing.tRFCpb_ns", "dram.timing.tRFC_ns"),
        lambda bank, all_banks: bank is None or bank <= all_banks,
        "must be at most tRFC ({1} ns), not {0}",
    )


def _all_bank_refresh_leaves_time(tREFI: Any, refresh: str, tRFC: Any, *reopen: Any) -> bool:
    return refresh != "all_bank" or tREFI <= tRFC or tREFI > tRFC + reopening(*reopen)


def _per_bank_refresh_leaves_time(
    tREFI: Any, refresh: str, tRFC: Any, tRFCpb: Any, tRREFD: Any, standard: str, groups: Any, banks: Any, *reopen: Any
) -> bool:
    """For a host alone, which goes on in the other banks."""
    if refresh != "per_bank" or in_lock_step(standard):
        return True
    interval, gap = tREFI / (groups // refresh_parts(standard) * banks), _refresh_gap(tRREFD)
    return bool(min(interval - gap, tREFI - _per_bank_duration(tRFC, tRFCpb)) > reopening(*reopen))


def _per_bank_refresh_complaint(
    tREFI: Any, _: str, tRFC: Any, tRFCpb: Any, tRREFD: Any, standard: str, groups: Any, banks: Any, *reopen: Any
) -> str:
    return (
        f"{show(tREFI)} ns over {groups // refresh_parts(standard)} x {banks} banks less tRREFD "
        f"({show(_refresh_gap(tRREFD))} ns) leaves no time to open a row and use it before the next bank's refresh"
    )


def _refresh_gap(tRREFD: Any) -> Any:
    return REFRESH_GAP_NS if tRREFD is None else tRREFD


def _per_bank_duration(tRFC: Any, tRFCpb: Any) -> Any:
    return tRFC / 2 if tRFCpb is None else tRFCpb


# What decides how long the banks of a memory that multiplies in lock step go without products (`refreshing`).
_SHAPE = tuple(
    f"dram.{key}" for key in ("standard", "refresh", "refresh_together", "bank_groups", "banks_per_group", "tCK_ps")
)
_TIMES = ("tREFI", "tRFC", "tRP", "tRCDRD", "tRCDWR")
_GAPS = ("tRFCpb", "tRFCsb", "tRREFD", "tpbR2pbR", "tpbR2act", "tREFSBRD", "tRRDS", "tRRDL", "tRRD", "tFAW", "tPPD")


@dataclass(frozen=True)
class _Turns:
    """Refreshes of bank after bank, by the values of keys.

    given: `refresh_together`; together: that, or what stands for it.
    """

    clocks: Mapping[str, int]
    turns: refreshing.Turns
    given: int | None

    @property
    def fewest(self) -> int | None:
        return refreshing.fewest(self.clocks, self.turns)

    @property
    def together(self) -> int:
        return self.given or self.fewest or self.turns.number

    @property
    def between(self) -> int:
        """Clocks from one time that refreshes are due to the next."""
        return self.together * (self.clocks["nREFI"] // self.turns.number)

    @property
    def most_supply(self) -> int:
        """The longest nFAWAB after which a row is opened and used before the next refreshes."""
        return self.between - refreshing.opening(self.clocks) - 1


@dataclass(frozen=True)
class _LockStep:
    """A rule of memories that multiply in lock step and refresh bank after bank.

    names: the times that it reads, by their JEDEC names, the first of them the one at fault; gaps: those that
    not every standard has.
    """

    names: tuple[str, ...]
    wrong: Callable[[_Turns], bool]
    said: Callable[[_Turns, Any], str]
    gaps: tuple[str, ...] = _GAPS

    def rule(self) -> Rule:
        times, gaps = ([f"dram.timing.{name}_ns" for name in names] for names in (self.names, self.gaps))
        keys = (times[0], *_SHAPE, *times[1:])
        return Rule(keys, self._holds, lambda *values: self.said(self._turns(*values), values[0]), tuple(gaps))

    def _holds(self, *values: Any) -> bool:
        if values[0] is None or not in_lock_step(values[1]):
            return True
        found = self._turns(*values)
        if found.turns.lasts not in found.clocks or found.turns.number % found.together:
            return True
        return not self.wrong(found)

    def _turns(self, *values: Any) -> _Turns:
        standard, refresh, together, groups, banks, tCK_ps = values[1:7]
        times = dict(zip((*self.names, *self.gaps), (values[0], *values[7:]), strict=True))
        clocks = clocks_of(standard, times, tCK_ps)
        return _Turns(clocks, refresh_turns(standard, refresh, groups, banks), together)


def _no_time(found: _Turns) -> bool:
    return not refreshing.leaves_time(found.clocks, found.turns, found.together)


def _no_time_said(found: _Turns, tREFI: Any) -> str:
    clocks, n = found.clocks, found.together
    lasts = found.turns.lasts
    last = f"t{lasts[1:]}" if clocks[lasts] >= refreshing.reopening(clocks, found.turns, n) else "reopening the others"
    others = f" + {refreshing.spent(clocks, found.turns, n)} clocks from the first to the last" if n > 1 else ""
    hint = f"; dram.refresh_together: {found.fewest} does" if found.fewest else ""
    return (
        f"{show(tREFI)} ns over {found.turns.number} refreshes, {n} together: tRP{others} + {last} + tRCD = "
        f"{refreshing.blocked(clocks, found.turns, n)} of {found.between} clocks leave no time to read a column of "
        f"all banks before the next refresh{hint}"
    )


def _together() -> Iterator[Rule]:
    shape = ("dram.bank_groups", "dram.banks_per_group")
    yield Rule(
        ("dram.refresh_together", "dram.standard", "dram.refresh", *shape),
        lambda together, *rest: together is None or refresh_turns(*rest).number % together == 0,
        lambda together, standard, refresh, *rest: (
            f"must divide the refreshes of a tREFI, {refresh_turns(standard, refresh, *rest).number} "
            f"(dram.refresh {refresh}), not {together}"
        ),
    )


def _refresh() -> Iterator[Rule]:
    yield Rule(
        ("dram.timing.tREFI_ns", "dram.timing.tRFC_ns"),
        lambda tREFI, tRFC: tREFI > tRFC,
        "must be longer than tRFC ({1} ns), not {0}: the banks would do nothing but refresh",
    )
    yield Rule(
        ("dram.timing.tREFI_ns", "dram.refresh", "dram.timing.tRFC_ns", *REOPEN),
        _all_bank_refresh_leaves_time,
        "{0} ns less tRFC ({2} ns) leaves no time to open a row and use it before the next refresh",
    )
    yield Rule(
        (
            "dram.timing.tREFI_ns",
            "dram.refresh",
            "dram.timing.tRFC_ns",
            "dram.timing.tRFCpb_ns",
            "dram.timing.tRREFD_ns",
            "dram.standard",
            "dram.bank_groups",
            "dram.banks_per_group",
            *REOPEN,
        ),
        _per_bank_refresh_leaves_time,
        _per_bank_refresh_complaint,
    )
    yield from _together()
    yield _LockStep(_TIMES, _no_time, _no_time_said).rule()


def _supply_leaves_time(tFAWAB: Any, refresh: str, *rest: Any) -> bool:
    return tFAWAB is None or refresh in ("none", "per_bank") or bool(tFAWAB <= _between_refreshes(refresh, *rest))


def _between_refreshes(_: str, tREFI: Any, tRFC: Any, *reopen: Any) -> Any:
    """Time from the end of a refresh in which a row can still be opened and used before the next one, ns."""
    return tREFI - tRFC - reopening(*reopen)


def _supply() -> Iterator[Rule]:
    """An activation that is due after the next refresh would wait for one refresh after the other."""
    timing = tuple(f"dram.timing.{name}_ns" for name in ("tREFI", "tRFC"))
    yield Rule(
        ("dram.timing.tFAWAB_ns", "dram.refresh", *timing, *REOPEN),
        _supply_leaves_time,
        lambda tFAWAB, *rest: (
            f"must be at most {show(_between_refreshes(*rest))} ns, not {show(tFAWAB)}: "
            "else no row is opened between two refreshes"
        ),
    )
    yield _LockStep(
        ("tFAWAB", *_TIMES),
        lambda found: found.clocks["nFAWAB"] > found.most_supply,
        lambda found, tFAWAB: (
            f"must be at most {found.most_supply} clocks, not {show(tFAWAB)} ns: "
            "else no row is opened between two refreshes"
        ),
    ).rule()


def _current(above: str, below: str, formula: str) -> Rule:
    keys = (f"dram.power.{above}_mA", f"dram.power.{below}_mA")
    return Rule(
        keys, lambda x, y: x > y, f"must be above {below}_mA ({{1}} mA), not {{0}}: {formula} would not be positive"
    )


def _currents() -> Iterator[Rule]:
    yield _current("IDD0", "IDD2N", "an activation's energy VDD (IDD0 - IDD2N) tRC")
    yield _current("IDD4R", "IDD3N", "a read's energy VDD (IDD4R - IDD3N) tCCD")
    yield _current("IDD4W", "IDD3N", "a write's energy VDD (IDD4W - IDD3N) tCCD")
    yield _current("IDD5B", "IDD2N", "a refresh's energy VDD (IDD5B - IDD2N) tRFC")


def _model() -> Iterator[Rule]:
    shape = "workload.model_config"
    yield Rule(
        (f"{shape}.heads", f"{shape}.d_model", f"{shape}.head_dim"),
        lambda heads, width, head_dim: head_dim is not None or width % heads == 0,
        "{0} heads do not divide d_model ({1})",
    )
    yield Rule(
        (f"{shape}.kv_heads", f"{shape}.heads"),
        lambda kv_heads, heads: heads % kv_heads == 0,
        "{0} heads of K and V do not divide heads ({1})",
    )
    yield Rule(
        (f"{shape}.active_experts", f"{shape}.experts"),
        lambda active, experts: active <= experts,
        "must be at most experts ({1}), not {0}",
    )
    yield Rule(
        (f"{shape}.head_dim", f"{shape}.family"),
        lambda head_dim, family: family == "gpt2" or head_dim is None or head_dim % 2 == 0,
        "must be even, not {0}: rotary positions turn pairs of elements",
    )


def _steps() -> Iterator[Rule]:
    yield Rule(
        ("workload.query_tokens", "workload.output_tokens"),
        lambda query, output: output % query == 0,
        "must divide output_tokens ({1}), not {0}",
    )
    yield Rule(
        ("workload.output_tokens", "workload.prompt_tokens", "workload.trace"),
        lambda output, prompt, trace: output > 0 or prompt > 0 or trace is not None,
        NOTHING,
    )


def _share_a_model(devices: int, *parts: int) -> bool:
    return devices % prod(parts) == 0


def _do_not_share(devices: int, *parts: int) -> str:
    holders = prod(parts)
    below, above = devices // holders * holders, -(-devices // holders) * holders
    fitting = " or ".join(str(count) for count in (below, above) if count)
    return (
        f"{' x '.join(map(str, parts))} = {holders} devices hold the model (system.tensor x pipeline x expert), and "
        f"{devices} are no multiple of that; {fitting} would be"
    )


def _replicas(devices: int, *parts: int) -> int:
    return max(devices // prod(parts), 1)


def _in_flight(in_flight: int | None, batch: int, *shape: int) -> bool:
    return in_flight is None or -(-batch // _replicas(*shape)) % in_flight == 0


def _systems() -> Iterator[Rule]:
    shape = ("system.devices", "system.tensor", "system.pipeline", "system.expert")
    yield Rule(shape, _share_a_model, _do_not_share)
    yield Rule(
        ("workload.batch", *shape),
        lambda batch, *shape: batch < _replicas(*shape) or not batch % _replicas(*shape),
        lambda batch, *shape: (
            f"{batch} sequences do not divide over {_replicas(*shape)} replicas of the model (system.devices); "
            f"{batch // _replicas(*shape) * _replicas(*shape)} do"
        ),
    )
    yield Rule(
        ("system.in_flight", "workload.batch", *shape),
        _in_flight,
        lambda in_flight, batch, *shape: (
            f"must divide the {-(-batch // _replicas(*shape))} sequences of a replica (workload.batch), not {in_flight}"
        ),
    )


def _in_turn() -> Iterator[Rule]:
    yield Rule(
        ("system.in_flight", "system.pipeline"),
        lambda in_flight, pipeline: in_flight is None or in_flight == 1 or pipeline > 1,
        "must be 1, not {0}: there is one stage (system.pipeline), and nothing to follow each other in",
    )


RULES: tuple[Rule, ...] = (
    *_organisation(),
    *_formats(),
    *_masks(),
    *_units(),
    *_timing(),
    *_refresh(),
    *_supply(),
    *_currents(),
    *_model(),
    *_steps(),
    *_systems(),
    *_in_turn(),
)


def broken(values: Values, own: Sequence[Rule] = ()) -> Iterator[tuple[str, str]]:
    """(key, message) of every rule that `values`, by dotted key, break; own: rules of their standard."""
    for rule in (*RULES, *own):
        given = rule.given(values)
        if given is not None and not rule.holds(*given):
            yield rule.keys[0], rule.complaint(given)


def workload_source(given: Collection[str], wrong: AbstractSet[str], needed: bool) -> Iterator[tuple[str, str]]:
    """Exactly one source of work, or at most one; `given` are those that are not null, in the order of the file."""
    sources = [source for source in given if source in WORKLOAD_SOURCES]
    if needed and not sources and not wrong & {"workload", *(f"workload.{source}" for source in WORKLOAD_SOURCES)}:
        yield "workload", f"exactly one of {', '.join(WORKLOAD_SOURCES)} is needed"
    for extra in sources[1:]:
        yield f"workload.{extra}", f"exactly one of {', '.join(WORKLOAD_SOURCES)} is allowed, and {sources[0]} is given"


def unknown_names(values: Values, names: Names) -> Iterator[tuple[str, str]]:
    """Names that are not in `names`, a collection per key; of a list, each item by itself."""
    for key, known in names.items():
        value = values.get(key)
        items = {f"{key}.{i}": item for i, item in enumerate(value)} if isinstance(value, tuple) else {key: value}
        for path, item in items.items():
            if isinstance(item, str) and item not in known:
                near = getattr(known, "near", None)  # of a collection of more names than it lists
                hint = did_you_mean(item, near(item) if near else known) or f"; known: {', '.join(known) or 'none'}"
                yield path, f"unknown {_what(key)} {item!r}{hint}{not_loaded()}"


def _what(key: str) -> str:
    """What a key names."""
    section, _, last = key.rpartition(".")
    return "machine" if section == "placement" else last.removesuffix("s")


def repeated(values: Values) -> Iterator[tuple[str, str]]:
    """Baselines named twice."""
    baselines = values.get("baselines", ())
    for i, item in enumerate(baselines):
        if item in baselines[:i]:
            yield f"baselines.{i}", f"{item!r} is named twice"
