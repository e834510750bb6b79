"""What `wanimate-worker top` leaves out where the terminal is small."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from wanimate.contract import Keys
from wanimate_worker.health.rules import problems_of
from wanimate_worker.health.snapshot import Snapshot
from wanimate_worker.health.terminal import panel_of
from wanimate_worker.ledger import BalanceReading, BreakerFor, CopyBacklog, Fitting, SuspendedFor, WebhookBacklog

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Account

KEYS = Keys("default")


@pytest.fixture
def busy(open_account: Callable[..., Account]) -> Account:
    """An account with waiting jobs, labels, money, and five problems."""
    account = open_account(
        requests_per_minute=10_000,
        price_480p_usd_per_second=0.04,
        price_720p_usd_per_second=0.08,
        balance_warn_usd=100,
        daily_billed_seconds=10_000,
    )
    account.redis.flushdb()
    account.ledger.limits.fill(account.settings.account_limits())
    account.tick()
    for number in range(3):
        account.start(f"s{number}", 10, f"team=t{number}", f"customer=c{number}")
    account.admit("a", "b", priority=4)
    account.ledger.balance.record(50_000_000, 0)
    account.ledger.dead_letters.add({"reason": "unreadable"})
    account.ledger.gate.pause("prices changed, ask Anna")
    account.redis.zadd(KEYS.failed, {"f": 1})
    account.redis.zadd(KEYS.due, {"s0": account.ledger.records.now_ms() - 60_000})
    return account


def shown(account: Account | Snapshot, lines: int) -> list[str]:
    now = account if isinstance(account, Snapshot) else account.reader.read()
    console = Console(width=80, height=lines, file=io.StringIO())
    console.print(panel_of(now, console))
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue().splitlines()


def test_a_large_terminal_shows_everything(busy: Account) -> None:
    text = "\n".join(shown(busy, 100))
    for figure in ("Resume them when the reason is gone.", "ETA of all", "team=t0", "slots"):
        assert figure in text
    assert "… and" not in text
    assert text.count("●") == len(problems_of(busy.reader.read())) == 5


@pytest.mark.parametrize("lines", range(14, 50))
def test_a_small_terminal_says_what_it_leaves_out(busy: Account, lines: int) -> None:
    seen = shown(busy, lines)
    text = "\n".join(seen)
    assert len(seen) <= lines
    assert "3 of 3" in text
    assert "No job is submitted now" in text
    problems = text.count("●")
    if problems < 5:
        assert f"… and {5 - problems} more problem" in text
    assert ("team=t0" in text) is ("… and" not in text)


def test_80_by_24_has_the_worst_problems_with_commands(busy: Account) -> None:
    text = "\n".join(shown(busy, 24))
    worst = problems_of(busy.reader.read())[:3]
    for problem in worst:
        assert problem.text[1:] in text
        assert f"$ {problem.command}" in text


def with_everything_wrong(now: Snapshot) -> Snapshot:
    """Return a snapshot to which every rule has an objection."""
    later = now.at_ms + 3_600_000
    gate = replace(
        now.gate,
        suspended="Unauthorized: the API key is not valid for this account",
        suspended_for=SuspendedFor.KEY,
        closed_until_ms=later,
        reason="vendor 429: too many concurrent tasks",
        failures=9,
        refused_in_a_row=3,
        refused_why="refused: 403 Forbidden",
        breaker_next_ms=later,
        breaker_for=BreakerFor.REFUSED,
        unsafe="0 of 1 replicas have it after 3 s",
        unsafe_until_ms=later,
        limited_until_ms=later,
        is_balance_low=True,
    )
    return replace(
        now,
        gate=gate,
        slots=replace(now.slots, effective_cap=1, without_record=2),
        balance=BalanceReading(1_000_000, 1, why="HTTP 404"),
        limits=replace(now.limits, balance_hold_micro_usd=2_000_000),
        queues={"wanimate.control": 5_000, "wanimate": 50_000},
        beat_age_seconds=None,
        fitting=Fitting(3, 10),
        lost_ids=("lost-1", "lost-2"),
        unknown=7,
        unknown_ids=tuple(f"job-with-a-long-id-{number}" for number in range(5)),
        unknown_oldest_seconds=500.0,
        bands=(replace(now.bands[0], waiting=9, oldest_seconds=90_000.0), *now.bands[1:]),
        parked=4,
        copies=CopyBacklog(3, "copied", now.at_ms + 60_000, 1, 4, "the store is full"),
        webhooks=WebhookBacklog(5, 2),
        due_lag_seconds=900.0,
    )


def test_80_by_24_says_why_jobs_wait_whatever_is_wrong(busy: Account) -> None:
    now = with_everything_wrong(busy.reader.read())
    assert len(problems_of(now)) > 15

    seen = shown(now, 24)

    text = " ".join(line.strip() for line in seen)
    assert len(seen) <= 24
    assert "ETA unavailable until submissions resume." in text
    assert "slots" in text
    hidden = len(problems_of(now)) - text.count("●")
    assert seen[-1].strip() == f"… and {hidden} more problems: wanimate-worker doctor"
