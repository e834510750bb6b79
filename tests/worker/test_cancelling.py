"""What a worker answers about jobs that no worker has recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from wanimate.contract import CANCEL_TASK, CancelOutcome, Keys
from wanimate.errors import JobNotFound
from wanimate_worker.engine.cancelling import cancel_job

if TYPE_CHECKING:
    from .conftest import Run

KEYS = Keys("default")


def test_nothing_is_said_about_what_an_unknown_id_costs(run: Run) -> None:
    with pytest.raises(JobNotFound, match="job mistyped was not found") as caught:
        cancel_job(run.task.runtime, "mistyped")

    assert "billed" not in str(caught.value)
    assert run.redis.keys("wanimate:{default}:job:*") == []


def test_the_caller_gets_the_error_itself(run: Run) -> None:
    cancel = run.task.app.tasks[CANCEL_TASK]

    with pytest.raises(JobNotFound):
        cancel.apply(args=("mistyped",)).get()


def test_a_job_that_is_only_enqueued_is_cancelled_in_advance(run: Run) -> None:
    run.redis.zadd(KEYS.enqueued, {"a": 1})

    assert cancel_job(run.task.runtime, "a") is CancelOutcome.CANCELLED

    run()
    assert run.sent == []


def test_an_id_among_too_many_messages_stays_unknown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wanimate.redis.presence.MAX_MESSAGES", 1)
    run.redis.lpush("wanimate", "{}", "{}")

    assert cancel_job(run.task.runtime, "mistyped") is CancelOutcome.UNKNOWN
