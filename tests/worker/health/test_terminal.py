"""What `wanimate-worker top` leaves out where the terminal is small."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from wanimate.contract import Keys
from wanimate_worker.health.rules import problems_of
from wanimate_worker.health.terminal import panel_of

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


def shown(account: Account, lines: int) -> list[str]:
    console = Console(width=80, height=lines, file=io.StringIO())
    console.print(panel_of(account.reader.read(), console))
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
        assert f"… and {5 - problems} problem" in text
    assert ("team=t0" in text) is ("… and" not in text)


def test_80_by_24_has_the_worst_problems_with_commands(busy: Account) -> None:
    text = "\n".join(shown(busy, 24))
    worst = problems_of(busy.reader.read())[:3]
    for problem in worst:
        assert problem.text[1:] in text
        assert f"$ {problem.command}" in text
