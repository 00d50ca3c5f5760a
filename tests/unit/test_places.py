"""How many files say a thing again: an attribute of an operator, a function of the ASIC, a schedule."""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pimsim.workload import graph
from pimsim.workload.graph import Workload
from pimsim.workload.models import MODELS, build
from pimsim.workload.ops import NOTES

PACKAGE = Path(__file__).parents[2] / "pimsim"


def naming(word: str) -> set[str]:
    """The files of pimsim whose code has a name, a keyword or a text that is this word; prose does not count."""
    return {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if word in _words(path)}


def _words(path: Path) -> set[object]:
    found: set[object] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        found |= {getattr(node, key, None) for key in ("id", "attr", "arg", "name")}
        found |= {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()
    return found


def test_an_attribute_of_an_operator_is_a_row_and_where_it_is_used_and_recorded() -> None:
    assert naming("softcap") == {
        "workload/attributes.py",  # what it is
        "workload/ops.py",  # what it costs
        "mapping/planner.py",  # what the hardware does for it
        "workload/export/lower.py",  # who records it,
        "workload/export/plain.py",  # and who knows a family that has it
        "mapping/naming.py",  # which value it makes,
        "values/fast/attention.py",  # and what it computes,
        "values/graph.py",  # also in float32
        "values/weights/constants.py",
    }


def test_a_function_of_the_asic_is_what_it_is_and_its_passes() -> None:
    assert naming("relu") == {
        "workload/ops.py",
        "asic/units.py",
        "values/asic.py",  # what it computes
        "devices/aim/table.py",  # AiM has it in its banks
        "values/reference.py",  # what it is in float32
        "values/fast/nodes.py",
        "values/lookup.py",  # and as a table
    }


def test_a_schedule_is_a_row() -> None:
    assert naming("overlap") == {
        "schedules.py",
        "reproduce/reproduction.py",  # a variant of the paper's figures
    }


def _hash(workload: Workload, without: set[str]) -> str:
    """The hash of a graph by hand, its operators without some fields."""
    operators = [{k: v for k, v in asdict(o).items() if k not in without | set(NOTES)} for o in workload.operators]
    whole = {"blocks": workload.blocks, "operators": operators, "routing": workload.routing}
    return hashlib.sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def test_a_graph_that_does_not_use_what_came_later_keeps_its_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = build(MODELS["gpt2-small"], lm_head=False)
    capped = replace(plain, operators=tuple(replace(o, softcap=o.op == "attention") for o in plain.operators))
    later = set(graph.SAID_LATER)
    assert (plain.sha256(), capped.sha256()) == (_hash(plain, later), _hash(capped, later))
    monkeypatch.setattr(graph, "SAID_LATER", {**graph.SAID_LATER, "softcap": False})
    plain, capped = replace(plain), replace(capped)  # a graph makes its hash once
    assert plain.sha256() == _hash(plain, later | {"softcap"})
    assert capped.sha256() not in (
        _hash(capped, later),
        _hash(capped, later | {"softcap"}),
    )  # the attention alone has it
