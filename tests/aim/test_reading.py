"""Programs from files: the compiled reader against the one that goes line by line."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.devices.aim import instructions
from pimsim.devices.aim.instructions import Instructions
from pimsim.devices.aim.isa import LONGEST_LINE, OPERATIONS, AimInstruction, lines_of, parse
from pimsim.dram.timing import Device
from pimsim.errors import InputError
from tests.aim.devices import any_channels, programs, reference_device
from tests.examples import examples

DEVICES = [reference_device(channels) for channels in (1, 3, 32, 40)]


def by_line(data: bytes, device: Device) -> list[AimInstruction] | str:
    try:
        return parse(lines_of(io.BytesIO(data), "p.aim"), device, "p.aim")
    except InputError as error:
        return str(error)


def at_once(data: bytes, device: Device) -> list[AimInstruction] | str:
    try:
        return list(Instructions.read(io.BytesIO(data), device, "p.aim"))
    except InputError as error:
        return str(error)


NUMBERS = st.one_of(
    st.integers(0, 70).map(str),
    st.sampled_from(["0x80000000", "0xc0000000", "0XFFFFFFFF", "1", "4294967295", "4294967296", "0x20000000"]),
    st.sampled_from(["16383", "16384", "2147483647", "2147483648", "000064", "0x", "0x0x1", "1x", "x1", "-1", "+1"]),
    st.sampled_from(["9" * 13, "9" * 40, "0" * 30 + "7", "0x" + "0" * 30 + "f", "\u0663", "1.", "1_0", "5g", "0x5G"]),
)  # fmt: skip
NAMES = st.sampled_from(
    [f"AiM {name}" for name in OPERATIONS] + [f"AiM ISR_{name}" for name in OPERATIONS] + list(OPERATIONS)
    + ["AiM WR_AFLUT", "AiM ISR_ISR_SYNC", "AIM SYNC", "AiM sync", "R ISR_MEM", "W", "AiM", "AiM COPY_BKGB_AND_MORE"]
)  # fmt: skip
BLANKS = st.sampled_from([" ", "  ", "\t", "\r", " \t"])


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A line that may be right: an operation with as many numbers as it has fields, or one more or less."""
    name = draw(NAMES)
    operation = OPERATIONS.get(name.removeprefix("AiM ").removeprefix("ISR_"))
    count = len(operation.fields) if operation else draw(st.integers(0, 3))
    words = name.split(" ") + draw(st.lists(NUMBERS, min_size=max(count - 1, 0), max_size=count + 1))
    if len(words) != count + 2 and draw(st.integers(0, 3)):
        words = name.split(" ") + [draw(NUMBERS) for _ in range(count)]
    text = draw(st.sampled_from(["", "", "", " ", "\t"])) + words[0]
    for word in words[1:]:
        text += draw(BLANKS) + word
    return text + draw(st.sampled_from(["", "", "", " ", "\r", "\t\r", "\f", " # c"]))


TEXTS = st.lists(
    st.one_of(lines(), st.sampled_from(["", "# caf\u00e9", "  # c", "AiM SYNC", "R MEM 0 1 2"])), max_size=6
)


@settings(max_examples=examples(400), deadline=None)
@given(
    TEXTS,
    st.sampled_from(DEVICES),
    st.sampled_from(["AiM EOC\n", "AiM EOC", "AiM EOC\nwhat follows \u2028\n", ""]),
    st.booleans(),
    st.integers(20, 200),
)
def test_any_text_is_read_alike(text: list[str], device: Device, end: str, marked: bool, piece: int) -> None:
    data = ("\ufeff" * marked + "".join(line + "\n" for line in text) + end).encode()
    assert read_in_pieces(data, device, piece) == by_line(data, device)


def read_in_pieces(data: bytes, device: Device, piece: int) -> list[AimInstruction] | str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instructions, "PIECE", piece)
        return at_once(data, device)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.binary(max_size=12), max_size=4), st.integers(0, 5), st.integers(4, 40))
def test_any_bytes_are_read_alike(wild: list[bytes], where: int, piece: int) -> None:
    right = [b"AiM AF 1\n", b"AiM MAC_ABK 3 0x80000000 2\n", b"# c\n", b"W MEM 0 1 2\r\n", b"AiM SYNC\n"]
    data = b"".join(right[:where] + wild + right[where:] + [b"AiM EOC\n"])
    assert read_in_pieces(data, DEVICES[2], piece) == by_line(data, DEVICES[2])


def spelled(rng: random.Random, value: int) -> str:
    return rng.choice([str(value), hex(value), f"0X{value:X}", f"00{value}"])


def test_right_programs_are_read_by_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every operation with every field at its limits and between, in any spelling: none goes line by line."""
    rng, device, text = random.Random(1), DEVICES[2], []
    monkeypatch.setattr(instructions, "lines_of", lambda *_: pytest.fail("read line by line"))
    for name, operation in OPERATIONS.items():
        for _ in range(40 if name != "EOC" else 0):
            values = [value_of(rng, field, device, operation.one_channel) for field in operation.fields]
            first = name if " " in name else f"AiM {rng.choice(['', 'ISR_'])}{name}"
            text.append(rng.choice([" ", "\t", "  "]).join([first, *(spelled(rng, value) for value in values)]))
    rng.shuffle(text)
    data = "\n".join([*text, "# the end", "", "AiM EOC"]).encode()
    found = at_once(data, device)
    assert found == by_line(data, device) and len(found) == len(text) + 1


def value_of(rng: random.Random, field: str, device: Device, one_channel: bool) -> int:
    low, high = instructions.LIMITS[field](device)
    if field == "mask" and one_channel:
        return 1 << rng.randrange(32)
    return rng.choice([low, high, rng.randint(low, high)])


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: f"{device.channels} channels")
def test_every_field_at_and_past_its_limits(device: Device) -> None:
    refused = 0
    for name, operation in OPERATIONS.items():
        first = name if " " in name else f"AiM {name}"
        right = [1 << 31 if field == "mask" else instructions.LIMITS[field](device)[0] for field in operation.fields]
        for place, field in enumerate(operation.fields):
            low, high = instructions.LIMITS[field](device)
            for value in (low - 1, low, low + 1, high, high + 1, 3 << 30, 1 << (32 - min(device.channels, 31))):
                values = [*right[:place], value, *right[place + 1 :]]
                data = f"{first} {' '.join(map(str, values))}\nAiM EOC\n".encode()
                assert (found := at_once(data, device)) == by_line(data, device)
                refused += isinstance(found, str)
    assert refused > 100


def test_a_long_line_is_none_of_a_program() -> None:
    for length in (LONGEST_LINE, LONGEST_LINE + 1, 3 * LONGEST_LINE):
        data = b"AiM SYNC\n#" + b"c" * (length - 1) + b"\r\nAiM EOC\n"
        assert (found := at_once(data, DEVICES[0])) == by_line(data, DEVICES[0])
        assert (found == f"p.aim:2:1: cannot read the program: a line of more than {LONGEST_LINE:,} bytes") == (
            length > LONGEST_LINE
        )


def test_mistakes_of_all_pieces_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"AiM NOP\n" + b"AiM SYNC\n" * 50 + b"AiM MAC_ABK 0 1 1\n" + b"AiM SYNC\n" * 50
    monkeypatch.setattr(instructions, "PIECE", 100)
    assert at_once(data, DEVICES[2]) == (
        "p.aim:1:5: no instruction is called 'NOP'\n"
        "p.aim:52:13: MAC_ABK: size must be 1 to 64, not 0\n"
        "p.aim:103:1: the program ends without an EOC instruction: add `AiM EOC`"
    )


@pytest.mark.parametrize(("limit", "value"), [("MOST_INSTRUCTIONS", 7), ("MOST_LINES", 9)])
def test_limits_are_found_at_the_same_line(monkeypatch: pytest.MonkeyPatch, limit: str, value: int) -> None:
    monkeypatch.setattr(f"pimsim.devices.aim.isa.{limit}", value)
    for count in range(4, 12):
        for comments in (0, 1, 4):
            data = b"# c\n" * comments + b"AiM SYNC\n" * count + b"AiM EOC\n"
            for piece in (5, 20, 1000):
                assert read_in_pieces(data, DEVICES[0], piece) == by_line(data, DEVICES[0])


@settings(max_examples=examples(50), deadline=None)
@given(programs(any_channels))
def test_a_list_of_instructions_is_kept(program: list[AimInstruction]) -> None:
    kept = Instructions.of(program)
    assert list(kept) == program and len(kept) == len(program)


def test_blocks_are_kept_small_and_whole() -> None:
    large = AimInstruction("MAC_SBK", (0, 31), 64, 15, 16383, (1 << 31) - 1, 7)
    kept = Instructions.of([large, AimInstruction("R MEM", (40,), 1, 0, 0), AimInstruction("EOC")] * 20_000)
    assert list(kept)[:2] == [large, AimInstruction("R MEM", (40,), 1, 0, 0)] and len(kept) == 60_000
    assert sum(column.nbytes for block in kept._blocks for column in block) < 20 * len(kept)
    assert [len(block) for block in kept.blocks()] == [32768, 60_000 - 32768]
    assert all(block.dtype == np.int64 and block.flags.c_contiguous for block in kept.blocks())


def test_channels_that_no_mask_drives_are_refused() -> None:
    with pytest.raises(ValueError, match="no mask drives channels"):
        Instructions.of([AimInstruction("AF", (3, 32))])
