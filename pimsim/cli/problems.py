"""Errors as the command line prints them, and the exit status that each one means."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from enum import IntEnum
from typing import Any

import click

from pimsim.cli.process import Terminated, die_of, terminable
from pimsim.cli.say import say
from pimsim.errors import InputError, Locate, Problem, did_you_mean
from pimsim.registry import Deferred

PROGRAM = "pimsim"


class Exit(IntEnum):
    """What a process's exit status says."""

    DONE = 0
    CHECK_FAILED = 1
    WRONG_INPUT = 2
    INTERNAL_ERROR = 3
    INTERRUPTED = 130  # as a shell reports SIGINT
    READER_GONE = 141  # as a shell reports SIGPIPE


class ReaderGone(Exception):
    """Nobody reads our output any more; click itself would exit with 1, a failed check."""


class Commands(Deferred[click.Command], MutableMapping[str, click.Command]):
    """The commands of a group by name, each imported when it is asked for; others may be added."""

    def __init__(self, homes: Mapping[str, str]) -> None:
        super().__init__(dict(homes))

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._homes[name], self._found[name] = "", command

    def __delitem__(self, name: str) -> None:
        del self._homes[name]
        self._found.pop(name, None)


class ReportingGroup(click.Group):
    """A group whose errors are one line per problem on standard error, and never a traceback."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> None:
        """Run the command line, then exit with the status of what happened."""
        extra["standalone_mode"] = False
        try:
            with terminable():
                status = self._status(args, prog_name, extra)
        except Terminated as ended:
            die_of(ended.number)
            status = 128 + ended.number  # only where the signal is blocked
        sys.exit(status)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` name; UsageError with the nearest name if there is none."""
        if self.get_command(ctx, args[0]) is None:
            raise click.UsageError(f"no such command {args[0]!r}{did_you_mean(args[0], self.list_commands(ctx))}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGone from error
        except EOFError as error:  # click takes it for Ctrl-D at a prompt, and there is none
            raise RuntimeError(f"EOFError: {error}") from error

    def _status(self, args: Sequence[str] | None, prog_name: str | None, extra: dict[str, Any]) -> int:
        try:
            status = super().main(args, prog_name, **extra)
            sys.stdout.flush()
            return status if isinstance(status, int) else Exit.DONE
        except InputError as error:
            return _report(error.problems)
        except click.UsageError as error:
            return _report_usage(error)
        except click.ClickException as error:  # of click itself, such as a file that it could not open
            return _report([Problem(PROGRAM, 1, 1, PROGRAM, _sentence(error.format_message()))])
        except (click.Abort, KeyboardInterrupt):
            return Exit.INTERRUPTED
        except (BrokenPipeError, ReaderGone):
            _drop_output()
            return Exit.READER_GONE
        except MemoryError as error:
            why = f": {error}" if str(error) else ""
            return _report([Problem(PROGRAM, 1, 1, PROGRAM, f"not enough memory{why}")])
        except Exception as error:
            return _internal_error(error)


def _drop_output() -> None:
    """What is left in the buffer of standard output goes nowhere when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report_usage(error: click.UsageError) -> int:
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # click before 8.2 prints it itself
        say(error.message, err=True)
        return Exit.WRONG_INPUT
    return _report([_usage_problem(error)])


def _report(problems: Iterable[Problem]) -> int:
    for problem in problems:
        say(str(_placed(problem)), err=True)
    return Exit.WRONG_INPUT


def print_warnings(warnings: Iterable[Problem], locate: Locate | None = None) -> None:
    """A line on standard error for each, once; `locate` gives those that name a key their place."""
    found = (warning.located(locate) if locate else warning for warning in warnings)
    for line in dict.fromkeys(_placed(warning).as_warning() for warning in found):
        say(line, err=True)


def _placed(problem: Problem) -> Problem:
    """A problem that is of no file or option (a package that is not installed) is put where the program's name is."""
    if problem.file:
        return problem
    return replace(problem, file=PROGRAM, line=1, column=1, key=problem.key or PROGRAM)


def option_problem(option: str, message: str) -> Problem:
    """A problem with an option or argument: its name is in the place of a file."""
    return Problem(option, 1, 1, option.lstrip("-"), message)


def _usage_problem(error: click.UsageError) -> Problem:
    """click's complaint about the command line, in this program's form."""
    context = error.ctx
    command = context.command_path if context else "pimsim"
    if isinstance(error, click.NoSuchOption):
        known = [name for p in context.command.params for name in p.opts] if context else []
        return option_problem(
            error.option_name, f"no such option of `{command}`{did_you_mean(error.option_name, known)}"
        )
    if isinstance(error, click.BadParameter) and error.param is not None:
        option = error.param.opts[-1] if isinstance(error.param, click.Option) else error.param.human_readable_name
        missing = isinstance(error, click.MissingParameter)
        if missing:
            return option_problem(option, f"is needed; see `{command} --help`")
        return option_problem(option, _sentence(error.message) + _nearest_choice(error))
    if isinstance(error, click.BadOptionUsage):
        return option_problem(error.option_name, _sentence(error.message))
    message = _sentence(error.message)
    return Problem("pimsim", 1, 1, command, message if message.endswith("?") else f"{message}; see `{command} --help`")


def _nearest_choice(error: click.BadParameter) -> str:
    """`; did you mean 'x'?` for a word that is none of those that a parameter takes."""
    given = re.match(r"'(.*)' is not ", error.message, re.DOTALL)
    if given is None or error.param is None or not isinstance(error.param.type, click.Choice):
        return ""
    return did_you_mean(given[1], map(str, error.param.type.choices))


def _sentence(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _internal_error(error: Exception) -> int:
    if os.environ.get("PIMSIM_DEBUG"):
        import traceback

        traceback.print_exception(error)
    what = " ".join(f"{type(error).__name__}: {error}".split())
    hint = "" if os.environ.get("PIMSIM_DEBUG") else "; set PIMSIM_DEBUG=1 for the traceback"
    say(f"pimsim: internal error: {what}{hint}", err=True)
    return Exit.INTERNAL_ERROR
