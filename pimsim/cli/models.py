"""`pimsim models`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pimsim.cli.say import say

if TYPE_CHECKING:
    from pimsim.workload.shapes import ModelShape


@click.command()
def models() -> None:
    """List the built-in models and baselines."""
    from pimsim.baselines import devices
    from pimsim.workload.models import MODELS

    say(f"{'model':<14}{'layers':>7}{'d_model':>9}{'heads':>10}{'d_ff':>8}{'parameters':>17}")
    for name, shape in MODELS.items():
        heads = f"{shape.heads}" if shape.heads == shape.kv_heads else f"{shape.heads} ({shape.kv_heads})"
        sizes = f"{name:<14}{shape.layers:>7}{shape.d_model:>9}{heads:>10}{shape.d_ff:>8}{_parameters(name):>17,}"
        say(f"{sizes}  {_extras(shape)}".rstrip())
    say("heads: of queries, and of K and V where they are fewer")
    say("parameters: of the decoder blocks, without embeddings and LM head")
    say()
    say(f"{'baseline':<16}{'memory':>8}")
    for name in devices.available():
        device = devices.load(name)
        capacity = device.memory.capacity
        memory = "" if capacity is None else f"{capacity.value:g} {capacity.unit}"
        say(f"{name:<16}{memory:>8}  {device.description}")


def _parameters(name: str) -> int:
    from pimsim.workload.models import MODELS, build

    return build(MODELS[name], lm_head=False).parameters


def _extras(shape: ModelShape) -> str:
    """What a model has besides its sizes."""
    window = f"window {shape.window}" if shape.window else ""
    return window or (f"{shape.active} of {shape.experts} experts" if shape.experts > 1 else "")
