"""Reading events in a consumer group."""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from wanimate import AsyncClient, Client, EventsLost, Settings, WanimateError
from wanimate.events import GROUP_PAGE

from .conftest import Database, Server, eventually
from .written_events import KEY, fields_of, write_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wanimate import Event


def read(client: Client, consumer: str | None = None, after: str | None = None, timeout: float = 0) -> Iterator[Event]:
    return client.events(after, timeout=timeout, group="g", consumer=consumer)


def jobs_of(events: Iterator[Event]) -> list[str]:
    return [event.job_id for event in events]


def pending(database: Database) -> int:
    count: int = database.redis.xpending(KEY, "g")["pending"]
    return count


def make_idle(database: Database, seconds: float = 61) -> None:
    """Make what consumers hold as old as if they had died."""
    for entry in database.redis.xpending_range(KEY, "g", "-", "+", 1000):
        idle_ms = round(seconds * 1000)
        database.redis.xclaim(KEY, "g", entry["consumer"], 0, [entry["message_id"]], idle=idle_ms, justid=True)


def test_consumers_of_a_group_share_the_events(settings: Settings, database: Database) -> None:
    jobs = [f"job-{n}" for n in range(400)]
    for job in jobs:
        write_event(database, job)
    seen: list[str] = []

    def consume() -> None:
        with Client(settings) as client:
            for event in read(client, timeout=1):
                seen.append(event.job_id)
                time.sleep(0.001)

    consumers = [threading.Thread(target=consume) for _ in range(3)]
    for consumer in consumers:
        consumer.start()
    for consumer in consumers:
        consumer.join(60)

    assert sorted(seen) == sorted(jobs)
    assert pending(database) == 0
    assert len(database.redis.xinfo_consumers(KEY, "g")) == 3


def test_each_group_gets_every_event(client: Client, database: Database) -> None:
    write_event(database, "job-1")

    assert [jobs_of(client.events(timeout=0, group=group)) for group in ("a", "b")] == [["job-1"], ["job-1"]]


def test_a_group_that_is_new_begins_after_the_cursor(client: Client, database: Database) -> None:
    first = write_event(database, "job-1")
    write_event(database, "job-2")

    assert jobs_of(read(client, after=first)) == ["job-2"]
    assert jobs_of(read(client)) == []


def test_an_event_is_acknowledged_when_the_next_is_asked_for(client: Client, database: Database) -> None:
    write_event(database, "job-1")
    write_event(database, "job-2")
    events = read(client)

    next(events)
    assert pending(database) == 2
    next(events)
    assert pending(database) == 1
    assert list(events) == []
    assert pending(database) == 0


def test_a_consumer_that_starts_again_gets_first_what_it_had_not_processed(client: Client, database: Database) -> None:
    for n in range(3):
        write_event(database, f"job-{n}")
    events = read(client, "c")
    next(events)
    assert next(events).job_id == "job-1"
    # The process dies here.
    write_event(database, "job-3")

    assert jobs_of(read(client, "c")) == ["job-1", "job-2", "job-3"]
    assert pending(database) == 0


def test_events_of_a_consumer_that_died_go_to_another_after_a_minute(client: Client, database: Database) -> None:
    for n in range(3):
        write_event(database, f"job-{n}")
    next(read(client, "dead"))
    make_idle(database, 50)

    assert jobs_of(read(client, "other")) == []
    make_idle(database)
    assert jobs_of(read(client, "other")) == ["job-0", "job-1", "job-2"]
    assert pending(database) == 0


def test_many_dead_consumers_are_taken_over_without_delay(client: Client, database: Database) -> None:
    count = 8 * GROUP_PAGE
    for n in range(count):
        write_event(database, f"job-{n}")
    for n in range(8):
        next(read(client, f"dead-{n}"))
    make_idle(database)

    assert sorted(jobs_of(read(client))) == sorted(f"job-{n}" for n in range(count))


def test_a_slow_consumer_neither_repeats_nor_loses_what_others_took_over(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        write_event(database, f"job-{n}")
    monkeypatch.setattr("wanimate.events._STALE_SECONDS", 0.0)
    slow = read(client, "slow")
    assert next(slow).job_id == "job-0"
    make_idle(database)

    quick = read(client, "quick")
    assert [next(quick).job_id for _ in range(2)] == ["job-0", "job-1"]
    assert jobs_of(slow) == []
    assert jobs_of(quick) == ["job-2", "job-3"]


def test_consumers_that_are_gone_are_removed(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_event(database, "job-1")
    jobs_of(read(client, "old"))
    monkeypatch.setattr("wanimate.redis.event_stream._REMOVE_AFTER_MS", -1)
    jobs_of(read(client, "new"))

    assert [each["name"] for each in database.redis.xinfo_consumers(KEY, "g")] == ["new"]


def test_a_group_that_fell_behind_says_so_once_and_goes_on_from_the_oldest(client: Client, database: Database) -> None:
    write_event(database, "job-0")
    jobs_of(read(client))
    ids = [write_event(database, f"job-{n}") for n in range(1, 200)]
    database.redis.xtrim(KEY, maxlen=100, approximate=False)

    with pytest.raises(EventsLost) as caught:
        list(read(client))

    assert caught.value.oldest == ids[-100]
    assert jobs_of(read(client)) == [f"job-{n}" for n in range(100, 200)]


@pytest.mark.parametrize("consumer", ["dead", "other"])
def test_events_that_were_read_and_left_the_stream_are_lost_and_said_once(
    client: Client, database: Database, consumer: str
) -> None:
    for n in range(4):
        write_event(database, f"job-{n}")
    next(read(client, "dead"))
    make_idle(database)
    database.redis.xtrim(KEY, maxlen=2, approximate=False)

    with pytest.raises(EventsLost):
        list(read(client, consumer))

    assert jobs_of(read(client, consumer)) == ["job-2", "job-3"]
    assert pending(database) == 0


def test_a_group_on_an_empty_stream_says_once_that_its_cursor_is_lost(client: Client, database: Database) -> None:
    with pytest.raises(EventsLost):
        list(read(client, after="1764590000000-0"))

    assert jobs_of(read(client)) == []
    write_event(database, "job-1", "1764590000000-0")
    assert jobs_of(read(client)) == ["job-1"]


def test_a_group_that_is_destroyed_is_made_again_and_says_so(client: Client, database: Database) -> None:
    write_event(database, "job-1")
    events = read(client, timeout=20)
    next(events)
    database.redis.delete(KEY)

    with pytest.raises(EventsLost, match="no longer exists"):
        list(events)
    write_event(database, "job-2")
    assert jobs_of(read(client)) == ["job-2"]


def test_an_event_of_a_newer_version_stays_with_the_group_and_can_be_left_out(
    client: Client, database: Database
) -> None:
    odd = database.redis.xadd(KEY, {**fields_of("job-1"), "outcome": "{}"})
    write_event(database, "job-2")

    for _ in range(2):
        with pytest.raises(WanimateError, match=f"XACK .* g {odd}"):
            list(read(client, "c"))
    database.redis.xack(KEY, "g", odd)
    assert jobs_of(read(client, "c")) == ["job-2"]


def test_a_member_of_a_group_rides_out_a_restart_of_redis(own_server: Server) -> None:
    jobs: list[str] = []

    def consume(client: Client) -> None:
        jobs.extend(event.job_id for event in islice(read(client, timeout=30), 2))

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


def test_async_consumers_share_the_events_of_a_group(settings: Settings, database: Database) -> None:
    for n in range(200):
        write_event(database, f"job-{n}")

    async def consume(client: AsyncClient) -> list[str]:
        return [event.job_id async for event in client.events(timeout=0.5, group="g")]

    async def main() -> list[str]:
        async with AsyncClient(settings) as client:
            first, second = await asyncio.gather(consume(client), consume(client))
            return first + second

    assert sorted(asyncio.run(main())) == sorted(f"job-{n}" for n in range(200))
    assert pending(database) == 0
