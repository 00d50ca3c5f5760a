"""Result files, the Pareto front, and what keys do to figures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pimsim.sweep.table as table
from pimsim.errors import InputError
from pimsim.sweep import designs
from pimsim.sweep.objectives import Objective
from pimsim.sweep.pareto import pareto
from pimsim.sweep.sensitivity import sobol, tornado
from pimsim.sweep.table import check_format, column_types, write_table

ROWS: list[dict[str, Any]] = [
    {"index": 0, "a": 1, "b": 0.5, "c": True, "d": "x", "e": None},
    {"index": 1, "a": 2.5, "b": None, "c": False, "d": 3, "f": 7},
    {"index": 2, "d": False, "f": 2**70},
]


def test_a_column_has_a_type_that_holds_all_of_it() -> None:
    types = {"index": int, "a": float, "b": float, "c": bool, "d": str, "e": str, "f": float}
    assert column_types(ROWS) == types
    assert list(column_types(ROWS)) == list(types)


def test_parquet_and_csv_hold_the_rows(tmp_path: Path) -> None:
    for kind in ("parquet", "csv"):
        write_table(tmp_path / f"results.{kind}", lambda: iter(ROWS), kind)
    assert (tmp_path / "results.csv").read_text() == (
        f"index,a,b,c,d,e,f\n0,1.0,0.5,true,x,,\n1,2.5,,false,3,,7.0\n2,,,,false,,{float(2**70)!r}\n"
    )
    found = pyarrow.parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert found[0] == {"index": 0, "a": 1.0, "b": 0.5, "c": True, "d": "x", "e": None, "f": None}
    assert found[2]["d"] == "false" and found[2]["f"] == float(2**70)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.csv", "results.parquet"]


def test_rows_beyond_a_group_are_there(tmp_path: Path) -> None:
    rows = [{"index": i, "x": i / 7} for i in range(2500)]
    write_table(tmp_path / "results.parquet", lambda: iter(rows), "parquet")
    assert pyarrow.parquet.read_table(tmp_path / "results.parquet").to_pylist() == rows


def test_without_pyarrow_results_are_csv_and_parquet_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table.importlib.util, "find_spec", lambda name: None)
    assert table.default_format() == "csv"
    with pytest.raises(InputError, match=r"pip install 'pimsim\[analysis\]'"):
        check_format("parquet")


# -- the front ------------------------------------------------------------------------

FIGURES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 3)), max_size=40)


@given(FIGURES)
def test_the_front_is_whoever_nobody_beats(figures: list[tuple[int, int, int]]) -> None:
    rows = [{"index": i, "status": "ok", "x": x, "y": y, "z": z} for i, (x, y, z) in enumerate(figures)]
    goals = ["x", {"maximise": "y"}, Objective("z")]
    costs = [(x, -y, z) for x, y, z in figures]

    def beaten(a: tuple[int, ...]) -> bool:
        return any(b != a and all(p <= q for p, q in zip(b, a, strict=True)) for b in costs)

    expected = sorted((i for i, cost in enumerate(costs) if not beaten(cost)), key=lambda i: (*costs[i], i))
    assert [row["index"] for row in pareto(rows, goals)] == expected


def test_rows_without_figures_take_no_part_and_frames_will_do() -> None:
    rows = [
        {"index": 0, "status": "ok", "x": 2.0},
        {"index": 1, "status": "failed", "x": None},
        {"index": 2, "status": "infeasible"},
        {"index": 3, "status": "ok", "x": 2.0},
    ]
    for given_rows in (rows, pandas.DataFrame(rows)):
        assert [row["index"] for row in pareto(given_rows, ["x"])] == [0, 3]
    with pytest.raises(ValueError, match="no objective: .*'least'"):
        pareto(rows, [{"least": "x"}])


# -- sensitivity ----------------------------------------------------------------------


def test_a_tornado_has_the_widest_swing_first_and_the_values_at_its_ends() -> None:
    rows = [
        {"status": "ok", "y": 10.0},
        {"status": "ok", "a": 1, "y": 9.0},
        {"status": "ok", "a": 2, "y": 11.0},
        {"status": "ok", "b": 1, "y": 3.0},
        {"status": "infeasible", "b": 2},
    ]
    bars = tornado(rows, ["a", "b"], [Objective("y")])
    assert [(bar["key"], bar["low"], bar["high"], bar["swing"]) for bar in bars] == [("b", 3, 10, 7), ("a", 9, 11, 2)]
    assert (bars[0]["low_at"], bars[0]["high_at"], bars[1]["high_at"]) == (1, None, 2)


def test_sobol_indices_of_the_ishigami_function_are_the_known_ones() -> None:
    """f = sin x + 7 sin^2 y + 0.1 z^4 sin x on (-pi, pi): variance shares in closed form (Ishigami, Homma 1990)."""
    shares = designs.sobol_shares(1024, 3, seed=1)
    rows = []
    for x, y, z in (2 * math.pi * shares - math.pi).tolist():
        rows.append({"status": "ok", "f": math.sin(x) + 7 * math.sin(y) ** 2 + 0.1 * z**4 * math.sin(x)})
    found = {bar["key"]: bar for bar in sobol(rows, ["x", "y", "z"], [Objective("f")])}
    expected = {"x": (0.3139, 0.5576), "y": (0.4424, 0.4424), "z": (0.0, 0.2437)}
    for key, (first, total) in expected.items():
        assert found[key]["first_order"] == pytest.approx(first, abs=0.02)
        assert found[key]["total"] == pytest.approx(total, abs=0.02)


def test_indices_need_every_figure_and_a_figure_that_never_changes_has_none() -> None:
    rows: list[dict[str, Any]] = [{"status": "ok", "f": 1.0} for _ in range(16)]
    assert [bar["total"] for bar in sobol(rows, ["x", "y"], [Objective("f")])] == [0, 0]
    rows[3] = {"status": "failed"}
    assert sobol(rows, ["x", "y"], [Objective("f")]) == []
