"""The schema: bounds, strict types, the shipped values, and the JSON Schema for editors."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel, ValidationError

from pimsim.config.devices import CONFIGS
from pimsim.config.devices.pim_gpt import PimGptConfig
from pimsim.config.json_schema import json_schema
from pimsim.config.loader import load_config
from pimsim.config.schema import Config, ModelConfig
from pimsim.config.validate import all_keys, keys, subsection
from pimsim.errors import InputError
from tests.conftest import Write

NAMES = {"workload.model": ("gpt2-small", "gpt3-xl"), "baselines": ("gpu-t4", "cpu-xeon-6154")}


def sections(section: type[BaseModel] = Config) -> Iterator[type[BaseModel]]:
    yield section
    for name in keys(section).values():
        inner = subsection(section, name)
        if inner is not None:
            yield from sections(inner)


def every_section() -> Iterator[type[BaseModel]]:
    """The sections of every standard's configuration."""
    for kind in CONFIGS.values():
        yield from sections(kind)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("dram.channels=129", "must be at most 128, not 129; is the unit right?"),
        ("dram.channels=0", "must be at least 1, not 0"),
        ("dram.tCK_ps=99", "must be at least 100, not 99"),
        ("dram.tCK_ps=10001", "must be at most 10000, not 10001; is the unit right?"),
        ("dram.timing.tRP_ns=12000", "must be at most 1000, not 12000; is the unit right?"),
        ("dram.timing.tRP_ns=0", "must be more than 0, not 0"),
        ("dram.timing.tRP_ns=-1", "must be more than 0, not -1"),
        ("dram.timing.tRFC_ns=455000", "must be at most 10000, not 455000; is the unit right?"),
        ("dram.timing.tREFI_ns=6825000", "must be at most 100000, not 6825000; is the unit right?"),
        ("dram.timing.tRP_ns=1.2345678901234567", "must have at most 15 digits, not 1.2345678901234567"),
        ("dram.io.data_rate_Gbps=16000", "must be at most 100, not 16000; is the unit right?"),
        ("dram.power.VDD_V=1250", "must be at most 5, not 1250; is the unit right?"),
        ("dram.power.IDD0_mA=122000", "must be at most 5000, not 122000; is the unit right?"),
        ("pim.clock_GHz=1000", "must be at most 10, not 1000; is the unit right?"),
        ("asic.clock_GHz=0.0001", "must be at least 0.001, not 0.0001"),
        ("asic.power_mW=304590", "must be at most 100000, not 304590; is the unit right?"),
        ("workload.output_tokens=0", "must be at least 1, not 0: without a prompt nothing would be simulated"),
        ("workload.output_tokens=-1", "must be at least 0, not -1"),
        ("workload.trace=''", "must not be empty"),
        ("workload.prompt_tokens=-1", "must be at least 0, not -1"),
        ("mapping.reserve_tokens=0", "must be at least 1, not 0"),
        ("schedule=papr", "must be 'paper' or 'overlap', not 'papr'; did you mean 'paper'?"),
        ("engine.mode=step", "must be 'fast' or 'stepped', not 'step'; did you mean 'stepped'?"),
        ("name=''", "must not be empty"),
        ("baselines=gpu-t4", "must be a list, not 'gpu-t4'"),
    ],
)
def test_a_value_out_of_bounds_is_refused(shipped: Path, override: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_config(shipped, [override])
    key = override.partition("=")[0]
    assert [str(problem) for problem in caught.value.problems] == [f"--set:1:1: {key}: {message}"]


def test_every_number_has_an_upper_and_a_lower_bound() -> None:
    unbounded = []
    for section in every_section():
        for name, field in section.model_fields.items():
            limits = {type(limit).__name__ for limit in field.metadata} | {
                type(limit).__name__ for limit in _inner_metadata(field.annotation)
            }
            if _is_number(field.annotation) and not (limits & {"Ge", "Gt"} and limits & {"Le", "Lt"}):
                unbounded.append(f"{section.__name__}.{name}")
    assert not unbounded


def _inner_metadata(annotation: Any) -> Iterator[Any]:
    for item in getattr(annotation, "__metadata__", ()):
        yield from getattr(item, "metadata", (item,))
    for inner in getattr(annotation, "__args__", ()):
        yield from _inner_metadata(inner)


def _is_number(annotation: Any) -> bool:
    if isinstance(annotation, type):
        return annotation in (int, Decimal)
    return any(_is_number(inner) for inner in getattr(annotation, "__args__", ()))


def test_the_shipped_configuration_is_the_paper_s() -> None:
    config = load_config(Path(__file__).parents[2] / "configs" / "pim-gpt.yaml")
    dram, timing = config.dram, config.dram.timing
    banks = dram.channels * dram.bank_groups * dram.banks_per_group
    assert banks == 128
    assert banks * config.pim.lanes * config.pim.clock_GHz == Decimal("2048")  # 2.048e12 MAC/s
    assert dram.rows * dram.row_bytes * banks == 4 << 30  # 4 GB
    assert dram.row_bytes // dram.column_bytes == 64
    assert dram.io.pins * dram.io.data_rate_Gbps / 8 == 32  # GB/s
    assert config.pim.mac_power_mW == Decimal("149.29") and config.asic.power_mW == Decimal("304.59")
    assert (timing.tRC_ns, timing.tRAS_ns + timing.tRP_ns) == (40, 40)
    assert (config.workload.model, config.workload.output_tokens) == ("gpt3-xl", 1024)


def test_every_key_of_the_contract_is_there() -> None:
    contract = """schema name dram.standard dram.channels dram.bank_groups dram.banks_per_group dram.rows dram.row_bytes
        dram.column_bytes dram.tCK_ps dram.refresh dram.timing.tRCDRD_ns dram.timing.tRCDWR_ns dram.timing.tRP_ns
        dram.timing.tRAS_ns dram.timing.tRC_ns dram.timing.tCCDS_ns dram.timing.tCCDL_ns dram.timing.tRRDS_ns
        dram.timing.tRRDL_ns dram.timing.tFAW_ns dram.timing.tRTP_ns dram.timing.tWR_ns dram.timing.tWTRS_ns
        dram.timing.tWTRL_ns dram.timing.tCL_ns dram.timing.tCWL_ns dram.timing.tRFC_ns dram.timing.tREFI_ns
        dram.io.pins dram.io.data_rate_Gbps dram.power.VDD_V dram.power.IDD0_mA dram.power.IDD2N_mA
        dram.power.IDD3N_mA dram.power.IDD4R_mA dram.power.IDD4W_mA dram.power.IDD5B_mA pim.lanes pim.clock_GHz
        pim.global_buffer_bytes pim.mac_power_mW asic.clock_GHz asic.sram_KiB asic.adders asic.multipliers
        asic.power_mW workload.model workload.trace workload.model_config workload.prompt_tokens
        workload.output_tokens workload.batch workload.lm_head schedule engine.mode engine.fold baselines"""
    assert not set(contract.split()) - set(all_keys(PimGptConfig))


def test_a_file_with_the_contract_s_keys_alone_is_enough(shipped: Path, write: Write) -> None:
    extra = ("energy_pJ_per_bit", "routing_factor", "sram_port_bytes", "taylor_terms", "newton_steps", "streaming",
             "biases", "value_append", "mapping:", "energy:", "  table")  # fmt: skip
    lines = [
        line for line in shipped.read_text().split("\n") if not line.strip().startswith(tuple(map(str.strip, extra)))
    ]
    assert load_config(write("\n".join(lines))) == load_config(shipped)


def test_a_configuration_cannot_be_changed(shipped: Path) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_config(shipped).dram.channels = 4


def test_python_numbers_are_taken_exactly() -> None:
    shape = ModelConfig(name="tiny", layers=2, d_model=64, heads=4)
    assert (shape.d_ff, shape.kv_heads, shape.vocabulary) == (256, 4, 50257)


# -- JSON Schema --------------------------------------------------------------------------


def test_the_json_schema_is_valid_and_accepts_the_shipped_configuration(shipped: Path) -> None:
    schema = json_schema(NAMES)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(shipped.read_text()), schema)


@pytest.mark.parametrize(
    "values",
    [
        {"dram": {"channels": 129}},
        {"dram": {"chanels": 6}},
        {"dram": {"timing": {"tRP_ns": 0}}},
        {"dram": {"timing": {"tRP_ns": "12"}}},
        {"dram": {"timing": {"tRFCpb_ns": 100_000}}},
        {"workload": {"model": "gpt9"}},
        {"workload": {"lm_head": "off"}},
        {"engine": {"mode": "slow"}},
    ],
)
def test_the_json_schema_refuses_what_the_loader_refuses(values: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"extends": "a.yaml", **values}, json_schema(NAMES))


def test_only_a_file_that_extends_may_leave_out_keys_in_the_json_schema() -> None:
    jsonschema.validate({"extends": "a.yaml", "dram": {"rows": 8}}, json_schema())
    with pytest.raises(jsonschema.ValidationError, match="required"):
        jsonschema.validate({"dram": {"rows": 8}}, json_schema())


def test_only_a_trace_may_say_the_tokens_in_the_json_schema(shipped: Path) -> None:
    values = yaml.safe_load(shipped.read_text())
    schema = json_schema(NAMES)
    values["workload"] = {"trace": "mine.jsonl"}
    jsonschema.validate(values, schema)
    for workload in ({"model": NAMES["workload.model"][0]}, {"trace": None}, {}):
        values["workload"] = workload
        with pytest.raises(jsonschema.ValidationError, match="'output_tokens' is a required property"):
            jsonschema.validate(values, schema)


def test_every_key_is_described_in_the_json_schema() -> None:
    definitions = json_schema()["$defs"]
    silent = [
        f"{section}.{key}"
        for section, definition in definitions.items()
        for key, value in definition["properties"].items()
        if not value.get("description", "").endswith(".")
    ]
    assert not silent
    assert len(definitions) == 2 * len(set(every_section()))


def test_every_key_with_a_unit_in_its_name_has_it_in_its_description() -> None:
    units = {"_ns": "ns", "_ps": "ps", "_mA": "mA", "_mW": "mW", "_V": "V", "_GHz": "GHz", "_KiB": "KiB",
             "_bytes": "ytes", "_Gbps": "Gb/s", "_pJ_per_bit": "pJ"}  # fmt: skip
    wrong = [
        f"{section.__name__}.{name}"
        for section in every_section()
        for name, field in section.model_fields.items()
        for suffix, unit in units.items()
        if name.endswith(suffix) and unit not in (field.description or "")
    ]
    assert not wrong
