"""The installed wheel, away from the clone: python .ci/try_wheel.py, with the Python that it is installed for.

A run with plots and report, one with a command log that is checked, a sweep into Parquet, the trace of
a model, and what a small one says: what needs the data that a wheel has to bring, and every library that writes a file.
Configurations are given by their names, as they are shipped in the wheel.  Nothing is compiled: the
wheel brings that, too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

MODEL = ("--set", "workload.model=gpt2-small", "--set", "workload.output_tokens=2")
SWEEP = """base: pim-gpt
set: {workload.model: gpt2-small, workload.output_tokens: 1, baselines: []}
axes: {dram.channels: [4, 8]}
"""
PROGRAM = Path(__file__).parents[1] / "tests/golden/aim/programs/bias_mac_af_rdaf.aim"
WEIGHTS = Path(__file__).parents[1] / "tests/golden/models/char-llama"
SAID = ("--weights", str(WEIGHTS), "--prompt", "The ", "--tokens", "2")
# Each must end with 0.
COMMANDS = (
    ("run", "pim-gpt", *MODEL, "--out", "out"),
    ("run", "pim-gpt", *MODEL, "--commands", "log.parquet", "--timeline", "t.vcd", "--window", "0:2000"),
    ("check", "log.parquet", "--config", "pim-gpt"),
    ("run", "aim", *MODEL),
    ("devices",),
    ("replay", "program.aim", "--config", "aim"),
    ("replay", "program.aim", "--config", "aim", "--commands", "aim.csv"),
    ("traffic", "gddr6", "--requests", "1000"),
    ("traffic", "gddr6", "--requests", "1000", "--commands", "traffic.csv"),
    ("sweep", "sweep.yaml", "--out", "swept", "--workers", "2"),
    ("trace", "export", "--model", "gpt2-small", "--out", "gpt2.jsonl"),
    ("run", "pim-gpt", "--set", "workload.trace=gpt2.jsonl", "--set", "workload.output_tokens=2"),
    ("models",),
    *(("generate", device, *SAID, "--level", level) for device in ("pim-gpt", "aim") for level in ("commands", "fast")),
)


def main() -> int:
    """Run everything; the exit status."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory(dir=sys.prefix) as folder:
        compiled = environment["NUMBA_CACHE_DIR"] = str(Path(folder, "compiled"))
        Path(folder, "sweep.yaml").write_text(SWEEP, encoding="utf-8")
        shutil.copy(PROGRAM, Path(folder, "program.aim"))
        where = [sys.executable, "-c", "import pimsim; print(pimsim.__file__)"]
        found = subprocess.run(where, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout
        if not Path(found).is_relative_to(sysconfig.get_path("purelib")):
            print(f"pimsim is not the installed one: {found}", file=sys.stderr)
            return 1
        for command in COMMANDS:
            done = subprocess.run([sys.executable, "-m", "pimsim", *command], cwd=folder, env=environment, check=False)
            if done.returncode:
                print(f"pimsim {' '.join(command)}: exit {done.returncode}", file=sys.stderr)
                return 1
        if Path(compiled).exists():
            print(f"compiled, though the wheel brings the code: {os.listdir(compiled)}", file=sys.stderr)
            return 1
        missing = [name for name in ("out/report.html", "swept/results.parquet") if not Path(folder, name).exists()]
        if missing:
            print(f"not written: {', '.join(missing)}", file=sys.stderr)
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())
