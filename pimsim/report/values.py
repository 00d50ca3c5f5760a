"""What a report shows of values: what was said, each operator's range and error, and what hovering over one shows."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from pimsim.report.page import spark
from pimsim.results.headline import number, percent
from pimsim.results.result import Result
from pimsim.results.values import Values, badness, folded, relative

if TYPE_CHECKING:
    from pimsim.values.moments import Moments

_COLUMNS = ("phase", "operator", "layers", "elements", "min", "max", "rms", "max_abs_error", "rms_error",
            "relative_error")  # fmt: skip


def section(values: Values) -> dict[str, Any]:
    """Everything that the section of values has."""
    said, reference = values.said, values.reference
    return {
        "about": values,
        "agreement": percent(values.agreement),
        "tokens": [
            {"here": _token(*own), "reference": _token(*other), "same": own[0] == other[0]}
            for own, other in zip_longest(_tokens(said), _tokens(reference), fillvalue=(None, ""))
        ],
        "columns": _COLUMNS,
        "rows": [
            {
                "cells": [phase, operator, sum(layer is not None for layer in layers) or "", *_figures(folded(layers))],
                "tip": _tip(operator, phase, layers),
            }
            for (phase, operator), layers in values.layers().items()
        ],
    }


def tips(result: Result, rows: list[dict[str, Any]]) -> list[str]:
    """What hovering over each row of the operators' table shows: of its values, "" where it makes none.

    A row of a block that spans several layers is that of every layer that has its place in the block.
    """
    if result.values is None:
        return [""] * len(rows)
    known, period = result.values.layers(), result.workload.shape.layers // result.workload.blocks
    found = []
    for row in rows:
        name, _, offset = row["operator"].rpartition(".")
        part = int(offset) if name and offset.isdigit() else None
        layers = known.get((row["phase"], row["operator"] if part is None else name), {})
        mine = {
            layer: each for layer, each in layers.items() if part is None or layer is None or layer % period == part
        }
        found.append(_tip(row["operator"], row["phase"], mine) if mine else "")
    return found


def _tip(operator: str, phase: str, layers: Mapping[int | None, Moments]) -> str:
    """Range and error, and how the error grows from layer to layer."""
    whole = folded(layers)
    lines = [
        f"{operator}, {phase}: {number(whole.smallest)} to {number(whole.largest)}, rms {number(whole.rms)}",
        f"error: rms {number(whole.rms_error)} ({relative(whole)} of float32's rms), "
        f"largest {number(whole.largest_error)}",
    ]
    by_layer = {layer: each for layer, each in layers.items() if layer is not None}
    if len(by_layer) > 1:
        worst = max(by_layer, key=lambda layer: badness(by_layer[layer]))
        first, *_, last = by_layer
        bars, most = spark([badness(each) for each in by_layer.values()]), relative(by_layer[worst])
        lines.append(f"relative error, layers {first} to {last}: {bars} largest {most} in layer {worst}")
    return "\n".join(lines)


def _figures(moments: Moments) -> list[Any]:
    return [moments.elements, *moments.as_dict().values()]


def _tokens(speech: Any) -> list[tuple[int, str]]:
    return list(zip(speech.ids, speech.pieces or [""] * len(speech.ids), strict=True))


def _token(token: int | None, piece: str) -> str:
    return "" if token is None else f"{token} {piece!r}" if piece else str(token)
