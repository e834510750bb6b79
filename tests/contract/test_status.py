from __future__ import annotations

import pytest
from wanimate.contract import JobState, JobStatus, Outcome, Result, Stage
from wanimate.errors import GenerationFailed, JobCancelled

DONE = Outcome.success(Result(urls=("https://example.com/v.mp4",), task_id="task_1")).model_dump_json()


@pytest.mark.parametrize(
    ("fields", "rank", "has_slot", "state"),
    [
        ({}, None, False, JobState.QUEUED),
        ({"stage": "waiting"}, 3, False, JobState.WAITING),
        ({"stage": "waiting"}, None, True, JobState.SUBMITTING),
        ({"stage": "submitting"}, None, True, JobState.SUBMITTING),
        ({"stage": "unknown"}, None, True, JobState.UNKNOWN),
        ({"stage": "running"}, None, True, JobState.RUNNING),
        ({"stage": "settled", "outcome": DONE}, None, False, JobState.SUCCEEDED),
        ({"stage": "delivered", "outcome": DONE}, None, False, JobState.SUCCEEDED),
    ],
)
def test_each_stage_of_the_ledger_reads_as_one_state(
    fields: dict[str, str],
    rank: int | None,
    has_slot: bool,  # noqa: FBT001 - pytest passes parameters by name
    state: JobState,
) -> None:
    assert JobStatus.from_hash("id", fields, rank, has_slot=has_slot).state is state


def test_the_next_waiting_job_is_at_position_one() -> None:
    assert JobStatus.from_hash("id", {"stage": Stage.WAITING}, 0, has_slot=False).position == 1


@pytest.mark.parametrize(
    ("error", "state"),
    [(GenerationFailed("no", "GENERATION_FAILED", "t"), JobState.FAILED), (JobCancelled("no"), JobState.CANCELLED)],
)
def test_a_job_that_failed_says_why(error: GenerationFailed, state: JobState) -> None:
    fields = {"stage": "delivered", "outcome": Outcome.failure(error).model_dump_json()}

    status = JobStatus.from_hash("id", fields, None, has_slot=False)

    assert status.state is state
    assert status.error == str(error)


def test_an_outcome_gives_back_the_result_or_the_error_it_was_made_from() -> None:
    result = Result(urls=("https://example.com/v.mp4",), task_id="task_1", cost_time_ms=41388)
    error = GenerationFailed("no", "GENERATION_FAILED", "task_1")

    assert Outcome.model_validate_json(Outcome.success(result).model_dump_json()).result == result
    rebuilt = Outcome.model_validate_json(Outcome.failure(error).model_dump_json()).exception()
    assert (type(rebuilt), rebuilt.args) == (GenerationFailed, error.args)


def test_a_result_survives_the_way_through_json() -> None:
    result = Result(
        urls=("https://example.com/v.mp4",),
        task_id="task_1",
        created_at="2026-01-09T10:00:00Z",  # type: ignore[arg-type]
        completed_at="2026-01-09T10:00:41Z",  # type: ignore[arg-type]
    )

    assert Result.model_validate(result.to_json()) == result
