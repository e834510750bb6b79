"""Five hundred jobs, and everything that may happen to containers meanwhile."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from composition import CAP, eventually

if TYPE_CHECKING:
    from composition import Composition
    from ground_truth import Vendor

JOBS = 500
OUTAGE_SECONDS = 10.0
_BATCH = ("run", "--rm", "-T", "cli", "batch", "-", "--json")


@dataclass(slots=True)
class Evidence:
    """What was seen while the jobs ran.

    Args:
        results: What the callers were told, by marker.
        in_flight_at: How many tasks the vendor worked on when something began to happen, by what it was.
        restarts: How often the engine restarted the worker whose process was killed.
        images_side_by_side: The images of the workers that ran at once while they were replaced.
        images_afterwards: The images of all our containers after that.
        seconds: How long each thing took.
    """

    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    in_flight_at: dict[str, int] = field(default_factory=dict)
    restarts: int = 0
    images_side_by_side: set[str] = field(default_factory=set)
    images_afterwards: set[str] = field(default_factory=set)
    seconds: dict[str, float] = field(default_factory=dict)


class EventfulRun:
    """Enqueues the jobs, lets things happen while they run, and collects what the callers are told.

    Args:
        composition: The composition, with one worker and nothing to do.
        vendor: Tells how far the jobs are.
    """

    def __init__(self, composition: Composition, vendor: Vendor) -> None:
        self._composition = composition
        self._vendor = vendor
        self.evidence = Evidence()

    def go(self) -> Evidence:
        """Run it all, and return what was seen."""
        happenings = (
            self.scale_up,
            self.kill_a_worker,
            self.cut_redis_off,
            self.restart_beat,
            self.roll_the_image,
            self.scale_down,
        )
        lines: list[str] = []
        for number, happen in enumerate(happenings, start=1):
            # A portion before each, so that there is work to do however long the last one took.
            portion = [_line(marker) for marker in range(len(lines), JOBS * number // len(happenings))]
            self._composition.compose(*_BATCH, "--no-wait", stdin="".join(portion))
            lines += portion
            eventually(lambda: self._in_flight() > CAP // 2, "the vendor is at work")
            self.evidence.in_flight_at[happen.__name__] = self._in_flight()
            begun = time.monotonic()
            happen()
            self.evidence.seconds[happen.__name__] = time.monotonic() - begun
        # All of it again: nothing new is enqueued, and it tells how each job ended. One that failed is no error here.
        told = self._composition.run("sh", "-c", f"docker compose {' '.join(_BATCH)} || true", stdin="".join(lines))
        results = [json.loads(line) for line in told.splitlines()]
        self.evidence.results = {result["name"].rpartition("marker=")[2]: result for result in results}
        return self.evidence

    def _in_flight(self) -> int:
        return int(self._vendor.summary()["in_flight_now"])

    def scale_up(self) -> None:
        """Go from one worker to three."""
        self._composition.compose("up", "-d", "--no-recreate", "--scale", "worker=3", "worker")
        self._all_workers_answer(3)

    def kill_a_worker(self) -> None:
        """Kill the first process of a worker's container from the host, so that the restart policy acts."""
        victim = self._composition.containers("worker")[0]
        os.kill(self._composition.inspect(victim)[0]["State"]["Pid"], signal.SIGKILL)
        self.evidence.restarts = eventually(
            lambda: self._composition.inspect(victim)[0]["RestartCount"], "the engine restarts the worker"
        )
        self._all_workers_answer(3)

    def cut_redis_off(self) -> None:
        """Take Redis off its network for a while."""
        network, redis = f"{self._composition.project}_queue", self._composition.containers("redis")[0]
        self._composition.run("docker", "network", "disconnect", network, redis)
        time.sleep(OUTAGE_SECONDS)
        self._composition.run("docker", "network", "connect", "--alias", "redis", network, redis)

    def restart_beat(self) -> None:
        """Restart both beats at once."""
        self._composition.compose("restart", "beat")

    def roll_the_image(self) -> None:
        """Replace all containers of ours by those of another image, as the documentation says."""
        self._composition.set_environment(WANIMATE_IMAGE=self._composition.tags[1])
        roll = self._composition.start("sh", "deploy/roll.sh")
        while roll.poll() is None:
            self.evidence.images_side_by_side |= self._images_of_running_workers()
        output = roll.communicate()[0]
        assert roll.returncode == 0, output
        ours = [each for service in ("worker", "beat", "callbacks", "ops", "flower") for each in self._of(service)]
        self.evidence.images_afterwards = {each["Config"]["Image"] for each in ours}

    def scale_down(self) -> None:
        """Go from three workers to one."""
        self._composition.compose("up", "-d", "--no-recreate", "--scale", "worker=1", "worker")
        assert len(self._composition.containers("worker")) == 1

    def _of(self, service: str) -> list[dict[str, Any]]:
        return self._composition.inspect(*self._composition.containers(service))

    def _images_of_running_workers(self) -> set[str]:
        label = f"label=com.docker.compose.project={self._composition.project}"
        service = "label=com.docker.compose.service=worker"
        listed = self._composition.run("docker", "ps", "--filter", label, "--filter", service, "--format", "{{.Image}}")
        images = set(listed.split())
        # Only what runs at the same time counts.
        return images if len(images) > 1 else set()

    def _all_workers_answer(self, count: int) -> None:
        workers = self._composition.containers("worker")
        assert len(workers) == count
        for worker in workers:
            eventually(lambda worker=worker: self._composition.answers(worker), "each worker answers")


def _line(number: int) -> str:
    """Return a line of a batch file, for a job that the vendor's ground truth knows by its marker."""
    fields = {
        "type": "animate",
        "image_url": f"https://example.com/character.png?marker=job-{number}",
        "video_url": "https://example.com/motion.mp4",
        "labels": {"marker": f"job-{number}"},
    }
    return f"{json.dumps(fields)}\n"
