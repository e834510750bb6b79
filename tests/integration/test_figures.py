"""The account's figures are what the vendor's ground truth says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from harness import PATIENCE_SECONDS, Vendor, eventually, job
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from typed import run
from wanimate import Client, JobFailed, JobState, Settings
from wanimate_devstack import Stack, StackOptions, leftovers, redis_of

if TYPE_CHECKING:
    from collections.abc import Callable

Metrics = dict[tuple[str, ...], float]

#: Longer than any test here takes.
_LONGEST_TEST_SECONDS = 45


@pytest.fixture(autouse=True)
def within_one_day() -> None:
    """Begin no test shortly before midnight (UTC): what is counted by day starts again with the next one."""
    eventually(lambda: time.time() % 86_400 < 86_400 - _LONGEST_TEST_SECONDS, "the next day", 2 * _LONGEST_TEST_SECONDS)


def metrics_of(stack: Stack) -> Metrics:
    """Return every sample by its name without the prefix, and its labels but the account."""
    text = httpx.get(f"{stack.ops_url}/metrics", trust_env=False).raise_for_status().text
    return {
        (sample.name.removeprefix("wanimate_"), *sorted({*sample.labels.values()} - {"default"})): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def fresh_metrics(stack: Stack) -> Metrics:
    """Return the samples of a snapshot that was read after this moment: one is kept for a second."""
    with redis_of(stack) as redis:
        now_seconds = redis.time()[0]
    url = f"{stack.ops_url}/limits.json"

    def is_later() -> bool:
        at = datetime.fromisoformat(httpx.get(url, trust_env=False).json()["at"])
        return at.timestamp() > now_seconds + 1

    eventually(is_later, "a new snapshot")
    return metrics_of(stack)


def top(stack: Stack, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wanimate_worker.cli", "top", *options]
    environment = {**os.environ, **stack.environment, "NO_COLOR": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def difference(before: Metrics, after: Metrics) -> Callable[..., float]:
    return lambda *name: after.get(name, 0.0) - before.get(name, 0.0)


def test_the_metrics_are_what_the_vendor_saw(stack: Stack, client: Client, vendor: Vendor) -> None:
    before = fresh_metrics(stack)
    vendor.reset()
    vendor.set_faults(throttle_rate=0.15, retry_after="seconds", retry_after_seconds=1)
    fields: dict[str, Any] = {"video_seconds": 12, "labels": {"team": "red"}}
    handles = client.submit_many(job(f"figures-{i}", **fields) for i in range(10))
    eventually(lambda: vendor.summary()["count_429"]["injected"] >= 2, "the vendor throttles")
    vendor.set_faults()
    handles += client.submit_many([job("figures-refused", prompt="[violation]", **fields)])
    outcomes = client.wait_all(handles, timeout=PATIENCE_SECONDS)
    assert [isinstance(outcome, JobFailed) for outcome in outcomes] == [False] * 10 + [True]
    eventually(lambda: not leftovers(stack), "all is done")
    saw = vendor.summary()
    since = difference(before, fresh_metrics(stack))
    assert saw["accepted"] == 11
    assert since("jobs_ended_total", "succeeded") == 10
    assert since("jobs_ended_total", "failed") == 1
    assert since("throttled_total") == saw["count_429"]["injected"]
    # Some submissions were refused with a 429, and came again.
    assert since("submits_total") == saw["submits_total"]
    assert since("polls_total") == saw["statuses_total"]
    assert since("billed_seconds_total") == 12 * 11
    assert since("day_billed_seconds") == 12 * 11
    assert since("detection_lag_seconds_count") == 11
    lag_seconds = since("detection_lag_seconds_sum") / 11
    assert 0 < lag_seconds < 5
    assert since("task_duration_seconds_count", "480p", "animate") == 11


def test_top_tells_the_same_as_the_page_once_and_as_json(stack: Stack, client: Client, vendor: Vendor) -> None:
    handle = client.submit(job("top", video_seconds=7.5, labels={"customer": "acme"}))
    handle.wait(timeout=PATIENCE_SECONDS)
    plain = top(stack)
    assert plain.returncode == 0, plain.stderr
    assert "of 5" in plain.stdout
    assert "\x1b" not in plain.stdout
    answer = top(stack, "--json")
    facts = json.loads(answer.stdout)
    assert facts["slots"]["cap"] == 5
    assert facts["billed"]["by_label"]["customer=acme"] >= 7.5
    assert facts.keys() == httpx.get(f"{stack.ops_url}/limits.json", trust_env=False).json().keys()
    assert handle.status().billed_seconds == 7.5


def test_top_without_redis_is_one_line_and_no_traceback() -> None:
    environment = {**os.environ, "WANIMATE_REDIS_URL": "redis://127.0.0.1:1/0"}
    command = [sys.executable, "-m", "wanimate_worker.cli", "top", "--once"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 3
    assert answer.stderr.count("\n") == 1
    assert "WANIMATE_REDIS_URL" in answer.stderr


def test_at_the_days_limit_jobs_wait_and_say_so_and_go_on_once_it_is_raised() -> None:
    """The limit allows two jobs of 60 s, also where a second worker has no such setting; a command raises it."""
    options = StackOptions(
        has_flower=False,
        simulator={"cap": "5", "speed": "40"},
        settings={"WANIMATE_MAX_IN_FLIGHT": "5", "WANIMATE_DAILY_BILLED_SECONDS": "130"},
    )
    with Stack(options) as stack, Client(Settings(redis_url=SecretStr(stack.redis.url))) as client:
        assert stack.simulator_url is not None
        without = {"WANIMATE_DAILY_BILLED_SECONDS": "1000000", "WANIMATE_MAX_IN_FLIGHT": "1000"}
        stack.start_worker(without)
        vendor = Vendor(stack.simulator_url)
        handles = client.submit_many(job(f"limited-{i}", video_seconds=60) for i in range(4))
        eventually(lambda: vendor.summary()["accepted"] == 2, "two are sent")
        eventually(lambda: sum(handle.status().blocked_by == "daily_limit" for handle in handles) == 2, "two are not")
        assert {handle.status().state for handle in handles if handle.status().blocked_by} == {JobState.WAITING}
        assert "daily_limit" in top(stack, "--json").stdout
        assert (
            "daily billed seconds  240"
            in run("wanimate-worker", "limits", "--daily-billed-seconds", "240", **stack.environment).stdout
        )
        assert all(not isinstance(each, JobFailed) for each in client.wait_all(handles, timeout=PATIENCE_SECONDS))
        assert vendor.summary()["accepted"] == 4
        vendor.close()
