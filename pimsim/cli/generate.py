"""`pimsim generate` and `pimsim accuracy`: a model's tokens on the simulated hardware."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from pimsim.cli.options import announce, config_argument, located_in, patience, progress_bar, set_option
from pimsim.cli.problems import option_problem, print_warnings
from pimsim.cli.prompts import least, prompt_options, the_prompt, the_weights, tokenizer_option, weights_option
from pimsim.cli.say import emit, say
from pimsim.errors import InputError

if TYPE_CHECKING:
    from pimsim.generation import Accuracy, Generation
    from pimsim.values.tokens.tokenizer import Tokenizer

WIDTH = 80


@click.command()
@config_argument
@set_option
@weights_option()
@tokenizer_option
@prompt_options
@click.option("--tokens", type=int, required=True, metavar="N", help="New tokens; an end token may end them sooner.")
@click.option(
    "--level",
    type=click.Choice(["fast", "commands"]),
    help="commands: carry out every command (the default up to 200 M parameters and 64 tokens); fast: a layer at a "
    "time.  Results are equal to the bit.",
)
@click.option("--json", "as_json", is_flag=True, help="Print tokens, agreement and summary, and nothing else.")
@click.option("--commands", metavar="FILE", help="Write every DRAM command to FILE (.csv, .csv.gz or .parquet).")
def generate(
    config: str,
    overrides: tuple[str, ...],
    weights: str,
    tokenizer: str | None,
    prompt: str | None,
    prompt_ids: str | None,
    tokens: int,
    level: Any,
    as_json: bool,
    commands: str | None,
) -> None:
    """Compute tokens of a model on CONFIG's hardware.

    A float32 reference computes them as well. The weights replace CONFIG's model; LM head, biases and norms are
    simulated.
    """
    from pimsim import api

    loaded = api.load(config, list(overrides))
    with located_in(loaded), patience():
        problems = [*least("--tokens", tokens)]
        if commands == "":
            problems.append(option_problem("--commands", "needs the name of a file, but it is empty"))
        if problems:
            raise InputError(problems)
        found = the_weights(weights)
        asked = the_prompt(found, prompt, prompt_ids, tokenizer)
        from pimsim.generation import generate as run

        with progress_bar() as progress:
            made = run(
                loaded, found, asked.ids, tokens, level=level, ends=asked.ends, log=commands, progress=progress,
                tell=lambda odd: print_warnings(odd, loaded.locate), announce=announce,
            )  # fmt: skip
    if as_json:
        emit(json.dumps(made.as_dict(asked.tokenizer.decode if asked.tokenizer else None), allow_nan=False, indent=2))
        return
    for line in _lines(made, asked.tokenizer):
        say(line)


@click.command()
@config_argument
@set_option
@weights_option()
@tokenizer_option
@click.option("--text", required=True, metavar="FILE", help="Text that the model reads (UTF-8).")
@click.option("--tokens", type=int, metavar="N", help="Read the first N tokens of it (default: all).")
@click.option("--json", "as_json", is_flag=True, help="Print perplexity, agreement and mean_kl, and nothing else.")
def accuracy(
    config: str,
    overrides: tuple[str, ...],
    weights: str,
    tokenizer: str | None,
    text: str,
    tokens: int | None,
    as_json: bool,
) -> None:
    """Measure perplexity over a text on CONFIG's hardware.

    A float32 reference reads the text as well.
    """
    from pimsim import api

    loaded = api.load(config, list(overrides))
    with located_in(loaded), patience():
        if problems := least("--tokens", tokens, 2):
            raise InputError(list(problems))
        found = the_weights(weights)  # says it where the extra is missing, which what follows imports
        from pimsim.generation import accuracy as measure
        from pimsim.generation.texts import ids_of

        ids = ids_of(text, found, tokenizer, tokens)
        made = measure(loaded, found, ids, lambda odd: print_warnings(odd, loaded.locate))
    if as_json:
        emit(json.dumps(made.as_dict(), allow_nan=False, indent=2))
        return
    for line in _accuracy_lines(made):
        say(line)


def _lines(made: Generation, tokenizer: Tokenizer | None) -> Iterator[str]:
    """What was said, token by token beside the reference; then how near, how long and what it took."""
    summary, system = made.result.summary, made.result.summary["system"]
    yield f"{summary['workload']['model']} on {made.result.config.name}"[:WIDTH]
    yield from _side_by_side(made, tokenizer)
    if tokenizer is not None:
        yield from _wrapped("said", tokenizer.decode(made.output_ids))
        if made.reference_ids != made.output_ids:
            yield from _wrapped("reference", tokenizer.decode(made.reference_ids))
    yield ""
    found, executed = made.measures, f"{made.commands_executed:,} commands carried out on values"
    error = f"largest error of a logit {found.max_abs_logit_error:.3g}"
    yield f"agreement {found.agreement:.1%}, mean KL {found.mean_kl:.2e}, {error}"
    yield f"level {made.level}: {executed if made.commands_executed else 'a layer at a time'}"
    latency, first = (system[name] / 1e3 for name in ("latency_per_token_ns", "ttft_ns"))
    yield f"latency {latency:,.1f} us a token, {first:,.1f} us to the first"
    yield f"energy {system['energy_per_token_pJ'] / 1e6:,.1f} uJ a token, without the prompt's"


def _side_by_side(made: Generation, tokenizer: Tokenizer | None) -> Iterator[str]:
    yield f"{'':>6}  {'here':<32}  {'reference':<32}"
    both = max(len(made.output_ids), len(made.reference_ids))
    for i in range(both):
        own, other = (ids[i] if i < len(ids) else None for ids in (made.output_ids, made.reference_ids))
        mark = " " if own == other else "*"
        yield f"{i + 1:>6}{mark} {_shown(own, tokenizer):<32}  {_shown(other, tokenizer):<32}".rstrip()


def _shown(token: int | None, tokenizer: Tokenizer | None) -> str:
    if token is None:
        return ""
    text = f" {tokenizer.backend.decode([token], skip_special_tokens=False)!r}" if tokenizer else ""
    return f"{token}{text}"[:32]


def _wrapped(what: str, text: str) -> Iterator[str]:
    from textwrap import wrap

    yield ""
    yield f"{what}:"
    for line in text.splitlines() or [""]:
        yield from (f"  {part}" for part in wrap(line, WIDTH - 2) or [""])


def _accuracy_lines(made: Accuracy) -> Sequence[str]:
    found = made.measures
    return [
        f"{made.tokens:,} tokens, {found.predicted:,} of them predicted",
        f"perplexity {found.perplexity:.4f}, of the reference {found.reference_perplexity:.4f}",
        f"agreement {found.agreement:.2%}, mean KL {found.mean_kl:.3e} nats",
    ]
