"""Results whose URLs the vendor no longer serves: never handed out without saying so, and never lost."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typed import run as typed
from wanimate import AsyncClient, Client, JobFailed, Result, ResultExpired, WanimateError

from .conftest import FIELDS, RESULT, Database

if TYPE_CHECKING:
    from wanimate import Settings

EXPIRED = RESULT.model_copy(update={"urls_expire_at": datetime.now(UTC) - timedelta(days=2)})
FRESH = RESULT.model_copy(update={"urls_expire_at": datetime.now(UTC) + timedelta(hours=3)})


def store(database: Database, job_id: str, result: Result) -> None:
    database.store(job_id, "SUCCESS", result.to_json())


def test_wait_raises_for_an_expired_result_and_says_what_to_do(client: Client, database: Database) -> None:
    store(database, "job-1", EXPIRED)
    with pytest.raises(ResultExpired) as caught:
        client.job("job-1").wait(timeout=5)
    error = caught.value
    assert isinstance(error, WanimateError)
    assert not isinstance(error, JobFailed)
    assert error.result == EXPIRED
    assert EXPIRED.urls_expire_at is not None
    for told in ("job-1", EXPIRED.urls_expire_at.isoformat(timespec="seconds"), "billed", "new idempotency key"):
        assert told in str(error)
    assert EXPIRED.urls[0] not in str(error)
    assert client.job("job-1").wait(timeout=5, allow_expired=True) == EXPIRED


def test_a_result_of_an_older_version_expires_too(client: Client, database: Database) -> None:
    stored = {**RESULT.to_json(), "completed_at": "2026-01-09T10:00:41Z"}
    del stored["urls_expire_at"]
    database.store("job-1", "SUCCESS", stored)
    with pytest.raises(ResultExpired):
        client.job("job-1").wait(timeout=5)


def test_a_repeated_key_hands_out_no_dead_urls(client: Client, database: Database) -> None:
    job = client.animate(**FIELDS, idempotency_key="order-7")
    store(database, job.id, EXPIRED)
    with pytest.raises(ResultExpired):
        client.animate(**FIELDS, idempotency_key="order-7").wait(timeout=5)
    database.redis.flushdb()


def test_of_many_jobs_only_the_expired_ones_are_told_so(client: Client, database: Database) -> None:
    store(database, "old", EXPIRED)
    store(database, "new", FRESH)
    handles = [client.job("old"), client.job("new")]
    old, new = client.wait_all(handles, timeout=5)
    assert isinstance(old, ResultExpired)
    assert (old.result, new) == (EXPIRED, FRESH)
    assert client.wait_all(handles, timeout=5, allow_expired=True) == [EXPIRED, FRESH]
    told = {handle.id: type(outcome) for handle, outcome in client.as_completed(handles, timeout=5)}
    assert told == {"old": ResultExpired, "new": Result}
    allowed = {handle.id: outcome for handle, outcome in client.as_completed(handles, 5, allow_expired=True)}
    assert allowed == {"old": EXPIRED, "new": FRESH}


def test_the_async_client_tells_of_expired_results_alike(settings: Settings, database: Database) -> None:
    async def scenario() -> None:
        async with AsyncClient(settings) as client:
            job = client.job("old")
            with pytest.raises(ResultExpired):
                await job.wait(timeout=5)
            assert await job.wait(timeout=5, allow_expired=True) == EXPIRED
            (told,) = await client.wait_all([job], timeout=5)
            assert isinstance(told, ResultExpired)
            assert await client.wait_all([job], timeout=5, allow_expired=True) == [EXPIRED]
            assert [outcome async for _, outcome in client.as_completed([job], 5, allow_expired=True)] == [EXPIRED]

    store(database, "old", EXPIRED)
    asyncio.run(scenario())


def test_an_expired_result_that_only_the_ledger_has_is_told_alike(client: Client, database: Database) -> None:
    outcome = json.dumps({"kind": "succeeded", "result": EXPIRED.to_json()})
    database.record("job-1", stage="delivered", outcome=outcome)
    with pytest.raises(ResultExpired):
        client.job("job-1").wait(timeout=10)


@pytest.mark.parametrize("source", ["record", "result"])
def test_status_tells_until_when_the_urls_are_served(client: Client, database: Database, source: str) -> None:
    if source == "record":
        outcome = json.dumps({"kind": "succeeded", "result": FRESH.to_json()})
        database.record("job-1", stage="delivered", outcome=outcome)
    else:
        store(database, "job-1", FRESH)
    assert client.job("job-1").status().urls_expire_at == FRESH.urls_expire_at


def command(url: str, *words: str) -> tuple[int, str, str]:
    done = typed("wanimate", *words, WANIMATE_REDIS_URL=url)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("expires_in", "told"),
    [
        (timedelta(hours=3, minutes=12, seconds=50), "expires    in 3h 12m, "),
        (timedelta(days=-2, hours=-1, seconds=-5), "expires    2d 1h ago, "),
    ],
)
def test_the_command_status_tells_for_how_long(url: str, database: Database, expires_in: timedelta, told: str) -> None:
    store(database, "job-1", RESULT.model_copy(update={"urls_expire_at": datetime.now(UTC) + expires_in}))
    code, out, _ = command(url, "status", "job-1")
    assert (code, told in out) == (0, True), out


def test_the_command_wait_has_a_code_of_its_own_for_expired_results(url: str, database: Database) -> None:
    store(database, "old", EXPIRED)
    store(database, "new", FRESH)
    code, out, _ = command(url, "wait", "old", "new", "--json")
    lines: dict[str, Any] = {line["id"]: line for line in map(json.loads, out.splitlines())}
    assert code == 8
    assert (lines["old"]["state"], lines["old"]["error"]) == ("expired", "ResultExpired")
    assert lines["old"]["urls"] == list(EXPIRED.urls), "nothing is lost"
    assert lines["new"]["state"] == "succeeded"
    code, out, _ = command(url, "wait", "old", "--allow-expired")
    assert (code, EXPIRED.urls[0] in out) == (0, True)
    code, out, _ = command(url, "wait", "old")
    assert (code, EXPIRED.urls[0] in out, "new idempotency key" in out) == (8, False, True)


def test_a_batch_that_ran_the_day_before_yesterday_says_that_its_videos_are_gone(
    url: str, database: Database, tmp_path: Any
) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(json.dumps({"type": "animate", **FIELDS}) + "\n")
    code, out, _ = command(url, "batch", str(file), "--no-wait", "--json")
    assert code == 0
    store(database, json.loads(out)["id"], EXPIRED)
    code, out, err = command(url, "batch", str(file), "--timeout", "5")
    assert (code, "expired" in out) == (8, True)
    assert "1 expired" in err
    code, out, _ = command(url, "batch", str(file), "--timeout", "5", "--allow-expired")
    assert (code, EXPIRED.urls[0] in out) == (0, True)
    database.redis.flushdb()
