"""Nodes of communication in Chakra ET files: collectives of a graph are written, and none is in what is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import pimsim
from pimsim import InputError
from pimsim.cli import cli
from pimsim.config.schema import Config
from pimsim.workload.graph import Workload
from pimsim.workload.interchange import export_chakra, export_share, import_file
from pimsim.workload.interchange.chakra import read_chakra
from pimsim.workload.interchange.schema import COLLECTIVES, COMM_TYPES, messages, value_of
from pimsim.workload.ops import COLLECTIVES as KNOWN
from pimsim.workload.ops import LINK, Operator
from pimsim.workload.source import requested_workload
from pimsim.workload.trace.bind import trace_of
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.writer import dump_trace, write_trace
from tests.interchange.test_chakra import GPT2, nodes_of, written

pytest.importorskip("google.protobuf")
CONTEXT = 40


def graph(model: str = "gpt2-small") -> Workload:
    config = pimsim.load_config("pim-gpt", {"workload.model": model})
    assert isinstance(config, Config)
    return requested_workload(config, None)


def summed(workload: Workload, *behind: str) -> Workload:
    """The graph with an all-reduce behind operators: as in a cut of matrices, and here with all sizes as they were."""
    made: list[Operator] = []
    names = {name: f"{name}_sum" for name in behind}
    for operator in workload.operators:
        deps = tuple(names.get(dep, dep) for dep in operator.deps)
        made.append(replace(operator, deps=deps))
        if operator.name in names:
            width = operator.outputs
            made.append(
                Operator(names[operator.name], LINK, "all_reduce", operator.scope, width, width, deps=(operator.name,))
            )
    return replace(workload, operators=tuple(made))


def values(node: Any) -> dict[str, Any]:
    return {attribute.name: value_of(attribute) for attribute in node.attr}


def test_every_collective_of_a_graph_has_a_type() -> None:
    assert set(KNOWN) <= set(COLLECTIVES)
    assert [COMM_TYPES[COLLECTIVES[name]] for name in KNOWN] == [name.upper() for name in KNOWN]


@pytest.mark.parametrize("batch", [1, 3])
def test_a_collective_is_a_node_with_its_type_and_bytes(batch: int, tmp_path: Path) -> None:
    path = tmp_path / "model.0.et"
    export_share(summed(graph(), "attn_out", "ffn_down"), str(path), CONTEXT, batch)
    sent = [node for node in nodes_of(path) if node.type == 7]
    assert len(sent) == 2 * 12
    kinds = {a.name: a.WhichOneof("value") for a in sent[0].attr}
    assert (kinds["comm_type"], kinds["comm_size"]) == ("int64_val", "int64_val")
    assert all(values(node)["comm_type"] == 0 and values(node)["comm_size"] == 2 * 768 * batch for node in sent)
    by_name = {node.name: node for node in nodes_of(path)}
    assert list(by_name["decode.3.attn_out_sum"].data_deps) == [by_name["decode.3.attn_out"].id]
    assert by_name["decode.3.attn_out_sum"].id in by_name["decode.3.attn_residual"].data_deps


@pytest.mark.parametrize("model", ["gpt2-small", "llama-3.2-1b", "mixtral-8x7b"])
def test_what_is_read_is_the_graph_without_them(model: str, tmp_path: Path) -> None:
    plain, path = graph(model), tmp_path / "model.0.et"
    behind = [operator.name for operator in plain.operators if operator.name in ("attn_out", "ffn_down", "ffn_combine")]
    export_share(summed(plain, *behind), str(path), CONTEXT)
    imported = import_file(str(path), "x", 1)
    assert dump_trace(imported.trace) == dump_trace(trace_of(plain, prompt=CONTEXT - 1, steps=1))
    count = len(behind) * plain.blocks
    size = count * 2 * plain.shape.d_model
    assert f"COMM_COLL_NODE, {count} times (ALL_REDUCE {count} times, {size:,} bytes)" in imported.notes[0]


def test_a_share_says_its_own_heads_and_width(tmp_path: Path) -> None:
    whole = graph()
    cut = {"attention": {"heads": 3, "kv_heads": 3, "inputs": 576, "outputs": 192}, "qkv": {"outputs": 576},
           "attn_out": {"inputs": 192}, "ffn_up": {"outputs": 768}, "ffn_act": {"inputs": 768, "outputs": 768},
           "ffn_down": {"inputs": 768}}  # fmt: skip
    share = replace(whole, operators=tuple(replace(o, **cut.get(o.name, {})) for o in whole.operators))
    export_share(summed(share, "attn_out", "ffn_down"), str(tmp_path / "model.0.et"), CONTEXT)
    model = import_file(str(tmp_path / "model.0.et"), "x", 1).trace.header.model
    assert (model.heads, model.kv_heads, model.d_ff, model.d_model) == (3, 3, 768, 768)


def with_foreign(exported: Path, path: Path, change: Any) -> Path:
    """The file with nodes of communication that another tool has put in."""
    file = read_chakra(exported.read_bytes(), "x")
    nodes = list(file.nodes)
    change(nodes)
    return written(path, file.metadata, tuple(nodes))


def node(number: int, kind: int, deps: Sequence[int], **attributes: int) -> Any:
    made = messages()["Node"](id=number, name=f"comm{number}", type=kind, data_deps=deps)
    for name, value in attributes.items():
        made.attr.add(name=name, int64_val=value)
    return made


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    export_chakra(load_trace(GPT2), str(tmp_path / "gpt2.0.et"))
    return tmp_path / "gpt2.0.et"


def test_communication_that_another_tool_put_in_is_told_and_taken_out(exported: Path, tmp_path: Path) -> None:
    def put_in(nodes: list[Any]) -> None:
        first, second = (nodes[at].data_deps[0] for at in (20, 40))
        nodes[20].data_deps[0], nodes[40].data_deps[0] = 9001, 9003
        nodes.insert(20, node(9001, 7, [first], comm_type=2, comm_size=4096))
        nodes.insert(41, node(9002, 6, [second], comm_size=100))
        nodes.insert(42, node(9003, 5, [9002], comm_size=28))

    imported = import_file(str(with_foreign(exported, tmp_path / "more.et", put_in)), "x", 1)
    assert dump_trace(imported.trace) == GPT2.read_text()
    told = "\n".join(imported.notes)
    assert "COMM_COLL_NODE, 1 times (ALL_GATHER 1 times, 4,096 bytes): " in told
    assert "COMM_RECV_NODE, 1 times (each to one 1 times, 100 bytes): " in told
    assert "COMM_SEND_NODE, 1 times (each to one 1 times, 28 bytes): " in told


def test_types_that_nobody_knows_and_circles_are_no_crash(exported: Path, tmp_path: Path) -> None:
    def put_in(nodes: list[Any]) -> None:
        nodes[20].data_deps[0] = 9001
        nodes += [node(9001, 7, [9002], comm_type=77, comm_size=1), node(9002, 7, [9001], comm_type=-1)]

    with pytest.raises(InputError, match="the graph has been changed"):
        import_file(str(with_foreign(exported, tmp_path / "more.et", put_in)), "x", 1)


def test_a_changed_computation_behind_communication_is_refused(exported: Path, tmp_path: Path) -> None:
    def put_in(nodes: list[Any]) -> None:
        nodes.append(node(9001, 7, [3], comm_type=0, comm_size=1))
        nodes[30].data_deps[0] = 9001

    with pytest.raises(InputError, match="the graph has been changed"):
        import_file(str(with_foreign(exported, tmp_path / "more.et", put_in)), "x", 1)


def test_a_collective_that_changes_the_width_cannot_be_bridged(tmp_path: Path) -> None:
    """Half of the logits, and the gathering of all: without it the vocabulary is too large."""
    shape = {"name": "t", "layers": 1, "d_model": 64, "heads": 2, "vocabulary": 600}
    config = pimsim.load_config("pim-gpt", {"workload.model_config": shape, "workload.lm_head": True})
    assert isinstance(config, Config)
    *others, head = requested_workload(config, None).operators
    gathered = Operator("gathered", LINK, "all_gather", head.scope, 300, 600, deps=(head.name,))
    share = replace(
        requested_workload(config, None), operators=(*others, replace(head, outputs=300, tied=""), gathered)
    )
    export_share(share, str(tmp_path / "t.0.et"), CONTEXT)
    with pytest.raises(InputError, match="vocabulary: is 600, but 'lm_head' gives 300 elements"):
        import_file(str(tmp_path / "t.0.et"), "x", 1)


def test_the_command_writes_what_each_of_several_devices_runs(tmp_path: Path) -> None:
    """Two sums a block, each of d_model values of two bytes; what comes back runs, with a quarter of the heads."""
    et, back = tmp_path / "g.0.et", tmp_path / "back.jsonl"
    blocks = write_trace(trace_of(graph(), steps=1024), tmp_path / "blocks.jsonl")  # without a head, which is gathered
    there = CliRunner().invoke(cli, ["trace", "chakra", str(blocks), "--out", str(et), "--tensor", "4"])
    assert there.exit_code == 0 and "T = 1024" in there.output
    again = CliRunner().invoke(cli, ["trace", "import", str(et), "--out", str(back)])
    assert again.exit_code == 0 and "12 layers, d_model 768, 3 heads (3 of K and V)" in again.output
    assert "(ALL_REDUCE 24 times, 36,864 bytes)" in " ".join(again.output.split())


def test_a_cut_that_does_not_divide_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "g.0.et"
    result = CliRunner().invoke(cli, ["trace", "chakra", str(GPT2), "--out", str(out), "--tensor", "5"])
    assert result.exit_code == 2 and result.stderr.startswith("--tensor:1:1: tensor: a tensor cut of 5 devices: ")
    assert not out.exists()
