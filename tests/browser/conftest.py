from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browsing import running_browser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A real headless browser; without one the tests that need it are skipped, loudly.

    One for each test: an event loop runs in this thread for as long as there is one, and other tests need their own.
    """
    with running_browser() as browser:
        yield browser
