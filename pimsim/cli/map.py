"""`pimsim map`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from pimsim.cli.options import config_argument, located_in, set_option
from pimsim.cli.process import as_usual
from pimsim.cli.say import console, emit, say

if TYPE_CHECKING:
    from pimsim.api import Loaded
    from pimsim.sweep.placement import Placed, Searched

_SHOWN = 12  # placements of the front


@click.command("map")
@config_argument
@set_option
@click.option(
    "--out", metavar="FILE.yaml", help="Write CONFIG with the best placement to FILE.yaml, which `run` takes."
)
@click.option(
    "--workers", metavar="N", type=click.IntRange(0), help="Processes (default: one per core; 0: in this process)."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on standard output.")
def map_(config: str, overrides: tuple[str, ...], out: str | None, workers: int | None, as_json: bool) -> None:
    """Search for the fastest placement of weights, K and V.

    Every combination of the keys of `mapping` is simulated; CONFIG's own is one of them.
    """
    as_usual()
    from pimsim import api
    from pimsim.files import check_output
    from pimsim.sweep.placement import search

    if out is not None:
        check_output(out)
    loaded = api.load(config, overrides)
    number = (os.cpu_count() or 1) if workers is None else workers
    with located_in(loaded), console(stderr=True).status("searching"):
        found = search(api.language_model(loaded.config), number)
    if out is not None:
        write_best(loaded, config, found, out)
    if as_json:
        emit(json.dumps(as_dict(found), indent=2))
        return
    _print(found)
    if out is not None:
        say(f"written to {out}")


def as_dict(found: Searched) -> dict[str, Any]:
    """The search as JSON has it."""
    return {
        "schema": "pimsim.map/1",
        "own": _figures(found.own),
        "best": _figures(found.best),
        "front": [_figures(placed) for placed in found.front],
        "tried": len(found.tried),
        "refused": found.refused,
        "bound": {
            "latency_ns": found.bound.latency_ns, "macs_ns": found.bound.macs_ns, "pins_ns": found.bound.pins_ns,
        },
    }  # fmt: skip


def _figures(placed: Placed) -> dict[str, Any]:
    return {
        "mapping": dict(placed.mapping),
        "latency_ns": placed.latency_ns,
        "energy_pJ": placed.energy_pJ,
        "rows": placed.rows,
    }


def write_best(loaded: Loaded, name: str, found: Searched, out: str) -> None:
    """CONFIG with what was set, and the best placement, as a file that loads from its own folder."""
    from pimsim import api
    from pimsim.config.loader import BASELINE_SUFFIXES
    from pimsim.config.resolved import dump_yaml
    from pimsim.files import write_bytes

    config = api.language_model(loaded.config)
    changes: dict[str, Any] = {"mapping": config.mapping.model_copy(update=dict(found.best.mapping))}
    folder = os.path.dirname(out) or "."
    if config.workload.trace is not None:
        trace = os.path.relpath(config.workload.trace_file, folder)
        changes["workload"] = config.workload.model_copy(update={"trace": trace})
    if config.energy.table.endswith(BASELINE_SUFFIXES):
        table = os.path.relpath(config.energy.table_file, folder)
        changes["energy"] = config.energy.model_copy(update={"table": table})
    files = {machine: config.baseline_file(machine) for machine in config.baselines}
    changes["baselines"] = tuple(
        machine if file == machine else os.path.relpath(file, folder) for machine, file in files.items()
    )
    head = f"# {name} with the placement that `pimsim map` found to be the fastest of {len(found.tried)}.\n\n"
    write_bytes(out, (head + dump_yaml(config.model_copy(update=changes), loaded.provenance)).encode())


def _print(found: Searched) -> None:
    own, best = found.own, found.best
    refused = f", {sum(found.refused.values())} refused" if found.refused else ""
    say(f"{len(found.tried)} placements simulated{refused}; the fastest takes {_gain(own, best)}")
    for line in _changes(own.mapping, best.mapping):
        say(f"  {line}")
    for reason, count in found.refused.items():
        say(f"  {count} x {reason}")
    bound = found.bound
    by = "multiply-accumulates at the units' rate" if bound.macs_ns >= bound.pins_ns else "bytes at the pins' rate"
    share = f"{bound.latency_ns / best.latency_ns:.1%} of it"
    say(f"no placement takes less than {_ms(bound.latency_ns)} ms ({by}): {share}")
    _print_front(found)


def _gain(own: Placed, best: Placed) -> str:
    if best.costs == own.costs:
        return f"{_ms(best.latency_ns)} ms, as CONFIG's own"
    less = 1 - best.latency_ns / own.latency_ns
    return f"{_ms(best.latency_ns)} ms, {less:.1%} less than CONFIG's own ({_ms(own.latency_ns)} ms)"


def _changes(own: Mapping[str, Any], best: Mapping[str, Any]) -> Iterator[str]:
    for key, value in best.items():
        if value != own[key]:
            yield f"mapping.{key}: {_word(own[key])} -> {_word(value)}"


def _word(value: Any) -> str:
    return "all" if value is None else str(value)


def _ms(ns: float) -> str:
    return f"{ns / 1e6:,.4g}"


def _print_front(found: Searched) -> None:
    """What differs in the front, and its figures."""
    from rich.table import Table

    shown = found.front[:_SHOWN]
    keys = [key for key in found.own.mapping if len({repr(p.mapping[key]) for p in [found.own, *shown]}) > 1]
    more = f", the first {_SHOWN}" if len(found.front) > _SHOWN else ""
    say(f"front of latency, energy and rows: {len(found.front)} placements{more}")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("latency ms", "energy mJ", "rows", *(key.replace("_", " ") for key in keys)):
        table.add_column(heading, justify="right", vertical="bottom")
    for placed in shown:
        figures = _ms(placed.latency_ns), f"{placed.energy_pJ / 1e9:,.4g}", f"{placed.rows:,}"
        table.add_row(*figures, *(_word(placed.mapping[key]) for key in keys))
    console().print(table)
