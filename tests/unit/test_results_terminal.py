"""The screen after a run: it fits, and it says what matters."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import pytest
from rich.console import Console

from pimsim.config.loader import Origin
from pimsim.results.headline import energy_scale, number, percent, time_scale
from pimsim.results.progress import notice, progress_bar
from pimsim.results.result import Result
from pimsim.results.terminal import inputs_line, print_summary
from pimsim.workload.models import build
from tests.result_samples import SHAPE, small_config, small_result, small_tally

PROVENANCE = {
    "dram.channels": Origin("c.yaml", 1, "paper"),
    "dram.rows": Origin("c.yaml", 2, "recalled"),
    "pim.lanes": Origin("c.yaml", 3, "paper"),
    "energy.table": Origin("default", 0, "default"),
    "name": Origin("--set", 1, None),
}


def screen(result: Result, width: int = 200, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    text = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    print_summary(result, Console(file=text, width=width))
    text.flush()
    return raw.getvalue().decode(encoding)


def test_one_screen_of_80_columns_and_40_lines() -> None:
    config = small_config(workload__prompt_tokens=2, workload__batch=4)
    many = {f"{name}-{i}": b for i in range(3) for name, b in small_result().baselines.items()}
    result = small_result(config=config, tally=small_tally(prefill=True), provenance=PROVENANCE, baselines=many)
    lines = screen(result).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 40


@pytest.mark.parametrize("width", [40, 60, 79])
def test_a_narrow_console_is_not_exceeded_and_shows_the_whole_headline(width: int) -> None:
    text = screen(small_result(), width)
    assert max(map(len, text.splitlines())) <= width
    assert "0.333 µs/token" in text and "3,000,000 tokens/s" in text and "without PIM" in " ".join(text.split())


def test_a_narrow_console_breaks_no_heading_and_shows_every_ratio() -> None:
    """Four ratios beside the names of machines do not fit 40 columns: their headings were broken within words."""
    lines = screen(small_result(), 40).splitlines()
    words = " ".join(lines).split()
    assert words.count("Compared") == 2
    assert words.count("roofline") == 2 and words.count("speedup") == 2 and words.count("ratio") == 2
    baselines = small_result().summary["baselines"]
    for name, baseline in baselines.items():
        rows = [line.split()[1:] for line in lines if line.startswith(name[:6])]
        for row, key in zip(rows, ("speedup", "energy_ratio"), strict=True):
            assert row == [f"{number(part[key])}x" for part in (baseline["roofline"], baseline)]


def test_it_has_the_figures_the_breakdowns_the_commands_and_the_baselines() -> None:
    text = screen(small_result(provenance=PROVENANCE))
    for words in (
        "pim-gpt: tiny, 3 tokens decoded", "0.333 µs/token", "tokens/s", "% of latency", "Latency by cause",
        "Energy by component", "MACAB 400", "gpu-t4", "80.0x", "8.00x", "Inputs: 2 paper, 1 recalled; 2 default",
        "Energy table v2", "not published", "Simulated in 2.00 s",
    ):  # fmt: skip
        assert words in text, words


def test_the_title_says_whether_the_lm_head_is_simulated() -> None:
    assert screen(small_result()).splitlines()[0].endswith(", without LM head")
    whole = small_result(workload=build(SHAPE, lm_head=True))
    assert screen(whole).splitlines()[0].endswith(", with LM head")


def test_the_time_of_a_batch_is_said_to_be_that_of_a_step() -> None:
    text = screen(small_result(config=small_config(workload__batch=8)))
    assert "0.333 µs per step of 8 sequences" in text
    assert "µs/token" not in text


def test_shares_are_those_of_the_breakdown() -> None:
    lines = screen(small_result()).splitlines()
    mac = next(line for line in lines if line.startswith("MAC "))
    assert "50.0 %" in mac and "█" * 12 in mac


def test_causes_and_components_are_written_as_pages_write_them() -> None:
    text = screen(small_result())
    assert "MAC read" in text and "I/O " in text and "ASIC " in text
    assert not {"mac", "io", "asic"} & set(text.split())


def test_without_baselines_nothing_is_compared() -> None:
    assert "Compared with" not in screen(small_result(baselines={}))


def test_a_console_without_utf8_gets_ascii() -> None:
    text = screen(small_result(config=small_config(name="größe")), encoding="ascii")
    assert "us/token" in text and "#" * 12 in text


def test_names_are_printed_as_they_are_not_as_markup() -> None:
    result = small_result(
        config=small_config(name="[red]x[/red]"), baselines={"[b]y": small_result().baselines["gpu-t4"]}
    )
    text = screen(result)
    assert "[red]x[/red]" in text and "[b]y" in text


def test_inputs_are_counted_by_how_well_they_are_known() -> None:
    assert inputs_line(PROVENANCE) == "Inputs: 2 paper, 1 recalled; 2 default or set by you"


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.9534, "0.953"), (12.345, "12.3"), (1048.6, "1,049"), (0.00001234, "1.23e-05")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("scale", "value", "expected"),
    [
        (time_scale, 957_000.0, (1e6, "ms")),
        (time_scale, 69_000.0, (1e3, "µs")),
        (time_scale, 0.5, (1.0, "ns")),
        (energy_scale, 1.2e10, (1e9, "mJ")),
    ],
)
def test_units_suit_the_size(scale: Callable[[float], tuple[float, str]], value: float, expected: object) -> None:
    assert scale(value) == expected


def test_a_share_above_zero_never_reads_as_zero() -> None:
    assert percent(0.0004) == "< 0.1 %"
    assert percent(0.0006) == "0.1 %"
    assert percent(0.0) == "0.0 %"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_no_progress_off_a_terminal() -> None:
    with progress_bar(Console(file=io.StringIO(), force_terminal=False)) as report:
        assert report is None


def test_progress_shows_only_once_a_run_takes_long() -> None:
    console, clock = terminal(), Clock()
    with progress_bar(console, patience_s=1.0, clock=clock) as report:
        assert report is not None
        report(1, 8)
        assert shown(console) == ""
        clock.now = 1.5
        report(3, 8)
        assert "3/8" in shown(console)


def test_a_slow_first_token_is_explained_and_a_fast_one_is_not() -> None:
    for patience_s, wait_s, expected in ((0.05, 0.5, True), (60.0, 0.0, False)):
        out = io.StringIO()
        console = Console(file=out, force_terminal=True, width=120)
        with progress_bar(console, patience_s=patience_s) as report:
            assert report is not None
            time.sleep(wait_s)
            report(1, 2)
        assert ("compiles" in out.getvalue()) is expected


def test_a_command_without_a_bar_explains_itself_once_it_takes_long() -> None:
    for wait_s, expected in ((0.5, 1), (0.0, 0)):
        said: list[str] = []
        with notice(said.append, patience_s=0.1):
            time.sleep(wait_s)
        assert len(said) == expected
        assert all("compiles" in text for text in said)
