"""Compile the kernel in every form that is kept on disk: python tests/compiled.py [FOLDER].

So that tests that run side by side find it; with a FOLDER, as a wheel brings it.
"""

from __future__ import annotations

import sys
import tempfile
from io import BytesIO
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the clone's own, whatever is installed

import numpy as np  # noqa: E402

import pimsim  # noqa: E402
from pimsim.api import prepare  # noqa: E402
from pimsim.devices.aim.instructions import Instructions  # noqa: E402
from pimsim.devices.aim.replay import replay  # noqa: E402
from pimsim.devices.registry import device_of  # noqa: E402
from pimsim.dram.code import store  # noqa: E402
from pimsim.dram.code.entry import ENTRIES  # noqa: E402
from pimsim.dram.engine import Engine  # noqa: E402
from pimsim.dram.program import program  # noqa: E402
from pimsim.energy.power import spending  # noqa: E402
from pimsim.sim.run import simulate_noting  # noqa: E402
from pimsim.traffic.run import simulate_traffic  # noqa: E402
from pimsim.values.fast.compiled.products import HOW_WIDTH, LEVELS, SIDE, multiply  # noqa: E402
from pimsim.values.fast.compiled.softmax import PIECE, softmax  # noqa: E402
from pimsim.values.machine.compiled.commands import carry_out  # noqa: E402

TINY = {
    "workload.model_config": {"name": "tiny", "layers": 1, "d_model": 64, "heads": 4},
    "workload.output_tokens": 1,
    "baselines": [],
}


def main(folder: str | None = None) -> None:
    """Run each compiled function with each kind of arguments; then ship what they are compiled to."""
    run_all()
    run_values()
    if missing := [entry.__name__ for entry in ENTRIES if not entry.forms]:
        sys.exit(f"never called, so not compiled: {', '.join(missing)}")
    for entry in ENTRIES if folder else ():
        for kinds, target in product(entry.forms, entry.targets):
            store.ship(entry.function, kinds, target, entry.code(kinds, target), Path(folder))


def run_all() -> None:
    config = pimsim.load_config(ROOT / "configs" / "pim-gpt.yaml", TINY)
    aim = device_of(pimsim.load_config(ROOT / "configs" / "aim.yaml"))
    instructions = Instructions.read(BytesIO(b"AiM EOC\n"), aim)
    with tempfile.TemporaryDirectory() as folder:
        pimsim.run(config, log=str(Path(folder, "log.csv")))
        simulate_traffic(device_of(config), requests=8, log=str(Path(folder, "traffic.csv")))
        replay(instructions, aim, str(Path(folder, "replay.csv")))
    pimsim.run(config)
    prepared = prepare(config)
    simulate_noting(prepared.plan)[1].busiest(spending(prepared.prices))
    simulate_traffic(device_of(config), requests=8)
    replay(instructions, aim)
    for logs in (False, True):
        engine = Engine(device_of(config))
        if logs:
            engine.log_to(lambda rows: None)
        engine.run(program([]), np.zeros((engine.device.channels, 2), np.int64), 0, 0, engine.new_totals())


def run_values() -> None:
    """Without the libraries of `values`, which whoever builds a wheel need not have."""
    one, starts, how = np.ones(1, np.int64), np.array([0, 1]), np.ones(HOW_WIDTH, np.int64)
    w, tables = np.zeros((1, 1, 1, 1, SIDE), np.uint16), np.zeros((2, 1 << 16), np.uint16)
    x, sums = np.zeros((1, 1, 1, 1), np.float32), np.zeros((1, 1, 1, 1, SIDE), np.float32)
    room = tuple(np.zeros((n, SIDE), np.float32) for n in (1, 1, 1, LEVELS))
    multiply(w, x, one, starts, np.zeros((1, SIDE), np.float32), how, sums, 1, 0, 1, room)
    softmax(sums[0], one, tables[0], tables[1], 1, x, 0, 1, np.zeros(PIECE + 1, np.float32))
    none, two, three = (np.zeros((0,) * dimensions, np.int64) for dimensions in (1, 2, 3))
    number1, number2, number3, number4 = (np.zeros((0,) * dimensions, np.float32) for dimensions in (1, 2, 3, 4))
    words2, words4, report = np.zeros((0, 0), np.uint16), np.zeros((0,) * 4, np.uint16), np.zeros(1, np.int64)
    carry_out(
        two, two, none, words4, words2, two, two, number3, number4, number3, number1, none, two, three, two, report,
        number2,
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
