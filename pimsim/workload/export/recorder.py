"""What a model's forward pass dispatches: ATen operators, the modules that call them, the values between them.

Everything runs on the meta device, so nothing is computed.  A tensor is known by its
identity for as long as it lives.  (Keeping tensors alive would be simpler, but torch
dispatches `detach` for some assignments when somebody else holds the tensor.)
"""

from __future__ import annotations

import math
import re
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Makes a new tensor object of the same memory, but has no alias annotation; `empty*` allocates: no kernel either.
_NO_KERNEL = {"_unsafe_view", "empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided"}


@dataclass(frozen=True, eq=False)
class Value:
    """One version of one tensor; `parameters` names the parameters whose storage it shares."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    parameters: tuple[str, ...] = ()

    @property
    def elements(self) -> int:
        """How many elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Call:
    """One call of one module; `layer` is -1 outside the decoder layers, `leaf` is a module without modules."""

    module: str
    kind: str
    layer: int
    leaf: bool

    @property
    def where(self) -> str:
        """The module for a message: `model.layers.0.mlp (LlamaMLP)`."""
        return f"{self.module or 'the model'} ({self.kind})"


@dataclass(eq=False)
class Region:
    """Operators that belong together whatever they are: an attention function, a cache update."""

    kind: str
    call: Call
    arguments: tuple[Value, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Event:
    """One ATen operator as dispatched: `op` without namespace and overload, scalars included in `constants`."""

    op: str
    call: Call
    region: Region | None
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    constants: tuple[Any, ...]
    kernel: bool


class Recorder(TorchDispatchMode):
    """Records the operators of what runs inside `with recorder:`."""

    def __init__(self, model: torch.nn.Module, layers: str) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.entering: tuple[Value, ...] = ()
        self._layer = re.compile(re.escape(layers) + r"\.(\d+)(\.|$)")
        self._parameters = _parameters_by_storage(model)
        self._values: dict[int, tuple[Callable[[], torch.Tensor | None], Value | None]] = {}
        self._region: Region | None = None
        self._calls: list[Call] = []
        self._enter_call("", model)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        inputs = tuple(self.value(x) for x in leaves if isinstance(x, torch.Tensor))
        result = func(*args, **kwargs)
        outputs = tuple(self._new(x) for x in tree_leaves(result) if isinstance(x, torch.Tensor))
        op = func.overloadpacket.__name__
        self.events.append(
            Event(
                op,
                self._calls[-1],
                self._region,
                inputs,
                outputs,
                tuple(x for x in leaves if isinstance(x, bool | int | float)),
                kernel=not (func.is_view or op in _NO_KERNEL),
            )
        )
        return result

    @property
    def call(self) -> Call:
        """The module that runs."""
        return self._calls[-1]

    def value(self, tensor: torch.Tensor) -> Value:
        """The current version of a tensor."""
        owner, value = self._values.get(id(tensor), (_nobody, None))
        return value if value is not None and owner() is tensor else self._new(tensor)

    def _new(self, tensor: torch.Tensor) -> Value:
        names = self._parameters.get(tensor.untyped_storage()._cdata, ())
        value = Value(tuple(tensor.shape), tuple(tensor.stride()), names)
        self._values[id(tensor)] = (weakref.ref(tensor), value)
        return value

    def _enter_call(self, name: str, module: torch.nn.Module) -> None:
        match = self._layer.match(name)
        self._calls.append(
            Call(name, type(module).__name__, int(match[1]) if match else -1, not any(module.children()))
        )

    @contextmanager
    def tracking(self, model: torch.nn.Module) -> Iterator[None]:
        """Know which module runs while inside."""
        handles = []
        for name, module in model.named_modules():
            if name:
                handles.append(module.register_forward_pre_hook(lambda m, _, name=name: self._enter_call(name, m)))
                handles.append(module.register_forward_hook(lambda *_: (self._calls.pop(), None)[1]))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def region(self, kind: str, tensors: tuple[torch.Tensor, ...] = (), **facts: Any) -> Iterator[None]:
        """What is dispatched inside belongs to one region (the outermost, if they nest)."""
        if self._region is not None:
            yield
            return
        self._region = Region(kind, self._calls[-1], tuple(self.value(t) for t in tensors), facts)
        try:
            yield
        finally:
            self._region = None


def _nobody() -> None:
    """Stands for a tensor that does not live."""


def _parameters_by_storage(model: torch.nn.Module) -> dict[int, tuple[str, ...]]:
    """Names of the parameters in each storage: more than one if tied."""
    names: dict[int, tuple[str, ...]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        storage = parameter.untyped_storage()._cdata
        names[storage] = (*names.get(storage, ()), name)
    return names
