"""Traces of transformers models from their config.json: no weights, no network.

With torch and transformers a step is recorded on the meta device.  Without them the families
that are built in are made from the configuration alone: the same file but for what only a
recording shows, launches.  Only this package imports torch and transformers, and only when
something is exported.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec

from pimsim.errors import InputError, Problem
from pimsim.workload.export import configs, plain, versions
from pimsim.workload.graph import Workload
from pimsim.workload.launches import RECORDED_WITH
from pimsim.workload.models import build
from pimsim.workload.trace.bind import trace_of
from pimsim.workload.trace.records import Trace

__all__ = ["Exported", "export", "export_trace"]

PACKAGES = ("torch", "transformers")


@dataclass(frozen=True)
class Exported:
    """A model's steps.

    prefill: None without a prompt.  parameters: of the whole model, a tied matrix once.
    producer: what made them: versions, and which part of a model they are.
    warnings: what a user should know of them.
    """

    decode: Workload
    prefill: Workload | None
    parameters: int
    producer: dict[str, str]
    warnings: tuple[Problem, ...] = ()


def export(source: str, prompt: int = 0, query: int = 1, batch: int = 1) -> Exported:
    """The steps of the model that `source` names: a config.json, its folder, or a built-in configuration.

    prompt: tokens of the prompt (0: none).  query: query tokens of a decode step.
    batch: sequences.  Raises InputError for a model or a configuration that cannot be
    exported, `verify.ExportError` if torch counts other FLOPs than the operators make.
    """
    try:
        found = configs.load(source)
    except InputError as error:
        raise error.located(lambda key: ("--hf-config", 1, 1)) from error
    try:
        part = found.part()
        if missing := [package for package in PACKAGES if find_spec(package) is None]:
            made = _plain(found.name, part, prompt, missing)
        else:
            made = _recorded(found, part, prompt, query, batch)
    except InputError as error:
        raise error.located(found.locate) from error
    if not part.whole:
        return made
    file, line, column = found.locate("text_config" if part.prefix else "model_type")
    warning = Problem(file, line, column, "text_config", f"{part.note} is exported, and nothing else of it")
    return replace(made, producer=made.producer | {"part": part.note}, warnings=(*made.warnings, warning))


def _recorded(found: configs.Source, part: configs.Part, prompt: int, query: int, batch: int) -> Exported:
    """As torch and transformers run it; if their versions are not the tested ones, an error or a warning says so."""
    outside = versions.outside()
    note = f" ({outside})" if outside else ""
    try:
        from pimsim.workload.export.session import run
        from pimsim.workload.export.verify import ExportError

        try:
            made = run(found.name, configs.transformers_config(part), prompt, query, batch)
        except ExportError as error:
            raise ExportError(f"{error}{note}") from error
    except InputError as error:
        raise InputError(replace(p, message=p.message + note) for p in error.problems) from error
    except ImportError as error:  # of a name that an older or newer version does not have
        raise InputError(f"torch and transformers cannot be used: {error}{note}") from error
    except Exception as error:
        if not outside:
            raise
        raise InputError(f"{type(error).__name__}: {error}{note}") from error
    warnings = (Problem(*found.locate("model_type"), "model_type", outside),) if outside else ()
    return replace(made, warnings=warnings)


def _plain(name: str, part: configs.Part, prompt: int, missing: list[str]) -> Exported:
    """From the configuration alone; InputError for a family that needs to be recorded."""
    if part.kind not in plain.DEFAULTS:
        raise InputError(
            f"an export of a {part.kind} needs {' and '.join(missing)}: pip install 'pimsim[trace]'; without, "
            f"{', '.join(plain.DEFAULTS)} can be exported",
            key=f"{part.prefix}model_type",
        )
    shape = plain.shape_of_config(name, part.kind, part.values, part.prefix)
    decode = build(shape, lm_head=True)
    producer = {} if decode.overhead_aten is None else {"launches": RECORDED_WITH}
    producer["graph"] = "from config.json, without torch"
    return Exported(decode, plain.prefill_of(decode, prompt) if prompt else None, decode.parameters, producer)


def export_trace(source: str, prompt: int = 0, steps: int = 1024, query: int = 1, batch: int = 1) -> Trace:
    """The trace of `steps` decode steps after a prompt; arguments and errors as in `export`."""
    made = export(source, prompt, query, batch)
    trace = trace_of(made.decode, prompt, steps, batch, query, made.prefill, made.producer)
    model = replace(trace.header.model, parameters=made.parameters)
    return replace(trace, header=replace(trace.header, model=model), warnings=made.warnings)
