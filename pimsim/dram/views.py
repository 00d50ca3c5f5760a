"""Arrays of int64 inside of compiled code: a pointer and the extents, nothing else.

numba carries an array as seven numbers and makes some thirty instructions of an access.
The kernel needs little of that: `view` and `table` take an array (or a tuple of arrays; or
None) apart once, where Python calls, and `a[i]`, `a[i, j]`, a row `a[i]` and `len(a)` of
the result are the few instructions that one would expect.  A `table` must not be written
to while a call runs, which lets LLVM keep what it has read from it.  Indices are not
checked, and do not count from the end.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.core.typing import signature
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable


class View(types.Type):
    """The type of a view of `ndim` dimensions; `constant`: a table."""

    def __init__(self, ndim: int, constant: bool) -> None:
        self.ndim, self.constant = ndim, constant
        super().__init__(f"{'Table' if constant else 'View'}{ndim}")

    def item(self, index: Any) -> Any:
        """The type of what is at an index; None if there can be nothing."""
        indices = index.types if isinstance(index, types.BaseTuple) else (index,)
        if len(indices) > self.ndim or not all(isinstance(i, types.Integer) for i in indices):
            return None
        return types.int64 if len(indices) == self.ndim else View(self.ndim - len(indices), self.constant)


@register_model(View)
class _Model(models.StructModel):
    def __init__(self, manager: Any, kind: View) -> None:
        extents = [(f"n{i}", types.int64) for i in range(kind.ndim)]
        super().__init__(manager, kind, [("data", types.CPointer(types.int64)), *extents])


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
        if isinstance(view, View) and not view.constant and view.item(index) == types.int64:
            return signature(types.none, view, _wide(index), types.int64)
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
    item = builder.load(place)
    if kind.constant:
        item.set_metadata("invariant.load", builder.module.add_metadata([]))
    return item


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


def _view_type(kind: Any, constant: bool) -> Any:
    """The type of the view of an array, of a tuple of views, or of none."""
    if isinstance(kind, types.BaseTuple):
        return types.Tuple([_view_type(item, constant) for item in kind])
    if isinstance(kind, types.NoneType):
        return kind
    if not isinstance(kind, types.Array) or kind.dtype != types.int64 or kind.layout != "C":
        raise TypingError(f"a view is of an array of int64 without gaps, not of {kind}")
    return View(kind.ndim, constant)


def _convert(context: Any, builder: Any, source: Any, target: Any, value: Any) -> Any:
    if isinstance(source, types.BaseTuple):
        items = zip(source, target, cgutils.unpack_tuple(builder, value), strict=True)
        return context.make_tuple(builder, target, [_convert(context, builder, *item) for item in items])
    if isinstance(source, types.NoneType):
        return value
    array = context.make_array(source)(context, builder, value)
    return _make(context, builder, target, array.data, cgutils.unpack_tuple(builder, array.shape))


def _converter(constant: bool) -> Any:
    def convert(context: Any, array: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return _convert(context, builder, sig.args[0], sig.return_type, args[0])

        return signature(_view_type(array, constant), array), codegen

    return intrinsic(convert)


view, table = _converter(constant=False), _converter(constant=True)
