"""`pimsim config import`: what becomes of each key of another simulator's file."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pimsim import InputError, api
from pimsim.config.devices import CONFIGS, known_as
from pimsim.config.devices.gddr6 import Gddr6Config, Gddr6Memory
from pimsim.config.imports import Imported, import_memory
from pimsim.config.imports.files import INI as INI_FORM
from pimsim.config.imports.files import MEMSPEC, read
from pimsim.config.imports.keys import CURRENTS, DROPPED, SHORT, TIMES
from pimsim.config.schema import AnyConfig, Config
from pimsim.config.validate import all_keys
from pimsim.devices.registry import device_of
from pimsim.registry import Origin
from tests.imports.made_up import INI, POWER, SPECS, memspec

STANDARDS = {"GDDR6": "gddr6", "LPDDR5": "lpddr5x", "HBM3": "hbm3"}
# What each time of a memspec is in clocks here.
CLOCKS = {
    "GDDR6": {
        "nRP": "RP", "nRAS": "RAS", "nRC": "RC", "nRCDRD": "RCDRD", "nRCDWR": "RCDWR", "nRTP": "RTP", "nRRDS": "RRDS",
        "nRRDL": "RRDL", "nCCDS": "CCDS", "nCCDL": "CCDL", "nCL": "RL", "nCWL": "WL", "nWR": "WR", "nWTRS": "WTRS",
        "nWTRL": "WTRL", "nREFI": "REFI", "nRFC": "RFCab", "nRFCpb": "RFCpb", "nRREFD": "RREFD", "nFAW": "FAW",
        "nPPD": "PPD",
    },
    "LPDDR5": {
        "nRP": "RPpb", "nRPab": "RPab", "nRAS": "RAS", "nRC": "RCpb", "nRCDRD": "RCD", "nRCDWR": "RCD", "nRTP": "RBTP",
        "nRRD": "RRD", "nFAW": "FAW", "nCCDS": "BL_n_min_16", "nCCDL": "BL_n_max_16", "nCL": "RL", "nCWL": "WL",
        "nWR": "WR", "nWTRS": "WTR_S", "nWTRL": "WTR_L", "nREFI": "REFI", "nRFC": "RFCab", "nRFCpb": "RFCpb",
        "npbR2act": "pbR2act", "npbR2pbR": "pbR2pbR", "nPPD": "PPD", "nWCKDQO": "WCK2DQO",
    },
    "HBM3": {
        "nRP": "RP", "nRAS": "RAS", "nRC": "RC", "nRCDRD": "RCDRD", "nRCDWR": "RCDWR", "nRTP": "RTP", "nRRDS": "RRDS",
        "nRRDL": "RRDL", "nCCDS": "CCDS", "nCCDL": "CCDL", "nCL": "RL", "nCWL": "WL", "nWR": "WR", "nWTRS": "WTRS",
        "nWTRL": "WTRL", "nREFI": "REFI", "nRFC": "RFC", "nRFCpb": "RFCPB", "nRREFD": "RREFD", "nFAW": "FAW",
    },
}  # fmt: skip


def imported(tmp_path: Path, text: str, standard: str = "") -> Imported:
    path = tmp_path / ("m.json" if text.lstrip().startswith("{") else "m.ini")
    path.write_text(text)
    return import_memory(path, standard)


def loaded(tmp_path: Path, text: str, standard: str = "") -> AnyConfig:
    (tmp_path / "c.yaml").write_text(imported(tmp_path, text, standard).text)
    return api.load_config(tmp_path / "c.yaml")


def refused(tmp_path: Path, text: str, standard: str = "") -> list[str]:
    with pytest.raises(InputError) as caught:
        imported(tmp_path, text, standard)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


# -- times -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("tCK", [None, 0.76923e-9, 1e-9 / 3])
def test_a_memspec_comes_back_as_its_clocks(tmp_path: Path, kind: str, tCK: float | None) -> None:
    """Whatever the clock: ns are whole clocks, so rounding up gives them again."""
    text = memspec(kind, **({"tCK": tCK} if tCK else {}))
    cycles = device_of(loaded(tmp_path, text)).cycles
    spec = SPECS[kind]["memtimingspec"]
    assert {name: cycles[name] for name in CLOCKS[kind]} == {name: spec[key] for name, key in CLOCKS[kind].items()}
    burst = SPECS[kind]["memarchitecturespec"]
    assert cycles["nBL"] == burst["burstLength"] // burst["dataRate"]


def test_an_ini_file_comes_back_as_its_clocks(tmp_path: Path) -> None:
    cycles = device_of(loaded(tmp_path, INI)).cycles
    expected = {
        "nCL": 25, "nCWL": 9, "nRCDRD": 26, "nRCDWR": 18, "nRP": 25, "nRAS": 56, "nRC": 56 + 25, "nRFC": 222,
        "nREFI": 3400, "nRRDS": 8, "nRRDL": 9, "nWTRS": 7, "nWTRL": 9, "nFAW": 30, "nWR": 27, "nCCDS": 2, "nCCDL": 4,
        "nRTP": 4, "nPPD": 2, "nRFCpb": 111, "nBL": 1,
    }  # fmt: skip
    assert {name: cycles[name] for name in expected} == expected


@pytest.mark.parametrize("change", ["bankgroup_enable = false", "bankgroups = 1"])
def test_in_one_bank_group_the_short_times_hold(tmp_path: Path, change: str) -> None:
    text = INI.replace("bankgroups = 4\n", f"{change}\n" if "groups =" in change else f"bankgroups = 4\n{change}\n")
    config = loaded(tmp_path, text)
    assert config.dram.bank_groups == 1 and config.dram.banks_per_group == (16 if "enable" in change else 4)
    cycles = device_of(config).cycles
    assert (cycles["nCCDL"], cycles["nRRDL"], cycles["nWTRL"]) == (2, 8, 7)
    dropped = {given.name: reason for given, reason in imported(tmp_path, text).dropped}
    assert all("one group" in dropped[name.replace("_S", "_L")] for name in SHORT.values())


def test_additive_latency_is_added(tmp_path: Path) -> None:
    cycles = device_of(loaded(tmp_path, INI.replace("CL = 25\n", "CL = 25\nAL = 3\n"))).cycles
    assert (cycles["nCL"], cycles["nCWL"]) == (28, 12)


def test_a_burst_of_32_has_its_own_times(tmp_path: Path) -> None:
    cycles = device_of(loaded(tmp_path, memspec("LPDDR5", burstLength=32))).cycles
    assert (cycles["nCCDS"], cycles["nCCDL"], cycles["nBL"]) == (6, 8, 4)


@pytest.mark.parametrize(
    ("given", "ps"),
    [({"tCK": 0.6e-9}, 600), ({"tCK": 600}, 600), ({"tCK": None, "clkMhz": 1600}, 625), ({"tCK": 0.7692307e-9}, 769)],
)
def test_a_clock_is_in_seconds_in_ps_or_a_frequency(tmp_path: Path, given: dict[str, Any], ps: int) -> None:
    text = json.loads(memspec("GDDR6", **{key: value for key, value in given.items() if key == "tCK"}))
    text["memspec"]["memtimingspec"] |= {key: value for key, value in given.items() if key != "tCK"}
    assert loaded(tmp_path, json.dumps(text)).dram.tCK_ps == ps


# -- organisation --------------------------------------------------------------------------------


def shape(config: AnyConfig) -> dict[str, Any]:
    dram = config.dram
    return {"channels": dram.channels, "groups": dram.bank_groups, "banks": dram.banks_per_group, "rows": dram.rows,
            "row": dram.row_bytes, "column": dram.column_bytes, "pins": dram.io.pins}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("GDDR6", (2, 4, 4, 16384, 2048, 32, 16)), ("LPDDR5", (1, 4, 4, 32768, 2048, 32, 16)),
     ("HBM3", (16, 8, 4, 16384, 1024, 32, 64))],
)  # fmt: skip
def test_the_organisation_of_a_memspec(tmp_path: Path, kind: str, expected: tuple[int, ...]) -> None:
    config = loaded(tmp_path, memspec(kind))
    assert tuple(shape(config).values()) == expected
    assert config.dram.standard == STANDARDS[kind]


def test_devices_in_lock_step_are_one_that_is_wider(tmp_path: Path) -> None:
    one, four = (shape(loaded(tmp_path, memspec("GDDR6", nbrOfDevices=number))) for number in (1, 4))
    assert four == one | {"row": 4 * one["row"], "column": 4 * one["column"], "pins": 4 * one["pins"]}


def test_columns_of_hbm_are_bursts_or_words(tmp_path: Path) -> None:
    """Versions of DRAMSys before 5.2 counted words: 256 of 32 bits are the same page."""
    assert shape(loaded(tmp_path, memspec("HBM3", nbrOfColumns=256))) == shape(loaded(tmp_path, memspec("HBM3")))


def test_pseudo_channels_are_channels_of_a_standard_without_them(tmp_path: Path) -> None:
    given, whole = loaded(tmp_path, memspec("HBM3"), "gddr6"), loaded(tmp_path, memspec("HBM3"))
    assert shape(given) == shape(whole) | {"channels": 32, "groups": 4, "pins": 32}


def test_a_channel_is_halved_for_a_standard_with_pseudo_channels(tmp_path: Path) -> None:
    """As many pins, banks of half a row: as much as before."""
    text = memspec("HBM3", nbrOfPseudoChannels=None, width=64, nbrOfColumns=256)
    assert shape(loaded(tmp_path, text)) == shape(loaded(tmp_path, memspec("HBM3")))


def test_the_organisation_of_an_ini_file(tmp_path: Path) -> None:
    """Two devices of 16 pins in lock step; a column of GDDR6 is a burst there: 64 x 16 x 16 bits a device."""
    config = loaded(tmp_path, INI)
    assert tuple(shape(config).values()) == (2, 4, 4, 8192, 2 * 64 * 16 * 16 // 8, 64, 32)
    assert config.dram.refresh == "all_bank"
    hbm = loaded(tmp_path, INI.replace("GDDR6", "HBM2").replace("BL = 16", "BL = 4"), "gddr6")
    assert (hbm.dram.row_bytes, hbm.dram.column_bytes) == (2 * 64 * 2 * 16 // 8, 16)


# -- power -----------------------------------------------------------------------------------------


def test_currents_are_of_all_devices_and_in_mA(tmp_path: Path) -> None:
    power = loaded(tmp_path, INI).dram.power
    assert power is not None
    assert (power.VDD_V, power.IDD0_mA, power.IDD5B_mA) == (Decimal("1.3"), 140, 560)
    power = loaded(tmp_path, memspec("GDDR6", mempowerspec=POWER)).dram.power
    assert power is not None and (power.IDD0_mA, power.IDD4R_mA) == (110, 450)
    text = json.loads(memspec("GDDR6", tCK=None, mempowerspec={key: 1000 * value for key, value in POWER.items()}))
    text["memspec"]["memtimingspec"]["clkMhz"] = 1666
    text["memspec"]["mempowerspec"]["vdd"] = 1.3
    power = loaded(tmp_path, json.dumps(text)).dram.power
    assert power is not None and (power.VDD_V, power.IDD0_mA) == (Decimal("1.3"), 110)


def test_a_memory_alone_has_all_currents_or_none(tmp_path: Path) -> None:
    some = {key: value for key, value in POWER.items() if key != "idd5B"}
    found = imported(tmp_path, memspec("GDDR6", mempowerspec=some))
    reasons = {given.name: reason for given, reason in found.dropped}
    assert reasons["idd0"] == "dram.power needs voltage and currents all together"
    assert loaded(tmp_path, memspec("GDDR6", mempowerspec=some)).dram.power is None


def test_a_memory_that_multiplies_has_the_others_as_shipped_and_says_where_its_own_hold(tmp_path: Path) -> None:
    some = {key: value for key, value in POWER.items() if key != "idd5B"}
    config = loaded(tmp_path, memspec("GDDR6", mempowerspec=some), "gddr6-pim")
    assert isinstance(config, Config)
    assert (config.dram.power.IDD4R_mA, config.dram.power.IDD5B_mA) == (450, 277)
    reference = config.dram.power.reference
    assert (reference.banks, reference.rows, reference.row_bytes) == (16, 16384, 2048)
    assert (reference.tCCD_ns, reference.tRC_ns) == (Decimal("1.2"), Decimal("49.2"))
    api.preflight(api.load(tmp_path / "c.yaml", {"workload.model": "gpt2-small"}))


# -- every key ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [*(memspec(kind, mempowerspec=POWER) for kind in SPECS), INI])
@pytest.mark.parametrize("standard", ["", "gddr6-pim"])
def test_every_key_is_there_or_named_with_a_reason(tmp_path: Path, text: str, standard: str) -> None:
    found = imported(tmp_path, text, standard)
    path = next(path for path in tmp_path.iterdir() if path.stem == "m")
    mapped, dropped = {given.key for given in found.mapped}, {given.key for given, _ in found.dropped}
    assert mapped.isdisjoint(dropped) and mapped | dropped == {given.key for given in read(str(path)).keys.values()}
    assert all(reason and "unknown" not in reason for _, reason in found.dropped)
    for key in sorted(mapped - {"memoryId"}):
        assert re.search(rf"# source: (adjacent|derived): .*\b{key.rpartition('.')[2]}\b", found.text), key
    for given, reason in found.dropped:
        assert f"#   {given.key} (line {given.place.line}): {reason}\n" in found.text


def test_each_value_says_which_key_and_line_it_is_of(tmp_path: Path) -> None:
    found = imported(tmp_path, INI)
    line = INI.splitlines().index("tRCDRD = 26") + 1
    assert re.search(rf"tRCDRD_ns: 14.3 +# source: adjacent: timing.tRCDRD; ns; 26 clocks \[m.ini:{line}\]", found.text)
    origin = api.load(write(tmp_path, found)).provenance["dram.timing.tRCDRD_ns"]
    assert (origin.label, origin.reason) == ("adjacent", "timing.tRCDRD; ns; 26 clocks")


def write(tmp_path: Path, found: Imported) -> Path:
    (tmp_path / "c.yaml").write_text(found.text)
    return tmp_path / "c.yaml"


def test_what_is_missing_is_as_shipped_and_listed(tmp_path: Path) -> None:
    found = imported(tmp_path, memspec("HBM3", RTP=None, REFI=0))
    assert found.shipped == ("dram.refresh", "dram.timing.tRTP_ns", "dram.timing.tREFI_ns") and found.base == "hbm3"
    assert "tRTP_ns: 6.25" in found.text and "#   dram.timing.tRTP_ns\n" in found.text
    assert ("memtimingspec.REFI", "it is 0, and taken for not given") in [(g.key, why) for g, why in found.dropped]


def test_what_may_be_missing_is_left_to_its_default(tmp_path: Path) -> None:
    """Not what the shipped configuration has: half of the file's own tRFC."""
    found = imported(tmp_path, memspec("GDDR6", RFCpb=None))
    assert "dram.timing.tRFCpb_ns" in found.default
    assert device_of(api.load_config(write(tmp_path, found))).cycles["nRFCpb"] == 105


def test_an_unknown_key_is_named_with_its_nearest(tmp_path: Path) -> None:
    text = json.loads(memspec("GDDR6"))
    text["memspec"]["memtimingspec"]["RCDRDD"] = 3
    text["memspec"]["mystery"] = {"a": 1}
    found = {given.key: reason for given, reason in imported(tmp_path, json.dumps(text)).dropped}
    assert found["memtimingspec.RCDRDD"] == "unknown key; did you mean 'RCDRD'?"
    assert found["mystery.a"] == "unknown key"


def test_more_ranks_are_not_passed_over_in_silence(tmp_path: Path) -> None:
    found = {given.name: reason for given, reason in imported(tmp_path, memspec("GDDR6", nbrOfRanks=2)).dropped}
    assert found["nbrOfRanks"] == "a channel has one rank here: what 2 have is not there"


def test_the_same_file_gives_the_same_bytes_from_anywhere(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    assert imported(tmp_path / "a", INI).text == imported(tmp_path / "b", INI).text


def test_what_is_derived_from_a_standard_does_not_take_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    class Derived(Gddr6Memory):
        """Another memory."""

    class DerivedConfig(Gddr6Config):
        """Its configurations."""

        dram: Derived

    before = known_as()
    assert before == {"GDDR6": "gddr6", "LPDDR5": "lpddr5x", "LPDDR5X": "lpddr5x", "HBM3": "hbm3"}
    monkeypatch.setitem(CONFIGS._added, "derived", (DerivedConfig, Origin("a test")))
    assert "derived" in CONFIGS and known_as() == before


def test_tables_name_keys_that_there_are() -> None:
    keys = {
        key.rpartition(".")[2] for name in ("gddr6", "lpddr5x", "hbm3") for key in all_keys(type(api.load_config(name)))
    }
    assert set(TIMES) | set(CURRENTS) <= keys and set(SHORT) <= set(TIMES)
    assert set(DROPPED) == {MEMSPEC, INI_FORM}


# -- what is wrong -------------------------------------------------------------------------------------


def test_a_memory_that_is_nearly_one_and_a_clock_of_nothing_are_told(tmp_path: Path) -> None:
    (found,) = refused(tmp_path, INI.replace("GDDR6", "gddr6"))
    assert "no memory here is called 'gddr6'; did you mean 'GDDR6'?" in found
    stopped = re.sub(r"(?m)^tCK *=.*$", "tCK = 0", INI)
    assert any("timing.tCK: must be above 0, not 0" in each for each in refused(tmp_path, stopped))


def test_an_unknown_memory_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    (found,) = refused(tmp_path, INI.replace("GDDR6", "WIDEIO"))
    assert found == (
        "m.ini:3:1: dram_structure.protocol: no memory here is called 'WIDEIO'; supported: "
        "GDDR6, LPDDR5, LPDDR5X, HBM3; "
        "with --standard it is read as another memory"
    )
    (found,) = refused(tmp_path, memspec("GDDR6", memoryType="WIDEIO"))
    assert found.startswith("m.json:4:5: memoryType: no memory here is called 'WIDEIO'")
    (found,) = refused(tmp_path, INI, "gddr66")
    assert found == "--standard: unknown standard 'gddr66'; did you mean 'gddr6'?"


def test_values_that_cannot_be_are_all_refused_at_their_places(tmp_path: Path) -> None:
    text = INI.replace("tRP = 25", "tRP = soon").replace("tWR = 27", "tWR = 2.5").replace("tCK = 0.55", "tCK = -1")
    assert refused(tmp_path, text.replace("rows = 8192", "rows =")) == [
        "m.ini:6:1: dram_structure.rows: must be a whole number of at least 1, not ''",
        "m.ini:12:1: timing.tCK: must be a number above 0 that can be, not -1",
    ]
    assert refused(tmp_path, text.replace("tCK = -1", "tCK = 1")) == [
        "m.ini:17:1: timing.tRP: must be a whole number of at least 1, not 'soon'",
        "m.ini:27:1: timing.tWR: must be a whole number of at least 1, not 2.5",
    ]


def test_rules_between_keys_are_refused_where_the_file_breaks_them(tmp_path: Path) -> None:
    line = memspec("GDDR6", RC=70).splitlines().index('      "RC": 70,') + 1
    (found,) = refused(tmp_path, memspec("GDDR6", RC=40))
    assert found.startswith(f"m.json:{line}:7: dram.timing.tRC_ns: must be at least tRAS (33 ns), not 24")
    (found,) = refused(tmp_path, memspec("LPDDR5", nbrOfBankGroups=1))
    assert re.match(r"m.json:\d+:7: dram.bank_groups: must be a multiple of 2, not 1", found)


def test_what_breaks_a_rule_as_shipped_says_so(tmp_path: Path) -> None:
    (found,) = refused(tmp_path, memspec("HBM3", RFC=300, RFCPB=None))
    assert found == (
        "m.json:1:1: dram.timing.tRFCpb_ns: must be at most tRFC (187.5 ns), not 200 "
        "(not in the file, and so as shipped in hbm3)"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"memspec": {"memoryType": "GDDR6",}}', "m.json:1:"),
        ('{"memspec": {"memtimingspec": {"tCK": NaN}}}', "not a finite number"),
        ("{}", "has no memarchitecturespec and no memtimingspec: not a memory's memspec"),
        ('{"memspec": {"memtimingspec": {"RP": 1, "RP": 2}, "memarchitecturespec": {"width": 1}}}', "duplicate key"),
        (
            "[dram_structure]\nrows = 1\nROWS = 2\n",
            "m.ini:3:1: dram_structure.ROWS: duplicate key, first given on line 2",
        ),
        ("rows = 1\n", "m.ini:1:1: comes before any [section]: 'rows = 1'"),
        ("[dram_structure]\nrows\n", "m.ini:2:1: must be `key = value` or `[section]`: 'rows'"),
        ("", "is empty"),
    ],
)
def test_text_that_is_no_such_file_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    assert any(message in found for found in refused(tmp_path, text))


def test_json_with_tabs_is_json(tmp_path: Path) -> None:
    tabs = memspec("LPDDR5").replace("  ", "\t")
    assert imported(tmp_path, tabs).text == imported(tmp_path, memspec("LPDDR5")).text


@pytest.mark.parametrize(
    "value", ["1e999999", "1e-999999", "-5", '"x"', "[]", "null", "true", "99999999999999999999999"]
)
@pytest.mark.parametrize("key", ["tCK", "RP", "width", "nbrOfBankGroups", "dataRate", "nbrOfPseudoChannels"])
def test_no_value_ends_in_anything_but_a_problem(tmp_path: Path, key: str, value: str) -> None:
    text = re.sub(rf'"{key}": [^,\n]+', f'"{key}": {value}', memspec("HBM3"))
    assert all(found.startswith("m.json:") for found in refused(tmp_path, text))
