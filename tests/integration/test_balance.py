"""Submissions stop before the vendor refuses them, and go on by themselves; the vendor's ground truth judges."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from harness import PATIENCE_SECONDS, Vendor, eventually, job, stack_settings
from pydantic import SecretStr
from typed import run
from wanimate import Client, Result, Settings
from wanimate_devstack import Stack, StackOptions, redis_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from wanimate import AnimateJob, JobHandle

#: Each job is a dollar: 25 s at 4 cents.
SECONDS, PRICE = 25, 0.04
CAP = 5


@pytest.fixture(scope="module")
def paying() -> Iterator[Stack]:
    """A stack that knows prices, asks for the balance twice a second, and leaves five dollars of it."""
    settings = stack_settings(
        CAP,
        balance_interval_seconds="0.5",
        price_480p_usd_per_second=str(PRICE),
        price_720p_usd_per_second=str(2 * PRICE),
        balance_warn_usd="20",
        balance_hold_usd="5",
    )
    simulator = {"cap": str(CAP), "speed": "200", "price-480p": str(PRICE), "price-720p": str(2 * PRICE)}
    with Stack(StackOptions(has_flower=False, has_ops=True, simulator=simulator, settings=settings)) as stack:
        yield stack


@pytest.fixture
def client(paying: Stack) -> Iterator[Client]:
    with Client(Settings(redis_url=SecretStr(paying.redis.url))) as client:
        yield client


@pytest.fixture
def redis(paying: Stack) -> Iterator[Redis]:
    with redis_of(paying) as redis:
        yield redis


@pytest.fixture
def vendor(paying: Stack, redis: Redis) -> Iterator[Vendor]:
    vendor = Vendor(paying.simulator_url or "")
    vendor.reset()
    change(paying, "--balance-hold-usd", "5", "--daily-billed-usd", "none")
    yield vendor
    vendor.close()


def change(stack: Stack, *options: str) -> dict[str, Any]:
    done = run("wanimate-worker", "limits", "--json", *options, **stack.environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def set_balance(stack: Stack, redis: Redis, usd: float) -> None:
    """Set the balance at the vendor, and wait until a worker has read it."""
    httpx.put(f"{stack.simulator_url}/simulator/balance", json={"balance_usd": usd}, trust_env=False).raise_for_status()
    wanted = str(round(usd * 1_000_000))
    eventually(lambda: redis.hget("wanimate:{default}:balance", "micro_usd") == wanted, "the balance is read")


def limits_page(stack: Stack) -> dict[str, Any]:
    return httpx.get(f"{stack.ops_url}/limits.json", trust_env=False).raise_for_status().json()  # type: ignore[no-any-return]


def dollars(name: str, count: int) -> list[AnimateJob]:
    video = f"https://example.com/motion.mp4?seconds={SECONDS}"
    return [job(f"{name}-{i}", video_seconds=SECONDS, video_url=video) for i in range(count)]


def all_succeed(client: Client, handles: list[JobHandle]) -> bool:
    return all(isinstance(outcome, Result) for outcome in client.wait_all(handles, timeout=PATIENCE_SECONDS))


def test_submissions_stop_above_the_threshold_and_go_on_after_a_top_up(
    paying: Stack, client: Client, vendor: Vendor, redis: Redis
) -> None:
    set_balance(paying, redis, 8)
    handles = client.submit_many(dollars("held", 8))
    eventually(lambda: handles[-1].status().blocked_by == "balance", "the rest waits for credit")
    assert handles[-1].status().eta_seconds is None
    eventually(lambda: vendor.summary()["completed"] == 3, "what runs is polled to its end")
    summary = vendor.summary()
    assert (summary["accepted"], summary["rejected_by_code"]) == (3, {})
    eventually(lambda: limits_page(paying)["balance"]["usd"] == 5, "the balance is read again")
    assert limits_page(paying)["state"] == "balance too low"
    set_balance(paying, redis, 100)
    assert all_succeed(client, handles)
    assert set(vendor.accepted().values()) == {1}
    assert vendor.summary()["rejected_by_code"] == {}


def test_a_lower_threshold_lets_jobs_go_on_at_once(paying: Stack, client: Client, vendor: Vendor, redis: Redis) -> None:
    set_balance(paying, redis, 5.5)
    handles = client.submit_many(dollars("lowered", 3))
    eventually(lambda: handles[0].status().blocked_by == "balance", "they wait for credit")
    assert vendor.summary()["accepted"] == 0
    assert "balance_hold_usd" not in change(paying, "--balance-hold-usd", "none")
    assert all_succeed(client, handles)
    assert vendor.summary()["rejected_by_code"] == {}


def test_an_empty_account_waits_and_no_job_is_lost(paying: Stack, client: Client, vendor: Vendor, redis: Redis) -> None:
    change(paying, "--balance-hold-usd", "none")
    set_balance(paying, redis, 2)
    handles = client.submit_many(dollars("empty", 6))
    eventually(
        lambda: redis.hget("wanimate:{default}:account", "suspended"), "the vendor refuses, and the account is paused"
    )
    eventually(lambda: vendor.summary()["completed"] == 2, "what was paid for is delivered")
    refused = vendor.summary()["rejected_by_code"]["402"]
    assert refused <= CAP, "those that were being sent, and none of the rest"
    read = vendor.summary()["balances_total"]
    eventually(lambda: vendor.summary()["balances_total"] > read + 2, "the balance is asked for, again and again")
    assert vendor.summary()["rejected_by_code"] == {"402": refused}
    set_balance(paying, redis, 100)
    assert all_succeed(client, handles)
    assert set(vendor.accepted().values()) == {1}


def test_a_days_limit_in_dollars_is_kept(paying: Stack, client: Client, vendor: Vendor, redis: Redis) -> None:
    set_balance(paying, redis, 100)
    spent = limits_page(paying)["billed"]["money"]["today_usd"]
    assert change(paying, "--daily-billed-usd", str(spent + 12))["daily_billed_usd"] == spent + 12
    handles = client.submit_many(dollars("limited", 14))
    # Which two: slots that are freed together are used in any order.
    eventually(
        lambda: [handle.status().blocked_by for handle in handles].count("daily_limit") == 2,
        "the rest waits for the next day",
    )
    assert handles[-1].status().billed_usd == 1.0
    eventually(lambda: vendor.summary()["completed"] == 12, "twelve dollars are spent")
    assert vendor.summary()["accepted"] == 12
    change(paying, "--daily-billed-usd", "none")
    assert all_succeed(client, handles)
    account = httpx.get(f"{paying.simulator_url}/simulator/balance", trust_env=False).json()
    assert account["spent_usd"] == 14
    eventually(lambda: limits_page(paying)["blockers"] == [], "the page is that of now")
    counted = limits_page(paying)["billed"]["money"]["today_usd"]
    assert counted == pytest.approx(spent + 14), "what was counted is what the vendor took"


def test_a_limit_in_dollars_without_prices_is_refused(paying: Stack, client: Client, vendor: Vendor) -> None:
    del client, vendor
    refused = run(
        "wanimate-worker",
        "limits",
        "--daily-billed-usd",
        "50",
        "--price-480p-usd-per-second",
        "none",
        **paying.environment,
    )
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "WANIMATE_PRICE_480P_USD_PER_SECOND" in refused.stderr
    inverted = run("wanimate-worker", "limits", "--balance-hold-usd", "30", **paying.environment)
    assert (inverted.returncode, "WANIMATE_BALANCE_WARN_USD" in inverted.stderr) == (2, True)
