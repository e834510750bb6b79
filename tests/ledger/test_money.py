"""What is billed in money: counted at the price of the moment, taken back with the seconds, and limited by day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wanimate.contract import JobStatus, Outcome
from wanimate.contract.cost import Prices
from wanimate.errors import InvalidRequest
from wanimate_worker.ledger import Blocked, Submit
from wanimate_worker.ledger.counters import Counters

from .bench import LONG_MS, Bench

if TYPE_CHECKING:
    from collections.abc import Callable

REJECTED = Outcome.failure(InvalidRequest("no", "400"))
DAY_MS = 86_400_000
CHEAP, DEAR = 40_000, 80_000


def spent(bench: Bench) -> dict[str, int]:
    """Return today's money by label, '' for all, in micro-dollars."""
    day = str(bench.now_ms() // DAY_MS)
    return {name.removeprefix(day): int(value) for name, value in bench.state().spent.items()}


def test_money_is_counted_by_resolution_and_label(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=9, price_480p_micro_usd=CHEAP, price_720p_micro_usd=DEAR)
    bench.admit("a", video_seconds=10, labels={"team": "red"})
    bench.admit("b", video_seconds=10, resolution="480p")
    bench.admit("c", video_seconds=10, resolution="720p", labels={"team": "red"})
    bench.admit("d", video_seconds=0.5)
    bench.admit("e", resolution="720p")
    for job_id in "abcde":
        bench.accept(job_id, bench.begin(job_id))
    costs = {job_id: int(bench.state().jobs[job_id]["billed_micro_usd"]) for job_id in "abcde"}
    assert costs == {"a": 400_000, "b": 400_000, "c": 800_000, "d": 200_000, "e": 120 * DEAR}
    assert spent(bench) == {"": sum(costs.values()), " team=red": 1_200_000}
    assert Counters.read(bench.state().counters).counts["billed_micro_usd"] == sum(costs.values())
    bench.drain()


def test_scripts_and_readers_round_money_alike(make_bench: Callable[..., Bench]) -> None:
    price = 12_345
    bench = make_bench(max_in_flight=100, price_480p_micro_usd=price)
    for number in range(60):
        seconds, job_id = 5 + number * 0.3337, f"job{number}"
        bench.admit(job_id, video_seconds=seconds)
        bench.begin(job_id)
        fields = bench.state().jobs[job_id]
        assert int(fields["billed_micro_usd"]) == Prices(price).micro_usd(seconds, None)
    bench.redis.flushdb()


def test_without_a_price_no_money_is_counted(bench: Bench) -> None:
    bench.limit(price_720p_micro_usd=DEAR)
    bench.start("a", video_seconds=10)
    assert bench.state().spent == {}
    assert "billed_micro_usd" not in bench.state().jobs["a"]
    bench.drain()


def test_money_is_taken_back_with_the_seconds(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=4, price_480p_micro_usd=CHEAP)
    bench.admit(*"abcd", video_seconds=10, labels={"team": "red"})
    submits = {job_id: bench.begin(job_id) for job_id in "abcd"}
    # What was counted is taken back, whatever a second costs by then.
    bench.limit(price_480p_micro_usd=DEAR)
    bench.ledger.jobs.release("a", submits["a"].nonce)
    bench.ledger.jobs.settle("b", submits["b"].nonce, REJECTED, is_free=True)
    bench.ledger.jobs.mark_unknown("c", submits["c"].nonce, "timeout")
    bench.ledger.jobs.release("c", submits["c"].nonce, may_be_billed=True)
    assert spent(bench) == {"": 800_000, " team=red": 800_000}
    assert not {"billed", "billed_micro_usd"} & bench.state().jobs["a"].keys()
    assert Counters.read(bench.state().counters).counts["billed_micro_usd"] == 400_000
    bench.drain()


def test_a_changed_price_leaves_history_as_it_was(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=4, price_480p_micro_usd=CHEAP)
    bench.start("a", video_seconds=10)
    bench.admit("b", video_seconds=10)
    bench.limit(price_480p_micro_usd=DEAR)
    shown = {
        job_id: JobStatus.from_hash(job_id, bench.state().jobs[job_id], None, has_slot=True, prices=Prices(DEAR))
        for job_id in "ab"
    }
    assert {job_id: status.billed_usd for job_id, status in shown.items()} == {"a": 0.4, "b": 0.8}
    bench.begin("b")
    assert spent(bench) == {"": 1_200_000}
    bench.drain()


def test_nothing_more_is_submitted_once_the_days_dollars_would_be_passed(make_bench: Callable[..., Bench]) -> None:
    prices = {"price_480p_micro_usd": CHEAP, "price_720p_micro_usd": DEAR}
    bench = make_bench(max_in_flight=10, daily_billed_micro_usd=2_000_000, **prices)
    bench.admit("a", "b", "c", video_seconds=10, resolution="720p")
    assert [type(bench.ledger.jobs.begin(job_id)) for job_id in "abc"] == [Submit, Submit, Blocked]
    assert 0 < bench.ledger.gate.read().limited_until_ms - bench.now_ms() <= DAY_MS
    bench.limit(daily_billed_micro_usd=2_399_999)
    assert bench.ledger.polls.grant() == []
    bench.limit(daily_billed_micro_usd=2_400_000)
    assert bench.ledger.polls.grant() == ["c"]
    bench.drain()


def test_of_both_limits_of_a_day_the_one_reached_first_counts(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=10, daily_billed_ms=25_000, daily_billed_micro_usd=9_000_000)
    bench.limit(price_480p_micro_usd=CHEAP)
    bench.admit("a", "b", "c", video_seconds=10)
    assert [type(bench.ledger.jobs.begin(job_id)) for job_id in "abc"] == [Submit, Submit, Blocked]
    bench.limit(daily_billed_ms=None, daily_billed_micro_usd=1_000_000)
    assert bench.ledger.polls.grant() == []
    bench.limit(daily_billed_micro_usd=None)
    assert bench.ledger.polls.grant() == ["c"]
    bench.drain()


def test_money_of_a_day_that_is_forgotten_is_not_taken_back(bench: Bench) -> None:
    bench.limit(price_480p_micro_usd=CHEAP)
    bench.admit("a", video_seconds=10)
    submit = bench.begin("a")
    bench.redis.delete(bench.keys.spent, bench.keys.billed, bench.keys.balance)
    bench.ledger.jobs.release("a", submit.nonce)
    assert (bench.state().spent, bench.state().balance) == ({}, {})
    bench.drain()


def test_what_was_begun_before_prices_were_known_ends_as_ever(bench: Bench) -> None:
    bench.admit("a", video_seconds=10)
    submit = bench.begin("a")
    bench.limit(price_480p_micro_usd=CHEAP)
    bench.let_time_pass()
    bench.accept("a", submit)
    assert bench.ledger.jobs.settle("a", submit.nonce, REJECTED, is_free=True) is not None
    assert bench.state().due["a"] > LONG_MS
    bench.drain()
