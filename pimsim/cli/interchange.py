"""`pimsim trace import` and `pimsim trace chakra`: traces from and to other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pimsim.cli.options import traces
from pimsim.cli.say import listed, say

if TYPE_CHECKING:
    from pimsim.workload.trace.records import Trace


@click.command("import")
@click.argument("file")
@click.option("--out", required=True, metavar="FILE", help="The trace, gzip if it ends in .gz.")
@click.option(
    "--name", default="imported", show_default=True, help="Name of the model; a Chakra ET from pimsim has one."
)
@click.option(
    "--steps", type=click.IntRange(1), default=1024, show_default=True, help="Decode steps; a profile has one."
)
def import_trace(file: str, out: str, name: str, steps: int) -> None:
    """Turn a profile or a Chakra graph into a trace.

    FILE is a PyTorch execution trace, Kineto JSON or MLCommons Chakra ET.
    """
    from pimsim.workload.interchange import import_file
    from pimsim.workload.trace.writer import write_trace

    imported = import_file(file, name, steps)
    write_trace(imported.trace, out)
    model = imported.trace.header.model
    say(
        f"{out}: {model.layers} layers, d_model {model.d_model}, {model.heads} heads ({model.kv_heads} of K and V), "
        f"from {imported.source}"
    )
    listed(f"not in {imported.source}:", imported.notes)


@click.command("chakra")
@click.argument("file", shell_complete=traces)
@click.option("--out", required=True, metavar="FILE", help="The Chakra ET, such as model.0.et.")
@click.option(
    "--tensor", type=click.IntRange(1), default=1, show_default=True,
    help="Devices that matrices and heads are cut over: FILE is what each of them runs, with its collectives.",
)  # fmt: skip
def to_chakra(file: str, out: str, tensor: int) -> None:
    """Write the trace FILE, or the shipped one of that name, as an MLCommons Chakra ET."""
    from pimsim.config.shipped import TRACES, find
    from pimsim.workload.interchange import export_chakra
    from pimsim.workload.trace.reader import load_trace

    trace = load_trace(find(file, shelf=TRACES))
    lost = export_chakra(trace, out) if tensor == 1 else _share(trace, out, tensor)
    say(f"wrote {out}")
    listed("not expressed in Chakra ET:", lost)


def _share(trace: Trace, out: str, tensor: int) -> tuple[str, ...]:
    """Write what one of several devices runs in the last step of a trace."""
    from pimsim.cli.problems import option_problem
    from pimsim.errors import InputError
    from pimsim.workload.interchange import export_share
    from pimsim.workload.parallel.tensor import tensor_cut
    from pimsim.workload.trace.bind import workload_of
    from pimsim.workload.trace.records import BATCH, CONTEXT

    try:
        share = tensor_cut(workload_of(trace), tensor)
    except InputError as error:
        raise InputError(p if p.file else option_problem("--tensor", p.message) for p in error.problems) from None
    last = trace.schedule[-1].binding(trace.schedule[-1].last) if trace.schedule else {CONTEXT: 1024, BATCH: 1}
    return export_share(share, out, last[CONTEXT], last[BATCH])
