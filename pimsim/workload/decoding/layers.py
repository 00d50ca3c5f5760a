"""Fewer layers: left out for every token, or after which a token leaves."""

from __future__ import annotations

from fractions import Fraction

from pimsim.errors import InputError
from pimsim.workload.decoding import edit, steps
from pimsim.workload.decoding.data import exact, mechanisms
from pimsim.workload.decoding.source import Source
from pimsim.workload.decoding.steps import Asked
from pimsim.workload.trace.records import Trace

MODEL = "model"


def left(source: Source, skip: str) -> tuple[int, ...] | None:
    """The layers that run when some are skipped: the first and the last block, and others evenly between them.

    skip: a share ("0.5"), or a number of layers ("6").  None: all run.  InputError if it is neither, if
    fewer than one layer would be left, or if a block would run in part.
    """
    layers, span = source.model.layers, source.template.layers
    count = _number(skip, layers, span)
    if count % span:
        message = f"{count} layers are skipped, but those of {source.model.name} run {span} at once"
        raise InputError(f"{message}: skip a multiple of {span}", key="--skip")
    if not count:
        return None
    blocks, keep = layers // span, (layers - count) // span
    chosen = [0] if keep == 1 else [i * (blocks - 1) // (keep - 1) for i in range(keep)]
    return tuple(block * span + i for block in chosen for i in range(span))


def _number(skip: str, layers: int, span: int) -> int:
    """How many layers are skipped: of a share whole blocks, rounded down."""
    try:
        given = exact(skip)
    except ValueError:
        raise InputError(f"{skip!r} is no number", key="--skip") from None
    count = int(given * layers) // span * span if given < 1 else int(given)
    if given < 0 or (given >= 1 and given.denominator != 1):
        raise InputError(f"{skip}: a share below 1, or a whole number of layers", key="--skip")
    if count >= layers:
        raise InputError(f"{skip}: of {layers} layers at least one must be left", key="--skip")
    return count


def layer_skip(target: Source, asked: Asked, skip: str | None = None) -> Trace:
    """Plain decoding, prompt included, with the same layers left out for every token."""
    mechanism = mechanisms()["layer-skip"]
    layers = left(target, str(mechanism["skip"]) if skip is None else skip)
    steps.fits(asked, target, asked.base + asked.tokens)
    lines = [
        *steps.prompt(asked, MODEL),
        steps.decode(MODEL, asked.tokens, steps.plain(asked.base), asked.batch),
    ]
    return steps.made(
        target, mechanism, [edit.named(target.template, MODEL)], [steps.with_layers(line, layers) for line in lines]
    )


def early_exit(target: Source, asked: Asked, exits: str | None = None) -> Trace:
    """Tokens leave after some of the layers, in turn: in each pass of a cycle so many after each number of layers.

    exits: "LAYERS:TOKENS,..." with layers as a number or as a share of the model's ("1/4:1,12:3").
    """
    mechanism = mechanisms()["early-exit"]
    parts = exits_of(target, mechanism["exits"] if exits is None else exits)
    together = sum(tokens for _, tokens in parts)
    passes = steps.passes(asked, Fraction(together))
    steps.fits(asked, target, asked.base + passes * together)
    lines = [
        steps.decode(MODEL, tokens, steps.after(asked.base + 1), asked.batch, layers=layers) for layers, tokens in parts
    ]
    cycle = steps.repeated(lines, mechanism.name, passes)
    return steps.made(target, mechanism, [edit.named(target.template, MODEL)], [*steps.prompt(asked, MODEL), *cycle])


def exits_of(source: Source, text: str) -> list[tuple[int, int]]:
    """(layers, tokens) of each exit; InputError if the text says no such thing, or the model has no such layers."""
    found = []
    for part in text.split(","):
        layers, _, tokens = part.partition(":")
        try:
            given, count = exact(layers.strip()), int(tokens or "1")
        except (ValueError, ZeroDivisionError):
            raise InputError(f"{part!r} is not LAYERS:TOKENS, such as 1/2:1", key="--exits") from None
        number = int(given * source.model.layers) if given < 1 else int(given)
        span = source.template.layers
        if not 1 <= number <= source.model.layers or count < 1 or number % span:
            many = f"1 to {source.model.layers} layers" + (f" in steps of {span}" if span > 1 else "")
            raise InputError(f"{part!r}: {many}, and at least one token", key="--exits")
        found.append((number, count))
    return found
