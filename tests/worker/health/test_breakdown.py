"""Today's cost by label: a few rows, however many values a label has."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from rich.console import Console
from wanimate_worker.health.breakdown import break_down
from wanimate_worker.health.exports import SnapshotCollector, to_json
from wanimate_worker.health.terminal import panel_of
from wanimate_worker.ledger import Entry

from .conftest import served

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .conftest import Account


def texts(seconds: Mapping[str, float]) -> dict[str, float]:
    return {row.text: row.seconds for row in break_down(seconds)}


def test_five_values_of_a_name_have_rows_and_the_rest_is_added_up() -> None:
    teams = {f"team={number}": 1000.0 + number for number in range(9)}
    assert texts({**teams, "customer=acme": 3000.0}) == {
        "customer=acme": 3000.0,
        **{f"team={number}": 1000.0 + number for number in (8, 7, 6, 5, 4)},
        "team: 4 other values": 4006.0,
    }


def test_a_name_with_a_value_for_each_job_is_one_row() -> None:
    orders = {f"order={number}": 5.0 + number % 50 for number in range(100)}
    assert texts({**orders, "team=red": 50.0}) == {"team=red": 50.0, "order: 100 values": sum(orders.values())}
    # Some were sent again after they had failed.
    orders |= {f"order={number}": 240.0 for number in range(10)}
    assert len(texts(orders)) == 1


def test_a_name_with_many_jobs_a_value_has_rows_however_many_values() -> None:
    rows = texts({f"customer={number}": 600.0 for number in range(40)})
    assert rows.pop("customer: 35 other values") == 35 * 600
    assert set(rows.values()) == {600.0}
    assert len(rows) == 5


def test_what_the_ledger_has_added_up_is_told_as_such() -> None:
    rows = texts({"": 7.0, "order": 900.0, **{f"order={number}": 10.0 for number in range(100)}, "team": 4.0})
    assert rows == {"order: more than 100 values": 1900.0, "other labels": 7.0, "team: other values": 4.0}
    assert texts({"team=red": 0.0, "team=blue": 1.0}) == {"team=blue": 1.0}
    assert texts({}) == {}


def test_a_thousand_orders_flood_no_screen(open_account: Callable[..., Account]) -> None:
    prices = {"price_480p_usd_per_second": 0.04, "price_720p_usd_per_second": 0.08}
    account = open_account(max_in_flight=1000, requests_per_minute=100_000, **prices)
    account.redis.flushdb()
    account.ledger.limits.fill(account.settings.account_limits())
    jobs = [
        Entry(f"job-{n}", 0, {}, {"video_seconds": 10, "labels": {"order": f"order-{n}", "team": f"team-{n // 125}"}})
        for n in range(1000)
    ]
    account.ledger.jobs.admit(jobs)
    for job in jobs:
        account.ledger.jobs.begin(job.job_id, holds_permit=True)  # no wait for the pace of requests
    account.tick()
    now = account.reader.read()
    assert [row.text for row in now.labels] == [
        *(f"team=team-{number}" for number in range(5)),
        "order: more than 100 values",
        "team: 3 other values",
    ]
    assert (now.labels[-2].seconds, now.labels[-2].micro_usd) == (10_000, 400_000_000)
    facts = to_json(now)["billed"]
    assert facts["other_labels"] == {"order": 10_000, "team": 3_750}
    assert facts["money"]["other_labels"] == {"order": 400, "team": 150}
    with served(account.settings) as client:
        page = client.get("/").text
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123 - not kept
    console.print(panel_of(now))
    console.file.close()
    metrics = str(list(SnapshotCollector(now).collect()))
    for shown in (page, console.export_text(), json.dumps(facts), metrics):
        assert not re.search(r"order-\d", shown), shown
