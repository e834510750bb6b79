"""Processes die at any moment; no job is lost and none is paid twice."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE_SECONDS, Vendor, eventually, is_recorded, job, stack_settings
from pydantic import SecretStr
from wanimate import Client, JobState, Result, Settings, SubmissionUnknown
from wanimate.contract import UNACKED_KEY
from wanimate_devstack import Stack, StackOptions, redis_of

if TYPE_CHECKING:
    from collections.abc import Iterator

CAP = 10
JOBS = 40


def stack_of(workers: int, **changed: str) -> Stack:
    """Return a stack whose processes may be killed."""
    options = StackOptions(
        workers=workers,
        has_flower=False,
        simulator={"cap": str(CAP), "speed": "20"},
        settings=stack_settings(
            CAP,
            lease_seconds="1",
            **{
                "unknown_after_seconds": "3",
                "connect_timeout_seconds": "0.5",
                "submit_timeout_seconds": "1",
                "poll_timeout_seconds": "0.5",
                "poll_batch_size": "16",
                **changed,
            },
        ),
        worker_options=("--concurrency", "8"),
    )
    return Stack(options)


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    with stack_of(workers=2) as stack:
        yield stack


def test_workers_and_beat_may_be_killed_at_any_moment(own_stack: Stack) -> None:
    stack, chance = own_stack, random.Random(7)
    assert stack.simulator_url is not None
    vendor = Vendor(stack.simulator_url)
    with Client(Settings(redis_url=SecretStr(stack.redis.url))) as client, redis_of(stack) as redis:
        handles = client.submit_many(job(f"job-{i}") for i in range(JOBS))
        eventually(lambda: is_recorded(redis), "all jobs are recorded")
        for round_number in range(4):
            ended_before = vendor.summary()["completed"]
            victim = chance.choice([worker for worker in stack.workers if worker.is_running])
            victim.kill()
            if round_number == 1:
                assert stack.beat is not None
                stack.beat.kill()
                stack.start_beat()
            stack.start_worker()
            enough = min(JOBS, ended_before + 5)
            eventually(lambda enough=enough: vendor.summary()["completed"] >= enough, "it goes on")  # type: ignore[misc]
        outcomes = client.wait_all(handles, timeout=PATIENCE_SECONDS)
        accepted = vendor.accepted()
        for number, outcome in enumerate(outcomes):
            # Killed between the POST and its record, a job cannot know; it says so, and is not sent again.
            assert isinstance(outcome, Result | SubmissionUnknown)
            assert accepted[f"job-{number}"] <= 1
            assert accepted[f"job-{number}"] == 1 or isinstance(outcome, SubmissionUnknown)
        assert sum(isinstance(outcome, Result) for outcome in outcomes) >= JOBS // 2, "few were struck at that moment"
        assert vendor.summary()["violations_of_cap"] == 0
        for key in ("slots", "waiting", "due"):
            eventually(lambda key=key: redis.zcard(f"wanimate:{{default}}:{key}") == 0, f"{key} is empty")  # type: ignore[misc]
    vendor.close()


def test_a_restart_of_redis_loses_no_recorded_job(own_stack: Stack) -> None:
    assert own_stack.simulator_url is not None
    vendor = Vendor(own_stack.simulator_url)
    with Client(Settings(redis_url=SecretStr(own_stack.redis.url))) as client, redis_of(own_stack) as redis:
        handles = client.submit_many(job(f"job-{i}") for i in range(JOBS))
        eventually(lambda: vendor.summary()["accepted"] >= CAP, "jobs run")
        eventually(lambda: is_recorded(redis), "all jobs are recorded")
        own_stack.redis.stop()
        own_stack.redis.start()
        outcomes = client.wait_all(handles, timeout=PATIENCE_SECONDS)
        assert all(isinstance(outcome, Result | SubmissionUnknown) for outcome in outcomes)
        assert max(vendor.accepted().values()) == 1
    vendor.close()


def test_a_worker_that_is_told_to_stop_waits_for_the_vendors_answer_and_gives_back_every_message() -> None:
    with (
        stack_of(workers=1, submit_timeout_seconds="30") as stack,
        Client(Settings(redis_url=SecretStr(stack.redis.url))) as client,
        redis_of(stack) as redis,
    ):
        assert stack.simulator_url is not None
        vendor, worker = Vendor(stack.simulator_url), stack.workers[0]
        vendor.set_faults(stalled=True, latency_ms=3_000)
        handles = [client.submit(job(f"job-{i}")) for i in range(3)]
        eventually(lambda: vendor.summary()["accepted"] == 3, "the vendor has them, and its answers are on their way")
        worker.stop(timeout_seconds=PATIENCE_SECONDS)
        assert worker.exit_code == 0, worker.log_tail()
        assert redis.hlen(UNACKED_KEY) == 0, "nothing is delivered again"
        assert [handle.status().state for handle in handles] == [JobState.RUNNING] * 3
        vendor.set_faults()
        stack.start_worker()
        assert all(isinstance(outcome, Result) for outcome in client.wait_all(handles, timeout=PATIENCE_SECONDS))
        assert vendor.accepted() == {f"job-{i}": 1 for i in range(3)}
        assert [handle.status().attempts for handle in handles] == [1] * 3
        vendor.close()
