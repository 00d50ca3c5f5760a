"""What a comparison says: inputs, figures, parts that sum, operators, warnings and names."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import pimsim
from pimsim.comparison import Comparison, rows
from pimsim.comparison.inputs import as_text
from pimsim.comparison.names import apart
from pimsim.comparison.operators import folded
from pimsim.comparison.views import Views
from pimsim.errors import InputError
from pimsim.results.result import Result
from tests.compare.conftest import Saved, plain, run_of
from tests.conftest import SHIPPED
from tests.schedule_kinds import run as run_kind

AIM = SHIPPED.with_name("aim.yaml")


def row(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    """The one row that has these values."""
    (found,) = (each for each in rows if all(each[key] == value for key, value in wanted.items()))
    return found


def keys(comparison: Comparison, role: str) -> list[str]:
    return [each["key"] for each in comparison.summary["inputs"] if each["role"] == role]


def check_sums(comparison: Comparison) -> None:
    """Differences of parts sum to the difference of the whole: of clocks exactly."""
    summary = comparison.summary
    causes = summary["causes"]
    for at in range(len(summary["runs"])):
        for key in ("exact", "exact_differences"):
            if key in causes["total"]:
                assert sum(each[key][at] for each in causes["rows"]) == causes["total"][key][at]
        for table in ("causes", "components"):
            for key in ("values", "differences"):
                parts = [each[key][at] for each in summary[table]["rows"]]
                size = max(summary[table]["total"]["values"])
                assert sum(parts) == pytest.approx(summary[table]["total"][key][at], rel=1e-12, abs=1e-12 * size)
        for each in summary["operators"]:
            assert sum(values[at] for values in each["causes"].values()) == pytest.approx(each["latency"]["values"][at])
            made = sum(values[at] for values in each["components"].values())
            assert made == pytest.approx(each["energy"]["values"][at], rel=1e-9, abs=1e-9)


# -- nothing differs ----------------------------------------------------------------------


def test_equal_runs_differ_in_nothing(saved: Saved) -> None:
    comparison = pimsim.compare([saved("a"), saved("b")])
    assert comparison.summary["equal"] and comparison.summary["inputs"] == comparison.summary["warnings"] == []
    assert "Nothing differs" in str(comparison) and "Latency by cause" not in str(comparison)
    assert comparison.names == ["pim-gpt #1", "pim-gpt #2"]


def test_how_it_is_simulated_is_no_difference_of_figures() -> None:
    comparison = run_of().compare(run_of(engine__mode="stepped", engine__fold=False))
    assert keys(comparison, "names") == ["engine.mode", "engine.fold"]
    assert keys(comparison, "decides") == comparison.summary["warnings"] == []
    assert all(len(set(each["values"])) == 1 for each in comparison.summary["results"])


def test_a_run_and_its_folder_are_equal(saved: Saved) -> None:
    folder = saved(dram__channels=4)
    comparison = pimsim.compare([folder, run_of(dram__channels=4)])
    assert comparison.summary["equal"] and comparison.summary["runs"][0]["made"] == "a/"


# -- inputs -------------------------------------------------------------------------------


def test_inputs_come_with_value_label_and_place() -> None:
    comparison = run_of().compare(run_of(dram__channels=4))
    assert keys(comparison, "decides") == ["dram.channels"]
    found = comparison.summary["inputs"][0]
    assert found["values"] == [8, 4] and found["labels"] == ["paper", None] and found["present"] == [True, True]
    assert found["places"][0].startswith("pim-gpt.yaml:") and found["places"][1].startswith("overrides:")


def test_keys_that_follow_and_keys_that_name_are_told_apart() -> None:
    comparison = run_of().compare(run_of(AIM, name="other"))
    assert "dram.standard" in keys(comparison, "decides") and "name" in keys(comparison, "names")
    assert "dram.timing.tRFCpb_ns" in keys(comparison, "follows")
    found = row(comparison.summary["inputs"], key="pim.softmax")
    assert found["present"] == [False, True] and found["values"][0] is None
    assert comparison.summary["inputs"][0]["key"] == "dram.standard"


def test_equal_values_that_are_known_differently_are_apart() -> None:
    comparison = run_of().compare(run_of(asic__adders=256))
    assert comparison.summary["inputs"] == []
    assert [each["key"] for each in comparison.summary["known_differently"]] == ["asic.adders"]
    assert comparison.summary["equal"]


def test_a_file_that_a_key_names_may_differ_where_its_name_does_not(tmp_path: Path) -> None:
    results = []
    for folder, value in (("a", 0.5), ("b", 0.7)):
        (tmp_path / folder).mkdir()
        row = f"{{value: {value}, unit: '1', source: assumed, note: a guess}}"
        table = f"schema: pimsim.energy/1\nname: own\nextends: v2\nrows: {{all_bank_read_factor: {row}}}\n"
        (tmp_path / folder / "own.yaml").write_text(table)
        config = tmp_path / folder / "config.yaml"
        config.write_text(f"extends: {SHIPPED}\nenergy: {{table: own.yaml}}\n")
        results.append(run_of(config))
    comparison = results[0].compare(results[1])
    assert comparison.summary["inputs"] == [] and not comparison.summary["equal"]
    assert comparison.summary["warnings"][0].startswith("the keys are equal, and a file that one of them names is not")


# -- figures ------------------------------------------------------------------------------


def test_figures_are_those_of_the_summaries_with_difference_and_ratio() -> None:
    first, second = run_of(), run_of(dram__channels=4)
    comparison = first.compare(second)
    for each in comparison.summary["results"]:
        a, b = (result.summary["system"][each["figure"].removeprefix("system.")] for result in (first, second))
        assert each["values"] == [a, b] and each["differences"] == [0, b - a]
        assert each["ratios"] == ([1.0, b / a] if a else [None, None])


@pytest.mark.parametrize("base", [0, 1, 2])
def test_differences_are_to_the_base_that_is_asked_for(base: int) -> None:
    comparison = pimsim.compare([run_of(), run_of(dram__channels=4), run_of(AIM)], base=base)
    check_sums(comparison)
    for each in comparison.summary["results"]:
        values = each["values"]
        assert each["differences"] == [value - values[base] for value in values]
    assert comparison.summary["causes"]["exact_unit"] == "ps"


def test_clocks_of_one_length_are_counted_in_clocks() -> None:
    first, second = run_of(), run_of(dram__channels=4)
    causes = first.compare(second).summary["causes"]
    assert causes["exact_unit"] == "clocks"
    assert causes["total"]["exact"] == [first.summary["system"]["cycles"], second.summary["system"]["cycles"]]
    for each in causes["rows"]:
        found = [result.tally.causes().get(each["cause"], 0) for result in (first, second)]
        assert each["exact"] == found and each["exact_differences"] == [0, found[1] - found[0]]


def test_clocks_of_other_lengths_are_counted_in_picoseconds() -> None:
    first, second = run_of(), run_of(AIM)
    total = first.compare(second).summary["causes"]["total"]
    assert total["exact"] == [1000 * first.tally.cycles, 500 * second.tally.cycles]


def test_a_table_that_does_not_sum_is_refused() -> None:
    from pimsim.comparison.runs import Run

    class Wrong(Run):
        def clocks(self, phase: str | None, cause: str = "") -> int:
            return super().clocks(phase, cause) + (cause == "mac")

    runs = [Wrong(name, run_of(dram__channels=channels)) for name, channels in (("a", 8), ("b", 4))]
    with pytest.raises(ValueError, match=r"exact of the parts of a sum to \d+, not \d+"):
        _ = Comparison(runs).summary


def test_commands_are_matched_by_name() -> None:
    comparison = run_of().compare(run_of(AIM))
    found = row(comparison.summary["commands"], command="MACAB")
    assert found["values"][1] is None and found["ratios"] == [1.0, None]
    assert row(comparison.summary["commands"], command="WRGB")["ratios"][1] > 0


def test_machines_that_only_one_run_is_compared_with_have_no_ratio() -> None:
    comparison = run_of().compare(run_of(baselines=["cpu-xeon-6154"]))
    assert keys(comparison, "names") == ["baselines"]
    found = row(comparison.summary["baselines"], baseline="gpu-t4", model="roofline", figure="speedup")
    assert found["values"][0] > 0 and found["values"][1] is found["differences"][1] is found["ratios"][1] is None


# -- runs of other sizes ------------------------------------------------------------------


def test_runs_that_decode_other_numbers_of_tokens_are_compared_per_token() -> None:
    first, second = run_of(workload__output_tokens=2), run_of(workload__output_tokens=6)
    comparison = first.compare(second)
    summary = comparison.summary
    assert summary["warnings"][0].startswith("the runs do different work (output tokens: 2, 6)")
    assert summary["scope"] == {
        "per": "token", "words": "per kept token of all sequences", "phase": "decode", "tokens": [2, 6],
        "comparable": True,
    }  # fmt: skip
    assert summary["causes"]["total"]["values"] == [
        r.summary["system"]["latency_per_token_ns"] for r in (first, second)
    ]
    energy = [r.summary["system"]["energy_per_token_pJ"] for r in (first, second)]
    assert summary["components"]["total"]["values"] == pytest.approx(energy, rel=1e-12)
    assert "exact_differences" not in summary["causes"]["total"]
    whole = row(summary["results"], figure="system.latency_ns")
    assert not whole["comparable"] and whole["differences"] == whole["ratios"] == [None, None]
    assert row(summary["results"], figure="system.tpot_ns")["ratios"][1] is not None
    assert all(each["ratios"] == [None, None] for each in summary["commands"])
    check_sums(comparison)
    assert "token of all sequences)" in str(comparison) and "different work" in str(comparison)


def test_sequences_of_a_batch_count_as_tokens() -> None:
    comparison = run_of().compare(run_of(workload__batch=4))
    assert comparison.summary["scope"]["tokens"] == [2, 8]
    check_sums(comparison)
    one = row(comparison.summary["results"], figure="system.tpot_ns")
    whole, total = row(comparison.summary["results"], figure="causes.total"), comparison.summary["causes"]["total"]
    assert one["what"] == "latency per token of one sequence"
    assert whole["what"] == "latency per kept token of all sequences"
    assert whole["values"] == total["values"] and whole["differences"] == total["differences"]
    assert one["differences"][1] > 0 > whole["differences"][1]
    assert "kept token of all sequences)" in str(comparison)


def test_another_model_is_other_work_of_the_same_size() -> None:
    wide = {"name": "wide", "layers": 2, "d_model": 128, "heads": 4}
    comparison = run_of().compare(run_of(workload__model_config=wide))
    assert "model: tiny, wide): they decode equally many tokens" in comparison.summary["warnings"][0]
    assert comparison.summary["scope"]["per"] == "run"


def test_prompts_alone_are_compared_per_token_of_the_prompt(tmp_path: Path) -> None:
    one = plain(run_kind(tmp_path, "prefill"))
    other = plain(run_kind(tmp_path, "encoder"))
    comparison = one.compare(other)
    assert comparison.summary["scope"]["per"] in ("run", "prompt_token")
    check_sums(comparison)


def test_a_prompt_beside_decoding_is_told(tmp_path: Path) -> None:
    comparison = plain(run_kind(tmp_path, "prefill")).compare(run_of())
    assert comparison.summary["warnings"][0].endswith("so figures of whole runs are no measure of each other")
    assert str(comparison) and "first token after" in str(comparison)


def test_whole_runs_of_other_sizes_have_parts_without_differences(tmp_path: Path) -> None:
    comparison = plain(run_kind(tmp_path, "prefill")).compare(run_of())
    summary = comparison.summary
    assert summary["scope"]["per"] == "run" and not summary["scope"]["comparable"]
    for each in [summary[key]["total"] for key in ("causes", "components")] + summary["components"]["rows"]:
        assert any(each["values"]) and each["differences"] == each["ratios"] == [None, None]
    for each in summary["operators"]:
        assert each["latency"]["differences"] == each["energy"]["differences"] == [None, None]
    assert str(comparison).count("there is no difference and no ratio") == 4
    assert comparison._repr_html_()
    for suffix in ("html", "svg"):
        comparison.save(tmp_path / f"x.{suffix}")
        assert "None" not in (tmp_path / f"x.{suffix}").read_text()


def test_a_run_that_decodes_nothing_saves_no_traffic(tmp_path: Path) -> None:
    comparison = plain(run_kind(tmp_path, "prefill")).compare(run_of())
    found = row(comparison.summary["results"], figure="system.data_movement_reduction")
    assert found["values"][0] is found["differences"][1] is None and found["values"][1] > 0


# -- operators ----------------------------------------------------------------------------


def test_operators_that_one_run_lacks_are_told() -> None:
    comparison = run_of().compare(run_of(AIM))
    found = row(comparison.summary["operators"], operator="ffn_act")
    assert found["present"] == [True, False] and found["latency"]["values"][1] == 0
    assert "not in aim: ffn_act" in str(comparison)


def test_operators_that_one_run_lacks_are_told_with_their_part(tmp_path: Path) -> None:
    """Else an operator of two parts would be in neither run."""
    summary = run_of(name="plain").compare(plain(run_kind(tmp_path, "chain"))).summary
    notes = [each for each in rows.of_operators(summary, 12).notes if each.startswith("not in ")]
    assert len(notes) == 2
    assert "drafting " in notes[0] and "drafting" not in notes[1]


def test_operators_sum_to_the_run() -> None:
    comparison = run_of(workload__prompt_tokens=2).compare(run_of(AIM, workload__prompt_tokens=2))
    check_sums(comparison)
    for at in range(2):
        total = sum(each["latency"]["exact"][at] for each in comparison.summary["operators"])
        assert total == comparison.summary["causes"]["total"]["exact"][at]


def test_parts_of_a_schedule_are_rows_of_their_own(tmp_path: Path) -> None:
    result = plain(run_kind(tmp_path, "chain"))
    comparison = result.compare(plain(run_kind(tmp_path, "chain", dram__channels=4)))
    found = [(each["part"], each["operator"]) for each in comparison.summary["operators"]]
    assert ("drafting", "qkv") in found and ("verification", "qkv") in found
    check_sums(comparison)


def test_layers_of_one_kind_are_a_row_where_there_are_many() -> None:
    few = [("decode", "", f"qkv.{layer}") for layer in range(8)]
    assert list(folded(few)) == few
    many = [("decode", "", name) for layer in range(13) for name in (f"h.{layer}.qkv", f"h.{layer}.w1")]
    assert folded([*many, ("decode", "", "sum")]) == {
        ("decode", "", "h.0.qkv .. h.12.qkv"): many[::2],
        ("decode", "", "h.0.w1 .. h.12.w1"): many[1::2],
        ("decode", "", "sum"): [("decode", "", "sum")],
    }


# -- warnings -----------------------------------------------------------------------------


def test_warnings_of_a_run_keep_its_name() -> None:
    comparison = run_of().compare(run_of(dram__power__budget_W=0.1))
    assert comparison.summary["runs"][0]["warnings"] == [] != comparison.summary["runs"][1]["warnings"]
    assert "pim-gpt (dram.power.budget_W=0.1): " in " ".join(str(comparison).split())


def test_versions_of_pimsim_that_differ_are_told() -> None:
    comparison = run_of().compare(replace(run_of(), version="0.0.9"))
    assert comparison.names == ["pim-gpt (pimsim 0.1.0)", "pim-gpt (pimsim 0.0.9)"]
    assert comparison.summary["warnings"][0].startswith("made by different versions of pimsim (0.1.0, 0.0.9)")


def test_figures_that_differ_without_a_reason_are_told(saved: Saved) -> None:
    folder = saved("a")
    summary = json.loads((folder / "summary.json").read_text())
    summary["system"]["peak_power_mW"] *= 2
    (folder / "summary.json").write_text(json.dumps(summary))
    comparison = pimsim.compare([folder, run_of()])
    assert comparison.summary["warnings"] == [
        "the inputs are equal, and the figures are not: a file of one of these runs was changed"
    ]


def test_a_configuration_that_was_edited_is_told(saved: Saved) -> None:
    folder = saved("a")
    path = folder / "config.resolved.yaml"
    path.write_text(path.read_text().replace("batch: 1 ", "batch: 2 "))
    (found,) = pimsim.compare([folder, run_of()], names=["a", "b"]).summary["warnings"]
    assert found == "config.resolved.yaml of a is not what ran: it, or a file that it names, was changed"


def test_a_configuration_that_was_edited_and_does_not_load_is_told(saved: Saved) -> None:
    folder = saved("a")
    path = folder / "config.resolved.yaml"
    path.write_text(path.read_text().replace("batch: 1 ", "batch: -1 "))
    (found,) = pimsim.compare([folder, run_of(), run_of(dram__channels=4)]).summary["warnings"]
    assert found == "config_sha256 is equal, and workload.batch is not: a config.resolved.yaml was changed"


# -- names --------------------------------------------------------------------------------


def test_names_are_the_configurations_and_what_differs() -> None:
    runs = [run_of(), run_of(dram__channels=4), run_of(AIM)]
    assert pimsim.compare(runs).names == ["pim-gpt (dram.channels=8)", "pim-gpt (dram.channels=4)", "aim"]


def test_a_name_says_two_keys_at_most() -> None:
    names = run_of().compare(run_of(dram__channels=4, asic__adders=2, schedule="overlap")).names
    assert names[1] == "pim-gpt (dram.channels=4, asic.adders=2, 1 more)"


def test_names_may_be_given() -> None:
    runs = [run_of(), run_of(dram__channels=4)]
    assert pimsim.compare(runs, names=["before", "after"]).names == ["before", "after"]
    with pytest.raises(ValueError, match="1 names for 2 runs"):
        pimsim.compare(runs, names=["before"])
    with pytest.raises(ValueError, match="two runs are named 'x'"):
        pimsim.compare(runs, names=["x", "x"])


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["short", "a text that is too long"], ["short", "a text that is t..."]),
        (["null", "/folders/of/traces/draft.jsonl"], ["null", ".../draft.jsonl"]),
        (["/a/long/folder/one.jsonl", "/a/long/folder/two.jsonl"], [".../one.jsonl", ".../two.jsonl"]),
        (["/a/long/folder/one/x.jsonl", "/a/long/folder/two/x.jsonl"], [".../one/x.jsonl", ".../two/x.jsonl"]),
        (["[1, 2, 3, 4, 5, 6, 7]", "[1, 2, 3, 4, 5, 6, 8]"], ["...2, 3, 4, 5, 6, 7]", "...2, 3, 4, 5, 6, 8]"]),
        ([f"{'a' * 30}{middle}{'z' * 30}" for middle in "xy"], ["...xzzzzzzzzzzzzz...", "...yzzzzzzzzzzzzz..."]),
    ],
)
def test_what_differs_still_does_when_it_is_cut(texts: list[str], found: list[str]) -> None:
    assert apart(texts, 19 if texts[0].startswith(("short", "null", "/")) else 20) == found


def test_names_are_told_apart_whatever_configurations_are_called() -> None:
    runs = [run_of(name=name) for name in ("x", "x", "x #1", "x #1")]
    assert len(set(pimsim.compare(runs).names)) == 4
    runs = [run_of(name=name) for name in ("x", "x", "x #1")]
    assert pimsim.compare(runs).names == ["x #2", "x #3", "x #1"]


@pytest.mark.parametrize(("table", "name"), [("results", "figure"), ("inputs", "key"), ("results", "difference b")])
def test_a_name_takes_no_column_of_a_table(table: str, name: str) -> None:
    runs = [run_of(), run_of(dram__channels=4)]
    plain_rows = pimsim.compare(runs, names=["a", "b"]).records(table)
    rows = pimsim.compare(runs, names=[name, "b"]).records(table)
    assert [list(each.values()) for each in rows] == [list(each.values()) for each in plain_rows]
    assert f"run {name}" in rows[0] and "run b" in rows[0]


def test_nothing_is_simulated_under_wrong_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("it was simulated")

    monkeypatch.setattr("pimsim.api.run", refuse)
    for message, wrong in (("1 names", {"names": ["a"]}), ("are named 'a'", {"names": ["a", "a"]}),
                           ("base must be", {"base": 2})):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            pimsim.compare(["pim-gpt", "aim"], **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two runs or more"):
        pimsim.compare(["pim-gpt"])


# -- Python -------------------------------------------------------------------------------


def test_what_may_be_compared(saved: Saved, tmp_path: Path) -> None:
    config = tmp_path / "own.yaml"
    config.write_text(f"extends: {SHIPPED}\nworkload:\n  model_config: {{name: t, layers: 1, d_model: 64, heads: 4}}\n")
    overrides = {"workload.output_tokens": 2}
    loaded = pimsim.load_config(config, overrides)
    comparison = pimsim.compare([saved(), pimsim.load_result(saved("b")), run_of(), loaded, str(config)],
                                overrides=overrides)  # fmt: skip
    made = ["a/", "b/", "", "", "pimsim run own.yaml --set workload.output_tokens=2"]
    assert [run["made"] for run in comparison.summary["runs"]] == made


def test_one_run_is_no_comparison() -> None:
    with pytest.raises(ValueError, match="two runs or more, not 1"):
        pimsim.compare([run_of()])
    with pytest.raises(ValueError, match="place of one of 2 runs"):
        pimsim.compare([run_of(), run_of()], base=2)


def test_everything_wrong_with_all_of_them_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"extends: {SHIPPED}\ndram: {{chanels: 4}}\n")
    with pytest.raises(InputError) as caught:
        pimsim.compare([tmp_path / "a.yaml", "aimm", tmp_path])
    lines = str(caught.value).split("\n")
    assert len(lines) == 3 and "dram.chanels: unknown key; did you mean 'channels'?" in lines[0]
    assert "did you mean 'aim'?" in lines[1] and "no result is in it" in lines[2]


def test_overrides_need_something_to_run() -> None:
    with pytest.raises(InputError, match="only results are given"):
        pimsim.compare([run_of(), run_of()], overrides={"dram.channels": 4})


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("inputs", ["key", "role", "present a", "present b", "a", "b"]),
        ("results", ["figure", "what", "unit", "better", "comparable", "a", "b", "difference a", "difference b"]),
        ("causes", ["cause", "exact a", "exact b", "exact difference a", "exact difference b", "a", "b"]),
        ("components", ["component", "a", "b", "difference a", "difference b", "ratio a", "ratio b"]),
        ("operators", ["phase", "part", "operator", "present a", "present b", "counts a", "counts b"]),
        ("commands", ["command", "a", "b", "difference a", "difference b", "ratio a", "ratio b"]),
        ("baselines", ["baseline", "model", "figure", "what", "a", "b"]),
    ],
)
def test_tables_have_a_column_for_each_run(table: str, columns: list[str]) -> None:
    frame = pimsim.compare([run_of(), run_of(AIM)], names=["a", "b"]).to_frame(table)
    assert list(frame.columns)[: len(columns)] == columns and len(frame)


def test_the_frames_of_parts_end_with_their_sum() -> None:
    frame = pimsim.compare([run_of(), run_of(AIM)], names=["a", "b"]).to_frame("causes")
    assert frame["cause"].iloc[-1] == "total"
    assert frame["exact difference b"].iloc[:-1].sum() == frame["exact difference b"].iloc[-1]


def test_a_table_that_there_is_not_is_told() -> None:
    with pytest.raises(ValueError, match="no table 'operator'; did you mean 'operators'"):
        run_of().compare(run_of()).to_frame("operator")


def test_it_shows_in_a_notebook() -> None:
    shown = run_of().compare(run_of(dram__channels=4))._repr_html_()
    assert "dram.channels" in shown and "Latency by cause" in shown and "http" not in shown
    assert "Nothing differs" in run_of().compare(run_of())._repr_html_()


def test_a_result_without_a_comparison_says_so() -> None:
    result: Result = replace(run_of(), comparing=None)
    with pytest.raises(RuntimeError, match="pimsim.run makes one that does"):
        result.compare(run_of())


def test_the_same_runs_make_the_same_text(saved: Saved) -> None:
    texts = {pimsim.compare([saved("a"), saved("b", AIM)]).to_json() for _ in range(2)}
    assert len(texts) == 1 and "wall_s" not in texts.pop()


# -- the screen ---------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 4, 7, 30])
def test_no_line_is_longer_than_80_columns(count: int) -> None:
    one, two = run_of(), run_of(AIM, name="a-name-that-is-" + "very-" * 20 + "long")
    names = [f"{'long-' * (at % 5)}run-{at}" for at in range(count)]
    text = str(pimsim.compare([one if at % 2 else two for at in range(count)], names=names))
    assert max(map(len, text.split("\n"))) <= 80
    assert "Inputs that differ" in text and "Results" in text


@pytest.mark.parametrize("names", [("pim-gpt", "pim-gpt-int8", "pim-gpt-int4"), ("one", "two", "three")])
def test_a_figure_takes_one_line_whatever_heads_the_columns(names: tuple[str, ...]) -> None:
    text = str(pimsim.compare([run_of(), *[run_of(AIM)] * (len(names) - 1)], names=names)).split("\n")
    begin = next(at for at, line in enumerate(text) if line.startswith("Results"))
    assert [line[:18] for line in text[begin + 1 : begin + 3]] == ["latency, whole run", "first token after "]


def test_a_sum_that_is_shown_is_that_of_the_rows_that_are_shown() -> None:
    text = str(pimsim.compare([run_of(), run_of(AIM)], names=["one", "two"])).split("\n")
    begin = next(at for at, line in enumerate(text) if line.startswith("Latency by cause"))
    end = next(at for at in range(begin, len(text)) if text[at].startswith("total"))
    column = [Fraction(line.split()[-1].replace(",", "")) for line in text[begin + 1 : end + 1]]
    assert abs(sum(column[:-1]) - column[-1]) <= Fraction(len(column), 1000)
    sizes = [abs(value) for value in column[:-1]]
    assert all(a >= b for a, b in pairwise(sizes))


def test_a_value_that_is_a_list_is_written_as_in_a_configuration() -> None:
    from pimsim.config.readback import Given

    assert as_text(Given(["a", 1, None])) == "[a, 1, null]" and as_text(None) == "-"


def test_what_is_no_run_is_refused_by_what_is_taken() -> None:
    result = run_of()
    for wrong in ([None, result], "pim-gpt", None):
        with pytest.raises(TypeError, match="compare"):
            pimsim.compare(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="results are compared, .* not 'x'"):
        result.compare("x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="names takes a list"):
        pimsim.compare([result, result], names="ab")


def test_overrides_change_configurations_made_in_python() -> None:
    config = run_of().config
    comparison = pimsim.compare([config, run_of()], overrides={"dram.channels": 4})
    assert comparison.names[0] == "pim-gpt (dram.channels=4)"


def test_a_command_quotes_what_yaml_would_read_otherwise() -> None:
    from pimsim.sidebyside import command

    assert command("a.yaml", {"name": "no"}) == "pimsim run a.yaml --set 'name=\"no\"'"


# -- charts of the page -------------------------------------------------------------------


def test_charts_call_parts_what_a_run_calls_them_and_take_no_name_for_a_number() -> None:
    for others in ([AIM], [AIM, SHIPPED]):
        views = Views(pimsim.compare([run_of(dram__channels=4), *map(run_of, others)]).summary)
        assert views.said()["cause:mac"] == "MAC"
        assert views.said()["component:io"] == "I/O"
        shown = [view for chart in views.all().values() for view in chart.values()]
        assert {view["layout"]["yaxis"]["type"] for view in shown} == {"category"}
        drawn = [trace for view in shown for trace in view["traces"]]
        names = {name for trace in drawn for name in (trace["name"], *trace["y"])}
        assert {"I/O", "input transfer"} <= names and not {"mac", "io", "input_transfer"} & names
