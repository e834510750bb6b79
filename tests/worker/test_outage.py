"""What means that Redis is away, said by a real server where one can be made to say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from celery.exceptions import BackendStoreError
from kombu.exceptions import OperationalError
from redis.exceptions import BusyLoadingError, DataError, NoPermissionError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from wanimate_worker.bridge.outage import is_away

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from .conftest import Run


def refuse_without_replicas(redis: Redis) -> None:
    redis.config_set("min-replicas-to-write", "1")


def refuse_as_a_replica(redis: Redis) -> None:
    redis.replicaof("127.0.0.1", "1")


def refuse_when_full(redis: Redis) -> None:
    redis.config_set("maxmemory", "1")


def raised_by(command: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as raised:  # noqa: PT011 - which one is what is tested
        command()
    return raised.value


REFUSALS = [refuse_without_replicas, refuse_as_a_replica, refuse_when_full]


@pytest.mark.parametrize("refuse", REFUSALS, ids=["no replicas", "read-only", "full"])
def test_a_server_that_refuses_writes_is_away(run: Run, refuse: Callable[[Redis], None]) -> None:
    refuse(run.redis)
    assert is_away(raised_by(lambda: run.redis.set("key", "value")))
    assert is_away(raised_by(lambda: run.redis.pipeline(transaction=False).set("key", "x").execute()))
    assert is_away(raised_by(lambda: run.redis.eval("return redis.call('SET', KEYS[1], 1)", 1, "key")))
    assert is_away(raised_by(lambda: run.ledger.dead_letters.add({"reason": "unreadable"})))


@pytest.mark.parametrize(
    "error",
    [
        RedisConnectionError("gone"),
        RedisTimeoutError("late"),
        BusyLoadingError("is loading"),
        NoPermissionError("no rights"),
        ResponseError("BUSY Redis is busy running a script"),
        ResponseError("MISCONF Redis is configured to save RDB snapshots"),
        ResponseError("UNBLOCKED force unblock from blocking operation, instance state changed"),
        ResponseError("ERR Error running script (call to f_0a): @user_script:23: -READONLY You can't write"),
        ResponseError("Command # 2 (EVALSHA x) of pipeline caused error: NOREPLICAS Not enough good replicas"),
        ConnectionResetError("reset"),
        OperationalError("kombu's"),
    ],
    ids=str,
)
def test_a_server_that_cannot_serve_now_is_away(error: Exception) -> None:
    assert is_away(error)


@pytest.mark.parametrize(
    "error",
    [
        DataError("Invalid input of type: 'NoneType'"),
        ResponseError("ERR value is not an integer or out of range"),
        ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        ResponseError("BUSYGROUP Consumer Group name already exists"),
        ResponseError("Command # 1 (SET OOM now) of pipeline caused error: WRONGTYPE Operation against a key"),
        RedisError("odd"),
        KeyError("wanimate"),
        ValueError("READONLY"),
    ],
    ids=str,
)
def test_an_error_about_what_was_asked_is_no_outage(error: Exception) -> None:
    assert not is_away(error)


@pytest.mark.parametrize(("cause", "away"), [(RedisConnectionError("gone"), True), (DataError("odd"), False)])
def test_a_result_backend_that_has_given_up_is_judged_by_what_it_met(cause: Exception, *, away: bool) -> None:
    error = BackendStoreError("failed to store result on the backend")
    error.__cause__ = cause
    assert is_away(error) is away


def test_the_result_backend_waits_for_a_server_that_refuses_writes(run: Run) -> None:
    refuse_without_replicas(run.redis)
    backend = run.task.app.backend
    assert backend.exception_safe_to_retry(raised_by(lambda: run.redis.set("key", "value")))
    assert not backend.exception_safe_to_retry(DataError("odd"))
