"""`pimsim models` and `pimsim devices`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from pimsim.cli.say import emit, say

if TYPE_CHECKING:
    from pimsim.catalogue import Device, Machine, Model


@click.command()
def models() -> None:
    """List the models and baselines, built in and registered."""
    from pimsim import catalogue
    from pimsim.baselines.devices import MOST_CARDS

    say(f"{'model':<14}{'layers':>7}{'d_model':>9}{'heads':>10}{'d_ff':>8}{'parameters':>17}")
    for model in catalogue.models():
        heads = f"{model.heads}" if model.heads == model.kv_heads else f"{model.heads} ({model.kv_heads})"
        sizes = f"{model.name:<14}{model.layers:>7}{model.d_model:>9}{heads:>10}{model.d_ff:>8}{model.parameters:>17,}"
        say(f"{sizes}  {_about(model)}".rstrip())
    say("heads: of queries, and of K and V where they are fewer")
    say("parameters: of the decoder blocks, without embeddings and LM head")
    say()
    say(f"{'baseline':<16}{'memory':>8}")
    for machine in catalogue.machines():
        say(f"{machine.name:<16}{machine.memory:>8}  {_about(machine)}")
    say(f"NAMExN: N cards of one that share each step, {MOST_CARDS} at most (gpu-h100x8)")
    say_what_is_missing()


def _about(row: Model | Machine) -> str:
    return "; ".join(filter(None, (row.about, row.origin and f"from {row.origin}")))


def say_what_is_missing() -> None:
    """A line on standard error for each package whose names are not there."""
    from pimsim.cli.problems import print_warnings
    from pimsim.errors import Problem
    from pimsim.registry import load_plugins

    print_warnings([Problem("pimsim", 1, 1, home, f"cannot be loaded: {why}") for home, why in load_plugins().items()])


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on standard output.")
@click.option("--table-schema", is_flag=True, help="Print the JSON Schema of a table file, for editors.")
def devices(as_json: bool, table_schema: bool) -> None:
    """List the memories and what they multiply.

    Each with its configurations; registered memories are included.
    """
    import json

    from pimsim import catalogue

    if table_schema:
        from pimsim.devices.written import json_schema

        emit(json.dumps(json_schema(), indent=2))
        return
    found = catalogue.devices()
    if as_json:
        emit(json.dumps({"schema": "pimsim.devices/1", "devices": [*map(_record, found)]}, indent=2))
        say_what_is_missing()
        return
    width = max(16, *(len(device.name) + 2 for device in found))
    say(f"{'dram.standard':<{width}}{'multiplies':<12}{'runs':<18}configurations")
    for device in found:
        about = ", ".join(device.configurations) + (f"; from {device.origin}" if device.origin else "")
        line = f"{device.name:<{width}}{device.multiplies or '-':<12}{device.command:<18}{about}"
        say(textwrap.fill(line, 80, subsequent_indent=" " * (width + 30), break_on_hyphens=False))
    for name, pairs in ((name, pairs) for device in found for name, pairs in device.pairs.items()):
        say(textwrap.fill(f"{name} multiplies {', '.join(pairs)}", 80, subsequent_indent="  "))
    say(
        textwrap.fill(
            "multiplies: the formats of weights and vectors, in units in the banks, of configurations without a line "
            "of their own; runs: the command for it "
            "(`pimsim traffic` for plain reads and writes)",
            80,
        )
    )
    say_what_is_missing()


def _record(device: Device) -> dict[str, Any]:
    """A device as JSON has it."""
    return {
        "standard": device.name,
        "multiplies": device.multiplies,
        "command": device.command,
        "configurations": device.configurations,
        "pairs": device.pairs,
        "from": device.origin,
    }
