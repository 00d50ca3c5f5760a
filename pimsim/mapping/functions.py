"""Activation functions that the banks run themselves, behind the product whose outputs they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pimsim.mapping.layouts import Matrix
from pimsim.workload.graph import Workload
from pimsim.workload.ops import IN_ORDER, Operator


def functions_in_banks(workload: Workload, matrices: Mapping[str, Matrix], biases: bool) -> dict[str, str]:
    """The operator, by name of the linear behind which it runs, for all that the banks can take over.

    biases: they are simulated.  The linear has to be complete in the banks, and nobody else may read it.
    """
    found = {}
    for operator, linear in _behind_linears(workload):
        matrix = matrices[linear.name]
        whole = matrix.partial_sums == 1 and (matrix.takes_addend or not (biases and linear.bias))
        if operator.op in matrix.functions and whole and linear.role != "lm_head":
            found[linear.name] = operator.op
    return found


def carried(workload: Workload, functions: Mapping[str, str]) -> dict[str, str]:
    """The linear behind whose product the banks run an operator, by name; as `functions_in_banks` gave."""
    behind = _behind_linears(workload)
    return {operator.name: linear.name for operator, linear in behind if functions.get(linear.name) == operator.op}


def _behind_linears(workload: Workload) -> Iterator[tuple[Operator, Operator]]:
    """Each operator that takes the whole result of a linear and nothing else, and alone does so, with the linear."""
    for scope in IN_ORDER:
        operators = workload.select(scope)
        by_name = {operator.name: operator for operator in operators}
        for operator in operators:
            linear = by_name.get(operator.deps[0]) if len(operator.deps) == 1 else None
            if linear is None or linear.op != "linear" or operator.take:
                continue
            readers = [other for other in operators if linear.name in other.deps]
            same = (linear.outputs, linear.rows, linear.active, linear.per)
            if len(readers) == 1 and (operator.outputs, operator.rows, operator.active, operator.per) == same:
                yield operator, linear
