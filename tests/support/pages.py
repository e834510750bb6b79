"""Pages of the documentation, and what their headings are called in links."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    return {anchor_of(heading) for heading in _HEADING.findall(_FENCED.sub("", page.read_text()))}


def anchor_of(heading: str) -> str:
    """Return what a heading is called in links."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower().strip()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def sections_of(page: Path) -> dict[str, str]:
    """Return the text below each second-level heading by the heading's anchor."""
    _, *parts = re.split(r"^## (?=.*$)", page.read_text(), flags=re.MULTILINE)
    return {anchor_of(heading): text for heading, _, text in (part.partition("\n") for part in parts)}
