from __future__ import annotations

import time

import pytest
from wanimate import CancelOutcome, Client, QueueUnavailable, WanimateError, WorkerUnavailable

from .conftest import Database


@pytest.mark.parametrize("outcome", CancelOutcome)
def test_cancel_returns_what_the_worker_answered(working_client: Client, outcome: CancelOutcome) -> None:
    assert working_client.job(outcome).cancel(timeout=20) is outcome


def test_the_answer_does_not_stay_in_redis(working_client: Client, stand_in_url: str) -> None:
    working_client.job("billed").cancel(timeout=20)

    beside = Database(stand_in_url)
    assert "billed" not in [beside.redis.get(key) for key in beside.redis.keys("celery-task-meta-*")]
    beside.redis.close()


def test_an_error_of_the_worker_is_raised_as_its_class(working_client: Client) -> None:
    with pytest.raises(QueueUnavailable, match="no such job"):
        working_client.job("nobody").cancel(timeout=20)


def test_an_answer_that_this_library_does_not_know_is_no_guess(working_client: Client) -> None:
    with pytest.raises(WanimateError, match="upgrade wanimate"):
        working_client.job("postponed").cancel(timeout=20)


def test_without_a_worker_the_request_stays_queued_as_the_most_urgent(client: Client, database: Database) -> None:
    started = time.monotonic()
    database.enqueue("job-1")

    with pytest.raises(WorkerUnavailable, match="stays queued"):
        client.job("job-1").cancel(timeout=0.2)

    assert time.monotonic() - started < 5
    (message,) = database.messages("wanimate.control")
    assert message["headers"]["task"] == "wanimate.cancel"
    assert message["properties"]["priority"] == 0
    assert message["headers"]["expires"] is None
