"""`print(result)` and the figures as a table: they fit, they say what matters, and they need the summary alone."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

import pytest

from pimsim.results import figures
from pimsim.results.brief import LINES, WIDTH, brief, ran
from pimsim.results.headline import number
from pimsim.results.layout import width_of
from pimsim.results.named import figure_records, unit_of
from pimsim.results.result import Result
from tests.result_samples import small_config, small_result, small_tally


def printed(result: Result, encoding: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `print` writes to a standard output of that encoding, which refuses what it does not have."""
    raw = io.BytesIO()
    screen = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", screen)
        print(result)
    screen.flush()
    return raw.getvalue().decode(encoding)


def crowded() -> Result:
    """Everything that takes room: a prompt, several sequences, a long name, many machines, long warnings."""
    from pimsim.errors import Problem

    config = small_config(workload__prompt_tokens=2, workload__batch=4, name="pim-gpt " * 12 + "\u4e2d" * 40)
    many = {f"{name}-{i}": each for i in range(3) for name, each in small_result().baselines.items()}
    odd = tuple(Problem("", 0, 0, "workload.trace", f"warning {i} {'is long ' * 40}") for i in range(3))
    return small_result(config=config, tally=small_tally(prefill=True), baselines=many, odd=odd)


def test_it_says_what_ran_the_headline_the_causes_and_the_baselines() -> None:
    result = small_result()
    text = brief("pim-gpt", result.summary)
    t4 = result.summary["baselines"]["gpu-t4"]
    for words in (
        "pim-gpt: tiny, 3 tokens decoded, without LM head", "0.333 µs/token", "Latency  MAC ", "Energy ",
        "Over gpu-t4         speedup ",
        f"speedup {number(t4['roofline']['speedup'])}x roofline, {number(t4['speedup'])}x eager",
        f"; energy {number(t4['roofline']['energy_ratio'])}x, {number(t4['energy_ratio'])}x",
    ):  # fmt: skip
        assert words in text, words


def test_a_prompt_alone_is_not_no_token_decoded() -> None:
    workload = {**small_result().summary["workload"], "prompt_tokens": 32, "output_tokens": 0}
    assert ran({"workload": workload}) == "tiny, a prompt of 32 alone, without LM head"
    assert ran({"workload": {**workload, "output_tokens": 1}}).startswith("tiny, 1 token decoded after a prompt of 32")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_it_fits_15_lines_of_80_columns_whatever_is_in_it(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for result in (small_result(), crowded()):
        lines = printed(result, encoding, monkeypatch).splitlines()
        assert len(lines) <= LINES == 15
        assert max(map(width_of, lines)) <= WIDTH == 80


def test_a_breakdown_shows_as_many_parts_as_fit() -> None:
    """And what they leave over: shares are never cut."""
    summary = small_result().summary
    for parts in ({"a": 6, "b": 4}, {f"{'part' * 6}_{i}": 10 + i for i in range(9)}, {"x": 0.0}):
        system = summary["system"] | {"latency_breakdown_ns": parts}
        line = next(
            line for line in brief("x", summary | {"system": system}).splitlines() if line.startswith("Latency")
        )
        shares = [float(text.split()[-2]) for text in line.split(",")] if any(parts.values()) else [100.0]
        assert sum(shares) == pytest.approx(100, abs=0.2), line


def test_it_prints_where_the_screen_has_nothing_but_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "0.333 us/token" in printed(small_result(), "ascii", monkeypatch)
    assert "0.333 µs/token" in printed(small_result(), "utf-8", monkeypatch)


def test_what_does_not_fit_says_that_there_is_more() -> None:
    lines = str(crowded()).splitlines()
    assert lines[-1] == "... 3 warnings in all"
    assert "Warning: warning 0 is long" in "\n".join(lines)
    assert "and 4 more" in lines


def test_a_short_warning_is_there_in_full() -> None:
    summary = small_result().summary | {"warnings": ["is odd", "is odder"]}
    assert brief("x", summary).splitlines()[-2:] == ["Warning: is odd", "Warning: is odder"]


def test_a_name_cannot_move_the_cursor() -> None:
    assert "\x1b" not in brief("\x1b[2Jx", small_result().summary)


def test_a_machine_that_the_model_does_not_fit_has_no_ratio() -> None:
    """Of none of its models, or of the eager one alone."""
    summary = json.loads(json.dumps(small_result().summary))
    t4, xeon = summary["baselines"].values()
    for part in (t4, t4["roofline"], xeon):
        part["speedup"] = part["energy_ratio"] = None
    text = brief("x", summary)
    assert "Over gpu-t4         the model does not fit" in text
    assert "x roofline; energy " in text and " eager" not in text and "None" not in text


def test_no_figure_is_cut_for_a_long_name() -> None:
    summary = small_result().summary
    t4 = summary["baselines"]["gpu-t4"]
    lines = brief("x", summary | {"baselines": {"a machine of many words " * 5: t4}}).splitlines()
    assert lines[-1].startswith("Over a machine") and "...  speedup " in lines[-1]
    assert lines[-1].endswith(f"{number(t4['energy_ratio'])}x")


def test_a_single_token_is_no_plural() -> None:
    summary = small_result().summary
    for count, words in ((1, "tiny, 1 token decoded"), (2, "tiny, 2 tokens decoded")):
        workload = summary["workload"] | {"output_tokens": count}
        assert words in brief("x", summary | {"workload": workload})


def test_it_says_which_machine_is_beside_the_memory() -> None:
    """Its time and energy are in every figure."""
    placement = {
        "machine": "gpu-h100", "operators": {"pim": ["a"], "machine": ["b", "c"]}, "prompt": "machine",
        "machine_busy_fraction": 0.25, "link_busy_fraction": 0.0, "link_bytes": 4096,
    }  # fmt: skip
    lines = brief("x", small_result().summary | {"placement": placement}).splitlines()
    assert lines[1].startswith("gpu-h100 has 2 of 3 operators of a step and the prompt: busy ")
    assert lines[1] in brief("x", crowded().summary | {"placement": placement}).splitlines()
    assert len(brief("x", crowded().summary | {"placement": placement}).splitlines()) <= LINES


def test_a_shell_shows_one_line() -> None:
    assert repr(small_result()) == "<Result pim-gpt: tiny, 3 tokens decoded, without LM head>"


def test_it_needs_neither_the_configuration_nor_the_run() -> None:
    """A summary that was read from a file is printed by a process that loads no simulator."""
    code = (
        "import json, sys; from pimsim.results.brief import brief; print(brief('x', json.load(sys.stdin), True));"
        "assert not [name for name in sys.modules if name.startswith(('pimsim.sim', 'pimsim.config', 'numpy'))]"
    )
    summary = small_result().summary
    done = subprocess.run([sys.executable, "-c", code], input=json.dumps(summary), capture_output=True, text=True)
    assert done.stdout == brief("x", summary, ascii_only=True) + "\n", done.stderr


# ---- a row per figure


def numbers_of(values: Any, path: str) -> dict[str, Any]:
    """Every number, or null, below a place of a summary."""
    if isinstance(values, dict):
        return {k: v for key, value in values.items() for k, v in numbers_of(value, f"{path}.{key}").items()}
    return {} if isinstance(values, str | bool) else {path: values}


def test_the_frame_has_every_figure_with_its_value() -> None:
    pandas = pytest.importorskip("pandas")
    result = small_result()
    frame = result.to_frame("summary")
    assert list(frame.columns) == ["figure", "value", "unit"] and frame["figure"].is_unique
    assert pandas.api.types.is_float_dtype(frame["value"])
    values = frame.set_index("figure")["value"]
    for section in ("workload", "system"):
        for name, value in numbers_of(result.summary[section], section).items():
            assert pandas.isna(values[name]) if value is None else values[name] == value, name
    roofline = result.summary["baselines"]["gpu-t4"]["roofline"]
    assert values["baselines.gpu-t4.roofline.speedup"] == roofline["speedup"]


def test_the_records_keep_whole_numbers_and_null() -> None:
    rows = {row["figure"]: row["value"] for row in small_result().records("summary")}
    assert isinstance(rows["system.cycles"], int)
    assert rows["system.activation_usual_pJ"] is small_result().summary["system"]["activation_usual_pJ"]


def test_a_figure_that_has_no_unit_is_a_share_or_a_ratio() -> None:
    """So a new figure of a summary gets its unit here, or is listed."""
    names = figures.known(["gpu-t4"])
    bare = {name.rpartition(".")[2] for name in names if unit_of(name) == "1"}
    assert bare == {
        "row_hit_rate", "data_movement_reduction", "non_vmm_fraction", "mac_utilization", "asic_busy_fraction",
        "acceptance", "speedup", "energy_ratio", "machine_busy_fraction", "link_busy_fraction",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("system.latency_ns", "ns"), ("system.latency_breakdown_ns.mac", "ns"), ("system.asic_energy_pJ.add", "pJ"),
        ("system.commands.MACAB", "commands"), ("system.tokens_per_s", "tokens/s"), ("system.cycles", "cycles"),
        ("workload.batch", "sequences"), ("baselines.gpu-t4.roofline.required_bytes", "bytes"),
        ("system.parts.drafting.tokens_kept", "tokens"), ("system.average_power_mW", "mW"),
    ],
)  # fmt: skip
def test_units(name: str, unit: str) -> None:
    assert unit_of(name) == unit


def test_every_row_of_a_run_can_be_an_objective() -> None:
    known = set(figures.known(small_result().baselines))
    assert {row["figure"] for row in figure_records(small_result().summary)} <= known
