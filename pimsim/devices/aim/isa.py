"""AiM instruction programs: one instruction a line, `AiM OP args`, or `R|W MEM|GPR|CFR args`.

Numbers are decimal or 0x hexadecimal.  Bit i of a channel mask drives channel 31 - i.
Blank lines and lines that start with # are skipped.  A line ends with a line feed, spaces
and tabs part its words.  A program ends with its first EOC.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import BinaryIO, NoReturn

from pimsim.devices.aim.table import AF_FUNCTIONS
from pimsim.dram.timing import Device
from pimsim.errors import InputError, Problem, did_you_mean

MASK_BITS = 32
MOST_PRODUCT = 1 << 16  # columns of an element-wise product where rows are no limit to it
BUFFER_COLUMNS = 64  # columns of the global buffer, 32 bytes each (source: AiM, 2 KiB)
SIZES = ("size", "buffer_size", "product_size", "length")  # the fields that say how much an instruction takes
MAX_REGISTER = 1 << 31
MAX_PROBLEMS = 100
MAX_DIGITS = 20  # of a number: no limit has as many, and Python refuses to read thousands
MOST_INSTRUCTIONS = 100_000_000  # that are held at once
MOST_LINES = 250_000_000  # with comments and blank ones
LONGEST_LINE = 1 << 16  # bytes of a line, comments included
MAX_SHOWN = 60  # characters of a wrong word that a message repeats
_WORD = re.compile(r"[^ \t\r\n]+")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
CFR_AF_FUNCTION = 2  # the configuration register that chooses the activation function


@dataclass(frozen=True)
class Operation:
    """One instruction of the language.

    command: the DRAM command that it issues (empty: none).  fields: its arguments in
    order.  blocking: the host waits until its data has arrived.
    """

    command: str
    fields: tuple[str, ...]
    blocking: bool = False
    one_channel: bool = False


AIM_OPERATIONS = {
    "WR_SBK": Operation("WR", ("register", "mask", "bank", "row")),
    "WR_ABK": Operation("WRA16", ("register", "mask", "row"), one_channel=True),
    "WR_GB": Operation("WRGB", ("buffer_size", "register", "mask")),
    "WR_BIAS": Operation("WRMAC16", ("register", "mask")),
    "RD_MAC": Operation("RDMAC16", ("register", "mask"), blocking=True),
    "RD_AF": Operation("RDAF16", ("register", "mask"), blocking=True),
    "RD_SBK": Operation("RD", ("register", "mask", "bank", "row")),
    "COPY_BKGB": Operation("RDCP", ("size", "mask", "bank", "row")),
    "COPY_GBBK": Operation("WRCP", ("size", "mask", "bank", "row")),
    "MAC_SBK": Operation("MAC", ("size", "mask", "bank", "row")),
    "MAC_ABK": Operation("MAC16", ("size", "mask", "row")),
    "AF": Operation("AF16", ("mask",)),
    "EWMUL": Operation("EWMUL16", ("product_size", "mask", "row")),
    "EWADD": Operation("", ("length", "register", "register")),
    "SYNC": Operation("", (), blocking=True),
    "EOC": Operation("", (), blocking=True),
}
HOST_OPERATIONS = {
    "R MEM": Operation("RD", ("channel", "bank", "row")),
    "W MEM": Operation("WR", ("channel", "bank", "row")),
    "R GPR": Operation("", ("register",)),
    "W GPR": Operation("", ("register",)),
    "R CFR": Operation("", ("configuration", "value")),
    "W CFR": Operation("", ("configuration", "value")),
}
OPERATIONS = AIM_OPERATIONS | HOST_OPERATIONS
# The 17th opcode, which the reference simulator refuses as well: how long a table takes to load is not known.
NOT_TIMED = "WR_AFLUT"


@dataclass(frozen=True)
class AimInstruction:
    """One instruction: `size` commands from column 0 on, in each of `channels` (empty: in none).

    Of one without commands `size` is its length.
    """

    name: str
    channels: tuple[int, ...] = ()
    size: int = 1
    bank: int = -1
    row: int = -1
    register: int = 0
    value: int = 0

    @property
    def operation(self) -> Operation:
        """What the instruction does."""
        return OPERATIONS[self.name]


def lines_of(stream: BinaryIO, file: str, before: int = 0) -> Iterator[str]:
    """The lines of a program that is a UTF-8 file, each with its end; InputError for what no program has.

    before: how many lines of the file were read already.
    """
    number = before
    while data := stream.readline(LONGEST_LINE + 2):
        number += 1
        why = "" if len(data.rstrip(b"\r\n")) <= LONGEST_LINE else f"a line of more than {LONGEST_LINE:,} bytes"
        try:
            line = data.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            why = why or "it is not UTF-8 text"
        if why:
            raise InputError(Problem(file, number, 1, "", f"cannot read the program: {why}"))
        yield line


def parse(text: str | Iterable[str], device: Device, file: str = "") -> list[AimInstruction]:
    """The program's instructions up to its first EOC; InputError holds 100 problems and how many more there are.

    text: the whole, or its lines with their ends.
    """
    reader = Reader(device, file)
    program = reader.read(io.StringIO(text, newline="\n") if isinstance(text, str) else text)
    reader.finish()
    return program


class Reader:
    """Reads a program line by line, and notes what is wrong with it.

    lines, instructions: how many there were so far.  ended: whether its EOC was among them.
    """

    def __init__(self, device: Device, file: str = "") -> None:
        self.lines = 0
        self.instructions = 0
        self.ended = False
        self._device = device
        self._file = file
        self._problems = _Problems()
        self._known: dict[str, AimInstruction] = {}  # programs repeat their lines

    def read(self, lines: Iterable[str]) -> list[AimInstruction]:
        """The instructions of the next lines, up to the end of the program; InputError if there are too many."""
        found: list[AimInstruction] = []
        for content in lines:
            self.lines += 1
            if self.instructions + len(found) == MOST_INSTRUCTIONS:
                most = f"more than {MOST_INSTRUCTIONS:,} instructions"
                self._stop(f"{most}, too many to hold; split the program at its SYNCs")
            if self.lines > MOST_LINES:
                self._stop(f"more than {MOST_LINES:,} lines")
            if content in self._known:
                found.append(self._known[content])
                continue
            if content.startswith("#"):
                continue
            tokens = [(match.start() + 1, match.group()) for match in _WORD.finditer(content)]
            if not tokens or tokens[0][1].startswith("#"):
                continue
            instruction = _Line(self._file, self.lines, tokens, self._device, self._problems).instruction()
            if instruction is not None:
                self._known[content] = instruction
                found.append(instruction)
            if _is_end(*(word for _, word in tokens[:2])):
                self.ended = True
                break
        self.instructions += len(found)
        return found

    def has_room(self, lines: int, instructions: int) -> bool:
        """Whether as many more are certainly not too many."""
        return self.lines + lines <= MOST_LINES and self.instructions + instructions < MOST_INSTRUCTIONS

    def skip(self, lines: int, instructions: int, ended: bool) -> None:
        """Count what was read in another way."""
        self.lines += lines
        self.instructions += instructions
        self.ended = ended

    def finish(self) -> None:
        """InputError for all that is wrong, if anything is."""
        if not self.ended:
            what = "the program ends without an EOC instruction: add `AiM EOC`"
            self._problems.add(Problem(self._file, self.lines + 1, 1, "", what))
        if self._problems.count:
            raise InputError(self._problems.listed())

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong so far."""
        return self._problems.count == 0

    def _stop(self, what: str) -> NoReturn:
        self._problems.add(Problem(self._file, self.lines, 1, "", what))
        raise InputError(self._problems.listed())


def _is_end(kind: str, operation: str = "") -> bool:
    """Whether a line that starts with these words is meant to end the program."""
    return kind == "AiM" and operation.removeprefix("ISR_") == "EOC"


class _Problems:
    """What is wrong with a program: the first MAX_PROBLEMS and how many more there are, where the next one is."""

    def __init__(self) -> None:
        self._kept: list[Problem] = []
        self.count = 0

    def add(self, problem: Problem) -> None:
        """Note what is wrong."""
        self.count += 1
        if self.count <= MAX_PROBLEMS + 1:
            self._kept.append(problem)

    def listed(self) -> Sequence[Problem]:
        """What is told of it."""
        if self.count <= MAX_PROBLEMS:
            return self._kept
        more = _count(self.count - MAX_PROBLEMS, "more problem")
        return [*self._kept[:-1], replace(self._kept[-1], key="", message=f"{more}, the first of them here")]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _short(word: str) -> str:
    """A word as messages repeat it."""
    return word if len(word) <= MAX_SHOWN else word[:MAX_SHOWN] + "..."


class _Line:
    """One line of a program and what is wrong with it."""

    def __init__(
        self, file: str, line: int, tokens: list[tuple[int, str]], device: Device, problems: _Problems
    ) -> None:
        self._file = file
        self._line = line
        self._tokens = tokens
        self._device = device
        self._problems = problems

    def instruction(self) -> AimInstruction | None:
        name, arguments = self._name()
        if name is None:
            return None
        operation = OPERATIONS[name]
        wanted = len(operation.fields)
        if len(arguments) != wanted:
            form = " ".join((name if name in HOST_OPERATIONS else f"AiM {name}", *operation.fields))
            at = arguments[wanted][0] if len(arguments) > wanted else self._end()
            self._wrong(at, name, f"takes {_count(wanted, 'argument')}, not {len(arguments)}: `{form}`")
            return None
        before = self._problems.count
        values = {
            field: self._field(name, field, column, word)
            for field, (column, word) in zip(operation.fields, arguments, strict=True)
        }
        return self._built(name, values) if self._problems.count == before else None

    def _name(self) -> tuple[str | None, list[tuple[int, str]]]:
        """The instruction's name, and its arguments."""
        column, kind = self._tokens[0]
        kind = _short(kind)
        if kind not in ("AiM", "R", "W"):
            hint = did_you_mean(kind, ("AiM", "R", "W"))
            self._wrong(column, "", f"a line starts with AiM, R or W, not {kind!r}{hint}")
            return None, []
        if len(self._tokens) < 2:
            what = "an operation" if kind == "AiM" else "MEM, GPR or CFR"
            self._wrong(self._end(), "", f"{kind} is followed by {what}")
            return None, []
        column, word = self._tokens[1]
        word = _short(word)
        known = AIM_OPERATIONS if kind == "AiM" else HOST_OPERATIONS
        name = word.removeprefix("ISR_") if kind == "AiM" else f"{kind} {word}"
        if name == NOT_TIMED:
            self._wrong(column, name, "loading activation tables is not modelled; leave it out")
            return None, []
        if name not in known:
            hint = did_you_mean(name, known)
            self._wrong(column, "", f"no instruction is called {name!r}{hint}")
            return None, []
        return name, self._tokens[2:]

    def _field(self, name: str, field: str, column: int, word: str) -> int:
        """The value of an argument; 0 if it is wrong."""
        if not _NUMBER.fullmatch(word):
            self._wrong(column, name, f"{field} must be a decimal or 0x hexadecimal number, not {_short(word)!r}")
            return 0
        value = _value(word)
        low, high = LIMITS[field](self._device)
        if value is None or not low <= value <= high:
            self._wrong(column, name, f"{field} must be {low} to {high}, not {_short(word)}")
            return 0
        if field == "mask":
            self._check_mask(name, column, word, value)
        return value

    def _check_mask(self, name: str, column: int, word: str, mask: int) -> None:
        count = self._device.channels
        driven = channels_of(mask)
        if driven[-1] >= count:
            absent = next(channel for channel in driven if channel >= count)
            what = f"drives channel {absent}, but the device has {count}; channel 0 is bit 31"
        elif OPERATIONS[name].one_channel and len(driven) != 1:
            what = f"drives {len(driven)} channels; {name} takes one"
        else:
            return
        self._wrong(column, name, f"mask {_short(word)} {what}")

    def _built(self, name: str, values: dict[str, int]) -> AimInstruction:
        channels = channels_of(values["mask"]) if "mask" in values else ()
        if "channel" in values:
            channels = (values["channel"],)
        return AimInstruction(
            name,
            channels,
            next((values[field] for field in SIZES if field in values), 1),
            values.get("bank", -1),
            values.get("row", -1),
            values.get("configuration", values.get("register", 0)),
            values.get("value", 0),
        )

    def _end(self) -> int:
        column, word = self._tokens[-1]
        return column + len(word)

    def _wrong(self, column: int, key: str, message: str) -> None:
        self._problems.add(Problem(self._file, self._line, column, key, message))


def _value(word: str) -> int | None:
    """The value of a number; None if it is too long for any limit."""
    digits, base = (word[2:], 16) if word[:2] in ("0x", "0X") else (word, 10)
    digits = digits.lstrip("0")
    return int(digits or "0", base) if len(digits) <= MAX_DIGITS else None


LIMITS: dict[str, Callable[[Device], tuple[int, int]]] = {
    "register": lambda device: (0, MAX_REGISTER - 1),
    "length": lambda device: (1, MAX_REGISTER - 1),
    "value": lambda device: (0, AF_FUNCTIONS - 1),
    "configuration": lambda device: (0, 2),
    "mask": lambda device: (1, (1 << MASK_BITS) - 1),
    "channel": lambda device: (0, device.channels - 1),
    "bank": lambda device: (0, device.banks - 1),
    "row": lambda device: (0, device.rows - 1),
    "size": lambda device: (1, device.columns),
    # the reference takes products that are longer than a row, and stays in it (CENT's programs have some)
    "product_size": lambda device: (1, MOST_PRODUCT if device.standard.queued_accesses else device.columns),
    "buffer_size": lambda device: (1, BUFFER_COLUMNS),
}


@lru_cache(maxsize=1024)
def channels_of(mask: int) -> tuple[int, ...]:
    """The channels that a mask drives, in rising order."""
    return tuple(channel for channel in range(MASK_BITS) if mask >> (MASK_BITS - 1 - channel) & 1)


def mask_driving(channels: Iterable[int]) -> int:
    """The mask that drives these channels."""
    return sum(1 << (MASK_BITS - 1 - channel) for channel in channels)


def line_of(instruction: AimInstruction) -> str:
    """The line of a program that is this instruction, without its end."""
    name = instruction.name
    words = (_word(instruction, field) for field in instruction.operation.fields)
    return " ".join((name if name in HOST_OPERATIONS else f"AiM {name}", *words))


def _word(instruction: AimInstruction, field: str) -> str:
    if field == "mask":
        return f"{mask_driving(instruction.channels):#x}"
    if field == "channel":
        return str(instruction.channels[0])
    if field in SIZES:
        return str(instruction.size)
    return str(getattr(instruction, "register" if field == "configuration" else field))


def mask_of(channels: int) -> int:
    """The mask that drives channels 0 to `channels` - 1."""
    return ((1 << channels) - 1) << (MASK_BITS - channels)
