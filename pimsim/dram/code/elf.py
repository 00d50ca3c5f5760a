"""An object in ELF for x86-64, as a C compiler writes it, put into the memory of this process.

All sections that a process needs lie one behind the other in one mapping, behind a stub for each
function of the C library that the object calls: such a function may be further away than a call
reaches.  It is written to first, and then only read and run.  Of the format (System V ABI, and its
supplement for AMD64) there is what code of position-independent functions on integers has.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Mapping
from struct import Struct
from typing import NamedTuple

HEADER, MACHINE, RELOCATABLE = b"\x7fELF\x02\x01", 62, 1
_FILE = Struct("<16sHHIQQQIHHHHHH")
_SECTION = Struct("<IIQQQQIIQQ")
_SYMBOL = Struct("<IBBHQQ")
_RELOCATION = Struct("<QQq")

PROGBITS, SYMTAB, RELA, NOBITS = 1, 2, 4, 8
ALLOCATED = 2  # of a section's flags
UNDEFINED, COMMON = 0, 0xFFF2  # sections of symbols
R_64, R_PC32, R_PLT32 = 1, 2, 4  # relocations: the address; what lies between here and there
STUB = bytes.fromhex("ff2500000000")  # jmp to the address behind it
STUB_SIZE = 16


class UnsupportedError(Exception):
    """Something that this does not load."""


class Section(NamedTuple):
    """A section's header."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry: int


class Image(NamedTuple):
    """What lies in memory: the mapping, which must be kept, and where it starts."""

    memory: mmap.mmap
    address: int


def load(code: bytes, name: str, outside: Mapping[str, int]) -> tuple[Image, int]:
    """The object in memory, and the address of its function `name`; UnsupportedError.

    outside: the addresses of functions that the object may call.
    """
    sections = _sections(code)
    places, size = _laid_out(sections, len(outside))
    image = _mapped(size)
    stubs = {each: i * STUB_SIZE for i, each in enumerate(outside)}
    for each, start in stubs.items():
        stub = STUB + outside[each].to_bytes(8, "little")
        image.memory[start : start + len(stub)] = stub
    for number, place in places.items():
        part = sections[number]
        if part.kind == PROGBITS:
            image.memory[place : place + part.size] = code[part.offset : part.offset + part.size]
    table = next(each for each in sections if each.kind == SYMTAB)
    symbols = [_symbol(code, sections, table, k, places, stubs) for k in range(table.size // _SYMBOL.size)]
    for part in sections:
        if part.kind == RELA and part.info in places:
            _relocate(code, part, places[part.info], dict(enumerate(at for _, at in symbols)), image)
    _make_runnable(image, size)
    found = dict(symbols).get(name)
    if found is None:
        raise UnsupportedError(f"no function {name}")
    return image, image.address + found


def _sections(code: bytes) -> list[Section]:
    if not code.startswith(HEADER):
        raise UnsupportedError("no ELF of 64 bits")
    _, kind, machine, _, _, _, start, _, _, _, _, size, count, _ = _FILE.unpack_from(code)
    if (kind, machine, size) != (RELOCATABLE, MACHINE, _SECTION.size):
        raise UnsupportedError("no relocatable object for x86-64")
    return [Section(*_SECTION.unpack_from(code, start + size * k)) for k in range(count)]


def _laid_out(sections: list[Section], stubs: int) -> tuple[dict[int, int], int]:
    """Where the sections that a process needs come to lie, by number, and the bytes of all."""
    places, end = {}, stubs * STUB_SIZE
    for number, part in enumerate(sections):
        if part.flags & ALLOCATED and part.kind in (PROGBITS, NOBITS):
            end += -end % max(part.alignment, 1)
            places[number] = end
            end += part.size
    return places, max(end, 1)


def _symbol(
    code: bytes, sections: list[Section], table: Section, k: int, places: Mapping[int, int], stubs: Mapping[str, int]
) -> tuple[str, int | None]:
    """The name of a symbol, and its place in the image; None if nothing is there."""
    at, _, _, section, value, _ = _SYMBOL.unpack_from(code, table.offset + k * _SYMBOL.size)
    start = sections[table.link].offset + at
    name = code[start : code.index(b"\0", start)].decode()
    if section == UNDEFINED:
        return name, stubs.get(name)
    return name, None if section not in places else places[section] + value


def _relocate(code: bytes, part: Section, place: int, symbols: Mapping[int, int | None], image: Image) -> None:
    """Write the addresses that a section has of others."""
    for at in range(part.offset, part.offset + part.size, _RELOCATION.size):
        offset, info, addend = _RELOCATION.unpack_from(code, at)
        target, kind, here = symbols.get(info >> 32), info & 0xFFFFFFFF, place + offset
        if target is None:
            raise UnsupportedError("an address of something that is not there")
        if kind in (R_PC32, R_PLT32):
            image.memory[here : here + 4] = (target + addend - here).to_bytes(4, "little", signed=True)
        elif kind == R_64:
            image.memory[here : here + 8] = (image.address + target + addend).to_bytes(8, "little")
        else:
            raise UnsupportedError(f"relocation {kind}")


def _mapped(size: int) -> Image:
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_WRITE)
    return Image(memory, ctypes.addressof(ctypes.c_char.from_buffer(memory)))


def _make_runnable(image: Image, size: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.mprotect(ctypes.c_void_p(image.address), ctypes.c_size_t(size), mmap.PROT_READ | mmap.PROT_EXEC):
        raise UnsupportedError(f"no memory that code may run in (error {ctypes.get_errno()})")
