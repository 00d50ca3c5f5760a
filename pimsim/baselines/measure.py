"""Runs this machine: eager decode of a GPT-2 shape, a copy, a matrix product, power by NVML.

Besides the exporter the only module that imports torch, and it exports nothing: it
times the framework on real tensors.  `pimsim.baselines.calibrate` turns what it returns
into a baseline file and knows no torch.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pimsim.baselines.calibrate import Decode, PowerDraw
from pimsim.errors import InputError
from pimsim.workload.models import ModelShape

_COPY_BYTES = 256 * 2**20  # far above every cache
_COPIES, _PRODUCTS = 10, 5
_PRODUCT_SIZE = {"cpu": 2048, "gpu": 8192}
_WARM_UP_TOKENS = 3
_IDLE_SAMPLES = 20


class TorchMachine:
    """This machine's CPU, or its first GPU, seen through torch.

    Raises InputError if torch or transformers is missing, or there is no GPU to measure.
    """

    def __init__(self, kind: str, data_type: str, threads: int | None) -> None:
        self._torch, self._transformers = _import_torch()
        if kind == "gpu" and not self._torch.cuda.is_available():
            raise InputError("torch sees no GPU on this machine; `pimsim calibrate cpu` measures the processor", "gpu")
        if threads is not None:
            self._torch.set_num_threads(threads)
        self.kind, self.data_type, self.threads = kind, data_type, self._torch.get_num_threads()
        self._device = "cuda" if kind == "gpu" else "cpu"
        self._dtype = self._types[data_type]
        self._torch.manual_seed(0)

    @property
    def _types(self) -> dict[str, Any]:
        """Torch's number formats by their names here."""
        torch = self._torch
        return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

    @property
    def description(self) -> str:
        """What is measured, in words."""
        if self.kind == "gpu":
            return str(self._torch.cuda.get_device_name(0))
        return f"{_cpu_name()}, {self.threads} threads"

    def facts(self) -> dict[str, str]:
        """Where the figures come from: processor and versions."""
        gpu = {"gpu": self.description} if self.kind == "gpu" else {}
        return {
            "cpu": _cpu_name(),
            **gpu,
            "threads": str(self.threads),
            "python": platform.python_version(),
            "torch": self._torch.__version__,
            "transformers": self._transformers.__version__,
        }

    def decode(self, shape: ModelShape, prompt: int, tokens: int, repeats: int) -> Decode:
        """Greedy decode of `tokens` tokens after `prompt`, `repeats` times, random weights, eager attention."""
        model = self._model(shape)
        runs = tuple(self._run(model, shape, prompt, tokens) for _ in range(repeats))
        first = prompt + _WARM_UP_TOKENS + 1
        return Decode(shape, (first, first + tokens - 1), runs, *self._count(model))

    def _model(self, shape: ModelShape) -> Any:
        config = self._transformers.GPT2Config(
            n_layer=shape.layers,
            n_embd=shape.d_model,
            n_head=shape.heads,
            n_inner=shape.d_ff,
            vocab_size=shape.vocabulary,
            n_positions=shape.max_positions,
        )
        config._attn_implementation = "eager"
        with self._torch.device(self._device):
            return self._transformers.GPT2LMHeadModel(config).to(self._dtype).eval()

    def _empty_cache(self, model: Any) -> dict[str, Any]:
        """The argument that makes a model keep K and V."""
        from pimsim.workload.export.cache import cache_argument

        return {cache_argument(model): self._transformers.DynamicCache(config=model.config)}

    def _run(self, model: Any, shape: ModelShape, prompt: int, tokens: int) -> tuple[float, ...]:
        """Milliseconds of each token; the first few warm up and are not among them."""
        with self._torch.no_grad():
            ids = self._torch.randint(shape.vocabulary, (1, prompt), device=self._device)
            past = self._empty_cache(model)
            output = model(ids, **past, use_cache=True)
            taken = []
            for _ in range(_WARM_UP_TOKENS + tokens):
                next_id = output.logits[:, -1:].argmax(-1)
                started = time.perf_counter()
                output = model(next_id, **past, use_cache=True)
                output.logits[0, -1].argmax().item()  # waits for the GPU, as generation does
                taken.append((time.perf_counter() - started) * 1e3)
        return tuple(taken[_WARM_UP_TOKENS:])

    def _count(self, model: Any) -> tuple[dict[str, int], int]:
        """ATen operators of one step: of each operator kind of a block, and of all the step."""
        with self._torch.no_grad():
            ids = self._torch.zeros((1, 2), dtype=self._torch.long, device=self._device)
            past = self._empty_cache(model)
            model(ids, **past, use_cache=True)
            modules: Counter[str] = Counter()
            hooks, stack = _watch(model)
            with _dispatch_counter(lambda: modules.update([stack[-1]])):
                model(ids[:, :1], **past, use_cache=True)
            for hook in hooks:
                hook.remove()
        layer = "transformer.h.0"
        return {
            "layernorm": modules[f"{layer}.ln_1"],
            "linear": modules[f"{layer}.attn.c_attn"],
            "attention": modules[f"{layer}.attn"],
            "gelu": modules[f"{layer}.mlp.act"],
            "add": modules[layer] // 2,
        }, sum(modules.values())

    def copy_GBps(self) -> float:
        """Bytes read and written a nanosecond by the fastest of several copies."""
        source = self._torch.ones(_COPY_BYTES // 4, dtype=self._torch.float32, device=self._device)
        target = self._torch.empty_like(source)
        return 2 * _COPY_BYTES / self._fastest(lambda: target.copy_(source), _COPIES) / 1e9

    def peak_TFLOPs(self, data_type: str) -> float:
        """Operations of the fastest of several square matrix products."""
        n = _PRODUCT_SIZE[self.kind]
        dtype = self._types[data_type]
        a, b = (self._torch.rand((n, n), device=self._device).to(dtype) for _ in range(2))
        return 2 * n**3 / self._fastest(lambda: a @ b, _PRODUCTS) / 1e12

    def _fastest(self, work: Callable[[], Any], times: int) -> float:
        """Seconds of the fastest of `times` executions, after one that warms up."""
        taken = []
        for _ in range(times + 1):
            self._synchronise()
            started = time.perf_counter()
            work()
            self._synchronise()
            taken.append(time.perf_counter() - started)
        return min(taken[1:])

    def _synchronise(self) -> None:
        if self.kind == "gpu":
            self._torch.cuda.synchronize()

    def memory_bytes(self) -> int | None:
        """Bytes of the GPU's memory, or of the machine's; None where the system does not say."""
        if self.kind == "gpu":
            return int(self._torch.cuda.get_device_properties(0).total_memory)
        with suppress(AttributeError, OSError, ValueError):  # not a POSIX system
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return None

    def power(self) -> PowerDraw | None:
        """Watts that NVML reports with a context alive and no work, and its limit; None where there is no NVML."""
        if self.kind != "gpu":
            return None
        with suppress(Exception):  # no module, no library, no permission: not present
            import pynvml

            pynvml.nvmlInit()
            handle = pynvml.nvmlDeviceGetHandleByIndex(0)
            samples = []
            for _ in range(_IDLE_SAMPLES):
                samples.append(pynvml.nvmlDeviceGetPowerUsage(handle) / 1e3)
                time.sleep(0.05)
            return PowerDraw(statistics.median(samples), pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3)
        return None


def _import_torch() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise InputError(f"`pimsim calibrate` needs {error.name}: pip install 'pimsim[trace]'", "calibrate") from None
    return torch, transformers


def _watch(model: Any) -> tuple[list[Any], list[str]]:
    """Hooks that keep, on a stack, the name of the module that runs."""
    stack, hooks = [""], []

    def enter(name: str) -> Callable[..., None]:
        return lambda *_: stack.append(name)

    def leave(*_: Any) -> None:
        stack.pop()

    for name, module in model.named_modules():
        hooks += [module.register_forward_pre_hook(enter(name)), module.register_forward_hook(leave)]
    return hooks, stack


def _dispatch_counter(count: Callable[[], None]) -> Any:
    """A context in which every ATen operator that torch dispatches calls `count`."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counting(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            count()
            return function(*args, **(kwargs or {}))

    return Counting()


def _cpu_name() -> str:
    """The processor's name as Linux gives it, else what the platform knows."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
