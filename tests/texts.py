"""What is wrong with the texts of a figure: on one another, outside, or smaller than readers can be asked to read."""

from __future__ import annotations

from itertools import combinations
from typing import Any
from unittest.mock import patch

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from pimsim.plots import style

LEAST_PT = 7.0
_TOUCHING = 0.6  # points by which boxes, which have air around the letters, may be on one another


def drawn_texts(ax: Axes) -> list[tuple[Text, Any]]:
    """The texts of a figure that are drawn, each with its box in pixels, laid out as in its file."""
    figure = style.figure_of(ax)
    style.png(ax)
    canvas, layout = FigureCanvasAgg(figure), figure.get_layout_engine()
    figure.set_layout_engine("none")
    found: dict[Text, None] = {}
    draw = Text.draw

    def noted(text: Text, renderer: Any) -> None:
        if text.get_visible() and text.get_text().strip():
            found[text] = None
        draw(text, renderer)

    with patch.object(Text, "draw", noted):
        canvas.draw()
    boxes = [(text, text.get_window_extent(canvas.get_renderer())) for text in found]
    figure.set_layout_engine(layout)
    return boxes


def wrong_texts(ax: Axes) -> list[str]:
    """What a figure shows wrongly, in words."""
    boxes, figure = drawn_texts(ax), style.figure_of(ax)
    pt, rim = figure.dpi / 72, figure.bbox
    found = [f"{text.get_text()!r} has {text.get_fontsize()} pt" for text, _ in boxes if text.get_fontsize() < LEAST_PT]
    for text, box in boxes:
        if box.x0 < rim.x0 - pt or box.y0 < rim.y0 - pt or box.x1 > rim.x1 + pt or box.y1 > rim.y1 + pt:
            found.append(f"{text.get_text()!r} leaves the figure")
    for (one, a), (other, b) in combinations(boxes, 2):
        width = min(a.x1, b.x1) - max(a.x0, b.x0)
        height = min(a.y1, b.y1) - max(a.y0, b.y0)
        if width > _TOUCHING * pt and height > _TOUCHING * pt:
            found.append(f"{one.get_text()!r} is on {other.get_text()!r}")
    return found
