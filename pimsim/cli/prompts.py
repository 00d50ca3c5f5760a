"""Options of the commands that run a model's weights: which, and what they are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from pimsim.cli.problems import option_problem
from pimsim.errors import InputError, Problem

if TYPE_CHECKING:
    from pimsim.values.tokens.tokenizer import Tokenizer
    from pimsim.values.weights.model import Weights

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

WEIGHTS = "A model: safetensors with its config.json beside it (the file, its folder or its index), or GGUF."

tokenizer_option: Decorator = click.option(
    "--tokenizer", metavar="FILE", help="tokenizer.json, if it is not beside the weights or in the GGUF file."
)


def weights_option(name: str = "--weights", required: bool = True) -> Decorator:
    """Which file the weights are in."""
    return click.option(name, "weights", required=required, metavar="FILE", help=WEIGHTS)


def prompt_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What the model is asked: `prompt` and `prompt_ids`."""
    ids = click.option(
        "--prompt-ids", metavar="1,2,3", help="The prompt as token ids; an end token does not end the answer."
    )
    text = click.option(
        "--prompt", metavar="TEXT", help="Question for the model, put into its chat template if it has one."
    )
    return text(ids(command))


class Asked(NamedTuple):
    """The prompt's ids, what ends an answer, and who makes text of ids (None: nobody was found)."""

    ids: list[int]
    ends: frozenset[int]
    tokenizer: Tokenizer | None


def the_weights(path: str, option: str = "--weights") -> Weights:
    """The weights in a file; InputError."""
    from pimsim.values.extra import library

    if not path:
        raise InputError(option_problem(option, "needs the name of a file, but it is empty"))
    with _option(option):
        library("ml_dtypes")
    from pimsim.values.weights.load import load_weights

    return load_weights(path)


def the_prompt(weights: Weights, prompt: str | None, ids: str | None, tokenizer: str | None) -> Asked:
    """What a model is asked; InputError with every option that is wrong."""
    from pimsim.values.tokens.load import load_tokenizer

    if (prompt is None) == (ids is None):
        why = (
            "one of --prompt and --prompt-ids is needed" if prompt is None else "is given beside --prompt-ids: give one"
        )
        raise InputError(option_problem("--prompt", why))
    if prompt is not None:
        with _option("--tokenizer"):
            found = load_tokenizer(tokenizer, weights)
        with _option("--prompt"):
            return Asked(found.prompt(prompt), found.ends, found)
    return Asked(_ids(ids or "", weights), frozenset(), _tokenizer_if_any(tokenizer, weights))


def the_start(weights: Weights, tokenizer: str | None) -> Asked:
    """What a model begins with if it is asked nothing: the token that begins a text, or the first there is."""
    found = _tokenizer_if_any(tokenizer, weights)
    return Asked([found.bos or 0 if found else 0], frozenset(), found)


def _ids(text: str, weights: Weights) -> list[int]:
    from pimsim.values.tokens.tokenizer import checked_ids

    parts = [part.strip() for part in text.split(",")]
    wrong = [part for part in parts if not part.removeprefix("-").isdecimal()]
    if wrong:
        shown = ", ".join(map(repr, wrong[:3]))
        raise InputError(option_problem("--prompt-ids", f"must be whole numbers with commas between them, not {shown}"))
    with _option("--prompt-ids"):
        return checked_ids([int(part) for part in parts], weights.shape.vocabulary)


def _tokenizer_if_any(tokenizer: str | None, weights: Weights) -> Tokenizer | None:
    """Ids need none, but text is nicer to read; one that was given has to be right."""
    from pimsim.values.tokens.load import load_tokenizer

    if tokenizer is not None:
        with _option("--tokenizer"):
            return load_tokenizer(tokenizer, weights)
    try:
        return load_tokenizer(None, weights)
    except InputError:
        return None


@contextmanager
def _option(name: str) -> Iterator[None]:
    """Problems without a place are those of an option."""
    try:
        yield
    except InputError as error:
        raise InputError([_placed(problem, name) for problem in error.problems]) from error


def _placed(problem: Problem, option: str) -> Problem:
    return problem if problem.file else option_problem(option, problem.message)


def least(name: str, value: int | None, lowest: int = 1) -> Sequence[Problem]:
    """A problem if a number is below the lowest that it may be."""
    return [] if value is None or value >= lowest else [option_problem(name, f"must be at least {lowest}, not {value}")]
