from __future__ import annotations

import pytest
from wanimate import Client, JobState
from wanimate.contract import Keys, Outcome
from wanimate.contract.durations import field_of, kind_of

from .conftest import RESULT, Database

KEYS = Keys("default")


def test_a_job_that_no_worker_has_recorded_is_queued(client: Client, database: Database) -> None:
    database.enqueue("job-1")
    assert client.job("job-1").status().state is JobState.QUEUED


def test_a_waiting_job_tells_its_place(client: Client, database: Database) -> None:
    database.record("job-1", stage="waiting", request='{"type": "replace", "labels": {"a": "b"}}')
    database.redis.zadd(KEYS.waiting, {"job-0": 1, "job-1": 2})

    status = client.job("job-1").status()

    assert (status.state, status.position) == (JobState.WAITING, 2)
    assert (status.type, status.resolution, status.labels) == ("replace", "480p", {"a": "b"})


def learn(database: Database, seconds: float, count: int = 2000, *, video_seconds: float | None = None) -> None:
    """Write down that so many tasks took about so long."""
    field = field_of(kind_of({"type": "animate", "video_seconds": video_seconds}), seconds)
    database.redis.hset(KEYS.durations, mapping={field: count, "total": count, "called": "0"})
    database.redis.expire(KEYS.durations, 60)


def test_a_waiting_job_tells_when_it_will_probably_end(client: Client, database: Database) -> None:
    learn(database, 60)
    database.record("job-1", stage="waiting", request='{"type": "animate"}')
    database.redis.zadd(KEYS.waiting, {f"job-{number}": number for number in range(-8, 2)})
    database.redis.zadd(KEYS.slots, {f"running-{number}": 1 for number in range(5)})

    # The tenth in line: five slots turn over twice, and then it takes a minute itself.
    assert client.job("job-1").status().eta_seconds == pytest.approx(180, rel=0.05)


def test_a_running_job_tells_what_tasks_of_its_age_still_needed(client: Client, database: Database) -> None:
    learn(database, 60)
    submitted_at_ms = int(database.redis.time()[0]) * 1000 - 40_000
    database.record("job-1", stage="running", request='{"type": "animate"}', submitted_at_ms=str(submitted_at_ms))
    database.record(
        "new", stage="running", request='{"type": "replace"}', submitted_at_ms=str(submitted_at_ms + 40_000)
    )

    assert client.job("job-1").status().eta_seconds == pytest.approx(20, abs=3)
    # Nothing is known of its kind but the vendor's example.
    assert client.job("new").status().eta_seconds == pytest.approx(41, abs=3)


def test_a_long_video_is_estimated_by_long_videos(client: Client, database: Database) -> None:
    learn(database, 20, video_seconds=5)
    learn(database, 300, video_seconds=100)
    now_ms = int(database.redis.time()[0]) * 1000
    for job_id, request in (
        ("short", '{"type": "animate", "video_seconds": 4.5}'),
        ("long", '{"type": "animate", "video_seconds": 120}'),
        ("unknown", '{"type": "animate"}'),
    ):
        database.record(job_id, stage="running", request=request, submitted_at_ms=str(now_ms))

    estimates = {name: client.job(name).status().eta_seconds for name in ("short", "long", "unknown")}

    assert estimates["short"] == pytest.approx(20, abs=3)
    assert estimates["long"] == pytest.approx(300, abs=15)
    assert estimates["unknown"] == pytest.approx(160, abs=10)


@pytest.mark.parametrize(
    ("field", "value", "block"),
    [
        ("suspended", "why", "suspended"),
        ("paused", "why", "paused"),
        ("limited_until_ms", "99999999999999", "daily_limit"),
        ("low_balance_need", "0", "balance"),
        ("closed_until_ms", "99999999999999", "back_off"),
        ("unsafe_until_ms", "99999999999999", "unsafe"),
        ("breaker_next_ms", "1", "probe"),
    ],
)
def test_a_job_that_cannot_be_sent_has_no_estimate_and_says_why(
    client: Client, database: Database, field: str, value: str, block: str
) -> None:
    database.record("job-1", stage="waiting", request='{"type": "animate"}')
    database.redis.zadd(KEYS.waiting, {"job-1": 1})
    assert client.job("job-1").status().eta_seconds is None
    database.redis.zadd(KEYS.slots, {"running": 1})
    before = client.job("job-1").status()
    assert (before.eta_seconds is None, before.blocked_by) == (False, None)
    database.redis.hset(KEYS.account, field, value)
    blocked = client.job("job-1").status()
    assert (blocked.eta_seconds, blocked.blocked_by) == (None, block)
    database.redis.hset(KEYS.account, mapping={"closed_until_ms": 1, "unsafe_until_ms": 1, "limited_until_ms": 1})
    database.redis.hdel(KEYS.account, "suspended", "paused", "breaker_next_ms", "low_balance_need")
    assert client.job("job-1").status().blocked_by is None, "what is over blocks nothing"
    database.redis.delete(KEYS.account)


def test_a_status_tells_the_money_where_there_is_a_price(client: Client, database: Database) -> None:
    request = '{"type": "animate", "resolution": "720p", "video_seconds": 12.5}'
    database.record("job-1", stage="waiting", request=request)
    assert client.job("job-1").status().billed_usd is None
    database.redis.hset(KEYS.account, mapping={"price_480p_micro_usd": 40_000, "price_720p_micro_usd": ""})
    assert client.job("job-1").status().billed_usd is None
    database.redis.hset(KEYS.account, "price_720p_micro_usd", 80_000)
    assert client.job("job-1").status().billed_usd == 1.0
    database.record("job-1", stage="running", request=request, billed_micro_usd="500000")
    assert client.job("job-1").status().billed_usd == 0.5, "at the price when it was submitted"
    database.redis.delete(KEYS.account)


def test_a_parked_job_waits_for_its_next_attempt(client: Client, database: Database) -> None:
    database.record("job-1", stage="waiting", attempts="2")
    database.redis.zadd(KEYS.parked, {"job-1": 99_999_999_999_999})
    database.redis.zadd(KEYS.slots, {"running": 1})
    status = client.job("job-1").status()
    assert (status.state, status.blocked_by, status.position) == (JobState.WAITING, "retry", None)
    assert (status.attempts, status.eta_seconds) == (2, None)


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
