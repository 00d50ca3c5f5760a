"""Mutants of a run: logs, programs and layouts with one fault each, and what happens to them.

A `Run` is a tiny model with random weights on a device: its plan, its memory, the log of its commands and the logits
of every step.  A `Mutant` is the same with one fault, made by a rule that looks at what commands mean and never at
what comes of it (`log_mutants`, `plan_mutants`).  `trial` carries it out on a fresh machine:

    refused   the machine stops at a command that it cannot carry out
    logits    a logit of some step has other bits
    checker   the machine saw nothing, but the timing table forbids the log (`logs.checker`)
    crash     anything else went wrong: a fault of the machine
    ""        it survives: a fault of the machine, or no fault of the mutant
"""

from __future__ import annotations

import copy
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

import pimsim
from pimsim.devices.plan import compile_plan
from pimsim.logs.checker import check
from pimsim.logs.log import CommandLog
from pimsim.mapping.instructions import Instruction, Step
from pimsim.mapping.plan import Plan
from pimsim.sim.run import _watched
from pimsim.sim.tally import Tally
from pimsim.values.asic import Asic
from pimsim.values.machine.build import steps_in, tables_of
from pimsim.values.machine.functions import Functions
from pimsim.values.machine.image import Image, filled
from pimsim.values.machine.machine import CommandError, Machine
from pimsim.values.machine.tasks import StepTasks, Task, steps_of
from pimsim.values.numbers import F32, Words
from pimsim.values.weights.load import load_weights
from pimsim.values.weights.model import Weights
from pimsim.workload.models import build
from tests.values.models import write_model

Ints = NDArray[np.int64]
ROOT = Path(__file__).parents[2]
CLK, CHANNEL, COMMAND, BANK, ROW, COLUMN = range(6)
FOREVER = 1 << 62
WEIGHTY = 0.5  # of the average: an element by itself, or a difference of two, that matters
IDS = (3, 17, 99, 5, 64, 2)  # of the tokens, all different


@dataclass(frozen=True)
class Case:
    """A model and a device: keys of config.json, and of the configuration."""

    name: str
    family: str
    device: str
    sizes: Mapping[str, Any] = field(default_factory=dict)
    sets: Mapping[str, Any] = field(default_factory=dict)


_SMALL = {"hidden_size": 48, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2,
          "num_hidden_layers": 2, "vocab_size": 112, "head_dim": 16}  # fmt: skip
_SMALL_GPT2 = {"n_embd": 48, "n_inner": 80, "n_head": 3, "n_layer": 2, "vocab_size": 112}
_OFTEN = {"dram.timing.tREFI_ns": 2000}  # several refreshes in so short a run
CASES = (
    Case("llama, pim-gpt", "llama", "pim-gpt", _SMALL, _OFTEN),
    Case("gpt2, pim-gpt, tiny buffer", "gpt2", "pim-gpt", _SMALL_GPT2,
         {"pim.global_buffer_bytes": 64, "mapping.value_append": "all_bank", **_OFTEN}),
    Case("llama of heads of 24, pim-gpt, 8 banks of short columns", "llama", "pim-gpt", _SMALL | {"head_dim": 24},
         {"dram.bank_groups": 2, "dram.refresh": "per_bank", "dram.row_bytes": 256, "dram.column_bytes": 8,
          "pim.lanes": 4, "schedule": "overlap"}),
    Case("gpt2, aim", "gpt2", "aim", _SMALL_GPT2, _OFTEN),
    Case("gpt2, aim, banks scale a softmax, little SRAM", "gpt2", "aim", _SMALL_GPT2,
         {"pim.softmax": "banks", "asic.sram_KiB": 0.25, **_OFTEN}),
    Case("llama, aim, tiny buffer", "llama", "aim", _SMALL, {"pim.global_buffer_bytes": 32, **_OFTEN}),
    Case("qwen2 of heads of 24, aim, ASIC adds and appends by bank", "qwen2", "aim", _SMALL | {"head_dim": 24},
         {"pim.sums": "asic", "pim.activation": "asic", "mapping.value_append": "single_bank",
          "pim.global_buffer_bytes": 64}),
    Case("llama, pim-gpt, V by tokens", "llama", "pim-gpt", _SMALL,
         {"mapping.values": "tokens", "dram.column_bytes": 4, "dram.row_bytes": 64, "pim.lanes": 2,
          "pim.global_buffer_bytes": 64, "dram.channels": 2, **_OFTEN}),
    Case("llama, lpddr5x-pim, one channel", "llama", "lpddr5x-pim", _SMALL | {"intermediate_size": 160},
         {"dram.channels": 1, "pim.kept_outputs": 3, **_OFTEN}),
    Case("llama, aim, V by tokens", "llama", "aim", _SMALL,
         {"mapping.values": "tokens", "dram.column_bytes": 4, "dram.row_bytes": 256, "pim.lanes": 2,
          "pim.global_buffer_bytes": 64, "dram.channels": 2, **_OFTEN}),
)  # fmt: skip


class Use(NamedTuple):
    """One instruction in one copy of the block of one step."""

    context: int
    part: int
    copy: int
    instruction: Instruction


class Carried(NamedTuple):
    """What a command of the log is for.

    use    number of its instruction (-1: of none, as refreshes are)
    piece  elements that it takes or gives (None: none)
    means  something: it moves an element, or adds to a sum that is used, or opens or closes a row for such a command
    """

    use: int = -1
    piece: tuple[int, ...] | None = None
    means: bool = False


class Meaning(NamedTuple):
    """What each command of the device's table is, by number, in words of the table."""

    does: str
    scope: str
    needs: str
    effect: str
    name: str


class Recorder:
    """An observer that keeps the log."""

    window = (0, FOREVER)

    def __init__(self) -> None:
        self.parts: list[Ints] = []

    def append(self, *columns: Ints) -> None:
        """Keep commands."""
        self.parts.append(np.stack(columns, axis=1, dtype=np.int64))

    def execute(self, executed: object) -> None:
        """Nothing."""


class ChangedError(Exception):
    """A logit has changed."""


class Verdict(NamedTuple):
    """Who found a mutant ("": nobody), and in which words."""

    by: str
    words: str


class Watched(Machine):
    """A machine that keeps the operands of each instruction of the channels, in their order."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.begun: list[Task] = []
        self.operands: dict[int, F32] = {}  # by the number of the instruction

    def _begin(self, task: Task) -> set[int]:
        self.begun.append(task)
        return super()._begin(task)

    def _fill(self, task: Task, clk: int) -> None:
        size = sum(part.size for part, _ in task.takes)
        super()._fill(task, clk)
        base, _ = self._places[task.slot]
        self.operands[self.begun.index(task)] = self.pool[base : base + size].copy()


class Mutant(NamedTuple):
    """A run with a fault.

    source  "log", "program" or "layout"; kind: a row of the table; what: the very fault, in words
    log     of commands, if the fault is in it
    plan    with the fault, if it is in its wires; image: the memory, if it is in that
    """

    source: str
    kind: str
    what: str
    log: Ints | None = None
    plan: Plan | None = None
    image: Image | None = None


@dataclass(eq=False)
class Run:
    """A model on a device, carried out without a fault.

    logits  of each step, by its context; make: the machines that carry it out
    """

    case: Case
    plan: Plan
    weights: Weights
    tables: Words
    image: Image
    log: Ints
    logits: dict[int, bytes] = field(default_factory=dict)
    make: Callable[..., Machine] = Machine

    @cached_property
    def steps(self) -> list[tuple[int, int, bool]]:
        """(context, tokens, whether there are logits)."""
        return steps_in(self.plan.config)

    @cached_property
    def named(self) -> Any:
        """What `steps_of` asks of a plan; each step is planned once for all mutants."""
        return _named(self.plan)

    @cached_property
    def functions(self) -> Functions:
        """The ASIC."""
        return Functions(Asic(self.plan.config.asic), self.plan.workload, self.weights)

    @cached_property
    def meaning(self) -> list[Meaning]:
        """Of each command of the table."""
        return [Meaning(c.does.name, str(c.scope), c.needs.name, c.effect.name, c.name)
                for c in self.plan.device.standard.commands]  # fmt: skip

    def machine(self, ended: Callable[[StepTasks, Mapping[str, F32]], object], mutant: Mutant | None = None) -> Machine:
        """A fresh machine."""
        plan, image, named = self.plan, self.image, self.named
        if mutant is not None:
            image = mutant.image or image
            plan, named = (mutant.plan, _named(mutant.plan)) if mutant.plan else (plan, named)
        rounds = plan.config.values.accumulate == "bf16"
        steps = steps_of(named, self.steps)
        return self.make(plan, copied(image), self.functions, steps, ended, self.tables, rounds)

    def carry_out(self, log: Ints, mutant: Mutant | None = None) -> None:
        """Carry out a log; ChangedError at the first logit that is another one, CommandError as the machine has it."""
        head, reached = self.plan.workload.select("once_after")[-1].name, set()

        def ended(step: StepTasks, values: Mapping[str, F32]) -> None:
            bits = values[head].tobytes()
            if self.logits.setdefault(step.context, bits) != bits:
                raise ChangedError(f"logits of the step at context {step.context}")
            reached.add(step.context)

        machine = self.machine(ended, mutant)
        machine.append(*log.T)
        machine.finish()
        assert len(reached) == len(self.steps)

    def violations(self, log: Ints) -> list[str]:
        """What the timing table forbids of a log: the first of each rule."""
        return [str(violation) for violation in check(self.as_read(log), self.plan.device)]

    def as_read(self, log: Ints) -> CommandLog:
        """The log as its reader gives it."""
        clk, channel, command, bank, row, column = np.ascontiguousarray(log.T)
        per = self.plan.device.banks_per_group
        group, within = np.where(bank < 0, -1, bank // per), np.where(bank < 0, -1, bank % per)
        return CommandLog(clk, channel, command, group, within, row, column)

    @cached_property
    def uses(self) -> list[Use]:
        """The instructions of the channels, in their order."""
        found = []
        for context, tokens, head in self.steps:
            for part, instructions in enumerate(self.named.named_step(context, head, tokens)):
                for of in range(self.plan.workload.blocks if part == 1 else 1):
                    found += [Use(context, part, of, i) for i in instructions if i.operands.wires is not None]
        return found

    @cached_property
    def operands(self) -> dict[int, F32]:
        """What the instructions of the channels read, by their number in `uses`."""
        machine = replace(self, make=Watched).machine(lambda step, values: None)
        assert isinstance(machine, Watched)
        machine.append(*self.log.T)
        return machine.operands

    def number(self, use: int, element: int) -> float:
        """An operand's element, as a share of what its elements are on the average."""
        operands = self.operands[use]
        return float(operands[element] / np.sqrt(np.mean(operands**2)))

    def key_bias(self, name: str) -> range:
        """Of an operator's vectors the elements that decide nothing: K's bias, unless it turns with the position."""
        operators = self.plan.workload.operators
        attention = next(o for o in operators if o.op == "attention")
        queries, keys = attention.heads * attention.head_dim, attention.kv_heads * attention.head_dim
        turned = any(o.op == "rope" for o in operators)
        first = {"qkv": queries, "k": 0}.get(name, -1)
        return range(0) if turned or first < 0 else range(first, first + keys)

    @cached_property
    def carried(self) -> list[Carried]:
        """What each command of the log is for, by the order of instructions alone."""
        return _carried(self)

    def name(self, command: int) -> str:
        """Of a command of the log, by its place."""
        return self.meaning[int(self.log[command, COMMAND])].name

    def told(self, command: int) -> str:
        """A command of the log, by its place, in words."""
        clk, channel, _, bank, row, column = self.log[command].tolist()
        key = self.uses[self.carried[command].use].instruction.key if self.carried[command].use >= 0 else "-"
        return f"clock {clk} channel {channel} {self.name(command)} bank {bank} row {row} column {column} ({key})"


def copied(image: Image) -> Image:
    """The same memory, to be written."""
    made = copy.copy(image)
    made.words = image.words.copy()
    made._flat = made.words.reshape(-1)
    return made


def _named(plan: Plan) -> Any:
    """A plan that plans each named step once, and makes each instruction's wires once."""
    wires: dict[tuple[object, ...], Any] = {}

    def wired(instruction: Instruction) -> Instruction:
        operands = instruction.operands
        if operands is None or operands.wires is None:
            return instruction
        if operands.key not in wires:
            wires[operands.key] = operands.wires()
        known = wires[operands.key]
        return instruction._replace(operands=operands._replace(wires=lambda: known))

    @cache
    def named_step(context: int, head: bool, tokens: int = 1) -> Step:
        return Step(*(tuple(map(wired, part)) for part in plan.named_step(context, head, tokens)))

    return SimpleNamespace(named_step=named_step, workload=plan.workload)


def run_of(case: Case, seed: int = 0, tokens: int = len(IDS)) -> Run:
    """Carry out a case without a fault."""
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder) / "model", case.family, seed=seed, **case.sizes)
        weights = load_weights(Path(folder) / "model")
        sets = {
            "dram.channels": 2, "workload.lm_head": True, "workload.biases": True, "workload.prompt_tokens": 0,
            "workload.output_tokens": tokens, "baselines": [], "asic.range_reduction": "ln2",
        }  # fmt: skip
        config = pimsim.load_config(ROOT / "configs" / f"{case.device}.yaml", {**sets, **case.sets})
        plan = compile_plan(config, build(weights.shape, True))
        plan.tokens = lambda context, sequence: IDS[(context - 1) % len(IDS)]
        run = Run(
            case, plan, weights, tables_of(plan, weights), filled(plan, weights, config.pim.lanes), recorded(plan)
        )
        run.carry_out(run.log)
    return run


def recorded(plan: Plan) -> Ints:
    """The log of a plan's run, (commands, 6).

    Whether the simulation's own counts contradict each other is not asked: they would refuse many a program.
    """
    recorder = Recorder()
    with patch.object(Tally, "validate", lambda tally: tally):
        _watched(plan, None, [recorder])
    return np.concatenate(recorder.parts)


def trial(run: Run, mutant: Mutant, also_checker: bool = False) -> tuple[Verdict, str]:
    """Who finds a mutant; and what the checker says, if nobody else did or if that is asked for ("": nothing)."""
    log = run.log if mutant.log is None else mutant.log
    verdict = Verdict("", "")
    try:
        run.carry_out(log, mutant)
    except CommandError as error:
        verdict = Verdict("refused", words_of(str(error)))
    except ChangedError as error:
        verdict = Verdict("logits", str(error))
    except Exception as error:
        verdict = Verdict("crash", f"{type(error).__name__}: {error}")
    said = ""
    if mutant.log is not None and (also_checker or not verdict.by):
        said = next(iter(run.violations(log)), "")
        if said and not verdict.by:
            verdict = Verdict("checker", said)
    return verdict, said


_NAMES = (
    (re.compile(r"^clock \d+, channel -?\d+: [^:]*: "), ""), (re.compile(r"'[^']*'"), "an instruction"),
    (re.compile(r"row \d+"), "another row"), (re.compile(r"\d+"), "N"),
)  # fmt: skip


def words_of(message: str) -> str:
    """A refusal without its numbers and names."""
    for pattern, name in _NAMES:
        message = pattern.sub(name, message)
    return message


# -- what commands are for ------------------------------------------------------------------

_TAKES, _GIVES = {"FILL", "PRESET", "WRITE", "WRITE_ALL"}, {"GIVE", "GIVE_FOUND", "READ"}


def banks_of(run: Run, log: Ints, at: int) -> range:
    """The banks that a command addresses."""
    scope, bank = run.meaning[log[at, COMMAND]].scope, int(log[at, BANK])
    return range(run.plan.device.banks) if scope == "all_banks" else range(bank, bank + 1) if bank >= 0 else range(0)


def _carried(run: Run) -> list[Carried]:
    found = [Carried()] * len(run.log)
    for channel in range(run.plan.device.channels):
        places = np.flatnonzero(run.log[:, CHANNEL] == channel).tolist()
        _data(run, channel, places, found)
        _rows(run, places, found)
    return found


def _data(run: Run, channel: int, places: list[int], found: list[Carried]) -> None:
    """Commands that move numbers: pieces of instructions in their order, and products by the sums that they go into."""
    waiting = iter(_pieces(run, channel))
    use, taken, given = -1, [], []  # type: ignore[var-annotated]
    summed: list[int] = []
    for at in places:
        does = run.meaning[run.log[at, COMMAND]].does
        if does == "NOTHING":
            continue
        if not taken and not given:
            use, taken, given = next(waiting)
        if does in _TAKES or does in _GIVES:
            piece = tuple((taken if does in _TAKES else given).pop(0))
            elements = [element for element in piece if element >= 0]
            name, *what = _key(run, use)
            if does == "READ" and what == ["vectors"]:
                elements = [element for element in elements if element not in run.key_bias(str(name))]
            found[at] = Carried(use, piece, bool(elements))
            if does == "WRITE" and len(elements) == 1:  # V, an element at a time: one that is nearly 0 is none
                found[at] = Carried(use, piece, abs(run.number(use, elements[0])) >= WEIGHTY)
        if does in ("MULTIPLY", "LOOK_UP", "PRESET"):
            summed.append(at)
        if does in ("GIVE", "GIVE_FOUND"):
            for each in summed:
                found[each] = Carried(use, found[each].piece, found[at].means)
            summed = []
        elif does == "SCALE":
            found[at] = Carried(use, None, True)
    assert not taken and not given and next(waiting, None) is None


def _pieces(run: Run, channel: int) -> list[tuple[int, list[Any], list[Any]]]:
    """The instructions that a channel has something of, and their pieces."""
    found = []
    for number, use in enumerate(run.uses):
        wires = use.instruction.operands.wires()  # type: ignore[union-attr, misc]
        taken, given = wires.taken[channel].tolist(), wires.given[channel].tolist()
        if taken or given:
            found.append((number, taken, given))
    return found


def _key(run: Run, use: int) -> tuple[object, ...]:
    operands = run.uses[use].instruction.operands
    assert operands is not None
    return operands.key


def _rows(run: Run, places: list[int], found: list[Carried]) -> None:
    """Commands that open and close rows: they mean something if a command that does needs it so."""
    opened: dict[int, int] = {}  # by bank, who opened it
    closed: dict[int, int] = {}  # by bank, who closed it while it was open
    for at in places:
        meaning, banks = run.meaning[run.log[at, COMMAND]], banks_of(run, run.log, at)
        for bank in banks:
            if meaning.needs == "OPEN" and found[at].means:
                found[opened[bank]] = found[opened[bank]]._replace(use=found[at].use, means=True)
            if meaning.needs == "CLOSED" and bank in closed:
                found[closed[bank]] = found[closed[bank]]._replace(means=True)
            if meaning.effect == "OPEN":
                opened[bank] = at
                closed.pop(bank, None)
            if meaning.effect == "CLOSE":
                closes = closed.pop(bank, None) is None and bank in opened and meaning.needs == "ANY"
                opened.pop(bank, None)
                if closes:  # of two that close one after the other neither is needed
                    closed[bank] = at


def moved(run: Run, log: Ints, which: Ints, order: Ints) -> Ints:
    """A log in which the commands `which` (of one channel) come in another order, at the same clocks."""
    made = log.copy()
    made[which] = log[which][order]
    made[which, CLK] = log[which, CLK]
    return made


def in_order(log: Ints) -> Ints:
    """In order of clk, then channel; those of one clock and channel stay as they are."""
    return log[np.lexsort((log[:, CHANNEL], log[:, CLK]))]
