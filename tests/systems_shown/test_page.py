"""The page of a run on several devices: who does what, what links carry, and what times are of."""

from __future__ import annotations

import pytest

from pimsim.report import run_html
from pimsim.results.devices import shared, times
from pimsim.results.headline import percent, time_text
from tests.report.test_report import Page
from tests.systems_shown.runs import KINDS, run

SYSTEMS = [kind for kind in KINDS if kind != "alone"]
PAGES: dict[str, Page] = {}


def page(kind: str) -> Page:
    if kind not in PAGES:
        PAGES[kind] = Page(run_html(run(kind)))
    return PAGES[kind]


@pytest.mark.parametrize("kind", SYSTEMS)
def test_a_row_for_each_share_and_each_exchange(kind: str) -> None:
    devices = run(kind).summary["devices"]
    head, *rows = page(kind).tables["devices"]
    assert head[4:7] == ["work", "links", "bubbles"] and len(rows) == len(devices["shares"])
    for row, share in zip(rows, devices["shares"], strict=True):
        assert row[1] == str(share["devices"]) and row[4:7] == list(map(percent, times(share).values()))
    exchanges = page(kind).tables.get("exchanges", [[]])[1:]
    assert [row[3] for row in exchanges] == [time_text(found["ns"]) for found in devices["exchanges"]]


@pytest.mark.parametrize("kind", SYSTEMS)
def test_it_says_what_times_are_of(kind: str) -> None:
    text = page(kind).text
    assert shared(run(kind).summary["devices"]) in text and "average device" in text


def test_a_pipeline_says_its_steady_state() -> None:
    devices = run("pipeline").summary["devices"]
    assert f"a step of all sequences takes {time_text(devices['steady_step_ns'])}" in page("pipeline").text
    assert f"One sequence waits {time_text(devices['sequence_step_ns'])}" in page("pipeline").text
    assert "Once the pipeline" not in page("tensor").text


def test_links_and_bubbles_are_not_the_arithmetic_of_the_asic() -> None:
    names = {trace["name"] for trace in page("pipeline").charts["latency"]["traces"]}
    assert {"link", "bubble"} <= names
    assert "link" in {trace["name"] for trace in page("pipeline").charts["energy"]["traces"]}


def test_the_page_of_one_device_has_no_word_of_devices() -> None:
    assert {"devices", "exchanges"}.isdisjoint(page("alone").tables) and "average device" not in page("alone").text
    assert not any(trace["name"] in ("link", "bubble") for trace in page("alone").charts["latency"]["traces"])
