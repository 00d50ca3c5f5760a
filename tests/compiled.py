"""Compile the kernel in every form that is kept on disk: python tests/compiled.py [FOLDER].

So that tests that run side by side find it; with a FOLDER, as a wheel brings it.
"""

from __future__ import annotations

import sys
import tempfile
from io import BytesIO
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
from pimsim.values.fast.compiled.products import multiply  # noqa: E402
from pimsim.values.fast.compiled.softmax import softmax  # noqa: E402
from pimsim.values.machine.compiled.commands import carry_out  # noqa: E402

TINY = {
    "workload.model_config": {"name": "tiny", "layers": 1, "d_model": 64, "heads": 4},
    "workload.output_tokens": 1,
    "baselines": [],
}


def main(folder: str | None = None) -> None:
    """Run each compiled function with each kind of arguments; then ship what they are compiled to."""
    run_all()
    if missing := [entry.__name__ for entry in ENTRIES if not entry.forms]:
        sys.exit(f"never called, so not compiled: {', '.join(missing)}")
    for entry in ENTRIES if folder else ():
        for kinds in entry.forms:
            store.ship(entry.function, kinds, Path(folder))


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
    values()


def values() -> None:
    """What computes values, on arrays in which nothing is: a wheel is also built where their libraries are not."""
    one, two, three = (np.zeros((0,) * dimensions, np.int64) for dimensions in (1, 2, 3))
    number1, number2, number3, number4 = (np.zeros((0,) * dimensions, np.float32) for dimensions in (1, 2, 3, 4))
    word1, word2, word4 = (np.zeros((0,) * dimensions, np.uint16) for dimensions in (1, 2, 4))
    report = np.zeros(1, np.int64)
    carry_out(
        two, two, one, word4, word2, two, two, number3, number3, number3, number1, two, three, two, report, number2
    )
    multiply(word4, number3, one, one, number2, one, number4, 0, 0, (number2,) * 4)
    softmax(number3, one, word1, word1, 1, number3, 0, 0, number1)


if __name__ == "__main__":
    main(*sys.argv[1:])
