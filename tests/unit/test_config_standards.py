"""One schema for several DRAM standards: which keys each has, and what is said of one that it has not."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pimsim import InputError, load_config, run
from pimsim.api import load, preflight
from pimsim.config.devices import CONFIGS
from pimsim.config.devices.pim_gpt import PimGptConfig
from pimsim.config.json_schema import json_schema
from pimsim.config.resolved import config_sha256, dump_yaml
from pimsim.config.schema import DeviceConfig
from pimsim.config.validate import subsection
from pimsim.devices.registry import HARDWARE, STANDARDS, device_of
from pimsim.dram.gaps import gaps
from pimsim.dram.spec import Standard
from pimsim.dram.timing import bits_per_clock
from pimsim.labels import LABELS
from tests.conftest import SHIPPED, Write

FOLDER = SHIPPED.parent
_NAMES = ("gddr6-pim", "gddr6", "aim", "aim-reference", "lpddr5x", "lpddr5x-pim", "hbm3", "hbm2-pim")
FILES = {name: f"{name}.yaml" for name in _NAMES} | {"gddr6-pim": "pim-gpt.yaml"}
MEMORIES = ("gddr6", "aim-reference", "lpddr5x", "hbm3")  # without a language model
# in clocks, from the organisation, the pins and the MAC units
_UNITS = {"nBL", "nBLRES", "nMAC", "nDRAIN"}
COMPUTED = {
    "gddr6-pim": _UNITS, "lpddr5x-pim": {*_UNITS, "nFENCE"}, "hbm2-pim": {"nBL", "nMAC", "nDRAIN"},
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_standard_is_found_by_the_name_that_its_table_and_its_keys_have(name: str) -> None:
    """The lists of what is shipped name it, and where it is, without importing it."""
    standard = CONFIGS[name].model_json_schema()["properties"]["dram"]["$ref"].rpartition("/")[2]
    assert CONFIGS[name].model_json_schema()["$defs"][standard]["properties"]["standard"]["const"] == name
    assert STANDARDS[name].name == name
    assert [*CONFIGS.shipped] == [*HARDWARE.shipped] == [*FILES]


def path_of(standard: str) -> Path:
    return FOLDER / FILES[standard]


def config_of(standard: str, **overrides: Any) -> Any:
    return load_config(path_of(standard), {key.replace("__", "."): value for key, value in overrides.items()})


def problems(path: Path, overrides: Any = None) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(path, overrides)
    return [str(problem).replace(str(path), path.name) for problem in caught.value.problems]


def names_used(standard: Standard) -> set[str]:
    """The timing names in a standard's tables, without those that it derives itself."""
    texts = [constraint.latency for constraint in standard.constraints]
    texts += [command.completion for command in standard.commands if command.completion]
    texts += standard.derived.values()
    nodes = (node for text in texts for node in ast.walk(ast.parse(text, mode="eval")))
    return {node.id for node in nodes if isinstance(node, ast.Name)} - {"max", "min"} - set(standard.derived)


def timing_keys(standard: str) -> Iterator[str]:
    dram = subsection(CONFIGS[standard], "dram")
    assert dram is not None
    timing = subsection(dram, "timing")
    assert timing is not None
    yield from timing.model_fields


# -- the tables of the schema and of the devices -------------------------------------------


def test_every_standard_of_the_schema_is_a_device_and_has_a_shipped_configuration() -> None:
    assert set(CONFIGS) == set(STANDARDS) == set(FILES)
    assert {path.name for path in FOLDER.glob("*.yaml")} >= set(FILES.values())
    assert all(config_of(name).dram.standard == name for name in FILES)
    assert all(STANDARDS[name].name == name for name in STANDARDS)


@pytest.mark.parametrize("standard", FILES)
def test_a_standard_has_exactly_the_times_that_its_tables_use(standard: str) -> None:
    given = {f"n{key[1:].removesuffix('_ns')}" for key in timing_keys(standard)}
    assert given | COMPUTED.get(standard, {"nBL"}) == names_used(STANDARDS[standard]) | {"nREFI"}


@pytest.mark.parametrize("standard", FILES)
def test_the_default_of_a_time_is_of_a_key_that_may_be_left_out(standard: str) -> None:
    timing = type(config_of(standard).dram.timing)
    optional = {key for key, value in timing.model_fields.items() if not value.is_required()}
    assert {f"{name}_ns" for name in timing.DEFAULTS} == optional


# -- shipped configurations ----------------------------------------------------------------


@pytest.mark.parametrize("standard", MEMORIES)
def test_every_parameter_of_a_shipped_memory_says_how_well_it_is_known(standard: str) -> None:
    provenance = load(path_of(standard)).provenance
    hardware = {key: origin for key, origin in provenance.items() if key.startswith("dram.") and origin.line}
    assert len(hardware) >= 27
    assert not [key for key, origin in hardware.items() if origin.label not in LABELS or not origin.reason]


def test_a_default_of_a_memory_says_why(write: Write) -> None:
    text = path_of("gddr6").read_text()
    kept = "\n".join(line for line in text.split("\n") if not line.strip().startswith("tPPD_ns"))
    provenance = load(write(kept)).provenance
    assert provenance["dram.timing.tPPD_ns"].reason == "1 clock (adjacent: GDDR6)"
    assert provenance["dram.power"].reason == "none: nothing prices this device's commands"


@pytest.mark.parametrize("standard", MEMORIES)
def test_every_time_of_a_shipped_memory_is_a_whole_number_of_clocks(standard: str) -> None:
    dram = config_of(standard).dram
    clock = Decimal(dram.tCK_ps) / 1000
    given = {key: value for key, value in dram.timing.model_dump().items() if value is not None}
    assert not {key: value for key, value in given.items() if value % clock}


@pytest.mark.parametrize("standard", MEMORIES)
def test_the_clocks_that_a_comment_names_are_those_of_the_time(standard: str) -> None:
    loaded = load(path_of(standard))
    cycles, named = device_of(loaded.config).cycles, 0
    for key, origin in loaded.provenance.items():
        words = origin.reason.split("; ")
        if key.startswith("dram.timing.") and len(words) > 1:
            assert words[1] == f"{cycles['n' + key.split('.')[2][1:].removesuffix('_ns')]} clocks", key
            named += 1
    assert named >= min(21, len(list(timing_keys(standard))))


@pytest.mark.parametrize("standard", MEMORIES)
def test_every_time_of_a_shipped_memory_matters(standard: str) -> None:
    """Twice the time changes a distance, the end of a command's data or the refresh interval."""

    def facts(overrides: dict[str, Any]) -> tuple[Any, ...]:
        device = device_of(load_config(path_of(standard), overrides))
        return gaps(device), [device.completion(c) for c in device.standard.commands], device.refresh_interval

    room = {
        "tRRDS": {"tRRDL": 40, "tFAW": 60},
        "tRAS": {"tRC": 150},
        "tRP": {"tRC": 150, "tRPab": 60},
        "tCCDS": {"tCCDL": 20},
        "tRCDRD": {"tRAS": 80, "tRC": 150},
        "tRRD": {"tFAW": 60},
        "tRC": {},
        "tRRDL": {"tFAW": 60},
        "tWTRS": {"tWTRL": 40},
        "tRFC": {"tREFI": 9000},
        "tRFCpb": {"tRFC": 400},
    }
    inert = []
    for key in timing_keys(standard):
        base = config_of(standard).dram.timing.times(config_of(standard).dram.tCK_ps)
        name = key.removesuffix("_ns")
        given = {f"dram.timing.{k}_ns": v for k, v in room.get(name, {}).items() if f"{k}_ns" in timing_keys(standard)}
        changed = {**given, f"dram.timing.{key}": float(base[name] * 2 or 5)}
        if facts(given) == facts(changed):
            inert.append(key)
    assert not inert


@pytest.mark.parametrize("standard", MEMORIES)
def test_a_shipped_memory_is_valid_and_shows_as_text_that_loads_again(standard: str, write: Write) -> None:
    loaded = load(path_of(standard))
    preflight(loaded.config)
    assert isinstance(loaded.config, DeviceConfig)
    again = load(write(dump_yaml(loaded.config, loaded.provenance)))
    assert again.config == loaded.config and config_sha256(again.config) == config_sha256(loaded.config)


def test_the_correct_profile_differs_from_the_reference_where_it_says() -> None:
    aim, reference = load(path_of("aim")), load(path_of("aim-reference"))
    changed = {
        key
        for key, origin in aim.provenance.items()
        if origin.file.endswith("aim.yaml") and key.startswith("dram.") and origin != reference.provenance.get(key)
    }
    assert changed == {
        "dram.standard", "dram.refresh", "dram.timing.tRFC_ns", "dram.timing.tREFI_ns", "dram.timing.tFAW_ns",
        "dram.timing.tMACDRAIN_ns", "dram.timing.tAF_ns", "dram.power.VDD_V",
        *(f"dram.power.IDD{name}_mA" for name in ("0", "2N", "3N", "4R", "4W", "5B")),
    }  # fmt: skip


def test_plain_gddr6_has_the_clocks_of_the_golden_data() -> None:
    text = (Path(__file__).parents[1] / "golden" / "gddr6" / "pairs.json").read_text()
    golden = json.loads(text)["GDDR6_14000_1350mV_double"]["timings"]
    golden["nRFC"] = golden.pop("nRFCab")
    del golden["rate"], golden["tCK_ps"]
    assert device_of(config_of("gddr6")).cycles == golden


# -- keys that a standard has not ----------------------------------------------------------


def test_a_time_that_the_standard_does_not_use_is_refused(write: Write) -> None:
    path = write(f"extends: {path_of('gddr6')}\ndram:\n  timing:\n    tMODCH_ns: 16\n    tRPP_ns: 1\n")
    assert problems(path) == [
        "config.yaml:4:5: dram.timing.tMODCH_ns: not used by dram.standard gddr6; used by aim, aim-reference, hbm2-pim",
        "config.yaml:5:5: dram.timing.tRPP_ns: unknown key; did you mean 'tRP_ns'?",
    ]


def test_a_section_that_the_standard_does_not_use_is_refused(write: Write) -> None:
    path = write(f"extends: {path_of('aim-reference')}\npim:\n  lanes: 16\nworkload: {{model: gpt2-small}}\n")
    assert problems(path) == [
        "config.yaml:2:1: pim: not used by dram.standard aim-reference; used by gddr6-pim, aim, lpddr5x-pim, hbm2-pim",
        "config.yaml:4:1: workload: not used by dram.standard aim-reference; used by gddr6-pim, aim, lpddr5x-pim, "
        "hbm2-pim",
    ]


def test_a_time_that_the_standard_needs_is_missed_where_the_times_are(write: Write) -> None:
    lines = path_of("aim-reference").read_text().split("\n")
    kept = [line for line in lines if not line.strip().startswith(("tMODCH_ns", "tRP_ns"))]
    line = kept.index("  timing:") + 1
    assert problems(write("\n".join(kept))) == [
        f"config.yaml:{line}:3: dram.timing.tMODCH_ns: required key is missing; dram.standard aim-reference needs it",
        f"config.yaml:{line}:3: dram.timing.tRP_ns: required key is missing",
    ]


def test_the_language_model_s_sections_are_needed_by_pim_gpt_s_standard_alone(write: Write) -> None:
    path = write("\n".join(SHIPPED.read_text().split("\npim:\n")[:1]))
    found = problems(path)
    assert [problem.split(": ")[1] for problem in found] == ["asic", "pim", "workload"]
    assert all(problem.endswith("required key is missing; dram.standard gddr6-pim needs it") for problem in found)


def test_an_unknown_standard_is_the_only_problem(write: Write) -> None:
    text = path_of("aim-reference").read_text().replace("standard: aim-reference", "standard: aim-refrence")
    assert [line.partition("; ")[2] for line in problems(write(text))] == ["did you mean 'aim-reference'?"]


def test_all_problems_of_a_memory_are_reported_at_once(write: Write) -> None:
    path = write(f"extends: {path_of('gddr6')}\nasic: 1\ndram:\n  rows: 0\n  timing: {{tAF_ns: 1, tRC_ns: 1}}\n")
    assert [line.split(": ")[1] for line in problems(path)] == [
        "asic", "dram.rows", "dram.timing.tAF_ns", "dram.timing.tRC_ns"
    ]  # fmt: skip


# -- times that may be 0 -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tRFC", "tCLREG"])
def test_the_reference_allows_no_time_where_the_reference_simulator_has_none(name: str) -> None:
    timing = config_of("aim-reference").dram.timing
    assert getattr(timing, f"{name}_ns") == 0
    assert problems(path_of("aim-reference"), [f"dram.timing.{name}_ns=-1"]) == [
        f"--set:1:1: dram.timing.{name}_ns: must be at least 0, not -1"
    ]


@pytest.mark.parametrize(
    ("standard", "name"), [("aim", "tRFC"), ("aim", "tFAW"), ("aim-reference", "tRP"), ("gddr6", "tPPD")]
)
def test_no_time_is_refused_where_the_device_needs_one(standard: str, name: str) -> None:
    expected = f"--set:1:1: dram.timing.{name}_ns: must be more than 0, not 0"
    assert problems(path_of(standard), [f"dram.timing.{name}_ns=0"]) == [expected]


# -- defaults and clocks -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tCK_ps", "tRFC_ns", "expected"),
    [
        (570, "120.27", {"nRFCpb": 106, "nRREFD": 29, "nPPD": 1}),
        (1000, 211, {"nRFCpb": 106, "nRREFD": 16, "nPPD": 1}),
        (9000, 455, {"nRFCpb": 26, "nRREFD": 2, "nPPD": 1}),
    ],
)
def test_a_time_that_is_left_out_has_its_default(tCK_ps: int, tRFC_ns: Any, expected: dict[str, int]) -> None:
    left_out = {"dram__timing__tRFCpb_ns": None, "dram__timing__tRREFD_ns": None, "dram__timing__tPPD_ns": None}
    config = config_of("gddr6", dram__tCK_ps=tCK_ps, dram__timing__tRFC_ns=Decimal(tRFC_ns), **left_out)
    cycles = device_of(config).cycles
    assert {name: cycles[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("rate", "tCK_ps", "bits", "nBL"),
    [
        (14, 570, "8", 2),  # 7.98
        (16, 500, "8", 2),
        (12, 667, "8", 2),  # 8.004
        (18, 444, "8", 2),  # 7.992
        (16, 1000, "16", 1),
        (20, 800, "16", 1),
        (2, 250, "0.5", 32),
        ("8.12", 1000, "8", 2),  # 1.5 % above
        ("8.13", 1000, "8.13", 2),
        ("7.88", 1000, "8", 2),  # 1.5 % below
        ("7.87", 1000, "7.87", 3),
        (10, 1000, "10", 2),
    ],
)
def test_the_bits_of_a_clock_are_a_power_of_two_if_they_nearly_are(rate: Any, tCK_ps: int, bits: str, nBL: int) -> None:
    config = config_of("gddr6", dram__io__data_rate_Gbps=Decimal(rate), dram__tCK_ps=tCK_ps)
    assert bits_per_clock(config.dram) == Decimal(bits)
    assert device_of(config).cycles["nBL"] == nBL


def test_pim_gpt_s_bits_of_a_clock_are_exact() -> None:
    config = config_of("gddr6-pim", dram__io__data_rate_Gbps=Decimal("15.9"))
    assert bits_per_clock(config.dram) == Decimal("15.9")
    assert device_of(config).cycles["nBL"] == 2


@pytest.mark.parametrize("short", [0, 1, 3, 27])
def test_the_times_of_a_grade_may_have_been_rounded_each_by_itself(short: int) -> None:
    times = {"tRAS": 53, "tRP": 27, "tRC": 80 - short}
    overrides = {f"dram.timing.{name}_ns": Decimal(clocks) * 570 / 1000 for name, clocks in times.items()}
    assert device_of(load_config(path_of("gddr6"), overrides)).cycles["nRC"] == 80 - short


def test_a_row_cycle_that_is_too_short_is_refused() -> None:
    found = problems(path_of("gddr6"), {"dram.timing.tRC_ns": Decimal("30.2")})
    assert found == ["overrides:1:1: dram.timing.tRC_ns: must be at least tRAS (30.21 ns), not 30.2"]


def test_plain_gddr6_refreshes_bank_by_bank_while_the_others_go_on() -> None:
    load_config(path_of("gddr6"), {"dram.refresh": "per_bank"})
    too_often = {"dram.refresh": "per_bank", "dram.timing.tREFI_ns": 16 * 78}
    (found,) = problems(path_of("gddr6"), too_often)
    assert "leaves no time to open a row and use it" in found


@pytest.mark.parametrize("standard", ["lpddr5x", "hbm3"])
def test_halves_of_a_channel_have_whole_bank_groups(standard: str) -> None:
    for wrong in (1, 3):
        assert problems(path_of(standard), [f"dram.bank_groups={wrong}"]) == [
            f"--set:1:1: dram.bank_groups: must be a multiple of 2, not {wrong}"
        ]


def test_pseudo_channels_have_as_many_pins_each() -> None:
    assert problems(path_of("hbm3"), ["dram.io.pins=31"]) == [
        "--set:1:1: dram.io.pins: must be a multiple of 2, not 31"
    ]
    assert device_of(config_of("hbm3", dram__io__pins=32)).cycles["nBL"] == 4
    assert device_of(config_of("hbm3", dram__io__pins=128)).cycles["nBL"] == 1


@pytest.mark.parametrize("standard", FILES)
def test_a_refresh_scheme_that_the_standard_has_no_command_for_is_refused(standard: str) -> None:
    (found,) = problems(path_of(standard), ["dram.refresh=same_bank"])
    roles = STANDARDS[standard].roles
    schemes = [scheme for scheme in ("all_bank", "per_bank", "same_bank") if roles.refresh(scheme)]
    assert "same_bank" not in schemes
    assert found.startswith(
        f"--set:1:1: dram.refresh: must be {', '.join(map(repr, schemes))} or 'none', not 'same_bank'"
    )


@pytest.mark.parametrize(
    ("wrong", "right"), [("tRFCab_ns", "tRFC_ns"), ("nCL", "tCL_ns"), ("nRFCab", "tRFC_ns"), ("tCL", "tCL_ns")]
)
def test_other_names_of_a_time_lead_to_it(wrong: str, right: str) -> None:
    (found,) = problems(path_of("gddr6"), {f"dram.timing.{wrong}": 1})
    assert found.endswith(f"unknown key; did you mean {right!r}?")


# -- what runs on them ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("standard", "command"),
    [("gddr6", "traffic"), ("aim-reference", "replay"), ("lpddr5x", "traffic"), ("hbm3", "traffic")],
)
def test_no_language_model_runs_on_a_memory(standard: str, command: str) -> None:
    with pytest.raises(
        InputError, match=rf"^dram\.standard: .* runs no language model; use `pimsim {command}` instead$"
    ):
        run(load_config(path_of(standard)))


def test_pim_gpt_s_standard_loads_as_a_whole_system() -> None:
    assert type(config_of("gddr6-pim")) is PimGptConfig


def test_aim_s_functions_need_whole_sums_in_the_banks(write: Write) -> None:
    path = write(f"extends: {path_of('aim')}\npim:\n  sums: asic\n")
    assert problems(path) == [
        f"{path_of('aim')}:36:3: pim.activation: must be asic, not banks: a function runs on whole sums, and the "
        "ASIC adds them up (pim.sums asic)"
    ]
    load(write(f"extends: {path_of('aim')}\npim:\n  sums: asic\n  activation: asic\n"))


# -- JSON Schema ---------------------------------------------------------------------------


def plain(standard: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(path_of(standard).read_text())
    return values


@pytest.mark.parametrize("standard", FILES)
def test_the_json_schema_accepts_every_shipped_configuration(standard: str) -> None:
    jsonschema.validate(plain(standard), json_schema())


@pytest.mark.parametrize("standard", ["gddr6-pim", "gddr6", "aim-reference"])
def test_the_json_schema_refuses_a_standard_s_configuration_without_a_time(standard: str) -> None:
    values = plain(standard)
    del values["dram"]["timing"]["tRP_ns"]
    with pytest.raises(jsonschema.ValidationError, match="'tRP_ns' is a required property"):
        jsonschema.validate(values, json_schema())


@pytest.mark.parametrize(
    "change",
    [
        {"dram": {"standard": "gddr6", "timing": {"tMODCH_ns": 1}}},
        {"dram": {"standard": "aim-reference"}, "pim": {"lanes": 1}},
    ],
)
def test_the_json_schema_refuses_what_a_standard_does_not_use(change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"extends": "a.yaml", **change}, json_schema())
