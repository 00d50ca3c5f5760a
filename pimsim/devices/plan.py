"""From a configuration to a plan: on which device, where everything lies, which instructions a step has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pimsim.asic.units import Units
from pimsim.config.schema import Config
from pimsim.devices.registry import HARDWARE, resolve
from pimsim.devices.tried import check_layouts
from pimsim.dram.timing import Device
from pimsim.errors import InputError, Problem
from pimsim.mapping.beside import Beside
from pimsim.mapping.fabric import Fabric
from pimsim.mapping.fit import check_fits
from pimsim.mapping.functions import functions_in_banks
from pimsim.mapping.memory import Memory, place, supply_grid
from pimsim.mapping.operands import Operand, operands
from pimsim.mapping.plan import Plan
from pimsim.mapping.regions import Use
from pimsim.mapping.routing import routing_of
from pimsim.mapping.supported import check_supported
from pimsim.workload.graph import Workload
from pimsim.workload.schedule import Schedule
from pimsim.workload.source import requested_workload


def compile_plan(
    config: Config,
    workload: Workload | None = None,
    device: Device | None = None,
    whole: Config | None = None,
    schedule: Schedule | None = None,
    fabric: Fabric | None = None,
    beside: Beside | None = None,
    parts: int = 1,
) -> Plan:
    """Compile a config; InputError if the workload does not fit the device, or is nothing that it can run.

    workload: a graph to run in the place of the one that the config names; device: that of the config, if it is known;
    whole: the config, if `config` is the part of it that a simulation reads (`sim.inputs`).
    schedule: the steps that run, where they are more than those of the config; `workload` is then not read.
    fabric: the links to the devices that the workload is shared with.
    beside: how the run is divided between the memory and another machine; `workload` is then not read, either.
    parts: of a batch, of which a step runs one: K and V of all of them are kept.
    """
    if beside is None and config.placement.key:
        what = "this plans the memory alone, and another machine has a part of the run: `pimsim.run` divides it"
        raise InputError(what, key=config.placement.key)
    workload = beside.graph if beside else workload
    graphs = _graphs(config, workload, schedule)
    for graph in dict.fromkeys(graphs):
        check_supported(graph, config)
    if schedule is not None:
        _check_forks(schedule)
    made = {graph: operands(graph) for graph in dict.fromkeys(graphs)}
    uses = _uses(config, graphs, schedule, made)
    memories = place_in(config, uses, device)

    def kept(other: Config, device: Device | None = None) -> Memory:
        """Where everything lies that is there at once."""
        return place_in(other, [_of_all(use, parts) for use in _uses(other, graphs, schedule, made)], device)[0]

    memory = memories[0] if parts == 1 else kept(config, memories[0].grid.device)
    check_fits(whole or config, memory, kept)
    units = Units(config.asic)
    plans = [_plan(config, use, memory, units) for use, memory in zip(uses, memories, strict=True)]
    if schedule is None:
        plan = replace(plans[0], fabric=fabric, rows=memory.rows)
        return plan if beside is None else _with_machine(plan, beside)
    plans = [
        replace(plan, depths=stage.depths if stage.tree else None, branches=stage.branches)
        for plan, stage in zip(plans, schedule.stages, strict=True)
    ]
    return replace(plans[schedule.stages.index(schedule.main)], schedule=schedule, stages=tuple(plans))


def _of_all(use: Use, parts: int) -> Use:
    """With the sequences of all parts of a batch."""
    return replace(use, batch=use.batch * parts)


def _with_machine(plan: Plan, beside: Beside) -> Plan:
    """The plan of a run that another machine has a part of."""
    plan = replace(plan, machine=beside.machine, sub_batches=beside.sub_batches)
    if not beside.prompt:
        return plan
    fills = [
        replace(plan, workload=graph, operands=operands(graph), fills=True, sub_batches=1, _drafts={}, _works={})
        for graph in beside.prompt
    ]
    return replace(plan, stages=(plan, *fills))


def _graphs(config: Config, workload: Workload | None, schedule: Schedule | None) -> list[Workload]:
    if schedule is None:
        return [workload or requested_workload(config)]
    return [stage.workload for stage in schedule.stages]


def _check_forks(schedule: Schedule) -> None:
    """InputError for a fork of sequences whose K and V are a ring: it has no prefix that could be shared."""
    problems = [
        Problem(stage.workload.source, o.line, 1 if o.line else 0, o.name, _RING.format(line=stage.line))
        for stage in schedule.stages
        if stage.branches
        for o in stage.workload.operators
        if o.window or (o.op == "attention" and o.append and o.kv_slope != 1)
    ]
    if problems:
        raise InputError(list(dict.fromkeys(problems)))


_RING = "a fork (line {line}) of an attention whose K and V take the place of older ones: there is no prefix to share"


def _uses(
    config: Config,
    graphs: Sequence[Workload],
    schedule: Schedule | None,
    made: Mapping[Workload, tuple[Operand, ...]],
) -> list[Use]:
    """The graphs with how large their steps get; made: the operands of each."""
    if schedule is None:
        work, (graph,) = config.workload, graphs
        tokens = max(work.query_tokens, min(work.prefill_chunk, work.prompt_tokens))
        return [Use(graph, made[graph], work.batch, tokens, work.last_context, runs=_runs(config))]
    lenders = {stage.name: stage.workload for stage in schedule.stages}
    return [
        Use(
            stage.workload,
            made[stage.workload],
            stage.batch,
            stage.tokens,
            int(schedule.context[schedule.stage == number].max(initial=stage.tokens)),
            stage.layers,
            stage.copies,
            stage.branches,
            lenders.get(stage.weights_of),
            _runs_of(config, schedule, number),
        )
        for number, stage in enumerate(schedule.stages)
    ]


Runs = tuple[tuple[int, int, int], ...]


def _runs(config: Config) -> Runs:
    """As `Use.runs`, of plain decoding, where anything depends on it."""
    if config.mapping.verify == "repeat":
        return ()
    work, found = config.workload, Counter[tuple[int, int]]()
    for phase, context, tokens in work.steps():
        found[tokens, (1 if phase == "prefill" else tokens) if context >= work.start else 0] += 1
    return tuple((*kind, steps) for kind, steps in found.items())


def _runs_of(config: Config, schedule: Schedule, number: int) -> Runs:
    """The same, of a stage of a schedule."""
    if config.mapping.verify == "repeat":
        return ()
    stage, heads = schedule.stages[number], schedule.head[schedule.stage == number]
    tokens = stage.tokens if stage.phase == "decode" or stage.whole else 1
    counts = ((tokens, int(heads.sum())), (0, int((~heads).sum())))
    return tuple((stage.tokens, head, steps) for head, steps in counts if steps)


def _plan(config: Config, use: Use, memory: Memory, units: Units) -> Plan:
    device, workload = memory.grid.device, use.workload
    routing = routing_of(config, workload)
    functions = functions_in_banks(workload, memory.matrices, config.workload.biases)
    return Plan(config, device, workload, units, memory.grid, memory, use.operands, routing, functions, use.batch)


def fits(config: Config, workload: Workload) -> bool:
    """Whether a graph can lie in the memory of a config, and nothing about it is refused."""
    try:
        check_supported(workload, config)
        memory, *_ = place_in(config, _uses(config, [workload], None, {workload: operands(workload)}))
    except InputError:
        return False
    return memory.rows <= memory.grid.device.rows


def compiled(config: Config | Plan) -> Plan:
    """The plan of a config, if it is not that already; InputError as `compile_plan`."""
    return config if isinstance(config, Plan) else compile_plan(config)


def place_in(config: Config, uses: Sequence[Use], device: Device | None = None) -> list[Memory]:
    """Where graphs lie in the device of a config, whether or not it has as many rows."""
    layouts = HARDWARE[config.dram.standard].layouts
    assert layouts is not None  # a `Config` is of hardware that multiplies
    grid, made = supply_grid(config, device or resolve(config.dram, config.pim), Units(config.asic)), layouts(config)
    if HARDWARE.origin(config.dram.standard) is not None:  # those that are shipped have tests
        check_layouts(made, grid)
    return place(config, uses, grid, made)
