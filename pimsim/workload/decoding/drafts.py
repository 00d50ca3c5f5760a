"""Drafts by another model, or by the model without some of its layers: speculative decoding, recycling, SWIFT."""

from __future__ import annotations

from pimsim.errors import InputError
from pimsim.workload.decoding import edit, steps, trees
from pimsim.workload.decoding.data import Mechanism, Statistic, mechanisms
from pimsim.workload.decoding.data import tree as tree_of
from pimsim.workload.decoding.kept import kept, note
from pimsim.workload.decoding.layers import left
from pimsim.workload.decoding.source import Source
from pimsim.workload.decoding.steps import Asked
from pimsim.workload.trace.records import Schedule, Template, Trace

TARGET, DRAFT = "target", "draft"


def speculative(
    target: Source,
    asked: Asked,
    draft: Source | None = None,
    tree: str | None = None,
    acceptance: str | None = None,
    drafts: int | None = None,
) -> Trace:
    """A draft model drafts, the target verifies; without a draft model drafts cost nothing (they are looked up).

    Chain: in each cycle the draft takes the known token and then its own, one in a step (T = base + kept + i),
    and the target takes all of them together.  Tree: the draft runs once a depth, for all tokens that others follow.
    InputError for another vocabulary, or an acceptance that the drafts do not allow.
    """
    mechanism = mechanisms()["speculative"]
    if draft is not None:
        _same_vocabulary(target, draft)
    if tree is not None and drafts is not None:
        raise InputError("a tree says how many drafts there are; leave out --drafts or --tree", key="--drafts")
    templates = [edit.named(target.template, TARGET)]
    if draft is not None:
        templates.append(edit.named(draft.template, DRAFT, draft.model))
    if tree is not None:
        return _with_tree(target, mechanism, asked, templates, tree, acceptance)
    number = mechanism["drafts"] if drafts is None else drafts
    levels = (1,) * number if draft is not None else ()
    return _chain(target, mechanism, asked, templates, levels, number, kept(mechanism, acceptance, number))


def recycling(target: Source, asked: Asked, tree: str | None = None, acceptance: str | None = None) -> Trace:
    """A tree that is looked up and verified; nothing drafts it."""
    mechanism = mechanisms()["recycling"]
    templates = [edit.named(target.template, TARGET)]
    return _with_tree(target, mechanism, asked, templates, tree or mechanism["tree"], acceptance)


def swift(
    target: Source, asked: Asked, skip: str | None = None, acceptance: str | None = None, drafts: int | None = None
) -> Trace:
    """The target drafts without some of its layers, and verifies with all of them."""
    mechanism = mechanisms()["swift"]
    number = mechanism["drafts"] if drafts is None else drafts
    layers = left(target, str(mechanism["skip"]) if skip is None else skip)
    templates = [edit.named(target.template, TARGET)]
    statistic = kept(mechanism, acceptance, number)
    return _chain(target, mechanism, asked, templates, (1,) * number, number, statistic, layers)


def _chain(
    target: Source,
    mechanism: Mechanism,
    asked: Asked,
    templates: list[Template],
    levels: tuple[int, ...],
    number: int,
    statistic: Statistic,
    layers: tuple[int, ...] | None = None,
) -> Trace:
    """Drafts one by one, then their verification."""
    drafting = steps.drafts_of(templates[-1].id, levels, asked)
    lines = [steps.with_layers(line, layers) for line in drafting]
    lines.append(steps.verification(TARGET, asked, number + 1, statistic.acceptance))
    return cycled(target, mechanism, asked, templates, lines, statistic)


def _with_tree(
    target: Source, mechanism: Mechanism, asked: Asked, templates: list[Template], name: str, acceptance: str | None
) -> Trace:
    """A tree level by level, if something drafts it, then its verification."""
    tree = tree_of(name)
    statistic = kept(mechanism, acceptance, len(tree.levels))
    levels = trees.expanded(tree.levels) if len(templates) > 1 else ()
    lines = steps.drafts_of(templates[-1].id, levels, asked)
    nodes = trees.parents(tree.levels)
    lines.append(steps.verification(TARGET, asked, len(nodes), statistic.acceptance, nodes))
    return cycled(target, mechanism, asked, templates, lines, statistic, tree=f"{name} ({tree.label}: {tree.source})")


def cycled(
    target: Source,
    mechanism: Mechanism,
    asked: Asked,
    templates: list[Template],
    lines: list[Schedule],
    statistic: Statistic,
    prompt: tuple[str, ...] | None = None,
    **notes: str,
) -> Trace:
    """The prompt on every template (or those of `prompt`), then the lines in a cycle; the last one verifies."""
    mean = statistic.acceptance.mean
    tokens = lines[-1].binding(0)["Q"]
    steps.fits(asked, target, steps.reach(asked, mean, tokens))
    first = steps.prompt(asked, *(prompt if prompt is not None else [template.id for template in templates]))
    repeated = steps.repeated(lines, mechanism.name, steps.passes(asked, mean))
    return steps.made(target, mechanism, templates, [*first, *repeated], acceptance=note(statistic), **notes)


def _same_vocabulary(target: Source, draft: Source) -> None:
    mine, others = target.model.vocabulary, draft.model.vocabulary
    if mine != others:
        message = f"{draft.model.name} has a vocabulary of {others:,}, but {target.model.name} one of {mine:,}"
        raise InputError(f"{message}: a draft's tokens must be the model's own; take another draft", key="--draft")
