from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from wanimate import (
    AnimateJob,
    Client,
    ContentViolation,
    InvalidRequest,
    JobCancelled,
    JobFailed,
    JobState,
    QueueUnavailable,
    Result,
    Settings,
    WaitTimeout,
    WanimateError,
    errors,
)

from .conftest import FIELDS, RESULT, Database, Server


def failure(kind: str, *args: Any, module: str | None = "wanimate.errors") -> dict[str, Any]:
    return {"exc_type": kind, "exc_message": list(args), "exc_module": module}


def test_wait_returns_the_result_once_it_is_stored(client: Client, database: Database) -> None:
    job = client.job("job-1")
    database.enqueue("job-1")
    threading.Timer(0.2, database.succeed, ["job-1"]).start()

    assert job.wait(timeout=10) == RESULT


def test_a_result_is_found_by_the_id_alone_even_when_the_record_of_the_job_is_gone(
    client: Client, database: Database
) -> None:
    database.succeed("job-1")

    assert client.job("job-1").wait(timeout=0) == RESULT


@pytest.mark.parametrize("name", ["JobFailed", *(kind.__name__ for kind in errors.JobFailed.__subclasses__())])
def test_a_failure_is_raised_as_the_class_that_the_worker_raised(client: Client, database: Database, name: str) -> None:
    database.store("job-1", "FAILURE", failure(name, "what happened", "CODE", "task_1", None))

    with pytest.raises(JobFailed) as caught:
        client.job("job-1").wait(timeout=5)

    assert type(caught.value) is getattr(errors, name)
    assert caught.value.args == ("what happened", "CODE", "task_1", None)


@pytest.mark.parametrize(
    "stored",
    [
        failure("KeyError", "a mistake", module="builtins"),
        failure("InvalidRequest", "of somebody else", module="elsewhere"),
        failure("system", "rm -rf /", module="os"),
        failure("QueueUnavailable", "for the worker, not for us"),
        "text",
        None,
    ],
)
def test_any_other_failure_of_the_worker_is_a_job_failed_that_says_so(
    client: Client, database: Database, stored: Any
) -> None:
    database.store("job-1", "FAILURE", stored)

    with pytest.raises(JobFailed, match="the worker failed; the vendor did not cause this") as caught:
        client.job("job-1").wait(timeout=5)

    assert type(caught.value) is JobFailed


def test_a_task_revoked_through_celery_is_a_cancelled_job(client: Client, database: Database) -> None:
    database.store("job-1", "REVOKED", failure("TaskRevokedError", "revoked", module="celery.exceptions"))

    with pytest.raises(JobCancelled, match="revoked"):
        client.job("job-1").wait(timeout=5)


def test_a_result_that_is_none_of_ours_is_a_job_failed_that_says_so(client: Client, database: Database) -> None:
    database.store("job-1", "SUCCESS", 42)

    with pytest.raises(JobFailed, match="this version of wanimate cannot read its stored result"):
        client.job("job-1").wait(timeout=5)


@pytest.mark.parametrize(
    "stored",
    [b"", b"{", b"\x80\x04K\x01.", b'{"status": "SUCC\xff"}', b"[]", b"42", b"{}", b'{"status": []}'],
    ids=["nothing", "cut off", "pickle", "no UTF-8", "list", "number", "no status", "odd status"],
)
def test_a_stored_result_that_cannot_be_read_fails_its_job_alone_and_says_what_to_do(
    client: Client, database: Database, stored: bytes
) -> None:
    database.store_raw("job-1", stored)
    database.succeed("job-2")

    spoilt, sound = client.wait_all([client.job("job-1"), client.job("job-2")], timeout=5)

    assert type(spoilt) is JobFailed
    assert "unreadable" in str(spoilt)
    assert "wanimate-worker show" in str(spoilt)
    assert sound == RESULT
    with pytest.raises(JobFailed, match="unreadable"):
        client.job("job-1").wait(timeout=5)
    assert client.job("job-1").status().state is JobState.FAILED


@pytest.mark.parametrize("state", ["PENDING", "STARTED", "RETRY", "RUNNING"])
def test_an_intermediate_state_is_not_an_end(client: Client, database: Database, state: str) -> None:
    database.store("job-1", state, {"anything": 1})

    with pytest.raises(WaitTimeout):
        client.job("job-1").wait(timeout=0)


def test_a_wait_that_times_out_says_how_to_pick_the_job_up_again(client: Client, database: Database) -> None:
    started = time.monotonic()
    database.enqueue("job-1")

    with pytest.raises(WaitTimeout, match=r"client\.job\('job-1'\)") as caught:
        client.job("job-1").wait(timeout=0.3)

    assert isinstance(caught.value, TimeoutError)
    assert 0.3 <= time.monotonic() - started < 3


def test_wait_all_returns_every_end_in_order_and_raises_none_of_them(client: Client, database: Database) -> None:
    ids = [f"job-{n}" for n in range(1200)]
    for job_id in ids:
        database.succeed(job_id)
    database.store("job-700", "FAILURE", failure("ContentViolation", "no", "CONTENT_VIOLATION", None, None))

    outcomes = client.wait_all([client.job(job_id) for job_id in [*ids, "job-700"]], timeout=20)

    assert len(outcomes) == 1201
    assert isinstance(outcomes[700], ContentViolation)
    assert isinstance(outcomes[1200], ContentViolation)
    assert all(outcome == RESULT for n, outcome in enumerate(outcomes) if n not in {700, 1200})


def test_as_completed_yields_each_job_when_it_ends(client: Client, database: Database) -> None:
    database.enqueue("first")
    database.succeed("second")
    ended = client.as_completed([client.job("first"), client.job("second")], timeout=10)

    handle, outcome = next(ended)
    assert (handle.id, outcome) == ("second", RESULT)
    database.succeed("first")
    assert [handle.id for handle, _ in ended] == ["first"]


def test_waiting_for_nothing_ends_at_once(client: Client) -> None:
    assert client.wait_all([]) == []
    assert list(client.as_completed([])) == []


def test_a_wait_rides_out_a_restart_of_redis(own_server: Server) -> None:
    outcomes: list[Result | Exception] = []

    def wait() -> None:
        try:
            outcomes.append(client.job("job-1").wait(timeout=30))
        except WanimateError as error:
            outcomes.append(error)

    with Client(Settings(redis_url=own_server.url())) as client:
        beside = Database(own_server.url())
        beside.enqueue("job-1")
        client.job("job-1").status()
        waiter = threading.Thread(target=wait)
        waiter.start()
        # Its reads are counted by the server: it is waiting, and has reached Redis, once there are some.
        while beside.redis.info("commandstats").get("cmdstat_mget", {}).get("calls", 0) < 2:
            assert waiter.is_alive()
        own_server.stop()
        own_server.start()
        beside.succeed("job-1")
        waiter.join(30)
        beside.redis.close()

    assert outcomes == [RESULT]


def test_a_wait_that_never_reached_redis_fails_at_once(own_server: Server) -> None:
    own_server.stop()

    with Client(Settings(redis_url=own_server.url())) as client:
        started = time.monotonic()
        with pytest.raises(QueueUnavailable):
            client.job("job-1").wait(timeout=60)

    assert time.monotonic() - started < 10


def test_jobs_go_through_a_real_worker_one_by_one(working_client: Client) -> None:
    done = working_client.animate(**FIELDS, seed=7)
    refused = working_client.replace(**FIELDS, prompt="violate")
    broken = working_client.animate(**FIELDS, prompt="stumble")

    assert done.wait(timeout=20) == Result(urls=(FIELDS["video_url"],), task_id="task_7")
    with pytest.raises(ContentViolation, match="CONTENT_VIOLATION") as caught:
        refused.wait(timeout=20)
    assert caught.value.task_id == "task_2"
    with pytest.raises(JobFailed, match="a mistake in the worker"):
        broken.wait(timeout=20)


def test_jobs_go_through_a_real_worker_by_the_hundred(working_client: Client) -> None:
    jobs = [AnimateJob(**FIELDS, seed=n, prompt="violate" if n == 250 else None) for n in range(450)]

    outcomes = working_client.wait_all(working_client.submit_many(jobs), timeout=30)

    assert isinstance(outcomes.pop(250), ContentViolation)
    assert [outcome.task_id for outcome in outcomes] == [f"task_{n}" for n in range(450) if n != 250]


def test_a_job_that_the_worker_refuses_comes_back_as_an_invalid_request(client: Client, database: Database) -> None:
    database.store("job-1", "FAILURE", failure("InvalidRequest", "no", "400", None, "seed"))

    with pytest.raises(InvalidRequest) as caught:
        client.job("job-1").wait(timeout=5)

    assert caught.value.field == "seed"
