"""The whole stack on one machine: for a first try, for development, for tests and benchmarks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .processes import Process, free_port
    from .redis_server import RedisServer, find_redis_server
    from .simulator import Simulator
    from .stack import SIMULATOR_KEY, Stack, StackOptions, leftovers, redis_of

__all__ = [
    "Stack",
    "StackOptions",
    "Simulator",
    "SIMULATOR_KEY",
    "leftovers",
    "redis_of",
    "Process",
    "RedisServer",
    "find_redis_server",
    "free_port",
]

#: Where each name is. It is imported when it is used: pytest imports this package at every start, for its fixtures.
_MODULES = {
    **dict.fromkeys(("Process", "free_port"), "processes"),
    **dict.fromkeys(("RedisServer", "find_redis_server"), "redis_server"),
    **dict.fromkeys(("Stack", "StackOptions", "SIMULATOR_KEY", "leftovers", "redis_of"), "stack"),
    "Simulator": "simulator",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
