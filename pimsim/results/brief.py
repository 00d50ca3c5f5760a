"""A run in a few lines: what `print(result)` shows, made from the summary alone.

What ran, the headline and the ranking of causes are those of the whole screen (`results.terminal`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from pimsim.results import beside, scheduled
from pimsim.results.devices import shared
from pimsim.results.headline import headline, number, percent
from pimsim.results.layout import Line, columns, cropped, width_of, wrapped
from pimsim.results.written import readable
from pimsim.text import one_line

WIDTH = 80
LINES = 15
_UNIT = 24  # columns of a unit that leave room for a figure beside it
_PARTS = 5  # of a breakdown at most
_BASELINES = 3
_NAME = 40  # columns of a name that leave room for what ran
_GAP = "  "
_MORE = "..."

Summary = Mapping[str, Any]


def brief(name: str, summary: Summary, ascii_only: bool = False) -> str:
    """At most `LINES` lines of at most `WIDTH` columns: what ran and on what, headline, causes, baselines, warnings.

    name        of the run, which no summary has: that of its configuration, or of its folder
    ascii_only  for a screen that has nothing else
    """
    lines = [*wrapped(title(_short(name, _NAME), summary), WIDTH)][:2]
    if placement := summary.get("placement"):
        lines += [*wrapped(beside.line(placement), WIDTH)][:1]
    if devices := summary.get("devices"):
        lines += [*wrapped(shared(devices), WIDTH)][:1]
    lines += headline_lines(summary, WIDTH, ascii_only)
    lines += _columns([*_shares(summary["system"])])
    lines += _columns([*_ratios(summary["baselines"])])
    lines += [[(line, "")] for line in _warnings(summary["warnings"], LINES - len(lines))]
    text = "\n".join(_short("".join(text for text, _ in line), WIDTH) for line in lines[:LINES])
    return text.encode("ascii", "replace").decode() if ascii_only else text


def title(name: str, summary: Summary) -> str:
    """A run's name, and what ran."""
    return f"{name}: {ran(summary)}"


def ran(summary: Summary) -> str:
    """What ran, in words."""
    workload = summary["workload"]
    tokens = scheduled.prompt(summary) if "schedule" in summary else workload["prompt_tokens"]
    alone = "schedule" not in summary and not workload["output_tokens"]
    prompt = f" after a prompt of {tokens:,}" if tokens and not alone else ""
    before = f" from a context of {workload['context']:,}" if workload["context"] else ""
    batch = f", batch {workload['batch']}" if workload["batch"] > 1 else ""
    steps = workload["output_tokens"]
    scope = "with LM head" if workload["lm_head"] else "without LM head"
    decoded = f"a prompt of {tokens:,} alone" if alone else f"{steps:,} token{'s' if steps > 1 else ''} decoded"
    what = f"{workload['model']}, {decoded}"
    if "schedule" in summary:
        what = scheduled.title(summary)
    return f"{what}{before}{prompt}{batch}, {scope}"


def headline_lines(summary: Summary, width: int, ascii_only: bool) -> Iterator[Line]:
    """The headline in two columns, or in one where the screen is narrow; long units have lines of their own."""
    figures = headline(summary)
    if ascii_only:
        figures = [(what, value, unit.replace("µ", "u")) for what, value, unit in figures]
    if width < WIDTH:
        for what, value, unit in figures:
            yield from wrapped(f"{what:<15} {value:>9} {unit}", width)
        return
    wide = [figure for figure in figures if len(figure[2]) > _UNIT]
    yield from ([(f"{what}  {value} {unit}", "")] for what, value, unit in wide)
    figures = [figure for figure in figures if figure not in wide]
    half = (len(figures) + 1) // 2
    pairs = zip_longest(figures[:half], figures[half:], fillvalue=("", "", ""))
    rows = [[*left, f"  {right[0]}", *right[1:]] for left, right in pairs]
    yield from columns([[(text, "") for text in row] for row in rows], ["left", "right", "left"] * 2, gap=1)


def ranked(parts: Mapping[str, float], most: int) -> list[tuple[str, float]]:
    """The largest parts that are not zero, and the sum of the others: `most` in all."""
    found = sorted(((name, value) for name, value in parts.items() if value), key=lambda part: -part[1])
    if len(found) <= most:
        return found
    return [*found[: most - 1], ("other", sum(value for _, value in found[most - 1 :]))]


def _columns(rows: Sequence[tuple[str, str]]) -> Iterator[Line]:
    """Names and what is said of them: a name gives way to figures, which mean nothing when they are cut."""
    room = WIDTH - len(_GAP) - max((width_of(said) for _, said in rows), default=0)
    return columns([[(_short(what, room), ""), (said, "")] for what, said in rows], ["left", "left"], len(_GAP))


def _shares(system: Summary) -> Iterator[tuple[str, str]]:
    for what, breakdown in (("Latency", "latency_breakdown_ns"), ("Energy", "energy_breakdown_pJ")):
        room = WIDTH - len(_GAP) - len("Latency")
        told = [_largest(system[breakdown], most) for most in range(_PARTS, 0, -1)]
        yield what, next((text for text in told if width_of(text) <= room), told[-1])


def _largest(parts: Mapping[str, float], most: int) -> str:
    total = sum(parts.values()) or 1.0
    return ", ".join(f"{readable(name)} {percent(value / total)}" for name, value in ranked(parts, most))


def _ratios(baselines: Mapping[str, Summary]) -> Iterator[tuple[str, str]]:
    """Over each machine, as long as there is room."""
    shown = list(baselines)[: _BASELINES if len(baselines) <= _BASELINES else _BASELINES - 1]
    for name in shown:
        yield f"Over {name}", _over(baselines[name])
    if left := len(baselines) - len(shown):
        yield f"and {left} more", ""


def _over(baseline: Summary) -> str:
    """Ratios over one machine, the roofline's first: it is the bound that no software on it beats."""
    both = {what: part for what, part in (("roofline", baseline["roofline"]), ("eager", baseline)) if _fits(part)}
    if not both:
        return "the model does not fit"
    speedups = ", ".join(f"{number(part['speedup'])}x {what}" for what, part in both.items())
    energies = ", ".join(f"{number(part['energy_ratio'])}x" for part in both.values())
    return f"speedup {speedups}; energy {energies}"


def _fits(part: Summary) -> bool:
    return part["speedup"] is not None


def _warnings(warnings: list[str], room: int) -> Iterator[str]:
    """As many as fit, each a paragraph; the last line says how many there are where that is not all."""
    lines = [
        "".join(text for text, _ in line) for warning in warnings for line in wrapped(f"Warning: {warning}", WIDTH)
    ]
    if len(lines) <= room:
        yield from lines
        return
    yield from lines[: room - 1]
    yield f"{_MORE} {len(warnings)} warning{'s' if len(warnings) > 1 else ''} in all"


def _short(text: str, room: int) -> str:
    """As much of a text as fits on a line, saying that there is more."""
    text = one_line(text).rstrip()
    if width_of(text) <= room:
        return text
    return "".join(text for text, _ in cropped([(text, "")], room - len(_MORE))) + _MORE
