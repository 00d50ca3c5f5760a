"""What one axis may be: a list of values, or an interval to draw from.

    [4, 8, 16]                            these values
    {range: [1, 64, 3]}                   from 1 by steps of 3 (default 1), up to 64 at most
    {log_range: [1, 64], points: 7}       as many values at equal ratios, both ends included
    {uniform: [0.5, 2]}                   only where values are drawn: any value between
    {log_uniform: [64, 1024]}             the same, each ratio as likely

A value of a key that holds whole numbers is rounded to one; others to 6 digits, so that
every machine has the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, cast

from pimsim.config.tree import Entry, Position, plain
from pimsim.errors import did_you_mean

DIGITS = 6  # of a value that is computed
_MOST_DIGITS = 30  # of a number that is written; and the greatest power of ten
MOST = 100_000  # values of one axis
_ROUND = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN)

Complain = Callable[[Position, str, str], None]  # place, key, message


@dataclass(frozen=True)
class Listed:
    """These values, each with the place where it stands, or all computed from what stands at one place."""

    values: tuple[Any, ...]
    places: tuple[Position, ...]

    def at(self, share: float) -> Any:
        """The value at a share of 0 to 1 of the way through."""
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]

    def ends(self) -> list[tuple[Any, Position]]:
        """What is to be checked: every value that somebody wrote; of computed ones those that show all there is."""
        if len(self.places) == len(self.values):
            return list(zip(self.values, self.places, strict=True))
        return [(self.values[i], self.places[0]) for i in sorted({0, 1, len(self.values) - 1}) if i < len(self.values)]


@dataclass(frozen=True)
class Interval:
    """Any value from `low` to `high`."""

    low: Decimal
    high: Decimal
    log: bool
    whole: bool
    place: Position

    def at(self, share: float) -> int | Decimal:
        """The value at a share of 0 to 1 of the way through."""
        low, high = float(self.low), float(self.high)
        if self.whole and not self.log:
            return min(int(low) + int(share * (int(high) - int(low) + 1)), int(high))
        exact = low * (high / low) ** share if self.log else low + (high - low) * share
        return rounded(exact, self.whole)

    def ends(self) -> list[tuple[Any, Position]]:
        """Both ends: what the schema says of them, it says of all between."""
        return [(rounded(float(end), self.whole), self.place) for end in (self.low, self.high)]


Domain = Listed | Interval


def rounded(value: float, whole: bool) -> int | Decimal:
    """A computed value as a key can hold it."""
    return round(value) if whole else _ROUND.create_decimal_from_float(value)


def read_domain(
    key: str, entry: Entry, whole: bool, draws: bool, complain: Complain, repeats: bool = False
) -> Domain | None:
    """The domain that `entry` describes; None after a complaint.

    draws    values are drawn from it, so an interval will do
    repeats  a value of a list may come again, as beside another of a zip
    """
    forms = {**_LISTS, **(_INTERVALS if draws else {})}
    if isinstance(entry.value, tuple):
        return _listed(key, entry, complain, repeats)
    if not isinstance(entry.value, Mapping):
        complain(entry.place, key, f"must be a list of values or one of {_forms(forms)}, not a single value")
        return None
    form = next((name for name in entry.value if name in forms), None)
    if form is None:
        name = next(iter(entry.value), "")
        hint = did_you_mean(name, forms) or f"; there are {_forms(forms)}"
        if name in _INTERVALS:
            hint = "; only random, latin_hypercube, sobol and search draw from an interval"
        place = entry.value[name].place if name else entry.place
        complain(place, f"{key}.{name}" if name else key, f"unknown kind of axis{hint}")
        return None
    return forms[form](key, entry.value, form, whole, complain)


def _forms(forms: Mapping[str, Any]) -> str:
    return ", ".join(f"{{{name}: ...}}" for name in forms)


def identity(value: Any) -> Hashable:
    """Equal for one value twice, however it is written (1 and 1.0); 1 and true are two."""
    return isinstance(value, bool), _frozen(value)


def _frozen(value: Any) -> Hashable:
    """Equal where values are, also where they are sections or lists."""
    if isinstance(value, Mapping):
        return frozenset((key, _frozen(inner)) for key, inner in value.items())
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else cast(Hashable, value)


def _listed(key: str, entry: Entry, complain: Complain, repeats: bool) -> Listed | None:
    items = entry.value
    assert isinstance(items, tuple)
    if not items:
        complain(entry.place, key, "is an axis without values")
        return None
    values = [plain(item.value) for item in items]
    seen: set[Hashable] = set()
    for item, value in zip(items, values, strict=True):
        if not repeats and identity(value) in seen:
            complain(item.place, key, f"duplicate value {_show(value)}")
        seen.add(identity(value))
    return Listed(tuple(values), tuple(item.place for item in items))


def _show(value: Any) -> str:
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _numbers(
    key: str, given: Mapping[str, Entry], form: str, counts: tuple[int, ...], complain: Complain
) -> list[Decimal] | None:
    """The numbers after `form`; None after a complaint."""
    entry = given[form]
    items = entry.value if isinstance(entry.value, tuple) else ()
    numbers = [item.value for item in items]
    if len(numbers) not in counts or not all(_is_number(number) for number in numbers):
        what = "[low, high]" if counts == (2,) else "[start, end] or [start, end, step]"
        complain(entry.place, f"{key}.{form}", f"must be {what} in numbers")
        return None
    if not all(_is_usual(number) for number in numbers):
        complain(
            entry.place,
            f"{key}.{form}",
            f"has a number of more than {_MOST_DIGITS} digits, or beyond 1e±{_MOST_DIGITS}",
        )
        return None
    return [Decimal(number) for number in numbers]  # type: ignore[arg-type]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_usual(value: Any) -> bool:
    """Whether a number is one that arithmetic stays exact and quick with; far more than any key takes."""
    number = Decimal(value)
    return (
        number.is_finite() and abs(number.adjusted()) <= _MOST_DIGITS and len(number.as_tuple().digits) <= _MOST_DIGITS
    )


def _only(key: str, given: Mapping[str, Entry], allowed: tuple[str, ...], complain: Complain) -> bool:
    """Whether nothing but `allowed` is given."""
    others = [name for name in given if name not in allowed]
    for name in others:
        complain(given[name].place, f"{key}.{name}", f"unknown key{did_you_mean(name, allowed)}")
    return not others


def _range(key: str, given: Mapping[str, Entry], form: str, whole: bool, complain: Complain) -> Listed | None:
    numbers = _numbers(key, given, form, (2, 3), complain)
    if not _only(key, given, (form,), complain) or numbers is None:
        return None
    start, end, step = (*numbers, Decimal(1))[:3]
    place = given[form].place
    if step <= 0 or end < start:
        complain(place, f"{key}.{form}", "must go up: start <= end, step > 0")
        return None
    count = int((end - start) / step) + 1
    if count > MOST:
        complain(place, f"{key}.{form}", f"has {count} values; at most {MOST} are allowed")
        return None
    exact = [start + i * step for i in range(count)]
    return Listed(tuple(int(value) if value % 1 == 0 else value for value in exact), (place,))


def _log_range(key: str, given: Mapping[str, Entry], form: str, whole: bool, complain: Complain) -> Listed | None:
    interval = _interval(key, given, form, whole, complain, log=True, others=("points",))
    points = given.get("points")
    if points is None:
        complain(given[form].place, f"{key}.{form}", "needs points: N beside it")
        return None
    if not _is_number(points.value) or not _is_usual(points.value) or not 2 <= points.value <= MOST or points.value % 1:  # type: ignore[operator]
        complain(points.place, f"{key}.points", f"must be a whole number from 2 to {MOST}")
        return None
    if interval is None:
        return None
    count = int(points.value)  # type: ignore[arg-type]
    values = tuple(dict.fromkeys(interval.at(i / (count - 1)) for i in range(count)))
    return Listed(values, (interval.place,))


def _interval(
    key: str,
    given: Mapping[str, Entry],
    form: str,
    whole: bool,
    complain: Complain,
    log: bool = False,
    others: tuple[str, ...] = (),
) -> Interval | None:
    numbers = _numbers(key, given, form, (2,), complain)
    if not _only(key, given, (form, *others), complain) or numbers is None:
        return None
    (low, high), place = numbers, given[form].place
    if low >= high or (log and low <= 0):
        complain(place, f"{key}.{form}", f"must be low < high{', both above 0' if log else ''}")
        return None
    if whole and (low % 1 or high % 1):
        complain(place, f"{key}.{form}", "must be whole numbers, as the key's values are")
        return None
    return Interval(low, high, log, whole, place)


def _uniform(key: str, given: Mapping[str, Entry], form: str, whole: bool, complain: Complain) -> Interval | None:
    return _interval(key, given, form, whole, complain)


def _log_uniform(key: str, given: Mapping[str, Entry], form: str, whole: bool, complain: Complain) -> Interval | None:
    return _interval(key, given, form, whole, complain, log=True)


_Form = Callable[[str, Mapping[str, Entry], str, bool, Complain], Domain | None]
_LISTS: dict[str, _Form] = {"range": _range, "log_range": _log_range}
_INTERVALS: dict[str, _Form] = {"uniform": _uniform, "log_uniform": _log_uniform}
