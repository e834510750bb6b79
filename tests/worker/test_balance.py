"""The balance as workers watch it: asked by the tick, kept, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from wanimate.contract import Keys
from wanimate_worker.ledger import SuspendedFor
from wanimate_worker.ledger.balance import SELDOM_MS
from wanimate_worker.vendor import (
    Balance,
    NoBalance,
    NotSent,
    Throttled,
    Unauthorised,
    Unreadable,
)

if TYPE_CHECKING:
    from wanimate_worker.ledger import BalanceReading
    from wanimate_worker.vendor import BalanceAnswer

    from .conftest import Run

KEYS = Keys("default")


def watch(run: Run, answer: BalanceAnswer) -> BalanceReading:
    """Let a tick ask, whenever it asked last, and return what is known once it is answered."""
    run.credit = answer
    run.redis.hdel(KEYS.balance, "next_at_ms")
    before = run.ledger.balance.read()
    run.poll()
    run.end_asking()
    known = run.ledger.balance.read()
    assert known != before
    return known


def suspend(run: Run) -> None:
    run.ledger.gate.suspend("no credit", SuspendedFor.CREDIT)


def test_a_tick_asks_for_the_balance_and_keeps_it(run: Run) -> None:
    assert watch(run, Balance(12_340_000)).micro_usd == 12_340_000
    run.credit = Balance(1)
    run.poll()
    assert run.ledger.balance.read().micro_usd == 12_340_000, "it is asked once a minute at most"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (NoBalance("HTTP 404"), "HTTP 404"),
        (Unreadable("not a number"), "not a number"),
        (NotSent("no route"), "no route"),
        (Throttled(None, "slow down", None), "vendor 429: slow down"),
        (Unauthorised(403, "not yours"), "the vendor refused the request (403): not yours"),
    ],
)
def test_a_balance_that_cannot_be_read_disturbs_nothing(run: Run, answer: BalanceAnswer, why: str) -> None:
    watch(run, Balance(5_000_000))
    known = watch(run, answer)
    assert (known.micro_usd, known.why) == (5_000_000, why)
    gate = run.ledger.gate.read()
    assert (gate.suspended, gate.closed_until_ms, gate.failures, gate.is_balance_low) == (None, 0, 0, False)


@pytest.mark.parametrize(
    ("answer", "least_ms"), [(NoBalance("HTTP 404"), SELDOM_MS), (Throttled(900.0, "slow down", None), 900_000)]
)
def test_a_vendor_that_does_not_tell_is_asked_seldom(run: Run, answer: BalanceAnswer, least_ms: int) -> None:
    watch(run, answer)
    next_at_ms = int(run.redis.hget(KEYS.balance, "next_at_ms") or 0)
    assert next_at_ms - run.ledger.records.now_ms() == pytest.approx(least_ms, abs=30_000)


def test_a_job_waits_for_credit_and_goes_on_by_itself(run: Run) -> None:
    run.redis.hset(KEYS.account, "balance_hold_micro_usd", 5_000_000)
    watch(run, Balance(4_990_000))
    run()
    assert (run.sent, run.has_slot()) == ([], False)
    watch(run, Balance(5_000_000))
    assert run.has_slot()


def test_an_empty_account_goes_on_once_its_balance_is_above_zero(run: Run) -> None:
    watch(run, Balance(0))
    suspend(run)
    run.redis.hset(KEYS.account, "probe_at_ms", 0)
    watch(run, Balance(0))
    assert run.ledger.gate.read().suspended == "no credit"
    assert run.asked == [], "a status request would be answered, and say nothing of the credit"
    watch(run, Balance(1_000_000))
    assert run.ledger.gate.read().suspended is None


def test_an_empty_account_goes_on_only_above_the_threshold(run: Run) -> None:
    run.redis.hset(KEYS.account, "balance_hold_micro_usd", 5_000_000)
    watch(run, Balance(0))
    suspend(run)
    watch(run, Balance(1_000_000))
    assert run.ledger.gate.read().suspended == "no credit"
    watch(run, Balance(6_000_000))
    assert run.ledger.gate.read().suspended is None


def test_an_empty_account_that_tells_no_balance_is_probed_as_ever(run: Run) -> None:
    suspend(run)
    run.redis.hset(KEYS.account, "probe_at_ms", 0)
    watch(run, NoBalance("HTTP 404"))
    assert run.ledger.gate.read().suspended is None
    assert run.asked


def test_a_refused_key_is_not_taken_for_an_empty_account(run: Run) -> None:
    watch(run, Balance(50_000_000))
    run.ledger.gate.suspend("401")
    run.redis.hset(KEYS.balance, "next_at_ms", 0)
    run.redis.hset(KEYS.account, "probe_at_ms", run.ledger.records.now_ms() + 60_000)
    run.poll()
    assert run.ledger.gate.read().suspended == "401"
