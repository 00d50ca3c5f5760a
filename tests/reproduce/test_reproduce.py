"""`pimsim reproduce`: what it runs, what it reports, and that its shortcuts change nothing."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

import pimsim
from pimsim import api
from pimsim.cli import cli
from pimsim.energy.model import Prices, price
from pimsim.energy.table import load_table
from pimsim.labels import LABELS
from pimsim.reproduce import curves, data, reproduction, uncertainty
from pimsim.reproduce.data import ENDS, inferences, inputs, published
from pimsim.reproduce.figures import MODELS, QUANTITIES, stand_in
from pimsim.reproduce.reproduction import VERDICTS, Figure, Reproduction
from pimsim.reproduce.runs import MIDDLES, Bench, Job, configure, shipped_config, simulate_job
from pimsim.reproduce.sheets import WIDTH, markdown, number, sheets
from pimsim.reproduce.uncertainty import Uncertainty
from pimsim.reproduce.values import evaluate_job

FEW = ("tRP", "Taylor terms", "IDD4R", "T4 host", "all-bank read")  # one of each kind, and the table's


@pytest.fixture(scope="module")
def found() -> Reproduction:
    """The whole command on two models and a few inputs, with samples in place of whole runs."""
    with pytest.MonkeyPatch.context() as patch:
        some = {name: inputs()[name] for name in FEW}
        for module in (data, uncertainty):
            patch.setattr(module, "inputs", lambda: some)
        models = ("gpt2-small", "gpt3-xl")
        few = tuple(replace(q, models=models) for q in QUANTITIES)
        patch.setattr(reproduction, "QUANTITIES", few)
        patch.setattr(reproduction, "MODELS", models)
        patch.setattr(curves, "PROBED", models)
        patch.setattr(reproduction, "Job", lambda model, changes=(), contexts=MIDDLES: Job(model, changes, contexts))
        return reproduction.reproduce(workers=1)


# -- the data ----------------------------------------------------------------------------------


def test_every_figure_of_the_paper_is_there() -> None:
    ends = {
        "speedup_t4": (41, 137), "speedup_xeon": (631, 1074), "energy_t4_v1": (339, 1085), "energy_t4_v2": (123, 383),
        "energy_xeon_v1": (890, 1632), "energy_xeon_v2": (320, 602), "data_movement": (110, 259),
    }  # fmt: skip
    for name, (low, high) in ends.items():
        assert (published()[f"{name}.lowest"].paper, published()[f"{name}.highest"].paper) == (low, high)
    single = {
        "row_hit_rate": 0.98, "non_vmm.gpt3-xl": 0.0116, "ops_per_parameter.gpt3-xl": 2.1,
        "asic_100MHz.slowest": (1, 1.2), "pin_rate_2Gbps.gpt3-xl": 1.5, "mac_width_64.gpt3-xl": (1, 2),
        "channels_16.gpt3-xl": (1.8, 2),
    }  # fmt: skip
    assert {name: published()[name].paper for name in single} == single


def test_labels_and_ranges_are_sound() -> None:
    assert {figure.label for figure in published().values()} <= set(LABELS)
    for entry in inputs().values():
        assert entry.label in LABELS
        assert entry.reason
        assert entry.low != entry.high


@pytest.mark.parametrize("name", inputs())
def test_both_ends_of_a_range_are_accepted_and_hold_the_shipped_value(name: str) -> None:
    entry = inputs()[name]
    if any(key.startswith("energy.table.") for key in entry.keys):
        row = entry.keys[0].removeprefix("energy.table.")
        shipped = [load_table(table).rows[row].value for table in ("v1", "v2")]
    elif entry.kind == "baseline":
        shipped = [baseline_constant(entry.keys[0])]
    else:
        for end in ENDS:
            configure(Job("gpt2-small", tuple(entry.at(end).items())))
        shipped = [at(configure(Job("gpt2-small")), key) for key in entry.keys]
    for value in shipped:
        if value is not None and not isinstance(value, bool):
            assert min(entry.low, entry.high) <= value <= max(entry.low, entry.high)


def baseline_constant(key: str) -> float:
    from pimsim.baselines import devices

    _, name, path = key.split(".", 2)
    return float(at(devices.load(name), path).value)


def at(model: Any, path: str) -> Any:
    for part in path.split("."):
        model = getattr(model, part)
    return model


# -- what was inferred from a published figure ----------------------------------------------------


def test_what_is_labelled_inferred_says_from_which_figures() -> None:
    """Configuration, ranges and the list of inferences name the same keys; nothing is inferred in silence."""
    provenance = api.load(shipped_config()).provenance
    labelled = {key for key, origin in provenance.items() if origin.label == "inferred"}
    assert labelled == {key for inference in inferences() for key in inference.keys}
    assert {"dram.row_bytes", "asic.streaming", "workload.biases"} <= labelled
    for inference in inferences():
        assert inference.reason and inference.of and set(inference.of) <= set(published())
    for entry in inputs().values():
        if entry.kind == "system" and entry.keys[0] in provenance:
            labels = {provenance[key].label for key in entry.keys}
            assert labels <= {entry.label, "default"}, entry.name


def test_geometry_has_a_range_and_a_bank_keeps_its_size() -> None:
    assert inputs()["row size"].keys == ("dram.row_bytes",)
    assert inputs()["column size"].keys == ("dram.column_bytes",)
    banks = [configure(Job("gpt2-small", (("dram.row_bytes", size),))).dram for size in (1024, 2048, 4096)]
    assert {bank.rows * bank.row_bytes for bank in banks} == {16384 * 2048}


def test_longer_rows_are_opened_less_often_and_move_no_less_data() -> None:
    short, long = (
        evaluate_job(Job("gpt2-small", (("dram.row_bytes", size),), MIDDLES[:1])).values for size in (1024, 4096)
    )
    assert short.row_hit_rate < 0.975 < 0.985 < long.row_hit_rate
    assert short.data_movement == long.data_movement


def test_a_figure_that_an_input_was_inferred_from_is_circular_and_counts_as_nothing(found: Reproduction) -> None:
    record = json.loads(json.dumps(found.record()))
    figures = {figure["name"]: figure for figure in record["figures"]}
    circular = {name for name, figure in figures.items() if figure["circular"]}
    assert circular == {name for inference in inferences() for name in inference.of}
    assert {"row_hit_rate", "data_movement.lowest", "data_movement.highest", "non_vmm.gpt3-xl"} <= circular
    for figure in figures.values():
        assert figure["circular"] == bool(figure["inferred"])
        if figure["paper"] is None:
            assert figure["verdict"] is None and not figure["circular"]
        else:
            assert (figure["verdict"] == "circular") == figure["circular"]
    assert figures["row_hit_rate"]["inferred"] == ["row size"]
    count, papers = record["count"], [figure for figure in figures.values() if figure["paper"] is not None]
    assert sum(count.values()) == len(papers)
    assert count == {verdict: sum(figure["verdict"] == verdict for figure in papers) for verdict in VERDICTS}
    assert count["circular"] == len(circular)


@pytest.mark.parametrize(
    ("simulated", "low", "high", "circular", "verdict"),
    [
        (41 * 1.09, 20, 50, (), "reproduced"),
        (41 * 1.11, 20, 50, (), "compatible"),
        (41 * 0.5, 20, 41, (), "compatible"),
        (41 * 1.01, 41.2, 50, (), "outside"),
        (41.0, 20, 50, ("row size",), "circular"),
    ],
)
def test_a_figure_is_reproduced_if_it_is_near_and_its_interval_allows_the_papers(
    simulated: float, low: float, high: float, circular: tuple[str, ...], verdict: str
) -> None:
    paper = published()["speedup_t4.lowest"]
    assert Figure(paper.name, paper.of, "x", paper, simulated, low, high, "", circular).verdict == verdict


def test_tables_mark_what_is_circular_and_count_the_rest(found: Reproduction) -> None:
    sheet = next(sheet for sheet in sheets(found) if sheet.title == "Published figures")
    marked = {row[0] for row in sheet.rows if row[3].endswith("c")}
    assert marked == {figure.name for figure in found.figures if figure.circular}
    count = found.count
    evidence = sum(count.values()) - count["circular"]
    assert sheet.note.startswith(f"Of {evidence} figures {count['reproduced']} are reproduced to 10%, ")
    for inference in inferences():
        assert inference.name in sheet.note


def test_the_roofline_is_the_first_comparison_and_the_eager_one_is_beside_it(found: Reproduction) -> None:
    speedups = next(sheet for sheet in sheets(found) if sheet.title == "Speedup")
    assert speedups.head == ("model", "T4 roofline", "Xeon roofline", "T4 eager", "Xeon eager")
    low, high = sorted(run.speedup("gpu-t4", "roofline") for run in found.models.values())
    assert f"{number(low)}-{number(high)} times as fast as the T4" in speedups.note and "41.0-137" in speedups.note
    shown = markdown(found, ("Speedup", "Published figures"))
    assert shown.index("### Speedup") < shown.index("### Published figures")


def test_newer_machines_stand_beside_the_whole_run(found: Reproduction) -> None:
    """Their figures are those of a run with them as baselines."""
    sheet = next(sheet for sheet in sheets(found) if sheet.title == "Newer GPUs")
    overrides = {"workload.model": "gpt2-small", "workload.output_tokens": 1024, "baselines": ["gpu-a100", "gpu-h100"]}
    machines = pimsim.run(pimsim.load_config(shipped_config(), overrides)).summary["baselines"]
    (row,) = [row for row in sheet.rows if row[0] == "gpt2-small"]
    forms = [(each["roofline"], each["compiled"], each) for each in machines.values()]
    parts = [part for three in forms for part in three]
    energies = [found["compiled"]["energy_ratio"] for found in machines.values()]
    shown = [float(text.replace(",", "")) for text in row[1:]]
    assert shown == pytest.approx([*(part["speedup"] for part in parts), *energies], rel=0.02)  # of a sample, here


# -- shortcuts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["gpt2-small", "gpt3-xl"])
def test_a_sample_is_close_to_the_whole_run(model: str) -> None:
    whole, sample = (evaluate_job(Job(model, (), contexts)).values for contexts in ((), MIDDLES))
    assert sample.token_ns == pytest.approx(whole.token_ns, rel=0.002)
    for table, energy in whole.energy_pJ.items():
        assert sample.energy_pJ[table] / sample.tokens == pytest.approx(energy / whole.tokens, rel=0.002)
    assert sample.non_vmm == pytest.approx(whole.non_vmm, rel=0.03)
    assert sample.data_movement == pytest.approx(whole.data_movement, rel=0.03)


def test_models_that_stand_in_for_others_have_the_same_sizes() -> None:
    stands = {model: stand_in(model) for model in MODELS if stand_in(model) != model}
    assert stands == {"gpt3-small": "gpt2-small", "gpt3-medium": "gpt2-medium"}
    twins = [simulate_job(Job(model, (), MIDDLES[:2])) for model in ("gpt2-small", "gpt3-small")]
    assert twins[0] == twins[1]


def test_an_energy_input_is_priced_as_a_simulation_with_it_would_be() -> None:
    change = (("dram.power.IDD4R_mA", 248),)
    job = Job("gpt2-small", change, MIDDLES[:2])
    assert job.simulated == Job("gpt2-small", (), MIDDLES[:2])
    again = simulate_job(job)  # with the changed configuration itself
    energy = price(again, Prices.of(configure(job), table=load_table("v2"))).total_pJ()
    assert evaluate_job(job).values.energy_pJ["v2"] == energy
    assert energy < evaluate_job(Job("gpt2-small", (), MIDDLES[:2])).values.energy_pJ["v2"]


def test_a_timing_input_is_simulated_and_a_row_cycle_follows_its_parts() -> None:
    job = Job("gpt2-small", (("dram.timing.tRP_ns", 18),), MIDDLES[:2])
    assert job.simulated == job
    assert configure(job).dram.timing.tRC_ns == 28 + 18
    slower, base = evaluate_job(job).values, evaluate_job(replace(job, changes=())).values
    assert slower.token_ns > base.token_ns
    assert slower.baselines == base.baselines


def test_a_baseline_input_moves_that_baseline_alone() -> None:
    base = evaluate_job(Job("gpt2-small", (), MIDDLES[:2])).values
    other = evaluate_job(Job("gpt2-small", (("baselines.gpu-t4.eager.op_time", 8),), MIDDLES[:2])).values
    assert other.baselines["gpu-t4", "eager"].latency_ns < base.baselines["gpu-t4", "eager"].latency_ns
    assert other.baselines["gpu-t4", "roofline"] == base.baselines["gpu-t4", "roofline"]
    assert other.baselines["cpu-xeon-6154", "eager"] == base.baselines["cpu-xeon-6154", "eager"]
    assert (other.latency_ns, other.energy_pJ) == (base.latency_ns, base.energy_pJ)


def test_workers_change_nothing() -> None:
    jobs = [Job("gpt2-small", (("asic.taylor_terms", n),), MIDDLES[:1]) for n in (3, 8)]
    with Bench(evaluate_job, 1) as one, Bench(evaluate_job, 2) as two:
        assert one.run(jobs) == two.run(jobs)


def test_a_refused_job_gives_its_reason() -> None:
    with Bench(evaluate_job, 1) as bench:
        job = Job("gpt3-xl", (("dram.channels", 1),), MIDDLES[:1])
        assert "fit" in bench.run([job])[job]


# -- intervals -----------------------------------------------------------------------------------


def test_intervals_hold_the_figure_and_every_single_input(found: Reproduction) -> None:
    for figure in found.figures:
        assert figure.low <= figure.simulated <= figure.high, figure.name


def test_the_deciding_input_is_of_a_kind_that_can_move_the_figure(found: Reproduction) -> None:
    decided = {figure.name: figure.decided_by for figure in found.figures}
    assert decided["speedup_t4.gpt2-small"] == "T4 host (derived)"
    assert decided["speedup_t4_roofline.gpt3-xl"] in ("tRP (recalled)", "Taylor terms (recalled)")
    assert decided["energy_xeon_v2_roofline.gpt3-xl"] in ("IDD4R (recalled)", "all-bank read (assumed)")
    assert decided["ops_per_parameter.gpt3-xl"] == ""


def test_a_corner_takes_each_input_to_the_end_that_lowers_the_figure() -> None:
    chosen = Uncertainty(Bench(evaluate_job, 1))._corner(
        {"tRP": (1.2, 0.8), "tRCD": (1.0, 1.0), "IDD4R": (1.1, 0.9)}, 1.0, up=False
    )
    assert chosen == (("tRP", "high"), ("IDD4R", "high"))


# -- the rest of the table -----------------------------------------------------------------------


def test_figures_over_the_models_are_those_of_the_models(found: Reproduction) -> None:
    by_name = {figure.name: figure for figure in found.figures}
    speedups = [by_name[f"speedup_t4.{model}"] for model in ("gpt2-small", "gpt3-xl")]
    assert by_name["speedup_t4.lowest"].simulated == min(figure.simulated for figure in speedups)
    assert by_name["speedup_t4.highest"].simulated == max(figure.simulated for figure in speedups)
    assert by_name["speedup_t4.lowest"].low == min(figure.low for figure in speedups)


def test_limits_sum_to_the_time_per_token(found: Reproduction) -> None:
    for model, parts in found.limits.items():
        assert math.isclose(sum(parts.values()), found.models[model].token_ns, rel_tol=1e-12)
        assert all(ns > 0 for ns in parts.values())


def test_what_goes_beyond_the_paper_goes_the_right_way(found: Reproduction) -> None:
    for times in found.variants.values():
        assert times["overlap"] < times["paper"] < times["LM head"]


def test_curves_have_a_time_or_a_reason(found: Reproduction) -> None:
    for point in found.curves:
        assert (point.token_ns is None) == bool(point.problem)
    one_channel = {p.model: p for p in found.curves if p.curve == "channels" and p.x == 1}
    assert one_channel["gpt2-small"].token_ns
    assert "fit" in one_channel["gpt3-xl"].problem


def test_the_longest_context_is_the_last_that_fits() -> None:
    longest = curves.capacity("gpt3-xl")
    assert curves._fits("gpt3-xl", longest)
    assert not curves._fits("gpt3-xl", longest + 1)


def test_prices_of_the_literature_differ_where_the_source_does(found: Reproduction) -> None:
    prices = {run.name: run for run in found.prices["gpt3-xl"]}
    table, cent, dramsim = prices["table v2"], prices["CENT actions"], prices["DRAMsim3 currents"]
    assert cent.components_pJ["io"] == pytest.approx(table.components_pJ["io"])
    assert cent.components_pJ["mac_units"] == 0
    ratio = cent.components_pJ["activation"] / table.components_pJ["activation"]
    assert ratio == pytest.approx(2950.35 / (1.25 * (122 - 92) * 40))
    assert dramsim.activation_usual_pJ == pytest.approx(1.35 * (71 * 40 - 61 * 28 - 60 * 12))
    assert table.activation_usual_pJ is None


def test_each_candidate_would_make_gpt3_xl_grow_by_the_papers_factor(found: Reproduction) -> None:
    wanted = sum(found.paper_factors.values()) / 4
    assert wanted == pytest.approx((339 / 123 + 1085 / 383 + 890 / 320 + 1632 / 602) / 4)
    run = found.prices["gpt3-xl"][0]
    for candidate in found.candidates:
        share = run.components_pJ[candidate.component] / run.total_pJ
        assert 1 + (candidate.factor - 1) * share == pytest.approx(wanted)
        assert candidate.ratios[0] <= wanted * (1 + 1e-9) and candidate.ratios[1] >= wanted * (1 - 1e-9)


# -- the command ---------------------------------------------------------------------------------


def test_json_has_the_figures_of_the_contract(found: Reproduction) -> None:
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    keys = {"name", "paper", "simulated", "low", "high", "deviation", "decided_by"}
    for figure in record["figures"]:
        assert keys <= figure.keys()
        assert (figure["paper"] is None) == (figure["deviation"] is None)
    deviations = {figure["name"]: figure["deviation"] for figure in record["figures"]}
    assert deviations["mac_width_64.gpt3-xl"] == 0  # inside the paper's range
    lowest = next(figure for figure in record["figures"] if figure["name"] == "speedup_t4.lowest")
    assert lowest["deviation"] == lowest["simulated"] / 41 - 1


def test_tables_fit_a_terminal_of_80_columns(found: Reproduction) -> None:
    from rich.console import Console

    console = Console(width=WIDTH, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for sheet in sheets(found):
        sheet.print(console)
    text = console.export_text()
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    for figure in found.figures:
        if figure.published is not None:
            assert f"\n{figure.name} " in text  # on one line, not broken


def test_the_folder_has_tables_json_and_pictures(found: Reproduction, tmp_path: Any) -> None:
    from pimsim.reproduce.folder import save

    save(found, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"reproduction.json", "reproduction.md", "speedup.png", "limits.png", "intervals.png"} <= names
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    save(found, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == first


def test_another_paper_is_refused() -> None:
    result = CliRunner().invoke(cli, ["reproduce", "gpt-pim"])
    assert result.exit_code == 2
    assert "pim-gpt" in result.output
