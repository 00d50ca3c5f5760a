"""The section `accuracy` of a sweep: a model's weights, which run at every point, and how well they speak there.

    accuracy: {weights: models/char-llama, text: models/held-out.txt, tokenizer: models/tokenizer.json, tokens: 512}

Files are relative to the sweep file.  Workers simulate the points; what is said is computed by the process that runs
the sweep, on all its cores: once for all points that round alike, the reference once for all of them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pimsim.config.schema import Config
from pimsim.config.tree import Entry, Position
from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.held import on_disk
from pimsim.sweep.kept import Kept
from pimsim.sweep.point import Row, config_of, with_figures
from pimsim.sweep.space import PointRequest
from pimsim.workload.source import with_model

if TYPE_CHECKING:
    from pimsim.generation.accuracy import Ruler
    from pimsim.sweep.backends import Backend
    from pimsim.values.weights.model import Weights

SECTION = "accuracy"
FIGURES = ("perplexity", "agreement", "mean_kl")  # what can be an objective
NAMES = tuple(f"{SECTION}.{figure}" for figure in FIGURES)
RISING = (f"{SECTION}.agreement",)  # more of it is better
TOKENS = 512  # of a text that are read unless the section says how many
_MOST_TOKENS = 1_000_000
_FILES = ("weights", "text", "tokenizer")
_KEYS = (*_FILES, "tokens")
_DIGITS = 9  # the last bits of an exponential are not the same on every machine

# What the weights say: a sweep that says it too means something else.
_MODELS = ("workload.model", "workload.model_config", "workload.trace")
_WITH_A_MODEL = ("workload.lm_head", "workload.biases")


@dataclass(frozen=True)
class Accuracy:
    """A model's weights, the tokens of a text, and what both are identified by."""

    weights: Weights = field(repr=False)
    ids: tuple[int, ...] = field(repr=False)
    sha256: str


class Measured:
    """A backend whose rows say as well how well their points speak."""

    def __init__(self, pool: Backend, accuracy: Accuracy) -> None:
        from pimsim.generation.accuracy import Ruler

        self._pool = pool
        self._measure: Ruler = Ruler(accuracy.weights, accuracy.ids)
        self._kept = Kept()

    def map(
        self, items: Iterable[tuple[int, PointRequest]], run_of: Callable[[int], int] | None = None
    ) -> Iterator[tuple[int, Row]]:
        """As the backend's."""
        waiting: dict[int, PointRequest] = {}

        def noted() -> Iterator[tuple[int, PointRequest]]:
            for index, request in items:
                waiting[index] = request
                yield index, request

        for index, row in self._pool.map(noted(), run_of):
            yield index, with_figures(row, partial(self._figures, waiting.pop(index)))

    def _figures(self, request: PointRequest) -> Row:
        """The columns of a point; null where a design's logits are no numbers."""
        from pimsim.values.accuracy import finite

        config = config_of(request)
        assert isinstance(config, Config) and request.shape  # it was simulated
        made = self._measure(config.model_copy(update={"baselines": ()}), self._kept)
        found = made.measures
        figures = {name: _rounded(finite(getattr(found, name))) for name in (*FIGURES, "reference_perplexity")}
        how = {"tokens": made.tokens, "range_reduction": with_model(config, request.shape).asic.range_reduction}
        return {f"{SECTION}.{name}": value for name, value in (figures | how).items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS - 1}e}")


def unasked(name: str) -> str | None:
    """What is said of an objective that needs the section, where there is none; None if it is another one."""
    example = f"{SECTION}: {{weights: FILE, text: FILE}}"
    return f"whose accuracy? It needs a section `{example}` of this file" if name in NAMES else None


# -- the section ----------------------------------------------------------------------

Complain = Callable[[Position, str, str], None]


def read_section(entry: Entry, folder: str, complain: Complain) -> Accuracy | None:
    """What the section asks for, its files read; None after a complaint, or InputError with problems of a file."""
    if not isinstance(entry.value, Mapping):
        complain(entry.place, SECTION, f"must be a mapping of {', '.join(_KEYS)}")
        return None
    given, wrong = entry.value, False

    def refuse(place: Position, key: str, message: str) -> None:
        nonlocal wrong
        wrong = True
        complain(place, key, message)

    for name in given:
        if name not in _KEYS:
            refuse(given[name].place, f"{SECTION}.{name}", f"unknown key{did_you_mean(name, _KEYS)}")
    for name, what in (("weights", "the file or folder of a model"), ("text", "a file to read")):
        if name not in given:
            refuse(entry.place, f"{SECTION}.{name}", f"is needed: {what}")
    for name in _FILES:
        if name in given and not (isinstance(given[name].value, str) and given[name].value):
            refuse(given[name].place, f"{SECTION}.{name}", "must be the name of a file")
    tokens = given["tokens"].value if "tokens" in given else TOKENS
    if not isinstance(tokens, int) or isinstance(tokens, bool) or not 2 <= tokens <= _MOST_TOKENS:
        message = f"must be a whole number from 2 to {_MOST_TOKENS:,}"
        refuse(given["tokens"].place, f"{SECTION}.tokens", message)
        return None
    if wrong:
        return None
    paths = {name: os.path.join(folder, str(given[name].value)) for name in _FILES if name in given}
    try:
        with on_disk():
            return _read(paths, tokens)
    except InputError as error:
        raise InputError(_placed(problem, entry, given, paths) for problem in error.problems) from None


def _read(paths: Mapping[str, str], tokens: int) -> Accuracy:
    from pimsim.values.extra import library

    for name in ("ml_dtypes", "safetensors", "tokenizers"):
        library(name)
    from pimsim.generation.texts import ids_of
    from pimsim.values.weights.load import load_weights

    weights = load_weights(paths["weights"])
    weights.check()
    ids = ids_of(paths["text"], weights, paths.get("tokenizer"), tokens)
    content = json.dumps([sorted(weights.sha256().items()), ids])
    return Accuracy(weights, tuple(ids), hashlib.sha256(content.encode()).hexdigest())


def _placed(problem: Problem, entry: Entry, given: Mapping[str, Any], paths: Mapping[str, str]) -> Problem:
    """A problem of the files, at the key that names the file if that is not there, or if it is in no file."""
    for name, path in paths.items():
        if problem.file == path and (problem.line, problem.column, problem.key) == (1, 1, ""):
            place, message = given[name].place, f"{given[name].value}: {_as_key(problem.message)}"
            return Problem(place.file, place.line, place.column, f"{SECTION}.{name}", message)
    if problem.file:
        return replace(problem, message=_as_key(problem.message))
    key, message = SECTION, problem.message
    if problem.key == "--tokenizer":
        key, message = f"{SECTION}.tokenizer", f"is needed: {message.partition(';')[0]}"
    return Problem(entry.place.file, entry.place.line, entry.place.column, key, message)


def _as_key(message: str) -> str:
    """A message for a command, as one for a file."""
    return message.replace("by --tokenizer", "as `tokenizer`")


def check_keys(values: Iterable[tuple[str, Any, Position]], complain: Complain) -> None:
    """Complain of what a sweep says of the model that its weights say."""
    for key, value, place in values:
        for name, inner in _flat(key, value):
            if name in _MODELS or name.startswith("workload.model_config."):
                if inner is not None:
                    complain(place, name, f"the weights of `{SECTION}` say which model runs; leave it out")
            elif name in _WITH_A_MODEL and inner is not True:
                complain(place, name, f"must be true where tokens are computed (`{SECTION}`); leave it out")


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A value of a key, and those of the keys in it if it is a section."""
    value = value.value if isinstance(value, Entry) else value
    yield key, value
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}", inner)
