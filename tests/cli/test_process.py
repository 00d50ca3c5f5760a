"""The `pimsim` command as a process of its own, and what importing the package costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import pimsim
from pimsim.cli import cli
from pimsim.cli.say import console

HEAVY = (
    "asyncio", "dask", "email.message", "http", "importlib.metadata._adapters", "jinja2", "logging", "matplotlib",
    "multiprocessing", "numba", "numpy", "pandas", "pimsim.devices.aim.table", "pimsim.workload.trace", "pyarrow",
    "pydantic", "rich", "scipy", "simpy", "socket", "ssl", "subprocess", "torch", "urllib.request", "yaml",
)  # fmt: skip


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120)


def imported_by(code: str) -> set[str]:
    """Which of the heavy packages are loaded after `code`."""
    loaded = f"name for name in {HEAVY} if type(sys.modules.get(name)).__name__ == 'module'"  # not one that still waits
    result = python("-c", f"import sys\n{code}\nprint('|', *({loaded}))")
    assert result.returncode == 0, result.stderr
    return set(result.stdout.rpartition("|")[2].split())


def imported_by_command(*arguments: str) -> set[str]:
    """Which of them the `pimsim` command has loaded when it is done."""
    command = f"sys.argv = ['pimsim', *{arguments}]\nfrom pimsim import cli\ncli.leave = lambda ended: None\ncli.main()"
    return imported_by(command)


def test_help_imports_nothing_heavy() -> None:
    code = "from pimsim.cli import cli\ntry: cli.main(['run', '--help'])\nexcept SystemExit: pass"
    assert imported_by(code) == set()


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert imported_by("import pimsim") == set()


def test_loading_a_configuration_needs_neither_the_kernel_nor_plots(shipped: Path) -> None:
    loaded = imported_by(f"import pimsim\npimsim.load_config({str(shipped)!r})")
    assert not loaded & {"numba", "matplotlib", "pandas", "simpy", "torch"}


def test_comparing_folders_simulates_draws_and_renders_nothing(shipped: Path, tmp_path: Path) -> None:
    config = pimsim.load_config(shipped, {"workload.model": "gpt2-small", "workload.output_tokens": 1})
    folder = pimsim.run(config).save(tmp_path / "a")
    loaded = imported_by_command("compare", str(folder), str(folder))
    assert not loaded & {"numba", "matplotlib", "jinja2", "pandas", "simpy", "torch"}


def test_help_of_the_command_imports_nothing_heavy() -> None:
    assert imported_by_command("--help") == imported_by_command("run", "--help") == set()


SMALL = ("--set", "workload.model=gpt2-small", "--set", "workload.output_tokens=1", "--set", "schedule=paper")


def test_a_configuration_is_shown_without_what_would_run_it(shipped: Path) -> None:
    assert imported_by_command("config", "show", str(shipped)) == {"pydantic", "yaml"}


def test_a_run_without_files_imports_what_it_needs(shipped: Path) -> None:
    """numba, and what it imports, are for machines that have no compiled code yet."""
    loaded = imported_by_command("run", str(shipped), *SMALL)
    of_numba = {"asyncio", "email.message", "importlib.metadata._adapters", "logging", "multiprocessing", "numba",
                "scipy", "socket", "subprocess", "http", "urllib.request", "ssl"}  # fmt: skip
    assert loaded - of_numba == {"numpy", "pydantic", "simpy", "yaml"}


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="nobody else draws on one processor")
def test_a_run_with_files_leaves_drawing_to_others(shipped: Path, tmp_path: Path) -> None:
    loaded = imported_by_command("run", str(shipped), *SMALL, "--out", str(tmp_path / "out"))
    assert "jinja2" in loaded and "matplotlib" not in loaded
    assert len(list((tmp_path / "out").glob("*.png"))) > 3


def test_those_who_draw_load_nothing_of_the_simulation() -> None:
    code = "from pimsim.plots import plotset\nplotset._load()"
    assert not imported_by(code) & {"numba", "pandas", "pydantic", "rich", "scipy", "simpy", "yaml"}


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


def shell(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a shell makes of a script in which `$pimsim` is the command."""
    environment = {**os.environ, "pimsim": f"{sys.executable} -m pimsim", **variables}
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, env=environment)


@pytest.mark.parametrize(
    ("streams", "status"),
    [(">&-", 0), (">/dev/full", 2), ("2>&- >/dev/full", 2), ("2>/dev/full >/dev/full", 2), ("<&- >&- 2>&-", 0)],
)
def test_standard_streams_that_are_closed_or_full(streams: str, status: int) -> None:
    result = shell(f"$pimsim config schema {streams}")
    said = "standard output:1:1: cannot be written: No space left on device\n"
    assert (result.returncode, result.stderr) == (status, said if streams == ">/dev/full" else "")


def test_a_file_never_takes_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    result = shell(f"$pimsim trace export --model gpt2-small --out {trace} >&- && $pimsim trace validate {trace}")
    assert (result.returncode, result.stderr) == (0, "")


def test_an_unknown_backend_of_matplotlib_draws_all_the_same() -> None:
    code = "from pimsim.plots import style; style.new_figure(); print('drawn')"
    assert shell(f'{sys.executable} -c "{code}"', MPLBACKEND="no such one").stdout == "drawn\n"


@pytest.mark.parametrize("columns", ["0", "²", "9" * 5000, "-1", "1"], ids=["0", "squared", "nines", "-1", "1"])
def test_a_screen_without_columns(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("LINES", columns)
    assert console().size.width > 0


def test_an_end_of_file_inside_is_not_taken_for_the_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_: object) -> None:
        raise EOFError("ran out of input")

    monkeypatch.setattr("pimsim.api.load", damaged)
    result = CliRunner().invoke(cli, ["config", "show", "any.yaml"])
    assert (result.exit_code, "EOFError: ran out of input" in result.stderr) == (3, True)


def test_a_warning_of_python_is_a_line() -> None:
    code = "import warnings; from pimsim.cli.process import prepare; prepare(); warnings.warn('odd', RuntimeWarning)"
    assert python("-c", code).stderr == "pimsim:1:1: RuntimeWarning: warning: odd\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_process_once_it_has_cleaned_up(number: signal.Signals) -> None:
    code = (
        "import time\nfrom pimsim.cli.problems import ReportingGroup\n"
        "def wait(*_):\n    try: print('ready', flush=True); time.sleep(60)\n"
        "    finally: print('cleaned', flush=True)\n"
        "ReportingGroup._status = wait\nReportingGroup().main([])"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == "cleaned\n"
        assert process.wait(timeout=60) == -number


def test_a_signal_that_is_ignored_stays_so() -> None:
    result = shell(f"trap '' HUP; {sys.executable} -c 'from pimsim.cli.process import *\nimport os\n"
                   "with terminable(): os.kill(os.getpid(), 1)\nprint(1)'")  # fmt: skip
    assert result.stdout == "1\n"


# -- the end ------------------------------------------------------------------------------

END = "import atexit, sys, threading, time\nfrom pimsim.cli import process\nprocess.prepare()\n"


def ended(code: str, status: str = "3") -> subprocess.CompletedProcess[str]:
    """A process that leaves as the command does, and would say so if Python took it apart."""
    last = "class Apart:\n    def __del__(self): print('taken apart', flush=True)\napart = Apart()\n"
    return python("-c", f"{END}{last}{code}\nprocess.leave(SystemExit({status}))")


def test_a_process_ends_without_being_taken_apart() -> None:
    result = ended("print('done'); print('said', file=sys.stderr, end='')")
    assert (result.returncode, result.stdout, result.stderr) == (3, "done\n", "said")


def test_what_is_to_be_done_at_the_end_is_done_last_registered_first() -> None:
    result = ended("atexit.register(print, 'first'); atexit.register(print, 'second')")
    assert (result.returncode, result.stdout) == (3, "second\nfirst\n")


def test_temporary_folders_are_gone(tmp_path: Path) -> None:
    code = f"import tempfile\nfolder = tempfile.TemporaryDirectory(dir={str(tmp_path)!r})\nprint(folder.name)"
    result = ended(code)
    assert result.returncode == 3 and result.stdout.strip().startswith(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_other_threads_are_waited_for() -> None:
    result = ended("threading.Thread(target=lambda: (time.sleep(0.5), print('finished'))).start()")
    assert (result.returncode, result.stdout) == (3, "finished\ntaken apart\n")
    result = ended("threading.Thread(target=lambda: time.sleep(60), daemon=True).start()")
    assert (result.returncode, result.stdout) == (3, "")


@pytest.mark.parametrize(
    "code", ["import bdb; sys.settrace(bdb.Bdb(['*']).trace_dispatch)", "import cProfile; cProfile.Profile().enable()"]
)
def test_who_watches_sees_the_end(code: str) -> None:
    assert ended(code).stdout == "taken apart\n"


def test_with_code_of_plugins_python_ends_as_usual() -> None:
    code = "from pimsim import registry\nregistry.Registry('kind', {}).add('own', 1, registry.Origin('home'))"
    assert ended(code).stdout == "taken apart\n"


def test_a_status_that_is_a_text_is_left_to_python() -> None:
    result = ended("", "'why'")
    assert (result.returncode, result.stderr) == (1, "why\n")


def test_a_profile_of_the_command_is_written(tmp_path: Path) -> None:
    result = python("-m", "cProfile", "-o", str(tmp_path / "profile"), "-m", "pimsim", "--version")
    assert result.returncode == 0 and (tmp_path / "profile").stat().st_size > 1000


def test_settings_are_the_command_s_alone_and_taken_back_for_other_libraries() -> None:
    code = (
        f"{END}import os\nnames = ('OPENBLAS_NUM_THREADS', 'PYDANTIC_DISABLE_PLUGINS')\n"
        "before = [os.environ.get(name) for name in names]\nimport zipfile\n"
        "waits = type(zipfile).__name__\nprocess.as_usual()\n"
        "print(before, [os.environ.get(name) for name in names], waits, type(zipfile).__name__)"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OPENBLAS", "PYDANTIC"))}
    run = [sys.executable, "-c", code]
    result = subprocess.run(run, capture_output=True, text=True, timeout=120, env=clean)
    assert result.stdout == "['1', '__all__'] [None, None] _LazyModule module\n"
    result = subprocess.run(run, capture_output=True, text=True, timeout=120, env=clean | {"OPENBLAS_NUM_THREADS": "7"})
    assert result.stdout == "['7', '__all__'] ['7', None] _LazyModule module\n"
