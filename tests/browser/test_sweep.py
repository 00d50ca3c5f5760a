"""The report of a sweep in a browser: what each part of it chooses or keeps, all the others show."""

from __future__ import annotations

import csv
import io
import json
import random
import shlex
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pimsim.sweep
from pimsim import api
from pimsim.config.resolved import config_sha256
from pimsim.report import About, Command, sweep_html
from pimsim.sweep.objectives import Objective
from tests.browser.browsing import PHONE, WIDE, downloaded, opened, overflow, small_texts, until
from tests.conftest import SHIPPED

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LATENCY, ENERGY, AREA = "system.latency_per_token_ns", "system.energy_per_token_pJ", "proxy.area_mm2"
GOALS = [LATENCY, ENERGY, AREA]
POINT = "#chart-scatter path.point[tabindex]"
TINY = {"workload.model_config": {"name": "on", "layers": 2, "d_model": 64, "heads": 4}, "workload.output_tokens": 1}
SWEEP = {
    "name": "grid",
    "base": str(SHIPPED),
    "set": TINY,
    "axes": {"dram.channels": [1, 2, 4, 8, 16], "dram.banks_per_group": [2, 4, 8], "schedule": ["paper", "overlap"]},
    "constraints": ["dram.channels * dram.banks_per_group <= 100"],
    "objectives": GOALS,
}
TRACES = "document.querySelector('#chart-scatter .plot').data"
READY = "document.documentElement.dataset.page === 'yes'"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of 28 points, one with a report of its own."""
    out = tmp_path_factory.mktemp("sweep") / "out"
    pimsim.sweep.run(SWEEP, out=str(out), workers=0, reports=(27,))
    return out


@contextmanager
def page_of(running: Browser, file: Path, fragment: str = "", width: int = WIDE, **options: Any) -> Iterator[Page]:
    with opened(running, file, fragment, width, **options) as shown:
        until(shown, READY, 60)
        yield shown


@pytest.fixture
def page(folder: Path, running: Browser) -> Iterator[Page]:
    with page_of(running, folder / "report.html") as shown:
        yield shown


def settle(page: Page) -> None:
    """Wait until what was asked for is drawn."""
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 60))))"
    )


def count(page: Page) -> str:
    settle(page)
    return page.inner_text("#count")


def listed(page: Page) -> list[int]:
    """The points that the table shows."""
    settle(page)
    return [int(text.rstrip(" ◆")) for text in page.locator("#points tbody th").all_inner_texts()]


def marked(page: Page) -> set[int]:
    """The points that have a mark."""
    settle(page)
    return {
        int(value) for value in page.evaluate(f"[...document.querySelectorAll('{POINT}')].map((n) => n.dataset.point)")
    }


def drag(page: Page, *places: tuple[float, float]) -> None:
    """Drag in the scatter from one place to the next, as shares of its width and height."""
    page.locator("#chart-scatter .plot").scroll_into_view_if_needed()
    box = page.locator("#chart-scatter .nsewdrag").bounding_box()
    assert box
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    page.mouse.move(*at[0])
    page.mouse.down()
    for place in at[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()
    settle(page)


# -- marks ----------------------------------------------------------------------------


def test_every_mark_is_filled_has_a_name_and_reacts_to_the_mouse(page: Page) -> None:
    page.locator("#chart-scatter .plot").scroll_into_view_if_needed()
    found = page.evaluate(
        f"[...document.querySelectorAll('{POINT}')].map((n) => {{"
        " const b = n.getBoundingClientRect(), s = getComputedStyle(n), at = [b.x + b.width / 2, b.y + b.height / 2];"
        " return [n.dataset.point, ...at, s.fill, s.fillOpacity, n.getAttribute('aria-label')]; })"
    )
    assert [int(number) for number, *_ in found] == sorted(
        range(28), key=lambda i: [int(n) for n, *_ in found].index(i)
    )
    assert len(found) == 28
    for number, x, y, fill, opacity, label in found:
        assert fill.startswith("rgb(") and opacity == "1"
        assert label.startswith(f"point {number}") and "latency per token" in label and "channels" in label
        page.mouse.move(2, 2)
        page.mouse.move(x, y)
        page.locator("#chart-scatter .hoverlayer .hovertext", has_text="point ").wait_for()


def test_marks_that_lie_on_each_other_are_opened_one_after_the_other(tmp_path: Path, running: Browser) -> None:
    rows = [{"index": i, "status": "ok", "k": i, "a": 1.0 + (i > 2), "b": 2.0} for i in range(4)]
    file = tmp_path / "page.html"
    file.write_text(sweep_html(rows, ["a", "b"], {}), encoding="utf-8")
    with page_of(running, file) as page:
        seen = []
        for _ in range(4):
            page.locator(POINT).nth(2).click()
            settle(page)
            seen.append(page.inner_text("#chosen"))
        assert seen[0] == seen[3]
        assert set(seen) == {"Point 0", "Point 1", "Point 2"}


def test_the_keyboard_alone_reaches_every_point_and_its_report(page: Page) -> None:
    page.focus("#whole")
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        number = page.evaluate("document.activeElement.dataset.point ?? null")
        seen |= {int(number)} if number is not None else set()
    assert seen == set(range(28))
    page.locator(f"{POINT}[data-point='27']").focus()
    page.keyboard.press("Enter")
    settle(page)
    assert page.evaluate("document.activeElement.id") == "chosen"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "points/27/report.html"
    page.keyboard.press("Enter")
    page.locator("html[data-ready=yes]").wait_for(state="attached")
    assert "latency" in page.inner_text("body")


def test_arrow_keys_walk_the_marks_and_escape_comes_back(page: Page) -> None:
    marks = page.locator(POINT)
    marks.nth(3).focus()
    for key, place in (("ArrowRight", 4), ("ArrowUp", 3), ("End", 27), ("Home", 0), ("ArrowLeft", 0)):
        page.keyboard.press(key)
        assert page.evaluate(f"document.activeElement === document.querySelectorAll('{POINT}')[{place}]"), key
    number = marks.nth(0).get_attribute("data-point")
    page.keyboard.press("Enter")
    settle(page)
    assert page.url.endswith(f"#show={number}")
    assert f"point {number}:" in page.inner_text("#live")
    page.keyboard.press("Escape")
    settle(page)
    assert page.evaluate("document.activeElement.dataset.point") == number
    page.focus("#chart-scatter .plot")
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    settle(page)
    assert page.inner_text("#chosen") == f"Point {marks.nth(1).get_attribute('data-point')}"


# -- a point --------------------------------------------------------------------------


def test_a_point_has_its_figures_configuration_command_and_report(folder: Path, page: Page) -> None:
    row = list(pimsim.sweep.load_result(folder).rows())[27]
    page.locator("#points tbody tr").nth(2).click()
    page.click("#after")
    page.locator("#points tbody tr", has_text="overlap").last.click()
    settle(page)
    panel = page.locator("#point")
    assert panel.locator("#chosen").inner_text() == "Point 27"
    assert panel.locator("a.report").get_attribute("href") == "points/27/report.html"
    assert (folder / "points/27/report.html").exists()
    text = panel.inner_text()
    for words in (
        "dram.channels",
        "16",
        "schedule",
        "overlap",
        "Latency by cause",
        "Energy by component",
        "mac read",
        "the best",
    ):
        assert words in text, words
    words = shlex.split(panel.locator("#command").text_content() or "")
    assert words[:2] == ["pimsim", "run"]
    assert words[-2:] == ["--out", "results/grid-27"]
    sets = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    assert config_sha256(api.load(words[2], sets).config) == row["config_sha256"]
    panel.locator("summary", has_text="set by the sweep").click()
    assert "workload.output_tokens" in panel.inner_text()


def test_causes_and_components_are_bars_beside_their_names(folder: Path, running: Browser) -> None:
    with page_of(running, folder / "report.html", "#show=3") as page:
        boxes = page.evaluate(
            "[...document.querySelectorAll('#point .bars')].flatMap((bars) => [...bars.children])"
            ".map((node) => [node.className, ...['y', 'width', 'height'].map((k) => node.getBoundingClientRect()[k])])"
        )
        bars = page.evaluate(
            "[...document.querySelectorAll('#point .bar')]"
            ".map((node) => [node.offsetHeight, getComputedStyle(node).backgroundColor])"
        )
    assert len(boxes) > 9
    for (_, y, _, high), (_, beside, _, _), (_, after, _, _) in zip(boxes[::3], boxes[1::3], boxes[2::3], strict=True):
        assert abs(y - beside) < high and abs(y - after) < high
    assert all(height > 9 and colour == "rgb(0, 114, 178)" for height, colour in bars)


def test_a_command_is_copied(folder: Path, running: Browser) -> None:
    with page_of(running, folder / "report.html", "#show=3", permissions=["clipboard-read", "clipboard-write"]) as page:
        page.click("#copy")
        until(page, "document.getElementById('live').textContent === 'copied'")
        assert page.evaluate("navigator.clipboard.readText()") == page.locator("#command").text_content()
        assert "Its own report was not made" in page.inner_text("#point")
        assert "pimsim sweep" not in page.inner_text("#point")  # of a sweep that is no file


def test_the_best_point_is_one_click_away(page: Page) -> None:
    page.locator("#points tbody tr").nth(0).click()
    settle(page)
    button = page.locator("#point td button").first
    name = button.inner_text()
    button.click()
    settle(page)
    assert page.inner_text("#chosen").lower() == name
    page.locator("#point button", has_text="Close").click()
    assert "Choose a point" in page.inner_text("#point")


# -- brushing -------------------------------------------------------------------------


def test_a_range_of_a_rail_is_kept_by_all_parts(folder: Path, page: Page) -> None:
    rows = list(pimsim.sweep.load_result(folder).rows())
    kept = {row["index"] for row in rows if row["dram.channels"] <= 8}
    page.focus('.axis[data-name="dram.channels"] .end.to')
    page.keyboard.press("ArrowDown")
    assert count(page) == f"{len(kept)} of 28 points"
    assert set(listed(page)) == marked(page) == kept
    assert page.get_attribute('.axis[data-name="dram.channels"] .end.to', "aria-valuetext") == "8"
    page.focus('.axis[data-name="dram.channels"] .end.from')
    page.keyboard.press("End")
    assert marked(page) == {row["index"] for row in rows if row["dram.channels"] == 8}
    page.click('.axis[data-name="dram.channels"] .name')
    assert count(page) == "28 of 28 points"


def test_points_without_a_figure_are_brushed_below_the_rail(tmp_path: Path, running: Browser) -> None:
    rows = some_missing(60)
    without, low = {row["index"] for row in rows if row["b"] is None}, min(r["b"] for r in rows if r["b"] is not None)
    file = tmp_path / "page.html"
    file.write_text(sweep_html(rows, ["a", "b"], {}), encoding="utf-8")
    with page_of(running, file) as page:
        box = page.locator('.axis[data-name="b"] .rail').bounding_box()
        assert box
        x, bottom = box["x"] + box["width"] / 2, box["y"] + box["height"]
        page.mouse.move(x, bottom + 34)
        page.mouse.down()
        page.mouse.move(x, bottom + 10, steps=4)
        page.mouse.up()
        assert count(page) == f"{len(without)} of 60 points"
        assert set(listed(page)) <= without
        page.keyboard.press("Escape")
        assert count(page) == "60 of 60 points"
        end = page.locator('.axis[data-name="b"] .end.to')  # the same by keyboard, and one step more
        end.focus()
        page.keyboard.press("Home")
        assert count(page) == f"{len(without)} of 60 points"
        assert end.get_attribute("aria-valuetext") == "none"
        page.keyboard.press("ArrowUp")
        assert count(page) == f"{len(without) + sum(row['b'] == low for row in rows)} of 60 points"
        start = page.locator('.axis[data-name="b"] .end.from')
        page.keyboard.press("End")
        assert count(page) == "60 of 60 points"
        start.focus()
        page.keyboard.press("ArrowUp")
        assert count(page) == f"{60 - len(without)} of 60 points"


def test_rails_are_dragged_and_cleared_by_a_click(folder: Path, page: Page) -> None:
    rows = list(pimsim.sweep.load_result(folder).rows())
    high = max(row[ENERGY] for row in rows)
    low = min(row[ENERGY] for row in rows)
    box = page.locator(f'.axis[data-name="{ENERGY}"] .rail').bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"]
    page.mouse.move(x, y + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(x, y + box["height"] + 30, steps=8)
    page.mouse.up()
    kept = {row["index"] for row in rows if row[ENERGY] <= (low + high) / 2}
    assert 0 < len(kept) < 28
    assert marked(page) == kept
    page.click('.axis[data-name="schedule"] .name')
    assert marked(page) == kept
    page.mouse.click(x, y + 5)
    assert marked(page) == set(range(28))


@pytest.mark.parametrize("log", [False, True])
def test_a_box_in_the_scatter_is_kept_by_all_parts(folder: Path, page: Page, log: bool) -> None:
    if log:
        page.check("#xlog")
        page.check("#ylog")
        settle(page)
    drag(page, (0.0, 0.4), (0.5, 1.0))
    kept = marked(page)
    assert 0 < len(kept) < 28
    assert set(listed(page)) == kept
    assert count(page) == f"{len(kept)} of 28 points"
    rows = {row["index"]: row for row in pimsim.sweep.load_result(folder).rows()}
    left_out = [rows[i] for i in rows if i not in kept]
    assert all(any(row[goal] > max(rows[i][goal] for i in kept) for goal in (LATENCY, ENERGY)) for row in left_out)
    page.keyboard.press("Escape")
    assert count(page) == "28 of 28 points"


def test_a_lasso_keeps_what_lies_in_it(page: Page) -> None:
    page.click("[data-drag=lasso]")
    assert page.get_attribute("[data-drag=lasso]", "aria-pressed") == "true"
    drag(page, (0.0, 0.3), (0.6, 0.3), (0.6, 1.0), (0.0, 1.0), (0.0, 0.35))
    kept = marked(page)
    assert 0 < len(kept) < 28
    assert set(listed(page)) == kept
    page.select_option("#x", AREA)
    assert count(page) == "28 of 28 points"


def test_what_is_zoomed_stays_until_all_of_it_is_asked_for(page: Page) -> None:
    def ranges() -> list[list[float]]:
        return list(
            page.evaluate(
                "['xaxis', 'yaxis'].map((a) => document.querySelector('#chart-scatter .plot')._fullLayout[a].range)"
            )
        )

    settle(page)
    whole = ranges()
    page.click("[data-drag=zoom]")
    drag(page, (0.2, 0.2), (0.6, 0.7))
    zoomed = ranges()
    assert zoomed != whole
    page.fill("#words", "overlap")
    settle(page)
    assert ranges() == zoomed
    page.click("#whole")
    settle(page)
    assert ranges() == whole


def test_ranges_boxes_and_words_are_kept_together(page: Page) -> None:
    page.fill("#words", "overlap channels>=4")
    both = marked(page)
    assert both and all(number % 2 for number in both)
    page.focus('.axis[data-name="dram.banks_per_group"] .end.from')
    page.keyboard.press("ArrowUp")
    fewer = marked(page)
    assert fewer < both
    page.click("#clear")
    assert count(page) == "28 of 28 points"
    assert page.input_value("#words") == ""
    assert page.is_disabled("#clear")


def test_a_name_is_compared_in_its_own_unit_and_a_label_in_that_of_the_page(tmp_path: Path, running: Browser) -> None:
    rows = [{"index": i, "status": "ok", "k": i, LATENCY: 5e4 * (i + 1)} for i in range(4)]
    file = tmp_path / "page.html"
    file.write_text(sweep_html(rows, [LATENCY], {}), encoding="utf-8")
    with page_of(running, file) as page:
        for words in ("latency_per_token_ns>100000", f"{LATENCY}>100000", "latencypertoken>100"):
            page.fill("#words", words)
            assert listed(page) == [2, 3], words


def test_a_point_beside_a_base_without_the_figure_has_no_difference(tmp_path: Path, running: Browser) -> None:
    rows = [{"index": i, "status": "ok", "k": i, "a": i, "b": i if i else None} for i in range(3)]
    file = tmp_path / "page.html"
    file.write_text(sweep_html(rows, ["a", "b"], {}, About(design="one_at_a_time", keys=("k",))), encoding="utf-8")
    with page_of(running, file, "#show=2") as page:
        cells = page.locator("#point table").first.locator("tr", has_text="b").last.locator("td").all_inner_texts()
        assert cells[-1] == "-"
        assert "NaN" not in page.inner_text("#point")


def test_nothing_is_kept_and_it_says_so(page: Page) -> None:
    page.fill("#words", "no such words")
    assert count(page) == "0 of 28 points"
    assert page.inner_text("#rows") == "no rows"
    assert marked(page) == set()


# -- the front ------------------------------------------------------------------------


def steps_of(page: Page) -> list[tuple[float, float]]:
    settle(page)
    x, y = page.evaluate(f"(() => {{ const t = {TRACES}.find((t) => t.name === 'front'); return [t.x, t.y]; }})()")
    return list(zip(x, y, strict=True))[1:-1]


def test_steps_are_the_front_of_what_is_shown(folder: Path, page: Page) -> None:
    rows = list(pimsim.sweep.load_result(folder).rows())

    def front(some: list[dict[str, Any]]) -> list[tuple[float, float]]:
        best = sorted({(row[LATENCY], row[ENERGY]) for row in some})
        return [pair for pair in best if not any(q != pair and q[0] <= pair[0] and q[1] <= pair[1] for q in best)]

    def shown() -> list[tuple[float, float]]:
        factors = page.evaluate("pimsim.json('data').columns.filter((c) => c.goal).map((c) => c.factor)")
        return [(x * factors[0], y * factors[1]) for x, y in steps_of(page)]

    assert shown() == [pytest.approx(pair) for pair in front(rows)]
    page.fill("#words", "paper")
    assert shown() == [pytest.approx(pair) for pair in front([row for row in rows if row["schedule"] == "paper"])]
    assert "beats in both (lower latency per token, lower energy per token)" in page.inner_text("#front")
    page.select_option("#x", "dram.channels")
    settle(page)
    assert page.evaluate("document.querySelector('#chart-scatter .plot').data.every((t) => t.name !== 'front')")


def some_missing(count_: int) -> list[dict[str, Any]]:
    """Points with ties; a third of them has only one figure, or none."""
    drawn = random.Random(3)
    rows = []
    for i in range(count_):
        a, b = (drawn.randrange(20) if drawn.random() > 0.2 else None for _ in "ab")
        rows.append({"index": i, "status": "ok", "k": i, "a": a, "b": b})
    return rows


@pytest.mark.parametrize("goals", [["a", "b"], ["-a", "b"], ["a", "-b"], ["-a", "-b"]])
def test_steps_go_the_way_that_the_objectives_say(goals: list[str], tmp_path: Path, running: Browser) -> None:
    rows = some_missing(60)
    signs = [-1 if goal.startswith("-") else 1 for goal in goals]
    costs = {(signs[0] * row["a"], signs[1] * row["b"]) for row in rows if None not in (row["a"], row["b"])}
    best = [c for c in sorted(costs) if not any(o != c and o[0] <= c[0] and o[1] <= c[1] for o in costs)]
    file = tmp_path / "page.html"
    file.write_text(sweep_html(rows, goals, {}), encoding="utf-8")
    with page_of(running, file) as page:
        assert [(signs[0] * x, signs[1] * y) for x, y in steps_of(page)] == best


# -- the table and files --------------------------------------------------------------


def test_the_table_sorts_and_turns_pages(folder: Path, page: Page) -> None:
    rows = list(pimsim.sweep.load_result(folder).rows())
    assert listed(page) == list(range(25))
    page.click("#after")
    assert listed(page) == [25, 26, 27]
    assert page.inner_text("#rows") == "rows 26 to 28 of 28"
    page.click(f'#points th[data-name="{LATENCY}"] button')
    by = sorted(rows, key=lambda row: (row[LATENCY], row["index"]))
    assert listed(page) == [row["index"] for row in by[:25]]
    page.click(f'#points th[data-name="{LATENCY}"] button')
    assert page.get_attribute(f'#points th[data-name="{LATENCY}"]', "aria-sort") == "descending"
    assert listed(page)[0] == by[-1]["index"]


def test_the_rows_that_are_kept_are_saved_as_they_are(folder: Path, page: Page) -> None:
    rows = list(pimsim.sweep.load_result(folder).rows())
    page.fill("#words", "overlap")
    settle(page)
    name, text = downloaded(page, "#csv")
    saved = list(csv.DictReader(io.StringIO(text)))
    assert name == "points.csv"
    assert [int(row["index"]) for row in saved] == [row["index"] for row in rows if row["schedule"] == "overlap"]
    for found, row in zip(saved, (row for row in rows if row["schedule"] == "overlap"), strict=True):
        assert found["point_id"] == row["point_id"]
        assert [float(found[goal]) for goal in GOALS] == [row[goal] for goal in GOALS]


def test_pictures_are_saved(page: Page) -> None:
    page.fill("#words", "paper")
    settle(page)
    for name, selector in (("parallel.svg", "#parallel-svg"), ("scatter.svg", "#chart-scatter [data-save=svg]")):
        saved, text = downloaded(page, selector)
        assert saved == name
        assert ElementTree.fromstring(text).tag.endswith("svg")
        assert "latency per" in text


def test_texts_of_a_sweep_are_no_markup_and_no_formulas(tmp_path: Path, running: Browser) -> None:
    evil = "=<img src=x onerror=alert(1)><br>"
    rows = [
        {"index": i, "status": "ok", "error": None, "k": evil if i else "fine", "a": i, "b": 3 - i} for i in range(3)
    ]
    rows.append({"index": 3, "status": "infeasible", "error": evil, "k": evil})
    file = tmp_path / "page.html"
    file.write_text(
        sweep_html(rows, ["a", "b"], {"title": evil}, About(keys=("k",), command=Command(("pimsim",)))),
        encoding="utf-8",
    )
    with page_of(running, file, "#show=1") as page:
        assert page.locator("img").count() == 0
        assert evil in page.inner_text("#point")
        assert "'=<img" in downloaded(page, "#csv")[1]
        page.locator(POINT).nth(1).hover()
        assert evil in (page.locator("#chart-scatter .hoverlayer").first.text_content() or "").replace("\n", "")


# -- points that were not simulated ---------------------------------------------------


def test_points_without_figures_are_counted_listed_and_shown(tmp_path: Path, running: Browser) -> None:
    rows: list[dict[str, Any]] = [
        {"index": i, "status": "ok", "error": None, "k": i, "a": i, "b": 9 - i} for i in range(5)
    ]
    rows += [{"index": i, "status": "infeasible", "error": "too many", "k": i} for i in (5, 6)]
    rows += [{"index": 7, "status": "failed", "error": "no memory", "k": 7}]
    file = tmp_path / "page.html"
    file.write_text(sweep_html(rows, ["a", "b"], {}), encoding="utf-8")
    with page_of(running, file) as page:
        assert "8 points, 5 simulated, 3 not" in page.inner_text("header")
        assert "3 of 8 points have no such figures and are not drawn" in page.inner_text("#front")
        page.locator("#failed button").first.click(force=True)
        page.fill("#words", "ok")
        page.locator("[data-status=infeasible]").click()
        assert page.input_value("#words") == ""
        assert listed(page) == [5, 6]
        page.locator("#points tbody tr").first.click()
        settle(page)
        assert "too many" in page.inner_text("#point")
        assert page.locator('.axis[data-name="a"] .tick', has_text="none").count() == 1


@pytest.mark.parametrize(
    "rows",
    [
        [{"index": 0, "status": "ok", "a": 1.0, "b": 2.0}],
        [{"index": 0, "status": "infeasible", "error": "no"}],
        [
            {"index": 0, "status": "infeasible", "error": "no", "k": 1},
            {"index": 1, "status": "failed", "error": "x", "k": 2},
        ],
        [{"index": i, "status": "ok", "k": "only", "a": 1.0, "b": 2.0} for i in range(3)],
        [{"index": i, "status": "ok", "k": i % 2 == 0, "a": None, "b": i} for i in range(3)],
        [{"index": i, "status": "ok", "k": None if i else 3, "a": -i, "b": 0} for i in range(3)],
    ],
    ids=["one", "none good", "all bad", "constant", "null", "negative"],
)
def test_odd_sweeps_have_a_page(rows: list[dict[str, Any]], tmp_path: Path, running: Browser) -> None:
    file = tmp_path / "page.html"
    file.write_text(sweep_html(rows, ["a", "b"], {}), encoding="utf-8")
    with page_of(running, file) as page:
        assert count(page).startswith(f"{len(rows)} of {len(rows)} point")
        assert listed(page) == [row["index"] for row in rows]
        page.locator("#points tbody tr").first.click()
        settle(page)
        assert page.inner_text("#chosen") == "Point 0"


# -- every window ---------------------------------------------------------------------


def test_a_phone_shows_all_of_it(folder: Path, running: Browser) -> None:
    with page_of(running, folder / "report.html", "#show=27", PHONE, has_touch=True) as page:
        assert overflow(page) == 0
        assert small_texts(page) == []
        page.locator(POINT).nth(5).tap()
        settle(page)
        assert overflow(page) == 0


def test_paper_has_the_charts_every_row_and_no_controls(page: Page) -> None:
    page.locator("#points tbody tr").nth(2).click()
    page.emulate_media(media="print")
    settle(page)
    assert not page.is_visible("#words")
    assert page.is_visible("#chosen") and page.is_visible("#count")
    assert page.is_visible("#point td button")  # the point beside which it stands
    assert "colour: schedule" in page.inner_text("#colours")
    assert not page.is_visible("#colour")
    assert not page.is_visible("#clear")
    assert page.is_visible("#parallel svg")
    assert len(listed(page)) == 28
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_columns_and_colours_are_the_readers_choice(page: Page) -> None:
    page.locator(".chooser summary").click()
    page.uncheck('#axes input[value="schedule"]')
    page.check('#axes input[value="system.mac_utilization"]')
    names = page.evaluate("[...document.querySelectorAll('.axis')].map((n) => n.dataset.name)")
    assert names == ["dram.channels", "dram.banks_per_group", *GOALS, "system.mac_utilization"]
    fills = f"[...document.querySelectorAll('{POINT}')].map((n) => getComputedStyle(n).fill).join()"
    before = page.evaluate(fills)
    page.select_option("#colour", AREA)
    settle(page)
    assert page.evaluate(fills) != before
    assert page.locator("#colours i").count() == 5


def test_a_tornado_counts_the_base_where_a_point_says_nothing(tmp_path: Path, running: Browser) -> None:
    sweep = {
        "base": str(SHIPPED),
        "set": TINY,
        "axes": {"one_at_a_time": {"dram.channels": [4, 16], "asic.clock_GHz": [0.5, 2]}},
        "objectives": GOALS[:2],
    }
    pimsim.sweep.run(sweep, out=str(tmp_path / "out"), workers=0)
    with page_of(running, tmp_path / "out" / "report.html", "#show=1") as page:
        assert page.locator('[data-chart^="effects"]').count() == 2
        page.focus("#chart-effects-0 .plot")
        page.keyboard.press("ArrowRight")
        assert "asic.clock_GHz = " in page.inner_text("#live")
        assert page.locator("#points tbody tr").nth(1).locator("td").all_inner_texts()[:2] == ["4", "1"]
        assert "beside the base" in page.inner_text("#point")
        assert "asic.clock_GHz" not in page.inner_text("#command")
        name, text = downloaded(page, "#chart-effects-0 [data-save=csv]")
        assert name == "effects-0.csv"
        assert text.startswith("objective,key,base,low,high,low_at,high_at,swing\nsystem.latency_per_token_ns,")


def test_a_tornado_s_base_is_a_value_of_its_kind(tmp_path: Path, running: Browser) -> None:
    """Of a boolean it is one of the values; of many numbers it lies on the rail; a point elsewhere is no base."""
    given = [{"flag": True}, {"flag": False}, *({"n": n} for n in range(1, 15)), {"once": 7}]
    rows = [
        {"index": i, "status": "ok", "flag": None, "n": None, "once": None, "a": i, **values}
        for i, values in enumerate([{}, *given])
    ]
    rows[-1] |= {"status": "infeasible", "error": "no", "a": None}
    base = [("flag", "false", "default"), ("n", "20", "base"), ("once", "3", "base")]
    effects = pimsim.sweep.tornado(rows, ["flag", "n", "once"], [Objective("a")])
    about = About(design="one_at_a_time", keys=("flag", "n", "once"), inputs=base, effects=effects)
    whole, part = tmp_path / "whole.html", tmp_path / "part.html"
    whole.write_text(sweep_html(rows, ["a"], {}, about), encoding="utf-8")
    part.write_text(sweep_html(rows[1:], ["a"], {}, replace(about, shard="2/2", effects=())), encoding="utf-8")
    with page_of(running, whole, "#show=1") as page:

        def rail(name: str) -> list[str]:
            return page.locator(f'.axis[data-name="{name}"] .tick').all_inner_texts()

        assert sorted(rail("flag")) == ["false", "true"]
        assert "none" not in rail("n") and rail("n")[-1] == "20"
        assert rail("once") == ["3", "7"]
        assert "beside the base" in page.inner_text("#point")
        assert "7: no figure" in (page.locator("#chart-effects-0 .plot").text_content() or "")
        page.focus("#chart-effects-0 .plot")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("End")
        assert page.inner_text("#live").endswith("once: 7: no figure")
    with page_of(running, part, "#show=1") as page:
        assert page.locator("#point .tag", has_text="the base").count() == 0
        assert "beside the best" in page.inner_text("#point")
        assert "shard 2/2" in page.inner_text(".warnings")
        assert "need every point of the sweep" in page.inner_text("section[aria-label=sensitivity]")


def test_a_value_that_is_null_is_in_the_command(tmp_path: Path, running: Browser) -> None:
    rows = [{"index": i, "status": "ok", "k": k, "a": i} for i, k in enumerate([None, "x"])]
    file = tmp_path / "page.html"
    about = About(keys=("k",), command=Command(("pimsim", "run", "b")), inputs=[("k", "y", "base")])
    file.write_text(sweep_html(rows, ["a"], {}, about), encoding="utf-8")
    with page_of(running, file, "#show=0") as page:
        assert page.inner_text("#command") == "pimsim run b --set k=null"
        assert page.locator("#point tr", has_text="k").last.locator("td").all_inner_texts() == ["null", "y"]


def test_objectives_stay_on_the_page_beside_many_inputs(tmp_path: Path, running: Browser) -> None:
    rows = [{"index": i, "status": "ok", **{f"k{k}": i for k in range(20)}, "a": i, "b": -i} for i in range(3)]
    file = tmp_path / "page.html"
    file.write_text(sweep_html(rows, ["a", "b"], {}, About(keys=tuple(f"k{k}" for k in range(20)))), encoding="utf-8")
    with page_of(running, file) as page:
        names = page.evaluate("[...document.querySelectorAll('.axis')].map((n) => n.dataset.name)")
        assert names == [*(f"k{k}" for k in range(10)), "a", "b"]


def test_figures_that_lie_close_are_told_apart(tmp_path: Path, running: Browser) -> None:
    rows = [{"index": i, "status": "ok", "k": i, AREA: 285.03 + i / 100, "b": 1.0 * i} for i in range(3)]
    file = tmp_path / "page.html"
    file.write_text(sweep_html(rows, [AREA, "b"], {}), encoding="utf-8")
    with page_of(running, file) as page:
        cells = page.locator("#points tbody tr td:nth-child(3)").all_inner_texts()
        assert cells == ["285.0300", "285.0400", "285.0500"]
        ticks = [
            page.locator(f'.axis[data-name="{AREA}"] .tick').all_inner_texts(),
            page.locator("#chart-scatter .xtick text").all_text_contents(),
        ]
        assert all(len(found) > 2 and len({*found}) == len(found) for found in ticks)


def test_numbers_are_sorted_before_texts(tmp_path: Path, running: Browser) -> None:
    rows = [{"index": i, "status": "ok", "k": k, "a": i} for i, k in enumerate([3, "auto", 10, "all", 2])]
    file = tmp_path / "page.html"
    file.write_text(sweep_html(rows, ["a"], {}, About(keys=("k",))), encoding="utf-8")
    with page_of(running, file) as page:
        page.click('#points th[data-name="k"] button')
        assert listed(page) == [4, 0, 2, 3, 1]


def test_a_sweep_that_is_not_whole_says_what_is_missing(tmp_path: Path, running: Browser) -> None:
    rows = [{"index": i, "status": "ok", "k": i, "a": i, "b": -i} for i in range(6)]
    file = tmp_path / "page.html"
    command = "pimsim sweep 'my sweeps/s.yaml' --shard 2/3 --resume"
    about = About(go_on=command, shard="2/3", unfinished=18, total=30, numbers="journal.jsonl")
    file.write_text(sweep_html(rows, ["a", "b"], {}, about), encoding="utf-8")
    with page_of(running, file) as page:
        told = page.inner_text(".warnings")
        assert "18 of 30 points are not simulated yet" in told  # whatever number of the others the page has
        assert command in told
        assert "shard 2/3" in told
        page.click("#points tbody tr")
        assert f"{command} --reports 0" in page.inner_text("#point")


# -- many points ----------------------------------------------------------------------


def many(count_: int) -> list[dict[str, Any]]:
    drawn = random.Random(1)
    rows = []
    for i in range(count_):
        channels, clock = drawn.choice([1, 2, 4, 8]), round(drawn.uniform(0.25, 2), 3)
        figures = {
            LATENCY: 3e5 / channels * (1 + 0.3 / clock) * drawn.uniform(1, 2),
            ENERGY: 1e9 * (1 + 0.1 * channels) * drawn.uniform(1, 2),
        }
        rows.append({"index": i, "status": "ok", "dram.channels": channels, "asic.clock_GHz": clock, **figures})
    return rows


def test_a_hundred_thousand_points_are_brushed_while_one_waits(tmp_path: Path, running: Browser) -> None:
    rows = many(100_000)
    file = tmp_path / "page.html"
    best = min(rows, key=lambda row: row[LATENCY])["index"]
    file.write_text(sweep_html(rows, [LATENCY, ENERGY], {}, About(front=(best,))), encoding="utf-8")
    assert file.stat().st_size < 15e6
    with page_of(running, file) as page:
        assert count(page) == "100,000 of 100,000 points"
        assert 0 < len(marked(page)) <= 500
        assert page.locator(f"{POINT}[data-point='{best}']").count() == 1
        started = page.evaluate("performance.now()")
        page.focus('.axis[data-name="dram.channels"] .end.to')
        page.keyboard.press("ArrowDown")
        kept = sum(row["dram.channels"] <= 4 for row in rows)
        assert count(page) == f"{kept:,} of 100,000 points"
        assert page.evaluate("performance.now()") - started < 5000  # a slow machine; docs/report.md has figures
        page.fill("#words", "latencypertoken<100 channels=4")
        settle(page)
        assert len(listed(page)) == 25
        drag(page, (0.0, 0.0), (0.02, 1.0))
        page.click("#last")
        assert listed(page)
        page.keyboard.press("Escape")
        assert count(page) == "100,000 of 100,000 points"


def test_a_click_on_a_density_keeps_its_points(tmp_path: Path, running: Browser) -> None:
    rows = [{"index": i, "status": "ok", "k": i, "a": float(i % 3), "b": float(i % 3)} for i in range(900)]
    file = tmp_path / "page.html"
    file.write_text(sweep_html(rows, ["a", "b"], {}), encoding="utf-8")
    with page_of(running, file) as page:
        page.locator("#chart-scatter .plot").scroll_into_view_if_needed()
        at = page.evaluate(
            "(() => { const g = document.querySelector('#chart-scatter .plot'), l = g._fullLayout;"
            " const b = g.getBoundingClientRect();"
            " return [b.x + l.xaxis._offset + l.xaxis.d2p(1), b.y + l.yaxis._offset + l.yaxis.d2p(1)]; })()"
        )
        page.mouse.click(*at)
        assert count(page) == "300 of 900 points"
        assert len(marked(page)) == 300


def test_data_that_is_read_is_data_that_was_written(folder: Path, page: Page) -> None:
    rows = list(pimsim.sweep.load_result(folder).rows())
    data = json.loads(page.evaluate("JSON.stringify(pimsim.json('data'))"))
    assert data["count"] == len(rows)
    page.click("#csv", trial=True)
    saved = list(csv.DictReader(io.StringIO(downloaded(page, "#csv")[1])))
    for found, row in zip(saved, rows, strict=True):
        for name in ("system.cycles", "system.energy_pJ", *GOALS):
            assert float(found[name]) == row[name]
