"""What is known of ways of decoding: every figure has its source; acceptances and trees say what they should."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimsim.errors import InputError
from pimsim.labels import LABELS
from pimsim.workload.decoding import data, trees
from pimsim.workload.decoding.kept import kept
from pimsim.workload.schedule import depths, path_of


def test_every_figure_has_a_label_and_a_source() -> None:
    stated = [each for mechanism in data.mechanisms().values() for each in mechanism.defaults.values()]
    for each in (*stated, *data.acceptances().values(), *data.trees().values()):
        assert each.label in (*LABELS, "published") and len(each.source) > 5


def test_every_mechanism_is_named_for_its_paper() -> None:
    for mechanism in data.mechanisms().values():
        assert re.fullmatch(r'.+ et al\. 20\d\d, ".{20,}"', mechanism.paper) and mechanism.what


def test_published_acceptances() -> None:
    means = {name: str(float(each.acceptance.mean)) for name, each in data.acceptances().items()}
    assert means == {
        "spec-bench-eagle2": "4.35", "spec-bench-eagle": "3.57", "spec-bench-hydra": "3.26",
        "spec-bench-recycling": "2.73", "spec-bench-medusa": "2.32", "spec-bench-draft": "2.28",
        "spec-bench-lookup": "1.73", "spec-bench-lookahead": "1.64", "spec-bench-rest": "1.63",
        "vllm-llama-3.1-8b": "2.6049", "vllm-qwen3-8b": "2.2554",
    }  # fmt: skip


def test_published_trees() -> None:
    found = {name: (tree.nodes, len(tree.levels)) for name, tree in data.trees().items()}
    assert found == {"medusa-63": (63, 4), "hydra-63": (63, 4), "recycling-80": (80, 6), "eagle2-60": (59, 6)}


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_a_tree_has_as_many_nodes_at_each_depth(levels: list[int]) -> None:
    tree = trees.parents(levels)
    deep = depths(tree)
    assert [deep.count(d) for d in range(len(levels) + 1)] == [1, *levels]
    assert list(deep) == sorted(deep)
    firsts = [sum((1, *levels)[:d]) for d in range(len(levels) + 1)]
    assert path_of(tree, len(levels) + 1) == tuple(firsts)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_who_is_followed_is_dealt_evenly(levels: list[int]) -> None:
    tree, deep = trees.parents(levels), depths(trees.parents(levels))
    for depth, (above, here) in enumerate(pairwise((1, *levels))):
        children = [tree.count(node) for node in range(len(tree)) if deep[node] == depth]
        assert len([n for n in children if n]) == trees.expanded(levels)[depth] == min(above, here)
        assert max(children) - min(children) <= 1


@pytest.mark.parametrize(
    ("text", "mean"),
    [
        ("2.5", Fraction(5, 2)),
        ("0.5,0.25", Fraction(7, 4)),
        ("spec-bench-rest", Fraction(163, 100)),
        ("1", Fraction(1)),
    ],
)
def test_acceptances_that_are_typed(text: str, mean: Fraction | int) -> None:
    assert data.acceptance(text).acceptance.mean == mean


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.5,1.5", "chances, with commas, are at most 1"),
        ("0.2,0.4", "chances cannot grow"),
        ("1,,2", "is no number"),
        ("spec-bench-medsua", "did you mean 'spec-bench-medusa'"),
        ("", "no acceptance ''"),
    ],
)
def test_acceptances_that_are_none(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        data.acceptance(text)


def test_more_than_the_drafts_allow_is_refused() -> None:
    eagle = data.mechanisms()["eagle"]
    with pytest.raises(InputError, match=r"keeps 4.35 tokens a step, more than 3 drafts and the token of the model"):
        kept(eagle, None, 3)
    with pytest.raises(InputError, match="says how often 3 drafts are kept, not 4"):
        kept(eagle, "vllm-qwen3-8b", 4)
    assert kept(eagle, "all", 3).acceptance.mean == 4
