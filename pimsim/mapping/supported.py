"""What the hardware cannot run: said before anything is simulated, with where it stands."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pimsim.asic.units import KINDS, KINDS_OF_WAYS
from pimsim.errors import InputError, Problem
from pimsim.formats import FORMATS
from pimsim.registry import Registry
from pimsim.workload.attributes import KEEPS_STATE, STORED_OPS
from pimsim.workload.formats import BITS, pair
from pimsim.workload.graph import Workload
from pimsim.workload.ops import OPS, Operator

_COMPUTED = (*KINDS.shipped, *KINDS_OF_WAYS)
# ASIC arithmetic of each op: the kind of `asic.units`, and whether it can work on results as they arrive.
ARITHMETIC: Registry[tuple[str, bool]] = Registry(
    "operator",
    {
        name: (op.unit or name, not op.whole)
        for name, op in sorted(OPS.shipped.items(), key=lambda item: not item[1].whole)
        if (op.unit or name) in _COMPUTED
    },
)
_MAPPED = ("linear", "attention", "embedding", *KEEPS_STATE)


def check_supported(workload: Workload, pairs: Collection[str], scales: str = "unit") -> None:
    """InputError with every operator that the hardware has no way to run, at its place in the trace.

    pairs: of formats that its MAC units multiply, by name (`pimsim.formats`); scales: who applies those of groups.
    """
    problems = [
        Problem(workload.source, operator.line, 1 if operator.line else 0, _key(workload, operator), what)
        for operator in workload.operators
        for what in (*_complaints(operator), *_wrong_formats(operator, pairs, scales), *_wrong_ties(workload, operator))
    ]
    if problems:
        raise InputError(problems)


def _key(workload: Workload, operator: Operator) -> str:
    """The operator in a trace; a built-in model is the fault of the configuration."""
    return operator.name if workload.source else "workload"


def _complaints(operator: Operator) -> Iterator[str]:
    if operator.op not in _MAPPED and operator.op not in ARITHMETIC:
        runs = ", ".join((*ARITHMETIC, *_MAPPED))
        yield f"the hardware has no way to run {operator.op!r} ({operator.name}); it runs {runs}"
    if operator.op == "embedding" and operator.scope == "block":
        yield f"an embedding inside the blocks ({operator.name}): only one before them is placed"
    if operator.op == "attention" and operator.per != "token":
        yield f"an attention once a sequence ({operator.name}): every token's K and V are kept"
    if operator.keeps_state:
        yield from _wrong_state(operator)


def _wrong_formats(operator: Operator, pairs: Collection[str], scales: str) -> Iterator[str]:
    """A pair of formats that the MAC units do not multiply, with those that they do."""
    if operator.op in STORED_OPS and not operator.stored and operator.bits not in BITS:
        yield f"weights of {operator.bits} bits ({operator.name}): no format here has them; {', '.join(FORMATS)}"
    elif operator.op in ("linear", "attention") and pair(operator).name not in pairs:
        what = "weights" if operator.op == "linear" else "K and V"
        yield (
            f"{what} of {pair(operator).stored.name} times {pair(operator).given.name} ({operator.name}): "
            f"the MAC units multiply {', '.join(pairs)}"
        )
    elif operator.op == "linear" and operator.zero_bits and operator.group and scales == "asic":
        yield f"zero points of groups ({operator.name}): the MAC units take them off; the ASIC (pim.scales) cannot"


def _wrong_state(operator: Operator) -> Iterator[str]:
    if operator.per != "token":
        yield f"a state that is updated once a sequence ({operator.name}): every token updates it"
    if operator.inputs % operator.outputs:
        yield (
            f"a state of {operator.inputs} elements for {operator.outputs} channels ({operator.name}): "
            "each channel has as many"
        )


def _wrong_ties(workload: Workload, operator: Operator) -> Iterator[str]:
    """Weights that are another operator's can be the first table of an embedding, or those of its like."""
    owner = next((o for o in workload.operators if o.name == operator.tied), None)
    if owner is None or (owner.op, owner.inputs, owner.outputs) == (operator.op, operator.inputs, operator.outputs):
        return
    if owner.op != "embedding" or (owner.tables[0], owner.outputs) != (operator.outputs, operator.inputs):
        yield (
            f"its matrix of {operator.inputs} x {operator.outputs} is not the first table of {owner.name!r} "
            f"({operator.name}): only a table of an embedding is shared"
        )
