"""A real headless browser for tests of pages."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest
from pictures import IMAGES, pictures_wanted
from playwright.sync_api import Page, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

#: In a container the browser's own sandbox cannot start as root; the rest keeps it from calling its maker.
_OPTIONS: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


def find_chromium() -> str:
    """Return the browser's program; skip the test where there is none, and fail it where there must be one."""
    names = (os.environ.get("WANIMATE_BROWSER", ""), "chromium", "chromium-browser", "google-chrome")
    for name in filter(None, names):
        if found := shutil.which(name):
            return found
    problem = "no Chromium found: install it (Debian: apt install chromium), or name one in WANIMATE_BROWSER"
    if os.environ.get("WANIMATE_REQUIRE_BROWSER") == "1":
        pytest.fail(problem)
    pytest.skip(f"NO PAGE WAS LOOKED AT: {problem}")


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Run a headless browser."""
    program = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, url: str, login: str = "", *, width: int = 1440, height: int = 900) -> Iterator[Page]:
    """Open a window in which paths are enough; it fails if a script of a page did.

    Args:
        browser: The browser.
        url: What paths are relative to.
        login: `user:password`, if pages ask for one.
        width: Of the window, in pixels.
        height: Of the window, in pixels.
    """
    user, _, password = login.partition(":")
    context = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": height},
        http_credentials={"username": user, "password": password} if login else None,
    )
    problems: list[str] = []
    try:
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        yield page
        assert problems == [], "a script of the page failed"
    finally:
        context.close()


def take_picture(page: Page, name: str) -> None:
    """Write what a page looks like, down to its end, into the docs, if that is wanted.

    Args:
        page: As it is now.
        name: The file's name, without its ending.
    """
    if pictures_wanted():
        page.screenshot(path=IMAGES / f"{name}.png", full_page=True)
