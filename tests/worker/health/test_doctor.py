"""What doctor makes of settings and of the vendor's answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from other_app import worker_of_another_app
from pydantic import SecretStr
from redis import Redis
from wanimate.contract import ENTRY_QUEUE, GENERATE_TASK, POLL_TASK
from wanimate_devstack import RedisServer
from wanimate_worker.database import open_database
from wanimate_worker.engine.runtime import Runtime
from wanimate_worker.health.finding import Severity
from wanimate_worker.health.reading import Reader
from wanimate_worker.health.rules import findings_of
from wanimate_worker.health.setup import check_callbacks, check_limits, check_results, check_transport, check_vendor
from wanimate_worker.health.work import check_unread, check_workers, with_balance_of_vendor
from wanimate_worker.queues import queue_lengths
from wanimate_worker.roster import connected_workers
from wanimate_worker.settings import WorkerSettings
from wanimate_worker.vendor import (
    Balance,
    NoBalance,
    NotSent,
    Pending,
    TaskNotFound,
    Throttled,
    Unauthorised,
    Unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wanimate_worker.vendor import BalanceAnswer, StatusAnswer


@pytest.fixture
def redis() -> Iterator[Redis]:
    with RedisServer(is_durable=False) as server, Redis.from_url(server.url, decode_responses=True) as redis:
        redis.url = server.url  # type: ignore[attr-defined]
        yield redis


def settings(**values: Any) -> WorkerSettings:
    return WorkerSettings(_env_file=None, api_key=SecretStr("key"), **values)


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (TaskNotFound("no such task"), Severity.OK),
        (Pending("processing"), Severity.OK),
        (Unauthorised(401, "bad key"), Severity.FAIL),
        (Unauthorised(402, "no credit"), Severity.FAIL),
        (NotSent("no route"), Severity.FAIL),
        (Throttled(None, "slow down", None), Severity.WARN),
        (Unreadable("503"), Severity.WARN),
    ],
)
def test_the_key_is_judged_by_the_answer_to_one_status_request(answer: StatusAnswer, level: Severity) -> None:
    vendor = SimpleNamespace(status=lambda _: answer)
    finding = check_vendor(SimpleNamespace(vendor=vendor, settings=settings()))  # type: ignore[arg-type]
    assert finding.severity is level
    assert bool(finding.advice) is (level is not Severity.OK)


def test_a_missing_key_is_a_failure_that_names_the_variable() -> None:
    finding = check_vendor(Runtime(WorkerSettings(_env_file=None)))  # type: ignore[call-arg]
    assert finding.severity is Severity.FAIL
    assert "WANIMATE_API_KEY" in finding.advice


def test_a_proxy_that_cannot_be_used_is_a_finding_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://127.0.0.1")
    trusting = settings(trust_env=True)
    finding = check_vendor(Runtime(trusting))
    assert (finding.check, finding.severity) == ("vendor", Severity.FAIL)
    assert "HTTPS_PROXY" in finding.text


@pytest.mark.parametrize(
    ("answer", "thresholds", "level", "told"),
    [
        (Balance(50_000_000), {}, Severity.OK, "$50.00"),
        (Balance(50_000_000), {"balance_warn_usd": 50, "balance_hold_usd": 10}, Severity.OK, "$50.00"),
        (Balance(49_990_000), {"balance_warn_usd": 50, "balance_hold_usd": 10}, Severity.WARN, "below $50.00"),
        (Balance(9_990_000), {"balance_warn_usd": 50, "balance_hold_usd": 10}, Severity.FAIL, "below $10.00"),
        (Balance(0), {}, Severity.FAIL, "has no credit"),
        (NoBalance("HTTP 404"), {}, Severity.OK, "unknown: HTTP 404"),
        (NoBalance("HTTP 404"), {"balance_hold_usd": 10}, Severity.WARN, "not be read: HTTP 404"),
        (
            Unauthorised(403, "no"),
            {"balance_warn_usd": 10},
            Severity.WARN,
            "not be read: the vendor refused the request",
        ),
    ],
)
def test_the_balance_is_judged_by_its_thresholds(
    redis: Redis, answer: BalanceAnswer, thresholds: dict[str, float], level: Severity, told: str
) -> None:
    here = settings(redis_url=SecretStr(redis.url), **thresholds)  # type: ignore[attr-defined]
    with open_database(here).redis as connection:
        open_database(here).ledger.limits.fill(here.account_limits())
        runtime: Any = SimpleNamespace(vendor=SimpleNamespace(balance=lambda: answer))
        now = with_balance_of_vendor(runtime, Reader(connection, here).read())
        connection.connection_pool.disconnect()
    [finding] = [finding for finding in findings_of(now) if finding.check == "balance"]
    assert (finding.check, finding.severity) == ("balance", level)
    assert told in finding.text
    assert bool(finding.advice) is (level is not Severity.OK)


def test_without_the_vendor_the_last_reading_is_told_with_its_age(redis: Redis) -> None:
    here = settings(redis_url=SecretStr(redis.url))  # type: ignore[attr-defined]
    connection, ledger = open_database(here)
    unread = next(iter(findings_of(Reader(connection, here).read())))
    ledger.balance.record(5_000_000, 0)
    read = next(iter(findings_of(Reader(connection, here).read())))
    connection.close()
    connection.connection_pool.disconnect()
    assert (unread.severity, unread.text) == (Severity.OK, "unknown: no worker has read it")
    assert read.text.startswith("$5.00, read ")


def test_an_environment_with_other_limits_is_told_that_the_accounts_count() -> None:
    account = settings(max_in_flight=2, daily_billed_seconds=240).account_limits()
    [verdict, difference] = check_limits(settings(), account)
    assert verdict.text == "10000 requests a minute for 2 slots"
    assert difference.severity is Severity.WARN
    assert difference.text == (
        "WANIMATE_MAX_IN_FLIGHT is 1000 here, the account's is 2; "
        "WANIMATE_DAILY_BILLED_SECONDS is not set here, the account's is 240"
    )
    assert "wanimate-worker limits" in difference.advice


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://api.example", "HTTPS://API.example:443/"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("https://api.example/v1", "https://api.example/v1/"),
    ],
)
def test_one_vendor_has_one_spelling(one: str, other: str) -> None:
    assert settings(api_base_url=one).api_base_url == settings(api_base_url=other).api_base_url


@pytest.mark.parametrize(
    ("slots", "requests", "level"),
    [(1000, 10_000, Severity.OK), (1000, 1999, Severity.WARN), (1000, 1000, Severity.WARN), (1000, 999, Severity.FAIL)],
)
def test_the_budget_must_allow_a_poll_a_minute_for_each_slot(slots: int, requests: int, level: Severity) -> None:
    here = settings(max_in_flight=slots, requests_per_minute=requests)
    [finding] = check_limits(here, here.account_limits())
    assert finding.severity is level


@pytest.mark.parametrize(
    ("url", "vendor", "level"),
    [
        (None, "https://api.example", Severity.OK),
        ("https://callbacks.example", "https://api.example", Severity.OK),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8900", Severity.OK),
        ("http://callbacks:8000", "http://simulator:8900", Severity.OK),
        ("http://callbacks.example", "https://api.example", Severity.WARN),
        ("https://8.8.8.8:8443", "https://api.example", Severity.OK),
        ("https://callbacks", "https://api.example", Severity.FAIL),
        ("http://callbacks:8000", "https://api.example", Severity.FAIL),
        ("https://10.0.0.7", "https://api.example", Severity.FAIL),
        ("https://[fd00::1]:8443", "https://api.example", Severity.FAIL),
        ("https://receiver.internal", "https://api.example", Severity.FAIL),
        ("https://receiver.prod.svc.cluster.local", "https://api.example", Severity.FAIL),
        ("http://127.0.0.1:8000", "https://api.example", Severity.FAIL),
        ("https://localhost", "https://api.example", Severity.FAIL),
    ],
)
def test_the_address_of_callbacks_must_be_one_that_the_vendor_calls(
    url: str | None, vendor: str, level: Severity
) -> None:
    here = settings(
        callback_base_url=url, api_base_url=vendor, allow_http=True, callback_secret=SecretStr("0123456789abcdef")
    )
    finding = check_callbacks(here)
    assert finding.severity is level
    assert bool(finding.advice) is (level is not Severity.OK)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "kept for 3d 0h; the vendor's URLs expire after 1d 0h; after that wait() raises ResultExpired"),
        ({"result_ttl_seconds": 3600}, "kept for 1h 0m; the vendor's URLs expire after 1d 0h"),
    ],
)
def test_doctor_says_for_how_long_results_are_of_use(values: dict[str, Any], text: str) -> None:
    finding = check_results(settings(**values))
    assert (finding.severity, finding.text) == (Severity.OK, text)


@pytest.mark.parametrize(("visibility", "level"), [(5, Severity.OK), (50, Severity.OK), (3600, Severity.WARN)])
def test_messages_of_dead_workers_must_come_back_in_a_sensible_time(visibility: float, level: Severity) -> None:
    conf = SimpleNamespace(broker_transport_options={"visibility_timeout": visibility})
    finding = check_transport(SimpleNamespace(conf=conf))  # type: ignore[arg-type]
    assert finding.severity is level


@pytest.mark.parametrize(
    ("answering", "level", "told"),
    [
        ({"celerybeat@a": [POLL_TASK], "w@b": [f"{POLL_TASK} [rate_limit=9/s]"]}, Severity.OK, "1 answer: w@b"),
        ({"celerybeat@a": [POLL_TASK]}, Severity.FAIL, "no worker answers"),
        ({"shop@a": ["shop.pay"], "odd@a": []}, Severity.FAIL, "no worker answers"),
        (None, Severity.FAIL, "no worker answers"),
    ],
)
def test_beats_and_workers_of_other_apps_do_not_count_as_workers(
    redis: Redis, answering: dict[str, list[str]] | None, level: Severity, told: str
) -> None:
    control = SimpleNamespace(inspect=lambda *_, **__: SimpleNamespace(registered=lambda: answering))
    finding = next(check_workers(SimpleNamespace(control=control), redis))  # type: ignore[arg-type]
    assert (finding.severity, finding.text) == (level, told)


@pytest.mark.parametrize(
    ("transport", "priority", "where"),
    [
        ({}, 5, None),
        ({"priority_steps": list(range(10))}, 5, None),
        ({"sep": ":"}, 0, None),
        ({"sep": ":"}, 5, "wanimate:3"),
        ({"global_keyprefix": "shop-"}, 0, "shop-wanimate"),
        ({"global_keyprefix": "shop_", "sep": "/", "priority_steps": [0, 7]}, 9, "shop_wanimate/7"),
    ],
)
def test_messages_of_the_queue_that_workers_do_not_read_are_found(
    redis: Redis, transport: dict[str, Any], priority: int, where: str | None
) -> None:
    url = redis.url  # type: ignore[attr-defined]
    with Celery(broker=url, broker_transport_options=transport, set_as_current=False) as sender:
        for _ in range(2):
            sender.send_task(GENERATE_TASK, queue=ENTRY_QUEUE, priority=priority)
    told = [(found.check, found.severity, found.text) for found in check_unread(sender, redis)]
    if where is None:
        assert told == [("unread queues", Severity.OK, "none")]
        assert queue_lengths(redis)[ENTRY_QUEUE] == 2
    else:
        assert told == [(f"list {where}", Severity.WARN, "2 messages in a list that no worker reads")]


@pytest.mark.slow
def test_messages_in_a_queue_without_a_reader_are_found(redis: Redis, tmp_path: Path) -> None:
    url = redis.url  # type: ignore[attr-defined]
    with Celery(broker=url, set_as_current=False) as app:
        app.send_task("shop.pack", queue="videos")
        app.send_task("shop.pack", queue="videos", priority=9)
        with worker_of_another_app(url, tmp_path):
            app.send_task("shop.slow")
            app.send_task("shop.slow")
            [found] = check_unread(app, redis)
    assert (found.check, found.severity) == ("queue videos", Severity.WARN)
    assert found.text == "2 messages, and no worker reads it"
    assert "-Q videos" in found.advice


def test_redis_knows_the_workers_that_are_connected_to_this_database(redis: Redis) -> None:
    here = SecretStr(redis.url)  # type: ignore[attr-defined]
    elsewhere = SecretStr(f"{here.get_secret_value().rsplit('/', 1)[0]}/7")
    assert connected_workers(redis) == set()
    opened = [
        open_database(settings(redis_url=url), worker=name).redis
        for url, name in ((here, "w1@höst a"), (here, "w2@b"), (elsewhere, "w3@c"), (here, ""))
    ]
    for connection in opened:
        connection.ping()
    assert connected_workers(redis) == {"w1@höst a", "w2@b"}
    assert connected_workers(opened[2]) == {"w3@c"}
    for connection in opened:
        connection.connection_pool.disconnect()
    assert connected_workers(redis) == set()


def test_a_user_who_may_not_name_connections_still_connects(redis: Redis) -> None:
    redis.acl_setuser("plain", enabled=True, passwords=["+p"], keys=["*"], commands=["+@all", "-client"])
    url = redis.url.replace("//", "//plain:p@")  # type: ignore[attr-defined]
    connection = open_database(settings(redis_url=SecretStr(url)), worker="w@a").redis
    assert connection.ping()
    control = SimpleNamespace(inspect=lambda *_, **__: SimpleNamespace(registered=lambda: {"w@a": [POLL_TASK]}))
    checked = check_workers(SimpleNamespace(control=control), connection)  # type: ignore[arg-type]
    assert [finding.severity for finding in checked] == [Severity.WARN, Severity.OK]
    connection.connection_pool.disconnect()
