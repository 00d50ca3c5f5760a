"""Mutate inputs at random and give them to the commands that read them: each is accepted or refused, never a crash.

    python bench/fuzz.py [--kinds configuration,trace,...] [--mutations 2000] [--seed 0] [--bombs]

Kinds: configuration, trace, program, log, parquet, profile, chakra (`fuzz_sweeps.py` has sweeps and
their folders, `fuzz_traces.py` what every reader makes of a trace).  The exit status is 0, 1 or 2, each
line on standard error begins with a place, a case takes at most 10 s of processor time, and all of them
together 2 GB.  --bombs gives small files that are huge once they are read to processes that have 2 GB
each.  Prints what happened; exit 1 if one did not hold, with the file kept that did it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from click.testing import CliRunner

from pimsim.cli import cli

ROOT = Path(__file__).parent.parent
SHIPPED, AIM = ROOT / "configs" / "pim-gpt.yaml", ROOT / "configs" / "aim.yaml"
SAMPLES = ROOT / "tests" / "interchange" / "samples"
TINY = "workload.model_config={name: tiny, layers: 2, d_model: 64, heads: 4}"
SMALL = [f"--set={TINY}", "--set=workload.output_tokens=2", "--set=workload.prompt_tokens=1", "--set=baselines=[]"]
LIMIT_S, LIMIT_BYTES = 10.0, 2 << 30
ALLOWED = (0, 1, 2)
_LINE = re.compile(r"[^\n]+:\d+:\d+: [^\n]+")

Data = bytes
Mutate = Callable[[Data, random.Random], Data]

# Put in the place of a value: numbers, words and structures that no one expects there.
_VALUES = (
    b"0", b"-1", b"1", b"2", b"1.5", b"0x10", b"0xFFFFFFFFFFFFFFFFFF", b"4294967296", b"9223372036854775808", b"1e308",
    b"1e999", b"-1e999", b"1e-320", b"1e999999999999", b"NaN", b".nan", b".inf", b"Infinity", b"9" * 40, b"9" * 5000,
    b"null", b"true", b"~", b'""', b"''", b'"a\\u0000b"', b'"\\ud800"', b"[]", b"{}", b"[[]]", b"[1, 2]", b"{a: 1}",
    b"[" * 60, b"{" * 60, b'{"a":1,"a":2}', b"&a [*a]", b"*a", b"!!python/object:os.system x", b"../../etc/passwd",
    b"x" * 300, b'"' + b"y" * 70_000 + b'"', b"\x1b[31m", b"\x00", b"\xff\xfe", "\u202e\u00e9\u4e2d".encode(), b"T*T",
)  # fmt: skip


# -- mutations ------------------------------------------------------------------------


def _flip(data: Data, chance: random.Random) -> Data:
    at = chance.randrange(len(data) or 1)
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def _cut(data: Data, chance: random.Random) -> Data:
    return data[: chance.randrange(len(data) + 1)]


def _remove(data: Data, chance: random.Random) -> Data:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.randrange(40) :]


def _insert(data: Data, chance: random.Random) -> Data:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(_VALUES) + data[at:]


def _repeat(data: Data, chance: random.Random) -> Data:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at : at + chance.randrange(200)] * chance.randrange(2, 50) + data[at:]


def _lines(data: Data, chance: random.Random) -> Data:
    """Lines dropped, doubled, exchanged or ended in another way."""
    lines = data.split(b"\n")
    a, b = chance.randrange(len(lines)), chance.randrange(len(lines))
    match chance.randrange(4):
        case 0:
            del lines[a]
        case 1:
            lines.insert(a, lines[b])
        case 2:
            lines[a], lines[b] = lines[b], lines[a]
        case _:
            return chance.choice((b"\r\n", b"\r", b"\n\n", b"\x0b")).join(lines)
    return b"\n".join(lines)


_WORD = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+.\w]+')


def _word(data: Data, chance: random.Random) -> Data:
    """Another value, or a word of the same file, for a number, a word or a text."""
    words = list(_WORD.finditer(data[:200_000]))
    if not words:
        return data
    at = chance.choice(words)
    new = chance.choice(_VALUES) if chance.random() < 0.7 else chance.choice(words)[0]
    return data[: at.start()] + new + data[at.end() :]


_TEXT: tuple[Mutate, ...] = (_flip, _cut, _remove, _insert, _repeat, _lines, _lines, _word, _word, _word, _word, _word)
_BYTES: tuple[Mutate, ...] = (_flip, _flip, _flip, _cut, _remove, _insert, _repeat)


def mutated(data: Data, chance: random.Random, mutations: tuple[Mutate, ...]) -> Data:
    """`data` with one to three random changes."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        data = chance.choice(mutations)(data, chance)
    return data


# -- what is mutated --------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """suffix of the file; commands, in which FILE stands for it, tried until one refuses it; what to begin with."""

    suffix: str
    commands: tuple[tuple[str, ...], ...]
    seeds: Callable[[], list[Data]]
    mutations: tuple[Mutate, ...] = _TEXT
    packed: bool = False  # sometimes gzip, damaged inside or outside


def _ran(*arguments: str, suffix: str) -> Data:
    """What a command writes to FILE."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{suffix}"
        result = CliRunner().invoke(cli, [argument.replace("FILE", str(path)) for argument in arguments])
        assert result.exit_code == 0, result.output
        return path.read_bytes()


def _log(suffix: str) -> list[Data]:
    return [_ran("run", str(SHIPPED), *SMALL, "--set=dram.channels=2", "--commands=FILE", suffix=suffix)]


def _configurations() -> list[Data]:
    files = sorted((ROOT / "configs").glob("*.yaml"))
    extending = f"extends: {SHIPPED}\ndram: {{channels: 4}}\nworkload: {{trace: {ROOT}/traces/gpt2-small.jsonl}}\n"
    return [*(path.read_bytes() for path in files), extending.encode()]


_PROGRAM = """# every instruction
AiM WR_SBK 0 0x80000000 0 5
AiM WR_ABK 0 0x80000000 5
AiM WR_GB 2 0 0xC0000000
AiM WR_BIAS 0 0xC0000000
AiM MAC_SBK 2 0xC0000000 1 5
AiM MAC_ABK 4 0xC0000000 5
AiM RD_MAC 0 0xC0000000
AiM AF 0xC0000000
AiM RD_AF 0 0xC0000000
AiM COPY_BKGB 2 0xC0000000 1 5
AiM COPY_GBBK 2 0xC0000000 1 5
AiM EWMUL 4 0xC0000000 5
AiM EWADD 4 0 1
AiM RD_SBK 0 0x80000000 0 5
W CFR 2 1
W MEM 0 1 5
R MEM 0 1 5
W GPR 0
AiM SYNC
AiM EOC
"""


def _profiles() -> list[Data]:
    return [gzip.decompress((SAMPLES / f"gpt2-sdpa.{kind}.json.gz").read_bytes()) for kind in ("et", "kineto")]


def _chakra() -> list[Data]:
    return [_ran("trace", "chakra", str(ROOT / "traces" / "gpt2-small.jsonl"), "--out=FILE", suffix=".et")]


def _traces() -> list[Data]:
    return [(ROOT / "traces" / f"{name}.jsonl").read_bytes() for name in ("gpt2-small", "mistral-7b")]


_IMPORT = ("trace", "import", "FILE", "--out=FILE.out.jsonl")
KINDS = {
    "configuration": Kind(
        ".yaml",
        (("config", "validate", "FILE"), ("config", "show", "FILE"), ("run", "FILE", *SMALL)),
        _configurations,
    ),
    "trace": Kind(
        ".jsonl",
        (("trace", "validate", "FILE"), ("trace", "show", "FILE"), ("trace", "chakra", "FILE", "--out=FILE.et")),
        _traces,
        packed=True,
    ),
    "program": Kind(".aim", (("replay", "FILE", f"--config={AIM}"),), lambda: [_PROGRAM.encode()]),
    "log": Kind(".csv", (("check", "FILE", f"--config={SHIPPED}"),), lambda: _log(".csv"), packed=True),
    "parquet": Kind(".parquet", (("check", "FILE", f"--config={SHIPPED}"),), lambda: _log(".parquet"), _BYTES),
    "profile": Kind(".json", (_IMPORT,), _profiles, packed=True),
    "chakra": Kind(".et", (_IMPORT,), _chakra, _BYTES),
}


# -- what happens -----------------------------------------------------------------------


def outcome(kind: Kind, path: Path, limit_s: float = LIMIT_S) -> str:
    """What the commands make of a file: "accepted" or "refused"; AssertionError if it is anything else."""
    for command in kind.commands:
        start = time.process_time()
        result = CliRunner().invoke(cli, [argument.replace("FILE", str(path)) for argument in command])
        taken = time.process_time() - start
        assert result.exit_code in ALLOWED, f"exit status {result.exit_code}: {result.stderr}"
        assert taken <= limit_s, f"took {taken:.0f} s"
        if result.exit_code == 2:
            wrong = [line for line in result.stderr.splitlines() if not (_LINE.fullmatch(line) and line.isprintable())]
            assert result.stderr and not wrong, f"standard error has {wrong or 'nothing'}"
            return "refused"
    return "accepted"


@cache
def seeds(name: str) -> list[Data]:
    """Files of a kind that are as they should be."""
    return KINDS[name].seeds()


def cases(name: str, mutations: int, seed: int) -> Iterator[tuple[Data, str]]:
    """Mutated files of a kind, each with the suffix of its name."""
    kind, chance = KINDS[name], random.Random(f"{name} {seed}")
    for _ in range(mutations):
        data, packed = chance.choice(seeds(name)), kind.packed and chance.random() < 0.2
        if packed and chance.random() < 0.5:
            yield mutated(gzip.compress(data, 1, mtime=0), chance, _BYTES), f"{kind.suffix}.gz"
            continue
        data = mutated(data, chance, kind.mutations)
        yield (gzip.compress(data, 1, mtime=0), f"{kind.suffix}.gz") if packed else (data, kind.suffix)


def _most_used() -> int:
    """Bytes that this process has used at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fuzz(name: str, mutations: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Outcomes of mutated files of a kind, and what is to say of those that did not hold; their files are kept."""
    counts: Counter[str] = Counter()
    failures: list[str] = []
    whole = folder / f"whole{KINDS[name].suffix}"
    whole.write_bytes(seeds(name)[-1])
    outcome(KINDS[name], whole, limit_s=600)  # what the first of all compiles is not the mutations' fault
    before = _most_used()
    for number, (data, suffix) in enumerate(cases(name, mutations, seed)):
        path = folder / f"fuzzed{suffix}"
        path.write_bytes(data)
        try:
            counts[outcome(KINDS[name], path)] += 1
        except AssertionError as error:
            counts["failed"] += 1
            kept = Path(tempfile.gettempdir()) / f"fuzz-{name}-{seed}-{number}{suffix}"
            kept.write_bytes(data)
            failures.append(f"{kept}: {error}\n{traceback.format_exc() if not str(error) else ''}")
    used = _most_used()
    if used > max(LIMIT_BYTES, before):  # a process that has done other things before may have used more for those
        failures.append(f"{name}: {used / 2**30:.1f} GiB of memory")
    return counts, failures


# -- small files that are huge once they are read -----------------------------------------


def _packed(pieces: Iterator[Data]) -> Iterator[Data]:
    """gzip files one behind the other, which are one."""
    known: dict[Data, Data] = {}
    for piece in pieces:
        if piece not in known:
            known[piece] = gzip.compress(piece, 1, mtime=0)
        yield known[piece]


def _times(piece: Data, number: int) -> Iterator[Data]:
    return (piece for _ in range(number))


def _alias(number: int) -> Data:
    return b"a%d: &a%d [%s]\n" % (number, number, b",".join([b"*a%d" % (number - 1)] * 20))


MIB = 1 << 20
_HEADER = b"clk,channel,command,bank_group,bank,row,column\n"
_ROWS = b"0,0,ACTAB,-1,-1,0,-1\n" * 50_000

# The command, in which FILE stands for the bomb; its suffix; what makes it, for a size in MiB.
BOMBS: dict[str, tuple[tuple[str, ...], str, Callable[[int], Iterator[Data]]]] = {
    "a line in a packed log": (KINDS["log"].commands[0], ".csv.gz", lambda n: _packed(_times(b"x" * MIB, n))),
    "a line in a packed trace": (("trace", "validate", "FILE"), ".jsonl.gz", lambda n: _packed(_times(b" " * MIB, n))),
    "blank lines in a trace": (("trace", "show", "FILE"), ".jsonl.gz", lambda n: _packed(_times(b"\n" * MIB, n))),
    "a text in a packed profile": (_IMPORT, ".json.gz", lambda n: _packed(_times(b'"' + b"x" * MIB, n))),
    "lists in a profile": (_IMPORT, ".json.gz", lambda n: _packed(iter([b"[", *_times(b"[]," * (MIB // 3), n)]))),
    "rows in a packed log": (
        KINDS["log"].commands[0], ".csv.gz", lambda n: _packed(iter([_HEADER, *_times(_ROWS, n)]))
    ),
    "lines in a program": (KINDS["program"].commands[0], ".aim", lambda n: _times(b"AiM SYNC\n" * (MIB // 9), n)),
    "comments in a program": (KINDS["program"].commands[0], ".aim", lambda n: _times(b"# nothing\n" * (MIB // 10), n)),
    "a line in a program": (KINDS["program"].commands[0], ".aim", lambda n: _times(b"x" * MIB, n)),
    "comments in a configuration": (("run", "FILE"), ".yaml", lambda n: _times(b"# nothing\n" * (MIB // 10), n)),
    "a configuration of its own aliases": (
        ("run", "FILE"), ".yaml",
        lambda n: iter([b"a0: &a0 [1,1]\n", *(_alias(i) for i in range(1, n))]),
    ),
}  # fmt: skip


def defused(name: str, size: int, folder: Path) -> str:
    """What a process of 2 GB makes of a bomb, "" if it answers in time."""
    command, suffix, make = BOMBS[name]
    path = folder / f"bomb{suffix}"
    with path.open("wb") as file:
        for piece in make(size):
            file.write(piece)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))

    arguments = [argument.replace("FILE", str(path)) for argument in command]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        [sys.executable, "-m", "pimsim", *arguments], capture_output=True, text=True, timeout=600, preexec_fn=limit,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    path.unlink()
    taken = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    problems = []
    if result.returncode == 1:  # a log that was read, and broke every rule
        said = result.stdout
    else:
        said = result.stderr if result.returncode == 2 and _LINE.match(result.stderr) else ""
    if not said:
        problems.append(f"exit status {result.returncode}: {result.stderr[:500]}")
    if taken > LIMIT_S:
        problems.append(f"took {taken:.0f} s")
    return "; ".join(problems)


def main() -> int:
    """Fuzz every kind."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--mutations", type=int, default=2000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bombs", action="store_true", help="nothing but these")
    parser.add_argument("--size", type=int, default=256, help="of a bomb, MiB")
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        if options.bombs:
            for name in BOMBS:
                said = defused(name, options.size, Path(folder))
                print(f"{name}: {said or 'refused'}", flush=True)
                failed |= bool(said)
            return int(failed)
        for name in options.kinds.split(","):
            start = time.perf_counter()
            counts, failures = fuzz(name, options.mutations, options.seed, Path(folder))
            for failure in failures[:10]:
                print(failure)
            outcomes = json.dumps(counts)
            print(f"{name}: seed {options.seed}: {outcomes} ({time.perf_counter() - start:.0f} s)", flush=True)
            failed |= bool(failures)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
