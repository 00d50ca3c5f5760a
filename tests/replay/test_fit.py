"""What does not fit is refused with values that make it fit: each of them does, and the one before does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pimsim import api
from pimsim.config.schema import Config
from pimsim.errors import InputError
from pimsim.mapping.fit import with_value

BIG = {"workload.model": "gpt3-xl", "workload.output_tokens": 1024}


def load(shipped: Path, changes: dict[str, object]) -> Config:
    config = api.load_config(shipped, {"baselines": [], **changes})
    assert isinstance(config, Config)
    return config


def refusal(config: Config) -> str:
    with pytest.raises(InputError) as error:
        api.preflight(config)
    (problem,) = error.value.problems
    alone, *systems = re.split("; (?=the smallest system|no system)", problem.message)
    assert len(systems) <= 1  # what several devices hold is asked in tests/systems
    return alone


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"dram.rows": 4000}, {"dram.rows", "dram.channels"}),
        ({"mapping.reserve_tokens": 50_000}, {"dram.rows", "dram.channels", "mapping.reserve_tokens"}),
        ({"workload.batch": 64}, {"dram.rows", "dram.channels", "workload.batch"}),
        (
            {"workload.prompt_tokens": 5_000, "workload.output_tokens": 6_000},
            {"dram.rows", "dram.channels", "workload.output_tokens", "workload.prompt_tokens"},
        ),
    ],
)  # fmt: skip
def test_each_value_that_is_named_is_the_nearest_that_fits(
    shipped: Path, changes: dict[str, object], keys: set[str]
) -> None:
    config = load(shipped, {**BIG, **changes})
    named = re.findall(r"([a-z_.]+)=(\d+)", refusal(config))
    assert {key for key, _ in named} == keys
    for key, value in named:
        api.preflight(with_value(config, key, int(value)))
        nearer = int(value) - 1 if key.startswith("dram.") else int(value) + 1
        assert "does not fit" in refusal(with_value(config, key, nearer)), key


def test_where_nothing_helps_that_is_said(shipped: Path) -> None:
    model = {"name": "huge", "layers": 1000, "d_model": 65536, "heads": 64}
    config = load(shipped, {"workload.model_config": model, "workload.output_tokens": 1})
    assert refusal(config).endswith("too many; no number of rows or channels makes it fit")


def test_a_reserve_that_is_too_small_says_what_it_takes(shipped: Path) -> None:
    config = load(shipped, {"mapping.reserve_tokens": 10})
    assert "takes 1024 or more" in refusal(config)
    api.preflight(with_value(config, "mapping.reserve_tokens", 1024))
