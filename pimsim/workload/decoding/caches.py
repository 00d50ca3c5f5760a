"""K and V that are not all of T: streaming heads, a dropped prefix, blocks, and maps of an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from pimsim.errors import InputError
from pimsim.workload.decoding import data, edit, steps
from pimsim.workload.decoding.data import mechanisms
from pimsim.workload.decoding.source import Source
from pimsim.workload.decoding.steps import Asked
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.records import STEP, HeadGroup, OpRecord, Schedule, Template, Trace

MODEL = "model"
RETRIEVAL, STREAMING = "retrieval", "streaming"
BEFORE, AFTER = "before", "after"
WHEN = (BEFORE, AFTER)


def duo_attention(
    target: Source, asked: Asked, streaming: str | None = None, sinks: int | None = None, recent: int | None = None
) -> Trace:
    """Plain decoding with each attention written as two: heads that see all, and heads that see sinks and the newest.

    streaming: share of the heads (of K and V, with their queries) that see the latter, rounded to whole ones.
    """
    mechanism = mechanisms()["duo-attention"]
    grouped = target.model.kv_heads < target.model.heads
    default = str(mechanism["streaming_grouped" if grouped else "streaming"])
    share = data.share(default if streaming is None else streaming, "a share of the heads", "--streaming")
    sinks = mechanism["sinks"] if sinks is None else sinks
    recent = mechanism["recent"] if recent is None else recent
    apart = {op.id: _apart(op, share, sinks, recent) for op in target.template.ops if _sees_all(op)}
    ops = [half for op in target.template.ops for half in apart.get(op.id) or [_reading(op, apart)]]
    template = edit.template(MODEL, ops, target.template.layers, target.template.count)
    steps.fits(asked, target, asked.base + asked.tokens)
    lines = [*steps.prompt(asked, MODEL), steps.decode(MODEL, asked.tokens, steps.plain(asked.base), asked.batch)]
    kinds = f"{float(share):g} of the heads see {sinks} first and {recent} newest tokens"
    return steps.made(target, mechanism, [template], lines, heads=kinds)


def _sees_all(op: OpRecord) -> bool:
    """Whether an operator is an attention over the tokens so far: a cross attention stays as it is."""
    return op.op == "attention" and op.append and not (op.window or op.cache)


def _apart(op: OpRecord, share: Fraction, sinks: int, recent: int) -> list[OpRecord]:
    """An attention as one of heads that see all, and one of heads that stream; InputError if it is apart already."""
    if len(op.head_groups) != 1 or op.take:
        raise InputError(f"attention {op.id!r} has several groups of heads, or reads slices: {_WHOLE}", key="--target")
    group = op.head_groups[0]
    stream = int(share * group.kv_heads + Fraction(1, 2))
    found = []
    for name, kv_heads in ((RETRIEVAL, group.kv_heads - stream), (STREAMING, stream)):
        if not kv_heads:
            continue
        part = _of_heads(op, f"{op.id}_{name}", kv_heads)
        found.append(replace(part, window=recent, sinks=sinks) if name == STREAMING else part)
    return found


_WHOLE = "take a model whose attentions are whole"


def _of_heads(op: OpRecord, id: str, kv_heads: int) -> OpRecord:
    """Some of the heads of an attention as one of its own."""
    group = op.head_groups[0]
    heads = group.heads // group.kv_heads * kv_heads
    value = group.value_dim or group.head_dim
    inputs = heads * group.head_dim + kv_heads * (group.head_dim + value)
    groups = (replace(group, heads=heads, kv_heads=kv_heads),)
    return replace(op, id=id, inputs=Expr(inputs), outputs=Expr(heads * value), head_groups=groups)


def _reading(op: OpRecord, apart: Mapping[str, Sequence[OpRecord]]) -> OpRecord:
    """An operator that reads both parts where it read the whole."""
    parts = [[half.id for half in apart.get(dep, ())] or [dep] for dep in op.deps]
    return replace(op, deps=tuple(name for names in parts for name in names))


def drop_prefix(
    target: Source, asked: Asked, prefix: int | None = None, keep: int | None = None, when: str = AFTER
) -> Trace:
    """A prompt of an image's tokens and of text; of the image's some are kept.

    when: `before` the model, so that they are never prefilled; or `after` the prompt: what is decoded attends to T less
    the dropped ones.
    """
    mechanism = mechanisms()["drop-prefix"]
    prefix = mechanism["prefix"] if prefix is None else prefix
    keep = mechanism["keep"] if keep is None else keep
    if not 0 <= keep <= prefix:
        raise InputError(f"{keep}, but the prefix has {prefix} tokens", key="--keep")
    dropped = prefix - keep
    whole: Asked = replace(asked, prompt=asked.prompt + (keep if when == BEFORE else prefix))
    steps.fits(whole, target, whole.base + whole.tokens)
    templates, last = [edit.named(target.template, MODEL)], MODEL
    if dropped and when == AFTER:
        last = "kept"
        templates.append(_without(target.template, last, dropped))
    lines = [*steps.prompt(whole, MODEL), steps.decode(last, asked.tokens, steps.plain(whole.base), asked.batch)]
    if not lines[:-1]:
        templates = templates[-1:]
    return steps.made(target, mechanism, templates, lines, prefix=f"{keep} of {prefix} tokens kept, {when}")


def _without(whole: Template, id: str, dropped: int) -> Template:
    """The template whose attentions see `dropped` tokens fewer; InputError if one has a window."""
    if any(op.window for op in whole.ops):
        raise InputError("a model with windows drops its prefix by itself: use --when before", key="--target")
    ops = [replace(op, head_groups=tuple(_fewer(group, dropped) for group in op.head_groups)) for op in whole.ops]
    return edit.template(id, ops, whole.layers, whole.count)


def _fewer(group: HeadGroup, dropped: int) -> HeadGroup:
    return replace(group, kv_len=group.kv_len.plus(Expr(-dropped)))


def block_transformer(target: Source, asked: Asked, block: int | None = None) -> Trace:
    """Half of the layers over blocks, one step a block; the other half over the tokens of a block, a step for each.

    In a cycle first the tokens of a block (T = 1, 2, ...), then the global step that takes the block in, at a
    context in blocks.  InputError for a prompt that is no number of blocks, or a model of one block of layers.
    """
    mechanism = mechanisms()["block-transformer"]
    size = mechanism["block"] if block is None else block
    for key, tokens in (("--prompt", asked.prompt), ("--context", asked.context)):
        if tokens % size:
            raise InputError(f"{tokens} tokens are no whole number of blocks of {size}", key=key)
    upper = target.template.count // 2
    if not upper:
        raise InputError(f"{target.model.name} has layers that cannot be halved", key="--target")
    of_blocks, local = (_half(target, count, name) for count, name in _halves(target, upper))
    steps.fits(asked, target, asked.base + asked.tokens)
    passes = steps.passes(asked, Fraction(size))
    each = [steps.decode("local", 1, Expr(i + 1), asked.batch) for i in range(size)]
    context = Expr(asked.base // size + 1, ((STEP, 1),))
    lines = steps.repeated([*each, steps.decode("global", 1, context, asked.batch, accept=0)], mechanism.name, passes)
    prompt = steps.prompt(asked, "global", context=asked.base // size, tokens=asked.prompt // size)
    whole = replace(target, header=replace(target.header, model=of_blocks.model or target.model))
    return steps.made(whole, mechanism, [replace(of_blocks, model=None), local], [*prompt, *lines], block=str(size))


def _halves(target: Source, upper: int) -> tuple[tuple[int, str], tuple[int, str]]:
    return (upper, "global"), (target.template.count - upper, "local")


def _half(target: Source, count: int, name: str) -> Template:
    """Some of the blocks as a model of their own; only the local one has an LM head."""
    span = target.template.layers
    model = replace(
        target.model, name=f"{target.model.name}-{name}", layers=count * span, config_sha256="", parameters=None
    )
    scopes = (edit.BEFORE, edit.BLOCK) + ((edit.AFTER,) if name == "local" else ())
    return edit.template(name, target.ops(*scopes), span, count, model)


def next_scale(target: Source, asked: Asked, scales: str | None = None) -> Trace:
    """Maps of s x s tokens one after another, each in one step whose tokens see each other and all maps before.

    scales: s of each map ("1,2,3").  The tokens that are asked for are those of the maps.
    """
    mechanism = mechanisms()["next-scale"]
    sizes = _sizes(mechanism["scales"] if scales is None else scales)
    steps.fits(asked, target, asked.base + sum(size * size for size in sizes))
    ops = [replace(op, mask="block") if op.op == "attention" else op for op in target.template.ops]
    template = edit.template(MODEL, ops, target.template.layers, target.template.count)
    lines = [*steps.prompt(asked, MODEL), *_maps(asked, sizes)]
    return steps.made(target, mechanism, [template], lines, scales=",".join(map(str, sizes)))


def _maps(asked: Asked, sizes: Sequence[int]) -> Iterator[Schedule]:
    end = asked.base
    for size in sizes:
        end += size * size
        yield steps.decode(MODEL, 1, Expr(end), asked.batch, size * size)


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(size) for size in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise InputError(f"{text!r}: numbers from 1 with commas, such as 1,2,3", key="--scales")
    return sizes
