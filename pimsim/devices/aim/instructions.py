"""Whole programs: their instructions in arrays, as compiled code reads and carries them out.

A program has a block for each piece of its file.  Of a block each column is kept in the
smallest integers that hold it: some ten bytes an instruction.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import islice
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pimsim.devices.aim.compiled import layout
from pimsim.devices.aim.compiled.lines import read_lines
from pimsim.devices.aim.isa import (
    HOST_OPERATIONS,
    LIMITS,
    LONGEST_LINE,
    MASK_BITS,
    OPERATIONS,
    SIZES,
    AimInstruction,
    Reader,
    channels_of,
    lines_of,
    mask_driving,
    mask_of,
)
from pimsim.dram.timing import Device

Ints = NDArray[np.int64]
_NAMES = tuple(OPERATIONS)
_NUMBERS = {name: number for number, name in enumerate(_NAMES)}
_BLOCK = 1 << 15  # instructions of one that is made of a list
PIECE = 1 << 20  # bytes of a file that are read at once


class Instructions:
    """The instructions of a program, in order."""

    def __init__(self, blocks: Iterable[Ints]) -> None:
        """blocks: arrays (n, COLUMNS), see `compiled.layout`."""
        self._blocks = [_narrow(block) for block in blocks]

    @classmethod
    def of(cls, program: Iterable[AimInstruction]) -> Instructions:
        """The same from a list; ValueError for channels that no line of a program drives."""
        return cls(_blocks_of(program))

    @classmethod
    def read(cls, stream: BinaryIO, device: Device, file: str = "") -> Instructions:
        """The program in a file up to its first EOC, as `isa.parse` reads it; InputError has what is wrong."""
        reader = Reader(device, file)
        program = cls(_blocks(stream, reader, device, file))
        reader.finish()
        return program

    @classmethod
    def held(cls, program: Iterable[AimInstruction]) -> Instructions:
        """The program itself if it is in arrays, else as `of`."""
        return program if isinstance(program, Instructions) else cls.of(program)

    def blocks(self) -> Iterator[Ints]:
        """The arrays that it was made of."""
        return map(_widen, self._blocks)

    def __len__(self) -> int:
        return sum(len(columns[0]) for columns in self._blocks)

    def __iter__(self) -> Iterator[AimInstruction]:
        for block in self.blocks():
            yield from map(_instruction, block.tolist())


def _blocks_of(program: Iterable[AimInstruction]) -> Iterator[Ints]:
    rows = map(_row, program)
    while block := list(islice(rows, _BLOCK)):
        yield np.array(block, np.int64)


def _row(instruction: AimInstruction) -> tuple[int, ...]:
    mask, channel = 0, -1
    if "channel" in instruction.operation.fields:
        (channel,) = instruction.channels
    elif any(channel >= MASK_BITS for channel in instruction.channels):
        raise ValueError(f"no mask drives channels {instruction.channels}")
    else:
        mask = mask_driving(instruction.channels)
    return (
        _NUMBERS[instruction.name], mask, channel, instruction.size, instruction.bank, instruction.row,
        instruction.register, instruction.value,
    )  # fmt: skip


def _instruction(row: Sequence[int]) -> AimInstruction:
    number, mask, channel, *rest = row
    return AimInstruction(_NAMES[number], channels_of(mask) if channel < 0 else (channel,), *rest)


def _narrow(block: Ints) -> list[NDArray[np.integer]]:
    return [column.astype(_smallest(column)) for column in np.ascontiguousarray(block.T)]


def _smallest(column: Ints) -> np.dtype[np.integer]:
    """The smallest integers that hold a column."""
    return np.promote_types(np.min_scalar_type(column.min(initial=0)), np.min_scalar_type(column.max(initial=0)))


def _widen(columns: Sequence[NDArray[np.integer]]) -> Ints:
    return np.stack(columns, axis=1, dtype=np.int64, casting="safe")


# ---- files --------------------------------------------------------------------------------


def _blocks(stream: BinaryIO, reader: Reader, device: Device, file: str) -> Iterator[Ints]:
    """What the pieces of a file hold; nothing any more once something is wrong, which the reader then knows."""
    grammar = _grammar(device)
    for piece in _pieces(stream):
        plain = _read(piece.removeprefix(b"" if reader.lines else BOM_UTF8), grammar)
        if plain is not None and reader.has_room(plain[1], len(plain[0])):
            block, lines, ended = plain
            reader.skip(lines, len(block), ended)
            found = iter([block])
        else:
            found = _blocks_of(reader.read(lines_of(BytesIO(piece), file, reader.lines)))
        if reader.is_right:
            yield from found
        if reader.ended:
            return


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    """Whole lines, many at a time; one that is too long, only so far that this can be seen."""
    while piece := stream.read(PIECE):
        yield piece if piece.endswith(b"\n") else piece + stream.readline(LONGEST_LINE + 2)


def _read(piece: bytes, grammar: Ints) -> tuple[Ints, int, bool] | None:
    """The instructions of whole lines, how many lines they are, and whether the last one ends the program.

    None: something may be wrong with them.
    """
    if not piece.isascii() and not _is_text(piece):
        return None
    text = np.full(len(piece) // 8 + 1, _FEEDS, np.int64)
    text.view(np.uint8)[: len(piece)] = np.frombuffer(piece, np.uint8)
    length = len(piece) + (not piece.endswith(b"\n"))
    program = np.empty((piece.count(b"\n") + 1, layout.COLUMNS), np.int64)
    found = np.zeros(layout.READ_WIDTH, np.int64)
    count = read_lines(text, length, LONGEST_LINE, grammar, _NUMBERS["EOC"], program, found)
    lines, ended, is_plain = found.tolist()
    return (program[:count], lines, bool(ended)) if is_plain else None


_FEEDS = int.from_bytes(b"\n" * 8, "little")


def _is_text(piece: bytes) -> bool:
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


_COLUMN_OF = {
    "mask": layout.C_MASK, "channel": layout.C_CHANNEL, "bank": layout.C_BANK, "row": layout.C_ROW,
    "register": layout.C_REGISTER, "configuration": layout.C_REGISTER,
    "value": layout.C_VALUE, **dict.fromkeys(SIZES, layout.C_SIZE),
}  # fmt: skip


def _grammar(device: Device) -> Ints:
    """(operations, GRAMMAR_WIDTH): how the line of each looks, and what its fields may be."""
    grammar = np.zeros((len(OPERATIONS), layout.GRAMMAR_WIDTH), np.int64)
    for row, (name, operation) in zip(grammar, OPERATIONS.items(), strict=True):
        first, second = name.split() if name in HOST_OPERATIONS else ("AiM", name)
        absent = mask_of(MASK_BITS) & ~mask_of(min(device.channels, MASK_BITS))
        words = (_number(first), _number(second[:8]), _number(second[8:]))
        row[: layout.G_FIELD] = (*words, absent, operation.one_channel, len(operation.fields))
        for number, field in enumerate(operation.fields):
            at = layout.G_FIELD + number * layout.FIELD_WIDTH
            row[at : at + layout.FIELD_WIDTH] = (_COLUMN_OF.get(field, -1), *LIMITS[field](device))
    return grammar


def _number(word: str) -> int:
    """A word of up to 8 bytes as the reader has it."""
    return int.from_bytes(word.encode(), "little")
