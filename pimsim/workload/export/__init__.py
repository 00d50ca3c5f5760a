"""Traces of transformers models: recorded on the meta device, offline, with no weights.

Only this package imports torch and transformers, and only when something is exported.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec

from pimsim.errors import InputError
from pimsim.workload.graph import Workload
from pimsim.workload.trace.bind import trace_of
from pimsim.workload.trace.records import Trace

__all__ = ["Exported", "export", "export_trace"]


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
        raise _of_option(InputError(f"an export needs {' and '.join(missing)}: pip install 'pimsim[trace]'"))
    from pimsim.workload.export import configs

    try:
        found = configs.load(source)
    except InputError as error:
        raise _of_option(error) from error
    try:
        config = configs.transformers_config(found.parsed)
        from pimsim.workload.export.session import run

        return run(found.name, config, prompt, query, batch)
    except InputError as error:
        raise error.located(found.locate) from error


def _of_option(error: InputError) -> InputError:
    """What has no place in a file is the fault of the command line's option."""
    return error.located(lambda key: ("--hf-config", 1, 1))


def export_trace(source: str, prompt: int = 0, steps: int = 1024, query: int = 1, batch: int = 1) -> Trace:
    """The trace of `steps` decode steps after a prompt; arguments and errors as in `export`."""
    made = export(source, prompt, query, batch)
    trace = trace_of(made.decode, prompt, steps, batch, query, made.prefill, {"launches": made.versions})
    model = replace(trace.header.model, parameters=made.parameters)
    return replace(trace, header=replace(trace.header, model=model))
