"""How much of what the roofline allows a placement of weights reaches: PIMnast's mark, on PIM-GPT's memory.

PIMnast's own machine is a SoC with memory that multiplies, and its roofline 7 times a processor's pins.  What can be
compared is the share: the time at which every row that holds weights is opened, multiplied and closed without a gap,
in every bank at once, over the time that the placement takes for the whole product.
"""

from __future__ import annotations

from pimsim.config.schema import Config
from pimsim.reproduce.data import Input
from pimsim.reproduce.devices import measures
from pimsim.reproduce.devices.study import Keys, Study, case, of_config
from pimsim.workload.models import MODELS, build

DEVICE = "pim-gpt"
FAMILY = ("gpt3-small", "gpt3-medium", "gpt3-large", "gpt3-xl")
LONG = 4096  # inputs and outputs of the product that the pace of rows is taken from
ELEMENT_BYTES = 2


def share(keys: Keys) -> float:
    """The best of the products of some models, as the mark is "up to"."""
    config = measures.multiplying(DEVICE, of_config(keys))
    chosen = case(keys, "models", FAMILY)
    sizes = {
        (o.inputs, o.outputs)
        for model in chosen
        for o in build(MODELS[model], lm_head=False).operators
        if o.op == "linear"
    }
    pace = _pace(config, case(keys, "rows", True))
    return max(_roofline(*size, pace) / measures.product_ns(config, *size) for size in sorted(sizes))


def _pace(config: Config, rows: bool) -> float:
    """Bytes per ns: of rows one after another, or of the columns of one row alone."""
    dram = config.dram
    if not rows:
        return measures.inside_GBps(config, LONG, LONG)
    every = dram.row_bytes * dram.bank_groups * dram.banks_per_group * dram.channels
    return every / measures.row_ns(config, LONG, LONG)


def _roofline(inputs: int, outputs: int, pace: float) -> float:
    return inputs * outputs * ELEMENT_BYTES / pace


ROWS = Input("rows in the roofline", ("case.rows",), False, True, "assumed", "whether 7 counts the opening of rows")
REFRESH = Input("refresh", ("dram.refresh",), "none", "all_bank", "assumed", "whether the paper's figures have it")
SIZES = Input("models", ("case.models",), FAMILY[:1], ("mistral-7b",), "assumed", "the paper's are not those here")

STUDIES = (
    Study(
        "pimnast.share",
        share,
        (ROWS, REFRESH, SIZES),
        "What is lost to the roofline: refresh, the input on its way to the buffers, and sums on their way back.",
    ),
)
