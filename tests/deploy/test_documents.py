"""The documentation points at what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
WORKER: Final = ROOT / "worker/src/wanimate_worker"
DECISIONS: Final = ROOT / "docs/decisions"
PAGES: Final = sorted(
    page for pattern in ("*.md", "docs/**/*.md", "*/README.md", "deploy/**/*.md") for page in ROOT.glob(pattern)
)


def anchors_of(page: Path) -> set[str]:
    """Return what a page's headings are called in links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.strip()).replace(" ", "-") for heading in plain}


def links_of(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files that a page links to, each with the anchor."""
    for address in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not address.startswith(("http", "mailto")):
            file, _, anchor = address.partition("#")
            yield (page.parent / file if file else page), anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for file, anchor in links_of(page):
        assert file.exists(), file
        assert not anchor or anchor in anchors_of(file), f"{file}#{anchor}"


def test_every_test_that_a_page_names_exists() -> None:
    named = {name for page in PAGES for name in re.findall(r"`(tests/[\w./]+)`", page.read_text())}
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]


def test_a_newcomers_questions_are_answered_by_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| [A-Z].*\? \| (.*) \|$", text, re.MULTILINE)
    assert len(rows) == 10
    for row in rows:
        files = re.findall(r"`([\w./]+\.(?:py|lua))`", row)
        assert 1 <= len(files) <= 2
        paths = [(ROOT if name.startswith("producer/") else WORKER) / name for name in files]
        answers = "".join(path.read_text() for path in paths)
        assert all(name in answers for name in re.findall(r"`(\w+)`", row)), row


def test_the_index_of_decisions_has_each_with_its_title() -> None:
    index = (DECISIONS / "README.md").read_text()
    for page in DECISIONS.glob("0*.md"):
        number, title = page.read_text().splitlines()[0].removeprefix("# ").split(". ", 1)
        row = f"| [{int(number):04}]({page.name}) | {title[0].upper()}{title[1:]} |"
        assert row in index, row
        is_replaced = "**Replaced by" in page.read_text()
        assert is_replaced is (f"{row} replaced by" in index), row
