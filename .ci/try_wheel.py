"""The installed wheel, away from the clone: python .ci/try_wheel.py [base], with the Python that it is installed for.

A run with plots and report, one with a command log that is checked, sweeps, traces, an example and what it says to do
next: what needs the data that a wheel has to bring.  With `base`, what needs an extra says which; else it runs: every
library that writes a file, and what a small model says.
Configurations, sweeps and traces are given by their names, as they are shipped in the wheel.  Nothing is compiled: the
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
BASE = (
    ("run", "pim-gpt", *MODEL, "--out", "out"),
    ("run", "pim-gpt", *MODEL, "--commands", "log.csv.gz", "--timeline", "t.json"),
    ("check", "log.csv.gz", "--config", "pim-gpt"),
    ("run", "aim", *MODEL),
    ("compare", "out", "aim", *MODEL, "--out", "compared.html"),
    ("devices",),
    ("models",),
    ("list",),
    ("config", "gaps", "gddr6"),
    ("config", "validate", "hbm2-pim"),
    ("map", "pim-gpt", *MODEL, "--workers", "0", "--out", "placed.yaml"),
    ("replay", "program.aim", "--config", "aim"),
    ("replay", "program.aim", "--config", "aim", "--commands", "aim.csv"),
    ("traffic", "gddr6", "--requests", "1000"),
    ("traffic", "gddr6", "--requests", "1000", "--commands", "traffic.csv"),
    ("sweep", "sweep.yaml", "--out", "swept", "--workers", "2"),
    ("sweep", "channels", "--out", "channels", "--workers", "0", "--shard", "1/28"),
    ("trace", "export", "--model", "gpt2-small", "--out", "gpt2.jsonl"),
    ("trace", "show", "qwen2.5-0.5b"),
    ("run", "pim-gpt", "--set", "workload.trace=gpt2.jsonl", "--set", "workload.output_tokens=2"),
    ("run", "pim-gpt", "--set", "workload.trace=medusa"),
    ("init", "start"),
)
# Each needs an extra: without it, it must say which.
WANTING = (
    ("run", "pim-gpt", *MODEL, "--commands", "log.parquet"),
    ("run", "pim-gpt", *MODEL, "--timeline", "t.vcd"),
    ("run", "pim-gpt", "--values", str(WEIGHTS), "--prompt", "The "),
    ("generate", "pim-gpt", *SAID),
    ("accuracy", "pim-gpt", "--weights", str(WEIGHTS), "--text", "sweep.yaml"),
    ("sweep", "search"),
    ("sweep", "sobol"),
    ("trace", "chakra", "gpt2-small", "--out", "gpt2.et"),
    ("calibrate", "cpu"),
)
EXTRAS = (
    ("run", "pim-gpt", *MODEL, "--commands", "log.parquet", "--timeline", "t.vcd", "--window", "0:2000"),
    ("check", "log.parquet", "--config", "pim-gpt"),
    ("sweep", "sweep.yaml", "--out", "columns", "--format", "parquet"),
    *(("generate", device, *SAID, "--level", level) for device in ("pim-gpt", "aim") for level in ("commands", "fast")),
)
WRITTEN = ("out/report.html", "out/latency_breakdown.png", "swept/sweep.json", "placed.yaml", "start/README.md")


def wants_an_extra(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether a command has said, as a problem of the input, what to install."""
    return done.returncode == 2 and "install" in done.stderr and "pimsim[" in done.stderr


def main(which: str = "") -> int:
    """Run everything, or what needs no extra; the exit status."""
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
        for command in BASE + (WANTING if which == "base" else EXTRAS):
            pimsim = [sys.executable, "-m", "pimsim", *command]
            done = subprocess.run(pimsim, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, check=False)
            if not (wants_an_extra(done) if command in WANTING else done.returncode == 0):
                print(f"pimsim {' '.join(command)}: exit {done.returncode}\n{done.stderr}", file=sys.stderr)
                return 1
        if Path(compiled).exists():
            print(f"compiled, though the wheel brings the code: {os.listdir(compiled)}", file=sys.stderr)
            return 1
        missing = [name for name in WRITTEN if not Path(folder, name).exists()]
        if missing:
            print(f"not written: {', '.join(missing)}", file=sys.stderr)
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
