"""Arrays inside of compiled code, most of int64: a pointer and the extents, nothing else.

numba carries an array as seven numbers and makes some thirty instructions of an access.
The kernel needs little of that: `a[i]`, `a[i, j]`, a row `a[i]` and `len(a)` of a view are the few
instructions that one would expect.  `arguments` makes views of what a frame has.  `view` and
`constant` say of one (or of a tuple of them; or of None) if it is written to: a `constant` must
not be while a call runs, which lets LLVM keep what it has read from it.  Indices are not checked,
and do not count from the end.

`parts_of` a record (`records`) gives its parts by their names.  A part is found by the header,
so that a function is given one pointer; as a named tuple of views, with a pointer and extents
for each part in every call, the stepped engine took twice as long.

All this is numba's extension API, but for the class that types an attribute: the public
`overload_attribute` compiles a function for each.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import count
from typing import Any

from llvmlite import ir
from numba import TypingError, types
from numba.core import cgutils
from numba.core.typing import signature
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    infer_getattr,
    intrinsic,
    lower_builtin,
    lower_getattr_generic,
    models,
    register_model,
    type_callable,
)  # fmt: skip
from numba.np.numpy_support import from_dtype

from pimsim.dram.code import frame
from pimsim.dram.records import Record


class View(types.Type):
    """The type of a view of `ndim` dimensions of numbers of type `of`; `constant`: nothing writes to it."""

    def __init__(self, ndim: int, constant: bool, of: Any = types.int64) -> None:
        self.ndim, self.constant, self.of = ndim, constant, of
        super().__init__(f"{'Constant' if constant else 'View'}{ndim}{'' if of == types.int64 else of}")

    def with_ndim(self, ndim: int) -> View:
        """The type of a part of such a view, or of all of it in another shape."""
        return View(ndim, self.constant, self.of)

    def item(self, index: Any) -> Any:
        """The type of what is at an index; None if there can be nothing."""
        indices = index.types if isinstance(index, types.BaseTuple) else (index,)
        if len(indices) > self.ndim or not all(isinstance(i, types.Integer) for i in indices):
            return None
        return self.of if len(indices) == self.ndim else self.with_ndim(self.ndim - len(indices))


@register_model(View)
class _Model(models.StructModel):
    def __init__(self, manager: Any, kind: View) -> None:
        extents = [(f"n{i}", types.int64) for i in range(kind.ndim)]
        super().__init__(manager, kind, [("data", types.CPointer(kind.of)), *extents])


def _wide(index: Any) -> Any:
    """The type of an index as int64."""
    return types.UniTuple(types.int64, len(index)) if isinstance(index, types.BaseTuple) else types.int64


@type_callable(operator.getitem)
def _type_get(context: Any) -> Callable[..., Any]:
    def typer(view: Any, index: Any) -> Any:
        item = view.item(index) if isinstance(view, View) else None
        return None if item is None else signature(item, view, _wide(index))

    return typer


@type_callable(operator.setitem)
def _type_set(context: Any) -> Callable[..., Any]:
    def typer(view: Any, index: Any, value: Any) -> Any:
        if isinstance(view, View) and not view.constant and view.item(index) == view.of:
            return signature(types.none, view, _wide(index), view.of)
        return None

    return typer


@type_callable(len)
def _type_len(context: Any) -> Callable[..., Any]:
    return lambda view: types.intp if isinstance(view, View) else None


@lower_builtin(operator.getitem, View, types.Any)
def _get(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    kind = sig.args[0]
    place, extents = _find(builder, kind, *args)
    if extents:
        return _make(context, builder, sig.return_type, place, extents)
    return _invariant(builder, place) if kind.constant else builder.load(place)


@lower_builtin(operator.setitem, View, types.Any, types.Any)
def _set(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    view, index, value = args
    place, _ = _find(builder, sig.args[0], view, index)
    builder.store(value, place)
    return context.get_dummy_value()


@lower_builtin(len, View)
def _len(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return builder.extract_value(args[0], 1)


def _find(builder: Any, kind: View, view: Any, index: Any) -> tuple[Any, list[Any]]:
    """Where an item or a row of a view starts, and the extents of the row."""
    indices = cgutils.unpack_tuple(builder, index) if isinstance(index.type, ir.ArrayType) else [index]
    extents = [builder.extract_value(view, 1 + i) for i in range(kind.ndim)]
    at = indices[0]
    for i in range(1, kind.ndim):
        at = builder.mul(at, extents[i])
        if i < len(indices):
            at = builder.add(at, indices[i])
    return builder.gep(builder.extract_value(view, 0), [at], inbounds=True), extents[len(indices) :]


def _make(context: Any, builder: Any, kind: View, data: Any, extents: Sequence[Any]) -> Any:
    view = cgutils.create_struct_proxy(kind)(context, builder)
    view.data = data
    for i, extent in enumerate(extents):
        setattr(view, f"n{i}", extent)
    return view._getvalue()


def arguments(kinds: str) -> Any:
    """What gives the arguments of these kinds (`frame`) that lie at an address: a tuple."""
    form = _types_of(iter(kinds))

    def read(context: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            start = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
            words = (builder.gep(start, [_number(k)], inbounds=True) for k in count())
            return _from_frame(context, builder, form, words)

        return signature(form, types.int64), codegen

    return intrinsic(read)


def _types_of(kinds: Iterator[str]) -> Any:
    """The type of what there is up to the end, or to the parenthesis that ends it."""
    found: list[Any] = []
    for kind in kinds:
        match kind:
            case ")":
                break
            case "(":
                found.append(_types_of(kinds))
            case frame.NUMBER:
                found.append(types.int64)
            case frame.NOTHING:
                found.append(types.none)
            case kind if kind in frame.LETTERS:
                found.append(View(int(next(kinds)), constant=False, of=from_dtype(frame.LETTERS[kind])))
            case _:
                found.append(View(int(kind), constant=False))
    return types.Tuple(found)


def _from_frame(context: Any, builder: Any, kind: Any, words: Iterator[Any]) -> Any:
    """A value of a type, from the words of a frame that come next."""
    if isinstance(kind, types.BaseTuple):
        return context.make_tuple(builder, kind, [_from_frame(context, builder, item, words) for item in kind])
    if isinstance(kind, types.NoneType):
        return context.get_dummy_value()
    if not isinstance(kind, View):
        return builder.load(next(words))
    data = builder.inttoptr(builder.load(next(words)), context.get_data_type(kind.of).as_pointer())
    return _make(context, builder, kind, data, [builder.load(next(words)) for _ in range(kind.ndim)])


def _as(kind: Any, constant: bool) -> Any:
    """The type of the same views, to write to or constant."""
    if isinstance(kind, types.BaseTuple):
        return types.Tuple([_as(item, constant) for item in kind])
    if isinstance(kind, types.NoneType):
        return kind
    if not isinstance(kind, View):
        raise TypingError(f"a view is of an array, not of {kind}")
    return View(kind.ndim, constant, kind.of)


def _converter(constant: bool) -> Any:
    def convert(context: Any, given: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return args[0]  # both have the same parts

        return signature(_as(given, constant), given), codegen

    return intrinsic(convert)


view, constant = _converter(constant=False), _converter(constant=True)


@intrinsic
def carve(context: Any, array: Any, first: Any, shapes: Any) -> Any:
    """Views of what lies one behind the other in a view of one dimension, from `first` on, by their shapes."""
    if not isinstance(array, View) or array.ndim != 1 or not isinstance(shapes, types.BaseTuple):
        raise TypingError(f"parts of shapes are of a view of one dimension, not {shapes} of {array}")
    parts = types.Tuple([array.with_ndim(len(shape)) for shape in shapes])

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data, made = builder.gep(builder.extract_value(args[0], 0), [args[1]], inbounds=True), []
        for part, shape, value in zip(parts, shapes, cgutils.unpack_tuple(builder, args[2]), strict=True):
            items = zip(shape, cgutils.unpack_tuple(builder, value), strict=True)
            extents = [context.cast(builder, extent, number, types.int64) for number, extent in items]
            made.append(_make(context, builder, part, data, extents))
            data = builder.gep(data, [reduce(builder.mul, extents)], inbounds=True)
        return context.make_tuple(builder, sig.return_type, made)

    return signature(parts, array, types.int64, shapes), codegen


@intrinsic
def flat(context: Any, array: Any) -> Any:
    """A view of all that a view shows, one behind the other."""
    if not isinstance(array, View):
        raise TypingError(f"{array} is no view")

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data, *extents = cgutils.unpack_tuple(builder, args[0])
        return _make(context, builder, sig.return_type, data, [reduce(builder.mul, extents)])

    return signature(array.with_ndim(1), array), codegen


@intrinsic
def apart(context: Any) -> Any:
    """Said in a function that runs seldom: it stays by itself, and is not made part of what calls it."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return signature(types.none), codegen


class Parts(types.Type):
    """The type of the parts of a record: a pointer to it."""

    def __init__(self, record: type[Record], constant: bool) -> None:
        self.record, self.constant = record, constant
        super().__init__(f"{'Constant' if constant else ''}{record.__qualname__}")


@register_model(Parts)
class _PartsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Parts) -> None:
        super().__init__(manager, kind, ir.IntType(64).as_pointer())


def parts_of(record: type[Record]) -> Any:
    """What gives the parts of a record by their names.

    The header of a record must not change while a call runs.
    """

    def parts(context: Any, array: Any) -> Any:
        if not isinstance(array, View) or array.ndim != 1 or array.of != types.int64:
            raise TypingError(f"a record is a view of int64 of one dimension, not {array}")

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.extract_value(args[0], 0)

        return signature(Parts(record, array.constant), array), codegen

    return intrinsic(parts)


@infer_getattr
class _Names(AttributeTemplate):
    key = Parts

    def generic_resolve(self, kind: Parts, name: str) -> Any:
        """The type of a part."""
        shape = kind.record.parts().get(name)
        return None if shape is None else View(len(shape), kind.constant) if shape else types.int64


@lower_getattr_generic(Parts)
def _part(context: Any, builder: Any, kind: Parts, data: Any, name: str) -> Any:
    slot, shape = kind.record.slots()[name], kind.record.parts()[name]
    known = [kind.record.fixed().get(name), *(extent if isinstance(extent, int) else None for extent in shape)]
    start, *extents = [
        _invariant(builder, builder.gep(data, [_number(at)], inbounds=True)) if value is None else _number(value)
        for at, value in enumerate(known, slot)
    ]
    if not shape:
        return start
    return _make(context, builder, View(len(shape), kind.constant), builder.gep(data, [start], inbounds=True), extents)


def _number(value: int) -> Any:
    return ir.Constant(ir.IntType(64), value)


def _invariant(builder: Any, place: Any) -> Any:
    """Read what does not change while a call runs."""
    item = builder.load(place)
    item.set_metadata("invariant.load", builder.module.add_metadata([]))
    return item
