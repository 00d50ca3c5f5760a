"""The operators of one decode step, and closed forms for what they cost.

An `Operator` says what is computed, never how a device does it.  Its counts are
affine in the context (the number of tokens attended to, the one being decoded
included) but for sliding windows, so a sum over any range of contexts is arithmetic,
not a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter, lt

from pimsim.registry import Registry, derived
from pimsim.workload.attributes import ATTENTION, ATTRIBUTES, KEEPS_STATE, LATER, ROWS, WEIGHTS, Attributes

# The value that enters a block: the last operator of the block before, of the
# `once_before` operators for the first block, or the step's input vector.
INPUT = "input"

SCOPES = ("block", "once_before", "once_after")
IN_ORDER = ("once_before", "block", "once_after")  # of a step

ROLES = (
    "qkv",
    "attn",
    "attn_out",
    "ffn_up",
    "ffn_gate",
    "ffn_down",
    "lm_head",
    "norm",
    "residual",
    "activation",
    "embed",
    "rope",
    "router",
    "scale",
    "ssm",
)

LINK = "link"  # role of what is sent between devices; a trace has none: `workload.parallel` puts it in
PER = ("token", "sequence")


# Nominal arithmetic operations per element of the operator's output.  One exp,
# tanh, division or comparison counts as one operation, however a unit computes it;
# scalar work (a mean, one reciprocal per vector) is left out.
#   layernorm   sum, subtract mean, square, sum, times 1/std, times gain, plus bias
#   rmsnorm     square, sum, times 1/rms, times gain
#   gelu        0.5 x (1 + tanh(c (x + 0.044715 x^3))): 6 multiplies, 2 additions, 1 tanh
#   silu        negate, exp, add 1, divide
#   relu        compare with 0
#   tanh        cap * tanh(x / cap): divide, tanh, multiply
#   softmax     compare for the maximum, subtract it, exp, sum, divide
#   rope        two multiplies and one addition
@dataclass(frozen=True)
class Op:
    """What is known of a kind of operator, whoever runs it.

    operations  nominal arithmetic operations per element of the output (0: another count)
    vectors     elements of gain and bias, per element of the input
    as_wide     it has as many outputs as inputs
    activation  it maps elements one by one, and may take half of a merged gate and up
    experts     it may be one of several, of which a router chooses
    rows        a token may have several vectors
    unit        the function of `asic.units` that computes it, if that has another name
    whole       its first results need all that it takes: the ASIC cannot work on what is still arriving
    launches    ATen operators of an eager framework, where a baseline has no count (None: it must have one)
    written     how a picture writes its name, if not as a word
    sent        it moves numbers between devices that share a model, or stands for what another machine does: it has the
                role LINK, and no trace has it
    """

    operations: int = 0
    vectors: int = 0
    as_wide: bool = False
    activation: bool = False
    experts: bool = False
    rows: bool = True
    unit: str = ""
    whole: bool = False
    launches: int | None = None
    written: str = ""
    sent: bool = False


OPS: Registry[Op] = Registry(
    "operator",
    {
        "linear": Op(experts=True),
        "attention": Op(rows=False),
        "layernorm": Op(7, vectors=2, as_wide=True, whole=True),
        "rmsnorm": Op(4, vectors=1, as_wide=True, whole=True),
        "gelu": Op(9, as_wide=True, activation=True, experts=True, written="GELU"),
        "silu": Op(4, as_wide=True, activation=True, experts=True, written="SiLU"),
        "relu": Op(1, as_wide=True, activation=True, experts=True, written="ReLU"),
        "tanh": Op(3, as_wide=True, activation=True),
        "softmax": Op(5, as_wide=True, whole=True),
        "topk": Op(whole=True),
        "add": Op(1, experts=True, unit="residual"),
        "mul": Op(1, as_wide=True, experts=True),
        "scale": Op(1, as_wide=True),
        "rope": Op(3, as_wide=True, written="RoPE"),
        "embedding": Op(rows=False),
        "ssm_update": Op(rows=False, written="state update"),
        # launches: cat, two slices, copy_, unsqueeze, convolution (transformers' causal_conv1d_update)
        "conv": Op(as_wide=True, rows=False, launches=6, written="convolution"),
        # the sum over devices of what each holds, on all of them; its additions count for who carries them out
        "all_reduce": Op(as_wide=True, launches=0, sent=True, written="all-reduce"),
        # from what a device holds (in; the most that one does) to what all of them hold (out)
        "all_gather": Op(launches=0, sent=True, written="all-gather"),
        # elements that a device sends, or gets: the more of the two, those for itself included
        "all_to_all": Op(as_wide=True, launches=0, sent=True, written="all-to-all"),
        # elements that cross the link to another machine beside the memory, and back; what it carries out itself
        "to_machine": Op(as_wide=True, launches=0, sent=True, written="to the machine"),
        "from_machine": Op(as_wide=True, launches=0, sent=True, written="from the machine"),
        "elsewhere": Op(launches=0, sent=True, written="on the machine"),
    },
)
SENT = tuple(name for name, op in OPS.shipped.items() if op.sent)
COLLECTIVES = ("all_reduce", "all_gather", "all_to_all")  # those between devices that share a model
NORMS = tuple(name for name, op in OPS.shipped.items() if op.vectors)
# What a feed-forward network has between its products.
ACTIVATIONS = tuple(name for name, op in OPS.shipped.items() if op.activation and op.experts)
# Neither mix elements of different heads nor multiply with a matrix: what reads one sees what it read.
TRANSPARENT = (*NORMS, "rope", "scale")
# Per attention score: scale, compare for the maximum, subtract it, exp, sum, divide.
OPERATIONS_PER_SCORE = 6
# Per element of a state: exp(dt A) is two, times the state, plus dt B x, times C, sum.
OPERATIONS_PER_STATE = 7


@dataclass(frozen=True)
class Affine:
    """A count that is `constant + slope * T` at context T, plus s * min(T, w) for each (w, s) of `windows`."""

    constant: int
    slope: int = 0
    windows: tuple[tuple[int, int], ...] = ()

    def at(self, context: int) -> int:
        """The count at one context."""
        return self.constant + self.slope * context + sum(s * min(context, w) for w, s in self.windows)

    @property
    def constant_only(self) -> bool:
        """Whether the count is the same at every context."""
        return not self.slope and not self.windows

    def total(self, first: int, last: int) -> int:
        """The sum over contexts first..last, both included (0 if last < first)."""
        count = max(0, last - first + 1)
        linear = self.constant * count + self.slope * _sum(first, last)
        return linear + sum(s * _windowed_sum(w, first, last) for w, s in self.windows)

    def __add__(self, other: Affine) -> Affine:
        merged: dict[int, int] = {}
        for window, slope in (*self.windows, *other.windows):
            merged[window] = merged.get(window, 0) + slope
        windows = tuple(sorted((w, s) for w, s in merged.items() if s))
        return Affine(self.constant + other.constant, self.slope + other.slope, windows)

    def __mul__(self, factor: int) -> Affine:
        windows = tuple((w, s * factor) for w, s in self.windows if factor)
        return Affine(self.constant * factor, self.slope * factor, windows)


def attended(window: int, slope: int = 1) -> Affine:
    """`slope` for each token that is attended to: all T, or the last `window` (0: no window)."""
    return Affine(0, 0, ((window, slope),)) if window else Affine(0, slope)


def _sum(first: int, last: int) -> int:
    return (first + last) * max(0, last - first + 1) // 2


def _windowed_sum(window: int, first: int, last: int) -> int:
    """The sum of min(T, window) over first..last."""
    below = _sum(first, min(last, window))
    return below + window * max(0, last - max(first, window + 1) + 1)


@dataclass(frozen=True)
class Operator(Attributes):
    """One operator of the graph; sizes in elements, for one token.  What else it says is in `attributes`.

    inputs, outputs: lengths k and m of the input and output vectors (a linear's
    matrix is k x m).  For an embedding, `inputs` is the number of rows of all its
    tables; for a rope the elements that are rotated; for an ssm_update the elements
    of the state.
    heads, kv_heads, head_dim: of an attention (0 elsewhere).
    value_dim: elements of a head of V (0: `head_dim`).
    kv_slope, kv_constant: tokens attended to at context T are kv_slope * T + kv_constant, of them the `sinks`
    first and the last `window` if there is one.
    appended: vectors of K and V that a step adds to the cache for each sequence (0: as many as it has queries).
    tokens: vectors that the operator takes in a step, for each sequence (0: the step's own tokens).
    own_parameters: elements of the vectors of a state update: A, D and the bias of dt, where they are its own.
    tied: name of the operator whose weights this one reads ("" for its own).
    deps: names of operators of the same scope whose results this one reads;
    `INPUT` stands for the value that enters the scope.
    experts, active: copies of the weights that are stored, and that one token uses;
    an `add` with experts is the weighted sum of `active` vectors.
    rows: vectors of `inputs` elements per token (a norm over heads has one per head).
    per: "token", or "sequence" for what a prompt runs for its last token only.
    weight, layout: name of the weights in a checkpoint ("{layer}" stands for the
    layer), and how they are stored: in_out is k x m; table_names: those of an embedding.
    bits, group: of the stored weights, and how many share a scale (0: none); scale_bits, zero_bits: of a group.
    stored, given: formats of the weights, or of K and V, and of what they are multiplied with ("": bf16).
    tables: rows of each table of an embedding, tokens first, then positions.
    aten, kernels: ATen operators and device kernels recorded for one execution (None:
    not recorded).
    take: of a dependency the first element and how many, where not all are read.
    line: where the operator stands in a trace (0: it comes from no file).
    What a checkpoint or a recorder calls things is no part of the graph: see `NOTES`.

    Raises ValueError for an unknown scope, role or op, or sizes that do not fit.
    """

    name: str
    role: str
    op: str
    scope: str
    inputs: int
    outputs: int
    bias: bool = False
    heads: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    tied: str = ""
    deps: tuple[str, ...] = ()
    experts: int = 1
    active: int = 1
    rows: int = 1
    per: str = "token"
    weight: str = ""
    layout: str = "in_out"
    bits: int = 16
    group: int = 0
    tables: tuple[int, ...] = ()
    table_names: tuple[str, ...] = ()
    aten: int | None = None
    kernels: int | None = None
    take: tuple[tuple[str, int, int], ...] = ()
    scale_bits: int = 0
    zero_bits: int = 0
    blocks: int = 1
    value_dim: int = 0
    kv_slope: int = 1
    kv_constant: int = 0
    appended: int = 0
    tokens: int = 0
    own_parameters: int = 0
    stored: str = ""
    given: str = ""
    line: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        problem = next(self._problems(), None)
        if problem:
            raise ValueError(f"operator {self.name!r}: {problem}")

    def _problems(self) -> Iterator[str]:
        for kind, known in _WORDS.items():
            if getattr(self, kind) not in known:
                yield f"unknown {kind} {getattr(self, kind)!r}; known: {', '.join(known)}"
        if self.inputs < 1 or self.outputs < 1:
            yield "inputs and outputs must be at least 1"
        if any(map(lt, _INTEGERS(self), _LEAST.values())):
            yield _AT_LEAST
        if not 1 <= self.active <= self.experts:
            yield f"{self.active} of {self.experts} experts are active; it must be at least 1 and at most all"
        yield from self._wrong_fields()
        if self.op == "attention":
            yield from self._wrong_heads()
        if self.op == "embedding":
            yield from self._wrong_tables()
        if self.inputs != self.outputs and OPS[self.op].as_wide:
            yield f"{self.op} must have as many outputs as inputs, not {self.inputs} and {self.outputs}"
        if self.blocks > 1:
            yield from self._wrong_blocks()
        if self.op == "topk" and self.outputs > self.inputs:
            yield f"topk cannot choose {self.outputs} of {self.inputs}"
        if self.op == "conv" and not self.kernel:
            yield "kernel must be at least 1 for a convolution"
        if (self.op in SENT) != (self.role == LINK):
            yield f"the role {LINK!r} is that of {', '.join(SENT)}, and they have no other"
        if self.op == "all_gather" and self.outputs < self.inputs:
            yield f"all_gather cannot make {self.outputs} of parts of {self.inputs}"

    def _wrong_fields(self) -> Iterator[str]:
        """Fields that the op has no use for: a graph says nothing that is then ignored."""
        for name, default in _idle(self.op):
            if getattr(self, name) != default:
                yield f"{name} means nothing to {self.op!r}"

    def _wrong_heads(self) -> Iterator[str]:
        if min(self.heads, self.kv_heads, self.head_dim) < 1 or self.heads % self.kv_heads:
            yield (
                f"heads {self.heads}, kv_heads {self.kv_heads}, head_dim {self.head_dim}: "
                "all must be at least 1 and kv_heads must divide heads"
            )
        elif self.outputs != self.heads * self.v_head_dim:
            yield "outputs must be heads * " + ("value_dim" if self.value_dim else "head_dim")
        elif (self.kv_slope, self.kv_constant) != (1, 0) and self.window:
            yield "window and a number of tokens attended to that is not the context mean nothing together"
        elif self.sinks and not self.window:
            yield "sinks mean nothing without a window"

    def _wrong_blocks(self) -> Iterator[str]:
        if self.inputs % self.blocks or self.outputs % self.blocks:
            yield f"blocks ({self.blocks}) must divide inputs ({self.inputs}) and outputs ({self.outputs})"
        elif self.experts > 1 or self.bias or self.tied:
            yield "blocks of a matrix have no experts, no bias and no table: leave those out"

    def _wrong_tables(self) -> Iterator[str]:
        if not self.tables or min(self.tables) < 1 or sum(self.tables) != self.inputs:
            yield f"inputs ({self.inputs}) must be the rows of all tables {self.tables}"

    @property
    def v_head_dim(self) -> int:
        """Elements of a head of V."""
        return self.value_dim or self.head_dim

    @property
    def kv_width(self) -> int:
        """Elements of K that one token adds in one layer, and of V where its heads are as large."""
        return self.kv_heads * self.head_dim

    @property
    def kv_token(self) -> int:
        """Elements of K and V that one token adds in one layer."""
        return self.kv_heads * (self.head_dim + self.v_head_dim)

    @property
    def most_seen(self) -> int:
        """Tokens that are attended to at most (0: there is no limit): the sinks and the window."""
        return self.window + self.sinks if self.window else 0

    def attended(self, each: int = 1) -> Affine:
        """`each` for every token that one at context T attends to, by its own position."""
        if self.window:
            return attended(self.most_seen, each)
        return Affine(self.kv_constant * each, self.kv_slope * each)

    @property
    def sees_all(self) -> bool:
        """Whether every token of a step attends to what the last one does: there is no order among them."""
        return not self.append or self.mask == "block" or self.appended > 0

    def slot(self, context: int) -> int:
        """Where in the cache the K and V of the token at a context lie: a window is a ring behind the sinks."""
        if self.window:
            token = context - 1
            return token if token < self.sinks else self.sinks + (token - self.sinks) % self.window
        if self.kv_slope:
            return self.kv_slope * context + self.kv_constant - 1
        return (context - 1) % self.kv_constant

    @property
    def keeps_state(self) -> bool:
        """Whether something of every sequence is kept from token to token, other than K and V."""
        return self.op in KEEPS_STATE

    @property
    def state_elements(self) -> int:
        """Elements that one sequence keeps: the state of an update, the columns before the newest of a convolution."""
        if self.op == "conv":
            return (self.kernel - 1) * self.inputs
        return self.inputs if self.keeps_state else 0

    @property
    def state_moved(self) -> int:
        """Elements of the state of one sequence that one step reads and writes, if memory only stored."""
        return 2 * self.state_elements

    @property
    def matrix(self) -> int:
        """Weights that one token multiplies with: k * m of a linear, of each active expert; 0 elsewhere."""
        return self._one_matrix * self.active if self.op == "linear" else 0

    @property
    def _one_matrix(self) -> int:
        """Weights of one expert's matrix: k * m, or those of its blocks on the diagonal."""
        return self.inputs * self.outputs // self.blocks

    def parameters(self, biases: bool = True) -> int:
        """Parameters the operator owns, those of every expert; without `biases` only matrices and tables."""
        if self.op == "embedding":
            return self.inputs * self.outputs
        if self.tied and self.op != "linear":
            return 0
        matrix = 0 if self.tied or self.op != "linear" else self._one_matrix * self.experts
        return matrix + (self.vectors(self.experts) if biases else 0)

    def vectors(self, experts: int = 1) -> int:
        """Elements of bias and normalisation vectors of so many experts, of taps, and of what a state update owns."""
        if self.op == "linear":
            return self.outputs * experts if self.bias else 0
        if self.op == "conv":  # a tap after another for each channel
            return (self.kernel + self.bias) * self.inputs
        if self.op == "ssm_update":
            return self.own_parameters
        return _VECTORS.get(self.affine, OPS[self.op].vectors) * self.inputs

    def weights_read(self, biases: bool = False) -> int:
        """Weight elements one token reads, whoever owns them (an embedding reads a row of each table)."""
        if self.op == "embedding":
            return len(self.tables) * self.outputs
        return self.matrix + (self.vectors(self.active) if biases else 0)

    def kv_read(self) -> Affine:
        """K and V elements that one step of one sequence reads."""
        return self.attended(self.kv_token) if self.op == "attention" else Affine(0)

    def kv_moved(self) -> Affine:
        """K and V elements read (of the tokens attended to) and written (one token) by one step of one sequence."""
        written = self.kv_token if self.append else 0
        return self.kv_read() + Affine(written) if self.op == "attention" else Affine(0)

    def macs(self) -> Affine:
        """Multiply-accumulates of matrix products (weights, q K^T, p V) of one step of one sequence."""
        if self.op == "attention":
            return self.attended(self.heads * (self.head_dim + self.v_head_dim))
        return Affine(self.matrix * self.rows)

    def operations(self) -> Affine:
        """Arithmetic operations of one step of one sequence: 2 per MAC, plus the nominal counts above."""
        if self.op == "attention":
            per_score = OPERATIONS_PER_SCORE + (OPS["tanh"].operations if self.softcap else 0)
            return self.macs() * 2 + self.attended(per_score * self.heads)
        return Affine(self._operations_per_row() * self.rows)

    def _operations_per_row(self) -> int:
        match self.op:
            case "linear":
                return 2 * self.matrix + self.vectors(self.active)
            case "embedding":  # the rows of the tables are added up
                return (len(self.tables) - 1) * self.outputs
            case "topk":  # a comparison per element and choice; the chosen are added up, and divided by the sum
                return self.inputs * self.outputs + 2 * self.outputs
            case "ssm_update":
                return OPERATIONS_PER_STATE * self.inputs
            case "conv":  # a product for each tap, and their sum
                return (2 * self.kernel - 1) * self.outputs
            case "add" if self.experts > 1:  # a weight for each, and their sum
                return (2 * self.active - 1) * self.outputs
        return OPS[self.op].operations * self.outputs * self.active

    def elements(self, batch: int = 1, biases: bool = False) -> Affine:
        """Elements across the bus in one step if memory only stored.

        Weights once; table rows, K and V, and states once per sequence of the batch.  Of experts as
        many as the batch can choose, each once.
        """
        if self.op == "embedding":
            return Affine(self.weights_read() * batch)
        if self.op == "linear":
            experts = min(self.experts, self.active * batch)
            one = self._one_matrix + (self.vectors() if biases else 0)
            return Affine(one * experts)
        return Affine(self.weights_read(biases) + self.state_moved * batch) + self.kv_moved() * batch

    def matrix_macs(self, context: int) -> int:
        """`macs` at one context."""
        return self.macs().at(context)

    def flops(self, context: int) -> int:
        """`operations` at one context."""
        return self.operations().at(context)

    def bytes(self, context: int, element_bytes: int = 2, batch: int = 1, biases: bool = False) -> int:
        """Bytes across the bus in one step if memory only stored: weights, K and V read, K and V written."""
        return self.elements(batch, biases).at(context) * element_bytes


# Vectors of a norm that does not have all of its kind.
_VECTORS = {"gain": 1, "none": 0}

# What a checkpoint or a recorder calls things, and what it counted: not what is computed.
NOTES = ("weight", "layout", "table_names", "aten", "kernels", "take", "line")


def _only(*ops: str) -> Callable[[str], bool]:
    return lambda op: op in ops


# Whether a field means something to an op; others keep its default.  The first that is wrong is told.
_FIELDS_OF: Mapping[str, Callable[[str], bool]] = {
    "heads": _only(*ATTENTION),
    "kv_heads": _only(*ATTENTION),
    "head_dim": _only(*ATTENTION),
    **{row.field: _only(*row.ops) for row in ATTRIBUTES if row.ops},
    **{row.field: _only(*row.ops) for row in WEIGHTS if row.ops},
    "stored": _only("linear", "attention", "embedding"),
    "given": _only("linear", "attention"),
    "tables": _only("embedding"),
    "table_names": _only("embedding"),
    "experts": lambda op: op in OPS and OPS[op].experts,
    "active": lambda op: op in OPS and OPS[op].experts,
    "rows": lambda op: op in OPS and OPS[op].rows,
}


@derived
@cache
def _idle(op: str) -> tuple[tuple[str, object], ...]:
    """The fields that an op has no use for, with their defaults."""
    return tuple((name, getattr(Operator, name)) for name, means in _FIELDS_OF.items() if not means(op))


# The words of each field that is one of several.
_WORDS: Mapping[str, Collection[str]] = {
    "scope": SCOPES, "role": (*ROLES, LINK), "op": OPS, "per": PER,
    **{row.field: tuple(dict.fromkeys((str(row.default), *row.words))) for row in ROWS if row.words},
}  # fmt: skip

# Fields that came after 1.0, and what they are where a graph does not use them: it has the hash that it had before.
SAID_LATER: Mapping[str, int | str] = {
    **LATER, "value_dim": 0, "kv_slope": 1, "kv_constant": 0, "appended": 0, "tokens": 0, "stored": "", "given": "",
}  # fmt: skip


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


# The least of each field that is an integer of its own, and how that is told.
_LEAST = {"rows": 1} | {row.field: row.least for row in (*WEIGHTS, *ATTRIBUTES) if type(row.default) is int}
_INTEGERS = attrgetter(*_LEAST)
_ALIKE = {least: _listed([name for name, each in _LEAST.items() if each == least]) for least in _LEAST.values()}
_AT_LEAST = ", ".join(f"{names} at least {least}" for least, names in _ALIKE.items()).replace(" at", " must be at", 1)
