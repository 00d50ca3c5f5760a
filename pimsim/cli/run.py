"""`pimsim run`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

import click

from pimsim.cli.options import (
    Folder,
    announce,
    config_argument,
    figures_options,
    located_in,
    patience,
    progress_bar,
    set_option,
    wrong_figures,
)
from pimsim.cli.problems import option_problem, print_warnings
from pimsim.cli.process import is_ours
from pimsim.cli.prompts import prompt_options, the_prompt, the_start, the_weights, tokenizer_option
from pimsim.cli.say import emit, say, screen
from pimsim.errors import InputError, Problem

if TYPE_CHECKING:
    from pimsim.api import Loaded
    from pimsim.results.base import PlotSet
    from pimsim.results.result import Result

MOST_TOKENS = 32  # that are said with --values unless somebody asks for more: every command is carried out


@click.command()
@config_argument
@set_option
@click.option("--out", metavar="DIR", type=Folder(), help="Write summary, tables and plots to DIR.")
@figures_options
@click.option("--json", "as_json", is_flag=True, help="Print summary.json and nothing else on standard output.")
@click.option("--engine", type=click.Choice(["fast", "stepped"]), help="Override engine.mode; results are the same.")
@click.option("--no-fold", is_flag=True, help="Simulate every channel; results are the same.")
@click.option("--commands", metavar="FILE", help="Write every DRAM command to FILE (.csv, .csv.gz or .parquet).")
@click.option("--timeline", metavar="FILE", help="Write what happened when to FILE: .json, .json.gz (Perfetto), .vcd.")
@click.option("--window", metavar="START_NS:END_NS", help="Limit --commands and --timeline in time, ns.")
@click.option(
    "--values",
    "weights",
    metavar="WEIGHTS",
    help="Carry out every command on the weights of this model, which replaces CONFIG's.  Report, timeline and "
    "values.csv then show the range and the error of its values.  It is asked --prompt or --prompt-ids, if given.",
)
@tokenizer_option
@prompt_options
def run(
    config: str,
    overrides: tuple[str, ...],
    out: str | None,
    figures: str | None,
    style: str | None,
    as_json: bool,
    engine: str | None,
    no_fold: bool,
    commands: str | None,
    timeline: str | None,
    window: str | None,
    weights: str | None,
    tokenizer: str | None,
    prompt: str | None,
    prompt_ids: str | None,
) -> None:
    """Simulate CONFIG and print the results."""
    asked = {"--tokenizer": tokenizer, "--prompt": prompt, "--prompt-ids": prompt_ids}
    wrong = wrong_figures(figures, style, out)
    window_ns = _check_options(commands, timeline, window, {} if weights is not None else asked, wrong)
    with ExitStack() as stack:
        draw = stack.enter_context(_drawing(figures, style)) if out is not None else None
        from pimsim import api  # now that those who draw do not wait for it

        loaded = api.load(config, [*overrides, *_engine_overrides(engine, no_fold)])
        stack.enter_context(located_in(loaded))
        told: list[Problem] = []

        def tell(odd: Sequence[Problem]) -> None:
            told.extend(odd)
            print_warnings(odd, loaded.locate)

        how: dict[str, Any] = {"log": commands, "timeline": timeline, "window_ns": window_ns, "announce": announce}
        if weights is not None:
            result = _with_values(loaded, weights, asked, how, tell)
        else:
            prepared = api.prepare(loaded, tell)
            progress = stack.enter_context(progress_bar())
            result = api.run(prepared, loaded.provenance, progress=progress, **how)
        if out is not None:
            result.save(out, draw and draw(result), figures, style)
    print_warnings([warning for warning in result.warnings if warning not in told], loaded.locate)
    if as_json:
        from pimsim.results.summary import to_json

        emit(to_json(result.summary), nl=False)
        return
    from pimsim.results.terminal import print_summary

    print_summary(result, screen())
    if out is not None:
        say(f"written to {out}")


def _with_values(
    loaded: Loaded,
    path: str,
    asked: Mapping[str, str | None],
    how: Mapping[str, Any],
    tell: Callable[[Sequence[Problem]], None],
) -> Result:
    """A run on weights; what the command line asks it is in `asked`."""
    weights = the_weights(path, "--values")
    tokenizer, prompt, ids = asked["--tokenizer"], asked["--prompt"], asked["--prompt-ids"]
    found = the_start(weights, tokenizer) if prompt is ids is None else the_prompt(weights, prompt, ids, tokenizer)
    tokens = _tokens(loaded, len(found.ids), tell)
    from pimsim.generation import watched

    with patience(), progress_bar() as progress:
        return watched(
            loaded, weights, found.ids, tokens, ends=found.ends, tokenizer=found.tokenizer, tell=tell,
            progress=progress, **how,
        ).result  # fmt: skip


def _tokens(loaded: Loaded, prompt: int, tell: Callable[[Sequence[Problem]], None]) -> int:
    """How many tokens are said: MOST_TOKENS of a configuration, as many as wanted where that was set for this run."""
    from pimsim.api import language_model

    work = language_model(loaded.config).workload
    given = {key for key in ("prompt_tokens", "output_tokens") if loaded.provenance[f"workload.{key}"].file == "--set"}
    if "prompt_tokens" in given and work.prompt_tokens != prompt:
        what = f"must be {prompt}, as many as --values is asked with, not {work.prompt_tokens}; leave it out"
        raise InputError(what, key="workload.prompt_tokens")
    if "output_tokens" in given or work.output_tokens <= MOST_TOKENS:
        return work.output_tokens
    what = f"{MOST_TOKENS} tokens are said, not {work.output_tokens:,}: --set workload.output_tokens=N for N of them"
    tell([Problem("", 0, 0, "workload.output_tokens", what)])
    return MOST_TOKENS


def _drawing(figures: str | None, style: str | None) -> AbstractContextManager[Callable[[Result], PlotSet] | None]:
    """Who draws beside the simulation; None in a process that is not this command's."""
    if not is_ours():
        return nullcontext()
    from pimsim.plots import beside
    from pimsim.plots.looks import order

    return beside(order(figures, style))


def _engine_overrides(engine: str | None, no_fold: bool) -> list[str]:
    return ([f"engine.mode={engine}"] if engine else []) + (["engine.fold=false"] if no_fold else [])


def _check_options(
    commands: str | None,
    timeline: str | None,
    window: str | None,
    unasked: Mapping[str, str | None],
    wrong: Sequence[Problem],
) -> tuple[float, float] | None:
    """The window, if there is one; InputError with every option that is wrong.

    unasked: those that have no use; wrong: what is known to be wrong already
    """
    problems = list(wrong)
    for option, file in (("--commands", commands), ("--timeline", timeline)):
        if file == "":
            problems.append(option_problem(option, "needs the name of a file, but it is empty"))
    for option, given in unasked.items():
        if given is not None:
            problems.append(option_problem(option, "is for a run with --values, which is not given"))
    if timeline and timeline == commands:
        problems.append(option_problem("--timeline", "is the same file as --commands"))
    if window is not None and commands is None and timeline is None:
        problems.append(option_problem("--window", "limits --commands and --timeline, and neither is given"))
    limits = None if window is None else parse_window(window)
    if window is not None and limits is None:
        problems.append(option_problem("--window", f"must be START_NS:END_NS with 0 <= START < END, not {window!r}"))
    if problems:
        raise InputError(problems)
    return limits


def parse_window(text: str) -> tuple[float, float] | None:
    """START_NS:END_NS, None if it is not that."""
    start, _, end = text.partition(":")
    try:
        limits = float(start), float(end)
    except ValueError:
        return None
    return limits if 0 <= limits[0] < limits[1] < float("inf") else None
