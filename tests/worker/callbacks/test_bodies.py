"""Bodies that are too long, too slow or cut off: read up to a limit, and never what decides."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from wanimate.contract import Outcome
from wanimate.errors import GenerationFailed

from .conftest import BODY, post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Place


def receive_raw(place: Place, url: str, headers: list[tuple[bytes, bytes]], pieces: list[bytes]) -> tuple[int, int]:
    """Call the receiver as a server does, and return its status and how many pieces it took."""
    taken, status = 0, 0

    async def receive() -> dict[str, object]:
        nonlocal taken
        if taken == len(pieces):
            return {"type": "http.disconnect"}
        taken += 1
        return {"type": "http.request", "body": pieces[taken - 1], "more_body": True}

    async def send(message: dict[str, object]) -> None:
        nonlocal status
        status = message.get("status", status)  # type: ignore[assignment]

    async def scenario() -> None:
        path = url.removeprefix("http://receiver")
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
        async with place.serve() as (_, receiver):
            await receiver(scope, receive, send)  # type: ignore[arg-type]

    asyncio.run(scenario())
    return status, taken


def test_a_body_of_ten_megabytes_without_a_length_is_read_up_to_the_limit_only(place: Place) -> None:
    submit = place.start("a")
    status, taken = receive_raw(place, place.url("a", submit.nonce), [], [b"x" * 16 * 1024] * 640)
    assert (status, taken) == (200, 5)
    assert place.due() == ["a"], "its URL alone says that there is news"


def test_a_body_that_is_declared_too_long_is_not_read_at_all(place: Place) -> None:
    submit = place.start("a")
    headers = [(b"content-length", b"10000000")]
    assert receive_raw(place, place.url("a", submit.nonce), headers, [b"x"]) == (200, 0)
    assert place.due() == ["a"]


def test_the_body_of_a_forged_callback_is_not_read(place: Place) -> None:
    assert receive_raw(place, "http://receiver/v1/callbacks/acct/a/n/0", [], [b"x" * 1024] * 10) == (403, 0)


@pytest.mark.parametrize("length", [b"-1", b"abc", b"", "²".encode("latin-1"), b"9" * 5000])
def test_a_senseless_length_does_no_harm(place: Place, length: bytes) -> None:
    submit = place.start("a")
    status, _ = receive_raw(place, place.url("a", submit.nonce), [(b"content-length", length)], [BODY])
    assert status == 200
    assert place.due() == ["a"]


def test_a_caller_that_hangs_up_in_the_middle_of_its_body_has_called_all_the_same(place: Place) -> None:
    submit = place.start("a")
    status, taken = receive_raw(place, place.url("a", submit.nonce), [], [b'{"data":'])
    assert (status, taken) == (200, 1)
    assert place.due() == ["a"]


@pytest.mark.parametrize("stage", ["submitting", "unknown"])
def test_a_body_that_is_cut_off_comes_again_while_its_task_id_would_be_of_use(place: Place, stage: str) -> None:
    submit = place.begin("a")
    if stage == "unknown":
        place.ledger.jobs.mark_unknown("a", submit.nonce, "read timeout")
    url = place.url("a", submit.nonce)
    assert receive_raw(place, url, [], [b'{"data":'])[0] == 503
    assert post(place, url).status_code == 200
    assert place.ledger.records.read(["a"])[0].hint == "task-a"


def test_a_body_that_is_cut_off_is_taken_where_its_job_has_ended_or_is_unknown(place: Place) -> None:
    assert receive_raw(place, place.url("never-heard-of", "n"), [], [b'{"data":'])[0] == 200
    submit = place.start("a")
    place.ledger.jobs.settle("a", submit.nonce, Outcome.failure(GenerationFailed("no")))
    assert receive_raw(place, place.url("a", submit.nonce), [], [b'{"data":'])[0] == 200


def test_a_body_that_is_too_long_is_taken_also_while_the_answer_is_missing(place: Place) -> None:
    submit = place.begin("a")
    headers = [(b"content-length", b"10000000")]
    assert receive_raw(place, place.url("a", submit.nonce), headers, [b"x"]) == (200, 0)


def test_a_body_that_never_ends_is_given_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    monkeypatch.setattr("wanimate_worker.callbacks.body.BODY_TIMEOUT_SECONDS", 0.05)
    submit = place.start("a")
    assert post(place, place.url("a", submit.nonce), drip()).status_code == 200
    assert place.due() == ["a"]
