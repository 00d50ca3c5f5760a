"""`pimsim models` and `pimsim devices`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from pimsim.cli.say import emit, say

if TYPE_CHECKING:
    from pimsim.registry import Registry
    from pimsim.workload.shapes import ModelShape


@click.command()
def models() -> None:
    """List the models and baselines, built in and registered."""
    from pimsim.baselines import devices
    from pimsim.workload.models import MODELS

    say(f"{'model':<14}{'layers':>7}{'d_model':>9}{'heads':>10}{'d_ff':>8}{'parameters':>17}")
    for name, shape in MODELS.items():
        heads = f"{shape.heads}" if shape.heads == shape.kv_heads else f"{shape.heads} ({shape.kv_heads})"
        sizes = f"{name:<14}{shape.layers:>7}{shape.d_model:>9}{heads:>10}{shape.d_ff:>8}{_parameters(name):>17,}"
        say(f"{sizes}  {'; '.join(filter(None, (_extras(shape), _origin(MODELS, name))))}".rstrip())
    say("heads: of queries, and of K and V where they are fewer")
    say("parameters: of the decoder blocks, without embeddings and LM head")
    say()
    say(f"{'baseline':<16}{'memory':>8}")
    for name in devices.available():
        device = devices.load(name)
        capacity = device.memory.capacity
        memory = "" if capacity is None else f"{capacity.value:g} {capacity.unit}"
        about = "; ".join(filter(None, (device.description, _origin(devices.DEVICES, name))))
        say(f"{name:<16}{memory:>8}  {about}")
    say(f"NAMExN: N cards of one that share each step, {devices.MOST_CARDS} at most (gpu-h100x8)")
    say_what_is_missing()


def _parameters(name: str) -> int:
    from pimsim.workload.models import MODELS, build

    return build(MODELS[name], lm_head=False).parameters


def _extras(shape: ModelShape) -> str:
    """What a model has besides its sizes."""
    window = f"window {shape.window}" if shape.window else ""
    return window or (f"{shape.active} of {shape.experts} experts" if shape.experts > 1 else "")


def _origin(registry: Registry[Any], name: str) -> str:
    """Who registered a name, and how well what it means is known."""
    origin = registry.origin(name)
    return "" if origin is None else f"from {origin.name}{f' ({origin.source})' if origin.source else ''}"


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
    """List the memories, shipped and registered: what they multiply, and their configurations."""
    import json

    if table_schema:
        from pimsim.devices.written import json_schema

        emit(json.dumps(json_schema(), indent=2))
        return
    rows = list(_devices())
    if as_json:
        emit(json.dumps({"schema": "pimsim.devices/1", "devices": rows}, indent=2))
        say_what_is_missing()
        return
    say(f"{'dram.standard':<16}{'multiplies':<12}{'runs':<18}configurations")
    for row in rows:
        about = ", ".join(row["configurations"]) + (f"; from {row['from']}" if row["from"] else "")
        say(f"{row['standard']:<16}{row['multiplies'] or '-':<12}{row['command']:<18}{about}".rstrip())
    for name, pairs in ((name, pairs) for row in rows for name, pairs in row["pairs"].items()):
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


def _devices() -> Iterator[dict[str, Any]]:
    """A row per standard."""
    from pimsim.config.devices import CONFIGS
    from pimsim.config.schema import DeviceConfig
    from pimsim.devices.registry import HARDWARE
    from pimsim.formats import NATIVE_PAIR, PAIRS

    named = _configurations()
    for name, hardware in HARDWARE.items():
        kind, origin = CONFIGS[name], HARDWARE.origin(name)
        multiplies = any(command.multiplies for command in hardware.table.commands)
        units: Any = kind.model_fields.get("pim")  # whose first pair of formats is its own
        formats = units.annotation.model_fields["formats"].default if units else {}
        pair = PAIRS[next(iter(formats), NATIVE_PAIR)]
        yield {
            "standard": name,
            "multiplies": f"{pair.stored.name} x {pair.given.name}" if multiplies else None,
            "command": kind.COMMAND if issubclass(kind, DeviceConfig) else "pimsim run",
            "configurations": list(named.get(name, {})),
            "pairs": {config: pairs for config, pairs in named.get(name, {}).items() if pairs},
            "from": origin.name if origin else "",
        }


def _configurations() -> dict[str, dict[str, list[str]]]:
    """The names of configurations by their standard, with the pairs of formats that each lists; one that cannot be
    loaded has none.
    """
    from pimsim import api
    from pimsim.config.shipped import CONFIGURATIONS
    from pimsim.errors import InputError

    found: dict[str, dict[str, list[str]]] = {}
    for name, file in CONFIGURATIONS.items():
        try:
            config = api.load(file).config
        except InputError:
            continue
        units = getattr(config, "pim", None)
        found.setdefault(config.dram.standard, {})[name] = list(units.formats) if units else []
    return found
