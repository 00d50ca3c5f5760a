"""Runs for a comparison: results as they are, folders read back, configurations run.

Everything that is asked for is read and checked before anything is simulated.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from pimsim import api
from pimsim.api import Prepared
from pimsim.comparison import Comparison
from pimsim.comparison.names import check
from pimsim.config.loader import Overrides
from pimsim.config.resolved import on_one_line
from pimsim.config.schema import AnyConfig, Common
from pimsim.config.shipped import CONFIGURATIONS
from pimsim.errors import InputError, Problem
from pimsim.results.base import AnyResult
from pimsim.results.folder import is_result, near_result
from pimsim.results.saved import SavedResult

if TYPE_CHECKING:
    from pimsim.api import Loaded, Progress

Comparable = Union[AnyResult, AnyConfig, str, "os.PathLike[str]"]
Tell = Callable[[Problem], object]
_NOT_RUN = "changes configurations that are run, and only results are given"


def compare(
    runs: Sequence[Comparable],
    names: Sequence[str] | None = None,
    *,
    base: int = 0,
    overrides: Overrides | None = None,
) -> Comparison:
    """Two or more runs side by side, differences of their inputs first.  Configurations are run.

    runs       results, folders that `pimsim run --out` wrote, configurations, their files, or names of shipped ones
    names      of the runs, by default those of their configurations
    base       the place of the run that the others are compared with
    overrides  of every configuration, as of `load_config` and `with_`

    Before anything is simulated: InputError has everything that is wrong with all of them, ValueError is of names and
    base, TypeError of what is none of these runs.
    """
    if isinstance(runs, str | os.PathLike) or not isinstance(runs, Sequence):
        raise TypeError(f"compare takes a list of runs, not {runs!r}: pimsim.compare([first, second])")
    check(len(runs), base, names)
    ready = asked(runs, overrides)
    return Comparison.of([each.result() for each in ready], names, base, [each.made for each in ready])


@dataclass(frozen=True)
class Asked:
    """What was asked for, read and checked.

    known     the result, or what is prepared to be run
    loaded    where its configuration came from, if that is known
    made      how to get the result: a command, or its folder; "" if nobody can say
    """

    known: AnyResult | Prepared
    loaded: Loaded | None = None
    made: str = ""

    def result(self, progress: Progress | None = None, tell: Tell | None = None) -> AnyResult:
        """The result; it is run if it has to be.

        tell: called with each warning of a run, put where it stands
        """
        if isinstance(self.known, AnyResult):
            return self.known
        found = api.run(self.known, self.loaded.provenance if self.loaded else None, progress=progress)
        told = self.known.odd if isinstance(self.known, Prepared) else ()
        _tell([each for each in found.warnings if each not in told], self.loaded, tell)
        return found


def asked(runs: Sequence[Comparable], overrides: Overrides | None = None, tell: Tell | None = None) -> list[Asked]:
    """Each of the runs, ready; InputError with everything that is wrong with all of them.

    tell: called with what is odd about each input, also where another one is refused
    """
    problems: list[Problem] = []
    found: list[Asked] = []
    for each in runs:
        try:
            found.append(_asked(each, overrides or {}, tell))
        except InputError as error:
            problems += error.problems
    if overrides and not problems and all(isinstance(each.known, AnyResult) for each in found):
        problems.append(Problem("--set", 1, 1, "", _NOT_RUN))
    if problems:
        raise InputError(problems)
    return found


def _asked(given: Comparable, overrides: Overrides, tell: Tell | None) -> Asked:
    if isinstance(given, AnyResult):
        return Asked(given, made=_folder(given))
    if isinstance(given, Common):
        return Asked(api.prepare(given.with_(overrides) if overrides else given))
    if not isinstance(given, str | os.PathLike):
        raise TypeError(f"a result, a configuration, or the name of a folder or file is compared, not {given!r}")
    path = os.fspath(given)
    if _is_folder(path):
        saved = api.load_result(path)
        return Asked(saved, made=_folder(saved))
    loaded = api.load(path, overrides)
    try:
        prepared = api.prepare(loaded, lambda odd: _tell(odd, loaded, tell))
    except InputError as error:
        raise error.located(loaded.locate) from error
    return Asked(prepared, loaded, command(path, overrides))


def _is_folder(path: str) -> bool:
    """Whether a name means a folder: one with a result, or any, or nearly one, that is no shipped configuration's."""
    if is_result(path) or path in CONFIGURATIONS:
        return is_result(path)
    return os.path.isdir(path) or path.endswith(os.sep) or (not os.path.lexists(path) and near_result(path) is not None)


def _tell(odd: Sequence[Problem], loaded: Loaded | None, tell: Tell | None) -> None:
    for each in odd if tell else ():
        tell(each.located(loaded.locate) if loaded else each)  # type: ignore[misc]


def _folder(result: AnyResult) -> str:
    """The name of the folder of a result, without those around it, which differ between machines."""
    return f"{result.directory.absolute().name}/" if isinstance(result, SavedResult) else ""


def command(path: str, overrides: Overrides) -> str:
    """The command that runs a configuration again; a file without its folder."""
    if isinstance(overrides, Mapping):
        overrides = [f"{key}={on_one_line(value)}" for key, value in overrides.items()]
    pairs = [overrides] if isinstance(overrides, str) else overrides
    return shlex.join(["pimsim", "run", os.path.basename(path), *(word for pair in pairs for word in ("--set", pair))])
