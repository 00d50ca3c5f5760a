"""Texts beside points, with a line to them where they are away: none on another one, on a point, or outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist, allow_rasterization
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform
from numpy.typing import NDArray

from pimsim.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ANGLES = np.radians(np.arange(0, 360, 15))
_FURTHER_PT, _FURTHEST_PT = 5.0, 110.0  # from a point, in steps of
_NEAR_PT = 16.0  # of what no line leads to: farther away it would be taken for something else's
_SHORT_PT = 5.0  # a way that needs no line
_CROSSING = 40.0  # points of way that a text takes rather than a line across another one or through a point
_TURNING = 4.0  # for each radian that it is off its direction
_COVERING = 6.0  # and rather than one more dot of a line under it
_APART_PT = 1.0
_SPACE_PT = 4.0  # between texts on a line: with less they read as one
_BEFORE_TEXTS = 2.9  # in the order of drawing: texts are at 3
_PALE = 0.45  # discs, so that texts on them can be read
_DOT_PT = 4.0  # between the dots that a line is taken for

Floats = NDArray[np.float64]


class Callout(NamedTuple):
    """A text beside a point in data.

    radius_pt  of the mark at the point; ring_pt: of a disc that stands in the text's place, around it or before it
    towards    degrees: where it goes if it can; leads: a line goes to the point, where the text is away
    """

    text: str
    x: float
    y: float
    radius_pt: float = 0.0
    ring_pt: float = 0.0
    colour: str = style.BLACK
    towards: float = 0.0
    leads: bool = True


class Callouts(Artist):
    """The texts of several points of axes, put in their places when they are drawn, the first ones first.

    What finds no place is not drawn.
    lines  each (n, 2) in data, a point alone as well: texts rather stay off them
    """

    def __init__(self, ax: Axes, callouts: Sequence[Callout], lines: Sequence[Any] = ()) -> None:
        super().__init__()
        self.set_figure(style.figure_of(ax))
        self.axes = ax
        self.set_zorder(_BEFORE_TEXTS)
        self.set_in_layout(False)
        self._polylines = list(lines)
        self._items = [_Item(ax, each) for each in callouts]
        ax.add_artist(self)

    def get_children(self) -> list[Artist]:
        """Lines and discs; the texts are the axes'."""
        return [child for kind in zip(*(item.children for item in self._items), strict=True) for child in kind]

    @property
    def texts(self) -> list[Text]:
        """In the order of the points."""
        return [item.text for item in self._items]

    @allow_rasterization  # type: ignore[untyped-decorator]
    def draw(self, renderer: Any) -> None:
        """Put everything into its place; the axes draw the texts, afterwards."""
        if not self.get_visible():
            return
        self._place(renderer, renderer.points_to_pixels(1.0))
        for child in self.get_children():
            child.draw(renderer)

    def _place(self, renderer: Any, pt: float) -> None:
        assert self.axes is not None
        marks = self.axes.transData.transform([(item.said.x, item.said.y) for item in self._items])
        rim = np.array(self.axes.get_window_extent(renderer).extents)
        radii = [item.said.radius_pt * pt for item in self._items]
        taken = [(x - r, y - r, x + r, y + r) for (x, y), r in zip(marks, radii, strict=True) if r]
        others = set(self.axes.texts).difference(self.texts)
        taken += [text.get_window_extent(renderer).extents for text in others if text.get_visible()]
        dots, ways = self._dots(pt), list[tuple[Any, Any]]()
        for item, mark, radius in zip(self._items, marks, radii, strict=True):
            furthest = _FURTHEST_PT if item.said.leads else _NEAR_PT
            places = _around(mark, *item.size(renderer, pt), radius, furthest, pt)
            free = _free(places, np.array(taken).reshape(-1, 4), rim, _APART_PT * pt)
            item.show(bool(free.any()))
            if free.any():
                cost = _cost(places, mark, item.said.towards, dots, ways, pt)
                box = places[np.flatnonzero(free)[np.argmin(cost[free])]]
                space = 0.0 if item.said.ring_pt else _SPACE_PT * pt
                taken.append((box[0] - space, box[1], box[2] + space, box[3]))
                if way := item.put(box, mark, radius, pt):
                    ways.append(way)

    def _dots(self, pt: float) -> Floats:
        """(n, 2): places on the lines."""
        assert self.axes is not None
        found = [np.empty((0, 2))]
        for line in self._polylines:
            ends = self.axes.transData.transform(np.asarray(line, float))
            found.append(ends)
            for begin, end in zip(ends[:-1], ends[1:], strict=True):
                many = max(2, int(np.linalg.norm(end - begin) / (_DOT_PT * pt)))
                found.append(np.linspace(begin, end, min(many, 2000)))
        return np.concatenate(found)


class _Item:
    """A callout as artists."""

    def __init__(self, ax: Axes, said: Callout) -> None:
        self.said = said
        ink = style.BLACK if said.ring_pt else said.colour
        self.text = Text(0, 0, said.text, color=ink, fontsize=style.small(), ha="center", va="center")
        self._leader = Line2D([], [], color=style.GREY, linewidth=0.6, solid_capstyle="butt")
        self._ring = Line2D([], [], marker="o", color=said.colour, alpha=_PALE, markersize=2 * said.ring_pt,
                            markeredgewidth=0)  # fmt: skip
        self.text.set_transform(IdentityTransform())
        self.text.set_in_layout(False)
        ax.add_artist(self.text)
        self.children = (self._leader, self._ring)
        for child in self.children:
            child.set_figure(style.figure_of(ax))
        self._width = 0.0  # of the text, pixels

    def size(self, renderer: Any, pt: float) -> tuple[float, float]:
        """Width and height of text and disc: one around the other, or side by side where the disc is too small."""
        box, disc = self.text.get_window_extent(renderer), 2 * self.said.ring_pt * pt
        self._width = box.width
        width = max(box.width, disc) if self._around(pt) or not disc else box.width + disc + _APART_PT * pt
        return width, max(box.height, disc)

    def _around(self, pt: float) -> bool:
        return 2 * self.said.ring_pt * pt >= self._width + 2 * pt

    def show(self, visible: bool) -> None:
        """Whether it is drawn at all."""
        self.text.set_visible(visible)
        self._ring.set_visible(visible and self.said.ring_pt > 0)
        self._leader.set_visible(False)

    def put(self, box: Floats, mark: Any, radius: float, pt: float) -> tuple[Any, Any] | None:
        """Put it into a box; the way of the line to its mark, if it has one."""
        middle, disc = (box[:2] + box[2:]) / 2, self.said.ring_pt * pt
        beside = disc > 0 and not self._around(pt)
        self.text.set_position((box[2] - self._width / 2, middle[1]) if beside else tuple(middle))
        centre = np.array((box[0] + disc, middle[1])) if beside else middle
        self._ring.set_data([centre[0]], [centre[1]])
        end = _nearest(box, mark)
        if disc:
            away = mark - centre
            end = centre + away * min(1.0, disc / max(float(np.linalg.norm(away)), 1e-9))
        if not self.said.leads or np.linalg.norm(end - mark) - radius <= _SHORT_PT * pt * (not disc):
            return None
        self._leader.set_data([mark[0], end[0]], [mark[1], end[1]])
        self._leader.set_visible(True)
        return mark, end


# Boxes are (n, 4): x0, y0, x1, y1 in pixels; dots are (n, 2).


def _around(mark: Any, width: float, height: float, radius: float, furthest: float, pt: float) -> Floats:
    """Places for a text around a point, in rings, nearest first."""
    ways = np.arange(radius + 2 * pt, radius + furthest * pt, _FURTHER_PT * pt)
    way, angle = (each.ravel() for each in np.meshgrid(ways, _ANGLES, indexing="ij"))
    # the nearest side of the box, not its middle, is so far away
    x = mark[0] + np.cos(angle) * (way + width / 2)
    y = mark[1] + np.sin(angle) * (way + height / 2)
    return np.stack((x - width / 2, y - height / 2, x + width / 2, y + height / 2), axis=1)


def _free(boxes: Floats, taken: Floats, rim: Floats, apart: float) -> Any:
    """Which boxes are inside of the axes and on nothing."""
    inside = np.all(boxes[:, :2] >= rim[:2], axis=1) & np.all(boxes[:, 2:] <= rim[2:], axis=1)
    low, high = boxes[:, None, :2] - apart, boxes[:, None, 2:] + apart
    on = np.all((low < taken[None, :, 2:]) & (high > taken[None, :, :2]), axis=2)
    return np.logical_and(inside, ~np.any(on, axis=1))


def _cost(boxes: Floats, mark: Any, towards: float, dots: Floats, ways: Sequence[Any], pt: float) -> Floats:
    """How far away each box is, in points, and what is to be said against it."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    offset = middles - mark
    angles = np.arctan2(offset[:, 1], offset[:, 0])
    turn = np.abs(np.angle(np.exp(1j * (angles - np.radians(towards)))))
    cost = np.linalg.norm(offset, axis=1) / pt + _TURNING * turn + _COVERING * _within(boxes, dots).sum(axis=1)
    for begin, end in ways:
        cost += _CROSSING * _cross(mark, middles, begin, end)
        cost += _CROSSING * np.any(_within(boxes, np.linspace(begin, end, 24)), axis=1)
    return np.asarray(cost)


def _within(boxes: Floats, dots: Floats) -> Any:
    """(boxes, dots): which dots are in which box."""
    return np.all((dots[None] >= boxes[:, None, :2]) & (dots[None] <= boxes[:, None, 2:]), axis=2)


def _cross(mark: Any, middles: Floats, begin: Any, end: Any) -> Any:
    """Whether the way from a mark to each middle crosses a line."""

    def side(a: Any, b: Any, c: Any) -> Any:
        return (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])

    mark, begin, end = (np.asarray(each, float) for each in (mark, begin, end))
    apart = side(begin, end, mark) * side(begin, end, middles) < 0
    return np.logical_and(apart, side(mark, middles, begin) * side(mark, middles, end) < 0)


def _nearest(box: Any, mark: Any) -> Floats:
    """The point of a box that is nearest to a mark."""
    return np.asarray(np.clip(np.asarray(mark, float), box[:2], box[2:]))
