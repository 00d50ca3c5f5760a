"""What every report shares: the templates, numbers as people read them, data for the page's script."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from pimsim.report.charts import Chart, as_data
from pimsim.report.script import library
from pimsim.results.headline import energy_text, number, percent, size, time_text

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def environment() -> Environment:
    """The templates; everything that is put into them is escaped."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("pimsim.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": number, "size": size, "percent": percent, "cell": cell, "words": words, "spoken": spoken}
    made.filters |= {"charts_json": charts_json, "time": time_text, "energy": energy_text}
    made.globals |= {"asset": asset, "library": library, "charts": ()}
    return made


def render(template: str, **values: Any) -> str:
    """A template with its values; `charts` are those of the page, which it draws with plotly."""
    return environment().get_template(template).render(**values)


def asset(name: str) -> Any:
    """A style sheet or a script of `assets`, as it stands."""
    from markupsafe import Markup

    return Markup(resources.files("pimsim.report").joinpath("assets", name).read_text(encoding="utf-8").rstrip())


def charts_json(charts: Iterable[Chart]) -> str:
    """Charts as JSON for the page's script."""
    return script_json(as_data(charts), indent=None)


def script_json(value: Any, indent: int | None = 1) -> str:
    """JSON that may stand in a script element: nothing in it ends the element or begins a comment."""
    text = json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def cell(value: Any) -> str:
    """A value in a table: whole numbers in full, others to three digits."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else str(value)


def words(name: str) -> str:
    """A name without underscores."""
    return name.replace("_", " ")


BARS = "▁▂▃▄▅▆▇█"


def spark(values: Sequence[float]) -> str:
    """A bar for each value, from nought to the largest; one that is no number is as high."""
    top = max((value for value in values if math.isfinite(value)), default=0.0) or 1.0
    return "".join(
        BARS[round((len(BARS) - 1) * min(value / top, 1))] if value == value else BARS[-1] for value in values
    )


def spoken(text: str) -> str:
    """Text without its bars, for those who hear it."""
    return text.translate(dict.fromkeys(map(ord, BARS)))
