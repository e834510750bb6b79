"""The vendor's limits hold, and what it answers is obeyed by everyone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE_SECONDS, Vendor, eventually, job
from pydantic import SecretStr
from typed import run
from wanimate import Client, JobState, Result, Settings
from wanimate_devstack import SIMULATOR_KEY, Stack, StackOptions

if TYPE_CHECKING:
    from redis import Redis
    from wanimate import JobHandle

GATE = "wanimate:{default}:account"
CAP = 5


def all_succeed(client: Client, handles: list[JobHandle]) -> bool:
    return all(isinstance(outcome, Result) for outcome in client.wait_all(handles, timeout=PATIENCE_SECONDS))


def test_the_cap_is_reached_and_never_passed(client: Client, vendor: Vendor) -> None:
    assert all_succeed(client, client.submit_many(job(f"cap-{i}") for i in range(30)))
    summary = vendor.summary()
    assert summary["in_flight_max"] == 5
    assert summary["violations_of_cap"] == 0
    assert summary["count_429"] == {"rate": 0, "concurrency": 0, "injected": 0}
    assert set(vendor.accepted().values()) == {1}


def test_a_shell_without_the_settings_of_the_workers_keeps_to_the_accounts_limits(
    stack: Stack, client: Client, vendor: Vendor
) -> None:
    vendor.set_faults(stalled=True)
    handles = client.submit_many(job(f"shell-{i}") for i in range(9))
    eventually(lambda: vendor.summary()["in_flight_now"] == CAP, "all slots are used")
    elsewhere = {"WANIMATE_REDIS_URL": stack.redis.url, "WANIMATE_MAX_IN_FLIGHT": "1000"}
    for handle in handles[-2:]:
        assert run("wanimate-worker", "cancel", handle.id, **elsewhere).returncode == 0
    shown = run("wanimate-worker", "limits", **elsewhere)
    assert f"max in flight         {CAP} tasks" in shown.stdout
    assert f"WANIMATE_MAX_IN_FLIGHT is 1000 here, the account's is {CAP}" in shown.stderr
    assert vendor.summary()["in_flight_max"] == CAP
    vendor.set_faults()
    assert all_succeed(client, handles[:-2])
    assert vendor.summary()["in_flight_max"] == CAP


def test_the_cap_is_changed_while_everything_runs(stack: Stack, client: Client, vendor: Vendor) -> None:
    def change(*options: str) -> subprocess.CompletedProcess[str]:
        return run("wanimate-worker", "limits", *options, **stack.environment)

    vendor.set_faults(stalled=True)
    assert json.loads(change("--max-in-flight", "2", "--json").stdout)["max_in_flight"] == 2
    handles = client.submit_many(job(f"changed-{i}") for i in range(12))
    eventually(lambda: vendor.summary()["in_flight_now"] == 2, "both slots are used")
    assert vendor.summary()["in_flight_max"] == 2
    assert change("--max-in-flight", str(CAP)).returncode == 0
    eventually(lambda: vendor.summary()["in_flight_now"] == CAP, "all slots are used, without a restart")
    vendor.set_faults()
    for options in (("--max-in-flight", "0"), ("--daily-billed-seconds", "nan"), ("--requests-per-minute", "x")):
        refused = change(*options)
        assert (refused.returncode, refused.stdout) == (2, "")
    moved = change("--api-base-url", "https://other.example")
    assert (moved.returncode, "drain" in moved.stdout) == (1, True)
    assert all_succeed(client, handles)


def test_a_worker_that_means_another_vendor_does_not_start(stack: Stack) -> None:
    command = [sys.executable, "-m", "celery", "-A", "wanimate_worker", "worker"]
    environment = {**os.environ, **stack.environment, "WANIMATE_API_BASE_URL": "https://other.example"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1].startswith("wanimate-worker: WANIMATE_API_BASE_URL: the tasks of this")


@pytest.mark.parametrize("retry_after", [None, "seconds", "http-date"])
def test_a_throttling_vendor_is_waited_for_and_every_job_is_paid_once(
    client: Client, vendor: Vendor, retry_after: str | None
) -> None:
    vendor.set_faults(throttle_rate=0.2, retry_after=retry_after, retry_after_seconds=1)
    handles = client.submit_many(job(f"throttled-{i}") for i in range(10))
    eventually(lambda: vendor.summary()["count_429"]["injected"] >= 2, "the vendor throttles")
    vendor.set_faults()
    assert all_succeed(client, handles)
    assert set(vendor.accepted().values()) == {1}


def test_while_the_gate_is_closed_nothing_is_sent(client: Client, vendor: Vendor, redis: Redis) -> None:
    vendor.set_faults(throttle_rate=1.0, retry_after="seconds", retry_after_seconds=4)
    handles = client.submit_many(job(f"closed-{i}") for i in range(20))
    eventually(lambda: redis.hget(GATE, "closed_until_ms"), "the gate closes")
    # The requests that were under way when it closed may still arrive: as many as worker threads, at most.
    eventually(lambda: redis.zcard("wanimate:{default}:slots") == 0, "all jobs have stepped back")
    sent = vendor.summary()["requests_total"]
    assert sent <= 8
    closed_until_ms = int(redis.hget(GATE, "closed_until_ms") or 0)

    def is_open_again() -> bool:
        sent_now = vendor.summary()["requests_total"]
        seconds, micros = redis.time()
        if seconds * 1000 + micros // 1000 >= closed_until_ms:
            return True
        assert sent_now == sent, "a request was sent while the gate was closed"
        return False

    eventually(is_open_again, "the gate opens when the vendor said")
    vendor.set_faults()
    assert all_succeed(client, handles)


def test_a_cap_that_others_use_too_is_found_and_grows_back(client: Client, vendor: Vendor, redis: Redis) -> None:
    vendor.set_faults(concurrency_used_elsewhere=3)
    handles = client.submit_many(job(f"shared-{i}") for i in range(12))
    eventually(lambda: redis.hexists(GATE, "cap_low"), "the effective cap is lowered")
    assert all_succeed(client, handles)
    assert vendor.summary()["in_flight_max"] <= 2
    vendor.set_faults()
    assert set(vendor.accepted().values()) == {1}
    redis.hdel(GATE, "cap_low", "cap_low_at_ms")  # it takes ten minutes to grow back


def test_a_revoked_key_pauses_the_account_and_no_job_is_lost(client: Client, vendor: Vendor, redis: Redis) -> None:
    vendor.set_faults(revoked_keys=[SIMULATOR_KEY])
    handles = client.submit_many(job(f"paused-{i}") for i in range(12))
    eventually(lambda: redis.hexists(GATE, "suspended"), "the account is paused")
    eventually(lambda: redis.zcard("wanimate:{default}:waiting") == 12, "every job waits")
    assert {handle.status().state for handle in handles} == {JobState.WAITING}
    vendor.set_faults()
    assert all_succeed(client, handles)
    assert not redis.hexists(GATE, "suspended")
    assert set(vendor.accepted().values()) == {1}


def test_no_window_ever_holds_more_requests_than_the_budget() -> None:
    """A simulator 60 times as fast counts in windows of one second, so a burst would show at once.

    2,000 a minute are a burst of 20 and 32 a second: about 52 in any second, more where a busy machine sends some late,
    and far fewer than twenty slots could use.
    """
    options = StackOptions(
        has_flower=False,
        simulator={"cap": "20", "speed": "60", "rate": "100"},
        settings={
            "WANIMATE_MAX_IN_FLIGHT": "20",
            "WANIMATE_REQUESTS_PER_MINUTE": "2000",
            "WANIMATE_POLL_TICK_SECONDS": "0.1",
            "WANIMATE_POLL_FLOOR_SECONDS": "0.1",
        },
    )
    with Stack(options) as stack, Client(Settings(redis_url=SecretStr(stack.redis.url))) as client:
        assert stack.simulator_url is not None
        vendor = Vendor(stack.simulator_url)
        assert all_succeed(client, client.submit_many(job(f"budget-{i}") for i in range(60)))
        summary = vendor.summary()
        vendor.close()
    assert summary["count_429"]["rate"] == 0
    assert 30 <= summary["requests_window_max"] <= 100
    assert summary["accepted"] == 60


def test_an_outage_of_the_vendor_delays_jobs_and_ends_none(client: Client, vendor: Vendor) -> None:
    vendor.set_faults(stalled=True)
    running = client.submit_many(job(f"before-{i}") for i in range(5))
    eventually(lambda: vendor.summary()["accepted"] == 5, "they run")
    vendor.set_faults(stalled=True, drop_before_rate=1.0)
    asked = vendor.summary()["statuses_total"]
    eventually(lambda: vendor.summary()["statuses_total"] > asked, "polls meet the outage")
    vendor.set_faults()
    assert all_succeed(client, running)
