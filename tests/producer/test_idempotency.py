from __future__ import annotations

import pytest
from wanimate import AnimateJob, Client, IdempotencyConflict
from wanimate.contract import CLAIM_TTL_MS, Keys, Stage

from .conftest import FIELDS, Database


def test_the_same_key_and_request_give_the_same_job_and_are_published_again(client: Client, database: Database) -> None:
    first = client.animate(**FIELDS, idempotency_key="order-7")
    second = client.animate(**FIELDS, idempotency_key="order-7")

    assert first == second
    # Twice on purpose: dying after the key was remembered and before the message was sent must not lose the job.
    assert [message["headers"]["id"] for message in database.messages()] == [first.id, first.id]


def test_the_same_key_for_another_request_is_refused_before_anything_is_sent(
    client: Client, database: Database
) -> None:
    client.animate(**FIELDS, idempotency_key="order-7")

    with pytest.raises(IdempotencyConflict, match="order-7"):
        client.animate(**FIELDS, seed=1, idempotency_key="order-7")

    assert len(database.messages()) == 1


def test_the_options_of_the_queue_may_differ_under_one_key(client: Client, database: Database) -> None:
    first = client.animate(**FIELDS, idempotency_key="order-7")

    assert client.animate(**FIELDS, priority=0, labels={"a": "b"}, idempotency_key="order-7") == first


def test_a_key_is_remembered_for_longer_than_any_job_waits_until_a_worker_knows_better(
    client: Client, database: Database
) -> None:
    handle = client.animate(**FIELDS, idempotency_key="order-7")

    ttl = database.redis.pttl(Keys("default").idempotency(handle.id))

    assert CLAIM_TTL_MS - 60_000 < ttl <= CLAIM_TTL_MS


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.DELIVERED])
def test_a_key_whose_job_is_at_work_is_in_use_whatever_else_was_forgotten(
    client: Client, database: Database, stage: Stage
) -> None:
    first = AnimateJob(**FIELDS, idempotency_key="order-7")
    keys = Keys("default")
    database.redis.hset(keys.job(first.job_id("default")), mapping={"stage": stage, "fingerprint": first.fingerprint()})

    with pytest.raises(IdempotencyConflict, match="order-7"):
        client.animate(**FIELDS, seed=1, idempotency_key="order-7")

    assert database.messages() == []


def test_without_a_key_nothing_is_remembered(client: Client, database: Database) -> None:
    client.animate(**FIELDS)

    assert database.redis.keys("wanimate:*") == [Keys("default").enqueued]


def test_keys_are_checked_in_a_batch_too(client: Client, database: Database) -> None:
    jobs = [AnimateJob(**FIELDS, seed=n, idempotency_key=f"order-{n}") for n in range(300)]
    handles = client.submit_many(jobs)

    assert client.submit_many(jobs) == handles
    with pytest.raises(IdempotencyConflict, match="order-250") as caught:
        client.submit_many([*jobs[:250], AnimateJob(**FIELDS, idempotency_key="order-250"), *jobs[251:]])
    assert list(caught.value.enqueued) == handles[:200]


def test_one_key_for_two_requests_within_one_batch_is_refused(client: Client, database: Database) -> None:
    jobs = [AnimateJob(**FIELDS, seed=seed, idempotency_key="order-7") for seed in (1, 2)]

    with pytest.raises(IdempotencyConflict, match="order-7"):
        client.submit_many(jobs)

    assert database.messages() == []
