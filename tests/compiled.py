"""Compile the kernel in every form that is kept on disk, before tests run side by side: python tests/compiled.py."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the clone's own, whatever is installed

import numpy as np  # noqa: E402

import pimsim  # noqa: E402
from pimsim.devices.registry import device_of  # noqa: E402
from pimsim.dram.engine import Engine  # noqa: E402
from pimsim.dram.program import program  # noqa: E402
from pimsim.traffic.run import simulate_traffic  # noqa: E402

TINY = {
    "workload.model_config": {"name": "tiny", "layers": 1, "d_model": 64, "heads": 4},
    "workload.output_tokens": 1,
    "baselines": [],
}


def main() -> None:
    """Run each compiled function with each kind of arguments."""
    config = pimsim.load_config(ROOT / "configs" / "pim-gpt.yaml", TINY)
    with tempfile.TemporaryDirectory() as folder:
        pimsim.run(config, log=str(Path(folder, "log.csv")))
        simulate_traffic(device_of(config), requests=8, log=str(Path(folder, "traffic.csv")))
    pimsim.run(config)
    simulate_traffic(device_of(config), requests=8)
    for logs in (False, True):
        engine = Engine(device_of(config))
        if logs:
            engine.log_to(lambda rows: None)
        engine.run(program([]), np.zeros((engine.device.channels, 2), np.int64), 0, 0, engine.new_totals())


if __name__ == "__main__":
    main()
