"""How numba compiles the kernel: a function once, inside of the one that Python calls."""

from __future__ import annotations

import numba
import numba.core.caching
import numpy as np
import pytest

from pimsim.dram import compiler
from pimsim.dram.compiler import table, view

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
        a, b, (c, nothing), other = view(a), table(b), view((c, None)), view(other)
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
        b = table(a)
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
