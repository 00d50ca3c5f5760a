"""What a careful reader would want to know before quoting a figure, as far as the figures themselves say it.

What is odd about the input is known before a simulation: see `pimsim.api.warnings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pimsim.config.schema import Config
from pimsim.errors import Problem
from pimsim.results.beside import memory_warning
from pimsim.results.headline import size

# A check looks at the configuration and at the summary's workload, system and baselines; a problem names
# the key that would change what it finds.
Check = Callable[[Config, Mapping[str, Any]], Iterable[Problem]]


def _baselines(config: Config, figures: Mapping[str, Any]) -> Iterator[Problem]:
    """Machines that cannot hold the workload or may not, and measurements that are of something else."""
    model = figures["workload"]["model"]
    for i, (name, found) in enumerate(figures["baselines"].items()):
        asked = config.baseline_kernels == "measured"
        for message in (*_memory(model, name, found), *_formula(name, found), *_kernels(asked, name, found)):
            yield Problem("", 0, 0, f"baselines.{i}", message)


def _memory(model: str, name: str, found: Mapping[str, Any]) -> Iterator[str]:
    if "fits" not in found:
        return
    if found["capacity_bytes"] is None:
        yield f"{name} states no memory.capacity: whether {model} fits it is not known"
        return
    needs = {found["model"]["data_type"]: found, found["roofline"]["data_type"]: found["roofline"]}
    missing = [what for what, part in (("eager", found), ("roofline", found["roofline"])) if not part["fits"]]
    if missing:
        which = "speedup" if len(missing) == 2 else f"{missing[0]} speedup"
        sizes = " and ".join(f"{size(part['required_bytes'])} in {kind}" for kind, part in needs.items())
        yield (
            f"{model} does not fit {name}, so there is no {which} and energy ratio over it: weights, K and V take "
            f"{sizes}, and it has {size(found['capacity_bytes'])}"
        )


def _formula(name: str, found: Mapping[str, Any]) -> Iterator[str]:
    model = found["model"]
    if found.get("fits", True) and model.get("kind") == "eager" and model.get("note"):
        yield f"{name} is compared by its formula, not by a measurement: {model['note']}"


def _kernels(asked: bool, name: str, found: Mapping[str, Any]) -> Iterator[str]:
    if asked and "measured_kernels" not in found:
        why = "they are of plain decoding" if "tpot_ns" in found else "its file names no `kernels`"
        yield f"{name} is compared without measured kernels: {why}"


def _supply(config: Config, figures: Mapping[str, Any]) -> Iterator[Problem]:
    """More power than the supply gives."""
    budget, peak = config.dram.power.budget_W, figures["system"]["peak_power_mW"] / 1000
    if budget is not None and peak > budget:
        message = f"the busiest refresh interval takes {peak:.6g} W, more than the budget of {budget.normalize():f} W"
        yield Problem("", 0, 0, "dram.power.budget_W", message)


def _kept(config: Config, figures: Mapping[str, Any]) -> Iterator[Problem]:
    """A schedule that keeps no token of what it decodes, or decodes nothing."""
    if not figures["workload"]["tokens_kept"]:
        key = "workload.trace" if config.workload.trace else "workload.output_tokens"
        yield Problem("", 0, 0, key, "no token is kept, so there is no figure per token")


def _beside(config: Config, figures: Mapping[str, Any]) -> Iterator[Problem]:
    """A machine beside the memory that cannot hold its part."""
    if "placement" in figures and (message := memory_warning(figures["placement"])):
        yield Problem("", 0, 0, config.placement.key, message)


CHECKS: tuple[Check, ...] = (_kept, _baselines, _supply, _beside)


def figure_warnings(config: Config, figures: Mapping[str, Any]) -> tuple[Problem, ...]:
    """What the figures of a run say that needs saying; `figures` has the summary's workload, system, baselines."""
    return tuple(problem for check in CHECKS for problem in check(config, figures))
