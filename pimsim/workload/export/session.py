"""One export, from a transformers configuration to the workloads of its steps."""

from __future__ import annotations

from typing import Any

import torch
import transformers

from pimsim.errors import InputError
from pimsim.workload.export import encoder_decoder
from pimsim.workload.export.encoder_decoder import has_encoder
from pimsim.workload.export.exported import ABSORBED, Exported, Wanted, check_latent
from pimsim.workload.export.fold import Folded
from pimsim.workload.export.graph import steps_of
from pimsim.workload.export.latent import latent_of, restate
from pimsim.workload.export.model import build_model
from pimsim.workload.export.shape import shape_of
from pimsim.workload.graph import Workload


def run(name: str, config: Any, wanted: Wanted) -> Exported:
    """Build the model, record it, and check what was recorded; InputError for sizes that a trace cannot hold."""
    try:
        return _run(name, config, wanted)
    except ValueError as error:  # of an operator, a shape or a workload, which name what is wrong
        raise InputError(f"sizes that a trace cannot hold: {error}") from error


def _run(name: str, config: Any, wanted: Wanted) -> Exported:
    versions = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}, eager attention"
    if has_encoder(config):
        check_latent(wanted, config.model_type, has=False)
        return encoder_decoder.run(name, config, wanted, versions)
    model = build_model(config)
    steps = steps_of(model, wanted.prompt, wanted.query, wanted.batch)
    sizes = latent_of(model.config)
    check_latent(wanted, model.config.model_type, sizes is not None)

    def workload(folded: Folded) -> Workload:
        folded = folded if sizes is None else restate(folded, sizes, wanted.mla)
        aten, kernels = folded.overhead or (None, None)
        shape = shape_of(name, model.config, folded.operators, model.count)
        return Workload(
            shape,
            folded.operators,
            folded.count,
            overhead_aten=aten,
            overhead_kernels=kernels,
        )

    return Exported(
        workload(steps.decode),
        workload(steps.prefill) if steps.prefill else None,
        steps.parameters,
        {"graph": f"{versions}, absorbed"} if wanted.mla == ABSORBED else {"launches": versions},
    )
