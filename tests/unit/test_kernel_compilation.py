"""How numba compiles the kernel: a function once, inside of the one that Python calls."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

from pimsim.dram import compiler
from pimsim.dram.code import elf
from pimsim.dram.code.emit import emit
from pimsim.dram.code.frame import words_of
from pimsim.dram.code.load import NAME, PLATFORM, _function, by_elf, by_llvm
from pimsim.dram.compiler import (
    bound,
    carve,
    constant,
    flat,
    number,
    octet,
    parts_of,
    put,
    rounded,
    spread,
    unpacked,
    view,
    word,
)
from pimsim.dram.records import Record, named

pytestmark = pytest.mark.skipif(not compiler.COMPILES, reason="the kernel is interpreted")


def plain(function: Callable[..., Any]) -> Callable[..., int]:
    """A function under the compiler, and nothing kept on disk."""
    entry = compiler.entry(function)
    entry.code = lambda kinds, target: emit(entry.function, kinds, target)
    return entry


def test_an_object_has_one_function_optimised_once_and_calls_nothing_of_numba_or_python() -> None:
    half = compiler.jit(lambda a: a[0] // 2)
    code = emit(lambda a: half(a) + half(a), "1")
    assert functions_of(code) == [NAME]


def functions_of(code: bytes) -> list[str]:
    """The functions that an object has, and those that it calls and has not."""
    sections = elf._sections(code)
    table = next(each for each in sections if each.kind == elf.SYMTAB)
    others = (3, 4)  # a section, the name of the source
    found = []
    for k in range(1, table.size // elf._SYMBOL.size):
        if elf._SYMBOL.unpack_from(code, table.offset + k * elf._SYMBOL.size)[1] & 0xF not in others:
            found.append(elf._symbol(code, sections, table, k, {}, {})[0])
    return found


@pytest.mark.skipif(PLATFORM != "linux-x86_64", reason="only LLVM loads code here")
def test_both_loaders_run_the_same_code() -> None:
    @compiler.entry
    def fill(a, n):  # type: ignore[no-untyped-def]
        a = view(a)
        for i in range(len(a)):
            a[i] = 0  # a memset
        for i in range(n):
            a[i] = a[i - 1] + i * i if i else 7
        return a[n - 1]

    code = emit(fill.function, "1i")
    answers = []
    for address in (by_elf(code), by_llvm(code)):
        array = np.ones(50, np.int64)
        words = (ctypes.c_int64 * 3)(*words_of(array), 20)
        answers.append((_function(address)(ctypes.addressof(words)), array.tolist()))
    assert answers[0] == answers[1] == (7 + sum(i * i for i in range(20)), answers[0][1])
    assert answers[0][1][20:] == [0] * 30


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda code: b"\xcf\xfa\xed\xfe" + code[4:], "no ELF"),
        (lambda code: code[:18] + (183).to_bytes(2, "little") + code[20:], "no relocatable object for x86-64"),
        (lambda code: code.replace(NAME.encode(), b"pimsim_other"), "no function"),
    ],
)
def test_what_the_small_loader_does_not_know_it_refuses(damage: Callable[[bytes], bytes], why: str) -> None:
    with pytest.raises(elf.UnsupportedError, match=why):
        by_elf(damage(emit(lambda a: a[0], "1")))


def test_arguments_that_change_and_arguments_that_stay() -> None:
    @plain
    def weigh(a, pair, n, other):  # type: ignore[no-untyped-def]
        b, c = pair
        found = 1000 * a[0] + 100 * b[1, 1] + 10 * c[len(c) - 1] + n
        return found if other is None else found + 100000 * other[0]

    call = bound(weigh)
    a, b, c, other = np.array([1]), np.array([[0, 0], [0, 2]]), np.array([0, 3]), np.array([9])
    assert call(a, (b, c), 4, None) == 1234
    assert call(a, (b, c), 5, None) == 1235
    assert call(np.array([7]), (b, np.array([8])), 5, None) == 7285
    assert call(a, (b, c), 4, other) == 901234  # another form
    assert call(a, (b, c), np.int64(4), other) == 901234
    a[0] = 6
    assert call(a, (b, c), 4, other) == 906234
    with pytest.raises(TypeError, match="int64 without gaps"):
        call(a, (b, c[::-1]), 4, other)
    with pytest.raises(TypeError, match="not str"):
        call(a, (b, c), "4", other)
    with pytest.raises(TypeError, match="not str"):
        call(np.array([5]), (b, c), "4", other)
    assert call(a, (b, c), 4, other) == 906234  # not what the refused call began with


def test_a_view_reads_and_writes_where_the_array_does() -> None:
    @plain
    def fill(a, b, c, other):  # type: ignore[no-untyped-def]
        a, b, (c, nothing), other = view(a), constant(b), view((c, None)), view(other)
        for i in range(len(a)):
            for j in range(len(a[i])):
                a[i, j] = 100 * i + 10 * j + b[0, 1, 2] + b[1][1][0] + len(b[0, 0])
        row = a[1]
        row[0] = c[len(c) - 1]
        c[0] = 7 if nothing is None and other is None else 8
        return len(row)

    a, b, c = np.zeros((2, 3), np.int64), np.arange(12).reshape(2, 2, 3), np.array([1, 2])
    assert fill(a, b, c, None) == 3
    assert a.tolist() == [[17, 27, 37], [2, 127, 137]]
    assert c.tolist() == [7, 2]


def test_a_view_of_float32_and_of_words_reads_and_writes_them() -> None:
    @plain
    def fill(a, b, c):  # type: ignore[no-untyped-def]
        a, b, (c,) = view(a), constant(b), view((c,))
        for i in range(len(b)):
            c[i] = b[len(b) - 1 - i]
            a[1, i] = number(b[i]) + a[0, i]
        return word(a[1, 0])

    a, b, c = np.array([[1, 2], [0, 0]], np.float32), np.array([0x3F80, 0xC000], np.uint16), np.zeros(2, np.uint16)
    assert fill(a, b, c) == 0x4000
    assert a.tolist() == [[1, 2], [2, 0]] and c.tolist() == [0xC000, 0x3F80]


def test_eight_numbers_at_a_time() -> None:
    @plain
    def fill(words, numbers, out):  # type: ignore[no-untyped-def]
        words, numbers, out = constant(words), constant(numbers), view(out)
        put(out[0], octet(numbers[1]) * unpacked(words[1]) + spread(numbers[0, 3]))
        put(out[1], rounded(octet(numbers[0])))
        for i in range(8):
            out[2, i] = rounded(numbers[0, i])
        return 0

    words = np.arange(0x3F80, 0x3F90, dtype=np.uint16).reshape(2, 8)
    some = np.array([[1.00390625, 1.01171875, -1.004, 1e-45, 3.4e38, np.inf, np.nan, -0.0], range(8)], np.float32)
    out = np.full((3, 8), 7, np.float32)
    fill(words, some, out)
    factors = (words[1].astype(np.uint32) << 16).view(np.float32)
    assert (out[0] == some[1] * factors + some[0, 3]).all()
    expected = [1, 1.015625, -1.0078125, 0, np.inf, np.inf, np.nan, -0.0]
    for found in out[1:]:
        assert np.array_equal(found, expected, equal_nan=True) and np.signbit(found[7])


@pytest.mark.parametrize("function", [octet, unpacked], ids=["numbers", "words"])
def test_eight_numbers_are_of_a_row_of_their_kind(function: Any) -> None:
    @plain
    def first(a):  # type: ignore[no-untyped-def]
        function(view(a))
        return 0

    with pytest.raises(numba.TypingError, match="are of a row of"):
        first(np.zeros(8, np.int64))


def test_a_table_is_not_written_to() -> None:
    @plain
    def fill(a):  # type: ignore[no-untyped-def]
        b = constant(a)
        b[0] = 1

    with pytest.raises(numba.TypingError, match="setitem"):
        fill(np.zeros(1, np.int64))


@pytest.mark.parametrize(
    "array", [np.zeros(2, np.int32), np.zeros((2, 2), np.int64)[:, 1], np.array(3)], ids=["int32", "gaps", "no vector"]
)
def test_what_a_view_cannot_be_of_is_refused(array: np.ndarray) -> None:
    @plain
    def first(a):  # type: ignore[no-untyped-def]
        return view(a)[0]

    with pytest.raises(TypeError, match="without gaps"):
        first(array)


def test_a_view_of_a_number_is_refused() -> None:
    @plain
    def first(a):  # type: ignore[no-untyped-def]
        return view(a)

    with pytest.raises(numba.TypingError, match="a view is of an array"):
        first(3)


class Sample(Record):
    """Two numbers, and parts of both kinds of extents."""

    reg = (2,)
    scale = ()
    rows = ("rows",)
    pairs = ("rows", "columns")
    offset = ()


def sample() -> np.ndarray:
    record = Sample.new({"rows": 3, "columns": 2}, scale=10, offset=7)
    parts = named(Sample, record)
    parts.reg[:], parts.rows[:], parts.pairs[:] = [1, 2], [3, 4, 5], [[6, 7], [8, 9], [10, 11]]
    return record


def test_a_record_has_its_parts_one_behind_the_other_and_says_where() -> None:
    record = sample()
    assert record.tolist()[Sample.header() :] == list(range(1, 12))
    parts = named(Sample, record)
    assert (parts.scale, parts.offset, parts.pairs.tolist()) == (10, 7, [[6, 7], [8, 9], [10, 11]])
    several = named(Sample, np.tile(record, (4, 1)))
    assert several.pairs.shape == (4, 3, 2) and several.reg[3].tolist() == [1, 2]
    several.rows[:, 1] = 0
    assert several.rows.tolist() == [[3, 0, 5]] * 4


def test_compiled_code_reads_and_writes_the_parts_of_a_record_by_name() -> None:
    sample_of = parts_of(Sample)

    @compiler.jit
    def total(a, rows):  # type: ignore[no-untyped-def]
        found = a.reg[1] + len(flat(a.pairs)) + len(a.pairs[0])
        for k in range(rows):
            found += a.rows[k] * a.scale + a.pairs[k, 1]
        return found

    @plain
    def fill(a, b):  # type: ignore[no-untyped-def]
        a, b = sample_of(view(a)), sample_of(constant(b)[1])
        a.pairs[2, 0] = 100
        flat(a.pairs)[1] += b.rows[0] * b.offset
        return total(a, len(a.rows))

    record = sample()
    assert fill(record, np.tile(record, (2, 1))) == 2 + 6 + 2 + 120 + (7 + 21) + 9 + 11
    assert named(Sample, record).pairs.tolist() == [[6, 28], [8, 9], [100, 11]]


def test_compiled_code_carves_a_view() -> None:
    @plain
    def fill(a, columns):  # type: ignore[no-untyped-def]
        left, right = carve(view(a), 1, ((2,), (2, columns)))
        left[1], right[1, 0] = 20, 30
        return 100 * len(left) + 10 * len(right) + len(right[1])

    array = np.zeros(10, np.int64)
    assert fill(array, 3) == 223
    assert np.flatnonzero(array).tolist() == [2, 6] and array[6] == 30


def test_what_a_record_does_not_name_is_no_part_of_it() -> None:
    sample_of = parts_of(Sample)

    @plain
    def first(a):  # type: ignore[no-untyped-def]
        return sample_of(view(a)).other

    with pytest.raises(numba.TypingError, match="other"):
        first(sample())
