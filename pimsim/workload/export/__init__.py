"""Traces of transformers models: recorded on the meta device, offline, with no weights.

Only this package imports torch and transformers, and only when `export` is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from pimsim.errors import InputError
from pimsim.workload.graph import Workload

__all__ = ["Exported", "export"]


@dataclass(frozen=True)
class Exported:
    """A model's steps.

    prefill: None without a prompt.  parameters: of the whole model, a tied matrix once.
    versions: what counted the launches.
    """

    decode: Workload
    prefill: Workload | None
    parameters: int
    versions: str


def export(source: str, prompt: int = 0, query: int = 1, batch: int = 1) -> Exported:
    """The steps of the model that `source` names: a config.json, its folder, or a built-in configuration.

    prompt: tokens of the prompt (0: none).  query: query tokens of a decode step.
    batch: sequences.  Raises InputError for a model or a configuration that cannot be
    exported, `verify.ExportError` if torch counts other FLOPs than the operators make.
    """
    missing = [package for package in ("torch", "transformers") if find_spec(package) is None]
    if missing:
        raise InputError(f"an export needs {' and '.join(missing)}: pip install 'pimsim[trace]'", key="--hf-config")
    from pimsim.workload.export import configs

    name, parsed = configs.load(source)
    config = configs.transformers_config(source, parsed)
    from pimsim.workload.export.session import run

    return run(name, config, prompt, query, batch)
