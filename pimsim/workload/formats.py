"""In which number formats a graph is carried out, by its trace, by the configuration, by the memory.

Each linear and each attention gets the format of what is stored (weights; K and V) and of what it is multiplied with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from pimsim.config.schema import Config
from pimsim.errors import Problem
from pimsim.formats import CACHED, FORMATS, NATIVE, NATIVE_BITS, NATIVE_PAIR, PAIRS, Pair, pair_of
from pimsim.workload.attributes import Weight
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator

# The bits of a scale where a trace says nothing: a 16-bit float for a group (as GPTQ and AWQ have it).
SCALE_BITS = 16
_RECORDED_AS = {"fp8": "fp8_e4m3"}  # data types of traces that have another name here
_OF_BITS = {made.bits: made.name for made in FORMATS.values() if made.kind == "int"}


def recorded(data_type: str) -> str:
    """The format of a trace's data type; "" for one of 16 bits, in the place of which the memory's own is taken."""
    name = _RECORDED_AS.get(data_type, data_type)
    return name if name in FORMATS and FORMATS[name].bits != NATIVE_BITS else ""


def recorded_weights(data_type: str, bits: int) -> str:
    """The format of weights of so many bits in a trace whose weights have a data type."""
    name = recorded(data_type)
    return name if name and FORMATS[name].bits == bits else _OF_BITS.get(bits, "")


def in_formats(config: Config, workload: Workload) -> Workload:
    """The graph with the formats that it is carried out in; itself if they are what a graph has anyway."""
    operators = tuple(_in_formats(config, operator) for operator in workload.operators)
    return workload if operators == workload.operators else replace(workload, operators=operators)


def _in_formats(config: Config, operator: Operator) -> Operator:
    if operator.op not in ("linear", "attention"):
        return operator  # a table of an embedding is as it was recorded
    work, native = config.workload, config.pim.native
    given = work.activation_format or operator.given or native.given.name
    if operator.op == "attention":
        own = native.stored if native.stored.name in CACHED else native.given
        return replace(operator, **_named(work.kv_format or operator.stored or own.name, given))
    if operator.bits not in BITS and not work.weight_format:
        return operator  # no format has them: said where the hardware is asked
    stored = FORMATS[work.weight_format or _stored(operator) or native.stored.name]
    return replace(operator, **_named(stored.name, given), bits=stored.bits, **_groups(config, operator, stored.name))


BITS = {made.bits for made in FORMATS.values()}  # that some format has


def _named(stored: str, given: str) -> dict[str, Any]:
    """The fields of `Operator`, which are empty for what has always been."""
    return {"stored": "" if stored == NATIVE else stored, "given": "" if given == NATIVE else given}


def _groups(config: Config, operator: Operator, stored: str) -> dict[str, Any]:
    """How many weights share a scale, and of how many bits it is."""
    made, said = FORMATS[stored], config.workload.weight_group
    if made.bits == operator.bits == NATIVE_BITS:
        return {}
    recorded = operator if stored == _stored(operator) else _UNSAID  # another format has nothing of the trace's
    group = recorded.group or made.block if said is None else said
    if made.bits == NATIVE_BITS or not group:
        return {"group": 0, "scale_bits": 0, "zero_bits": 0}
    own = made.scale_bits if made.block else SCALE_BITS
    return {"group": group, "scale_bits": recorded.scale_bits or own, "zero_bits": recorded.zero_bits}


_UNSAID = Weight()


def pair(operator: Operator) -> Pair:
    """What an operator multiplies."""
    return pair_of(_stored(operator) or NATIVE, operator.given or NATIVE)


def _stored(operator: Operator) -> str:
    """The format of what an operator has stored: the one that it names, else the integer of as many bits."""
    return operator.stored or (_OF_BITS.get(operator.bits, "") if operator.op == "linear" else "")


def weight_bits(operator: Operator) -> Fraction:
    """Bits of one weight of a matrix, or of a table, with its share of the scale and zero point of its group.

    Groups lie along the sum of a product, and along the row of a table; the last one may be shorter.
    """
    along = operator.outputs if operator.op == "embedding" else operator.inputs // operator.blocks
    groups = -(-along // operator.group) if operator.group and operator.bits < NATIVE_BITS else 0
    return operator.bits + Fraction(groups * (operator.scale_bits + operator.zero_bits), along)


def cached_bits(operator: Operator) -> int:
    """Bits of one element of the K and V of an attention."""
    return FORMATS[operator.stored or NATIVE].bits


def main_pair(workload: Workload) -> Pair:
    """The pair of formats that most of a step's products of matrices are of."""
    macs: dict[str, int] = {}
    for operator in workload.operators:
        if operator.op == "linear":
            name = pair(operator).name
            macs[name] = macs.get(name, 0) + operator.matrix * operator.rows * workload.repeats(operator)
    return PAIRS[max(macs, key=lambda name: macs[name])] if macs else PAIRS[NATIVE_PAIR]


def format_warnings(config: Config, workload: Workload) -> Iterator[Problem]:
    """A size of groups that nothing has, and a native pair that is so by its place in the list alone."""
    work, pairs = config.workload, config.pim.pairs
    if work.weight_group and not any(o.group for o in workload.operators if o.op == "linear" and o.bits < NATIVE_BITS):
        what = f"{work.weight_group}: no weights here have fewer than 16 bits, so that it changes nothing"
        yield Problem("", 0, 0, "workload.weight_group", what)
    native, said = config.pim.native.name, (work.weight_format, work.kv_format, work.activation_format)
    if native != NATIVE_PAIR and NATIVE_PAIR in pairs and said == (None, None, None):
        what = f"{native} stands first, so that it is what runs where no format is said; {NATIVE_PAIR} is there as well"
        yield Problem("", 0, 0, "pim.formats", what)
