"""Arguments that make no sense, ids of every type, and clients that are closed: each is told at once."""

from __future__ import annotations

import asyncio
import math
import uuid
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from clicked import click_runner
from wanimate import AsyncClient, Client, InvalidArgument, JobState, Settings, WaitTimeout, WanimateError
from wanimate.cli import main
from wanimate.errors import ClientClosed
from wanimate_worker.cli import cli as worker

from .conftest import FIELDS, RESULT, Database

if TYPE_CHECKING:
    from collections.abc import Callable

NO_TIME: list[Any] = [math.nan, math.inf, -math.inf, -1, -0.001, True, "5", Decimal(5), 10**400, [1]]
WAITS: list[Callable[[Client, Any], object]] = [
    lambda client, timeout: client.job("job-1").wait(timeout),
    lambda client, timeout: client.job("job-1").cancel(timeout),
    lambda client, timeout: client.wait_all([client.job("job-1")], timeout),
    # Not iterated: it is told where it is called.
    lambda client, timeout: client.as_completed([client.job("job-1")], timeout),
]
ASYNC_WAITS: list[Callable[[AsyncClient, Any], Any]] = [
    lambda client, timeout: client.job("job-1").wait(timeout),
    lambda client, timeout: client.job("job-1").cancel(timeout),
    lambda client, timeout: client.wait_all([client.job("job-1")], timeout),
]


@pytest.mark.parametrize("timeout", NO_TIME, ids=repr)
@pytest.mark.parametrize("wait", WAITS)
def test_a_time_out_that_is_no_number_of_seconds_is_refused_at_once(
    client: Client, database: Database, wait: Callable[[Client, Any], object], timeout: Any
) -> None:
    with pytest.raises(InvalidArgument, match="timeout: "):
        wait(client, timeout)
    assert database.redis.keys() == []


def test_cancelling_has_an_end(client: Client) -> None:
    none: Any = None
    with pytest.raises(InvalidArgument, match="NoneType"):
        client.job("job-1").cancel(none)


@pytest.mark.parametrize("timeout", NO_TIME[:6], ids=repr)
def test_the_async_client_refuses_it_too(settings: Settings, timeout: Any) -> None:
    async def main() -> None:
        client = AsyncClient(settings)
        for wait in ASYNC_WAITS:
            with pytest.raises(InvalidArgument, match="timeout: "):
                await wait(client, timeout)
        with pytest.raises(InvalidArgument, match="timeout: "):
            client.as_completed([client.job("job-1")], timeout)
        await client.close()

    asyncio.run(main())


@pytest.mark.parametrize("timeout", [0, 0.0, Fraction(1, 10)])
def test_no_time_at_all_is_one_look(client: Client, database: Database, timeout: Any) -> None:
    database.succeed("job-1")
    assert client.job("job-1").wait(timeout) == RESULT
    database.redis.delete("celery-task-meta-job-1")
    database.enqueue("job-1")
    with pytest.raises(WaitTimeout):
        client.job("job-1").wait(timeout)


@pytest.mark.parametrize("seconds", ["nan", "inf", "-inf", "-1", "Infinity", "soon"])
@pytest.mark.parametrize(
    "command",
    [
        (main, "wait", "job-1", "--timeout"),
        (main, "cancel", "job-1", "--timeout"),
        (main, "batch", "-", "--timeout"),
        (main, "animate", "--image", FIELDS["image_url"], "--video", FIELDS["video_url"], "--timeout"),
        (main, "animate", "--image", FIELDS["image_url"], "--video", FIELDS["video_url"], "--no-wait", "--deadline"),
        (worker, "drain", "--timeout"),
        (worker, "top", "--interval"),
        (worker, "jobs", "--older-than"),
    ],
    ids=lambda command: f"{command[1]} {command[-1]}",
)
def test_the_command_line_refuses_it_before_anything_is_sent(
    url: str, database: Database, command: tuple[Any, ...], seconds: str
) -> None:
    program, *arguments = command
    result = click_runner().invoke(program, [*arguments, seconds], env={"WANIMATE_REDIS_URL": url})

    assert result.exit_code == 2
    assert command[-1] in result.stderr
    assert database.redis.keys() == []


class Name(StrEnum):
    ORDER = "00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize("make", [uuid.UUID, Name, str])
def test_an_id_may_be_a_uuid_or_any_string(
    client: Client, database: Database, make: Callable[[str], uuid.UUID | str]
) -> None:
    database.succeed(Name.ORDER.value)

    job = client.job(make(Name.ORDER.value))

    assert job == client.job(Name.ORDER.value)
    assert type(job.id) is str
    assert job.status().state is JobState.SUCCEEDED
    assert job.wait(timeout=5) == client.wait_all([job])[0] == RESULT
    assert "job_id" not in repr(job)


def test_the_async_client_takes_a_uuid_too(settings: Settings, database: Database) -> None:
    database.succeed(Name.ORDER.value)

    async def main() -> Any:
        async with AsyncClient(settings) as client:
            return await client.job(uuid.UUID(Name.ORDER.value)).wait(timeout=5)

    assert asyncio.run(main()) == RESULT


@pytest.mark.parametrize("job_id", [None, "", 7, b"job-1", object(), ["job-1"], "\ud800"])
def test_what_is_no_id_is_refused_at_once(client: Client, job_id: Any) -> None:
    with pytest.raises(InvalidArgument, match="job_id"):
        client.job(job_id)


def test_ids_where_handles_are_expected_are_told_how_to_become_some(client: Client) -> None:
    ids: Any = ["job-1"]
    for wait in (client.wait_all, client.as_completed):
        with pytest.raises(InvalidArgument, match=r"client\.job\(id\)"):
            wait(ids)


def test_an_argument_on_the_command_line_that_is_no_text_is_exit_code_two(url: str) -> None:
    result = click_runner().invoke(main, ["status", "\ud800"], env={"WANIMATE_REDIS_URL": url})

    assert result.exit_code == 2
    assert "job_id" in result.stderr


USES: list[Callable[[Client], object]] = [
    lambda client: client.animate(**FIELDS),
    lambda client: client.animate(**FIELDS, idempotency_key="k"),
    lambda client: client.job("job-1").status(),
    lambda client: client.job("job-1").wait(timeout=30),
    lambda client: client.job("job-1").cancel(),
    lambda client: list(client.as_completed([client.job("job-1")])),
]


def test_closing_twice_does_nothing_and_use_after_it_is_told_at_once(settings: Settings, database: Database) -> None:
    database.succeed("job-1")
    client = Client(settings)
    list(client.as_completed([client.job("job-1")], timeout=0))

    client.close()
    client.close()

    for use in USES:
        with pytest.raises(ClientClosed, match="create a new one"):
            use(client)
    assert database.redis.keys() == ["celery-task-meta-job-1"]


@pytest.mark.parametrize("is_used", [True, False])
def test_the_async_client_is_closed_in_the_same_way(settings: Settings, database: Database, *, is_used: bool) -> None:
    client = AsyncClient(settings)
    database.succeed("job-1")

    async def close() -> None:
        if is_used:
            assert (await client.wait_all([client.job("job-1")], timeout=0)) == [RESULT]
        await asyncio.gather(client.close(), client.close())
        await client.close()
        for use in (client.animate(**FIELDS), client.job("job-1").status(), client.job("job-1").wait(timeout=30)):
            with pytest.raises(ClientClosed, match="create a new one"):
                await use

    asyncio.run(close())
    asyncio.run(client.close())
    assert database.redis.keys() == ["celery-task-meta-job-1"]


def test_a_wait_ends_when_its_client_is_closed(settings: Settings, database: Database) -> None:
    database.enqueue("job-1")

    async def main() -> None:
        client = AsyncClient(settings)
        waiting = asyncio.create_task(client.job("job-1").wait())
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(ClientClosed):
            await asyncio.wait_for(waiting, 10)

    asyncio.run(main())


def test_the_async_client_says_where_it_works(settings: Settings) -> None:
    step = AsyncClient(settings).job("job-1").status()

    with pytest.raises(WanimateError, match="use Client"):
        step.send(None)
