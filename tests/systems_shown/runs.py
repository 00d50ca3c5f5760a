"""Small systems that runs of a moment show: devices that do the same, that differ, and some without work."""

from __future__ import annotations

from functools import cache
from typing import Any

import pimsim
from pimsim.results.result import Result

SHAPE: dict[str, Any] = {
    "name": "small", "layers": 6, "d_model": 256, "heads": 8, "head_dim": 32, "d_ff": 512, "vocabulary": 4096,
    "max_positions": 512,
}  # fmt: skip
EXPERTS = {**SHAPE, "name": "mixture", "family": "llama", "experts": 4, "active_experts": 2}
KINDS: dict[str, dict[str, Any]] = {
    "alone": {},
    "tensor": {"system.devices": 2, "system.tensor": 2},
    "pipeline": {
        "system.devices": 8, "system.tensor": 2, "system.pipeline": 4, "workload.batch": 4, "workload.lm_head": True,
        "workload.prompt_tokens": 3,
    },
    "experts": {
        "workload.model_config": EXPERTS, "system.devices": 8, "system.expert": 4, "system.pipeline": 2,
        "workload.batch": 2,
    },
    "replicas": {"system.devices": 6, "system.tensor": 2, "workload.batch": 2},
}  # fmt: skip


def changes(kind: str) -> dict[str, Any]:
    """What a kind of system sets."""
    return {"workload.model_config": SHAPE, "workload.output_tokens": 4, "baselines": ["gpu-t4"]} | KINDS[kind]


@cache
def run(kind: str) -> Result:
    """The run of a kind of system; nobody changes it."""
    return pimsim.run(pimsim.load_config("pim-gpt", changes(kind)))
