"""Drafts by what is added to the model: Medusa's and Hydra's heads, EAGLE's layer, Kangaroo's adapter."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from pimsim.errors import InputError
from pimsim.workload.decoding import edit, steps, trees
from pimsim.workload.decoding.data import Mechanism, Tree, mechanisms
from pimsim.workload.decoding.data import tree as tree_of
from pimsim.workload.decoding.drafts import TARGET, cycled
from pimsim.workload.decoding.kept import kept
from pimsim.workload.decoding.source import Source
from pimsim.workload.decoding.steps import Asked
from pimsim.workload.ops import INPUT
from pimsim.workload.trace.records import ModelInfo, OpRecord, Schedule, Template, Trace

_ROLE = "ffn_up"  # of the small matrices: no role of a trace is a head's alone
_LAST = "sequence"  # of `per`: for the last token of a step


def medusa(
    target: Source, asked: Asked, tree: str | None = None, acceptance: str | None = None, heads: int | None = None
) -> Trace:
    """A step of the model with its heads checks a tree; the heads run for the last token, and give the next tree.

    A head is a matrix d x d, SiLU, a sum with what it read, and an LM head of its own.  InputError for fewer heads
    than the tree is deep.
    """
    mechanism = mechanisms()["medusa"]
    shape = tree_of(tree or mechanism["tree"])
    number = _heads(mechanism, shape, heads)
    ops = list(target.template.ops)
    for i in range(1, number + 1):
        ops += _medusa_head(target, f"medusa_{i}")
    template = edit.template(TARGET, ops, target.template.layers, target.template.count)
    return _tree(target, mechanism, asked, [template], [], shape, acceptance)


def _medusa_head(target: Source, id: str) -> list[OpRecord]:
    head, d = _lm_head(target), target.model.d_model
    own = edit.linear(id, edit.AFTER, d, d, head.deps, head, role=_ROLE, per=_LAST)
    own = replace(own, weight=replace(own.weight, bias=True))
    act = edit.elementwise(f"{id}_act", edit.AFTER, "silu", "activation", d, (id,), _LAST)
    both = edit.elementwise(f"{id}_sum", edit.AFTER, "add", "residual", d, (*head.deps, act.id), _LAST)
    last = edit.linear(f"{id}_head", edit.AFTER, d, target.model.vocabulary, (both.id,), head, per=_LAST)
    return [own, act, both, last]


def hydra(
    target: Source, asked: Asked, tree: str | None = None, acceptance: str | None = None, heads: int | None = None
) -> Trace:
    """Head after head drafts a depth of the tree, for each token that others follow; then the model checks it.

    Head i takes the hidden state and the i tokens above: a matrix (i + 1) d x d, SiLU, a sum, an LM head of its own.
    """
    mechanism = mechanisms()["hydra"]
    shape = tree_of(tree or mechanism["tree"])
    _heads(mechanism, shape, heads)
    templates, lines = [edit.named(target.template, TARGET)], []
    for depth, tokens in enumerate(trees.expanded(shape.levels)):
        template = _hydra_head(target, depth + 1)
        templates.append(template)
        context = steps.after(asked.base + depth + tokens)
        tree_ = (-1,) * tokens if tokens > 1 else ()
        lines.append(steps.decode(template.id, 1, context, asked.batch, tokens, accept=0, tree=tree_))
    return _tree(target, mechanism, asked, templates, lines, shape, acceptance, (TARGET,))


def _hydra_head(target: Source, i: int) -> Template:
    head, d, id = _lm_head(target), target.model.d_model, f"hydra_{i}"
    own = edit.linear(id, edit.BEFORE, (i + 1) * d, d, (INPUT,), head, role=_ROLE)
    own = replace(own, weight=replace(own.weight, bias=True))
    act = edit.elementwise(f"{id}_act", edit.BEFORE, "silu", "activation", d, (id,))
    both = edit.elementwise(f"{id}_sum", edit.BEFORE, "add", "residual", d, (INPUT, act.id))
    last = edit.linear(f"{id}_head", edit.AFTER, d, target.model.vocabulary, (INPUT,), head)
    model = _added(target, id)
    return edit.template(id, [own, act, both, last], 1, 1, model)


def _heads(mechanism: Mechanism, shape: Tree, heads: int | None) -> int:
    """How many heads there are."""
    depth = len(shape.levels)
    number = max(mechanism["heads"], depth) if heads is None else heads
    if number < depth:
        message = f"{number}, but the tree {shape.name} is {depth} tokens deep: each depth needs a head of its own"
        raise InputError(message, key="--heads")
    return number


def eagle(target: Source, asked: Asked, tree: str | None = None, acceptance: str | None = None) -> Trace:
    """One layer, with the model's embedding and LM head, drafts a tree level by level; then the model checks it.

    The layer takes a token's embedding and the hidden state before it, which a matrix 2d x d makes one.
    """
    mechanism = mechanisms()["eagle"]
    shape = tree_of(tree or mechanism["tree"])
    statistic = kept(mechanism, acceptance, len(shape.levels))
    templates = [edit.named(target.template, TARGET), _eagle(target)]
    levels = trees.expanded(shape.levels)
    first = min(ceil(statistic.acceptance.mean), asked.base + 1)
    entering = steps.decode(
        templates[1].id, 1, steps.after(asked.base + 1), asked.batch, first, accept=0
    )  # what was kept: its hidden states are known now
    lines = [entering, *steps.drafts_of(templates[1].id, levels, asked)[1:]]
    return _tree(target, mechanism, asked, templates, lines, shape, acceptance)


def _eagle(target: Source) -> Template:
    span, d, before = target.template.layers, target.model.d_model, target.ops(edit.BEFORE)
    join = edit.linear("eagle_join", edit.BEFORE, 2 * d, d, (before[-1].id, INPUT), _lm_head(target), role=_ROLE)
    block = edit.prefixed(target.ops(edit.BLOCK), "eagle_")
    ops = [*before, join, *block, *target.ops(edit.AFTER)]
    return edit.template("eagle", ops, span, 1, _added(target, "eagle", span), TARGET)


def kangaroo(
    target: Source,
    asked: Asked,
    exit_layer: int | None = None,
    acceptance: str | None = None,
    drafts: int | None = None,
) -> Trace:
    """The first layers and an adapter draft; the other layers check what the first ones have made already.

    In a cycle the first layers run for the known token and each draft, one in a step, and the adapter with the LM
    head after each but the last; then the other layers take all of them together.
    """
    mechanism = mechanisms()["kangaroo"]
    number = mechanism["drafts"] if drafts is None else drafts
    leaves = mechanism["exit_layer"] if exit_layer is None else exit_layer
    layers = target.model.layers
    if not 1 <= leaves < layers or leaves % target.template.layers:
        span = target.template.layers
        message = f"{leaves}: from {span} to {layers - span}" + (f" in steps of {span}" if span > 1 else "")
        raise InputError(f"{message}, so that layers are left to check with", key="--exit-layer")
    statistic = kept(mechanism, acceptance, number)
    shallow = edit.only(target.template, "shallow", edit.BEFORE, edit.BLOCK)
    deep = edit.only(target.template, "deep", *_embedding(target), edit.BLOCK, edit.AFTER)
    templates = [edit.named(target.template, TARGET), shallow, _adapter(target), deep]
    first = [replace(line, layers=leaves) for line in steps.drafts_of(shallow.id, (1,) * (number + 1), asked)]
    guesses = steps.drafts_of("adapter", (1,) * number, asked)
    lines = [line for pair in zip(first, guesses, strict=False) for line in pair]
    check = steps.verification(deep.id, asked, number + 1, statistic.acceptance, layers=tuple(range(leaves, layers)))
    return cycled(target, mechanism, asked, templates, [*lines, first[-1], check], statistic, (TARGET, "adapter"))


def _adapter(target: Source) -> Template:
    """The block down to the sum behind its attention, and what stands behind the blocks."""
    block = target.ops(edit.BLOCK)
    mixes = next(i for i, op in enumerate(block) if op.op == "attention")
    ends = next((i for i, op in enumerate(block) if i > mixes and op.role == "residual"), len(block) - 1)
    ops = [*edit.prefixed(block[: ends + 1], "adapter_"), *target.ops(edit.AFTER)]
    return edit.template("adapter", [*target.ops(*_embedding(target)), *ops], 1, 1, _added(target, "adapter"), TARGET)


def _embedding(target: Source) -> tuple[str, ...]:
    """The scope of the embedding, which goes along where the LM head has its matrix."""
    return (edit.BEFORE,) if any(op.weight.tied for op in target.ops(edit.AFTER)) else ()


def _lm_head(target: Source) -> OpRecord:
    """The LM head; InputError if the model has none."""
    found = [op for op in target.template.ops if op.role == "lm_head" and op.op == "linear"]
    if not found or not target.ops(edit.BEFORE):
        message = f"{target.model.name} has no LM head, or no embedding, for the heads to go with"
        raise InputError(message, key="--target")
    return found[-1]


def _added(target: Source, name: str, layers: int = 1) -> ModelInfo:
    """The sizes of what is added to the model."""
    return replace(target.model, name=f"{target.model.name}-{name}", layers=layers, config_sha256="", parameters=None)


def _tree(
    target: Source,
    mechanism: Mechanism,
    asked: Asked,
    templates: list[Template],
    drafting: list[Schedule],
    shape: Tree,
    acceptance: str | None,
    prompt: tuple[str, ...] | None = None,
) -> Trace:
    """Drafting, then the verification of a tree by the target."""
    statistic = kept(mechanism, acceptance, len(shape.levels))
    nodes = trees.parents(shape.levels)
    check = steps.verification(TARGET, asked, len(nodes), statistic.acceptance, nodes)
    named = f"{shape.name} ({shape.label}: {shape.source})"
    return cycled(target, mechanism, asked, templates, [*drafting, check], statistic, prompt, tree=named)
