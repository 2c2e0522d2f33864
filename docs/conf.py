"""Sphinx configuration: MyST pages, a gallery that runs, a reference drawn from the docstrings."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "sparseopt"
author = "the sparseopt developers"
project_copyright = "2025, the sparseopt developers"
release = version = installed_version("sparseopt")

extensions = [
    "myst_parser",
    "numpydoc",
    "solver_table",  # ours: docs/_ext/solver_table.py
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "gallery/README.rst", "gallery/*.py", "reference/generated/index.rst"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

nitpicky = True

# The documentation builds without a network; links into other projects are
# resolved where their inventories can be had, so none is demanded.
intersphinx_mapping = {}

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "gallery/auto",
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
