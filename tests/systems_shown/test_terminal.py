"""What a screen says of several devices that share a model."""

from __future__ import annotations

import pytest

from pimsim.results.devices import alike, memory, shared, stages, times
from pimsim.results.headline import headline
from pimsim.results.layout import Plain
from pimsim.results.terminal import print_summary
from tests.systems_shown.runs import KINDS, run


def screen(kind: str, width: int = 80) -> list[str]:
    lines: list[str] = []
    print_summary(run(kind), Plain(lines.append, width, "utf-8"))
    return lines


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [40, 80])
def test_it_fits_and_cuts_no_figure(kind: str, width: int) -> None:
    lines = screen(kind, width)
    assert max(map(len, lines)) <= width and len(lines) <= (50 if width == 80 else 999)
    assert "less than without PIM" in " ".join(" ".join(lines).split())


def test_one_device_says_nothing_of_devices() -> None:
    text = "\n".join(screen("alone"))
    assert "device" not in text and "bubble" not in text and "link" not in text
    assert {"links", "bubbles", "when full", "a sequence"}.isdisjoint(
        what for what, *_ in headline(run("alone").summary)
    )


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("tensor", "2 devices: tensor 2"),
        ("pipeline", "8 devices: tensor 2, pipeline 4 with 4 parts of the batch in flight"),
        ("experts", "8 devices: pipeline 2 with 2 parts of the batch in flight, expert 4"),
        ("replicas", "6 devices: tensor 2, 2 replicas, 2 without work"),
    ],
)
def test_screen_and_print_say_how_a_model_is_shared(kind: str, said: str) -> None:
    assert screen(kind)[1] == str(run(kind)).splitlines()[1] == said == shared(run(kind).summary["devices"])


def test_devices_that_differ_have_a_row_each_and_those_that_do_not_a_sentence() -> None:
    lines = screen("pipeline")
    first = next(at for at, line in enumerate(lines) if line.startswith("Stage"))
    assert [line.split()[0] for line in lines[first + 1 : first + 4]] == ["1", "2", "4"]
    only = run("tensor").summary["devices"]["shares"][0]
    assert alike(only) in " ".join(screen("tensor")) and not any(line.startswith("Stage") for line in screen("tensor"))


@pytest.mark.parametrize("kind", ["tensor", "pipeline", "experts"])
def test_work_links_and_bubbles_are_the_whole_time(kind: str) -> None:
    for share in run(kind).summary["devices"]["shares"]:
        assert sum(times(share).values()) == pytest.approx(1) and min(times(share).values()) >= 0


def test_the_shares_of_the_average_device_are_those_of_all_devices() -> None:
    """Weighed with how many there are, bubbles of the shares are the bubbles of the latency."""
    summary = run("pipeline").summary
    devices, system = summary["devices"], summary["system"]
    bubbles = sum(share["devices"] * share["bubble_fraction"] for share in devices["shares"]) / devices["count"]
    assert bubbles == pytest.approx(system["latency_breakdown_ns"]["bubble"] / system["latency_ns"], abs=1e-4)


def test_the_headline_has_steady_state_and_one_sequence() -> None:
    devices = run("pipeline").summary["devices"]
    told = {what: (value, unit) for what, value, unit in headline(run("pipeline").summary)}
    assert told["when full"] == (f"{devices['steady_tokens_per_s']:,.0f}", "tokens/s")
    assert told["a sequence"] == (f"{devices['sequence_step_ns'] / 1000:.3g}", "µs/step")


def test_words_of_a_share() -> None:
    share = {"first_stage": 2, "stages": 3, "memory_bytes": 10**9, "capacity_bytes": 4 * 10**9}
    assert (stages(share), stages(share | {"stages": 1})) == ("2 to 4", "2")
    assert (memory(share), memory(share | {"capacity_bytes": None})) == ("1.00 GB of 4.00 GB", "-")
