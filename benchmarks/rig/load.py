"""What contenders are given to do, and how much of it there is in each profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wanimate import AnimateJob, ReplaceJob

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wanimate.contract import Job


@dataclass(frozen=True, slots=True)
class Load:
    """A number of jobs and the vendor they meet.

    Args:
        jobs: How many.
        cap: The vendor's slots.
        rate: The vendor's requests in 60 simulated seconds.
        speed: Simulated seconds in a second.
        mean_seconds: Mean duration of animate at 480p, simulated.
        sigma: Deviation of the duration's logarithm.
        is_mixed: Whether there are both types and both resolutions; else all are animate at 480p.
        workers: Worker processes.
        prior: What workers expect of a task before one has ended, in true durations. None for what the product expects
            of the real vendor, which at speed 10 is ten times too long.
    """

    jobs: int
    cap: int
    rate: int
    speed: float
    mean_seconds: float = 41.0
    sigma: float = 0.3
    is_mixed: bool = True
    workers: int = 2
    prior: float | None = None

    def simulator_options(self) -> dict[str, str]:
        """Return the options the simulator is started with."""
        return {
            "cap": str(self.cap),
            "rate": str(self.rate),
            "speed": f"{self.speed:g}",
            "mean-seconds": f"{self.mean_seconds:g}",
            "sigma": f"{self.sigma:g}",
            # The computed bounds know one distribution for all tasks.
            "length-share": "0",
        }

    def job(self, number: int, **fields: Any) -> Job:
        """Return one of the jobs; the simulator knows it by its marker."""
        kind = ReplaceJob if self.is_mixed and number % 3 == 0 else AnimateJob
        return kind(
            image_url=f"https://example.com/{number}.png?marker={marker(number)}",
            video_url="https://example.com/motion.mp4",
            resolution="720p" if self.is_mixed and number % 2 else "480p",
            **fields,
        )

    def vendor_job(self, number: int) -> dict[str, Any]:
        """Return the same job as a peer gets it: its marker, and the vendor's input."""
        job = self.job(number)
        return {
            "marker": marker(number),
            "input": {
                "mode": "standard",
                "type": job.type,
                "image_urls": [job.image_url],
                "video_urls": [job.video_url],
                "resolution": job.resolution,
                "seed": job.seed,
            },
        }


def marker(number: int) -> str:
    """Return the name by which the simulator knows a job."""
    return f"job-{number}"


@dataclass(frozen=True, slots=True)
class Plan:
    """One of the vendor's plans, named by tasks at once and requests a minute, and how it is measured.

    Args:
        load: The plan's limits.
        seconds: How long it is measured, after it has warmed up.
        runs: How many stacks are measured, so that there are enough tasks.
        is_small: Whether it needs so little of the machine that others may run beside it.
    """

    load: Load
    seconds: float
    runs: int = 1
    is_small: bool = True

    @property
    def name(self) -> str:
        """The plan's limits."""
        return f"{self.load.cap}/{self.load.rate}"


@dataclass(frozen=True, slots=True)
class Profile:
    """The sizes of one run of the benchmark.

    Args:
        name: `short` or `full`.
        peers: What every contender is given, and the smoke test.
        limits: The work of the vendor's own limits: 1,000 slots in real time.
        limits_for_everyone: Whether the peers get it too.
        faults: What every contender is given when something goes wrong in the middle.
        faults_at_once: How many contenders meet their fault beside each other; what is lost does not depend on it.
        patience_seconds: Without a new result for so long after a fault, jobs count as stranded.
        scale: The vendor's own limits, at its own speed.
        workers: What 1, 2 and 4 worker processes are given.
        throughput: A vendor that limits nothing.
        idle_seconds: How long an idle stack is watched.
        growth_lengths: The lengths a backlog grows to.
        growth_seconds: How long each length is watched.
        plans: The vendor's plans.
    """

    name: str
    peers: Load
    limits: Load
    limits_for_everyone: bool
    faults: Load
    faults_at_once: int
    patience_seconds: float
    scale: Load
    workers: Load
    throughput: Load
    idle_seconds: float
    growth_lengths: Sequence[int]
    growth_seconds: float
    plans: Sequence[Plan]


def _plan(cap: int, rate: int, jobs: int, speed: float) -> Load:
    return Load(jobs=jobs, cap=cap, rate=rate, speed=speed, is_mixed=False)


_PEERS = Load(jobs=3_000, cap=200, rate=2_000, speed=20)
_LIMITS = Load(jobs=1_000, cap=100, rate=1_000, speed=10)

SHORT = Profile(
    name="short",
    peers=_PEERS,
    limits=_LIMITS,
    limits_for_everyone=False,
    faults=Load(jobs=150, cap=60, rate=600, speed=20),
    faults_at_once=3,
    patience_seconds=8,
    # A quarter of it.
    scale=Load(jobs=2_500, cap=250, rate=2_500, speed=4, is_mixed=False),
    workers=Load(jobs=500, cap=100, rate=1_000, speed=20),
    throughput=Load(jobs=1_500, cap=20_000, rate=10_000_000, speed=400, workers=1),
    idle_seconds=15,
    growth_lengths=(1_000, 25_000),
    growth_seconds=8,
    # A higher speed would shorten what the product's own waits and margins are made for: a second of a minute.
    plans=(
        Plan(_plan(3, 10, 200, 4), seconds=160, runs=4),
        Plan(_plan(10, 60, 400, 4), seconds=160),
        Plan(_plan(100, 1_000, 3_500, 4), seconds=160),
        # A quarter of the largest, for the whole needs a machine of its own.
        Plan(_plan(250, 2_500, 2_500, 4), seconds=45, is_small=False),
    ),
)

FULL = Profile(
    name="full",
    peers=_PEERS,
    limits=_LIMITS,
    limits_for_everyone=True,
    faults=Load(jobs=1_000, cap=200, rate=2_000, speed=20),
    faults_at_once=1,
    patience_seconds=45,
    scale=Load(jobs=10_000, cap=1_000, rate=10_000, speed=1, is_mixed=False),
    workers=Load(jobs=2_000, cap=200, rate=2_000, speed=20),
    throughput=Load(jobs=10_000, cap=20_000, rate=10_000_000, speed=400, workers=1),
    idle_seconds=60,
    growth_lengths=(1_000, 100_000, 1_000_000),
    growth_seconds=20,
    plans=(
        Plan(_plan(3, 10, 200, 1), seconds=1_200, runs=4),
        Plan(_plan(10, 60, 600, 1), seconds=1_200),
        Plan(_plan(100, 1_000, 5_000, 1), seconds=1_200),
        Plan(_plan(1_000, 10_000, 12_000, 1), seconds=300, is_small=False),
    ),
)

PROFILES = {profile.name: profile for profile in (SHORT, FULL)}
