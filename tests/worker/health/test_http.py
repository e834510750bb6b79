"""Who may see the figures, in which forms, and what they see when Redis is away."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from wanimate.contract import Outcome, Result
from wanimate.errors import SettingsError
from wanimate_devstack import RedisServer
from wanimate_worker.health.page import check_access
from wanimate_worker.ledger import Observation
from wanimate_worker.settings import WorkerSettings

from .conftest import Account, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

PATHS = ["/", "/limits.json", "/metrics", "/style.css"]
DONE = Outcome.success(Result(urls=("https://example.com/v.mp4",), task_id="t"))
LOGIN = ("ops", "a:pass word")
NAMES = {
    *("slots_used", "slots_cap", "slots_effective_cap", "slots_without_record", "waiting_jobs"),
    *("oldest_waiting_seconds", "due_lag_seconds", "parked_jobs", "unknown_jobs", "failed_jobs"),
    *("dead_letters", "queue_messages", "held_messages", "gate_closed", "budget_used_ratio"),
    *("beat_age_seconds", "day_billed_seconds"),
    *("day_billed_usd", "day_billed_usd_limit", "billed_usd"),
    *("balance_usd", "balance_age_seconds", "balance_warn_usd", "balance_hold_usd"),
    *("day_billed_seconds_limit", "submits", "polls", "throttled", "lost_answers", "jobs_ended", "billed_seconds"),
    *("retries", "keeping_jobs", "copies", "copied_bytes"),
    *("webhooks_undelivered", "webhooks_oldest_seconds", "webhooks_given_up", "webhook_tries"),
    "webhook_delivery_seconds",
    *("detection_lag_seconds", "task_duration_seconds"),
}


@pytest.fixture
def client(account: Account) -> Iterator[httpx.Client]:
    with served(account.settings) as client:
        yield client


@pytest.fixture
def closed(open_account: Callable[..., Account]) -> Iterator[httpx.Client]:
    with served(open_account(ops_auth=SecretStr(":".join(LOGIN))).settings) as client:
        yield client


def test_nothing_but_the_health_is_told_without_the_password(closed: httpx.Client) -> None:
    for path in PATHS:
        for auth in (None, ("ops", "wrong"), ("other", LOGIN[1]), ("", "")):
            answer = closed.get(path, auth=auth)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Basic ")
        assert closed.get(path, headers={"authorization": "Basic ????"}).status_code == 401
        assert closed.get(path, headers={"authorization": "Bearer x"}).status_code == 401
        assert closed.get(path, auth=LOGIN).status_code == 200
    assert closed.get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::", "ops.example.com"])
def test_it_listens_to_strangers_only_with_a_password(host: str) -> None:
    values: dict[str, Any] = {"_env_file": None}
    with pytest.raises(SettingsError, match="WANIMATE_OPS_AUTH"):
        check_access(WorkerSettings(**values), host)
    check_access(WorkerSettings(**values, ops_auth=SecretStr("a:b")), host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_needs_none(host: str) -> None:
    check_access(WorkerSettings(_env_file=None), host)


@pytest.mark.parametrize("login", ["nobody", ":x", "x:", "ü:x"])
def test_a_login_without_user_or_password_is_refused_and_not_shown(login: str) -> None:
    with pytest.raises(SettingsError, match=r"WANIMATE_OPS_AUTH: expected user:password, in ASCII$"):
        WorkerSettings(_env_file=None, ops_auth=SecretStr(login))


def test_a_foreign_name_for_this_machine_is_refused_where_there_is_no_password(client: httpx.Client) -> None:
    assert client.get("/", headers={"host": "evil.example.com"}).status_code == 403
    assert client.get("/", headers={"host": "evil.example.com:8001"}).status_code == 403
    for host in ("localhost:8001", "127.0.0.1", "[::1]:8001"):
        assert client.get("/", headers={"host": host}).status_code == 200


def test_labels_reasons_and_messages_are_text_and_never_markup(account: Account, client: httpx.Client) -> None:
    account.start("a", 10, "<img src=x onerror=alert(1)>=\"'&")
    account.ledger.gate.pause("<script>alert(2)</script>")
    account.ledger.gate.suspend("<b>401</b>")
    page = client.get("/").text
    assert "<img" not in page
    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;=&#34;&#39;&amp;" in page
    assert "&lt;script&gt;alert(2)&lt;/script&gt;" in page


def test_commands_in_advice_are_code(account: Account, client: httpx.Client) -> None:
    account.redis.zadd("wanimate:{default}:failed", {"a": account.ledger.records.now_ms()})
    page = client.get("/").text
    assert "<code>wanimate-worker retry ID</code> is billed again." in page
    assert "`" not in page


def test_every_answer_forbids_scripts_frames_and_caches(client: httpx.Client) -> None:
    for path in [*PATHS, "/health", "/nothing"]:
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
    assert client.post("/").status_code == 405


def test_the_page_shows_the_figures_with_their_units_and_asks_again_by_itself(
    account: Account, client: httpx.Client
) -> None:
    account.tick()
    account.start("a", 42, "team=red")
    account.admit("b", "c", "d", priority=4)
    text = re.sub(r"<[^>]+>|\s+", " ", client.get("/").text)
    text = re.sub(r" +", " ", text)
    for figure in ("3 of 3 in use", "of 600 requests a minute", "Waiting for a slot: 1 job", "team=red 42 s"):
        assert figure in text
    assert '<meta http-equiv="refresh" content="5">' in client.get("/").text


def test_an_empty_account_says_so_in_words(client: httpx.Client) -> None:
    page = client.get("/").text
    for words in ("No job is waiting.", "Idle:", "No figures yet", "No daily limit is set", "No job submitted today"):
        assert words in page


def test_the_metrics_have_the_names_and_labels_that_rules_and_dashboards_use(
    open_account: Callable[..., Account],
) -> None:
    money = {"price_480p_usd_per_second": 0.04, "price_720p_usd_per_second": 0.08, "daily_billed_usd": 500}
    account = open_account(daily_billed_seconds=1000, balance_warn_usd=100, balance_hold_usd=20, **money)
    account.redis.flushdb()
    account.ledger.limits.fill(account.settings.account_limits())
    account.ledger.balance.record(50_000_000, 0)
    submit = account.start("a", 42)
    seen = Observation("animate:720p", 41.0, account.ledger.records.now_ms() - 300)
    account.ledger.jobs.settle("a", submit.nonce, DONE, observed=seen)
    with served(account.settings) as client:
        answer = client.get("/metrics")
        openmetrics = client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert {name.removeprefix("wanimate_") for name in families} == NAMES
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert all("default" in labels for _, *labels in samples)
    assert samples["wanimate_billed_seconds_total", "default"] == 42
    assert samples["wanimate_day_billed_seconds_limit", "default"] == 1000
    assert samples["wanimate_billed_usd_total", "default"] == samples["wanimate_day_billed_usd", "default"] == 1.68
    assert samples["wanimate_day_billed_usd_limit", "default"] == 500
    assert samples["wanimate_balance_usd", "default"] == 50
    assert samples["wanimate_balance_age_seconds", "default"] == pytest.approx(0, abs=5)
    assert samples["wanimate_balance_warn_usd", "default"] == 100
    assert samples["wanimate_jobs_ended_total", "default", "succeeded"] == 1
    assert samples["wanimate_task_duration_seconds_bucket", "45.0", "720p", "animate", "default"] == 1
    assert samples["wanimate_task_duration_seconds_sum", "720p", "animate", "default"] == 41
    assert samples["wanimate_beat_age_seconds", "default"] == float("inf")
    reasons = {sample.labels["reason"] for sample in families["wanimate_gate_closed"].samples}
    assert reasons == {"suspended", "paused", "back_off", "unsafe", "refused", "probe", "daily_limit", "balance"}
    assert openmetrics.text.endswith("# EOF\n")
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")


def test_while_redis_is_away_every_form_says_so_and_afterwards_they_are_back() -> None:
    with RedisServer(is_durable=False) as redis:
        account = Account(redis.url)
        with served(account.settings) as client:
            assert client.get("/").status_code == 200
            redis.stop()
            for path in ["/", "/limits.json", "/metrics", "/health"]:
                answer = client.get(path)
                # What was read a moment ago may still be shown.
                while answer.status_code == 200 and path != "/health":
                    answer = client.get(path)
                assert answer.status_code == 503
                assert "Redis does not answer" in answer.text
                assert "Traceback" not in answer.text
            redis.start()
            assert client.get("/health").status_code == 200
            assert client.get("/").status_code == 200
        account.redis.connection_pool.disconnect()
