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
from pimsim.devices.aim.isa import line_of, mask_of
from pimsim.devices.registry import device_of
from pimsim.dram.timing import Device
from pimsim.reproduce.cent.models import MODELS, Place, ceil_div
from pimsim.reproduce.cent.programs import block as cent_block
from pimsim.reproduce.cent.programs import instructions

CONFIG = Path(__file__).parent.parent / "configs" / "aim-reference.yaml"
BUFFER = 1024  # values that the global buffer holds
LANES = 16  # values of a column


def programs(device: Device) -> Iterator[tuple[str, Iterable[str]]]:
    """Programs as lines."""
    block = [*map(line_of, instructions(cent_block(MODELS["Llama2-7B"], Place(8), 4096)))]
    yield "GEMV 4096 x 4096", gemv.text(4096, 4096, 32, device).splitlines()
    yield "GPT2-XL layer", layer(1600, 25, 1024, 8, (), ((6400, 1600), (1600, 6400)))
    yield "Llama-7B layer", layer(4096, 32, 1024, 32, ((11008, 4096),), ((11008, 4096), (4096, 11008)))
    yield "CENT block, PIM alone", (line for line in block if " MEM " not in line)
    yield "CENT block", block
    yield "50,000 mixed", mixed(50_000)


def write(path: Path, lines: Iterable[str]) -> int:
    """How many lines were written."""
    with path.open("w") as file:
        return sum(1 for line in lines if file.write(f"{line}\n"))


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


def main(folder: str) -> None:
    """Write all programs to a folder."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, lines in programs(device_of(pimsim.load_config(CONFIG))):
        path = Path(folder, f"{name.lower().replace(' ', '-').replace(',', '')}.aim")
        print(f"{path}: {write(path, lines):,} lines")


if __name__ == "__main__":
    main(*sys.argv[1:])
