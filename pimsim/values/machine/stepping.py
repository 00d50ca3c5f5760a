"""What every machine does with the steps of a run, however it carries out commands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from pimsim.dram.timing import Device
from pimsim.errors import InputError
from pimsim.values.machine.tasks import EarlyError, StepTasks, Task, operand
from pimsim.values.numbers import F32

FOREVER = 1 << 62


class CommandError(InputError):
    """A command that no machine could carry out, or that no instruction asks for."""


class Stepping(ABC):
    """The steps of a run, the one that commands are of, and its tasks so far.

    ended: called with each step that is done, and what it has made.
    """

    window = (0, FOREVER)

    def __init__(
        self,
        device: Device,
        steps: Iterator[StepTasks],
        ended: Callable[[StepTasks, Mapping[str, F32]], object],
    ) -> None:
        self.device, self.steps, self.ended = device, steps, ended
        self._step: StepTasks | None = None
        self._tasks: list[Task] = []  # of the step, in the order of its instructions

    def execute(self, executed: object) -> None:  # noqa: B027 (nothing to do)
        """Which instruction commands belong to, they say themselves."""

    def finish(self) -> None:
        """The log has ended: CommandError unless the run has, too."""
        try:
            self._check_channels()
            while (step := self._step or next(self.steps, None)) is not None:
                self._step = step
                for task in step.tasks:
                    if task.operands.wires is not None:
                        raise EarlyError(f"the log ends before {task.name!r} of the step at context {step.context}")
                    self._tasks.append(task)
                self._end_step(FOREVER)
        except EarlyError as error:
            raise CommandError(str(error)) from None

    def _end_step(self, clk: int) -> None:
        """Finish what is left to compute of a step, and forget it."""
        step = self._step
        if step is None:
            return
        for task in self._tasks:
            if task.operands.wires is None:
                self._value(task, clk)
            elif self._is_left(task):
                raise EarlyError(f"the step at context {step.context} ends before {task.name!r} is done")
        values = {
            name: operand(makers[0].operands.makes.whole, makers, lambda maker: self._value(maker, clk))
            for name, makers in step.made.items()
            if makers
        }
        self.ended(step, values)
        self._tasks.clear()
        self._step = None
        self._forget()

    def _told(self, command: Sequence[int]) -> str:
        """A command in words."""
        clk, channel, number, *where = command
        commands = self.device.standard.commands
        name = commands[number].name if 0 <= number < len(commands) else f"command {number}"
        parts = zip(("bank", "row", "column"), islice(where, 3), strict=True)
        return " ".join([f"clock {clk}, channel {channel}: {name}", *(f"{what} {n}" for what, n in parts if n >= 0)])

    @abstractmethod
    def _check_channels(self) -> None:
        """EarlyError if a channel has not done all that it was given."""

    @abstractmethod
    def _is_left(self, task: Task) -> bool:
        """Whether pieces of the work of a task are still to come."""

    @abstractmethod
    def _value(self, task: Task, clk: int) -> F32:
        """The results of a task; EarlyError if they are not there at a clock."""

    @abstractmethod
    def _forget(self) -> None:
        """Forget what is of the step that has ended."""
