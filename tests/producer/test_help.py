from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from help_pages import check_page, help_pages
from wanimate.cli import main
from wanimate.cli.session import Exit

if TYPE_CHECKING:
    from pathlib import Path

PAGES: Final = help_pages("wanimate", main)


@pytest.mark.parametrize("name", PAGES)
def test_help_fits_80_columns_and_its_example_is_valid(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jobs.jsonl").touch()
    monkeypatch.chdir(tmp_path)

    check_page(PAGES[name])


def test_commands_list_only_their_own_exit_codes() -> None:
    codes = {
        name: {int(line.split()[0]) for line in page.text.partition("Exit codes:")[2].splitlines() if line.strip()}
        for name, page in PAGES.items()
    }

    assert codes["wanimate"] == set(Exit)
    assert codes["wanimate status"] == {0, 2, 3, 6, 130}
    assert codes["wanimate cancel"] == {0, 1, 2, 3, 5, 6, 130}
    assert codes["wanimate batch"] - codes["wanimate wait"] == {Exit.EMPTY}
    assert codes["wanimate download"] - codes["wanimate wait"] == {Exit.NOT_DOWNLOADED}
    assert codes["wanimate completion"] == set()
