"""The report of a sweep: its points as parallel coordinates, as a scatter and as a table, linked with each other.

The page has the numbers of every point (`sweep_columns`); what is drawn of them is made in the browser
(`assets/sweep.js`).  Charts that are the same for every reader are described here (`sweep_charts`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pimsim.report.charts import Chart
from pimsim.report.page import render, script_json
from pimsim.report.script import packed
from pimsim.report.sweep_charts import effects_charts, lost_values, order_charts
from pimsim.report.sweep_columns import Column, Packed, gather
from pimsim.report.sweep_names import Named, named

Row = Mapping[str, Any]
OK, FAILED = "ok", "failed"
LARGE = 20_000  # points from which on figures that are no objective have three digits
_FIGURES = ("accuracy.", "system.", "baselines.", "proxy.", "workload.parameters")
SIDE = ("index", "point_id", "status", "error", "warnings")
_UNSHOWN = ("config_sha256", "trace_sha256", "system.commands.", "system.asic_energy_pJ.", "system.parts.", "workload.")
_RATIOS = ("speedup", "energy_ratio")  # what is shown of a baseline
_PARTS = {"time": "system.latency_breakdown_ns.", "energy": "system.energy_breakdown_pJ."}
SCATTER = Chart("scatter", "Scatter", "", [], height=460)


@dataclass(frozen=True)
class Command:
    """How one point is run by itself: `words`, an override for each of `fixed`, then one for each key that varies.

    texts  what an override says for a text of a key's column
    out    the folder, which the number of the point follows
    """

    words: tuple[str, ...]
    fixed: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    out: str = ""


@dataclass(frozen=True)
class About:
    """What a page says of a sweep beside its rows.

    keys     columns that are inputs; None: every column that is no figure
    design   of its points, as `sweep.json` has it
    effects  the rows of sensitivity.csv
    front    `index` of the rows that no other row beats in every objective
    reports  `index` of the rows whose reports lie beside the page, as points/INDEX/report.html
    inputs   every key of the configuration around which the points lie: its value, as text, and who gives it
    go_on    the command that goes on with the sweep, but for its --out; "" of one that is no file
    shard    "2/8" where these are the points of one shard
    unfinished  points that the sweep has not come to yet, of `total`
    numbers  the file that has every point, whatever the page has
    """

    keys: tuple[str, ...] | None = None
    design: str = ""
    effects: Sequence[Row] = ()
    front: Collection[int] = ()
    reports: Collection[int] = ()
    inputs: Sequence[tuple[str, str, str]] = ()
    command: Command | None = None
    go_on: str = ""
    shard: str = ""
    unfinished: int = 0
    total: int = 0
    numbers: str = "the results file"


def sweep_html(
    rows: Iterable[Row], objectives: Sequence[str], meta: Mapping[str, Any], about: About | None = None
) -> str:
    """The report of a sweep's rows, which are read once and not kept.

    rows        one mapping per point, as in the results file; `status` "ok", or `error` says why not
    objectives  columns to be low (a leading "-": to be high); the first two are drawn at first
    meta        title, and anything else worth a line: {"base": "pim-gpt.yaml", "dropped": 3}
    """
    about = about or About()
    goals = {name.removeprefix("-"): name.startswith("-") for name in objectives}
    count, columns = gather(rows, lambda name: name in goals or name in (about.keys or ()) or _is_shown(name))
    side = {name: columns.pop(name) if name in columns else _empty(name, count) for name in SIDE}
    if count > LARGE:
        side["point_id"] = _empty("point_id", count)
    table = _Table.of(count, columns, side, goals, about.keys)
    statuses, errors = side["status"].listed(), side["error"].listed()
    reasons = Counter((status, error or "") for status, error in zip(statuses, errors, strict=True) if status != OK)
    order = order_charts(side["index"].listed(), columns, goals, table.names) if about.design == "search" else []
    lost = lost_values(about.design, columns, about.keys or (), goals)
    effects = effects_charts(about.design, about.effects, table.names, lost)
    return render(
        "sweep.html",
        title=str(meta.get("title", "sweep")),
        meta={key: value for key, value in meta.items() if key != "title"},
        count=count,
        good=statuses.count(OK),
        reasons=reasons.most_common(),
        effects=effects,
        without=_without_effects(about, goals),
        about=about,
        again=any(status == FAILED for status, _ in reasons),
        order=order,
        scatter=SCATTER,
        charts=[SCATTER, *effects, *order],
        large=count > LARGE,
        example=_example(table),
        data=script_json(table.described(about), indent=None),
        block=packed(table.block),
    )


def _without_effects(about: About, goals: Iterable[str]) -> Sequence[str]:
    """Why an objective of a sweep for sensitivity has no chart."""
    needed = {
        "one_at_a_time": "has no bars: they need its figure at the base",
        "sobol": "has no indices: they need its figure at every point",
    }.get(about.design)
    if needed is None:
        return []
    if about.unfinished or about.shard:
        return [f"Bars and indices need every point of the sweep{', not those of a shard' if about.shard else ''}."]
    there = {row["objective"] for row in about.effects}
    return [f"{name} {needed}." for name in goals if name not in there]


@dataclass(frozen=True)
class _Table:
    """The columns of a page: what is said of each, in the order of the page, and their bytes."""

    count: int
    index: Sequence[int]
    names: Mapping[str, Named]
    columns: list[dict[str, Any]]
    block: bytes

    @classmethod
    def of(
        cls,
        count: int,
        columns: Mapping[str, Column],
        side: Mapping[str, Column],
        goals: Mapping[str, bool],
        keys: Sequence[str] | None,
    ) -> _Table:
        """The columns of a sweep's rows: those beside its figures, then inputs, objectives and other figures."""
        if keys is None:
            keys = [name for name in columns if name not in goals and not name.startswith(_FIGURES)]
        kinds = _kinds(columns, goals, keys)
        names = named({name: columns[name] for name, kind in kinds.items() if kind in ("input", "figure")}, keys)
        block = Packed()
        for name, column in side.items():
            block.add(name, column, kind="side", numeric=column.numeric)
        for name, kind in kinds.items():
            rough = kind in _PARTS or (kind == "figure" and name not in goals and count > LARGE)
            said = {"goal": "high" if goals[name] else "low"} if name in goals else {}
            said |= vars(names[name]) if name in names else {}
            block.add(name, columns[name], rough, kind=kind, numeric=columns[name].numeric, rough=rough, **said)
        return cls(count, side["index"].listed(), names, block.columns, bytes(block.data))

    def described(self, about: About) -> dict[str, Any]:
        """What the page's script reads beside the bytes."""
        return {
            "count": self.count,
            "columns": self.columns,
            "front": self._places(about.front),
            "reports": self._places(about.reports),
            "keys": [list(entry) for entry in about.inputs],
            "command": about.command and vars(about.command),
            "go_on": about.go_on,
            "numbers": about.numbers,
            "design": about.design,
        }

    def _places(self, numbers: Collection[int]) -> list[int]:
        """Where the points of these numbers stand among the rows of the page."""
        return [place for place, number in enumerate(self.index) if number in numbers]


def _kinds(columns: Mapping[str, Column], goals: Mapping[str, bool], keys: Sequence[str]) -> dict[str, str]:
    """Each column's kind, inputs first, then the objectives; a figure that is the same everywhere is left out."""
    order = dict.fromkeys(name for name in (*keys, *goals, *columns) if name in columns)
    kinds = {name: "input" if name in keys else _kind(name) for name in order}
    return {name: kind for name, kind in kinds.items() if kind == "input" or _worth(name, kind, columns[name], goals)}


def _kind(name: str) -> str:
    return next((what for what, prefix in _PARTS.items() if name.startswith(prefix)), "figure")


def _worth(name: str, kind: str, column: Column, goals: Mapping[str, bool]) -> bool:
    return column.numeric and (kind in _PARTS or name in goals or column.varies())


def _example(table: _Table) -> str:
    """A comparison that the table's field understands."""
    numbers = (said for said in table.columns if said.get("kind") == "input" and said["numeric"])
    return next((f"{said['name'].rpartition('.')[2]}>=4" for said in numbers), "status=ok")


def _is_shown(name: str) -> bool:
    return not name.startswith(_UNSHOWN) and not (name.startswith("baselines.") and not name.endswith(_RATIOS))


def _empty(name: str, count: int) -> Column:
    """A column that no row has: points count from 0, and are simulated."""
    given: dict[str, list[Any]] = {"index": list(range(count)), "status": [OK] * count}
    column = Column()
    column.extend(given.get(name, [None] * count))
    return column
