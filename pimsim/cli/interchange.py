"""`pimsim trace import` and `pimsim trace chakra`: traces from and to other tools."""

from __future__ import annotations

import click

from pimsim.cli.options import traces
from pimsim.cli.say import listed, say


@click.command("import")
@click.argument("file")
@click.option("--out", required=True, metavar="FILE", help="The trace, gzip if it ends in .gz.")
@click.option(
    "--name", default="imported", show_default=True, help="Of the model; a Chakra ET of pimsim's has its own."
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
def to_chakra(file: str, out: str) -> None:
    """Write the trace FILE, or the shipped one of that name, as an MLCommons Chakra ET."""
    from pimsim.config.shipped import TRACES, find
    from pimsim.workload.interchange import export_chakra
    from pimsim.workload.trace.reader import load_trace

    lost = export_chakra(load_trace(find(file, shelf=TRACES)), out)
    say(f"wrote {out}")
    listed("not expressed in Chakra ET:", lost)
