"""Lines of a program to instructions, as far as nothing is wrong with them: `isa.parse` says what is.

Text comes as its bytes, 8 to a number, the first one lowest.
"""

from __future__ import annotations

from pimsim.devices.aim.compiled.layout import (
    C_BANK,
    C_CHANNEL,
    C_MASK,
    C_OPERATION,
    C_ROW,
    C_SIZE,
    COLUMNS,
    F_COLUMN,
    F_LEAST,
    F_MOST,
    FIELD_WIDTH,
    G_ABSENT,
    G_FIELD,
    G_FIELDS,
    G_FIRST,
    G_HIGH,
    G_LOW,
    G_ONE,
    L_ENDED,
    L_LINES,
    L_PLAIN,
)
from pimsim.dram.compiler import constant, entry, jit, view
from pimsim.dram.kernel.numbers import NONE, ONE, ZERO

_TAB, _FEED, _RETURN, _SPACE, _HASH, _ZERO, _NINE, _A, _F, _X = b"\t\n\r #09afx"
_BLANKS = 1 << _TAB | 1 << _RETURN | 1 << _SPACE  # a bit for each
_LOWER = 0x20  # the bit that makes a letter small
_ASCII = 128
_WORD_BYTES = 16
_AIM = int.from_bytes(b"AiM", "little")
_ISR = int.from_bytes(b"ISR_", "little")  # may come before an operation
_HALF = (1 << 32) - 1
_LARGE = 1 << 40  # no limit is as large


@entry
def read_lines(text, length, longest, grammar, end, program, found):
    """Read `length` bytes of whole lines, up to the end of the program, which is operation `end`.

    longest: bytes of a line; grammar (operations, GRAMMAR_WIDTH); program (lines, COLUMNS)
    and found (READ_WIDTH,) receive what there is.  It stops at the first line that may be wrong.
    Returns the number of instructions.
    """
    return _read_lines(view(text), length, longest, constant(grammar), end, view(program), view(found))


@jit
def _read_lines(text, length, longest, grammar, end, program, found):
    at, lines, count = ZERO, ZERO, ZERO
    found[L_ENDED], found[L_PLAIN] = 0, 1
    while at < length and found[L_PLAIN] and not found[L_ENDED]:
        start = at
        at = _skip_blanks(text, at)
        first = _byte(text, at)
        if first == _HASH:
            at = _skip_line(text, at)
        elif first != _FEED:
            operation, at = _read_operation(text, at, grammar)
            if operation >= 0:
                at = _read_fields(text, at, grammar[operation], _fresh(program[count], operation))
            if operation < 0 or at < 0:
                found[L_PLAIN] = 0
                break
            count += 1
            found[L_ENDED] = operation == end
        if at - start > longest:
            found[L_PLAIN] = 0
        at += 1
        lines += 1
    found[L_LINES] = lines
    return count


@jit
def _byte(text, at):
    return (text[at >> 3] >> ((at & 7) << 3)) & 255


@jit
def _is_blank(byte):
    return byte <= _SPACE and (_BLANKS >> byte) & 1


@jit
def _parts(byte):
    """Whether it parts words."""
    return byte == _FEED or _is_blank(byte)


@jit
def _skip_blanks(text, at):
    while _is_blank(_byte(text, at)):
        at += 1
    return at


@jit
def _skip_line(text, at):
    while _byte(text, at) != _FEED:
        at += 1
    return at


@jit
def _read_word(text, at):
    """The bytes of a word, and where it ends: before what parts words; -1: it is too long, or not ASCII."""
    low, high, length = ZERO, ZERO, ZERO
    byte = _byte(text, at)
    while not _parts(byte):
        if byte >= _ASCII or length == _WORD_BYTES:
            return low, high, NONE
        if length < 8:
            low |= byte << (length << 3)
        else:
            high |= byte << ((length - 8) << 3)
        length += 1
        at += 1
        byte = _byte(text, at)
    return low, high, at


@jit
def _read_operation(text, at, grammar):
    """The operation that a line starts with (-1: none), and where its words end."""
    first, more, at = _read_word(text, at)
    if at < 0 or more:
        return NONE, at
    low, high, at = _read_word(text, _skip_blanks(text, at))
    if at < 0:
        return NONE, at
    if first == _AIM and low & _HALF == _ISR:
        low, high = (low >> 32) | ((high & _HALF) << 32), high >> 32
    for operation in range(len(grammar)):
        row = grammar[operation]
        if row[G_LOW] == low and row[G_HIGH] == high and row[G_FIRST] == first:
            return operation, at
    return NONE, at


@jit
def _fresh(instruction, operation):
    """An instruction of which nothing but the operation is known."""
    for column in range(COLUMNS):
        instruction[column] = 0
    instruction[C_OPERATION], instruction[C_SIZE] = operation, 1
    instruction[C_CHANNEL] = instruction[C_BANK] = instruction[C_ROW] = -1
    return instruction


@jit
def _read_fields(text, at, rules, instruction):
    """Read the fields of an operation up to the end of the line, and return where that is; -1: they may be wrong."""
    for field in range(rules[G_FIELDS]):
        value, at = _read_number(text, _skip_blanks(text, at))
        rule = G_FIELD + field * FIELD_WIDTH
        if at < 0 or value < rules[rule + F_LEAST] or value > rules[rule + F_MOST]:
            return NONE
        column = rules[rule + F_COLUMN]
        if column >= 0:
            instruction[column] = value
    mask = instruction[C_MASK]
    if mask & rules[G_ABSENT] or (rules[G_ONE] and mask & (mask - 1)):
        return NONE
    at = _skip_blanks(text, at)
    return at if _byte(text, at) == _FEED else NONE


@jit
def _read_number(text, at):
    """A number, and where it ends (-1: it is none, or too large)."""
    value, base = ZERO, 10 * ONE
    if _byte(text, at) == _ZERO and _byte(text, at + 1) | _LOWER == _X:
        base, at = 16 * ONE, at + 2
    first, byte = at, _byte(text, at)
    while not _parts(byte):
        letter = byte | _LOWER
        if _ZERO <= byte <= _NINE:
            digit = byte - _ZERO
        elif base == 16 and _A <= letter <= _F:
            digit = letter - _A + 10
        else:
            return value, NONE
        value = value * base + digit
        if value >= _LARGE:
            return value, NONE
        at += 1
        byte = _byte(text, at)
    return value, at if at > first else NONE
