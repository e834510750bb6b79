from __future__ import annotations

import random
from datetime import timedelta
from itertools import accumulate
from typing import Any

import pytest
import throttled
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracles import Reservation, reserve
from throttled import Quota, Rate
from wanimate_worker.pacing import RequestRate, default_burst

START_US = 1_767_965_610_000_000
WINDOW_US = 60_000_000


def most_in_any_window(arrivals_us: list[int]) -> int:
    """Count by brute force; both ends of the 60 s belong to the window, the harshest way to count."""
    arrivals = sorted(arrivals_us)
    most = first = 0
    for last, arrival in enumerate(arrivals):
        while arrival - arrivals[first] > WINDOW_US:
            first += 1
        most = max(most, last - first + 1)
    return most


def send(rate: RequestRate, demand: list[tuple[int, int, int, int]]) -> list[int]:
    """Ask as the demand says and return when each granted request is sent."""
    tat_us, now_us = 0, START_US
    sent: list[int] = []
    for gap_us, count, max_wait_us, headroom in demand:
        now_us += gap_us
        tat_us, granted, wait_us = reserve(tat_us, now_us, count, rate, max_wait_us, headroom)
        sent.extend([now_us + wait_us] * granted)
    return sent


limits = st.sampled_from([1, 2, 3, 5, 10, 60, 100, 250, 1000])
rates = limits.flatmap(
    lambda limit: st.builds(
        RequestRate,
        st.just(limit),
        st.none() | st.integers(1, limit),
        st.sampled_from([0.0, 0.25, 1.0, 5.0]),
    )
)
gaps_us = st.integers(0, 2_000_000) | st.sampled_from([0, 1, 59_999_999, WINDOW_US, 61_000_000, 61_000_001, 90_000_000])
demands = st.lists(
    st.tuples(gaps_us, st.sampled_from([1, 1, 2, 7, 50, 1000]), st.sampled_from([0, 0, 500_000, 30_000_000]),
              st.sampled_from([0, 0, 1, 5, 10_000])),
    max_size=120,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(rates, demands, st.randoms(use_true_random=False))
def test_no_sixty_seconds_exceed_the_limit_whatever_is_asked_and_however_requests_are_delayed(
    rate: RequestRate, demand: Any, chance: Any
) -> None:
    sent = send(rate, demand)
    skew_us = round(rate.skew_seconds * 1_000_000)
    assert most_in_any_window(sent) <= rate.requests_per_minute
    assert most_in_any_window([moment + chance.randint(0, skew_us) for moment in sent]) <= rate.requests_per_minute
    # The worst that delays can do: push everything before a moment as close to what follows as they can.
    if sent:
        pivot = chance.choice(sent)
        squeezed = [moment + (skew_us if moment < pivot else 0) for moment in sent]
        assert most_in_any_window(squeezed) <= rate.requests_per_minute


@pytest.mark.parametrize("limit", [1, 2, 5, 60, 600, 10_000])
def test_a_greedy_sender_never_exceeds_the_limit_and_nearly_reaches_it(limit: int) -> None:
    rate = RequestRate(limit)
    tat_us, now_us, sent = 0, START_US, []
    while now_us < START_US + 5 * WINDOW_US:
        tat_us, granted, wait_us = reserve(tat_us, now_us, limit, rate)
        sent += [now_us] * granted
        now_us += wait_us
    for delays in (0, 1_000_000):
        for pivot in sent[:: max(1, len(sent) // 20)]:
            assert most_in_any_window([at + (delays if at < pivot else 0) for at in sent]) <= limit
    assert most_in_any_window(sent) >= 0.98 * limit - 1
    steady = 60_000_000 / rate.emission_interval_us
    assert steady >= 0.97 * (limit - 1) or limit == 1


def test_the_bound_is_used_up_but_not_exceeded() -> None:
    for limit in range(1, 300):
        for burst in {1, default_burst(limit), limit // 2 or 1, limit}:
            rate = RequestRate(limit, burst)
            assert burst + 61_000_000 // rate.emission_interval_us <= limit
            assert burst + 61_000_000 // (rate.emission_interval_us - 1) > limit


def test_the_vendors_limit_keeps_more_than_nine_thousand_seven_hundred_a_minute() -> None:
    rate = RequestRate(10_000)
    assert (rate.burst, rate.emission_interval_us) == (100, 6161)
    assert 60_000_000 / rate.emission_interval_us > 9_700


@pytest.mark.parametrize(
    ("limit", "burst"), [(1, 1), (9, 1), (10, 2), (60, 2), (299, 2), (300, 3), (10_000, 100), (10**6, 100)]
)
def test_the_default_burst_is_one_hundredth_of_the_limit_or_two(limit: int, burst: int) -> None:
    assert default_burst(limit) == burst
    assert RequestRate(limit).burst == burst


@pytest.mark.parametrize(
    "wrong",
    [{"requests_per_minute": 0}, {"requests_per_minute": -1}, {"requests_per_minute": 5, "burst": 0},
     {"requests_per_minute": 5, "burst": 6}, {"requests_per_minute": 5, "skew_seconds": -0.1},
     {"requests_per_minute": 5, "skew_seconds": float("nan")}, {"requests_per_minute": 5, "skew_seconds": 61}],
)  # fmt: skip
def test_a_rate_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        RequestRate(**wrong)


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 1, "max_wait_us": -1}, {"count": 1, "headroom": -1}])
def test_a_reservation_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least"):
        reserve(0, START_US, rate=RequestRate(60), **wrong)


def test_as_many_as_conform_are_granted() -> None:
    rate = RequestRate(1000)
    assert reserve(0, START_US, 25, rate) == Reservation(START_US + 10 * rate.emission_interval_us, 10, 0)


def test_what_is_refused_changes_nothing_and_says_when_to_ask_again() -> None:
    rate = RequestRate(1000)
    tat_us = reserve(0, START_US, 10, rate).tat_us
    refused = reserve(tat_us, START_US, 5, rate)
    assert refused == Reservation(tat_us, 0, rate.emission_interval_us)
    assert reserve(tat_us, START_US + refused.wait_us, 5, rate).granted == 1
    assert reserve(tat_us, START_US + refused.wait_us - 1, 5, rate).granted == 0


def test_a_single_request_may_wait_and_has_its_place() -> None:
    rate = RequestRate(1000)
    step = rate.emission_interval_us
    tat_us = reserve(0, START_US, 10, rate).tat_us
    first = reserve(tat_us, START_US, 1, rate, max_wait_us=3 * step)
    second = reserve(first.tat_us, START_US, 1, rate, max_wait_us=3 * step)
    assert (first.granted, first.wait_us, second.granted, second.wait_us) == (1, step, 1, 2 * step)
    assert reserve(second.tat_us, START_US, 1, rate, max_wait_us=3 * step - 1).granted == 0


def test_several_requests_never_wait() -> None:
    rate = RequestRate(1000)
    tat_us = reserve(0, START_US, 10, rate).tat_us
    assert reserve(tat_us, START_US, 2, rate, max_wait_us=WINDOW_US).granted == 0


def test_headroom_is_left_to_more_important_requests() -> None:
    rate = RequestRate(1000)
    polls = reserve(0, START_US, 100, rate, headroom=4)
    assert polls.granted == 6
    assert reserve(polls.tat_us, START_US, 1, rate, headroom=4).granted == 0
    assert reserve(polls.tat_us, START_US, 100, rate).granted == 4


def test_a_headroom_of_the_whole_burst_does_not_stop_polls_for_ever() -> None:
    rate = RequestRate(5)
    assert rate.burst == 1
    assert reserve(0, START_US, 1, rate, headroom=10).granted == 1


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 500).flatmap(lambda limit: st.tuples(st.just(limit), st.integers(1, limit))),
    st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(1, 6)), max_size=60),
)
@example((1, 1), [(0, 1), (61_000_000, 1), (1, 1)])
def test_the_plain_case_decides_like_another_librarys_gcra(limit_and_burst: tuple[int, int], demand: Any) -> None:
    rate = RequestRate(*limit_and_burst)
    # throttled-py counts in seconds of one clock; given microseconds instead, every number is whole and exact.
    quota = Quota(Rate(timedelta(seconds=rate.emission_interval_us), 1), burst=rate.burst)
    moments = list(accumulate((gap for gap, _ in demand), initial=START_US))[1:]
    now = START_US
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(throttled.utils, "now_mono_f", lambda: float(now))
        oracle = throttled.Throttled("k", using="gcra", quota=quota, store=throttled.MemoryStore())
        tat_us = 0
        for now, (_, count) in zip(moments, demand, strict=True):
            tat_us, granted, wait_us = reserve(tat_us, now, 1, rate)
            verdict = oracle.limit()
            assert verdict.limited == (granted == 0)
            assert granted or verdict.state.retry_after == wait_us
            # Several at once: ours grants what is left, so ask for no more than both would grant whole.
            left = oracle.peek("k").remaining
            if 1 <= count <= left:
                tat_us, granted, _ = reserve(tat_us, now, count, rate)
                assert (granted, oracle.limit(cost=count).limited) == (count, False)
            assert reserve(tat_us, now, 10**6, rate).granted == oracle.peek("k").remaining


def test_the_brute_force_counter_counts() -> None:
    assert most_in_any_window([]) == 0
    assert most_in_any_window([0, WINDOW_US]) == 2
    assert most_in_any_window([0, WINDOW_US + 1]) == 1
    chance = random.Random(1)
    moments = [chance.randint(0, 10 * WINDOW_US) for _ in range(200)]
    slow = max(sum(start <= other <= start + WINDOW_US for other in moments) for start in moments)
    assert most_in_any_window(moments) == slow
