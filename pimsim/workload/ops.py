"""The operators of one decode step, and closed forms for what they cost.

An `Operator` says what is computed, never how a device does it.  Its counts are
affine in the context (the number of tokens attended to, the one being decoded
included), so a sum over any range of contexts is arithmetic, not a loop.
"""

from __future__ import annotations

from dataclasses import dataclass

# The value that enters a block: the last operator of the block before, of the
# `once_before` operators for the first block, or the step's input vector.
INPUT = "input"

SCOPES = ("block", "once_before", "once_after")

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
)

OPS = ("linear", "attention", "layernorm", "rmsnorm", "gelu", "silu", "add", "mul", "rope", "embedding")

# Nominal arithmetic operations per element of the operator's output.  One exp,
# tanh, division or comparison counts as one operation, however a unit computes it;
# scalar work (a mean, one reciprocal per vector) is left out.
#   layernorm  sum, subtract mean, square, sum, times 1/std, times gain, plus bias
#   rmsnorm    square, sum, times 1/rms, times gain
#   gelu       0.5 x (1 + tanh(c (x + 0.044715 x^3))): 6 multiplies, 2 additions, 1 tanh
#   silu       negate, exp, add 1, divide
#   rope       two multiplies and one addition
OPERATIONS_PER_ELEMENT = {
    "layernorm": 7,
    "rmsnorm": 4,
    "gelu": 9,
    "silu": 4,
    "add": 1,
    "mul": 1,
    "rope": 3,
    "embedding": 1,  # token row + position row
}
# Per attention score: scale, compare for the maximum, subtract it, exp, sum, divide.
OPERATIONS_PER_SCORE = 6

_NORM_VECTORS = {"layernorm": 2, "rmsnorm": 1}  # gain and bias; gain
_EMBEDDING_ROWS = 2  # one token row and one position row a step


@dataclass(frozen=True)
class Affine:
    """A count that is `constant + slope * context`."""

    constant: int
    slope: int = 0

    def at(self, context: int) -> int:
        """The count at one context."""
        return self.constant + self.slope * context

    def total(self, first: int, last: int) -> int:
        """The sum over contexts first..last, both included (0 if last < first)."""
        count = max(0, last - first + 1)
        return self.constant * count + self.slope * ((first + last) * count // 2)

    def __add__(self, other: Affine) -> Affine:
        return Affine(self.constant + other.constant, self.slope + other.slope)

    def __mul__(self, factor: int) -> Affine:
        return Affine(self.constant * factor, self.slope * factor)


@dataclass(frozen=True)
class Operator:
    """One operator of the graph; sizes in elements.

    inputs, outputs: lengths k and m of the input and output vectors (a linear's
    matrix is k x m).  For an embedding, `inputs` is the number of table rows.
    heads, kv_heads, head_dim: of an attention (0 elsewhere).
    tied: name of the operator whose weights this one reads ("" for its own).
    deps: names of operators of the same scope whose results this one reads;
    `INPUT` stands for the value that enters the scope.

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

    def __post_init__(self) -> None:
        for kind, value, known in (("scope", self.scope, SCOPES), ("role", self.role, ROLES), ("op", self.op, OPS)):
            if value not in known:
                raise ValueError(f"operator {self.name!r}: unknown {kind} {value!r}; known: {', '.join(known)}")
        if self.inputs < 1 or self.outputs < 1:
            raise ValueError(f"operator {self.name!r}: inputs and outputs must be at least 1")
        if self.op == "attention":
            self._check_heads()

    def _check_heads(self) -> None:
        if min(self.heads, self.kv_heads, self.head_dim) < 1 or self.heads % self.kv_heads:
            raise ValueError(
                f"operator {self.name!r}: heads {self.heads}, kv_heads {self.kv_heads}, head_dim {self.head_dim}: "
                "all must be at least 1 and kv_heads must divide heads"
            )
        if self.outputs != self.heads * self.head_dim:
            raise ValueError(f"operator {self.name!r}: outputs must be heads * head_dim")

    @property
    def kv_width(self) -> int:
        """Elements of K (and of V) that one token adds in one layer."""
        return self.kv_heads * self.head_dim

    @property
    def matrix(self) -> int:
        """Weights that a step multiplies with: k * m of a linear, 0 elsewhere."""
        return self.inputs * self.outputs if self.op == "linear" else 0

    def parameters(self, biases: bool = True) -> int:
        """Parameters the operator owns; without `biases` only matrices and tables."""
        if self.op == "embedding":
            return self.inputs * self.outputs
        matrix = 0 if self.tied else self.matrix
        return matrix + (self._vectors() if biases else 0)

    def _vectors(self) -> int:
        """Elements of bias and normalisation vectors."""
        if self.op == "linear":
            return self.outputs if self.bias else 0
        return _NORM_VECTORS.get(self.op, 0) * self.inputs

    def weights_read(self, biases: bool = False) -> int:
        """Weight elements one step reads, whoever owns them (an embedding reads two rows)."""
        if self.op == "embedding":
            return _EMBEDDING_ROWS * self.outputs
        return self.matrix + (self._vectors() if biases else 0)

    def kv_moved(self) -> Affine:
        """K and V elements read (context tokens) and written (one token) by one step of one sequence."""
        if self.op != "attention":
            return Affine(0)
        return Affine(2 * self.kv_width, 2 * self.kv_width)

    def macs(self) -> Affine:
        """Multiply-accumulates of matrix products (weights, q K^T, p V) of one step of one sequence."""
        if self.op == "attention":
            return Affine(0, 2 * self.heads * self.head_dim)
        return Affine(self.matrix)

    def operations(self) -> Affine:
        """Arithmetic operations of one step of one sequence: 2 per MAC, plus the nominal counts above."""
        if self.op == "attention":
            return self.macs() * 2 + Affine(0, OPERATIONS_PER_SCORE * self.heads)
        if self.op == "linear":
            return Affine(2 * self.matrix + (self.outputs if self.bias else 0))
        return Affine(OPERATIONS_PER_ELEMENT[self.op] * self.outputs)

    def elements(self, batch: int = 1, biases: bool = False) -> Affine:
        """Elements across the bus in one step: weights once; table rows, K and V once per sequence of the batch."""
        weights = self.weights_read(biases) * (batch if self.op == "embedding" else 1)
        return Affine(weights) + self.kv_moved() * batch

    def matrix_macs(self, context: int) -> int:
        """`macs` at one context."""
        return self.macs().at(context)

    def flops(self, context: int) -> int:
        """`operations` at one context."""
        return self.operations().at(context)

    def bytes(self, context: int, element_bytes: int = 2, batch: int = 1, biases: bool = False) -> int:
        """Bytes across the bus in one step if memory only stored: weights, K and V read, K and V written."""
        return self.elements(batch, biases).at(context) * element_bytes
