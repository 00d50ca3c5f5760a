"""What CENT's public simulator says of itself, as tests read it."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pimsim.devices.aim.compiled import layout
from pimsim.devices.aim.isa import HOST_OPERATIONS, OPERATIONS
from pimsim.reproduce.cent.energy import Run
from pimsim.reproduce.cent.models import MODELS, Place, Shape, Split
from pimsim.reproduce.cent.programs import END, Operators, block, embedding, joined, weights_only

FOLDER = Path(__file__).parents[1] / "golden" / "cent"
SMALL, GROUPED = Shape(1024, 8, 8, 2816), Shape(2048, 16, 8, 5632)
Row = Mapping[str, str]
_NAMES = tuple(OPERATIONS)


def table(name: str) -> list[dict[str, str]]:
    with (FOLDER / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def text(program: str) -> list[str]:
    """The lines of a recorded program."""
    with gzip.open(FOLDER / "programs" / f"{program}.aim.gz", "rt") as file:
        return file.read().splitlines()


def program(name: str) -> Operators:
    """The program that a recorded one is called after."""
    whole = {
        "block_d1024_c8_L100": lambda: block(SMALL, Place(8), 100),
        "block_d1024_c32_tp2_L300": lambda: block(SMALL, Place(32, 2), 300),
        "block_d2048_gqa_c10_L200": lambda: block(GROUPED, Place(10), 200),
        "embed_d1024_c8": lambda: embedding(SMALL, Place(8)),
        "weights_d1024_tp2": lambda: weights_only(SMALL, Place(32, 2)),
    }
    if name in whole:
        return whole[name]()
    model, channels, *operator, context = name.split("_")
    found = block(MODELS[f"Llama2-{model.upper()}"], Place(int(channels[1:])), int(context[1:]))
    return alone(found, "_".join(operator))


def alone(operators: Operators, name: str) -> Operators:
    """One operator and the end."""
    return {name: operators[name], "end": END}


def program_of(row: Row) -> Operators:
    """The program of a row of blocks.csv."""
    shape, place = MODELS[row["model"]], place_of(row)
    if row["program"] == "block":
        return block(shape, place, int(row["context_tokens"]))
    return {"weights_only": weights_only, "embedding": embedding}[row["program"]](shape, place)


def place_of(row: Row) -> Place:
    return Place(int(row["channels_per_block"]), int(row["tensor_parallel"]))


def split_of(row: Row) -> Split:
    sizes = (int(row[key]) for key in ("devices", "pipeline_stages", "tensor_parallel", "channels_per_block"))
    return Split(row["model"], *sizes)


def counted(operators: Operators) -> dict[str, int]:
    """How often each instruction is there, by its name in the recorded tables."""
    found = Counter(_NAMES[number] for number in joined(operators)[:, layout.C_OPERATION].tolist())
    return {f"isr_{name.replace(' ', '_')}": count for name, count in found.items()}


def instructions_of(row: Row) -> dict[str, int]:
    """How often a row of a recorded table has each instruction, none left out."""
    return {key: int(value) for key, value in row.items() if key.startswith("isr_") and value not in ("", "0")}


def commands_of(row: Row) -> dict[str, int]:
    """How often a row of a recorded table has each command."""
    return {key.removeprefix("cmd_"): int(value) for key, value in row.items() if key.startswith("cmd_")}


def run_of(row: Row) -> Run:
    """What a row of blocks.csv says a program did."""
    names = {f"isr_{name.replace(' ', '_')}": name for name in HOST_OPERATIONS}
    instructions = {names.get(key, key.removeprefix("isr_")): n for key, n in instructions_of(row).items()}
    commands = {"MAC": 0, **commands_of(row)}
    return Run(int(row["cycles"]), commands, {"SYNC": 0, **instructions}, int(row["active_cycles"]))
