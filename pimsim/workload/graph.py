"""The operator graph of one decode step as a whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

from pimsim.workload.ops import INPUT, NOTES, SAID_LATER, Affine, Operator
from pimsim.workload.shapes import ModelShape


@dataclass(frozen=True)
class Workload:
    """One decode step: `operators` in order; those of scope "block" run `blocks` times.

    blocks: copies of the block (None: `shape.layers`; a block may span several layers).
    overhead_aten, overhead_kernels: what a recorder counted in a step outside of any
    operator (masks, positions); None if it was not recorded.
    routing: how often each expert is chosen, relative to the others (empty: equally often).
    source: the file that the graph was read from ("" for a built-in model).
    Greedy choice of the next token is not an operator; whoever executes the LM
    head adds it.

    Raises ValueError if two operators have one name, or one depends on what is not before it.
    """

    shape: ModelShape
    operators: tuple[Operator, ...]
    blocks: int = 0
    overhead_aten: int | None = None
    overhead_kernels: int | None = None
    routing: tuple[float, ...] = ()
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.blocks:
            object.__setattr__(self, "blocks", self.shape.layers)
        if self.blocks < 1:
            raise ValueError(f"a graph of {self.blocks} blocks")
        seen: dict[str, str] = {}
        for operator in self.operators:
            for dep in operator.deps:
                if dep != INPUT and seen.get(dep) != operator.scope:
                    raise ValueError(
                        f"operator {operator.name!r} depends on {dep!r}, which is not before it in its scope"
                    )
            if operator.name in seen or operator.name == INPUT:
                raise ValueError(f"two operators are named {operator.name!r}")
            seen[operator.name] = operator.scope
        self._check_routing()

    def _check_routing(self) -> None:
        for operator in self.operators:
            if self.routing and operator.experts not in (1, len(self.routing)):
                raise ValueError(
                    f"operator {operator.name!r}: {operator.experts} experts, routing of {len(self.routing)}"
                )
            if self.routing and sum(weight > 0 for weight in self.routing) < operator.active:
                raise ValueError(f"operator {operator.name!r}: fewer experts than {operator.active} are ever chosen")
        if any(weight < 0 for weight in self.routing):
            raise ValueError("the routing has a weight below 0")

    def __hash__(self) -> int:
        """That of what `sha256` hashes, which is made once."""
        return hash(self._sha256)

    def blocks_only(self) -> Workload:
        """The same step without what comes before and after the blocks."""
        return replace(self, operators=self.select("block"))

    @property
    def lm_head(self) -> bool:
        """True if the step goes from token to logits, False for decoder blocks only."""
        return any(operator.role == "lm_head" for operator in self.operators)

    def repeats(self, operator: Operator) -> int:
        """How often `operator` runs in one step."""
        return self.blocks if operator.scope == "block" else 1

    def select(self, scope: str) -> tuple[Operator, ...]:
        """The operators of one scope, in order."""
        return tuple(operator for operator in self.operators if operator.scope == scope)

    @property
    def parameters(self) -> int:
        """Parameters of every operator, biases and normalisation included, a tied matrix once."""
        return sum(o.parameters() * self.repeats(o) for o in self.operators)

    @property
    def matrix_parameters(self) -> int:
        """Weights that one step multiplies with (12 L d^2 for GPT blocks, + V d with the LM head)."""
        return sum(o.matrix * self.repeats(o) for o in self.operators)

    def operations(self) -> Affine:
        """Arithmetic operations of one step of one sequence, as a function of the context."""
        return sum((o.operations() * self.repeats(o) for o in self.operators), Affine(0))

    def macs(self) -> Affine:
        """Multiply-accumulates of matrix products in one step of one sequence."""
        return sum((o.macs() * self.repeats(o) for o in self.operators), Affine(0))

    def elements(self, batch: int = 1, biases: bool = False) -> Affine:
        """Elements across the bus in one step if memory only stored (see `Operator.elements`)."""
        return sum((o.elements(batch, biases) * self.repeats(o) for o in self.operators), Affine(0))

    def flops(self, context: int) -> int:
        """`operations` at one context."""
        return self.operations().at(context)

    def matrix_macs(self, context: int) -> int:
        """`macs` at one context."""
        return self.macs().at(context)

    def bytes(self, context: int, element_bytes: int = 2, batch: int = 1, biases: bool = False) -> int:
        """Bytes across the bus in one step if memory only stored: weights, K and V read, K and V written."""
        return self.elements(batch, biases).at(context) * element_bytes

    def total_flops(self, first: int, last: int) -> int:
        """Operations of one sequence over contexts first..last (a prompt P prefilled token by token: 1, P)."""
        return self.operations().total(first, last)

    def total_macs(self, first: int, last: int) -> int:
        """Multiply-accumulates of one sequence over contexts first..last."""
        return self.macs().total(first, last)

    def total_bytes(self, first: int, last: int, element_bytes: int = 2, batch: int = 1, biases: bool = False) -> int:
        """Bytes over contexts first..last when every token reads the weights again."""
        return self.elements(batch, biases).total(first, last) * element_bytes

    def operations_per_parameter(self, contexts: Iterable[int]) -> float:
        """Mean operations of a step over `contexts`, per matrix parameter; ValueError if there are none."""
        known = list(contexts)
        if not known:
            raise ValueError("operations_per_parameter needs at least one context")
        operations = self.operations()
        return sum(operations.at(context) for context in known) / (len(known) * self.matrix_parameters)

    def sha256(self) -> str:
        """Hash of the canonical JSON of the graph: blocks, operators and routing, not the model's name or `NOTES`."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        operators = [asdict(operator) for operator in self.operators]
        for operator in operators:
            for name in (*NOTES, *(name for name, default in SAID_LATER.items() if operator[name] == default)):
                del operator[name]
        graph = {"blocks": self.blocks, "operators": operators, "routing": self.routing}
        text = json.dumps(graph, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()
