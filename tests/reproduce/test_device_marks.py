"""`pimsim reproduce devices`: its form, that every published mark is there, and that figures come from runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from pimsim.cli import cli
from pimsim.devices.aim.replay import Machine
from pimsim.devices.registry import device_of
from pimsim.reproduce import reproduction
from pimsim.reproduce.data import Input
from pimsim.reproduce.devices import aim, found, marks, measures, pimnast
from pimsim.reproduce.devices.found import Found, reproduce, studies
from pimsim.reproduce.devices.pages import markdown, save, sentences
from pimsim.reproduce.devices.study import Study

# The marks of the reference's page on other memories, by the names here.
PUBLISHED = {
    "aim": {"tflops": 1, "inside": 512, "outside": 32, "ratio": 16, "gemv": (7.5, 10.5), "mnist": (7.5, 10.5)},
    "hbm2-pim": {
        "tflops": 1.2, "inside": 1200, "outside": 307, "ratio": 4, "gemv_gpu": 8.9, "speech_gpu": 3.5,
        "energy_gpu": (0, 0.4), "energy_bit": 3.5, "gemv_u280": 2.8, "add_u280": 2.8, "lstm_u280": 2.54,
    },
    "lpddr5x-pim": {
        "inside": 614, "outside": 76.8, "ratio": 8, "tops_int4": 2.4, "tflops_fp8": 1.2, "w8a8": (6.0, 6.2),
        "w4a4": (6.0, 6.2), "fp8": (6.0, 6.2), "w8a16": (5.7, 5.8), "w4a16": (5.7, 5.8), "fence_w8a8": (5.0, 6.2),
        "fence_w4a16": 4.1, "reshape": 1.65, "llama_host": 27.0, "llama": 81.3,
    },
    "pimnast": {"share": pytest.approx(6.86 / 7, abs=0.0007)},
    "pimphony": {"issue": pytest.approx(34 / 22, abs=0.0005), "static_kv": 0.36, "paged_kv": 0.76},
}  # fmt: skip


@pytest.fixture(scope="module")
def result() -> Found:
    return reproduce(workers=1)


def figure(result: Found, name: str) -> reproduction.Figure:
    [found] = [figure.simulated for figure in result.figures if figure.mark.name == name]
    assert found is not None
    return found


# -- the form


def test_json_has_the_form_of_the_papers_figures(result: Found) -> None:
    paper = reproduction.Figure("name", "of", "x", None, 1.0, 1.0, 1.0, "input").record()
    record = json.loads(json.dumps(result.record(), allow_nan=False))
    assert record["schema"] == "pimsim.reproduction/1" and sum(record["count"].values()) == len(record["figures"])
    for each in record["figures"]:
        assert list(each)[: len(paper)] == list(paper)
        assert set(each) - set(paper) == {"device", "source", "because"}
        assert each["because"] and each["source"] and each["decided_by"]


def test_a_mark_has_a_number_and_its_interval_or_a_reason_why_it_has_none(result: Found) -> None:
    for each in result.record()["figures"]:
        numbers = [each[key] for key in ("simulated", "low", "high", "deviation")]
        if each["verdict"] == "not simulated":
            assert numbers == [None] * 4
        else:
            assert each["low"] <= each["simulated"] <= each["high"]
    assert all(bool(mark.missing) != (name in studies()) for name, mark in marks.marks().items())


def test_every_published_mark_is_there(result: Found) -> None:
    paper = {f.mark.name: f.mark.paper for f in result.figures}
    assert paper == {f"{device}.{name}": value for device, of in PUBLISHED.items() for name, value in of.items()}
    assert {f.mark.device for f in result.figures} == set(PUBLISHED)


def test_a_mark_of_unknown_label_is_refused() -> None:
    entry = {"name": "a.b", "paper": 1, "unit": "x", "label": "rumour", "of": "", "source": "here"}
    with pytest.raises(ValueError, match="unknown label rumour"):
        marks._mark(entry, {"here": "there"})


def test_the_same_run_gives_the_same_figures_on_any_number_of_processes(result: Found) -> None:
    again = reproduce(workers=2, intervals=False)
    values = [[f.simulated and f.simulated.simulated for f in found.figures] for found in (result, again)]
    assert values[0] == values[1]


# -- intervals


def _study(*inputs: Input, inferred: tuple[str, ...] = ()) -> Study:
    return Study("aim.gemv", lambda keys: keys.get("a", 2.0) * keys.get("b", 5.0), inputs, "Why.", inferred)


A, B = (Input(name.upper(), (name,), *ends, "assumed", "") for name, *ends in (("a", 1.0, 3.0), ("b", 5.0, 4.0)))


def _alone(monkeypatch: pytest.MonkeyPatch, study: Study) -> found.Figure:
    monkeypatch.setattr(found, "studies", lambda: {study.mark: study})
    [each] = [f for f in reproduce(workers=1).figures if f.mark.name == study.mark]
    return each


def test_an_interval_reaches_to_the_corner_of_all_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    each = _alone(monkeypatch, _study(A, B)).simulated
    assert each is not None
    assert (each.simulated, each.low, each.high, each.decided_by) == (10.0, 1 * 4, 3 * 5, "A (assumed)")


def test_without_inputs_the_configuration_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    each = _alone(monkeypatch, _study()).simulated
    assert each is not None and (each.low, each.high, each.decided_by) == (10, 10, "the configuration")


@pytest.mark.parametrize(
    ("inputs", "inferred", "verdict"),
    [((), (), "outside"), ((A,), (), "reproduced"), ((A,), ("a",), "circular")],
)
def test_verdicts(
    inputs: tuple[Input, ...], inferred: tuple[str, ...], verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10 against a published 10.6 to 12: outside, unless an input may bring it there."""
    mark = replace(marks.marks()["aim.gemv"], paper=(10.6, 12.0))
    monkeypatch.setattr(found, "marks", lambda: {"aim.gemv": mark})
    assert _alone(monkeypatch, _study(*inputs, inferred=inferred)).verdict == verdict


# -- figures come from runs


def test_a_product_takes_as_long_as_its_instruction_program() -> None:
    """Two ways from the same memory: the one-operator graph, and the GEMV program of `pimsim replay`."""
    chip = aim._chip({})
    program = Machine(device_of(chip)).gemv(2048, 4096).ns
    assert measures.product_ns(chip, 4096, 2048) == pytest.approx(program, rel=0.001)


def test_what_a_host_reads_takes_the_pins_and_refresh() -> None:
    plain = measures.plain(aim._chip({}), "gddr6")
    least = 2**24 / 64 / (1 - 210 / 3900)  # 64 GB/s, less what refreshes take
    assert least < measures.reading_ns(plain, 2**24) < 1.03 * least


def test_the_plain_memory_is_equal_but_for_the_units() -> None:
    chip = aim._chip({"dram.timing.tRP_ns": 18, "dram.channels": 4})
    plain = measures.plain(chip, "gddr6")
    ours, theirs = device_of(chip).cycles, device_of(plain).cycles
    shared = ours.keys() & theirs.keys()
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared} and len(shared) > 15
    assert (plain.dram.channels, plain.dram.rows, theirs["nRP"]) == (4, chip.dram.rows, 36)


def test_a_row_of_pim_gpt_takes_its_columns_and_a_change_of_rows() -> None:
    """64 columns, tRTP 2 less the last column, tRP 12 and tRCD 12: 89 ns, as in the manual's closed form."""
    config = measures.multiplying("pim-gpt")
    assert measures.row_ns(config, 4096, 4096) == 64 + 1 + 12 + 12


@pytest.mark.parametrize(
    ("value", "keys", "factor"),
    [
        (aim.tflops, {"dram.channels": 4}, 2),
        (aim.outside, {"dram.io.data_rate_Gbps": 8}, 1 / 2),
        (aim.inside, {"dram.timing.tCCDS_ns": 2, "dram.timing.tCCDL_ns": 2}, 1 / 2),
        (aim.ratio, {"dram.io.data_rate_Gbps": 8}, 2),
    ],
)
def test_a_peak_follows_the_configuration(value: Any, keys: dict[str, Any], factor: float) -> None:
    assert value(keys) == pytest.approx(factor * value({}))


def test_gemv_gains_from_shorter_changes_and_from_a_slow_host(result: Found) -> None:
    shipped = figure(result, "aim.gemv").simulated
    assert aim.gemv({"dram.timing.tMODCH_ns": 2}) > aim.gemv({"dram.timing.tMODCH_ns": 8}) > shipped
    assert aim.gemv({"case.depth": 4}) > shipped > aim.gemv({"dram.timing.tRP_ns": 20})


def test_what_the_page_says_of_aims_gemv_is_so(result: Found) -> None:
    gemv = figure(result, "aim.gemv")
    assert gemv.simulated < 7.5 <= aim.gemv({"dram.timing.tMODCH_ns": 10})
    chip = aim._chip({})
    assert measures.product_GBps(chip, 4096, 4096) / 1024 == pytest.approx(0.41, abs=0.005)


def test_weights_are_as_large_as_their_format() -> None:
    config = measures.multiplying("pim-gpt")
    small = config.model_copy(update={"workload": config.workload.model_copy(update={"weight_format": "int4"})})
    assert [measures.weight_bytes(given, 3, 8) for given in (config, small)] == [48, 12]


def test_a_product_is_carried_out_in_the_format_of_the_configuration() -> None:
    """Half the bits at twice the lanes: half the columns of weights."""
    pairs = {"pim.formats": {"bf16xbf16": 16, "int8xint8": 32}}
    small = {"workload.weight_format": "int8", "workload.activation_format": "int8"}
    whole, half = (measures.multiplying("pim-gpt", {**pairs, **keys}) for keys in ({}, small))
    assert 0.45 < measures.product_ns(half, 4096, 4096) / measures.product_ns(whole, 4096, 4096) < 0.55


def test_a_placement_reaches_no_more_than_the_roofline(result: Found) -> None:
    share = figure(result, "pimnast.share")
    assert 0 < share.low < share.simulated < 1
    assert pimnast.share({"dram.refresh": "none"}) > share.simulated > pimnast.share({"case.rows": False})


def test_a_run_of_multiplications_ends_at_any_other_command() -> None:
    device = device_of(aim._chip({}, 1))
    names = [command.name for command in device.standard.commands]
    mac, read = names.index("MAC16"), names.index("RDMAC16")
    watcher = measures.Multiplications(device)
    clk = np.array([0, 4, 8, 10, 12, 14, 20])
    command = np.array([mac, mac, read, mac, mac, mac, mac])
    row = np.array([1, 1, 0, 1, 1, 1, 2])
    watcher.append(clk, np.zeros(7, int), command, np.full(7, -1), row, clk)
    watcher.append(clk + 1, np.ones(7, int), command, np.full(7, -1), row, clk)  # another channel
    assert watcher.columns_per_clock == 3 * 16 / 10
    assert watcher.row_clocks(5) == 20


# -- what people look at


def test_pages_name_every_mark(result: Found) -> None:
    text, told = markdown(result), "\n".join(sentences(result))
    for each in result.figures:
        assert f"| {each.mark.name} |" in text and each.because in text and each.mark.name in told


def test_the_folder_has_tables_json_and_a_picture(result: Found, tmp_path: Path) -> None:
    save(result, tmp_path / "out")
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert set(first) == {"reproduction.json", "reproduction.md", "marks.png"}
    assert json.loads(first["reproduction.json"]) == json.loads(json.dumps(result.record()))
    save(result, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == first


def test_the_command_prints_json_alone_and_a_table_of_80_columns(
    result: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found, "reproduce", lambda *_: result)
    printed = CliRunner().invoke(cli, ["reproduce", "devices", "--json"])
    assert printed.exit_code == 0 and json.loads(printed.stdout) == json.loads(json.dumps(result.record()))
    shown = CliRunner().invoke(cli, ["reproduce", "devices"], env={"COLUMNS": "80"}).stdout
    assert all(each.mark.name in shown for each in result.figures)
    assert max(map(len, shown.splitlines())) <= 80
