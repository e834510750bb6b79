"""The real scripts with the clock of a test: for comparing them with the pure references to the last digit."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from wanimate_worker.ledger.scripts import PRELUDE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis

_LUA = files("wanimate_worker.ledger") / "lua"
_CLOCK = """local function now_us()
  if not moment_us then
    local time = redis.call('TIME')
    moment_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
  end
  return moment_us
end
"""
#: The time comes as the last argument; no script reads past its own.
_FROZEN_CLOCK = """local function now_us()
  return tonumber(ARGV[#ARGV])
end
"""


def source(name: str) -> str:
    return (_LUA / f"{name}.lua").read_text()


def script_names() -> list[str]:
    return sorted({entry.name.removesuffix(".lua") for entry in _LUA.iterdir()} - {*PRELUDE})


def run_at_us(redis: Redis, body: str) -> Callable[[int, Sequence[str], Sequence[Any]], Any]:
    """Return a call of any Lua on top of the prelude: given the time (us), the keys and the arguments."""
    prelude = "\n".join(map(source, PRELUDE))
    assert prelude.count(_CLOCK) == 1, "the prelude reads the clock in another way now"
    script = redis.register_script(f"{prelude.replace(_CLOCK, _FROZEN_CLOCK)}\n{body}")
    return lambda now_us, keys, args: script(keys=keys, args=[*args, now_us])


def at_us(redis: Redis, name: str) -> Callable[[int, Sequence[str], Sequence[Any]], Any]:
    """Return a call of one of the ledger's scripts: given the time (us), the keys and the arguments."""
    return run_at_us(redis, source(name))
