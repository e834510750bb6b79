"""What Redis forgets of writes that it has acknowledged, by persistence policy: a killed process, and lost power.

A real server takes a counted stream of writes like the ledger's, one after the other, and is killed at some moment:

- **killed process**: the server gets SIGKILL and is started again on its data. What it had given to the kernel is kept.
- **lost power**: the kernel's cache is gone too. `strace` records each write to the append-only file and each `fsync`;
  the file is cut to what had been written when the last completed `fsync` began, which is what the disk holds at
  worst, and the server is started on that.

Prints one table; for the lost power it needs Linux and `strace`. A snapshot (RDB) is synchronised before it takes its
name, so there both cases lose the same.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from wanimate_devstack import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: How long one run writes at least, in seconds; up to two more, so that the kill comes at any moment of a second.
SHORTEST_SECONDS = 3.0
_CALL = re.compile(r"^(?P<pid>\d+) +(?P<rest>.*)$")
_RESULT = re.compile(r"\) += (-?\d+)")


@dataclass(frozen=True, slots=True)
class Policy:
    """How a server keeps its data.

    Args:
        name: What it is called in the table.
        save: Its snapshots, as `--save` takes them.
        fsync: When it synchronises its append-only file; None without one.
        waits: Whether the client asks with WAITAOF until each write is synchronised, and only then counts it.
    """

    name: str
    save: str = ""
    fsync: str | None = None
    waits: bool = False


POLICIES = (
    Policy("no persistence"),
    Policy("RDB, save 5 1", save="5 1"),
    Policy("AOF everysec", fsync="everysec"),
    Policy("AOF everysec, WAITAOF 1 0", fsync="everysec", waits=True),
    Policy("AOF always", fsync="always"),
)


@dataclass(frozen=True, slots=True)
class Loss:
    """What one crash lost.

    Args:
        writes: Acknowledged writes that are gone.
        of: Acknowledged writes.
        seconds: How long before the crash the oldest of those that are gone was acknowledged, in seconds.
    """

    writes: int
    of: int
    seconds: float


class Server(RedisServer):
    """A server under one policy, which may be killed and started again on its data.

    Args:
        policy: How it keeps its data.
        folder: Where.
    """

    def __init__(self, policy: Policy, folder: Path) -> None:
        # Never rewritten, the file only grows, and its beginning is what the disk would have.
        super().__init__(
            folder,
            options={
                "save": policy.save,
                "appendonly": "yes" if policy.fsync else "no",
                "appendfsync": policy.fsync or "no",
                "auto-aof-rewrite-percentage": "0",
            },
        )
        self.policy = policy

    def connect(self) -> Redis:
        """Return a connection that tries nothing twice."""
        return Redis(port=self.port, decode_responses=True, retry=Retry(NoBackoff(), 0), socket_timeout=5)

    def aof(self) -> Path:
        """Return the file that writes are appended to."""
        [aof] = (self.folder / "appendonlydir").glob("*.incr.aof")
        return aof


def crash(policy: Policy, seconds: float, *, loses_power: bool) -> Loss:
    """Write for a while, end the server, and count what it no longer knows.

    Args:
        policy: How the server keeps its data.
        seconds: How long to write.
        loses_power: Whether what was not synchronised goes too.
    """
    with TemporaryDirectory(prefix="wanimate-loss-") as name, Server(policy, Path(name)) as server:
        assert server.process is not None
        log = Path(name) / "strace.log"
        is_traced = loses_power and policy.fsync is not None
        with traced(server.process.pid, server.aof(), log) if is_traced else contextlib.nullcontext():
            acknowledged_at = list(write(server, seconds))
            server.process.kill()
        if is_traced:
            with server.aof().open("r+b") as file:
                file.truncate(synchronised_bytes(log))
        server.start()
        with server.connect() as redis:
            kept = int(str(redis.get("written") or 0))
        total = len(acknowledged_at)
        gone = max(0, total - kept)
        return Loss(gone, total, acknowledged_at[-1] - acknowledged_at[kept] if gone else 0.0)


def write(server: Server, seconds: float) -> Iterator[float]:
    """Write numbered entries one after the other, and yield when each was acknowledged."""
    with server.connect() as redis:
        begun_at = time.monotonic()
        number = 0
        while time.monotonic() < begun_at + seconds:
            number += 1
            pipeline = redis.pipeline(transaction=True)
            pipeline.hset(f"job:{number % 1000}", mapping={"stage": "submitting", "nonce": f"{number:016x}"})
            pipeline.zadd("due", {f"{number % 1000}": number})
            pipeline.set("written", number)
            pipeline.execute()
            if server.policy.waits:
                redis.waitaof(1, 0, 5000)
            yield time.monotonic()


@contextlib.contextmanager
def traced(pid: int, aof: Path, log: Path) -> Iterator[None]:
    """Record every write to a file and every synchronisation of it while the block runs."""
    command = ["strace", "-f", "-e", "trace=write,fsync,fdatasync", "-e", "signal=none", "-s", "0"]
    command += ["-P", str(aof), "-o", str(log), "-p", str(pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    if "attached" not in (said := tracer.stderr.readline()):
        sys.exit(f"strace cannot look at the server here: {said}{tracer.communicate()[1]}")
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            tracer.send_signal(signal.SIGINT)
        tracer.communicate()


def synchronised_bytes(log: Path) -> int:
    """Return how much had been written to the file when its last completed synchronisation began."""
    written = synchronised = 0
    #: What had been written when a synchronisation began that has not returned, by thread.
    begun: dict[str, int] = {}
    for line in log.read_text().splitlines():
        found = _CALL.match(line)
        if found is None:
            continue
        thread, rest = found["pid"], found["rest"]
        is_write = rest.startswith(("write(", "<... write resumed"))
        if not is_write and rest.startswith(("fsync(", "fdatasync(")):
            begun[thread] = written
        result = _RESULT.search(rest)
        if result is None:
            continue
        if is_write:
            written += int(result[1])
        elif result[1] == "0" and thread in begun:
            synchronised = max(synchronised, begun.pop(thread))
    return synchronised


def row(policy: Policy, case: str, losses: Sequence[Loss]) -> str:
    """Return one line of the table."""
    gone, seconds = [loss.writes for loss in losses], [loss.seconds for loss in losses]
    total = sum(loss.of for loss in losses)
    return (
        f"| {policy.name} | {case} | {sum(gone):,} of {total:,} | {statistics.median(seconds):.2f} s | "
        f"{max(seconds):.2f} s |"
    )


def main() -> None:
    """Crash servers of each policy, and print what they lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10, help="crashes of each kind")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which servers are killed")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    has_strace = shutil.which("strace") is not None
    cases = {"killed process": False, **({"lost power": True} if has_strace else {})}
    print("| policy | crash | acknowledged writes lost | reaching back, median | at most |\n|---|---|---|---|---|")
    for policy in POLICIES:
        for case, loses_power in cases.items():
            losses = [
                crash(policy, SHORTEST_SECONDS + 2 * chance.random(), loses_power=loses_power)
                for _ in range(options.runs)
            ]
            print(row(policy, case, losses), flush=True)
    if not has_strace:
        sys.exit("strace is not installed: the lost power was left out")


if __name__ == "__main__":
    main()
