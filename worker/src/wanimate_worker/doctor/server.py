"""The Redis server: its version, its memory policy, its durability, its clock, its replicas."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, cast

from redis.exceptions import RedisError, ResponseError

from .finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from ..settings import WorkerSettings

#: The scripts use what this version has.
_OLDEST: Final = (6, 2)
#: Leases are Redis time only, so a difference harms no job; but logs and results then tell two times. Seconds.
_CLOCK_SECONDS: Final = 5.0


def check_server(redis: Redis) -> Iterator[Finding]:
    """Yield what is found about the server; nothing more after it could not be reached."""
    before = time.time()
    try:
        info = redis.info("server")
        seconds, micros = redis.time()
    except RedisError as error:
        yield fail(
            "redis",
            f"not reachable: {' '.join(str(error).split()) or type(error).__name__}",
            "check WANIMATE_REDIS_URL, that the server runs, and that this machine may reach it",
        )
        return
    took = time.time() - before
    yield _version(info)
    yield _clock(seconds + micros / 1_000_000 - before - took / 2)
    yield from _config(redis, "appendonly", "yes", "a restart loses jobs, some of them paid for: set appendonly yes")
    yield from _config(
        redis, "maxmemory-policy", "noeviction", "evicted records are lost jobs: set maxmemory-policy noeviction"
    )


def _version(info: dict[str, Any]) -> Finding:
    # Valkey calls itself Redis 7.2.4 for old clients, which is true enough here.
    version = str(info.get("redis_version", "0"))
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    name = f"{info.get('server_name', 'redis')} {info.get('valkey_version', version)}"
    if parts < _OLDEST:
        return fail("redis", f"{name} is too old", "use Redis or Valkey 6.2 or newer")
    return ok("redis", f"{name} answers")


def _clock(ahead_seconds: float) -> Finding:
    text = f"Redis is {abs(ahead_seconds):.2f} s {'ahead of' if ahead_seconds > 0 else 'behind'} this host"
    if abs(ahead_seconds) > _CLOCK_SECONDS:
        return warn("clock", text, "set both clocks by NTP; jobs are safe, but times in logs and results differ")
    return ok("clock", text)


def _config(redis: Redis, name: str, wanted: str, advice: str) -> Iterator[Finding]:
    try:
        value = cast("dict[str, str]", redis.config_get(name)).get(name)
    except (ResponseError, RedisError) as error:
        yield warn(name, f"cannot be read here ({type(error).__name__})", f"look at your provider's settings: {advice}")
        return
    if value is None:
        yield warn(name, "the server does not say", f"look at your provider's settings: {advice}")
    elif value != wanted:
        yield fail(name, value, advice)
    else:
        yield ok(name, value)


def check_replicas(redis: Redis, settings: WorkerSettings) -> Iterator[Finding]:
    """Yield whether intents are as safe as the settings ask, and whether the settings use the replicas there are."""
    wanted = settings.intent_replicas
    try:
        info = redis.info("replication")
    except RedisError as error:
        yield warn("replicas", f"cannot be read here ({type(error).__name__})", "allow the user +info")
        return
    there = int(info.get("connected_slaves", 0))
    text = f"{there} connected, {wanted} must have an intent before its request is sent"
    if info.get("role") != "master":
        yield fail("replicas", f"this server is a {info.get('role')}", "point WANIMATE_REDIS_URL at the master")
    elif wanted > there:
        yield fail(
            "replicas", f"{text}: nothing is submitted", "bring the replicas back, or lower WANIMATE_INTENT_REPLICAS"
        )
    elif there and not wanted:
        yield warn(
            "replicas",
            f"{text}: a fail-over may forget one, and its job is billed twice",
            f"set WANIMATE_INTENT_REPLICAS={there} on all workers",
        )
    else:
        yield ok("replicas", text)
