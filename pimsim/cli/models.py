"""`pimsim models`."""

from __future__ import annotations

import click


@click.command()
def models() -> None:
    """List the built-in models and baselines."""
    from pimsim.baselines import devices
    from pimsim.workload.models import MODELS

    click.echo(f"{'model':<14}{'layers':>8}{'d_model':>9}{'heads':>7}{'d_ff':>8}{'parameters':>17}")
    for name, shape in MODELS.items():
        click.echo(
            f"{name:<14}{shape.layers:>8}{shape.d_model:>9}{shape.heads:>7}{shape.d_ff:>8}{_parameters(name):>17,}"
        )
    click.echo("parameters: of the decoder blocks, without embeddings and LM head")
    click.echo()
    click.echo("baseline")
    for name in devices.available():
        click.echo(f"{name:<16}{devices.load(name).description}")


def _parameters(name: str) -> int:
    from pimsim.workload.models import MODELS, build

    return build(MODELS[name], lm_head=False).parameters
