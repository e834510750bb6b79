"""Money and the balance, as the page, the terminal and JSON show them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from wanimate.contract import Keys
from wanimate_worker.health.exports import to_json
from wanimate_worker.health.finding import Severity
from wanimate_worker.health.rules import problems_of
from wanimate_worker.health.terminal import panel_of
from wanimate_worker.health.verdict import balance_details, balance_of, state_of
from wanimate_worker.ledger import Entry

from .conftest import Account, served

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = Keys("default")
PRICES = {"price_480p_usd_per_second": 0.04, "price_720p_usd_per_second": 0.08}


@pytest.fixture
def open_priced(open_account: Callable[..., Account]) -> Callable[..., Account]:
    """Open an account with prices that has sent 10 s at 480p and 25 s at 720p."""

    def open_priced(**values: float) -> Account:
        account = open_account(**PRICES, **values)
        account.redis.flushdb()
        account.ledger.limits.fill(account.settings.account_limits())
        for job_id, resolution, seconds, team in (("a", "480p", 10, "red"), ("b", "720p", 25, "blue")):
            fields = {"type": "animate", "resolution": resolution, "video_seconds": seconds, "labels": {"team": team}}
            account.ledger.jobs.admit([Entry(job_id, 0, {"seen": True}, fields)])
            account.ledger.jobs.begin(job_id)
        account.tick()
        return account

    return open_priced


def on_terminal(account: Account, columns: int = 80) -> str:
    console = Console(width=columns, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123 - not kept
    console.print(panel_of(account.reader.read()))
    console.file.close()
    return console.export_text()


def on_page(account: Account) -> str:
    with served(account.settings) as client:
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", client.get("/").text))


def test_money_stands_beside_seconds_wherever_they_are(open_priced: Callable[..., Account]) -> None:
    account = open_priced()
    now = account.reader.read()
    assert now.money is not None
    assert (now.billed.today, now.money.today) == (35, 2_400_000)
    assert [(row.text, row.micro_usd) for row in now.labels] == [("team=blue", 2_000_000), ("team=red", 400_000)]
    assert to_json(account.reader.read())["billed"]["money"] == {
        "today_usd": 2.4,
        "limit_usd": None,
        "by_label": {"team=blue": 2.0, "team=red": 0.4},
        "other_labels": {},
        "by_day": {next(iter(now.money.by_day)): 2.4},
    }
    assert "$2.40 for 35 s of video" in on_page(account)
    assert "team=blue 25 s $2.00" in on_page(account)
    assert "$2.40 for 35 s today, estimated" in on_terminal(account)


def test_a_limit_in_dollars_is_shown_with_its_share(open_priced: Callable[..., Account]) -> None:
    account = open_priced(daily_billed_usd=24, daily_billed_seconds=350)
    now = account.reader.read()
    assert now.money is not None
    assert (now.money.used_ratio, now.billed.used_ratio) == (0.1, 0.1)
    assert "$2.40 of $24.00" in on_page(account)
    assert "$2.40 of $24.00 today, estimated" in on_terminal(account)
    assert "35 of 350 s today, estimated" in on_terminal(account)


def test_days_before_there_was_a_price_have_seconds_only(open_priced: Callable[..., Account]) -> None:
    account = open_priced()
    yesterday = account.ledger.records.now_ms() // 86_400_000 - 1
    account.redis.hset(KEYS.billed, str(yesterday), 5_000)
    assert "5.0 s -" in on_page(account).replace(" 5 s", " 5.0 s")


def test_a_balance_is_told_with_its_age_and_what_was_sent_since(open_priced: Callable[..., Account]) -> None:
    account = open_priced(balance_warn_usd=100, balance_hold_usd=20)
    assert balance_of(account.reader.read()) == "unknown"
    account.ledger.balance.record(130_000_000, 0)
    now = account.reader.read()
    assert re.fullmatch(r"\$130\.00 [\d.]+ m?s ago", balance_of(now))
    assert balance_details(now) == [
        "About $127.60 left after later submissions, estimated.",
        "Warns below $100.00.",
        "No submissions below $20.00.",
    ]
    assert to_json(account.reader.read())["balance"]["left_usd"] == 127.6
    assert "$130.00 read" in on_page(account)
    account.redis.hincrby(KEYS.balance, "at_ms", -1_800_000)
    account.ledger.balance.note_none("HTTP 503")
    assert re.fullmatch(r"\$130\.00 30m \d+s ago, old", balance_of(account.reader.read()))
    assert "Not read since: HTTP 503." in on_page(account)
    # A busy machine may have a second pass, and then some more.
    account.tick()
    [problem] = problems_of(account.reader.read())
    assert re.fullmatch(r"the balance could not be read for 30m \d+s: HTTP 503", problem.text)


def test_a_low_balance_is_warned_of_before_it_holds(open_priced: Callable[..., Account]) -> None:
    account = open_priced(balance_warn_usd=100, balance_hold_usd=20)
    account.ledger.balance.record(99_000_000, 2_400_000)
    [problem] = problems_of(account.reader.read())
    assert (problem.text, problem.severity) == ("the balance is $99.00, below $100.00", Severity.WARN)
    account.ledger.balance.record(19_990_000, 2_400_000)
    [problem] = problems_of(account.reader.read())
    assert (problem.command, problem.severity) == ("wanimate-worker limits --balance-hold-usd USD", Severity.FAIL)
    assert state_of(account.reader.read()) == "balance too low"


def test_an_account_without_prices_shows_no_money(account: Account) -> None:
    account.start("a", 10, "team=red")
    account.tick()
    shown = on_page(account) + on_terminal(account)
    assert "$" not in shown.replace("$ wanimate", "")
    assert "unknown" in on_page(account), "the balance"
    assert to_json(account.reader.read())["billed"]["money"] is None


def test_a_reason_of_the_vendor_is_text_and_never_markup(account: Account) -> None:
    account.ledger.balance.note_none("<b>[red]no[/red]</b>\x1b[31m")
    with served(account.settings) as client:
        assert "<b>" not in client.get("/").text
    assert "\x1b" not in balance_details(account.reader.read())[0]
