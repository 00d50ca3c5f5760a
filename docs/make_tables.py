"""The generated tables of the docs: rewrites them in place.

.venv/bin/python docs/make_tables.py

Each table stands between two comments that name it. tests/unit/test_docs.py fails if one is out of date.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from blocks import filled, table
from config_keys import keys

from pimsim.api import language_model, load
from pimsim.baselines import devices
from pimsim.cli.completion import KEYS
from pimsim.config.resolved import resolved_dict
from pimsim.devices.pim_gpt.table import CAUSES, CONSTRAINTS
from pimsim.devices.registry import resolve
from pimsim.energy.formulas import FORMULAS
from pimsim.energy.model import action_costs
from pimsim.energy.pairs import column_factor, pair_factor
from pimsim.energy.table import TABLES, load_table
from pimsim.formats import PAIRS
from pimsim.sweep.expressions import TRUTH
from pimsim.sweep.keys import choices, kind_of, known_keys

DOCS = Path(__file__).resolve().parent
CONFIG = DOCS.parent / "configs" / "pim-gpt.yaml"

# What an input decides, by key or by the start of one; the longest that fits counts.
DECIDES: Mapping[str, str] = {
    "dram.standard": "commands and timing table",
    "dram.channels": "all of the parallelism, together with the banks; latency almost in proportion",
    "dram.bank_groups": "MAC units per channel; scope of the long timings",
    "dram.banks_per_group": "MAC units per channel",
    "dram.rows": "whether a model fits",
    "dram.row_bytes": "row-hit rate; share of the latency that activation takes",
    "dram.column_bytes": "elements per MACAB; clocks per column on the pins",
    "dram.tCK_ps": "grid to which every timing is rounded up",
    "dram.write_mask": "clocks of appending V",
    "dram.refresh": "share of the latency that refresh takes",
    "dram.timing.tRCDRD_ns": "activation: row switch of the multiplications",
    "dram.timing.tRCDWR_ns": "activation: row switch of V",
    "dram.timing.tRP_ns": "activation: row switch",
    "dram.timing.tRAS_ns": "least time that a row of V stays open",
    "dram.timing.tRC_ns": "least time between rows of one bank",
    "dram.timing.tCCDS_ns": "pace of columns",
    "dram.timing.tCCDL_ns": "pace of the MAC units",
    "dram.refresh_together": "refresh per bank (not in the shipped configuration)",
    "dram.timing.tRRD": "pace at which V is appended",
    "dram.timing.tFAW_ns": "pace at which V is appended",
    "dram.timing.tFAWAB_ns": "pace of all-bank activations (not in the shipped configuration)",
    "dram.timing.tRTP_ns": "activation: row switch",
    "dram.timing.tWR_ns": "end of each K or V write",
    "dram.timing.tWTR": "a multiplication after a write",
    "dram.timing.tCL_ns": "result transfer: latency of each read of the accumulators at the end of an instruction",
    "dram.timing.tCWL_ns": "input transfer: latency of the first column of a vector",
    "dram.timing.tRFC_ns": "refresh, with tREFI",
    "dram.timing.tRFCpb_ns": "refresh per bank (not in the shipped configuration)",
    "dram.timing.tRREFD_ns": "refresh per bank (not in the shipped configuration)",
    "dram.timing.tPPD_ns": "precharges of appended values",
    "dram.timing.tREFI_ns": "refresh, with tRFC",
    "dram.io.pins": "input and result transfer",
    "dram.io.data_rate_Gbps": "input and result transfer",
    "dram.io.energy_pJ_per_bit": "energy: io",
    "dram.power.VDD_V": "every DRAM energy",
    "dram.power.IDD0_mA": "energy: activation",
    "dram.power.IDD2N_mA": "energy: standby; activation, refresh",
    "dram.power.IDD3N_mA": "energy: standby; reads, MAC reads, writes",
    "dram.power.IDD4R_mA": "energy: mac_read, the largest component",
    "dram.power.IDD4W_mA": "energy: column_write",
    "dram.power.IDD5B_mA": "energy: refresh",
    "dram.power.reference": "energy: price of an activation, a column or a refresh",
    "dram.power.budget_W": "a warning",
    "pim.lanes": "clocks per column; latency of the multiplications",
    "pim.clock_GHz": "clocks per column; latency of the multiplications",
    "pim.global_buffer_bytes": "chunks of a matrix: vectors sent, partial sums returned",
    "pim.pipeline_stages": "wait for the sums before each result transfer",
    "pim.units_per_bank": "clocks per column (0.5), inputs that a column is multiplied with (2 and more)",
    "pim.accumulators": "sums of several inputs before they are read",
    "pim.buffers": "whether chunks of a matrix are sent while others are multiplied",
    "pim.formats": "which formats are multiplied; numbers of a column and of the buffer, clocks per column",
    "pim.scales": "who applies scales of groups: columns of scales, or partial sums and ASIC arithmetic",
    "pim.mac_power_mW": "energy: mac_units",
    "pim.mac_power_reference": "energy: price of a multiply-accumulate",
    "pim.routing_factor": "energy: mac_units in table v2",
    "system.": "which devices share the model; exchanges between them; idle devices",
    "system.link.": "exchanges between devices",
    "system.link.energy": "energy of exchanges, but not their time",
    "placement.": "which operators another machine runs, and what crosses the link",
    "values.accumulate": "tokens, but not the time that they take",
    "baseline_kernels": "whether machines are also compared by measured kernels",
    "asic.clock_GHz": "exposed ASIC arithmetic",
    "asic.sram_KiB": "whether scores and FFN vectors spill to DRAM",
    "asic.sram_port_bytes": "pace of LayerNorm; pace at which the channels are fed",
    "asic.adders": "pace of the ASIC's sums; depth of a reduction",
    "asic.multipliers": "pace of softmax and GELU",
    "asic.taylor_terms": "pace of softmax and GELU: latency not in VMM",
    "asic.newton_steps": "depth of softmax and LayerNorm",
    "asic.range_reduction": "pace of softmax and GELU; whether their values are usable",
    "asic.streaming": "whether GELU, residual and partial sums are exposed",
    "asic.power_mW": "energy: asic",
    "asic.power_reference": "energy: price of an operation of the ASIC, and of the idle ASIC",
    "energy.table": "energy: mac_read, mac_units",
    "mapping.reserve_tokens": "rows that K and V take; strides of V",
    "mapping.value_append": "latency and activations of appending V",
    "mapping.chunk_columns": "columns of the buffer that are filled at a time: fills, partial sums",
    "mapping.chunk_heads": "heads of K that share a fill; banks that a token's keys go to",
    "mapping.values": "channels that multiply with V; probabilities sent; partial sums",
    "mapping.verify": "several inputs of a step: rows opened, sums read, where weights lie",
    "mapping.attention": "order of scores, softmax and p V: exposed softmax; openings of rows",
    "workload": "what is simulated",
    "schedule": "whether ASIC and PIM work overlap",
    "baselines": "what the speedups are over",
}


def decides(key: str) -> str:
    """The entry of DECIDES that fits best; KeyError if none does."""
    fitting = [start for start in DECIDES if key.startswith(start)]
    if not fitting:
        raise KeyError(f"docs/make_tables.py does not say what {key} decides")
    return DECIDES[max(fitting, key=len)]


def inputs() -> str:
    """Every value of the shipped configuration with its label."""
    loaded = load(CONFIG)
    values = resolved_dict(loaded.config)
    rows = []
    for key, origin in loaded.provenance.items():
        if key.split(".")[0] in ("schema", "name", "engine") or _value(values, key) == "":
            continue
        rows.append((f"`{key}`", _value(values, key), origin.label, origin.reason, decides(key)))
    return table(("key", "value", "label", "why", "decides"), rows)


def _value(values: Mapping[str, object], key: str) -> str:
    """The value of a dotted key as YAML shows it, "" for none."""
    found: object = values
    for part in key.split("."):
        assert isinstance(found, Mapping)
        found = found[part]
    if isinstance(found, (list, tuple)):
        return ", ".join(map(str, found))
    return "" if found is None else str(found).lower() if isinstance(found, bool) else str(found)


def timings() -> str:
    """The timing table of the device, with the clocks that the shipped configuration makes of it."""
    config = load(CONFIG).config
    device = resolve(config.dram, config.pim)
    rows = [
        (
            c.level + (f", window {c.window}" if c.window > 1 else ""),
            _commands(c.preceding),
            _commands(c.following),
            f"`{c.latency}`",
            device.latency(c),
            c.source,
        )
        for c in CONSTRAINTS
    ]
    return table(("level", "after", "not before", "clocks", "shipped", "source"), rows)


def _commands(names: Sequence[str]) -> str:
    return "any" if len(names) > 6 else ", ".join(names)


def causes() -> str:
    """The cause that the clocks between two commands are charged to."""
    return table(("after", "until", "cause"), [["any" if x == "*" else x for x in row] for row in CAUSES])


def energies() -> str:
    """The prices: formula, scale, and what they come to on the shipped device (standby and idle: in a ns)."""
    config = language_model(load(CONFIG).config)
    costs = action_costs(config)
    rows = [
        (
            f"`{f.name}`" + (f" of `{f.component}`" if f.part_of else ""),
            f.count,
            f.formula,
            f.scale,
            f"{float(costs[f.name]):.6g}",
            f.symbols,
            f.source,
            f.note,
        )
        for f in FORMULAS
    ]
    return table(
        ("price", "count", "pJ per count at the reference", "times", "shipped", "symbols", "source", "note"), rows
    )


REFERENCES: Mapping[str, str] = {
    "dram.power.reference": "`dram.power.VDD_V`, `IDD*_mA`; `all_bank_read_factor` (banks)",
    "pim.mac_power_reference": "`pim.mac_power_mW`",
    "asic.power_reference": "`asic.power_mW`, and the shares of it in the energy table",
}


def references() -> str:
    """The devices at which the sources of the prices hold."""
    loaded = load(CONFIG)
    values = resolved_dict(loaded.config)
    rows = []
    for section, figures in REFERENCES.items():
        keys = [key for key in loaded.provenance if key.startswith(f"{section}.")]
        held = [f"{key.removeprefix(f'{section}.')} {loaded.provenance[key].reason}" for key in keys]
        assert held and all(str(_value(values, key)) in text for key, text in zip(keys, held, strict=True))
        rows.append((figures, f"`{section}`", "; ".join(held)))
    return table(("figures", "hold at", "which is, unless configured"), rows)


def energy_tables() -> str:
    """The rows of the energy tables: first those in which they differ."""
    loaded = {name: load_table(name) for name in TABLES}
    first, *others = loaded.values()
    keys = sorted(first.rows, key=lambda key: all(t.rows[key] == first.rows[key] for t in others))
    rows = [
        (
            f"`{key}`",
            *(f"{float(t.rows[key].value):g} ({t.rows[key].source})" for t in loaded.values()),
            first.rows[key].note,
        )
        for key in keys
    ]
    return table(("row", *loaded, "what it is"), rows)


def pairs() -> str:
    """What pairs of formats take in the MAC units: a product, and a column of 32 bytes."""
    table_ = load_table(TABLES[-1])
    rows = []
    for name in SHOWN:
        pair = PAIRS[name]
        product, column = pair_factor(pair, table_), column_factor(pair, COLUMN, table_)
        rows.append((f"`{name}`", 8 * COLUMN // pair.stored.bits, f"{float(product):.3f}", f"{float(column):.2f}"))
    return table(("pair, weights x activations", "numbers in 32 bytes", "a product", "a column"), rows)


COLUMN = 32  # bytes
SHOWN = (
    "bf16xbf16", "fp16xfp16", "fp8_e4m3xfp8_e4m3", "fp8_e5m2xfp8_e5m2", "int8xint8", "int8xbf16", "int4xint8",
    "int4xint4", "int4xbf16", "int3xint8", "int2xint8", "mxfp4xbf16", "mxfp4xfp8_e4m3",
)  # fmt: skip


# Columns of rates, and the formats that one may be of: the first that a machine has.
RATES: Mapping[str, tuple[str, ...]] = {
    "fp32": ("fp32",), "16 bits": ("bf16", "fp16"), "fp8": ("fp8",), "int8": ("int8",), "int4": ("int4",),
}  # fmt: skip


def machines() -> str:
    """The machines to compare with, each figure with how it is known."""
    head = ("name", "GB/s", "reached", "memory", *RATES, "W idle", "W full", "us an operator", "link GB/s")
    return table(head, [_machine(name) for name in devices.available() if name in devices.DEVICES.shipped])


def _machine(name: str) -> list[str]:
    device = devices.load(name)
    rates = ((device.data_types[kind].peak for kind in kinds if kind in device.data_types) for kinds in RATES.values())
    memory, power = device.memory, device.power
    return [
        f"`{name}`",
        _figure(memory.bandwidth),
        _figure(memory.efficiency),
        "" if memory.capacity is None else _figure(memory.capacity, f" {memory.capacity.unit}"),
        *(_figure(found) if (found := next(peaks, None)) else "" for peaks in rates),
        _figure(power.idle),
        _figure(power.cap),
        _figure(device.eager.op_time),
        _figure(device.link.bandwidth) if device.link else "",
    ]


_LETTERS = {
    "measured": "M", "published": "P", "spec": "S", "derived": "D", "adjacent": "J", "recalled": "R", "assumed": "A",
}  # fmt: skip


def _figure(constant: devices.Constant, unit: str = "") -> str:
    return f"{constant.value:,g}{unit} {_LETTERS[constant.source]}"


TABLES_OF: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "assumptions.md": {"inputs": inputs},
    "reference/config.md": {"keys": keys},
    "energy.md": {"pairs": pairs},
    "baselines.md": {"machines": machines},
    "how-it-works.md": {
        "timings": timings,
        "causes": causes,
    },
    "prices.md": {
        "energies": energies,
        "references": references,
        "energy tables": energy_tables,
    },
}


def updated(file: str) -> str:
    """The text of a page with its tables made anew."""
    text = (DOCS / file).read_text(encoding="utf-8")
    for name, make in TABLES_OF[file].items():
        text = filled(text, "make_tables", name, make())
    return text


def completed_keys() -> str:
    """A line for each key that has a value, with what it may be if there is a list of that: what a shell completes."""
    known = known_keys()
    leaves = (key for key in known if not any(other.startswith(f"{key}.") for other in known))
    return "".join(f"{' '.join((key, *(choices(key) or truths(key))))}\n" for key in leaves)


def truths(key: str) -> tuple[str, ...]:
    return ("true", "false") if kind_of(key) == TRUTH else ()


def main() -> None:
    for file in TABLES_OF:
        (DOCS / file).write_text(updated(file), encoding="utf-8")
    KEYS.write_text(completed_keys(), encoding="utf-8")


if __name__ == "__main__":
    main()
