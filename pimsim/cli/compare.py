"""`pimsim compare`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from pimsim.cli.options import configurations, options_located, progress_bar, set_option
from pimsim.cli.problems import option_problem, print_warnings
from pimsim.cli.say import emit, say, screen
from pimsim.errors import InputError, Problem

_RUNS = "DIR_OR_CONFIG"


@click.command()
@click.argument("runs", nargs=-1, metavar=f"{_RUNS}...", shell_complete=configurations)
@set_option
@click.option("--base", type=int, default=1, metavar="N", help="Compare with run N, not with the first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else on standard output.")
@click.option("--out", metavar="FILE", help="Write a page (.html) or a figure (.png, .pdf, .svg) to FILE.")
def compare(runs: tuple[str, ...], overrides: tuple[str, ...], base: int, as_json: bool, out: str | None) -> None:
    """Put two or more runs side by side: what differs in the inputs first, then in the results.

    DIR is a folder that `pimsim run --out` wrote; CONFIG is run, with every --set.  Differences by cause and by
    component sum to the difference of the whole.  Runs are exact: what differs has its reason in the inputs.
    """
    problems = list(_wrong_options(runs, base, out))
    from pimsim.comparison import Comparison
    from pimsim.sidebyside import asked

    try:
        with options_located():
            ready = asked(runs, overrides, lambda odd: print_warnings([odd]))
    except InputError as error:
        raise InputError([*problems, *error.problems]) from error
    if problems:
        raise InputError(problems)
    with progress_bar() as progress:
        results = [each.result(progress, lambda odd: print_warnings([odd])) for each in ready]
    comparison = Comparison.of(results, base=base - 1, made=[each.made for each in ready])
    if out is not None:
        comparison.save(out)
    if as_json:
        emit(comparison.to_json(), nl=False)
        return
    from pimsim.comparison.terminal import print_comparison

    print_comparison(comparison.summary, screen())
    if out is not None:
        say(f"written to {out}")


def _wrong_options(runs: tuple[str, ...], base: int, out: str | None) -> Iterator[Problem]:
    """Everything that is wrong with the command line itself."""
    if len(runs) < 2:
        yield option_problem(
            _RUNS, f"two runs or more are needed, not {len(runs) or 'none'}; see `pimsim compare --help`"
        )
    elif not 1 <= base <= len(runs):
        yield option_problem("--base", f"must be from 1 to {len(runs)}, the number of a run, not {base}")
    if out is not None:
        from pimsim.comparison import wrong_suffix

        if wrong := wrong_suffix(out):
            yield option_problem("--out", wrong)
