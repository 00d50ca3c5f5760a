"""`pimsim trace speculative` and its like: ready-made schedules, each named for its paper."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from pimsim.cli.say import emit, listed, say
from pimsim.cli.trace import options_named

_F = TypeVar("_F", bound=Callable[..., Any])
_POSITIVE = click.IntRange(1)

_acceptance = click.option(
    "--acceptance",
    metavar="NAME|NUMBERS",
    help="Tokens kept in a step: a name (`pimsim trace mechanisms`), their mean (2.5), the chance of each draft "
    "(0.7,0.5,0.4), or `all`. [default: published for the mechanism]",
)
_tree = click.option(
    "--tree", metavar="NAME", help="A tree of drafts (`pimsim trace mechanisms`). [default: the mechanism's]"
)
_drafts = click.option("--drafts", type=_POSITIVE, help="Drafts in a cycle. [default: the mechanism's]")
_heads = click.option("--heads", type=_POSITIVE, help="Heads. [default: one for each depth of the tree, 4 at least]")
_skip = click.option("--skip", metavar="SHARE|NUMBER", help="Layers that are left out. [default: half of them]")
_hypotheses = click.option("--hypotheses", type=_POSITIVE, help="Hypotheses of a prompt. [default: the mechanism's]")


def _common(target: str | None = None, prompt: int = 128, tokens: bool = True) -> Callable[[_F], _F]:
    """The options that all of them have; target: the model where none is given."""

    needed: dict[str, Any] = {"required": True}

    def add(command: _F) -> _F:
        options = [
            click.option(
                "--target", **(needed if target is None else {"default": target, "show_default": True}),
                metavar="MODEL|TRACE", help="A built-in model (`pimsim models`), or the model of a trace.",
            ),
            click.option("--out", required=True, metavar="FILE", help="The trace, gzip if it ends in .gz."),
            click.option(
                "--prompt", type=click.IntRange(0), default=prompt, show_default=True,
                help="Tokens that are prefilled first.",
            ),
            click.option(
                "--context", type=click.IntRange(0), default=0, show_default=True,
                help="Tokens before the prompt, whose K and V are there already.",
            ),
            click.option("--batch", type=_POSITIVE, default=1, show_default=True, help="Sequences."),
            click.option(
                "--positions", type=_POSITIVE,
                help="Give the model room for so many positions. [default: as many as it has]",
            ),
        ]  # fmt: skip
        if tokens:
            help_ = "Tokens to keep, of each sequence: as many cycles as keep that many."
            options.insert(1, click.option("--tokens", type=_POSITIVE, default=64, show_default=True, help=help_))
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _write(
    name: str, target: str, out: str, prompt: int, context: int, batch: int, tokens: int = 1,
    **own: Any,
) -> None:  # fmt: skip
    """Make the trace, write it, and say what it rests on."""
    from pimsim.workload.decoding.builders import BUILDERS
    from pimsim.workload.decoding.data import mechanisms
    from pimsim.workload.decoding.source import source_of, with_positions
    from pimsim.workload.decoding.steps import Asked
    from pimsim.workload.trace.writer import write_trace

    with options_named():
        asked = Asked(prompt, tokens, batch, context)
        draft = own.pop("draft", None)
        if draft is not None:
            own["draft"] = source_of(draft, "--draft")
        model, positions = source_of(target, "--target"), own.pop("positions")
        made = BUILDERS[name](with_positions(model, positions) if positions else model, asked, **own)
        path = write_trace(made, out)
    say(f"wrote {path} ({path.stat().st_size:,} bytes)")
    producer = made.header.producer
    for key in ("schedule", "paper", "tree", "acceptance", "heads", "prefix", "scales", "block", "hypotheses"):
        if key in producer:
            say(f"{key:<12}{producer[key]}")
    say(f"{'steps':<12}{sum(line.steps for line in made.schedule):,} in {len(made.schedule)} lines of the schedule")
    say(f"{'run':<12}pimsim run pim-gpt --set workload.trace={path} --set workload.lm_head=true")
    listed("left out:", mechanisms()[name].left_out)


@click.command()
@_common()
@click.option(
    "--draft", metavar="MODEL|TRACE", help="The model that drafts. [default: none; drafts are looked up at no cost]"
)
@_drafts
@_tree
@_acceptance
def speculative(**given: Any) -> None:
    """A small model drafts, the model checks.

    Speculative decoding, Leviathan et al. 2023.
    """
    _write("speculative", **given)


@click.command()
@_common()
@_tree
@_acceptance
def recycling(**given: Any) -> None:
    """Token Recycling: a tree of tokens is looked up.

    Luo et al. 2024.
    """
    _write("recycling", **given)


@click.command()
@_common()
@_heads
@_tree
@_acceptance
def medusa(**given: Any) -> None:
    """Medusa: more heads guess later tokens.

    Cai et al. 2024.
    """
    _write("medusa", **given)


@click.command()
@_common()
@_heads
@_tree
@_acceptance
def hydra(**given: Any) -> None:
    """Hydra: heads read what earlier heads chose.

    Ankner et al. 2024.
    """
    _write("hydra", **given)


@click.command()
@_common()
@_tree
@_acceptance
def eagle(**given: Any) -> None:
    """EAGLE-2: one layer drafts a tree.

    Li et al. 2024.
    """
    _write("eagle", **given)


@click.command()
@_common()
@click.option("--exit-layer", type=_POSITIVE, help="Layers that draft. [default: 2]")
@_drafts
@_acceptance
def kangaroo(**given: Any) -> None:
    """Kangaroo: the first layers draft, the others check.

    Liu et al. 2024.
    """
    _write("kangaroo", **given)


@click.command()
@_common()
@_skip
@_drafts
@_acceptance
def swift(**given: Any) -> None:
    """SWIFT: the model drafts without some layers.

    Xia et al. 2024.
    """
    _write("swift", **given)


@click.command()
@_common()
@_skip
def layer_skip(**given: Any) -> None:
    """The same layers are left out for every token.

    Unified layer skipping, Liu et al. 2024.
    """
    _write("layer-skip", **given)


@click.command()
@_common()
@click.option(
    "--exits",
    metavar="LAYERS:TOKENS,...",
    help="How many tokens in turn leave after how many layers, or after which share of them. "
    "[default: 1/4:1,1/2:1,3/4:1]",
)
def early_exit(**given: Any) -> None:
    """MuE: a token leaves the model early.

    Tang et al. 2023.
    """
    _write("early-exit", **given)


@click.command()
@_common()
@_hypotheses
@click.option(
    "--reorder", metavar="SHARE", help="Of the hypotheses, how many go on from another's tokens. [default: 0.25]"
)
def beams(**given: Any) -> None:
    """Beam search: hypotheses share a prompt.

    Vijayakumar et al. 2016.
    """
    _write("beams", **given)


@click.command()
@_common()
@_hypotheses
def superposed(**given: Any) -> None:
    """Superposed Decoding: several drafts in one pass.

    Shen et al. 2024.
    """
    _write("superposed", **given)


@click.command()
@_common()
@click.option(
    "--streaming", metavar="SHARE", help="Heads that stream. [default: 0.75, 0.5 where queries share heads of K and V]"
)
@click.option("--sinks", type=click.IntRange(0), help="First tokens that they see. [default: 64]")
@click.option("--recent", type=_POSITIVE, help="Newest tokens that they see. [default: 256]")
def duo_attention(**given: Any) -> None:
    """DuoAttention: some heads see all, others stream.

    Xiao et al. 2024.
    """
    _write("duo-attention", **given)


@click.command()
@_common()
@click.option("--prefix", type=click.IntRange(0), help="Tokens of the image, before the prompt. [default: 576]")
@click.option("--keep", type=click.IntRange(0), help="How many of them are kept. [default: 192]")
@click.option(
    "--when", type=click.Choice(("before", "after")), default="after", show_default=True,
    help="Dropped before the model, or when the prompt is done.",
)  # fmt: skip
def drop_prefix(**given: Any) -> None:
    """Most tokens of an image are dropped.

    MustDrop, Liu et al. 2024; TokenCarve, Tan et al. 2025.
    """
    _write("drop-prefix", **given)


@click.command()
@_common()
@click.option("--block", type=_POSITIVE, help="Tokens of a block. [default: 4]")
def block_transformer(**given: Any) -> None:
    """Block Transformer: half of the layers run over blocks.

    Ho et al. 2024.
    """
    _write("block-transformer", **given)


@click.command()
@_common("var-d16", prompt=0, tokens=False)
@click.option("--scales", metavar="N,N,...", help="Sides of the maps. [default: 1,2,3,4,5,6,8,10,13,16]")
def next_scale(**given: Any) -> None:
    """VAR: an image in ever larger maps of tokens.

    Tian et al. 2024.
    """
    _write("next-scale", **given)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on standard output.")
def mechanisms(as_json: bool) -> None:
    """List ready-made schedules, acceptances and trees.

    Each comes with its source.
    """
    from pimsim.workload.decoding import data

    if as_json:
        emit(json.dumps(data.as_dict(), indent=2))
        return
    for mechanism in data.mechanisms().values():
        say(f"{mechanism.name}: {mechanism.paper}")
        say(f"  {mechanism.what}")
        for option, stated in mechanism.defaults.items():
            say(f"  {option.replace('_', ' ')} {stated.value} ({stated.label}: {stated.source})")
    say("\nacceptances, in tokens kept in a step")
    for statistic in data.acceptances().values():
        mean = f"{float(statistic.acceptance.mean):.4g}"
        say(f"  {statistic.name:<22}{mean:>7}  ({statistic.label}: {statistic.source})")
    say("\ntrees, in nodes at each depth")
    for tree in data.trees().values():
        say(f"  {tree.name:<14}{'/'.join(map(str, tree.levels)):<18}({tree.label}: {tree.source})")
