"""What a call says that nobody can carry out: what is wrong, and what to write instead."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pimsim
from tests.configs import config_of

SMALL = {"workload.model": "gpt2-small", "workload.output_tokens": 1, "baselines": []}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("pim-gpt", "as pimsim.load_config('pim-gpt') gives it, not 'str'"),
        ({"dram": {"channels": 4}}, "as pimsim.load_config(NAME_OR_FILE) gives it, not 'dict'"),
        (None, "not 'NoneType'"),
    ],
)
def test_what_is_no_configuration_is_not_run(given: Any, said: str) -> None:
    with pytest.raises(TypeError, match=re.escape(said)):
        pimsim.run(given)


@pytest.mark.parametrize("given", [None, 5, {"dram": {"channels": 4}}])
def test_what_is_no_file_is_not_loaded(given: Any) -> None:
    with pytest.raises(TypeError, match=f"takes a name or a file, .* not '{type(given).__name__}' first"):
        pimsim.load_config(given)


def test_a_file_where_the_origins_of_values_belong_is_told_its_name() -> None:
    run: Any = pimsim.run
    with pytest.raises(TypeError, match=r"not 'log\.csv'; a file for the commands is log=FILE"):
        run(config_of(SMALL), "log.csv")


@pytest.mark.parametrize("window", [(5, 1), (-1, 5), (3, 3), (0, float("inf")), (0, None), (1,), 5])
def test_a_window_that_holds_no_time_is_refused_before_the_run(window: Any, tmp_path: Path) -> None:
    with pytest.raises(pimsim.InputError, match=r"^window_ns: must be \(start, end\) in ns with 0 <= start < end"):
        pimsim.run(config_of(SMALL), log=tmp_path / "log.csv", window_ns=window)
    assert not list(tmp_path.iterdir())


def test_the_old_name_of_model_copy_takes_no_dotted_key_either() -> None:
    config: Any = config_of(SMALL)
    with pytest.raises(pimsim.InputError, match=r"config\.with_\(\{'dram\.channels': value\}\)"):
        config.copy(update={"dram.channels": 4})
    assert config.copy(update={"name": "mine"}).name == "mine" and config.copy() == config
    with pytest.raises(TypeError, match="exclude"):
        config.copy(exclude={"name"})  # type: ignore[call-arg]


def test_a_name_that_the_package_has_not_is_told_the_nearest() -> None:
    """By Python, where it shows the error; `from pimsim import api` asks for names as well, and waits for nothing."""
    package: Any = pimsim
    with pytest.raises(AttributeError) as error:
        package.modls()
    assert (error.value.name, error.value.obj) == ("modls", pimsim)
    code = "import sys, pimsim; from pimsim import api; assert 'difflib' not in sys.modules; pimsim.modls()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.endswith("no attribute 'modls'. Did you mean: 'models'?\n")
