"""What is told of videos that are not copied and webhooks that are not delivered."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from wanimate.contract import Keys
from wanimate_worker.health.exports import to_json
from wanimate_worker.health.finding import Finding, Severity
from wanimate_worker.health.rules import findings_of
from wanimate_worker.health.setup import check_store, check_webhooks
from wanimate_worker.ledger import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Account

KEYS = Keys("default")
HOUR_MS = 3_600_000


def finding(account: Account, check: str) -> Finding:
    return next(finding for finding in findings_of(account.reader.read()) if finding.check == check)


def keeping(account: Account, job_id: str, *, expires_in_ms: int, rendered_ago_ms: int, tries: int = 0) -> None:
    """Put a job among those whose videos are to be copied; a copy that failed is tried again later."""
    now_ms = account.ledger.records.now_ms()
    fields = {"stage": "keeping", "rendered_at_ms": now_ms - rendered_ago_ms}
    account.redis.hset(
        KEYS.job(job_id), mapping={**fields, "keep_tries": tries, "keep_why": "no room" if tries else ""}
    )
    if tries:
        account.redis.zadd(KEYS.keeping_later, {f"{now_ms + expires_in_ms} {job_id}": now_ms + 60_000})
    else:
        account.redis.zadd(KEYS.keeping, {job_id: now_ms + expires_in_ms})


def undelivered(account: Account, ago_ms: int, *, attempts: int = 0, given_up: bool = False) -> None:
    now_ms = account.ledger.records.now_ms()
    fields = {"job_id": "a", "outcome": "{}", "settled_at_ms": str(now_ms - ago_ms)}
    delivery = Delivery(f"{now_ms - ago_ms}-0", "https://backend.example/x?secret", fields, attempts, None, "HTTP 500")
    account.redis.hset(KEYS.deliveries, delivery.event_id, delivery.content())
    if given_up:
        account.redis.zadd(KEYS.dead_webhooks, {delivery.event_id: now_ms})


@pytest.mark.parametrize(
    ("expires_in_ms", "rendered_ago_ms", "tries", "severity"),
    [
        (23 * HOUR_MS, 10_000, 0, Severity.OK),
        (23 * HOUR_MS, HOUR_MS // 10, 5, Severity.OK),
        (23 * HOUR_MS, HOUR_MS // 2, 5, Severity.WARN),
        (HOUR_MS, 22 * HOUR_MS, 50, Severity.WARN),
        (HOUR_MS, 22 * HOUR_MS, 0, Severity.WARN),
        (HOUR_MS // 4, 23 * HOUR_MS, 90, Severity.FAIL),
        (HOUR_MS // 4, 10_000, 0, Severity.OK),
    ],
)
def test_a_video_that_is_not_copied_is_the_worse_the_sooner_it_expires(
    account: Account, expires_in_ms: int, rendered_ago_ms: int, tries: int, severity: Severity
) -> None:
    keeping(account, "later", expires_in_ms=expires_in_ms + HOUR_MS, rendered_ago_ms=rendered_ago_ms)
    keeping(account, "first", expires_in_ms=expires_in_ms, rendered_ago_ms=rendered_ago_ms, tries=tries)
    found = finding(account, "copies")
    assert found.severity is severity
    assert "2 videos to copy" in found.text
    if severity > Severity.OK:
        assert "first" in found.text
        assert ("no room" in found.text) == bool(tries)
        assert found.page == "docs/runbooks.md#copies-behind"
    assert to_json(account.reader.read())["copies"]["expiry_seconds"] == pytest.approx(expires_in_ms / 1000, abs=5)


def test_nothing_is_said_of_copies_where_there_are_none(account: Account) -> None:
    assert finding(account, "copies").text == "none to copy"
    assert finding(account, "webhooks").severity is Severity.OK


def test_a_webhook_that_is_undelivered_for_long_is_told_with_its_endpoint(account: Account) -> None:
    undelivered(account, 600_000, attempts=3)
    assert finding(account, "webhooks").severity is Severity.OK
    undelivered(account, HOUR_MS, attempts=7)
    undelivered(account, 5 * HOUR_MS, attempts=9, given_up=True)
    given_up, late = [each for each in findings_of(account.reader.read()) if each.check == "webhooks"]
    assert (late.severity, given_up.severity) == (Severity.WARN, Severity.WARN)
    assert "2 webhooks undelivered, the oldest for 1h 0m" in late.text
    assert "to https://backend.example:443 (HTTP 500)" in late.text
    assert "1 webhook given up, to https://backend.example:443" in given_up.text
    shown = json.dumps(to_json(account.reader.read()))
    assert "secret" not in shown + late.text
    assert to_json(account.reader.read())["webhooks"]["given_up"] == 1


def test_a_webhook_that_no_worker_sends_asks_for_the_secret(account: Account) -> None:
    undelivered(account, HOUR_MS)
    assert "WANIMATE_WEBHOOK_SECRET" in finding(account, "webhooks").advice


def test_a_store_that_takes_no_videos_from_here_is_a_failure(
    open_account: Callable[..., Account], tmp_path: Path
) -> None:
    account = open_account()
    limits = account.ledger.limits.read()
    assert limits
    assert check_store(account.settings, limits).severity is Severity.OK
    there = replace(limits, keep_url=f"file://{tmp_path}")
    assert check_store(account.settings, there).severity is Severity.OK
    wrong = replace(limits, keep_url="file:///proc/nowhere")
    assert check_store(account.settings, wrong).severity is Severity.FAIL
    values: dict[str, Any] = {"keep_threads": 0}
    assert check_store(account.settings.model_copy(update=values), wrong).severity is Severity.WARN


def test_an_address_for_webhooks_without_a_secret_here_is_a_warning(account: Account) -> None:
    limits = account.ledger.limits.read()
    assert limits
    assert check_webhooks(account.settings, limits).severity is Severity.OK
    addressed = replace(limits, webhook_url="https://backend.example/x")
    assert check_webhooks(account.settings, addressed).severity is Severity.WARN
    signing = account.settings.model_copy(update={"webhook_secret": SecretStr("whsec_" + "a" * 32)})
    assert check_webhooks(signing, addressed).severity is Severity.OK
