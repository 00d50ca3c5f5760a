"""What a schedule that ran leaves in summary and tables: parts, against a plain reading of them, and what is null."""

from __future__ import annotations

import csv
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import pimsim
from pimsim.results import figures, scheduled
from pimsim.results.headline import headline
from pimsim.results.layout import Plain
from pimsim.results.lines import lines_of
from pimsim.results.parts import FIGURES, parts_of, rejected_cycles
from pimsim.results.result import Result
from pimsim.results.summary import to_json
from pimsim.results.terminal import print_summary
from pimsim.workload.schedule import DRAFTING, VERIFICATION
from tests import schedule_kinds
from tests.result_samples import small_result
from tests.schedule_kinds import KINDS, NOTHING_KEPT

DECODED = [kind for kind in KINDS if kind not in NOTHING_KEPT]
SPECULATIVE = ("chain", "one kept", "tree", "layers", "sinks", "two models")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """A run of each kind."""
    folder = tmp_path_factory.mktemp("schedules")
    return {kind: schedule_kinds.run(folder, kind) for kind in KINDS}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def result(results: dict[str, Result], kind: str) -> Result:
    return results[kind]


# ---- parts: the second reading goes step by step, in fractions


def by_hand(result: Result) -> dict[str, dict[str, Any]]:
    """Clocks and tokens of each part, step by step; energy in proportion."""
    assert result.schedule
    found = {name: dict.fromkeys(("cycles", "tokens_run", "tokens_kept"), 0) for name in scheduled.PARTS}
    for step, token in zip(result.schedule, result.tally.tokens, strict=True):
        stage = result.schedule.stages[step.stage]
        name = "prefill" if stage.phase == "prefill" else stage.part or "decoding"
        vain = 0
        if name == VERIFICATION:
            vain = token.cycles * (stage.tokens - step.kept) // stage.tokens
            found["rejected"]["cycles"] += vain
            found["rejected"]["tokens_run"] += (stage.tokens - step.kept) * stage.batch
        found[name]["cycles"] += token.cycles - vain
        found[name]["tokens_kept"] += step.kept * stage.batch
        found[name]["tokens_run"] += (step.kept if name == VERIFICATION else stage.tokens) * stage.batch
    return found


def test_parts_are_those_of_the_steps(result: Result) -> None:
    parts = result.summary["system"]["parts"]
    assert {
        name: {key: part[key] for key in ("cycles", "tokens_run", "tokens_kept")} for name, part in parts.items()
    } == (by_hand(result))


def test_parts_of_decoding_sum_to_the_phase(result: Result) -> None:
    assert result.schedule
    parts = parts_of(result.schedule, result.tally, result.energy)
    decoding = [parts[name] for name in scheduled.OF_DECODING]
    assert sum(part.cycles for part in decoding) == result.tally.decode_cycles
    assert parts["prefill"].cycles == result.tally.prefill_cycles
    exact = {phase: sum(result.energy.exact(phase).values(), Fraction(0)) for phase in ("decode", "prefill")}
    assert sum((part.energy_pJ for part in decoding), Fraction(0)) == exact["decode"]
    assert parts["prefill"].energy_pJ == exact["prefill"]
    work = result.summary["workload"]
    assert sum(part.tokens_run for part in decoding) == work["tokens_run"]
    assert sum(part.tokens_kept for part in decoding) == work["tokens_kept"]


def test_rejected_energy_is_the_share_of_rejected_clocks(results: dict[str, Result]) -> None:
    """What is verified in vain costs as much a clock as what is verified for good."""
    result = results["chain"]
    assert result.schedule
    parts = parts_of(result.schedule, result.tally, result.energy)
    rows = zip(result.tally.rows, result.energy.rows, strict=True)
    whole = sum(sum(price.parts.values()) for row, price in rows if row.part == VERIFICATION)
    clocks = parts["verification"].cycles + parts["rejected"].cycles
    assert parts["rejected"].energy_pJ == whole * Fraction(parts["rejected"].cycles, clocks) > 0


def test_steps_of_a_part_take_what_its_operators_take(result: Result) -> None:
    """Clocks by step and clocks by operator are counted apart."""
    parts = result.summary["system"]["parts"]
    rows = {name: sum(row.cycles for row in result.tally.rows if row.part == name) for name in (DRAFTING, VERIFICATION)}
    assert rows[DRAFTING] == parts["drafting"]["cycles"]
    assert rows[VERIFICATION] == parts["verification"]["cycles"] + parts["rejected"]["cycles"]


def test_what_does_not_occur_is_nought(results: dict[str, Result]) -> None:
    parts = results["fork"].summary["system"]["parts"]
    assert [parts[name] for name in ("drafting", "verification", "rejected")] == [dict.fromkeys(FIGURES, 0)] * 3
    assert results["tree"].summary["system"]["parts"]["drafting"]["cycles"] == 0
    assert results["one kept"].summary["system"]["parts"]["drafting"]["cycles"] > 0


@pytest.mark.parametrize(
    ("kind", "acceptance", "kept"),
    [
        ("chain", 6 / 9, 2.0),
        ("one kept", 1 / 3, 1.0),
        ("tree", 3 / 4, 3.0),
        ("layers", 4 / 6, 4 / 3),
        ("sinks", 1 / 2, 1.0),
    ],
)
def test_acceptance_is_what_verification_keeps(
    results: dict[str, Result], kind: str, acceptance: float, kept: float
) -> None:
    """chain: floor(2.32), floor(4.64) - 2, floor(6.96) - 4 of 3 tokens each; layers: floor(1.5 n) of 2."""
    system = results[kind].summary["system"]
    assert (system["acceptance"], system["kept_per_verification"]) == (acceptance, kept)


def test_without_verification_there_is_no_acceptance(results: dict[str, Result]) -> None:
    for kind in ("fork", "encoder", "drafts"):
        system = results[kind].summary["system"]
        assert system["acceptance"] is system["kept_per_verification"] is None


# ---- stages


def test_stages_have_all_steps(result: Result) -> None:
    section = result.summary["schedule"]
    assert section["steps"] == len(result.tally.tokens) == sum(stage["steps"] for stage in section["stages"])
    assert sum(stage["cycles"] for stage in section["stages"]) == result.tally.cycles
    assert sum(stage["latency_ns"] for stage in section["stages"]) == pytest.approx(
        result.summary["system"]["latency_ns"]
    )
    for stage in section["stages"]:
        assert stage["tokens_run"] == stage["steps"] * stage["tokens"] * stage["batch"]


def test_lines_that_look_alike_are_one_stage(results: dict[str, Result]) -> None:
    """Two drafts in each of three cycles are six steps of one stage."""
    stages = [
        {key: stage[key] for key in ("template", "model", "phase", "part", "tokens", "blocks", "steps", "tokens_kept")}
        for stage in results["chain"].summary["schedule"]["stages"]
    ]
    draft = {"template": "guess", "model": "draft", "part": "drafting", "tokens": 1, "blocks": 1, "steps": 6}
    verify = {"template": "verify", "model": "tiny", "part": "verification", "tokens": 3, "blocks": 2, "steps": 3}
    assert stages == [
        draft | {"phase": "decode", "tokens_kept": 0},
        verify | {"phase": "decode", "tokens_kept": 6},
    ]


def test_skipped_blocks_are_counted(results: dict[str, Result]) -> None:
    stages = results["layers"].summary["schedule"]["stages"]
    assert [(stage["part"], stage["blocks"]) for stage in stages] == [("drafting", 1), ("verification", 2)]


# ---- tables


def test_tokens_say_of_each_step_what_it_is(result: Result) -> None:
    assert result.schedule
    steps = [
        (stage.name, stage.part, stage.tokens, step.kept, stage.batch)
        for step in result.schedule
        for stage in [result.schedule.stages[step.stage]]
        if stage.phase == "decode"
    ]
    records = result.records("tokens")
    columns = ("template", "part", "tokens", "kept", "batch")
    assert [tuple(record[name] for name in columns) for record in records] == steps
    assert (
        sum(record["rejected_cycles"] for record in records) == result.summary["system"]["parts"]["rejected"]["cycles"]
    )


def test_operators_have_a_row_for_each_part(results: dict[str, Result]) -> None:
    records = results["chain"].records("operators")
    assert list(records[0])[:3] == ["phase", "part", "operator"]
    kinds = [(record["phase"], record["part"], record["operator"]) for record in records]
    assert len(set(kinds)) == len(kinds)
    assert {part for _, part, operator in kinds if operator == "qkv"} == {DRAFTING, VERIFICATION}
    assert sum(record["cycles"] for record in records) == results["chain"].tally.cycles


def test_saved_tables_have_the_columns(results: dict[str, Result], tmp_path: Path) -> None:
    results["chain"].save(tmp_path)
    with open(tmp_path / "tokens.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["template"], row["part"], row["tokens"], row["kept"], row["batch"]) for row in rows[:3]] == [
        *[("guess", "drafting", "1", "0", "1")] * 2,
        ("verify", "verification", "3", "2", "1"),
    ]
    with open(tmp_path / "operators.csv", encoding="utf-8") as file:
        assert {row["part"] for row in csv.DictReader(file)} == {"drafting", "verification"}


def test_a_template_is_no_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    lines = [schedule_kinds.header(), *schedule_kinds.template("=1+1")]
    path = schedule_kinds.write_lines(
        tmp_path / "odd.jsonl", [*lines, schedule_kinds.line("decode", 2, "=1+1", "step+9", accept=0, cycle="c")]
    )
    pimsim.run(schedule_kinds.config_of(path)).save(tmp_path / "out")
    text = (tmp_path / "out" / "tokens.csv").read_text()
    assert "'=1+1" in text
    assert ",=1+1" not in text


# ---- figures that are null


@pytest.mark.parametrize("kind", NOTHING_KEPT)
def test_where_nothing_is_kept_figures_per_token_are_null_and_a_warning_says_so(
    results: dict[str, Result], kind: str
) -> None:
    summary = results[kind].summary
    per_token = ("tpot_ns", "tokens_per_s", "energy_per_token_pJ", "ttft_ns")
    assert [summary["system"][name] for name in per_token] == [None] * len(per_token)
    assert summary["warnings"] == ["no token is kept, so there is no figure per token"]
    assert results[kind].warnings[0].key == "workload.trace"
    assert json.loads(to_json(summary))["system"]["tpot_ns"] is None


@pytest.mark.parametrize("kind", DECODED)
def test_where_a_token_is_kept_nothing_is_null(results: dict[str, Result], kind: str) -> None:
    summary = results[kind].summary
    null = {name for name, value in summary["system"].items() if value is None}
    assert null <= {"acceptance", "kept_per_verification", "activation_usual_pJ"}
    assert not [text for text in summary["warnings"] if "no token is kept" in text]


def test_every_number_can_be_an_objective(result: Result) -> None:
    """Numbers of a summary are those of the table, and a part that does not occur is nought."""
    known = set(figures.known())
    system = result.summary["system"]
    assert {f"system.{name}" for name in ("acceptance", "kept_per_verification")} <= known
    for part, of_it in system["parts"].items():
        assert {f"system.parts.{part}.{figure}" for figure in of_it} <= known


def test_only_speculative_parts_are_nought_in_plain_decoding() -> None:
    """A plain run has decoded, but its summary does not say so in parts: that is no nought."""
    assert figures.is_part("system.parts.rejected.latency_ns")
    assert not figures.is_part("system.parts.decoding.latency_ns")
    assert figures.unknown("system.parts.decoding.latency_ns") is None
    assert figures.unknown("system.parts.drafting") == f"is no single number; its parts are {', '.join(FIGURES)}"


def test_plain_decoding_has_none_of_it() -> None:
    result = small_result()
    assert "schedule" not in result.summary
    assert not {"parts", "acceptance", "kept_per_verification"} & set(result.summary["system"])
    assert "part" not in result.records("operators")[0]
    assert list(result.records("tokens")[0]) == ["step", "context", "start_cycle", "cycles", "start_ns", "latency_ns"]


# ---- what people read


def screen(result: Result, width: int = 80, encoding: str = "utf-8") -> list[str]:
    lines: list[str] = []
    print_summary(result, Plain(lines.append, width, encoding))
    return lines


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_it_fits_a_screen(result: Result, encoding: str) -> None:
    lines = screen(result, encoding=encoding)
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert encoding == "utf-8" or "".join(lines).isascii()
    assert "None" not in "".join(lines)


def test_a_narrow_screen_is_not_exceeded(result: Result) -> None:
    assert max(map(len, screen(result, 40))) <= 40


def test_the_terminal_says_what_was_kept_and_what_it_went_for(results: dict[str, Result]) -> None:
    text = "\n".join(screen(results["chain"]))
    parts = results["chain"].summary["system"]["parts"]
    whole = sum(parts[name]["cycles"] for name in scheduled.OF_DECODING)
    shares = [
        f"{name} {100 * parts[name]['cycles'] / whole:.1f} %" for name in ("drafting", "verification", "rejected")
    ]
    assert f"Decode time: {', '.join(shares)}" in text
    assert "kept  2.00 of 3 tokens a verification step (66.7 %)" in text
    assert text.startswith("pim-gpt: tiny with draft, 6 of 15 tokens kept from a context of 100")


@pytest.mark.parametrize(
    ("kind", "latency"),
    [
        ("chain", "µs/token"),
        ("fork", "µs per step of 4 sequences"),
        ("two models", "µs/token of each of 4 sequences"),
        ("drafts", "µs per step"),
        ("encoder", None),
    ],
)
def test_the_time_is_said_to_be_of_what_it_is(results: dict[str, Result], kind: str, latency: str | None) -> None:
    """Of a step where it is a token of every sequence; of a token elsewhere; without either there is the prefill."""
    found = {what: unit for what, _, unit in headline(results[kind].summary)}
    assert found.get("latency") == latency
    assert ("prefill" in found) == (kind in ("encoder", "fork", "two models"))
    assert found["energy"].endswith("/token") == (kind not in NOTHING_KEPT)


def test_numbers_of_the_headline_are_those_of_the_summary(results: dict[str, Result]) -> None:
    system = results["two models"].summary["system"]
    figures_of = {what: number for what, number, _ in headline(results["two models"].summary)}
    assert figures_of["latency"] == f"{system['tpot_ns'] / 1000:#.3g}"
    system = results["fork"].summary["system"]
    figures_of = {what: number for what, number, _ in headline(results["fork"].summary)}
    assert figures_of["latency"] == f"{system['latency_per_step_ns'] / 1000:#.3g}"


def test_a_prompt_is_that_of_one_sequence_and_model(results: dict[str, Result]) -> None:
    assert scheduled.prompt(results["two models"].summary) == 20
    assert scheduled.said(results["encoder"].summary) == "no token decoded"
    assert scheduled.said(results["fork"].summary) == "4 tokens decoded"


def test_a_notebook_shows_it(result: Result) -> None:
    html = result._repr_html_()
    assert "tiny" in html
    assert "None" not in html


# ---- lines over the context


def test_a_line_is_a_template_in_a_part(results: dict[str, Result]) -> None:
    names = {kind: [name for name, _ in lines_of(result.schedule)] for kind, result in results.items()}
    assert names["chain"] == ["guess (drafting)", "verify (verification)"]
    assert names["layers"] == ["decode (drafting)", "decode (verification)"]
    assert names["fork"] == ["decode"]
    assert names["encoder"] == []
    assert lines_of(None) == []


def test_lines_have_every_step_once_by_context(result: Result) -> None:
    columns = {name: [record[name] for record in result.records("tokens")] for name in ("context", "template")}
    places = [at for _, line in lines_of(result.schedule) for at in line.tolist()]
    assert sorted(places) == list(range(len(columns["context"])))
    for name, line in lines_of(result.schedule):
        contexts = [columns["context"][at] for at in line]
        assert contexts == sorted(contexts)
        assert {columns["template"][at] for at in line} == {name.split()[0]}


@pytest.mark.parametrize(
    ("layers", "names"),
    [([1, 2, 1, 2], ["decode, 1 block", "decode, 2 blocks"]), ([1, 1, 2, 2], ["decode"])],
    ids=["they alternate", "one after another"],
)
def test_steps_that_go_back_and_forth_are_lines_of_their_own(
    tmp_path: Path, layers: list[int], names: list[str]
) -> None:
    lines = [
        schedule_kinds.line("decode", 1, "decode", str(100 + number), accept=1, layers=count)
        for number, count in enumerate(layers)
    ]
    path = schedule_kinds.write_lines(
        tmp_path / "t.jsonl", [schedule_kinds.header(), *schedule_kinds.template("decode"), *lines]
    )
    result = pimsim.run(schedule_kinds.config_of(path))
    assert [name for name, _ in lines_of(result.schedule)] == names


def test_rejected_clocks_are_whole_and_never_more_than_the_step_s(result: Result) -> None:
    assert result.schedule
    cycles = result.tally.tokens.column("cycles")
    rejected = rejected_cycles(result.schedule, cycles)
    assert rejected.dtype == cycles.dtype
    assert ((rejected >= 0) & (rejected <= cycles)).all()
