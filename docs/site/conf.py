"""The documentation site: the repository's own Markdown, and the API from its docstrings. Built by `make site`."""

from __future__ import annotations

import re
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Final

from docutils import nodes
from sphinx.addnodes import pending_xref

sys.path.insert(0, str(Path(__file__).parent))
from draw import picture_of

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

ROOT: Final = Path(__file__).parents[2]

project = "Wanimate"
author = "the Wanimate authors"
project_copyright = "the Wanimate authors, Apache-2.0"
release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
version = release

# --- pages ------------------------------------------------------------------------------------------------------------

#: The site's sections, with their pages in order. A page belongs to the first section that has a pattern for it.
SECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "docs/site/quickstart": ("docs/quickstart/backend", "docs/quickstart/celery", "docs/quickstart/*"),
    "docs/site/operate": (
        "docs/operations",
        "docs/runbooks",
        "docs/monitoring",
        "docs/troubleshooting",
        "deploy/README",
        "deploy/kubernetes/README",
        *("docs/scaling", "docs/plans", "docs/redis", "docs/logs", "docs/tracing", "docs/flower"),
    ),
    "docs/site/explanation": (
        *("docs/guarantees", "docs/architecture", "docs/polling", "docs/refusals", "docs/security"),
        "benchmarks/README",
    ),
    "docs/site/reference": (
        "docs/site/api",
        "docs/site/command-line",
        "docs/reference/*",
        *("docs/errors", "docs/glossary"),
        *("producer/README", "worker/README", "simulator/README", "devstack/README"),
        *("docs/releases", "CHANGELOG", "CONTRIBUTING", "docs/README"),
    ),
    "docs/decisions/README": ("docs/decisions/0*",),
    # What no other section has; last here, second on the site.
    "docs/site/guides": (
        *("docs/celery", "docs/webhooks", "docs/recipes/README", "docs/kept-videos", "docs/local-files"),
        *("docs/callbacks", "docs/testing", "docs/cost", "docs/*", "docs/recipes/*"),
    ),
}
root_doc = "README"
NAVIGATION_BAR: Final = (
    *("docs/site/quickstart", "docs/site/guides", "docs/site/operate", "docs/site/explanation"),
    *("docs/site/reference", "docs/decisions/README"),
)
include_patterns = ["*.md", "docs/*.md", "docs/**/*.md", "*/README.md", "deploy/**/README.md"]
exclude_patterns = [".*", "build", "dist", "tests", "**/src", "**/__pycache__", "docs/site/static"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
]
nitpicky = True
# Options are written with two hyphens.
smartquotes = False
# Fences with `…` for what is left out, and diagrams that only GitHub draws, are shown as they are written.
suppress_warnings = ["misc.highlighting_failure"]

myst_heading_anchors = 6

# --- API --------------------------------------------------------------------------------------------------------------

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False
# In docstrings, names between single backticks: a link where there is such a name, otherwise code.
default_role = "py:obj"

# --- HTML -------------------------------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = f"Wanimate {release}"
html_context = {"default_mode": "auto"}
html_favicon = "static/favicon.svg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_domain_indices = False
html_theme_options = {
    "logo": {"text": "Wanimate"},
    "navbar_start": ["navbar-logo", "version-switcher"],
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "switcher": {"json_url": "../versions.json", "version_match": release},
    # It is written beside the versions after the build.
    "check_switcher": False,
    "show_version_warning_banner": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "search_as_you_type": True,
}
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True


def place_pages(found: set[str]) -> dict[str, list[str]]:
    """Return the pages of each section: each in one, in the order of the patterns."""
    left = found - {root_doc, *SECTIONS}
    placed: dict[str, list[str]] = {}
    for section, patterns in SECTIONS.items():
        pages = placed[section] = []
        for pattern in patterns:
            # A star stands for one part of a path.
            matching = sorted(name for name in left if fnmatch(name, pattern) and name.count("/") == pattern.count("/"))
            pages += matching
            left -= set(matching)
    return placed


def add_navigation(app: Sphinx, docname: str, source: list[str]) -> None:
    """Append the tree of pages, which the pages themselves do not have."""
    sections = place_pages(app.env.found_docs)
    pages = NAVIGATION_BAR if docname == root_doc else sections.get(docname, ())
    if pages:
        hidden = ":hidden:\n" if docname in {root_doc, "docs/decisions/README"} else ":maxdepth: 1\n"
        source[0] += "\n\n```{toctree}\n" + hidden + "\n" + "\n".join(f"/{page}" for page in pages) + "\n```\n"


def show_folders_as_text(app: Sphinx, doctree: nodes.document) -> None:
    """Show links to folders, which the site does not have, as text."""
    for link in list(doctree.findall(pending_xref)):
        folder = Path(app.env.doc2path(app.env.docname)).parent / link["reftarget"]
        if link["reftype"] == "myst" and folder.is_dir():
            link.replace_self(link.children)


def show_diagrams(_app: Sphinx, doctree: nodes.document) -> None:
    """Show a Mermaid diagram as the picture that `draw.py` has made; one that was changed since, as it is written."""
    for fence in list(doctree.findall(nodes.literal_block)):
        picture = picture_of(fence.astext())
        if fence.get("language") == "mermaid" and picture.exists():
            uri = f"/{picture.relative_to(ROOT)}"
            fence.replace_self(nodes.container("", nodes.image(uri=uri, alt=fence.astext()), classes=["diagram"]))


def show_names_as_code(_app: Sphinx, _env: BuildEnvironment, name: pending_xref, text: nodes.Node) -> nodes.Node | None:
    """Show names of Python that the site does not describe as code. A page or a heading that is missing is an error."""
    return text if name.get("refdomain") == "py" else None


def as_name_or_code(found: re.Match[str]) -> str:
    """Return what stands between single backticks, as code if it is no name."""
    return found[0] if re.fullmatch(r"[A-Za-z_][\w.]*(\(\))?", found[1]) else f"``{found[1]}``"


def prepare_docstring(_app: Sphinx, kind: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Show what a module's docstring draws, such as the tree of errors, as it is; link names between backticks."""
    if kind == "module":
        lines[1:] = ["", "::", "", *(f"   {line}" for line in lines[1:])]
        return
    lines[:] = [re.sub(r"(?<!`)`([^`]+)`(?!`)", as_name_or_code, line) for line in lines]


def setup(app: Sphinx) -> None:
    """Connect what is above."""
    app.connect("source-read", add_navigation)
    # Before Sphinx collects the images of a page.
    app.connect("doctree-read", show_diagrams, priority=100)
    app.connect("doctree-read", show_folders_as_text)
    app.connect("missing-reference", show_names_as_code)
    app.connect("autodoc-process-docstring", prepare_docstring)
