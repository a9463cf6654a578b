"""How the documentation is built: ``python -m sphinx -W --keep-going -n docs OUT``.

It describes the package that is installed beside Sphinx, not the sources beside this file.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import etseg

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

# a11y_pygments, which Furo brings along, has the root logger print everything from INFO on.
for name in ("etseg", "traitlets"):
    logging.getLogger(name).setLevel(logging.WARNING)

project = "etseg"
author = "The etseg developers"
project_copyright = author
release = version = etseg.__version__

extensions = [
    "myst_nb",  # brings myst_parser
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinxext.opengraph",
    "etseg_docstrings",
    "etseg_pictures",
    "etseg_tables",
    "etseg_timings",
]
exclude_patterns = ["_ext", "pictures"]
nitpicky = True

# -- Text
myst_heading_anchors = 3

# -- The notebook, executed
nb_execution_mode = "force"
nb_execution_in_temp = True  # it needs nothing that lies beside it
nb_execution_raise_on_error = True
nb_execution_timeout = 300

# -- API
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
maximum_signature_line_length = 80
python_use_unqualified_type_names = True

# Names of others stay plain text: their inventories are on the network, which no build needs. Our
# own are all checked.
nitpick_ignore_regex = [
    (r"py:.*", r"(collections\.abc|enum|numpy|os|pathlib|starlette|types)\..*"),
    # Of options, which the docstrings describe.
    (r"py:.*", r"(Module|Worker)Keywords|CustomConfig|Activation|Resample"),
    (r"py:.*", r"etseg\._running\.stream\.Item"),  # the type variable of a generic class
    (r"py:.*", r"(etseg\._labels\.)?ByLabel"),  # a mapping; what may be a key, each method says
    (r"py:.*", r"(etseg\._labels\.)?LabelEnum"),  # an IntEnum, as each property says
    (r"py:.*", r"P(il|IL)\..*"),  # Pillow's images
]

# -- What is copied: neither prompts nor outputs
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# -- What others show of a link to a page
ogp_site_url = "https://etseg.github.io/etseg/"
ogp_image = "_static/social-card.jpg"
ogp_image_alt = "A photograph, and the same with the person painted over"
ogp_social_cards = {"enable": False}

# -- Pages
html_theme = "furo"
html_favicon = "_static/favicon.svg"
html_title = f"etseg {release}"
html_static_path = ["_static"]
html_css_files = ["etseg.css"]
html_js_files = [("etseg.js", {"defer": "defer"})]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6e4f", "color-brand-content": "#0b6e4f"},
    "dark_css_variables": {"color-brand-primary": "#5fd0a5", "color-brand-content": "#5fd0a5"},
}
