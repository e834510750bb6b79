from __future__ import annotations

import random
from collections import Counter
from itertools import islice
from math import exp, sqrt
from statistics import fmean

import pytest
from bounds import (
    MEAN_SECONDS,
    SLOTS,
    best_schedule,
    by_hazard,
    cost,
    counts,
    every,
    log_normal,
    polling_bound,
    reach,
)
from bounds import REQUESTS_PER_SECOND as PER_SECOND
from hypothesis import given, settings
from hypothesis import strategies as st
from wanimate.contract.durations import BINS, EDGES, Durations, Kinds, bin_of
from wanimate_worker.pacing import Mix, Urgency, fallback_share, polls_per_second, stride_of
from wanimate_worker.pacing.planner import (
    JITTER,
    LOOK_AHEAD,
    MAX_LATE_POLLS_SHARE,
    MAX_LATE_SHARE,
    MAX_SECONDS,
    TAIL_SHARE,
    Bounds,
)

from .spread import drawn, learnt, mix_of

chances = st.floats(0, 1, exclude_max=True)
sigmas = st.floats(0.1, 0.9)
strides = st.floats(0.05, 20)


# -- one task ---------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(sigmas, st.floats(0, 400))
def test_progress_and_age_are_each_others_inverse(sigma: float, age: float) -> None:
    urgency = Urgency(log_normal(sigma))
    assert urgency.age_at(urgency.progress(age)) == pytest.approx(age, abs=1e-6)


@settings(deadline=None, max_examples=50)
@given(sigmas, st.floats(0, 5000), strides, st.floats(0.01, 100), chances)
def test_an_interval_is_never_below_the_floor_nor_too_long(
    sigma: float, age: float, stride: float, floor: float, chance: float
) -> None:
    bounds = Bounds.of(PER_SECOND, SLOTS, MEAN_SECONDS)
    interval = Urgency(log_normal(sigma)).next_poll_seconds(age, stride, floor, chance, bounds)
    assert floor <= interval <= max(MAX_SECONDS, floor)


@settings(deadline=None, max_examples=50)
@given(sigmas, st.floats(0, 100), chances)
def test_few_tasks_are_noticed_late_however_long_the_stride(sigma: float, age: float, chance: float) -> None:
    durations, bounds = log_normal(sigma), Bounds.of(PER_SECOND, SLOTS, MEAN_SECONDS)
    next_age = age + Urgency(durations).next_poll_seconds(age, 1e6, 0, chance, bounds)
    # A bin is 4.4 % wide.
    late_before = max(age, (next_age - MAX_LATE_SHARE * MEAN_SECONDS) / 1.045)
    assert 1 - durations.survival_at(late_before) / durations.survival_at(age) <= TAIL_SHARE + 1e-9


def test_with_few_requests_for_each_task_intervals_may_be_longer() -> None:
    rich, poor = Bounds.of(1.0, 10, MEAN_SECONDS), Bounds.of(0.15, 3, MEAN_SECONDS)
    assert rich == Bounds(60.0, MAX_LATE_SHARE * MEAN_SECONDS)
    assert poor.max_seconds == pytest.approx(80)
    assert 2 * rich.max_late_seconds < poor.max_late_seconds < 3 * rich.max_late_seconds
    # Callbacks leave a tenth of the polls.
    assert Bounds.of(1.0, 10, MEAN_SECONDS, 0.1).max_late_seconds > MEAN_SECONDS


@settings(deadline=None, max_examples=50)
@given(st.floats(0.2, 0.6), st.floats(20, 80), st.floats(0.01, 0.1), chances)
def test_a_short_interval_is_the_square_root_of_2c_over_the_hazard(
    sigma: float, age: float, stride: float, chance: float
) -> None:
    durations = log_normal(sigma)
    interval = Urgency(durations).next_poll_seconds(age, stride, 0, chance)
    hazards = [durations.hazard[bin_of(age + interval * step / 20)] for step in range(21)]
    two_c = stride**2
    assert sqrt(two_c / max(hazards)) * (1 - JITTER) * 0.99 <= interval
    assert interval <= sqrt(two_c / min(hazards)) * (1 + JITTER) * 1.01


@settings(deadline=None, max_examples=30)
@given(sigmas, strides, st.floats(0, 200))
def test_larger_strides_make_no_interval_shorter(sigma: float, stride: float, age: float) -> None:
    urgency = Urgency(log_normal(sigma))
    assert urgency.next_poll_seconds(age, stride, 0, 0.5) <= urgency.next_poll_seconds(age, stride * 1.5, 0, 0.5) + 1e-9


def test_tasks_submitted_together_are_first_polled_over_some_seconds() -> None:
    generator = random.Random(1)
    urgency = Urgency(Durations())
    mix = Mix(Kinds({}))
    # What a start looks like: all slots were filled within seconds.
    stride = stride_of(mix.urgency([(5.0, SLOTS)]), PER_SECOND, mix.mean_seconds, 0.5)
    firsts = sorted(urgency.next_poll_seconds(0, stride, 0.5, generator.random()) for _ in range(SLOTS))
    busiest = max(sum(start <= at < start + 0.1 for at in firsts) for start in firsts)
    assert firsts[-1] - firsts[0] > 0.2
    assert busiest < SLOTS / 2


# -- a simulation of polling as the oracle of what is computed -----------------------------------------------------


def polled(durations: Durations, tasks: list[float], stride: float) -> tuple[float, float]:
    """Poll each task as the worker does, and return the mean number of polls and the mean delay."""
    generator, urgency = random.Random(3), Urgency(durations)
    polls, lags = [], []
    for ends_at in tasks:
        at, count = 0.0, 0
        while count == 0 or at < ends_at:
            at += urgency.next_poll_seconds(at, stride, 0, generator.random())
            count += 1
        polls.append(count)
        lags.append(at - ends_at)
    return fmean(polls), fmean(lags)


@pytest.mark.parametrize("sigma", [0.15, 0.3, 0.6])
@pytest.mark.parametrize("stride", [0.4, 0.8, 1.5])
def test_the_computed_polls_and_delay_are_those_of_simulated_tasks(sigma: float, stride: float) -> None:
    durations = log_normal(sigma)
    polls, lag = cost(by_hazard(durations, stride), durations)
    seen_polls, seen_lag = polled(durations, drawn(sigma, 10_000, seed=5), stride)
    assert seen_polls == pytest.approx(polls, rel=0.02)
    assert seen_lag == pytest.approx(lag, rel=0.03)


@settings(deadline=None, max_examples=20)
@given(st.floats(1, 20))
def test_uniform_polling_costs_what_is_known_of_it(interval: float) -> None:
    polls, lag = cost(every(interval), log_normal(0.3))
    assert lag == pytest.approx(interval / 2, rel=0.05)
    assert polls == pytest.approx(MEAN_SECONDS / interval + 0.5, rel=0.02)


def test_uniform_polling_of_an_exponential_needs_as_many_polls_as_its_geometric_distribution() -> None:
    rate = 1 / MEAN_SECONDS
    cumulated = [0.0, *(1 - exp(-rate * edge) for edge in EDGES[1:-1]), 1.0]
    durations = Durations([1e7 * (cumulated[number + 1] - cumulated[number]) for number in range(BINS)])
    polls, _ = cost(every(10.0), durations)
    assert polls == pytest.approx(1 / (1 - exp(-rate * 10)), rel=0.01)


# -- optimality -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.5, 0.8])
def test_no_schedule_at_all_is_more_than_three_percent_better(sigma: float) -> None:
    durations = log_normal(sigma)
    # About what the vendor's limits leave (see below).
    stride = 0.7
    price = stride**2 / 2
    polls, lag = cost(by_hazard(durations, stride), durations)
    best_polls, best_lag = cost(best_schedule(durations, price, [0.5 * step for step in range(1, 700)]), durations)
    assert lag + price * polls <= (best_lag + price * best_polls) * 1.03


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([0.2, 0.3, 0.5]), st.floats(0.5, 1.5), st.data())
def test_bending_the_schedule_makes_it_worse(sigma: float, stride: float, data: st.DataObject) -> None:
    durations = log_normal(sigma)
    schedule = list(islice(by_hazard(durations, stride), 60))
    price = stride**2 / 2
    gap = data.draw(st.floats(0.25, 0.6))
    direction = data.draw(st.sampled_from([-1, 1]))
    # Every second poll is moved towards one of its neighbours.
    bent = [
        at + gap * (schedule[number + direction] - at) if 0 < number < 59 and number % 2 else at
        for number, at in enumerate(schedule)
    ]
    polls, lag = cost(schedule, durations)
    bent_polls, bent_lag = cost(bent, durations)
    assert bent_lag + price * bent_polls > lag + price * polls


@pytest.mark.parametrize(("sigma", "at_least"), [(0.1, 0.982), (0.3, 0.957), (0.5, 0.939), (0.8, 0.925)])
def test_with_the_vendors_limits_slots_are_used_as_well_as_was_computed(sigma: float, at_least: float) -> None:
    durations = log_normal(sigma)
    ours = reach(lambda stride: by_hazard(durations, stride), durations, SLOTS, PER_SECOND)
    uniform = reach(every, durations, SLOTS, PER_SECOND)
    bound = polling_bound(SLOTS, PER_SECOND, MEAN_SECONDS, sigma)
    # The bound is computed for polls on a grid, which costs so much.
    assert bound.slot_use + 1e-4 > ours.slot_use >= at_least > uniform.slot_use
    assert uniform.slot_use == pytest.approx(0.922, abs=0.001)


def test_two_thousand_tasks_teach_enough() -> None:
    truth, seen = log_normal(0.3), learnt(drawn(0.3, 2000, seed=2))
    ours = reach(lambda stride: by_hazard(seen, stride), truth, SLOTS, PER_SECOND)
    assert ours.slot_use == pytest.approx(
        reach(lambda stride: by_hazard(truth, stride), truth, SLOTS, PER_SECOND).slot_use, abs=0.001
    )


def test_the_prior_alone_is_better_than_uniform_polling() -> None:
    for sigma in (0.1, 0.3, 0.5, 0.8):
        truth, prior = log_normal(sigma), Durations()
        ours = reach(lambda stride: by_hazard(prior, stride), truth, SLOTS, PER_SECOND)  # noqa: B023 - used at once
        assert ours.slot_use > reach(every, truth, SLOTS, PER_SECOND).slot_use


# -- steering ---------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(st.floats(30, 120), st.floats(1, 500), st.floats(0.2, 0.9))
def test_the_stride_makes_many_tasks_of_one_age_need_just_the_polls_there_are(
    age: float, polls: float, sigma: float
) -> None:
    mix = mix_of(animate_480p=counts(sigma))
    stride = stride_of(mix.urgency([(age, 10**6)]), polls, mix.mean_seconds, 1e-9)
    ahead = LOOK_AHEAD * mix.mean_seconds
    assert 10**6 * mix.of("animate:480p").at(age + ahead) / stride == pytest.approx(polls, rel=0.02)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 120), min_size=1, max_size=5))
def test_few_tasks_are_planned_as_if_they_were_of_all_ages(ages: list[float]) -> None:
    mix = mix_of(animate_480p=counts(0.3))
    of_all_ages = len(ages) * mix.over_life / mix.mean_seconds
    assert mix.urgency([(age, 1) for age in ages]) == pytest.approx(of_all_ages, rel=0.3)


@pytest.mark.parametrize(("slots", "per_minute"), [(3, 10), (10, 60), (100, 1000), (1000, 10_000)])
def test_the_lag_that_is_planned_with_is_the_one_that_the_budget_allows(slots: int, per_minute: int) -> None:
    durations, mix = log_normal(0.3), mix_of(animate_480p=counts(0.3))
    reached = reach(lambda stride: by_hazard(durations, stride), durations, slots, per_minute / 60)
    assert mix.lag_seconds(per_minute / 60, slots) == pytest.approx(reached.lag_seconds, rel=0.3)


def test_a_plan_of_ten_requests_a_minute_keeps_polling_while_a_slot_is_free() -> None:
    calm = polls_per_second(10 / 61, 2, 41, lag_seconds=10)
    assert polls_per_second(10 / 61, 2, 41, lag_seconds=10, free_and_wanted=1) > 0.85 * calm


def test_a_full_account_in_a_steady_state_uses_its_budget_and_no_more() -> None:
    """A thousand slots in steps of a fifth of a second, against the budget; nothing here knows of `cost`."""
    generator = random.Random(11)
    mix = mix_of(animate_480p=counts(0.3))
    urgency = mix.of("animate:480p")
    ends = drawn(0.3, 20_000, seed=9)
    step, now, stride, spare, used = 0.2, 0.0, 1.0, 0.0, []
    tasks = [(-generator.uniform(0, 41), ends.pop()) for _ in range(SLOTS)]
    slots = [(begun, begun + length, generator.uniform(0, 10)) for begun, length in tasks if length > -begun]
    while now < 260:
        if round(now / step) % 5 == 0:
            in_flight = list(Counter(round(now - begun, 1) for begun, _, _ in slots).items())
            polls = polls_per_second(PER_SECOND, len(slots), mix.mean_seconds, spare=round(spare))
            stride = stride_of(mix.urgency(in_flight), polls, mix.mean_seconds, 0.5)
        requests, kept = 0, []
        for begun, ends_at, due_at in slots:
            if due_at > now:
                kept.append((begun, ends_at, due_at))
                continue
            requests += 1
            if ends_at > now:
                again = now + urgency.next_poll_seconds(now - begun, stride, 0.5, generator.random())
                kept.append((begun, ends_at, again))
        while len(kept) < SLOTS:
            requests += 1
            first = now + urgency.next_poll_seconds(0, stride, 0.5, generator.random())
            kept.append((now, now + ends.pop(), first))
        slots, now = kept, now + step
        spare = min(75.0, max(0.0, spare + PER_SECOND * step - requests))
        used.append(requests)
    steady = used[round(130 / step) :]
    assert 0.95 * PER_SECOND <= fmean(steady) / step <= PER_SECOND


@settings(deadline=None)
@given(
    st.floats(0.1, 1e4),
    st.integers(0, 100_000),
    st.floats(0.1, 1000),
    st.lists(st.integers(0, 10_000), min_size=3, max_size=3),
)
def test_polls_get_a_tenth_at_least_and_never_more_than_the_budget(
    budget: float, in_flight: int, mean: float, counts: list[int]
) -> None:
    free, late, spare = counts
    polls = polls_per_second(budget, in_flight, mean, free_and_wanted=free, late=late, spare=spare)
    assert budget * 0.0999 <= polls <= budget


def test_submissions_and_late_polls_come_before_new_ones() -> None:
    calm = polls_per_second(PER_SECOND, 1000, 41)
    assert polls_per_second(PER_SECOND, 1000, 41, free_and_wanted=50) == pytest.approx(calm - 25)
    assert polls_per_second(PER_SECOND, 1000, 41, late=1) == calm
    assert polls_per_second(PER_SECOND, 1000, 41, late=51) == pytest.approx(calm - 25)
    assert polls_per_second(PER_SECOND, 1000, 41, late=500) == pytest.approx(calm * (1 - MAX_LATE_POLLS_SHARE))


def test_unused_permits_are_used_by_polls() -> None:
    calm = polls_per_second(PER_SECOND, 1000, 41)
    assert polls_per_second(PER_SECOND, 1000, 41, spare=20) == pytest.approx(calm + 10)


def test_a_few_tasks_are_polled_at_the_floor_when_their_end_is_likely_and_less_before() -> None:
    mix = mix_of(animate_480p=counts(0.3))
    stride = stride_of(mix.urgency([(30.0, 3)]), PER_SECOND, mix.mean_seconds, 0.5)
    urgency = mix.of("animate:480p")
    assert urgency.next_poll_seconds(45, stride, 0.5, 0.5) == pytest.approx(0.5)
    assert urgency.next_poll_seconds(10, stride, 0.5, 0.5) > 2


def test_while_callbacks_come_polls_are_a_tenth_and_without_them_all() -> None:
    assert fallback_share(1.0) == pytest.approx(0.05)
    assert fallback_share(0.0) == 1
    assert fallback_share(0.5) == pytest.approx(0.5)


def test_the_mean_urgency_of_kinds_is_that_of_the_tasks_which_are_left() -> None:
    mix = mix_of(animate_480p=counts(0.1, 10), replace_720p=counts(0.1, 100))
    # Of an age that hardly any short one reaches, all are long ones.
    assert mix.at(90) == pytest.approx(mix.of("replace:720p").at(90), rel=0.02)
    assert mix.mean_seconds == pytest.approx(55, rel=0.01)
    assert mix.of("animate:480p:5s").durations.mean_seconds == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("polls", [0, -1])
def test_no_polls_to_be_had_is_refused(polls: float) -> None:
    with pytest.raises(ValueError, match="polls_per_second"):
        stride_of(1, polls, 41, 0.5)
