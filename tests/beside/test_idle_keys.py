"""Keys of a machine beside the memory that change nothing are told, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import pimsim
from pimsim import api
from pimsim.config.placing import idle
from tests.configs import config_of

H100 = "gpu-h100"
THERE, PROMPT = {"placement.linear": H100}, {"workload.prompt_tokens": 4, "workload.output_tokens": 1}
TAKEN = {**PROMPT, "placement.prefill": H100}

IDLE: list[tuple[Mapping[str, Any], list[str]]] = [
    ({"placement.machine": H100}, ["placement.machine"]),
    ({"placement.kv": "shared"}, ["placement.kv"]),
    ({**THERE, **PROMPT, "placement.kv": "shared"}, ["placement.kv"]),
    ({"placement.prefill": H100}, ["placement.prefill"]),
    ({"placement.prefill": "auto", "placement.machine": H100}, ["placement.prefill"]),
    ({**THERE, "placement.prefill": H100, "placement.kv": "shared"}, ["placement.prefill", "placement.kv"]),
    ({**THERE, "system.link.topology": "ring"}, ["system.link.topology"]),
    ({**THERE, "system.link.radix": 5}, ["system.link.radix"]),
    ({**THERE, "system.link.algorithm": "ring"}, ["system.link.algorithm"]),
]
MEANT: list[Mapping[str, Any]] = [
    {},
    THERE,
    TAKEN,
    {**TAKEN, "placement.kv": "shared"},
    {**PROMPT, "placement.prefill": "auto", "placement.machine": H100, "placement.kv": "shared"},
    {"placement.linear": "auto", "placement.machine": H100},
    {**THERE, "system.link.bandwidth_GBps": 32, "system.link.latency_ns": 7},
    {"system.devices": 2, "system.tensor": 2, "system.link.topology": "ring", "system.link.algorithm": "ring"},
]


@pytest.mark.parametrize(("changes", "keys"), IDLE)
def test_a_key_that_means_nothing_is_told(changes: Mapping[str, Any], keys: list[str]) -> None:
    told = [problem for problem in api.warnings(config_of(changes)) if "means nothing" in problem.message]
    assert [problem.key for problem in told] == keys
    assert all(problem.message.startswith(f"{problem.key} means nothing: ") for problem in told)


@pytest.mark.parametrize("changes", MEANT)
def test_a_key_that_means_something_is_not(changes: Mapping[str, Any]) -> None:
    assert list(idle(config_of(changes))) == []


@pytest.mark.parametrize("number", [1, 3, 6])
def test_what_is_told_changes_nothing(number: int) -> None:
    changes, keys = IDLE[number]
    model = {"name": "tiny", "layers": 1, "d_model": 64, "heads": 4, "vocabulary": 100}
    tiny = {"workload.model_config": model, "workload.output_tokens": 1}
    rest = {key: value for key, value in changes.items() if key not in keys}
    found, known = (pimsim.run(config_of({**tiny, **more})).summary for more in (changes, rest))
    assert found["system"]["cycles"] == known["system"]["cycles"]
    assert found["warnings"] and not known["warnings"]
