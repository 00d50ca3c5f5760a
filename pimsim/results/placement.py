"""What a run chose for itself of where things lie and in which order: nothing where its configuration says it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from pimsim.config.schema import Config
from pimsim.mapping.grid import WORD_BITS
from pimsim.mapping.plan import Plan
from pimsim.mapping.stored import Stored
from pimsim.workload.formats import pair
from pimsim.workload.ops import Operator


def chosen(plan: Plan | None, asked: Config) -> dict[str, Any]:
    """The parts `mapping` and `formats` of a summary; asked: the configuration, which may leave some open.

    By what the V of each attention is dealt to the channels, how many inputs of each matrix share an open row at most,
    and whether attentions go by heads, if that was chosen; the number formats, if they are not all BF16.
    """
    if plan is None:
        return {}
    mapping: dict[str, Any] = {"values": plan.memory.splits} if asked.mapping.values == "auto" else {}
    mapping |= {"verify": plan.memory.groups} if asked.mapping.verify == "auto" else {}
    mapping |= {"attention": plan.config.mapping.attention} if asked.mapping.attention == "auto" else {}
    found = {"mapping": mapping} if mapping else {}
    return found | ({"formats": formats(plan)} if any(_other(o) for o in plan.workload.operators) else {})


def _other(operator: Operator) -> bool:
    return bool(operator.stored or operator.given)


def formats(plan: Plan) -> dict[str, Any]:
    """In which formats a graph was carried out, and what of the weights' columns is empty.

    weights           elements of matrices by format, of one copy of each expert and layer; none where another machine
                      has all of them
    bits_per_weight   with scales and zero points, and with what is empty; None of no weights
    wasted_fraction   share of the columns of weights that holds neither; None of no weights
    """
    weights: dict[str, int] = {}
    elements, used, taken = 0, Fraction(0), 0
    for o in (o for o in plan.workload.operators if o.name in plan.memory.matrices):
        stored = Stored(plan.memory.matrices[o.name].grid, o.inputs // o.blocks)
        copies = plan.workload.repeats(o) * o.outputs
        weights[pair(o).stored.name] = weights.get(pair(o).stored.name, 0) + copies * stored.inputs
        elements += copies * stored.inputs
        used += copies * (stored.words * WORD_BITS if stored.side_columns else stored.inputs * o.bits)
        taken += copies * stored.columns * plan.device.column_bytes * 8
    caches = {pair(o).stored.name for o in plan.workload.operators if o.op == "attention"}
    given = {pair(o).given.name for o in plan.workload.operators if o.op in ("linear", "attention")}
    return {
        "weights": weights,
        "kv": sorted(caches),
        "activations": sorted(given),
        "bits_per_weight": taken / elements if elements else None,
        "wasted_fraction": float(1 - used / taken) if taken else None,
    }


def chosen_line(plan: Plan | None, asked: Config) -> str:
    """The same as a line of text, "" for nothing."""
    found = chosen(plan, asked)
    mapping = found.get("mapping", {})
    by = [f"{split} ({name})" for name, split in mapping.get("values", {}).items()]
    lines = ["V by " + ", ".join(by)] if by else []
    groups = [f"{inputs} ({name})" for name, inputs in mapping.get("verify", {}).items()]
    lines += ["inputs of an open row: " + ", ".join(groups)] if groups else []
    lines += [f"attention {_ATTENTION[mapping['attention']]}"] if "attention" in mapping else []
    return "\n".join([*lines, *([_formats_line(found["formats"])] if "formats" in found else [])])


def _formats_line(found: dict[str, Any]) -> str:
    """The formats as one line, without weights where the memory has none."""
    named = {"K and V": found["kv"], "activations": found["activations"]}
    others = [f"{what} {' and '.join(names)}" for what, names in named.items() if names]
    return ", ".join([*_weights(found), *others])


def _weights(found: dict[str, Any]) -> list[str]:
    """What is said of weights, if there are any."""
    if not found["weights"]:
        return []
    names, wasted = " and ".join(found["weights"]), 100 * (found["wasted_fraction"] or 0)
    return [f"weights {names} ({found['bits_per_weight']:.2f} bits each, {wasted:.1f} % of their columns empty)"]


_ATTENTION = {"whole": "as a whole", "per_head": "by heads", "auto": "as is the faster"}
