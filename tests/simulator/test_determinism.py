"""What a seed and a marker decide is the same in every run and any order."""

from collections.abc import Callable
from statistics import fmean
from typing import Any

import pytest
from wanimate_simulator.durations import Durations
from wanimate_simulator.fail_codes import FAIL_CODES, is_lasting
from wanimate_simulator.faults import FaultBoard, Faults
from wanimate_simulator.outcomes import SUCCESS, Outcomes

MARKERS = [f"job-{number}" for number in range(20_000)]


def outcomes(seed: int = 0, failure_rate: float = 0.0, violation_rate: float = 0.0, **codes: float) -> Outcomes:
    return Outcomes(
        seed=seed,
        failure_rate=failure_rate,
        failure_codes=codes or {"GENERATION_FAILED": 1.0},
        content_violation_rate=violation_rate,
    )


def durations(seed: int = 0, mean_seconds: float = 41.0, sigma: float = 0.3) -> Durations:
    return Durations(seed=seed, mean_seconds=mean_seconds, sigma=sigma)


def test_durations_have_the_asked_for_mean() -> None:
    drawn = [durations().seconds(marker, type_="animate", resolution="480p") for marker in MARKERS]

    assert fmean(drawn) == pytest.approx(41.0, rel=0.01)
    assert min(drawn) < 25
    assert max(drawn) > 65


@pytest.mark.parametrize(
    ("type_", "resolution", "factor"),
    [("replace", "480p", 1.1), ("animate", "720p", 1.25), ("replace", "720p", 1.375)],
)
def test_replace_and_720p_take_longer(type_: str, resolution: str, factor: float) -> None:
    plain = durations().seconds("job", type_="animate", resolution="480p")

    assert durations().seconds("job", type_=type_, resolution=resolution) == pytest.approx(plain * factor)


def test_another_seed_draws_other_durations() -> None:
    first, second = (durations(seed).seconds("job", type_="animate", resolution="480p") for seed in (1, 2))

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
def test_a_failure_by_chance_is_drawn_anew_at_each_attempt_and_a_lasting_one_stays(code: str) -> None:
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
