"""What each device of a system runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from pimsim.config.schema import Config, SystemConfig
from pimsim.errors import InputError, Problem
from pimsim.workload.graph import Workload
from pimsim.workload.parallel.numbers import Group, split
from pimsim.workload.schedule import Schedule


@dataclass(frozen=True)
class Share:
    """What some equal devices run.

    stage, stages   number of the first stage of a pipeline that they are in, from 0, and how many equal ones follow
    devices         of the whole system
    batch           sequences of their own in each pass (0: they only run experts for others)
    blocks          of the model that they hold
    leads           whether the other devices of the stage wait for them, as they have most to do
    workload        what one of them runs in a pass; without operators it only waits
    """

    stage: int
    stages: int
    devices: int
    batch: int
    blocks: int
    leads: bool
    workload: Workload

    def config(self, whole: Config) -> Config:
        """The configuration of one of them: with its own sequences, and nobody to compare with."""
        work = whole.workload.model_copy(update={"batch": max(self.batch, 1)})
        return whole.model_copy(update={"workload": work, "baselines": ()})

    @property
    def idle(self) -> bool:
        """Whether they have nothing to do."""
        return not self.workload.operators


@dataclass(frozen=True)
class Layout:
    """How a system shares a model.

    replicas   of the model that have sequences
    in_flight  parts of a replica's sequences that are in its pipeline at once
    sequences  of each part
    groups     of the devices that share experts, those that have sequences
    shares     of all stages, in their order; of each stage the one that leads comes first
    """

    replicas: int
    in_flight: int
    sequences: int
    groups: int
    shares: tuple[Share, ...]


def check_system(config: Config, schedule: Schedule | None) -> None:
    """InputError with what no system of several devices does here."""
    system, problems = config.system, list[Problem]()
    if schedule is not None:
        what = "a trace whose schedule is more than plain decoding runs on one device"
        problems.append(Problem("", 0, 0, "system.devices", what))
    if system.tensor > 1 and system.expert > 1 and system.link.topology != "switch":
        what = f"devices that share matrices and experts are joined by a switch, not by a {system.link.topology}"
        problems.append(Problem("", 0, 0, "system.link.topology", what))
    if problems:
        raise InputError(problems)


def system_warnings(config: Config, layout: Layout) -> Iterator[Problem]:
    """What a careful reader would want to know of how a system shares a model."""
    system = config.system
    if idle := system.devices - layout.replicas * system.holders:
        what = f"{idle} of {system.devices} devices have no sequence (workload.batch): they wait, and draw power"
        yield Problem("", 0, 0, "system.devices", what)
    if system.expert > 1:
        what = "experts are taken to be chosen evenly; a device whose experts are chosen more often is waited for"
        yield Problem("", 0, 0, "system.expert", what)
    if system.pipeline > layout.in_flight:
        what = (
            f"{layout.in_flight} of {system.pipeline} stages have a part of the batch at a time; the others wait "
            "(workload.batch, system.in_flight)"
        )
        yield Problem("", 0, 0, "system.pipeline", what)


def layout_of(config: Config, workload: Workload) -> Layout:
    """How the system of a configuration shares a model; InputError with everything that does not divide."""
    system, batch = config.system, config.workload.batch
    replicas = min(system.replicas, batch)
    sequences = batch // replicas
    in_flight = system.in_flight or most_in_flight(sequences, system.pipeline, system.expert)
    shares = tuple(_shares(system, workload, replicas, sequences // in_flight))
    part = sequences // in_flight
    return Layout(replicas, in_flight, part, min(part, system.expert), shares)


def most_in_flight(sequences: int, stages: int, expert: int = 1) -> int:
    """The largest divisor of so many sequences that is not above the stages: more parts would only wait.

    Of those whose parts divide over the devices that share experts, if there are any.
    """
    found = [parts for parts in range(1, min(sequences, stages) + 1) if sequences % parts == 0]
    fitting = [parts for parts in found if sequences // parts <= expert or sequences // parts % expert == 0]
    return max(fitting or found)


def _shares(system: SystemConfig, workload: Workload, replicas: int, batch: int) -> Iterator[Share]:
    groups = split(workload, system.tensor, system.pipeline, system.expert, batch)
    roles = [group.role for group in groups]
    first = 0
    for stages, alike in groupby(zip(*map(_one_by_one, groups), strict=True)):
        count = len(list(alike))
        for role, stage in zip(roles, stages, strict=True):
            devices = role.count * system.tensor * count * replicas
            yield Share(first, count, devices, role.batch, stage.blocks, role is roles[0], stage)
        first += count


def _one_by_one(group: Group) -> Iterator[Workload]:
    """The graph of each stage."""
    return (stage.workload for stage in group.stages for _ in range(stage.count))
