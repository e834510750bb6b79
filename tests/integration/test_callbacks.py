"""With callbacks: the vendor tells of the end, and of tasks whose answers were lost; nothing it says is believed."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from harness import CRASHING_PATH, PATIENCE_SECONDS, Vendor, eventually, job
from pydantic import SecretStr
from wanimate import Client, GenerationFailed, JobState, Result, Settings, SubmissionUnknown
from wanimate_devstack import Stack, StackOptions, leftovers, redis_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from wanimate import JobHandle

CAP = 20
#: The first fallback poll of a task comes after this, in seconds.
FLOOR_SECONDS = 30.0


def options(worker_app: str = "wanimate_worker", **settings: str) -> StackOptions:
    return StackOptions(
        has_flower=False,
        has_callbacks=True,
        worker_app=worker_app,
        simulator={"cap": str(CAP), "speed": "40"},
        settings={
            "WANIMATE_MAX_IN_FLIGHT": str(CAP),
            "WANIMATE_POLL_TICK_SECONDS": "1",
            "WANIMATE_POLL_FLOOR_SECONDS": str(FLOOR_SECONDS),
            "WANIMATE_LEASE_SECONDS": "1",
            "WANIMATE_CONNECT_TIMEOUT_SECONDS": "0.5",
            "WANIMATE_SUBMIT_TIMEOUT_SECONDS": "1",
            **settings,
        },
        worker_options=("--concurrency", "8"),
    )


@pytest.fixture(scope="module")
def called() -> Iterator[Stack]:
    """A stack that would poll a task after half a minute, if nobody called."""
    with Stack(options()) as stack:
        yield stack
        for name in ("callbacks", "worker1", "beat"):
            log = stack.log(name)
            assert stack.environment["WANIMATE_CALLBACK_SECRET"] not in log
            assert "/v1/callbacks/" not in log, f"a signed URL is in the log of {name}"
            assert "Traceback" not in log, f"{name}: {log[-3000:]}"


@pytest.fixture
def client(called: Stack) -> Iterator[Client]:
    with Client(Settings(redis_url=SecretStr(called.redis.url))) as client:
        yield client


@pytest.fixture
def redis(called: Stack) -> Iterator[Redis]:
    with redis_of(called) as redis:
        yield redis


@pytest.fixture
def vendor(called: Stack) -> Iterator[Vendor]:
    assert called.simulator_url is not None
    vendor = Vendor(called.simulator_url)
    vendor.reset()
    yield vendor
    vendor.set_faults()
    vendor.close()
    eventually(lambda: not leftovers(called), f"nothing left behind, but there is {leftovers(called)}")


def counts(stack: Stack) -> dict[str, int]:
    answer = httpx.get(f"{stack.callbacks_url}/health", trust_env=False).raise_for_status()
    return answer.json()["callbacks"]  # type: ignore[no-any-return]


def lag_seconds(handle: JobHandle, task: dict[str, Any]) -> float:
    """Return how long after the vendor's end of a task its result was stored."""
    stored = eventually(lambda: handle.status().delivered_at, "it is delivered")
    assert stored is not None
    return (stored - datetime.fromtimestamp(task["completed_at_ms"] / 1000, UTC)).total_seconds()


def post(url: str, body: bytes = b"{}") -> int:
    return httpx.post(url, content=body, trust_env=False).status_code


def test_jobs_end_through_callbacks_long_before_the_first_poll(called: Stack, client: Client, vendor: Vendor) -> None:
    before = counts(called)
    handles = client.submit_many(job(f"job-{number}", prompt="[fail]" if number == 7 else None) for number in range(60))
    outcomes = client.wait_all(handles, timeout=PATIENCE_SECONDS)
    assert [number for number, outcome in enumerate(outcomes) if not isinstance(outcome, Result)] == [7]
    assert isinstance(outcomes[7], GenerationFailed)
    lags = []
    for number, handle in enumerate(handles):
        task = vendor.task_of(f"job-{number}")
        assert task is not None
        assert task["callback_state"] == "ok"
        lags.append(lag_seconds(handle, task))
    summary, after = vendor.summary(), counts(called)
    print(  # noqa: T201 - shown with -s: what callbacks are for
        f"\nfrom the vendor's end to the stored result: median {statistics.median(lags) * 1000:.0f} ms, "
        f"worst {max(lags) * 1000:.0f} ms; polls per task {summary['polls_per_task']}"
    )
    assert max(lags) < FLOOR_SECONDS / 3
    assert summary["polls_per_task"]["mean"] < 2, "one status request decides each"
    assert after["forged"] == before["forged"]
    assert sum(after.values()) - sum(before.values()) == 60


def test_a_callback_is_answered_at_once_and_only_where_it_is_signed(
    called: Stack, client: Client, vendor: Vendor, redis: Redis
) -> None:
    vendor.set_faults(stalled=True)
    handle = client.submit(job("guarded"))
    task = eventually(lambda: vendor.task_of("guarded"), "it is accepted")
    assert task is not None
    eventually(lambda: handle.status().state is JobState.RUNNING, "it runs")
    url, key = task["callback_url"], f"wanimate:{{default}}:job:{handle.id}"
    before, counted = redis.hgetall(key), counts(called)
    forged = [
        url[:-1],
        url + "0",
        url.rpartition("/")[0] + "/",
        url.replace(handle.id, "another"),
        url[:-64] + "f" * 64,
    ]
    assert [post(each) for each in forged] == [403] * len(forged)
    assert redis.hgetall(key) == before
    assert counts(called)["forged"] == counted["forged"] + len(forged)
    assert post(url, b"x" * 100_000) == 200
    # Signed, but false: the task is asked about, and runs on.
    assert post(url, b'{"code": 200, "data": {"taskId": "another", "state": "failed"}}') == 200
    eventually(lambda: vendor.summary()["statuses_total"], "the vendor is asked")
    assert handle.status().state is JobState.RUNNING
    vendor.set_faults()
    assert handle.wait(timeout=PATIENCE_SECONDS).task_id == task["task_id"]
    eventually(lambda: not leftovers(called), "it is delivered")
    ended = redis.hgetall(key)
    assert [post(url) for _ in range(5)] == [200] * 5
    assert redis.hgetall(key) == ended, "a replay changes nothing"


def test_callbacks_that_come_twice_or_late_change_nothing(called: Stack, client: Client, vendor: Vendor) -> None:
    vendor.set_faults(callback_duplicate_rate=1.0, callback_delay_seconds=0.3)
    before = counts(called)
    handles = client.submit_many(job(f"twice-{number}") for number in range(10))
    outcomes = client.wait_all(handles, timeout=PATIENCE_SECONDS)
    assert all(isinstance(outcome, Result) for outcome in outcomes)
    eventually(lambda: vendor.summary()["callbacks"]["ok"] == 20, "each callback came twice")
    assert sum(counts(called).values()) - sum(before.values()) == 20
    assert max(vendor.accepted().values()) == 1


def test_lost_answers_are_recovered_through_callbacks_and_paid_once(
    called: Stack, client: Client, vendor: Vendor
) -> None:
    vendor.set_faults(drop_answer_rate=1.0)
    handles = client.submit_many(job(f"lost-{number}") for number in range(2 * CAP))
    outcomes = client.wait_all(handles, timeout=PATIENCE_SECONDS)
    assert all(isinstance(outcome, Result) for outcome in outcomes), "no SubmissionUnknown"
    assert vendor.accepted() == {f"lost-{number}": 1 for number in range(2 * CAP)}
    assert "confirmed the task of a lost submission" in called.log("worker1")
    tasks = {task["marker"]: task["task_id"] for task in vendor.tasks()}
    assert [outcome.task_id for outcome in outcomes] == [tasks[f"lost-{number}"] for number in range(2 * CAP)]


def test_a_false_hint_is_dropped_and_the_true_one_still_counts(called: Stack, client: Client, vendor: Vendor) -> None:
    vendor.set_faults(stalled=True, drop_answer_rate=1.0)
    handle = client.submit(job("misled"))
    eventually(lambda: handle.status().state is JobState.UNKNOWN, "its answer is lost")
    task = vendor.task_of("misled")
    assert task is not None
    assert post(task["callback_url"], b'{"data": {"taskId": "task_nobody_knows"}}') == 200
    eventually(
        lambda: "the hinted task is not the job's; the hint is dropped" in called.log("worker1"), "it is checked"
    )
    assert handle.status().state is JobState.UNKNOWN, "and its bound still holds"
    vendor.set_faults()
    assert handle.wait(timeout=PATIENCE_SECONDS).task_id == task["task_id"]


def test_a_worker_killed_right_after_the_vendor_accepted_costs_nothing() -> None:
    crashing = options("crashing_worker", PYTHONPATH=CRASHING_PATH)
    with (
        Stack(crashing) as stack,
        Client(Settings(redis_url=SecretStr(stack.redis.url))) as client,
        redis_of(stack) as redis,
    ):
        assert stack.simulator_url is not None
        vendor = Vendor(stack.simulator_url)
        redis.rpush("chaos:SIGKILL:post-and-record", "die")
        handle = client.submit(job("killed"))
        eventually(lambda: not stack.workers[0].is_running, "the worker is dead")
        assert vendor.accepted() == {"killed": 1}
        assert handle.status().state is JobState.SUBMITTING, "nobody was told"
        stack.start_worker()
        assert handle.wait(timeout=PATIENCE_SECONDS).urls
        assert handle.status().attempts == 1
        assert vendor.accepted() == {"killed": 1}
        eventually(lambda: not leftovers(stack), "nothing left behind")
        vendor.close()


def test_without_any_callback_jobs_end_through_polls_and_lost_answers_at_their_bound() -> None:
    quick = {"WANIMATE_POLL_FLOOR_SECONDS": "0.2", "WANIMATE_POLL_TICK_SECONDS": "0.2"}
    with (
        Stack(options(**quick, WANIMATE_UNKNOWN_AFTER_SECONDS="2")) as stack,
        Client(Settings(redis_url=SecretStr(stack.redis.url))) as client,
    ):
        assert stack.simulator_url is not None
        vendor = Vendor(stack.simulator_url)
        vendor.set_faults(callback_missing_rate=1.0)
        outcomes = client.wait_all(
            client.submit_many(job(f"silent-{number}") for number in range(30)), timeout=PATIENCE_SECONDS
        )
        assert all(isinstance(outcome, Result) for outcome in outcomes)
        assert vendor.summary()["callbacks"]["missing"] == 30
        assert sum(counts(stack).values()) == 0
        vendor.set_faults(callback_missing_rate=1.0, drop_answer_rate=1.0)
        with pytest.raises(SubmissionUnknown):
            client.submit(job("never-told")).wait(timeout=PATIENCE_SECONDS)
        eventually(lambda: not leftovers(stack), f"nothing left behind, but there is {leftovers(stack)}")
        vendor.close()
