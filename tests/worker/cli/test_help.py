"""The help of `wanimate-worker`."""

from __future__ import annotations

from typing import Final

import pytest
from help_pages import HelpPage, check_page, help_pages
from wanimate_worker.cli import cli

PAGES: Final = help_pages("wanimate-worker", cli)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_help_fits_into_80_columns_with_one_example(page: HelpPage) -> None:
    check_page(page)
