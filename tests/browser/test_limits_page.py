"""A real stack under load at a glance: the limits page in a real browser, `top` and `batch` on a real terminal."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from browsing import opened, take_picture
from harness import Vendor, eventually, job, stack_settings
from pictures import pictures_wanted
from playwright.sync_api import expect
from pydantic import SecretStr
from terminal import on_a_terminal, take_terminal_picture
from wanimate import Client, Settings
from wanimate_devstack import Stack, StackOptions, redis_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

CAP = 20
#: The jobs of the stack once more, as a file: whoever enqueues it picks them up.
BATCH = "jobs.jsonl"
#: The docs show labels as people have them.
LABEL = "games" if pictures_wanted() else "<img src=x onerror=alert(1)>"
HOLD = "prices changed, ask Anna" if pictures_wanted() else "prices changed, ask <b>Anna</b>"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack that has more to do than it will get done."""
    options = StackOptions(
        has_flower=False,
        has_ops=True,
        simulator={"cap": str(CAP), "speed": "8", "balance-usd": "1280.4"},
        settings=stack_settings(
            CAP,
            requests_per_minute="2000",
            poll_tick_seconds="0.5",
            lease_seconds="15",
            price_480p_usd_per_second="0.04",
            price_720p_usd_per_second="0.08",
            daily_billed_usd="2400",
            balance_warn_usd="200",
            balance_hold_usd="50",
        ),
    )
    with Stack(options) as stack, Client(Settings(redis_url=SecretStr(stack.redis.url))) as client:
        vendor = Vendor(stack.simulator_url or "")
        teams = ("studio", "marketing", LABEL)
        jobs = [
            job(
                f"page-{number}",
                priority=number % 10,
                video_seconds=4.0 + number % 50,
                labels={"team": teams[number % 3], "order": str(number)},
                resolution="720p" if number % 4 == 0 else "480p",
                prompt="[violation]" if number == 10 else None,
                idempotency_key=f"page-{number}",
            )
            for number in range(600)
        ]
        client.submit_many(jobs)
        lines = [json.dumps({"type": "animate", **job.model_dump(mode="json", exclude_none=True)}) for job in jobs]
        (stack.folder / BATCH).write_text("\n".join(lines))
        eventually(lambda: vendor.summary()["accepted"] > 4 * CAP, "it is under load")
        vendor.close()
        with redis_of(stack) as redis:
            eventually(lambda: redis.zcard("wanimate:{default}:failed"), "the one that is refused has failed")
        yield stack
        assert stack.ended() is None, "a process of the stack ended by itself"


def test_the_page_shows_the_account_at_a_glance_in_light_and_dark_and_on_a_phone(
    stack: Stack, browser: Browser
) -> None:
    with opened(browser, stack.ops_url or "", width=1100, height=900) as page:
        page.goto("/")
        expect(page.locator(".state")).to_have_text("submitting")
        expect(page.get_by_text(re.compile(r"of 20 in use"))).to_be_visible()
        expect(page.get_by_role("heading", name=re.compile(r"Waiting for a slot: \d+ jobs"))).to_be_visible()
        expect(page.get_by_text(f"team={LABEL}")).to_be_visible()
        expect(page.get_by_text(re.compile(r"^order: (more than )?\d+ values$"))).to_be_visible()
        expect(page.get_by_text("order=")).to_have_count(0)
        expect(page.get_by_text("of $2,400.00")).to_be_visible()
        expect(page.get_by_text("No submissions below $50.00.")).to_be_visible()
        expect(page.locator("img")).to_have_count(0)
        assert background(page) == "rgb(245, 246, 248)"
        take_picture(page, "limits-page")
        page.emulate_media(color_scheme="dark")
        assert background(page) == "rgb(15, 19, 24)"
        page.set_viewport_size({"width": 1400, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= 1400, "it scrolls sideways"
    for width in (390, 360):
        with opened(browser, stack.ops_url or "", width=width, height=844) as page:
            page.goto("/")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"


def test_top_shows_the_same_on_a_terminal(stack: Stack) -> None:
    top = on_a_terminal("wanimate-worker", "top", "--once", environment=stack.environment, columns=100)
    assert top.exit_code == 0, top.text
    for told in ("submitting", "20 of 20", "All 20 slots are in use", f"team={LABEL}", "1 failed job kept"):
        assert told in top.text, top.text
    title = "A terminal running wanimate-worker top: slots, requests, cost, waiting jobs and what needs an operator"
    take_terminal_picture(top.lines, "top", 100, title, "wanimate-worker top")


def test_a_batch_that_is_interrupted_shows_how_far_it_is_and_how_to_pick_it_up(stack: Stack) -> None:
    batch = on_a_terminal(
        *("wanimate", "batch", BATCH),
        environment=stack.environment,
        columns=148,
        folder=stack.folder,
        until=lambda text: bool(re.search(r"/s ETA \d[^/]*in flight, \d+ waiting", text)),
    )
    assert batch.exit_code == 130, batch.text
    assert re.search(rf"Interrupted.*wanimate batch {BATCH}", batch.text, re.DOTALL), batch.text
    title = "A terminal running wanimate batch: results as they come, a bar with rate and ETA, and counts by state"
    take_terminal_picture(batch.lines[-14:], "batch", 148, title, "wanimate batch jobs.jsonl")


def test_a_hold_appears_by_itself_with_the_command_that_ends_it(stack: Stack, browser: Browser) -> None:
    with opened(browser, stack.ops_url or "", width=1100, height=900) as page, redis_of(stack) as redis:
        page.emulate_media(color_scheme="dark")
        page.goto("/")
        redis.hset("wanimate:{default}:account", "paused", HOLD)
        # Nobody touches the page: it asks again every few seconds.
        expect(page.locator(".state")).to_have_text("paused by an operator", timeout=20_000)
        expect(page.get_by_text(f"Submissions paused by an operator: {HOLD}")).to_be_visible()
        expect(page.locator("code", has_text="wanimate-worker resume")).to_be_visible()
        expect(page.locator("b")).to_have_count(0)
        take_picture(page, "limits-page-held")


def background(page: Page) -> str:
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour
