"""Mutate sweep files and the folders of sweeps at random: each is run, refused, or gone on with, never a crash.

    python bench/fuzz_sweeps.py [--mutations 2000] [--seed 0]

A sweep file is read and, if it is accepted, its points are selected and its first requests made;
a damaged folder is gone on with and must then hold what an undamaged one does.  Prints what
happened; exit 1 if anything but InputError was raised, or if a file took longer than 10 s.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pimsim.sweep
from pimsim.errors import InputError
from pimsim.sweep.definition import Sweep
from pimsim.sweep.folder import JOURNAL, MANIFEST
from pimsim.sweep.reader import load_sweep
from pimsim.sweep.runner import select

ROOT = Path(__file__).parent.parent
SWEEPS = ROOT / "configs" / "sweeps"
LIMIT_S = 10.0  # of processor time: other work on the machine does not count

# Text put in the place of a value or a word.
_VALUES = (
    "0", "-1", "1.5", "1e999", "1e99999999999", "-1e999", "NaN", ".inf", "9" * 40, "9" * 5000, "1e-999", "null", "true",
    "''", '"\\0"', '"\\ud800"', '"\\e[31m"', "'[/red]'", "'=1+1'", "../../x", "'" + "x" * 300 + "'", "[]", "{}", "[[]]",
    "[1, 2, 3]", "[a, b]", "{range: [1, 1e99]}", "{range: [1, 1e999999]}", "{range: [0, 1, 1e-30]}", "{range: [3, 1]}",
    "{log_range: [1, 1e999], points: 3}", "{log_range: [1, 64], points: 1e99}", "{log_range: [1e-999, 1], points: 2}",
    "{uniform: [0, 1e999]}", "{log_uniform: [1e-300, 1e300]}", "{uniform: [1, 9e9999999]}", "{points: 3}",
    "[" * 60 + "]" * 60,
    "&a [*a]", "*a", "!!python/object:os.system x", "gpt2-smal", "system.latency_nss", "proxy.", "..",
)  # fmt: skip
_EXPRESSIONS = (
    "dram.channels", "dram.chanels", "1", "9" * 5000, "1e999", "1e9999", "'x'", "true", "==", "<=", "**", "*", "+", "-",
    "/", "//", "%", "(", ")", "and", "or", "not", "schedule", "name", "system.latency_ns", "workload.model",
    "2 ** 999999999",
    "1e999 ** 2", "0 ** -1", "(-8) ** 0.5", "0.1 ** 0.1", "=", "!", "\u00e9", "1e999 * 1e999 * 1e999 * 1e999 * 1e999",
)  # fmt: skip
_OBJECTIVES = (
    "system.latency_ns", "system.commands.WR", "system.commands.MACABB", "system.energy_breakdown_pJ.mac_raed",
    "{maximise: system.tokens_per_s}", "{maximize: x}", "{}", "baselines.gpu-t4.speedup", "baselines..speedup",
    "[]", "1",
)  # fmt: skip


def mutated(text: str, chance: random.Random) -> str:
    """`text` with one to three random changes."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        text = chance.choice(_MUTATIONS)(text, chance)
    return text


def _flip(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) or 1)
    return text[:at] + chance.choice("\0\t\n\r\x1b\x85\u2028\ufeff:,[]{}#&*!|>'\"%@`-?x0") + text[at + 1 :]


def _cut(text: str, chance: random.Random) -> str:
    return text[: chance.randrange(len(text) + 1)]


def _lines(change: Callable[[list[str], random.Random], None]) -> Callable[[str, random.Random], str]:
    def mutate(text: str, chance: random.Random) -> str:
        lines = text.split("\n")
        change(lines, chance)
        return "\n".join(lines)

    return mutate


def _drop(lines: list[str], chance: random.Random) -> None:
    del lines[chance.randrange(len(lines))]


def _double(lines: list[str], chance: random.Random) -> None:
    lines.insert(chance.randrange(len(lines)), chance.choice(lines))


def _value(lines: list[str], chance: random.Random) -> None:
    """Another value behind a random colon."""
    at = chance.randrange(len(lines))
    key, colon, _ = lines[at].partition(":")
    if colon:
        lines[at] = f"{key}: {chance.choice(_VALUES)}"


def _key(lines: list[str], chance: random.Random) -> None:
    """Another name before a random colon."""
    at = chance.randrange(len(lines))
    key, colon, rest = lines[at].partition(":")
    if colon:
        other = chance.choice(lines).partition(":")[0].strip() or "x"
        indent = key[: len(key) - len(key.lstrip())]
        lines[at] = f"{indent}{chance.choice((other, key.strip()[1:], key.strip() + 'x', 'zip', 'sobol', '<<'))}:{rest}"


def _list(name: str, items: tuple[str, ...]) -> Callable[[str, random.Random], str]:
    """A section that is a list, of random items."""

    def mutate(text: str, chance: random.Random) -> str:
        chosen = [" ".join(chance.choices(items, k=chance.randrange(1, 6))) for _ in range(chance.randrange(1, 4))]
        if name == "objectives":
            return text + f"\n{name}: [{', '.join(chance.choices(items, k=2))}]\n"
        return text.split(f"\n{name}:")[0] + f"\n{name}: {json.dumps(chosen)}\n"

    return mutate


_MUTATIONS: tuple[Callable[[str, random.Random], str], ...] = (
    _flip, _cut, _lines(_drop), _lines(_double), *[_lines(_value)] * 5, *[_lines(_key)] * 2,
    *[_list("constraints", _EXPRESSIONS)] * 3, _list("objectives", _OBJECTIVES), _list("axes", _EXPRESSIONS),
)  # fmt: skip


def outcome(path: Path) -> str:
    """What becomes of a sweep file: "accepted", or "refused" with its problems; other exceptions pass."""
    try:
        _use(load_sweep(path))
    except InputError as error:
        assert error.problems and all(problem.message for problem in error.problems), "an empty error"
        assert all(str(problem).isprintable() for problem in error.problems), "a problem that is no line"
        return "refused"
    return "accepted"


def _use(sweep: Sweep) -> None:
    assert Path("results", sweep.name).resolve().parent == Path("results").resolve(), "outside of the folder"
    assert len(sweep.sha256) == 64
    if len(sweep.space) <= 3000:
        kept, _, _ = select(sweep)
        for index in islice(kept, 3):
            sweep.request(sweep.space.point(index))


def fuzz_files(mutations: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Outcomes of mutated sweep files, and the tracebacks of those that raised something else or took long."""
    chance = random.Random(seed)
    texts = [path.read_text().replace("../pim-gpt.yaml", str(ROOT / "configs" / "pim-gpt.yaml")) for path in
             sorted(SWEEPS.glob("*.yaml"))]  # fmt: skip
    path = folder / "fuzzed.yaml"

    def once() -> str:
        path.write_bytes(mutated(chance.choice(texts), chance).encode("utf-8", "surrogatepass"))
        return outcome(path)

    return _repeat(once, mutations, f"file of seed {seed}", path)


# -- folders ---------------------------------------------------------------------------


def _tiny() -> dict[str, Any]:
    settings = {
        "workload.model_config": {"name": "tiny", "layers": 1, "d_model": 64, "heads": 4},
        "workload.output_tokens": 1,
        "baselines": [],
    }
    axes = {"dram.channels": [1, 2], "pim.lanes": [8, 12]}
    base = str(ROOT / "configs" / "pim-gpt.yaml")
    return {"base": base, "set": settings, "axes": axes, "objectives": ["system.latency_ns"]}


def _bytes(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) or 1)
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def _remove(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.randrange(400) :]


def _shuffle(data: bytes, chance: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(chance.choices(lines, k=chance.randrange(8))) if lines else data


def _forge(data: bytes, chance: random.Random) -> bytes:
    """A line whose checksum is right and whose row is not one of ours."""
    row = chance.choice((
        [], None, 7, "x", {}, {"index": 0}, {"index": "0", "status": "ok"}, {"index": 10**30, "status": "ok"},
        {"index": -1, "status": "ok"}, {"index": 1.0, "status": "ok"}, {"index": 0, "status": ["ok"]}, {"status": "ok"},
        {"index": 0, "status": "failed", "error": {}}, {"index": 0, "status": "infeasible", "error": 3},
    ))  # fmt: skip
    text = chance.choice((json.dumps(row).encode(), b"[" * 5000, b"NaN", b"1" * 5000))
    return b"%08x %s\n" % (zlib.crc32(text), text) + data


def _entry(data: bytes, chance: random.Random) -> bytes:
    """Another value in a manifest, where it is one."""
    try:
        manifest = json.loads(data)
        manifest[chance.choice(list(manifest))] = chance.choice(
            (None, -1, 1e300, "", "x", [], {}, [1], 10**20, [{}], True)
        )
    except (ValueError, TypeError, IndexError):
        return data
    return json.dumps(manifest).encode()


_DAMAGE: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _bytes, _remove, _shuffle, lambda data, chance: b"", lambda data, chance: data[: chance.randrange(len(data) + 1)],
)  # fmt: skip


def fuzz_folders(mutations: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Outcomes of damaged folders: "gone on with" and then as if undamaged, or "refused"."""
    chance = random.Random(seed)
    sweep, whole, out = _tiny(), folder / "whole", folder / "out"
    pimsim.sweep.run(sweep, out=str(whole), workers=0)
    expected = (whole / "results.parquet").read_bytes() if (whole / "results.parquet").exists() else b""

    def once() -> str:
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(whole, out)
        name, special = chance.choice(((MANIFEST, _entry), (JOURNAL, _forge), (JOURNAL, _forge)))
        for change in (chance.choice((*_DAMAGE, special, special)) for _ in range(chance.choice((1, 1, 2)))):
            (out / name).write_bytes(change((out / name).read_bytes(), chance))
        try:
            for row in pimsim.sweep.load_result(out).rows():
                assert row["status"]
        except InputError:
            pass
        try:
            pimsim.sweep.run(sweep, out=str(out), workers=0, resume=True)
        except InputError as error:
            assert all(str(problem).isprintable() for problem in error.problems)
            return "refused"
        found = (out / "results.parquet").read_bytes() if expected else b""
        assert found == expected, "a damaged folder gives other results"
        return "gone on with"

    return _repeat(once, mutations, f"folder of seed {seed}", out)


def _repeat(once: Callable[[], str], times: int, what: str, where: Path) -> tuple[Counter[str], list[str]]:
    counts: Counter[str] = Counter()
    crashes: list[str] = []
    for number in range(times):
        start = time.process_time()
        try:
            counts[once()] += 1
        except Exception:
            counts["crashed"] += 1
            content = repr(where.read_bytes()[-600:]) if where.is_file() else ""
            crashes.append(f"{what}, mutation {number}:\n{content}\n{traceback.format_exc()}")
        if (took := time.process_time() - start) > LIMIT_S:
            crashes.append(f"{what}, mutation {number} took {took:.0f} s")
    return counts, crashes


def main() -> int:
    """Fuzz sweep files and folders."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--mutations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failed = False
    for what, fuzz, share in (("sweep files", fuzz_files, 1), ("folders", fuzz_folders, 4)):
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            counts, crashes = fuzz(max(1, options.mutations // share), options.seed, Path(folder))
        for crash in crashes[:5]:
            print(crash)
        outcomes = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
        print(f"mutated {what}, seed {options.seed}: {outcomes} ({time.perf_counter() - start:.0f} s)")
        failed |= bool(crashes)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
