"""The report of one run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Any

import numpy as np

from pimsim.config.loader import as_text
from pimsim.config.resolved import resolved_dict
from pimsim.energy.table import load_table
from pimsim.labels import LABELS, MEANINGS
from pimsim.report.charts import Chart, plain
from pimsim.report.page import bars, render, script_json
from pimsim.report.values import section, tips
from pimsim.results import scheduled
from pimsim.results.headline import energy_scale, headline, number, time_scale
from pimsim.results.lines import lines_of
from pimsim.results.result import Result
from pimsim.results.tables import token_columns

# Okabe and Ito's palette, as the plots have it: what is at work in a cause or a component.
_BLUE, _ORANGE, _SKY, _GREEN, _PURPLE, _VERMILION = "#0072B2", "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00"
_YELLOW = "#F0E442"
_SOME = ("mode_switch", "copy")  # causes of some devices
_COLOURS = {
    **dict.fromkeys(("mac", "mac_read", "mac_units"), _BLUE),
    **dict.fromkeys(("activation", "refresh"), _ORANGE),
    **dict.fromkeys(("input_transfer", "result_transfer", "io"), _SKY),
    **dict.fromkeys(("write", "read", "column_read", "column_write"), _GREEN),
    **dict.fromkeys(("standby_active", "standby_precharged"), _PURPLE),
    **dict.fromkeys(_SOME, _YELLOW),
}
_KINDS = (("MAC units", _BLUE), ("rows", _ORANGE), ("pins", _SKY), ("K and V", _GREEN), ("standby", _PURPLE),
          ("ASIC", _VERMILION))  # fmt: skip
_PARTS = {"decoding": _BLUE, "drafting": _SKY, "verification": _ORANGE, "rejected": _VERMILION}
_SERIES = (_BLUE, _VERMILION, _GREEN, _PURPLE, _ORANGE, _SKY)  # lines of one chart, in order
_STAGES = ("template", "model", "phase", "part", "batch", "tokens", "blocks", "steps", "tokens_run", "tokens_kept",
           "cycles", "latency_ns")  # fmt: skip
_COLUMNS = (
    "phase",
    "part",
    "operator",
    "count",
    "cycles",
    "latency_ns",
    "energy_pJ",
    "macs",
    "pin_bytes",
    "payload_bytes",
)


def run_html(result: Result) -> str:
    """The report of a result; what differs between equal runs (`simulation`) is not in it."""
    summary = {key: value for key, value in result.summary.items() if key != "simulation"}
    system = summary["system"]
    return render(
        "run.html",
        title=f"{result.config.name}: {summary['workload']['model']}",
        summary=summary,
        data=script_json(summary),
        headline=headline(summary),
        ran=scheduled.title(summary) if "schedule" in summary else "",
        prompt=scheduled.prompt(summary) if "schedule" in summary else summary["workload"]["prompt_tokens"],
        parts=list(_stacked(summary)),
        part_colours=_PARTS,
        stages=_stages(summary),
        latency=_breakdown(system["latency_breakdown_ns"], time_scale),
        energy=_breakdown(system["energy_breakdown_pJ"], energy_scale),
        kinds=(
            *_KINDS,
            *((("modes, copies", _YELLOW),) if any(map(system["latency_breakdown_ns"].get, _SOME)) else ()),
        ),
        baselines=[
            *_baselines(summary),
            *(_baselines(summary | {"baselines": result.beside}, also=True) if result.baselines else ()),
        ],
        charts=list(_tokens(result)),
        operators=_operators(result),
        values=result.values and section(result.values),
        inputs=_inputs(result),
        labels=_labels(result),
        meanings=MEANINGS,
        changes=[entry for entry in _inputs(result) if entry["changed"]],
    )


def _breakdown(parts: Mapping[str, float], scale: Any) -> dict[str, Any]:
    factor, unit = scale(max(parts.values(), default=0.0))
    return {"bars": bars(parts, _COLOURS, _VERMILION), "factor": factor, "unit": unit, "total": sum(parts.values())}


def _baselines(summary: Mapping[str, Any], also: bool = False) -> Iterator[dict[str, Any]]:
    """A row of tables for each machine; also: the configuration does not name it."""
    prompt = summary["system"]["latency_per_step_ns"] is None
    for name, found in summary["baselines"].items():
        model = found["model"]
        # the page of plain decoding has it where the eager program is not the one to compare with
        compiled = found.get("compiled") if also or "schedule" in summary else None
        kernels = found.get("measured_kernels")
        models = {
            "roofline": found["roofline"],
            "compiled": compiled or (kernels and found["compiled"]),  # the formula beside them
            "measured kernels": kernels,
            model.get("kind") or "eager": found,
        }
        yield {
            "name": name,
            "also": also,
            "models": {kind: _of_prompt(part) if prompt else part for kind, part in models.items() if part},
            "bound": model.get("bound", {}),
            "constants": model.get("constants", {}),
            "note": model.get("note", "") or (kernels or {}).get("source", ""),
        }


def _stacked(summary: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Bars of the parts of decoding, one of time and one of energy: the shares of each part, as they are stacked."""
    for what, figure in (("time", "latency_ns"), ("energy", "energy_pJ")):
        if shares := scheduled.shares(summary, figure):
            yield {"name": what, "parts": [(name, share, f"{100 * share:.2f}") for name, share in shares.items()]}


def _stages(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """The table of the stages of a schedule."""
    if "schedule" not in summary:
        return None
    stages = summary["schedule"]["stages"]
    texts = sum(isinstance(stages[0][name], str) for name in _STAGES)
    return {"columns": _STAGES, "texts": texts, "rows": [[stage[name] for name in _STAGES] for stage in stages]}


def _of_prompt(figures: Mapping[str, Any]) -> Mapping[str, Any]:
    """Figures of a machine with latency and energy of the prefill in the place of those of decoding."""
    whole = {name: figures[f"prefill_{name}"] for name in ("latency_ns", "energy_pJ") if f"prefill_{name}" in figures}
    return {**figures, **(whole or figures.get("prefill", {}))}


def _tokens(result: Result) -> Iterator[Chart]:
    """The time of each step over its context; of a schedule a line for each of its parts."""
    columns = token_columns(result.tally)
    contexts, times = columns["context"], columns["latency_ns"]
    if len(times) < 2:
        return
    factor, unit = time_scale(times.max())
    named = lines_of(result.schedule)
    lines = [("", np.arange(len(times)))] if len(named) < 2 else named
    traces = [
        _line(name, colour, contexts[at].tolist(), (times[at] / factor).tolist(), unit)
        for (name, at), colour in zip(lines, cycle(_SERIES), strict=False)
    ]
    layout = {
        "xaxis": {"title": {"text": "context (tokens)"}},
        "yaxis": {"title": {"text": f"decode step ({unit})"}, "rangemode": "tozero"},
    }
    title = f"Time per {'step' if result.schedule else 'token'}"
    yield Chart("tokens", title, f"the time of each decode step, in {unit}, over its context", traces, layout)


def _line(name: str, colour: str, xs: list[float], ys: list[float], unit: str) -> dict[str, Any]:
    said = [f"{x:,} tokens: {number(y)} {unit}" for x, y in zip(xs, ys, strict=True)]
    style = {
        "type": "scatter",
        "mode": "lines",
        "line": {"color": colour},
        "hoverinfo": "text",
        "showlegend": bool(name),
    }
    return {**style, "name": plain(name), "x": xs, "y": ys, "hovertext": said}


def _operators(result: Result) -> dict[str, Any]:
    records = result.records("operators")
    columns = [name for name in _COLUMNS if records and name in records[0]]
    rows = [[record[name] for name in columns] for record in records]
    name = columns.index("operator") if columns else 0
    return {"columns": columns, "rows": rows, "tips": tips(result, records), "name": name}


def _inputs(result: Result) -> list[dict[str, Any]]:
    """Every value of the configuration: where it is from, how well it is known, and what it was before a change."""
    values, provenance = resolved_dict(result.config), result.provenance or {}
    base = provenance["dram.standard"].file if "dram.standard" in provenance else ""
    given = [
        {
            "key": key,
            "value": as_text(_at(values, key)),
            "label": origin.label or "set by you",
            "reason": origin.reason,
            "place": origin.place,
            "changed": origin.before is not None or origin.file not in ("default", base),
            "before": "(default)" if origin.before is None else origin.before,
        }
        for key, origin in provenance.items()
        if key != "schema" and not key.startswith("engine.")  # which changes no result
    ]
    return [*given, *_energy_rows(result)]


def _energy_rows(result: Result) -> Iterator[dict[str, Any]]:
    """The rows that an energy table of one's own has, as inputs: what they were in the table that it extends."""
    table = result.prices.table
    under = load_table(table.extends).rows if table.extends else {}
    for key, row in table.own.items():
        yield {
            "key": f"energy.table.{key}",
            "value": f"{float(row.value):g}",
            "label": row.source,
            "reason": row.note,
            "place": f"{os.path.basename(row.file)}:{row.line}",
            "changed": True,
            "before": f"{float(under[key].value):g}" if key in under else "(none)",
        }


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _labels(result: Result) -> list[tuple[str, int]]:
    counts = Counter(origin.label or "set by you" for origin in (result.provenance or {}).values())
    order = (*LABELS, "default", "set by you")
    return [(label, counts[label]) for label in order if counts[label]]
