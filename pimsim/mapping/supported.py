"""What the hardware cannot run: said before anything is simulated, with where it stands."""

from __future__ import annotations

from collections.abc import Iterator

from pimsim.asic.units import KINDS, KINDS_OF_WAYS
from pimsim.config.schema import Config
from pimsim.errors import InputError, Problem
from pimsim.formats import FORMATS
from pimsim.registry import Registry
from pimsim.workload.attributes import KEEPS_STATE, STORED_OPS
from pimsim.workload.formats import BITS, pair
from pimsim.workload.graph import Workload
from pimsim.workload.ops import OPS, SENT, Operator

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
_MAPPED = ("linear", "attention", "embedding", *KEEPS_STATE, *SENT)


def check_supported(workload: Workload, config: Config) -> None:
    """InputError with every operator that the hardware of a configuration has no way to run, at its place in the trace,
    or at the key that asked for it.
    """
    pairs, scales = config.pim.pairs, config.pim.scales
    problems = [
        Problem(workload.source, operator.line, 1 if operator.line else 0, _key(workload, operator), what)
        for operator in workload.operators
        for what in (*_complaints(operator), *_wrong_scales(operator, scales), *_wrong_ties(workload, operator))
    ]
    for (said, key), operators in _wrong_pairs(workload, config).items():
        of = operators if workload.source else operators[:1]
        names = "" if workload.source else ", ".join(o.name for o in operators)
        problems += [
            Problem(workload.source, o.line, 1 if o.line else 0, o.name if workload.source else key,
                    f"{said} ({names or o.name}): the MAC units multiply {', '.join(pairs)}")
            for o in of
        ]  # fmt: skip
    if problems:
        raise InputError(problems)


def _wrong_pairs(workload: Workload, config: Config) -> dict[tuple[str, str], list[Operator]]:
    """The operators of each pair of formats that the MAC units do not multiply: what it is, and the key that asked."""
    found: dict[tuple[str, str], list[Operator]] = {}
    for operator in workload.operators:
        if operator.op not in ("linear", "attention") or (operator.bits not in BITS and not operator.stored):
            continue
        asked = pair(operator)
        if asked.name not in config.pim.pairs:
            what, own = ("weights", "weight_format") if operator.op == "linear" else ("K and V", "kv_format")
            keys = [key for key in (own, "activation_format") if getattr(config.workload, key) is not None]
            said = f"{what} of {asked.stored.name} times {asked.given.name}"
            found.setdefault((said, f"workload.{keys[0]}" if keys else "workload"), []).append(operator)
    return found


def _key(workload: Workload, operator: Operator) -> str:
    """The operator in a trace; a built-in model is the fault of the configuration."""
    return operator.name if workload.source else "workload"


def _complaints(operator: Operator) -> Iterator[str]:
    if operator.op not in _MAPPED and operator.op not in ARITHMETIC:
        runs = ", ".join(op for op in (*ARITHMETIC, *_MAPPED) if op not in SENT)
        yield f"the hardware has no way to run {operator.op!r} ({operator.name}); it runs {runs}"
    if operator.op == "embedding" and operator.scope == "block":
        yield f"an embedding inside the blocks ({operator.name}): only one before them is placed"
    if operator.op == "attention" and operator.per != "token":
        yield f"an attention once a sequence ({operator.name}): every token's K and V are kept"
    if operator.keeps_state:
        yield from _wrong_state(operator)


def _wrong_scales(operator: Operator, scales: str) -> Iterator[str]:
    """Weights of a size that no format has, and zero points that nobody takes off; scales: who applies them."""
    if operator.op in STORED_OPS and not operator.stored and operator.bits not in BITS:
        yield f"weights of {operator.bits} bits ({operator.name}): no format here has them; {', '.join(FORMATS)}"
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
