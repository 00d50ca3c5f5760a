"""Whatever a file or an option holds, the loader answers with a configuration or with problems."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.config.loader import load
from pimsim.config.resolved import config_sha256, dump_yaml
from pimsim.config.schema import Config
from pimsim.config.validate import all_keys
from pimsim.errors import InputError
from tests.conftest import SHIPPED

LINES = SHIPPED.read_text().split("\n")
KEYS = sorted(all_keys(Config))
LINE = re.compile(r"[^\n]+:\d+:\d+: [^\n]+")


def answer(path: Path, overrides: Any = None) -> None:
    """Load, or check that each problem is one line with a place."""
    try:
        load(path, overrides)
    except InputError as error:
        assert error.problems
        for problem in error.problems:
            assert LINE.fullmatch(str(problem)), repr(str(problem))


words = st.sampled_from(
    ["dram", "timing", "rows", "workload", "extends", "<<", "null", "1e9", "off", "&a", "*a", "!!int"]
)
marks = st.sampled_from([*":[]{},#|%", ": ", "- ", "? ", "'", '"', "\n", "\n  "])
scraps = words | marks | st.text(max_size=4)


@given(st.lists(scraps, max_size=30).map("".join))
@settings(max_examples=300)
def test_any_text_is_answered(tmp_path_factory: Any, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    answer(path)


@given(st.binary(max_size=40))
def test_any_bytes_are_answered(tmp_path_factory: Any, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    answer(path)


@given(st.lists(st.tuples(st.integers(0, len(LINES) - 1), scraps), min_size=1, max_size=3))
@settings(max_examples=100)
def test_any_edit_of_a_line_is_answered(tmp_path_factory: Any, edits: list[tuple[int, str]]) -> None:
    lines = list(LINES)
    for number, scrap in edits:
        lines[number] = lines[number].partition(":")[0] + ": " + scrap
    path = tmp_path_factory.getbasetemp() / "edited.yaml"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    answer(path)


@given(st.lists(st.tuples(st.sampled_from(KEYS) | st.text(max_size=5), scraps | st.integers().map(str)), max_size=3))
@settings(max_examples=150)
def test_any_option_is_answered(options: list[tuple[str, str]]) -> None:
    answer(SHIPPED, [f"{key}={value}" for key, value in options])


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.decimals()
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


@given(st.dictionaries(st.sampled_from(KEYS), values, max_size=3))
@settings(max_examples=150)
def test_any_python_value_is_answered(overrides: dict[str, Any]) -> None:
    answer(SHIPPED, overrides)


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=10)
tenths = st.integers(1, 300).map(lambda n: Decimal(n) / 10)
configurations = st.fixed_dictionaries(
    {},
    optional={
        "name": names,
        "dram.timing.tCL_ns": tenths,
        "dram.timing.tRTP_ns": tenths,
        "dram.timing.tRFCpb_ns": st.none() | tenths,
        "dram.refresh": st.sampled_from(["all_bank", "none"]),
        "pim.routing_factor": st.integers(1, 10**6).map(lambda n: Decimal(n) / 10**6),
        "asic.streaming": st.booleans(),
        "mapping.reserve_tokens": st.none() | st.integers(1, 10**6),
        "workload.model_config": st.fixed_dictionaries(
            {"name": names, "layers": st.integers(1, 9), "d_model": st.just(64),
             "heads": st.sampled_from([1, 4, 8])}
        ),
        "baselines": st.lists(names, max_size=3, unique=True),
    },
)  # fmt: skip


@given(configurations)
def test_a_dump_loads_again_to_an_equal_configuration(tmp_path_factory: Any, overrides: dict[str, Any]) -> None:
    loaded = load(SHIPPED, overrides)
    path = tmp_path_factory.getbasetemp() / "dumped.yaml"
    for provenance in (None, loaded.provenance):
        path.write_bytes(dump_yaml(loaded.config, provenance).encode())
        again = load(path).config
        assert again == loaded.config
        assert config_sha256(again) == config_sha256(loaded.config)
