"""What every page can do, on a page of its own: charts by mouse and keyboard, tables, files, dark, phone and paper."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pimsim.report.charts import Chart
from pimsim.report.page import environment, script_json
from tests.browser.browsing import PHONE, downloaded, opened, overflow, small_texts, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TEMPLATE = Path(__file__).with_name("kit.html").read_text(encoding="utf-8")
INK = "var(--ink)"
BARS = Chart(
    "bars",
    "Bars <of> two",
    "two kinds of bars",
    [
        {"type": "bar", "orientation": "h", "name": name, "y": ["p", "q"], "x": xs, "marker": {"color": colour},
         "hoverinfo": "text", "hovertext": [f"{name} of p: {xs[0]} ms", f"{name} of q: {xs[1]} ms"]}
        for name, xs, colour in (("one", [1, 2], "var(--accent)"), ("two", [3, 4], "#D55E00"))
    ],
    {"barmode": "stack", "shapes": [{"type": "line", "x0": 2, "x1": 2, "y0": 0, "y1": 1, "line": {"color": INK}}]},
    columns=("bar", "one", "two"),
    rows=(("p", 1, 3), ("q", 2, 4)),
)  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("kit") / "kit.html"
    made = environment().from_string(TEMPLATE).render(title="kit", charts=[BARS], data=script_json({}))
    file.write_text(made, encoding="utf-8")
    return file


def test_a_mark_says_its_value_and_answers_a_click(page: Path, running: Browser) -> None:
    with opened(running, page) as shown:
        bar = shown.locator(".plot .bars .point path").nth(3)
        bar.hover(force=True)
        shown.locator(".hoverlayer .hovertext", has_text="two of q: 4 ms").wait_for()
        bar.click(force=True)
        assert shown.evaluate("marks") == [[1, 1, "two"]]


def test_the_keyboard_reaches_every_mark(page: Path, running: Browser) -> None:
    with opened(running, page) as shown:
        shown.focus("#chart-bars .plot")
        heard = []
        for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "End", "Enter"):
            shown.keyboard.press(key)
            heard.append(shown.inner_text("#live"))
        assert heard[:6] == ["one: one of p: 1 ms", "one: one of q: 2 ms", "one: one of q: 2 ms",
                             "two: two of q: 4 ms", "two: two of p: 3 ms", "two: two of q: 4 ms"]  # fmt: skip
        assert shown.evaluate("marks") == [[1, 1, "two"]]
        assert shown.get_attribute("#chart-bars .plot", "aria-label") == "Bars <of> two: two kinds of bars"


def test_pictures_and_tables_are_saved(page: Path, running: Browser) -> None:
    with opened(running, page) as shown:
        name, text = downloaded(shown, "[data-save=svg]")
        assert name == "bars.svg"
        assert ElementTree.fromstring(text).tag.endswith("svg")
        assert "Bars <of> two" in "".join(ElementTree.fromstring(text).itertext())
        assert downloaded(shown, "[data-save=csv]") == ("bars.csv", "bar,one,two\np,1,3\nq,2,4\n")
        assert downloaded(shown, "[data-csv=things]") == (
            "things.csv", 'name,size\n"b, ""quoted""",10.5\npart of b,3\na,2\nc,30\n')  # fmt: skip
        shown.fill("[data-for=things]", "C")
        assert downloaded(shown, "[data-csv=things]")[1] == "name,size\nc,30\n"


def test_a_picture_has_the_colours_of_paper(page: Path, running: Browser) -> None:
    pictures = []
    for scheme in ("light", "dark"):
        with opened(running, page, color_scheme=scheme) as shown:
            pictures.append(downloaded(shown, "[data-save=svg]")[1])
            assert shown.evaluate("pimsim.style('--ink')") == ("#1c1e21" if scheme == "light" else "#e6e8eb")
    assert all("rgb(28, 30, 33)" in picture and "rgb(230, 232, 235)" not in picture for picture in pictures)


def test_what_is_heard_is_text(page: Path, running: Browser) -> None:
    with opened(running, page) as shown:
        shown.evaluate("""pimsim.charts.bars.update([{ type: "bar", name: "a &lt; b", x: [1], y: ["p"],
                          hovertext: ["<b>&lt;i&gt; &amp;amp;</b><br>1 ms"] }])""")
        shown.focus("#chart-bars .plot")
        shown.keyboard.press("ArrowRight")
        assert shown.inner_text("#live") == "a < b: <i> &amp;, 1 ms"


@pytest.mark.parametrize("fragment", ["#show=100%", "#sort=100%"])
def test_an_address_that_nobody_can_read_is_none(page: Path, running: Browser, fragment: str) -> None:
    with opened(running, page, fragment) as shown:
        assert shown.evaluate("pimsim.chosen.value") is None


def test_a_table_sorts_with_what_belongs_together(page: Path, running: Browser) -> None:
    def names() -> list[str]:
        return [text[0] for text in shown.locator("#things tbody td:first-child").all_inner_texts()]

    with opened(running, page) as shown:
        shown.click("th[data-name=size] button")
        assert names() == ["c", "b", "p", "a"]
        shown.click("th[data-name=size] button")
        assert names() == ["a", "b", "p", "c"]
        assert shown.get_attribute("th[data-name=size]", "aria-sort") == "ascending"
    with opened(running, page, "#sort=things.name") as shown:
        assert names() == ["a", "b", "p", "c"]


def test_a_text_is_copied(page: Path, running: Browser) -> None:
    with opened(running, page, permissions=["clipboard-read", "clipboard-write"]) as shown:
        shown.click("[data-copy]")
        until(shown, "document.getElementById('live').textContent === 'copied'")
        assert shown.evaluate("navigator.clipboard.readText()") == "pimsim run x"


def test_what_is_chosen_is_in_the_address_and_escape_clears_it(page: Path, running: Browser) -> None:
    with opened(running, page, "#show=p%20q") as shown:
        assert shown.evaluate("shown") == "p q"
        shown.evaluate("pimsim.chosen.set('b')")
        assert shown.url.endswith("#show=b")
        shown.keyboard.press("Escape")
        assert shown.evaluate("shown") is None
        assert "#" not in shown.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_page(page: Path, running: Browser, scheme: str) -> None:
    with opened(running, page, color_scheme=scheme) as shown:
        ink, paper = (shown.evaluate(f"getComputedStyle(document.querySelector('{where}')).{what}")
                      for where, what in ((".plot .xtick text", "fill"), ("body", "backgroundColor")))  # fmt: skip
        dark = [sum(map(int, colour[4:-1].split(","))) < 384 for colour in (ink, paper)]
        assert dark == ([True, False] if scheme == "light" else [False, True])


def test_a_phone_shows_all_of_it(page: Path, running: Browser) -> None:
    with opened(running, page, width=PHONE) as shown:
        assert overflow(shown) == 0
        assert small_texts(shown) == []


def test_paper_has_no_controls_and_a_chart_that_fits(page: Path, running: Browser) -> None:
    with opened(running, page) as shown:
        shown.emulate_media(media="print")
        assert not shown.is_visible("[data-save=svg]")
        until(shown, "document.querySelector('.plot .main-svg').getBoundingClientRect().width <= 700")
        assert shown.pdf(format="A4").startswith(b"%PDF")
