"""The report of a sweep: what the page has of the points, and what its charts have of sensitivities and searches."""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from typing import Any

import numpy as np
import pytest

from pimsim.report import About, Command, sweep_html
from pimsim.report.sweep import LARGE
from pimsim.report.sweep_columns import Column, Packed, gather
from tests.report.test_report import EVIL, OBJECTIVES, ROWS, Page, row

TYPES = {"u1": np.uint8, "u2": np.uint16, "u4": np.uint32, "f4": np.float32, "f8": np.float64}


def unpacked(said: dict[str, Any], count: int, block: bytes) -> list[Any]:
    """The values of a column, as the page's script reads them."""
    kind = np.dtype(TYPES[said["form"]])
    planes = np.frombuffer(block, np.uint8, count * kind.itemsize, said["at"]).reshape(kind.itemsize, count)
    found = np.ascontiguousarray(planes.T).view(kind).reshape(count).tolist()
    if "values" in said:
        return [said["values"][code] for code in found]
    return [None if value != value else value for value in found]


def columns_of(html: str) -> dict[str, list[Any]]:
    """Every column of a page by name."""
    page = Page(html)
    block = zlib.decompress(base64.b64decode(re.search(r'id="block">([^<]*)<', html)[1]))  # type: ignore[index]
    return {said["name"]: unpacked(said, page.data["count"], block) for said in page.data["columns"]}


def said_of(html: str) -> dict[str, dict[str, Any]]:
    """What a page says of each column."""
    return {said["name"]: said for said in Page(html).data["columns"]}


# -- columns --------------------------------------------------------------------------

ODD: list[list[Any]] = [
    [1, 2, 2, 1],
    [0.1, 1e300, -0.0, 5e-324],
    [None, 1.5, None, 2],
    ["x", None, "y", "x"],
    [True, False, None, True],
    [1, "1", True, None],
    [2**60, 3, None, 1],
    ["<b>", "\u2028", "ü", ""],
    [None, None, None, None],
]


@pytest.mark.parametrize("values", ODD, ids=str)
def test_a_column_gives_back_what_was_put_in(values: list[Any]) -> None:
    column, packed = Column(), Packed()
    column.extend(values)
    packed.add("c", column)
    found = unpacked(json.loads(json.dumps(packed.columns[0], allow_nan=False)), len(values), bytes(packed.data))
    assert found == values
    assert [type(value) is bool for value in found] == [type(value) is bool for value in values]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_what_no_page_can_show_is_nothing(value: float) -> None:
    for others in ([1.0, 2.5], ["x", "y"]):
        column, packed = Column(), Packed()
        column.extend([*others, value])
        packed.add("c", column)
        assert unpacked(packed.columns[0], 3, bytes(packed.data)) == [*others, None]


def test_a_column_that_begins_late_or_ends_early_has_nothing_elsewhere() -> None:
    rows = [{"a": 1}, *({"a": i, "b": f"{i}"} for i in range(2, 1500)), {"b": "end"}]
    count, columns = gather(rows, lambda name: name != "c")
    assert count == 1500
    assert columns["a"].listed() == [*range(1, 1500), None]
    assert columns["b"].listed() == [None, *map(str, range(2, 1500)), "end"]


def test_numbers_that_are_shown_have_three_right_digits_and_all_others_every_bit() -> None:
    exact = [(i + 1) * math.pi * 10.0 ** (i % 30 - 15) for i in range(2000)]
    column, packed = Column(), Packed()
    column.extend(exact)
    packed.add("exact", column)
    packed.add("rough", column, True)
    block = bytes(packed.data)
    assert unpacked(packed.columns[0], 2000, block) == exact
    assert unpacked(packed.columns[1], 2000, block) == pytest.approx(exact, rel=2**-12)


def test_equal_columns_are_there_once() -> None:
    column, packed = Column(), Packed()
    column.extend([i / 7 for i in range(1000)])
    packed.add("a", column)
    size = len(packed.data)
    packed.add("b", column)
    assert len(packed.data) == size
    assert packed.columns[0]["at"] == packed.columns[1]["at"]


# -- the page -------------------------------------------------------------------------


def test_a_page_has_every_point_and_says_which_were_not_simulated() -> None:
    html = sweep_html(ROWS, OBJECTIVES, {"title": EVIL, "base": "x.yaml"})
    page, columns = Page(html), columns_of(html)
    assert columns["dram.channels"] == [1, 2, 3]
    assert columns["system.latency_per_token_ns"] == [9.5, 5.0, None]
    assert columns["status"] == ["ok", "ok", "infeasible"]
    assert page.tables["failed"][1][:3] == ["1", "infeasible", f"no {EVIL}"]
    assert "3 points, 2 simulated, 1 not ; base: x.yaml" in page.text
    assert page.references == ["#failed-title"]


@pytest.mark.parametrize("rows", [[], ROWS[2:], ROWS[:1], [{"status": "ok"}]], ids=["none", "bad", "one", "empty"])
def test_a_sweep_of_few_points_has_a_page(rows: list[dict[str, Any]]) -> None:
    html = sweep_html(rows, OBJECTIVES, {})
    assert Page(html).data["count"] == len(rows)
    assert html == sweep_html(iter(rows), OBJECTIVES, {})


def test_columns_have_kinds_units_and_directions() -> None:
    more = {
        "system.mac_utilization": 0.5,
        "system.latency_breakdown_ns.mac": 3.0,
        "system.commands.ACT": 3,
        "name": "x",
    }
    rows = [{**row(i, 3e5 * i, 2e9), **more, "system.mac_utilization": i / 9, "dram.tRP_ns": i} for i in (1, 2, 3)]
    said = said_of(sweep_html(rows, [OBJECTIVES[0], "-system.energy_pJ"], {}))
    assert [name for name, entry in said.items() if entry["kind"] == "input"] == [
        "dram.channels",
        "name",
        "dram.tRP_ns",
    ]
    latency, energy = said["system.latency_per_token_ns"], said["system.energy_pJ"]
    assert (latency["label"], latency["unit"], latency["factor"], latency["goal"]) == (
        "latency per token",
        "µs",
        1e3,
        "low",
    )
    assert (energy["unit"], energy["goal"]) == ("mJ", "high")
    assert (said["dram.tRP_ns"]["unit"], said["dram.tRP_ns"]["factor"]) == ("ns", 1)  # an input, as it is written
    assert said["system.mac_utilization"]["better"] == "high"
    assert said["system.latency_breakdown_ns.mac"]["kind"] == "time"
    assert "system.commands.ACT" not in said


def test_keys_that_look_like_figures_are_inputs_where_the_sweep_says_so() -> None:
    rows = [
        {"index": i, "status": "ok", "workload.batch": i, "system.devices": i, "system.energy_pJ": 1.0} for i in (1, 2)
    ]
    said = said_of(sweep_html(rows, ["system.energy_pJ"], {}, About(keys=("workload.batch", "system.devices"))))
    assert [name for name, entry in said.items() if entry["kind"] == "input"] == ["workload.batch", "system.devices"]


def test_names_that_are_the_same_are_written_in_full() -> None:
    rows = [{"a.clock_GHz": i, "b.clock_GHz": i, "c.x": i} for i in (1, 2)]
    assert [entry.get("label") for entry in said_of(sweep_html(rows, [], {})).values()][5:] == [
        "a.clock_GHz",
        "b.clock_GHz",
        "x",
    ]


def test_front_and_reports_are_told_by_their_place_among_the_rows() -> None:
    rows = [{**row(i, 1.0, 1.0), "index": 10 * i} for i in (1, 2, 3)]
    data = Page(sweep_html(rows, OBJECTIVES, {}, About(front=(30, 10, 99), reports={20}))).data
    assert (data["front"], data["reports"]) == ([0, 2], [1])


def test_a_command_of_odd_texts_is_data_not_markup() -> None:
    command = Command(("pimsim", "run", EVIL), {"k": "'"}, {"x": {EVIL: EVIL}})
    data = Page(sweep_html(ROWS, OBJECTIVES, {}, About(command=command, inputs=[("k", EVIL, "set")]))).data
    assert data["command"]["words"] == ["pimsim", "run", EVIL]
    assert data["keys"] == [["k", EVIL, "set"]]


def test_a_large_page_is_small_and_keeps_every_digit_of_inputs_and_objectives() -> None:
    rows = [
        {
            "index": i,
            "point_id": f"{i:064x}",
            "status": "ok",
            "k": i * 0.37,
            OBJECTIVES[0]: 1e5 / (i + 1),
            "system.cycles": i * 7.77,
        }
        for i in range(LARGE + 1)
    ]
    html = sweep_html(rows, OBJECTIVES[:1], {})
    columns = columns_of(html)
    assert columns["k"] == [entry["k"] for entry in rows]
    assert columns[OBJECTIVES[0]] == [entry[OBJECTIVES[0]] for entry in rows]
    assert set(columns["point_id"]) == {None}
    assert said_of(html)["system.cycles"]["rough"] is True
    assert len(html) - len(sweep_html(rows[:1], OBJECTIVES[:1], {})) < 500_000


# -- charts ---------------------------------------------------------------------------

BAR = {
    "objective": OBJECTIVES[0],
    "key": "a.x_ns",
    "base": 10e3,
    "low": 7e3,
    "high": 12e3,
    "low_at": 1,
    "high_at": None,
}


def charts_of(html: str) -> dict[str, Any]:
    return dict(json.loads(re.search(r'id="charts">([^<]*)<', html)[1]))  # type: ignore[index]


def test_a_tornado_has_a_bar_on_each_side_with_the_values_that_give_them() -> None:
    bars = [{**BAR, "swing": 5e3}, {**BAR, "key": EVIL, "swing": 1.0}]
    chart = charts_of(sweep_html([row(1, 10e3, 1.0)], OBJECTIVES, {}, About(design="one_at_a_time", effects=bars)))[
        "effects-0"
    ]
    low, high = chart["traces"]
    assert (low["base"], low["x"][0], high["x"][0]) == (10, -3, 2)
    assert (low["text"][0], high["text"][0]) == ("1 → 7.00", "")
    assert low["y"][0] == "x_ns"
    assert "<" not in low["y"][1]
    assert chart["table"]["rows"][0] == [OBJECTIVES[0], "a.x_ns", 10e3, 7e3, 12e3, 1, None, 5e3]


@pytest.mark.parametrize("known", [True, False])
def test_sobol_indices_have_their_intervals_where_those_are_known(known: bool) -> None:
    ends = {"first_order_low": 0.1, "first_order_high": 0.4, "total_low": 0.2, "total_high": 0.9} if known else {}
    effects = [{"objective": "o", "key": "a", "first_order": 0.25, "total": 0.5, **ends}]
    total, first = charts_of(sweep_html(ROWS, [], {}, About(design="sobol", effects=effects)))["effects-0"]["traces"]
    assert (first["x"], total["x"]) == ([0.25], [0.5])
    if known:
        assert first["error_x"]["array"] == [pytest.approx(0.15)]
        assert "0.250 (0.100 to 0.400)" in first["hovertext"][0]
    else:
        assert "error_x" not in first
        assert first["text"] == ["0.250"]


@pytest.mark.parametrize(
    ("objective", "best"), [("system.energy_pJ", [3, 3, 1, 1]), ("-system.energy_pJ", [3, 5, 5, 7])]
)
def test_a_search_is_drawn_in_its_order_with_the_best_so_far(objective: str, best: list[float]) -> None:
    rows = [{"index": i, **row(1, 1.0, value)} for i, value in ((0, 3.0), (1, 5.0), (2, None), (3, 1.0), (5, 7.0))]
    points, line = charts_of(sweep_html(rows, [objective], {}, About(design="search")))["order-0"]["traces"]
    assert points["x"] == line["x"] == [0, 1, 3, 5]
    assert points["y"] == [3, 5, 1, 7]
    assert line["y"] == best
    assert line["line"]["shape"] == "hv"


def test_a_search_is_saved_in_the_units_and_digits_of_its_results() -> None:
    values = [1e5 + (i * 7919) ** 1.37 for i in range(200)]
    assert any(value / 1e3 * 1e3 != value for value in values)
    rows = [{"index": i, **row(1, value, 1.0)} for i, value in enumerate(values)]
    order = charts_of(sweep_html(rows, OBJECTIVES[:1], {}, About(design="search")))["order-0"]
    assert order["traces"][0]["y"] != values
    assert [one[1] for one in order["table"]["rows"]] == values
    assert [one[2] for one in order["table"]["rows"]] == [values[0]] * 200


def test_a_long_search_is_thinned_but_for_what_got_better() -> None:
    values = [1e6 - i if i in (777, 4321) else 2e6 for i in range(9000)]
    rows = [{"index": i, **row(1, 1.0, value)} for i, value in enumerate(values)]
    line = charts_of(sweep_html(rows, ["system.energy_pJ"], {}, About(design="search")))["order-0"]["traces"][1]
    assert len(line["x"]) < 2500
    assert {0, 777, 4321, 8999} <= set(line["x"])
