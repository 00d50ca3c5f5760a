"""Trees of the tokens of a step: what is wrong with one, and how long its paths are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_SHOWN = 8  # nodes of a cycle that are named


def is_chain(tree: Sequence[int]) -> bool:
    """True if each token follows the one before it, as without a tree."""
    return all(parent == node - 1 for node, parent in enumerate(tree))


def depths_of(tree: Sequence[int]) -> list[int]:
    """Of each node the nodes above it; -1 for those that a cycle or a parent that is not there keeps from a root."""
    children: list[list[int]] = [[] for _ in tree]
    level = []
    for node, parent in enumerate(tree):
        if parent == -1:
            level.append(node)
        elif 0 <= parent < len(tree):
            children[parent].append(node)
    depths, depth = [-1] * len(tree), 0
    while level:
        for node in level:
            depths[node] = depth
        level = [child for node in level for child in children[node]]
        depth += 1
    return depths


def wrong_tree(tree: Sequence[int]) -> Iterator[tuple[str, str]]:
    """What is wrong with the parents of a tree: (key, message)."""
    for node, parent in enumerate(tree):
        if not -1 <= parent < len(tree):
            nodes = f"0 to {len(tree) - 1}"
            yield f"tree.{node}", f"{parent} is no token of the step, which has {nodes} (-1: it follows none of them)"
    cycles = list(_cycles(tree))
    for node, parent in enumerate(tree) if not cycles else ():
        if node < parent < len(tree):
            what = f"{parent} stands behind {node}; a token follows one that stands before it in the step"
            yield f"tree.{node}", what
    for cycle in cycles:
        names = ", ".join(map(str, cycle[:_SHOWN])) + ", ..." * (len(cycle) > _SHOWN)
        what = f"{names} follow each other in a cycle" if len(cycle) > 1 else f"{names} follows itself"
        yield f"tree.{cycle[0]}", f"{what}; a token follows one that a path from -1 leads to"


def _cycles(tree: Sequence[int]) -> Iterator[list[int]]:
    """The nodes of each cycle."""
    seen: dict[int, int] = {}  # node: the walk that came by
    for start in range(len(tree)):
        node = start
        while 0 <= node < len(tree) and node not in seen:
            seen[node] = start
            node = tree[node]
        if 0 <= node < len(tree) and seen[node] == start:
            cycle, at = [node], tree[node]
            while at != node:
                cycle.append(at)
                at = tree[at]
            yield cycle
