"""What `pimsim.register` takes, refuses and forgets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from click.testing import CliRunner
from pydantic import Field

import pimsim
from pimsim import Function, Hardware, InputError, ModelShape, Pass, register
from pimsim.asic.units import Units
from pimsim.baselines import devices as baselines
from pimsim.cli import cli
from pimsim.config.devices import CONFIGS
from pimsim.config.devices.gddr6 import Gddr6Config, Gddr6Memory, Gddr6Timings
from pimsim.config.devices.pim_gpt import DramConfig, PimGptConfig
from pimsim.config.schema import Config, Time, default
from pimsim.devices import check, gddr6, pim_gpt
from pimsim.devices.registry import HARDWARE, device_of
from pimsim.dram.gaps import gaps
from pimsim.dram.spec import Level, Roles, TimingConstraint
from pimsim.extension import PRICES
from pimsim.registry import Registry
from pimsim.sim.tally import DEVICE_CAUSES
from pimsim.workload.models import MODELS
from pimsim.workload.ops import OPS
from tests.extension.page import files

pytestmark = pytest.mark.usefixtures("outside")

SOURCE = "assumed: a test"
SHAPE = ModelShape("a-model", 2, 64, 4, 4, 256, 100, 64)
TABLE = gddr6.HARDWARE.table


def refused(call: Callable[[], Any]) -> list[str]:
    with pytest.raises(InputError) as caught:
        call()
    return [str(problem) for problem in caught.value.problems]


# -- shipped devices keep the same rules ---------------------------------------------------


@pytest.mark.parametrize("standard", HARDWARE.shipped)
def test_shipped_hardware_passes_the_check_of_registered_hardware(standard: str) -> None:
    assert list(check.problems(HARDWARE[standard], CONFIGS[standard], PRICES, DEVICE_CAUSES)) == []


# -- devices ---------------------------------------------------------------------------------


class OwnMemory(Gddr6Memory):
    """GDDR6 under another name."""

    standard: Literal["own"] = Field(description="Table of commands and timing constraints.")  # type: ignore[assignment]


class OwnConfig(Gddr6Config):
    """GDDR6 under another name."""

    dram: OwnMemory = Field(description="The memory.")


def own(**changes: Any) -> Hardware:
    return Hardware(replace(TABLE, **{"name": "own", **changes}))


def row(level: str = "bank", first: str = "ACT", then: str = "WR", latency: str = "nRCDWR", **more: Any) -> Any:
    return (*TABLE.constraints, TimingConstraint(level, (first,), (then,), latency, **{"source": "x", **more}))


def test_a_registered_memory_serves_traffic_as_its_twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    register(hardware=own(), config=OwnConfig)
    Path("own.yaml").write_text("extends: gddr6\nname: own\ndram: {standard: own}\n")
    register(configuration="own.yaml")
    ours, theirs = (
        CliRunner().invoke(cli, ["traffic", name, "--requests", "500", "--json"]) for name in ("own", "gddr6")
    )
    assert ours.exit_code == 0 and json.loads(ours.stdout) == json.loads(theirs.stdout)
    where = CliRunner().invoke(cli, ["devices"]).stdout
    assert [line.split()[-1] for line in where.splitlines() if line.startswith("own ")] == ["test_registering.py"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"roles": Roles(open_bank="ACTT")}, "roles.open_bank: unknown command 'ACTT'; did you mean 'ACT'?"),
        ({"constraints": row(then="WRR")}, "row ACT -> WRR (bank): unknown command 'WRR'; did you mean 'WR'?"),
        ({"constraints": row(latency="nRCDW")},
         "row ACT -> WR (bank): unknown timing name 'nRCDW'; did you mean 'nRCDWR'?"),
        ({"constraints": row(latency="nRCDWR;")}, "row ACT -> WR (bank): 'nRCDWR;' is no expression of timing names"),
        ({"constraints": row(level="bnk")}, "row ACT -> WR (bnk): unknown level 'bnk'; did you mean 'bank'?"),
        ({"constraints": row(source=" ")}, "row ACT -> WR (bank): has no source"),
        ({"constraints": row(window=0)}, "row ACT -> WR (bank, window 0): a window counts back, 1 or more"),
        ({"pins": "chanel"}, "pins: unknown level 'chanel'; did you mean 'channel'?"),
        ({"levels": (*TABLE.levels, Level("half", "bank // halves"))},
         "level half: 'bank // halves' is no expression of bank, banks, bank_groups, banks_per_group"),
        ({"commands": (*TABLE.commands, replace(TABLE.commands[0], name="ACT2", scope="bnk")),
          "causes": (("*", "*", "read"),)}, "ACT2.scope: unknown scope or level 'bnk'; did you mean 'bank'?"),
        ({"causes": TABLE.causes[:-1]}, "causes: no row for PRE -> RD, PREAB -> RD, RD -> RD, WR -> RD"),
        ({"causes": (*TABLE.causes, ("RDD", "*", "read"))},
         "causes (RDD, *): unknown command 'RDD'; did you mean 'RD'?"),
        ({"derived": {"nX": "nRPP"}}, "derived nX: unknown timing name 'nRPP'; did you mean 'nRP'?"),
        ({"commands": (*TABLE.commands, replace(TABLE.commands[0], name="A T"))},
         "command 'A T': a name has letters, digits and _ only"),
        ({"commands": (*TABLE.commands, replace(TABLE.commands[0], name="ACT2", mode="x")),
          "causes": (("*", "*", "read"),)},
         "ACT2.mode: unknown mode 'x'"),
        ({"commands": (*TABLE.commands, replace(TABLE.commands[0], name="ACT2", moves="2 * nBL")),
          "causes": (("*", "*", "read"),)}, "ACT2.moves: '2 * nBL' is no expression of column, banks, element"),
        ({"name": "gddr6"}, "`dram.standard` must be Literal['gddr6']"),
        ({"constraints": tuple(each for each in TABLE.constraints if each.latency != "nFAW")},
         "dram.timing.tFAW_ns is used by no row of the table"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_said(changes: dict[str, Any], said: str) -> None:
    found = refused(lambda: register(hardware=own(**changes), config=OwnConfig))
    assert any(line.endswith(said) for line in found), found
    assert "own" not in HARDWARE and "own" not in CONFIGS


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        ({"WDM": "WRR"}, "masks WDM: unknown command 'WRR'; did you mean 'WR'?"),
        ({"WDM": "RD"}, "masks WDM: RD writes no column"),
        ({"ACT": "WR"}, "masks ACT: the table has a command of this name"),
        ({"W M": "WR"}, "masks W M: a name has letters, digits and _ only"),
    ],
)
def test_what_is_wrong_with_masks_is_said(masks: dict[str, str], said: str) -> None:
    found = refused(lambda: register(hardware=replace(own(), masks=masks), config=OwnConfig))
    assert any(line.endswith(said) for line in found), found
    assert "own" not in HARDWARE and "own" not in CONFIGS


class MaskingMemory(OwnMemory):
    """A memory that says that it has masks."""

    MASKS_WRITES = True


class MaskingConfig(OwnConfig):
    """A memory that says that it has masks."""

    dram: MaskingMemory = Field(description="The memory.")


MASKED = {"dram.standard": "own", "dram.write_mask": "standard"}


def test_masks_of_a_registered_memory_are_those_of_its_hardware() -> None:
    register(hardware=replace(own(), masks={"WDM": "WR"}), config=MaskingConfig)
    device = device_of(pimsim.load_config("gddr6", MASKED))
    assert (
        device.command_names[-1] == "WDM"
        and gaps(device)["WDM->PREAB same_bank_group"] == gaps(device)["WR->PREAB same_bank_group"]
    )
    assert (gaps(device)["WR->PRE other_bank_group"], gaps(device)["WDM->PRE other_bank_group"]) == (1, 2)
    assert "WDM" not in device_of(pimsim.load_config("gddr6", {"dram.standard": "own"})).command_names


def test_a_registered_memory_without_masks_is_asked_for_none() -> None:
    register(hardware=own(), config=MaskingConfig)
    with pytest.raises(InputError, match=r"dram.write_mask: must be none: own has no writes with a mask"):
        device_of(pimsim.load_config("gddr6", MASKED))


class UnusedTimings(Gddr6Timings):
    """A time that no row uses, and one without a description."""

    tNONE_ns: Time = Field(description="Of nothing, ns.")
    tBARE_ns: Time


class UnusedMemory(Gddr6Memory):
    """A memory."""

    standard: Literal["own"] = Field(description="Table of commands and timing constraints.")  # type: ignore[assignment]
    timing: UnusedTimings = Field(description="Timing parameters, ns.")


class UnusedConfig(Gddr6Config):
    """A memory with a wrong label."""

    dram: UnusedMemory = Field(description="The memory.")
    size: int = default(3, "A size.", "3 (assumd: a test)")


class PimMemoryOfOurs(DramConfig):
    """PIM-GPT's under another name."""

    standard: Literal["own"] = Field(description="Table of commands and timing constraints.")  # type: ignore[assignment]


class WholeConfig(PimGptConfig):
    """PIM-GPT's under another name."""

    dram: PimMemoryOfOurs = Field(description="The memory.")


def test_everything_that_is_wrong_with_a_class_is_said_at_once() -> None:
    assert refused(lambda: register(hardware=own(), config=UnusedConfig)) == [
        "standard own: UnusedTimings.tBARE_ns has no description",
        "standard own: size: unknown label 'assumd' in its default's reason; did you mean 'assumed'?",
        "standard own: dram.timing.tBARE_ns is used by no row of the table",
        "standard own: dram.timing.tNONE_ns is used by no row of the table",
    ]
    assert refused(lambda: register(hardware=own())) == ["hardware: hardware and config go together"]


def test_hardware_that_runs_models_has_prices_and_a_whole_configuration() -> None:
    layouts = replace(pim_gpt.HARDWARE, table=replace(pim_gpt.STANDARD, name="own"))
    (said,) = refused(lambda: register(hardware=layouts, config=OwnConfig))[:1]
    assert said.endswith("OwnConfig: hardware with layouts runs language models, so its configuration is a `Config`")
    unpriced = tuple(replace(command, energy=None) for command in pim_gpt.STANDARD.commands)
    found = refused(
        lambda: register(hardware=replace(layouts, table=replace(layouts.table, commands=unpriced)), config=WholeConfig)
    )
    assert found[0] == "standard own: ACT.energy: a device that runs language models has a price for every command"
    assert len(found) == len(unpriced)
    renamed = tuple((first, then, "mack" if cause == "mac" else cause) for first, then, cause in layouts.table.causes)
    (said,) = refused(
        lambda: register(hardware=replace(layouts, table=replace(layouts.table, causes=renamed)), config=WholeConfig)
    )
    assert "unknown cause 'mack'; did you mean 'mac'?" in said
    (said,) = refused(lambda: register(hardware=own(), config=WholeConfig))[:1]
    assert said.endswith("hardware without layouts has a `DeviceConfig`, whose COMMAND says what simulates it")


def test_a_device_of_our_own_runs_a_model_as_its_twin() -> None:
    """Under another name it is the same device to the clock; the hash is of another table."""
    register(hardware=replace(pim_gpt.HARDWARE, table=replace(pim_gpt.STANDARD, name="own")), config=WholeConfig)
    work = {"workload.model": "gpt2-small", "workload.output_tokens": 2}
    ours = pimsim.run(pimsim.load_config("pim-gpt", {**work, "dram.standard": "own"})).summary
    theirs = pimsim.run(pimsim.load_config("pim-gpt", work)).summary
    assert ours["system"] == theirs["system"] and ours["config_sha256"] != theirs["config_sha256"]


# -- models, functions, baselines -----------------------------------------------------------


def test_a_model_has_a_source_and_a_free_name() -> None:
    assert refused(lambda: register(model=SHAPE)) == [
        "model a-model: source must be LABEL: reason, not ''; labels: paper, recalled, adjacent, derived, inferred, "
        "assumed"
    ]
    (near,) = refused(lambda: register(model=SHAPE, source="assumd: x"))
    assert near.endswith("; did you mean 'assumed'?")
    assert refused(lambda: register(model=replace(SHAPE, name="gpt2-xl"), source=SOURCE)) == [
        "model gpt2-xl: the name is taken by pimsim"
    ]
    assert refused(lambda: register(model=replace(SHAPE, name="a model"), source=SOURCE))[0].startswith(
        "model a model: a name has letters, digits"
    )
    assert "a-model" not in MODELS
    register(model=SHAPE, source=SOURCE)
    assert MODELS["a-model"] is SHAPE and list(MODELS)[-1] == "a-model"
    origin = MODELS.origin("a-model")
    assert origin is not None and (origin.name, origin.source) == ("test_registering.py", SOURCE)
    assert pimsim.load_config("pim-gpt", {"workload.model": "a-model"}).workload.model == "a-model"  # type: ignore[union-attr]


def test_several_things_are_registered_together_or_not_at_all() -> None:
    found = refused(lambda: register(model=SHAPE, function=Function("gelu", _passes), source=SOURCE))
    assert found == ["operator gelu: the name is taken by pimsim"] and "a-model" not in MODELS
    register(model=SHAPE, function=Function("square", _passes), source=SOURCE)
    assert "a-model" in MODELS and "square" in OPS


def test_who_has_a_name_keeps_it_unless_it_is_replaced() -> None:
    register(model=SHAPE, source=SOURCE)
    wider = "ModelShape('a-model', 3, 64, 4, 4, 256, 100, 64)"
    code = f"import pimsim\nfrom pimsim import ModelShape\npimsim.register(model={wider}, source='assumed: x'{{}})"

    def elsewhere(more: str) -> None:
        exec(compile(code.format(more), "/elsewhere/theirs.py", "exec"), {})

    assert refused(lambda: elsewhere("")) == [f"model a-model: the name is taken by {__file__}"]
    register(model=SHAPE, source=SOURCE)  # the same again
    elsewhere(", replace=True")
    assert MODELS["a-model"].layers == 3 and MODELS.origin("a-model").name == "theirs.py"  # type: ignore[union-attr]


def _passes(_: Any, n: int, vectors: int) -> list[Pass]:
    return [Pass(0, n * vectors, 2 * n * vectors, 2 * n * vectors, 1)]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (Function("sum", _passes), "the name is taken by pimsim"),
        (Function("weighted", _passes), "the name is taken by pimsim"),
        (Function("mac", _passes), "the name is taken by pimsim"),
        (Function("attention", _passes), "the name is taken by pimsim"),
        (Function("f", lambda *_: []), "passes(asic, 1, 1) must be a list of `Pass`, not []"),
        (Function("f", lambda *_: [3]), "passes(asic, 1, 1) must be a list of `Pass`, not [3]"),  # type: ignore[list-item]
        (Function("f", lambda asic, n, vectors: [Pass(n / 2, 0, 0, 0, 1)]),  # type: ignore[arg-type]
         "passes(asic, 1, 1): Pass(adds=0.5, multiplies=0, reads=0, writes=0, depth=1, reduces=False) must have whole "
         "numbers of at least 0"),
        (Function("f", lambda asic, n, vectors: [Pass(asic.nothing, 0, 0, 0, 1)]),  # type: ignore[attr-defined]
         "passes(asic, 1, 1) raises AttributeError: 'AsicConfig' object has no attribute 'nothing'"),
        (Function("f", _passes, operations=0), "operations and launches must be at least 1"),
    ],
)  # fmt: skip
def test_a_function_that_cannot_run_is_refused(function: Function, said: str) -> None:
    assert refused(lambda: register(function=function, source=SOURCE)) == [f"operator {function.name}: {said}"]


def test_a_function_is_an_activation_of_models_and_costs_its_passes() -> None:
    with pytest.raises(ValueError, match="square"):
        replace(SHAPE, activation="square")
    register(function=Function("square", _passes, operations=1), source=SOURCE)
    register(model=replace(SHAPE, activation="square"), source=SOURCE)
    config = pimsim.load_config("pim-gpt", {"workload.model": "a-model", "workload.output_tokens": 2})
    assert isinstance(config, Config)
    result = pimsim.run(config)
    (row,) = [row for row in result.records("operators") if row["operator"] == "ffn_act"]
    assert (row["count"], row["adds"], row["multiplies"]) == (4, 0, 4 * 256)
    cost = Units(config.asic).cost("square", 256)
    assert (cost.multiplies, cost.sram_bytes) == (256, 4 * 256)
    gelu = pimsim.run(pimsim.load_config("pim-gpt", {
        "workload.model_config": {"name": "g", "layers": 2, "d_model": 64, "heads": 4, "vocabulary": 100,
                                  "max_positions": 64}, "workload.output_tokens": 2,
    }))  # fmt: skip
    assert gelu.summary["system"]["commands"] == result.summary["system"]["commands"]
    assert result.summary["baselines"]["gpu-t4"]["speedup"] > 0  # one launch for each


def test_a_baseline_is_a_file_or_a_mapping(tmp_path: Path) -> None:
    import yaml

    path = tmp_path / "toy-gpu.yaml"
    path.write_text(files()["pimsim_toy/toy-gpu.yaml"])
    register(baseline=path)
    assert baselines.load("toy-gpu").bandwidth == 80
    given = yaml.safe_load(path.read_text()) | {"name": "other-gpu"}
    register(baseline=given)
    assert baselines.available()[-2:] == ("toy-gpu", "other-gpu")
    (said,) = refused(lambda: register(baseline={**given, "name": "x", "powr": 3}))
    assert said.endswith("powr: unknown key; did you mean 'power'?")
    assert refused(lambda: register(baseline={**given, "name": "gpu-t4"})) == [
        "baseline gpu-t4: the name is taken by pimsim"
    ]
    (said,) = refused(lambda: register(baseline=tmp_path / "none.yaml"))
    assert said.endswith("none.yaml:1:1: cannot be read: No such file or directory")


def test_a_configuration_is_a_file_whose_name_is_free(tmp_path: Path) -> None:
    (tmp_path / "aim.yaml").write_text("extends: pim-gpt\n")
    (tmp_path / "mine.yml").write_text("extends: pim-gpt\nname: mine\n")
    assert refused(lambda: register(configuration=[tmp_path / "aim.yaml", tmp_path / "none.yaml", tmp_path])) == [
        "configuration aim: the name is taken by pimsim",
        f"{tmp_path / 'none.yaml'}:1:1: configuration: must be a YAML file that is there",
        f"{tmp_path}:1:1: configuration: must be a YAML file that is there",
    ]
    register(configuration=tmp_path / "mine.yml")
    assert pimsim.load_config("mine").name == "mine"


def test_a_registry_lists_what_is_shipped_first_and_is_no_other() -> None:
    one, other = (Registry("thing", {"a": 1}) for _ in range(2))
    assert one != other and len({one, other}) == 2
    assert list(one) == ["a"] and len(one) == 1 and "b" not in one
    with pytest.raises(KeyError):
        one["b"]


def test_what_is_neither_a_model_nor_a_function_is_told() -> None:
    with pytest.raises(InputError) as caught:
        pimsim.register(model="gpt2-small", function="relu")  # type: ignore[arg-type]
    said = [str(problem) for problem in caught.value.problems]
    assert said == [
        "model: is a `pimsim.ModelShape`, not 'gpt2-small'", "function: is a `pimsim.Function`, not 'relu'",
    ]  # fmt: skip
