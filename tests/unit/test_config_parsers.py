"""libyaml beside PyYAML: where it is asked, it says the same, and what is shipped goes to it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pimsim.config import nodes
from pimsim.config.nodes import fast_compose, parse_with_problems
from pimsim.errors import InputError
from tests.examples import TIMES

ROOT = Path(__file__).parents[2]
FILES = [*sorted((ROOT / "configs").glob("*.yaml")), *sorted((ROOT / "pimsim" / "baselines").glob("*.yaml"))]
TEXTS = [path.read_text(encoding="utf-8") for path in [*FILES, *sorted((ROOT / "configs").glob("sweeps/*.yaml"))]]
PARTS = (
    "a", "b: ", "- ", "? ", ": ", "{", "}", "[", "]", ",", "\n", "\n  ", "\n    ", " ", "\t", "#c", " # c", "'", '"',
    "|", "|-", ">\n", "&x ", "*x", "!t ", "!", "!!str ", "%", "@", "`", "---\n", "...\n", "\u2028", "\x85", "\ufeff",
    "é", "~", "null", "\\", "\\n", "0x1", "1e9", "key", "<<: *x", "%YAML 1.1\n", "\r\n", "\r", "\x07", "\ud800",
    "\N{GRINNING FACE}", "# source: paper: x\n", " # source: recalled\n", "note: >-\n      text",
)  # fmt: skip

pytestmark = pytest.mark.skipif(fast_compose("a: 1") is None, reason="PyYAML was built without libyaml")


def mutated(rng: random.Random) -> str:
    """Pieces of YAML in any order, or a part of a shipped file with a few changes."""
    if rng.random() < 0.4:
        return rng.choice(("", "a: ")) + "".join(rng.choices(PARTS, k=rng.randint(1, 25)))
    text = rng.choice(TEXTS)
    at = rng.randrange(len(text))
    text = text[max(0, at - 200) : at + 300] if rng.random() < 0.7 else text[:800]
    for _ in range(rng.randint(0, 4)):
        at = rng.randrange(len(text) + 1)
        put, left_out = (rng.choice(PARTS), 0) if rng.random() < 0.5 else ("", rng.randint(1, 4))
        text = text[:at] + put + text[at + left_out :]
    return text


def understood(text: str) -> str:
    """The tree of a text with every place and label, or what is said of it."""
    try:
        return repr(parse_with_problems(text, "file"))
    except InputError as error:
        return f"refused: {error}"


@pytest.mark.parametrize("seed", range(8))
def test_what_libyaml_reads_pyyaml_reads_in_the_same_way(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cases, compared = 300 * max(TIMES, 1), 0
    rng = random.Random(random.random() if TIMES else seed)
    for _ in range(cases):
        text = mutated(rng)
        if fast_compose(text) is None:
            continue
        fast = understood(text)
        with monkeypatch.context() as patch:
            patch.setattr(nodes, "fast_compose", lambda text: None)
            assert fast == understood(text), text
        compared += 1
    assert compared > cases / 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_configurations_and_baselines_that_are_shipped_are_read_by_libyaml(path: Path) -> None:
    assert fast_compose(path.read_text(encoding="utf-8")) is not None


@pytest.mark.parametrize("piece", ["[", "{a: ", "- ", "- - ", "? ", "a:\n"])
def test_deep_and_long_texts_are_left_to_pyyaml(piece: str) -> None:
    """libyaml's reader has no limit of its own but the stack."""
    text = piece * 20_000
    assert fast_compose(text) is None
    with pytest.raises(InputError):
        parse_with_problems(text, "file")
