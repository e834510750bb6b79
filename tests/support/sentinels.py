"""A master, its replica and the sentinels that watch them, on one machine."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Final

from redis import Redis
from redis.exceptions import RedisError
from wanimate_devstack import Process, RedisServer, find_redis_server, free_port
from wanimate_devstack.processes import ProcessFailed
from wanimate_devstack.redis_server import LocalServers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SERVICE: Final = "wanimate"
#: How long a master must be silent before the sentinels replace it, in milliseconds.
_DOWN_AFTER_MS: Final = 1_000
_PATIENCE_SECONDS: Final = 45.0


class ReplicatedRedis(LocalServers):
    """Two servers, one of them the other's replica, and sentinels; a stack uses it like a `RedisServer`.

    Args:
        folder: Where their data and logs go; a temporary one if not given.
        sentinels: How many sentinels; a majority of them decides.
    """

    def __init__(self, folder: Path | None = None, sentinels: int = 3) -> None:
        super().__init__(folder)
        self.servers = [self._server(number) for number in (1, 2)]
        self._sentinel_ports = [free_port() for _ in range(sentinels)]
        self._sentinels: list[Process] = []
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._sentinel_ports)
        self.url = f"sentinel://{hosts}/0?service={_SERVICE}"

    def start(self) -> None:
        """Start all of them, and wait until the replica has the master's data and every sentinel knows both."""
        for server in self.servers:
            server.start()
        master, replica = self.servers
        _command(replica, "REPLICAOF", "127.0.0.1", master.port)
        for port in self._sentinel_ports:
            self._sentinels.append(self._start_sentinel(port, master.port))
        self.wait_until_replicated()

    def stop(self) -> None:
        """Stop all of them, the sentinels first."""
        for process in self._sentinels:
            process.stop()
        for server in self.servers:
            if server.process:
                # A stopped process takes no other signal.
                server.process.signal(signal.SIGCONT)
            server.stop()
        self._sentinels.clear()

    @property
    def master(self) -> RedisServer:
        """The server that the sentinels call the master now."""
        ports = {_master_port(port) for port in self._sentinel_ports}
        if len(ports) != 1:
            raise ProcessFailed(f"the sentinels do not agree on the master: {ports}")
        return next(server for server in self.servers if server.port in ports)

    @property
    def replica(self) -> RedisServer:
        """The other server."""
        master = self.master
        return next(server for server in self.servers if server is not master)

    def fail_over(self) -> None:
        """Kill the master without notice, wait for the new one, and start the old one again as its replica."""
        old, new = self.master, self.replica
        if old.process is None:
            raise ProcessFailed("the master was not started")
        old.process.kill()
        self.wait_until_promoted(new)
        old.start()
        self.wait_until_replicated()

    def freeze_master(self) -> RedisServer:
        """Stop the master without ending it, wait for the new one, and return the old one; `thaw` lets it go on."""
        old, new = self.master, self.replica
        if old.process is None:
            raise ProcessFailed("the master was not started")
        old.process.signal(signal.SIGSTOP)
        self.wait_until_promoted(new)
        return old

    def thaw(self, server: RedisServer) -> None:
        """Let a frozen server go on, and wait until it is a replica."""
        if server.process:
            server.process.signal(signal.SIGCONT)
        self.wait_until_replicated()

    def wait_until_promoted(self, server: RedisServer) -> None:
        """Wait until every sentinel calls this server the master, and it is one."""
        _wait(
            lambda: (
                all(_master_port(port) == server.port for port in self._sentinel_ports)
                and _replication(server.port).get("role") == "master"
            ),
            "a new master",
        )

    def wait_until_replicated(self) -> None:
        """Wait until the replica follows the master, and every sentinel could replace one by the other."""
        _wait(self._is_replicated, "the replica")

    def _is_replicated(self) -> bool:
        try:
            master, replica = self.master, self.replica
        except ProcessFailed:
            return False
        state = _replication(replica.port)
        follows = state.get("master_link_status") == "up" and state.get("master_port") == master.port
        return follows and all(_knows_everyone(port, len(self._sentinel_ports) - 1) for port in self._sentinel_ports)

    def _server(self, number: int) -> RedisServer:
        folder = self.folder / f"server{number}"
        folder.mkdir(parents=True, exist_ok=True)
        return RedisServer(folder)

    def _start_sentinel(self, port: int, master_port: int) -> Process:
        quorum = len(self._sentinel_ports) // 2 + 1
        path = self.folder / f"sentinel{port}.conf"
        path.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self.folder}\n"
            f"sentinel monitor {_SERVICE} 127.0.0.1 {master_port} {quorum}\n"
            f"sentinel down-after-milliseconds {_SERVICE} {_DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {_SERVICE} 6000\n"
        )
        process = Process(
            "sentinel", [find_redis_server(), str(path), "--sentinel"], self.folder / f"sentinel{port}.log"
        )
        process.wait_until(lambda: _master_port(port) is not None, "ready")
        return process


def _master_port(sentinel_port: int) -> int | None:
    address = _ask(sentinel_port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", _SERVICE)
    return int(address[1]) if address else None


def _knows_everyone(sentinel_port: int, others: int) -> bool:
    with Redis(port=sentinel_port, socket_timeout=1, decode_responses=True) as redis:
        try:
            state = redis.sentinel_masters()[_SERVICE]
            replicas = redis.sentinel_slaves(_SERVICE)
        except (RedisError, KeyError):
            return False
    usable = [each for each in replicas if not each["is_sdown"] and not each["is_disconnected"]]
    return state["num-other-sentinels"] == others and len(usable) == 1 and not state["is_sdown"]


def _replication(port: int) -> dict[str, object]:
    with Redis(port=port, socket_timeout=1, decode_responses=True) as redis:
        try:
            return dict(redis.info("replication"))
        except RedisError:
            return {}


def _ask(port: int, *command: str) -> list[str] | None:
    with Redis(port=port, socket_timeout=1, decode_responses=True) as redis:
        try:
            answer: list[str] | None = redis.execute_command(*command)
        except RedisError:
            return None
    return answer


def _command(server: RedisServer, *command: str | int) -> None:
    with Redis.from_url(server.url, socket_timeout=5) as redis:
        redis.execute_command(*command)


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise ProcessFailed(f"{what} was not there within {_PATIENCE_SECONDS:.0f} s")
        time.sleep(0.05)
