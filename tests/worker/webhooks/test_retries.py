"""When a webhook that was not taken is sent again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from wanimate_worker.webhooks.retries import MAX_DELAY_MS, next_delay_ms

DAYS_MS = 3 * 86_400_000


def test_delays_double_from_five_seconds_to_an_hour() -> None:
    delays = [next_delay_ms(attempts, 0, DAYS_MS, None, 0) for attempts in range(1, 13)]
    assert delays[:4] == [5_000, 10_000, 20_000, 40_000]
    assert delays[-2:] == [MAX_DELAY_MS, MAX_DELAY_MS]


@given(some.integers(1, 10_000), some.integers(0, DAYS_MS - 1), some.none() | some.floats(0, 1e9), some.floats(0, 1))
def test_a_delay_is_bounded_and_the_last_try_is_at_the_end(
    attempts: int, since_first_ms: int, retry_after_seconds: float | None, chance: float
) -> None:
    delay_ms = next_delay_ms(attempts, since_first_ms, DAYS_MS, retry_after_seconds, chance)
    assert delay_ms is not None
    assert 0 < delay_ms <= MAX_DELAY_MS
    assert since_first_ms + delay_ms <= DAYS_MS
    assert delay_ms >= min(3_750, DAYS_MS - since_first_ms)


def test_a_receiver_may_ask_to_wait_longer_but_not_shorter() -> None:
    assert next_delay_ms(1, 0, DAYS_MS, 60, 0) == 60_000
    assert next_delay_ms(1, 0, DAYS_MS, 1, 0) == 5_000
    assert next_delay_ms(1, 0, DAYS_MS, 1e9, 0) == MAX_DELAY_MS


def test_after_the_time_it_is_given_up() -> None:
    assert next_delay_ms(5, DAYS_MS, DAYS_MS, None, 0) is None
