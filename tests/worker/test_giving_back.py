"""What a dead worker held comes back, whatever it is, and nothing that cannot be read stands in the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from kombu.transport import _transport_cache, get_transport_cls, redis
from wanimate.contract import ENTRY_QUEUE, UNACKED_KEY
from wanimate_worker.bridge import transport

if TYPE_CHECKING:
    from .conftest import Run

INFO = '"properties": {"delivery_tag": "%s", "delivery_info": {"exchange": "", "routing_key": "wanimate"}}'
#: Entries that the server's JSON parser can read and kombu cannot.
UNREADABLE = {
    "a number for Lua alone": '{"body": 0x1f, ' + INFO + "}",
    "a type unknown to kombu": '{"headers": {"__type__": "order", "__value__": 7}, ' + INFO + "}",
    "headers that are none": '{"headers": [], "body": "]\\",\\"", ' + INFO + "}",
    "no message": "garbage",
}


def take(run: Run, item: str) -> str:
    """Take an entry as a worker does, and return its tag."""
    run.redis.lpush(ENTRY_QUEUE, item)
    keys = [UNACKED_KEY, f"{UNACKED_KEY}.index", ENTRY_QUEUE]
    _, tag, taken = run.redis.eval(transport._TAKE, len(keys), *keys, ENTRY_QUEUE)  # type: ignore[misc]
    assert taken == item
    return str(tag)


def test_the_transport_is_ours_also_where_a_redis_was_spoken_to_before(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("redis", "rediss", "sentinel"):
        monkeypatch.setitem(_transport_cache, name, redis.Transport)
    transport.install()
    assert {get_transport_cls(name) for name in ("redis", "rediss")} == {transport.Transport}
    assert get_transport_cls("sentinel") is transport.SentinelTransport


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_kombu_cannot_read_comes_back_beside_the_rest(run: Run, what: str) -> None:
    sound = '{"headers": {}, "body": "", ' + INFO % "sound" + "}"
    odd = UNREADABLE[what]
    take(run, sound)
    take(run, odd % "odd" if "%s" in odd else odd)
    run.redis.zadd(f"{UNACKED_KEY}.index", dict.fromkeys(run.redis.hkeys(UNACKED_KEY), 1))
    with run.task.app.connection_for_read() as connection:
        connection.default_channel.qos.restore_visible(num=10, interval=1)
    assert run.redis.hlen(UNACKED_KEY) == run.redis.zcard(f"{UNACKED_KEY}.index") == 0
    back = run.redis.lrange(ENTRY_QUEUE, 0, -1)
    assert len(back) == 2
    assert any(json.loads(item)["properties"]["delivery_tag"] == "sound" for item in back if "sound" in item)
