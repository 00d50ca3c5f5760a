"""The page of a run in a browser: one operator everywhere, by mouse, keyboard, table and address; files; all media."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pimsim import api
from pimsim.report import run_html
from pimsim.results import within
from pimsim.results.headline import time_text
from pimsim.results.result import Result
from tests.browser.browsing import PHONE, downloaded, opened, overflow, small_texts, until
from tests.report.layers import many_layers

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHARTS = ("latency", "energy", "causes", "components", "tokens", "commands", "utilisation", "within", "roofline")
ALONE = ("causes", "components", "tokens", "commands", "utilisation")  # what has marks of its own for each operator


@pytest.fixture(scope="module")
def result() -> Result:
    loaded = api.load("pim-gpt", ["workload.model=gpt2-small", "workload.output_tokens=5", "workload.prompt_tokens=3"])
    return api.run(loaded.config, loaded.provenance)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, result: Result) -> Path:
    return written(tmp_path_factory.mktemp("run"), result)


@pytest.fixture(scope="module")
def layered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("layers")
    result = many_layers(folder)
    return written(folder, result), result


def written(folder: Path, result: Result) -> Path:
    file = folder / "report.html"
    file.write_text(run_html(result), encoding="utf-8")
    return file


def record(result: Result, operator: str, phase: str = "decode") -> dict[str, Any]:
    return next(r for r in result.records("operators") if (r["phase"], r["operator"]) == (phase, operator))


def titles(shown: Page) -> dict[str, str]:
    return {name: shown.inner_text(f"#chart-{name} h3") for name in CHARTS}


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def bar_of(shown: Page, operator: str) -> Any:
    """The first piece of the bar of an operator."""
    at = shown.evaluate(f"pimsim.charts.latency.node.data[0].customdata.indexOf('{operator}')")
    return shown.locator("#chart-latency .trace.bars").first.locator(".point path").nth(at)


def assert_alone(shown: Page, result: Result, operator: str) -> None:
    """Every chart shows this operator of the decode phase, and nothing else."""
    row, said = record(result, operator), f"{operator} (decode)"
    assert {name: title.endswith(f": {said}") for name, title in titles(shown).items()} == {
        name: name in ALONE for name in CHARTS
    }
    assert shown.inner_text("#showing b") == said
    assert shown.url.endswith(f"#show=decode%20{operator}")
    commands = shown.evaluate("(({x, y}) => y.map((name, i) => [name, x[i]]))(pimsim.charts.commands.node.data[0])")
    counted = {name: row[name] for name in result.summary["system"]["commands"] if row.get(name)}
    assert dict(commands) == counted
    causes = shown.evaluate("pimsim.charts.causes.node.data[0].x")
    assert sum(causes) == pytest.approx(row["latency_ns"])
    parts = shown.evaluate("pimsim.charts.components.node.data[0].x")
    assert sum(parts) == pytest.approx(row["energy_pJ"])
    steps = rows_of(downloaded(shown, "#chart-tokens [data-save=csv]")[1])
    assert sum(float(step["latency_ns_per_step"]) for step in steps) == pytest.approx(row["latency_ns"])
    assert shown.locator("#operators tr.chosen").count() == 1
    opacities = shown.evaluate("pimsim.charts.latency.node.data[0].marker.opacity")
    assert sorted(set(opacities)) == [0.25, 1] and opacities.count(1) == 1


def assert_all(shown: Page) -> None:
    """Every chart shows all operators."""
    assert all(":" not in title for title in titles(shown).values())
    assert not shown.is_visible("#showing") and "#" not in shown.url
    assert shown.locator("#operators tr.chosen").count() == 0
    assert shown.evaluate("pimsim.charts.latency.node.data.every((trace) => trace.marker.opacity === 1)")


def test_a_bar_says_its_value(page: Path, running: Browser, result: Result) -> None:
    with opened(running, page) as shown:
        bar_of(shown, "decode ffn_up").hover(force=True)
        hover = shown.locator("#chart-latency .hoverlayer .hovertext")
        hover.wait_for()
        text = str(hover.text_content()).replace("\xa0", " ")
        assert text.startswith("ffn_up (decode)")
        assert f"MAC: {time_text(record(result, 'ffn_up')['mac_cycles'])} (" in text  # clocks of 1 ns


def test_a_click_shows_one_operator_everywhere(page: Path, running: Browser, result: Result) -> None:
    with opened(running, page) as shown:
        bar_of(shown, "decode scores").click(force=True)
        assert_alone(shown, result, "scores")
        assert shown.inner_text("#live") == "showing scores (decode) alone"
        shown.wait_for_timeout(400)  # two clicks within 300 ms are a double click, which plotly takes for another thing
        bar_of(shown, "decode ffn_up").click(force=True)
        assert_alone(shown, result, "ffn_up")
        shown.click("#showing button")
        assert_all(shown)


def test_the_keyboard_does_the_same(page: Path, running: Browser, result: Result) -> None:
    with opened(running, page) as shown:
        shown.focus("#chart-latency .plot")
        shown.keyboard.press("ArrowRight")
        first = shown.evaluate("pimsim.charts.latency.node.data[0].customdata[0]")
        shown.keyboard.press("Enter")
        assert_alone(shown, result, first.partition(" ")[2])
        shown.keyboard.press("Escape")
        assert_all(shown)
        shown.focus("[data-choose='decode softmax']")
        shown.keyboard.press("Enter")
        assert_alone(shown, result, "softmax")
        assert shown.get_attribute("[data-choose='decode softmax']", "aria-pressed") == "true"
        shown.focus("[data-choose='decode softmax']")
        shown.keyboard.press("Enter")
        assert_all(shown)


def test_a_row_and_an_address_do_the_same(page: Path, running: Browser, result: Result) -> None:
    with opened(running, page) as shown:
        shown.click("#operators tr[data-operator='decode values'] td:nth-child(4)")
        assert_alone(shown, result, "values")
        address = shown.url.partition("#")[2]
    with opened(running, page, f"#{address}") as shown:
        assert_alone(shown, result, "values")
    with opened(running, page, "#show=nothing%20such") as shown:
        assert not shown.is_visible("#showing")


def test_an_operator_of_the_prompt_shows_the_prompt(page: Path, running: Browser, result: Result) -> None:
    with opened(running, page, "#show=prefill%20qkv") as shown:
        name, text = downloaded(shown, "#chart-tokens [data-save=csv]")
        assert name == "tokens.csv"
        assert [row["context_to"] for row in rows_of(text)] == ["1", "2", "3"]
        latency = sum(float(row["latency_ns_per_step"]) for row in rows_of(text))
        assert latency == pytest.approx(record(result, "qkv", "prefill")["latency_ns"])


def test_a_point_of_the_roofline_is_an_operator(page: Path, running: Browser) -> None:
    with opened(running, page) as shown:
        shown.locator("#chart-roofline .scatterlayer .trace").last.locator(".point").last.click(force=True)
        key = shown.evaluate("pimsim.chosen.value")
        assert key == shown.evaluate("pimsim.charts.roofline.node.data.at(-1).customdata.at(-1)")
        machines = "pimsim.charts.roofline.node.data.filter((trace) => !trace.customdata)"
        assert shown.evaluate(f"{machines}.every((trace) => trace.marker?.opacity === undefined)")


def test_a_piece_of_a_step_is_an_operator(page: Path, running: Browser) -> None:
    traces = "pimsim.charts.within.node.data"
    with opened(running, page) as shown:
        at = shown.evaluate(f"{traces}[0].customdata.findIndex((keys) => keys.includes('decode ffn_up'))")
        piece = shown.locator("#chart-within .trace.bars").first.locator(".point path").nth(at)
        piece.hover(force=True)
        hover = shown.locator("#chart-within .hoverlayer .hovertext")
        hover.wait_for()
        text = str(hover.text_content()).replace("\xa0", " ")
        assert "ffn_up" in text and "MAC units: busy" in text
        piece.click(force=True)
        assert shown.evaluate("pimsim.chosen.value") == "decode ffn_up"
        for trace in range(shown.evaluate(f"{traces}.length")):
            keys, opacities = (shown.evaluate(f"{traces}[{trace}].{what}") for what in ("customdata", "marker.opacity"))
            assert [opacity == 1 for opacity in opacities] == ["decode ffn_up" in each for each in keys]
        shown.focus("#chart-within .plot")
        heard = []
        for key in ("ArrowRight", "End", "ArrowDown"):
            shown.keyboard.press(key)
            heard.append(shown.inner_text("#live").replace("\xa0", " "))
        assert heard[0].startswith("MAC units: ") and "busy" in heard[1] and heard[2].startswith("open rows: ")


def test_a_bar_of_several_operators_is_found_by_each_of_them(
    result: Result, running: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(within, "MOST", 4)
    page, traces = written(tmp_path, result), "pimsim.charts.within.node.data"
    with opened(running, page) as shown:
        bars = shown.evaluate(f"{traces}[0].customdata")
        at, keys = next((at, keys) for at, keys in enumerate(bars) if len(keys) > 1)
        for key in keys:
            shown.evaluate(f"pimsim.chosen.set('{key}')")
            opacities = shown.evaluate(f"{traces}[0].marker.opacity")
            assert [opacity == 1 for opacity in opacities] == [key in each for each in bars]
        piece = shown.locator("#chart-within .trace.bars").first.locator(".point path").nth(at)
        piece.click(force=True)
        assert shown.evaluate("pimsim.chosen.value") is None  # it is one of the bar's: a click shows all again
        shown.wait_for_timeout(400)  # two clicks within 300 ms are a double click
        piece.click(force=True)
        assert shown.evaluate("pimsim.chosen.value") == keys[0]


def test_each_chart_is_saved_as_a_picture_and_as_numbers(page: Path, running: Browser, result: Result) -> None:
    tables = {}
    for some in (CHARTS[:3], CHARTS[3:6], CHARTS[6:]):  # Chromium stops a page that saves more than ten files at once
        with opened(running, page) as shown:
            for name in some:
                file, picture = downloaded(shown, f"#chart-{name} [data-save=svg]")
                assert file == f"{name}.svg"
                assert ElementTree.fromstring(picture).tag.endswith("svg")
                assert shown.inner_text(f"#chart-{name} h3") in picture
                file, text = downloaded(shown, f"#chart-{name} [data-save=csv]")
                tables[name] = rows_of(text)
                assert file == f"{name}.csv" and len(tables[name]) > 1
    parts = {row["cause"]: float(row["latency_ns"]) for row in tables["causes"]}
    assert parts == {k: v for k, v in result.summary["system"]["latency_breakdown_ns"].items() if v}
    steps = [float(row["latency_ns"]) for row in tables["tokens"]]
    assert steps == [row["latency_ns"] for row in result.records("tokens")]
    with opened(running, page, "#show=decode%20qkv") as shown:
        assert "qkv (decode)" in downloaded(shown, "#chart-causes [data-save=svg]")[1]


def test_the_table_of_operators_is_sorted_filtered_and_saved_with_raw_values(
    page: Path, running: Browser, result: Result
) -> None:
    with opened(running, page) as shown:
        shown.click("#operators th[data-name=energy_pJ] button")
        first = shown.locator("#operators tbody tr").first
        largest = max(result.records("operators"), key=lambda r: r["energy_pJ"])
        assert first.get_attribute("data-operator") == f"{largest['phase']} {largest['operator']}"
        shown.fill("[data-for=operators]", "PREFILL")
        name, text = downloaded(shown, "[data-csv=operators]")
        wanted = {r["operator"]: r for r in result.records("operators") if r["phase"] == "prefill"}
        rows = rows_of(text)
        assert name == "operators.csv" and {row["operator"] for row in rows} == set(wanted)
        for row in rows:
            for column in ("count", "cycles", "latency_ns", "energy_pJ", "macs", "pin_bytes"):
                assert float(row[column]) == wanted[row["operator"]][column]


def test_layers_of_one_kind_open_and_close(layered: tuple[Path, Result], running: Browser) -> None:
    file, result = layered
    with opened(running, file) as shown:
        row, layer = shown.locator("tr[data-key='decode q']"), shown.locator("tr[data-under='decode q']")
        assert layer.count() == 62 and not layer.first.is_visible()
        button = row.locator("button.fold")
        button.focus()
        shown.keyboard.press("Enter")
        assert button.get_attribute("aria-expanded") == "true" and layer.nth(61).is_visible()
        assert not shown.is_visible("#showing")  # to open is not to choose
        shown.click("#operators th[data-name=latency_ns] button")
        names = shown.locator("#operators tbody tr:not([hidden]) td:first-child").all_inner_texts()
        at = next(i for i, name in enumerate(names) if name.startswith("q ×"))
        assert names[at + 1 : at + 63] == [f"q.{i}" for i in range(62)]
        button.click()
        assert not layer.first.is_visible()
        shown.fill("[data-for=operators]", "q.17")
        assert layer.nth(17).is_visible() and not layer.nth(16).is_visible() and not row.is_visible()
        shown.fill("[data-for=operators]", "")
        assert row.is_visible() and not layer.nth(17).is_visible()
        rows = rows_of(downloaded(shown, "[data-csv=operators]")[1])
        assert sorted(r["operator"] for r in rows) == sorted(r["operator"] for r in result.records("operators"))
        layer.nth(0).evaluate("row => row.click()")
        assert shown.inner_text("#showing b") == "q (decode)"


def test_a_search_opens_the_inputs(page: Path, running: Browser) -> None:
    with opened(running, page) as shown:
        assert not shown.is_visible("#inputs")
        shown.fill("[data-for=inputs]", "tRP_ns")
        assert shown.is_visible("#inputs")
        visible = shown.locator("#inputs tbody tr:visible td:first-child").all_inner_texts()
        assert visible == ["dram.timing.tRP_ns"]
        shown.fill("[data-for=inputs]", "")
        heights = shown.locator("#inputs code.key").evaluate_all("(all) => all.map((n) => n.getClientRects().length)")
        assert set(heights) == {1}  # no key is broken


def test_the_command_is_copied(page: Path, running: Browser) -> None:
    with opened(running, page, permissions=["clipboard-read", "clipboard-write"]) as shown:
        shown.click("[data-copy='#command']")
        until(shown, "document.getElementById('live').textContent === 'copied'")
        copied = shown.evaluate("navigator.clipboard.readText()")
        assert copied.startswith("pimsim run pim-gpt --set workload.model=gpt2-small --set ")


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, {"reduced_motion": "reduce"}])
def test_text_is_legible(page: Path, running: Browser, options: dict[str, Any]) -> None:
    contrast = """(selectors) => selectors.map((selector) => {
      const light = (colour) => { const [r, g, b] = colour.match(/[0-9.]+/g).map((v) => { const c = v / 255; return c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
      const node = document.querySelector(selector), own = getComputedStyle(node), paper = getComputedStyle(document.body).backgroundColor;
      const one = light(node instanceof SVGElement ? own.fill : own.color), other = light(paper);
      return (Math.max(one, other) + .05) / (Math.min(one, other) + .05);
    })"""  # noqa: E501
    with opened(running, page, **options) as shown:
        texts = ["h1", "header .soft", "#chart-latency .ytick text", "#chart-causes .bartext", "#operators td",
                 "#chart-tokens .legendtext", "button.operator", "#hint"]  # fmt: skip
        found = dict(zip(texts, shown.evaluate(contrast, texts), strict=True))
        assert {text: ratio for text, ratio in found.items() if ratio < 4.5} == {}


def test_a_phone_shows_all_of_it(page: Path, layered: tuple[Path, Result], running: Browser) -> None:
    for file in (page, layered[0]):
        with opened(running, file, "#show=decode%20scores", width=PHONE) as shown:
            assert overflow(shown) == 0
            shown.fill("[data-for=inputs]", "dram") if shown.locator("#inputs").count() else None
            shown.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
            assert overflow(shown) == 0
            assert small_texts(shown) == []


def test_paper_has_everything_but_controls(page: Path, running: Browser) -> None:
    with opened(running, page, "#show=decode%20qkv", width=680) as shown:
        shown.emulate_media(media="print")
        own = shown.evaluate("getComputedStyle(pimsim.$('[data-choose=\"decode qkv\"]')).color")
        assert own == shown.evaluate("getComputedStyle(document.body).color")
        for control in ("#chart-latency [data-save=svg]", "[data-copy]", "[data-for=operators]", "#hint"):
            assert not shown.is_visible(control)
        for kept in ("#operators", "#chart-latency .plot", "#command", "#baselines", "[data-choose='decode qkv']"):
            assert shown.is_visible(kept)
        assert shown.evaluate("pimsim.$('#operators').scrollWidth") <= 700  # A4
        until(shown, "pimsim.$$('.plot .main-svg').every((each) => each.getBoundingClientRect().width <= 700)")
        assert shown.evaluate("getComputedStyle(pimsim.$('#chart-latency .plot')).printColorAdjust") == "exact"
        assert shown.pdf(format="A4").startswith(b"%PDF")


def test_without_a_script_the_tables_stand(page: Path, running: Browser, result: Result) -> None:
    context = running.new_context(java_script_enabled=False)
    shown = context.new_page()
    shown.goto(f"file://{page}")
    assert shown.locator("#operators tbody tr:visible").count() == len(result.records("operators"))
    assert shown.is_visible("#baselines") and shown.is_visible("#command")
    assert not shown.is_visible("#showing")
    assert shown.locator("#by-cause tbody tr").count() == sum(
        value > 0 for value in result.summary["system"]["latency_breakdown_ns"].values()
    )
    context.close()


def test_devices_that_share_a_model_fit_every_window(tmp_path: Path, running: Browser) -> None:
    from tests.systems_shown.runs import run

    file = written(tmp_path, run("pipeline"))
    for width in (PHONE, 1280):
        with opened(running, file, width=width) as shown:
            assert shown.locator("#devices tbody tr").count() == 3 and overflow(shown) == 0
            assert shown.locator("#devices-time .stack").first.bounding_box()["width"] > 50
    with opened(running, file) as shown:
        rows = rows_of(downloaded(shown, ".tools [data-csv=devices]")[1])
        shares = run("pipeline").summary["devices"]["shares"]
        assert [int(row["devices"]) for row in rows] == [share["devices"] for share in shares]
