from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wanimate import AnimateJob, InvalidRequest, Settings
from wanimate.messages import MAX_JOBS_PER_MESSAGE, enqueue, pack

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "https://example.com/"
SETTINGS = Settings()


def jobs(count: int, prompt: str = "go") -> Iterator[AnimateJob]:
    return (AnimateJob(image_url=URL, video_url=URL, prompt=prompt, seed=n) for n in range(count))


def test_many_jobs_go_in_messages_of_at_most_two_hundred() -> None:
    assert [len(piece) for piece in pack(jobs(450), SETTINGS)] == [200, 200, 50]


def test_no_jobs_are_no_message() -> None:
    assert list(pack([], SETTINGS)) == []


def test_no_message_outgrows_half_a_megabyte_however_large_its_jobs() -> None:
    pieces = list(pack(jobs(100, "\N{CLAPPER BOARD}" * 10_000), SETTINGS))

    assert len(pieces) > 1
    for piece in pieces:
        assert len(enqueue(piece).text) < 512 * 1024


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 10_000), max_size=300))
def test_packing_keeps_every_job_and_their_order(sizes: list[int]) -> None:
    given_jobs = [AnimateJob(image_url=URL, video_url=URL, prompt="x" * size, seed=n) for n, size in enumerate(sizes)]

    assert [entry.job for piece in pack(given_jobs, SETTINGS) for entry in piece] == given_jobs


def test_the_input_is_read_piece_by_piece() -> None:
    read: list[int] = []

    def endless() -> Iterator[AnimateJob]:
        number = 0
        while True:
            read.append(number)
            number += 1
            yield AnimateJob(image_url=URL, video_url=URL)

    next(pack(endless(), SETTINGS))

    assert len(read) == MAX_JOBS_PER_MESSAGE + 1


@pytest.mark.parametrize("wrong", [None, {"type": "animate"}, "job"])
def test_what_is_not_a_job_is_refused_with_its_index(wrong: Any) -> None:
    with pytest.raises(InvalidRequest, match="item 3") as caught:
        list(pack([*jobs(3), wrong], SETTINGS))

    assert caught.value.field == "jobs.3"


def test_a_message_of_many_is_as_urgent_as_its_most_urgent_job() -> None:
    mixed = [AnimateJob(image_url=URL, video_url=URL, priority=priority) for priority in (5, 1, 9)]

    (piece,) = pack(mixed, SETTINGS)

    message = json.loads(enqueue(piece).text)
    _, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    assert message["properties"]["priority"] == 1
    assert [each.get("priority", 5) for _, each in kwargs["jobs"]] == [5, 1, 9]
