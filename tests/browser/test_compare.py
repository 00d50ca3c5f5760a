"""The page of a comparison: every part follows what is chosen, tables and files, phone, dark and paper."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ElementTree
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pimsim
from pimsim.comparison import Comparison
from tests.browser.browsing import PHONE, downloaded, opened, overflow, small_texts, until
from tests.compare.conftest import TINY, run_of
from tests.conftest import SHIPPED

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AIM = SHIPPED.with_name("aim.yaml")
FILLED = "document.documentElement.dataset.filled === 'yes'"


@pytest.fixture(scope="module")
def two() -> Comparison:
    return pimsim.compare([run_of(), run_of(AIM)])


@pytest.fixture(scope="module")
def page(two: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("compare") / "two.html"
    two.save(file)
    return file


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("compare") / "four.html"
    runs = [run_of(), run_of(AIM), run_of(dram__channels=4), run_of(workload__output_tokens=5)]
    pimsim.compare(runs).save(file)
    return file


def titles(shown: Page) -> list[str]:
    return shown.locator(".chart h3").all_inner_texts()


def rows(shown: Page, table: str) -> list[str]:
    """The first cell of each row that is seen."""
    return shown.locator(f"#{table} tbody tr:visible td:first-child").all_inner_texts()


def bars(shown: Page, chart: str) -> list[str]:
    return list(shown.evaluate(f"pimsim.charts.{chart}.spec.traces[0].customdata"))


def click_bar(shown: Page, chart: str, key: str) -> None:
    click_mark(shown, chart, bars(shown, chart).index(key))


def click_mark(shown: Page, chart: str, at: int) -> None:
    """A click, as of somebody who sees what is under the mouse before: plotly takes no other."""
    bar = shown.locator(f"#chart-{chart} .bars .point path").nth(at)
    bar.hover(force=True)
    shown.locator(f"#chart-{chart} .hoverlayer .hovertext").first.wait_for()
    bar.click(force=True)


def test_inputs_come_first_and_can_be_told_apart(page: Path, running: Browser, two: Comparison) -> None:
    by_role = {role: [each["key"] for each in two.summary["inputs"] if each["role"] == role]
               for role in ("decides", "follows", "names")}  # fmt: skip
    with opened(running, page) as shown:
        assert shown.locator("h2").first.inner_text() == "Inputs that differ"
        assert rows(shown, "inputs") == by_role["decides"][:12]
        shown.click("#unfold")
        assert rows(shown, "inputs") == by_role["decides"] and not shown.is_visible("#unfold")
        shown.click("[data-role=names]:not(tr)")
        assert rows(shown, "inputs") == by_role["decides"] + by_role["names"]
        shown.click("[data-role=decides]:not(tr)")
        assert rows(shown, "inputs") == by_role["names"]
        shown.fill("[data-for=inputs]", "nothing has this")
        assert rows(shown, "inputs") == []


def test_a_filter_finds_inputs_that_were_folded(page: Path, running: Browser) -> None:
    with opened(running, page) as shown:
        shown.fill("[data-for=inputs]", "IDD0")
        assert rows(shown, "inputs") == ["dram.power.IDD0_mA"]
        name, text = downloaded(shown, "[data-csv=inputs]")
        assert name == "inputs.csv" and [each["key"] for each in csv.DictReader(StringIO(text))] == [
            "dram.power.IDD0_mA"
        ]


def test_a_cause_leaves_its_operators(page: Path, running: Browser, two: Comparison) -> None:
    has = [each["operator"] for each in two.summary["operators"] if "refresh" in each["causes"]]
    with opened(running, page) as shown:
        until(shown, FILLED)
        assert titles(shown) == ["Latency by cause", "Energy by component", "Operators that differ most"]
        every = rows(shown, "operators")
        click_bar(shown, "causes", "cause:refresh")
        until(shown, "document.querySelector('#only b').textContent === 'refresh'")
        assert titles(shown)[2] == "Operators that differ most: refresh"
        assert sorted(rows(shown, "operators")) == sorted(has) and len(has) < len(every)
        assert shown.inner_text("#kept") == f"{len(has)} of {len(every)} operators"
        assert shown.url.endswith("#show=cause%3Arefresh")
        shown.click("#only button")
        assert rows(shown, "operators") == every and not shown.is_visible("#only")
        assert titles(shown)[2] == "Operators that differ most"


def test_a_component_shows_its_energy_by_operator(page: Path, running: Browser) -> None:
    with opened(running, page, "#show=component:io") as shown:
        until(shown, FILLED)
        assert titles(shown)[2] == "Operators that differ most: I/O"
        assert "energy" in (shown.text_content("#chart-operators .xtitle") or "")
        shown.keyboard.press("Escape")
        until(shown, "pimsim.charts.operators.spec.title === 'Operators that differ most'")
        assert "latency" in (shown.text_content("#chart-operators .xtitle") or "")


def test_an_operator_shows_what_its_difference_is_made_of(page: Path, running: Browser, two: Comparison) -> None:
    (found,) = (each for each in two.summary["operators"] if each["operator"] == "qkv")
    with opened(running, page) as shown:
        until(shown, FILLED)
        click_bar(shown, "operators", "operator:decode qkv")
        until(shown, "document.querySelector('#only b').textContent === 'qkv'")
        assert titles(shown)[:2] == ["Latency by cause of qkv", "Energy by component of qkv"]
        assert shown.locator("tr.chosen").get_attribute("data-key") == "operator:decode qkv"
        table = list(csv.DictReader(StringIO(downloaded(shown, "#chart-causes [data-save=csv]")[1])))
        assert {each["cause"]: float(each["aim"]) for each in table if each["cause"] != "total"} == {
            name: values[1] for name, values in found["causes"].items()
        }
        assert [float(table[-1][name]) for name in ("pim-gpt", "aim")] == found["latency"]["values"]
        shown.wait_for_timeout(400)  # two clicks within 300 ms are a double click, which plotly takes for another thing
        click_bar(shown, "operators", "operator:decode qkv")
        until(shown, "document.querySelector('#only').hidden")


def test_an_operator_is_chosen_in_the_table_and_by_keyboard(page: Path, running: Browser) -> None:
    with opened(running, page) as shown:
        until(shown, FILLED)
        shown.focus("[data-choose='operator:decode softmax']")
        shown.keyboard.press("Enter")
        until(shown, "document.querySelector('#only b').textContent === 'softmax'")
        shown.keyboard.press("Escape")
        shown.focus("#chart-causes .plot")
        shown.keyboard.press("ArrowRight")
        assert shown.inner_text("#live").startswith("pim-gpt: ")
        shown.keyboard.press("ArrowRight")
        heard = shown.inner_text("#live")
        shown.keyboard.press("Enter")
        until(shown, "!document.querySelector('#only').hidden")
        assert heard.startswith(shown.inner_text("#only b") + ": ")
        assert "pim-gpt: " in heard and "aim: " in heard


def test_a_bar_says_the_value_of_each_run(page: Path, running: Browser) -> None:
    with opened(running, page) as shown:
        until(shown, FILLED)
        shown.locator("#chart-causes .bars .point path").nth(1).hover(force=True)
        said = shown.locator("#chart-causes .hoverlayer .hovertext").text_content() or ""
        assert "pim-gpt: " in said and "aim: " in said


def test_tables_sort_and_are_saved_in_full(page: Path, running: Browser, two: Comparison) -> None:
    with opened(running, page) as shown:
        until(shown, FILLED)
        shown.click("#operators th[data-name='latency aim'] button")
        values = {each["operator"]: each["latency"]["values"][1] for each in two.summary["operators"]}
        found = [name for name in rows(shown, "operators") if values[name]]
        assert found == sorted(found, key=lambda name: -values[name])
        saved = list(csv.DictReader(StringIO(downloaded(shown, "[data-csv=operators]")[1])))
        assert {each["operator"]: float(each["latency_ns aim"] or 0) for each in saved} == values
        for table in ("results", "commands", "baselines"):
            name, text = downloaded(shown, f"[data-csv={table}]")
            assert name == f"{table}.csv" and len(text.strip().split("\n")) == 1 + len(two.summary[table])


@pytest.mark.parametrize("chart", ["causes", "components", "operators"])
def test_charts_are_saved_as_they_are_shown(page: Path, running: Browser, chart: str) -> None:
    with opened(running, page, "#show=cause:mac") as shown:
        until(shown, FILLED)
        name, text = downloaded(shown, f"#chart-{chart} [data-save=svg]")
        assert name == f"{chart}.svg" and ElementTree.fromstring(text).tag.endswith("svg")
        assert shown.locator(f"#chart-{chart} h3").inner_text() in text
        assert downloaded(shown, f"#chart-{chart} [data-save=csv]")[1].startswith(f"view,{chart[:-1]},pim-gpt,aim\n")


def test_several_runs_are_stacked_and_grouped(four: Path, running: Browser) -> None:
    with opened(running, four) as shown:
        until(shown, FILLED)
        assert shown.locator("section.warnings li").first.inner_text().startswith("the runs do different work")
        key = bars(shown, "causes")[0]
        widest = "Math.max(...pimsim.charts.causes.spec.traces[0].x)"
        at = shown.evaluate(f"pimsim.charts.causes.spec.traces[0].x.indexOf({widest})")
        click_mark(shown, "causes", at)
        until(shown, f"pimsim.chosen.value === '{key}'")
        shown.focus("#chart-operators .plot")
        shown.keyboard.press("ArrowRight")
        shown.keyboard.press("Enter")
        until(shown, "pimsim.chosen.value.startsWith('operator:')")
        assert titles(shown)[0].startswith("Latency by cause of ")


def test_long_names_leave_the_figures_in_sight(tmp_path: Path, running: Browser) -> None:
    """They stand once, above: columns have letters, and a file all of a name."""
    file = tmp_path / "long.html"
    names = [f"{at} {'name-of-a-configuration-' * 3}" for at in range(2)]
    nothing_decoded = run_of(workload__prompt_tokens=2, workload__output_tokens=0)
    pimsim.compare([run_of(), nothing_decoded], names=names).save(file)
    with opened(running, file) as shown:
        until(shown, FILLED)
        for table in ("results", "commands", "baselines"):
            around = f"document.querySelector('#{table}').parentElement"
            assert shown.evaluate(f"{around}.scrollWidth <= {around}.clientWidth")
        assert shown.locator("#results thead").inner_text().split() == [
            "figure",
            "unit",
            "A",
            "B",
            "difference",
            "ratio",
        ]
        saved = csv.reader(StringIO(downloaded(shown, "[data-csv=results]")[1]))
        assert {name.strip() for name in names} <= {name.strip() for name in next(saved)}
        assert shown.locator("h2", has_text="What each run is made of").count() == 1
        bare = shown.locator("#results tbody tr", has_text="first token after").locator("td.beside")
        assert [cell.locator(".bar").count() for cell in bare.all()] == [1, 0]


def test_a_command_is_copied(tmp_path: Path, running: Browser) -> None:
    config = tmp_path / "own.yaml"
    config.write_text(f"extends: {SHIPPED}\n")
    pimsim.compare([str(config), run_of(AIM)], overrides=TINY).save(tmp_path / "page.html")
    with opened(running, tmp_path / "page.html", permissions=["clipboard-read", "clipboard-write"]) as shown:
        shown.click("[data-copy='#command-1']")
        until(shown, "document.getElementById('live').textContent === 'copied'")
        assert str(shown.evaluate("navigator.clipboard.readText()")).startswith("pimsim run own.yaml --set ")


def test_equal_runs_have_a_page_without_charts(tmp_path: Path, running: Browser) -> None:
    run_of().compare(run_of()).save(tmp_path / "page.html")
    with opened(running, tmp_path / "page.html") as shown:
        assert shown.inner_text("#equal").startswith("Nothing differs") and shown.locator(".chart").count() == 0


def test_names_are_text(tmp_path: Path, running: Browser) -> None:
    evil = "<img src=x onerror=alert(1)></script><!--"
    pimsim.compare([run_of(), run_of(AIM)], names=[evil, "b & <b>c</b>"]).save(tmp_path / "page.html")
    with opened(running, tmp_path / "page.html") as shown:
        until(shown, FILLED)
        assert shown.locator("img").count() == 0 and evil in shown.inner_text("h1")


@pytest.mark.parametrize("kind", ["page", "four"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it(kind: str, scheme: Any, request: pytest.FixtureRequest, running: Browser) -> None:
    with opened(running, request.getfixturevalue(kind), width=PHONE, color_scheme=scheme) as shown:
        until(shown, FILLED)
        assert overflow(shown) == 0 and small_texts(shown) == []


def test_no_text_of_a_chart_is_cut_on_a_phone(page: Path, running: Browser) -> None:
    cut = """() => [...document.querySelectorAll(".chart .plot")].flatMap((plot) => {
        const edge = plot.getBoundingClientRect();
        return [...plot.querySelectorAll(".bartext, .ytick text")].filter((text) => {
            const box = text.getBoundingClientRect(); return box.right > edge.right + 1 || box.left < edge.left - 1;
        }).map((text) => text.textContent); })"""
    with opened(running, page, width=PHONE) as shown:
        until(shown, FILLED)
        assert shown.evaluate(cut) == []


def test_paper_has_every_input_and_no_controls(page: Path, running: Browser, two: Comparison) -> None:
    with opened(running, page) as shown:
        until(shown, FILLED)
        shown.emulate_media(media="print")
        assert not shown.is_visible("[data-csv=inputs]") and not shown.is_visible("#unfold")
        assert len(rows(shown, "inputs")) == sum(each["role"] == "decides" for each in two.summary["inputs"])
        assert shown.is_visible("[data-choose='operator:decode qkv']")
        assert shown.pdf(format="A4").startswith(b"%PDF")


def test_the_page_has_the_comparison_as_data(page: Path, two: Comparison) -> None:
    text = page.read_text(encoding="utf-8")
    data = text.partition('id="data">')[2].partition("</script>")[0]
    assert json.loads(data)["comparison"] == two.summary
