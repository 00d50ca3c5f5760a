"""The records of a `pimsim-trace` 1.1, as a file has them.

A trace is a header, templates (each a graph of one step) with their operators, and a
schedule that says which steps run on which template.  Sizes are `Expr`: integers, or
affine in the symbols that the header declares.  `extra` holds what a later minor version
added and this one does not know: nested as in the file, only the unknown keys.  `line`
is where the record stands in its file (0: it comes from no file).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Protocol

from pimsim.errors import Problem
from pimsim.workload.attributes import STORED_OPS, Attributes, Weight
from pimsim.workload.ops import INPUT
from pimsim.workload.trace.expr import Expr

FORMAT = "pimsim-trace"
VERSION = "1.0"  # of a trace that uses nothing of later ones
MAJOR, MINOR = 1, 1
LATEST = f"{MAJOR}.{MINOR}"

CONTEXT, BATCH, QUERY = "T", "B", "Q"
STEP = "step"  # in the bindings of a schedule: the number of the step
KEPT = "kept"  # in those of a cycle: tokens that it has kept so far, of one sequence
SYMBOLS = {
    CONTEXT: "context: tokens attended to, the newest included",
    BATCH: "sequences",
    QUERY: "query tokens of a step",
}
_Q = Expr(0, ((QUERY, 1),))
PHASES = ("prefill", "decode")
DATA_TYPE_BITS = {
    "bf16": 16, "fp16": 16, "fp32": 32, "fp8": 8, "int8": 8, "int4": 4, "int3": 3, "int2": 2, "fp8_e4m3": 8,
    "fp8_e5m2": 8, "mxfp4": 4,
}  # fmt: skip
LATER_TYPES = ("int3", "int2", "fp8_e4m3", "fp8_e5m2", "mxfp4")  # of 1.1

Extra = Mapping[str, Any]


class Line(Protocol):
    """Where problems of a record are noted."""

    def problem(self, path: str, message: str) -> None:
        """Note what is wrong with the value of a key (dots between keys)."""


@dataclass(frozen=True)
class Launch:
    """ATen operators (views included) and device kernels that an eager step launches."""

    aten: int
    kernels: int


@dataclass(frozen=True)
class ModelInfo:
    """The model that was recorded.

    config_sha256: as `sizes_sha256` ("" if not given).
    parameters: of the whole model, a tied matrix once (None if not given).
    """

    name: str
    family: str
    layers: int
    d_model: int
    heads: int
    kv_heads: int
    head_dim: int
    d_ff: int
    vocabulary: int
    max_positions: int
    config_sha256: str = ""
    parameters: int | None = None

    @property
    def sizes_sha256(self) -> str:
        """SHA-256 of the canonical JSON of family and sizes; the name and parameters are no part of it."""
        sizes = {k: v for k, v in vars(self).items() if k not in ("name", "config_sha256", "parameters")}
        text = json.dumps(sizes, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()


@dataclass(frozen=True)
class Check:
    """What one step of a template must come to at a binding; see `cost.Cost`."""

    template: str
    binding: Mapping[str, int]
    flops: int
    matrix_flops: int
    weight_bytes: int
    kv_bytes: int


@dataclass(frozen=True)
class Header:
    """The first line.

    routing: how often each expert is chosen, relative to the others (None: not stated;
    empty: all equally often).
    overhead: launches of a step that belong to no operator (masks, positions).
    """

    model: ModelInfo
    version: str = VERSION
    weights: str = "bf16"
    activations: str = "bf16"
    kv: str = "bf16"
    producer: Mapping[str, str] = field(default_factory=dict)
    symbols: Mapping[str, str] = field(default_factory=lambda: dict(SYMBOLS))
    routing: tuple[float, ...] | None = None
    overhead: Launch | None = None
    checks: tuple[Check, ...] = ()
    extra: Extra = field(default_factory=dict)
    line: int = field(default=0, compare=False)


def default_bits(op: str, weights: str) -> int:
    """Bits of a weight that does not say it; `weights` is the header's data type of weights."""
    return DATA_TYPE_BITS[weights] if op in STORED_OPS else Weight.bits


@dataclass(frozen=True)
class Table:
    """One table of an embedding."""

    name: str
    rows: int


@dataclass(frozen=True)
class HeadGroup:
    """Heads of one attention that have the same sizes; `kv_len` tokens are attended to.

    value_dim: elements of a head of V, if not those of K (0).
    """

    heads: int
    kv_heads: int
    head_dim: int
    kv_len: Expr
    value_dim: int = 0


@dataclass(frozen=True)
class OpRecord(Attributes):
    """An operator of a template; what the fields mean is said in `pimsim.workload.ops.Operator`.

    take: of a dependency the first element and how many, where not all are read.
    tokens: vectors that it takes in a step, for each sequence (None: the tokens of the step).
    appended: of an attention the vectors of K and V that a step adds, if what makes them takes others than what
    makes the queries (None: as many); no key of a file, it follows from the operators (see `with_appended`).
    """

    template: str
    id: str
    scope: str
    role: str
    op: str
    inputs: Expr
    outputs: Expr
    rows: Expr = Expr(1)
    per: str = "token"
    weight: Weight = Weight()
    tables: tuple[Table, ...] = ()
    head_groups: tuple[HeadGroup, ...] = ()
    experts: int = 1
    active: int = 1
    deps: tuple[str, ...] = ()
    launch: Launch | None = None
    extra: Extra = field(default_factory=dict)
    take: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    tokens: Expr | None = None
    appended: Expr | None = field(default=None, compare=False)
    line: int = field(default=0, compare=False)

    @property
    def vectors(self) -> Expr:
        """Vectors that it takes in a step, for each sequence."""
        return self.tokens or _Q

    @property
    def queries(self) -> int:
        """Elements of the queries of an attention."""
        return sum(group.heads * group.head_dim for group in self.head_groups)

    @property
    def queries_alone(self) -> bool:
        """True if an attention takes no K and V: they are there already."""
        return bool(self.head_groups) and self.inputs == Expr(self.queries)

    @property
    def appends(self) -> bool:
        """True if an attention adds K and V of the step's tokens to its cache."""
        return bool(self.head_groups) and self.append and not self.queries_alone


def with_appended(op: OpRecord, ops: Mapping[str, OpRecord]) -> OpRecord:
    """An attention as it is in a template; ops: what has `tokens` and stands before it, by id.

    What gives it as many vectors as it has queries makes the queries; what gives another number makes K and V.
    """
    if op.op != "attention" or (op.tokens is None and not ops):
        return op
    given = [ops[dep].vectors if dep in ops else _Q for dep in op.deps if dep != INPUT]
    others = [vectors for vectors in given if vectors != op.vectors]
    return replace(op, appended=others[0]) if others else op


@dataclass(frozen=True)
class Template:
    """The graph of one step: its block spans `layers` layers and runs `count` times.

    model: that it is of, if not the header's.  weights_of: the template whose weights its operators of the
    same names have ("": those of the same model that are alike are one).
    """

    id: str
    layers: int
    count: int
    ops: tuple[OpRecord, ...] = ()  # a reader that streams leaves them out
    extra: Extra = field(default_factory=dict)
    model: ModelInfo | None = None
    weights_of: str = ""
    line: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if any(op.tokens is not None for op in self.ops):
            ops = {op.id: op for op in self.ops if op.tokens is not None}
            object.__setattr__(self, "ops", tuple(with_appended(op, ops) for op in self.ops))


@dataclass(frozen=True)
class Acceptance:
    """Tokens that a step keeps on average; `positions`: chance that each draft is kept, if it is known.

    Without positions every number of tokens is as likely as the mean allows (see `workload.schedule`).
    """

    mean: Fraction
    positions: tuple[Fraction, ...] = ()

    @classmethod
    def of(cls, positions: tuple[Fraction, ...]) -> Acceptance:
        """The target's own token, and each draft with its chance."""
        return cls(1 + sum(positions, Fraction(0)), positions)


@dataclass(frozen=True)
class Schedule:
    """Steps `first` to `last` of a phase, on one template.

    bindings: the value of each symbol, affine in `step`; in a cycle in `kept` as well.
    accept: tokens that a step keeps (None: all Q).
    layers: the first that run, or which ones (None: all).
    cycle: lines of the same name, one behind the other, repeat together ("": none).
    tree: the token that each token of a step follows (-1: none of the step); empty: each the one before it.
    fork: sequences that go on from here (0: as many as before).
    reorder: hypotheses that go on from another one's tokens, in each step on average.
    """

    phase: str
    first: int
    last: int
    template: str
    bindings: Mapping[str, Expr]
    accept: int | Acceptance | None = None
    layers: int | tuple[int, ...] | None = None
    extra: Extra = field(default_factory=dict)
    cycle: str = ""
    tree: tuple[int, ...] = ()
    fork: int = 0
    reorder: Fraction = Fraction(0)
    line: int = field(default=0, compare=False)

    @property
    def steps(self) -> int:
        """How many steps it stands for."""
        return self.last - self.first + 1

    def binding(self, step: int, kept: int = 0) -> dict[str, int]:
        """The values of the symbols at one step; kept: tokens that its cycle has kept so far."""
        return {symbol: expr.at({STEP: step, KEPT: kept}) for symbol, expr in self.bindings.items()}


Record = Header | Template | OpRecord | Schedule


@dataclass(frozen=True)
class Trace:
    """A whole trace in memory.

    file: where it was read from ("" if it was not); warnings: keys that were not known.
    """

    header: Header
    templates: tuple[Template, ...]
    schedule: tuple[Schedule, ...]
    file: str = field(default="", compare=False)
    warnings: tuple[Problem, ...] = field(default=(), compare=False)

    def template(self, id: str) -> Template:
        """The template of that name; KeyError if there is none."""
        return {template.id: template for template in self.templates}[id]

    def model_of(self, template: Template) -> ModelInfo:
        """The model that a template is of; those of equal sizes and names are one."""
        return template.model or self.header.model
