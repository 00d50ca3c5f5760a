"""How numba compiles the kernel: a function once, inside of the one that Python calls."""

from __future__ import annotations

import numba
import numba.core.caching
import numpy as np
import pytest

from pimsim.dram import compiler
from pimsim.dram.compiler import carve, constant, flat, parts_of, view
from pimsim.dram.records import Record, named

pytestmark = pytest.mark.skipif(not compiler.COMPILES, reason="the kernel is interpreted")


def _pair():  # type: ignore[no-untyped-def]
    """A function that only compiled functions call, and one that Python calls."""
    half = compiler.jit(lambda a: a[0] // 2)
    return half, numba.njit(lambda a: half(a) + 1)


def _emitted(function) -> bool:  # type: ignore[no-untyped-def]
    (result,) = function.overloads.values()
    return bool(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


def test_a_function_that_only_compiled_ones_call_is_not_emitted_by_itself() -> None:
    inner, outer = _pair()
    assert outer(np.array([14])) == 8
    assert not _emitted(inner) and _emitted(outer)


def test_where_numba_has_other_internals_the_code_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "INTERNALS", ("not there",))
    inner, outer = _pair()
    assert outer(np.array([14])) == 8
    assert _emitted(inner) and _emitted(outer)


def test_without_a_folder_for_compiled_code_each_run_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        double = compiler.entry(lambda a: a[0] * 2)
    assert double(np.array([21])) == 42


def test_a_view_reads_and_writes_where_the_array_does() -> None:
    @compiler.entry
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


def test_a_table_is_not_written_to() -> None:
    @compiler.entry
    def fill(a):  # type: ignore[no-untyped-def]
        b = constant(a)
        b[0] = 1

    with pytest.raises(numba.TypingError, match="setitem"):
        fill(np.zeros(1, np.int64))


@pytest.mark.parametrize("array", [np.zeros(2, np.int32), np.zeros((2, 2), np.int64)[:, 1]], ids=["int32", "gaps"])
def test_what_a_view_cannot_be_of_is_refused(array: np.ndarray) -> None:
    @compiler.entry
    def first(a):  # type: ignore[no-untyped-def]
        return view(a)[0]

    with pytest.raises(numba.TypingError, match="without gaps"):
        first(array)


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

    @compiler.entry
    def fill(a, b):  # type: ignore[no-untyped-def]
        a, b = sample_of(view(a)), sample_of(constant(b)[1])
        a.pairs[2, 0] = 100
        flat(a.pairs)[1] += b.rows[0] * b.offset
        return total(a, len(a.rows))

    record = sample()
    assert fill(record, np.tile(record, (2, 1))) == 2 + 6 + 2 + 120 + (7 + 21) + 9 + 11
    assert named(Sample, record).pairs.tolist() == [[6, 28], [8, 9], [100, 11]]


def test_compiled_code_carves_a_view() -> None:
    @compiler.entry
    def fill(a, columns):  # type: ignore[no-untyped-def]
        left, right = carve(view(a), 1, ((2,), (2, columns)))
        left[1], right[1, 0] = 20, 30
        return len(left), len(right), len(right[1])

    array = np.zeros(10, np.int64)
    assert fill(array, 3) == (2, 2, 3)
    assert np.flatnonzero(array).tolist() == [2, 6] and array[6] == 30


def test_what_a_record_does_not_name_is_no_part_of_it() -> None:
    sample_of = parts_of(Sample)

    @compiler.entry
    def first(a):  # type: ignore[no-untyped-def]
        return sample_of(view(a)).other

    with pytest.raises(numba.TypingError, match="other"):
        first(sample())
