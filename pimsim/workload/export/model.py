"""A model on the meta device, and the recording of one step of it."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from pimsim.errors import InputError
from pimsim.workload.export.cache import cache_argument, states_of, tokens_kept
from pimsim.workload.export.recorder import Event, Recorder, Value
from pimsim.workload.export.states import KEEPS_STATE, MIXERS, is_mixer
from pimsim.workload.export.written import WRITTEN

ATTENTION = "pimsim_recorded"
DTYPE = torch.bfloat16  # what the PIM device stores; grouped experts need it too

# Layers of a cache that hold K and V and nothing beside them; kinds of these may hold a state as well.
_KEEPS_K_AND_V = (DynamicLayer, DynamicSlidingWindowLayer)

# The recorder of the step that runs; the attention and cache functions below are called by transformers.
_active: list[Recorder] = []


class NeedsValues(InputError):
    """A forward pass that transformers cannot run on the meta device."""


@dataclass(frozen=True)
class Model:
    """A model without weights.

    layers: the name of the list of its `count` decoder layers.
    cache: the argument of its forward pass that takes the cache.
    """

    module: Any
    layers: str
    count: int
    cache: str

    @property
    def config(self) -> Any:
        """The text part of the transformers configuration."""
        return self.module.config.get_text_config()


@dataclass(frozen=True)
class StepRecording:
    """One forward pass: `tokens` new tokens of each of `batch` sequences that end at `context`.

    states: the shape of the state of each layer that keeps one, of a sequence.
    source: tokens that an encoder has read (0: there is none).  entering: what it made of them, if it is read.
    mask: of its attentions, if not causal.
    """

    phase: str
    context: int
    tokens: int
    batch: int
    events: tuple[Event, ...]
    flops: int  # by torch's FlopCounterMode
    states: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    source: int = 0
    entering: tuple[Value, ...] = ()
    mask: str = ""


class RecordedCache(DynamicCache):
    """The usual cache; what an update dispatches is a region."""

    def update(self, *args: Any, **kwargs: Any) -> Any:
        with _active[-1].region("cache", args[:2]):
            return super().update(*args, **kwargs)


def _attention(module: torch.nn.Module, query: Any, key: Any, value: Any, mask: Any, **kwargs: Any) -> Any:
    """The model's own eager attention, recorded as a region."""
    eager = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    if eager is None:
        raise InputError(f"module {type(module).__name__}: has no eager attention to count launches of")
    facts = {name: x for name, x in kwargs.items() if not isinstance(x, torch.Tensor)}
    facts |= {"heads": query.shape[1], "kv_heads": key.shape[1], "head_dim": query.shape[3]}
    facts |= {"kv_len": key.shape[2], "value_dim": value.shape[3]}
    with _active[-1].region("attention", (query, key, value), **facts):
        return eager(module, query, key, value, mask, **kwargs)


def register() -> None:
    ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(ATTENTION, ALL_MASK_ATTENTION_FUNCTIONS["eager"])


def build_model(config: Any) -> Model:
    """The model of a transformers configuration, on the meta device; InputError if there is none."""
    module = build(AutoModelForCausalLM, config, "eager" if _writes_it_out(config) else ATTENTION)
    layers, count = _decoder_layers(module)
    cache = cache_argument(module)
    if not cache:
        _refuse_state("", module)
    for i, layer in enumerate(_new_cache(module).layers):
        if type(layer) not in _KEEPS_K_AND_V and not (
            type(layer).__name__ in KEEPS_STATE and _has_mixer(f"{layers}.{i}", module)
        ):
            _refuse_state(f"{layers}.{i}", module)
    return Model(module, layers, count, cache)


def build(auto: Any, config: Any, attention: str = ATTENTION) -> Any:
    """The module of a class of `auto` on the meta device; InputError if there is none."""
    register()
    try:
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):
            module = auto.from_config(
                config, dtype=DTYPE, attn_implementation=attention, trust_remote_code=False
            ).eval()
            module.tie_weights()  # older transformers tie only what they load
    except KeyError as error:
        if error.args != (ATTENTION,):
            raise InputError(cannot_build(error)) from error
        raise InputError(
            f"model {config.model_type}: its attention does not go through transformers' attention interface"
        ) from error
    except Exception as error:  # whatever a configuration makes transformers raise is the configuration's fault
        raise InputError(cannot_build(error)) from error
    empty = next((name for name, parameter in module.named_parameters() if not parameter.numel()), "")
    if empty:
        raise InputError(f"parameter {empty}: has no elements")
    return module


def _writes_it_out(config: Any) -> bool:
    """True if the model's attention is in code of its own, which is read operator by operator."""
    if config.model_type not in WRITTEN:
        return False
    kind = AutoModelForCausalLM._model_mapping[type(config)]
    return not hasattr(sys.modules[kind.__module__], "eager_attention_forward")


def cannot_build(error: Exception) -> str:
    return f"transformers {transformers.__version__} cannot build the model: {one_line(error)}"


def one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _new_cache(module: Any) -> RecordedCache:
    """An empty cache for a model; InputError if its configuration contradicts itself."""
    try:
        return RecordedCache(config=module.config)
    except Exception as error:  # of windows and kinds of layers that do not go together
        raise InputError(cannot_build(error)) from error


def _refuse_state(layer: str, module: Any) -> NoReturn:
    """What keeps a state, and is no mixer that `states` knows: the part that keeps it is named."""
    name, part = _keeper(layer, module)
    raise InputError(
        f"module {name} ({type(part).__name__}): keeps a state from token to token in place of K and V in a way that "
        f"is not known; known are attention with a cache of K and V, and {', '.join(MIXERS)}"
    )


def _has_mixer(layer: str, module: Any) -> bool:
    """True if a layer's state is kept by a mixer that is known."""
    return any(is_mixer(type(part).__name__) for part in module.get_submodule(layer).modules())


def _keeper(layer: str, module: Any) -> tuple[str, Any]:
    """The innermost module of a layer ("": of the model) that takes the state: by type, else the first mixer."""
    parts = [(n, m) for n, m in module.named_modules() if n.startswith(f"{layer}." if layer else "") and n]
    takers = [(n, m) for n, m in parts if cache_argument(m)]
    inner = [(n, m) for n, m in takers if not any(other.startswith(f"{n}.") for other, _ in takers)]
    mixers = [(n, m) for n, m in parts if "mixer" in n or "attn" in n or "attention" in n]
    return next(iter(inner or mixers), (layer or "of the whole model", module))


def _decoder_layers(module: Any) -> tuple[str, int]:
    """Name and length of the module list of the decoder layers."""
    count = getattr(module.config.get_text_config(), "num_hidden_layers", 0)
    names = [n for n, m in module.named_modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count]
    if not names or count < 1:
        raise InputError(f"module {type(module).__name__}: no list of {count} decoder layers found in it")
    return min(names, key=lambda name: name.count(".")), count


def _grouped_flops(rows: tuple[int, ...], experts: tuple[int, ...], *_: Any, **__: Any) -> int:
    """(rows, k) x (experts, k, n): each row meets one expert.  torch's counter has no formula for it."""
    return 2 * rows[0] * rows[1] * experts[-1]


def _forward(model: Model, cache: DynamicCache, phase: str, before: int, tokens: int, batch: int) -> StepRecording:
    ids = torch.zeros(batch, tokens, dtype=torch.long, device="meta")
    options: dict[str, Any] = {model.cache: cache, "use_cache": True}
    if phase == "prefill" and "logits_to_keep" in inspect.signature(model.module.forward).parameters:
        options["logits_to_keep"] = 1  # what generate() asks for: logits of the last token
    recorder, flops, _ = dispatched(model.module, model.layers, partial(model.module, ids, **options))
    kept, context = tokens_kept(cache), before + tokens
    if kept not in (None, context):
        raise InputError(
            f"module {type(model.module).__name__}: its cache (argument {model.cache!r}) holds {kept} tokens after "
            f"{context}"
        )
    return StepRecording(phase, context, tokens, batch, tuple(recorder.events), flops, states_of(cache))


def dispatched(
    module: Any, layers: str, run: Callable[[], Any], entering: tuple[torch.Tensor, ...] = ()
) -> tuple[Recorder, int, Any]:
    """What `run` dispatches on the meta device, torch's FLOPs, and what it returns.

    layers: the name of the list of layers.  entering: tensors that it reads and a step before made.
    InputError if it cannot run without weights.
    """
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten._grouped_mm: _grouped_flops})
    recorder = Recorder(module, layers)
    recorder.entering = tuple(recorder.value(tensor) for tensor in entering)
    _active.append(recorder)
    try:
        with recorder.tracking(module), torch.no_grad(), torch.device("meta"), counter, recorder:
            result = run()
    except InputError:
        raise
    except Exception as error:  # a forward pass that needs values, or whose shapes do not go together
        kind = NeedsValues if "meta tensor" in str(error) else InputError
        raise kind(f"module {recorder.call.where}: cannot be recorded without weights: {one_line(error)}") from error
    finally:
        _active.pop()
    return recorder, counter.get_total_flops(), result


def record(model: Model, prompt: int, tokens: int, batch: int) -> tuple[StepRecording, ...]:
    """A prefill of `prompt` tokens (none if 0), then one decode step of `tokens` tokens.

    InputError if transformers cannot run it on the meta device.
    """
    cache = _new_cache(model.module)
    phases = [("prefill", 0, prompt), ("decode", prompt, tokens)]
    return tuple(_forward(model, cache, phase, before, n, batch) for phase, before, n in phases if n > 0)
