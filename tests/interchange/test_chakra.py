"""Chakra ET: round trips of the shipped traces, the wire format, and files that are wrong."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pimsim.cli import cli
from pimsim.errors import InputError
from pimsim.workload.interchange import export_chakra, import_file
from pimsim.workload.interchange.chakra import read_chakra
from pimsim.workload.interchange.schema import messages, value_of
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.writer import dump_trace

pytest.importorskip("google.protobuf")
TRACES = sorted((Path(__file__).parents[2] / "traces").glob("*.jsonl"))
GPT2 = next(path for path in TRACES if path.stem == "gpt2-small")


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    path = tmp_path / "gpt2-small.0.et"
    export_chakra(load_trace(GPT2), str(path))
    return path


def nodes_of(path: Path) -> tuple[Any, ...]:
    return read_chakra(path.read_bytes(), str(path)).nodes


def written(path: Path, metadata: Any, nodes: tuple[Any, ...]) -> Path:
    """A file of these messages."""
    data = bytearray()
    for message in (metadata, *nodes):
        body = message.SerializeToString()
        size = len(body)
        while size > 127:
            data.append(size % 128 + 128)
            size //= 128
        data.append(size)
        data += body
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_shipped_trace_comes_back_byte_for_byte(path: Path, tmp_path: Path) -> None:
    chakra = tmp_path / "model.0.et"
    export_chakra(load_trace(path), str(chakra))
    assert dump_trace(import_file(str(chakra), "other", 1).trace) == path.read_text()


def test_graph_is_one_step_with_every_block(exported: Path) -> None:
    nodes = nodes_of(exported)
    assert [node.id for node in nodes] == list(range(1, 12 * 10 + 3 + 1))
    assert {node.type for node in nodes} == {4}  # COMP_NODE
    names = [node.name for node in nodes]
    assert names[0] == "decode.embed" and names[1] == "decode.0.attn_norm" and names[-1] == "decode.lm_head"
    by_name = {node.name: node for node in nodes}
    residual = by_name["decode.3.attn_residual"]
    before, attention = by_name["decode.2.ffn_residual"], by_name["decode.3.attn_out"]
    assert list(residual.data_deps) == sorted([before.id, attention.id])
    assert not by_name["decode.embed"].data_deps


def test_nodes_have_what_simulators_read(exported: Path) -> None:
    qkv = next(node for node in nodes_of(exported) if node.name == "decode.0.qkv")
    attributes = {attribute.name: attribute for attribute in qkv.attr}
    kinds = {name: attribute.WhichOneof("value") for name, attribute in attributes.items()}
    assert kinds["is_cpu_op"] == "bool_val" and kinds["num_ops"] == "int64_val" and kinds["tensor_size"] == "uint64_val"
    d = 768
    assert value_of(attributes["is_cpu_op"]) is False
    assert value_of(attributes["num_ops"]) == 2 * d * 3 * d + 3 * d
    assert value_of(attributes["tensor_size"]) == 2 * (d * 3 * d + 3 * d)


def test_gzip_is_read_as_well(exported: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed.et.gz"
    packed.write_bytes(gzip.compress(exported.read_bytes()))
    assert import_file(str(packed), "x", 1).trace == import_file(str(exported), "x", 1).trace


def test_what_chakra_cannot_say_is_listed(exported: Path) -> None:
    lost = "\n".join(export_chakra(load_trace(GPT2), str(exported)))
    for word in ("schedule", "functions of the context", "duration_micros", "windows", "T = 1024"):
        assert word in lost


def _edited(exported: Path, tmp_path: Path, change: Any) -> str:
    """What is wrong with the exported file after `change` of its nodes."""
    file = read_chakra(exported.read_bytes(), "x")
    nodes = list(file.nodes)
    change(nodes)
    path = written(tmp_path / "edited.et", file.metadata, tuple(nodes))
    with pytest.raises(InputError) as caught:
        import_file(str(path), "x", 1)
    return str(caught.value)


def _change_op(nodes: list[Any]) -> None:
    attribute = next(a for a in nodes[30].attr if a.name == "pimsim.op")
    attribute.string_val = attribute.string_val.replace('"deps"', '"rows":2,"deps"')


def test_graph_that_was_changed_is_refused(exported: Path, tmp_path: Path) -> None:
    assert "has 124 nodes" in _edited(exported, tmp_path, lambda nodes: nodes.append(nodes[-1]))
    assert "checks.0.flops" in _edited(exported, tmp_path, lambda nodes: nodes.pop())
    assert "the graph has been changed" in _edited(exported, tmp_path, lambda nodes: nodes.pop(40))
    assert "after [99, 5]" in _edited(exported, tmp_path, lambda nodes: nodes[5].data_deps.__setitem__(0, 99))
    assert "differs from the block before" in _edited(exported, tmp_path, _change_op)
    assert "pimsim.op: is missing" in _edited(exported, tmp_path, lambda nodes: nodes[3].ClearField("attr"))


def test_file_that_is_cut_off_or_something_else_is_refused(exported: Path, tmp_path: Path) -> None:
    data, path = exported.read_bytes(), tmp_path / "broken.et"
    for broken in (data[:-1], data[:1000], b"", b"\xff" * 20, b"\x05abcde", b"hello world, this is text"):
        path.write_bytes(broken)
        with pytest.raises(InputError, match="Chakra ET|is empty|GlobalMetadata"):
            import_file(str(path), "x", 1)


def test_changed_bytes_are_read_or_refused_but_never_crash(exported: Path, tmp_path: Path) -> None:
    data, rng, path = exported.read_bytes(), random.Random(5), tmp_path / "broken.et"
    outcomes: Counter[bool] = Counter()
    for _ in range(200):
        changed = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        path.write_bytes(changed)
        try:
            import_file(str(path), "x", 1)
            outcomes[True] += 1
        except InputError:
            outcomes[False] += 1
    assert outcomes[False] > 50


def test_chakra_of_a_pytorch_profile_is_recognised_and_communication_is_listed(tmp_path: Path) -> None:
    """As Chakra's own converter writes them: names, shapes as text, parents as ctrl_deps."""
    from tests.interchange.test_profiles import QWEN2, expected, sample

    node = messages()["Node"]
    nodes = [
        node(
            id=n["id"],
            name=n["name"],
            type=4,
            ctrl_deps=[n["ctrl_deps"]],
            inputs={"shapes": str(n["inputs"]["shapes"])},
        )
        for n in sample("qwen2-sdpa.et")["nodes"]
    ]
    nodes.append(node(id=10**6, name="nccl:all_reduce", type=7))
    metadata = messages()["GlobalMetadata"](version="0.0.4")
    imported = import_file(str(written(tmp_path / "foreign.et", metadata, tuple(nodes))), "x", 1)
    assert imported.trace.header.model.layers == QWEN2.layers
    assert [op.id for op in imported.trace.templates[0].ops] == [operator.name for operator in expected("qwen2")]
    assert imported.notes[0] == "COMM_COLL_NODE, 1 times: communication, memory and storage have no place in a trace"


def test_command_line_goes_there_and_back(tmp_path: Path) -> None:
    et, back = tmp_path / "g.0.et", tmp_path / "back.jsonl"
    there = CliRunner().invoke(cli, ["trace", "chakra", str(GPT2), "--out", str(et)])
    assert there.exit_code == 0 and "not expressed in Chakra ET" in there.output
    again = CliRunner().invoke(cli, ["trace", "import", str(et), "--out", str(back)])
    assert again.exit_code == 0 and back.read_bytes() == GPT2.read_bytes()
    missing = CliRunner().invoke(cli, ["trace", "import", str(tmp_path / "none"), "--out", str(tmp_path / "t.jsonl")])
    assert missing.exit_code == 2 and "cannot be read" in missing.output and not (tmp_path / "t.jsonl").exists()
