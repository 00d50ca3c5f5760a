"""The script of the charting library, from an installed package, packed so that a page may carry it.

A page unpacks what it carries by itself (`DecompressionStream`, which browsers have since 2023), so it needs no
network and is a third of the size that it would be.
"""

from __future__ import annotations

import base64
import zlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_LEVEL = 3  # of 0 to 9: higher ones take three times as long for a tenth less


@cache
def library() -> str:
    """plotly's script, packed; the package itself is not imported.  ImportError says what to install."""
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("a page needs the script of plotly: pip install plotly")
    return packed((Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js").read_bytes())


def packed(content: bytes) -> str:
    """Content as text that may stand in a page; the page's `pimsim.unpacked` is its opposite."""
    return base64.b64encode(zlib.compress(content, _LEVEL)).decode("ascii")
