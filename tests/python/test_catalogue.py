"""What there is by name, as data: the rows say what the registries and the configurations say."""

from __future__ import annotations

import json

import pytest

import pimsim
from pimsim import catalogue
from pimsim.baselines.devices import DEVICES
from pimsim.config.shipped import CONFIGURATIONS
from pimsim.devices.registry import HARDWARE
from pimsim.errors import InputError
from pimsim.workload.models import MODELS, build


def test_models_have_their_sizes() -> None:
    models = pimsim.models()
    assert models.names == tuple(MODELS)
    for row in models:
        shape = MODELS[row.name]
        assert (row.layers, row.d_model, row.kv_heads) == (shape.layers, shape.d_model, shape.kv_heads)
        assert row.parameters == build(shape, lm_head=False).parameters
    assert models["mistral-7b"].about == "window 4096" and models["mixtral-8x7b"].about == "2 of 8 experts"


def test_machines_and_configurations_are_those_that_a_configuration_may_name() -> None:
    assert set(pimsim.machines().names) == set(DEVICES)
    assert pimsim.machines()["gpu-t4"].memory == "16 GB"
    for row in pimsim.configurations():
        config = pimsim.load_config(row.name)
        assert config.dram.standard == row.standard
    assert pimsim.configurations().names == tuple(CONFIGURATIONS)
    assert pimsim.configurations()["pim-gpt"].runs == "gpt3-xl" and not pimsim.configurations()["gddr6"].runs


def test_devices_say_what_they_multiply_and_what_runs_them() -> None:
    devices = pimsim.devices()
    assert devices.names == tuple(HARDWARE)
    assert devices["hbm2-pim"].multiplies == "fp16 x fp16" and devices["hbm3"].multiplies is None
    assert devices["hbm3"].command == "pimsim traffic" and devices["aim"].command == "pimsim run"
    assert devices["gddr6-pim"].configurations == ("pim-gpt", "pim-gpt-int4", "pim-gpt-int8")
    assert devices["gddr6-pim"].pairs["pim-gpt-int8"] == ("int8xint8",)


def test_a_row_is_had_by_number_by_name_and_by_going_through() -> None:
    models = pimsim.models()
    assert models[0] is models[models[0].name] is next(iter(models))
    assert models[:2] == tuple(models)[:2] and len(models) == len(MODELS)
    assert "gpt2-xl" in models and models[0] in models and "gpt5" not in models
    with pytest.raises(KeyError, match="no 'gpt2-x'; did you mean 'gpt2-xl'"):
        models["gpt2-x"]


def test_it_is_shown_as_a_table_in_a_shell_and_in_a_notebook() -> None:
    lines = repr(pimsim.models()).splitlines()
    assert lines[0].split() == ["name", "layers", "d_model", "heads", "kv_heads", "d_ff", "parameters", "about"]
    assert len(lines) == len(MODELS) + 1 and "1,475,558,400" in repr(pimsim.models())
    for table in (pimsim.models(), pimsim.machines(), pimsim.devices(), pimsim.configurations()):
        assert max(map(len, repr(table).splitlines())) <= 120
        assert table._repr_html_().count("<tr>") == len(table) + 1


def test_a_cell_is_text_in_a_page() -> None:
    row = catalogue.Machine("<b>x</b>", "1 GB")
    assert "<b>" not in catalogue.Catalogue([row])._repr_html_()


def test_it_is_a_data_frame_for_pandas() -> None:
    pytest.importorskip("pandas")
    frame = pimsim.models().to_frame().set_index("name")
    assert frame.loc["gpt2-xl", "layers"] == 48 and frame["parameters"].dtype.kind == "i"


def test_what_a_script_registers_is_there_with_who_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODELS, "_added", {})
    shape = pimsim.ModelShape("catalogued", 2, 64, 4, 4, 256, 100, 64)
    pimsim.register(model=shape, source="assumed: for a test")
    assert pimsim.models()["catalogued"].origin == "test_catalogue.py (assumed: for a test)"


def test_a_configuration_that_cannot_be_loaded_is_no_end_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CONFIGURATIONS, "shipped", {**CONFIGURATIONS.shipped, "gone": "/no/such/file.yaml"})
    with pytest.raises(InputError):
        pimsim.load_config("gone")
    assert "gone" not in pimsim.configurations() and "aim" in pimsim.configurations()


def test_the_command_prints_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    from click.testing import CliRunner

    from pimsim.cli import cli

    printed = json.loads(CliRunner().invoke(cli, ["devices", "--json"]).stdout)["devices"]
    assert [(row["standard"], row["multiplies"], row["configurations"]) for row in printed] == [
        (row.name, row.multiplies, list(row.configurations)) for row in pimsim.devices()
    ]
