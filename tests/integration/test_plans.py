"""A plan of the vendor that is smaller than the limits that are set: what fits is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE_SECONDS, Vendor, eventually, job
from pydantic import SecretStr
from typed import run
from wanimate import Client, Settings
from wanimate_devstack import Stack, StackOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The vendor's page of this model has these; the plan below is smaller.
LIMITS = {"WANIMATE_MAX_IN_FLIGHT": "20", "WANIMATE_REQUESTS_PER_MINUTE": "6000"}


@pytest.fixture
def open_stack() -> Iterator[Callable[..., tuple[Stack, Client, Vendor]]]:
    opened: list[tuple[Stack, Client, Vendor]] = []

    def open_stack(**simulator: str) -> tuple[Stack, Client, Vendor]:
        settings = {**LIMITS, "WANIMATE_POLL_TICK_SECONDS": "0.1", "WANIMATE_POLL_FLOOR_SECONDS": "0.1"}
        stack = Stack(StackOptions(has_flower=False, simulator=simulator, settings=settings))
        stack.start()
        assert stack.simulator_url is not None
        opened.append((stack, Client(Settings(redis_url=SecretStr(stack.redis.url))), Vendor(stack.simulator_url)))
        return opened[-1]

    yield open_stack
    for stack, client, vendor in opened:
        client.close()
        vendor.close()
        stack.stop()


def advice(stack: Stack) -> str:
    """Return what `doctor` says about 429s."""
    lines = run("wanimate-worker", "doctor", **{**stack.environment, "COLUMNS": "1000"}).stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if "429 answers" in line)
    return " ".join(line.strip() for line in lines[start : start + 3])


def suggested(stack: Stack, option: str) -> int | None:
    words = advice(stack).split()
    return int(words[words.index(option) + 1]) if option in words and words[words.index(option) + 1].isdigit() else None


def test_a_plan_of_three_tasks_is_told_by_doctor_with_the_command(
    open_stack: Callable[..., tuple[Stack, Client, Vendor]],
) -> None:
    stack, client, _ = open_stack(cap="3", rate="10000", speed="20")
    client.submit_many(job(f"tasks-{i}") for i in range(60))
    eventually(lambda: suggested(stack, "--max-in-flight"), "a limit is suggested")
    assert suggested(stack, "--max-in-flight") == 3
    assert "free: 3 tasks at once and 10 requests a minute" in advice(stack)
    assert suggested(stack, "--requests-per-minute") is None


def test_a_plan_of_ten_requests_is_told_by_doctor_with_the_command(
    open_stack: Callable[..., tuple[Stack, Client, Vendor]],
) -> None:
    stack, client, _ = open_stack(cap="20", rate="10", speed="1", **{"mean-seconds": "5"})
    client.submit_many(job(f"requests-{i}") for i in range(30))
    eventually(lambda: suggested(stack, "--requests-per-minute"), "a limit is suggested")
    assert 9 <= (suggested(stack, "--requests-per-minute") or 0) <= 10


def test_429s_that_stop_suggest_nothing(open_stack: Callable[..., tuple[Stack, Client, Vendor]]) -> None:
    stack, client, vendor = open_stack(cap="20", rate="6000", speed="20")
    vendor.set_faults(throttle_rate=0.5)
    handles = client.submit_many(job(f"injected-{i}") for i in range(80))
    eventually(lambda: vendor.summary()["count_429"]["injected"] >= 4, "the vendor throttles")
    vendor.set_faults()
    client.wait_all(handles, timeout=PATIENCE_SECONDS)
    assert (suggested(stack, "--max-in-flight"), suggested(stack, "--requests-per-minute")) == (None, None)
