"""A configuration with a model's weights in the place of the model that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pimsim import api
from pimsim.config.schema import AnyConfig, Config
from pimsim.devices.registry import device_of
from pimsim.dram.spec import Does
from pimsim.errors import InputError, Problem
from pimsim.mapping.plan import Plan
from pimsim.mapping.routing import Routing
from pimsim.values.weights.model import Weights
from pimsim.workload.formats import in_formats
from pimsim.workload.graph import Workload
from pimsim.workload.models import build
from pimsim.workload.scheduled import requested_schedule, said
from pimsim.workload.source import requested_trace, requested_workload, with_model
from pimsim.workload.trace.records import Trace

_GIVEN = ("--set", "overrides")  # where a value comes from that was meant for this run
_MODELS = ("workload.model", "workload.trace", "workload.model_config")
# What a run of one sequence with its weights has, whatever the configuration says for others.
_OF_A_SEQUENCE: Mapping[str, Any] = {"batch": 1, "query_tokens": 1, "context": 0, "lm_head": True, "biases": True}
_SAID = (
    "exp is computed as 2^n exp(r) here, and priced so (ln2): a plain Taylor series of {terms} terms, which `run` has "
    "as the paper's text says, destroys a softmax; --set asic.range_reduction=none shows it"
)


@dataclass(frozen=True)
class Speaking:
    """A run that is prepared, of a model whose weights are there.

    whole  the plan with the whole configuration, which values read
    """

    prepared: api.Prepared
    weights: Weights
    whole: Plan

    @property
    def config(self) -> Config:
        """The configuration of the run."""
        return self.prepared.config

    def saying(self, ids: list[int], chosen: Mapping[tuple[int, int, int], tuple[int, ...]]) -> Speaking:
        """The same run with its tokens known: whose rows of the embedding are read, and which experts run.

        ids: of all tokens, the prompt's first; chosen: by context, block and router.
        """

        def tokens(context: int, sequence: int) -> int:
            return ids[context - 1]

        changes: dict[str, Any] = {"tokens": tokens, "routing": Chosen(chosen=chosen)}
        prepared = replace(self.prepared, plan=replace(self.prepared.plan, **changes))
        return replace(self, prepared=prepared, whole=replace(self.whole, **changes))

    def settled(self) -> Speaking:
        """The same run with what it chooses for itself by simulating (`api.settled`)."""
        prepared = api.settled(self.prepared)
        return replace(self, prepared=prepared, whole=self.whole.attending(prepared.plan.attentions[0]))


@dataclass(frozen=True)
class Chosen(Routing):
    """The experts that a router has chosen: by context, block and router; each token has its own."""

    sampled: bool = True
    chosen: Mapping[tuple[int, int, int], tuple[int, ...]] = field(default_factory=dict, compare=False)

    def choose(self, experts: int, active: int, *where: int) -> tuple[int, ...]:
        """As `Routing.choose`."""
        context, _, block, router = where
        return self.chosen[context, block, router]


def speaking(
    given: AnyConfig | api.Loaded,
    weights: Weights,
    prompt: int,
    output: int,
    tell: Callable[[tuple[Problem, ...]], object] | None = None,
    keep: api.Keep = api.anew,
) -> Speaking:
    """Prepare a run of a model on the hardware of a configuration: `prompt` tokens are prefilled, `output` decoded.

    The LM head, biases and norms are simulated.  asic.range_reduction is ln2 unless it was given.
    tell: called with what is odd; keep: who has parts of runs before.  InputError if the hardware cannot run it, a
    key that was given with --set is of another model or of several sequences, or the memory is too small.
    """
    config = api.language_model(given.config if isinstance(given, api.Loaded) else given)
    if config.system.several:
        raise InputError("tokens are computed on one device; leave the system out", key="system.devices")
    _check_commands(config)
    if config.placement.key:
        what = "tokens are computed on the memory alone, and another machine stands beside it; leave placement out"
        raise InputError(what, key=config.placement.key)
    _check_schedule(config, given.trace if isinstance(given, api.Loaded) else requested_trace(config))
    graph = keep("graph", (weights.shape, _formats(config)), partial(_graph, config, weights))
    _check(given, config, graph, weights)
    odd: list[Problem] = []
    placed = with_model(config, weights.shape)
    if placed.asic.range_reduction != config.asic.range_reduction:
        odd.append(Problem("", 0, 0, "asic.range_reduction", _SAID.format(terms=config.asic.taylor_terms)))
    sizes = {"prompt_tokens": prompt, "output_tokens": output}
    odd += _overruled(given, config, sizes)
    work = placed.workload.model_copy(update={**_OF_A_SEQUENCE, **sizes})
    config = placed.model_copy(update={"workload": work})
    prepared = api.prepare(config, lambda more: tell and tell((*odd, *more)), keep, checked=True, graph=graph)
    prepared = replace(prepared, odd=(*odd, *prepared.odd))
    return Speaking(prepared, weights, replace(prepared.plan, config=config))


def _check_commands(config: Config) -> None:
    """InputError if the memory has commands that multiply and say not what: whatever the level, nobody computes it."""
    standard = device_of(config).standard
    silent = [command.name for command in standard.commands if command.multiplies and command.does is Does.NOTHING]
    if silent:
        what = f"{' and '.join(silent)} of {standard.name} say not what they do with numbers (`Command.does`)"
        raise InputError(f"{what}: no tokens are computed on it", key="dram.standard")


def _graph(config: Config, weights: Weights) -> Workload:
    """The model in the formats that it is carried out in."""
    return in_formats(config, build(weights.shape, lm_head=True))


def _formats(config: Config) -> tuple[object, ...]:
    """What `in_formats` reads of a configuration."""
    work = config.workload
    return work.weight_format, work.weight_group, work.kv_format, work.activation_format, config.pim.native


def _check_schedule(config: Config, trace: Trace | None) -> None:
    """InputError if the trace has a schedule that is more than plain decoding: nobody computes its values."""
    if trace is None or requested_schedule(config, trace) is None:
        return
    found = said(trace)
    why = found.rich if found and found.rich else "is more than plain decoding"
    raise InputError(
        f"the schedule of the trace {why}, and tokens are computed for plain decoding alone; "
        "take a configuration that names a model",
        key="workload.trace",
    )


def _is_given(given: AnyConfig | api.Loaded, key: str) -> bool:
    """True for what was set for this run."""
    return isinstance(given, api.Loaded) and key in given.provenance and given.provenance[key].file in _GIVEN


def _overruled(given: AnyConfig | api.Loaded, config: Config, sizes: Mapping[str, int]) -> Iterator[Problem]:
    """Numbers of tokens that were set, where the prompt or the request says another one."""
    for name, tokens in sizes.items():
        key, asked_for = f"workload.{name}", getattr(config.workload, name)
        if _is_given(given, key) and asked_for != tokens:
            yield Problem("", 0, 0, key, f"{asked_for} was set, but what is asked takes {tokens}: the key is left out")


def _check(given: AnyConfig | api.Loaded, config: Config, graph: Workload, weights: Weights) -> None:
    """InputError for what was given for this run and is not so."""
    if not isinstance(given, api.Loaded):
        return
    problems, is_given = [], partial(_is_given, given)
    if any(map(is_given, _MODELS)):
        asked = requested_workload(config, given.trace)
        if _shape(asked) != _shape(graph):
            key = next(filter(is_given, _MODELS))
            problems.append(Problem("", 0, 0, key, _other(asked, graph, weights)))
    for name, value in _OF_A_SEQUENCE.items():
        key, asked_for = f"workload.{name}", getattr(config.workload, name)
        if is_given(key) and asked_for != value:
            shown = str(value).lower() if isinstance(value, bool) else value
            problems.append(
                Problem("", 0, 0, key, f"must be {shown} where tokens are computed, not {asked_for}; leave it out")
            )
    if problems:
        raise InputError(problems)


def _shape(workload: Workload) -> str:
    """Equal for graphs whose blocks are equal."""
    return workload.blocks_only().sha256()


def _other(asked: Workload, graph: Workload, weights: Weights) -> str:
    sizes = ("layers", "d_model", "heads", "kv_heads", "d_ff", "family")
    found = [
        f"{name} {getattr(asked.shape, name)} and {getattr(graph.shape, name)}"
        for name in sizes
        if getattr(asked.shape, name) != getattr(graph.shape, name)
    ]
    differ = "; ".join(found) or "their operators differ"
    return f"{asked.shape.name} is not the model of {weights.file} ({differ}); leave the key out, or give its weights"
