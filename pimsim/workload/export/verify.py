"""What an export must agree with before it is believed: torch's FLOPs, the model's parameters, the contexts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from pimsim.errors import InputError
from pimsim.workload.export.model import StepRecording
from pimsim.workload.export.node import Node


class ExportError(Exception):
    """The recorder misread the model: a defect of the exporter, not of the user's input."""


def matrix_flops(nodes: list[Node], recording: StepRecording) -> int:
    """2 per multiply-accumulate of every matrix product of the recorded step, as torch counts.

    Eager attention multiplies each query token with all keys, masked or not.
    """
    tokens = recording.tokens * recording.batch
    total = 0
    for node in nodes:
        count = node.vectors or (recording.batch if node.per == "sequence" else tokens)
        if node.op == "linear":
            total += 2 * node.inputs * node.outputs * node.active * count
        elif node.op == "attention":
            total += 2 * node.heads * (node.head_dim + node.value_dim) * node.kv_len * count
    return total


def check_flops(nodes: list[Node], aux_flops: int, recording: StepRecording) -> None:
    """Raise ExportError, with the difference, unless torch's FlopCounterMode counted the same.

    aux_flops: products of positions and frequencies, which make rotation tables.
    """
    found = matrix_flops(nodes, recording) + aux_flops
    if found != recording.flops:
        raise ExportError(
            f"{recording.phase} of {recording.tokens} tokens at context {recording.context}: the operators make "
            f"{found} FLOPs and torch's FlopCounterMode counts {recording.flops}: {recording.flops - found:+d}"
        )


def check_parameters(nodes: list[Node], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise InputError for a parameter of the model that no operator reads."""
    check_read(set[str]().union(*(node.parameters for node in nodes)), shapes)


def check_read(read: Collection[str], shapes: Iterable[str]) -> None:
    """Raise InputError for a parameter that is not among those that are read."""
    unread = [name for name in shapes if name not in read]
    if unread:
        raise InputError(
            f"parameter {unread[0]}: no operator of a decode step reads it ({len(unread)} such parameters)"
        )


def check_context(nodes: list[Node], recording: StepRecording) -> None:
    """Raise InputError unless every attention reads K and V of all tokens, or of its window."""
    for node in nodes:
        if node.op != "attention":
            continue
        kept, window = node.source or recording.context, node.attributes.window
        if window and recording.phase == "decode":
            kept = min(kept, window - 1 + recording.tokens)
        if node.kv_len != kept:
            raise InputError(
                f"module {node.call.where}: reads K and V of {node.kv_len} tokens at a context of {recording.context}"
                f"{f' with a window of {window}' if window else ''}; {kept} expected"
            )
