"""Messages are recorded as they come, and acknowledged once their jobs are on record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from wanimate import InvalidRequest, JobCancelled
from wanimate.contract import Keys, Stage
from wanimate_worker.bridge import admission
from wanimate_worker.bridge.dead_letters import DeadLetter

from .conftest import JOB

if TYPE_CHECKING:
    from .conftest import Run

# Celery's backend writes so.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "AGAIN_SECONDS", 0)


def test_a_message_is_acknowledged_once_its_job_is_on_record(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    admit, acknowledged = run.ledger.jobs.admit, []

    def watch(entries: Any) -> Any:
        acknowledged.append(dict(run.settled))
        answer = admit(entries)
        acknowledged.append(dict(run.settled))
        return answer

    monkeypatch.setattr(run.ledger.jobs, "admit", watch)
    run.record("a")
    assert acknowledged == [{}, {}]
    assert run.settled == {"tag-a": "acknowledged"}
    assert run.stage() is Stage.WAITING


def test_a_message_goes_back_while_redis_is_away(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: Any) -> Any:
        raise RedisConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(run.ledger.jobs, "admit", away)
        run.record("a")
    assert run.settled == {"tag-a": "given back"}
    run.record("a")
    assert run.stage() is Stage.WAITING


def test_messages_that_wait_are_recorded_in_one_exchange(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    admit, sizes = run.ledger.jobs.admit, []

    def count(entries: Any) -> Any:
        sizes.append(len(entries))
        return admit(entries)

    monkeypatch.setattr(run.ledger.jobs, "admit", count)
    for job_id in "abc":
        run.recorder.take(run.message(job_id))
    run.recorder.start()
    run.recorder.stop()
    assert sizes == [3]
    assert run.settled == {f"tag-{job_id}": "acknowledged" for job_id in "abc"}


def test_one_message_that_cannot_be_recorded_fails_alone(run: Run) -> None:
    run.redis.set(Keys("default").job("b"), "no hash")
    run.recorder.record([run.message("a"), run.message("b"), run.message("c", {"type": "animate"})])
    assert run.settled == {f"tag-{job_id}": "acknowledged" for job_id in "abc"}
    assert run.stage() is Stage.WAITING
    for job_id in "bc":
        with pytest.raises(InvalidRequest):
            run.task.AsyncResult(job_id).get(timeout=1)


@pytest.mark.parametrize(
    ("headers", "error"),
    [({"eta": "2990-01-01T00:00:00+00:00"}, InvalidRequest), ({"expires": "2001-01-01T00:00:00+00:00"}, JobCancelled)],
    ids=["a later start", "expired"],
)
def test_what_the_queue_does_not_do_is_refused_and_not_ignored(
    run: Run, headers: dict[str, str], error: type[Exception]
) -> None:
    run.record("a", **headers)
    with pytest.raises(error):
        run.task.AsyncResult("a").get(timeout=1)
    assert run.stage() is None


def test_a_message_that_comes_twice_records_one_job(run: Run) -> None:
    run.take("a")
    run.take("a")
    assert (run.stage(), len(run.sent)) == (Stage.RUNNING, 1)


def test_another_request_under_an_id_in_use_is_kept_for_the_operator(run: Run) -> None:
    run.record("a")
    run.record("a", {**JOB, "seed": 7})
    [letter] = [DeadLetter.read(stored) for stored in run.ledger.dead_letters.read()]
    assert letter.facts()["reason"] == "conflict"
    assert run.stage() is Stage.WAITING
