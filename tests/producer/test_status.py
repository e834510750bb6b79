from __future__ import annotations

from wanimate import Client, JobState
from wanimate.contract import Keys, Outcome

from .conftest import RESULT, Database

KEYS = Keys("default")


def test_a_job_that_no_worker_has_recorded_is_queued(client: Client, database: Database) -> None:
    assert client.job("job-1").status().state is JobState.QUEUED


def test_a_waiting_job_tells_its_place(client: Client, database: Database) -> None:
    database.record("job-1", stage="waiting", request='{"type": "replace", "labels": {"a": "b"}}')
    database.redis.zadd(KEYS.waiting, {"job-0": 1, "job-1": 2})

    status = client.job("job-1").status()

    assert (status.state, status.position) == (JobState.WAITING, 2)
    assert (status.type, status.resolution, status.labels) == ("replace", "480p", {"a": "b"})


def test_a_job_with_a_slot_is_being_submitted(client: Client, database: Database) -> None:
    database.record("job-1", stage="waiting")
    database.redis.zadd(KEYS.slots, {"job-1": 1})

    assert client.job("job-1").status().state is JobState.SUBMITTING


def test_an_ended_job_tells_how(client: Client, database: Database) -> None:
    database.record("job-1", stage="delivered", outcome=Outcome.success(RESULT).model_dump_json())

    assert client.job("job-1").status().state is JobState.SUCCEEDED


def test_a_job_whose_record_is_gone_is_read_from_its_result(client: Client, database: Database) -> None:
    database.succeed("done")
    failed = {"exc_type": "GenerationFailed", "exc_message": ["no", "X", "t", None], "exc_module": "wanimate.errors"}
    database.store("failed", "FAILURE", failed)
    database.store("revoked", "REVOKED", None)
    database.store("started", "STARTED", None)

    states = {name: client.job(name).status().state for name in ("done", "failed", "revoked", "started")}

    assert states == {
        "done": JobState.SUCCEEDED,
        "failed": JobState.FAILED,
        "revoked": JobState.CANCELLED,
        "started": JobState.QUEUED,
    }
