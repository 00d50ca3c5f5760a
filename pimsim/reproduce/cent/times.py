"""Time of a token from the cycles of its programs: near-memory units, links, stages.  All times in ms.

Nothing overlaps, and nothing queues: what is not a program is a formula.
"""

from __future__ import annotations

from dataclasses import dataclass

from pimsim.reproduce.cent.models import Shape, Split, ceil_div

CLOCKS_PER_MS = 2_000_000  # 2 GHz
SAMPLING_MS = 0.15  # on the host, once a token

# Near-memory units of a device (PNM), in clocks.
_UNITS = 32  # adders of 16 lanes, exponent units of 16 lanes, reduction trees
_LANES = 16
_ADD, _EXPONENT = 2 * 32 + 1 + 1, 32 + 11 + 1  # of a vector: reads, operation, write
_RMS_TAIL = 3 + 26  # of an RMSNorm: its sum, and what the cores do with it
_SUM_OF_A_HEAD = 1 + 16 + 2 / 8 + 1  # reduction, cores, write
_ROTARY = 3 / 8  # of a value, on 8 cores

# Links (CXL).
_SETUP_MS = (4 * 25 + 2 * 30 + 20) / 1e6  # four ports, the PCIe latency twice, the switch
_FLIT_BYTES, _MESSAGES, _MESSAGE_BYTES = 256, 3, 64
_LANE_BYTES_PER_MS = 4 * 2**30 / 1000  # 8 GB/s, halved for multicast; 1 GB taken as 2^30


def pnm_cycles(shape: Shape, context: int) -> float:
    """Clocks of a block on the near-memory units: two norms, softmax, rotary positions."""
    norms = 2 * (shape.dim / 256 / _UNITS * _ADD + _RMS_TAIL)
    scores = context * shape.heads / _LANES / _UNITS
    softmax = scores * (_EXPONENT + _ADD) + shape.heads * _SUM_OF_A_HEAD
    return norms + softmax + (1 + 1 / shape.group) * shape.dim * _ROTARY


def pnm_ms(split: Split, context: int) -> float:
    """Time of a block's near-memory units, which the blocks of a device share."""
    return pnm_cycles(split.shape, context) / CLOCKS_PER_MS * split.blocks_per_device


def cxl_ms(split: Split) -> float:
    """Time of a block's transfers."""
    shape = split.shape
    if split.in_pipeline:
        return _transfer(split, _flits(shape.dim))
    narrow = _broadcast(split, shape.dim) + _gather(split, shape.dim)
    return 5 * narrow + _gather(split, shape.ffn) + _broadcast(split, shape.ffn)


def _broadcast(split: Split, values: int) -> float:
    return _transfer(split, _flits(values))


def _gather(split: Split, values: int) -> float:
    """Each of the other devices sends its share."""
    return _transfer(split, _flits(values, split.tensor) * (split.tensor - 1))


def _flits(values: int, shares: int = 1) -> int:
    """Flits of a share of some BF16 values."""
    return ceil_div(2 * values, shares * _MESSAGE_BYTES * _MESSAGES)


def _transfer(split: Split, flits: int) -> float:
    return _SETUP_MS + flits * _FLIT_BYTES / (split.lanes * _LANE_BYTES_PER_MS)


@dataclass(frozen=True)
class Times:
    """What a token takes, ms; the names are those of the table."""

    pim_ms: float
    cxl_ms: float
    pnm_ms: float
    block_ms: float
    embedding_ms: float
    token_ms: float
    tokens_per_s: float


def times(split: Split, context: int, pim_cycles: int, embedding_cycles: int) -> Times:
    """Times of a token at a context, from the cycles of a block's program and of the embedding's.

    Each stage has a token in flight.
    """
    pim, cxl, pnm = pim_cycles / CLOCKS_PER_MS, cxl_ms(split), pnm_ms(split, context)
    block, embedding = pim + cxl + pnm, embedding_cycles / CLOCKS_PER_MS
    token = split.shape.blocks * block + embedding + SAMPLING_MS
    return Times(pim, cxl, pnm, block, embedding, token, 1000 / token * split.stages)
