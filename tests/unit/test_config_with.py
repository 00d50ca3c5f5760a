"""`config.with_` gives what loading with the same overrides gives, errors included; no other way is quiet."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import pimsim
from pimsim import api
from pimsim.config.loader import as_text
from pimsim.config.resolved import config_sha256, dump_yaml
from pimsim.config.schema import AnyConfig, Config, DeviceConfig
from pimsim.config.tree import WORKLOAD_SOURCES
from pimsim.errors import InputError
from tests.result_samples import SHIPPED, small_config

TRACE = str(SHIPPED.parents[1] / "traces" / "qwen2.5-0.5b.jsonl")
CHANGES: dict[str, dict[str, Any]] = {
    "a value": {"dram.channels": 4},
    "several": {"dram.channels": 4, "workload.model": "gpt2-xl", "schedule": "overlap", "asic.clock_GHz": 0.1},
    "another source of work": {"workload.model_config": {"name": "t", "layers": 2, "d_model": 64, "heads": 4}},
    "a default that follows": {"workload.model_config": {"name": "t", "layers": 2, "d_model": 128, "heads": 8}},
    "a trace": {"workload.trace": TRACE},
    "a trace and more": {"workload.trace": TRACE, "workload.output_tokens": 2},
    "a list": {"baselines": []},
    "a mapping of names": {"pim.formats": {"int8xint8": 32}},
    "nothing": {},
}
SOURCES = {f"workload.{name}" for name in WORKLOAD_SOURCES}
BASES: dict[str, dict[str, Any]] = {
    "shipped": {},
    "of a trace": {"workload.trace": TRACE},
    "of a shape": {"workload.model_config": {"name": "s", "layers": 1, "d_model": 64, "heads": 4}},
}


def same(one: AnyConfig, other: AnyConfig) -> bool:
    """Equal, with one hash, and written with the same origins."""
    texts = {dump_yaml(config, api.origins(config)) for config in (one, other)}
    return one == other and config_sha256(one) == config_sha256(other) and len(texts) == 1


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_what_loading_with_these_overrides_gives(change: str) -> None:
    changed = pimsim.load_config(SHIPPED).with_(CHANGES[change])
    assert same(changed, pimsim.load_config(SHIPPED, CHANGES[change]))


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("change", CHANGES)
def test_one_on_top_of_another_is_both_together(base: str, change: str) -> None:
    """But for the numbers that overrides have."""
    given = {} if SOURCES & CHANGES[change].keys() else BASES[base]  # a source of work replaces another
    changed = pimsim.load_config(SHIPPED, BASES[base]).with_(CHANGES[change])
    wanted = pimsim.load_config(SHIPPED, {**given, **CHANGES[change]})
    assert changed == wanted and config_sha256(changed) == config_sha256(wanted)


def test_the_run_of_a_changed_configuration_is_that_of_the_overrides() -> None:
    changes = {"dram.channels": 4, "schedule": "overlap"}
    results = [
        pimsim.run(config)
        for config in (small_config().with_(changes), small_config(dram__channels=4, schedule="overlap"))
    ]
    one, other = ({**result.summary, "simulation": None} for result in results)
    assert one == other and one["config_sha256"] != pimsim.run(small_config()).summary["config_sha256"]


def test_it_takes_strings_as_after_set_and_keywords_at_the_top() -> None:
    config = pimsim.load_config(SHIPPED)
    both = config.with_({"dram.channels": 4}, schedule="overlap")
    assert config.with_(["dram.channels=4", "schedule=overlap"]) == both
    assert config.with_(dram={"channels": 4}) == config.with_({"dram.channels": 4})


def test_the_configuration_itself_stays_what_it_was() -> None:
    config = pimsim.load_config(SHIPPED)
    before = config_sha256(config)
    config.with_({"dram.channels": 4})
    assert config_sha256(config) == before and config == pimsim.load_config(SHIPPED)


def test_a_memory_that_runs_no_language_model_has_it_too() -> None:
    config = pimsim.load_config("gddr6")
    assert isinstance(config, DeviceConfig)
    assert same(config.with_({"dram.channels": 2}), pimsim.load_config("gddr6", {"dram.channels": 2}))


def test_errors_are_those_of_loading_all_at_once() -> None:
    wrong = {"dram.chanels": 4, "workload.model": "gpt2-x", "pim.lanes": 32, "asic.adders": "many"}
    with pytest.raises(InputError) as loaded:
        pimsim.load_config(SHIPPED, wrong)
    with pytest.raises(InputError) as changed:
        pimsim.load_config(SHIPPED).with_(wrong)
    assert str(changed.value) == str(loaded.value)
    assert {problem.key for problem in changed.value.problems} == set(wrong)
    assert "did you mean 'channels'?" in str(changed.value) and "did you mean 'gpt2-xl'?" in str(changed.value)


def test_a_problem_names_its_change_by_number_the_keywords_after_the_others() -> None:
    with pytest.raises(InputError, match=r"^overrides:3:1: shedule: unknown key; did you mean 'schedule'\?$"):
        pimsim.load_config(SHIPPED).with_({"dram.channels": 4, "dram.rows": 8192}, shedule="paper")


def test_what_is_wrong_only_with_the_rest_is_found() -> None:
    """A value that is fine by itself, in a configuration that is not."""
    config = pimsim.load_config(SHIPPED, {"dram.timing.tRC_ns": 60})
    with pytest.raises(InputError, match=r"dram\.timing\.tRC_ns"):
        config.with_({"dram.timing.tRAS_ns": 70})


def test_files_stay_where_they_were_relative_to_the_file_that_named_them(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(Path(TRACE).read_bytes())
    (tmp_path / "c.yaml").write_text(f"extends: {SHIPPED}\nworkload:\n  trace: t.jsonl\n", encoding="utf-8")
    config = pimsim.load_config(tmp_path / "c.yaml").with_({"dram.channels": 4})
    assert isinstance(config, Config)
    assert config.workload.trace == "t.jsonl" and config.workload.trace_file == str(tmp_path / "t.jsonl")


# ---- where values came from


def test_it_knows_where_each_value_came_from_and_what_it_was() -> None:
    origins = api.origins(pimsim.load_config(SHIPPED).with_({"dram.channels": 4}))
    assert (origins["dram.channels"].place, origins["dram.channels"].before) == ("overrides:1", "8")
    assert origins["dram.rows"].place.startswith("pim-gpt.yaml:") and origins["dram.rows"].label == "recalled"


def test_a_run_from_python_says_where_its_inputs_are_from(tmp_path: Path) -> None:
    """As a run of the command line does."""
    config = small_config()
    pimsim.run(config).save(tmp_path)
    text = (tmp_path / "config.resolved.yaml").read_text(encoding="utf-8")
    assert "source: recalled" in text and "[pim-gpt.yaml:" in text and text == dump_yaml(config, api.origins(config))


# ---- copies that pydantic makes, and others


@pytest.mark.parametrize(
    ("update", "said"),
    [
        ({"dram.channels": 4}, r"^dram\.channels: .*; config\.with_\(\{'dram\.channels': value\}\) makes a"),
        ({"schedul": "overlap"}, r"^schedul: .*; did you mean 'schedule'\?; config\.with_\("),
        ({"dram": {"channels": 4}}, r"^dram: .* section; config\.with_\(\{'dram\.channels': value\}\)"),
    ],
)  # fmt: skip
def test_model_copy_refuses_what_would_change_nothing(update: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        pimsim.load_config(SHIPPED).model_copy(update=update)


def test_a_section_refuses_it_too() -> None:
    with pytest.raises(InputError, match=r"^chanels: .*did you mean 'channels'"):
        pimsim.load_config(SHIPPED).dram.model_copy(update={"chanels": 4})


def test_an_assignment_says_what_to_do() -> None:
    with pytest.raises(ValidationError, match="frozen") as caught:
        pimsim.load_config(SHIPPED).dram.channels = 4
    assert caught.value.__notes__ == ["config.with_({'SECTION.channels': value}) makes a changed copy, and checks it"]


def unchecked(config: Config) -> dict[str, Callable[[], Config]]:
    """Copies that nothing has checked."""
    tokens = config.workload.model_copy(update={"output_tokens": "4"})
    return {
        "workload.output_tokens": lambda: config.model_copy(update={"workload": tokens}),
        "name": lambda: config.model_copy(update={"name": 5}),
        "dram": lambda: config.model_copy(update={"dram": config.pim}),
        "asic": lambda: type(config).model_construct(**{k: getattr(config, k) for k in ("dram", "pim", "workload")}),
    }


@pytest.mark.parametrize("key", unchecked(small_config()))
def test_what_nothing_has_checked_is_refused_before_it_runs(key: str) -> None:
    with pytest.raises(InputError) as caught:
        pimsim.run(unchecked(small_config())[key]())
    assert [problem for problem in caught.value.problems if f"{problem.key}.".startswith(f"{key}.")]


def test_a_copy_of_pydantic_s_keeps_its_values_and_the_origins_of_the_others() -> None:
    config = pimsim.load_config(SHIPPED)
    named = config.model_copy(update={"name": "mine", "dram": config.dram.model_copy(update={"rows": 8192})})
    changed = named.with_({"dram.channels": 4})
    assert same(changed.with_(name="mine"), changed.with_({"name": "mine"}))
    assert changed == pimsim.load_config(SHIPPED, {"name": "mine", "dram.rows": 8192, "dram.channels": 4})
    origins = api.origins(changed)
    assert origins["name"].place == origins["dram.rows"].place == "Python:1"
    assert origins["name"].before == as_text(config.name)
    assert origins["dram.bank_groups"].place.startswith("pim-gpt.yaml:")


def test_a_pair_that_a_copy_dropped_stays_dropped() -> None:
    config = pimsim.load_config(SHIPPED, {"pim.formats": {"int8xint8": 32, "int4xint8": 32}})
    assert isinstance(config, Config)
    fewer = config.model_copy(update={"pim": config.pim.model_copy(update={"formats": {"int8xint8": 32}})})
    assert list(fewer.with_({"dram.channels": 4}).pim.formats) == ["int8xint8"]  # type: ignore[union-attr]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda config: pickle.loads(pickle.dumps(config))])
def test_it_goes_where_a_configuration_goes(duplicate: Callable[[AnyConfig], AnyConfig]) -> None:
    config = pimsim.load_config(SHIPPED, {"workload.trace": TRACE})
    assert same(duplicate(config).with_({"dram.channels": 4}), config.with_({"dram.channels": 4}))


def test_a_configuration_that_was_made_of_values_has_it_too() -> None:
    config = pimsim.load_config(SHIPPED)
    made = type(config).model_validate(config.model_dump(by_alias=True))
    assert made == config
    assert made.with_({"dram.channels": 4}) == config.with_({"dram.channels": 4})
    with pytest.raises(InputError, match=r"workload\.model: unknown model 'gpt2-x'; did you mean 'gpt2-xl'\?"):
        made.with_({"workload.model": "gpt2-x"})


def test_keys_that_are_no_text_are_told() -> None:
    with pytest.raises(InputError, match="1: must be text"):
        pimsim.load_config("pim-gpt").with_({1: 2})  # type: ignore[dict-item]


def test_more_changes_are_numbered_after_one_that_is_a_string() -> None:
    with pytest.raises(InputError, match="^overrides:2:1: nme: "):
        pimsim.load_config("pim-gpt").with_("dram.channels=4", nme="x")
