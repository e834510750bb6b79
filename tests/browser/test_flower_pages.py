"""Flower's pages in a real browser, with a job in each state that jobs come to."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from browsing import opened, take_picture
from flower_stack import LOGIN, SIGNED_QUERY, flower_stack
from harness import Vendor, eventually, fields_of
from pictures import pictures_wanted
from playwright.sync_api import expect
from pydantic import SecretStr
from secrets_in import secrets_in_stack
from wanimate import AnimateJob, Client, JobFailed, ReplaceJob, Settings
from wanimate.contract import ENTRY_QUEUE, JobState
from wanimate_devstack import SIMULATOR_KEY, Stack, leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page
    from wanimate import JobHandle
    from wanimate.contract import Job

CAP = 3
WAITING = 4
PROMPT = "a prompt for the vendor only"
CUSTOMERS = ("acme-productions", "globex-studio", "initech")
#: The vendor takes about 3 s; for the docs' pictures more like in earnest.
SPEED = "2" if pictures_wanted() else "14"

pytestmark = pytest.mark.timeout(300 if pictures_wanted() else 120)


@dataclass(frozen=True, slots=True)
class Jobs:
    """Jobs by their state."""

    succeeded: list[JobHandle]
    failed: JobHandle
    cancelled: JobHandle
    unknown: JobHandle
    running: list[JobHandle]
    waiting: list[JobHandle]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with flower_stack(CAP, SPEED) as stack:
        yield stack


@pytest.fixture(scope="module")
def vendor(stack: Stack) -> Iterator[Vendor]:
    vendor = Vendor(stack.simulator_url or "")
    vendor.reset()
    yield vendor
    vendor.close()


@pytest.fixture(scope="module")
def jobs(stack: Stack, vendor: Vendor) -> Iterator[Jobs]:
    """A job in each state; those at the vendor stay there until the tests have ended."""
    with Client(Settings(redis_url=SecretStr(stack.redis.url))) as client:
        ended = list(client.submit_many([job(0), job(1), job(2, prompt=f"[violation] {PROMPT}")]))
        for handle in ended:
            end(handle)
        vendor.set_faults(stalled=True)
        unknown = client.submit(job(3, prompt=f"[lost] {PROMPT}"))
        eventually(lambda: unknown.status().state is JobState.UNKNOWN, "its answer is lost")
        running = list(client.submit_many([job(4), job(5)]))
        eventually(lambda: all(handle.status().state is JobState.RUNNING for handle in running), "two run")
        *waiting, cancelled = client.submit_many([job(number) for number in range(6, 6 + WAITING + 1)])
        eventually(lambda: cancelled.status().position == WAITING + 1, "they wait")
        cancelled.cancel()
        yield Jobs(ended[:2], ended[2], cancelled, unknown, running, waiting)
        vendor.set_faults()
        task = vendor.task_of("row-3")
        assert task is not None
        resolve = (sys.executable, "-m", "wanimate_worker.cli", "resolve", unknown.id, "--task-id", task["task_id"])
        subprocess.run(resolve, env=stack.environment, check=True, timeout=60)
        for handle in [unknown, *running, *waiting]:
            end(handle)
    eventually(lambda: not leftovers(stack), "nothing is left behind")


def job(number: int, prompt: str = PROMPT) -> Job:
    kind = ReplaceJob if number % 3 == 2 else AnimateJob
    labels = {"customer": CUSTOMERS[number % len(CUSTOMERS)], "order": str(1828 + number)}
    resolution = "720p" if number % 2 else "480p"
    return kind(**fields_of(f"row-{number}&{SIGNED_QUERY}", prompt=prompt, resolution=resolution, labels=labels))


def end(handle: JobHandle) -> None:
    try:
        handle.wait(timeout=90)
    except JobFailed:
        return


@pytest.fixture
def window(browser: Browser, stack: Stack, jobs: Jobs) -> Iterator[Page]:
    with opened(browser, stack.flower_url or "", LOGIN, width=1400, height=900) as page:
        yield page


def open_list(page: Page) -> None:
    page.goto("/tasks")
    # Flower has heard of all jobs, and the page shows them.
    expect(page.locator(".dataTables_info")).to_have_text(re.compile(rf"of {3 + CAP + WAITING + 1} tasks"))


def rows(page: Page) -> list[str]:
    return page.locator("#tasks-table tbody tr").evaluate_all("rows => rows.map(row => row.id)")


def search(page: Page, text: str) -> None:
    with page.expect_response(re.compile("datatable")) as answer:
        page.locator(".dataTables_filter input").fill(text)
    assert answer.value.ok


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (1400, ["state", "uuid", "kwargs", "result", "runtime", "received"]),
        (500, ["state", "uuid", "result"]),
        (390, ["state", "uuid", "result"]),
    ],
)
def test_the_list_fits_any_window_with_state_and_result(window: Page, width: int, columns: list[str]) -> None:
    window.set_viewport_size({"width": width, "height": 900})
    open_list(window)
    assert window.evaluate("document.documentElement.scrollWidth") <= width
    overflow = "body => body.scrollWidth - body.clientWidth"
    assert window.locator(".dataTables_scrollBody").evaluate(overflow) <= 0, "the table scrolls sideways"
    headers = window.locator(".dataTables_scrollHead th[data-column]")
    assert headers.evaluate_all("all => all.map(each => each.dataset.column)") == columns
    expect(window.get_by_text("waiting for a slot, position 1", exact=True)).to_be_visible()
    if width == 1400:
        take_picture(window, "flower-tasks")


def test_a_window_that_becomes_narrow_keeps_its_rows(window: Page) -> None:
    open_list(window)
    window.set_viewport_size({"width": 500, "height": 900})
    expect(window.locator(".dataTables_scrollHead th[data-column=kwargs]")).to_have_count(0)
    window.set_viewport_size({"width": 1400, "height": 900})
    expect(window.locator(".dataTables_scrollHead th[data-column=kwargs]")).to_be_visible()
    expect(window.get_by_text("animate 480p customer=acme-productions order=1828", exact=True)).to_be_visible()


def test_each_filter_finds_the_jobs_in_its_state(window: Page, jobs: Jobs) -> None:
    open_list(window)
    filters = window.locator(".task-state-filter")
    found = {
        "Waiting": ("RECEIVED", jobs.waiting),
        "Running": ("STARTED", jobs.running),
        "Unknown": ("UNKNOWN", [jobs.unknown]),
        "Succeeded": ("SUCCESS", jobs.succeeded),
        "Failed": ("FAILURE", [jobs.failed]),
        "Cancelled": ("REVOKED", [jobs.cancelled]),
    }
    expect(filters).to_have_text(["All", *found])
    expect(filters.first).to_have_attribute("aria-pressed", "true")
    for name, (state, handles) in found.items():
        window.get_by_role("button", name=name, exact=True).click()
        expect(window.locator("#tasks-table tbody .badge")).to_have_text([state] * len(handles))
        assert set(rows(window)) == {handle.id for handle in handles}
        expect(window.locator(".task-state-filter.active")).to_have_text([name])
    window.get_by_role("button", name="All", exact=True).click()
    expect(window.locator("#tasks-table tbody tr")).to_have_count(3 + CAP + WAITING + 1)


def test_searching_the_text_of_a_cell_finds_its_row(window: Page, jobs: Jobs) -> None:
    open_list(window)
    shown = {
        row: window.locator(f"[id='{row}'] td").evaluate_all("cells => cells.slice(0, 4).map(cell => cell.innerText)")
        for row in rows(window)
    }
    for handle in (jobs.waiting[0], jobs.running[0], jobs.unknown, jobs.failed, jobs.succeeded[0], jobs.cancelled):
        for text in shown[handle.id]:
            search(window, text)
            expect(window.locator(f"[id='{handle.id}']")).to_be_visible()
            assert len(rows(window)) < len(shown), f"{text} finds everything"
    for text, found in {
        "order=1830": jobs.failed,
        "ContentViolation": jobs.failed,
        "customer=acme-productions UNKNOWN": jobs.unknown,
    }.items():
        search(window, text)
        expect(window.locator("#tasks-table tbody tr")).to_have_count(1)
        assert rows(window) == [found.id], text
    search(window, '"no such text"')
    expect(window.get_by_text("No tasks match your search.")).to_be_visible()


def test_the_broker_page_counts_the_jobs_in_the_ledger(window: Page) -> None:
    window.goto("/broker")
    lines = window.locator("#queue-table tbody tr")
    expect(lines.filter(has_text="jobs waiting for a slot").locator("td").nth(3)).to_have_text(str(WAITING))
    expect(lines.filter(has_text="jobs in a slot").locator("td").nth(2)).to_have_text(str(CAP))
    expect(lines.filter(has_text=re.compile(rf"^\s*{re.escape(ENTRY_QUEUE)}\s")).locator("td").nth(3)).to_have_text("0")


def test_the_buttons_cancel_and_no_page_shows_a_secret(window: Page, jobs: Jobs, stack: Stack) -> None:
    pages: list[str] = []

    def look(path: str) -> str:
        window.goto(path)
        pages.append(window.content())
        return window.inner_text("body")

    open_list(window)
    pages.append(window.content())
    waits, runs = jobs.waiting[-1], jobs.running[0]
    assert re.search(r"waiting for a slot, position \d", look(f"/task/{waits.id}"))
    window.click("#task-revoke")
    window.wait_for_selector("text=cancelled before it was submitted; nothing more is billed")
    eventually(lambda: "REVOKED" in look(f"/task/{waits.id}"), "its page says so")
    assert "Terminate" in look(f"/task/{runs.id}")
    window.click("#task-terminate")
    window.wait_for_selector("text=the job continues, is billed")
    assert "/results/task_" in look(f"/task/{jobs.succeeded[0].id}")
    take_picture(window, "flower-task")
    assert "CONTENT_VIOLATION" in look(f"/task/{jobs.failed.id}")
    assert "UNKNOWN" in look(f"/task/{jobs.unknown.id}")
    window.goto("/workers")
    worker = window.locator("#workers-table a").first
    expect(worker).to_be_visible()
    look(worker.get_attribute("href") or "")
    secrets = [SIGNED_QUERY, "character.png", PROMPT, LOGIN.partition(":")[2]]
    assert secrets_in_stack(stack, secrets, flower="".join(pages)) == []
    assert SIMULATOR_KEY not in "".join(pages)
