"""What a seed and a marker decide is the same in every run and any order."""

from collections.abc import Callable
from statistics import fmean, median
from typing import Any

import pytest
from wanimate_simulator.durations import Durations
from wanimate_simulator.fail_codes import FAIL_CODES, is_lasting
from wanimate_simulator.faults import FaultBoard, Faults
from wanimate_simulator.outcomes import SUCCESS, Outcomes
from wanimate_simulator.videos import billed_seconds, drawn_seconds

MARKERS = [f"job-{number}" for number in range(20_000)]


def outcomes(seed: int = 0, failure_rate: float = 0.0, violation_rate: float = 0.0, **codes: float) -> Outcomes:
    return Outcomes(
        seed=seed,
        failure_rate=failure_rate,
        failure_codes=codes or {"GENERATION_FAILED": 1.0},
        content_violation_rate=violation_rate,
    )


def durations(seed: int = 0, sigma: float = 0.3, length_share: float = 0.0) -> Durations:
    return Durations(seed=seed, mean_seconds=41.0, sigma=sigma, length_share=length_share)


def test_durations_have_the_asked_for_mean() -> None:
    drawn = [durations().seconds(marker, type_="animate", resolution="480p", video_seconds=10) for marker in MARKERS]

    assert fmean(drawn) == pytest.approx(41.0, rel=0.01)
    assert min(drawn) < 25
    assert max(drawn) > 65


@pytest.mark.parametrize(
    ("type_", "resolution", "factor"),
    [("replace", "480p", 1.1), ("animate", "720p", 1.25), ("replace", "720p", 1.375)],
)
def test_replace_and_720p_take_longer(type_: str, resolution: str, factor: float) -> None:
    plain = durations().seconds("job", type_="animate", resolution="480p", video_seconds=10)

    assert durations().seconds("job", type_=type_, resolution=resolution, video_seconds=10) == pytest.approx(
        plain * factor
    )


def test_durations_follow_the_length_of_the_video_and_keep_their_mean() -> None:
    by_length = durations(length_share=0.8)

    def seconds(marker: str, video_seconds: float) -> float:
        return by_length.seconds(marker, type_="animate", resolution="480p", video_seconds=video_seconds)

    drawn = [drawn_seconds(0, marker) for marker in MARKERS]
    assert (min(drawn), max(drawn)) == (5, pytest.approx(60, abs=0.1))
    assert median(drawn) < 15
    assert fmean(seconds(marker, length) for marker, length in zip(MARKERS, drawn, strict=True)) == pytest.approx(
        41, rel=0.02
    )
    assert seconds("job", 60) / seconds("job", 5) == pytest.approx((0.2 + 0.8 * 60 / 18.75) / (0.2 + 0.8 * 5 / 18.75))
    flat = durations()
    lengths = (0.5, 5, 120)
    assert len({flat.seconds("job", type_="animate", resolution="480p", video_seconds=each) for each in lengths}) == 1


@pytest.mark.parametrize(
    ("video_seconds", "billed"), [(0.5, 5), (5, 5), (12.5, 12.5), (120, 120), (120.1, 120), (3600, 120)]
)
def test_at_least_5_and_at_most_120_seconds_are_billed(video_seconds: float, billed: float) -> None:
    assert billed_seconds(video_seconds) == billed


def test_another_seed_draws_other_durations() -> None:
    first, second = (
        durations(seed).seconds("job", type_="animate", resolution="480p", video_seconds=10) for seed in (1, 2)
    )

    assert first != second


def test_two_runs_agree_task_by_task_whatever_the_order_of_arrival(bench: Callable[..., Any]) -> None:
    markers = MARKERS[:200]

    def run(order: list[str]) -> dict[str, tuple[float, str]]:
        vendor = bench(seed=7, failure_rate=0.2, content_violation_rate=0.1)
        for marker in order:
            vendor.accept(marker)
        vendor.now_seconds = 1000.0
        tasks = vendor.vendor.tasks(0, 1000)["tasks"]
        return {task["marker"]: (task["duration_seconds"], task["outcome"]) for task in tasks}

    assert run(markers) == run(markers[::-1])


def test_outcomes_come_in_the_asked_for_shares() -> None:
    mixed = outcomes(failure_rate=0.2, violation_rate=0.1, PROCESSING_TIMEOUT=3, NSFW=1)
    drawn = [mixed.of(marker, 1, None) for marker in MARKERS]

    assert drawn.count("PROCESSING_TIMEOUT") / len(drawn) == pytest.approx(0.15, abs=0.01)
    assert drawn.count("NSFW") / len(drawn) == pytest.approx(0.05, abs=0.01)
    assert drawn.count("CONTENT_VIOLATION") / len(drawn) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("code", FAIL_CODES)
def test_each_attempt_draws_a_failure_by_chance_anew(code: str) -> None:
    half = outcomes(failure_rate=0.5, **{code: 1.0})
    failing = [marker for marker in MARKERS[:400] if half.of(marker, 1, None) == code]

    again = [half.of(marker, 2, None) for marker in failing]
    third = [half.of(marker, 3, None) for marker in failing]

    if is_lasting(code):
        assert set(again) == set(third) == {code}
    else:
        assert again.count(SUCCESS) / len(again) == pytest.approx(0.5, abs=0.15)
        assert again != third
    assert again == [half.of(marker, 2, None) for marker in failing]


def test_a_prompts_tag_overrules_the_rates() -> None:
    always_violates = outcomes(violation_rate=1.0)
    never_fails = outcomes()

    assert always_violates.of("job", 1, "[fail]") == "GENERATION_FAILED"
    assert never_fails.of("job", 1, "[violation]") == "CONTENT_VIOLATION"
    assert never_fails.of("job", 1, "turn around") == SUCCESS
    assert [never_fails.of("job", attempt, "please [code:nsfwDetected]") for attempt in (1, 9)] == ["nsfwDetected"] * 2


def test_a_tag_with_a_count_fails_so_many_attempts() -> None:
    prompt = "turn [code:PROCESSING_TIMEOUT*2]"

    ends = [outcomes().of("job", attempt, prompt) for attempt in (1, 2, 3, 4)]

    assert ends == ["PROCESSING_TIMEOUT"] * 2 + [SUCCESS] * 2


@pytest.mark.parametrize(
    "prompt", ["[code:]", "[code:*2]", "[code:A B]", "[code:A*]", "[code:A*x]", "[code:A", "code:A"]
)
def test_a_tag_that_is_not_one_changes_nothing(prompt: str) -> None:
    assert outcomes().of("job", 1, prompt) == SUCCESS


def test_fault_dice_roll_the_same_for_the_same_seed_and_independently_of_other_switches() -> None:
    faults = Faults(drop_answer_rate=0.3, slow_rate=0.5)
    alone, mixed = (FaultBoard(seed=3, current=faults) for _ in range(2))

    first = [alone.strikes("drop_answer_rate") for _ in range(500)]
    second = [(mixed.strikes("slow_rate"), mixed.strikes("drop_answer_rate"))[1] for _ in range(500)]

    assert first == second
    assert alone.struck["drop_answer_rate"] == sum(first)
    assert sum(first) / 500 == pytest.approx(0.3, abs=0.08)
