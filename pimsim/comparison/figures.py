"""The headline of each run side by side: difference and ratio of each figure to that of the base."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pimsim.comparison.runs import Run
from pimsim.comparison.scope import TOKEN, Scope, same_size

NUMBER = int | float
LOWER, HIGHER = "lower", "higher"


class Figure(NamedTuple):
    """A figure of a summary's `system`.

    unit    of the value; "1" of a share or a ratio
    better  which way is better, "" where that is not said
    whole   it is of the whole run, so it says nothing of runs of another size
    """

    key: str
    what: str
    unit: str
    better: str = ""
    whole: bool = False


FIGURES = (
    Figure("latency_ns", "latency, whole run", "ns", LOWER, True),
    Figure("prefill_latency_ns", "prefill, whole prompt", "ns", LOWER, True),
    Figure("ttft_ns", "first token after", "ns", LOWER, True),
    Figure("tpot_ns", "latency per token", "ns", LOWER),
    Figure("latency_per_step_ns", "latency per step", "ns", LOWER),
    Figure("tokens_per_s", "throughput", "tokens/s", HIGHER),
    Figure("energy_pJ", "energy, whole run", "pJ", LOWER, True),
    Figure("energy_per_token_pJ", "energy per token", "pJ", LOWER),
    Figure("average_power_mW", "power", "mW", LOWER),
    Figure("peak_power_mW", "peak power", "mW", LOWER),
    Figure("row_hit_rate", "row hits", "1", HIGHER),
    Figure("external_bytes", "bytes on the pins", "bytes", LOWER, True),
    Figure("data_movement_reduction", "bus traffic saved by", "1", HIGHER),
    Figure("non_vmm_fraction", "ASIC arithmetic", "1", LOWER),
    Figure("mac_utilization", "MAC use", "1", HIGHER),
    Figure("asic_busy_fraction", "ASIC at work", "1"),
)
SHARES = ("row_hit_rate", "non_vmm_fraction", "mac_utilization", "asic_busy_fraction")  # said in percent


def difference(value: NUMBER | None, base: NUMBER | None) -> NUMBER | None:
    """value - base; None where one of them is none."""
    return None if value is None or base is None else value - base


def ratio(value: NUMBER | None, base: NUMBER | None) -> float | None:
    """value / base; None where one of them is none, or there is nothing to divide by."""
    return None if value is None or not base else float(value / base)


def beside(values: Sequence[NUMBER | None], base: int, comparable: bool = True) -> dict[str, Any]:
    """Values, and what each is to that of the base; where they are not comparable no difference, and no ratio."""
    first = values[base] if comparable else None
    return {
        "values": list(values),
        "differences": [difference(value, first) for value in values],
        "ratios": [ratio(value, first) for value in values],
    }


def results(runs: Sequence[Run], base: int, scope: Scope) -> list[dict[str, Any]]:
    """A row per figure that some run has, and one for the sum of the parts where no figure is that."""
    return list(_rows(runs, base, scope))


def _rows(runs: Sequence[Run], base: int, scope: Scope) -> Iterator[dict[str, Any]]:
    whole_too, tokens = same_size(runs), [run.system["tpot_ns"] for run in runs]
    for figure in FIGURES:
        values = [_value(run, figure.key) for run in runs]
        if not any(values) or (figure.key == "latency_per_step_ns" and values == tokens):
            continue
        comparable = whole_too or not figure.whole
        row = {"figure": f"system.{figure.key}", "what": figure.what, "unit": figure.unit, "better": figure.better}
        if figure.key == "tpot_ns":
            row["what"] += _of_one(runs)
            yield from _sum_of_parts(runs, base, scope, tokens)
        yield row | {"comparable": comparable} | beside(values, base, comparable)


def _value(run: Run, key: str) -> NUMBER | None:
    """A figure of `system`; a run that decodes nothing saves no traffic, though its summary says 0."""
    if key == "data_movement_reduction" and run.system["latency_per_step_ns"] is None:
        return None
    value: NUMBER | None = run.system[key]
    return value


def _of_one(runs: Sequence[Run]) -> str:
    """Where tokens of one sequence are not those of all, which they are."""
    return " of one sequence" if any(run.summary["workload"]["batch"] > 1 for run in runs) else ""


def _sum_of_parts(runs: Sequence[Run], base: int, scope: Scope, tokens: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """What causes and operators sum to, where it is over tokens and not the latency per token of one sequence."""
    clocks = enumerate(run.clocks(scope.phase) * run.tCK_ps for run in runs)
    values = [float(scope.part(at, ps) / 1000) for at, ps in clocks]
    if scope.per == TOKEN and _of_one(runs) and values != tokens:
        row = {"figure": "causes.total", "what": f"latency {scope.words}", "unit": "ns", "better": LOWER}
        yield row | {"comparable": True} | beside(values, base)


def commands(runs: Sequence[Run], base: int, same_size: bool) -> list[dict[str, Any]]:
    """A row per command that some run issues, over all channels; null in a run whose memory issues none."""
    counts = [run.system["commands"] for run in runs]
    names = sorted({name for each in counts for name in each})
    return [{"command": name} | beside([each.get(name) for each in counts], base, same_size) for name in names]


_RATIOS = (("speedup", "speedup"), ("energy_ratio", "energy ratio"))
_MODELS = (("roofline", "roofline"), ("", "eager"))


def baselines(runs: Sequence[Run], base: int) -> list[dict[str, Any]]:
    """A row per machine, model of it and ratio; null in a run that is not compared with it, or does not fit it."""
    machines = [run.summary["baselines"] for run in runs]
    names = dict.fromkeys(name for each in machines for name in each)
    rows = []
    for name in names:
        for model, said in _MODELS:
            for key, what in _RATIOS:
                values = [_ratio(each.get(name), model, key) for each in machines]
                if any(value is not None for value in values):
                    rows.append({"baseline": name, "model": said, "figure": key, "what": what} | beside(values, base))
    return rows


def _ratio(machine: Any, model: str, key: str) -> float | None:
    if machine is None:
        return None
    value: float | None = (machine[model] if model else machine)[key]
    return value
