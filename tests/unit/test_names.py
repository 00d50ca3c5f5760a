"""Every name that a user can write is looked up in a table, and a letter more leads back to it, wherever it is written.

A kind of name is a row here: the table, and what is said of a name that is not in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from pimsim import api
from pimsim.baselines import devices
from pimsim.cli import cli
from pimsim.config.devices import CONFIGS
from pimsim.config.loader import load
from pimsim.config.schema import Config
from pimsim.config.shipped import CONFIGURATIONS
from pimsim.config.validate import all_keys
from pimsim.errors import InputError
from pimsim.labels import LABELS
from pimsim.plots import sweep as sweep_plots
from pimsim.results import figures
from pimsim.sweep.axes import BLOCKS
from pimsim.sweep.definition import SAMPLERS
from pimsim.sweep.keys import choices, kind_of
from pimsim.sweep.reader import load_sweep
from pimsim.workload.models import MODELS
from pimsim.workload.ops import OPS, ROLES
from pimsim.workload.trace.reader import load_trace
from tests.conftest import SHIPPED
from tests.result_samples import small_result

TRACE = Path(__file__).parents[2] / "traces" / "gpt2-small.jsonl"
KEYS = sorted(all_keys(Config))
CHOICES = {key: choices(key) for key in KEYS if choices(key) and key not in ("workload.model", "baselines")}


def problems(run: Callable[[], Any]) -> str:
    with pytest.raises((InputError, ValueError)) as caught:
        run()
    return str(caught.value)


def override(text: str) -> str:
    return problems(lambda: api.load(SHIPPED, [text]))


def sweep(**sections: Any) -> str:
    return problems(lambda: load_sweep({"base": str(SHIPPED), "axes": {"dram.channels": [4, 8]}, **sections}))


def traced(old: str, new: str, folder: Path) -> str:
    text = TRACE.read_text()
    assert old in text
    (folder / "t.jsonl").write_text(text.replace(old, new, 1))
    return problems(lambda: load_trace(folder / "t.jsonl"))


def command_line(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2
    return done.stderr


def aim_program(text: str, folder: Path) -> str:
    (folder / "p.aim").write_text(text + "\n")
    return command_line("replay", str(folder / "p.aim"), "--config", str(SHIPPED.parent / "aim.yaml"))


SEARCH = {"trials": 2, "seed": 1, "axes": {"dram.channels": [4, 8]}}
ROWS = [{"status": "ok", "system.latency_ns": 1.0, "system.energy_pJ": 2.0}]
KINDS: dict[str, tuple[Collection[str], Callable[[str, Path], str]]] = {
    "key of a configuration": (KEYS, lambda name, _: override(f"{name}=1")),
    "model": (list(MODELS), lambda name, _: override(f"workload.model={name}")),
    "configuration": (list(CONFIGURATIONS), lambda name, _: problems(lambda: api.load(name))),
    "standard": (list(CONFIGS), lambda name, _: override(f"dram.standard={name}")),
    "baseline": (devices.available(), lambda name, _: override(f"baselines=[{name}]")),
    "key of an axis": (KEYS, lambda name, _: sweep(axes={name: [1]})),
    "key in set": (KEYS, lambda name, _: sweep(set={name: 1})),
    "key in a constraint": (
        [key for key in KEYS if kind_of(key)], lambda name, _: sweep(constraints=[f"{name} == 1"])
    ),
    "objective": (list(figures.known(["gpu-t4"])), lambda name, _: sweep(objectives=[name])),
    "objective to maximise": (list(figures.known(["gpu-t4"])), lambda name, _: sweep(objectives=[{"maximise": name}])),
    "direction": (["maximise", "minimise"], lambda name, _: sweep(objectives=[{name: "system.latency_ns"}])),
    "section of a sweep": (["constraints", "objectives", "search"], lambda name, _: sweep(**{name: []})),
    "kind of design": (BLOCKS, lambda name, _: sweep(axes={name: {}})),
    "key of a search": (["trials", "seed", "batch", "sampler"], lambda name, _: sweep(search={**SEARCH, name: 1})),
    "sampler": (SAMPLERS, lambda name, _: sweep(search={**SEARCH, "sampler": name})),
    "role of an operator": (
        [role for role in ROLES if f'"role":"{role}"' in TRACE.read_text()],
        lambda name, folder: traced(f'"role":"{name[:-1]}"', f'"role":"{name}"', folder),
    ),
    "kind of operator": (
        [op for op in OPS if f'"op":"{op}"' in TRACE.read_text()],
        lambda name, folder: traced(f'"op":"{name[:-1]}"', f'"op":"{name}"', folder),
    ),
    "column of a plot": (
        ["system.latency_ns", "system.energy_pJ"],
        lambda name, _: problems(lambda: sweep_plots.pareto(ROWS, name, "system.energy_pJ")),
    ),
    "column of a front": (
        ["system.latency_ns", "system.energy_pJ"],
        lambda name, _: problems(lambda: api_pareto(ROWS, [name])),
    ),
    "table": (["operators", "tokens", "summary"], lambda name, _: problems(lambda: small_result().to_frame(name))),
    "command": (list(cli.commands), lambda name, _: command_line(name)),
    "engine": (["fast", "stepped"], lambda name, _: command_line("run", str(SHIPPED), "--engine", name)),
    "format": (["parquet", "csv"], lambda name, _: command_line("sweep", "x", "--format", name)),
    "instruction": (
        ["WR_GB", "MAC_ABK", "RD_MAC"], lambda name, folder: aim_program(f"AiM {name} 1 0 1 0", folder)
    ),
}  # fmt: skip


def api_pareto(rows: Any, goals: Any) -> Any:
    from pimsim.sweep import pareto

    return pareto(rows, goals)


@pytest.mark.parametrize("kind", KINDS)
def test_a_letter_too_many_leads_back_to_the_name(kind: str, tmp_path: Path) -> None:
    table, said = KINDS[kind]
    assert table
    for name in table:
        message = said(f"{name}x", tmp_path)
        hints = re.findall(r"did you mean '([^']+)'\?", message)
        assert any(hint == name or name.endswith(f".{hint}") for hint in hints), (name, message)


@pytest.mark.parametrize("key", CHOICES)
def test_a_word_that_a_key_never_holds_is_refused_in_configurations_and_constraints(key: str) -> None:
    for word in CHOICES[key]:
        for message in (override(f"{key}={word}x"), sweep(constraints=[f"{key} == '{word}x'"])):
            near = re.findall(r"did you mean '([^']+)'\?", message)
            assert near in ([word], [other for other in CHOICES[key] if other in near]) or word in message, message


def test_a_label_that_is_none_leads_back_to_one(tmp_path: Path) -> None:
    for label in LABELS:
        path = tmp_path / "labelled.yaml"
        path.write_text(f"extends: {SHIPPED}\nname: x  # source: {label}x: why\n")
        assert f"; did you mean '{label}'?" in problems(lambda path=path: load(path))  # type: ignore[misc]


def test_options_of_every_command_lead_back_to_theirs() -> None:
    def walk(command: click.Command, words: list[str]) -> None:
        if isinstance(command, click.Group):
            for name, inner in command.commands.items():
                walk(inner, [*words, name])
            return
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                option = max(parameter.opts, key=len)
                message = command_line(*words, f"{option}x", "1")
                assert f"did you mean '{option}'?" in message, message

    walk(cli, [])
