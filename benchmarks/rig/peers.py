"""The peers as contenders: each is a file in `benchmarks/peers` and an environment of its own."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from wanimate_devstack import SIMULATOR_KEY, Process, Stack, StackOptions

from .contender import Contender, FileArrivals, ListArrivals

if TYPE_CHECKING:
    from .contender import Arrivals
    from .load import Load

_ROOT = Path(__file__).parents[2]
_FOLDER = _ROOT / "benchmarks" / "peers"
#: The Celery peers run with Wanimate's own Celery; the others need an older redis-py.
_OWN_BIN = _ROOT / ".venv" / "bin"
_PEERS_BIN = _ROOT / "build" / "peers-venv" / "bin"
#: Threads of one Celery worker: as many as one of Wanimate's has.
_CELERY_THREADS = 16


@dataclass(frozen=True, slots=True)
class Kind:
    """How a peer is run.

    Args:
        name: What it is called in reports.
        module: Its file, without `.py`.
        command: Its worker's command line; `{number}` is the process, `{share}` the slots of one process.
        ready: What its worker writes when it is ready.
        has_enqueue: Whether jobs are enqueued by `python MODULE.py enqueue`; else the worker reads the file of jobs.
        processes: How many processes it has; the load says if None.
        bin: Where its programs are.
    """

    name: str
    module: str
    command: tuple[str, ...]
    ready: str
    has_enqueue: bool = True
    processes: int | None = None
    bin: Path = _PEERS_BIN


_CELERY = (
    *f"celery -A celery_jobs worker -P threads -c {_CELERY_THREADS} -Q celery,poll --loglevel INFO".split(),
    *("-n", "peer{number}@%h", "--without-gossip", "--without-mingle"),
)
KINDS = (
    Kind("Celery, retry", "celery_jobs", _CELERY, " ready.", bin=_OWN_BIN),
    Kind("Celery, semaphore", "celery_jobs", _CELERY, " ready.", bin=_OWN_BIN),
    Kind("arq", "arq_jobs", ("arq", "arq_jobs.WorkerSettings"), "Starting worker"),
    Kind("asyncio script", "asyncio_script", ("python", "asyncio_script.py"), "ready", has_enqueue=False, processes=1),
    Kind(
        "dramatiq",
        "dramatiq_limiter",
        ("dramatiq", "dramatiq_limiter", "--processes", "1", "--threads", "{share}"),
        "is ready for action",
    ),
    Kind("SAQ", "saq_jobs", ("saq", "saq_jobs.settings", "-v"), "Worker starting"),
)


class Peer(Contender):
    """One of the peers.

    Args:
        kind: Which.
        load: What it is given to do.
    """

    def __init__(self, kind: Kind, load: Load) -> None:
        options = StackOptions(workers=0, has_beat=False, has_flower=False, simulator=load.simulator_options())
        super().__init__(kind.name, load, Stack(options))
        self._kind = kind
        self._count = kind.processes or load.workers
        self._jobs = self.stack.folder / "jobs.json"
        self._results = self.stack.folder / "results.jsonl"
        self._workers: list[Process] = []

    def start(self) -> None:
        """Start server, simulator and workers."""
        super().start()
        self.tend()
        for worker in self._workers:
            worker.wait_until(lambda worker=worker: self._kind.ready in worker.log_path.read_text(), "ready")  # type: ignore[misc]

    def stop(self) -> None:
        """Stop everything; workers without notice, for some would wait for their jobs."""
        for worker in self._workers:
            worker.kill()
        super().stop()

    def enqueue(self) -> None:
        """Write the file of jobs and have the peer enqueue them in its own way."""
        written = self._jobs.with_suffix(".new")
        written.write_text(json.dumps([self.load.vendor_job(number) for number in range(self.load.jobs)]))
        written.rename(self._jobs)
        if self._kind.has_enqueue:
            subprocess.run(
                [self._kind.bin / "python", f"{self._kind.module}.py", "enqueue"],
                cwd=_FOLDER,
                env=self._environment(),
                check=True,
            )

    def arrivals(self) -> Arrivals:
        """Return a caller on the peer's list or file of results."""
        return ListArrivals(self.redis_url) if self._kind.has_enqueue else FileArrivals(self._results)

    def workers(self) -> list[Process]:
        """Return the workers."""
        return self._workers

    def tend(self) -> None:
        """Start workers in place of those that have ended."""
        for _ in range(self.missing_workers(self._count)):
            self._start_worker()

    def _start_worker(self) -> None:
        number = len(self._workers) + 1
        values = {"number": number, "share": max(self.load.cap // self._count, 1)}
        program, *arguments = [part.format(**values) for part in self._kind.command]
        # Run in the peers' folder, so that the modules are found; `_environment` names everything else.
        command = ["/usr/bin/env", "-C", str(_FOLDER), str(self._kind.bin / program), *arguments]
        self._workers.append(
            Process(f"worker{number}", command, self.stack.folder / f"{number}.log", self._environment())
        )

    def _environment(self) -> dict[str, str]:
        return {
            "BENCH_CONTENDER": self.name,
            "BENCH_REDIS_URL": self.redis_url,
            "BENCH_VENDOR_URL": self.simulator_url,
            "BENCH_VENDOR_KEY": SIMULATOR_KEY,
            "BENCH_SPEED": f"{self.load.speed:g}",
            "BENCH_CAP": str(self.load.cap),
            "BENCH_PROCESSES": str(self._count),
            "BENCH_JOBS": str(self._jobs),
            "BENCH_RESULTS": str(self._results),
            "PYTHONPATH": str(_FOLDER),
            "PYTHONUNBUFFERED": "1",
        }


def versions() -> dict[str, str]:
    """Return the versions of what the peers are made of, those of their own environment only where there is one."""
    program = (
        "import importlib.metadata as m, json; "
        "print(json.dumps({n: m.version(n) for n in ('arq', 'dramatiq', 'saq', 'aiohttp', 'redis')}))"
    )
    told = {name: version(name) for name in ("celery", "kombu", "httpx", "wanimate")}
    if (_PEERS_BIN / "python").exists():
        found = subprocess.run([_PEERS_BIN / "python", "-c", program], check=True, capture_output=True, text=True)
        told |= json.loads(found.stdout)
    return told
