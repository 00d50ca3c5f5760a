"""The models that CENT runs, and how a model is split over devices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pimsim.errors import did_you_mean

HEAD = 128  # values of a head, of every model
CHANNELS = 32  # of a device
BANKS = 16  # of a channel
ROW = 1024  # values of a row of a bank, and of the global buffer
LANES = 144  # of PCIe, that the devices share


def ceil_div(a: int, b: int) -> int:
    """The least whole number that is not below a / b."""
    return -(-a // b)


@dataclass(frozen=True)
class Shape:
    """Sizes of a model, in values; heads of HEAD values.

    fewest: channels that its block takes at least.  devices: how many the published table has.
    """

    dim: int
    heads: int
    kv_heads: int
    ffn: int
    blocks: int = 1
    vocabulary: int = 32000
    fewest: int = 1
    devices: int = 1

    @property
    def keys(self) -> int:
        """Values of a token's K, and of its V."""
        return HEAD * self.kv_heads

    @property
    def group(self) -> int:
        """Query heads that share the K and V of a head."""
        return self.heads // self.kv_heads


MODELS = {
    "Llama2-7B": Shape(4096, 32, 32, 11008, 32, fewest=5, devices=8),
    "Llama2-13B": Shape(5120, 40, 40, 13824, 40, fewest=8, devices=20),
    "Llama2-70B": Shape(8192, 64, 8, 28672, 80, fewest=6, devices=32),
}


@dataclass(frozen=True)
class Place:
    """What a block lies on: `channels` of each of `tensor` devices.

    A device holds as many blocks as its channels allow; they run in lock step.
    """

    channels: int
    tensor: int = 1

    @property
    def blocks(self) -> int:
        """Blocks of a device that run in lock step."""
        return CHANNELS // self.channels

    @property
    def banks(self) -> int:
        """Banks of a block on one device."""
        return BANKS * self.channels

    @property
    def all_banks(self) -> int:
        """Banks of a block on all its devices."""
        return self.banks * self.tensor


@dataclass(frozen=True)
class Split:
    """A model on devices, as a row of the table names it.

    Two modes.  Pipeline: a stage for each block, several blocks on a device, each on
    `channels` of its channels.  Model parallel: each stage is `tensor` devices with all
    their channels, and runs the blocks of its share one after another.
    """

    model: str
    devices: int
    stages: int
    tensor: int
    channels: int

    @property
    def shape(self) -> Shape:
        """The model's sizes."""
        return MODELS[self.model]

    @property
    def place(self) -> Place:
        """What a block lies on."""
        return Place(self.channels, self.tensor)

    @property
    def in_pipeline(self) -> bool:
        """Whether each block is a stage; if each block has a device, both modes differ in transfers only."""
        return self.tensor == 1 and self.stages == self.shape.blocks

    @property
    def blocks_per_device(self) -> int:
        """Blocks that share a device's channels."""
        return ceil_div(self.shape.blocks, self.devices) if self.in_pipeline else 1

    @property
    def idles(self) -> bool:
        """Whether a program runs more blocks on a device than it has."""
        return self.place.blocks > self.blocks_per_device

    @property
    def devices_used(self) -> int:
        """Devices that hold a block, in pipeline mode."""
        return ceil_div(self.shape.blocks, self.blocks_per_device)

    @property
    def lanes(self) -> int:
        """PCIe lanes of a device."""
        return LANES // self.devices


def unknown(model: str) -> str:
    """Why a name is none of a model; nothing if it is one."""
    known = f"known: {', '.join(MODELS)}"
    return "" if model in MODELS else f"no model is called {model!r}{did_you_mean(model, MODELS)}; {known}"


def problems_of(split: Split) -> Iterator[tuple[str, str]]:
    """What is wrong with a split of a known model: the column of the row that says it, and why."""
    if not 1 <= split.devices <= LANES:
        yield "devices", f"must be 1 to {LANES}, not {split.devices}: each has one of {LANES} PCIe lanes at least"
        return
    yield from _pipeline_problems(split) if split.in_pipeline else _parallel_problems(split)
    if 1 <= split.channels < CHANNELS:
        yield from _narrow_problems(split)


def _narrow_problems(split: Split) -> Iterator[tuple[str, str]]:
    fewest, gate = split.shape.fewest, ceil_div(split.shape.ffn, 4 * ROW)
    if split.channels < fewest:
        yield "channels_per_block", f"a block of {split.model} takes {fewest} channels or more, not {split.channels}"
    elif split.channels < gate:
        what = f"on {split.channels} channels the gate of {split.model} takes two rows of a bank, which CENT never has"
        yield "channels_per_block", f"{what}; it takes {gate} or more"


def _pipeline_problems(split: Split) -> Iterator[tuple[str, str]]:
    each, most = split.blocks_per_device, CHANNELS // split.blocks_per_device
    if most < split.shape.fewest:
        what = f"{split.devices} devices hold {each} blocks each, with {most} channels for a block"
        yield "devices", f"{what}; one of {split.model} takes {split.shape.fewest} or more"
    elif not 1 <= split.channels <= most:
        what = f"must be 1 to {most}, not {split.channels}"
        yield "channels_per_block", f"{what}: {each} blocks share the {CHANNELS} channels of a device"


def _parallel_problems(split: Split) -> Iterator[tuple[str, str]]:
    devices, tensor, stages = split.devices, split.tensor, split.stages
    if tensor < 1 or devices % tensor:
        yield "tensor_parallel", f"must divide the {devices} devices, not {tensor}"
    elif stages * tensor != devices:
        also = f", or {split.shape.blocks}, one for each block" if tensor == 1 else ""
        what = f"must be {devices // tensor}, which is {devices} devices / {tensor} for each stage{also}"
        yield "pipeline_stages", f"{what}; not {stages}"
    if split.channels != CHANNELS:
        yield "channels_per_block", f"must be {CHANNELS}, all of a device, not {split.channels}"
