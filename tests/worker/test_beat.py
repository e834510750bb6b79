"""Beat sends ticks whatever the time of day, and never more than workers take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from wanimate.contract import CONTROL_QUEUE, HOUSEKEEPING_TASK, POLL_TASK, Keys
from wanimate_worker.bridge import beat
from wanimate_worker.queues import ENOUGH_TICKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Run


class Clock:
    """What a scheduler takes for the time that passes."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(beat, "monotonic", clock)
    return clock


@pytest.fixture
def scheduler(run: Run, clock: Clock) -> Iterator[beat.Scheduler]:
    scheduler = beat.Scheduler(run.task.app)
    yield scheduler
    scheduler.close()


def sent(run: Run) -> list[str]:
    """Take all ticks from the queue and return what they ask for."""
    messages = [json.loads(message) for message in run.redis.lrange(CONTROL_QUEUE, 0, -1)]
    run.redis.delete(CONTROL_QUEUE)
    assert all(message["headers"]["expires"] is None for message in messages), "a host's clock decides about it"
    return [message["headers"]["task"] for message in messages]


def test_each_tick_is_sent_after_its_interval(run: Run, scheduler: beat.Scheduler, clock: Clock) -> None:
    settings = run.task.runtime.settings
    assert scheduler.tick() == settings.poll_tick_seconds
    assert sorted(sent(run)) == [HOUSEKEEPING_TASK, POLL_TASK]
    clock.now += settings.poll_tick_seconds / 2
    assert scheduler.tick() == settings.poll_tick_seconds / 2
    assert sent(run) == []
    clock.now += settings.poll_tick_seconds / 2
    scheduler.tick()
    assert sent(run) == [POLL_TASK]
    # A machine that slept gets one tick, not all that it has missed.
    clock.now += 3600
    scheduler.tick()
    scheduler.tick()
    assert sorted(sent(run)) == [HOUSEKEEPING_TASK, POLL_TASK]


def test_ticks_do_not_pile_up_where_no_worker_takes_them(run: Run, scheduler: beat.Scheduler, clock: Clock) -> None:
    for _ in range(3 * ENOUGH_TICKS):
        scheduler.tick()
        clock.now += 60
    assert run.redis.llen(CONTROL_QUEUE) == ENOUGH_TICKS
    # Nor where callbacks ask for a look.
    for _ in range(3):
        run.runtime.doorbell.ring_wake()
    assert run.redis.llen(Keys("default").wake) == 1
    sent(run)
    scheduler.tick()
    assert POLL_TASK in sent(run)


def test_beat_goes_on_when_a_redis_that_was_away_is_back(
    run: Run, scheduler: beat.Scheduler, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(beat.log, "warning", lambda event, **_: warnings.append(event), raising=False)
    scheduler.tick()
    sent(run)
    run.redis.config_set("maxmemory", "1")
    for _ in range(5):
        clock.now += 60
        scheduler.tick()
    assert len(warnings) == 1, "one line, not one for each tick"
    run.redis.config_set("maxmemory", "0")
    clock.now += 60
    scheduler.tick()
    assert POLL_TASK in sent(run)
