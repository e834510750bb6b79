"""The documentation site."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
import wanimate
from sphinx.util.inventory import InventoryFile

ROOT: Final = Path(__file__).parents[2]
BUILD: Final = ROOT / "docs/site/build.py"
#: Builds one version from another tree of pages.
BUILD_TREE: Final = "import pathlib, sys, build; sys.exit(build.build(*map(pathlib.Path, sys.argv[1:])))"
#: Lists versions as the build does at its end.
LIST: Final = "import pathlib, sys, build; build.list_versions(pathlib.Path(sys.argv[1]), '/docs')"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=BUILD.parent)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site, built as `make site` does."""
    folder = tmp_path_factory.mktemp("site")
    built = run(BUILD, "--out", folder)
    assert built.returncode == 0, built.stderr
    return folder


def version_in(site: Path) -> Path:
    (version,) = json.loads((site / "versions.json").read_text())
    return site / version["version"]


@pytest.mark.slow
def test_the_site_describes_the_whole_public_api(site: Path) -> None:
    inventory = InventoryFile.loads((version_in(site) / "objects.inv").read_bytes(), uri="")
    described = {
        name.rpartition(".")[2] for kind, names in inventory.data.items() if kind != "std:doc" for name in names
    }

    assert set(wanimate.__all__) <= described


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=.(?:https?:)?//")
    pages = list(site.rglob("*.html"))

    assert len(pages) > 40
    assert not [page for page in pages if loaded.search(page.read_text())]


@pytest.mark.slow
def test_search_finds_every_page_of_the_documentation(site: Path) -> None:
    index = (version_in(site) / "searchindex.js").read_text()

    pages = {path.relative_to(ROOT).with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    assert not [page for page in pages if f'"{page}"' not in index]


@pytest.mark.slow
@pytest.mark.parametrize("link", ["docs/absent.md", "docs/site/guides.md#absent", "#absent"])
def test_a_broken_link_fails_the_build(link: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "docs/site", source / "docs/site", ignore=shutil.ignore_patterns("api*", "command-line.md"))
    (source / "docs/decisions").mkdir()
    (source / "docs/decisions/README.md").write_text("# Decisions\n")
    (source / "README.md").write_text("# Home\n\n[guides](docs/site/guides.md)\n")
    whole = run("-c", BUILD_TREE, source, tmp_path / "site")
    (source / "README.md").write_text(f"# Home\n\n[a link]({link})\n")
    broken = run("-c", BUILD_TREE, source, tmp_path / "site")

    assert whole.returncode == 0, whole.stderr
    assert broken.returncode != 0
    assert "absent" in broken.stderr
    assert not (tmp_path / "site").exists()


def test_the_root_leads_to_the_newest_release_and_older_ones_stay(tmp_path: Path) -> None:
    for version in ("0.9.0", "0.10.0", "1.0.0rc1"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "index.html").write_text(version)
    assert run("-c", LIST, tmp_path).returncode == 0

    listed = json.loads((tmp_path / "versions.json").read_text())
    assert [(each["version"], each["url"]) for each in listed] == [
        ("1.0.0rc1", "/docs/1.0.0rc1/"),
        ("0.10.0", "/docs/0.10.0/"),
        ("0.9.0", "/docs/0.9.0/"),
    ]
    assert [each["version"] for each in listed if each["preferred"]] == ["0.10.0"]
    assert "url=0.10.0/" in (tmp_path / "index.html").read_text()
    assert (tmp_path / "0.9.0/index.html").read_text() == "0.9.0"
