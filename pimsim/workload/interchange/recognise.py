"""Finds the model in a profile: shapes of a decoder-only transformer out of one step's ATen calls.

A step is read as marks (a norm, a matrix product, an attention, a residual sum ...).  The
sizes are taken from the first block, the graph of that shape is built, and then every mark
and every matrix product of the profile must be where the graph has it: what does not fit
is an error that names the call, never a guess.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pimsim.errors import InputError, Problem
from pimsim.workload.interchange.calls import Call, Shape
from pimsim.workload.models import ModelShape, Workload, build
from pimsim.workload.ops import ACTIVATIONS, NORMS

_IN_PIECES = "gelu"  # written out, it has a tanh
_ACTIVATIONS = {name: name for name in ACTIVATIONS} | {"tanh": _IN_PIECES}
_NAMED = tuple(name for name in ACTIVATIONS if name != _IN_PIECES)  # a call of theirs is of nothing else
_NORMS = {"layer_norm": "layernorm", "native_layer_norm": "layernorm", "rms_norm": "rmsnorm", "rsqrt": "rmsnorm"}
_LINEARS = ("linear", "addmm", "mm")
_PRODUCTS = ("matmul", "bmm", "baddbmm")
_FUSED = "scaled_dot_product"
_UNKNOWN = "unknown"
_DATA_TYPE = "bf16"  # that an imported trace says
_ELEMENTWISE = ("add", "mul", "neg", "softmax", "_softmax", "topk")
# Calls that move or view data, or prepare masks and positions: a launch, but no operator of the graph.
_SILENT = (
    "view", "reshape", "transpose", "permute", "unsqueeze", "squeeze", "expand", "slice", "select", "split", "chunk",
    "contiguous", "clone", "to", "copy_", "cat", "alias", "detach", "t", "arange", "zeros", "ones", "full", "empty",
    "where", "le", "lt", "gt", "ge", "eq", "all", "any", "cos", "sin", "pow", "mean", "dropout", "sub", "div", "argmax",
    "item", "masked_fill", "masked_fill_", "scalar_tensor", "cumsum", "index", "index_select", "type_as", "narrow",
    "is_nonzero", "bitwise_and", "logical_and", "__and__", "triu", "tril", "zeros_like", "ones_like", "full_like",
    "new_ones", "new_zeros", "fill_", "zero_", "rsub", "clamp", "result_type", "lift_fresh", "unbind", "_unsafe_view",
)  # fmt: skip


@dataclass(frozen=True)
class Mark:
    """What a call means: `kind` and the sizes that go with it (see `_mark`)."""

    kind: str
    call: Call
    sizes: tuple[int, ...] = ()
    bias: bool = False


@dataclass(frozen=True)
class Found:
    """A model found in a profile.

    context, queries, batch: of the step that was read.  notes: what the profile does not
    say, and what was assumed instead.  silent: calls that are no operator of the graph.
    """

    workload: Workload
    context: int
    queries: int
    batch: int
    notes: tuple[str, ...]
    silent: Counter[str]


def recognise(calls: Sequence[Call], path: str, name: str) -> Found:
    """The model of the last step in `calls`; InputError names the call that fits none."""
    marks, silent = _marks(calls, path)
    steps = _steps(marks, path)
    step = _Step(steps[-1], path)
    workload = step.workload(name)
    step.check(workload)
    queries, context, batch = step.tokens
    step.notes += _data_types(step)
    several = (f"{len(steps)} steps: the last one is taken",) if len(steps) > 1 else ()
    return Found(workload, context, queries, batch, (*several, *step.notes), silent)


def _data_types(step: _Step) -> list[str]:
    """What the profile says of data types that a trace of BF16 does not keep."""
    products = [(mark.call, 2, 1) if mark.call.name.endswith("addmm") else (mark.call, 1, 0) for mark in step.linears]
    found = {
        "weights": [call.data_type(weight) for call, weight, _ in products]
        + [mark.call.data_type(0) for mark in step.tables],
        "activations": [call.data_type(vector) for call, _, vector in products],
        "K and V": [mark.call.data_type(1) for mark in step.attentions],
    }
    known = {what: [name for name in dict.fromkeys(names) if name] for what, names in found.items()}
    if not any(known.values()):
        return [f"data types are not in this profile: all are taken as {_DATA_TYPE}"]
    other = [f"{what} {' and '.join(names)}" for what, names in known.items() if names and names != [_DATA_TYPE]]
    return [f"data types: {', '.join(other)} in the profile, written as {_DATA_TYPE}"] if other else []


def _error(path: str, call: Call | None, message: str) -> InputError:
    where = f"{call.name} (call {call.number})" if call else ""
    return InputError(Problem(path, 1, 1, where, message))


def _marks(calls: Sequence[Call], path: str) -> tuple[list[Mark], Counter[str]]:
    """Marks in order; what is inside a call that is a mark says nothing new."""
    inside: set[int] = set()
    marks: list[Mark] = []
    silent: Counter[str] = Counter()
    for call in calls:
        name = call.name.removeprefix("aten::")
        if call.parent in inside:
            inside.add(call.number)
        elif not call.name.startswith("aten::"):
            continue
        elif name in _SILENT:
            silent[name] += 1
            inside.add(call.number)
        elif _known(name):
            inside.add(call.number)
            mark = _mark(name, call, path)
            if mark:
                marks.append(mark)
            else:
                silent[name] += 1
        else:  # an error if it stands within a step
            inside.add(call.number)
            marks.append(Mark(_UNKNOWN, call))
    return marks, silent


def _known(name: str) -> bool:
    return name in ("embedding", *_LINEARS, *_PRODUCTS, *_ELEMENTWISE, *_NORMS, *_ACTIVATIONS) or _FUSED in name


def _mark(name: str, call: Call, path: str) -> Mark | None:
    """What a call means, None for arithmetic within an operator.

    Sizes: embedding rows, width; linear inputs, outputs; attention batch, heads, queries,
    head_dim, K's heads, context; product as its two operands; others their last dimension.
    """
    first, second = call.shape(0), call.shape(1)
    if name == "embedding":
        return Mark("embedding", call, _sized(first, 2, call, path))
    if name in _LINEARS or (name in _PRODUCTS and len(second) == 2):
        return _linear(name, call, path)
    if _FUSED in name:
        b, h, q, d = _sized(first, 4, call, path)
        _, kv, t, _ = _sized(second, 4, call, path)
        return Mark("attention", call, (b, h, q, d, kv, t))
    if name in _PRODUCTS:
        return Mark("product", call, (*_sized(first, None, call, path), 0, *_sized(second, None, call, path)))
    if name in _NORMS:
        return Mark(_NORMS[name], call, first[-1:])
    if name in _ACTIVATIONS:
        return Mark(_ACTIVATIONS[name], call, first[-1:])
    if name in ("add", "mul") and (first != second or len(first) < 2):
        return None
    return Mark(name.removeprefix("_"), call, first[-1:])


def _sized(shape: Shape, dimensions: int | None, call: Call, path: str) -> Shape:
    if not shape or (dimensions is not None and len(shape) != dimensions):
        wanted = f"{dimensions} dimensions" if dimensions else "a shape"
        raise _error(path, call, f"should have an input of {wanted}, not {list(shape)}")
    return shape


def _linear(name: str, call: Call, path: str) -> Mark:
    """A product with a weight: `linear` has it as outputs x inputs, the others the other way round."""
    weight = _sized(call.shape(2 if name == "addmm" else 1), 2, call, path)
    bias = name == "addmm" or (name == "linear" and bool(call.shape(2)))
    return Mark("linear", call, weight[::-1] if name == "linear" else weight, bias)


def _steps(marks: list[Mark], path: str) -> list[list[Mark]]:
    """The marks of each step: a step begins where the token table, the first table, is read."""
    tables = [mark for mark in marks if mark.kind == "embedding"]
    if not tables:
        raise _error(path, None, "holds no embedding: record a whole step, from token to logits")
    steps: list[list[Mark]] = []
    for mark in marks:
        if mark.kind == "embedding" and mark.sizes == tables[0].sizes:
            steps.append([])
        if steps:
            steps[-1].append(mark)
    return steps


class _Step:
    """One step's marks, and the sizes that they tell."""

    def __init__(self, marks: list[Mark], path: str) -> None:
        self.path = path
        self.tables = [mark for mark in marks if mark.kind == "embedding"]
        self.vocabulary, self.width = self.tables[0].sizes
        self.marks = self._attentions([mark for mark in marks if mark.kind != "embedding"])
        self.linears = [mark for mark in self.marks if mark.kind == "linear"]
        self.attentions = [mark for mark in self.marks if mark.kind == "attention"]
        if not self.attentions or not self.linears:
            raise _error(path, None, "holds no attention or no matrix product: no decoder-only transformer")
        self.notes: list[str] = []

    def _attentions(self, marks: list[Mark]) -> list[Mark]:
        """Marks with attention in pieces (product, softmax, product) as one mark."""
        joined: list[Mark] = []
        scores: Mark | None = None
        between: list[str] = []
        for mark in marks:
            if scores is None and mark.kind == "product":
                scores, between = mark, []
            elif scores is None:
                joined.append(mark)
            elif mark.kind == "product":
                if "softmax" not in between:
                    raise _error(self.path, mark.call, "is the second product of an attention without a softmax")
                joined.append(self._attention(scores))
                scores = None
            elif mark.kind in ("softmax", "add", "mul"):
                between.append(mark.kind)
            else:
                raise _error(self.path, mark.call, "stands inside an attention, which pimsim cannot express")
        if scores is not None:
            raise _error(self.path, scores.call, "is a product of two activations without a second one after it")
        return joined

    def _attention(self, scores: Mark) -> Mark:
        at = scores.sizes.index(0)
        q, k = scores.sizes[:at], scores.sizes[at + 1 :]
        if len(q) != 4 or len(k) != 4:
            message = f"should have operands [batch, heads, tokens, head_dim], not {list(q)} and {list(k)}"
            raise _error(self.path, scores.call, message)
        return Mark("attention", scores.call, (*q, 0, k[3]))

    @property
    def tokens(self) -> tuple[int, int, int]:
        """(query tokens, context, batch) of the step."""
        batch, _, queries, _, _, context = self.attentions[0].sizes
        return queries, context, batch

    def workload(self, name: str) -> Workload:
        """The graph of the shape that the first block tells."""
        layers = len(self.attentions)
        blocks = [m for m in self.linears if m.sizes[1] != self.vocabulary or m is not self.linears[-1]]
        head = self.linears[-1] if len(blocks) < len(self.linears) else None
        start = self.marks.index(self.attentions[0])
        merged = sum(mark.kind == "linear" for mark in self.marks[:start])
        per_block, rest = divmod(len(blocks), layers)
        ffn = per_block - merged - 1
        if rest or merged not in (1, 3) or ffn not in (2, 3):
            message = (
                f"{len(blocks)} matrix products around {layers} attentions: pimsim knows blocks of 1 or 3 "
                "for q, k, v, 1 after the attention and 2 or 3 of the FFN"
            )
            raise _error(self.path, None, message)
        shape = self._shape(name, blocks[:per_block], merged, head)
        graph = build(shape, lm_head=head is not None)
        operators = tuple(replace(operator, aten=None, kernels=None) for operator in graph.operators)
        return Workload(shape, operators)  # what this software launched is not what was recorded for the family

    def _shape(self, name: str, block: list[Mark], merged: int, head: Mark | None) -> ModelShape:
        _, heads, _, head_dim, kv_heads, context = self.attentions[0].sizes
        out, ffn = block[merged], block[merged + 1 :]
        k_width = block[1].sizes[1] if merged == 3 else (block[0].sizes[1] - heads * head_dim) // 2
        kv_heads = kv_heads if kv_heads and merged == 1 else max(1, k_width // head_dim)
        roles = {"qkv": block[0], "attn_out": out, "ffn_up": ffn[-2], "ffn_down": ffn[-1]}
        roles |= {"ffn_gate": ffn[0]} if len(ffn) == 3 else {}
        roles |= {"lm_head": head} if head else {}
        rope = any(mark.kind == "neg" for mark in self.marks)
        kinds = {mark.kind for mark in self.marks}
        try:
            return ModelShape(
                name=name,
                layers=len(self.attentions),
                d_model=self.width,
                heads=heads,
                kv_heads=kv_heads,
                d_ff=ffn[-1].sizes[0],
                vocabulary=self.vocabulary,
                max_positions=self._positions(rope, context),
                family="llama" if rope else "gpt2",
                head_size=0 if heads * head_dim == self.width else head_dim,
                norm="rmsnorm" if "rmsnorm" in kinds else "layernorm",
                activation=next((kind for kind in _NAMED if kind in kinds), _IN_PIECES),
                gated=len(ffn) == 3,
                biases=tuple(role for role, mark in roles.items() if mark.bias),
                merged_qkv=merged == 1,
                rope=rope,
                tied=self._tied(head),
            )
        except ValueError as error:
            raise _error(self.path, None, str(error)) from None

    def _positions(self, rope: bool, context: int) -> int:
        if rope:
            self.notes.append(f"the largest position is not in a profile: taken as the context, {context}")
            return context
        if len(self.tables) != 2:
            message = f"{len(self.tables)} embedding tables and no rotation: where positions come from is not known"
            raise _error(self.path, self.tables[0].call, message)
        return self.tables[1].sizes[0]

    def _tied(self, head: Mark | None) -> bool:
        """True if the LM head reads the memory of the token table."""
        if head is None:
            return False
        storages = head.call.storages
        if not storages:
            self.notes.append("whether LM head and token table share memory is not in this profile: taken as tied")
            return True
        return self.tables[0].call.storages[0] == storages[1]

    def check(self, workload: Workload) -> None:
        """Every mark where the graph has it, every matrix product with the graph's sizes; InputError if not."""
        shape = workload.shape
        expected = self._expected(shape, workload.lm_head)
        got = [mark for mark in self.marks if self._counts(mark, shape)]
        for index, kind in enumerate(expected):
            if index >= len(got):
                raise _error(self.path, got[-1].call, f"is the last call, and {kind} should follow")
            if got[index].kind == _UNKNOWN:
                raise _error(self.path, got[index].call, "is an operator that pimsim cannot express")
            if got[index].kind != kind:
                message = f"reads as {got[index].kind}, and {kind} should be there: no model of the GPT or Llama kind"
                raise _error(self.path, got[index].call, message)
        rest = got[len(expected) :]
        for mark in rest:
            if mark.kind in ("linear", "attention", "product"):
                raise _error(self.path, mark.call, "is a matrix product after the end of the model")
        if rest:
            self.notes.append(f"calls after the model, such as {rest[0].call.name}, are left out")
        self._check_linears(workload)
        self._check_attentions(shape)
        self.notes.append("a window, if shorter than the context, is not in a profile: attention is taken to be full")
        self.notes.append("names of weights are not in a profile: those of the family's checkpoints are written")

    def _counts(self, mark: Mark, shape: ModelShape) -> bool:
        """False for arithmetic that is a part of another mark."""
        if mark.kind == "add":  # residual sums are as wide as the model, and come after the first norm
            return mark.sizes == (shape.d_model,) and mark.call.number > self._begin
        if mark.kind == "mul":
            return shape.gated and mark.sizes == (shape.d_ff,)
        return mark.kind != "neg"

    @property
    def _begin(self) -> int:
        return next(mark.call.number for mark in self.marks if mark.kind in (*NORMS, "linear"))

    def _expected(self, shape: ModelShape, lm_head: bool) -> list[str]:
        ffn = ["linear", shape.activation, "linear"]
        if shape.gated:
            ffn = ["linear", shape.activation, "linear", "mul", "linear"]
        qkv = ["linear"] * (1 if shape.merged_qkv else 3)
        block = [shape.norm, *qkv, "attention", "linear", "add", shape.norm, *ffn, "add"]
        return block * shape.layers + ([shape.norm, "linear"] if lm_head else [shape.norm])

    def _check_linears(self, workload: Workload) -> None:
        block = [o for o in workload.select("block") if o.op == "linear"]
        wanted = block * workload.shape.layers + [o for o in workload.select("once_after") if o.op == "linear"]
        for mark, operator in zip(self.linears, wanted, strict=True):
            if mark.sizes != (operator.inputs, operator.outputs) or mark.bias != operator.bias:
                sizes = f"{operator.inputs} x {operator.outputs}{' with' if operator.bias else ' without'} bias"
                got = f"{mark.sizes[0]} x {mark.sizes[1]}{' with' if mark.bias else ' without'} bias"
                raise _error(self.path, mark.call, f"is {got}, and {operator.name} should be {sizes}")

    def _check_attentions(self, shape: ModelShape) -> None:
        for mark in self.attentions:
            if mark.sizes != self.attentions[0].sizes:
                raise _error(self.path, mark.call, "differs from the first block's attention")
            heads, head_dim, kv_heads = mark.sizes[1], mark.sizes[3], mark.sizes[4]
            if (heads, head_dim) != (shape.heads, shape.head_dim) or kv_heads not in (0, shape.heads, shape.kv_heads):
                raise _error(self.path, mark.call, "has other heads than the matrix products before it make")
