"""The whole stack on one machine: for trying it out, for development, for the tests."""

from __future__ import annotations

from .ports import free_port
from .processes import Process, ProcessGroup
from .redis_server import RedisServer, find_redis_server

__all__ = ["Process", "ProcessGroup", "RedisServer", "find_redis_server", "free_port"]
