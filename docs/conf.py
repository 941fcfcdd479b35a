"""Sphinx configuration."""

import os
import sys
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "10000")
sys.path.insert(0, str(Path(__file__).parent))

import _docstrings
import _generate

from phosphene.core.version import __version__

_generate.write_all()

project = "phosphene"
author = "The phosphene authors"
project_copyright = "2026, The phosphene authors"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "_math",
]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
exclude_patterns = ["_build"]
html_math_renderer = "drawn"
html_theme = "furo"
html_title = "phosphene"
html_static_path = ["_static"]
html_css_files = ["phosphene.css"]
# Inline types of torch and numpy are not linked: their inventories are on the network.
nitpicky = False
suppress_warnings = ["autosummary", "ref.python"]


def setup(app):
    # Before napoleon, which listens with the default priority of 500.
    app.connect("autodoc-process-docstring", _docstrings.docstring, priority=400)
    app.connect("autodoc-process-signature", _docstrings.signature)
