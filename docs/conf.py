"""How Sphinx makes pages of these texts and of the docstrings:

python3 -m pip install -e ".[docs]" && python3 -m sphinx -W docs docs/_build
"""

import gpuad

project = "gpuad"
author = "the authors of gpuad"
version = release = gpuad.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "alabaster"
html_theme_options = {
    "description": gpuad.__doc__.partition("\n")[0].partition(": ")[2],
    "page_width": "75rem",
    "body_max_width": "60rem",
}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
# Texts that are read in the repository, too, link to files outside of this folder.
suppress_warnings = ["myst.xref_missing"]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
