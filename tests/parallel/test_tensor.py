"""What one of several devices runs of a cut graph, against the whole graph: nothing is lost, and sizes follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pimsim.errors import InputError
from pimsim.workload.graph import Workload
from pimsim.workload.models import MODELS, build
from pimsim.workload.ops import INPUT, LINK, NORMS, OPS, Operator
from pimsim.workload.parallel.tensor import tensor_cut, tensor_cuts
from tests.parallel.graphs import NAMES, graph

CUTS = [(name, devices) for name in NAMES for devices in tensor_cuts(graph(name))[1:]]


def pairs(name: str, devices: int) -> Iterator[tuple[Operator, Operator]]:
    """Each operator of a whole graph with what one device runs of it."""
    cut = {operator.name: operator for operator in tensor_cut(graph(name), devices).operators}
    return ((operator, cut[operator.name]) for operator in graph(name).operators)


@pytest.mark.parametrize("name", NAMES)
def test_one_device_runs_the_graph_itself(name: str) -> None:
    assert tensor_cut(graph(name), 1) is graph(name)


@pytest.mark.parametrize(("name", "devices"), CUTS)
def test_devices_together_do_every_product_once(name: str, devices: int) -> None:
    """But for small products that all run, K and V of heads that several have, and a last part that is smaller."""
    kept = {o.kv_heads for o in graph(name).operators if o.op == "attention"}
    for whole, cut in pairs(name, devices):
        if whole.op not in ("linear", "attention"):
            continue
        again = cut.macs() * devices + whole.macs() * -1
        if cut.macs() == whole.macs():
            assert whole.outputs < graph(name).shape.d_model
        elif whole.role == "qkv" and min(kept) < devices:
            sharing = devices // min(kept)
            assert 0 <= again.constant <= whole.macs().constant * (sharing - 1)
        elif whole.outputs % devices and whole.inputs == cut.inputs:  # gathered at once
            assert 0 <= again.constant < whole.inputs * devices
        else:
            assert cut.macs() * devices == whole.macs()


@pytest.mark.parametrize(("name", "devices"), CUTS)
def test_devices_together_keep_every_head_and_every_state(name: str, devices: int) -> None:
    for whole, cut in pairs(name, devices):
        copies = max(1, devices // whole.kv_heads) if whole.op == "attention" else 1
        assert cut.kv_token * devices == whole.kv_token * copies
        assert (cut.head_dim, cut.v_head_dim, cut.window) == (whole.head_dim, whole.v_head_dim, whole.window)
        assert cut.state_elements in (whole.state_elements, whole.state_elements // devices)
        if cut.state_elements < whole.state_elements:
            assert cut.state_elements * devices == whole.state_elements
            assert cut.vectors() * devices == whole.vectors()


@pytest.mark.parametrize(("name", "devices"), CUTS)
def test_what_is_no_product_and_no_head_keeps_its_kind(name: str, devices: int) -> None:
    same = ("name", "role", "op", "scope", "bias", "experts", "active", "per", "tokens", "stored", "bits", "affine")
    for whole, cut in pairs(name, devices):
        assert [getattr(cut, key) for key in same] == [getattr(whole, key) for key in same]
        assert cut.outputs * cut.rows * devices >= whole.outputs * whole.rows


def _width(operators: dict[str, Operator], name: str, entering: int) -> int:
    return entering if name == INPUT else operators[name].outputs * operators[name].rows


def _misfits(workload: Workload) -> Iterator[str]:
    """Operators that do not take what their dependencies give, where that follows from sizes alone."""
    known = {operator.name: operator for operator in workload.operators}
    for operator in workload.operators:
        stated = {name: size for name, _, size in operator.take}
        data = [
            dep for dep in dict.fromkeys(operator.deps)
            if dep == INPUT or operator.role == "router" or known[dep].role != "router"
        ]  # fmt: skip
        given = [stated.get(dep, _width(known, dep, workload.shape.d_model)) for dep in data]
        for dep, first, size in operator.take:
            if first + size > _width(known, dep, workload.shape.d_model):
                yield f"{operator.name} takes more of {dep} than there is"
        taken, made = operator.inputs * operator.rows, operator.outputs * operator.rows
        if operator.scope == "once_before" and INPUT in data:
            continue  # what a step is given is not known
        if any(dep != INPUT and known[dep].op == "rope" for dep in data):
            continue  # a rotation may be of a part
        if operator.op in (*NORMS, "linear", "conv", "scale", "topk") or operator.role == LINK:
            fits = sum(given) == taken
        elif OPS[operator.op].activation:
            fits = sum(given) in (made, 2 * made)
        elif operator.op == "mul":
            fits = set(given) <= {made, 2 * made, 1}
        elif operator.op == "add":
            fits = set(given) == {made}
        else:
            fits = True
        if not fits:
            yield f"{operator.name} takes {taken} of {given}"


@pytest.mark.parametrize("name", NAMES)
def test_every_operator_of_a_whole_graph_takes_what_there_is(name: str) -> None:
    assert list(_misfits(graph(name))) == []


@pytest.mark.parametrize(("name", "devices"), CUTS)
def test_every_operator_of_a_cut_graph_takes_what_there_is(name: str, devices: int) -> None:
    assert list(_misfits(tensor_cut(graph(name), devices))) == []


@pytest.mark.parametrize(("name", "devices"), CUTS)
def test_a_sum_over_devices_is_made_before_anything_but_a_sum(name: str, devices: int) -> None:
    whole = {operator.name: operator for operator in graph(name).operators}
    summands: set[str] = set()
    for operator in tensor_cut(graph(name), devices).operators:
        read = [dep for dep in operator.deps if dep in summands]
        if read and operator.op in ("add", "mul", "scale"):
            others = [dep for dep in operator.deps if dep not in read]
            assert operator.op != "add" or operator.experts > 1 or not others
            summands.add(operator.name)
        else:
            assert not read or operator.op == "all_reduce"
        before = whole.get(operator.name)
        if operator.op == "linear" and before is not None and operator.inputs < before.inputs:
            summands |= {operator.name} if operator.blocks == before.blocks else set()


@pytest.mark.parametrize(("name", "devices"), CUTS)
def test_what_goes_on_is_whole(name: str, devices: int) -> None:
    """The last value of every scope, and what nobody reads, are as wide as in the whole graph."""
    cut = tensor_cut(graph(name), devices)
    for scope in ("once_before", "block", "once_after"):
        for before, after in zip(graph(name).select(scope)[-1:], cut.select(scope)[-1:], strict=True):
            assert after.outputs == before.outputs
    read = {dep for operator in cut.operators for dep in operator.deps}
    whole = {operator.name: operator for operator in graph(name).operators}
    for operator in cut.operators:
        if operator.name not in read and operator.role != LINK:
            assert operator.outputs == whole[operator.name].outputs


@pytest.mark.parametrize("name", ["gpt3-medium", "llama-3-8b", "llama-3.2-1b", "mixtral-8x7b"])
def test_parameters_are_those_of_the_model_and_copies_of_the_small_ones(name: str) -> None:
    """Norms, tables, routers and biases of summands are on all devices; a head that was tied has its own matrix."""
    whole, devices = graph(name), 8
    cut = tensor_cut(whole, devices)
    copied = sum(
        (o.parameters() if o.op != "linear" or o.role == "router" else o.outputs * o.bias) * whole.repeats(o)
        for o in whole.operators if o.op != "linear" or o.role in ("router", "attn_out", "ffn_down")
    )  # fmt: skip
    head = next(o for o in whole.operators if o.role == "lm_head")
    untied = head.matrix if head.tied else 0
    rounded = head.inputs * (-head.outputs % devices)
    assert cut.parameters * devices == whole.parameters + untied + rounded + copied * (devices - 1)


def test_a_tie_between_operators_that_are_cut_alike_stays() -> None:
    names = [o.name for o in graph("zamba2").operators if o.tied and o.scope == "block"]
    cut = {o.name: o for o in tensor_cut(graph("zamba2"), 2).operators}
    assert names
    assert all(cut[name].tied for name in names)


def test_a_latent_that_all_heads_read_is_on_all_devices() -> None:
    """Of MLA with absorbed products, as the exporter writes it: 32 heads of 128 + 64, a latent of 512."""
    shape = replace(MODELS["llama-3-8b"], name="latent")
    block = (
        Operator("norm", "norm", "rmsnorm", "block", 4096, 4096, deps=(INPUT,)),
        Operator("q", "qkv", "linear", "block", 4096, 32 * 192, deps=("norm",)),
        Operator("kv_a", "qkv", "linear", "block", 4096, 576, deps=("norm",)),
        Operator("kv_norm", "norm", "rmsnorm", "block", 512, 512, deps=("kv_a",), take=(("kv_a", 0, 512),)),
        Operator("q_rope", "rope", "rope", "block", 32 * 64, 32 * 64, deps=("q",), take=(("q", 32 * 128, 32 * 64),)),
        Operator("k_rope", "rope", "rope", "block", 64, 64, deps=("kv_a",), take=(("kv_a", 512, 64),)),
        Operator("q_latent", "qkv", "linear", "block", 32 * 128, 32 * 512, blocks=32, deps=("q",),
                 take=(("q", 0, 32 * 128),)),
        Operator("attention", "attn", "attention", "block", 33 * 576, 32 * 512, heads=32, kv_heads=1, head_dim=576,
                 value_dim=512, deps=("q_latent", "q_rope", "kv_norm", "k_rope")),
        Operator("v_latent", "attn_out", "linear", "block", 32 * 512, 32 * 128, blocks=32, deps=("attention",)),
        Operator("out", "attn_out", "linear", "block", 32 * 128, 4096, deps=("v_latent",)),
        Operator("residual", "residual", "add", "block", 4096, 4096, deps=(INPUT, "out")),
    )  # fmt: skip
    cut = {o.name: o for o in tensor_cut(Workload(shape, block), 8).operators}
    kept = {name: cut[name] for name in ("norm", "kv_a", "kv_norm", "k_rope")}
    assert kept == {o.name: o for o in block if o.name in kept}
    assert (cut["q"].outputs, cut["q_rope"].inputs, cut["q_rope"].take) == (4 * 192, 4 * 64, (("q", 4 * 128, 4 * 64),))
    assert (cut["q_latent"].blocks, cut["q_latent"].inputs, cut["q_latent"].take) == (4, 512, (("q", 0, 512),))
    assert (cut["attention"].heads, cut["attention"].kv_heads, cut["attention"].inputs) == (4, 1, 5 * 576)
    assert (cut["attention"].outputs, cut["v_latent"].outputs, cut["out"].inputs) == (4 * 512, 512, 512)
    assert [o.name for o in cut.values() if o.role == LINK] == ["out_all_reduce"]


def test_a_number_for_each_token_or_head_multiplies_parts() -> None:
    """Gates: one a token leaves a summand a summand, and one a head is cut as the heads are."""
    block = (
        Operator("q", "qkv", "linear", "block", 32, 96, deps=(INPUT,)),
        Operator("attention", "attn", "attention", "block", 96, 32, heads=4, kv_heads=4, head_dim=8, deps=("q",)),
        Operator("heads", "attn", "linear", "block", 32, 4, deps=(INPUT,)),
        Operator("by_head", "attn", "mul", "block", 32, 32, deps=("attention", "heads")),
        Operator("out", "attn_out", "linear", "block", 32, 32, deps=("by_head",)),
        Operator("one", "attn", "linear", "block", 32, 1, deps=(INPUT,)),
        Operator("by_token", "attn", "mul", "block", 32, 32, deps=("out", "one")),
        Operator("residual", "residual", "add", "block", 32, 32, deps=(INPUT, "by_token")),
    )
    shape = replace(MODELS["gpt2-small"], name="gated", d_model=32, heads=4, kv_heads=4)
    cut = {o.name: o for o in tensor_cut(Workload(shape, block), 2).operators}
    assert (cut["heads"].outputs, cut["one"].outputs, cut["by_head"].outputs) == (2, 1, 16)
    assert [o.name for o in cut.values() if o.role == LINK] == ["by_token_all_reduce"]


def problems(workload: Workload, devices: int) -> list[str]:
    with pytest.raises(InputError) as raised:
        tensor_cut(workload, devices)
    return [str(problem) for problem in raised.value.problems]


def test_all_that_does_not_divide_is_told_at_once_with_what_would() -> None:
    llama = build(replace(MODELS["llama-3-8b"], heads=64, kv_heads=8, head_size=128, d_ff=14338), lm_head=True)
    assert problems(llama, 12) == [
        "system.tensor: a tensor cut of 12 devices: 64 heads do not divide; 2 do",
        "system.tensor: a tensor cut of 12 devices: 14338 outputs of 'ffn_gate' do not divide; 2 do",
        "system.tensor: a tensor cut of 12 devices: 14338 outputs of 'ffn_up' do not divide; 2 do",
    ]


def test_the_numbers_of_devices_that_would_do_are_those_of_the_model() -> None:
    seventy = build(replace(MODELS["llama-3-8b"], heads=64, head_size=128, d_ff=28672), lm_head=True)
    would = "2, 4, 8, 16, 32 or 64 do"
    assert problems(seventy, 12)[0] == f"system.tensor: a tensor cut of 12 devices: 64 heads do not divide; {would}"
    assert tensor_cuts(seventy) == [1, 2, 4, 8, 16, 32, 64]


def test_heads_of_K_and_V_that_neither_divide_nor_are_divided_are_told() -> None:
    shape = replace(MODELS["gpt3-small"], heads=24, kv_heads=6, head_size=32, d_model=768, merged_qkv=False)
    found = problems(build(shape, lm_head=True), 4)
    assert found == ["system.tensor: a tensor cut of 4 devices: 6 heads of K and V do not divide; 2, 3, 6, 12 or 24 do"]


def two_products(first: int, second: int) -> Workload:
    """Attention of 4 heads of 8 with 2 of K and V, made by two products of so many outputs."""
    block = (
        Operator("one", "qkv", "linear", "block", 32, first, deps=(INPUT,)),
        Operator("other", "qkv", "linear", "block", 32, second, deps=(INPUT,)),
        Operator("attention", "attn", "attention", "block", 64, 32, heads=4, kv_heads=2, head_dim=8,
                 deps=("one", "other")),
        Operator("out", "attn_out", "linear", "block", 32, 32, deps=("attention",)),
    )  # fmt: skip
    return Workload(replace(MODELS["gpt2-small"], name="two", d_model=32, heads=4, kv_heads=2), block)


@pytest.mark.parametrize("widths", [(48, 16), (32, 32)])
def test_which_product_makes_K_and_V_is_told_where_it_matters_and_is_not_clear(widths: tuple[int, int]) -> None:
    """Queries with K, and V; or queries, and K with V that is as wide as they are."""
    unclear = two_products(*widths)
    assert [o.outputs * 2 for o in tensor_cut(unclear, 2).operators[:2]] == list(widths)
    (found,) = problems(unclear, 4)
    what = "it is not clear which products make K and V of 'attention', whose heads are fewer; 2 do"
    assert found == f"system.tensor: a tensor cut of 4 devices: {what}"


@pytest.mark.parametrize("devices", [0, -2])
def test_no_devices_are_told(devices: int) -> None:
    assert problems(graph("gpt2-small"), devices) == [f"system.tensor: a tensor cut of {devices} devices"]


def test_a_graph_that_is_cut_is_not_cut_again() -> None:
    with pytest.raises(ValueError, match="already"):
        tensor_cut(tensor_cut(graph("gpt2-small"), 2), 2)
