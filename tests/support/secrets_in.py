"""Looks for secrets where none may be: logs, Redis, events, command lines, Flower. For tests and for the chaos run."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from redis import Redis
from wanimate import Settings
from wanimate.redis.transport import connection_pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wanimate_devstack import Stack

#: A whole signed callback URL path: whoever has it may call in the vendor's name.
_SIGNED_PATH = re.compile(r"/v1/callbacks/\S*/[0-9a-f]{64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")


def secrets_in_stack(stack: Stack, url_parts: Iterable[str], **outputs: str) -> list[str]:
    """Return what was found where it must not be, as `place: what`; nothing when all is well.

    The logs of all processes of the stack and its whole Redis are read here.

    Args:
        stack: Still running.
        url_parts: Parts of jobs' URLs that may be signatures, such as query strings; Redis necessarily holds them.
        outputs: Whatever else was captured, by its place: events, command lines, pages of Flower.
    """
    environment = stack.environment
    secrets = {"the API key": environment["WANIMATE_API_KEY"]}
    if "WANIMATE_CALLBACK_SECRET" in environment:
        secrets["the callback secret"] = environment["WANIMATE_CALLBACK_SECRET"]
    if "WANIMATE_WEBHOOK_SECRET" in environment:
        secrets["the webhook secret"] = environment["WANIMATE_WEBHOOK_SECRET"]
    if "AWS_SECRET_ACCESS_KEY" in environment:
        secrets["the key of the store"] = environment["AWS_SECRET_ACCESS_KEY"]
    urls = {f"a job's URL ({part})": part for part in url_parts}
    logs = {f"log of {path.stem}": path.read_text(errors="replace") for path in stack.folder.glob("*.log")}
    found = secrets_in({"Redis": dump(stack.redis.url)}, secrets)
    return found + secrets_in({**logs, **outputs}, {**secrets, **urls})


def secrets_in(texts: Mapping[str, str], secrets: Mapping[str, str]) -> list[str]:
    """Return which texts hold which secret, or a signed callback URL; base64 is looked into.

    Args:
        texts: By their place.
        secrets: By what they are called; the found ones are named, never quoted.
    """
    found = []
    for place, text in texts.items():
        readable = text + "".join(_decoded(text))
        found += [f"{place}: {name}" for name, secret in secrets.items() if secret in readable]
        if _SIGNED_PATH.search(readable):
            found.append(f"{place}: a signed callback URL")
    return found


def dump(url: str) -> str:
    """Return every key of a Redis database with everything in it, as text."""
    with Redis.from_pool(connection_pool(Settings(redis_url=SecretStr(url)))) as redis:
        return "\n".join(f"{key} {_content(redis, key)}" for key in redis.scan_iter(count=1000))


def _content(redis: Redis, key: str) -> Any:
    match redis.type(key):
        case "string":
            return redis.get(key)
        case "hash":
            return redis.hgetall(key)
        case "list" | "stream" as kind:
            return redis.lrange(key, 0, -1) if kind == "list" else redis.xrange(key)
        case "set":
            return redis.smembers(key)
        case "zset":
            return redis.zrange(key, 0, -1, withscores=True)
        case other:
            # It expired meanwhile, or nobody here writes such a type: then it must be looked into.
            assert other == "none", f"{key} is a {other}: teach this function to read it"
            return ""


def _decoded(text: str) -> Iterable[str]:
    for found in _BASE64.findall(text):
        try:
            yield base64.b64decode(found, validate=True).decode(errors="replace")
        except binascii.Error:
            continue
