"""Numbers of float32 and BF16 inside of compiled code, one by one and eight at a time.

An `Octet` is eight float32 numbers, whose sums and products are as many instructions as the processor needs.
Nothing is fused or reordered: what is written is what is rounded.  A BF16 number is the upper half of a float32,
so that its word becomes a number by a shift.

    octet(row)      the eight numbers that a view of float32 starts with
    unpacked(row)   the same of a view of words (uint16)
    put(row, x)     write them
    spread(x)       a number, eight times
    rounded(x)      the nearest BF16 numbers, ties to even, as float32; NaN stays NaN
    word(x)         the upper half of a float32, an integer
    number(word)    the float32 with this upper half, whose lower half is 0
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import TypingError, types
from numba.core.typing import signature
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

from pimsim.dram.code.views import View

WIDTH = 8  # two vectors of the smallest processor, one of most, half of one of the largest
_INT32, _FLOAT = ir.IntType(32), ir.FloatType()
_FLOATS, _WORDS, _BITS = (ir.VectorType(item, WIDTH) for item in (_FLOAT, ir.IntType(16), _INT32))


class Octet(types.Type):
    """The type of eight float32 numbers."""

    def __init__(self) -> None:
        super().__init__("Octet")


OCTET = Octet()


@register_model(Octet)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Octet) -> None:
        super().__init__(manager, kind, _FLOATS)


def _pairwise(operation: Any, build: Callable[[Any, Any, Any], Any]) -> None:
    @type_callable(operation)
    def _type(context: Any) -> Callable[..., Any]:
        return lambda a, b: OCTET if a == b == OCTET else None

    @lower_builtin(operation, Octet, Octet)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return build(builder, *args)


_pairwise(operator.add, lambda builder, a, b: builder.fadd(a, b))
_pairwise(operator.mul, lambda builder, a, b: builder.fmul(a, b))


def _start(builder: Any, row: Any, kind: Any, bits: int) -> Any:
    """The address of eight items, which lie as they lie: at a multiple of one item's size."""
    return builder.bitcast(builder.extract_value(row, 0), kind.as_pointer())


def _row(given: Any, of: Any) -> None:
    if not isinstance(given, View) or given.ndim != 1 or given.of != of:
        raise TypingError(f"eight numbers are of a row of {of}, not of {given}")


@intrinsic
def octet(context: Any, row: Any) -> Any:
    """The eight numbers that a view of float32 starts with."""
    _row(row, types.float32)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(_start(builder, args[0], _FLOATS, 32), align=4)

    return OCTET(row), codegen


@intrinsic
def unpacked(context: Any, row: Any) -> Any:
    """The eight numbers that a view of words starts with."""
    _row(row, types.uint16)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        words = builder.load(_start(builder, args[0], _WORDS, 16), align=2)
        turns = [place + half for place in range(WIDTH) for half in (0, WIDTH)]  # a zero, a word, a zero ...
        zeros, mask = ir.Constant(_WORDS, [0] * WIDTH), ir.Constant(ir.VectorType(_INT32, 2 * WIDTH), turns)
        return builder.bitcast(builder.shuffle_vector(zeros, words, mask), _FLOATS)

    return OCTET(row), codegen


@intrinsic
def put(context: Any, row: Any, value: Any) -> Any:
    """Write eight numbers where a view of float32 starts."""
    _row(row, types.float32)
    if row.constant or value != OCTET:
        raise TypingError(f"eight numbers go into a view that is written to, not {value} into {row}")

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[1], _start(builder, args[0], _FLOATS, 32), align=4)
        return context.get_dummy_value()

    return types.none(row, value), codegen


@intrinsic
def spread(context: Any, value: Any) -> Any:
    """A float32 number, eight times."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        one = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), args[0], ir.Constant(_INT32, 0))
        return builder.shuffle_vector(one, one, ir.Constant(_BITS, [0] * WIDTH))

    return OCTET(types.float32), codegen


@intrinsic
def rounded(context: Any, value: Any) -> Any:
    """The nearest BF16 numbers, ties to even."""
    if value not in (OCTET, types.float32):
        raise TypingError(f"what is rounded to BF16 is float32, not {value}")
    floats, bits = (_FLOATS, _BITS) if value == OCTET else (_FLOAT, _INT32)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        def all_of(number: int) -> Any:
            return ir.Constant(bits, [number] * WIDTH if value == OCTET else number)

        given = builder.bitcast(args[0], bits)
        odd = builder.and_(builder.lshr(given, all_of(16)), all_of(1))
        nearest = builder.and_(builder.add(builder.add(given, all_of(0x7FFF)), odd), all_of(0xFFFF0000))
        quiet = builder.or_(builder.and_(given, all_of(0x80000000)), all_of(0x7FC00000))
        missing = builder.fcmp_unordered("uno", args[0], args[0])
        return builder.bitcast(builder.select(missing, quiet, nearest), floats)

    return value(value), codegen


@intrinsic
def word(context: Any, value: Any) -> Any:
    """The upper half of a float32, an integer."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        upper = builder.lshr(builder.bitcast(args[0], _INT32), ir.Constant(_INT32, 16))
        return builder.zext(upper, ir.IntType(64))

    return signature(types.int64, types.float32), codegen


@intrinsic
def number(context: Any, value: Any) -> Any:
    """The float32 with this upper half."""
    if not isinstance(value, types.Integer):
        raise TypingError(f"a word is an integer, not {value}")

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        wide = context.cast(builder, args[0], value, types.uint64)
        bits = builder.shl(builder.trunc(wide, _INT32), ir.Constant(_INT32, 16))
        return builder.bitcast(bits, _FLOAT)

    return signature(types.float32, value), codegen
