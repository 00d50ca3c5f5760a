"""Whether everything fits into the device, and if not, which value of which key would make it fit.

Nothing is estimated: each value that is named has been tried, and is the nearest that works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any

from pimsim.config.rules import Names
from pimsim.config.schema import Config
from pimsim.config.validate import check_rules
from pimsim.errors import InputError
from pimsim.mapping.memory import Memory

# Where everything lies in a device that is configured like this; InputError if that cannot be.
Placed = Callable[[Config], Memory]

_NAMES: Names = {}  # names that exist have been checked before
_ROWS, _CHANNELS = "dram.rows", "dram.channels"
_FEWER = ("workload.batch", "workload.output_tokens", "workload.prompt_tokens", "workload.context")

_LOWEST = {"workload.batch": 1, "workload.prompt_tokens": 0, "workload.context": 0}


def check_fits(config: Config, memory: Memory, placed: Placed) -> None:
    """InputError if the rows that were dealt out are more than a bank has; placed: as of other configurations."""
    device = memory.grid.device
    rows, there = memory.rows, device.rows
    if rows <= there:
        return
    row_bytes = device.bytes_of_rows
    cache = sum(r.rows * len(r.bases) for name, r in memory.regions.items() if name.startswith(("keys.", "values.")))
    what = (
        f"the workload does not fit: it needs {rows:,} rows in every bank ({rows * row_bytes / 2**30:.2f} GiB, "
        f"of which K and V {cache:,} rows), the device has {there:,} ({there * row_bytes / 2**30:.2f} "
        f"GiB): {rows - there:,} rows ({(rows - there) * row_bytes / 2**30:.2f} GiB) too many"
    )
    found = [f"{key}={value}" for key, value in remedies(config, placed, rows)]
    fits = f"it would fit with {' or '.join(found)}" if found else "no number of rows or channels makes it fit"
    raise InputError(f"{what}; {fits}", key=_ROWS)


def remedies(config: Config, placed: Placed, rows: int) -> Iterator[tuple[str, int]]:
    """Keys, each with the value nearest to the configured one with which everything fits; `rows` are needed now.

    More rows or more channels keep the work as it is; a smaller batch, a smaller reserve or fewer tokens do not.
    """

    def fits(key: str, value: int) -> bool:
        needed = _rows(with_value(config, key, value), placed)
        return needed is not None and needed[0] <= needed[1]

    def nearest(key: str, values: Iterable[int]) -> Iterator[tuple[str, int]]:
        for value in values:
            if fits(key, value):
                yield key, value
                return

    if rows <= _most(config, _ROWS):
        yield from nearest(_ROWS, [rows])
    yield from nearest(_CHANNELS, range(config.dram.channels + 1, _most(config, _CHANNELS) + 1))
    tokens = config.workload.last_context
    if (config.mapping.reserve_tokens or 0) > tokens:
        yield from _largest("mapping.reserve_tokens", tokens, config.mapping.reserve_tokens or 0, fits)
    if config.workload.trace is None:  # the schedule of a trace is not the configuration's to change
        # a device of a system is given its part of the batch, which is not what the key says
        for key in _FEWER[config.system.several :]:
            lowest = _LOWEST.get(key, config.workload.query_tokens)
            yield from _largest(key, lowest, attrgetter(key)(config), fits)


def _largest(key: str, low: int, high: int, fits: Callable[[str, int], bool]) -> Iterator[tuple[str, int]]:
    """The largest value from `low` to before `high` that fits, if `low` does: what is kept grows with each of them."""
    if low >= high or not fits(key, low):
        return
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(key, middle) else (low, middle)
    yield key, low


def _rows(config: Config, placed: Placed) -> tuple[int, int] | None:
    """Rows that are needed and that are there; None for a configuration that is refused."""
    try:
        check_rules(config, _NAMES)
        memory = placed(config)
    except InputError:
        return None
    return memory.rows, memory.grid.device.rows


def with_value(config: Config, key: str, value: int) -> Config:
    """The configuration with another value of a key."""
    section, _, name = key.partition(".")
    return config.model_copy(update={section: getattr(config, section).model_copy(update={name: value})})


def _most(config: Config, key: str) -> int:
    """The largest value that a key takes."""
    section, _, name = key.partition(".")
    limits: list[Any] = type(getattr(config, section)).model_fields[name].metadata
    return next(int(limit.le) for limit in limits if hasattr(limit, "le"))
