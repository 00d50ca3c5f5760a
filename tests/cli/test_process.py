"""The `pimsim` command as a process of its own, and what importing the package costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pimsim

HEAVY = ("numpy", "numba", "matplotlib", "pandas", "pydantic", "rich", "simpy", "torch", "yaml")


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120)


def imported_by(code: str) -> set[str]:
    """Which of the heavy packages are loaded after `code`."""
    result = python("-c", f"import sys\n{code}\nprint('|', *(name for name in {HEAVY} if name in sys.modules))")
    assert result.returncode == 0, result.stderr
    return set(result.stdout.rpartition("|")[2].split())


def test_help_imports_nothing_heavy() -> None:
    code = "from pimsim.cli import cli\ntry: cli.main(['run', '--help'])\nexcept SystemExit: pass"
    assert imported_by(code) == set()


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert imported_by("import pimsim") == set()


def test_loading_a_configuration_needs_neither_the_kernel_nor_plots(shipped: Path) -> None:
    loaded = imported_by(f"import pimsim\npimsim.load_config({str(shipped)!r})")
    assert not loaded & {"numba", "matplotlib", "pandas", "simpy", "torch"}


def test_the_module_runs_as_the_command() -> None:
    result = python("-m", "pimsim", "--version")
    assert (result.returncode, result.stdout) == (0, f"pimsim {pimsim.__version__}\n")


def test_problems_end_a_process_with_status_2_and_no_traceback() -> None:
    result = python("-m", "pimsim", "config", "show", "no-such-file.yaml")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "no-such-file.yaml:1:1: cannot be read: No such file or directory\n"


def test_a_reader_that_leaves_early_ends_the_process_quietly() -> None:
    command = [sys.executable, "-m", "pimsim", "config", "schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=120) == 141


def test_every_public_name_exists() -> None:
    assert not [name for name in pimsim.__all__ if not hasattr(pimsim, name)]
    assert set(dir(pimsim)) >= set(pimsim.__all__)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pimsim' has no attribute 'simulate'"):
        pimsim.simulate  # noqa: B018
