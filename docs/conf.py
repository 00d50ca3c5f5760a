"""Sphinx: `make docs` builds build/docs/index.html, warnings as errors."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent), str(DOCS)]

import pimsim  # noqa: E402

project = "pimsim"
author = "pimsim developers"
version = release = pimsim.__version__
html_title = f"pimsim {release}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
smartquotes_action = "qe"  # quotes and dots, and no dashes: `--set` stays what one types
html_theme = "furo"
html_copy_source = False
exclude_patterns = ["*.part.md", "_generated/*.part.md"]


def _generate(app: Sphinx) -> None:
    """Make what comes from runs, and check the pages that show it."""
    import generate

    generate.check()
    generate.write(DOCS / "_generated")


def setup(app: Sphinx) -> None:
    """Run it before anything is read."""
    app.connect("builder-inited", _generate)
