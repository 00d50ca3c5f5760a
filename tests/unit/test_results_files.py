"""The files of a result: complete, the same bytes every time, all or nothing."""

from __future__ import annotations

import csv
import json
import sys
from io import StringIO
from math import fsum
from pathlib import Path
from typing import ClassVar

import pytest

from pimsim.api import load_config
from pimsim.errors import InputError
from pimsim.results.result import Result
from tests.result_samples import small_config, small_result, small_tally

TEXTS = {"summary.json", "config.resolved.yaml", "operators.csv", "tokens.csv"}


class OnePlot:
    """Plots that write one file without matplotlib."""

    files: ClassVar[tuple[str, ...]] = ("speedup.png", "old.png")

    def __init__(self, result: Result) -> None:
        self.result = result

    def save(self, directory: Path, *how: object) -> None:
        (directory / "speedup.png").write_bytes(b"png")


class NoPlot(OnePlot):
    def save(self, directory: Path, *how: object) -> None:
        raise RuntimeError("no ink")


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def records(directory: Path, table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO((directory / table).read_text())))


def test_a_saved_result_has_every_file_and_nothing_else(tmp_path: Path) -> None:
    small_result(plots=OnePlot).save(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == TEXTS | {"speedup.png"}


def test_saved_summary_is_the_summary(tmp_path: Path) -> None:
    result = small_result()
    result.save(tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text()) == result.summary


def test_resolved_configuration_loads_to_the_same_configuration(tmp_path: Path) -> None:
    small_result().save(tmp_path)
    assert load_config(tmp_path / "config.resolved.yaml") == small_config()


def test_operators_have_a_row_per_kind_and_phase_that_sums_to_the_total(tmp_path: Path) -> None:
    result = small_result(config=small_config(workload__prompt_tokens=2), tally=small_tally(prefill=True))
    result.save(tmp_path)
    rows, system = records(tmp_path, "operators.csv"), result.summary["system"]
    assert [(row["phase"], row["operator"]) for row in rows] == [
        ("prefill", "qkv"), ("decode", "qkv"), ("decode", "kv_write"), ("decode", "softmax"),
    ]  # fmt: skip
    assert sum(int(row["cycles"]) for row in rows) == system["cycles"]
    assert fsum(float(row["energy_pJ"]) for row in rows) == pytest.approx(system["energy_pJ"], rel=1e-12)
    assert sum(int(row["MACAB"]) for row in rows) == system["commands"]["MACAB"]
    for row in rows:
        assert sum(int(value) for key, value in row.items() if key.endswith("_cycles") and key[:4] not in (
            "open", "asic"
        )) == int(row["cycles"])  # fmt: skip
        parts = [float(value) for key, value in row.items() if key.endswith("_pJ") and key != "energy_pJ"]
        assert fsum(parts) == pytest.approx(float(row["energy_pJ"]), rel=1e-12)


def test_tokens_have_a_row_per_decode_step(tmp_path: Path) -> None:
    small_result(config=small_config(workload__prompt_tokens=2), tally=small_tally(prefill=True)).save(tmp_path)
    rows = records(tmp_path, "tokens.csv")
    assert [(row["context"], row["start_cycle"], row["cycles"], row["latency_ns"]) for row in rows] == [
        ("3", "100", "300", "300.0"), ("4", "400", "330", "330.0"), ("5", "730", "370", "370.0"),
    ]  # fmt: skip


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        small_result().save(tmp_path / name)
    for name in TEXTS:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert b"\r" not in (tmp_path / "a" / name).read_bytes()


def test_an_error_leaves_no_new_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no ink"):
        small_result(plots=NoPlot).save(tmp_path / "a" / "b")
    assert names(tmp_path) == set()


def test_an_error_leaves_an_earlier_result_as_it_was(tmp_path: Path) -> None:
    small_result(plots=OnePlot).save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RuntimeError, match="no ink"):
        small_result(plots=NoPlot, wall_s=5.0).save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_plot_of_an_earlier_result_that_this_one_lacks_is_removed_and_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "old.png").write_bytes(b"old")
    (tmp_path / "notes.txt").write_text("mine")
    small_result(plots=OnePlot).save(tmp_path)
    assert names(tmp_path) == TEXTS | {"speedup.png", "notes.txt"}


def test_a_file_in_place_of_the_folder_is_the_user_s_mistake(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="--out"):
        small_result().save(tmp_path / "out")
    with pytest.raises(InputError, match="--out"):
        small_result().save(tmp_path / "out" / "below")


def test_a_folder_in_place_of_a_file_is_the_user_s_mistake(tmp_path: Path) -> None:
    (tmp_path / "tokens.csv").mkdir()
    with pytest.raises(InputError, match=r"tokens\.csv"):
        small_result().save(tmp_path)
    assert names(tmp_path) == {"tokens.csv"}


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no table 'layers'; there are 'operators', 'tokens', 'summary'"):
        small_result().to_frame("layers")


def test_to_frame_without_pandas_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'pimsim\[analysis\]'"):
        small_result().to_frame("tokens")


def test_to_frame_gives_the_records_to_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    for table in ("operators", "tokens"):
        records = small_result().records(table)
        assert small_result().to_frame(table).equals(pandas.DataFrame.from_records(records))


def test_html_names_model_and_latency_and_escapes_what_the_user_wrote() -> None:
    html = small_result(config=small_config(name="<b>x</b>"))._repr_html_()
    assert "&lt;b&gt;x" in html and "<b>" not in html
    assert "tiny" in html and "/token" in html
    assert "http" not in html and "<script" not in html


def test_a_result_without_plots_says_so() -> None:
    with pytest.raises(RuntimeError, match="without plots"):
        _ = small_result().plot
