"""How numba compiles the kernel: a function once, inside of the one that Python calls."""

from __future__ import annotations

import numba
import numba.core.caching
import numpy as np
import pytest

from pimsim.dram import kernel as k

pytestmark = pytest.mark.skipif(not k._COMPILES, reason="the kernel is interpreted")


def _pair():  # type: ignore[no-untyped-def]
    """A function that only compiled functions call, and one that Python calls."""
    half = k._jit(lambda a: a[0] // 2)
    return half, numba.njit(lambda a: half(a) + 1)


def _emitted(function) -> bool:  # type: ignore[no-untyped-def]
    (result,) = function.overloads.values()
    return bool(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


def test_a_function_that_only_compiled_ones_call_is_not_emitted_by_itself() -> None:
    inner, outer = _pair()
    assert outer(np.array([14])) == 8
    assert not _emitted(inner) and _emitted(outer)


def test_where_numba_has_other_internals_the_code_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(k, "_INTERNALS", ("not there",))
    inner, outer = _pair()
    assert outer(np.array([14])) == 8
    assert _emitted(inner) and _emitted(outer)


def test_without_a_folder_for_compiled_code_each_run_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        double = k._entry(lambda a: a[0] * 2)
    assert double(np.array([21])) == 42
