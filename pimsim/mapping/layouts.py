"""What the mapping asks of a device: where matrices, keys and values lie, and the work that uses them.

A layout lies at linear column 0; `Instruction.bases` says where each copy of it starts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal, Protocol

from pimsim.mapping.grid import Grid, Place
from pimsim.mapping.wires import Cuts, Wires
from pimsim.mapping.work import Ints, Moved, N, Work

Split = Literal["heads", "tokens"]


class Matrix(Protocol):
    """Weights of y = W x."""

    @property
    def grid(self) -> Grid:
        """The memory that they are in, in the formats that they are multiplied in."""

    @property
    def rows(self) -> int:
        """Rows that the matrix reserves in every bank."""

    @property
    def partial_sums(self) -> int:
        """Partial sums of one output that come back: the ASIC adds them up (1: there is nothing to add)."""

    @property
    def takes_addend(self) -> bool:
        """Whether the banks add the bias; else the ASIC does."""

    @property
    def sums(self) -> Cuts:
        """How a product is added up."""

    @property
    def functions(self) -> Collection[str]:
        """Operators that the banks run themselves on the outputs, by name (`Operator.op`)."""

    def locate(self, output: N, element: N) -> Place[N]:
        """The address of W[output, element], for two numbers, or for arrays of them."""

    def multiply(self, addend: bool = False, function: str = "") -> Work:
        """y = W x, or one of `functions` of it; addend: there is a bias to add to the first partial sums."""

    def wires(self, addend: bool = False) -> Wires:
        """What `multiply` moves: of x, and the bias if the banks add it; results in order of (partial sum, output)."""

    def read(self, output: int) -> Work:
        """W[output, :] over the pins."""

    def read_wires(self, output: int) -> Wires:
        """What `read` moves."""


class Keys(Protocol):
    """K of one sequence and layer."""

    @property
    def grid(self) -> Grid:
        """The memory that it is in."""

    @property
    def rows(self) -> int:
        """Rows that the keys reserve in every bank."""

    @property
    def partial_sums(self) -> int:
        """Partial sums of one score that come back."""

    @property
    def sums(self) -> Cuts:
        """How a score is added up, over the elements of a head."""

    def locate(self, token: int, head: int, element: int) -> Place[int]:
        """The address of K[token, head, element]; heads are counted among the K heads."""

    def append(self, token: int) -> Work:
        """Write one token's keys."""

    def append_wires(self, token: int) -> Wires:
        """What `append` moves: of the keys in order of (head, element)."""

    def appended_like(self, tokens: Ints) -> tuple[Ints, Ints]:
        """For each token one whose keys are written by the same program, and how many linear columns before."""

    def score_groups(self, groups: int) -> Work:
        """The program of q K^T, which is the same for all contexts of as many groups of one token per bank."""

    def score_wires(self, context: int) -> Wires:
        """What q K^T over the first `context` tokens moves: q (head, element); results (head, partial sum, token)."""

    def score_moves(self, context: N) -> Moved[N]:
        """What q K^T over the first `context` tokens moves; for one number, or for an array of them."""


class Values(Protocol):
    """V of one sequence and layer."""

    @property
    def grid(self) -> Grid:
        """The memory that it is in."""

    @property
    def split(self) -> Split:
        """What its channels have: some heads of all tokens, or all heads of some tokens."""

    @property
    def rows(self) -> int:
        """Rows that the values reserve in every bank."""

    def partial_sums(self, context: N) -> N:
        """Partial sums of one result over `context` tokens that come back."""

    def sums(self, context: int) -> Cuts:
        """How a result is added up, over the tokens attended to."""

    def locate(self, token: int, head: int, element: int) -> Place[int]:
        """The address of V[token, head, element]; heads are counted among the V heads."""

    def append(self, token: int) -> Work:
        """Write one token's values; the program is the same for all tokens of a column."""

    def append_wires(self, token: int) -> Wires:
        """What `append` moves: of the values in order of (head, element)."""

    def appended_like(self, tokens: Ints) -> tuple[Ints, Ints]:
        """For each token one whose values are written by the same program, and how many linear columns before."""

    def weigh_columns(self, columns: int) -> Work:
        """The program of p V, which is the same for all contexts of as many columns."""

    def weigh_wires(self, context: int) -> Wires:
        """What p V over the first `context` tokens moves: of p (head, token); results (partial sum, head, element).

        Partial sums stand as the ASIC adds them up, one after another (`sums`).
        """

    def weigh_moves(self, context: N) -> Moved[N]:
        """What p V over the first `context` tokens moves; for one number, or for an array of them."""


class Parts(Protocol):
    """K or V that some heads can be multiplied with by themselves, without repeating work (see `mapping.heads`).

    Of a layout that does not say so all heads go together.
    """

    @property
    def query_heads(self) -> tuple[int, ...]:
        """The query heads that are multiplied with."""

    @property
    def parts(self) -> Sequence[Any]:
        """Layouts as this, each for some of the query heads; together they do what this one does.

        A part's wires count operands and results as the whole's do.
        """


class Products(Protocol):
    """Room in the banks for products element by element."""

    @property
    def rows(self) -> int:
        """Rows that are reserved in every bank."""

    def scale_columns(self, vectors: int, columns: int) -> Work:
        """The program of a scale, which is the same for all vectors of as many columns."""

    def scale_wires(self, vectors: int, elements: int) -> Wires:
        """What it moves: of the vectors one after another, then the numbers; the products in the vectors' order."""

    def scale_moves(self, vectors: int, elements: N) -> Moved[N]:
        """What it moves to multiply `vectors` vectors of `elements`, each by a number of its own."""


class Layouts(Protocol):
    """Makes the layouts of a device as it is configured."""

    def matrix(self, grid: Grid, inputs: int, outputs: int) -> Matrix:
        """Weights: `outputs` rows of `inputs` elements."""

    def keys(self, grid: Grid, heads: int, kv_heads: int, head_dim: int, tokens: int) -> Keys:
        """K with room for `tokens`."""

    def values(
        self, grid: Grid, heads: int, kv_heads: int, head_dim: int, tokens: int, split: Split = "heads"
    ) -> Values:
        """V with room for `tokens`; split: how it is dealt to the channels."""

    def products(self, grid: Grid, elements: int) -> Products | None:
        """Room for `elements`, by which a softmax is scaled in the banks; None: the ASIC does that."""
