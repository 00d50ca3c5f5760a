"""The command that runs a configuration again: a shipped one, or the file at its base, and every change as `--set`."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pimsim.config.loader import BASELINE_SUFFIXES, DEFAULT, Origin, read_text
from pimsim.config.resolved import on_one_line
from pimsim.config.shipped import CONFIGURATIONS, SUFFIXES, TRACES, find, written
from pimsim.config.validate import flatten

if TYPE_CHECKING:
    from pimsim.config.schema import Config
    from pimsim.results.values import Values

_VALUES = "--values"
_EXTENDS = re.compile(r"^extends: *(\S+)", re.MULTILINE)  # of shipped files, which quote nothing
_FILES = ("dram.standard", "energy.table")  # a name, or a file that is told by its suffix


def base_file(provenance: Mapping[str, Origin]) -> str:
    """The file that a run is told apart from: the one that says which memory it is; "" without one."""
    return provenance["dram.standard"].file if "dram.standard" in provenance else ""


def counts(key: str) -> bool:
    """Whether a key decides any result."""
    return key != "schema" and not key.startswith("engine.")


def is_changed(key: str, origin: Origin, base: str) -> bool:
    """Whether a value was replaced, or is from elsewhere than the base and the defaults."""
    return counts(key) and (origin.before is not None or origin.file not in (DEFAULT, base))


def command(config: Config, provenance: Mapping[str, Origin], values: Values | None = None) -> str:
    """What to type to get a result again; "" if it is not known where its configuration is from.

    The key of the result (`config_sha256`) is the same.  Paths are as somebody gave them if relative, else bare names.
    values: of a run on weights
    """
    base = base_file(provenance)
    if not base:
        return ""
    start, beneath = _start(provenance)
    apart = {base, *beneath, config.workload.trace_file, _VALUES}  # what these say, they say again
    values_of = _values_of(config)
    changed = [key for key, origin in provenance.items() if is_changed(key, origin, base) and origin.file not in apart]
    words = ["pimsim", "run", _named(start)]
    for key in changed:
        value = _from_here(key, values_of[key], provenance[key], config.workload.trace_file)
        words += ["--set", f"{key}={on_one_line(value)}"]
    words += _asked(config, values)
    return shlex.join([*words, "--out", f"results/{_folder(config.name)}"])


def _start(provenance: Mapping[str, Origin]) -> tuple[str, set[str]]:
    """The shipped configuration that says most of it, else the base; and the files that it is made of."""
    files = dict.fromkeys(origin.file for origin in provenance.values())
    shipped = {os.path.realpath(file): file for file in files if os.path.realpath(file) in _shipped()}
    base = base_file(provenance)
    chains = {file: [shipped[path] for path in _chain(path) if path in shipped] for path, file in shipped.items()}
    start = max(chains, key=lambda file: len(chains[file]), default=base)
    return (start, set(chains[start])) if base in chains.get(start, ()) else (base, {base})


def _chain(path: str) -> list[str]:
    """A shipped file, and those that it extends."""
    found = [path]
    while name := _EXTENDS.search(read_text(found[-1])):
        found.append(os.path.realpath(find(name[1], os.path.dirname(found[-1]))))
    return found


def _shipped() -> dict[str, str]:
    return {os.path.realpath(path): name for name, path in CONFIGURATIONS.items()}


def _named(file: str) -> str:
    """The name of a shipped configuration, or a file."""
    return _shipped().get(os.path.realpath(file), _relative(file))


def _relative(file: str) -> str:
    return os.path.basename(file) if os.path.isabs(file) else file


def _values_of(config: Config) -> dict[str, Any]:
    """Every value by dotted key, as provenance has them."""
    found: dict[str, Any] = {}
    for key, value in flatten(config).items():
        found |= (
            {f"{key}.{name}": inner for name, inner in value.items()}
            if isinstance(value, dict) and value
            else {key: value}
        )
    return found


def _from_here(key: str, value: Any, origin: Origin, trace: str) -> Any:
    """A value; of a file that stands relative to the file that names it, one that is relative to here."""
    if key in _FILES and (origin.written or value).endswith(SUFFIXES):
        return _beside(origin.file, origin.written or value)
    if key == "workload.trace" and value is not None:
        name = written(trace, TRACES)
        return name if name != trace else _beside(origin.file, value)
    if key == "baselines":
        return [_beside(origin.file, each) if each.endswith(BASELINE_SUFFIXES) else each for each in value]
    return value


def _beside(file: str, name: str) -> str:
    folder = "" if os.path.isabs(file) else os.path.dirname(file)
    return os.path.normpath(os.path.join(folder, name))


def _asked(config: Config, values: Values | None) -> list[str]:
    """What a run on weights was asked."""
    if values is None:
        return []
    tokens = ["--set", f"workload.output_tokens={config.workload.output_tokens}"]
    return [_VALUES, values.weights, "--prompt-ids", ",".join(map(str, values.prompt_ids)), *tokens]


def _folder(name: str) -> str:
    """A name as that of a folder."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".-") or "run"
