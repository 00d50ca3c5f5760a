"""docs/your-own-device.md: its files are run as they stand, and its two made-up parts do what its sheets say."""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import pimsim
from pimsim.cli import cli
from pimsim.config import refreshing
from pimsim.devices.registry import HARDWARE, device_of
from pimsim.dram.gaps import gaps
from pimsim.dram.spec import Standard
from pimsim.dram.twin.channel import Channel
from tests.extension.page import install
from tests.extension.page import pimsim as process
from tests.situations import check_gate, enact, situations, stretched

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "your-own-device.md").read_text(encoding="utf-8")
FILES: dict[str, str] = dict(re.findall(r"^```(?:yaml|python)\n# (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
PROJECT = '[project]\nname = "d5x"\nversion = "0.1"\n[project.entry-points.pimsim]\nd5x = "d5x:register"\n'

Outside = Callable[[Path], None]


@pytest.fixture
def gx6(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outside: Outside) -> Path:
    """A folder with the files of the YAML part; the process stands in it."""
    for name in ("gx6-table.yaml", "gx6.yaml"):
        (tmp_path / name).write_text(FILES[name])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the Python part is installed."""
    return install(tmp_path_factory.mktemp("d5x") / "site", {n: FILES[n] for n in ("d5x.py", "d5x.yaml")}, PROJECT)


@pytest.fixture
def d5x(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outside: Outside) -> Path:
    """A folder of the test's own, in which its process knows the package."""
    outside(package)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def up(a: int, b: int) -> int:
    return -(-a // b)


def counts(banks: int, width: int, buffer: int, tokens: int) -> dict[str, int]:
    """Of gpt2-small, decoded from an empty context: what a bank per output, a key per bank and so on come to.

    banks of a channel; width: numbers of a column; buffer: columns that one filling of the buffer is multiplied with.
    """
    d, heads, head, ff, layers = 768, 12, 64, 3072, 12
    made: Counter[str] = Counter()
    for context in range(1, tokens + 1):
        for inputs, outputs in ((d, 3 * d), (d, d), (d, ff), (ff, d)):
            made["MACAB"] += up(outputs, banks) * up(inputs, width)
            made["RDMAC"] += up(outputs, banks) * up(inputs, buffer * width)
        made["MACAB"] += up(context, banks) * heads * up(head, width) + heads * up(head, banks) * up(context, width)
        made["RDMAC"] += up(context, banks) * heads + heads * up(head, banks) * up(context, buffer * width)
        made["WR"] += heads * up(head, width) + heads * up(head, banks) * banks
    return {name: layers * number for name, number in made.items()}


def logged(file: Path) -> Counter[str]:
    text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return Counter(row["command"] for row in csv.DictReader(text.decode().splitlines()))


# -- the part in YAML ------------------------------------------------------------------------


def test_the_commands_of_the_page_run(gx6: Path) -> None:
    lines = re.findall(r"^    pimsim (.*gx6.*)$", PAGE, re.MULTILINE)
    assert len(lines) == 4
    done = [command(*line.split()) for line in lines]
    assert [each.exit_code for each in done] == [0] * 4, [each.stderr for each in done]
    assert done[0].stdout == "gx6.yaml: valid\n" and done[-1].stdout.endswith("no violations\n")
    assert {name: logged(gx6 / "log.csv")[name] for name in ("MACAB", "RDMAC", "WR")} == counts(16, 32, 32, 2)


def test_int8_takes_half_of_the_columns(gx6: Path) -> None:
    formats = re.search(r"`(--set workload.weight_format=int8 .*?)`", PAGE)
    assert formats
    work = formats[1].split()
    assert command("run", "gx6.yaml", *work, "--commands", "log.csv").exit_code == 0
    checked = command("check", "log.csv", "--config", "gx6.yaml", *work)
    assert checked.exit_code == 0 and checked.stdout.endswith("no violations\n")
    names = {"MACAB_int8xint8": "MACAB", "RDMAC32": "RDMAC", "WR": "WR"}
    found = logged(gx6 / "log.csv")
    assert {name: found[logged_as] for logged_as, name in names.items()} == counts(16, 64, 32, 2)


@pytest.mark.parametrize(("clk", "ready"), [(111, False), (112, True)])
def test_its_rule_holds_to_the_clock(gx6: Path, clk: int, ready: bool) -> None:
    """9.6 ns are 12 clocks of 0.8 ns; another bank group, in which nothing else binds."""
    channel = Channel(device_of(pimsim.load_config("gx6.yaml")))
    channel.issue("ACTAB", 0, -1, 5)
    channel.issue("MACAB", 100, -1, 5, 0)
    assert (channel.earliest("WR", 7) <= clk) is ready


def test_its_refreshes_leave_the_products_what_the_formula_says(gx6: Path) -> None:
    """tREFI / 16 is 243.75 ns: tRP + tRFCpb + tRCD is 165 ns of them."""
    device = device_of(pimsim.load_config("gx6.yaml"))
    n = device.cycles
    assert (device.together, device.refresh_interval) == (1, 304)
    assert refreshing.blocked(n, refreshing.turns_of("per_bank", 4, 4, 1, 1), 1) == n["nRP"] + n["nRFCpb"] + n["nRCDRD"]


# -- the part in Python ----------------------------------------------------------------------


def test_the_package_of_the_page_runs(package: Path, tmp_path: Path) -> None:
    lines = [line for line in re.findall(r"^    pimsim (.*)$", PAGE, re.MULTILINE) if "gx6" not in line]
    assert len(lines) == 4
    done = [process(tmp_path, *line.split(), path=package) for line in lines]
    assert [each.returncode for each in done] == [0] * 4, [each.stderr for each in done]
    (row,) = [line for line in done[0].stdout.splitlines() if line.startswith("d5x")]
    assert row.endswith("from d5x 0.1")
    assert done[-1].stdout.endswith("no violations\n")
    assert {name: logged(tmp_path / "log.csv.gz")[name] for name in ("MACAB", "RDMAC", "WR")} == counts(32, 32, 32, 2)


@pytest.mark.parametrize(("refresh", "issued"), [("same_bank", "REFSB"), ("all_bank", "REFAB"), ("none", "")])
def test_engines_agree_and_logs_are_clean(d5x: Path, refresh: str, issued: str) -> None:
    keys = {"dram.refresh": refresh, "workload.output_tokens": 1, "workload.context": 40}
    fast, stepped = (pimsim.load_config("d5x", {**keys, "engine.mode": mode}) for mode in ("fast", "stepped"))
    assert pimsim.run(fast).summary["system"] == pimsim.run(stepped, log="log.csv").summary["system"]
    options = [part for key, value in keys.items() for part in ("--set", f"{key}={value}")]
    assert command("check", "log.csv", "--config", "d5x", *options).exit_code == 0
    assert {"REFSB", "REFAB"}.intersection(logged(d5x / "log.csv")) == {issued} - {""}


def run(code: str, space: dict[str, Any]) -> None:
    """Run a file of the page, or what changes it, without what this file asks of the future."""
    exec(compile(code, "d5x.py", "exec", dont_inherit=True), space)


def table() -> Standard:
    """The table of the page; it needs no registration."""
    space: dict[str, Any] = {"__name__": "d5x_of_the_page", "__file__": "d5x.py"}
    run(FILES["d5x.py"], space)
    made: Standard = space["TABLE"]
    return made


TABLE = table()


@pytest.mark.parametrize("situation", situations(standard=TABLE), ids=str)
def test_each_rule_holds_a_command_back_up_to_its_clock(situation: Any) -> None:
    check_gate(situation)


@pytest.mark.parametrize("situation", situations(shared=False, standard=TABLE), ids=str)
def test_no_rule_reaches_beyond_its_level(situation: Any) -> None:
    device = stretched(situation)
    channel, _, counts_from = enact(device, situation)
    ready = channel.earliest(
        situation.following, situation.bank if situation.standard.command(situation.following).has_bank else -1
    )
    assert ready < counts_from + device.latency(situation.constraint)


def test_its_distances_are_those_of_its_sheet(d5x: Path) -> None:
    """By hand, at 0.416 ns a clock."""
    found = gaps(device_of(pimsim.load_config("d5x")))
    assert {
        "ACT->RD same_bank": 39, "PRE->ACT same_bank": 39, "ACT->PRE same_bank": 77, "ACT->ACT same_bank": 116,
        "ACT->ACT same_bank_group": 13, "ACT->ACT other_bank_group": 8, "5th ACT after 1st": 32,
        "ACTAB->ACTAB same_bank": 145, "MACAB->MACAB same_bank": 17, "MACAB->RDMAC same_bank": 33,
        "WRGB->MACAB same_bank": 38 + 8, "REFSB->ACT same_bank": 313, "REFSB->ACT other_bank_group": 73,
        "REFAB->ACT same_bank": 710, "WR->PRE same_bank": 38 + 8 + 73,
    }.items() <= found.items()  # fmt: skip


def test_a_time_that_is_a_clock_longer_finds_commands_that_came_too_early(d5x: Path) -> None:
    line = re.search(r"`pimsim (check log.csv.gz --config d5x --set \S+)`", PAGE)
    assert line
    assert command("run", "d5x", "--commands", "log.csv.gz").exit_code == 0
    refused = command(*line[1].split())
    assert refused.exit_code == 1 and "tRFCsb: REFSB -> ACT needs 315 clocks, got 313" in refused.stdout


# -- mistakes --------------------------------------------------------------------------------

MISTAKES = [
    ("gx6.yaml", "tREFI_ns: 3900", "tREFI_ns: 3900000",
     "gx6.yaml:16:5: dram.timing.tREFI_ns: must be at most 100000, not 3900000; is the unit right?"),
    ("gx6.yaml", "    tCCDL_ns: 3.2 ", "    nCCDL: 4 ",
     "gx6.yaml:13:5: dram.timing.nCCDL: unknown key; did you mean 'tCCDL_ns'?"),
    ("gx6.yaml", "assumed: GX6 sheet: REFpb", "sheet: REFpb",
     "gx6.yaml:10:30: dram.refresh: unknown source label 'sheet'; "),
    ("gx6.yaml", "int8xint8: 32 ", "int8xint9: 32 ",
     "gx6.yaml:25:5: pim.formats.int8xint9: unknown pair 'int8xint9'"),
    ("gx6.yaml", "gx6-table.yaml", "gx6-tabel.yaml", "gx6.yaml:4:3: dram.standard: gx6-tabel.yaml: cannot be read"),
    ("gx6.yaml", "row_bytes: 4096", "row_bytes: 4000",
     "gx6.yaml:7:3: dram.row_bytes: must be whole columns of 64 bytes"),
    ("gx6-table.yaml", "preceding: MACAB", "preceding: MACB",
     "gx6-table.yaml:8:22: constraints.0.preceding.0: unknown command 'MACB'; did you mean 'MACAB'?"),
    ("gx6-table.yaml", "nMACWR", "nMACRW",
     "gx6-table.yaml:8:55: constraints.0.latency: row MACAB -> WR (channel): unknown timing name 'nMACRW'; did you "
     "mean 'nMACWR'?"),
    ("gx6-table.yaml", ', source: "assumed: GX6 sheet, note 7"', "",
     "gx6-table.yaml:8:5: constraints.0.source: required key is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "right", "wrong", "said"), MISTAKES)
def test_a_mistake_in_a_file_is_said_with_its_place(gx6: Path, file: str, right: str, wrong: str, said: str) -> None:
    assert right in FILES[file]
    (gx6 / file).write_text(FILES[file].replace(right, wrong, 1))
    refused = command("config", "validate", "gx6.yaml")
    assert refused.exit_code == 2 and said in refused.stderr


CODE_MISTAKES = [
    ('("MACAB",), ("RDMAC",), "nDRAIN"', '("MACB",), ("RDMAC",), "nDRAIN"',
     "row MACB -> RDMAC (channel): unknown command 'MACB'; did you mean 'MACAB'?"),
    ('"nREFSBRD", ', '"nREFSBR", ',
     "row REFSB -> ACT/ACTAB/REFSB (channel): unknown timing name 'nREFSBR'; did you mean 'nREFSBRD'?"),
    ('"nREFSBRD", ', '"nREFSBR", ', "dram.timing.tREFSBRD_ns is used by no row of the table"),
    ('("*", "WR", "write"), ', "", "causes: no row for PRE -> WR, PREAB -> WR, PRESB -> WR, RD -> WR ..."),
    ("does=Does.GIVE, energy=()", "does=Does.GIVE",
     "RDMAC.energy: a device that runs language models has a price for every command"),
    ('Literal["d5x"]', 'Literal["d5"]', "D5xConfig: `dram.standard` must be Literal['d5x']"),
    ('refresh_same="REFSB"', 'refresh_same="REFS"',
     "roles.refresh_same: unknown command 'REFS'; did you mean 'REFSB'?"),
    (', refresh_same="REFSB"', "",
     "D5xConfig: `dram.refresh` may be same_bank, and roles name no command for that"),
    ('"bank % banks_per_group"', '"bank % per_group"', "level number: 'bank % per_group' is no expression of bank, "),
    ('row("bank_group", ("ACT",)', 'row("bankgroup", ("ACT",)',
     "row ACT -> ACT/ACTAB (bankgroup): unknown level 'bankgroup'; did you mean 'bank_group'?"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "said"), CODE_MISTAKES)
def test_a_mistake_in_a_table_is_said_when_it_is_registered(
    outside: Outside, right: str, wrong: str, said: str
) -> None:
    assert right in FILES["d5x.py"]
    space: dict[str, Any] = {"__name__": "d5x_of_the_page", "__file__": "d5x.py"}
    run(FILES["d5x.py"].replace(right, wrong), space)
    with pytest.raises(pimsim.InputError) as refused:
        pimsim.register(hardware=space["HARDWARE"], config=space["D5xConfig"])
    assert f"standard d5x: {said}" in str(refused.value)
    assert "d5x" not in HARDWARE


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outside: Outside) -> Iterator[Callable[..., None]]:
    """registered(**changes): D5X with its hardware changed, and its configuration here."""
    (tmp_path / "d5x.yaml").write_text(FILES["d5x.yaml"])
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"__name__": "d5x_of_the_page", "__file__": "d5x.py"}
    run(FILES["d5x.py"], space)

    def register(code: str = "", **changes: Any) -> None:
        run(code, space)
        made = {name: space[value] for name, value in changes.items()}
        pimsim.register(hardware=replace(space["HARDWARE"], **made), config=space["D5xConfig"])

    yield register


LAYOUT = """
from dataclasses import replace
from pimsim.devices.pim_gpt import Layouts
from pimsim.devices.pim_gpt.matrix import MatrixLayout

class Crowded(MatrixLayout):
    def locate(self, output, element):
        place = super().locate(output, element)
        return replace(place, {})

class Own(Layouts):
    def matrix(self, grid, inputs, outputs):
        return Crowded(grid, inputs, outputs)

def own(config):
    return Own(False)
"""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("lane=place.lane // 2", "[0, 0] and [0, 1] are both at Place(channel=0, bank=0, row=0, column=0, lane=0)"),
        ("channel=0", "[0, 0] and [32, 0] are both at Place(channel=0, bank=0, row=0, column=0, lane=0)"),
        ("row=place.row + 50", "[0, 0] is not in the 2 rows that it reserves: Place(channel=0, bank=0, row=50, "),
        ("bank=place.bank + 1", "[31, 0] is not in the 2 rows that it reserves: Place(channel=0, bank=32, "),
    ],
)
def test_a_layout_that_puts_an_element_where_none_may_be_is_refused(
    registered: Callable[..., None], change: str, said: str
) -> None:
    registered(LAYOUT.replace("{}", change), layouts="own")
    refused = command("run", "d5x.yaml")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("d5x.yaml:4:3: dram.standard: its layouts: W[output, input]: ")
    assert said in refused.stderr


def test_a_layout_that_asks_for_a_command_that_is_not_there_is_refused(registered: Callable[..., None]) -> None:
    code = FILES["d5x.py"].replace("WRGB", "WRBUF")
    registered(f"{code}\nOTHER = TABLE", table="OTHER")
    refused = command("run", "d5x.yaml")
    assert refused.exit_code == 2
    assert refused.stderr.startswith(
        "d5x.yaml:4:3: dram.standard: its layouts: commands: d5x has no command 'WRGB'; it has "
    )


def test_units_that_compute_less_than_they_say_are_refused(registered: Callable[..., None]) -> None:
    registered("def less(dram, pim, cycles):\n    return {'nMAC': 16, 'nBLRES': 8}", cycles="less")
    refused = command("run", "d5x.yaml")
    assert refused.exit_code == 2
    assert refused.stderr == "d5x.yaml:4:3: dram.standard: d5x says that it computes nDRAIN, and does not\n"
