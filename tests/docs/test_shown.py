"""What the pages show is what the program does: its commands, keys, files, names in Python, and what examples print."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

import pimsim
from pimsim.config.devices import CONFIGS
from tests.docs.shown import PAGES, ROOT, Example, code, commands, examples, fits, wrong

SECTIONS = ("dram", "pim", "asic", "mapping", "workload", "values", "placement", "system", "energy", "engine")

# Examples that are not carried out here, by their first command.
ELSEWHERE = {
    "pimsim map pim-gpt": "72 runs",
    "pimsim reproduce decode": "a minute; tests/reproduce",
    "pimsim run configs/pim-gpt.yaml --set workload.trace=int8.jsonl": "a file that the page does not have",
    "pimsim trace export --hf-config gemma-3-4b-it": "needs a folder with a config.json",
    "pimsim trace export --hf-config mamba-130m": "launches, and so bytes, are those of torch; tests/export",
    "pimsim trace export --hf-config rwkv-169m": "needs a folder with a config.json",
    "pimsim trace export --hf-config t5-small": "needs a folder with a config.json",
    "ls my-model": "needs a folder with a config.json",
    "pimsim trace import gemma2.et.json": "a file that the page does not have",
    "pimsim trace show mine.jsonl": "tests/trace/test_page.py",
    "pimsim trace validate mine.jsonl": "tests/trace/test_page.py",
    "pimsim sweep": "tests/sweep",
}
EXAMPLES = [example for page in PAGES for example in examples(page)]


@cache
def keys() -> frozenset[str]:
    """All keys of all configurations, sections among them, and the paths of a summary."""

    def of(kind: type, path: str = "") -> Iterator[str]:
        for field, info in kind.model_fields.items():
            key = f"{path}{info.alias or field}"
            yield key
            inner = [
                k for k in (info.annotation, *getattr(info.annotation, "__args__", ())) if hasattr(k, "model_fields")
            ]
            for section in inner:
                yield from of(section, f"{key}.")

    def paths(value: object, path: str = "") -> Iterator[str]:
        for key, inner in value.items() if isinstance(value, dict) else ():
            yield f"{path}{key}"
            yield from paths(inner, f"{path}{key}.")

    small = {"workload.model": "gpt2-small", "workload.output_tokens": 1, "baselines": []}
    alone = pimsim.run(pimsim.load_config("pim-gpt", small)).summary
    return frozenset([*(key for kind in CONFIGS.values() for key in of(kind)), *paths(alone)])


# Keys that are no shipped configuration's, or not of every run's summary.
OTHER_KEYS = (
    "pim.formats.",  # pairs of formats
    "system.parts",  # of a schedule
    "system.kept_per_verification",
    "system.acceptance",
    "system.latency_per_token_us",  # a heading of what is drawn, in the unit of the axis
    "dram.timing.tRFCsb_ns",  # of the device that docs/your-own-device.md makes
    "system.energy_breakdown_pJ.mac_raed",  # a mistake that docs/sweeps.md shows
)


def unknown(names: set[str]) -> set[str]:
    """Those that are no key of a configuration and no path of a summary."""
    return {key for key in names - keys() if not key.startswith(OTHER_KEYS) and not re.search(r"tX|\.$", key)}


def of_pages(problems: Callable[[Path], object]) -> dict[str, object]:
    """What is wrong, page by page."""
    found = {str(page.relative_to(ROOT)): problems(page) for page in PAGES}
    return {page: wrong for page, wrong in found.items() if wrong}


def test_commands_are_those_of_the_program() -> None:
    assert of_pages(lambda page: [(" ".join(line), wrong(line)) for line in commands(page) if wrong(line)]) == {}


def test_keys_that_commands_set_exist() -> None:
    def problems(page: Path) -> set[str]:
        settings = [after for line in commands(page) for before, after in pairwise(line) if before == "--set"]
        return unknown({re.split(r"[=\s]", setting)[0] for setting in settings} - {"KEY", "dram.chan<Tab>"})

    assert of_pages(problems) == {}


def test_keys_that_sentences_name_exist() -> None:
    def problems(page: Path) -> set[str]:
        named = {word for text in code(page) for word in re.findall(rf"^(?:{'|'.join(SECTIONS)})\.[\w.]+", text)}
        return unknown({key for key in named if not re.search(r"\.(py|yaml|json|md|csv)$", key)})

    found = of_pages(problems)
    assert {page: keys for page, keys in found.items() if page != "CONTRIBUTING.md"} == {}  # it names modules


def test_files_that_sentences_name_exist() -> None:
    roots = "bench|configs|docs|notebooks|pimsim|tests|traces"

    def problems(page: Path) -> list[str]:
        named = [path for text in code(page) for path in re.findall(rf"(?:^| )((?:{roots})/[\w./*-]+)", text)]
        return [path for path in named if "NAME" not in path and not any(ROOT.glob(path))]

    assert of_pages(problems) == {}


def test_names_in_python_exist() -> None:
    def problems(page: Path) -> list[str]:
        return [name for text in code(page) for name in re.findall(r"^pimsim(?:\.\w+)+", text) if not _exists(name)]

    assert of_pages(problems) == {}


def _exists(dotted: str) -> bool:
    module, _, rest = dotted.partition(".")
    found: object = importlib.import_module(module)
    for part in rest.split("."):
        module = f"{module}.{part}"
        if not hasattr(found, part):
            try:
                importlib.import_module(module)
            except ImportError:
                return False
        found = getattr(found, part)
    return True


def test_what_is_not_carried_out_here_is_still_there() -> None:
    first = [example.steps[0][0] for example in EXAMPLES]
    assert [start for start in ELSEWHERE if not any(line.startswith(start) for line in first)] == []


@pytest.mark.parametrize(
    "example",
    [example for example in EXAMPLES if not example.steps[0][0].startswith(tuple(ELSEWHERE))],
    ids=lambda example: example.name,
)
def test_examples_print_what_the_page_shows(example: Example, tmp_path: Path) -> None:
    for folder in ("configs", "traces", "tests/interchange/samples"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    script = [f'pimsim() {{ "{sys.executable}" -m pimsim "$@"; }}', "exec 2>&1"]
    for command, _ in example.steps:
        script += [command, "s=$?; printf '\\036%d\\036' $s; (exit $s)"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash"], input="\n".join(script), cwd=tmp_path, env=env, capture_output=True, text=True)
    printed = done.stdout.split("\036")[:-1]
    for (command, shown), text, status in zip(example.steps, printed[::2], printed[1::2], strict=True):
        if not shown:
            assert status == "0", f"{command}: {text}"
            continue
        lines = text.splitlines()
        if not any(": warning: " in line for line in shown):
            lines = [line for line in lines if ": warning: " not in line]
        assert fits(shown, lines), f"{command}\nshown:\n{chr(10).join(shown)}\nprinted:\n{text}"


def test_what_is_wrong_is_found() -> None:
    assert wrong(["run", "pim-gpt", "--out", "x", "--json"]) == []
    assert wrong(["runn", "pim-gpt"]) == ["runn"]
    assert wrong(["export", "aim", "aim", "--contexts", "3"]) == ["--contexts"]
    assert wrong(["run", "x", "--engine", "quick"]) == ["--engine quick"]
    assert fits(("a", "...", "c"), ["a", "b", "b", "c"]) and not fits(("a", "c"), ["a", "b"])
    assert _exists("pimsim.run") and not _exists("pimsim.runs")


def test_figures_of_models_on_the_page_of_replay_are_those_of_runs() -> None:
    text = (ROOT / "docs" / "replay.md").read_text(encoding="utf-8")
    keys = re.findall(r"--set ([\w.]+)=(\w+)", text.partition("These are decode steps")[2].partition("\n")[0])
    rows = re.findall(
        r"^\| ([a-z][\w., -]*) \| [\d.]+ \| ([\d.]+) \| ([\d.]+) \| (\d+) \| (\d+) \|$", text, re.MULTILINE
    )
    assert len(rows) == 6
    for models, *shown in rows[::5]:  # the first and the last
        setting = {key: int(value) for key, value in keys} | {"workload.model": models.split(",")[0], "baselines": []}
        system = pimsim.run(pimsim.load_config("pim-gpt", setting)).summary["system"]
        figures = (
            f"{system['latency_per_token_ns'] / 1e6:.3f}",
            f"{system['energy_per_token_pJ'] / 1e9:.2f}",
            f"{100 * system['mac_utilization']:.0f}",
            f"{system['data_movement_reduction']:.0f}",
        )
        assert figures == tuple(shown)
