"""Revokes that a worker knows of before a job's message comes: they cancel in the ledger, and discard nothing."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from celery.worker import state
from wanimate import JobCancelled
from wanimate.contract import Keys, Stage
from wanimate_worker.bridge.control import cancel_known, revoke

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Run

# Celery's backend writes so.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")


@pytest.fixture(autouse=True)
def _nothing_is_revoked() -> Iterator[None]:
    yield
    state.revoked.clear()
    state.revoked_stamps.clear()


def knows(worker_knows: str) -> dict[str, Any]:
    """Let this process know that job `a` is revoked, and return the headers of its message."""
    if worker_knows == "id":
        state.revoked.add("a")
        return {}
    state.revoked_stamps["of"] = ["day", "night"]
    return {"stamped_headers": ["of"], "stamps": {"of": ["night"]}}


@pytest.mark.parametrize("is_recorded", [False, True], ids=["not recorded", "waiting"])
@pytest.mark.parametrize("known", ["id", "stamp"])
def test_a_job_whose_revoke_is_known_is_cancelled_when_its_message_comes(
    run: Run, known: str, *, is_recorded: bool
) -> None:
    if is_recorded:
        run.ledger.gate.pause("so that it waits")
        run()
        run.ledger.gate.resume()
    run.take(**knows(known))
    with pytest.raises(JobCancelled):
        run.task.AsyncResult("a").get(timeout=1)
    assert (run.sent, run.has_slot()) == ([], False)
    assert "a" not in state.revoked, "an operator could not run it again"


@pytest.mark.parametrize("known", ["id", "stamp"])
def test_a_job_that_was_sent_is_not_touched_by_a_revoke(run: Run, known: str) -> None:
    run()
    run.take(**knows(known))
    assert (run.stage(), run.has_slot(), len(run.sent)) == (Stage.RUNNING, True, 1)


def test_a_message_cannot_say_that_its_job_is_revoked(run: Run) -> None:
    run.take(wanimate_revoked=True)
    assert run.stage() is Stage.RUNNING


def test_a_worker_that_connects_cancels_the_waiting_jobs_whose_revokes_it_has_learned(run: Run) -> None:
    run()
    run.ledger.gate.pause("so that it waits")
    run.take("b")
    state.revoked.update(["a", "b", "of-another-app", "\ud800", 5])
    cancel_known(run.task.runtime)
    stages = [job.stage for job in run.ledger.records.read(["a", "b", "of-another-app"])]
    assert stages == [Stage.RUNNING, Stage.SETTLED, None]


def test_a_revoke_that_redis_refuses_is_said_and_not_forgotten(run: Run) -> None:
    run.ledger.gate.pause("so that it waits")
    run()
    run.redis.config_set("min-replicas-to-write", "1")
    reply = revoke(SimpleNamespace(app=run.task.app), ["a"], terminate=True)
    assert "revoke them again" in reply["error"]
    run.redis.config_set("min-replicas-to-write", "0")
    cancel_known(run.task.runtime)
    assert run.stage() is Stage.SETTLED


def test_an_unknown_id_is_cancelled_in_advance_and_revoked_by_celery(run: Run) -> None:
    job_id = str(uuid.uuid4())
    reply = revoke(SimpleNamespace(app=run.task.app), [job_id])
    assert "flagged as revoked" in reply["ok"]
    assert job_id in state.revoked
    # No worker that starts later, and knows of no revoke, sends it.
    state.revoked.clear()
    run.take(job_id)
    assert run.sent == []
    assert run.redis.ttl(Keys("default").job(job_id)) > 0
