"""Traces of transformers models from their config.json: no weights, no network.

With torch and transformers a step is recorded on the meta device.  Without them the families
that are built in are made from the configuration alone: the same file but for what only a
recording shows, launches.  Only this package imports torch and transformers, and only when
something is exported.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

from pimsim.errors import InputError, Problem
from pimsim.workload.export import configs, plain, plain_states, versions
from pimsim.workload.export.exported import EXPANDED, Exported, Wanted, check_latent
from pimsim.workload.export.vision import prefix_of
from pimsim.workload.launches import RECORDED_WITH
from pimsim.workload.models import build
from pimsim.workload.trace.assembled import Encoded, Prefix, trace_of_source, with_prefix
from pimsim.workload.trace.bind import trace_of
from pimsim.workload.trace.records import Trace

__all__ = ["Exported", "export", "export_trace"]

PACKAGES = ("torch", "transformers")
PLAIN = (*plain.DEFAULTS, *plain_states.DEFAULTS)  # families that need neither
_QUANTIZED = "quantization_config"


def export(
    source: str, prompt: int = 0, query: int = 1, batch: int = 1, mla: str = EXPANDED, vision_tokens: int | None = None
) -> Exported:
    """The steps of the model that `source` names: a config.json, its folder, or a built-in configuration.

    Arguments as the fields of `Wanted`.  Raises InputError for a model or a configuration that cannot be
    exported, `verify.ExportError` if torch counts other FLOPs than the operators make.
    """
    missing = [package for package in PACKAGES if find_spec(package) is None]
    outside = "" if missing else versions.outside()
    try:
        return _export(source, Wanted(prompt, query, batch, mla, vision_tokens), missing, outside)
    except InputError as error:
        raise InputError(replace(p, message=_noted(p.message, outside)) for p in error.problems) from error


def _export(source: str, wanted: Wanted, missing: list[str], outside: str) -> Exported:
    try:
        found = configs.load(source)
    except InputError as error:
        raise error.located(lambda key: ("--hf-config", 1, 1)) from error
    try:
        part = found.part()
        prefix = prefix_of(part.whole, found.parsed, wanted.prompt, wanted.vision)
        made = _plain(found.name, part, wanted, missing) if missing else None
        why = outside
        if made is None:
            made, why = _recorded(found.name, part, wanted, outside)
    except InputError as error:
        raise error.located(found.locate) from error
    warnings = [Problem(*found.locate("model_type"), "model_type", why)] if why else []
    if quantized := next((key for key in (f"{part.prefix}{_QUANTIZED}", _QUANTIZED) if found.has(key)), ""):
        message = "is not followed: weights have 16 bits in a trace of a config.json"
        warnings.append(Problem(*found.locate(quantized), quantized, message))
    if part.whole:
        place = found.locate("text_config" if part.prefix else "model_type")
        warnings.append(Problem(*place, "text_config", f"{part.note} is exported, {_besides(prefix)}"))
        made = replace(made, producer=made.producer | {"part": part.note}, prefix=prefix)
    return replace(made, warnings=tuple(warnings))


def _besides(prefix: Prefix | None) -> str:
    if prefix is None:
        return "and nothing else of it"
    return f"with {prefix.tokens} vision tokens before its prompt; what makes them of a picture is not recorded"


def _noted(message: str, outside: str) -> str:
    """A message that says, if so, that the installed versions are not the tested ones."""
    return f"{message} ({outside})" if outside else message


def _recorded(name: str, part: configs.Part, wanted: Wanted, outside: str) -> tuple[Exported, str]:
    """As torch and transformers run it, and what to warn of.

    A family that is built in is made without them where a version needs values for what has none (positions
    of "longrope" do in older ones).  What versions that are not tested break is no defect of this program.
    """
    try:
        from pimsim.workload.export.model import NeedsValues
        from pimsim.workload.export.session import run
        from pimsim.workload.export.verify import ExportError
    except ImportError as error:  # of a name that an older or newer version does not have
        raise InputError(f"torch and transformers cannot be used: {error}") from error
    try:
        return run(name, configs.transformers_config(part), wanted), outside
    except NeedsValues as error:
        if part.kind not in PLAIN:
            raise
        why = f"made from the configuration alone, since {error.problems[0].message}"
        return _plain(name, part, wanted, []), _noted(why, outside)
    except InputError:
        raise
    except Exception as error:
        if not outside:
            raise
        if isinstance(error, ExportError):
            raise ExportError(_noted(str(error), outside)) from error
        raise InputError(f"{type(error).__name__}: {error}") from error


def _plain(name: str, part: configs.Part, wanted: Wanted, missing: list[str]) -> Exported:
    """From the configuration alone; InputError for a family that needs to be recorded."""
    if part.kind not in PLAIN:
        raise InputError(
            f"an export of a {part.kind} needs {' and '.join(missing)}: pip install 'pimsim[trace]'; without, "
            f"{', '.join(PLAIN)} can be exported",
            key=f"{part.prefix}model_type",
        )
    check_latent(wanted, part.kind, has=False)
    if part.kind in plain_states.DEFAULTS:
        decode = plain_states.workload_of_config(name, part.kind, part.values, part.prefix)
    else:
        decode = build(plain.shape_of_config(name, part.kind, part.values, part.prefix), lm_head=True)
    producer = {} if decode.overhead_aten is None else {"launches": RECORDED_WITH}
    producer["graph"] = "from config.json, without torch"
    return Exported(
        decode, plain.prefill_of(decode, wanted.prompt) if wanted.prompt else None, decode.parameters, producer
    )


def export_trace(
    source: str, prompt: int = 0, steps: int = 1024, query: int = 1, batch: int = 1, mla: str = EXPANDED,
    vision_tokens: int | None = None,
) -> Trace:  # fmt: skip
    """The trace of `steps` decode steps after a prompt; arguments and errors as in `export`."""
    made = export(source, prompt, query, batch, mla, vision_tokens)
    if made.source is not None:
        encoded = Encoded(made.source.encode, made.source.first, made.decode, made.source.tokens)
        trace = trace_of_source(encoded, steps, batch, query, made.parameters, made.producer)
        return replace(trace, warnings=made.warnings)
    trace = trace_of(made.decode, prompt, steps, batch, query, made.prefill, made.producer)
    model = replace(trace.header.model, parameters=made.parameters)
    trace = replace(trace, header=replace(trace.header, model=model), warnings=made.warnings)
    return with_prefix(trace, made.prefix) if made.prefix else trace
