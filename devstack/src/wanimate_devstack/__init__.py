"""The whole stack on one machine: for a first try, for development, for tests and benchmarks."""

from __future__ import annotations

from .processes import Process, free_port
from .redis_server import RedisServer, find_redis_server
from .stack import SIMULATOR_KEY, Stack, StackOptions, leftovers, redis_of

__all__ = [
    "Stack",
    "StackOptions",
    "SIMULATOR_KEY",
    "leftovers",
    "redis_of",
    "Process",
    "RedisServer",
    "find_redis_server",
    "free_port",
]
