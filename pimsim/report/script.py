"""The script of the charting library, packed so that a page may carry it.

The build packs it (hatch_build.py), so nobody needs the library itself, which has fifteen times the size.  A page
unpacks what it carries by itself (`DecompressionStream`, which browsers have since 2023), so it needs no network and
is a third of the size that it would be.
"""

from __future__ import annotations

import base64
import zlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

BUILT = Path(__file__).parent / "assets" / "plotly.txt"
_LEVEL = 6  # of 0 to 9: higher ones gain nothing


@cache
def library() -> str:
    """plotly's script, packed: as the build left it, else, in a clone that is not installed, of plotly."""
    return BUILT.read_text(encoding="ascii") if BUILT.exists() else packed(installed())


def installed() -> bytes:
    """The script of the plotly that is installed, which is not imported.  ImportError says what to install."""
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("a page needs the script of plotly: pip install plotly")
    return (Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js").read_bytes()


def packed(content: bytes) -> str:
    """Content as text that may stand in a page; the page's `pimsim.unpacked` is its opposite."""
    return base64.b64encode(zlib.compress(content, _LEVEL)).decode("ascii")
