"""Plots: something is drawn, axes carry units, numbers match, no global state is touched."""

from __future__ import annotations

import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text

from pimsim.plots import NAMES, Plots, style
from pimsim.results.drawn.breakdown import ranked
from pimsim.results.result import Result
from tests.compare.conftest import run_of
from tests.result_samples import small_result

PLAIN = [name for name in NAMES if name != "parts"]  # of plain decoding
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def result() -> Result:
    return small_result(plots=Plots)


def draw(result: Result, name: str, ax: Axes | None = None) -> Axes:
    axes = getattr(result.plot, name)(ax)
    assert isinstance(axes, Axes)
    return axes


@pytest.mark.parametrize(
    ("name", "xlabel", "ylabel"),
    [
        ("latency_breakdown", "latency (ns)", ""),
        ("energy_breakdown", "energy (nJ)", ""),
        ("latency_vs_context", "context (tokens)", "latency (µs/step)"),
        ("speedup", "speedup (baseline latency / simulated latency)", ""),
        ("energy_ratio", "energy ratio (baseline energy / simulated energy)", ""),
    ],
)
def test_axes_are_labelled_with_units_and_titled_with_the_model(
    result: Result, name: str, xlabel: str, ylabel: str
) -> None:
    ax = draw(result, name)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (xlabel, ylabel)
    assert "tiny" in ax.get_title(loc="left")
    assert ax.lines or ax.patches


@pytest.mark.parametrize("name", PLAIN)
def test_a_plot_is_drawn_on_the_axes_that_are_given(result: Result, name: str) -> None:
    ax = Figure().add_subplot()
    assert draw(result, name, ax) is ax


def bars(ax: Axes) -> list[float]:
    container = ax.containers[0]
    assert isinstance(container, BarContainer)
    return [patch.get_width() for patch in container.patches]


def test_latency_bars_are_the_breakdown_from_the_longest_down(result: Result) -> None:
    ax = draw(result, "latency_breakdown")
    assert bars(ax) == pytest.approx([500, 310, 50, 50, 40, 30, 20])
    assert [text.get_text() for text in ax.texts][:2] == ["500  (50.0 %)", "310  (31.0 %)"]
    assert ax.yaxis_inverted()


def test_energy_bars_sum_to_the_energy(result: Result) -> None:
    assert sum(bars(draw(result, "energy_breakdown"))) == pytest.approx(result.summary["system"]["energy_pJ"] / 1e3)


def test_context_line_has_a_point_per_decode_step(result: Result) -> None:
    line = draw(result, "latency_vs_context").lines[0]
    assert list(line.get_xdata()) == [1, 2, 3]
    assert list(line.get_ydata()) == pytest.approx([0.3, 0.33, 0.37])


def test_speedups_of_model_and_roofline_are_written_at_their_bars_on_a_log_axis(result: Result) -> None:
    ax = draw(result, "speedup")
    assert ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.texts] == ["80.0x", "900x", "8.00x", "90.0x"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["gpu-t4", "cpu-xeon-6154"]


def test_small_parts_are_one_bar_and_zeros_none() -> None:
    rows = ranked({"mac": 1e6, "read": 0.0, "sum": 1.0, "gelu": 2.0})
    assert [(name, value) for name, value, _ in rows] == [("mac", 1e6), ("other", 3.0)]


def test_a_comparison_without_baselines_is_refused() -> None:
    with pytest.raises(ValueError, match="no baselines"):
        draw(small_result(plots=Plots, baselines={}), "speedup")


def test_every_plot_is_saved_as_png(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path)
    assert {f"{name}.png" for name in PLAIN} < set(Plots.files)
    for name in PLAIN:
        assert (tmp_path / f"{name}.png").read_bytes().startswith(PNG)


def test_without_baselines_no_comparison_is_saved(tmp_path: Path) -> None:
    small_result(plots=Plots).save(tmp_path)
    small_result(plots=Plots, baselines={}).save(tmp_path)
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "latency_breakdown.png", "energy_breakdown.png", "latency_vs_context.png", "roofline.png",
    }  # fmt: skip


def test_saved_plots_are_the_same_bytes_every_time(result: Result, tmp_path: Path) -> None:
    for name in ("a", "b"):
        result.save(tmp_path / name)
    for name in PLAIN:
        assert (tmp_path / "a" / f"{name}.png").read_bytes() == (tmp_path / "b" / f"{name}.png").read_bytes()


def test_plots_are_the_same_where_another_thread_forbids_a_second_process(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path / "alone")
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        result.save(tmp_path / "threaded")
    finally:
        stop.set()
        thread.join()
    for name in (f"{name}.png" for name in PLAIN):
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "threaded" / name).read_bytes()


@pytest.mark.parametrize(
    "name", ["latency_breakdown", "roofline"]
)  # the first and the last, which another process draws
def test_a_plot_that_fails_is_an_error_and_nothing_is_saved(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(*_: object) -> Axes:
        raise ValueError("cannot draw")

    monkeypatch.setattr(Plots, name, fail)
    with pytest.raises(ValueError, match="cannot draw"):
        result.save(tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_settings_of_the_user_are_left_alone(result: Result) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw(result, "speedup")
    assert dict(matplotlib.rcParams) == before


def run_python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_importing_plots_and_results_does_not_import_matplotlib() -> None:
    assert run_python(
        "import sys, pimsim.plots, pimsim.results.result, pimsim.results.terminal, pimsim.results.progress\n"
        "print({'matplotlib', 'rich', 'pandas', 'numba', 'simpy'} & set(sys.modules))"
    ) == "set()\n"  # fmt: skip


def test_saving_does_not_import_pyplot(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pimsim.plots import Plots\n"
        "from tests.result_samples import small_result\n"
        f"small_result(plots=Plots).save({str(tmp_path)!r})\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    root = str(Path(__file__).parents[2])
    assert run_python(f"import sys; sys.path.insert(0, {root!r})\n{code}") == "False\n"


def test_a_name_is_no_formula(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """A $ begins no mathematics, and what the font lacks is not said on standard error."""
    sample = small_result(plots=Plots)
    odd = {"x^{$\\frac$ \x1b \N{GRINNING FACE}": sample.baselines["gpu-t4"]}
    small_result(plots=Plots, baselines=odd).plot.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.png" for name in PLAIN}
    assert not recwarn.list


def drawn(ax: Axes) -> set[str]:
    """Every text of a figure, as it is drawn."""
    figure = style.figure_of(ax)
    FigureCanvasAgg(figure).draw()
    return {text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()}


@pytest.mark.parametrize("name", PLAIN)
def test_ticks_are_numbers_and_no_formulas(result: Result, name: str) -> None:
    """The names are drawn as text, so the formulas that matplotlib writes at log axes would be, too."""
    texts = drawn(draw(result, name))
    assert not [text for text in texts if "$" in text or "\\" in text]
    if name == "roofline":
        assert {"0.1", "1", "10", "100", "1,000"} <= texts


@pytest.mark.parametrize(
    ("value", "text"), [(0.001, "0.001"), (20, "20"), (1e5, "100,000"), (1e6, "10⁶"), (2e-5, "2 x 10⁻⁵")]
)
def test_numbers_of_a_log_axis(value: float, text: str) -> None:
    ax = Figure().add_subplot()
    ax.set_xscale("log")
    style.log_ticks(ax.xaxis)
    ax.set_xlim(0.9 * value, 3 * value)
    assert text in drawn(ax)


def test_contexts_are_whole_tokens(result: Result) -> None:
    ax = draw(result, "latency_vs_context")
    FigureCanvasAgg(style.figure_of(ax)).draw()
    assert not [label for label in ax.get_xticklabels() if "." in label.get_text()]


def test_one_step_has_one_tick() -> None:
    """Not 1, 1, 1, 1 and 2: ticks between are no tokens."""
    ax = Plots(run_of(workload__output_tokens=1)).latency_vs_context()
    FigureCanvasAgg(style.figure_of(ax)).draw()
    low, high = ax.get_xlim()
    inside = [label.get_text() for label in ax.get_xticklabels() if low <= label.get_position()[0] <= high]
    assert inside == ["1"]


def test_a_long_name_leaves_room_for_the_plot(recwarn: pytest.WarningsRecorder) -> None:
    sample = small_result(plots=Plots)
    machine = sample.baselines["gpu-t4"]
    for count in (1, 12):
        named = {
            f"{k} a machine with a name of more words than anybody reads at an axis": machine for k in range(count)
        }
        ax = draw(small_result(plots=Plots, baselines=named), "speedup")
        texts = drawn(ax)
        assert "0 a machine with a name of…" in texts
        assert ax.get_position().width > 0.5
        heights = sorted(label.get_window_extent().y0 for label in ax.texts)
        assert min(b - a for a, b in pairwise(heights)) > 8  # the figures at the bars do not overlap
    assert not recwarn.list


def test_the_roofline_has_every_machine() -> None:
    machine = small_result().baselines["gpu-t4"]
    bound = machine["roofline"] | {"bandwidth_GBps": 100.0, "peak_TFLOPs": 1.0}
    many = {f"machine-{k}": {**machine, "roofline": bound} for k in range(9)}
    ax = draw(small_result(plots=Plots, baselines=many), "roofline")
    roofs = [line for line in ax.lines if str(line.get_label()).endswith("100 GB/s")]
    assert len(roofs) == 9
    assert len({(line.get_color(), line.get_linestyle()) for line in roofs}) == 9
