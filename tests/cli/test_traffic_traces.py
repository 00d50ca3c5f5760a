"""`pimsim traffic --trace`: the formats of other simulators, what an address means, and what is no trace."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import pimsim
from pimsim.cli import cli
from pimsim.cli.traffic import FORMATS as NAMES
from pimsim.devices.registry import device_of
from pimsim.dram.timing import Device
from pimsim.errors import InputError
from pimsim.traffic import traces
from pimsim.traffic.formats import FORMATS
from pimsim.traffic.mapping import Mapping
from pimsim.traffic.patterns import Pattern, decode, encode
from pimsim.traffic.traces import Trace
from tests.examples import examples

GDDR6, LPDDR5X, HBM3 = (device_of(pimsim.load_config(f"configs/{name}.yaml")) for name in ("gddr6", "lpddr5x", "hbm3"))
RD, WR = GDDR6.standard.index("RD"), GDDR6.standard.index("WR")


def read(path: Path, device: Device = GDDR6, mapping: str = "RoBaCoBgCh", **options: Any) -> list[list[int]]:
    """Channel, arrival, command, bank, row and column of each request of a trace."""
    chunks = list(Trace(path, device, Mapping(mapping, device), **options).chunks())
    return np.concatenate([np.column_stack(chunk) for chunk in chunks]).tolist()


def written(folder: Path, text: str | bytes, name: str = "t.trace") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def place(address: int) -> list[int]:
    """Channel, bank, row and column of a byte address of GDDR6 as the patterns have it."""
    return [int(part) for part in decode(np.array(address // GDDR6.column_bytes), GDDR6)]


def request(arrival: int, operation: int, address: int) -> list[int]:
    channel, *rest = place(address)
    return [channel, arrival, operation, *rest]


SAME = {  # the same accesses, as far as a format can say them
    "ramulator-ldst": "LD 0x12340\nST 4096\n\n# a comment\r\n\tLD  0XfF20 \r\n",
    "dramsim3": "0x12340 READ 0\n1000 write 7\n0xff20\tP_MEM_RD 900\n",
    "dramsys-stl": "# cycle: command address\n0:\tread\t0x12340\n7: (32) write 0x1000 0xdeadbeef\n900: read ff20\n",
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("packed", [False, True])
def test_a_format_is_recognised_and_read(name: str, packed: bool, tmp_path: Path) -> None:
    text = SAME[name].encode()
    path = written(tmp_path, gzip.compress(text) if packed else text)
    at = [0, 0, 0] if name == "ramulator-ldst" else [0, 7, 900]
    expected = [request(at[0], RD, 0x12340), request(at[1], WR, 4096), request(at[2], RD, 0xFF20)]
    assert read(path) == read(path, format=name) == expected


def test_address_vectors_name_places(tmp_path: Path) -> None:
    path = written(tmp_path, "R 0,1,2,100,32\nW 1,3,0,200,16\n")
    assert read(path) == [[0, 0, RD, 6, 100, 32], [1, 0, WR, 12, 200, 16]]
    path = written(tmp_path, "R 15,1,3,2,100,31\nR 15,0,3,2,100,31\nW 15,7,2,100,31\n")
    bank = [row[3] for row in read(path, HBM3)]
    assert bank == [7 * 4 + 2, 3 * 4 + 2, 7 * 4 + 2]  # group 3 of pseudo-channel 1 is group 7 of the channel
    path = written(tmp_path, "R 3,0,3,2,100,31\n")
    assert read(path, LPDDR5X)[0][3] == 3 * 4 + 2


@pytest.mark.parametrize("device", [GDDR6, HBM3])
@pytest.mark.parametrize("name", ["RoBaRaCoCh", "ChRaBaRoCo", "rochrababgco", "RoCoBgBaCh", "RoBaCoBgCh"])
def test_a_mapping_takes_fields_from_the_lowest_bits_up(name: str, device: Device) -> None:
    sizes = {
        "ch": device.channels, "bg": device.bank_groups, "ba": device.banks_per_group, "co": device.columns,
        "ro": device.rows,
    }  # fmt: skip
    fields = [
        name[k : k + 2].lower() for k in range(0, len(name), 2) if name[k : k + 2] != "Ra" and name[k : k + 2] != "ra"
    ]
    if "bg" not in fields:
        fields.insert(fields.index("ba") + 1, "bg")
    one = device.column_bytes
    for field in reversed(fields):
        channel, bank, row, column = (
            int(part[0]) for part in Mapping(name, device).places(np.array([one, one - 1]))[:4]
        )
        group, inner = divmod(bank, device.banks_per_group)
        found = {"ch": channel, "ro": row, "co": column, "bg": group, "ba": inner}
        assert found == dict.fromkeys(found, 0) | {field: 1}
        one *= sizes[field]
    whole, below = (Mapping(name, device).places(np.array([one + k * device.column_bytes])) for k in (0, -1))
    assert [int(part[0]) for part in whole] == [0, 0, 0, 0]  # modulo the memory's size
    assert [int(part[0]) for part in below] == [
        device.channels - 1,
        device.banks - 1,
        device.rows - 1,
        device.columns - 1,
    ]


@pytest.mark.parametrize("name", ["", "RoBaCo", "RoBaCoChCh", "RoBaCoChX", "RoBaCoChXx", "Ro Ba Co Ch", "RoBaCoChBgBg"])
def test_a_name_that_is_no_mapping(name: str) -> None:
    with pytest.raises(InputError, match="Ro, Ba, Co and Ch once each"):
        Mapping(name, GDDR6)


def test_the_default_mapping_is_that_of_the_patterns(tmp_path: Path) -> None:
    for device in (GDDR6, LPDDR5X, HBM3):
        pattern = Pattern(device, "random", 3000, 0.6, None, 1)
        channel, requests = next(pattern.chunks())
        address = encode(channel, *requests[:, 2:].T, device=device) * device.column_bytes
        lines = [
            f"{'LD' if row[1] == RD else 'ST'} {at}\n"
            for row, at in zip(requests.tolist(), address.tolist(), strict=True)
        ]
        assert read(written(tmp_path, "".join(lines)), device) == np.column_stack([channel, requests]).tolist()


def test_an_access_of_more_bytes_is_one_of_each_column_that_it_touches(tmp_path: Path) -> None:
    path = written(tmp_path, "5: (64) read 0x100\n6: (1) read 0x13f\n7: (33) write 0x15f\n9: read 0x11f\n")
    addresses = [(5, RD, 0x100), (5, RD, 0x120), (6, RD, 0x120), (7, WR, 0x140), (7, WR, 0x160)]
    assert read(path) == [request(*each) for each in [*addresses, (9, RD, 0x100)]]
    assert read(path, access_bytes=2) == [request(*each) for each in [*addresses, (9, RD, 0x100), (9, RD, 0x120)]]


def test_a_rate_spaces_accesses_without_cycles(tmp_path: Path) -> None:
    text = "".join(f"LD {32 * k}\n" for k in range(100))
    clocks = [row[1] for row in read(written(tmp_path, text), rate_GBps=10.0)]
    assert clocks == np.floor(np.arange(100) * (32 * 1000 / (10.0 * GDDR6.tCK_ps))).tolist()


@settings(max_examples=examples(40), deadline=None)
@given(data=st.data())
def test_blocks_and_lines_are_read_alike(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A comment anywhere has its block read line by line; a block may end anywhere."""
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    name = data.draw(st.sampled_from(sorted(FORMATS)))
    make: dict[str, Callable[[int, int, bool], str]] = {
        "ramulator-ldst": lambda k, at, write: f"{'ST' if write else 'LD'} {at if k % 2 else hex(at)}",
        "ramulator-rw": lambda k, at, write: f"{'RW'[write]} {at % 2},{at % 3},{k % 4},{at % 1000},{at % 64}",
        "dramsim3": lambda k, at, write: f"{hex(at)} {'WRITE' if write else 'READ'} {k * 3}",
        "dramsys-stl": lambda k, at, write: f"{k * 3}: {'write' if write else 'read'} {hex(at)}",
    }
    lines = [make[name](k, int(rng.integers(1 << 40)), bool(rng.integers(2))) for k in range(60)]
    noisy = [text for line in lines for text in ([line, "# no access", ""] if rng.integers(4) == 0 else [line])]
    folder = tmp_path_factory.mktemp("traces")
    plain, mixed = (written(folder, "\n".join(each)) for each in (lines, noisy))
    expected = read(plain)
    written(folder, "\n".join(lines))
    size = data.draw(st.sampled_from([1, 7, 100, 1 << 20]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traces, "BLOCK_BYTES", size)
        for text in (lines, noisy):
            assert read(written(folder, "\n".join(text))) == expected
    assert mixed == plain and len(expected) == 60


# ---- what is wrong --------------------------------------------------------------------------

WRONG = [
    ("LD 0x10\nXX 5\nLD 0x10 7\nST\nLD zz\nLD -5\n", ["2:1: must be LD or ST, not 'XX'", "3:9: '7' is too much",
     "4:3: an address, hexadecimal (0x...) or decimal is missing",
     "5:4: must be an address, hexadecimal (0x...) or decimal, not 'zz'",
     "6:4: must be an address, hexadecimal (0x...) or decimal, not '-5'"]),
    ("0x10 READ 5\n10 WRITE 3\n0x20 READ 9\n0x10 READ 8\n0x10 FETCH 9\n", [
     "2:10: cycle 3 comes after cycle 5", "4:11: cycle 8 comes after cycle 9",
     "5:6: must be READ or WRITE, not 'FETCH'"]),
    ("0: read 0x1\n5 read 0x1\n6: (0) read 1\n7: read 0x1 ff more\n", [
     "2:1: must be a cycle of at most 12 digits and a colon, not '5'", "3:4: must be read or write, not '(0)'",
     "4:16: 'more' is too much"]),
    ("R 0,1,2,3,4\nR 2,0,0,0,0\nW 0,4,0,0,0\nR 0,0,4,0,0\nR 0,0,0,16384,0\nR 0,0,0,0,64\nR 0,1,0,0,0,0\nR 1,2\n", [
     "2:3: has channel 2, of 2", "3:3: has bank group 4, of 4", "4:3: has bank 4, of 4", "5:3: has row 16384, of 16384",
     "6:3: has column 64, of 64", "7:3: has rank or pseudo-channel 1, of 1",
     "8:3: must be channel, bank group, bank, row, column, with rank or pseudo-channel after the channel or without"]),
    ("\n  # nothing\nhello world\n", ["3:1: is a line of no known format (ramulator-ldst, ramulator-rw, dramsim3, "
                                     "dramsys-stl); see --trace-format"]),
    ("", ["1:1: has no accesses"]),
    ("# nothing\n", ["1:1: has no accesses"]),
    ("LD 1\nLD " + "1" * 1200, ["2:1: a line of more than 1000 bytes"]),
    ("LD 1\nLD \xff\n", ["2:4: must be an address, hexadecimal (0x...) or decimal, not '\ufffd'"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problems"), WRONG)
def test_what_is_wrong_is_said_with_its_place_and_all_at_once(text: str, problems: list[str], tmp_path: Path) -> None:
    path = written(tmp_path, text.encode("latin-1"))
    with pytest.raises(InputError) as caught:
        read(path)
    assert [str(problem) for problem in caught.value.problems] == [f"{path}:{problem}" for problem in problems]


def test_no_more_than_a_hundred_problems_are_said(tmp_path: Path) -> None:
    for line in ("XX 1\n", "0x10 READ 1\n0x10 READ 0\n"):
        path = written(tmp_path, "0x10 READ 0\n" + line * 500)
        with pytest.raises(InputError) as caught:
            read(path)
        assert len(caught.value.problems) == 100


def test_problems_of_all_blocks_are_said_and_the_latest_cycle_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "BLOCK_BYTES", 16)
    path = written(tmp_path, "0x10 READ 50\n" * 5 + "0x10 READ 4\n" + "0x10 READ 60\n" * 5 + "nothing\n")
    with pytest.raises(InputError) as caught:
        read(path)
    assert [problem.line for problem in caught.value.problems] == [6, 12]


def test_a_rate_is_for_accesses_without_cycles(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--rate: is for accesses without cycles"):
        read(written(tmp_path, "0x10 READ 5\n"), rate_GBps=1.0)


def test_wrong_lines_before_the_damage_are_said_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "BLOCK_BYTES", 16)
    path = written(tmp_path, gzip.compress(b"LD 1\nnothing\n" + b"LD 1\n" * 100_000)[:-20])
    with pytest.raises(InputError) as caught:
        read(path)
    assert [problem.message.split(":")[0] for problem in caught.value.problems] == [
        "must be LD or ST, not 'nothing'", "the compressed data is damaged or cut off",
    ]  # fmt: skip


def test_a_packed_trace_that_is_cut_off(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(b"LD 1\n" * 100_000)[:-20])
    with pytest.raises(InputError, match="damaged or cut off"):
        read(path)


# ---- the command ----------------------------------------------------------------------------


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["traffic", *args])
    return result.exit_code, result.output


def test_a_trace_of_a_stream_gives_what_the_stream_gives(tmp_path: Path) -> None:
    path = written(tmp_path, "".join(f"LD {32 * k:#x}\n" for k in range(20_000)))
    of_trace = run("gddr6", "--trace", str(path), "--json")
    assert of_trace == run("gddr6", "--requests", "20000", "--json")
    assert json.loads(of_trace[1])["requests"] == 20_000
    logs = [tmp_path / "a.csv", tmp_path / "b.csv"]
    run("gddr6", "--trace", str(path), "--commands", str(logs[0]))
    run("gddr6", "--requests", "20000", "--commands", str(logs[1]))
    assert logs[0].read_bytes() == logs[1].read_bytes() != b""


@pytest.mark.parametrize(
    "options",
    [
        ("--mapping", "RoBaCoCh"), ("--access-bytes", "64"), ("--trace-format", "dramsim3"), ("--write-high", "3"),
        ("--write-low", "3"), ("--write-low", "9", "--write-queue", "8"), ("--write-high", "9", "--write-queue", "8"),
        ("--stride", "0"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_are_input_errors(options: tuple[str, ...]) -> None:
    code, output = run("gddr6", "--requests", "10", *options)
    assert (code, options[0] in output) == (2, True)


def test_a_trace_has_no_pattern(tmp_path: Path) -> None:
    path = written(tmp_path, "LD 1\n")
    for options in (("--pattern", "stream"), ("--requests", "5"), ("--seed", "0"), ("--read-fraction", "1")):
        code, output = run("gddr6", "--trace", str(path), *options)
        assert (code, f"{options[0]}: says nothing about a trace" in output) == (2, True)
    assert run("gddr6", "--trace", str(tmp_path / "none"))[0] == 2
    assert run("gddr6", "--trace", str(tmp_path))[0] == 2


def test_the_command_names_the_formats_that_there_are() -> None:
    assert tuple(FORMATS) == NAMES


def test_writes_of_their_own_turn_the_pins_less_often() -> None:
    options = ("gddr6", "--pattern", "random", "--requests", "40000", "--read-fraction", "0.7", "--json")
    one, apart = (json.loads(run(*options, *more)[1]) for more in ((), ("--write-queue", "64")))
    assert apart["cycles"] < 0.9 * one["cycles"]
    assert apart["commands"]["RD"] == one["commands"]["RD"]
