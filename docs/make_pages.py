"""Makes the pictures of pages in `docs/images/pages`: python docs/make_pages.py [NAME ...] (from the project's folder).

Each page is shown wide, on a phone, in the dark and as it is printed.  Needs Chromium, as `make test-browser` does.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ["PIMSIM_BROWSER"] = "1"  # else `browser` opens none

from PIL import Image  # noqa: E402

import pimsim  # noqa: E402
from pimsim import api  # noqa: E402
from pimsim.report import run_html  # noqa: E402
from tests.browser.browsing import PHONE, WIDE, browser, opened  # noqa: E402

IMAGES = ROOT / "docs" / "images" / "pages"
LARGEST = 250_000  # bytes of a picture
PAPER = 794  # px: A4
HEIGHT = 2400  # px that a picture shows of a page, from its top
# How a page is shown: options of the browser, and the medium.
SHOWN: Mapping[str, tuple[dict[str, Any], str]] = {
    "1400": ({"width": WIDE}, "screen"),
    "390": ({"width": PHONE}, "screen"),
    "dark": ({"width": WIDE, "color_scheme": "dark"}, "screen"),
    "print": ({"width": PAPER}, "print"),
}


def run_page() -> tuple[str, str]:
    """The page of the shipped run."""
    loaded = api.load("pim-gpt")
    return run_html(api.run(loaded.config, loaded.provenance)), ""


def sweep_page(name: str, fragment: str, reports: str | tuple[int, ...] = "none") -> tuple[str, str]:
    """The page of a shipped sweep."""
    with TemporaryDirectory() as folder:
        pimsim.sweep(name, folder, reports=reports)
        return (Path(folder) / "report.html").read_text(encoding="utf-8"), fragment


def compare_page() -> tuple[str, str]:
    """PIM-GPT beside GDDR6-AiM, on the same model."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "compare.html"
        pimsim.compare(["pim-gpt", "aim"], overrides={"workload.model": "gpt2-small"}).save(file)
        return file.read_text(encoding="utf-8"), ""


# What makes each page: its text, and the fragment of its address ("#show=...").
PAGES: Mapping[str, Callable[[], tuple[str, str]]] = {
    "run": run_page,
    "compare": compare_page,
    "sweep": lambda: sweep_page("channels", "#show=27", (27,)),
    "sweep-tornado": lambda: sweep_page("tornado", ""),
}


def small(picture: bytes) -> bytes:
    """The same picture with as many colours as it may have within `LARGEST`."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for colours in (256, 128, 64, 32, 16):
        made = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(made, "PNG", optimize=True)
        if made.tell() <= LARGEST:
            break
    return made.getvalue()


def shoot(name: str, text: str, fragment: str, running: Any) -> None:
    """The pictures of one page."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.html"
        file.write_text(text, encoding="utf-8")
        for shown, (options, medium) in SHOWN.items():
            with opened(running, file, fragment, **options) as page:
                page.emulate_media(media=medium)
                page.wait_for_timeout(500)
                tall = min(HEIGHT, page.evaluate("document.documentElement.scrollHeight"))
                page.set_viewport_size({"width": options["width"], "height": tall})
                page.wait_for_timeout(200)
                page.evaluate("scrollTo(0, 0)")  # a page scrolls to the point that its address names
                (IMAGES / f"{name}-{shown}.png").write_bytes(small(page.screenshot()))


def main() -> None:
    """Those that are named, else all."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with browser() as running:
        for name in sys.argv[1:] or PAGES:
            shoot(name, *PAGES[name](), running)


if __name__ == "__main__":
    main()
