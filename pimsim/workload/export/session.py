"""One export, from a transformers configuration to the workloads of its steps."""

from __future__ import annotations

from typing import Any

import torch
import transformers

from pimsim.errors import InputError
from pimsim.workload.export.exported import Exported
from pimsim.workload.export.fold import Folded
from pimsim.workload.export.graph import steps_of
from pimsim.workload.export.model import build_model
from pimsim.workload.export.shape import shape_of
from pimsim.workload.graph import Workload


def run(name: str, config: Any, prompt: int, query: int, batch: int) -> Exported:
    """Build the model, record it, and check what was recorded; InputError for sizes that a trace cannot hold."""
    try:
        return _run(name, config, prompt, query, batch)
    except ValueError as error:  # of an operator, a shape or a workload, which name what is wrong
        raise InputError(f"sizes that a trace cannot hold: {error}") from error


def _run(name: str, config: Any, prompt: int, query: int, batch: int) -> Exported:
    model = build_model(config)
    steps = steps_of(model, prompt, query, batch)

    def workload(folded: Folded) -> Workload:
        shape = shape_of(name, model.config, folded.operators, model.count)
        return Workload(
            shape,
            folded.operators,
            folded.count,
            overhead_aten=folded.overhead[0],
            overhead_kernels=folded.overhead[1],
        )

    versions = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}, eager attention"
    return Exported(
        workload(steps.decode),
        workload(steps.prefill) if steps.prefill else None,
        steps.parameters,
        {"launches": versions},
    )
