"""How a run is divided between the memory and another machine: what a configuration's `placement` means."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

from pimsim.baselines.beside import PROMPT, Worker
from pimsim.baselines.capacity import room
from pimsim.baselines.choice import Choice, taken, trial
from pimsim.baselines.compiled import launch_ns
from pimsim.baselines.devices import BaselineDevice, load
from pimsim.config.schema import Config
from pimsim.devices.plan import compile_plan, fits
from pimsim.errors import InputError
from pimsim.mapping.beside import Beside
from pimsim.mapping.routing import routing_of
from pimsim.workload.beside import ELSEWHERE, FROM, Divided, Run, divide
from pimsim.workload.graph import Workload
from pimsim.workload.ops import INPUT, LINK, Operator
from pimsim.workload.schedule import Schedule


@dataclass(frozen=True)
class Arrangement:
    """A run that is divided.

    device    the machine
    workload  the graph as it was asked for
    divided   the same, divided
    prompt    whether the machine takes the prompt
    beside    what is planned of that
    """

    device: BaselineDevice
    workload: Workload
    divided: Divided
    prompt: bool
    beside: Beside

    @property
    def there(self) -> tuple[str, ...]:
        """Operators of a step on the machine, in their order."""
        return tuple(o.name for o in self.workload.operators if o.name in self.divided.there)

    @property
    def here(self) -> tuple[str, ...]:
        """Operators of a step on the memory, in their order."""
        return tuple(o.name for o in self.workload.operators if o.name not in self.divided.there)

    @property
    def loads(self) -> dict[str, Fraction]:
        """Of what the machine does, the share of its time at full load: of operators, launches and the prompt."""
        found = dict.fromkeys(self.there, Fraction(1)) | dict.fromkeys(self.divided.launches, Fraction(0))
        worker = self.beside.machine
        if self.prompt and isinstance(worker, Worker):
            latency, busy = worker.prompt_ns
            found[PROMPT] = Fraction(busy) / Fraction(latency)
        return found

    def memory(self, config: Config) -> dict[str, object]:
        """What the machine has to hold: `fits`, `required_bytes`, `capacity_bytes`."""
        needed = self.workload if self.prompt else _only(self.workload, self.divided.there)
        work, data_type = config.workload, self.device.eager.data_type
        longest = work.last_context if self._keeps else work.start
        return room(self.device, needed, longest, work.batch, data_type)

    @property
    def _keeps(self) -> bool:
        """Whether K and V of what is decoded lie on the machine."""
        return any(o.op == "attention" and o.name in self.divided.there for o in self.workload.operators)


def _only(workload: Workload, names: Collection[str]) -> Workload:
    """Some operators of a graph, for who adds up what they hold."""
    return replace(workload, operators=tuple(replace(o, deps=()) for o in workload.operators if o.name in names))


def arranged(config: Config, workload: Workload, schedule: Schedule | None) -> Arrangement | None:
    """What `placement` means for a workload; None where the memory has all of it.

    InputError for a machine that cannot be read, and for what cannot be divided, at its key.
    """
    placement = config.placement
    if not placement.key:
        return None
    if schedule is not None:
        what = "a schedule of several templates, or one that is more than plain decoding, runs on the memory alone"
        raise InputError(f"{what}: leave placement or the trace out", key=placement.key)
    if kept := [operator.name for operator in workload.operators if operator.keeps_state]:
        what = f"what an operator that keeps a state ({kept[0]}) gives and takes is not known"
        raise InputError(f"{what}: such a model runs on the memory alone", key=placement.key)
    device = _device(config)
    there = frozenset(o.name for o in workload.operators if _part(config, o) not in (placement.PIM, placement.AUTO))
    prompt = placement.prefill != placement.PIM
    if placement.AUTO in (placement.linear, placement.attention) or (
        placement.prefill == placement.AUTO and _has(config)
    ):
        there, prompt = _chosen(config, workload, device, there, prompt)
    return _arranged(config, workload, device, there, prompt)


def _has(config: Config) -> bool:
    """Whether there is a prompt."""
    return config.workload.prompt_tokens > 0


def _chosen(
    config: Config, workload: Workload, device: BaselineDevice, there: frozenset[str], prompt: bool
) -> tuple[frozenset[str], bool]:
    """What is left open, chosen: the operators of the machine, and whether it takes the prompt (`baselines.choice`)."""
    placement, worker = config.placement, _worker(config, workload, device, {})
    plan = compile_plan(trial(config), workload)
    dram = {"dram": config.dram}  # the rows that are there
    rows = partial(fits, trial(config).model_copy(update=dram))
    choice = Choice(workload, worker, config.system.link, config.workload.batch, plan.functions, rows)
    open_ = [operator for operator in workload.operators if _part(config, operator) == placement.AUTO]
    if open_:
        there = choice.operators(taken(plan, "decode"), open_, there)
    if placement.prefill == placement.AUTO and _has(config):
        steps = config.workload.steps_by_phase["prefill"]
        prompt = choice.prompt(taken(plan, "prefill"), steps, there, placement.kv == "copied")
    return there, prompt


def _device(config: Config) -> BaselineDevice:
    name = config.placement.named[0]
    try:
        return load(config.baseline_file(name))
    except InputError as error:
        key = next(part for part in (*config.placement.PARTS, "machine") if getattr(config.placement, part) == name)
        raise InputError(replace(p, key=p.key or f"placement.{key}") for p in error.problems) from None


def _part(config: Config, operator: Operator) -> str:
    """Who is asked for to carry out an operator."""
    return config.placement.attention if operator.op == "attention" else config.placement.linear


def _arranged(
    config: Config, workload: Workload, device: BaselineDevice, there: Collection[str], prompt: bool
) -> Arrangement:
    """With these operators, and the prompt, on the machine."""
    divided = divide(workload, there, launch_ns(device) > 0)
    parts, tokens = config.placement.sub_batches, config.workload.prompt_tokens if prompt else 0
    worker = _worker(config, workload, device, divided.launches, parts)
    graphs = _prompt(divided, tokens, config.placement.kv == "copied") if tokens else ()
    return Arrangement(device, workload, divided, bool(tokens), Beside(divided.workload, worker, parts, graphs))


def _worker(
    config: Config, workload: Workload, device: BaselineDevice, launches: Mapping[str, Run], parts: int = 1
) -> Worker:
    """The machine with one of so many parts of the batch."""
    work, routing = config.workload, routing_of(config, workload)
    sizes = (work.prompt_tokens, work.context, work.batch)
    return Worker(device, workload, work.batch // parts, routing, launches, *sizes)


def _prompt(divided: Divided, tokens: int, copied: bool) -> Sequence[Workload]:
    """The graphs of the steps of a prompt that the machine takes (`mapping.beside.Beside`)."""
    whole = Operator(PROMPT, LINK, ELSEWHERE, "once_before", 1, 1, deps=(INPUT,))
    kept = [o for o in divided.workload.operators if o.op == "attention" and o.append] if copied else []
    if not kept:
        return (replace(divided.workload, operators=(whole,)),)
    rest = [replace(o, deps=(INPUT,)) for o in kept]
    first = replace(divided.workload, operators=(whole, *_brought(kept, tokens)))
    return first, replace(divided.workload, operators=tuple(rest))


def _brought(attentions: Iterable[Operator], tokens: int) -> list[Operator]:
    """K and V of a whole prompt come over the link, layer by layer, and are appended."""
    found = []
    for operator in attentions:
        name, size = f"{operator.name}_in", operator.kv_token
        found.append(Operator(name, LINK, FROM, operator.scope, size, size, deps=(INPUT,), tokens=tokens))
        found.append(replace(operator, deps=(name,)))
    return found
