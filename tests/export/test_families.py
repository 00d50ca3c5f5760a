"""What is recorded of each family, against what torch and transformers say of the model."""

from __future__ import annotations

import functools
import inspect
import json
import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from transformers.cache_utils import Cache  # noqa: E402

from pimsim.errors import InputError  # noqa: E402
from pimsim.workload.export import Exported, configs, export, verify, versions  # noqa: E402
from pimsim.workload.export.cache import is_cache  # noqa: E402
from pimsim.workload.export.model import Model, build_model, record  # noqa: E402
from pimsim.workload.graph import Workload  # noqa: E402
from tests.export.families import FAMILIES, REFUSED  # noqa: E402
from tests.export.golden import write_config  # noqa: E402


def _export(folder: Path, family: str, **changes: object) -> Exported:
    return export(str(write_config(folder, family, {**FAMILIES[family], **changes})))


def _model(folder: Path, family: str) -> Model:
    found = configs.load(str(write_config(folder, family, FAMILIES[family])))
    return build_model(configs.transformers_config(found.part()))


def _op(workload: Workload, name: str):  # type: ignore[no-untyped-def]
    return next(operator for operator in workload.operators if operator.name == name)


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_are_those_of_the_model(family: str, tmp_path: Path) -> None:
    made = _export(tmp_path, family)
    assert (
        made.decode.parameters
        == made.parameters
        == sum(p.numel() for p in _model(tmp_path, family).module.parameters())
    )


class _Counter(TorchDispatchMode):
    """Counts, and nothing else."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("family", FAMILIES)
def test_launches_add_up_to_those_of_plain_eager_mode(family: str, tmp_path: Path) -> None:
    """Counted in a model that knows nothing of the exporter: its own eager attention, no hooks, no other modes."""
    step = _export(tmp_path, family).decode
    config = configs.transformers_config(configs.load(str(tmp_path / f"tiny-{family}.json")).part())
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation="eager")
        model.eval()
        cache = transformers.DynamicCache(config=config)
        with torch.no_grad():
            kept = {_model(tmp_path, family).cache: cache}
            model(torch.zeros(1, 16, dtype=torch.long), **kept, use_cache=True)
            token = torch.zeros(1, 1, dtype=torch.long)
            with _Counter() as counter:
                model(token, **kept, use_cache=True)
    assert sum((o.aten or 0) * step.repeats(o) for o in step.operators) + (step.overhead_aten or 0) == counter.count


def test_gpt2_xl_counts_what_was_published_for_it() -> None:
    """2,486 ATen operators of which one makes the token's tensor, 193 matrix products, 48 attentions.

    transformers 5.18 makes the mask with one less.
    """
    step = export("gpt2-xl").decode
    assert sum((o.aten or 0) * step.repeats(o) for o in step.operators) + (step.overhead_aten or 0) in (2484, 2485)
    assert sum(step.repeats(o) for o in step.operators if o.op == "linear") == 193
    assert sum(step.repeats(o) for o in step.operators if o.op == "attention") == 48
    assert step.parameters == 1_557_611_200


@pytest.mark.parametrize(("family", "period"), [("llama", 1), ("gemma2", 2)])
def test_layers_fold_into_the_smallest_block_that_repeats(family: str, period: int, tmp_path: Path) -> None:
    step = _export(tmp_path, family).decode
    assert step.blocks * period == FAMILIES[family]["num_hidden_layers"]


def test_layers_without_a_period_are_one_block(tmp_path: Path) -> None:
    kinds = ["sliding_attention", "full_attention", "full_attention", "sliding_attention"]
    step = _export(tmp_path, "gemma2", layer_types=kinds).decode
    assert step.blocks == 1
    assert [o.window for o in step.operators if o.op == "attention"] == [8, 0, 0, 8]


def test_sliding_window_and_softcap_are_kept(tmp_path: Path) -> None:
    assert _op(_export(tmp_path, "mistral").decode, "attention").window == 8
    assert _op(_export(tmp_path, "mistral", sliding_window=None).decode, "attention").window == 0
    step = _export(tmp_path, "gemma2").decode
    assert [(o.window, o.softcap) for o in step.operators if o.op == "attention"] == [(8, True), (0, True)]
    assert [o.name for o in step.operators if o.op == "tanh"] == ["lm_head_tanh"]


def test_weights_are_found_by_storage(tmp_path: Path) -> None:
    """A tied LM head is the token table; Conv1D stores k x m, Linear m x k, square ones included."""
    gpt2, llama = _export(tmp_path, "gpt2").decode, _export(tmp_path, "llama").decode
    assert (_op(gpt2, "lm_head").tied, _op(gpt2, "lm_head").weight) == ("embed", "transformer.wte.weight")
    assert (_op(llama, "lm_head").tied, _op(llama, "lm_head").weight) == ("", "lm_head.weight")
    assert (_op(gpt2, "attn_out").layout, _op(llama, "attn_out").layout) == ("in_out", "out_in")


def test_experts_are_stored_all_and_run_as_many_as_are_active(tmp_path: Path) -> None:
    step = _export(tmp_path, "mixtral").decode
    up = _op(step, "ffn_up")
    assert (up.inputs, up.outputs, up.experts, up.active) == (32, 96, 4, 2)
    assert [o.role for o in step.operators if o.name.startswith("router")] == ["router"] * 3
    assert (_op(step, "expert_sum").op, _op(step, "expert_sum").active) == ("add", 2)


def test_prompt_runs_the_lm_head_for_its_last_token(tmp_path: Path) -> None:
    made = export(str(write_config(tmp_path, "llama", FAMILIES["llama"])), prompt=5, query=2)
    assert made.prefill is not None
    assert (_op(made.prefill, "lm_head").per, _op(made.prefill, "final_norm").per) == ("sequence", "token")
    assert _op(made.decode, "lm_head").per == "token"


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_exported_is_refused_with_its_module(kind: str, tmp_path: Path) -> None:
    config, expected = REFUSED[kind]
    with pytest.raises(InputError) as caught:
        export(str(write_config(tmp_path, kind, config)))
    assert any(each in str(caught.value) for each in expected.split(" | "))
    assert str(caught.value).startswith(str(tmp_path / f"tiny-{kind}.json:1:1: "))


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("llama", {"intermediate_size": 0}, "parameter model.layers.0.mlp.gate_proj.weight: has no elements"),
        ("llama", {"max_position_embeddings": -1}, "max_positions must be at least 1, got -1"),
        ("gpt_neox", {"head_dim": 3}, "operator 'rope': inputs and outputs must be at least 1"),
        ("llama", {"num_hidden_layers": 0}, "no list of 0 decoder layers"),
    ],
)
def test_sizes_that_make_no_model_are_refused(
    family: str, changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        _export(tmp_path, family, **changes)


def test_flops_other_than_those_of_torch_are_an_error_with_the_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = verify.matrix_flops
    monkeypatch.setattr(verify, "matrix_flops", lambda nodes, recording: honest(nodes, recording) - 12)
    with pytest.raises(verify.ExportError, match=r"FlopCounterMode counts \d+: \+12"):
        _export(tmp_path, "gpt2")


def test_a_parameter_that_nothing_reads_is_an_error(tmp_path: Path) -> None:
    model = _model(tmp_path, "gpt2")
    shapes = {"forgotten.weight": (3, 3)}
    with pytest.raises(InputError, match="forgotten.weight"):
        verify.check_parameters([], shapes)
    assert record(model, 4, 2, 1)[-1].context == 6


def test_the_network_is_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(InputError, match="nothing is downloaded"):
        export("gpt2-medum")
    assert _export(tmp_path, "gpt2").parameters


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"model_type": "llama",,}', "1:24"),
        ('{\n  "vocab_size": 3,\n  "model_type": "lama"}', "3:3: model_type"),
        ('{"vocab_size": 3}', "1:1: model_type"),
        ('{"model_type": "x",\n "auto_map": {}}', "1:2: model_type: transformers "),
        (
            '{"model_type": "llava",\n "text_config": {"model_type": "x"}}',
            "2:18: text_config.model_type: transformers ",
        ),
        ('{"model_type": "llama", "hidden_size": "big"}', "1:1: "),
        ("[1]", "1:1: model_type"),
    ],
)
def test_a_wrong_configuration_is_an_error_with_its_place(text: str, place: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        export(str(tmp_path))
    assert str(caught.value).startswith(f"{path}:{place}")


def test_the_cache_is_known_by_its_type_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was `past_key_values` up to transformers 5.23, and is `cache` since."""
    before = _export(tmp_path, "llama")
    kind = transformers.LlamaForCausalLM
    forward, name = kind.forward, _model(tmp_path, "llama").cache

    def renamed(self, input_ids=None, kv_store: Cache | None = None, use_cache=None, logits_to_keep=0):  # type: ignore[no-untyped-def]
        return forward(self, input_ids, **{name: kv_store}, use_cache=use_cache, logits_to_keep=logits_to_keep)

    monkeypatch.setattr(kind, "forward", renamed)
    assert _model(tmp_path, "llama").cache == "kv_store" != name
    assert _export(tmp_path, "llama").decode == before.decode


@pytest.mark.parametrize(
    ("annotation", "known"),
    [
        (Cache, True),
        (transformers.DynamicCache | None, True),
        (tuple[int, Cache | None], True),
        ("Cache | None", True),
        (torch.Tensor | None, False),
        ("MambaCache", False),
        (inspect.Parameter.empty, False),
    ],
)
def test_what_takes_a_cache(annotation: object, known: bool) -> None:
    assert is_cache(annotation) is known


def test_a_cache_that_is_not_filled_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = transformers.LlamaForCausalLM
    forward = kind.forward

    def forgetful(self, input_ids=None, cache: Cache | None = None, **options):  # type: ignore[no-untyped-def]
        return forward(self, input_ids, **options)

    monkeypatch.setattr(kind, "forward", forgetful)
    with pytest.raises(InputError, match=r"LlamaForCausalLM: its cache \(argument 'cache'\) holds 0 tokens after 16"):
        _export(tmp_path, "llama")


def test_layers_that_contradict_the_window_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot build the model: TypeError"):
        _export(tmp_path, "gemma2", sliding_window=None)


def test_a_family_that_is_built_in_is_made_where_a_version_needs_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As transformers before 5.24 does for the positions of "longrope"."""
    expected = _export(tmp_path, "phi3").decode

    def needs_a_value(self, *_: object) -> None:  # type: ignore[no-untyped-def]
        torch.zeros(1, device="meta").item()

    for kind in (transformers.Phi3ForCausalLM, transformers.OPTForCausalLM):
        monkeypatch.setattr(kind, "forward", _instead(kind.forward, needs_a_value))
    made = _export(tmp_path, "phi3")
    assert (made.decode.sha256(), made.producer) == (expected.sha256(), {"graph": "from config.json, without torch"})
    (warning,) = made.warnings
    assert warning.message.startswith("made from the configuration alone, since module the model (Phi3ForCausalLM): ")
    with pytest.raises(InputError, match="OPTForCausalLM.*cannot be recorded without weights: .*meta tensors"):
        _export(tmp_path, "opt")


def _instead(forward, other):  # type: ignore[no-untyped-def]
    """`other` with the signature of `forward`."""
    return functools.wraps(forward)(lambda *arguments, **_: other(*arguments))


def test_versions_outside_of_the_tested_ones_are_in_every_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(versions.TESTED, "transformers", ("4.0", "4.1"))
    note = f"transformers {transformers.__version__} is installed, and tested are 4.0 up to, but without, 4.1"
    for family, config in (("bert", REFUSED["bert"][0]), ("x", {"model_type": "x"}), ("rwkv", REFUSED["rwkv"][0])):
        with pytest.raises(InputError) as caught:
            export(str(write_config(tmp_path, family, config)))
        assert str(caught.value).endswith(f"({note})")
    with pytest.raises(InputError, match=f"nothing is downloaded.*{re.escape(note)}"):
        export("gpt2-medum")
    (warning,) = _export(tmp_path, "llama").warnings
    assert warning.message == note

    def broken(*_: object) -> None:
        raise RuntimeError("something new")

    monkeypatch.setattr(verify, "check_flops", broken)
    with pytest.raises(InputError, match="RuntimeError: something new .*is installed, and tested are"):
        _export(tmp_path, "llama")
    honest = verify.ExportError("torch counts others")
    monkeypatch.setattr(verify, "check_flops", lambda *_: (_ for _ in ()).throw(honest))
    with pytest.raises(verify.ExportError, match="torch counts others .*is installed, and tested are"):
        _export(tmp_path, "llama")


def test_built_in_configurations_are_json_that_names_its_kind() -> None:
    for name in configs.known():
        assert json.loads(configs.load(name).content)["model_type"]
