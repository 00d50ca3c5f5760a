"""Which kind of file a file is, so that one given to the wrong command is told which command is the right one.

Nothing is believed of a file because of this: it is asked for only when a reader has refused it.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pimsim.errors import InputError, Problem
from pimsim.files import is_gzip, open_input, pieces_of

_HEAD = 1 << 16  # bytes of a file that are looked at


@dataclass(frozen=True)
class Kind:
    """name: as messages call it; use: what to do with FILE instead; is_kind: of the beginning of a file."""

    name: str
    use: str
    is_kind: Callable[[bytes], bool]


def _has(*patterns: str) -> Callable[[bytes], bool]:
    """Whether each pattern is there."""
    return lambda head: all(re.search(pattern.encode(), head, re.MULTILINE) for pattern in patterns)


def _starts(*patterns: str) -> Callable[[bytes], bool]:
    """Whether the file begins with one of the patterns."""
    return lambda head: re.match("|".join(patterns).encode(), head) is not None


def _any(*recognisers: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    return lambda head: any(recogniser(head) for recogniser in recognisers)


def _both(*recognisers: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    return lambda head: all(recogniser(head) for recogniser in recognisers)


_OBJECT = _starts(r"\s*\{")
_JSON = _starts(r"\s*[\[{]")


def _yaml(head: bytes) -> bool:
    return not _JSON(head)


CONFIGURATION, SWEEP, TRACE, HF_CONFIG, LOG, PROGRAM, PROFILE, BASELINE, TABLE, ENERGY, MEMORY = (
    "configuration", "sweep", "trace", "Hugging Face configuration", "log", "program", "profile", "baseline", "table",
    "energy table", "memory",
)  # fmt: skip

# The first that fits counts.
KINDS: dict[str, Kind] = {
    "weights": Kind(
        "the weights of a model",
        "its config.json is what `pimsim trace export --hf-config` reads",
        _starts(r"GGUF", r"[\s\S]{8}\{\""),
    ),
    TRACE: Kind(
        "an operator trace",
        "use `pimsim run CONFIG --set workload.trace=FILE`",
        _both(_OBJECT, _has(r'"format"\s*:\s*"pimsim-trace"')),
    ),
    MEMORY: Kind(
        "a memory of another simulator",
        "use `pimsim config import FILE --out CONFIG.yaml`",
        _any(_both(_OBJECT, _has(r'"memarchitecturespec"\s*:')), _has(r"^\s*\[\s*dram_structure\s*\]")),
    ),
    "summary": Kind(
        "the summary of a run",
        "the config.resolved.yaml beside it runs again",
        _both(_OBJECT, _has(r'"schema"\s*:\s*"pimsim\.summary/')),
    ),
    PROFILE: Kind(
        "a profile of PyTorch",
        "use `pimsim trace import FILE --out TRACE.jsonl`",
        _both(_JSON, _any(_has(r'"traceEvents"\s*:'), _has(r'"nodes"\s*:'), _has(r'"ph"\s*:', r'"ts"\s*:'))),
    ),
    HF_CONFIG: Kind(
        "the config.json of a Hugging Face model",
        "use `pimsim trace export --hf-config FILE --out TRACE.jsonl`, then `pimsim run CONFIG --set "
        "workload.trace=TRACE.jsonl`",
        _both(_OBJECT, _any(_has(r'"model_type"\s*:'), _has(r'"architectures"\s*:'))),
    ),
    LOG: Kind(
        "a command log",
        "use `pimsim check FILE --config CONFIG`",
        _starts(r"clk,channel,command,", r"PAR1"),
    ),
    PROGRAM: Kind(
        "an AiM program",
        "use `pimsim replay FILE --config CONFIG`",
        _starts(r"(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*(?:AiM|[RW][ \t]+(?:MEM|GPR|CFR))[ \t]"),
    ),
    SWEEP: Kind(
        "a sweep",
        "use `pimsim sweep FILE`",
        _any(
            _both(_yaml, _has(r"^schema\s*:\s*[\"']?pimsim\.sweep/")),
            _both(_yaml, _has(r"^(axes|search)\s*:", r"^base\s*:")),
            _both(_yaml, _has(r"^(axes|search)\s*:", r"^(objectives|constraints)\s*:")),
        ),
    ),
    BASELINE: Kind(
        "a baseline",
        "name it in a configuration: `baselines: [FILE]`",
        _both(_yaml, _any(_has(r"^schema\s*:\s*[\"']?pimsim\.baseline/"), _has(r"^eager\s*:", r"^roofline\s*:"))),
    ),
    ENERGY: Kind(
        "an energy table",
        "name it in a configuration: `energy: {table: FILE}`",
        _any(
            _both(_yaml, _has(r"^schema\s*:\s*[\"']?pimsim\.energy/")),
            _both(_yaml, _has(r"^(extends|hypothesis)\s*:", r"^rows\s*:")),
        ),
    ),
    TABLE: Kind(
        "a table of a memory",
        "name it in a configuration: `dram: {standard: FILE}`",
        _any(
            _both(_yaml, _has(r"^schema\s*:\s*[\"']?pimsim\.table/")),
            _both(_yaml, _has(r"^extends\s*:", r"^(constraints|remove|derived)\s*:")),
        ),
    ),
    CONFIGURATION: Kind(
        "a configuration",
        "use `pimsim run FILE`",
        _any(
            _both(_yaml, _has(r"^schema\s*:\s*[\"']?pimsim\.config/")),
            _both(_yaml, _has(r"^(dram|pim|asic|workload|extends)\s*:")),
        ),
    ),
}  # fmt: skip


def kind_of(path: str | os.PathLike[str]) -> str | None:
    """The kind of a file, a key of KINDS; None if it is none of them or cannot be read."""
    try:
        head = _head(path)
    except (InputError, OSError):
        return None
    return next((name for name, kind in KINDS.items() if kind.is_kind(head)), None)


def _head(path: str | os.PathLike[str]) -> bytes:
    head = bytearray()
    with open_input(path) as file:
        try:
            for piece in pieces_of(file, is_gzip(file)):
                head += piece
                if len(head) >= _HEAD:
                    break
        except (EOFError, zlib.error):  # as much as there is
            pass
    return bytes(head[:_HEAD]).removeprefix(b"\xef\xbb\xbf")


@contextmanager
def expecting(wanted: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """If the block refuses the file because it is of another kind than `wanted`, say that and nothing else."""
    try:
        yield
    except InputError:
        if other := misplaced(wanted, path):
            raise InputError(other) from None
        raise


def misplaced(wanted: str, path: str | os.PathLike[str]) -> Problem | None:
    """What is said of a file of another kind than `wanted`; None if it is not known to be one."""
    file = os.fspath(path)
    if os.path.isdir(file):
        return _folder(wanted, file)
    found = kind_of(path)
    if found in (None, wanted):
        return None
    kind = KINDS[found or ""]
    use = kind.use.replace("FILE", _quoted(file))
    return Problem(file, 1, 1, "", f"is {kind.name}, not {KINDS[wanted].name}; {use}")


# Folders by a file in them: what they are, and what to do with FOLDER instead.
_FOLDERS = (
    ("sweep.json", "the results of a sweep", "go on with it by `pimsim sweep SWEEP --out FOLDER --resume`"),
    ("config.resolved.yaml", "the results of a run", "its configuration is FOLDER/config.resolved.yaml"),
    ("config.json", "a model of Hugging Face", "use `pimsim trace export --hf-config FOLDER --out TRACE.jsonl`"),
)


def _folder(wanted: str, folder: str) -> Problem | None:
    for name, what, use in _FOLDERS:
        if os.path.isfile(os.path.join(folder, name)):
            use = use.replace("FOLDER", _quoted(folder.rstrip("/") or "/"))
            return Problem(folder, 1, 1, "", f"is a folder, {what}, not {KINDS[wanted].name}; {use}")
    return None


def _quoted(name: str) -> str:
    """A name as a shell takes it."""
    import shlex  # not for those whose files are what they should be

    return shlex.quote(name)
