"""How much of what the roofline allows a placement of weights reaches: PIMnast's mark, on PIM-GPT's memory.

PIMnast's own machine is a SoC with memory that multiplies, and its roofline 7 times a processor's pins.  What can be
compared is the share: the time at which every row that holds weights is opened, multiplied and closed without a gap,
in every bank at once, over the time that the placement takes for the whole product.
"""

from __future__ import annotations

from collections.abc import Iterable

from pimsim.config.schema import Config
from pimsim.reproduce.data import Input
from pimsim.reproduce.devices import measures
from pimsim.reproduce.devices.study import Keys, Study, case, of_config
from pimsim.workload.models import MODELS, build

DEVICE = "pim-gpt"
FAMILY = ("gpt3-small", "gpt3-medium", "gpt3-large", "gpt3-xl")
LONG = 4096  # inputs and outputs of the product that the pace of rows is taken from


def share(keys: Keys) -> float:
    """The best of the products of some models, as the mark is "up to"."""
    config = measures.multiplying(DEVICE, of_config(keys))
    pace = _pace(config, case(keys, "rows", True))
    sizes = _products(case(keys, "models", FAMILY))
    return max(measures.product_GBps(config, *size) for size in sizes) / pace


def _products(models: Iterable[str]) -> set[tuple[int, int]]:
    """Inputs and outputs of every product of the models' blocks."""
    graphs = [build(MODELS[model], lm_head=False) for model in models]
    return {(o.inputs, o.outputs) for graph in graphs for o in graph.operators if o.op == "linear"}


def _pace(config: Config, rows: bool) -> float:
    """Bytes per ns: of rows one after another, or of the columns of one row alone."""
    dram = config.dram
    if not rows:
        return measures.inside_GBps(config, LONG, LONG)
    every = dram.row_bytes * dram.bank_groups * dram.banks_per_group * dram.channels
    return every / measures.row_ns(config, LONG, LONG)


ROWS = Input("rows in the roofline", ("case.rows",), False, True, "assumed", "whether 7 counts the opening of rows")
REFRESH = Input("refresh", ("dram.refresh",), "none", "all_bank", "assumed", "whether the paper's figures have it")
SIZES = Input("models", ("case.models",), FAMILY[:1], ("mistral-7b",), "assumed", "the paper's are not those here")

STUDIES = (
    Study(
        "pimnast.share",
        share,
        (ROWS, REFRESH, SIZES),
        "PIM-GPT's placement against rows that are opened, multiplied and closed without a gap. Lost are refresh, the "
        "input on its way to the buffers, and sums on their way back; the best product fills the buffers once.",
    ),
)
