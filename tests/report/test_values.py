"""The values in report.html: the numbers of values.csv, what hovering shows, and text of others that stays text."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from pimsim import api
from pimsim.generation import watched
from pimsim.report import run_html
from pimsim.report.page import spark, spoken
from pimsim.report.values import tips
from pimsim.results.rerun import command
from pimsim.results.result import Result
from pimsim.results.values import Speech, Values
from pimsim.values.moments import Moments, Where
from tests.report.test_report import CONFIG, EVIL, Page, shown
from tests.values.runs import weights_of


def watched_run(family: str) -> Result:
    loaded = api.load(CONFIG, ["baselines=[]"])
    return watched(loaded, weights_of(family), [3, 17, 99], 3).result


@pytest.fixture(scope="module")
def result() -> Result:
    return watched_run("llama")


@pytest.fixture(scope="module")
def page(result: Result) -> Page:
    return Page(run_html(result))


def values_of(result: Result) -> Values:
    assert result.values is not None
    return result.values


def test_the_table_folds_the_rows_of_the_file_over_the_layers(result: Result, page: Page, tmp_path: Path) -> None:
    result.save(tmp_path)
    with open(tmp_path / "values.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    head, *shown_rows = page.tables["values"]
    assert head == ["phase", "operator", "layers", "elements", "min", "max", "rms", "max abs error", "rms error",
                    "relative error"]  # fmt: skip
    for phase, operator, layers, elements, *figures in shown_rows:
        mine = [row for row in rows if (row["phase"], row["operator"]) == (phase, operator)]
        counts = [int(row["elements"]) for row in mine]
        assert layers == (str(len(mine)) if mine[0]["layer"] else "")
        assert elements == f"{sum(counts):,}"
        squares = sum(n * float(row["rms_error"]) ** 2 for n, row in zip(counts, mine, strict=True))
        expected = (
            min(float(row["min"]) for row in mine),
            max(float(row["max"]) for row in mine),
            None,
            max(float(row["max_abs_error"]) for row in mine),
            math.sqrt(squares / sum(counts)),
        )
        for figure, wanted in zip(figures, expected, strict=False):
            assert wanted is None or float(figure.replace(",", "")) == pytest.approx(wanted, rel=6e-3)
    assert {row[1] for row in shown_rows} == {row["operator"] for row in rows}


def hovered(text: str, table: str) -> dict[tuple[str, str], str]:
    """What hovering shows, by phase and operator, of a table."""
    part = text.partition(f'<table id="{table}"')[2].partition("</table>")[0]
    if table == "values":
        cells = re.findall(r'<tr><td>(\w+)</td><td>(?:<span class="tip"[^>]* data-tip="([^"]*)"[^>]*>)?([\w.]+)<', part)
        return {(phase, operator): unescape(tip) for phase, tip, operator in cells}
    cells = re.findall(r"<td><(?:button|span)([^>]*)>([\w.]+)<.*?</td><td>(\w+)</td>", part)
    return {(phase, operator): unescape(tip_of(attributes)) for attributes, operator, phase in cells}


def tip_of(attributes: str) -> str:
    found = re.search(r'data-tip="([^"]*)"', attributes)
    return found[1] if found else ""


def test_hovering_over_an_operator_shows_its_range_and_error(result: Result) -> None:
    text, values = run_html(result), values_of(result)
    above, below = (hovered(text, table) for table in ("operators", "values"))
    for where in (("decode", "q"), ("decode", "softmax"), ("prefill", "ffn_down")):
        layers = values.layers()[where]
        low, high = min(each.smallest for each in layers.values()), max(each.largest for each in layers.values())
        found = re.match(r"[\w]+, (\w+): (\S+) to (\S+), rms (\S+)\nerror: rms (\S+) \(.* %", below[where])
        assert found and found[1] == where[0]
        assert (float(found[2]), float(found[3])) == pytest.approx((low, high), rel=6e-3)
        worst = max(layers, key=lambda layer: layers[layer].relative_error)
        assert below[where].endswith(f"in layer {worst}")
        assert above[where] == below[where]
    assert above["decode", "key_append"] == above["decode", "vectors"] == ""  # they make no values


def test_what_hovering_shows_is_reached_by_the_keyboard_and_heard(result: Result) -> None:
    marked = re.findall(r"<(?:span|button)[^>]* data-tip=[^>]*>", run_html(result))
    assert len(marked) > 40
    for each in marked:
        assert 'tabindex="0"' in each or each.startswith("<button")
        assert re.search(r'aria-label="(?:[\w.]+\. )?\w+, (prefill|decode): [^"▁█]+"', each)


def test_what_was_said_stands_beside_the_reference(result: Result, page: Page) -> None:
    values = values_of(result)
    _, *rows = page.tables["said"]
    assert [row[1] for row in rows] == [str(token) for token in values.said.ids]
    assert [row[2] for row in rows] == [str(token) for token in values.reference.ids]
    speech = Speech([1, 2], ["a", "\n"], f"a\n{EVIL}")
    other = replace(values, said=speech, reference=Speech([1], ["a"], "a"), weights=EVIL, agreement=0.5)
    text = run_html(replace(result, values=other))
    second = Page(text)
    assert EVIL not in text and EVIL in second.text
    assert second.tables["said"][1:] == [["1", "1 'a'", "1 'a'"], ["2", "2 '\\n'", ""]]
    assert re.findall(r'<tr class="other"><td class="n">(\d+)', text) == ["2"]
    assert "next token at 50.0 % of the positions" in second.text


def test_rows_of_a_block_of_several_layers_have_the_values_of_their_own() -> None:
    result = watched_run("gemma3")
    values, rows = values_of(result), result.records("operators")
    found = dict(zip(((row["phase"], row["operator"]) for row in rows), tips(result, rows), strict=True))
    for layer in range(6):
        mine = values.moments[Where("decode", "q", layer)]
        assert f"q.{layer}, decode: {mine.smallest:#.3g} to {mine.largest:#.3g}," in found["decode", f"q.{layer}"]
    assert "layers 0 to 5" in found["decode", "scores"]


def test_a_number_that_is_none_is_shown_as_the_worst(result: Result) -> None:
    values = values_of(result)
    where = Where("decode", "v", 1)
    broken = replace(values, moments={**values.moments, where: Moments(1, *[math.nan] * 6)})
    text = run_html(replace(result, values=broken))
    assert "largest nan in layer 1" in text
    assert broken.lines()[1] == "Largest relative error: v in decode, nan (nan in layer 1)"


def test_bars_grow_with_the_values() -> None:
    assert spark([0, 1, 2, 7]) == "▁▂▃█"
    assert spark([0, 0]) == "▁▁" and spark([1, math.inf]) == "██"
    assert spoken("a ▁█ b") == "a  b"


def test_a_browser_shows_the_values_without_an_error(tmp_path: Path, result: Result) -> None:
    page = shown(tmp_path, run_html(result), "#sort=values.relative_error")
    head, *rows = page.tables["values"]
    errors = [float(row[head.index("relative error")]) for row in rows]
    assert errors == sorted(errors, reverse=True)


def test_the_command_asks_the_weights_again(result: Result, page: Page) -> None:
    assert result.provenance is not None and result.values is not None
    line = command(result.config, result.provenance, result.values)
    assert line.startswith("pimsim run pim-gpt --set 'baselines=[]' --values ")
    assert line.endswith(" --prompt-ids 3,17,99 --set workload.output_tokens=3 --out results/pim-gpt")
    assert line in page.text and "model_config" not in line  # which the weights say


def test_a_run_without_values_has_no_such_section() -> None:
    text = run_html(api.run(api.load_config(CONFIG, {"workload.model": "gpt2-small", "workload.output_tokens": 1})))
    assert "data-tip=" not in text and 'id="values"' not in text
