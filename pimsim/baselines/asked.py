"""Machines beside what a configuration asks for: its steps, or those of its trace's schedule."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from pimsim.baselines.devices import BaselineDevice, load
from pimsim.baselines.evaluation import evaluate
from pimsim.config.schema import Config
from pimsim.mapping.routing import routing_of
from pimsim.workload.graph import Workload
from pimsim.workload.schedule import Schedule


class Asked:
    """What is asked of every machine.

    key: equal where the same is asked.
    """

    def __init__(self, config: Config, workload: Workload, schedule: Schedule | None) -> None:
        asked, routing = config.workload, routing_of(config, workload)
        self._run: Callable[[BaselineDevice], dict[str, Any]]
        if schedule is not None:
            from pimsim.baselines.scheduled import evaluate_schedule  # not for those who have none

            self._run = partial(evaluate_schedule, schedule=schedule, routing=routing)
            self.key: Hashable = (schedule.sha256, tuple(stage.workload for stage in schedule.stages), routing)
            return
        steps = (asked.decode_contexts, asked.batch, asked.prompt_tokens, asked.query_tokens, routing, asked.context)
        kernels = config.baseline_kernels == "measured"
        self._run = lambda device: evaluate(device, workload, *steps, kernels)
        self.key = (workload, steps, kernels)

    def of(self, device: BaselineDevice) -> dict[str, Any]:
        """As `evaluate` and `evaluate_schedule` have it."""
        return self._run(device)


def beside(
    config: Config, workload: Workload, schedule: Schedule | None, shown: frozenset[str]
) -> dict[str, dict[str, Any]]:
    """Machines that stand beside those that a configuration compares with (`beside` of their files), unless shown."""
    asked = Asked(config, workload, schedule)
    compared = [load(config.baseline_file(name)) for name in config.baselines]
    names = dict.fromkeys(name for device in compared for name in device.beside if name not in shown)
    return {name: asked.of(load(name)) for name in names}
