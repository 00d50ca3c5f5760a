"""AiM programs for the races and the curves, and to look at: python bench/aim.py FOLDER writes them there.

A GEMV, a layer of GPT2-XL and of Llama-7B on one set of channels, the block of Llama2-7B that
CENT publishes (with and without the accesses of its host), and instructions of any masks.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pimsim
from pimsim.devices.aim import gemv
from pimsim.devices.aim.isa import mask_of
from pimsim.devices.registry import device_of
from pimsim.dram.timing import Device

CONFIG = Path(__file__).parent.parent / "configs" / "aim-reference.yaml"
BUFFER = 1024  # values that the global buffer holds
LANES = 16  # values of a column


def programs(device: Device) -> Iterator[tuple[str, Iterable[str]]]:
    """Programs as lines."""
    block = Block(4096, 32, 32, 11008, 8, 4096)
    yield "GEMV 4096 x 4096", gemv.text(4096, 4096, 32, device).splitlines()
    yield "GPT2-XL layer", layer(1600, 25, 1024, 8, (), ((6400, 1600), (1600, 6400)))
    yield "Llama-7B layer", layer(4096, 32, 1024, 32, ((11008, 4096),), ((11008, 4096), (4096, 11008)))
    yield "CENT block, PIM alone", (line for line in block.lines() if " MEM " not in line)
    yield "CENT block", block.lines()
    yield "50,000 mixed", mixed(50_000)


def write(path: Path, lines: Iterable[str]) -> int:
    """How many lines were written."""
    with path.open("w") as file:
        return sum(1 for line in lines if file.write(f"{line}\n"))


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def pieces(total: int, size: int) -> list[int]:
    """`total` in pieces of `size`, the last one the rest."""
    return [min(size, total - at) for at in range(0, total, size)]


def layer(
    dim: int, heads: int, context: int, channels: int, extra: Sequence[tuple[int, int]], feed: Sequence[tuple[int, int]]
) -> Iterator[str]:
    """A decoder layer as GEMVs, each as `gemv` lays it out: projections, scores and sums of each head, feed-forward."""
    mask, row = f"{mask_of(channels):#010x}", 0
    of_heads = ((context, dim // heads),) * heads + ((dim // heads, context),) * heads
    for outputs, inputs in ((dim, dim),) * 3 + of_heads + ((dim, dim), *extra, *feed):
        for size in pieces(ceil_div(inputs, LANES), BUFFER // LANES):
            yield f"AiM WR_GB {size} 0 {mask}"
            for _ in range(ceil_div(outputs, LANES * channels)):
                yield f"AiM WR_BIAS 0 {mask}"
                yield f"AiM MAC_ABK {size} {mask} {row % 16384}"
                yield f"AiM RD_MAC 0 {mask}"
                row += 1
    yield "AiM EOC"


def mixed(count: int, seed: int = 1) -> Iterator[str]:
    """Instructions of any masks, a SYNC now and then."""
    rng = random.Random(seed)
    makers: Sequence[tuple[int, Callable[[str], str]]] = (
        (15, lambda mask: f"AiM WR_GB {rng.randint(1, 64)} 0 {mask}"),
        (15, lambda mask: f"AiM WR_BIAS 0 {mask}"),
        (10, lambda mask: f"AiM RD_MAC 0 {mask}"),
        (20, lambda mask: f"AiM MAC_ABK {rng.randint(1, 64)} {mask} {rng.randrange(64)}"),
        (5, lambda mask: f"AiM AF {mask}"),
        (5, lambda mask: f"AiM RD_AF 0 {mask}"),
        (10, lambda mask: f"AiM MAC_SBK {rng.randint(1, 64)} {mask} {rng.randrange(16)} {rng.randrange(64)}"),
        (10, lambda mask: f"AiM COPY_BKGB {rng.randint(1, 64)} {mask} {rng.randrange(16)} {rng.randrange(64)}"),
        (7, lambda mask: f"AiM EWMUL {rng.randint(1, 64)} {mask} {rng.randrange(64)}"),
        (1, lambda mask: "AiM SYNC"),
        (2, lambda mask: f"AiM WR_ABK 0 {1 << rng.randrange(32):#x} {rng.randrange(64)}"),
    )
    chosen = [make for weight, make in makers for _ in range(weight)]
    for _ in range(count - 1):
        yield rng.choice(chosen)(f"{rng.getrandbits(32) or 1:#x}")
    yield "AiM EOC"


class Block:
    """A block of a model as CENT (ASPLOS'25) maps it on a device of 32 channels, `channels` of them for each block.

    All blocks of a device run in lock step.  Rows are those of the published layout; lines
    that load and store stand for the host, one burst each.
    """

    def __init__(self, dim: int, heads: int, kv_heads: int, feed: int, channels: int, context: int) -> None:
        self.dim, self.heads, self.kv_heads, self.feed, self.context = dim, heads, kv_heads, feed, context
        self.channels, self.blocks, self.banks = channels, 32 // channels, LANES * channels
        self.all = f"{mask_of(self.blocks * channels):#x}"
        self.kv_rows = ceil_div(128 * kv_heads, BUFFER)
        self.query_group = heads // kv_heads
        rows = {
            "x": ceil_div(dim // LANES, BUFFER), "x_copy": ceil_div(dim // LANES, BUFFER),
            "norm": ceil_div(dim // LANES, BUFFER),
            "wq": self._rows_of(dim, dim), "wk": self._rows_of(128 * kv_heads, dim),
            "wv": self._rows_of(128 * kv_heads, dim), "xq": 1, "xk": 1, "K": self._rows_of(4096, 128 * kv_heads),
            "scores": 4 * ceil_div(heads, 4 * channels), "V": 32 * ceil_div(kv_heads, channels),
            "out": self._spread(dim), "wo": self._rows_of(dim, dim), "sa": self._spread(dim),
            "sa_copy": self._spread(dim), "feed_norm": self._spread(dim), "w1": self._rows_of(feed, dim),
            "w3": self._rows_of(feed, dim), "x1": self._spread(feed), "x3": self._spread(feed),
            "x1s": self._spread(feed), "feed": ceil_div(feed, LANES * BUFFER), "w2": self._rows_of(dim, feed),
        }  # fmt: skip
        self.row, at = {}, 0
        for name, count in rows.items():
            self.row[name], at = at, at + count

    def _rows_of(self, outputs: int, inputs: int) -> int:
        return ceil_div(outputs, self.banks) * ceil_div(inputs, BUFFER)

    def _spread(self, values: int) -> int:
        return ceil_div(values // self.banks, BUFFER)

    def lines(self) -> Iterator[str]:
        """The program."""
        yield from self._norm("x", "x_copy", "norm", (0, 1))
        yield from self._gemv("wq", self.dim, self.dim)
        yield from self._gemv("wk", self.dim, 128 * self.kv_heads)
        yield from self._gemv("wv", self.dim, 128 * self.kv_heads)
        yield from self._rope()
        yield from self._append()
        yield from self._scores()
        yield from self._softmax()
        yield from self._softmax()
        yield from self._values()
        yield from self._gemv("wo", self.dim, self.dim)
        yield f"AiM EWADD {self.dim // LANES} 0 0"
        yield from self._norm("sa_copy", "sa_copy", "feed_norm", (1, 0))
        yield from self._gemv("w1", self.dim, self.feed, activated=True)
        yield from self._gemv("w3", self.dim, self.feed)
        yield from self._gate()
        yield from self._gemv("w2", self.feed, self.dim)
        yield f"AiM EWADD {self.dim // LANES} 0 0"
        yield "AiM EOC"

    def _host(self, kind: str, step: int, first: int, count: int, row: str, size: int) -> Iterator[str]:
        """Bursts of `size` values a bank, of every step-th bank from `first` on."""
        for _ in range(ceil_div(size, LANES)):
            for number in range(first, first + step * count, step):
                yield from self._burst(kind, number, self.row[row])

    def _burst(self, kind: str, number: int, row: int) -> Iterator[str]:
        """The same in every block."""
        for block in range(self.blocks):
            yield f"{kind} MEM {number % 512 // LANES + self.channels * block} {number % LANES} {row}"

    def _gemv(self, name: str, inputs: int, outputs: int, activated: bool = False) -> Iterator[str]:
        each, segments = ceil_div(outputs, self.banks), pieces(ceil_div(inputs, LANES), BUFFER // LANES)
        used = ceil_div(ceil_div(outputs, each), LANES)
        mask = f"{mask_of(32 // used * used):#x}"
        rounds = pieces(each, ceil_div(each, ceil_div(each, 16 if activated else 32)))
        for segment, size in enumerate(segments):
            yield f"AiM WR_GB {size} 0 {mask}"
            done = 0
            for count in rounds:
                yield from [f"AiM WR_BIAS 0 {mask}"] * count
                for output in range(done, done + count):
                    yield f"AiM MAC_ABK {size} {mask} {self.row[name] + output * len(segments) + segment}"
                if activated and segment == len(segments) - 1:
                    yield from [f"AiM AF {mask}", f"AiM RD_AF 0 {mask}"] * count
                yield from [f"AiM RD_MAC 0 {mask}"] * count
                done += count

    @staticmethod
    def _product(mask: str, size: int, row: int) -> Iterator[str]:
        yield from (f"AiM WR_BIAS 0 {mask}", f"AiM MAC_ABK {size} {mask} {row}", f"AiM RD_MAC 0 {mask}")

    def _copy(self, size: int, source: str, target: str) -> Iterator[str]:
        for bank in (2, 6, 10, 14):
            yield f"AiM COPY_BKGB {size} {self.all} {bank} {self.row[source]}"
            yield f"AiM COPY_GBBK {size} {self.all} {bank - 1} {self.row[target]}"

    def _multiply(self, size: int, row: int) -> Iterator[str]:
        for part in pieces(size, BUFFER // LANES):  # CENT has one EWMUL over more columns than a row has
            yield f"AiM EWMUL {part} {self.all} {row}"

    def _norm(self, vector: str, copied: str, weights: str, order: tuple[int, int]) -> Iterator[str]:
        pair, group = ceil_div(self.dim, self.banks // 2), ceil_div(self.dim, self.banks // 4)
        pairs, groups, size = ceil_div(self.dim, pair), ceil_div(self.dim, group), ceil_div(group, LANES)
        for first in (0, 1):
            yield from self._host("W", 2, first, pairs, vector, pair)
        yield from self._product(self.all, ceil_div(pair, LANES), self.row[vector])
        for first in order:
            yield from self._host("W", 4, first, groups, copied, group)
        yield from self._multiply(size, self.row[copied])
        yield from self._copy(size, copied, weights)
        yield from self._multiply(size, self.row[weights])
        yield from self._host("R", 4, 2, groups, weights, group)
        yield "AiM SYNC"

    def _rope(self) -> Iterator[str]:
        group = ceil_div(self.dim, self.banks // 4)
        parts = (
            ("xq", group, self.dim // LANES),
            ("xk", group // self.query_group, self.dim // self.query_group // LANES),
        )
        for first in (1, 2):
            for row, size, _ in parts:
                yield from self._host("W", 4, first, ceil_div(self.dim, group), row, 2 * size)
            for row, _, size in parts if first == 1 else ():
                yield from self._multiply(size, self.row[row])

    def _append(self) -> Iterator[str]:
        token = self.context - 1
        for part in range(self.kv_rows):
            row = self.row["K"] + token // self.banks * self.kv_rows + part
            for block in range(self.blocks):
                number = token % self.banks
                yield from [f"W MEM {number // LANES + self.channels * block} {number % LANES} {row}"] * 64
        slots = ceil_div(self.kv_heads, self.channels)
        for slot in range(slots):
            for part in range(8):
                row = self.row["V"] + 32 * slot + 4 * part + (token - 1) // BUFFER
                for channel in range(self.channels):
                    if channel * slots + slot < self.kv_heads:
                        yield f"AiM WR_ABK 0 {1 << (31 - channel):#x} {row}"

    def _scores(self) -> Iterator[str]:
        for part in range(self.kv_rows):
            for number, tokens in enumerate(pieces(self.context, self.banks)):
                used = ceil_div(tokens, LANES)
                mask = f"{mask_of(32 // used * used):#x}"
                for _ in range(self.query_group):
                    yield f"AiM WR_GB 64 0 {mask}"
                    for _ in range(8):
                        yield from self._product(mask, 8, self.row["K"] + number * self.kv_rows + part)

    def _softmax(self) -> Iterator[str]:
        slots, rows = ceil_div(self.heads, 4 * self.channels), pieces(self.context, BUFFER)

        def host(kind: str, first: int) -> Iterator[str]:
            for part, length in enumerate(rows):
                for slot in range(slots):
                    held = ceil_div(self.heads - slot, slots)  # groups of banks that have this head
                    for _ in range(ceil_div(length, LANES)):
                        for number in range(first, min(self.banks, first + 4 * held), 4):
                            yield from self._burst(kind, number, self.row["scores"] + slot * len(rows) + part)

        yield from host("W", 0)
        yield from host("W", 1)
        for slot in range(slots):
            for part, length in enumerate(rows):
                yield from self._multiply(ceil_div(length, LANES), self.row["scores"] + slot * len(rows) + part)
        yield from host("R", 2)
        yield "AiM SYNC"

    def _values(self) -> Iterator[str]:
        for slot in range(ceil_div(self.kv_heads, self.channels)):
            for _ in range(self.query_group):
                for part, length in enumerate(pieces(self.context, BUFFER)):
                    size = ceil_div(length, LANES)
                    yield f"AiM WR_GB {size} 0 {self.all}"
                    for column in range(8):
                        yield from self._product(self.all, size, self.row["V"] + 32 * slot + 4 * column + part)

    def _gate(self) -> Iterator[str]:
        group = ceil_div(self.feed, self.banks // 4)
        groups, size = ceil_div(self.feed, group), ceil_div(group, LANES)
        for first in (0, 1):
            yield from self._host("W", 4, first, groups, "x1s", group)
        yield from self._multiply(size, self.row["x1s"])
        yield from self._copy(size, "x1s", "x1s")
        yield from self._host("W", 4, 0, groups, "x1s", group)
        yield from self._multiply(size, self.row["x1s"])
        yield from self._host("R", 4, 2, groups, "x1s", group)
        yield "AiM SYNC"


def main(folder: str) -> None:
    """Write all programs to a folder."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, lines in programs(device_of(pimsim.load_config(CONFIG))):
        path = Path(folder, f"{name.lower().replace(' ', '-').replace(',', '')}.aim")
        print(f"{path}: {write(path, lines):,} lines")


if __name__ == "__main__":
    main(*sys.argv[1:])
