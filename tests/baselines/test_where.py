"""A baseline that is a file is relative to the file that names it, as a trace is, wherever the process stands."""

from __future__ import annotations

from pathlib import Path

import pytest

import pimsim
from pimsim.api import load_config, preflight
from pimsim.baselines import devices
from pimsim.errors import InputError
from pimsim.sweep.reader import load_sweep
from tests.conftest import SHIPPED

TINY = "workload: {model: gpt2-small, output_tokens: 1}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a machine of its own, which is not the working directory."""
    text = (Path(devices.__file__).parent / "gpu-t4.yaml").read_text()
    (tmp_path / "there").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "there" / "mine.yaml").write_text(text.replace("name: gpu-t4\n", "name: mine\n"))
    (tmp_path / "there" / "c.yaml").write_text(f"extends: {SHIPPED}\n{TINY}baselines: [mine.yaml, gpu-t4]\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "there"


def test_a_configuration_names_it_from_any_folder(folder: Path) -> None:
    config = load_config(folder / "c.yaml")
    preflight(config)
    assert config.baselines == ("mine.yaml", "gpu-t4")  # as written: the same on every machine
    (folder / "sub").mkdir()
    (folder / "sub" / "d.yaml").write_text("extends: ../c.yaml\n")
    preflight(load_config(folder / "sub" / "d.yaml"))


def test_an_override_is_relative_to_the_working_directory(folder: Path) -> None:
    preflight(load_config(folder / "c.yaml", {"baselines": ["../there/mine.yaml"]}))
    with pytest.raises(InputError, match="cannot be read"):
        preflight(load_config(folder / "c.yaml", {"baselines": ["mine.yaml"]}))


def test_a_sweep_finds_it_and_knows_its_name(folder: Path) -> None:
    (folder / "s.yaml").write_text(
        "base: c.yaml\naxes: {baselines: [[mine.yaml], [gpu-t4, mine.yaml]]}\n"
        "objectives: [{maximise: baselines.mine.roofline.speedup}]\n"
    )
    result = pimsim.sweep.run(folder / "s.yaml", out=str(folder / "out"), workers=0)
    rows = list(result.rows())
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert all(row["baselines.mine.roofline.speedup"] > 0 for row in rows)
    assert load_sweep(folder / "s.yaml")
