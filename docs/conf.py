"""Sphinx configuration: MyST pages, a gallery that runs, a reference drawn from the docstrings."""

import sys
from pathlib import Path

import sparseopt

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "sparseopt"
author = "the sparseopt developers"
project_copyright = "2025, the sparseopt developers"
release = version = sparseopt.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "solver_table",  # ours: docs/_ext/solver_table.py
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "gallery/README.rst", "gallery/*.py"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say the types
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

nitpicky = True
default_role = "code"  # single backticks in docstrings are code

# The documentation builds without a network; links into other projects are
# resolved where their inventories can be had, so none is demanded.
intersphinx_mapping = {}

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"plot_",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "reset_modules": (),
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "sparseopt"
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": False, "show_prev_next": False}


def keep_bars(_app, _what, _name, _obj, _options, lines):
    """Formulas in docstrings are plain text: the bars of |w| are no substitutions."""
    lines[:] = [line.replace("|", r"\|") if "`" not in line and ">>>" not in line else line for line in lines]


def setup(app):
    """Connect what is ours."""
    app.connect("autodoc-process-docstring", keep_bars)
