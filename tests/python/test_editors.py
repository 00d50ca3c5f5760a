"""What editors and type checkers see of the package, without running it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import pimsim

ROOT = Path(pimsim.__file__).parents[1]
# What a user writes, and the type that mypy finds.
SEEN = {
    'pimsim.load_config("pim-gpt")': "Config | DeviceConfig",
    'pimsim.load_config("pim-gpt").with_({"dram.channels": 4}, schedule="overlap")': "Config | DeviceConfig",
    'pimsim.run(pimsim.load_config("pim-gpt"))': "Result",
    'pimsim.run(pimsim.load_config("pim-gpt")).summary': "dict[str, Any]",
    'pimsim.run(pimsim.load_config("pim-gpt")).plot.roofline()': "Axes",
    'pimsim.load_result("out").summary': "dict[str, Any]",
    'pimsim.compare(["pim-gpt", "aim"])': "Comparison",
    'pimsim.compare(["pim-gpt", "aim"]).plot.latency()': "Axes",
    'pimsim.sweep({"base": "pim-gpt"}, workers=2)': "SweepResult",
    'pimsim.sweep.run("channels.yaml", out="results")': "SweepResult",
    'pimsim.sweep("channels.yaml").pareto()': "list[dict[str, Any]]",
    'pimsim.models()["gpt2-xl"].layers': "int",
    "pimsim.machines()[0].memory": "str",
    'pimsim.devices()["aim"].multiplies': "str | None",
    "pimsim.configurations().names": "tuple[str, ...]",
    "pimsim.__version__": "str",
}  # fmt: skip
REFUSED = {
    'pimsim.sweep({"base": "pim-gpt"}, wrkers=2)': 'did you mean "workers"?',
    "pimsim.run()": "Missing positional argument",
    "pimsim.models().layers": 'has no attribute "layers"',
}


def installed(folder: Path) -> Path:
    """A Python in which the package is installed, not a clone that lies beside: mypy then asks for `py.typed`."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for other in Path(sysconfig.get_path("purelib")).iterdir():
        if "pimsim" not in other.name:
            (packages / other.name).symlink_to(other)
    (packages / "pimsim").symlink_to(ROOT / "pimsim")
    return folder / "bin" / "python"


def checked(folder: Path, lines: list[str]) -> dict[int, str]:
    """What mypy says of each line of a script that is not in the repository."""
    script = folder / "script.py"
    imports = ["import pimsim", "import pimsim.devices.registry", "from pimsim.sweep import SweepResult"]
    script.write_text("\n".join([*imports, *lines]) + "\n", encoding="utf-8")
    python = installed(folder / "venv")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python), "script.py"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in ("MYPYPATH", "PYTHONPATH")},
    )
    said = re.findall(r"script\.py:(\d+): (.*)", done.stdout)
    assert said, done.stdout + done.stderr
    return {int(number) - len(imports): text for number, text in said}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By what was written: what mypy said, in one go."""
    pytest.importorskip("mypy")
    lines = [f"reveal_type({text})" for text in SEEN] + list(REFUSED)
    found = checked(tmp_path_factory.mktemp("typed"), lines)
    return {text: found.get(number, "") for number, text in enumerate((*SEEN, *REFUSED), 1)}


@pytest.mark.parametrize("text", SEEN)
def test_what_a_user_writes_has_its_type(said: dict[str, str], text: str) -> None:
    found = re.search(r'Revealed type is "(.*)"', said[text])
    assert found and re.sub(r"[\w.]+\.(?=\w)", "", found[1]) == SEEN[text]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_wrong_is_seen_before_it_runs(said: dict[str, str], text: str) -> None:
    assert REFUSED[text] in said[text]


COMPLETED = {
    "pimsim.": {"load_config", "run", "sweep", "models", "devices", "InputError"},
    'pimsim.run(pimsim.load_config("x")).': {"summary", "plot", "to_frame", "save", "warnings"},
    'pimsim.run(pimsim.load_config("x")).plot.': {"roofline", "speedup", "latency_breakdown"},
    'pimsim.load_result("x").': {"summary", "plot", "to_frame", "compare"},
    'pimsim.compare(["x", "y"]).': {"summary", "plot", "to_frame", "save"},
    'pimsim.load_config("x").': {"with_", "dram", "workload"},
    "pimsim.sweep({}).": {"pareto", "to_frame", "rows"},
    "pimsim.devices()[0].": {"multiplies", "configurations"},
}


@pytest.mark.parametrize("text", COMPLETED)
def test_what_an_editor_completes(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By jedi, which is what IPython and several editors ask."""
    jedi = pytest.importorskip("jedi")
    # The user's cache is shared: a process that reads it while another one writes it finds half a file.
    monkeypatch.setattr(jedi.settings, "cache_directory", str(tmp_path))
    script = jedi.Script(f"import pimsim\n{text}", project=jedi.Project(ROOT))
    assert {found.name for found in script.complete()} >= COMPLETED[text]


def test_a_public_name_says_what_it_is() -> None:
    """`help(pimsim.run)` and `pimsim.sweep?` have something to show."""
    silent = [name for name in pimsim.__all__ if not name.startswith("_") and not getattr(pimsim, name).__doc__]
    assert not silent
    assert "InputError" in str(pimsim.run.__doc__) and "pimsim.sweep({" in str(pimsim.sweep.__doc__)
    assert dir(pimsim) == sorted(pimsim.__all__)
