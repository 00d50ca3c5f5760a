"""AiM programs as text: every instruction, every mistake, all mistakes at once."""

from __future__ import annotations

import pytest

from pimsim.devices.aim.isa import AIM_OPERATIONS, HOST_OPERATIONS, AimInstruction, channels_of, mask_of, parse
from pimsim.dram.timing import Device
from pimsim.errors import InputError
from tests.aim.devices import reference_device

DEVICE = reference_device()
SMALL = reference_device(2)


def problems(text: str, file: str = "p.aim", device: Device = DEVICE) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse(text, device, file)
    return str(caught.value).splitlines()


def test_every_instruction_is_read() -> None:
    text = """
# a comment
AiM WR_SBK 0 0x80000000 3 7
AiM WR_ABK 1 1 8
AiM WR_GB 64 0 0xC0000000
  AiM   ISR_WR_BIAS 0 2147483648
AiM RD_MAC 0 0x80000000
AiM RD_AF 0 0x80000000
AiM RD_SBK 0 0x80000000 15 16383
AiM COPY_BKGB 2 0x80000000 1 2
AiM COPY_GBBK 3 0x80000000 1 2
AiM MAC_SBK 4 0x80000000 1 2
AiM MAC_ABK 5 0xFFFFFFFF 9
AiM AF 0x80000000
AiM EWMUL 6 0x80000000 9
AiM EWADD 7 0 1
AiM SYNC
R MEM 31 2 8
W MEM 0 2 8
R GPR 5
W GPR 5
R CFR 2 0
W CFR 2 3
AiM EOC
what comes after EOC is not read
"""
    program = parse(text, DEVICE)
    assert [instruction.name for instruction in program] == [
        "WR_SBK", "WR_ABK", "WR_GB", "WR_BIAS", "RD_MAC", "RD_AF", "RD_SBK", "COPY_BKGB", "COPY_GBBK", "MAC_SBK",
        "MAC_ABK", "AF", "EWMUL", "EWADD", "SYNC", "R MEM", "W MEM", "R GPR", "W GPR", "R CFR", "W CFR", "EOC",
    ]  # fmt: skip
    assert {instruction.name for instruction in program} == set(AIM_OPERATIONS) | set(HOST_OPERATIONS)
    assert program[0] == AimInstruction("WR_SBK", (0,), 1, 3, 7)
    assert program[1] == AimInstruction("WR_ABK", (31,), 1, -1, 8, 1)
    assert program[2] == AimInstruction("WR_GB", (0, 1), 64)
    assert program[9] == AimInstruction("MAC_SBK", (0,), 4, 1, 2)
    assert program[10] == AimInstruction("MAC_ABK", tuple(range(32)), 5, -1, 9)
    assert program[20] == AimInstruction("W CFR", register=2, value=3)


def test_mask_bit_i_drives_channel_31_minus_i() -> None:
    assert channels_of(0x80000000) == (0,)
    assert channels_of(1) == (31,)
    assert channels_of(0xA0000001) == (0, 2, 31)
    assert all(channels_of(mask_of(count)) == tuple(range(count)) for count in range(1, 33))


@pytest.mark.parametrize(
    ("line", "where", "what"),
    [
        ("AiM MAC_ABB 1 0x80000000 0", "1:5", "no instruction is called 'MAC_ABB'; did you mean 'MAC_ABK'?"),
        ("AiM WR_AFLUT 4", "1:5", "WR_AFLUT: loading activation tables is not modelled; leave it out"),
        ("Aim SYNC", "1:1", "a line starts with AiM, R or W, not 'Aim'; did you mean 'AiM'?"),
        ("AiM", "1:4", "AiM is followed by an operation"),
        ("R", "1:2", "R is followed by MEM, GPR or CFR"),
        ("R MEN 0 0 0", "1:3", "no instruction is called 'R MEN'; did you mean 'R MEM'?"),
        ("AiM MAC_ABK 1 0x80000000", "1:25", "MAC_ABK: takes 3 arguments, not 2: `AiM MAC_ABK size mask row`"),
        ("AiM SYNC 4", "1:10", "SYNC: takes 0 arguments, not 1: `AiM SYNC`"),
        ("AiM AF", "1:7", "AF: takes 1 argument, not 0: `AiM AF mask`"),
        ("AiM AF 0x8000000g", "1:8", "AF: mask must be a decimal or 0x hexadecimal number, not '0x8000000g'"),
        ("AiM AF 0", "1:8", "AF: mask must be 1 to 4294967295, not 0"),
        ("AiM AF 0x100000000", "1:8", "AF: mask must be 1 to 4294967295, not 0x100000000"),
        ("AiM MAC_ABK 65 0x80000000 0", "1:13", "MAC_ABK: size must be 1 to 64, not 65"),
        ("AiM MAC_ABK -1 0x80000000 0", "1:13", "MAC_ABK: size must be a decimal or 0x hexadecimal number, not '-1'"),
        ("AiM MAC_ABK 1 0x80000000 16384", "1:26", "MAC_ABK: row must be 0 to 16383, not 16384"),
        ("AiM MAC_SBK 1 0x80000000 16 0", "1:26", "MAC_SBK: bank must be 0 to 15, not 16"),
        ("AiM WR_ABK 0 0xC0000000 0", "1:14", "WR_ABK: mask 0xC0000000 drives 2 channels; WR_ABK takes one"),
        ("W CFR 3 0", "1:7", "W CFR: configuration must be 0 to 2, not 3"),
        ("R MEM 32 0 0", "1:7", "R MEM: channel must be 0 to 31, not 32"),
    ],
)
def test_mistake_is_named_with_its_place(line: str, where: str, what: str) -> None:
    assert problems(line + "\nAiM EOC\n") == [f"p.aim:{where}: {what}"]


def test_mask_of_a_channel_that_the_device_has_not() -> None:
    assert problems("AiM AF 0x20000000\nAiM EOC", device=SMALL) == [
        "p.aim:1:8: AF: mask 0x20000000 drives channel 2, but the device has 2; channel 0 is bit 31"
    ]


def test_all_mistakes_come_at_once_also_the_missing_end() -> None:
    assert problems("AiM MAC_ABK 0 0 99999\n\n# fine\nAiM NOP\nAiM SYNC\n") == [
        "p.aim:1:13: MAC_ABK: size must be 1 to 64, not 0",
        "p.aim:1:15: MAC_ABK: mask must be 1 to 4294967295, not 0",
        "p.aim:1:17: MAC_ABK: row must be 0 to 16383, not 99999",
        "p.aim:4:5: no instruction is called 'NOP'",
        "p.aim:6:1: the program ends without an EOC instruction: add `AiM EOC`",
    ]


def test_a_hundred_mistakes_are_enough_and_the_last_line_counts_the_others() -> None:
    for lines, more in ((101, "1 more problem"), (500, "400 more problems")):
        found = problems("AiM NOP\n" * lines + "AiM EOC")
        assert len(found) == 101
        assert found[-2:] == [
            "p.aim:100:5: no instruction is called 'NOP'",
            f"p.aim:101:5: {more}, the first of them here",
        ]
    assert len(problems("AiM NOP\n" * 100 + "AiM EOC")) == 100


@pytest.mark.parametrize("end", ["AiM EOC 5", "AiM ISR_EOC 5"])
def test_an_end_with_arguments_is_an_end(end: str) -> None:
    assert problems(end + "\nthis is not read") == [f"p.aim:1:{len(end)}: EOC: takes 0 arguments, not 1: `AiM EOC`"]


@pytest.mark.parametrize("number", ["9" * 5000, "0x" + "f" * 5000, "0" * 5000 + "65"], ids=["decimal", "hex", "zeros"])
def test_number_of_thousands_of_digits_is_out_of_range(number: str) -> None:
    assert problems(f"AiM MAC_ABK {number} 0x80000000 0\nAiM EOC") == [
        f"p.aim:1:13: MAC_ABK: size must be 1 to 64, not {number[:60]}..."
    ]
    assert parse(f"AiM MAC_ABK {'0' * 5000}64 0x80000000 0\nAiM EOC", DEVICE)[0].size == 64


def test_long_words_are_shortened() -> None:
    word = "A" * 100_000
    lines = [word, f"AiM {word}", f"R {word}", f"AiM AF {word}", f"AiM AF 0x{'0' * 100}20000000", "AiM EOC"]
    found = problems("\n".join(lines), device=SMALL)
    assert len(found) == len(lines) - 1 and max(map(len, found)) < 200
    assert all("..." in line for line in found)


@pytest.mark.parametrize("character", ["\f", "\v", "\x1c", "\x85", "\u2028", "\u2029", "\xa0", "\u3000"])
def test_only_line_feeds_end_lines_and_only_spaces_and_tabs_part_words(character: str) -> None:
    found = problems(f"AiM\tAF 0x80000000{character}AiM\nAiM NOP\nAiM EOC")
    shown = f"0x80000000{character}AiM"
    assert found == [
        f"p.aim:1:8: AF: mask must be a decimal or 0x hexadecimal number, not {shown!r}",
        "p.aim:2:5: no instruction is called 'NOP'",
    ]


def test_lines_may_end_as_those_of_windows() -> None:
    assert parse("# c\r\nAiM AF 0x80000000\r\n\r\nAiM EOC\r\n", DEVICE) == parse("AiM AF 0x80000000\nAiM EOC", DEVICE)
