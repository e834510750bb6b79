"""Many jobs in one message: what cannot be recorded is refused alone, and nothing comes back for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery.worker import state
from wanimate import InvalidRequest
from wanimate.contract import CANCEL_TASK, ENQUEUE_TASK, Keys, Stage
from wanimate_worker.bridge import admission
from wanimate_worker.bridge.dead_letters import DeadLetter

from .conftest import JOB

if TYPE_CHECKING:
    from .conftest import Run


# Celery's backend writes so.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")


def enqueue_jobs(run: Run, *pairs: Any, **more: Any) -> str:
    """Let a worker record jobs, the last of which is sound, and return what became of their message."""
    run.ledger.gate.pause("so that nothing is sent")
    kwargs = {"jobs": [*pairs, ["a", JOB]], **more}
    run.recorder.record([run.message_of(ENQUEUE_TASK, "bulk", kwargs)])
    return run.settled["tag-bulk"]


def letters(run: Run) -> list[DeadLetter]:
    return [DeadLetter.read(stored) for stored in run.ledger.dead_letters.read()]


@pytest.mark.parametrize(
    "pair",
    [[None, JOB], [5, JOB], [["x"], JOB], ["", JOB], ["\ud800", JOB], ["x" * 5000, JOB], None, 5, "ab", [], ["b"], {}],
    ids=repr,
)
def test_a_job_without_an_id_is_kept_and_its_neighbours_are_recorded(run: Run, pair: Any) -> None:
    assert enqueue_jobs(run, pair) == "acknowledged"
    assert run.stage() is Stage.WAITING
    assert [(letter.facts()["task"], letter.facts()["why"]) for letter in letters(run)] == [
        (ENQUEUE_TASK, "1 of its jobs have no id")
    ]


@pytest.mark.parametrize("request_", [None, [], 5, {}, {**JOB, "seed": 2**70}, {**JOB, "labels": {"a": "\ud800"}}])
def test_a_job_that_breaks_the_rules_is_refused_and_its_neighbours_are_recorded(run: Run, request_: Any) -> None:
    assert enqueue_jobs(run, ["b", request_]) == "acknowledged"
    assert run.stage() is Stage.WAITING
    with pytest.raises(InvalidRequest):
        run.task.AsyncResult("b").get(timeout=1)
    assert not letters(run)


def test_a_job_that_redis_refuses_is_refused_and_its_neighbours_are_recorded(run: Run) -> None:
    run.redis.set(Keys("default").job("b"), "no hash")
    assert enqueue_jobs(run, ["b", JOB]) == "acknowledged"
    assert run.stage() is Stage.WAITING
    with pytest.raises(InvalidRequest, match="cannot be recorded"):
        run.task.AsyncResult("b").get(timeout=1)


def test_a_single_job_that_redis_refuses_fails_at_once(run: Run) -> None:
    run.redis.set(Keys("default").job("b"), "no hash")
    run.record("b")
    with pytest.raises(InvalidRequest, match="cannot be recorded"):
        run.task.AsyncResult("b").get(timeout=1)


def test_a_message_with_more_than_jobs_is_kept(run: Run) -> None:
    assert enqueue_jobs(run, surprise=1) == "acknowledged"
    assert [letter.facts()["why"] for letter in letters(run)] == ["recording it raised TypeError"]


def test_jobs_come_again_while_the_server_refuses_writes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "AGAIN_SECONDS", 0)
    run.ledger.gate.pause("so that nothing is sent")
    run.redis.config_set("min-replicas-to-write", "1")
    run.recorder.record([run.message_of(ENQUEUE_TASK, "bulk", {"jobs": [["a", JOB]]})])
    assert run.settled["tag-bulk"] == "given back"
    run.redis.config_set("min-replicas-to-write", "0")
    assert enqueue_jobs(run) == "acknowledged"
    assert run.stage() is Stage.WAITING


@pytest.mark.parametrize("odd", [None, 5, "", [], "\ud800", "x" * 5000], ids=lambda odd: repr(odd)[:10])
def test_what_is_no_id_is_not_cancelled(run: Run, odd: Any) -> None:
    with pytest.raises(InvalidRequest, match="id of a job"):
        run.task.app.tasks[CANCEL_TASK].apply(args=[odd]).get()
    assert not run.redis.keys("*:job:*")


def test_a_bulk_that_is_revoked_or_expired_is_recorded_all_the_same(run: Run) -> None:
    run.ledger.gate.pause("so that nothing is sent")
    state.revoked.add("bulk")
    expired = {"expires": "2001-01-01T00:00:00+00:00"}
    run.recorder.record([run.message_of(ENQUEUE_TASK, "bulk", {"jobs": [["a", JOB]]}, **expired)])
    state.revoked.discard("bulk")
    assert run.stage() is Stage.WAITING


def test_another_request_under_ids_in_use_is_kept_once_for_the_operator(run: Run) -> None:
    enqueue_jobs(run, ["b", JOB])
    run.recorder.record([run.message_of(ENQUEUE_TASK, "bulk", {"jobs": [[each, {**JOB, "seed": 7}] for each in "ab"]})])
    assert [(letter.facts()["reason"], letter.facts()["id"]) for letter in letters(run)] == [("conflict", "bulk")]
    assert run.stage() is Stage.WAITING
