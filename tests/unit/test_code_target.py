"""Code for wider vectors: where it is chosen, and that it computes the same."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pimsim.dram import compiler
from pimsim.dram.code import target
from pimsim.dram.code.emit import emit
from pimsim.dram.code.entry import Entry
from pimsim.dram.code.frame import kinds_of, words_of
from pimsim.dram.code.load import PLATFORM, load
from pimsim.dram.code.target import NEEDED, WIDE, widest
from pimsim.dram.compiler import constant, octet, put, view
from pimsim.values.fast.compiled.products import H_COLUMN, H_IN_BANKS, H_ROUNDS, HOW_WIDTH, LEVELS, SIDE, multiply

pytestmark = [
    pytest.mark.skipif(not compiler.COMPILES, reason="the kernel is interpreted"),
    pytest.mark.skipif(PLATFORM != "linux-x86_64", reason="there is one target here"),
]


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What the processor is taken to say of itself."""
    monkeypatch.setattr(target, "CPUINFO", tmp_path / "cpuinfo")
    widest.cache_clear()
    yield target.CPUINFO
    widest.cache_clear()


def say(cpuinfo: Path, flags: frozenset[str]) -> None:
    core = "processor\t: {}\nmodel name\t: some\nflags\t\t: fpu {} sse2\nbugs\t\t: avx2\n\n"
    cpuinfo.write_text("".join(core.format(k, " ".join(sorted(flags))) for k in range(2)))


def test_a_processor_with_wider_vectors_runs_code_for_them(cpuinfo: Path) -> None:
    say(cpuinfo, NEEDED)
    assert widest() == WIDE


@pytest.mark.parametrize("flag", sorted(NEEDED))
def test_a_processor_that_lacks_something_runs_code_for_any(cpuinfo: Path, flag: str) -> None:
    say(cpuinfo, NEEDED - {flag})
    assert widest() == PLATFORM


@pytest.mark.parametrize("text", [None, "", "flags\n", "Features\t: fp asimd\n"])
def test_a_processor_that_says_nothing_runs_code_for_any(cpuinfo: Path, text: str | None) -> None:
    if text is not None:
        cpuinfo.write_text(text)
    assert widest() == PLATFORM


def test_where_there_is_no_such_code_nobody_asks_for_it(cpuinfo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    say(cpuinfo, NEEDED)
    monkeypatch.setattr(target, "TARGETS", {PLATFORM: ""})
    assert widest() == PLATFORM


def test_only_entries_that_gain_from_it_ask_for_it(cpuinfo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def code(entry: Entry, kinds: str, target: str) -> bytes:
        asked.append(target)
        raise InterruptedError

    monkeypatch.setattr(Entry, "code", code)
    say(cpuinfo, NEEDED)
    for make in (compiler.entry, compiler.wide_entry):
        with pytest.raises(InterruptedError):
            make(lambda a: a[0])(np.ones(1, np.int64))
        assert widest.cache_info().misses == len(asked) - 1  # the others do not look
    assert asked == [PLATFORM, WIDE]
    assert (compiler.entry(len).targets, compiler.wide_entry(len).targets) == ((PLATFORM,), (PLATFORM, WIDE))


def run(code: bytes, *arguments: Any) -> None:
    words = [word for each in arguments for word in words_of(each)]
    frame = (ctypes.c_int64 * len(words))(*words)
    load(code)(ctypes.addressof(frame))


@pytest.mark.parametrize("target", [PLATFORM, WIDE])
def test_a_product_is_rounded_before_something_is_added(target: str) -> None:
    if target == WIDE != widest():
        pytest.skip("this processor has no wider vectors")

    @compiler.wide_entry
    def fill(a, b, c, out):  # type: ignore[no-untyped-def]
        a, b, c, out = constant(a), constant(b), constant(c), view(out)
        for k in range(len(a)):
            put(out[k], octet(a[k]) * octet(b[k]) + octet(c[k]))
            for i in range(SIDE):
                out[k, SIDE + i] = a[k, i] * c[k, i] + b[k, i]  # others: else it is the same code
        return 0

    a, b, c = np.random.default_rng(1).standard_normal((3, 100, SIDE)).astype(np.float32)
    out = np.zeros((100, 2 * SIDE), np.float32)
    arguments = (a, b, c, out)
    run(emit(fill.function, kinds_of(arguments), target), *arguments)
    assert (out == np.hstack([a * b + c, a * c + b])).all()


SPECIAL = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-45, 1.1e-38, 3e38, -3e38, 1], np.float32)


@pytest.mark.parametrize("special", [0, 0.1], ids=["numbers", "special numbers"])
@pytest.mark.parametrize("rounds", [0, 1], ids=["float32", "bf16"])
@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16, 64])
def test_products_are_the_same_to_the_bit(lanes: int, rounds: int, special: float) -> None:
    if widest() != WIDE:
        pytest.skip("this processor has no wider vectors")
    made = [products(each, lanes, rounds, special) for each in (PLATFORM, WIDE)]
    assert made[0].tobytes() == made[1].tobytes()
    assert np.isfinite(made[0]).all() == (special == 0) and np.isfinite(made[0]).mean() > 0.1


def products(target: str, lanes: int, rounds: int, special: float) -> np.ndarray:
    """Of random numbers; those that are no numbers are made equal: their sign has no meaning."""
    random = np.random.default_rng(lanes)
    groups, tiles, beats, vectors = 2, 3, 6, 5

    def some(*shape: int) -> np.ndarray:
        plain = random.standard_normal(shape).astype(np.float32)
        return np.where(random.random(shape) < special / lanes, random.choice(SPECIAL, shape), plain)

    words = (some(groups, tiles, beats, lanes, SIDE).view(np.uint32) >> 16).astype(np.uint16)
    x, addend = some(groups, beats, vectors, lanes), some(tiles, SIDE)
    seen, starts = np.linspace(1, beats * lanes, vectors).astype(np.int64), np.array([0, 2, beats])
    how, found = np.zeros(HOW_WIDTH, np.int64), []
    room = tuple(np.empty((n, SIDE), np.float32) for n in (vectors, lanes, lanes, LEVELS))
    for in_banks in (0, 1):
        how[[H_COLUMN, H_IN_BANKS, H_ROUNDS]] = 2, in_banks, rounds
        out = np.zeros((1 if in_banks else 2, groups, vectors, tiles, SIDE), np.float32)
        arguments = (words, x, seen, starts, addend, how, out, tiles, 0, groups * tiles, room)
        run(multiply.code(kinds_of(arguments), target), *arguments)
        found.append(out.ravel())
    made = np.concatenate(found)
    return np.where(np.isnan(made), np.float32(np.nan), made)
