"""Every rule between keys, with a configuration that breaks it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from pimsim.config import rules
from pimsim.config.devices.lpddr5x import Lpddr5xConfig
from pimsim.config.loader import load, load_config
from pimsim.config.rules import RULES
from pimsim.config.schema import ModelConfig
from pimsim.config.validate import check_rules, flatten
from pimsim.errors import InputError
from tests.conftest import SHIPPED, Write

SHAPE: Mapping[str, Any] = {"name": "tiny", "layers": 2, "d_model": 64, "heads": 4}
TIMING = "dram.timing."
POWER = "dram.power."
CUSTOM = "workload.model_config."

# (key at fault, its value, other values needed, what is said)
BROKEN: list[tuple[str, Any, dict[str, Any], str]] = [
    ("dram.row_bytes", 2064, {}, "must be whole columns of 32 bytes (dram.column_bytes), not 2064"),
    ("dram.column_bytes", 31, {"dram.row_bytes": 62, "pim.global_buffer_bytes": 62, "pim.lanes": 1},
     "must be whole BF16 of 2 bytes, not 31 bytes"),
    ("pim.global_buffer_bytes", 2050, {}, "must be whole columns of 32 bytes (dram.column_bytes), not 2050"),
    ("pim.lanes", 32, {}, "32 lanes that the column width cannot feed: "
     "a column of 32 bytes (dram.column_bytes) feeds 16"),
    ("pim.lanes", 12, {}, "12 lanes do not divide the 16 BF16 of a column (dram.column_bytes)"),
    ("pim.formats", {"bf16xbf16": 8}, {}, "bf16xbf16 has 16 lanes (pim.lanes), not 8"),
    ("pim.formats", {"int8xint8": 64, "int4xint8": 65}, {}, "int8xint8: 64 lanes that the column width cannot feed: "
     "a column of 32 bytes (dram.column_bytes) feeds 32; int4xint8: 65 lanes that the column width cannot feed: "
     "a column of 32 bytes (dram.column_bytes) feeds 64"),
    ("pim.formats", {"int2xbf16": 16}, {"pim.global_buffer_bytes": 224}, "int2xbf16: a column is multiplied with "
     "128 numbers, 256 bytes, and the buffer has 224 (pim.global_buffer_bytes)"),
    ("workload.kv_format", "int8", {"dram.write_mask": "standard"},
     "must be of 16 bits, not int8, with dram.write_mask standard: its mask has a bit for two bytes"),
    ("pim.units_per_bank", 0.5, {"dram.bank_groups": 3, "dram.banks_per_group": 3},
     "must be 1 or more, not 0.5: 3 x 3 banks are no pairs"),
    ("pim.accumulators", 33, {"pim.units_per_bank": 2}, "33 sums of 2 units, of inputs that the buffer has no room "
     "for: it has 64 columns (pim.global_buffer_bytes)"),
    (TIMING + "tRAS_ns", 11, {}, "must be at least tRCDRD (12 ns), not 11"),
    (TIMING + "tRC_ns", "39.9", {}, "must be at least tRAS (28 ns) + tRP (12 ns), not 39.9"),
    (TIMING + "tCCDL_ns", "0.5", {}, "must be at least tCCDS (1 ns), not 0.5"),
    (TIMING + "tRRDL_ns", 5, {}, "must be at least tRRDS (6 ns), not 5"),
    (TIMING + "tFAW_ns", 5, {}, "must be at least tRRDS (6 ns), not 5"),
    (TIMING + "tWTRL_ns", 4, {}, "must be at least tWTRS (5 ns), not 4"),
    (TIMING + "tFAWAB_ns", 6304, {}, "must be at most 6303 ns, not 6304: else no row is opened between two refreshes"),
    (TIMING + "tRFCpb_ns", 456, {}, "must be at most tRFC (455 ns), not 456"),
    (TIMING + "tREFI_ns", 455, {}, "must be longer than tRFC (455 ns), not 455: "
     "the banks would do nothing but refresh"),
    (TIMING + "tREFI_ns", 500, {}, "500 ns less tRFC (455 ns) leaves no time to open a row and use it "
     "before the next refresh"),
    (TIMING + "tREFI_ns", 4000, {"dram.refresh": "per_bank", "dram.refresh_together": 1},
     "4000 ns over 16 refreshes, 1 together: tRP + tRFCpb + tRCD = 252 of 250 clocks leave no time to read a column "
     "of all banks before the next refresh; dram.refresh_together: 2 does"),
    (TIMING + "tREFI_ns", 6800, {"dram.refresh": "per_bank", "dram.refresh_together": 2, TIMING + "tRREFD_ns": 430},
     "6800 ns over 16 refreshes, 2 together: tRP + 430 clocks from the first to the last + reopening the others "
     "+ tRCD = 902 of 850 clocks leave no time to read a column of all banks before the next refresh"),
    (TIMING + "tREFI_ns", 500, {"dram.refresh": "per_bank", TIMING + "tRFCpb_ns": 290},
     "500 ns over 16 refreshes, 16 together: tRP + 195 clocks from the first to the last + tRFCpb + tRCD = "
     "509 of 496 clocks leave no time to read a column of all banks before the next refresh"),
    (TIMING + "tFAWAB_ns", 474, {"dram.refresh": "per_bank", TIMING + "tREFI_ns": 3900},
     "must be at most 473 clocks, not 474 ns: else no row is opened between two refreshes"),
    ("dram.refresh_together", 3, {"dram.refresh": "per_bank"},
     "must divide the refreshes of a tREFI, 16 (dram.refresh per_bank), not 3"),
    ("dram.refresh_together", 2, {}, "must divide the refreshes of a tREFI, 1 (dram.refresh all_bank), not 2"),
    (POWER + "IDD0_mA", 92, {}, "must be above IDD2N_mA (92 mA), not 92: "
     "an activation's energy VDD (IDD0 - IDD2N) tRC would not be positive"),
    (POWER + "IDD4R_mA", 100, {}, "must be above IDD3N_mA (142 mA), not 100: "
     "a read's energy VDD (IDD4R - IDD3N) tCCD would not be positive"),
    (POWER + "IDD4W_mA", 100, {}, "must be above IDD3N_mA (142 mA), not 100: "
     "a write's energy VDD (IDD4W - IDD3N) tCCD would not be positive"),
    (POWER + "IDD5B_mA", 90, {}, "must be above IDD2N_mA (92 mA), not 90: "
     "a refresh's energy VDD (IDD5B - IDD2N) tRFC would not be positive"),
    (CUSTOM + "heads", 5, {"workload.model_config": SHAPE}, "5 heads do not divide d_model (64)"),
    (CUSTOM + "kv_heads", 3, {"workload.model_config": SHAPE}, "3 heads of K and V do not divide heads (4)"),
    (CUSTOM + "active_experts", 3, {"workload.model_config": {**SHAPE, "experts": 2}},
     "must be at most experts (2), not 3"),
    (CUSTOM + "head_dim", 5, {"workload.model_config": {**SHAPE, "family": "llama"}},
     "must be even, not 5: rotary positions turn pairs of elements"),
    ("workload.output_tokens", 0, {}, "must be at least 1, not 0: without a prompt nothing would be simulated"),
    ("workload.query_tokens", 3, {"workload.output_tokens": 10},
     "must divide output_tokens (10), not 3"),
    ("system.devices", 7, {"system.tensor": 2, "system.pipeline": 2},
     "2 x 2 x 1 = 4 devices hold the model (system.tensor x pipeline x expert), and 7 are no multiple of that; "
     "4 or 8 would be"),
    ("workload.batch", 7, {"system.devices": 4, "system.tensor": 2},
     "7 sequences do not divide over 2 replicas of the model (system.devices); 6 do"),
    ("system.in_flight", 3, {"system.devices": 4, "system.pipeline": 4, "workload.batch": 8},
     "must divide the 8 sequences of a replica (workload.batch), not 3"),
    ("system.in_flight", 2, {"workload.batch": 2},
     "must be 1, not 2: there is one stage (system.pipeline), and nothing to follow each other in"),
]  # fmt: skip


# The same of a memory alone: its standard comes first.
BROKEN_MEMORIES: list[tuple[str, str, Any, dict[str, Any], str]] = [
    ("lpddr5x", TIMING + "tFAW_ns", 3, {}, "must be at least tRRD (3.752 ns), not 3"),
    ("lpddr5x", TIMING + "tRPab_ns", 18, {}, "must be at least tRP (18.76 ns), not 18"),
    ("lpddr5x", TIMING + "tREFI_ns", 1040, {}, "1040 ns over 4 x 4 banks in pairs leaves no time for tpbR2pbR "
     "(90.048 ns), or after tpbR2act (7.504 ns) to open a row and use it before the next pair's refresh"),
    ("lpddr5x", TIMING + "tREFI_ns", 1100, {TIMING + "tpbR2pbR_ns": 140},
     "1100 ns over 4 x 4 banks in pairs leaves no time for tpbR2pbR "
     "(140 ns), or after tpbR2act (7.504 ns) to open a row and use it before the next pair's refresh"),
    ("hbm3", TIMING + "tREFI_ns", 1460, {"dram.refresh": "per_bank"}, "1460 ns over 4 x 4 banks less tRREFD (8.125 ns) "
     "leaves no time to open a row and use it before the next bank's refresh"),
    ("hbm3", TIMING + "tFAW_ns", 1, {}, "must be at least tRRDS (1.25 ns), not 1"),
    ("aim", "pim.units_per_bank", 2, {}, "must be 1, not 2: a product of aim takes one input at a time"),
    ("aim", "pim.accumulators", 2, {}, "must be 1, not 2: a product of aim takes one input at a time"),
    ("aim", "pim.buffers", 2, {}, "must be 1, not 2: a product of aim takes one input at a time"),
    ("aim", "mapping.verify", "row_reuse", {}, "must be repeat or auto, not row_reuse: a product of aim takes the "
     "column of the buffer that has its own number, so that the buffer has one input at a time"),
    ("gddr6", "dram.write_mask", "standard", {},
     "must be none: gddr6 has no writes with a mask here; gddr6-pim and aim have"),
]  # fmt: skip


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as the mappings of a file."""
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *sections, key = path.split(".")
        here = tree
        for section in sections:
            here = here.setdefault(section, {})
        here[key] = dict(value) if isinstance(value, Mapping) else value
    return tree


def text_of(tree: Mapping[str, Any], indent: str = "") -> str:
    """YAML in block style, a key a line."""
    lines = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            lines.append(f"{indent}{key}:\n{text_of(value, indent + '  ')}")
        else:
            lines.append(f"{indent}{key}: {value}\n")
    return "".join(lines)


@pytest.mark.parametrize(("key", "value", "others", "message"), BROKEN, ids=[case[0] for case in BROKEN])
def test_a_broken_rule_is_reported_at_the_key_at_fault(
    extend: Write, key: str, value: Any, others: dict[str, Any], message: str
) -> None:
    text = text_of(nested({**others, key: value}))
    path = extend(text)
    leaf = key.rpartition(".")[2]
    line, column = next(
        (number, len(given) - len(given.lstrip()) + 1)
        for number, given in enumerate(text.split("\n"), 2)
        if given.lstrip().startswith(f"{leaf}:")
    )
    with pytest.raises(InputError) as caught:
        load(path)
    assert f"{path}:{line}:{column}: {key}: {message}" in str(caught.value).split("\n")


@pytest.mark.parametrize(
    ("standard", "key", "value", "others", "message"), BROKEN_MEMORIES, ids=[":".join(c[:2]) for c in BROKEN_MEMORIES]
)
def test_a_broken_rule_of_a_memory_is_reported_at_the_key_at_fault(
    write: Write, standard: str, key: str, value: Any, others: dict[str, Any], message: str
) -> None:
    path = write(f"extends: {SHIPPED.parent / standard}.yaml\n{text_of(nested({**others, key: value}))}")
    with pytest.raises(InputError) as caught:
        load(path)
    assert [problem.message for problem in caught.value.problems if problem.key == key] == [message]


def _typed(value: Any) -> Any:
    return value if isinstance(value, dict) or str(value).isalnum() and not str(value).isdigit() else Decimal(value)


def test_every_rule_has_a_configuration_here_that_breaks_it() -> None:
    shipped = flatten(load_config(SHIPPED))
    assert not list(rules.broken(shipped))
    cases = []
    for key, value, others, _ in BROKEN:
        model = ModelConfig(**{**SHAPE, **others.get("workload.model_config", {})})
        shape = {f"{CUSTOM}{name}": size for name, size in flatten(model).items()}
        cases.append({**shipped, **shape, **others, key: _typed(value)})
    for standard, key, value, others, _ in BROKEN_MEMORIES:
        memory = flatten(load_config(SHIPPED.parent / f"{standard}.yaml"))
        cases.append({**memory, **others, key: value if isinstance(value, str) else Decimal(value)})
    unbroken = [rule.keys for rule in (*RULES, *Lpddr5xConfig.RULES) if not any(_breaks(rule, case) for case in cases)]
    assert not unbroken


def _breaks(rule: rules.Rule, values: Mapping[str, Any]) -> bool:
    given = rule.given(values)
    return given is not None and not rule.holds(*given)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (TIMING + "tRC_ns", 40),
        (TIMING + "tFAWAB_ns", 6303),
        (TIMING + "tRFCpb_ns", 455),
        (TIMING + "tFAW_ns", 6),
        ("pim.lanes", 8),
        (POWER + "IDD0_mA", "92.1"),
        (CUSTOM + "kv_heads", 2),
        (CUSTOM + "heads", 64),
    ],
)
def test_the_edge_of_a_rule_is_allowed(extend: Write, key: str, value: Any) -> None:
    base = {"workload.model_config": SHAPE} if key.startswith(CUSTOM) else {}
    load(extend(text_of(nested({**base, key: value}))))


def test_without_refresh_its_interval_does_not_matter(extend: Write) -> None:
    load(extend("dram: {refresh: none, timing: {tREFI_ns: 456}}"))


def test_a_rule_says_nothing_about_a_key_that_is_itself_wrong(extend: Write) -> None:
    with pytest.raises(InputError) as caught:
        load(extend("dram:\n  column_bytes: 0\n  row_bytes: 7\n"))
    assert [problem.key for problem in caught.value.problems] == ["dram.column_bytes"]


def test_rules_are_checked_beside_a_key_that_is_wrong(extend: Write) -> None:
    with pytest.raises(InputError) as caught:
        load(extend("dram:\n  rows: x\n  timing:\n    tRC_ns: 1\npim:\n  lanes: 32\n"))
    assert [problem.key for problem in caught.value.problems] == ["dram.rows", "dram.timing.tRC_ns", "pim.lanes"]


def test_rules_hold_for_a_configuration_made_in_python() -> None:
    config = load_config(SHIPPED)
    broken = config.model_copy(update={"pim": config.pim.model_copy(update={"lanes": 32})})
    with pytest.raises(InputError, match=r"^pim\.lanes: 32 lanes that the column width cannot feed"):
        check_rules(broken, {})


def test_names_are_checked_in_a_configuration_made_in_python() -> None:
    with pytest.raises(InputError, match=r"^workload\.model: unknown model 'gpt3-xl'; did you mean 'gpt3-xxl'\?"):
        check_rules(load_config(SHIPPED), {"workload.model": ["gpt3-xxl"]})
