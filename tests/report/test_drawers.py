"""Processes that draw beside this one: each picture is there once, whatever becomes of them, and none of them stays."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from pimsim.plots import Plots, drawers, style
from tests.result_samples import small_result

ROOT = Path(__file__).parents[2]
NAMES = ("a", "b", "c", "d", "e")

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="without a second processor nobody is hired"
)


def python(code: str) -> subprocess.CompletedProcess[str]:
    """What a process of its own says, which has no other threads; `run(draw)` has the pictures of NAMES drawn."""
    before = f"""
        import os, signal, sys, time
        from pimsim.plots.drawers import Drawers

        NAMES, HERE = {NAMES}, os.getpid()

        def run(draw, here=False, names=NAMES, prepare=lambda: None):
            with Drawers(NAMES, draw, prepare).hired() as found:
                found.ask("what", names)
                return found.pictures(names, here)
    """
    text = textwrap.dedent(before) + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, timeout=120)


def said(code: str) -> str:
    result = python(code)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_others_draw_what_is_asked_for() -> None:
    code = """
        found = run(lambda what, name: f"{what} {name} {os.getpid() != HERE}".encode(), names=("c", "a"))
        print(list(found.items()))
    """
    assert said(code) == "[('c', b'what c True'), ('a', b'what a True')]\n"


def test_this_process_draws_as_well_where_it_may(tmp_path: Path) -> None:
    code = f"""
        def draw(what, name):
            with open({str(tmp_path / "log")!r}, "a") as log:
                log.write(f"{{name}} {{os.getpid() == HERE}}\\n")
            time.sleep(0.3)
            return name.encode()

        print(run(draw, here=True) == {{name: name.encode() for name in NAMES}})
    """
    assert said(code) == "True\n"
    drawn = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert sorted(name for name, _ in drawn) == list(NAMES)  # each once
    assert {here for _, here in drawn} == {"True", "False"}


@pytest.mark.parametrize(
    "fate",
    ["os.kill(os.getpid(), signal.SIGKILL)", "raise MemoryError", "os.kill(0, signal.SIGTERM)", "sys.exit(0)"],
)
@pytest.mark.parametrize("where", ["drawing", "preparing"])
def test_what_others_do_not_finish_is_drawn_here(fate: str, where: str) -> None:
    """Of a drawer that dies nothing is heard but that it is gone."""
    code = f"""
        def fail(name="b"):
            if os.getpid() != HERE and name == "b":
                {fate}

        def draw(what, name):
            if {where == "drawing"}:
                fail(name)
            return name.encode()

        found = run(draw, prepare=fail if {where == "preparing"} else lambda: None)
        print(found == {{name: name.encode() for name in NAMES}})
    """
    assert said(code) == "True\n"


def test_an_error_of_a_picture_is_raised_here() -> None:
    code = """
        def draw(what, name):
            if name == "d":
                raise ValueError("cannot draw")
            return b"drawn"

        try:
            run(draw)
        except ValueError as error:
            print(error)
    """
    assert said(code) == "cannot draw\n"


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone(folder: Path) -> bool:
    """Whether every process that left its number in a folder is gone, in ten seconds."""
    numbers = [int(path.name) for path in folder.iterdir()]
    for _ in range(200):
        if not any(map(alive, numbers)):
            return bool(numbers)
        time.sleep(0.05)
    return False


_LEAVES_ITS_NUMBER = """
    def draw(what, name):
        open(f"{folder}/{{os.getpid()}}", "w").close()
        time.sleep(1000)
"""


@pytest.mark.parametrize("error", ["ValueError()", "KeyboardInterrupt()", "SystemExit(3)"])
def test_those_who_draw_are_gone_when_the_block_ends(tmp_path: Path, error: str) -> None:
    code = (
        textwrap.dedent(_LEAVES_ITS_NUMBER.format(folder=tmp_path))
        + f"""
try:
    with Drawers(NAMES, draw, lambda: None).hired() as found:
        found.ask(None, NAMES)
        while not os.listdir({str(tmp_path)!r}):
            time.sleep(0.01)
        raise {error}
except BaseException as error:
    print(type(error).__name__)
"""
    )
    assert said(code) == error.partition("(")[0] + "\n"
    assert gone(tmp_path)


def test_those_who_wait_are_gone_when_the_one_they_draw_for_is_killed(tmp_path: Path) -> None:
    code = f"""
        def prepare():
            open(f"{tmp_path}/{{os.getpid()}}", "w").close()

        with Drawers(NAMES, None, prepare).hired() as found:
            while not os.listdir({str(tmp_path)!r}):
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    assert python(code).returncode == -signal.SIGKILL
    assert gone(tmp_path)


def test_without_processes_everything_is_drawn_here() -> None:
    code = """
        def none():
            raise BlockingIOError(11, "no more processes")

        os.fork = none
        print(run(lambda what, name: str(os.getpid() == HERE).encode()) == dict.fromkeys(NAMES, b"True"))
    """
    assert said(code) == "True\n"


def test_another_thread_or_one_processor_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threading.active_count", lambda: 1)
    assert drawers.possible()
    monkeypatch.setattr("threading.active_count", lambda: 2)
    assert not drawers.possible()
    monkeypatch.setattr("threading.active_count", lambda: 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert not drawers.possible()


def test_the_command_s_pictures_are_those_of_a_process_alone(shipped: Path, tmp_path: Path) -> None:
    """Drawn beside the simulation, after it by two processes, and on one processor: the same bytes."""
    run = ["run", str(shipped), "--set", "workload.model=gpt2-small", "--set", "workload.output_tokens=2", "--out"]
    beside = [sys.executable, "-m", "pimsim", *run, "beside"]
    after = [sys.executable, "-c", f"from pimsim.cli import cli; cli({[*run, 'after']})"]
    alone = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, [0]); from pimsim.cli import cli; "
             f"cli({[*run, 'alone']})"]  # fmt: skip
    for command in (beside, after, alone):
        subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL, timeout=300)
    names = {path.name for path in (tmp_path / "alone").glob("*.png")}
    assert len(names) > 5
    assert names <= set(Plots.files)
    for name in names:
        pictures = {(tmp_path / folder / name).read_bytes() for folder in ("beside", "after", "alone")}
        assert len(pictures) == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_command_that_is_ended_leaves_nobody_who_draws(
    shipped: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    run = [sys.executable, "-m", "pimsim", "run", str(shipped), "--engine", "stepped", "--out", str(tmp_path / "out")]
    with subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not (drawing := children.read_text().split()):
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(timeout=120) == status
    assert not any(map(alive, map(int, drawing)))
    assert not (tmp_path / "out").exists()


# -- pixels -------------------------------------------------------------------------------


def pixels(ax: Axes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(style.png(ax))))


def log_axes(seed: int) -> Axes:
    """Axes of a plot with logarithmic axes, of which some have labels at their minor ticks or a grid there."""
    rng = random.Random(seed)
    ax = style.new_figure().add_subplot()
    low, high = 10 ** rng.uniform(-4, 1), 10 ** rng.uniform(1.1, 6)
    ax.plot([low, high], [1, 10 ** rng.uniform(0.2, 5)])
    for axis, scale in ((ax.xaxis, ax.set_xscale), (ax.yaxis, ax.set_yscale)):
        if rng.random() < 0.8:
            scale("log")
            style.log_ticks(axis)
    if rng.random() < 0.3:
        ax.invert_xaxis()
    if rng.random() < 0.2:
        ax.grid(which="minor")
    if rng.random() < 0.2:
        ax.tick_params(top=True, which="both")
    return ax


@pytest.mark.parametrize("seed", range(12))
def test_minor_ticks_that_are_one_line_are_the_same_to_the_pixel(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with style.drawing():
        joined = pixels(log_axes(seed))
        monkeypatch.setattr(style, "join_minor_ticks", lambda axis: None)
        assert np.array_equal(joined, pixels(log_axes(seed)))


def test_minor_ticks_of_a_roofline_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with style.drawing():
        plot = small_result(plots=Plots).plot
        ax, plain = (plot.roofline(style.new_figure().add_subplot()) for _ in range(2))
        joined = pixels(ax)
        assert len(ax.xaxis.get_minorticklocs()) == 0
        monkeypatch.setattr(style, "join_minor_ticks", lambda axis: None)
        assert np.array_equal(joined, pixels(plain))
        assert len(plain.xaxis.get_minorticklocs()) > 20
