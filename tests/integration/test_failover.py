"""The master of Redis dies, a replica takes its place, and no job is lost or paid twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE_SECONDS, Vendor, eventually, is_recorded, job
from pydantic import SecretStr
from sentinels import ReplicatedRedis
from wanimate import Client, Result, Settings, SubmissionUnknown
from wanimate_devstack import Stack, StackOptions, leftovers, redis_of

if TYPE_CHECKING:
    from collections.abc import Iterator


CAP = 10
JOBS = 60

pytestmark = [pytest.mark.timeout(280), pytest.mark.failover]


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    options = StackOptions(
        workers=2,
        has_flower=False,
        redis=ReplicatedRedis,
        simulator={"cap": str(CAP), "speed": "20"},
        settings={
            "WANIMATE_MAX_IN_FLIGHT": str(CAP),
            "WANIMATE_POLL_TICK_SECONDS": "0.1",
            "WANIMATE_POLL_FLOOR_SECONDS": "0.1",
            "WANIMATE_LEASE_SECONDS": "1",
            "WANIMATE_UNKNOWN_AFTER_SECONDS": "3",
            "WANIMATE_CONNECT_TIMEOUT_SECONDS": "0.5",
            "WANIMATE_SUBMIT_TIMEOUT_SECONDS": "1",
            "WANIMATE_POLL_TIMEOUT_SECONDS": "0.5",
            "WANIMATE_POLL_BATCH_SIZE": "16",
            "WANIMATE_REDIS_TIMEOUT_SECONDS": "3",
            "WANIMATE_INTENT_REPLICAS": "1",
            "WANIMATE_INTENT_TIMEOUT_SECONDS": "1",
        },
        worker_options=("--concurrency", "8"),
    )
    with Stack(options) as stack:
        yield stack
        ended = stack.ended()
        assert ended is None, f"{ended.name} ended by itself: {ended.log_tail(90)}"


def servers_of(stack: Stack) -> ReplicatedRedis:
    assert isinstance(stack.redis, ReplicatedRedis)
    return stack.redis


@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_each_job_ends_once_and_is_paid_at_most_once_when_the_master_is_replaced(own_stack: Stack, fault: str) -> None:
    assert own_stack.simulator_url is not None
    vendor = Vendor(own_stack.simulator_url)
    with Client(Settings(redis_url=SecretStr(own_stack.redis.url))) as client, redis_of(own_stack) as redis:
        handles = client.submit_many(job(f"job-{i}") for i in range(JOBS))
        eventually(lambda: is_recorded(redis), "all jobs are recorded")
        eventually(lambda: vendor.summary()["accepted"] >= CAP, "jobs run")
        servers = servers_of(own_stack)
        master = servers.master
        if fault == "killed":
            servers.fail_over()
        else:
            servers.thaw(servers.freeze_master())
        assert servers.master is not master
        outcomes = client.wait_all(handles, timeout=2 * PATIENCE_SECONDS)
        accepted = vendor.accepted()
        for number, outcome in enumerate(outcomes):
            # What the old master alone was told may be forgotten; then the job cannot know, says so, is not sent again.
            assert isinstance(outcome, Result | SubmissionUnknown)
            assert accepted[f"job-{number}"] <= 1
            assert accepted[f"job-{number}"] == 1 or isinstance(outcome, SubmissionUnknown)
        # Those after the fail-over know, so it is at most the slots of that moment.
        assert sum(isinstance(outcome, Result) for outcome in outcomes) >= JOBS - CAP
        assert vendor.summary()["violations_of_cap"] == 0
        eventually(lambda: not leftovers(own_stack), "nothing left behind")
    vendor.close()


def test_nothing_is_sent_while_no_replica_has_the_intent_and_the_jobs_go_on_with_it(own_stack: Stack) -> None:
    assert own_stack.simulator_url is not None
    vendor = Vendor(own_stack.simulator_url)
    replica = servers_of(own_stack).replica
    replica.stop()
    with Client(Settings(redis_url=SecretStr(own_stack.redis.url))) as client, redis_of(own_stack) as redis:
        handles = client.submit_many(job(f"job-{i}") for i in range(3))
        gate = "wanimate:{default}:account"
        why = eventually(lambda: redis.hget(gate, "unsafe"), "a reason is written")
        assert why == "0 of 1 replicas had the intent within 1 s (WANIMATE_INTENT_REPLICAS)"
        eventually(lambda: not redis.zcard("wanimate:{default}:slots"), "the jobs stepped back")
        assert vendor.summary()["accepted"] == 0
        replica.start()
        outcomes = client.wait_all(handles, timeout=PATIENCE_SECONDS)
        assert all(isinstance(outcome, Result) for outcome in outcomes)
        assert sorted(vendor.accepted().values()) == [1, 1, 1]
        eventually(lambda: not leftovers(own_stack), "nothing left behind")
    vendor.close()
