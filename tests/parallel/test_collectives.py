"""What is sent between devices, as operators of a graph."""

from __future__ import annotations

import pytest

from pimsim.workload.ops import COLLECTIVES, LINK, OPS, SENT, Affine, Operator
from pimsim.workload.trace.schema import json_schema


def sent(op: str, inputs: int = 8, outputs: int = 8, **more: object) -> Operator:
    return Operator("sent", LINK, op, "block", inputs, outputs, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("op", COLLECTIVES)
def test_what_is_sent_has_no_weights_and_no_arithmetic(op: str) -> None:
    operator = sent(op, rows=3, tokens=2)
    assert (operator.parameters(), operator.vectors(), operator.matrix) == (0, 0, 0)
    assert (operator.macs(), operator.operations(), operator.elements(4)) == (Affine(0),) * 3


@pytest.mark.parametrize(("op", "sizes"), [("all_reduce", (8, 4)), ("all_to_all", (4, 8)), ("all_gather", (8, 4))])
def test_sizes_that_do_not_fit_are_told(op: str, sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=op):
        sent(op, *sizes)


def test_only_what_is_sent_has_the_role_of_a_link() -> None:
    with pytest.raises(ValueError, match="role"):
        Operator("a", "norm", "all_reduce", "block", 8, 8)
    with pytest.raises(ValueError, match="role"):
        Operator("a", LINK, "add", "block", 8, 8)


def test_no_trace_has_what_is_sent() -> None:
    known = json_schema()["$defs"]["op"]["properties"]
    assert set(known["op"]["enum"]) == set(OPS) - set(SENT)
    assert LINK not in known["role"]["enum"]
