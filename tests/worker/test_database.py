"""One Redis database belongs to one account, whoever comes: workers, operators, the receiver, backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from redis import Redis
from typed import run
from wanimate import Client, Settings, SettingsError
from wanimate.contract import DATABASE_KEY
from wanimate_devstack import RedisServer
from wanimate_worker.callbacks.receiver import make_receiver
from wanimate_worker.database import open_database
from wanimate_worker.settings import WorkerSettings

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

IMAGE, VIDEO = "https://example.com/c.png", "https://example.com/m.mp4"


@pytest.fixture
def theirs() -> Iterator[Redis]:
    """A database that a worker of the account `theirs` has claimed."""
    with RedisServer(is_durable=False) as server, Redis.from_url(server.url, decode_responses=True) as redis:
        url = SecretStr(server.url)
        database = open_database(WorkerSettings(redis_url=url, account="theirs"))
        database.ledger.claim_database()
        yield redis
        database.redis.connection_pool.disconnect()


def url_of(redis: Redis) -> SecretStr:
    return SecretStr(f"redis://127.0.0.1:{redis.connection_pool.connection_kwargs['port']}/0")


def test_a_backend_of_another_account_is_told_before_anything_is_queued(theirs: Redis) -> None:
    with Client(Settings(redis_url=url_of(theirs), account="ours")) as client:
        for _ in range(2):
            with pytest.raises(SettingsError, match=r"'theirs'.*'ours'"):
                client.animate(image_url=IMAGE, video_url=VIDEO)
    assert theirs.keys() == [DATABASE_KEY]


def test_a_backend_checks_until_the_database_has_an_owner(theirs: Redis) -> None:
    theirs.delete(DATABASE_KEY)
    with Client(Settings(redis_url=url_of(theirs), account="ours")) as client:
        client.animate(image_url=IMAGE, video_url=VIDEO)
        theirs.set(DATABASE_KEY, "theirs")
        with pytest.raises(SettingsError, match="'theirs'"):
            client.animate(image_url=IMAGE, video_url=VIDEO)
    assert theirs.llen("wanimate\x06\x166") + theirs.llen("wanimate\x06\x163") == 1


def test_a_receiver_of_another_account_does_not_start(theirs: Redis) -> None:
    settings = WorkerSettings(
        redis_url=url_of(theirs),
        account="ours",
        callback_base_url="https://example.com",
        callback_secret=SecretStr("x" * 32),
    )
    with pytest.raises(SettingsError, match="'theirs'"):
        make_receiver(settings)


@pytest.mark.parametrize("arguments", [("jobs",), ("pause", "--reason", "x"), ("retry", "a"), ("dead", "--clear")])
def test_an_operator_with_the_wrong_account_changes_nothing(theirs: Redis, arguments: tuple[str, ...]) -> None:
    ended = operate(theirs, *arguments)
    assert ended.returncode == 2
    assert "belongs to the account 'theirs'" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert theirs.keys() == [DATABASE_KEY]


def test_the_doctor_says_whose_database_it_is(theirs: Redis) -> None:
    ended = operate(theirs, "doctor", "--no-vendor")
    assert ended.returncode == 2
    assert "belongs to the account 'theirs'" in ended.stdout


def test_an_operator_does_not_claim_a_database_that_has_no_owner(theirs: Redis) -> None:
    theirs.delete(DATABASE_KEY)
    assert operate(theirs, "jobs").returncode == 0
    assert theirs.keys() == []


def operate(redis: Redis, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"WANIMATE_REDIS_URL": url_of(redis).get_secret_value(), "WANIMATE_ACCOUNT": "ours"}
    return run("wanimate-worker", *arguments, **environment)
