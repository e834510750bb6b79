"""What contenders are given to do, and how much of it there is in each profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wanimate import AnimateJob, ReplaceJob

if TYPE_CHECKING:
    from wanimate.contract import Job


@dataclass(frozen=True, slots=True)
class Load:
    """A number of jobs and the vendor they meet.

    Args:
        jobs: How many.
        cap: The vendor's slots.
        rate: The vendor's requests in 60 simulated seconds.
        speed: Simulated seconds in a second.
        is_mixed: Whether there are both types and both resolutions; else all are animate at 480p.
        workers: Worker processes.
        prior: What workers expect of a task before one has ended, in true durations. None for what the product expects
            of the real vendor, which at speed 10 is ten times too long.
        mean_seconds: Mean duration of animate at 480p, simulated.
        sigma: Deviation of the duration's logarithm.
    """

    jobs: int
    cap: int
    rate: int
    speed: float
    is_mixed: bool = True
    workers: int = 2
    prior: float | None = None
    mean_seconds: float = 41.0
    sigma: float = 0.3

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

    def job(self, number: int) -> Job:
        """Return one of the jobs; the simulator knows it by its marker."""
        kind = ReplaceJob if self.is_mixed and number % 3 == 0 else AnimateJob
        return kind(
            image_url=f"https://example.com/{number}.png?marker={marker(number)}",
            video_url="https://example.com/motion.mp4",
            resolution="720p" if self.is_mixed and number % 2 else "480p",
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
class Profile:
    """The sizes of one run of the benchmark; the defaults are those of `short`.

    Args:
        name: `short` or `full`.
        peers: What every contender is given, and the smoke test.
        limits: The work of the vendor's own limits: 1,000 slots in real time.
        limits_for_everyone: Whether the peers get it too.
        scale: The vendor's own limits at its own speed; in short a quarter of them, at four times the speed.
        plans: The vendor's smaller plans. A higher speed would shorten what the product's own waits and margins are
            made for: a second of a minute.
        throughput: A vendor that limits nothing.
        faults: What every contender is given when something goes wrong in the middle.
        faults_at_once: How many contenders meet their fault beside each other; what is lost does not depend on it.
        patience_seconds: Without a new result for so long after a fault, jobs count as stranded.
        idle_seconds: How long an idle stack is watched.
        growth_lengths: The lengths a backlog grows to.
        growth_seconds: How long each length is watched.
    """

    name: str = "short"
    peers: Load = Load(jobs=3_000, cap=200, rate=2_000, speed=20)
    limits: Load = Load(jobs=1_000, cap=100, rate=1_000, speed=10)
    limits_for_everyone: bool = False
    scale: Load = Load(jobs=2_500, cap=250, rate=2_500, speed=4, is_mixed=False)
    plans: tuple[Load, ...] = (
        Load(jobs=60, cap=3, rate=10, speed=4, is_mixed=False),
        Load(jobs=200, cap=10, rate=60, speed=4, is_mixed=False),
        Load(jobs=2_000, cap=100, rate=1_000, speed=4, is_mixed=False),
    )
    throughput: Load = Load(jobs=1_500, cap=20_000, rate=10_000_000, speed=400, workers=1)
    faults: Load = Load(jobs=150, cap=60, rate=600, speed=20)
    faults_at_once: int = 3
    patience_seconds: float = 8
    idle_seconds: float = 15
    growth_lengths: tuple[int, ...] = (1_000, 25_000)
    growth_seconds: float = 8


FULL = Profile(
    name="full",
    limits_for_everyone=True,
    scale=Load(jobs=10_000, cap=1_000, rate=10_000, speed=1, is_mixed=False),
    plans=(
        Load(jobs=120, cap=3, rate=10, speed=1, is_mixed=False),
        Load(jobs=400, cap=10, rate=60, speed=1, is_mixed=False),
        Load(jobs=4_000, cap=100, rate=1_000, speed=1, is_mixed=False),
    ),
    throughput=Load(jobs=10_000, cap=20_000, rate=10_000_000, speed=400, workers=1),
    faults=Load(jobs=1_000, cap=200, rate=2_000, speed=20),
    faults_at_once=1,
    patience_seconds=45,
    idle_seconds=60,
    growth_lengths=(1_000, 100_000, 1_000_000),
    growth_seconds=20,
)
PROFILES = {profile.name: profile for profile in (Profile(), FULL)}
