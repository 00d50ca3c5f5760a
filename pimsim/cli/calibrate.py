"""`pimsim calibrate`."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pimsim.cli.say import say
from pimsim.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from pimsim.baselines.calibrate import Fit, Measurement, PowerDraw
    from pimsim.baselines.devices import BaselineDevice
    from pimsim.workload.models import ModelShape

_TYPES = ["fp32", "fp16", "bf16"]
_WIDE = 1.3  # times the time per token: tokens that took longer were disturbed


@click.command()
@click.argument("kind", type=click.Choice(["cpu", "gpu"]))
@click.option("--models", default="gpt2-small,gpt2-medium", help="GPT sizes to decode, separated by commas.")
@click.option("--tokens", type=click.IntRange(1, 4096), default=32, help="Tokens timed in a run.")
@click.option("--prompt", type=click.IntRange(1, 4096), default=32, help="Tokens of the prompt before them.")
@click.option(
    "--repeats", type=click.IntRange(1, 100), default=5, help="Number of runs; the least disturbed one counts."
)
@click.option("--threads", type=click.IntRange(1, 1024), help="Threads of torch; default: torch's own choice.")
@click.option(
    "--data-type",
    type=click.Choice(["fp32", "fp16", "bf16"]),
    default="fp32",
    help="Number format of weights and activations.",
)
@click.option(
    "--idle-power",
    type=click.FloatRange(0, 1e5, min_open=True),
    metavar="W",
    help="Idle power, if it cannot be measured.",
)
@click.option(
    "--full-power",
    type=click.FloatRange(0, 1e5, min_open=True),
    metavar="W",
    help="Full power, if it cannot be measured.",
)
@click.option("--like", metavar="NAME", help="Take what is not measured (rates, link, power) from this machine.")
@click.option("--name", help="Name of the baseline (default: cpu-measured or gpu-measured).")
@click.option("--out", metavar="FILE", help="The baseline file; default: NAME.yaml.")
def calibrate(
    kind: str,
    models: str,
    tokens: int,
    prompt: int,
    repeats: int,
    threads: int | None,
    data_type: str,
    idle_power: float | None,
    full_power: float | None,
    like: str | None,
    name: str | None,
    out: str | None,
) -> None:
    """Measure this machine and write it as a baseline file.

    It decodes GPT sizes in eager PyTorch, and measures copies, products and power. Needs torch and transformers (extra
    `trace`). Name the file under `baselines:` to compare with it.
    """
    from datetime import UTC, datetime

    from pimsim.cli.process import as_usual

    as_usual()  # torch may use OpenBLAS, and is measured with all its threads
    from pimsim.baselines.calibrate import fit, measure, render
    from pimsim.baselines.devices import parse_device
    from pimsim.baselines.measure import TorchMachine
    from pimsim.files import write_bytes

    shapes = _shapes(models, prompt + tokens)
    power = _given_power(idle_power, full_power)
    other = _machine(like)
    if kind == "cpu" and data_type != "fp32":
        raise InputError("a CPU is measured in fp32", key="--data-type").located(_option)
    name = name or f"{kind}-measured"
    out = out or f"{name}.yaml"
    if not out.endswith((".yaml", ".yml")):
        raise InputError("must end in .yaml, as `baselines:` needs it", key="--out").located(_option)
    if not Path(out).resolve().parent.is_dir():
        raise InputError("no folder to write it in", key="--out").located(_option)
    run = {"date": datetime.now(UTC).date().isoformat(), "command": " ".join(["pimsim", *sys.argv[1:]])}
    machine = TorchMachine(kind, data_type, threads)
    measured = measure(machine, shapes, prompt, tokens, repeats, power, run)
    fitted = fit(measured, name)
    text = render(measured, name, fitted, other)
    parse_device(text, out)
    write_bytes(out, text.encode())
    say(_table(measured, fitted))
    say(f"wrote {out}; use it as `baselines: [{out}]`")


def _option(key: str) -> tuple[str, int, int]:
    return key, 1, 1


def _shapes(models: str, positions: int) -> list[ModelShape]:
    """The shapes that `models` names; InputError with every name that is not one or has too few positions."""
    from pimsim.workload.models import MODELS

    gpt = {name: shape for name, shape in MODELS.items() if name.startswith("gpt")}
    names = [part.strip() for part in models.split(",") if part.strip()]
    problems = [f"unknown model {n!r}{did_you_mean(n, gpt)}; known: {', '.join(gpt)}" for n in names if n not in gpt]
    problems += [
        f"{n} has {gpt[n].max_positions} positions, and --prompt and --tokens make {positions}"
        for n in names
        if n in gpt and gpt[n].max_positions < positions
    ]
    if not names:
        problems.append("names no model")
    if len(set(names)) < len(names):
        problems.append("names a model twice")
    if problems:
        found = [problem for text in problems for problem in InputError(text, key="--models").problems]
        raise InputError(found).located(_option)
    return [gpt[n] for n in names]


def _machine(like: str | None) -> BaselineDevice | None:
    """One card of the machine that `--like` names."""
    from pimsim.baselines.devices import load

    if like is None:
        return None
    try:
        return load(like)
    except InputError as error:
        raise InputError(error.problems[0].message, key="--like").located(_option) from None


def _given_power(idle: float | None, full: float | None) -> PowerDraw | None:
    from pimsim.baselines.calibrate import PowerDraw

    if idle is None and full is None:
        return None
    if idle is None or full is None:
        raise InputError("--idle-power and --full-power go together", key="--idle-power").located(_option)
    if idle > full:
        raise InputError(f"{idle:g} W is above --full-power {full:g} W", key="--idle-power").located(_option)
    return PowerDraw(idle, full)


def _table(measured: Measurement, fitted: Fit) -> str:
    lines = [measured.description, f"{'model':<14}{'ms/token':>10}{'10 to 90 %':>18}{'ATen ops':>10}{'us/op':>8}"]
    for decode in measured.decodes:
        low, high = decode.spread
        lines.append(
            f"{decode.shape.name:<14}{decode.ms:>10.2f}{f'{low:.2f} to {high:.2f}':>18}"
            f"{decode.aten_ops:>10,}{decode.us_per_op:>8.1f}"
        )
    peaks = ", ".join(f"{value:.3g} TFLOP/s {name}" for name, value in measured.peaks.items())
    notes = [
        f"copy {measured.copy_GBps:.1f} GB/s; product {peaks}; {_power(measured)}",
        f"model: {fitted.op_time_us:g} us per ATen operator, {fitted.efficiency:.0%} of the copy's bandwidth; "
        f"at most {fitted.error:.0%} from a measurement",
    ]
    if any(decode.spread[1] > _WIDE * decode.ms for decode in measured.decodes):
        notes.append("the spread is wide: other work ran on this machine; measure again when it is quiet")
    return "\n".join(lines + [textwrap.fill(note, 80, subsequent_indent="  ") for note in notes])


def _power(measured: Measurement) -> str:
    if measured.given_power is not None:
        return f"power as stated: {measured.given_power.idle:g} to {measured.given_power.cap:g} W"
    if measured.power is not None:
        return f"power {measured.power.idle:.1f} W idle, limit {measured.power.cap:.1f} W (NVML)"
    return "power not measured (no NVML): the file assumes it"
