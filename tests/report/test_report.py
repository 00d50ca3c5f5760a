"""report.html: what is in it, that it is one file, and what a browser makes of it."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import pimsim
from pimsim import api
from pimsim.report import run_html, script
from pimsim.report.run_charts import linked_charts
from pimsim.report.run_operators import Operators, _names
from pimsim.results.drawn.breakdown import energy
from pimsim.results.folding import Fold
from pimsim.results.headline import energy_text, headline, percent, time_text
from pimsim.results.rerun import command
from pimsim.results.result import Result
from tests.browser.browsing import ASKED, BROWSER
from tests.report.layers import many_layers

CONFIG = Path(__file__).parents[2] / "configs" / "pim-gpt.yaml"
SCRIPTS = 6  # figures, charts, plotly, what every page can do; what charts show of one operator, and what a run does
EVIL = "</script><script>alert(1)</script>"


class Page(HTMLParser):
    """Tables, text, scripts and references of a page; every element that is opened must be closed."""

    VOID = {"meta", "input", "br", "link", "img", "line", "path"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.rows: list[list[str]] = []
        self.references: list[str] = []
        self.scripts: list[str] = []
        self.named: dict[str, int] = {}  # places of scripts that have a name
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.references += [str(given[key]) for key in ("src", "href", "action", "data") if key in given]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.rows = self.tables.setdefault(str(given.get("id")), [])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "script":
            self.named[str(given.get("id"))] = len(self.scripts)
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] != "style":
            self.words.append(data)
            if {"td", "th"} & set(self.open):
                self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def data(self) -> Any:
        return json.loads(self.scripts[0])

    @property
    def charts(self) -> Any:
        """What is drawn, by name; a page without charts carries no plotly."""
        return self.json("charts") if "charts" in self.named else {}

    def json(self, name: str) -> Any:
        """What a script element holds that is data."""
        return json.loads(self.scripts[self.named[name]])


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    file = tmp_path_factory.mktemp("config") / "mine.yaml"
    file.write_text(
        f"extends: {CONFIG}\nname: {json.dumps(EVIL)}\ndram: {{channels: 16}}\n"
        "workload: {model: gpt2-small, output_tokens: 3}\n"
    )
    loaded = api.load(file, ["asic.taylor_terms=4"])
    return api.run(loaded.config, loaded.provenance)


@pytest.fixture(scope="module")
def page(result: Result) -> Page:
    return Page(run_html(result))


def test_numbers_are_those_of_the_summary(page: Page, result: Result) -> None:
    wanted = {key: value for key, value in result.summary.items() if key != "simulation"}
    assert page.data == json.loads(json.dumps(wanted))
    for what, value, unit in headline(result.summary):
        assert f"{what} {value} {unit}" in page.text


def test_nothing_comes_from_elsewhere(page: Page, result: Result) -> None:
    assert page.references == []
    text = run_html(result)
    assert "default-src 'none'" in text
    assert not re.findall(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)


def test_text_of_the_user_stays_text(page: Page, result: Result) -> None:
    assert EVIL in page.text
    assert EVIL not in run_html(result)
    assert len(page.scripts) == SCRIPTS


def test_operators_are_those_of_the_table(page: Page, result: Result) -> None:
    head, *rows = page.tables["operators"]
    records = result.records("operators")
    assert [row[head.index("operator")] for row in rows] == [record["operator"] for record in records]
    assert [row[head.index("cycles")] for row in rows] == [f"{record['cycles']:,}" for record in records]


def test_charts_have_the_figures_of_the_summary(page: Page, result: Result) -> None:
    system, charts = result.summary["system"], page.charts
    assert list(charts) == [
        "latency",
        "energy",
        "causes",
        "components",
        "tokens",
        "commands",
        "utilisation",
        "within",
        "roofline",
    ]
    for name, parts in (("causes", system["latency_breakdown_ns"]), ("components", system["energy_breakdown_pJ"]),
                        ("commands", system["commands"])):  # fmt: skip
        assert dict(charts[name]["table"]["rows"]) == {part: value for part, value in parts.items() if value}
    records = result.records("operators")
    for name, figure in (("latency", "latency_ns"), ("energy", "energy_pJ")):
        bars: dict[str, float] = {}
        for trace in charts[name]["traces"]:
            for key, value in zip(trace["customdata"], trace["x"], strict=True):
                bars[key] = bars.get(key, 0) + value
        unit = sum(bars.values()) / sum(record[figure] for record in records)
        assert {key: value / unit for key, value in bars.items()} == pytest.approx(
            {f"decode {record['operator']}": record[figure] for record in records}
        )


def test_what_charts_show_of_an_operator_is_its_row(page: Page, result: Result) -> None:
    linked = page.json("linked")
    row = next(row for row in result.records("operators") if row["operator"] == "scores")
    assert linked["operators"]["decode scores"] == "scores (decode)"
    alone = {name: each["decode scores"] for name, each in linked["charts"].items() if each}
    assert dict(alone["commands"]["rows"]) == {name: row[name] for name in ("MACAB", "WRGB", "RDMAC", "ACTAB", "PREAB",
                                                                            "REFAB") if row[name]}  # fmt: skip
    causes = dict(alone["causes"]["rows"])
    assert sum(causes.values()) == pytest.approx(row["latency_ns"])
    assert causes["mac"] == row["mac_cycles"]  # of 1 ns
    assert sum(dict(alone["components"]["rows"]).values()) == pytest.approx(row["energy_pJ"])
    steps = alone["tokens"]["rows"]  # three steps are three legs
    assert [line[:3] for line in steps] == [["scores (decode)", context, context] for context in (1, 2, 3)]
    assert sum(line[3] for line in steps) == pytest.approx(row["latency_ns"])


def test_names_of_bars_are_no_numbers_and_a_single_command_has_a_bar(page: Page) -> None:
    bars = [
        chart for chart in page.charts.values() if all(trace.get("orientation") == "h" for trace in chart["traces"])
    ]
    assert len(bars) == 6
    assert {chart["layout"]["yaxis"]["type"] for chart in bars} == {"category"}
    assert page.charts["commands"]["layout"]["xaxis"]["range"][0] < 0  # a power of ten: one is behind it


def test_long_names_are_cut_beside_bars_where_they_stay_different() -> None:
    long = "self_attention_query_projection"
    folds = [Fold("decode", "", name, (i,)) for i, name in enumerate((long, "b", "c" * 26))]
    assert _names(folds) == [
        (f"{long} (decode)", "self_attentio…ry_projection"), ("b (decode)", "b"), ("c" * 26 + " (decode)", "c" * 26),
    ]  # fmt: skip
    alike = [Fold("decode", "", f"a_name_that_begins_like_{i}_others_and_ends_like_them", (i,)) for i in range(2)]
    assert [label for _, label in _names(alike)] == [fold.operator for fold in alike]


def test_steps_are_covered_by_their_operators(page: Page) -> None:
    *areas, line = page.charts["tokens"]["traces"]
    assert line["x"] == [1, 2, 3] and line["name"] == "each step"
    assert [sum(each) for each in zip(*(area["y"] for area in areas), strict=True)] == pytest.approx(line["y"])


def test_the_table_says_the_share_of_each_operator(page: Page, result: Result) -> None:
    head, *rows = page.tables["operators"]
    records = result.records("operators")
    for at, figure in ((head.index("latency"), "latency_ns"), (head.index("energy"), "energy_pJ")):
        total = sum(record[figure] for record in records)
        assert [row[at + 1] for row in rows] == [percent(record[figure] / total) for record in records]


def test_the_simulated_system_is_the_first_row_of_the_comparison(page: Page, result: Result) -> None:
    head, own, *others = page.tables["baselines"]
    assert head == ["machine", "model", "latency", "energy", "speedup", "energy ratio"]
    system = result.summary["system"]
    assert own == [EVIL, "simulated", time_text(system["latency_ns"]), energy_text(system["energy_pJ"]), "1", "1"]
    assert [row[:2] for row in others[:2]] == [["gpu-t4", "roofline"], ["gpu-t4", "eager"]]


@pytest.fixture(scope="module")
def too_large() -> Page:
    """Of a run whose K and V fit none of the machines beside it."""
    loaded = api.load("pim-gpt", ["workload.model=gpt2-small", "workload.output_tokens=1", "workload.context=1000",
                                  "workload.batch=3000", "dram.rows=1048576", "baselines=[gpu-t4]"])  # fmt: skip
    return Page(run_html(api.run(loaded.config, loaded.provenance)))


def test_a_machine_that_is_too_small_has_its_sizes_in_every_model(too_large: Page) -> None:
    _, _, *rows = too_large.tables["baselines"]
    small = [row for row in rows if row[0].startswith("gpu-a100")]
    assert [row[1] for row in small] == ["roofline", "compiled", "eager"]
    assert {row[4] for row in small} == {"does not fit: needs 111 GB, has 80.0 GB"}


def test_a_machine_that_is_too_small_has_every_column(too_large: Page) -> None:
    head, *rows = too_large.tables["baselines"]
    assert {len(row) for row in rows} == {len(head)}


def test_a_prompt_alone_is_compared_with_what_machines_take_of_it() -> None:
    loaded = api.load("pim-gpt", ["workload.model=gpt2-small", "workload.prompt_tokens=4", "workload.output_tokens=0"])
    result = api.run(loaded.config, loaded.provenance)
    page, found = Page(run_html(result)), result.summary["baselines"]["gpu-t4"]
    assert found["prefill_latency_ns"] > 0 == found["latency_ns"]
    assert found["speedup"] == found["prefill_latency_ns"] / result.summary["system"]["prefill_latency_ns"]
    row = next(row for row in page.tables["baselines"] if row[:2] == ["gpu-t4", "eager"])
    assert row[2:4] == [time_text(found["prefill_latency_ns"]), energy_text(found["prefill_energy_pJ"])]
    assert "a prompt of 4 alone, batch 1" in page.text
    assert "Of the prompt: nothing is decoded." in page.text


def test_a_name_with_a_colon_is_shown_whole() -> None:
    config = pimsim.load_config(CONFIG, {"workload.model": "gpt2-small", "workload.output_tokens": 1, "name": "a: b"})
    assert Page(run_html(pimsim.run(config))).tables["baselines"][1][0] == "a: b"


def test_the_command_is_that_of_the_configuration(page: Page, result: Result) -> None:
    assert result.provenance is not None
    assert command(result.config, result.provenance) in page.text


def test_a_page_of_many_layers_is_small_and_has_every_row(tmp_path: Path) -> None:
    """As Gemma 3 with 27B parameters: 62 layers whose kinds go round in six, so that no smaller block repeats."""
    result = many_layers(tmp_path)
    text = run_html(result)
    assert len(text.encode()) < 5_000_000
    head, *rows = Page(text).tables["operators"]
    records = result.records("operators")
    assert len(records) > 700
    names = [row[0] for row in rows]
    assert {record["operator"] for record in records} <= set(names)
    whole = next(row for row in rows if row[0].startswith("q \u00d7 62"))
    cycles = sum(record["cycles"] for record in records if record["operator"].startswith("q."))
    assert whole[head.index("cycles")] == f"{cycles:,}"
    assert len(names) == len(records) + sum("\u00d7" in name for name in names)


def test_changes_are_those_against_the_extended_file(page: Page) -> None:
    assert {row[0]: row[1:3] for row in page.tables["changes"][1:]} == {
        "name": ["pim-gpt", EVIL],
        "dram.channels": ["8", "16"],
        "asic.taylor_terms": ["6", "4"],
        "workload.model": ["gpt3-xl", "gpt2-small"],
        "workload.output_tokens": ["1024", "3"],
    }


def test_every_input_has_its_label(page: Page, result: Result) -> None:
    assert result.provenance is not None
    rows = {row[0]: row for row in page.tables["inputs"][1:]}
    assert rows["dram.timing.tRP_ns"][1:3] == ["12", "recalled"]
    assert rows["dram.channels"][2] == "set by you"
    assert set(rows) == {key for key in result.provenance if key != "schema" and not key.startswith("engine.")}


def test_baselines_are_there_with_constants_and_caveat(page: Page) -> None:
    assert "not a measurement of it" in page.text
    assert "eager.op_time" in page.text
    assert "gpu-t4" in page.text


def test_same_result_same_bytes_in_every_engine(result: Result) -> None:
    loaded = api.load(CONFIG, ["workload.model=gpt2-small", "workload.output_tokens=2"])
    stepped = api.load(CONFIG, ["workload.model=gpt2-small", "workload.output_tokens=2", "engine.mode=stepped"])
    assert run_html(api.run(loaded.config, loaded.provenance)) == run_html(api.run(stepped.config, stepped.provenance))


def test_a_result_without_provenance_or_baselines_has_a_report() -> None:
    config = pimsim.load_config(CONFIG, {"workload.model": "gpt2-small", "workload.output_tokens": 1, "baselines": ()})
    page = Page(run_html(replace(pimsim.run(config), provenance=None)))
    assert "Compared with" not in page.text
    assert set(page.tables) == {"operators", "by-cause", "by-component", "by-command"}


# -- sweeps --------------------------------------------------------------------------------------


def row(channels: int, latency: float | None, energy: float | None, error: str | None = None) -> dict[str, Any]:
    status = "ok" if error is None else "infeasible"
    figures = {"system.latency_per_token_ns": latency, "system.energy_pJ": energy}
    return {"point_id": str(channels), "status": status, "error": error, "dram.channels": channels, **figures}


ROWS = [row(1, 9.5, 1.0), row(2, 5.0, 2.0), row(3, None, None, f"no {EVIL}")]
OBJECTIVES = ["system.latency_per_token_ns", "system.energy_pJ"]


# -- in a browser --------------------------------------------------------------------------------


def browse(tmp_path: Path, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    if not ASKED:
        pytest.skip("`make test-browser` opens pages in a browser")
    assert BROWSER, "no Chromium on this machine"
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
               "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
               f"--user-data-dir={tmp_path / 'profile'}", *options, url]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def shown(tmp_path: Path, html: str, fragment: str = "") -> Page:
    file = tmp_path / "report.html"
    file.write_text(html, encoding="utf-8")
    done = browse(tmp_path, f"file://{file}{fragment}", "--dump-dom")
    assert "CONSOLE" not in done.stderr, done.stderr
    return Page(done.stdout)


def test_a_browser_shows_the_numbers_without_an_error(tmp_path: Path, result: Result) -> None:
    page = shown(tmp_path, run_html(result))
    for what, value, unit in headline(result.summary):
        assert f"{what} {value} {unit}" in page.text


def test_a_browser_sorts_the_operators(tmp_path: Path, result: Result) -> None:
    page = shown(tmp_path, run_html(result), "#sort=operators.cycles")
    head, *rows = page.tables["operators"]
    cycles = [int(row[head.index("cycles")].replace(",", "")) for row in rows]
    assert cycles == sorted(cycles, reverse=True)
    assert cycles != [record["cycles"] for record in result.records("operators")]


def test_a_browser_prints_it(tmp_path: Path, result: Result) -> None:
    (tmp_path / "report.html").write_text(run_html(result), encoding="utf-8")
    browse(tmp_path, f"file://{tmp_path / 'report.html'}", f"--print-to-pdf={tmp_path / 'out.pdf'}")
    pdf = (tmp_path / "out.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 20_000


def test_the_script_is_the_one_that_the_build_has_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And of a clone that is not installed, the one of the plotly that is."""
    pytest.importorskip("plotly")  # what builds has it
    built = tmp_path / "plotly.txt"
    monkeypatch.setattr(script, "BUILT", built)
    assert script.library.__wrapped__() == script.packed(script.installed())
    built.write_text("built")
    assert script.library.__wrapped__() == "built"


def test_energy_of_another_machine_is_not_that_of_the_asic() -> None:
    config = api.load(
        "aim", ["workload.model=gpt2-small", "workload.output_tokens=2", "placement.linear=gpu-h100"]
    ).config
    result = api.run(config)
    chart = next(each.chart for each in linked_charts(Operators(result)) if each.chart.name == "energy")
    whole = {trace["name"]: sum(trace["x"]) for trace in chart.traces}
    parts = result.summary["system"]["energy_breakdown_pJ"]
    assert whole["machine"] / sum(whole.values()) == pytest.approx(parts["machine"] / sum(parts.values()))
    groups = {part.name: part.group for part in energy(result.summary).parts}
    assert groups["machine"] == "other machine"


def test_labels_are_counted_of_the_inputs_that_are_shown() -> None:
    loaded = api.load("pim-gpt", ["workload.model=gpt2-small", "workload.output_tokens=2"])
    text = run_html(api.run(loaded.config, loaded.provenance))
    tags = [int(count) for count in re.findall(r'<span class="tag">(\d+) ', text)]
    assert tags and f"All {sum(tags)} inputs" in text
