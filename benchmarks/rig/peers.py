"""The peers as contenders: each is a file in `benchmarks/peers` and an environment of its own."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from redis import Redis
from wanimate_devstack import SIMULATOR_KEY, Process, Stack, StackOptions

from .contender import Contender

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .load import Load

_ROOT = Path(__file__).parents[2]
_FOLDER = _ROOT / "benchmarks" / "peers"
#: The Celery peers run with Wanimate's own Celery; the others need an older redis-py.
_OWN_BIN = _ROOT / ".venv" / "bin"
_PEERS_BIN = _ROOT / "build" / "peers-venv" / "bin"
#: How often the caller reads a peer's results, in seconds.
_CHECK_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Kind:
    """How a peer is run.

    Args:
        name: What it is called in reports.
        module: Its file, without `.py`.
        command: Its worker's command line; `{number}` is the process, `{share}` the slots of one process.
        ready: What its worker writes when it is ready.
        is_script: Whether it is one process that reads the file of jobs and appends to a file of results; the others
            enqueue by `python MODULE.py enqueue` and push their results to a list in Redis.
        bin: The folder of its programs.
    """

    name: str
    module: str
    command: str
    ready: str
    is_script: bool = False
    bin: Path = _PEERS_BIN


#: As many threads as a worker of Wanimate's has.
_CELERY = (
    "celery -A celery_jobs worker -P threads -c 16 -Q celery,poll --loglevel INFO -n peer{number}@%h "
    "--without-gossip --without-mingle"
)
KINDS = (
    Kind("Celery, retry", "celery_jobs", _CELERY, " ready.", bin=_OWN_BIN),
    Kind("Celery, semaphore", "celery_jobs", _CELERY, " ready.", bin=_OWN_BIN),
    Kind("arq", "arq_jobs", "arq arq_jobs.WorkerSettings", "Starting worker"),
    Kind("asyncio script", "asyncio_script", "python asyncio_script.py", "ready", is_script=True),
    Kind(
        "dramatiq",
        "dramatiq_limiter",
        "dramatiq dramatiq_limiter --processes 1 --threads {share}",
        "is ready for action",
    ),
    Kind("SAQ", "saq_jobs", "saq saq_jobs.settings -v", "Worker starting"),
)


class Peer(Contender):
    """One of the peers."""

    def __init__(self, kind: Kind, load: Load) -> None:
        options = StackOptions(workers=0, has_beat=False, has_flower=False, simulator=load.simulator_options())
        super().__init__(kind.name, load, Stack(options), 1 if kind.is_script else load.workers)
        self._kind = kind
        self._jobs = self.stack.folder / "jobs.json"
        self._results = self.stack.folder / "results.jsonl"

    def start(self) -> None:
        """Start server, simulator and workers."""
        super().start()
        self.tend()
        for worker in self.stack.workers:
            worker.wait_until(lambda worker=worker: self._kind.ready in worker.log_path.read_text(), "ready")  # type: ignore[misc]

    def stop(self) -> None:
        """Stop everything; workers without notice, for some would wait for their jobs."""
        for worker in self.stack.workers:
            worker.kill()
        super().stop()

    def enqueue(self) -> None:
        """Write the file of jobs and have the peer enqueue them in its own way."""
        written = self._jobs.with_suffix(".new")
        written.write_text(json.dumps([self.load.vendor_job(number) for number in range(self.load.jobs)]))
        written.rename(self._jobs)
        if not self._kind.is_script:
            command = [str(self._kind.bin / "python"), f"{self._kind.module}.py", "enqueue"]
            subprocess.run(command, cwd=_FOLDER, env=self._environment(), check=True)

    def results(self) -> Iterator[str | None]:
        """Yield what the peer pushes to its list, or appends to its file."""
        seen = 0
        with Redis.from_url(self.redis_url, decode_responses=True) as redis:
            while True:
                if self._kind.is_script:
                    written = self._results.read_text() if self._results.exists() else ""
                    # The last line may be half written.
                    lines = written.split("\n")[seen:-1]
                else:
                    lines = redis.lrange("bench:done", seen, -1)
                    self.caller_commands += 1
                seen += len(lines)
                yield from (json.loads(line)["task_id"] for line in lines)
                yield None
                time.sleep(_CHECK_SECONDS)

    def start_worker(self) -> object:
        """Start one more worker process."""
        number = len(self.stack.workers) + 1
        share = max(self.load.cap // self.processes, 1)
        program, *arguments = self._kind.command.format(number=number, share=share).split()
        # Run in the peers' folder, so that the modules are found; `_environment` names everything else.
        command = ["/usr/bin/env", "-C", str(_FOLDER), str(self._kind.bin / program), *arguments]
        worker = Process(f"worker{number}", command, self.stack.folder / f"{number}.log", self._environment())
        self.stack.workers.append(worker)
        return worker

    def _environment(self) -> dict[str, str]:
        return {
            "BENCH_CONTENDER": self.name,
            "BENCH_REDIS_URL": self.redis_url,
            "BENCH_VENDOR_URL": self.simulator_url,
            "BENCH_VENDOR_KEY": SIMULATOR_KEY,
            "BENCH_SPEED": f"{self.load.speed:g}",
            "BENCH_CAP": str(self.load.cap),
            "BENCH_PROCESSES": str(self.processes),
            "BENCH_JOBS": str(self._jobs),
            "BENCH_RESULTS": str(self._results),
            "PYTHONPATH": str(_FOLDER),
            "PYTHONUNBUFFERED": "1",
        }
