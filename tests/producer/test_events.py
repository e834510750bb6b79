"""Reading events with a cursor."""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from wanimate import (
    AsyncClient,
    Client,
    ContentViolation,
    EventsLost,
    InvalidArgument,
    JobState,
    QueueUnavailable,
    Settings,
    WanimateError,
)
from wanimate.contract import Outcome

from .conftest import RESULT, Database, Server, eventually
from .written_events import KEY, fields_of, write_event

if TYPE_CHECKING:
    from wanimate import Event


def read(client: Client, after: str | None = None, timeout: float = 0) -> list[Event]:
    return list(client.events(after, timeout=timeout))


def test_without_a_cursor_reading_begins_with_the_oldest(client: Client, database: Database) -> None:
    ids = [write_event(database, f"job-{n}") for n in range(1200)]

    events = read(client)

    assert [event.id for event in events] == ids
    assert [event.job_id for event in events] == [f"job-{n}" for n in range(1200)]


def test_an_event_says_how_the_job_ended(client: Client, database: Database) -> None:
    write_event(database, "job-1")
    write_event(database, "job-2", outcome=Outcome.failure(ContentViolation("no", "CONTENT_VIOLATION", "task_2")))

    done, refused = read(client)

    assert (done.state, done.result, done.error, done.exception()) == (JobState.SUCCEEDED, RESULT, None, None)
    assert (done.labels, done.type, done.attempts, done.billed_seconds) == ({"order": "7"}, "animate", 1, 5.0)
    assert (refused.state, refused.result) == (JobState.FAILED, None)
    assert isinstance(refused.exception(), ContentViolation)


def test_a_cursor_goes_on_after_the_last_event_that_was_processed(client: Client, database: Database) -> None:
    ids = [write_event(database, f"job-{n}") for n in range(3)]

    assert [event.id for event in read(client, after=ids[0])] == ids[1:]
    assert read(client, after=ids[-1]) == []


def test_a_waiting_reader_gets_an_event_at_once(client: Client, database: Database) -> None:
    written: list[float] = []

    def write() -> None:
        written.append(time.monotonic())
        write_event(database, "job-1")

    timer = threading.Timer(0.5, write)
    timer.start()
    event = next(client.events(timeout=30))

    assert event.job_id == "job-1"
    # Redis wakes it: asking again and again would take half a second.
    assert time.monotonic() - written[0] < 0.4


def test_reading_ends_when_no_event_has_come_in_time(client: Client, database: Database) -> None:
    write_event(database, "job-1")
    started = time.monotonic()

    assert len(read(client, timeout=0.5)) == 1
    assert 0.5 <= time.monotonic() - started < 5


def test_the_time_out_does_not_run_while_an_event_is_processed(client: Client, database: Database) -> None:
    write_event(database, "job-1")
    events = client.events(timeout=0.2)
    next(events)
    time.sleep(0.3)
    write_event(database, "job-2")

    assert [event.job_id for event in events] == ["job-2"]


@pytest.mark.parametrize("kept", [0, 2])
def test_a_cursor_that_has_left_the_stream_is_said_not_skipped(client: Client, database: Database, kept: int) -> None:
    ids = [write_event(database, f"job-{n}") for n in range(4)]
    database.redis.xtrim(KEY, maxlen=kept, approximate=False)

    with pytest.raises(EventsLost, match="were deleted") as caught:
        read(client, after=ids[0])

    assert caught.value.oldest == (ids[2] if kept else None)
    assert len(read(client)) == kept


def test_a_reader_that_is_too_slow_learns_what_it_has_lost(client: Client, database: Database) -> None:
    for n in range(600):
        write_event(database, f"job-{n}")
    events = client.events(timeout=0)
    # It has the first page, and the others leave the stream.
    next(events)
    last = write_event(database, "last")
    database.redis.xtrim(KEY, maxlen=1, approximate=False)

    with pytest.raises(EventsLost) as caught:
        list(events)

    assert caught.value.oldest == last


def test_a_cursor_of_a_redis_that_was_replaced_is_lost(client: Client, database: Database) -> None:
    event_id = write_event(database, "job-1", "1764590000000-0")
    database.redis.delete(KEY)

    with pytest.raises(EventsLost):
        read(client, after=event_id)
    younger = write_event(database, "job-2")
    with pytest.raises(EventsLost) as caught:
        read(client, after=event_id)

    assert caught.value.oldest == younger


@pytest.mark.parametrize("after", ["", "0", "$", "1764590000000", "x-0", "1-0\n", "99999999999999999999-0", b"1-0", 7])
def test_a_cursor_that_is_no_event_id_is_refused_at_once(client: Client, after: Any) -> None:
    with pytest.raises(InvalidArgument, match="after"):
        client.events(after)


@pytest.mark.parametrize(
    "arguments", [{"timeout": -1}, {"timeout": "1"}, {"group": ""}, {"consumer": "c"}, {"group": "g", "consumer": ""}]
)
def test_wrong_arguments_are_refused_at_once(client: Client, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        client.events(**arguments)


@pytest.mark.parametrize("spoilt", [{"outcome": "{}"}, {"outcome": "no"}, {"settled_at_ms": "x"}, {"request": "[]"}])
def test_an_event_of_a_newer_version_is_named_with_how_to_go_on(
    client: Client, database: Database, spoilt: dict[str, str]
) -> None:
    write_event(database, "job-1")
    odd = database.redis.xadd(KEY, {**fields_of("job-2"), **spoilt})
    write_event(database, "job-3")
    events = client.events(timeout=0)

    assert next(events).job_id == "job-1"
    with pytest.raises(WanimateError, match="upgrade wanimate") as caught:
        next(events)
    assert f"after='{odd}'" in str(caught.value)
    assert [event.job_id for event in read(client, after=odd)] == ["job-3"]


def test_reading_rides_out_a_restart_of_redis(own_server: Server) -> None:
    jobs: list[str] = []

    def consume(client: Client) -> None:
        jobs.extend(event.job_id for event in islice(client.events(timeout=30), 2))

    with Client(Settings(redis_url=own_server.url())) as client:
        beside = Database(own_server.url())
        write_event(beside, "job-1")
        consumer = threading.Thread(target=consume, args=[client])
        consumer.start()
        eventually(lambda: beside.redis.info("clients")["blocked_clients"])
        beside.redis.save()
        own_server.stop()
        own_server.start()
        write_event(beside, "job-2")
        consumer.join(30)
        beside.redis.close()

    assert jobs == ["job-1", "job-2"]


def test_reading_that_never_reached_redis_fails_at_once(own_server: Server) -> None:
    own_server.stop()

    with Client(Settings(redis_url=own_server.url())) as client:
        started = time.monotonic()
        with pytest.raises(QueueUnavailable):
            next(client.events(timeout=60))

    assert time.monotonic() - started < 10


def test_blocked_reading_outlasts_a_short_time_out_of_the_connection(url: str, database: Database) -> None:
    timer = threading.Timer(1.5, write_event, [database, "job-1"])
    timer.start()

    with Client(Settings(redis_url=url, redis_timeout_seconds=0.4)) as client:
        assert [event.job_id for event in client.events(timeout=3)] == ["job-1"]


def test_async_reading_holds_no_thread_while_it_waits(settings: Settings, database: Database) -> None:
    async def consume(client: AsyncClient) -> str:
        async for event in client.events(timeout=30):
            return event.job_id
        return "none"

    async def main() -> list[str]:
        async with AsyncClient(settings) as client:
            # More readers than threads.
            readers = [asyncio.create_task(consume(client)) for _ in range(50)]
            await asyncio.sleep(0.3)
            write_event(database, "job-1")
            return await asyncio.wait_for(asyncio.gather(*readers), 20)

    assert asyncio.run(main()) == ["job-1"] * 50


def test_async_reading_goes_on_from_a_cursor_and_ends(settings: Settings, database: Database) -> None:
    ids = [write_event(database, f"job-{n}") for n in range(700)]

    async def main() -> None:
        async with AsyncClient(settings) as client:
            assert [event.id async for event in client.events(ids[9], timeout=0)] == ids[10:]
            with pytest.raises(InvalidArgument):
                client.events("nonsense")
            database.redis.xtrim(KEY, maxlen=1, approximate=False)
            with pytest.raises(EventsLost):
                [event async for event in client.events(ids[9], timeout=0)]

    asyncio.run(main())


def test_async_reading_rides_out_a_restart_of_redis(own_server: Server) -> None:
    async def main() -> list[str]:
        async with AsyncClient(Settings(redis_url=own_server.url())) as client:
            beside = Database(own_server.url())
            write_event(beside, "job-1")
            events = client.events(timeout=30)
            jobs = [(await anext(events)).job_id]
            following = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0.2)
            beside.redis.save()
            await asyncio.to_thread(own_server.stop)
            await asyncio.to_thread(own_server.start)
            write_event(beside, "job-2")
            jobs.append((await asyncio.wait_for(following, 30)).job_id)
            beside.redis.close()
            return jobs

    assert asyncio.run(main()) == ["job-1", "job-2"]
