"""Reading configurations: YAML's traps, extends, overrides, and the place of every problem."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pimsim.config.loader import Overrides, load, load_config
from pimsim.errors import InputError
from tests.conftest import SHIPPED, Write

NAMES = {"workload.model": ("gpt2-small", "gpt3-xl"), "baselines": ("gpu-t4", "cpu-xeon-6154")}


def problems(path: Path, overrides: Overrides | None = None) -> list[str]:
    """The lines that a configuration's problems are printed as, its folder left out."""
    with pytest.raises(InputError) as caught:
        load(path, overrides, NAMES)
    return [line.replace(f"{path.parent}/", "") for line in str(caught.value).split("\n")]


def line_of(start: str) -> int:
    """The line of the shipped configuration that begins with `start`."""
    lines = SHIPPED.read_text().split("\n")
    return 1 + next(i for i, line in enumerate(lines) if line.startswith(start))


# -- values -------------------------------------------------------------------------------


def test_decimals_are_exact(extend: Write) -> None:
    timing = load_config(extend("dram: {timing: {tCCDS_ns: 0.57, tCCDL_ns: 1.10}}")).dram.timing
    assert (timing.tCCDS_ns, timing.tCCDL_ns) == (Decimal("0.57"), Decimal("1.1"))


@pytest.mark.parametrize(("text", "rows"), [("1e3", 1000), ("4.096e3", 4096), ("+2048", 2048), ("010", 10)])
def test_numbers_are_read_as_people_read_them(extend: Write, text: str, rows: int) -> None:
    value = load_config(extend(f"dram: {{rows: {text}}}")).dram.rows
    assert value == rows and type(value) is int


@pytest.mark.parametrize("text", ["off", "no", "yes", "on", "Yes", "tRUE", '"true"', "1", "~"])
def test_only_true_and_false_are_switches(extend: Write, text: str) -> None:
    shown = {"1": "1", "~": "null"}.get(text, f"'{text.strip(chr(34))}'")
    assert problems(extend(f"workload:\n  lm_head: {text}\n")) == [
        f"config.yaml:3:3: workload.lm_head: must be true or false, not {shown}"
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("true", "true"),
        ('"8"', "'8'"),
        ("1.5", "1.5"),
        ("1_000", "'1_000'"),
        ("0x10", "'0x10'"),
        ("10:30", "'10:30'"),
        ("[8]", "a list"),
        ("{a: 8}", "a mapping"),
        ("null", "null"),
        ("", "null"),
        (".inf", "'.inf'"),
        ("1e99999", "1E+99999"),
        ("9" * 5000, "9" * 57 + "..."),
    ],
)
def test_only_a_whole_number_is_a_count(extend: Write, text: str, shown: str) -> None:
    assert problems(extend(f"dram:\n  channels: {text}\n")) == [
        f"config.yaml:3:3: dram.channels: must be a whole number, not {shown}"
    ]


@pytest.mark.parametrize("text", ["true", "'12'", "12ns", ".nan", "[]"])
def test_only_a_number_is_a_time(extend: Write, text: str) -> None:
    (line,) = problems(extend(f"dram:\n  timing:\n    tCL_ns: {text}\n"))
    assert line.startswith("config.yaml:4:5: dram.timing.tCL_ns: must be a number, not ")


def test_none_and_off_stay_words(extend: Write) -> None:
    assert load_config(extend("dram: {refresh: none}")).dram.refresh == "none"
    assert problems(extend("dram: {refresh: off}")) == [
        "config.yaml:2:8: dram.refresh: must be 'all_bank', 'per_bank' or 'none', not 'off'"
    ]


# -- what a file may be -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "config.yaml:1:1: is empty; a mapping of keys is needed"),
        ("# nothing\n", "config.yaml:1:1: is empty; a mapping of keys is needed"),
        ("\n- a\n", "config.yaml:2:1: must be a mapping of keys, not a list"),
        ("just text", "config.yaml:1:1: must be a mapping of keys, not a single value"),
        (b"a: 1\nb: \xff\n", "config.yaml:2:4: is not UTF-8 (byte 0xff)"),
        ("a: 1\nb: \x01\n", "config.yaml:2:4: the character U+0001 is not allowed"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(write: Write, text: str, line: str) -> None:
    assert problems(write(text)) == [line]


@pytest.mark.parametrize("text", ["a: [1\n", "a: 'x\n", "a: b: c\n", "\ta: 1\n", "a: *b\n", "a: 1\n---\nb: 2\n"])
def test_a_syntax_error_has_a_place(write: Write, text: str) -> None:
    (line,) = problems(write(text))
    assert line.startswith("config.yaml:") and ": not YAML: " in line


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.yaml") == ["none.yaml:1:1: cannot be read: No such file or directory"]


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert problems(tmp_path / "folder") == ["folder:1:1: cannot be read: Is a directory"]


def test_a_byte_order_mark_is_no_part_of_the_first_key(write: Write, shipped: Path) -> None:
    marked = write(b"\xef\xbb\xbf" + shipped.read_bytes())
    assert load_config(marked) == load_config(shipped)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: " + "[" * 40 + "]" * 40, "is nested too deeply"),
        ("a: " + "[" * 5000 + "]" * 5000, "is nested too deeply"),
        ("a: &a [*a]", "is nested too deeply"),
        ("a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c]\n"
         "e: &e [*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e]\ng: [*f,*f,*f,*f]", "is entry number 10001, too many"),
    ],
    ids=["deep", "very deep", "recursive", "exponential"],
)  # fmt: skip
def test_a_file_cannot_exhaust_the_reader(write: Write, text: str, what: str) -> None:
    assert problems(write(text))[-1].endswith(what)


def test_tags_are_refused(extend: Write) -> None:
    (line,) = problems(extend("name: !!python/name:os.system x\n"))
    assert line == "config.yaml:2:7: name: the tag tag:yaml.org,2002:python/name:os.system is not supported"


# -- keys ---------------------------------------------------------------------------------


def test_a_duplicate_key_names_both_lines(extend: Write) -> None:
    assert problems(extend("dram:\n  rows: 8192\n  channels: 4\n  rows: 4096\n")) == [
        "config.yaml:5:3: dram.rows: duplicate key, first given on line 3"
    ]


def test_an_unknown_key_names_the_nearest(extend: Write) -> None:
    assert problems(extend("dram:\n  chanels: 4\n")) == [
        "config.yaml:3:3: dram.chanels: unknown key; did you mean 'channels'?"
    ]


def test_a_key_in_the_wrong_section_names_the_right_one(extend: Write) -> None:
    assert problems(extend("dram:\n  lanes: 4\n")) == [
        "config.yaml:3:3: dram.lanes: unknown key; did you mean 'pim.lanes'?"
    ]


def test_a_misspelt_extends_is_named(write: Write) -> None:
    assert "config.yaml:1:1: extend: unknown key; did you mean 'extends'?" in problems(write("extend: a.yaml\n"))


def test_a_key_that_is_no_name_is_refused(extend: Write) -> None:
    assert problems(extend("dram:\n  ? [rows]\n  : 4\n")) == ["config.yaml:3:5: dram: a key must be a name"]


def test_a_missing_key_is_placed_at_the_mapping_that_lacks_it(write: Write, shipped: Path) -> None:
    text = shipped.read_text()
    lines = [line for line in text.split("\n") if "tRAS_ns" not in line and not line.startswith("name:")]
    section = 1 + next(i for i, line in enumerate(lines) if line == "  timing:")
    assert problems(write("\n".join(lines))) == [
        "config.yaml:1:1: name: required key is missing",
        f"config.yaml:{section}:3: dram.timing.tRAS_ns: required key is missing",
    ]


def test_a_value_in_the_place_of_a_section_is_refused(extend: Write) -> None:
    assert problems(extend("dram: 8\n")) == ["config.yaml:2:1: dram: must be a mapping of keys, not 8"]


def test_another_version_of_the_format_is_refused(extend: Write) -> None:
    (line,) = problems(extend("schema: pimsim.config/9\n"))
    assert line.startswith("config.yaml:2:1: schema: must be 'pimsim.config/1', not 'pimsim.config/9'")


def test_all_problems_are_reported_at_once_in_the_order_of_lines(extend: Write) -> None:
    text = "name: 3\ndram:\n  rows: x\n  rows: y\n  colour: 1  # source: guess\npim:\n  lanes: 32\nasic:\n  adders: 0\n"
    assert problems(extend(text), ["dram.tCK_ps=1", "nothing", "workload.model=gpt9"]) == [
        "config.yaml:2:1: name: must be text, not 3",
        "config.yaml:4:3: dram.rows: must be a whole number, not 'x'",
        "config.yaml:5:3: dram.rows: duplicate key, first given on line 4",
        "config.yaml:6:3: dram.colour: unknown key",
        "config.yaml:6:14: dram.colour: unknown source label 'guess'; "
        "labels: paper, recalled, adjacent, derived, inferred, assumed",
        "config.yaml:8:3: pim.lanes: 32 lanes that the column width cannot feed: "
        "a column of 32 bytes (dram.column_bytes) feeds 16",
        "config.yaml:10:3: asic.adders: must be at least 1, not 0",
        "--set:1:1: dram.tCK_ps: must be at least 100, not 1",
        "--set:2:1: must be KEY=VALUE, not 'nothing'",
        "--set:3:1: workload.model: unknown model 'gpt9'; known: gpt2-small, gpt3-xl",
    ]


# -- extends ------------------------------------------------------------------------------


def test_a_file_adds_to_the_one_that_it_extends(extend: Write, shipped: Path) -> None:
    base = load_config(shipped)
    config = load_config(extend("dram:\n  channels: 4\n  timing: {tCL_ns: 13}\nbaselines: []\n"))
    assert config.dram.channels == 4 and config.dram.timing.tCL_ns == 13 and config.baselines == ()
    assert config.dram.timing.tRP_ns == base.dram.timing.tRP_ns and config.pim == base.pim


def test_extends_is_relative_to_the_file_and_forms_a_chain(extend: Write, write: Write, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    extend("dram: {channels: 2, rows: 4096}", "inner/first.yaml")
    write("extends: first.yaml\ndram: {channels: 4}", "inner/second.yaml")
    config = load_config(write("extends: inner/second.yaml\nname: third"))
    assert (config.dram.channels, config.dram.rows, config.name) == (4, 4096, "third")


def test_a_cycle_of_extends_is_refused_where_it_closes(write: Write) -> None:
    write("extends: config.yaml\n", "other.yaml")
    assert problems(write("name: a\nextends: other.yaml\n")) == [
        "other.yaml:1:1: extends: config.yaml extends this file: a cycle"
    ]


def test_a_base_that_cannot_be_read_is_the_fault_of_the_line_that_names_it(write: Write) -> None:
    assert problems(write("name: a\nextends: nothing.yaml\n")) == [
        "config.yaml:2:1: extends: nothing.yaml: cannot be read: No such file or directory"
    ]


@pytest.mark.parametrize("value", ["[a, b]", "3", "", '"a\\0b"'])
def test_extends_names_one_file(write: Write, value: str) -> None:
    assert problems(write(f"extends: {value}\n")) == ["config.yaml:1:1: extends: must be the name of one file"]


def test_a_problem_in_the_base_is_placed_in_the_base(extend: Write, write: Write) -> None:
    extend("dram:\n  rows: x\n", "base.yaml")
    assert problems(write("extends: base.yaml\nname: a\n")) == [
        "base.yaml:3:3: dram.rows: must be a whole number, not 'x'"
    ]


def test_a_wrong_value_that_is_overridden_is_no_problem(extend: Write, write: Write) -> None:
    extend("dram: {rows: x}", "base.yaml")
    assert load_config(write("extends: base.yaml\ndram: {rows: 8}\n"), ["workload.output_tokens=1"]).dram.rows == 8


# -- one source of work -------------------------------------------------------------------

SHAPE = "{name: tiny, layers: 2, d_model: 64, heads: 4}"


def test_a_model_config_replaces_an_inherited_model(extend: Write) -> None:
    workload = load_config(extend(f"workload: {{model_config: {SHAPE}}}")).workload
    assert workload.model is None
    assert workload.model_config_ is not None and workload.model_config_.d_ff == 256


def test_a_model_replaces_an_inherited_model_config(extend: Write) -> None:
    path = extend(f"workload: {{model_config: {SHAPE}}}")
    workload = load_config(path, ["workload.model=gpt2-small"]).workload
    assert workload.model == "gpt2-small" and workload.model_config_ is None


def test_part_of_an_inherited_model_config_can_be_overridden(extend: Write) -> None:
    shape = load_config(
        extend(f"workload: {{model_config: {SHAPE}}}"), ["workload.model_config.layers=3"]
    ).workload.model_config_
    assert shape is not None and (shape.layers, shape.d_model) == (3, 64)


def test_null_clears_a_source(extend: Write, shipped: Path) -> None:
    assert problems(extend("workload:\n  model: null\n")) == [
        f"{shipped}:{line_of('workload:')}:1: workload: exactly one of model, trace, model_config is needed"
    ]


def test_two_sources_in_one_file_are_refused(extend: Write) -> None:
    assert problems(extend(f"workload:\n  model: gpt2-small\n  model_config: {SHAPE}\n")) == [
        "config.yaml:4:3: workload.model_config: "
        "exactly one of model, trace, model_config is allowed, and model is given"
    ]


def test_two_sources_by_options_are_refused(shipped: Path) -> None:
    (line,) = problems(shipped, ["workload.model=gpt2-small", f"workload.model_config={SHAPE}"])
    assert line.startswith("--set:2:1: workload.model_config: exactly one of ")


# -- overrides ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [
        ["dram.timing.tCL_ns=12.5", "dram.channels=4", "baselines=[gpu-t4]"],
        {"dram.timing.tCL_ns": 12.5, "dram.channels": 4, "baselines": ["gpu-t4"]},
        {"dram.timing": {"tCL_ns": Decimal("12.5")}, "dram": {"channels": 4}, "baselines": ("gpu-t4",)},
        ["dram={timing: {tCL_ns: 12.5}, channels: 4}", "baselines=[gpu-t4]"],
    ],
)
def test_overrides_are_text_or_python_values(shipped: Path, overrides: Overrides) -> None:
    config = load_config(shipped, overrides)
    assert config.dram.timing.tCL_ns == Decimal("12.5")
    assert config.dram.channels == 4 and config.baselines == ("gpu-t4",)


def test_the_last_of_two_overrides_wins(shipped: Path) -> None:
    assert load_config(shipped, ["dram.channels=2", "dram.channels=4"]).dram.channels == 4


def test_a_problem_of_an_override_has_the_number_of_the_override(shipped: Path) -> None:
    assert problems(shipped, ["dram.rows=8192", "dram.chanels=4", "dram.refresh=al_bank"]) == [
        "--set:2:1: dram.chanels: unknown key; did you mean 'channels'?",
        "--set:3:1: dram.refresh: must be 'all_bank', 'per_bank' or 'none', not 'al_bank'; did you mean 'all_bank'?",
    ]


@pytest.mark.parametrize("option", ["dram.rows=[", "dram.rows='", "dram.rows=a: b: c", "dram.rows=\x01"])
def test_an_override_that_is_no_yaml_is_refused(shipped: Path, option: str) -> None:
    (line,) = problems(shipped, [option])
    assert line.startswith("--set:1:1: dram.rows: ")


def test_a_python_override_is_named_so(shipped: Path) -> None:
    assert problems(shipped, {"dram.rows": 8, "dram.channels": True}) == [
        "overrides:2:1: dram.channels: must be a whole number, not true"
    ]


def test_a_key_of_endless_parts_is_unknown(shipped: Path) -> None:
    (line,) = problems(shipped, [".".join("a" * 5000) + "=1"])
    assert line.startswith("--set:1:1: a.a.a.") and line.endswith("...: unknown key")


# -- names --------------------------------------------------------------------------------


def test_unknown_names_are_refused_with_the_nearest(extend: Write) -> None:
    assert problems(extend("workload:\n  model: gpt3-xxl\nbaselines:\n  - gpu-t4\n  - gpu-t5\n")) == [
        "config.yaml:3:3: workload.model: unknown model 'gpt3-xxl'; did you mean 'gpt3-xl'?",
        "config.yaml:6:5: baselines.1: unknown baseline 'gpu-t5'; did you mean 'gpu-t4'?",
    ]


def test_an_unknown_standard_is_refused_with_the_nearest(extend: Write) -> None:
    assert problems(extend("dram:\n  standard: gddr6_pim\n")) == [
        "config.yaml:3:3: dram.standard: must be 'gddr6-pim', 'gddr6', 'aim', 'aim-reference', 'lpddr5x', "
        "'lpddr5x-pim', 'hbm3' or 'hbm2-pim', "
        "not 'gddr6_pim'; did you mean 'gddr6-pim'?"
    ]


def test_a_baseline_is_named_once(extend: Write) -> None:
    assert problems(extend("baselines: [gpu-t4, gpu-t4]\n")) == [
        "config.yaml:2:21: baselines.1: 'gpu-t4' is named twice"
    ]


# -- places -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("dram.rows", ("config.yaml", 3, 3)),
        ("dram.timing.tCL_ns", ("config.yaml", 4, 12)),
        ("baselines.1", ("config.yaml", 5, 21)),
        ("dram.channels", ("--set", 1, 1)),
        ("pim.lanes", ("pim-gpt.yaml", line_of("  lanes:"), 3)),
        ("mapping.reserve_tokens", ("pim-gpt.yaml", line_of("mapping:"), 1)),
        ("no.such.key", ("config.yaml", 1, 1)),
    ],
)
def test_a_key_is_located_where_it_was_given(extend: Write, key: str, place: tuple[Any, ...]) -> None:
    path = extend("dram:\n  rows: 8192\n  timing: {tCL_ns: 13}\nbaselines: [gpu-t4, cpu-xeon-6154]\n")
    file, line, column = load(path, ["dram.channels=4"]).locate(key)
    assert (Path(file).name, line, column) == place
