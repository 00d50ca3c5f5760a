"""How fast pimsim is beside other tools, raced in one run: python bench/races.py [OPTIONS].

Both sides of a race run alternately, five times each, and their medians are compared: as
whole processes, from start to exit, and in a process that is warm, where a tool can be called
so.  Where both are exact their clocks stand there too.  No other tool is part of this project;
each is public on GitHub, and is given by the folder of its repository, built as it says there:

    --aim-simulator  arkhadem/aim_simulator                AiM programs
    --ramulator      CMU-SAFARI/ramulator2, version 2.1    a stream of reads on GDDR6
    --genz           abhibambhaniya/GenZ-LLM-Analyzer      formulas for one decode step
    --llmcompass     PrincetonUniversity/LLMCompass
    --llm-viewer     hahnyuan/LLM-Viewer
    --python         an interpreter that has what those in Python import

Without a folder pimsim runs alone.  Times are wall times, so the machine should be quiet; `--cpu`
compares CPU times instead.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from aim import programs, write
from page import machine, run, show

import pimsim
from pimsim.devices.registry import device_of

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
CONTEXT, TOKENS = 1024, 1000
LLAMA_7B = {
    "name": "llama-2-7b", "family": "llama", "layers": 32, "d_model": 4096, "heads": 32, "d_ff": 11008,
    "vocabulary": 32000, "max_positions": 4096, "tied": False,
}  # fmt: skip
LLAMA_7B_ROOM = 1 << 16  # rows of a bank: four times the shipped ones


# ---- what runs ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """One side of a race.

    whole   words of the process (none: only warm)
    script  Python for a warm process: it defines lap(), which does the work once and returns a figure
    python  the interpreter of the script
    clocks  finds the clocks in what the whole process prints
    per     how many times a lap does the work: a lap is divided by it
    """

    whole: Sequence[str | Path]
    script: str = ""
    python: str = sys.executable
    clocks: str = ""
    folder: Path = ROOT
    per: int = 1


@dataclass(frozen=True)
class Took:
    """What one process took: wall and CPU seconds, and its peak memory."""

    wall: float
    cpu: float
    mebibytes: float
    clocks: int | None


class Launcher:
    """A small process that starts others: the peak memory of a process begins with that of the one that forks it."""

    _CODE = """
import json, os, sys, time
for line in sys.stdin:
    words, folder, said = json.loads(line)
    start = time.perf_counter()
    child = os.fork()
    if not child:
        os.chdir(folder)
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1), os.dup2(out, 2)
        os.execvp(words[0], words)
    _, status, used = os.wait4(child, 0)
    took = time.perf_counter() - start
    print(json.dumps([took, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, status]), flush=True)
"""

    def __init__(self) -> None:
        words = [sys.executable, "-S", "-E", "-c", self._CODE]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def whole(self, side: Side) -> Took:
        """Run a process from start to exit; RuntimeError if it fails."""
        assert self._process.stdin
        assert self._process.stdout
        with TemporaryDirectory() as folder:
            said = Path(folder) / "said"
            words = list(map(str, side.whole))
            print(json.dumps([words, str(side.folder), str(said)]), file=self._process.stdin, flush=True)
            wall, cpu, mebibytes, status = json.loads(self._process.stdout.readline())
            printed = said.read_text()
        if status:
            raise RuntimeError(f"{' '.join(words)} failed:\n{printed[-2000:]}")
        found = re.search(side.clocks, printed) if side.clocks else None
        return Took(wall, cpu, mebibytes, int(found[1]) if found else None)

    def end(self) -> None:
        """No more processes."""
        self._process.communicate()


class Warm:
    """A process that runs a script's lap whenever it is told to; the first ones are not timed."""

    _LOOP = """
import sys as _sys, time as _time
lap(), lap()
print("ready", file=_out, flush=True)
for _ in _sys.stdin:
    _wall, _cpu = _time.perf_counter(), _time.process_time()
    lap()
    print(_time.perf_counter() - _wall, _time.process_time() - _cpu, file=_out, flush=True)
"""
    _QUIET = "import os, sys\n_out, sys.stdout = sys.stdout, open(os.devnull, 'w')\n"  # tools print what they like

    def __init__(self, side: Side) -> None:
        words = [side.python, "-c", self._QUIET + side.script + self._LOOP]
        self._process = subprocess.Popen(
            words, cwd=side.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._line()

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def lap(self) -> tuple[float, float]:
        """Wall and CPU milliseconds of one lap."""
        assert self._process.stdin
        print(file=self._process.stdin, flush=True)
        wall, cpu = map(float, self._line().split())
        return wall * 1000, cpu * 1000

    def _line(self) -> str:
        assert self._process.stdout
        if line := self._process.stdout.readline():
            return line
        assert self._process.stderr
        raise RuntimeError(f"a script failed:\n{self._process.stderr.read()[-2000:]}")


@dataclass(frozen=True)
class Medians:
    """Of one side: seconds and MiB of the whole process, ms of a lap in a warm one, clocks."""

    whole: float | None
    mebibytes: float | None
    lap: float | None
    clocks: int | None


def race(sides: Sequence[Side], runs: int, cpu: bool) -> list[Medians]:
    """Run the sides in turn, as whole processes and then warm."""
    racing = [side for side in sides if side.whole]
    took: dict[int, list[Took]] = {id(side): [] for side in sides}
    launcher = Launcher()
    for side in racing if runs > 1 else ():
        launcher.whole(side)  # caches of files and of compiled code
    for _ in range(runs):
        for side in racing:
            took[id(side)].append(launcher.whole(side))
    launcher.end()
    laps: list[list[float]] = [[] for _ in sides]
    with ExitStack() as stack:
        warm = [stack.enter_context(Warm(side)) if side.script else None for side in sides]
        for _ in range(runs):
            for side, each, lap in zip(sides, warm, laps, strict=True):
                if each:
                    lap.append(each.lap()[cpu] / side.per)
    return [_medians(took[id(side)], lap, cpu) for side, lap in zip(sides, laps, strict=True)]


def _medians(took: Sequence[Took], laps: Sequence[float], cpu: bool) -> Medians:
    return Medians(
        statistics.median(t.cpu if cpu else t.wall for t in took) if took else None,
        max(t.mebibytes for t in took) if took else None,
        statistics.median(laps) if laps else None,
        took[0].clocks if took else None,
    )


# ---- AiM programs ---------------------------------------------------------------------------


_REPLAY = """
import pimsim
from pimsim.devices.aim.instructions import Instructions
from pimsim.devices.aim.replay import replay
from pimsim.devices.registry import device_of
device = device_of(pimsim.load_config({config!r}))
def lap():
    with open({path!r}, "rb") as file:
        return replay(Instructions.read(file, device), device).cycles
"""


def _replayed(path: Path) -> Side:
    config = str(CONFIGS / "aim-reference.yaml")
    words = [sys.executable, "-m", "pimsim", "replay", path, "--config", config, "--json"]
    return Side(words, _REPLAY.format(config=config, path=str(path)), clocks=r'"cycles": (\d+)')


def _aim_simulator(folder: Path, path: Path) -> Side:
    words = [folder / "build" / "ramulator2", "-f", folder / "test" / "example.yaml", "-t", path]
    return Side(words, clocks=r"memory_system_cycles: (\d+)")


# ---- a stream of reads ------------------------------------------------------------------------

_RAMULATOR = """
import sys
sys.path.insert(0, {folder!r} + "/python")
import ramulator
def lap():
    def controller():
        return ramulator.controller.GenericDDR(
            dram=ramulator.dram.GDDR6(org_preset="GDDR6_8Gb_x16", timing_preset="GDDR6_14000_1350mV_double"),
            scheduler=ramulator.scheduler.FRFCFS(),
            refresh_manager=ramulator.refresh_manager.AllBank(),
            row_policy=ramulator.row_policy.Open(),
            addr_mapper=ramulator.addr_mapper.PassThroughAddrMapper(),
        )
    frontend = ramulator.frontend.LatencyThroughputTrace(
        clock_ratio=2, nop_counter=1, streaming_only=True, num_streaming_requests={requests}, warmup_cycles=0,
        stream_cls=64, addr_vec_size=5, total_bank_units=32, row_pos=3, col_pos=4, num_rows=16384, num_cols=1024,
        internal_prefetch_size=16, num_cls=64, bank_positions=[2, 1, 0], bank_counts=[4, 4, 2],
    )
    memory = ramulator.memory_system.GenericDRAM(
        clock_ratio=1, controllers=[controller(), controller()],
        channel_mapper=ramulator.channel_mapper.PassThroughChannelMapper(),
    )
    simulation = ramulator.Simulation(frontend, memory)
    simulation.run()
    each = simulation.stats["memory_system"]["controller"]
    return max(part["cycles"] for part in each)
"""
_ONCE = "\nprint('cycles:', lap())\n"


def _ramulator(folder: Path, python: str, requests: int) -> Side:
    script = _RAMULATOR.format(folder=str(folder), requests=requests)
    return Side([python, "-c", script + _ONCE], clocks=r"cycles: (\d+)", folder=folder)


_COMMAND = """
from contextlib import suppress
from pimsim.cli import cli
def lap():
    with suppress(SystemExit):
        cli.main({words!r})
"""


def _streamed(requests: int) -> Side:
    words = ["traffic", str(CONFIGS / "gddr6.yaml"), "--requests", str(requests), "--json"]
    script = _COMMAND.format(words=words)
    return Side([sys.executable, "-m", "pimsim", *words], script, clocks=r'"cycles": (\d+)')


# ---- one decode step ----------------------------------------------------------------------------

_STEP = """
import pimsim
from pimsim.devices.plan import compile_plan
from pimsim.dram.engine import Engine
from pimsim.sim.system import System
config = pimsim.load_config({config!r}, {settings!r})
system = System(plan := compile_plan(config), Engine(plan.device))
contexts = iter(range({context}, 10**9))
def lap():
    return system.decode(next(contexts))
"""
_TOKENS = """
import pimsim
from pimsim.devices.plan import compile_plan
from pimsim.sim.run import simulate
plan = compile_plan(pimsim.load_config({config!r}, {settings!r}))
def lap():
    return simulate(plan).cycles
"""
_RUN = """
import pimsim
config = pimsim.load_config({config!r}, {settings!r})
def lap():
    return pimsim.run(config).summary["system"]["latency_ns"]
"""
_GENZ = """
import sys
sys.path.insert(0, {folder!r})
from GenZ import decode_moddeling
def lap():
    return decode_moddeling(
        model="llama2_7b", batch_size=1, Bb=1, input_tokens={context}, system_name="A100_80GB_GPU", bits="bf16"
    )["Latency"]
"""
_LLMCOMPASS = """
import sys
sys.path.insert(0, {folder!r})
from design_space_exploration.dse import read_architecture_template, template_to_system
from software_model.transformer import TransformerBlockAutoRegressionTP
from software_model.utils import Tensor, data_type_dict
device = template_to_system(read_architecture_template({folder!r} + "/configs/GA100.json"))
def lap():
    block = TransformerBlockAutoRegressionTP(4096, 32, 1, data_type_dict["fp16"])
    block(Tensor([1, 1, 4096], data_type_dict["fp16"]), {context})
    return block.compile_and_simulate(device, "heuristic-GPU")
"""
_LLM_VIEWER = """
import sys
sys.path.insert(0, {folder!r})
from model_analyzer import ModelAnalyzer
analyzer = ModelAnalyzer({model!r}, "nvidia_A100", config_file="configs/Llama.py")
def lap():
    return analyzer.analyze(seqlen={context}, batchsize=1)["total_results"]["decode"]["inference_time"]
"""
_HUGGING_FACE = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32,
    "num_key_value_heads": 32, "num_hidden_layers": 32, "vocab_size": 32000,
}  # fmt: skip


def _settings(tokens: int) -> dict[str, object]:
    shape = {f"workload.model_config.{key}": value for key, value in LLAMA_7B.items()}
    room = {"dram.rows": LLAMA_7B_ROOM, "workload.context": CONTEXT - 1, "workload.output_tokens": tokens}
    return {"workload.model": None, **shape, **room, "baselines": []}


def _decoders(asked: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Side]]:
    """Those who say how long a decode step of Llama-2-7B at the context takes; pimsim first."""
    config = str(CONFIGS / "pim-gpt.yaml")
    given = [f"{key}={json.dumps(value)}" for key, value in _settings(1).items()]
    words = [sys.executable, "-m", "pimsim", "run", config, *(word for one in given for word in ("--set", one))]
    step = _STEP.format(config=config, settings=_settings(TOKENS), context=CONTEXT)
    yield "pimsim, `System.decode`", Side(words, step)
    many = _TOKENS.format(config=config, settings=_settings(TOKENS))
    yield f"pimsim, each of {TOKENS:,} tokens", Side((), many, per=TOKENS)
    yield "pimsim, `pimsim.run`", Side((), _RUN.format(config=config, settings=_settings(1)))
    for name, where, script in (
        ("GenZ", asked.genz, _GENZ),
        ("LLMCompass (one block)", asked.llmcompass, _LLMCOMPASS),
        ("LLM-Viewer", asked.llm_viewer, _LLM_VIEWER),
    ):
        if where:
            said = script.format(folder=str(where), context=CONTEXT, model=str(folder))
            yield name, Side([asked.python, "-c", said + _ONCE], said, asked.python, folder=where)


# ---- pimsim by itself ---------------------------------------------------------------------------


def _own(folder: Path) -> Iterator[tuple[str, Side, str]]:
    """What pimsim does without anybody beside it, and what it is to take."""
    config = str(CONFIGS / "pim-gpt.yaml")
    pimsim_run = [sys.executable, "-m", "pimsim", "run", config]
    small = ["--set", "workload.model=gpt2-small", "--set", "workload.output_tokens=4"]
    yield "Python, and nothing else", Side([sys.executable, "-c", "pass"]), ""
    yield "Python and numpy", Side([sys.executable, "-c", "import numpy"]), ""
    yield "`pimsim --help`", Side([sys.executable, "-m", "pimsim", "--help"]), "0.06 s"
    yield "gpt2-small, 4 tokens", Side([*pimsim_run, *small]), "0.2 s"
    inside = _TOKENS.format(config=config, settings={})
    yield "GPT3-XL, 1,024 tokens", Side(pimsim_run, inside), "0.5 s, 80 MiB; warm 150 ms"
    yield "the same with report and plots", Side([*pimsim_run, "--out", folder / "results"]), "0.8 s"


# ---- printing -----------------------------------------------------------------------------------


def _ratio(theirs: float | None, ours: float | None) -> str:
    return f"{theirs / ours:,.3g}" if theirs is not None and ours else ""


def _figure(value: float | None, digits: str = ".3g") -> str:
    return "" if value is None else f"{value:,{digits}}" if value < 1000 else f"{value:,.0f}"


_HEAD = (
    "", "pimsim, s", "other, s", "other / pimsim", "pimsim warm, ms", "other / warm", "pimsim, MiB", "other, MiB",
    "clocks", "other",
)  # fmt: skip


def _row(name: str, found: Sequence[Medians]) -> list[str]:
    """A race of pimsim with one other, or of pimsim alone."""
    ours, theirs = found[0], found[1] if len(found) > 1 else None
    inside = None if ours.lap is None else ours.lap / 1000
    same = "" if theirs is None else "equal" if theirs.clocks == ours.clocks else _figure(theirs.clocks)
    return [
        name,
        _figure(ours.whole),
        _figure(theirs and theirs.whole),
        _ratio(theirs and theirs.whole, ours.whole),
        _figure(ours.lap),
        _ratio(theirs and theirs.whole, inside),
        _figure(ours.mebibytes, ".0f"),
        _figure(theirs and theirs.mebibytes, ".0f"),
        _figure(ours.clocks),
        same,
    ]


def _programs(asked: argparse.Namespace, folder: Path) -> None:
    rows = []
    for name, lines in programs(device_of(pimsim.load_config(CONFIGS / "aim-reference.yaml"))):
        write(path := folder / "program.aim", lines)
        sides = [_replayed(path), *([_aim_simulator(asked.aim_simulator, path)] if asked.aim_simulator else [])]
        rows.append(_row(name, race(sides, asked.runs, asked.cpu)))
    show("AiM programs, against the AiM simulator", _HEAD, rows, asked.markdown)


def _stream(asked: argparse.Namespace, _: Path) -> None:
    rows = []
    for mebibytes in asked.stream:
        requests = mebibytes * (1 << 20) // 32
        other = [_ramulator(asked.ramulator, asked.python, requests)] if asked.ramulator else []
        runs = asked.runs if mebibytes < 1024 else 1
        rows.append(_row(f"{mebibytes:,} MiB", race([_streamed(requests), *other], runs, asked.cpu)))
    show("Reads one after the other on GDDR6, two channels, against Ramulator 2.1", _HEAD, rows, asked.markdown)


def _decode(asked: argparse.Namespace, folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(_HUGGING_FACE))
    names, sides = zip(*_decoders(asked, folder), strict=True)
    found = race(sides, asked.runs, asked.cpu)
    ours = found[0]
    rows = [
        [name, _figure(f.lap), _ratio(f.lap, ours.lap), _figure(f.whole), _ratio(f.whole, ours.whole),
         _figure(f.mebibytes, ".0f")]
        for name, f in zip(names, found, strict=True)
    ]  # fmt: skip
    head = ("", "warm, ms", "times pimsim", "whole process, s", "times pimsim", "MiB")
    show(f"One decode step of Llama-2-7B at a context of {CONTEXT:,}", head, rows, asked.markdown)


def _alone(asked: argparse.Namespace, folder: Path) -> None:
    names, sides, goals = zip(*_own(folder), strict=True)
    found = race(sides, asked.runs, asked.cpu)
    rows = [
        [name, _figure(f.whole), _figure(f.mebibytes, ".0f"), _figure(f.lap), goal]
        for name, f, goal in zip(names, found, goals, strict=True)
    ]
    head = ("", "whole process, s", "MiB", "simulation, warm, ms", "goal")
    show("pimsim by itself", head, rows, asked.markdown)


RACES = {"own": _alone, "programs": _programs, "stream": _stream, "decode": _decode}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for tool in ("aim-simulator", "ramulator", "genz", "llmcompass", "llm-viewer"):
        parser.add_argument(f"--{tool}", type=lambda text: Path(text).resolve(), metavar="FOLDER")
    parser.add_argument("--python", default=sys.executable, metavar="FILE")
    parser.add_argument("--runs", type=int, default=5, help="of each side (5); one of each side from 1 GiB on")
    parser.add_argument(
        "--stream", type=int, nargs="*", default=[32, 128, 1024], metavar="MiB", help="how much is read"
    )
    parser.add_argument("--cpu", action="store_true", help="compare CPU times instead of wall times")
    run(parser, "races.py", "race", tuple(RACES), _tables)


def _tables(asked: argparse.Namespace) -> None:
    print(f"{machine()}; {'CPU' if asked.cpu else 'wall'} times, medians of {asked.runs}.")
    with TemporaryDirectory() as folder:
        for name in asked.races or RACES:
            RACES[name](asked, Path(folder))


if __name__ == "__main__":
    main()
