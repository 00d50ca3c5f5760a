"""YAML text as a `Tree`, without YAML's traps.

PyYAML's own loaders drop duplicate keys, read 1e9 as text, `off` as false and 012 as
ten.  Here the node tree is composed, duplicate keys are problems, and a plain scalar
is null, true, false, a number or text, as YAML 1.2 has it.

Two parsers compose it: PyYAML's own, which decides what is YAML and says what is wrong, and
libyaml, which is sixty times as fast.  They differ at the edges of the language, so libyaml
has only texts without such edges (`_SPECIAL`), and what it refuses or PyYAML would place elsewhere
goes to PyYAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml

from pimsim.config.comments import Source, source_labels
from pimsim.config.tree import Entry, Position, Scalar, Tree
from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.labels import LABELS

_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Scalar] = {"": None, "~": None, "null": None, "true": True, "false": False}
_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq")}  # what nodes without a tag have
_DEPTH = 20  # levels of nesting; the schema has four
_ENTRIES = 10_000  # the schema has a hundred; aliases can multiply without end


class _Reader:
    """Turns nodes into entries and collects what is wrong on the way."""

    def __init__(self, file: str, sources: dict[int, Source]) -> None:
        self.file = file
        self.sources = sources
        self.problems: list[Problem] = []
        self.entries = 0

    def place(self, node: yaml.Node) -> Position:
        return Position(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def refuse(self, node: yaml.Node, path: str, message: str) -> None:
        place = self.place(node)
        self.problems.append(Problem(place.file, place.line, place.column, path, message))

    def mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.refuse(key, path, "a key must be a name")
                continue
            inner = f"{path}.{key.value}" if path else key.value
            if key.value in entries:
                first = entries[key.value].place
                self.refuse(key, inner, f"duplicate key, first given on line {first.line}")
                continue
            entries[key.value] = self.entry(key, value, inner, depth)
        return entries

    def entry(self, key: yaml.Node, node: yaml.Node, path: str, depth: int) -> Entry:
        place = self.place(key)
        self.entries += 1
        if depth > _DEPTH or self.entries > _ENTRIES:
            what = "is nested too deeply" if depth > _DEPTH else f"is entry number {self.entries}, too many"
            raise InputError([*self.problems, Problem(place.file, place.line, place.column, path[:80], what)])
        if node.tag not in _TAGS:
            self.refuse(node, path, f"the tag {node.tag} is not supported")
        if isinstance(node, yaml.MappingNode):
            return Entry(place, self.mapping(node, path, depth + 1))
        if isinstance(node, yaml.SequenceNode):
            items = tuple(self.entry(item, item, f"{path}.{i}", depth + 1) for i, item in enumerate(node.value))
            return Entry(place, items, *self.source(node, path))
        value = scalar(node) if isinstance(node, yaml.ScalarNode) else None
        return Entry(place, value, *self.source(node, path))

    def source(self, node: yaml.Node, path: str) -> tuple[str | None, str]:
        """Label and reason of the comment on the line where the value ends; an unknown label is reported once."""
        line = node.end_mark.line
        source = self.sources.get(line, Source())
        if source.label is None or source.label in LABELS:
            return source.label, source.reason
        del self.sources[line]
        hint = did_you_mean(source.label, LABELS) or f"; labels: {', '.join(LABELS)}"
        message = f"unknown source label {source.label!r}{hint}"
        self.problems.append(Problem(self.file, line + 1, source.column, path, message))
        return None, ""


def scalar(node: yaml.ScalarNode) -> Scalar:
    """The value of a scalar: quoted is text, plain is null, true, false, a number or text."""
    text: str = node.value
    if node.style:
        return text
    word = text if text == text.lower() else text.lower() if text in (text.upper(), text.capitalize()) else text
    if word in _WORDS:
        return _WORDS[word]
    if not _NUMBER.fullmatch(text):
        return text
    try:
        return int(text) if text.lstrip("+-").isdecimal() and len(text) < 30 else Decimal(text)
    except InvalidOperation:  # an exponent beyond Decimal's
        return text


def parse(text: str, file: str) -> Tree:
    """The tree of a YAML document; InputError with every problem of its syntax and keys."""
    tree = parse_with_problems(text, file)
    if tree.problems:
        raise InputError(tree.problems)
    return tree


def parse_with_problems(text: str, file: str) -> Tree:
    """As `parse`, but problems of keys are left in the tree; InputError if it is not a YAML mapping."""
    node = compose(text, file)
    if node is None or (isinstance(node, yaml.ScalarNode) and scalar(node) is None):
        raise InputError(Problem(file, 1, 1, "", "is empty; a mapping of keys is needed"))
    if not isinstance(node, yaml.MappingNode):
        kind = "a list" if isinstance(node, yaml.SequenceNode) else "a single value"
        raise InputError(Problem(file, node.start_mark.line + 1, 1, "", f"must be a mapping of keys, not {kind}"))
    reader = _Reader(file, source_labels(text, _scalars(node)))
    return Tree(Position(file, 1, 1), reader.mapping(node, "", 0), reader.problems)


def parse_value(text: str, file: str, key: str) -> tuple[Entry, list[Problem]]:
    """The value that a YAML scalar or flow collection describes, and its problems; InputError if it is not YAML."""
    node = compose(text, file)
    if node is None:
        return Entry(Position(file, 1, 1), None), []
    reader = _Reader(file, {})
    return reader.entry(node, node, key, 0), reader.problems


def compose(text: str, file: str) -> yaml.Node | None:
    """The node tree of `text`; InputError if it is not one YAML document."""
    if node := fast_compose(text):
        return node
    return slow_compose(text, file)


# Where libyaml and PyYAML differ, or may: tabs, line ends, marks of byte order; anchors, aliases, tags; `?` of a key;
# directives and ends of documents; a comment right behind the sign of a block of text; lists in lists on one line.
_SPECIAL = re.compile(
    r"[\t\r\x85\u2028\u2029\ufeff&*!]|\?(?:\s|$)|^(?:---|\.\.\.|%)|[|>][-+0-9]*#|-\s+-(?:\s|$)", re.MULTILINE
)
_DEEP = 500  # brackets; libyaml's reader nests as deeply as they do


def fast_compose(text: str) -> yaml.Node | None:
    """libyaml's node tree of `text`, None if PyYAML has to be asked (or it is empty)."""
    loader = getattr(yaml, "CBaseLoader", None)  # where PyYAML was built without libyaml there is none
    if loader is None or len(text) > _ENTRIES or text.count("[") + text.count("{") > _DEEP or _SPECIAL.search(text):
        return None
    try:
        node: yaml.Node | None = yaml.compose(text, loader)
    except (yaml.YAMLError, UnicodeError):
        return None
    return None if node is None or _has_block_list(node) else node


def _has_block_list(node: yaml.Node) -> bool:
    """Whether there is a list that is written with dashes: the parsers end it on different lines."""
    if isinstance(node, yaml.SequenceNode):
        return not node.flow_style or any(map(_has_block_list, node.value))
    if isinstance(node, yaml.MappingNode):
        return any(_has_block_list(child) for pair in node.value for child in pair)
    return False


def slow_compose(text: str, file: str) -> yaml.Node | None:
    """PyYAML's node tree of `text`; InputError if it is not one YAML document."""
    try:
        node: yaml.Node | None = _compose(text, file)
    except yaml.MarkedYAMLError as error:
        raise InputError(_syntax_problem(error, file)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        message = f"the character U+{ord(text[error.position]):04X} is not allowed"
        raise InputError(Problem(file, line, column, "", message)) from None
    except RecursionError:
        raise InputError(Problem(file, 1, 1, "", "is nested too deeply")) from None
    return node


class _Loader(yaml.BaseLoader):
    """PyYAML's, which takes a tenth of a millisecond a node: it stops where there are too many."""

    nodes = 0
    file = ""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """As PyYAML's."""
        self.nodes += 1
        if self.nodes > 2 * _ENTRIES:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            what = f"has more than {2 * _ENTRIES:,} keys and values, too many"
            raise InputError(Problem(self.file, mark.line + 1, mark.column + 1, "", what))
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def _compose(text: str, file: str) -> yaml.Node | None:
    loader = _Loader(text)
    loader.file = file
    try:
        node: yaml.Node | None = loader.get_single_node()
        return node
    finally:
        loader.dispose()


def _syntax_problem(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    what = ", ".join(part for part in (error.context, error.problem) if part)
    return Problem(file, line, column, "", f"not YAML: {' '.join(what.split())}")


def _scalars(node: yaml.MappingNode) -> Iterator[yaml.ScalarNode]:
    """Every scalar below `node`, each node once although anchors may repeat it."""
    seen: set[int] = set()
    todo: list[yaml.Node] = [node]
    while todo:
        node_ = todo.pop()
        if id(node_) in seen:
            continue
        seen.add(id(node_))
        if isinstance(node_, yaml.ScalarNode):
            yield node_
        elif isinstance(node_, yaml.MappingNode):
            todo.extend(child for pair in node_.value for child in pair)
        elif isinstance(node_, yaml.SequenceNode):
            todo.extend(node_.value)
