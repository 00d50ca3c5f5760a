"""Which points a sweep keeps: its constraints, evaluated on the values of the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pimsim.config.validate import class_of, flat_values, flatten, validate
from pimsim.errors import InputError, nearest
from pimsim.results.figures import known as figure_names
from pimsim.sweep.expressions import Expression, ExpressionError
from pimsim.sweep.keys import kind_of, known_keys, unknown
from pimsim.sweep.space import Base, Values

_COMPUTED = "workload.model_config."  # some of its defaults follow from other keys


def kind_of_operand(key: str, column: int) -> str | None:
    """What a key in a constraint holds; ExpressionError if it does not exist or is no single value."""
    message = unknown(key)
    if message is not None and _is_figure(key):
        message = f"{key} is of a result; constraints are over keys of the configuration, before anything is simulated"
        raise ExpressionError(column, message)
    if message is None and kind_of(key) is None:
        message = f"{key} is no single value"
    elif message is not None:
        message = f"{message.partition(';')[0]} {key}{''.join(message.partition(';')[1:])}"
    if message is not None:
        raise ExpressionError(column, message)
    return kind_of(key)


def _is_figure(key: str) -> bool:
    """Whether an unknown key is, or is nearest to, what only a result has."""
    figures = set(figure_names()) - set(known_keys())
    return key.startswith(("accuracy.", "baselines.", "proxy.")) or nearest(key, [*known_keys(), *figures]) in figures


class ConstraintError(ValueError):
    """A constraint that has no answer for a point."""


@dataclass(frozen=True)
class Filter:
    """The constraints of a sweep.

    defaults  the values by dotted key that hold where a point says nothing
    direct    whether a point's own values on top of `defaults` are all that counts
    """

    expressions: tuple[Expression, ...]
    base: Base
    defaults: Mapping[str, Any]
    direct: bool

    def keeps(self, point: Values) -> bool:
        """Whether a point satisfies every constraint; ConstraintError if that has no answer."""
        if not self.expressions:
            return True
        values = {**self.defaults, **point} if self.direct else _resolved(self.base.values(point))
        for expression in self.expressions:
            try:
                if not expression.holds(values):
                    return False
            except (ArithmeticError, TypeError) as error:
                raise ConstraintError(f"constraint '{expression.text}': {error}") from None
        return True


def make_filter(expressions: Sequence[Expression], base: Base, keys: Sequence[str], first: Values) -> Filter:
    """The filter for points that vary `keys`; `first` is one of them."""
    used = {key for expression in expressions for key in expression.keys}
    whole = any(name.startswith(f"{key}.") for name in used for key in keys)
    direct = not whole and not any(key.startswith(_COMPUTED) for key in used)
    return Filter(tuple(expressions), base, _flat(base.values(first)), direct)


def _resolved(values: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return flatten(validate(values, {}))
    except InputError:
        return _flat(values)


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    return dict(flat_values(values, class_of(values)))
