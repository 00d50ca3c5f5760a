"""`pimsim trace`: export, validate, show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pimsim.cli.options import configurations, traces
from pimsim.cli.problems import Commands, Exit, ReportingGroup, option_problem, print_warnings
from pimsim.cli.say import emit, say

if TYPE_CHECKING:
    from pimsim.errors import Problem
    from pimsim.workload.trace.rules import MemorySize

# Ready-made schedules, each a function of `cli.decoding`.
DECODING = (
    "speculative", "recycling", "medusa", "hydra", "eagle", "kangaroo", "swift", "layer-skip", "early-exit", "beams",
    "superposed", "duo-attention", "drop-prefix", "block-transformer", "next-scale", "mechanisms",
)  # fmt: skip


@click.group(
    cls=ReportingGroup,
    commands=Commands(
        {
            "import": "pimsim.cli.interchange:import_trace",
            "chakra": "pimsim.cli.interchange:to_chakra",
            **{name: f"pimsim.cli.decoding:{name.replace('-', '_')}" for name in DECODING},
        }
    ),
)
def trace() -> None:
    """Make, check and look at traces of models' operators."""


@trace.command()
@click.argument("files", nargs=-1, shell_complete=traces)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of one line of a trace, and check nothing.")
@click.option(
    "--config", metavar="CONFIG", help="Also check that the weights fit into CONFIG's memory.",
    shell_complete=configurations,
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on standard output.")
def validate(files: tuple[str, ...], schema: bool, config: str | None, as_json: bool) -> int:
    """Check trace FILES without running them.

    FILES may be names of shipped traces; see `pimsim list`.
    """
    import json

    from pimsim.workload.trace.schema import json_schema

    if schema:
        emit(json.dumps(json_schema(), indent=2))
        return Exit.DONE
    if not files:
        raise click.UsageError("a trace is needed", click.get_current_context())
    memory = _memory(config) if config else None
    found = {file: _findings(file, memory) for file in files}
    if as_json:
        emit(json.dumps({file: _as_dict(*problems) for file, problems in found.items()}, indent=2))
    for file, (problems, warnings) in found.items():
        for problem in problems:
            say(str(problem), err=True)
        print_warnings(warnings)
        if not problems and not as_json:
            say(f"{file}: valid")
    return Exit.WRONG_INPUT if any(problems for problems, _ in found.values()) else Exit.DONE


def _findings(file: str, memory: MemorySize | None) -> tuple[Sequence[Problem], Sequence[Problem]]:
    """What is wrong with a file, and what is not known."""
    from collections import deque

    from pimsim.config.shipped import TRACES, find
    from pimsim.errors import InputError
    from pimsim.kinds import TRACE, misplaced
    from pimsim.workload.trace.reader import Findings, checked_records

    findings = Findings(file)
    try:
        deque(checked_records(find(file, shelf=TRACES), findings, memory), maxlen=0)
        problems, warnings = findings.problems, findings.warnings
    except InputError as error:
        problems, warnings = error.problems, ()
    other = misplaced(TRACE, file) if problems else None
    return ((other,), ()) if other else (problems, warnings)


def _memory(config: str) -> MemorySize:
    """The room for weights that a configuration has."""
    from pimsim import api
    from pimsim.config.schema import Config
    from pimsim.workload.trace.rules import MemorySize

    loaded = api.load(config).config
    dram = loaded.dram
    size = dram.channels * dram.bank_groups * dram.banks_per_group * dram.rows * dram.row_bytes
    return MemorySize(config, size, isinstance(loaded, Config) and loaded.workload.lm_head)


def _as_dict(problems: Sequence[Problem], warnings: Sequence[Problem]) -> dict[str, Any]:
    return {"valid": not problems, "problems": [vars(p) for p in problems], "warnings": [vars(w) for w in warnings]}


@trace.command()
@click.argument("file", shell_complete=traces)
@click.option(
    "--bind", "bindings", metavar="T=1024,B=1,Q=1", default="", help="Values of the symbols; T is 1024, others are 1."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on standard output.")
def show(file: str, bindings: str, as_json: bool) -> None:
    """Print what is in a trace FILE.

    It has the operators, weights, FLOPs and bytes of one step, by role, and says what runs when.

    FILE may be the name of a shipped trace; see `pimsim list`.
    """
    import json
    from dataclasses import replace

    from pimsim.config.shipped import TRACES, find
    from pimsim.workload.trace import table

    with options_named():
        found = replace(table.overview(find(file, shelf=TRACES), _binding(bindings)), file=file)
    print_warnings(found.warnings)
    if as_json:
        emit(json.dumps(table.as_dict(found), indent=2))
        return
    for line in table.lines_of(found):
        say(line)


def _binding(text: str) -> dict[str, int]:
    """`T=1024,B=1` as numbers; InputError if it is something else."""
    from pimsim.errors import InputError

    values: dict[str, int] = {}
    for part in text.split(",") if text else ():
        name, _, number = part.strip().partition("=")
        if not (number.isascii() and number.isdecimal() and len(number) <= 12 and int(number)):
            raise InputError(f"{part!r} is not SYMBOL=NUMBER with a number of at least 1", "--bind")
        if name in values:
            raise InputError(f"{name} is there twice", "--bind")
        values[name] = int(number)
    return values


@trace.command()
@click.option("--model", metavar="NAME", help="A built-in model; see `pimsim list`. Needs no torch.")
@click.option(
    "--hf-config",
    metavar="PATH|NAME",
    help="A Hugging Face config.json, its folder, or a name of the exporter's table; most families need pimsim[trace].",
)
@click.option("--all", "every", is_flag=True, help="Write every trace that comes with pimsim into the folder --out.")
@click.option("--out", required=True, metavar="FILE", help="The file, gzip if it ends in .gz; the folder for --all.")
@click.option("--prompt", type=click.IntRange(0), default=0, help="Tokens that are prefilled first.")
@click.option(
    "--steps", "--tokens", "steps", type=click.IntRange(1), default=1024, show_default=True, help="Decode steps."
)
@click.option("--query", type=click.IntRange(1), default=1, help="Query tokens of a decode step.")
@click.option("--batch", type=click.IntRange(1), default=1, help="Sequences.")
@click.option(
    "--mla",
    type=click.Choice(["expanded", "absorbed"]),
    default="expanded",
    show_default=True,
    help="Of a model with latent attention: keep K and V of each head, or the latent vector.",
)
@click.option(
    "--vision-tokens",
    "vision",
    type=click.IntRange(0),
    help="Of a multimodal model: vision tokens before the prompt. [default: of one picture, if there is a prompt]",
)
def export(
    model: str | None, hf_config: str | None, every: bool, out: str, prompt: int, steps: int, query: int, batch: int,
    mla: str, vision: int | None,
) -> None:  # fmt: skip
    """Write the trace of a model."""
    from pimsim.cli.process import as_usual

    as_usual()  # torch has threads
    from pimsim.workload.trace import generate
    from pimsim.workload.trace.writer import write_trace

    if (model is not None) + (hf_config is not None) + every != 1:
        raise click.UsageError("one of --model, --hf-config and --all is needed", click.get_current_context())
    with options_named():
        if every:
            for name in generate.SHIPPED:
                _written(write_trace(generate.generated(name), Path(out) / f"{name}.jsonl"))
            return
        if hf_config is not None:
            from pimsim.workload.export import export_trace

            made = export_trace(hf_config, prompt, steps, query, batch, mla, vision)
        else:
            made = generate.generated(model or "", prompt, steps, batch, query)
        _written(write_trace(made, Path(out)))
        print_warnings(made.warnings)


@contextmanager
def options_named() -> Iterator[None]:
    """Problems whose key is an option have its name in the place of a file."""
    from pimsim.errors import InputError

    try:
        yield
    except InputError as error:
        named = [
            option_problem(p.key, p.message) if p.key.startswith("--") and not p.file else p for p in error.problems
        ]
        raise InputError(named) from None


def _written(path: Path) -> None:
    say(f"wrote {path} ({path.stat().st_size:,} bytes)")
