"""One decode step of a model on GDDR6-AiM as a program of AiM instructions, which `pimsim replay` runs.

The program is what the planner asks of the channels, request by request.  It has what crosses the channels' command
buses, and nothing of the ASIC: where a run waits for sums, norms or softmax, the program goes on at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple

import pimsim
from pimsim import api
from pimsim.api import Prepared, settled
from pimsim.config.resolved import config_sha256
from pimsim.config.schema import Config
from pimsim.devices.aim.isa import AIM_OPERATIONS, CFR_AF_FUNCTION, LIMITS, MASK_BITS, SIZES, AimInstruction, line_of
from pimsim.devices.aim.replay import Replay, replay, runs_programs
from pimsim.devices.aim.table import AF_ROW, REFERENCE, STANDARD
from pimsim.devices.registry import device_of
from pimsim.dram.program import CLOSE, OPEN, RUN, SCATTER, Request, bank_order
from pimsim.dram.timing import Device
from pimsim.errors import InputError
from pimsim.exports.steps import Tell, alone, decoding, plain, prepared
from pimsim.files import whole_file
from pimsim.mapping.instructions import Instruction
from pimsim.mapping.work import Work

_OPERATIONS = {operation.command: name for name, operation in AIM_OPERATIONS.items() if operation.command}
_WHAT = "an AiM program"
END = AimInstruction("EOC")
_SHAPE = ("channels", "bank_groups", "banks_per_group", "rows", "row_bytes", "column_bytes")
_SAID = (
    "equal to `pimsim run` of this step: the commands that fill, preset, multiply, look up, give, read and write, on",
    "every channel in the same order with the same banks and rows. Columns count from 0 in each instruction.",
    "not in here: the ASIC and its pauses; refresh; rows that a run opens ahead or closes early.",
)
_CYCLES = "cycles: `pimsim replay` of this file, and the reference simulator's"
_BESIDE = "not in here either: messages over the link, and what {machine} beside the memory does:"


class Part(NamedTuple):
    """What one operator asks of the channels; block: of the model, -1 outside of the blocks."""

    operator: str
    key: str
    block: int
    instructions: Sequence[AimInstruction]


@dataclass(frozen=True)
class Step:
    """The only step of a run, on a device that runs AiM programs."""

    prepared: Prepared

    @classmethod
    def of(cls, config: Config, context: int | None = None, tell: Tell | None = None) -> Step:
        """A decode step of a model at a context, its own tokens included (None: that of the last step).

        tell: as of `api.prepare`.
        InputError for a device that runs no AiM programs, and for what no AiM instruction says.
        """
        _check(device_of(config))
        found = config.workload.last_context if context is None else context
        return cls(settled(prepared(decoding(plain(alone(config, _WHAT), _WHAT), found), tell)))

    @property
    def device(self) -> Device:
        """The memory."""
        return self.prepared.plan.device

    @property
    def context(self) -> int:
        """Tokens in K and V at the end of the step."""
        return self.prepared.config.workload.last_context

    def parts(self) -> Iterator[Part]:
        """What the operators ask for, in their order."""
        plan, tokens = self.prepared.plan, self.prepared.config.workload.query_tokens
        before, block, after = plan.step(self.context, tokens, tokens)
        copies = ((number, block) for number in range(plan.workload.blocks))
        made = _Translator(self.device)
        for copy, instructions in ((-1, before), *copies, (-1, after)):
            for each in instructions:
                if each.work is not None:
                    yield Part(each.operator, each.key, copy, made.of(each, each.work, max(copy, 0)))

    def instructions(self) -> Iterator[AimInstruction]:
        """The program."""
        yield from (instruction for part in self.parts() for instruction in part.instructions)
        yield END

    def lines(self, plain: bool = False) -> Iterator[str]:
        """The program as text; plain: without comments."""
        yield from () if plain else (f"# {line}\n" for line in self._head())
        for part in self.parts():
            if not plain:
                yield f"# block {part.block}, {part.key}\n" if part.block >= 0 else f"# {part.key}\n"
            yield from (f"{line_of(each)}\n" for each in part.instructions)
        yield f"{line_of(END)}\n"

    def save(self, path: Path, plain: bool = False) -> int:
        """Write the program to FILE, once all of it is known to be one; how many instructions it has."""
        count = 0
        with whole_file(path) as file:
            for line in self.lines(plain):
                count += not line.startswith("#")
                file.write(line.encode("ascii", "backslashreplace"))
        return count

    def on_reference(self) -> Replay:
        """What the program takes in the profile that repeats the reference simulator clock for clock."""
        shape = {key: getattr(self.prepared.config.dram, key) for key in _SHAPE}
        reference = api.load_config(REFERENCE.name, {f"dram.{key}": value for key, value in shape.items()})
        return replay(self.instructions(), device_of(reference))

    def _head(self) -> Iterator[str]:
        config, device = self.prepared.config, self.device
        hashed = config_sha256(config, self.prepared.prices.table.digest)
        yield f"pimsim {pimsim.__version__}: a decode step of {self.prepared.plan.workload.shape.name}"
        yield f"context {self.context} tokens, its own included; batch {config.workload.batch}"
        yield f"config_sha256 {hashed}"
        yield f"for {device.channels} channels of {device.banks} banks, {device.rows} rows and {device.columns} columns"
        yield from _SAID
        if (arranged := self.prepared.arranged) and arranged.there:
            yield _BESIDE.format(machine=arranged.device.name)
            yield from wrap(", ".join(arranged.there), 110)
        yield _CYCLES


def _check(device: Device) -> None:
    """InputError for a device that runs no AiM programs."""
    if not runs_programs(device):
        what = f"{device.standard.name!r} runs no AiM programs; use {STANDARD.name!r}"
        raise InputError(what, key="dram.standard")
    if device.channels > MASK_BITS:
        raise InputError(f"an AiM instruction drives {MASK_BITS} channels, not {device.channels}", key="dram.channels")


class _Translator:
    """Makes instructions of requests."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._function = -1  # of the configuration register

    def of(self, instruction: Instruction, work: Work, copy: int) -> list[AimInstruction]:
        """Those of the PIM work of an instruction in a copy of the block.

        Requests that channels have in common, one behind the other, are one instruction that drives all of them.
        """
        bases = instruction.bases or (0,)
        base = bases[copy if len(bases) > 1 else 0]
        found: list[AimInstruction] = []
        of_each = [(driven, self._one_channel(rows, base)) for driven, rows in _by_channels(work)]
        for together in zip_longest(*(made for _, made in of_each)):
            driving: dict[AimInstruction, tuple[int, ...]] = {}
            for (driven, _), made in zip(of_each, together, strict=True):
                if made is not None:
                    driving[made] = tuple(sorted((*driving.get(made, ()), *driven)))
            for made, channels in driving.items():
                found += self._driving(made, channels)
        return found

    def _driving(self, made: AimInstruction, channels: tuple[int, ...]) -> Iterator[AimInstruction]:
        """An instruction on its channels, one by one where its mask may have one only."""
        if made.name == "W CFR":
            yield made
        elif made.operation.one_channel:
            yield from (_on(made, (channel,)) for channel in channels)
        else:
            yield _on(made, channels)

    def _one_channel(self, requests: Iterable[Request], base: int) -> list[AimInstruction]:
        return [made for request in requests for made in self._request(request, base)]

    def _request(self, request: Request, base: int) -> Iterator[AimInstruction]:
        """What a request asks for; no instruction opens or closes rows, they do so once another one is needed."""
        op, command, bank, lin, count, *rest = request
        if op == RUN:
            yield from self._run(self._name(command), bank, lin, count, base)
        elif op == SCATTER:
            stride, device = rest[0], self._device
            for number in range(count):
                for each in range(device.banks):
                    home = bank_order(each, device.bank_groups, device.banks_per_group)
                    yield from self._run(self._name(command), home, lin + number * stride, 1, base)
        elif op not in (OPEN, CLOSE):
            raise InputError("no AiM instruction does what this mapping asks for", key="mapping")

    def _name(self, command: int) -> str:
        named = self._device.standard.commands[command]
        if named.name in _OPERATIONS:
            return _OPERATIONS[named.name]
        key = "dram.write_mask" if named.logged else "workload"
        raise InputError(f"no AiM instruction issues {named.name}, which this step needs", key=key)

    def _run(self, name: str, bank: int, lin: int, count: int, base: int) -> Iterator[AimInstruction]:
        """Commands at columns one behind the other, a row at a time; instructions count columns from 0."""
        fields = AIM_OPERATIONS[name].fields
        if name == "AF":
            yield from self._look_up(lin // self._device.columns - AF_ROW)
        elif "row" not in fields:
            yield from self._sized(name, count)
        while "row" in fields and count:
            row, column = divmod(lin + base, self._device.columns)
            some = min(count, self._device.columns - column)
            yield from self._sized(name, some, bank if "bank" in fields else -1, row)
            lin, count = lin + some, count - some

    def _look_up(self, function: int) -> Iterator[AimInstruction]:
        if function != self._function:
            self._function = function
            yield AimInstruction("W CFR", register=CFR_AF_FUNCTION, value=function)
        yield AimInstruction("AF")

    def _sized(self, name: str, count: int, bank: int = -1, row: int = -1) -> Iterator[AimInstruction]:
        """One instruction of a size, or as many as there are commands where it has none."""
        size = next((field for field in AIM_OPERATIONS[name].fields if field in SIZES), None)
        if size is None:
            yield from [AimInstruction(name, bank=bank, row=row)] * count
            return
        most = LIMITS[size](self._device)[1]
        if count > most:
            raise InputError(f"an AiM buffer has {most} columns, not {count}", key="pim.global_buffer_bytes")
        yield AimInstruction(name, size=count, bank=bank, row=row)


def _on(made: AimInstruction, channels: tuple[int, ...]) -> AimInstruction:
    return AimInstruction(made.name, channels, made.size, made.bank, made.row, made.register, made.value)


def _by_channels(work: Work) -> list[tuple[list[int], list[Request]]]:
    """Channels that have the same requests, and these."""
    channels: dict[tuple[int, int], list[int]] = {}
    for channel, (begin, end) in enumerate(work.spans.tolist()):
        if end > begin:
            channels.setdefault((begin, end), []).append(channel)
    return [(driven, list(map(tuple, work.program[begin:end].tolist()))) for (begin, end), driven in channels.items()]
