"""The report of one run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pimsim.config.loader import as_text
from pimsim.config.resolved import resolved_dict
from pimsim.energy.table import load_table
from pimsim.labels import LABELS, MEANINGS
from pimsim.report import run_devices, run_within
from pimsim.report.page import render, script_json
from pimsim.report.run_breakdowns import largest
from pimsim.report.run_charts import linked_charts
from pimsim.report.run_marks import Linked
from pimsim.report.run_operators import Operators
from pimsim.report.values import section
from pimsim.results import beside, scheduled
from pimsim.results.drawn.colours import BLUE, ORANGE, SKY, VERMILION
from pimsim.results.headline import energy_text, headline, percent, time_text
from pimsim.results.rerun import base_file, command, counts, is_changed
from pimsim.results.result import Result
from pimsim.results.written import readable

_PARTS = {"decoding": BLUE, "drafting": SKY, "verification": ORANGE, "rejected": VERMILION}
_SIZES = ("required_bytes", "capacity_bytes")
_STAGES = ("template", "model", "phase", "part", "batch", "tokens", "blocks", "steps", "tokens_run", "tokens_kept",
           "cycles", "latency_ns")  # fmt: skip


def run_html(result: Result) -> str:
    """The report of a result; what differs between equal runs (`simulation`) is not in it."""
    summary = {key: value for key, value in result.summary.items() if key != "simulation"}
    operators, inputs, provenance = Operators(result), _inputs(result), result.provenance or {}
    linked = linked_charts(operators)
    return render(
        "run.html",
        title=f"{result.config.name}: {summary['workload']['model']}",
        system=result.config.name,
        summary=summary,
        data=script_json(summary),
        headline=headline(summary),
        ran=scheduled.title(summary) if "schedule" in summary else "",
        prompt=scheduled.prompt(summary) if "schedule" in summary else summary["workload"]["prompt_tokens"],
        beside=beside.line(summary["placement"]) if "placement" in summary else "",
        parts=list(_stacked(summary)),
        part_colours=_PARTS,
        stages=_stages(summary),
        devices=run_devices.section(summary["devices"]) if "devices" in summary else None,
        baselines=[
            *_baselines(summary),
            *(_baselines(summary | {"baselines": result.beside}, also=True) if result.baselines else ()),
        ],
        simulated=_simulated(summary),
        decoded=not _prompt_alone(summary),
        charts=[each.chart for each in linked],
        absent=run_within.absent(operators),
        linked=script_json(_linked(operators, linked), indent=None),
        breakdowns=list(_breakdowns(summary)),
        operators=operators.table(),
        values=result.values and section(result.values),
        inputs=inputs,
        labels=_labels(inputs),
        meanings=MEANINGS,
        changes=[entry for entry in inputs if entry["changed"]],
        command=command(result.config, provenance, result.values),
    )


def _linked(operators: Operators, linked: Sequence[Linked]) -> dict[str, Any]:
    """For the page's script: what each operator is called, and what charts show of it."""

    def alone(each: Linked) -> dict[str, Any]:
        return {key: found._asdict() for key, found in each.alone.items()}

    names = {operator.key: operator.said for operator in operators.all}
    return {"operators": names, "charts": {each.chart.name: alone(each) for each in linked}}


def _breakdowns(summary: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What charts of the whole run show, as tables: with shares of the sum."""
    system = summary["system"]
    shown = (
        ("cause", "latency", "latency_ns", system["latency_breakdown_ns"], time_text),
        ("component", "energy", "energy_pJ", system["energy_breakdown_pJ"], energy_text),
    )
    for kind, head, column, parts, text in shown:
        total = sum(parts.values()) or 1.0
        rows = [(readable(name), value, text(value), percent(value / total)) for name, value in largest(parts).items()]
        yield {"kind": kind, "head": head, "column": column, "rows": rows}
    rows = [(name, count, f"{count:,}", "") for name, count in largest(system["commands"]).items()]
    yield {"kind": "command", "head": "count", "column": "count", "rows": rows}


def _simulated(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The simulated system as a row of the table of baselines: what their ratios are over."""
    system = summary["system"]
    decoded = {"latency_ns": system["latency_ns"] - system["prefill_latency_ns"],
               "energy_pJ": system["energy_pJ"] - system["prefill_energy_pJ"]}  # fmt: skip
    return {"latency_ns": system["latency_ns"], "energy_pJ": system["energy_pJ"]} if _prompt_alone(summary) else decoded


def _prompt_alone(summary: Mapping[str, Any]) -> bool:
    """Whether nothing is decoded after it."""
    return summary["system"]["latency_per_step_ns"] is None


def _baselines(summary: Mapping[str, Any], also: bool = False) -> Iterator[dict[str, Any]]:
    """A row of tables for each machine; also: the configuration does not name it."""
    prompt = _prompt_alone(summary)
    for name, found in summary["baselines"].items():
        model = found["model"]
        # the page of plain decoding has it where the eager program is not the one to compare with
        compiled = found.get("compiled") if also or "schedule" in summary else None
        kernels = found.get("measured_kernels")
        sizes = {name: found[name] for name in _SIZES if name in found}  # a model that states none has these
        models = {
            "roofline": found["roofline"],
            "compiled": compiled or (kernels and found["compiled"]),  # the formula beside them
            "measured kernels": kernels,
            model.get("kind") or "eager": found,
        }
        yield {
            "name": name,
            "also": also,
            "models": {kind: sizes | (_of_prompt(part) if prompt else part) for kind, part in models.items() if part},
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


def _of_prompt(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of a machine with latency and energy of the prefill in the place of those of decoding."""
    whole = {name: figures[f"prefill_{name}"] for name in ("latency_ns", "energy_pJ") if f"prefill_{name}" in figures}
    return {**figures, **(whole or figures.get("prefill", {}))}


def _inputs(result: Result) -> list[dict[str, Any]]:
    """Every value of the configuration: where it is from, how well it is known, and what it was before a change."""
    values, provenance = resolved_dict(result.config), result.provenance or {}
    base = base_file(provenance)
    given = [
        {
            "key": key,
            "value": as_text(_at(values, key)),
            "label": origin.label or "set by you",
            "reason": origin.reason,
            "place": origin.place,
            "changed": is_changed(key, origin, base),
            "before": "(default)" if origin.before is None else origin.before,
        }
        for key, origin in provenance.items()
        if counts(key)
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


def _labels(inputs: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    counts = Counter(entry["label"] for entry in inputs)
    order = (*LABELS, "default", "set by you")
    return [(label, counts[label]) for label in order if counts[label]]
