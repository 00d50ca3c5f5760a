"""The code that a process loads, what numba compiles by itself, and plain Python: the same results."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pimsim.dram import compiler

pytestmark = pytest.mark.skipif(not compiler.COMPILES, reason="the kernel is interpreted")

ROOT = Path(__file__).parents[2]
RUNS = (
    {},
    {"schedule": "overlap", "workload.prompt_tokens": 2},
    {"dram.refresh": "per_bank", "workload.batch": 2, "asic.sram_KiB": 4},
    {"dram.refresh": "none", "workload.query_tokens": 2, "engine.mode": "stepped"},
)
PROGRAM = f"""
import hashlib, json, pathlib, sys, tempfile
import pimsim
from pimsim.devices.aim.instructions import Instructions
from pimsim.devices.aim.replay import replay
from pimsim.devices.registry import device_of
from pimsim.traffic.run import simulate_traffic
from tests.values.runs import case

TINY = {{"workload.model_config": {{"name": "tiny", "layers": 2, "d_model": 64, "heads": 2}}, "baselines": []}}

def tell(*parts):
    print(hashlib.sha256(repr(parts).encode()).hexdigest())

with tempfile.TemporaryDirectory() as folder:
    log = pathlib.Path(folder, "log.csv")
    for run in {RUNS!r}:
        given = TINY | {{"workload.output_tokens": 4}} | run
        for where in (None, log):
            summary = dict(pimsim.run(pimsim.load_config("configs/pim-gpt.yaml", given), log=where).summary)
            del summary["simulation"]
            tell(summary, where and where.read_bytes())
    for name in ("gddr6", "hbm3"):
        device = device_of(pimsim.load_config(f"configs/{{name}}.yaml"))
        for where in (None, log):
            found = simulate_traffic(device, requests=60, pattern="random", log=where and str(where))
            tell(found.clocks, where and where.read_bytes())
    device = device_of(pimsim.load_config("configs/aim.yaml"))
    with open("tests/golden/aim/programs/bias_mac_af_rdaf.aim", "rb") as file:
        instructions = Instructions.read(file, device)
    for where in (None, log):
        tell(replay(instructions, device, where), where and where.read_bytes())
    for name, family in (("pim-gpt", "llama"), ("aim", "gpt2")):
        model = case(family, name, [3, 17], dram__channels=2, pim__global_buffer_bytes=64)
        for level in (model.carried, model.fast):
            tell(level.__name__, [logits.tobytes() for logits in level()])
"""
JITTED = """
import numba
from numba.core import codegen, registry
from pimsim.dram.code import emit, entry

class Jitted(codegen.JITCodeLibrary):
    def __init__(self, _, name):
        super().__init__(registry.cpu_target.target_context.codegen(), name)  # for the very processor

    def finalize(self):
        self._linking_libraries = list(emit._reached(self))
        super().finalize()

def form(self, kinds):
    if kinds not in self.forms:
        make = numba.njit("int64(int64)", pipeline_class=emit._pipeline(Jitted), _nrt=False, error_model="numpy")
        self.forms[kinds] = make(emit.called_by(self.function, kinds))
    return self.forms[kinds]

entry.Entry.form = form
"""


ANY_PROCESSOR = "from pimsim.dram.code import target; target.NEEDED = {'none has it'}\n"


def told(program: str, **environment: str) -> list[str]:
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_code_from_disk_what_numba_compiles_and_plain_python_agree() -> None:
    told(PROGRAM)  # whatever is not on disk yet
    loaded = told(PROGRAM + "assert 'numba' not in sys.modules and 'llvmlite' not in sys.modules")
    assert len(set(loaded)) == len(loaded) == 2 * len(RUNS) + 10
    assert told(ANY_PROCESSOR + PROGRAM) == loaded
    assert told(JITTED + PROGRAM + "assert 'numba' in sys.modules") == loaded
    assert told(PROGRAM, NUMBA_DISABLE_JIT="1") == loaded


LEVELS = """
from pimsim.dram.code.entry import ENTRIES
from tests.compiled import run_values
from tests.values.runs import case

def forms():
    return {entry.__name__: set(entry.forms) for entry in ENTRIES if "values" in entry.__module__}

run_values()
shipped = forms()
assert len(shipped) == 3 and all(shipped.values()), shipped
for family, device in (("gpt2", "aim"), ("mixtral", "pim-gpt")):
    case(family, device, [3, 17]).carried()
    case(family, device, [3, 17]).fast()
assert forms() == shipped, forms()
"""


def test_a_wheel_has_the_code_of_the_values_in_the_forms_that_a_model_takes() -> None:
    told(LEVELS)
