"""Draws the Mermaid diagrams of the pages, which GitHub draws itself, as pictures for the site.

    $ npm pack mermaid && tar -xzf mermaid-*.tgz package/dist/mermaid.min.js
    $ .venv/bin/python docs/site/draw.py package/dist/mermaid.min.js

Needs a Chromium. A picture has the name of its diagram's text; the site shows a diagram without one as text.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PICTURES: Final = ROOT / "docs/site/diagrams"
FENCE: Final = re.compile(r"^```mermaid\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: Colours that can be read on light and on dark pages: the picture has a light ground of its own.
SETTINGS: Final = {
    "startOnLoad": False,
    "theme": "neutral",
    "fontFamily": "sans-serif",
    "htmlLabels": False,
    "state": {"useMaxWidth": False},
}


def picture_of(diagram: str) -> Path:
    """Return where the picture of a diagram is, or would be."""
    return PICTURES / f"{sha256(diagram.strip().encode()).hexdigest()[:16]}.svg"


def draw(script: Path) -> None:
    """Draw every diagram again, with Mermaid's `mermaid.min.js`."""
    from playwright.sync_api import sync_playwright  # here, for the site only asks for names

    chromium = os.environ.get("WANIMATE_BROWSER") or shutil.which("chromium")
    pages = [page for page in ROOT.rglob("*.md") if ".venv" not in page.parts]
    fences = [fence for page in pages for fence in FENCE.findall(page.read_text())]
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir()
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page()
        page.add_script_tag(path=script)
        page.evaluate("settings => mermaid.initialize(settings)", SETTINGS)
        for fence in fences:
            drawn = page.evaluate("async text => (await mermaid.render('diagram', text)).svg", fence)
            picture_of(fence).write_text(f"{drawn}\n")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
