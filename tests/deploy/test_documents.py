"""The documentation points at what there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from pages import anchors_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
WORKER: Final = ROOT / "worker/src/wanimate_worker"
DECISIONS: Final = ROOT / "docs/decisions"
DEPENDENCIES: Final = "0001-dependencies.md"
PAGES: Final = sorted(
    page for pattern in ("*.md", "docs/**/*.md", "*/README.md", "deploy/**/*.md") for page in ROOT.glob(pattern)
)


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


def test_every_page_that_a_finding_names_exists() -> None:
    named = {found for file in WORKER.rglob("*.py") for found in re.findall(r"\bdocs/[\w./#-]+", file.read_text())}
    assert named
    for address in named:
        page, _, anchor = address.rstrip(".").partition("#")
        assert (ROOT / page).exists(), address
        assert not anchor or anchor in anchors_of(ROOT / page), address


def test_no_page_holds_a_conflict_marker() -> None:
    assert not [page for page in PAGES if re.search(r"^(<{7}|>{7}) ", page.read_text(), re.MULTILINE)]


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


def test_the_index_lists_decisions_in_force_and_then_those_replaced() -> None:
    in_force, replaced = [], []
    for page in sorted(DECISIONS.glob("0*.md")):
        number, title = page.read_text().splitlines()[0].removeprefix("# ").split(". ", 1)
        assert page.name.startswith(f"{int(number):04}-"), page.name
        row = f"| [{int(number):04}]({page.name}) | {title} |"
        if successors := successors_of(page):
            replaced.append(f"{row} {', '.join(f'[{name[:4]}]({name})' for name in successors)} |")
        else:
            in_force.append(row)
    index = (DECISIONS / "README.md").read_text()
    before, after = index.split("## Replaced\n")
    assert re.findall(r"^\| \[.*$", before, re.MULTILINE) == in_force
    assert re.findall(r"^\| \[.*$", after, re.MULTILINE) == replaced


def test_a_replaced_decision_is_a_stub_that_names_decisions_in_force() -> None:
    pages = {page: successors_of(page) for page in DECISIONS.glob("0*.md")}
    for page, successors in pages.items():
        assert all(pages[DECISIONS / name] == () for name in successors), page.name
        assert not successors or len(page.read_text().split()) < 60, page.name


def test_a_decision_in_force_is_short_and_has_every_part() -> None:
    for page in DECISIONS.glob("0*.md"):
        text = page.read_text()
        if not successors_of(page):
            parts = [text.find(f"\n**{part}.**") for part in ("Context", "Decision", "Consequences")]
            assert -1 not in parts, page.name
            assert parts == sorted(parts), page.name
            assert len(text.split()) <= 200 or page.name == DEPENDENCIES, page.name


def test_every_dependency_has_a_line_that_says_why() -> None:
    named = re.findall(r"^- ([^:]+):\s", (DECISIONS / DEPENDENCIES).read_text(), re.MULTILINE)
    names = [name for names in named for name in re.sub(r" \([^)]*\)", "", names).split(", ")]
    assert set(names) == dependencies() | {"hatchling", "hiredis"}


def dependencies() -> set[str]:
    """Return the names of what the packages and their development need, without those of this workspace."""
    specifiers: list[str] = []
    for file in (ROOT / "pyproject.toml", *ROOT.glob("*/pyproject.toml")):
        project = tomllib.loads(file.read_text())
        groups = {**project["project"].get("optional-dependencies", {}), **project.get("dependency-groups", {})}
        specifiers += project["project"].get("dependencies", [])
        specifiers += [each for group in groups.values() for each in group if isinstance(each, str)]
    names = {re.split(r"[\[<>=;~! ]", each)[0].lower() for each in specifiers}
    return {name for name in names if not name.startswith("wanimate")}


def successors_of(page: Path) -> tuple[str, ...]:
    """Return the pages by which a decision is replaced; none if it is in force."""
    note = re.search(r"^\*\*Replaced by (.*?)\.\*\*", page.read_text(), re.MULTILINE | re.DOTALL)
    return tuple(re.findall(r"\]\((0[\w-]+\.md)\)", note[1])) if note else ()
